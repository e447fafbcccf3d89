package tui

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/correlate/query"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestPrompt(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 60, 14)
	var changes []string
	var done string
	cancelled := 0
	ask := func() {
		a.Ask(term.Prompt{
			Label: "filter",
			Changed: func(s string) error {
				changes = append(changes, s)
				_, err := query.Compile(s, query.Options{})
				return err
			},
			Done: func(s string) error {
				if _, err := query.Compile(s, query.Options{}); err != nil {
					return err
				}
				done = s
				return nil
			},
			Cancelled: func() { cancelled++ },
			Complete: func(s string) []term.Completion {
				if strings.HasSuffix(s, "st") || s == "" {
					return []term.Completion{{Text: "state", Help: "what became of the call"}, {Text: "status", Help: "final status"}}
				}
				return nil
			},
		})
	}
	ask()
	a.press("st")
	termtest.Golden(t, "prompt-offers", a.dump())
	a.press("Down", "Down", "Tab") // takes the second
	a.press(" >")
	if d, ok := a.dialog.(*prompt); !ok || d.err == nil {
		t.Error("an unfinished filter is no error")
	}
	termtest.Golden(t, "prompt-error", a.dump())
	a.press("Enter")
	if done != "" || a.dialog == nil {
		t.Error("a wrong filter was taken")
	}
	a.press(" 300", "Enter")
	if done != "status > 300" || a.dialog != nil {
		t.Errorf("taken %q", done)
	}
	if want := []string{"s", "st", "status", "status ", "status >", "status > ", "status > 3", "status > 30", "status > 300"}; !slices.Equal(changes, want) {
		t.Errorf("changes %q", changes)
	}
	ask()
	a.press("x", "Esc")
	ask()
	a.press("Ctrl-C")
	if cancelled != 2 || a.ended {
		t.Errorf("cancelled %d times, ended %v", cancelled, a.ended)
	}
}

func TestPastedTextIsNoCommand(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 60, 14)
	paste := func(s string) {
		a.event(tcell.NewEventPaste(true))
		a.press(s, "Enter")
		a.event(tcell.NewEventPaste(false))
	}
	paste("q")
	if a.ended || len(a.stub.actions) > 0 {
		t.Error("a pasted q was a command")
	}
	done := ""
	a.Ask(term.Prompt{Label: "search", Done: func(s string) error {
		done = s
		return nil
	}})
	paste("sip:\x1b[31malice")
	if done != "" {
		t.Error("a pasted line end sent the prompt")
	}
	a.press("Enter")
	if done != "sip:[31malice" { // without what is no character
		t.Errorf("got %q", done)
	}
}

func TestMenu(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 60, 14)
	var got []term.Item
	m := term.Menu{
		Title: "columns", Order: true, Widths: true, AddHint: "header",
		Items: []term.Item{{Name: "num", Help: "number"}, {Name: "from", Help: "caller", Ticked: true}, {Name: "to", Help: "callee"}},
		Add: func(s string) (term.Item, error) {
			if s == "bad header" {
				return term.Item{}, errors.New("not a header name")
			}
			return term.Item{Name: "header." + s, Ticked: true}, nil
		},
		Done: func(items []term.Item, _ int) { got = items },
	}
	a.Choose(m)
	a.press("Down", "Space", "Up", ">", "+", "+", "-", "a", "bad header", "Enter")
	if _, ok := a.dialog.(*prompt); !ok {
		t.Fatal("a wrong name was taken")
	}
	a.press("Ctrl-U", "X-Account", "Enter")
	termtest.Golden(t, "menu", a.dump())
	a.press("Enter")
	want := []term.Item{
		{Name: "num", Help: "number"},
		{Name: "to", Help: "callee"},
		{Name: "from", Help: "caller", Width: 1},
		{Name: "header.X-Account", Ticked: true},
	}
	if diff := cmp.Diff(want, got); diff != "" || a.dialog != nil {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	got = nil
	a.Choose(m)
	a.press("Space", "Esc")
	if got != nil || a.dialog != nil || m.Items[0].Ticked {
		t.Error("a menu that was left changed something")
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 80, 24)
	a.stub.saving = a.allCalls()
	dir := t.TempDir()
	path := filepath.Join(dir, "out.pcapng")
	a.press("S")
	termtest.Golden(t, "save", a.dump())
	a.press("Ctrl-U", path, "Enter")
	if want := "14 frames of 1 call saved to " + path; a.message != want || a.failure != nil {
		t.Fatalf("said %q, %v, want %q", a.message, a.failure, want)
	}
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_ = files.Close()
	first, _ := os.Stat(path)

	a.press("S", "Ctrl-U", path, "Enter") // it is there
	if _, ok := a.dialog.(*confirm); !ok {
		t.Fatalf("an existing file was overwritten: %q, %v", a.message, a.failure)
	}
	a.press("n")
	if now, _ := os.Stat(path); !os.SameFile(first, now) {
		t.Error("the file was replaced against the answer")
	}
	a.press("S", "Ctrl-U", path, "Enter")
	a.press("y")
	if !strings.Contains(a.message, "saved to") {
		t.Errorf("said %q, %v", a.message, a.failure)
	}

	a.press("S", "Ctrl-U", filepath.Join(dir, "none", "x.pcap"), "Enter")
	if a.failure == nil || !strings.Contains(a.failure.Error(), "the directory must exist") {
		t.Errorf("error %v", a.failure)
	}
	a.press("S", "Esc")
	if a.dialog != nil {
		t.Error("Esc does not leave the dialog")
	}
	a.stub.saving = term.Selection{}
	a.press("S")
	if a.dialog != nil || a.message == "" {
		t.Error("a dialog with nothing to save")
	}
}

