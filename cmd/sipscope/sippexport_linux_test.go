package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// exportNet is the range of these tests.
var exportNet = peerNet{127, 78}

// exported is a call that was written as scenarios.
type exported struct {
	dir, name string
	said      string
}

// exportSIPP writes a call of a capture with the command line.
func exportSIPP(t *testing.T, capture string, args ...string) exported {
	t.Helper()
	x := exported{dir: t.TempDir(), name: "call"}
	args = append([]string{"export", capture, "--format", "sipp", "-o", filepath.Join(x.dir, x.name)}, args...)
	out, err := exec.CommandContext(t.Context(), "sipscope", args...).CombinedOutput()
	x.said = string(out)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return x
}

// apart reports whether the two sides cannot be run against each other.
func (x *exported) apart() bool { return strings.Contains(x.said, "cannot be run against each other") }

// side is what the scenario of a side says.
func (x *exported) side(t *testing.T, side string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(x.dir, x.name+"-"+side+".xml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// does is what both scenarios do, without their comments.
func (x *exported) does(t *testing.T) string {
	t.Helper()
	_, uac, _ := strings.Cut(x.side(t, "uac"), "<scenario")
	_, uas, _ := strings.Cut(x.side(t, "uas"), "<scenario")
	return uac + uas
}

// mode is how SIPp is told the transport, as the scenario's own comment has it.
func (x *exported) mode(t *testing.T) (network string, args []string) {
	t.Helper()
	if strings.Contains(x.side(t, "uac"), " -t t1 ") {
		return "tcp", []string{"-t", "t1"}
	}
	return "udp", nil
}

// start runs SIPp with one side, as the scenario's comment says.
func (x *exported) start(t *testing.T, side, at string, args ...string) *sippPeer {
	t.Helper()
	path := need(t, "sipp", "sip-tester")
	host := netip.MustParseAddrPort(at).Addr().String()
	all := []string{
		"-sf", filepath.Join(x.dir, x.name+"-"+side+".xml"), "-i", host, "-p", "5060", "-ci", host, "-cp", strconv.Itoa(8000 + os.Getpid()%1000),
		"-bind_local", "-nostdin", "-skip_rlimit", "-trace_stat", "-stf", "stat.csv", "-fd", "60", "-trace_err",
		"-error_file", "errors.log", "-timeout", "55s", "-timeout_error",
	}
	p := &sippPeer{at: at}
	t.Cleanup(func() {
		if text, err := os.ReadFile(p.path("errors.log")); err == nil && t.Failed() {
			t.Logf("%s: %s", side, tail(string(text), 3000))
		}
	})
	p.peer = launch(t, path, append(all, args...)...)
	return p
}

// together runs both sides against each other: n calls at a rate a second.
func (x *exported) together(t *testing.T, n, rate int) {
	t.Helper()
	network, mode := x.mode(t)
	caller, callee := exportNet.address(t)+":5060", exportNet.address(t)+":5060"
	uas := x.start(t, "uas", callee, mode...)
	uas.bound(network, callee)
	load := []string{"-m", strconv.Itoa(n), "-r", strconv.Itoa(rate), "-l", "2000"}
	uac := x.start(t, "uac", caller, append(append(load, mode...), callee)...)
	uac.placed(n)
	uas.served(n)
}

// Each flow is recorded in virtual time, written as scenarios, and played again by two SIPps.
func TestExportedScenarios(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	// What an element between the two did is part of these: a hop has both sides.
	between := map[string]bool{"invite-timer-c": true, "forked-200s": true, "subscribe-fork": true}
	for _, f := range allFlows(t) {
		capture := filepath.Join(scenarioPcaps, "scenario-"+f.Name+".pcapng")
		for _, hop := range []string{"0", "1"} {
			t.Run(f.Name+"/hop"+hop, func(t *testing.T) {
				t.Parallel()
				for call := 1; call <= callsOf(t, capture); call++ {
					x := exportSIPP(t, capture, "--call", strconv.Itoa(call), "--hop", hop, "--fast")
					if whole := exportSIPP(t, capture, "--call", strconv.Itoa(call), "--fast"); hop != "0" && x.does(t) == whole.does(t) {
						continue // there is one hop
					}
					if apart := hop == "0" && between[f.Name]; x.apart() != apart {
						t.Fatalf("apart %v, want %v: %s", x.apart(), apart, x.said)
					} else if !apart {
						x.together(t, 1, 10)
					}
				}
			})
		}
	}
}

// callsOf counts the calls of a capture.
func callsOf(t *testing.T, capture string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sipscope", "ls", capture, "--format", "ndjson", "--quiet").Output()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	n := len(regexp.MustCompile(`(?m)^\{"num":`).FindAll(out, -1))
	if n == 0 {
		t.Fatalf("%s has no calls: %s", capture, out)
	}
	return n
}

// Other captures: TCP, IPv6's addresses in SDP, REFER, hold, PUBLISH, hostile names, with the pauses that they have.
func TestExportedCaptures(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	for _, name := range []string{
		"sip-tcp", "refer-transfer", "reinvite-hold", "prack-update", "invite-407-auth", "hostile-names", "info-dtmf",
		"redirect-followed", "nat-rport", "notify-before-200", "ipv6", "strict-route", "rfc2543", "snaplen-400",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := exportSIPP(t, filepath.Join(scenarioPcaps, name+".pcap"), "--call", "1")
			if x.apart() {
				t.Fatal(x.said)
			}
			x.together(t, 1, 10)
		})
	}
}

