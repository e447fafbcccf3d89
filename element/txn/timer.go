package txn

import (
	"math"
	"slices"
	"time"
)

// Times of RFC 3261 table 4 in nanoseconds.
const (
	defaultT1 = int64(500 * time.Millisecond)
	defaultT2 = int64(4 * time.Second)
	defaultT4 = int64(5 * time.Second)
	// tryingAfter is how long a user has before the layer answers 100 (RFC 3261 17.2.1).
	tryingAfter = int64(200 * time.Millisecond)
	// completedFor is timer D over UDP where 64*T1 is not shorter. It only need be as long as the peer's timer H: with a
	// T1 below the default, as in tests, both ends use 64*T1.
	completedFor = int64(32 * time.Second)
	// maxT bounds T1, T2 and T4, so that no sum of times overflows.
	maxT = int64(time.Hour)
)

// times are the durations that a Layer uses, in nanoseconds.
type times struct {
	t1, t2, t4 int64
}

func newTimes(c *Config) times {
	pick := func(v, usual int64) int64 {
		if v <= 0 {
			return usual
		}
		return min(v, maxT)
	}
	return times{t1: pick(c.T1, defaultT1), t2: pick(c.T2, defaultT2), t4: pick(c.T4, defaultT4)}
}

// all64 is 64*T1: timers B, F, H, J, L and M.
func (t *times) all64() int64 { return 64 * t.t1 }

// silent is how long a request other than INVITE may go without any answer: until timer E of its client is T2. Then the
// layer answers 100, which keeps the client from sending it again more often than that (RFC 4320 4.1). The timer that a
// server does not need for retransmissions is used for it, so that the other one runs from the request on.
func (t *times) silent() int64 {
	sum := int64(0)
	for d := t.t1; d < t.t2; d *= 2 {
		sum += d
	}
	return min(max(sum, t.t1), t.all64()-t.t1)
}

// state is the timer that a state has, in nanoseconds; 0: it ends at once, -1: it has none. The timers of Trying go on in
// Proceeding but for those of a client INVITE.
func (t *times) state(k Kind, s State, reliable bool) int64 {
	wait := func(d int64) int64 {
		if reliable {
			return 0
		}
		return d
	}
	switch {
	case s == Accepted, k == ServerInvite && s == Completed: // L, M; H
		return t.all64()
	case s == Confirmed: // I
		return wait(t.t4)
	case s == Trying: // B, F; a server: RFC 4320 4.2
		return t.all64()
	case s != Completed:
		return -1
	case k == ClientInvite: // D
		return wait(min(completedFor, t.all64()))
	case k == Client: // K
		return wait(t.t4)
	default: // J
		return wait(t.all64())
	}
}

// resend is the n-th interval of timer A (n = 0 is the first), E or G; for a server other than INVITE, silent.
func (t *times) resend(k Kind, s State, n uint8) int64 {
	d := t.t1 << min(n, 6) // beyond 64*T1 the transaction is over
	switch {
	case k == ClientInvite: // A
		return d
	case k == Server:
		return t.silent()
	case k == Client && s == Proceeding:
		return t.t2
	default: // E, G
		return min(d, t.t2)
	}
}

// durations are all that state and resend give: there is a queue for each.
func (t *times) durations() []int64 {
	all := []int64{0, tryingAfter, t.t2, t.t4, t.all64(), min(completedFor, t.all64()), t.silent()}
	for n := range uint8(7) {
		all = append(all, t.resend(ClientInvite, Trying, n), t.resend(Client, Trying, n))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Timers of a record.
const (
	timerResend = iota // A, E, G; silent
	timerState         // the others
	timersOf
)

// timer is a place in a queue.
type timer struct {
	due        int64  // nanoseconds since 1970
	next, prev uint32 // records, 0: none
}

// queue holds the running timers of one duration in the order in which they were started, which is the order in which
// they are due: so starting, stopping and firing take constant time, and the next time is exact.
type queue struct {
	duration    int64
	first, last uint32
	due         int64 // of the first; never when empty
	which       uint8 // timerResend or timerState
}

const never = int64(math.MaxInt64)

// newQueues makes a queue for each duration and timer. They are few.
func newQueues(t *times) []queue {
	var qs []queue
	for _, d := range t.durations() {
		qs = append(qs, queue{duration: d, due: never, which: timerResend}, queue{duration: d, due: never, which: timerState})
	}
	return qs
}

// start starts a timer of a record, which is stopped before.
func (l *Layer) start(x uint32, r *record, which int, d int64) {
	l.stop(r, which)
	q := l.queueOf(which, d)
	t := &r.timers[which]
	t.due, t.next, t.prev = l.now+d, 0, l.queues[q].last
	if t.prev == 0 {
		l.queues[q].first, l.queues[q].due = x, t.due
	} else {
		l.slab.at(t.prev).timers[which].next = x
	}
	l.queues[q].last = x
	r.queue[which] = uint8(q + 1) //nolint:gosec // a few dozen queues
}

// stop stops a timer, if it runs.
func (l *Layer) stop(r *record, which int) {
	if r.queue[which] == 0 {
		return
	}
	q := &l.queues[r.queue[which]-1]
	t := &r.timers[which]
	if t.prev == 0 {
		q.first = t.next
	} else {
		l.slab.at(t.prev).timers[which].next = t.next
	}
	if t.next == 0 {
		q.last = t.prev
	} else {
		l.slab.at(t.next).timers[which].prev = t.prev
	}
	if t.prev == 0 {
		q.due = never
		if q.first != 0 {
			q.due = l.slab.at(q.first).timers[which].due
		}
	}
	r.queue[which] = 0
}

// queueOf finds the queue of a duration. durations has all of them.
func (l *Layer) queueOf(which int, d int64) int {
	for i := which; i < len(l.queues); i += timersOf {
		if l.queues[i].duration >= d {
			return i
		}
	}
	return len(l.queues) - timersOf + which
}

// Wake fires the timers that are due at now, in the order of their times, and says when the next one is.
func (l *Layer) Wake(now int64) (next int64) {
	l.now = max(l.now, now)
	for {
		best := 0
		for i := range l.queues {
			if l.queues[i].due < l.queues[best].due {
				best = i
			}
		}
		q := &l.queues[best]
		if q.due > l.now {
			return q.due
		}
		x := q.first
		r := l.slab.at(x)
		l.stop(r, int(q.which))
		e := evTimeout
		if q.which == timerResend {
			e = evResend
		}
		l.fire(x, r, e)
	}
}
