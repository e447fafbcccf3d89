package message

import (
	"testing"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestPaneGoldens(t *testing.T) {
	t.Parallel()
	parsed := func(s *term.Settings, _ *Pane) { s.Parsed = true }
	for _, tt := range []struct {
		name string
		raw  []byte
		set  func(s *term.Settings, p *Pane)
	}{
		{"pane-raw", invite(), nil},
		{"pane-parsed", invite(), parsed},
		{"pane-plain", invite(), func(s *term.Settings, _ *Pane) { s.Syntax = false }},
		{"pane-wrapped", long(), nil},
		{"pane-cut", long(), func(s *term.Settings, _ *Pane) { s.Wrap = false }},
		{"pane-cut-right", long(), func(s *term.Settings, p *Pane) {
			s.Wrap = false
			p.Sideways(81) // in the middle of a wide character
		}},
		{"pane-binary", binary(), nil},
		{"pane-binary-parsed", binary(), parsed},
		{"pane-hostile", hostile(), nil},
		{"pane-hostile-parsed", hostile(), parsed},
		{"pane-diags", departing(), func(_ *term.Settings, p *Pane) { p.NextDiag(false) }},
		{"pane-diags-parsed", departing(), func(s *term.Settings, p *Pane) {
			s.Parsed = true
			p.NextDiag(false)
			p.NextDiag(false)
		}},
		{"pane-found", long(), func(_ *term.Settings, p *Pane) { p.Search("METER=01", false, false) }},
		{"pane-no-sip", notSIP(), parsed},
		{"pane-gone", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := term.DefaultSettings()
			p := NewPane(&s)
			p.Show(tt.raw, "frame 12 · 10.0.0.1:5060 → 10.0.0.2:5060 UDP · 12:00:00.000")
			if tt.set != nil {
				tt.set(&s, p)
			}
			termtest.Golden(t, tt.name, drawn(t, p.Draw))
		})
	}
}

func TestViewGoldens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   []keymap.Action
		set  func(c *correlate.Call, h *termtest.Host)
	}{
		{"view-first", nil, nil},
		{"view-selected", []keymap.Action{keymap.Select, keymap.Parsed}, nil},
		{"view-again", []keymap.Action{keymap.NextMessage}, func(c *correlate.Call, _ *termtest.Host) {
			m := &c.Messages[1]
			m.Repeats, m.Interval, m.Copy, m.Flags = 0, 500_000_000, 2, decode.Reassembled|decode.Truncated|decode.AfterGap
		}},
		{"view-gone", []keymap.Action{keymap.NextMessage, keymap.NextMessage}, nil},
		{"view-empty", nil, func(c *correlate.Call, _ *termtest.Host) { c.Messages = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			texts := [][]byte{invite(), departing(), nil}
			h := hostOf(map[uint32][][]byte{3: texts})
			c := callOf(3, texts...)
			if tt.set != nil {
				tt.set(c, h)
			}
			v := NewView(h, c, 0)
			for _, a := range tt.do {
				v.Do(a)
			}
			got := "title  " + v.Title() + "\nstatus " + v.Status() + "\n"
			h.S.ASCII = true
			got += "title  " + v.Title() + "\nstatus " + v.Status() + "\n"
			termtest.Golden(t, tt.name, got+drawn(t, v.Draw))
		})
	}
}

// other is invite after a proxy, to somebody else, with another session.
func other() []byte {
	return crlf(`
INVITE sip:bob@10.9.9.9:5070 SIP/2.0
Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKproxy
Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK776asdhds;rport=5060
Via: SIP/2.0/UDP 10.0.0.2;received=192.0.2.7;branch=z9hG4bKother
max-forwards: 69
From: "Alice A." <sip:alice@a.example>;tag=1928301774
To: Bob <sip:bob@b.example>
Call-ID: a84b4c76e66710@pc33.a.example
CSeq: 314159 INVITE
Record-Route: <sip:10.0.0.9;lr>
Content-Type: application/sdp
Content-Length: LENGTH

v=0
o=alice 2890844526 2890844527 IN IP4 10.0.0.1
s=-
c=IN IP4 10.0.0.77
t=0 0
m=audio 49170 RTP/AVP 8
a=rtpmap:8 PCMA/8000
a=sendonly
`)
}

func TestCompareGoldens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		a, b []byte
		do   []keymap.Action
	}{
		{"compare", invite(), other(), nil},
		{"compare-below", invite(), other(), []keymap.Action{keymap.Layout}},
		{"compare-only", invite(), other(), []keymap.Action{keymap.OnlyDifferences, keymap.SearchNext, keymap.SearchNext}},
		{"compare-ignore", invite(), other(), []keymap.Action{keymap.IgnoreExpected, keymap.Syntax}},
		{"compare-same", invite(), invite(), []keymap.Action{keymap.OnlyDifferences}},
		{"compare-long", long(), departing(), []keymap.Action{keymap.PaneWider}},
		{"compare-cut", long(), hostile(), []keymap.Action{keymap.Wrap, keymap.Right, keymap.PaneNarrower}},
		{"compare-hostile", hostile(), binary(), nil},
		{"compare-gone", invite(), nil, nil},
		{"compare-no-sip", notSIP(), invite(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h := compareOf(tt.a, tt.b)
			for _, a := range tt.do {
				v.Do(a)
			}
			got := "title  " + v.Title() + "\nstatus " + v.Status() + "\n"
			h.S.ASCII = true
			got += "title  " + v.Title() + "\nstatus " + v.Status() + "\n"
			termtest.Golden(t, tt.name, got+drawn(t, v.Draw))
		})
	}
}
