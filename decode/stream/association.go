package stream

import (
	"encoding/binary"
	"slices"
)

// sctpKey names a direction of an association: ports and verification tag, which all packets of a direction share,
// whichever of the peers' addresses they go between (RFC 9260 8.5). The addresses count only where the tag is 0, which no
// association has: such packets were made by hand.
type sctpKey struct {
	tag, ports uint32
	addresses  flowKey // zero, but for a tag of 0
}

// sctpFlow is a direction of an association. It has a direction's framer, but not its sequence numbers.
type sctpFlow struct {
	lane
	twin         *sctpFlow // the next of the same key, on other paths
	out          flow
	key          sctpKey
	newer, older *sctpFlow // by last packet

	known   bool
	high    uint32                 // highest TSN so far
	seen    [tsnWindow / 64]uint64 // of the TSNs up to high
	sums    [tsnSums]uint32        // of the newest chunks, where there are tunnels: by TSN
	holes   []tsnHole              // by time
	parts   []part                 // fragments of messages that are not whole, ordered by part.sorts
	charged int                    // its part of associations.bytes
	waits   bool                   // it is in associations.waiting
	place   int                    // there
}

// tsnHole is TSNs that were not seen.
type tsnHole struct {
	from, to uint32 // both included
	since    int64
}

const (
	tsnWindow = 2048    // TSNs that are told from duplicates
	tsnSums   = 64      // chunks whose bytes are known again
	tsnFar    = 1 << 20 // between two TSNs of one association; beyond, it must be another one
	maxHoles  = 64
	maxParts  = 1024
)

// associations are all directions of SCTP.
type associations struct {
	flows          map[sctpKey]*sctpFlow // the first of each; others of the same key are its twins
	directions     int                   // of flows and their twins
	newest, oldest *sctpFlow
	bytes          int
	waiting        []*sctpFlow // with holes or fragments, in the order in which they began to wait; nil for one removed
	left           int         // those nils
	due            int64       // when the first of them may have waited long enough; 0 for never
}

// association finds or makes the direction that a chunk of a packet belongs to, and makes it the newest.
func (a *Assembler) association(s *SCTPPacket, g *glimpse) *sctpFlow {
	c := &a.sctp
	key := sctpKey{tag: binary.BigEndian.Uint32(s.Payload[4:]), ports: binary.BigEndian.Uint32(s.Payload)}
	if key.tag == 0 {
		key.addresses = keyOf(s.Src, s.Dst)
	}
	head := c.flows[key]
	d := head
	if d != nil && (d.twin != nil || len(d.more) > 0 || d.path != s.Path) {
		d = a.sctpLane(head, s, g)
	}
	if d == nil {
		d = a.beginSCTP(key, s)
	} else {
		c.unlink(d)
	}
	if d.older = c.newest; c.newest != nil {
		c.newest.newer = d
	}
	c.newest = d
	if c.oldest == nil {
		c.oldest = d
	}
	d.out.src, d.out.dst, d.out.last = s.Src, s.Dst, s.Time
	return d
}

// beginSCTP remembers a new direction.
func (a *Assembler) beginSCTP(key sctpKey, s *SCTPPacket) *sctpFlow {
	c := &a.sctp
	d := &sctpFlow{key: key, lane: lane{path: s.Path}}
	d.out.layer = LayerSCTP
	if c.flows == nil {
		c.flows = map[sctpKey]*sctpFlow{}
	}
	if head := c.flows[key]; head != nil {
		d.twin, head.twin = head.twin, d
	} else {
		c.flows[key] = d
	}
	c.directions++
	d.charge(a, sctpCost)
	return d
}

// forgetKey takes a direction out of those of its key.
func (c *associations) forgetKey(d *sctpFlow) {
	c.directions--
	head := c.flows[d.key]
	switch {
	case head != d:
		for head.twin != d {
			head = head.twin
		}
		head.twin = d.twin
	case d.twin != nil:
		c.flows[d.key] = d.twin
	default:
		delete(c.flows, d.key)
	}
}

// sctpCost is about what a direction takes, in bytes.
const sctpCost = 1280

func (c *associations) unlink(d *sctpFlow) {
	if d.newer != nil {
		d.newer.older = d.older
	} else if c.newest == d {
		c.newest = d.older
	}
	if d.older != nil {
		d.older.newer = d.newer
	} else if c.oldest == d {
		c.oldest = d.newer
	}
	d.newer, d.older = nil, nil
}

// cost is about what a fragment takes, in bytes.
func (p *part) cost() int { return len(p.data) + 48*len(p.pieces) + 128 }

