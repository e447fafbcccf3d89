// Package spool keeps live packets in a ring of files on a disk, so that memory stays bounded and any message can still
// be read, saved or reported. The newest stay; the oldest go when the ring's size is reached.
//
//	source ─▶ Next: one copy into a chunk ─▶ queue of chunks ─▶ writer ─▶ segment files, the oldest removed
//	            └▶ packets with Loc           ▲ ReadAt, Pass: from the queue, else from a segment
//
// Segments are pcapng files, each complete in itself, so that after a crash anyone can read what was written. A packet's
// Loc.Off is its place among all blocks ever queued: section headers and the descriptions repeated in each segment do
// not count, so that an offset does not depend on where the writer begins a segment.
//
// Next never waits for the disk: when the queue is full, packets pass unkept, with a Loc.Off of capture.NotKept, and are
// counted. The only clock is Batch.Now. Next is used by one goroutine; everything else may be called from any.
package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"sipscope/capture"
)

// Defaults and bounds, in bytes.
const (
	defaultSize  = 2 << 30
	minSize      = 1 << 20
	defaultQueue = 64 << 20 // 0.2 s of 500,000 packets of 700 bytes each second: a disk's usual pause
	minQueue     = 256 << 10
	maxSegment   = 64 << 20 // what goes at once when the ring turns over
	minSegment   = minSize / 4
	minChunk     = 64 << 10
	maxChunk     = 512 << 10 // a write(2) of it costs far less than its copy; fits into the second-level cache
	maxOpen      = 256       // segments, and with them open files, at most
	maxIfaces    = 1 << 16   // Packet.Iface has 16 bits
)

// second is the age, in nanoseconds of packet time, at which a chunk goes to the disk though it is not full, and after
// which a failed write is tried again.
const second = 1_000_000_000

// errClosed says that the spool was closed.
var errClosed = errors.New("the spool is closed")

// Options say where packets are kept, and how many.
type Options struct {
	// Dir is where the segments are. It is made when it is not there, it stays, and segments of earlier runs in it count
	// into Size and go first. Empty makes a temporary directory that Close removes; one that a killed process has left is
	// removed by the next New.
	Dir string
	// Size is how many bytes the segments may take: 1 MiB or more, 0 for 2 GiB.
	Size int64
	// Queue is how many bytes of memory hold packets that wait for the disk: 256 KiB or more, 0 for 64 MiB.
	Queue int64
	// Segment is how large a file becomes, 0 for a sixteenth of Size, but 1 to 64 MiB. It is kept between Size/256 (each is
	// an open file) and Size/4 (so that the ring never exceeds Size).
	Segment int64
	// Names gives the names of interfaces by Packet.Iface, for the files; nil when there are none. Next calls it once for
	// an interface; it must not call the spool.
	Names func(iface uint16) string

	root string // where temporary directories are made; for tests
}

// limits checks the options and fills in defaults.
func (o *Options) limits() error {
	if o.Size == 0 {
		o.Size = defaultSize
	}
	if o.Size < minSize {
		return fmt.Errorf("spool size of %d bytes, at least %d expected", o.Size, minSize)
	}
	if o.Queue == 0 {
		o.Queue = defaultQueue
	}
	if o.Queue < minQueue {
		return fmt.Errorf("spool queue of %d bytes, at least %d expected", o.Queue, minQueue)
	}
	if o.Segment <= 0 {
		o.Segment = max(1<<20, min(o.Size/16, maxSegment))
	}
	o.Segment = min(max(o.Segment, minSegment, o.Size/maxOpen), o.Size/4)
	return nil
}

// Stats are figures of a spool. Packets that came in are Packets, Dropped and Failed.
type Stats struct {
	Dir     string // where the segments are
	Limit   int64  // bytes that they may take
	Packets uint64 // packets taken in, kept or gone since
	Bytes   int64  // bytes written since the start
	Kept    uint64 // packets that can be read again, on the disk or waiting
	Gone    uint64 // packets overwritten since
	Waiting int64  // bytes that wait for the disk
	Dropped uint64 // packets not kept: the disk was too slow, and the queue full
	Failed  uint64 // packets not kept: the disk was full or failed, or no file could hold them
	Disk    int64  // bytes on the disk, those of earlier runs included
	// LastError is why writing failed last; it is cleared by the next write that does not fail.
	LastError string
}

// Spool is a Source that keeps what it passes on.
type Spool struct {
	source capture.Source
	o      Options
	dir    *directory
	ended  chan struct{} // the writer has ended

	mu      sync.Mutex
	wake    *sync.Cond    // the writer waits for it
	chunks  []*chunk      // what waits for the disk, oldest first; all but the last are sealed
	free    []*chunk      // for reuse, the one used last at the end: it may still be in the cache
	taken   int64         // bytes of memory of chunks
	ifaces  []described   // so far, in the order of their numbers; only appended to
	numbers map[iface]int // where they are in ifaces
	lately  int           // the number found last
	end     int64         // offset after the last block queued
	seq     uint64        // of the last packet queued
	now     int64         // Batch.Now
	trimmed int64         // now when memory was given back last
	closing bool
	closed  bool

	segments []*segment // oldest first; the last may be current
	current  *segment   // being written; nil before the first and after a failure
	earlier  []file     // of earlier runs, oldest first
	disk     int64      // bytes of all of them
	passes   []*Pass    // that may want segments to come
	segment  int64      // size of a segment: o.Segment, or less after the disk was full; the writer's
	tight    bool       // the disk was full since the last segment was begun; the writer's
	failing  error      // what the last write gave
	failedAt int64      // now at that time
	stats    Stats      // the counters

	closeOnce sync.Once
	closeErr  error
}

