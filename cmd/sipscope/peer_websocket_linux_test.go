package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket" //nolint:depguard // a browser's side of it, to test ours
)

// webPhone is what a browser with a SIP stack in a page is: a WebSocket, an invented host name, and no address that others could reach
// (RFC 7118 5, appendix B). It writes its messages by hand.
type webPhone struct {
	t    *testing.T
	conn *websocket.Conn
	user string
	name string // its host, "….invalid"
	via  string // WS or WSS
	seq  int
}

// openWebPhone connects as a browser does, from a page of some site.
func openWebPhone(t *testing.T, url, user string, client *http.Client) *webPhone {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, answer, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		Subprotocols: []string{"sip"}, HTTPClient: client, HTTPHeader: http.Header{"Origin": {"https://pages.example.com"}},
	})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	if answer.Body != nil {
		_ = answer.Body.Close()
	}
	if p := conn.Subprotocol(); p != "sip" {
		t.Fatalf("subprotocol %q", p)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	via := strings.ToUpper(url[:strings.Index(url, ":")])
	return &webPhone{t: t, conn: conn, user: user, name: "df7jal23ls0d-" + user + ".invalid", via: via}
}

// send sends a message: lines, an empty one and the body.
func (b *webPhone) send(body string, lines ...string) {
	b.t.Helper()
	lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
	if err := b.conn.Write(b.t.Context(), websocket.MessageText, []byte(strings.Join(lines, "\r\n"))); err != nil {
		b.t.Fatal(err)
	}
}

// request sends a request in a new transaction.
func (b *webPhone) request(method, uri, to, callID, body string, more ...string) {
	b.t.Helper()
	b.seq++
	b.send(body, append([]string{
		method + " " + uri + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=z9hG4bK%s%d", b.via, b.name, b.user, b.seq),
		"Max-Forwards: 70", "From: <sip:" + b.user + "@b.test>;tag=" + b.user, "To: " + to,
		"Call-ID: " + callID, fmt.Sprintf("CSeq: %d %s", b.seq, method),
	}, more...)...)
}

// gets waits for a message that begins so.
func (b *webPhone) gets(start string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			b.t.Fatalf("waiting for %q: %v", start, err)
		}
		if strings.HasPrefix(string(text), start) {
			return string(text)
		}
	}
}

// answer answers a request.
func (b *webPhone) answer(request, status, body string, more ...string) {
	b.t.Helper()
	lines := []string{"SIP/2.0 " + status}
	for line := range strings.SplitSeq(request, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch name {
		case "Via", "Record-Route", "From", "Call-ID", "CSeq":
			lines = append(lines, line)
		case "To":
			if !strings.Contains(value, ";tag=") {
				line += ";tag=" + b.user
			}
			lines = append(lines, line)
		}
	}
	b.send(body, append(lines, more...)...)
}

// contact is its address, as RFC 7118 has it.
func (b *webPhone) contact() string {
	return "Contact: <sip:" + b.user + "@" + b.name + ";transport=ws>"
}

// register binds it, with digest when that is asked for.
func (b *webPhone) register() {
	b.t.Helper()
	more := []string{b.contact() + ";expires=600", "Supported: path, outbound"}
	b.request("REGISTER", "sip:b.test", "<sip:"+b.user+"@b.test>", "reg-"+b.user, "", more...)
	if text := b.gets("SIP/2.0"); !strings.HasPrefix(text, "SIP/2.0 200") || !strings.Contains(text, b.name) {
		b.t.Fatalf("not registered:\n%s", text)
	}
}

// anyCertificate is a client that believes any certificate.
func anyCertificate() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the one that the proxy made a moment ago
	}}
}

const browserSDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"

// A browser registers at our proxy over a WebSocket and is called back over it; it hangs up, and calls in its turn.
func TestBrowserOverWebSocket(t *testing.T) {
	t.Parallel()
	for _, proto := range fewer("ws", "wss") {
		for _, fixed := range fewer(false, true) {
			t.Run(fmt.Sprintf("%s, record route %t", proto, fixed), func(t *testing.T) {
				t.Parallel()
				browserStory(t, proto, fixed)
			})
		}
	}
}

