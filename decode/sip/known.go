package sip

import "bytes"

// known reads the headers that identify and explain a message; of those that may be there once, the first counts.
func (p *parser) known(id HeaderID, from, to int) {
	m := p.m
	switch id {
	case HeaderVia:
		p.vias(from, to)
	case HeaderContact:
		p.mark(id)
		p.contacts(from, to)
	case HeaderFrom, HeaderTo, HeaderCallID, HeaderCSeq, HeaderContentLength, HeaderContentType, HeaderMaxForwards,
		HeaderExpires, HeaderMinExpires, HeaderDate, HeaderRetryAfter:
		if p.mark(id) {
			p.diag(DiagRepeated, sp(from, to))
			return
		}
		p.single(id, from, to)
	case HeaderUserAgent, HeaderServer:
		if m.UserAgent.Empty() || (id == HeaderUserAgent) == m.Request {
			m.UserAgent = sp(from, to)
		}
	case HeaderRecordRoute:
		m.HasRecordRoute = true
	case HeaderRoute:
		m.HasRoute = true
	case HeaderWarning:
		if n := skipDigits(p.raw, from, to); n-from != 3 {
			p.diag(DiagNumber, sp(from, to))
		}
	default:
	}
}

func skipDigits(b []byte, i, to int) int {
	for i < to && isDigit(b[i]) {
		i++
	}
	return i
}

// single reads a header that may be there once.
func (p *parser) single(id HeaderID, from, to int) {
	m, raw := p.m, p.raw
	switch id {
	case HeaderFrom:
		p.address(&m.From, from, to, false)
	case HeaderTo:
		p.address(&m.To, from, to, false)
	case HeaderCallID:
		m.CallID = sp(from, to)
		if from == to || hasBlank(raw[from:to]) {
			p.diag(DiagCallID, m.CallID)
		}
	case HeaderCSeq:
		p.cseqValue(from, to)
	case HeaderContentLength:
		p.length = sp(from, to)
		if m.ContentLength = digits(raw[from:to]); m.ContentLength < 0 {
			p.diag(DiagLength, p.length)
		}
	case HeaderContentType:
		end := to
		if n := bytes.IndexByte(raw[from:to], ';'); n >= 0 {
			end = backBlanks(raw, from, from+n)
		}
		m.ContentType = sp(from, end)
	default:
		p.number(id, from, to)
	}
}

// number reads a header that is a number, and Date.
func (p *parser) number(id HeaderID, from, to int) {
	m, raw := p.m, p.raw
	switch id {
	case HeaderMaxForwards:
		if n := digits(raw[from:to]); n >= 0 && n <= 255 {
			m.MaxForwards = int32(n)
		} else {
			p.diag(DiagNumber, sp(from, to))
		}
	case HeaderExpires:
		m.Expires = p.seconds(from, to)
	case HeaderMinExpires:
		m.MinExpires = p.seconds(from, to)
	case HeaderRetryAfter: // a comment or parameters may follow (RFC 3261 20.33)
		p.seconds(from, skipDigits(raw, from, to))
	case HeaderDate:
		if !bytes.HasSuffix(raw[from:to], []byte("GMT")) {
			p.diag(DiagDate, sp(from, to))
		}
	default:
	}
}

// hasBlank reports whether a value has blanks inside; a fold has one after its line end.
func hasBlank(b []byte) bool { return bytes.IndexByte(b, ' ') >= 0 || bytes.IndexByte(b, '\t') >= 0 }

// maxSeconds is the most that delta-seconds may be.
const maxSeconds = 1<<32 - 1

// seconds reads delta-seconds; a number over 2^32-1 is read as that (RFC 3261 20.19 on malformed values allows it).
func (p *parser) seconds(from, to int) int64 {
	n := digits(p.raw[from:to])
	if n >= 0 && n <= maxSeconds {
		return n
	}
	p.diag(DiagNumber, sp(from, to))
	if from < to && skipDigits(p.raw, from, to) == to {
		return maxSeconds
	}
	return -1
}

// cseqValue reads "1 INVITE" (RFC 3261 20.16). The number is below 2^31 (RFC 3261 8.1.1.5).
func (p *parser) cseqValue(from, to int) {
	m, raw := p.m, p.raw
	p.cseq = sp(from, to)
	i := skipDigits(raw, from, to)
	method := skipBlanks(raw, i, to)
	m.CSeqMethodID = LookupMethod(raw[method:to])
	if i == from || method == i || m.CSeqMethodID == MethodUnknown && !allToken(raw[method:to]) {
		p.diag(DiagCSeq, p.cseq)
	}
	if i == from {
		m.CSeqMethodID = MethodUnknown
		return
	}
	m.HasCSeq = true
	if n := digits(raw[from:i]); n >= 0 && n < 1<<31 {
		m.CSeq = uint32(n)
	} else {
		p.diag(DiagCSeqRange, sp(from, i))
	}
	m.CSeqMethod = sp(method, to)
}
