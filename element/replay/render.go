package replay

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// source is what a message is made of besides the play.
type source struct {
	hop     transport.Hop    // where a request goes
	auth    []compose.Header // credentials of a request, Authentication-Info of a response
	req     *sip.Message     // of a response the live request
	reqFrom netip.AddrPort
	in      *sip.Message // what is forwarded
	inFrom  netip.AddrPort
	nonce   string // of a challenge
}

// render appends the message of a step as it is to be sent.
func (g *play) render(dst []byte, i int32, x *source) ([]byte, error) {
	s := &g.script.steps[i]
	raw := s.msg.Raw
	r := renderer{play: g, s: s, x: x}
	body := raw[s.msg.Head:]
	if s.body {
		g.body = r.write(g.body[:0], s.edits[s.head:], s.msg.Head, uint32(len(raw))) //nolint:gosec // a message is far below 4 GiB
		body = g.body
	}
	r.length = len(body)
	out := r.write(dst, s.edits[:s.head], 0, s.msg.Head)
	if r.err != nil {
		return dst, fmt.Errorf("step %d: %w", s.ID, r.err)
	}
	return append(out, body...), nil
}

// renderer writes one message.
type renderer struct {
	*play
	s      *step
	x      *source
	length int // of the body
	err    error
}

// write appends raw[from:to] with its edits done.
func (r *renderer) write(dst []byte, edits []edit, from, to uint32) []byte {
	raw := r.s.msg.Raw
	at := from
	for k := range edits {
		e := &edits[k]
		if e.from < at {
			continue // two edits of one place: the first one stands
		}
		dst = append(dst, raw[at:e.from]...)
		dst = r.edit(dst, e)
		at = e.to
	}
	return append(dst, raw[at:to]...)
}

// edit appends what stands at one place.
func (r *renderer) edit(dst []byte, e *edit) []byte {
	switch e.op {
	case opText:
		return append(dst, r.script.texts[e.arg]...)
	case opField:
		return r.script.fields[e.arg].append(dst, r.input)
	case opToken:
		if r.values[e.arg].n == 0 && !r.script.tokens[e.arg].ours {
			return r.write(dst, e.other, e.from, e.to)
		}
		if !e.escaped {
			return r.appendValue(dst, e.arg)
		}
		r.named = r.appendValue(r.named[:0], e.arg)
		return appendEscaped(dst, r.named)
	case opURI, opTransport, opSentBy, opRoutes, opLocalTag, opRemoteTag:
		return r.editHop(dst, e)
	case opCSeq, opCSeqOf, opForwards, opLength, opAtLeast, opSession:
		return r.editNumber(dst, e)
	case opCSeqAnswer, opFrom, opTo, opRecordRoute:
		return r.editAnswer(dst, e)
	case opCopyURI, opHeader, opLines, opSkipped, opVias, opBody:
		return r.editCopy(dst, e)
	case opMediaPort, opControlPort:
		return r.editMedia(dst, e)
	default:
		return r.editLine(dst, e)
	}
}

// recorded is what stands at the place in the recording.
func (r *renderer) recorded(dst []byte, e *edit) []byte {
	return append(dst, r.s.msg.Raw[e.from:e.to]...)
}

// editHop is what depends on where the message goes.
func (r *renderer) editHop(dst []byte, e *edit) []byte {
	switch e.op {
	case opTransport:
		return append(dst, r.x.hop.Proto.String()...)
	case opSentBy:
		return r.sentBy(dst)
	default:
	}
	l := r.legOf(e.arg)
	if l == nil {
		return r.write(dst, e.other, e.from, e.to)
	}
	switch e.op {
	case opLocalTag:
		return append(dst, l.LocalTag...)
	case opRemoteTag:
		return append(dst, l.RemoteTag...)
	default:
	}
	uri, routes := l.Path()
	if e.op == opURI {
		return append(dst, uri...)
	}
	for _, route := range routes {
		dst = append(append(append(dst, "Route: "...), route...), eol(&r.s.msg)...)
	}
	return dst
}

// sentBy is our own place, of a Via.
func (r *renderer) sentBy(dst []byte) []byte {
	own := r.script.hosts[r.s.from].addr
	if at, err := r.link.SentBy(r.x.hop); err == nil && at.Addr() == own.Addr() {
		own = at
	}
	return appendAddrPort(dst, own)
}

func appendAddrPort(dst []byte, at netip.AddrPort) []byte {
	dst = compose.AppendHost(dst, at.Addr())
	return strconv.AppendUint(append(dst, ':'), uint64(at.Port()), 10)
}

// editNumber is a number that is counted.
func (r *renderer) editNumber(dst []byte, e *edit) []byte {
	n := int64(e.arg)
	switch e.op {
	case opCSeq:
		n = max(n+int64(r.shift[r.s.dir]), 0)
	case opCSeqOf:
		n = int64(r.states[e.arg].cseq)
	case opForwards:
		if r.x.in == nil || r.x.in.MaxForwards < 0 {
			return r.recorded(dst, e)
		}
		n = max(int64(r.x.in.MaxForwards)-n, 0)
	case opLength:
		if n += int64(r.length); n < 0 || r.x.hop.Proto.Reliable() {
			n = int64(r.length)
		}
	case opAtLeast:
		n = max(n, r.minExpires)
	case opSession:
		n = max(n, r.minSE)
	default:
	}
	return strconv.AppendInt(dst, n, 10)
}

