package record

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/capture/spool"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/flowtest"
	"sipscope/render/save"
)

// captures gives the project's captures, and those that stand beside the checkout when they are there.
func captures(tb testing.TB, shared bool) []string {
	tb.Helper()
	found, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcap*"))
	if err != nil || len(found) < 50 {
		tb.Fatalf("%d captures in testdata/pcaps, %v", len(found), err)
	}
	if !shared {
		return found
	}
	root := filepath.Join("..", "..", "..", "shared", "pcaps")
	if _, err = os.Stat(root); err != nil {
		tb.Skip("no captures beside the checkout")
	}
	found = nil
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, wrong error) error {
		if wrong == nil && !d.IsDir() && strings.Contains(filepath.Ext(path), "cap") {
			if info, gone := d.Info(); gone == nil && info.Size() < 4<<20 {
				found = append(found, path)
			}
		}
		return wrong
	})
	if err != nil {
		tb.Fatal(err)
	}
	return found
}

// open opens a capture, or gives nil for one that is none.
func open(tb testing.TB, path string) *capture.Files {
	tb.Helper()
	f, err := capture.Open([]string{path}, capture.Options{Spool: true, SpoolDir: tb.TempDir()})
	if err != nil {
		return nil
	}
	tb.Cleanup(func() { f.Close() })
	return f
}

// TestSave compares each call's file with what a save of that call makes.
func TestSave(t *testing.T) {
	t.Parallel()
	for _, path := range captures(t, false) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			encrypted := strings.HasPrefix(filepath.Base(path), "tls") // nobody gives the keys here
			if compareWithSave(t, path) == 0 && !encrypted {
				t.Error("no calls")
			}
		})
	}
}

// TestSaveOfOthers does so with captures made by others.
func TestSaveOfOthers(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, path := range captures(t, true) {
		calls += compareWithSave(t, path)
	}
	if calls < 200 {
		t.Errorf("%d calls", calls)
	}
}

// compareWithSave gives the number of calls.
func compareWithSave(t *testing.T, path string) int {
	t.Helper()
	source := open(t, path)
	if source == nil {
		return 0
	}
	dir := t.TempDir()
	x := record(t, source, job{Options: Options{Dir: dir}})
	st := x.recorder.Stats()
	if st.Lost+st.Unkept+st.Errors > 0 || st.Calls != x.board.Totals().Calls || st.Files != uint64(len(x.done)) {
		t.Errorf("%s: %+v, %d calls, %d done", path, st, x.board.Totals().Calls, len(x.done))
	}
	left := files(t, dir)
	for _, num := range x.board.Numbers() {
		var b bytes.Buffer
		_, err := save.Write(context.Background(), &b, save.Job{
			Format: save.Pcapng, Source: save.FromFiles(source), Calls: save.Numbered(x.board, slices.Values([]uint32{num})),
		}, nil)
		if err != nil {
			t.Fatalf("%s: call %d: %v", path, num, err)
		}
		saved := filepath.Join(t.TempDir(), "saved.pcapng")
		if err := os.WriteFile(saved, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _ := x.board.Call(num)
		file := filepath.Join(dir, fileName(c.First, num, c.CallID)+".pcapng")
		want, got := frames(t, saved), frames(t, file)
		if st.Late > 0 {
			slices.SortFunc(want, compareFramed)
			slices.SortFunc(got, compareFramed)
		}
		if c.Transports&(1<<decode.WS|1<<decode.WSS) != 0 {
			// A save has the handshake and the pings, too, for which it reads the capture again.
			want = slices.DeleteFunc(want, func(f framed) bool { return !slices.Contains(got, f) })
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: call %d: %d frames, saved %d", path, num, len(got), len(want))
		}
		if x.done[file] != len(want) {
			t.Errorf("%s: call %d: %d frames told, %d there", path, num, x.done[file], len(want))
		}
		i := slices.Index(left, file)
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		t.Errorf("%s: too many files: %q", path, left)
	}
	return len(x.done)
}

func compareFramed(a, b framed) int {
	if a.Time != b.Time {
		return int(max(-1, min(1, a.Time-b.Time)))
	}
	return strings.Compare(a.Bytes, b.Bytes)
}

// TestSpool records from the spool that a live capture has.
func TestSpool(t *testing.T) {
	t.Parallel()
	all := packets(t, talk)
	number(all)
	s, err := spool.New(flowtest.NewSource(all, 16), spool.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir, board := t.TempDir(), &correlate.Board{}
	r, err := New(board, Options{Dir: dir, Media: true, Match: states("completed"), Read: s.ReadAt})
	if err != nil {
		t.Fatal(err)
	}
	if err := correlate.Run(context.Background(), s, correlate.Config{Board: board, Sink: r}); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if st := r.Stats(); len(seqs(t, only(t, dir), all)) != 408 || st.Lost+st.Errors > 0 {
		t.Errorf("%+v", st)
	}
}
