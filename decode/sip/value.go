package sip

import "bytes"

// The readers of this file take a header's value apart when somebody asks for it. They give slices of the value, do not
// allocate, and accept what a person would: a part that is missing is nil, a number that cannot be read is -1.

// Replaces is a Replaces or Join header's value (RFC 3891 6.1, RFC 3911 7.1).
type Replaces struct {
	CallID, ToTag, FromTag []byte
	EarlyOnly              bool
}

// ParseReplaces reads "callid;to-tag=x;from-tag=y". It reports false without a Call-ID.
func ParseReplaces(b []byte) (r Replaces, ok bool) {
	callID, params := cutParams(b)
	r.CallID = callID
	r.ToTag, _ = Param(params, "to-tag")
	r.FromTag, _ = Param(params, "from-tag")
	_, r.EarlyOnly = Param(params, "early-only")
	return r, len(r.CallID) > 0
}

// cutParams splits "value;params" at the first semicolon.
func cutParams(b []byte) (value, params []byte) {
	i := nextSemicolon(b)
	return trim(b[:i]), b[i:]
}

// ReferTo is a Refer-To header's value (RFC 3515 2.1).
type ReferTo struct {
	URI     []byte // without its headers
	Headers []byte // of the URI, after "?", escaped, e.g. "Replaces=a%40b%3Bto-tag%3D1"
	Method  []byte // method= of the URI; nil stands for INVITE
}

// ParseReferTo reads a name-addr or addr-spec. It reports false without a URI.
func ParseReferTo(b []byte) (r ReferTo, ok bool) {
	a := ParseAddress(b)
	uri := a.URI.Of(b)
	if q := bytes.IndexByte(uri, '?'); q >= 0 {
		uri, r.Headers = uri[:q], uri[q+1:]
	}
	r.URI = uri
	if u, _ := ParseURI(uri); len(u.Params) > 0 {
		r.Method, _ = Param(u.Params, "method")
	}
	return r, len(uri) > 0
}

// Replaces reads the Replaces header in the URI, which makes an attended transfer of the REFER (RFC 3891 2, RFC 5589
// 7). Undoing its escapes allocates.
func (r ReferTo) Replaces() (Replaces, bool) {
	v, ok := URI{Headers: r.Headers}.Header("Replaces")
	if !ok {
		return Replaces{}, false
	}
	return ParseReplaces(v)
}

// Event is an Event header's value (RFC 6665 8.2.1).
type Event struct {
	Package []byte // with its templates, e.g. "presence.winfo"
	ID      []byte
}

// ParseEvent reads "package;id=i". It reports false without a package.
func ParseEvent(b []byte) (e Event, ok bool) {
	var params []byte
	e.Package, params = cutParams(b)
	e.ID, _ = Param(params, "id")
	return e, len(e.Package) > 0
}

// SubscriptionState is a Subscription-State header's value (RFC 6665 8.2.3).
type SubscriptionState struct {
	State      []byte // "active", "pending", "terminated"
	Reason     []byte // of the end, e.g. "timeout"
	Expires    int64  // seconds, -1 when absent
	RetryAfter int64  // seconds, -1 when absent
}

// ParseSubscriptionState reads "state;expires=n;reason=r;retry-after=n".
func ParseSubscriptionState(b []byte) SubscriptionState {
	state, params := cutParams(b)
	s := SubscriptionState{State: state, Expires: numberParam(params, "expires")}
	s.RetryAfter = numberParam(params, "retry-after")
	s.Reason, _ = Param(params, "reason")
	return s
}

// numberParam reads a parameter that is a number; -1 without one.
func numberParam(params []byte, name string) int64 {
	v, _ := Param(params, name)
	return digits(v)
}

// SessionExpires is a Session-Expires header's value (RFC 4028 4).
type SessionExpires struct {
	Seconds   int64  // -1 when unreadable
	Refresher []byte // "uac", "uas" or nil
}

// ParseSessionExpires reads "1800;refresher=uac".
func ParseSessionExpires(b []byte) SessionExpires {
	n, params := cutParams(b)
	s := SessionExpires{Seconds: digits(n)}
	s.Refresher, _ = Param(params, "refresher")
	return s
}

