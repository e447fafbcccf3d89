package message

import (
	"strings"
	"testing"

	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// actions are those of the two scopes, in the order of the key map.
func actions() []keymap.Action {
	var all []keymap.Action
	for a := keymap.None; a <= keymap.IgnoreExpected; a++ {
		all = append(all, a)
	}
	return all
}

// FuzzUser shows any bytes as messages and lets a user do anything at any size: nothing panics, nothing is drawn outside
// or unclean, and what scrolls stays within its rows.
func FuzzUser(f *testing.F) {
	for _, raw := range [][]byte{invite(), departing(), long(), binary(), hostile(), notSIP(), nil} {
		f.Add(raw, invite(), []byte{40, 10, 80, 24, 1, 2, 3, 4, 5, 6, 200, 201, 202, 203})
		f.Add(raw, raw, []byte{120, 40, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 205, 210, 215})
		f.Add(other(), raw, []byte{1, 1, 60, 61, 62, 63, 64, 220, 221, 222, 255})
	}
	f.Fuzz(func(t *testing.T, a, b, user []byte) {
		if len(a)+len(b) > 4000 || len(user) < 2 || len(user) > 40 {
			return
		}
		w, h := int(user[0])%130, int(user[1])%30
		host := hostOf(map[uint32][][]byte{3: {a, b, nil, a}})
		host.Async = true
		call := callOf(3, a, b, nil, a)
		view := NewView(host, call, 0)
		cmp := NewCompare(host, term.Comparison{A: term.MessageRef{Call: call}, B: term.MessageRef{Call: call, Message: 1}})
		s := termtest.NewScreen(t, 10, 10)
		all := actions()
		for _, u := range user[2:] {
			switch {
			case int(u) < len(all):
				view.Do(all[u])
				cmp.Do(all[u])
			default:
				fuzzOther(host, view, cmp, u, a)
			}
			if u%3 != 0 {
				continue // several keys before a drawing
			}
			w, h = (w*7+int(u))%130, (h*5+int(u))%30
			for _, v := range []term.View{view, cmp} {
				within(t, s, w, h, host.S.ASCII, v.Draw)
				_, _ = v.Title(), v.Status()
				v.Saving()
			}
			if p := view.pane; p.top < 0 || p.top > 0 && p.rows != nil && p.top >= len(p.rows) || p.left < 0 {
				t.Fatalf("first row %d of %d, left %d", p.top, len(p.rows), p.left)
			}
			if cmp.top < 0 || cmp.top > 0 && cmp.top >= len(cmp.rows) {
				t.Fatalf("first row %d of %d", cmp.top, len(cmp.rows))
			}
		}
	})
}

// fuzzOther does what is no action.
func fuzzOther(h *termtest.Host, view *View, cmp *CompareView, u byte, raw []byte) {
	v := []term.View{view, cmp}[u%2]
	switch u / 2 % 8 {
	case 0:
		h.S.ASCII = !h.S.ASCII
	case 1:
		h.RunQueue()
	case 2:
		v.Mouse(term.Mouse{X: int(u) % 90, Y: 3, Kind: term.MouseKind(1 + u%6)})
	case 3:
		v.Search("", false, false)
	default:
		at := min(int(u)*3, len(raw))
		needle := strings.ToValidUTF8(string(raw[at:min(at+int(u)%9, len(raw))]), "?")
		v.Search(needle, u&4 != 0, u&8 != 0)
	}
}

// FuzzRows breaks any text into rows of any width: joined they are the text, and each fits.
func FuzzRows(f *testing.F) {
	for _, s := range []string{"", "plain text", string(hostile()), "中文中文", "e\u0301\u0301\u0903x\u102b", "🇩🇪🇫🇷🇬", "\u1100\u1161\u11a8"} {
		f.Add(s, uint8(7), true)
	}
	f.Fuzz(func(t *testing.T, s string, width uint8, ascii bool) {
		w := int(width)%100 + 1
		s = clean(s, ascii)
		for _, words := range []bool{false, true} {
			var joined strings.Builder
			for _, r := range rowsOf([]textLine{{text: s}}, frame{w: w, wrap: true, words: words}) {
				part := s[r.from:r.to]
				joined.WriteString(part)
				if part != clean(part, ascii) {
					t.Fatalf("%q is no longer clean as a row of its own", part)
				}
				n, cells := fit(part, 1<<30)
				if first, _ := character(part); n > first && r.x+cells > w {
					t.Fatalf("%q takes %d cells of %d", part, r.x+cells, w)
				}
			}
			if joined.String() != s {
				t.Fatalf("rows make %q of %q", joined.String(), s)
			}
		}
	})
}
