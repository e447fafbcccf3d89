//go:build !linux

package transport

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// udpBatch is one received datagram: only Linux moves several at once.
type udpBatch struct {
	ln    *listener
	n     int
	grams [1]datagram
	free  chan *udpBatch // where it goes when it has been handled; nil: it is the loop's
	buf   []byte
}

func newUDPBatch(l *listener, free chan *udpBatch) *udpBatch {
	return &udpBatch{ln: l, free: free, buf: make([]byte, slotBytes)}
}

// udpSocket is a bound socket. One that is bound to all addresses does not know which one a datagram came to: Hop.Local
// is then the unspecified address, and answers leave from the address that the system's routes say. ICMP errors are
// reported on Linux only.
type udpSocket struct {
	conn  *net.UDPConn
	local netip.AddrPort
	fails []lost
}

type lost struct {
	hop Hop
	tag uint64
	err error
}

func openUDP(at netip.AddrPort, size int) (*udpSocket, error) {
	conn, err := net.ListenUDP(network("udp", at.Addr()), net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(size)
	_ = conn.SetWriteBuffer(size)
	return &udpSocket{conn: conn, local: addrPortOf(conn.LocalAddr())}, nil
}

func (s *udpSocket) close() error { return s.conn.Close() }

func (s *udpSocket) readDrops(*counters) {}

// read waits for a datagram until the socket's deadline, or without wait for as short as it can.
func (s *udpSocket) read(b *udpBatch, wait bool, _ bouncer) outcome {
	if !wait {
		_ = s.conn.SetReadDeadline(time.Now().Add(time.Microsecond))
	}
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b.buf)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return readNothing
			}
			if isClosed(err) {
				return readClosed
			}
			time.Sleep(time.Millisecond) // e.g. WSAECONNRESET of an earlier datagram; never spin
			continue
		}
		d := &b.grams[0]
		d.size, d.remote, d.local = n, unmap(from), netip.Addr{}
		d.parse(b.buf[:n])
		b.n = 1
		return readSome
	}
}

// queue sends at once.
func (s *udpSocket) queue(to netip.AddrPort, _ netip.Addr, text []byte, hop Hop, tag uint64) bool {
	if _, err := s.conn.WriteToUDPAddrPort(text, to); err != nil {
		s.fails = append(s.fails, lost{hop: hop, tag: tag, err: err})
	}
	return true
}

// flush tells what could not be sent.
func (s *udpSocket) flush(undelivered func(hop Hop, tag uint64, err error), _ bouncer) {
	for _, f := range s.fails {
		undelivered(f.hop, f.tag, f.err)
	}
	s.fails = nil
}
