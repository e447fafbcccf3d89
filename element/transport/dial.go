package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// accept hands the connections of a listener to the loop until the listener is closed.
func (e *Endpoint) accept(l *listener) {
	wait := 5 * time.Millisecond
	for {
		nc, err := l.tcp.Accept()
		switch {
		case err == nil:
			wait = 5 * time.Millisecond
			if !e.tell(event{kind: eventAccept, ln: l, nc: nc}) {
				_ = nc.Close()
				return
			}
		case isClosed(err):
			return
		default: // no files, no memory: an idle connection has some
			if !e.tell(event{kind: eventStarved, ln: l}) {
				return
			}
			select {
			case <-time.After(wait):
			case <-e.ended:
				return
			}
			wait = min(2*wait, time.Second)
		}
	}
}

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// serveAccepted is the reader of an accepted connection: handshakes, then messages.
func (e *Endpoint) serveAccepted(ctx context.Context, c *conn, nc net.Conn) {
	shake, done := context.WithTimeout(ctx, e.cfg.MessageTimeout)
	err := e.shakeAccepted(shake, c, nc)
	done()
	e.serve(ctx, c, err)
}

func (e *Endpoint) shakeAccepted(ctx context.Context, c *conn, nc net.Conn) error {
	if c.proto.Secure() {
		cfg := &tls.Config{Certificates: e.cfg.Certificates, MinVersion: tls.VersionTLS12, KeyLogWriter: e.cfg.KeyLog}
		secure := tls.Server(nc, cfg)
		if !c.attach(secure) {
			return ErrConnGone
		}
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		nc = secure
	}
	if c.proto == WS || c.proto == WSS {
		return c.acceptWS(ctx, e, nc)
	}
	return nil
}

// serveDialled is the reader of a connection that is made from here.
func (e *Endpoint) serveDialled(ctx context.Context, c *conn, local netip.Addr, remote netip.AddrPort) {
	shake, done := context.WithTimeout(ctx, e.cfg.DialTimeout)
	err := e.shakeDialled(shake, c, local, remote)
	done()
	e.serve(ctx, c, err)
}

func (e *Endpoint) shakeDialled(ctx context.Context, c *conn, local netip.Addr, remote netip.AddrPort) error {
	d := net.Dialer{KeepAlive: 15 * time.Second}
	if local.IsValid() && !local.IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	nc, err := d.DialContext(ctx, network("tcp", remote.Addr()), remote.String())
	if err != nil {
		return err
	}
	if !c.attach(nc) {
		_ = nc.Close()
		return ErrConnGone
	}
	if c.proto.Secure() {
		secure := tls.Client(nc, e.clientTLS(c.proto, c.serverName()))
		if !c.attach(secure) {
			return ErrConnGone
		}
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		nc = secure
	}
	if c.proto == WS || c.proto == WSS {
		return c.dialWS(ctx, e, nc)
	}
	return nil
}

// serve reads from a connection that is open, err being nil, until it ends, and tells the loop.
func (e *Endpoint) serve(ctx context.Context, c *conn, err error) {
	if err == nil {
		if !e.tell(event{kind: eventOpen, conn: c}) {
			return
		}
		if c.ws != nil {
			err = c.readFrames(ctx, e)
		} else {
			err = c.readStream(e)
		}
	}
	e.tell(event{kind: eventReadDone, conn: c, err: err})
}

// wsHeadBytes is how many bytes the head of a WebSocket handshake may have.
const wsHeadBytes = 16 << 10

// setWS gives the connection its WebSocket; false when it was dropped before.
func (c *conn) setWS(ws *websocket.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return ErrConnGone
	}
	c.ws = ws
	return nil
}

