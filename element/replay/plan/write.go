package plan

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sipscope/render/text"
)

// version is the value of "plan:" in a YAML file. A file of another version is refused.
const version = "1"

// head explains a YAML plan to who edits it.
const head = `# A plan of sipscope replay: recorded SIP calls, to be played against a live server.
#   sipscope replay THIS-FILE --dry-run           shows what it will do
#   sipscope replay THIS-FILE --sut HOST:PORT     does it
#
# It is meant to be edited: take a step out, change a header or a status, a gap or who is played. A message is sent as it
# stands here, except for what a live dialog must have anew (tags, branches, Call-IDs, addresses: see the comments), and
# Content-Length, which follows the body. Each line of a message ends in CR LF, unless line-ends says otherwise.
# Times are written as 1m2.5s; "after" lists the steps that a step waits for, "gap" how long it waits after them.
# docs/replay-plan.md explains every key.
`

// WriteYAML writes the plan as commented YAML, which Read reads back to an equal plan, whatever bytes it holds: messages
// are literal blocks, or base64 where text cannot hold them or a terminal would obey them. The packets of Media are not in
// it: see WriteMedia. It fails with ErrTooLarge when the file would be longer than Read takes.
func (p *Plan) WriteYAML(w io.Writer) error {
	y := yamler{w: bufio.NewWriter(w), p: p}
	y.raw(head)
	y.field(0, "plan", version)
	y.text(0, "title", p.Title)
	y.text(0, "source", p.Source)
	if p.Began != 0 {
		y.field(0, "began", strconv.FormatInt(p.Began, 10)+" # "+time.Unix(0, p.Began).UTC().Format(time.RFC3339Nano))
	}
	y.text(0, "media-file", p.MediaFile)
	y.counts(&p.Counts)
	y.hosts()
	y.calls()
	y.steps()
	y.needs()
	y.media()
	y.list(0, "notes", p.Notes)
	if y.size > MaxFile {
		return fmt.Errorf("%w: %d bytes of YAML, at most %d", ErrTooLarge, y.size, MaxFile)
	}
	return y.w.Flush()
}

// yamler writes one plan; bufio keeps the first error.
type yamler struct {
	w    *bufio.Writer
	p    *Plan
	size int
}

func (y *yamler) raw(s string) {
	if y.size += len(s); y.size <= MaxFile {
		_, _ = y.w.WriteString(s)
	}
}

// field writes "key: value" at an indent; a negative indent begins an item of a list with "- ".
func (y *yamler) field(indent int, key, value string) {
	if indent < 0 {
		y.raw(strings.Repeat(" ", -indent-2) + "- ")
	} else {
		y.raw(strings.Repeat(" ", indent))
	}
	y.raw(key + ": " + value + "\n")
}

// text writes a text when there is one.
func (y *yamler) text(indent int, key, value string) {
	if value != "" {
		y.field(indent, key, scalar(value))
	}
}

func (y *yamler) number(indent int, key string, n int) {
	if n != 0 {
		y.field(indent, key, strconv.Itoa(n))
	}
}

// flag writes a truth about an item of a list.
func (y *yamler) flag(key string, is bool) {
	if is {
		y.field(4, key, "true")
	}
}

// time writes a time of an item of a list.
func (y *yamler) time(key string, ns int64) {
	y.field(4, key, time.Duration(ns).String())
}

// list writes texts, an item a line.
func (y *yamler) list(indent int, key string, values []string) {
	if len(values) == 0 {
		return
	}
	y.raw(strings.Repeat(" ", indent) + key + ":\n")
	for _, v := range values {
		y.raw(strings.Repeat(" ", indent+2) + "- " + scalar(v) + "\n")
	}
}

// flow writes texts in one line.
func (y *yamler) flow(indent int, key string, values []string) {
	if len(values) == 0 {
		return
	}
	for i := range values {
		values[i] = scalar(values[i])
	}
	y.field(indent, key, "["+strings.Join(values, ", ")+"]")
}

// counted are the counts by their keys.
func (c *Counts) counted() []struct {
	key string
	n   *int
} {
	return []struct {
		key string
		n   *int
	}{
		{"messages", &c.Messages},
		{"steps", &c.Steps},
		{"retransmissions", &c.Retransmissions},
		{"duplicates", &c.Duplicates},
		{"left", &c.Left},
		{"cut", &c.Cut},
		{"unplayable", &c.Unplayable},
	}
}

func (y *yamler) counts(c *Counts) {
	if *c == (Counts{}) {
		return
	}
	y.raw("\n# what became of the recorded messages\ncounts:\n")
	for _, f := range c.counted() {
		y.number(2, f.key, *f.n)
	}
}

