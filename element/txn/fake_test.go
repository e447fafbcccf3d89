package txn

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// start is when the tests begin: not at a round second, so that rounding would show.
const start = int64(1_700_000_000_123_456_789)

const ms = int64(time.Millisecond)

var errLink = errors.New("link down")

// world is a link, a user and the layer between them, in virtual time. log has what they did, one line each.
type world struct {
	t    testing.TB
	l    *Layer
	at   int64
	log  []string
	sent []sentMessage
	// quiet leaves the log out.
	quiet bool
	// on is called for each new request.
	on   func(id ID, r *transport.Received)
	last ID // of the last request
	ids  map[ID]bool
}

type sentMessage struct {
	hop transport.Hop
	raw string
	tag uint64
}

func newWorld(tb testing.TB, cfg Config) *world {
	tb.Helper()
	w := &world{t: tb, at: start, ids: make(map[ID]bool)}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 2))
	}
	w.l = New(w, w, cfg)
	return w
}

func (w *world) Now() int64 { return w.at }

func (w *world) note(format string, args ...any) {
	if !w.quiet {
		w.log = append(w.log, fmt.Sprintf("%d ", (w.at-start)/ms)+fmt.Sprintf(format, args...))
	}
}

func (w *world) Send(hop transport.Hop, raw []byte, tag uint64) {
	if w.quiet {
		return
	}
	w.sent = append(w.sent, sentMessage{hop, string(raw), tag})
	line, _, _ := strings.Cut(string(raw), "\r\n")
	line = strings.TrimPrefix(strings.TrimSuffix(line, " SIP/2.0"), "SIP/2.0 ")
	word, _, _ := strings.Cut(line, " ")
	w.note("> %s", word)
}

func (w *world) SentBy(transport.Hop) (netip.AddrPort, error) { return here, nil }

func (w *world) Request(id ID, r *transport.Received) {
	w.note("request %s%s", r.Msg.Method.Of(r.Msg.Raw), zero(id))
	w.last = id
	if id != 0 {
		w.ids[id] = true
	}
	if w.on != nil {
		w.on(id, r)
	}
}

func zero(id ID) string {
	if id == 0 {
		return " 0"
	}
	return ""
}

func (w *world) Response(id ID, data uint64, r *transport.Received) {
	w.note("response %d data=%d%s", r.Msg.Status, data, zero(id))
}

func (w *world) Cancel(_ ID, data uint64, _ *transport.Received) { w.note("cancel data=%d", data) }

func (w *world) Failed(_ ID, data uint64, err error) { w.note("failed data=%d %v", data, err) }

func (w *world) Ended(id ID, data uint64) {
	w.note("ended data=%d", data)
	delete(w.ids, id)
}

var (
	here   = netip.MustParseAddrPort("192.0.2.1:5060")
	there  = netip.MustParseAddrPort("192.0.2.2:5062")
	there2 = netip.MustParseAddrPort("192.0.2.2:40001")
)

func hop(proto transport.Proto) transport.Hop {
	h := transport.Hop{Proto: proto, Local: here, Remote: there}
	if proto.Reliable() {
		h.Conn = 7
	}
	return h
}

// receive gives the layer a message.
func (w *world) receive(proto transport.Proto, raw string) {
	w.t.Helper()
	m := new(sip.Message)
	if err := sip.Parse([]byte(raw), m); err != nil {
		w.t.Fatalf("parse %q: %v", raw, err)
	}
	w.l.Receive(&transport.Received{Msg: m, Hop: hop(proto)})
}

// until lets time pass, with each timer fired when it is due.
func (w *world) until(at int64) {
	for {
		next := w.l.Wake(w.at)
		if next > at {
			break
		}
		if next <= w.at {
			w.t.Fatalf("Wake(%d) gives %d", w.at, next)
		}
		w.at = next
	}
	if at != math.MaxInt64 {
		w.at = at
	}
	w.l.Wake(w.at)
}

// after lets some milliseconds pass.
func (w *world) after(n int64) { w.until(w.at + n*ms) }

// request makes the text of a request of there.
func request(method, branch string) string {
	return method + " sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5062;branch=" + branch + ";rport\r\n" +
		"Max-Forwards: 70\r\nFrom: Alice <sip:alice@192.0.2.2>;tag=a1\r\nTo: <sip:bob@192.0.2.1>\r\n" +
		"Call-ID: " + branch + "@192.0.2.2\r\nCSeq: 1 " + method + "\r\nContact: <sip:alice@192.0.2.2:5062>\r\n" +
		"Content-Length: 0\r\n\r\n"
}

// ackOf makes the ACK of a final response to request("INVITE", branch).
func ackOf(branch, totag string) string {
	return strings.Replace(request("ACK", branch), "192.0.2.1>\r\n", "192.0.2.1>;tag="+totag+"\r\n", 1)
}

// reply makes the response to a request.
func reply(tb testing.TB, raw string, status int, r compose.Reply) string {
	tb.Helper()
	var m sip.Message
	if err := sip.Parse([]byte(raw), &m); err != nil {
		tb.Fatalf("parse %q: %v", raw, err)
	}
	r.Status = status
	if r.ToTag == "" {
		r.ToTag = "b1"
	}
	out, err := compose.Response(nil, &m, there, &r)
	if err != nil {
		tb.Fatalf("respond to %q: %v", raw, err)
	}
	return string(out)
}

// take gives the log, and empties it.
func (w *world) take() string {
	s := strings.Join(w.log, "\n")
	w.log = nil
	return s
}

// lines makes a log of a test's text: one line each, without indentation.
func lines(s string) string {
	var out []string
	for line := range strings.SplitSeq(s, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
