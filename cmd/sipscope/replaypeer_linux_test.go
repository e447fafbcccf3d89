package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sipscope/capture"
)

// replayNet is the range of these tests.
var replayNet = peerNet{127, 71}

// recordFlow has tcpdump record what goes over the loopback while a flow goes on.
func recordFlow(t *testing.T, filter string, flow func()) string {
	t.Helper()
	path := need(t, "tcpdump", "tcpdump")
	p := launch(t, path, "-i", "lo", "-n", "-s", "16384", "-U", "--immediate-mode", "-B", "32768", "-Z", "root", "-w", "recorded.pcap", filter)
	wait(t, "tcpdump", func() bool {
		select {
		case <-p.ended:
			lacks(t, "tcpdump cannot record: "+strings.TrimSpace(p.err.String()))
		default:
		}
		return strings.Contains(p.err.String(), "listening on")
	})
	flow()
	size, still := int64(-1), time.Now()
	wait(t, "the last packet", func() bool { // what was sent is written when nothing is added any more
		if f, err := os.Stat(p.path("recorded.pcap")); err == nil && f.Size() != size {
			size, still = f.Size(), time.Now()
		}
		return time.Since(still) > 150*time.Millisecond
	})
	p.stop(syscall.SIGINT, 0)
	return p.path("recorded.pcap")
}

// hosts is a filter for what goes to and from places on addresses of their own.
func hosts(places ...string) string {
	var all []string
	for _, p := range places {
		host, port := splitPlace(p)
		if strings.Contains(host, ":") {
			all = append(all, "port "+port)
		} else {
			all = append(all, "host "+host)
		}
	}
	return strings.Join(all, " or ")
}

// splitPlace takes an address:port apart.
func splitPlace(at string) (host, port string) {
	i := strings.LastIndexByte(at, ':')
	return strings.Trim(at[:i], "[]"), at[i+1:]
}

// replayPeer is a "sipscope replay" at work, and what it was given.
type replayPeer struct {
	*peer

	recording string
}

// replayFlow starts one of a recording.
func replayFlow(t *testing.T, recording string, args ...string) *replayPeer {
	t.Helper()
	all := append([]string{"replay", recording, "--all", "--yes", "-O", "run.pcapng"}, args...)
	return &replayPeer{peer: ours(t, "", all...), recording: recording}
}

// clean checks that a replay went as recorded, and that what it sent and got is at least as proper as the recording.
func (r *replayPeer) clean(c *inspection) {
	r.t.Helper()
	r.end(0)
	said := r.out.String()
	if !strings.HasPrefix(said, "SAME") && !strings.HasPrefix(said, "TOLERATED") {
		r.t.Errorf("it says %s", startLine(said))
	}
	headline, _, _ := strings.Cut(said, "\n")
	r.t.Log(headline)
	c.add(r.t, r.recording, r.path("run.pcapng"))
}

// inspection is what tshark is to look at: it takes longer to start than to read, so all captures of a test are read at once.
type inspection struct {
	mu    sync.Mutex
	dir   string
	files []string // recordings and what was replayed of them, in turn
	names []string // of the tests
}

// inspect makes one for a test and its subtests. They are all over when it looks.
func inspect(t *testing.T) *inspection {
	t.Helper()
	need(t, "tshark", "tshark")
	c := &inspection{dir: t.TempDir()}
	t.Cleanup(func() { c.look(t) })
	return c
}

// add takes a recording and what was replayed of it.
func (c *inspection) add(t *testing.T, recording, run string) {
	t.Helper()
	before := diagFaults(t, recording)
	for _, fault := range diagFaults(t, run) {
		if !slices.Contains(before, fault) {
			t.Errorf("there is a fault that the recording does not have: %s", fault)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, path := range []string{recording, run} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(c.dir, strconv.Itoa(len(c.files)))
		if err = os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, file)
	}
	c.names = append(c.names, t.Name())
}

