//go:build libpcap

package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcap"

	"sipscope/capture"
)

const (
	// minBuffer is the least buffer of a device, in bytes.
	minBuffer = 512 << 10
	// parcels is how many batches of a device may be on their way.
	parcels = 16
	// countEvery is how often libpcap's counters are read.
	countEvery = 100 * time.Millisecond
)

// Source is interfaces being captured through libpcap. It implements capture.Source. Each interface is read by a
// goroutine of its own, and packets are copied. Packets of several interfaces come in the order in which libpcap hands
// them over, which is that of time within some ms. Options.Rings has no effect, and an interface that is gone does not
// come back.
type Source struct {
	options Options
	devices []*device
	full    chan *parcel
	done    chan struct{} // closed by Stop and Close
	ended   chan struct{} // closed when no device reads any more
	ending  sync.Once
	closed  chan struct{} // closed by Close
	closing sync.Once
	reached reached
	seq     uint64
}

var _ capture.Source = (*Source)(nil)

// device is one interface; its goroutine owns it, except what mu guards.
type device struct {
	name   string
	number uint16
	handle *pcap.Handle
	link   capture.LinkType
	memory *capture.Memory
	free   chan *parcel

	received atomic.Uint64
	mu       sync.Mutex
	stats    Stats
}

// parcel is a batch on its way from a device to Next.
type parcel struct {
	device *device
	batch  capture.Batch
	at     int64 // the highest time in it
}

// Open begins to capture. Errors: *PermissionError, *NotFoundError, or what libpcap or Options.Filter said.
func Open(o Options) (*Source, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Source{
		options: o, full: make(chan *parcel), done: make(chan struct{}), ended: make(chan struct{}),
		closed: make(chan struct{}),
	}
	for i, name := range o.Devices {
		d, err := s.open(name, uint16(i))
		if err != nil {
			for _, d := range s.devices {
				d.handle.Close()
			}
			return nil, err
		}
		s.devices = append(s.devices, d)
	}
	var wg sync.WaitGroup
	for _, d := range s.devices {
		wg.Go(func() { s.read(d) })
	}
	go func() {
		wg.Wait()
		close(s.ended)
	}()
	return s, nil
}

