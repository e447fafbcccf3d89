package record

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// talk is a call with media, another without, and noise.
const talk = `
title two calls
host alice 10.0.1.10 rtp=4000
host bob   10.0.2.10 rtp=5000
host carol 10.0.3.10
call c1 from alice to bob callid=one
call c2 from carol to bob callid=two
@0ms  alice > bob INVITE sdp=PCMU call=c1
+5ms  rtp bob:9000 > alice:9002 PCMU 20ms x3
@100ms bob > alice 180 call=c1
@200ms carol > bob INVITE call=c2
@300ms bob > carol 486 call=c2
+1ms  carol > bob ACK call=c2
@400ms bob > alice 200 sdp=PCMU call=c1
+1ms  alice > bob ACK call=c1
+1ms  rtp alice <> bob PCMU 20ms x200
@6s   alice > bob BYE call=c1
+2ms  bob > alice 200 call=c1
+5ms  rtp bob > alice PCMU 20ms x2
@9s   rtp bob > alice PCMU 20ms x2
`

// TestMatch wants the frames before a match that only the end of a call brings.
func TestMatch(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 256} {
		dir := t.TempDir()
		all := packets(t, talk)
		x := recordPackets(t, all, job{
			Options: Options{Dir: dir, Match: states("completed"), Application: "test"}, batch: batch,
		})
		x.figures(t, Stats{Calls: 1, Files: 1, Frames: 6})
		path := only(t, dir)
		got := seqs(t, path, all)
		want := []uint64{1, 5, 9, 10, 411, 412}
		same(t, "frames", got, want)
		same(t, "done", x.done, map[string]int{path: 6})
		if name := filepath.Base(path); !strings.HasSuffix(name, "_000001_one.pcapng") {
			t.Errorf("the file is %q", name)
		}
	}
}

// TestMedia wants the media that SDP names, after it did, until the call is over.
func TestMedia(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 7, 256} {
		dir := t.TempDir()
		all := packets(t, talk)
		x := recordPackets(t, all, job{Options: Options{Dir: dir, Match: states("completed"), Media: true}, batch: batch})
		x.figures(t, Stats{Calls: 1, Files: 1, Frames: 408})
		got := seqs(t, only(t, dir), all)
		var want []uint64
		for n := uint64(1); n <= 414; n++ {
			if n < 2 || n > 4 && (n < 6 || n > 8) {
				want = append(want, n)
			}
		}
		same(t, "frames", got, want)
	}
}

// TestWorkers wants the same bytes whatever the number of workers.
func TestWorkers(t *testing.T) {
	t.Parallel()
	content := func(dir string) map[string]string {
		all := map[string]string{}
		for _, path := range files(t, dir) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(path)] = string(b)
		}
		return all
	}
	some := 0
	for _, path := range captures(t, false) {
		var want map[string]string
		for _, workers := range []int{1, 4} {
			dir := t.TempDir()
			record(t, open(t, path), job{Options: Options{Dir: dir, Media: true}, workers: workers})
			got := content(dir)
			if want == nil {
				want = got
				some += len(want)
			} else if !maps.Equal(got, want) {
				t.Errorf("%s: %d workers make other files", path, workers)
			}
		}
	}
	if some < 60 {
		t.Errorf("%d files", some)
	}
}

// TestWrite wants each frame of the calls that match once in the common file, in order, whatever calls share it.
func TestWrite(t *testing.T) {
	t.Parallel()
	for _, media := range []bool{false, true} {
		for _, path := range captures(t, false) {
			var got []uint64
			x := record(t, open(t, path), job{Options: Options{Media: media, Write: func(p *capture.Packet, _ string) error {
				got = append(got, p.Seq)
				return nil
			}}})
			dir := t.TempDir()
			y := record(t, open(t, path), job{Options: Options{Dir: dir, Media: media}})
			each := map[framed]bool{}
			for _, file := range files(t, dir) {
				for _, f := range frames(t, file) {
					each[f] = true
				}
			}
			if late := x.recorder.Stats().Late; late == 0 && !slices.IsSorted(got) {
				t.Errorf("%s: %v are not in order", path, got)
			}
			slices.Sort(got)
			if n := len(slices.Compact(slices.Clone(got))); n != len(got) || n < len(each) {
				t.Errorf("%s: %d frames, %d different, %d in files of calls", path, len(got), n, len(each))
			}
			if a, b := x.recorder.Stats().Calls, y.recorder.Stats().Calls; a != b || len(x.done) > 0 {
				t.Errorf("%s: %d and %d calls, %d done", path, a, b, len(x.done))
			}
		}
	}
}

// TestShared wants a segment with messages of two calls in both files, once; and once in a common file, also when the
// second call matches long after the first.
func TestShared(t *testing.T) {
	t.Parallel()
	const text = `
title two calls in one segment, one after the other
host a 10.0.1.10 transport=tcp
host b 10.0.2.10 transport=tcp
call c1 from a to b callid=one
call c2 from a to b callid=two
@0ms   a > b connect
+1ms   a > b INVITE call=c1 more
+0ms   a > b INVITE call=c2
@100ms b > a 486 call=c1 more
+0ms   b > a 180 call=c2
@110ms a > b ACK call=c1
@10s   b > a 200 call=c2
@10.1s a > b ACK call=c2
@12s   a > b BYE call=c2
+2ms   b > a 200 call=c2
@20s   a > b close
`
	dir := t.TempDir()
	all := packets(t, text)
	x := recordPackets(t, all, job{Options: Options{Dir: dir}, batch: 1})
	var one, two []uint64
	for _, path := range files(t, dir) {
		if strings.HasSuffix(path, "one.pcapng") {
			one = seqs(t, path, all)
		} else {
			two = seqs(t, path, all)
		}
	}
	if len(one) != 3 || len(two) != 6 || one[0] != two[0] || one[1] != two[1] {
		t.Errorf("frames %d and %d", one, two)
	}
	x.figures(t, Stats{Calls: 2, Files: 2, Frames: 9})

	var got []uint64
	match := func(s *correlate.Summary) bool { return s.State.String() == "busy" || s.State.String() == "completed" }
	x = recordPackets(t, all, job{batch: 1, Options: Options{Match: match, Write: func(p *capture.Packet, _ string) error {
		got = append(got, p.Seq)
		return nil
	}}})
	want := slices.Concat(one, two)
	slices.Sort(want)
	same(t, "frames in common", got, slices.Compact(want))
	x.figures(t, Stats{Calls: 2, Frames: 7})
}