// look checks that what was replayed has no fault that its recording did not have, by what tshark warns of.
func (c *inspection) look(t *testing.T) {
	t.Helper()
	if len(c.files) == 0 {
		return
	}
	all := filepath.Join(c.dir, "all.pcapng")
	if out, err := exec.CommandContext(context.Background(), need(t, "mergecap", "wireshark-common"),
		append([]string{"-a", "-w", all}, c.files...)...).CombinedOutput(); err != nil {
		t.Fatalf("mergecap: %v: %s", err, out)
	}
	faults := expertFaults(t, all)
	first := 1
	var before []string
	for i, file := range c.files {
		var found []string
		n := countPackets(t, file)
		for frame := first; frame < first+n; frame++ {
			found = append(found, faults[frame]...)
		}
		first += n
		if i%2 == 0 {
			before = found
			continue
		}
		for _, fault := range found {
			if !slices.Contains(before, fault) {
				t.Errorf("%s: tshark finds a fault that the recording does not have: %s", c.names[i/2], fault)
			}
		}
	}
}

// countPackets is how many packets a capture has.
func countPackets(t *testing.T, path string) int {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	n := 0
	var b capture.Batch
	for {
		err = files.Next(context.Background(), &b)
		n += len(b.Packets)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b.Release()
	return n
}

// expertFaults are what tshark warns of in a capture by frame, without the numbers in it.
func expertFaults(t *testing.T, path string) map[int][]string {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), need(t, "tshark", "tshark"), "-r", path, "-Y", "_ws.expert.severity >= 0x600000",
		"-T", "fields", "-E", "aggregator=|", "-e", "frame.number", "-e", "_ws.expert.severity", "-e", "_ws.expert.message")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	const warning = 0x600000
	all := map[int][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		frame := 0
		if _, err := fmt.Sscan(f[0], &frame); err != nil || len(f) < 3 {
			t.Fatalf("tshark says %q", line)
		}
		texts := strings.Split(f[2], "|")
		for i, level := range strings.Split(f[1], "|") {
			n := 0
			if _, err := fmt.Sscan(level, &n); err != nil || i >= len(texts) {
				t.Fatalf("tshark says %q", line)
			}
			if n >= warning {
				all[frame] = append(all[frame], numbers.ReplaceAllString(texts[i], "N"))
			}
		}
	}
	return all
}

// numbers are what differs between two texts that mean the same fault.
var numbers = regexp.MustCompile(`[0-9]+`)

// diagFaults are the departures from the grammar that we find in a capture.
func diagFaults(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sipscope", "export", path, "--format", "json", "-o", "-", "--quiet", "--filter", "messages > 0").Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var doc struct {
		Calls []struct {
			Messages []struct {
				Diags []struct{ Code, Severity string }
			}
		}
	}
	if err = json.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var all []string
	for _, c := range doc.Calls {
		for _, m := range c.Messages {
			for _, d := range m.Diags {
				all = append(all, d.Severity+" "+d.Code)
			}
		}
	}
	return all
}

// flowEnd is a side of a recorded flow: SIPp with a scenario, or our user agent with arguments.
type flowEnd struct{ sipp, ours string }

// sippFlow is a flow between SIPp and SIPp, or SIPp and our user agent.
type sippFlow struct {
	name     string
	uac, uas flowEnd
	networks string // udp, tcp, udp6, tcp6
	replay   string // more flags of the replay
}

