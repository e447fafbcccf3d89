package media

import (
	"testing"

	"sipscope/decode"
	"sipscope/decode/frame"
)

// beside gives a packet of so many bytes to the tracker.
func (w *wire) beside(src, dst frame.Endpoint, tcp bool, payload []byte) {
	w.frames++
	w.t.Beside(&frame.Packet{Src: src, Dst: dst, Payload: payload}, tcp, w.frames, w.now)
	w.now += 20e6
}

// name says in SDP of a call that something comes to an address.
func (w *wire) name(call uint32, lines ...decode.Line) {
	w.frames++
	w.t.Describe(&decode.Message{Seq: w.frames, Time: w.now, Src: at(1, 5060), Lines: lines}, call, 0)
}

func fax(addr frame.Endpoint) decode.Line { return decode.Line{Addr: addr, Kind: decode.LineFax} }

// What goes to or comes from an address that SDP named last for no RTP is counted, by direction; STUN and the rest are not.
func TestLane(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	a, b, other := at(1, 4000), at(2, 5000), at(3, 6000)
	if w.beside(a, b, false, []byte{1}); w.t.HasLanes() || len(w.t.LanesOf(1)) != 0 {
		t.Fatal("lanes before any was named")
	}
	w.name(1, fax(a))
	start := w.now
	w.beside(b, a, false, make([]byte, 30))
	w.beside(b, a, false, make([]byte, 12))
	w.beside(a, other, false, make([]byte, 5))
	w.beside(b, other, false, make([]byte, 5))
	stun := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	w.beside(b, a, false, stun)
	w.beside(b, a, true, stun)
	got := w.t.LanesOf(1)
	if len(got) != 3 {
		t.Fatalf("%d lanes: %+v", len(got), got)
	}
	want := Lane{Call: 1, Src: b, Dst: a, Packets: 2, Bytes: 42, First: start, Last: start + 20e6, FirstFrame: 3, LastFrame: 4}
	if got[0] != want {
		t.Errorf("got %+v, want %+v", got[0], want)
	}
	if got[1].Src != a || got[1].Dst != other || got[1].Packets != 1 || !got[2].TCP || got[2].Bytes != 20 {
		t.Errorf("the others: %+v", got[1:])
	}
	w.name(2, decode.Line{Addr: a, RTP: true, Kind: decode.LineAudio}) // the port is sound's now
	w.beside(b, a, false, make([]byte, 30))
	w.name(3, fax(a))
	w.beside(b, a, false, make([]byte, 7))
	if again := w.t.LanesOf(1); again[0] != want {
		t.Errorf("counted on for the call of before: %+v", again[0])
	}
	if l := w.t.LanesOf(3); len(l) != 1 || l[0].Bytes != 7 {
		t.Errorf("the new call's: %+v", l)
	}
}

// Lanes are bounded, whoever sends to an address; what was let go is counted, and the chains of calls stay whole.
func TestLaneLimit(t *testing.T) {
	t.Parallel()
	const limit, calls, senders = 8, 5, 200
	w := newWire(Limits{Lanes: limit})
	for c := range uint32(calls) {
		w.name(c+1, fax(at(byte(c+1), 4000)))
	}
	for i := range senders {
		w.beside(at(9, uint16(i+1)), at(byte(i%calls+1), 4000), false, []byte{1})
	}
	total := 0
	for c := range uint32(calls) {
		for _, l := range w.t.LanesOf(c + 1) {
			if l.Call != c+1 || l.Packets != 1 {
				t.Errorf("%+v in call %d", l, c+1)
			}
			total++
		}
	}
	if n := w.t.LetGo(); total != limit || n.Lanes != senders || n.EvictedLanes != senders-limit || n.LanePackets != senders {
		t.Errorf("%d lanes kept, counts %+v", total, n)
	}
}

// The lines of a bundle share a port (RFC 9143): a data channel there must not hide the sound.
func TestLaneInBundle(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		w := newWire(Limits{})
		lines := []decode.Line{
			{Addr: at(2, 5000), Kind: decode.LineApplication}, {Addr: at(2, 5000), RTP: true, Kind: decode.LineAudio, Index: 1},
		}
		if !first {
			lines[0], lines[1] = lines[1], lines[0]
		}
		w.name(1, lines...)
		w.talk(1)
		all := w.t.All()
		if len(all) != 1 || all[0].Found != BySDP || w.t.HasLanes() {
			t.Errorf("data channel first: %v: %+v", first, all)
		}
	}
}

// A packet of a lane that is known costs no allocation.
func TestLaneAllocates(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts all goroutines
	w := newWire(Limits{})
	w.name(1, fax(at(1, 4000)))
	f := frame.Packet{Src: at(2, 5000), Dst: at(1, 4000), Payload: []byte{0, 1, 2}}
	w.t.Beside(&f, false, 1, 1)
	if n := testing.AllocsPerRun(100, func() { w.t.Beside(&f, false, 2, 2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
