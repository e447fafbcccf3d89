package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"sipscope/element/replay/guard"
	"sipscope/element/replay/plan"
	"sipscope/element/resolve"
	"sipscope/element/transport"
)

// reach finds out where the live server is, whom the operator lets us send to, and where those that are played listen.
// Nothing is opened yet, and nothing sent but questions to DNS.
func (r *replaying) reach(ctx context.Context) error {
	r.guard = guard.New()
	for _, text := range r.c.allowPublic {
		if err := r.allowPublic(ctx, text); err != nil {
			return err
		}
	}
	for _, text := range r.c.allow {
		if err := r.guard.Allow(text); err != nil {
			return r.refused("--allow", err)
		}
	}
	if !r.c.self { // which is not asked for consent, and sends to nobody else
		for _, text := range r.c.maps {
			if err := r.allowMapped(text); err != nil {
				return err
			}
		}
		if err := r.findTarget(ctx); err != nil {
			return err
		}
	}
	return r.findPlaces()
}

// refused adds what lifts a refusal.
func (r *replaying) refused(flag string, err error) error {
	hint := "try: " + flag + " 10.0.0.5"
	if errors.Is(err, guard.ErrRefused) {
		hint = "loopback and private addresses may be named; a public one takes --allow-public, too"
	}
	return usageError{err: fmt.Errorf("%s: %w", flag, err), hint: hint}
}

// allowPublic lets a public host be named: an address, a network or a name.
func (r *replaying) allowPublic(ctx context.Context, text string) error {
	if r.guard.Public(text) == nil {
		return nil
	}
	hops, err := r.lookup(ctx, "sip:"+text)
	if err != nil {
		return usagef("it takes a host, an address or a network", "--allow-public %q: %w", text, err)
	}
	for _, h := range hops {
		if err := r.guard.AllowPublic(netip.PrefixFrom(h.Remote.Addr(), h.Remote.Addr().BitLen())); err != nil {
			return usagef("it takes a host, an address or a network", "--allow-public %q: %w", text, err)
		}
	}
	return nil
}

// allowMapped lets the new address of a --map be sent to. A host name there is for texts alone.
func (r *replaying) allowMapped(text string) error {
	_, to, _ := strings.Cut(text, "=")
	at, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil //nolint:nilerr // it is no address
	}
	if err := r.guard.Name(at); err != nil {
		return r.refused("--map", err)
	}
	return nil
}

// findTarget finds the live server.
func (r *replaying) findTarget(ctx context.Context) error {
	host, ok := r.plan.LiveHost()
	if !ok {
		return cannotRunError{errors.New("the plan has no live participant that --sut could stand for"), "make the plan without --self, or name --sut-is"}
	}
	uri := r.c.sut
	if !strings.HasPrefix(strings.ToLower(uri), "sip:") && !strings.HasPrefix(strings.ToLower(uri), "sips:") {
		uri = "sip:" + bracketed(uri)
	}
	target, err := resolve.ParseTarget([]byte(uri))
	if err != nil {
		return usagef("try: --sut 127.0.0.1:5070, or --sut 'sip:b.example;transport=tcp'", "--sut: %w", err)
	}
	if target.Proto == 0 && !target.Secure && host.Proto != 0 && host.Proto != transport.UDP {
		uri += ";transport=" + strings.ToLower(host.Proto.String()) // as recorded
	}
	hops, err := r.lookup(ctx, uri)
	if err != nil {
		return cannotRunError{fmt.Errorf("--sut: %w", err), "see: sipscope help names"}
	}
	r.target, r.live = hops[0], host.Name
	for _, h := range hops { // of a name: those that stand in for the first are not used, but are the operator's
		if err := r.guard.Name(h.Remote); err != nil {
			return r.refused("--sut", err)
		}
	}
	return nil
}

// bracketed puts a bare IPv6 address into brackets.
func bracketed(host string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		return "[" + host + "]"
	}
	return host
}

// lookupFor is how long names may take to become addresses.
const lookupFor = 20 * time.Second

