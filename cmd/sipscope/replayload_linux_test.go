package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// loadNet is the range of these tests.
var loadNet = peerNet{127, 73}

// recordBasic records a basic call of ours to SIPp's built-in callee.
func recordBasic(t *testing.T) string {
	t.Helper()
	bobAt, aliceAt := loadNet.address(t)+":5060", loadNet.address(t)+":5060"
	server := sippServer(t, "udp", bobAt, "-sn uas")
	alice := ours(t, "", "ua", "call", "sip:bob@"+bobAt, "--from", "sip:alice@"+aliceAt, "--listen", "udp:"+aliceAt, "--media", "none",
		"--talk", "0s", "--format", "none", "--pcap", "basic.pcapng")
	alice.end(0)
	server.signal(syscall.SIGKILL)
	return alice.path("basic.pcapng")
}

// atLoad is a load of replays at work, and the server that takes it.
type atLoad struct {
	*peer

	server *sippPeer
}

// loadReplay plays a recording many times against SIPp's built-in callee.
func loadReplay(t *testing.T, recording string, args ...string) *atLoad {
	t.Helper()
	at, from := loadNet.address(t)+":5060", loadNet.address(t)+":5060"
	server := sippServer(t, "udp", at, "-sn uas", "-buff_size", "4194304")
	p := ours(t, "", append([]string{"replay", recording, "--sut", at, "--bind", "alice=" + from, "--yes", "--format", "json"}, args...)...)
	return &atLoad{p, server}
}

// load is what is told of the load.
func (l *atLoad) load() jsonMany {
	l.t.Helper()
	var told jsonReplay
	if err := json.Unmarshal([]byte(l.out.String()), &told); err != nil || told.Load == nil {
		l.t.Fatalf("%v in %s", err, l.out.String())
	}
	return *told.Load
}

// served has SIPp end as soon as its calls are over, and checks how many these were and that none is left. On a machine so
// busy that SIPp sends a 200 again, the second ACK may come after the BYE, which SIPp calls a failure: as many are let pass.
func (l *atLoad) served(calls uint64) {
	l.t.Helper()
	l.server.signal(syscall.SIGUSR1) // it takes no further call
	l.server.ends()
	failed, again := l.server.figure("FailedCall(C)"), l.server.figure("Retransmissions(C)")
	if total := l.server.figure("SuccessfulCall(C)") + failed; uint64(total) != calls || failed > again {
		l.t.Errorf("SIPp had %d calls, want %d; %d failed, and it sent %d again", total, calls, failed, again)
	}
	if n := l.server.figure("CurrentCall"); n != 0 {
		l.t.Errorf("%d calls are left", n)
	}
}

// Half a thousand calls a second, none of which fails by either side's count.
func TestReplayLoad(t *testing.T) {
	t.Parallel()
	l := loadReplay(t, recordBasic(t), "--repeat", "1000", "--rate", "500", "--concurrent", "1000", "--t1", "2s")
	l.end(0)
	r := l.load()
	if r.Started != 1000 || r.Clean != 1000 || r.Diverged+r.Failed+r.Stopped != 0 || r.Waited != 0 || len(r.Divergences) != 0 {
		t.Errorf("of the plays: %+v", r)
	}
	if r.Seconds < 1.99 || r.Rate > 505 || r.SendErrors+r.KernelDrops != 0 {
		t.Errorf("in %v s, %v a second; %d errors, %d drops", r.Seconds, r.Rate, r.SendErrors, r.KernelDrops)
	}
	for _, name := range []string{"first", "ring", "answer", "whole"} {
		if x := r.Times[name]; x.Count != 1000 || x.P50 <= 0 || x.Max < x.P99 || x.P99 < x.P50 {
			t.Errorf("%s: %+v", name, x)
		}
	}
	l.served(1000)
}

// An interrupt in the middle of a load begins no further call, and leaves none behind: those that are up get their BYE.
func TestReplayLoadInterrupted(t *testing.T) {
	t.Parallel()
	basic := recordBasic(t)
	plan := ours(t, "", "replay", basic, "--dry-run", "--save-plan", "talk.yaml")
	plan.end(0)
	text, err := os.ReadFile(plan.path("talk.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// Between the ACK and the BYE a minute is talked.
	before, bye, found := strings.Cut(string(text), " sends BYE ")
	head, rest, found2 := strings.Cut(bye, "\n    gap: ")
	_, rest, found3 := strings.Cut(rest, "\n")
	if !found || !found2 || !found3 {
		t.Fatalf("no BYE with a gap in %s", text)
	}
	talk := filepath.Join(t.TempDir(), "talk.yaml")
	if err = os.WriteFile(talk, []byte(before+" sends BYE "+head+"\n    gap: 1m0s\n"+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	l := loadReplay(t, talk, "--repeat", "100000", "--rate", "200", "--concurrent", "150")
	wait(t, "calls to be up", func() bool { return strings.Contains(l.err.String(), "at most 150 at a time") })
	time.Sleep(1200 * time.Millisecond) // the calls that fit are up, and others wait
	began := time.Now()
	l.stop(syscall.SIGINT, 1)
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v to end", took)
	}
	r := l.load()
	if r.Started == 0 || r.Started > 150 || r.Stopped != r.Started || r.Why != "stopped on request" {
		t.Errorf("of the plays: %+v", r)
	}
	l.served(r.Started)
}

// Of many plays that diverge the first are drawn, and the load stops when it was told to. Nobody reads the messages of the
// others.
func TestReplayLoadDiverges(t *testing.T) {
	t.Parallel()
	basic := recordBasic(t)
	at := loadNet.address(t) + ":5060"
	sippServer(t, "udp", at, "uas-486")
	table := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(table, []byte("user\ncarol\ndave\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := ours(t, "", "replay", basic, "--sut", at, "--bind", "alice="+loadNet.address(t)+":5060", "--yes", "--repeat", "500", "--rate", "100",
		"--csv", table, "--user", "bob={user}", "--stop-divergences", "7", "--pcap", "run.pcapng", "--width", "120")
	p.end(1)
	said := p.out.String()
	for _, want := range []string{
		"0 clean, ", "no further play was begun: too many plays diverged", "expected 200 to INVITE from bob, got 486 Busy Here (Call-ID ",
		"DIFFERS: 5 plays: 5 differ", "✗ expected 200 OK, got 486",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	// The server, which refuses all; but on a machine that has no time for us we are the limit, and it says so.
	if !strings.Contains(said, "limit: the server") && !strings.Contains(said, "limit: this side") {
		t.Error("it does not say who was the limit")
	}
	calls := map[string]bool{}
	users := map[string]int{}
	for _, m := range sipMessages(t, p.path("run.pcapng")) {
		id := m.header("Call-ID")
		if m.what() == "INVITE" && !calls[id] {
			calls[id] = true
			user, _, _ := strings.Cut(strings.TrimPrefix(startLine(m.Raw), "INVITE sip:"), "@")
			users[user]++
		}
	}
	if n := len(calls); n < 7 || !strings.HasPrefix(said, fmt.Sprintf("%d plays in", n)) || users["carol"]-users["dave"] != n%2 {
		t.Errorf("%d calls in the file, to %v", n, users)
	}
}
