package ua

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// hostile is one agent on a link that notes what it answers.
type hostile struct {
	now    int64
	agent  *Agent
	status []uint16
	sent   []string
	hops   []transport.Hop // where each of sent went
	msg    sip.Message
	back   sip.Message
}

func (l *hostile) Now() int64 { return l.now }

func (l *hostile) SentBy(transport.Hop) (netip.AddrPort, error) {
	return netip.MustParseAddrPort("192.0.2.10:5060"), nil
}

func (l *hostile) Send(hop transport.Hop, raw []byte, _ uint64) {
	l.sent, l.hops = append(l.sent, string(raw)), append(l.hops, hop)
	if sip.Parse(raw, &l.back) == nil && !l.back.Request {
		l.status = append(l.status, l.back.Status)
	}
}

func newHostile(change func(*Config)) *hostile {
	l := &hostile{now: start}
	cfg := Config{Link: l, Rand: rand.New(rand.NewPCG(1, 1)), Identity: "<sip:bob@b.com>", Refer: true}
	presence(&cfg)
	if change != nil {
		change(&cfg)
	}
	l.agent = New(cfg)
	return l
}

// receive gives the agent a message, and returns its first final answer; 0 for none.
func (l *hostile) receive(raw []byte) uint16 {
	l.status = l.status[:0]
	if sip.Parse(raw, &l.msg) != nil {
		return 0
	}
	h := l.agent.Handler()
	h.Receive(&transport.Received{
		Msg: &l.msg, Hop: transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")},
	})
	h.Wake(l.now)
	for _, s := range l.status {
		if s >= 200 {
			return s
		}
	}
	return 0
}

// pass lets time go by, timer after timer.
func (l *hostile) pass(d time.Duration) {
	h, end := l.agent.Handler(), l.now+int64(d)
	for range 100_000 {
		next := h.Wake(l.now)
		if next > end {
			break
		}
		l.now = max(next, l.now+1)
	}
	l.now = end
	h.Wake(end)
}

// tortureAnswers are the final answers to the messages of RFC 4475; 0: none. Each has its reason in the RFC.
var tortureAnswers = map[string]uint16{
	"wsinv":      481, // 3.1.1.1: readable, but its To tag names no dialog
	"intmeth":    501, // 3.1.1.2: a method that nobody knows
	"esc01":      200, // 3.1.1.3
	"escnull":    405, // 3.1.1.4: a REGISTER, which is for registrars
	"esc02":      501, // 3.1.1.5: "RE%47IST%45R" is not REGISTER
	"lwsdisp":    200, // 3.1.1.6
	"longreq":    200, // 3.1.1.7
	"dblreq":     405, // 3.1.1.8
	"semiuri":    200, // 3.1.1.9
	"transports": 200, // 3.1.1.10
	"mpart01":    200, // 3.1.1.11: a MESSAGE with a multipart body
	"badinv01":   400, // 3.1.2.1
	"clerr":      400, // 3.1.2.2
	"ncl":        400, // 3.1.2.3
	"scalar02":   400, // 3.1.2.4
	"quotbal":    400, // 3.1.2.6
	"ltgtruri":   400, // 3.1.2.7
	"lwsruri":    400, // 3.1.2.8
	"lwsstart":   400, // 3.1.2.9
	"trws":       400, // 3.1.2.10
	"escruri":    400, // 3.1.2.11
	"baddate":    200, // 3.1.2.12: the Date may be overlooked
	"regbadct":   405, // 3.1.2.13
	"badaspec":   400, // 3.1.2.14
	"baddn":      200, // 3.1.2.15: may be overlooked
	"badvers":    505, // 3.1.2.16
	"mismatch01": 400, // 3.1.2.17
	"mismatch02": 501, // 3.1.2.18: or 400
	"badbranch":  200, // 3.2.1
	"insuf":      400, // 3.3.1
	"unkscm":     416, // 3.3.2
	"novelsc":    416, // 3.3.3
	"unksm2":     405, // 3.3.4: a REGISTER
	"bext01":     420, // 3.3.5
	"invut":      415, // 3.3.6
	"regaut01":   405, // 3.3.7
	"multi01":    400, // 3.3.8
	"mcl01":      400, // 3.3.9
	"zeromf":     200, // 3.3.11: Max-Forwards 0 is for proxies
	"cparam01":   405, // 3.3.12
	"cparam02":   405, // 3.3.13
	"regescrt":   405, // 3.3.14
	"sdp01":      406, // 3.3.15: no description would be accepted
	"inv2543":    200, // 3.4.1
	// responses
	"unreason": 0, "noreason": 0, "scalarlg": 0, "bigcode": 0, "bcast": 0,
}

