package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// sippNet is the range of these tests.
var sippNet = peerNet{127, 60}

// sippPeer is a SIPp at work.
type sippPeer struct {
	*peer

	at string // address:port
}

// sipp starts SIPp with a scenario: the name of one in testdata/sipp, or a built-in one as -sn NAME. args follow, with the
// other side's address last for a caller.
func sipp(t *testing.T, at, scenario string, args ...string) *sippPeer {
	t.Helper()
	path := need(t, "sipp", "sip-tester")
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{
		"-i", host, "-p", port, "-mi", host, "-bind_local", "-nostdin", "-trace_stat", "-stf", "stat.csv", "-fd", "60",
		"-trace_err", "-error_file", "errors.log", "-timeout", "50s", "-timeout_error", "-skip_rlimit", "-cp", strconv.Itoa(8000 + os.Getpid()%1000),
	}
	if strings.Contains(host, ":") {
		all = append(all, "-ci", sippNet.address(t))
	} else {
		all = append(all, "-ci", host)
	}
	if builtin, ok := strings.CutPrefix(scenario, "-sn "); ok {
		all = append(all, "-sn", builtin)
	} else {
		file, err := filepath.Abs("testdata/sipp/" + scenario + ".xml")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, "-sf", file)
	}
	p := &sippPeer{at: at}
	t.Cleanup(func() {
		if text, err := os.ReadFile(p.path("errors.log")); err == nil && t.Failed() {
			t.Logf("%s: %s", scenario, tail(string(text), 3000))
		}
	})
	p.peer = launch(t, path, append(all, args...)...)
	return p
}

// sippServer starts a SIPp that is called, and waits for its socket.
func sippServer(t *testing.T, network, at, scenario string, args ...string) *sippPeer {
	t.Helper()
	if network == "tcp" {
		args = append(args, "-t", "t1")
	}
	p := sipp(t, at, scenario, args...)
	p.bound(network, at)
	return p
}

// figure is a number of SIPp's statistics, such as SuccessfulCall(C), when it has ended.
func (p *sippPeer) figure(name string) int {
	p.t.Helper()
	table, err := os.ReadFile(p.path("stat.csv"))
	if err != nil {
		p.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	last := strings.Split(lines[len(lines)-1], ";")
	for i, head := range strings.Split(lines[0], ";") {
		if head == name {
			n, err := strconv.Atoi(last[i])
			if err != nil {
				p.t.Fatal(err)
			}
			return n
		}
	}
	p.t.Fatalf("SIPp has no figure %s", name)
	return 0
}

// served checks that a SIPp that is called has served n calls, and none badly.
func (p *sippPeer) served(n int) {
	p.t.Helper()
	p.signal(syscall.SIGUSR1)
	p.ends()
	ok, bad := p.figure("SuccessfulCall(C)"), p.figure("FailedCall(C)")
	closed := p.figure("FailedTcpClosed(C)") // SIPp blames a call that is over, and only waits, for the end of its connection
	if ok+closed != n || bad != closed {
		p.t.Errorf("%d calls served, %d badly, want %d", ok, bad, n)
	}
}

// placed checks that a SIPp that calls has ended, and that each of its n calls did well.
func (p *sippPeer) placed(n int) {
	p.t.Helper()
	p.end(0)
	if ok, bad := p.figure("SuccessfulCall(C)"), p.figure("FailedCall(C)"); ok != n || bad != 0 {
		p.t.Errorf("%d calls placed well, %d badly, want %d", ok, bad, n)
	}
}

// Each scenario is a SIPp that calls our user agent.
func TestSIPpCalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario string
		answer   string // our flags
		flow     string // what is sent and received, as our capture has it
	}{
		{"uac-dialog", "", "INVITE 180 200 ACK BYE 200"},
		{"uac-hold", "", "INVITE 180 200 ACK INVITE 200 ACK INVITE 200 ACK BYE 200"},
		{"uac-late-offer", "", "INVITE 180 200 ACK INVITE 200 ACK BYE 200"},
		{"uac-cancel", "--delay 20s", "INVITE 180 CANCEL 200 487 ACK"},
		{"uac-486", "--code 486 --delay 50ms", "INVITE 180 486 ACK"},
		{"uac-603", "--code 603 --ring -1s", "INVITE 603 ACK"},
		{"uac-302", "--redirect sip:bob@192.0.2.9 --ring -1s", "INVITE 302 ACK"},
		{"uac-prack", "--reliably --delay 100ms", "INVITE 180 PRACK 200 200 ACK BYE 200"},
		{"uac-early", "--early-media --delay 150ms", "INVITE 183 200 ACK BYE 200"},
		{
			"uac-within", "",
			"INVITE 180 200 ACK UPDATE 200 INFO 200 OPTIONS 200 MESSAGE 200 BREW 501 INFO 500 BYE 200 BYE 481",
		},
		{"uac-hears-bye", "--talk 200ms", "INVITE 180 200 ACK BYE 200"},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(tt.scenario+"/"+transport, func(t *testing.T) {
				t.Parallel()
				we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
				args := append([]string{"ua", "answer", "--listen", transport + ":" + we, "--media", "none", "--pcap", "a.pcapng"},
					strings.Fields(tt.answer)...)
				a := ours(t, "user agent at", args...)
				mode := map[string]string{"udp": "u1", "tcp": "t1"}[transport]
				sipp(t, they, tt.scenario, "-m", "1", "-t", mode, we).placed(1)
				a.stop(syscall.SIGINT, 0)
				if got := flowOf(sipMessages(t, a.path("a.pcapng"))); got != tt.flow {
					t.Errorf("got  %s\nwant %s", got, tt.flow)
				}
				sameAsTshark(t, a.path("a.pcapng"))
			})
		}
	}
}