// open makes libpcap's handle of a device.
func (s *Source) open(name string, number uint16) (*device, error) {
	in, err := pcap.NewInactiveHandle(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer in.CleanUp()
	err = errors.Join(
		in.SetSnapLen(s.options.Snaplen),
		in.SetPromisc(s.options.Promiscuous && name != Any),
		in.SetTimeout(tickEvery),
		in.SetBufferSize(max(s.options.Buffer/len(s.options.Devices), minBuffer)),
	)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	h, err := in.Activate()
	if err != nil {
		return nil, activation(name, err)
	}
	d := &device{
		name: name, number: number, handle: h, link: linkOf(h.LinkType()),
		memory: capture.NewMemory(0), free: make(chan *parcel, parcels),
	}
	d.stats = Stats{Device: name, Link: d.link, Up: true}
	for range parcels {
		d.free <- &parcel{device: d}
	}
	if err := s.filter(d); err != nil {
		h.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

// activation is the error of a device that does not open. The values of libpcap are not exported by its wrapper.
func activation(name string, err error) error {
	switch err.Error() {
	case "No Such Device":
		return notFound(name)
	case "Permission Denied":
		return &PermissionError{Device: name, Err: fs.ErrPermission}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// linkOf is the LINKTYPE_ of a DLT_ number, which are the same but for bare IP.
func linkOf(dlt layers.LinkType) capture.LinkType {
	// 12 is DLT_RAW, but DLT_LOOP on OpenBSD, where DLT_RAW is 14.
	switch {
	case dlt == 12 && runtime.GOOS == "openbsd":
		return capture.LinkLoop
	case dlt == 12 || dlt == 14:
		return capture.LinkRaw
	}
	return capture.LinkType(dlt)
}

// filter attaches the caller's program.
func (s *Source) filter(d *device) error {
	if s.options.Filter == nil {
		return nil
	}
	raw, err := s.options.Filter(d.link)
	if err != nil {
		return err
	}
	prog := make([]pcap.BPFInstruction, len(raw))
	for i, in := range raw {
		prog[i] = pcap.BPFInstruction{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	if err := d.handle.SetBPFInstructionFilter(prog); err != nil {
		return fmt.Errorf("%w: %w", ErrFilter, err)
	}
	return nil
}

// read is the goroutine of a device.
func (s *Source) read(d *device) {
	defer d.handle.Close()
	defer d.memory.Close()
	var counted time.Time
	for {
		var p *parcel
		select {
		case p = <-d.free:
		case <-s.done:
			return
		}
		err := d.fill(p)
		if now := s.options.Now(); err != nil || now.Sub(counted).Abs() >= countEvery {
			d.count(err)
			counted = now
		}
		if len(p.batch.Packets) == 0 {
			d.free <- p // there is room, it was taken from there
		} else {
			select {
			case s.full <- p:
			case <-s.closed:
				p.batch.Release()
				return
			}
		}
		select {
		case <-s.done:
			return
		default:
		}
		if err != nil {
			return
		}
	}
}

// fill reads what is there, at most a batch, waiting for the first packet for a tick.
func (d *device) fill(p *parcel) error {
	b := &p.batch
	p.at = math.MinInt64
	for len(b.Packets) < capture.MaxBatch {
		data, ci, err := d.next()
		if errors.Is(err, pcap.NextErrorTimeoutExpired) {
			return nil
		}
		if err != nil {
			return err
		}
		own := d.memory.Bytes(b, len(data))
		copy(own, data)
		at := ci.Timestamp.UnixNano()
		p.at = max(p.at, at)
		b.Packets = append(b.Packets, capture.Packet{
			Time: at, Data: own, WireLen: uint32(max(ci.Length, len(own))), //nolint:gosec // 32 bits in libpcap too
			Link: d.link, Iface: d.number, Loc: capture.Loc{Off: capture.NotKept},
		})
	}
	return nil
}

func (d *device) next() ([]byte, gopacket.CaptureInfo, error) {
	return d.handle.ZeroCopyReadPacketData()
}

// count reads libpcap's counters, and notes what ended the reading.
func (d *device) count(end error) {
	st, err := d.handle.Stats()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.stats.KernelDropped = uint64(max(st.PacketsDropped, 0)) + uint64(max(st.PacketsIfDropped, 0))
	}
	if end != nil {
		d.stats.Up, d.stats.Note = false, end.Error()
	}
}

// Devices are the names, in the order of Packet.Iface.
func (s *Source) Devices() []string { return s.options.Devices }

// Stats tells of each device, in the order of Devices. Any goroutine may ask, after Close too.
func (s *Source) Stats() []Stats {
	list := make([]Stats, len(s.devices))
	for i, d := range s.devices {
		d.mu.Lock()
		list[i] = d.stats
		d.mu.Unlock()
		list[i].Received = d.received.Load()
	}
	return list
}

// Next implements capture.Source. It waits for packets for about 10 ms; then it gives an empty batch whose Now follows
// the clock. io.EOF comes after Close, or when all was given after Stop, or when every interface has failed; a context
// that ends gives its cause, and Next may be called again.
func (s *Source) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Now = s.reached.now
	tick := time.NewTimer(tickEvery)
	defer tick.Stop()
	select {
	case <-s.closed:
		return io.EOF
	default:
	}
	select {
	case p := <-s.full:
		s.take(p, b)
		return nil
	case <-tick.C:
		wall := s.options.Now().UnixNano()
		s.reached.stamp(b, wall-2*int64(window), wall)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.closed:
		return io.EOF
	case <-s.ended:
		return io.EOF
	}
}

// take moves the packets of a parcel.
func (s *Source) take(p *parcel, b *capture.Batch) {
	*b, p.batch = p.batch, *b
	for i := range b.Packets {
		s.seq++
		b.Packets[i].Seq = s.seq
	}
	d := p.device
	d.received.Add(uint64(len(b.Packets)))
	s.reached.stamp(b, p.at, s.options.Now().UnixNano())
	d.free <- p
}

// Stop ends the capture: Next gives what libpcap has handed over, then io.EOF.
func (s *Source) Stop() { s.ending.Do(func() { close(s.done) }) }

// Close ends the capture at once, and waits until the interfaces are closed. Batches stay valid.
func (s *Source) Close() error {
	s.Stop()
	s.closing.Do(func() { close(s.closed) })
	<-s.ended
	return nil
}
