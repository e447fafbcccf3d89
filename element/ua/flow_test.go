package ua

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// TestFlowOfARecordRoute has a proxy at the other end of a WebSocket connection name itself in a Record-Route that leads
// elsewhere, as Kamailio does: without its port, and with "ws" for wss. The ACK and what follows go by the connection.
func TestFlowOfARecordRoute(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ proto, route string }{
		"no port":   {"ws", "<sip:127.0.2.10;transport=ws;lr>"},
		"no wss":    {"wss", "<sip:127.0.2.10:5061;transport=ws;lr>"},
		"two sides": {"wss", "<sip:127.0.9.9;r2=on;lr>, <sip:127.0.2.10:5061;transport=WS;r2=on;lr>"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, 1, tt.proto, nil)
			p := withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
				rep := compose.Reply{Status: 200, ToTag: "x"}
				if m.MethodID == sip.MethodAck {
					return
				}
				if m.MethodID == sip.MethodInvite {
					rep.Headers = []compose.Header{
						h(sip.HeaderRecordRoute, tt.route), h(sip.HeaderContact, "<sip:bob@192.0.2.4:5060>"),
					}
					rep.ContentType, rep.Body = typeSDP, m.Body.Of(m.Raw)
				}
				p.answer(r, rep)
			})
			g.call(CallOptions{To: "sip:bob@127.0.2.10:5060;transport=" + tt.proto, Talk: time.Second})
			g.drain()
			g.wants("a INVITE, b 200 INVITE, a ACK, a BYE, b 200 BYE")
			for _, raw := range p.log[1:] {
				if !strings.Contains(raw, "Route: <sip:127.0.2.10") {
					t.Errorf("it has no Route:\n%s", raw)
				}
			}
			g.check("a", CauseBye, 0, false)
			g.clean()
		})
	}
}

// TestOpenConnectionOfARecordRoute has a Record-Route name the other end of the caller's TLS connection by its address,
// for which its certificate may not be good: no second connection is made.
func TestOpenConnectionOfARecordRoute(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "tls", nil)
	conns := map[uint64]bool{}
	p := withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
		conns[r.Hop.Conn] = true
		rep := compose.Reply{Status: 200, ToTag: "x"}
		switch m.MethodID {
		case sip.MethodAck:
			return
		case sip.MethodInvite:
			rep.Headers = []compose.Header{
				h(sip.HeaderRecordRoute, "<sip:127.0.2.10:5060;transport=tls;lr>"), h(sip.HeaderContact, "<sip:bob@192.0.2.4:5060>"),
			}
			rep.ContentType, rep.Body = typeSDP, m.Body.Of(m.Raw)
		default:
		}
		p.answer(r, rep)
	})
	g.alice.cfg.Resolver = named{transport.Hop{Proto: transport.TLS, Remote: netip.MustParseAddrPort("127.0.2.10:5060"), Name: "b.com"}}
	g.call(CallOptions{To: "sip:bob@b.com", Talk: time.Second})
	g.drain()
	g.wants("a INVITE, b 200 INVITE, a ACK, a BYE, b 200 BYE")
	if len(conns) != 1 || p.n != 3 {
		t.Errorf("%d requests by %d connections", p.n, len(conns))
	}
	g.clean()
}

// named is a resolver that knows one hop for every name.
type named struct{ hop transport.Hop }

func (n named) Resolve(_ []byte, done func([]transport.Hop, error)) {
	done([]transport.Hop{n.hop}, nil)
}

// TestEndSaysWhy has failed calls tell the phrase of the response, or the error when there was none.
func TestEndSaysWhy(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(_, b *Config) { b.Answer = Answer{Ring: -1, Code: 404, Reason: "No such desk"} })
	g.call(CallOptions{})
	g.drain()
	if e := g.ended["a"][0]; e.Text != "No such desk" || e.Err != nil {
		t.Errorf("text %q, error %v", e.Text, e.Err)
	}

	g = newRig(t, 1, "udp", nil)
	g.call(CallOptions{To: "sip:bob@127.0.2.77:5060"})
	g.call(CallOptions{To: "sip:bob@b.com"})
	g.drain()
	ended := g.ended["a"]
	if len(ended) != 2 || !errors.Is(ended[0].Err, ErrNoHop) || !errors.Is(ended[1].Err, txn.ErrTimeout) {
		t.Errorf("%+v", ended)
	}
}

// TestFragment reads status lines of message/sipfrag, whole and broken.
func TestFragment(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		status int
		phrase string
	}{
		"SIP/2.0 200 OK":                      {200, "OK"},
		"SIP/2.0 486 Busy Here\r\n":           {486, "Busy Here"},
		"SIP/2.0 100 Trying\nFrom: <sip:a@b>": {100, "Trying"},
		"SIP/2.0 180\r\n":                     {180, ""},
		"SIP/2.0 180 \r\n":                    {180, ""},
		"SIP/2.0 999 No":                      {},
		"SIP/2.0 2000 No":                     {},
		"SIP/2.0 2x0 No":                      {},
		"SIP/2.0 20":                          {},
		"SIP/1.0 200 OK":                      {},
		"":                                    {},
		"SIP/2.0 \r\n200 OK":                  {},
	} {
		if status, phrase := fragment([]byte(body)); status != want.status || phrase != want.phrase {
			t.Errorf("%q: %d %q", body, status, phrase)
		}
	}
}
