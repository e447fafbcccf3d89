package ladder

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/correlate/media/judge"
	"sipscope/decode/frame"
)

// StreamsFunc gives the RTP streams of the call with a number, in order of their numbers. nil for none.
type StreamsFunc func(num uint32) []media.Stream

// FindingsFunc gives what media and signalling of the call with a number do not agree on. nil for nothing.
type FindingsFunc func(num uint32) []judge.Finding

// Bounds on what the media of a call make of a ladder.
const (
	maxStreams = 1024 // streams of a call that are looked at
	maxSpans   = 12   // media rows of a call; the streams of the others are counted in a note
	maxSeries  = 32   // rows of keys of a call
	maxFound   = 16   // findings of a call that are no streams'
	maxAbout   = 4    // findings in the margin of a stream
	maxKeys    = 32   // keys named in a row
)

// seriesGap ends a series of keys, in nanoseconds: who dials pauses for less.
const seriesGap = int64(4 * time.Second)

// flow is a stream with the columns that it joins, -1 for none.
type flow struct {
	s        *media.Stream
	from, to int
	back     *flow // its way back; nil for none
	used     bool  // it is the way back of another one
}

// addMedia puts the rows of the calls' streams among the others, by time.
func (b *builder) addMedia() {
	b.out.Streams, b.out.Findings = make([][]media.Stream, len(b.calls)), make([][]judge.Finding, len(b.calls))
	var rows []Row
	for ci := range b.calls {
		var own []Row
		if b.opts.Streams != nil {
			all := b.opts.Streams(b.calls[ci].Num)
			b.out.Streams[ci] = all
			own = b.mediaRows(ci, all[:min(len(all), maxStreams)], len(all))
		}
		if b.opts.Findings != nil {
			b.out.Findings[ci] = b.opts.Findings(b.calls[ci].Num)
			own = addFindings(ci, own, b.out.Findings[ci])
		}
		if b.opts.Lanes != nil {
			own = append(own, b.besideRows(ci)...)
		}
		rows = append(rows, own...)
	}
	if len(rows) > 0 {
		b.out.Rows = mergeRows(b.out.Rows, rows)
	}
}

// mediaRows makes the rows of a call's streams: one for both directions of a medium, and those of the keys.
func (b *builder) mediaRows(ci int, all []media.Stream, total int) []Row {
	flows := b.flows(ci, all)
	pair(flows)
	var rows, keys []Row
	left := total - len(all)
	for i := range flows {
		f := &flows[i]
		switch {
		case f.used:
		case len(rows) >= maxSpans:
			left++
			if f.back != nil {
				left++
			}
		default:
			rows = append(rows, span(ci, f, opposed(flows, f)))
		}
		if len(keys) < maxSeries {
			keys = append(keys, keyRows(ci, f)...)
		}
	}
	if left > 0 {
		last := rows[len(rows)-1].Time
		rows = append(rows, Row{
			Kind: Note, Call: ci, Time: last, From: -1, To: -1, Label: "and " + strconv.Itoa(left) + " streams more",
			Txn: -1, Dialog: -1, Count: 1, Hops: 1,
		})
	}
	return append(rows, keys[:min(len(keys), maxSeries)]...)
}

// addFindings puts findings into the margins of their streams, and gives the others rows of their own.
func addFindings(ci int, rows []Row, all []judge.Finding) []Row {
	of := map[uint32]int{}
	for i := range rows {
		for _, num := range rows[i].Streams {
			if rows[i].Kind == Media {
				of[num] = i
			}
		}
	}
	said, about := 0, map[int]int{}
	for i := range all {
		f := &all[i]
		if at, ok := of[f.Stream]; ok && f.Stream != 0 {
			if about[at]++; about[at] <= maxAbout {
				rows[at].Notes = append([]string{clip(f.Text)}, rows[at].Notes...)
			}
			continue
		}
		if said++; said > maxFound {
			continue
		}
		r := Row{
			Kind: Note, Call: ci, Time: f.Time, From: -1, To: -1, Label: clip(f.Text), Txn: -1, Dialog: -1, Count: 1, Hops: 1,
		}
		if len(f.Frames) > 0 {
			r.Frame = f.Frames[0]
		}
		rows = append(rows, r)
	}
	return rows
}

