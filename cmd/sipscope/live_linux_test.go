package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sipscope/capture"
)

// wires is two network namespaces joined by a cable: packets replayed at v0 arrive at v1.
type wires struct {
	t    *testing.T
	a, b string
}

// lacks skips the test for what this machine does not give it, which CI must.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SIPSCOPE_CI") != "" {
		t.Fatalf("%s, and CI must have it", what)
	}
	t.Skip(what)
}

// newWires makes them, and removes them with the test. It needs root, ip and tcpreplay.
func newWires(t *testing.T) *wires {
	t.Helper()
	need := func(ok bool, what string) {
		t.Helper()
		if !ok {
			lacks(t, what)
		}
	}
	need(os.Geteuid() == 0, "network namespaces need root")
	for tool, pkg := range map[string]string{"ip": "iproute2", "tcpreplay": "tcpreplay"} {
		_, err := exec.LookPath(tool)
		need(err == nil, tool+" is missing: install the package "+pkg)
	}
	w := &wires{t: t, a: fmt.Sprintf("sipscope-a-%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)}
	w.b = strings.Replace(w.a, "-a-", "-b-", 1)
	for _, name := range []string{w.a, w.b} {
		w.ip("netns", "add", name)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
		w.ip("netns", "exec", name, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
	}
	w.cable()
	w.ip("-n", w.b, "link", "set", "lo", "up")
	return w
}

// cable joins the namespaces, again when it was pulled.
func (w *wires) cable() {
	w.t.Helper()
	w.ip("-n", w.a, "link", "add", "v0", "mtu", "9000", "type", "veth", "peer", "name", "v1", "netns", w.b)
	w.ip("-n", w.b, "link", "set", "v1", "mtu", "9000", "up")
	w.ip("-n", w.a, "link", "set", "v0", "up")
}

// ip runs the command ip.
func (w *wires) ip(args ...string) {
	w.t.Helper()
	if out, err := exec.CommandContext(w.t.Context(), "ip", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// replay sends the packets of a capture at top speed, or in extra's way.
func (w *wires) replay(path string, extra ...string) {
	w.t.Helper()
	args := append([]string{"netns", "exec", w.a, "tcpreplay", "-q", "-i", "v0"}, extra...)
	if len(extra) == 0 {
		args = append(args, "--topspeed")
	}
	w.ip(append(args, path)...)
}

// running is the program in the second namespace.
type running struct {
	t        *testing.T
	cmd      *exec.Cmd
	dir      string
	out, err bytes.Buffer
	ended    chan struct{}
}

// start starts the program there, in a directory of its own, and waits until it captures.
func (w *wires) start(args ...string) *running {
	w.t.Helper()
	r := &running{t: w.t, dir: w.t.TempDir(), ended: make(chan struct{})}
	path, err := exec.LookPath("sipscope")
	if err != nil {
		w.t.Fatal(err)
	}
	// ip replaces itself by the program, so that signals reach it
	r.cmd = exec.Command("ip", append([]string{"netns", "exec", w.b, path}, args...)...)
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = r.dir, &r.out, &r.err
	before := w.sockets()
	if err = r.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { r.kill(syscall.SIGKILL) })
	go func() { _ = r.cmd.Wait(); close(r.ended) }()
	wait(w.t, "a packet socket", func() bool { return w.sockets() > before })
	return r
}

// sockets counts the packet sockets of the second namespace that receive: protocol and state of packet(7)'s list.
func (w *wires) sockets() int {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), "ip", "netns", "exec", w.b, "cat", "/proc/net/packet").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 5 && f[3] == "0003" && f[5] == "1" {
			n++
		}
	}
	return n
}

// wait waits for something that will happen soon.
func wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func (r *running) kill(s syscall.Signal) {
	select {
	case <-r.ended:
	default:
		_ = r.cmd.Process.Signal(s)
	}
}

// stop asks the program to end, and checks how it did.
func (r *running) stop(s syscall.Signal, code int) {
	r.t.Helper()
	r.kill(s)
	select {
	case <-r.ended:
	case <-time.After(20 * time.Second):
		r.kill(syscall.SIGQUIT)
		<-r.ended
		r.t.Fatalf("it does not end: %s", r.err.String())
	}
	if got := r.cmd.ProcessState.ExitCode(); got != code {
		r.t.Fatalf("exit code %d, want %d: %s", got, code, r.err.String())
	}
}

// path is a file of the program's directory.
func (r *running) path(name string) string { return filepath.Join(r.dir, name) }

// frames counts the packets of a capture that must be whole.
func frames(t *testing.T, path string) int {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files.Close() }()
	var b capture.Batch
	n := 0
	for {
		if err = files.Next(t.Context(), &b); err != nil {
			break
		}
		n += len(b.Packets)
	}
	b.Release()
	if err.Error() != "EOF" {
		t.Fatalf("%s: %v", path, err)
	}
	return n
}

