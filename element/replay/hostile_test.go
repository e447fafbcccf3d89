package replay_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// peer is a live side that says what a test has it say.
type peer struct {
	link *virtual.Host
	rng  *rand.Rand
	on   func(p *peer, r *transport.Received)
	got  []string
	wake func(now int64) int64
}

func (p *peer) Receive(r *transport.Received) {
	p.got = append(p.got, string(r.Msg.Raw))
	p.on(p, r)
}
func (*peer) Failed(transport.Hop, uint64, error) {}
func (p *peer) Wake(now int64) int64 {
	if p.wake != nil {
		return p.wake(now)
	}
	return math.MaxInt64
}

// answer sends a response to what came.
func (p *peer) answer(r *transport.Received, status int, tag string, headers ...compose.Header) {
	raw, err := compose.Response(nil, r.Msg, r.Hop.Remote, &compose.Reply{
		Status: status, ToTag: tag, RecordRoute: true, Headers: headers,
	})
	if err == nil {
		p.link.Send(transport.ReplyHop(r), raw, 0)
	}
}

// withPeer puts a peer where the live server is.
func withPeer(w *world, p *plan.Plan, on func(p *peer, r *transport.Received)) *peer {
	l, _ := p.LiveHost()
	at := netip.AddrPortFrom(moved(l.At[0].Addr()), l.At[0].Port())
	x := &peer{on: on, rng: rand.New(rand.NewPCG(5, 6))}
	x.link = w.net.Host("peer", transport.Listen{Proto: transport.UDP, AddrPort: at}, transport.Listen{Proto: transport.TCP, AddrPort: at})
	x.link.Attach(x)
	return x
}

// hostileHeaders are what a peer that means harm puts into its messages.
var hostileHeaders = []compose.Header{
	{ID: sip.HeaderContact, Value: "<sip:victim@203.0.113.9:5060>"},
	{ID: sip.HeaderContact, Value: "<sip:victim@198.51.100.1;transport=tcp;maddr=203.0.113.9>"},
	{ID: sip.HeaderContact, Value: "*"},
	{ID: sip.HeaderContact, Value: "<sips:a@[2001:db8::9]:1>, <tel:911>, \"<"},
	{ID: sip.HeaderRecordRoute, Value: "<sip:203.0.113.9;lr>"},
	{ID: sip.HeaderRecordRoute, Value: "<sip:203.0.113.9>, <sip:0.0.0.0:0>, <sip:255.255.255.255:99999;lr>"},
	{ID: sip.HeaderRequire, Value: "100rel"},
	{ID: sip.HeaderRSeq, Value: "4294967295"},
	{ID: sip.HeaderRSeq, Value: "-1"},
	{ID: sip.HeaderMinExpires, Value: "4294967295"},
	{ID: sip.HeaderMinSE, Value: "99999999999999999999"},
	{ID: sip.HeaderRetryAfter, Value: "99999999999"},
	{ID: sip.HeaderWWWAuthenticate, Value: `Digest realm="\"x", nonce="n", algorithm=MD5, qop="auth-int,auth"`},
	{ID: sip.HeaderProxyAuthenticate, Value: `Digest realm="a.com", nonce="` + strings.Repeat("n", 5000) + `"`},
	{ID: sip.HeaderProxyAuthenticate, Value: `Digest realm="a.com", nonce="n", stale=true`},
	{ID: sip.HeaderSIPETag, Value: strings.Repeat("e", 9000)},
	{ID: sip.HeaderSessionID, Value: "x;remote=y"},
	{ID: sip.HeaderExpires, Value: "0"},
	{ID: sip.HeaderSessionExpires, Value: "1;refresher=uac"},
}

func (p *peer) some(list []compose.Header, most int) []compose.Header {
	var some []compose.Header
	for range p.rng.IntN(most + 1) {
		some = append(some, list[p.rng.IntN(len(list))])
	}
	return some
}

