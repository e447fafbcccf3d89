package calls

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// gate lets a batch of a capture through for each token.
type gate struct {
	files  *capture.Files
	tokens chan int
}

func (g *gate) Next(ctx context.Context, b *capture.Batch) error {
	select {
	case _, ok := <-g.tokens:
		if !ok {
			return io.EOF
		}
		return g.files.Next(ctx, b)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// feed is a board that fills when the test says so, with messages that the test writes.
type feed struct {
	tb      testing.TB
	board   *correlate.Board
	batches chan []capture.Packet
	done    chan error
	mu      sync.Mutex
	texts   map[uint64][]byte // by frame
	ended   bool
}

func newFeed(tb testing.TB, limits correlate.Limits, headers ...string) *feed {
	tb.Helper()
	f := &feed{
		tb: tb, board: &correlate.Board{}, batches: make(chan []capture.Packet), done: make(chan error, 1), texts: map[uint64][]byte{},
	}
	cfg := correlate.Config{Board: f.board, Workers: 1, Limits: limits, Headers: headers}
	go func() { f.done <- correlate.Run(context.Background(), f, cfg) }()
	tb.Cleanup(f.end)
	return f
}

// Next implements capture.Source.
func (f *feed) Next(_ context.Context, b *capture.Batch) error {
	packets, ok := <-f.batches
	if !ok {
		return io.EOF
	}
	b.Packets = append(b.Packets[:0], packets...)
	b.Now = packets[len(packets)-1].Time
	return nil
}

// push gives messages to the pipeline and waits until they are on the board.
func (f *feed) push(messages ...string) {
	f.tb.Helper()
	packets := make([]capture.Packet, len(messages))
	f.mu.Lock()
	for i, m := range messages {
		seq := uint64(len(f.texts)) + 1
		f.texts[seq] = []byte(m)
		frame := udp(uint16(seq), m)
		packets[i] = capture.Packet{
			Seq: seq, Time: int64(seq) * 1e6, Data: frame, WireLen: uint32(len(frame)), Link: capture.LinkEthernet,
		}
	}
	want := uint64(len(f.texts))
	f.mu.Unlock()
	f.batches <- packets
	for range 10_000 {
		if f.board.Totals().Messages >= want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	f.tb.Fatalf("%d of %d messages are on the board", f.board.Totals().Messages, want)
}

// end ends the capture.
func (f *feed) end() {
	if f.ended {
		return
	}
	f.ended = true
	close(f.batches)
	if err := <-f.done; err != nil {
		f.tb.Error(err)
	}
}

// text reads a message again.
func (f *feed) text(call *correlate.Call, message int) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.texts[call.Messages[message].Seq]
}

func (f *feed) data() term.Data { return term.Data{Board: f.board, Source: "feed", Text: f.text} }

// tester shows the feed. With async, work in the background waits for the test.
func (f *feed) tester(t *testing.T, async bool) *tester {
	t.Helper()
	h := termtest.NewHost(f.data())
	h.Async = async
	x := &tester{View: New(h, nil), h: h, t: t, now: time.Unix(1, 0)}
	x.draw(80, 24)
	return x
}

// request is the first message of a call; further headers end with CRLF.
func request(method string, call int, headers string) string {
	return fmt.Sprintf("%s sip:bob%d@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%d\r\n"+
		"From: <sip:alice@example.com>;tag=a%d\r\nTo: <sip:bob%d@example.com>\r\nCall-ID: c%d@10.0.0.1\r\nCSeq: 1 %s\r\n"+
		"%sContent-Length: 0\r\n\r\n", method, call, call, call, call, call, method, headers)
}

// busy is the final response to the INVITE of a call.
func busy(call int, headers string) string {
	return fmt.Sprintf("SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%d\r\n"+
		"From: <sip:alice@example.com>;tag=a%d\r\nTo: <sip:bob%d@example.com>;tag=b\r\nCall-ID: c%d@10.0.0.1\r\nCSeq: 1 INVITE\r\n"+
		"%sContent-Length: 0\r\n\r\n", call, call, call, call, headers)
}

// requests are calls first to last, every fourth an OPTIONS.
func requests(first, last int) []string {
	var all []string
	for i := first; i <= last; i++ {
		method := "INVITE"
		if i%4 == 0 {
			method = "OPTIONS"
		}
		all = append(all, request(method, i, ""))
	}
	return all
}

// udp is a datagram on Ethernet from 10.0.0.1 to 10.0.0.2, or back for a response.
func udp(id uint16, text string) []byte {
	src, dst := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	if text[:4] == "SIP/" {
		src, dst = dst, src
	}
	b := make([]byte, 42, 42+len(text))
	b[12], b[14], b[22], b[23] = 8, 0x45, 64, 17
	binary.BigEndian.PutUint16(b[16:], uint16(28+len(text)))
	binary.BigEndian.PutUint16(b[18:], id)
	copy(b[26:], src)
	copy(b[30:], dst)
	binary.BigEndian.PutUint16(b[34:], 5060)
	binary.BigEndian.PutUint16(b[36:], 5060)
	binary.BigEndian.PutUint16(b[38:], uint16(8+len(text)))
	return append(b, text...)
}

// counter counts what is copied from a board.
type counter struct {
	copier
	copied int
}

func (c *counter) Changes(since uint64, dst []correlate.Summary) ([]correlate.Summary, uint64) {
	n := len(dst)
	dst, rev := c.copier.Changes(since, dst)
	c.copied += len(dst) - n
	return dst, rev
}

func (c *counter) Summaries(nums []uint32, dst []correlate.Summary) []correlate.Summary {
	n := len(dst)
	dst = c.copier.Summaries(nums, dst)
	c.copied += len(dst) - n
	return dst
}

// count counts what the list copies from now on.
func (x *tester) count() *counter {
	c := &counter{copier: x.board}
	x.copies, x.list.copies = c, c
	return c
}
