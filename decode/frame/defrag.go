package frame

import (
	"cmp"
	"slices"

	"sipscope/capture"
)

// Piece is a part of a text and the frame that carried it.
type Piece struct {
	Seq uint64      // the frame
	Loc capture.Loc // of the part's first byte in the capture
	Len uint32      // bytes
}

// CutPieces appends to dst the pieces of size bytes from offset off on: what describes text describes text[off:off+size]
// then. Pieces that do not reach that far give what there is.
func CutPieces(dst, pieces []Piece, off, size int) []Piece {
	for _, p := range pieces {
		n := int(p.Len)
		if off >= n {
			off -= n
			continue
		}
		if size <= 0 {
			break
		}
		n = min(n-off, size)
		p.Loc.Off += int64(off)
		p.Len = uint32(n) //nolint:gosec // at most p.Len
		dst = append(dst, p)
		size -= n
		off = 0
	}
	return dst
}

// Bounds of the Defragmenter. Between two calls of Expire the groups and bytes may grow to twice their bound; beyond
// that, fragments are refused.
const (
	FragmentAge   = 30_000_000_000 // ns of packet time that a datagram waits, as Linux does; RFC 8200 4.5 has 60 s
	maxDatagram   = 65535
	maxGroups     = 4096      // incomplete datagrams
	maxParts      = 8192      // fragments of one: 65,535 / 8
	maxHeldBytes  = 16 << 20  // held by all, bookkeeping included
	partCost      = 112       // bookkeeping of a part, so that tiny fragments are not free
	groupCost     = 512       // likewise of a group
	tapWindow     = 2_000_000 // ns within which a tap delivers its second copy
	recentEntries = 64        // completed datagrams remembered for that
)

// Datagram is what fragments made.
type Datagram struct {
	Packet          // Src, Dst with ports, Payload (owned by the Datagram) and what a whole frame would have had
	Result  Result  // UDP, TCP or what else it turned out to be; Truncated when the transport's header is missing
	Pieces  []Piece // of Payload, byte for byte
	Frames  int     // fragments that were added, copies and the completing one included
	Missing bool    // it was given up: Payload is the part from the start on that is there, perhaps nothing
	Seq     uint64  // frame of the newest fragment
	Time    int64   // of the newest fragment
	First   uint64  // frame of the first fragment that came
	HasHead bool    // the fragment with offset 0 is there, so ports and the begin of the text are known
}

// Defragmenter puts fragments of IPv4 (RFC 791 3.2) and IPv6 (RFC 8200 4.5) together. Where fragments overlap, the bytes
// that came first win. It has one owner; time is packet time in nanoseconds.
type Defragmenter struct {
	groups map[groupKey]*group
	oldest *group // by first fragment
	newest *group
	bytes  int

	recent [recentEntries]completed
	cursor int

	reached int64 // packet time
	doubted int64 // one far ahead of it that nothing has confirmed yet; 0 for none

	Overlaps   uint64 // fragments that contradict others: other bytes, other bounds, or beyond the last one
	Duplicates uint64 // fragments that repeat what is there
	Evicted    uint64 // incomplete datagrams given up, and fragments refused, for a limit
	Expired    uint64 // incomplete datagrams given up for their age
}

// groupKey is what the fragments of a datagram have in common. IPv6 leaves the protocol out: only the first fragment's
// counts (RFC 8200 4.5).
type groupKey struct {
	src, dst Endpoint
	path     Path // private addresses and IP ids are the same in many tunnels
	id       uint32
	proto    uint8
}

// same reports whether both are of one datagram, on whatever path a tap saw it.
func (k *groupKey) same(o *groupKey) bool {
	return k.id == o.id && k.proto == o.proto && k.src == o.src && k.dst == o.dst
}

type completed struct {
	key groupKey
	at  int64
}

// NewDefragmenter makes an empty one.
func NewDefragmenter() *Defragmenter { return &Defragmenter{groups: map[groupKey]*group{}} }

// Add takes a Fragment, whose payload at describes, at packet time now. It copies what it keeps, and returns the whole
// datagram when this fragment completes it, else nil. That may be a Fragment again, in a tunnel: see AddDatagram.
func (d *Defragmenter) Add(p *Packet, at Piece, now int64) *Datagram { return d.add(p, at, 1, now) }

// AddDatagram takes a datagram that fragments made and that is a Fragment itself, of a packet in a tunnel. It returns
// what Add does; Frames counts all fragments of the outer datagrams then.
func (d *Defragmenter) AddDatagram(o *Datagram, now int64) *Datagram {
	p, frames := o.Packet, o.Frames
	text := p.Payload
	for i := range o.Pieces {
		at := o.Pieces[i]
		n := min(int(at.Len), len(text))
		last := i == len(o.Pieces)-1
		p.Payload, p.MoreFrags, p.Missing = text[:n], o.MoreFrags || !last, 0
		if last {
			p.Missing = o.Packet.Missing
		}
		if whole := d.add(&p, at, frames, now); whole != nil {
			return whole
		}
		text, frames = text[n:], 0
		p.FragOffset += uint16(n) //nolint:gosec // decode refused what ends beyond 65,535
	}
	return nil
}

