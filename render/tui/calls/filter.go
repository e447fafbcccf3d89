package calls

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// askFilter asks for an expression and filters while it is typed.
func (v *View) askFilter() {
	was := v.list.query
	now := ""
	if was != nil {
		now = was.String()
	}
	set := func(src string) error {
		q, err := query.Compile(src, query.Options{IgnoreCase: true})
		if err != nil {
			return fmt.Errorf("%w", err)
		}
		if q.String() == "" {
			q = nil
		}
		if was != nil && q != nil && q.String() == was.String() {
			q = was
		} else {
			v.list.bind(q)
		}
		v.setFilter(q)
		return nil
	}
	v.h.Ask(term.Prompt{
		Label: "filter", Text: now, Changed: set, Done: set, Cancelled: func() { v.setFilter(was) }, Complete: v.complete,
	})
}

func (v *View) setFilter(q *query.Query) {
	if v.list.query == q {
		return
	}
	v.list.setQuery(q)
	v.refresh()
}

// complete proposes what may stand in the place of the last word: a value after a comparison with a field that has few,
// else the names of fields.
func (v *View) complete(src string) []term.Completion {
	at := strings.LastIndexAny(src, " (!&|") + 1
	head, word := src[:at], src[at:]
	fields := strings.Fields(head)
	var out []term.Completion
	if n := len(fields); n >= 2 && (fields[n-1] == "==" || fields[n-1] == "!=") {
		for _, value := range v.values(fields[n-2]) {
			quoted := `"` + value + `"`
			if strings.HasPrefix(quoted, word) || strings.HasPrefix(value, word) {
				out = append(out, term.Completion{Text: head + quoted, Help: "a value of " + fields[n-2]})
			}
		}
		return out
	}
	for _, f := range query.Fields() {
		if strings.HasPrefix(f.Name, strings.ToLower(word)) {
			out = append(out, term.Completion{Text: head + f.Name, Help: f.Type + ": " + f.Text})
		}
	}
	return out
}

// values lists the values of a field that has few.
func (v *View) values(field string) []string {
	switch field {
	case "state":
		var all []string
		for _, s := range correlate.States() {
			all = append(all, s.String())
		}
		return all
	case "method":
		return slices.Sorted(maps.Keys(v.board.Totals().Transactions))
	case "relation":
		return correlate.Relations()
	case "ended_by":
		return []string{"caller", "callee", "network"}
	default:
		return nil
	}
}

// Search implements term.View. It goes through the list on another goroutine, a chunk at a time.
func (v *View) Search(needle string, next, backwards bool) {
	v.searches++
	stopped := v.search.renew()
	if v.needle == "" || v.strayed {
		v.from, v.strayed = v.cursor, false
	}
	if v.needle = term.Lower(needle); needle == "" {
		v.searching = false
		v.h.Redraw()
		return
	}
	from, step := v.from, 1
	if next {
		v.strayed = true
		if from = v.cursor + 1; backwards {
			from = v.cursor - 1
		}
	}
	if backwards {
		step = -1
	}
	n := v.list.len()
	if n == 0 {
		v.searching = false
		return
	}
	nums := v.list.numbers()
	generation, copies, ok := v.searches, v.copies, v.holds(v.needle)
	v.searching = true
	v.h.Go(func(ctx context.Context) func() {
		row, err := seek(ctx, stopped, copies, nums, walk{from, step}, ok)
		if err != nil {
			return nil
		}
		return func() {
			if generation == v.searches {
				v.found(needle, nums, row)
			}
		}
	})
}

// holds makes a test whether a call's row, its Call-ID or a URI of it holds a text in lower case.
func (v *View) holds(low string) func(s *correlate.Summary) bool {
	cols, _ := v.still()
	return func(s *correlate.Summary) bool {
		for i := range cols {
			if strings.Contains(term.Lower(cols[i].Cell(s)), low) {
				return true
			}
		}
		return strings.Contains(term.Lower(s.CallID+"\x00"+s.From.URI+"\x00"+s.To.URI+"\x00"+s.RURI), low)
	}
}

// found goes to the row that a search has found, -1 for none.
func (v *View) found(needle string, nums []uint32, row int) {
	v.searching = false
	if row < 0 {
		v.h.Say(fmt.Sprintf("%q is in no row (F7 looks into the messages)", text.Clean(needle)))
	} else if at := v.list.index(nums[row]); at >= 0 {
		v.move(at)
	}
	v.h.Redraw()
}

// errStopped says that a search was given up.
var errStopped = errors.New("stopped")

// walk is a way through the rows: where it begins, and 1 or -1 a step.
type walk struct{ from, step int }

// seek finds the next number, round the end, whose summary ok holds for; -1 for none.
func seek(
	ctx context.Context, stopped *atomic.Bool, copies copier, nums []uint32, w walk, ok func(*correlate.Summary) bool,
) (int, error) {
	n := len(nums)
	rowOf := func(i int) int { return ((w.from+i*w.step)%n + n) % n }
	chunk := make([]uint32, 0, 256)
	var buf []correlate.Summary
	for i := 0; i < n; i += len(chunk) {
		if ctx.Err() != nil || stopped.Load() {
			return -1, errStopped
		}
		chunk = chunk[:0]
		for k := i; k < n && len(chunk) < cap(chunk); k++ {
			chunk = append(chunk, nums[rowOf(k)])
		}
		buf = copies.Summaries(chunk, buf[:0])
		j := 0
		for k, num := range chunk {
			if j == len(buf) || buf[j].Num != num {
				continue
			}
			if ok(&buf[j]) {
				return rowOf(i + k), nil
			}
			j++
		}
	}
	return -1, nil
}
