package diff

import "strings"

// ours reports whether who sent an event is played by whoever made the flow; see Flow.Ours.
func (s *side) ours(e *event) bool { return s.flow.Ours != nil && s.flow.Ours(e.src) }

// added reports whether an event of B that A lacks is a request of ours, or belongs to the exchange of one: it follows
// from what the others did.
func (w *work) added(i int) bool {
	b := w.sides[1]
	x := &b.exchanges[b.events[i].exchange]
	return x.partner < 0 && x.request >= 0 && b.ours(&b.events[x.request])
}

// gaveUp finds the CANCEL by which we gave up waiting for the answer to an INVITE of B that A did not cancel, nil for
// none.
func (w *work) gaveUp(y *exchange) *event {
	b := w.sides[1]
	if b.flow.Ours == nil || y.method != "INVITE" || y.request < 0 {
		return nil
	}
	q := &b.events[y.request]
	if !b.ours(q) {
		return nil
	}
	for i := range b.exchanges {
		c := &b.exchanges[i]
		if c.method != "CANCEL" || c.request < 0 || c.partner >= 0 || c.from != y.from || c.to != y.to {
			continue
		}
		if e := &b.events[c.request]; e.cseq == q.cseq && e.ref.Call == q.ref.Call {
			return e
		}
	}
	return nil
}

// unanswered says that the INVITE of y had no final response when we gave it up; x is its partner of A.
func (w *work) unanswered(x, y *exchange, cancel *event) string {
	b := w.sides[1]
	q := &b.events[y.request]
	return w.silence(x, y, cancel.time-q.time) + w.notes(q, q.ref.Call) + "; it was cancelled"
}

// silence says that no final response came to an exchange of B within some time, 0 when that is not known.
func (w *work) silence(x, y *exchange, within int64) string {
	a, b := w.sides[0], w.sides[1]
	text, last := "no answer to ", lastCode(b, y)
	if last != "" {
		text = "no final response to "
	}
	text += w.kind(&a.events[x.events[0]])
	if within > 0 {
		text += " within " + seconds(within)
	}
	if last != "" {
		text += ", " + last + " was the last"
	}
	return text + ", expected " + strings.Join(a.codes(x), " then ")
}
