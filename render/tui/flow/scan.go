package flow

import (
	"bytes"
	"context"
	"strings"
	"unicode/utf8"

	"sipscope/decode/sip"
	"sipscope/render/ladder"
)

// How much of a ladder one piece of a scan reads: some milliseconds of work, so that what was found shows early and the
// next key stops the rest.
const (
	scanMessages = 1000
	scanBytes    = 2 << 20
)

// verdict is what a scan knows of a row.
type verdict uint8

const (
	unknown verdict = iota
	no
	yes
)

// scan looks at all rows of a picture for something that only the texts of the messages tell. It goes round once, from
// where it began, in pieces on other goroutines. What it has found is on the UI's goroutine.
type scan struct {
	text    string // what is searched, for a search
	nothing string // what is said when there is none
	pic     *picture
	match   func() matcher // makes one for each piece
	state   []verdict      // by row
	at      int            // the next row
	left    int            // rows to look at
	step    int            // 1 or -1
	task    task
	seek    seek
}

// matcher reports whether a row is what a scan looks for. It runs on another goroutine and is used by one at a time.
type matcher func(p *picture, row int, read func(call, message int) []byte) bool

// seek is a move of the cursor that waits for a scan.
type seek struct {
	active bool
	from   int // position
	step   int
	k      int // positions already known not to be it
	found  func(pos int)
}

// is reports whether a row is known to be found.
func (s *scan) is(row int32) bool { return int(row) < len(s.state) && s.state[row] == yes }

func newScan(p *picture, from, step int, match func() matcher) *scan {
	return &scan{pic: p, match: match, state: make([]verdict, len(p.lad.Rows)), at: from, left: len(p.lad.Rows), step: step}
}

// again is the same scan over another picture.
func (s *scan) again(p *picture) *scan {
	n := newScan(p, 0, 1, s.match)
	n.text, n.nothing = s.text, s.nothing
	return n
}

// alive reports whether a scan is still the view's.
func (v *View) alive(s *scan) bool { return s == v.search || s == v.diags }

// resume reads the next piece of a scan, and so on until it has gone round.
func (v *View) resume(s *scan) {
	if s.left == 0 || s.task.busy() {
		return
	}
	text := v.data.Text
	first, left := s.at, s.left
	v.background(&s.task, func(ctx context.Context) func() {
		found := s.piece(ctx, first, left, text)
		return func() {
			if !v.alive(s) {
				return
			}
			s.take(first, found)
			v.changed = true
			v.seek(s)
			v.resume(s)
		}
	})
}

// piece looks at some rows and says of each whether it matched.
func (s *scan) piece(ctx context.Context, first, left int, text textFunc) []bool {
	var found []bool
	bytesRead := 0
	p := s.pic
	read := func(call, message int) []byte {
		raw := text(&p.calls[call], message)
		bytesRead += len(raw)
		return raw
	}
	messages, match := 0, s.match()
	for at := first; len(found) < left && messages < scanMessages && bytesRead < scanBytes && ctx.Err() == nil; {
		found = append(found, match(p, at, read))
		messages += max(len(p.lad.Rows[at].Messages), 1)
		at = s.after(at)
	}
	return found
}

// after is the row that is looked at after one.
func (s *scan) after(at int) int { return (at + s.step + len(s.state)) % len(s.state) }

// take keeps what a piece found.
func (s *scan) take(first int, found []bool) {
	at := first
	for _, f := range found {
		s.state[at] = no
		if f {
			s.state[at] = yes
		}
		at = s.after(at)
	}
	s.at = at
	s.left -= len(found)
}

// seek moves the cursor to the nearest row that is found, as soon as it is known which one that is.
func (v *View) seek(s *scan) {
	k := &s.seek
	n := v.list.len()
	if !k.active || n == 0 {
		return
	}
	for ; k.k < n; k.k++ {
		pos := ((k.from+k.step*k.k)%n + n) % n
		switch s.state[v.list.rows[pos]] {
		case unknown:
			return
		case yes:
			k.active = false
			if around := pos < k.from; k.k > 0 && around == (k.step > 0) {
				v.host.Say(map[bool]string{true: "from the first row again", false: "from the last row again"}[around])
			}
			k.found(pos)
			return
		case no:
		}
	}
	k.active = false
	v.host.Say(s.nothing)
}

