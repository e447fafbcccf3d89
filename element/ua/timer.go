package ua

import (
	"math"
	"slices"
)

// timed is what an alarm belongs to.
type timed interface {
	// fired is called once for a kind of timer that is due; the timer is off then.
	fired(kind int, now int64)
}

// alarmKinds is how many timers an alarm can hold.
const alarmKinds = 8

// alarm is a few timers of one owner, with one place in the heap for the earliest: a call sets and clears several, and
// most are cleared before they are due.
type alarm struct {
	due [alarmKinds]int64 // ns; 0: off
	at  int64             // the earliest of due; 0: none
	pos int               // in the heap, from 1 on; 0: not there
	own timed
}

// alarms is a binary heap by the time that is due. One goroutine owns it.
type alarms struct{ heap []*alarm }

// set makes kind due at a time, or with 0 turns it off.
func (h *alarms) set(m *alarm, kind int, at int64) {
	m.due[kind] = at
	h.settle(m)
}

// drop turns all off.
func (h *alarms) drop(m *alarm) {
	m.due = [alarmKinds]int64{}
	h.settle(m)
}

// settle puts m where its earliest time belongs.
func (h *alarms) settle(m *alarm) {
	m.at = 0
	for _, at := range m.due {
		if at != 0 && (m.at == 0 || at < m.at) {
			m.at = at
		}
	}
	switch {
	case m.at == 0 && m.pos != 0:
		h.remove(m)
	case m.at != 0 && m.pos == 0:
		h.heap = append(h.heap, m)
		m.pos = len(h.heap)
		h.up(m.pos - 1)
	case m.at != 0:
		h.up(m.pos - 1)
		h.down(m.pos - 1)
	}
}

func (h *alarms) remove(m *alarm) {
	i, last := m.pos-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	m.pos = 0
	if i < last {
		h.up(i)
		h.down(i)
	}
	if cap(h.heap) > 1024 && len(h.heap) < cap(h.heap)/8 {
		h.heap = slices.Clip(slices.Clone(h.heap)) // give back what a burst needed
	}
}

func (h *alarms) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].pos, h.heap[j].pos = i+1, j+1
}

func (h *alarms) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if h.heap[parent].at <= h.heap[i].at {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *alarms) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			return
		}
		if child+1 < len(h.heap) && h.heap[child+1].at < h.heap[child].at {
			child++
		}
		if h.heap[i].at <= h.heap[child].at {
			return
		}
		h.swap(i, child)
		i = child
	}
}

// next is when the earliest is due, math.MaxInt64 for never.
func (h *alarms) next() int64 {
	if len(h.heap) == 0 {
		return math.MaxInt64
	}
	return h.heap[0].at
}

// fire calls what is due. A timer that is set again for a time that has come waits for the next round, so that the loop ends.
func (h *alarms) fire(now int64) {
	for n := len(h.heap) * alarmKinds; n > 0 && len(h.heap) > 0 && h.heap[0].at <= now; n-- {
		m := h.heap[0]
		for kind, at := range m.due {
			if at == m.at {
				h.set(m, kind, 0)
				m.own.fired(kind, now)
				break
			}
		}
	}
}

// funcAlarm is a timer that calls a function.
type funcAlarm struct {
	alarm alarm
	f     func(now int64)
}

func (t *funcAlarm) fired(_ int, now int64) { t.f(now) }
