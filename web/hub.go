package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"sipscope/correlate"
	"sipscope/render/export"
)

const (
	// pollEvery is how often the hub looks at the board.
	pollEvery = 250 * time.Millisecond
	// beatEvery is how often a stream gets a sign of life, in polls: 15 s.
	beatEvery = 60
	// fewChanged is how many changed calls an event carries; of more it only says how many.
	fewChanged = 50
	// keptEvents is how many polls with changes a reader may miss before it has to load its page again.
	keptEvents = 64
	// maxKeptBytes bounds these.
	maxKeptBytes = 1 << 20
	// queued is how many events wait for a stream before it is passed over.
	queued = 4
	// pollChunks bounds what a poll copies, in bounded copies of the board.
	pollChunks = 8
)

// hub tells streams what changes. One goroutine looks at the board, writes each event once, and hands the same bytes to
// all streams; it never waits for one of them, and it ends when the last one has left. The newest state wins: a stream
// that does not take its events is passed over, and told to load its page again.
type hub struct {
	site *site
	wake chan struct{} // somebody joined, or the hub is to end
	wg   sync.WaitGroup

	mu      sync.Mutex
	running bool
	closed  bool
	streams map[*stream]struct{}
	joined  []*stream // since the last look

	// Of the goroutine.
	rev   uint64
	state []byte // the newest state event
	told  []byte // what was in it
	kept  []told // the last events about calls, in order
	since uint64 // the revision before the first of them
	bytes int    // of kept
	buf   []correlate.Summary
}

// told is an event about calls that was sent.
type told struct {
	rev   uint64
	event []byte
}

// stream is a reader of events.
type stream struct {
	ch     chan []byte
	last   string // Last-Event-ID
	missed bool   // it was passed over; of the hub's goroutine
}

func newHub(s *site) *hub {
	return &hub{site: s, wake: make(chan struct{}, 1), streams: map[*stream]struct{}{}}
}

// join adds a stream; false when the hub has ended.
func (h *hub) join(last string) (*stream, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false
	}
	st := &stream{ch: make(chan []byte, queued), last: last}
	h.streams[st] = struct{}{}
	h.joined = append(h.joined, st)
	if !h.running {
		h.running = true
		h.wg.Go(h.run)
	}
	h.nudge()
	return st, true
}

func (h *hub) leave(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, st)
	if len(h.streams) == 0 {
		h.nudge()
	}
}

func (h *hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// close ends the hub.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	h.nudge()
	h.mu.Unlock()
	h.wg.Wait()
}

// run looks at the board while somebody listens.
func (h *hub) run() {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	h.begin()
	for n := 1; ; {
		joined, on := h.news()
		if !on {
			return
		}
		for _, st := range joined {
			h.welcome(st)
		}
		select {
		case <-h.wake:
		case <-ticker.C:
			h.poll()
			if n++; n%beatEvery == 0 {
				h.broadcast([]byte(": \n\n"))
			}
		}
	}
}

// news gives the streams that joined, and reports whether the hub goes on.
func (h *hub) news() (joined []*stream, on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.streams) == 0 {
		h.running, h.joined = false, nil
		return nil, false
	}
	joined, h.joined = h.joined, nil
	return joined, true
}

// begin takes up the board where it stands. What changed while nobody listened is not told.
func (h *hub) begin() {
	if rev := newest(h.site.data.Board, max(h.rev, h.site.rev.Load())); rev != h.rev {
		h.rev, h.since, h.kept, h.bytes = rev, rev, nil, 0
	}
	h.site.saw(h.rev)
	h.look()
}

// newest finds the revision of a board. The board tells only what changed after a revision, so this asks with growing
// and then shrinking steps: some tens of bounded copies, where a pass over all changes would be as many as there are calls.
func newest(b *correlate.Board, known uint64) uint64 {
	var buf []correlate.Summary
	after := func(rev uint64) bool {
		var next uint64
		if buf, next = b.Changes(rev, buf[:0]); len(buf) == 0 {
			return false
		}
		known = max(known, next)
		return true
	}
	step := uint64(1)
	for ; step < 1<<62 && after(known+step-1); step *= 2 {
	}
	for high := known + step; known < high; { // nothing changed after high
		middle := known + (high-known)/2
		if !after(middle) {
			high = middle
		} else if known <= middle {
			known = middle + 1
		}
	}
	return known
}

// poll looks what has changed and tells all streams.
func (h *hub) poll() {
	var event []byte
	if changed, more := h.changes(); more {
		h.rev = newest(h.site.data.Board, h.rev)
		event = h.event("many", fmt.Appendf(nil, `{"revision":%d,"changed":%d}`, h.rev, changed))
	} else if changed > fewChanged {
		event = h.event("many", fmt.Appendf(nil, `{"revision":%d,"changed":%d}`, h.rev, changed))
	} else if changed > 0 {
		data := fmt.Appendf(nil, `{"revision":%d,"calls":`, h.rev)
		data = appendSummaries(data, h.buf[:changed], h.site.data.Headers)
		event = h.event("calls", append(data, '}'))
	}
	if event != nil {
		h.site.saw(h.rev)
		h.keep(event)
	}
	if h.look() {
		event = append(slices.Clip(event), h.state...)
	}
	if len(event) > 0 {
		h.broadcast(event)
	}
}

