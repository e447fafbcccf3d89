package output

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// childEnv tells a child process of the test where to work.
const childEnv = "SIPSCOPE_OUTPUT_CHILD"

func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	c.Env = append(os.Environ(), childEnv+"="+dir)
	return c
}

// TestDiskFull uses a real full disk: a tmpfs of 6 MiB, in a mount namespace of a child process.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(childEnv); dir != "" {
		if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=6291456"); err != nil {
			t.Fatal(err)
		}
		for _, name := range formats() {
			diskFull(t, dir, name)
		}
		rotateOnFullDisk(t, dir)
		return
	}
	if os.Geteuid() != 0 {
		lacks(t, "mounting a file system takes root")
	}
	c := child(t, t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := c.CombinedOutput()
	if err != nil && strings.Contains(err.Error(), "operation not permitted") {
		lacks(t, "no mount namespace: "+err.Error())
	}
	if err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// fill takes all room of a disk but for some bytes.
func fill(t *testing.T, dir string, but int64) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "hog")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	st, err := f.Stat()
	if err == nil {
		err = f.Truncate(max(0, st.Size()-but))
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
}

func diskFull(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	p := create(t, Options{Path: path})
	free := fill(t, dir, 100<<10)
	n, dropped := uint64(0), uint64(0)
	for ; n < 6000; n++ { // 4 MB within 60 s of packet time
		if err := p.Write(packet(n), ""); err != nil {
			if dropped++; !errors.Is(err, ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		}
	}
	if err := p.Tick(packet(n).Time); !errors.Is(err, ErrFull) {
		t.Errorf("%s: Tick says %v", name, err)
	}
	st := p.Stats()
	if st.Dropped != dropped || dropped == 0 || st.Packets+dropped != n || st.LastError == "" || st.Waiting > maxPending {
		t.Errorf("%s: %d dropped, %+v", name, dropped, st)
	}
	if !p.o.Zstd && st.Bytes < 98<<10 {
		t.Errorf("%s: %d bytes written, there is room for 102400", name, st.Bytes)
	}
	before := mustRead(t, path) // whole
	free()
	for ; n < 6500; n++ {
		err := p.Write(packet(n), "")
		if err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if err := p.Tick(packet(n).Time + second); err != nil {
		t.Errorf("%s: room is back, but %v", name, err)
	}
	end := p.Stats()
	if end.LastError != "" || end.Dropped-st.Dropped > 101 {
		t.Errorf("%s: room is back: %+v, then %+v", name, st, end)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	got := mustRead(t, path)
	if uint64(len(got)) != p.Stats().Packets || len(got) <= len(before) || got[len(got)-1] != n-1 {
		t.Errorf("%s: %d packets in the file, before there were %d; %+v", name, len(got), len(before), p.Stats())
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("%s: %d after %d", name, got[i], got[i-1])
		}
	}

	// Closed while the disk is full: what was lost is told, what was written is whole.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p = create(t, Options{Path: path})
	free = fill(t, dir, 0)
	write(t, p, 0, 39)
	err := p.Close()
	if st := p.Stats(); !errors.Is(err, ErrFull) || st.Packets+st.Dropped != 40 || st.Dropped == 0 {
		t.Errorf("%s: Close says %v, %+v", name, err, st)
	}
	if st, err := os.Stat(path); err == nil && st.Size() > 0 {
		if got := mustRead(t, path); uint64(len(got)) != p.Stats().Packets {
			t.Errorf("%s: %d packets in the file, %+v", name, len(got), p.Stats())
		}
	}
	if c, err := Create(Options{Path: path + ".other.pcapng"}); err == nil {
		if c.Close(); c.o.Path != "" {
			t.Errorf("%s: a file was made on the full disk", name)
		}
	} else if !errors.Is(err, ErrFull) {
		t.Errorf("%s: Create says %v", name, err)
	}
	free()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// rotateOnFullDisk: files go on to begin when there is room again, and none is broken. Files makes room by itself.
func rotateOnFullDisk(t *testing.T, dir string) {
	t.Helper()
	var done []string
	p := create(t, Options{
		Path: filepath.Join(dir, "r.pcapng"), MaxBytes: 500_000, OnDone: func(path string) { done = append(done, path) },
	})
	lost := 0
	for n := range uint64(16_000) {
		if err := p.Write(packet(n), ""); err != nil {
			if lost++; !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
		}
		if n == 12_000 {
			for _, path := range done[:8] {
				mustRead(t, path)
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if lost == 0 || len(done) < 12 {
		t.Errorf("%d packets lost, %d files", lost, len(done))
	}
	var got []uint64
	for _, path := range done[8:] {
		got = append(got, mustRead(t, path)...)
	}
	if got[len(got)-1] != 15_999 {
		t.Errorf("the last packet is %d", got[len(got)-1])
	}
}

// TestKilled: a killed process leaves a file that can be read up to the last second.
func TestKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(childEnv); dir != "" {
		name, err := os.ReadFile(filepath.Join(dir, "name"))
		if err != nil {
			t.Fatal(err)
		}
		p := create(t, Options{Path: filepath.Join(dir, string(name)), Names: func(uint16) string { return "eth0" }})
		for n := uint64(0); ; n++ {
			if err := p.Write(packet(n), ""); err != nil {
				t.Fatal(err)
			}
			if n%1000 == 999 {
				fmt.Printf("given %d\n", n+1)
			}
		}
	}
	for _, name := range formats() {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "name"), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		c := child(t, dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err = c.Start(); err != nil {
			t.Fatal(err)
		}
		given := 0
		for r := bufio.NewScanner(out); given < 20_000 && r.Scan(); {
			_, _ = fmt.Sscanf(r.Text(), "given %d", &given)
		}
		if err = c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		if err = c.Wait(); err == nil {
			t.Fatal("the child was not killed")
		}
		got, end := read(t, filepath.Join(dir, name))
		if !errors.Is(end, io.EOF) && !errors.Is(end, capture.ErrDamaged) {
			t.Errorf("%s: %v", name, end)
		}
		if n := len(got); n < given-int(second/step) || !isRow(got, 0, uint64(n)-1) {
			t.Errorf("%s: %d packets, %d were given", name, n, given)
		}
	}
}

// lacks skips the test for what this machine does not give it, which CI must.
func lacks(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SIPSCOPE_CI") != "" {
		t.Fatalf("%s, and CI must have it", what)
	}
	t.Skip(what)
}
