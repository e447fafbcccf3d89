package replay_test

import (
	"context"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate/cut"
	"sipscope/element/media"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
)

// laterPorts are the ports of a world's player, whose host is made after its options.
type laterPorts struct{ w **world }

func (l laterPorts) Open(local netip.Addr) (media.Port, error) { return (*l.w).link.Open(local) }

// Recorded sound is sent from the ports that our SDP names to those that the other SDP names, and counted.
func TestSound(t *testing.T) {
	t.Parallel()
	text := strings.Replace(flowText(t, "transactions"), "host alice ua 127.0.1.10", "host alice ua 127.0.1.10 rtp=yes", 1)
	text = strings.Replace(text, "host bob ua 127.0.2.10", "host bob ua 127.0.2.10 rtp=yes", 1)
	r, path := recordedAt(t, "transactions", text)
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	recorded, err := cut.Cut(context.Background(), files, r.calls, r.text, cut.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(recorded.Streams) != 2 {
		t.Fatalf("%d streams in %s", len(recorded.Streams), filepath.Base(path))
	}
	p := r.plan(t, plan.Options{Self: true, NoRegister: true, Media: recorded.Streams})
	var w *world
	w = newWorld(t, p, nil, func(o *replay.Options) { o.Media = laterPorts{&w} })
	w.run(3)
	for _, refused := range w.guard.Refused() { // the RTCP BYE to a socket of ours that was closed just before
		if refused.Count > 3 || !strings.HasPrefix(refused.At.String(), "127.9.") {
			t.Error(refused.Err())
		}
	}
	for _, o := range w.ended {
		if o.Verdict != replay.Completed || len(o.Media) != 2 {
			t.Fatalf("%s: %s %v %+v", o.Verdict, o.Reason, o.Notes, o.Media)
		}
		for i, m := range o.Media {
			if want := uint64(len(recorded.Streams[i].Packets)); m.Sent+2 < want || m.Received+2 < want || m.Lost != 0 || m.Refused > 1 {
				t.Errorf("step %d: %+v, want %d packets\n%v", m.Step, m, want, o.Notes)
			}
		}
	}
	if leftover := w.wire.String(); strings.Contains(leftover, "127.0.") {
		t.Error("an address of the recording was sent")
	}
}
