package hostile

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sipscope/element/transport"
	"sipscope/element/ua"
)

// siege is peers that behave badly until it is lifted.
type siege struct {
	stop chan struct{}
	wg   sync.WaitGroup
}

// add has n peers do f again and again. f is given a number of its own, and returns when it is thrown out.
func (s *siege) add(n int, f func(i int)) {
	for i := range n {
		s.wg.Go(func() {
			for k := i; ; k += n {
				select {
				case <-s.stop:
					return
				default:
					f(k)
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
}

func (s *siege) lift() { close(s.stop); s.wg.Wait() }

// dial is a raw connection that ends when the siege does; nil when it is refused.
func (s *siege) dial(to net.Addr) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 50, 6, 1)}, Timeout: time.Second}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return nil
	}
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	return c
}

// TestSiege attacks each element on its real sockets, TCP, UDP, TLS and WebSocket at once: connections that say nothing, say
// it a byte at a time, do not read what they asked for, send heads of a megabyte, bodies that never come, garbage,
// handshakes that stop half-way, fragments and pings without end, INVITEs without ACK. All the while good calls come by UDP and
// TCP and are served; afterwards every connection is closed, and memory is what it was.
func TestSiege(t *testing.T) { //nolint:paralleltest // it measures the heap
	bob := bobSite(t)
	me := newClient(t)
	cert, _, err := transport.SelfSigned("127.50.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		s := live(t, kind, bob.at(transport.UDP).String(), transport.Config{
			Listen: []transport.Listen{
				at("udp:127.50.0.1:0"), at("tcp:127.50.0.1:0"), at("tls:127.50.0.1:0"), at("ws:127.50.0.1:0"), at("wss:127.50.0.1:0"),
			},
			Certificates: []tls.Certificate{cert}, MessageTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond,
			IdleTimeout: 5 * time.Second, MaxConns: 200, MaxQueue: 128 << 10,
		})
		me.served(s, transport.UDP)
		before := heap()
		a := &siege{stop: make(chan struct{})}
		besiege(a, s)
		for i := range 6 {
			time.Sleep(100 * time.Millisecond)
			me.served(s, []transport.Proto{transport.UDP, transport.TCP}[i%2])
		}
		during := heap() - before
		a.lift()
		me.served(s, transport.TCP)
		s.eventually("all bad connections are closed", 20*time.Second, func() bool { return s.end.Stats().Open <= 3 })
		st := s.end.Stats()
		var sum transport.Counters
		for _, l := range st.Listeners {
			sum.Rejected += l.Rejected
			sum.NotSIP += l.NotSIP
			sum.MessagesIn += l.MessagesIn
			sum.KeepAlives += l.KeepAlives
		}
		t.Logf("%-10s heap %+.1f MB; %d messages, %d rejected, %d not SIP, %d keep-alives; %d accepted, %d refused, %d evicted, %d idle, %d slow",
			kind, float64(during)/1e6, sum.MessagesIn, sum.Rejected, sum.NotSIP, sum.KeepAlives, st.Accepted, st.Refused, st.Evicted, st.Idle, st.Slow)
		if sum.Rejected == 0 || sum.NotSIP == 0 || st.Accepted < 20 || during > 200<<20 {
			t.Errorf("%s: %d bytes, %+v", kind, during, st)
		}
		s.close()
	}
}

