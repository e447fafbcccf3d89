package record

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// errFull is what a full disk gives.
var errFull = errors.New("no space left on device")

// disk opens files that fail at will.
type disk struct {
	open, most int
	opened     int
	room       int  // bytes that fit yet; negative for no end
	closing    bool // Close fails, too
	stuck      bool // Truncate fails, too
}

type diskFile struct {
	file
	disk *disk
}

func (d *disk) openFile(path string, flag int) (file, error) {
	f, err := openFile(path, flag)
	if err != nil {
		return nil, err
	}
	d.opened++
	d.open++
	d.most = max(d.most, d.open)
	return &diskFile{f, d}, nil
}

func (f *diskFile) WriteAt(b []byte, off int64) (int, error) {
	n := len(b)
	if f.disk.room >= 0 {
		n = min(n, f.disk.room)
		f.disk.room -= n
	}
	if m, err := f.file.WriteAt(b[:n], off); err != nil {
		return m, err
	}
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func (f *diskFile) Truncate(size int64) error {
	if f.disk.stuck {
		return errFull
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if f.disk.room >= 0 {
		f.disk.room += int(info.Size() - size)
	}
	return f.file.Truncate(size)
}

func (f *diskFile) Close() error {
	f.disk.open--
	err := f.file.Close()
	if f.disk.closing {
		return errFull
	}
	return err
}

// TestDescriptors wants 5,000 calls at once with media, and one file open at a time.
func TestDescriptors(t *testing.T) {
	t.Parallel()
	const calls = 5000
	var all []capture.Packet
	at := start
	for round := range 4 {
		for i := range calls {
			at += ms / 10
			id := fmt.Sprint("call-", i)
			media := fmt.Sprintf("10.%d.%d.1", 20+i/250, i%250)
			switch round {
			case 0:
				all = append(all, message(at, invite, id, "1", sdpOf(media, "m=audio 4000 RTP/AVP 0\r\n")))
			case 3:
				all = append(all, message(at, bye, id, "bye", ""))
			default:
				all = append(all, udp(at, media+":4000", "10.9.9.9:1", "media"))
			}
		}
		at += 2500 * ms
	}
	dir, d := t.TempDir(), &disk{room: -1}
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir, Media: true}, batch: capture.MaxBatch, prepare: func(r *Recorder) { r.open = d.openFile },
	})
	x.figures(t, Stats{Calls: calls, Files: calls, Frames: 4 * calls})
	if d.most != 1 || d.open != 0 || d.opened < 2*calls {
		t.Errorf("%d files open at most, %d at the end, opened %d times", d.most, d.open, d.opened)
	}
	for _, path := range files(t, dir)[:20] {
		if n := len(frames(t, path)); n != 4 {
			t.Errorf("%s: %d frames", path, n)
		}
	}
}

// long is one call with media, ten seconds long, and noise a minute after.
func long() []capture.Packet {
	all := []capture.Packet{message(start, invite, "one", "1", sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n"))}
	at := start
	for i := range 500 {
		at += 20 * ms
		all = append(all, udp(at, "10.0.0.9:99", "10.0.0.1:4000", fmt.Sprint("media ", i)))
	}
	all = append(all, message(at, bye, "one", "bye", ""), answer(at+ms, ok, "one", "bye", ""))
	return append(all, noise(at, 60)...)
}

// noise is packets of nobody, a hundred milliseconds apart.
func noise(at int64, seconds int) []capture.Packet {
	var all []capture.Packet
	for i := range seconds * 10 {
		all = append(all, udp(at+int64(i)*100*ms, "10.0.0.1:9", "10.0.0.2:9", fmt.Sprint("noise ", i)))
	}
	return all
}

// TestDiskFull wants a disk that is full for a while to cost nothing, and each moment's file whole.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]disk{
		"plain": {}, "closing fails": {closing: true}, "truncating fails": {stuck: true},
	} {
		for _, at := range []int{0, 200, 12_000} { // bytes until the disk is full
			t.Run(fmt.Sprint(name, " after ", at), func(t *testing.T) {
				t.Parallel()
				all, dir, d := long(), t.TempDir(), c
				d.room = at
				if d.closing {
					d.closing = at == 0
				}
				n := 0
				x := recordPackets(t, all, job{
					Options: Options{Dir: dir, Media: true}, batch: 4, prepare: func(r *Recorder) { r.open = d.openFile },
					sink: func(r *Recorder) correlate.Sink {
						return &watching{r, func() {
							if n++; n == 115 { // all but the end of the call has come
								d.room, d.closing, d.stuck = -1, false, false
							}
							for _, path := range files(t, dir) {
								if !c.stuck {
									frames(t, path) // whole
								}
							}
						}}
					},
				})
				st := x.recorder.Stats()
				if st.Errors == 0 && at < 12_000 || st.LastError != "" && st.LastError != errFull.Error() {
					t.Errorf("%d errors, the last %q", st.Errors, st.LastError)
				}
				x.figures(t, Stats{Calls: 1, Files: 1, Frames: 503, Errors: st.Errors})
				if got := seqs(t, only(t, dir), all); len(got) != 503 || !slices.IsSorted(got) {
					t.Errorf("%d frames", len(got))
				}
			})
		}
	}
}

