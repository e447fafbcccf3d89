package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sipscope/element/auth"
	"sipscope/element/media"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// userAgent makes a phone: what it is called, and how it answers.
func (m *member) userAgent(o *reader) (transport.Handler, error) {
	user := o.text("user", m.Name)
	password := o.text("password", "")
	aor := o.text("aor", "sip:"+m.Name+"@"+m.Addr.String())
	rtp := o.yes("rtp", false)
	users := words(o.text("users", ""))
	if err := o.end(); err != nil {
		return nil, err
	}
	behaviour, err := m.answer()
	if err != nil {
		return nil, err
	}
	resolver, err := m.resolver()
	if err != nil {
		return nil, err
	}
	cfg := ua.Config{
		Link: m.link, Txn: txn.Config{Trying: behaviour.trying}, Rand: m.rng, Resolver: resolver, Identity: "<" + aor + ">", User: m.Name,
		Answer: behaviour.Answer, Events: behaviour.event, Packages: m.packages(),
	}
	if len(users) > 0 {
		cfg.Users = func(user string) bool { return slices.Contains(users, user) }
	}
	if password != "" {
		cfg.Credentials = []auth.Credentials{{User: user, Password: password}}
	}
	if rtp {
		tone, err := media.Tone(0, 440)
		if err != nil {
			return nil, err
		}
		cfg.Media = ua.NewSound(ua.SoundConfig{
			Ports: m.c.stage.sound(m.Host), Rand: m.rng,
			Source: func(*ua.Call) media.Source { return tone },
		})
	}
	m.agent = ua.New(cfg)
	return m.agent.Handler(), nil
}

// behaviour is what a phone does when it is called.
type behaviour struct {
	ua.Answer

	m      *member
	trying bool          // a 100 is sent when nothing else was within 200 ms
	hold   time.Duration // after the answer; 0: never
}

// answer reads the host's "on HOST call" and "on HOST subscribe".
func (m *member) answer() (*behaviour, error) {
	b := &behaviour{m: m, Answer: ua.Answer{Code: 480, RingOnce: true}, trying: true}
	for i := range m.c.flow.Answers {
		a := &m.c.flow.Answers[i]
		if a.Who != m.Name {
			continue
		}
		o := a.Options.read()
		switch a.Verb {
		case "call":
			b.call(o)
		case "subscribe":
			m.served = o.text("event", "presence")
			m.pending = o.text("state", "active") == "pending"
			m.state = o.text("body", "open")
		default:
			return nil, fmt.Errorf("%w: on %s %s: a user agent answers call and subscribe", ErrFlow, m.Name, a.Verb)
		}
		if err := o.end(); err != nil {
			return nil, fmt.Errorf("on %s %s: %w", m.Name, a.Verb, err)
		}
	}
	return b, nil
}

func (b *behaviour) call(o *reader) {
	b.Ring = o.duration("ring", -1)
	b.RingCode = o.number("ring-code", 0)
	b.Delay = o.duration("answer", -1)
	b.Code = o.number("code", 0)
	b.Talk = o.duration("hangup", 0)
	b.Reliable = o.yes("reliable", false)
	b.EarlyMedia = o.yes("early-media", false)
	b.hold = o.duration("hold", 0)
	b.trying = o.yes("trying", true)
	for _, contact := range words(o.text("contacts", "")) {
		b.Contacts = append(b.Contacts, "<"+contact+">")
	}
}

// event does what an ua.Answer cannot say.
func (b *behaviour) event(e ua.Event) {
	switch {
	case e.Kind == ua.EventConfirmed && b.hold > 0:
		b.m.after(b.hold, "hold", e.Call.Hold)
	case e.Kind == ua.EventWatcher && e.Watcher.Pending():
		b.m.waiting = append(b.m.waiting, e.Watcher)
	}
}

// packages are what the host tells subscribers of.
func (m *member) packages() []ua.Package {
	if m.served == "" {
		return nil
	}
	return []ua.Package{{
		Event: m.served, Type: "application/pidf+xml", Pending: m.pending,
		State: func(*ua.Watcher) (string, []byte) { return "application/pidf+xml", pidf(m.flowAOR(), m.state) },
	}}
}

// flowAOR is the address of record whose presence the host knows.
func (m *member) flowAOR() string {
	if aor := m.Options["aor"]; aor != "" {
		return aor
	}
	return "sip:" + m.Name + "@" + m.Addr.String()
}

