package correlate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"go.uber.org/goleak"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode/sip"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A limit on calls holds at any time, what it evicts is counted, and what is counted adds up.
func TestLimitsEvictAndCount(t *testing.T) {
	t.Parallel()
	packets := callPackets(500)
	for _, limits := range []correlate.Limits{{Calls: 40}, {Messages: 300}, {Calls: 1}} {
		board := &correlate.Board{}
		err := correlate.Run(context.Background(), &memory{packets: packets, batch: 7},
			correlate.Config{Board: board, Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		var calls, messages uint64
		for s := range board.Calls() {
			calls++
			messages += uint64(s.Messages)
		}
		_, limited := board.Accounting()
		total := board.Totals()
		if limits.Calls > 0 && calls > uint64(limits.Calls) {
			t.Errorf("%+v: %d calls kept", limits, calls)
		}
		if limits.Messages > 0 && messages > uint64(limits.Messages)+7 {
			t.Errorf("%+v: %d messages kept", limits, messages)
		}
		if total.Messages != uint64(len(packets)) {
			t.Errorf("%+v: %d messages counted of %d", limits, total.Messages, len(packets))
		}
		if calls+limited.EvictedCalls != total.Calls {
			t.Errorf("%+v: %d kept and %d evicted of %d calls", limits, calls, limited.EvictedCalls, total.Calls)
		}
		if messages+limited.EvictedMessages != total.Messages {
			t.Errorf("%+v: %d kept and %d evicted of %d messages", limits, messages, limited.EvictedMessages, total.Messages)
		}
	}
}

// An ended call goes before an older one that still runs.
func TestEndedCallsGoFirst(t *testing.T) {
	t.Parallel()
	packets := callPackets(3)
	// the first call's INVITE, then the whole of the second, then the third's INVITE
	var order []capture.Packet
	for _, i := range []int{0, 1, 4, 7, 10, 13, 16, 19, 2} {
		order = append(order, packets[i])
	}
	board := &correlate.Board{}
	err := correlate.Run(context.Background(), &memory{packets: order, batch: 1},
		correlate.Config{Board: board, Limits: correlate.Limits{Calls: 2}})
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for s := range board.Calls() {
		kept = append(kept, s.CallID)
	}
	if len(kept) != 2 || kept[0] != "call-0@10.0.0.1" || kept[1] != "call-2@10.0.0.1" {
		t.Errorf("kept %v, want the running calls 0 and 2", kept)
	}
}

// However many calls that go on changed longer ago, an ended one goes before them.
func TestManyRunningCallsStay(t *testing.T) {
	t.Parallel()
	const going, ending = 600, 50
	packets := callPackets(going + ending)
	n := going + ending
	var order []capture.Packet
	order = append(order, packets[:going]...) // INVITEs
	for i := going; i < n; i++ {
		for step := range 7 {
			order = append(order, packets[step*n+i])
		}
	}
	for i := range order {
		order[i].Seq, order[i].Time = uint64(i+1), int64(i)*1000
	}
	board := &correlate.Board{}
	err := correlate.Run(context.Background(), &memory{packets: order, batch: 16},
		correlate.Config{Board: board, Limits: correlate.Limits{Calls: going + 10}})
	if err != nil {
		t.Fatal(err)
	}
	running := 0
	for s := range board.Calls() {
		if s.State == correlate.StateCalling {
			running++
		}
	}
	if running != going {
		t.Errorf("%d of %d running calls kept", running, going)
	}
}

// A call beyond the limit of messages keeps counting, and still gets its state.
func TestMessagesPerCall(t *testing.T) {
	t.Parallel()
	board := &correlate.Board{}
	err := correlate.Run(context.Background(), &memory{packets: callPackets(1), batch: 256},
		correlate.Config{Board: board, Limits: correlate.Limits{MessagesPerCall: 2}})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := board.Call(1)
	if !ok || len(c.Messages) != 2 || c.Summary.Messages != 7 || c.State != correlate.StateCompleted {
		t.Errorf("%d messages kept of %d, state %s; want 2 of 7, completed", len(c.Messages), c.Summary.Messages, c.State)
	}
	if _, limited := board.Accounting(); limited.UnkeptMessages != 5 {
		t.Errorf("%d messages counted as not kept, want 5", limited.UnkeptMessages)
	}
}

// failing gives some packets, then an error.
type failing struct {
	memory
	err error
}

func (f *failing) Next(ctx context.Context, b *capture.Batch) error {
	err := f.memory.Next(ctx, b)
	if errors.Is(err, io.EOF) {
		return f.err
	}
	return err
}

// An error of the source comes after everything before it was tracked (law 10).
func TestSourceErrorComesLast(t *testing.T) {
	t.Parallel()
	want := errors.New("the wire was cut")
	board := &correlate.Board{}
	err := correlate.Run(context.Background(), &failing{memory{callPackets(10), 3}, want}, correlate.Config{Board: board})
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	if n := board.Totals().Messages; n != 70 {
		t.Errorf("%d messages before the error, want 70", n)
	}
	if !board.Done() {
		t.Error("the board does not know that the run has ended")
	}
}

// refusing is a Sink that has enough after n events.
type refusing struct {
	n   int
	err error
}

func (r *refusing) Event(*correlate.Event) error {
	if r.n--; r.n < 0 {
		return r.err
	}
	return nil
}

func TestSinkErrorAndContextEndTheRun(t *testing.T) {
	t.Parallel()
	want := errors.New("disk full")
	err := correlate.Run(context.Background(), &memory{packets: callPackets(200), batch: 4},
		correlate.Config{Sink: &refusing{50, want}})
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = correlate.Run(ctx, &memory{packets: callPackets(200), batch: 4}, correlate.Config{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

// A reader that follows a run sees every call's last state, whenever it looks.
func TestBoardChanges(t *testing.T) {
	t.Parallel()
	board := &correlate.Board{}
	done := make(chan map[uint32]correlate.Summary)
	go func() {
		latest := map[uint32]correlate.Summary{}
		var rev uint64
		for {
			ended := board.Done()
			var some []correlate.Summary
			some, rev = board.Changes(rev, nil)
			for _, s := range some {
				latest[s.Num] = s
			}
			if ended && len(some) == 0 {
				done <- latest
				return
			}
		}
	}()
	err := correlate.Run(context.Background(), &memory{packets: callPackets(3000), batch: 64}, correlate.Config{Board: board})
	if err != nil {
		t.Fatal(err)
	}
	latest := <-done
	if len(latest) != 3000 {
		t.Fatalf("%d calls seen, want 3000", len(latest))
	}
	for num, s := range latest {
		if s.State != correlate.StateCompleted || s.Messages != 7 {
			t.Fatalf("call %d: %s with %d messages, want completed with 7", num, s.State, s.Messages)
		}
	}
}

// The hot path of the tracker does not allocate once its tables have grown.
func TestTrackerAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	packets := callPackets(400)
	messages := decoded(packets)
	tracker := correlate.NewTracker(correlate.Limits{}, nil)
	for _, m := range messages {
		tracker.Message(m)
	}
	// all of it once more: retransmissions of known calls
	i := 0
	if n := testing.AllocsPerRun(len(messages)-1, func() {
		tracker.Message(messages[i])
		i++
	}); n > 0.01 {
		t.Errorf("%.2f allocations a message of a known call, want none", n)
	}
}

// More addresses or methods than a call or a run tells apart are counted, not passed over in silence (law 2).
func TestSharedPlacesAreCounted(t *testing.T) {
	t.Parallel()
	const addresses, methods = 1500, 5000
	tracker := correlate.NewTracker(correlate.Limits{}, nil)
	m := *decoded(callPackets(1))[0]
	for i := range addresses {
		m.Src.Port = uint16(i + 1)
		tracker.Message(&m)
	}
	if n := tracker.Limited().SharedAddresses; n < addresses-1024 {
		t.Errorf("%d messages of shared addresses counted, at least %d expected", n, addresses-1024)
	}
	for i := range methods {
		text := fmt.Sprintf("M%d sip:b@example.com SIP/2.0\r\nCall-ID: m\r\nCSeq: 1 M%d\r\n\r\n", i, i)
		if err := sip.Parse([]byte(text), &m.SIP); err != nil {
			t.Fatal(err)
		}
		tracker.Message(&m)
	}
	if n := tracker.Limited().SharedMethods; n < methods-4096 {
		t.Errorf("%d messages of shared methods counted, at least %d expected", n, methods-4096)
	}
}

// Evicting costs the same however many calls go on beside those that end: a call that lasts must not be walked over again
// for each one.
func BenchmarkEvict(b *testing.B) {
	const going = 50_000
	packets := callPackets(going + 20_000)
	messages := decoded(packets)
	n := going + 20_000
	tracker := correlate.NewTracker(correlate.Limits{Calls: going + 100}, nil)
	for i := range going {
		tracker.Message(messages[i]) // their INVITEs alone
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		call := going + i%(n-going)
		for step := range 7 {
			tracker.Message(messages[step*n+call])
		}
		i++
	}
}
