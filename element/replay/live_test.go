package replay_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/proxy"
	"sipscope/element/registrar"
	"sipscope/element/resolve"
	"sipscope/element/scenario"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
	"sipscope/element/virtual"
)

const port = 5060

// live is one host of a flow as a real element: what the replay is played against.
type live struct {
	tb    testing.TB
	flow  *scenario.Flow
	host  *scenario.Host
	link  *virtual.Host
	rng   *rand.Rand
	store *registrar.Store
	agent *ua.Agent
	layer *txn.Layer // of all but agents and stateless proxies
	state string
	wait  []*ua.Watcher
}

// option gives an option of a host or of what it does.
func option(o scenario.Options, name, otherwise string) string {
	if v, ok := o[name]; ok {
		return v
	}
	return otherwise
}

func (l *live) duration(o scenario.Options, name string, otherwise time.Duration) time.Duration {
	v, ok := o[name]
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		l.tb.Fatal(err)
	}
	return d
}

func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// newLive makes the element of a host and plans its actions.
func newLive(tb testing.TB, net *virtual.Net, flow *scenario.Flow, name string) *live {
	tb.Helper()
	h, ok := flow.Host(name)
	if !ok {
		tb.Fatalf("no host %s", name)
	}
	l := &live{tb: tb, flow: flow, host: h, rng: rand.New(rand.NewPCG(7, 9))}
	at := netip.AddrPortFrom(h.Addr, port)
	l.link = net.Host(name, transport.Listen{Proto: transport.UDP, AddrPort: at}, transport.Listen{Proto: transport.TCP, AddrPort: at})
	l.link.Attach(l.element())
	for i := range flow.Actions {
		if a := &flow.Actions[i]; a.Who == name {
			l.link.At(net.Now()+a.At, func() { l.act(a) })
		}
	}
	return l
}

func (l *live) element() transport.Handler {
	if l.host.Role == scenario.UserAgent {
		return l.userAgent()
	}
	l.store = registrar.NewStore(registrar.StoreConfig{})
	for _, b := range l.flow.Binds {
		for _, contact := range b.Contacts {
			binding := registrar.Binding{URI: contact, Q: -1, Ends: registrar.Forever}
			if uri, params, ok := strings.Cut(contact, ";q="); ok {
				binding.URI, binding.Q = uri, sip.ContactQ([]byte(";q="+params))
			}
			if err := l.store.Add(b.AOR, &binding, l.link.Now()); err != nil {
				l.tb.Fatal(err)
			}
		}
	}
	if l.host.Options["locations"] != "" { // what the registrar, which is not there, would tell
		for i := range l.flow.Actions {
			if a := &l.flow.Actions[i]; a.Verb == "register" {
				who, _ := l.flow.Host(a.Who)
				at := registrar.Binding{URI: fmt.Sprintf("sip:%s@%s:%d", a.Who, who.Addr, port), Q: -1, Ends: registrar.Forever}
				if err := l.store.Add(a.Target, &at, l.link.Now()); err != nil {
					l.tb.Fatal(err)
				}
			}
		}
	}
	switch l.host.Role {
	case scenario.Proxy:
		return l.proxy()
	case scenario.Registrar:
		server, _ := l.asker(false)
		r := registrar.New(registrar.Config{Store: l.store, Domains: words(l.host.Options["domain"]), Rand: l.rng, Auth: server})
		l.layer = txn.New(l.link, r, txn.Config{Rand: l.rng})
		r.Attach(l.layer)
		return registrar.Handler(l.layer, l.store)
	default:
		r := registrar.NewRedirect(registrar.RedirectConfig{Store: l.store, Rand: l.rng})
		l.layer = txn.New(l.link, r, txn.Config{Rand: l.rng})
		r.Attach(l.layer)
		return registrar.Handler(l.layer, l.store)
	}
}

func (l *live) asker(proxied bool) (*auth.Server, string) {
	o := l.host.Options
	realm := l.host.Name
	if d := words(o["domain"]); len(d) > 0 {
		realm = d[0]
	}
	realm = option(o, "realm", realm)
	accounts := words(o["accounts"])
	if len(accounts) == 0 {
		return nil, ""
	}
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: realm, Rand: l.rng, Proxy: proxied, NonceLife: int64(l.duration(o, "nonce-life", 0)), Opaque: compose.Tag(l.rng),
		Lookup: func(user, _ string) (string, bool) {
			for _, a := range accounts {
				if u, p, _ := strings.Cut(a, ":"); u == user {
					return p, true
				}
			}
			return "", false
		},
	})
	if err != nil {
		l.tb.Fatal(err)
	}
	return server, realm
}

