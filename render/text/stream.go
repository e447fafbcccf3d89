package text

import (
	"io"
	"slices"

	"sipscope/render/ladder"
)

// Stream draws a ladder that grows while somebody looks on. Ladder fits its columns to all its rows; a Stream does not
// know what will come, so it keeps its columns until the participants change, and then draws a new header. There is
// neither title nor footer. NewStream makes one.
type Stream struct {
	d drawing
	l ladder.Ladder
}

// Cells that a Stream keeps free for what it does not know yet.
const (
	streamTime  = len("15:04:05.000")
	streamCalls = len("#100000")

	streamNarrowTime  = len("+148 ms")
	streamNarrowCalls = len("#99")

	streamGap = 30 // "200 OK sdp PCMU,PCMA" on its arrow
)

// NewStream makes a Stream that writes to w.
func NewStream(w io.Writer, opts Options) *Stream {
	s := &Stream{}
	s.d = newDrawing(w, &s.l, opts)
	s.d.numbered = true
	return s
}

// Draw adds rows. columns are all participants that there are by now, which From and To of a row are indices of; calls
// are the titles that Row.Call is an index of. With TimesDelta the first row ever has the time of day, the others what
// their SincePrev says. Rows of states are passed over.
func (s *Stream) Draw(columns []ladder.Column, calls []ladder.Title, rows []ladder.Row) error {
	d := &s.d
	same := slices.EqualFunc(columns, s.l.Columns, sameHead)
	if !same {
		s.l.Columns = slices.Clone(columns)
	}
	s.l.Calls, s.l.Rows = calls, rows
	d.prepare()
	if !same {
		s.plan()
	}
	d.body()
	d.begun = d.begun || len(rows) > 0
	d.flush()
	return d.err
}

// plan makes room for new participants, and names them.
func (s *Stream) plan() {
	d := &s.d
	d.m = modeLanes
	time, calls := streamTime, streamCalls
	if d.narrow() {
		time, calls = streamNarrowTime, streamNarrowCalls
	}
	d.timeW, d.callX = time, time+2
	d.x0 = d.callX + calls + 1
	d.fit(max(d.namesGap(), streamGap))
	if d.m != modeLanes {
		d.legend()
	}
	d.header(d.g.head)
}

// sameHead reports whether two participants look alike above their lifelines.
func sameHead(a, b ladder.Column) bool { return a.Label == b.Label && a.Address == b.Address }
