package correlate_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/decode"
	"sipscope/flowtest"
)

// attack makes the packets of a hostile capture, 10 µs apart.
type attack struct {
	packets []capture.Packet
	rng     *rand.Rand
	id      uint16
}

func newAttack() *attack { return &attack{rng: rand.New(rand.NewPCG(8, 4))} }

// Two hosts, and a network of as many as are wanted.
const (
	hostA  = 0x0a000001
	hostB  = 0x0a000002
	manyAs = 0x0c000000
)

func (a *attack) frame(ethertype uint16, b []byte) {
	data := append([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, byte(ethertype>>8), byte(ethertype))
	data = append(data, b...)
	n := len(a.packets)
	a.packets = append(a.packets, capture.Packet{
		Seq: uint64(n + 1), Time: 1_768_000_000e9 + int64(n)*10_000, Data: data, WireLen: uint32(len(data)),
		Link: capture.LinkEthernet,
	})
}

func (a *attack) ip(proto byte, src, dst uint32, p []byte) []byte {
	a.id++
	b := make([]byte, 20, 20+len(p))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(p)))
	binary.BigEndian.PutUint16(b[4:], a.id)
	binary.BigEndian.PutUint32(b[12:], src)
	binary.BigEndian.PutUint32(b[16:], dst)
	return append(b, p...)
}

func (a *attack) udp(src, dst uint32, sport, dport uint16, p []byte) {
	a.frame(0x0800, a.ip(17, src, dst, datagram(sport, dport, p)))
}

func datagram(sport, dport uint16, p []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(p)))
	return append(append(b, 0, 0), p...)
}

func (a *attack) tcp(src, dst uint32, sport, dport uint16, seq, ack uint32, p []byte) {
	b := make([]byte, 20, 20+len(p))
	binary.BigEndian.PutUint16(b, sport)
	binary.BigEndian.PutUint16(b[2:], dport)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13], b[14] = 5<<4, 0x18, 0xff
	a.frame(0x0800, a.ip(6, src, dst, append(b, p...)))
}

func (a *attack) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(a.rng.Uint32())
	}
	return b
}

func oneRTP(seq uint16, ssrc uint32) []byte {
	b := make([]byte, 32)
	b[0] = 0x80
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], uint32(seq)*160)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return b
}

func inviteTo(n int, addr uint32) []byte {
	ip := fmt.Sprintf("%d.%d.%d.%d", addr>>24, addr>>16&255, addr>>8&255, addr&255)
	body := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 96\r\n"+
		"a=rtpmap:96 X%d/8000\r\n", ip, n)
	return fmt.Appendf(nil, "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d\r\nFrom: <sip:a@x>;tag=%[1]d\r\n"+
		"To: <sip:b@x>\r\nCall-ID: %[1]d\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		n, len(body), body)
}

// attacks are the hostile captures.
func attacks() map[string]func(*attack) {
	return map[string]func(*attack){
		"many SSRCs":       func(a *attack) { a.ssrcs(60_000, 1) },
		"proved SSRCs":     func(a *attack) { a.ssrcs(15_000, 4) },
		"RTP on all ports": (*attack).allPorts,
		"one SSRC":         (*attack).oneSSRC,
		"addresses":        (*attack).addresses,
		"late media":       (*attack).lateMedia,
		"random datagrams": (*attack).randomMedia,
		"RTCP that lies":   (*attack).lyingRTCP,
		"WebSockets":       (*attack).webSockets,
		"TLS":              (*attack).tlsRecords,
		"SCTP":             (*attack).sctp,
		"nests":            (*attack).nests,
		"nested fragments": (*attack).nestedFragments,
	}
}

func (a *attack) ssrcs(n, each int) {
	for i := range n {
		for k := range each {
			a.udp(hostA, hostB, 10_000, 20_000, oneRTP(uint16(k), uint32(i)*2_654_435_761))
		}
	}
}

func (a *attack) allPorts() {
	for i := range 60_000 {
		a.udp(hostA, hostB, uint16(i*7919), uint16(i), oneRTP(uint16(i), uint32(i/4)))
	}
}

