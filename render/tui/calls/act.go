package calls

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/render/columns"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// Do implements term.View.
func (v *View) Do(a keymap.Action) bool {
	if v.moving(a) {
		v.strayed = true
	} else if !v.choosing(a) && !v.arranging(a) {
		return false
	}
	v.h.Redraw()
	return true
}

// moving moves the cursor.
func (v *View) moving(a keymap.Action) bool {
	page := max(v.height, 1)
	switch a {
	case keymap.Up:
		v.move(v.cursor - 1)
	case keymap.Down:
		v.move(v.cursor + 1)
	case keymap.PageUp:
		v.move(v.cursor - page)
	case keymap.PageDown:
		v.move(v.cursor + page)
	case keymap.HalfUp:
		v.move(v.cursor - page/2)
	case keymap.HalfDown:
		v.move(v.cursor + page/2)
	case keymap.Top:
		v.move(0)
	case keymap.Bottom:
		v.move(v.list.len())
	case keymap.Left:
		v.left = max(0, v.left-1)
	case keymap.Right:
		v.left = min(v.left+1, len(v.cols)-1)
	default:
		return false
	}
	return true
}

// choosing does something with calls.
func (v *View) choosing(a keymap.Action) bool {
	switch a {
	case keymap.Select:
		if v.at != 0 {
			v.toggle(v.at)
			v.move(v.cursor + 1)
		}
	case keymap.SelectAll:
		for i := range v.list.len() {
			v.selected.set(v.list.at(i), true)
		}
	case keymap.SelectNone:
		v.selected = nil
	case keymap.Open, keymap.Extended:
		if nums := v.chosen(); len(nums) > 0 {
			v.h.ShowCalls(nums, a == keymap.Extended)
		}
	case keymap.Raw:
		if call, ok := v.board.Call(v.at); ok {
			v.h.ShowMessages(&call, 0)
		}
	case keymap.Diff:
		v.diff()
	case keymap.Stats:
		v.h.ShowStats()
	case keymap.ShowMedia:
		if v.selected.len() > 0 {
			v.h.ShowMedia(v.chosen())
		} else {
			v.h.ShowMedia(nil)
		}
	default:
		return v.copying(a)
	}
	return true
}

// copying gives something to the clipboard.
func (v *View) copying(a keymap.Action) bool {
	switch a {
	case keymap.Copy:
		for _, s := range v.copies.Summaries([]uint32{v.at}, nil) {
			v.h.Copy(s.CallID, "the Call-ID")
		}
	case keymap.CopyAll:
		v.copyTable()
	default:
		return false
	}
	return true
}

// diff compares the two selected calls, or the selected one with the one under the cursor.
func (v *View) diff() {
	nums := v.chosen()
	if len(nums) == 1 && v.at != 0 && v.at != nums[0] {
		nums = append(nums, v.at)
	}
	switch n := len(nums); {
	case n == 2:
		v.h.ShowPair(nums[0], nums[1])
	case n > 2:
		v.h.Say(fmt.Sprintf("two calls are compared, %d are selected", n))
	default:
		v.h.Say("select the call to compare this one with: Space")
	}
}

func (v *View) toggle(num uint32) {
	v.selected.set(num, !v.selected.has(num))
}

// arranging changes what the list shows.
func (v *View) arranging(a keymap.Action) bool {
	s := v.settings()
	switch a {
	case keymap.SortPrev, keymap.SortNext:
		v.sortNeighbour(map[keymap.Action]int{keymap.SortPrev: -1, keymap.SortNext: 1}[a])
	case keymap.SortSwap:
		v.sortBy(swapped(v.list.sortBy))
	case keymap.Narrower, keymap.Wider:
		v.size(map[keymap.Action]int{keymap.Narrower: -1, keymap.Wider: 1}[a])
	case keymap.Columns:
		v.chooseMenu()
	case keymap.Filter:
		v.askFilter()
	case keymap.Methods:
		v.methodMenu()
	case keymap.CallsOnly:
		s.CallsOnly = !s.CallsOnly
		v.refresh()
	case keymap.Follow:
		s.Follow = !s.Follow
		v.settle()
	case keymap.Pause:
		v.pause()
	case keymap.Clear:
		v.clear()
	case keymap.KeepFiltered:
		v.keep()
	default:
		return false
	}
	return true
}

