package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// TestTmpfs fills a real file system: what was written before is whole, what comes after room was made is written.
func TestTmpfs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k,mode=700"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 200<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	all := []capture.Packet{message(start, invite, "one", "1", sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n"))}
	at := start
	for i := range 600 {
		at += 20 * ms
		all = append(all, udp(at, "10.0.0.9:99", "10.0.0.1:4000", fmt.Sprintf("%200d", i)))
	}
	all = append(all, message(at, bye, "one", "bye", ""), answer(at+ms, ok, "one", "bye", ""))
	calls := filepath.Join(dir, "calls")
	n, whole := 0, 0
	x := recordPackets(t, all, job{
		Options: Options{Dir: calls, Media: true}, batch: 4,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				n++
				if n%10 == 0 && len(files(t, calls)) == 1 {
					whole = len(frames(t, only(t, calls)))
				}
				if n == 145 {
					if r.Stats().Errors == 0 || whole == 0 {
						t.Errorf("the disk is not full: %d frames, %+v", whole, r.Stats())
					}
					if err := os.Remove(ballast); err != nil {
						t.Error(err)
					}
				}
			}}
		},
	})
	st := x.recorder.Stats()
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 603, Errors: st.Errors})
	if !strings.Contains(st.LastError, "no space left on device") || len(seqs(t, only(t, calls), all)) != 603 {
		t.Errorf("%+v", st)
	}
}
