package replay_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/transport"
)

// A live server may ask for credentials of the BYE that ends what the recording leaves open: it gets them, once.
func TestGoodbyeIsChallenged(t *testing.T) {
	t.Parallel()
	p := handPlan(t,
		"alice > sut\n"+request("INVITE", "sip:bob@"+sutAt, aliceAt, "first", "a", "", 1, "Contact: <sip:alice@"+aliceAt+">\n\n"),
		"sut > alice\n"+response("200 OK", "INVITE", aliceAt, "first", "a", "b", 1, "Contact: <sip:bob@"+sutAt+">\n\n"),
		"alice > sut\n"+request("ACK", "sip:bob@"+sutAt, aliceAt, "first", "a", "b", 1, "\n"),
	)
	ask := compose.Header{ID: sip.HeaderProxyAuthenticate, Value: `Digest realm="lab", nonce="n1"`}
	for _, give := range []bool{true, false} {
		byes, proven := 0, 0
		_, _, o := only(t, p, func(o *replay.Options) {
			if give {
				o.Credentials = []auth.Credentials{{User: "alice", Password: "secret"}}
			}
		}, func(x *peer, r *transport.Received) {
			if !r.Msg.Request || r.Msg.MethodID != sip.MethodBye {
				ok(x, r)
				return
			}
			byes++
			if value, has := r.Msg.Value(sip.HeaderProxyAuthorization); has && strings.Contains(string(value), `username="alice"`) {
				proven++
			}
			x.answer(r, 407, "live", ask) // and again, though it is proven
		})
		if want := map[bool]int{true: 2, false: 1}[give]; byes != want || proven != want-1 || o.Verdict != replay.Completed {
			t.Errorf("credentials %v: %d BYEs, %d with credentials; %s %s %q", give, byes, proven, o.Verdict, o.Reason, o.Notes)
		}
	}
}

// Who has subscribed is told that the subscription is over, unless the recording told so, or the subscriber did.
func TestGoodbyeToSubscriber(t *testing.T) {
	t.Parallel()
	subscribe := func(cseq int, totag, expires string) string {
		return "sut > alice\n" + request("SUBSCRIBE", "sip:alice@"+aliceAt, sutAt, "first", "a", totag, cseq,
			"Event: presence\nExpires: "+expires+"\nContact: <sip:bob@"+sutAt+">\n\n")
	}
	accept := func(cseq int) string {
		return "alice > sut\n" + response("200 OK", "SUBSCRIBE", sutAt, "first", "a", "b", cseq, "Expires: 600\nContact: <sip:alice@"+aliceAt+">\n\n")
	}
	notify := func(state string) []string {
		return []string{
			"alice > sut\n" + request("NOTIFY", "sip:bob@"+sutAt, aliceAt, "first", "b", "a", 1, "Event: presence\nSubscription-State: "+state+"\n\n"),
			"sut > alice\n" + response("200 OK", "NOTIFY", aliceAt, "first", "b", "a", 1, "\n"),
		}
	}
	for _, c := range []struct {
		name  string
		steps []string
		want  int // NOTIFYs that end it
	}{
		{"active", notify("active"), 1},
		{"ended as recorded", notify("terminated"), 1},
		{"given up", []string{subscribe(2, "b", "0"), accept(2)}, 0},
	} {
		p := handPlan(t, append([]string{subscribe(1, "", "600"), accept(1)}, c.steps...)...)
		ended := 0
		w := newWorld(t, p, nil, nil)
		send := func(x *peer, cseq int, totag, expires string) {
			raw := strings.NewReplacer("127.0.", "127.9.", "Call-ID: first", "Call-ID: live", "branch=", "branch=z9hG4bK-live").Replace(
				strings.TrimPrefix(subscribe(cseq, totag, expires), "sut > alice\n"))
			x.link.Send(transport.Hop{
				Proto: transport.UDP, Local: netip.MustParseAddrPort("127.9.3.1:5060"), Remote: netip.MustParseAddrPort("127.9.1.10:5060"),
			}, crlf(raw), 0)
		}
		x := withPeer(w, p, func(x *peer, r *transport.Received) {
			ok(x, r)
			if value, has := r.Msg.Value(sip.HeaderSubscriptionState); has && strings.HasPrefix(string(value), "terminated") {
				ended++
			}
			if !r.Msg.Request && r.Msg.CSeq == 1 && c.name == "given up" {
				send(x, 2, string(r.Msg.To.Tag.Of(r.Msg.Raw)), "0")
			}
		})
		w.net.At(start+int64(time.Millisecond), func() { send(x, 1, "", "600") })
		w.run(1)
		w.clean()
		if len(w.ended) != 1 || ended != c.want {
			t.Errorf("%s: %d NOTIFYs end it, want %d: %+v", c.name, ended, c.want, w.ended)
		}
	}
}
