package replay_test

import (
	"runtime"
	"testing"
	"time"

	"sipscope/element/replay"
)

// BenchmarkPlay is a whole call (INVITE, 180, 200, ACK, BYE, 200) against a user agent of ours, which is part of what is
// measured, as is the network.
func BenchmarkPlay(b *testing.B) {
	text := flowText(b, "transactions")
	r := recorded(b, "transactions", text)
	there := parsed(b, "transactions", elsewhere(text))
	p, _ := planFor(b, r, there, "bob")
	w := newWorld(b, p, there, func(o *replay.Options) { o.Fast = true })
	w.net.Latency = 1000
	w.wire.off = true
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		w.link.At(w.net.Now(), func() {
			if _, err := w.player.Play(replay.Input{}); err != nil {
				b.Error(err)
			}
		})
		if err := w.net.Run(w.net.Now() + int64(2*time.Second)); err != nil {
			b.Fatal(err)
		}
		w.ended = w.ended[:0]
	}
}

// Thousands of plays at once take little memory each, and give it back.
func TestManyPlays(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	p, _ := planFor(t, r, there, "bob")
	w := newWorld(t, p, there, nil)
	w.wire.off = true
	w.net.MaxEvents = 1 << 30
	const plays = 5000
	for i := range plays {
		w.net.At(start+int64(i)*int64(200*time.Microsecond), func() {
			if _, err := w.player.Play(replay.Input{}); err != nil {
				t.Error(err)
			}
		})
	}
	var before, full runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := w.net.Run(start + int64(1100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&full)
	playing := w.player.Stats().Playing
	t.Logf("%d plays at once: %d bytes each, the live side and the network included", playing,
		int64(full.HeapAlloc-before.HeapAlloc)/int64(playing))
	if playing < plays {
		t.Errorf("%d plays", playing)
	}
	if err := w.net.Run(start + int64(5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.clean()
	if len(w.ended) != plays {
		t.Fatalf("%d plays have ended", len(w.ended))
	}
	seen := map[string]bool{}
	for _, o := range w.ended {
		if o.Verdict != replay.Completed {
			t.Fatalf("%s: %s", o.Verdict, o.Reason)
		}
		if seen[o.CallID] {
			t.Fatalf("Call-ID %s twice", o.CallID)
		}
		seen[o.CallID] = true
		if o.First <= 0 || o.Ring < o.First || o.Answer < o.Ring {
			t.Fatalf("times %d, %d, %d", o.First, o.Ring, o.Answer)
		}
	}
}