// mangled is a message with some bytes changed, cut or repeated.
func mangled(rng *rand.Rand, raw []byte) []byte {
	out := bytes.Clone(raw)
	for range 1 + rng.IntN(4) {
		if len(out) < 8 {
			break
		}
		at := rng.IntN(len(out))
		switch rng.IntN(5) {
		case 0:
			out[at] = byte(rng.IntN(256))
		case 1:
			out = append(out[:at:at], out[min(at+rng.IntN(20), len(out)):]...)
		case 2:
			n := min(rng.IntN(40), len(out)-at)
			out = append(out[:at:at], append(bytes.Clone(out[at:at+n]), out[at:]...)...)
		case 3:
			out[at] = "\r\n<>\";,%=@ :"[rng.IntN(12)]
		case 4:
			out = append(out[:at:at], append([]byte("203.0.113.9"), out[at:]...)...)
		}
	}
	return out
}

// hostileSeeds is how often each flow is attacked.
const hostileSeeds = 1

// attack is what a hostile peer does with each message that it gets.
func attack(p *peer, r *transport.Received) {
	if len(p.got) > 400 {
		return // a play may not go on for ever, but a peer may
	}
	tags := []string{"", "a", "b", "c", strings.Repeat("t", 5000)}
	for range p.rng.IntN(4) {
		if r.Msg.Request {
			status := []int{100, 180, 183, 199, 200, 202, 302, 401, 407, 422, 423, 481, 487, 491, 500, 503, 603, 699}[p.rng.IntN(18)]
			raw, err := compose.Response(nil, r.Msg, r.Hop.Remote, &compose.Reply{
				Status: status, ToTag: tags[p.rng.IntN(len(tags))], RecordRoute: p.rng.IntN(2) == 0, Headers: p.some(hostileHeaders, 4),
			})
			if err != nil {
				continue
			}
			if p.rng.IntN(3) == 0 {
				raw = mangled(p.rng, raw)
			}
			p.link.Send(transport.ReplyHop(r), raw, 0)
		}
		methods := []string{"INVITE", "BYE", "ACK", "CANCEL", "UPDATE", "PRACK", "NOTIFY", "OPTIONS", "INFO", "REFER", "X"}
		req := compose.Request{
			Method: methods[p.rng.IntN(len(methods))], URI: "sip:a@127.9.1.10", CallID: string(r.Msg.CallID.Of(r.Msg.Raw)), CSeq: p.rng.Uint32() >> 1,
			From: "<sip:x@203.0.113.9>;tag=" + string(r.Msg.To.Tag.Of(r.Msg.Raw)), To: "<sip:y@203.0.113.9>;tag=" + string(r.Msg.From.Tag.Of(r.Msg.Raw)),
			Headers: p.some(hostileHeaders, 4),
			Via:     compose.Via{Proto: "UDP", SentBy: r.Hop.Local, Branch: compose.Branch(p.rng)},
		}
		if p.rng.IntN(3) == 0 {
			req.To, req.CallID = "<sip:y@b.com>", compose.CallID(p.rng, "")
		}
		if raw, err := req.Append(nil); err == nil {
			if p.rng.IntN(3) == 0 {
				raw = mangled(p.rng, raw)
			}
			p.link.Send(transport.Hop{Proto: transport.UDP, Remote: r.Hop.Remote}, raw, 0)
		}
	}
	if p.rng.IntN(8) == 0 {
		p.link.Send(transport.Hop{Proto: transport.UDP, Remote: r.Hop.Remote}, mangled(p.rng, r.Msg.Raw), 0)
	}
}

// onlyNamed checks that our packets went to ourselves and to the live one only.
func (w *world) onlyNamed(p *plan.Plan) {
	w.tb.Helper()
	named := map[netip.Addr]bool{}
	for i := range p.Hosts {
		if p.Hosts[i].Part != plan.Left && len(p.Hosts[i].At) > 0 {
			named[moved(p.Hosts[i].At[0].Addr())] = true
		}
	}
	for at := range w.wire.dst {
		if !named[at.Addr()] {
			w.tb.Errorf("a packet went to %s", at)
		}
	}
}

