package flowtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// field is one header field.
type field struct{ name, value string }

// message is a SIP message before it is written: what the elements work on.
type message struct {
	method string // of the request, or of CSeq in a response
	uri    string
	status int // 0 for a request
	reason string

	vias        []string // top first, without the name
	maxForwards int      // -1 for none
	recordRoute []string // "<sip:10.0.1.1;lr>"
	route       []string
	strict      bool   // the Request-URI names the next hop, a strict router, not the target
	from, to    string // without tag
	fromTag     string
	toTag       string
	callID      string
	cseq        uint32
	contact     string
	fields      []field // the others, in order
	body        string
	bodyType    string

	over    []field // replaces what is written, or is added
	without []string
	lf      bool
	compact bool

	challenge *challenge // of a 401 or 407
}

func (m *message) clone() *message {
	c := *m
	c.vias, c.recordRoute, c.route = slices.Clone(m.vias), slices.Clone(m.recordRoute), slices.Clone(m.route)
	c.fields, c.over, c.without = slices.Clone(m.fields), slices.Clone(m.over), slices.Clone(m.without)
	return &c
}

// add appends a header field that has no place of its own in message.
func (m *message) add(name, value string) { m.fields = append(m.fields, field{name, value}) }

// field gives the value of a field that was added, or set by header.NAME.
func (m *message) field(name string) string {
	for _, list := range [][]field{m.over, m.fields} {
		for _, f := range list {
			if strings.EqualFold(f.name, name) {
				return f.value
			}
		}
	}
	return ""
}

// header lists all header fields in the order that they are written.
func (m *message) header() []field {
	var h []field
	each := func(name string, values ...string) {
		for _, v := range values {
			h = append(h, field{name, v})
		}
	}
	each("Via", m.vias...)
	if m.maxForwards >= 0 {
		each("Max-Forwards", strconv.Itoa(m.maxForwards))
	}
	each("Record-Route", m.recordRoute...)
	each("Route", m.route...)
	each("From", tagged(m.from, m.fromTag))
	each("To", tagged(m.to, m.toTag))
	each("Call-ID", m.callID)
	each("CSeq", fmt.Sprintf("%d %s", m.cseq, m.method))
	if m.contact != "" {
		each("Contact", m.contact)
	}
	h = append(h, m.fields...)
	if m.bodyType != "" {
		each("Content-Type", m.bodyType)
	}
	each("Content-Length", strconv.Itoa(len(m.body)))
	h = override(h, m.over)
	return slices.DeleteFunc(h, func(f field) bool {
		return slices.ContainsFunc(m.without, func(name string) bool { return strings.EqualFold(name, f.name) })
	})
}

// override replaces the fields of the same name by the new ones, or adds these before Content-Type and Content-Length.
func override(h, over []field) []field {
	for i, o := range over {
		at := slices.IndexFunc(h, func(f field) bool { return strings.EqualFold(f.name, o.name) })
		again := slices.ContainsFunc(over[:i], func(f field) bool { return strings.EqualFold(f.name, o.name) })
		if at >= 0 && !again {
			h = slices.DeleteFunc(h, func(f field) bool { return strings.EqualFold(f.name, o.name) })
		} else {
			at = slices.IndexFunc(h, func(f field) bool { return strings.HasPrefix(f.name, "Content-") })
			if at < 0 {
				at = len(h)
			}
		}
		h = slices.Insert(h, at, o)
	}
	return h
}

// text writes the message.
func (m *message) text() []byte {
	eol := "\r\n"
	if m.lf {
		eol = "\n"
	}
	var b strings.Builder
	if m.status == 0 {
		b.WriteString(m.method + " " + m.uri + " SIP/2.0" + eol)
	} else {
		b.WriteString("SIP/2.0 " + strconv.Itoa(m.status) + " " + m.reason + eol)
	}
	for _, f := range m.header() {
		name := f.name
		if m.compact {
			name = compactName(name)
		}
		b.WriteString(name + ": " + f.value + eol)
	}
	b.WriteString(eol + m.body)
	return []byte(b.String())
}

// compactName gives the one-letter form of a header name (RFC 3261 7.3.3, RFC 6665 8.2.1, RFC 3515 2.1).
func compactName(name string) string {
	switch name {
	case "Via":
		return "v"
	case "From":
		return "f"
	case "To":
		return "t"
	case "Call-ID":
		return "i"
	case "Contact":
		return "m"
	case "Content-Type":
		return "c"
	case "Content-Length":
		return "l"
	case "Supported":
		return "k"
	case "Subject":
		return "s"
	case "Event":
		return "o"
	case "Refer-To":
		return "r"
	}
	return name
}

func tagged(addr, tag string) string {
	if tag == "" {
		return addr
	}
	return addr + ";tag=" + tag
}

// nameAddr writes a name-addr (RFC 3261 20.10). A quote or backslash in the name is escaped, other bytes are not.
func nameAddr(display, uri string) string {
	if display == "" {
		return "<" + uri + ">"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(display) + `" <` + uri + ">"
}

// uriOf gives the URI in a name-addr or in the first of several.
func uriOf(addr string) string {
	if i := strings.LastIndexByte(addr, '"'); i >= 0 {
		addr = addr[i+1:]
	}
	if _, rest, ok := strings.Cut(addr, "<"); ok {
		uri, _, _ := strings.Cut(rest, ">")
		return uri
	}
	uri, _, _ := strings.Cut(addr, ";")
	return uri
}

// isLoose reports whether a URI of a route set has the lr parameter (RFC 3261 19.1.1).
func isLoose(addr string) bool {
	for p := range strings.SplitSeq(uriOf(addr), ";") {
		if p == "lr" {
			return true
		}
	}
	return false
}

// uriHostPort gives what stands between the user and the parameters of a URI.
func uriHostPort(uri string) string {
	_, rest, _ := strings.Cut(uri, ":")
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if i := strings.IndexAny(rest, ";?"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// at reports whether a URI names the host's own address.
func (h *host) at(uri string) bool {
	hp := uriHostPort(uri)
	return hp == h.hostPort() || hp == h.addr.String() || h.sentBy != "" && hp == h.sentBy
}

// ident makes an identifier of n hexadecimal digits, at most 64: the same parts always give the same one.
func ident(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:n]
}

// derive makes a number of 32 bits in the same way.
func derive(parts ...string) uint32 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
}
