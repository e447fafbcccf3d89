package redact

import (
	"bytes"
	"strconv"

	"sipscope/decode/sip"
)

// class says how a header's value is rewritten.
type class uint8

const (
	classText      class = iota // replaced whole
	classAddresses              // a list of name-addr or addr-spec
	classAddress                // one
	classVia
	classCallIDs
	classDialog // Call-ID with tags: Replaces, Join, Target-Dialog
	classCredentials
	classAuthInfo // as credentials, without a scheme
	classSessionID
	classCSeq
	classRAck
	classLength
	classMethods
	classOptions // words and short numbers, with parameters
	classNumbers // words and numbers, with parameters
	classToken
	classWarning
	classAgent
)

// headerClasses has the classes of the headers; what is not here is replaced whole.
var headerClasses = map[sip.HeaderID]class{ //nolint:gochecknoglobals // read-only table
	sip.HeaderFrom: classAddress, sip.HeaderTo: classAddress,
	sip.HeaderContact: classAddresses, sip.HeaderRoute: classAddresses, sip.HeaderRecordRoute: classAddresses,
	sip.HeaderPath: classAddresses, sip.HeaderServiceRoute: classAddresses, sip.HeaderPAssertedIdentity: classAddresses,
	sip.HeaderPPreferredIdentity: classAddresses, sip.HeaderDiversion: classAddresses,
	sip.HeaderHistoryInfo: classAddresses, sip.HeaderReferTo: classAddress, sip.HeaderReferredBy: classAddress,
	sip.HeaderReplyTo: classAddress, sip.HeaderRemotePartyID: classAddresses, sip.HeaderPCalledPartyID: classAddress,
	sip.HeaderPAssociatedURI: classAddresses, sip.HeaderPServedUser: classAddress, sip.HeaderAlertInfo: classAddresses,
	sip.HeaderCallInfo: classAddresses, sip.HeaderErrorInfo: classAddresses, sip.HeaderGeolocation: classAddresses,
	sip.HeaderIdentityInfo: classAddress, sip.HeaderVia: classVia, sip.HeaderCallID: classCallIDs,
	sip.HeaderInReplyTo: classCallIDs, sip.HeaderReplaces: classDialog, sip.HeaderJoin: classDialog,
	sip.HeaderTargetDialog: classDialog, sip.HeaderAuthorization: classCredentials,
	sip.HeaderProxyAuthorization: classCredentials, sip.HeaderWWWAuthenticate: classCredentials,
	sip.HeaderProxyAuthenticate: classCredentials, sip.HeaderAuthenticationInfo: classAuthInfo,
	sip.HeaderProxyAuthenticationInfo: classAuthInfo, sip.HeaderSessionID: classSessionID, sip.HeaderCSeq: classCSeq,
	sip.HeaderRAck: classRAck, sip.HeaderContentLength: classLength, sip.HeaderAllow: classMethods,
	sip.HeaderSupported: classOptions, sip.HeaderRequire: classOptions, sip.HeaderProxyRequire: classOptions,
	sip.HeaderUnsupported: classOptions, sip.HeaderAccept: classOptions, sip.HeaderAcceptEncoding: classOptions,
	sip.HeaderAcceptLanguage: classOptions, sip.HeaderAllowEvents: classOptions, sip.HeaderEvent: classOptions,
	sip.HeaderSubscriptionState: classOptions, sip.HeaderContentType: classOptions,
	sip.HeaderContentDisposition: classOptions, sip.HeaderContentEncoding: classOptions,
	sip.HeaderContentLanguage: classOptions, sip.HeaderContentTransferEncoding: classOptions,
	sip.HeaderMIMEVersion: classOptions, sip.HeaderPrivacy: classOptions, sip.HeaderPriority: classOptions,
	sip.HeaderAnswerMode: classOptions, sip.HeaderPEarlyMedia: classOptions, sip.HeaderReferSub: classOptions,
	sip.HeaderRequestDisposition: classOptions, sip.HeaderRecvInfo: classOptions, sip.HeaderInfoPackage: classOptions,
	sip.HeaderGeolocationRouting: classOptions, sip.HeaderAcceptContact: classOptions,
	sip.HeaderRejectContact: classOptions, sip.HeaderFeatureCaps: classOptions, sip.HeaderSecurityClient: classOptions,
	sip.HeaderSecurityServer: classOptions, sip.HeaderSecurityVerify: classOptions, sip.HeaderReason: classOptions,
	sip.HeaderResourcePriority: classOptions, sip.HeaderAcceptResourcePriority: classOptions,
	sip.HeaderDate: classOptions, sip.HeaderExpires: classNumbers, sip.HeaderSessionExpires: classNumbers,
	sip.HeaderMinSE: classNumbers, sip.HeaderMinExpires: classNumbers, sip.HeaderMaxForwards: classNumbers,
	sip.HeaderMaxBreadth: classNumbers, sip.HeaderRSeq: classNumbers, sip.HeaderRetryAfter: classNumbers,
	sip.HeaderTimestamp: classNumbers, sip.HeaderFlowTimer: classNumbers, sip.HeaderSIPETag: classToken,
	sip.HeaderSIPIfMatch: classToken, sip.HeaderSuppressIfMatch: classToken, sip.HeaderWarning: classWarning,
	sip.HeaderUserAgent: classAgent, sip.HeaderServer: classAgent,
}

