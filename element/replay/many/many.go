// Package many plays a recorded flow many times: at a rate, so many at a time, with values from a table, until enough are
// done or too many go wrong; and it looks for the highest rate that goes well.
//
//	due ─▶ Play ─▶ (the Player plays) ─▶ Ended ─▶ figures
//	 ▲                                      │
//	 └── Wake: pace, stop conditions ◀──────┘ a place is free
//
// The pace is open-loop: plays begin when they are due, however slow the answers are, until the limit of plays at a time is
// reached; then due plays wait. All response times count from when a play was due, not from when it began, so a server
// that makes plays wait is not flattered (no coordinated omission).
//
// A Load and a Finder are state machines: no goroutine, no clock, no socket. They belong to the loop that runs the Player,
// which calls Wake; Handler puts them in front of one. They know nothing of SIP: a Player is anything that begins and ends.
package many

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"sipscope/element/transport"
)

// ErrOptions says that a load cannot be made as asked for.
var ErrOptions = errors.New("impossible load")

// Limits of what can be asked for.
const (
	MaxRate       = 1_000_000     // plays a second
	MaxRepeat     = 1_000_000_000 // plays in all
	MaxConcurrent = 1_000_000     // plays at a time
)

// tick is how long a play that is due may wait for others, so that they begin together, ns. Waking up for each one costs
// more than a play at thousands a second.
const tick = 1_000_000

// look is how often the loop's lateness is measured when no play is due, ns.
const look = 50_000_000

// burst is how many plays begin in one turn of the loop. However long the Player takes to begin one, messages, timers and
// whoever wants to stop it have their turn. A turn reads 32 datagrams: more plays than their answers would fit in have a loop
// that is behind fall back further with each turn, until its receive buffer is full.
const burst = 8

// ease is how long plays go on when all is to stop, ns.
const ease = 1_000_000_000

// Player begins plays.
type Player interface {
	// Play begins one now; values are a row of the table, nil without one. Its end is told to Ended, never during Play.
	Play(values map[string]string) (id uint64, err error)
	// Stop ends one politely, soon.
	Stop(id uint64)
}

// Verdict is how a play ended.
type Verdict uint8

// Verdicts. The zero value is none.
const (
	_        Verdict = iota
	Clean            // as recorded
	Diverged         // otherwise than recorded
	Failed           // it could not be played: refused, aborted
	Stopped          // on request, before its end
)

// Ended is how a play ended, as the Player tells. Times are ns since the play began, negative when there was none.
type Ended struct {
	ID              uint64
	Verdict         Verdict
	Step            int    // of the plan where it went otherwise; 0 none
	Reason          string // why, for people; raw
	CallID          string // of its first call, live
	First           int64  // first response of any kind
	Ring            int64  // first 180 or 183
	Answer          int64  // first 2xx to an INVITE, or the final response where there is none
	Whole           int64  // end
	Retransmissions int    // messages that this side had to send again
}

// Options say what is done. Repeat, Rate and Concurrent are required: nobody floods a server by forgetting a limit.
type Options struct {
	Repeat     int     // plays in all
	Rate       float64 // plays begun a second
	Concurrent int     // plays at a time
	Values     *Values // a row a play, from the first again after the last; nil: none

	MaxFailures    uint64        // no play begins after so many failed; 0: any number
	MaxDivergences uint64        // nor after so many diverged; 0: any number
	MaxTime        time.Duration // nor after this time; 0: any time

	// Natural is how many messages of a play are sent again even when nobody is busy: as recorded. What is beyond shows that
	// messages were lost, or answered late.
	Natural float64

	Keep   int           // plays that went otherwise whose Call-IDs Report.Kept names; 0: 10
	Health func() Health // figures of the process and its sockets that only grow; nil: unknown
	Done   func()        // told once, from Wake, when all plays have ended; nil: nobody
}

