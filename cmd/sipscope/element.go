package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"sipscope/correlate"
	"sipscope/element/fault"
	"sipscope/element/resolve"
	"sipscope/element/tap"
	"sipscope/element/transport"
	"sipscope/render/text"
)

// elementFlags are those of every element: where it listens, which names it knows, what is shown and kept of its packets,
// how it misbehaves.
type elementFlags struct {
	input

	listen   []string
	hosts    []string
	srvs     []string
	naptrs   []string
	names    string
	dns      string
	cert     string
	certKey  string
	ca       string
	insecure bool
	ownOnly  bool // both ends of all connections are ours
	secrets  string
	faults   []string
	format   string
	width    int
	color    string
	aliases  []string
	seed     uint64
	mtu      int
	watched  bool                                         // somebody reads the packets, whatever is shown
	through  func(*tap.Source) transport.Tap              // what the packets pass on their way to the pipeline, if there is one (else nil); nil for nothing
	accept   func(netip.AddrPort) bool                    // whose connections are taken; nil: all
	behind   func(transport.Link) transport.Link          // what all passes that is sent, what faults send included; nil for nothing
	broken   func(transport.Proto, netip.AddrPort, error) // told of connections that end; nil: nobody
}

// flags adds them. listen is where the element listens unless told otherwise.
func (e *elementFlags) flags(f *pflag.FlagSet, listen ...string) {
	f.StringArrayVar(&e.listen, "listen", listen, "listen at udp:ADDRESS:PORT, tcp:..., tls:..., ws:..., wss:... (repeatable)")
	f.StringVar(&e.live.write, "pcap", "", "write all packets to a pcapng file (.pcap: classic; .zst: compressed)")
	f.StringVar(&e.format, "format", "ladder", "what is shown while it runs: ladder, json (an event a line) or none")
	f.StringArrayVar(&e.faults, "fault", nil, "misbehave, such as drop=10% or answer=503@INVITE (repeatable; see: sipscope help faults)")
	f.StringArrayVar(&e.hosts, "host", nil, "NAME=ADDRESS, before DNS is asked (repeatable; --srv, --naptr, --names: see sipscope help names)")
	f.DurationVar(&e.live.duration, "duration", 0, "stop after this time, such as 60s")
	f.BoolVarP(&e.quiet, "quiet", "q", false, "no remarks on stderr")
	rare := pflag.NewFlagSet("element", pflag.ContinueOnError)
	rare.StringArrayVar(&e.srvs, "srv", nil, "SRV record: NAME=PRIORITY,WEIGHT,PORT,TARGET (repeatable)")
	rare.StringArrayVar(&e.naptrs, "naptr", nil, "NAPTR record: NAME=ORDER,PREFERENCE,FLAG,SERVICE,REPLACEMENT (repeatable)")
	rare.StringVar(&e.names, "names", "", "file with such records")
	rare.StringVar(&e.dns, "dns", "", "DNS server, or none (default: the system's)")
	rare.StringVar(&e.cert, "tls-cert", "", "own certificate, PEM (default: one made in memory)")
	rare.StringVar(&e.certKey, "tls-key", "", "its private key, PEM")
	rare.StringVar(&e.ca, "tls-ca", "", "certificates that sign those of others, PEM (default: the system's)")
	rare.BoolVar(&e.insecure, "tls-insecure", false, "believe any certificate")
	rare.StringVar(&e.secrets, "tls-keylog", "", "append the secrets of own TLS connections to a key log (see: sipscope help tls)")
	rare.IntVar(&e.width, "width", 0, "cells of the ladder (default: the terminal's)")
	rare.StringVar(&e.color, "color", "auto", "auto, always or never")
	rare.StringArrayVar(&e.aliases, "alias", nil, "name a participant: ADDRESS=NAME (repeatable)")
	rare.Uint64Var(&e.seed, "seed", 0, "of tags, branches and faults (default: chance)")
	rare.IntVar(&e.mtu, "mtu", 0, "bytes from which a request goes by TCP instead of UDP (default 1300; -1: never)")
	rare.StringVar(&e.live.spool, "spool", "", "directory that keeps the newest packets on disk (default: a temporary one)")
	rare.StringVar(&e.live.spoolSize, "spool-size", "256MB", "bytes on disk that the spool may take")
	rare.IntVar(&e.maxCalls, "max-calls", 10000, "calls kept for the ladder")
	e.live.hep.flags(rare)
	rare.VisitAll(func(flag *pflag.Flag) { flag.Hidden = true })
	f.AddFlagSet(rare)
}

