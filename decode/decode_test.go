package decode_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
)

const options = "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@example.com>;tag=1\r\n" +
	"To: <sip:b@example.com>\r\nCall-ID: one\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"

// packet makes an Ethernet frame of a UDP datagram. frag cuts the datagram to a fragment: offset in bytes and whether
// more follow; -1 for none.
func packet(seq uint64, proto byte, payload string, frag int, more bool) capture.Packet {
	b := make([]byte, 34, 34+len(payload))
	b[12], b[14] = 8, 0x45
	binary.BigEndian.PutUint16(b[16:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(b[18:], 77)
	if frag >= 0 {
		v := uint16(frag / 8)
		if more {
			v |= 0x2000
		}
		binary.BigEndian.PutUint16(b[20:], v)
	}
	b[23] = proto
	copy(b[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	b = append(b, payload...)
	return capture.Packet{
		Seq: seq, Time: int64(seq) * 1e6, Data: b, WireLen: uint32(len(b)), Link: capture.LinkEthernet,
		Loc: capture.Loc{Off: int64(seq) * 10_000},
	}
}

func udp(text string) string {
	h := make([]byte, 8)
	binary.BigEndian.PutUint16(h, 5060)
	binary.BigEndian.PutUint16(h[2:], 5070)
	binary.BigEndian.PutUint16(h[4:], uint16(8+len(text)))
	return string(h) + text
}

func tcp(seq uint32, text string) string {
	h := make([]byte, 20)
	binary.BigEndian.PutUint16(h, 5060)
	binary.BigEndian.PutUint16(h[2:], 5070)
	binary.BigEndian.PutUint32(h[4:], seq)
	h[12], h[13] = 5<<4, 0x10
	return string(h) + text
}

// got is what a run of batches gives.
type got struct {
	calls []string // Call-IDs of messages, "gap" for a gap
	flags []decode.Flags
	words []uint64
	text  []string // where the text lies: offset and length of each piece
	acct  decode.Accounting
}

func run(o decode.Options, batches ...[]capture.Packet) got {
	var g got
	d := decode.NewDecoder(o)
	s := decode.NewStreams(d)
	var now int64
	for i := range len(batches) + 1 {
		w := &decode.Work{}
		if i < len(batches) {
			w.Batch.Packets = batches[i]
			now = batches[i][len(batches[i])-1].Time
		} else {
			w.Last = true
		}
		w.Batch.Now = now
		d.Frames(w)
		if s.Join(w) {
			d.Texts(w)
		}
		for m := range w.Items() {
			if m == nil {
				g.calls = append(g.calls, "gap")
				continue
			}
			g.calls = append(g.calls, string(m.SIP.CallID.Of(m.SIP.Raw)))
			g.flags, g.words = append(g.flags, m.Flags), append(g.words, m.Words)
			n := 0
			for _, p := range m.Pieces {
				n += int(p.Len)
			}
			if n != len(m.SIP.Raw) {
				g.text = append(g.text, "pieces do not cover the text")
			}
		}
		w.Account(&g.acct)
	}
	return g
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	two := strings.ReplaceAll(options, "Call-ID: one", "Call-ID: two")
	whole := udp(two)
	batches := [][]capture.Packet{
		{
			packet(1, 17, udp(options), -1, false),
			packet(2, 17, udp("\r\n\r\n"), -1, false),
			packet(3, 17, udp("\r\n"+options), -1, false),
			packet(4, 17, udp("\x80\x00 not SIP"), -1, false),
			packet(5, 17, whole[:104], 0, true),
			packet(6, 1, "ICMP quotes "+options, -1, false),
		},
		{
			packet(7, 17, whole[104:], 104, false),
			packet(8, 6, tcp(100, options[:50]), -1, false),
			packet(9, 6, tcp(150, options[50:]+two), -1, false),
			packet(10, 6, tcp(150, options[50:]), -1, false),
			packet(11, 17, "\x00\x01\x00\x02\x00\x03\x00\x00", -1, false),
			packet(12, 17, whole[:104], 0, true),
		},
	}
	g := run(decode.Options{Words: []string{"Call-ID: TWO", "OPTIONS"}, IgnoreCase: true}, batches...)
	if calls := strings.Join(g.calls, " "); calls != "one one two one two gap" {
		t.Errorf("messages %q, want one one two one two gap", calls)
	}
	if len(g.text) > 0 {
		t.Error(g.text)
	}
	for i, want := range []uint64{2, 2, 3, 2, 3} {
		if g.words[i] != want {
			t.Errorf("message %d holds words %b, want %b", i, g.words[i], want)
		}
	}
	want := map[string]uint64{
		"sip": 4, "keep_alive": 1, "continuation": 2, "held": 1, "duplicate": 1, "malformed": 1, "other": 2,
	}
	var sum uint64
	g.acct.Each(func(name string, n uint64) {
		sum += n
		if want[name] != n {
			t.Errorf("%d packets are %s, want %d", n, name, want[name])
		}
	})
	if sum != 12 || g.acct.Packets != 12 || g.acct.Messages != 5 {
		t.Errorf("%d outcomes of %d packets with %d messages, want 12, 12, 5", sum, g.acct.Packets, g.acct.Messages)
	}
}

func TestSnaplenMarksMessages(t *testing.T) {
	t.Parallel()
	p := packet(1, 17, udp(options), -1, false)
	p.Data = p.Data[:120]
	g := run(decode.Options{}, []capture.Packet{p})
	if len(g.flags) != 1 || g.flags[0]&decode.Truncated == 0 {
		t.Errorf("flags %v, want one message marked truncated", g.flags)
	}
}

// Decoding a plain datagram does not allocate once a Work has been used.
func TestFramesAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	var packets []capture.Packet
	for i := range capture.MaxBatch {
		packets = append(packets, packet(uint64(i+1), 17, udp(options), -1, false))
	}
	d := decode.NewDecoder(decode.Options{})
	s := decode.NewStreams(d)
	w := &decode.Work{}
	step := func() {
		w.Batch.Packets = append(w.Batch.Packets[:0], packets...)
		d.Frames(w)
		s.Join(w)
		w.Reset()
	}
	step()
	if n := testing.AllocsPerRun(20, step); n > 0 {
		t.Errorf("%.1f allocations a batch, want none", n)
	}
}

func BenchmarkFrames(b *testing.B) {
	var packets []capture.Packet
	for i := range capture.MaxBatch {
		packets = append(packets, packet(uint64(i+1), 17, udp(options), -1, false))
	}
	d := decode.NewDecoder(decode.Options{})
	s := decode.NewStreams(d)
	w := &decode.Work{}
	b.ReportAllocs()
	for b.Loop() {
		w.Batch.Packets = append(w.Batch.Packets[:0], packets...)
		d.Frames(w)
		s.Join(w)
		w.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/capture.MaxBatch, "ns/packet")
}
