package replay

import (
	"bytes"
	"slices"
	"strings"

	"sipscope/decode/sip"
)

// op says what stands at a place of a message when it is sent.
type op uint8

const (
	opText        op = iota + 1 // script.texts[arg]; "" takes the place out
	opField                     // script.fields[arg]
	opToken                     // script.tokens[arg]
	opURI                       // Request-URI of the live dialog
	opCopyURI                   // that of the request that is forwarded
	opTransport                 // of our Via: that of the hop
	opSentBy                    // of our Via
	opVias                      // the lines of Via of the request that is answered, or forwarded
	opLocalTag                  // our tag in the live dialog
	opRemoteTag                 // the other side's
	opRoutes                    // the lines of Route of the live dialog
	opCSeq                      // arg: number; shifted as its CSeq space is
	opCSeqOf                    // arg: step; the number that this one had
	opCSeqAnswer                // the number of the request that is answered
	opFrom                      // value of From of the request that is answered
	opTo                        // value of To of the request that is answered, with our tag
	opHeader                    // arg: HeaderID; value of the first such header of what is forwarded
	opLines                     // arg: HeaderID; all lines of it of what is forwarded
	opRecordRoute               // lines of Record-Route of the request that is answered
	opSkipped                   // arg: how many; the lines of Route of what is forwarded but for the first
	opForwards                  // arg: how many; Max-Forwards of what is forwarded less that
	opCredentials               // lines of Authorization and Proxy-Authorization; arg: whether it was recorded with any
	opNonce                     // arg: script.asks; our nonce
	opInfo                      // Authentication-Info, ours; arg: script.asks
	opLength                    // Content-Length; arg: by how much the recorded one is wrong
	opLengthLine                // a line of Content-Length, where a stream needs one
	opDate                      // the time
	opAtLeast                   // arg: seconds recorded; Expires, not below a live Min-Expires
	opSession                   // arg: seconds recorded; Session-Expires, not below a live Min-SE
	opMinSE                     // a line of Min-SE after a live 422
	opBody                      // body of what is forwarded
	opMediaPort                 // arg: script.sockets; the port of our socket
	opControlPort               // arg: script.sockets; the port for RTCP
)

// edit is a place of a message, raw[from:to], and what is sent instead.
type edit struct {
	from, to uint32
	arg      int32
	op       op
	escaped  bool   // as the header of a URI (RFC 3261 19.1.1)
	other    []edit // of the same place, where there is no live dialog
}

func (c *compiler) put(from, to uint32, o op, arg int32) {
	c.s.edits = append(c.s.edits, edit{from: from, to: to, op: o, arg: arg})
}

// putText puts a text in a place, unless it is there already.
func (c *compiler) putText(from, to uint32, text string) {
	if string(c.s.msg.Raw[from:to]) == text {
		return
	}
	c.put(from, to, opText, int32(len(c.texts))) //nolint:gosec // a few for each step
	c.texts = append(c.texts, text)
}

// putTemplate puts a template in a place.
func (c *compiler) putTemplate(from, to uint32, t template) {
	if text, ok := t.plain(); ok {
		c.putText(from, to, text)
		return
	}
	c.put(from, to, opField, int32(len(c.fields))) //nolint:gosec // a few for each step
	c.fields = append(c.fields, t)
}

// editor is what is known of the message that is edited.
type editor struct {
	*compiler
	m       *sip.Message
	in      *sip.Message // what it forwards, nil when it is made here
	req     *step        // of a response its request
	after   uint32       // where new headers go: before the empty line
	seen    [4]bool      // of what stands once: Via, Record-Route, Route, credentials
	own     int          // values of Record-Route that are ours and still to come
	ownVias int          // values of Via of a request that is sent on, likewise
	added   int          // values of Route likewise
	passed  int          // values of Route that came and are not sent on
	hadSet  map[string]bool
}

const (
	seenVia = iota
	seenRecordRoute
	seenRoute
	seenCredentials
)

