package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/query"
)

// wire is a live source that a test feeds: one batch for each call of send.
type wire struct {
	tb    testing.TB
	board *correlate.Board
	in    chan []capture.Packet
	sent  uint64
	ended chan error
}

// newWire starts a pipeline over a wire that fills its board.
func newWire(tb testing.TB, limits correlate.Limits) *wire {
	tb.Helper()
	w := &wire{tb: tb, board: &correlate.Board{}, in: make(chan []capture.Packet), ended: make(chan error, 1)}
	go func() {
		w.ended <- correlate.Run(context.Background(), w, correlate.Config{Board: w.board, Limits: limits, Workers: 1})
	}()
	tb.Cleanup(func() {
		close(w.in)
		if err := <-w.ended; err != nil {
			tb.Error(err)
		}
	})
	return w
}

// Next implements capture.Source.
func (w *wire) Next(_ context.Context, b *capture.Batch) error {
	b.Release()
	packets, ok := <-w.in
	if !ok {
		return io.EOF
	}
	b.Packets = append(b.Packets, packets...)
	if n := len(packets); n > 0 {
		b.Now = packets[n-1].Time
	}
	return nil
}

// send puts messages on the wire and waits until the board has them. A message is "METHOD call cseq", such as
// "REGISTER 7 1", or "STATUS METHOD call cseq".
func (w *wire) send(messages ...string) {
	w.tb.Helper()
	for chunk := range slices.Chunk(messages, capture.MaxBatch) {
		packets := make([]capture.Packet, 0, capture.MaxBatch)
		for _, m := range chunk {
			w.sent++
			data := datagram(m)
			packets = append(packets, capture.Packet{
				Seq: w.sent, Time: int64(w.sent) * int64(time.Millisecond), Data: data, WireLen: uint32(len(data)),
				Link: capture.LinkEthernet,
			})
		}
		w.in <- packets
	}
	w.in <- nil // it is taken when the batch before it is under way
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if acct, _ := w.board.Accounting(); acct.Packets == w.sent {
			return
		}
		if time.Now().After(deadline) {
			w.tb.Error("the board does not get the packets")
			return
		}
	}
}

// datagram is a message as an Ethernet frame.
func datagram(message string) []byte {
	f := strings.Fields(message)
	src, dst := byte(1), byte(2)
	line, tag := f[0]+" sip:example.com SIP/2.0", ""
	if len(f) == 4 {
		line, tag = "SIP/2.0 "+f[0]+" Reason", ";tag=b"
		src, dst = dst, src
		f = f[1:]
	}
	text := fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%s-%s\r\nFrom: <sip:a@example.com>;tag=a\r\n"+
		"To: <sip:a@example.com>%s\r\nCall-ID: %s\r\nCSeq: %s %s\r\nContact: <sip:a@10.0.0.1>;expires=60\r\n"+
		"Content-Length: 0\r\n\r\n", line, f[1], f[2], tag, f[1], f[2], f[0])
	b := make([]byte, 42, 42+len(text))
	b[12], b[14], b[22], b[23] = 8, 0x45, 64, 17
	binary.BigEndian.PutUint16(b[16:], uint16(28+len(text)))
	copy(b[26:], []byte{10, 0, 0, src, 10, 0, 0, dst, 5060 >> 8, 5060 & 255, 5060 >> 8, 5060 & 255})
	binary.BigEndian.PutUint16(b[38:], uint16(8+len(text)))
	return append(b, text...)
}

