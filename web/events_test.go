package web

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
)

// event is a server-sent event.
type event struct{ id, name, data string }

// listener reads the events of a stream.
type listener struct {
	tb   testing.TB
	body io.ReadCloser
	ch   chan event
}

// listen opens a stream.
func listen(tb testing.TB, base, last string) *listener {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, base+"/api/v1/events", http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		tb.Fatalf("%s %v", resp.Status, resp.Header)
	}
	l := &listener{tb: tb, body: resp.Body, ch: make(chan event, 1000)}
	go l.read()
	tb.Cleanup(func() { resp.Body.Close() })
	return l
}

func (l *listener) read() {
	defer close(l.ch)
	var e event
	for lines := bufio.NewReader(l.body); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				l.ch <- e
			}
			e = event{}
		}
	}
}

// next waits for an event with a name, and passes over others.
func (l *listener) next(name string) event {
	l.tb.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-l.ch:
			if !ok {
				l.tb.Fatalf("the stream ended before %s", name)
			}
			if e.name == name {
				return e
			}
		case <-timeout:
			l.tb.Fatalf("no %s", name)
		}
	}
}

func serveTest(tb testing.TB, s *Server) string {
	tb.Helper()
	srv := httptest.NewServer(s.Handler())
	tb.Cleanup(func() {
		s.endStreams()
		transport.CloseIdleConnections()
		srv.Close()
	})
	return srv.URL
}

