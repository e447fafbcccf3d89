package pair

import (
	"slices"
	"sort"
	"strconv"
	"strings"

	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// picture is a result with what drawing it needs. It does not change any more.
type picture struct {
	r     *diff.Result // nil when there is nothing to show
	ascii bool
	rows  []row
	who   [2][]string // names of the participants as each side calls them, clean
	hosts [2][]string // their addresses on each side, clean
	named bool        // the names are more than the addresses
	wide  int         // cells of the widest label with SDP
	n     [diff.NotReached + 1]int
}

// row is a row of the result: what each side says.
type row struct{ side [2]cell }

// cell is a message of a side.
type cell struct {
	there   bool
	status  uint16 // 0 for a request
	name    string // "INVITE", "180 Ringing"; as on the wire
	label   string // "INVITE", "180 Ringing ×2"; clean
	sdp     string // "sdp PCMU"; clean
	times   int    // how often it was sent, 0 for once
	w, full int    // cells of the label, and of both
}

// maxName bounds the name of a participant, in bytes and in cells: drawing must not cost more than a screen.
const maxName = 80

// prepare makes the picture; result is not nil when it was opened before.
func prepare(open func() *diff.Result, result *diff.Result, ascii bool, aliases map[string]string) *picture {
	if result == nil {
		result = open()
	}
	p := &picture{r: result, ascii: ascii}
	if result == nil {
		return p
	}
	sides := [...]*labels{labelsOf(&result.A, aliases), labelsOf(&result.B, aliases)}
	p.hosts = [2][]string{
		p.addresses(result.Who, func(w *diff.Participant) []frame.Endpoint { return w.A }),
		p.addresses(result.Who, func(w *diff.Participant) []frame.Endpoint { return w.B }),
	}
	p.name(sides)
	p.rows = make([]row, len(result.Rows))
	for i := range result.Rows {
		r := &result.Rows[i]
		if int(r.Verdict) < len(p.n) {
			p.n[r.Verdict]++
		}
		for s, ref := range [...]diff.Ref{r.A, r.B} {
			c := sides[s].cell(ref)
			p.measure(&c)
			p.rows[i].side[s] = c
			p.wide = max(p.wide, c.full)
		}
	}
	return p
}

// name names the participants: as the result does, or where that knows only an address, as the ladder of the side does.
func (p *picture) name(sides [2]*labels) {
	for i := range p.r.Who {
		w := &p.r.Who[i]
		for s, at := range [...][]frame.Endpoint{w.A, w.B} {
			name := w.Name
			if label := sides[s].column(at); label != "" && isAddress(w) {
				name = label
			}
			for k := 0; name == "" && k < 2; k++ {
				name = p.hosts[k][i]
			}
			name = cut(p.clean(name[:min(len(name), maxName)]), maxName)
			p.who[s] = append(p.who[s], name)
			p.named = p.named || p.hosts[s][i] != "" && name != p.hosts[s][i]
		}
	}
	for i := range p.r.Who { // a side that lacks a participant has no name for it
		for s, at := range [...][]frame.Endpoint{p.r.Who[i].A, p.r.Who[i].B} {
			if len(at) == 0 {
				p.who[s][i] = p.who[1-s][i]
			}
		}
	}
}

// isAddress reports whether a participant has no name but where it is.
func isAddress(w *diff.Participant) bool {
	for _, at := range [...][]frame.Endpoint{w.A, w.B} {
		for _, e := range at {
			if w.Name == e.Host() || w.Name == e.String() {
				return true
			}
		}
	}
	return w.Name == ""
}

// measure makes a cell safe to draw, and says how wide it is.
func (p *picture) measure(c *cell) {
	c.label, c.sdp = p.clean(c.name), p.clean(c.sdp)
	if c.times > 1 {
		times := " ×"
		if p.ascii {
			times = " x"
		}
		c.label += times + strconv.Itoa(c.times)
	}
	c.w = text.Width(c.label)
	c.full = c.w
	if c.sdp != "" {
		c.full += 1 + text.Width(c.sdp)
	}
}

// addresses names where the participants of a side are: the first address of each, with its port where another one has
// the same address, and how many more there are.
func (p *picture) addresses(who []diff.Participant, of func(*diff.Participant) []frame.Endpoint) []string {
	users := map[string]int{}
	for i := range who {
		if at := of(&who[i]); len(at) > 0 {
			users[at[0].Host()]++
		}
	}
	all := make([]string, len(who))
	for i := range who {
		at := of(&who[i])
		if len(at) == 0 {
			continue
		}
		s := at[0].Host()
		if users[s] > 1 {
			s = at[0].String()
		}
		if n := len(at) - 1; n > 0 {
			s += " +" + strconv.Itoa(n)
		}
		all[i] = p.clean(s) // an address is short, zone and all
	}
	return all
}

func (p *picture) clean(s string) string {
	if p.ascii {
		return text.CleanASCII(s)
	}
	return text.Clean(s)
}

// labels are the rows of a side's ladder by call and message.
type labels struct {
	flow *diff.Flow
	l    ladder.Ladder
	row  [][]int32
}

// labelsOf names a side's messages as its ladder does.
func labelsOf(f *diff.Flow, aliases map[string]string) *labels {
	x := &labels{flow: f, row: make([][]int32, len(f.Calls))}
	read := ladder.TextFunc(f.Text)
	if read == nil {
		read = func(int, int) []byte { return nil }
	}
	x.l = ladder.Build(f.Calls, read, ladder.Options{Aliases: aliases})
	for i := range f.Calls {
		x.row[i] = make([]int32, len(f.Calls[i].Messages))
		for j := range x.row[i] {
			x.row[i][j] = -1
		}
	}
	for i := range x.l.Rows {
		r := &x.l.Rows[i]
		if r.Kind != ladder.Arrow || r.Call < 0 || r.Call >= len(x.row) {
			continue
		}
		for _, m := range r.Messages {
			if m >= 0 && m < len(x.row[r.Call]) && x.row[r.Call][m] < 0 {
				x.row[r.Call][m] = int32(i)
			}
		}
	}
	return x
}

// column is what the ladder calls who stands behind endpoints, empty when it knows no more than the address.
func (x *labels) column(at []frame.Endpoint) string {
	if len(at) == 0 {
		return ""
	}
	for i := range x.l.Columns {
		if c := &x.l.Columns[i]; c.Others == 0 && slices.Contains(c.Endpoints, at[0]) {
			return c.Label
		}
	}
	return ""
}

// cell gives what a message is called; nothing for a reference to none.
func (x *labels) cell(ref diff.Ref) cell {
	if ref.Message < 0 || ref.Call < 0 || ref.Call >= len(x.row) || ref.Message >= len(x.row[ref.Call]) {
		return cell{}
	}
	m := &x.flow.Calls[ref.Call].Messages[ref.Message]
	c := cell{there: true, status: m.Status, name: m.Method}
	if i := x.row[ref.Call][ref.Message]; i >= 0 {
		r := &x.l.Rows[i]
		c.name, c.sdp = r.Label, r.SDP
		if r.Count > 1 && r.Messages[0] == ref.Message {
			c.times = r.Count
		}
	} else if m.Status > 0 {
		c.name = strings.TrimSpace(strconv.Itoa(int(m.Status)) + " " + sip.ReasonPhrase(int(m.Status)))
	}
	return c
}

// one is the side that is there, the first if both are.
func (r *row) one() int {
	if r.side[0].there {
		return 0
	}
	return 1
}

// apart reports whether one ladder needs an arrow for each side.
func (r *row) apart() bool {
	a, b := &r.side[0], &r.side[1]
	return a.there && b.there && (a.name != b.name || a.sdp != b.sdp)
}

// hop says what a row is: "INVITE alice → proxy".
func (p *picture) hop(i int, to string) string {
	x, r := &p.rows[i], &p.r.Rows[i]
	label := x.side[x.one()].label
	if x.apart() && x.side[0].name != x.side[1].name {
		label += to + x.side[1].label
	}
	if from, dest := p.called(x.one(), r.From), p.called(x.one(), r.To); from != "" && dest != "" {
		label += " " + from + to + dest
	}
	return label
}

// called is what a side calls a participant, empty for one that there is not.
func (p *picture) called(side, i int) string {
	if i < 0 || i >= len(p.who[side]) {
		return ""
	}
	return p.who[side][i]
}

// placed reports whether a row's ends are participants.
func (p *picture) placed(r *diff.Row) bool {
	return r.From >= 0 && r.From < len(p.r.Who) && r.To >= 0 && r.To < len(p.r.Who)
}

// counted says how many rows have which verdict: "6 same, 1 tolerated, 2 differ".
func (p *picture) counted() string {
	parts := []string{strconv.Itoa(p.n[diff.Same]+p.n[diff.Expected]) + " same"}
	for v := diff.Tolerated; v <= diff.NotReached; v++ {
		if p.n[v] > 0 {
			parts = append(parts, strconv.Itoa(p.n[v])+" "+strings.ReplaceAll(word(v), "differs", "differ"))
		}
	}
	return strings.Join(parts, ", ")
}

// alike reports whether a verdict says that there is nothing to see.
func alike(v diff.Verdict) bool { return v == diff.Same || v == diff.Expected }

// word is a verdict in words.
func word(v diff.Verdict) string {
	switch v {
	case diff.Same, diff.Expected:
		return "same"
	case diff.Tolerated:
		return "tolerated"
	case diff.Late:
		return "late"
	case diff.Differs:
		return "differs"
	case diff.Missing:
		return "missing"
	case diff.Extra:
		return "extra"
	case diff.NotReached:
		return "not reached"
	default:
		return "unknown"
	}
}

// sign is a verdict as one character, so that it can be seen without colour; none for what is the same.
func sign(v diff.Verdict, ascii bool) string {
	signs := [...]string{
		diff.Same: " ", diff.Expected: " ", diff.Tolerated: "~", diff.Late: "◷", diff.Differs: "✗", diff.Missing: "−",
		diff.Extra: "+", diff.NotReached: "·",
	}
	if ascii {
		signs[diff.Late], signs[diff.Differs], signs[diff.Missing], signs[diff.NotReached] = "!", "x", "-", "."
	}
	if int(v) >= len(signs) {
		return "?"
	}
	return signs[v]
}

// roleOf is how a verdict looks.
func roleOf(v diff.Verdict) term.Role {
	switch v {
	case diff.Same, diff.Expected:
		return term.Good
	case diff.Tolerated:
		return term.Dim
	case diff.Late:
		return term.Warning
	case diff.Differs:
		return term.Changed
	case diff.Missing:
		return term.Removed
	case diff.Extra:
		return term.Added
	default:
		return term.Dim
	}
}

// relist makes the list of what is shown anew, and keeps the cursor on its row, or on the next one that is left.
func (v *View) relist() {
	row := int32(0)
	if v.cursor < len(v.list) {
		row = v.list[v.cursor]
	}
	height := v.lines.start(v.cursor) - v.top
	v.list = make([]int32, 0, len(v.pic.rows))
	for i := range v.pic.rows {
		if !v.only || !alike(v.result.Rows[i].Verdict) {
			v.list = append(v.list, int32(i))
		}
	}
	v.lines = lineIndex{}
	v.cursor = v.position(int(row))
	v.layout(v.geo.w, v.geo.h)
	v.top = v.lines.start(v.cursor) - height
	v.reveal()
}

// position is where a row of the result stands in the list, or the next one that is shown.
func (v *View) position(i int) int {
	at := sort.Search(len(v.list), func(k int) bool { return int(v.list[k]) >= i })
	return max(min(at, len(v.list)-1), 0)
}