// edit finds the places of a message that we send.
func (c *compiler) edit(i int32) {
	s := &c.steps[i]
	c.s, c.index, c.scope = s, i, s.call
	e := &editor{compiler: c, m: &s.msg, hadSet: map[string]bool{}}
	if s.origin >= 0 {
		e.in = &c.steps[s.origin].msg
	}
	if !s.request && s.asked >= 0 {
		e.req = &c.steps[s.asked]
	}
	e.after = headEnd(e.m)
	e.startLine()
	for h := range e.m.Headers {
		if !e.set(h) {
			e.header(h)
		}
	}
	e.additions()
	s.head = len(s.edits)
	e.bodyEdits()
	s.body = len(s.edits) > s.head
	if s.request && s.origin < 0 {
		s.user = c.userFor(s)
	}
}

// headEnd is where the empty line begins that ends the head.
func headEnd(m *sip.Message) uint32 {
	head := m.Raw[:m.Head]
	switch n := len(head); {
	case bytes.HasSuffix(head, []byte("\n\r\n")):
		return uint32(n - 2) //nolint:gosec // a message is far below 4 GiB
	case bytes.HasSuffix(head, []byte("\n\n")):
		return uint32(n - 1) //nolint:gosec // likewise
	default:
		return uint32(n) //nolint:gosec // likewise
	}
}

// lineEnd is where the line of a header ends, folds and line end included.
func lineEnd(m *sip.Message, h int) uint32 {
	raw := m.Raw[:m.Head]
	at := int(m.Headers[h].Value.Off + m.Headers[h].Value.Len)
	for at < len(raw) {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			break
		}
		if at += n + 1; at == len(raw) || raw[at] != ' ' && raw[at] != '\t' {
			return uint32(at) //nolint:gosec // a message is far below 4 GiB
		}
	}
	return m.Head
}

// eol is the line end of a message, as its start line has it.
func eol(m *sip.Message) string {
	if n := bytes.IndexByte(m.Raw, '\n'); n > 0 && m.Raw[n-1] != '\r' {
		return "\n"
	}
	return "\r\n"
}

func (e *editor) startLine() {
	m := e.m
	if !m.Request {
		return
	}
	from, to := m.URI.Off, m.URI.Off+m.URI.Len
	s := e.s
	invite := s
	if (s.method == "CANCEL" || s.byLayer) && s.asked >= 0 {
		invite = &e.steps[s.asked]
	}
	switch {
	case invite.local >= 0 && !invite.keepsURI:
		e.putDialog(from, to, opURI, invite.local, inURI)
	case e.in != nil && bytes.Equal(m.URI.Of(m.Raw), e.in.URI.Of(e.in.Raw)):
		e.put(from, to, opCopyURI, 0)
	default:
		e.scan(from, to, inURI)
	}
}

// putDialog puts in what the live dialog decides, and what stands there without one: the recorded text with its addresses
// replaced.
func (e *editor) putDialog(from, to uint32, o op, dialog int32, flags scanFlag) {
	n := len(e.s.edits)
	e.scan(from, to, flags)
	other := slices.Clone(e.s.edits[n:])
	e.s.edits = append(e.s.edits[:n], edit{from: from, to: to, op: o, arg: dialog, other: other})
}

// set does a --set for a header; it reports false when there is none.
func (e *editor) set(h int) bool {
	hd := &e.m.Headers[h]
	name := strings.ToLower(string(hd.Name.Of(e.m.Raw)))
	if hd.ID != sip.HeaderOther {
		name = strings.ToLower(hd.ID.String())
	}
	n := e.wanted(name)
	if n == nil {
		return false
	}
	if n.remove || e.hadSet[name] {
		e.putText(hd.Name.Off, lineEnd(e.m, h), "")
	} else {
		e.putTemplate(hd.Value.Off, hd.Value.Off+hd.Value.Len, n.value)
	}
	e.hadSet[name] = true
	return true
}