func (l *live) proxy() transport.Handler {
	o := l.host.Options
	cfg := proxy.Config{
		Listeners: []transport.Hop{{Proto: transport.UDP, Local: netip.AddrPortFrom(l.host.Addr, port)}},
		Domains:   words(o["domain"]), Locator: proxy.Location{Store: l.store}, Rand: l.rng,
		Recurse: o["recurse"] == "yes", TimerC: int64(l.duration(o, "timer-c", 0)), Resolver: l.resolver(),
	}
	if alias := o["alias"]; alias != "" {
		cfg.Names = []string{alias}
	}
	switch option(o, "record-route", "no") {
	case "yes":
		cfg.RecordRoute = true
	case "strict":
		cfg.RecordRoute, cfg.StrictRoute = true, true
	}
	var err error
	if cfg.Fork, err = proxy.ParseFork(option(o, "fork", "q")); err != nil {
		l.tb.Fatal(err)
	}
	if server, realm := l.asker(true); server != nil {
		cfg.Auth, cfg.Realm = server, realm
	}
	if o["mode"] == "stateless" {
		s, problem := proxy.NewStateless(cfg)
		if problem != nil {
			l.tb.Fatal(problem)
		}
		s.Attach(l.link)
		return s
	}
	p, err := proxy.New(cfg)
	if err != nil {
		l.tb.Fatal(err)
	}
	l.layer = txn.New(l.link, p, txn.Config{Merged: true, StrayCancel: true, Rand: l.rng})
	p.Attach(l.layer)
	return p.Handler()
}

func (l *live) resolver() resolve.Resolver {
	var table resolve.Table
	own := map[string]netip.Addr{}
	for i := range l.flow.Actions {
		a := &l.flow.Actions[i]
		if at, ok := l.flow.Host(a.Options["at"]); ok && a.Who == l.host.Name {
			if uri, ok := sip.ParseURI([]byte(a.Target)); ok {
				own[string(uri.Host)] = at.Addr
			}
		}
	}
	must := func(err error) {
		if err != nil {
			l.tb.Fatal(err)
		}
	}
	for host, addr := range own {
		must(table.Host(host + "=" + addr.String()))
	}
	for _, r := range l.flow.Records {
		if _, ok := own[strings.TrimPrefix(strings.TrimPrefix(r.Name, "_sip._udp."), "_sip._tcp.")]; ok {
			continue
		}
		value := r.Name + "=" + strings.ReplaceAll(r.Value, " ", ",")
		switch r.Type {
		case "a", "aaaa":
			must(table.Host(value))
		case "srv":
			must(table.SRV(value))
		case "naptr":
			must(table.NAPTR(value))
		}
	}
	return resolve.New(resolve.Config{
		Table: &table, Server: "none", Now: l.link.Now, Rand: l.rng, Transports: []transport.Proto{transport.UDP},
	})
}

func (l *live) aor() string {
	return option(l.host.Options, "aor", "sip:"+l.host.Name+"@"+l.host.Addr.String())
}

func (l *live) userAgent() transport.Handler {
	o := l.host.Options
	answer, trying, hold, packages := l.behaviour()
	cfg := ua.Config{
		Link: l.link, Txn: txn.Config{Trying: trying}, Rand: l.rng, Resolver: l.resolver(), Identity: "<" + l.aor() + ">",
		User: l.host.Name, Answer: answer, Packages: packages,
		Events: func(e ua.Event) {
			switch {
			case e.Kind == ua.EventConfirmed && hold > 0:
				l.later(hold, func() { _ = e.Call.Hold() })
			case e.Kind == ua.EventWatcher && e.Watcher.Pending():
				l.wait = append(l.wait, e.Watcher)
			}
		},
	}
	if users := words(o["users"]); len(users) > 0 {
		cfg.Users = func(user string) bool { return slices.Contains(users, user) }
	}
	if password := o["password"]; password != "" {
		cfg.Credentials = []auth.Credentials{{User: option(o, "user", l.host.Name), Password: password}}
	}
	l.agent = ua.New(cfg)
	return l.agent.Handler()
}

