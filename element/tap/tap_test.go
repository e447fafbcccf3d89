package tap_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/element/tap"
	"sipscope/element/transport"
)

const start = 1_700_000_000_000_000_000

// message makes a SIP message of one call.
func message(first, callID, via, cseq, toTag string) []byte {
	return []byte(first + "\r\nVia: SIP/2.0/" + via + ";branch=z9hG4bK" + callID + strings.ReplaceAll(cseq, " ", "") +
		"\r\nFrom: <sip:a@a.example>;tag=1\r\nTo: <sip:b@b.example>" + toTag + "\r\nCall-ID: " + callID + "\r\nCSeq: " + cseq +
		"\r\nMax-Forwards: 70\r\nContact: <sip:a@192.0.2.1>\r\nContent-Length: 0\r\n\r\n")
}

// call plays a call of seven messages from a to b, 10 ms apart, and gives the time after it.
func call(s *tap.Source, now int64, callID string, proto transport.Proto, conn uint64, a, b netip.AddrPort) int64 {
	via := proto.String() + " " + a.String()
	for _, m := range []struct {
		back               bool
		first, cseq, toTag string
	}{
		{false, "INVITE sip:b@b.example SIP/2.0", "1 INVITE", ""},
		{true, "SIP/2.0 100 Trying", "1 INVITE", ""},
		{true, "SIP/2.0 180 Ringing", "1 INVITE", ";tag=2"},
		{true, "SIP/2.0 200 OK", "1 INVITE", ";tag=2"},
		{false, "ACK sip:b@b.example SIP/2.0", "1 ACK", ";tag=2"},
		{false, "BYE sip:b@b.example SIP/2.0", "2 BYE", ";tag=2"},
		{true, "SIP/2.0 200 OK", "2 BYE", ";tag=2"},
	} {
		src, dst := a, b
		if m.back {
			src, dst = b, a
		}
		s.Message(now, proto, conn, src, dst, message(m.first, callID, via, m.cseq, m.toTag))
		now += 10_000_000
	}
	return now
}

const callSize = 7

// read gives all packets up to the end, with copies of their bytes.
func read(tb testing.TB, s *tap.Source) []capture.Packet {
	tb.Helper()
	var list []capture.Packet
	var b capture.Batch
	for {
		switch err := s.Next(context.Background(), &b); {
		case errors.Is(err, io.EOF):
			return list
		case err != nil:
			tb.Fatal(err)
		}
		if len(b.Packets) > capture.MaxBatch {
			tb.Fatalf("%d packets in a batch", len(b.Packets))
		}
		for _, p := range b.Packets {
			p.Data = bytes.Clone(p.Data)
			list = append(list, p)
		}
		if len(list) > 0 && b.Now != list[len(list)-1].Time {
			tb.Fatalf("time %d after a packet of %d", b.Now, list[len(list)-1].Time)
		}
	}
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// verify checks a frame against RFC 791, 8200, 768, 9293 in the plainest way, and gives what decode reads in it.
func verify(tb testing.TB, p *capture.Packet) frame.Packet {
	tb.Helper()
	sum := func(parts ...[]byte) uint16 {
		var n uint32
		for _, b := range parts {
			for i, c := range b {
				if i%2 == 0 {
					n += uint32(c) << 8
				} else {
					n += uint32(c)
				}
				n = n>>16 + n&0xffff
			}
		}
		return uint16(n)
	}
	d := p.Data
	var head int
	var pseudo, rest []byte
	var proto byte
	if d[0]>>4 == 4 {
		head, proto = 20, d[9]
		if sum(d[:20]) != 0xffff || int(binary.BigEndian.Uint16(d[2:])) != len(d) {
			tb.Fatalf("IPv4 header % x of %d bytes", d[:20], len(d))
		}
		rest = d[head:]
		pseudo = append(append(pseudo, d[12:20]...), 0, proto)
	} else {
		head, proto = 40, d[6]
		if int(binary.BigEndian.Uint16(d[4:])) != len(d)-head {
			tb.Fatalf("IPv6 header % x of %d bytes", d[:40], len(d))
		}
		rest = d[head:]
		pseudo = append(append(pseudo, d[8:40]...), 0, proto)
	}
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(rest)))
	if sum(pseudo, rest) != 0xffff {
		tb.Fatalf("checksum of % x", d)
	}
	if proto == 17 && (binary.BigEndian.Uint16(rest[6:]) == 0 || int(binary.BigEndian.Uint16(rest[4:])) != len(rest)) {
		tb.Fatalf("UDP header % x of %d bytes", rest[:8], len(rest))
	}
	var f frame.Packet
	if r := frame.Decode(p.Link, d, p.WireLen, &f); r != frame.UDP && r != frame.TCP {
		tb.Fatalf("frame % x is read as %v", d, r)
	}
	return f
}

