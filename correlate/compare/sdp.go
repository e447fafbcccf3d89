package compare

import (
	"strconv"
	"strings"

	"sipscope/decode/sdp"
)

// description is the session lines or a media section of SDP (RFC 8866 5).
type description struct {
	kind  string // "audio", "video"; empty for the session lines
	media int    // 0-based index of the medium, -1 for the session lines
	lines []textLine
	first int // number of the first line
	// direction says that a=sendrecv holds without being written (RFC 8866 6.7).
	direction bool
	single    bool // the other side has no such section
	names     *Names
}

// descriptions compares two session descriptions: the session lines, then the media, those of one type in order
// (RFC 3264 8).
func (c *comparer) descriptions(x, y *part) {
	dx, dy := describe(x), describe(y)
	free := stated(dx) && stated(dy)
	session := func(ds []description) []unit {
		if len(ds) == 0 {
			return nil
		}
		ds[0].direction = true
		return c.sdpUnits(&ds[0])
	}
	c.section(SDP, session(dx), session(dy))
	dx, dy = dx[min(1, len(dx)):], dy[min(1, len(dy)):]
	for i := range dx {
		dx[i].direction = free
	}
	for i := range dy {
		dy[i].direction = free
	}
	i, j := 0, 0
	for _, p := range append(c.align(c.types(dx), c.types(dy), never), pair{len(dx), len(dy)}) {
		c.media(dx[i:p.x], dy[j:p.y])
		if p.x < len(dx) {
			c.section(SDP, c.sdpUnits(&dx[p.x]), c.sdpUnits(&dy[p.y]))
		}
		i, j = p.x+1, p.y+1
	}
}

// stated reports whether the session states no direction for its media but sendrecv.
func stated(ds []description) bool {
	for i := range ds[:min(1, len(ds))] {
		for _, l := range ds[i].lines {
			if d, ok := strings.CutPrefix(l.text, "a="); ok && isDirection(d) && d != "sendrecv" {
				return false
			}
		}
	}
	return true
}

func isDirection(attribute string) bool {
	switch attribute {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		return true
	default:
		return false
	}
}

// media takes the media that only one side has: a's before b's.
func (c *comparer) media(dx, dy []description) {
	for i := range dx {
		dx[i].single = true
	}
	for i := range dy {
		dy[i].single = true
	}
	if c.flip {
		for i := range dy {
			c.section(SDP, nil, c.sdpUnits(&dy[i]))
		}
	}
	for i := range dx {
		c.section(SDP, c.sdpUnits(&dx[i]), nil)
	}
	if !c.flip {
		for i := range dy {
			c.section(SDP, nil, c.sdpUnits(&dy[i]))
		}
	}
}

func (c *comparer) types(ds []description) sequence {
	s := sequence{keys: make([]uint32, len(ds))}
	for i := range ds {
		s.keys[i] = c.id("media", ds[i].kind)
	}
	return s
}

// describe cuts a description at its m= lines. The session lines come first, even when there are none.
func describe(p *part) []description {
	if len(p.body) == 0 {
		return nil
	}
	first := p.first + len(p.frame)
	ds := []description{{media: -1, first: first, names: p.names}}
	from := 0
	for i := range p.body {
		letter, value := sdpLine(p.body[i].text)
		if letter != 'm' || len(ds) > maxMedia {
			continue
		}
		ds[len(ds)-1].lines = p.body[from:i]
		kind, _, _ := strings.Cut(p.body[i].text[value:], " ")
		ds = append(ds, description{kind: kind, media: len(ds) - 1, first: first + i, names: p.names})
		from = i
	}
	ds[len(ds)-1].lines = p.body[from:]
	return ds
}

// sdpLine reads "x=value", with blanks that should not be there, and gives where the value begins; 0 for what is no
// line of SDP.
func sdpLine(t string) (letter byte, value int) {
	if t == "" || t[0]-'a' > 'z'-'a' {
		return 0, 0
	}
	i := 1
	for i < len(t) && isBlank(t[i]) {
		i++
	}
	if i == len(t) || t[i] != '=' {
		return 0, 0
	}
	for i++; i < len(t) && isBlank(t[i]); {
		i++
	}
	return t[0], i
}