// sippFlows are what TestReplaySIPp records and replays.
func sippFlows() []sippFlow {
	const all = "udp tcp udp6 tcp6"
	return []sippFlow{
		{"dialog", flowEnd{sipp: "uac-dialog"}, flowEnd{sipp: "uas-dialog"}, "udp", ""},
		{"hold", flowEnd{sipp: "uac-hold"}, flowEnd{sipp: "uas-hold"}, all, ""},
		{"cancel", flowEnd{sipp: "uac-cancel"}, flowEnd{sipp: "uas-ring"}, "udp tcp", ""},
		{"busy", flowEnd{sipp: "uac-486"}, flowEnd{sipp: "uas-486"}, "tcp", ""},
		{"declined", flowEnd{sipp: "uac-603"}, flowEnd{sipp: "uas-603"}, "udp", ""},
		{"redirected", flowEnd{sipp: "uac-302"}, flowEnd{sipp: "uas-302 -key contact sip:bob@192.0.2.9"}, "udp", ""},
		{"early media", flowEnd{sipp: "uac-early"}, flowEnd{sipp: "uas-early"}, "udp", ""},
		{"prack", flowEnd{sipp: "uac-prack"}, flowEnd{ours: "answer --media none --reliably --delay 100ms"}, "udp", ""},
		{"prack", flowEnd{ours: "call sip:bob@AT --media none --talk 100ms"}, flowEnd{sipp: "uas-prack"}, "tcp", ""},
		{"late offer", flowEnd{sipp: "uac-late-offer"}, flowEnd{ours: "answer --media none"}, "udp", ""},
		{"within", flowEnd{sipp: "uac-within"}, flowEnd{ours: "answer --media none"}, "udp", ""},
		{"within", flowEnd{ours: "call sip:bob@AT --media none --talk -1s"}, flowEnd{sipp: "uas-within"}, "tcp", ""},
		{"callee hangs up", flowEnd{sipp: "uac-hears-bye"}, flowEnd{ours: "answer --media none --talk 200ms"}, "tcp", ""},
		{"callee hangs up", flowEnd{ours: "call sip:bob@AT --media none --talk -1s"}, flowEnd{sipp: "uas-bye"}, "udp", ""},
		{"refer", flowEnd{ours: "call sip:bob@AT --media none --refer sip:carol@192.0.2.7 --talk 2s"}, flowEnd{sipp: "uas-refer"}, "udp", ""},
		{
			"challenged",
			flowEnd{ours: "call sip:bob@AT --media none --from sip:alice@a.com --talk 0s"},
			flowEnd{sipp: "uas-407"},
			"udp",
			"--cred :alice:secret",
		},
		{"media", flowEnd{ours: "call sip:bob@AT --dtmf 1# --talk 1s"}, flowEnd{sipp: "uas-dialog"}, "udp", ""},
		{"message", flowEnd{ours: "message sip:bob@AT LUNCH"}, flowEnd{sipp: "uas-message"}, "tcp", ""},
		{"options", flowEnd{ours: "options sip:bob@AT"}, flowEnd{sipp: "uas-options"}, "udp", ""},
		{
			"register",
			flowEnd{ours: "register sip:bob@b.com --registrar sip:AT --expires 30 --once"},
			flowEnd{sipp: "uas-registrar"},
			"udp",
			"--cred sipp:bob:secret",
		},
		{"subscribe", flowEnd{ours: "subscribe sip:bob@AT --fetch"}, flowEnd{sipp: "uas-subscribe"}, "tcp", ""},
	}
}

// sippPlace is an address of a transport: udp, tcp, udp6 or tcp6.
func sippPlace(t *testing.T, network string) string {
	t.Helper()
	if strings.HasSuffix(network, "6") {
		return freePort6(t)
	}
	return replayNet.address(t) + ":5060"
}

// sippMode is SIPp's flags for a transport.
func sippMode(network string) []string {
	if strings.HasPrefix(network, "tcp") {
		return []string{"-t", "t1"}
	}
	return nil
}

// calling starts the side of a flow that calls; done waits for its end.
func (e flowEnd) calling(t *testing.T, network, at, callee string) (done func()) {
	t.Helper()
	proto := network[:3]
	if e.sipp != "" {
		p := sipp(t, at, e.sipp, append(sippMode(network), "-m", "1", callee)...)
		return func() { t.Helper(); p.placed(1) }
	}
	args := strings.Fields(strings.ReplaceAll("ua "+e.ours, "AT", callee+";transport="+proto))
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "LUNCH", "lunch at one")
	}
	p := oursWith(t, []string{"SIPSCOPE_PASSWORD=secret"}, "", append(args, "--listen", proto+":"+at)...)
	return func() { t.Helper(); p.end(0) }
}

