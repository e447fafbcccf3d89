package replay_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"sipscope/element/auth"
	"sipscope/element/replay"
)

// Times that no clock reaches wrap nowhere.
func TestEndlessTimes(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	for _, sut := range []string{"bob", "alice", ""} {
		for name, change := range map[string]func(o *replay.Options){
			"patience": func(o *replay.Options) { o.Patience = math.MaxInt64 },
			"T1":       func(o *replay.Options) { o.Txn.T1, o.Txn.T2, o.Txn.T4 = math.MaxInt64, math.MaxInt64, math.MaxInt64 },
			"slow":     func(o *replay.Options) { o.Speed = math.SmallestNonzeroFloat64 },
			"verbatim": func(o *replay.Options) { o.Verbatim, o.Speed, o.Patience = true, 1e-9, math.MaxInt64 },
		} {
			p, ok := planFor(t, r, there, sut)
			if !ok {
				t.Fatal("no plan")
			}
			for i := range p.Steps {
				p.Steps[i].Repeats = math.MaxInt32
			}
			w := newWorld(t, p, there, change)
			w.wire.off = true
			w.link.At(start, func() {
				if _, err := w.player.Play(replay.Input{}); err != nil {
					t.Error(err)
				}
			})
			if err := w.net.Run(start + 4e9); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, o := range w.ended { // too early for all but a play that completed
				if o.Verdict != replay.Completed {
					t.Errorf("%s, live=%s: %s, %s", name, sut, o.Verdict, o.Reason)
				}
			}
			if err := w.net.Run(start + int64(365*24*3600)*1e9); err != nil && !strings.Contains(err.Error(), "end") {
				t.Errorf("%s: %v", name, err)
			}
			if len(w.ended) != 1 {
				t.Errorf("%s, live=%s: %d plays have ended", name, sut, len(w.ended))
			}
		}
	}
}

// A dead message between two of our own that gets lost is missed in time, as any other.
func TestVerbatimLost(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	p, ok := planFor(t, r, there, "")
	if !ok {
		t.Fatal("no plan")
	}
	w := newWorld(t, p, nil, func(o *replay.Options) { o.Verbatim = true })
	w.net.Lose = func(_, _ netip.AddrPort, raw []byte) bool { return strings.HasPrefix(string(raw), "BYE ") }
	w.run(1)
	w.clean()
	if o := w.ended[0]; o.Verdict != replay.Diverged || !strings.Contains(o.Reason, "expected BYE from") {
		t.Errorf("%s, %s", o.Verdict, o.Reason)
	}
}

// A table gives the passwords that the live side's answers are verified by, too.
func TestVerifyByTable(t *testing.T) {
	t.Parallel()
	text := flowText(t, "register")
	r := recorded(t, "register", text)
	there := parsed(t, "register", elsewhere(text))
	for _, right := range []bool{true, false} {
		live, password := "", ""
		for i := range there.Hosts {
			if o := there.Hosts[i].Options; o["password"] != "" {
				live, password = there.Hosts[i].Name, o["password"]
			}
		}
		p, ok := planFor(t, r, there, live)
		if !ok {
			t.Fatal("no plan")
		}
		w := newWorld(t, p, there, func(o *replay.Options) { o.Credentials = []auth.Credentials{{User: "{user}", Password: "{pw}"}} })
		if !right {
			password += "x"
		}
		user := option(there.Hosts[0].Options, "user", live)
		w.link.At(start, func() {
			if _, err := w.player.Play(replay.Input{Values: map[string]string{"user": user, "pw": password}}); err != nil {
				t.Error(err)
			}
		})
		if err := w.net.Run(start + int64(600*1e9)); err != nil {
			t.Fatal(err)
		}
		if len(w.ended) != 1 || (w.ended[0].Verdict == replay.Completed) != right {
			t.Errorf("%v: %s, %s, %q", right, w.ended[0].Verdict, w.ended[0].Reason, w.ended[0].Notes)
		}
	}
}
