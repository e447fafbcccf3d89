//go:build !libpcap

package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The shape of rings. A block goes to the reader when it is full or when retireAfter has passed, and what is free in
// it then is lost until it comes back. So blocks are small: with 256 KiB the default ring has 256 of them, a pipeline
// that holds 16 batches of a slow line pins a sixteenth of it, and at 100,000 packets a second a block fills in 3 ms.
// They are large enough for the largest frame that the kernel joins.
const (
	maxBlock  = 256 << 10
	minBlock  = 128 << 10
	minBlocks = 4
	// retireAfter is in ms: half of a tick, so that a packet on a quiet line waits for at most two of them (older kernels
	// look at every second expiry).
	retireAfter = 5
)

// shape is the size and number of the blocks of a ring of about n bytes.
func shape(n int) (size, blocks int) {
	size = maxBlock
	for size > minBlock && n/size < 32 {
		size /= 2
	}
	return size, max(n/size, minBlocks)
}

// ring is a packet socket and the memory that it shares with the kernel. It has one owner; blocks may be released by
// any goroutine.
type ring struct {
	fd     int
	mem    []byte
	blocks []block
	users  atomic.Int32 // the owner and each block that is not the kernel's; the last one unmaps

	cursor int           // the block being read, or to be read next
	walk   walker        // of that block
	open   bool          // whether it is being read
	seen   int64         // wall time at which it was found
	rec    record        // the next packet
	have   bool          // whether rec is one
	lost   atomic.Uint64 // packets announced and not there

	promisc int // the interface asked to be promiscuous; 0 for none
}

// block is a block of a ring. It implements capture.Holder.
type block struct {
	ring *ring
	data []byte
	refs atomic.Int32
	out  atomic.Bool // the reader has it: its status does not say that it is new
	held uint64      // the last batch that holds it; the reader's
}

// Release implements capture.Holder: the last one gives the block back to the kernel.
func (k *block) Release() {
	if k.refs.Add(-1) != 0 {
		return
	}
	status(k.data).Store(unix.TP_STATUS_KERNEL)
	k.out.Store(false) // after the status, or the reader would take the block for a new one
	k.ring.leave()
}

// leave gives up a use of the memory.
func (r *ring) leave() {
	if r.users.Add(-1) == 0 {
		_ = unix.Munmap(r.mem) // fails only for memory that is none
	}
}

// newRing makes a socket of a layout that receives nothing yet. fd is a socket to use, or negative for a new one.
func newRing(l layout, fd, bytes int) (*ring, error) {
	if fd < 0 {
		var err error
		if fd, err = newSocket(l); err != nil {
			return nil, err
		}
	}
	r := &ring{fd: fd}
	if err := r.setup(l, bytes); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return r, nil
}

// newSocket makes a packet socket of protocol 0, which receives nothing until it is bound.
func newSocket(l layout) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, l.socketType()|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	return fd, nil
}

func (r *ring) setup(l layout, bytes int) error {
	if err := r.mute(); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("this kernel has no TPACKET_V3: %w", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_RESERVE, l.reserve()); err != nil {
		return fmt.Errorf("room before packets: %w", err)
	}
	size, n := shape(bytes)
	req := unix.TpacketReq3{
		Block_size: uint32(size), Block_nr: uint32(n), //nolint:gosec // at most what a person asked for
		Frame_size: minBlock, Frame_nr: uint32(n * (size / minBlock)), //nolint:gosec // as above
		Retire_blk_tov: retireAfter,
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return fmt.Errorf("ring of %d MiB: %w", size*n>>20, err)
	}
	mem, err := unix.Mmap(r.fd, 0, size*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("ring of %d MiB: %w", size*n>>20, err)
	}
	r.mem, r.blocks = mem, make([]block, n)
	for i := range r.blocks {
		r.blocks[i].ring = r
		r.blocks[i].data = mem[i*size : (i+1)*size : (i+1)*size]
	}
	r.users.Store(1)
	return nil
}

