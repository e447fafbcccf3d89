package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sipscope/element/transport"
)

// own is the range of loopback addresses of these tests.
var own = peerNet{127, 70}

// password is what all users of the tests have.
const password = "secret"

// writePEM makes a certificate for names, for servers and for those who are to believe them: cert.pem and key.pem.
func writePEM(t *testing.T, dir string, names ...string) {
	t.Helper()
	cert, _, err := transport.SelfSigned(names...)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err = os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes a peer's configuration, with what the test knows for the words between @.
func fill(t *testing.T, from, to string, words ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "peers", from))
	if err != nil {
		t.Fatal(err)
	}
	if err = os.WriteFile(to, []byte(strings.NewReplacer(words...).Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
}

// told is an event of our elements, as --format json has it.
type told struct {
	event

	Sent     int `json:"rtp_sent"`
	Received int `json:"rtp_received"`
	Lost     int `json:"rtp_lost"`
}

// events are what an element of ours has told until now.
func (p *peer) events() []told {
	p.t.Helper()
	var all []told
	for line := range strings.Lines(p.out.String()) {
		var e told
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			p.t.Fatalf("%q: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// tells waits for the n-th event of a kind.
func (p *peer) tells(kind string, n int) told {
	p.t.Helper()
	var found told
	wait(p.t, fmt.Sprintf("event %q number %d of %s", kind, n, p.cmd), func() bool {
		seen := 0
		for _, e := range p.events() {
			if e.Event == kind {
				if seen++; seen == n {
					found = e
					return true
				}
			}
		}
		return false
	})
	return found
}

// never checks that an event of a kind was not told.
func (p *peer) never(kind string) {
	p.t.Helper()
	for _, e := range p.events() {
		if e.Event == kind {
			p.t.Errorf("%s told %+v", p.cmd, e)
		}
	}
}

// agentEnv are the variables of our agents.
func agentEnv() []string { return []string{"SIPSCOPE_PASSWORD=" + password} }

// runAgent starts "sipscope ua" with events as JSON.
func runAgent(t *testing.T, args ...string) *peer {
	t.Helper()
	p := launchIn(t, t.TempDir(), agentEnv(), "sipscope", append([]string{"ua"}, append(args, "--format", "json")...)...)
	p.name = strings.Join(args[:2], " ")
	return p
}

// kamailio is a registrar and proxy for k.test.
type kamailio struct {
	*peer

	host, port6, redirect string
}

// fewer leaves one of several variations out of a test that starts many programs, where that is slow.
func fewer[T any](all ...T) []T {
	if raceDetector {
		return all[:1]
	}
	return all
}

// newKamailio starts one, until the test ends.
func newKamailio(t *testing.T) *kamailio {
	t.Helper()
	path := need(t, "kamailio", "kamailio")
	for _, module := range []string{"tls", "websocket"} {
		if found, _ := filepath.Glob("/usr/lib/*/kamailio/modules/" + module + ".so"); len(found) == 0 {
			lacks(t, "Kamailio's module "+module+" is missing: install the package kamailio-"+module+"-modules")
		}
	}
	dir := t.TempDir()
	k := &kamailio{host: own.address(t), redirect: own.address(t), port6: free6(t)}
	writePEM(t, dir, "k.test", k.host) // its Record-Route names the address
	fill(t, "kamailio-tls.cfg", filepath.Join(dir, "tls.cfg"), "@DIR@", dir)
	fill(t, "kamailio.cfg", filepath.Join(dir, "kamailio.cfg"),
		"@DIR@", dir, "@HOST@", k.host, "@PORT6@", k.port6, "@REDIRECT@", k.redirect+":5060")
	k.peer = launchIn(t, dir, nil, path, "-f", "kamailio.cfg", "-DD", "-E", "-m", "64", "-M", "8", "-w", dir, "-Y", dir)
	t.Cleanup(func() { k.signal(syscall.SIGTERM); <-k.ended }) // or its children outlive it
	k.bound("udp", k.host+":5060")
	k.bound("tcp", k.host+":5061")
	k.bound("tcp", "[::1]:"+k.port6)
	return k
}

// free6 is a port of ::1 that nobody uses now.
func free6(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		lacks(t, fmt.Sprintf("there is no ::1: %v", err))
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// uri is how a user is called over a transport, "" for the domain.
func (k *kamailio) uri(user, proto string) string {
	at := "k.test"
	switch proto {
	case "ws": // which would be port 80
		at += ":5060"
	case "wss":
		at += ":5061"
	case "udp6", "tcp6":
		at = "[::1]:" + k.port6
		proto = proto[:3]
	}
	if user != "" {
		at = user + "@" + at
	}
	return "sip:" + at + ";transport=" + proto
}

// agent starts an agent that knows Kamailio.
func (k *kamailio) agent(t *testing.T, proto, user string, args ...string) *peer {
	t.Helper()
	listen := map[string]string{"ws": "tcp", "wss": "tcp", "udp6": "udp", "tcp6": "tcp"}[proto]
	if listen == "" {
		listen = proto
	}
	at := own.address(t)
	if strings.HasSuffix(proto, "6") {
		at = "[::1]"
	}
	return runAgent(t, append(args, "--listen", listen+":"+at+":0", "--from", "sip:"+user+"@k.test", "--host", "k.test="+k.host,
		"--tls-ca", k.path("cert.pem"), "--tls-cert", k.path("cert.pem"), "--tls-key", k.path("key.pem"), "--pcap", "own.pcapng")...)
}

// answering starts an agent that registers and answers.
func (k *kamailio) answering(t *testing.T, proto, user string, args ...string) *peer {
	t.Helper()
	p := k.agent(t, proto, user, append([]string{"answer", "--registrar", k.uri("", proto)}, args...)...)
	p.tells("registered", 1)
	return p
}

// calling starts an agent that calls.
func (k *kamailio) calling(t *testing.T, proto, from, to string, args ...string) *peer {
	t.Helper()
	return k.agent(t, proto, from, append([]string{"call", k.uri(to, proto)}, args...)...)
}

// messages gives those of a program's capture whose CSeq has one of the methods, without retransmissions.
func (p *peer) messages(methods ...string) []sipMessage {
	p.t.Helper()
	return slices.DeleteFunc(once(sipMessages(p.t, p.path("own.pcapng"))), func(m sipMessage) bool {
		_, method, _ := strings.Cut(m.header("CSeq"), " ")
		return !slices.Contains(methods, method)
	})
}

// inCall are the methods of a call.
func inCall() []string { return []string{"INVITE", "ACK", "BYE", "CANCEL"} }

// A call through Kamailio, over each transport: registered and calling with digest, held and resumed, ended by the caller
// along the Record-Route.
func TestKamailioCalls(t *testing.T) {
	t.Parallel()
	k := newKamailio(t)
	for _, proto := range fewer("wss", "udp", "tcp", "tls", "ws", "udp6", "tcp6") {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			user := "bob" + proto
			bob := k.answering(t, proto, user, "--delay", "150ms", "--media", "echo")
			alice := k.calling(t, proto, "auth", user, "--talk", "1200ms", "--hold", "300ms", "--resume", "400ms")
			alice.end(0)
			if e := alice.tells("ended", 1); e.Cause != "bye" || e.By != "us" {
				t.Errorf("%+v", e)
			}
			alice.tells("modified", 2)
			alice.never("refused")
			if e := bob.tells("ended", 1); e.Cause != "bye" || e.By != "them" {
				t.Errorf("%+v", e)
			}
			for _, p := range []*peer{alice, bob} { // 60 packets, 20 less of who is held
				if e := p.tells("media", 1); e.Sent < 20 || e.Received < 20 || e.Lost != 0 {
					t.Errorf("%s: %+v", p.name, e)
				}
			}
			bob.stop(syscall.SIGTERM, 0)
			if e := bob.tells("unregistered", 1); e.Status != 200 {
				t.Errorf("%+v", e)
			}
			k.checkCall(t, alice, bob)
		})
	}
}

// What a proxy has no part in but must let through, along its Record-Route: reliable provisional responses with early
// media, digits, a session timer, a transfer.
func TestKamailioFeatures(t *testing.T) {
	t.Parallel()
	k := newKamailio(t)
	bob := k.answering(t, "udp", "bob", "--reliably", "--early-media", "--delay", "200ms", "--refer", "--media", "echo")
	carol := k.answering(t, "tcp", "carol", "--talk", "200ms", "--calls", "1")
	alice := k.calling(t, "udp", "auth", "bob", "--reliable", "required", "--session-expires", "90", "--dtmf", "1#",
		"--refer", "sip:carol@k.test", "--talk", "1500ms")
	alice.end(0)
	carol.end(0)
	if e := carol.tells("incoming", 1); e.Reason != "sip:bob@k.test" {
		t.Errorf("%+v", e)
	}
	if !slices.ContainsFunc(alice.events(), func(e told) bool { return e.Event == "referred" && e.Status == 200 && e.Reason == "OK" }) {
		t.Errorf("the transfer is not told to be done: %+v", alice.events())
	}
	if one, pound := bob.tells("dtmf", 1), bob.tells("dtmf", 2); one.Body != "1" || pound.Body != "#" {
		t.Errorf("%+v %+v", one, pound)
	}
	bob.tells("ended", 2)
	if got := flowOf(alice.messages("INVITE", "ACK", "PRACK")); got != "INVITE 407 ACK INVITE 100 183 PRACK 200 200 ACK" {
		t.Errorf("%s", got)
	}
	for _, m := range alice.messages("PRACK", "NOTIFY", "REFER") {
		switch m.what() {
		case "PRACK", "REFER":
			if !strings.Contains(m.header("Route"), k.host) {
				t.Errorf("no Route in\n%s", m.Raw)
			}
		case "NOTIFY":
			if !strings.HasPrefix(m.Source, k.host) {
				t.Errorf("NOTIFY came from %s", m.Source)
			}
		}
	}
	sameAsTshark(t, alice.path("own.pcapng"))
}

// checkCall looks at what went over the wire, on both sides of Kamailio.
func (k *kamailio) checkCall(t *testing.T, alice, bob *peer) {
	t.Helper()
	all := alice.messages(inCall()...)
	const reinvite = "INVITE 100 200 ACK "
	want := "INVITE 407 ACK INVITE 100 180 200 ACK " + reinvite + reinvite + "BYE 200"
	if got := flowOf(all); got != want {
		t.Errorf("alice: %s, want %s", got, want)
	}
	inner := bob.messages(inCall()...)
	if got := flowOf(inner); got != "INVITE 180 200 ACK INVITE 200 ACK INVITE 200 ACK BYE 200" {
		t.Errorf("bob: %s", got)
	}
	if got := flowOf(bob.messages("REGISTER")); got != "REGISTER 401 REGISTER 200 REGISTER 200" {
		t.Errorf("bob: %s", got)
	}
	answered, recorded := false, ""
	for i := range all {
		m := &all[i]
		if what := m.what(); what == "200" && !answered {
			answered, recorded = true, m.header("Record-Route")
		} else if answered && (what == "ACK" || what == "INVITE" || what == "BYE") && m.header("Route") == "" {
			t.Errorf("%s without Route", what)
		}
		if i > 0 && m.what() == "BYE" && m.Destination != all[0].Destination {
			t.Errorf("BYE to %s, INVITE to %s", m.Destination, all[0].Destination)
		}
	}
	if !strings.Contains(recorded, k.host) && !strings.Contains(recorded, "::1") {
		t.Errorf("Record-Route %q", recorded)
	}
	sameAsTshark(t, alice.path("own.pcapng"))
	sameAsTshark(t, bob.path("own.pcapng"))
}

// The callee hangs up: its BYE finds the caller, by the connection that the caller made where there is no other way.
func TestKamailioCalleeHangsUp(t *testing.T) {
	t.Parallel()
	k := newKamailio(t)
	for _, proto := range fewer("tcp", "udp", "tls", "ws", "wss") {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			bob := k.answering(t, proto, "bob"+proto, "--talk", "100ms", "--calls", "1")
			alice := k.calling(t, proto, "alice", "bob"+proto, "--talk", "-1s")
			alice.end(0)
			bob.end(0)
			if e := alice.tells("ended", 1); e.Cause != "bye" || e.By != "them" {
				t.Errorf("%+v", e)
			}
			if got := flowOf(alice.messages("BYE")); got != "BYE 200" {
				t.Errorf("alice: %s", got)
			}
		})
	}
}

// What is no call in the end: given up, refused, to nobody; and requests outside of calls.
func TestKamailioRefusals(t *testing.T) {
	t.Parallel()
	k := newKamailio(t)
	for _, proto := range fewer("ws", "udp", "tcp") {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			rings := k.answering(t, proto, "rings"+proto, "--delay", "-1s")
			busy := k.answering(t, proto, "busy"+proto, "--code", "486", "--ring", "-1s")

			alice := k.calling(t, proto, "auth", "rings"+proto, "--ring", "300ms")
			alice.end(1)
			if e := alice.tells("ended", 1); e.Cause != "cancelled" || e.Status != 487 {
				t.Errorf("%+v", e)
			}
			if e := rings.tells("ended", 1); e.Cause != "cancelled" || e.By != "them" {
				t.Errorf("%+v", e)
			}
			all := alice.messages("CANCEL")
			// Kamailio's workers may send the 487, with which the program ends, before the 200 to the CANCEL.
			if got := flowOf(all); got != "CANCEL 200" && got != "CANCEL" || all[0].header("Via") != alice.messages("INVITE")[2].header("Via") {
				t.Errorf("%s %+v", got, all)
			}

			for to, want := range map[string]int{"busy" + proto: 486, "nobody": 404} {
				alice = k.calling(t, proto, "alice", to)
				alice.end(1)
				if e := alice.tells("ended", 1); e.Cause != "rejected" || e.Status != want || e.Reason == "" {
					t.Errorf("%s: %+v", to, e)
				}
			}
			k.outside(t, proto, busy)
		})
	}
}