// wanted finds the last --set for a header of the message.
func (e *editor) wanted(name string) *set {
	for i := len(e.o.Rewrite.sets) - 1; i >= 0; i-- {
		n := &e.o.Rewrite.sets[i]
		if n.applies(e.s) && strings.EqualFold(n.key(), name) {
			return n
		}
	}
	return nil
}

// key is the name that a set is known by: of a known header its canonical one.
func (n *set) key() string {
	if n.id != sip.HeaderOther {
		return n.id.String()
	}
	return n.name
}

func (n *set) applies(s *step) bool {
	if n.status > 0 {
		return !s.request && s.status == n.status
	}
	return s.request && (n.method == "" || n.method == s.method)
}

// header finds the places of a header.
func (e *editor) header(h int) {
	hd := &e.m.Headers[h]
	from, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	switch hd.ID {
	case sip.HeaderVia:
		e.via(h)
	case sip.HeaderCallID:
		e.put(from, to, opToken, e.s.call)
	case sip.HeaderCSeq:
		e.cseq(from, to)
	case sip.HeaderFrom, sip.HeaderTo:
		e.party(h)
	case sip.HeaderRoute:
		e.route(h)
	case sip.HeaderRecordRoute:
		e.recordRoute(h)
	case sip.HeaderContact:
		e.contact(h)
	case sip.HeaderMaxForwards:
		e.maxForwards(from, to)
	case sip.HeaderContentLength:
		wrong := int64(0) // what is wrong about it stays, where a receiver finds the end of the body without it
		if n := e.m.ContentLength; n >= 0 {
			wrong = n - int64(len(e.m.Raw)-int(e.m.Head))
		}
		e.put(from, to, opLength, int32(max(min(wrong, 1<<30), -1<<30)))
	case sip.HeaderAuthorization, sip.HeaderProxyAuthorization:
		e.credentials(h)
	case sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate:
		e.challenge(h)
	case sip.HeaderAuthenticationInfo, sip.HeaderProxyAuthenticationInfo:
		e.info(h)
	default:
		e.other(h)
	}
}

// other is a header that most messages send as it is.
func (e *editor) other(h int) {
	hd := &e.m.Headers[h]
	from, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	if e.passedOn(h) {
		e.put(from, to, opHeader, int32(hd.ID))
		return
	}
	switch hd.ID {
	case sip.HeaderIdentity, sip.HeaderIdentityInfo:
		e.identity(h)
	case sip.HeaderRAck:
		e.rack(from, to)
	case sip.HeaderSIPIfMatch:
		e.known(tokenETag, from, to)
	case sip.HeaderEvent:
		e.event(from, to)
	case sip.HeaderDate:
		if e.in == nil && e.s.ask < 0 {
			e.put(from, to, opDate, 0)
		}
	case sip.HeaderExpires, sip.HeaderSessionExpires:
		e.expires(h)
	case sip.HeaderReferTo, sip.HeaderReferredBy, sip.HeaderPAssertedIdentity, sip.HeaderPPreferredIdentity, sip.HeaderPath,
		sip.HeaderServiceRoute:
		e.scan(from, to, inNames)
	case sip.HeaderUserAgent, sip.HeaderServer, sip.HeaderSubject, sip.HeaderOrganization, sip.HeaderAllow,
		sip.HeaderSupported, sip.HeaderRequire, sip.HeaderAccept, sip.HeaderContentType, sip.HeaderTimestamp:
	default:
		e.scan(from, to, 0)
	}
}

// passedOn reports whether a header, the only one of its id, is forwarded as it came.
func (e *editor) passedOn(h int) bool {
	id := e.m.Headers[h].ID
	return e.in != nil && id != sip.HeaderOther && same(e.m, e.in, id) && nextHeader(e.m, id, h+1) < 0 &&
		nextHeader(e.m, id, 0) == h
}

