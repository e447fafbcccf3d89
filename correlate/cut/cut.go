package cut

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"slices"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
)

// Costs and bounds of a Cutter.
const (
	packetCost  = 64      // bytes that a packet takes beside its own
	chunkBytes  = 1 << 16 // of which packets' bytes are cut
	defaultWait = 2e9     // ns, Options.Linger
	tapGap      = 2e6     // ns within which the same packet is a tap's second copy: a peer sends none twice so fast
	tapDepth    = 4       // packets back in which it is looked for
	maxPayloads = 16      // payload types of a stream
)

// Cutter takes the packets of a capture in their order, and keeps the RTP of its calls.
type Cutter struct {
	opts      Options
	names     namings
	began     int64
	fragments *frame.Defragmenter
	streams   []*cutting
	index     map[key]*cutting
	counts    Counts
	chunk     []byte
	decoded   frame.Packet
	now       int64
}

// key tells streams apart.
type key struct {
	from, to frame.Endpoint
	ssrc     uint32
}

// cutting is a stream while it is cut.
type cutting struct {
	Stream
	side correlate.Side // that sends it
	seen [2]uint64      // payload types in Payloads, a bit each
}

func newCutter(calls []correlate.Call, text Text, o Options) *Cutter {
	if o.Bytes <= 0 {
		o.Bytes = DefaultBytes
	}
	if o.Streams <= 0 {
		o.Streams = DefaultStreams
	}
	if o.Linger <= 0 {
		o.Linger = defaultWait
	}
	c := &Cutter{
		opts: o, began: math.MaxInt64, fragments: frame.NewDefragmenter(), index: map[key]*cutting{},
		names: namings{of: map[frame.Endpoint][]naming{}, types: o.Types, secrets: map[int]*secrets{}},
	}
	for i := range calls {
		c.began = min(c.began, calls[i].First)
		c.names.call(i, &calls[i], text, o.Linger)
	}
	if len(calls) == 0 {
		c.began = 0
	}
	c.names.finish()
	return c
}

// Cut reads a source to its end and gives what calls' SDP names. The source has to give the packets with the numbers
// (Seq) that the calls know them by, as Files.Reopen does. A source that ends with an error gives its packets up to there
// and the error.
func Cut(ctx context.Context, source capture.Source, calls []correlate.Call, text Text, o Options) (*Result, error) {
	c := NewCutter(calls, text, o)
	var b capture.Batch
	defer b.Release()
	for {
		if err := source.Next(ctx, &b); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c.Result(), err
		}
		for i := range b.Packets {
			c.Packet(&b.Packets[i])
		}
	}
}

// Packet takes the next packet. It copies what it keeps.
func (c *Cutter) Packet(p *capture.Packet) {
	if len(c.names.of) == 0 {
		return
	}
	f := &c.decoded
	switch frame.Decode(p.Link, p.Data, p.WireLen, f) {
	case frame.UDP:
		c.datagram(p.Seq, p.Time, f)
	case frame.Fragment:
		c.fragment(p, f)
	default:
	}
}

// fragment takes a piece of a datagram, and the datagram when it is whole.
func (c *Cutter) fragment(p *capture.Packet, f *frame.Packet) {
	if !c.names.host(f.Src) && !c.names.host(f.Dst) {
		return
	}
	c.now = max(c.now, p.Time)
	c.fragments.Expire(c.now, func(*frame.Datagram) {})
	piece := frame.Piece{Seq: p.Seq, Loc: p.Loc, Len: uint32(len(f.Payload))} //nolint:gosec // Within a frame.
	if d := c.fragments.Add(f, piece, p.Time); d != nil && d.Result == frame.UDP {
		c.datagram(p.Seq, p.Time, &d.Packet)
	}
}

// datagram takes a UDP datagram.
func (c *Cutter) datagram(seq uint64, now int64, f *frame.Packet) {
	to := c.names.find(f.Dst, seq, now)
	from := c.names.find(f.Src, seq, now)
	if to == nil && from == nil {
		return
	}
	if rtp.IsRTCP(f.Payload) {
		c.counts.RTCP++
		return
	}
	if to != nil && to.control || to == nil && from.control {
		c.counts.Other++
		return
	}
	var p rtp.Packet
	if f.Cut || rtp.Parse(f.Payload, &p) != nil {
		c.counts.Other++
		return
	}
	if from != nil && to != nil && from.call != to.call {
		from = c.names.of1(f.Src, seq, now, to.call)
	}
	if s := c.stream(f, &p, to, from, seq, now); s != nil {
		c.keep(s, f.Payload, now)
	}
}