// outside sends what is no call.
func (k *kamailio) outside(t *testing.T, proto string, to *peer) {
	t.Helper()
	text := "Grüße\r\nfrom " + proto
	alice := k.agent(t, proto, "auth", "message", k.uri("busy"+proto, proto), text)
	alice.end(0)
	if e := to.tells("message", 1); e.Body != text || e.Type != "text/plain" {
		t.Errorf("%+v", e)
	}
	alice = k.agent(t, proto, "alice", "options", k.uri("busy"+proto, proto), "--count", "3", "--interval", "10ms")
	alice.end(0)
	if got := flowOf(alice.messages("OPTIONS")); strings.Count(got, "200") != 3 {
		t.Errorf("%s", got)
	}
	alice = k.agent(t, proto, "alice", "message", k.uri("nobody", proto), "?")
	alice.end(1)
	to.stop(syscall.SIGINT, 0)
	if got := flowOf(to.messages("MESSAGE")); got != "MESSAGE 200" {
		t.Errorf("%s", got)
	}
}

// Kamailio forks to two of our agents: who answers has the call, the other one is told.
func TestKamailioForks(t *testing.T) {
	t.Parallel()
	k := newKamailio(t)
	for i, delays := range [][2]string{{"200ms", "-1s"}, {"-1s", "200ms"}} {
		t.Run(fmt.Sprintf("parallel, number %d answers", i+1), func(t *testing.T) {
			t.Parallel()
			user := fmt.Sprintf("fork%d", i)
			both := [2]*peer{}
			for n := range both {
				both[n] = k.answering(t, "udp", user, "--delay", delays[n])
			}
			alice := k.calling(t, "udp", "alice", user, "--talk", "200ms")
			alice.end(0)
			if e := both[i].tells("ended", 1); e.Cause != "bye" {
				t.Errorf("%+v", e)
			}
			if e := both[1-i].tells("ended", 1); e.Cause != "cancelled" {
				t.Errorf("%+v", e)
			}
			if got := flowOf(alice.messages("INVITE")); got != "INVITE 100 180 180 200" {
				t.Errorf("%s", got)
			}
			both[1-i].stop(syscall.SIGINT, 0)
			if got := flowOf(both[1-i].messages(inCall()...)); got != "INVITE 180 CANCEL 200 487 ACK" {
				t.Errorf("%s", got)
			}
		})
	}
	t.Run("both answer", func(t *testing.T) {
		t.Parallel()
		both := [2]*peer{}
		for n := range both {
			both[n] = k.answering(t, "udp", "race", "--ring", "-1s", "--delay", "100ms")
		}
		alice := k.calling(t, "udp", "alice", "race", "--talk", "300ms")
		alice.end(0)
		byes := 0
		for _, p := range both { // the second answer is acknowledged and ended, unless the CANCEL was quicker
			if e := p.tells("ended", 1); e.Cause == "bye" {
				byes++
			} else if e.Cause != "cancelled" {
				t.Errorf("%+v", e)
			}
		}
		got := flowOf(alice.messages(inCall()...))
		if byes == 0 || strings.Count(got, "BYE 200") != byes || strings.Count(got, "ACK") != byes {
			t.Errorf("%d hung up: %s", byes, got)
		}
	})
	t.Run("serial", func(t *testing.T) {
		t.Parallel()
		k.serial(t)
	})
}

