package ladder

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate/media/dtmf"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// fact is what the layout needs of a message's text: copied, so that the text need not stay.
type fact struct {
	read      bool // the text could be read again and parsed
	gone      bool // it could not be read again
	toTag     bool
	routes    int    // Record-Route values
	vias      uint16 // Via values
	reason    string // reason phrase
	viaHost   string // of the top Via
	user      string // of the Request-URI
	host      string // of the Request-URI
	contact   string // host of the first Contact
	fromTag   string
	sdp       string // summary
	media     []string
	beside    []besideLine // m= lines that are not RTP
	described bool         // there is a session description
	lanes     string       // media beside RTP: "T.38", "MSRP", "BFCP"
	notes     []string     // what the headers explain
}

// read parses every message once.
func (b *builder) read(text TextFunc) {
	b.facts = make([][]fact, len(b.calls))
	b.anyText = make([]bool, len(b.calls))
	b.acked = make([]map[ackKey]bool, len(b.calls))
	var m sip.Message
	for ci := range b.calls {
		b.acked[ci] = map[ackKey]bool{}
		b.facts[ci] = make([]fact, len(b.calls[ci].Messages))
		for mi := range b.calls[ci].Messages {
			msg := &b.calls[ci].Messages[mi]
			if msg.Status == 0 && msg.Method == sip.MethodAck.String() {
				b.acked[ci][ackKey{cseq: msg.CSeq}] = true
				b.acked[ci][ackKey{cseq: msg.CSeq, src: host(msg.Src), dst: host(msg.Dst)}] = true
			}
			if text == nil || msg.Repeats >= 0 && !b.opts.Unfold {
				continue // its original says it all
			}
			raw := text(ci, mi)
			if raw == nil {
				b.facts[ci][mi].gone = true
				continue
			}
			if sip.Parse(raw, &m) == nil {
				b.facts[ci][mi] = b.fact(&m)
				b.anyText[ci] = true
			}
		}
	}
}

func (b *builder) fact(m *sip.Message) fact {
	f := fact{
		read: true, toTag: !m.To.Tag.Empty(), vias: m.Vias,
		viaHost: clip(m.Via.Host.Of(m.Raw)), contact: clip(m.Contact.Host.Of(m.Raw)),
		fromTag: string(m.From.Tag.Of(m.Raw)),
	}
	if m.Request {
		uri := m.URI.Of(m.Raw)
		a := sip.ParseAddress(uri)
		f.user, f.host = clip(a.User.Of(uri)), clip(a.Host.Of(uri))
	} else {
		f.reason = clip(m.Reason.Of(m.Raw))
	}
	for i := range m.Headers {
		if h := &m.Headers[i]; h.ID == sip.HeaderRecordRoute {
			f.routes += bytes.Count(h.Value.Of(m.Raw), []byte{'<'}) // a name-addr each (RFC 3261 20.30)
		}
	}
	if body, ok := m.SDP(); ok {
		s, _ := sdp.Parse(body)
		f.sdp = clip(s.Summary())
		f.lanes, f.described, f.beside = lanes(&s), true, besideLines(&s)
		if b.opts.SDP {
			f.media = mediaLines(&s)
		}
	}
	f.notes = headerNotes(m)
	return f
}