// What arrives is what a file of the same packets says, and Ctrl-C ends the capture, not the output.
func TestLiveStats(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	many := writeFlow(t, "mixed.flow", mixedFlow(300))
	r := w.start("ls", "-d", "v1", "--format", "json")
	w.replay(many)
	time.Sleep(300 * time.Millisecond)
	r.stop(syscall.SIGINT, 0)
	var live, file struct {
		Calls []struct {
			CallID string `json:"call_id"`
			State  string `json:"state"`
		} `json:"calls"`
		Accounting struct{ Packets int } `json:"accounting"`
	}
	if err := json.Unmarshal(r.out.Bytes(), &live); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sipscope", "ls", many, "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err = json.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	if live.Accounting.Packets != file.Accounting.Packets || len(live.Calls) != len(file.Calls) || len(live.Calls) == 0 {
		t.Errorf("%d packets and %d calls, want %d and %d", live.Accounting.Packets, len(live.Calls), file.Accounting.Packets, len(file.Calls))
	}
}

// Files are whole when the program is asked to end under load, begin anew on a hangup, and a signal writes a report.
func TestLiveCapture(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	many := writeFlow(t, "mixed.flow", mixedFlow(300))
	r := w.start("capture", "-d", "v1", "-O", "trace.pcapng", "--spool", "spool", "--spool-size", "2MB")
	w.replay(pcap("two-proxies.pcap"))
	wait(t, "the first packets on disk", func() bool { return size(r.path("trace.pcapng")) > 10_000 })
	if err := os.Rename(r.path("trace.pcapng"), r.path("moved.pcapng")); err != nil {
		t.Fatal(err)
	}
	r.kill(syscall.SIGHUP)
	wait(t, "a new file", func() bool { return size(r.path("trace.pcapng")) > 0 })
	w.replay(pcap("cancel.pcap"))
	r.kill(syscall.SIGUSR1)
	wait(t, "a report", func() bool {
		all, _ := filepath.Glob(r.path("sipscope-*.html"))
		return len(all) == 1 && size(all[0]) > 10_000
	})
	w.replay(many, "--loop=20", "--topspeed")
	r.stop(syscall.SIGTERM, 0)
	moved, trace := frames(t, r.path("moved.pcapng")), frames(t, r.path("trace.pcapng"))
	if moved != frames(t, pcap("two-proxies.pcap")) || trace == 0 {
		t.Errorf("%d packets before the hangup, %d after it", moved, trace)
	}
	if want := fmt.Sprintf("%d packets in", moved+trace); !strings.Contains(r.err.String(), want) {
		t.Errorf("%q is not in %q", want, r.err.String())
	}
	spooled, err := filepath.Glob(r.path("spool/*.pcapng"))
	if err != nil || len(spooled) == 0 {
		t.Errorf("the spool was not kept: %v", err)
	}
	total := int64(0)
	for _, path := range spooled {
		frames(t, path)
		total += size(path)
	}
	if total > 3<<20 {
		t.Errorf("the spool has %d bytes, 2 MB allowed", total)
	}
}

func size(path string) int64 {
	st, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return st.Size()
}

// A killed process leaves files that are whole up to the last seconds, also on a line that has fallen silent.
func TestLiveKilled(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		extra []string
		after time.Duration // a call that matches waits up to two seconds for more of its frames
	}{
		{"all", nil, 2500 * time.Millisecond},
		{"filter", []string{"--filter", `method == "INVITE"`}, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWires(t)
			r := w.start(append([]string{"capture", "-d", "v1", "-O", "trace.pcapng", "--spool", "spool"}, tt.extra...)...)
			w.replay(pcap("two-proxies.pcap"))
			time.Sleep(tt.after)
			r.kill(syscall.SIGKILL)
			<-r.ended
			want := frames(t, pcap("two-proxies.pcap"))
			if got := frames(t, r.path("trace.pcapng")); got != want {
				t.Errorf("%d packets on disk, want %d", got, want)
			}
		})
	}
}

// An interface that is removed and comes back is captured again; the time without it is no error.
func TestLiveInterfaceReturns(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	r := w.start("capture", "-d", "v1", "-O", "trace.pcapng", "--metrics", "127.0.0.1:9100")
	w.replay(pcap("cancel.pcap"))
	w.ip("-n", w.a, "link", "del", "v0")
	up := func(want string) func() bool {
		return func() bool {
			out, _ := exec.CommandContext(t.Context(), "ip", "netns", "exec", w.b, "curl", "-s", "http://127.0.0.1:9100/metrics").Output()
			return strings.Contains(string(out), `sipscope_source_up{source="v1"} `+want)
		}
	}
	wait(t, "the interface to be missed", up("0"))
	w.cable()
	wait(t, "the interface to be back", up("1"))
	w.replay(pcap("busy-486.pcap"))
	time.Sleep(300 * time.Millisecond)
	r.stop(syscall.SIGTERM, 0)
	want := frames(t, pcap("cancel.pcap")) + frames(t, pcap("busy-486.pcap"))
	if got := frames(t, r.path("trace.pcapng")); got != want {
		t.Errorf("%d packets, want %d: %s", got, want, r.err.String())
	}
}

