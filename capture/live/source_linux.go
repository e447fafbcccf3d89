//go:build !libpcap

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

const (
	// stampMargin is how much earlier than its arrival in a ring a packet's stamp may be.
	stampMargin = 2 * time.Millisecond
	// mergeEvery is how often the other rings are looked at while a packet waits for them.
	mergeEvery = time.Millisecond
	// Interfaces are looked after so often: those that are there are seldom gone, those that are gone are missed.
	followEvery = time.Second
	missedEvery = 100 * time.Millisecond
)

// Source is interfaces being captured. It implements capture.Source.
type Source struct {
	options Options
	devices []*device
	control int // asks about interfaces
	poll    int // hears of packets and of wake
	events  [32]unix.EpollEvent

	reading  sync.Mutex // held by Next, and by Close
	reached  reached
	seq      uint64
	batch    uint64 // of the batch being filled
	followed int64  // wall time of the last look after interfaces
	missing  bool   // some are not there
	look     bool   // one had an error: look after them now
	last     int64  // wall time of the first Next after Stop; 0 before

	stopped atomic.Bool
	closed  atomic.Bool
	waking  sync.Mutex // guards wake
	wake    int        // an eventfd; negative when closed
}

var _ capture.Source = (*Source)(nil)

// Open begins to capture. Errors: *PermissionError, *NotFoundError, ErrFilter, or what the system or Options.Filter
// said. An interface that is down is no error; see Stats.
func Open(o Options) (*Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Source{options: o, control: -1, poll: -1, wake: -1}
	if err := s.open(); err != nil {
		_ = s.Close()
		return nil, err
	}
	s.followed = o.Now().UnixNano()
	return s, nil
}

func (s *Source) open() error {
	var err error
	if s.control, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("socket to ask about interfaces: %w", err)
	}
	if s.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(s.wake)} //nolint:gosec // a descriptor
	if err := unix.EpollCtl(s.poll, unix.EPOLL_CTL_ADD, s.wake, &ev); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	bytes := s.options.Buffer / (len(s.options.Devices) * s.options.Rings)
	for i, name := range s.options.Devices {
		d := &device{
			name: name, number: uint16(i), options: &s.options, bytes: bytes, control: s.control, poll: s.poll,
		}
		d.stats.Device = name
		if err := d.begin(); err != nil {
			d.close()
			return err
		}
		s.devices = append(s.devices, d)
		s.missing = s.missing || !d.stats.Up
	}
	return nil
}

// Devices are the names, in the order of Packet.Iface.
func (s *Source) Devices() []string { return s.options.Devices }

// Stats tells of each device, in the order of Devices. Any goroutine may ask, after Close too.
func (s *Source) Stats() []Stats {
	list := make([]Stats, len(s.devices))
	for i, d := range s.devices {
		list[i] = d.figures()
	}
	return list
}

// Next implements capture.Source. It waits for packets for about 10 ms; then it gives an empty batch whose Now follows
// the clock as far as no packet can still come. io.EOF comes after Close, or when all was given after Stop; a context
// that ends gives its cause, and Next may be called again.
func (s *Source) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Now = s.reached.now
	s.reading.Lock()
	defer s.reading.Unlock()
	if cap(b.Packets) < capture.MaxBatch {
		b.Packets = make([]capture.Packet, 0, capture.MaxBatch)
	}
	s.batch++
	for tries := 0; ; tries++ {
		if s.closed.Load() {
			return io.EOF
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wall := s.options.Now().UnixNano()
		s.follow(wall)
		at, pending := s.fill(b, wall)
		if len(b.Packets) > 0 {
			s.reached.stamp(b, at, wall)
			return nil
		}
		if s.ended(wall) {
			return io.EOF
		}
		if tries > 0 && (!pending || tries >= int(tickEvery/mergeEvery)) {
			s.reached.stamp(b, s.quiet(wall), wall)
			return nil
		}
		if err := s.wait(ctx, pending); err != nil {
			return err
		}
	}
}

// ended tells whether all was given after Stop: the kernel has handed over every block, or is not going to.
func (s *Source) ended(wall int64) bool {
	if !s.stopped.Load() {
		return false
	}
	if s.last == 0 {
		s.last = wall
	}
	since := wall - s.last
	if since >= 0 && since <= int64(window) {
		return false
	}
	for _, d := range s.devices {
		for _, r := range d.rings {
			if since >= 0 && since < 10*int64(window) && !r.empty() {
				return false
			}
		}
	}
	return true
}

// fill gives what is ready, in the order of time. It tells the highest time among it, and whether a packet is ready but
// waits for what other rings may have.
func (s *Source) fill(b *capture.Batch, wall int64) (at int64, pending bool) {
	at = math.MinInt64
	for len(b.Packets) < capture.MaxBatch {
		d, r, bound := s.first(wall)
		if r == nil {
			return at, false
		}
		if turn(r.rec.time, wall) >= bound {
			return at, true
		}
		at = max(at, s.give(b, d, r, bound, wall))
	}
	return at, false
}

