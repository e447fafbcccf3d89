package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/registrar"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// locationFlags say where users are.
type locationFlags struct {
	domains  []string
	binds    []string
	store    string
	users    string
	user     []string
	realm    string
	digests  []string
	contacts int
}

func (l *locationFlags) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&l.domains, "domain", nil, "domain whose users are here, such as b.com (repeatable)")
	f.StringArrayVar(&l.binds, "bind", nil, "AOR=CONTACT that is always there: sip:bob@b.com=sip:bob@10.0.0.9;q=0.5 (repeatable)")
	f.StringVar(&l.store, "store", "", "file that keeps the bindings over restarts")
	f.IntVar(&l.contacts, "max-contacts", 10, "contacts that an address may have")
}

func (l *locationFlags) authFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&l.user, "user", nil, "NAME:PASSWORD that may (repeatable; without --user and --users nobody is asked)")
	f.StringVar(&l.users, "users", "", "file with NAME:PASSWORD lines")
	f.StringVar(&l.realm, "realm", "", "realm of the challenges (default: the first domain, or sipscope)")
	f.StringSliceVar(&l.digests, "digest", []string{string(auth.SHA256), string(auth.MD5)},
		"algorithms of the challenges, the preferred one first; many clients read only the first")
}

// open makes the location service.
func (l *locationFlags) open(now int64, event func(registrar.Event)) (*registrar.Store, error) {
	cfg := registrar.StoreConfig{MaxContacts: l.contacts, Event: event}
	store := registrar.NewStore(cfg)
	if l.store != "" {
		var err error
		if store, err = registrar.Open(l.store, cfg, now); err != nil {
			return nil, usageError{err: err, hint: "name another file with --store"}
		}
	}
	for _, bind := range l.binds {
		aor, contact, ok := strings.Cut(bind, "=")
		if !ok {
			return nil, usagef("try: --bind sip:bob@b.com=sip:bob@10.0.0.9", "--bind %q is not AOR=CONTACT", bind)
		}
		b := registrar.Binding{URI: contact, Q: -1, Ends: registrar.Forever}
		if i := strings.LastIndex(contact, ";q="); i >= 0 {
			if b.URI, b.Q = contact[:i], sip.ContactQ([]byte(contact[i:])); b.Q < 0 {
				return nil, usagef("it is a number from 0 to 1, such as ;q=0.5, at the end", "--bind %q: its q cannot be read", bind)
			}
		}
		if _, ok := sip.ParseURI([]byte(b.URI)); !ok {
			return nil, usagef("try: --bind sip:bob@b.com=sip:bob@10.0.0.9", "--bind %q: %q is no URI", bind, b.URI)
		}
		if err := store.Add(aor, &b, now); err != nil {
			return nil, usagef("try: --bind sip:bob@b.com=sip:bob@10.0.0.9", "--bind %q: %w", bind, err)
		}
	}
	return store, nil
}

// passwords gives the users that may, nil for all.
func (l *locationFlags) passwords() (map[string]string, error) {
	lines := l.user
	if l.users != "" {
		f, err := os.Open(l.users)
		if err != nil {
			return nil, usageError{err: err}
		}
		defer f.Close()
		scan := bufio.NewScanner(f)
		for scan.Scan() {
			if line := strings.TrimSpace(scan.Text()); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if err = scan.Err(); err != nil {
			return nil, usageError{err: fmt.Errorf("%s: %w", l.users, err)}
		}
		if len(lines) == 0 { // it must not mean that nobody is asked
			return nil, usagef("it holds NAME:PASSWORD lines", "%s names nobody", l.users)
		}
	}
	if len(lines) == 0 {
		return nil, nil //nolint:nilnil // nobody is asked
	}
	all := make(map[string]string, len(lines))
	for _, line := range lines {
		name, password, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, usagef("a user is NAME:PASSWORD", "--user %q has no password", name)
		}
		all[name] = password
	}
	return all, nil
}

// server challenges; nil when nobody is asked.
func (l *locationFlags) server(s *site, proxied bool) (*auth.Server, string, error) {
	realm := l.realm
	switch {
	case realm != "":
	case len(l.domains) > 0:
		realm = l.domains[0]
	default:
		realm = "sipscope"
	}
	passwords, err := l.passwords()
	if passwords == nil || err != nil {
		return nil, realm, err
	}
	algorithms, err := l.algorithms()
	if err != nil {
		return nil, realm, err
	}
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: realm, Proxy: proxied, Rand: s.rng, Algorithms: algorithms,
		Lookup: func(user, _ string) (string, bool) { p, ok := passwords[user]; return p, ok },
	})
	return server, realm, err
}

// algorithms reads --digest.
func (l *locationFlags) algorithms() ([]auth.Algorithm, error) {
	var all []auth.Algorithm
	for _, name := range l.digests {
		a, ok := auth.ParseAlgorithm(name)
		if !ok || name == "" {
			return nil, usagef("it takes "+joined(auth.Algorithms()), "--digest %q is no algorithm", name)
		}
		all = append(all, a)
	}
	return all, nil
}

// joined writes names as a list.
func joined[T ~string](names []T) string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = string(n)
	}
	return strings.Join(all, ", ")
}

