package pair

import (
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/render/ladder"
)

// Sides of what Hops makes.
const (
	HopIn  = "received"
	HopOut = "sent on"
)

// Hops makes a Result of what the elements of one call did with its messages, so that it is drawn like any other: a row
// is a message as an element received it, and as it sent it on. WaitB is how long that took. Strict rules count what is
// tolerated, too.
func Hops(call correlate.Call, texts func(message int) []byte, hops []diff.Hop, rules diff.Rules) *diff.Result {
	side := func(name string) diff.Flow {
		return diff.Flow{Name: name, Calls: []correlate.Call{call}, Text: func(_, message int) []byte { return texts(message) }}
	}
	r := &diff.Result{A: side(HopIn), B: side(HopOut), Rules: rules, First: -1, Headline: "same"}
	l := ladder.Build(r.A.Calls, ladder.TextFunc(r.A.Text), ladder.Options{})
	at := map[frame.Endpoint]int{}
	for i := range l.Columns {
		c := &l.Columns[i]
		r.Who = append(r.Who, diff.Participant{Name: c.Name(), A: c.Endpoints, B: c.Endpoints})
		for _, e := range c.Endpoints {
			at[e] = i
		}
	}
	for i := range hops {
		h := &hops[i]
		if h.In < 0 || h.In >= len(call.Messages) || h.Out < 0 || h.Out >= len(call.Messages) {
			continue
		}
		r.Rows = append(r.Rows, hopRow(&call, h, at))
	}
	judge(r)
	return r
}

func hopRow(call *correlate.Call, h *diff.Hop, at map[frame.Endpoint]int) diff.Row {
	in, out := &call.Messages[h.In], &call.Messages[h.Out]
	row := diff.Row{
		A: diff.Ref{Message: h.In}, B: diff.Ref{Message: h.Out}, From: placeOf(at, in.Src), To: placeOf(at, in.Dst),
		TimeA: in.Time - call.First, TimeB: out.Time - call.First, WaitA: -1, WaitB: h.Latency,
		Differences: slices.Clone(h.Differences),
	}
	for i := range row.Differences {
		switch row.Differences[i].Verdict {
		case diff.Same, diff.Expected:
		case diff.Tolerated:
			if row.Verdict == diff.Same {
				row.Verdict = diff.Tolerated
			}
		default:
			row.Verdict = diff.Differs
		}
	}
	return row
}

func placeOf(at map[frame.Endpoint]int, e frame.Endpoint) int {
	if i, ok := at[e]; ok {
		return i
	}
	return -1
}

// judge draws the conclusion of rows: verdict, counts, headline.
func judge(r *diff.Result) {
	for i := range r.Rows {
		switch r.Rows[i].Verdict {
		case diff.Same, diff.Expected:
			r.Counts.Same++
		case diff.Tolerated:
			r.Counts.Tolerated++
		default:
			r.Counts.Differs++
		}
		if r.First < 0 && r.Diverges(i) {
			r.First = i
		}
	}
	switch {
	case r.First >= 0:
		r.Verdict, r.Headline = diff.Differs, hopLine(r, r.First)
	case r.Counts.Tolerated > 0:
		r.Verdict, r.Headline = diff.Tolerated, "every element did only what every proxy does"
	case len(r.Rows) == 0:
		r.Headline = "no message was passed on: the call has one hop, or each hop a Call-ID of its own"
	}
}

// hopLine says what an element did: "proxy A: INVITE: Record-Route is added; X-Foo is added".
func hopLine(r *diff.Result, i int) string {
	row := &r.Rows[i]
	s := ""
	if row.To >= 0 {
		s = r.Who[row.To].Name + ": "
	}
	m := &r.A.Calls[0].Messages[row.A.Message]
	s += (&event{message: m}).name() + ": "
	var told []string
	for j := range row.Differences {
		if d := &row.Differences[j]; d.Verdict != diff.Tolerated || len(told) == 0 {
			told = append(told, d.Text)
		}
	}
	const enough = 4
	if n := len(told); n > enough {
		told = append(told[:enough], "...")
	}
	return s + strings.Join(told, "; ")
}
