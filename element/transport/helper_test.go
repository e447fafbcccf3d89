package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipscope/decode/sip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHandler is a handler made of functions.
type fakeHandler struct {
	receive func(r *Received)
	failed  func(hop Hop, tag uint64, err error)
	wake    func(now int64) int64
}

func (h *fakeHandler) Receive(r *Received) {
	if h.receive != nil {
		h.receive(r)
	}
}

func (h *fakeHandler) Failed(hop Hop, tag uint64, err error) {
	if h.failed != nil {
		h.failed(hop, tag, err)
	}
}

func (h *fakeHandler) Wake(now int64) int64 {
	if h.wake != nil {
		return h.wake(now)
	}
	return math.MaxInt64
}

// got is a message that an element received, copied.
type got struct {
	text string
	hop  Hop
	tag  uint64
	err  error
}

// element is an endpoint that runs.
type element struct {
	*Endpoint
	t    testing.TB
	got  chan got
	lost chan got
	done chan error
}

// start runs an endpoint until the test ends. answer makes the reply to a request, "" for none.
func start(tb testing.TB, cfg Config, answer func(r *Received) string) *element {
	tb.Helper()
	ep, err := Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	el := &element{Endpoint: ep, t: tb, got: make(chan got, 100_000), lost: make(chan got, 100_000), done: make(chan error, 1)}
	h := &fakeHandler{
		receive: func(r *Received) {
			el.got <- got{text: string(r.Msg.Raw), hop: r.Hop}
			if answer == nil || !r.Msg.Request {
				return
			}
			if text := answer(r); text != "" {
				ep.Send(ReplyHop(r), []byte(text), 0)
			}
		},
		failed: func(hop Hop, tag uint64, err error) { el.lost <- got{hop: hop, tag: tag, err: err} },
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { el.done <- ep.Run(ctx, h) }()
	tb.Cleanup(func() {
		cancel()
		select {
		case err := <-el.done:
			if err != nil {
				tb.Error(err)
			}
		case <-time.After(patience):
			tb.Error("Run does not end")
		}
	})
	return el
}

// send sends in the loop.
func (el *element) send(hop Hop, text string, tag uint64) {
	el.Post(func() { el.Send(hop, []byte(text), tag) })
}

const patience = 15 * time.Second

// next is the next message that came.
func (el *element) next() got {
	el.t.Helper()
	select {
	case g := <-el.got:
		return g
	case g := <-el.lost:
		el.t.Fatalf("failed: tag %d, %v", g.tag, g.err)
	case <-time.After(patience):
		el.t.Fatalf("no message within %v; %+v", patience, el.Stats())
	}
	return got{}
}

// nextLost is the next message that failed.
func (el *element) nextLost() got {
	el.t.Helper()
	select {
	case g := <-el.lost:
		return g
	case <-time.After(patience):
		el.t.Fatalf("no failure within %v; %+v", patience, el.Stats())
	}
	return got{}
}

// eventually waits until ok.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}

func (el *element) at(i int) netip.AddrPort { return el.Listeners()[i].Local }

func listen(tb testing.TB, texts ...string) (l []Listen) {
	tb.Helper()
	for _, s := range texts {
		at, err := ParseListen(s)
		if err != nil {
			tb.Fatal(err)
		}
		l = append(l, at)
	}
	return l
}

// request is a request with a Via of proto and n bytes of body.
func request(proto Proto, sentBy netip.AddrPort, id, n int) string {
	return fmt.Sprintf("MESSAGE sip:bob@example.com SIP/2.0\r\n"+
		"Via: SIP/2.0/%s %s;branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\n"+
		"From: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\nCall-ID: %d@test\r\nCSeq: 1 MESSAGE\r\n"+
		"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", proto, sentBy, id, id, n, strings.Repeat("x", n))
}

// ok answers with a 200 without Content-Type.
func ok(r *Received) string {
	m := r.Msg
	var b sip.Builder
	b.Reset(nil)
	b.Response(200, "OK")
	for i := range m.Headers {
		switch h := &m.Headers[i]; h.ID {
		case sip.HeaderVia, sip.HeaderFrom, sip.HeaderTo, sip.HeaderCallID, sip.HeaderCSeq:
			b.Header(h.ID, string(h.Value.Of(m.Raw)))
		default:
		}
	}
	b.Body(nil)
	raw, _ := b.Bytes()
	return string(raw)
}

// certify makes a configuration for TLS on loopback.
func certify(tb testing.TB) ([]tls.Certificate, *x509.CertPool) {
	tb.Helper()
	cert, pool, err := SelfSigned("127.0.0.1", "::1", "bob.example.com")
	if err != nil {
		tb.Fatal(err)
	}
	return []tls.Certificate{cert}, pool
}