func (y *yamler) hosts() {
	if len(y.p.Hosts) == 0 {
		return
	}
	y.raw("\n# part: live (the real server stands for it), played (by us), left (by nobody)\nhosts:\n")
	for i := range y.p.Hosts {
		h := &y.p.Hosts[i]
		y.field(-4, "name", scalar(h.Name))
		y.field(4, "part", h.Part.String())
		y.text(4, "why", h.Why)
		y.field(4, "transport", strings.ToLower(h.Proto.String()))
		at := make([]string, 0, len(h.At))
		for _, a := range h.At {
			at = append(at, a.String())
		}
		y.flow(4, "at", at)
		y.flow(4, "names", append([]string(nil), h.Names...))
		y.flow(4, "users", append([]string(nil), h.Users...))
		y.flag("proxy", h.Proxy)
	}
}

func (y *yamler) calls() {
	if len(y.p.Calls) == 0 {
		return
	}
	y.raw("\ncalls:\n")
	for i := range y.p.Calls {
		c := &y.p.Calls[i]
		y.field(-4, "call-id", scalar(c.CallID))
		y.number(4, "number", int(c.Num))
		y.text(4, "group", c.Group)
		y.text(4, "relation", c.Relation)
		y.time("first", c.First)
	}
}

func (y *yamler) steps() {
	if len(y.p.Steps) == 0 {
		return
	}
	y.raw("\nsteps:\n")
	for i := range y.p.Steps {
		y.step(&y.p.Steps[i])
	}
}

func (y *yamler) step(s *Step) {
	y.raw("  # " + comment(s) + "\n")
	y.field(-4, "id", strconv.Itoa(s.ID))
	y.field(4, "kind", s.Kind.String())
	y.field(4, "from", scalar(s.From))
	y.text(4, "to", s.To)
	y.time("at", s.At)
	if len(s.After) > 0 {
		ids := make([]string, 0, len(s.After))
		for _, id := range s.After {
			ids = append(ids, strconv.Itoa(id))
		}
		y.field(4, "after", "["+strings.Join(ids, ", ")+"]")
	}
	y.time("gap", s.Gap)
	if s.Call >= 0 {
		y.field(4, "call", strconv.Itoa(s.Call+1))
	}
	if s.Frame != 0 {
		y.field(4, "frame", strconv.FormatUint(s.Frame, 10))
	}
	if s.Proto != 0 {
		y.field(4, "transport", strings.ToLower(s.Proto.String()))
	}
	y.number(4, "repeats", s.Repeats)
	y.flag("optional", s.Optional)
	y.flag("made", s.Made)
	if s.Kind == Media {
		y.field(4, "stream", strconv.Itoa(s.Stream+1))
	}
	if s.Duration != 0 {
		y.time("duration", s.Duration)
	}
	y.text(4, "why", s.Why)
	if s.Message != nil {
		y.message(s.Message)
	}
}

// comment says what a step does, and what of it is rewritten.
func comment(s *Step) string {
	switch s.Kind {
	case Wait:
		return s.From + " waits"
	case Media:
		return s.From + " sends recorded media to " + s.To
	case Expect:
		return text.Clean(s.To + " expects " + startLine(s.Message) + " from " + s.From)
	default:
		line := text.Clean(s.From + " sends " + startLine(s.Message) + " to " + s.To)
		if list := Rewritten(s); len(list) > 0 {
			line += "\n  #   rewritten: " + text.Clean(strings.Join(list, ", "))
		}
		return line
	}
}

// message writes a message as literal text where that holds it exactly and shows it as it is, else in quotes with escapes,
// or, when it is no text, as base64.
func (y *yamler) message(raw []byte) {
	body, ends, ok := literal(raw)
	switch {
	case ok:
	case utf8.Valid(raw):
		y.raw("    # in quotes, since it holds what a terminal would obey, or line ends of its own\n")
		y.field(4, "message", quoted(string(raw)))
		return
	default:
		y.raw("    # base64, since its bytes are no text\n    message: !!binary |\n")
		for line := range bytes.SplitSeq(wrap(raw), []byte{'\n'}) {
			y.raw("      " + string(line) + "\n")
		}
		return
	}
	if ends != "" {
		y.field(4, "line-ends", ends)
	}
	last := strings.TrimRight(body, "\n")
	if n := len(body) - len(last); n != usualEnd(last) {
		y.field(4, "end", strconv.Itoa(n))
	}
	y.raw("    message: |2-\n")
	for line := range strings.SplitSeq(last, "\n") {
		if line != "" {
			line = "      " + line
		}
		y.raw(line + "\n")
	}
}

