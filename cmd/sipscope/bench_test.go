package main

import (
	"os"
	"testing"
)

// BenchmarkLs lists the calls of the capture that SIPSCOPE_BENCH names. With -cpuprofile it writes what default.pgo is
// made of (make pgo): the compiler then inlines along the path that a large capture takes.
func BenchmarkLs(b *testing.B) {
	path := os.Getenv("SIPSCOPE_BENCH")
	if path == "" {
		b.Skip("SIPSCOPE_BENCH names no capture")
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		if code := run(b.Context(), []string{"ls", path, "--format", "json"}, stdio{in: os.Stdin, out: null, err: os.Stderr}); code != exitDone {
			b.Fatalf("exit code %d", code)
		}
	}
}
