package virtual

import (
	"container/heap"
	"net/netip"

	"sipscope/element/transport"
)

type eventKind uint8

const (
	_             eventKind = iota
	eventMessage            // a SIP message arrives
	eventDatagram           // an RTP datagram arrives
	eventFailed             // a host learns that a message could not be sent
	eventCall               // a function of At is due
)

// event is something that is going to happen. Which fields are set depends on its kind.
type event struct {
	kind     eventKind
	host     *Host         // who it happens to; nil for all, and for a datagram, whose receiver is found when it arrives
	sender   *Host         // of a datagram
	conn     *conn         // that a message comes over
	hop      transport.Hop // as its receiver sees it
	src, dst netip.AddrPort
	tag      uint64
	raw      []byte
	err      error
	call     func()
}

// ticket is an event's place in the queue: by time, then in the order of coming in.
type ticket struct {
	at     int64
	number uint64
	slot   int
}

// queue holds the events to come. Events lie still in slots, so that sorting moves 24 bytes each; slots and the buffers of
// messages are used again.
type queue struct {
	heap    []ticket
	slots   []event
	unused  []int
	buffers [][]byte
}

func (q *queue) push(at int64, number uint64, e event) {
	slot := len(q.slots)
	if k := len(q.unused); k > 0 {
		slot, q.unused = q.unused[k-1], q.unused[:k-1]
		q.slots[slot] = e
	} else {
		q.slots = append(q.slots, e)
	}
	q.heap = append(q.heap, ticket{at, number, slot})
	q.up(len(q.heap) - 1)
}

func (q *queue) pop() event {
	slot := q.heap[0].slot
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap = q.heap[:last]
	q.down(0)
	e := q.slots[slot]
	q.slots[slot] = event{}
	q.unused = append(q.unused, slot)
	return e
}

func (q *queue) less(i, j int) bool {
	a, b := &q.heap[i], &q.heap[j]
	return a.at < b.at || a.at == b.at && a.number < b.number
}

func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			return
		}
		q.heap[i], q.heap[parent] = q.heap[parent], q.heap[i]
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(q.heap) && q.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}

// buffer gives an empty buffer for a message.
func (q *queue) buffer() []byte {
	k := len(q.buffers)
	if k == 0 {
		return make([]byte, 0, 2048)
	}
	b := q.buffers[k-1]
	q.buffers = q.buffers[:k-1]
	return b[:0]
}

// free takes a buffer back and overwrites it: its bytes were valid during the call only. Large ones are not kept.
func (q *queue) free(b []byte) {
	for i := range b {
		b[i] = poison
	}
	if cap(b) <= maxDatagram+1 && len(q.buffers) < 4096 {
		q.buffers = append(q.buffers, b)
	}
}

// wakes are the hosts whose handlers want to be called, by time, then in the order of the hosts.
type wakes []*Host //nolint:recvcheck // heap.Interface asks for both

var _ heap.Interface = (*wakes)(nil)

func (w wakes) Len() int { return len(w) }

func (w wakes) Less(i, j int) bool {
	return w[i].wakeAt < w[j].wakeAt || w[i].wakeAt == w[j].wakeAt && w[i].index < w[j].index
}

func (w wakes) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i, j
}

// Push is for container/heap.
func (w *wakes) Push(x any) {
	if h, ok := x.(*Host); ok {
		h.place = len(*w)
		*w = append(*w, h)
	}
}

// Pop is for container/heap.
func (w *wakes) Pop() any {
	last := len(*w) - 1
	h := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	h.place = -1
	return h
}
