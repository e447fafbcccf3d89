package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpSlots is how many datagrams one system call moves.
const udpSlots = 32

// Bytes of control messages a datagram may bring or take: struct in6_pktinfo, and its header, on any word size.
const controlBytes = 64

// mmsghdr is struct mmsghdr of recvmmsg(2); the compiler pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// vectors are the arrays that recvmmsg and sendmmsg take. They point into each other and must not be copied.
type vectors struct {
	hdr  [udpSlots]mmsghdr
	iov  [udpSlots]unix.Iovec
	name [udpSlots]unix.RawSockaddrInet6 // RawSockaddrInet4 fits into it
	oob  [udpSlots][controlBytes]byte
}

// udpBatch is what one call received.
type udpBatch struct {
	ln    *listener
	n     int
	grams [udpSlots]datagram
	free  chan *udpBatch // where it goes when it has been handled; nil: it is the loop's
	buf   []byte         // udpSlots of slotBytes
	v     vectors
}

func newUDPBatch(l *listener, free chan *udpBatch) *udpBatch {
	b := &udpBatch{ln: l, free: free, buf: make([]byte, udpSlots*slotBytes)}
	for i := range udpSlots {
		b.v.iov[i].Base = &b.buf[i*slotBytes]
		b.v.iov[i].SetLen(slotBytes)
		h := &b.v.hdr[i].hdr
		h.Iov = &b.v.iov[i]
		h.SetIovlen(1)
	}
	return b
}

// udpSocket is a bound socket. One goroutine reads, another (the loop) sends.
type udpSocket struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	local netip.AddrPort
	wild  bool // bound to all addresses: each datagram tells which one it came to

	// of the reader
	batch   *udpBatch
	readErr error
	waiting bool // readFn waits for datagrams
	readFn  func(fd uintptr) bool

	// of the sender
	v      vectors
	out    []byte // the texts of the queue
	queued int    // slots in use
	done   int    // slots that were sent
	sendTo [udpSlots]queued
	sendN  int
	sendFn func(fd uintptr) bool
	wait   bool // sendFn waits until the socket takes more
	sent   syscall.Errno
}

// queued is who wants to know about a queued datagram.
type queued struct {
	hop Hop
	tag uint64
}

// outBytes is how many bytes wait for a flush at most. One datagram always fits.
const outBytes = 128 << 10

