package plan_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode"
	"sipscope/element/replay/plan"
	"sipscope/element/scenario"
	"sipscope/element/tap"
)

// recording is what a capture holds.
type recording struct {
	name  string
	calls []correlate.Call
	texts map[[2]int][]byte
	media []cut.Stream
}

func (r *recording) text(call, message int) []byte { return r.texts[[2]int{call, message}] }

// plan makes the plan of all calls.
func (r *recording) plan(tb testing.TB, o plan.Options) (*plan.Plan, error) {
	tb.Helper()
	if o.Source == "" {
		o.Source = r.name
	}
	return plan.New(r.calls, r.text, o)
}

// correlated runs a source through the pipeline.
func correlated(tb testing.TB, name string, source capture.Source, texts decode.TextReader) *recording {
	tb.Helper()
	board := &correlate.Board{}
	if err := correlate.Run(context.Background(), source, correlate.Config{Workers: 1, Board: board}); err != nil {
		tb.Logf("%s: %v", name, err) // a damaged capture gives what it has
	}
	r := &recording{name: name, texts: map[[2]int][]byte{}}
	for _, num := range board.Numbers() {
		if call, ok := board.Call(num); ok {
			r.calls = append(r.calls, call)
		}
	}
	for i := range r.calls {
		for j := range r.calls[i].Messages {
			if b, err := decode.ReadText(texts, r.calls[i].Messages[j].Pieces); err == nil {
				r.texts[[2]int{i, j}] = b
			}
		}
	}
	return r
}

// load reads a capture, with its media.
func load(tb testing.TB, path string) *recording {
	tb.Helper()
	files, err := capture.Open([]string{path}, capture.Options{Spool: true, SpoolDir: tb.TempDir()})
	if err != nil {
		if !errors.Is(err, capture.ErrFormat) || !strings.Contains(path, "shared") {
			tb.Fatal(err)
		}
		tb.Skip(err) // among captures of others are files of other formats
	}
	tb.Cleanup(func() { _ = files.Close() })
	r := correlated(tb, filepath.Base(path), files, files)
	again, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	recorded, err := cut.Cut(context.Background(), again, r.calls, r.text, cut.Options{})
	if err != nil {
		tb.Logf("%s: %v", path, err)
	}
	r.media = recorded.Streams
	return r
}

// flows plays the textbook's flows in virtual time and gives what the tap saw.
func play(tb testing.TB, flow *scenario.Flow) *recording {
	tb.Helper()
	source := tap.New(0)
	path := filepath.Join(tb.TempDir(), flow.Name+".pcapng")
	spool := make(chan error, 1)
	go func() { spool <- write(path, source) }()
	if _, err := flow.Play(context.Background(), scenario.Stage{Seed: 1, Tap: source}); err != nil {
		tb.Error(err)
	}
	if err := source.Close(); err != nil {
		tb.Error(err)
	}
	if err := <-spool; err != nil {
		tb.Fatal(err)
	}
	r := load(tb, path)
	r.name = flow.Name
	return r
}

// write writes a source to a capture.
func write(path string, source capture.Source) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w, err := capture.NewNGWriter(f)
	if err != nil {
		return err
	}
	var b capture.Batch
	for {
		err := source.Next(context.Background(), &b)
		for i := range b.Packets {
			if failed := w.WritePacket(&b.Packets[i], ""); failed != nil {
				return failed
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	b.Release()
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}
