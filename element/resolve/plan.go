package resolve

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"sipscope/element/transport"
)

// question asks for the records of one type at a name.
type question struct {
	name string // as normal gives it
	kind uint16 // dns.TypeA and the like
}

// answer has the records of the type that was asked for; none and no error says that there are none.
type answer struct {
	addrs  []hostAddr
	srvs   []srvRecord
	naptrs []naptrRecord
	err    error
	ttl    int64 // ns that it may be kept
	until  int64 // as an entry of the cache: the time when it is too old
}

// hostAddr is an address of a host. The table may add a port and a transport.
type hostAddr struct {
	addr  netip.Addr
	port  uint16
	proto transport.Proto
}

// srvRecord is a SRV record (RFC 2782); target "" stands for ".".
type srvRecord struct {
	priority, weight, port uint16
	target                 string
}

// naptrRecord is a NAPTR record (RFC 3403) as RFC 3263 uses it: flag and service in lower case.
type naptrRecord struct {
	order, preference    uint16
	flag, service, leads string
}

// service is a way to SIP over one transport.
type service struct {
	proto transport.Proto
	naptr string // RFC 3263 4.1; RFC 7118 for WebSocket
	srv   string // RFC 3263 4.1; for WebSocket the names that servers in use publish, RFC 7118 has none
}

// services has them all. A NAPTR record leads to a SRV name of its own; without one the names are these.
var services = [...]service{ //nolint:gochecknoglobals // read-only table
	{transport.UDP, "sip+d2u", "_sip._udp."},
	{transport.TCP, "sip+d2t", "_sip._tcp."},
	{transport.TLS, "sips+d2t", "_sips._tcp."},
	{transport.WS, "sip+d2w", "_sip._ws."},
	{transport.WSS, "sips+d2w", "_sips._ws."},
}

// plan is one attempt to find the hops of a target from what is known.
type plan struct {
	target     Target
	transports []transport.Proto
	families   Families
	key        uint64 // decides the order among equals
	keyed      bool   // nothing else does, such as the order in which a server sends records
	ask        func(question) (answer, bool)

	missing []question // what was asked for and is not known, as far as it may be asked at once
	rng     *rand.Rand // by key; nil until it is needed
	hops    []transport.Hop
	found   bool // there were SRV records, whatever became of them: the address of the domain itself does not count then
	refused bool
	err     error // the first failure of DNS
}

// make gives the hops in the order to try. When missing is not empty, they are not complete, and the error means nothing.
func (p *plan) make() ([]transport.Hop, error) {
	t := &p.target
	if t.Proto != 0 && !slices.Contains(p.transports, t.Proto) {
		return nil, fmt.Errorf("%s: %w", t.Proto, ErrTransport)
	}
	switch {
	case t.Addr.IsValid(): // RFC 3263 4.1: numeric
		p.add(p.proto(), []hostAddr{{addr: t.Addr}}, t.Port)
	case t.Port != 0:
		p.addresses(p.proto(), t.Host, t.Port)
	case t.Proto != 0:
		p.direct(t.Proto)
	default:
		p.discover()
	}
	return p.result()
}

// proto is the transport where nothing but the URI decides (RFC 3263 4.1).
func (p *plan) proto() transport.Proto {
	switch {
	case p.target.Proto != 0:
		return p.target.Proto
	case p.target.Secure && !slices.Contains(p.transports, transport.TLS) && slices.Contains(p.transports, transport.WSS):
		return transport.WSS
	case p.target.Secure:
		return transport.TLS
	case slices.Contains(p.transports, transport.UDP):
		return transport.UDP
	}
	for _, proto := range p.transports { // an element without UDP: the best that it has
		if !proto.Secure() {
			return proto
		}
	}
	return transport.UDP
}

// discover chooses the transport by the NAPTR records of the domain, else by its SRV records (RFC 3263 4.1).
func (p *plan) discover() {
	records, ok := p.lookup(question{p.target.Host, dns.TypeNAPTR})
	if !ok {
		return
	}
	if p.naptr(records.naptrs) {
		return
	}
	for _, proto := range p.transports {
		if proto == transport.WS || proto == transport.WSS { // only by NAPTR or when the URI asks for it
			continue
		}
		if s := serviceOf(proto); p.usable(s) {
			p.srv(s, s.srv+p.target.Host)
		}
	}
	if !p.found && len(p.missing) == 0 {
		p.addresses(p.proto(), p.target.Host, 0)
	}
}

