package redact

import (
	"bytes"
	"net/netip"
	"strconv"

	"sipscope/decode/sip"
)

// writer rewrites texts: it goes through one from left to right, passes what is technical and replaces the rest. When it
// learns it does the same, notes each name and writes nothing of use: what is redacted later was learnt before.
type writer struct {
	r     *Redactor
	learn bool
	depth int // of messages and URIs within others

	raw []byte // what is rewritten
	pos int    // of raw, what was done
	out []byte

	msg      sip.Message
	one, two sip.Message   // a header of msg alone, and a value of it alone
	via      [1]sip.Header // of two
	body     []byte
	lower    []byte
}

// begin starts on a text.
func (w *writer) begin(raw []byte) { w.raw, w.pos, w.out = raw, 0, w.out[:0] }

// name gives the pseudonym of a name, or notes it.
func (w *writer) name(kind Kind, text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if w.learn {
		w.r.learnName(kind, text)
		return ""
	}
	return w.r.lookup(kind, text)
}

// pass copies up to to.
func (w *writer) pass(to int) {
	if to > w.pos {
		w.out = append(w.out, w.raw[w.pos:to]...)
		w.pos = to
	}
}

// put replaces what stands up to to.
func (w *writer) put(kind Kind, to int) {
	if to > w.pos {
		w.out = append(w.out, w.name(kind, w.raw[w.pos:to])...)
		w.pos = to
	}
}

// off is where a part of raw stands in it. Parsers give parts as slices; what remains of the capacity tells.
func (w *writer) off(part []byte) int { return cap(w.raw) - cap(part) }

// gap passes what stands between values up to to: marks, blanks, SIP's words and, as far as digits says, numbers of that
// length. Any other word, such as the rubbish between a name and its URI, is replaced.
func (w *writer) gap(to, digits int) {
	for w.pos < to {
		i := w.pos
		for i < to && !isWordByte(w.raw[i]) {
			i++
		}
		w.pass(i)
		for i < to && isWordByte(w.raw[i]) {
			i++
		}
		w.word(i, digits)
	}
}

func (w *writer) word(to, digits int) {
	if w.pos < to && technical(w.raw[w.pos:to], digits) {
		w.pass(to)
	}
	w.put(Text, to)
}

// tokens is gap for a whole value: quoted strings and comments are replaced as one, unless they are technical.
func (w *writer) tokens(to, digits int) {
	for w.pos < to {
		i := w.pos
		for i < to && !isWordByte(w.raw[i]) && w.raw[i] != '"' && w.raw[i] != '(' {
			i++
		}
		w.pass(i)
		if i < to && !isWordByte(w.raw[i]) {
			end := closing(w.raw[:to], i)
			w.pass(i + 1)
			w.word(end, digits)
			w.pass(min(end+1, to))
			continue
		}
		for i < to && isWordByte(w.raw[i]) {
			i++
		}
		w.word(i, digits)
	}
}

// closing finds the end of the quoted string or comment that begins at i (RFC 3261 25.1), len(b) when it has none.
func closing(b []byte, i int) int {
	end := byte('"')
	if b[i] == '(' {
		end = ')'
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case end:
			return i
		}
	}
	return len(b)
}

// span moves to a span and gives where it ends.
func (w *writer) span(s sip.Span) (to int) {
	w.gap(int(s.Off), 0)
	return int(s.Off + s.Len)
}

// part moves to a part that a parser gave as a slice, and gives where it ends.
func (w *writer) part(b []byte) (to int) {
	at := w.off(b)
	w.gap(at, 0)
	return at + len(b)
}

// host replaces a host: a name, an address, an IPv6 address in brackets.
func (w *writer) host(to int) {
	if to <= w.pos {
		return
	}
	end := to
	if w.raw[w.pos] == '[' {
		w.pass(w.pos + 1)
		if w.raw[to-1] == ']' {
			end--
		}
	}
	if end > w.pos {
		w.out = append(w.out, w.hostName(w.raw[w.pos:end])...)
		w.pos = end
	}
	w.pass(to)
}

// hostName gives the pseudonym of a name or an address without brackets. Names are compared without case, addresses by
// value, and what is spelled in another way gets a pseudonym that is, too.
func (w *writer) hostName(b []byte) string {
	for _, kind := range [...]Kind{address, Host, spelling} {
		if alias := w.r.names[kind][string(b)]; alias != "" && !w.learn {
			return alias
		}
	}
	if len(b) == 0 || unnamed(b) {
		return string(b)
	}
	if looksNumeric(b) {
		if a, err := netip.ParseAddr(string(b)); err == nil {
			return w.addressText(a, b)
		}
	}
	w.lower = append(w.lower[:0], b...)
	for i, c := range w.lower {
		w.lower[i] = lowerOf(c)
	}
	alias := w.name(Host, w.lower)
	if !bytes.Equal(w.lower, b) {
		alias = w.name(spelling, b)
	}
	return alias
}