// lookFor begins a move to the next row that a scan finds, from a position on; skip leaves that one out.
func (v *View) lookFor(s *scan, from, step int, skip bool, found func(pos int)) {
	s.seek = seek{active: true, from: from, step: step, found: found}
	if skip {
		s.seek.k = 1
	}
	v.seek(s)
	v.resume(s)
}

// Search finds the next row whose label, notes or message holds a text, whatever the case.
func (v *View) Search(text string, next, backwards bool) {
	if v.pic == nil || v.list.len() == 0 {
		return
	}
	if text == "" {
		v.search = nil
		v.pane.Search("", false, false)
		return
	}
	step := 1
	if backwards {
		step = -1
	}
	from := v.cursor
	if !next && v.cursor == v.searchAt {
		from = v.origin // typed on: from where the search began
	}
	from = min(max(from, 0), v.list.len()-1)
	if !next {
		v.origin = from
	}
	if v.search == nil || v.search.text != text {
		v.search = newScan(v.pic, int(v.list.rows[from]), step, containing(text))
		v.search.text, v.search.nothing = text, "no row holds "+quoted(text)
	}
	v.searchAt = v.cursor
	v.lookFor(v.search, from, step, next, func(pos int) {
		v.moveTo(pos)
		v.searchAt = v.cursor
		if next {
			v.origin = v.cursor
		}
		if v.paneShown() {
			v.syncPane()
			v.pane.Search(text, false, false)
		}
	})
}

func quoted(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "..."
	}
	return `"` + s + `"`
}

// containing matches rows that hold a text in what they say or in their messages. ASCII letters match whatever their
// case; others when both are lower or both as written.
func containing(text string) func() matcher {
	low := bytes.ToLower([]byte(text))
	m := func(p *picture, row int, read func(call, message int) []byte) bool {
		r := &p.lad.Rows[row]
		if holds(p.label(r), low) || holds(r.SDP, low) || holds(r.RepeatNote(), low) {
			return true
		}
		for _, n := range r.Notes {
			if holds(n, low) {
				return true
			}
		}
		for _, m := range r.Messages {
			if containsFold(read(r.Call, m), low) {
				return true
			}
			if r.Count > 1 {
				break // what follows is the same text again
			}
		}
		return false
	}
	return func() matcher { return m }
}

func holds(s string, low []byte) bool { return strings.Contains(strings.ToLower(s), string(low)) }

// containsFold reports whether raw holds a text in lower case, whatever the case in raw. It allocates only for what is
// not ASCII.
func containsFold(raw, low []byte) bool {
	if len(low) == 0 {
		return true
	}
	if low[0] >= utf8.RuneSelf {
		return bytes.Contains(raw, low) || bytes.Contains(bytes.ToLower(raw), low)
	}
	upper := low[0]
	if 'a' <= upper && upper <= 'z' {
		upper -= 'a' - 'A'
	}
	pair := string([]byte{low[0], upper})
	for len(raw) >= len(low) {
		i := bytes.IndexAny(raw, pair)
		if i < 0 || len(raw)-i < len(low) {
			return false
		}
		raw = raw[i:]
		if bytes.EqualFold(raw[:len(low)], low) {
			return true
		}
		raw = raw[1:]
	}
	return false
}

// diag moves to the next row whose message departs from the grammar.
func (v *View) diag(step int) {
	if v.list.len() == 0 {
		return
	}
	const none = "no message here departs from the grammar"
	departs := uint32(0)
	for i := range v.pic.calls {
		departs += v.pic.calls[i].Diags
	}
	if departs == 0 {
		v.host.Say(none)
		return
	}
	if v.diags == nil {
		v.diags = newScan(v.pic, int(v.list.rows[v.cursor]), step, departing)
		v.diags.nothing = none
	}
	v.lookFor(v.diags, v.cursor, step, true, func(pos int) {
		v.moveTo(pos)
		if v.paneShown() {
			v.syncPane()
			v.pane.NextDiag(false)
		}
	})
}

// departing matches rows whose message has a diag.
func departing() matcher {
	var m sip.Message
	return func(p *picture, row int, read func(call, message int) []byte) bool {
		r := &p.lad.Rows[row]
		if r.Kind != ladder.Arrow || len(r.Messages) == 0 {
			return false
		}
		raw := read(r.Call, r.Messages[0])
		return len(raw) > 0 && (sip.Parse(raw, &m) != nil || len(m.Diags) > 0)
	}
}
