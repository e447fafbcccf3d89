package registrar

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// world is a link in virtual time with a transaction layer on it. What the layer sends is parsed.
type world struct {
	t       testing.TB
	now     int64
	layer   *txn.Layer
	handler transport.Handler
	sent    []*sip.Message
	branch  int
}

var (
	here  = netip.MustParseAddrPort("127.0.3.1:5060")
	there = netip.MustParseAddrPort("127.0.1.10:5060")
)

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func newWorld(tb testing.TB, user txn.User, s *Store) *world {
	tb.Helper()
	w := &world{t: tb, now: start}
	w.layer = txn.New(w, user, txn.Config{Rand: rng()})
	w.handler = Handler(w.layer, s)
	return w
}

func (w *world) Now() int64                                   { return w.now }
func (w *world) SentBy(transport.Hop) (netip.AddrPort, error) { return here, nil }

func (w *world) Send(_ transport.Hop, raw []byte, _ uint64) {
	m := &sip.Message{}
	if err := sip.Parse(bytes.Clone(raw), m); err != nil {
		w.t.Fatalf("sent what is not SIP: %v\n%s", err, raw)
	}
	w.sent = append(w.sent, m)
}

// raw delivers a message and gives what was sent for it.
func (w *world) raw(text string) []*sip.Message {
	w.t.Helper()
	m := &sip.Message{}
	if err := sip.Parse([]byte(text), m); err != nil {
		w.t.Fatal(err)
	}
	w.sent = nil
	w.handler.Receive(&transport.Received{Msg: m, Hop: transport.Hop{Proto: transport.UDP, Local: here, Remote: there}})
	w.handler.Wake(w.now)
	return w.sent
}

// request makes a request with its own branch. lines are headers beside Via, Max-Forwards, From and To; those that lines
// has are not added.
func (w *world) request(method, uri, to string, lines ...string) string {
	w.branch++
	all := strings.Join(lines, "\r\n") + "\r\n"
	add := func(name, value string) {
		if !strings.Contains("\r\n"+all, "\r\n"+name+":") {
			all = name + ": " + value + "\r\n" + all
		}
	}
	add("Content-Length", "0")
	add("CSeq", fmt.Sprintf("%d %s", w.branch, method))
	add("Call-ID", "c1")
	add("To", "<"+to+">")
	add("From", "<"+to+">;tag=f1")
	add("Max-Forwards", "70")
	add("Via", fmt.Sprintf("SIP/2.0/UDP 127.0.1.10;rport;branch=z9hG4bK-%d", w.branch))
	return method + " " + uri + " SIP/2.0\r\n" + all + "\r\n"
}

// register sends a REGISTER for bob and gives its one answer.
func (w *world) register(lines ...string) *sip.Message {
	w.t.Helper()
	return w.one(w.request("REGISTER", "sip:b.com", bob, lines...))
}

func (w *world) one(text string) *sip.Message {
	w.t.Helper()
	sent := w.raw(text)
	if len(sent) != 1 {
		w.t.Fatalf("%d answers to\n%s", len(sent), text)
	}
	return sent[0]
}

// values are the values of a header, joined.
func values(m *sip.Message, id sip.HeaderID) string {
	var all []string
	for v := range m.List(id) {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}

func newRegistrar(tb testing.TB, cfg Config) (*world, *Registrar) {
	tb.Helper()
	if cfg.Store == nil {
		cfg.Store = NewStore(StoreConfig{})
	}
	cfg.Rand = rng()
	r := New(cfg)
	w := newWorld(tb, r, cfg.Store)
	r.Attach(w.layer)
	return w, r
}

func newRedirect(tb testing.TB, cfg RedirectConfig) (*world, *Redirect) {
	tb.Helper()
	if cfg.Store == nil {
		cfg.Store = NewStore(StoreConfig{})
	}
	cfg.Rand = rng()
	r := NewRedirect(cfg)
	w := newWorld(tb, r, cfg.Store)
	r.Attach(w.layer)
	return w, r
}
