package frame

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
)

var (
	hostA = Endpoint4([]byte{192, 0, 2, 1}, 0)
	hostB = Endpoint4([]byte{192, 0, 2, 2}, 0)
)

// bench puts fragments into a Defragmenter. Its file holds the bytes that pieces point to.
type bench struct {
	t    *testing.T
	d    *Defragmenter
	file []byte
	seq  uint64
	now  int64
	gone []*Datagram
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return &bench{t: t, d: NewDefragmenter()}
}

// add puts one fragment in: bytes of a datagram from an offset.
func (b *bench) add(id uint32, offset int, data []byte, more bool, missing uint32) *Datagram {
	b.seq++
	b.now += 1_000
	at := int64(len(b.file))
	b.file = append(b.file, data...)
	p := Packet{
		Src: hostA, Dst: hostB, Proto: protoUDP, FragID: id, FragOffset: uint16(offset), MoreFrags: more,
		Payload: bytes.Clone(data), IPID: uint16(id), HasIPID: true, Missing: missing, Cut: missing > 0,
	}
	out := b.d.Add(&p, Piece{Seq: b.seq, Loc: capture.Loc{Off: at, File: 3}, Len: uint32(len(data))}, b.now)
	for i := range p.Payload {
		p.Payload[i] = 0xee // what is held must be a copy
	}
	if out != nil {
		b.check(out)
	}
	return out
}

// check compares the pieces of a datagram with its payload.
func (b *bench) check(d *Datagram) {
	b.t.Helper()
	var text []byte
	for _, p := range d.Pieces {
		if p.Loc.File != 3 || p.Len == 0 {
			b.t.Errorf("piece %+v", p)
		}
		text = append(text, b.file[p.Loc.Off:p.Loc.Off+int64(p.Len)]...)
	}
	if !bytes.Equal(text, d.Payload) {
		b.t.Errorf("pieces give %d bytes, payload has %d", len(text), len(d.Payload))
	}
}

func (b *bench) missing(d *Datagram) {
	b.check(d)
	b.gone = append(b.gone, d)
}

// datagram makes a UDP header and a payload of n bytes.
func datagram(n int) []byte {
	b := make([]byte, 8+n)
	binary.BigEndian.PutUint16(b, 5060)
	binary.BigEndian.PutUint16(b[2:], 5080)
	binary.BigEndian.PutUint16(b[4:], uint16(8+n))
	for i := range n {
		b[8+i] = byte('a' + i%26)
	}
	return b
}

func TestDefragment(t *testing.T) {
	t.Parallel()
	whole := datagram(92) // 100 bytes
	evil := bytes.Repeat([]byte("#"), 100)
	type frag struct {
		from, to int
		more     bool
		evil     bool // with other bytes
	}
	cases := []struct {
		name                 string
		frags                []frag
		pieces               int
		overlaps, duplicates uint64
	}{
		{"in order", []frag{{0, 40, true, false}, {40, 80, true, false}, {80, 100, false, false}}, 3, 0, 0},
		{"backwards", []frag{{80, 100, false, false}, {40, 80, true, false}, {0, 40, true, false}}, 3, 0, 0},
		{"last but one last", []frag{{0, 40, true, false}, {80, 100, false, false}, {40, 80, true, false}}, 3, 0, 0},
		{"copies", []frag{{0, 40, true, false}, {0, 40, true, false}, {40, 100, false, false}}, 2, 0, 1},
		{"overlap, same bytes", []frag{{0, 48, true, false}, {40, 100, false, false}}, 2, 1, 0},
		{"swallowed", []frag{{40, 48, true, false}, {16, 24, true, false}, {0, 100, false, false}}, 5, 1, 0},
		{"contained", []frag{{0, 80, true, false}, {8, 24, true, true}, {80, 100, false, false}}, 2, 1, 0},
		{"a last one twice, differently", []frag{{80, 100, false, false}, {80, 96, false, false}, {0, 80, true, false}}, 2, 1, 0},
		{"beyond the last", []frag{{80, 100, false, false}, {96, 100, true, false}, {0, 80, true, false}}, 2, 0, 1},
		{"smallest", []frag{{0, 8, true, false}, {8, 16, true, false}, {16, 100, false, false}}, 2, 0, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var out *Datagram
			for i, f := range c.frags {
				data := whole[f.from:f.to]
				if f.evil {
					data = evil[f.from:f.to]
				}
				got := b.add(7, f.from, data, f.more, 0)
				if got != nil && i < len(c.frags)-1 {
					t.Fatalf("whole after %d fragments", i+1)
				}
				if out == nil {
					out = got
				}
			}
			if out == nil || out.Result != UDP || !bytes.Equal(out.Payload, whole[8:]) {
				t.Fatalf("got %+v", out)
			}
			if out.Src.Port != 5060 || out.Dst.Port != 5080 || out.Cut || out.Missing || out.Frames != len(c.frags) ||
				out.Seq != uint64(len(c.frags)) || out.First != 1 || !out.HasHead || out.IPID != 7 {
				t.Errorf("got %+v", out)
			}
			if len(out.Pieces) != c.pieces || b.d.Overlaps != c.overlaps || b.d.Duplicates != c.duplicates {
				t.Errorf("%d pieces, %d overlaps, %d duplicates", len(out.Pieces), b.d.Overlaps, b.d.Duplicates)
			}
			if b.d.bytes != 0 || len(b.d.groups) != 0 || b.d.oldest != nil || b.d.newest != nil {
				t.Errorf("%d bytes are left", b.d.bytes)
			}
		})
	}
}

