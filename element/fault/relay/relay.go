// Package relay is a bad network for tests: a UDP relay on real sockets between two peers, which loses, duplicates and
// reorders a share of the datagrams each way.
//
//	A ─▶ AtA │ relay │ AtB ─▶ B         A sends to AtA what is for B, and gets from there what B sent to AtB.
//	A ◀─ AtA │       │ AtB ◀─ B
//
// Two goroutines, one a direction, own everything; Close ends them. At most one datagram a direction is held back. What a
// direction does to its n-th datagram depends on the seed and on n alone.
package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxDatagram = 65535
	holdBack    = 100 * time.Millisecond // for another datagram to overtake
	maxErrors   = 100                    // in a row, before a direction gives up
	bufferSize  = 4 << 20                // bytes: as much as a burst of a test may need
)

// Config says who the peers are, and what happens to what they send. Shares are from 0 to 1.
type Config struct {
	// A and B are the peers; a zero A is learned: it is whoever sent last to AtA. Datagrams of others are dropped.
	A, B netip.AddrPort
	// Listen is the address for AtA and AtB; the zero one stands for 127.0.0.1, or ::1 when B is IPv6.
	Listen    netip.Addr
	Loss      float64
	Duplicate float64
	Reorder   float64 // share that waits until the next datagram has passed, 100 ms at most
	Seed      uint64
	// Lose, when set, is asked for each datagram besides, by its number in its direction, 1-based. It is called from two
	// goroutines, one a direction.
	Lose func(toB bool, number int, b []byte) bool
}

// Counts are of one direction. Received = Sent − Duplicated + Lost + Strays, but for one that is held back.
type Counts struct{ Received, Sent, Lost, Duplicated, Reordered, Strays uint64 }

// Relay is a running relay.
type Relay struct {
	cfg    Config
	a, b   *net.UDPConn // the sockets that A and B see
	peerA  atomic.Pointer[netip.AddrPort]
	counts [2]struct{ received, sent, lost, duplicated, reordered, strays atomic.Uint64 }
	ended  sync.WaitGroup
}

// Open starts a relay.
func Open(cfg Config) (*Relay, error) {
	if !cfg.B.IsValid() {
		return nil, errors.New("relay: B has no address")
	}
	if !cfg.Listen.IsValid() {
		cfg.Listen = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if cfg.B.Addr().Is6() {
			cfg.Listen = netip.IPv6Loopback()
		}
	}
	cfg.A, cfg.B = unmap(cfg.A), unmap(cfg.B)
	r := &Relay{cfg: cfg}
	for _, c := range []**net.UDPConn{&r.a, &r.b} {
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Listen, 0)))
		if err != nil {
			r.close()
			return nil, fmt.Errorf("relay: %w", err)
		}
		*c = socket
		_, _ = socket.SetReadBuffer(bufferSize), socket.SetWriteBuffer(bufferSize) // less is what we get, then
	}
	if cfg.A.IsValid() {
		r.peerA.Store(&cfg.A)
	}
	r.ended.Add(2)
	go r.run(true)
	go r.run(false)
	return r, nil
}

// AtA is the address that A sees in the place of B.
func (r *Relay) AtA() netip.AddrPort { return address(r.a) }

// AtB is the address that B sees in the place of A.
func (r *Relay) AtB() netip.AddrPort { return address(r.b) }

// Stats counts what was sent to B and to A.
func (r *Relay) Stats() (toB, toA Counts) {
	var both [2]Counts
	for i := range both {
		c := &r.counts[i]
		both[i] = Counts{
			Received: c.received.Load(), Sent: c.sent.Load(), Lost: c.lost.Load(),
			Duplicated: c.duplicated.Load(), Reordered: c.reordered.Load(), Strays: c.strays.Load(),
		}
	}
	return both[0], both[1]
}

// Close ends the relay. What is held back is lost.
func (r *Relay) Close() {
	r.close()
	r.ended.Wait()
}

func (r *Relay) close() {
	for _, c := range []*net.UDPConn{r.a, r.b} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// run relays one direction.
func (r *Relay) run(toB bool) {
	defer r.ended.Done()
	d := direction{relay: r, toB: toB, in: r.b, out: r.a, rng: rand.New(rand.NewPCG(r.cfg.Seed, 1))} //nolint:gosec // for tests
	if toB {
		d.in, d.out, d.rng = r.a, r.b, rand.New(rand.NewPCG(r.cfg.Seed, 0)) //nolint:gosec // for tests
	}
	buffer := make([]byte, maxDatagram)
	for failures := 0; failures < maxErrors; {
		if len(d.held) > 0 {
			_ = d.in.SetReadDeadline(time.Now().Add(holdBack)) //nolint:forbidigo // sockets have real time
		} else {
			_ = d.in.SetReadDeadline(time.Time{})
		}
		n, from, err := d.in.ReadFromUDPAddrPort(buffer)
		var netErr net.Error
		switch {
		case err == nil:
			failures = 0
			d.receive(buffer[:n], unmap(from))
		case errors.Is(err, net.ErrClosed):
			return
		case errors.As(err, &netErr) && netErr.Timeout():
			d.release()
		default: // e.g. an ICMP error on systems that tell it here
			failures++
		}
	}
}

// direction is what one goroutine owns.
type direction struct {
	relay   *Relay
	toB     bool
	in, out *net.UDPConn
	rng     *rand.Rand
	number  int
	held    []byte // waits for another to overtake it; empty for none
}

func (d *direction) receive(b []byte, from netip.AddrPort) {
	r, cfg := d.relay, &d.relay.cfg
	c := &r.counts[index(d.toB)]
	c.received.Add(1)
	if d.toB && !cfg.A.IsValid() {
		r.peerA.Store(&from)
	} else if d.toB && from != cfg.A || !d.toB && from != cfg.B {
		c.strays.Add(1)
		return
	}
	d.number++
	// Each datagram takes three draws, so that its fate does not depend on those before it.
	lose, twice, wait := d.chance(cfg.Loss), d.chance(cfg.Duplicate), d.chance(cfg.Reorder)
	if lose || cfg.Lose != nil && cfg.Lose(d.toB, d.number, b) {
		c.lost.Add(1)
		return
	}
	if wait && len(d.held) == 0 && len(b) > 0 {
		c.reordered.Add(1)
		d.held = append(d.held, b...)
		return
	}
	d.send(b)
	if twice {
		c.duplicated.Add(1)
		d.send(b)
	}
	d.release()
}

func (d *direction) chance(share float64) bool { return d.rng.Float64() < share }

// release sends what was held back.
func (d *direction) release() {
	if len(d.held) > 0 {
		d.send(d.held)
		d.held = d.held[:0]
	}
}

func (d *direction) send(b []byte) {
	to := &d.relay.cfg.B
	if !d.toB {
		to = d.relay.peerA.Load()
	}
	c := &d.relay.counts[index(d.toB)]
	if to == nil { // A did not send yet
		c.strays.Add(1)
		return
	}
	if _, err := d.out.WriteToUDPAddrPort(b, *to); err != nil {
		c.lost.Add(1)
		return
	}
	c.sent.Add(1)
}

func index(toB bool) int {
	if toB {
		return 0
	}
	return 1
}

func address(c *net.UDPConn) netip.AddrPort {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return unmap(a.AddrPort())
	}
	return netip.AddrPort{}
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
