package spool

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
const childEnv = "SIPSCOPE_SPOOL_CHILD"

// child runs one test of this binary in a process of its own.
func child(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	c.Env = append(os.Environ(), childEnv+"="+dir)
	return c
}

// TestDiskFull uses a real full disk: a tmpfs of some MiB, in a mount namespace of a child process.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(childEnv); dir != "" {
		mount(t, dir)
		diskFull(t, dir)
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

// diskSize is the room of the disk, in bytes: less than the spool's size.
const diskSize = 6 << 20

func mount(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		t.Fatal(err)
	}
}

func diskFull(t *testing.T, dir string) {
	t.Helper()
	f := newFeed(1 << 40)
	s := open(t, f, Options{Dir: filepath.Join(dir, "spool"), Size: 64 << 20, Queue: 1 << 20})
	var given []kept
	run := func(n int) {
		t.Helper()
		for range n / 64 {
			given = append(given, drain(t, s, 64)...)
			settle(t, s)
			for _, k := range given[max(0, len(given)-64):] {
				check(t, s, k, false)
			}
		}
	}

	// The ring is larger than the disk: it turns over within what the disk has.
	run(40_000)
	st := s.Stats()
	if st.Failed+st.Dropped > 0 || st.LastError != "" || st.Gone == 0 || st.Kept+st.Gone != st.Packets {
		t.Errorf("full of ourselves: %+v", st)
	}
	if st.Disk < diskSize/2 {
		t.Errorf("%d bytes kept on a disk of %d", st.Disk, diskSize)
	}

	// Somebody else takes the rest, and what the ring gives up: it becomes nothing, and packets pass on.
	hog, free := takeAll(t, dir)
	for range 20 {
		run(640)
		hog()
		p, err := s.Reopen() // segments begin in the middle of chunks by now
		if err != nil {
			t.Fatal(err)
		}
		if got, end := secondPass(t, p, given); !errors.Is(end, io.EOF) || uint64(len(got)) != s.Stats().Kept {
			t.Errorf("the second pass gave %d packets, then %v; %d are kept", len(got), end, s.Stats().Kept)
		}
		p.Close()
	}
	if st = s.Stats(); st.Failed == 0 || st.LastError == "" || st.Kept+st.Gone != st.Packets ||
		st.Packets+st.Failed+st.Dropped != uint64(len(given)) {
		t.Errorf("taken by somebody else: %+v, %d given", st, len(given))
	}
	for _, path := range mustGlob(t, s.Dir()) {
		countFile(t, path, true) // cut to whole blocks
	}

	// Room is back: it goes on.
	free()
	run(6400)
	now := s.Stats()
	run(6400)
	if end := s.Stats(); end.LastError != "" || end.Failed != now.Failed || end.Bytes <= now.Bytes {
		t.Errorf("room is back: %+v, then %+v", now, end)
	}
	for _, k := range given {
		check(t, s, k, true)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	n := 0
	for _, path := range mustGlob(t, s.Dir()) {
		n += countFile(t, path, true)
	}
	if st := s.Stats(); uint64(n) != st.Packets-st.Gone {
		t.Errorf("%d packets on the disk, %+v", n, st)
	}
}

func mustGlob(t *testing.T, dir string) []string {
	t.Helper()
	paths, _ := segmentFiles(t, dir)
	return paths
}

// takeAll makes a file that takes all room of a disk, whenever more is called.
func takeAll(t *testing.T, dir string) (more, free func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "hog"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	more = func() {
		for err := error(nil); err == nil; {
			_, err = f.Write(make([]byte, 4096))
		}
	}
	free = func() {
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return more, free
}

// TestKilled: a process killed while it writes leaves files that can be read; the next one with a temporary directory
// removes those of the dead.
func TestKilled(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(childEnv); dir != "" {
		keepOn(t, dir)
		return
	}
	root := t.TempDir()
	for _, named := range []bool{true, false} {
		dir := root
		if named {
			dir = filepath.Join(root, "named")
		}
		c := child(t, dir)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err = c.Start(); err != nil {
			t.Fatal(err)
		}
		var where string
		var packets int
		for r := bufio.NewScanner(out); r.Scan(); {
			if n, _ := fmt.Sscanf(r.Text(), "written %d in %s", &packets, &where); n == 2 {
				break
			}
		}
		if err = c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out)
		if err = c.Wait(); err == nil || where == "" {
			t.Fatalf("the child was not killed at work: %v", err)
		}
		n := 0
		for _, path := range mustGlob(t, where) {
			n += countFile(t, path, false)
		}
		if n < packets {
			t.Errorf("%d packets can be read, %d were written", n, packets)
		}
		s := open(t, newFeed(1), Options{root: root})
		if _, err := os.Stat(where); named != (err == nil) {
			t.Errorf("named: %v, after the next start: %v", named, err)
		}
		s.Close()
	}
}

// keepOn is the child of TestKilled.
func keepOn(t *testing.T, dir string) {
	t.Helper()
	o := Options{root: dir, Size: 512 << 20}
	if filepath.Base(dir) == "named" {
		o.Dir = dir
	}
	s, err := New(newFeed(1<<40), o)
	if err != nil {
		t.Fatal(err)
	}
	var b capture.Batch
	for i := 0; ; i++ {
		if err := s.Next(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); i%100 == 99 && st.Bytes > 0 {
			s.mu.Lock()
			n := uint64(0)
			for _, g := range s.segments {
				n += g.packets
			}
			s.mu.Unlock()
			if _, err := fmt.Printf("written %d in %s\n", n, s.Dir()); errors.Is(err, syscall.EPIPE) {
				return
			}
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