// openUDP binds a socket. The kernel is asked to report what ICMP says about datagrams sent (IP_RECVERR), and, when it is
// bound to all addresses, which one each datagram came to (IP_PKTINFO). Neither is needed to go on.
func openUDP(at netip.AddrPort, size int) (*udpSocket, error) {
	conn, err := net.ListenUDP(network("udp", at.Addr()), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	s := &udpSocket{conn: conn, raw: raw, local: addrPortOf(conn.LocalAddr()), out: make([]byte, 0, outBytes)}
	s.wild = s.local.Addr().IsUnspecified()
	_ = conn.SetReadBuffer(size)
	_ = conn.SetWriteBuffer(size)
	_ = raw.Control(func(fd uintptr) { s.tune(int(fd), size) })
	for i := range udpSlots {
		h := &s.v.hdr[i].hdr
		h.Iov = &s.v.iov[i]
		h.SetIovlen(1)
	}
	s.readFn, s.sendFn = s.recvmmsg, s.sendmmsg
	return s, nil
}

func (s *udpSocket) tune(fd, size int) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) // beyond the limit for all, when we may
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, size)
	if s.local.Addr().Is4() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		if s.wild {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
	if s.wild {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
}

func (s *udpSocket) close() error { return s.conn.Close() }

// readDrops sets how many datagrams found the receive buffer full.
func (s *udpSocket) readDrops(count *counters) {
	const drops = 8 // SK_MEMINFO_DROPS of linux/sock_diag.h
	_ = s.raw.Control(func(fd uintptr) {
		var info [9]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size >= (drops+1)*4 {
			count.kernel.Store(uint64(info[drops]))
		}
	})
}

// read fills b with the datagrams there are; with wait, it waits for the first until the socket's deadline. undelivered is
// told what ICMP says of datagrams that were sent.
func (s *udpSocket) read(b *udpBatch, wait bool, undelivered bouncer) outcome {
	s.batch, s.waiting = b, wait
	for {
		for i := range udpSlots {
			h := &b.v.hdr[i].hdr
			h.Name = (*byte)(unsafe.Pointer(&b.v.name[i]))
			h.Namelen = unix.SizeofSockaddrInet6
			if s.wild {
				h.Control = &b.v.oob[i][0]
				h.SetControllen(controlBytes)
			}
		}
		if err := s.raw.Read(s.readFn); errors.Is(err, os.ErrDeadlineExceeded) {
			b.n = 0
			return readNothing
		} else if err != nil {
			return readClosed
		}
		if s.readErr == nil {
			if b.n == 0 && wait {
				continue // interrupted
			}
			break
		}
		// The error of an earlier datagram, which is to be told now, or something passing such as a lack of memory.
		if s.drainErrors(undelivered) {
			b.n = 0
			return readNothing
		}
		time.Sleep(time.Millisecond) // never spin
	}
	for i := range b.n {
		s.take(b, i)
	}
	if b.n == 0 {
		return readNothing
	}
	return readSome
}

// recvmmsg is the system call; it reports false when there is nothing yet.
func (s *udpSocket) recvmmsg(fd uintptr) bool {
	b := s.batch
	b.n, s.readErr = 0, nil
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.v.hdr[0])),
		udpSlots, unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		b.n = min(int(n), udpSlots)
	case unix.EAGAIN:
		return !s.waiting
	case unix.EINTR:
	default:
		s.readErr = errno
	}
	return true
}

// take makes a datagram of what slot i received.
func (s *udpSocket) take(b *udpBatch, i int) {
	d, h := &b.grams[i], &b.v.hdr[i]
	d.size = min(int(h.n), slotBytes)
	d.remote = sockaddr(&b.v.name[i])
	d.local = netip.Addr{}
	if s.wild {
		d.local = packetInfo(b.v.oob[i][:min(int(h.hdr.Controllen), controlBytes)]) //nolint:gosec // bounded
	}
	text := b.buf[i*slotBytes : i*slotBytes+d.size]
	if h.hdr.Flags&unix.MSG_TRUNC != 0 || !d.remote.IsValid() {
		d.kind = isOther
		return
	}
	d.parse(text)
}

// sockaddr reads an address that the kernel wrote.
func sockaddr(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := ntohs(sa.Port)
	switch sa.Family {
	case unix.AF_INET:
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), port)
	case unix.AF_INET6:
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.FormatUint(uint64(sa.Scope_id), 10))
		}
		return netip.AddrPortFrom(addr, port)
	default:
		return netip.AddrPort{}
	}
}

// setSockaddr writes an address for the kernel and gives its length; 0 for one of the other family.
func setSockaddr(sa *unix.RawSockaddrInet6, to netip.AddrPort, v4 bool) uint32 {
	if to.Addr().Is4() != v4 || !to.IsValid() {
		return 0
	}
	if v4 {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*sa4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: ntohs(to.Port()), Addr: to.Addr().As4()}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{
		Family: unix.AF_INET6, Port: ntohs(to.Port()), Addr: to.Addr().As16(), Scope_id: scope(to.Addr().Zone()),
	}
	return unix.SizeofSockaddrInet6
}

// scope is the index of an interface that a zone names, by number or name.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	ifc, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(ifc.Index) //nolint:gosec // positive
}

// ntohs turns a port between the order of the network and that of the host.
func ntohs(v uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], v)
	return binary.BigEndian.Uint16(b[:])
}