// A thousand calls at 500 a second, none of which fails. They talk for as long as the recorded one: what a busy machine loses
// is sent again meanwhile.
func TestExportedLoad(t *testing.T) {
	t.Parallel()
	x := exportSIPP(t, filepath.Join(scenarioPcaps, "scenario-bye-record-route.pcapng"))
	x.together(t, 1000, 500)
}

// The caller calls our own user agent, which is another server than the one that was recorded; and answers its challenge.
func TestExportedCallsUs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ capture, answer, flow string }{
		{"scenario-bye-record-route", "", "INVITE 180 200 ACK BYE 200"},
		{"scenario-invite-reliable", "--reliably --early-media --delay 100ms", "INVITE 183 PRACK 200 200 ACK BYE 200"},
		{"scenario-transactions-cancel", "--delay 20s", "INVITE 180 CANCEL 200 487 ACK"},
		{"options", "", "OPTIONS 200"},
		{"message", "", "MESSAGE 200"},
	} {
		t.Run(tt.capture, func(t *testing.T) {
			t.Parallel()
			capture := filepath.Join(scenarioPcaps, tt.capture+".pcap")
			if strings.HasPrefix(tt.capture, "scenario") {
				capture += "ng"
			}
			x := exportSIPP(t, capture, "--fast", "--call", "1")
			we := exportNet.address(t) + ":5060"
			args := append([]string{"ua", "answer", "--listen", "udp:" + we, "--media", "none", "--pcap", "a.pcapng"}, strings.Fields(tt.answer)...)
			a := ours(t, "user agent at", args...)
			x.start(t, "uac", exportNet.address(t)+":5060", "-m", "1", we).placed(1)
			a.stop(syscall.SIGINT, 0)
			if got := flowOf(sipMessages(t, a.path("a.pcapng"))); got != tt.flow {
				t.Errorf("got  %s\nwant %s", got, tt.flow)
			}
			sameAsTshark(t, a.path("a.pcapng"))
		})
	}
}

// The caller registers with our registrar, whose realm is the recorded one and whose nonce is not.
func TestExportedRegisters(t *testing.T) {
	t.Parallel()
	x := exportSIPP(t, filepath.Join(scenarioPcaps, "scenario-register.pcapng"), "--fast")
	we := exportNet.address(t) + ":5060"
	r := ours(t, "registrar at", "registrar", "--listen", "udp:"+we, "--domain", "iptel.org", "--user", "jan:secret", "--digest", "MD5",
		"--pcap", "r.pcapng")
	x.start(t, "uac", exportNet.address(t)+":5060", "-m", "1", "-ap", "secret", we).placed(1)
	r.stop(syscall.SIGINT, 0)
	if got := flowOf(sipMessages(t, r.path("r.pcapng"))); got != "REGISTER 401 REGISTER 200" {
		t.Errorf("got %s", got)
	}
}