// charge counts memory.
func (d *sctpFlow) charge(a *Assembler, n int) {
	d.charged += n
	a.sctp.bytes += n
}

// bit gives the place of a TSN in seen.
func bit(tsn uint32) (word uint32, mask uint64) { return tsn % tsnWindow / 64, 1 << (tsn % 64) }

// mark says that a TSN was seen.
func (d *sctpFlow) mark(tsn uint32) {
	word, mask := bit(tsn)
	d.seen[word] |= mask
}

// fresh reports whether a TSN was not seen before, and marks it.
func (d *sctpFlow) fresh(a *Assembler, tsn uint32, now int64) bool {
	ahead := distance(d.high, tsn)
	switch {
	case !d.known:
		d.known, d.high = true, tsn
	case ahead > tsnFar || ahead < -tsnFar:
		a.giveUpParts(d)
		a.gap(&d.out, 0)
		d.holes, d.seen, d.high = nil, [len(d.seen)]uint64{}, tsn
		a.Counters.Restarts++
	case ahead > 0:
		if ahead > 1 {
			d.hole(a, tsnHole{d.high + 1, tsn - 1, now})
		}
		d.raise(tsn)
	case ahead <= -tsnWindow:
		return false
	default:
		if word, mask := bit(tsn); d.seen[word]&mask != 0 {
			return false
		}
		d.fill(tsn)
		a.boundHoles(d)
	}
	d.mark(tsn)
	return true
}

// raise makes tsn the highest one; those between were not seen.
func (d *sctpFlow) raise(tsn uint32) {
	if distance(d.high, tsn) >= tsnWindow {
		d.seen = [len(d.seen)]uint64{}
	} else {
		for t := d.high + 1; t != tsn+1; t++ {
			word, mask := bit(t)
			d.seen[word] &^= mask
		}
	}
	d.high = tsn
}

// hole remembers TSNs that were not seen.
func (d *sctpFlow) hole(a *Assembler, h tsnHole) {
	d.holes = append(d.holes, h)
	a.boundHoles(d)
}

// boundHoles gives up the oldest holes where there are too many: new ones came, or one became two.
func (a *Assembler) boundHoles(d *sctpFlow) {
	for len(d.holes) > maxHoles {
		a.giveUpHole(d)
	}
}

// fill takes a TSN out of the holes.
func (d *sctpFlow) fill(tsn uint32) {
	for i := range d.holes {
		h := &d.holes[i]
		if distance(h.from, tsn) < 0 || distance(tsn, h.to) < 0 {
			continue
		}
		before, behind := tsnHole{h.from, tsn - 1, h.since}, tsnHole{tsn + 1, h.to, h.since}
		d.holes = slices.Delete(d.holes, i, i+1)
		if tsn != behind.to {
			d.holes = slices.Insert(d.holes, i, behind)
		}
		if tsn != before.from {
			d.holes = slices.Insert(d.holes, i, before)
		}
		return
	}
}

// forward takes what the sender has given up, up to a TSN (RFC 3758 3.2): nobody will see it, and nothing is missing.
func (d *sctpFlow) forward(a *Assembler, tsn uint32) {
	if ahead := distance(d.high, tsn); !d.known || ahead > tsnFar || ahead < -tsnFar {
		return
	}
	if distance(d.high, tsn) > 0 {
		d.raise(tsn)
	}
	d.holes = slices.DeleteFunc(d.holes, func(h tsnHole) bool { return distance(h.to, tsn) >= 0 })
	for i := range d.holes {
		if h := &d.holes[i]; distance(h.from, tsn) >= 0 {
			h.from = tsn + 1
		}
	}
	d.parts = slices.DeleteFunc(d.parts, func(p part) bool {
		gone := distance(p.tsn, tsn) >= 0
		if gone {
			d.charge(a, -p.cost())
		}
		return gone
	})
}

// giveUpHole tells of the oldest hole, and gives what can be given of the message that it is in.
func (a *Assembler) giveUpHole(d *sctpFlow) {
	h := d.holes[0]
	d.holes = slices.Delete(d.holes, 0, 1)
	for i := range d.parts {
		if p := &d.parts[i]; !p.inter && !p.end && p.tsn+1 == h.from {
			from, to := d.chain(i)
			a.joinParts(d, from, to, true)
			break
		}
	}
	a.gap(&d.out, 0)
	for i := range d.parts {
		if p := &d.parts[i]; !p.inter && !p.begin && p.tsn-1 == h.to {
			from, to := d.chain(i)
			a.joinParts(d, from, to, true)
			break
		}
	}
}

