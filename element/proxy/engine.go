package proxy

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// engine is what the stateful and the stateless proxy share: where they are, and how a copy of a request is made.
type engine struct {
	cfg   Config
	keyed KeyedResolver // cfg.Resolver, when it is one
	self  self
	link  transport.Link
	stats Stats

	key       uint64 // of loopHash
	onceKey   uint64 // of onceHash
	flowKey   uint64 // of the seal of flows
	stateless bool

	plan  plan
	edit  compose.Edit
	reply compose.Reply
	out   []byte // the message that is being written
	text  []byte // a header value
	goals []goal
	vias  [][]byte  // next hops of cfg.Routes
	hosts []sip.URI // the same in their parts
}

// goal is one place to send a request to. Its texts point into a message, or are a Target's.
type goal struct {
	uri  []byte        // Request-URI; nil: the plan's
	via  []byte        // URI of the next hop when it is not the Request-URI's: of the static table or the outbound proxy
	path []string      // Route values to add
	hop  transport.Hop // given; Proto 0: to be found
	q    int
}

func (e *engine) init(cfg *Config) error {
	e.cfg = *cfg
	if err := e.cfg.check(); err != nil {
		return err
	}
	e.keyed, _ = e.cfg.Resolver.(KeyedResolver)
	e.self.init(&e.cfg)
	e.flowKey = e.cfg.Rand.Uint64()
	e.vias, e.hosts = make([][]byte, len(e.cfg.Routes)), make([]sip.URI, len(e.cfg.Routes))
	for i := range e.cfg.Routes {
		e.vias[i] = []byte(e.cfg.Routes[i].URI)
		e.hosts[i], _ = sip.ParseURI(e.vias[i])
	}
	return nil
}

// nextURI is the URI that says where a request for g goes next (RFC 3261 16.6 step 7).
func (e *engine) nextURI(g *goal) []byte {
	switch {
	case len(g.path) > 0:
		if a := sip.ParseAddress([]byte(g.path[0])); !a.URI.Empty() {
			return a.URI.Of([]byte(g.path[0]))
		}
		return nil
	case e.plan.next != nil:
		return e.plan.next
	case g.via != nil:
		return g.via
	case g.uri != nil:
		return g.uri
	default:
		return e.plan.uri
	}
}

// numeric is the hop of g, when no Resolver need be asked.
func (e *engine) numeric(g *goal) (transport.Hop, bool) {
	if g.hop.Proto != 0 {
		return g.hop, true
	}
	if g.uri == nil && g.via == nil && len(g.path) == 0 && e.plan.next == nil {
		return numericHop(&e.plan.u)
	}
	u, ok := sip.ParseURI(e.nextURI(g))
	if !ok {
		return transport.Hop{}, false
	}
	return numericHop(&u)
}

// largeMessage is the size, in bytes, above which a link may send over TCP what was meant for UDP (RFC 3261 18.1.1).
const largeMessage = 1000

// errClear says that a request to a sips URI would leave without TLS (RFC 3261 26.2.2, RFC 5630 3.1.3).
var errClear = errors.New("a sips request does not go in clear")

func isSIPS(uri []byte) bool { return len(uri) > 5 && equalFold(uri[:5], "sips:") }

// copyOf writes the copy of a request for one goal and one hop (RFC 3261 16.6 steps 1 to 9), which engine.plan was read
// of. own is the part of the branch that is not the loop hash. The copy is e.out.
func (e *engine) copyOf(r *transport.Received, g *goal, hop *transport.Hop, own uint64, breadth int) error {
	if !hop.Proto.Secure() && (isSIPS(r.Msg.URI.Of(r.Msg.Raw)) || isSIPS(g.uri)) {
		return errClear
	}
	hop.Local = nextAddr(&e.plan.out, hop)
	sentBy, err := e.link.SentBy(*hop)
	if err != nil {
		return err
	}
	e.self.learn(sentBy)
	m, ed := r.Msg, &e.edit
	ed.Reset(m)
	e.stamp(m, r.Hop.Remote)
	uri := e.plan.uri
	if g.uri != nil {
		uri = g.uri
	}
	e.routeOf(m, g, uri)
	ed.Set(sip.HeaderMaxForwards, strconv.Itoa(e.plan.forward))
	e.breadthOf(m, breadth)
	if e.cfg.Auth != nil {
		e.consume(m)
	}
	// without its way through this proxy a dialog with a WebSocket client ends with its first transaction
	if (e.cfg.RecordRoute || hasFlow(&r.Hop) || hasFlow(hop)) && recorded(m) {
		e.recordRoute(r, hop, sentBy, uri)
	}
	text := append(e.text[:0], "SIP/2.0/"...)
	text = append(append(text, hop.Proto.String()...), ' ')
	text = appendAddr(text, sentBy)
	text = appendBranch(append(text, ";branch="...), own, e.plan.loop)
	ed.PrependBytes(sip.HeaderVia, text)
	e.text = text
	if hop.Proto.Reliable() || len(m.Raw) > largeMessage {
		ed.Frame()
	}
	e.out, err = ed.Bytes(e.out[:0])
	return err
}

