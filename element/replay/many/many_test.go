package many

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/element/transport"
)

const (
	begin  = int64(1e18)
	second = int64(time.Second)
	milli  = int64(time.Millisecond)
)

// world plays in virtual time: a play ends after as long as whole says, with the verdict that ends says.
type world struct {
	t      *testing.T
	now    int64
	runner Runner
	due    []event // in order of time
	next   uint64
	whole  func(n uint64, playing int) int64
	ends   func(n uint64, playing int) Ended
	fails  func(n uint64) error
	values []map[string]string
	began  []int64
	going  map[uint64]bool
	late   int64 // how late the loop comes to each wake
}

type event struct {
	at int64
	e  Ended
}

func (w *world) Play(values map[string]string) (uint64, error) {
	n := w.next
	w.next++
	if w.fails != nil {
		if err := w.fails(n); err != nil {
			return 0, err
		}
	}
	w.began = append(w.began, w.now)
	w.values = append(w.values, values)
	if w.going == nil {
		w.going = map[uint64]bool{}
	}
	w.going[n] = true
	whole := 100 * milli
	if w.whole != nil {
		whole = w.whole(n, len(w.going))
	}
	e := Ended{Verdict: Clean, First: milli, Ring: 2 * milli, Answer: whole / 2}
	if w.ends != nil {
		e = w.ends(n, len(w.going))
	}
	e.ID, e.Whole = n, whole
	w.put(event{w.now + whole, e})
	return n, nil
}

// put keeps an event behind those that are due no later.
func (w *world) put(x event) {
	i, _ := slices.BinarySearchFunc(w.due, x.at+1, func(y event, at int64) int { return cmp.Compare(y.at, at) })
	w.due = slices.Insert(w.due, i, x)
}

func (w *world) Stop(id uint64) {
	i := slices.IndexFunc(w.due, func(x event) bool { return x.e.ID == id })
	x := w.due[i]
	w.due = slices.Delete(w.due, i, i+1)
	x.at, x.e.Verdict = w.now+milli, Stopped
	w.put(x)
}

// Receive implements transport.Handler.
func (*world) Receive(*transport.Received) {}

// Failed implements transport.Handler.
func (*world) Failed(transport.Hop, uint64, error) {}

// Wake ends what is due.
func (w *world) Wake(now int64) int64 {
	for len(w.due) > 0 && w.due[0].at <= now {
		e := w.due[0].e
		w.due = w.due[1:]
		delete(w.going, e.ID)
		w.runner.Ended(e)
	}
	if len(w.due) == 0 {
		return math.MaxInt64
	}
	return w.due[0].at
}

// run drives a runner to its end, and calls at before each turn.
func (w *world) run(r Runner, at func(now int64)) {
	w.t.Helper()
	w.runner, w.now = r, begin
	h := Handler(r, w)
	r.Start(w.now)
	for turns := 0; !r.Done(); turns++ {
		if turns > 2_000_000 {
			w.t.Fatal("it does not end")
		}
		if at != nil {
			at(w.now)
		}
		next := h.Wake(w.now)
		if next == math.MaxInt64 && !r.Done() {
			w.t.Fatal("nobody wakes it")
		}
		if next > w.now && next != math.MaxInt64 {
			w.now = next + w.late
		}
	}
}