func TestDefragmentFirstBytesWin(t *testing.T) {
	t.Parallel()
	whole := datagram(92)
	b := newBench(t)
	b.add(7, 40, whole[40:80], true, 0)
	b.add(7, 32, bytes.Repeat([]byte("#"), 56), true, 0) // 32 to 88
	b.add(7, 0, whole[:40], true, 0)
	out := b.add(7, 80, whole[80:], false, 0)
	text := bytes.Clone(whole)
	copy(text[32:40], "########")
	copy(text[80:88], "########")
	if out == nil || !bytes.Equal(out.Payload, text[8:]) || b.d.Overlaps != 3 {
		t.Fatalf("got %+v, %d overlaps", out, b.d.Overlaps)
	}
}

func TestDefragmentTeardrop(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	whole := datagram(92)
	b.add(7, 0, whole[:80], true, 0)
	out := b.add(7, 24, whole[24:28], false, 0) // ends within the first
	if out == nil || len(out.Payload) != 20 || !out.Cut || b.d.Overlaps != 1 {
		t.Errorf("got %+v, %d overlaps", out, b.d.Overlaps)
	}
}

// TestDefragmentBeyond has fragments that begin behind the last one.
func TestDefragmentBeyond(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	whole := datagram(72)
	b.add(7, 72, whole[72:], false, 0)
	b.add(7, 96, []byte("beyond"), true, 0)
	b.add(7, 200, nil, false, 1)
	out := b.add(7, 0, whole[:72], true, 0)
	if out == nil || !bytes.Equal(out.Payload, whole[8:]) || b.d.Overlaps != 2 || out.Cut {
		t.Errorf("got %+v, %d overlaps", out, b.d.Overlaps)
	}
}

func TestDefragmentLargest(t *testing.T) {
	t.Parallel()
	whole := datagram(maxDatagram - 8)
	for _, size := range []int{1480, 8, 65528} {
		b := newBench(t)
		var out *Datagram
		for at := 0; at < len(whole); at += size {
			end := min(at+size, len(whole))
			out = b.add(9, at, whole[at:end], end < len(whole), 0)
		}
		if out == nil || !bytes.Equal(out.Payload, whole[8:]) {
			t.Errorf("fragments of %d: got %v", size, out != nil)
		}
	}
}

func TestDefragmentTimeout(t *testing.T) {
	t.Parallel()
	whole := datagram(92)
	b := newBench(t)
	b.add(1, 0, whole[:40], true, 0)
	b.add(1, 80, whole[80:], false, 0)
	b.add(2, 40, whole[40:], false, 0)
	b.now += FragmentAge - 5_000
	b.add(3, 0, whole[:4], true, 0)
	b.d.Expire(b.now, b.missing)
	if len(b.gone) != 0 {
		t.Fatalf("%d are gone too early", len(b.gone))
	}
	b.now += 10_000
	b.d.Expire(b.now, b.missing)
	if len(b.gone) != 2 || b.d.Expired != 2 {
		t.Fatalf("%d are gone", len(b.gone))
	}
	one, two := b.gone[0], b.gone[1]
	if one.Result != UDP || !one.Missing || !one.Cut || string(one.Payload) != string(whole[8:40]) || one.Src.Port != 5060 ||
		!one.HasHead || one.First != 1 || one.Seq != 2 || one.Frames != 2 {
		t.Errorf("got %+v", one)
	}
	if two.Result != Truncated || !two.Missing || two.HasHead || len(two.Payload) != 0 || two.Src != hostA || two.First != 3 {
		t.Errorf("got %+v", two)
	}
	b.d.Flush(b.missing)
	if len(b.gone) != 3 || b.gone[2].Result != Truncated || !b.gone[2].HasHead || b.d.bytes != 0 {
		t.Errorf("%d are gone, %d bytes are left", len(b.gone), b.d.bytes)
	}
}