// Whatever the live side says, nothing breaks, nothing goes elsewhere, and the play ends.
func TestHostileLive(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	verdicts := map[replay.Verdict]int{}
	for i, name := range names {
		if testing.Short() && i%5 > 0 {
			continue
		}
		text := flowText(t, name)
		r := recorded(t, name, text)
		there := parsed(t, name, elsewhere(text))
		for _, sut := range participants(there) {
			for seed := range uint64(hostileSeeds) {
				p, ok := planFor(t, r, there, sut)
				if !ok {
					continue
				}
				w := newWorld(t, p, nil, func(o *replay.Options) {
					o.Credentials = append(accounts(there), auth.Credentials{Password: "secret"})
					o.OnDiverge = replay.OnDiverge((seed + uint64(i)) % 3)
					o.Fast = true
				})
				x := withPeer(w, p, attack)
				x.rng = rand.New(rand.NewPCG(seed, uint64(i)))
				for n := range 5 { // what begins by itself
					x.link.At(start+int64(n)*int64(time.Second), func() {
						for k := range p.Steps {
							if s := &p.Steps[k]; s.Kind == plan.Expect && x.rng.IntN(3) == 0 {
								to, _ := p.Host(s.To)
								at := netip.AddrPortFrom(moved(to.At[0].Addr()), port)
								raw := []byte(elsewhere(string(s.Message)))
								x.link.Send(transport.Hop{Proto: transport.UDP, Remote: at}, raw, 0)
								x.link.Send(transport.Hop{Proto: transport.UDP, Remote: at}, mangled(x.rng, raw), 0)
							}
						}
					})
				}
				w.net.MaxEvents = 2_000_000
				w.run(1)
				for _, o := range w.ended {
					verdicts[o.Verdict]++
					if len(o.Notes) > 100 || len(o.Reason) > 2000 {
						t.Errorf("%d notes, a reason of %d bytes", len(o.Notes), len(o.Reason))
					}
					for _, n := range append(o.Notes, o.Reason) {
						if strings.ContainsAny(n, "\r\n\x1b\x00") {
							t.Errorf("a note has control characters: %q", n)
						}
						if strings.Contains(n, "secret") {
							t.Errorf("a note has a secret: %q", n)
						}
					}
				}
				if s := w.player.Stats(); s.Playing != 0 {
					t.Errorf("%s live=%s seed %d: %d plays go on", name, sut, seed, s.Playing)
				}
				w.onlyNamed(p)
				if t.Failed() {
					t.Fatalf("%s live=%s seed %d\n%s", name, sut, seed, w.wire.arrows())
				}
			}
		}
	}
	t.Log(verdicts)
}

// Whatever a plan says, it is refused or played, and nothing breaks.
func TestHostilePlan(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	refused, played := 0, 0
	for _, name := range names {
		text := flowText(t, name)
		r := recorded(t, name, text)
		there := parsed(t, name, elsewhere(text))
		for range 12 {
			p, ok := planFor(t, r, there, "")
			if !ok {
				t.Fatal("no plan")
			}
			for range 1 + rng.IntN(4) {
				s := &p.Steps[rng.IntN(len(p.Steps))]
				s.Message = mangled(rng, s.Message)
			}
			if rng.IntN(3) == 0 {
				s := &p.Steps[rng.IntN(len(p.Steps))]
				s.After, s.Gap = nil, rng.Int64()
			}
			w, err := selfWorld(t, p, func(o *replay.Options) { o.Credentials = passwords(p); o.Verbatim = rng.IntN(6) == 0 })
			if err != nil {
				refused++
				continue
			}
			played++
			w.link.At(start, func() { _, _ = w.player.Play(replay.Input{}) })
			if err := w.net.Run(start + int64(24*365*time.Hour)); err != nil {
				t.Error(err)
			}
			if len(w.ended) != 1 {
				var b strings.Builder
				_ = p.WriteText(&b)
				t.Fatalf("%s: %d plays have ended\n%s\n%s", name, len(w.ended), w.wire.arrows(), b.String())
			}
			for at := range w.wire.dst {
				if at.Addr().As4()[1] != 8 {
					t.Errorf("a packet went to %s", at)
				}
			}
		}
	}
	t.Logf("%d refused, %d played", refused, played)
	if played < 100 {
		t.Error("too few")
	}
}
