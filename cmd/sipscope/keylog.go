package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"time"

	"github.com/spf13/pflag"

	"sipscope/capture"
	"sipscope/decode/tls"
)

const (
	// keyLogLook is how often a key log is looked at again while packets come.
	keyLogLook = 20 * time.Millisecond
	// keyLogBlock is how much of a key log is in memory, in bytes. It is more than the longest line.
	keyLogBlock = 64 << 10
	// maxLook bounds what a live run reads of a key log between two batches, in bytes: packets do not wait for a large one.
	maxLook = 16 << 20
)

// keyLogFlag adds the flag that names a key log.
func (in *input) keyLogFlag(f *pflag.FlagSet) {
	f.StringVarP(&in.keyLog, "keylog", "k", "", "TLS key log (SSLKEYLOGFILE) that decrypts; followed while it grows (see: sipscope help tls)")
}

// keyLog gives the pipeline TLS secrets: those of a file, which may grow, and those that pcapng files carry.
type keyLog struct {
	path  string // empty for none
	live  bool   // the file may not be there yet, and grows
	files *capture.Files
	taken map[*byte]bool // of files
	say   func(problem string)

	// What follows belongs to who walks through the secrets.
	file   *os.File
	block  []byte // the newest bytes of the file
	held   int    // of them, at the beginning: a line that is not whole
	tail   []byte // the last bytes before the place in the file: another file has others there
	looked time.Time
	failed bool // to read, which was said
}

// tailSize is how many bytes tell that a file is still the same one: most of a secret.
const tailSize = 64

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
	k.path, k.live, k.say = path, d.live(), func(string) {}
	if !in.quiet && !in.fullScreen {
		k.say = func(problem string) { fmt.Fprintln(in.io.err, oneLine("sipscope: key log: "+problem)) }
	}
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
	k.file, k.held, k.tail = f, 0, nil
	return nil
}

func (k *keyLog) close() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}

// secrets gives what became known since the last call, as correlate.Config.Secrets wants it.
func (k *keyLog) secrets() iter.Seq[[]byte] {
	var blocks [][]byte
	if k.files != nil {
		for _, s := range k.files.Secrets() {
			if len(s) > 0 && !k.taken[&s[0]] {
				k.taken[&s[0]] = true
				blocks = append(blocks, s)
			}
		}
	}
	if k.path == "" && blocks == nil {
		return nil
	}
	return func(yield func([]byte) bool) {
		for _, b := range blocks {
			if !yield(b) {
				return
			}
		}
		k.follow(time.Now(), yield)
	}
}

// follow gives what was added to the file since the last time, whole lines of it. What it yields is valid during the call.
func (k *keyLog) follow(now time.Time, yield func([]byte) bool) {
	if k.path == "" || now.Sub(k.looked) < keyLogLook {
		return
	}
	k.looked = now
	if k.live && k.replaced() {
		_ = k.file.Close()
		k.file = nil
	}
	if k.file == nil && k.open() != nil {
		return // not yet
	}
	if k.block == nil {
		k.block = make([]byte, keyLogBlock)
	}
	for read := 0; !k.live || read < maxLook; {
		n, err := k.file.Read(k.block[k.held:])
		read += n
		if n > 0 && !k.take(n, yield) {
			return
		}
		if err != nil {
			k.end(err, read > 0, yield)
			return
		}
	}
	k.looked = time.Time{} // there is more
}

// take gives the lines that n bytes more of the file make whole.
func (k *keyLog) take(n int, yield func([]byte) bool) bool {
	fresh := k.block[k.held : k.held+n]
	k.tail = append(k.tail, fresh[max(0, n-tailSize):]...)
	k.tail = k.tail[max(0, len(k.tail)-tailSize):]
	k.held += n
	whole := bytes.LastIndexByte(k.block[:k.held], '\n') + 1
	if whole == 0 && k.held == len(k.block) {
		whole = k.held // no line of a key log is that long
	}
	if whole == 0 {
		return true
	}
	more := yield(k.block[:whole])
	k.held = copy(k.block, k.block[whole:k.held])
	return more
}

// end is at the end of the file as it is now. A last line without its end counts in a file that nobody writes; it is kept,
// should there be more of it after all.
func (k *keyLog) end(err error, grew bool, yield func([]byte) bool) {
	if !errors.Is(err, io.EOF) && !k.failed {
		k.failed = true
		k.say(err.Error())
	}
	if !k.live && grew && k.held > 0 {
		yield(k.block[:k.held])
	}
}

// replaced reports whether the file was cut short, written anew, or another one has its name.
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
	if err != nil || !os.SameFile(named, open) || named.Size() < at {
		return true
	}
	var tail [tailSize]byte
	n, err := k.file.ReadAt(tail[:len(k.tail)], at-int64(len(k.tail)))
	return err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(tail[:n], k.tail)
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
