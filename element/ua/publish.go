package ua

import (
	"fmt"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// PublishOptions say what is published (RFC 3903).
type PublishOptions struct {
	To      string // URI of the one whose state it is
	Event   string // package
	Expires int    // seconds; 0: 3600
	Route   []string
	Headers []compose.Header
	Type    string
	Body    []byte
	Events  func(Event)
	Data    any
}

// Publication is a state that is published, and refreshed until it is removed.
type Publication struct {
	a        *Agent
	index    int
	opt      PublishOptions
	alarm    alarm
	x        *exchange
	etag     string
	expires  int
	changed  bool // the body has to be sent
	removing bool
	done     bool
	tries    int
}

func (p *Publication) place() *int { return &p.index }

// Data is what the options had.
func (p *Publication) Data() any { return p.opt.Data }

// ETag is the entity tag that the server gave last (RFC 3903 4.1); "" none.
func (p *Publication) ETag() string { return p.etag }

// Publish publishes a state. EventPublished and EventUnpublished tell what becomes of it.
func (a *Agent) Publish(opt PublishOptions) (*Publication, error) {
	if a.closing {
		return nil, ErrClosed
	}
	if _, ok := sip.ParseURI([]byte(opt.To)); !ok || opt.Event == "" {
		return nil, fmt.Errorf("publish %q of %q: %w: no URI, or no event package", opt.Event, opt.To, ErrAddress)
	}
	a.tick()
	p := &Publication{a: a, opt: opt, expires: orInt(opt.Expires, 3600), changed: true}
	p.alarm.own = p
	a.standing.add(p)
	p.send()
	return p, nil
}

// Change publishes another body (RFC 3903 4.1: modify).
func (p *Publication) Change(contentType string, body []byte) error {
	if p.done || p.removing {
		return fmt.Errorf("change a publication: %w", ErrState)
	}
	p.opt.Type, p.opt.Body, p.changed = contentType, body, true
	if p.x == nil {
		p.send()
	}
	return nil
}

// Remove takes the state away.
func (p *Publication) Remove() error {
	if p.done || p.removing {
		return fmt.Errorf("remove a publication: %w", ErrState)
	}
	p.removing = true
	p.a.alarms.drop(&p.alarm)
	if p.x == nil {
		p.sendOrFinish()
	}
	return nil
}

func (p *Publication) close() { _ = p.Remove() } // it is being removed already

func (p *Publication) sendOrFinish() {
	if p.etag == "" {
		p.finish(&Event{}) // nothing is there
		return
	}
	p.send()
}

// send sends a PUBLISH: with a body the first time and when it changed, without one to refresh or remove.
func (p *Publication) send() {
	a := p.a
	x := a.exchange(p, nil)
	p.x = x
	a.address(x, "PUBLISH", p.opt.To, "", p.opt.Route)
	expires := p.expires
	if p.removing {
		expires = 0
	}
	x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderEvent, Value: p.opt.Event},
		compose.Header{ID: sip.HeaderExpires, Value: strconv.Itoa(expires)})
	if p.etag != "" {
		x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderSIPIfMatch, Value: p.etag})
	}
	x.req.Headers = append(x.req.Headers, p.opt.Headers...)
	if p.changed && !p.removing {
		x.req.ContentType, x.req.Body = p.opt.Type, p.opt.Body
	}
	p.changed = false
	x.start()
}

func (p *Publication) answered(x *exchange, r *received) {
	m := r.Msg
	if m.Status < 200 {
		return
	}
	x.finish()
	p.x = nil
	switch {
	case m.Status < 300:
		p.published(m, removes(x))
	case m.Status == 412 && p.etag != "" && p.tries < 3: // RFC 3903 4.4: publish anew
		p.tries++
		p.etag, p.changed = "", true
		if p.removing {
			p.finish(&Event{Status: 412, Msg: m, Remote: true})
			return
		}
		p.send()
	case m.Status == 423 && m.MinExpires > int64(p.expires) && m.MinExpires < maxInterval && p.tries < 3:
		p.tries++
		p.expires, p.changed = int(m.MinExpires), p.etag == ""
		p.send()
	default:
		p.finish(&Event{Status: int(m.Status), Text: string(m.Reason.Of(m.Raw)), Msg: m, Remote: true})
	}
}

// maxETag bounds what is kept of a SIP-ETag, bytes.
const maxETag = 1024

// published is a 2xx, which always has a new entity tag (RFC 3903 6).
func (p *Publication) published(m *sip.Message, removal bool) {
	a := p.a
	p.tries = 0
	if v, ok := m.Value(sip.HeaderSIPETag); ok && len(v) <= maxETag {
		p.etag = string(v)
	}
	switch {
	case p.removing && !removal && p.etag != "":
		p.send() // removing began after the request that was answered
		return
	case p.removing:
		p.finish(&Event{Status: int(m.Status), Msg: m, Remote: true})
		return
	}
	seconds := int64(p.expires)
	if m.Expires > 0 {
		seconds = min(m.Expires, maxInterval)
	}
	a.alarms.set(&p.alarm, 0, a.now+refreshAfter(seconds))
	p.tell(&Event{Kind: EventPublished, Status: int(m.Status), Expires: int(seconds), Msg: m, Remote: true})
	if p.changed && p.x == nil && !p.done {
		p.send()
	}
}

func (p *Publication) failed(x *exchange, err error) {
	x.finish()
	p.x = nil
	p.finish(&Event{Err: err})
}

func (p *Publication) finish(e *Event) {
	p.done, p.etag = true, ""
	p.a.alarms.drop(&p.alarm)
	p.a.standing.remove(p)
	e.Kind = EventUnpublished
	p.tell(e)
	p.a.settle()
}

func (p *Publication) tell(e *Event) {
	e.Publication, e.Method = p, "PUBLISH"
	p.a.tell(p.opt.Events, e)
}

func (p *Publication) fired(int, int64) {
	if p.x == nil && !p.done {
		p.send()
	}
}