// TestGone wants what the spool still has, and the rest counted.
func TestGone(t *testing.T) {
	t.Parallel()
	all := packets(t, talk)
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Match: states("completed")}, keeper: keeper{keep: 2000}})
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 2, Lost: 4})
	same(t, "frames", seqs(t, only(t, dir), all), []uint64{411, 412})

	// Nothing is left: no file.
	dir = t.TempDir()
	none := keeper{skip: func(*capture.Packet) bool { return true }}
	x = recordPackets(t, all, job{Options: Options{Dir: dir}, keeper: none})
	x.figures(t, Stats{Calls: 2, Lost: 9})
	same(t, "files", files(t, dir), []string(nil))

	// A reader that fails otherwise is an error, too.
	broken := errors.New("broken")
	x = recordPackets(t, all, job{Options: Options{Dir: dir, Read: func(capture.Loc, []byte) error { return broken }}})
	x.figures(t, Stats{Calls: 2, Lost: 9, Errors: 9})
	same(t, "error", x.recorder.Stats().LastError, "broken")
}

// TestRing wants a piece that the ring has lost counted, for a call that matches only.
func TestRing(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{
		message(start, invite, "one", "1", ""),
		message(start+ms, "OPTIONS sip:b@x SIP/2.0", "two", "1", ""),
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir, Match: states("calling")},
		sink:    func(r *Recorder) correlate.Sink { return &lying{r} },
	})
	x.figures(t, Stats{Calls: 1, Lost: 1})
	x = recordPackets(t, all, job{
		Options: Options{Dir: dir},
		sink:    func(r *Recorder) correlate.Sink { return &lying{r} },
	})
	x.figures(t, Stats{Calls: 2, Lost: 2})
}

// lying says of each message that it began at a frame that nobody has seen.
type lying struct{ *Recorder }

func (l *lying) Event(e *correlate.Event) error {
	m := *e.Message
	m.Pieces, m.Seq = nil, 1<<40
	return l.Recorder.Event(&correlate.Event{Message: &m, Verdict: e.Verdict})
}

// TestNames wants a number where a name is taken, and modes that keep calls private.
func TestNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "dir")
	all := packets(t, talk)
	for range 3 {
		recordPackets(t, all, job{Options: Options{Dir: dir, Match: states("busy")}})
	}
	var names []string
	for _, path := range files(t, dir) {
		names = append(names, filepath.Base(path))
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		same(t, "frames", len(frames(t, path)), 3)
	}
	stem := strings.TrimSuffix(names[0], "-2.pcapng")
	same(t, "names", names, []string{stem + "-2.pcapng", stem + "-3.pcapng", stem + ".pcapng"})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// TestNew wants what cannot work refused at once.
func TestNew(t *testing.T) {
	t.Parallel()
	read := func(capture.Loc, []byte) error { return nil }
	write := func(*capture.Packet, string) error { return nil }
	board := &correlate.Board{}
	for name, c := range map[string]struct {
		board *correlate.Board
		o     Options
	}{
		"no board":    {nil, Options{Read: read, Dir: "x"}},
		"no reader":   {board, Options{Dir: "x"}},
		"no target":   {board, Options{Read: read}},
		"two targets": {board, Options{Read: read, Dir: "x", Write: write}},
	} {
		if _, err := New(c.board, c.o); !errors.Is(err, ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var why *fs.PathError
	if _, err := New(board, Options{Read: read, Dir: path}); !errors.As(err, &why) {
		t.Errorf("a directory that is a file: %v", err)
	}
	if n := len(files(t, filepath.Dir(path))); n != 1 {
		t.Errorf("%d files were left", n)
	}
}

// TestOracle wants tshark and capinfos to read files of several sections.
func TestOracle(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"tshark", "capinfos"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("SIPSCOPE_CI") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	all := packets(t, talk)
	recordPackets(t, all, job{Options: Options{
		Dir: dir, Match: states("answered"), Media: true, Application: "sipscope test",
		Names: func(iface uint16) string { return fmt.Sprint("eth", iface) },
	}})
	path := only(t, dir)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte("\x0a\x0d\x0d\x0a")); n < 2 {
		t.Errorf("%d sections", n)
	}
	out, err := exec.Command("capinfos", "-Mc", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 408") {
		t.Errorf("capinfos: %v\n%s", err, out)
	}
	fields := []string{"-r", path, "-Y", "sip", "-T", "fields", "-e", "frame.interface_name", "-e", "sip.CSeq"}
	out, err = exec.Command("tshark", fields...).CombinedOutput()
	if err != nil || strings.Count(string(out), "eth0\t") != 6 {
		t.Errorf("tshark: %v\n%s", err, out)
	}
}
