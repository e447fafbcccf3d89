package stream

import (
	"encoding/binary"
	"hash/maphash"
)

// What lane.go does for TCP, for associations of SCTP with the same verification tag and ports. Tags are random, so these
// are made by hand or by a generator; their TSNs and chunks tell them apart, and two sights of one association together.

// glimpse is what of a chunk tells to which association it belongs.
type glimpse struct {
	tsn  uint32
	sum  uint32 // of the chunk's bytes; 0 where nothing is in tunnels
	data bool   // DATA or I-DATA
}

func (a *Assembler) glimpse(c *chunk) glimpse {
	g := glimpse{tsn: binary.BigEndian.Uint32(c.b[4:]), data: c.kind == chunkData || c.kind == chunkIData}
	if g.data && a.pathed && !c.cut {
		g.sum = uint32(maphash.Bytes(a.seed, c.b[4:])) //nolint:gosec // folded
	}
	return g
}

// sctpLane finds the direction that a chunk belongs to; nil for a new one. head is the first of the same key.
func (a *Assembler) sctpLane(head *sctpFlow, s *SCTPPacket, g *glimpse) *sctpFlow {
	d, n := head, 0
	for d != nil && !d.has(&s.Path) {
		d, n = d.twin, n+1
	}
	if d != nil && len(d.more) > 0 && d.judge(g) == belied {
		d.leave(&s.Path)
		d = nil
	}
	for v := head; v != nil; v = v.twin {
		if v != d && v.takes(d, s.Time, g) {
			if d != nil && !d.leave(&s.Path) {
				a.removeSCTP(d)
			}
			v.join(&s.Path)
			return v
		}
	}
	if d == nil && n >= maxLanes {
		a.Counters.Evicted++
		a.removeSCTP(head)
	}
	return d
}

// takes reports whether a chunk is this direction's. Where another one has its path, only a copy of what was there just now is.
func (d *sctpFlow) takes(has *sctpFlow, now int64, g *glimpse) bool {
	if has == nil {
		return d.judge(g) != belied
	}
	return d.judge(g) == repeated && now-d.out.last <= copyAge
}

// verdict is what a chunk says of the direction that it may belong to.
type verdict uint8

const (
	possible verdict = iota
	repeated         // the direction had this very chunk
	belied           // the direction had other bytes with this TSN, or is elsewhere
)

// judge compares a chunk with what a direction had.
func (d *sctpFlow) judge(g *glimpse) verdict {
	if !d.known {
		return possible
	}
	ahead := distance(d.high, g.tsn)
	if ahead >= tsnWindow || ahead <= -tsnWindow {
		return belied
	}
	if ahead > 0 || ahead <= -tsnSums || !g.data {
		return possible
	}
	word, mask := bit(g.tsn)
	had := d.sums[g.tsn%tsnSums]
	switch {
	case d.seen[word]&mask == 0 || had == 0 || g.sum == 0:
		return possible
	case had == g.sum:
		return repeated
	}
	return belied
}