// Through a proxy of ours that record-routes and asks for a password, between the exported caller and the exported callee:
// the route set is that of this proxy, the credentials answer its challenge.
func TestExportedThroughProxy(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	for _, tt := range []struct {
		capture  string
		password bool
		caller   string // what the caller sends and receives
	}{
		{"scenario-bye-record-route", false, "INVITE 100 180 200 ACK BYE 200"},
		{"scenario-bye-from-callee", false, "INVITE 100 180 200 ACK BYE 200"},
		{"scenario-bye-two-proxies", false, "INVITE 100 180 200 ACK BYE 200"},
		{"scenario-message-proxy-auth", true, "MESSAGE 407 MESSAGE 200"},
	} {
		t.Run(tt.capture, func(t *testing.T) {
			t.Parallel()
			x := exportSIPP(t, filepath.Join(scenarioPcaps, tt.capture+".pcapng"), "--fast")
			caller, callee, proxy := exportNet.address(t), exportNet.address(t)+":5060", exportNet.address(t)+":5060"
			uas := x.start(t, "uas", callee)
			uas.bound("udp", callee)
			args := []string{
				"proxy", "--listen", "udp:" + proxy, "--domain", "b.com", "--bind", "sip:bob@b.com=sip:bob@" + callee, "--record-route",
				"--pcap", "p.pcapng",
			}
			if tt.password {
				args = append(args, "--user", "alice:secret", "--digest", "MD5")
			}
			p := ours(t, "proxy at", args...)
			x.start(t, "uac", caller+":5060", "-m", "1", "-ap", "secret", proxy).placed(1)
			uas.served(1)
			p.stop(syscall.SIGINT, 0)
			var seen []string
			for _, m := range sipMessages(t, p.path("p.pcapng")) {
				if strings.HasPrefix(m.Source, caller+":") || strings.HasPrefix(m.Destination, caller+":") {
					seen = append(seen, m.what())
				}
			}
			if got := strings.Join(seen, " "); got != tt.caller {
				t.Errorf("got  %s\nwant %s", got, tt.caller)
			}
		})
	}
}

// What SIPp plays is what was recorded: as many packets, to where the other side's SDP says.
func TestExportedMedia(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	x := exportSIPP(t, filepath.Join(scenarioPcaps, "scenario-trapezoid.pcapng"))
	for _, side := range []string{"uac", "uas"} {
		if text := x.side(t, side); !strings.Contains(text, fmt.Sprintf(`play_pcap_audio="call-%s.pcap"`, side)) {
			t.Fatalf("%s plays nothing:\n%s", side, text)
		}
	}
	tcpdump := need(t, "tcpdump", "tcpdump")
	if os.Geteuid() != 0 {
		lacks(t, "SIPp plays media from a raw socket, which only root has")
	}
	caller, callee := exportNet.address(t), exportNet.address(t)
	d := launch(t, tcpdump, "-i", "lo", "-n", "-U", "-w", "rtp.pcap", "udp and host "+caller+" and host "+callee+" and not port 5060")
	wait(t, "tcpdump", func() bool { return strings.Contains(d.err.String(), "listening") })
	uas := x.start(t, "uas", callee+":5060")
	uas.bound("udp", callee+":5060")
	x.start(t, "uac", caller+":5060", "-m", "1", callee+":5060").placed(1)
	uas.served(1)
	d.stop(syscall.SIGINT, 0)
	for _, way := range [][3]string{{"uac", caller, callee}, {"uas", callee, caller}} {
		want := packets(t, filepath.Join(x.dir, "call-"+way[0]+".pcap"), "udp")
		got := packets(t, d.path("rtp.pcap"), "src host "+way[1]+" and dst host "+way[2])
		if want == 0 || got < want-2 || got > want { // the last ones may be too late for a call that is over
			t.Errorf("%s played %d packets of %d", way[0], got, want)
		}
	}
}

// packets counts those of a capture that match.
func packets(t *testing.T, path, filter string) int {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "tcpdump", "-nr", path, filter).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(out), "\n")
}
