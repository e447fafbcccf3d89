package compare

import (
	"strings"

	"sipscope/decode/sip"
)

// form is how the value of a header is read.
type form uint8

const (
	formText    form = iota // words
	formVia                 // RFC 3261 20.42
	formAddress             // name-addr or addr-spec with parameters
	formTokens              // names separated by commas, with parameters at most
	formLevels              // names separated by semicolons (RFC 3323 4.2)
	formValue               // token and parameters, without regard to case
	formExact               // text and parameters; the case of the text matters
	formParams              // parameters alone
	formNumber              // number and parameters
	formCSeq                // numbers and a method: CSeq and RAck
	formAuth                // scheme and parameters separated by commas
	formID                  // one text as a whole
)

// kind is how the headers of a name are compared.
type kind struct {
	form   form
	list   bool   // values may be separated by commas; their order means something (RFC 3261 7.3.1)
	traits traits // isSet, isFree
	why    string // of a value that is different in any two calls, see Options.Ignore
}

// startUnits takes the start line apart (RFC 3261 7.1, 7.2). A request line and a status line are not alike, and are
// taken as a whole.
func (c *comparer) startUnits(s *side, alike bool) []unit {
	if s.body == 0 || s.lines[0].off > 0 {
		return nil
	}
	c.names = s.names
	u := unit{no: 1, group: c.id("start")}
	w := c.scribe(s.lines[0].text)
	switch {
	case !alike:
		w.piece(0, len(w.text), "line", w.text)
	case s.m.Request:
		w.requestLine(s.m)
	default:
		w.statusLine(s.m)
	}
	w.finish(&u)
	return []unit{u}
}

// requestLine takes "INVITE sip:bob@example.com SIP/2.0" apart. The method has its case, the version has none.
func (s *scribe) requestLine(m *sip.Message) {
	from, to := s.span(m.Method)
	s.piece(from, to, "method", s.text[from:to])
	s.uri(s.span(m.URI))
	from, to = s.span(m.Version)
	s.piece(from, to, "version", strings.ToLower(s.text[from:to]))
}

// statusLine takes "SIP/2.0 200 OK" apart. The phrase is for people (RFC 3261 7.2).
func (s *scribe) statusLine(m *sip.Message) {
	from, to := s.span(m.Version)
	s.piece(from, to, "version", strings.ToLower(s.text[from:to]))
	from, _ = s.trimmed(to, len(s.text))
	to = s.digits(from, len(s.text))
	s.piece(from, to, "status", trimZeros(s.text[from:to]))
	from, to = s.span(m.Reason)
	p := s.piece(from, to, "reason", s.text[from:to])
	p.class, p.why = loose, whyReason
}

// span gives a part of the message that is in its first line, which the text is.
func (s *scribe) span(p sip.Span) (from, to int) {
	return min(int(p.Off), len(s.text)), min(int(p.Off+p.Len), len(s.text))
}

// digits gives where the digits end that stand at from.
func (s *scribe) digits(from, to int) int {
	for from < to && s.text[from]-'0' < 10 {
		from++
	}
	return from
}

// headerUnits takes the header lines apart.
func (c *comparer) headerUnits(s *side) []unit {
	c.names = s.names
	us := make([]unit, 0, s.body)
	for i := 1; i < s.body; i++ {
		if l := &s.lines[i]; l.text != "" {
			us = c.header(us, l, i+1)
		}
	}
	return us
}

