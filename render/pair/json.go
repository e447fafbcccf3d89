package pair

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/compare"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/render/export"
)

// The JSON of a report: docs/diff.md is its contract, and a test holds both together. Fields are added, never renamed.
type (
	jsonPair struct {
		A            *jsonCall   `json:"a"`
		B            *jsonCall   `json:"b"`
		Verdict      string      `json:"verdict"`
		Headline     string      `json:"headline"`
		First        *int        `json:"first"` // 1-based row where the flows part
		Counts       *jsonCounts `json:"counts"`
		Participants []jsonWho   `json:"participants"`
		Rows         []jsonRow   `json:"rows"`
		Notes        []jsonNote  `json:"notes"`
	}
	jsonNote struct {
		Side string   `json:"side"` // "a" or "b"
		Time *float64 `json:"time_ms"`
		Text string   `json:"text"`
	}
	jsonCall struct {
		Num    uint32 `json:"num"`
		CallID string `json:"call_id"`
		Method string `json:"method"`
		From   string `json:"from"`
		To     string `json:"to"`
		State  string `json:"state"`
		Code   uint16 `json:"code"`
		Reason string `json:"reason"`
		Start  string `json:"start"`
	}
	jsonCounts struct {
		Same       int `json:"same"`
		Expected   int `json:"expected"`
		Tolerated  int `json:"tolerated"`
		Late       int `json:"late"`
		Differs    int `json:"differs"`
		Missing    int `json:"missing"`
		Extra      int `json:"extra"`
		NotReached int `json:"not_reached"`
	}
	jsonWho struct {
		Name  string   `json:"name"`  // what people call it
		Known string   `json:"known"` // what texts of differences call it
		A     []string `json:"a"`
		B     []string `json:"b"`
	}
	jsonRow struct {
		Row         int              `json:"row"` // 1-based
		Verdict     string           `json:"verdict"`
		A           *jsonMessage     `json:"a"`
		B           *jsonMessage     `json:"b"`
		Differences []jsonDifference `json:"differences"`
		Lines       []jsonLine       `json:"lines"`
	}
	jsonMessage struct {
		Call    uint32   `json:"call"`    // its number
		Message int      `json:"message"` // 1-based in its call
		Frame   uint64   `json:"frame"`
		Label   string   `json:"label"`
		SDP     string   `json:"sdp"`
		Method  string   `json:"method"`
		Status  uint16   `json:"status"` // 0 for a request
		From    *int     `json:"from"`   // indices of participants
		To      *int     `json:"to"`
		Source  string   `json:"source"`
		Dest    string   `json:"destination"`
		Time    *float64 `json:"time_ms"`
		Wait    *float64 `json:"wait_ms"`
	}
	jsonDifference struct {
		Verdict string `json:"verdict"`
		Where   string `json:"where"`
		A       string `json:"a"`
		B       string `json:"b"`
		Text    string `json:"text"`
	}
	jsonLine struct {
		Change  string     `json:"change"`
		Section string     `json:"section"`
		Name    string     `json:"name"`
		NoA     int        `json:"line_a"` // 1-based, 0 where that side has none
		NoB     int        `json:"line_b"`
		Meaning bool       `json:"meaning"`
		Why     string     `json:"why"`
		A       []jsonSpan `json:"a"`
		B       []jsonSpan `json:"b"`
	}
	jsonSpan struct {
		Text    string `json:"text"`
		Differs bool   `json:"differs"`
	}
)

// jsonTime is RFC 3339 with nanoseconds, as in all JSON of the program.
const jsonTime = "2006-01-02T15:04:05.000000000Z07:00"

// encoder makes documents. A page wants clean texts and all lines, a program the texts as they are and what differs.
type encoder struct {
	clean func(string) string
	all   bool // lines that are the same, too
	limit int  // lines of a pair of messages; 0 for no bound
	left  int  // lines of the pair of flows that are still to come, with limit
	cut   bool // some did not
}

// fullRows is up to how many rows a page has the lines of messages that do not differ.
const fullRows = 1000

func asIs(s string) string { return s }

// WriteJSON writes the report as one JSON document; docs/diff.md describes it.
func (r *Report) WriteJSON(to io.Writer) error {
	w := bufio.NewWriterSize(to, flushSize)
	notes := r.Notes
	if notes == nil {
		notes = []string{}
	}
	head, err := json.Marshal(struct {
		A       string   `json:"a"`
		B       string   `json:"b"`
		Verdict string   `json:"verdict"`
		Notes   []string `json:"notes"`
	}{r.A, r.B, r.Verdict().String(), notes})
	if err != nil {
		return err
	}
	_, _ = w.Write(export.Shown(head[:len(head)-1])) // the writer keeps its error
	_, _ = w.WriteString(`,"pairs":[`)
	e := encoder{clean: asIs}
	for i := range r.Pairs {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_ = w.WriteByte('\n')
		if err := e.write(w, &r.Pairs[i]); err != nil {
			return err
		}
	}
	_, _ = w.WriteString("]}\n")
	return w.Flush()
}