// site is an element at work: its sockets, and the pipeline that its own packets go through.
type site struct {
	e      *elementFlags
	end    *transport.Endpoint
	link   transport.Link // end, behind the faults
	faults *fault.Injector
	names  *resolve.Client
	rng    *mathrand.Rand // of the loop
	source *tap.Source    // nil when nobody looks
	door   *door
	run    *session
	ladder *liveLadder
	events *eventWriter
	keyLog *os.File // that --tls-keylog names; nil for none
	ended  func()   // called when the pipeline is through, while texts can still be read; nil for nothing
}

// open opens the sockets, and the pipeline when somebody looks.
func (e *elementFlags) open(ctx context.Context, name string) (*site, error) {
	if err := oneOf("--format", e.format, "ladder", "json", "none"); err != nil {
		return nil, err
	}
	rules, err := e.rules()
	if err != nil {
		return nil, err
	}
	cfg, err := e.sockets()
	if err != nil {
		return nil, err
	}
	s := &site{e: e, rng: e.random(), events: &eventWriter{}}
	if e.format == "json" {
		s.events.w = e.io.out
	}
	if e.watched || e.format == "ladder" || e.live.write != "" || e.live.hep.send != "" {
		s.source = tap.New(0)
		cfg.Tap = s.source
	}
	if e.through != nil {
		cfg.Tap = e.through(s.source)
	}
	if err = s.listen(cfg); err != nil { //nolint:contextcheck // binding takes no time; Run has one
		return nil, err
	}
	if e.behind != nil {
		s.link = e.behind(s.end)
	}
	if len(rules) > 0 {
		s.faults = fault.Link(s.link, rules, s.rng)
		s.link = s.faults
	}
	if s.names, err = e.resolver(s); err == nil {
		err = s.pipeline(ctx, name)
	}
	if err != nil {
		_ = s.end.Close() // it never ran
		s.closeSecrets()
		return nil, err
	}
	return s, nil
}

// listen opens the sockets, and the key log of their connections.
func (s *site) listen(cfg transport.Config) (err error) {
	if s.keyLog, err = s.e.openSecrets(); err != nil {
		return err
	}
	if s.keyLog != nil {
		cfg.KeyLog = s.keyLog
	}
	if s.end, err = transport.Open(cfg); err != nil {
		s.closeSecrets()
		return usageError{err: err, hint: "choose another place with --listen; ports below 1024 take a privilege"}
	}
	s.link = s.end
	return nil
}

// openSecrets opens the key log that --tls-keylog names, which others may write, too; nil without one.
func (e *elementFlags) openSecrets() (*os.File, error) {
	if e.secrets == "" {
		return nil, nil //nolint:nilnil // nobody asked for one
	}
	f, err := os.OpenFile(e.secrets, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, usageError{err: fmt.Errorf("--tls-keylog: %w", err)}
	}
	return f, nil
}

// closeSecrets closes it. Each of its lines was written at once, or the connection was not made.
func (s *site) closeSecrets() {
	if s.keyLog != nil {
		_ = s.keyLog.Close()
	}
}

