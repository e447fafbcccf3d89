package replay_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sipscope/element/auth"
	"sipscope/element/replay"
	"sipscope/element/replay/guard"
	"sipscope/element/replay/plan"
	"sipscope/element/scenario"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

const start = 1_768_478_400_000_000_000

// wire notes what passes.
type wire struct {
	lines []string
	dst   map[netip.AddrPort]int
	off   bool
}

func (w *wire) Message(now int64, proto transport.Proto, _ uint64, src, dst netip.AddrPort, raw []byte) {
	if w.off {
		return
	}
	w.lines = append(w.lines, fmt.Sprintf("%v %s %s > %s\n%s", time.Duration(now-start), proto, src, dst, raw))
	if w.dst == nil {
		w.dst = map[netip.AddrPort]int{}
	}
	w.dst[dst]++
}

func (w *wire) String() string { return strings.Join(w.lines, "\n----\n") }

// arrows are the first lines.
func (w *wire) arrows() string {
	var b strings.Builder
	for _, l := range w.lines {
		head, text, _ := strings.Cut(l, "\n")
		first, _, _ := strings.Cut(text, "\r\n")
		cseq := ""
		for line := range strings.SplitSeq(text, "\r\n") {
			if strings.HasPrefix(line, "CSeq:") {
				cseq = line
			}
		}
		fmt.Fprintf(&b, "%s  %s  %s\n", head, first, cseq)
	}
	return b.String()
}

// world is a network with the player, and what it plays against.
type world struct {
	tb     testing.TB
	net    *virtual.Net
	link   *virtual.Host
	player *replay.Player
	guard  *guard.Guard
	live   *live
	wire   wire
	ended  []*replay.Outcome
}

// elsewhere is a flow's text at other addresses than those of the recording, so that nothing recorded leads anywhere.
func elsewhere(text string) string { return strings.ReplaceAll(text, "127.0.", "127.9.") }

func moved(a netip.Addr) netip.Addr {
	return netip.MustParseAddr(elsewhere(a.String()))
}

// newWorld makes a world where a plan is played at other addresses than it was recorded at. The live host is that of the
// flow, when there is one.
func newWorld(tb testing.TB, p *plan.Plan, flow *scenario.Flow, change func(o *replay.Options)) *world {
	tb.Helper()
	return newWorldOf(tb, 0, p, flow, change)
}

// newWorldOf is newWorld with a network of other chances.
func newWorldOf(tb testing.TB, seed uint64, p *plan.Plan, flow *scenario.Flow, change func(o *replay.Options)) *world {
	tb.Helper()
	w := &world{tb: tb, net: virtual.New(start, rand.New(rand.NewPCG(1, seed))), guard: guard.New()}
	w.net.Tap(&w.wire)
	o := replay.Options{
		Local: map[string]transport.Listen{}, Guard: w.guard, Rand: rand.New(rand.NewPCG(3, 4)),
		Done: func(out *replay.Outcome) { w.ended = append(w.ended, out) },
	}
	var places []transport.Listen
	for i := range p.Hosts {
		h := &p.Hosts[i]
		at := netip.AddrPortFrom(moved(h.At[0].Addr()), h.At[0].Port())
		switch h.Part {
		case plan.Played:
			o.Local[h.Name] = transport.Listen{Proto: transport.UDP, AddrPort: at}
			places = append(places, o.Local[h.Name], transport.Listen{Proto: transport.TCP, AddrPort: at})
		case plan.Live:
			o.Target = transport.Hop{Proto: transport.UDP, Remote: at}
			if err := w.guard.Name(at); err != nil {
				tb.Fatal(err)
			}
		case plan.Left:
		}
	}
	if change != nil {
		change(&o)
	}
	w.link = w.net.Host("player", places...)
	player, err := replay.NewPlayer(w.link, p, o)
	if err != nil {
		tb.Fatal(err)
	}
	w.player = player
	w.link.Attach(player)
	if l, ok := p.LiveHost(); ok && flow != nil {
		w.live = newLive(tb, w.net, flow, nameIn(flow, moved(l.At[0].Addr())))
	}
	return w
}

func nameIn(flow *scenario.Flow, at netip.Addr) string {
	for i := range flow.Hosts {
		if flow.Hosts[i].Addr == at {
			return flow.Hosts[i].Name
		}
	}
	return ""
}

// run plays n times, and goes on until all have ended and nothing is left to do.
func (w *world) run(n int) {
	w.tb.Helper()
	for range n {
		w.link.At(start, func() {
			if _, err := w.player.Play(replay.Input{}); err != nil {
				w.tb.Error(err)
			}
		})
	}
	if err := w.net.Run(start + int64(2*time.Hour)); err != nil {
		w.tb.Error(err)
	}
	if len(w.ended) != n {
		w.tb.Errorf("%d of %d plays have ended", len(w.ended), n)
	}
}

