package scenario

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/proxy"
	"sipscope/element/registrar"
	"sipscope/element/resolve"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// cast makes an element of each host, and has it do its part.
type cast struct {
	flow    *Flow
	stage   stage
	rng     *rand.Rand
	members map[string]*member
}

// member is a host at work. What it has belongs to the loop of the host.
type member struct {
	*Host

	c     *cast
	link  transport.Link
	rng   *rand.Rand
	store *registrar.Store // of all but user agents
	// domains are those that a server is responsible for.
	domains []string
	agent   *ua.Agent // of a user agent

	served  string        // event package of a user agent that is subscribed to
	pending bool          // its subscribers wait
	state   string        // what it tells them
	waiting []*ua.Watcher // those that wait for "accept"

	errs []error // of its actions
}

// build makes all elements and plans the actions.
func (c *cast) build() error {
	for i := range c.flow.Hosts {
		h := &c.flow.Hosts[i]
		link, err := c.stage.link(h)
		if err != nil {
			return err
		}
		// a generator each: on sockets, loops run side by side
		m := &member{Host: h, c: c, link: link, rng: rand.New(rand.NewPCG(c.rng.Uint64(), c.rng.Uint64()))} //nolint:gosec // see Play
		c.members[h.Name] = m
	}
	for i := range c.flow.Hosts {
		m := c.members[c.flow.Hosts[i].Name]
		handler, err := m.element()
		if err != nil {
			return fmt.Errorf("host %s: %w", m.Name, err)
		}
		c.stage.attach(m.Host, handler)
	}
	for i := range c.flow.Actions {
		a := &c.flow.Actions[i]
		m := c.members[a.Who]
		do, err := m.action(a)
		if err != nil {
			return fmt.Errorf("do %s %s: %w", a.Who, a.Verb, err)
		}
		c.stage.at(m.Host, c.stage.start()+a.At, func() {
			if err := do(); err != nil {
				m.errs = append(m.errs, fmt.Errorf("%s %s: %w", a.Who, a.Verb, err))
			}
		})
	}
	return nil
}

// failed gives what went wrong in the loops, once they have ended.
func (c *cast) failed() error {
	var errs []error
	for i := range c.flow.Hosts {
		errs = append(errs, c.members[c.flow.Hosts[i].Name].errs...)
	}
	return errors.Join(errs...)
}

// element makes what the host is.
func (m *member) element() (transport.Handler, error) {
	o := m.Options.read()
	o.text("alias", "")
	if m.Role == UserAgent {
		return m.userAgent(o)
	}
	if err := m.location(); err != nil {
		return nil, err
	}
	m.domains = words(o.text("domain", ""))
	switch m.Role {
	case Proxy:
		return m.proxy(o)
	case Registrar:
		return m.registrar(o)
	default:
		return m.redirect(o)
	}
}

func (m *member) redirect(o *reader) (transport.Handler, error) {
	if err := o.end(); err != nil {
		return nil, err
	}
	r := registrar.NewRedirect(registrar.RedirectConfig{Store: m.store, Rand: m.rng})
	layer := txn.New(m.link, r, txn.Config{Rand: m.rng})
	r.Attach(layer)
	return registrar.Handler(layer, m.store), nil
}

// location makes the host's location service. What a registrar learns is told to the hosts whose option locations names it:
// each has its own copy, since each has its own loop.
func (m *member) location() error {
	cfg := registrar.StoreConfig{}
	if m.Role == Registrar {
		cfg.Event = m.tell
	}
	m.store = registrar.NewStore(cfg)
	for i := range m.c.flow.Binds {
		b := &m.c.flow.Binds[i]
		for _, contact := range b.Contacts {
			binding := registrar.Binding{URI: contact, Q: -1, Ends: registrar.Forever}
			if uri, params, ok := strings.Cut(contact, ";q="); ok {
				binding.URI, binding.Q = uri, sip.ContactQ([]byte(";q="+params))
			}
			if err := m.store.Add(b.AOR, &binding, m.c.stage.start()); err != nil {
				return fmt.Errorf("bind %s: %w", b.AOR, err)
			}
		}
	}
	return nil
}

// tell copies what a registrar has bound.
func (m *member) tell(e registrar.Event) {
	if e.Kind != registrar.Bound && e.Kind != registrar.Refreshed {
		return
	}
	for i := range m.c.flow.Hosts {
		other := m.c.members[m.c.flow.Hosts[i].Name]
		if other.Options["locations"] != m.Name {
			continue
		}
		m.c.stage.at(other.Host, 0, func() {
			if err := other.store.Add(e.AOR, &e.Binding, e.Now); err != nil {
				other.errs = append(other.errs, err)
			}
		})
	}
}

func (m *member) registrar(o *reader) (transport.Handler, error) {
	cfg := registrar.Config{Store: m.store, Domains: m.domains, Rand: m.rng}
	var err error
	if cfg.Auth, _, err = m.asker(o, false); err != nil {
		return nil, err
	}
	if err = o.end(); err != nil {
		return nil, err
	}
	r := registrar.New(cfg)
	layer := txn.New(m.link, r, txn.Config{Rand: m.rng})
	r.Attach(layer)
	return registrar.Handler(layer, m.store), nil
}

