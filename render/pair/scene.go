package pair

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/compare"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
)

// scene is a Result with what its rows say: the labels that a ladder of each side has. Its texts are raw.
type scene struct {
	r    *diff.Result
	who  []string    // what people call the participants: "alice", "proxy A"
	addr [2][]string // their addresses on each side, where these are not their names
	rows []row
	n    counts
}

// row is one row of the picture.
type row struct {
	*diff.Row

	index int
	a, b  event
}

// event is a message of a side.
type event struct {
	call    *correlate.Call
	message *correlate.Message // nil where the side has none
	label   string             // "INVITE", "180 Ringing"
	sdp     string             // "sdp PCMU,PCMA", "" without
	from    int                // indices of participants, -1 unknown
	to      int
}

func (e *event) there() bool { return e.message != nil }

// full is the label with what the body offers.
func (e *event) full() string {
	if e.sdp == "" {
		return e.label
	}
	return e.label + " " + e.sdp
}

// one is the message of the row that is there, the first side's if both are.
func (r *row) one() *event {
	if r.a.there() {
		return &r.a
	}
	return &r.b
}

// alike reports whether both sides would be drawn as the same arrow.
func (r *row) alike() bool {
	return r.a.there() && r.b.there() && r.a.full() == r.b.full() && r.a.from == r.b.from && r.a.to == r.b.to
}

// first reports whether the row is where the flows part.
func (s *scene) first(i int) bool { return i == s.r.First && i >= 0 }

// firstWords say what the first row is that counts: of one call's hops nothing parted there.
func (s *scene) firstWords() string {
	if areHops(s.r.A.Name, s.r.B.Name) {
		return "first change"
	}
	return "first divergence"
}

// areHops reports whether two sides are those of Hops.
func areHops(a, b string) bool { return a == HopIn && b == HopOut }

// compare compares the messages of a row, as far as there are any.
func (s *scene) compare(i int) compare.Result {
	r := &s.rows[i]
	if r.A.Valid() != r.a.there() || r.B.Valid() != r.b.there() || !r.one().there() {
		return compare.Result{} // a reference that leads nowhere
	}
	return s.r.Message(i)
}

// telling reports whether a verdict is one that a reader steps through: all but same and expected, and what merely
// follows from an earlier divergence.
func telling(v diff.Verdict) bool {
	return v != diff.Same && v != diff.Expected && v != diff.NotReached
}

// newScene names everything once.
func newScene(r *diff.Result) *scene {
	s := &scene{r: r, n: countRows(r.Rows), who: make([]string, len(r.Who))}
	a, b := labelsOf(&r.A), labelsOf(&r.B)
	s.name(a, b)
	placeA := places(r.Who, func(p *diff.Participant) []frame.Endpoint { return p.A })
	placeB := places(r.Who, func(p *diff.Participant) []frame.Endpoint { return p.B })
	s.rows = make([]row, len(r.Rows))
	for i := range r.Rows {
		x := &r.Rows[i]
		s.rows[i] = row{Row: x, index: i, a: a.event(x.A), b: b.event(x.B)}
		s.rows[i].a.place(placeA, x, len(s.who))
		s.rows[i].b.place(placeB, x, len(s.who))
	}
	return s
}

// places gives the participant of each endpoint of a side.
func places(who []diff.Participant, side func(*diff.Participant) []frame.Endpoint) map[frame.Endpoint]int {
	at := map[frame.Endpoint]int{}
	for i := range who {
		for _, e := range side(&who[i]) {
			if _, ok := at[e]; !ok {
				at[e] = i
			}
		}
	}
	return at
}

// place finds out between whom the message went: a message may take another way than its counterpart.
func (e *event) place(at map[frame.Endpoint]int, r *diff.Row, n int) {
	e.from, e.to = r.From, r.To
	if e.there() {
		from, okFrom := at[e.message.Src]
		to, okTo := at[e.message.Dst]
		if okFrom && okTo {
			e.from, e.to = from, to
		}
	}
	if e.from < 0 || e.to < 0 || e.from >= n || e.to >= n {
		e.from, e.to = -1, -1
	}
}

// name names the participants. Those that the comparison calls by an address have the names that the ladder of a side
// gives them, if these are of no other participant.
func (s *scene) name(a, b *labels) {
	used := map[string]int{}
	for i := range s.r.Who {
		s.who[i] = participantName(&s.r.Who[i])
		used[s.who[i]]++
	}
	called := make([]string, len(s.who))
	for i := range s.r.Who {
		p := &s.r.Who[i]
		if !isAddress(s.who[i]) {
			continue
		}
		if called[i] = a.called(p.A); called[i] == "" {
			called[i] = b.called(p.B)
		}
		used[called[i]]++
	}
	for i, c := range called {
		if c != "" && used[c] == 1 {
			s.who[i] = c
		}
	}
	for side := range s.addr {
		s.addr[side] = make([]string, len(s.who))
		for i := range s.r.Who {
			ends := [2][]frame.Endpoint{s.r.Who[i].A, s.r.Who[i].B}[side]
			if len(ends) > 0 && !isAddress(s.who[i]) {
				s.addr[side][i] = ends[0].Host()
			}
		}
	}
}

// isAddress reports whether a name is an IP address, with or without a port.
func isAddress(name string) bool {
	if _, err := netip.ParseAddrPort(name); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}

// called is what the ladder calls the participant that has one of these endpoints, "" when it has only its address.
func (x *labels) called(ends []frame.Endpoint) string {
	for i := range x.l.Columns {
		c := &x.l.Columns[i]
		for _, e := range ends {
			if slices.Contains(c.Endpoints, e) {
				return c.Label
			}
		}
	}
	return ""
}

func participantName(p *diff.Participant) string {
	switch {
	case p.Name != "":
		return p.Name
	case len(p.A) > 0:
		return p.A[0].Host()
	case len(p.B) > 0:
		return p.B[0].Host()
	default:
		return "?"
	}
}

// labels are the rows of a side's ladder by call and message.
type labels struct {
	flow *diff.Flow
	l    ladder.Ladder
	row  [][]int
}

func labelsOf(f *diff.Flow) *labels {
	x := &labels{flow: f, row: make([][]int, len(f.Calls))}
	x.l = ladder.Build(f.Calls, ladder.TextFunc(f.Text), ladder.Options{Unfold: true})
	for i := range f.Calls {
		x.row[i] = make([]int, len(f.Calls[i].Messages))
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
				x.row[r.Call][m] = i
			}
		}
	}
	return x
}

// event gives what a message is called; nothing for a reference to none.
func (x *labels) event(ref diff.Ref) event {
	if ref.Message < 0 || ref.Call < 0 || ref.Call >= len(x.row) || ref.Message >= len(x.row[ref.Call]) {
		return event{}
	}
	call := &x.flow.Calls[ref.Call]
	e := event{call: call, message: &call.Messages[ref.Message]}
	if i := x.row[ref.Call][ref.Message]; i >= 0 {
		e.label, e.sdp = x.l.Rows[i].Label, x.l.Rows[i].SDP
		return e
	}
	e.label = e.name()
	return e
}

// name is what a message is called by its record alone: "INVITE", "180 Ringing".
func (e *event) name() string {
	if s := int(e.message.Status); s != 0 {
		return strings.TrimSpace(strconv.Itoa(s) + " " + sip.ReasonPhrase(s))
	}
	return e.message.Method
}