// pidf is a presence document (RFC 3863 4.1). Who writes flows chooses what stands in it.
func pidf(entity, basic string) []byte {
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity=%q>
  <tuple id="t1"><status><basic>%s</basic></status></tuple>
</presence>
`, entity, basic)
}

// did notes what could not be done.
func (m *member) did(what string, err error) {
	if err != nil {
		m.errs = append(m.errs, fmt.Errorf("%s: %s: %w", m.Name, what, err))
	}
}

// action prepares what a host does by itself.
func (m *member) action(a *Action) (func() error, error) {
	if m.agent == nil {
		return nil, fmt.Errorf("%w: %s is no user agent", ErrFlow, m.Name)
	}
	o := a.Options.read()
	o.text("at", "") // see resolver
	var route []string
	if via := o.text("via", ""); via != "" {
		host, _ := m.c.flow.Host(via)
		route = []string{"<sip:" + host.Addr.String() + ";lr>"}
	}
	var do func() error
	switch a.Verb {
	case "call":
		do = m.calls(a, o, route)
	case "register":
		do = m.registers(a, o, route)
	case "message":
		text := o.text("text", "Hello")
		do = func() error {
			_, err := m.agent.Send(ua.RequestOptions{
				Method: "MESSAGE", To: a.Target, Route: route, Type: "text/plain", Body: []byte(text),
			})
			return err
		}
	case "subscribe":
		do = m.subscribes(a, o, route)
	case "accept", "reject":
		do = func() error {
			for _, w := range m.waiting {
				if a.Verb == "accept" {
					w.Accept()
				} else {
					w.End("rejected")
				}
			}
			m.waiting = nil
			return nil
		}
	case "publish":
		state := o.text("body", "open")
		do = func() error {
			m.state = state
			m.agent.Notify(m.served)
			return nil
		}
	default:
		return nil, fmt.Errorf("%w: a user agent cannot %s", ErrFlow, a.Verb)
	}
	return do, o.end()
}

func (m *member) calls(a *Action, o *reader, route []string) func() error {
	opt := ua.CallOptions{
		To: a.Target, Route: route, Talk: o.duration("hangup", 0), Ring: o.duration("cancel", 0), Redirects: o.number("redirects", 5),
		NoOffer: !o.yes("offer", true),
	}
	return func() error {
		_, err := m.agent.Call(opt)
		return err
	}
}

func (m *member) registers(a *Action, o *reader, route []string) func() error {
	domain := a.Target
	if uri, ok := uriOf(a.Target); ok {
		domain = string(uri.Scheme) + ":" + string(uri.Host)
	}
	opt := ua.RegisterOptions{Registrar: domain, AOR: "<" + a.Target + ">", Expires: o.number("expires", 3600), Route: route}
	switch contacts := o.text("contacts", ""); contacts {
	case "":
	case "none":
		opt.Query = true
	default:
		for _, contact := range words(contacts) {
			uri, params, _ := strings.Cut(contact, ";")
			if params != "" {
				params = ";" + params
			}
			opt.Contacts = append(opt.Contacts, "<"+uri+">"+params)
		}
	}
	refresh, remove, all := o.duration("refresh", 0), o.duration("remove", 0), o.duration("remove-all", 0)
	return func() error {
		reg, err := m.agent.Register(opt)
		if err != nil {
			return err
		}
		m.after(refresh, "refresh", reg.Refresh)
		m.after(remove, "remove", func() error { return reg.Remove(false) })
		m.after(all, "remove all", func() error { return reg.Remove(true) })
		return nil
	}
}

// after does something after a time; 0: never.
func (m *member) after(wait time.Duration, what string, do func() error) {
	if wait > 0 {
		m.agent.At(m.agent.Now()+int64(wait), func(int64) { m.did(what, do()) })
	}
}

func (m *member) subscribes(a *Action, o *reader, route []string) func() error {
	opt := ua.SubscribeOptions{
		To: a.Target, Event: o.text("event", "presence"), Accept: o.text("accept", ""), Expires: o.number("expires", 3600), Route: route,
	}
	refresh, end := o.duration("refresh", 0), o.duration("end", 0)
	return func() error {
		sub, err := m.agent.Subscribe(opt)
		if err != nil {
			return err
		}
		m.after(refresh, "refresh", sub.Refresh)
		m.after(end, "unsubscribe", sub.Unsubscribe)
		return nil
	}
}
