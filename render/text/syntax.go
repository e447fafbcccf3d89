package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sipscope/decode/sip"
)

// Seg is a piece of a line in one style. Its text is clean: it has passed Clean, or CleanASCII.
type Seg struct {
	Text  string
	Style Color
}

// maxSegs bounds the pieces of a line: what comes after them is one plain piece. No line that a person reads has so
// many, and a header of 64 KiB may be all semicolons.
const maxSegs = 4096

// pen cuts lines into segments. Texts are cleaned as wholes and cut afterwards, so colours cannot change what is shown,
// and only at ASCII characters, so that no character is cut.
type pen struct {
	clean func(string) string
	segs  []Seg
	t     string // the clean text being cut
	from  int    // where the last segment begins in t, -1 when it is of another text
	at    int    // up to where t has been cut
}

func newPen(opts MessageOptions) pen {
	if opts.ASCII {
		return pen{clean: CleanASCII}
	}
	return pen{clean: Clean}
}

// begin starts a line.
func (p *pen) begin() { p.segs, p.t, p.from, p.at = p.segs[:0], "", -1, 0 }

// take goes on with another text of the line.
func (p *pen) take(s string) { p.t, p.from, p.at = p.clean(s), -1, 0 }

// put adds a text in one style.
func (p *pen) put(s string, st style) {
	p.take(s)
	p.to(len(p.t), st)
}

// to gives what was not cut yet, up to end, a style.
func (p *pen) to(end int, st style) {
	end = pastMarks(p.t, min(end, len(p.t)))
	if end <= p.at {
		return
	}
	n := len(p.segs)
	if n >= maxSegs {
		st = plain
	}
	if p.from >= 0 && p.segs[n-1].Style == st {
		p.segs[n-1].Text = p.t[p.from:end]
	} else {
		p.from = p.at
		p.segs = append(p.segs, Seg{p.t[p.at:end], st})
	}
	p.at = end
}

// rest leaves what was not cut plain.
func (p *pen) rest() { p.to(len(p.t), plain) }

// pastMarks moves a cut behind the combining marks that would begin the next piece.
func pastMarks(t string, i int) int {
	for i < len(t) && t[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRuneInString(t[i:])
		if !unicode.Is(unicode.M, r) {
			break
		}
		i += n
	}
	return i
}

// startLine cuts a request line or a status line (RFC 3261 7.1, 7.2).
func (p *pen) startLine() {
	t := p.t
	if rest, ok := strings.CutPrefix(t, "SIP/2.0 "); ok {
		if st := statusOf(rest); st != request {
			p.to(len(t)-len(rest), dim)
			p.to(len(t), st)
			return
		}
	}
	first, last := strings.IndexByte(t, ' '), strings.LastIndexByte(t, ' ')
	if first <= 0 || last <= first {
		p.to(len(t), request)
		return
	}
	p.to(first, method)
	p.to(first+1, plain)
	p.to(last, uri)
	p.to(last+1, plain)
	p.to(len(t), dim)
}

// statusOf is the style of a status line from its code on; request when there is no code.
func statusOf(s string) style {
	if len(s) < 3 || !digits(s[:3]) {
		return request
	}
	return responseStyle(uint16(s[0]-'0')*100 + uint16(s[1]-'0')*10 + uint16(s[2]-'0'))
}

// grammar says how the value of a header field is cut.
type grammar uint8

const (
	grammarParams  grammar = iota // words and parameters
	grammarText                   // words for people
	grammarAddress                // name-addr or addr-spec with parameters (RFC 3261 20.10)
	grammarVia                    // RFC 3261 20.42
	grammarID                     // all of it tells apart
	grammarDialog                 // a Call-ID with parameters (RFC 3891)
	grammarMethods                // numbers and methods: CSeq, RAck, Allow
	grammarAuth                   // scheme and parameters with commas (RFC 3261 20.44)
)

func grammarOf(id sip.HeaderID) grammar {
	switch id {
	case sip.HeaderFrom, sip.HeaderTo, sip.HeaderContact, sip.HeaderRoute, sip.HeaderRecordRoute, sip.HeaderPath,
		sip.HeaderServiceRoute, sip.HeaderReferTo, sip.HeaderReferredBy, sip.HeaderReplyTo, sip.HeaderDiversion,
		sip.HeaderHistoryInfo, sip.HeaderPAssertedIdentity, sip.HeaderPPreferredIdentity, sip.HeaderPAssociatedURI,
		sip.HeaderPCalledPartyID, sip.HeaderPServedUser, sip.HeaderRemotePartyID, sip.HeaderAlertInfo, sip.HeaderCallInfo,
		sip.HeaderErrorInfo:
		return grammarAddress
	case sip.HeaderVia:
		return grammarVia
	case sip.HeaderCallID, sip.HeaderInReplyTo, sip.HeaderSIPETag, sip.HeaderSIPIfMatch:
		return grammarID
	case sip.HeaderReplaces, sip.HeaderTargetDialog, sip.HeaderJoin, sip.HeaderSessionID:
		return grammarDialog
	case sip.HeaderCSeq, sip.HeaderRAck, sip.HeaderAllow:
		return grammarMethods
	case sip.HeaderAuthorization, sip.HeaderProxyAuthorization, sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate,
		sip.HeaderAuthenticationInfo, sip.HeaderProxyAuthenticationInfo:
		return grammarAuth
	case sip.HeaderSubject, sip.HeaderUserAgent, sip.HeaderServer, sip.HeaderOrganization, sip.HeaderDate,
		sip.HeaderIdentity, sip.HeaderUserToUser, sip.HeaderGeolocation:
		return grammarText
	default:
		return grammarParams
	}
}

