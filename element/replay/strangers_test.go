package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate/cut"
	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/media"
	"sipscope/element/replay"
	"sipscope/element/replay/guard"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/virtual"
)

// recorder is a link, and sockets, that note whom everything is sent to, whether or not anybody is there.
type recorder struct {
	*virtual.Host
	hops  map[transport.Hop]int
	media map[netip.AddrPort]int
}

func (r *recorder) Send(hop transport.Hop, raw []byte, tag uint64) {
	if hop.Remote.IsValid() { // else it is how the guard tells
		r.hops[hop]++
	}
	r.Host.Send(hop, raw, tag)
}

func (r *recorder) Open(local netip.Addr) (media.Port, error) {
	p, err := r.Host.Open(local)
	if err != nil {
		return nil, err
	}
	noted := notedPort{Port: p, to: r.media}
	if c, ok := p.(media.ControlPort); ok {
		return notedControl{noted, c}, nil
	}
	return noted, nil
}

type notedPort struct {
	media.Port
	to map[netip.AddrPort]int
}

func (p notedPort) Send(to netip.AddrPort, b []byte) error {
	p.to[to]++
	return p.Port.Send(to, b)
}

type notedControl struct {
	notedPort
	control media.ControlPort
}

func (p notedControl) Control() media.Port { return notedPort{p.control.Control(), p.to} }

// victims are addresses that nobody named: elsewhere, other ports of those that are named, other spellings, names. %s is
// the address of the live one, or of one of us.
var victims = []string{
	"203.0.113.9", "203.0.113.9:5060", "10.66.66.66:5060", "192.168.0.1", "127.66.6.6:5060", "127.0.0.1:5060", "127.0.0.1:22", "%s:22", "%s:6060",
	"localhost", "localhost:5060", "victim.example", "victim.invalid:5060", "[2001:db8::9]:5060", "[::1]:5060", "[::ffff:203.0.113.9]",
	"[::ffff:203.0.113.9]:5060", "[fe80::1]:5060", "224.0.0.1:5060", "255.255.255.255", "0.0.0.0:5060", "0.0.0.0", "2130706433", "0x7f000001",
	"0177.0.0.1", "127.1", "169.254.169.254:80", "203.0.113.9:99999", "203.0.113.9:0", "_sip._udp.victim.example", "%s;maddr=203.0.113.9",
	"%s;transport=tcp;maddr=203.0.113.9", "%s:22;transport=tcp", "victim.example;received=203.0.113.9", "%s:5060;transport=tls",
}

func victim(rng *rand.Rand, near []string) string {
	v := victims[rng.IntN(len(victims))]
	if strings.Contains(v, "%s") {
		v = fmt.Sprintf(v, near[rng.IntN(len(near))])
	}
	return v
}

// bare is a victim without parameters and brackets.
func bare(v string) string {
	v, _, _ = strings.Cut(v, ";")
	if strings.HasPrefix(v, "[") {
		v, _, _ = strings.Cut(v[1:], "]")
		return v
	}
	v, _, _ = strings.Cut(v, ":")
	return v
}

var (
	uriHost  = regexp.MustCompile(`(sips?:)([^@<>;,\s"]*@)?[^@<>;?,\s"]+`)
	viaHost  = regexp.MustCompile(`(?m)^(Via:\s*SIP/2\.0/[A-Z]+ )([^;\s]+)`)
	sdpHost  = regexp.MustCompile(`(?m)^([oc]=.*IN IP)[46] \S+`)
	sdpMedia = regexp.MustCompile(`(?m)^(m=\w+ )(\d+)(.*)$`)
)

