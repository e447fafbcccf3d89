package main

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pty is the program in a pseudo-terminal, with the times at which its output came.
type pty struct {
	tb     testing.TB
	cmd    *exec.Cmd
	master *os.File
	out    chan ptyOutput
	start  time.Time
}

type ptyOutput struct {
	at   time.Time
	data []byte
}

func startPTY(tb testing.TB, w, h uint16, args ...string) *pty {
	tb.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			tb.Fatalf("no pseudo-terminals, and CI must have them: %v", err)
		}
		tb.Skipf("no pseudo-terminals: %v", err)
	}
	fd := int(master.Fd())
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	must(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: h, Col: w}))
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(err)
	self, err := os.Executable()
	must(err)
	link := filepath.Join(tb.TempDir(), "sipscope")
	must(os.Symlink(self, link))
	p := &pty{tb: tb, master: master, out: make(chan ptyOutput, 1024)}
	p.cmd = exec.Command(link, args...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "HOME=/nonexistent", "XDG_CONFIG_HOME=")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.start = time.Now()
	must(p.cmd.Start())
	_ = slave.Close()
	go func() {
		defer close(p.out)
		for {
			buf := make([]byte, 1<<16)
			n, err := master.Read(buf)
			if n > 0 {
				p.out <- ptyOutput{time.Now(), buf[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// until waits for output that holds a text, and came after a time, and gives its time.
func (p *pty) until(text string, after time.Time) time.Time {
	p.tb.Helper()
	var seen []byte
	for {
		select {
		case o, ok := <-p.out:
			if !ok {
				p.tb.Fatalf("the program ended before it showed %q", text)
			}
			if o.at.Before(after) {
				continue
			}
			if seen = append(seen, o.data...); bytes.Contains(seen, []byte(text)) {
				return o.at
			}
		case <-time.After(patience):
			p.tb.Fatalf("no %q in %d bytes", text, len(seen))
		}
	}
}

// quiet waits until nothing came for some time, and gives the time of the last output.
func (p *pty) quiet(last time.Time) time.Time {
	for {
		select {
		case o, ok := <-p.out:
			if !ok {
				return last
			}
			last = o.at
		case <-time.After(400 * time.Millisecond):
			return last
		}
	}
}

func (p *pty) press(key string) time.Time {
	now := time.Now()
	if _, err := p.master.WriteString(key); err != nil {
		p.tb.Fatal(err)
	}
	return now
}

// end quits the program and gives its peak resident size in MiB.
func (p *pty) end() float64 {
	p.tb.Helper()
	p.press("\x03")
	for range p.out {
	}
	err := p.cmd.Wait()
	_ = p.master.Close()
	usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if err != nil || !ok {
		p.tb.Fatalf("the program ended with %v", err)
	}
	return float64(usage.Maxrss) / 1024
}

// mark is what only a key draws: the sign of the call that Space selects.
const mark = "✓"

// BenchmarkTerminal opens the capture that SIPSCOPE_BENCH names in a pseudo-terminal and reports when the first calls are
// on the screen, when it was read, how soon a key is answered meanwhile, and the peak of memory.
func BenchmarkTerminal(b *testing.B) {
	path := os.Getenv("SIPSCOPE_BENCH")
	if path == "" {
		b.Skip("SIPSCOPE_BENCH names no capture")
	}
	var first, load, keys []time.Duration
	var peak float64
	for b.Loop() {
		p := startPTY(b, 120, 40, path)
		at := p.until("INVITE", p.start)
		first = append(first, at.Sub(p.start))
		load = append(load, p.quiet(at).Sub(p.start))
		peak = max(peak, p.end())

		p = startPTY(b, 120, 40, path)
		p.until("INVITE", p.start)
		for time.Since(p.start) < load[len(load)-1]-50*time.Millisecond {
			sent := p.press(" ")
			keys = append(keys, p.until(mark, sent).Sub(sent))
			p.press("k k") // back, unselect, back: the next mark is drawn anew
			time.Sleep(10 * time.Millisecond)
		}
		p.end()
	}
	slices.Sort(keys)
	slices.Sort(first)
	slices.Sort(load)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(first[len(first)/2]), "first-ms")
	b.ReportMetric(ms(load[len(load)/2]), "load-ms")
	b.ReportMetric(ms(keys[len(keys)/2]), "key-p50-ms")
	b.ReportMetric(ms(keys[len(keys)*99/100]), "key-p99-ms")
	b.ReportMetric(ms(keys[len(keys)-1]), "key-max-ms")
	b.ReportMetric(peak, "peak-MiB")
	b.Logf("%d keys while loading", len(keys))
}

// A copy goes to the clipboard of the terminal that the user sits at (OSC 52), base64 as that asks.
func TestCopyReachesTheTerminal(t *testing.T) {
	t.Parallel()
	p := startPTY(t, 100, 30, "../../testdata/pcaps/two-proxies.pcap")
	p.until("INVITE", p.start)
	p.press("y")
	p.until("\x1b]52;c;"+base64.StdEncoding.EncodeToString([]byte("2xTb9vxSit55XU7p8@10.0.1.10")), p.start)
	p.end()
}

// What is on the wire never reaches the terminal as a command: every escape sequence in the output is one that tcell
// makes.
func TestHostileTextDoesNotCommandTheTerminal(t *testing.T) {
	t.Parallel()
	p := startPTY(t, 120, 40, "../../testdata/pcaps/hostile-names.pcap")
	p.until("INVITE", p.start)
	p.press("\r")
	p.until("10.0.", p.start)
	for _, key := range []string{"j", "j", "v", "\r", "v", "q", "q"} {
		p.press(key)
		time.Sleep(30 * time.Millisecond)
	}
	var all []byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		for o := range p.out {
			all = append(all, o.data...)
		}
	}()
	p.press("\x03")
	<-done
	_ = p.cmd.Wait()
	for _, bad := range []string{"\x1b]0;", "\x1b]2;PWNED", "\x1b[2J\x1b[H\x1b", "\x07", "\u202e", "\u200b"} {
		if bytes.Contains(all, []byte(bad)) {
			t.Errorf("the terminal got %q", bad)
		}
	}
	if len(all) < 2000 {
		t.Errorf("only %d bytes were drawn", len(all))
	}
}
