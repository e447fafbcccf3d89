package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"sipscope/element/replay"
	"sipscope/element/tap"
	"sipscope/element/transport"
	"sipscope/render/pair"
)

// packetTap takes what a link sends and receives, and its media.
type packetTap interface {
	transport.Tap
	Datagram(now int64, src, dst netip.AddrPort, payload []byte)
}

// sees is who sees the packets of a replay: the pipeline, when there is one, and of many plays who keeps their messages;
// nil for nobody.
func (r *replaying) sees(source *tap.Source) packetTap {
	var all packetTap
	if source != nil {
		all = source
	}
	l := &r.c.load
	if !l.many() || l.noDiff || l.findMax {
		return all
	}
	r.keeper = &keeper{next: all, calls: map[string]*keptCall{}}
	r.keeper.first.next, r.keeper.first.before = &r.keeper.first, &r.keeper.first
	return r.keeper
}

// keeper keeps the messages of the first plays that diverge. Which ones these are is known at their end: until then it has
// the messages of every play, as they are. None is decoded but those of the plays that are drawn.
//
// It belongs to the loop until that has ended.
type keeper struct {
	next  packetTap // that sees all, for a file; nil for none
	calls map[string]*keptCall
	first keptCall // of a ring, the oldest after it
	size  int      // of all calls
	lost  bool     // calls were forgotten, perhaps of plays on their way
	spare []*keptCall
	plays []kept
}

// keptCall is what came and went with one Call-ID.
type keptCall struct {
	id           string
	seen         []keptMessage
	text         []byte // of all
	size         int
	cut          bool // there was more
	next, before *keptCall
}

// keptMessage is a message, as a tap is told of it.
type keptMessage struct {
	now      int64
	proto    transport.Proto
	conn     uint64
	src, dst netip.AddrPort
	from, to int // in the text of its call
}

// kept is a play that diverged.
type kept struct {
	outcome replay.Outcome
	calls   []*keptCall
	lacks   bool // perhaps not all of its messages were kept
}

// Bounds of what is kept.
const (
	maxKept        = 5        // plays that are drawn
	maxKeptBytes   = 64 << 20 // of all plays on their way; beyond, the oldest are forgotten
	maxKeptCall    = 1 << 20  // of one call
	maxKeptID      = 1 << 10  // of a Call-ID
	maxSpareCalls  = 1024
	maxSpareBytes  = 32 << 10 // of one that is used again
	perKeptMessage = 80       // what one costs beside its bytes
)

// Message implements transport.Tap.
func (k *keeper) Message(now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	if k.next != nil {
		k.next.Message(now, proto, conn, src, dst, raw)
	}
	if k.full() {
		return
	}
	id := callIDOf(raw)
	c := k.calls[string(id)]
	if c == nil {
		if len(id) == 0 || len(id) > maxKeptID || !begins(raw) {
			return
		}
		c = k.begin(string(id))
	}
	n := len(raw) + perKeptMessage
	if c.size+n > maxKeptCall {
		c.cut = true
		return
	}
	from := len(c.text)
	c.text = append(c.text, raw...)
	c.seen = append(c.seen, keptMessage{now, proto, conn, src, dst, from, len(c.text)})
	c.size += n
	for k.size += n; k.size > maxKeptBytes; {
		k.lost = true
		k.drop(k.first.next)
	}
}

// Datagram passes media on: no play is judged by it.
func (k *keeper) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	if k.next != nil {
		k.next.Datagram(now, src, dst, payload)
	}
}

// full reports whether enough plays are kept.
func (k *keeper) full() bool { return len(k.plays) >= maxKept }

// begins reports whether a call may begin with a message. A response, or what ends a call, that comes once more after the
// end of its play is of no play.
func begins(raw []byte) bool {
	word, _, _ := bytes.Cut(raw, []byte(" "))
	switch string(word) {
	case "SIP/2.0", "ACK", "BYE", "CANCEL":
		return false
	}
	return true
}