// check finds what cannot be meant.
func (o *Options) check() error {
	switch {
	case !(o.Rate > 0 && o.Rate <= MaxRate):
		return fmt.Errorf("%w: a rate of %v plays a second", ErrOptions, o.Rate)
	case o.Repeat <= 0 || o.Repeat > MaxRepeat:
		return fmt.Errorf("%w: %d plays", ErrOptions, o.Repeat)
	case o.Concurrent <= 0 || o.Concurrent > MaxConcurrent:
		return fmt.Errorf("%w: %d plays at a time", ErrOptions, o.Concurrent)
	case !(o.Natural >= 0):
		return fmt.Errorf("%w: %v messages sent again", ErrOptions, o.Natural)
	case o.MaxTime < 0:
		return fmt.Errorf("%w: an end after %v", ErrOptions, o.MaxTime)
	}
	return nil
}

// playing is a play on its way.
type playing struct {
	due, began int64
}

// Load is plays being made.
type Load struct {
	player Player
	opt    Options
	report Report
	table  table
	now    map[uint64]playing
	first  Health // at the beginning

	started  bool
	stopped  bool
	done     bool
	leaving  bool  // Stop was called
	left     bool  // and the plays that went on were ended
	leaveAt  int64 // when they are
	waits    bool  // due plays wait for a place
	next     int64 // when Wake was asked for; math.MaxInt64: never
	measured int64 // when next was asked for
}

// New prepares a load. Start begins it.
func New(p Player, o Options) (*Load, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Keep == 0 {
		o.Keep = 10
	}
	return &Load{player: p, opt: o, now: map[uint64]playing{}, next: math.MaxInt64}, nil
}

// Start begins: the first play is due now. Its work is done by the Wake that follows.
func (l *Load) Start(now int64) {
	if l.started {
		return
	}
	l.started = true
	l.report.Began, l.report.Asked, l.report.Natural = now, l.opt.Rate, l.opt.Natural
	if l.opt.Health != nil {
		l.first = l.opt.Health()
	}
}

// Stop begins no further plays. Those that go on have a second to come to their own end, and are then ended politely: a call
// that is about to be answered anyway is better not cancelled, since the two may cross.
func (l *Load) Stop() {
	l.halt("stopped on request")
	l.leaving = true
}

// leave ends the plays that go on, once their time is over.
func (l *Load) leave(now int64) {
	if !l.leaving || l.left {
		return
	}
	if l.leaveAt == 0 {
		l.leaveAt = now + ease
	}
	if now < l.leaveAt {
		return
	}
	l.left = true
	for _, id := range slices.Sorted(maps.Keys(l.now)) {
		if _, there := l.now[id]; there {
			l.player.Stop(id)
		}
	}
}

// halt begins no further plays.
func (l *Load) halt(why string) {
	if !l.stopped && l.more() {
		l.report.Why = why
	}
	l.stopped = true
}

// Done reports whether all plays have ended.
func (l *Load) Done() bool { return l.done }

// more reports whether another play is to be made.
func (l *Load) more() bool { return !l.stopped && l.report.Started < uint64(l.opt.Repeat) } //nolint:gosec // G115: over 0.

// due is when play n, from 0 on, begins.
func (l *Load) due(n uint64) int64 {
	return l.report.Began + int64(float64(n)/l.opt.Rate*1e9)
}

// Wake begins what is due, and gives when to come back; math.MaxInt64 for never. It may give now: then there is more to do
// once the Player has had its turn.
func (l *Load) Wake(now int64) (next int64) {
	if !l.started || l.done {
		return math.MaxInt64
	}
	l.lag(now)
	if d := l.opt.MaxTime; d > 0 && l.more() && now-l.report.Began >= int64(d) {
		l.halt(fmt.Sprintf("the time of %v is over", d))
	}
	l.leave(now)
	l.pace(now)
	l.next = l.again(now)
	l.finish(now)
	return l.next
}

// lag measures how late the loop is: the time between when it was to come back and when it did.
func (l *Load) lag(now int64) {
	if l.next > now || l.next <= l.measured {
		return // it came for something else, or the time was past when it was asked for
	}
	l.report.Lag.Add(now - l.next)
	l.measured = now
}