// mergeRows puts more among rows, whose times ascend, behind those that are not later. Notes of more stay behind their
// rows.
func mergeRows(rows, more []Row) []Row {
	slices.SortStableFunc(more, func(x, y Row) int { return cmp.Compare(x.Time, y.Time) })
	out := make([]Row, 0, len(rows)+len(more))
	at := 0
	for _, m := range more {
		for at < len(rows) && (rows[at].Time <= m.Time) {
			out = append(out, rows[at])
			at++
		}
		out = append(out, m)
	}
	return append(out, rows[at:]...)
}

// flows finds the columns of streams: the participant that has the address of the stream's end, else the one whose
// session description named it. So the media of a server behind a participant stand in that one's lane.
func (b *builder) flows(ci int, all []media.Stream) []flow {
	places := mediaPlaces{b: b, call: &b.calls[ci], named: map[frame.Endpoint]int{}}
	for i := range all {
		places.name(&all[i])
	}
	flows := make([]flow, len(all))
	for i := range all {
		f := &flows[i]
		f.s = &all[i]
		f.to = places.end(all[i].Dst)
		f.from = places.end(all[i].Src)
		if f.from < 0 || f.from == f.to {
			f.from = places.peer(&all[i])
		}
		if f.from < 0 || f.to < 0 || f.from == f.to {
			f.from, f.to = -1, -1
		}
	}
	return flows
}

// mediaPlaces says which column an end of media belongs to.
type mediaPlaces struct {
	b     *builder
	call  *correlate.Call
	named map[frame.Endpoint]int // by address, with the port and without: who named it
}

// message is the one whose session description named a stream, nil for none.
func (p *mediaPlaces) message(s *media.Stream) *correlate.Message {
	if s.Message < 0 || s.Message >= len(p.call.Messages) || s.Call != p.call.Num {
		return nil
	}
	return &p.call.Messages[s.Message]
}

// name notes that the sender of a session description has the address that it names.
func (p *mediaPlaces) name(s *media.Stream) {
	m := p.message(s)
	if m == nil {
		return
	}
	col, ok := p.b.cols[m.Src]
	if !ok {
		return
	}
	p.named[s.Dst] = col
	if _, ok = p.named[host(s.Dst)]; !ok {
		p.named[host(s.Dst)] = col
	}
}

// end is the column of an address: the only one of its host, else who named it.
func (p *mediaPlaces) end(e frame.Endpoint) int {
	only, several := -1, false
	for i := range p.b.out.Columns {
		if slices.ContainsFunc(p.b.out.Columns[i].Endpoints, func(o frame.Endpoint) bool { return o.SameHost(e) }) {
			several = only >= 0
			if only = i; several {
				break
			}
		}
	}
	if only >= 0 && !several {
		return only
	}
	for _, key := range [...]frame.Endpoint{e, host(e)} {
		if col, ok := p.named[key]; ok {
			return col
		}
	}
	return -1
}

// peer is the column of whoever sends to an address that a session description named: where that description arrived,
// over all its copies.
func (p *mediaPlaces) peer(s *media.Stream) int {
	m := p.message(s)
	if m == nil {
		return -1
	}
	at := p.b.col(m.Dst)
	for i := s.Message + 1; i < len(p.call.Messages); i++ {
		o := &p.call.Messages[i]
		if o.Status == m.Status && o.CSeq == m.CSeq && o.Method == m.Method && o.Repeats < 0 && p.b.col(o.Src) == at {
			at = p.b.col(o.Dst)
		}
	}
	return at
}

