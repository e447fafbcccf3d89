package tui

import (
	"context"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/ladder/laddertest"
	drawn "sipscope/render/pair"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// compared is a report of two calls whose second message differs.
func compared() *drawn.Report {
	m := laddertest.TwoProxies()
	f := diff.Flow{Name: "good.pcap", Calls: []correlate.Call{m.Call}, Text: laddertest.Text(m)}
	g := f
	g.Calls = []correlate.Call{m.Call}
	r := &diff.Result{A: f, B: g, First: 1, Verdict: diff.Differs, Headline: "expected 100, got 403", Who: []diff.Participant{{Name: "a"}, {Name: "b"}}}
	for i := range 3 {
		r.Rows = append(r.Rows, diff.Row{A: diff.Ref{Message: i}, B: diff.Ref{Message: i}, To: 1})
	}
	r.Rows[1].Verdict = diff.Differs
	r.Rows[2] = diff.Row{A: diff.Ref{Message: 2}, B: diff.Ref{Message: -1}, To: 1, Verdict: diff.Missing, TimeB: -1}
	return &drawn.Report{A: "good.pcap", B: "bad.pcap", Pairs: []drawn.Pair{drawn.New(r)}}
}

func newPairApp(t *testing.T) *testApp {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := termtest.NewScreen(t, 120, 30)
	a := newApp(ctx, s, termtest.Theme(), Options{
		Pairs: compared(), Settings: term.DefaultSettings(), Env: func(string) string { return "" },
	})
	a.begin()
	t.Cleanup(func() {
		cancel()
		a.jobs.Wait()
	})
	x := &testApp{app: a, t: t, screen: s}
	x.draw()
	x.settle()
	return x
}

// TestPairs opens a comparison without anything to be read, its messages, and comes back.
func TestPairs(t *testing.T) {
	t.Parallel()
	a := newPairApp(t)
	if s := a.dump(); !strings.Contains(s, "DIFFERS  expected 100, got 403") || !strings.Contains(s, "Esc Quit") ||
		strings.Contains(s, "reading") {
		t.Fatal(s)
	}
	if !a.idle() {
		t.Error("it waits for something to be read")
	}
	a.walk("n", "Enter")
	if s := a.dump(); !strings.Contains(s, "SIP/2.0") && !strings.Contains(s, "INVITE sip:") {
		t.Errorf("no text of a message that only one side has: %s", s)
	}
	a.walk("S")
	if a.message != "the comparison can be saved, not its messages" {
		t.Errorf("S says %q", a.message)
	}
	a.walk("q", "N", "Enter")
	if a.top().Scope() != keymap.Compare {
		t.Fatalf("Enter opens %v", a.top().Title())
	}
	a.walk("i", "q", "?")
	if s := a.dump(); !strings.Contains(s, "next difference") {
		t.Errorf("the help: %s", s)
	}
	a.walk("q", "q")
	if !a.ended {
		t.Error("q does not quit")
	}
}

// TestRunPairs runs the program's loop over a comparison.
func TestRunPairs(t *testing.T) {
	t.Parallel()
	s := newRestored()
	done := make(chan error)
	go func() {
		done <- Run(t.Context(), Options{Pairs: compared(), Settings: term.DefaultSettings(), Screen: s})
	}()
	<-s.ready
	for _, r := range "nN?qdq" {
		s.InjectKey(tcell.KeyRune, r, tcell.ModNone)
	}
	if err := <-done; err != nil || s.finis != 1 {
		t.Errorf("error %v, restored %d times", err, s.finis)
	}
}

// TestListOpensPairs goes from the call list to a comparison, and from a ladder to its hops.
func TestListOpensPairs(t *testing.T) {
	t.Parallel()
	a := newCallsApp(t, 120, 40, false)
	a.walk("Space", "Down", "=")
	if got := a.top().Title(); !strings.HasPrefix(got, "diff · call 1 · call 3") {
		t.Errorf("= opens %q", got)
	}
	a.walk("q", "Backspace", "Home", "Enter", "=")
	if got := a.top().Title(); !strings.HasPrefix(got, "hops · call 1") {
		t.Errorf("= in a ladder opens %q", got)
	}
	a.walk("q", "q", "q")
	if !a.ended {
		t.Error("the way back is longer than the way there")
	}
}
