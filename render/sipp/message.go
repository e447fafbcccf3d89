package sipp

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sipscope/decode/sip"
)

// branchMark stands in a template where the branch belongs; which one it is, is known when all items have their places.
// No message has a zero byte there: zero bytes are escaped.
const branchMark = "\x00"

// editor makes the template of a message that SIPp sends.
type editor struct {
	b     *builder
	e     *event
	m     *sip.Message
	edits []edit
	plain bool // without credentials, though the recording has some
}

// template writes a message as SIPp shall send it. plain leaves credentials out.
func (b *builder) template(e *event, plain bool) string {
	x := &editor{b: b, e: e, m: &e.sip, plain: plain}
	if e.isRequest() {
		x.request()
	} else {
		x.response()
	}
	x.contacts()
	x.body()
	x.addresses()
	slices.SortStableFunc(x.edits, func(a, b edit) int { return cmp.Or(cmp.Compare(a.off, b.off), cmp.Compare(a.end, b.end)) })
	return render(x.m.Raw, int(x.m.Head), x.edits, b.tight)
}

// put replaces a span, unless something else already does so with a part of it.
func (x *editor) put(s sip.Span, with string) { x.replace(int(s.Off), int(s.Off+s.Len), with) }

func (x *editor) replace(off, end int, with string) {
	for i := range x.edits {
		if d := &x.edits[i]; off < d.end && d.off < end || off == d.off && end == d.end {
			return
		}
	}
	x.edits = append(x.edits, edit{off, end, with})
}

// line gives where a header line begins and ends, with its line end.
func (x *editor) line(i int) (off, end int) {
	h := &x.m.Headers[i]
	if i+1 < len(x.m.Headers) {
		return int(h.Name.Off), int(x.m.Headers[i+1].Name.Off)
	}
	end = int(h.Value.Off + h.Value.Len)
	if n := bytes.IndexByte(x.m.Raw[end:x.m.Head], '\n'); n >= 0 {
		return int(h.Name.Off), end + n + 1
	}
	return int(h.Name.Off), int(x.m.Head)
}

// lines replaces all header lines of an id by with, which is empty or ends in a line end.
func (x *editor) lines(id sip.HeaderID, with string) {
	for i := range x.m.Headers {
		if x.m.Headers[i].ID != id {
			continue
		}
		off, end := x.line(i)
		x.replace(off, end, with)
		with = ""
	}
}

// value replaces what follows the name of the first header of an id.
func (x *editor) value(id sip.HeaderID, with string) {
	for i := range x.m.Headers {
		if h := &x.m.Headers[i]; h.ID == id {
			x.replace(int(h.Name.Off+h.Name.Len), int(h.Value.Off+h.Value.Len), with)
			return
		}
	}
}

func (x *editor) request() {
	x.via()
	x.number()
	x.parties()
	x.put(x.m.CallID, "[call_id]")
	live := x.e.inDialog() && x.b.targets(x.e)
	if live {
		x.routes()
	}
	x.target(live)
	x.credentials()
	x.learned()
}

// via fills the top Via: that of an ACK or CANCEL has its INVITE's branch.
func (x *editor) via() {
	if x.b.unsure[x.e.request] && (x.e.is("CANCEL") || x.e.acksFailure()) {
		x.lines(sip.HeaderVia, "[last_Via:]\n") // that of one of two INVITEs, which the response that came last has
		return
	}
	v := &x.m.Via
	if v.SentBy.Empty() {
		return
	}
	x.put(v.Transport, "[transport]")
	x.put(v.SentBy, "[local_ip]:[local_port]")
	if !v.Branch.Empty() {
		x.put(v.Branch, branchMark)
	}
}

// number writes the CSeq number where it is not the recorded one.
func (x *editor) number() {
	if x.b.unsure[x.e.request] && (x.e.is("CANCEL") || x.e.is("ACK")) {
		if h, ok := x.m.Value(sip.HeaderCSeq); ok {
			off := bytes.IndexAny(h, "0123456789")
			end := off
			for off >= 0 && end < len(h) && h[end] >= '0' && h[end] <= '9' {
				end++
			}
			if at := x.offset(h); off >= 0 && at >= 0 {
				x.replace(at+off, at+end, "[last_cseq_number]")
			}
		}
	}
}

// offset is where a slice of the message begins in it, -1 when it is none.
func (x *editor) offset(s []byte) int {
	for i := range x.m.Headers {
		v := x.m.Headers[i].Value
		if b := v.Of(x.m.Raw); len(b) == len(s) && len(b) > 0 && &b[0] == &s[0] {
			return int(v.Off)
		}
	}
	return -1
}