// classTable is headerClasses by id.
var classTable = func() (t [256]class) { //nolint:gochecknoglobals // read-only table
	for id, c := range headerClasses {
		t[id] = c
	}
	return t
}()

// header rewrites the value of the ith header of msg, which begins at pos. What it leaves is for gap.
func (w *writer) header(i int) {
	h := &w.msg.Headers[i]
	w.one.Raw, w.one.Headers = w.raw, w.msg.Headers[i:i+1]
	to := int(h.Value.Off + h.Value.Len)
	switch c := classTable[h.ID]; c {
	case classAddresses:
		for a := range w.one.Addresses(h.ID) {
			w.address(&a)
		}
	case classAddress:
		w.single(h)
	case classVia:
		w.vias()
	case classCallIDs:
		w.callIDs(h, to)
	case classMethods:
		for v := range w.one.List(h.ID) {
			w.method(w.part(v))
		}
	case classOptions:
		w.list(h.ID, 4)
	case classNumbers:
		w.list(h.ID, 10)
	default:
		w.value(c, to)
	}
}

// value rewrites a header that holds one value.
func (w *writer) value(c class, to int) {
	switch c {
	case classDialog:
		if r, ok := sip.ParseReplaces(w.raw[w.pos:to]); ok {
			w.put(CallID, w.part(r.CallID))
		}
		w.params(w.raw[w.pos:to])
	case classCredentials:
		w.credentials(to)
	case classAuthInfo:
		w.authParams(to)
	case classSessionID:
		w.sessionID(to)
	case classCSeq:
		w.cseq(to)
	case classRAck:
		w.rack(to)
	case classLength:
		w.numbers(to)
	case classToken:
		w.put(Token, to)
	case classWarning:
		w.warning(to)
	case classAgent:
		w.agent(to)
	default:
		w.put(Text, to)
	}
}

// single rewrites a header that holds one address; the parser has read the first From and To.
func (w *writer) single(h *sip.Header) {
	switch from := h.Value.Off; {
	case h.ID == sip.HeaderFrom && w.msg.From.URI.Len > 0 && inside(w.msg.From.URI, h.Value):
		w.address(&w.msg.From)
	case h.ID == sip.HeaderTo && w.msg.To.URI.Len > 0 && inside(w.msg.To.URI, h.Value):
		w.address(&w.msg.To)
	default:
		a := sip.ParseAddress(h.Value.Of(w.raw))
		for _, s := range [...]*sip.Span{&a.Display, &a.URI, &a.Params} {
			s.Off += from
		}
		w.address(&a)
	}
}

func inside(s, in sip.Span) bool { return s.Off >= in.Off && s.Off+s.Len <= in.Off+in.Len }

// address rewrites a name-addr or addr-spec with its parameters (RFC 3261 20.10).
func (w *writer) address(a *sip.Address) {
	if !a.Display.Empty() {
		w.display(w.span(a.Display))
	}
	if !a.URI.Empty() {
		w.uri(w.span(a.URI))
	}
	if !a.Params.Empty() {
		w.gap(int(a.Params.Off), 0)
		w.params(a.Params.Of(w.raw))
	}
}

// vias rewrites the values of a Via header one by one (RFC 3261 20.42).
func (w *writer) vias() {
	for b := range w.one.List(sip.HeaderVia) {
		at := w.off(b)
		w.gap(at, 0)
		w.via[0] = sip.Header{ID: sip.HeaderVia, Value: sip.Span{Off: uint32(at), Len: uint32(len(b))}} //nolint:gosec // a message
		w.two.Raw, w.two.Headers = w.raw, w.via[:]
		if v, ok := w.two.NthVia(0); ok && v.SentBy.Len > 0 {
			w.gap(int(v.Transport.Off+v.Transport.Len), 3)
			if v.Host.Len > 0 {
				w.host(w.span(v.Host))
				w.port(int(v.SentBy.Off + v.SentBy.Len))
			}
			w.gap(int(v.SentBy.Off+v.SentBy.Len), 0)
		}
		w.params(w.raw[w.pos : at+len(b)])
	}
}

func (w *writer) callIDs(h *sip.Header, to int) {
	if h.ID == sip.HeaderCallID {
		w.put(CallID, to)
		return
	}
	for v := range w.one.List(h.ID) {
		w.put(CallID, w.part(v))
	}
}