// mayRefuse are messages that RFC 4475 leaves to be read or to be refused with 400: the transaction layer's to decide.
var mayRefuse = map[string]bool{"baddn": true, "mismatch02": true}

// TestTorture throws all messages of RFC 4475 at an agent: the answer that the RFC asks for, and it still serves.
func TestTorture(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("../../../shared/pcaps/rfc4475/*.dat")
	if len(files) == 0 {
		t.Skip("the messages of RFC 4475 (../shared/pcaps/rfc4475) are not here")
	}
	l := newHostile(nil)
	for _, file := range files {
		name := filepath.Base(file[:len(file)-len(".dat")])
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !sip.IsStart(raw) {
			continue // a note beside the messages
		}
		want, ok := tortureAnswers[name]
		l.pass(2 * time.Minute) // some have the branch of another
		if got := l.receive(raw); !ok || got != want && (got != 400 || !mayRefuse[name]) {
			t.Errorf("%s: answered %d, want %d", name, got, want)
		}
		options := "OPTIONS sip:bob@b.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKo" + name + "\r\nMax-Forwards: 70\r\n" +
			"From: <sip:a@b.c>;tag=1\r\nTo: <sip:bob@b.com>\r\nCall-ID: o" + name + "\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
		if got := l.receive([]byte(options)); got != 200 {
			t.Fatalf("after %s an OPTIONS is answered %d", name, got)
		}
	}
	l.pass(time.Hour)
	if s := l.agent.Stats(); s.Calls != 0 {
		t.Errorf("%d calls stay", s.Calls)
	}
}

// TestFlood sends INVITEs that nobody ever acknowledges: the limit holds, and all is gone after an hour.
func TestFlood(t *testing.T) {
	t.Parallel()
	l := newHostile(func(c *Config) { c.Limits.Calls = 100 })
	busy := 0
	for i := range 1000 {
		n := string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		if l.receive([]byte("INVITE sip:bob@b.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"+n+"\r\nMax-Forwards: 70\r\n"+
			"From: <sip:a@b.c>;tag=1\r\nTo: <sip:bob@b.com>\r\nCall-ID: "+n+"\r\nCSeq: 1 INVITE\r\nContact: <sip:a@192.0.2.1>\r\n"+
			"Content-Length: 0\r\n\r\n")) == 486 {
			busy++
		}
	}
	if s := l.agent.Stats(); busy != 900 || s.Limited != 900 || s.Calls != 100 {
		t.Errorf("%d busy, %+v", busy, s)
	}
	l.pass(time.Hour)
	if s := l.agent.Stats(); s.Calls != 0 || s.Ended[CauseNoAck] != 100 || len(l.agent.dialogs) != 0 {
		t.Errorf("%+v, %d dialogs", s, len(l.agent.dialogs))
	}
}

