package many

import (
	"fmt"
	"math"
	"time"
)

// FinderOptions say how the highest clean rate of a Player is found. Options.Load.Rate, Repeat and the stop conditions are
// those of each trial and set by the Finder; Concurrent stays.
type FinderOptions struct {
	Load     Options // Concurrent, Values, Health, Keep; Done is told at the end of all
	Search   SearchOptions
	Hold     time.Duration  // how long a trial begins plays; 0: 10 s
	Settle   time.Duration  // pause between trials, after the last play has ended, five times that when not clean; 0: 1 s
	MaxTime  time.Duration  // after which no further trial begins; 0: any time
	MinPlays int            // of a trial, whatever the rate; 0: 20
	Trial    func(t *Trial) // told after each; nil: nobody
}

// recovery is how many times longer the pause is after a trial that was not clean: the next one begins with a server that is
// rid of what the last one left.
const recovery = 4

// Trial is a load at one rate.
type Trial struct {
	Rate float64 // asked for
	OK   bool    // every play was clean, and the rate was reached
	Why  string  // why it was not clean; "" when it was
	Report
}

// Finder makes trials until the highest clean rate is found.
type Finder struct {
	player Player
	opt    FinderOptions
	search *Search
	cur    *Load
	trials []Trial
	began  int64
	pause  int64 // until when nothing happens; 0 none
	why    string
	over   bool
	halted bool
	second bool // the rate is tried once more
}

// NewFinder prepares one. The error wraps ErrOptions.
func NewFinder(p Player, o FinderOptions) (*Finder, error) {
	s, err := NewSearch(o.Search)
	if err != nil {
		return nil, err
	}
	if o.Hold == 0 {
		o.Hold = 10 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = time.Second
	}
	if o.MinPlays == 0 {
		o.MinPlays = 20
	}
	if o.Hold < 0 || o.Settle < 0 || o.MinPlays < 0 || o.MaxTime < 0 {
		return nil, fmt.Errorf("%w: trials of %v with pauses of %v", ErrOptions, o.Hold, o.Settle)
	}
	f := &Finder{player: p, opt: o, search: s}
	trial := f.options()
	return f, trial.check()
}

// options are those of the next trial.
func (f *Finder) options() Options {
	o := f.opt.Load
	o.Rate = f.search.Rate()
	o.Repeat = min(max(int(o.Rate*f.opt.Hold.Seconds()), f.opt.MinPlays), MaxRepeat)
	o.MaxFailures, o.MaxDivergences, o.MaxTime = 1, 1, 0 // the first one decides
	o.Done = nil
	if len(f.trials) > 0 { // what the slowest one shows is natural, too
		first := &f.trials[0]
		o.Natural = max(o.Natural, float64(first.Retransmissions)/float64(max(first.Started, 1)))
	}
	return o
}

// Start begins the first trial.
func (f *Finder) Start(now int64) {
	f.began = now
	f.begin(now)
}

func (f *Finder) begin(now int64) {
	f.pause = 0
	cur, err := New(f.player, f.options())
	if err != nil { // NewFinder checked the first, and only the rate changes
		f.end(err.Error())
		return
	}
	f.cur = cur
	cur.Start(now)
}

// Stop ends the trial that goes on and makes no further.
func (f *Finder) Stop() {
	f.halted = true
	if f.cur != nil {
		f.cur.Stop()
	}
}

// Done reports whether the search is over.
func (f *Finder) Done() bool { return f.over }

// Ended passes the end of a play on.
func (f *Finder) Ended(e Ended) {
	if f.cur != nil {
		f.cur.Ended(e)
	}
}

// Wants is that of the trial.
func (f *Finder) Wants() bool {
	if f.over {
		return false
	}
	return f.cur != nil && f.cur.Wants() || f.cur == nil && f.halted
}