// usualEnd is how many line ends follow the last line of a message: two without a body, since the empty line ends its
// headers (RFC 3261 7), one with a body, as SDP has it. Since it need not be written, empty lines between steps do not
// matter.
func usualEnd(last string) int {
	if strings.Contains(last, "\n\n") {
		return 1
	}
	return 2
}

// literal gives a message with LF for line ends, and which kind it has: "" for CR LF. It reports false when a literal
// block would not give the same bytes back, or when a terminal would not show them as they are.
func literal(raw []byte) (body, ends string, ok bool) {
	lf := bytes.Count(raw, []byte{'\n'})
	crlf := bytes.Count(raw, []byte("\r\n"))
	if bytes.Count(raw, []byte{'\r'}) != crlf || crlf != 0 && crlf != lf || !utf8.Valid(raw) {
		return "", "", false
	}
	if lf > 0 && crlf == 0 {
		ends = "lf"
	}
	body = strings.ReplaceAll(string(raw), "\r\n", "\n")
	for line := range strings.SplitSeq(body, "\n") {
		plain := strings.ReplaceAll(line, "\t", " ")
		if text.Clean(plain) != plain {
			return "", "", false
		}
	}
	last := strings.TrimRight(body, "\n")
	return body, ends, last != "" && len(body)-len(last) <= maxEnd
}

// wrap is base64 in lines of 76.
func wrap(raw []byte) []byte {
	const width = 76
	b := []byte(base64.StdEncoding.EncodeToString(raw))
	var out []byte
	for len(b) > width {
		out = append(append(out, b[:width]...), '\n')
		b = b[width:]
	}
	return append(out, b...)
}

func (y *yamler) needs() {
	if len(y.p.Needs) == 0 {
		return
	}
	y.raw("\n# credentials that the recording used; passwords are given with --cred, never here\ncredentials:\n")
	for i := range y.p.Needs {
		n := &y.p.Needs[i]
		y.field(-4, "realm", scalar(n.Realm))
		y.field(4, "user", scalar(n.User))
		y.field(4, "host", scalar(n.Host))
		y.number(4, "step", n.Step)
		y.flag("verify", n.Verify)
	}
}

func (y *yamler) media() {
	if len(y.p.Media) == 0 {
		return
	}
	y.raw("\n# recorded RTP; the packets are in media-file\nmedia:\n")
	for i := range y.p.Media {
		m := &y.p.Media[i]
		y.field(-4, "ssrc", "0x"+strconv.FormatUint(uint64(m.SSRC), 16))
		y.text(4, "from", m.From)
		y.text(4, "to", m.To)
		y.field(4, "src", scalar(m.Src.String()))
		y.field(4, "dst", scalar(m.Dst.String()))
		y.text(4, "type", m.Type)
		y.number(4, "medium", m.Medium)
		y.flag("secure", m.Secure)
		y.number(4, "step", m.Step)
		y.time("first", m.First)
		if len(m.Payloads) > 0 {
			y.raw("    payloads:\n")
		}
		for j := range m.Payloads {
			f := &m.Payloads[j]
			y.field(-8, "pt", strconv.Itoa(int(f.PT)))
			y.text(8, "name", f.Name)
			y.number(8, "clock", int(f.Clock))
			y.number(8, "channels", int(f.Channels))
			y.text(8, "params", f.Params)
		}
	}
}

// scalar writes a text as a YAML scalar that stands for exactly it: plain where that is safe, else quoted, else base64.
func scalar(s string) string {
	if plain(s) {
		return s
	}
	if !utf8.ValidString(s) {
		return `!!binary "` + base64.StdEncoding.EncodeToString([]byte(s)) + `"`
	}
	return quoted(s)
}

// quoted writes a text in double quotes with escapes, in lines of its own where it has several.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch c := string(r); {
		case r == '"' || r == '\\':
			b.WriteString(`\` + c)
		case r == '\n':
			b.WriteString(`\n`)
			if i+1 < len(s) {
				b.WriteString("\\\n      ") // the break and the blanks after it do not count
			}
		case r == '\r':
			b.WriteString(`\r`)
		case r == ' ' && (i == 0 || s[i-1] == '\n'):
			b.WriteString(`\ `)
		case r == 0xfeff || text.Clean(c) != c:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteString(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// plain reports whether a text can stand without quotes and be taken for nothing but a text.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || !nameByte(c) && c != '@' && c != '/') {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}
