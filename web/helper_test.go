package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/flowtest"
	"sipscope/render/save"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The tests' way to servers; what it keeps open is closed by each test.
var (
	transport = &http.Transport{}
	client    = &http.Client{Transport: transport}
)

// fakePages draws pages that tests can read.
type fakePages struct {
	overviews atomic.Int64
	fail      error
	panics    bool
}

func (p *fakePages) Shell(w io.Writer, s Shell) error {
	if p.panics {
		panic("a packet broke the page")
	}
	if p.fail != nil {
		return p.fail
	}
	fmt.Fprintf(w, "<!doctype html><title>%s</title><p>view=%s base=%s path=%s message=%d live=%v upload=%v</p>",
		s.Title, s.View, s.Base, s.Path, s.Message, s.Live, s.Upload)
	if s.Call != nil {
		fmt.Fprintf(w, "<p>call=%d text=%d</p>", s.Call.Num, len(s.Text(0)))
	}
	return nil
}

func (p *fakePages) CallJSON(dst []byte, c *correlate.Call, text func(int) []byte, _ Media) ([]byte, error) {
	if p.panics {
		panic("a packet broke the page")
	}
	return fmt.Appendf(dst, `{"num":%d,"bytes":%d}`, c.Num, len(text(0))), p.fail
}

func (p *fakePages) OverviewJSON(dst []byte, o Overview) ([]byte, error) {
	if p.panics {
		panic("a packet broke the page")
	}
	p.overviews.Add(1)
	n := 0
	for range o.Calls {
		n++
	}
	return fmt.Appendf(dst, `{"calls":%d,"messages":%d,"pad":%q}`, n, o.Result.SIPMessages, strings.Repeat("x", 2000)), p.fail
}

func (p *fakePages) Assets() fs.FS {
	return fstest.MapFS{
		"app-1234.js":  {Data: []byte("// " + strings.Repeat("script ", 400))},
		"app-1234.css": {Data: []byte("body {}")},
		"sub/no.js":    {Data: []byte("no")},
	}
}

// flowFile writes a flow of the project as a capture.
func flowFile(tb testing.TB, name string) string {
	tb.Helper()
	in, err := os.Open(filepath.Join("..", "testdata", "flows", name+".flow"))
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	f, err := flowtest.Parse(name+".flow", in)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), f.FileName())
	out, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err = errors.Join(f.Write(out), out.Close()); err != nil {
		tb.Fatal(err)
	}
	return path
}

// counted is a sink that gathers figures.
type counted struct {
	mu sync.Mutex
	c  stats.Collector
}

func (c *counted) Event(e *correlate.Event) error {
	if e.Message != nil {
		c.mu.Lock()
		c.c.Message(e.Message, e.Verdict.Retransmission, e.Verdict.Duplicate)
		c.mu.Unlock()
	}
	return nil
}

func (c *counted) result(board *correlate.Board) stats.Result {
	c.mu.Lock()
	clone := c.c.Clone()
	c.mu.Unlock()
	for s := range board.Calls() {
		clone.Call(s)
	}
	acct, limited := board.Accounting()
	return clone.Result(stats.NewTotals(acct, board.Totals(), limited))
}

