package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"sipscope/element/scenario"
	"sipscope/element/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire notes what passes.
type wire struct{ lines []string }

func (w *wire) Message(now int64, proto transport.Proto, _ uint64, src, dst netip.AddrPort, raw []byte) {
	w.lines = append(w.lines, fmt.Sprintf("%d %s %s %s\n%s", now, proto, src, dst, raw))
}

func (w *wire) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	w.lines = append(w.lines, fmt.Sprintf("%d %s %s %x", now, src, dst, payload))
}

// Every flow of the textbook goes step by step as it is written down, in virtual time: twice to the byte, and with other
// tags and branches as well.
func TestVirtual(t *testing.T) {
	t.Parallel()
	for _, f := range textbook(t, nil) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			var first, again wire
			for i, w := range []*wire{&first, &again, {}} {
				r, err := f.Play(t.Context(), scenario.Stage{Seed: uint64(1 + i/2), Tap: w})
				if err != nil {
					t.Fatalf("run %d: %v\n%s", i, err, told(r))
				}
			}
			if diff := cmp.Diff(first.lines, again.lines); diff != "" {
				t.Errorf("the same seed gave another run:\n%s", diff)
			}
		})
	}
}

// And on sockets. A hop keeps its order there; a busy machine may send something twice, and may turn a race around that the
// flow decides by times: one that diverges is played again, twice at most. Those that wait for long timers are left to
// virtual time.
func TestReal(t *testing.T) {
	t.Parallel()
	var g errgroup.Group
	g.SetLimit(16) // they wait most of the time: go test's own limit would make that last
	for i, f := range textbook(t, nil) {
		if f.Lasts > int64(10*time.Second) {
			continue
		}
		// an address space for each run: others play the same flows at the same time
		own := fmt.Sprintf("127.%d.", 20+(os.Getpid()*31+i*7)%200)
		f := textbook(t, func(text string) string { return strings.ReplaceAll(text, "127.0.", own) })[i]
		g.Go(func() error {
			r, err := f.Play(t.Context(), scenario.Stage{Real: true, Seed: 1, Tap: &wire{}})
			for seed := uint64(2); seed <= 3 && errors.Is(err, scenario.ErrDiverged); seed++ {
				t.Logf("again: %v", err)
				r, err = f.Play(t.Context(), scenario.Stage{Real: true, Seed: seed, Tap: &wire{}})
			}
			if err != nil {
				t.Errorf("%v\n%s", err, told(r))
			}
			return nil
		})
	}
	_ = g.Wait() // they tell by themselves
}

// A flow that goes another way says where.
func TestDiverged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, new, want string }{
		{"busy", "ring=400ms answer=1s", "code=486 answer=1s", "message 3, bob -> alice 486 INVITE, is no step"},
		{"no answer", "answer=1s", "answer=100s", "was not seen"},
		{"longer", "hangup=2s", "hangup=2s\ndo 4s bob call sip:alice@127.0.1.10", "message 8, bob -> alice INVITE"},
	} {
		f := textbook(t, func(text string) string { return strings.Replace(text, tt.old, tt.new, 1) })
		i := slices.IndexFunc(f, func(f *scenario.Flow) bool { return f.Name == "transactions" })
		_, err := f[i].Play(t.Context(), scenario.Stage{})
		if !errors.Is(err, scenario.ErrDiverged) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// A run that is stopped leaves nothing behind (see TestMain), and an address in use or of others is an error.
func TestStopped(t *testing.T) {
	t.Parallel()
	f := textbook(t, func(text string) string { return strings.ReplaceAll(text, "127.0.", "127.19.") })[0]
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := f.Play(ctx, scenario.Stage{Real: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped: %v", err)
	}
	f = textbook(t, func(text string) string { return strings.ReplaceAll(text, "127.0.", "192.0.") })[0]
	if _, err := f.Play(t.Context(), scenario.Stage{Real: true}); !errors.Is(err, scenario.ErrAddress) {
		t.Errorf("addresses of others: %v", err)
	}
}

// Options that mean nothing are refused, not passed over.
func TestOptions(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]string{
		"hangup=2s":                      "hangup=soon is no time",
		"ring=400ms answer=1s":           "no such option here: rings",
		"host bob ua 127.0.2.10":         "no such option here: colour",
		"do 0ms alice call":              "a user agent cannot fly",
		"sip:bob@127.0.2.10 hangup=2s\n": "offer=perhaps is neither yes nor no",
	} {
		instead := map[string]string{
			"hangup=2s": "hangup=soon", "ring=400ms answer=1s": "rings=1s", "host bob ua 127.0.2.10": "host bob ua 127.0.2.10 colour=red",
			"do 0ms alice call": "do 0ms alice fly", "sip:bob@127.0.2.10 hangup=2s\n": "sip:bob@127.0.2.10 offer=perhaps\n",
		}[old]
		f := textbook(t, func(text string) string { return strings.Replace(text, old, instead, 1) })
		i := slices.IndexFunc(f, func(f *scenario.Flow) bool { return f.Name == "transactions" })
		if _, err := f[i].Play(t.Context(), scenario.Stage{}); !errors.Is(err, scenario.ErrFlow) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", instead, err, want)
		}
	}
}

// textbook gives the flows, their text changed.
func textbook(t *testing.T, change func(string) string) []*scenario.Flow {
	t.Helper()
	all, err := scenario.Textbook()
	if err != nil {
		t.Fatal(err)
	}
	if change == nil {
		return all
	}
	for i, f := range all {
		text, err := os.ReadFile("flows/" + f.Name + ".flow")
		if err != nil {
			t.Fatal(err)
		}
		if all[i], err = scenario.Parse(f.Name, change(string(text))); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// told lists what was seen.
func told(r *scenario.Result) string {
	if r == nil {
		return ""
	}
	var b strings.Builder
	for i := range r.Seen {
		fmt.Fprintf(&b, "%d. %s (step %d)\n", i+1, &r.Seen[i], r.Steps[i]+1)
	}
	return b.String()
}