// lookup finds the next hops of a URI (RFC 3263), at least one. The endpoint is not open yet, so this is a loop of its own.
func (r *replaying) lookup(ctx context.Context, uri string) ([]transport.Hop, error) {
	table, err := r.c.known()
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, lookupFor)
	defer stop()
	posts := make(chan func())
	client := resolve.New(resolve.Config{
		Table: table, Server: r.c.dns, Now: func() int64 { return time.Now().UnixNano() }, Rand: r.c.random(),
		Post: func(f func()) {
			select {
			case posts <- f:
			case <-ctx.Done():
			}
		},
		Transports: []transport.Proto{transport.UDP, transport.TCP, transport.TLS, transport.WS, transport.WSS},
		Families:   resolve.IPv4First,
	})
	defer client.Close()
	var hops []transport.Hop
	done := false
	found := func(all []transport.Hop, failed error) { hops, err, done = all, failed, true }
	client.Resolve([]byte(uri), found) //nolint:contextcheck // Close ends it
	for !done {
		select {
		case f := <-posts:
			f()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err == nil && len(hops) == 0 {
		err = fmt.Errorf("%s has no address", uri)
	}
	return hops, err
}

// place is where a participant listens.
type place struct {
	host   string
	given  bool               // with --bind
	listen []transport.Listen // the first is what it is known by
}

// findPlaces decides where those that are played listen.
func (r *replaying) findPlaces() error {
	given, err := r.c.bound()
	if err != nil {
		return err
	}
	var played []string
	for i := range r.plan.Hosts {
		h := &r.plan.Hosts[i]
		if h.Part != plan.Played {
			continue
		}
		played = append(played, h.Name)
		p := place{host: h.Name}
		protos := r.protos(h)
		if l, ok := given[h.Name]; ok {
			delete(given, h.Name)
			p.given = true
			if l.Proto != 0 {
				protos = append([]transport.Proto{l.Proto}, protos...)
			}
			p.listen = placesAt(protos, l.AddrPort)
		} else {
			p.listen = placesAt(protos, netip.AddrPort{})
		}
		r.places = append(r.places, p)
	}
	for name := range given {
		return usagef("they are: "+strings.Join(played, ", "), "--bind: nobody who is played is called %q", name)
	}
	if len(played) == 0 {
		return cannotRunError{errors.New("nobody in this plan is played"), "see the plan without --sut"}
	}
	return nil
}

// placesAt are the places of a participant at an address: one a transport.
func placesAt(protos []transport.Proto, at netip.AddrPort) []transport.Listen {
	var all []transport.Listen
	for i, p := range protos {
		if slices.Contains(protos[:i], p) {
			continue
		}
		all = append(all, transport.Listen{Proto: p, AddrPort: at})
	}
	return all
}

// protos are the transports that a participant needs: the target's for those who talk to the live server, and those of
// the steps between participants that are played.
func (r *replaying) protos(h *plan.Host) []transport.Proto {
	var all []transport.Proto
	for i := range r.plan.Steps {
		s := &r.plan.Steps[i]
		if s.From != h.Name && s.To != h.Name || s.Kind != plan.Send && s.Kind != plan.Expect {
			continue
		}
		p := s.Proto
		if r.live != "" && (s.From == r.live || s.To == r.live) {
			p = r.plan.Carrier(s, r.target.Proto)
		}
		if p != 0 && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		all = append(all, max(h.Proto, transport.UDP))
	}
	return all
}

// bound reads --bind. Without a transport, that of the result is 0.
func (c *replayCommand) bound() (map[string]transport.Listen, error) {
	all := map[string]transport.Listen{}
	for _, text := range c.bind {
		name, at, ok := strings.Cut(text, "=")
		l, err := transport.ParseListen(at)
		if err != nil {
			var addr netip.AddrPort
			if addr, err = netip.ParseAddrPort(at); err == nil {
				l = transport.Listen{AddrPort: addr}
			}
		}
		if !ok || err != nil || l.Addr().IsUnspecified() {
			return nil, usagef("try: --bind alice=127.0.1.10:5060", "--bind %q names no participant and address", text)
		}
		if c.self && !l.Addr().IsLoopback() {
			return nil, usagef("try: --bind alice=127.0.1.10:5060", "--bind %q: with --self all participants are on loopback addresses", text)
		}
		all[name] = l
	}
	return all, nil
}

// Addresses for those that are played. On the loopback each has one of its own; 127.0.1.10 is the first.
const (
	loopNets  = 9 // 127.0.1.x to 127.0.9.x are tried when ports are taken
	loopStep  = 10
	loopHosts = 254
)

// attempts are the ways to give everybody a place, the best first.
func (r *replaying) attempts() [][]place {
	local, own := r.ownAddress()
	var all [][]place
	try := func(at func(i int, p transport.Proto) netip.AddrPort) {
		one := make([]place, len(r.places))
		for i := range r.places {
			one[i] = place{host: r.places[i].host}
			for _, l := range r.places[i].listen {
				if !r.places[i].given {
					l.AddrPort = at(i, l.Proto)
				}
				one[i].listen = append(one[i].listen, l)
			}
		}
		all = append(all, one)
	}
	switch {
	case own.Is4() && local:
		for x := 1; x <= loopNets; x++ {
			try(func(i int, p transport.Proto) netip.AddrPort {
				return netip.AddrPortFrom(loopback(x, i, len(r.places)), p.DefaultPort())
			})
		}
		try(func(i int, _ transport.Proto) netip.AddrPort {
			return netip.AddrPortFrom(loopback(1, i, len(r.places)), 0)
		})
		own = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		const apart = 10
		try(func(i int, p transport.Proto) netip.AddrPort {
			return netip.AddrPortFrom(own, p.DefaultPort()+uint16(apart*i)) //nolint:gosec // G115: 256 hosts at most
		})
	}
	try(func(int, transport.Proto) netip.AddrPort { return netip.AddrPortFrom(own, 0) })
	return all
}

// loopback is the address of participant i of n.
func loopback(x, i, n int) netip.Addr {
	y := loopStep * (i + 1)
	if loopStep*n > loopHosts {
		x, y = x+i/loopHosts, i%loopHosts+1
	}
	return netip.AddrFrom4([4]byte{127, 0, byte(x), byte(y)}) //nolint:gosec // G115: 9 nets, 254 hosts
}

// ownAddress is the address by which the live server is reached, and whether it is a loopback one. Asking for it sends
// nothing.
func (r *replaying) ownAddress() (loop bool, own netip.Addr) {
	if !r.target.Remote.IsValid() { // all are played
		if r.plansIPv6() {
			return true, netip.IPv6Loopback()
		}
		return true, netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	remote := r.target.Remote
	if remote.Addr().IsLoopback() {
		return true, remote.Addr()
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return false, netip.IPv4Unspecified() // binding tells why
	}
	defer conn.Close()
	if at, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		return false, at.AddrPort().Addr().Unmap()
	}
	return false, netip.IPv4Unspecified()
}

// plansIPv6 reports whether a flow was recorded over IPv6 alone, in datagrams: there is one loopback address of IPv6, so that
// the connections of several participants could not be told from each other.
func (r *replaying) plansIPv6() bool {
	for i := range r.plan.Steps {
		if r.plan.Steps[i].Proto.Reliable() {
			return false
		}
	}
	any6 := false
	for i := range r.plan.Hosts {
		for _, at := range r.plan.Hosts[i].At {
			if at.Addr().Unmap().Is4() {
				return false
			}
			any6 = true
		}
	}
	return any6
}

// open opens the sockets at the first attempt that works.
func (r *replaying) open(ctx context.Context) error {
	var first error
	for _, places := range r.attempts() {
		r.c.listen = nil
		for _, p := range places {
			for _, l := range p.listen {
				r.c.listen = append(r.c.listen, l.String())
			}
		}
		s, err := r.c.open(ctx, "replay")
		if err == nil {
			r.site = s
			r.take(places)
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) && !errors.Is(err, syscall.EACCES) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return cannotRunError{fmt.Errorf("no place to listen at: %w", first), "choose with --bind NAME=ADDRESS:PORT"}
}

// take notes where everybody listens, as bound.
func (r *replaying) take(places []place) {
	hops := r.site.end.Listeners()
	r.local, r.also = map[string]transport.Listen{}, map[string][]transport.Listen{}
	for i := range places {
		for k := range places[i].listen {
			at := hops[0]
			hops = hops[1:]
			l := transport.Listen{Proto: at.Proto, AddrPort: at.Local}
			places[i].listen[k] = l
			r.guard.Own(l.AddrPort)
			if r.tap != nil {
				r.tap.own(l.AddrPort)
			}
			if k == 0 {
				r.local[places[i].host] = l
			} else {
				r.also[places[i].host] = append(r.also[places[i].host], l)
			}
		}
	}
	r.places = places
}
