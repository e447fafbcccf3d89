package txn

import (
	"net/netip"

	"sipscope/element/transport"
)

// packedHop is a transport.Hop without pointers.
type packedHop struct {
	conn   uint64
	end    uint32 // in hopEnds
	remote packedAddr
}

// packedAddr is a netip.AddrPort without zone, and the protocol there.
type packedAddr struct {
	ip    [16]byte
	port  uint16
	kind  uint8 // 0: none, 4 or 6
	proto transport.Proto
}

func packAddr(a netip.AddrPort) (p packedAddr) {
	p.port = a.Port()
	switch addr := a.Addr(); {
	case addr.Is4():
		p.kind = 4
		p.ip = addr.As16()
	case addr.Is6():
		p.kind = 6
		p.ip = addr.As16()
	}
	return p
}

func (p *packedAddr) unpack(zone string) netip.AddrPort {
	var a netip.Addr
	switch p.kind {
	case 4:
		a = netip.AddrFrom4([4]byte(p.ip[12:]))
	case 6:
		a = netip.AddrFrom16(p.ip).WithZone(zone)
	}
	return netip.AddrPortFrom(a, p.port)
}

// hopEnd is what many hops share: the own end, and what is text.
type hopEnd struct {
	local netip.AddrPort
	name  string // server name
	zone  string // of the remote address
}

// hopEnds keeps each hopEnd once. They are named by number from 1 on.
type hopEnds struct {
	entries []hopEntry
	free    []uint32
	byEnd   map[hopEnd]uint32
	last    uint32 // the one that was asked for last: mostly it is the next one, too
}

type hopEntry struct {
	hopEnd
	refs int // 0: free
}

// pack packs a hop, which release must give up.
func (n *hopEnds) pack(h transport.Hop) packedHop {
	end := hopEnd{h.Local, h.Name, h.Remote.Addr().Zone()}
	if n.last == 0 || n.entries[n.last-1].refs == 0 || n.entries[n.last-1].hopEnd != end {
		n.last = n.intern(end)
	}
	n.entries[n.last-1].refs++
	p := packedHop{conn: h.Conn, end: n.last, remote: packAddr(h.Remote)}
	p.remote.proto = h.Proto
	return p
}

func (n *hopEnds) intern(end hopEnd) uint32 {
	if i, ok := n.byEnd[end]; ok {
		return i
	}
	var i uint32
	if k := len(n.free); k > 0 {
		i = n.free[k-1]
		n.free = n.free[:k-1]
	} else {
		n.entries = append(n.entries, hopEntry{})
		i = uint32(len(n.entries)) //nolint:gosec // not more than transactions
	}
	n.entries[i-1].hopEnd = end
	if n.byEnd == nil {
		n.byEnd = make(map[hopEnd]uint32)
	}
	n.byEnd[end] = i
	return i
}

func (n *hopEnds) unpack(p *packedHop) transport.Hop {
	end := &n.entries[p.end-1]
	return transport.Hop{
		Proto: p.remote.proto, Conn: p.conn, Name: end.name, Local: end.local, Remote: p.remote.unpack(end.zone),
	}
}

// release gives up what a hop shares.
func (n *hopEnds) release(p *packedHop) {
	e := &n.entries[p.end-1]
	if e.refs--; e.refs == 0 {
		delete(n.byEnd, e.hopEnd)
		*e = hopEntry{}
		n.free = append(n.free, p.end)
	}
	p.end = 0
}
