package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIPp registers at our registrar, with and without a challenge.
func TestSIPpRegister(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ scenario, flags, flow string }{
		{"register", "", "REGISTER 200 REGISTER 200 REGISTER 200 REGISTER 200 REGISTER 423 REGISTER 200 REGISTER 400 REGISTER 200 REGISTER 200"},
		{"register-auth", "--user bob:secret --digest MD5", "REGISTER 401 REGISTER 403 REGISTER 401 REGISTER 200 REGISTER 401 REGISTER 200"},
	} {
		for _, transport := range []string{"udp", "tcp"} {
			t.Run(tt.scenario+"/"+transport, func(t *testing.T) {
				t.Parallel()
				we, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
				args := append([]string{"registrar", "--listen", transport + ":" + we, "--domain", "b.com", "--pcap", "r.pcapng"},
					strings.Fields(tt.flags)...)
				r := ours(t, "registrar at", args...)
				sipp(t, they, tt.scenario, "-m", "1", "-s", "bob", "-t", map[string]string{"udp": "u1", "tcp": "t1"}[transport], we).placed(1)
				r.stop(syscall.SIGINT, 0)
				if got := flowOf(sipMessages(t, r.path("r.pcapng"))); got != tt.flow {
					t.Errorf("got  %s\nwant %s", got, tt.flow)
				}
				sameAsTshark(t, r.path("r.pcapng"))
			})
		}
	}
}

// Our proxy forks a call of ours to several SIPps.
func TestSIPpFork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fork  string   // of our proxy
		uas   []string // scenarios, by falling q
		calls []int    // how many each has served at the end
		call  string   // our flags
		code  int
		says  string
	}{
		{"one is busy", "parallel", []string{"uas-486", "uas-slow"}, []int{1, 1}, "", 0, "by us"},
		{"the loser is cancelled", "parallel", []string{"uas-ring", "uas-slow"}, []int{1, 1}, "", 0, "by us"},
		{"the best refusal", "parallel", []string{"uas-486", "uas-603"}, []int{1, 1}, "", 1, "603"},
		{"one after the other", "serial", []string{"uas-486", "uas-dialog"}, []int{1, 1}, "", 0, "by us"},
		{"decline is final", "serial", []string{"uas-603", "uas-dialog"}, []int{1, 0}, "", 1, "603"},
		{"the caller gives up", "parallel", []string{"uas-ring", "uas-ring"}, []int{1, 1}, "--ring 400ms", 1, "cancel"},
		{"two answer", "parallel", []string{"uas-slow", "uas-crossing"}, []int{1, 1}, "--talk 500ms", 0, "by us"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			proxy, we := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
			args := []string{
				"proxy", "--listen", "udp:" + proxy, "--domain", "b.com", "--fork", tt.fork, "--record-route", "--pcap", "p.pcapng",
			}
			var servers []*sippPeer
			for i, scenario := range tt.uas {
				s := sippServer(t, "udp", sippNet.address(t)+":5060", scenario)
				servers = append(servers, s)
				args = append(args, "--bind", fmt.Sprintf("sip:bob@b.com=sip:bob@%s;q=0.%d", s.at, 9-i))
			}
			p := ours(t, "proxy at", args...)
			args = append([]string{
				"ua", "call", "sip:bob@b.com", "--listen", "udp:" + we, "--host", "b.com=" + proxy, "--route", "sip:" + proxy + ";lr",
				"--media", "none", "--talk", "0s", "--pcap", "c.pcapng",
			}, strings.Fields(tt.call)...)
			c := ours(t, "", args...)
			c.end(tt.code)
			if said := c.out.String() + c.err.String(); !strings.Contains(said, tt.says) {
				t.Errorf("it does not say %q:\n%s", tt.says, said)
			}
			for i, s := range servers {
				s.served(tt.calls[i])
			}
			p.stop(syscall.SIGINT, 0)
			sameAsTshark(t, p.path("p.pcapng"))
			sameAsTshark(t, c.path("c.pcapng"))
			if n := strings.Count(flowOf(sipMessages(t, p.path("p.pcapng"))), "487"); strings.Contains(tt.name, "loser") && n != 1 {
				t.Errorf("%d answers 487 at the proxy, want that of the loser alone", n)
			}
		})
	}
}

