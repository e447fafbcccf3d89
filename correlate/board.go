package correlate

import (
	"iter"
	"slices"
	"sync"

	"sipscope/decode"
)

// Board is where readers look at a running or finished correlation: the newest state of every call by revision.
// A reader never makes the pipeline wait for longer than one bounded copy takes (boardChunk summaries, or one call).
// The zero value is ready; give it to Config.Board. It may be read from any goroutine, before, during and after Run.
type Board struct {
	mu   sync.Mutex
	t    *Tracker
	acct decode.Accounting
	load Load
	done bool
}

// Load is how busy the pipeline is.
type Load struct {
	Now      int64 // packet time reached, nanoseconds since 1970-01-01 UTC; 0 before the first packet
	Jobs     int   // batches that may be under way at once
	Waiting  int   // batches that had been read and not been tracked, when the last one was
	Decoding int64 // nanoseconds spent on decoding so far, over all workers, by Config.Clock
	Tracking int64 // likewise on tracking and in the sink
}

// Load gives the newest figures.
func (b *Board) Load() Load {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.load
}

// boardChunk is how many summaries one lock lets a reader copy: about 0.1 ms.
const boardChunk = 512

// Changes appends to dst the newest state of the calls that changed after revision since, oldest change first, at most
// a chunk of them, and gives the revision to ask from next. It is complete when it appends nothing.
func (b *Board) Changes(since uint64, dst []Summary) ([]Summary, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return dst, since
	}
	n := 0
	for i := b.t.order.after(since); i < b.t.order.len() && n < boardChunk; i++ {
		e := *b.t.order.at(i)
		since = e.rev
		if b.t.stale(e) {
			continue
		}
		n++
		dst = append(dst, Summary{})
		b.t.summary(b.t.calls.At(e.call), &dst[len(dst)-1])
	}
	return dst, since
}

// Calls gives the newest state of every call in order of number. The Summary is valid until the next one. While the
// caller works on a chunk, the next one is copied beside.
func (b *Board) Calls() iter.Seq[*Summary] {
	return func(yield func(*Summary) bool) {
		full, empty := make(chan []Summary), make(chan []Summary, 2)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { b.copyAll(full, empty, stop) })
		defer wg.Wait()
		defer close(stop)
		for range 2 {
			empty <- make([]Summary, 0, boardChunk)
		}
		for chunk := range full {
			for i := range chunk {
				if !yield(&chunk[i]) {
					return
				}
			}
			empty <- chunk
		}
	}
}

// copyAll fills chunks with the summaries of all calls, in order, until stop is closed.
func (b *Board) copyAll(full chan<- []Summary, empty <-chan []Summary, stop <-chan struct{}) {
	defer close(full)
	for nums := range slices.Chunk(b.Numbers(), boardChunk) {
		select {
		case chunk := <-empty:
			select {
			case full <- b.copyOf(nums, chunk[:0]):
			case <-stop:
				return
			}
		case <-stop:
			return
		}
	}
}

// Numbers lists the calls that are kept, in order.
func (b *Board) Numbers() []uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return nil
	}
	return b.t.byNum.all(nil)
}

func (b *Board) copyOf(nums []uint32, dst []Summary) []Summary {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return dst
	}
	for _, num := range nums {
		if c := b.t.find(num); c != nil {
			dst = append(dst, Summary{})
			b.t.summary(c, &dst[len(dst)-1])
		}
	}
	return dst
}

// Summaries appends to dst the newest state of the calls with these numbers, in that order, without those that are no
// longer kept. It is for what fits on a screen: the pipeline waits while it copies, so at most a chunk is given.
func (b *Board) Summaries(nums []uint32, dst []Summary) []Summary {
	return b.copyOf(nums[:min(len(nums), boardChunk)], dst)
}

// Call copies all that is kept of the call with a number.
func (b *Board) Call(num uint32) (Call, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return Call{}, false
	}
	c := b.t.find(num)
	if c == nil {
		return Call{}, false
	}
	return b.t.call(c), true
}

// Totals gives the counts so far.
func (b *Board) Totals() Totals {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return Totals{}
	}
	return b.t.Totals()
}

// Accounting says what became of every packet so far, and what the limits cost.
func (b *Board) Accounting() (decode.Accounting, Limited) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return b.acct, Limited{}
	}
	return b.acct, b.t.Limited()
}

// Done reports whether the run that fills the board has ended.
func (b *Board) Done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.done
}
