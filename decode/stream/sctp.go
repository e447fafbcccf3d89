package stream

import (
	"encoding/binary"
	"slices"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// SIP over SCTP (RFC 4168): user messages travel in DATA and I-DATA chunks (RFC 9260 3.3.1, RFC 8260 2.1), several a
// packet, or one message in several chunks.
//
//	ports 4 | verification tag 4 | checksum 4 | chunks: type 1, flags 1, length 2, value, padding to 4
//	DATA:   TSN 4 | stream 2 | stream sequence number 2 | protocol 4 | user data
//	I-DATA: TSN 4 | stream 2 | reserved 2 | message id 4 | protocol or fragment sequence number 4 | user data
//
// An onlooker needs no order between messages: one is given when the last of its chunks was captured. Holes are told
// after a while, since a chunk that is retransmitted fills them.

// SCTPPacket is an SCTP packet on its way into the Assembler.
type SCTPPacket struct {
	Src, Dst frame.Endpoint // the ports are the packet's, whatever stands here
	Path     frame.Path     // what the frame was in
	Payload  []byte         // from the common header on; valid during the call
	Pieces   []frame.Piece  // where Payload lies in the capture; valid during the call
	Frame    uint64         // number of the frame, 1-based
	Time     int64          // of the frame, ns since 1970-01-01 UTC
}

// SCTPPort is the UDP port of SCTP in UDP (RFC 6951 5.1).
const SCTPPort = 9899

// Chunk types (RFC 9260 3.2, RFC 8260, RFC 3758).
const (
	chunkData         = 0
	chunkHeartbeat    = 4
	chunkHeartbeatAck = 5
	chunkIData        = 64
	chunkForward      = 192
	chunkIForward     = 194
)

// Flags of DATA and I-DATA.
const (
	dataEnd       = 1
	dataBegin     = 2
	dataUnordered = 4
)

const (
	sctpHead  = 12 // bytes of the common header
	chunkHead = 4
	dataHead  = 16 // of a DATA chunk
	iDataHead = 20 // of an I-DATA chunk
)

// IsSCTP reports whether b is an SCTP packet, as far as one can tell: a common header and chunks, of known types, whose
// lengths fill the rest. It is for UDP, where anything may come.
func IsSCTP(b []byte) bool {
	if len(b) < sctpHead+chunkHead {
		return false
	}
	for at := sctpHead; at < len(b); {
		if len(b)-at < chunkHead {
			return false
		}
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if n < chunkHead || at+n > len(b) || !knownChunk(b[at]) {
			return false
		}
		at += (n + 3) &^ 3
	}
	return true
}

// knownChunk reports whether a chunk type is assigned (RFC 9260 3.2 and IANA's registry).
func knownChunk(t byte) bool {
	switch {
	case t <= 15, t == chunkIData, t >= 128 && t <= 132, t >= 192 && t <= 194:
		return true
	}
	return false
}

// AddSCTP takes an SCTP packet in the order of the capture. What it completes goes to the Receiver before AddSCTP returns.
// Checksums are not verified: captures on the sender see packets before the network card fills them in.
func (a *Assembler) AddSCTP(s *SCTPPacket) Fate {
	a.Advance(s.Time)
	a.frame = max(a.frame, s.Frame)
	b := s.Payload
	if len(b) < sctpHead {
		return NotSIP
	}
	s.Src.Port, s.Dst.Port = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	a.in = a.in[:0]
	for _, p := range s.Pieces {
		a.in = append(a.in, piece{p, s.Time, p.Seq})
	}
	a.pathed = a.pathed || !s.Path.IsZero()
	a.emitted = 0
	fate := Empty
	var d *sctpFlow
	for at := sctpHead; len(b)-at >= chunkHead; {
		n := int(binary.BigEndian.Uint16(b[at+2:]))
		if n < chunkHead {
			break
		}
		c := chunk{kind: b[at], flags: b[at+1], b: b[at:min(at+n, len(b))], at: at, cut: at+n > len(b)}
		at += (n + 3) &^ 3
		switch {
		case c.kind == chunkHeartbeat || c.kind == chunkHeartbeatAck:
			fate = fate.or(KeepAlive)
			continue
		case !c.counts():
			continue
		}
		g := a.glimpse(&c)
		if d == nil {
			d = a.association(s, &g)
		}
		if !g.data {
			d.forward(a, g.tsn)
			continue
		}
		fate = fate.or(a.chunk(d, s.Time, &c))
		d.sums[g.tsn%tsnSums] = g.sum
	}
	if d != nil {
		a.relieveSCTP(d)
	}
	if a.emitted > 0 {
		return Completed
	}
	return fate
}

// or gives the fate of a packet whose chunks had both: a part of a message says most.
func (f Fate) or(g Fate) Fate {
	if f == Empty || g == Partial {
		return g
	}
	return f
}

// counts reports whether a chunk carries or abandons user data.
func (c *chunk) counts() bool {
	switch c.kind {
	case chunkData:
		return len(c.b) >= dataHead
	case chunkIData:
		return len(c.b) >= iDataHead
	case chunkForward, chunkIForward:
		return len(c.b) >= 8
	}
	return false
}

// chunk is a chunk at an offset of its packet.
type chunk struct {
	kind, flags byte
	b           []byte
	at          int
	cut         bool
}

// part is a user message, or a fragment of one.
type part struct {
	tsn       uint32
	stream    uint16
	id        uint32 // message id of I-DATA, stream sequence number of DATA
	index     uint32 // fragment sequence number of I-DATA, TSN of DATA
	inter     bool   // I-DATA
	unordered bool
	begin     bool
	end       bool
	cut       bool
	since     int64 // when it came
	data      []byte
	pieces    []piece
}

// before reports whether q is the fragment right behind p.
func (p *part) before(q *part) bool {
	return !p.end && !q.begin && p.inter == q.inter && p.stream == q.stream && p.id == q.id && p.unordered == q.unordered &&
		q.index == p.index+1
}

// read takes a DATA or I-DATA chunk apart. data slices into the packet.
func (c *chunk) read() part {
	head := dataHead
	if c.kind == chunkIData {
		head = iDataHead
	}
	p := part{
		tsn: binary.BigEndian.Uint32(c.b[4:]), stream: binary.BigEndian.Uint16(c.b[8:]),
		id:        uint32(binary.BigEndian.Uint16(c.b[10:])),
		unordered: c.flags&dataUnordered != 0, begin: c.flags&dataBegin != 0, end: c.flags&dataEnd != 0,
		cut: c.cut, data: c.b[head:],
	}
	p.index = p.tsn
	if c.kind == chunkIData {
		p.inter, p.id = true, binary.BigEndian.Uint32(c.b[12:])
		if p.index = 0; !p.begin { // the first has the protocol there
			p.index = binary.BigEndian.Uint32(c.b[16:])
		}
	}
	return p
}

// chunk takes a DATA or I-DATA chunk.
func (a *Assembler) chunk(d *sctpFlow, now int64, c *chunk) Fate {
	p := c.read()
	if !d.fresh(a, p.tsn, now) {
		a.Counters.Duplicates++
		return Duplicate
	}
	a.parts = firstPieces(cutPieces(a.parts[:0], a.in, c.at+len(c.b)-len(p.data)), len(p.data))
	if p.begin && p.end {
		return a.userMessage(d, p.data, a.parts, p.cut)
	}
	p.pieces, p.since = append([]piece(nil), a.parts...), now
	return a.fragment(d, &p)
}

// firstPieces gives the pieces of the first n bytes. It changes those that it is given.
func firstPieces(pieces []piece, n int) []piece {
	for i := range pieces {
		p := &pieces[i]
		if int(p.Len) >= n {
			p.Len = uint32(n) //nolint:gosec // at most p.Len
			return pieces[:i+1]
		}
		n -= int(p.Len)
	}
	return pieces
}

// userMessage looks for SIP in a user message, which is whole unless it is short: one SIP message as a rule, several where
// the sender took SCTP for a stream.
func (a *Assembler) userMessage(d *sctpFlow, b []byte, pieces []piece, short bool) Fate {
	f := &d.out
	w := work{a: a, f: f, b: b, pieces: pieces}
	before, e := a.emitted, closed
	if short {
		e = cut
	}
	w.run(e)
	f.framer = framer{sip: f.sip, afterGap: f.afterGap}
	if a.emitted > before {
		return Completed
	}
	if sip.SkipCRLF(b) == len(b) {
		return KeepAlive
	}
	return NotSIP
}

// fragment keeps a fragment until its message is whole.
func (a *Assembler) fragment(d *sctpFlow, p *part) Fate {
	p.data = append([]byte(nil), p.data...)
	at := len(d.parts)
	for at > 0 && p.sorts(&d.parts[at-1]) {
		at--
	}
	d.parts = slices.Insert(d.parts, at, *p)
	d.charge(a, p.cost())
	from, to := d.chain(at)
	if !d.parts[from].begin || !d.parts[to-1].end {
		a.relieveParts(d) // with each chunk: a packet may have thousands
		return Partial
	}
	return a.joinParts(d, from, to, false)
}

// chain gives the fragments parts[from:to] around a fragment that follow each other without a hole.
func (d *sctpFlow) chain(at int) (from, to int) {
	from, to = at, at+1
	for from > 0 && d.parts[from-1].before(&d.parts[from]) {
		from--
	}
	for to < len(d.parts) && d.parts[to-1].before(&d.parts[to]) {
		to++
	}
	return from, to
}

// sorts reports whether p belongs before q: the fragments of a message stand beside each other, in their order.
func (p *part) sorts(q *part) bool {
	switch {
	case p.inter != q.inter:
		return q.inter
	case !p.inter:
		return distance(p.index, q.index) > 0
	case p.stream != q.stream:
		return p.stream < q.stream
	case p.unordered != q.unordered:
		return q.unordered
	case p.id != q.id:
		return distance(p.id, q.id) > 0
	}
	return distance(p.index, q.index) > 0
}

// joinParts takes the fragments parts[from:to] of a message off, and gives it when its beginning is among them.
func (a *Assembler) joinParts(d *sctpFlow, from, to int, short bool) Fate {
	begins := d.parts[from].begin
	text := a.grab()
	var pieces []piece
	cost, whole := 0, true
	for i := from; i < to; i++ {
		p := &d.parts[i]
		cost += p.cost()
		if whole {
			text, pieces = append(text, p.data...), append(pieces, p.pieces...)
		}
		whole = whole && !p.cut
	}
	d.parts = slices.Delete(d.parts, from, to)
	d.charge(a, -cost)
	fate := NotSIP
	if begins {
		fate = a.userMessage(d, text, pieces, short || !whole)
	}
	if cap(text) <= 64<<10 {
		a.free = append(a.free, text[:0])
	}
	return fate
}