// poll gives what a Poll tells, as "Call-ID state".
func poll(t *testing.T, w *Watcher) []string {
	t.Helper()
	var got []string
	err := w.Poll(func(s *correlate.Summary) error {
		got = append(got, s.CallID+" "+s.State.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func filter(t *testing.T, src string) func(*correlate.Summary) bool {
	t.Helper()
	q, err := query.Compile(src, query.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return q.Match
}

// What is told of one call that is polled in a row of states; "+" marks those for which the filter holds, "!" those
// that are to be told.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]string{
		"never matches":                    {"calling", "ringing", "answered"},
		"matches at once":                  {"+!calling", "+ringing"},
		"begins to match":                  {"calling", "+!failed", "+failed", "+failed"},
		"goes on to match in other states": {"+!calling", "+ringing", "+answered", "+completed"},
		"counters go in and out":           {"+!failed", "failed", "+failed", "failed", "+failed"},
		"works in between":                 {"+!failed", "registered", "+!failed", "+failed"},
		"works in between, late":           {"+!failed", "failed", "registered", "failed", "+!failed"},
		"matches again in another state":   {"+!failed", "failed", "+!busy"},
		"out since another state":          {"+!failed", "+busy", "busy", "+busy"},
		"again and again":                  {"+!failed", "registered", "+!failed", "registered", "+!failed", "failed", "+failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			matches := false
			w := New(&correlate.Board{}, func(*correlate.Summary) bool { return matches })
			for i, step := range steps {
				state := strings.TrimLeft(step, "+!")
				matches = strings.Contains(step, "+")
				s := correlate.Summary{Num: 1}
				for _, s.State = range correlate.States() {
					if s.State.String() == state {
						break
					}
				}
				if s.State.String() != state {
					t.Fatalf("no state %q", state)
				}
				if got, want := w.begins(&s), strings.Contains(step, "!"); got != want {
					t.Errorf("step %d, %s: told %v", i, step, got)
				}
			}
		})
	}
}

// Calls on a board that goes on: each is told in its newest state, once, in the order of the last change.
func TestPoll(t *testing.T) {
	t.Parallel()
	net := newWire(t, correlate.Limits{})
	w := New(net.board, filter(t, `state == "failed" && code >= 500`))
	for i, step := range []struct {
		send, want []string
	}{
		{nil, nil},
		{[]string{"INVITE one 1", "INVITE two 1", "REGISTER three 1"}, nil},
		{[]string{"500 INVITE two 1", "503 INVITE one 1"}, []string{"two failed", "one failed"}},
		{[]string{"ACK two 1", "500 INVITE two 1"}, nil},
		{[]string{"403 REGISTER three 1"}, nil},
		{[]string{"REGISTER three 2", "500 REGISTER three 2"}, []string{"three failed"}},
		{[]string{"REGISTER three 3"}, nil},
		{[]string{"200 REGISTER three 3", "INVITE four 1"}, nil},
		// failed and mended between two Polls: not seen
		{[]string{"REGISTER three 4", "500 REGISTER three 4", "REGISTER three 5", "200 REGISTER three 5"}, nil},
		{[]string{"REGISTER three 6", "500 REGISTER three 6"}, []string{"three failed"}},
		{[]string{"500 INVITE four 1"}, []string{"four failed"}},
	} {
		net.send(step.send...)
		if got := poll(t, w); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %q told, want %q", i, got, step.want)
		}
		if got := poll(t, w); got != nil {
			t.Errorf("step %d: %q told when nothing had changed", i, got)
		}
	}
}

// An error ends the Poll, and the next one goes on after the call that it was for.
func TestPollError(t *testing.T) {
	t.Parallel()
	net := newWire(t, correlate.Limits{})
	w := New(net.board, func(*correlate.Summary) bool { return true })
	net.send("INVITE a 1", "INVITE b 1", "INVITE c 1", "INVITE d 1")
	failed := errors.New("failed")
	var got []string
	err := w.Poll(func(s *correlate.Summary) error {
		if got = append(got, s.CallID); s.CallID == "b" {
			return failed
		}
		return nil
	})
	if !errors.Is(err, failed) || !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("%v after %q", err, got)
	}
	if rest := poll(t, w); !slices.Equal(rest, []string{"c calling", "d calling"}) {
		t.Errorf("then %q", rest)
	}
}

// A call that comes back after the limits evicted it is a new call.
func TestPollEvicted(t *testing.T) {
	t.Parallel()
	net := newWire(t, correlate.Limits{Calls: 3})
	w := New(net.board, filter(t, `state == "failed"`))
	net.send("INVITE a 1", "500 INVITE a 1")
	if got := poll(t, w); !slices.Equal(got, []string{"a failed"}) {
		t.Fatalf("%q", got)
	}
	net.send("INVITE b 1", "INVITE c 1", "INVITE d 1", "INVITE e 1")
	net.send("INVITE a 2", "500 INVITE a 2")
	if got := poll(t, w); !slices.Equal(got, []string{"a failed"}) {
		t.Errorf("%q told of a call that came back", got)
	}
}