// A 302 of SIPp leads our caller, and our proxy with --recurse, to another SIPp; so does our redirect server.
func TestSIPpRedirect(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"caller", "proxy", "redirect"} {
		t.Run(by, func(t *testing.T) {
			t.Parallel()
			server, we := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
			last := sippServer(t, "udp", sippNet.address(t)+":5060", "uas-dialog")
			to := server
			want := map[string]string{
				"caller": "INVITE 302 ACK INVITE 180 200 ACK BYE 200", "proxy": "INVITE 100 180 200 ACK BYE 200",
				"redirect": "INVITE 302 ACK INVITE 180 200 ACK BYE 200",
			}[by]
			var first *sippPeer
			if by != "redirect" {
				first = sippServer(t, "udp", sippNet.address(t)+":5060", "uas-302", "-key", "contact", "sip:bob@"+last.at)
			}
			switch by {
			case "caller":
				to = first.at
			case "proxy":
				ours(t, "proxy at", "proxy", "--listen", "udp:"+server, "--recurse", "--record-route", "--route", "*=sip:"+first.at)
			case "redirect":
				ours(t, "redirect server at", "redirect", "--listen", "udp:"+server, "--bind", "sip:bob@"+server+"=sip:bob@"+last.at)
			}
			c := ours(t, "", "ua", "call", "sip:bob@"+to, "--listen", "udp:"+we, "--media", "none", "--talk", "0s", "--redirects", "5",
				"--pcap", "c.pcapng")
			c.end(0)
			last.served(1)
			if first != nil {
				first.served(1)
			}
			if got := flowOf(sipMessages(t, c.path("c.pcapng"))); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			sameAsTshark(t, c.path("c.pcapng"))
		})
	}
}

// Thousands of calls go through our proxy, and none fails.
func TestSIPpProxy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, transport, caller, callee string
		calls                           int
		flags                           []string
	}{
		{"stateful", "udp", "uac-dialog", "uas-dialog", 5000, []string{"--record-route"}},
		{"stateless", "udp", "uac-dialog", "uas-dialog", 5000, []string{"--stateless", "--record-route"}},
		{"stateful plain", "udp", "-sn uac", "-sn uas", 1000, nil},
		{"stateless plain", "udp", "-sn uac", "-sn uas", 1000, []string{"--stateless"}},
		{"stateful", "tcp", "uac-dialog", "uas-dialog", 1000, []string{"--record-route"}},
		{"stateless", "tcp", "uac-dialog", "uas-dialog", 1000, []string{"--stateless", "--record-route"}},
	} {
		t.Run(tt.name+"/"+tt.transport, func(t *testing.T) {
			t.Parallel()
			at, they := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
			s := sippServer(t, tt.transport, sippNet.address(t)+":5060", tt.callee)
			p := ours(t, "proxy at", append([]string{
				"proxy", "--listen", tt.transport + ":" + at, "--route", "*=sip:" + s.at + ";transport=" + tt.transport, "--format", "none",
			}, tt.flags...)...)
			mode := map[string]string{"udp": "u1", "tcp": "t1"}[tt.transport]
			c := sipp(t, they, tt.caller, "-m", strconv.Itoa(tt.calls), "-r", "500", "-l", "3000", "-t", mode, at)
			c.placed(tt.calls)
			s.served(tt.calls)
			p.stop(syscall.SIGINT, 0)
		})
	}
}

