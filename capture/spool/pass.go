package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"sipscope/capture"
)

// passBuffer is how much a pass reads at once, in bytes.
const passBuffer = 256 << 10

// Pass is a second pass over what a spool keeps: a capture.Source for one goroutine. The files that it has not read yet
// stay on the disk while it is open, even when the ring has dropped them.
type Pass struct {
	spool    *Spool
	segments []*segment // held, oldest first; belongs to the spool's lock
	ifaces   []described
	pos, end int64 // offsets: of the block to read next, and where the pass ends
	now      int64
	begun    bool   // now is set
	buf      []byte // read from pos on
	walk     blocks // through buf
	at       int64  // offset of buf[0]
	mem      *capture.Memory
	damage   error // the first that was met
	done     error // what Next gives from now on
}

// Reopen begins a second pass: Next gives the packets that are still kept, with the Seq and Loc that they had, in order, up
// to the last that Next of the spool has given by now, then io.EOF. A file that somebody has damaged is left from there
// on, and its error, for which errors.Is(err, capture.ErrDamaged) holds, comes at the end. The spool goes on meanwhile.
func (s *Spool) Reopen() (*Pass, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("spool: %w", errClosed)
	}
	p := &Pass{
		spool: s, segments: slices.Clone(s.segments), ifaces: s.ifaces, pos: s.end, end: s.end, mem: capture.NewMemory(0),
	}
	for _, g := range p.segments {
		g.refs++
	}
	switch {
	case len(s.segments) > 0:
		p.pos = s.segments[0].base
	case len(s.chunks) > 0:
		p.pos = s.chunks[0].base + int64(s.chunks[0].done)
	}
	if p.pos < p.end {
		s.passes = append(s.passes, p)
	}
	return p, nil
}

// Next implements capture.Source.
func (p *Pass) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Now = p.now
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for p.done == nil && len(b.Packets) == 0 {
		p.take(b)
		if len(b.Packets) == 0 {
			p.done = p.fill()
		}
	}
	if len(b.Packets) == 0 {
		return p.done
	}
	b.Now = p.now
	return nil
}

// take moves packets of the buffer to the batch.
func (p *Pass) take(b *capture.Batch) {
	for len(b.Packets) < capture.MaxBatch && p.walk.next() {
		p.pos = p.at + int64(p.walk.at)
		w := &p.walk
		if w.kind != kindPacket {
			continue
		}
		if int64(w.iface) >= int64(len(p.ifaces)) {
			w.bad = true
			return
		}
		data := p.mem.Bytes(b, len(w.data))
		copy(data, w.data)
		about := p.ifaces[w.iface]
		b.Packets = append(b.Packets, capture.Packet{
			Seq: w.seq, Time: w.time, Data: data, WireLen: max(w.wire, uint32(len(data))), //nolint:gosec // 32 bits in the file
			Link: about.link, Iface: about.index, Loc: capture.Loc{Off: p.at + int64(w.dataOff)},
		})
		if p.now = max(p.now, w.time); !p.begun {
			p.begun, p.now = true, w.time
		}
	}
}

// fill reads on when the buffer has no whole block more. It gives what ends the pass.
func (p *Pass) fill() error {
	bad, need, had := p.walk.bad, p.walk.need, len(p.walk.buf)-p.walk.at
	seq := p.walk.seq
	p.walk = blocks{seq: seq}
	if p.buf == nil {
		p.buf = make([]byte, passBuffer)
	}
	place, ok := p.place()
	if !ok {
		return p.finished()
	}
	if bad || need > 0 && int64(need) > place.end-p.pos && had > 0 {
		p.skip(place, fmt.Errorf("block of %d bytes, with %d left", need, place.end-p.pos))
		return nil
	}
	if need > len(p.buf) { // not more than the place has
		p.buf = make([]byte, need)
	}
	n, err := p.read(place)
	if err != nil {
		p.skip(place, err)
		return nil
	}
	if p.pos == place.base && place.first > 0 {
		seq = place.first - 1
	}
	p.at = p.pos
	p.walk = blocks{buf: p.buf[:n], seq: seq}
	return nil
}

// place is where the bytes from pos on are: a segment, or the queue when that is nil.
type place struct {
	segment   *segment
	base, end int64
	first     uint64 // Seq of the first packet after base, 0 when unknown
}

// place finds where to read, moves over what was lost, and lets go of segments that were read.
func (p *Pass) place() (place, bool) {
	s := p.spool
	s.mu.Lock()
	var over []*segment
	for len(p.segments) > 0 && p.segments[0].end() <= p.pos && p.segments[0] != s.current {
		over = append(over, p.segments[0])
		p.segments = p.segments[1:]
	}
	at, ok := p.locate()
	s.mu.Unlock()
	for _, g := range over {
		_ = s.release(g) // was only read
	}
	return at, ok
}

func (p *Pass) locate() (place, bool) {
	s := p.spool
	if p.pos >= p.end {
		return place{}, false
	}
	if g := within(p.segments, p.pos); g != nil {
		return place{segment: g, base: g.base, end: min(g.end(), p.end), first: g.first}, true
	}
	if c := s.find(p.pos); c != nil {
		at := place{base: c.base + int64(c.done), end: min(c.base+int64(len(c.buf)), p.end)}
		if c.packets > 0 {
			at.first = c.first
		}
		return at, true
	}
	return place{}, false // lost when the spool was closed on a full disk
}

// read fills the buffer from pos on.
func (p *Pass) read(at place) (int, error) {
	buf := p.buf[:min(int64(len(p.buf)), at.end-p.pos)]
	if at.segment != nil {
		return at.segment.read(buf, p.pos, at.end-at.base)
	}
	// The queue: it may have moved to a segment meanwhile, which place has to find then.
	s := p.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.find(p.pos); c != nil {
		return copy(buf, c.buf[p.pos-c.base:]), nil
	}
	return 0, nil
}

// skip leaves a damaged place.
func (p *Pass) skip(at place, err error) {
	if p.damage == nil {
		d := &capture.DamagedError{File: "spool", Offset: p.pos, Frame: p.walk.seq, Reason: err.Error()}
		if at.segment != nil {
			d.File, d.Offset = at.segment.path, at.segment.head+p.pos-at.segment.base
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			d.Cut = true
		}
		p.damage = d
	}
	p.pos = at.end
}

// finished is what Next gives at the end.
func (p *Pass) finished() error {
	if p.damage != nil {
		return p.damage
	}
	return io.EOF
}

// Close lets go of the files. Batches stay valid. Close may be called again, and Next gives an error afterwards.
func (p *Pass) Close() error {
	s := p.spool
	s.mu.Lock()
	held := p.segments
	p.segments = nil
	s.passes = slices.DeleteFunc(s.passes, func(o *Pass) bool { return o == p })
	s.mu.Unlock()
	var err error
	for _, g := range held {
		err = errors.Join(err, s.release(g))
	}
	p.mem.Close()
	p.done = errClosed
	return err
}
