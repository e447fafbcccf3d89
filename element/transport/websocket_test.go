package transport

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// dialWebSocket is a raw peer over WS.
func dialWebSocket(tb testing.TB, to netip.AddrPort) *websocket.Conn {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial( //nolint:bodyclose // the library does
		ctx, "ws://"+to.String()+"/", &websocket.DialOptions{Subprotocols: []string{"sip"}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// TestWebSocketFrames sends a binary frame where a text frame would have to be UTF-8 (RFC 6455 5.6, 8.1).
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0")}, nil)
	ws := dialWebSocket(t, el.at(0))
	_ = ws.Write(t.Context(), websocket.MessageText, []byte(request(WS, el.at(0), 1, 0)))
	hop := el.next().hop
	text := request(WS, el.at(0), 2, 3)
	for _, tt := range []struct {
		text string
		want websocket.MessageType
	}{
		{text, websocket.MessageText},
		{strings.Replace(text, "xxx", "\xff\xfe\x00", 1), websocket.MessageBinary},
		{strings.Replace(text, "xxx", "\xe2\x82\xac", 1), websocket.MessageText},
	} {
		el.send(hop, tt.text, 1)
		typ, b, err := ws.Read(t.Context())
		if err != nil || typ != tt.want || string(b) != tt.text {
			t.Errorf("%v %q, %v; want %v %q", typ, b, err, tt.want, tt.text)
		}
	}
}

// TestWebSocketHost names the host that was asked for, and its port (RFC 6455 4.1).
func TestWebSocketHost(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ listen, name, want string }{
		{"127.0.0.1:0", "proxy.example.com", "proxy.example.com:%d"},
		{"127.0.0.1:0", "", "127.0.0.1:%d"},
		{"[::1]:0", "::1", "[::1]:%d"},
		{"[::1]:0", "[::1]", "[::1]:%d"},
		{"[::1]:0", "", "[::1]:%d"},
	} {
		ln, err := net.Listen("tcp", tt.listen)
		if err != nil {
			t.Fatal(err)
		}
		host := make(chan string, 1)
		go func() {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if req, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
				host <- req.Host
			}
			_ = nc.Close()
		}()
		el := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0", "ws:[::1]:0")}, nil)
		at := addrPortOf(ln.Addr())
		el.send(Hop{Proto: WS, Remote: at, Name: tt.name}, request(WS, el.at(0), 1, 0), 7)
		el.nextLost()
		_ = ln.Close()
		select {
		case got := <-host:
			if want := fmt.Sprintf(tt.want, at.Port()); got != want {
				t.Errorf("%q at %s: %q, want %q", tt.name, tt.listen, got, want)
			}
		default:
			t.Errorf("%q at %s: no handshake", tt.name, tt.listen)
		}
	}
	for _, tt := range []struct {
		proto        Proto
		remote, want string
	}{
		{WS, "192.0.2.1:80", "192.0.2.1"},
		{WS, "[2001:db8::1]:80", "[2001:db8::1]"},
		{WSS, "[2001:db8::1]:443", "[2001:db8::1]"},
		{WSS, "192.0.2.1:80", "192.0.2.1:80"},
		{WS, "[fe80::1%2]:81", "[fe80::1]:81"},
	} {
		c := &conn{proto: tt.proto, remote: netip.MustParseAddrPort(tt.remote)}
		if got := c.webHost(); got != tt.want {
			t.Errorf("%v: %q, want %q", c.remote, got, tt.want)
		}
	}
}

// TestWebSocketNames opens a connection for each name: a server may serve several domains at one address.
func TestWebSocketNames(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0")}, nil)
	alice := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0")}, nil)
	var ids []uint64
	for i, name := range []string{"one.com", "two.com", "One.com", "two.com"} {
		alice.send(Hop{Proto: WS, Remote: bob.at(0), Name: name}, request(WS, alice.at(0), i, 0), 7)
		ids = append(ids, bob.next().hop.Conn)
	}
	if ids[0] == ids[1] || ids[0] != ids[2] || ids[1] != ids[3] {
		t.Errorf("connections %d", ids)
	}
}