// Without an ACK the 200 comes again after T1, 2*T1, 4*T1 and so on until 64*T1, when we hang up (RFC 3261 13.3.1.4).
func TestSIPpNoACK(t *testing.T) {
	t.Parallel()
	we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
	a := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+we, "--media", "none", "--pcap", "a.pcapng", "--t1", "30ms")
	sipp(t, they, "uac-no-ack", "-m", "1", we).placed(1)
	a.stop(syscall.SIGINT, 0)
	const want = "INVITE 180 200 200 200 200 200 200 200 BYE 200" // at 0, 30, 90, 210, 450, 930 and 1890 of 1920 ms
	if got := everyOf(sipMessages(t, a.path("a.pcapng"))); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	sameAsTshark(t, a.path("a.pcapng"))
}

// SIPp refers our user agent to a third, another SIPp, and is told how that call goes.
func TestSIPpRefers(t *testing.T) {
	t.Parallel()
	we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
	third := sippServer(t, "udp", sippNet.address(t)+":5060", "uas-hangs-up")
	a := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+we, "--media", "none", "--pcap", "a.pcapng", "--refer")
	sipp(t, they, "uac-refer", "-m", "1", "-key", "refer", "sip:carol@"+third.at, we).placed(1)
	third.served(1)
	a.stop(syscall.SIGINT, 0)
	sameAsTshark(t, a.path("a.pcapng"))
}

// Ctrl-C ends what has begun: a call that rings with CANCEL, one that talks with BYE.
func TestSIPpInterrupt(t *testing.T) {
	t.Parallel()
	t.Run("ringing", func(t *testing.T) {
		t.Parallel()
		s := sippServer(t, "udp", sippNet.address(t)+":5060", "uas-ring")
		c := ours(t, "180 Ringing", "ua", "call", "sip:bob@"+s.at, "--listen", "udp:"+sippNet.address(t)+":5060", "--media", "none", "--pcap", "c.pcapng")
		c.stop(syscall.SIGINT, 1)
		s.served(1)
		if got := flowOf(sipMessages(t, c.path("c.pcapng"))); got != "INVITE 180 CANCEL 200 487 ACK" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("talking", func(t *testing.T) {
		t.Parallel()
		we := sippNet.address(t) + ":5060"
		a := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+we, "--media", "none", "--pcap", "a.pcapng")
		s := sipp(t, sippNet.address(t)+":5060", "uac-hears-bye", "-m", "1", we)
		a.says("ACK")
		a.stop(syscall.SIGINT, 0)
		s.placed(1)
		if got := flowOf(sipMessages(t, a.path("a.pcapng"))); got != "INVITE 180 200 ACK BYE 200" {
			t.Errorf("got %s", got)
		}
	})
}

// Each scenario is a SIPp that one of our requests outside of calls goes to.
func TestSIPpRequests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario string
		ua       string // our arguments; AT is SIPp
		says     string
		flow     string
	}{
		{"uas-message", "message sip:bob@AT LUNCH", "200 OK", "MESSAGE 200"},
		{"uas-options", "options sip:bob@AT", "200 OK", "OPTIONS 200"},
		{
			"uas-registrar", "register sip:bob@b.com --registrar sip:AT --expires 30 --once", "registered for 90 s",
			"REGISTER 401 REGISTER 423 REGISTER 200",
		},
		{"uas-subscribe", "subscribe sip:bob@AT --fetch", "subscription over", "SUBSCRIBE 200 NOTIFY 200"},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(tt.scenario+"/"+transport, func(t *testing.T) {
				t.Parallel()
				we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
				s := sippServer(t, transport, they, tt.scenario)
				args := strings.Fields(strings.ReplaceAll("ua "+tt.ua, "AT", they+";transport="+transport))
				for i := range args {
					args[i] = strings.ReplaceAll(args[i], "LUNCH", "lunch at one")
				}
				u := oursWith(t, []string{"SIPSCOPE_PASSWORD=secret"}, "", append(args, "--listen", transport+":"+we, "--pcap", "u.pcapng")...)
				u.end(0)
				if said := u.out.String(); !strings.Contains(said, tt.says) {
					t.Errorf("it does not say %q:\n%s", tt.says, said)
				}
				s.served(1)
				if got := flowOf(sipMessages(t, u.path("u.pcapng"))); got != tt.flow {
					t.Errorf("got  %s\nwant %s", got, tt.flow)
				}
				sameAsTshark(t, u.path("u.pcapng"))
			})
		}
	}
}