// acceptWS is the server's side of the handshake (RFC 6455 4.2, RFC 7118 4), for any path and origin: who may do what is
// asked by SIP itself. A client that offers subprotocols without "sip" means something else.
func (c *conn) acceptWS(ctx context.Context, e *Endpoint, nc net.Conn) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = nc.SetDeadline(deadline)
	}
	limit := &io.LimitedReader{R: nc, N: wsHeadBytes}
	br := bufio.NewReader(limit)
	req, err := http.ReadRequest(br)
	if err != nil {
		return fmt.Errorf("WebSocket handshake: %w", err)
	}
	w := &upgrade{nc: nc, rw: bufio.NewReadWriter(br, bufio.NewWriter(nc)), head: make(http.Header)}
	ws, err := websocket.Accept(w, req, &websocket.AcceptOptions{
		Subprotocols: []string{"sip"}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool { return c.heardFrame(e) },
		OnPongReceived: func(context.Context, []byte) { c.heardFrame(e) },
	})
	if err != nil {
		return err
	}
	if ws.Subprotocol() != "sip" {
		_ = ws.Close(websocket.StatusPolicyViolation, "subprotocol sip expected")
		return fmt.Errorf("WebSocket without subprotocol sip: %w", ErrStream)
	}
	_ = nc.SetDeadline(time.Time{})
	return c.setWS(ws)
}

// dialWS is the client's side, over a connection that is there.
func (c *conn) dialWS(ctx context.Context, e *Endpoint, nc net.Conn) error {
	give := func(context.Context, string, string) (net.Conn, error) { return nc, nil }
	client := &http.Client{Transport: &http.Transport{DialContext: give, DialTLSContext: give, DisableKeepAlives: true}}
	// The scheme is ws for both: TLS is done already.
	u := url.URL{Scheme: "ws", Host: c.webHost(), Path: e.cfg.WSPath}
	ws, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{"sip"}, CompressionMode: websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool { return c.heardFrame(e) },
		OnPongReceived: func(context.Context, []byte) { c.heardFrame(e) },
	})
	if err != nil {
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close()
		}
		return err
	}
	if ws.Subprotocol() != "sip" {
		_ = ws.CloseNow()
		return fmt.Errorf("WebSocket server without subprotocol sip: %w", ErrStream)
	}
	return c.setWS(ws)
}

// serverName is whom c was made to reach, without the brackets of an IPv6 address.
func (c *conn) serverName() string {
	if c.name == "" {
		return c.remote.Addr().WithZone("").String()
	}
	return strings.TrimSuffix(strings.TrimPrefix(c.name, "["), "]")
}

// webHost is the host of a handshake, with the port unless it is the default one (RFC 6455 4.1, RFC 3986 3.2).
func (c *conn) webHost() string {
	name, port := c.serverName(), c.remote.Port()
	switch {
	case port != c.proto.DefaultPort():
		return net.JoinHostPort(name, strconv.Itoa(int(port)))
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	default:
		return name
	}
}

// heardFrame notes a control frame, by which clients of WebSocket keep their connections (RFC 7118 6, RFC 6455 5.5.2).
func (c *conn) heardFrame(e *Endpoint) bool {
	c.alive.Store(e.Now())
	c.count.keepAlives.Add(1)
	return true
}

// upgrade is the http.ResponseWriter and http.Hijacker that a WebSocket handshake needs. With it, no HTTP server runs
// goroutines of its own here.
type upgrade struct {
	nc     net.Conn
	rw     *bufio.ReadWriter
	head   http.Header
	status int
}

// Header is of the answer.
func (u *upgrade) Header() http.Header { return u.head }

// WriteHeader sends the answer's head.
func (u *upgrade) WriteHeader(status int) {
	if u.status != 0 {
		return
	}
	u.status = status
	if status != http.StatusSwitchingProtocols {
		u.head.Set("Connection", "close")
	}
	_, _ = fmt.Fprintf(u.rw, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = u.head.Write(u.rw)
	_, _ = u.rw.WriteString("\r\n")
	_ = u.rw.Flush()
}

// Write sends a part of the answer's body: why a handshake was refused.
func (u *upgrade) Write(b []byte) (int, error) {
	if u.status == 0 {
		u.WriteHeader(http.StatusOK)
	}
	n, err := u.rw.Write(b)
	_ = u.rw.Flush()
	return n, err
}

// Hijack gives the connection away. The limit of the handshake does not hold for what follows: websocket.Accept reads on
// from the connection itself.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) { return u.nc, u.rw, nil }
