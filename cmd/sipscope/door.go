package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"sipscope/capture"
	"sipscope/capture/output"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/save"
)

// door is where packets come in, and where they are read again.
type door struct {
	source   capture.Source
	texts    decode.TextReader          // texts of messages
	vault    *decode.Vault              // of texts that are not in the packets byte for byte
	keys     *keyLog                    // TLS secrets; nil when there cannot be any
	frames   save.Source                // frames of calls
	name     string                     // for titles: files, interfaces, listeners
	progress func() (done, total int64) // bytes of files; nil when live
	status   func() capture.Status      // nil for files
	closers  []func() error             // what to close, the last one first

	ifaceName func(iface uint16) string                   // of a live capture
	counts    func(iface uint16) (capture.NGCounts, bool) // likewise, for the end of a file; nil when not known
	outputs   []*output.Output                            // files that all packets go to
}

// close ends all reading, and removes what was temporary.
func (d *door) close() {
	for _, f := range slices.Backward(d.closers) {
		_ = f() // nothing is lost: what was to be kept was closed, and its error told, before
	}
	d.closers = nil
}

// live reports whether packets come as they happen.
func (d *door) live() bool { return d.status != nil }

// open opens what the command line names.
func (in *input) open(ctx context.Context, cmd *cobra.Command, args []string, again bool) (*door, error) {
	if err := in.findKeyLog(); err != nil {
		return nil, err
	}
	if in.live.wanted() {
		if n := len(in.files) + len(args); n > 0 {
			return nil, usagef("leave out one of them", "captures and live sources cannot be read together")
		}
		d, err := in.openLive(ctx, cmd.Name())
		return in.unlock(d, err)
	}
	if in.live.write != "" {
		return nil, usagef("try: sipscope capture FILE -O OUT, or: sipscope export FILE --filter ... -o OUT",
			"-O writes packets of interfaces and HEP agents")
	}
	paths, err := in.paths(cmd, args)
	if err != nil {
		return nil, err
	}
	f, err := in.live.filter(false)
	if err != nil {
		return nil, err
	}
	d, err := in.unlock(openFiles(paths, again))
	if err != nil || f == nil {
		return d, err
	}
	if f.Widened() && !in.quiet {
		fmt.Fprintln(in.io.err, fragmentsKept)
	}
	d.source = capture.Choose(d.source, f.Match)
	return d, nil
}

// unlock gives a door that was opened the key log that the user named.
func (in *input) unlock(d *door, err error) (*door, error) {
	if err != nil {
		return nil, err
	}
	if err = in.openKeyLog(d); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// textOf reads the texts of messages again.
func textOf(r decode.TextReader) func(call *correlate.Call, message int) ([]byte, error) {
	return func(call *correlate.Call, message int) ([]byte, error) {
		return decode.ReadText(r, call.Messages[message].Pieces)
	}
}

// openFiles opens captures; again says that frames or texts will be read once more.
func openFiles(paths []string, again bool) (*door, error) {
	files, err := capture.Open(paths, capture.Options{Spool: again})
	if err != nil {
		return nil, usageError{err: err}
	}
	d := &door{
		source: files, frames: save.FromFiles(files), name: sourceName(paths),
		progress: func() (done, total int64) { return files.Offset(), files.Size() },
		closers:  []func() error{files.Close},
	}
	if mayHoldSecrets(paths) {
		d.keys = &keyLog{files: files, taken: map[*byte]bool{}}
	}
	if again {
		d.vault = decode.NewVault(decode.VaultOptions{})
	}
	d.readAgain(files)
	return d, nil
}

// readAgain says where texts are read again: in the packets that under keeps, or in the vault.
func (d *door) readAgain(under decode.TextReader) {
	d.texts = d.vault.Reader(under)
	d.frames.Text = textOf(d.texts)
	d.closers = append(d.closers, d.vault.Close)
}
