package web

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/flowtest"
)

// slow is a source that takes its time.
type slow struct{ packets []capture.Packet }

// Next implements capture.Source.
func (s *slow) Next(_ context.Context, b *capture.Batch) error {
	if len(s.packets) == 0 {
		return io.EOF
	}
	n := min(64, len(s.packets))
	b.Packets = append(b.Packets[:0], s.packets[:n]...)
	b.Now = b.Packets[n-1].Time
	s.packets = s.packets[n:]
	time.Sleep(5 * time.Millisecond)
	return nil
}

// fillTime is how long a run takes over packets.
func fillTime(b *testing.B, packets []capture.Packet, board *correlate.Board) time.Duration {
	b.Helper()
	runtime.GC()
	begin := time.Now()
	err := correlate.Run(context.Background(), flowtest.NewSource(packets, capture.MaxBatch), correlate.Config{Board: board})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// BenchmarkReaders is a run alone, and with 200 readers with a stream each, half of which leave midway: the ratio of the
// times is what readers cost the pipeline.
func BenchmarkReaders(b *testing.B) {
	const readers = 200
	packets := manyPackets(400_000)
	var alone, beside time.Duration
	for b.Loop() {
		alone += fillTime(b, packets, &correlate.Board{})
		board := &correlate.Board{}
		r := run(b, config(b, Data{Board: board}))
		clients := make([]*listener, readers)
		for i := range clients {
			clients[i] = listen(b, r.url, "")
			go func() {
				for range clients[i].ch {
				}
			}()
		}
		midway := make(chan struct{})
		go func() {
			defer close(midway)
			for board.Totals().Messages < uint64(len(packets)/2) {
				time.Sleep(5 * time.Millisecond)
			}
			for i := range readers / 2 {
				clients[i].body.Close()
			}
		}()
		beside += fillTime(b, packets, board)
		<-midway
		r.stop()
		if err := <-r.end; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(alone.Seconds()/float64(b.N), "s-alone")
	b.ReportMetric(beside.Seconds()/float64(b.N), "s-beside")
	b.ReportMetric(beside.Seconds()/alone.Seconds(), "ratio")
}

// BenchmarkListPage is a page of the plain list, as a browser asks for it, of 100,000 calls.
func BenchmarkListPage(b *testing.B) {
	h := newServer(b, config(b, manyCalls(b, 100_000))).Handler()
	for name, query := range map[string]string{"plain": "", "sorted": "?sort=callid", "filtered": "?filter=" + q(`state == "answered"`)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if w := ask(h, http.MethodGet, "/api/v1/calls"+query, header("Accept-Encoding", "gzip")); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// BenchmarkOrder is one pass over 100,000 calls that filters and sorts.
func BenchmarkOrder(b *testing.B) {
	s := newServer(b, config(b, manyCalls(b, 100_000)))
	for name, key := range map[string]orderKey{
		"filter": {filter: `state == "answered"`, sort: "num"}, "sort": {sort: "callid"}, "texts": {filter: "acct-3", sort: "num"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.main.makeOrder(context.Background(), key); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkPoll is the hub's look at a board that does not change.
func BenchmarkPoll(b *testing.B) {
	s := newServer(b, config(b, manyCalls(b, 100_000)))
	s.main.hub.begin()
	b.ReportAllocs()
	for b.Loop() {
		s.main.hub.poll()
	}
}

// BenchmarkNewest finds the revision of a board with 100,000 calls.
func BenchmarkNewest(b *testing.B) {
	data := manyCalls(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		if newest(data.Board, 0) == 0 {
			b.Fatal("no revision")
		}
	}
}
