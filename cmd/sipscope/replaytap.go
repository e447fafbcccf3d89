package main

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"sipscope/element/transport"
)

// onceTap taps a link whose participants also talk with each other: what goes between two places of our own is seen when
// it is sent and again when it is received, and passes once. Both ends of such a connection become one.
//
// It belongs to the loop of the link.
type onceTap struct {
	source packetTap
	seed   maphash.Seed
	places map[netip.AddrPort]bool // where we listen
	hosts  map[netip.Addr]bool
	sent   map[uint64]int // messages that were sent and not yet received, by what they are
	conns  map[[2]netip.AddrPort]uint64
}

func newOnceTap(source packetTap) *onceTap {
	return &onceTap{
		source: source, seed: maphash.MakeSeed(), places: map[netip.AddrPort]bool{}, hosts: map[netip.Addr]bool{},
		sent: map[uint64]int{}, conns: map[[2]netip.AddrPort]uint64{},
	}
}

// own names a place of ours, as bound.
func (t *onceTap) own(at netip.AddrPort) {
	t.places[normalPlace(at)] = true
	t.hosts[at.Addr().Unmap()] = true
}

// Bounds of what is remembered; beyond, a message may be seen twice.
const (
	maxSent  = 1 << 16
	maxConns = 1 << 14
	// ownConn keeps the numbers of our own connections apart from those of the link.
	ownConn = 1 << 63
)

// Message implements transport.Tap.
func (t *onceTap) Message(now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	src, dst = normalPlace(src), normalPlace(dst)
	if !t.ours(proto.Reliable(), src, dst) {
		t.source.Message(now, proto, conn, src, dst, raw)
		return
	}
	if t.again(src, dst, raw) {
		return
	}
	if proto.Reliable() { // the dialler and the listener number it differently
		conn = t.conn(src, dst)
	}
	t.source.Message(now, proto, conn, src, dst, raw)
}

// Datagram is the tap of media.
func (t *onceTap) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	src, dst = normalPlace(src), normalPlace(dst)
	if t.hosts[src.Addr()] && t.hosts[dst.Addr()] && t.again(src, dst, payload) {
		return
	}
	t.source.Datagram(now, src, dst, payload)
}

// ours reports whether a message goes between two of us. The port of a connection's maker is nobody's place.
func (t *onceTap) ours(reliable bool, src, dst netip.AddrPort) bool {
	if reliable {
		return t.hosts[src.Addr()] && t.hosts[dst.Addr()] && (t.places[src] || t.places[dst])
	}
	return t.places[src] && t.places[dst]
}

// again reports whether this is the second sight of a message.
func (t *onceTap) again(src, dst netip.AddrPort, raw []byte) bool {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, at := range [...]netip.AddrPort{src, dst} {
		a := at.Addr().As16()
		_, _ = h.Write(a[:]) // it never fails
		_, _ = h.Write(binary.BigEndian.AppendUint16(nil, at.Port()))
	}
	_, _ = h.Write(raw)
	k := h.Sum64()
	if n := t.sent[k]; n > 0 {
		if n == 1 {
			delete(t.sent, k)
		} else {
			t.sent[k] = n - 1
		}
		return true
	}
	if len(t.sent) >= maxSent {
		clear(t.sent) // they were lost on the way
	}
	t.sent[k] = 1
	return false
}

// conn numbers a connection by its ends.
func (t *onceTap) conn(src, dst netip.AddrPort) uint64 {
	ends := [2]netip.AddrPort{src, dst}
	if src.Compare(dst) > 0 {
		ends = [2]netip.AddrPort{dst, src}
	}
	n, there := t.conns[ends]
	if !there {
		if len(t.conns) >= maxConns {
			clear(t.conns)
		}
		n = ownConn + uint64(len(t.conns))
		t.conns[ends] = n
	}
	return n
}

// normalPlace is a place as it is compared.
func normalPlace(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}
