package export

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"sipscope/render/ladder"
	"sipscope/render/text"
)

// WriteMermaid writes a ladder as a Mermaid sequenceDiagram: requests with solid arrows, responses with dashed ones,
// margins as notes. Every character of the wire that has a meaning in Mermaid or HTML becomes an entity.
func WriteMermaid(w io.Writer, l *ladder.Ladder) error {
	o := output{w: w}
	o.buf = append(o.buf, "sequenceDiagram\n"...)
	for i := range l.Calls {
		c := &l.Calls[i]
		o.line("%% call ", strconv.FormatUint(uint64(c.Num), 10), ", Call-ID ", escapeMermaid(c.CallID)) // Mermaid finds a directive %%{ within comments, too
	}
	for i := range l.Columns {
		c := &l.Columns[i]
		name := escapeMermaid(c.Name())
		if c.Label != "" && c.Address != "" {
			name += "<br/>" + escapeMermaid(c.Address)
		}
		o.line("    participant ", participant(i), " as ", name)
	}
	for i := range l.Rows {
		o.mermaidRow(&l.Rows[i], len(l.Columns))
		if !o.flushAt(flushSize) {
			return o.err
		}
	}
	o.flushAt(0)
	return o.err
}

func (o *output) line(parts ...string) {
	for _, p := range parts {
		o.buf = append(o.buf, p...)
	}
	o.buf = append(o.buf, '\n')
}

func participant(col int) string { return "p" + strconv.Itoa(col+1) }

func (o *output) mermaidRow(r *ladder.Row, columns int) {
	if columns == 0 {
		return
	}
	inside := r.From >= 0 && r.To >= 0 && r.From < columns && r.To < columns
	if r.Kind != ladder.Arrow || !inside {
		o.mermaidNote(r, inside, columns)
		return
	}
	arrow := "->>"
	if r.Response {
		arrow = "-->>"
	}
	label := r.Label
	if r.SDP != "" {
		label += " " + r.SDP
	}
	if r.Count > 1 {
		label += " ×" + strconv.Itoa(r.Count)
	}
	if r.Hops > 1 {
		label += " (" + strconv.Itoa(r.Hops) + " hops)"
	}
	o.line("    ", participant(r.From), arrow, participant(r.To), ": ", escapeMermaid(label))
	notes := make([]string, 0, len(r.Notes)+2)
	if n := r.RepeatNote(); n != "" {
		notes = append(notes, escapeMermaid(n))
	}
	for _, group := range [...][]string{r.Notes, r.Media} {
		for _, n := range group {
			notes = append(notes, escapeMermaid(n))
		}
	}
	if len(notes) > 0 {
		o.line("    Note right of ", participant(max(r.From, r.To)), ": ", strings.Join(notes, "<br/>"))
	}
}

// mermaidNote writes what is no arrow over the participants that it concerns, or over all.
func (o *output) mermaidNote(r *ladder.Row, inside bool, columns int) {
	if r.Label == "" {
		return
	}
	from, to := 0, columns-1
	if inside {
		from, to = min(r.From, r.To), max(r.From, r.To)
	}
	over := participant(from)
	if to > from {
		over += "," + participant(to)
	}
	label := r.Label
	if r.Kind.OfMedia() {
		label = strings.Join(slices.Concat([]string{r.Label}, r.Figures, r.Notes), " · ")
	}
	lines := text.Wrap(text.Clean(label), noteWidth)
	for i := range lines {
		lines[i] = escapeMermaid(lines[i])
	}
	o.line("    Note over ", over, ": ", strings.Join(lines, "<br/>"))
}

// noteWidth is where a note is wrapped, in cells: Mermaid makes a note as wide as its longest line.
const noteWidth = 72

// escapeMermaid makes a text of the wire safe: letters, digits and a few marks stay, the rest become #NN; entities,
// which Mermaid decodes after it has parsed the diagram. Its own keyword "end" loses its first letter to an entity.
func escapeMermaid(s string) string {
	s = text.Clean(s)
	var b strings.Builder
	for i, r := range s {
		if (r == 'e' || r == 'E') && isEnd(s, i) || !harmless(r) {
			entity(&b, r)
		} else {
			b.WriteRune(r)
		}
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}

// harmless reports whether a character means nothing to Mermaid and HTML.
func harmless(r rune) bool {
	if r < 0x80 {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || strings.ContainsRune(" .,/()@+=-*", r)
	}
	return r == '×' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// isEnd reports whether the word "end" stands alone at i.
func isEnd(s string, i int) bool {
	const word = "end"
	if len(s)-i < len(word) || !strings.EqualFold(s[i:i+len(word)], word) {
		return false
	}
	return (i == 0 || !letter(s[i-1])) && (i+len(word) == len(s) || !letter(s[i+len(word)]))
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func entity(b *strings.Builder, r rune) {
	b.WriteByte('#')
	b.WriteString(strconv.Itoa(int(r)))
	b.WriteByte(';')
}
