package ladder

import (
	"math/bits"
	"slices"
	"strconv"

	"sipscope/decode"
	"sipscope/decode/sip"
)

// addRows makes a row of every event.
func (b *builder) addRows() {
	b.rowOf = make([][]int, len(b.calls))
	b.dialogs = make([]dialogSeen, len(b.calls))
	b.open = map[int][]openTxn{}
	b.noted = map[noteKey]bool{}
	b.route.init(len(b.out.Columns))
	for ci := range b.calls {
		c := &b.calls[ci]
		b.rowOf[ci] = slices.Repeat([]int{-1}, len(c.Messages))
		b.dialogs[ci] = dialogSeen{
			number: make([]int, len(c.Dialogs)), early: make([]bool, len(c.Dialogs)), confirmed: make([]bool, len(c.Dialogs)),
		}
		for i := range c.Messages {
			if t := c.Messages[i].Transport; !slices.Contains(b.out.Transports, t.String()) {
				b.out.Transports = append(b.out.Transports, t.String())
			}
		}
	}
	for _, e := range b.events {
		switch {
		case e.msg < 0:
			b.addGap(e)
		case b.fold(e):
		default:
			b.addMissing(e)
			b.addArrow(e)
		}
	}
}

// fold counts a retransmission in the row of its original, and takes a tap's duplicate into it.
func (b *builder) fold(e event) bool {
	m := b.message(e)
	if m.Repeats < 0 || b.opts.Unfold || m.Repeats >= len(b.rowOf[e.call]) {
		return false
	}
	ri := b.rowOf[e.call][m.Repeats]
	if ri < 0 {
		return false
	}
	r := &b.out.Rows[ri]
	if m.Flags&decode.TapDuplicate == 0 { // a frame that the tap saw twice was sent once
		r.Count++
		if len(r.Intervals) < maxIntervals {
			r.Intervals = append(r.Intervals, m.Interval)
		}
	}
	if len(r.Messages) < maxIntervals {
		r.Messages = append(r.Messages, e.msg)
	}
	b.rowOf[e.call][e.msg] = ri
	return true
}

func (b *builder) addGap(e event) {
	g := &e.gap
	label := "part of the stream is missing"
	if g.Kind == decode.FragmentGap {
		label = "fragments of a datagram are missing"
	}
	if g.Bytes > 0 {
		label = strconv.FormatUint(g.Bytes, 10) + " bytes of the stream are missing"
		if g.Kind == decode.FragmentGap {
			label = strconv.FormatUint(g.Bytes, 10) + " bytes of a datagram are missing"
		}
	}
	b.out.Rows = append(b.out.Rows, Row{
		Kind: Gap, Call: e.call, Time: e.time, From: b.col(g.Src), To: b.col(g.Dst), Label: label,
		Frame: e.seq, Txn: -1, Dialog: -1, Count: 1, Hops: 1, Method: "",
	})
}

// addMissing tells of a message that must have been there before this one.
func (b *builder) addMissing(e event) {
	m, f := b.message(e), &b.facts[e.call][e.msg]
	label := ""
	switch t := b.txn(e.call, m.Txn); {
	case m.Status != 0 && t != nil && t.Request < 0:
		if b.once(noteKey{what: "request " + m.Method, call: e.call, a: m.CSeq}) {
			label = m.Method + " not captured: only its responses are here"
			if e.msg == 0 {
				label = m.Method + " not captured: the capture starts later"
			}
		}
	case e.msg == 0 && m.Status == 0 && f.toTag:
		label = "the capture starts inside the dialog"
	}
	if label == "" {
		return
	}
	from, to := b.cols[m.Src], b.cols[m.Dst]
	if m.Status != 0 {
		from, to = to, from
	}
	b.out.Rows = append(b.out.Rows, Row{
		Kind: Note, Call: e.call, Time: m.Time, From: from, To: to, Label: label, Txn: m.Txn, Dialog: -1, Count: 1, Hops: 1,
	})
}

func (b *builder) addArrow(e event) {
	m, f := b.message(e), &b.facts[e.call][e.msg]
	r := Row{
		Kind: Arrow, Call: e.call, Time: m.Time, From: b.cols[m.Src], To: b.cols[m.Dst], Method: m.Method,
		Status: m.Status, Response: m.Status != 0, SDP: f.sdp, Media: f.media, Count: 1, Hops: 1, Frame: m.Seq,
		Messages: []int{e.msg}, Txn: m.Txn, Dialog: m.Dialog,
	}
	if f.sdp == "" && m.SDP && !f.read {
		r.SDP = "sdp"
	}
	if t := b.txn(e.call, m.Txn); t != nil {
		r.Leg = t.Leg
	}
	if len(b.out.Transports) > 1 {
		r.Transport = m.Transport.String()
	}
	if m.Repeats >= 0 {
		r.Retransmission = true
		r.Intervals = []int64{m.Interval}
	}
	r.Label = b.label(&r, f)
	b.notes(e, &r)
	b.rowOf[e.call][e.msg] = len(b.out.Rows)
	b.out.Rows = append(b.out.Rows, r)
	b.explain(e)
}