// parties fills From and To.
func (x *editor) parties() {
	e := x.e
	if d := x.b.answered(e); d != nil { // the dialog is the peer's: we were To
		x.value(sip.HeaderFrom, fmt.Sprintf(":[$to%d];tag=%s", d.pos, x.b.tagOf(e.sip.From.Tag.Of(e.sip.Raw))))
		x.value(sip.HeaderTo, fmt.Sprintf(":[$from%d]", d.pos))
		return
	}
	if !x.m.From.Tag.Empty() {
		x.put(x.m.From.Tag, x.b.tagOf(x.m.From.Tag.Of(x.m.Raw)))
	}
	tag := x.m.To.Tag
	if tag.Empty() {
		return
	}
	if k, ok := x.b.dialogs[e.tag()]; ok && len(x.b.dialogs) > 1 && !e.acksFailure() {
		x.put(tag, fmt.Sprintf("[$tag%d]", k))
		return
	}
	if n := x.b.heard[e.tag()]; n == 0 || n > e.pos {
		x.b.note(e, "the dialog began before the recording: its To tag is the recorded one")
		return
	}
	if off, ok := paramStart(x.m.Raw, tag, "tag"); ok {
		x.replace(off, int(tag.Off+tag.Len), "[peer_tag_param]")
	}
}

// paramStart finds the semicolon of a parameter by the place of its value.
func paramStart(raw []byte, value sip.Span, name string) (int, bool) {
	i := int(value.Off)
	back := func() {
		for i > 0 && (raw[i-1] == ' ' || raw[i-1] == '\t') {
			i--
		}
	}
	back()
	if i == 0 || raw[i-1] != '=' {
		return 0, false
	}
	i--
	back()
	if i < len(name) || !strings.EqualFold(string(raw[i-len(name):i]), name) {
		return 0, false
	}
	i -= len(name)
	back()
	if i == 0 || raw[i-1] != ';' {
		return 0, false
	}
	return i - 1, true
}

// routes puts the learned route set where the recorded one was, or below the Vias.
func (x *editor) routes() {
	last := len(x.m.Headers) - 1
	at, old := -1, false
	for i := range x.m.Headers {
		switch x.m.Headers[i].ID {
		case sip.HeaderRoute:
			if !old && i != last { // below it SIPp needs another line to end a line that is not there
				at, old = i, true
			}
		case sip.HeaderVia:
			if at < 0 && i != last {
				at = i
			}
		default:
		}
	}
	if at < 0 {
		return
	}
	off, end := x.line(at)
	if old {
		x.replace(off, end, "[routes]\n")
	} else {
		x.replace(end, end, "[routes]\n")
	}
	x.lines(sip.HeaderRoute, "")
}

// target fills the Request-URI.
func (x *editor) target(live bool) {
	switch {
	case live && len(x.b.dialogs) > 1:
		if k, ok := x.b.dialogs[x.e.tag()]; ok {
			x.put(x.m.URI, fmt.Sprintf("[$target%d]", k))
			return
		}
		x.put(x.m.URI, "[next_url]")
	case live, x.b.redirected(x.e):
		x.put(x.m.URI, "[next_url]")
	case (x.e.is("CANCEL") || x.e.acksFailure()) && x.e.request != nil && x.b.redirected(x.e.request):
		x.put(x.m.URI, "[next_url]")
	default:
	}
}

