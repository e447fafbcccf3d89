package export

import (
	"encoding/base64"
	"io"
	"strconv"
	"unicode/utf8"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/decode"
	"sipscope/render/ladder"
)

// WriteFlowJSON writes a ladder and the calls that it shows: participants, rows, and for each call its summary,
// transactions, dialogs, gaps and messages with their texts, which text gives (nil for none). headers names the values
// in Summary.Columns. docs/json.md describes every field.
func WriteFlowJSON(w io.Writer, l *ladder.Ladder, calls []correlate.Call, text ladder.TextFunc, headers []string) error {
	o := output{w: w}
	o.buf = append(o.buf, `{"participants":[`...)
	for i := range l.Columns {
		o.comma(i)
		o.participant(&l.Columns[i])
	}
	o.buf = append(o.buf, `],"rows":[`...)
	for i := range l.Rows {
		o.comma(i)
		o.row(l, &l.Rows[i])
		if !o.flushAt(flushSize) {
			return o.err
		}
	}
	o.buf = append(o.buf, `],"totals":`...)
	o.totals(&l.Totals)
	o.buf = append(o.buf, `,"calls":[`...)
	for i := range calls {
		o.comma(i)
		o.call(i, &calls[i], l, text, headers)
		if o.err != nil {
			return o.err
		}
	}
	o.buf = append(o.buf, "]}\n"...)
	o.flushAt(0)
	return o.err
}