// TestWebSocketPings keeps a connection over which nothing but control frames come, either way (RFC 7118 6).
func TestWebSocketPings(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0")}, nil)
	ws := dialWebSocket(t, el.at(0))
	ctx := ws.CloseRead(t.Context())
	eventually(t, "open", func() bool { return el.Stats().Open == 1 })
	alive := make(chan int64)
	last := func() int64 {
		el.Post(func() {
			for c := range el.conns.all() {
				alive <- c.alive.Load()
			}
		})
		return <-alive
	}
	before := last()
	for range 3 {
		if err := ws.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		now := last()
		if now <= before {
			t.Error("a ping is no life")
		}
		before = now
	}
	if n := el.Stats().Listeners[0].KeepAlives; n != 3 {
		t.Errorf("%d keep-alives", n)
	}
}

// TestPingBeforeMessage answers a ping that comes with a message, once each, however the stream is cut (RFC 5626 3.5.1).
func TestPingBeforeMessage(t *testing.T) {
	t.Parallel()
	const ping = "\r\n\r\n"
	for _, tt := range []struct {
		before, after string
		want          int
	}{{ping, "", 1}, {ping + ping, ping, 3}, {"\r\n", "\r\n", 0}, {ping + "\r\n", "\r\n", 1}} {
		for _, cut := range []int{0, 1, 2, 5} {
			el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
			c := dialTCP(t, el.at(0))
			text := tt.before + request(TCP, el.at(0), 1, 0) + tt.after + request(TCP, el.at(0), 2, 0)
			_, _ = io.WriteString(c, text[:cut])
			if cut > 0 {
				time.Sleep(2 * time.Millisecond)
			}
			_, _ = io.WriteString(c, text[cut:])
			el.next()
			el.next()
			_ = c.CloseWrite()
			// What is owed for the two requests is not sent: only pongs come.
			got := make([]byte, 2*tt.want)
			if _, err := io.ReadFull(c, got); err != nil || strings.Trim(string(got), "\r\n") != "" {
				t.Errorf("%q, cut at %d: %q, %v", tt.before, cut, got, err)
			}
			if n := el.Stats().Listeners[0].KeepAlives; n != uint64(tt.want) {
				t.Errorf("%q, cut at %d: %d pings, want %d", tt.before, cut, n, tt.want)
			}
		}
	}
}

// TestWebSocketPeers takes text and binary frames, keep-alives, and refuses what is not SIP.
func TestWebSocketPeers(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0"), MaxMessage: 10_000}, ok)
	place := "ws://" + bob.at(0).String() + "/any/path"
	dial := func(protocols ...string) (*websocket.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		ws, _, err := websocket.Dial( //nolint:bodyclose // the library does
			ctx, place, &websocket.DialOptions{Subprotocols: protocols})
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

// TestTapHandshake shows and counts what was sent over an accepted connection before its handshake was over.
func TestTapHandshake(t *testing.T) {
	t.Parallel()
	var tap tapped
	el := start(t, Config{Listen: listen(t, "ws:127.0.0.1:0"), Tap: &tap}, nil)
	c := dialTCP(t, el.at(0))
	eventually(t, "accepted", func() bool { return el.Stats().Open == 1 })
	sent := make(chan struct{})
	el.Post(func() {
		for w := range el.conns.all() {
			el.Send(Hop{Proto: WS, Remote: w.remote, Conn: w.id}, []byte(request(WS, el.at(0), 1, 0)), 1)
		}
		close(sent)
	})
	<-sent
	if n := el.Stats().Listeners[0].MessagesOut; n != 0 {
		t.Errorf("%d written before the handshake", n)
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n")
	r := bufio.NewReader(c)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	if _, err := r.ReadByte(); err != nil { // of the frame
		t.Fatal(err)
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	if n := el.Stats().Listeners[0].MessagesOut; n != 1 || len(tap.lines) != 1 {
		t.Errorf("%d counted, the tap saw %q", n, tap.lines)
	}
}