// naptr follows the NAPTR records that name a service of ours, and reports whether there was one. Their order is the
// domain's wish and stands above our preference (RFC 3263 4.1). Records of a higher order than that of the first one that
// leads anywhere are not looked at (RFC 3403 4.1); those of the same order are further ways, by their preference.
func (p *plan) naptr(records []naptrRecord) (ours bool) {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b naptrRecord) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference))
	})
	order, followed := uint16(0), 0
	for _, r := range records {
		i := slices.IndexFunc(services[:], func(s service) bool { return s.naptr == r.service })
		if i < 0 || !p.usable(services[i]) || r.leads == "" || r.flag != "s" && r.flag != "a" {
			continue
		}
		leads := len(p.hops) > 0 || len(p.missing) > 0
		if followed == maxNAPTR || leads && r.order != order {
			break
		}
		order = r.order
		followed++
		if r.flag == "s" {
			p.srv(services[i], r.leads)
		} else {
			p.addresses(services[i].proto, r.leads, 0)
		}
	}
	return followed > 0
}

// direct is for a URI that names its transport and no port (RFC 3263 4.2).
func (p *plan) direct(proto transport.Proto) {
	s := serviceOf(proto)
	p.srv(s, s.srv+p.target.Host)
	if !p.found && len(p.missing) == 0 {
		p.addresses(proto, p.target.Host, 0)
	}
}

// usable reports whether a service is secure enough for the URI, and the link has its transport.
func (p *plan) usable(s service) bool {
	return (s.proto.Secure() || !p.target.Secure) && slices.Contains(p.transports, s.proto)
}

func serviceOf(proto transport.Proto) service {
	for _, s := range services {
		if s.proto == proto {
			return s
		}
	}
	return services[0]
}

// srv adds the servers of a SRV name.
func (p *plan) srv(s service, name string) {
	if len(p.hops) >= maxHops {
		return
	}
	records, ok := p.lookup(question{normal(name), dns.TypeSRV})
	if !ok || len(records.srvs) == 0 {
		return
	}
	p.found = true
	list := slices.Clone(records.srvs)
	if p.keyed {
		slices.SortFunc(list, compareSRV)
	}
	slices.SortStableFunc(list, func(a, b srvRecord) int { return cmp.Compare(a.priority, b.priority) })
	list = list[:min(len(list), maxTargets)]
	if len(list) > 1 {
		orderSRV(list, p.random())
	}
	for _, r := range list {
		if r.target == "" {
			p.refused = true
			continue
		}
		if a, err := netip.ParseAddr(r.target); err == nil { // wrong in DNS, handy in a table
			p.add(s.proto, []hostAddr{{addr: a.Unmap()}}, r.port)
			continue
		}
		p.addresses(s.proto, r.target, r.port)
	}
}

// random gives what the order among equals is drawn by: the same for each plan of one resolution, whatever was known when.
func (p *plan) random() *rand.Rand {
	if p.rng == nil {
		p.rng = rand.New(rand.NewPCG(p.key, p.key)) //nolint:gosec // the order among equals is no secret
	}
	return p.rng
}

// compareSRV is any order that depends on the records alone.
func compareSRV(a, b srvRecord) int {
	return cmp.Or(cmp.Compare(a.target, b.target), cmp.Compare(a.port, b.port), cmp.Compare(a.weight, b.weight),
		cmp.Compare(a.priority, b.priority))
}

// orderSRV draws the order among records of equal priority by their weights (RFC 2782). list is sorted by priority.
func orderSRV(list []srvRecord, rng *rand.Rand) {
	for from := 0; from < len(list); {
		to := from + 1
		for to < len(list) && list[to].priority == list[from].priority {
			to++
		}
		drawSRV(list[from:to], rng)
		from = to
	}
}

