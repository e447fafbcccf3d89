package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipscope/element/proxy"
	"sipscope/element/registrar"
	"sipscope/element/txn"
)

// proxyCommand is "sipscope proxy".
type proxyCommand struct {
	elementFlags
	locationFlags
	registrarFlags

	stateless   bool
	recordRoute bool
	strict      bool
	fork        string
	routes      []string
	outbound    string
	recurse     bool
	relay       bool
	register    bool
	timerC      time.Duration
	aliases     []string
}

func newProxy(std stdio) *cobra.Command {
	c := &proxyCommand{elementFlags: elementFlags{input: input{io: std}}}
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Be a proxy: forward requests, with or without state, forking or not",
		Long: `Forward SIP requests and their responses (RFC 3261 16). Requests for a user of an own --domain go to the user's contacts,
of --bind, or of those who registered here with --registrar; others go by the --route table, to --outbound, or, with --relay, where they ask to go.

` + proxy.RouteHelp,
		Example: `  sipscope proxy --domain b.com --bind sip:bob@b.com=sip:bob@10.0.0.9 --record-route
  sipscope proxy --domain b.com --registrar --user bob:secret --fork parallel
  sipscope proxy --stateless --route '*=sip:127.0.0.1:5070'
  sipscope proxy --relay --listen udp:127.0.1.1:5060 --listen tls:127.0.1.1:5061 --pcap proxy.pcapng`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.Bool("stateful", true, "keep transactions: absorb retransmissions, fork, cancel, try further targets")
	f.BoolVar(&c.stateless, "stateless", false, "keep nothing, forward everything")
	f.BoolVar(&c.recordRoute, "record-route", false, "stay on the path of dialogs")
	f.BoolVar(&c.strict, "strict-route", false, "with --record-route: as a strict router of RFC 2543 (for tests)")
	f.StringVar(&c.fork, "fork", "q", "several contacts: parallel, serial, or q (those of one q at once)")
	f.StringArrayVar(&c.routes, "route", nil, "PATTERN=URI: where requests go (repeatable; see above)")
	f.StringVar(&c.outbound, "outbound", "", "URI of the next hop of all that is not for own users and has no --route")
	f.BoolVar(&c.relay, "relay", false, "send requests wherever they ask to go (else only to own domains, by --route, --outbound, and in dialogs)")
	f.BoolVar(&c.recurse, "recurse", false, "try the contacts of a 3xx instead of forwarding it")
	f.BoolVar(&c.register, "registrar", false, "be the registrar of the own domains, too")
	f.DurationVar(&c.timerC, "timer-c", 181*time.Second, "how long an INVITE may ring")
	cmd.MarkFlagsMutuallyExclusive("stateful", "stateless")
	cmd.MarkFlagsMutuallyExclusive("stateless", "fork")
	cmd.MarkFlagsMutuallyExclusive("stateless", "timer-c")
	f.StringArrayVar(&c.aliases, "name", nil, "host name under which this proxy is reached (repeatable)")
	c.locationFlags.flags(f)
	c.authFlags(f)
	c.registrarFlags.flags(f)
	c.elementFlags.flags(f, serverListen()...)
	return cmd
}

func (c *proxyCommand) run(ctx context.Context) error {
	if c.stateless && (c.register || c.recurse) {
		return usagef("leave out --stateless", "a stateless proxy cannot be a registrar, and cannot follow a 3xx")
	}
	if err := c.check(); err != nil {
		return err
	}
	if c.register && len(c.domains) == 0 {
		return usagef("try: --registrar --domain b.com", "--registrar needs to know its domains")
	}
	s, err := c.elementFlags.open(ctx, "proxy")
	if err != nil {
		return err
	}
	return s.serve(ctx, "proxy", func() (*server, error) { return c.build(s) })
}

// config reads the flags.
func (c *proxyCommand) config(s *site, store *registrar.Store) (proxy.Config, error) {
	cfg := proxy.Config{
		Listeners: s.end.Listeners(), Names: c.aliases, Domains: c.domains, Locator: proxy.Location{Store: store}, Resolver: s.names,
		Outbound: c.outbound, RecordRoute: c.recordRoute || c.strict, StrictRoute: c.strict, Recurse: c.recurse, Closed: !c.relay,
		TimerC: int64(c.timerC), Server: userAgent(), Rand: s.rng, Events: s.proxyEvent,
	}
	var err error
	if cfg.Fork, err = proxy.ParseFork(c.fork); err != nil {
		return cfg, usagef("it takes parallel, serial or q", "--fork: %w", err)
	}
	for _, text := range c.routes {
		r, routeErr := proxy.ParseRoute(text)
		if routeErr != nil {
			return cfg, usagef("see: sipscope proxy --help", "--route %q: %w", text, routeErr)
		}
		cfg.Routes = append(cfg.Routes, r)
	}
	server, realm, err := c.server(s, true)
	if err != nil {
		return cfg, err
	}
	if cfg.Realm = realm; server != nil {
		cfg.Auth = server
	}
	return cfg, nil
}

