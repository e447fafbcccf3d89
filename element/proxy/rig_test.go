package proxy

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/virtual"
)

const (
	proxyAddr = "10.0.0.1:5060"
	proxyWS   = "10.0.0.1:80"
	aliceAddr = "10.0.1.1:5060"
	bobAddr   = "10.0.2.1:5060"
	bob2Addr  = "10.0.2.2:5060"
	carolAddr = "10.0.2.3:5060"
)

// start is the time when every test begins.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano()

// rig is a virtual network with one proxy and peers that do what a test says.
type rig struct {
	t     *testing.T
	net   *virtual.Net
	host  *virtual.Host // of the proxy
	proxy *Proxy
	layer *txn.Layer
	peers map[string]*peer
	log   []string // start lines of all messages, "src>dst line"
	event []Event
}

// peer is an end without transactions: it keeps what comes, and sends texts.
type peer struct {
	t    *testing.T
	host *virtual.Host
	addr string
	got  []string
	hops []transport.Hop
	auto func(p *peer, m *sip.Message, raw string) // answers
}

func (p *peer) Receive(r *transport.Received) {
	p.got = append(p.got, string(r.Msg.Raw))
	p.hops = append(p.hops, r.Hop)
	if p.auto != nil {
		p.auto(p, r.Msg, string(r.Msg.Raw))
	}
}
func (p *peer) Failed(transport.Hop, uint64, error) {}
func (p *peer) Wake(int64) int64                    { return math.MaxInt64 }

type namedLocator map[string][]Target

func (l namedLocator) Lookup(aor string, _ int64) ([]Target, bool) {
	t, ok := l[aor]
	return t, ok
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	r := &rig{t: t, net: virtual.New(start, rng), peers: map[string]*peer{}}
	r.net.Tap(r)
	var ends []transport.Listen
	for _, l := range []string{"udp:" + proxyAddr, "tcp:" + proxyAddr, "ws:" + proxyWS, "tls:10.0.0.1:5061", "udp:[2001:db8::1]:5060"} {
		end, err := transport.ParseListen(l)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	host := r.net.Host("proxy", ends...)
	r.host = host
	cfg.Rand, cfg.Listeners = rng, host.Listeners()
	cfg.Events = func(e Event) { r.event = append(r.event, e) }
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.proxy, r.layer = p, txn.New(host, p, txn.Config{Merged: true, StrayCancel: true, Rand: rng})
	p.Attach(r.layer)
	host.Attach(p.Handler())
	return r
}

// Message logs what is sent.
func (r *rig) Message(_ int64, _ transport.Proto, _ uint64, src, dst netip.AddrPort, raw []byte) {
	line, _, _ := bytes.Cut(raw, []byte("\r\n"))
	r.log = append(r.log, fmt.Sprintf("%s>%s %s", src.Addr(), dst.Addr(), line))
}

func (r *rig) peer(addr string) *peer {
	if p := r.peers[addr]; p != nil {
		return p
	}
	udp, _ := transport.ParseListen("udp:" + addr)
	tcp, _ := transport.ParseListen("tcp:" + addr)
	tls := udp
	tls.Proto = transport.TLS
	tls.AddrPort = netip.AddrPortFrom(udp.Addr(), 5061)
	p := &peer{t: r.t, addr: addr, host: r.net.Host(addr, udp, tcp, tls)}
	p.host.Attach(p)
	r.peers[addr] = p
	return p
}

// run lets so much time pass.
func (r *rig) run(d time.Duration) {
	r.t.Helper()
	if err := r.net.Run(r.net.Now() + int64(d)); err != nil {
		r.t.Fatal(err)
	}
}

// send sends a text, whose lines may end in LF, to an address over a transport.
func (p *peer) send(proto transport.Proto, to, text string) {
	text = strings.ReplaceAll(strings.TrimLeft(text, "\n"), "\n", "\r\n")
	p.host.Send(transport.Hop{Proto: proto, Remote: netip.MustParseAddrPort(to)}, []byte(text), 0)
}

func (p *peer) udp(text string) { p.send(transport.UDP, proxyAddr, text) }

// take gives the oldest message that was not taken yet.
func (p *peer) take() string {
	p.t.Helper()
	if len(p.got) == 0 {
		p.t.Fatalf("%s: no message", p.addr)
	}
	m := p.got[0]
	p.got = p.got[1:]
	return m
}

// takeLine takes a message that must begin with so.
func (p *peer) takeLine(begin string) string {
	p.t.Helper()
	m := p.take()
	if !strings.HasPrefix(m, begin) {
		p.t.Fatalf("%s: got %q, want %s", p.addr, m, begin)
	}
	return m
}

func (p *peer) none() {
	p.t.Helper()
	if len(p.got) > 0 {
		p.t.Fatalf("%s: unexpected %q", p.addr, p.got)
	}
}

func parse(t *testing.T, text string) *sip.Message {
	t.Helper()
	m := new(sip.Message)
	if err := sip.Parse([]byte(text), m); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return m
}

// answer makes a response to a request as a UAS makes it.
func answer(t *testing.T, request string, status int, tag string, more ...string) string {
	t.Helper()
	m := parse(t, request)
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\n", status, sip.ReasonPhrase(status))
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
			fmt.Fprintf(&b, "%s: %s\n", h.Name.Of(m.Raw), value)
		default:
		}
	}
	for _, line := range more {
		b.WriteString(line + "\n")
	}
	b.WriteString("Content-Length: 0\n\n")
	return b.String()
}

