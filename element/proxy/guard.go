package proxy

import (
	"sipscope/decode/sip"
)

// A proxy that does not serve everybody (closed, or with passwords) must not take a request for part of a dialog because
// it looks so: a To tag and a Route are quickly made up, and would lead anywhere. So it puts a seal of the Call-ID into
// its Record-Route, as a URI parameter, and a request is within a dialog when the seal comes back in the own Route value
// (RFC 3261 16.12; 19.1.1: parameters that an element does not know stay). Whoever began no dialog here has none.
const sealParam = "d"

// guarded reports whether dialogs must be shown to be such.
func (e *engine) guarded() bool { return e.cfg.Closed || e.cfg.Auth != nil }

// dialogSeal is the seal of a request's dialog.
func (e *engine) dialogSeal(m *sip.Message) uint64 {
	s := newHasher(e.flowKey)
	s.add(m.CallID.Of(m.Raw))
	return s.sum()
}

// appendSeal adds it to an own Record-Route value.
func (e *engine) appendSeal(dst []byte, m *sip.Message) []byte {
	if !e.guarded() {
		return dst
	}
	return appendWord(append(dst, ";"+sealParam+"="...), e.dialogSeal(m))
}

// sealed reports whether an own URI has the seal of the request's dialog.
func (e *engine) sealed(params []byte, m *sip.Message) bool {
	if !e.guarded() {
		return false
	}
	v, ok := sip.Param(params, sealParam)
	if !ok || len(v) != wordSize {
		return false
	}
	word, ok := parseWord(v)
	return ok && word == e.dialogSeal(m)
}

// within reports whether a request of which e.plan was read is part of a dialog that was let through here, or may be
// where nobody is refused.
func (e *engine) within(m *sip.Message) bool {
	return !m.To.Tag.Empty() && (!e.guarded() || e.plan.sealed)
}

// leaves is the status for a request that goes where its sender says: 403 from a closed proxy, and for an ACK or a CANCEL,
// which nobody can be asked to prove, from one with passwords; unless it is part of a dialog.
func (e *engine) leaves(m *sip.Message) (status int) {
	unasked := e.cfg.Auth != nil && (m.MethodID == sip.MethodAck || m.MethodID == sip.MethodCancel)
	if (e.cfg.Closed || unasked) && !e.within(m) {
		return 403
	}
	return 0
}
