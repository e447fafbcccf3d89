package registrar

import (
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// TestFlow has the binding of a WebSocket client keep its connection, and others where they came from when that is asked
// for.
func TestFlow(t *testing.T) {
	t.Parallel()
	text := (&world{}).request("REGISTER", "sip:b.com", bob, "Contact: <sip:bob@df7jal23ls0d.invalid;transport=ws>")
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP, transport.TLS, transport.WS, transport.WSS} {
		for _, keep := range []bool{false, true} {
			store := NewStore(StoreConfig{})
			r := New(Config{Store: store, Rand: rng(), KeepReceived: keep})
			r.Attach(&quiet{world: world{t: t, now: start}})
			rc := &transport.Received{Msg: &sip.Message{}, Hop: transport.Hop{Proto: proto, Local: here, Remote: there, Conn: 7}}
			if err := sip.Parse([]byte(text), rc.Msg); err != nil {
				t.Fatal(err)
			}
			r.Request(1, rc)
			all := store.Lookup("sip:bob@b.com", start)
			if len(all) != 1 {
				t.Fatalf("%v: %+v", proto, all)
			}
			want := transport.Hop{}
			if keep || proto == transport.WS || proto == transport.WSS {
				want = rc.Hop
			}
			if all[0].Received != want {
				t.Errorf("%v, kept %t: %+v", proto, keep, all[0].Received)
			}
		}
	}
}