// queue takes a datagram for the next flush; false says that there is no room before one.
func (s *udpSocket) queue(to netip.AddrPort, source netip.Addr, text []byte, hop Hop, tag uint64) bool {
	if s.queued == udpSlots || s.queued > 0 && len(s.out)+len(text) > cap(s.out) {
		return false
	}
	i := s.queued
	from := len(s.out)
	s.out = append(s.out, text...) // never grows: a datagram is smaller than outBytes
	h := &s.v.hdr[i].hdr
	h.Name = (*byte)(unsafe.Pointer(&s.v.name[i]))
	h.Namelen = setSockaddr(&s.v.name[i], to, s.local.Addr().Is4())
	s.v.iov[i].Base = nil
	if len(text) > 0 {
		s.v.iov[i].Base = &s.out[from]
	}
	s.v.iov[i].SetLen(len(text))
	h.Control = nil
	h.SetControllen(0)
	if source.IsValid() {
		h.Control = &s.v.oob[i][0]
		h.SetControllen(setPacketInfo(&s.v.oob[i], source))
	}
	s.sendTo[i] = queued{hop: hop, tag: tag}
	s.queued++
	return true
}

// flush sends what is queued, and tells what could not be sent. The system reports what ICMP said of an earlier datagram
// as the error of the next call, or only by sending fewer than it was given; bounced is told then whom that was for.
func (s *udpSocket) flush(undelivered func(hop Hop, tag uint64, err error), bounced bouncer) {
	if s.queued == 0 {
		return
	}
	s.done = 0
	tries := 0 // of the one whose turn it is
	for s.done < s.queued {
		s.wait, s.sent, s.sendN = false, 0, 0
		err := s.raw.Write(s.sendFn)
		if err == nil && s.sent == unix.EAGAIN {
			err = s.waitToSend()
		}
		s.done += s.sendN
		if err == nil && s.done < s.queued {
			s.drainErrors(bounced)
		}
		switch {
		case err == nil && s.sent == 0:
			tries = 0
		case err == nil && tries < sendTries:
			tries++ // the error may be another's, which is reported once
		default:
			s.giveUp(err, undelivered)
			tries = 0
		}
	}
	s.queued, s.out = 0, s.out[:0]
}

// sendTries is how often a datagram is tried again before an error is taken for its own. Each try takes one error of
// others off the socket; that more than these arrive in between is not to be expected.
const sendTries = 4

// giveUp tells that the datagram whose turn it is was not sent. What finds no room in the system is lost as it may be on
// the wire: it is counted, and no reason to give up for whom it was.
func (s *udpSocket) giveUp(err error, undelivered func(hop Hop, tag uint64, err error)) {
	to := &s.sendTo[s.done]
	s.done++
	if s.sent == unix.ENOBUFS || s.sent == unix.EAGAIN {
		to.tag = 0
	}
	if err == nil {
		err = os.NewSyscallError("sendmmsg", s.sent)
	}
	undelivered(to.hop, to.tag, err)
}

// sendPatience is how long the loop waits for an interface to take what is queued before it gives up a datagram.
const sendPatience = 100 * time.Millisecond

// waitToSend sends when the socket takes more.
func (s *udpSocket) waitToSend() error {
	s.wait = true
	_ = s.conn.SetWriteDeadline(time.Now().Add(sendPatience))
	err := s.raw.Write(s.sendFn)
	_ = s.conn.SetWriteDeadline(time.Time{})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.sent = unix.EAGAIN
	}
	return err
}

// sendmmsg is the system call; it reports false to be called again when the socket takes more.
func (s *udpSocket) sendmmsg(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd,
		uintptr(unsafe.Pointer(&s.v.hdr[s.done])),
		uintptr(s.queued-s.done), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	s.sent, s.sendN = errno, 0
	if errno == 0 {
		s.sendN = max(1, int(n))
	}
	return errno != unix.EAGAIN || !s.wait
}