// asker makes who asks for the passwords of accounts=user:password,user:password; nil without accounts.
func (m *member) asker(o *reader, proxied bool) (server *auth.Server, realm string, err error) {
	accounts := words(o.text("accounts", ""))
	realm = m.Name
	if len(m.domains) > 0 {
		realm = m.domains[0]
	}
	realm = o.text("realm", realm)
	life := o.duration("nonce-life", 0)
	if len(accounts) == 0 {
		return nil, "", nil
	}
	passwords := map[string]string{}
	for _, account := range accounts {
		user, password, _ := strings.Cut(account, ":")
		passwords[user] = password
	}
	server, err = auth.NewServer(auth.ServerConfig{
		Realm: realm, Rand: m.rng, Proxy: proxied, NonceLife: int64(life), Opaque: compose.Tag(m.rng),
		Lookup: func(user, _ string) (string, bool) { p, ok := passwords[user]; return p, ok },
	})
	return server, realm, err
}

func (m *member) proxy(o *reader) (transport.Handler, error) {
	cfg, err := m.proxyConfig(o)
	stateless := o.text("mode", "stateful")
	if err = errors.Join(err, o.end()); err != nil {
		return nil, err
	}
	switch stateless {
	case "stateless":
		p, err := proxy.NewStateless(cfg)
		if err != nil {
			return nil, err
		}
		p.Attach(m.link)
		return p, nil
	case "stateful":
		p, err := proxy.New(cfg)
		if err != nil {
			return nil, err
		}
		p.Attach(txn.New(m.link, p, txn.Config{Merged: true, StrayCancel: true, Rand: m.rng}))
		return p.Handler(), nil
	default:
		return nil, fmt.Errorf("%w: mode=%s is neither stateful nor stateless", ErrFlow, stateless)
	}
}

func (m *member) proxyConfig(o *reader) (proxy.Config, error) {
	cfg := proxy.Config{
		Listeners: []transport.Hop{{Proto: transport.UDP, Local: netip.AddrPortFrom(m.Addr, Port)}},
		Domains:   m.domains, Locator: proxy.Location{Store: m.store}, Rand: m.rng,
		Recurse: o.yes("recurse", false), TimerC: int64(o.duration("timer-c", 0)),
	}
	if alias := m.Options["alias"]; alias != "" {
		cfg.Names = []string{alias}
	}
	switch route := o.text("record-route", "no"); route {
	case "no":
	case "yes", "strict":
		cfg.RecordRoute, cfg.StrictRoute = true, route == "strict"
	default:
		return cfg, fmt.Errorf("%w: record-route=%s is none of yes, no, strict", ErrFlow, route)
	}
	from := o.text("locations", "")
	if host, ok := m.c.flow.Host(from); from != "" && (!ok || host.Role != Registrar) {
		return cfg, fmt.Errorf("%w: locations=%s is no registrar", ErrFlow, from)
	}
	var err error
	if cfg.Fork, err = proxy.ParseFork(o.text("fork", "q")); err != nil {
		return cfg, fmt.Errorf("%w: %w", ErrFlow, err)
	}
	if cfg.Resolver, err = m.resolver(); err != nil {
		return cfg, err
	}
	server, realm, err := m.asker(o, true)
	if server != nil {
		cfg.Auth, cfg.Realm = server, realm
	}
	return cfg, err
}

// resolver knows the flow's names. For a user agent with at=HOST in an action, the target's domain is that host.
func (m *member) resolver() (resolve.Resolver, error) {
	var table resolve.Table
	own := map[string]netip.Addr{}
	for i := range m.c.flow.Actions {
		a := &m.c.flow.Actions[i]
		if at, ok := m.c.flow.Host(a.Options["at"]); ok && a.Who == m.Name {
			if uri, ok := sip.ParseURI([]byte(a.Target)); ok {
				own[string(uri.Host)] = at.Addr
			}
		}
	}
	for host, addr := range own {
		if err := table.Host(host + "=" + addr.String()); err != nil {
			return nil, err
		}
	}
	for i := range m.c.flow.Records {
		r := &m.c.flow.Records[i]
		if _, ok := own[strings.TrimPrefix(strings.TrimPrefix(r.Name, "_sip._udp."), "_sip._tcp.")]; ok {
			continue
		}
		value := r.Name + "=" + strings.ReplaceAll(r.Value, " ", ",")
		var err error
		switch r.Type {
		case "a", "aaaa":
			err = table.Host(value)
		case "srv":
			err = table.SRV(value)
		case "naptr":
			err = table.NAPTR(value)
		default:
			err = fmt.Errorf("%w: dns type %q is none of a, aaaa, srv, naptr", ErrFlow, r.Type)
		}
		if err != nil {
			return nil, err
		}
	}
	return resolve.New(resolve.Config{
		Table: &table, Server: "none", Now: m.link.Now, Rand: m.rng, Transports: []transport.Proto{transport.UDP},
	}), nil
}

// uriOf reads a URI of a flow.
func uriOf(s string) (sip.URI, bool) { return sip.ParseURI([]byte(s)) }

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
