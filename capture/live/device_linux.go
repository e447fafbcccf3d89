//go:build !libpcap

package live

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// device is an interface, or all of them, and its rings. The goroutine of Next owns it, except what mu guards.
type device struct {
	name    string
	number  uint16 // in Options.Devices
	options *Options
	bytes   int // of each ring
	control int // a socket to ask about interfaces with
	poll    int // the epoll that hears of packets

	index  int // of the interface that the rings are bound to; 0 for all
	layout layout
	rings  []*ring
	// spare is a socket for the day when the interface comes back and the privilege to make one is gone: those of a
	// group cannot be bound again. Negative when there is none.
	spare int
	alone bool // the rings are one, and not in a group: it can be bound again

	received atomic.Uint64
	mu       sync.Mutex // over the rest and the closing of rings
	stats    Stats
}

// state is what the system says of an interface of a name.
type state struct {
	index  int // 0 for none
	up     bool
	hatype uint16
}

// look asks about an interface. A name that is too long is one that does not exist.
func look(control int, name string) (state, error) {
	if name == Any {
		return state{up: true}, nil
	}
	var st state
	q, err := unix.NewIfreq(name)
	if err != nil {
		return st, unix.ENODEV
	}
	if err := unix.IoctlIfreq(control, unix.SIOCGIFINDEX, q); err != nil {
		return st, err
	}
	st.index = int(q.Uint32())
	if err := unix.IoctlIfreq(control, unix.SIOCGIFFLAGS, q); err != nil {
		return st, err
	}
	st.up = q.Uint16()&unix.IFF_UP != 0
	if err := unix.IoctlIfreq(control, unix.SIOCGIFHWADDR, q); err != nil {
		return st, err
	}
	st.hatype = q.Uint16() // sockaddr.sa_family
	return st, nil
}

// layout is that of the interface.
func (st state) layout() layout {
	if st.index == 0 {
		return layout{link: capture.LinkSLL2, cooked: true}
	}
	return layoutOf(st.hatype)
}

// renamed tells whether an interface lives on under another name.
func renamed(control, index int) bool {
	q, err := unix.NewIfreq("")
	if err != nil || index == 0 {
		return false
	}
	q.SetUint32(uint32(index)) //nolint:gosec // the kernel's own number
	return unix.IoctlIfreq(control, unix.SIOCGIFNAME, q) == nil
}

// begin opens the device for the first time.
func (d *device) begin() error {
	d.spare, d.alone = -1, d.options.Rings == 1
	st, err := look(d.control, d.name)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) {
		return notFound(d.name)
	}
	if err == nil {
		err = d.start(st)
	}
	if err == nil && d.options.Rings > 1 {
		d.spare, err = newSocket(d.layout)
	}
	return d.wrap(err)
}

// wrap gives an error the device's name.
func (d *device) wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		return &PermissionError{Device: d.name, Err: err}
	}
	return fmt.Errorf("%s: %w", d.name, err)
}

// start makes the device's rings and puts them on the interface; on an error there are none. A group of rings can only
// be made of an interface that is up, so for one that is down there are none yet either.
func (d *device) start(st state) error {
	l := st.layout()
	prog, err := program(l, d.options.Filter, d.options.Snaplen)
	if err != nil {
		return err
	}
	if d.options.Rings == 1 || st.up {
		err = d.startRings(st, l, prog)
	}
	if err != nil {
		d.shut()
		return err
	}
	d.index, d.layout = st.index, l
	d.say(st.up, "the interface is down", l.link)
	return nil
}

// say tells Stats what the device is doing; why holds when it is not up.
func (d *device) say(up bool, why string, link capture.LinkType) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if up {
		why = ""
	}
	d.stats.Up, d.stats.Note, d.stats.Link = up, why, link
}

// startRings makes the rings. None receives before all are in their group, or each would receive everything.
func (d *device) startRings(st state, l layout, prog []unix.SockFilter) error {
	n, group := d.options.Rings, 0
	for range n {
		r, err := newRing(l, -1, d.bytes)
		if denied(err) && len(d.rings) == 0 && d.spare >= 0 && l.cooked == d.layout.cooked {
			r, err = newRing(l, d.spare, d.bytes*n)
			d.spare, d.alone, n = -1, true, 1
		}
		if err != nil {
			return err
		}
		d.mu.Lock()
		d.rings = append(d.rings, r)
		d.mu.Unlock()
		if err = d.put(r, st); err != nil {
			return err
		}
		if n == 1 {
			break
		}
		if group, err = r.fanout(group); err != nil {
			return err
		}
	}
	for _, r := range d.rings {
		if err := attach(r.fd, prog); err != nil {
			return err
		}
	}
	return nil
}