// reply sends a response to the request that came last or, taken before, is given.
func (p *peer) reply(request string, status int, tag string, more ...string) {
	p.t.Helper()
	p.send(transport.UDP, proxyAddr, answer(p.t, request, status, tag, more...))
}

// headerOf gives all values of a header.
func headerOf(t *testing.T, text, name string) []string {
	t.Helper()
	var all []string
	m := parse(t, text)
	for v := range m.Named(name) {
		all = append(all, string(v))
	}
	return all
}

// request makes a request of alice's.
func request(method, uri, branch string, more ...string) string {
	tag := ""
	for _, line := range more {
		if after, ok := strings.CutPrefix(line, "totag "); ok {
			tag = ";tag=" + after
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s SIP/2.0\n", method, uri)
	fmt.Fprintf(&b, "Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bK%s\n", branch)
	mf := "Max-Forwards: 70\n"
	for _, line := range more {
		if strings.HasPrefix(line, "Max-Forwards") {
			mf = ""
		}
	}
	b.WriteString(mf)
	fmt.Fprintf(&b, "From: Alice <sip:alice@a.com>;tag=a1\nTo: <sip:bob@b.com>%s\nCall-ID: c1@a\nCSeq: 1 %s\n", tag, method)
	for _, line := range more {
		if !strings.HasPrefix(line, "totag ") {
			b.WriteString(line + "\n")
		}
	}
	b.WriteString("Content-Length: 0\n\n")
	return b.String()
}

// lines gives the log and clears it.
func (r *rig) lines() []string {
	l := r.log
	r.log = nil
	return l
}

// idle checks that nothing is left when all timers have passed.
func (r *rig) idle() {
	r.t.Helper()
	r.run(10 * time.Minute)
	s := r.proxy.Stats()
	if s.Contexts != 0 || s.Branches != 0 || s.Resolving != 0 || s.Kept != 0 {
		r.t.Errorf("left over: %+v", s)
	}
	if ls := r.layer.Stats(); ls.OpenOf(txn.ServerInvite)+ls.OpenOf(txn.Server)+ls.OpenOf(txn.ClientInvite)+ls.OpenOf(txn.Client) != 0 {
		r.t.Errorf("transactions left over: %+v", ls.Open)
	}
	if len(r.proxy.forks)-1 != len(r.proxy.spare) {
		r.t.Errorf("forks left over: %d of %d free", len(r.proxy.spare), len(r.proxy.forks)-1)
	}
}
