package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
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
		// What comes in time does not extend the time: it ends though the head goes on and on.
		text := request(TCP, el.at(0), 1, 3)
		for i := 0; el.Stats().Open > 0 || el.Stats().Accepted == 0; i++ {
			if i == len(text)/2 {
				text, i = text[:i]+"X\r\nX: "+strings.Repeat("x", 100)+text[i:], i+1
			}
			if _, err := io.WriteString(c, text[i%len(text):][:1]); err != nil {
				break // by the deadline of c, if nothing else
			}
			time.Sleep(5 * time.Millisecond)
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

// TestEvictsBehindKeepAlives evicts one that never said anything, though older ones that did not either are kept alive,
// and not one that did.
func TestEvictsBehindKeepAlives(t *testing.T) {
	t.Parallel()
	var table Endpoint
	table.conns.init()
	var all []*conn
	for i := range 6 {
		c := &conn{proto: TCP, gone: make(chan struct{}), count: new(counters)}
		table.conns.add(c, table.Now()-10e9+int64(i))
		if c.alive.Store(c.used); i < 3 {
			c.alive.Store(table.Now()) // pings
		}
		all = append(all, c)
	}
	table.conns.touch(all[3], all[3].used, true) // a message
	for _, want := range []int{4, 5, 3} {
		if !table.evict() || all[want].state != connDead {
			t.Errorf("not the one expected: %d", want)
		}
	}
	if table.evict() {
		t.Error("one that is kept alive")
	}
	if n := table.totals.evicted.Load(); n != 3 {
		t.Errorf("%d evicted", n)
	}
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