// changes takes the calls that changed since the last poll, the first of them into buf. more says that there were more
// than a poll looks at.
func (h *hub) changes() (n int, more bool) {
	board := h.site.data.Board
	h.buf, h.rev = board.Changes(h.rev, h.buf[:0])
	first := len(h.buf)
	if first <= fewChanged {
		return first, false
	}
	n = first
	for range pollChunks {
		var rest []correlate.Summary
		rest, h.rev = board.Changes(h.rev, h.buf[:0])
		if len(rest) == 0 {
			return n, false
		}
		n += len(rest)
	}
	return n, true
}

// event writes a server-sent event. Its id says which run of the server it is of: revisions begin anew with each.
func (h *hub) event(name string, data []byte) []byte {
	return fmt.Appendf(nil, "id: %d-%s\nevent: %s\ndata: %s\n\n", h.rev, h.site.srv.instance, name, data)
}

// keep remembers an event about calls for readers that come back.
func (h *hub) keep(event []byte) {
	h.kept = append(h.kept, told{h.rev, event})
	h.bytes += len(event)
	for len(h.kept) > keptEvents || h.bytes > maxKeptBytes {
		h.since = h.kept[0].rev
		h.bytes -= len(h.kept[0].event)
		h.kept[0].event = nil
		h.kept = h.kept[1:]
	}
}

// stateJSON says how far the reading is.
type stateJSON struct {
	Revision   uint64          `json:"revision"`
	Calls      uint64          `json:"calls"` // kept
	Messages   uint64          `json:"messages"`
	Done       bool            `json:"done"`
	Failed     bool            `json:"failed"` // the reading ended with an error
	Progress   progressJSON    `json:"progress"`
	Accounting json.RawMessage `json:"accounting"`
	Limits     json.RawMessage `json:"limits"`
	Live       *liveJSON       `json:"live"` // nil for files
}

// liveJSON says how a live capture goes; counts are totals.
type liveJSON struct {
	Line          string `json:"line"` // for people
	KernelDropped uint64 `json:"kernel_dropped"`
	QueueDropped  uint64 `json:"queue_dropped"`
	SpoolDropped  uint64 `json:"spool_dropped"` // packets that cannot be read again
	SpoolGone     uint64 `json:"spool_gone"`    // likewise, since newer ones needed their place
}

// live renews what a live capture says.
func (d *Data) live() *liveJSON {
	if d.Status == nil || d.Live == nil {
		return nil
	}
	st := d.Status()
	v := &liveJSON{Line: d.Live()}
	v.KernelDropped, v.QueueDropped = st.Dropped()
	if st.Spool != nil {
		v.SpoolDropped, v.SpoolGone = st.Spool.Dropped, st.Spool.Gone
	}
	return v
}

// progressJSON is in bytes; total is 0 when not known.
type progressJSON struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// look renews the state, and reports whether it is another one.
func (h *hub) look() bool {
	d := &h.site.data
	v := stateJSON{Revision: h.rev, Done: d.Board.Done(), Failed: d.err() != nil}
	v.Live = d.live()
	v.Progress.Done, v.Progress.Total = d.progress()
	totals := d.Board.Totals()
	acct, limited := d.Board.Accounting()
	v.Messages, v.Calls = totals.Messages, totals.Calls-min(totals.Calls, limited.EvictedCalls)
	var err error
	if v.Accounting, v.Limits, err = export.Accounting(acct, limited); err != nil {
		return false
	}
	data, err := json.Marshal(&v)
	if err != nil || bytes.Equal(data, h.told) {
		return false
	}
	h.told, h.state = data, h.event("state", data)
	return true
}

// broadcast hands the same bytes to all streams that have room for them.
func (h *hub) broadcast(event []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for st := range h.streams {
		h.hand(st, event)
	}
}

// hand gives a stream an event without waiting.
func (h *hub) hand(st *stream, event []byte) {
	if st.missed {
		if len(st.ch) > 0 {
			return // what it has is older than what it would be told
		}
		st.missed = false
		event = append(h.reload(), h.state...)
	}
	select {
	case st.ch <- event:
	default:
		st.missed = true
	}
}

// reload tells a reader to load its page again.
func (h *hub) reload() []byte {
	return h.event("reload", fmt.Appendf(nil, `{"revision":%d}`, h.rev))
}

// welcome tells a stream how things stand, and what it missed since it was here last.
func (h *hub) welcome(st *stream) {
	event := append([]byte(nil), h.state...)
	if st.last != "" {
		event = append(h.missed(st.last), event...)
	}
	h.hand(st, event)
}

// missed gives the events after one with an id, or a reload when they are not kept.
func (h *hub) missed(last string) []byte {
	var rev uint64
	var instance string
	n, err := fmt.Sscanf(last, "%d-%s", &rev, &instance)
	if n != 2 || err != nil || instance != h.site.srv.instance || rev < h.since || rev > h.rev {
		return h.reload()
	}
	var events []byte
	for _, k := range h.kept {
		if k.rev > rev {
			events = append(events, k.event...)
		}
	}
	return events
}
