package tui

import (
	"context"
	"fmt"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/save"
	"sipscope/render/tui/calls"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// newCallsApp shows captures of the project in the real call list.
func newCallsApp(t *testing.T, w, h int, ascii bool) *testApp {
	t.Helper()
	var paths []string
	for _, name := range []string{"two-proxies", "failures", "fork", "hostile-names", "compact-lf-only", "ipv6"} {
		paths = append(paths, "../../testdata/pcaps/"+name+".pcap")
	}
	files, err := capture.Open(paths, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	board := &correlate.Board{}
	if err = correlate.Run(t.Context(), files, correlate.Config{Board: board, Workers: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := termtest.NewScreen(t, w, h)
	settings := term.DefaultSettings()
	settings.ASCII = ascii
	a := newApp(ctx, s, termtest.Theme(), Options{
		Data: term.Data{
			Board: board, Source: "captures",
			Text: func(call *correlate.Call, message int) []byte {
				b, err := decode.ReadText(files, call.Messages[message].Pieces)
				if err != nil {
					t.Error(err)
				}
				return b
			},
		},
		Settings: settings, Save: save.FromFiles(files), Env: func(string) string { return "" },
		Figures: func(context.Context) (string, error) { return "Capture\n  packets  253\n  sip      79\n", nil },
	})
	a.Open(calls.New(a, nil))
	t.Cleanup(func() {
		cancel()
		a.jobs.Wait()
		_ = files.Close()
	})
	return &testApp{app: a, t: t, screen: s}
}

// walk presses keys one by one and draws after each, as the loop does.
func (a *testApp) walk(keys ...string) {
	for _, k := range keys {
		a.press(k)
		a.draw()
	}
}

// TestScreens draws every screen at three sizes, in Unicode and in ASCII.
func TestScreens(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ w, h int }{{40, 10}, {80, 24}, {120, 40}} {
		for _, charset := range []string{"unicode", "ascii"} {
			t.Run(fmt.Sprintf("%dx%d-%s", size.w, size.h, charset), func(t *testing.T) {
				t.Parallel()
				a := newCallsApp(t, size.w, size.h, charset == "ascii")
				keep := func(name string) {
					t.Helper()
					termtest.Golden(t, fmt.Sprintf("screen-%s-%dx%d-%s", name, size.w, size.h, charset), a.dump())
				}
				keep("list")
				a.walk("Space", "Down", "Space")
				keep("selected")
				a.walk("t")
				keep("columns")
				a.walk("Esc", "m")
				keep("methods")
				a.walk("Esc", "f", "sta")
				keep("filter")
				a.walk("Esc", "Backspace", "Home", "Enter")
				keep("ladder")
				a.walk("F2")
				keep("ladder-sdp")
				a.walk("F2", "Enter")
				keep("raw")
				a.walk("v")
				keep("parsed")
				a.walk("v", "Space", "]", "Space")
				keep("compare")
				a.walk("v", "d")
				keep("compare-differences")
				a.walk("q", "q", "S")
				keep("save")
				a.walk("Esc", "q", "i")
				keep("statistics")
				a.walk("q", "?")
				keep("help")
				a.walk("q", "F8")
				keep("settings")
				a.walk("Esc", "/", "bob")
				keep("search")
			})
		}
	}
}