// iface is an interface as files describe it: it has one link type.
type iface struct {
	link  capture.LinkType
	index uint16 // Packet.Iface
}

// described is an interface and its description, the same in every segment.
type described struct {
	iface
	block []byte
}

// New begins to keep what source gives. The source stays the caller's to close, after Close. Call New after privileges
// were dropped: it makes files as it goes on.
func New(source capture.Source, o Options) (*Spool, error) {
	if err := o.limits(); err != nil {
		return nil, err
	}
	dir, err := openDirectory(o.Dir, o.root)
	if err != nil {
		return nil, err
	}
	earlier, err := dir.earlier()
	if err != nil {
		_ = dir.close()
		return nil, err
	}
	s := &Spool{
		source: source, o: o, dir: dir, ended: make(chan struct{}), numbers: map[iface]int{}, segment: o.Segment,
		earlier: earlier, lately: -1,
	}
	for _, f := range earlier {
		s.disk += f.size
	}
	s.wake = sync.NewCond(&s.mu)
	go s.write()
	return s, nil
}

// Next implements capture.Source: it passes a batch of the source on and keeps its packets. Loc.Off is where ReadAt finds
// a packet's bytes, or -1 when it could not be kept.
func (s *Spool) Next(ctx context.Context, b *capture.Batch) error {
	err := s.source.Next(ctx, b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = b.Now
	for i := range b.Packets {
		b.Packets[i].Loc = capture.Loc{Off: s.keep(&b.Packets[i])}
	}
	s.trim()
	if err != nil && ctx.Err() == nil || s.due() {
		s.seal()
	}
	if s.failing != nil {
		s.wake.Signal() // a second may have passed
	}
	return err
}

// due tells whether the open chunk should go to the disk though it is not full. Not while others wait: many small chunks
// would fill the queue with little.
func (s *Spool) due() bool {
	if len(s.chunks) != 1 || s.chunks[0].sealed {
		return false
	}
	age := s.now - s.chunks[0].since
	return age >= second || age < 0
}

// Close writes what waits, finishes the segment, and removes a temporary directory. It tells what could not be written.
// Passes may go on reading what is on the disk. The source is not closed. Close may be called again.
func (s *Spool) Close() error {
	s.closeOnce.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Spool) close() error {
	s.mu.Lock()
	s.seal()
	s.closing = true
	s.wake.Signal()
	s.mu.Unlock()
	<-s.ended

	s.mu.Lock()
	s.closed = true
	lost := s.forget()
	cause := s.failing
	segments := s.segments
	s.segments, s.current, s.free = nil, nil, nil
	s.mu.Unlock()
	var err error
	for _, g := range segments {
		err = errors.Join(err, s.release(g))
	}
	if lost > 0 {
		err = errors.Join(fmt.Errorf("%d packets lost: %w", lost, cause), err)
	}
	if err = errors.Join(err, s.dir.close()); err != nil {
		return fmt.Errorf("spool %s: %w", s.dir.path, err)
	}
	return nil
}

// forget drops the chunks that could not be written, and gives the number of their packets, unless nobody would ever have
// read them.
func (s *Spool) forget() (lost uint64) {
	for _, c := range s.chunks {
		lost += c.packets
	}
	s.chunks, s.taken = nil, 0
	if s.failing == nil || s.dir.temporary {
		return 0
	}
	s.stats.Failed += lost
	s.stats.Packets -= lost
	return lost
}

// Dir is where the segments are.
func (s *Spool) Dir() string { return s.dir.path }

// First is the oldest packet that can be read again, or zeros when there is none. Its time is in nanoseconds since
// 1970-01-01 UTC.
func (s *Spool) First() (seq uint64, time int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.packets > 0 {
			return g.first, g.time
		}
	}
	for _, c := range s.chunks {
		if c.packets > 0 {
			return c.first, c.time
		}
	}
	return 0, 0
}

// Stats gives the figures of now, all of one moment.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Dir, st.Limit, st.Disk = s.dir.path, s.o.Size, s.disk
	for _, g := range s.segments {
		st.Kept += g.packets
	}
	for _, c := range s.chunks {
		st.Kept += c.packets
		st.Waiting += int64(len(c.buf) - c.done)
	}
	if s.failing != nil {
		st.LastError = s.failing.Error()
	}
	return st
}

// Status is what the status line shows of Stats.
func (s *Spool) Status() capture.SpoolStatus {
	st := s.Stats()
	return capture.SpoolStatus{
		Dir: st.Dir, Size: st.Disk, Limit: st.Limit, Waiting: st.Waiting, Kept: st.Kept, Gone: st.Gone,
		Dropped: st.Dropped + st.Failed, Err: st.LastError,
	}
}

// segmentPath names a segment.
func (s *Spool) segmentPath(number uint64) string {
	return filepath.Join(s.dir.path, fmt.Sprintf("%s%06d%s", filePrefix, number, fileSuffix))
}
