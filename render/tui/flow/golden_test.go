package flow

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pcap names a capture of the project.
func pcap(name string) string {
	return filepath.Join("..", "..", "..", "testdata", "pcaps", name)
}

// open shows calls of a capture of the project.
func open(tb testing.TB, name string, extended bool, nums ...uint32) (*View, *termtest.Host) {
	tb.Helper()
	d := termtest.Load(tb, pcap(name))
	d.Source = name
	h := termtest.NewHost(d)
	return New(h, nums, extended), h
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	plain := func(s *term.Settings) { s.Pane = false }
	with := func(more func(s *term.Settings)) func(s *term.Settings) {
		return func(s *term.Settings) {
			s.Pane = false
			more(s)
		}
	}
	ascii := with(func(s *term.Settings) { s.ASCII = true })
	pane := func(*term.Settings) {}
	for _, tt := range []struct {
		name     string
		pcap     string
		nums     []uint32
		extended bool
		w, h     int
		set      func(s *term.Settings)
		do       []keymap.Action
	}{
		{name: "two-proxies-40x10", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 40, h: 10, set: pane},
		{name: "two-proxies-80x24", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain},
		{name: "two-proxies-80x24-pane", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 80, h: 24, set: pane},
		{name: "two-proxies-120x40", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 120, h: 40, set: plain},
		{name: "two-proxies-120x40-pane", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 120, h: 40, set: pane},
		{name: "two-proxies-200x60-ascii", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 200, h: 60, set: ascii},
		{name: "two-proxies-folded", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 120, h: 40, set: with(func(s *term.Settings) { s.FoldHops, s.Times = true, "relative" })},
		{name: "two-proxies-addresses", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 80, h: 24, set: with(func(s *term.Settings) { s.Names, s.Times = false, "absolute" })},
		{name: "fork-80x24", pcap: "fork.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain, do: []keymap.Action{keymap.Down, keymap.Down, keymap.Down}},
		{name: "fork-dialogs", pcap: "fork.pcap", nums: []uint32{1}, w: 120, h: 40, set: with(func(s *term.Settings) { s.ColorBy = "dialog" }), do: []keymap.Action{keymap.Bottom}},
		{name: "fork-40x10-ascii", pcap: "fork.pcap", nums: []uint32{1}, w: 40, h: 10, set: ascii},
		{name: "cancel-80x24", pcap: "cancel.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain},
		{name: "cancel-60x30-pane-below", pcap: "cancel.pcap", nums: []uint32{1}, w: 60, h: 30, set: pane},
		{name: "register-80x24", pcap: "register-auth.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain},
		{name: "invite-lost-80x24", pcap: "invite-lost.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain, do: []keymap.Action{keymap.NextRepeat}},
		{name: "invite-lost-unfolded", pcap: "invite-lost.pcap", nums: []uint32{1}, w: 120, h: 40, set: with(func(s *term.Settings) { s.Unfold = true })},
		{name: "tcp-gap-80x24", pcap: "tcp-loss-gap.pcap", nums: []uint32{1, 2, 3, 4}, w: 80, h: 24, set: plain},
		{name: "b2bua-120x40", pcap: "b2bua.pcap", nums: []uint32{1}, extended: true, w: 120, h: 40, set: plain},
		{name: "transfer-80x24", pcap: "attended-transfer.pcap", nums: []uint32{1, 2}, extended: true, w: 80, h: 24, set: with(func(s *term.Settings) { s.ColorBy = "call" })},
		{name: "transfer-200x60-pane", pcap: "attended-transfer.pcap", nums: []uint32{1, 3}, extended: true, w: 200, h: 60, set: pane},
		{name: "sdp-80x24", pcap: "reinvite-hold.pcap", nums: []uint32{1}, w: 80, h: 24, set: with(func(s *term.Settings) { s.SDP = true })},
		{name: "only-sdp", pcap: "two-proxies.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain, do: []keymap.Action{keymap.OnlySDP}},
		{name: "ipv6-80x24", pcap: "ipv6.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain},
		{name: "spiral-80x24-ascii", pcap: "spiral.pcap", nums: []uint32{1}, w: 80, h: 24, set: ascii},
		{name: "spiral-80x24-right", pcap: "spiral.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain, do: []keymap.Action{keymap.Bottom, keymap.Right, keymap.Right, keymap.Right}},
		{name: "hostile-120x40", pcap: "hostile-names.pcap", nums: []uint32{1}, w: 120, h: 40, set: pane},
		{name: "hostile-80x24-ascii", pcap: "hostile-names.pcap", nums: []uint32{1}, w: 80, h: 24, set: ascii},
		{name: "failures-merged", pcap: "failures.pcap", nums: []uint32{1, 2, 3, 4, 5}, w: 120, h: 40, set: with(func(s *term.Settings) { s.ColorBy = "transaction" }), do: []keymap.Action{keymap.PageDown, keymap.Mark}},
		{name: "media-80x24", pcap: "media-faults.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain},
		{name: "media-120x40-ascii", pcap: "media-dtmf.pcap", nums: []uint32{1}, w: 120, h: 40, set: ascii},
		{name: "media-40x20", pcap: "media-dtmf.pcap", nums: []uint32{1}, w: 46, h: 20, set: plain},
		{name: "media-off", pcap: "media-dtmf.pcap", nums: []uint32{1}, w: 80, h: 24, set: plain, do: []keymap.Action{keymap.Media}},
		{name: "evicted", pcap: "cancel.pcap", nums: []uint32{99}, w: 60, h: 10, set: plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h := open(t, tt.pcap, tt.extended, tt.nums...)
			tt.set(&h.S)
			for _, a := range tt.do {
				termtest.Draw(t, v, tt.w, tt.h, h.S.ASCII)
				v.Do(a)
			}
			got := termtest.Draw(t, v, tt.w, tt.h, h.S.ASCII)
			termtest.Golden(t, tt.name, "title  "+v.Title()+"\nstatus "+v.Status()+"\n"+got)
		})
	}
}
