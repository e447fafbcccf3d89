package replay_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipscope/element/auth"
	"sipscope/element/replay"
	"sipscope/element/replay/guard"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// selfWorld plays all participants of a plan, each at an address of its own.
func selfWorld(tb testing.TB, p *plan.Plan, change func(o *replay.Options)) (*world, error) {
	tb.Helper()
	w := &world{tb: tb, net: virtual.New(start, rand.New(rand.NewPCG(1, 2))), guard: guard.New()}
	w.net.Tap(&w.wire)
	o := replay.Options{
		Local: map[string]transport.Listen{}, Guard: w.guard, Rand: rand.New(rand.NewPCG(3, 4)), Fast: true,
		Done: func(out *replay.Outcome) { w.ended = append(w.ended, out) },
	}
	var places []transport.Listen
	for i := range p.Hosts {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 8, byte(i / 250), byte(1 + i%250)}), port)
		switch p.Hosts[i].Part {
		case plan.Played:
			l := transport.Listen{Proto: transport.UDP, AddrPort: at}
			o.Local[p.Hosts[i].Name] = l
			places = append(places, l, transport.Listen{Proto: transport.TCP, AddrPort: at})
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
		return nil, err
	}
	w.player = player
	w.link.Attach(player)
	return w, nil
}

// passwords answers for every user that a plan needs.
func passwords(p *plan.Plan) []auth.Credentials {
	var all []auth.Credentials
	for _, n := range p.Needs {
		all = append(all, auth.Credentials{User: n.User, Password: "x", Realm: n.Realm})
	}
	return all
}

// Captures of others: what was recorded whole can be played by ourselves alone, and whatever a capture says, nothing
// breaks, nothing is left, and nothing goes where nobody is named.
func TestCapturesOfOthers(t *testing.T) {
	t.Parallel()
	const root = "../../../shared/pcaps"
	if _, err := os.Stat(root); err != nil {
		t.Skip("no captures of others: ", err)
	}
	counts := map[string]int{}
	reasons := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Ext(path), "cap") {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > 1<<20 {
			return err
		}
		r := load(t, path)
		for i := range r.calls[:min(len(r.calls), 8)] {
			one := &recording{name: r.name, calls: r.calls[i : i+1], texts: map[[2]int][]byte{}}
			for j := range r.calls[i].Messages {
				one.texts[[2]int{0, j}] = r.texts[[2]int{i, j}]
			}
			p, err := plan.New(one.calls, one.text, plan.Options{Self: true, Source: r.name})
			if err != nil {
				continue
			}
			verdict, reason := playSelf(t, p)
			counts[verdict]++
			if reason != "" {
				reasons[fmt.Sprintf("%s call %d: %s", d.Name(), i, reason)]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(counts)
	for r := range reasons {
		t.Log(r)
	}
}

func playSelf(t *testing.T, p *plan.Plan) (verdict, reason string) {
	t.Helper()
	w, err := selfWorld(t, p, func(o *replay.Options) { o.Credentials = passwords(p) })
	if errors.Is(err, replay.ErrPlan) {
		return "no plan", err.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	w.link.At(start, func() {
		if _, err := w.player.Play(replay.Input{}); err != nil {
			t.Error(err)
		}
	})
	if err := w.net.Run(start + int64(time.Hour)); err != nil {
		t.Errorf("%s: %v", p.Source, err)
	}
	w.clean()
	if len(w.ended) != 1 {
		t.Errorf("%s: %d plays have ended", p.Source, len(w.ended))
		return "never", ""
	}
	if os.Getenv("WIRE") != "" && strings.HasPrefix(p.Source, os.Getenv("WIRE")) {
		var b strings.Builder
		_ = p.WriteText(&b)
		t.Logf("%s\n%s\n%s", b.String(), w.wire.arrows(), w.wire.String())
	}
	return w.ended[0].Verdict.String(), w.ended[0].Reason
}