// value cuts a header field's value, from where the text was cut so far.
func (p *pen) value(g grammar) {
	i := p.blanks(p.at)
	p.to(i, plain)
	switch g {
	case grammarText:
	case grammarID:
		p.to(len(p.t), identity)
	case grammarMethods:
		p.words(i, method)
	case grammarAuth:
		j := p.until(i, " \t=,")
		if p.blanks(j) < len(p.t) && p.t[p.blanks(j)] != '=' { // a scheme, not a folded line that goes on with parameters
			p.to(j, method)
			i = j
		}
		for i < len(p.t) {
			i = p.param(i)
		}
	default:
		p.list(i, g)
	}
	p.rest()
}

// words gives numbers their style and other words one.
func (p *pen) words(i int, st style) {
	for i < len(p.t) {
		j := p.until(i, " \t,")
		p.word(i, j, st)
		i = max(j, i+1)
	}
}

// word gives t[i:j] a style, or that of a number.
func (p *pen) word(i, j int, st style) {
	if j <= i {
		return
	}
	if digits(p.t[i:j]) {
		st = number
	}
	p.to(i, plain)
	p.to(j, st)
}

// list cuts values with parameters, which commas part.
func (p *pen) list(i int, g grammar) {
	slashes := 0
	for t := p.t; i < len(t); {
		switch c := t[i]; c {
		case '"':
			i = quoteEnd(t, i)
		case '<':
			j := p.until(i, ">")
			p.to(i+1, plain)
			p.to(j, uri)
			i = max(j, i+1)
		case ';':
			i = p.param(i)
		case ' ', '\t', ',', '>':
			if i++; c == ',' {
				slashes = 0
			}
		default:
			j := max(p.until(i, " \t;,<\""), i+1)
			p.word(i, j, wordStyle(g, t[i:j], slashes))
			slashes += strings.Count(t[i:j], "/")
			i = j
		}
	}
}

// wordStyle is what a word outside quotes and brackets is. slashes is how many slashes of a Via came before.
func wordStyle(g grammar, word string, slashes int) style {
	switch {
	case g == grammarAddress && strings.Contains(word, ":"), g == grammarVia && slashes >= 2:
		return uri
	case g == grammarDialog:
		return identity
	}
	return plain
}

// param cuts a parameter and the separator before it, and gives where it ends: behind i in any case.
func (p *pen) param(i int) int {
	t := p.t
	if i < len(t) && strings.IndexByte(";, \t", t[i]) >= 0 {
		i++
	}
	i = p.blanks(i)
	p.to(i, plain)
	j := p.until(i, "=;, \t\"<>")
	name := t[i:j]
	p.to(j, parameter)
	k := p.blanks(j)
	if k >= len(t) || t[k] != '=' {
		return max(j, min(i+1, len(t)))
	}
	k = p.blanks(k + 1)
	p.to(k, plain)
	var end int
	if k < len(t) && t[k] == '"' {
		end = quoteEnd(t, k)
	} else {
		end = p.until(k, ";, \t")
	}
	p.to(end, valueStyle(name, t[k:end]))
	return max(end, i+1)
}

// valueStyle is what a parameter's value is.
func valueStyle(name, value string) style {
	for _, id := range [...]string{"tag", "branch", "to-tag", "from-tag", "local-tag", "remote-tag", "icid-value", "remote"} {
		if len(name) == len(id) && strings.EqualFold(name, id) {
			return identity
		}
	}
	switch {
	case digits(value):
		return number
	case strings.EqualFold(name, "uri"):
		return uri
	}
	return plain
}

// sdpLine cuts a line of a session description (RFC 8866 5): "m=audio 49170 RTP/AVP 0 101".
func (p *pen) sdpLine() {
	t := p.t
	i := min(p.at+2, len(t))
	letter := t[p.at]
	p.to(i, bodyName)
	switch letter {
	case 'u':
		p.to(len(t), uri)
	case 'a', 'b', 'k':
		j := p.until(i, ":")
		p.to(j, parameter)
		p.sdpWords(j)
	case 'm', 'o', 'c', 't', 'r', 'z':
		p.sdpWords(i)
	}
	p.rest()
}

// sdpWords marks numbers and the addresses that follow "IP4" or "IP6".
func (p *pen) sdpWords(i int) {
	address := false
	for i < len(p.t) {
		j := p.until(i, " /:;=,")
		switch word := p.t[i:j]; {
		case address && word != "":
			j = p.until(i, " /")
			p.to(i, plain)
			p.to(j, uri)
			address = false
		default:
			address = word == "IP4" || word == "IP6" || address && word == ""
			p.word(i, j, plain)
		}
		i = j + 1
	}
}

// blanks is where the blanks from i on end.
func (p *pen) blanks(i int) int {
	for i < len(p.t) && (p.t[i] == ' ' || p.t[i] == '\t') {
		i++
	}
	return i
}

// until is where one of the characters is, from i on; the end when none is.
func (p *pen) until(i int, chars string) int {
	if i >= len(p.t) {
		return len(p.t)
	}
	if j := strings.IndexAny(p.t[i:], chars); j >= 0 {
		return i + j
	}
	return len(p.t)
}

// quoteEnd is where the quoted string that begins at i ends, behind its quote (RFC 3261 25.1).
func quoteEnd(t string, i int) int {
	for i++; i < len(t); i++ {
		switch t[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(t)
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
