package web

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/stats"
)

// site is a capture that is served, with what its readers share.
type site struct {
	srv   *Server
	base  string // what its addresses begin with: "" or "/u/3"
	title string
	data  Data

	hub      *hub
	rev      atomic.Uint64 // the highest revision that was seen of the board
	numbers  *shared[struct{}, []uint32]
	orders   *shared[orderKey, *order]
	lists    *shared[listKey, *document]
	overview *shared[struct{}, *document]
	figures  *shared[struct{}, stats.Result]

	mu       sync.Mutex
	closed   bool
	requests map[*http.Request]context.CancelCauseFunc
	idle     sync.WaitGroup // of requests
}

// Bounds of what a site keeps and does at the same time.
const (
	maxOrders      = 16      // filtered or sorted lists
	maxNumbers     = 8 << 20 // calls in all of them: 32 MB
	maxPasses      = 2       // over all calls at the same time
	maxWaiting     = 64      // different questions
	maxListBytes   = 16 << 20
	maxLists       = 128
	passLimit      = 50 * time.Second // for one pass; an answer must be written before the connection's deadline
	leastRefresh   = time.Second      // of an order, the overview and the figures while calls change
	mostRefresh    = 5 * time.Minute
	refreshFactor  = 10 // what took long is made anew seldom: it costs a tenth of a core
	listRefresh    = 200 * time.Millisecond
	numbersRefresh = 200 * time.Millisecond
)

func newSite(srv *Server, base, title string, data Data) *site {
	s := &site{srv: srv, base: base, title: title, data: data, requests: map[*http.Request]context.CancelCauseFunc{}}
	s.hub = newHub(s)
	now := srv.cfg.Now
	s.numbers = newShared(shareRules[struct{}, []uint32]{
		make: func(context.Context, struct{}) ([]uint32, error) { return data.Board.Numbers(), nil },
		fresh: func(_ []uint32, age, _ time.Duration) bool {
			return age < numbersRefresh
		},
		cost: func([]uint32) int { return 1 }, now: now, slots: 1, waiting: 1, most: 1, bound: 1, limit: passLimit,
	})
	s.orders = newShared(shareRules[orderKey, *order]{
		make: s.makeOrder, fresh: s.freshOrder, cost: func(o *order) int { return len(o.nums) }, now: now,
		slots: maxPasses, waiting: maxWaiting, most: maxOrders, bound: maxNumbers, limit: passLimit,
	})
	s.lists = newShared(shareRules[listKey, *document]{
		make:  s.makeList,
		fresh: func(_ *document, age, _ time.Duration) bool { return age < listRefresh },
		cost:  (*document).size, now: now,
		slots: maxWaiting, waiting: maxWaiting, most: maxLists, bound: maxListBytes, limit: passLimit,
	})
	s.overview = newShared(shareRules[struct{}, *document]{
		make: s.makeOverview, fresh: func(d *document, age, took time.Duration) bool { return d.final || recent(age, took) },
		cost: func(*document) int { return 1 }, now: now, slots: 1, waiting: 1, most: 1, bound: 1, limit: passLimit,
	})
	s.figures = newShared(shareRules[struct{}, stats.Result]{
		make: func(ctx context.Context, _ struct{}) (stats.Result, error) { return s.data.stats(ctx) },
		fresh: func(_ stats.Result, age, took time.Duration) bool {
			return recent(age, took)
		},
		cost: func(stats.Result) int { return 1 }, now: now, slots: 1, waiting: 1, most: 1, bound: 1, limit: passLimit,
	})
	return s
}

// recent reports whether what was made over all calls may be given again while they change.
func recent(age, took time.Duration) bool {
	return age < min(max(leastRefresh, refreshFactor*took), mostRefresh)
}

func (d *Data) stats(ctx context.Context) (stats.Result, error) {
	if d.Stats == nil {
		var c stats.Collector
		for s := range d.Board.Calls() {
			if ctx.Err() != nil {
				return stats.Result{}, context.Cause(ctx)
			}
			c.Call(s)
		}
		acct, limited := d.Board.Accounting()
		return c.Result(stats.NewTotals(acct, d.Board.Totals(), limited)), nil
	}
	return d.Stats(ctx)
}

func (d *Data) err() error {
	if d.Err == nil {
		return nil
	}
	return d.Err()
}

func (d *Data) progress() (done, total int64) {
	if d.Progress == nil {
		return 0, 0
	}
	return d.Progress()
}

// text gives a call's messages as they were on the wire, nil for what cannot be read again.
func (d *Data) text(c *correlate.Call) func(message int) []byte {
	return func(message int) []byte {
		if d.Save.Text == nil || message < 0 || message >= len(c.Messages) {
			return nil
		}
		b, err := d.Save.Text(c, message)
		if err != nil {
			return nil
		}
		return b
	}
}

// saw raises the highest revision that is known.
func (s *site) saw(rev uint64) {
	for {
		old := s.rev.Load()
		if rev <= old || s.rev.CompareAndSwap(old, rev) {
			return
		}
	}
}

// enter begins a request of the site; its context ends with the site. Whoever gets true calls leave.
func (s *site) enter(r *http.Request) (*http.Request, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return r, false
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	r = r.WithContext(ctx)
	s.requests[r] = cancel
	s.idle.Add(1)
	return r, true
}

func (s *site) leave(r *http.Request) {
	s.mu.Lock()
	cancel := s.requests[r]
	delete(s.requests, r)
	s.mu.Unlock()
	cancel(nil)
	s.idle.Done()
}

// close ends the requests of the site, waits for them, and frees the capture when it is one that was uploaded.
func (s *site) close() error {
	s.mu.Lock()
	was := s.closed
	s.closed = true
	for _, cancel := range s.requests {
		cancel(errGone)
	}
	s.mu.Unlock()
	if was {
		return nil
	}
	s.hub.close()
	s.lists.close()
	s.orders.close()
	s.overview.close()
	s.figures.close()
	s.numbers.close()
	s.idle.Wait()
	if s.base != "" && s.data.Close != nil {
		if err := s.data.Close(); err != nil {
			return fmt.Errorf("close %s: %w", s.base, err)
		}
	}
	return nil
}