func drawSRV(list []srvRecord, rng *rand.Rand) {
	// Those of weight 0 go first, so that they have a small chance: the draw may be 0.
	slices.SortStableFunc(list, func(a, b srvRecord) int {
		return cmp.Compare(min(a.weight, 1), min(b.weight, 1))
	})
	for ; len(list) > 1; list = list[1:] {
		sum := 0
		for _, r := range list {
			sum += int(r.weight)
		}
		draw, at := rng.IntN(sum+1), 0
		for running := int(list[0].weight); running < draw; running += int(list[at].weight) {
			at++
		}
		chosen := list[at]
		copy(list[1:at+1], list[:at])
		list[0] = chosen
	}
}

// addresses adds the addresses of a host; port 0 stands for the usual one, or the table's.
func (p *plan) addresses(proto transport.Proto, host string, port uint16) {
	if len(p.hops) >= maxHops {
		return
	}
	kinds := [...]uint16{dns.TypeAAAA, dns.TypeA}
	var use []uint16
	switch p.families {
	case IPv4First:
		use = []uint16{kinds[1], kinds[0]}
	case IPv4Only:
		use = kinds[1:]
	case IPv6Only:
		use = kinds[:1]
	default:
		use = kinds[:]
	}
	for _, kind := range use {
		if a, ok := p.lookup(question{host, kind}); ok {
			p.add(proto, p.turn(a.addrs), port)
		}
	}
}

// turn gives the addresses of a host in an order that depends on them and on the key alone where that is wanted: servers
// turn them round with each answer.
func (p *plan) turn(addrs []hostAddr) []hostAddr {
	if !p.keyed || len(addrs) < 2 {
		return addrs
	}
	list := slices.Clone(addrs)
	slices.SortFunc(list, func(a, b hostAddr) int {
		return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.port, b.port), cmp.Compare(a.proto, b.proto))
	})
	first := p.random().IntN(len(list))
	return append(slices.Clip(list[first:]), list[:first]...)
}

// add makes hops.
func (p *plan) add(proto transport.Proto, addrs []hostAddr, port uint16) {
	for _, a := range addrs {
		hop := transport.Hop{Proto: proto}
		if a.proto != 0 && p.target.Proto == 0 && !p.found && (a.proto.Secure() || !p.target.Secure) {
			hop.Proto = a.proto
		}
		if hop.Proto != transport.UDP && hop.Proto != transport.TCP {
			hop.Name = p.target.Host // RFC 5922 4: the identity to check is the domain of the URI, not SRV's target
			if p.target.Addr.IsValid() {
				hop.Name = p.target.Addr.String()
			}
		}
		hop.Remote = netip.AddrPortFrom(a.addr, cmp.Or(port, a.port, hop.Proto.DefaultPort()))
		if slices.Contains(p.transports, hop.Proto) && len(p.hops) < maxHops && !slices.Contains(p.hops, hop) {
			p.hops = append(p.hops, hop)
		}
	}
}

// lookup gives the records for q. It reports false when they are missing or DNS failed.
func (p *plan) lookup(q question) (answer, bool) {
	if !isName(q.name) {
		return answer{}, true
	}
	a, ok := p.ask(q)
	if !ok {
		if len(p.missing) < maxAtOnce && !slices.Contains(p.missing, q) {
			p.missing = append(p.missing, q)
		}
		return a, false
	}
	if a.err == nil {
		return a, true
	}
	p.err = cmp.Or(p.err, fmt.Errorf("%s %s: %w", dns.TypeToString[q.kind], q.name, a.err))
	// Servers exist that fail on NAPTR and SRV though the name has addresses; but who does not answer at all will not
	// answer the next question either.
	return answer{}, errors.Is(a.err, ErrServer) && (q.kind == dns.TypeNAPTR || q.kind == dns.TypeSRV)
}

func (p *plan) result() ([]transport.Hop, error) {
	switch {
	case len(p.hops) > 0:
		return p.hops, nil
	case p.err != nil:
		return nil, p.err
	case p.refused:
		return nil, fmt.Errorf("%s: %w", p.target.Host, ErrRefused)
	case p.target.Secure && !slices.ContainsFunc(p.transports, transport.Proto.Secure):
		return nil, fmt.Errorf("%s: no secure transport: %w", p.target.Host, ErrTransport)
	case p.target.Addr.IsValid():
		return nil, fmt.Errorf("%s to %s: %w", strings.ToLower(p.proto().String()), p.target.Host, ErrTransport)
	}
	return nil, fmt.Errorf("%s: %w", p.target.Host, ErrNotFound)
}