// comma separates the i-th element of an array from the one before and begins a line.
func (o *output) comma(i int) {
	if i > 0 {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(o.buf, '\n')
}

func (o *output) name(s string) { o.buf = appendName(append(o.buf, ','), s) }

func (o *output) text(name, value string) { o.buf = appendText(append(o.buf, ','), name, value) }

func (o *output) number(name string, n int) {
	o.name(name)
	o.buf = strconv.AppendInt(o.buf, int64(n), 10)
}

func (o *output) index(name string, i int) {
	o.name(name)
	o.buf = appendIndex(o.buf, i)
}

func (o *output) bool(name string, v bool) {
	o.name(name)
	o.buf = strconv.AppendBool(o.buf, v)
}

func (o *output) strings(name string, all []string) {
	o.name(name)
	o.buf = append(o.buf, '[')
	for i, s := range all {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendString(o.buf, s)
	}
	o.buf = append(o.buf, ']')
}

func (o *output) participant(c *ladder.Column) {
	o.buf = appendText(append(o.buf, '{'), "label", c.Label)
	o.text("address", c.Address)
	o.name("endpoints")
	o.buf = append(o.buf, '[')
	for i, e := range c.Endpoints {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendEndpoint(o.buf, e)
	}
	o.buf = append(o.buf, ']')
	o.number("others", c.Others)
	o.buf = append(o.buf, '}')
}

func (o *output) row(l *ladder.Ladder, r *ladder.Row) {
	o.buf = append(o.buf, `{"kind":"`...)
	o.buf = append(o.buf, r.Kind.String()...)
	o.buf = append(o.buf, `","call":`...)
	o.buf = strconv.AppendUint(o.buf, uint64(l.Calls[r.Call].Num), 10)
	o.name("time")
	o.buf = appendTime(o.buf, r.Time)
	o.name("since_previous_ms")
	o.buf = appendSignedMs(o.buf, r.SincePrev)
	o.name("since_first_ms")
	o.buf = appendSignedMs(o.buf, r.SinceFirst)
	o.index("from", r.From)
	o.index("to", r.To)
	o.text("label", r.Label)
	o.name("method")
	o.buf = appendWord(o.buf, r.Method)
	o.name("status")
	o.buf = appendPositive(o.buf, uint64(r.Status))
	o.name("sdp")
	o.buf = appendWord(o.buf, r.SDP)
	o.strings("media", r.Media)
	notes := r.Notes
	if n := r.RepeatNote(); n != "" {
		notes = append([]string{n}, notes...)
	}
	o.strings("notes", notes)
	o.number("count", r.Count)
	o.name("intervals_ms")
	o.buf = append(o.buf, '[')
	for i, ns := range r.Intervals {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendSignedMs(o.buf, ns)
	}
	o.buf = append(o.buf, ']')
	o.bool("retransmission", r.Retransmission)
	o.number("hops", r.Hops)
	o.name("transport")
	o.buf = appendWord(o.buf, r.Transport)
	o.name("frame")
	o.buf = appendPositive(o.buf, r.Frame)
	o.ints("messages", r.Messages)
	o.index("transaction", r.Txn)
	o.index("dialog", r.Dialog)
	o.name("leg")
	o.buf = appendPositive(o.buf, uint64(max(r.Leg, 0)))
	o.mediaRow(r)
	o.buf = append(o.buf, '}')
}

// mediaRow writes what only rows of media have.
func (o *output) mediaRow(r *ladder.Row) {
	if !r.Kind.OfMedia() {
		return
	}
	o.name("until")
	o.buf = appendTime(o.buf, r.Until)
	o.strings("figures", r.Figures)
	o.name("streams")
	o.buf = append(o.buf, '[')
	for i, n := range r.Streams {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendUint(o.buf, uint64(n))
	}
	o.buf = append(o.buf, ']')
	o.bool("one_way", r.OneWay)
	if r.Beside == nil {
		return
	}
	o.name("lane")
	o.buf = appendText(append(o.buf, '{'), "name", r.Beside.Name)
	for i, end := range [...]string{"from", "to"} {
		o.text(end, r.Beside.Ends[i])
		o.name(end + "_packets")
		o.buf = appendUint(o.buf, r.Beside.Packets[i])
		o.name(end + "_bytes")
		o.buf = appendUint(o.buf, r.Beside.Bytes[i])
	}
	o.buf = append(o.buf, '}')
}

func (o *output) ints(name string, all []int) {
	o.name(name)
	o.buf = append(o.buf, '[')
	for i, n := range all {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = strconv.AppendInt(o.buf, int64(n), 10)
	}
	o.buf = append(o.buf, ']')
}

func (o *output) totals(t *ladder.Totals) {
	o.buf = append(o.buf, `{"messages":`...)
	o.buf = strconv.AppendInt(o.buf, int64(t.Messages), 10)
	o.number("transactions", t.Transactions)
	o.number("hops", t.Hops)
	o.number("dialogs", t.Dialogs)
	o.number("early_dialogs", t.EarlyDialogs)
	o.number("retransmissions", t.Retransmissions)
	o.number("duplicates", t.Duplicates)
	o.number("gaps", t.Gaps)
	o.buf = append(o.buf, '}')
}

func (o *output) call(
	ci int, c *correlate.Call, l *ladder.Ladder, text ladder.TextFunc, headers []string,
) {
	o.buf = append(o.buf, `{"summary":`...)
	o.buf = AppendSummaryJSON(o.buf, &c.Summary, headers)
	o.name("transactions")
	o.buf = append(o.buf, '[')
	for i := range c.Transactions {
		o.comma(i)
		o.transaction(&c.Transactions[i])
	}
	o.buf = append(o.buf, ']')
	o.name("dialogs")
	o.buf = append(o.buf, '[')
	for i := range c.Dialogs {
		o.comma(i)
		o.dialog(&c.Dialogs[i])
	}
	o.buf = append(o.buf, ']')
	o.name("gaps")
	o.buf = append(o.buf, '[')
	for i := range c.Gaps {
		o.comma(i)
		o.gap(&c.Gaps[i])
	}
	o.buf = append(o.buf, ']')
	o.media(l, ci)
	o.registration(c.Registration)
	o.name("messages")
	o.buf = append(o.buf, '[')
	for i := range c.Messages {
		o.comma(i)
		var raw []byte
		if text != nil {
			raw = text(ci, i)
		}
		o.message(i, &c.Messages[i], raw)
		if !o.flushAt(flushSize) {
			return
		}
	}
	o.buf = append(o.buf, "]}"...)
}

// media writes the streams of a call of a ladder and what is to be said of them.
func (o *output) media(l *ladder.Ladder, ci int) {
	var streams []media.Stream
	var findings []judge.Finding
	if ci < len(l.Streams) && ci < len(l.Findings) {
		streams, findings = l.Streams[ci], l.Findings[ci]
	}
	o.name("streams")
	o.buf = append(o.buf, '[')
	for i := range streams {
		o.comma(i)
		o.buf = AppendStreamJSON(o.buf, &streams[i], true)
		o.flushAt(flushSize)
	}
	o.buf = append(o.buf, ']')
	o.name("findings")
	o.buf = list(o.buf, findings, finding)
}

func (o *output) transaction(t *correlate.Transaction) {
	o.buf = appendText(append(o.buf, '{'), "method", t.Method)
	o.text("state", t.State.String())
	o.name("status")
	o.buf = appendPositive(o.buf, uint64(t.Status))
	o.name("cseq")
	o.buf = strconv.AppendUint(o.buf, uint64(t.CSeq), 10)
	o.name("source")
	o.buf = appendEndpoint(o.buf, t.Src)
	o.name("destination")
	o.buf = appendEndpoint(o.buf, t.Dst)
	o.index("request", t.Request)
	o.index("final", t.Final)
	o.index("ack", t.Ack)
	o.index("cancel", t.Cancel)
	o.number("leg", t.Leg)
	o.number("retransmissions", t.Repeats)
	o.bool("initial", t.Initial)
	o.bool("caller", t.Caller)
	o.buf = append(o.buf, '}')
}

func (o *output) dialog(d *correlate.Dialog) {
	o.buf = appendText(append(o.buf, '{'), "caller_tag", d.CallerTag)
	o.text("callee_tag", d.CalleeTag)
	o.text("method", d.Method)
	o.text("state", d.State.String())
	o.bool("was_early", d.WasEarly)
	o.bool("answered", d.Answered)
	o.buf = append(o.buf, '}')
}

func (o *output) gap(g *decode.Gap) {
	kind := "stream"
	if g.Kind == decode.FragmentGap {
		kind = "fragment"
	}
	o.buf = appendText(append(o.buf, '{'), "kind", kind)
	o.name("frame")
	o.buf = appendPositive(o.buf, g.Seq)
	o.name("time")
	o.buf = appendTime(o.buf, g.Time)
	o.name("source")
	o.buf = appendEndpoint(o.buf, g.Src)
	o.name("destination")
	o.buf = appendEndpoint(o.buf, g.Dst)
	o.name("bytes")
	o.buf = appendPositive(o.buf, g.Bytes)
	o.buf = append(o.buf, '}')
}

func (o *output) registration(r *correlate.Registration) {
	o.name("registration")
	if r == nil {
		o.buf = append(o.buf, "null"...)
		return
	}
	o.buf = appendText(append(o.buf, '{'), "aor", r.AOR)
	o.text("contact", r.Contact)
	o.number("contacts", r.Contacts)
	o.name("expires")
	o.buf = appendIndex(o.buf, int(r.Expires))
	o.number("refreshes", r.Refreshes)
	o.number("challenges", r.Challenges)
	o.bool("removed", r.Removed)
	o.buf = append(o.buf, '}')
}

func (o *output) message(i int, m *correlate.Message, raw []byte) {
	o.buf = append(o.buf, `{"index":`...)
	o.buf = strconv.AppendInt(o.buf, int64(i), 10)
	o.name("frame")
	o.buf = strconv.AppendUint(o.buf, m.Seq, 10)
	o.number("nth", int(m.Nth))
	o.name("frames")
	o.buf = append(o.buf, '[')
	for k := range m.Pieces {
		if k > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = strconv.AppendUint(o.buf, m.Pieces[k].Seq, 10)
	}
	o.buf = append(o.buf, ']')
	o.name("time")
	o.buf = appendTime(o.buf, m.Time)
	o.name("source")
	o.buf = appendEndpoint(o.buf, m.Src)
	o.name("destination")
	o.buf = appendEndpoint(o.buf, m.Dst)
	o.text("transport", m.Transport.String())
	o.text("path", m.Path.String())
	o.strings("flags", flags(m.Flags))
	o.text("method", m.Method)
	o.name("status")
	o.buf = appendPositive(o.buf, uint64(m.Status))
	o.name("cseq")
	o.buf = strconv.AppendUint(o.buf, uint64(m.CSeq), 10)
	o.index("transaction", m.Txn)
	o.index("dialog", m.Dialog)
	o.number("copy", m.Copy)
	o.index("retransmission_of", m.Repeats)
	o.name("interval_ms")
	if m.Repeats >= 0 {
		o.buf = appendSignedMs(o.buf, m.Interval)
	} else {
		o.buf = append(o.buf, "null"...)
	}
	o.bool("sdp", m.SDP)
	o.raw(raw)
	o.buf = append(o.buf, '}')
}

// raw writes a message's text: null when it could not be read; beside it the bytes when they are no UTF-8.
func (o *output) raw(raw []byte) {
	o.name("raw")
	if raw == nil {
		o.buf = append(o.buf, "null"...)
		return
	}
	o.buf = appendString(o.buf, string(raw))
	if !utf8.Valid(raw) {
		o.name("raw_b64")
		o.buf = append(o.buf, '"')
		o.buf = base64.StdEncoding.AppendEncode(o.buf, raw)
		o.buf = append(o.buf, '"')
	}
}

func flags(f decode.Flags) []string {
	var out []string
	for _, known := range [...]struct {
		bit  decode.Flags
		name string
	}{
		{decode.Truncated, "truncated"},
		{decode.AfterGap, "after_gap"},
		{decode.TapDuplicate, "tap_duplicate"},
		{decode.Reassembled, "reassembled"},
		{decode.Encapsulated, "hep"},
	} {
		if f&known.bit != 0 {
			out = append(out, known.name)
		}
	}
	return out
}
