package flow

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync/atomic"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// spec is what a picture depends on beside the calls.
type spec struct {
	extended, sdp, byIP, unfold, foldHops, ascii bool
	aliases                                      map[string]string
}

func (s *spec) same(o *spec) bool {
	return s.extended == o.extended && s.sdp == o.sdp && s.byIP == o.byIP && s.unfold == o.unfold &&
		s.foldHops == o.foldHops && s.ascii == o.ascii && maps.Equal(s.aliases, o.aliases)
}

// want is the picture that the settings ask for. Its aliases are the settings' own map.
func (v *View) want() spec {
	s := v.host.Settings()
	return spec{
		extended: v.extended, sdp: s.SDP, byIP: s.ByIP, unfold: s.Unfold, foldHops: s.FoldHops, ascii: s.ASCII,
		aliases: s.Aliases,
	}
}

// textFunc is term.Data's.
type textFunc func(call *correlate.Call, message int) []byte

// job is the work of making a picture. It holds copies, so it may run on any goroutine.
type job struct {
	board board
	data  term.Data
	nums  []uint32
	spec  spec
	old   []correlate.Call // what an evicted call is shown with
}

func (v *View) job() *job {
	j := &job{board: v.board, data: v.data, nums: v.nums, spec: v.want()}
	j.spec.aliases = maps.Clone(j.spec.aliases)
	if v.pic != nil {
		j.old = v.pic.calls
	}
	return j
}

// small reports whether the calls are so few that they are laid out at once.
func (v *View) small() bool {
	if len(v.nums) > summariesAt {
		return false
	}
	n := uint32(0)
	for _, s := range v.board.Summaries(v.nums, nil) {
		n += s.Messages
	}
	return n <= syncMessages
}

// ensure begins a new picture when the present one is not what the settings or the calls say.
func (v *View) ensure() {
	if v.load.busy() {
		return
	}
	if v.pic != nil && !v.dirty {
		if w := v.want(); v.pic.spec.same(&w) {
			return
		}
	}
	v.dirty = false
	j := v.job()
	if v.pic != nil && len(v.pic.lad.Rows) <= syncMessages && v.pic.messages <= syncMessages && !v.extended {
		v.install(j.run(context.Background()))
		return
	}
	v.background(&v.load, func(ctx context.Context) func() {
		p := j.run(ctx)
		return func() { v.install(p) }
	})
}

// task is work on another goroutine, one at a time. Host.Go forgets work when the view that was on top is closed: that
// may be another one than this, and the task is then to be done again.
type task struct {
	running bool
	lost    *atomic.Bool
}

// busy reports whether the work is still under way.
func (t *task) busy() bool {
	if t.running && t.lost.Load() {
		t.running = false
	}
	return t.running
}

// background does a task's work.
func (v *View) background(t *task, work func(ctx context.Context) func()) {
	lost := &atomic.Bool{}
	t.running, t.lost = true, lost
	v.host.Go(func(ctx context.Context) func() {
		stop := context.AfterFunc(ctx, func() { lost.Store(true) })
		done := work(ctx)
		return func() {
			stop()
			if t.lost != lost || !t.busy() {
				return // begun anew meanwhile
			}
			t.running = false
			done()
		}
	})
}

// poll marks the picture as old when one of its calls changed.
func (v *View) poll() {
	if v.pic == nil || v.load.busy() || v.dirty {
		return
	}
	nums := v.pictured()
	if len(nums) < len(v.nums) {
		nums = v.nums // some were not there yet
	}
	var buf []correlate.Summary
	for part := range slices.Chunk(nums, summariesAt) {
		buf = v.board.Summaries(part, buf[:0])
		if v.dirty = slices.ContainsFunc(buf, v.pic.outdated); v.dirty {
			return
		}
	}
	const chunks = 4 // a busy board is caught up with in the next ticks
	for range chunks {
		if !v.pic.spec.extended {
			return
		}
		buf, v.since = v.board.Changes(max(v.since, v.pic.since), buf[:0])
		v.dirty = v.dirty || slices.ContainsFunc(buf, func(s correlate.Summary) bool {
			return v.pic.groups[s.Group] && v.pic.outdated(s)
		})
		if len(buf) == 0 {
			return
		}
	}
}