func (l *live) behaviour() (answer ua.Answer, trying bool, hold time.Duration, packages []ua.Package) {
	answer, trying = ua.Answer{Code: 480, RingOnce: true}, true
	for i := range l.flow.Answers {
		a := &l.flow.Answers[i]
		if a.Who != l.host.Name {
			continue
		}
		o := a.Options
		if a.Verb == "subscribe" {
			l.state = option(o, "body", "open")
			packages = []ua.Package{{
				Event: option(o, "event", "presence"), Type: "application/pidf+xml", Pending: o["state"] == "pending",
				State: func(*ua.Watcher) (string, []byte) {
					return "application/pidf+xml", fmt.Appendf(nil, "<presence entity=%q>%s</presence>\n", l.aor(), l.state)
				},
			}}
			continue
		}
		number := func(name string) int {
			n, _ := strconv.Atoi(option(o, name, "0"))
			return n
		}
		answer.Ring, answer.RingCode = l.duration(o, "ring", -1), number("ring-code")
		answer.Delay, answer.Code = l.duration(o, "answer", -1), number("code")
		answer.Talk, answer.Reliable = l.duration(o, "hangup", 0), o["reliable"] == "yes"
		answer.EarlyMedia = o["early-media"] == "yes"
		hold, trying = l.duration(o, "hold", 0), option(o, "trying", "yes") == "yes"
		for _, contact := range words(o["contacts"]) {
			answer.Contacts = append(answer.Contacts, "<"+contact+">")
		}
	}
	return answer, trying, hold, packages
}

func (l *live) later(wait time.Duration, do func()) {
	if wait > 0 {
		l.agent.At(l.agent.Now()+int64(wait), func(int64) { do() })
	}
}

// act does what the flow has the host do by itself.
func (l *live) act(a *scenario.Action) {
	o := a.Options
	var route []string
	if via, ok := l.flow.Host(o["via"]); ok {
		route = []string{"<sip:" + via.Addr.String() + ";lr>"}
	}
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(option(o, name, strconv.Itoa(otherwise)))
		if err != nil {
			l.tb.Fatal(err)
		}
		return n
	}
	var err error
	switch a.Verb {
	case "call":
		_, err = l.agent.Call(ua.CallOptions{
			To: a.Target, Route: route, Talk: l.duration(o, "hangup", 0), Ring: l.duration(o, "cancel", 0),
			Redirects: number("redirects", 5), NoOffer: o["offer"] == "no",
		})
	case "register":
		err = l.register(a, route, number("expires", 3600))
	case "message":
		_, err = l.agent.Send(ua.RequestOptions{
			Method: "MESSAGE", To: a.Target, Route: route, Type: "text/plain", Body: []byte(option(o, "text", "Hello")),
		})
	case "subscribe":
		var sub *ua.Subscription
		sub, err = l.agent.Subscribe(ua.SubscribeOptions{
			To: a.Target, Event: option(o, "event", "presence"), Accept: o["accept"], Expires: number("expires", 3600), Route: route,
		})
		if err == nil {
			l.later(l.duration(o, "refresh", 0), func() { _ = sub.Refresh() })
			l.later(l.duration(o, "end", 0), func() { _ = sub.Unsubscribe() })
		}
	case "accept", "reject":
		for _, w := range l.wait {
			if a.Verb == "accept" {
				w.Accept()
			} else {
				w.End("rejected")
			}
		}
		l.wait = nil
	case "publish":
		l.state = option(o, "body", "open")
		l.agent.Notify("presence")
	}
	if err != nil {
		l.tb.Errorf("%s %s: %v", a.Who, a.Verb, err)
	}
}

func (l *live) register(a *scenario.Action, route []string, expires int) error {
	o := a.Options
	domain := a.Target
	if uri, ok := sip.ParseURI([]byte(a.Target)); ok {
		domain = string(uri.Scheme) + ":" + string(uri.Host)
	}
	opt := ua.RegisterOptions{Registrar: domain, AOR: "<" + a.Target + ">", Expires: expires, Route: route}
	switch contacts := o["contacts"]; contacts {
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
	reg, err := l.agent.Register(opt)
	if err != nil {
		return err
	}
	l.later(l.duration(o, "refresh", 0), func() { _ = reg.Refresh() })
	l.later(l.duration(o, "remove", 0), func() { _ = reg.Remove(false) })
	l.later(l.duration(o, "remove-all", 0), func() { _ = reg.Remove(true) })
	return nil
}