// The state of a live capture has its losses, by place, and a line for people.
func TestEventsLive(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.push(invite(1))
	s := newServer(t, config(t, Data{
		Board: f.board, Live: func() string { return "live 12 packets/s" }, Status: func() capture.Status {
			return capture.Status{
				Sources: []capture.SourceStatus{{Name: "eth0", Dropped: 3}, {Name: "HEP", Queue: 4}},
				Spool:   &capture.SpoolStatus{Dropped: 5, Gone: 6},
			}
		},
	}))
	l := listen(t, serveTest(t, s), "")
	state := decodeJSON[stateJSON](t, []byte(l.next("state").data))
	want := liveJSON{Line: "live 12 packets/s", KernelDropped: 3, QueueDropped: 4, SpoolDropped: 5, SpoolGone: 6}
	if state.Live == nil || *state.Live != want {
		t.Errorf("live %+v, want %+v", state.Live, want)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.push(invite(1))
	s := newServer(t, config(t, Data{Board: f.board, Progress: func() (int64, int64) { return 5, 10 }}))
	base := serveTest(t, s)
	l := listen(t, base, "")
	state := decodeJSON[stateJSON](t, []byte(l.next("state").data))
	if state.Calls != 1 || state.Messages != 1 || state.Done || state.Revision == 0 || state.Progress != (progressJSON{5, 10}) ||
		!strings.Contains(string(state.Accounting), `"packets":1`) {
		t.Errorf("state %+v", state)
	}

	f.push(invite(2), invite(3))
	e := l.next("calls")
	calls := decodeJSON[list](t, []byte(e.data))
	if got := nums(calls); len(got) != 2 || got[0] != 2 || got[1] != 3 || calls.Revision <= state.Revision {
		t.Errorf("calls %s", e.data)
	}
	if e.id != strconv.FormatUint(calls.Revision, 10)+"-"+s.instance {
		t.Errorf("id %q of revision %d", e.id, calls.Revision)
	}

	f.push(ok200(2))
	changed := l.next("calls")
	if c := decodeJSON[list](t, []byte(changed.data)); len(c.Calls) != 1 || c.Calls[0].State != "answered" {
		t.Errorf("a call that was answered: %s", changed.data)
	}

	var many []string
	for i := range 3 * fewChanged {
		many = append(many, invite(100+i))
	}
	f.push(many...)
	m := l.next("many")
	if !strings.Contains(m.data, `"changed":150`) {
		t.Errorf("many: %s", m.data)
	}

	f.end()
	for {
		if s := decodeJSON[stateJSON](t, []byte(l.next("state").data)); s.Done {
			if s.Calls != 153 {
				t.Errorf("at the end: %+v", s)
			}
			break
		}
	}

	// One comes back: what it missed, or a reload.
	back := listen(t, base, e.id)
	if got := back.next("calls"); got != changed {
		t.Errorf("after %s came %+v", e.id, got)
	}
	if got := back.next("many"); got != m {
		t.Errorf("after %s came %+v", e.id, got)
	}
	for _, id := range []string{"x", "0-" + s.instance, "5-00000000", "99999-" + s.instance, "5", "-1-" + s.instance} {
		listen(t, base, id).next("reload")
	}
	now := listen(t, base, m.id)
	if got := <-now.ch; got.name != "state" {
		t.Errorf("one that missed nothing got %+v", got)
	}
}

// TestHubSleeps holds that nobody looks at the board when nobody listens.
func TestHubSleeps(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.push(invite(1))
	s := newServer(t, config(t, Data{Board: f.board}))
	base := serveTest(t, s)
	running := func() bool {
		s.main.hub.mu.Lock()
		defer s.main.hub.mu.Unlock()
		return s.main.hub.running
	}
	if running() {
		t.Fatal("the hub runs before anybody listens")
	}
	l := listen(t, base, "")
	l.next("state")
	f.push(invite(2))
	e := l.next("calls")
	l.body.Close()
	for range 500 {
		if !running() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if running() {
		t.Fatal("the hub runs after the last one has left")
	}
	f.push(invite(3)) // while nobody listens
	listen(t, base, e.id).next("reload")
	if n := s.streams.Load(); n != 1 {
		t.Errorf("%d streams", n)
	}
}

// TestSlowStream holds that a stream that takes nothing is passed over, costs nobody anything, and then gets a reload.
func TestSlowStream(t *testing.T) {
	t.Parallel()
	h := newServer(t, config(t, manyCalls(t, 10))).main.hub
	h.begin()
	st, other := &stream{ch: make(chan []byte, queued)}, &stream{ch: make(chan []byte, 100)}
	h.streams[st], h.streams[other] = struct{}{}, struct{}{}
	h.welcome(st)
	if first := <-st.ch; !bytes.Contains(first, []byte("event: state")) {
		t.Fatalf("first %s", first)
	}
	for range queued + 5 {
		h.broadcast([]byte("event: calls\ndata: {}\n\n"))
	}
	if n := len(other.ch); n != queued+5 {
		t.Errorf("another stream got %d events", n)
	}
	for range queued - 1 {
		if e := <-st.ch; !bytes.Contains(e, []byte("event: calls")) {
			t.Fatalf("queued %s", e)
		}
	}
	h.broadcast([]byte("event: calls\ndata: {}\n\n"))
	<-st.ch
	if len(st.ch) != 0 {
		t.Fatal("it gets more before it has taken all")
	}
	h.broadcast([]byte("event: calls\ndata: {}\n\n"))
	e := <-st.ch
	if !bytes.Contains(e, []byte("event: reload")) || !bytes.Contains(e, []byte("event: state")) || bytes.Contains(e, []byte("event: calls")) {
		t.Fatalf("after the gap came %s", e)
	}
	h.broadcast([]byte("event: many\ndata: {}\n\n"))
	if e := <-st.ch; !bytes.Contains(e, []byte("event: many")) {
		t.Fatalf("then came %s", e)
	}
	delete(h.streams, st)
	delete(h.streams, other)
}

// TestHeartbeat waits, in a time of its own, for a stream's sign of life.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(config(t, manyCalls(t, 10)))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		st, ok := s.main.hub.join("")
		if !ok {
			t.Fatal("not let in")
		}
		<-st.ch
		begin := time.Now()
		if e := <-st.ch; string(e) != ": \n\n" {
			t.Errorf("no sign of life but %s", e)
		}
		if d := time.Since(begin); d > 15*time.Second || d < 14*time.Second {
			t.Errorf("after %v", d)
		}
		s.main.hub.leave(st)
	})
}