// add takes a fragment that came in a number of frames.
func (d *Defragmenter) add(p *Packet, at Piece, frames int, now int64) *Datagram {
	key := groupKey{src: p.Src, dst: p.Dst, path: p.Path, id: p.FragID}
	if p.Src.V4 {
		key.proto = p.Proto
	}
	g := d.groups[key]
	if g == nil {
		if len(d.groups) >= 2*maxGroups || d.bytes >= 2*maxHeldBytes {
			d.Evicted++
			return nil
		}
		g = d.open(key, at.Seq, now)
	}
	if d.bytes+len(p.Payload) > 2*maxHeldBytes+maxDatagram {
		d.Evicted++
		return nil
	}
	cost := g.cost
	g.frames += frames
	verdict := g.add(p, at, now)
	d.bytes += g.cost - cost
	switch verdict {
	case overlapped:
		d.Overlaps++
	case repeated:
		d.Duplicates++
	case added:
	}
	if !g.whole() {
		return nil
	}
	d.drop(g)
	d.recent[d.cursor] = completed{key, now}
	d.cursor = (d.cursor + 1) % recentEntries
	return g.datagram(false)
}

func (d *Defragmenter) open(key groupKey, seq uint64, now int64) *group {
	g := &group{key: key, firstTime: now, firstSeq: seq, total: -1, cost: groupCost}
	for i := range d.recent {
		r := &d.recent[i]
		if r.at != 0 && now-r.at <= tapWindow && r.key.same(&key) {
			g.copied = true
		}
	}
	d.groups[key] = g
	d.bytes += g.cost
	if g.older = d.newest; g.older != nil {
		g.older.newer = g
	} else {
		d.oldest = g
	}
	d.newest = g
	return g
}

func (d *Defragmenter) drop(g *group) {
	delete(d.groups, g.key)
	d.bytes -= g.cost
	if g.older != nil {
		g.older.newer = g.newer
	} else {
		d.oldest = g.newer
	}
	if g.newer != nil {
		g.newer.older = g.older
	} else {
		d.newest = g.older
	}
	g.older, g.newer = nil, nil
}

// Expire gives up incomplete datagrams: those too old at packet time now, and the oldest while the limits are exceeded.
// Each is given to f, except what was left over of a tap's second copy. It costs nothing when nothing is due; calling
// it with the time of every packet makes results independent of how packets are batched.
func (d *Defragmenter) Expire(now int64, f func(*Datagram)) {
	believed := d.believes(now)
	for d.oldest != nil {
		g := d.oldest
		switch {
		case believed && now-g.firstTime > FragmentAge:
			if !g.copied {
				d.Expired++
			}
		case len(d.groups) > maxGroups || d.bytes > maxHeldBytes:
			d.Evicted++
		default:
			return
		}
		d.giveUp(g, f)
	}
}

// believes reports whether the capture has come to a time. One that is hours ahead must be confirmed by another one: a
// single packet with a wrong time would have all that waits given up.
func (d *Defragmenter) believes(now int64) bool {
	const hour = 3600e9
	if d.reached != 0 && now-d.reached > hour && (d.doubted == 0 || d.doubted == now) {
		d.doubted = now
		return false
	}
	d.reached, d.doubted = now, 0
	return true
}

// Flush gives up all incomplete datagrams: the capture has ended.
func (d *Defragmenter) Flush(f func(*Datagram)) {
	for d.oldest != nil {
		d.giveUp(d.oldest, f)
	}
}

func (d *Defragmenter) giveUp(g *group, f func(*Datagram)) {
	d.drop(g)
	if g.copied {
		d.Duplicates++
		return
	}
	f(g.datagram(true))
}

// group is an incomplete datagram.
type group struct {
	key          groupKey
	older, newer *group

	head      Packet // of the fragment with offset 0, before that one of any
	hasHead   bool
	begun     bool // head is set
	copied    bool // a datagram with this key was completed a moment ago: this is a tap's second copy, or a part of it
	firstTime int64
	firstSeq  uint64
	lastTime  int64
	lastSeq   uint64
	frames    int
	total     int // length of the whole, -1 while the last fragment is missing
	covered   int // bytes of all parts
	cost      int
	parts     []part // by offset, disjoint, not empty
}

// part is the bytes of one fragment that no earlier one had.
type part struct {
	from int
	size int    // on the wire
	data []byte // less than size when the snaplen cut it
	at   Piece
}

func (p *part) end() int { return p.from + p.size }

// slice gives the part of p from offset from to to, both of the datagram.
func (p *part) slice(from, to int) part {
	lo, hi := min(from-p.from, len(p.data)), min(to-p.from, len(p.data))
	s := part{from: from, size: to - from, data: p.data[lo:hi], at: p.at}
	s.at.Loc.Off += int64(lo)
	s.at.Len = uint32(hi - lo) //nolint:gosec // within a datagram
	return s
}

