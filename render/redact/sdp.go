package redact

import (
	"bytes"
	"strings"
)

// sdp rewrites a session description (RFC 8866) up to to, line by line: what explains the negotiation stays, what names
// people, machines and keys does not. Lines that are none are replaced.
func (w *writer) sdp(to int) {
	for w.pos < to {
		next := to
		if i := bytes.IndexByte(w.raw[w.pos:to], '\n'); i >= 0 {
			next = w.pos + i + 1
		}
		end := next
		for end > w.pos && (w.raw[end-1] == '\n' || w.raw[end-1] == '\r' || w.raw[end-1] == 0 || isBlank(w.raw[end-1])) {
			end--
		}
		if end > w.pos {
			w.sdpLine(end)
		}
		w.pass(next)
	}
}

func (w *writer) sdpLine(to int) {
	kind := w.raw[w.pos]
	i := w.pos + 1
	for i < to && (w.raw[i] == ' ' || w.raw[i] == '\t') {
		i++
	}
	if i == to || w.raw[i] != '=' || kind-'a' >= 26 {
		w.put(Text, to)
		return
	}
	for i++; i < to && (w.raw[i] == ' ' || w.raw[i] == '\t'); i++ {
	}
	w.pass(i)
	w.sdpValue(kind, to)
}

func (w *writer) sdpValue(kind byte, to int) {
	switch kind {
	case 'o':
		w.origin(to)
	case 'c':
		w.connection(to)
	case 's':
		w.technicalOr(Text, to)
	case 'u':
		w.uri(to)
	case 'v', 'm':
		w.gap(to, 5)
	case 't', 'r', 'z', 'b':
		w.times(to)
	case 'a':
		w.attribute(to)
	case 'k':
		w.key(to)
	default:
		w.put(Text, to)
	}
}

// key rewrites "method:key" (RFC 4566 5.12).
func (w *writer) key(to int) {
	if i := bytes.IndexByte(w.raw[w.pos:to], ':'); i >= 0 {
		w.word(w.pos+i, 0)
		w.pass(w.pos + 1)
	}
	w.put(Token, to)
}

// technicalOr passes a value that is made of SIP's own words and replaces any other one whole.
func (w *writer) technicalOr(kind Kind, to int) {
	if technicalText(w.raw[w.pos:to]) {
		w.pass(to)
	}
	w.put(kind, to)
}

// field moves to the next word of a line and gives where it ends.
func (w *writer) field(to int) (end int) {
	for w.pos < to && (w.raw[w.pos] == ' ' || w.raw[w.pos] == '\t') {
		w.pass(w.pos + 1)
	}
	end = w.pos
	for end < to && w.raw[end] != ' ' && w.raw[end] != '\t' {
		end++
	}
	return end
}

// origin rewrites "user id version IN IP4 address" (RFC 8866 5.2).
func (w *writer) origin(to int) {
	end := w.field(to)
	if b := w.raw[w.pos:end]; len(b) == 1 && b[0] == '-' {
		w.pass(end)
	}
	w.put(User, end)
	w.id(Number, w.field(to))
	w.id(Number, w.field(to))
	w.connection(to)
}

// connection rewrites "IN IP4 address/ttl/count" (RFC 8866 5.7).
func (w *writer) connection(to int) {
	w.word(w.field(to), 0)
	w.word(w.field(to), 3)
	w.mediaHost(w.field(to))
	w.gap(to, 0)
}

// mediaHost replaces an address; a TTL and a count stay.
func (w *writer) mediaHost(to int) {
	end := to
	if i := bytes.IndexByte(w.raw[w.pos:to], '/'); i >= 0 {
		end = w.pos + i
	}
	w.host(end)
	w.gap(to, 3)
}

// times passes numbers with units, such as "0 0", "7d 1h", and "AS:64".
func (w *writer) times(to int) {
	for w.pos < to {
		end := w.field(to)
		digits := w.pos
		for digits < end && w.raw[digits]-'0' < 10 {
			digits++
		}
		if digits-w.pos <= 10 && end-digits <= 1 {
			w.pass(digits)
		}
		w.gap(end, 10)
	}
}

// attribute rewrites "name" or "name:value" (RFC 8866 5.13, 6).
func (w *writer) attribute(to int) {
	end := to
	if i := bytes.IndexByte(w.raw[w.pos:to], ':'); i >= 0 {
		end = w.pos + i
	}
	name := w.raw[w.pos:end]
	known := technical(name, 0)
	if known {
		w.pass(end)
	} else {
		w.put(ParamName, end)
	}
	if end == to {
		return
	}
	w.pass(end + 1)
	for w.pos < to && (w.raw[w.pos] == ' ' || w.raw[w.pos] == '\t') {
		w.pass(w.pos + 1)
	}
	if !known {
		w.put(Text, to)
		return
	}
	w.attributeValue(attributes[string(bytes.ToLower(name))], to)
}

// attributeKind says how the value of an attribute is rewritten.
type attributeKind uint8

const (
	attributeWords   attributeKind = iota // passes when it is all SIP's own words
	attributeNumbers                      // words and numbers pass
	attributeRTPMap
	attributeFormat
	attributeRTCP
	attributeCandidate
	attributeFingerprint
	attributeCrypto
	attributeSSRC
	attributeSSRCGroup
	attributeIDs
	attributeExtMap
)

