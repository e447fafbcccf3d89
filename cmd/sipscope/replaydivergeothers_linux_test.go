package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// liveCaller is what the recorded caller did.
const liveCaller = "*INVITE ?100 <180 <200 *ACK ..150 *BYE <200"

// startCaller starts a SIPp that calls once.
func startCaller(t *testing.T, from, to, scenario string) *sippPeer {
	t.Helper()
	host := strings.TrimSuffix(from, ":5060")
	p := &sippPeer{at: from, peer: launch(t, need(t, "sipp", "sip-tester"),
		"-sf", scenario, "-i", host, "-p", "5060", "-ci", host, "-cp", strconv.Itoa(8000+os.Getpid()%1000), "-bind_local", "-nostdin",
		"-skip_rlimit", "-trace_stat", "-stf", "stat.csv", "-fd", "60", "-trace_err", "-error_file", "errors.log", "-timeout", "40s",
		"-timeout_error", "-trace_msg", "-message_file", "messages.log", "-m", "1", to)}
	t.Cleanup(func() {
		for _, name := range []string{"errors.log", "messages.log"} {
			if text, err := os.ReadFile(p.path(name)); err == nil && t.Failed() {
				t.Logf("%s: %s", name, tail(string(text), 6000))
			}
		}
	})
	return p
}

// SIPp calls, and does otherwise than recorded.
func TestReplayDivergesUAS(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	bob, alice := divergeNet.address(t)+":5060", divergeNet.address(t)+":5060"
	u := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+bob, "--media", "silence", "--ring", "30ms", "--delay", "100ms", "--pcap", "call.pcapng")
	startCaller(t, alice, bob, liveSIPp(t, liveCaller)).placed(1)
	u.stop(syscall.SIGINT, 0)
	recording := u.path("call.pcapng")
	begin := func(t *testing.T, tt divergence) func(t *testing.T) {
		t.Helper()
		alice, bob := divergeNet.address(t)+":5060", divergeNet.address(t)+":5060"
		p := replayAt(t, recording, append([]string{"--sut", alice, "--sut-is", "alice", "--bind", "bob=" + bob}, tt.args...)...)
		var s *sippPeer
		if tt.live != "none" {
			if tt.live == "" {
				tt.live = liveCaller
			}
			p.bound("udp", bob)
			s = startCaller(t, alice, bob, liveSIPp(t, tt.live, tt.edits...))
		}
		return func(t *testing.T) { t.Helper(); tt.judge(t, p, s) }
	}
	for _, tt := range [...]divergence{
		{name: "nothing", says: "SAME"},
		{
			name: "codec", edits: []string{"RTP/AVP 0 8", "RTP/AVP 9", "a=rtpmap:8 PCMA/8000\n", "", "0 PCMU", "9 G722"}, code: 1,
			says: "codec G722 instead of PCMU, PCMA, in the INVITE",
		},
		{name: "no Supported", edits: []string{"Supported: timer, replaces\n", ""}, code: 1, says: "header Supported is missing in the INVITE"},
		{name: "CANCEL", live: "*INVITE ?100 <180 *CANCEL <200 <487 *FAILED", code: 1, says: "INVITE was cancelled after "},
		{name: "another request", live: "*INVITE ?100 <180 <200 *ACK *BREW <480 *BYE <200", code: 1, says: "extra BREW from alice to bob"},
		{name: "another caller", edits: []string{"alice@a.example", "carol@c.example"}, code: 1, says: "header From is <sip:carol@c.example>, was <sip:alice@a.example>, in the INVITE"},
		{name: "another callee", edits: []string{"sip:bob@[remote_ip]", "sip:carol@[remote_ip]"}, code: 1, says: "Request-URI sip:carol@"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			begin(t, tt)(t)
		})
	}
	waiting := [...]divergence{
		{
			name: "no ACK", live: "*INVITE ?100 <180 <200 BYE =200", args: []string{"--patience", "3s", "--t1", "20ms"}, code: 1,
			says: "ACK from alice to bob is missing", report: []string{"BYE from bob to alice is added"},
		},
		{
			name: "gone", live: "*INVITE ?100 <180 <200", args: []string{"--patience", "3s", "--t1", "20ms"}, code: 1,
			says: "ACK from alice to bob is missing", report: []string{"200 to INVITE to alice could not be sent", "icmp: connection refused"},
		},
		{name: "no BYE", live: "*INVITE ?100 <180 <200 *ACK BYE =200", args: []string{"--patience", "3s"}, code: 1, says: "BYE from alice to bob is missing"},
		{name: "no call", live: "none", args: []string{"--patience", "500ms"}, code: 1, says: "INVITE from alice to bob is missing", report: []string{"nothing came within "}},
	}
	var checks []func(t *testing.T)
	for _, tt := range waiting {
		checks = append(checks, begin(t, tt))
	}
	for i, tt := range waiting {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checks[i](t)
		})
	}
}