// TestNewest finds revisions that the board does not tell.
func TestNewest(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	if got := newest(f.board, 0); got != 0 {
		t.Errorf("empty: %d", got)
	}
	for i := range 40 {
		f.push(invite(i), invite(i+1000), ok200(i))
		var want uint64
		for c := range f.board.Calls() {
			want = max(want, c.Rev)
		}
		for _, known := range []uint64{0, 1, want / 2, want - 1, want} {
			if got := newest(f.board, known); got < want {
				t.Fatalf("%d messages, from %d: %d, want %d", f.seq, known, got, want)
			} else if more, _ := f.board.Changes(got, nil); len(more) != 0 {
				t.Fatalf("from %d: %d changes after %d", known, len(more), got)
			}
		}
	}
	big := manyCalls(t, 5000)
	got := newest(big.Board, 0)
	if more, _ := big.Board.Changes(got, nil); len(more) != 0 {
		t.Errorf("%d changes after %d", len(more), got)
	}
	if more, _ := big.Board.Changes(got-1, nil); len(more) == 0 {
		t.Errorf("%d is too far", got)
	}
}

// TestManyChanges lets more calls change than a poll looks at.
func TestManyChanges(t *testing.T) {
	t.Parallel()
	data := manyCalls(t, 6000)
	s := newServer(t, config(t, data))
	h := s.main.hub
	h.rev = 0
	n, more := h.changes()
	if !more || n < 4000 {
		t.Fatalf("%d changes, more %v", n, more)
	}
	h.rev = 0
	h.poll()
	if left, _ := data.Board.Changes(h.rev, nil); len(left) != 0 {
		t.Errorf("%d changes are left after a poll", len(left))
	}
	if len(h.kept) != 1 || !bytes.Contains(h.kept[0].event, []byte("event: many")) {
		t.Errorf("kept %v", h.kept)
	}
	for i := range 3 * keptEvents {
		h.rev += uint64(i) + 1
		h.keep(h.event("calls", []byte("{}")))
	}
	if len(h.kept) > keptEvents || h.bytes > maxKeptBytes {
		t.Errorf("%d events, %d bytes kept", len(h.kept), h.bytes)
	}
	h.keep(make([]byte, maxKeptBytes+1))
	if len(h.kept) != 0 || h.bytes != 0 {
		t.Errorf("%d events, %d bytes kept after a large one", len(h.kept), h.bytes)
	}
}

// TestStreamLimit holds the bound of streams.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t, config(t, Data{Board: &correlate.Board{}}))
	s.streams.Store(maxStreams)
	w := ask(s.Handler(), "GET", "/api/v1/events")
	if w.Code != 503 || w.Header().Get("Retry-After") != "10" || s.streams.Load() != maxStreams {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	s.streams.Store(0)
	if w = ask(s.Handler(), "HEAD", "/api/v1/events"); w.Code != 200 || s.streams.Load() != 0 {
		t.Errorf("HEAD: %d", w.Code)
	}
}

// TestEventsAreLines holds that what a packet says cannot begin an event of its own.
func TestEventsAreLines(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	s := newServer(t, config(t, Data{Board: f.board}))
	l := listen(t, serveTest(t, s), "")
	l.next("state")
	evil := strings.Replace(invite(1), "From: ", "From: \"a\n\n event: calls\r\n data: {}\u2028<script>\" ", 1)
	f.push(evil)
	e := l.next("calls")
	if got := decodeJSON[list](t, []byte(e.data)); len(got.Calls) != 1 || got.Calls[0].Method != "INVITE" {
		t.Errorf("event %+v", e)
	}
	f.push(invite(2))
	if e = l.next("calls"); !strings.Contains(e.data, `"call_id":"call-2"`) {
		t.Errorf("then came %+v", e)
	}
}
