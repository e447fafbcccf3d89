package ua

import (
	"fmt"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// RequestOptions say what a request outside of a dialog is: MESSAGE, OPTIONS, or any other method but INVITE, ACK and
// CANCEL.
type RequestOptions struct {
	Method  string
	To      string   // URI
	From    string   // From value without tag; "" the agent's identity
	Route   []string // preloaded Route values; nil: the agent's
	Headers []compose.Header
	Type    string
	Body    []byte
	Contact bool // has a Contact; a MESSAGE must not (RFC 3428 4)
	// Events is told the answer, instead of Config.Events.
	Events func(Event)
	Data   any
}

// Request is such a request on its way.
type Request struct {
	a     *Agent
	x     *exchange
	opt   RequestOptions
	begun int64
	call  *Call // set for a request within a call
}

// Data is what the options had.
func (q *Request) Data() any { return q.opt.Data }

// Method is the method.
func (q *Request) Method() string { return q.opt.Method }

// Begun is when it was sent first, ns since 1970-01-01 UTC.
func (q *Request) Begun() int64 { return q.begun }

// Send sends a request outside of dialogs. EventResponse tells the final answer.
func (a *Agent) Send(opt RequestOptions) (*Request, error) {
	if a.closing {
		return nil, ErrClosed
	}
	switch opt.Method {
	case "", "INVITE", "ACK", "CANCEL", "PRACK", "BYE":
		return nil, fmt.Errorf("send %q outside of a dialog: %w", opt.Method, ErrState)
	}
	if _, ok := sip.ParseURI([]byte(opt.To)); !ok {
		return nil, fmt.Errorf("send %s to %q: %w: no URI", opt.Method, opt.To, ErrAddress)
	}
	a.tick()
	q := &Request{a: a, opt: opt, begun: a.now}
	x := a.exchange(q, nil)
	q.x = x
	a.address(x, opt.Method, opt.To, opt.From, opt.Route)
	x.contact = opt.Contact
	x.req.Headers = append(x.req.Headers, opt.Headers...)
	if sip.LookupMethod([]byte(opt.Method)) == sip.MethodOptions { // RFC 3261 11.1
		x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderAccept, Value: typeSDP})
	}
	x.req.ContentType, x.req.Body = opt.Type, opt.Body
	x.start()
	return q, nil
}

// address completes a request outside of dialogs with identities of its own (RFC 3261 8.1.1).
func (a *Agent) address(x *exchange, method, to, from string, route []string) {
	if route == nil {
		route = a.cfg.Route
	}
	if from == "" {
		from = a.cfg.Identity
	}
	x.outside(method, to, route)
	x.req.From, x.req.To = from+";tag="+compose.Tag(a.rng), "<"+to+">"
	x.req.CallID, x.req.CSeq = compose.CallID(a.rng, a.host), 1
}

func (q *Request) answered(x *exchange, r *received) {
	m := r.Msg
	if m.Status < 200 {
		return
	}
	x.finish()
	q.tell(&Event{Status: int(m.Status), Text: string(m.Reason.Of(m.Raw)), Msg: m, Remote: true})
	if q.call != nil && q.call.leg != nil && q.call.state == StateConfirmed {
		q.call.leg.gone(int(m.Status), m)
	}
}

func (q *Request) failed(x *exchange, err error) {
	x.finish()
	q.tell(&Event{Err: err})
}

func (q *Request) tell(e *Event) {
	e.Kind, e.Request, e.Method, e.Call = EventResponse, q, q.opt.Method, q.call
	if q.call != nil {
		e.Kind = EventAccepted
		if e.Status < 200 || e.Status > 299 {
			e.Kind = EventRefused
		}
	}
	if q.opt.Events != nil {
		e.At = q.a.now
		q.opt.Events(*e)
	} else {
		q.a.emit(e)
	}
	q.a.settle()
}

// Request sends a request within the call: INFO, MESSAGE, OPTIONS or a method of one's own. EventAccepted or EventRefused
// tells the answer.
func (c *Call) Request(opt RequestOptions) (*Request, error) {
	l := c.leg
	switch opt.Method {
	case "", "INVITE", "ACK", "CANCEL", "PRACK", "BYE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER":
		return nil, fmt.Errorf("send %q in a call: %w", opt.Method, ErrState)
	}
	if l == nil || c.state >= StateEnding || c.state == StateCalling {
		return nil, fmt.Errorf("send %s in a call that is %s: %w", opt.Method, c.state, ErrState)
	}
	q := &Request{a: c.a, opt: opt, begun: c.a.now, call: c}
	x := l.request(q, opt.Method)
	q.x = x
	x.contact = opt.Contact
	x.req.Headers = append(x.req.Headers, opt.Headers...)
	x.req.ContentType, x.req.Body = opt.Type, opt.Body
	x.start()
	return q, nil
}

// Info sends an INFO (RFC 6086).
func (c *Call) Info(contentType string, body []byte) error {
	_, err := c.Request(RequestOptions{Method: "INFO", Type: contentType, Body: body})
	return err
}

// Digit sends a DTMF digit by INFO, for peers without telephone-event.
func (c *Call) Digit(digit byte) error {
	if !strings.ContainsRune("0123456789*#ABCD", rune(digit)) {
		return fmt.Errorf("digit %q: %w", digit, ErrState)
	}
	return c.Info("application/dtmf-relay", []byte("Signal="+string(rune(digit))+"\r\nDuration=160\r\n"))
}