// serial has Kamailio try one contact after the other, by their q.
func (k *kamailio) serial(t *testing.T) {
	t.Helper()
	busyAt, idleAt := own.address(t)+":5060", own.address(t)+":5060"
	busy := runAgent(t, "answer", "--listen", "udp:"+busyAt, "--code", "486", "--ring", "-1s")
	idle := runAgent(t, "answer", "--listen", "udp:"+idleAt, "--ring", "-1s")
	busy.says("user agent at")
	idle.says("user agent at")
	bind := func(q1, q2 string) {
		t.Helper()
		k.agent(t, "udp", "serial", "register", "sip:serial@k.test", "--registrar", k.uri("", "udp"), "--once",
			"--contact", "sip:serial@"+busyAt+";q="+q1, "--contact", "sip:serial@"+idleAt+";q="+q2).end(0)
	}
	bind("1.0", "0.3")
	alice := k.calling(t, "udp", "alice", "serial", "--talk", "50ms")
	alice.end(0)
	busy.tells("ended", 1)
	idle.tells("ended", 1)
	if got := flowOf(alice.messages("INVITE")); got != "INVITE 100 200" {
		t.Errorf("%s", got)
	}
	bind("0.2", "0.3")
	k.calling(t, "udp", "alice", "serial", "--talk", "50ms").end(0)
	idle.tells("ended", 2)
	if strings.Count(busy.out.String(), "incoming") != 1 {
		t.Errorf("the one with the lower q was asked: %s", busy.out.String())
	}
}

