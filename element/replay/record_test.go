package replay_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
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
}

func (r *recording) text(call, message int) []byte { return r.texts[[2]int{call, message}] }

// plan makes the plan of all calls.
func (r *recording) plan(tb testing.TB, o plan.Options) *plan.Plan {
	tb.Helper()
	o.Source = r.name
	p, err := plan.New(r.calls, r.text, o)
	if err != nil {
		tb.Fatalf("%s: %v", r.name, err)
	}
	return p
}

// load reads a capture.
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
	board := &correlate.Board{}
	if err := correlate.Run(context.Background(), files, correlate.Config{Workers: 1, Board: board}); err != nil {
		tb.Logf("%s: %v", path, err) // a damaged capture gives what it has
	}
	r := &recording{name: filepath.Base(path), texts: map[[2]int][]byte{}}
	for _, num := range board.Numbers() {
		if call, ok := board.Call(num); ok {
			r.calls = append(r.calls, call)
		}
	}
	for i := range r.calls {
		for j := range r.calls[i].Messages {
			if b, err := decode.ReadText(files, r.calls[i].Messages[j].Pieces); err == nil {
				r.texts[[2]int{i, j}] = b
			}
		}
	}
	return r
}

// flowText gives the text of one of the textbook's flows.
func flowText(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("../scenario/flows", name+".flow"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// parsed reads a flow.
func parsed(tb testing.TB, name, text string) *scenario.Flow {
	tb.Helper()
	f, err := scenario.Parse(name, text)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// recorded plays a flow in virtual time and gives what the tap saw.
func recorded(tb testing.TB, name, text string) *recording {
	tb.Helper()
	r, _ := recordedAt(tb, name, text)
	return r
}

// recordedAt also gives the file.
func recordedAt(tb testing.TB, name, text string) (*recording, string) {
	tb.Helper()
	flow := parsed(tb, name, text)
	source := tap.New(0)
	path := filepath.Join(tb.TempDir(), name+".pcapng")
	written := make(chan error, 1)
	go func() { written <- write(path, source) }()
	if _, err := flow.Play(context.Background(), scenario.Stage{Seed: 1, Tap: source}); err != nil && !strings.Contains(err.Error(), "diverge") {
		tb.Logf("record: %v", err)
	}
	if err := source.Close(); err != nil {
		tb.Error(err)
	}
	if err := <-written; err != nil {
		tb.Fatal(err)
	}
	r := load(tb, path)
	r.name = name
	return r, path
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
		err = source.Next(context.Background(), &b)
		for i := range b.Packets {
			if wrong := w.WritePacket(&b.Packets[i], ""); wrong != nil {
				return wrong
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

// textbook gives the names of the textbook's flows.
var textbook = sync.OnceValues(func() ([]string, error) {
	all, err := scenario.Textbook()
	names := make([]string, len(all))
	for i, f := range all {
		names[i] = f.Name
	}
	return names, err
})
