package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// office is our proxy and registrar for b.test, with digest.
type office struct {
	*peer

	host  string
	desks []string // addresses for who works here, which the certificate names
}

func newOffice(t *testing.T, args ...string) *office {
	t.Helper()
	dir := t.TempDir()
	o := &office{host: own.address(t), desks: []string{own.address(t), own.address(t), own.address(t)}}
	writePEM(t, dir, append(o.desks, "b.test", o.host)...)
	args = append([]string{
		"proxy", "--domain", "b.test", "--registrar", "--digest", "MD5", "--min-expires", "10", // baresip knows no other algorithm
		"--listen", "udp:" + o.host + ":5060", "--listen", "tcp:" + o.host + ":5060", "--listen", "tls:" + o.host + ":5061",
		"--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-ca", "cert.pem", "--format", "json", "--pcap", "own.pcapng",
	}, args...)
	for _, user := range []string{"alice", "bob", "carol"} {
		args = append(args, "--user", user+":"+password)
	}
	o.peer = launchIn(t, dir, nil, "sipscope", args...)
	o.name = "office"
	o.says("proxy at")
	return o
}

// desk is an address for somebody new.
func (o *office) desk() string {
	o.t.Helper()
	if len(o.desks) == 0 {
		return own.address(o.t)
	}
	at := o.desks[0]
	o.desks = o.desks[1:]
	return at
}

// knows waits until a user has registered.
func (o *office) knows(user string) {
	o.t.Helper()
	wait(o.t, user+" to register", func() bool {
		return slices.ContainsFunc(o.events(), func(e told) bool { return e.AOR == "sip:"+user+"@b.test" })
	})
}

// agent starts one of ours that knows the office.
func (o *office) agent(t *testing.T, proto, user string, args ...string) *peer {
	t.Helper()
	return runAgent(t, append(args, "--listen", proto+":"+o.desk()+":0", "--from", "sip:"+user+"@b.test", "--host", "b.test="+o.host,
		"--tls-ca", o.path("cert.pem"), "--tls-cert", o.path("cert.pem"), "--tls-key", o.path("key.pem"), "--pcap", "own.pcapng")...)
}

// baresip is that user agent, driven by its module ctrl_tcp: JSON in netstrings.
type baresip struct {
	*peer

	user, host string
	control    net.Conn

	mu   sync.Mutex
	seen []baresipEvent
}

type baresipEvent struct {
	Type, Direction, PeerURI, Param string
	Response, OK                    bool
}

// newBaresip starts one for a user of the office, and waits until it is registered.
func (o *office) newBaresip(t *testing.T, proto, user string) *baresip {
	t.Helper()
	port := ""
	if proto == "tls" {
		port = ":5061"
	}
	b := newBaresip(t, user, o.desk(), o.dir, fmt.Sprintf("<sip:%[1]s@b.test;transport=%[2]s>;auth_user=%[1]s;auth_pass=%[3]s"+
		";outbound=\"sip:%[4]s%[5]s;transport=%[2]s\";regint=60", user, proto, password, o.host, port))
	o.knows(user)
	return b
}

// newBaresip starts one at an address, with an account, and the certificate of a directory.
func newBaresip(t *testing.T, user, at, certificate, account string) *baresip {
	t.Helper()
	const debian = "baresip-core"
	path := need(t, "baresip", debian)
	module := "/usr/lib/baresip/modules/ctrl_tcp.so"
	if _, err := os.Stat(module); err != nil {
		lacks(t, "baresip's module ctrl_tcp is missing: install the package "+debian)
	}
	dir := t.TempDir()
	files := map[string]string{
		"contacts": "", "accounts": account + ";answermode=manual;audio_codecs=PCMU/8000/1,PCMA/8000/1\n",
	}
	for _, name := range []string{"key.pem", "cert.pem"} {
		pem, err := os.ReadFile(filepath.Join(certificate, name))
		if err != nil {
			t.Fatal(err)
		}
		files["both.pem"] += string(pem)
		files["cert.pem"] = string(pem)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, "baresip.config", filepath.Join(dir, "config"), "@HOST@", at, "@DIR@", dir, "@MODULES@", filepath.Dir(module))
	b := &baresip{user: user, host: at, peer: launchIn(t, dir, nil, path, "-f", dir, "-v")}
	b.name = "baresip " + user
	b.bound("tcp", at+":4444")
	var err error
	if b.control, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", at+":4444"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.control.Close() })
	go b.read(bufio.NewReader(b.control))
	return b
}

// read takes what baresip tells, until it is gone.
func (b *baresip) read(r *bufio.Reader) {
	for {
		digits, err := r.ReadString(':')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(digits, ":"))
		if err != nil || n > 1<<16 {
			return
		}
		text := make([]byte, n+1) // and the comma
		if _, err = io.ReadFull(r, text); err != nil {
			return
		}
		var e baresipEvent
		if json.Unmarshal(text[:n], &e) == nil {
			b.mu.Lock()
			b.seen = append(b.seen, e)
			b.mu.Unlock()
		}
	}
}