// headerNotes says what the headers of a message explain: challenges, causes, targets.
func headerNotes(m *sip.Message) []string {
	var notes []string
	for i := range m.Headers {
		h := &m.Headers[i]
		value := h.Value.Of(m.Raw)
		var note string
		if m.Request {
			note = requestNote(m, h.ID, value)
		} else {
			note = responseNote(m, h.ID, value)
		}
		if note = clip(note); note != "" && len(notes) < maxHeaderNotes && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	if m.MethodID == sip.MethodNotify && m.Request {
		if line, ok := sipfrag(m); ok {
			notes = append(notes, "reports "+line)
		}
	}
	if p, ok := dtmf.FromMessage(m, 0, 0); ok {
		note := "DTMF " + p.Name()
		if p.Duration > 0 {
			note += " for " + Duration(p.Duration)
		}
		notes = append(notes, note)
	}
	return notes
}

// maxHeaderNotes bounds the margin of one message.
const maxHeaderNotes = 6

func requestNote(m *sip.Message, id sip.HeaderID, value []byte) string {
	switch id { //nolint:exhaustive // most headers explain nothing
	case sip.HeaderReason:
		return reasonNote(value)
	case sip.HeaderAuthorization, sip.HeaderProxyAuthorization:
		return credentialsNote(m, value)
	case sip.HeaderReferTo:
		return referNote(value)
	case sip.HeaderReplaces:
		if r, ok := sip.ParseReplaces(value); ok {
			return "replaces a dialog of call " + string(r.CallID)
		}
	case sip.HeaderEvent:
		name, _, _ := bytes.Cut(value, []byte{';'})
		return "event " + string(bytes.TrimSpace(name))
	case sip.HeaderSubscriptionState:
		s := sip.ParseSubscriptionState(value)
		if len(s.Reason) > 0 {
			return "subscription " + string(s.State) + " (" + string(s.Reason) + ")"
		}
		return "subscription " + string(s.State)
	case sip.HeaderContact, sip.HeaderExpires:
		return removalNote(m, id)
	}
	return ""
}

func credentialsNote(m *sip.Message, value []byte) string {
	if m.MethodID == sip.MethodAck || m.MethodID == sip.MethodCancel {
		return "" // they repeat the INVITE's (RFC 3261 22.1)
	}
	if user := authParam(value, "username"); user != "" {
		return "with credentials of " + user
	}
	return "with credentials"
}

func referNote(value []byte) string {
	r, ok := sip.ParseReferTo(value)
	switch {
	case !ok:
		return ""
	case bytes.Contains(bytes.ToLower(r.Headers), []byte("replaces")):
		return "refer to " + string(r.URI) + " (replaces a dialog)"
	default:
		return "refer to " + string(r.URI)
	}
}

// removalNote tells a REGISTER that removes bindings (RFC 3261 10.2.2).
func removalNote(m *sip.Message, id sip.HeaderID) string {
	switch {
	case m.MethodID != sip.MethodRegister:
		return ""
	case id == sip.HeaderContact && m.ContactStar:
		return "removes all bindings"
	case id == sip.HeaderExpires && m.Expires == 0 && !m.ContactStar:
		return "removes the binding"
	default:
		return ""
	}
}

func responseNote(m *sip.Message, id sip.HeaderID, value []byte) string {
	switch id { //nolint:exhaustive // most headers explain nothing
	case sip.HeaderReason:
		return reasonNote(value)
	case sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate:
		if realm := authParam(value, "realm"); realm != "" {
			return "challenge, realm " + strconv.Quote(realm)
		}
		return "challenge"
	case sip.HeaderWarning:
		return "warning " + string(value)
	case sip.HeaderContact:
		return contactNote(m)
	case sip.HeaderRetryAfter:
		return "retry after " + string(value)
	case sip.HeaderMinExpires:
		return "at least " + string(value) + " s"
	case sip.HeaderUnsupported:
		return "unsupported: " + string(value)
	}
	return ""
}

// contactNote says where a redirection points and what a registrar keeps.
func contactNote(m *sip.Message) string {
	uri := string(m.Contact.URI.Of(m.Raw))
	switch {
	case uri == "":
		return ""
	case m.Status >= 300 && m.Status < 400:
		return "try " + uri
	case m.CSeqMethodID == sip.MethodRegister && m.Status >= 200 && m.Status < 300:
		if m.Contacts > 1 {
			return strconv.Itoa(int(m.Contacts)) + " bindings"
		}
		if v, ok := sip.Param(m.Contact.Params.Of(m.Raw), "expires"); ok && len(v) > 0 {
			return "binding for " + string(v) + " s"
		}
		return "1 binding"
	default:
		return ""
	}
}

// reasonNote writes a Reason header (RFC 3326): "Q.850 16 Normal call clearing".
func reasonNote(value []byte) string {
	var parts []string
	for len(value) > 0 && len(parts) < 3 {
		r, rest := sip.ParseReason(value)
		part := string(r.Protocol)
		if !strings.EqualFold(part, "Q.850") {
			part = "reason " + part
		}
		if r.Cause >= 0 {
			part += " " + strconv.FormatInt(r.Cause, 10)
		}
		if len(r.Text) > 0 {
			part += " " + string(r.Text)
		}
		if len(r.Protocol) > 0 {
			parts = append(parts, part)
		}
		if len(rest) >= len(value) {
			break
		}
		value = rest
	}
	return strings.Join(parts, ", ")
}

// authParam finds a parameter of a challenge or of credentials: scheme, then name=value pairs separated by commas
// (RFC 3261 25.1). Quotes are respected, so a comma in a realm does not end it.
func authParam(value []byte, name string) string {
	_, rest, _ := bytes.Cut(value, []byte{' '})
	for len(rest) > 0 {
		item := rest
		quoted := false
		for i, c := range rest {
			if c == '"' {
				quoted = !quoted
			}
			if c == ',' && !quoted {
				item = rest[:i]
				break
			}
		}
		rest = rest[min(len(rest), len(item)+1):]
		k, v, ok := bytes.Cut(item, []byte{'='})
		if ok && strings.EqualFold(string(bytes.TrimSpace(k)), name) {
			return string(bytes.Trim(bytes.TrimSpace(v), `"`))
		}
	}
	return ""
}

// sipfrag gives the start line that a NOTIFY of a REFER carries (RFC 3420, RFC 3515 2.4.5).
func sipfrag(m *sip.Message) (string, bool) {
	body := bytes.TrimLeft(m.Body.Of(m.Raw), "\r\n")
	if !bytes.HasPrefix(body, []byte("SIP/")) {
		return "", false
	}
	line, _, _ := bytes.Cut(body, []byte{'\n'})
	_, status, _ := bytes.Cut(bytes.TrimRight(line, "\r"), []byte{' '})
	return clip(status), true
}

// isIP reports whether a host is an address, with or without brackets.
func isIP(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}
