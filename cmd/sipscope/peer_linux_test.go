package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// peerNet is an own range of the loopback: a test takes addresses of it, so that every peer may have port 5060.
type peerNet [2]byte

// address takes an address for the time of the test. Another test, of this process or another, does not get it.
func (n peerNet) address(t *testing.T) string {
	t.Helper()
	for range 1000 {
		ip := netip.AddrFrom4([4]byte{n[0], n[1], byte(1 + rand.IntN(254)), byte(1 + rand.IntN(254))})
		// Who holds its port 9 has the address.
		taken, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", ip.String()+":9")
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = taken.Close() })
		return ip.String()
	}
	t.Fatal("no loopback address is free")
	return ""
}

// need finds a peer's program, or skips the test and names the package that has it.
func need(t *testing.T, program, debian string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		lacks(t, program+" is missing: install the package "+debian)
	}
	return path
}

// transcript is what a program says, to be read while it runs.
type transcript struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// peer is a program at work: one of others, or ours.
type peer struct {
	t        *testing.T
	name     string
	dir      string // where it runs
	cmd      *exec.Cmd
	out, err transcript
	ended    chan struct{}
}

// launch starts a program in a directory of its own. It is killed at the end of the test at the latest.
func launch(t *testing.T, path string, args ...string) *peer {
	t.Helper()
	return launchIn(t, t.TempDir(), nil, path, args...)
}

// launchIn starts a program in a directory, with more variables of environment.
func launchIn(t *testing.T, dir string, env []string, path string, args ...string) *peer {
	t.Helper()
	p := &peer{t: t, name: filepath.Base(path), dir: dir, ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), path, args...) // the test's context ends before its cleanup
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.out, &p.err
	p.cmd.Env = append(append(os.Environ(), "HOME="+dir, "TERM=dumb"), env...)
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.ended
		if t.Failed() {
			t.Logf("%s\nsaid %s\nand %s", p.cmd, tail(p.out.String(), 6000), tail(p.err.String(), 3000))
		}
	})
	return p
}

// ours starts sipscope, and waits until it has said something when said is not empty: that it listens.
func ours(t *testing.T, said string, args ...string) *peer {
	t.Helper()
	return oursWith(t, nil, said, args...)
}

// oursWith does so with more variables of environment.
func oursWith(t *testing.T, env []string, said string, args ...string) *peer {
	t.Helper()
	path, err := exec.LookPath("sipscope")
	if err != nil {
		t.Fatal(err)
	}
	p := launchIn(t, t.TempDir(), env, path, args...)
	if said != "" {
		p.says(said)
	}
	return p
}

// says waits until the program has said something.
func (p *peer) says(text string) {
	p.t.Helper()
	wait(p.t, fmt.Sprintf("%q of %s", text, p.name), func() bool {
		if strings.Contains(p.err.String(), text) || strings.Contains(p.out.String(), text) {
			return true
		}
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended, code %d, and did not say %q", p.name, p.cmd.ProcessState.ExitCode(), text)
		default:
		}
		return false
	})
}

// bound waits until the program has bound a port: an address:port of UDP or TCP.
func (p *peer) bound(network, at string) {
	p.t.Helper()
	wait(p.t, fmt.Sprintf("%s at %s:%s", p.name, network, at), func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended, code %d, without %s:%s", p.name, p.cmd.ProcessState.ExitCode(), network, at)
		default:
		}
		return listens(p.t, network, netip.MustParseAddrPort(at))
	})
}

// listens tells whether a socket is bound to an address: the second field of /proc/net/udp, as proc(5) has it.
func listens(t *testing.T, network string, at netip.AddrPort) bool {
	t.Helper()
	ip := at.Addr().AsSlice()
	for word := range slices.Chunk(ip, 4) { // words of the machine's order
		slices.Reverse(word)
	}
	want := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(ip)), at.Port())
	if at.Addr().Is6() {
		network += "6"
	}
	table, err := os.ReadFile("/proc/net/" + network)
	if err != nil {
		t.Fatal(err)
	}
	const listening = "0A" // of TCP
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && f[1] == want && (strings.HasPrefix(network, "udp") || f[3] == listening) {
			return true
		}
	}
	return false
}

func (p *peer) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// ends waits until the program has ended.
func (p *peer) ends() {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(60 * time.Second):
		p.t.Fatalf("%s does not end", p.name)
	}
}

// end waits until the program has ended, and checks how.
func (p *peer) end(code int) {
	p.t.Helper()
	p.ends()
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		p.t.Fatalf("%s: exit code %d, want %d", p.name, got, code)
	}
}

