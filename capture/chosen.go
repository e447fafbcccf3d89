package capture

import (
	"context"
	"sync/atomic"
)

// Chosen is a Source that passes on some packets of another. Packets keep their Seq, so that frames are called by the
// numbers that they have in the file; those that are left out are counted.
type Chosen struct {
	source Source
	keep   func(p *Packet) (bool, error)
	left   atomic.Uint64
}

// Choose passes on the packets for which keep holds. An error of keep ends the source with it.
func Choose(source Source, keep func(p *Packet) (bool, error)) *Chosen {
	return &Chosen{source: source, keep: keep}
}

// Next implements Source. A batch of which nothing is passed on is an empty one.
func (c *Chosen) Next(ctx context.Context, b *Batch) error {
	if err := c.source.Next(ctx, b); err != nil {
		return err
	}
	n := 0
	for i := range b.Packets {
		ok, err := c.keep(&b.Packets[i])
		if err != nil {
			b.Release()
			return err
		}
		if !ok {
			continue
		}
		if n != i {
			b.Packets[n] = b.Packets[i]
		}
		n++
	}
	left := len(b.Packets) - n
	clear(b.Packets[n:])
	b.Packets = b.Packets[:n]
	c.left.Add(uint64(left))
	return nil
}

// Left is how many packets were not passed on; any goroutine may ask.
func (c *Chosen) Left() uint64 { return c.left.Load() }