// sdpUnits takes the lines of a section apart.
func (c *comparer) sdpUnits(d *description) []unit {
	c.names = d.names
	us := make([]unit, 0, len(d.lines))
	for i := range d.lines {
		t := d.lines[i].text
		u := unit{no: d.first + i}
		letter, from := sdpLine(t)
		if letter == 0 {
			us = append(us, c.wordUnit(u, t, c.id("no sdp")))
			continue
		}
		u.name = t[:1]
		if d.media >= 0 {
			u.name += strconv.Itoa(d.media)
		}
		w := c.scribe(t)
		w.piece(0, 1, "letter", t[:1])
		group := "sdp " + t[:1]
		switch letter {
		case 'o':
			w.origin(from)
		case 'c':
			w.fields(from, "nettype", "addrtype", "address")
		case 'm':
			w.mediaLine(from)
		case 'a':
			group = w.attribute(from, &u, d)
		default:
			w.words(from, len(t))
		}
		if d.single {
			u.traits &^= implied
		}
		u.group = c.id(group)
		w.finish(&u)
		us = append(us, u)
	}
	return us
}

// fields makes a piece of each word, with a role each, as long as there are roles. Network and address types have no
// case in practice, hosts have none.
func (s *scribe) fields(from int, roles ...string) {
	to := len(s.text)
	for _, role := range roles {
		first, _ := s.trimmed(from, to)
		end := first
		for end < to && !isBlank(s.text[end]) {
			end++
		}
		meaning := s.text[first:end]
		switch role {
		case "nettype", "addrtype", "address":
			meaning = hostMeaning(meaning)
		case "port":
			meaning = trimZeros(meaning)
		}
		p := s.piece(first, end, role, meaning)
		switch {
		case role == "address":
			s.place(p, role, "")
		case role == "port" && s.c.named && meaning != "0" && meaning != "":
			_, count, _ := strings.Cut(meaning, "/")
			s.c.stand(p, role, count)
		}
		from = end
	}
	s.words(from, to)
}

// origin reads an o= line (RFC 8866 5.2). Its numbers identify this session.
func (s *scribe) origin(from int) {
	s.fields(from, "username", "session", "version", "nettype", "addrtype", "address")
	session, version, user := s.c.id("session"), s.c.id("version"), s.c.id("username")
	for i := range s.pieces {
		if p := &s.pieces[i]; p.role == session || p.role == version || p.role == user && s.c.named {
			s.usual(p, whySession)
		}
	}
}

// mediaLine reads an m= line (RFC 8866 5.14). The order of the formats is the preference (RFC 3264 5.1).
func (s *scribe) mediaLine(from int) {
	s.fields(from, "type", "port", "proto")
}

// attribute reads an a= line, and gives the group of those that it is aligned with.
func (s *scribe) attribute(from int, u *unit, d *description) (group string) {
	to := len(s.text)
	u.traits |= isFree
	colon := s.text[from:to]
	if n := strings.IndexByte(colon, ':'); n >= 0 {
		colon = colon[:n]
	}
	name := strings.TrimRight(colon, " \t")
	if isDirection(name) {
		s.piece(from, from+len(name), "direction", name)
		if name == "sendrecv" && d.direction {
			u.traits |= implied
		}
		return "sdp a direction"
	}
	s.piece(from, from+len(name), "attribute", name)
	group = "sdp a " + name
	from = min(from+len(colon)+1, to)
	switch name {
	case "rtpmap", "fmtp":
		format, next := s.format(from)
		if name == "rtpmap" {
			s.rtpmap(next)
			if isStatic(format, s.text[next:]) {
				u.traits |= implied
			}
		} else {
			s.params(next, to, ';', "fmtp")
		}
		return group + " " + format
	case "fingerprint":
		s.fields(from, "hash", "key")
		if p := &s.pieces[len(s.pieces)-1]; p.role == s.c.id("key") {
			s.usual(p, whyKey)
		}
	default:
		s.attributeValue(name, from)
	}
	return group
}

