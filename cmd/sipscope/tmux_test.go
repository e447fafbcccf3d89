package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
)

// terminal is a real terminal, drawn by tmux, with the program in it.
type terminal struct {
	t      *testing.T
	socket string
}

// patience is how long a screen may take to show what is waited for: a shared machine under the race detector is slow.
const patience = 20 * time.Second

// newTerminal starts a command of the shell in a terminal of w by h cells. sipscope is this test binary under another
// name, which main_test runs as the program.
func newTerminal(t *testing.T, w, h int, command string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tmux is missing: apt-get install tmux")
		}
		t.Skip("tmux is missing: apt-get install tmux")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "sipscope")); err != nil {
		t.Fatal(err)
	}
	x := &terminal{t, filepath.Join(dir, "tmux")}
	env := []string{
		"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir + "/home", "LANG=C.UTF-8", "LC_ALL=C.UTF-8",
		"COLORTERM=truecolor",
	}
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "GOCOVERDIR=") || strings.HasPrefix(e, "TMPDIR=") {
			env = append(env, e)
		}
	}
	cmd := exec.CommandContext(t.Context(), "tmux", "-S", x.socket, "-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(w),
		"-y", strconv.Itoa(h), "sh", "-c", command+"; echo rc=$?; stty -a | grep -o -- ' -*echo '; sleep 60")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", x.socket, "kill-server").Run() })
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	out, err := exec.CommandContext(x.t.Context(), "tmux", append([]string{"-S", x.socket}, args...)...).CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %s: %v: %s", args[0], err, out)
	}
	return string(out)
}

// keys presses keys, by tmux's names; "text:..." is typed.
func (x *terminal) keys(keys ...string) {
	x.t.Helper()
	for _, k := range keys {
		if text, ok := strings.CutPrefix(k, "text:"); ok {
			x.tmux("send-keys", "-l", text)
			continue
		}
		x.tmux("send-keys", k)
	}
}

func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

// wait waits until the screen matches.
func (x *terminal) wait(pattern string) {
	x.t.Helper()
	re := regexp.MustCompile(pattern)
	end := time.Now().Add(patience)
	for {
		s := x.screen()
		if re.MatchString(s) {
			return
		}
		if time.Now().After(end) {
			x.t.Fatalf("the screen never showed %q:\n%s", pattern, s)
		}
		time.Sleep(15 * time.Millisecond)
	}
}

// keep writes a screen to docs/screens when UPDATE_SCREENS is set (make screens).
func (x *terminal) keep(name string) {
	x.t.Helper()
	if os.Getenv("UPDATE_SCREENS") == "" {
		return
	}
	dir := filepath.Join("..", "..", "docs", "screens")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		x.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(x.screen()), 0o644); err != nil {
		x.t.Fatal(err)
	}
}

