package spool

import (
	"io"
	"sync"
	"testing"

	"sipscope/capture"
)

// TestAdvance: a chunk of which a part is on the disk knows what is left, wherever it was cut.
func TestAdvance(t *testing.T) {
	t.Parallel()
	make1 := func() *Spool {
		s := &Spool{numbers: map[iface]int{}, lately: -1}
		s.wake = sync.NewCond(&s.mu)
		if err := s.o.limits(); err != nil {
			t.Fatal(err)
		}
		f := newFeed(150)
		f.skip = 7
		var b capture.Batch
		defer b.Release()
		for f.Next(t.Context(), &b) != io.EOF { //nolint:errorlint // the bare end is meant
			for i := range b.Packets {
				s.keep(&b.Packets[i])
			}
		}
		return s
	}
	type state struct {
		packets, first uint64
		time           int64
		ifaces, done   int
	}
	var want []state // after every block
	{
		c := make1().chunks[0]
		r := blocks{buf: c.buf}
		st := state{packets: c.packets}
		var firsts []state
		for r.next() {
			if st.done = r.at; r.kind == kindPacket {
				st.packets--
			} else {
				st.ifaces++
			}
			want = append(want, st)
			firsts = append(firsts, state{first: r.seq, time: r.time, packets: uint64(r.kind)})
		}
		for i := range want {
			for k := i + 1; k < len(want); k++ {
				if firsts[k].packets == kindPacket {
					want[i].first, want[i].time = firsts[k].first, firsts[k].time
					break
				}
			}
		}
	}
	if n := len(want); n != 150+4 || want[n-1].ifaces != 4 {
		t.Fatalf("%d blocks, %d interfaces", n, want[n-1].ifaces)
	}
	for i := range want[:len(want)-1] {
		c := make1().chunks[0]
		total := c.packets
		for _, k := range []int{i / 2, i} { // in two steps
			for slack := range 5 { // a write that ends within a block
				if got := c.whole(want[k].done - c.done + slack); got != want[k].done-c.done {
					t.Fatalf("%d of %d bytes are whole, want %d", got, want[k].done-c.done+slack, want[k].done-c.done)
				}
			}
			n := c.advance(want[k].done - c.done)
			if total -= n; total != want[k].packets {
				t.Fatalf("%d packets left, want %d", total, want[k].packets)
			}
			got := state{c.packets, c.first, c.time, c.ifaces, c.done}
			if got != want[k] {
				t.Fatalf("after block %d: %+v, want %+v", k+1, got, want[k])
			}
		}
	}
}