// does gives a command, and waits until it is carried out.
func (b *baresip) does(command, param string) {
	b.t.Helper()
	before := b.count("")
	text, err := json.Marshal(map[string]string{"command": command, "params": param})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err = fmt.Fprintf(b.control, "%d:%s,", len(text), text); err != nil {
		b.t.Fatal(err)
	}
	wait(b.t, fmt.Sprintf("%s to %s", b.name, command), func() bool { return b.count("") > before })
}

// count counts events of a type, "" the answers to commands.
func (b *baresip) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.seen {
		if e.Type == kind && (kind != "" || e.Response) {
			n++
		}
	}
	return n
}

// hears waits for the n-th event of a type.
func (b *baresip) hears(kind string, n int) {
	b.t.Helper()
	wait(b.t, fmt.Sprintf("%s number %d of %s", kind, n, b.name), func() bool { return b.count(kind) >= n })
}

// talked is what two sides say of the RTP of a call.
type talked struct{ sent, received, lost int }

// quit ends it, which removes its registration, and gives the RTP packets that it says to have sent and received in its
// last call, and those that it missed.
func (b *baresip) quit() talked {
	b.t.Helper()
	b.stop(syscall.SIGTERM, 0)
	last := func(name string) (out, in int) {
		all := regexp.MustCompile(`(?m)^`+name+`: +(\d+) +(\d+)`).FindAllStringSubmatch(b.out.String(), -1)
		if len(all) == 0 {
			return 0, 0
		}
		out, _ = strconv.Atoi(all[len(all)-1][1])
		in, _ = strconv.Atoi(all[len(all)-1][2])
		return out, in
	}
	var is talked
	is.sent, is.received = last("packets")
	_, is.lost = last("lost")
	return is
}

// agree checks that both sides heard each other: at least so many packets, none lost. A few are under way, or still come,
// when one side ends the call.
func agree(t *testing.T, least int, we told, they talked) {
	t.Helper()
	const late = 15 // 300 ms
	if we.Sent < least || we.Received < least || we.Lost != 0 || they.lost != 0 ||
		they.received < we.Sent-late || we.Received < they.sent-late {
		t.Errorf("we sent %d and received %d, lost %d; they: %+v", we.Sent, we.Received, we.Lost, they)
	}
}

// baresip is called by our user agent through our proxy: held, resumed, hung up by us.
func TestBaresipIsCalled(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	for _, proto := range fewer("tls", "udp", "tcp") {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, "--record-route")
			bob := o.newBaresip(t, proto, "bob")
			alice := o.agent(t, proto, "alice", "call", "sip:bob@b.test;transport="+proto,
				"--talk", "1500ms", "--hold", "400ms", "--resume", "400ms")
			bob.hears("CALL_INCOMING", 1)
			alice.tells("ringing", 1)
			bob.does("accept", "")
			bob.hears("CALL_ESTABLISHED", 1)
			alice.end(0)
			alice.tells("modified", 2)
			alice.never("refused")
			bob.hears("CALL_CLOSED", 1)
			heard := alice.tells("media", 1)
			agree(t, 25, heard, bob.quit()) // of 75, 20 less of who is held, where the machine has time
			wire := flowOf(alice.messages(inCall()...))
			if got := "INVITE 407 ACK INVITE 100 180 200 ACK INVITE 100 200 ACK INVITE 100 200 ACK BYE 200"; wire != got {
				t.Errorf("%s, want %s", wire, got)
			}
			o.stop(syscall.SIGINT, 0)
			if got := flowOf(o.messages("REGISTER")); got != "REGISTER 401 REGISTER 200 REGISTER 401 REGISTER 200" {
				t.Errorf("%s", got)
			}
			sameAsTshark(t, o.path("own.pcapng"))
			sameAsTshark(t, alice.path("own.pcapng"))
		})
	}
}

// baresip calls our user agent, which registers and echoes: baresip holds and hangs up, then we do.
func TestBaresipCalls(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	for _, proto := range fewer("tls", "udp", "tcp") {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			bob := o.agent(t, proto, "bob", "answer", "--registrar", "sip:b.test;transport="+proto, "--delay", "200ms", "--media", "echo",
				"--calls", "2")
			bob.tells("registered", 1)
			alice := o.newBaresip(t, proto, "alice")
			alice.does("dial", "sip:bob@b.test")
			alice.hears("CALL_RINGING", 1)
			alice.hears("CALL_ESTABLISHED", 1)
			bob.tells("confirmed", 1)
			time.Sleep(500 * time.Millisecond) // they talk
			alice.does("hold", "")
			bob.tells("modified", 1)
			alice.does("resume", "")
			bob.tells("modified", 2)
			alice.does("hangup", "")
			if e := bob.tells("ended", 1); e.Cause != "bye" || e.By != "them" {
				t.Errorf("%+v", e)
			}
			if e := bob.tells("media", 1); e.Sent < 20 || e.Received < 20 || e.Lost != 0 {
				t.Errorf("%+v", e)
			}

			alice.does("dial", "sip:bob@b.test")
			alice.hears("CALL_ESTABLISHED", 2)
			time.Sleep(500 * time.Millisecond) // they talk
			bob.signal(syscall.SIGTERM)        // hangs up
			alice.hears("CALL_CLOSED", 2)
			bob.end(0)
			if e := bob.tells("ended", 2); e.Cause != "bye" || e.By != "us" {
				t.Errorf("%+v", e)
			}
			agree(t, 20, bob.tells("media", 2), alice.quit())
			o.stop(syscall.SIGINT, 0)
			sameAsTshark(t, o.path("own.pcapng"))
		})
	}
}