func TestDefragmentCut(t *testing.T) {
	t.Parallel()
	whole := datagram(92)
	b := newBench(t)
	b.add(1, 0, whole[:20], true, 20) // the snaplen took 20 of 40
	out := b.add(1, 40, whole[40:], false, 0)
	if out == nil || out.Result != UDP || !out.Cut || out.Missing || string(out.Payload) != string(whole[8:20]) {
		t.Errorf("got %+v", out)
	}
}

// TestDefragmentTap has a tap that delivers every frame twice.
func TestDefragmentTap(t *testing.T) {
	t.Parallel()
	whole := datagram(92)
	b := newBench(t)
	n := 0
	for _, at := range []int{0, 40, 80} {
		for range 2 {
			if b.add(5, at, whole[at:min(at+40, 100)], at < 80, 0) != nil {
				n++
			}
		}
	}
	b.d.Flush(b.missing)
	if n != 1 || len(b.gone) != 0 || b.d.Duplicates != 3 {
		t.Errorf("%d datagrams, %d incomplete, %d duplicates", n, len(b.gone), b.d.Duplicates)
	}
	n = 0
	for range 2 { // the second copy behind the first: both are given, they have the same IP id
		for _, at := range []int{0, 40, 80} {
			if d := b.add(6, at, whole[at:min(at+40, 100)], at < 80, 0); d != nil && d.IPID == 6 {
				n++
			}
		}
	}
	if n != 2 {
		t.Errorf("%d datagrams, want 2", n)
	}
}

func TestDefragmentLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for id := range uint32(3 * maxGroups) {
		b.add(id, 8, []byte("12345678"), true, 0)
		if len(b.d.groups) > 2*maxGroups {
			t.Fatalf("%d groups", len(b.d.groups))
		}
	}
	b.d.Expire(b.now, b.missing)
	if len(b.d.groups) != maxGroups || len(b.gone) != maxGroups || b.d.Evicted != 2*maxGroups || b.gone[0].First != 1 {
		t.Errorf("%d groups, %d gone, %d evicted", len(b.d.groups), len(b.gone), b.d.Evicted)
	}
	b = newBench(t)
	block := make([]byte, 60_000)
	for id := range uint32(1000) {
		b.add(id, 8, block, true, 0)
		if b.d.bytes > 2*maxHeldBytes+2*maxDatagram {
			t.Fatalf("%d bytes", b.d.bytes)
		}
	}
	b.d.Expire(b.now, b.missing)
	if b.d.bytes > maxHeldBytes || b.d.Evicted == 0 {
		t.Errorf("%d bytes, %d evicted", b.d.bytes, b.d.Evicted)
	}
	// many tiny fragments are not free
	b = newBench(t)
	for i := range 1 << 20 {
		b.add(uint32(i>>13), i&0x1fff<<3&0xfff0+8, []byte("1"), true, 0)
	}
	if b.d.bytes > 2*maxHeldBytes+2*maxDatagram {
		t.Errorf("%d bytes", b.d.bytes)
	}
}