// Each scenario is a SIPp that our user agent calls.
func TestSIPpIsCalled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scenario string
		call     string // our flags
		code     int    // how our command ends
		says     string
		flow     string
	}{
		{"uas-dialog", "--talk 0s", 0, "by us", "INVITE 180 200 ACK BYE 200"},
		{"uas-486", "", 1, "486 Busy Here", "INVITE 180 486 ACK"},
		{"uas-603", "", 1, "603 Decline", "INVITE 180 603 ACK"},
		{"uas-500", "", 1, "500 Server Internal Error", "INVITE 180 500 ACK"},
		{"uas-ring", "--ring 200ms", 1, "cancel", "INVITE 180 CANCEL 200 487 ACK"},
		{"uas-407", "--from sip:alice@a.com --talk 0s", 0, "by us", "INVITE 401 ACK INVITE 200 ACK BYE 200"},
		{"uas-prack", "--talk 0s", 0, "by us", "INVITE 183 PRACK 200 200 ACK BYE 200"},
		{"uas-early", "--talk 0s", 0, "by us", "INVITE 183 200 ACK BYE 200"},
		{
			"uas-hold", "--hold 100ms --resume 100ms --talk 400ms", 0, "by us",
			"INVITE 180 200 ACK INVITE 200 ACK INVITE 200 ACK BYE 200",
		},
		{
			"uas-within", "--talk -1s", 0, "by the other side",
			"INVITE 180 200 ACK INFO 200 UPDATE 200 INVITE 200 ACK OPTIONS 200 BYE 200",
		},
		{
			"uas-refer", "--refer sip:carol@192.0.2.7 --talk 2s", 0, "the transfer goes on: 200",
			"INVITE 180 200 ACK REFER 202 NOTIFY 200 NOTIFY 200 BYE 200",
		},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(tt.scenario+"/"+transport, func(t *testing.T) {
				t.Parallel()
				we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
				s := sippServer(t, transport, they, tt.scenario)
				uri := fmt.Sprintf("sip:bob@%s;transport=%s", they, transport)
				args := append([]string{"ua", "call", uri, "--listen", transport + ":" + we, "--media", "none", "--pcap", "c.pcapng"},
					strings.Fields(tt.call)...)
				c := oursWith(t, []string{"SIPSCOPE_PASSWORD=secret"}, "", args...)
				c.end(tt.code)
				if said := c.out.String() + c.err.String(); !strings.Contains(said, tt.says) {
					t.Errorf("it does not say %q:\n%s", tt.says, said)
				}
				s.served(1)
				if got := flowOf(sipMessages(t, c.path("c.pcapng"))); got != tt.flow {
					t.Errorf("got  %s\nwant %s", got, tt.flow)
				}
				sameAsTshark(t, c.path("c.pcapng"))
			})
		}
	}
}

// places are two ends of a transport: names of SIPp's mode, and addresses.
type places struct{ network, mode, a, b string }

