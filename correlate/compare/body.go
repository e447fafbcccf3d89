package compare

import (
	"strings"
	"unicode/utf8"

	"sipscope/decode/sip"
)

// part is a part of a body: one of a multipart body (RFC 2046 5.1), or a body of one type as a whole.
type part struct {
	kind  string     // media type in lower case, empty when it is not stated
	frame []textLine // delimiter and headers
	body  []textLine
	first int // number of the first line of frame
	names *Names
}

// bodies compares the bodies: part by part, those of one type with one another.
func (c *comparer) bodies(x, y *side) {
	px, tailX := x.parts()
	py, tailY := y.parts()
	i, j := 0, 0
	pairs := c.align(c.kinds(px), c.kinds(py), never)
	for _, p := range append(pairs, pair{len(px), len(py)}) {
		c.single(px[i:p.x], py[j:p.y])
		if p.x < len(px) {
			c.part(&px[p.x], &py[p.y])
		}
		i, j = p.x+1, p.y+1
	}
	c.part(&tailX, &tailY)
}

func (c *comparer) kinds(ps []part) sequence {
	s := sequence{keys: make([]uint32, len(ps))}
	for i := range ps {
		s.keys[i] = c.id("body", ps[i].kind)
	}
	return s
}

// single takes the parts that only one side has: a's before b's.
func (c *comparer) single(px, py []part) {
	if c.flip {
		for i := range py {
			c.part(nil, &py[i])
		}
	}
	for i := range px {
		c.part(&px[i], nil)
	}
	if !c.flip {
		for i := range py {
			c.part(nil, &py[i])
		}
	}
}

// part compares two parts, or takes one that the other side lacks.
func (c *comparer) part(x, y *part) {
	var none part
	kind := ""
	if x != nil {
		kind = x.kind
	} else {
		x = &none
	}
	if y != nil {
		kind = y.kind
	} else {
		y = &none
	}
	c.section(Body, c.frameUnits(x), c.frameUnits(y))
	if kind == "application/sdp" {
		c.descriptions(x, y)
		return
	}
	c.section(Body, c.textUnits(x), c.textUnits(y))
}

// parts cuts the body at its parts. What follows the last part is the frame of the tail, which has no body.
func (s *side) parts() (parts []part, tail part) {
	lines := s.lines[s.body:]
	at := 0
	var spans []sip.Part
	for p := range s.m.Parts() {
		if n := len(spans); n > 0 && p.Depth > spans[n-1].Depth {
			spans = spans[:n-1] // it is made of the parts that follow
		}
		spans = append(spans, p)
	}
	for _, p := range spans {
		from := lineFrom(lines, at, int(p.Body.Off))
		to := lineFrom(lines, from, int(p.Body.Off+p.Body.Len))
		parts = append(parts, part{
			kind: strings.ToLower(string(p.Type)), frame: lines[at:from], body: lines[from:to], first: s.number(at),
			names: s.names,
		})
		at = to
	}
	if len(parts) == 0 && len(lines) > 0 {
		kind := strings.ToLower(string(s.m.ContentType.Of(s.m.Raw)))
		return []part{{kind: kind, body: lines, first: s.number(0), names: s.names}}, part{}
	}
	return parts, part{frame: lines[at:], first: s.number(at), names: s.names}
}

// number is the 1-based number of a line of the body.
func (s *side) number(line int) int { return s.body + line + 1 }

// lineFrom finds the first line, from index at on, that begins at off or later.
func lineFrom(lines []textLine, at, off int) int {
	for at < len(lines) && lines[at].off < off {
		at++
	}
	return at
}

// frameUnits takes the delimiter and the headers of a part apart (RFC 2045 3).
func (c *comparer) frameUnits(p *part) []unit {
	c.names = p.names
	us := make([]unit, 0, len(p.frame))
	for i := range p.frame {
		l := &p.frame[i]
		no := p.first + i
		colon := strings.IndexByte(l.text, ':')
		switch {
		case strings.HasPrefix(l.text, "--"):
			us = append(us, c.delimiter(l.text, no))
		case colon > 0 && strings.IndexByte(l.text[:colon], ' ') < 0:
			us = c.header(us, l, no)
		default:
			us = append(us, c.wordUnit(unit{no: no}, l.text, c.id("frame")))
		}
	}
	return us
}

// delimiter takes "--boundary" or "--boundary--" apart.
func (c *comparer) delimiter(text string, no int) unit {
	w := c.scribe(text)
	_, end := w.trimmed(0, len(text))
	u := unit{no: no, group: c.id("delimiter")}
	if strings.HasSuffix(text[2:end], "--") {
		end -= 2
		u.group = c.id("end")
	}
	w.skip(2)
	w.usual(w.piece(2, end, "boundary", text[2:end]), whyBoundary)
	w.skip(len(text))
	w.finish(&u)
	return u
}

// textUnits makes units of the lines of a part that is a text.
func (c *comparer) textUnits(p *part) []unit {
	c.names = p.names
	lines, first := p.body, p.first+len(p.frame)
	us := make([]unit, len(lines))
	group := c.id("text")
	for i := range lines {
		l := &lines[i]
		u := unit{no: first + i, traits: isText, end: l.end}
		if isPlain(l.text) {
			us[i] = c.wordUnit(u, l.text, group)
			continue
		}
		u.group = group
		w := c.scribe(l.text)
		w.piece(0, len(l.text), "bytes", l.text)
		w.finish(&u)
		us[i] = u
	}
	return us
}

// isPlain reports whether a line is text, whose blanks only separate words.
func isPlain(t string) bool {
	if !utf8.ValidString(t) {
		return false
	}
	for i := range len(t) {
		if c := t[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
