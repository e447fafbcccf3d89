package output

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
)

// TestFormats: what is written reads back, by us and by Wireshark's tools.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"call.pcapng", "call.pcapng.zst", "call.pcap", "call.pcap.zst", "call"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			var done []string
			p := create(t, Options{
				Path: path, Names: func(i uint16) string { return fmt.Sprintf("eth%d", i) },
				Counts: func(i uint16) (capture.NGCounts, bool) {
					return capture.NGCounts{Received: 1500, Dropped: 77}, i == 1
				},
				OnDone: func(path string) { done = append(done, path) },
			})
			for n := uint64(1); n <= 3000; n++ {
				comment := ""
				if n == 2500 {
					comment = "the 2500th"
				}
				if err := p.Write(packet(n), comment); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if got := mustRead(t, path); !isRow(got, 1, 3000) {
				t.Errorf("%d packets", len(got))
			}
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if now := p.Stats(); now != (Stats{Path: path, Files: 1, Packets: 3000, Bytes: st.Size()}) {
				t.Errorf("%+v, %d bytes are there", now, st.Size())
			}
			if st.Mode().Perm() != 0o600 || !slices.Equal(done, []string{path}) {
				t.Errorf("mode %o, done %q", st.Mode(), done)
			}
			if err := errors.Join(p.Close(), p.Reopen()); !errors.Is(err, errClosed) || len(done) > 1 {
				t.Errorf("again: %v", err)
			}
			if errs := errors.Join(p.Write(packet(1), ""), p.Tick(0)); errs == nil {
				t.Error("writes after Close")
			}
			wireshark(t, path, name)
		})
	}
}

// wireshark reads a file with tshark and capinfos.
func wireshark(t *testing.T, path, name string) {
	t.Helper()
	tool, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is not installed")
		}
		return
	}
	out, err := exec.Command(tool, "-r", path, "-T", "fields", "-e", "frame.time_epoch", "-e", "frame.len", "-e",
		"frame.interface_name", "-e", "frame.comment").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if len(lines) != 3000 {
		t.Fatalf("tshark reads %d packets", len(lines))
	}
	for i, line := range lines {
		want := packet(uint64(i) + 1)
		fields := strings.Split(line, "\t")
		if at := fmt.Sprintf("%d.%09d", want.Time/1e9, want.Time%1e9); fields[0] != at && fields[0] != want.When().
			Format("2006-01-02T15:04:05.000000000Z") || fields[1] != strconv.FormatUint(uint64(want.WireLen), 10) {
			t.Fatalf("tshark reads packet %d as %q", i+1, line)
		}
		if strings.Contains(name, ".pcap.") || strings.HasSuffix(name, ".pcap") {
			continue
		}
		comment := map[int]string{2499: "the 2500th"}[i]
		if fields[2] != fmt.Sprintf("eth%d", want.Iface) || fields[3] != comment {
			t.Fatalf("tshark reads packet %d as %q", i+1, line)
		}
	}
	info, err := exec.Command("capinfos", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	if ng := !strings.Contains(name, ".pcap.") && !strings.HasSuffix(name, ".pcap"); ng != strings.Contains(string(info),
		"Name = eth1") || ng != strings.Contains(string(info), "Number of stat entries = 1") {
		t.Errorf("capinfos says\n%s", info)
	}
}