// eachTransport runs a test over UDP, TCP, where SIPp calls also with a connection a call, and IPv6.
func eachTransport(t *testing.T, calls bool, f func(t *testing.T, p places)) {
	t.Helper()
	for _, p := range []places{
		{network: "udp", mode: "u1"},
		{network: "tcp", mode: "t1"},
		{network: "tcp", mode: "tn"},
		{network: "udp", mode: "u1", a: "::1"},
		{network: "tcp", mode: "t1", a: "::1"},
	} {
		if p.mode == "tn" && !calls {
			continue
		}
		name := p.network + "/" + p.mode
		if p.a != "" {
			name = "ipv6/" + p.network
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p.a == "" {
				p.a, p.b = sippNet.address(t)+":5060", sippNet.address(t)+":5060"
			} else {
				p.a, p.b = freePort6(t), freePort6(t)
			}
			f(t, p)
		})
	}
}

// freePort6 is an address of the IPv6 loopback, which has only one, with a port that nobody uses.
func freePort6(t *testing.T) string {
	t.Helper()
	c, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp6", "[::1]:0")
	if err != nil {
		lacks(t, "no IPv6 here: "+err.Error())
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().String()
}

// SIPp's own caller calls our user agent many times.
func TestSIPpUAC(t *testing.T) {
	t.Parallel()
	eachTransport(t, true, func(t *testing.T, p places) {
		t.Helper()
		const calls = 250
		a := ours(t, "user agent at", "ua", "answer", "--listen", p.network+":"+p.a, "--media", "none", "--pcap", "a.pcapng", "--format", "none")
		sipp(t, p.b, "-sn uac", "-m", strconv.Itoa(calls), "-r", "500", "-t", p.mode, p.a).placed(calls)
		a.stop(syscall.SIGINT, 0)
		if said := a.err.String(); !strings.Contains(said, fmt.Sprintf("%d calls, %d answered", calls, calls)) {
			t.Errorf("it says %s", said)
		}
		sameAsTshark(t, a.path("a.pcapng"))
	})
}

// Our user agent calls SIPp's own callee many times: both count the same.
func TestSIPpUAS(t *testing.T) {
	t.Parallel()
	eachTransport(t, false, func(t *testing.T, p places) {
		t.Helper()
		const calls = 250
		s := sippServer(t, p.network, p.b, "-sn uas")
		c := ours(t, "", "ua", "call", "sip:bob@"+p.b+";transport="+p.network, "--listen", p.network+":"+p.a, "--rate", "500", "--calls",
			strconv.Itoa(calls), "--talk", "0s", "--format", "json", "--pcap", "c.pcapng")
		c.end(0)
		var load struct{ Started, Answered, Succeeded int }
		lines := strings.Split(strings.TrimSpace(c.out.String()), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &load); err != nil {
			t.Fatal(err)
		}
		if load.Started != calls || load.Answered != calls || load.Succeeded != calls {
			t.Errorf("%+v, want %d of each", load, calls)
		}
		s.served(calls)
		sameAsTshark(t, c.path("c.pcapng"))
	})
}

// A tenth of what SIPp and we send is lost: retransmissions bring every call to its end.
func TestSIPpLoss(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	const calls = 40
	t.Run("uac", func(t *testing.T) {
		t.Parallel()
		we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
		a := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+we, "--media", "none", "--pcap", "a.pcapng", "--format", "none", "--t1", "60ms")
		s := sipp(t, they, "uac-lossy", "-m", strconv.Itoa(calls), "-r", "40", "-lost", "10", "-max_retrans", "12", we)
		s.placed(calls)
		if s.figure("Retransmissions(C)") == 0 {
			t.Error("nothing was lost")
		}
		a.stop(syscall.SIGINT, 0)
		sameAsTshark(t, a.path("a.pcapng"))
	})
	t.Run("uas", func(t *testing.T) {
		t.Parallel()
		we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
		s := sippServer(t, "udp", they, "uas-lossy", "-max_retrans", "12")
		c := ours(t, "", "ua", "call", "sip:bob@"+they, "--listen", "udp:"+we, "--rate", "40", "--calls", strconv.Itoa(calls),
			"--talk", "0s", "--fault", "drop=10%", "--seed", "7", "--t1", "100ms", "--format", "none")
		c.end(0)
		s.served(calls)
	})
}