// oneSSRC has candidates of one SSRC, and then reports about it: a search for the stream must not look at all of them.
func (a *attack) oneSSRC() {
	for i := range 40_000 {
		a.udp(hostA+uint32(i), hostB, 10_000, 20_000, oneRTP(1, 7))
	}
	b := make([]byte, 8+31*24)
	b[0], b[1] = 0x80|31, 201
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
	for k := range 31 {
		binary.BigEndian.PutUint32(b[8+24*k:], 7)
	}
	for range 5000 {
		a.udp(0x0b000001, 0x0b000002, 30_001, 40_001, b)
	}
}

func (a *attack) addresses() {
	a.ssrcs(1, 10)
	for i := range 20_000 {
		a.udp(hostA, hostB, 5060, 5060, inviteTo(i, 0x0b000000+uint32(i)))
	}
}

// lateMedia names addresses before any media come, and goes on while they come.
func (a *attack) lateMedia() {
	for i := range 20_000 {
		a.udp(hostA, hostB, 5060, 5060, inviteTo(i, 0x0b000000+uint32(i)))
		if i > 10_000 {
			a.udp(hostA, 0x0b000000+uint32(i/2), 10_000, 20_000, oneRTP(uint16(i%2), uint32(i/2)))
		}
	}
}

func (a *attack) randomMedia() {
	for range 60_000 {
		b := a.bytes(40)
		b[0] = 0x80 | b[0]&0x3f
		a.udp(hostA, hostB, uint16(a.rng.Uint32()), uint16(a.rng.Uint32()), b)
	}
}

func (a *attack) lyingRTCP() {
	for i := range 40_000 {
		b := a.bytes(8 * (4 + a.rng.IntN(12)))
		b[0], b[1] = 0x80|b[0]&0x3f, 200+byte(i%8)
		if i%3 != 0 {
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
		}
		a.udp(hostA+uint32(i), hostB, 10_001, 20_001, b)
	}
}

func (a *attack) webSockets() {
	ask := "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
	agree := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
	for i := range 10_000 {
		from := manyAs + uint32(i)
		a.tcp(from, hostB, 4000, 80, 1, 1, []byte(ask))
		a.tcp(hostB, from, 80, 4000, 1, 1+uint32(len(ask)), []byte(agree))
		head := []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}
		if i%2 == 0 {
			head = []byte{0x01, 0xfe, 0xff, 0xff, 1, 2, 3, 4}
		}
		a.tcp(from, hostB, 4000, 80, 1+uint32(len(ask)), 1, append(head, a.bytes(1000)...))
	}
}

func (a *attack) tlsRecords() {
	for i := range 20_000 {
		b := a.bytes(600)
		b[0], b[1], b[2] = 20+b[0]%5, 3, b[2]%5
		if i%8 != 0 {
			b[0], b[3], b[4] = 22, 2, 0x53 // as long as it says
			b[5] = 1                       // a ClientHello
		}
		a.tcp(manyAs+uint32(i%14_000), hostB, 4000, 5061, 1+600*uint32(i/14_000), 1, b)
	}
}

func (a *attack) sctp() {
	for i := range 30_000 {
		b := binary.BigEndian.AppendUint32(nil, 5060<<16|5060)
		b = binary.BigEndian.AppendUint32(b, 1+uint32(i%20_000))
		b = append(b, 0, 0, 0, 0)
		for k := range 1 + i%5 {
			c := a.bytes(16 + 8*a.rng.IntN(6))
			c[0], c[1] = 64*byte(i/7%2), c[1]%8
			n := uint16(len(c))
			if lie := a.rng.IntN(4); lie < 2 {
				n = uint16(lie) * uint16(a.rng.Uint32())
			}
			binary.BigEndian.PutUint16(c[2:], n)
			binary.BigEndian.PutUint32(c[4:], uint32(k*(1+i%3)))
			b = append(b, c...)
		}
		a.frame(0x0800, a.ip(132, manyAs+uint32(i), hostB, b))
	}
}