func appendAddr(dst []byte, a netip.AddrPort) []byte {
	dst = append(compose.AppendHost(dst, a.Addr()), ':')
	return strconv.AppendUint(dst, uint64(a.Port()), 10)
}

// routeOf writes Request-URI and Route (RFC 3261 16.4, 16.6 steps 2 and 6).
func (e *engine) routeOf(m *sip.Message, g *goal, uri []byte) {
	ed, pl := &e.edit, &e.plan
	if pl.last {
		removeLast(ed, m, sip.HeaderRoute) // first, as it works on the line as it was received
	}
	for range pl.drop {
		ed.RemoveFirst(sip.HeaderRoute)
	}
	for _, value := range slices.Backward(g.path) {
		ed.Prepend(sip.HeaderRoute, value)
	}
	if pl.next != nil && pl.strict && len(g.path) == 0 {
		// The neighbour is a strict router: its URI becomes the Request-URI, which is saved as the last Route value.
		e.text = append(append(append(e.text[:0], '<'), uri...), '>')
		ed.RemoveFirst(sip.HeaderRoute)
		ed.Append(sip.HeaderRoute, string(e.text))
		uri = pl.next
	}
	if pl.moved || g.uri != nil || pl.strict {
		ed.URIBytes(uri)
	}
}

// removeLast takes out the last value of the headers of that id.
func removeLast(ed *compose.Edit, m *sip.Message, id sip.HeaderID) {
	for i := len(m.Headers) - 1; i >= 0; i-- {
		h := &m.Headers[i]
		if h.ID != id {
			continue
		}
		value := h.Value.Of(m.Raw)
		if comma := lastComma(value); comma >= 0 {
			ed.Replace(i, string(value[:comma]))
			return
		}
		ed.Remove(i)
		return
	}
}

// lastComma finds the last comma outside quotes and angle brackets, -1 when there is none.
func lastComma(b []byte) int {
	last, quoted, inside := -1, false, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !inside:
			quoted = !quoted
		case quoted:
		case c == '<':
			inside = true
		case c == '>':
			inside = false
		case c == ',' && !inside:
			last = i
		}
	}
	return last
}

// breadthOf writes Max-Breadth, which every request that a proxy sends has (RFC 5393 5.3.3).
func (e *engine) breadthOf(m *sip.Message, breadth int) {
	if e.plan.bounded && breadth == e.plan.breadth {
		return
	}
	if m.MethodID == sip.MethodAck || m.MethodID == sip.MethodCancel {
		return // these go where their INVITE went
	}
	e.edit.Set(sip.HeaderMaxBreadth, strconv.Itoa(breadth))
}

// consume takes out the credentials that were for this proxy (RFC 3261 22.3).
func (e *engine) consume(m *sip.Message) {
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.ID != sip.HeaderProxyAuthorization {
			continue
		}
		if c, ok := sip.ParseCredentials(h.Value.Of(m.Raw)); ok && string(c.Realm) == e.cfg.Realm {
			e.edit.Remove(i)
		}
	}
}

// recorded reports whether a request may begin a dialog, so that the proxy stays in its path (RFC 3261 16.6 step 4). A
// request within a dialog has its route set already; but a NOTIFY makes one though it has both tags, when it comes from
// another fork or before the response (RFC 6665 4.3, 4.4.1).
func recorded(m *sip.Message) bool {
	if !m.To.Tag.Empty() && m.MethodID != sip.MethodNotify {
		return false
	}
	switch m.MethodID {
	case sip.MethodInvite, sip.MethodSubscribe, sip.MethodRefer, sip.MethodNotify, sip.MethodUnknown:
		return true
	default:
		return false
	}
}

// recordRoute adds the own URI, as the next hop sees it, and below it that of the side where the request came from when
// the two differ: the route set then leads through both (RFC 3261 16.7 step 8 as RFC 5658 improves it).
func (e *engine) recordRoute(r *transport.Received, hop *transport.Hop, sentBy netip.AddrPort, uri []byte) {
	secure := len(uri) > 4 && equalFold(uri[:5], "sips:")
	in := r.Hop.Local
	if !in.IsValid() || in.Addr().IsUnspecified() {
		back := transport.Hop{Proto: r.Hop.Proto, Remote: r.Hop.Remote}
		if a, err := e.link.SentBy(back); err == nil {
			in = a
		}
	}
	e.self.learn(in)
	differ := r.Hop.Proto != hop.Proto || unmap(in) != unmap(sentBy) || hasFlow(&r.Hop) || hasFlow(hop)
	if e.cfg.RecordHost == "" && in.IsValid() && differ {
		e.recordOne(r.Msg, &r.Hop, in, secure)
	}
	e.recordOne(r.Msg, hop, sentBy, secure)
}

