package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/pflag"

	"sipscope/capture"
	"sipscope/decode/tls"
)

const (
	// keyLogLook is how often a key log is looked at again while packets come.
	keyLogLook = 20 * time.Millisecond
	// maxKeyLog bounds what is read of a key log at once, in bytes: the newest handshakes count.
	maxKeyLog = 256 << 20
)

// keyLogFlag adds the flag that names a key log.
func (in *input) keyLogFlag(f *pflag.FlagSet) {
	f.StringVarP(&in.keyLog, "keylog", "k", "", "TLS key log (SSLKEYLOGFILE) that decrypts; followed while it grows (see: sipscope help tls)")
}

// keyLog gives the pipeline TLS secrets: those of a file, which may grow, and those that pcapng files carry.
type keyLog struct {
	path    string // empty for none
	live    bool   // the file may not be there yet, and grows
	files   *capture.Files
	taken   map[*byte]bool // of files
	file    *os.File
	rest    []byte // of the file: a line that is not whole
	looked  time.Time
	problem error // of the file, told once
}

// findKeyLog asks the configuration when no flag names a key log. It comes before anything is opened: a live run may give up the
// rights that reading the configuration takes.
func (in *input) findKeyLog() error {
	if in.keyLog != "" {
		return nil
	}
	c, err := loadConfig(os.Getenv)
	if errors.Is(err, fs.ErrPermission) {
		return nil // another user's home: nothing in it was meant for this run
	}
	in.configured = c.KeyLog
	return err
}

// openKeyLog prepares the key log that findKeyLog found, and looks whether it is one.
func (in *input) openKeyLog(d *door) error {
	path, named := in.keyLog, true
	if path == "" {
		path, named = in.configured, false
	}
	if path == "" {
		return nil
	}
	if d.keys == nil {
		d.keys = &keyLog{}
	}
	k := d.keys
	k.path, k.live = path, d.live()
	d.closers = append(d.closers, k.close)
	err := k.open()
	switch {
	case errors.Is(err, fs.ErrNotExist) && (k.live || !named):
		return nil // it may come
	case err != nil:
		return usageError{err: fmt.Errorf("key log: %w", err), hint: "see: sipscope help tls"}
	case k.live || in.quiet:
		return nil
	}
	return k.tell(in)
}

// tell says when a file holds no secrets: it was mistaken for a key log.
func (k *keyLog) tell(in *input) error {
	const most = 1 << 20
	head := make([]byte, most)
	n, err := k.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil // a pipe: it is read as it comes
	}
	keys := tls.NewKeys()
	keys.Add(head[:n])
	if keys.End(); keys.Empty() {
		fmt.Fprintln(in.io.err, oneLine("sipscope: "+k.path+": no TLS secrets in it (see: sipscope help tls)"))
	}
	return nil
}

func (k *keyLog) open() error {
	f, err := os.Open(k.path)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && k.live && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: a live run follows a regular file only", k.path)
	}
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s: is a directory", k.path)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	k.file, k.rest = f, nil
	return nil
}

func (k *keyLog) close() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}

// secrets gives what became known since the last call, as correlate.Config.Secrets wants it.
func (k *keyLog) secrets() (out [][]byte) {
	if k.files != nil {
		for _, s := range k.files.Secrets() {
			if len(s) > 0 && !k.taken[&s[0]] {
				k.taken[&s[0]] = true
				out = append(out, s)
			}
		}
	}
	if k.path == "" {
		return out
	}
	now := time.Now()
	if now.Sub(k.looked) < keyLogLook {
		return out
	}
	k.looked = now
	if b := k.grown(); len(b) > 0 {
		out = append(out, b)
	}
	return out
}

// grown reads what was added to the file: whole lines while it may grow.
func (k *keyLog) grown() []byte {
	if k.live && k.replaced() {
		_ = k.file.Close()
		k.file = nil
	}
	if k.file == nil && k.open() != nil {
		return nil // not yet
	}
	b, err := io.ReadAll(io.LimitReader(k.file, maxKeyLog))
	if err != nil {
		k.problem = err
	}
	if !k.live {
		return b
	}
	b = append(k.rest, b...)
	end := bytes.LastIndexByte(b, '\n') + 1
	k.rest = bytes.Clone(b[end:])
	return b[:end]
}

// replaced reports whether the file was cut short or another one has its name.
func (k *keyLog) replaced() bool {
	if k.file == nil {
		return false
	}
	named, err := os.Stat(k.path)
	if err != nil {
		return false // it is between two names
	}
	open, err := k.file.Stat()
	if err != nil {
		return true
	}
	at, err := k.file.Seek(0, io.SeekCurrent)
	return err != nil || !os.SameFile(named, open) || named.Size() < at
}

// mayHoldSecrets reports whether one of the captures is a pcapng file, or may be one: it is compressed, or not a file.
func mayHoldSecrets(paths []string) bool {
	for _, path := range paths {
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() {
			return true
		}
		f, err := os.Open(path)
		if err != nil {
			return true
		}
		var magic [4]byte
		_, err = io.ReadFull(f, magic[:])
		_ = f.Close()
		switch string(magic[:]) {
		case "\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1":
		default:
			if err == nil {
				return true
			}
		}
	}
	return false
}