// bind makes the ring receive from an interface, or from all with 0.
func (r *ring) bind(index int) error {
	return unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index})
}

// networkOrder is v as bytes in network order.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// promiscuous asks the interface for what is addressed to others too, until the socket is closed.
func (r *ring) promiscuous(index int) error {
	r.promisc = index
	return r.member(unix.PACKET_ADD_MEMBERSHIP)
}

func (r *ring) member(option int) error {
	m := unix.PacketMreq{Ifindex: int32(r.promisc), Type: unix.PACKET_MR_PROMISC} //nolint:gosec // the kernel's own number
	return unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, option, &m)
}

// fanout joins a group of rings and gives its number; 0 makes a new group.
func (r *ring) fanout(group int) (int, error) {
	kind := uint32(unix.PACKET_FANOUT_HASH | unix.PACKET_FANOUT_FLAG_DEFRAG)
	if group == 0 {
		kind |= unix.PACKET_FANOUT_FLAG_UNIQUEID
	}
	v := int32(uint32(group) | kind<<16) //nolint:gosec // two numbers of 16 bits
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, int(v)); err != nil {
		return 0, fmt.Errorf("several rings (PACKET_FANOUT): %w", err)
	}
	if group != 0 {
		return group, nil
	}
	got, err := unix.GetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_FANOUT)
	if err != nil {
		return 0, fmt.Errorf("several rings (PACKET_FANOUT): %w", err)
	}
	return got & 0xffff, nil
}

// shut closes the socket. What batches hold stays mapped until they let go; the mapping keeps the socket alive too, so
// it is told to receive no more.
func (r *ring) shut() {
	_ = r.mute()
	if r.promisc != 0 {
		_ = r.member(unix.PACKET_DROP_MEMBERSHIP) // fails when the interface is gone
	}
	_ = unix.Close(r.fd)
	if r.open {
		r.open, r.have = false, false
		r.blocks[r.cursor].Release()
	}
	r.leave()
}

// mute makes the socket receive no more.
func (r *ring) mute() error { return attach(r.fd, keepNone()) }

// ready finds the next packet, which is then rec. wall is the time at hand.
func (r *ring) ready(wall int64) bool {
	for !r.have {
		k := &r.blocks[r.cursor]
		if !r.open {
			if k.out.Load() || status(k.data).Load()&unix.TP_STATUS_USER == 0 {
				return false
			}
			k.out.Store(true)
			k.refs.Store(1)
			r.users.Add(1)
			r.open, r.seen = true, wall
			r.walk.start(k.data)
		}
		if r.walk.next(&r.rec) {
			r.have = !r.rec.looped()
			continue
		}
		r.lost.Add(uint64(r.walk.left))
		r.open = false
		if r.cursor++; r.cursor == len(r.blocks) {
			r.cursor = 0
		}
		k.Release()
	}
	return true
}

// quiet is a time before which no packet will come that is not ready, when none is. It is exact where the block that the
// kernel fills is empty; else packets in it are younger than the time after which it would have been handed over.
func (r *ring) quiet(wall int64) int64 {
	if r.empty() {
		return wall - int64(stampMargin)
	}
	return wall - int64(window)
}

// empty tells that the kernel has nothing for the reader, when no packet is ready.
func (r *ring) empty() bool {
	k := &r.blocks[r.cursor]
	return !k.out.Load() && !waiting(k.data)
}

// drops reads and clears the kernel's counters.
func (r *ring) drops() (dropped, freezes uint64, err error) {
	st, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, 0, err
	}
	return uint64(st.Drops), uint64(st.Freeze_q_cnt), nil
}

// pending takes the socket's error: what happened to the interface, which later calls would report.
func (r *ring) pending() error {
	n, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || n == 0 {
		return err
	}
	return unix.Errno(n)
}

// denied tells the want of a privilege.
func denied(err error) bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) }
