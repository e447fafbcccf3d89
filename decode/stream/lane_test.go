package stream

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// vlan is the path of a frame with tags, outermost first; none for a frame in nothing.
func vlan(tb testing.TB, ids ...uint16) frame.Path {
	tb.Helper()
	var b []byte
	b = append(b, make([]byte, 12)...)
	for _, id := range ids {
		b = append(b, 0x81, 0, byte(id>>8), byte(id))
	}
	b = append(b, 8, 0, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0xc4, 0x13, 0xc4, 0, 8, 0, 0)
	var p frame.Packet
	if r := frame.Decode(capture.LinkEthernet, b, uint32(len(b)), &p); r != frame.UDP {
		tb.Fatalf("a tagged frame is %v", r)
	}
	return p.Path
}

// host is one end of a connection on a path, with its own sequence numbers.
type host struct {
	w         *wire
	own, peer frame.Endpoint
	paths     []frame.Path // each segment is seen on all
	seq       uint32
	other     *host
}

// pairOn makes the ends of a connection between Alice and Bob.
func (w *wire) pairOn(isn, back uint32, paths ...frame.Path) (a, b *host) {
	a = &host{w: w, own: alice, peer: bob, paths: paths, seq: isn}
	b = &host{w: w, own: bob, peer: alice, paths: paths, seq: back, other: a}
	a.other = b
	return a, b
}

func (h *host) segment(flags uint8, text string) {
	for _, p := range h.paths {
		h.w.on(p, h.own, h.peer, h.seq, h.other.seq, flags, text)
	}
	h.seq += uint32(len(text))
	if flags&(frame.SYN|frame.FIN) != 0 {
		h.seq++
	}
}

func (h *host) say(text string) { h.segment(frame.ACK|frame.PSH, text) }

// on plays a segment on a path.
func (w *wire) on(path frame.Path, src, dst frame.Endpoint, seq, ack uint32, flags uint8, text string) {
	w.frame++
	w.now += ms / 10
	s := Segment{
		Src: src, Dst: dst, Path: path, Seq: seq, Ack: ack, Flags: flags, Payload: []byte(text), Frame: w.frame, Time: w.now,
	}
	if flags == frame.SYN {
		s.Ack = 0
	}
	if len(text) > 0 {
		s.Pieces = []frame.Piece{{Seq: w.frame, Loc: capture.Loc{Off: int64(len(w.file))}, Len: uint32(len(text))}}
		w.file = append(w.file, text...)
	}
	w.fates = append(w.fates, w.a.Add(&s))
}

// shake is the handshake.
func shake(a, b *host) {
	a.segment(frame.SYN, "")
	b.segment(frame.SYN|frame.ACK, "")
	a.segment(frame.ACK, "")
}

// numbered is a message that tells whose it is.
func numbered(name string, n int) string {
	return fmt.Sprintf("OPTIONS sip:%s-%d@example.com SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK%[1]s%[2]d\r\nl: 0\r\n\r\n", name, n)
}

func answer(name string, n int) string {
	return fmt.Sprintf("SIP/2.0 200 %s-%d\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK%[1]s%[2]d\r\nl: 0\r\n\r\n", name, n)
}