// opposes reports whether o goes the other way of f, between the same columns, for the same medium and at the same time.
func (f *flow) opposes(o *flow) bool {
	if f.from != o.to || f.to != o.from || f.s.Medium != o.s.Medium && f.s.Medium >= 0 && o.s.Medium >= 0 {
		return false
	}
	if f.from < 0 && !f.mirrors(o) {
		return false
	}
	slack := int64(0)
	if f.mirrors(o) {
		slack = int64(2 * time.Second)
	}
	return o.s.First <= f.s.Last+slack && f.s.First <= o.s.Last+slack
}

// mirrors reports whether the ends are the same.
func (f *flow) mirrors(o *flow) bool { return f.s.Src == o.s.Dst && f.s.Dst == o.s.Src }

// pair joins each stream with one that goes the other way: of the same ends where there is one.
func pair(all []flow) {
	for _, mirrored := range [...]bool{true, false} {
		for i := range all {
			f := &all[i]
			for k := i + 1; k < len(all) && f.back == nil && !f.used; k++ {
				o := &all[k]
				if !o.used && o.back == nil && f.mirrors(o) == mirrored && f.opposes(o) {
					f.back, o.used = o, true
				}
			}
		}
	}
}

// opposed reports whether any stream goes the other way.
func opposed(all []flow, f *flow) bool {
	return f.back != nil || slices.ContainsFunc(all, func(o flow) bool { return f.opposes(&o) })
}

// span makes the row of a stream and of its way back.
func span(ci int, f *flow, opposed bool) Row {
	back := f.back
	r := Row{
		Kind: Media, Call: ci, Time: f.s.First, Until: f.s.Last, From: f.from, To: f.to, Count: 1, Hops: 1, Txn: -1, Dialog: -1,
		Frame: f.s.FirstFrame, Streams: []uint32{f.s.Num}, OneWay: back == nil,
	}
	pair := []*media.Stream{f.s}
	if back != nil {
		pair = append(pair, back.s)
		r.Streams = append(r.Streams, back.s.Num)
		r.Until = max(r.Until, back.s.Last)
	}
	r.Label = mediaLabel(pair)
	r.Figures = figures(pair)
	if back == nil && !opposed {
		arrow := " →"
		if f.from > f.to {
			arrow = " ←"
		}
		r.Figures[0] += arrow + " only"
	}
	for i, s := range pair {
		r.Notes = append(r.Notes, streamNotes(s, len(pair) > 1 && i == 1)...)
	}
	return r
}

// mediaLabel names what flows: "RTP PCMU 20 ms", "SRTP video H264", "RTP PCMU ↔ PCMA 20 ms".
func mediaLabel(pair []*media.Stream) string {
	s := pair[0]
	label := "RTP "
	if s.Secure {
		label = "SRTP "
	}
	if s.Type != "" && s.Type != "audio" {
		label += clip(s.Type) + " "
	}
	label += codec(s)
	if len(pair) > 1 && !strings.EqualFold(codec(s), codec(pair[1])) {
		label += " ↔ " + codec(pair[1])
	}
	if s.PTime > 0 && s.Type != "video" {
		label += " " + Duration(s.PTime)
	}
	return label
}

// codec names what a stream carries; "?" when nothing does.
func codec(s *media.Stream) string {
	if name := s.Codec(); name != "" {
		return clip(name)
	}
	return "?"
}

// figures says how the medium did: packets, loss, jitter, MOS. Where the directions differ, both are said.
func figures(pair []*media.Stream) []string {
	both := func(of func(s *media.Stream) string) string {
		x := of(pair[0])
		if len(pair) < 2 {
			return x
		}
		y := of(pair[1])
		switch {
		case x == y:
			return x
		case x == "":
			x = "?"
		case y == "":
			y = "?"
		}
		return x + " ↔ " + y
	}
	packets := strconv.FormatUint(pair[0].Packets, 10)
	if len(pair) > 1 {
		packets += " ↔ " + strconv.FormatUint(pair[1].Packets, 10)
	}
	out := []string{packets + " packets"}
	add := func(before, value, after string) {
		if value != "" {
			out = append(out, before+value+after)
		}
	}
	add("loss ", both(func(s *media.Stream) string { return strconv.FormatFloat(100*s.LossShare(), 'f', 1, 64) }), " %")
	add("jitter ", both(func(s *media.Stream) string { return Millis(s.MeanJitter) }), " ms")
	add("MOS ", both(MOS), " (est.)")
	return out
}

