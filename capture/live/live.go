// Package live reads packets from network interfaces.
//
//	kernel ─▶ ring of blocks, one or more an interface ─▶ walker ─▶ merge by time ─▶ capture.Batch
//	              ▲                                                                      │ Release
//	              └────────────── a block that no batch holds is the kernel's again ─────┘
//
// On Linux it is pure Go: a packet socket with a memory-mapped TPACKET_V3 ring (packet(7),
// Documentation/networking/packet_mmap.rst). Packets are slices of the ring; nothing is copied. The ring is the only
// buffer: when its reader is slow, the kernel drops and counts. With the build tag libpcap the same Source reads
// through libpcap instead, on any system that has it. Other builds give ErrUnsupported.
//
// It does not decode, write, or decide what to keep: a filter is a program that the caller brings.
//
// Ownership: a Source is read by one goroutine; Stats, Stop and Close may be called by any. Packets belong to their
// batch; they stay valid until its Release, after Close too.
package live

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/bpf"

	"sipscope/capture"
)

// Any is the name that stands for all interfaces, those to come included. Its packets have the link type LinkSLL2.
const Any = "any"

// Sizes that hold where Options are silent.
const (
	// DefaultBuffer holds 100,000 packets of 700 bytes a second, each with 100 bytes of the kernel's beside it, for 0.8 s:
	// longer than a collection of garbage or a slow disk makes the reader wait.
	DefaultBuffer = 64 << 20
	// DefaultSnaplen is as much as any frame has, those that the kernel joined (GRO) included.
	DefaultSnaplen = 262144
	// MaxRings is the most rings that a device may have.
	MaxRings = 64
)

// tickEvery is how long Next waits for packets before it gives an empty batch.
const tickEvery = 10 * time.Millisecond

// setBackMin is by how much the clock must be behind the time reached to count as set back. What is less is a clock
// being slewed, or processors that disagree: the time reached waits for it.
const setBackMin = time.Second

// Options say what to capture.
type Options struct {
	Devices     []string // interface names, or Any; at least one, none twice
	Promiscuous bool     // also what is addressed to others
	Snaplen     int      // bytes kept of a frame; 0 means everything (DefaultSnaplen)
	// Buffer is the bytes of ring memory in all, over all devices and rings; 0 means DefaultBuffer. Each ring has at least
	// half a MiB.
	Buffer int
	// Rings is how many rings each device has, joined by PACKET_FANOUT: the kernel deals packets out by the hash of their
	// flow, both directions to the same ring, and joins IP fragments before it does so. 0 and 1 mean one, without joining.
	Rings int
	// Filter gives the program that decides in the kernel which packets of a link type are kept; nil keeps all. It sees
	// packets as they are in files of that link type, but without the outermost VLAN tag, which the kernel has taken off
	// (SKF_AD_VLAN_TAG). An error that is ErrFilter says that the kernel cannot run it for that link type.
	Filter func(link capture.LinkType) ([]bpf.RawInstruction, error)
	Now    func() time.Time // the edge's clock, for ticks; required
}

// Stats are what one device has done since Open.
type Stats struct {
	Device        string
	Link          capture.LinkType
	Up            bool   // the interface is there and up
	Received      uint64 // packets given by Next
	KernelDropped uint64 // packets that found the ring full
	Freezes       uint64 // times that the ring became full
	Damaged       uint64 // packets that were not where the ring said; a bug of the kernel, and never seen
	Reopened      uint64 // times that the interface came back under its name as a new one
	Note          string // why the device gives nothing, or empty
}

// Errors that a caller decides on.
var (
	// ErrUnsupported says that this build cannot capture on this system.
	ErrUnsupported = errors.New("live capture is not supported by this build")
	// ErrFilter says that a filter cannot run in the kernel; on packets that were given it can.
	ErrFilter = errors.New("the kernel cannot run this filter")
)

// PermissionError says that the system did not allow to capture.
type PermissionError struct {
	Device string
	Err    error // of the system call
}

// Error is one line that names the capability.
func (e *PermissionError) Error() string {
	return e.Device + ": not allowed to capture: it needs the capability CAP_NET_RAW"
}

// Unwrap gives what the system said; errors.Is(err, fs.ErrPermission) holds.
func (e *PermissionError) Unwrap() error { return e.Err }

// NotFoundError says that there is no interface of a name.
type NotFoundError struct {
	Device string
	Names  []string // those that there are
}

// Error is one line with the names that there are.
func (e *NotFoundError) Error() string {
	s := e.Device + ": no such interface"
	if len(e.Names) == 0 {
		return s
	}
	return s + "; there are " + strings.Join(e.Names, ", ")
}

// check fills in what holds where o is silent.
func (o *Options) check() error {
	if len(o.Devices) == 0 {
		return errors.New("no interface to capture from")
	}
	if o.Now == nil {
		return errors.New("live.Options.Now is required")
	}
	seen := make(map[string]bool, len(o.Devices))
	for _, d := range o.Devices {
		if d == "" {
			return errors.New("an interface needs a name")
		}
		if seen[d] {
			return fmt.Errorf("%s: named twice", d)
		}
		seen[d] = true
	}
	switch {
	case len(o.Devices) > 256:
		return fmt.Errorf("%d interfaces, at most 256 are possible", len(o.Devices))
	case o.Snaplen < 0:
		return fmt.Errorf("snaplen %d: must not be negative", o.Snaplen)
	case o.Buffer < 0:
		return fmt.Errorf("buffer of %d bytes: must not be negative", o.Buffer)
	case o.Rings < 0 || o.Rings > MaxRings:
		return fmt.Errorf("%d rings: 1 to %d are possible", o.Rings, MaxRings)
	}
	if o.Snaplen == 0 || o.Snaplen > DefaultSnaplen {
		o.Snaplen = DefaultSnaplen
	}
	if o.Buffer == 0 {
		o.Buffer = DefaultBuffer
	}
	o.Rings = max(o.Rings, 1)
	return nil
}

// window is how long a packet may be in the kernel before it is handed over: a buffer's time (5 ms, and older kernels
// look at every second expiry), rounded up to the kernel's own ticks (4 ms at 250 Hz) twice.
const window = 20 * time.Millisecond

// reached is the packet time that a source has reached, which goes back only with the clock.
type reached struct {
	now  int64 // nanoseconds since 1970-01-01 UTC; 0 before the first batch
	back int64 // when the clock was first found to be set back; 0 while it is not
}

// stamp sets the time of a batch that reaches until at, when the clock shows wall. The time goes back once all packets
// of before the setting back have come.
func (r *reached) stamp(b *capture.Batch, at, wall int64) {
	switch {
	case !before(r.now, wall):
		r.back = 0
	case r.back == 0 || wall < r.back:
		r.back = wall
	case !before(at, wall) && wall-r.back >= int64(window):
		b.SetBack = at < r.now
		r.now, r.back = at, 0
	}
	r.now = max(r.now, at)
	b.Now = r.now
}

// before tells that a time is of before the clock was set back.
func before(at, wall int64) bool { return at-wall > int64(setBackMin) }
