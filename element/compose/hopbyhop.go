package compose

import (
	"fmt"
	"strconv"

	"sipscope/decode/sip"
)

// Ack appends the ACK of a final response that is no 2xx to dst (RFC 3261 17.1.1.3): Request-URI, top Via, Route, From,
// Call-ID and the number of CSeq of the INVITE, and To of the response. The ACK of a 2xx is dialog's.
func Ack(dst []byte, invite, resp *sip.Message) ([]byte, error) {
	if resp.Request {
		return dst, fmt.Errorf("compose an ACK of a request: %w", ErrKind)
	}
	return hopByHop(dst, "ACK", invite, resp, "")
}

// Cancel appends the CANCEL of an INVITE to dst (RFC 3261 9.1). reason is the value of its Reason header (RFC 3326), ""
// for none.
func Cancel(dst []byte, invite *sip.Message, reason string) ([]byte, error) {
	return hopByHop(dst, "CANCEL", invite, invite, reason)
}

// hopByHop writes a request that belongs to invite and goes the same way, to its next hop and no further by itself.
// to is the message whose To it has.
func hopByHop(dst []byte, method string, invite, to *sip.Message, reason string) ([]byte, error) {
	if !invite.Request {
		return dst, fmt.Errorf("compose %s of a response: %w", method, ErrKind)
	}
	if !invite.HasCSeq || invite.CallID.Empty() {
		return dst, fmt.Errorf("compose %s: %w: CSeq or Call-ID", method, ErrMissing)
	}
	w := newWriter(dst, sip.Style{})
	// as the INVITE has it, even where it cannot be a URI: the server is to find the INVITE by it (RFC 3261 9.1)
	w.buf = append(append(w.buf, method...), ' ')
	w.unfolded(invite.URI.Of(invite.Raw))
	w.buf = append(w.buf, " SIP/2.0"...)
	w.end()
	if !w.topVia(invite) {
		return dst, fmt.Errorf("compose %s: %w: Via", method, ErrMissing)
	}
	w.number(sip.HeaderMaxForwards, DefaultMaxForwards)
	w.repeated(invite, sip.HeaderRoute, false)
	w.repeated(invite, sip.HeaderFrom, true)
	w.repeated(to, sip.HeaderTo, true)
	w.repeated(invite, sip.HeaderCallID, true)
	w.name(sip.HeaderCSeq, "")
	w.buf = strconv.AppendUint(w.buf, uint64(invite.CSeq), 10)
	w.buf = append(append(w.buf, ' '), method...)
	w.end()
	if reason != "" {
		field(&w, sip.HeaderReason, reason)
	}
	w.body(sip.Style{}, "", nil)
	return w.done(dst)
}

// topVia writes the first Via value alone.
func (w *writer) topVia(m *sip.Message) bool {
	for i := range m.Headers {
		h := &m.Headers[i]
		if h.ID != sip.HeaderVia {
			continue
		}
		value := h.Value.Of(m.Raw)
		if from, to := firstValue(value); from < to {
			w.copied(sip.HeaderVia, value[from:to])
			return true
		}
	}
	return false
}

// repeated writes the headers of that id, or only the first.
func (w *writer) repeated(m *sip.Message, id sip.HeaderID, once bool) {
	for i := range m.Headers {
		if h := &m.Headers[i]; h.ID == id {
			w.copied(id, h.Value.Of(m.Raw))
			if once {
				return
			}
		}
	}
}