// Millis writes nanoseconds as milliseconds with one decimal; "" for those that are not known.
func Millis(ns int64) string {
	if ns < 0 {
		return ""
	}
	return strconv.FormatFloat(float64(ns)/1e6, 'f', 1, 64)
}

// MOS writes the estimated MOS of a stream; "" when there is none.
func MOS(s *media.Stream) string {
	if s.MOS <= 0 || math.IsNaN(s.MOS) {
		return ""
	}
	return strconv.FormatFloat(s.MOS, 'f', 1, 64)
}

// streamNotes says what is unusual about a stream, in the margin.
func streamNotes(s *media.Stream, back bool) []string {
	var notes []string
	add := func(text string) {
		if back {
			text += " (back)"
		}
		notes = append(notes, text)
	}
	count := func(n uint64, what string) {
		if n > 0 {
			add(strconv.FormatUint(n, 10) + " " + what)
		}
	}
	if s.Found == media.BySymmetry {
		add("from " + s.Src.String() + ", which no SDP names")
	}
	count(s.Duplicates, "duplicated")
	count(s.Reordered, "out of order")
	if s.Jumps == 1 {
		add("a jump of the sequence")
	} else {
		count(s.Jumps, "jumps of the sequence")
	}
	if s.MaxGap > int64(time.Second) {
		add("silent for " + Duration(s.MaxGap))
	}
	return notes
}

// keyRows makes a row of each series of keys pressed in a stream.
func keyRows(ci int, f *flow) []Row {
	presses := f.s.Presses
	var rows []Row
	for at := 0; at < len(presses) && len(rows) < maxSeries; {
		n := 1
		for at+n < len(presses) && presses[at+n].Start-presses[at+n-1].Start <= seriesGap {
			n++
		}
		series := presses[at : at+n]
		at += n
		last := &series[n-1]
		r := Row{
			Kind: DTMF, Call: ci, Time: series[0].Start, Until: last.Start + max(last.Duration, 0), From: f.from, To: f.to,
			Label: "DTMF " + keys(series), Streams: []uint32{f.s.Num}, OneWay: true, Frame: series[0].First,
			Count: 1, Hops: 1, Txn: -1, Dialog: -1,
		}
		r.Notes = keyNotes(series)
		rows = append(rows, r)
	}
	return rows
}

// keys names the keys of a series: "1 2 #".
func keys(series []dtmf.Press) string {
	words := make([]string, 0, maxKeys+1)
	for i := range series[:min(len(series), maxKeys)] {
		words = append(words, series[i].Name())
	}
	if more := len(series) - maxKeys; more > 0 {
		words = append(words, "... "+strconv.Itoa(more)+" more")
	}
	return strings.Join(words, " ")
}

// keyNotes says how long keys were held and how far they are apart.
func keyNotes(series []dtmf.Press) []string {
	const some = 8
	held := make([]string, 0, some+1)
	for i := range series[:min(len(series), some)] {
		text := "?"
		if d := series[i].Duration; d >= 0 {
			text = Duration(d)
		}
		held = append(held, text)
	}
	if len(series) > some {
		held = append(held, "...")
	}
	notes := []string{"held " + strings.Join(held, ", ")}
	if n := len(series); n > 1 {
		notes = append(notes, strconv.Itoa(n)+" keys within "+Duration(series[n-1].Start-series[0].Start+max(series[n-1].Duration, 0)))
	}
	lost := 0
	for i := range series {
		if !series[i].Ended || series[i].LostStart {
			lost++
		}
	}
	if lost > 0 {
		notes = append(notes, "packets of "+strconv.Itoa(lost)+" lost")
	}
	return notes
}