func (w *writer) addressText(a netip.Addr, b []byte) string {
	plain := a.WithZone("")
	if plain.IsUnspecified() { // it holds nobody's address; in SDP it means hold (RFC 2543 B.5)
		return string(b)
	}
	text := plain.AppendTo(nil)
	alias := w.name(address, text)
	if !bytes.Equal(text, b) {
		alias = w.name(spelling, b)
	}
	return alias
}

// unnamed tells the names that are nobody's: RFC 3323's anonymous.invalid.
func unnamed(b []byte) bool {
	return bytes.EqualFold(b, []byte("anonymous.invalid")) || bytes.EqualFold(b, []byte("anonymous"))
}

// looksNumeric reports whether b may be an IP address.
func looksNumeric(b []byte) bool {
	return bytes.IndexByte(b, ':') >= 0 || allDigits(b[:1]) && allDigits(b[len(b)-1:])
}

// port passes ": 5060" after a host.
func (w *writer) port(to int) {
	i := w.pos
	for i < to && (w.raw[i] == ' ' || w.raw[i] == '\t') {
		i++
	}
	if i == to || w.raw[i] != ':' {
		return
	}
	for i++; i < to && (w.raw[i] == ' ' || w.raw[i] == '\t'); i++ {
	}
	digits := 0
	for i < to && w.raw[i]-'0' < 10 {
		i++
		digits++
	}
	if digits <= 5 {
		w.pass(i)
	}
}

// user replaces a user part.
func (w *writer) user(to int) {
	if unnamed(w.raw[w.pos:to]) {
		w.pass(to)
	}
	w.put(User, to)
}

// display replaces a display name.
func (w *writer) display(to int) {
	if unnamed(w.raw[w.pos:to]) {
		w.pass(to)
	}
	w.put(Display, to)
}

// method replaces a method that is not registered. "?" is correlate's own word.
func (w *writer) method(to int) {
	if b := w.raw[w.pos:to]; sip.LookupMethod(b) != sip.MethodUnknown || string(b) == "?" {
		w.pass(to)
	}
	w.put(Method, to)
}

// phrase replaces a reason phrase that is not one of the usual.
func (w *writer) phrase(to int) {
	if listed(usualPhrases, w.raw[w.pos:to]) {
		w.pass(to)
	}
	w.put(Phrase, to)
}

// id replaces an opaque id; a number that is too short to tell anything stays.
func (w *writer) id(kind Kind, to int) {
	if b := w.raw[w.pos:to]; len(b) < leastNumber && allDigits(b) {
		w.pass(to)
	}
	w.put(kind, to)
}

// branch keeps the magic cookie (RFC 3261 8.1.1.7), whose absence means RFC 2543.
func (w *writer) branch(to int) {
	const cookie = "z9hG4bK"
	if b := w.raw[w.pos:to]; len(b) >= len(cookie) && bytes.EqualFold(b[:len(cookie)], []byte(cookie)) {
		w.pass(w.pos + len(cookie))
	}
	w.put(Branch, to)
}

// alone rewrites one text on its own.
func (w *writer) alone(text string, f func(to int)) string {
	w.begin([]byte(text))
	f(len(w.raw))
	w.gap(len(w.raw), 0)
	return string(w.out)
}

// named gives the pseudonym of one name of a kind, as it stands in messages.
func (w *writer) named(kind Kind, s string) string {
	if s == "" {
		return ""
	}
	return w.alone(s, func(to int) {
		switch kind {
		case User:
			w.user(to)
		case Display:
			w.display(to)
		case Host, address, spelling:
			w.host(to)
		case Agent:
			w.agent(to)
		case Method:
			w.method(to)
		case Phrase:
			w.phrase(to)
		case Branch:
			w.branch(to)
		case Realm, CallID, Tag, Password, Token, Text, HeaderName, ParamName, Number, Sequence:
			w.put(kind, to)
		default:
			w.put(Text, to)
		}
	})
}

// maxAgent is as much of a product as the statistics keep, so that both give one pseudonym.
const maxAgent = 128

// agent replaces a User-Agent or Server value.
func (w *writer) agent(to int) {
	if to > w.pos {
		b := w.raw[w.pos:to]
		b = bytes.ToValidUTF8(b[:min(len(b), maxAgent)], nil)
		if len(b) == 0 {
			b = []byte("?")
		}
		w.out = append(w.out, w.name(Agent, b)...)
		w.pos = to
	}
}

// count writes what stands for n bytes.
func (w *writer) count(what string, n int) {
	w.out = append(w.out, "redacted "...)
	w.out = append(w.out, what...)
	w.out = append(w.out, ", "...)
	w.out = strconv.AppendInt(w.out, int64(n), 10)
	w.out = append(w.out, " bytes"...)
}
