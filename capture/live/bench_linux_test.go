//go:build !libpcap

package live_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/capture/live"
)

// BenchmarkNext reads frames of 700 bytes while another goroutine sends as fast as it can. What is lost means that the
// machine had no processor for the reader.
func BenchmarkNext(b *testing.B) {
	tx := wire(b)
	s := open(b, live.Options{Devices: []string{"in0"}, Filter: onlyOurs})
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		f := append(frame(nil, 1), make([]byte, 700)...)[:700]
		for !stop.Load() {
			tx.send(b, f)
		}
	}()
	defer func() { <-done }()
	defer stop.Store(true)
	var batch capture.Batch
	defer batch.Release()
	packets := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Next(context.Background(), &batch); err != nil {
			b.Fatal(err)
		}
		packets += len(batch.Packets)
	}
	b.ReportMetric(float64(packets)/b.Elapsed().Seconds(), "packets/s")
	b.ReportMetric(float64(packets)/float64(b.N), "packets/batch")
	b.ReportMetric(float64(s.Stats()[0].KernelDropped), "lost")
}

// BenchmarkLatency sends a frame when the line is quiet, and measures how long it takes until Next gives it.
func BenchmarkLatency(b *testing.B) {
	tx := wire(b)
	s := open(b, live.Options{Devices: []string{"in0", "lo"}, Filter: onlyOurs})
	var batch capture.Batch
	defer batch.Release()
	f := frame(nil, 1)
	var worst, sum time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		tx.send(b, f)
		for batch.Release(); batch.Empty(); {
			if err := s.Next(context.Background(), &batch); err != nil {
				b.Fatal(err)
			}
		}
		took := time.Since(start)
		sum += took
		worst = max(worst, took)
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "ms-worst")
	b.ReportMetric(float64(sum.Microseconds())/1000/float64(b.N), "ms-mean")
}