// header appends the units of one header line: more than one when it is a list.
func (c *comparer) header(us []unit, l *textLine, no int) []unit {
	u := unit{no: no}
	if l.folded {
		u.traits = folded
	}
	colon := strings.IndexByte(l.text, ':')
	if colon < 0 {
		return append(us, c.wordUnit(u, l.text, c.id("no header")))
	}
	name := strings.TrimRight(l.text[:colon], " \t")
	id := sip.LookupHeader([]byte(name))
	k := kindOf(id)
	u.traits |= k.traits
	u.name = name
	if id != sip.HeaderOther {
		u.name = id.String()
	}
	u.group = c.id("header", strings.ToLower(u.name))
	cuts := []int{0}
	if k.list {
		cuts = valuesOf(l.text, colon+1)
	}
	u.values = len(cuts)
	for n, from := range cuts {
		to := len(l.text)
		if n+1 < len(cuts) {
			to = cuts[n+1]
		}
		w := c.scribe(l.text[from:to])
		at := 0
		if n == 0 {
			p := w.piece(0, len(name), "name", strings.ToLower(u.name))
			p.class, p.why, p.isName = loose, whyOneLine, true
			at = colon + 1
			w.skip(at)
		}
		if n == maxValues-1 {
			k.form = formText
		}
		w.value(id, k, at)
		part := u
		w.finish(&part)
		us = append(us, part)
	}
	return us
}

// wordUnit completes a unit whose text is words.
func (c *comparer) wordUnit(u unit, text string, group uint32) unit {
	u.group = group
	w := c.scribe(text)
	w.words(0, len(text))
	w.finish(&u)
	return u
}

// valuesOf gives where the values of a list begin, the first one with what is before it: behind commas outside quotes
// and angle brackets, and blanks. Empty values belong to the one before.
func valuesOf(text string, from int) []int {
	cuts := []int{0}
	full := false // the value so far has something
	last := strings.LastIndexByte(text, '>')
	for i := from; i < len(text); i++ {
		switch c := text[i]; c {
		case ',':
			for i+1 < len(text) && (isBlank(text[i+1]) || text[i+1] == ',') {
				i++
			}
			if full && i+1 < len(text) && len(cuts) < maxValues {
				cuts = append(cuts, i+1)
				full = false
			}
			continue
		case '"':
			i = closeQuote(text, i, len(text))
		case '<':
			if i < last {
				i += strings.IndexByte(text[i:], '>')
			}
		case ' ', '\t':
			continue
		}
		full = true
	}
	return cuts
}

// value takes the value that begins at from apart.
func (s *scribe) value(id sip.HeaderID, k kind, from int) {
	to := len(s.text)
	if k.list {
		to = len(strings.TrimRight(s.text, ", \t")) // the comma before the next value
	}
	from, to = s.trimmed(from, max(from, to))
	switch k.form {
	case formText:
		s.words(from, to)
	case formVia:
		s.via(from, to)
	case formAddress:
		s.address(from, to)
	case formTokens:
		s.tokens(from, to, ",", id == sip.HeaderAllow)
	case formLevels:
		s.tokens(from, to, ";", false)
	case formValue:
		s.valueParams(from, to, false, "")
	case formExact:
		s.valueParams(from, to, true, k.why)
	case formParams:
		s.params(from, to, ';', "param")
	case formNumber:
		s.number(id, from, to)
	case formCSeq:
		s.cseq(from, to)
	case formAuth:
		s.auth(from, to)
	case formID:
		s.usual(s.piece(from, to, "value", foldBlanks(s.text[from:to])), k.why)
	}
}

// usual makes a piece one that differs in any two calls, when those are not to be counted.
func (s *scribe) usual(p *piece, why string) {
	if s.c.opts.Ignore && why != "" {
		p.class, p.why = usual, why
	}
}

