package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// liveLadder prints the messages of a run's calls as they happen, as one ladder that grows. It reads the board like every
// front end: what is too fast to be read is left out, and counted.
type liveLadder struct {
	run     *session
	w       io.Writer
	opts    ladder.Options
	stream  *text.Stream
	columns []ladder.Column
	titles  []ladder.Title
	drawn   map[uint32]int // messages of a call that were drawn, by its number
	floor   uint32         // calls below have none there any more
	rev     uint64
	last    int64 // time of the last row
	left    int   // messages that were not drawn
	changed []correlate.Summary
	talks   []*talk
}

// How much of a run is drawn.
const (
	ladderEvery   = 100 * time.Millisecond
	ladderRows    = 40      // in that time: 400 lines a second are more than anybody reads
	ladderCalls   = 64      // in that time
	ladderColumns = 12      // participants; then the columns begin anew
	ladderLong    = 2000    // messages of a call; nobody reads on
	ladderKnown   = 1 << 16 // calls of which it is known how far they were drawn
)

func newLiveLadder(run *session, w io.Writer, draw text.Options, aliases map[string]string) *liveLadder {
	return &liveLadder{
		run: run, w: w, opts: ladder.Options{Unfold: true, Live: true, Aliases: aliases}, stream: text.NewStream(w, draw), drawn: map[uint32]int{},
	}
}

// follow draws until the run has ended.
func (l *liveLadder) follow(ctx context.Context) error {
	tick := time.NewTicker(ladderEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.run.done:
			return l.poll(true)
		case <-tick.C:
			if err := l.poll(false); err != nil {
				return err
			}
		}
	}
}

// row is a row on its way to the stream.
type row struct {
	ladder.Row

	column []ladder.Column // that From and To are indices of
}

// poll draws what is new; at the end of the run the media of all calls, too.
func (l *liveLadder) poll(end bool) error {
	var rows []row
	l.titles = l.titles[:0]
	calls := 0
	for {
		l.changed, l.rev = l.run.board.Changes(l.rev, l.changed[:0])
		if len(l.changed) == 0 {
			break
		}
		for i := range l.changed {
			s := &l.changed[i]
			if calls >= ladderCalls || len(rows) >= ladderRows || s.Messages > ladderLong {
				l.pass(s)
				continue
			}
			calls++
			rows = l.call(rows, s.Num)
		}
	}
	if len(rows) < ladderRows || end {
		rows = l.media(rows, end)
	}
	return l.draw(rows)
}

// pass leaves out what is new of a call.
func (l *liveLadder) pass(s *correlate.Summary) {
	if s.Num < l.floor {
		return
	}
	l.left += max(int(s.Messages)-l.drawn[s.Num], 0)
	l.know(s.Num, int(s.Messages))
}

// know notes how far a call was drawn.
func (l *liveLadder) know(num uint32, messages int) {
	l.drawn[num] = messages
	if len(l.drawn) > ladderKnown {
		l.floor = num - ladderKnown/2
		for n := range l.drawn {
			if n < l.floor {
				delete(l.drawn, n)
			}
		}
	}
}

// call appends the rows of a call that were not drawn.
func (l *liveLadder) call(rows []row, num uint32) []row {
	call, ok := l.run.board.Call(num)
	from := l.drawn[num]
	if !ok || num < l.floor || len(call.Messages) <= from {
		return rows
	}
	l.know(num, len(call.Messages))
	l.watch(&call)
	picture := ladder.Build([]correlate.Call{call}, func(_, message int) []byte { return l.run.text(&call, message) }, l.opts)
	l.titles = append(l.titles, picture.Calls...)
	for i := range picture.Rows {
		r := &picture.Rows[i]
		if r.Kind != ladder.Arrow && r.Kind != ladder.Note || r.Kind == ladder.Arrow && r.Messages[0] < from || r.Kind == ladder.Note && from > 0 {
			continue
		}
		r.Call = len(l.titles) - 1
		rows = append(rows, row{*r, picture.Columns})
	}
	return rows
}

// draw orders rows by time and gives them the stream's columns.
func (l *liveLadder) draw(rows []row) error {
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.Time, b.Time) })
	out := make([]ladder.Row, 0, len(rows))
	for i := range rows {
		r := &rows[i]
		if i >= ladderRows {
			l.left++
			continue
		}
		r.From, r.To = l.column(r.column, r.From), l.column(r.column, r.To)
		if l.last != 0 {
			r.SincePrev = r.Time - l.last
		}
		if !r.Kind.OfMedia() {
			l.last = r.Time
		}
		out = append(out, r.Row)
	}
	if len(out) > 0 {
		if err := l.stream.Draw(l.columns, l.titles, out); err != nil {
			return err
		}
	}
	return nil
}

// column gives the stream's column of a participant.
func (l *liveLadder) column(of []ladder.Column, i int) int {
	if i < 0 || i >= len(of) {
		return -1
	}
	same := func(c ladder.Column) bool { return c.Address == of[i].Address } // a call may know it by another name
	if k := slices.IndexFunc(l.columns, same); k >= 0 {
		return k
	}
	l.columns = append(l.columns, of[i])
	return len(l.columns) - 1
}

// leftOut says what was not drawn; empty for nothing.
func (l *liveLadder) leftOut() string {
	if l.left == 0 {
		return ""
	}
	return fmt.Sprintf("%d messages were too many to draw (--pcap keeps them all)", l.left)
}