// stop asks the program to end.
func (p *peer) stop(s syscall.Signal, code int) {
	p.t.Helper()
	p.signal(s)
	p.end(code)
}

// path is a file of the program's directory.
func (p *peer) path(name string) string { return filepath.Join(p.dir, name) }

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// sipMessage is one of a capture, as sipscope reads it.
type sipMessage struct {
	Frame, Nth          int // 1-based frame, and which message of it
	Source, Destination string
	Transport, Raw      string
}

// header is the value of the first header of a name.
func (m *sipMessage) header(name string) string { return headerOf(m.Raw, name) }

// what is a request's method or a response's status.
func (m *sipMessage) what() string {
	f := strings.Fields(startLine(m.Raw))
	if f[0] == "SIP/2.0" {
		return f[1]
	}
	return f[0]
}

// sipMessages reads the messages of a capture with sipscope, in order.
func sipMessages(t *testing.T, path string) []sipMessage {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sipscope", "export", path, "--filter", "messages > 0", "--format", "json", "-o", "-", "--quiet", "--filter", "messages > 0").Output()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var doc struct {
		Calls []struct{ Messages []sipMessage }
	}
	if err = json.Unmarshal(out, &doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var all []sipMessage
	for _, c := range doc.Calls {
		all = append(all, c.Messages...)
	}
	slices.SortFunc(all, func(a, b sipMessage) int { return cmp.Or(cmp.Compare(a.Frame, b.Frame), cmp.Compare(a.Nth, b.Nth)) })
	return all
}

// startLine is a message's first line.
func startLine(text string) string {
	line, _, _ := strings.Cut(text, "\r\n")
	return line
}

// headerOf is the value of the first header of a name.
func headerOf(text, name string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if n, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// once leaves retransmissions out: a slow machine makes some.
func once(messages []sipMessage) []sipMessage {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(messages), func(m sipMessage) bool {
		again := m.Source + m.Destination + m.Raw
		defer func() { seen[again] = true }()
		return seen[again]
	})
}

// flowOf gives the methods and statuses of a capture, in order, without retransmissions.
func flowOf(messages []sipMessage) string { return everyOf(once(messages)) }

// everyOf gives the methods and statuses of a capture, in order, with retransmissions.
func everyOf(messages []sipMessage) string {
	var all []string
	for i := range messages {
		all = append(all, messages[i].what())
	}
	return strings.Join(all, " ")
}

// sameAsTshark checks that tshark reads the same messages out of a capture of ours, and finds no fault with its frames.
func sameAsTshark(t *testing.T, path string) {
	t.Helper()
	tshark := need(t, "tshark", "tshark")
	run := func(args ...string) string {
		args = append([]string{"-r", path, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE"}, args...)
		cmd := exec.CommandContext(t.Context(), tshark, args...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark: %v", err)
		}
		return string(out)
	}
	var theirs, mine []string // Call-ID and start line
	out := run("-Y", "sip || _ws.malformed || tcp.analysis.flags || _ws.expert.severity >= 0x800000", "-T", "fields", "-E", "aggregator=|",
		"-e", "frame.number", "-e", "sip.Request-Line", "-e", "sip.Status-Line", "-e", "sip.Call-ID", "-e", "_ws.expert.message", "-e", "_ws.malformed")
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if strings.Contains(f[4], "hecksum") || strings.Contains(f[4], "TCP") || f[5] != "" {
			t.Errorf("tshark finds fault with frame %s of %s: %s %s", f[0], path, f[4], f[5])
		}
		lines := slices.DeleteFunc(append(strings.Split(f[1], "|"), strings.Split(f[2], "|")...), func(s string) bool { return s == "" })
		for i, id := range strings.Split(f[3], "|") {
			if i < len(lines) {
				theirs = append(theirs, id+" "+lines[i])
			}
		}
	}
	for _, m := range sipMessages(t, path) {
		mine = append(mine, m.header("Call-ID")+" "+startLine(m.Raw))
	}
	slices.Sort(theirs)
	slices.Sort(mine)
	if len(mine) == 0 || !slices.Equal(mine, theirs) {
		t.Errorf("%s: %d messages, tshark reads %d", path, len(mine), len(theirs))
		for i := range min(len(mine), len(theirs)) {
			if mine[i] != theirs[i] {
				t.Fatalf("ours %q, tshark's %q", mine[i], theirs[i])
			}
		}
	}
}
