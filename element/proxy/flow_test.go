package proxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// TestFlow: a browser calls; what bob sends in the dialog comes over the browser's connection (RFC 7118, RFC 5626 5.3).
func TestFlow(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		r := newRig(t, Config{RecordRoute: strict}) // a WebSocket client has it in any case
		alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
		send := func(text string) {
			text = strings.ReplaceAll(text, "SIP/2.0/UDP 10.0.1.1:5060", "SIP/2.0/WS df7jal23ls0d.invalid")
			alice.send(transport.WS, proxyWS, strings.ReplaceAll(text, "sip:alice@10.0.1.1", "sip:alice@df7jal23ls0d.invalid;transport=ws"))
		}
		send(request("INVITE", "sip:bob@10.0.2.1", "a1", "Contact: <sip:alice@10.0.1.1>"))
		r.run(5 * ms)
		invite := bob.take()
		routes := headerOf(t, invite, "Record-Route")
		if len(routes) != 2 || !strings.HasPrefix(routes[1], "<sip:flow-") || !strings.HasSuffix(routes[1], "@10.0.0.1:80;transport=ws;lr>") {
			t.Fatal(routes)
		}
		bob.reply(invite, 200, "b1")
		r.run(5 * ms)
		alice.takeLine("SIP/2.0 100")
		alice.takeLine("SIP/2.0 200")
		// to the browser
		uri, route := "sip:alice@df7jal23ls0d.invalid;transport=ws", strings.Join(routes, ",")
		if strict { // a strict router between
			uri, route = strings.Trim(routes[0], "<>"), routes[1]+", <"+uri+">"
		}
		bob.udp(strings.ReplaceAll(request("BYE", uri, "b1", "totag a1", "Route: "+route), "UDP 10.0.1.1", "UDP 10.0.2.1"))
		r.run(5 * ms)
		bye := alice.takeLine("BYE sip:alice@df7jal23ls0d.invalid;transport=ws ")
		if len(headerOf(t, bye, "Route")) != 0 {
			t.Error(bye)
		}
		// from the browser
		send(request("INFO", "sip:bob@10.0.2.1", "a3", "totag b1", "Route: "+routes[1]+","+routes[0]))
		r.run(5 * ms)
		bob.takeLine("INFO sip:bob@10.0.2.1 ")
	}
}

// TestFlowSeal: a token that is changed anywhere is none, any that is made is read.
func TestFlowSeal(t *testing.T) {
	t.Parallel()
	p := newRig(t, Config{}).proxy
	for _, a := range []string{"10.1.2.3:4", "[2001:db8::1]:65535"} {
		hop := transport.Hop{Proto: transport.WSS, Conn: 1<<63 + 5, Remote: netip.MustParseAddrPort(a)}
		token := p.appendFlow(nil, &hop)
		if got, ok := p.flow(token); !ok || got != hop {
			t.Errorf("%v %v", got, ok)
		}
		for i := range token {
			for _, c := range []byte("a9-\x00") {
				old := token[i]
				if token[i] = c; c != old {
					// the last character of a word has a bit to spare
					if _, ok := p.flow(token); ok && (i-len(flowMark))%wordSize != wordSize-1 {
						t.Errorf("changed at %d to %c", i, c)
					}
				}
				token[i] = old
			}
		}
	}
	if u, _ := sip.ParseURI([]byte("sip:flow-@x")); !cmp.Equal(string(u.User), "flow-") {
		t.Error(u)
	}
}
