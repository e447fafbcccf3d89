// Package watch tells when calls begin to match a filter, and runs a command for each of them.
//
//	Board ─▶ Watcher.Poll ─▶ Runner.Call ─▶ queue ─▶ Runner.Run: one command at a time, never through a shell
//
// A Watcher reads the board as any front end does and never makes the pipeline wait; it belongs to the goroutine that
// polls. A Runner may be used from any goroutine; Run owns every goroutine and process that the Runner starts.
//
// The package does not make JSON, and does not make what a command prints safe for a terminal: its caller does both.
package watch

import (
	"slices"

	"sipscope/correlate"
)

// Watcher tells each call that begins to match. It is not for several goroutines at once.
type Watcher struct {
	board *correlate.Board
	match func(*correlate.Summary) bool
	since uint64              // revision that was looked at last
	buf   []correlate.Summary // one round of changes
	full  int                 // calls in the largest round so far
	told  map[uint32]record   // by number
	prune int                 // size of told at which the calls that are gone are looked for
}

// record is what is remembered of a call that was told.
type record struct {
	state   correlate.State // when it matched last
	out     bool            // it does not match now
	changed bool            // out, and seen in another state than state since
}

// pruneAt is how many calls are remembered before those that are gone are looked for.
const pruneAt = 1 << 12

// New makes a Watcher of the calls on a board for which match holds.
func New(board *correlate.Board, match func(*correlate.Summary) bool) *Watcher {
	return &Watcher{board: board, match: match, told: map[uint32]record{}, prune: pruneAt}
}

// Poll calls f for each call that begins to match: it changed since the last Poll, matches in its newest state, and was
// not told before. The Summary is valid until f returns. Calls come in the order of their last change.
//
// A call is told once for as long as it goes on to match, whatever its state. When it stopped matching and matches
// again, it is told again only if its state is, or in between was seen to be, another one than when it matched last: a
// registration that failed, worked and fails again is news; a call that failed and whose counters go in and out of the
// filter's range is not. What came and went between two Polls is not seen, and neither is a call that the limits
// evicted before the next Poll.
//
// An error of f ends the Poll and is returned. The call that it was for counts as told; the next Poll goes on after it.
// Memory grows with the calls told that are still on the board, about 10 bytes each.
func (w *Watcher) Poll(f func(s *correlate.Summary) error) error {
	defer w.forget()
	for {
		clear(w.buf)
		var next uint64
		w.buf, next = w.board.Changes(w.since, w.buf[:0])
		for i := range w.buf {
			s := &w.buf[i]
			if !w.begins(s) {
				continue
			}
			if err := f(s); err != nil {
				return err // the round comes again, and what was told of it is remembered
			}
		}
		w.since = next
		// A round smaller than another one was is the last: to wait for an empty one could take for ever with a pipeline
		// that goes on.
		n := len(w.buf)
		w.full = max(w.full, n)
		if n == 0 || n < w.full {
			break
		}
	}
	return nil
}

// begins notes what is to be known of a call, and reports whether it is to be told.
func (w *Watcher) begins(s *correlate.Summary) bool {
	r, known := w.told[s.Num]
	matches := w.match(s)
	switch {
	case !known && !matches:
		return false
	case !matches:
		r.out = true
		r.changed = r.changed || s.State != r.state
		w.told[s.Num] = r
		return false
	}
	news := !known || r.out && (r.changed || s.State != r.state)
	w.told[s.Num] = record{state: s.State}
	return news
}

// forget lets go of the texts of a Poll, and of what is remembered of calls that are no longer on the board. It looks whenever the number of records has
// doubled, so that it costs little a call.
func (w *Watcher) forget() {
	clear(w.buf)
	if len(w.told) < w.prune {
		return
	}
	kept := w.board.Numbers()
	left := map[uint32]record{} // a map does not shrink
	for num, r := range w.told {
		if _, found := slices.BinarySearch(kept, num); found {
			left[num] = r
		}
	}
	w.told, w.prune = left, max(pruneAt, 2*len(left))
}