// registrarFlags are those of a registrar, alone or beside a proxy.
type registrarFlags struct {
	least, most, usual int64
	nat                bool
}

func (r *registrarFlags) flags(f *pflag.FlagSet) {
	f.Int64Var(&r.usual, "expires", 3600, "seconds that a binding lasts when the client does not say")
	f.Int64Var(&r.least, "min-expires", 60, "seconds; shorter ones get 423 Interval Too Brief")
	f.Int64Var(&r.most, "max-expires", 86400, "seconds; longer ones are shortened")
	f.BoolVar(&r.nat, "nat", false, "reach a client where its REGISTER came from, not at its Contact")
}

// check finds intervals that make no sense.
func (r *registrarFlags) check() error {
	if r.least < 0 || r.most <= 0 || r.usual <= 0 || r.least > r.most || r.usual > r.most {
		return usagef("they are seconds, --min-expires at most --max-expires", "--expires %d, --min-expires %d and --max-expires %d do not go together",
			r.usual, r.least, r.most)
	}
	return nil
}

func (r *registrarFlags) build(s *site, l *locationFlags, store *registrar.Store, tell func(registrar.Answer)) (*registrar.Registrar, error) {
	server, _, err := l.server(s, false)
	if err != nil {
		return nil, err
	}
	return registrar.New(registrar.Config{
		Store: store, Domains: l.domains, Auth: server, DefaultExpires: r.usual, MinExpires: r.least, MaxExpires: r.most,
		KeepReceived: r.nat, Server: userAgent(), Rand: s.rng, Tell: tell,
	}), nil
}

// userAgent is what our elements call themselves.
func userAgent() string { return "sipscope/" + version }

// registrarCommand is "sipscope registrar".
type registrarCommand struct {
	elementFlags
	locationFlags
	registrarFlags
}

// serverListen is where servers listen by default.
func serverListen() []string { return []string{"udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"} }

func newRegistrar(std stdio) *cobra.Command {
	c := &registrarCommand{elementFlags: elementFlags{input: input{io: std}}}
	cmd := &cobra.Command{
		Use:   "registrar",
		Short: "Be a registrar: keep where users are",
		Long: `Answer REGISTER requests (RFC 3261 10.3) and keep the bindings, in memory, or in a file that survives restarts and crashes.
What comes in and goes out is drawn as a ladder. Ctrl-C stops it and prints what was done.`,
		Example: `  sipscope registrar --domain b.com
  sipscope registrar --listen udp:127.0.3.1:5060 --domain iptel.org --user jan:secret --store bindings.db
  sipscope registrar --domain b.com --min-expires 300 --pcap registrar.pcapng --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	f := cmd.Flags()
	c.locationFlags.flags(f)
	c.authFlags(f)
	c.registrarFlags.flags(f)
	c.elementFlags.flags(f, serverListen()...)
	return cmd
}

func (c *registrarCommand) run(ctx context.Context) error {
	if err := c.check(); err != nil {
		return err
	}
	s, err := c.elementFlags.open(ctx, "registrar")
	if err != nil {
		return err
	}
	return s.serve(ctx, "registrar", func() (*server, error) {
		store, err := c.locationFlags.open(s.end.Now(), s.bindingEvent)
		if err != nil {
			return nil, err
		}
		r, err := c.build(s, &c.locationFlags, store, nil)
		if err != nil {
			return nil, err
		}
		layer := txn.New(s.link, r, txn.Config{Rand: s.rng, Server: userAgent()})
		r.Attach(layer)
		return &server{
			handler: registrar.Handler(layer, store), close: store.Close,
			report: func() string {
				return answered(r.Stats()) + "; " + plural(store.Stats().Bindings, "binding")
			},
		}, nil
	})
}

// server is an element that waits for others.
type server struct {
	handler transport.Handler
	report  func() string // what was done, in a line
	close   func() error  // after the loop has ended; nil for nothing
}

// serve runs a server until it is stopped, and says what it did.
func (s *site) serve(ctx context.Context, name string, build func() (*server, error)) error {
	srv, err := build()
	if err != nil {
		_ = s.end.Close() // it never ran
		_ = s.close()
		return err
	}
	s.told(name)
	err = s.play(ctx, srv.handler, nil, func(idle func()) { idle() })
	if srv.close != nil {
		if closeErr := srv.close(); err == nil {
			err = closeErr
		}
	}
	if !s.e.quiet {
		fmt.Fprintln(s.e.io.err, srv.report())
	}
	return err
}

// answered says what became of requests.
func answered(st registrar.Stats) string {
	parts := []string{plural(int(st.Requests), "request"), fmt.Sprintf("%d accepted", st.Accepted)} //nolint:gosec // a count
	reasons := st.Reasons()
	for _, r := range registrar.Refusals() {
		if n := reasons[r]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, r))
		}
	}
	return strings.Join(parts, ", ")
}

// bindingEvent tells of a binding.
func (s *site) bindingEvent(e registrar.Event) {
	s.events.write(event{At: e.Now, Event: e.Kind.String(), AOR: e.AOR, Contact: e.Binding.URI})
}
