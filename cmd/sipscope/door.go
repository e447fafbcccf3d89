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
	if in.live.wanted() {
		if n := len(in.files) + len(args); n > 0 {
			return nil, usagef("leave out one of them", "captures and live sources cannot be read together")
		}
		return in.openLive(ctx, cmd.Name())
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
	d, err := openFiles(paths, again)
	if err != nil || f == nil {
		return d, err
	}
	if f.Widened() && !in.quiet {
		fmt.Fprintln(in.io.err, fragmentsKept)
	}
	d.source = capture.Choose(d.source, f.Match)
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
	return &door{
		source: files, texts: files, frames: save.FromFiles(files), name: sourceName(paths),
		progress: func() (done, total int64) { return files.Offset(), files.Size() },
		closers:  []func() error{files.Close},
	}, nil
}