// kindOf says how a header is compared. What it does not name, unknown headers first of all, is compared word by word.
func kindOf(id sip.HeaderID) kind {
	switch id {
	case sip.HeaderVia:
		return kind{form: formVia, list: true}
	case sip.HeaderFrom, sip.HeaderTo, sip.HeaderReferTo, sip.HeaderReferredBy, sip.HeaderReplyTo:
		return kind{form: formAddress}
	case sip.HeaderContact:
		return kind{form: formAddress, list: true, traits: isFree} // RFC 3261 20.10: q says what is preferred
	case sip.HeaderRoute, sip.HeaderRecordRoute, sip.HeaderPath, sip.HeaderServiceRoute, sip.HeaderDiversion,
		sip.HeaderHistoryInfo, sip.HeaderPAssertedIdentity, sip.HeaderPPreferredIdentity, sip.HeaderPAssociatedURI,
		sip.HeaderPCalledPartyID, sip.HeaderPServedUser, sip.HeaderRemotePartyID, sip.HeaderAlertInfo,
		sip.HeaderCallInfo, sip.HeaderErrorInfo, sip.HeaderGeolocation, sip.HeaderIdentityInfo:
		return kind{form: formAddress, list: true}
	case sip.HeaderCallID:
		return kind{form: formID, why: whyCall}
	case sip.HeaderInReplyTo:
		return kind{form: formID, list: true, why: whyCall}
	case sip.HeaderCSeq, sip.HeaderRAck:
		return kind{form: formCSeq}
	case sip.HeaderDate, sip.HeaderTimestamp:
		return kind{form: formID, why: whyTime}
	case sip.HeaderSIPETag, sip.HeaderSIPIfMatch:
		return kind{form: formID, why: whyEntity}
	case sip.HeaderContentLength, sip.HeaderMaxForwards, sip.HeaderExpires, sip.HeaderMinExpires, sip.HeaderRSeq,
		sip.HeaderMinSE, sip.HeaderSessionExpires, sip.HeaderRetryAfter, sip.HeaderFlowTimer, sip.HeaderMaxBreadth:
		return kind{form: formNumber}
	case sip.HeaderAuthorization, sip.HeaderProxyAuthorization, sip.HeaderWWWAuthenticate,
		sip.HeaderProxyAuthenticate, sip.HeaderAuthenticationInfo, sip.HeaderProxyAuthenticationInfo:
		return kind{form: formAuth, traits: isFree}
	default:
		return otherKind(id)
	}
}

// otherKind is kindOf for headers that are tokens, mostly.
func otherKind(id sip.HeaderID) kind {
	switch id {
	case sip.HeaderAllow, sip.HeaderSupported, sip.HeaderRequire, sip.HeaderProxyRequire, sip.HeaderUnsupported,
		sip.HeaderAllowEvents, sip.HeaderAccept, sip.HeaderAcceptEncoding, sip.HeaderAcceptLanguage,
		sip.HeaderAcceptResourcePriority, sip.HeaderResourcePriority, sip.HeaderContentLanguage, sip.HeaderRecvInfo,
		sip.HeaderPEarlyMedia, sip.HeaderRequestDisposition:
		return kind{form: formTokens, traits: isSet}
	case sip.HeaderPrivacy:
		return kind{form: formLevels, traits: isSet}
	case sip.HeaderContentEncoding, sip.HeaderReason, sip.HeaderAcceptContact, sip.HeaderRejectContact,
		sip.HeaderFeatureCaps, sip.HeaderSecurityClient, sip.HeaderSecurityServer, sip.HeaderSecurityVerify,
		sip.HeaderPAccessNetworkInfo:
		return kind{form: formValue, list: true}
	case sip.HeaderContentType, sip.HeaderContentDisposition, sip.HeaderSubscriptionState, sip.HeaderPriority,
		sip.HeaderAnswerMode, sip.HeaderReferSub, sip.HeaderGeolocationRouting:
		return kind{form: formValue}
	case sip.HeaderEvent, sip.HeaderInfoPackage, sip.HeaderUserToUser:
		return kind{form: formExact} // RFC 6665 8.2.1: an event type is compared byte by byte
	case sip.HeaderReplaces, sip.HeaderJoin, sip.HeaderTargetDialog:
		return kind{form: formExact, why: whyDialog}
	case sip.HeaderSessionID:
		return kind{form: formExact, why: whySession}
	case sip.HeaderIdentity:
		return kind{form: formExact, why: whyKey}
	case sip.HeaderPChargingVector, sip.HeaderPChargingFunctionAddresses:
		return kind{form: formParams}
	case sip.HeaderWarning, sip.HeaderPVisitedNetworkID:
		return kind{form: formText, list: true}
	default:
		return kind{form: formText}
	}
}