func TestDatagram(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, src, dst, wantSrc, wantDst string
	}{
		{"IPv4", "192.0.2.1:5060", "192.0.2.2:5062", "192.0.2.1:5060", "192.0.2.2:5062"},
		{"IPv6", "[2001:db8::1]:5060", "[2001:db8::2]:0", "[2001:db8::1]:5060", "[2001:db8::2]:0"},
		{"zone", "[fe80::1%eth0]:5060", "[fe80::2%eth0]:1", "[fe80::1]:5060", "[fe80::2]:1"},
		{"IPv4 by IPv6", "[::ffff:192.0.2.1]:5060", "192.0.2.2:5062", "192.0.2.1:5060", "192.0.2.2:5062"},
		{"any, to IPv4", "[::]:5060", "192.0.2.2:1", "0.0.0.0:5060", "192.0.2.2:1"},
		{"any, to IPv6", "0.0.0.0:5060", "[2001:db8::2]:1", "[::]:5060", "[2001:db8::2]:1"},
		{"two families", "192.0.2.1:5060", "[2001:db8::2]:1", "[::ffff:192.0.2.1]:5060", "[2001:db8::2]:1"},
		{"unknown", "", "[2001:db8::2]:1", "[::]:0", "[2001:db8::2]:1"},
		{"both unknown", "", "", "0.0.0.0:0", "0.0.0.0:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var src, dst netip.AddrPort
			if c.src != "" {
				src = addr(c.src)
			}
			if c.dst != "" {
				dst = addr(c.dst)
			}
			s := tap.New(0)
			for n := range 70 { // odd lengths and even ones
				s.Message(start+int64(n), transport.UDP, 0, src, dst, bytes.Repeat([]byte{0xf1}, n))
			}
			_ = s.Close()
			list := read(t, s)
			if len(list) != 70 {
				t.Fatalf("%d packets", len(list))
			}
			for n, p := range list {
				f := verify(t, &p)
				if p.Seq != uint64(n+1) || p.Time != start+int64(n) || len(f.Payload) != n || p.Loc.Off >= 0 {
					t.Fatalf("packet %d: %+v with %d bytes", n, p, len(f.Payload))
				}
				if got, want := fmt.Sprint(f.Src, " ", f.Dst), c.wantSrc+" "+c.wantDst; got != want {
					t.Fatalf("from and to %s, want %s", got, want)
				}
			}
		})
	}
}

// Sizes at the border of what a datagram carries, and a checksum that comes out as 0, which is written as its
// complement (RFC 768).
func TestSizes(t *testing.T) {
	t.Parallel()
	s := tap.New(0)
	a4, b4, a6, b6 := addr("192.0.2.1:1"), addr("192.0.2.2:2"), addr("[2001:db8::1]:1"), addr("[2001:db8::2]:2")
	s.Datagram(start, a4, b4, make([]byte, 65507))
	s.Datagram(start, a6, b6, make([]byte, 65527))
	s.Datagram(start, a4, b4, make([]byte, 65508))
	s.Message(start, transport.UDP, 0, a6, b6, make([]byte, 65528))
	for i := range 1 << 16 {
		s.Datagram(start, a4, b4, []byte{byte(i >> 8), byte(i)})
	}
	_ = s.Close()
	list := read(t, s)
	if st := s.Status(); len(list) != 2+1<<16 || st.Rejected != 2 || st.Queue != 0 || st.Received != uint64(len(list)) {
		t.Fatalf("%d packets, %+v", len(list), st)
	}
	for i := range list {
		verify(t, &list[i])
	}
}