// verdict says what a fragment brought to its group.
type verdict uint8

const (
	added verdict = iota
	repeated
	overlapped
)

// add takes a fragment.
func (g *group) add(p *Packet, at Piece, now int64) verdict {
	g.lastTime, g.lastSeq = now, at.Seq
	if !g.begun || p.FragOffset == 0 && !g.hasHead {
		g.head, g.hasHead, g.begun = *p, p.FragOffset == 0, true
		g.head.Payload = nil
	}
	n := part{
		from: int(p.FragOffset), size: min(len(p.Payload)+int(p.Missing), maxDatagram), data: p.Payload, at: at,
	}
	n.at.Len = uint32(len(p.Payload)) //nolint:gosec // within a frame
	beyond := g.fit(&n, !p.MoreFrags)
	fresh, same := g.insert(n)
	switch {
	case beyond || !same || fresh > 0 && fresh < n.size:
		return overlapped
	case fresh == 0 && n.size > 0:
		return repeated
	default:
		return added
	}
}

// fit makes a fragment and the length of the whole agree; last says that the fragment tells the length. It reports
// whether they did not.
func (g *group) fit(n *part, last bool) (beyond bool) {
	switch {
	case last && g.total < 0:
		beyond = g.close(n.end())
	case last:
		beyond = n.end() != g.total
	}
	switch {
	case g.total < 0 || n.end() <= g.total:
		return beyond
	case n.from >= g.total:
		*n = part{from: g.total, at: n.at}
	default:
		*n = n.slice(n.from, g.total)
	}
	return true
}

// close fixes the length of the whole. It reports whether parts reach beyond, and cuts them.
func (g *group) close(total int) (beyond bool) {
	g.total = total
	for i := len(g.parts) - 1; i >= 0 && g.parts[i].end() > total; i-- {
		p := &g.parts[i]
		beyond = true
		if p.from >= total {
			g.covered -= p.size
			g.parts = g.parts[:i]
			continue
		}
		g.covered -= p.end() - total
		*p = p.slice(p.from, total)
	}
	return beyond
}

// insert adds the bytes of n that the group does not have yet. It reports how many those are, and whether the others
// are the same as those that are there.
func (g *group) insert(n part) (fresh int, same bool) {
	same = true
	i, _ := slices.BinarySearchFunc(g.parts, n.from, func(p part, from int) int { return cmp.Compare(p.end(), from+1) })
	at, end := n.from, n.end()
	for at < end && len(g.parts) < maxParts {
		to := end
		if i < len(g.parts) {
			p := &g.parts[i]
			if p.from <= at {
				to = min(p.end(), end)
				a, b := p.slice(at, to), n.slice(at, to)
				k := min(len(a.data), len(b.data))
				same = same && string(a.data[:k]) == string(b.data[:k])
				at = to
				i++
				continue
			}
			to = min(end, p.from)
		}
		s := n.slice(at, to)
		s.data = slices.Clone(s.data)
		g.cost += partCost + len(s.data)
		g.parts = slices.Insert(g.parts, i, s)
		g.covered += s.size
		fresh += s.size
		at = to
		i++
	}
	return fresh, same
}

// whole reports whether no byte is missing; parts are disjoint and end where the datagram does.
func (g *group) whole() bool { return g.total >= 0 && g.covered == g.total }

// datagram joins the parts, as far as they reach without a hole.
func (g *group) datagram(missing bool) *Datagram {
	out := &Datagram{
		Packet: g.head, Frames: g.frames, Missing: missing, Seq: g.lastSeq, Time: g.lastTime,
		First: g.firstSeq, HasHead: g.hasHead,
	}
	n, parts := 0, g.parts
	for i := range parts {
		if parts[i].from != n {
			parts = parts[:i]
			break
		}
		n += len(parts[i].data)
	}
	text := make([]byte, 0, n)
	pieces := make([]Piece, 0, len(parts))
	for i := range parts {
		text = append(text, parts[i].data...)
		pieces = append(pieces, parts[i].at)
	}
	o := &out.Packet
	o.FragOffset, o.MoreFrags, o.Missing = 0, false, 0
	d := decoder{data: text, out: o}
	switch {
	case missing && g.total < 0:
		d.missing = max(1, maxDatagram-n) // nobody knows
	case missing || n < g.total:
		d.missing = max(1, g.total-n)
	}
	switch {
	case !g.hasHead:
		o.Cut = true
		out.Result = Truncated
		return out
	case o.Src.V4:
		out.Result = d.transport(text, 0)
	default: // a fragment's payload may begin with further extension headers (RFC 8200 4.5)
		out.Result = d.extensions(text, o.Proto, 0)
	}
	out.Pieces = CutPieces(pieces[:0:0], pieces, int(o.PayloadOff), len(o.Payload))
	out.Cut = out.Cut || missing && len(o.Payload) == 0
	return out
}
