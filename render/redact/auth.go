package redact

import "bytes"

// credentials rewrites "Digest realm="r",nonce="n"" (RFC 3261 20.44, 20.7).
func (w *writer) credentials(to int) {
	end := w.pos
	for end < to && !isBlank(w.raw[end]) {
		end++
	}
	scheme := w.raw[w.pos:end]
	w.word(end, 0)
	if !bytes.EqualFold(scheme, []byte("Digest")) && bytes.IndexByte(w.raw[end:to], '=') < 0 || isBasic(scheme) {
		for w.pos < to && isBlank(w.raw[w.pos]) {
			w.pass(w.pos + 1)
		}
		w.put(Text, to) // what it is made of is not known
		return
	}
	w.authParams(to)
}

func isBasic(scheme []byte) bool {
	return bytes.EqualFold(scheme, []byte("Basic")) || bytes.EqualFold(scheme, []byte("Bearer"))
}

// authParams rewrites "name=value, name="value"".
func (w *writer) authParams(to int) {
	for w.pos < to {
		from := w.pos
		for from < to && (isBlank(w.raw[from]) || w.raw[from] == ',') {
			from++
		}
		w.pass(from)
		end := from
		for end < to && w.raw[end] != '=' && w.raw[end] != ',' {
			end++
		}
		name := bytes.TrimRight(w.raw[from:end], " \t\r\n")
		known := technical(name, 3)
		if known {
			w.pass(from + len(name))
		} else {
			w.put(ParamName, from+len(name))
		}
		w.pass(end)
		if end < to && w.raw[end] == '=' {
			w.pass(end + 1)
			w.authValue(name, known, to)
		}
	}
}

// authValue rewrites the value that begins at pos, quoted or not, and what follows it up to the comma.
func (w *writer) authValue(name []byte, known bool, to int) {
	for w.pos < to && isBlank(w.raw[w.pos]) {
		w.pass(w.pos + 1)
	}
	if w.pos == to {
		return
	}
	var end int
	if w.raw[w.pos] == '"' {
		end = closing(w.raw[:to], w.pos)
		w.pass(w.pos + 1)
	} else {
		end = w.pos
		for end < to && w.raw[end] != ',' {
			end++
		}
		end = w.pos + len(bytes.TrimRight(w.raw[w.pos:end], " \t\r\n"))
	}
	if end > w.pos {
		w.authParam(name, known, end)
	}
	next := w.pos
	for next < to && w.raw[next] != ',' {
		next++
	}
	w.gap(next, 0)
}

func (w *writer) authParam(name []byte, known bool, to int) {
	b := w.raw[w.pos:to]
	switch string(bytes.ToLower(name[:min(len(name), maxWord)])) {
	case "username":
		w.username(to)
	case "realm":
		w.realm(to)
	case "nonce", "cnonce", "opaque", "response", "nextnonce", "rspauth", "auts", "ik", "ck", "username*":
		w.put(Token, to)
	case "uri":
		w.uri(to)
	case "domain":
		w.domain(to)
	case "nc":
		if len(b) <= 8 && hexOnly(b) {
			w.pass(to)
		}
		w.put(Token, to)
	default:
		if known && technicalText(b) {
			w.pass(to)
		}
		w.put(Text, to)
	}
}

func hexOnly(b []byte) bool {
	for _, c := range b {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// username rewrites "user" or "user@host".
func (w *writer) username(to int) {
	end := to
	if i := bytes.LastIndexByte(w.raw[w.pos:to], '@'); i >= 0 {
		end = w.pos + i
	}
	w.user(end)
	if end < to {
		w.pass(end + 1)
		w.host(to)
	}
}

// realm rewrites a realm: a host where it looks like one, as most are.
func (w *writer) realm(to int) {
	b := w.raw[w.pos:to]
	if isToken(b) && bytes.IndexByte(b, '.') > 0 {
		w.host(to)
		return
	}
	w.put(Realm, to)
}

// domain rewrites URIs with blanks between them.
func (w *writer) domain(to int) {
	for w.pos < to {
		end := w.pos
		for end < to && !isBlank(w.raw[end]) {
			end++
		}
		w.uri(end)
		w.pass(end)
		for w.pos < to && isBlank(w.raw[w.pos]) {
			w.pass(w.pos + 1)
		}
	}
}