// outdated reports whether a call has changed since it was copied.
func (p *picture) outdated(s correlate.Summary) bool { return p.revs[s.Num] != s.Rev }

// run reads the calls and lays them out.
func (j *job) run(ctx context.Context) *picture {
	p := &picture{spec: j.spec, revs: map[uint32]uint64{}}
	nums := j.nums
	if j.spec.extended {
		nums = j.joined(p)
	}
	old := make(map[uint32]*correlate.Call, len(j.old))
	for i := range j.old {
		old[j.old[i].Num] = &j.old[i]
	}
	for _, num := range nums {
		c, ok := j.board.Call(num)
		if !ok {
			p.gone++
			o := old[num]
			if o == nil {
				continue
			}
			c = *o // what was copied stays
		}
		p.revs[num] = c.Rev
		if room := maxMessages - p.messages; len(c.Messages) > room {
			c.Messages, p.cut = c.Messages[:room], true
		}
		p.messages += len(c.Messages)
		p.calls = append(p.calls, c)
	}
	read := func(call, msg int) []byte {
		if ctx.Err() != nil {
			return nil // nobody waits for it any more
		}
		return j.data.Text(&p.calls[call], msg)
	}
	for num := range p.revs {
		p.beside += lanePackets(&j.data, num)
	}
	totals := j.board.Totals()
	p.lad = ladder.Build(p.calls, read, ladder.Options{
		ByIP: j.spec.byIP, Unfold: j.spec.unfold, FoldHops: j.spec.foldHops, SDP: j.spec.sdp, Aliases: j.spec.aliases,
		Source: j.data.Source, Of: int(min(totals.Calls, math.MaxInt32)), Streams: j.streams(),
		Lanes: j.data.Lanes, Findings: j.data.Findings,
	})
	p.prepare()
	return p
}

// joined gives the calls asked for and those of their groups, in order of number. It notes the groups and the revision
// that the board had before.
func (j *job) joined(p *picture) []uint32 {
	groups := map[uint32]bool{}
	for part := range slices.Chunk(j.nums, summariesAt) {
		for _, s := range j.board.Summaries(part, nil) {
			groups[s.Num] = true // a group has the lowest number of its calls
			groups[s.Group] = s.Group != 0
			p.since = max(p.since, s.Rev)
		}
	}
	p.groups = groups
	nums := slices.Clone(j.nums)
	if len(groups) > 0 {
		for s := range j.board.Calls() {
			if len(nums) < maxCalls && groups[s.Group] {
				nums = append(nums, s.Num)
			}
		}
	}
	for i := range j.old { // of a group that the board has forgotten
		if groups[j.old[i].Group] {
			nums = append(nums, j.old[i].Num)
		}
	}
	slices.Sort(nums)
	nums = slices.Compact(nums)
	return nums[:min(len(nums), maxCalls)]
}

// picture is a ladder with what drawing and moving need of it. It does not change any more.
type picture struct {
	spec     spec
	calls    []correlate.Call
	revs     map[uint32]uint64
	gone     int             // calls that the board no longer keeps
	messages int             // of all calls
	groups   map[uint32]bool // with extended
	since    uint64          // with extended: the revision of the board
	cut      bool            // there are more messages than a ladder may have

	lad    ladder.Ladder
	labelW []uint16       // by row: cells of the label, with the count of retransmissions
	sdpW   []uint16       // by row: cells of the SDP summary
	wide   int            // cells of the widest label with SDP of an arrow between two columns
	delta  int            // cells of the widest time since the row before
	callW  int            // cells of the widest number of a call, with its #
	next   []int32        // by row: the next one of its transaction, -1 for none
	prev   []int32        // by row: the one before
	rowOf  [][]int32      // by call and message, -1 for none
	txn0   []int          // by call: the number of its first transaction among all
	dlg0   []int          // by call: of its first dialog
	beside uint64         // packets of media that are not RTP
	media  bool           // there are rows of kinds beyond those of the signalling
	byNum  map[uint32]int // calls
}