// known puts a token in the place of its recorded value, when there is one.
func (e *editor) known(kind tokenKind, from, to uint32) {
	if t, ok := e.ids[tokenKey{kind, 0, string(e.m.Raw[from:to])}]; ok {
		e.put(from, to, opToken, t)
	}
}

// identity is a signature, which nobody but its signer can make.
func (e *editor) identity(h int) {
	const text = "Identity (RFC 8224) is left out: nobody but its signer can make it"
	e.note(text)
	e.putText(e.m.Headers[h].Name.Off, lineEnd(e.m, h), "")
}

// note adds a note to every outcome, once.
func (c *compiler) note(text string) {
	if !slices.Contains(c.notes, text) && len(c.notes) < maxNotes/2 {
		c.notes = append(c.notes, text)
	}
}

// cseq is the number of CSeq; the method stays.
func (e *editor) cseq(from, to uint32) {
	end := from
	for end < to && e.m.Raw[end] >= '0' && e.m.Raw[end] <= '9' {
		end++
	}
	s := e.s
	switch {
	case !s.request:
		e.put(from, end, opCSeqAnswer, 0)
	case s.asked >= 0: // ACK, CANCEL
		e.put(from, end, opCSeqOf, s.asked)
	default:
		e.put(from, end, opCSeq, int32(e.m.CSeq&0x7fffffff))
	}
}

// party is From or To.
func (e *editor) party(h int) {
	hd := &e.m.Headers[h]
	if nextHeader(e.m, hd.ID, 0) != h {
		return // a second one means nothing
	}
	from, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	a, t := &e.m.From, e.s.fromTag
	if hd.ID == sip.HeaderTo {
		a, t = &e.m.To, e.s.toTag
	}
	answers := e.req != nil && hd.ID == sip.HeaderFrom && same(e.m, &e.req.msg, sip.HeaderFrom)
	switch {
	case answers:
		e.put(from, to, opFrom, 0)
	case e.in != nil && same(e.m, e.in, hd.ID):
		e.put(from, to, opHeader, int32(hd.ID))
	case hd.ID == sip.HeaderTo && e.sameTo():
		e.put(from, to, opTo, t)
	case a.Tag.Empty() || a.Tag.Off < from || a.Tag.Off+a.Tag.Len > to || t < 0:
		e.scan(from, to, 0)
	default:
		e.tagged(h, a.Tag, t)
	}
}

// tagged is From or To with a tag: within a dialog that of the live one.
func (e *editor) tagged(h int, tag sip.Span, t int32) {
	hd := &e.m.Headers[h]
	from, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	e.scan(from, tag.Off, 0)
	if o := opRemoteTag; e.s.local >= 0 && e.s.request {
		if hd.ID == sip.HeaderFrom {
			o = opLocalTag
		}
		e.put(tag.Off, tag.Off+tag.Len, o, e.s.local)
		e.s.edits[len(e.s.edits)-1].other = []edit{{from: tag.Off, to: tag.Off + tag.Len, op: opToken, arg: t}}
	} else {
		e.put(tag.Off, tag.Off+tag.Len, opToken, t)
	}
	e.scan(tag.Off+tag.Len, to, 0)
}

// sameTo reports whether To of the response is that of its request but for the tag, which stands at its end.
func (e *editor) sameTo() bool {
	if e.req == nil || e.in != nil {
		return false
	}
	own, ok := e.m.Value(sip.HeaderTo)
	asked, has := e.req.msg.Value(sip.HeaderTo)
	if !ok || !has {
		return false
	}
	if sameFolded(own, asked) {
		return true
	}
	rest, is := bytes.CutPrefix(own, asked)
	return is && e.req.msg.To.Tag.Empty() && string(rest) == ";tag="+string(e.m.To.Tag.Of(e.m.Raw))
}