// pointed is a message some of whose addresses point to victims.
func pointed(rng *rand.Rand, raw []byte, near []string) []byte {
	some := func(s string, with func(groups []string) string, re *regexp.Regexp) string {
		return re.ReplaceAllStringFunc(s, func(m string) string {
			if rng.IntN(2) == 0 {
				return m
			}
			return with(re.FindStringSubmatch(m))
		})
	}
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	head = some(head, func(g []string) string { return g[1] + g[2] + victim(rng, near) }, uriHost)
	if strings.HasPrefix(head, "SIP/") && rng.IntN(8) > 0 {
		return []byte(head + "\r\n\r\n" + withSDP(rng, some, body, near)) // else no transaction takes it
	}
	head = some(head, func(g []string) string {
		v := victim(rng, near)
		return g[1] + v + fmt.Sprintf(";received=%s;rport=%d;maddr=%s", bare(victim(rng, near)), rng.IntN(65536), bare(victim(rng, near)))
	}, viaHost)
	extra := []string{"Route", "Record-Route", "Contact", "Refer-To", "Path", "Service-Route", "Alert-Info", "Call-Info", "Reply-To", "P-Asserted-Identity"}
	if name := extra[rng.IntN(len(extra))]; rng.IntN(2) == 0 {
		line := fmt.Sprintf("\r\n%s: <sip:%s;lr>", name, victim(rng, near))
		at := strings.Index(head, "\r\n")
		head = head[:at] + line + head[at:]
	}
	return []byte(head + "\r\n\r\n" + withSDP(rng, some, body, near))
}

// withSDP is a body whose addresses point to victims.
func withSDP(rng *rand.Rand, some func(string, func([]string) string, *regexp.Regexp) string, body string, near []string) string {
	body = some(body, func(g []string) string {
		v := bare(victim(rng, near))
		return g[1] + map[bool]string{true: "6 ", false: "4 "}[strings.Contains(v, ":")] + v
	}, sdpHost)
	return some(body, func(g []string) string {
		v := bare(victim(rng, near))
		return fmt.Sprintf("%s%d%s\r\na=rtcp:%d IN IP4 %s\r\na=candidate:1 1 UDP 1 %s %d typ host", g[1], rng.IntN(65536), strings.TrimRight(g[3], "\r"),
			rng.IntN(65536), v, v, rng.IntN(65536))
	}, sdpMedia)
}

const sdpAnswer = "v=0\r\no=- 1 1 IN IP4 127.9.2.10\r\ns=-\r\nc=IN IP4 127.9.2.10\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"

// tempt is a live side that plays along, while all addresses in what it says point elsewhere, and that then begins
// requests of its own.
func tempt(near []string) func(p *peer, r *transport.Received) {
	return func(p *peer, r *transport.Received) {
		m := r.Msg
		if len(p.got) > 200 {
			return
		}
		headers := []compose.Header{
			{ID: sip.HeaderContact, Value: "<sip:x@" + victim(p.rng, near) + ">"},
			{ID: sip.HeaderRecordRoute, Value: "<sip:" + victim(p.rng, near) + ";lr>, <sip:" + victim(p.rng, near) + ">"},
		}
		say := func(to *transport.Received, status int, sdp bool) {
			reply := compose.Reply{Status: status, ToTag: "live", RecordRoute: p.rng.IntN(2) == 0, Headers: headers}
			if sdp {
				reply.ContentType, reply.Body = "application/sdp", []byte(sdpAnswer)
			}
			raw, err := compose.Response(nil, to.Msg, to.Hop.Remote, &reply)
			if err == nil {
				p.link.Send(transport.ReplyHop(to), pointed(p.rng, raw, near), 0)
			}
		}
		switch {
		case !m.Request || m.MethodID == sip.MethodAck:
		case m.MethodID == sip.MethodInvite && p.rng.IntN(8) == 0:
			say(r, []int{301, 302, 305, 380}[p.rng.IntN(4)], false)
		case m.MethodID == sip.MethodInvite:
			say(r, 183, true)
			say(r, 200, true)
		default:
			say(r, 200, false)
		}
		if p.rng.IntN(3) > 0 {
			return
		}
		methods := []string{"INVITE", "UPDATE", "REFER", "NOTIFY", "OPTIONS", "BYE", "SUBSCRIBE"}
		req := compose.Request{
			Method: methods[p.rng.IntN(len(methods))], URI: "sip:x@" + r.Hop.Remote.String(), CallID: string(m.CallID.Of(m.Raw)), CSeq: 1 + p.rng.Uint32N(1e6),
			From: "<sip:x@b.com>;tag=live", To: "<sip:y@a.com>;tag=" + string(m.From.Tag.Of(m.Raw)),
			Headers: append(headers, compose.Header{ID: sip.HeaderReferTo, Value: "<sip:z@" + victim(p.rng, near) + ">"}),
			Via:     compose.Via{Proto: r.Hop.Proto.String(), SentBy: r.Hop.Local, Branch: compose.Branch(p.rng)}, ContentType: "application/sdp",
			Body: []byte(sdpAnswer),
		}
		if raw, err := req.Append(nil); err == nil {
			hop := transport.Hop{Proto: r.Hop.Proto, Remote: r.Hop.Remote, Conn: r.Hop.Conn}
			if p.rng.IntN(2) == 0 { // over a connection of its own, which ends before the answer
				hop.Proto, hop.Conn = transport.TCP, 0
			}
			p.link.Send(hop, pointed(p.rng, raw, near), 0)
		}
	}
}

