package hostile

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipscope/decode/sip"
	"sipscope/element/fault"
	"sipscope/element/proxy"
	"sipscope/element/registrar"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
	"sipscope/element/virtual"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ms     = int64(time.Millisecond)
	second = int64(time.Second)
	// start is when virtual time begins.
	start = 1_767_323_045 * second
)

// Where virtual elements are.
const (
	aliceAddr = "10.0.1.1:5060"
	bobAddr   = "10.0.2.1:5060"
	proxyAddr = "10.0.0.1:5060"
	otherAddr = "10.0.0.2:5060"
)

func at(s string) transport.Listen {
	l, err := transport.ParseListen(s)
	if err != nil {
		panic(err)
	}
	return l
}

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x5eed)) }

// element is one element of ours, of any kind, that some link drives.
type element struct {
	kind    string
	handler transport.Handler
	layer   *txn.Layer // nil of a stateless proxy

	agent     *ua.Agent
	proxy     *proxy.Proxy
	stateless *proxy.Stateless
	registrar *registrar.Registrar
	redirect  *registrar.Redirect
	store     *registrar.Store
}

// limits bound an element.
type limits struct {
	txns, calls, contexts int
	txn                   txn.Config
}

// kinds are the elements there are.
var kinds = [...]string{"user agent", "proxy", "stateless", "registrar", "redirect"}

// build makes an element on a link. bob is whom proxies send what is for bob@b.com to, and what redirects name.
func build(tb testing.TB, kind string, link transport.Link, own []transport.Hop, bob string, lim limits) *element {
	tb.Helper()
	e := &element{kind: kind}
	cfg := lim.txn
	cfg.Rand = rng(11)
	if lim.txns > 0 {
		cfg.Limit = lim.txns
	}
	bind := func() {
		e.store = registrar.NewStore(registrar.StoreConfig{})
		if bob != "" {
			if err := e.store.Add("sip:bob@b.com", &registrar.Binding{URI: "sip:bob@" + bob, Q: -1, Ends: registrar.Forever}, link.Now()); err != nil {
				tb.Fatal(err)
			}
		}
	}
	switch kind {
	case "user agent":
		e.agent = ua.New(ua.Config{
			Link: link, Txn: cfg, Rand: rng(12), Identity: "<sip:bob@b.com>", Limits: ua.Limits{Calls: lim.calls, Subscriptions: lim.calls},
			Packages: []ua.Package{{Event: "presence", Type: "text/plain", State: func(*ua.Watcher) (string, []byte) { return "text/plain", []byte("here") }}},
		})
		e.layer, e.handler = e.agent.Layer(), e.agent.Handler()
	case "proxy", "stateless":
		bind()
		pc := proxy.Config{
			Listeners: own, Domains: []string{"b.com"}, Locator: proxy.Location{Store: e.store}, RecordRoute: true, Rand: rng(13), Contexts: lim.contexts,
		}
		var err error
		if kind == "stateless" {
			e.stateless, err = proxy.NewStateless(pc)
			if err != nil {
				tb.Fatal(err)
			}
			e.stateless.Attach(link)
			e.handler = e.stateless
			break
		}
		if e.proxy, err = proxy.New(pc); err != nil {
			tb.Fatal(err)
		}
		cfg.Merged, cfg.StrayCancel = true, true
		e.layer = txn.New(link, e.proxy, cfg)
		e.proxy.Attach(e.layer)
		e.handler = e.proxy.Handler()
	case "registrar":
		bind()
		e.registrar = registrar.New(registrar.Config{Store: e.store, Rand: rng(14)})
		e.layer = txn.New(link, e.registrar, cfg)
		e.registrar.Attach(e.layer)
		e.handler = registrar.Handler(e.layer, e.store)
	case "redirect":
		bind()
		e.redirect = registrar.NewRedirect(registrar.RedirectConfig{Store: e.store, Rand: rng(15)})
		e.layer = txn.New(link, e.redirect, cfg)
		e.redirect.Attach(e.layer)
		e.handler = registrar.Handler(e.layer, e.store)
	default:
		tb.Fatal("no such element: ", kind)
	}
	return e
}

