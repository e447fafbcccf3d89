package capture

import (
	"bytes"
	"testing"
)

// counted counts its releases.
type counted int

func (c *counted) Release() { *c++ }

func TestBatchHold(t *testing.T) {
	t.Parallel()
	var b Batch
	var c counted
	b.Hold(&c)
	b.Hold(&c)
	b.Packets = append(b.Packets, Packet{Seq: 1, Data: []byte("x")})
	b.Release()
	if b.Release(); c != 2 {
		t.Errorf("released %d times, want once for each hold", c)
	}
	if b.Packets[:1][0].Data != nil {
		t.Error("a packet still has the bytes of its holder")
	}
}

// Bytes of one batch never change while another batch is filled, whatever their sizes.
func TestMemory(t *testing.T) {
	t.Parallel()
	m := NewMemory(64)
	defer m.Close()
	var held []*Batch
	var want [][]byte
	for i := range 200 {
		b := &Batch{}
		for j := range 5 {
			data := bytes.Repeat([]byte{byte(i*5 + j)}, (i*7+j*13)%100)
			into := m.Bytes(b, len(data))
			if len(into) != len(data) || cap(into) != len(data) {
				t.Fatalf("%d bytes with room for %d, want %d", len(into), cap(into), len(data))
			}
			copy(into, data)
			b.Packets = append(b.Packets, Packet{Data: into})
			want = append(want, data)
		}
		if held = append(held, b); len(held) < 4 {
			continue
		}
		for j := range held[0].Packets {
			if !bytes.Equal(held[0].Packets[j].Data, want[j]) {
				t.Fatalf("batch %d, packet %d was overwritten", i-3, j)
			}
		}
		held[0].Release()
		held, want = held[1:], want[5:]
	}
}

func TestMemoryAllocs(t *testing.T) { //nolint:paralleltest // counts allocations
	m := NewMemory(0)
	defer m.Close()
	var b Batch
	b.Release()
	if n := testing.AllocsPerRun(100, func() {
		for range 100 {
			m.Bytes(&b, 1000)
		}
		b.Release()
	}); n > 1 {
		t.Errorf("%v allocations for 100 packets", n)
	}
}
