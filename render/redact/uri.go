package redact

import (
	"bytes"

	"sipscope/decode/sip"
)

// uri rewrites a URI (RFC 3261 19.1.1, RFC 3966 3).
func (w *writer) uri(to int) {
	if to <= w.pos {
		return
	}
	u, _ := sip.ParseURI(w.raw[w.pos:to])
	if len(u.Scheme) > 0 {
		w.word(w.pos+len(u.Scheme), 0)
	}
	if len(u.User) == 0 && len(u.Host) == 0 {
		w.opaque(to)
		return
	}
	if len(u.User) > 0 {
		w.user(w.part(u.User))
	}
	if len(u.Password) > 0 {
		w.put(Password, w.part(u.Password))
	}
	if len(u.Host) > 0 {
		w.host(w.part(u.Host))
		w.port(to)
	}
	if len(u.Scheme) > 0 && !hierarchical(u.Scheme) {
		w.opaque(to)
		return
	}
	if len(u.Params) > 0 {
		w.gap(w.off(u.Params), 0)
		w.params(u.Params)
	}
	if len(u.Headers) > 0 {
		w.uriHeaders(w.part(u.Headers))
	}
	w.gap(to, 0)
}

// hierarchical tells the schemes whose parameters are SIP's.
func hierarchical(scheme []byte) bool {
	return bytes.EqualFold(scheme, []byte("sip")) || bytes.EqualFold(scheme, []byte("sips")) ||
		bytes.EqualFold(scheme, []byte("tel"))
}

// opaque replaces the rest of a URI whose parts are not known, such as the path of an https URI, unless it is all
// technical, as that of urn:service:sos.
func (w *writer) opaque(to int) {
	for w.pos < to && !isWordByte(w.raw[w.pos]) {
		w.pass(w.pos + 1)
	}
	if w.pos < to && technicalText(w.raw[w.pos:to]) {
		w.pass(to)
	}
	w.put(Text, to)
}

// technicalText reports whether all words of a text are SIP's.
func technicalText(b []byte) bool {
	for i := 0; i < len(b); {
		if !isWordByte(b[i]) {
			i++
			continue
		}
		from := i
		for i < len(b) && isWordByte(b[i]) {
			i++
		}
		if !technical(b[from:i], 0) {
			return false
		}
	}
	return true
}

// maxDepth bounds messages and URIs within others.
const maxDepth = 3

// uriHeaders rewrites "Replaces=a%40b&Subject=x" (RFC 3261 19.1.1): each value as the header would be.
func (w *writer) uriHeaders(to int) {
	for w.pos < to {
		end := to
		if i := bytes.IndexByte(w.raw[w.pos:to], '&'); i >= 0 {
			end = w.pos + i
		}
		key, value := w.raw[w.pos:end], []byte(nil)
		if i := bytes.IndexByte(key, '='); i >= 0 {
			key, value = key[:i], key[i+1:]
		}
		w.uriHeader(key, value)
		w.pos = end
		w.pass(min(end+1, to))
	}
}

func (w *writer) uriHeader(key, value []byte) {
	name := sip.Unescape(key)
	id := sip.LookupHeader(name)
	if id == sip.HeaderOther && !bytes.EqualFold(name, []byte("body")) && len(name) > 0 {
		w.out = append(w.out, w.name(HeaderName, name)...)
	} else {
		w.out = append(w.out, key...)
	}
	if value == nil {
		return
	}
	w.out = append(w.out, '=')
	if w.depth >= maxDepth || id == sip.HeaderOther || id == sip.HeaderContentLength {
		w.out = append(w.out, w.name(Text, value)...)
		return
	}
	inner := w.r.writer(w.learn)
	defer w.r.pool.Put(inner)
	inner.depth = w.depth + 1
	inner.begin(sip.Unescape(value))
	inner.msg.Headers = append(inner.msg.Headers[:0], sip.Header{ID: id, Value: sip.Span{Len: uint32(len(inner.raw))}}) //nolint:gosec // part of a message
	inner.msg.Raw = inner.raw
	inner.msg.From, inner.msg.To = sip.Address{}, sip.Address{}
	inner.header(0)
	inner.gap(len(inner.raw), 0)
	w.out = appendEscaped(w.out, inner.out)
}

// appendEscaped writes a URI header's value: all but unreserved characters (RFC 3261 25.1) is escaped.
func appendEscaped(dst, b []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range b {
		if c < 0x80 && isAlnum(c) || bytes.IndexByte([]byte("-_.!~*'()"), c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// params rewrites ";a=b;c" up to its end; at is where it begins.
func (w *writer) params(params []byte) {
	end := w.off(params) + len(params)
	for name, value := range sip.Params(params) {
		at := w.off(name)
		if at < w.pos {
			continue
		}
		w.gap(at, 3)
		known := technical(name, 3)
		if known {
			w.pass(at + len(name))
		} else {
			w.put(ParamName, at+len(name))
		}
		if len(value) > 0 {
			w.gap(w.off(value), 0)
			w.param(name, known, w.pos+len(value))
		}
	}
	w.gap(end, 3)
}

// param rewrites a parameter's value, which begins here.
func (w *writer) param(name []byte, known bool, to int) {
	switch class := paramClass(name); class {
	case paramTag:
		w.put(Tag, to)
	case paramBranch:
		w.branch(to)
	case paramHost:
		w.host(to)
	case paramToken:
		w.put(Token, to)
	case paramURI:
		w.uri(to)
	case paramMethod:
		w.method(to)
	case paramNumber:
		w.tokens(to, 10)
	case paramText:
		w.put(Text, to)
	case paramContext:
		if w.raw[w.pos] == '+' {
			w.put(User, to)
		} else {
			w.host(to)
		}
	default:
		if !known || !technicalText(w.raw[w.pos:to]) {
			w.put(Text, to)
		}
		w.pass(to)
	}
}

// paramKind says what a parameter's value is.
type paramKind uint8

const (
	paramPlain paramKind = iota
	paramTag
	paramBranch
	paramHost
	paramToken
	paramURI
	paramMethod
	paramNumber
	paramText
	paramContext
)

// paramKinds has the parameters whose values are more than a word, by name in lower case.
var paramKinds = map[string]paramKind{ //nolint:gochecknoglobals // read-only table
	"tag": paramTag, "to-tag": paramTag, "from-tag": paramTag, "local-tag": paramTag, "remote-tag": paramTag,
	"branch": paramBranch, "received": paramHost, "maddr": paramHost, "boundary": paramToken, "remote": paramToken,
	"id": paramToken, "gr": paramToken, "+sip.instance": paramToken, "pub-gruu": paramURI, "temp-gruu": paramURI,
	"method": paramMethod, "expires": paramNumber, "q": paramNumber, "ttl": paramNumber, "rport": paramNumber,
	"cause": paramNumber, "reg-id": paramNumber, "retry-after": paramNumber, "index": paramNumber, "rc": paramNumber,
	"mp": paramNumber, "np": paramNumber, "counter": paramNumber, "duration": paramNumber, "keep": paramNumber,
	"port-c": paramNumber, "port-s": paramNumber, "text": paramText, "phone-context": paramContext, "comp": paramPlain,
	"version": paramNumber, "lr": paramNumber, "seq": paramNumber, "limit": paramNumber, "size": paramNumber, "level": paramNumber,
}

func paramClass(name []byte) paramKind {
	var buf [16]byte
	if len(name) > len(buf) {
		return paramPlain
	}
	for i, c := range name {
		buf[i] = lowerOf(c)
	}
	return paramKinds[string(buf[:len(name)])]
}
