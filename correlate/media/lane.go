package media

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"slices"

	"sipscope/correlate/dense"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// Lane is what goes one way between two addresses, of which SDP named at least one for a medium that is not carried in RTP:
// datagrams of UDPTL (ITU-T T.38), TCP segments of MSRP (RFC 4975) or BFCP (RFC 8856). It is counted, not read.
type Lane struct {
	Call       uint32 // number of the call whose SDP named it
	Src, Dst   frame.Endpoint
	TCP        bool
	Packets    uint64 // datagrams, or segments with a payload, as captured
	Bytes      uint64 // of their payloads, as the wire had them
	First      int64  // packet times, nanoseconds since 1970-01-01 UTC
	Last       int64
	FirstFrame uint64
	LastFrame  uint64
}

// laneRec is a lane: no pointers.
type laneRec struct {
	src, dst              frame.Endpoint
	key                   uint64
	packets, bytes        uint64
	first, last           int64
	firstFrame, lastFrame uint64
	call                  uint32
	callLinks             links
	tcp                   bool
}

// lanes are the Tracker's part that counts what goes beside RTP.
type lanes struct {
	dense.Slab[laneRec]
	byKey  dense.Index // secret hash of addresses and call -> lane
	byCall dense.Index // of a call -> its newest lane
	hand   uint32
	named  bool // SDP named an address for such a medium
}

// laneKey is what makes a lane.
type laneKey struct {
	src, dst frame.Endpoint
	call     uint32
	tcp      bool
}

// HasLanes reports whether SDP named an address for a medium that is not carried in RTP: before, no packet needs to be given
// to Beside.
func (t *Tracker) HasLanes() bool { return t.lanes.named }

// Beside takes the next packet with a payload that is neither SIP nor of an RTP stream, and counts it if it goes to or comes
// from an address that SDP named for a medium that is not carried in RTP. What SDP said last of an address counts.
func (t *Tracker) Beside(f *frame.Packet, tcp bool, seq uint64, now int64) {
	call := t.laneCall(f.Dst)
	if call == 0 {
		call = t.laneCall(f.Src)
	}
	if call == 0 || !tcp && isSTUN(f.Payload) {
		return
	}
	k := laneKey{f.Src, f.Dst, call, tcp}
	key := maphash.Comparable(t.seed, k)
	i := t.lanes.byKey.Get(key)
	if i == 0 {
		i = t.newLane(&k, key)
		r := t.lanes.At(i)
		r.first, r.firstFrame = now, seq
	}
	r := t.lanes.At(i)
	r.packets++
	r.bytes += uint64(len(f.Payload)) + uint64(f.Missing)
	r.last, r.lastFrame = now, seq
	t.counts.LanePackets++
}

// laneCall is the number of the call that named an address, last, for a medium that is not carried in RTP; 0 for none.
func (t *Tracker) laneCall(addr frame.Endpoint) uint32 {
	if i := t.names.find(t.hash(addr), addr); i != 0 {
		if n := t.names.At(i); !n.flags.has(nameRTP) && !n.flags.has(nameControl) {
			return n.call
		}
	}
	return 0
}

// isSTUN reports whether a datagram is a STUN message (RFC 8489 5), which ICE sends to the addresses of media.
func isSTUN(b []byte) bool {
	const header, cookie = 20, 0x2112a442
	return len(b) >= header && b[0]>>6 == 0 && binary.BigEndian.Uint32(b[4:]) == cookie
}

// newLane begins a lane; where there is no room, the idlest of some gives it.
func (t *Tracker) newLane(k *laneKey, key uint64) uint32 {
	l := &t.lanes
	if l.Live() >= t.limits.Lanes {
		t.dropLane()
	}
	i, r := l.Alloc()
	r.key, r.src, r.dst, r.call, r.tcp = key, k.src, k.dst, k.call, k.tcp
	l.byKey.Set(key, i)
	head := l.byCall.Get(callKey(r.call))
	if r.callLinks.next = head; head != 0 {
		l.At(head).callLinks.prev = i
	}
	l.byCall.Set(callKey(r.call), i)
	t.counts.Lanes++
	return i
}

// dropLane gives up the idlest of the next lanes at the hand.
func (t *Tracker) dropLane() {
	l := &t.lanes
	var victim uint32
	for range sweep {
		if l.hand++; l.hand >= l.End() {
			l.hand = 1
		}
		if r := l.At(l.hand); r.key != 0 && (victim == 0 || r.last < l.At(victim).last) {
			victim = l.hand
		}
	}
	if victim == 0 {
		return
	}
	r := l.At(victim)
	l.byKey.Drop(r.key)
	next, prev := r.callLinks.next, r.callLinks.prev
	if next != 0 {
		l.At(next).callLinks.prev = prev
	}
	switch {
	case prev != 0:
		l.At(prev).callLinks.next = next
	case next != 0:
		l.byCall.Set(callKey(r.call), next)
	default:
		l.byCall.Drop(callKey(r.call))
	}
	l.Release(victim)
	t.counts.EvictedLanes++
}

// maxCallLanes bounds what is copied of a call.
const maxCallLanes = 1024

// LanesOf copies the newest lanes of the call with a number, in the order of their first packets.
func (t *Tracker) LanesOf(num uint32) []Lane {
	var out []Lane
	for i := t.lanes.byCall.Get(callKey(num)); i != 0 && len(out) < maxCallLanes; {
		r := t.lanes.At(i)
		out = append(out, Lane{
			Call: r.call, Src: r.src, Dst: r.dst, TCP: r.tcp, Packets: r.packets, Bytes: r.bytes,
			First: r.first, Last: r.last, FirstFrame: r.firstFrame, LastFrame: r.lastFrame,
		})
		i = r.callLinks.next
	}
	slices.SortFunc(out, func(a, b Lane) int { return cmp.Compare(a.FirstFrame, b.FirstFrame) })
	return out
}

// rtpToo reports whether another line of a description has an RTP line's address: in a bundle (RFC 9143), where the
// datagrams of both come to one port.
func rtpToo(lines []decode.Line, l *decode.Line) bool {
	if l.RTP {
		return false
	}
	return slices.ContainsFunc(lines, func(o decode.Line) bool { return o.RTP && o.Addr == l.Addr })
}
