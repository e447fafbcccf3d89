package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// dialTCP is a raw peer.
func dialTCP(tb testing.TB, to netip.AddrPort) *net.TCPConn {
	tb.Helper()
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return c
}

// served checks that el still answers a well-behaved peer.
func served(tb testing.TB, el *element, proto Proto) {
	tb.Helper()
	c := dialTCP(tb, el.at(0))
	text := request(proto, addrPortOf(c.LocalAddr()), 77, 10)
	_, _ = io.WriteString(c, text)
	buf := make([]byte, 1000)
	n, err := c.Read(buf)
	if err != nil || !bytes.HasPrefix(buf[:n], []byte("SIP/2.0 200")) {
		tb.Fatalf("not served: %q, %v", buf[:n], err)
	}
	for g := el.next(); g.text != text; g = el.next() {
	}
}

// TestGarbage sends what is no SIP stream: the connection ends, requests with an end that cannot be found are answered.
func TestGarbage(t *testing.T) {
	t.Parallel()
	head := "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n" +
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
	for name, tt := range map[string]struct{ text, want string }{
		"text":            {"hello\r\nworld\r\n", ""},
		"zeros":           {strings.Repeat("\x00", 10_000), ""},
		"HTTP":            {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		"a lie":           {head + "Content-Length: 1073741824\r\n\r\n", "SIP/2.0 413 "},
		"no number":       {head + "Content-Length: many\r\n\r\n", "SIP/2.0 400 "},
		"endless head":    {head + strings.Repeat("X-Header: value\r\n", 70_000), "SIP/2.0 513 "},
		"endless line":    {head + "X: " + strings.Repeat("x", 1<<20), "SIP/2.0 513 "},
		"ACK":             {strings.ReplaceAll(head, "OPTIONS", "ACK") + "Content-Length: x\r\n\r\n", ""},
		"bad response":    {"SIP/2.0 200 OK\r\nContent-Length: x\r\n\r\n", ""},
		"broken and long": {"OPTIONS sip:a@b SIP/2.0\r\n" + strings.Repeat(":\r\n ;,\"<", 20_000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, ok)
			c := dialTCP(t, el.at(0))
			go func() { _, _ = io.WriteString(c, tt.text); c.CloseWrite() }()
			answer, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(answer), tt.want) || tt.want == "" && len(answer) > 0 {
				t.Errorf("answer %q, want %q", answer, tt.want)
			}
			eventually(t, "rejected and closed", func() bool {
				s := el.Stats()
				return s.Listeners[0].Rejected == 1 && s.Open == 0
			})
			served(t, el, TCP)
		})
	}
}

