package main

import (
	"slices"

	"github.com/spf13/cobra"

	"sipscope/capture"
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
func (in *input) open(cmd *cobra.Command, args []string, again bool) (*door, error) {
	paths, err := in.paths(cmd, args)
	if err != nil {
		return nil, err
	}
	return openFiles(paths, again)
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
