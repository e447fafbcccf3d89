package replay

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sip"
)

// scanFlag says what may stand in a text.
type scanFlag uint8

const (
	inURI   scanFlag = 1 << iota // it is a URI
	inNames                      // names of hosts in it say where requests go, so those of Vias and Contacts are replaced
	inXML                        // markup: quotes of both kinds, entities
)

// scan finds tokens, users and addresses in raw[from:to]: words between what separates them, each looked up once, so that
// the cost is that of reading, whatever a capture says. Escaped separators (RFC 3261 19.1.2) separate too, as in the
// Replaces of a Refer-To.
func (c *compiler) scan(from, to uint32, flags scanFlag) {
	raw := c.s.msg.Raw
	escaped := false // within the headers of a URI
	for i := from; i < to; {
		if n := separator(raw[i:to], flags); n > 0 {
			switch raw[i] {
			case '?':
				escaped = true
			case '>', '"', ' ', '\r', '\n', ',':
				escaped = false
			}
			i += uint32(n) //nolint:gosec // 1 or 3
			continue
		}
		j := i + 1
		for j < to && separator(raw[j:to], flags) == 0 {
			j++
		}
		c.word(i, j, flags, escaped)
		i = j
	}
}

// separator is how long the separator is that b begins with; 0 for none.
func separator(b []byte, flags scanFlag) int {
	switch b[0] {
	case ' ', '\t', '\r', '\n', '"', '<', '>', ';', ',', '?', '&':
		return 1
	case '\'', '(', ')':
		if flags&inXML != 0 {
			return 1
		}
	case '%':
		if len(b) >= 3 && strings.IndexByte(" \"<>;,?&=", unhex(b[1])<<4|unhex(b[2])) >= 0 && unhex(b[1]) < 16 && unhex(b[2]) < 16 {
			return 3
		}
	}
	return 0
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	default:
		return 16
	}
}

// word edits one word.
func (c *compiler) word(from, to uint32, flags scanFlag, escaped bool) {
	raw := c.s.msg.Raw
	if c.lookUp(from, to, "", escaped) {
		return
	}
	b := raw[from:to]
	if n := bytes.IndexByte(b, '='); n >= 0 && n < len(b)-1 {
		name := strings.ToLower(string(b[:min(n, 32)]))
		from += uint32(n) + 1 //nolint:gosec // a message is far below 4 GiB
		if c.lookUp(from, to, name, escaped) {
			return
		}
		b = raw[from:to]
	} else if before := c.before(from); before != "" {
		if c.lookUp(from, to, before, escaped) {
			return
		}
	}
	if scheme, ok := schemeOf(b); ok {
		c.uri(from, from+uint32(scheme), to, flags) //nolint:gosec // a message is far below 4 GiB
		return
	}
	if flags&inURI == 0 && !c.aliasOf(from, to) {
		c.hostPort(from, to, flags&inNames, false)
	}
}

// before is the name of what stands behind an escaped or quoted "=": of `call-id="x"` and of "to-tag%3Dx".
func (c *compiler) before(at uint32) string {
	raw := c.s.msg.Raw
	end := int(at)
	switch {
	case end >= 3 && raw[end-3] == '%' && raw[end-2] == '3' && raw[end-1]|0x20 == 'd':
		end -= 3
	case end >= 2 && raw[end-2] == '=' && (raw[end-1] == '"' || raw[end-1] == '\''):
		end -= 2
	default:
		return ""
	}
	from := end
	for from > 0 && end-from < 32 && (from < 3 || raw[from-3] != '%') && inName(raw[from-1]) {
		from--
	}
	return strings.ToLower(string(raw[from:end]))
}

