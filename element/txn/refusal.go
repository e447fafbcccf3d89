package txn

import (
	"bytes"

	"sipscope/decode/sip"
)

// Refusal says whether a request must be refused before any core looks at it, and how: 400 with a reason phrase that says
// why, 501 or 505 (see the package comment); 0 when it is fit. -1: it cannot be answered either, and is dropped.
func Refusal(m *sip.Message) (status int, reason string) {
	if len(m.Diags) == 0 {
		return 0, ""
	}
	return refusal(m)
}

// refusals are the reason phrases for diags that make any request unfit, whatever they are about.
var refusals = map[sip.DiagCode]string{ //nolint:gochecknoglobals // read-only table
	sip.DiagStartLineBlanks: "Bad Request Line",
	sip.DiagURIBrackets:     "Bad Request-URI",
	sip.DiagURIHeaders:      "Bad Request-URI",
	sip.DiagURI:             "Bad Request-URI",
	sip.DiagMissingFrom:     "Missing From",
	sip.DiagMissingTo:       "Missing To",
	sip.DiagMissingCallID:   "Missing Call-ID",
	sip.DiagMissingCSeq:     "Missing CSeq",
	sip.DiagCSeq:            "Bad CSeq",
	sip.DiagCSeqRange:       "Bad CSeq",
	sip.DiagCSeqMethod:      "CSeq Method Mismatch",
	sip.DiagCallID:          "Bad Call-ID",
	sip.DiagLength:          "Bad Content-Length",
	sip.DiagLengthLong:      "Body Shorter Than Content-Length",
}

// onlyOnce are the headers that this layer and every core need, of which a second one makes the first doubtful.
var onlyOnce = map[sip.HeaderID]string{ //nolint:gochecknoglobals // read-only table
	sip.HeaderFrom:          "Repeated From",
	sip.HeaderTo:            "Repeated To",
	sip.HeaderCallID:        "Repeated Call-ID",
	sip.HeaderCSeq:          "Repeated CSeq",
	sip.HeaderMaxForwards:   "Repeated Max-Forwards",
	sip.HeaderContentLength: "Repeated Content-Length",
}

func refusal(m *sip.Message) (status int, reason string) {
	if m.Vias == 0 || m.Via.SentBy.Empty() {
		return -1, ""
	}
	for _, d := range m.Diags {
		switch text, always := refusals[d.Code]; {
		case d.Code == sip.DiagVersion:
			return 505, ""
		case status != 0:
		case d.Code == sip.DiagCSeqMethod && m.MethodID == sip.MethodUnknown:
			status = 501
		case always:
			status, reason = 400, text
		default:
			if text = doubtful(m, d); text != "" {
				status, reason = 400, text
			}
		}
	}
	return status, reason
}

// doubtful gives the reason to refuse a request for a diag that matters only where it stands.
func doubtful(m *sip.Message, d sip.Diag) string {
	switch d.Code {
	case sip.DiagVia, sip.DiagParams, sip.DiagRepeated, sip.DiagAddress, sip.DiagQuote, sip.DiagBracket, sip.DiagURIBlanks,
		sip.DiagHost, sip.DiagDisplay:
	default:
		return ""
	}
	if d.Span.Off < m.URI.Off+m.URI.Len {
		return requestURI(d.Code)
	}
	id := headerAt(m, d.Span)
	switch {
	case d.Code == sip.DiagRepeated:
		return onlyOnce[id]
	case id == sip.HeaderVia:
		return "Bad Via"
	case d.Code == sip.DiagParams, d.Code == sip.DiagHost, d.Code == sip.DiagDisplay && !ambiguous(d.Span.Of(m.Raw)):
		return ""
	case id == sip.HeaderFrom:
		return "Bad From"
	case id == sip.HeaderTo:
		return "Bad To"
	}
	return ""
}

// ambiguous reports whether a display name without quotes has characters that mean something else in an address, such as
// a comma. Letters beyond ASCII, which need quotes as well, are only sloppy.
func ambiguous(display []byte) bool { return bytes.ContainsAny(display, "()<>@,;:\\\"/[]?={}") }

// requestURI gives the reason for a diag in the request line.
func requestURI(code sip.DiagCode) string {
	if code == sip.DiagURIBlanks || code == sip.DiagHost {
		return "Bad Request-URI"
	}
	return ""
}

// headerAt is the header that s stands in.
func headerAt(m *sip.Message, s sip.Span) sip.HeaderID {
	for i := range m.Headers {
		h := &m.Headers[i]
		if s.Off >= h.Name.Off && s.Off <= h.Value.Off+h.Value.Len {
			return h.ID
		}
	}
	return sip.HeaderOther
}

// accepts reports whether Config.Malformed lets a message in that is refused otherwise.
func (l *Layer) accepts(m *sip.Message) bool {
	return l.cfg.Malformed && identified(m) && (m.Request || m.Status >= 100 && m.Status <= 699)
}

// identified reports whether a message has what a transaction is found by, and who it comes from, however wrong the rest
// of it is.
func identified(m *sip.Message) bool {
	return m.Vias > 0 && !m.Via.SentBy.Empty() && m.HasCSeq && !m.CallID.Empty()
}

// usable reports whether a response can be matched and understood (RFC 3261 18.1.2, 18.3).
func usable(m *sip.Message) bool {
	if m.Vias == 0 || !m.HasCSeq || m.CallID.Empty() || m.Status < 100 || m.Status > 699 {
		return false
	}
	for _, d := range m.Diags {
		switch d.Code {
		case sip.DiagVersion, sip.DiagVia, sip.DiagCSeqRange, sip.DiagLength, sip.DiagLengthLong,
			sip.DiagMissingFrom, sip.DiagMissingTo:
			return false
		default:
		}
	}
	return true
}