// explain adds what the arrow above does. It begins at the first lifeline: explanations are long.
func (b *builder) explain(e event) {
	if b.opts.Explain == nil {
		return
	}
	if why := b.opts.Explain(e.call, e.msg); why != "" {
		b.out.Rows = append(b.out.Rows, Row{
			Kind: Note, Call: e.call, Time: b.message(e).Time, From: -1, To: -1, Label: why, Txn: -1, Dialog: -1, Count: 1, Hops: 1,
		})
	}
}

// label is what the arrow says. A response that is not to the only open request of its hop says which one it answers.
func (b *builder) label(r *Row, f *fact) string {
	open := b.track(r)
	if !r.Response {
		if r.Method == "" {
			return "?"
		}
		return clip(r.Method)
	}
	label := strconv.Itoa(int(r.Status))
	if f.reason != "" {
		label += " " + f.reason
	}
	if open && r.Method != sip.MethodInvite.String() {
		label += " (" + clip(r.Method) + ")"
	}
	return label
}

// openTxn is a transaction that has no final response yet, seen from a pair of columns.
type openTxn struct{ call, txn int }

// maxOpen bounds the search for open transactions of a hop.
const maxOpen = 32

// track keeps which transactions are open on a hop, and reports whether others are besides the row's own.
func (b *builder) track(r *Row) bool {
	pair := min(r.From, r.To)<<8 | max(r.From, r.To)
	own := openTxn{call: r.Call, txn: r.Txn}
	list := b.open[pair]
	i := slices.Index(list, own)
	others := len(list) > 1 || len(list) == 1 && i < 0
	switch {
	case r.Txn < 0:
	case !r.Response && i < 0 && len(list) < maxOpen && r.Method != sip.MethodAck.String():
		b.open[pair] = append(list, own)
	case r.Response && r.Status >= 200 && i >= 0:
		b.open[pair] = slices.Delete(list, i, i+1)
	}
	return others
}

// dialogSeen keeps what has been said of the dialogs of a call.
type dialogSeen struct {
	number    []int // 1-based in the order in which the ladder shows them, 0 before that
	early     []bool
	confirmed []bool
	forks     int // early dialogs named so far
}

// dialogNumber numbers a dialog when it is first shown: numbers are unique in the ladder.
func (b *builder) dialogNumber(call, dialog int) string {
	n := &b.dialogs[call].number[dialog]
	if *n == 0 {
		b.shown++
		*n = b.shown
	}
	return strconv.Itoa(*n)
}

// routes knows which columns requests that make dialogs connected, and how many Record-Routes they carried there.
type routes struct {
	peers   []uint64 // by column: bit i, the column i talked with it
	arrived []int    // by column: Record-Route values in the request that reached it
	left    []int    // by column: in the request that left it
}

func (r *routes) init(columns int) {
	r.peers, r.arrived, r.left = make([]uint64, columns), make([]int, columns), make([]int, columns)
}

// request notes a hop of a request that makes a dialog.
func (r *routes) request(from, to, values int) {
	if from == to {
		return
	}
	r.peers[from] |= 1 << to
	r.peers[to] |= 1 << from
	r.left[from], r.arrived[to] = values, values
}

// between gives the columns that the shortest path of the request from one column to another passed: a breadth-first
// search on bit sets. It is empty when they are neighbours or not connected.
func (r *routes) between(from, to int) []int {
	if from == to || r.peers[from]&(1<<to) != 0 {
		return nil
	}
	var before [maxColumns]int
	seen := uint64(1) << from
	for frontier := seen; frontier != 0; {
		next := uint64(0)
		for f := frontier; f != 0; f &= f - 1 {
			at := bits.TrailingZeros64(f)
			for p := r.peers[at] &^ seen; p != 0; p &= p - 1 {
				peer := bits.TrailingZeros64(p)
				before[peer] = at
				seen |= 1 << peer
				next |= 1 << peer
			}
		}
		frontier = next
	}
	if seen&(1<<to) == 0 {
		return nil
	}
	var path []int
	for at := before[to]; at != from; at = before[at] {
		path = append(path, at)
	}
	slices.Reverse(path)
	return path
}
