package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// script is a live source: n packets in batches of three, with a tick between, then err.
type script struct {
	id, n, next int
	err         error
	mem         *Memory
}

func (s *script) Next(ctx context.Context, b *Batch) error {
	b.Release()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.next >= s.n {
		if s.err == nil { // goes on for ever
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return s.err
	}
	if s.next%2 == 1 {
		s.next++
		return nil
	}
	for range 3 {
		data := s.mem.Bytes(b, 8)
		binary.BigEndian.PutUint32(data, uint32(s.id))
		binary.BigEndian.PutUint32(data[4:], uint32(s.next))
		b.Packets = append(b.Packets, Packet{Seq: 99, Time: int64(s.next + 1), Data: data, Iface: 1})
	}
	b.Now = int64(s.next + 1)
	s.next++
	return nil
}

// Joined sources give all packets of all, each source's in its order, numbered as one.
func TestJoin(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var sources []Source
	for i := range 4 {
		s := &script{id: i, n: 100, err: io.EOF, mem: NewMemory(64)}
		if i == 2 {
			s.err = broken
		}
		sources = append(sources, s)
	}
	j := Join(sources...)
	defer func() { _ = j.Close() }()
	var b Batch
	var seq uint64
	last := map[uint32]uint32{}
	now := int64(0)
	for {
		err := j.Next(t.Context(), &b)
		if err != nil {
			if !errors.Is(err, broken) {
				t.Fatal(err)
			}
			break
		}
		if b.Now < now {
			t.Fatalf("now %d after %d", b.Now, now)
		}
		now = b.Now
		for i := range b.Packets {
			p := &b.Packets[i]
			id, n := binary.BigEndian.Uint32(p.Data), binary.BigEndian.Uint32(p.Data[4:])
			if seq++; p.Seq != seq {
				t.Fatalf("seq %d, want %d", p.Seq, seq)
			}
			if source, iface := IfaceOf(p.Iface); source != int(id) || iface != 1 {
				t.Fatalf("interface %d of source %d, want 1 of %d", iface, source, id)
			}
			if n < last[id] {
				t.Fatalf("source %d: %d after %d", id, n, last[id])
			}
			last[id] = n
		}
	}
	if seq != 4*50*3 {
		t.Errorf("%d packets, want 600", seq)
	}
}

func TestJoinEnds(t *testing.T) {
	t.Parallel()
	j := Join(&script{mem: NewMemory(0)}, &script{n: 1, err: io.EOF, mem: NewMemory(0)})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var b Batch
	var err error
	for err == nil {
		err = j.Next(ctx, &b)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err = j.Close(); err != nil {
		t.Error(err)
	}
}

// What is left out is counted, and what stays keeps its number.
func TestChoose(t *testing.T) {
	t.Parallel()
	c := Choose(&script{n: 10, err: io.EOF, mem: NewMemory(0)}, func(p *Packet) (bool, error) { return p.Data[7]%4 == 0, nil })
	var b Batch
	n := 0
	for c.Next(t.Context(), &b) == nil {
		for i := range b.Packets {
			if b.Packets[i].Data[7]%4 != 0 || b.Packets[i].Seq != 99 {
				t.Fatalf("%+v", b.Packets[i])
			}
			n++
		}
	}
	if n != 9 || c.Left() != 6 {
		t.Errorf("%d kept and %d left, want 9 and 6", n, c.Left())
	}
	bad := errors.New("bad")
	c = Choose(&script{n: 10, err: io.EOF, mem: NewMemory(0)}, func(*Packet) (bool, error) { return false, bad })
	if err := c.Next(t.Context(), &b); !errors.Is(err, bad) || len(b.Packets) != 0 {
		t.Error(err)
	}
}
