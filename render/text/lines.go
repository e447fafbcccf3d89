package text

import (
	"bytes"
	"iter"
	"sort"
	"strings"

	"sipscope/decode/sip"
)

// Line is a line of a message as it is shown.
type Line struct {
	Segs []Seg
	// Off and Len are the bytes of the message's raw text that the line shows. A line of RawLines has its line end, and
	// each byte is in exactly one line. In ParsedLines a parameter has its whole header field, and a diag what it points
	// at, which may be empty.
	Off, Len int
	// Diag is the index in Message.Diags of the departure that the line tells, -1 for none.
	Diag int
}

// Text is the line without styles.
func (l *Line) Text() string {
	var b strings.Builder
	for i := range l.Segs {
		b.WriteString(l.Segs[i].Text)
	}
	return b.String()
}

// Lines keeps lines, at most limit of them (0: all), and reports whether there are more. A line costs about 40 bytes and
// a segment 24, so a limit bounds what a message made of line ends takes.
func Lines(lines iter.Seq[Line], limit int) (kept []Line, more bool) {
	var segs []Seg // in pieces: a line's segments lie in one of them
	for l := range lines {
		if limit > 0 && len(kept) >= limit {
			return kept, true
		}
		if len(segs)+len(l.Segs) > cap(segs) {
			segs = make([]Seg, 0, max(64, min(2*cap(segs), 4096), len(l.Segs)))
		}
		n := len(segs)
		segs = append(segs, l.Segs...)
		l.Segs = segs[n:len(segs):len(segs)]
		kept = append(kept, l)
	}
	return kept, false
}

// LineAt gives the index of the line of RawLines that shows a byte of the raw text, by its offset; the last line for an
// offset behind all, -1 when there are no lines.
func LineAt(lines []Line, off int) int {
	i := sort.Search(len(lines), func(i int) bool { return lines[i].Off > off })
	return max(i-1, min(0, len(lines)-1))
}

// RawLines gives a message's text as the wire had it, a line a line whatever ends it (CRLF, LF), with control characters
// and bytes that are no UTF-8 made visible. raw may be any text; it is copied once. A line's segments are valid until
// the next line; see Lines.
func RawLines(raw []byte, opts MessageOptions) iter.Seq[Line] { return rawLines(raw, opts, true) }

// rawLines is RawLines, with what pieces of a line are or with whole lines, which take a quarter of the time.
func rawLines(raw []byte, opts MessageOptions, pieces bool) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		v := rawView{pen: newPen(opts), first: true, head: true, sdp: true}
		off := 0
		for l := range strings.Lines(string(raw)) {
			v.begin()
			v.take(trimEnd(l))
			if pieces {
				v.line()
			}
			v.rest()
			if !yield(Line{Segs: v.segs, Off: off, Len: len(l), Diag: -1}) {
				return
			}
			off += len(l)
		}
	}
}

// trimEnd takes one line end off.
func trimEnd(l string) string {
	return strings.TrimSuffix(strings.TrimSuffix(l, "\n"), "\r")
}

// rawView knows where in the message the next line is.
type rawView struct {
	pen
	first, head bool
	sdp         bool    // lines of the body may be a session description
	grammar     grammar // of the header that a folded line goes on with
}

func (v *rawView) line() {
	t := v.t
	switch {
	case v.first:
		v.startLine()
		v.first = false
	case !v.head:
		v.body()
	case t == "":
		v.head = false
	case t[0] == ' ' || strings.HasPrefix(t, `\t`): // Clean has made the tab visible
		if t[0] != ' ' {
			v.to(len(`\t`), plain)
		}
		v.value(v.grammar)
	default:
		v.header()
	}
}

// header cuts a header field: name, colon, value.
func (v *rawView) header() {
	colon := strings.IndexByte(v.t, ':')
	if colon < 0 {
		v.rest()
		return
	}
	id := sip.LookupHeader([]byte(strings.TrimRight(v.t[:colon], " \t")))
	v.grammar = grammarOf(id)
	if id == sip.HeaderContentType {
		media := strings.ToLower(strings.TrimSpace(v.t[colon+1 : min(colon+64, len(v.t))]))
		v.sdp = strings.HasPrefix(media, "application/sdp") || strings.HasPrefix(media, "multipart/")
	}
	v.to(colon, headerName)
	v.to(colon+1, plain)
	v.value(v.grammar)
}

// body cuts a line of the body.
func (v *rawView) body() {
	switch {
	case v.sdp && lineName(v.t) != "":
		v.sdpLine()
	case strings.HasPrefix(v.t, "SIP/2.0 "): // message/sipfrag (RFC 3420)
		v.startLine()
	default:
		v.rest()
	}
}

