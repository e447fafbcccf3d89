package calls

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/decode/sip"
	"sipscope/render/tui/term"
)

// The pipeline collects headers and looks for words while it reads, when the command line asks for them. What is asked
// for later is read again from the captures: here, in the background, message by message.

// collected gives the place of a header in Summary.Columns, -1 when the pipeline does not collect it.
func collected(data *term.Data, header string) int {
	return slices.IndexFunc(data.Headers, func(h string) bool { return strings.EqualFold(h, header) })
}

// maxLook is in how many messages of a call a header is looked for: a call that keeps a hundred thousand must not be read
// to its end for a header that it does not have.
const maxLook = 64

// headerOf gives the first value of a header in a call.
func headerOf(data *term.Data, call *correlate.Call, header string) string {
	var m sip.Message
	for i := range call.Messages[:min(len(call.Messages), maxLook)] {
		raw := data.Text(call, i)
		if raw == nil || sip.Parse(raw, &m) != nil {
			continue
		}
		if v, ok := valueOf(&m, header); ok {
			return v
		}
	}
	return ""
}

// valueOf finds a header by name, whatever its case and form.
func valueOf(m *sip.Message, header string) (string, bool) {
	id := sip.LookupHeader([]byte(header))
	for i := range m.Headers {
		h := &m.Headers[i]
		if id != sip.HeaderOther && h.ID == id || h.ID == sip.HeaderOther && strings.EqualFold(string(h.Name.Of(m.Raw)), header) {
			return string(h.Value.Of(m.Raw)), true
		}
	}
	return "", false
}

// headerKeys reads a header of all calls, to sort by. It gives nil when it was stopped.
func headerKeys(ctx context.Context, stopped *atomic.Bool, data *term.Data, nums []uint32, header string) []key {
	keys := make([]key, len(nums))
	for i, num := range nums {
		if ctx.Err() != nil || stopped.Load() {
			return nil
		}
		if call, ok := data.Board.Call(num); ok {
			keys[i].s = shorten(headerOf(data, &call, header), maxKey)
		}
	}
	return keys
}

// texts keeps the values of headers that the pipeline did not collect, for the rows that were in sight.
type texts struct {
	h       term.Host
	headers []string
	values  map[uint32][]string // by call
	asked   map[uint32]uint32   // messages that a call had when it was read last
	epoch   int                 // grows when headers change: what was read for older ones is dropped
}

// maxValues is how many calls' values are kept; then all go, and those in sight are read again.
const maxValues = 4096

// want sets the headers that are needed.
func (t *texts) want(headers []string) {
	if slices.Equal(headers, t.headers) {
		return
	}
	t.headers, t.values, t.asked = headers, nil, nil
	t.epoch++
}

// value gives a header of a call, "" while it is not there.
func (t *texts) value(num uint32, header int) string {
	if v := t.values[num]; header < len(v) {
		return v[header]
	}
	return ""
}

// lacks reports whether a value was not found: a later message may bring it.
func (t *texts) lacks(num uint32) bool {
	values := t.values[num]
	return len(values) == 0 || slices.Contains(values, "")
}

// fill reads the headers of the rows in sight that are not there yet.
func (t *texts) fill(rows []correlate.Summary) {
	if len(t.headers) == 0 {
		return
	}
	if t.values == nil || len(t.asked) > maxValues {
		t.values, t.asked = map[uint32][]string{}, map[uint32]uint32{}
	}
	var missing []uint32
	for i := range rows {
		num, n := rows[i].Num, min(rows[i].Messages, maxLook)
		last, ok := t.asked[num]
		if ok && (n == last || !t.lacks(num)) {
			continue
		}
		t.asked[num] = n
		missing = append(missing, num)
	}
	if len(missing) == 0 {
		return
	}
	data, headers, epoch := t.h.Data(), t.headers, t.epoch
	t.h.Go(func(ctx context.Context) func() {
		found := readHeaders(ctx, data, missing, headers)
		return func() {
			if epoch == t.epoch {
				maps.Copy(t.values, found)
				t.h.Redraw()
			}
		}
	})
}

// Values are kept so long at most: a cell shows less, and 60 KiB headers must not fill the memory.
const (
	maxKey   = 256 // bytes, of what sorts
	maxValue = 1024
)