func browserStory(t *testing.T, proto string, recordRoute bool) {
	t.Helper()
	at := own.address(t)
	args := []string{
		"proxy", "--domain", "b.test", "--registrar", "--listen", "udp:" + at + ":5060", "--listen", proto + ":" + at + ":5060",
		"--format", "json", "--pcap", "own.pcapng",
	}
	if recordRoute {
		args = append(args, "--record-route")
	}
	o := ours(t, "proxy at", args...)
	bob := openWebPhone(t, proto+"://"+at+":5060", "bob", anyCertificate())
	bob.register()

	alice := runAgent(t, "call", "sip:bob@b.test", "--host", "b.test="+at, "--listen", "udp:"+own.address(t)+":0", "--from", "sip:alice@b.test",
		"--talk", "-1s", "--pcap", "own.pcapng")
	invite := bob.gets("INVITE sip:bob@" + bob.name)
	bob.answer(invite, "180 Ringing", "", bob.contact())
	alice.tells("ringing", 1)
	bob.answer(invite, "200 OK", browserSDP, bob.contact(), "Content-Type: application/sdp")
	bob.gets("ACK sip:bob@" + bob.name)
	from, to := headerOf(invite, "From"), headerOf(invite, "To")+";tag=bob"
	target := between(headerOf(invite, "Contact"))
	bye := []string{
		"BYE " + target + " SIP/2.0", "Via: SIP/2.0/" + bob.via + " " + bob.name + ";branch=z9hG4bKbye", "Max-Forwards: 70",
		"From: " + to, "To: " + from, "Call-ID: " + headerOf(invite, "Call-ID"), "CSeq: 1 BYE",
	}
	if route := headerOf(invite, "Record-Route"); route != "" {
		bye = append(bye, "Route: "+route)
	} else if recordRoute {
		t.Errorf("no Record-Route:\n%s", invite)
	}
	bob.send("", bye...)
	bob.gets("SIP/2.0 200")
	alice.end(0)
	if e := alice.tells("ended", 1); e.Cause != "bye" || e.By != "them" {
		t.Errorf("%+v", e)
	}

	// given up while it rings
	alice = runAgent(t, "call", "sip:bob@b.test", "--host", "b.test="+at, "--listen", "udp:"+own.address(t)+":0", "--from", "sip:alice@b.test",
		"--ring", "200ms")
	invite = bob.gets("INVITE ")
	bob.answer(invite, "180 Ringing", "", bob.contact())
	cancel := bob.gets("CANCEL ")
	bob.answer(cancel, "200 OK", "")
	bob.answer(invite, "487 Request Terminated", "")
	bob.gets("ACK ")
	alice.end(1)

	// its turn
	carol := openWebPhone(t, proto+"://"+at+":5060", "carol", anyCertificate())
	carol.register()
	bob.request("MESSAGE", "sip:carol@b.test", "<sip:carol@b.test>", "message", "hi there", "Content-Type: text/plain")
	text := carol.gets("MESSAGE sip:carol@" + carol.name)
	if !strings.HasSuffix(text, "\r\n\r\nhi there") {
		t.Errorf("%s", text)
	}
	carol.answer(text, "200 OK", "")
	bob.gets("SIP/2.0 200")

	// gone: its connection is closed, and with it all that was bound to it
	_ = carol.conn.Close(websocket.StatusNormalClosure, "")
	bob.request("MESSAGE", "sip:carol@b.test", "<sip:carol@b.test>", "message2", "still there?", "Content-Type: text/plain")
	if text = bob.gets("SIP/2.0"); strings.HasPrefix(text, "SIP/2.0 2") {
		t.Errorf("%s", text)
	}
	o.stop(syscall.SIGINT, 0)
	sameAsTshark(t, o.path("own.pcapng"))
}

// between is the URI of an address.
func between(address string) string {
	_, uri, _ := strings.Cut(address, "<")
	uri, _, _ = strings.Cut(uri, ">")
	return uri
}

// Two user agents of ours, both behind WebSockets of our proxy: neither can be reached but by its own connection.
func TestAgentsOverWebSocket(t *testing.T) {
	t.Parallel()
	dir, at := t.TempDir(), own.address(t)
	writePEM(t, dir, "b.test")
	o := launchIn(t, dir, nil, "sipscope", "proxy", "--domain", "b.test", "--registrar", "--user", "alice:"+password, "--user", "bob:"+password,
		"--listen", "ws:"+at+":5060", "--listen", "wss:"+at+":5061", "--tls-cert", "cert.pem", "--tls-key", "key.pem",
		"--format", "none", "--pcap", "own.pcapng")
	o.says("proxy at")
	agent := func(user string, args ...string) *peer {
		return runAgent(t, append(args, "--from", "sip:"+user+"@b.test", "--host", "b.test="+at, "--tls-ca", o.path("cert.pem"),
			"--pcap", "own.pcapng")...)
	}
	for _, side := range fewer([2]string{"5060;transport=ws", "5061;transport=wss"}, [2]string{"5061;transport=wss", "5060;transport=ws"}) {
		bob := agent("bob", "answer", "--listen", "tcp:127.0.0.1:0", "--registrar", "sip:b.test:"+side[0], "--calls", "2",
			"--media", "echo", "--talk", "1s")
		bob.tells("registered", 1)
		alice := agent("alice", "call", "sip:bob@b.test:"+side[1], "--listen", "tcp:127.0.0.1:0", "--talk", "500ms",
			"--hold", "100ms", "--resume", "200ms")
		alice.end(0)
		alice.tells("modified", 2)
		alice.never("refused")
		if e := alice.tells("media", 1); e.Sent < 10 || e.Received < 5 || e.Lost != 0 {
			t.Errorf("%+v", e)
		}
		alice = agent("alice", "call", "sip:bob@b.test:"+side[1], "--listen", "tcp:127.0.0.1:0", "--talk", "-1s", "--media", "none")
		alice.end(0)
		if e := alice.tells("ended", 1); e.Cause != "bye" || e.By != "them" {
			t.Errorf("%+v", e)
		}
		bob.end(0)
	}
	o.stop(syscall.SIGINT, 0)
	sameAsTshark(t, o.path("own.pcapng"))
}