// attributes has the attributes whose values are more than words (RFC 8866 6 and IANA's registry).
var attributes = makeAttributes() //nolint:gochecknoglobals // read-only table

func makeAttributes() map[string]attributeKind {
	t := map[string]attributeKind{
		"rtpmap": attributeRTPMap, "fmtp": attributeFormat, "rtcp": attributeRTCP, "candidate": attributeCandidate,
		"remote-candidates": attributeCandidate, "fingerprint": attributeFingerprint, "crypto": attributeCrypto,
		"ssrc": attributeSSRC, "ssrc-group": attributeSSRCGroup, "ice-ufrag": attributeIDs, "ice-pwd": attributeIDs,
		"label": attributeIDs, "msid": attributeIDs, "cname": attributeIDs, "extmap": attributeExtMap,
	}
	const numbers = `ptime maxptime minptime framerate quality setup connection rtcp-fb rtcp-xr group mid t38faxversion
		t38maxbitrate t38faxratemanagement t38faxudpec t38faxmaxbuffer t38faxmaxdatagram t38vendorinfo silencesupp curr des
		conf sctp-port sctpmap max-message-size framesize content bundle-only rid simulcast imageattr direction ice-options
		lang cdsc acfg pcfg tcap t38faxfillbitremoval t38faxtranscodingmmr t38faxtranscodingjbig`
	for name := range strings.FieldsSeq(numbers) {
		t[name] = attributeNumbers
	}
	return t
}

func (w *writer) attributeValue(kind attributeKind, to int) {
	switch kind {
	case attributeNumbers:
		w.gap(to, 6)
	case attributeRTPMap:
		w.gap(w.field(to), 3)
		w.encoding(to)
	case attributeFormat:
		w.format(to)
	case attributeRTCP:
		w.gap(w.field(to), 5)
		w.connection(to)
	case attributeCandidate:
		w.candidate(to)
	case attributeFingerprint:
		w.word(w.field(to), 3)
		w.put(Token, w.field(to))
	case attributeCrypto:
		w.gap(w.field(to), 3)
		w.gap(w.field(to), 3)
		w.keyParams(to)
	case attributeSSRC:
		w.ssrc(to)
	case attributeSSRCGroup:
		w.word(w.field(to), 0)
		w.ids(Number, to)
	case attributeIDs:
		w.ids(Token, to)
	case attributeExtMap:
		w.gap(w.field(to), 5)
		w.uri(w.field(to))
		w.gap(to, 0)
	default:
		w.technicalOr(Text, to)
	}
}

// ids replaces ids with blanks between them.
func (w *writer) ids(kind Kind, to int) {
	for w.pos < to {
		w.id(kind, w.field(to))
	}
}

// maxEncoding bounds an encoding's name.
const maxEncoding = 32

// encoding passes "PCMU/8000/1": a codec that no list has explains as much as one that has.
func (w *writer) encoding(to int) {
	end := w.field(to)
	name := w.pos
	for name < end && w.raw[name] != '/' {
		name++
	}
	if b := w.raw[w.pos:name]; len(b) <= maxEncoding && isToken(b) && (len(b) < leastNumber || !allDigits(b)) {
		w.pass(name)
	}
	w.put(Text, name)
	w.gap(to, 7)
}

// format passes the parameters of a format, which explain why two sides cannot agree, when they are printable.
func (w *writer) format(to int) {
	for _, c := range w.raw[w.pos:to] {
		if c < ' ' && c != '\t' || c >= 0x7f {
			w.gap(w.field(to), 3)
			w.put(Text, to)
			return
		}
	}
	w.pass(to)
}

// candidate rewrites "foundation component transport priority address port typ host raddr address rport port"
// (RFC 8839 5.1).
func (w *writer) candidate(to int) {
	w.id(Token, w.field(to))
	w.gap(w.field(to), 3)
	w.gap(w.field(to), 3)
	w.gap(w.field(to), 10)
	w.host(w.field(to))
	w.gap(w.field(to), 5)
	for w.pos < to {
		end := w.field(to)
		name := string(w.raw[w.pos:end])
		w.gap(end, 3)
		end = w.field(to)
		switch name {
		case "raddr":
			w.host(end)
		case "ufrag":
			w.id(Token, end)
		default:
			w.gap(end, 6)
		}
	}
}

// keyParams rewrites "inline:KEY|2^20|1:4" and what follows (RFC 4568 9.1).
func (w *writer) keyParams(to int) {
	for w.pos < to {
		end := w.field(to)
		if i := bytes.IndexByte(w.raw[w.pos:end], ':'); i >= 0 {
			w.word(w.pos+i, 0)
			w.pass(w.pos + 1)
			w.put(Token, end)
			continue
		}
		w.gap(end, 3)
	}
}

// ssrc rewrites "id attribute:value" (RFC 5576 4.1).
func (w *writer) ssrc(to int) {
	w.id(Number, w.field(to))
	end := w.field(to)
	if i := bytes.IndexByte(w.raw[w.pos:to], ':'); i >= 0 && w.pos+i < end {
		w.word(w.pos+i, 0)
		w.pass(w.pos + 1)
		w.ids(Token, to)
		return
	}
	w.gap(to, 0)
}
