package transport

import (
	"encoding/binary"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Control messages (cmsg(3)) begin with their length, a C size_t, then level and type, ints; each begins at a multiple of
// the word size.
const (
	cmsgHead = unix.SizeofCmsghdr
	cmsgWord = unix.SizeofLong
)

// control walks over control messages.
func control(oob []byte, each func(level, typ uint32, data []byte)) {
	for len(oob) >= cmsgHead {
		size := uint64(binary.NativeEndian.Uint32(oob))
		if cmsgWord == 8 {
			size = binary.NativeEndian.Uint64(oob)
		}
		if size < cmsgHead || size > uint64(len(oob)) {
			return
		}
		each(binary.NativeEndian.Uint32(oob[cmsgWord:]), binary.NativeEndian.Uint32(oob[cmsgWord+4:]), oob[cmsgHead:size])
		oob = oob[min(uint64(len(oob)), (size+cmsgWord-1)&^(cmsgWord-1)):]
	}
}

// packetInfo finds the address that a datagram came to: in_pktinfo{ifindex, spec_dst, addr} of ip(7), in6_pktinfo{addr,
// ifindex} of ipv6(7). spec_dst is the address to answer from, also when the datagram came to a broadcast address.
func packetInfo(oob []byte) (local netip.Addr) {
	control(oob, func(level, typ uint32, data []byte) {
		switch {
		case level == unix.IPPROTO_IP && typ == unix.IP_PKTINFO && len(data) >= 12:
			local = netip.AddrFrom4([4]byte(data[4:8]))
		case level == unix.IPPROTO_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= 20:
			local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
			if local.IsMulticast() {
				local = netip.Addr{}
			}
		}
	})
	return local
}

// setPacketInfo writes the control message that makes a datagram leave from source, and gives its length.
func setPacketInfo(oob *[controlBytes]byte, source netip.Addr) int {
	clear(oob[:])
	level, typ, size := uint32(unix.IPPROTO_IP), uint32(unix.IP_PKTINFO), 12
	data := oob[cmsgHead:]
	if source.Is4() {
		a := source.As4()
		copy(data[4:], a[:])
	} else {
		level, typ, size = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, 20
		a := source.As16()
		copy(data, a[:])
		binary.NativeEndian.PutUint32(data[16:], scope(source.Zone()))
	}
	if cmsgWord == 8 {
		binary.NativeEndian.PutUint64(oob[:], uint64(cmsgHead+size))
	} else {
		binary.NativeEndian.PutUint32(oob[:], uint32(cmsgHead+size))
	}
	binary.NativeEndian.PutUint32(oob[cmsgWord:], level)
	binary.NativeEndian.PutUint32(oob[cmsgWord+4:], typ)
	return (cmsgHead + size + cmsgWord - 1) &^ (cmsgWord - 1)
}

// quoteBytes is how many bytes of a datagram that did not arrive are looked at. ICMP quotes some 500 (RFC 1812 4.3.2.3), ICMPv6
// some 1,200 (RFC 4443 2.4).
const quoteBytes = 1280

// drainErrors reads what the kernel has queued about datagrams that were sent (IP_RECVERR), a bounded number of them, and
// tells each. It reports whether there was anything.
func (s *udpSocket) drainErrors(undelivered bouncer) bool {
	const most = 64
	found := false
	_ = s.raw.Control(func(fd uintptr) {
		var text [quoteBytes]byte
		var oob [512]byte
		for range most {
			n, oobn, _, from, err := unix.Recvmsg(int(fd), text[:], oob[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			found = true
			if errno := extendedError(oob[:oobn]); errno != 0 {
				undelivered(unixAddr(from), text[:n], os.NewSyscallError("icmp", errno))
			}
		}
	})
	return found
}

// extendedError finds the error in a sock_extended_err of ip(7): 0 when there is none, or when it does not mean that the
// destination is out of reach (the kernel fragments what is too large by itself the next time).
func extendedError(oob []byte) (errno syscall.Errno) {
	control(oob, func(level, typ uint32, data []byte) {
		v4 := level == unix.IPPROTO_IP && typ == unix.IP_RECVERR
		v6 := level == unix.IPPROTO_IPV6 && typ == unix.IPV6_RECVERR
		if (v4 || v6) && len(data) >= 16 {
			errno = syscall.Errno(binary.NativeEndian.Uint32(data))
		}
	})
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES, unix.ENOPROTOOPT, unix.EHOSTDOWN:
		return errno
	default:
		return 0
	}
}

// unixAddr is the address of x/sys as ours.
func unixAddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)) //nolint:gosec // of the kernel
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)) //nolint:gosec // of the kernel
	default:
		return netip.AddrPort{}
	}
}