// put binds a ring to the interface.
func (d *device) put(r *ring, st state) error {
	if err := r.bind(st.index); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if st.hatype == unix.ARPHRD_LOOPBACK && st.index != 0 {
		// Kernels that do not know this give the copies of what goes out, and they are skipped when read.
		_ = unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)
	}
	if d.options.Promiscuous && st.index != 0 {
		if err := r.promiscuous(st.index); err != nil {
			return fmt.Errorf("promiscuous mode: %w", err)
		}
	}
	_ = r.pending() // that the interface is down is known from its state
	return d.hear(r)
}

// hear adds a ring to the epoll, edge triggered: a block that a batch holds would make it readable for ever.
func (d *device) hear(r *ring) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLERR | epollET, Fd: int32(r.fd)} //nolint:gosec // a descriptor
	err := unix.EpollCtl(d.poll, unix.EPOLL_CTL_ADD, r.fd, &ev)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// epollET is EPOLLET, which x/sys has as a negative number on some systems.
const epollET = 1 << 31

// shut closes the rings, and counts what they dropped.
func (d *device) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count()
	for _, r := range d.rings {
		d.stats.Damaged += r.lost.Load()
		// A mapping keeps the socket alive: closing does not take it out of the epoll.
		_ = unix.EpollCtl(d.poll, unix.EPOLL_CTL_DEL, r.fd, nil)
		r.shut()
	}
	d.rings = nil
}

// stop makes the rings receive no more; any goroutine may call.
func (d *device) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.rings {
		_ = r.mute() // it replaces a program that was taken
	}
}

// close is the end of the device.
func (d *device) close() {
	d.shut()
	d.say(false, "closed", d.layout.link)
	if d.spare >= 0 {
		_ = unix.Close(d.spare)
		d.spare = -1
	}
}

// count adds up the kernel's counters, which reading clears; mu is held.
func (d *device) count() {
	for _, r := range d.rings {
		dropped, freezes, err := r.drops()
		if err == nil {
			d.stats.KernelDropped += dropped
			d.stats.Freezes += freezes
		}
	}
}

// figures is a copy of the device's figures of now; any goroutine may ask.
func (d *device) figures() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count()
	st := d.stats
	st.Received = d.received.Load()
	for _, r := range d.rings {
		st.Damaged += r.lost.Load()
	}
	return st
}

// follow looks after an interface that comes and goes, and tells whether it is there.
func (d *device) follow(wall int64) bool {
	if d.name == Any {
		return true
	}
	st, err := look(d.control, d.name)
	switch {
	case err != nil && renamed(d.control, d.index):
		d.say(true, "", d.layout.link)
		return true
	case err != nil:
		d.say(false, "the interface is gone", d.layout.link)
		return false
	case len(d.rings) == 0 && !st.up:
		d.say(false, "the interface is down", d.layout.link)
		return false
	case len(d.rings) > 0 && st.index == d.index:
		d.say(st.up, "the interface is down", d.layout.link)
		return st.up // the kernel goes on by itself when it is
	}
	for _, r := range d.rings {
		if r.ready(wall) {
			return false // what the old one brought comes first
		}
	}
	first := len(d.rings) == 0 && d.index == st.index
	if err := d.restart(st); err != nil {
		d.say(false, d.wrap(err).Error(), d.layout.link)
		return false
	}
	if !first {
		d.mu.Lock()
		d.stats.Reopened++
		d.mu.Unlock()
	}
	return st.up
}

// restart puts the device on a new interface of its name. A lone ring is bound again, which needs no privilege: it may
// have been dropped since.
func (d *device) restart(st state) error {
	l := st.layout()
	if len(d.rings) == 1 && l == d.layout && d.alone {
		if err := d.put(d.rings[0], st); err != nil {
			return err
		}
		d.index = st.index
		d.say(st.up, "the interface is down", l.link)
		return nil
	}
	d.shut()
	return d.start(st)
}