// Packets are lost on our side of Kamailio, in both directions and of both agents: every call comes about and ends.
func TestKamailioLoss(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	k := newKamailio(t)
	fault := []string{"--t1", "100ms", "--fault", "drop=10%", "--seed", "7"}
	bob := k.answering(t, "udp", "bob", append(fault, "--media", "none", "--ring", "-1s")...)
	alice := k.calling(t, "udp", "alice", "bob", append(fault, "--rate", "40", "--calls", "40", "--talk", "100ms")...)
	alice.end(0)
	bob.stop(syscall.SIGINT, 0)
	ended := 0
	for _, e := range bob.events() {
		if e.Event == "ended" {
			if ended++; e.Cause != "bye" {
				t.Errorf("%+v", e)
			}
		}
	}
	if ended != 40 {
		t.Errorf("%d calls ended", ended)
	}
	// what was dropped before it was sent is not in the capture, what was dropped on arrival is
	const perCall = 6 // INVITE 100 200 ACK BYE 200
	if n := len(sipMessages(t, alice.path("own.pcapng"))); n <= 40*perCall {
		t.Errorf("%d messages for 40 calls: nothing was lost", n)
	}
}

// Kamailio follows our redirect server's 302.
func TestKamailioIsRedirected(t *testing.T) {
	t.Parallel()
	k := newKamailio(t)
	bob := runAgent(t, "answer", "--listen", "udp:"+own.address(t)+":5060", "--calls", "1", "--delay", "50ms")
	bob.says("user agent at ")
	_, at, _ := strings.Cut(bob.err.String(), "udp:")
	at, _, _ = strings.Cut(at, ";")
	server := ours(t, "redirect server at", "redirect", "--listen", "udp:"+k.redirect+":5060",
		"--bind", "sip:moved@"+k.redirect+"=sip:bob@"+at, "--format", "none", "--pcap", "own.pcapng")
	alice := k.calling(t, "udp", "alice", "moved", "--talk", "50ms")
	alice.end(0)
	bob.end(0)
	server.stop(syscall.SIGINT, 0)
	if got := flowOf(server.messages(inCall()...)); got != "INVITE 302 ACK" {
		t.Errorf("%s", got)
	}
	if got := flowOf(alice.messages("INVITE")); got != "INVITE 100 180 200" {
		t.Errorf("%s", got)
	}
}