// besiege adds the attackers.
func besiege(a *siege, s *site) {
	addr := func(p transport.Proto) net.Addr { return net.TCPAddrFromAddrPort(s.at(p)) }
	text := func(i int, more ...string) string {
		return req{method: "OPTIONS", proto: "TCP", via: "127.50.6.1:5060", branch: fmt.Sprint("s", i), more: more}.text()
	}
	over := func(p transport.Proto, f func(i int, c net.Conn)) func(int) {
		return func(i int) {
			c := a.dial(addr(p))
			if c == nil {
				return
			}
			defer c.Close()
			f(i, c)
		}
	}
	drain := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for _, p := range []transport.Proto{transport.TCP, transport.TLS, transport.WS, transport.WSS} {
		a.add(3, over(p, func(_ int, c net.Conn) { drain(c) })) // half-open: says nothing, and waits to be closed
		a.add(1, over(p, func(i int, c net.Conn) {              // a byte at a time
			for _, b := range []byte(text(i)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}))
		a.add(1, over(p, func(_ int, c net.Conn) {
			_, _ = c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\x00\xff"))
			drain(c)
		}))
		a.add(1, over(p, func(_ int, c net.Conn) { linger(c) })) // reset
	}
	a.add(2, over(transport.TCP, func(i int, c net.Conn) { // a head of a megabyte
		go drain(c)
		_, _ = io.WriteString(c, text(i, "X: "+strings.Repeat("x", 1<<20)))
	}))
	a.add(1, over(transport.TCP, func(i int, c net.Conn) { // a megabyte of short lines
		go drain(c)
		_, _ = io.WriteString(c, text(i, strings.Repeat("X: y\r\n", 200_000)+"Z: z"))
	}))
	a.add(1, over(transport.TCP, func(i int, c net.Conn) { // a body that never comes
		_, _ = io.WriteString(c, strings.Replace(text(i), "Content-Length: 0", "Content-Length: 900000", 1))
		drain(c)
	}))
	a.add(1, over(transport.TCP, func(i int, c net.Conn) { // asks and does not read
		for k := range 20_000 {
			if _, err := io.WriteString(c, text(i)); err != nil {
				return
			}
			if i += 1_000_000; k%20 == 19 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}))
	a.add(1, over(transport.TCP, func(_ int, c net.Conn) { // keep-alives without end
		go drain(c)
		for range 2000 {
			if _, err := io.WriteString(c, strings.Repeat("\r\n\r\n", 100)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}))
	a.add(4, over(transport.WS, func(i int, c net.Conn) { webSocketAttack(c, i) }))
	a.add(1, func(int) { // TLS that stops after its ClientHello, and one that says nothing more
		c := a.dial(addr(transport.TLS))
		if c == nil {
			return
		}
		defer c.Close()
		t := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12})
		if t.Handshake() == nil {
			_, _ = t.Write([]byte("OPTIONS sip:x SIP/2.0\r\n"))
			drain(t)
		}
	})
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 50, 6, 1)}}
	u, err := d.Dial("udp", s.at(transport.UDP).String())
	if err != nil {
		return
	}
	a.add(1, func(i int) { // INVITEs without ACK, and garbage
		time.Sleep(20 * time.Millisecond)
		for k := range 4 {
			_, _ = io.WriteString(u, req{method: "INVITE", via: u.LocalAddr().String(), branch: fmt.Sprintf("u%d-%d", i, k), fromTag: strconv.Itoa(i)}.text())
			_, _ = u.Write([]byte{0, byte(k), byte(i), 0xff})
			_, _ = u.Write(nil)
		}
	})
}