// open is how many transactions an element has.
func (e *element) open() (n int) {
	if e.layer == nil {
		return 0
	}
	s := e.layer.Stats()
	for k := range txn.Kinds {
		n += s.OpenOf(k)
	}
	return n
}

// left says what an element keeps; "" for nothing.
func (e *element) left() string {
	var s []string
	add := func(n int, what string) {
		if n != 0 {
			s = append(s, fmt.Sprint(n, " ", what))
		}
	}
	add(e.open(), "transactions")
	if e.agent != nil {
		st := e.agent.Stats()
		add(st.Calls, "calls")
		add(st.Subscriptions, "subscriptions")
		add(st.Requests, "requests")
	}
	if e.proxy != nil {
		st := e.proxy.Stats()
		add(st.Contexts, "contexts")
		add(st.Branches, "branches")
		add(st.Kept, "bytes")
	}
	return strings.Join(s, ", ")
}

// sim is a virtual network.
type sim struct {
	t   *testing.T
	net *virtual.Net
}

func newSim(t *testing.T, seed uint64) *sim {
	t.Helper()
	return &sim{t: t, net: virtual.New(start, rng(seed))}
}

// host adds a machine with UDP and TCP at an address.
func (s *sim) host(addr string) *virtual.Host {
	return s.net.Host(addr, at("udp:"+addr), at("tcp:"+addr))
}

// add puts an element on a machine of its own, behind faults.
func (s *sim) add(kind, addr, bob string, lim limits, faults string) *element {
	s.t.Helper()
	h := s.host(addr)
	link, wrap := faulty(s.t, h, faults)
	e := build(s.t, kind, link, h.Listeners(), bob, lim)
	h.Attach(wrap(e.handler))
	return e
}

// user puts a user agent on a machine of its own, behind faults.
func (s *sim) user(addr, identity, faults string, change func(*ua.Config)) *ua.Agent {
	s.t.Helper()
	h := s.host(addr)
	link, wrap := faulty(s.t, h, faults)
	cfg := ua.Config{Link: link, Rand: rng(uint64(len(identity))), Identity: identity}
	if change != nil {
		change(&cfg)
	}
	a := ua.New(cfg)
	h.Attach(wrap(a.Handler()))
	return a
}

// faulty puts faults between a link and its handler.
func faulty(tb testing.TB, link transport.Link, faults string) (transport.Link, func(transport.Handler) transport.Handler) {
	tb.Helper()
	if faults == "" {
		return link, func(h transport.Handler) transport.Handler { return h }
	}
	rules, err := fault.Parse(faults)
	if err != nil {
		tb.Fatal(err)
	}
	f := fault.Link(link, rules, rng(99))
	return f, f.Handler
}

func (s *sim) run(d time.Duration) {
	s.t.Helper()
	if err := s.net.Run(s.net.Now() + int64(d)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sim) drain() {
	s.t.Helper()
	if err := s.net.Run(math.MaxInt64); err != nil {
		s.t.Fatal(err)
	}
}

// raw is a peer without rules of its own.
type raw struct {
	host *virtual.Host
	got  []string
	all  map[int]int // responses by status
	keep bool
	auto func(m *sip.Message, hop transport.Hop)
}

func (s *sim) raw(addr string) *raw {
	r := &raw{host: s.host(addr), all: map[int]int{}, keep: true}
	r.host.Attach(r)
	return r
}

func (r *raw) Receive(in *transport.Received) {
	if !in.Msg.Request {
		r.all[int(in.Msg.Status)]++
	}
	if r.keep {
		r.got = append(r.got, string(in.Msg.Raw))
	}
	if r.auto != nil {
		r.auto(in.Msg, in.Hop)
	}
}
func (*raw) Failed(transport.Hop, uint64, error) {}
func (*raw) Wake(int64) int64                    { return math.MaxInt64 }

func (r *raw) send(to, text string) {
	r.host.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort(to)}, []byte(text), 0)
}