// shorten gives the beginning of a text, and lets go of the rest.
func shorten(s string, most int) string {
	if len(s) > most {
		return strings.Clone(s[:most])
	}
	return s
}

// readHeaders reads headers of calls.
func readHeaders(ctx context.Context, data *term.Data, nums []uint32, headers []string) map[uint32][]string {
	found := make(map[uint32][]string, len(nums))
	for _, num := range nums {
		call, ok := data.Board.Call(num)
		if !ok || ctx.Err() != nil {
			continue
		}
		values := make([]string, len(headers))
		for i, h := range headers {
			values[i] = shorten(headerOf(data, &call, h), maxValue)
		}
		found[num] = values
	}
	return found
}

// scanner is a filter's way through the messages.
type scanner struct {
	running     bool
	more        bool   // the last chunk was not the last one
	seen, total int    // calls
	upTo        uint64 // messages that the board had when the last scan came to its end
}

// needsTexts reports whether the filter asks for what the pipeline did not collect.
func (l *list) needsTexts() bool {
	return l.query != nil && l.asksTexts(l.query)
}

func (l *list) asksTexts(q *query.Query) bool {
	if q != l.first && len(q.Words()) > 0 {
		return true
	}
	return slices.ContainsFunc(q.Headers(), func(h string) bool { return collected(l.h.Data(), h) < 0 })
}

// goOn begins the next chunk of a scan. A tick does it, not the end of the chunk before: with another view on top, work
// would belong to that one and be thrown away with it.
func (l *list) goOn() {
	if l.scanner.more && !l.scanner.running {
		l.scan()
	}
}

// scan reads the messages of the next chunk of calls that changed.
func (l *list) scan() {
	messages := l.board.Totals().Messages
	if l.scanner.running || l.scanner.upTo == messages {
		return
	}
	l.scanner.running, l.scanner.more = true, true
	pass, stopped, q, only, rev := l.passes, l.pass.last, l.query, l.only, l.rev
	data, copies := l.h.Data(), l.copies
	l.h.Go(func(ctx context.Context) func() {
		chunk, next := copies.Changes(rev, make([]correlate.Summary, 0, 512))
		var in, out []uint32
		for i := range chunk {
			if ctx.Err() != nil || stopped.Load() {
				return nil
			}
			s := &chunk[i]
			if only.match(s) && readTexts(data, q, s) && q.Match(s) {
				in = append(in, s.Num)
			} else {
				out = append(out, s.Num)
			}
		}
		return func() {
			if pass != l.passes {
				return
			}
			l.scanner.running = false
			l.rev = next
			l.scanner.seen += len(chunk)
			l.scannedChunk(in, out)
			if len(chunk) == 0 {
				l.scanner.upTo, l.scanner.total, l.scanner.more = messages, 0, false
			}
			l.h.Redraw()
		}
	})
}

func (l *list) scannedChunk(in, out []uint32) {
	var flips []uint32
	for _, num := range in {
		if l.inBase(num) && !l.in.has(num) {
			l.in.set(num, true)
			flips = append(flips, num)
		}
	}
	for _, num := range out {
		if l.in.has(num) {
			l.in.set(num, false)
			flips = append(flips, num)
		}
	}
	l.moved = l.merge(flips) || l.moved
}

// readTexts sets what a query asks of a call's messages. It reports false when the call is no longer kept.
func readTexts(data *term.Data, q *query.Query, s *correlate.Summary) bool {
	call, ok := data.Board.Call(s.Num)
	if !ok {
		return false
	}
	words, headers := q.Words(), q.Headers()
	s.Words, s.Columns = 0, make([]string, len(headers))
	for i, h := range headers {
		s.Columns[i] = headerOf(data, &call, h)
	}
	if len(words) == 0 {
		return true
	}
	low := make([][]byte, len(words))
	for i, w := range words {
		low[i] = bytes.ToLower([]byte(w))
	}
	for i := range call.Messages {
		s.Words |= wordsIn(bytes.ToLower(data.Text(&call, i)), low)
	}
	return true
}

// wordsIn has a bit for each word that a text holds; both are in lower case.
func wordsIn(text []byte, words [][]byte) uint64 {
	var bits uint64
	for j := range words {
		if bytes.Contains(text, words[j]) {
			bits |= 1 << j
		}
	}
	return bits
}