// ParsedLines gives a message as the parser understood it; see ParsedMessage. A line's segments are valid until the next
// line; see Lines. m must not change meanwhile.
func ParsedLines(m *sip.Message, opts MessageOptions) iter.Seq[Line] {
	return func(yield func(Line) bool) {
		p := parsed{pen: newPen(opts), m: m, yield: yield, told: make([]bool, len(m.Diags))}
		start, _, _ := bytes.Cut(m.Raw, []byte{'\n'})
		p.begin()
		p.take(trimEnd(string(start)))
		p.startLine()
		p.line(0, min(len(start)+1, len(m.Raw)))
		end := uint32(len(start)) //nolint:gosec // a message is far below 4 GiB: spans are 32 bits
		if len(m.Headers) > 0 {
			end = m.Headers[0].Name.Off
		}
		p.diags(0, end)
		for i := range m.Headers {
			if p.stop {
				return
			}
			p.header(i)
		}
		p.body()
		p.diags(0, ^uint32(0))
	}
}

// parsed is a message on its way to lines.
type parsed struct {
	pen
	m     *sip.Message
	yield func(Line) bool
	stop  bool   // yield wants no more
	told  []bool // by diag: shown
}

// line gives what the pen has, which shows n bytes from off on.
func (p *parsed) line(off, n int) { p.give(Line{Segs: p.segs, Off: off, Len: n, Diag: -1}) }

func (p *parsed) give(l Line) {
	if !p.stop {
		p.stop = !p.yield(l)
	}
}

// Layout of the header table.
const (
	nameWidth  = 20
	paramWidth = 12
)

func (p *parsed) header(i int) {
	h := &p.m.Headers[i]
	name := h.ID.String()
	if name == "" {
		name = string(h.Name.Of(p.m.Raw))
	}
	end := h.Value.Off + h.Value.Len
	if i+1 < len(p.m.Headers) {
		end = max(end, p.m.Headers[i+1].Name.Off)
	} else {
		end = max(end, p.m.Head)
	}
	off, n := int(h.Name.Off), int(max(end, h.Name.Off)-h.Name.Off)
	value, params := splitParams(h.ID, unfold(h.Value.Of(p.m.Raw)))
	p.begin()
	p.put("  "+padTo(Clean(name), nameWidth)+" ", headerName)
	p.take(value)
	if g := grammarOf(h.ID); g == grammarAuth && len(params) > 0 {
		p.to(len(p.t), method) // the scheme stands alone
	} else {
		p.value(g)
	}
	p.line(off, n)
	for _, s := range params {
		if p.stop {
			return
		}
		k, val, ok := strings.Cut(s, "=")
		k = strings.TrimSpace(k)
		shown := k
		if ok {
			shown = padTo(Clean(k), paramWidth) + " "
		}
		p.begin()
		p.put(strings.Repeat(" ", nameWidth+5)+shown, parameter)
		p.take(strings.TrimSpace(val))
		p.to(len(p.t), valueStyle(k, p.t))
		p.line(off, n)
	}
	p.diags(h.Name.Off, end)
}

// body gives the body line by line.
func (p *parsed) body() {
	body := p.m.Body.Of(p.m.Raw)
	if len(body) == 0 {
		return
	}
	at := p.m.Body.Off
	p.begin()
	p.line(int(at), 0)
	sdp, isSDP := p.m.SDP()
	alone := isSDP && len(sdp) == len(body)
	for l := range bytes.Lines(body) {
		if p.stop {
			return
		}
		s := trimEnd(string(l))
		p.begin()
		if name := lineName(s); alone && name != "" {
			p.put("  "+padTo(name, nameWidth)+" ", bodyName)
			p.take(s)
			p.sdpLine()
		} else {
			p.put("  "+s, plain)
		}
		p.line(int(at), len(l))
		next := at + uint32(len(l)) //nolint:gosec // within the message
		p.diags(at, next)
		at = next
	}
}

// diags gives the departures that point into raw[from:to] and were not told yet.
func (p *parsed) diags(from, to uint32) {
	for i := range p.m.Diags {
		d := &p.m.Diags[i]
		if p.told[i] || d.Span.Off < from || d.Span.Off >= to {
			continue
		}
		p.told[i] = true
		st := diagWarning
		if d.Code.Severity() == sip.Error {
			st = diagError
		}
		s := "  ! " + d.Code.Text()
		if sec := d.Code.Section(); sec != "" {
			s += " (" + sec + ")"
		}
		p.begin()
		p.put(s+" ["+d.Code.String()+", "+d.Code.Severity().String()+"]", st)
		p.give(Line{Segs: p.segs, Off: int(d.Span.Off), Len: int(d.Span.Len), Diag: i})
	}
}