// A call goes from one transport, or family of addresses, to another one and back: each side sees the proxy at its own.
func TestSIPpAcross(t *testing.T) {
	t.Parallel()
	const calls = 50
	for _, tt := range []struct {
		name, from, to string
		six            bool // the callee has IPv6
	}{
		{"UDP to TCP", "udp", "tcp", false},
		{"TCP to UDP", "tcp", "udp", false},
		{"IPv4 to IPv6", "udp", "udp", true},
	} {
		for _, kind := range []string{"--stateful", "--stateless"} {
			t.Run(tt.name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				at, callee := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
				other := at
				if tt.six {
					other, callee = freePort6(t), freePort6(t)
				}
				s := sippServer(t, tt.to, callee, "uas-bye")
				p := ours(t, "proxy at", "proxy", "--listen", tt.from+":"+at, "--listen", tt.to+":"+other, kind, "--record-route",
					"--route", "*=sip:"+callee+";transport="+tt.to, "--pcap", "p.pcapng", "--format", "none")
				mode := map[string]string{"udp": "u1", "tcp": "t1"}[tt.from]
				sipp(t, sippNet.address(t)+":5060", "uac-hears-bye", "-m", strconv.Itoa(calls), "-r", "100", "-t", mode, at).placed(calls)
				s.served(calls)
				p.stop(syscall.SIGINT, 0)
				seen := map[string]int{}
				for _, m := range sipMessages(t, p.path("p.pcapng")) {
					seen[m.what()]++
				}
				if seen["ACK"] != 2*calls || seen["BYE"] != 2*calls {
					t.Errorf("the proxy sees %v of %d calls, want each ACK and BYE twice", seen, calls)
				}
				sameAsTshark(t, p.path("p.pcapng"))
			})
		}
	}
}

// Our user agents call each other, and SIPps, through our proxy.
func TestSIPpProxyAgents(t *testing.T) {
	t.Parallel()
	const calls = 400
	t.Run("answer", func(t *testing.T) {
		t.Parallel()
		at, bob := sippNet.address(t)+":5060", sippNet.address(t)+":5060"
		a := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+bob, "--media", "none", "--format", "none")
		ours(t, "proxy at", "proxy", "--listen", "udp:"+at, "--record-route", "--route", "*=sip:"+bob, "--format", "none")
		sipp(t, sippNet.address(t)+":5060", "uac-dialog", "-m", strconv.Itoa(calls), "-r", "400", at).placed(calls)
		a.stop(syscall.SIGINT, 0)
		if said := a.err.String(); !strings.Contains(said, fmt.Sprintf("%d calls, %d answered", calls, calls)) {
			t.Errorf("it says %s", said)
		}
	})
	t.Run("call", func(t *testing.T) {
		t.Parallel()
		at := sippNet.address(t) + ":5060"
		s := sippServer(t, "udp", sippNet.address(t)+":5060", "uas-dialog")
		ours(t, "proxy at", "proxy", "--listen", "udp:"+at, "--record-route", "--route", "*=sip:"+s.at, "--format", "none")
		ours(t, "", "ua", "call", "sip:bob@"+at, "--listen", "udp:"+sippNet.address(t)+":5060", "--rate", "400", "--calls", strconv.Itoa(calls),
			"--talk", "0s", "--format", "none").end(0)
		s.served(calls)
	})
	t.Run("registered", func(t *testing.T) {
		t.Parallel()
		ip := sippNet.address(t)
		s := sippServer(t, "udp", sippNet.address(t)+":5060", "uas-dialog")
		p := ours(t, "proxy at", "proxy", "--listen", "udp:"+ip+":5060", "--record-route", "--domain", ip, "--registrar", "--pcap", "p.pcapng")
		if said, code := sipsak(t, "-U", "-C", "sip:bob@"+s.at, "-x", "60", "-s", "sip:bob@"+ip); code != 0 {
			t.Fatalf("sipsak: code %d: %s", code, said)
		}
		sipp(t, sippNet.address(t)+":5060", "uac-dialog", "-m", "1", "-s", "bob", ip+":5060").placed(1)
		s.served(1)
		p.stop(syscall.SIGINT, 0)
		sameAsTshark(t, p.path("p.pcapng"))
	})
	t.Run("authenticated", func(t *testing.T) {
		t.Parallel()
		at := sippNet.address(t) + ":5060"
		s := sippServer(t, "udp", sippNet.address(t)+":5060", "uas-dialog")
		p := ours(t, "proxy at", "proxy", "--listen", "udp:"+at, "--record-route", "--route", "*=sip:"+s.at, "--user", "bob:secret",
			"--digest", "MD5,SHA-256", "--pcap", "p.pcapng")
		sipp(t, sippNet.address(t)+":5060", "uac-proxy-auth", "-m", "1", "-s", "bob", at).placed(1)
		s.served(1)
		p.stop(syscall.SIGINT, 0)
		sameAsTshark(t, p.path("p.pcapng"))
	})
}