// editAnswer is what a response has of its request.
func (r *renderer) editAnswer(dst []byte, e *edit) []byte {
	m := r.x.req
	if m == nil {
		return r.recorded(dst, e)
	}
	switch e.op {
	case opCSeqAnswer:
		return strconv.AppendUint(dst, uint64(m.CSeq), 10)
	case opRecordRoute:
		return appendLines(dst, m, sip.HeaderRecordRoute, "Record-Route", eol(&r.s.msg))
	case opFrom:
		value, _ := m.Value(sip.HeaderFrom)
		return compose.AppendUnfolded(dst, value)
	default:
	}
	value, _ := m.Value(sip.HeaderTo)
	dst = compose.AppendUnfolded(dst, value)
	if e.arg >= 0 && m.To.Tag.Empty() {
		dst = r.appendValue(append(dst, ";tag="...), e.arg)
	}
	return dst
}

// appendLines appends all headers of an id.
func appendLines(dst []byte, m *sip.Message, id sip.HeaderID, name, end string) []byte {
	for value := range m.Values(id) {
		dst = append(append(dst, name...), ": "...)
		dst = append(compose.AppendUnfolded(dst, value), end...)
	}
	return dst
}

// editCopy is what we forward as it came.
func (r *renderer) editCopy(dst []byte, e *edit) []byte {
	if e.op == opVias {
		return r.vias(dst, e)
	}
	m := r.x.in
	if m == nil {
		return r.recorded(dst, e)
	}
	id := sip.HeaderID(e.arg) //nolint:gosec // one
	switch e.op {
	case opCopyURI:
		return append(dst, m.URI.Of(m.Raw)...)
	case opBody:
		return append(dst, m.Body.Of(m.Raw)...)
	case opHeader:
		value, ok := m.Value(id)
		if !ok {
			return r.recorded(dst, e)
		}
		return compose.AppendUnfolded(dst, value)
	case opSkipped:
		skip := e.arg
		for value := range m.List(sip.HeaderRoute) {
			if skip--; skip < 0 {
				dst = append(dst, "Route: "...)
				dst = append(compose.AppendUnfolded(dst, value), eol(&r.s.msg)...)
			}
		}
		return dst
	default:
		return appendLines(dst, m, id, id.String(), eol(&r.s.msg))
	}
}

// vias appends the lines of Via of the request that is answered or forwarded, the top one completed by where it came from
// (RFC 3261 18.2.1, RFC 3581 4), under the name that the recording has.
func (r *renderer) vias(dst []byte, e *edit) []byte {
	m, from := r.x.req, r.x.reqFrom
	if r.s.request {
		m, from = r.x.in, r.x.inFrom
	}
	if m == nil {
		return r.recorded(dst, e)
	}
	all, err := compose.Response(r.named[:0], m, from, &compose.Reply{Status: 200})
	if err != nil {
		r.err = err
		return dst
	}
	r.named = all
	h := &r.s.msg.Headers[e.arg]
	name := r.s.msg.Raw[h.Name.Off:h.Value.Off]
	const via = "Via: "
	_, rest, _ := bytes.Cut(all, []byte("\r\n"))
	for top := true; bytes.HasPrefix(rest, []byte(via)); top = false {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if top && r.s.viaChanged {
			line = append(returned(line), r.s.via...)
		}
		dst = append(append(append(dst, name...), line[len(via):]...), eol(&r.s.msg)...)
	}
	return dst
}

// editLine is a header that may be there or not.
func (r *renderer) editLine(dst []byte, e *edit) []byte {
	end := eol(&r.s.msg)
	switch e.op {
	case opCredentials, opInfo:
		for i := range r.x.auth {
			h := &r.x.auth[i]
			if e.op == opInfo && (h.ID == sip.HeaderProxyAuthenticationInfo) != (e.arg == 1) {
				continue
			}
			dst = append(append(append(append(dst, h.ID.String()...), ": "...), h.Value...), end...)
		}
	case opNonce:
		if r.x.nonce == "" {
			return r.recorded(dst, e)
		}
		dst = append(dst, r.x.nonce...)
	case opLengthLine:
		if r.x.hop.Proto.Reliable() || r.x.hop.Proto == 0 {
			dst = strconv.AppendInt(append(dst, "Content-Length: "...), int64(r.length), 10)
			dst = append(dst, end...)
		}
	case opMinSE:
		if r.minSE > 0 {
			dst = append(strconv.AppendInt(append(dst, "Min-SE: "...), r.minSE, 10), end...)
		}
	case opDate:
		dst = time.Unix(0, r.now).UTC().AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 GMT")
	default:
	}
	return dst
}

// appendEscaped appends a text as a value in the headers of a URI (RFC 3261 25.1 hvalue).
func appendEscaped(dst, b []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range b {
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9', bytes.IndexByte([]byte("-_.!~*'()[]/?:+$"), c) >= 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
