package sip

import "bytes"

// magicCookie starts every branch of an RFC 3261 element (RFC 3261 8.1.1.7).
const magicCookie = "z9hG4bK"

// TxnKey is what RFC 3261 17.1.3 and 17.2.3 match a transaction by, as spans into the message. CSeq's number is part
// of it because elements exist that use one branch for everything. Without the magic cookie (RFC 2543) the From tag
// takes part too, which together with the Call-ID that scopes every lookup stands for the rules of 17.2.3.
type TxnKey struct {
	Branch, SentBy Span
	FromTag        Span     // only without the magic cookie
	Method         Span     // of an ACK "ACK", though MethodID is INVITE's
	MethodID       MethodID // INVITE for an ACK: the ACK of a non-2xx is part of its INVITE's transaction
	CSeq           uint32
	RFC3261        bool // the branch has the magic cookie and more
}

// TxnKey gives the message's transaction key.
func (m *Message) TxnKey() TxnKey {
	k := TxnKey{
		Branch: m.Via.Branch, SentBy: m.Via.SentBy,
		Method: m.CSeqMethod, MethodID: m.CSeqMethodID, CSeq: m.CSeq,
	}
	if m.Request {
		k.Method, k.MethodID = m.Method, m.MethodID
	}
	if k.MethodID == MethodAck {
		k.MethodID = MethodInvite
	}
	k.RFC3261 = hasCookie(m.Via.Branch.Of(m.Raw))
	if !k.RFC3261 {
		k.FromTag = m.From.Tag
	}
	return k
}

// hasCookie reports whether a branch is an RFC 3261 one. The cookie alone is not unique (RFC 4475 3.1.2.19 sends it),
// so something must follow it.
func hasCookie(branch []byte) bool {
	return len(branch) > len(magicCookie) && equalFold(branch[:len(magicCookie)], magicCookie)
}

// DialogKey is what RFC 3261 12 identifies a dialog by, as spans into the message: Call-ID and the two tags, sorted, so
// that the messages of both directions give the same key. TagHi alone is set in a request that makes a dialog.
type DialogKey struct {
	CallID       Span
	TagLo, TagHi Span
}

// DialogKey gives the message's dialog key.
func (m *Message) DialogKey() DialogKey {
	k := DialogKey{CallID: m.CallID, TagLo: m.From.Tag, TagHi: m.To.Tag}
	if bytes.Compare(k.TagLo.Of(m.Raw), k.TagHi.Of(m.Raw)) > 0 {
		k.TagLo, k.TagHi = k.TagHi, k.TagLo
	}
	return k
}