// tcpPeer is a callee that goes away: serve says what it does with its connections, the last of them with all further ones.
// A connection is closed when it is through.
func tcpPeer(t *testing.T, at string, serve ...func(c *tcpCall)) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve[min(i, len(serve)-1)](&tcpCall{c: c, r: bufio.NewReader(c)})
			_ = c.Close()
		}
	}()
}

// tcpCall is a connection on which a call comes.
type tcpCall struct {
	c     net.Conn
	r     *bufio.Reader
	asked map[string]string // headers
	tag   string            // of To
}

// receive waits for a request and gives its method; "" when there is none.
func (c *tcpCall) receive() string {
	_ = c.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	line, err := c.r.ReadString('\n')
	headers := map[string]string{}
	for err == nil {
		var h string
		if h, err = c.r.ReadString('\n'); err != nil || h == "\r\n" {
			break
		}
		name, value, _ := strings.Cut(h, ":")
		headers[name] = strings.TrimSpace(value)
	}
	if err != nil {
		return ""
	}
	n, _ := strconv.Atoi(headers["Content-Length"])
	_, _ = io.CopyN(io.Discard, c.r, int64(n))
	method, _, _ := strings.Cut(line, " ")
	c.asked = headers
	return method
}

// answer answers what came last.
func (c *tcpCall) answer(status string) {
	h := c.asked
	text := "SIP/2.0 " + status + " " + livePhrases[status] + "\r\nVia: " + h["Via"] + "\r\nFrom: " + h["From"] + "\r\nTo: " + h["To"]
	if !strings.Contains(h["To"], "tag=") && status != "100" {
		text += ";tag=live" + c.tag
	}
	text += "\r\nCall-ID: " + h["Call-ID"] + "\r\nCSeq: " + h["CSeq"] + "\r\n"
	body := ""
	if strings.HasSuffix(h["CSeq"], "INVITE") && status == "200" {
		body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
		text += "Content-Type: application/sdp\r\n"
	}
	if strings.HasSuffix(h["CSeq"], "INVITE") && status != "100" {
		at := c.c.LocalAddr().String()
		text += "Record-Route: <sip:" + at + ";transport=tcp;lr>\r\nContact: <sip:bob@" + at + ";transport=tcp>\r\n"
	}
	_, _ = io.WriteString(c.c, text+fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))+body)
}