// random gives the element's generator: of chance, or the same every time.
func (e *elementFlags) random() *mathrand.Rand {
	seed := [2]uint64{e.seed, 0x736970}
	if e.seed == 0 {
		var b [16]byte
		_, _ = rand.Read(b[:]) // it never fails
		seed = [2]uint64{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
	}
	return mathrand.New(mathrand.NewPCG(seed[0], seed[1])) //nolint:gosec // tags need no secrecy; see the seed
}

func (e *elementFlags) rules() (fault.Rules, error) {
	var all fault.Rules
	for _, s := range e.faults {
		rules, err := fault.Parse(s)
		if err != nil {
			return nil, usagef("see: sipscope help faults", "--fault %q: %w", s, err)
		}
		all = append(all, rules...)
	}
	return all, nil
}

// sockets reads the flags of the transports.
func (e *elementFlags) sockets() (transport.Config, error) {
	cfg := transport.Config{MTU: e.mtu, Insecure: e.insecure, OwnOnly: e.ownOnly, Accept: e.accept, Ended: e.broken}
	secure := false
	for _, s := range e.listen {
		l, err := transport.ParseListen(s)
		if err != nil {
			return cfg, usagef("try: --listen udp:127.0.0.1:5060", "--listen %q: %w", s, err)
		}
		secure = secure || l.Proto.Secure()
		cfg.Listen = append(cfg.Listen, l)
	}
	if e.ca != "" {
		pem, err := os.ReadFile(e.ca)
		if err != nil {
			return cfg, usageError{err: err}
		}
		if cfg.RootCAs = x509.NewCertPool(); !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, usagef("it holds certificates in PEM", "%s has no certificate", e.ca)
		}
	}
	switch {
	case e.cert != "" || e.certKey != "":
		cert, err := tls.LoadX509KeyPair(e.cert, e.certKey)
		if err != nil {
			return cfg, usagef("--tls-cert and --tls-key name PEM files", "certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	case secure:
		cert, _, err := transport.SelfSigned(e.ownNames(cfg.Listen)...)
		if err != nil {
			return cfg, err
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}

// ownNames are what a certificate made in memory is for.
func (e *elementFlags) ownNames(listen []transport.Listen) []string {
	names := []string{"localhost"}
	for _, l := range listen {
		if a := l.Addr(); !a.IsUnspecified() {
			names = append(names, a.String())
		}
	}
	return names
}

// known reads the names that the flags tell.
func (e *elementFlags) known() (*resolve.Table, error) {
	var table resolve.Table
	bad := func(flag, value string, err error) error {
		return usagef("see: sipscope help names", "%s %q: %w", flag, value, err)
	}
	for _, list := range [...]struct {
		flag   string
		values []string
		add    func(string) error
	}{{"--host", e.hosts, table.Host}, {"--srv", e.srvs, table.SRV}, {"--naptr", e.naptrs, table.NAPTR}} {
		for _, v := range list.values {
			if err := list.add(v); err != nil {
				return nil, bad(list.flag, v, err)
			}
		}
	}
	if e.names != "" {
		f, err := os.Open(e.names)
		if err != nil {
			return nil, usageError{err: err}
		}
		defer f.Close()
		if err = table.Read(f); err != nil {
			return nil, bad("--names", e.names, err)
		}
	}
	return &table, nil
}

// resolver knows the names of the flags, then DNS.
func (e *elementFlags) resolver(s *site) (*resolve.Client, error) {
	table, err := e.known()
	if err != nil {
		return nil, err
	}
	var protos []transport.Proto
	for _, hop := range s.end.Listeners() {
		if !slices.Contains(protos, hop.Proto) {
			protos = append(protos, hop.Proto)
		}
	}
	for _, p := range [...]transport.Proto{transport.TCP, transport.TLS, transport.WS, transport.WSS} { // these need no listener
		if !slices.Contains(protos, p) {
			protos = append(protos, p)
		}
	}
	families := resolve.IPv4First
	if !slices.ContainsFunc(s.end.Listeners(), func(h transport.Hop) bool { return h.Local.Addr().Unmap().Is4() }) {
		families = resolve.IPv6Only
	} else if !slices.ContainsFunc(s.end.Listeners(), func(h transport.Hop) bool { return h.Local.Addr().Is6() && !h.Local.Addr().Is4In6() }) {
		families = resolve.IPv4Only
	}
	return resolve.New(resolve.Config{
		Table: table, Server: e.dns, Post: s.end.Post, Now: s.end.Now, Transports: protos, Families: families, Rand: s.rng,
	}), nil
}

// pipeline has the element's own packets read as those of any capture.
func (s *site) pipeline(ctx context.Context, name string) error {
	if s.source == nil {
		return nil
	}
	color, err := useColor(s.e.color, s.e.io.out)
	if err != nil {
		return err
	}
	draw := drawFlags{aliases: s.e.aliases}
	opts, err := draw.options()
	if err != nil {
		return err
	}
	s.source.Live(s.end.Now)
	ctx = context.WithoutCancel(ctx) // it ends when the source does, after the element
	if s.door, err = s.e.openOwn(ctx, name, s.source); err != nil {
		return err
	}
	if s.run, err = s.e.begin(ctx, s.door, correlate.Config{}); err != nil {
		s.door.close()
		return err
	}
	if s.e.format == "ladder" {
		width := s.e.width
		if width == 0 {
			width = s.e.terminalWidth()
		}
		if width == 0 {
			width = plainWidth
		}
		s.ladder = newLiveLadder(s.run, s.e.io.out, text.Options{Width: width, Color: color}, opts.Aliases)
	}
	return nil
}

// How long an element that is to stop may take to end what it has begun: the time of a transaction without an answer.
const stopGrace = 40 * time.Second

// play runs a handler until ctx is done, a signal comes, the time is over or done is closed. stop is then called in the
// loop: it ends calls and bindings, and calls its argument when nothing is left. A second signal does not wait for that.
func (s *site) play(ctx context.Context, h transport.Handler, done <-chan struct{}, stop func(idle func())) error {
	if s.faults != nil {
		h = s.faults.Handler(h)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	loop, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	g, _ := errgroup.WithContext(loop)
	g.Go(func() error { defer end(); return s.end.Run(loop, h) })
	if s.ladder != nil {
		g.Go(func() error { return s.ladder.follow(loop) })
	}
	told := s.wait(ctx, loop, signals, done)
	idle := make(chan struct{})
	s.end.Post(func() { stop(func() { close(idle) }) })
	linger(loop, idle, signals, told)
	end()
	err := g.Wait()
	return errors.Join(err, s.close())
}

// linger waits until all has ended, or somebody does not want to wait any longer: a further signal. told says that the
// context ended first. The signal that ended it comes to signals as well, and is no further one.
func linger(loop context.Context, idle <-chan struct{}, signals <-chan os.Signal, told bool) {
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	for {
		select {
		case <-idle:
			return
		case <-signals:
			if !told {
				return
			}
			told = false
		case <-grace.C:
			return
		case <-loop.Done():
			return
		}
	}
}

// wait waits for the first reason to stop. told: the context ended, as it does by a signal.
func (s *site) wait(ctx, loop context.Context, signals <-chan os.Signal, done <-chan struct{}) (told bool) {
	var over <-chan time.Time
	if d := s.e.live.duration; d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-ctx.Done():
		return true
	case <-loop.Done():
	case <-signals:
	case <-over:
	case <-done:
	}
	return false
}

// close ends the pipeline and draws what is left.
func (s *site) close() error {
	defer s.closeSecrets()
	if s.source == nil {
		return s.events.err
	}
	_ = s.source.Close() // it has nothing to lose
	err := s.run.wait()
	if s.ladder != nil {
		err = errors.Join(err, s.ladder.poll(true))
		if line := s.ladder.leftOut(); line != "" && !s.e.quiet {
			fmt.Fprintln(s.e.io.err, "sipscope: "+line)
		}
	}
	for _, line := range s.door.lost() {
		s.run.say(line)
	}
	if s.ended != nil {
		s.ended()
	}
	s.door.close()
	return errors.Join(err, s.events.err)
}

// told says on stderr where the element listens.
func (s *site) told(what string) {
	if s.e.quiet {
		return
	}
	var at []string
	for _, hop := range s.end.Listeners() {
		at = append(at, strings.ToLower(hop.Proto.String())+":"+hop.Local.String())
	}
	fmt.Fprintf(s.e.io.err, "sipscope: %s at %s; Ctrl-C stops it\n", what, strings.Join(at, ", "))
}