// first is the ring whose packet is the earliest, and the time below which its packets may be given: that of the next
// one, or what a ring with none at hand may still bring. The first of equals wins. A packet that has waited for window
// waits for no ring any more.
func (s *Source) first(wall int64) (d *device, r *ring, bound int64) {
	others, unseen, least := int64(math.MaxInt64), int64(math.MaxInt64), int64(0)
	for _, dev := range s.devices {
		for _, x := range dev.rings {
			if !x.ready(wall) {
				unseen = min(unseen, x.quiet(wall))
				continue
			}
			at := turn(x.rec.time, wall)
			if r != nil && at >= least {
				others = min(others, at+1)
				continue
			}
			if r != nil {
				others = min(others, least) // which goes first when equal
			}
			d, r, least = dev, x, at
		}
	}
	if r != nil && wall-r.seen < int64(window) && wall >= r.seen {
		others = min(others, unseen)
	}
	return d, r, others
}

// turn is when a packet's turn comes: at its time, but all packets of before the clock was set back come first.
func turn(at, wall int64) int64 {
	if before(at, wall) {
		return at - math.MaxInt64
	}
	return at
}

// give moves packets of a block to the batch, up to the bound, and tells the highest time among them.
func (s *Source) give(b *capture.Batch, d *device, r *ring, bound, wall int64) (at int64) {
	at = math.MinInt64
	k := &r.blocks[r.cursor]
	if k.held != s.batch {
		k.held = s.batch
		k.refs.Add(1)
		b.Hold(k)
	}
	begun := len(b.Packets)
	n := begun
	for n < capture.MaxBatch && r.ready(wall) && &r.blocks[r.cursor] == k && turn(r.rec.time, wall) < bound {
		data, grown := r.rec.frame(d.layout.link)
		if len(data) > s.options.Snaplen {
			data = data[:s.options.Snaplen:s.options.Snaplen]
		}
		s.seq++
		b.Packets = b.Packets[:n+1]
		b.Packets[n] = capture.Packet{
			Seq: s.seq, Time: r.rec.time, Data: data, WireLen: r.rec.wire + uint32(grown), //nolint:gosec // at most 24
			Link: d.layout.link, Iface: d.number, Loc: capture.Loc{Off: capture.NotKept},
		}
		at = max(at, r.rec.time)
		r.have = false
		n++
	}
	d.received.Add(uint64(n - begun)) //nolint:gosec // not negative
	return at
}

// quiet is a time before which no packet will come.
func (s *Source) quiet(wall int64) int64 {
	at := wall
	for _, d := range s.devices {
		for _, r := range d.rings {
			if r.ready(wall) {
				at = min(at, r.rec.time)
			} else {
				at = min(at, r.quiet(wall))
			}
		}
	}
	return at
}

// follow looks after interfaces that come and go, when it is time to.
func (s *Source) follow(wall int64) {
	every := followEvery
	if s.missing {
		every = missedEvery
	}
	if s.stopped.Load() {
		return
	}
	if since := wall - s.followed; !s.look && since >= 0 && since < int64(every) {
		return
	}
	s.followed, s.missing, s.look = wall, false, false
	for _, d := range s.devices {
		if !d.follow(wall) {
			s.missing = true
		}
	}
}

// wait sleeps until a ring has a block, somebody calls, or it is time for a tick.
func (s *Source) wait(ctx context.Context, pending bool) error {
	timeout := tickEvery
	if pending {
		timeout = mergeEvery
	}
	if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, s.rouse)
		defer stop()
	}
	n, err := unix.EpollWait(s.poll, s.events[:], int(timeout.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for packets: %w", err)
	}
	for i := range s.events[:max(n, 0)] {
		ev := &s.events[i]
		if int(ev.Fd) == s.wake {
			var count [8]byte
			_, _ = unix.Read(s.wake, count[:])
		} else if ev.Events&unix.EPOLLERR != 0 {
			s.look = true // its interface went down
			s.settle(int(ev.Fd))
		}
	}
	return nil
}

// settle takes the error of a ring's socket.
func (s *Source) settle(fd int) {
	for _, d := range s.devices {
		for _, r := range d.rings {
			if r.fd == fd {
				_ = r.pending()
			}
		}
	}
}

// rouse ends the wait of Next.
func (s *Source) rouse() {
	s.waking.Lock()
	defer s.waking.Unlock()
	if s.wake >= 0 {
		one := [8]byte{}
		one[0], one[7] = 1, 1 // not zero in either byte order
		_, _ = unix.Write(s.wake, one[:])
	}
}

// Stop ends the capture without losing what has arrived: Next gives it, then io.EOF.
func (s *Source) Stop() {
	s.stopped.Store(true)
	for _, d := range s.devices {
		d.stop()
	}
	s.rouse()
}

// Close ends the capture at once. It waits for a Next under way, which gives io.EOF.
func (s *Source) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.rouse()
	s.reading.Lock()
	defer s.reading.Unlock()
	for _, d := range s.devices {
		d.close()
	}
	s.waking.Lock()
	defer s.waking.Unlock()
	for _, fd := range []*int{&s.control, &s.poll, &s.wake} {
		if *fd >= 0 {
			_ = unix.Close(*fd)
		}
		*fd = -1
	}
	return nil
}
