package main

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"testing"

	"sipscope/capture"
	"sipscope/element/tap"
	"sipscope/element/transport"
)

// What goes between two places of ours passes once, however often it is sent and received; what others send always passes.
func TestOnceTap(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddrPort("127.0.1.10:5060"), netip.MustParseAddrPort("127.0.1.20:5060")
	dialled, sut := netip.MustParseAddrPort("127.0.1.10:40000"), netip.MustParseAddrPort("127.0.0.1:5070")
	mapped := netip.MustParseAddrPort("[::ffff:127.0.1.20]:5060")
	one, two := []byte("OPTIONS sip:a SIP/2.0\r\n\r\n"), []byte("SIP/2.0 200 OK\r\n\r\n")
	type sight struct {
		proto    transport.Proto
		conn     uint64
		src, dst netip.AddrPort
		text     []byte
		media    bool
	}
	udp := func(src, dst netip.AddrPort, text []byte) sight {
		return sight{transport.UDP, 0, src, dst, text, false}
	}
	tcp := func(conn uint64, src, dst netip.AddrPort, text []byte) sight {
		return sight{transport.TCP, conn, src, dst, text, false}
	}
	rtp := func(src, dst netip.AddrPort) sight { return sight{transport.UDP, 0, src, dst, one, true} }
	for _, tt := range []struct {
		name    string
		sights  []sight
		packets int // three more for a connection's handshake
	}{
		{"sent and received", []sight{udp(a, b, one), udp(a, b, one)}, 1},
		{"in another form of the address", []sight{udp(a, b, one), udp(a, mapped, one)}, 1},
		{"sent again", []sight{udp(a, b, one), udp(a, b, one), udp(a, b, one), udp(a, b, one)}, 2},
		{"sent twice before it is received", []sight{udp(a, b, one), udp(a, b, one), udp(a, b, one), udp(a, b, one)}, 2},
		{"there and back", []sight{udp(a, b, one), udp(a, b, one), udp(b, a, one), udp(b, a, one)}, 2},
		{"to the live one, again", []sight{udp(a, sut, one), udp(a, sut, one), udp(a, sut, one)}, 3},
		{"from the live one, again", []sight{udp(sut, b, two), udp(sut, b, two)}, 2},
		{
			"a connection of ours has one number",
			[]sight{tcp(1, dialled, b, one), tcp(2, dialled, b, one), tcp(2, b, dialled, two), tcp(1, b, dialled, two)},
			3 + 2,
		},
		{"a connection to the live one", []sight{tcp(1, dialled, sut, one), tcp(1, sut, dialled, two)}, 3 + 2},
		{"RTP between us", []sight{rtp(dialled, b), rtp(dialled, b), rtp(dialled, b)}, 2},
		{"RTP to the live one", []sight{rtp(dialled, sut), rtp(dialled, sut)}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			source := tap.New(0)
			x := newOnceTap(source)
			x.own(a)
			x.own(b)
			for i, s := range tt.sights {
				if s.media {
					x.Datagram(1e18+int64(i), s.src, s.dst, s.text)
				} else {
					x.Message(1e18+int64(i), s.proto, s.conn, s.src, s.dst, s.text)
				}
			}
			_ = source.Close() // it has nothing to lose
			if n := count(t.Context(), t, source); n != tt.packets {
				t.Errorf("%d packets, want %d", n, tt.packets)
			}
			if len(x.sent) > 1 {
				t.Errorf("%d are still remembered", len(x.sent))
			}
		})
	}
}

// count reads a source to its end.
func count(ctx context.Context, t *testing.T, source capture.Source) int {
	t.Helper()
	n := 0
	var batch capture.Batch
	defer batch.Release()
	for {
		if err := source.Next(ctx, &batch); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n += len(batch.Packets)
	}
}

// What is remembered is bounded, whatever is lost on the way.
func TestOnceTapBounded(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddrPort("127.0.1.10:5060"), netip.MustParseAddrPort("127.0.1.20:5060")
	source := tap.New(1)
	x := newOnceTap(source)
	x.own(a)
	x.own(b)
	for i := range 3 * maxSent {
		x.Message(int64(i), transport.UDP, 0, a, b, []byte{byte(i), byte(i >> 8), byte(i >> 16)})
	}
	for i := range 3 * maxConns {
		x.conn(netip.AddrPortFrom(a.Addr(), uint16(i)), netip.AddrPortFrom(b.Addr(), uint16(i>>16)))
	}
	if len(x.sent) > maxSent || len(x.conns) > maxConns {
		t.Errorf("%d messages and %d connections are remembered", len(x.sent), len(x.conns))
	}
}