// inName reports whether a character is of a name such as to-tag.
func inName(c byte) bool { return c == '-' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// lookUp puts a token in the place of its recorded value. name says what stands there, "" that nothing does.
func (c *compiler) lookUp(from, to uint32, name string, escaped bool) bool {
	b := c.s.msg.Raw[from:to]
	if bytes.IndexByte(b, '%') >= 0 {
		b = sip.Unescape(b)
		escaped = true
	}
	t := none
	switch name {
	case "":
		t = c.byWord(string(b))
	case "tag", "to-tag", "from-tag", "local-tag", "remote-tag":
		t = c.tagNamed(string(b))
	case "call-id", "callid", "replaces", "join":
		if x, ok := c.ids[tokenKey{tokenCall, 0, string(b)}]; ok {
			t = x
		}
	default:
		t = c.byWord(string(b))
	}
	if t < 0 || c.tokens[t].kind == tokenContact && !escaped { // what stands there before the live side says its own: see uri
		return false
	}
	if c.tokens[t].kind == tokenCall {
		c.scope = t
	}
	c.s.edits = append(c.s.edits, edit{from: from, to: to, op: opToken, arg: t, escaped: escaped})
	return true
}

// byWord finds a long value, wherever it stands; of tags that of the Call-ID at hand.
func (c *compiler) byWord(s string) int32 {
	if len(s) < minWord {
		return none
	}
	all := c.words[s]
	if len(all) == 0 {
		return none
	}
	for _, scope := range [...]int32{c.scope, c.s.call} {
		if t, ok := c.ids[tokenKey{tokenTag, scope, s}]; ok {
			return t
		}
	}
	return all[0]
}

// tagNamed finds a tag, however short: that of the Call-ID that was read before it, of the message's own, of any.
func (c *compiler) tagNamed(s string) int32 {
	for _, scope := range [...]int32{c.scope, c.s.call} {
		if t, ok := c.ids[tokenKey{tokenTag, scope, s}]; ok {
			return t
		}
	}
	for _, t := range c.words[s] {
		if c.tokens[t].kind == tokenTag {
			return t
		}
	}
	return none
}

// schemeOf reports whether b begins with the scheme of a URI that has a user and a host, and how long it is with its colon.
func schemeOf(b []byte) (int, bool) {
	for _, scheme := range [...]string{"sip:", "sips:", "tel:", "pres:", "im:"} {
		if len(b) >= len(scheme) && strings.EqualFold(string(b[:len(scheme)]), scheme) {
			return len(scheme), true
		}
	}
	return 0, false
}

// uri edits a URI up to its parameters: raw[from:to], of which the scheme ends at rest.
func (c *compiler) uri(from, rest, to uint32, flags scanFlag) {
	raw := c.s.msg.Raw
	n := len(c.s.edits)
	c.plainURI(from, rest, to, flags)
	if t, ok := c.ids[tokenKey{tokenContact, 0, string(raw[from:to])}]; ok {
		other := slices.Clone(c.s.edits[n:]) // as long as the live side has not said its own
		c.s.edits = append(c.s.edits[:n], edit{from: from, to: to, op: opToken, arg: t, other: other})
	}
}

// plainURI edits the user and the host of a URI.
func (c *compiler) plainURI(from, rest, to uint32, flags scanFlag) {
	raw := c.s.msg.Raw
	host := rest
	if n := bytes.LastIndexByte(raw[rest:to], '@'); n >= 0 {
		host = rest + uint32(n) + 1 //nolint:gosec // a message is far below 4 GiB
		c.user(rest, host-1)
	} else if raw[from]|0x20 == 't' { // tel
		c.user(rest, to)
		return
	}
	if host < to {
		c.hostPort(host, to, flags&inNames, true)
	}
}

// user edits a user part, with a password behind it or not.
func (c *compiler) user(from, to uint32) {
	if len(c.o.Rewrite.users) == 0 {
		return
	}
	b := c.s.msg.Raw[from:to]
	if n := bytes.IndexByte(b, ':'); n >= 0 {
		b, to = b[:n], from+uint32(n) //nolint:gosec // a message is far below 4 GiB
	}
	t, ok := c.o.Rewrite.users[string(b)]
	if !ok {
		t, ok = c.o.Rewrite.users[string(sip.Unescape(b))]
	}
	if ok {
		c.putTemplate(from, to, t)
	}
}

// hostPort edits a host with or without a port: the address of a participant becomes that of who stands for it.
func (c *compiler) hostPort(from, to uint32, names scanFlag, uri bool) {
	b := c.s.msg.Raw[from:to]
	addr, port, hasPort, isAddr := parseHostPort(b)
	if uri && len(c.o.Rewrite.domains) > 0 {
		name := b
		if n := bytes.LastIndexByte(b, ':'); n >= 0 && hasPort {
			name = b[:n]
		}
		if t, ok := c.o.Rewrite.domains[strings.ToLower(string(name))]; ok {
			end := from + uint32(len(name)) //nolint:gosec // a message is far below 4 GiB
			if text, plain := t.plain(); plain && strings.Contains(text, ":") {
				end = to
			}
			c.putTemplate(from, end, t)
			return
		}
	}
	if !isAddr {
		if names != 0 && len(c.named) > 0 {
			if h, ok := c.named[strings.ToLower(string(b))]; ok && h >= 0 {
				c.putText(from, to, c.hosts[h].text)
			}
		}
		return
	}
	if text, ok := c.standIn(addr, port, hasPort, uri); ok {
		c.putText(from, to, text)
	}
}

// aliasOf edits address~port~protocol: where a proxy says that a request came from, in a parameter that it adds to a Contact.
func (c *compiler) aliasOf(from, to uint32) bool {
	host, rest, _ := strings.Cut(string(c.s.msg.Raw[from:to]), "~")
	digits, proto, ok := strings.Cut(rest, "~")
	addr, port, _, isAddr := parseHostPort([]byte(host + ":" + digits))
	if !ok || !isAddr {
		return false
	}
	text, ok := c.standIn(addr, port, true, false)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return false
	}
	c.putText(from, to, hostOnly(at.Addr())+"~"+strconv.Itoa(int(at.Port()))+"~"+proto)
	return true
}