// strangersWorld is a world whose link and sockets note all destinations.
func strangersWorld(t *testing.T, p *plan.Plan, seed uint64, proto transport.Proto) (*world, *recorder) {
	t.Helper()
	w := &world{tb: t, net: virtual.New(start, rand.New(rand.NewPCG(1, seed))), guard: guard.New()}
	o := replay.Options{
		Local: map[string]transport.Listen{}, Guard: w.guard, Rand: rand.New(rand.NewPCG(3, seed)), OnDiverge: replay.OnDiverge(seed % 2), Verbatim: seed%5 == 4,
		Credentials: []auth.Credentials{{User: "jan", Password: "p"}},
		Done:        func(out *replay.Outcome) { w.ended = append(w.ended, out) },
	}
	var places []transport.Listen
	for i := range p.Hosts {
		h := &p.Hosts[i]
		at := netip.AddrPortFrom(moved(h.At[0].Addr()), h.At[0].Port())
		switch h.Part {
		case plan.Played:
			o.Local[h.Name] = transport.Listen{Proto: proto, AddrPort: at}
			places = append(places, transport.Listen{Proto: transport.UDP, AddrPort: at}, transport.Listen{Proto: transport.TCP, AddrPort: at})
		case plan.Live:
			o.Target = transport.Hop{Proto: proto, Remote: at}
			if err := w.guard.Name(at); err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	w.link = w.net.Host("player", places...)
	rec := &recorder{Host: w.link, hops: map[transport.Hop]int{}, media: map[netip.AddrPort]int{}}
	o.Media = rec
	player, err := replay.NewPlayer(rec, p, o)
	if err != nil {
		return nil, nil
	}
	w.player = player
	w.link.Attach(player)
	return w, rec
}

// named checks all destinations: the live one and ourselves, at the ports that they were named with; and for media, at
// ports that media has.
func named(t *testing.T, p *plan.Plan, rec *recorder) (hops, rtp int) {
	t.Helper()
	exact, hosts := map[netip.AddrPort]bool{}, map[netip.Addr]bool{}
	for i := range p.Hosts {
		if h := &p.Hosts[i]; h.Part != plan.Left {
			at := netip.AddrPortFrom(moved(h.At[0].Addr()), h.At[0].Port())
			exact[at], hosts[at.Addr()] = true, true
		}
	}
	for hop, n := range rec.hops {
		hops += n
		if !exact[hop.Remote] && (hop.Conn == 0 || !hop.NoDial || !hosts[hop.Remote.Addr()]) {
			t.Errorf("%d messages were sent to %+v", n, hop)
		}
	}
	for to, n := range rec.media {
		rtp += n
		if !hosts[to.Addr()] || to.Port() < 1024 {
			t.Errorf("%d datagrams of media were sent to %s", n, to)
		}
	}
	return hops, rtp
}

// Whatever the recording and the live side say of addresses, nothing is sent but to the live one and between ourselves.
func TestNobodyElse(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	hops, rtp, refused, played := 0, 0, uint64(0), 0
	for i, name := range names {
		if testing.Short() && i%5 > 0 {
			continue
		}
		text := flowText(t, name)
		r := recorded(t, name, text)
		there := parsed(t, name, elsewhere(text))
		for k, sut := range append(participants(there), "") {
			for seed := range uint64(10) {
				p, ok := planFor(t, r, there, sut)
				if !ok {
					continue
				}
				rng := rand.New(rand.NewPCG(uint64(i), seed+10*uint64(k)))
				var near []string
				for h := range p.Hosts {
					near = append(near, moved(p.Hosts[h].At[0].Addr()).String())
				}
				for s := range p.Steps {
					if len(p.Steps[s].Message) > 0 && seed > 0 {
						p.Steps[s].Message = pointed(rng, p.Steps[s].Message, near)
					}
				}
				w, rec := strangersWorld(t, p, seed, []transport.Proto{transport.UDP, transport.TCP}[seed%2])
				if w == nil {
					continue
				}
				played++
				if sut != "" {
					x := withPeer(w, p, tempt(near))
					x.rng = rng
				}
				w.net.MaxEvents = 2_000_000
				w.run(1)
				a, b := named(t, p, rec)
				n, _ := w.guard.Count()
				hops, rtp, refused = hops+a, rtp+b, refused+n+w.player.Stats().Refused
				if t.Failed() {
					t.Fatalf("%s live=%s seed %d", name, sut, seed)
				}
			}
		}
	}
	t.Logf("%d plays: %d messages and %d datagrams were sent, %d were kept", played, hops, rtp, refused)
	if played < 50 && !testing.Short() || hops == 0 || refused == 0 {
		t.Errorf("%d plays, %d messages, %d refused: nothing is shown", played, hops, refused)
	}
}

// The same of recorded sound: it goes to where the live SDP says when that is the live one's own host, at a port for media.
func TestNobodyElseHears(t *testing.T) {
	t.Parallel()
	text := strings.Replace(flowText(t, "transactions"), "host alice ua 127.0.1.10", "host alice ua 127.0.1.10 rtp=yes", 1)
	text = strings.Replace(text, "host bob ua 127.0.2.10", "host bob ua 127.0.2.10 rtp=yes", 1)
	r, path := recordedAt(t, "transactions", text)
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	recorded, err := cut.Cut(context.Background(), files, r.calls, r.text, cut.Options{})
	if err != nil {
		t.Fatal(err)
	}
	near := []string{"127.9.1.10", "127.9.2.10"}
	sent, kept := 0, uint64(0)
	for seed := range uint64(60) {
		o := plan.Options{SUT: "127.0.2.10", NoRegister: true, Media: recorded.Streams}
		if seed%4 == 3 {
			o.SUT, o.Self = "", true
		}
		p := r.plan(t, o)
		rng := rand.New(rand.NewPCG(9, seed))
		for s := range p.Steps {
			if len(p.Steps[s].Message) > 0 && seed%2 > 0 {
				p.Steps[s].Message = pointed(rng, p.Steps[s].Message, near)
			}
		}
		w, rec := strangersWorld(t, p, seed, transport.UDP)
		if w == nil {
			continue
		}
		if !o.Self {
			withPeer(w, p, func(x *peer, r *transport.Received) {
				m := r.Msg
				if !m.Request || m.MethodID == sip.MethodAck {
					return
				}
				raw, err := compose.Response(nil, m, r.Hop.Remote, &compose.Reply{
					Status: 200, ToTag: "live", ContentType: "application/sdp", Body: []byte(sdpAnswer),
					Headers: []compose.Header{{ID: sip.HeaderContact, Value: "<sip:bob@127.9.2.10>"}},
				})
				if err == nil && seed > 3 {
					raw = pointed(rng, raw, near)
				}
				x.link.Send(transport.ReplyHop(r), raw, 0)
			})
		}
		w.run(1)
		_, n := named(t, p, rec)
		sent += n
		for _, refused := range w.guard.Refused() {
			if refused.Use == guard.Media {
				kept += refused.Count
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d datagrams were sent, %d were kept", sent, kept)
	if sent < 100 || kept < 100 {
		t.Error("nothing is shown")
	}
}

// Two plays of the same chances are the same to the byte, whatever the live side does: no order of a map decides anything.
func TestHostileTwice(t *testing.T) {
	t.Parallel()
	names, err := textbook()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		if i%3 > 0 {
			continue
		}
		text := flowText(t, name)
		r := recorded(t, name, text)
		there := parsed(t, name, elsewhere(text))
		for k, sut := range append(participants(there), "") {
			var runs [2]string
			for again := range runs {
				p, ok := planFor(t, r, there, sut)
				if !ok {
					continue
				}
				var near []string
				for h := range p.Hosts {
					near = append(near, moved(p.Hosts[h].At[0].Addr()).String())
				}
				w := newWorld(t, p, nil, func(o *replay.Options) {
					o.OnDiverge = replay.OnDiverge(k % 3)
					o.Credentials = append(accounts(there), auth.Credentials{Password: "secret"})
				})
				if sut != "" {
					withPeer(w, p, []func(*peer, *transport.Received){attack, tempt(near)}[k%2]).rng = rand.New(rand.NewPCG(uint64(i), uint64(k)))
				}
				w.run(2)
				runs[again] = w.wire.String()
				for _, o := range w.ended {
					runs[again] += fmt.Sprintf("\n%s %s %q", o.Verdict, o.Reason, o.Notes)
				}
			}
			if runs[0] != runs[1] {
				t.Errorf("%s live=%s: two runs differ", name, sut)
			}
		}
	}
}

// Requests of strangers cost no transaction, and nothing is said to them.
func TestStrangersFlood(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	p, ok := planFor(t, r, there, "bob")
	if !ok {
		t.Fatal("no plan")
	}
	w := newWorld(t, p, there, nil)
	got := 0
	stranger := w.net.Host("stranger", transport.Listen{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort("127.66.6.6:5060")})
	stranger.Attach(&peer{link: stranger, on: func(*peer, *transport.Received) { got++ }})
	rng := rand.New(rand.NewPCG(1, 1))
	methods := []string{"INVITE", "OPTIONS", "BYE", "REGISTER", "CANCEL", "ACK", "X"}
	const requests = 2000
	for i := range requests {
		req := compose.Request{
			Method: methods[i%len(methods)], URI: "sip:alice@127.9.1.10", CallID: compose.CallID(rng, ""), CSeq: 1, From: "<sip:x@x>;tag=1",
			To: "<sip:y@x>", Via: compose.Via{Proto: "UDP", SentBy: stranger.Listeners()[0].Local, Branch: compose.Branch(rng)},
		}
		if i%3 == 0 {
			req.To += ";tag=2"
		}
		raw, err := req.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		stranger.At(start+int64(i)*1e6, func() {
			stranger.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("127.9.1.10:5060")}, raw, 0)
		})
	}
	w.run(1)
	w.clean()
	s := w.player.Transactions()
	if got != 0 || w.ended[0].Verdict != replay.Completed || w.player.Stats().Extra < requests/2 {
		t.Errorf("the stranger got %d messages; %s %s; %+v", got, w.ended[0].Verdict, w.ended[0].Reason, w.player.Stats())
	}
	if n := s.Created[txn.Server] + s.Created[txn.ServerInvite]; n > 2 {
		t.Errorf("%d server transactions", n)
	}
}
