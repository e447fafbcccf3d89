package export

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/text"
)

// flushSize is how much is gathered before it is written.
const flushSize = 64 << 10

// output gathers what encoders append and writes it in large pieces.
type output struct {
	w   io.Writer
	buf []byte
	err error
}

func (o *output) flushAt(size int) bool {
	if o.err == nil && len(o.buf) >= size && len(o.buf) > 0 {
		_, o.err = o.w.Write(o.buf)
		o.buf = o.buf[:0]
	}
	return o.err == nil
}

// Document is what stands beside the calls in a list.
type Document struct {
	// Headers names the values in Summary.Columns.
	Headers []string
	// Accounting and Limits are JSON values that go into the document as they are: what became of the packets, and
	// what the limits cost. Empty ones become null.
	Accounting, Limits []byte
	// Encrypted is SecuredJSON of the TLS connections that nobody could look into. Empty becomes an empty array.
	Encrypted []byte
	// Media is AppendFindingsJSON of the calls that were judged. Empty leaves it out; lists of calls have none.
	Media []byte
}

// WriteCallsJSON writes {"calls":[...],"encrypted":[...],"accounting":...,"limits":...} and a line end. It fails when w does, or when
// Accounting, Limits or Encrypted are no JSON.
func WriteCallsJSON(w io.Writer, calls iter.Seq[*correlate.Summary], doc Document) error {
	if len(doc.Encrypted) == 0 {
		doc.Encrypted = []byte("[]")
	}
	for _, v := range [...][]byte{doc.Accounting, doc.Limits, doc.Encrypted} {
		if len(v) > 0 && !json.Valid(v) {
			return fmt.Errorf("calls as JSON: %.40q is no JSON value", v)
		}
	}
	o := output{w: w}
	o.buf = append(o.buf, `{"calls":[`...)
	n := 0
	for s := range calls {
		if n++; n > 1 {
			o.buf = append(o.buf, ',')
		}
		o.buf = AppendSummaryJSON(append(o.buf, '\n'), s, doc.Headers)
		if !o.flushAt(flushSize) {
			return o.err
		}
	}
	if n > 0 {
		o.buf = append(o.buf, '\n')
	}
	o.buf = appendValue(append(o.buf, `],"encrypted":`...), doc.Encrypted)
	o.buf = appendValue(append(o.buf, `,"accounting":`...), doc.Accounting)
	o.buf = appendValue(append(o.buf, `,"limits":`...), doc.Limits)
	o.buf = append(o.buf, "}\n"...)
	o.flushAt(0)
	return o.err
}

func appendValue(dst, v []byte) []byte {
	if len(v) == 0 {
		return append(dst, "null"...)
	}
	return append(dst, v...)
}

// WriteCallsNDJSON writes a summary a line.
func WriteCallsNDJSON(w io.Writer, calls iter.Seq[*correlate.Summary], headers []string) error {
	o := output{w: w}
	for s := range calls {
		o.buf = append(AppendSummaryJSON(o.buf, s, headers), '\n')
		if !o.flushAt(flushSize) {
			return o.err
		}
	}
	o.flushAt(0)
	return o.err
}

// csvColumns names the columns of WriteCallsCSV, those of headers not counted.
func csvColumns() []string {
	return []string{
		"num", "call_id", "method", "state", "start", "end", "from_user", "from_host", "from_display", "from_uri",
		"to_user", "to_host", "to_display", "to_uri", "ruri", "source", "destination", "code", "reason", "q850_cause",
		"messages", "retransmissions", "duplicates", "transactions", "dialogs", "early_dialogs", "hops", "gaps", "diags",
		"pdd_ms", "setup_ms", "duration_ms", "released_by", "ended_by", "user_agent", "server", "transports", "tunnels", "group",
		"relation",
	}
}

// WriteCallsCSV writes summaries as CSV (RFC 4180) with a header line; the columns have the names of the JSON fields,
// nested ones joined with "_", headers as they are called. What is not known is empty.
func WriteCallsCSV(w io.Writer, calls iter.Seq[*correlate.Summary], headers []string) error {
	o := output{w: w}
	o.buf = AppendCSV(o.buf, append(csvColumns(), headers...))
	for s := range calls {
		o.buf = appendSummaryCSV(o.buf, s, len(headers))
		if !o.flushAt(flushSize) {
			return o.err
		}
	}
	o.flushAt(0)
	return o.err
}

