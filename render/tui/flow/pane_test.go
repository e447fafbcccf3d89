package flow

import "testing"

// TestPlainPane scrolls and searches a text.
func TestPlainPane(t *testing.T) {
	t.Parallel()
	p := &plainPane{}
	p.Show([]byte("INVITE x SIP/2.0\r\nVia: a\nVia: b\r\n\r\nv=0"), "head")
	if p.Scroll(99); p.at != 4 {
		t.Errorf("at %d", p.at)
	}
	for _, tt := range []struct {
		text       string
		next, back bool
		found      bool
		at         int
	}{
		{"via", false, true, true, 2},
		{"via", true, true, true, 1},
		{"via", true, true, false, 1},
		{"V=0", true, false, true, 4},
		{"", false, false, false, 4},
		{"nothing", false, true, false, 4},
	} {
		if got := p.Search(tt.text, tt.next, tt.back); got != tt.found || p.at != tt.at {
			t.Errorf("%+v: found %v at %d", tt, got, p.at)
		}
	}
	if p.Show(nil, "gone"); p.at != 0 || len(p.lines) != 1 || p.NextDiag(false) {
		t.Errorf("%+v", p)
	}
}