func (a *attack) nests() {
	const deep = 100
	for i := range 4000 {
		p := a.ip(17, hostA, hostB, datagram(5060, 5060, inviteTo(i, hostB)))
		ethertype := uint16(0x0800)
		switch i % 5 {
		case 0:
			for range deep {
				p = a.ip(4, hostA, hostB, p)
			}
		case 1:
			for range deep {
				p = a.ip(47, hostA, hostB, append([]byte{0, 0, 8, 0}, p...))
			}
		case 2:
			for k := range deep {
				inner := append([]byte{8, 0, 0, 0, 0, 0, byte(k), 0, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0}, p...)
				p = a.ip(17, hostA, hostB, datagram(40_000, 4789, inner))
			}
		case 3:
			ethertype = 0x8847
			for k := range deep {
				p = append([]byte{0, byte(k), boolToByte(k == 0), 64}, p...)
			}
		default:
			ethertype = 0x8100
			for k := range deep {
				next := []byte{0, byte(k), 0x81, 0}
				if k == 0 {
					next = []byte{0, 0, 8, 0}
				}
				p = append(next, p...)
			}
		}
		a.frame(ethertype, p)
	}
}

func boolToByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// nestedFragments puts the fragments of tunnelled fragments into tunnels; of some the begin is missing.
func (a *attack) nestedFragments() {
	for i := range 3000 {
		body := append(inviteTo(i, hostB), make([]byte, 600)...)
		list := [][]byte{a.ip(17, hostA, hostB, datagram(5060, 5060, body))}
		for k := range uint32(4) {
			var next [][]byte
			for _, p := range list {
				for _, f := range fragmentsOf(p, 400) {
					next = append(next, a.ip(47, hostA+k, hostB, append([]byte{0, 0, 8, 0}, f...)))
				}
			}
			list = next
		}
		for j, p := range list {
			if i%3 != 0 || j > 0 {
				a.frame(0x0800, p)
			}
		}
	}
}

func fragmentsOf(p []byte, size int) (all [][]byte) {
	for off := 0; off < len(p)-20; off += size {
		end := min(off+size, len(p)-20)
		b := append([]byte{}, p[:20]...)
		binary.BigEndian.PutUint16(b[2:], uint16(20+end-off))
		field := uint16(off / 8)
		if end < len(p)-20 {
			field |= 0x2000
		}
		binary.BigEndian.PutUint16(b[6:], field)
		all = append(all, append(b, p[20+off:20+end]...))
	}
	return all
}

// outcomeOf is all that a run says, but for texts.
type outcomeOf struct {
	Acct    decode.Accounting
	Limited correlate.Limited
	Totals  correlate.Totals
	Counts  media.Counts
	Streams int
	Calls   []correlate.Summary
	Secured int
}