// pace begins the plays that are due.
func (l *Load) pace(now int64) {
	waited := l.waits
	l.waits = false
	for n := 0; n < burst && l.more() && l.due(l.report.Started) <= now; n++ {
		if l.report.Now >= l.opt.Concurrent {
			l.waits = true
			return // the end of a play goes on
		}
		l.begin(now, waited)
	}
}

// begin begins one.
func (l *Load) begin(now int64, waited bool) {
	r := &l.report
	n := r.Started
	due := l.due(n)
	r.Started++
	r.Delay.Add(now - due)
	if waited {
		r.Late++
	}
	r.LastBegan = now
	id, err := l.player.Play(l.opt.Values.Row(n))
	if err != nil {
		l.count(Ended{Verdict: Failed, Reason: err.Error(), First: -1, Ring: -1, Answer: -1, Whole: -1}, playing{due, now})
		return
	}
	l.now[id] = playing{due, now}
	r.Now++
	r.Peak = max(r.Peak, r.Now)
}

// again is when to come back: for the next play that is due, for the stop condition, or to see how late the loop is.
func (l *Load) again(now int64) int64 {
	if l.report.Now == 0 && !l.more() {
		return now // to finish
	}
	at := now - now%look + look
	if !l.more() {
		return at
	}
	if d := l.opt.MaxTime; d > 0 {
		at = min(at, l.report.Began+int64(d))
	}
	if l.waits {
		return at // the end of a play comes first
	}
	due := l.due(l.report.Started)
	if l.opt.Rate > 1e9/tick {
		due = l.report.Began + (due-l.report.Began+tick-1)/tick*tick
	}
	return max(min(at, due), now) // more were due than begin in one turn
}

// Ended counts a play that has ended; the Player's owner passes it on. Plays that this load did not begin are ignored.
func (l *Load) Ended(e Ended) {
	p, there := l.now[e.ID]
	if !there {
		return
	}
	delete(l.now, e.ID)
	l.report.Now--
	l.count(e, p)
}

// Wants reports whether Wake has something to do at once: after Ended, when plays wait or all is over.
func (l *Load) Wants() bool {
	return l.started && !l.done && (l.report.Now == 0 && !l.more() || l.waits && l.report.Now < l.opt.Concurrent)
}

// finish tells, once, that all is over.
func (l *Load) finish(now int64) {
	if l.done || l.more() || l.report.Now > 0 {
		return
	}
	l.done, l.next = true, math.MaxInt64
	l.report.Finished = now
	if l.opt.Health != nil {
		l.report.Health = l.opt.Health().since(l.first)
	}
	if l.opt.Done != nil {
		l.opt.Done()
	}
}

// Report gives the figures so far.
func (l *Load) Report() Report {
	r := l.report
	r.Divergences = l.table.rows()
	r.Kept = slices.Clone(r.Kept)
	if r.Finished == 0 && l.started && l.opt.Health != nil {
		r.Health = l.opt.Health().since(l.first)
	}
	return r
}

// Runner is a Load or a Finder.
type Runner interface {
	Start(now int64)
	Stop()
	Done() bool
	Ended(e Ended)
	Wants() bool
	Wake(now int64) (next int64)
}

// Handler puts a runner in front of the handler of its Player: the loop that drives one drives both.
func Handler(r Runner, player transport.Handler) transport.Handler { return &handler{player, r} }

type handler struct {
	transport.Handler

	runner Runner
}

// Wake implements transport.Handler. What the Player ends in its turn may let another play begin: the loop comes back at
// once then, instead of the runner being called from within the Player.
func (h *handler) Wake(now int64) (next int64) {
	mine := h.runner.Wake(now)
	next = h.Handler.Wake(now)
	if h.runner.Wants() {
		return now
	}
	return min(mine, next)
}

// byCount sorts rows, the most frequent first, then by step.
func byCount(a, b Divergence) int {
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Reason, b.Reason))
}