// captures is the project's captures as arguments.
func captures(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/pcaps/*.pcap")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	return strings.Join(paths, " ")
}

// TestTmuxStory does what a person does who looks for a failed call: open captures, filter, look at the ladder, at a
// message, at the difference of two, save the call, quit.
func TestTmuxStory(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 40}, {200, 60}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			t.Parallel()
			name := func(what string) string { return fmt.Sprintf("%s-%dx%d", what, size.w, size.h) }
			x := newTerminal(t, size.w, size.h, "sipscope "+captures(t))
			x.wait(`completed(.|\n)*F1 Help`)
			x.keep(name("1-list"))
			x.keys("F7")
			x.wait(`filter:`)
			x.keys(`text:state == "failed" && code >= 500`)
			x.wait(`failed`)
			x.keep(name("2-filter"))
			x.wait(`1 of [0-9]+ calls · filter state == "failed" && code >= 500( · [0-9]+ encrypted.*)? *\n`) // and no more "filtering"
			x.keys("Enter")
			x.wait(`F1 Help`)
			x.keys("Enter")
			x.wait(`503(.|\n)*Esc Back`)
			x.keep(name("3-ladder"))
			x.keys("Down", "F6")
			x.wait(`SIP/2.0 503`)
			x.keep(name("4-message"))
			x.keys("q")
			x.wait(`Esc Back.*Compress|Esc Back.*Extended`)
			x.keys("Up", "Space", "Down", "Space")
			x.wait(`differences`)
			x.keep(name("5-compare"))
			x.keys("q", "S")
			x.wait(`Format`)
			x.keep(name("6-save"))
			out := filepath.Join(t.TempDir(), "failed.pcap")
			x.keys("C-u", "text:"+out, "Enter")
			x.wait(`3 frames of 1 call saved`)
			x.keys("q", "i")
			x.wait(`retransmissions|SIP messages`)
			x.keep(name("7-statistics"))
			x.keys("q", "F1")
			x.wait(`keys of this screen`)
			x.keep(name("8-help"))
			x.keys("q", "q")
			x.wait(`rc=0\n +echo`)
			checkFrames(t, out, 3)
		})
	}
}

func checkFrames(t *testing.T, path string, want int) {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var b capture.Batch
	n := 0
	for files.Next(t.Context(), &b) == nil {
		n += len(b.Packets)
	}
	if n != want {
		t.Errorf("%s has %d frames, want %d", path, n, want)
	}
}

// TestTmuxRestores ends the program in the ways in which programs end, and looks whether the shell's terminal echoes.
func TestTmuxRestores(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, command string
		end           func(t *testing.T, x *terminal, dir string)
		want          string
	}{
		{"quit", "", func(_ *testing.T, x *terminal, _ string) { x.keys("q") }, `rc=0\n +echo`},
		{"interrupt", "", func(_ *testing.T, x *terminal, _ string) { x.keys("C-c") }, `rc=0\n +echo`},
		{"SIGTERM", "", func(t *testing.T, _ *terminal, dir string) {
			t.Helper()
			signalFile(t, dir, "-TERM")
		}, `rc=0\n +echo`},
		{"SIGHUP", "", func(t *testing.T, _ *terminal, dir string) {
			t.Helper()
			signalFile(t, dir, "-HUP")
		}, `rc=0\n +echo`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, err := filepath.Abs("../../testdata/pcaps/two-proxies.pcap")
			if err != nil {
				t.Fatal(err)
			}
			x := newTerminal(t, 80, 24, "cd "+dir+" && "+withPid(path))
			x.wait(`completed`)
			tt.end(t, x, dir)
			x.wait(tt.want)
		})
	}
}

// withPid is a command that leaves the program's process id in the file pid.
func withPid(path string) string { return `sh -c 'echo $$ > pid; exec sipscope "$1"' sh ` + path }

func signalFile(t *testing.T, dir, signal string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "kill "+signal+" $(cat "+filepath.Join(dir, "pid")+")").CombinedOutput()
	if err != nil {
		t.Fatalf("kill: %v: %s", err, out)
	}
}

// TestTmuxLostTerminal takes the terminal away: the program must not go on, least of all busily.
func TestTmuxLostTerminal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := filepath.Abs("../../testdata/pcaps/two-proxies.pcap")
	if err != nil {
		t.Fatal(err)
	}
	x := newTerminal(t, 80, 24, "trap '' HUP; cd "+dir+" && "+withPid(path))
	x.wait(`completed`)
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	x.tmux("kill-server")
	end := time.Now().Add(patience)
	for {
		if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the program outlives its terminal")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestTmuxWindow changes the size of the terminal while the program runs.
func TestTmuxWindow(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, 120, 40, "sipscope "+captures(t))
	x.wait(`completed`)
	x.keys("Enter")
	x.wait(`Esc Back`)
	for _, size := range [][2]string{{"40", "10"}, {"20", "6"}, {"200", "60"}, {"80", "24"}} {
		x.tmux("resize-window", "-x", size[0], "-y", size[1])
		time.Sleep(50 * time.Millisecond)
	}
	x.wait(`Esc Back`)
	x.keys("q", "q")
	x.wait(`rc=0`)
}