func (w *world) load(o Options, at func(l *Load, now int64)) Report {
	w.t.Helper()
	done := 0
	o.Done = func() { done++ }
	l, err := New(w, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.run(l, func(now int64) {
		if at != nil {
			at(l, now)
		}
	})
	if done != 1 {
		w.t.Errorf("done was told %d times", done)
	}
	r := l.Report()
	rows := uint64(0)
	for _, d := range r.Divergences {
		rows += d.Count
	}
	if r.Ended != r.Started || r.Clean+r.Diverged+r.Failed+r.Stopped != r.Ended || r.Now != 0 || rows != r.Diverged+r.Failed {
		w.t.Errorf("figures do not add up: %d started, %d ended, %d+%d+%d+%d, %d now, %d in rows",
			r.Started, r.Ended, r.Clean, r.Diverged, r.Failed, r.Stopped, r.Now, rows)
	}
	return r
}

func near(got, want, part float64) bool { return math.Abs(got-want) <= want*part }

func TestPace(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{7, 100, 1000, 5000} {
		w := &world{t: t}
		n := int(rate * 2)
		r := w.load(Options{Repeat: n, Rate: rate, Concurrent: n}, nil)
		if r.Clean != uint64(n) || r.Late != 0 || !near(r.Rate(), rate, 0.01) {
			t.Errorf("rate %v: %d clean, %d late, %.2f a second", rate, r.Clean, r.Late, r.Rate())
		}
		if got := r.Answer.Percentile(50); !near(float64(got), float64(50*milli), 0.05) {
			t.Errorf("rate %v: answer %v", rate, got)
		}
		for i, at := range w.began {
			if due := begin + int64(float64(i)/rate*1e9); at < due || at > due+tick {
				t.Fatalf("rate %v: play %d began %v after it was due", rate, i, time.Duration(at-due))
			}
		}
		if limit, why := r.Limit(); limit != LimitNone {
			t.Errorf("rate %v: limited by %v: %v", rate, limit, why)
		}
	}
}

// A server that takes 1 s for a play at 10 a time gives 10 a second, whatever is asked for: response times must grow with
// the queue, since they count from when a play was due.
func TestCoordinatedOmission(t *testing.T) {
	t.Parallel()
	w := &world{t: t, whole: func(uint64, int) int64 { return second }}
	r := w.load(Options{Repeat: 200, Rate: 100, Concurrent: 10}, nil)
	if r.Peak != 10 || r.Late < 180 || r.Clean != 200 {
		t.Errorf("peak %d, %d late, %d clean", r.Peak, r.Late, r.Clean)
	}
	// The last play is due after 1.99 s and begins after 19 s.
	if got := r.Whole.Max(); got < 17*time.Second || got > 19*time.Second {
		t.Errorf("longest %v", got)
	}
	if got := r.Delay.Percentile(50); got < 7*time.Second {
		t.Errorf("delay %v", got)
	}
	if limit, why := r.Limit(); limit != LimitServer || !strings.Contains(why[0], "waited") {
		t.Errorf("limited by %v: %v", limit, why)
	}
}

func TestStopConditions(t *testing.T) {
	t.Parallel()
	bad := func(v Verdict) func(uint64, int) Ended {
		return func(n uint64, _ int) Ended {
			if n%3 == 0 {
				return Ended{Verdict: v, Step: 5, Reason: fmt.Sprintf("step 5: 200 came after %d ms", n), CallID: fmt.Sprint("call", n)}
			}
			return Ended{Verdict: Clean}
		}
	}
	for _, tt := range []struct {
		name string
		opt  Options
		ends func(uint64, int) Ended
		why  string
		most uint64
	}{
		{"failures", Options{MaxFailures: 4}, bad(Failed), "too many plays failed", 22},
		{"divergences", Options{MaxDivergences: 4}, bad(Diverged), "too many plays diverged", 22},
		{"time", Options{MaxTime: time.Second}, nil, "the time of 1s is over", 101},
		{"none", Options{}, bad(Diverged), "", 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, ends: tt.ends}
			tt.opt.Repeat, tt.opt.Rate, tt.opt.Concurrent = 1000, 100, 1000
			r := w.load(tt.opt, nil)
			if r.Why != tt.why || r.Started > tt.most || r.Started+5 < tt.most {
				t.Errorf("%d started, %q; want %d, %q", r.Started, r.Why, tt.most, tt.why)
			}
			if tt.ends == nil {
				return
			}
			if len(r.Divergences) != 1 || r.Divergences[0].Step != 5 || r.Divergences[0].Example != "call0" {
				t.Errorf("table %+v", r.Divergences)
			}
			if len(r.Kept) == 0 || len(r.Kept) > 10 || r.Kept[0] != "call0" || r.Kept[1] != "call3" {
				t.Errorf("kept %v", r.Kept)
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	w := &world{t: t, whole: func(uint64, int) int64 { return 60 * second }}
	stopped := false
	r := w.load(Options{Repeat: 1000, Rate: 10, Concurrent: 1000}, func(l *Load, now int64) {
		if now >= begin+2*second && !stopped {
			stopped = true
			l.Stop()
		}
	})
	if r.Stopped != r.Started || r.Started < 19 || r.Started > 21 || r.Why != "stopped on request" {
		t.Errorf("%d of %d stopped, %q", r.Stopped, r.Started, r.Why)
	}
	if took := time.Duration(r.Finished - begin); took > 3200*time.Millisecond {
		t.Errorf("took %v", took)
	}
	if r.Whole.N() != 0 {
		t.Error("plays that were stopped count as times")
	}
}

// However many plays are due, and however long each takes to begin, the loop has its turn in between.
func TestBurst(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	l, err := New(w, Options{Repeat: 10_000, Rate: MaxRate, Concurrent: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	w.runner, w.now = l, begin
	l.Start(begin)
	w.now += second // the loop was away: all are due
	for turns := uint64(1); turns < 5; turns++ {
		if next := l.Wake(w.now); next != w.now || l.Report().Started != burst*turns {
			t.Fatalf("turn %d: %d begun, back in %v", turns, l.Report().Started, time.Duration(next-w.now))
		}
	}
	l.Stop()
	if l.Wake(w.now); l.Report().Started != 4*burst {
		t.Error("it goes on after Stop")
	}
}

func TestPlayFails(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused to send to 192.0.2.9:5060")
	w := &world{t: t, fails: func(n uint64) error {
		if n%2 == 1 {
			return refused
		}
		return nil
	}}
	r := w.load(Options{Repeat: 50, Rate: 100, Concurrent: 3}, nil)
	if r.Failed != 25 || r.Clean != 25 || len(r.Divergences) != 1 || !r.Divergences[0].Failed || r.Divergences[0].Reason != refused.Error() {
		t.Errorf("%d failed, %d clean, %+v", r.Failed, r.Clean, r.Divergences)
	}
	all := &world{t: t, fails: func(uint64) error { return refused }}
	if r := all.load(Options{Repeat: 50, Rate: 100, Concurrent: 3}, nil); r.Failed != 50 {
		t.Errorf("%d failed", r.Failed)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{},
		{Rate: 1},
		{Rate: 1, Repeat: 1},
		{Repeat: 1, Concurrent: 1},
		{Rate: math.NaN(), Repeat: 1, Concurrent: 1},
		{Rate: math.Inf(1), Repeat: 1, Concurrent: 1},
		{Rate: -1, Repeat: 1, Concurrent: 1},
		{Rate: 1, Repeat: MaxRepeat + 1, Concurrent: 1},
		{Rate: 1, Repeat: 1, Concurrent: 1, MaxTime: -1},
	} {
		if _, err := New(nil, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// A hostile server that answers every play in another way fills no table.
func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	w := &world{t: t, ends: func(n uint64, _ int) Ended {
		return Ended{Verdict: Diverged, Reason: fmt.Sprint("reason no. ", n, strings.Repeat("ü", 1000)), CallID: strings.Repeat("c", 1<<16)}
	}}
	r := w.load(Options{Repeat: 5000, Rate: 10000, Concurrent: 5000}, nil)
	if len(r.Divergences) != maxRows+1 || r.Divergences[maxRows].Count != 5000-maxRows {
		t.Errorf("%d rows, the last %+v", len(r.Divergences), r.Divergences[len(r.Divergences)-1])
	}
	for _, d := range r.Divergences[:maxRows] {
		if len(d.Reason) > maxReason || len(d.Example) > maxCallID || strings.ContainsRune(d.Reason, '\ufffd') {
			t.Fatalf("a row of %d and %d bytes", len(d.Reason), len(d.Example))
		}
	}
	for _, id := range r.Kept {
		if len(id) > maxCallID {
			t.Fatalf("a Call-ID of %d bytes is kept", len(id))
		}
	}
}

func TestTimeless(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"200 came after 852 ms":              "200 came after #",
		"200 came after 1.25s, 40ms is fine": "200 came after #, # is fine",
		"expected 200, got 488":              "expected 200, got 488",
		"step 5: 3 messages":                 "step 5: 3 messages",
		"codec G729 is missing":              "codec G729 is missing",
		"m0 of 2 m":                          "m0 of #",
		"5":                                  "5",
		"":                                   "",
	} {
		if got := timeless(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	lagging := &world{t: t, late: 30 * milli}
	r := lagging.load(Options{Repeat: 500, Rate: 100, Concurrent: 500}, nil)
	if limit, why := r.Limit(); limit != LimitGenerator || !strings.Contains(why[0], "our loop came") {
		t.Errorf("limited by %v: %v", limit, why)
	}
	var h Health
	health := func() Health {
		h.KernelDrops += 7
		h.CPU += 10 * time.Second
		h.Cores = 2
		return h
	}
	busy := &world{t: t, ends: func(n uint64, _ int) Ended {
		if n == 3 {
			return Ended{Verdict: Diverged, Reason: "expected 200, got 503"}
		}
		return Ended{Verdict: Clean}
	}}
	r = busy.load(Options{Repeat: 500, Rate: 100, Concurrent: 500, Health: health}, nil)
	limit, why := r.Limit()
	if limit != LimitUnclear || len(why) != 3 || r.Health.KernelDrops != 7 {
		t.Errorf("limited by %v: %v, %+v", limit, why, r.Health)
	}
}

func TestFindMax(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		capacity float64 // plays a second that the server takes
		start    float64
		most     float64
		limit    Limit
	}{
		{"above the start", 437, 10, 0, LimitServer},
		{"below the start", 37, 200, 0, LimitServer},
		{"no limit", 1e9, 100, 400, LimitNone},
		{"nothing", 0, 10, 0, LimitServer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &world{t: t, whole: func(uint64, int) int64 { return second }}
			w.ends = func(_ uint64, playing int) Ended { // the plays of a second are those that go on
				if float64(playing) > tt.capacity {
					return Ended{Verdict: Diverged, Step: 3, Reason: "expected 200, got 503", CallID: "x"}
				}
				return Ended{Verdict: Clean}
			}
			done := 0
			f, err := NewFinder(w, FinderOptions{
				Load:   Options{Concurrent: 10_000, Done: func() { done++ }},
				Search: SearchOptions{Start: tt.start, Max: tt.most},
			})
			if err != nil {
				t.Fatal(err)
			}
			w.run(f, nil)
			found := f.Found()
			want := min(tt.capacity, cmpOr(tt.most, 1e9))
			if found.Best > want+1 || found.Best < want*0.94 || found.Best > 0 && found.Confirmed != 2 || done != 1 {
				t.Errorf("best %v, confirmed %d; want %v; done %d; %s", found.Best, found.Confirmed, want, done, found.Why)
			}
			if found.Limit != tt.limit || found.Why == "" || len(found.Reasons) == 0 {
				t.Errorf("limit %v, %v, %q", found.Limit, found.Reasons, found.Why)
			}
			if len(found.Trials) > 25 {
				t.Errorf("%d trials", len(found.Trials))
			}
		})
	}
}

// What is sent again beyond what is natural tells that a server loses messages, though every play ends well.
func TestFindMaxSentAgain(t *testing.T) {
	t.Parallel()
	w := &world{t: t, whole: func(uint64, int) int64 { return second }}
	w.ends = func(n uint64, playing int) Ended {
		e := Ended{Verdict: Clean, Retransmissions: int(n % 2)} // as recorded
		if playing > 100 {
			e.Retransmissions += 2
		}
		return e
	}
	f, err := NewFinder(w, FinderOptions{Load: Options{Concurrent: 10_000, Natural: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	w.run(f, nil)
	found := f.Found()
	if found.Best < 90 || found.Best > 115 || found.Limit != LimitServer {
		t.Errorf("best %v, limit %v: %v", found.Best, found.Limit, found.Reasons)
	}
	for i := range found.Trials {
		r := &found.Trials[i]
		if full := uint64(r.Asked * 10); r.OK && r.Started != full || r.Asked > 200 && r.Started > full/2 {
			t.Errorf("at %v a second %d plays were begun, clean %v: an overload goes on though it is known", r.Asked, r.Started, r.OK)
		}
	}
}

// A rate at which this side was late once is tried once more before it counts.
func TestFindMaxSecondTry(t *testing.T) {
	t.Parallel()
	w := &world{t: t}
	disturbed := false
	w.ends = func(n uint64, _ int) Ended {
		if disturbed = n >= 120 && n < 152; disturbed && n >= 150 {
			return Ended{Verdict: Diverged, Reason: "no answer"}
		}
		return Ended{Verdict: Clean}
	}
	f, err := NewFinder(w, FinderOptions{Load: Options{Concurrent: 10_000}, Search: SearchOptions{Start: 10, Max: 40}})
	if err != nil {
		t.Fatal(err)
	}
	w.run(f, func(int64) {
		w.late = 0
		if disturbed {
			w.late = 50 * milli
		}
	})
	found := f.Found()
	if found.Best != 40 || len(found.Trials) < 5 {
		t.Errorf("best %v in %d trials: %s", found.Best, len(found.Trials), found.Why)
	}
	again := 0
	for i := 1; i < len(found.Trials); i++ {
		if found.Trials[i].Rate == found.Trials[i-1].Rate && !found.Trials[i-1].OK {
			again++
		}
	}
	if again == 0 {
		t.Error("no trial was repeated")
	}
}

func cmpOr(a, b float64) float64 {
	if a != 0 {
		return a
	}
	return b
}

func TestFindMaxStop(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{500 * time.Millisecond, 11500 * time.Millisecond} { // in a trial, and in a pause
		w := &world{t: t}
		f, err := NewFinder(w, FinderOptions{Load: Options{Concurrent: 1000}, Settle: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		stopped := false
		w.run(f, func(now int64) {
			if now >= begin+int64(after) && !stopped {
				stopped = true
				f.Stop()
			}
		})
		if found := f.Found(); found.Why != "stopped on request" || w.now > begin+int64(after)+4*second {
			t.Errorf("%q after %v", found.Why, time.Duration(w.now-begin))
		}
	}
}

// A rate that is clean once but not again does not count.
func TestSearchFlaky(t *testing.T) {
	t.Parallel()
	s, err := NewSearch(SearchOptions{Start: 100})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[float64]int{}
	for s.Rate() != 0 {
		r := s.Rate()
		seen[r]++
		s.Add(r <= 150 || r <= 300 && seen[r] == 1)
	}
	if s.Best() > 150 || s.Best() < 140 || s.Confirmed() != 2 {
		t.Errorf("best %v, confirmed %d: %s", s.Best(), s.Confirmed(), s.Why())
	}
	for _, o := range []SearchOptions{{Start: -1}, {Start: 10, Max: 5}, {Max: 2 * MaxRate}, {Resolution: 2}, {Trials: -1}, {Start: math.NaN()}} {
		if _, err := NewSearch(o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzSearch(f *testing.F) {
	f.Add(uint64(0x5555), 100.0)
	f.Add(uint64(math.MaxUint64), 1.0)
	f.Fuzz(func(t *testing.T, answers uint64, start float64) {
		s, err := NewSearch(SearchOptions{Start: start})
		if err != nil {
			return
		}
		for n := 0; s.Rate() != 0; n++ {
			if n > 40 || s.Rate() < 0 || s.Rate() > 100_000 {
				t.Fatalf("trial %d at %v", n, s.Rate())
			}
			s.Add(answers>>(n%64)&1 == 1)
		}
		if s.Why() == "" {
			t.Error("it ended without a reason")
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	w := &world{}
	for b.Loop() {
		l, err := New(w, Options{Repeat: 1000, Rate: 1000, Concurrent: 1000})
		if err != nil {
			b.Fatal(err)
		}
		w.runner, w.now = l, begin
		l.Start(begin)
		for h := Handler(l, w); !l.Done(); {
			w.now = max(h.Wake(w.now), w.now)
		}
	}
}