// clear takes all calls off the list: at once in a live capture, where more come.
func (v *View) clear() {
	off := func() {
		v.list.clear()
		v.selected = nil
		v.refresh()
	}
	if v.h.Data().Live != nil {
		off()
		return
	}
	v.h.Confirm("Take all calls off the list?", off)
}

// keep takes what the filter hides off the list, and off the selection.
func (v *View) keep() {
	switch {
	case !v.list.filtered():
		v.h.Say("no filter hides a call")
	case !v.list.keep():
		v.h.Say("the filter is still at work")
	default:
		s := v.settings()
		s.CallsOnly, s.Methods = false, nil
		gone := slices.Clone(v.selected)
		gone.each(func(num uint32) { v.selected.set(num, v.list.inBase(num)) })
		v.refresh()
	}
}

// refresh looks at the settings at once, also when the list stands still.
func (v *View) refresh() {
	paused := v.paused
	v.paused = false
	v.Tick(v.list.looked)
	v.paused = paused
	v.settle()
	v.h.Redraw()
}

func (v *View) pause() {
	v.paused = !v.paused
	if !v.paused {
		v.refresh()
	}
}

func swapped(by string) string {
	if name, ok := strings.CutPrefix(by, "-"); ok {
		return name
	}
	return "-" + by
}

func (v *View) sortBy(by string) {
	v.settings().Sort = by
	v.refresh()
	v.h.Say(v.list.describe())
}

// sortNeighbour sorts by the column beside the one that sorts.
func (v *View) sortNeighbour(step int) {
	name, down := strings.CutPrefix(v.list.sortBy, "-")
	at := slices.IndexFunc(v.cols, func(c columns.Column) bool { return c.Name == name })
	to := at + step
	if to < 0 || to >= len(v.cols) {
		return
	}
	by := v.cols[to].Name
	if down {
		by = "-" + by
	}
	v.sortBy(by)
}

// size makes the column that sorts wider or narrower.
func (v *View) size(by int) {
	name := strings.TrimPrefix(v.list.sortBy, "-")
	for _, h := range v.heads {
		if v.cols[h.col].Name == name {
			v.setWidth(name, h.w+by)
		}
	}
}

func (v *View) setWidth(name string, w int) {
	s := v.settings()
	if s.Widths == nil {
		s.Widths = map[string]int{}
	}
	s.Widths[name] = max(minWidth, min(w, 200))
	v.h.Redraw()
}

// chooseMenu offers all columns, those that are shown first.
func (v *View) chooseMenu() {
	m := term.Menu{Title: "columns", Order: true, Widths: true, AddHint: "header"}
	item := func(c *columns.Column, on bool) term.Item {
		return term.Item{Name: c.Name, Help: c.Help, Ticked: on, Width: v.settings().Widths[c.Name]}
	}
	for i := range v.cols {
		m.Items = append(m.Items, item(&v.cols[i], true))
	}
	for _, c := range columns.All() {
		if !slices.ContainsFunc(v.cols, func(x columns.Column) bool { return x.Name == c.Name }) {
			m.Items = append(m.Items, item(&c, false))
		}
	}
	m.Add = func(name string) (term.Item, error) {
		name = strings.TrimSpace(name)
		if name == "" || strings.ContainsAny(name, " \t:,;\"") {
			return term.Item{}, fmt.Errorf("no header is called so")
		}
		return term.Item{Name: columns.HeaderPrefix + name, Help: "first value of the header in the call", Ticked: true}, nil
	}
	m.Done = func(items []term.Item, _ int) { v.takeColumns(items) }
	v.h.Choose(m)
}

func (v *View) takeColumns(items []term.Item) {
	s := v.settings()
	var names []string
	for _, it := range items {
		if it.Ticked {
			names = append(names, it.Name)
		}
		if s.Widths == nil {
			s.Widths = map[string]int{}
		}
		if it.Width > 0 {
			s.Widths[it.Name] = it.Width
		} else {
			delete(s.Widths, it.Name)
		}
	}
	if len(names) == 0 {
		v.h.Say("a list without columns shows nothing")
		return
	}
	s.Columns = names
	v.h.Redraw()
}