// TestGivenUp wants a disk that stays full to end in counted losses, and nothing that is broken.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	for _, seconds := range []int{5, 200} {
		all := append(long(), noise(start+100_000*ms, seconds)...)
		dir, d := t.TempDir(), disk{room: 100}
		x := recordPackets(t, all, job{
			Options: Options{Dir: dir, Media: true}, prepare: func(r *Recorder) { r.open = d.openFile },
		})
		st := x.recorder.Stats()
		if st.Lost != 503 || st.Frames+st.Files+st.Bytes != 0 || st.Errors == 0 {
			t.Errorf("%+v", st)
		}
		same(t, "files", files(t, dir), []string(nil))
		if err := x.closed; err == nil || !strings.Contains(err.Error(), "503 frames could not be written: no space") {
			t.Errorf("Close gives %v", err)
		}
	}
}

// TestWriterFails wants frames offered again, in order, each once.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	var got []uint64
	n := 0
	all := long()
	all[7].Time = -1 // no file can hold it
	x := recordPackets(t, all, job{batch: 4, Options: Options{Media: true, Write: func(p *capture.Packet, _ string) error {
		if n++; n%50 == 0 || n > 100 && n < 110 {
			return errFull
		}
		if p.Time < 0 {
			return fmt.Errorf("frame %d: %w", p.Seq, capture.ErrTime)
		}
		got = append(got, p.Seq)
		return nil
	}}})
	st := x.recorder.Stats()
	if len(got) != 502 || !slices.IsSorted(got) || len(slices.Compact(got)) != 502 || st.Lost != 1 || st.Errors < 15 {
		t.Errorf("%d frames, %+v", len(got), st)
	}
	if x.closed != nil {
		t.Error(x.closed)
	}
}

// TestTime wants a frame from before 1970 counted, and the others written.
func TestTime(t *testing.T) {
	t.Parallel()
	all := long()
	all[7].Time = -1
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Media: true}})
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 502, Lost: 1, Errors: 1})
	if n := len(frames(t, only(t, dir))); n != 502 {
		t.Errorf("%d frames", n)
	}
}

// TestMovedAway wants a file that somebody took away to go on under the same name.
func TestMovedAway(t *testing.T) {
	t.Parallel()
	all, dir, other := long(), t.TempDir(), t.TempDir()
	moved := false
	recordPackets(t, all, job{
		Options: Options{Dir: dir, Media: true}, batch: 4,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				if all := files(t, dir); len(all) == 1 && !moved {
					moved = true
					if err := os.Rename(all[0], filepath.Join(other, "moved.pcapng")); err != nil {
						t.Error(err)
					}
				}
			}}
		},
	})
	first, second := seqs(t, only(t, other), all), seqs(t, only(t, dir), all)
	if n := len(first) + len(second); n != 503 || first[0] != 1 || second[len(second)-1] != 503 {
		t.Errorf("%d and %d frames", len(first), len(second))
	}
}

// TestDirGone wants a directory that goes and comes back to cost nothing.
func TestDirGone(t *testing.T) {
	t.Parallel()
	all, dir := long(), filepath.Join(t.TempDir(), "calls")
	n := 0
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir, Media: true}, batch: 4,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				switch n++; n {
				case 2:
					if err := os.RemoveAll(dir); err != nil {
						t.Error(err)
					}
				case 100:
					if err := os.Mkdir(dir, 0o700); err != nil {
						t.Error(err)
					}
				}
			}}
		},
	})
	st := x.recorder.Stats()
	if st.Errors == 0 || !strings.Contains(st.LastError, "calls") {
		t.Errorf("%+v", st)
	}
	if got := seqs(t, only(t, dir), all); len(got) != 503 {
		t.Errorf("%d frames", len(got))
	}
}

// TestClose wants Close to do its work once, and a closed recorder to do nothing.
func TestClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := recordPackets(t, packets(t, talk), job{Options: Options{Dir: dir}})
	before := x.recorder.Stats()
	if err := x.recorder.Close(); err != nil {
		t.Error(err)
	}
	if err := x.recorder.Event(&correlate.Event{}); err != nil {
		t.Error(err)
	}
	if err := x.recorder.Frames(&work{}); err != nil {
		t.Error(err)
	}
	same(t, "figures", x.recorder.Stats(), before)
	same(t, "files", len(files(t, dir)), 2)
}