// sipsak runs sipsak, and gives what it says and its exit code.
func sipsak(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	p := launch(t, need(t, "sipsak", "sipsak"), args...)
	p.ends()
	return p.out.String() + p.err.String(), p.cmd.ProcessState.ExitCode()
}

// messageFile is a MESSAGE for sipsak to send: its own mode for them, -M, crashes before it sends anything (0.9.8.1).
func messageFile(t *testing.T, ip string) string {
	t.Helper()
	text := "MESSAGE sip:bob@" + ip + " SIP/2.0\r\nFrom: <sip:sipsak@" + ip + ">;tag=1\r\nTo: <sip:bob@" + ip + ">\r\n" +
		"Call-ID: lunch@" + ip + "\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nlunch at one"
	path := filepath.Join(t.TempDir(), "message.sip")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sipsak pings each element, sends messages, registers, and traces the way through our proxies.
func TestSipsak(t *testing.T) {
	t.Parallel()
	need(t, "sipsak", "sipsak")
	for _, tt := range []struct {
		name  string
		args  []string
		flags []string
		code  int
		says  string
	}{
		{"ua answer", []string{"ua", "answer", "--media", "none"}, []string{"-vv", "-s", "sip:bob@AT"}, 0, "200 OK"},
		{"registrar", []string{"registrar", "--domain", "b.com"}, []string{"-vv", "-s", "sip:AT"}, 0, "200 OK"},
		{"redirect", []string{"redirect", "--bind", "sip:bob@AT=sip:bob@192.0.2.9"}, []string{"-d", "-vv", "-s", "sip:bob@AT"}, 1, "302"},
		{"proxy", []string{"proxy"}, []string{"-vv", "-s", "sip:AT"}, 0, "200 OK"},
		{"stateless proxy", []string{"proxy", "--stateless"}, []string{"-vv", "-s", "sip:AT"}, 0, "200 OK"},
		{"message", []string{"ua", "answer", "--media", "none"}, []string{"-f", "MESSAGE", "-vv", "-s", "sip:bob@AT"}, 0, "200 OK"},
		{
			"usrloc",
			[]string{"registrar", "--domain", "AT", "--min-expires", "1"},
			[]string{"-U", "-C", "sip:bob@192.0.2.9", "-x", "60", "-vv", "-s", "sip:bob@AT"},
			0, "completed successful",
		},
		{
			"usrloc with a password",
			[]string{"registrar", "--domain", "AT", "--user", "bob:secret", "--digest", "MD5"},
			[]string{"-U", "-C", "sip:bob@192.0.2.9", "-x", "60", "-u", "bob", "-a", "secret", "-vv", "-s", "sip:bob@AT"},
			0, "completed successful",
		},
		{
			"usrloc with a wrong password",
			[]string{"registrar", "--domain", "AT", "--user", "bob:secret", "--digest", "MD5"},
			[]string{"-U", "-C", "sip:bob@192.0.2.9", "-x", "60", "-u", "bob", "-a", "wrong", "-vv", "-s", "sip:bob@AT"},
			1, "403",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ip := sippNet.address(t)
			at := func(args []string) []string {
				args = slices.Clone(args)
				for i := range args {
					args[i] = strings.ReplaceAll(args[i], "AT", ip)
				}
				return args
			}
			e := ours(t, " at udp:", append(at(tt.args), "--listen", "udp:"+ip+":5060", "--pcap", "e.pcapng")...)
			flags := at(tt.flags)
			if i := slices.Index(flags, "MESSAGE"); i >= 0 {
				flags[i] = messageFile(t, ip)
			}
			said, code := sipsak(t, append(flags, "-k", sippNet.address(t))...)
			if code != tt.code || !strings.Contains(said, tt.says) {
				t.Errorf("code %d, want %d and %q:\n%s", code, tt.code, tt.says, said)
			}
			e.stop(syscall.SIGINT, 0)
			sameAsTshark(t, e.path("e.pcapng"))
		})
	}
}