// SessionID is a Session-ID header's value (RFC 7989 5).
type SessionID struct {
	Local, Remote []byte // 32 hexadecimal digits each; Remote is nil when absent
}

// ParseSessionID reads "local;remote=r". It reports false without a local part.
func ParseSessionID(b []byte) (s SessionID, ok bool) {
	var params []byte
	s.Local, params = cutParams(b)
	s.Remote, _ = Param(params, "remote")
	return s, len(s.Local) > 0
}

// RAck is a RAck header's value (RFC 3262 7.2).
type RAck struct {
	RSeq, CSeq int64 // -1 when unreadable
	Method     []byte
}

// ParseRAck reads "rseq cseq method".
func ParseRAck(b []byte) RAck {
	rseq, rest := nextWord(b)
	cseq, rest := nextWord(rest)
	method, _ := nextWord(rest)
	return RAck{RSeq: digits(rseq), CSeq: digits(cseq), Method: method}
}

// nextWord cuts the first word, up to a blank, off b.
func nextWord(b []byte) (word, rest []byte) {
	from := skipBlanks(b, 0, len(b))
	to := from
	for to < len(b) && !isBlank(b[to]) {
		to++
	}
	return b[from:to], b[to:]
}

// ParseRSeq reads a RSeq header's value (RFC 3262 7.1): 1 to 2^32-1, else -1.
func ParseRSeq(b []byte) int64 {
	if n := digits(trim(b)); n > 0 && n < 1<<32 {
		return n
	}
	return -1
}

// Reason is one value of a Reason header (RFC 3326 2).
type Reason struct {
	Protocol []byte // "Q.850", "SIP"
	Cause    int64  // -1 when absent
	Text     []byte // without quotes, escapes kept
}

// ParseReason reads the first value of b and gives what follows its comma.
func ParseReason(b []byte) (r Reason, rest []byte) {
	value, rest := cutValue(b)
	var params []byte
	r.Protocol, params = cutParams(value)
	r.Cause = numberParam(params, "cause")
	r.Text, _ = Param(params, "text")
	return r, rest
}

// cutValue splits a comma-separated list after its first value.
func cutValue(b []byte) (value, rest []byte) {
	i := nextComma(b, 0, len(b))
	return trim(b[:i]), b[min(i+1, len(b)):]
}

// Q850Cause gives the Q.850 cause among the values of a Reason header.
func Q850Cause(b []byte) (cause int32, ok bool) {
	for len(b) > 0 {
		var r Reason
		r, b = ParseReason(b)
		if equalFold(r.Protocol, "Q.850") && r.Cause >= 0 && r.Cause <= 127 {
			return int32(r.Cause), true
		}
	}
	return 0, false
}

// Warn is one value of a Warning header (RFC 3261 20.43).
type Warn struct {
	Code  int64  // three digits; -1 when unreadable
	Agent []byte // host or pseudonym of who adds it
	Text  []byte // without quotes, escapes kept
}

// ParseWarning reads the first value, "370 example.com "text"", of b and gives what follows its comma.
func ParseWarning(b []byte) (w Warn, rest []byte) {
	value, rest := cutValue(b)
	code, value := nextWord(value)
	w.Code = digits(code)
	w.Agent, value = nextWord(value)
	w.Text = trim(value)
	if n := len(w.Text); n > 0 && w.Text[0] == '"' {
		w.Text = w.Text[1:closeQuote(w.Text, 0, n)]
	}
	return w, rest
}

// ContactQ gives the preference of a Contact in thousandths (RFC 3261 20.10), of its parameters; -1 when absent or
// unreadable.
func ContactQ(params []byte) int {
	v, ok := Param(params, "q")
	if !ok {
		return -1
	}
	whole, part, _ := bytes.Cut(v, []byte("."))
	n := digits(whole)
	if n < 0 || n > 1 {
		return -1
	}
	n *= 1000
	unit := int64(100)
	for _, c := range part {
		if !isDigit(c) {
			return -1
		}
		n += int64(c-'0') * unit
		unit /= 10
	}
	if n > 1000 {
		return -1
	}
	return int(n)
}

// ContactExpires gives expires= of a Contact's parameters in seconds (RFC 3261 10.2.1.1); -1 when absent or unreadable.
func ContactExpires(params []byte) int64 { return numberParam(params, "expires") }