func (a *attack) run(t *testing.T, workers, batch int, keys bool) (o outcomeOf, heap uint64) {
	t.Helper()
	vault := decode.NewVault(decode.VaultOptions{Limit: 8 << 20, Dir: t.TempDir()})
	defer func() { _ = vault.Close() }()
	cfg := correlate.Config{
		Workers: workers, Board: &correlate.Board{}, Vault: vault,
		Limits: correlate.Limits{Media: media.Limits{Streams: 8192, Addresses: 4096}},
	}
	if keys {
		log := []byte(strings.Repeat("CLIENT_RANDOM "+strings.Repeat("00", 32)+" "+strings.Repeat("11", 48)+"\n", 100) + "garbage\n")
		cfg.Secrets = func() iter.Seq[[]byte] {
			l := [][]byte{log, a.packets[0].Data}
			log = nil
			return slices.Values(l)
		}
	}
	if err := correlate.Run(context.Background(), flowtest.NewSource(a.packets, batch), cfg); err != nil {
		t.Fatal(err)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b := cfg.Board
	o.Acct, o.Limited = b.Accounting()
	o.Totals, o.Counts, o.Streams, o.Secured = b.Totals(), b.MediaCounts(), len(b.Streams()), len(b.Encrypted())
	for s := range b.Calls() {
		o.Calls = append(o.Calls, *s)
	}
	return o, m.HeapAlloc
}

// A hostile capture costs time and memory in proportion to its packets at the most, every packet is accounted for, the
// number of workers changes nothing, and what was limited is counted.
func TestHostileMedia(t *testing.T) { //nolint:paralleltest // it measures the memory of the whole program
	if testing.Short() || raceDetector {
		t.Skip("takes seconds, and a minute under the race detector")
	}
	limited := map[string]func(o *outcomeOf) uint64{
		"many SSRCs":       func(o *outcomeOf) uint64 { return o.Limited.UnprovedStreams },
		"proved SSRCs":     func(o *outcomeOf) uint64 { return o.Limited.EvictedStreams },
		"RTP on all ports": func(o *outcomeOf) uint64 { return o.Limited.UnprovedStreams },
		"addresses":        func(o *outcomeOf) uint64 { return min(o.Limited.ForgottenMedia, o.Limited.UnmappedMedia) },
		"late media":       func(o *outcomeOf) uint64 { return o.Limited.ForgottenMedia },
		"TLS":              func(o *outcomeOf) uint64 { return o.Limited.Connections },
		"SCTP":             func(o *outcomeOf) uint64 { return o.Acct.Streams.Evicted },
		"nests":            func(o *outcomeOf) uint64 { return o.Acct.Outcomes[decode.OutcomeMalformed] },
		"nested fragments": func(o *outcomeOf) uint64 { return o.Acct.Streams.Datagrams },
	}
	for name, fill := range attacks() { //nolint:paralleltest // likewise
		t.Run(name, func(t *testing.T) {
			a := newAttack()
			fill(a)
			var before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			for _, keys := range []bool{false, true} {
				start := time.Now()
				one, heap := a.run(t, 1, 256, keys)
				took := time.Since(start)
				eight, _ := a.run(t, 8, 100, keys)
				if !reflect.DeepEqual(one, eight) {
					t.Errorf("keys %t: eight workers give %+v, one gives %+v", keys, brief(&eight), brief(&one))
				}
				one.check(t, len(a.packets))
				if of := limited[name]; of != nil && of(&one) == 0 {
					t.Errorf("nothing says what was limited: %+v", brief(&one))
				}
				grown := (int64(heap) - int64(before.HeapAlloc)) >> 20
				t.Logf("keys %t: %d packets in %v, %d MiB kept", keys, len(a.packets), took, grown)
				if each := took / time.Duration(len(a.packets)); each > 200*time.Microsecond {
					t.Errorf("%v a packet", each)
				}
				if grown > 160 {
					t.Errorf("%d MiB are kept of %d packets", grown, len(a.packets))
				}
			}
		})
	}
}

func brief(o *outcomeOf) outcomeOf {
	b := *o
	b.Calls = nil
	return b
}

// check looks whether the figures add up.
func (o *outcomeOf) check(t *testing.T, packets int) {
	t.Helper()
	sum := uint64(0)
	for _, n := range o.Acct.Outcomes {
		if n > uint64(packets) {
			t.Errorf("an outcome of %d packets", n)
		}
		sum += n
	}
	if sum != uint64(packets) || o.Acct.Packets != sum {
		t.Errorf("outcomes of %d packets, %d counted, %d sent", sum, o.Acct.Packets, packets)
	}
	if o.Counts.Packets != o.Acct.Outcomes[decode.OutcomeRTP] {
		t.Errorf("%d packets of streams, %d are RTP", o.Counts.Packets, o.Acct.Outcomes[decode.OutcomeRTP])
	}
	if o.Counts.Streams != o.Counts.Live+o.Counts.Evicted || o.Counts.Live != uint64(o.Streams) || o.Streams > 8192 {
		t.Errorf("%d streams listed, of %+v", o.Streams, o.Counts)
	}
}
