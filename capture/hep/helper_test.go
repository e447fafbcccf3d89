package hep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/capture"
)

// invite is the text of a message; n makes it one of many.
func invite(n int) string {
	return fmt.Sprintf("INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%d\r\n"+
		"Max-Forwards: 70\r\nFrom: \"Alice\" <sip:alice@example.com>;tag=%d\r\nTo: <sip:bob@example.com>\r\n"+
		"Call-ID: %d@192.0.2.1\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.1>\r\nContent-Type: application/sdp\r\n"+
		"Content-Length: 129\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"+
		"m=audio 6000 RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv  \r\n", n, n, n)
}

// numbered is a message that says its number.
func numbered(n int, at time.Time) *Packet {
	return &Packet{
		Proto: 17, Type: TypeSIP, Src: a4, Dst: b4, Time: at.UnixNano(), CaptureID: 1, Payload: []byte("n=" + strconv.Itoa(n)),
	}
}

func encode(tb testing.TB, p *Packet) []byte {
	tb.Helper()
	b, err := Append(nil, p, Encoding{})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// listening opens a listener that ends with the test.
func listening(tb testing.TB, o ListenOptions) *Listener {
	tb.Helper()
	l, err := Listen(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := l.Close(); err != nil {
			tb.Error(err)
		}
	})
	return l
}

// port is that of the i-th address.
func port(l *Listener, i int) string {
	_, p, _ := net.SplitHostPort(l.Addrs()[i].String())
	return p
}

// got is one packet that a listener gave, taken apart.
type got struct {
	hep      Packet
	at       int64
	src, dst netip.AddrPort // of the datagram
}

func (g got) number() int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(g.hep.Payload), "n="))
	if err != nil {
		return -1
	}
	return n
}

// reader reads a source and checks what must always hold.
type reader struct {
	s   capture.Source
	b   capture.Batch
	seq uint64
	now int64
}

// read reads until n packets have come, or for at most d. It may be called from any goroutine, one at a time.
func (r *reader) read(tb testing.TB, n int, d time.Duration) (all []got) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	for len(all) < n {
		if err := r.s.Next(ctx, &r.b); err != nil {
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, io.EOF) {
				tb.Error(err)
			}
			break
		}
		if r.b.Now < r.now && !r.b.SetBack {
			tb.Errorf("the time goes back from %d to %d", r.now, r.b.Now)
		}
		r.now = r.b.Now
		for i := range r.b.Packets {
			all = append(all, r.apart(tb, &r.b.Packets[i]))
		}
	}
	return all
}

// apart takes the datagram of a packet apart with another decoder.
func (r *reader) apart(tb testing.TB, p *capture.Packet) (g got) {
	tb.Helper()
	if r.seq++; p.Seq != r.seq || p.Link != capture.LinkRaw || p.Loc.Off >= 0 || int(p.WireLen) != len(p.Data) || p.Time > r.now {
		tb.Errorf("packet %+v, want number %d at most at %d", p, r.seq, r.now)
	}
	first := gopacket.Decoder(layers.LayerTypeIPv4)
	if p.Data[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	packet := gopacket.NewPacket(p.Data, first, gopacket.DecodeOptions{NoCopy: true})
	udp, ok := packet.TransportLayer().(*layers.UDP)
	if !ok {
		tb.Fatalf("no UDP in % x", p.Data)
	}
	src, _ := netip.AddrFromSlice(packet.NetworkLayer().NetworkFlow().Src().Raw())
	dst, _ := netip.AddrFromSlice(packet.NetworkLayer().NetworkFlow().Dst().Raw())
	g.src, g.dst = netip.AddrPortFrom(src, uint16(udp.SrcPort)), netip.AddrPortFrom(dst, uint16(udp.DstPort))
	if err := Decode(append([]byte(nil), udp.Payload...), &g.hep); err != nil {
		tb.Fatal(err)
	}
	g.at = p.Time
	return g
}

// eventually waits for something to become true.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Fatalf("waited in vain until %s", what)
}