// standIn is what stands for a recorded address.
func (c *compiler) standIn(addr netip.Addr, port uint16, hasPort, uri bool) (string, bool) {
	if hasPort {
		if text, ok := c.mapped[netip.AddrPortFrom(addr, port)]; ok {
			return text, true
		}
	}
	const plain = 5060
	if !hasPort {
		if text, ok := c.mapped[netip.AddrPortFrom(addr, plain)]; ok {
			if at, err := netip.ParseAddrPort(text); err == nil && (at.Port() == plain || !uri) {
				return hostOnly(at.Addr()), true
			}
			return text, true
		}
	}
	h, known := c.alone[addr]
	if !known || h < 0 || !c.hosts[h].addr.IsValid() {
		return "", false
	}
	text := hostOnly(c.hosts[h].addr.Addr())
	if hasPort {
		text += ":" + strconv.Itoa(int(port))
	}
	return text, true
}

// hostOnly is an address as a URI has it (RFC 3261 25.1).
func hostOnly(a netip.Addr) string {
	if a.Is6() {
		return "[" + a.String() + "]"
	}
	return a.String()
}

// parseHostPort reads an IP address, IPv6 in brackets, with or without a port. hasPort may be true for a name as well.
func parseHostPort(b []byte) (addr netip.Addr, port uint16, hasPort, ok bool) {
	if len(b) > 64 || len(b) < 2 {
		return addr, 0, false, false
	}
	host := b
	if n := bytes.LastIndexByte(b, ':'); n > 0 && (b[0] != '[' || b[n-1] == ']') {
		p, err := strconv.ParseUint(string(b[n+1:]), 10, 16)
		if err != nil {
			return addr, 0, false, false
		}
		host, port, hasPort = b[:n], uint16(p), true
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	} else if n == 0 || host[0] < '0' || host[0] > '9' {
		return addr, 0, hasPort, false
	}
	addr, err := netip.ParseAddr(string(host))
	return addr.Unmap().WithZone(""), port, hasPort, err == nil && addr.IsValid()
}
