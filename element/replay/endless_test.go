package replay_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/transport"
)

// A reliable provisional response that nobody recorded begins the dialog that the recorded 200 confirms: the requests within
// it go to its target.
func TestExtraReliable(t *testing.T) {
	t.Parallel()
	text := strings.Replace(flowText(t, "transactions"), "ring=400ms ", "", 1)
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	p, ok := planFor(t, r, there, "bob")
	if !ok {
		t.Fatal("no plan")
	}
	w := newWorld(t, p, nil, nil)
	var call *transport.Received
	var got []string
	withPeer(w, p, func(x *peer, r *transport.Received) {
		m := r.Msg
		got = append(got, string(m.Method.Of(m.Raw))+" "+string(m.URI.Of(m.Raw)))
		contact := compose.Header{ID: sip.HeaderContact, Value: "<sip:other@" + r.Hop.Local.String() + ";ob>"}
		switch m.MethodID {
		case sip.MethodInvite:
			kept := *r
			kept.Msg = &sip.Message{}
			if err := sip.Parse([]byte(string(m.Raw)), kept.Msg); err != nil {
				t.Error(err)
			}
			call = &kept
			x.answer(r, 183, "t", contact, compose.Header{ID: sip.HeaderRequire, Value: "100rel"}, compose.Header{ID: sip.HeaderRSeq, Value: "7"})
		case sip.MethodPrack:
			x.answer(r, 200, "")
			x.answer(call, 200, "t", contact)
		case sip.MethodBye:
			x.answer(r, 200, "")
		default:
		}
	})
	w.run(1)
	w.clean()
	want := "PRACK ACK BYE"
	var methods []string
	for _, line := range got[1:] {
		method, uri, _ := strings.Cut(line, " ")
		methods = append(methods, method)
		if !strings.HasPrefix(uri, "sip:other@") {
			t.Errorf("%s, which is not the live Contact", line)
		}
	}
	if strings.Join(methods, " ") != want || w.ended[0].Verdict != replay.Completed {
		t.Errorf("%v, want %s; %s %s", methods, want, w.ended[0].Verdict, w.ended[0].Reason)
	}
}

// A live side that always asks for one more try does not get as many as it likes.
func TestEndlessTries(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, flow, sut, method string
		status                  int
		header                  func(n int) compose.Header
	}{
		{"stale", "register", "registrar", "REGISTER", 401, func(n int) compose.Header {
			return compose.Header{ID: sip.HeaderWWWAuthenticate, Value: fmt.Sprintf(`Digest realm="x", nonce="n%d", stale=true, qop="auth"`, n)}
		}},
		{"realms", "register", "registrar", "REGISTER", 401, func(n int) compose.Header {
			return compose.Header{ID: sip.HeaderWWWAuthenticate, Value: fmt.Sprintf(`Digest realm="x%d", nonce="n"`, n)}
		}},
		{"interval", "register", "registrar", "REGISTER", 423, func(n int) compose.Header {
			return compose.Header{ID: sip.HeaderMinExpires, Value: strconv.Itoa(3600 + n)}
		}},
		{"session", "transactions", "bob", "INVITE", 422, func(n int) compose.Header {
			return compose.Header{ID: sip.HeaderMinSE, Value: strconv.Itoa(90 + n)}
		}},
		{"call", "transactions", "bob", "INVITE", 407, func(n int) compose.Header {
			return compose.Header{ID: sip.HeaderProxyAuthenticate, Value: fmt.Sprintf(`Digest realm="x", nonce="n%d", stale=true`, n)}
		}},
		{"provisional", "transactions", "bob", "INVITE", 183, func(n int) compose.Header {
			return compose.Header{ID: sip.HeaderRSeq, Value: strconv.Itoa(n)}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := flowText(t, test.flow)
			r := recorded(t, test.flow, text)
			there := parsed(t, test.flow, elsewhere(text))
			p, ok := planFor(t, r, there, test.sut)
			if !ok {
				t.Fatal("no plan")
			}
			w := newWorld(t, p, nil, func(o *replay.Options) {
				o.Credentials, o.Fast = []auth.Credentials{{User: "jan", Password: "p"}, {User: "alice", Password: "p"}}, true
			})
			n := 0
			var call *transport.Received
			withPeer(w, p, func(x *peer, r *transport.Received) {
				m := r.Msg
				method := string(m.Method.Of(m.Raw))
				if !m.Request || len(x.got) > 3000 {
					return
				}
				if test.status < 200 && method == "INVITE" {
					kept := *r
					kept.Msg = &sip.Message{}
					if sip.Parse([]byte(string(m.Raw)), kept.Msg) == nil {
						call = &kept
					}
				}
				if method == test.method || test.status < 200 && method == "PRACK" {
					n++
					headers := []compose.Header{test.header(n)}
					to := r
					if test.status < 200 {
						headers = append(headers, compose.Header{ID: sip.HeaderRequire, Value: "100rel"},
							compose.Header{ID: sip.HeaderContact, Value: "<sip:bob@" + r.Hop.Local.String() + ">"})
						if to = call; method == "PRACK" {
							x.answer(r, 200, "")
						}
					}
					x.answer(to, test.status, "t", headers...)
				} else if method != "ACK" {
					x.answer(r, 200, "")
				}
			})
			w.net.MaxEvents = 1_000_000
			w.run(1)
			if n > 80 || n < 5 {
				t.Errorf("%d of %s were sent", n, test.method)
			}
			for _, o := range w.ended {
				t.Logf("%d tries: %s, %s, %s", n, o.Verdict, o.Reason, strings.Join(o.Notes, "; "))
				if o.Verdict == replay.Completed {
					t.Errorf("%s", o.Verdict)
				}
			}
		})
	}
}