// credentials lets SIPp answer the newest challenge.
func (x *editor) credentials() {
	var ids []sip.HeaderID
	for _, id := range []sip.HeaderID{sip.HeaderAuthorization, sip.HeaderProxyAuthorization} {
		if _, ok := x.m.Value(id); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	c := x.b.challenge(x.e)
	if x.plain {
		for _, id := range ids {
			x.lines(id, "")
		}
		return
	}
	if c == nil {
		x.b.note(x.e, "its credentials are sent as recorded: the recording has no challenge for them that SIPp can answer")
		return
	}
	with := "[authentication]\n"
	value, _ := x.m.Value(ids[0])
	if cred, ok := sip.ParseCredentials(value); ok && len(cred.Username) > 0 {
		if user, fits := username(sip.Unquote(cred.Username)); fits {
			with = fmt.Sprintf("[authentication username=\"%s\"]\n", user)
		} else {
			x.b.note(x.e, "the user name is too long for SIPp: give it with -au")
		}
	}
	x.lines(ids[0], with)
	for _, id := range ids[1:] {
		x.lines(id, "")
		x.b.note(x.e, "SIPp answers one challenge a message: the newest one")
	}
}

// username escapes a user name within the quotes of a keyword: SIPp takes a backslash away and then reads the rest once
// more as a message.
func username(user []byte) (string, bool) {
	var b strings.Builder
	for _, c := range user {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("@._+*:=~!-", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString(`\\x` + fmt.Sprintf("%02X", c))
		}
	}
	const keyword = 200 // of 256 bytes
	return b.String(), b.Len() <= keyword
}

// learned fills what a response told: RAck, SIP-If-Match.
func (x *editor) learned() {
	if h, ok := x.m.Value(sip.HeaderRAck); ok {
		rack := sip.ParseRAck(h)
		if r := x.b.reliable(x.e, rack.RSeq); r != nil {
			x.ackOf(h, r)
		}
	}
	if h, ok := x.m.Value(sip.HeaderSIPIfMatch); ok {
		if r := x.b.tagged(x.e, h); r != nil {
			if at := x.offset(h); at >= 0 {
				x.replace(at, at+len(h), fmt.Sprintf("[$etag%d]", r.pos))
			}
		}
	}
}

// ackOf fills a RAck: the response's RSeq, and the CSeq number of its request when that is not known.
func (x *editor) ackOf(h []byte, r *event) {
	f := bytes.Fields(h)
	at := x.offset(h)
	if len(f) != 3 || at < 0 {
		return
	}
	x.replace(at, at+len(f[0]), fmt.Sprintf("[$rseq%d]", r.pos))
	if x.b.unsure[r.request] {
		off := at + bytes.Index(h[len(f[0]):], f[1]) + len(f[0])
		x.replace(off, off+len(f[1]), fmt.Sprintf("[$rcseq%d]", r.pos))
	}
}

// response copies from the request what a response must (RFC 3261 8.2.6.2).
func (x *editor) response() {
	r := x.e.request
	tag := ""
	if r.sip.To.Tag.Empty() && !x.m.To.Tag.Empty() {
		tag = ";tag=" + x.b.tagOf(x.m.To.Tag.Of(x.m.Raw))
	}
	if r.saved {
		x.lines(sip.HeaderVia, fmt.Sprintf("[$via%d]\n", r.pos))
		x.value(sip.HeaderFrom, fmt.Sprintf(":[$from%d]", r.pos))
		x.value(sip.HeaderTo, fmt.Sprintf(":[$to%d]%s", r.pos, tag))
		x.value(sip.HeaderCallID, ": [call_id]")
		x.value(sip.HeaderCSeq, fmt.Sprintf(":[$cseq%d]", r.pos))
		x.lines(sip.HeaderRecordRoute, fmt.Sprintf("[$rr%d]\n", r.pos))
		return
	}
	x.lines(sip.HeaderVia, "[last_Via:]\n")
	x.lines(sip.HeaderFrom, "[last_From:]\n")
	x.lines(sip.HeaderTo, "[last_To:]"+tag+"\n")
	x.lines(sip.HeaderCallID, "[last_Call-ID:]\n")
	x.lines(sip.HeaderCSeq, "[last_CSeq:]\n")
	x.lines(sip.HeaderRecordRoute, "[last_Record-Route:]\n")
	x.challenges()
	if r.sip.Raw != nil {
		if _, ok := r.sip.Value(sip.HeaderTimestamp); ok {
			x.lines(sip.HeaderTimestamp, "[last_Timestamp:]\n")
		}
	}
	x.bindings(r)
}

// challenges lets a challenge name MD5, the only algorithm that SIPp 3.6 can answer: it would end, not only its call.
func (x *editor) challenges() {
	if !answerable(x.e) {
		return
	}
	for _, id := range []sip.HeaderID{sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate} {
		for v := range x.m.Values(id) {
			c, _ := sip.ParseChallenge(v)
			i := bytes.Index(v, c.Algorithm)
			at := x.offset(v)
			if len(c.Algorithm) == 0 || strings.EqualFold(string(c.Algorithm), "MD5") || i < 0 || at < 0 {
				continue
			}
			x.replace(at+i, at+i+len(c.Algorithm), "MD5")
			x.b.note(x.e, "it asks for MD5 instead of "+remark(string(c.Algorithm))+", which SIPp 3.6 cannot answer")
		}
	}
}

// bindings lets the 2xx of a REGISTER with one contact name the contact that was registered.
func (x *editor) bindings(r *event) {
	if !r.is("REGISTER") || x.e.facts.Status >= 300 || x.m.Contacts != 1 || r.sip.Contacts != 1 || r.sip.ContactStar {
		return
	}
	if !bytes.Equal(x.m.Contact.URI.Of(x.m.Raw), r.sip.Contact.URI.Of(r.sip.Raw)) {
		return
	}
	with := "[last_Contact:]"
	expires, has := sip.Param(x.m.Contact.Params.Of(x.m.Raw), "expires")
	if _, asked := sip.Param(r.sip.Contact.Params.Of(r.sip.Raw), "expires"); has && !asked && digits(expires) {
		with += ";expires=" + string(expires)
	}
	x.lines(sip.HeaderContact, with+"\n")
}

func digits(b []byte) bool {
	return len(b) > 0 && len(b) < 11 && len(bytes.Trim(b, "0123456789")) == 0
}