// The live side ends its connection, never takes one, or sends what is no SIP.
func TestReplayDivergesTCP(t *testing.T) {
	t.Parallel()
	ringing := func(c *tcpCall) {
		c.receive()
		c.answer("100")
		c.answer("180")
	}
	answered := func(c *tcpCall) {
		ringing(c)
		time.Sleep(50 * time.Millisecond)
		c.answer("200")
		c.receive()
	}
	whole := func(c *tcpCall) {
		answered(c)
		c.receive()
		c.answer("200")
		c.receive()
	}
	at := divergeNet.address(t) + ":5060"
	tcpPeer(t, at, whole)
	u := ours(t, "", "ua", "call", "sip:bob@"+at+";transport=tcp", "--from", "sip:alice@a.example", "--listen",
		"tcp:"+divergeNet.address(t)+":5060", "--media", "silence", "--talk", "200ms", "--pcap", "call.pcapng")
	u.end(0)
	type row struct {
		divergence

		serve []func(c *tcpCall) // of each connection
	}
	rows := [...]row{
		{divergence{name: "nothing", says: "SAME"}, []func(*tcpCall){whole}},
		{divergence{name: "refused", code: 1, says: "INVITE from alice to bob was not sent; bob refused the TCP connection"}, nil},
		{divergence{name: "closed at once", code: 1, says: "no answer to INVITE, expected 180 then 200; bob "}, []func(*tcpCall){func(*tcpCall) {}}},
		{
			divergence{name: "closed after INVITE", code: 1, says: "no answer to INVITE, expected 180 then 200; bob closed the TCP connection"},
			[]func(*tcpCall){func(c *tcpCall) { c.receive() }},
		},
		{
			divergence{name: "closed before the answer", code: 1, says: "180 was the last, expected 200; bob closed the TCP connection"},
			[]func(*tcpCall){ringing, cancelled},
		},
		{
			divergence{name: "reset before the answer", code: 1, says: "180 was the last, expected 200; bob broke off the TCP connection"},
			[]func(*tcpCall){func(c *tcpCall) { ringing(c); _ = c.c.(*net.TCPConn).SetLinger(0) }, cancelled}, //nolint:forcetypeassert // it is one
		},
		{
			divergence{name: "answers over another connection after the answer", report: []string{"bob closed the TCP connection"}, says: "SAME"},
			[]func(*tcpCall){answered, func(c *tcpCall) { c.receive(); c.answer("200"); c.receive() }},
		},
		{
			divergence{name: "no SIP", code: 1, says: "180 was the last, expected 200; bob sent over TCP what is no SIP"},
			[]func(*tcpCall){func(c *tcpCall) {
				ringing(c)
				_, _ = io.WriteString(c.c, "HTTP/1.0 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
				c.receive()
			}, cancelled},
		},
		{
			divergence{
				name: "another 200", code: 1, says: "extra 200 OK, of another dialog: it has another To tag",
				report: []string{"ACK from alice to bob is added", "BYE from alice to bob is added"},
			},
			[]func(*tcpCall){func(c *tcpCall) {
				ringing(c)
				c.answer("200")
				c.tag = "fork"
				c.answer("200")
				for method := c.receive(); method != ""; method = c.receive() {
					if method == "BYE" {
						c.answer("200")
					}
				}
			}},
		},
		{
			divergence{name: "half an answer", code: 1, says: "180 was the last, expected 200; bob closed the TCP connection"},
			[]func(*tcpCall){func(c *tcpCall) { ringing(c); _, _ = io.WriteString(c.c, "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP") }, cancelled},
		},
	}
	var peers []*peer
	for _, tt := range rows {
		at := divergeNet.address(t) + ":5060"
		if tt.serve != nil {
			tcpPeer(t, at, tt.serve...)
		}
		args := []string{"--sut", at, "--bind", "alice=tcp:" + divergeNet.address(t) + ":5060"}
		if tt.code != 0 {
			args = append(args, inVain...)
		}
		peers = append(peers, replayAt(t, u.path("call.pcapng"), args...))
	}
	for i, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.judge(t, peers[i], nil)
		})
	}
}

// cancelled is how a call is cancelled over a connection of its own.
func cancelled(c *tcpCall) {
	if c.receive() == "CANCEL" {
		c.answer("200")
	}
	c.receive()
}

// Nobody listens at a UDP port: the kernel says so by ICMP.
func TestReplayDivergesICMP(t *testing.T) {
	t.Parallel()
	recording := recordCall(t, "udp", liveCall)
	tt := divergence{code: 1, says: "no answer to INVITE, expected 180 then 200; ", report: []string{"icmp: connection refused"}}
	tt.judge(t, replayAt(t, recording, "--sut", divergeNet.address(t)+":5060", "--bind", "alice="+divergeNet.address(t)+":5060"), nil)
}

