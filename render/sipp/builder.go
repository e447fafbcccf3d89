package sipp

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// builder makes a script of a view.
type builder struct {
	o     Options
	call  *correlate.Call
	v     *view
	tight bool // no indentation: the XML would be too long

	mine     []frame.Endpoint
	myHosts  []netip.Addr
	peer     frame.Endpoint
	peerHost netip.Addr
	shared   bool // both ends have the same address, and differ by their ports

	tags    map[string]string // our tags: their keywords
	heard   map[string]int    // tags that responses brought: the position of the first one that did, and 1
	dialogs map[string]int    // those that made dialogs, numbered from 1
	unsure  map[*event]bool   // INVITEs that may be skipped or be those that were: which one, only SIPp knows
	made    map[*event]bool   // responses that tell SIPp a dialog's target
	txns    map[*event]string // client transactions that overlap, by request: their names

	items     []*item
	subs      []*item  // what is jumped to: after the end
	tracksOut []*track // the media that is played
	notes     []string
	told      map[string]bool
	auth      bool
	label     int
}

func newBuilder(call *correlate.Call, v *view, o Options) *builder {
	b := &builder{
		o: o, call: call, v: v, tags: map[string]string{}, heard: map[string]int{}, dialogs: map[string]int{},
		unsure: map[*event]bool{}, made: map[*event]bool{}, txns: map[*event]string{}, told: map[string]bool{},
	}
	mine, theirs := v.endpoints()
	b.mine = mine
	for _, e := range mine {
		if a := e.AddrPort().Addr(); !slices.Contains(b.myHosts, a) && len(b.myHosts) < maxHosts {
			b.myHosts = append(b.myHosts, a)
		}
	}
	if len(theirs) > 0 {
		b.peer = theirs[0]
		b.peerHost = b.peer.AddrPort().Addr()
		b.shared = slices.Contains(b.myHosts, b.peerHost)
	}
	return b
}

// note tells what is otherwise than recorded, once.
func (b *builder) note(e *event, text string) {
	if e != nil {
		what := e.facts.Method
		if !e.isRequest() {
			what = fmt.Sprintf("%d %s", e.facts.Status, what)
		}
		text = fmt.Sprintf("frame %d, %s: %s", e.facts.Seq, remark(what), text)
	}
	if !b.told[text] {
		b.told[text] = true
		b.notes = append(b.notes, text)
	}
}

// cut reports whether the capture has only a part of a message.
func (b *builder) cut(e *event) bool { return e.facts.Flags&decode.Truncated != 0 }

// tagOf gives the keyword for a tag of ours: each recorded one has its own.
func (b *builder) tagOf(tag []byte) string {
	k, ok := b.tags[string(tag)]
	if !ok {
		side := "s"
		if b.v.caller {
			side = "c"
		}
		k = "[pid]" + side + "[call_number]"
		if n := len(b.tags); n > 0 {
			k += fmt.Sprintf("x%d", n)
		}
		b.tags[string(tag)] = k
	}
	return k
}

// survey finds what must be known before the first message is written.
func (b *builder) survey() {
	var last *event
	for _, e := range b.v.events {
		switch {
		case !e.send:
			last = e
			b.hear(e)
		case !e.isRequest() && e.request != nil && e.request != last:
			e.request.saved = true
		}
	}
	dialogs := false
	for _, e := range b.v.events {
		if !e.send || !e.isRequest() {
			continue
		}
		dialogs = dialogs || e.inDialog()
		if d := b.answered(e); d != nil {
			d.saved = true
		}
	}
	if !dialogs {
		b.dialogs, b.made = map[string]int{}, map[*event]bool{}
	}
	b.overlaps()
}

// hear takes note of the tag that a response brought.
func (b *builder) hear(e *event) {
	if e.isRequest() || e.tag() == "" {
		return
	}
	if b.heard[e.tag()] == 0 {
		b.heard[e.tag()] = e.pos + 1
	}
	b.dialog(e)
}

// dialog takes note of a response that makes a dialog.
func (b *builder) dialog(e *event) {
	if e.request == nil || e.facts.Status <= 100 || e.facts.Status >= 300 || !e.request.sip.To.Tag.Empty() {
		return
	}
	switch e.method() {
	case "INVITE", "SUBSCRIBE", "REFER":
	default:
		return
	}
	if e.sip.Contact.URI.Empty() {
		return
	}
	b.made[e] = true
	if b.dialogs[e.tag()] == 0 && e.isFinal() {
		b.dialogs[e.tag()] = len(b.dialogs) + 1
	}
}