// last is the message that came last; "" for none.
func (r *raw) last() string {
	if len(r.got) == 0 {
		return ""
	}
	return r.got[len(r.got)-1]
}

// req is a request as a test wants it; what is not said is as usual.
type req struct {
	method, uri, via, proto, branch, from, fromTag, to, toTag, callID string
	cseq                                                              uint64
	more                                                              []string // further header lines
	body                                                              string
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// text writes the request.
func (q req) text() string {
	var b strings.Builder
	toTag := ""
	if q.toTag != "" {
		toTag = ";tag=" + q.toTag
	}
	cseq := q.cseq
	if cseq == 0 {
		cseq = 1
	}
	via := or(q.via, aliceAddr)
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\n", q.method, or(q.uri, "sip:bob@b.com"))
	fmt.Fprintf(&b, "Via: SIP/2.0/%s %s;branch=z9hG4bK%s\r\n", or(q.proto, "UDP"), via, q.branch)
	fmt.Fprintf(&b, "Max-Forwards: 70\r\nFrom: <%s>;tag=%s\r\nTo: <%s>%s\r\n", or(q.from, "sip:alice@a.com"), or(q.fromTag, "a1"), or(q.to, "sip:bob@b.com"), toTag)
	fmt.Fprintf(&b, "Call-ID: %s\r\nCSeq: %d %s\r\nContact: <sip:alice@%s>\r\n", or(q.callID, q.branch), cseq, q.method, via)
	for _, line := range q.more {
		b.WriteString(line + "\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(q.body), q.body)
	return b.String()
}

func parse(tb testing.TB, text string) *sip.Message {
	tb.Helper()
	m := new(sip.Message)
	if err := sip.Parse([]byte(text), m); err != nil {
		tb.Fatalf("%v in %.300q", err, text)
	}
	return m
}

// reply writes the response to a request, as a UAS does.
func reply(tb testing.TB, request string, status int, tag string, more ...string) string {
	tb.Helper()
	m := parse(tb, request)
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", status, sip.ReasonPhrase(status))
	for i := range m.Headers {
		h := &m.Headers[i]
		value := string(h.Value.Of(m.Raw))
		switch h.ID {
		case sip.HeaderTo:
			if m.To.Tag.Empty() && status > 100 {
				value += ";tag=" + tag
			}
			fallthrough
		case sip.HeaderVia, sip.HeaderFrom, sip.HeaderCallID, sip.HeaderCSeq, sip.HeaderRecordRoute:
			fmt.Fprintf(&b, "%s: %s\r\n", h.Name.Of(m.Raw), value)
		default:
		}
	}
	for _, line := range more {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return b.String()
}

func status(text string) string {
	if rest, ok := strings.CutPrefix(text, "SIP/2.0 "); ok && len(rest) >= 3 {
		return rest[:3]
	}
	return ""
}

// startLine is the first line of a message.
func startLine(raw []byte) string {
	line, _, _ := bytes.Cut(raw, []byte("\r\n"))
	return string(line)
}

// buildProxy makes a proxy that goes by Route and Request-URI alone.
func buildProxy(tb testing.TB, kind string, link transport.Link, own []transport.Hop, recordRoute bool, tc txn.Config) *element {
	tb.Helper()
	e := &element{kind: kind}
	cfg := proxy.Config{Listeners: own, RecordRoute: recordRoute, Rand: rng(21)}
	var err error
	if kind == "stateless" {
		if e.stateless, err = proxy.NewStateless(cfg); err != nil {
			tb.Fatal(err)
		}
		e.stateless.Attach(link)
		e.handler = e.stateless
		return e
	}
	if e.proxy, err = proxy.New(cfg); err != nil {
		tb.Fatal(err)
	}
	tc.Merged, tc.StrayCancel, tc.Rand = true, true, rng(22)
	e.layer = txn.New(link, e.proxy, tc)
	e.proxy.Attach(e.layer)
	e.handler = e.proxy.Handler()
	return e
}