// rack is "rseq cseq method" (RFC 3262 7.2).
func (e *editor) rack(from, to uint32) {
	raw := e.m.Raw
	skip := func(at uint32, blanks bool) uint32 {
		for at < to && (raw[at] <= ' ') == blanks {
			at++
		}
		return at
	}
	p := e.s.prack
	if p < 0 {
		return
	}
	end := skip(from, false)
	if t, ok := e.ids[tokenKey{tokenRSeq, p, string(raw[from:end])}]; ok {
		e.put(from, end, opToken, t)
	}
	if at := skip(end, true); e.steps[p].asked >= 0 {
		e.put(at, skip(at, false), opCSeqOf, e.steps[p].asked)
	}
}

// event is an Event whose id may be the CSeq of a REFER (RFC 3515 2.4.6).
func (e *editor) event(from, to uint32) {
	if e.s.refers < 0 {
		return
	}
	value := e.m.Raw[from:to]
	event, _ := sip.ParseEvent(value)
	if n := bytes.LastIndex(value, event.ID); len(event.ID) > 0 && n >= 0 {
		at := from + uint32(n)                                    //nolint:gosec // a message is far below 4 GiB
		e.put(at, at+uint32(len(event.ID)), opCSeqOf, e.s.refers) //nolint:gosec // likewise
	}
}

// expires is a time that the live side may find too short (RFC 3261 21.4.17, RFC 4028 6).
func (e *editor) expires(h int) {
	hd := &e.m.Headers[h]
	at, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	if !e.s.request || e.in != nil {
		return
	}
	end, n := at, int64(0)
	for end < to && e.m.Raw[end] >= '0' && e.m.Raw[end] <= '9' && n < 1<<30 {
		n = n*10 + int64(e.m.Raw[end]-'0')
		end++
	}
	if n == 0 || n >= 1<<30 {
		return
	}
	o := opAtLeast
	if hd.ID == sip.HeaderSessionExpires {
		o = opSession
	}
	e.put(at, end, o, int32(n))
}

func (e *editor) maxForwards(from, to uint32) {
	if e.in == nil || e.in.MaxForwards < 0 || e.m.MaxForwards < 0 || !e.s.request {
		return
	}
	e.put(from, to, opForwards, e.in.MaxForwards-e.m.MaxForwards)
}

// additions are headers that the live dialog may need though the recording has none.
func (e *editor) additions() {
	s, m := e.s, e.m
	at := e.after
	e.addSets(at)
	switch {
	case e.in != nil:
	case s.request:
		e.addToRequest(at)
	case !e.seen[seenRecordRoute] && e.req != nil && !e.req.msg.HasRecordRoute && s.status > 100 && s.status < 300 &&
		makesDialog(s.method):
		e.put(at, at, opRecordRoute, 0)
	}
	if _, has := m.Value(sip.HeaderContentLength); !has {
		e.put(at, at, opLengthLine, 0)
	}
}

// addSets adds the headers of --set that the message does not have.
func (e *editor) addSets(at uint32) {
	for i := range e.o.Rewrite.sets {
		n := &e.o.Rewrite.sets[i]
		key := strings.ToLower(n.key())
		if !n.always || n.remove || !n.applies(e.s) || e.hadSet[key] {
			continue
		}
		e.hadSet[key] = true
		line := append(template{{text: n.name + ": "}}, n.value...)
		e.putTemplate(at, at, append(line, templatePart{text: eol(e.m)}))
	}
}

func (e *editor) addToRequest(at uint32) {
	s := e.s
	if s.local >= 0 && !s.outside && !e.seen[seenRoute] {
		e.put(at, at, opRoutes, s.local)
	}
	if !e.seen[seenCredentials] && s.method != "ACK" && s.method != "CANCEL" {
		e.put(at, at, opCredentials, 0)
	}
	if _, has := e.m.Value(sip.HeaderMinSE); !has && (s.method == "INVITE" || s.method == "UPDATE") {
		e.put(at, at, opMinSE, 0)
	}
}