// startLines are what came out, sorted, without sizes.
func (w *wire) startLines() []string {
	var all []string
	for _, s := range w.log {
		line, _, _ := strings.Cut(s, " (")
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func talk(name string, n int) []string {
	return []string{"OPTIONS sip:" + fmt.Sprint(name, "-", n) + "@example.com SIP/2.0", "SIP/2.0 200 " + fmt.Sprint(name, "-", n)}
}

// TestLanes plays two connections of the same addresses and ports.
func TestLanes(t *testing.T) {
	t.Parallel()
	one, two, none := vlan(t, 1), vlan(t, 2), frame.Path{}
	for _, c := range []struct {
		name     string
		isn      [4]uint32 // of Alice and Bob in the one, of both in the other
		a, b     []frame.Path
		midstart bool
		cut      int // of each message, bytes in the first segment
	}{
		{name: "two tags", isn: [4]uint32{1000, 5000, 3e9, 2e9}, a: []frame.Path{one}, b: []frame.Path{two}},
		{name: "tagged and not", isn: [4]uint32{1000, 5000, 3e9, 2e9}, a: []frame.Path{none}, b: []frame.Path{two}},
		{name: "from the middle", isn: [4]uint32{1000, 5000, 3e9, 2e9}, a: []frame.Path{one}, b: []frame.Path{two}, midstart: true},
		{name: "near sequence numbers", isn: [4]uint32{1000, 5000, 30000, 9000}, a: []frame.Path{one}, b: []frame.Path{two}},
		{name: "the same sequence numbers", isn: [4]uint32{1000, 5000, 1000, 5000}, a: []frame.Path{one}, b: []frame.Path{two}},
		{name: "in pieces", isn: [4]uint32{1000, 5000, 1000, 5000}, a: []frame.Path{one}, b: []frame.Path{two}, cut: 40},
		{
			name: "two mirrors of one, and another", isn: [4]uint32{1000, 5000, 3e9, 2e9},
			a: []frame.Path{one, none}, b: []frame.Path{two}, cut: 33,
		},
		{
			name: "two mirrors of both", isn: [4]uint32{1000, 5000, 3e9, 2e9},
			a: []frame.Path{one, vlan(t, 8, 1)}, b: []frame.Path{two, vlan(t, 8, 2)}, cut: 50,
		},
		{
			name: "two mirrors of both from the middle", isn: [4]uint32{1000, 5000, 3e9, 2e9}, midstart: true,
			a: []frame.Path{one, vlan(t, 8, 1)}, b: []frame.Path{two, vlan(t, 8, 2)}, cut: 50,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			a1, b1 := w.pairOn(c.isn[0], c.isn[1], c.a...)
			a2, b2 := w.pairOn(c.isn[2], c.isn[3], c.b...)
			if !c.midstart {
				shake(a1, b1)
				shake(a2, b2)
			}
			var want []string
			for n := range 20 {
				q1, q2, r1, r2 := numbered("first", n), numbered("the-other", n), answer("first", n), answer("the-other", n)
				a1.say(q1[:c.cut])
				a2.say(q2[:c.cut])
				a1.say(q1[c.cut:])
				a2.say(q2[c.cut:])
				b2.say(r2[:c.cut])
				b1.say(r1[:c.cut])
				b1.say(r1[c.cut:])
				b2.say(r2[c.cut:])
				want = append(append(want, talk("first", n)...), talk("the-other", n)...)
			}
			w.a.Flush(w.frame, w.now)
			slices.Sort(want)
			if diff := cmp.Diff(want, w.startLines()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if n := w.a.Counters.Gaps + w.a.Counters.Skipped + w.a.Counters.Overlaps; n > 0 {
				t.Errorf("counters %+v", w.a.Counters)
			}
			if w.a.Flows() != 0 || w.a.recent != 0 || w.a.Bytes() != 0 {
				t.Errorf("%d directions, %d bytes remembered, %d held at the end", w.a.Flows(), w.a.recent, w.a.Bytes())
			}
		})
	}
}

// TestLaneHandover plays one connection whose tunnel changes, and whose directions are in different ones.
func TestLaneHandover(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	a, b := w.pairOn(1000, 77, vlan(t, 1))
	b.paths = []frame.Path{vlan(t, 2)}
	shake(a, b)
	text := numbered("a", 0)
	a.say(text[:30])
	a.paths = []frame.Path{vlan(t, 3)}
	a.say(text[30:])
	b.paths = []frame.Path{vlan(t, 4)}
	b.say(answer("a", 0))
	want := []string{fmt.Sprintf("%s (%d)", talk("a", 0)[0], len(text)), fmt.Sprintf("%s (%d)", talk("a", 0)[1], len(answer("a", 0)))}
	if diff := cmp.Diff(want, w.log); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w.a.Flows() != 2 {
		t.Errorf("%d directions, want 2", w.a.Flows())
	}
}

// TestLaneAgain plays two connections after each other on the same addresses and ports, each seen by two mirrors.
func TestLaneAgain(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	paths := []frame.Path{vlan(t, 1), {}}
	for i, isn := range []uint32{1000, 3e9} {
		name := fmt.Sprint("call", i)
		a, b := w.pairOn(isn, isn/2, paths...)
		shake(a, b)
		a.say(numbered(name, 1))
		b.say(answer(name, 1))
		slices.Reverse(paths)
	}
	want := []string{talk("call0", 1)[0], talk("call1", 1)[0], talk("call0", 1)[1], talk("call1", 1)[1]}
	if diff := cmp.Diff(want, w.startLines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w.a.Flows() != 2 {
		t.Errorf("%d directions, want 2", w.a.Flows())
	}
}

// TestLaneLoss has one mirror lose so much that its stream seems to be another one, until it is back.
func TestLaneLoss(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	good, bad := vlan(t, 1), vlan(t, 2)
	a, b := w.pairOn(1000, 77, good, bad)
	shake(a, b)
	var want []string
	for n := range 2000 {
		a.paths = []frame.Path{good, bad}
		if n > 50 && n < 1950 {
			a.paths = a.paths[:1]
		}
		a.say(numbered("a", n))
		want = append(want, talk("a", n)[0])
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, w.startLines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w.a.Flows() != 2 {
		t.Errorf("%d directions, want 2", w.a.Flows())
	}
}

// TestLaneBounds plays segments of the same addresses in a new tunnel each.
func TestLaneBounds(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.a = NewLimited(w, Limits{
		Flows: 1 << 16, Total: 1 << 20, Message: 1 << 16, Head: 1 << 14, Held: 64, HeldBytes: 1 << 16, HoleAge: 3 * sec,
		AckedAge: 50 * ms, SettleAge: 500 * ms, MessageAge: 32 * sec, IdleAge: 3600 * sec, Search: 1 << 16, MaxDistance: 4 << 20,
	})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		from := alice
		from.Port += uint16(i / 100)
		w.on(vlan(t, uint16(r.IntN(4096)), uint16(r.IntN(4096))), from, bob, r.Uint32(), 0, frame.ACK, numbered("x", i))
	}
	if w.a.Flows() > 50*maxLanes || w.a.recent > 1<<17 {
		t.Errorf("%d directions, %d bytes remembered", w.a.Flows(), w.a.recent)
	}
	if w.a.Counters.Evicted == 0 {
		t.Error("nothing was evicted")
	}
	if len(w.log) < 4980 { // without acknowledgements some fit by chance
		t.Errorf("%d messages of 5000", len(w.log))
	}
}

// sctpOn plays an SCTP packet on a path, from Alice to Bob.
func (w *wire) sctpOn(path frame.Path, tag uint32, chunks string) {
	w.frame++
	w.now += ms / 10
	b := []byte{0x13, 0xc4, 0x13, 0xc5}
	b = append(binary.BigEndian.AppendUint32(b, tag), "sum!"+chunks...)
	p := frame.Piece{Seq: w.frame, Loc: capture.Loc{Off: int64(len(w.file))}, Len: uint32(len(b))}
	w.file = append(w.file, b...)
	w.a.AddSCTP(&SCTPPacket{
		Src: alice, Dst: bob, Path: path, Payload: b, Frame: w.frame, Time: w.now, Pieces: []frame.Piece{p},
	})
}

// TestSCTPLanes plays two associations of the same tag and ports, one of them seen twice.
func TestSCTPLanes(t *testing.T) {
	t.Parallel()
	one, two := vlan(t, 1), vlan(t, 2)
	for _, c := range []struct {
		name   string
		tsn    [2]uint32
		copies []frame.Path // of the first one
		cut    int          // of each message, bytes in the first chunk; 0 for one chunk
	}{
		{"far numbers", [2]uint32{1, 1 << 30}, nil, 0},
		{"the same numbers", [2]uint32{1, 1}, nil, 0},
		{"the same numbers, over their end", [2]uint32{^uint32(9), ^uint32(9)}, nil, 0},
		{"one seen twice", [2]uint32{1, 1}, []frame.Path{{}}, 0},
		{"one seen three times, in fragments", [2]uint32{7, 7}, []frame.Path{vlan(t, 9, 1), {}}, 31},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			var want []string
			for n := range 100 {
				for i, name := range []string{"first", "the-other"} {
					var chunks string
					text := numbered(name, n)
					if c.cut > 0 {
						chunks = data(dataBegin, c.tsn[i], uint16(n), text[:c.cut])
						c.tsn[i]++
						text = text[c.cut:]
						chunks += data(dataEnd, c.tsn[i], uint16(n), text)
					} else {
						chunks = data(all, c.tsn[i], uint16(n), text)
					}
					c.tsn[i]++
					paths := []frame.Path{two}
					if i == 0 {
						paths = append([]frame.Path{one}, c.copies...)
					}
					for _, p := range paths {
						w.sctpOn(p, 5, chunks)
					}
					want = append(want, talk(name, n)[0])
				}
			}
			w.a.Flush(w.frame, w.now)
			slices.Sort(want)
			if diff := cmp.Diff(want, w.startLines()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if w.a.sctp.directions != 0 || len(w.a.sctp.flows) != 0 || w.a.sctp.bytes != 0 {
				t.Errorf("%d directions and %d bytes are left", w.a.sctp.directions, w.a.sctp.bytes)
			}
		})
	}
}

// TestSCTPLaneBounds plays chunks of the same tag in a new tunnel each.
func TestSCTPLaneBounds(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	for i := range 5000 {
		w.sctpOn(vlan(t, uint16(i), uint16(i/7)), 5, data(all, uint32(i)*123457, 0, numbered("x", i)))
	}
	if w.a.sctp.directions > maxLanes || w.a.Counters.Evicted == 0 || len(w.log) < 4990 {
		t.Errorf("%d directions, %d evicted, %d messages", w.a.sctp.directions, w.a.Counters.Evicted, len(w.log))
	}
}

// FuzzLanes plays segments of one pair of addresses on a few paths: nothing is held or remembered beyond the limits, all
// is given back at the end, and every direction can be found.
func FuzzLanes(f *testing.F) {
	f.Add([]byte{0, 2, 1, 2, 0, 9, 1, 9, 2, 9, 0x80, 9, 0x81, 30}, uint32(1000))
	f.Add([]byte{0, 2, 0x40, 2, 0, 9, 1, 9, 1, 2, 1, 77, 2, 77, 3, 0xff}, ^uint32(0))
	f.Fuzz(func(t *testing.T, ops []byte, isn uint32) {
		if len(ops) > 600 {
			return
		}
		w := newWire(t)
		w.quiet = true
		paths := []frame.Path{{}, vlan(t, 1), vlan(t, 2), vlan(t, 1, 2)}
		text := strings.Repeat(numbered("x", 1)+numbered("y", 2), 40)
		for len(ops) >= 2 {
			path, what := ops[0], ops[1]
			ops = ops[2:]
			src, dst := alice, bob
			if path&0x80 != 0 {
				src, dst = bob, alice
			}
			from := int(what>>2) * 50
			seq, body := isn+uint32(from), text[from:from+int(path>>2&0xf)*9]
			if path&0x40 != 0 {
				seq += 1 << 24 // another connection
			}
			flags := []uint8{frame.ACK, frame.SYN, frame.ACK | frame.FIN, frame.RST}[what&3]
			if what&3 != 0 {
				body = body[:len(body)/9]
			}
			w.on(paths[path&3], src, dst, seq, isn+uint32(from), flags, body)
			n := 0
			for _, head := range w.a.flows {
				for d := head; d != nil; d = d.twin {
					n++
					if d.peer != nil && d.peer.peer != d || len(d.more) >= maxPaths {
						t.Fatal("a pair that is none, or too many paths")
					}
				}
			}
			listed := 0
			for d := w.a.oldest; d != nil; d = d.newer {
				listed++
			}
			if n != w.a.Flows() || listed != n {
				t.Fatalf("%d directions by address, %d by age, %d counted", n, listed, w.a.Flows())
			}
		}
		w.a.Flush(w.frame, w.now)
		if w.a.Flows() != 0 || w.a.recent != 0 || w.a.Bytes() != 0 {
			t.Errorf("%d directions, %d bytes remembered, %d held at the end", w.a.Flows(), w.a.recent, w.a.Bytes())
		}
	})
}