// list rewrites values of words and numbers, each with parameters.
func (w *writer) list(id sip.HeaderID, digits int) {
	for v := range w.one.List(id) {
		to := w.part(v)
		end := to
		if i := bytes.IndexByte(w.raw[w.pos:to], ';'); i >= 0 {
			end = w.pos + i
		}
		w.tokens(end, digits)
		w.params(w.raw[w.pos:to])
	}
}

// numbers passes a value of digits alone; digits beyond what any header has are cut.
func (w *writer) numbers(to int) {
	if b := w.raw[w.pos:to]; len(b) <= 10 && allDigits(b) {
		w.pass(to)
	} else if allDigits(b) {
		w.out = append(w.out, "99999999999"...)
		w.pos = to
	}
}

// cseq rewrites "1 INVITE" (RFC 3261 20.16).
func (w *writer) cseq(to int) {
	end := w.pos
	for end < to && w.raw[end]-'0' < 10 {
		end++
	}
	if end == w.pos {
		return
	}
	w.sequence(end)
	for end < to && isBlank(w.raw[end]) {
		end++
	}
	w.pass(end)
	w.method(to)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// sequence passes a CSeq number, unless it is somebody's telephone number as well.
func (w *writer) sequence(to int) {
	switch n := to - w.pos; {
	case n > 10:
		w.numbers(to)
	case n >= leastNumber:
		w.put(Sequence, to)
	default:
		w.pass(to)
	}
}

// rack rewrites "1 1 INVITE" (RFC 3262 7.2).
func (w *writer) rack(to int) {
	m := sip.ParseRAck(w.raw[w.pos:to]).Method
	if len(m) > 0 {
		for w.pos < w.off(m) {
			end := w.pos
			for end < to && w.raw[end]-'0' < 10 {
				end++
			}
			if end > w.pos {
				w.sequence(end)
			}
			w.gap(min(w.pos+1, to), 0)
		}
		w.method(w.off(m) + len(m))
	}
}

// sessionID rewrites "local;remote=r" (RFC 7989 5); the nil id stays.
func (w *writer) sessionID(to int) {
	if s, ok := sip.ParseSessionID(w.raw[w.pos:to]); ok {
		end := w.part(s.Local)
		if allZeros(s.Local) {
			w.pass(end)
		}
		w.put(Token, end)
		if len(s.Remote) > 0 && allZeros(s.Remote) {
			w.gap(w.off(s.Remote), 0)
			w.pass(w.off(s.Remote) + len(s.Remote))
		}
	}
	w.params(w.raw[w.pos:to])
}

func allZeros(b []byte) bool { return bytes.Count(b, []byte{'0'}) == len(b) }

// warning rewrites "370 host:5060 "text", ..." (RFC 3261 20.43).
func (w *writer) warning(to int) {
	rest := w.raw[w.pos:to]
	for len(rest) > 0 {
		var v sip.Warn
		v, rest = sip.ParseWarning(rest)
		if len(v.Agent) > 0 {
			at := w.off(v.Agent)
			w.gap(at, 3)
			w.agentHost(at + len(v.Agent))
		}
		if len(v.Text) > 0 {
			w.put(Text, w.part(v.Text))
		}
	}
}

// agentHost rewrites "host:port" or a pseudonym.
func (w *writer) agentHost(to int) {
	host := to
	if i := bytes.LastIndexByte(w.raw[w.pos:to], ':'); i > 0 && bytes.IndexByte(w.raw[w.pos:to], ']') < i &&
		bytes.IndexByte(w.raw[w.pos:to], ':') == i || i > 0 && w.raw[w.pos+i-1] == ']' {
		host = w.pos + i
	}
	w.host(host)
	w.port(to)
}

// startLine rewrites the request line or status line (RFC 3261 7.1, 7.2) of msg.
func (w *writer) startLine() {
	m := &w.msg
	if m.Request {
		w.method(w.span(m.Method))
		w.uri(w.span(m.URI))
		w.gap(int(m.Version.Off), 0)
		w.version(int(m.Version.Off + m.Version.Len))
		return
	}
	w.version(int(m.Version.Len))
	for w.pos < len(w.raw) && (w.raw[w.pos] == ' ' || w.raw[w.pos] == '\t') {
		w.pass(w.pos + 1)
	}
	end := w.pos
	for end < len(w.raw) && w.raw[end]-'0' < 10 {
		end++
	}
	if end-w.pos > 5 {
		w.out = strconv.AppendUint(w.out, uint64(m.Status), 10)
		w.pos = end
	}
	w.pass(end)
	w.phrase(w.span(m.Reason))
}

// version passes "SIP/2.0"; digits beyond what a version has are cut.
func (w *writer) version(to int) {
	if to-w.pos > len("SIP/2.0")+2 {
		w.out = append(w.out, "SIP/99.0"...)
		w.pos = to
	}
	w.pass(to)
}
