package sip

import "bytes"

// vias counts the values of a Via header and reads the very first: the top one.
func (p *parser) vias(from, to int) {
	m := p.m
	p.mark(HeaderVia)
	if from == to || p.raw[from] == ',' {
		p.diag(DiagVia, sp(from, to))
		for from < to && (p.raw[from] == ',' || isBlank(p.raw[from])) {
			from++
		}
	}
	if m.Vias > 0 || from == to {
		m.Vias += p.countValues(from, to, m.Vias)
		return
	}
	end := to
	if bytes.IndexByte(p.raw[from:to], ',') >= 0 {
		end = nextComma(p.raw, from, to)
		m.Vias = p.countValues(end, to, 1)
	}
	m.Vias++
	top := sp(from, backBlanks(p.raw, from, end))
	empty, ok := parseVia(p.raw, top, &m.Via, &p.params)
	if !ok {
		p.diag(DiagVia, top)
	}
	if empty {
		p.diag(DiagParams, top)
	}
}

// parseVia reads one "SIP / 2.0 / UDP host : port ;params" (RFC 3261 20.42), with blanks wherever the grammar allows
// them. empty says that a parameter is.
func parseVia(raw []byte, in Span, v *Via, s *paramScan) (empty, ok bool) {
	to := int(in.Off + in.Len)
	i, ok := viaProtocol(raw, int(in.Off), to)
	if !ok {
		return false, false
	}
	end := i + run(raw[i:to], classToken)
	v.Transport = sp(i, end)
	i = skipBlanks(raw, end, to)
	var h hostPort
	end = h.read(raw, i, to)
	v.Host, v.Port = h.host, h.port
	v.SentBy = sp(i, end)
	ok = !v.Transport.Empty() && !h.odd
	if end < to && raw[end] != ';' {
		end = skipBlanks(raw, end, to)
	}
	if end < to && raw[end] != ';' {
		ok = false
		end = i + nextSemicolon(raw[i:to])
		v.SentBy = sp(i, backBlanks(raw, i, end))
	}
	s.reset(raw, end, to, false)
	for s.next() {
		v.param(raw, s)
	}
	return s.empty, ok
}

// viaProtocol skips "SIP/2.0/" and says whether it is there.
func viaProtocol(raw []byte, i, to int) (transport int, ok bool) {
	if i+8 < to && string(raw[i:i+8]) == "SIP/2.0/" && isToken(raw[i+8]) {
		return i + 8, true
	}
	for range 2 { // protocol name and version
		n := bytes.IndexAny(raw[i:min(to, i+64)], "/,;")
		if n < 0 || raw[i+n] != '/' {
			return i, false
		}
		i = skipBlanks(raw, i+n+1, to)
	}
	return i, true
}

// param takes a parameter that matters; of one that is there twice the first counts.
func (v *Via) param(raw []byte, s *paramScan) {
	switch s.name.Len {
	case 6:
		if v.Branch.Empty() && equalFold(s.name.Of(raw), "branch") {
			v.Branch = s.value
		}
	case 8:
		if v.Received.Empty() && equalFold(s.name.Of(raw), "received") {
			v.Received = s.value
		}
	case 5:
		if !v.HasRPort && equalFold(s.name.Of(raw), "rport") {
			v.HasRPort = true
			if n := digits(s.value.Of(raw)); n > 0 && n <= 65535 {
				v.RPort = uint16(n)
			}
		}
	}
}