// WriteCSV writes a header line and rows.
func WriteCSV(w io.Writer, header []string, rows iter.Seq[[]string]) error {
	o := output{w: w}
	o.buf = AppendCSV(o.buf, header)
	for r := range rows {
		o.buf = AppendCSV(o.buf, r)
		if !o.flushAt(flushSize) {
			return o.err
		}
	}
	o.flushAt(0)
	return o.err
}

// AppendCSV appends a line of CSV, ended by CRLF (RFC 4180 2). Control characters become \xNN, so that a row is one
// line whatever the wire carried; a field that a spreadsheet would take for a formula gets an apostrophe in front.
func AppendCSV(dst []byte, fields []string) []byte {
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCSVField(dst, f)
	}
	return append(dst, '\r', '\n')
}

// isFormula reports whether a spreadsheet may take a field for a formula; some take the wide forms of the signs, too.
func isFormula(s string) bool {
	switch r, _ := utf8.DecodeRuneInString(s); r {
	case '=', '+', '-', '@', '\t', '\r', '\n', '\uff1d', '\uff0b', '\uff0d', '\uff20':
		return true
	default:
		return false
	}
}

func appendCSVField(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	formula := isFormula(s)
	s = text.Clean(s)
	quote := false
	for i := range len(s) {
		if s[i] == ',' || s[i] == '"' || s[i] == ' ' && (i == 0 || i == len(s)-1) {
			quote = true
			break
		}
	}
	if quote {
		dst = append(dst, '"')
	}
	if formula {
		dst = append(dst, '\'')
	}
	if !quote {
		return append(dst, s...)
	}
	for i := range len(s) {
		if s[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

func appendSummaryCSV(dst []byte, s *correlate.Summary, headers int) []byte {
	field := func(f string) { dst = append(appendCSVField(dst, f), ',') }
	number := func(n uint32) { dst = append(strconv.AppendUint(dst, uint64(n), 10), ',') }
	number(s.Num)
	field(s.CallID)
	field(s.Method)
	field(s.State.String())
	dst = append(appendTimeText(dst, s.First), ',')
	dst = append(appendTimeText(dst, s.Last), ',')
	for _, p := range [...]*correlate.Party{&s.From, &s.To} {
		field(p.User)
		field(p.Host)
		field(p.Display)
		field(p.URI)
	}
	field(s.RURI)
	if s.Src.IsValid() {
		dst = appendEndpointText(dst, s.Src)
	}
	dst = append(dst, ',')
	if s.Dst.IsValid() {
		dst = appendEndpointText(dst, s.Dst)
	}
	dst = append(dst, ',')
	if s.Code > 0 {
		dst = strconv.AppendUint(dst, uint64(s.Code), 10)
	}
	dst = append(dst, ',')
	field(s.Reason)
	if s.Cause >= 0 {
		dst = strconv.AppendInt(dst, int64(s.Cause), 10)
	}
	dst = append(dst, ',')
	for _, n := range [...]uint32{
		s.Messages, s.Retransmissions, s.Duplicates, s.Transactions, s.Dialogs, s.EarlyDialogs, s.Hops, s.Gaps, s.Diags,
	} {
		number(n)
	}
	return appendSummaryCSVRest(dst, s, headers)
}

func appendSummaryCSVRest(dst []byte, s *correlate.Summary, headers int) []byte {
	for _, ns := range [...]int64{s.PDD, s.Setup, s.Duration} {
		if ns >= 0 {
			dst = appendMs(dst, ns)
		}
		dst = append(dst, ',')
	}
	if s.ReleasedBy.IsValid() {
		dst = appendEndpointText(dst, s.ReleasedBy)
	}
	dst = append(dst, ',')
	for _, f := range [...]string{s.EndedBy.String(), s.UserAgent, s.Server} {
		dst = append(appendCSVField(dst, f), ',')
	}
	some := false
	for t := decode.UDP; t <= decode.WSS; t++ {
		if s.Transports&(1<<t) != 0 {
			if some {
				dst = append(dst, ' ')
			}
			dst = append(dst, t.String()...)
			some = true
		}
	}
	dst = append(dst, ',')
	dst = append(appendCSVField(dst, strings.Join(s.Tunnels, " ")), ',')
	if s.Group > 0 {
		dst = strconv.AppendUint(dst, uint64(s.Group), 10)
	}
	dst = appendCSVField(append(dst, ','), s.Relation)
	for i := range headers {
		dst = append(dst, ',')
		if i < len(s.Columns) {
			dst = appendCSVField(dst, s.Columns[i])
		}
	}
	return append(dst, '\r', '\n')
}