// write writes a pair, row by row: a call may have any number of messages.
func (e *encoder) write(w io.Writer, p *Pair) error {
	doc, s := e.pair(p)
	head, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	show := export.Shown
	if e.all {
		show = func(b []byte) []byte { return b } // a page has the texts clean
	}
	rows := bytes.LastIndex(head, []byte(`"rows":[],"notes":[`)) + len(`"rows":[`) // a text has no quotes without a backslash
	if _, err = w.Write(show(head[:rows])); err != nil {
		return err
	}
	e.left = pageAll
	for i := 0; s != nil && i < len(s.rows); i++ {
		var b []byte
		if b, err = json.Marshal(e.row(s, i)); err != nil {
			return err
		}
		if i > 0 {
			b = append([]byte{','}, b...)
		}
		if _, err = w.Write(show(b)); err != nil {
			return err
		}
	}
	_, err = w.Write(show(head[rows:]))
	return err
}

// pair makes the document of a pair without its rows, which the scene has; nil when there is none.
func (e *encoder) pair(p *Pair) (*jsonPair, *scene) {
	out := &jsonPair{
		A: e.call(p.A), B: e.call(p.B), Verdict: p.Verdict.String(), Headline: e.clean(p.Headline),
		Participants: []jsonWho{}, Rows: []jsonRow{}, Notes: []jsonNote{},
	}
	if p.Open == nil {
		return out, nil
	}
	r := p.Open()
	if r == nil {
		return out, nil
	}
	s := newScene(r)
	if r.First >= 0 {
		n := r.First + 1
		out.First = &n
	}
	out.Counts = &jsonCounts{
		s.n[diff.Same], s.n[diff.Expected], s.n[diff.Tolerated], s.n[diff.Late], s.n[diff.Differs], s.n[diff.Missing],
		s.n[diff.Extra], s.n[diff.NotReached],
	}
	for i := range r.Who {
		out.Participants = append(out.Participants, jsonWho{e.clean(s.who[i]), e.clean(r.Who[i].Name), endpoints(r.Who[i].A), endpoints(r.Who[i].B)})
	}
	out.Notes = e.notes(e.notes(out.Notes, "a", &r.A), "b", &r.B)
	return out, s
}

func (e *encoder) notes(to []jsonNote, side string, f *diff.Flow) []jsonNote {
	for i := range f.Notes[:min(len(f.Notes), maxNotes)] {
		n := &f.Notes[i]
		to = append(to, jsonNote{side, ms(sinceFirst(f, n.Time)), e.clean(n.Text)})
	}
	return to
}

func endpoints(all []frame.Endpoint) []string {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].String()
	}
	return names
}

func (e *encoder) call(s *correlate.Summary) *jsonCall {
	if s == nil {
		return nil
	}
	return &jsonCall{
		Num: s.Num, CallID: e.clean(s.CallID), Method: e.clean(s.Method), From: e.clean(party(&s.From)), To: e.clean(party(&s.To)),
		State: s.State.String(), Code: s.Code, Reason: e.clean(s.Reason),
		Start: time.Unix(0, s.First).UTC().Format(jsonTime),
	}
}

func (e *encoder) row(s *scene, i int) jsonRow {
	r := &s.rows[i]
	out := jsonRow{
		Row: i + 1, Verdict: r.Verdict.String(),
		A: e.message(&r.a, r.A, r.TimeA, r.WaitA), B: e.message(&r.b, r.B, r.TimeB, r.WaitB),
		Differences: []jsonDifference{}, Lines: []jsonLine{},
	}
	for j := range r.Differences {
		d := &r.Differences[j]
		out.Differences = append(out.Differences, jsonDifference{
			d.Verdict.String(), e.clean(d.Where), e.clean(d.A), e.clean(d.B), e.clean(d.Text),
		})
	}
	all := e.all && len(s.rows) <= fullRows
	switch wanted := all || len(r.Differences) > 0; {
	case wanted && e.limit > 0 && e.left <= 0:
		e.cut = true
	case wanted:
		c := s.compare(i)
		for j := range c.Lines {
			if e.limit > 0 && len(out.Lines) == e.limit {
				break
			}
			if l := &c.Lines[j]; e.all || differing(l) {
				out.Lines = append(out.Lines, e.line(l))
			}
		}
		e.left -= len(out.Lines)
	}
	return out
}

func index(i int) *int {
	if i < 0 {
		return nil
	}
	return &i
}

func ms(ns int64) *float64 {
	if ns < 0 {
		return nil
	}
	f := float64(ns) / 1e6
	return &f
}

func (e *encoder) message(v *event, ref diff.Ref, at, wait int64) *jsonMessage {
	if !v.there() {
		return nil
	}
	m := v.message
	return &jsonMessage{
		Call: v.call.Num, Message: ref.Message + 1, Frame: m.Seq, Label: e.clean(v.label),
		SDP: strings.TrimPrefix(e.clean(v.sdp), "sdp "), Method: e.clean(m.Method), Status: m.Status,
		From: index(v.from), To: index(v.to),
		Source: m.Src.String(), Dest: m.Dst.String(), Time: ms(at), Wait: ms(wait),
	}
}

func (e *encoder) line(l *compare.Line) jsonLine {
	return jsonLine{
		Change: l.Change.String(), Section: l.Section.String(), Name: e.clean(l.Name), NoA: l.NoA, NoB: l.NoB,
		Meaning: l.Meaning, Why: e.clean(l.Why), A: e.spans(l.A), B: e.spans(l.B),
	}
}

// spans is null where that side has no such line.
func (e *encoder) spans(side []compare.Span) []jsonSpan {
	if side == nil {
		return nil
	}
	out := make([]jsonSpan, len(side))
	for i := range side {
		out[i] = jsonSpan{e.clean(side[i].Text), side[i].Differs}
	}
	return out
}