// FuzzFileName wants names that stay in their folder and harm nobody.
func FuzzFileName(f *testing.F) {
	for _, id := range []string{
		"a84b4c76e66710@pc33.atlanta.com", "../../etc/passwd", "..", ".hidden", "", "a\x00b\x1b[31m", "C:\\con",
		strings.Repeat("x", 300), "\xff\xfe", "é", "$(reboot)`;|&", "-rf", " ",
	} {
		f.Add(int64(1_763_717_412_000_000_000), uint32(42), id)
	}
	f.Fuzz(func(t *testing.T, first int64, num uint32, id string) {
		name := fileName(first, num, id)
		if !fs.ValidPath(name) || strings.ContainsAny(name, `/\:*?"<>|`) || len(name) > 160 || name != filepath.Base(name) {
			t.Errorf("%q", name)
		}
		for _, c := range []byte(name) {
			if c <= ' ' || c >= 0x7f {
				t.Errorf("%q", name)
			}
		}
		if c := name[0]; c < '0' || c > '9' {
			t.Errorf("%q", name)
		}
		if other := fileName(first, num+1, id); other == name {
			t.Errorf("calls %d and %d are both %q", num, num+1, name)
		}
	})
}

// TestFileName shows some names.
func TestFileName(t *testing.T) {
	t.Parallel()
	at := int64(1_763_717_412) * 1000 * ms
	for id, want := range map[string]string{
		"a84b4c76e66710@pc33.atlanta.com": "20251121-093012_000042_a84b4c76e66710@pc33.atlanta.com",
		"../../etc/passwd":                "20251121-093012_000042__._.._etc_passwd",
		"":                                "20251121-093012_000042",
		strings.Repeat("x", 300):          "20251121-093012_000042_" + strings.Repeat("x", 80),
	} {
		same(t, id, fileName(at, 42, id), want)
	}
}

// TestReadable wants a file readable at each moment: a killed process leaves what it has.
func TestReadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	last := 0
	recordPackets(t, long(), job{
		Options: Options{Dir: dir, Media: true}, batch: 8,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				for _, path := range files(t, dir) {
					n := len(frames(t, path))
					if n < last {
						t.Errorf("%d frames after %d", n, last)
					}
					last = n
					raw, err := os.ReadFile(path)
					if err != nil || !bytes.HasPrefix(raw, []byte("\x0a\x0d\x0d\x0a")) {
						t.Errorf("%v", err)
					}
				}
			}}
		},
	})
	if last != 503 {
		t.Errorf("%d frames before the end", last)
	}
}

// TestBig wants a section of more than one write whole, or not there.
func TestBig(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{message(start, invite, "one", "1", sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n"))}
	for i := range 400 {
		at := start + int64(i+1)*4*ms
		all = append(all, udp(at, "10.0.0.9:99", "10.0.0.1:4000", fmt.Sprintf("%1400d", i)))
	}
	for _, room := range []int{-1, 100, 300 << 10, 500 << 10} {
		dir, d := t.TempDir(), disk{room: room}
		x := recordPackets(t, all, job{
			Options: Options{Dir: dir, Media: true}, prepare: func(r *Recorder) { r.open = d.openFile },
		})
		if room < 0 {
			x.figures(t, Stats{Calls: 1, Files: 1, Frames: 401})
			same(t, "frames", len(seqs(t, only(t, dir), all)), 401)
			continue
		}
		x.figures(t, Stats{Calls: 1, Lost: 401, Errors: 1})
		same(t, "files", files(t, dir), []string(nil))
	}
}

// TestEvictedFailing wants a call that the board let go tried again until the disk has room.
func TestEvictedFailing(t *testing.T) {
	t.Parallel()
	var all []capture.Packet
	for i := range 400 {
		all = append(all, message(start+int64(i)*100*ms, invite, fmt.Sprint("call-", i), "1", ""))
	}
	dir, d, n := t.TempDir(), disk{room: 0}, 0
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir}, limits: correlate.Limits{Calls: 3}, batch: 1,
		prepare: func(r *Recorder) { r.open = d.openFile },
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				if n++; n == 200 {
					d.room = -1
				}
			}}
		},
	})
	x.figures(t, Stats{Calls: 400, Files: 400, Frames: 400, Errors: x.recorder.Stats().Errors})
	if x.recorder.Stats().Errors == 0 || len(x.done) != 400 {
		t.Errorf("%d errors, %d done", x.recorder.Stats().Errors, len(x.done))
	}
}

// TestGarbage wants what an unfinished write has left at a file's end gone with the next one.
func TestGarbage(t *testing.T) {
	t.Parallel()
	all, dir, done := long(), t.TempDir(), false
	recordPackets(t, all, job{
		Options: Options{Dir: dir, Media: true}, batch: 4,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				if found := files(t, dir); len(found) == 1 && !done {
					done = true
					f, err := os.OpenFile(found[0], os.O_WRONLY|os.O_APPEND, 0)
					if err != nil {
						t.Fatal(err)
					}
					defer f.Close()
					if _, err := f.Write(make([]byte, 1<<20)); err != nil {
						t.Error(err)
					}
				}
			}}
		},
	})
	if n := len(seqs(t, only(t, dir), all)); n != 503 || !done {
		t.Errorf("%d frames", n)
	}
}