// TestRotation: new files begin where they should, and have every packet once.
func TestRotation(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o     Options
		path  string
		want  []string // names, as far as they are known
		files int
		most  func(t *testing.T, path string, packets []uint64)
	}{
		"packets": {
			o: Options{MaxPackets: 1000}, path: "call.pcapng",
			want: []string{"call-000002.pcapng", "call-000003.pcapng", "call.pcapng"},
			most: thousand,
		},
		"age": {
			o: Options{MaxAge: 10 * time.Second}, path: "call.pcap.zst",
			want: []string{"call-000002.pcap.zst", "call-000003.pcap.zst", "call.pcap.zst"},
			most: thousand,
		},
		"bytes":          {o: Options{MaxBytes: 100_000, Counts: someCounts}, path: "call.pcapng", files: 22, most: atMost(100_000)},
		"bytes, pcap":    {o: Options{MaxBytes: 100_000}, path: "call.pcap", files: 22, most: atMost(100_000)},
		"bytes, zstd":    {o: Options{MaxBytes: 100_000}, path: "call.zst", files: 14, most: atMost(100_000)},
		"less than one":  {o: Options{MaxBytes: 1}, path: "call.pcapng", files: 3000},
		"time in names":  {o: Options{MaxAge: 10 * time.Second}, path: "%H%M%S.pcapng", want: []string{"221320.pcapng", "221330.pcapng", "221340.pcapng"}},
		"same names":     {o: Options{MaxPackets: 1000}, path: "%Y%m%d.pcapng", want: []string{"20231114-000002.pcapng", "20231114-000003.pcapng", "20231114.pcapng"}},
		"bytes and time": {o: Options{MaxPackets: 1500, MaxAge: 10 * time.Second}, path: "call", files: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var done []string
			c.o.Path = filepath.Join(dir, c.path)
			c.o.OnDone = func(path string) {
				done = append(done, path)
				mustRead(t, path) // finished when it is told of
			}
			p := create(t, c.o)
			write(t, p, 0, 2999)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if got := mustRead(t, done...); !isRow(got, 0, 2999) {
				t.Errorf("%d packets, or not in order", len(got))
			}
			names := list(t, dir)
			if c.want != nil {
				if diff := cmp.Diff(c.want, names); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
			if c.files > 0 && (len(names) < c.files || len(names) > c.files+c.files/5) {
				t.Errorf("%d files, want about %d", len(names), c.files)
			}
			if st := p.Stats(); st.Packets != 3000 || st.Files != uint64(len(names)) || len(done) != len(names) {
				t.Errorf("%+v, %d done", st, len(done))
			}
			for _, path := range paths(dir, names) {
				if c.most != nil {
					c.most(t, path, mustRead(t, path))
				}
			}
		})
	}
}

func thousand(t *testing.T, path string, packets []uint64) {
	t.Helper()
	if len(packets) != 1000 {
		t.Errorf("%s has %d packets", path, len(packets))
	}
}

func someCounts(uint16) (capture.NGCounts, bool) { return capture.NGCounts{Received: 1}, true }

func atMost(n int64) func(t *testing.T, path string, packets []uint64) {
	return func(t *testing.T, path string, _ []uint64) {
		t.Helper()
		if st, err := os.Stat(path); err != nil || st.Size() > n {
			t.Errorf("%v, %v", st.Size(), err)
		}
	}
}

// TestFiles: the oldest go, also when there are files of others.
func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "call-000002.pcapng")
	if err := os.WriteFile(other, []byte("of somebody else"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := create(t, Options{Path: filepath.Join(dir, "call.pcapng"), MaxPackets: 10, Files: 3})
	write(t, p, 0, 99)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"call-000002.pcapng", "call-000009.pcapng", "call-000010.pcapng", "call-000011.pcapng"}
	if diff := cmp.Diff(want, list(t, dir)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := mustRead(t, paths(dir, want[1:])...); !isRow(got, 70, 99) {
		t.Errorf("%d", got)
	}
	if data, err := os.ReadFile(other); err != nil || string(data) != "of somebody else" {
		t.Errorf("%q, %v", data, err)
	}
}

// TestTick: what is a second old is in the file, and an old file is finished, though no packet comes.
func TestTick(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.pcapng", "a.pcap", "a.zst"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			var done []string
			p := create(t, Options{Path: path, MaxAge: 10 * time.Second, OnDone: func(p string) { done = append(done, p) }})
			if err := p.Tick(start - 30*second); err != nil || len(done) > 0 {
				t.Errorf("a file without packets is done: %q, %v", done, err)
			}
			write(t, p, 0, 9)
			at := packet(0).Time
			first := int64(0) // packets in the file at once
			if name == "a.pcap" {
				first = 1 // its header needs a link type, and a file should have a header
			}
			for _, c := range []struct {
				after, want int64
				done        int
			}{{90 * step / 10, first, 0}, {second - 1, first, 0}, {second, 10, 0}, {9 * second, 10, 0}, {10 * second, 10, 1}} {
				if err := p.Tick(at + c.after); err != nil {
					t.Fatal(err)
				}
				got, err := read(t, path)
				if int64(len(got)) != c.want || !errors.Is(err, io.EOF) || len(done) != c.done {
					t.Errorf("after %d: %d packets, %v, done %q", c.after, len(got), err, done)
				}
			}
			write(t, p, 2000, 2000)
			if err := p.Tick(start); err != nil { // the clock was set back
				t.Fatal(err)
			}
			if got := mustRead(t, p.Stats().Path); !isRow(got, 2000, 2000) || p.Stats().Path == path {
				t.Errorf("%d in %s", got, p.Stats().Path)
			}
		})
	}
}