// TestAfterGoodOnes answers the messages before a lie, then the lie, then closes.
func TestAfterGoodOnes(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, ok)
	c := dialTCP(t, el.at(0))
	text := request(TCP, el.at(0), 1, 3)
	_, _ = io.WriteString(c, text+text+strings.Replace(text, "Content-Length: 3", "Content-Length: 3333333", 1))
	answer, err := io.ReadAll(c)
	if err != nil || strings.Count(string(answer), "SIP/2.0 200 OK") != 2 || strings.Count(string(answer), "SIP/2.0 413") != 1 {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestSlowMessage ends a connection whose message does not end, and one whose handshake does not begin.
func TestSlowMessage(t *testing.T) {
	t.Parallel()
	certs, _ := certify(t)
	for _, proto := range []Proto{TCP, TLS, WS} {
		cfg := Config{Listen: listen(t, proto.String()+":127.0.0.1:0"), Certificates: certs, MessageTimeout: 100 * time.Millisecond}
		el := start(t, cfg, ok)
		c := dialTCP(t, el.at(0))
		text := request(TCP, el.at(0), 1, 3)
		begun := time.Now()
		for i := 0; ; i++ {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil || i == len(text)-2 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if d := time.Since(begun); d > time.Second {
			t.Errorf("%s: it took %v", proto, d)
		}
		eventually(t, "closed", func() bool { return el.Stats().Open == 0 })
	}
}

// TestSteadySlow keeps a connection that sends its messages in pieces, each of them in time.
func TestSteadySlow(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0"), MessageTimeout: time.Second}, ok)
	c := dialTCP(t, el.at(0))
	text := request(TCP, el.at(0), 1, 3)
	rest := strings.Repeat(text, 6)
	for len(rest) > 0 { // a message takes some 300 ms, all of them twice the time for one
		n := min(len(rest), len(text)/3+1)
		if _, err := io.WriteString(c, rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
		time.Sleep(100 * time.Millisecond)
	}
	for range 6 {
		el.next()
	}
}

// TestSlowReader drops a peer that does not read, and tells what it did not get.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0"), MaxQueue: 256 << 10}, nil)
	c := dialTCP(t, el.at(0))
	_, _ = io.WriteString(c, request(TCP, el.at(0), 1, 0))
	hop := el.next().hop
	text := request(TCP, el.at(0), 1, 10_000)
	const n = 2000 // 20 MB
	for i := range n {
		el.send(hop, text, uint64(i+1))
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	lost := el.nextLost()
	if !errors.Is(lost.err, ErrSlow) {
		t.Errorf("%v", lost.err)
	}
	eventually(t, "dropped", func() bool { return el.Stats().Slow == 1 })
	for tag := lost.tag; tag < n; tag = lost.tag {
		if lost = el.nextLost(); lost.tag != tag+1 { // all in order: no gap, none twice
			t.Fatalf("tag %d after %d", lost.tag, tag)
		}
	}
}

// TestWriteTimeout drops a peer that takes nothing for a time.
func TestWriteTimeout(t *testing.T) {
	t.Parallel()
	cfg := Config{Listen: listen(t, "tcp:127.0.0.1:0"), WriteTimeout: 100 * time.Millisecond, MaxQueue: 64 << 20}
	el := start(t, cfg, nil)
	c := dialTCP(t, el.at(0))
	_, _ = io.WriteString(c, request(TCP, el.at(0), 1, 0))
	hop := el.next().hop
	el.send(hop, request(TCP, el.at(0), 1, 30<<20), 9)
	if lost := el.nextLost(); !errors.Is(lost.err, ErrSlow) || lost.tag != 9 {
		t.Errorf("%+v", lost)
	}
}

// TestManyConns opens more connections than allowed: those that never said anything make room, those that did stay.
func TestManyConns(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0"), MaxConns: 50}, ok)
	good := dialTCP(t, el.at(0))
	text := request(TCP, el.at(0), 1, 0)
	_, _ = io.WriteString(good, text)
	el.next()
	for range 300 {
		dialTCP(t, el.at(0))
	}
	eventually(t, "refused", func() bool { s := el.Stats(); return s.Refused+s.Accepted == 301 && s.Open == 50 })
	time.Sleep(idleBeforeEviction)
	for range 20 {
		dialTCP(t, el.at(0))
	}
	eventually(t, "evicted", func() bool { return el.Stats().Evicted == 20 })
	_, _ = io.WriteString(good, text)
	if g := el.next(); g.text != text {
		t.Error("the good one was evicted")
	}
	served(t, el, TCP)
}

func TestIdle(t *testing.T) {
	t.Parallel()
	cfg := Config{Listen: listen(t, "tcp:127.0.0.1:0"), IdleTimeout: 5 * time.Second, MessageTimeout: 500 * time.Millisecond}
	el := start(t, cfg, ok)
	quiet, alive := dialTCP(t, el.at(0)), dialTCP(t, el.at(0))
	begun := time.Now()
	go func() {
		for time.Since(begun) < 3*time.Second {
			if _, err := io.WriteString(alive, "\r\n\r\n"); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if _, err := quiet.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	time.Sleep(time.Second)
	if s := el.Stats(); s.Idle != 1 || s.Open != 1 {
		t.Errorf("%d idle, %d open", s.Idle, s.Open)
	}
	pong := make([]byte, 4)
	if _, err := io.ReadFull(alive, pong); err != nil || string(pong) != "\r\n\r\n" {
		t.Errorf("%q, %v", pong, err)
	}
}

// TestKeepAlive pings from the client's side (RFC 5626 3.5.1) and drops a connection that no longer answers.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, proto := range []Proto{TCP, WS} {
		at := listen(t, proto.String()+":127.0.0.1:0")
		bob := start(t, Config{Listen: at}, ok)
		alice := start(t, Config{Listen: at, KeepAlive: 100 * time.Millisecond}, nil)
		alice.send(Hop{Proto: proto, Remote: bob.at(0)}, request(proto, alice.at(0), 1, 0), 1)
		alice.next()
		eventually(t, "pings and pongs", func() bool {
			return bob.Stats().Listeners[0].KeepAlives >= 2 && alice.Stats().Dialled[proto].KeepAlives >= 2
		})
		if s := alice.Stats(); s.Open != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// TestCrossedFIN tells that a request was lost when the peer had closed the idle connection that it went by.
func TestCrossedFIN(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
	el.send(Hop{Proto: TCP, Remote: addrPortOf(l.Addr())}, request(TCP, el.at(0), 1, 0), 4)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Read(make([]byte, 10_000))
	_ = c.Close()
	if g := el.nextLost(); g.tag != 4 {
		t.Errorf("%+v", g)
	}
}

// TestTLSVerifies trusts neither an unknown issuer nor another's name, and does not send to a peer that it does not trust.
func TestTLSVerifies(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	at := listen(t, "tls:127.0.0.1:0")
	bob := start(t, Config{Listen: at, Certificates: certs}, ok)
	for name, tt := range map[string]struct {
		cfg  Config
		name string
		good bool
	}{
		"name":             {Config{RootCAs: pool}, "bob.example.com", true},
		"address":          {Config{RootCAs: pool}, "", true},
		"other name":       {Config{RootCAs: pool}, "carol.example.com", false},
		"unknown issuer":   {Config{}, "bob.example.com", false},
		"insecure, others": {Config{Insecure: true}, "carol.example.com", true},
	} {
		tt.cfg.Listen, tt.cfg.Certificates = at, certs
		alice := start(t, tt.cfg, nil)
		hop := Hop{Proto: TLS, Remote: bob.at(0), Name: tt.name}
		alice.send(hop, request(TLS, alice.at(0), 1, 0), 1)
		if tt.good {
			alice.next()
			continue
		}
		var verify *tls.CertificateVerificationError
		if g := alice.nextLost(); !errors.As(g.err, &verify) || g.hop != hop {
			t.Errorf("%s: %v", name, g.err)
		}
	}
	alice := start(t, Config{Listen: at, Certificates: certs, RootCAs: pool}, nil)
	alice.send(Hop{Proto: TLS, Remote: bob.at(0), Name: "bob.example.com"}, request(TLS, alice.at(0), 1, 0), 1)
	alice.next()
	alice.send(Hop{Proto: TLS, Remote: bob.at(0), Name: "carol.example.com"}, request(TLS, alice.at(0), 1, 0), 2)
	if g := alice.nextLost(); g.tag != 2 {
		t.Error("a connection verified for another name was used")
	}
}

// TestWebSocketPeers takes text and binary frames, keep-alives, and refuses what is not SIP.
func TestWebSocketPeers(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0"), MaxMessage: 10_000}, ok)
	url := "ws://" + bob.at(0).String() + "/any/path"
	dial := func(protocols ...string) (*websocket.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ws, _, err := websocket.Dial( //nolint:bodyclose // the library does
			ctx, url, &websocket.DialOptions{Subprotocols: protocols})
		if ws != nil {
			t.Cleanup(func() { _ = ws.CloseNow() })
		}
		return ws, err
	}
	ws, err := dial("xmpp", "sip")
	if err != nil {
		t.Fatal(err)
	}
	text := request(WS, bob.at(0), 1, 5)
	for _, typ := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		for _, frame := range []string{text, "\r\n\r\n" + text} {
			_ = ws.Write(t.Context(), typ, []byte(frame))
			if g := bob.next(); g.text != text {
				t.Errorf("got %q", g.text)
			}
			_, answer, err := ws.Read(t.Context())
			if err != nil || !bytes.HasPrefix(answer, []byte("SIP/2.0 200")) {
				t.Errorf("%q, %v", answer, err)
			}
		}
	}
	_ = ws.Write(t.Context(), websocket.MessageText, []byte("\r\n\r\n"))
	if _, pong, err := ws.Read(t.Context()); err != nil || string(pong) != "\r\n" {
		t.Errorf("pong %q, %v", pong, err)
	}
	_ = ws.Write(t.Context(), websocket.MessageText, []byte("hello"))
	_ = ws.Write(t.Context(), websocket.MessageText, []byte(request(WS, bob.at(0), 2, 20_000)))
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("too large a frame does not end the connection")
	}
	eventually(t, "counted", func() bool { return bob.Stats().Listeners[0].NotSIP == 1 && bob.Stats().Listeners[0].Rejected == 1 })
	if ws, err := dial("xmpp"); err == nil {
		if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("another subprotocol: %v", err)
		}
	}
	for _, text := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "x", "GET / HTTP/1.1\r\nX: " + strings.Repeat("y", 1<<20)} {
		c := dialTCP(t, bob.at(0))
		go func() { _, _ = io.WriteString(c, text); c.CloseWrite() }()
		answer, _ := io.ReadAll(c)
		if len(answer) > 0 && !bytes.HasPrefix(answer, []byte("HTTP/1.1 4")) {
			t.Errorf("%.20q: %q", text, answer)
		}
	}
	eventually(t, "all closed", func() bool { return bob.Stats().Open == 0 })
}

// TestManySmall cuts a stream of messages at every place.
func TestManySmall(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
	text := request(TCP, el.at(0), 1, 11) + "\r\n\r\n" + request(TCP, el.at(0), 2, 0)
	for cut := range len(text) {
		if cut%7 != 0 { // each place in some run; all of them in TestFramer
			continue
		}
		c := dialTCP(t, el.at(0))
		_ = c.SetNoDelay(true)
		_, _ = io.WriteString(c, text[:cut])
		time.Sleep(time.Millisecond)
		_, _ = io.WriteString(c, text[cut:])
		if got := el.next().text + "\r\n\r\n" + el.next().text; got != text {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		_ = c.Close()
	}
}

// TestDatagrams counts what is no message.
func TestDatagrams(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, ok)
	c, err := net.Dial("udp", el.at(0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, text := range []string{"", "\r\n\r\n", "\x00\x00\x00\x00", "hello", "\x00\x01\x00\x00\x21\x12\xa4\x42", strings.Repeat("x", 65_000)} {
		_, _ = io.WriteString(c, text)
	}
	text := request(UDP, el.at(0), 1, 0)
	_, _ = io.WriteString(c, "\r\n"+text+"trailing")
	if g := el.next(); g.text != text+"trailing" {
		t.Errorf("%q", g.text)
	}
	if s := el.Stats().Listeners[0]; s.KeepAlives != 2 || s.NotSIP != 4 || s.MessagesIn != 1 {
		t.Errorf("%+v", s)
	}
	if len(el.got) > 0 {
		t.Error(fmt.Sprint("more came: ", len(el.got)))
	}
}
