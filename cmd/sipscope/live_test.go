package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"sipscope/capture"
)

// timed is a live source that gives one packet a batch at given times, and empty batches for time 0. Its own Now never
// goes back.
type timed struct {
	times []int64
	next  int
	now   int64
}

func (s *timed) Next(_ context.Context, b *capture.Batch) error {
	b.Release()
	if s.next == len(s.times) {
		return io.EOF
	}
	at := s.times[s.next]
	s.next++
	if at > 0 {
		b.Packets = append(b.Packets, capture.Packet{Time: at})
		s.now = max(s.now, at)
	}
	b.Now = s.now
	return nil
}

// A source that is ended gives what is still there, and no more than that.
func TestEnding(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	wall := time.Unix(0, 0)
	asked := 0
	s := &ending{
		Source: &timed{times: []int64{1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0}}, stop: stop, ask: []func(){func() { asked++ }},
		clock: func() time.Time {
			wall = wall.Add(200 * time.Millisecond)
			return wall
		},
	}
	var b capture.Batch
	packets := 0
	for i := 0; ; i++ {
		if i == 2 {
			close(stop)
		}
		err := s.Next(t.Context(), &b)
		if errors.Is(err, io.EOF) {
			break
		}
		packets += len(b.Packets)
	}
	if packets != 5 || asked != 1 {
		t.Errorf("%d packets given, want 5; asked %d times to end", packets, asked)
	}
}

func TestShort(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.25: "0.2", 7: "7", 9.5: "9.5", 123.4: "123", 1234: "1.2k", 53000: "53k", 2.5e6: "2.5M"} {
		if got := short(v); got != want {
			t.Errorf("short(%v) = %q, want %q", v, got, want)
		}
	}
}
