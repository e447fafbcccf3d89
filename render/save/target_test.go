package save

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTarget: what stands at the path decides.
func TestTarget(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"))
	const old = "old bytes"
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, dir string)
		path  string
		force bool
		want  error  // nil: it is saved
		says  string // part of the error
	}{
		{name: "new", path: "out.pcap"},
		{name: "new, force", path: "out.pcap", force: true},
		{name: "exists", path: "old.pcap", want: ErrExists},
		{name: "overwritten", path: "old.pcap", force: true},
		{name: "folder missing", path: "no/such/out.pcap", want: fs.ErrNotExist, says: "no/such: "},
		{name: "folder", path: "sub", want: errAny, says: "directory"},
		{name: "folder, force", path: "sub", force: true, want: errAny, says: "directory"},
		{name: "below a file", path: "old.pcap/out.pcap", want: syscall.ENOTDIR},
		{name: "link to a file", path: "link", want: ErrExists},
		{name: "link to a file, force", path: "link", force: true},
		{name: "link to nothing", path: "dangling", want: ErrExists, says: "leads nowhere"},
		{name: "link to nothing, force", path: "dangling", force: true, want: ErrExists, says: "leads nowhere"},
		{name: "long name", path: strings.Repeat("x", 240) + ".pcap"},
		{name: "too long a name", path: strings.Repeat("x", 300) + ".pcap", want: syscall.ENAMETOOLONG},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "old.pcap"), old)
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Symlink("old.pcap", filepath.Join(dir, "link")),
				os.Symlink("nothing", filepath.Join(dir, "dangling"))); err != nil {
				t.Skip("no symbolic links here:", err)
			}
			before := names(t, dir)
			job := a.job(filepath.Join(dir, c.path), Pcap)
			job.Force = c.force
			_, err := Run(t.Context(), job, nil)
			after := names(t, dir)
			if c.want != nil {
				if err == nil || !errors.Is(c.want, errAny) && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) ||
					strings.Contains(err.Error(), tempPrefix) {
					t.Errorf("%v, want %v with %q", err, c.want, c.says)
				}
				if len(after) != len(before) || content(t, filepath.Join(dir, "old.pcap")) != old {
					t.Errorf("changed: %v, was %v", after, before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if n := len(before); len(after) > n+1 || c.force && c.path != "out.pcap" && len(after) != n {
				t.Errorf("left behind: %v, was %v", after, before)
			}
			if calls := read(t, job.Path).calls(t); len(calls) != 1 {
				t.Errorf("%d calls saved", len(calls))
			}
			if info, err := os.Lstat(filepath.Join(dir, "link")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("the link is %v, %v", info.Mode(), err)
			}
		})
	}
}

// errAny stands for an error that nobody decides on.
var errAny = errors.New("any")

// TestMode: a new file has the usual permissions, an overwritten one keeps its own, a protected one stays.
func TestMode(t *testing.T) {
	t.Parallel()
	a := read(t, project("cancel.pcap"))
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	f, err := os.OpenFile(plain, os.O_CREATE|os.O_WRONLY, newMode) // the umask applies
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	want, err := os.Stat(plain)
	if err != nil {
		t.Fatal(err)
	}
	job := a.job(filepath.Join(dir, "out"), CSV)
	if _, err := Run(t.Context(), job, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(job.Path); err != nil || info.Mode() != want.Mode() {
		t.Errorf("new: %v, %v, want %v", info.Mode(), err, want.Mode())
	}
	job.Force = true
	for _, mode := range []fs.FileMode{0o600, 0o640, 0o666} {
		if err := os.Chmod(job.Path, mode); err != nil {
			t.Skip("no modes here:", err)
		}
		job.Calls = a.job("", CSV).Calls
		if _, err := Run(t.Context(), job, nil); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(job.Path); err != nil || info.Mode() != mode {
			t.Errorf("overwritten: %v, %v, want %v", info.Mode(), err, mode)
		}
	}
}

// TestInput: a capture that is being read is never written over, by whatever name, whatever is asked.
func TestInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := content(t, project("cancel.pcap"))
	path := filepath.Join(dir, "in.pcap")
	write(t, path, data)
	if err := errors.Join(os.Symlink(path, filepath.Join(dir, "symbolic")), os.Link(path, filepath.Join(dir, "hard"))); err != nil {
		t.Skip("no links here:", err)
	}
	a := read(t, path)
	for _, name := range []string{"in.pcap", "symbolic", "hard", "../" + filepath.Base(dir) + "/in.pcap"} {
		for _, force := range []bool{false, true} {
			job := a.job(filepath.Join(dir, name), Pcap)
			job.Force = force
			if _, err := Run(t.Context(), job, nil); !errors.Is(err, ErrInput) {
				t.Errorf("%s, force %v: %v", name, force, err)
			}
		}
	}
	if content(t, path) != data || len(names(t, dir)) != 3 {
		t.Errorf("changed; %v", names(t, dir))
	}
}

