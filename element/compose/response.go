package compose

import (
	"fmt"
	"net/netip"

	"sipscope/decode/sip"
)

// Reply is what a response has beyond what it copies from its request.
type Reply struct {
	Status      int    // 100 to 699
	Reason      string // "" stands for the usual phrase
	ToTag       string // added to To when it has none and Status is over 100 (RFC 3261 8.2.6.2)
	Headers     []Header
	RecordRoute bool // copy Record-Route, as a response that makes a dialog must (RFC 3261 12.1.1)
	ContentType string
	Body        []byte
}

// Response appends the response to req, which came from src, to dst (RFC 3261 8.2.6): all Via headers in order, the top
// value completed with received= and rport= as due (RFC 3261 18.2.1, RFC 3581 4; not when src is the zero AddrPort);
// From, To, Call-ID and CSeq; the Timestamp when the status is 100. Of a header that may be there once the first
// counts. What req lacks is left out, so that a request without a To can be told so, but a request without a Via gives
// ErrMissing: its response would lead nowhere. Content-Length is written unless r.Headers has it.
func Response(dst []byte, req *sip.Message, src netip.AddrPort, r *Reply) ([]byte, error) {
	if !req.Request {
		return dst, fmt.Errorf("compose a response to a response: %w", ErrKind)
	}
	w := newWriter(dst, sip.Style{})
	w.status(r.Status, r.Reason)
	var parts echo
	if !parts.collect(&w, req, src) {
		return dst, fmt.Errorf("compose a response: %w: Via", ErrMissing)
	}
	parts.write(&w, req, r)
	w.headers(r.Headers)
	w.body(sip.Style{}, r.ContentType, r.Body)
	return w.done(dst)
}

// echo has the headers of a request that its responses repeat.
type echo struct{ from, to, callID, cseq, timestamp *sip.Header }

// collect writes the Via headers of req and finds the others. It reports false when there is no Via.
func (e *echo) collect(w *writer, req *sip.Message, src netip.AddrPort) (routed bool) {
	first := func(p **sip.Header, h *sip.Header) {
		if *p == nil {
			*p = h
		}
	}
	for i := range req.Headers {
		h := &req.Headers[i]
		switch h.ID {
		case sip.HeaderVia:
			if from, to := firstValue(h.Value.Of(req.Raw)); from < to {
				w.vias(req, h, src, !routed)
				routed = true
			}
		case sip.HeaderFrom:
			first(&e.from, h)
		case sip.HeaderTo:
			first(&e.to, h)
		case sip.HeaderCallID:
			first(&e.callID, h)
		case sip.HeaderCSeq:
			first(&e.cseq, h)
		case sip.HeaderTimestamp:
			first(&e.timestamp, h)
		default:
		}
	}
	return routed
}

func (e *echo) write(w *writer, req *sip.Message, r *Reply) {
	if r.RecordRoute && req.HasRecordRoute {
		for i := range req.Headers {
			if h := &req.Headers[i]; h.ID == sip.HeaderRecordRoute {
				w.copied(h.ID, h.Value.Of(req.Raw))
			}
		}
	}
	one := func(h *sip.Header) {
		if h != nil {
			w.copied(h.ID, h.Value.Of(req.Raw))
		}
	}
	one(e.from)
	if e.to != nil {
		w.name(sip.HeaderTo, "")
		w.unfolded(e.to.Value.Of(req.Raw))
		if req.To.Tag.Empty() && r.ToTag != "" && r.Status > 100 {
			w.buf = append(w.buf, ";tag="...)
			checked(w, "tag", r.ToTag, false)
		}
		w.end()
	}
	one(e.callID)
	one(e.cseq)
	if r.Status == 100 {
		one(e.timestamp)
	}
}