// methodMenu offers the methods that were seen.
func (v *View) methodMenu() {
	totals := v.board.Totals()
	m := term.Menu{Title: "methods (of the first request; none ticked shows all)"}
	for _, name := range slices.Sorted(maps.Keys(totals.Transactions)) {
		m.Items = append(m.Items, term.Item{
			Name: name, Help: count(int(totals.Transactions[name]), "transaction"), //nolint:gosec // fits
			Ticked: slices.Contains(v.settings().Methods, name),
		})
	}
	if len(m.Items) == 0 {
		v.h.Say("no requests so far")
		return
	}
	m.Done = func(items []term.Item, _ int) {
		v.settings().Methods = nil
		for _, it := range items {
			if it.Ticked {
				v.settings().Methods = append(v.settings().Methods, it.Name)
			}
		}
		v.refresh()
	}
	v.h.Choose(m)
}

// How much is copied as a table: what terminals take (OSC 52).
const (
	maxCopied      = 10_000 // rows
	maxCopiedBytes = 1 << 20
)

// copyTable copies the list as it is shown, columns apart by tabs.
func (v *View) copyTable() {
	all := v.list.numbers()
	nums := all[:min(len(all), maxCopied)]
	cols, values := v.still()
	copies, data, headers := v.copies, v.h.Data(), v.texts.headers
	v.h.Go(func(ctx context.Context) func() {
		t := table{cols: cols}
		t.add(func(i int) string { return cols[i].Title })
		var buf []correlate.Summary
		for chunk := range slices.Chunk(nums, 256) {
			if ctx.Err() != nil {
				return nil
			}
			buf = copies.Summaries(chunk, buf[:0])
			if len(headers) > 0 {
				clear(values)
				maps.Copy(values, readHeaders(ctx, data, chunk, headers))
			}
			for j := range buf {
				t.add(func(i int) string { return cols[i].Cell(&buf[j]) })
			}
			if t.full {
				break
			}
		}
		what := count(t.rows-1, "call")
		if t.full || len(nums) < len(all) {
			what = fmt.Sprintf("the first %s of %d", what, len(all))
		}
		return func() { v.h.Copy(t.b.String(), what) }
	})
}

// table is lines of cells with tabs between them, as many as are whole within the bound.
type table struct {
	b    strings.Builder
	cols []columns.Column
	rows int
	full bool
}

func (t *table) add(cell func(i int) string) {
	cells := make([]string, len(t.cols))
	size := 0
	for i := range cells {
		cells[i] = text.Clean(cell(i))
		size += len(cells[i]) + 1
	}
	if t.full = t.full || t.b.Len()+size > maxCopiedBytes; t.full {
		return
	}
	t.rows++
	t.b.WriteString(strings.Join(cells, "\t") + "\n")
}

// Mouse implements term.View.
func (v *View) Mouse(m term.Mouse) bool {
	v.strayed = true
	switch m.Kind {
	case term.WheelUp:
		v.move(v.cursor - 3)
	case term.WheelDown:
		v.move(v.cursor + 3)
	case term.Click, term.DoubleClick:
		return v.click(m)
	case term.Drag:
		if v.drag >= 0 && v.drag < len(v.heads) {
			h := v.heads[v.drag]
			v.setWidth(v.cols[h.col].Name, m.X-h.x+1)
		}
	case term.Release:
		v.drag = -1
	default:
		return false
	}
	v.h.Redraw()
	return true
}

func (v *View) click(m term.Mouse) bool {
	v.drag = -1
	if m.Y > 0 {
		if to := v.top + m.Y - 1; to < v.list.len() {
			v.move(to)
			if m.Kind == term.DoubleClick {
				v.h.ShowCalls([]uint32{v.at}, false) // that one, whatever is selected
			} else if m.X < markWidth {
				v.toggle(v.at)
			}
		}
		return true
	}
	for i, h := range v.heads {
		switch {
		case m.X == h.x+h.w || m.X == h.x+h.w-1 && m.Kind == term.Click && h.w > minWidth && !v.cols[h.col].Right:
			v.drag = i // the border: a drag sizes the column
			return true
		case m.X >= h.x && m.X < h.x+h.w:
			name := v.cols[h.col].Name
			if v.list.sortBy == name {
				name = swapped(name)
			}
			v.sortBy(name)
			return true
		}
	}
	return true
}