// FuzzReceive gives an agent with a call, a subscription and a registration on their way three messages of any kind:
// nothing breaks, and after Close and some hours nothing is left.
func FuzzReceive(f *testing.F) {
	files, _ := filepath.Glob("../../../shared/pcaps/rfc4475/*.dat")
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			f.Add(raw, raw, raw)
		}
	}
	head := "\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@b.c>;tag=1\r\nTo: <sip:bob@b.com>\r\n" +
		"Call-ID: 1\r\nContact: <sip:a@192.0.2.1>\r\n"
	f.Add([]byte("INVITE sip:bob@b.com SIP/2.0"+head+"CSeq: 1 INVITE\r\nSupported: 100rel, timer\r\nSession-Expires: 90\r\n\r\n"),
		[]byte("CANCEL sip:bob@b.com SIP/2.0"+head+"CSeq: 1 CANCEL\r\n\r\n"),
		[]byte("REFER sip:bob@b.com SIP/2.0"+head+"CSeq: 2 REFER\r\nRefer-To: <sip:x@192.0.2.7?Replaces=a%3Bto-tag%3D1>\r\n\r\n"))
	f.Add([]byte("SUBSCRIBE sip:bob@b.com SIP/2.0"+head+"CSeq: 1 SUBSCRIBE\r\nEvent: presence;id=4\r\nExpires: 100\r\n\r\n"),
		[]byte("SIP/2.0 200 OK"+head+"CSeq: 1 INVITE\r\n\r\n"), []byte("MESSAGE sip:bob@b.com SIP/2.0"+head+"CSeq: 1 MESSAGE\r\n\r\nhi"))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		l := newHostile(func(c *Config) {
			c.Answer = Answer{Reliable: true, EarlyMedia: true, Delay: time.Second}
			c.SessionSec = 90
		})
		a := l.agent
		if _, err := a.Call(CallOptions{To: "sip:x@192.0.2.1", Ring: time.Minute}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Register(RegisterOptions{Registrar: "sip:192.0.2.1", Retry: time.Minute}); err != nil {
			t.Fatal(err)
		}
		for _, raw := range [][]byte{one, two, three} {
			for range 2 { // and once more with the names of our own dialogs
				l.receive(raw)
				l.pass(700 * time.Millisecond)
				raw = own(l, raw)
			}
		}
		a.Close()
		l.pass(3 * time.Hour)
		if !a.Idle() || len(a.dialogs) != 0 || len(a.slots) != len(a.free) {
			t.Fatalf("idle %v, %d dialogs, %d slots, %+v", a.Idle(), len(a.dialogs), len(a.slots)-len(a.free), a.Stats())
		}
	})
}

// own makes a message of the dialog, or an answer to the request, that the agent sent last.
func own(l *hostile, raw []byte) []byte {
	var m, last sip.Message
	if sip.Parse(raw, &m) != nil || len(m.Headers) == 0 || len(l.sent) == 0 || sip.Parse([]byte(l.sent[len(l.sent)-1]), &last) != nil {
		return raw
	}
	swap := map[sip.HeaderID]string{sip.HeaderCallID: string(last.CallID.Of(last.Raw))}
	from, _ := last.Value(sip.HeaderFrom)
	to, _ := last.Value(sip.HeaderTo)
	switch {
	case m.Request == last.Request || m.Request && !last.Request:
		swap[sip.HeaderFrom], swap[sip.HeaderTo] = string(from), string(to)
		if last.Request {
			swap[sip.HeaderFrom], swap[sip.HeaderTo] = string(to), string(from)
		}
	default:
		via, _ := last.Value(sip.HeaderVia)
		swap[sip.HeaderVia], swap[sip.HeaderFrom] = string(via), string(from)
	}
	out := append([]byte(nil), raw[:m.Headers[0].Name.Off]...)
	for _, h := range m.Headers {
		v, ok := swap[h.ID]
		if !ok {
			v = string(h.Value.Of(raw))
		}
		out = append(append(append(append(out, h.Name.Of(raw)...), ": "...), v...), "\r\n"...)
	}
	return append(append(out, "\r\n"...), m.Body.Of(raw)...)
}

// TestSubscriptionLimit: subscriptions beyond the limit get 503 with Retry-After; watchers that do not answer are forgotten.
func TestSubscriptionLimit(t *testing.T) {
	t.Parallel()
	l := newHostile(func(c *Config) { c.Limits.Subscriptions = 10 })
	refused := 0
	for i := range 50 {
		n := string(rune('a' + i))
		if l.receive([]byte("SUBSCRIBE sip:bob@b.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKs"+n+"\r\nMax-Forwards: 70\r\n"+
			"From: <sip:a@b.c>;tag=1\r\nTo: <sip:bob@b.com>\r\nCall-ID: s"+n+"\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:a@192.0.2.1>\r\n"+
			"Event: presence\r\nContent-Length: 0\r\n\r\n")) == 503 {
			refused++
		}
	}
	if refused != 40 || l.agent.Stats().Subscriptions != 10 {
		t.Errorf("%d refused, %d kept", refused, l.agent.Stats().Subscriptions)
	}
	l.pass(time.Hour)
	if s := l.agent.Stats(); s.Subscriptions != 0 || len(l.agent.dialogs) != 0 {
		t.Errorf("%d subscriptions, %d dialogs stay", s.Subscriptions, len(l.agent.dialogs))
	}
}