func (c *proxyCommand) build(s *site) (*server, error) {
	store, err := c.locationFlags.open(s.end.Now(), s.bindingEvent)
	if err != nil {
		return nil, err
	}
	cfg, err := c.config(s, store)
	if err != nil {
		return nil, err
	}
	if c.stateless {
		return withoutState(s, cfg, store)
	}
	p, err := proxy.New(cfg)
	if err != nil {
		return nil, usageError{err: err}
	}
	var user txn.User = p
	var r *registrar.Registrar
	var mux *registrar.Mux
	if c.register {
		if r, err = c.registrarFlags.build(s, &c.locationFlags, store, nil); err != nil {
			return nil, err
		}
		mux = &registrar.Mux{Registrar: r, Other: p}
		user = mux
	}
	layer := txn.New(s.link, user, txn.Config{Merged: true, StrayCancel: true, Server: userAgent(), Rand: s.rng})
	if mux != nil {
		mux.SetData = layer.SetData
		r.Attach(layer)
	}
	p.Attach(layer)
	return &server{
		handler: registrar.Handler(p.Handler(), store), close: store.Close,
		report: func() string { return forwarded(p.Stats()) },
	}, nil
}

// withoutState makes a proxy that keeps nothing.
func withoutState(s *site, cfg proxy.Config, store *registrar.Store) (*server, error) {
	p, err := proxy.NewStateless(cfg)
	if err != nil {
		return nil, usageError{err: err}
	}
	p.Attach(s.link)
	return &server{handler: p, close: store.Close, report: func() string { return forwarded(p.Stats()) }}, nil
}

// forwarded says what a proxy did.
func forwarded(st proxy.Stats) string {
	var parts []string
	for _, c := range [...]struct {
		n    uint64
		what string
	}{
		{st.Requests, "requests"},
		{st.Forwarded, "sent on"},
		{st.Responses, "responses"},
		{st.Relayed, "relayed"},
		{st.Acks, "ACKs"},
		{st.Cancels, "cancelled"},
		{st.Forks, "forked"},
		{st.Failovers, "next hops tried"},
		{st.Recursed, "3xx followed"},
		{st.TimerC, "never answered"},
		{st.Refused, "refused"},
		{st.Loops, "loops"},
		{st.Limited, "over a limit"},
		{st.Strays, "strays dropped"},
	} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) == 0 {
		return "nothing came"
	}
	return strings.Join(parts, ", ")
}

// proxyEvent tells what a proxy did beyond forwarding.
func (s *site) proxyEvent(e proxy.Event) {
	if s.events.w == nil {
		return
	}
	s.events.write(event{
		At: e.Now, Event: e.Kind.String(), CallID: string(e.CallID), Method: string(e.Method), Status: e.Status, URI: string(e.URI), Count: e.Count,
	})
}

// redirectCommand is "sipscope redirect".
type redirectCommand struct {
	elementFlags
	locationFlags

	choices bool
}

func newRedirect(std stdio) *cobra.Command {
	c := &redirectCommand{elementFlags: elementFlags{input: input{io: std}}}
	cmd := &cobra.Command{
		Use:   "redirect",
		Short: "Be a redirect server: answer with the contacts of whom is asked for",
		Long:  `Answer every request with 302 and the contacts of the address it is for (RFC 3261 8.3), the preferred one first.`,
		Example: `  sipscope redirect --bind 'sip:bob@b.com=sip:bob@10.0.0.9;q=0.9' --bind 'sip:bob@b.com=sip:bob@10.0.0.8;q=0.5'
  sipscope redirect --listen udp:127.0.4.1:5060 --store bindings.db`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.BoolVar(&c.choices, "300", false, "answer 300 Multiple Choices when there are several")
	c.locationFlags.flags(f)
	c.elementFlags.flags(f, serverListen()...)
	return cmd
}

func (c *redirectCommand) run(ctx context.Context) error {
	s, err := c.elementFlags.open(ctx, "redirect server")
	if err != nil {
		return err
	}
	return s.serve(ctx, "redirect server", func() (*server, error) {
		store, err := c.locationFlags.open(s.end.Now(), nil)
		if err != nil {
			return nil, err
		}
		r := registrar.NewRedirect(registrar.RedirectConfig{
			Store: store, MultipleChoices: c.choices, Server: userAgent(), Rand: s.rng,
		})
		layer := txn.New(s.link, r, txn.Config{Rand: s.rng, Server: userAgent()})
		r.Attach(layer)
		return &server{handler: registrar.Handler(layer, store), close: store.Close, report: func() string { return answered(r.Stats()) }}, nil
	})
}
