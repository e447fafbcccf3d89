package capture

import (
	"container/heap"
	"errors"
	"io"
)

// head is an input's packets that wait to be merged.
type head struct {
	in    *input
	batch Batch
	next  int // first packet not given yet
}

func (h *head) left() []Packet { return h.batch.Packets[h.next:] }

// before tells whether h's next packet comes before o's: the earlier one, or, at the same time, that of the file named
// first.
func (h *head) before(o *head) bool {
	a, b := h.batch.Packets[h.next].Time, o.batch.Packets[o.next].Time
	if a != b {
		return a < b
	}
	return h.in.index < o.in.index
}

// merge gives the packets of several inputs by time. Each input with packets at hand stands in a heap; the others wait
// to be read from.
type merge struct {
	heads   []*head // heap, earliest first
	waiting []*head // nothing at hand
	errs    []error // what ended inputs, by index; io.EOF is no error
}

func newMerge(inputs []*input) *merge {
	m := &merge{errs: make([]error, len(inputs))}
	for _, in := range inputs {
		m.waiting = append(m.waiting, &head{in: in})
	}
	return m
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (m *merge) Len() int           { return len(m.heads) }
func (m *merge) Less(i, j int) bool { return m.heads[i].before(m.heads[j]) }
func (m *merge) Swap(i, j int)      { m.heads[i], m.heads[j] = m.heads[j], m.heads[i] }

// Push adds a *head.
func (m *merge) Push(x any) {
	if h, ok := x.(*head); ok {
		m.heads = append(m.heads, h)
	}
}

// Pop takes the last of the heap.
func (m *merge) Pop() any {
	h := m.heads[len(m.heads)-1]
	m.heads[len(m.heads)-1] = nil
	m.heads = m.heads[:len(m.heads)-1]
	return h
}

// nextOfMany fills b from all inputs.
func (fs *Files) nextOfMany(b *Batch) error {
	if fs.merge == nil {
		fs.merge = newMerge(fs.inputs)
	}
	m := fs.merge
	b.room()
	for len(b.Packets) < MaxBatch {
		if err := fs.refill(b); err != nil {
			if len(b.Packets) > 0 {
				return nil // canceled: the caller sees that in its context
			}
			return err
		}
		if len(m.waiting) > 0 || len(m.heads) == 0 {
			break
		}
		fs.takeRun(b)
	}
	if len(b.Packets) > 0 {
		return nil
	}
	return m.end()
}

// refill reads from the inputs that have nothing at hand. It leaves a pipe waiting when b has packets to give before.
func (fs *Files) refill(b *Batch) error {
	m := fs.merge
	for n := len(m.waiting); n > 0; n = len(m.waiting) {
		h := m.waiting[n-1]
		if h.in.live && len(b.Packets) > 0 {
			return nil
		}
		h.batch.Release()
		h.next = 0
		err := h.in.read(&h.batch, fs.pool, fs.done)
		if errors.Is(err, errCanceled) {
			return err
		}
		m.waiting = m.waiting[:n-1]
		if err != nil {
			m.errs[h.in.index] = err
			continue
		}
		heap.Push(m, h)
	}
	return nil
}

// takeRun moves packets of the earliest head to b, as long as no other head has an earlier one.
func (fs *Files) takeRun(b *Batch) {
	m := fs.merge
	h, second := m.heads[0], m.second()
	from, first := len(b.Packets), h.next
	for len(b.Packets) < MaxBatch && h.next < len(h.batch.Packets) && (second == nil || h.before(second)) {
		b.Packets = append(b.Packets, h.batch.Packets[h.next])
		h.next++
	}
	if h.next > first {
		for _, k := range h.batch.blocks {
			b.hold(k)
		}
		fs.stamp(h.in, b.Packets[from:])
	}
	if len(h.left()) == 0 {
		heap.Pop(m)
		h.batch.Release()
		m.waiting = append(m.waiting, h)
		return
	}
	heap.Fix(m, 0)
}

// second is the head after the earliest: one of the root's children.
func (m *merge) second() *head {
	switch {
	case len(m.heads) < 2:
		return nil
	case len(m.heads) == 2 || m.heads[1].before(m.heads[2]):
		return m.heads[1]
	}
	return m.heads[2]
}

// end is what Next gives when all inputs have ended.
func (m *merge) end() error {
	var bad []error
	for _, err := range m.errs {
		if !errors.Is(err, io.EOF) {
			bad = append(bad, err)
		}
	}
	switch len(bad) {
	case 0:
		return io.EOF
	case 1:
		return bad[0]
	}
	return &filesError{errs: bad}
}

// release gives all waiting packets back.
func (m *merge) release() {
	for _, h := range m.heads {
		h.batch.Release()
	}
	for _, h := range m.waiting {
		h.batch.Release()
	}
	m.heads, m.waiting = nil, nil
}
