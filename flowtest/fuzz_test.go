package flowtest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A flow of any text either has a mistake, told with file and line, or makes numbered frames in order of time, the same
// ones each time.
func FuzzFlow(f *testing.F) {
	names, err := filepath.Glob("../testdata/flows/*.flow")
	if err != nil || len(names) == 0 {
		f.Fatal("no flows", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(prelude + "@0s a > p INVITE branch=none without=Via,From header.Via=\n@0s p > b INVITE\n@0s b > p 200\n@0s p > a 200\n")
	f.Add(proxied)
	f.Fuzz(func(t *testing.T, text string) {
		flow, err := Parse("x.flow", strings.NewReader(text))
		if err != nil {
			mistake(t, err)
			return
		}
		if rtp := strings.Count(text, "rtp"); rtp > 3 || len(flow.steps) > 200 {
			return // correct, and too long to try
		}
		packets, err := flow.Packets()
		if err != nil {
			mistake(t, err)
			return
		}
		for i := range packets {
			p := &packets[i]
			if p.Seq != uint64(i+1) || i > 0 && p.Time < packets[i-1].Time || len(p.Data) == 0 || int(p.WireLen) < len(p.Data) {
				t.Fatalf("frame %d: %+v", i+1, p)
			}
		}
		again, err := flow.Packets()
		if err != nil || len(again) != len(packets) {
			t.Fatalf("%d frames, then %d: %v", len(packets), len(again), err)
		}
		for i := range again {
			if !bytes.Equal(again[i].Data, packets[i].Data) {
				t.Fatalf("frame %d differs when made again", i+1)
			}
		}
	})
}

func mistake(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Line < 1 || !strings.HasPrefix(err.Error(), "x.flow:") {
		t.Fatalf("an error without file and line: %v", err)
	}
}

// BenchmarkPackets makes the frames of a call with 100 RTP packets.
func BenchmarkPackets(b *testing.B) {
	text, err := os.ReadFile("../testdata/flows/two-proxies.flow")
	if err != nil {
		b.Fatal(err)
	}
	flow, err := Parse("two-proxies.flow", bytes.NewReader(text))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := flow.Packets(); err != nil {
			b.Fatal(err)
		}
	}
}