// giveUpParts gives what can be given of messages that are not whole.
func (a *Assembler) giveUpParts(d *sctpFlow) {
	for len(d.parts) > 0 {
		from, to := d.chain(0)
		a.joinParts(d, from, to, true)
	}
}

// giveUpAll gives up whatever waits.
func (a *Assembler) giveUpAll(d *sctpFlow) {
	for len(d.holes) > 0 {
		a.giveUpHole(d)
	}
	a.giveUpParts(d)
}

// wait says until when a direction waits, if it does. It must follow whatever may have changed that.
func (c *associations) wait(d *sctpFlow, l *Limits) {
	due := d.due(l)
	if due == never {
		return
	}
	if !d.waits {
		c.line(d)
	}
	if c.due == 0 || due < c.due {
		c.due = due
	}
}

// line puts a direction behind those that wait, and closes the gaps of removed ones when they are most.
func (c *associations) line(d *sctpFlow) {
	if c.left > 64 && c.left > len(c.waiting)/2 {
		c.waiting = slices.DeleteFunc(c.waiting, func(o *sctpFlow) bool { return o == nil })
		for i, o := range c.waiting {
			o.place = i
		}
		c.left = 0
	}
	d.waits, d.place = true, len(c.waiting)
	c.waiting = append(c.waiting, d)
}

// due is when what waits is given up.
func (d *sctpFlow) due(l *Limits) int64 {
	due := int64(never)
	if len(d.holes) > 0 {
		due = d.holes[0].since + l.HoleAge
	}
	for i := range d.parts {
		due = min(due, d.parts[i].since+l.MessageAge)
	}
	return due
}

// advanceSCTP gives up what waited for long, and forgets directions that were silent for long.
func (a *Assembler) advanceSCTP(now int64) {
	c := &a.sctp
	for c.oldest != nil && now-c.oldest.out.last > a.limits.IdleAge {
		a.removeSCTP(c.oldest)
	}
	if c.due == 0 || now < c.due {
		return
	}
	waiting := c.waiting
	c.waiting, c.left, c.due = c.waiting[:0], 0, 0
	for _, d := range waiting {
		if d == nil {
			continue
		}
		d.waits = false
		a.expireSCTP(d, now)
		if due := d.due(&a.limits); due != never && due-now > a.limits.IdleAge { // the clock was set back
			a.giveUpAll(d)
		}
		c.wait(d, &a.limits)
	}
	clear(waiting[len(c.waiting):])
	const pause = 20_000_000 // many that wait must not be looked at for each packet
	if c.due != 0 {
		c.due = max(c.due, now+pause)
	}
}

func (a *Assembler) expireSCTP(d *sctpFlow, now int64) {
	for len(d.holes) > 0 && now >= d.holes[0].since+a.limits.HoleAge {
		a.giveUpHole(d)
	}
	for i := 0; i < len(d.parts); {
		if now < d.parts[i].since+a.limits.MessageAge {
			i++
			continue
		}
		from, to := d.chain(i)
		a.joinParts(d, from, to, true)
		i = from
	}
}

// removeSCTP forgets a direction.
func (a *Assembler) removeSCTP(d *sctpFlow) {
	a.giveUpAll(d)
	c := &a.sctp
	c.bytes -= d.charged
	c.unlink(d)
	c.forgetKey(d)
	if d.waits {
		c.waiting[d.place] = nil // a search for it would take as long as there are directions
		c.left++
	}
}

// relieveParts gives up the first messages that are not whole where their parts are too many.
func (a *Assembler) relieveParts(d *sctpFlow) {
	for len(d.parts) > maxParts || len(d.parts) > 0 && d.charged > a.limits.Message+sctpCost {
		a.Counters.Oversize++
		from, to := d.chain(0)
		a.joinParts(d, from, to, true)
	}
}

// relieveSCTP keeps the limits. d is what was just used.
func (a *Assembler) relieveSCTP(d *sctpFlow) {
	c := &a.sctp
	c.wait(d, &a.limits)
	for (c.bytes > a.limits.Total/4 || c.directions > a.limits.Flows/4) && c.oldest != d {
		a.Counters.Evicted++
		a.removeSCTP(c.oldest)
	}
}

// flushSCTP gives what all directions still hold, the longest silent first.
func (a *Assembler) flushSCTP() {
	for a.sctp.oldest != nil {
		a.removeSCTP(a.sctp.oldest)
	}
}