// The list of formats follows what is saved, and the format the ending of the name.
func TestSaveFormats(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 80, 24)
	a.stub.saving = a.allCalls()
	dir := t.TempDir()
	for _, tt := range []struct{ name, begins string }{
		{"a.txt", "── frame 1 · "}, {"a.mmd", "sequenceDiagram"}, {"a.json", "{"}, {"a.csv", "num,"},
	} {
		path := filepath.Join(dir, tt.name)
		a.press("S", "Ctrl-U", path, "Enter")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v (%q, %v)", err, a.message, a.failure)
		}
		if !strings.HasPrefix(string(b), tt.begins) {
			t.Errorf("%s begins with %.40q", tt.name, b)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 80, 24)
	a.press("F8")
	termtest.Golden(t, "settings", a.dump())
	a.press("Space", "End", "Space", "Enter") // calls only, theme mono
	if !a.settings.CallsOnly || a.theme.Name != "mono" || a.dialog != nil {
		t.Errorf("calls only %v, theme %s", a.settings.CallsOnly, a.theme.Name)
	}
}

func TestMenuByMouse(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 60, 14)
	at := -1
	a.Choose(term.Menu{
		Single: true, Title: "one", Items: []term.Item{{Name: "a"}, {Name: "b", Ticked: true}, {Name: "c"}},
		Done: func(_ []term.Item, i int) { at = i },
	})
	a.draw()
	d, ok := a.dialog.(*menu)
	if !ok || d.at != 1 {
		t.Errorf("the cursor begins at %d, not at what holds", d.at)
	}
	click := func() {
		a.event(tcell.NewEventMouse(d.box.x+6, d.box.y+3, tcell.Button1, 0))
		a.event(tcell.NewEventMouse(d.box.x+6, d.box.y+3, tcell.ButtonNone, 0))
	}
	click()
	if d.at != 2 {
		t.Errorf("a click set the cursor to %d", d.at)
	}
	click()
	if at != 2 || a.dialog != nil {
		t.Errorf("a double click took %d", at)
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 60, 14)
	a.press("j", "p")
	if !slices.Equal(a.stub.actions, []keymap.Action{keymap.Down, keymap.Pause}) {
		t.Errorf("the view was asked for %v", a.stub.actions)
	}
	a.press("/", "ab", "Enter", "n", "N")
	want := []string{"a false false", "ab false false", "ab false false", "ab true false", "ab true true"}
	if !slices.Equal(a.stub.searches, want) {
		t.Errorf("searches %q, want %q", a.stub.searches, want)
	}
	a.press("?")
	if p, ok := a.top().(*page); !ok || !p.isHelp {
		t.Fatal("no help")
	}
	a.press("?", "q")
	if len(a.views) != 1 {
		t.Errorf("%d views after leaving the help", len(a.views))
	}
	a.stub.onDo = func(act keymap.Action) bool { return act == keymap.Back } // the view has its own use for it
	a.press("q")
	if a.ended {
		t.Error("the application took a key that the view had used")
	}
	a.stub.onDo = nil
	a.press("q")
	if !a.ended {
		t.Error("q in the list does not quit")
	}
}