// Max-Forwards shows the way through two proxies to a user agent: 483 of the first, 483 of the second, 200. (sipsak's own
// trace, -T, never gets beyond Max-Forwards 1 in 0.9.8.1, whoever answers.)
func TestSipsakHops(t *testing.T) {
	t.Parallel()
	need(t, "sipsak", "sipsak")
	a, b, bob := sippNet.address(t), sippNet.address(t), sippNet.address(t)
	ours(t, " at udp:", "ua", "answer", "--media", "none", "--listen", "udp:"+bob+":5060")
	second := ours(t, " at udp:", "proxy", "--listen", "udp:"+b+":5060", "--route", "*=sip:"+bob, "--pcap", "b.pcapng")
	first := ours(t, " at udp:", "proxy", "--stateless", "--listen", "udp:"+a+":5060", "--route", "*=sip:"+b, "--pcap", "a.pcapng")
	for hops, want := range []string{"483", "483", "200"} {
		said, code := sipsak(t, "-m", strconv.Itoa(hops), "-vv", "-s", "sip:bob@"+a)
		if ok := code == 0; !strings.Contains(said, "SIP/2.0 "+want) || ok != (want == "200") {
			t.Errorf("%d hops: code %d:\n%s", hops, code, said)
		}
	}
	for p, want := range map[*peer]string{
		first:  "OPTIONS 483 OPTIONS OPTIONS 483 483 OPTIONS OPTIONS 200 200",
		second: "OPTIONS 483 OPTIONS OPTIONS 200 200",
	} {
		p.stop(syscall.SIGINT, 0)
		file := p.path(map[*peer]string{first: "a", second: "b"}[p] + ".pcapng")
		if got := flowOf(sipMessages(t, file)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		sameAsTshark(t, file)
	}
}

// A flood leaves an element at work, and its memory bounded.
func TestSipsakFlood(t *testing.T) {
	t.Parallel()
	ip := sippNet.address(t)
	a := ours(t, " at udp:", "ua", "answer", "--media", "none", "--listen", "udp:"+ip+":5060", "--format", "none")
	if said, code := sipsak(t, "-F", "-e", "5000", "-s", "sip:bob@"+ip); code != 0 {
		t.Fatalf("code %d: %s", code, said)
	}
	time.Sleep(200 * time.Millisecond)
	if said, code := sipsak(t, "-vv", "-s", "sip:bob@"+ip); code != 0 {
		t.Errorf("after the flood: code %d: %s", code, said)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if n, _ := strconv.Atoi(strings.Fields(kb)[0]); n > 200<<10 {
				t.Errorf("it took %d kB", n)
			}
		}
	}
	a.stop(syscall.SIGINT, 0)
}

// The algorithms of challenges are those of --digest, in its order; an unknown one is refused before anything is served.
func TestDigestFlag(t *testing.T) {
	t.Parallel()
	at := sippNet.address(t) + ":5060"
	args := []string{"registrar", "--listen", "udp:" + at, "--user", "bob:secret", "--pcap", "r.pcapng", "--digest"}
	bad := ours(t, "", append(args, "ROT13")...)
	bad.end(2)
	if said := bad.err.String(); !strings.Contains(said, `--digest "ROT13"`) || !strings.Contains(said, "SHA-512-256") {
		t.Errorf("it says %s", said)
	}
	r := ours(t, "registrar at", append(args, "SHA-512-256,MD5")...)
	u := ours(t, "", "ua", "register", "sip:bob@"+at, "--listen", "udp:"+sippNet.address(t)+":5060", "--once", "--format", "none")
	u.end(1)
	r.stop(syscall.SIGINT, 0)
	messages := sipMessages(t, r.path("r.pcapng"))
	challenge := messages[len(messages)-1].Raw
	if strong, weak := strings.Index(challenge, "algorithm=SHA-512-256"), strings.Index(challenge, "algorithm=MD5"); strong < 0 || weak < strong {
		t.Errorf("it challenges with\n%s", challenge)
	}
}