// attributeValue reads the value of an attribute, which begins at from.
func (s *scribe) attributeValue(name string, from int) {
	to := len(s.text)
	switch name {
	case "ice-ufrag", "ice-pwd", "tls-id":
		s.usual(s.piece(from, to, "value", s.text[from:to]), whyKey)
	case "ssrc", "ssrc-group", "msid", "msid-semantic":
		s.source(from)
	case "candidate":
		s.candidate(from)
	case "rtcp":
		s.rtcp(from)
	case "path":
		s.usual(s.piece(from, to, "value", s.text[from:to]), whySession)
	case "crypto":
		s.crypto(from)
	default:
		s.words(from, to)
	}
}

// source reads what names the sources of a stream (RFC 5576 4, RFC 8830 2): all of it is new in each call.
func (s *scribe) source(from int) {
	n := len(s.pieces)
	s.words(from, len(s.text))
	for i := n; i < len(s.pieces); i++ {
		s.usual(&s.pieces[i], whySource)
	}
}

// rtcp reads "port [IN IP4 address]" (RFC 3605 2.1).
func (s *scribe) rtcp(from int) {
	if s.c.named {
		s.fields(from, "port", "nettype", "addrtype", "address")
		return
	}
	s.words(from, len(s.text))
}

// candidate reads a=candidate (RFC 8839 5.1): what an agent is reached by is new in each call, but for the kind of it.
func (s *scribe) candidate(from int) {
	n := len(s.pieces)
	s.fields(from, "foundation", "component", "protocol", "priority", "candidate", "candidate port", "typ", "type")
	for i := n; i < len(s.pieces); i++ {
		switch p := &s.pieces[i]; p.role {
		case s.c.id("component"), s.c.id("protocol"), s.c.id("typ"), s.c.id("type"):
		default:
			s.usual(p, whyKey)
		}
	}
}

// format reads the payload type that an rtpmap or fmtp begins with.
func (s *scribe) format(from int) (format string, next int) {
	first, _ := s.trimmed(from, len(s.text))
	end := first
	for end < len(s.text) && !isBlank(s.text[end]) {
		end++
	}
	format = trimZeros(s.text[first:end])
	s.piece(first, end, "format", format)
	return format, end
}

// rtpmap reads "name/clock/channels" (RFC 8866 6.6): names have no case, and one channel is what is not said.
func (s *scribe) rtpmap(from int) {
	first, last := s.trimmed(from, len(s.text))
	for _, role := range [...]string{"encoding", "clock", "channels"} {
		end := s.until(first, last, "/")
		t := s.text[first:end]
		if role == "channels" && trimZeros(t) == "1" {
			p := s.piece(first, end, role, "1")
			p.class, p.why = loose, whyDefault
		} else {
			s.piece(first, end, role, strings.ToLower(trimZeros(t)))
		}
		first = min(end+1, last)
	}
}

// isStatic reports whether an rtpmap says what holds without it (RFC 3551 6).
func isStatic(format, value string) bool {
	pt, err := strconv.Atoi(format)
	if err != nil {
		return false
	}
	name, clock := sdp.StaticPayload(pt)
	value = strings.TrimSuffix(strings.Trim(value, " \t"), "/1")
	return name != "" && equalFold(value, name+"/"+strconv.FormatUint(uint64(clock), 10))
}

// crypto reads "tag suite inline:key ..." (RFC 4568 9.1): the key is new in each call.
func (s *scribe) crypto(from int) {
	s.fields(from, "tag", "suite")
	for i := range s.pieces {
		if p := &s.pieces[i]; strings.HasPrefix(p.text, "inline:") {
			s.usual(p, whyKey)
		}
	}
}