// answering starts the side of a flow that is called; done waits for its end.
func (e flowEnd) answering(t *testing.T, network, at string) (done func()) {
	t.Helper()
	if e.sipp != "" {
		words := strings.Fields(e.sipp)
		s := sippServer(t, network[:3], at, words[0], words[1:]...)
		return func() { t.Helper(); s.served(1) }
	}
	p := ours(t, "user agent at", append(strings.Fields("ua "+e.ours), "--listen", network[:3]+":"+at)...)
	return func() { t.Helper(); p.stop(syscall.SIGINT, 0) }
}

// record records a flow over a transport, and says where its sides were.
func (f sippFlow) record(t *testing.T, network string) (recording, caller, callee string) {
	t.Helper()
	caller, callee = sippPlace(t, network), sippPlace(t, network)
	recording = recordFlow(t, hosts(caller, callee), func() {
		served := f.uas.answering(t, network, callee)
		f.uac.calling(t, network, caller, callee)()
		served()
	})
	return recording, caller, callee
}

// Recordings of calls are replayed as their caller, against a SIPp that is called, and as who is called, towards a SIPp that
// calls.
func TestReplaySIPp(t *testing.T) {
	t.Parallel()
	notUnderRace(t)
	c := inspect(t)
	for _, f := range sippFlows() {
		for _, network := range fewer(strings.Fields(f.networks)...) {
			t.Run(f.name+"/"+network, func(t *testing.T) {
				t.Parallel()
				recording, caller, callee := f.record(t, network)
				if f.uas.sipp != "" {
					at := sippPlace(t, network)
					served := f.uas.answering(t, network, at)
					r := replayFlow(t, recording, append(strings.Fields(f.replay), "--sut", at, "--sut-is", callee,
						"--alias", caller+"=calling", "--bind", "calling="+sippPlace(t, network))...)
					r.clean(c)
					served()
				}
				if f.uac.sipp != "" {
					we, they := sippPlace(t, network), sippPlace(t, network)
					r := replayFlow(t, recording, append(strings.Fields(f.replay), "--sut", they, "--sut-is", caller,
						"--alias", callee+"=answering", "--bind", "answering="+we)...)
					r.bound(network[:3], we)
					f.uac.calling(t, network, they, we)()
					r.clean(c)
				}
			})
		}
	}
}

// Who is not played with may send to our ports what he likes: it is no divergence, and he gets no answer.
func TestReplayStranger(t *testing.T) {
	t.Parallel()
	c := inspect(t)
	f := sippFlow{uac: flowEnd{sipp: "uac-dialog"}, uas: flowEnd{sipp: "uas-dialog"}}
	recording, caller, callee := f.record(t, "udp")
	we, they, stranger := sippPlace(t, "udp"), sippPlace(t, "udp"), sippPlace(t, "udp")
	r := replayFlow(t, recording, "--sut", they, "--sut-is", caller, "--alias", callee+"=answering", "--bind", "answering="+we)
	r.bound("udp", we)
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(stranger)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, method := range []string{"INVITE", "BYE", "OPTIONS"} {
		text := fmt.Sprintf("%s sip:100@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\nFrom: <sip:100@%s>;tag=1\r\n"+
			"To: <sip:100@%s>\r\nCall-ID: stranger%d\r\nCSeq: 1 %s\r\nContact: <sip:sipp@%s>\r\nContent-Length: 0\r\n\r\n",
			method, we, stranger, i, they, we, i, method, stranger)
		if _, err := conn.WriteToUDPAddrPort([]byte(text), netip.MustParseAddrPort(we)); err != nil {
			t.Fatal(err)
		}
	}
	f.uac.calling(t, "udp", they, we)()
	r.clean(c)
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, from, err := conn.ReadFromUDPAddrPort(make([]byte, 2000)); err == nil {
		t.Errorf("the stranger got %d bytes from %s", n, from)
	}
	if said := r.out.String(); !strings.Contains(said, "3 requests that came belonged to no play") {
		t.Errorf("it says %s", tail(said, 600))
	}
}

// notUnderRace leaves a test out of the race run that starts hundreds of programs, each of them slow there. What they do is
// under the detector in the scripts, the load tests, and element/replay.
func notUnderRace(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("starts too many programs for the race detector")
	}
}
