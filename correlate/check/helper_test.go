package check

import (
	"fmt"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/correlate/media/judge"
	"sipscope/decode"
)

// archive is a capture that was read, and can be read again.
type archive struct {
	files   *capture.Files
	calls   []correlate.Call
	checker *Checker
	streams []media.Stream
}

// read runs the pipeline over captures.
func read(tb testing.TB, paths ...string) *archive {
	tb.Helper()
	files, err := capture.Open(paths, capture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = files.Close() })
	board := new(correlate.Board)
	if err := correlate.Run(tb.Context(), files, correlate.Config{Board: board, Workers: 1}); err != nil {
		tb.Logf("%v: %v", paths, err) // a capture that is cut short has calls all the same
	}
	a := &archive{files: files, streams: board.Streams()}
	for _, num := range board.Numbers() {
		if c, ok := board.Call(num); ok {
			a.calls = append(a.calls, c)
		}
	}
	a.checker = New(a.streams, judge.Defaults())
	return a
}

// text reads the messages of a call again.
func (a *archive) text(c *correlate.Call) Text {
	return func(message int) []byte {
		b, err := decode.ReadText(a.files, c.Messages[message].Pieces)
		if err != nil {
			return nil
		}
		return b
	}
}

// findings writes the findings of all calls, one a line.
func (a *archive) findings() string {
	var b strings.Builder
	for i := range a.calls {
		c := &a.calls[i]
		for _, f := range a.checker.Media(c, a.text(c)) {
			fmt.Fprintf(&b, "call %d %s %s: %s (frames %v, stream %d)\n", c.Num, f.Severity, f.Code, f.Text, f.Frames, f.Stream)
		}
	}
	return b.String()
}

// codes gives the codes of the findings of all calls.
func (a *archive) codes() string {
	var out []string
	for i := range a.calls {
		for _, f := range a.checker.Media(&a.calls[i], a.text(&a.calls[i])) {
			out = append(out, string(f.Code))
		}
	}
	return strings.Join(out, " ")
}

// keys gives the sequence of keys of a call by where they came from.
func (a *archive) keys(c *correlate.Call) string {
	var list []dtmf.Press
	for _, p := range a.checker.Presses(c, a.text(c)) {
		list = append(list, p.Press)
	}
	return dtmf.Sequence(list)
}