// answered finds the request that made the dialog of a request of ours, when the other side sent it.
func (b *builder) answered(e *event) *event {
	if !e.inDialog() {
		return nil
	}
	before := e.pos
	if n := b.heard[e.tag()]; n > 0 {
		before = min(before, n-1) // a tag that came with a response first is that of who was called
	}
	for _, r := range b.v.events[:before] {
		if !r.send && r.isRequest() && r.sip.To.Tag.Empty() && string(r.sip.From.Tag.Of(r.sip.Raw)) == e.tag() {
			return r
		}
	}
	return nil
}

// targets reports whether SIPp knows route set and remote target of the dialog of a request.
func (b *builder) targets(e *event) bool {
	if r := b.answered(e); r != nil {
		return !r.sip.Contact.URI.Empty()
	}
	for r := range b.made {
		if r.pos < e.pos {
			return true
		}
	}
	return false
}

// redirected reports whether a request goes where a redirection sent it, which SIPp learns.
func (b *builder) redirected(e *event) bool {
	for _, r := range slices.Backward(b.v.events[:e.pos]) {
		if r.send || r.isRequest() || r.facts.Status < 300 || r.facts.Status >= 400 || r.method() != e.method() {
			continue
		}
		return !r.sip.Contact.URI.Empty() && bytes.Equal(r.sip.Contact.URI.Of(r.sip.Raw), e.sip.URI.Of(e.sip.Raw)) && e.sip.To.Tag.Empty()
	}
	return false
}

// challenge finds the newest challenge before a request, when SIPp can answer it.
func (b *builder) challenge(e *event) *event {
	for _, r := range slices.Backward(b.v.events[:e.pos]) {
		if r.send || r.facts.Status != 401 && r.facts.Status != 407 {
			continue
		}
		if !answerable(r) {
			return nil
		}
		return r
	}
	return nil
}

// answerable reports whether SIPp can answer a challenge, or could if it named MD5: that is all that SIPp 3.6 knows.
func answerable(r *event) bool {
	id := sip.HeaderProxyAuthenticate
	if _, ok := r.sip.Value(id); !ok {
		id = sip.HeaderWWWAuthenticate
	}
	found := false
	for v := range r.sip.Values(id) {
		c, ok := sip.ParseChallenge(v)
		if !ok || len(c.Realm) == 0 || len(c.Nonce) == 0 || !strings.EqualFold(string(c.Scheme), "Digest") ||
			strings.HasPrefix(strings.ToUpper(string(c.Algorithm)), "AKA") {
			return false
		}
		found = true
	}
	return found
}

// reliable finds the provisional response that a RAck acknowledges.
func (b *builder) reliable(e *event, rseq int64) *event {
	for _, r := range slices.Backward(b.v.events[:e.pos]) {
		if r.send || r.isRequest() || r.facts.Status >= 200 || r.tag() != e.tag() {
			continue
		}
		if v, ok := r.sip.Value(sip.HeaderRSeq); ok && sip.ParseRSeq(v) == rseq && rseq >= 0 {
			return r
		}
	}
	return nil
}

// tagged finds the response that brought an entity tag.
func (b *builder) tagged(e *event, etag []byte) *event {
	for _, r := range slices.Backward(b.v.events[:e.pos]) {
		if r.send || r.isRequest() {
			continue
		}
		if v, ok := r.sip.Value(sip.HeaderSIPETag); ok && bytes.Equal(v, etag) {
			return r
		}
	}
	return nil
}

// overlaps names the client transactions that are under way at the same time: by method and status alone SIPp could
// take a response for that of another one.
func (b *builder) overlaps() {
	end := func(e *event) int {
		if len(e.finals) > 0 {
			return e.finals[len(e.finals)-1].pos
		}
		return len(b.v.events)
	}
	var open []*event
	for _, e := range b.v.events {
		if !e.send || !e.isRequest() || e.is("ACK") {
			continue
		}
		open = slices.DeleteFunc(open, func(r *event) bool { return end(r) < e.pos })
		if len(open) > 0 {
			for _, r := range append(open, e) {
				if b.txns[r] == "" && b.nameable(r) {
					b.txns[r] = fmt.Sprintf("t%d", r.pos)
				}
			}
		}
		open = append(open, e)
	}
}

// nameable reports whether SIPp takes a request as the beginning of a transaction: it wants a response, and the ACK of an
// INVITE. A second final response before the ACK would end SIPp.
func (b *builder) nameable(e *event) bool {
	if len(e.finals) != 1 || e.sip.Via.Branch.Empty() {
		return false
	}
	return !e.is("INVITE") || e.ack != nil && e.ack.pos > e.finals[0].pos
}
