package decode

import (
	"hash/maphash"
	"math/bits"

	"sipscope/decode/sip"
)

// Keys are hashes of what identifies a message, made by the workers so that the tracker, which is serial, neither
// hashes nor compares long texts. The seed is secret and new in each run: nobody can craft collisions, and no output
// depends on a hash's value. 0 stands for an absent part.
type Keys struct {
	Call    uint64 // Call-ID
	Txn     uint64 // branch, sent-by, CSeq number (and From tag without the magic cookie); not the method
	Method  uint64 // the method of the transaction: an ACK has INVITE's
	FromTag uint64
	ToTag   uint64
	// Replaces is the Call-ID in an INVITE's Replaces header (RFC 3891), or in the one that a REFER asks for (RFC 5589 7).
	Replaces uint64
	// Related is the Call-ID that the capture agent relates the message to (HEP correlation id).
	Related uint64
	Sig     uint64 // start line, tags and CSeq: equal for a message and its retransmission
}

// hasher makes Keys.
type hasher struct{ seed maphash.Seed }

func (h hasher) bytes(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return maphash.Bytes(h.seed, b)
}

// mix folds b into a; order matters.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xbf58476d1ce4e5b9)
	return hi ^ lo
}

// MixMethod is the map key of a transaction: the hash of its identity and of its method.
func (k *Keys) MixMethod() uint64 { return mix(k.Txn, k.Method) }

// methodHash gives known methods fixed values, so that a CANCEL can find its INVITE.
func (h hasher) methodHash(id sip.MethodID, text []byte) uint64 {
	if id != sip.MethodUnknown {
		return uint64(id)
	}
	return h.bytes(text) | 1<<63
}

// InviteKey is the map key of the INVITE transaction that a CANCEL with these keys means (RFC 3261 9.1).
func (k *Keys) InviteKey() uint64 { return mix(k.Txn, uint64(sip.MethodInvite)) }

func (h hasher) keys(m *sip.Message, k *Keys) {
	raw := m.Raw
	t := m.TxnKey()
	k.Call = h.bytes(m.CallID.Of(raw))
	k.FromTag = h.bytes(m.From.Tag.Of(raw))
	k.ToTag = h.bytes(m.To.Tag.Of(raw))
	id := mix(h.bytes(t.Branch.Of(raw)), h.bytes(t.SentBy.Of(raw)))
	id = mix(id, uint64(t.CSeq))
	if !t.RFC3261 {
		id = mix(id, k.FromTag)
	}
	k.Txn = id
	k.Method = h.methodHash(t.MethodID, t.Method.Of(raw))
	var line uint64
	if m.Request {
		line = mix(h.bytes(m.Method.Of(raw)), h.bytes(m.URI.Of(raw)))
	} else {
		line = mix(uint64(m.Status), h.bytes(m.Reason.Of(raw)))
	}
	k.Sig = mix(mix(mix(line, k.FromTag), k.ToTag), uint64(m.CSeq)<<8|uint64(m.CSeqMethodID))
	k.Replaces = 0
	switch {
	case !m.Request:
	case m.MethodID == sip.MethodInvite:
		k.Replaces = h.replaces(m)
	case m.MethodID == sip.MethodRefer:
		k.Replaces = h.referReplaces(m)
	}
}

// referReplaces reads the Replaces in the URI of a Refer-To.
func (h hasher) referReplaces(m *sip.Message) uint64 {
	for i := range m.Headers {
		if m.Headers[i].ID != sip.HeaderReferTo {
			continue
		}
		if refer, ok := sip.ParseReferTo(m.Headers[i].Value.Of(m.Raw)); ok {
			if r, ok := refer.Replaces(); ok {
				return h.bytes(r.CallID)
			}
		}
	}
	return 0
}

func (h hasher) replaces(m *sip.Message) uint64 {
	for i := range m.Headers {
		if m.Headers[i].ID == sip.HeaderReplaces {
			if r, ok := sip.ParseReplaces(m.Headers[i].Value.Of(m.Raw)); ok {
				return h.bytes(r.CallID)
			}
		}
	}
	return 0
}
