package load

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sipscope/element/transport"
	"sipscope/element/ua"
	"sipscope/element/virtual"
)

func agents(t *testing.T, answer ua.Answer, limits ua.Limits) (net *virtual.Net, alice, bob *ua.Agent) {
	t.Helper()
	net = virtual.New(1e18, rand.New(rand.NewPCG(1, 1)))
	make1 := func(name, listen string, cfg ua.Config) *ua.Agent {
		l, err := transport.ParseListen(listen)
		if err != nil {
			t.Fatal(err)
		}
		h := net.Host(name, l)
		cfg.Link, cfg.Rand, cfg.Recycle = h, rand.New(rand.NewPCG(2, uint64(len(name)))), true
		a := ua.New(cfg)
		h.Attach(a.Handler())
		return a
	}
	alice = make1("alice", "udp:127.0.1.10:5060", ua.Config{})
	bob = make1("bob", "udp:127.0.2.10:5060", ua.Config{Answer: answer, Limits: limits})
	return net, alice, bob
}

func run(t *testing.T, net *virtual.Net, a *ua.Agent, opt Options) Report {
	t.Helper()
	done := 0
	opt.Call.To = "sip:bob@127.0.2.10"
	opt.Done = func() { done++ }
	l, err := New(a, opt)
	if err != nil {
		t.Fatal(err)
	}
	net.At(net.Now(), l.Start)
	if err := net.Run(math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	if done != 1 || !l.Done() {
		t.Errorf("done was told %d times", done)
	}
	r := l.Report()
	failed := uint64(0)
	for _, n := range r.Causes {
		failed += n
	}
	if r.Started != r.Ended || r.Succeeded+failed != r.Ended || r.Now != 0 {
		t.Errorf("figures do not add up: %d started, %d ended, %d succeeded, %d failed, %d now", r.Started, r.Ended, r.Succeeded, failed, r.Now)
	}
	return r
}

func TestPace(t *testing.T) {
	t.Parallel()
	net, alice, bob := agents(t, ua.Answer{Ring: 10 * time.Millisecond, Delay: 100 * time.Millisecond}, ua.Limits{})
	r := run(t, net, alice, Options{Rate: 1000, Calls: 3000, Concurrent: 1000, Hold: 200 * time.Millisecond})
	if r.Succeeded != 3000 || r.Late != 0 || bob.Stats().Ended[ua.CauseBye] != 3000 {
		t.Errorf("%d succeeded, %d late", r.Succeeded, r.Late)
	}
	// 3,000 calls at 1,000 a second: the last begins after 2.999 s, and takes 100 ms, 200 ms and two ways of 2 ms.
	if took := time.Duration(r.Finished - r.Began); took < 3290*time.Millisecond || took > 3320*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if r.Peak < 290 || r.Peak > 320 {
		t.Errorf("peak %d", r.Peak)
	}
	for p, want := range map[float64]time.Duration{50: 102 * time.Millisecond, 99: 102 * time.Millisecond} {
		if got := r.Answer.Percentile(p); math.Abs(float64(got-want)) > float64(want)/50 {
			t.Errorf("answer percentile %v: %v, want %v", p, got, want)
		}
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	net, alice, _ := agents(t, ua.Answer{}, ua.Limits{})
	r := run(t, net, alice, Options{Rate: 1000, Calls: 200, Concurrent: 10, Hold: time.Second})
	if r.Succeeded != 200 || r.Peak != 10 || r.Late < 150 {
		t.Errorf("%d succeeded, peak %d, %d late", r.Succeeded, r.Peak, r.Late)
	}
	if took := time.Duration(r.Finished - r.Began); took < 20*time.Second || took > 21*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	net, alice, bob := agents(t, ua.Answer{}, ua.Limits{Calls: 5})
	r := run(t, net, alice, Options{Rate: 100, Calls: 100, Concurrent: 100, Hold: time.Second})
	if r.Causes[ua.CauseRejected]+r.Succeeded != 100 || r.Succeeded != 5 || len(r.Statuses) != 1 || r.Statuses[0] != (Status{486, 95}) {
		t.Errorf("%d succeeded, statuses %v, causes %v", r.Succeeded, r.Statuses, r.Causes)
	}
	if bob.Stats().Limited != 95 {
		t.Errorf("limited %d", bob.Stats().Limited)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, opt := range []Options{
		{},
		{Rate: 1},
		{Rate: 1, Calls: 1},
		{Calls: 1, Concurrent: 1},
		{Rate: math.NaN(), Calls: 1, Concurrent: 1},
		{Rate: math.Inf(1), Calls: 1, Concurrent: 1},
		{Rate: 1, Calls: 1, Concurrent: 1, Hold: -1},
	} {
		if _, err := New(nil, opt); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []int64
	for range 20000 {
		ns := int64(math.Exp(rng.Float64()*25)) + 100_000
		h.Add(ns)
		all = append(all, ns)
	}
	slices.Sort(all)
	for _, p := range []float64{0.1, 1, 10, 50, 90, 99, 99.9, 100} {
		want := all[max(int(p/100*float64(len(all)))-1, 0)]
		if got := int64(h.Percentile(p)); math.Abs(float64(got-want)) > float64(want)/60+1000 {
			t.Errorf("percentile %v: %d, want %d", p, got, want)
		}
	}
	if int64(h.Max()) != all[len(all)-1] || int64(h.Min()) != all[0] || h.N() != 20000 {
		t.Errorf("max %v, min %v, n %d", h.Max(), h.Min(), h.N())
	}
	var last int64 = -1
	for i := range rows * parts {
		if m := middle(i); m <= last || place(uint64(m)/1000) != i {
			t.Fatalf("part %d: middle %d of place %d", i, m, place(uint64(m)/1000))
		} else {
			last = m
		}
	}
	h.Add(math.MaxInt64)
	h.Add(-5)
	if (&Histogram{}).Percentile(50) != 0 {
		t.Error("percentile of nothing")
	}
}

// TestSockets makes calls between two agents on real sockets of the loopback.
func TestSockets(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"udp", "tcp"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			var ends [2]*transport.Endpoint
			var agents [2]*ua.Agent
			done := make(chan struct{})
			var running sync.WaitGroup
			for i := range ends {
				l, err := transport.ParseListen(proto + ":127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				if ends[i], err = transport.Open(transport.Config{Listen: []transport.Listen{l}}); err != nil {
					t.Fatal(err)
				}
				agents[i] = ua.New(ua.Config{Link: ends[i], Rand: rand.New(rand.NewPCG(uint64(i), 7)), Recycle: true})
			}
			for i := range ends {
				running.Go(func() {
					if err := ends[i].Run(ctx, agents[i].Handler()); err != nil && ctx.Err() == nil {
						t.Error(err)
					}
				})
			}
			to := "sip:bob@" + ends[1].Listeners()[0].Local.String() + ";transport=" + proto
			l, err := New(agents[0], Options{
				Call: ua.CallOptions{To: to}, Rate: 1000, Calls: 500, Concurrent: 500, Done: func() { close(done) },
			})
			if err != nil {
				t.Fatal(err)
			}
			ends[0].Post(l.Start)
			select {
			case <-done:
			case <-ctx.Done():
				t.Error("the calls do not end")
			}
			cancel()
			running.Wait()
			if r := l.Report(); r.Succeeded != 500 {
				t.Errorf("%d of %d calls succeeded: %v %v", r.Succeeded, r.Started, r.Causes, r.Statuses)
			}
		})
	}
}