// callIDOf finds the value of Call-ID in a message, nil where there is none.
func callIDOf(raw []byte) []byte {
	for {
		n := bytes.IndexByte(raw, '\n')
		if n < 0 || n+1 == len(raw) {
			return nil
		}
		raw = raw[n+1:]
		switch raw[0] | 0x20 {
		case 'c', 'i':
			name, rest, ok := bytes.Cut(raw[:min(len(raw), maxKeptID)], []byte(":"))
			name = bytes.TrimRight(name, " \t")
			if ok && (bytes.EqualFold(name, []byte("Call-ID")) || len(name) == 1 && name[0]|0x20 == 'i') {
				value, _, _ := bytes.Cut(rest, []byte("\n"))
				return bytes.TrimSpace(value)
			}
		case '\r' | 0x20, '\n' | 0x20: // the end of the head
			if raw[0] == '\r' || raw[0] == '\n' {
				return nil
			}
		}
	}
}

// begin begins to keep a call.
func (k *keeper) begin(id string) *keptCall {
	c := &keptCall{}
	if n := len(k.spare); n > 0 {
		c, k.spare = k.spare[n-1], k.spare[:n-1]
	}
	*c = keptCall{id: id, seen: c.seen[:0], text: c.text[:0], next: &k.first, before: k.first.before}
	c.before.next, c.next.before = c, c
	k.calls[id] = c
	return c
}

// take takes a call out.
func (k *keeper) take(c *keptCall) {
	delete(k.calls, c.id)
	k.size -= c.size
	c.before.next, c.next.before = c.next, c.before
	c.next, c.before = nil, nil
}

// drop forgets a call.
func (k *keeper) drop(c *keptCall) {
	k.take(c)
	if len(k.spare) < maxSpareCalls && cap(c.text) <= maxSpareBytes {
		k.spare = append(k.spare, c)
	}
}

// offer takes a play that has ended, in the loop.
func (k *keeper) offer(o *replay.Outcome) {
	if k == nil || k.full() {
		return
	}
	wanted := o.Verdict == replay.Diverged || o.Verdict == replay.Refused
	p := kept{outcome: *o, lacks: k.lost}
	for _, id := range o.CallIDs {
		c := k.calls[id]
		switch {
		case c == nil:
		case wanted:
			k.take(c)
			p.calls, p.lacks = append(p.calls, c), p.lacks || c.cut
		default:
			k.drop(c)
		}
	}
	if !wanted {
		return
	}
	slices.SortFunc(p.calls, func(a, b *keptCall) int { return cmp.Compare(a.seen[0].now, b.seen[0].now) })
	if k.plays = append(k.plays, p); k.full() {
		k.calls, k.spare, k.first, k.size = nil, nil, keptCall{}, 0
	}
}

// pairs compares the plays that were kept with what was recorded, after the end of the loop.
func (k *keeper) pairs(ctx context.Context, r *replaying, recorded *side) (all []pair.Pair, notes []string, err error) {
	if k == nil {
		return nil, nil, nil
	}
	if r.rules.Late == 0 {
		r.rules.Late = -1 // of many plays the figures tell how late answers are: the first divergence is another one
	}
	for i := range k.plays {
		p := &k.plays[i]
		s, err := r.sideOf(ctx, "live", func(source *tap.Source) map[netip.AddrPort]string { p.tell(source); return r.whoIsWhere() })
		if err != nil {
			return nil, nil, fmt.Errorf("the messages of a play: %w", err)
		}
		s.loop = r.loop()
		if p.lacks {
			notes = append(notes, fmt.Sprintf("play %d: too many messages went on at a time to keep them all, so some may be missing from its ladder", p.outcome.ID))
		}
		if len(s.calls) > 0 {
			all = append(all, pair.New(r.compare(recorded, s, &p.outcome)))
		}
	}
	return all, notes, nil
}

// tell tells a tap of the messages of a play, in their order.
func (p *kept) tell(source *tap.Source) {
	type message struct {
		*keptMessage
		text []byte
	}
	var all []message
	for _, c := range p.calls {
		for i := range c.seen {
			all = append(all, message{&c.seen[i], c.text[c.seen[i].from:c.seen[i].to]})
		}
	}
	slices.SortStableFunc(all, func(a, b message) int { return cmp.Compare(a.now, b.now) })
	for _, m := range all {
		source.Message(m.now, m.proto, m.conn, m.src, m.dst, m.text)
	}
}
