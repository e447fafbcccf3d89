package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// divergeNet is the range of these tests.
var divergeNet = peerNet{127, 72}

// liveSIPp writes what a SIPp that is called does, from words:
//
//	INVITE ACK BYE CANCEL PRACK   it waits for this request
//	100 180 200 404 ...           it answers the INVITE; 200 has SDP
//	=200 =481 ...                 it answers the request that came last
//	>BYE >INVITE >CANCEL >ACK     it sends a request of the dialog
//	<200                          it waits for this response to its own
//	..50                          it waits so many ms
//
// edits are pairs: what of the text is something else.
func liveSIPp(t *testing.T, words string, edits ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"live\">\n")
	for word := range strings.FieldsSeq(words) {
		b.WriteString(liveWord(word) + "\n")
	}
	if strings.Contains(b.String(), "assign_to") {
		b.WriteString("<Reference variables=\"via,from,to,cseq\"/>\n")
	}
	b.WriteString("</scenario>\n")
	text := b.String()
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(text, edits[i]) {
			t.Fatalf("nothing to change: %q in\n%s", edits[i], text)
		}
		text = strings.ReplaceAll(text, edits[i], edits[i+1])
	}
	path := filepath.Join(t.TempDir(), "live.xml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const liveSDP = `Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 6000 RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=ptime:20
a=sendrecv
`

// liveWord is the XML of a word of liveSIPp.
func liveWord(word string) string {
	switch {
	case word == "INVITE":
		return `<recv request="INVITE" rrs="true"><action>
<ereg regexp="Via: [^[:cntrl:]]*" search_in="msg" assign_to="via"/>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>
<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>
<ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq"/>
</action></recv>`
	case strings.HasPrefix(word, ".."):
		return `<pause milliseconds="` + word[2:] + `"/>`
	case word[0] == '<':
		return `<recv response="` + word[1:] + `" rrs="true"/>`
	case word[0] == '?':
		return `<recv response="` + word[1:] + `" optional="true"/>`
	case word[0] == '*':
		return liveCalls(word[1:])
	case word[0] == '>':
		return liveAsks(word[1:])
	case word[0] == '=':
		return liveSend("", "SIP/2.0 "+word[1:]+" "+livePhrases[word[1:]]+"\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n"+liveNoBody)
	case word == "garbage":
		return liveSend("", "A nothing that anybody knows\nVia: \n\n")
	case word == "404stray":
		return liveSend("", "SIP/2.0 404 Not Found\nVia: SIP/2.0/[transport] 192.0.2.1:5060;branch=z9hG4bKnobody\nFrom:[$from]\nTo:[$to];tag=else\n"+
			"[last_Call-ID:]\nCSeq: 7 MESSAGE\n"+liveNoBody)
	case word[0] >= '1' && word[0] <= '6':
		return liveAnswers(word[:3], word[3:])
	default:
		return `<recv request="` + word + `"/>`
	}
}

// Parts of what liveSIPp writes.
const (
	liveContact   = "Contact: <sip:bob@[local_ip]:[local_port]>\n"
	liveRoute     = "Record-Route: <sip:[local_ip]:[local_port];lr>\n"
	liveChallenge = "WWW-Authenticate: Digest realm=\"sipp\", nonce=\"47ebe028cda119c3\", algorithm=MD5, qop=\"auth\"\n"
	liveNoBody    = "Content-Length: 0\n\n"
	liveAgain     = ` retrans="500"` // of what is sent again
)

// liveSend is the XML that sends a text.
func liveSend(attributes, text string) string {
	return "<send" + attributes + "><![CDATA[\n" + text + "\n]]></send>"
}

// liveAnswers is the XML of a response to the INVITE; kind is "sdp" of a 1xx that has it, "bare" of a 2xx that has not.
func liveAnswers(code, kind string) string {
	text := "SIP/2.0 " + code + " " + livePhrases[code] + "\n[$via]\nFrom:[$from]\nTo:[$to];tag=live[call_number]\n[last_Call-ID:]\nCSeq:[$cseq]\n"
	switch {
	case code == "100":
		return liveSend("", text+liveNoBody)
	case code[0] == '1' && kind == "sdp":
		return liveSend("", text+liveRoute+liveContact+liveSDP)
	case code[0] == '1':
		return liveSend("", text+liveRoute+liveContact+liveNoBody)
	case code[0] != '2':
		return liveSend(liveAgain, text+liveNoBody)
	}
	text += liveRoute + liveContact + "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\nSupported: timer, replaces\nAllow-Events: talk\n"
	if kind == "bare" {
		return liveSend(liveAgain, text+liveNoBody)
	}
	return liveSend(liveAgain, text+liveSDP)
}

// liveAsks is the XML of a callee's request.
func liveAsks(method string) string {
	branch, body := "[branch]", liveNoBody
	switch method {
	case "ACK": // of a failure two messages ago
		branch = "[branch-2]"
	case "INVITE":
		body = liveSDP
	}
	return liveSend(liveAgain, method+" [next_url] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch="+branch+"\nMax-Forwards: 70\n"+
		"From:[$to];tag=live[call_number]\nTo:[$from]\n[last_Call-ID:]\nCSeq: 1 "+method+"\n"+liveContact+body)
}

// liveCalls is the XML of a caller's request; FAILED is the ACK of a failure.
func liveCalls(method string) string {
	to, branch, cseq, uri := "[peer_tag_param]", "[branch]", "1", "[next_url]"
	switch method {
	case "INVITE", "CANCEL":
		to, branch, uri = "", "z9hG4bKlive[call_number]", "sip:bob@[remote_ip]:[remote_port]"
	case "FAILED":
		method, branch, uri = "ACK", "z9hG4bKlive[call_number]", "sip:bob@[remote_ip]:[remote_port]"
	case "ACK":
	default:
		cseq = "2"
	}
	text := method + " " + uri + " SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=" + branch + "\nMax-Forwards: 70\n" +
		"From: <sip:alice@a.example>;tag=live[call_number]\nTo: <sip:bob@b.example>" + to + "\nCall-ID: [call_id]\nCSeq: " + cseq + " " + method + "\n"
	switch method {
	case "INVITE":
		return liveSend(liveAgain, text+"Contact: <sip:alice@[local_ip]:[local_port]>\nSupported: timer, replaces\n"+liveSDP)
	case "ACK":
		return liveSend("", text+liveNoBody)
	}
	return liveSend(liveAgain, text+liveNoBody)
}

// livePhrases are those of responses.
var livePhrases = map[string]string{
	"100": "Trying", "180": "Ringing", "183": "Session Progress", "200": "OK", "302": "Moved Temporarily", "401": "Unauthorized",
	"404": "Not Found", "407": "Proxy Authentication Required", "480": "Temporarily Unavailable", "481": "No Such Call",
	"486": "Busy Here", "487": "Request Terminated", "488": "Not Acceptable Here", "503": "Service Unavailable",
	"202": "Something",
}

// liveCall is what the recorded callee did.
const liveCall = "INVITE 100 ..40 180 ..80 200 ACK BYE =200"

// startLive starts a SIPp with a scenario of liveSIPp.
func startLive(t *testing.T, network, at, scenario string) *sippPeer {
	t.Helper()
	host := strings.TrimSuffix(at, ":5060")
	args := []string{
		"-sf", scenario, "-i", host, "-p", "5060", "-ci", host, "-cp", strconv.Itoa(8000 + os.Getpid()%1000), "-bind_local", "-nostdin",
		"-skip_rlimit", "-trace_stat", "-stf", "stat.csv", "-fd", "60", "-trace_err", "-error_file", "errors.log", "-timeout", "40s",
		"-timeout_error", "-trace_msg", "-message_file", "messages.log",
	}
	if network == "tcp" {
		args = append(args, "-t", "t1")
	}
	p := &sippPeer{at: at, peer: launch(t, need(t, "sipp", "sip-tester"), args...)}
	t.Cleanup(func() {
		for _, name := range []string{"errors.log", "messages.log"} {
			if text, err := os.ReadFile(p.path(name)); err == nil && t.Failed() {
				t.Logf("%s: %s", name, tail(string(text), 6000))
			}
		}
	})
	p.bound(network, at)
	return p
}

// recordCall records a call of our user agent with a SIPp.
func recordCall(t *testing.T, network, words string, args ...string) string {
	t.Helper()
	at := divergeNet.address(t) + ":5060"
	s := startLive(t, network, at, liveSIPp(t, words))
	all := append([]string{
		"ua", "call", "sip:bob@" + at + ";transport=" + network, "--from", "sip:alice@a.example", "--listen",
		network + ":" + divergeNet.address(t) + ":5060", "--media", "silence", "--talk", "200ms", "--pcap", "call.pcapng",
	}, args...)
	u := ours(t, "", all...)
	u.end(0)
	s.served(1)
	return u.path("call.pcapng")
}

// divergence is what a live side does otherwise than recorded, and what the report says.
type divergence struct {
	name   string
	live   string   // words of liveSIPp, or a command of ours; "": as recorded
	edits  []string // pairs
	args   []string // of replay
	code   int
	says   string   // in the first line
	report []string // in the report
}

// inVain is for what never comes; where nothing is waited for in vain a busy machine must have time.
var inVain = []string{"--patience", "600ms", "--t1", "20ms"}

// replayAt starts the replay of a recording. Where a recorded wait of 100 ms takes a second, a busy machine is to blame.
func replayAt(t *testing.T, recording string, args ...string) *peer {
	t.Helper()
	return ours(t, "", append([]string{
		"replay", recording, "--yes", "--media", "off", "--late-min", "5s", "--width", "200", "-O", "live.pcapng",
	}, args...)...)
}

// mostTime is how long a replay may take in which nothing comes any more: 64*T1 and some.
const mostTime = 20 * time.Second

// judge waits for the end of a replay and looks at what it says, and at what a SIPp says when there is one.
func (tt *divergence) judge(t *testing.T, p *peer, s *sippPeer) {
	t.Helper()
	begun := time.Now()
	p.ends()
	if d := time.Since(begun); d > mostTime {
		t.Errorf("it took %v", d)
	}
	code, out := p.cmd.ProcessState.ExitCode(), p.out.String()
	if s != nil {
		s.served(1)
	}
	if code != tt.code {
		t.Errorf("exit code %d, want %d", code, tt.code)
	}
	first, _, _ := strings.Cut(out, "\n")
	word := map[bool]string{true: "DIFFERS at row ", false: "TOLERATED: same"}[tt.code != 0]
	if tt.says == "SAME" {
		word = ""
	}
	if !strings.HasPrefix(first, word) || !strings.Contains(first, tt.says) {
		t.Errorf("the first line is %q, want %q and %q", first, word, tt.says)
	}
	for _, text := range tt.report {
		if !strings.Contains(out, text) {
			t.Errorf("the report lacks %q:\n%s", text, out)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// begin starts a SIPp and a replay against it, and gives what judges them.
func (tt *divergence) begin(t *testing.T, network, recording string) func(t *testing.T) {
	t.Helper()
	if tt.live == "" {
		tt.live = liveCall
	}
	at := divergeNet.address(t) + ":5060"
	s := startLive(t, network, at, liveSIPp(t, tt.live, tt.edits...))
	p := replayAt(t, recording, append([]string{"--sut", at, "--bind", "alice=" + network + ":" + divergeNet.address(t) + ":5060"}, tt.args...)...)
	return func(t *testing.T) { t.Helper(); tt.judge(t, p, s) }
}

// SIPp is called, and does otherwise than recorded: that is named in the first line, and SIPp counts a call that ended as its
// scenario says, by BYE or CANCEL.
func TestReplayDiverges(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	recording := recordCall(t, "udp", liveCall)
	for _, tt := range [...]divergence{
		{name: "nothing", says: "SAME"},

		// Another final response.
		{name: "486", live: "INVITE 100 ..40 180 ..40 486 ACK", code: 1, says: "expected 200; got 486 Busy Here"},
		{
			name: "488", live: "INVITE 488 ACK", code: 1,
			says: "expected 180 then 200; got 488 Not Acceptable Here; the offer's codecs were PCMU, PCMA, telephone-event",
		},
		{name: "404", live: "INVITE 404 ACK", code: 1, says: "expected 180 then 200; got 404 Not Found"},
		{name: "503", live: "INVITE 503 ACK", code: 1, says: "expected 180 then 200; got 503 Service Unavailable"},
		{
			name: "302", live: "INVITE 302 ACK", edits: []string{"302 Moved Temporarily\n", "302 Moved Temporarily\nContact: <sip:carol@192.0.2.9>\n"},
			code: 1, says: "got 302 Moved Temporarily; Contact <sip:carol@192.0.2.9>",
		},
		{name: "202", live: "INVITE 100 ..40 180 ..80 202 ACK BYE =200", code: 1, says: "expected 200; got 202"},
		{name: "202 of that class", live: "INVITE 100 ..40 180 ..80 202 ACK BYE =200", args: []string{"--final", "class"}, report: []string{"202 Something instead of 200"}},
		{name: "486 for any", live: "INVITE 100 ..40 180 ..40 486 ACK", args: []string{"--final", "any"}, report: []string{"486 Busy Here instead of 200"}},
		{name: "481 to BYE", live: "INVITE 100 ..40 180 ..80 200 ACK BYE =481", code: 1, says: "expected 200 to BYE; got 481 No Such Call"},

		// Headers.
		{name: "no Supported", edits: []string{"Supported: timer, replaces\n", ""}, code: 1, says: "header Supported is missing in the 200"},
		{name: "no Allow", edits: []string{"Allow: INVITE, ACK, BYE, CANCEL, OPTIONS\n", ""}, code: 1, says: "header Allow is missing in the 200"},
		{name: "no Contact", edits: []string{liveContact + "Allow", "Allow"}, code: 1, says: "header Contact is missing in the 200"},
		{name: "no Record-Route", edits: []string{liveRoute, ""}, code: 1, says: "header Record-Route is missing in the 180"},
		{name: "no Record-Route in the 200", edits: []string{liveRoute + liveContact + "Allow", liveContact + "Allow"}, code: 1, says: "header Record-Route is missing in the 200"},
		{name: "another value", edits: []string{"Allow-Events: talk", "Allow-Events: hold"}, code: 1, says: "header Allow-Events is hold, was talk, in the 200"},
		{name: "an option less", edits: []string{"Supported: timer, replaces", "Supported: timer"}, code: 1, says: "header Supported lacks replaces in the 200"},
		{name: "another order of options", edits: []string{"Supported: timer, replaces", "Supported: replaces,timer"}, says: "SAME"},
		{name: "an extra header", edits: []string{"Allow-Events: talk", "Allow-Events: talk\nX-Debug: yes"}, code: 1, says: "header X-Debug is extra: yes, in the 200"},
		{name: "an extra header ignored", edits: []string{"Allow-Events: talk", "Allow-Events: talk\nX-Debug: yes"}, args: []string{"--ignore", "x-debug"}, says: "SAME"},

		// Places: the recorded ones are replaced, others are named.
		{name: "a third Contact", edits: []string{liveContact + "Allow", "Contact: <sip:bob@192.0.2.77>\nAllow"}, code: 1, says: "header Contact is <sip:bob@192.0.2.77>"},
		{name: "another user's Contact", edits: []string{"<sip:bob@[local_ip]", "<sip:eve@[local_ip]"}, code: 1, says: "header Contact is <sip:eve@127."},
		{name: "a third Record-Route", edits: []string{liveRoute + liveContact + "Allow", "Record-Route: <sip:[local_ip]:[local_port];lr>, <sip:192.0.2.77;lr>\n" + liveContact + "Allow"}, code: 1, says: "header Record-Route has <sip:192.0.2.77;lr> in addition, in the 200"},
		{name: "media of a third", edits: []string{"c=IN IP4 [local_ip]", "c=IN IP4 192.0.2.77"}, code: 1, says: "media address 192.0.2.77, was 127."},
		{name: "the other version of IP", edits: []string{"c=IN IP4 [local_ip]", "c=IN IP6 [local_ip]"}, code: 1, says: "c=IN IP6 127."},
		{name: "a header twice", edits: []string{"Allow-Events: talk", "Allow-Events: talk\nAllow-Events: talk"}, code: 1, says: "header Allow-Events has talk in addition in the 200"},

		// Session descriptions.
		{name: "a codec less", edits: []string{"RTP/AVP 0 8", "RTP/AVP 0", "a=rtpmap:8 PCMA/8000\n", ""}, code: 1, says: "codec PCMA is missing in the 200"},
		{
			name: "another codec", edits: []string{"RTP/AVP 0 8", "RTP/AVP 9", "a=rtpmap:8 PCMA/8000\n", "", "0 PCMU", "9 G722"},
			code: 1, says: "codec G722 instead of PCMU, PCMA, in the 200",
		},
		{name: "codecs in another order", edits: []string{"RTP/AVP 0 8", "RTP/AVP 8 0"}, code: 1, says: "codec order PCMA, PCMU, was PCMU, PCMA, in the 200"},
		{name: "direction", edits: []string{"a=sendrecv", "a=sendonly"}, code: 1, says: "direction sendonly, was sendrecv, in the 200"},
		{name: "ptime", edits: []string{"ptime:20", "ptime:30"}, code: 1, says: "ptime 30, was 20, in the 200"},
		{name: "medium rejected", edits: []string{"m=audio 6000", "m=audio 0"}, code: 1, says: "medium audio is rejected (port 0) in the 200"},
		{name: "no SDP", live: "INVITE 100 ..40 180 ..80 200bare ACK BYE =200", code: 1, says: "SDP is missing in the 200"},
		{name: "SDP in the 180", live: "INVITE 100 ..40 180sdp ..80 200 ACK BYE =200", code: 1, says: "SDP is extra in the 180"},

		// Provisional responses.
		{name: "a 183 more", live: "INVITE 100 ..40 180 183 ..40 200 ACK BYE =200", report: []string{"183 to INVITE is extra", "extra 183 Session Progress"}},
		{
			name: "a 183 more, by rule", live: "INVITE 100 ..40 180 183 CANCEL =200 487 ACK", args: []string{"--provisional", "code"},
			code: 1, says: "extra 183 Session Progress",
		},
		{name: "no 180", live: "INVITE 100 ..120 200 ACK BYE =200", report: []string{"180 to INVITE is missing"}},
		{name: "no 180, by rule", live: "INVITE 100 ..120 200 ACK BYE =200", args: []string{"--provisional", "code"}, code: 1, says: "180 to INVITE is missing"},
		{name: "183 for 180", live: "INVITE 100 ..40 183 ..80 200 ACK BYE =200", report: []string{"expected 180 Ringing, got 183 Session Progress"}},
		{name: "no 100", live: "INVITE ..40 180 ..80 200 ACK BYE =200", report: []string{"100 to INVITE is missing"}},

		// Challenges.
		{
			name: "challenge", live: "INVITE 401 ACK", edits: []string{"401 Unauthorized\n", "401 Unauthorized\n" + liveChallenge},
			code: 1, says: `expected 180 then 200; got 401 Unauthorized; realm "sipp"`, report: []string{`user "alice" for a password; --cred`},
		},
		{
			name: "challenge, password", live: "INVITE 401 ACK " + liveCall, edits: []string{"401 Unauthorized\n", "401 Unauthorized\n" + liveChallenge},
			args: []string{"--cred", "sipp:alice:secret"}, report: []string{`+auth: 401 of realm "sipp" answered`, "header Authorization is extra\n"},
		},
		{
			name: "challenge, wrong password", live: "INVITE 401 ACK INVITE 401 ACK", edits: []string{"401 Unauthorized\n", "401 Unauthorized\n" + liveChallenge},
			args: []string{"--cred", "sipp:alice:guess"}, code: 1,
			says: `expected 180 then 200; got 401 Unauthorized; realm "sipp"; the credentials were not accepted`,
		},

		// What nobody expects.
		{name: "BYE", live: "INVITE 100 ..40 180 ..80 200 ACK >BYE <200", code: 1, says: "extra BYE from bob to alice"},
		{name: "re-INVITE", live: "INVITE 100 ..40 180 ..80 200 ACK >INVITE <488 >ACK BYE =200", code: 1, says: "extra re-INVITE from bob to alice"},
		{name: "CANCEL", live: "INVITE 100 ..40 180 >CANCEL <481 ..80 200 ACK BYE =200", code: 1, says: "extra CANCEL from bob to alice"},
		{
			name: "response to another transaction", live: "INVITE 100 ..40 180 ..40 404stray ..40 200 ACK BYE =200",
			code: 1, says: "extra 404 Not Found to MESSAGE, which answers no request",
		},
		{name: "garbage", live: "INVITE 100 ..40 180 ..40 garbage ..40 200 ACK BYE =200", says: "SAME", report: []string{"1 datagram that came was no SIP"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.begin(t, "udp", recording)(t)
		})
	}
	late := []string{"--late", "2", "--late-min", "500ms"} // the recording may have taken its time, too
	var checks []func(t *testing.T)
	waiting := [...]divergence{
		{name: "no answer", live: "INVITE ..1200", args: inVain, code: 1, says: ", expected 180 then 200", report: []string{"no answer to INVITE within "}},
		{name: "100 alone", live: "INVITE 100 CANCEL =200 487 ACK", args: inVain, code: 1, says: "no answer to INVITE within "},
		{
			name: "rings for ever", live: "INVITE 100 ..40 180 CANCEL =200 487 ACK", args: inVain, code: 1,
			says: ", 180 was the last, expected 200; it was cancelled", report: []string{"CANCEL from alice to bob is added"},
		},
		{
			name: "answers when it is cancelled", live: "INVITE 100 ..40 180 CANCEL =200 200 ACK BYE =200", args: inVain, code: 1,
			says: ", 180 was the last, expected 200; it was cancelled, then 200",
		},
		{name: "late answer", live: "INVITE 100 ..40 180 ..2000 200 ACK BYE =200", args: late, code: 1, says: "200 after "},
		{name: "late answer tolerated", live: "INVITE 100 ..40 180 ..2000 200 ACK BYE =200", args: []string{"--late", "0"}, says: "SAME"},
		{name: "no answer to BYE", live: "INVITE 100 ..40 180 ..80 200 ACK BYE ..800", args: inVain, code: 1, says: "no answer to BYE within "},
	}
	for _, tt := range waiting { // all at once, since they take time, and nothing else
		checks = append(checks, tt.begin(t, "udp", recording))
	}
	for i, tt := range waiting {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checks[i](t)
		})
	}
}