// The live side is an element of ours, with faults; the recordings are flows in virtual time. Stopped, it has nothing left to
// end.
func TestReplayDivergesOurs(t *testing.T) {
	t.Parallel()
	const answers = "ua answer --from sip:bob@b.com --t1 50ms --media none --ring 40ms --delay 120ms"
	const registrar = "registrar --domain iptel.org"
	jan := []string{"--cred", "iptel.org:jan:secret"}
	var begun []func(t *testing.T)
	var names []string
	for scenario, list := range map[string][]divergence{
		"transactions": {
			{name: "nothing", live: answers},
			{name: "declined", code: 1, says: "expected 200; got 603 Decline", live: answers + " --code 603"},
			{name: "redirected", code: 1, says: "got 302 Moved Temporarily; Contact <sip:carol@192.0.2.9>", live: answers + " --redirect sip:carol@192.0.2.9"},
			{name: "503", code: 1, says: "expected 180 then 200; got 503 Service Unavailable", live: answers + " --fault answer=503@INVITE"},
			{name: "no Contact", code: 1, says: "header Contact is missing in the 200", live: answers + " --fault mangle-out=Contact:remove@s200"},
			{
				name: "200 lost", code: 1, args: inVain, says: "no final response to INVITE within ", report: []string{"180 was the last", "CANCEL from alice to bob is added"},
				live: answers + " --fault drop-out=INVITE@s200",
			},
			{name: "180 lost", report: []string{"180 to INVITE is missing"}, live: answers + " --fault drop-out=s180"},
			{name: "INVITE lost", code: 1, args: inVain, says: ", expected 180 then 200", report: []string{"no answer to INVITE within "}, live: answers + " --fault drop-in=INVITE"},
			{name: "INVITE lost once", report: []string{"sent again"}, live: answers + " --fault drop-in=INVITE@1"},
			{name: "BYE lost", code: 1, args: inVain, says: "no answer to BYE within ", live: answers + " --fault drop-in=BYE"},
			{name: "200 twice", live: answers + " --fault duplicate-out=s200"},
			{name: "hangs up", code: 1, args: []string{"--speed", "1"}, says: "extra BYE from bob to alice", live: answers + " --talk 30ms"},
			{name: "another Call-ID", code: 1, says: "extra 200 OK, which answers no request", live: answers + " --fault mangle-out=Call-ID@INVITE@s200@1"},
			{name: "two Vias", code: 1, says: "header Via has SIP/2.0/UDP", live: answers + " --fault mangle-out=Via:duplicate@INVITE@s200"},
		},
		"invite-reliable": {
			{
				name: "PRACK not required", code: 1, live: answers, says: "PRACK from alice to bob was not sent: no reliable provisional response came",
				report: []string{"180 Ringing is not reliable, as it was in the recording"},
			},
			{name: "PRACK refused", code: 1, says: "expected 200 to PRACK; got 481 ", live: answers + " --reliably --fault answer=481@PRACK"},
		},
		"register": {
			{name: "nothing", args: jan, live: registrar + " --user jan:secret"},
			{name: "wrong password", code: 1, args: []string{"--cred", "iptel.org:jan:guess"}, says: "expected 200 to REGISTER; got 403 Forbidden", live: registrar + " --user jan:secret"},
			{
				name: "no password", code: 3, says: `REGISTER from jan to registrar was not sent; no challenge that can be answered: realm "iptel.org"`,
				report: []string{`asks user "jan" for a password; --cred`}, live: registrar + " --user jan:secret",
			},
			{name: "no challenge", report: []string{"-auth: no 401 came"}, live: registrar},
			{name: "another domain", code: 1, says: "expected 401 to REGISTER; got 404 Domain Not Served Here", live: "registrar --domain example.com"},
			{name: "forbidden", code: 1, args: jan, says: "expected 200 to REGISTER; got 403 Forbidden", live: registrar + " --user jan:secret --fault answer=403@REGISTER@2-"},
		},
	} {
		recording := filepath.Join(t.TempDir(), scenario+".pcapng")
		out, err := exec.CommandContext(t.Context(), "sipscope", "scenario", scenario, "--virtual", "-O", recording).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, tt := range list {
			at := divergeNet.address(t) + ":5060"
			s := ours(t, " at ", append(strings.Fields(tt.live), "--listen", "udp:"+at, "--format", "none")...)
			p := replayAt(t, recording, append([]string{"--sut", at, "--speed", "10"}, tt.args...)...)
			names = append(names, scenario+"/"+tt.name)
			begun = append(begun, func(t *testing.T) {
				t.Helper()
				tt.judge(t, p, nil)
				s.stop(syscall.SIGINT, 0)
				if lost := tt.name == "BYE lost" || tt.name == "200 lost"; !lost && strings.Contains(s.err.String(), "ending what is open") {
					t.Error("a call was left")
				}
			})
		}
	}
	for i, check := range begun {
		t.Run(names[i], func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
}