// Wake implements Runner.
func (f *Finder) Wake(now int64) (next int64) {
	switch {
	case f.over || f.began == 0:
		return math.MaxInt64
	case f.cur == nil && f.halted:
		f.end("stopped on request")
		return math.MaxInt64
	case f.cur == nil && now < f.pause:
		return f.pause
	case f.cur == nil:
		f.begin(now)
		if f.over {
			return math.MaxInt64
		}
	}
	if next = f.cur.Wake(now); !f.cur.Done() {
		if r := &f.cur.report; len(f.trials) > 0 && r.more(float64(f.cur.opt.Repeat)) {
			f.cur.halt("too many messages had to be sent again") // it is decided: more plays would only make it worse
		}
		return next
	}
	return f.between(now)
}

// between goes on after a trial, and gives when to come back.
func (f *Finder) between(now int64) (next int64) {
	f.trial()
	f.cur, f.pause = nil, now+int64(f.opt.Settle)
	if n := len(f.trials); n > 0 && !f.trials[n-1].OK {
		f.pause += recovery * int64(f.opt.Settle)
	}
	switch {
	case f.halted:
		f.end("stopped on request")
	case f.search.Rate() == 0:
		f.end(f.search.Why())
	case f.opt.MaxTime > 0 && f.pause-f.began >= int64(f.opt.MaxTime):
		f.end(fmt.Sprintf("the time of %v is over", f.opt.MaxTime))
	default:
		return f.pause
	}
	return math.MaxInt64
}

// trial judges the one that has ended.
func (f *Finder) trial() {
	t := Trial{Rate: f.search.Rate(), Report: f.cur.Report()}
	if f.halted {
		return // it says nothing about the rate
	}
	t.Why = t.unclean()
	t.OK = t.Why == ""
	// A trial that may have failed because of this side, or where all plays ended well, says little: once more.
	limit, _ := t.Limit()
	f.second = !t.OK && !f.second && (t.Clean == t.Started || limit == LimitGenerator || limit == LimitUnclear)
	if !f.second {
		f.search.Add(t.OK)
	}
	f.trials = append(f.trials, t)
	if f.opt.Trial != nil {
		f.opt.Trial(&t)
	}
}

// unclean says why a trial does not count as a success; "" when it does.
func (t *Trial) unclean() string {
	switch {
	case len(t.Divergences) > 0:
		return t.Divergences[0].Reason
	case t.Clean < t.Started:
		return fmt.Sprintf("%d of %d plays were clean", t.Clean, t.Started)
	case t.again():
		return fmt.Sprintf("%d messages had to be sent again", t.Retransmissions)
	case t.short():
		return fmt.Sprintf("only %.1f plays a second were begun", t.Report.Rate())
	case t.Late > 0:
		return fmt.Sprintf("%d plays waited for the limit of plays at a time", t.Late)
	case t.Health.KernelDrops > 0:
		return fmt.Sprintf("%d datagrams found our receive buffers full", t.Health.KernelDrops)
	}
	return ""
}

func (f *Finder) end(why string) {
	f.over, f.why = true, why
	if f.opt.Load.Done != nil {
		f.opt.Load.Done()
	}
}

// Found is what came of a search.
type Found struct {
	Best      float64 // plays a second; 0: none was clean
	Confirmed int     // further clean trials at Best
	Why       string  // why the search ended
	Trials    []Trial // in order
	Limit     Limit   // of the lowest trial above Best that was not clean
	Reasons   []string
}

// Found gives the result so far.
func (f *Finder) Found() Found {
	out := Found{Best: f.search.Best(), Confirmed: f.search.Confirmed(), Why: f.why, Trials: f.trials}
	var above *Trial
	for i := range f.trials {
		if t := &f.trials[i]; !t.OK && t.Rate > out.Best && (above == nil || t.Rate <= above.Rate) {
			above = t
		}
	}
	if !f.over {
		out.Why = "interrupted"
	}
	switch {
	case above != nil:
		out.Limit, out.Reasons = above.Limit()
	case len(f.trials) > 0:
		out.Reasons = []string{"no higher rate was tried"}
	}
	return out
}
