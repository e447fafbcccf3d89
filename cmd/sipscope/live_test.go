package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
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

// Figures a second are of the last whole second or so; every loss stands before them.
func TestStatusLine(t *testing.T) {
	t.Parallel()
	status := capture.Status{}
	d := &door{status: func() capture.Status { return status }}
	board := &correlate.Board{}
	var r rates
	now := time.Unix(1000, 0)
	if got := r.statusLine(now, d, board); got != "live · just begun" {
		t.Errorf("at first %q", got)
	}
	if got := r.statusLine(now.Add(time.Second), d, board); got != "live · waiting for packets" {
		t.Errorf("without packets %q", got)
	}
	path := writeFlow(t, "mixed.flow", mixedFlow(15))
	files, err := openFiles([]string{path}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer files.close()
	if err = correlate.Run(t.Context(), files.source, correlate.Config{Board: board}); err != nil {
		t.Fatal(err)
	}
	status = capture.Status{
		Sources: []capture.SourceStatus{{Name: "eth0", Dropped: 12345, Note: "interface is gone"}, {Name: "HEP", Queue: 1}},
		Spool:   &capture.SpoolStatus{Dropped: 7, Err: "no space left on device"},
	}
	acct, _ := board.Accounting()
	want := "live · 12k dropped by the kernel · 1 dropped in the queue · eth0: interface is gone · 7 not spooled · " +
		"spool: no space left on device · " + short(float64(acct.Packets)/2) + " packets/s · " + short(float64(acct.Messages)/2) +
		" messages/s · 7.5 calls/s"
	if got := r.statusLine(now.Add(3*time.Second), d, board); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