// recordOne writes the Record-Route value of one side: the own end a, towards hop.
func (e *engine) recordOne(m *sip.Message, hop *transport.Hop, a netip.AddrPort, secure bool) {
	proto := hop.Proto
	text := append(e.text[:0], '<')
	if secure && proto.Secure() {
		text = append(text, "sips:"...)
	} else {
		text = append(text, "sip:"...)
	}
	if hasFlow(hop) {
		text = append(e.appendFlow(text, hop), '@')
	}
	if e.cfg.RecordHost != "" {
		text = append(text, e.cfg.RecordHost...)
	} else {
		text = appendAddr(text, a)
	}
	switch {
	case proto == transport.UDP, secure && proto == transport.TLS:
	default:
		text = append(append(text, ";transport="...), lowerProto(proto)...)
	}
	if !e.cfg.StrictRoute {
		text = append(text, ";lr"...)
	}
	text = append(e.appendSeal(text, m), '>')
	e.edit.PrependBytes(sip.HeaderRecordRoute, text)
	e.text = text
}

func lowerProto(p transport.Proto) string {
	switch p {
	case transport.TCP:
		return "tcp"
	case transport.TLS:
		return "tls"
	case transport.WS, transport.WSS: // RFC 7118 5.2.4: one parameter for both, the scheme tells
		return "ws"
	default:
		return "udp"
	}
}

// stamp completes the top Via of the received request for the copy (RFC 3261 18.2.1, RFC 3581 4).
func (e *engine) stamp(m *sip.Message, src netip.AddrPort) {
	raw, v := m.Raw, &m.Via
	if v.SentBy.Empty() || !src.IsValid() {
		return
	}
	same := sameHost(v.Host.Of(raw), src.Addr())
	if same && !v.HasRPort && v.Received.Empty() {
		return
	}
	text := append(e.text[:0], raw[viaStart(m):v.SentBy.Off+v.SentBy.Len]...)
	params := raw[v.SentBy.Off+v.SentBy.Len : viaEnd(m)]
	for len(params) > 0 {
		n := 1 + semicolon(params[1:])
		if !namedParam(params[:n], "received") && !namedParam(params[:n], "rport") {
			text = append(text, params[:n]...)
		}
		params = params[n:]
	}
	if !same || v.HasRPort {
		text = src.Addr().Unmap().WithZone("").AppendTo(append(text, ";received="...))
	}
	if v.HasRPort {
		text = strconv.AppendUint(append(text, ";rport="...), uint64(src.Port()), 10)
	}
	e.edit.ReplaceFirstBytes(sip.HeaderVia, text)
	e.text = text
}

// semicolon finds the next semicolon outside quotes, or the end.
func semicolon(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return i
		}
	}
	return len(b)
}

// namedParam reports whether a parameter, with its ";", has that name.
func namedParam(param []byte, name string) bool {
	param = bytes.TrimLeft(param, "; \t\r\n")
	if len(param) < len(name) || !equalFold(param[:len(name)], name) {
		return false
	}
	rest := bytes.TrimLeft(param[len(name):], " \t\r\n")
	return len(rest) == 0 || rest[0] == '='
}

// viaStart and viaEnd bound the top Via value.
func viaStart(m *sip.Message) int {
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.ID == sip.HeaderVia && h.Value.Off+h.Value.Len >= m.Via.SentBy.Off+m.Via.SentBy.Len && !h.Value.Empty() {
			at := int(h.Value.Off)
			for at < int(m.Via.SentBy.Off) && (m.Raw[at] == ',' || m.Raw[at] <= ' ') {
				at++
			}
			return at
		}
	}
	return int(m.Via.SentBy.Off)
}

func viaEnd(m *sip.Message) int {
	from := int(m.Via.SentBy.Off + m.Via.SentBy.Len)
	to := from
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.ID == sip.HeaderVia && int(h.Value.Off+h.Value.Len) >= from {
			to = int(h.Value.Off + h.Value.Len)
			break
		}
	}
	quoted := false
	for i := from; i < to; i++ {
		switch c := m.Raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return i
		}
	}
	return to
}

// sameHost reports whether a sent-by host is the address that a request came from.
func sameHost(host []byte, src netip.Addr) bool {
	addr, ok := parseAddr(host)
	return ok && addr.WithZone("") == src.Unmap().WithZone("")
}