// txnKey is a transaction of one of the calls.
type txnKey struct{ call, txn int }

// prepare measures the rows and links them.
func (p *picture) prepare() {
	rows := p.lad.Rows
	p.labelW, p.sdpW = make([]uint16, len(rows)), make([]uint16, len(rows))
	p.next, p.prev = make([]int32, len(rows)), make([]int32, len(rows))
	p.delta = len("12:00:01.000")
	p.linkCalls()
	last := map[txnKey]int32{}
	for i := range rows {
		r := &rows[i]
		p.labelW[i], p.sdpW[i] = p.width(p.label(r)), p.width(r.SDP)
		p.delta = max(p.delta, len(signed(r.SincePrev)))
		p.media = p.media || r.Kind.OfMedia()
		p.prev[i], p.next[i] = -1, -1
		if r.Kind != ladder.Arrow {
			continue
		}
		p.link(i, r, last)
		if r.From != r.To {
			p.wide = max(p.wide, p.fullW(i))
		}
	}
	p.linkRepeats()
}

func (p *picture) linkCalls() {
	p.byNum = make(map[uint32]int, len(p.calls))
	p.rowOf = make([][]int32, len(p.calls))
	txns, dialogs := 0, 0
	for ci := range p.calls {
		c := &p.calls[ci]
		p.byNum[c.Num] = ci
		p.callW = max(p.callW, 1+len(strconv.FormatUint(uint64(c.Num), 10)))
		p.rowOf[ci] = slices.Repeat([]int32{-1}, len(c.Messages))
		p.txn0, p.dlg0 = append(p.txn0, txns), append(p.dlg0, dialogs)
		txns += len(c.Transactions)
		dialogs += len(c.Dialogs)
	}
}

// link joins a row with those of its transaction and with its messages.
func (p *picture) link(i int, r *ladder.Row, last map[txnKey]int32) {
	at := int32(i) //nolint:gosec // rows are bounded by maxMessages
	for _, m := range r.Messages {
		if m >= 0 && m < len(p.rowOf[r.Call]) && p.rowOf[r.Call][m] < 0 {
			p.rowOf[r.Call][m] = at
		}
	}
	if r.Txn < 0 {
		return
	}
	key := txnKey{call: r.Call, txn: r.Txn}
	if before, ok := last[key]; ok {
		p.prev[i], p.next[before] = before, at
	}
	last[key] = at
}

// linkRepeats gives retransmissions that their row has no place for the row of their original.
func (p *picture) linkRepeats() {
	for ci := range p.calls {
		for mi := range p.calls[ci].Messages {
			rep := p.calls[ci].Messages[mi].Repeats
			if p.rowOf[ci][mi] < 0 && rep >= 0 && rep < len(p.rowOf[ci]) {
				p.rowOf[ci][mi] = p.rowOf[ci][rep]
			}
		}
	}
}

// width measures a text of the wire as the canvas will draw it.
func (p *picture) width(s string) uint16 {
	if s == "" {
		return 0
	}
	if p.spec.ascii {
		s = text.CleanASCII(s)
	} else {
		s = text.Clean(s)
	}
	return uint16(min(text.Width(s), math.MaxUint16)) //nolint:gosec // bounded
}

// fullW is the cells of a row's label with its SDP summary.
func (p *picture) fullW(i int) int {
	w := int(p.labelW[i])
	if p.sdpW[i] > 0 {
		w += 1 + int(p.sdpW[i])
	}
	return w
}

// transportBefore is the transport of the arrow before row i, "" when none is near.
func (p *picture) transportBefore(i int) string {
	const far = 64
	for k := i - 1; k >= 0 && k > i-far; k-- {
		if p.lad.Rows[k].Transport != "" {
			return p.lad.Rows[k].Transport
		}
	}
	return ""
}