// readFiles reads captures to their end.
func readFiles(tb testing.TB, headers []string, paths ...string) Data {
	tb.Helper()
	files, err := capture.Open(paths, capture.Options{Spool: true, SpoolDir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { files.Close() })
	board, sink := &correlate.Board{}, &counted{}
	err = correlate.Run(context.Background(), files, correlate.Config{Workers: 1, Board: board, Sink: sink, Headers: headers})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	return Data{
		Board: board, Save: save.FromFiles(files), Headers: headers,
		Stats:    func(context.Context) (stats.Result, error) { return sink.result(board), nil },
		Progress: func() (int64, int64) { return files.Offset(), files.Size() },
	}
}

// flows is a capture of several calls.
func flows(tb testing.TB, headers ...string) Data {
	tb.Helper()
	var paths []string
	for _, name := range []string{"two-proxies", "busy-486", "register-auth", "cancel", "hostile-names", "message"} {
		paths = append(paths, flowFile(tb, name))
	}
	return readFiles(tb, headers, paths...)
}

// config is a Config that tests change.
func config(tb testing.TB, data Data) Config {
	tb.Helper()
	return Config{Listen: "127.0.0.1:0", Title: "test.pcap", Data: data, Pages: &fakePages{}, Version: "1.2.3"}
}

func newServer(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// ask is a request without a connection.
func ask(h http.Handler, method, target string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Host = "localhost:8060"
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// unpack gives the body of an answer, whatever its coding.
func unpack(tb testing.TB, w *httptest.ResponseRecorder) []byte {
	tb.Helper()
	if w.Header().Get("Content-Encoding") != "gzip" {
		return w.Body.Bytes()
	}
	z, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		tb.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func decodeJSON[T any](tb testing.TB, b []byte) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		tb.Fatalf("%v in %.300q", err, b)
	}
	return v
}

// list is the answer of /api/v1/calls.
type list struct {
	Total    int    `json:"total"`
	Of       int    `json:"of"`
	Revision uint64 `json:"revision"`
	Calls    []struct {
		Num    uint32 `json:"num"`
		CallID string `json:"call_id"`
		Method string `json:"method"`
		State  string `json:"state"`
		Code   *int   `json:"code"`
	} `json:"calls"`
}

func nums(l list) []uint32 {
	out := []uint32{}
	for i := range l.Calls {
		out = append(out, l.Calls[i].Num)
	}
	return out
}

// feed is a board that fills when the test says so.
type feed struct {
	tb      testing.TB
	board   *correlate.Board
	batches chan []capture.Packet
	done    chan error
	seq     uint64
	ended   bool
}

func newFeed(tb testing.TB) *feed {
	tb.Helper()
	f := &feed{tb: tb, board: &correlate.Board{}, batches: make(chan []capture.Packet), done: make(chan error, 1)}
	go func() { f.done <- correlate.Run(context.Background(), f, correlate.Config{Board: f.board, Workers: 1}) }()
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

// push gives the pipeline messages, and waits until they are on the board.
func (f *feed) push(messages ...string) {
	f.tb.Helper()
	packets := make([]capture.Packet, len(messages))
	for i, m := range messages {
		f.seq++
		frame := udpFrame(m)
		packets[i] = capture.Packet{
			Seq: f.seq, Time: int64(f.seq) * 1e6, Data: frame, WireLen: uint32(len(frame)), Link: capture.LinkEthernet,
		}
	}
	f.batches <- packets
	for f.board.Totals().Messages < f.seq {
		time.Sleep(time.Millisecond)
	}
}

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

// message is a request or response of call n.
func message(line, cseq string, n int) string {
	return fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%s%d\r\nFrom: <sip:a%d@example.com>;tag=a%d\r\n"+
		"To: <sip:b@example.com>%s\r\nCall-ID: call-%d\r\nCSeq: %s\r\nX-Account: acct-%d\r\nContent-Length: 0\r\n\r\n",
		line, cseq[:1], n, n, n, map[bool]string{true: ";tag=b"}[strings.HasPrefix(line, "SIP/2.0 2")], n, cseq, n%7)
}

func invite(n int) string { return message("INVITE sip:b@example.com SIP/2.0", "1 INVITE", n) }
func ok200(n int) string  { return message("SIP/2.0 200 OK", "1 INVITE", n) }

func udpFrame(text string) []byte {
	b := make([]byte, 42+len(text))
	b[12], b[14] = 8, 0x45
	binary.BigEndian.PutUint16(b[16:], uint16(28+len(text)))
	b[22], b[23] = 64, 17
	src, dst := []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}
	if strings.HasPrefix(text, "SIP/2.0") {
		src, dst = dst, src
	}
	copy(b[26:], src)
	copy(b[30:], dst)
	binary.BigEndian.PutUint16(b[34:], 5060)
	binary.BigEndian.PutUint16(b[36:], 5060)
	binary.BigEndian.PutUint16(b[38:], uint16(8+len(text)))
	copy(b[42:], text)
	return b
}

// manyPackets makes the packets of n calls with two messages each.
func manyPackets(n int) []capture.Packet {
	out := make([]capture.Packet, 0, 2*n)
	for i := range n {
		for _, text := range []string{invite(i), ok200(i)} {
			frame := udpFrame(text)
			out = append(out, capture.Packet{
				Seq: uint64(len(out) + 1), Time: int64(len(out)) * 1e5, Data: frame, WireLen: uint32(len(frame)),
				Link: capture.LinkEthernet,
			})
		}
	}
	return out
}

// manyCalls is a board with n calls, whose texts can be read again.
func manyCalls(tb testing.TB, n int) Data {
	tb.Helper()
	packets := manyPackets(n)
	board := &correlate.Board{}
	err := correlate.Run(context.Background(), flowtest.NewSource(packets, capture.MaxBatch),
		correlate.Config{Board: board})
	if err != nil {
		tb.Fatal(err)
	}
	return Data{Board: board, Save: save.Source{
		Text: func(c *correlate.Call, m int) ([]byte, error) { return packets[c.Messages[m].Seq-1].Data[42:], nil },
	}}
}

func q(s string) string { return url.QueryEscape(s) }
func itoa(n int) string { return strconv.Itoa(n) }