// TestReopen as logrotate wants it.
func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "a.pcapng"), filepath.Join(dir, "a.pcapng.1")
	p := create(t, Options{Path: path, MaxPackets: 100, Files: 3})
	write(t, p, 0, 9)
	if err := p.Reopen(); err != nil { // nobody has moved it
		t.Fatal(err)
	}
	write(t, p, 10, 19)
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	write(t, p, 20, 29)
	if err := p.Reopen(); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, moved); !isRow(got, 0, 29) {
		t.Errorf("moved: %d", got)
	}
	write(t, p, 30, 139) // rotates
	if err := os.Rename(filepath.Join(dir, "a-000002.pcapng"), moved+"2"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil { // logrotate's create
		t.Fatal(err)
	}
	if err := p.Reopen(); err != nil {
		t.Fatal(err)
	}
	write(t, p, 140, 459)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, moved, path+".2", moved+"2"); !isRow(got, 0, 139) {
		t.Errorf("moved: %d", got)
	}
	want := []string{"a-000003.pcapng", "a-000004.pcapng", "a-000005.pcapng", "a.pcapng.1", "a.pcapng.12", "a.pcapng.2"}
	if diff := cmp.Diff(want, list(t, dir)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := mustRead(t, paths(dir, want[:3])...); !isRow(got, 240, 459) {
		t.Errorf("%d", got)
	}
}

// TestReopenSame: with Files, the file that was moved away does not count any more, nor the new one of its name twice.
func TestReopenSame(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pcapng")
	p := create(t, Options{Path: path, Files: 1})
	for n := range uint64(3) {
		write(t, p, n, n)
		if err := os.Rename(path, fmt.Sprint(path, n)); err != nil {
			t.Fatal(err)
		}
		if err := p.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	if got := mustRead(t, path+"0", path+"1", path+"2", path); !isRow(got, 0, 2) {
		t.Errorf("%d", got)
	}
}

// TestExisting: nothing is overwritten by accident.
func TestExisting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full, empty := filepath.Join(dir, "full.pcapng"), filepath.Join(dir, "empty.pcapng")
	for path, data := range map[string]string{full: strings.Repeat("precious", 100), empty: ""} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		o  Options
		is error
	}{
		"exists":         {Options{Path: full}, fs.ErrExist},
		"no directory":   {Options{Path: filepath.Join(dir, "nowhere", "a.pcapng")}, fs.ErrNotExist},
		"a directory":    {Options{Path: dir}, nil},
		"no path":        {Options{}, nil},
		"no writer":      {Options{Path: "-"}, nil},
		"rows of -":      {Options{Path: "-", Writer: io.Discard, MaxBytes: 1}, nil},
		"negative":       {Options{Path: filepath.Join(dir, "b"), MaxBytes: -1}, nil},
		"unknown letter": {Options{Path: filepath.Join(dir, "%Q")}, nil},
		"half a letter":  {Options{Path: filepath.Join(dir, "%")}, nil},
	} {
		p, err := Create(c.o)
		if err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
		if p != nil {
			p.Close()
		}
	}
	for _, o := range []Options{{Path: full, Force: true}, {Path: empty}, {Path: "/dev/null"}} {
		p := create(t, o)
		write(t, p, 0, 0)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := mustRead(t, full, empty); !slices.Equal(got, []uint64{0, 0}) {
		t.Errorf("%d", got)
	}
	if st, err := os.Stat("/dev/null"); err != nil || st.Mode().IsRegular() {
		t.Errorf("/dev/null is %v, %v", st, err)
	}
}

// TestRefused: what a format cannot hold is counted and harms nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, linkErr := range map[string]error{"a.pcapng": nil, "a.pcap": capture.ErrLinkType} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), name)
			p := create(t, Options{Path: path})
			bad, other := packet(5), packet(6)
			bad.Time, other.Link = -1, capture.LinkRaw
			if err := p.Write(bad, ""); !errors.Is(err, capture.ErrTime) {
				t.Errorf("before 1970: %v", err)
			}
			write(t, p, 0, 0)
			if err := p.Write(other, ""); !errors.Is(err, linkErr) {
				t.Errorf("link type: %v", err)
			}
			other.Link = capture.LinkEthernet
			write(t, p, 1, 1)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if linkErr != nil {
				if got := mustRead(t, path); !isRow(got, 0, 1) || p.Stats().Dropped != 2 || p.Stats().Packets != 2 {
					t.Errorf("%d, %+v", got, p.Stats())
				}
			}
		})
	}
}

