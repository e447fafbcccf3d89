package hep

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// tuneUDP asks for a receive buffer beyond what the administrator allows to all, which takes CAP_NET_ADMIN, else for as
// much as is allowed; and for the count of what the buffer could not hold. None of them is needed to go on.
func tuneUDP(c *net.UDPConn, size int) {
	_ = c.SetReadBuffer(size)
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	})
}

// overflow finds how many datagrams the kernel has dropped for lack of room, modulo 2^32, in control messages
// (SO_RXQ_OVFL). Without drops there is none.
func overflow(oob []byte) (n uint32, ok bool) {
	const head = unix.SizeofCmsghdr
	const word = unix.SizeofLong
	for len(oob) >= head {
		// The length is a C size_t at the start, level and type are ints behind it.
		size := uint64(binary.NativeEndian.Uint32(oob))
		if word == 8 {
			size = binary.NativeEndian.Uint64(oob)
		}
		if size < head || size > uint64(len(oob)) {
			return 0, false
		}
		level, typ := binary.NativeEndian.Uint32(oob[word:]), binary.NativeEndian.Uint32(oob[word+4:])
		if level == unix.SOL_SOCKET && typ == unix.SO_RXQ_OVFL && size >= head+4 {
			return binary.NativeEndian.Uint32(oob[head:]), true
		}
		oob = oob[min(uint64(len(oob)), (size+word-1)&^(word-1)):]
	}
	return 0, false
}

// unacked is how many bytes written to a TCP connection the peer's kernel has not acknowledged (SIOCOUTQ). ok is false
// when the system does not say.
func unacked(c *net.TCPConn) (n int64, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	if cerr := raw.Control(func(fd uintptr) {
		var v int
		v, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		n = int64(v)
	}); cerr != nil || err != nil {
		return 0, false
	}
	return n, true
}
