package record

import "sipscope/capture"

// ref is a packet without its bytes: 40 bytes.
type ref struct {
	seq        uint64
	time       int64
	off        int64 // Loc.Off
	size, wire uint32
	link       capture.LinkType
	iface      uint16
	file       uint16 // Loc.File
}

// packet gives the packet that r stands for; its bytes are data.
func (r *ref) packet(data []byte) capture.Packet {
	return capture.Packet{
		Seq: r.seq, Time: r.time, Data: data, WireLen: r.wire, Link: r.link, Iface: r.iface,
		Loc: capture.Loc{Off: r.off, File: r.file},
	}
}

// ringSize is how many of the newest packets a message may reach back to: 3 MiB of references. At 100,000 packets a
// second that is 0.6 s, which is more than a burst of segments or fragments takes.
const ringSize = 1 << 16

// slot is a packet in the ring.
type slot struct {
	ref
	frame uint32 // in the slab, once a call has it; 0 for none
}

// ring is the newest packets by their Seq.
type ring struct {
	slots  []slot // made with the first packet
	newest uint64 // highest Seq
}

// at gives a packet, or nil when it is not among the newest.
func (g *ring) at(seq uint64) *slot {
	if len(g.slots) == 0 {
		return nil
	}
	if s := &g.slots[seq%ringSize]; s.seq == seq && seq != 0 {
		return s
	}
	return nil
}

// oldest is a Seq below which the ring has nothing.
func (g *ring) oldest() uint64 {
	if g.newest < ringSize {
		return 0
	}
	return g.newest - ringSize + 1
}

// put takes a packet into the ring, in the place of the one that was there ringSize packets ago.
func (r *Recorder) put(p *capture.Packet) {
	g := &r.ring
	if len(g.slots) == 0 {
		g.slots = make([]slot, ringSize)
	}
	s := &g.slots[p.Seq%ringSize]
	if s.frame != 0 {
		r.frames.release(s.frame)
	}
	*s = slot{ref: ref{
		seq: p.Seq, time: p.Time, off: p.Loc.Off, size: uint32(len(p.Data)), wire: p.WireLen, //nolint:gosec // a frame
		link: p.Link, iface: p.Iface, file: p.Loc.File,
	}}
	g.newest = max(g.newest, p.Seq)
}

// held is a frame that at least one call, or the ring on behalf of one, refers to.
type held struct {
	ref
	holders uint32 // calls that will write it, and the ring; the next free one while there is none
	sip     bool   // a message is in it, or a part of one
	written bool   // to the common file
}

// slabShift sizes a chunk of a slab: 4096 frames, 200 KiB.
const (
	slabShift = 12
	slabMask  = 1<<slabShift - 1
)

// slab keeps frames that calls refer to by index, so that a frame of two calls is there once. Its chunks are used
// again; they are not given back.
type slab struct {
	chunks [][]held
	used   uint32 // places that were ever taken
	free   uint32 // 1-based index of a place that was given back, 0 for none
}

func (s *slab) at(i uint32) *held { i--; return &s.chunks[i>>slabShift][i&slabMask] }

// add gives a frame a place with one holder; its index is never 0.
func (s *slab) add(r *ref) uint32 {
	i := s.free
	if i != 0 {
		s.free = s.at(i).holders
	} else {
		if s.used>>slabShift == uint32(len(s.chunks)) { //nolint:gosec // bounded by MaxPending and the ring
			s.chunks = append(s.chunks, make([]held, 1<<slabShift))
		}
		s.used++
		i = s.used
	}
	*s.at(i) = held{ref: *r, holders: 1}
	return i
}

// release takes a holder off a frame.
func (s *slab) release(i uint32) {
	h := s.at(i)
	if h.holders--; h.holders == 0 {
		h.holders, s.free = s.free, i
	}
}