// TestStream: "-" is flushed by the second, and broken for good once it fails.
func TestStream(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	p := create(t, Options{Path: "-", Writer: &buf})
	write(t, p, 0, 9)
	before := buf.Len()
	if err := p.Tick(packet(9).Time + second); err != nil || buf.Len() <= before {
		t.Errorf("%d bytes, then %d, %v", before, buf.Len(), err)
	}
	write(t, p, 10, 10)
	if err := errors.Join(p.Reopen(), p.Close()); err != nil {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, path); !isRow(got, 0, 10) {
		t.Errorf("%d", got)
	}

	w := &breaking{left: 5000}
	p = create(t, Options{Path: "-", Writer: w})
	var failed error
	n := uint64(0)
	for ; n < 1000 && failed == nil; n++ {
		failed = p.Write(packet(n), "")
	}
	if !errors.Is(failed, io.ErrClosedPipe) || n > 300 || errors.Is(failed, ErrFull) {
		t.Errorf("after %d packets: %v", n, failed)
	}
	writes := w.writes
	if err := errors.Join(p.Tick(start+1000*second), p.Close()); !errors.Is(err, io.ErrClosedPipe) || w.writes > writes {
		t.Errorf("%v, %d more writes", err, w.writes-writes)
	}
}

// breaking is a pipe whose reader goes away.
type breaking struct{ left, writes int }

func (b *breaking) Write(p []byte) (int, error) {
	b.writes++
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

// TestEmpty: a file without packets can be read.
func TestEmpty(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.pcapng", "a.pcap", "a.pcapng.zst", "a.pcap.zst"} {
		if err := create(t, Options{Path: filepath.Join(dir, name)}).Close(); err != nil {
			t.Fatal(err)
		}
		if got := mustRead(t, filepath.Join(dir, name)); len(got) != 0 {
			t.Errorf("%s: %d packets", name, len(got))
		}
	}
	if err := create(t, Options{Path: filepath.Join(dir, "%H")}).Close(); err != nil || len(list(t, dir)) != 4 {
		t.Errorf("%v, %q", err, list(t, dir))
	}
}

// TestNames: the scheme of the package comment.
func TestNames(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("east", 2*3600)
	for pattern, want := range map[string][3]string{
		"a.pcapng":             {"a.pcapng", "a-000002.pcapng", "a-000003.pcapng"},
		"d.x/a":                {"d.x/a", "d.x/a-000002", "d.x/a-000003"},
		"a.pcap.zst":           {"a.pcap.zst", "a-000002.pcap.zst", "a-000003.pcap.zst"},
		"a.zst":                {"a.zst", "a-000002.zst", "a-000003.zst"},
		"100%%.pcap":           {"100%.pcap", "100%-000002.pcap", "100%-000003.pcap"},
		"%Y/%m-%d %H:%M:%S":    {"2023/11-15 00:13:20", "2023/11-15 00:13:20-000002", "2023/11-15 00:13:20-000003"},
		"%s.pcapng":            {"1700000000.pcapng", "1700000000-000002.pcapng", "1700000000-000003.pcapng"},
		"über%H/%%Y%d.pcapng":  {"über00/%Y15.pcapng", "über00/%Y15-000002.pcapng", "über00/%Y15-000003.pcapng"},
		"no letter at the end": {"no letter at the end", "no letter at the end-000002", "no letter at the end-000003"},
	} {
		n := namer{pattern: pattern, zone: zone, at: start}
		if err := n.check(); err != nil {
			t.Error(err)
		}
		got := [3]string{n.next(), n.next(), n.next()}
		if got != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
		n.again()
		if again, after := n.next(), n.next(); again != want[0] || !strings.Contains(after, "-000004") {
			t.Errorf("%s: %q and %q after a file was moved", pattern, again, after)
		}
	}
}

// TestLarge: a packet larger than the buffer, alone and among others.
func TestLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.pcapng")
	p := create(t, Options{Path: path})
	large := &capture.Packet{Time: start, Data: make([]byte, 3*maxPending), Link: capture.LinkEthernet}
	for range 2 {
		if err := errors.Join(p.Write(packet(1), ""), p.Write(large, "")); err != nil {
			t.Fatal(err)
		}
	}
	if cap(p.format.buf) > 2*maxPending {
		t.Errorf("%d bytes are kept", cap(p.format.buf))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() < 6*maxPending {
		t.Errorf("%v, %v", st, err)
	}
}