// stream finds or makes the stream of a packet, nil when there are too many.
func (c *Cutter) stream(f *frame.Packet, p *rtp.Packet, to, from *naming, seq uint64, now int64) *cutting {
	named := to
	if named == nil {
		named = from
	}
	k, call := key{f.Src, f.Dst, p.SSRC}, -1
	if named != nil {
		call = named.call
	}
	s := c.index[k]
	if s == nil || s.Call != call && !c.goesOn(s, f, seq, now) {
		if len(c.streams) >= c.opts.Streams {
			c.counts.Streamless++
			return nil
		}
		s = &cutting{Stream: Stream{From: f.Src, To: f.Dst, SSRC: p.SSRC, Call: call, Message: -1, Sender: -1, First: now}}
		if named != nil {
			m := &c.names.media[named.medium]
			s.Medium, s.Type, s.Secure = m.line, m.kind, m.secure
			s.side = sender(m.side, to != nil)
		}
		if to != nil {
			s.Message = c.names.media[to.medium].message
		}
		if from != nil {
			s.Sender = c.names.media[from.medium].message
		}
		c.streams = append(c.streams, s)
		c.index[k] = s
	}
	if s.Sender < 0 && from != nil && from.call == s.Call {
		s.Sender = c.names.media[from.medium].message // its first packets overtook the message
	}
	if word, bit := p.PT/64, uint64(1)<<(p.PT%64); s.seen[word]&bit == 0 && len(s.Payloads) < maxPayloads {
		s.seen[word] |= bit
		s.Payloads = append(s.Payloads, c.names.payload(p.PT, to, from))
	}
	return s
}

// goesOn reports whether a stream is still its call's, though another call named the addresses since: the legs of a
// back-to-back user agent that passes SDP on name the same ones, and a stream is never of both.
func (c *Cutter) goesOn(s *cutting, f *frame.Packet, seq uint64, now int64) bool {
	at := f.Dst
	if s.Message < 0 {
		at = f.Src
	}
	return c.names.of1(at, seq, now, s.Call) != nil
}

// keep keeps a packet of a stream.
func (c *Cutter) keep(s *cutting, data []byte, now int64) {
	s.Last = now
	if s.twice(now, data) {
		s.Duplicates++
		c.counts.Duplicates++
		return
	}
	cost := int64(len(data)) + packetCost
	kept := int64(c.counts.Bytes + c.counts.Packets*packetCost) //nolint:gosec // Bounded by Options.Bytes.
	if s.Left > 0 || kept+cost > c.opts.Bytes {
		s.Left++ // and all that follow: a stream with a hole in it would be another
		c.counts.Left++
		return
	}
	c.counts.Packets++
	c.counts.Bytes += uint64(len(data))
	s.Packets = append(s.Packets, Packet{Time: now, Offset: now - c.began, Data: c.copy(data)})
}

// twice reports whether a packet is a tap's second copy of one just before.
func (s *cutting) twice(now int64, data []byte) bool {
	for i := len(s.Packets) - 1; i >= max(0, len(s.Packets)-tapDepth); i-- {
		q := &s.Packets[i]
		if gap := now - q.Time; gap > tapGap || gap < -tapGap {
			return false
		}
		if bytes.Equal(q.Data, data) {
			return true
		}
	}
	return false
}

// copy copies bytes into a chunk that many packets share.
func (c *Cutter) copy(b []byte) []byte {
	if len(b) > chunkBytes/4 {
		return bytes.Clone(b)
	}
	if len(c.chunk)+len(b) > cap(c.chunk) {
		c.chunk = make([]byte, 0, chunkBytes)
	}
	at := len(c.chunk)
	c.chunk = append(c.chunk, b...)
	return c.chunk[at:len(c.chunk):len(c.chunk)]
}

// sender is the end that sends a stream whose destination, or else its source, the SDP of an end named.
func sender(author correlate.Side, destination bool) correlate.Side {
	switch {
	case author == correlate.Caller && destination:
		return correlate.Callee
	case author == correlate.Callee && destination:
		return correlate.Caller
	}
	return author
}

// Result gives what was cut so far. The Cutter goes on; packets are shared.
func (c *Cutter) Result() *Result {
	all := slices.Clone(c.streams)
	slices.SortStableFunc(all, func(a, b *cutting) int { return a.Call - b.Call })
	r := &Result{Streams: make([]Stream, len(all)), Began: c.began, Counts: c.counts, secrets: c.names.secrets}
	r.Counts.Refused, r.Counts.Unread = c.names.refused, c.names.unread
	for i, s := range all {
		r.Streams[i] = s.Stream
		r.sides = append(r.sides, s.side)
	}
	return r
}