// baresip calls baresip: all between them is ours.
func TestBaresipCallsBaresip(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	for _, protos := range fewer([2]string{"udp", "tls"}, [2]string{"udp", "udp"}, [2]string{"tcp", "udp"}) {
		t.Run(protos[0]+" to "+protos[1], func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, "--record-route")
			alice, bob := o.newBaresip(t, protos[0], "alice"), o.newBaresip(t, protos[1], "bob")
			alice.does("dial", "sip:bob@b.test")
			bob.hears("CALL_INCOMING", 1)
			alice.hears("CALL_RINGING", 1)
			bob.does("accept", "")
			alice.hears("CALL_ESTABLISHED", 1)
			bob.hears("CALL_ESTABLISHED", 1)
			time.Sleep(300 * time.Millisecond) // they talk
			bob.does("hold", "")
			alice.hears("CALL_REMOTE_SDP", 2) // after the answer
			bob.does("resume", "")
			alice.hears("CALL_REMOTE_SDP", 3)
			alice.does("hangup", "")
			bob.hears("CALL_CLOSED", 1)

			bob.does("dial", "sip:alice@b.test")
			alice.hears("CALL_INCOMING", 1)
			bob.does("hangup", "") // before the answer
			alice.hears("CALL_CLOSED", 2)

			bob.does("dial", "sip:nobody@b.test")
			bob.hears("CALL_CLOSED", 3)
			o.stop(syscall.SIGINT, 0)
			for want, n := range map[string]int{"CANCEL 200": 2, "BYE 200": 2} { // on both hops
				method, _, _ := strings.Cut(want, " ")
				got := flowOf(o.messages(method))
				if strings.Count(got, method) != n || strings.Count(got, "200") != n {
					t.Errorf("%s: %s", want, got)
				}
			}
			if got := flowOf(o.messages("INVITE", "ACK")); strings.Count(got, "487") != 2 || strings.Count(got, "404") != 1 {
				t.Errorf("%s", got)
			}
			sameAsTshark(t, o.path("own.pcapng"))
		})
	}
}

// Calls that are given up: by us while baresip rings, by baresip while we ring.
func TestBaresipCancels(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	o := newOffice(t, "--record-route")
	bob := o.newBaresip(t, "udp", "bob")
	carol := o.agent(t, "udp", "carol", "answer", "--registrar", "sip:b.test", "--delay", "-1s")
	carol.tells("registered", 1)

	alice := o.agent(t, "udp", "alice", "call", "sip:bob@b.test", "--ring", "300ms")
	alice.end(1)
	if e := alice.tells("ended", 1); e.Cause != "cancelled" || e.Status != 487 {
		t.Errorf("%+v", e)
	}
	bob.hears("CALL_CLOSED", 1)

	bob.does("dial", "sip:carol@b.test")
	bob.hears("CALL_RINGING", 1)
	bob.does("hangup", "")
	if e := carol.tells("ended", 1); e.Cause != "cancelled" || e.By != "them" {
		t.Errorf("%+v", e)
	}

	alice = o.agent(t, "udp", "alice", "call", "sip:bob@b.test")
	bob.hears("CALL_INCOMING", 2)
	bob.does("hangup", "") // refuses
	alice.end(1)
	if e := alice.tells("ended", 1); e.Cause != "rejected" || e.Status != 486 {
		t.Errorf("%+v", e)
	}
}

// baresip follows the 302 of our redirect server.
func TestBaresipIsRedirected(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	dir := t.TempDir()
	writePEM(t, dir, "localhost")
	at, to := own.address(t)+":5060", own.address(t)+":5060"
	server := ours(t, "redirect server at", "redirect", "--listen", "udp:"+at, "--bind", "sip:moved@"+at+"=sip:bob@"+to, "--format", "none",
		"--pcap", "own.pcapng")
	bob := runAgent(t, "answer", "--listen", "udp:"+to, "--delay", "100ms", "--calls", "1", "--talk", "300ms")
	bob.says("user agent at")
	server.says("redirect server at")
	host := own.address(t)
	alice := newBaresip(t, "alice", host, dir, "<sip:alice@"+host+">;regint=0")
	alice.does("dial", "sip:moved@"+at)
	alice.hears("CALL_ESTABLISHED", 1)
	alice.hears("CALL_CLOSED", 1)
	bob.end(0)
	server.stop(syscall.SIGINT, 0)
	if got := flowOf(server.messages(inCall()...)); got != "INVITE 302 ACK" {
		t.Errorf("%s", got)
	}
}
