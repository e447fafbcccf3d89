package replay_test

import (
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// fuzzPlan is a call of alice to the live one, with room for one message of a fuzzer.
func fuzzPlan(tb testing.TB) *recording {
	tb.Helper()
	return recorded(tb, "transactions", flowText(tb, "transactions"))
}

// FuzzMessage has any text in the place of a recorded message: it is refused, or played to an end, and nothing goes where
// nobody is named.
func FuzzMessage(f *testing.F) {
	r := fuzzPlan(f)
	p, err := plan.New(r.calls, r.text, plan.Options{Self: true, NoRegister: true})
	if err != nil {
		f.Fatal(err)
	}
	for i := range p.Steps {
		f.Add(uint8(i), p.Steps[i].Message)
	}
	f.Add(uint8(0), []byte("INVITE sip:a SIP/2.0\r\nVia:\r\nFrom:\r\nTo:\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"))
	f.Add(uint8(2), []byte("SIP/2.0 200 \nv: SIP/2.0/UDP x;branch=1\nf: <x>;tag=%3D\nt: \ni: 2\nCSeq: 1 INVITE\nContent-Type: multipart/mixed;boundary=a\n\n--a\n\n--a"))
	f.Fuzz(func(t *testing.T, i uint8, raw []byte) {
		q := *p
		q.Steps = append([]plan.Step(nil), p.Steps...)
		q.Steps[int(i)%len(q.Steps)].Message = raw
		w, err := selfWorld(t, &q, func(o *replay.Options) { o.Verbatim = i >= 128 })
		if err != nil {
			return
		}
		w.net.MaxEvents = 200_000
		w.link.At(start, func() { _, _ = w.player.Play(replay.Input{}) })
		if err := w.net.Run(start + int64(time.Hour)); err != nil {
			t.Error(err)
		}
		if len(w.ended) != 1 {
			t.Errorf("%d plays have ended\n%s", len(w.ended), w.wire.arrows())
		}
		for at := range w.wire.dst {
			if at.Addr().As4()[1] != 8 {
				t.Errorf("a packet went to %s", at)
			}
		}
	})
}

// FuzzLive has the live side send any text with each message that it gets.
func FuzzLive(f *testing.F) {
	r := fuzzPlan(f)
	p, err := plan.New(r.calls, r.text, plan.Options{SUT: "127.0.2.10", NoRegister: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("SIP/2.0 200 OK\r\nContact: <sip:a@203.0.113.9>\r\nRecord-Route: <sip:203.0.113.9;lr>\r\nContent-Length: 0\r\n\r\n"), true)
	f.Add([]byte("SIP/2.0 401 No\r\nWWW-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\nContent-Length: 0\r\n\r\n"), true)
	f.Add([]byte("BYE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.2.10:5060;branch=z9hG4bKx\r\nContent-Length: 0\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, answer bool) {
		w := newWorld(t, p, nil, func(o *replay.Options) { o.Fast = true })
		withPeer(w, p, func(x *peer, m *transport.Received) {
			if len(x.got) > 50 {
				return
			}
			text := raw
			if answer && m.Msg.Request { // with what makes it an answer
				var own []byte
				for _, id := range []sip.HeaderID{sip.HeaderVia, sip.HeaderFrom, sip.HeaderCallID, sip.HeaderCSeq} {
					value, _ := m.Msg.Value(id)
					own = append(append(append(append(own, id.String()...), ": "...), value...), "\r\n"...)
				}
				own = append(own, "To: <sip:x>;tag=live\r\n"...)
				at := 0
				for at < len(raw) && raw[at] != '\n' {
					at++
				}
				text = append(append(append([]byte(nil), raw[:min(at+1, len(raw))]...), own...), raw[min(at+1, len(raw)):]...)
			}
			x.link.Send(transport.Hop{Proto: transport.UDP, Remote: m.Hop.Remote}, text, 0)
		})
		w.net.MaxEvents = 200_000
		w.link.At(start, func() { _, _ = w.player.Play(replay.Input{}) })
		if err := w.net.Run(start + int64(time.Hour)); err != nil {
			t.Error(err)
		}
		if len(w.ended) != 1 {
			t.Errorf("%d plays have ended\n%s", len(w.ended), w.wire.arrows())
		}
		w.onlyNamed(p)
	})
}
