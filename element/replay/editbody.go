package replay

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
)

// bodyEdits finds the places of the body.
func (e *editor) bodyEdits() {
	m := e.m
	body := m.Body.Of(m.Raw)
	if len(body) == 0 {
		return
	}
	if e.in != nil && bytes.Equal(body, e.in.Body.Of(e.in.Raw)) {
		e.s.sdpLive = true
		e.put(m.Body.Off, m.Body.Off+m.Body.Len, opBody, 0)
		return
	}
	kind := strings.ToLower(string(m.ContentType.Of(m.Raw)))
	if !strings.HasPrefix(kind, "multipart/") {
		e.part(kind, m.Body)
		return
	}
	end := m.Body.Off
	for p := range m.Parts() {
		if kind = strings.ToLower(string(p.Type)); strings.HasPrefix(kind, "multipart/") || p.Body.Off < end {
			continue // its own parts follow
		}
		e.part(kind, p.Body)
		end = p.Body.Off + p.Body.Len
	}
}

// part finds the places of a body, or a part of one. What is neither SDP nor text about SIP stays as it is.
func (e *editor) part(kind string, body sip.Span) {
	from, to := body.Off, body.Off+body.Len
	switch {
	case kind == "application/sdp":
		e.sdp(from, to)
	case kind == "message/sipfrag", kind == "message/sip", kind == "application/sip":
		e.scope = e.s.call
		e.scan(from, to, 0)
	case strings.HasSuffix(kind, "+xml"), kind == "application/xml", kind == "text/xml":
		e.scope = e.s.call
		e.scan(from, to, inXML)
	}
}

// described is a session description that is edited.
type described struct {
	*editor
	session netip.Addr // of c= before the first m=
	media   netip.Addr // of the c= of the media that is read; zero: none
	socket  int32      // of the media that is read; none
}

// sdp finds the places of a session description of ours: addresses and ports become those of our sockets, the session id
// a fresh one, whose version counts as recorded (RFC 3264 8).
func (e *editor) sdp(from, to uint32) {
	d := &described{editor: e, socket: none}
	for at := from; at < to; {
		end := at
		for end < to && e.m.Raw[end] != '\n' {
			end++
		}
		next := min(end+1, to)
		for end > at && (e.m.Raw[end-1] == '\r' || e.m.Raw[end-1] == ' ') {
			end--
		}
		if end > at+2 && e.m.Raw[at+1] == '=' {
			d.line(e.m.Raw[at], at+2, end, to)
		}
		at = next
	}
}

func (d *described) line(kind byte, from, end, to uint32) {
	switch kind {
	case 'o':
		d.origin(from, end)
	case 'c':
		if fields := d.fields(from, end); len(fields) == 3 {
			addr := d.addr(fields[2])
			if d.socket < 0 && !d.media.IsValid() {
				d.session = addr
			}
			d.address(fields[1], fields[2])
		}
	case 'm':
		d.description(from, end, to)
	case 'a':
		d.attribute(from, end)
	}
}

// fields are the words of a line.
func (d *described) fields(from, end uint32) []sip.Span {
	var all []sip.Span
	for at := from; at < end && len(all) < 32; {
		for at < end && d.m.Raw[at] == ' ' {
			at++
		}
		word := at
		for at < end && d.m.Raw[at] != ' ' {
			at++
		}
		if at > word {
			all = append(all, sip.Span{Off: word, Len: at - word})
		}
	}
	return all
}

func (d *described) addr(s sip.Span) netip.Addr {
	text, _, _ := strings.Cut(string(s.Of(d.m.Raw)), "/") // of multicast, its time to live
	a, _ := netip.ParseAddr(text)
	return a.Unmap().WithZone("")
}

// origin is "user id version IN IP4 address".
func (d *described) origin(from, end uint32) {
	f := d.fields(from, end)
	if len(f) != 6 {
		return
	}
	id := string(f[1].Of(d.m.Raw))
	t := d.token(tokenOrigin, d.s.from, id, d.s)
	d.put(f[1].Off, f[1].Off+f[1].Len, opToken, t)
	d.address(f[4], f[5])
}

// owner is whose address a session description names: the sender's, wherever that is, but where it names that of another
// one that we play, as a back-to-back user agent that leaves the media to the others, that one's.
func (d *described) owner(a netip.Addr) int32 {
	if h, ok := d.alone[a]; ok && h >= 0 && d.hosts[h].part == plan.Played {
		return h
	}
	return d.s.from
}