// 100,000 calls on a board that keeps 2,000: none is missed, none told twice, and no more is remembered than a few times
// what is kept. Bursts are larger than what one look at the board gives.
func TestPollMany(t *testing.T) {
	t.Parallel()
	const calls, kept, burst = 100_000, 2000, 1900
	net := newWire(t, correlate.Limits{Calls: kept})
	w := New(net.board, filter(t, `state == "failed"`))
	told := map[string]bool{}
	most := 0
	for from := 0; from < calls; from += burst {
		var messages []string
		for i := from; i < min(calls, from+burst); i++ {
			messages = append(messages, fmt.Sprintf("OPTIONS m%d 1", i), fmt.Sprintf("500 OPTIONS m%d 1", i))
		}
		net.send(messages...)
		for _, call := range poll(t, w) {
			if told[call] {
				t.Fatalf("%s is told twice", call)
			}
			told[call] = true
		}
		most = max(most, len(w.told))
	}
	if len(told) != calls {
		t.Errorf("%d calls told of %d", len(told), calls)
	}
	if limit := max(pruneAt, 2*kept) + burst; most > limit {
		t.Errorf("%d calls are remembered, with %d on the board", most, kept)
	}
	if cap(w.buf) > 4096 {
		t.Errorf("a round of %d summaries is kept", cap(w.buf))
	}
	for i := range w.buf[:cap(w.buf)] {
		if w.buf[:cap(w.buf)][i].CallID != "" {
			t.Fatal("texts of calls stay alive after Poll")
		}
	}
}

// Poll ends, and misses nothing, while the pipeline goes on.
func TestPollWhileItRuns(t *testing.T) {
	t.Parallel()
	const calls = 20_000
	net := newWire(t, correlate.Limits{})
	w := New(net.board, filter(t, `state == "failed"`))
	done := make(chan struct{})
	told := map[uint32]int{}
	tell := func(s *correlate.Summary) error {
		told[s.Num]++
		return nil
	}
	go func() {
		defer close(done)
		for from := 0; from < calls; from += 500 {
			var messages []string
			for i := from; i < from+500; i++ {
				messages = append(messages, fmt.Sprintf("OPTIONS r%d 1", i), fmt.Sprintf("500 OPTIONS r%d 1", i))
			}
			net.send(messages...)
		}
	}()
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		if err := w.Poll(tell); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != calls {
		t.Errorf("%d calls told of %d", len(told), calls)
	}
	for num, n := range told {
		if n != 1 {
			t.Errorf("call %d is told %d times", num, n)
		}
	}
}

// The filters of the documentation are filters, and it names all variables.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`--on '([^']+)'`).FindAllStringSubmatch(string(page), -1)
	if len(found) < 4 {
		t.Errorf("%d filters found", len(found))
	}
	for _, f := range found {
		filter(t, f[1])
	}
	for _, v := range variables(&correlate.Summary{}) {
		name, _, _ := strings.Cut(v, "=")
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
}

// BenchmarkPoll measures a Poll after 1,000 of 10,000 calls changed.
func BenchmarkPoll(b *testing.B) {
	net := newWire(b, correlate.Limits{})
	var messages []string
	for i := range 10_000 {
		messages = append(messages, fmt.Sprintf("OPTIONS b%d 1", i), fmt.Sprintf("500 OPTIONS b%d 1", i))
	}
	net.send(messages...)
	w := New(net.board, func(s *correlate.Summary) bool { return s.Code >= 500 })
	var last uint64
	told := 0
	tell := func(s *correlate.Summary) error {
		told, last = told+1, s.Rev
		return nil
	}
	if err := w.Poll(tell); err != nil || told != 10_000 {
		b.Fatal(told, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w.since = last - 1000
		if err := w.Poll(tell); err != nil {
			b.Fatal(err)
		}
	}
}
