package capture

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Joined is several live sources read as one, in the order in which their batches arrive: a live source gives what it has
// within milliseconds, so waiting for the others to sort by time would only add delay. Each source is read by a
// goroutine of its own, so that one that waits does not stop the others.
type Joined struct {
	sources []Source
	full    chan joint
	empty   []chan *Batch
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	seq     uint64
	now     int64
	open    int
	end     error
}

// ifacesPerSource keeps the interfaces of joined sources apart: interface i of source n is n*ifacesPerSource+i.
const ifacesPerSource = 256

// IfaceOf tells which source an interface number of a Joined belongs to, and its number there.
func IfaceOf(iface uint16) (source int, number uint16) {
	return int(iface / ifacesPerSource), iface % ifacesPerSource
}

// joint is a batch of one source, or what ended it.
type joint struct {
	source int
	batch  *Batch
	err    error
}

// Join begins to read the sources. They stay the caller's to close, after Close.
func Join(sources ...Source) *Joined {
	ctx, cancel := context.WithCancel(context.Background())
	j := &Joined{sources: sources, full: make(chan joint), cancel: cancel, open: len(sources)}
	for i, s := range sources {
		empty := make(chan *Batch, 2)
		empty <- &Batch{}
		empty <- &Batch{}
		j.empty = append(j.empty, empty)
		j.wg.Go(func() { j.read(ctx, i, s, empty) })
	}
	return j
}

func (j *Joined) read(ctx context.Context, i int, s Source, empty chan *Batch) {
	for {
		var b *Batch
		select {
		case b = <-empty:
		case <-ctx.Done():
			return
		}
		err := s.Next(ctx, b)
		select {
		case j.full <- joint{i, b, err}:
		case <-ctx.Done():
			b.Release()
			return
		}
		if err != nil {
			return
		}
	}
}

// Next implements Source. It ends when all sources have ended, with the first error that is not io.EOF. Now follows
// the source that is ahead; when the clock of one was set back, that of all was.
func (j *Joined) Next(ctx context.Context, b *Batch) error {
	b.Release()
	b.Now = j.now
	for j.open > 0 {
		var in joint
		select {
		case in = <-j.full:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if in.err != nil {
			j.open--
			if j.end == nil && !errors.Is(in.err, io.EOF) {
				j.end = in.err
			}
			continue
		}
		j.take(in, b)
		return nil
	}
	if j.end != nil {
		return j.end
	}
	return io.EOF
}

// take moves a batch of a source to b.
func (j *Joined) take(in joint, b *Batch) {
	from := in.batch
	b.Packets, from.Packets = from.Packets, b.Packets
	b.blocks, from.blocks = from.blocks, b.blocks
	b.holders, from.holders = from.holders, b.holders
	if b.SetBack = from.SetBack && from.Now < j.now; b.SetBack {
		j.now = from.Now
	}
	j.now = max(j.now, from.Now)
	b.Now = j.now
	for i := range b.Packets {
		p := &b.Packets[i]
		j.seq++
		p.Seq = j.seq
		p.Iface += uint16(in.source) * ifacesPerSource //nolint:gosec // few sources
	}
	j.empty[in.source] <- from
}

// Close ends the reading. Batches stay valid.
func (j *Joined) Close() error {
	j.cancel()
	j.wg.Wait()
	return nil
}