// Messages of each transport come out as the calls that they were, whole and without a gap.
func TestCalls(t *testing.T) {
	t.Parallel()
	s := tap.New(0)
	now := int64(start)
	n := 0
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP, transport.TLS, transport.WS, transport.WSS} {
		for _, pair := range [][2]string{
			{"192.0.2.1:5060", "192.0.2.2:5060"}, {"[2001:db8::2]:5060", "[2001:db8::1]:5060"}, {"192.0.2.9:40000", "192.0.2.2:5061"},
		} {
			n++
			now = call(s, now, fmt.Sprintf("c%d-%s", n, proto), proto, uint64(n), addr(pair[0]), addr(pair[1]))
		}
	}
	_ = s.Close()
	var board correlate.Board
	if err := correlate.Run(t.Context(), s, correlate.Config{Workers: 2, Board: &board}); err != nil {
		t.Fatal(err)
	}
	got := 0
	for c := range board.Calls() {
		got++
		if c.Messages != callSize || c.Transactions != 2 || c.Dialogs != 1 || c.Gaps != 0 || c.Diags != 0 ||
			c.Retransmissions != 0 || c.Duplicates != 0 {
			t.Errorf("call %s: %+v", c.CallID, c)
		}
	}
	acc, _ := board.Accounting()
	if got != n || acc.Messages != uint64(callSize*n) || acc.Outcomes[decode.OutcomeMalformed] != 0 ||
		acc.Outcomes[decode.OutcomeDuplicate] != 0 {
		t.Errorf("%d calls of %d, %+v", got, n, acc)
	}
}

// TCP: the handshake once a connection, numbers that follow each other both ways, long messages in several segments,
// and a new connection where the number of one changes.
func TestStream(t *testing.T) {
	t.Parallel()
	s := tap.New(0)
	a, b := addr("192.0.2.2:5060"), addr("192.0.2.1:40000")
	var want [2][]byte
	send := func(back bool, conn uint64, size int) {
		text := bytes.Repeat([]byte{byte('a' + size%26)}, size)
		if back {
			s.Message(start, transport.TCP, conn, b, a, text)
			want[1] = append(want[1], text...)
			return
		}
		s.Message(start, transport.TCP, conn, a, b, text)
		want[0] = append(want[0], text...)
	}
	send(false, 1, 10)
	send(true, 7, 2000) // the other end has its own number
	send(false, 1, 200_000)
	send(true, 7, 3)
	send(false, 2, 5) // another connection on the same addresses
	send(true, 8, 6)
	send(true, 0, 7) // not known
	_ = s.Close()

	var next [2]uint32
	var got [2][]byte
	syns := 0
	for _, p := range read(t, s) {
		f := verify(t, &p)
		dir := 0
		if f.Src == frame.FromAddrPort(b) {
			dir = 1
		}
		if f.Flags&frame.SYN != 0 {
			if syns++; dir != (syns+1)%2 || f.Flags&frame.ACK != 0 != (dir == 1) {
				t.Fatalf("SYN %d from %v with flags %x", syns, f.Src, f.Flags)
			}
			next[dir] = f.Seq + 1
		} else if f.Seq != next[dir] {
			t.Fatalf("sequence number %d, want %d", f.Seq, next[dir])
		}
		if f.Flags&frame.ACK != 0 && f.Ack != next[1-dir] {
			t.Fatalf("acknowledges %d, want %d", f.Ack, next[1-dir])
		}
		got[dir] = append(got[dir], f.Payload...)
		next[dir] += uint32(len(f.Payload))
	}
	if syns != 4 || !bytes.Equal(got[0], want[0]) || !bytes.Equal(got[1], want[1]) {
		t.Errorf("%d SYNs, %d and %d bytes, want 4, %d, %d", syns, len(got[0]), len(got[1]), len(want[0]), len(want[1]))
	}
}

