// Package load makes many calls with a ua.Agent, at a given rate, and counts what becomes of them.
//
// The pace is open-loop: calls begin when they are due (beyond 1,000 a second, up to 1 ms later, several together), however
// slow the answers are, until the limit of calls at a time
// is reached. Then due calls wait, which Report.Late counts: a test whose calls wait measures its limit, not the server.
// A Load belongs to the loop of its agent, like all of package ua.
package load

import (
	"errors"
	"fmt"
	"time"

	"sipscope/element/ua"
)

// ErrOptions says that a load cannot be made as asked for.
var ErrOptions = errors.New("impossible load")

// maxRate is in calls a second.
const maxRate = 1_000_000

// Options say what is done. Rate, Calls and Concurrent are required: nobody floods a server by forgetting a limit.
type Options struct {
	Call       ua.CallOptions // of each call; its Events are the load's, its Talk is Hold
	Rate       float64        // calls a second
	Calls      int            // in all
	Concurrent int            // at a time
	Hold       time.Duration  // from the answer to the BYE; 0: at once
	Done       func()         // told when all calls have ended; nil: nobody
}

// maxStatus is one more than the largest status code.
const maxStatus = 700

// Report is what became of the calls so far.
type Report struct {
	Started, Answered, Ended uint64 // Ended counts all that are over, answered or not
	Succeeded                uint64 // answered, and ended by the BYE of this side or of the other
	Late                     uint64 // calls that had to wait for the limit of calls at a time
	Now, Peak                int    // calls at a time
	Began, Finished          int64  // ns since 1970-01-01 UTC; Finished is 0 while calls go on

	Causes   [ua.Causes]uint64 // calls that did not succeed, by cause
	Statuses []Status          // the final responses that refused calls
	Ring     Histogram         // from the INVITE to the first provisional response over 100
	Answer   Histogram         // from the INVITE to the 2xx
	Whole    Histogram         // from the INVITE to the end of an answered call
}

// Status is one row of the table of failures.
type Status struct {
	Code  int
	Count uint64
}

// Load is calls being made.
type Load struct {
	agent    *ua.Agent
	opt      Options
	report   Report
	statuses [maxStatus]uint64
	stopped  bool
	done     bool
	waiting  bool // a timer is set
	blocked  bool
}

// New prepares a load. Start begins it.
func New(agent *ua.Agent, opt Options) (*Load, error) {
	switch {
	case !(opt.Rate > 0 && opt.Rate <= maxRate):
		return nil, fmt.Errorf("%w: a rate of %v calls a second", ErrOptions, opt.Rate)
	case opt.Calls <= 0 || opt.Concurrent <= 0:
		return nil, fmt.Errorf("%w: limits are required: %d calls, %d at a time", ErrOptions, opt.Calls, opt.Concurrent)
	case opt.Hold < 0:
		return nil, fmt.Errorf("%w: a hold time of %v", ErrOptions, opt.Hold)
	}
	l := &Load{agent: agent, opt: opt}
	l.opt.Call.Events = l.event
	l.opt.Call.Talk = opt.Hold
	return l, nil
}

// Start begins. The first call is made at once.
func (l *Load) Start() {
	l.report.Began = l.agent.Now()
	l.pace(l.report.Began)
}

// Stop makes no further calls. Those that go on end by themselves.
func (l *Load) Stop() {
	l.stopped = true
	l.finish()
}

// Done reports whether all calls have ended.
func (l *Load) Done() bool { return l.done }

// Report gives the figures.
func (l *Load) Report() Report {
	r := l.report
	for code, n := range l.statuses {
		if n > 0 {
			r.Statuses = append(r.Statuses, Status{code, n})
		}
	}
	return r
}

// due is when call n, from 0 on, begins.
func (l *Load) due(n uint64) int64 {
	return l.report.Began + int64(float64(n)/l.opt.Rate*1e9)
}

// more reports whether another call is to be made.
func (l *Load) more() bool { return !l.stopped && l.report.Started < uint64(l.opt.Calls) } //nolint:gosec // G115: over 0.

// pace makes the calls that are due, and comes back when the next one is.
func (l *Load) pace(now int64) {
	l.waiting = false
	for l.more() && l.due(l.report.Started) <= now {
		if l.report.Now >= l.opt.Concurrent {
			if !l.blocked {
				l.blocked = true
			}
			return // the end of a call goes on
		}
		if l.blocked {
			l.report.Late++
		}
		l.begin()
	}
	l.blocked = false
	if l.more() && !l.waiting {
		l.waiting = true
		l.agent.At(l.wake(), l.pace)
	}
}

// tick is how long a call that is due may wait for others, so that they leave together, ns. Waking up for each one costs
// more than the call itself at thousands a second.
const tick = 1_000_000

// wake is when to come back for the next call: when it is due, or at the next tick when more than one is due in a tick.
func (l *Load) wake() int64 {
	due := l.due(l.report.Started)
	if l.opt.Rate <= 1e9/tick {
		return due
	}
	return l.report.Began + (due-l.report.Began+tick-1)/tick*tick
}

func (l *Load) begin() {
	r := &l.report
	r.Started++
	if _, err := l.agent.Call(l.opt.Call); err != nil {
		r.Ended++
		cause := ua.CauseTransport
		if errors.Is(err, ua.ErrLimit) {
			cause = ua.CauseLimit
		}
		r.Causes[cause]++
		l.finish()
		return
	}
	r.Now++
	r.Peak = max(r.Peak, r.Now)
}

// event is the agent's.
func (l *Load) event(e ua.Event) {
	c, r := e.Call, &l.report
	switch e.Kind {
	case ua.EventAnswered:
		r.Answered++
		begun, rang, answered, _, _ := c.Times()
		if rang != 0 {
			r.Ring.Add(rang - begun)
		}
		r.Answer.Add(answered - begun)
		if l.opt.Hold == 0 {
			_ = c.Hangup() // ErrState: the other side was faster
		}
	case ua.EventEnded:
		l.ended(e)
	default:
	}
}

func (l *Load) ended(e ua.Event) {
	r := &l.report
	r.Now--
	r.Ended++
	begun, _, answered, _, ended := e.Call.Times()
	if answered != 0 {
		r.Whole.Add(ended - begun)
	}
	if e.Cause == ua.CauseBye && answered != 0 {
		r.Succeeded++
	} else {
		r.Causes[e.Cause]++
		said := e.Cause == ua.CauseRejected || e.Cause == ua.CauseAuth // others have the status that stands for them
		if said && e.Status > 0 && e.Status < maxStatus {
			l.statuses[e.Status]++
		}
	}
	if l.blocked && l.more() && !l.waiting {
		l.waiting = true
		l.agent.At(l.agent.Now(), l.pace)
	}
	l.finish()
}

// finish tells, once, that all is over.
func (l *Load) finish() {
	if l.done || l.more() || l.report.Now > 0 {
		return
	}
	l.done = true
	l.report.Finished = l.agent.Now()
	if l.opt.Done != nil {
		l.opt.Done()
	}
}
