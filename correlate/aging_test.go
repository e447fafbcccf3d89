package correlate_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
)

// days gives n calls of callPackets one after the other, a minute apart; every tenth has no BYE.
func days(n int) []capture.Packet {
	all := callPackets(n)
	var out []capture.Packet
	for i := range n {
		for step := range 7 {
			if i%10 == 0 && step > 4 {
				continue
			}
			p := all[step*n+i]
			p.Time = int64(i)*int64(time.Minute) + int64(step)*int64(time.Second)
			p.Seq = uint64(len(out) + 1)
			out = append(out, p)
		}
	}
	return out
}

// Ended calls go when they are older than Keep, those that never ended when they are older than Idle; the rest stays,
// and no batching changes which.
func TestKeepAndIdle(t *testing.T) {
	t.Parallel()
	packets := days(300)
	var before []string
	for _, batch := range []int{1, 7, 256} {
		board := &correlate.Board{}
		err := correlate.Run(context.Background(), &memory{packets: packets, batch: batch}, correlate.Config{
			Board: board, Limits: correlate.Limits{Keep: int64(30 * time.Minute), Idle: int64(2 * time.Hour)},
		})
		if err != nil {
			t.Fatal(err)
		}
		var kept []string
		ended, open := 0, 0
		for s := range board.Calls() {
			kept = append(kept, s.CallID)
			if s.State == correlate.StateAnswered {
				open++
			} else {
				ended++
			}
		}
		_, limited := board.Accounting()
		if limited.ExpiredCalls != limited.EvictedCalls || int(limited.ExpiredCalls)+len(kept) != 300 {
			t.Errorf("batch %d: %+v with %d kept of 300", batch, limited, len(kept))
		}
		// the last 30 minutes of calls that ended, the last two hours of those that did not
		if ended < 26 || ended > 28 || open < 11 || open > 13 {
			t.Errorf("batch %d: %d ended and %d open calls kept", batch, ended, open)
		}
		if before != nil && !slices.Equal(before, kept) {
			t.Errorf("batch %d keeps other calls", batch)
		}
		before = kept
	}
}

// setBack gives packets whose times fall back by an hour after the first n.
type setBack struct {
	packets []capture.Packet
	n, next int
	now     int64
}

func (s *setBack) Next(_ context.Context, b *capture.Batch) error {
	b.Release()
	if s.next == len(s.packets) {
		b.Now = s.now
		return io.EOF
	}
	p := s.packets[s.next]
	if s.next >= s.n {
		p.Time -= int64(time.Hour)
	}
	b.Packets = append(b.Packets, p)
	b.SetBack = s.next == s.n
	s.now, b.Now = p.Time, p.Time
	s.next++
	return nil
}

// A clock set back stops no timer: a request sent after it times out 32 seconds later (RFC 3261 timer B), as one does
// that was sent before it.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	const n = 4
	all := callPackets(n)
	at := func(i int, sec int) capture.Packet {
		p := all[i]
		p.Time = int64(3*time.Hour) + int64(sec)*int64(time.Second)
		return p
	}
	// INVITEs of calls 0 and 1 before, of 2 after; call 3 shows that 40 seconds pass
	packets := []capture.Packet{at(0, 0), at(1, 1), at(2, 2), at(3, 42)}
	for i := range packets {
		packets[i].Seq = uint64(i + 1)
	}
	board := &correlate.Board{}
	if err := correlate.Run(context.Background(), &setBack{packets: packets, n: 2}, correlate.Config{Board: board}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for s := range board.Calls() {
		got = append(got, fmt.Sprintf("%s %s", s.CallID[:6], s.State))
		if s.PDD < -1 || s.Setup < -1 || s.Duration < -1 {
			t.Errorf("negative times: %v %v %v", s.PDD, s.Setup, s.Duration)
		}
	}
	want := []string{"call-0 timed_out", "call-1 timed_out", "call-2 timed_out", "call-3 calling"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// frameSink counts what it is given.
type frameSink struct {
	events, frames int
	last           uint64
}

func (s *frameSink) Event(*correlate.Event) error { s.events++; return nil }

func (s *frameSink) Frames(w *decode.Work) error {
	for p, f := range w.Packets() {
		if p.Seq != s.last+1 || len(f.Payload) == 0 {
			return fmt.Errorf("frame %d after %d with %d bytes", p.Seq, s.last, len(f.Payload))
		}
		s.last = p.Seq
		s.frames++
	}
	return nil
}

// A sink of frames gets each once, in order, and the pipeline can say how busy it was.
func TestFrameSinkAndLoad(t *testing.T) {
	t.Parallel()
	packets := callPackets(300)
	board, sink := &correlate.Board{}, &frameSink{}
	start := time.Now()
	err := correlate.Run(context.Background(), &memory{packets: packets, batch: 16}, correlate.Config{
		Board: board, Sink: sink, Clock: func() int64 { return int64(time.Since(start)) },
	})
	if err != nil || sink.frames != len(packets) || sink.events != len(packets) {
		t.Errorf("%d frames and %d events of %d packets, %v", sink.frames, sink.events, len(packets), err)
	}
	l := board.Load()
	if l.Now != packets[len(packets)-1].Time || l.Decoding <= 0 || l.Tracking <= 0 || l.Jobs < 8 || l.Waiting > l.Jobs {
		t.Errorf("%+v", l)
	}
}