// More connections than are remembered: those in use go on, and those forgotten begin anew.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	s := tap.New(1 << 20)
	server := addr("192.0.2.1:5060")
	client := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5060)
	}
	const connections = 70_000
	for i := range connections {
		s.Message(start, transport.TCP, 0, client(i), server, []byte("x"))
		if i%1000 == 0 {
			s.Message(start, transport.TCP, 0, client(0), server, []byte("y"))
		}
	}
	s.Message(start, transport.TCP, 0, client(1), server, []byte("z"))
	_ = s.Close()
	syns := map[frame.Endpoint]int{}
	for _, p := range read(t, s) {
		var f frame.Packet
		frame.Decode(p.Link, p.Data, p.WireLen, &f)
		if f.Flags == frame.SYN {
			syns[f.Src]++
		}
	}
	if n := syns[frame.FromAddrPort(client(0))]; n != 1 {
		t.Errorf("a connection in use begins %d times", n)
	}
	if n := syns[frame.FromAddrPort(client(1))]; n != 2 {
		t.Errorf("a connection forgotten begins %d times, want 2", n)
	}
	if len(syns) != connections {
		t.Errorf("%d connections, want %d", len(syns), connections)
	}
}

// When nobody reads the newest is lost and counted; what waits is whole, and reading makes room again.
func TestLimit(t *testing.T) {
	t.Parallel()
	s := tap.New(10)
	a, b := addr("192.0.2.1:1"), addr("192.0.2.2:2")
	var batch capture.Batch
	next := uint64(1)
	for round := range 3 {
		for i := range 13 {
			s.Datagram(start+int64(i), a, b, []byte{byte(i)})
		}
		if st := s.Status(); st.Queue != uint64(3*(round+1)) || !st.Up {
			t.Fatalf("round %d: %+v", round, st)
		}
		if err := s.Next(t.Context(), &batch); err != nil || len(batch.Packets) != 10 {
			t.Fatalf("%d packets, error %v", len(batch.Packets), err)
		}
		for i, p := range batch.Packets {
			if p.Seq != next || p.Data[len(p.Data)-1] != byte(i) {
				t.Fatalf("packet %d: %+v", i, p)
			}
			next++
		}
	}
	// a connection whose first message found no room still has its handshake
	s.Message(start+99, transport.TCP, 1, a, b, make([]byte, 600_000)) // 13 packets
	s.Message(start+99, transport.TCP, 1, a, b, []byte("x"))
	_ = s.Close()
	s.Datagram(start+99, a, b, []byte("late"))
	if list := read(t, s); len(list) != 4 {
		t.Errorf("%d packets, want a handshake and one", len(list))
	}
	if st := s.Status(); st.Up || st.Queue != 10 {
		t.Errorf("%+v", st)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	s := tap.New(0)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	done := make(chan error)
	var b capture.Batch
	go func() { done <- s.Next(ctx, &b) }()
	cancel(cause)
	if err := <-done; !errors.Is(err, cause) {
		t.Errorf("error %v, want the context's cause", err)
	}
	go func() { done <- s.Next(t.Context(), &b) }()
	s.Tick(start)
	if err := <-done; err != nil || !b.Empty() || b.Now != start {
		t.Errorf("a tick: %+v, error %v", b, err)
	}
	s.Tick(start - 5) // is over
	s.Datagram(start+1, addr("192.0.2.1:1"), addr("192.0.2.2:2"), []byte("x"))
	s.Tick(start + 7)
	if err := s.Next(t.Context(), &b); err != nil || len(b.Packets) != 1 || b.Now != start+1 {
		t.Errorf("a packet: %+v, error %v", b, err)
	}
	if err := s.Next(t.Context(), &b); err != nil || !b.Empty() || b.Now != start+7 {
		t.Errorf("the tick behind it: %+v, error %v", b, err)
	}
	go func() { done <- s.Next(t.Context(), &b) }()
	_ = s.Close()
	for range 2 {
		if err := <-done; !errors.Is(err, io.EOF) || !b.Empty() {
			t.Errorf("closed: error %v, want io.EOF", err)
		}
		go func() { done <- s.Next(t.Context(), &b) }()
	}
	<-done
}

// With a clock, time goes on though nothing comes, and never back.
func TestLive(t *testing.T) {
	t.Parallel()
	s := tap.New(0)
	clock := int64(start)
	s.Live(func() int64 {
		clock += 5
		return clock
	})
	var b capture.Batch
	for i := range int64(3) {
		if err := s.Next(t.Context(), &b); err != nil || !b.Empty() || b.Now != start+5*(i+1) {
			t.Fatalf("%+v, error %v", b, err)
		}
	}
	s.Datagram(start+100, addr("192.0.2.1:1"), addr("192.0.2.2:2"), []byte("x"))
	if err := s.Next(t.Context(), &b); err != nil || len(b.Packets) != 1 || b.Now != start+100 {
		t.Fatalf("%+v, error %v", b, err)
	}
	clock += 1000
	if err := s.Next(t.Context(), &b); err != nil || !b.Empty() || b.Now != clock {
		t.Fatalf("%+v, error %v", b, err)
	}
}

// Bytes of a batch stay while others are written, read and released.
func TestOwnership(t *testing.T) {
	t.Parallel()
	s := tap.New(1 << 16)
	const total = 20_000
	var wg sync.WaitGroup
	wg.Go(func() {
		text := make([]byte, 700)
		for i := range total {
			binary.BigEndian.PutUint64(text, uint64(i))
			binary.BigEndian.PutUint64(text[692:], uint64(i))
			s.Datagram(start+int64(i), addr("192.0.2.1:1"), addr("192.0.2.2:2"), text[:700-i%2*8])
		}
		_ = s.Close()
	})
	var held []*capture.Batch
	seen := 0
	release := func(b *capture.Batch) {
		for _, p := range b.Packets {
			f := verify(t, &p)
			if got := binary.BigEndian.Uint64(f.Payload); got != p.Seq-1 {
				t.Fatalf("packet %d has the bytes of %d", p.Seq, got+1)
			}
			seen++
		}
		b.Release()
	}
	for {
		b := new(capture.Batch)
		if len(held) > 4 {
			b, held = held[0], held[1:]
			release(b)
		}
		if err := s.Next(t.Context(), b); err != nil {
			break
		}
		held = append(held, b)
	}
	for _, b := range held {
		release(b)
	}
	wg.Wait()
	if lost := s.Status().Queue; seen != total || lost != 0 {
		t.Errorf("%d packets of %d, %d lost", seen, total, lost)
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP} {
		b.Run(proto.String(), func(b *testing.B) {
			s := tap.New(0)
			src, dst := addr("192.0.2.1:5060"), addr("192.0.2.2:5060")
			text := bytes.Repeat([]byte("x"), 700)
			var batch capture.Batch
			n := 0
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s.Message(start, proto, 1, src, dst, text)
				if n++; n%64 == 0 {
					if err := s.Next(context.Background(), &batch); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// TestTimeNeverGoesBack tells what was stamped earlier and handed over later: RTP by its reader, a message before a Tick.
func TestTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	s := tap.New(0)
	a, b := netip.MustParseAddrPort("192.0.2.1:5060"), netip.MustParseAddrPort("192.0.2.2:5060")
	s.Tick(start + 500)
	var batch capture.Batch
	if err := s.Next(t.Context(), &batch); err != nil || batch.Now != start+500 {
		t.Fatalf("%d, %v", batch.Now, err)
	}
	s.Message(start, transport.UDP, 0, a, b, []byte("x"))
	s.Datagram(start-300, a, b, []byte("RTP"))
	s.Message(start+900, transport.TCP, 1, a, b, []byte("x"))
	s.Datagram(start+700, a, b, []byte("RTP"))
	_ = s.Close()
	last := batch.Now
	packets := read(t, s)
	for i, p := range packets {
		if p.Time < last {
			t.Errorf("packet %d: %d ns back", i, last-p.Time)
		}
		last = p.Time
	}
	if len(packets) < 4 || last != start+900 {
		t.Errorf("%d packets, the last at %d", len(packets), last-start)
	}
}