// Only calls that match are written, with the frames that they had before; one file a call on request.
func TestLiveChosenCalls(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	one := w.start("capture", "-d", "v1", "--filter", `state == "busy"`, "-O", "busy.pcapng")
	each := w.start("capture", "-d", "v1", "--per-call", "calls")
	w.replay(pcap("two-proxies.pcap"))
	w.replay(pcap("busy-486.pcap"))
	time.Sleep(300 * time.Millisecond)
	one.stop(syscall.SIGINT, 0)
	each.stop(syscall.SIGINT, 0)
	out, err := exec.CommandContext(t.Context(), "sipscope", "ls", one.path("busy.pcapng"), "--format", "csv", "--columns", "state,messages").Output()
	if err != nil || !strings.HasPrefix(string(out), "state,messages\r\nbusy,4") || strings.Count(string(out), "\n") != 2 {
		t.Errorf("%s, %v", out, err)
	}
	files, err := filepath.Glob(each.path("calls/*.pcapng"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v; want two files: %s", files, err, each.err.String())
	}
}

// A full disk costs packets, which are counted, and not the file.
func TestLiveDiskFull(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	many, dir := writeFlow(t, "mixed.flow", mixedFlow(300)), t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		lacks(t, "no tmpfs: "+err.Error())
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	r := w.start("capture", "-d", "v1", "-O", filepath.Join(dir, "full.pcapng"))
	w.replay(many, "--loop=20", "--topspeed")
	time.Sleep(1500 * time.Millisecond)
	r.stop(syscall.SIGTERM, 2)
	if !strings.Contains(r.err.String(), "no space left on device") {
		t.Errorf("it does not say that the disk is full: %s", r.err.String())
	}
	if n := frames(t, filepath.Join(dir, "full.pcapng")); n == 0 {
		t.Error("nothing was written before the disk was full")
	}
}

// Root is given up once the interface is open; files are the user's.
func TestLiveUser(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	dir := public(t)
	r := w.start("capture", "-d", "v1", "--user", "nobody", "--spool", filepath.Join(dir, "spool"), "-O", filepath.Join(dir, "trace.pcapng"))
	w.replay(pcap("cancel.pcap"))
	time.Sleep(300 * time.Millisecond)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Uid:\t65534\t65534\t65534\t65534", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("%q is not in its status", want)
		}
	}
	r.stop(syscall.SIGTERM, 0)
	if n, want := frames(t, filepath.Join(dir, "trace.pcapng")), frames(t, pcap("cancel.pcap")); n != want {
		t.Errorf("%d packets, want %d: %s", n, want, r.err.String())
	}
}

// public gives a folder that anybody may write to.
func public(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Without the privilege there is one line that names it, and one that says how to get it.
func TestLivePermission(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		lacks(t, "becoming another user needs root")
	}
	path, err := exec.LookPath("sipscope")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(public(t), "sipscope")
	if err = os.WriteFile(copied, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), copied, "ls", "-d", "lo")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	want := "sipscope: lo: not allowed to capture: it needs the capability CAP_NET_RAW\n" +
		"  run it as root, or once: sudo setcap cap_net_raw+ep " + copied + "\n"
	if err == nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

// What cannot be captured is said in a line with what to do.
func TestLiveRefused(t *testing.T) {
	t.Parallel()
	w := newWires(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"ls", "-d", "nosuch0"}, "nosuch0"},
		{[]string{"ls", "-d", "v1", "--bpf", "port port"}, "--bpf"},
		{[]string{"ls", "-d", "v1", pcap("cancel.pcap")}, "cannot be read together"},
		{[]string{"capture", "-d", "v1"}, "nothing is to be done"},
		{[]string{"ls", "-d", "v1", "--user", "nobody-at-all"}, "nobody-at-all"},
		{[]string{"ls", "-d", "v1", "--spool-size", "x"}, "--spool-size"},
		{[]string{"capture", "-d", "v1", "-O", "/nonexistent/x.pcapng"}, "/nonexistent"},
	} {
		path, err := exec.LookPath("sipscope")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "ip", append([]string{"netns", "exec", w.b, path}, tt.args...)...)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), tt.want) {
			t.Errorf("%v: %v, %s", tt.args, err, out)
		}
	}
	if _, err := os.Stat("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory was made")
	}
}