// linger has a connection end by a reset.
func linger(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

// Opcodes of WebSocket frames (RFC 6455 5.2).
const (
	wsContinuation = 0x0
	wsText         = 0x1
	wsBinary       = 0x2
	wsPing         = 0x9
	wsFinal        = 0x80
)

// webSocket upgrades a connection (RFC 6455 4.1); false: it was refused.
func webSocket(c net.Conn) bool {
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n")
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	return err == nil && bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 101 "))
}

// frame is a WebSocket frame of a client, masked by zeros, that claims to be of a length.
func frame(first byte, claimed int64, payload string) []byte {
	b := []byte{first, 0x80 | 127}
	b = binary.BigEndian.AppendUint64(b, uint64(claimed))
	return append(append(b, 0, 0, 0, 0), payload...)
}

// webSocketAttack sends pings, fragments, and frames that are not what they say.
func webSocketAttack(c net.Conn, i int) {
	if !webSocket(c) {
		return
	}
	repeat := func(n int, b []byte) bool {
		for range n {
			if _, err := c.Write(b); err != nil {
				return false
			}
		}
		return true
	}
	switch i % 7 {
	case 0: // a message in thousands of fragments that does not end
		if repeat(1, frame(wsText, 1, "O")) {
			repeat(20_000, frame(wsContinuation, 1, "x"))
		}
	case 1: // pings, and nobody reads the pongs
		repeat(20_000, frame(wsFinal|wsPing, 100, strings.Repeat("p", 100)))
		return
	case 2: // frames that are no SIP
		repeat(200, frame(wsFinal|wsBinary, 3, "\x00\x01\x02"))
	case 3: // a frame longer than there is memory
		repeat(1, frame(wsFinal|wsText, 1<<62, "OPTIONS"))
	case 4: // a length below zero
		repeat(1, frame(wsFinal|wsText, -1, "OPTIONS"))
	case 5: // a continuation of nothing, an opcode of nothing, a ping in two parts
		repeat(1, frame(wsFinal|wsContinuation, 1, "x"))
		repeat(1, frame(wsFinal|0x7, 1, "x"))
		repeat(1, frame(wsPing, 1, "x"))
	default: // fragments of no bytes, without end
		if repeat(1, frame(wsText, 0, "")) {
			repeat(20_000, frame(wsContinuation, 0, ""))
		}
	}
	_, _ = io.Copy(io.Discard, c)
}

// TestTenThousandConnections has as many connections as the system gives, up to 10,000, each of which once asked something:
// they take a bounded heap each, all may ask again, and a good call is served beside them.
func TestTenThousandConnections(t *testing.T) { //nolint:paralleltest // it measures the heap
	n := 10_000
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil || int(lim.Cur) < 2*n+200 {
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: lim.Max, Max: lim.Max})
		_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim)
		n = min(n, (int(lim.Cur)-200)/2)
	}
	if testing.Short() || raceDetector {
		n = min(n, 1000)
	}
	if n < 500 {
		t.Skip("the limit of open files is too low: ", lim.Cur)
	}
	s := live(t, "user agent", "", transport.Config{
		Listen: []transport.Listen{at("udp:127.50.0.1:0"), at("tcp:127.50.0.1:0")}, MaxConns: n + 10,
	})
	me := newClient(t)
	before := heap()
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	buf := make([]byte, 4096)
	ask := func(i int, branch string) {
		c := conns[i]
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(c, req{method: "OPTIONS", proto: "TCP", via: c.LocalAddr().String(), branch: fmt.Sprint(branch, i)}.text())
		if k, err := c.Read(buf); err != nil || status(string(buf[:k])) != "200" {
			t.Fatalf("connection %d: %v %q", i, err, buf[:k])
		}
	}
	for i := range n {
		c, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 50, 7, byte(1+i/5000))}, net.TCPAddrFromAddrPort(s.at(transport.TCP)))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		ask(i, "first")
	}
	grown := heap() - before
	me.served(s, transport.UDP)
	me.served(s, transport.TCP)
	for i := 0; i < n; i += 97 {
		ask(i, "again")
	}
	t.Logf("%d connections, %d bytes of heap each, %d goroutines", n, grown/int64(n), runtime.NumGoroutine())
	if st := s.end.Stats(); st.Open < n || grown > int64(n)*64<<10 {
		t.Errorf("%d open, %d bytes", st.Open, grown)
	}
}

// TestPeerVanishes: a peer over TCP whose connection breaks in a call, or who never accepts one: the call ends at both ends
// within the timers.
func TestPeerVanishes(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.50.8.1:0") // it never accepts: the connection is there, and nobody reads
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	defer l.Close()
	end := open(t, transport.Config{Listen: []transport.Listen{at("udp:127.50.1.1:0"), at("tcp:127.50.1.1:0")}})
	a := ua.New(ua.Config{Link: end, Txn: fastTimes, Rand: rng(5), Identity: "<sip:alice@a.com>"})
	s := &client{launch(t, end, &element{kind: "client", agent: a, layer: a.Layer()}, a.Handler())}
	begun := time.Now()
	if cause, _ := s.call("sip:bob@" + l.Addr().String() + ";transport=tcp"); cause != ua.CauseTimeout {
		t.Errorf("the call ended by %v", cause)
	}
	if d := time.Since(begun); d < 64*time.Duration(fast) || d > 10*time.Second {
		t.Errorf("after %v", d)
	}
	_ = l.Close()
	if cause, _ := s.call("sip:bob@" + l.Addr().String() + ";transport=tcp"); cause != ua.CauseTransport && cause != ua.CauseTimeout {
		t.Errorf("the call to nobody ended by %v", cause)
	}
	s.eventually("nothing is left", 5*time.Second, func() bool { return s.left() == "" })
}
