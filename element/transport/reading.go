package transport

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// reading is how the loop itself waits at the socket of the first UDP listener. A goroutine of its own for it would cost
// two wake-ups a batch more: to it, and from it to the loop. Whoever has something else for the loop ends its wait by a
// deadline that has passed.
type reading struct {
	l      *listener   // nil: there is no UDP listener
	batch  *udpBatch   // of the loop
	armed  int64       // the deadline of the socket, as Now tells time; 0: passed, or not known
	asleep atomic.Bool // the loop waits, or is about to
	failed bouncer
}

// outcome is how an attempt to read ended.
type outcome uint8

const (
	readSome    outcome = iota + 1 // there are datagrams
	readNothing                    // the deadline passed, there was nothing to read at once, or errors were told
	readClosed
)

// own makes l the listener that the loop reads.
func (e *Endpoint) own(l *listener) {
	e.reading.l, e.reading.batch = l, newUDPBatch(l, nil)
	e.reading.failed = func(remote netip.AddrPort, quote []byte, err error) {
		e.unreachable(e.bounced(remote, quote, err))
	}
}

// poke ends the wait of the loop, when it waits at a socket. It comes after what the loop shall find.
func (e *Endpoint) poke() {
	if e.reading.asleep.CompareAndSwap(true, false) {
		_ = e.reading.l.udp.conn.SetReadDeadline(time.Unix(1, 0))
	}
}

// readLoop is loop with a socket to wait at.
func (e *Endpoint) readLoop() {
	r := &e.reading
	for {
		next := e.turn()
		wait := e.rest(next)
		got := r.l.udp.read(r.batch, wait, r.failed)
		if !r.asleep.Swap(false) && wait { // poked: the deadline has passed, or is about to
			r.armed = 0
		}
		switch got {
		case readSome:
			e.datagrams(r.batch)
		case readNothing:
			r.armed = 0
		default: // the socket cannot be read any more, which nobody but Close brings about
			return
		}
		if !e.poll() {
			return
		}
	}
}

// rest sets the deadline of the socket and reports whether the loop may wait for it. An earlier deadline than next is left
// as it is, as setting one costs more than to wake up once in vain: what is due soonest changes with every message.
func (e *Endpoint) rest(next int64) (wait bool) {
	r, now := &e.reading, e.Now()
	until := now + int64(time.Second) // a passed deadline would keep the socket from being read at all
	if wait = next > now; wait {
		until = min(next, now+int64(time.Hour))
	}
	if r.armed <= now || wait && until < r.armed {
		_ = r.l.udp.conn.SetReadDeadline(time.Now().Add(time.Duration(until - now)))
		r.armed = until
	}
	if !wait {
		return false
	}
	// From here on whoever has something pokes, which no later deadline may undo; what came before is seen.
	r.asleep.Store(true)
	select {
	case <-e.posted:
		return false
	case <-e.quit:
		return false
	default:
		return len(e.events) == 0
	}
}