// address is "IP4 192.0.2.1", which becomes our address, unless it holds (0.0.0.0) or is a group.
func (d *described) address(family, at sip.Span) {
	a := d.addr(at)
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return
	}
	own := d.hosts[d.owner(a)].addr.Addr()
	d.putText(family.Off, family.Off+family.Len, familyOf(own))
	d.putText(at.Off, at.Off+at.Len, own.String())
}

func familyOf(a netip.Addr) string {
	if a.Is6() {
		return "IP6"
	}
	return "IP4"
}

// description is "audio 4000 RTP/AVP 0"; a port of 0 refuses the media and stays.
func (d *described) description(from, end, to uint32) {
	d.socket, d.media = none, d.lookAhead(end, to)
	f := d.fields(from, end)
	if len(f) < 3 {
		return
	}
	port := f[1]
	if n := bytes.IndexByte(port.Of(d.m.Raw), '/'); n >= 0 {
		port.Len = uint32(n) //nolint:gosec // a message is far below 4 GiB
	}
	n, err := strconv.ParseUint(string(port.Of(d.m.Raw)), 10, 16)
	if err != nil || n == 0 || !strings.Contains(strings.ToUpper(string(f[2].Of(d.m.Raw))), "RTP") {
		return
	}
	d.socket = d.socketFor(d.owner(d.media), netip.AddrPortFrom(d.media, uint16(n)))
	if d.o.Media != nil {
		d.put(port.Off, port.Off+port.Len, opMediaPort, d.socket)
	}
}

// lookAhead finds the c= of the media whose m= ends at at; the session's when it has none.
func (d *described) lookAhead(at, to uint32) netip.Addr {
	rest := d.m.Raw[at:to]
	for range 64 { // lines
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		if bytes.HasPrefix(rest, []byte("m=")) {
			break
		}
		if bytes.HasPrefix(rest, []byte("c=IN IP")) {
			line, _, _ := bytes.Cut(rest[2:], []byte("\n"))
			if f := bytes.Fields(line); len(f) == 3 {
				if a, err := netip.ParseAddr(string(f[2])); err == nil {
					return a.Unmap().WithZone("")
				}
			}
		}
	}
	return d.session
}

// socketFor finds the socket that stands for a recorded address of RTP.
func (c *compiler) socketFor(host int32, at netip.AddrPort) int32 {
	key := socketSpec{host, at}
	x, ok := c.socket[key]
	if !ok {
		x = int32(len(c.sockets)) //nolint:gosec // a few for each step
		c.socket[key] = x
		c.sockets = append(c.sockets, key)
	}
	return x
}

// attribute is an a= that names an address or a port.
func (d *described) attribute(from, end uint32) {
	b := d.m.Raw[from:end]
	switch {
	case bytes.HasPrefix(b, []byte("rtcp:")):
		f := d.fields(from+5, end)
		if len(f) > 0 && d.socket >= 0 && d.o.Media != nil {
			d.put(f[0].Off, f[0].Off+f[0].Len, opControlPort, d.socket)
		}
		if len(f) == 4 {
			d.address(f[2], f[3])
		}
	case bytes.HasPrefix(b, []byte("candidate:")):
		d.candidate(from+10, end)
	}
}

// candidate is "foundation component UDP priority address port typ host ..." (RFC 8839 5.1).
func (d *described) candidate(from, end uint32) {
	f := d.fields(from, end)
	if len(f) < 8 {
		return
	}
	own := d.hosts[d.owner(d.addr(f[4]))].addr.Addr()
	if a := d.addr(f[4]); a.IsValid() {
		d.putText(f[4].Off, f[4].Off+f[4].Len, own.String())
	}
	if d.socket >= 0 && d.o.Media != nil {
		o := opMediaPort
		if string(f[1].Of(d.m.Raw)) == "2" {
			o = opControlPort
		}
		d.put(f[5].Off, f[5].Off+f[5].Len, o, d.socket)
	}
	for i := 6; i+3 < len(f); i += 2 {
		if string(f[i].Of(d.m.Raw)) == "raddr" {
			if a := d.addr(f[i+1]); a.IsValid() && !a.IsUnspecified() {
				d.putText(f[i+1].Off, f[i+1].Off+f[i+1].Len, own.String())
			}
		}
	}
}