// TestDefragmentIPv6 has a fragmented destination options header before UDP, and fragments whose next header differs.
func TestDefragmentIPv6(t *testing.T) {
	t.Parallel()
	inner := unhex("11 00 010400000000" + udp) // destination options, then UDP
	src, dst := Endpoint6(unhex(v6src), 0), Endpoint6(unhex(v6dst), 0)
	d := NewDefragmenter()
	second := Packet{Src: src, Dst: dst, Proto: 99, FragID: 1, FragOffset: 16, Payload: inner[16:]}
	if d.Add(&second, Piece{Seq: 1, Len: uint32(len(inner) - 16)}, 1) != nil {
		t.Fatal("whole without the first")
	}
	first := Packet{Src: src, Dst: dst, Proto: extDestination, FragID: 1, MoreFrags: true, Payload: inner[:16]}
	out := d.Add(&first, Piece{Seq: 2, Loc: capture.Loc{Off: 1000}, Len: 16}, 2)
	if out == nil || out.Result != UDP || string(out.Payload) != "hello" || out.Src.Port != 5060 {
		t.Fatalf("got %+v", out)
	}
	want := []Piece{{Seq: 1, Len: 5}}
	if diff := cmp.Diff(want, out.Pieces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefragmentTCP(t *testing.T) {
	t.Parallel()
	whole := unhex(tcp)
	d := NewDefragmenter()
	p := Packet{Src: hostA, Dst: hostB, Proto: protoTCP, FragID: 1, MoreFrags: true, Payload: whole[:16]}
	d.Add(&p, Piece{Seq: 1, Len: 16}, 1)
	p = Packet{Src: hostA, Dst: hostB, Proto: protoTCP, FragID: 1, FragOffset: 16, Payload: whole[16:]}
	out := d.Add(&p, Piece{Seq: 2, Loc: capture.Loc{Off: 100}, Len: 9}, 1)
	if out == nil || out.Result != TCP || string(out.Payload) != "hello" || out.Packet.Seq != 1 || out.Ack != 2 {
		t.Fatalf("got %+v", out)
	}
	if diff := cmp.Diff([]Piece{{Seq: 2, Loc: capture.Loc{Off: 104}, Len: 5}}, out.Pieces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCutPieces(t *testing.T) {
	t.Parallel()
	pieces := []Piece{{Seq: 1, Loc: capture.Loc{Off: 10}, Len: 4}, {Seq: 2, Loc: capture.Loc{Off: 50}, Len: 4}}
	show := func(off, size int) string {
		var b strings.Builder
		for _, p := range CutPieces(nil, pieces, off, size) {
			fmt.Fprintf(&b, "%d:%d+%d ", p.Seq, p.Loc.Off, p.Len)
		}
		return b.String()
	}
	for want, got := range map[string]string{
		"1:10+4 2:50+4 ": show(0, 8), "1:12+2 2:50+1 ": show(2, 3), "2:50+4 ": show(4, 9), "2:53+1 ": show(7, 1), "": show(8, 4),
		"1:10+1 ": show(0, 1),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzDefragment(f *testing.F) {
	f.Add([]byte("\x00\x00\x08\x80aaaaaaaa\x00\x01\x04\x00bbbb"), uint64(1))
	f.Add([]byte("\x01\x02\xff\x80\x01\x01\x10\x00\x01\x00\x20\x80"), uint64(2))
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		hostile(t, script)
		shuffled(t, script, seed)
	})
}

// hostile plays any fragments: 4 bytes each (id, offset in 8 bytes, size, flags).
func hostile(t *testing.T, script []byte) {
	t.Helper()
	b := newBench(t)
	given := 0
	for ; len(script) >= 4; script = script[4:] {
		size := min(int(script[2]), len(script)-4)
		more, missing := script[3]&0x80 != 0, uint32(script[3]&0x0f)
		offset := int(script[1]) << 3 << (script[3] >> 4 & 5)
		if offset+size > maxDatagram-16 {
			continue
		}
		if d := b.add(uint32(script[0]&3), offset, script[4:4+size], more, missing); d != nil {
			given++
			if d.Missing || len(d.Payload) > maxDatagram {
				t.Fatalf("got %+v", d)
			}
		}
		b.now += int64(script[3]&0x30) << 28
		b.d.Expire(b.now, b.missing)
	}
	b.d.Flush(b.missing)
	if b.d.bytes != 0 || len(b.d.groups) != 0 || b.d.oldest != nil {
		t.Fatalf("%d bytes are left", b.d.bytes)
	}
}

// shuffled plays the fragments of one datagram in any order with copies: it must come out.
func shuffled(t *testing.T, payload []byte, seed uint64) {
	t.Helper()
	if len(payload) > 2000 {
		return
	}
	r := rand.New(rand.NewPCG(seed, 0))
	whole := append(datagram(0), payload...)
	binary.BigEndian.PutUint16(whole[4:], uint16(len(whole)))
	type span struct{ from, to int }
	var spans []span
	for at := 0; at < len(whole); {
		to := min(len(whole), at+8*(1+r.IntN(20)))
		spans = append(spans, span{at, to})
		if from := at - 8*r.IntN(3); from >= 0 && r.IntN(3) == 0 {
			spans = append(spans, span{from, to})
		}
		at = to
	}
	r.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	b := newBench(t)
	var out *Datagram
	for _, s := range spans {
		if d := b.add(1, s.from, whole[s.from:s.to], s.to < len(whole), 0); d != nil && out == nil {
			out = d
		}
	}
	if out == nil || !bytes.Equal(out.Payload, payload) {
		t.Fatalf("%d bytes in %d fragments: got %+v", len(whole), len(spans), out)
	}
}