// TestRace: a file that somebody else makes meanwhile stays, with and without hard links.
func TestRace(t *testing.T) {
	t.Parallel()
	for name, commit := range map[string]func(*target) error{
		"commit": (*target).commit, "reserve": func(x *target) error { return errors.Join(x.f.Close(), x.reserve()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			for _, theirs := range []bool{true, false} {
				x, err := openTarget(path, false, nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.WriteString(x.f, "ours"); err != nil {
					t.Fatal(err)
				}
				want := "ours"
				if theirs {
					want = "theirs"
					write(t, path, want)
				}
				if err := commit(x); theirs != errors.Is(err, ErrExists) || !theirs && err != nil {
					t.Errorf("somebody else was there: %v; %v", theirs, err)
				}
				x.abort()
				x.abort() // twice is no harm
				if got := names(t, dir); len(got) != 1 || content(t, path) != want {
					t.Errorf("%v, %q, want %q", got, content(t, path), want)
				}
				os.Remove(path)
			}
		})
	}
}

// full is a disk with little room.
type full struct{ left int }

func (f *full) Write(b []byte) (int, error) {
	if len(b) > f.left {
		n := f.left
		f.left = 0
		return n, syscall.ENOSPC
	}
	f.left -= len(b)
	return len(b), nil
}

// short claims to have written, and has not.
type short struct{}

func (short) Write(b []byte) (int, error) { return len(b) / 2, nil }

// TestDiskFull: every format tells at every size.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	a := read(t, project("two-proxies.pcap"))
	for _, f := range Formats() {
		size := len(save(t, a.job("", f)))
		for _, left := range []int{0, 1, size / 2, size - 1} {
			if _, err := Write(t.Context(), &full{left}, a.job("", f), nil); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s, %d of %d bytes: %v", f, left, size, err)
			}
		}
		if _, err := Write(t.Context(), &full{size}, a.job("", f), nil); err != nil {
			t.Errorf("%s, just enough: %v", f, err)
		}
		if _, err := Write(t.Context(), short{}, a.job("", f), nil); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%s, short: %v", f, err)
		}
	}
}

// TestDevice: what is no file is written as it is, and stays.
func TestDevice(t *testing.T) {
	t.Parallel()
	info, err := os.Stat("/dev/full")
	if err != nil || info.Mode()&fs.ModeDevice == 0 {
		t.Skip("no /dev/full here")
	}
	a := read(t, project("two-proxies.pcap"))
	if _, err = Run(t.Context(), a.job("/dev/full", Pcap), nil); !errors.Is(err, syscall.ENOSPC) ||
		err.Error() != "/dev/full: "+syscall.ENOSPC.Error() {
		t.Errorf("%v", err)
	}
	if again, err := os.Stat("/dev/full"); err != nil || again.Mode() != info.Mode() {
		t.Errorf("/dev/full is %v, %v", again, err)
	}
	if res, err := Run(t.Context(), a.job(os.DevNull, Text), nil); err != nil || res.Bytes == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