// clean checks that nothing is left: no play, no transaction, here and there.
func (w *world) clean() {
	w.tb.Helper()
	if s := w.player.Stats(); s.Playing != 0 {
		w.tb.Errorf("%d plays go on", s.Playing)
	}
	for k, n := range w.player.Transactions().Open {
		for state, open := range n {
			if open != 0 {
				w.tb.Errorf("%d transactions of kind %d in state %d", open, k, state)
			}
		}
	}
	if w.live != nil && w.live.agent != nil {
		if s := w.live.agent.Stats(); s.Calls != 0 {
			w.tb.Errorf("%d calls are left at the live one", s.Calls)
		}
	}
	if refused, _ := w.guard.Count(); refused != 0 {
		w.tb.Errorf("%d messages were kept by the guard: %v", refused, w.guard.Refused())
	}
}

// deviations are replays that must diverge, since the recording's network lost what this one does not.
var deviations = map[string]string{
	"forked-200s/bob2":     "step 13: expected 200 to INVITE from bob2, got 487",
	"invite-ack-never/bob": "step 5: expected BYE from bob, nothing came",
}

// participants are the names that --sut-is can have.
func participants(f *scenario.Flow) []string {
	var all []string
	for i := range f.Hosts {
		all = append(all, f.Hosts[i].Name)
	}
	return all
}

// accounts are the credentials of a flow's hosts.
func accounts(f *scenario.Flow) []auth.Credentials {
	var all []auth.Credentials
	for i := range f.Hosts {
		o := f.Hosts[i].Options
		if o["password"] != "" {
			all = append(all, auth.Credentials{User: option(o, "user", f.Hosts[i].Name), Password: o["password"]})
		}
	}
	return all
}

// Every flow of the textbook, with each participant as the live one and with none, completes, and leaves nothing behind.
func TestTextbook(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	only := os.Getenv("FLOW")
	for _, name := range names {
		if only != "" && !strings.HasPrefix(only, name+"/") && only != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := flowText(t, name)
			r := recorded(t, name, text)
			there := parsed(t, name, elsewhere(text))
			for _, sut := range append(participants(there), "") {
				if _, one, ok := strings.Cut(only, "/"); ok && one != sut {
					continue
				}
				t.Run("live="+sut, func(t *testing.T) {
					t.Parallel()
					replayed(t, r, there, sut)
				})
			}
		})
	}
}

func planFor(tb testing.TB, r *recording, f *scenario.Flow, sut string) (*plan.Plan, bool) {
	tb.Helper()
	o := plan.Options{Self: sut == "", NoRegister: true}
	if h, ok := f.Host(sut); ok {
		o.SUT = strings.ReplaceAll(h.Addr.String(), "127.9.", "127.0.")
	}
	p, err := plan.New(r.calls, r.text, o)
	if err != nil {
		if !errors.Is(err, plan.ErrSUT) {
			tb.Errorf("no plan: %v", err)
		}
		return nil, false
	}
	return p, true
}

func replayed(t *testing.T, r *recording, f *scenario.Flow, sut string) {
	t.Helper()
	var texts [2]string
	for i := range texts {
		p, ok := planFor(t, r, f, sut)
		if !ok {
			t.Skip("no plan")
		}
		w := newWorld(t, p, f, func(o *replay.Options) { o.Credentials = accounts(f) })
		w.run(1)
		w.clean()
		texts[i] = w.wire.String()
		for _, o := range w.ended {
			if want := deviations[f.Name+"/"+sut]; want != "" {
				if o.Verdict != replay.Diverged || !strings.HasPrefix(o.Reason, want) {
					t.Errorf("%s: %s, want %s", o.Verdict, o.Reason, want)
				}
			} else if o.Verdict != replay.Completed {
				t.Errorf("%s: step %d, %s\nnotes: %s", o.Verdict, o.Step, o.Reason, strings.Join(o.Notes, "\n       "))
			}
			if os.Getenv("FLOW") != "" {
				t.Logf("notes: %s", strings.Join(o.Notes, "\n       "))
			}
		}
		leaks(t, p, texts[i])
		if t.Failed() {
			var b strings.Builder
			_ = p.WriteText(&b)
			t.Logf("%s\n%s", w.wire.arrows(), b.String())
			if os.Getenv("FLOW") != "" {
				t.Log(texts[i])
			}
			return
		}
	}
	if texts[0] != texts[1] {
		t.Error("two runs differ")
	}
}

// leaks finds addresses of the recording in what was sent, but for those of hosts that nobody plays.
func leaks(t *testing.T, p *plan.Plan, text string) {
	t.Helper()
	for i := range p.Hosts {
		h := &p.Hosts[i]
		for _, at := range h.At {
			own := regexp.MustCompile(regexp.QuoteMeta(at.Addr().String()) + `\b`)
			if loc := own.FindStringIndex(text); loc != nil && h.Part != plan.Left {
				t.Errorf("the recorded address of %s was sent: ...%q", h.Name, text[max(0, loc[0]-200):min(loc[0]+60, len(text))])
			}
		}
	}
}
