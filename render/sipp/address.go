package sipp

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Keywords for the places of both ends. In a URI the port always stands there, since SIPp may use another one than 5060.
const (
	localPlace  = "[local_ip]:[local_port]"
	remotePlace = "[remote_ip]:[remote_port]"
)

// maxHosts bounds how many addresses of a participant are looked for: a phone has one or two.
const maxHosts = 4

// contacts lets the Contact lead to SIPp, whatever the recorded one led to: behind a NAT it is another address than that
// of the packets.
func (x *editor) contacts() {
	c := &x.m.Contact
	if c.Host.Empty() || x.m.ContactStar {
		return
	}
	if !x.e.isRequest() && (x.e.facts.Status >= 300 || x.e.is("REGISTER") || x.e.method() == "REGISTER") {
		return // others' addresses; what is ours among them is found below
	}
	off, end := int(c.Host.Off), hostEnd(x.m.Raw, int(c.Host.Off+c.Host.Len))
	x.replace(off, end, localPlace)
	uri := int(c.URI.Off + c.URI.Len)
	if uri <= end {
		return
	}
	if t, ok := sip.Param(x.m.Raw[end:uri], "transport"); ok && strings.EqualFold(string(t), x.b.v.proto().String()) {
		if i := bytes.Index(x.m.Raw[end:uri], t); i >= 0 {
			x.replace(end+i, end+i+len(t), "[transport]")
		}
	}
}

// hostEnd is where host:port ends, by where the host does.
func hostEnd(raw []byte, host int) int {
	if host >= len(raw) || raw[host] != ':' {
		return host
	}
	end := host + 1
	for end < len(raw) && raw[end] >= '0' && raw[end] <= '9' {
		end++
	}
	if end == host+1 {
		return host
	}
	return end
}

// addresses lets what names an end's address name that of SIPp: in the start line and in all headers but the Vias of
// others and the Call-ID.
func (x *editor) addresses() {
	raw := x.m.Raw
	from := 0
	for i := range x.m.Headers {
		h := &x.m.Headers[i]
		if h.ID == sip.HeaderVia || h.ID == sip.HeaderCallID {
			off, end := x.line(i)
			x.hosts(raw, from, off)
			from = end
		}
	}
	x.hosts(raw, from, int(x.m.Head))
}

// hosts replaces the addresses of both ends between two offsets.
func (x *editor) hosts(raw []byte, from, to int) {
	if from >= to {
		return
	}
	for _, e := range x.b.myHosts {
		x.host(raw, from, to, e, x.b.mine, localPlace)
	}
	if x.b.v.caller { // a UAS of SIPp's does not know who calls it
		x.host(raw, from, to, x.b.peerHost, []frame.Endpoint{x.b.peer}, remotePlace)
	}
}

// host replaces one address. place are the keywords for address and port.
func (x *editor) host(raw []byte, from, to int, addr netip.Addr, ports []frame.Endpoint, place string) {
	name := addr.String()
	if addr.Is6() {
		name = "[" + name + "]"
	}
	for pos := from; pos < to; {
		i := bytes.Index(raw[pos:to], []byte(name))
		if i < 0 {
			return
		}
		off := pos + i
		end := off + len(name)
		pos = end
		if !apart(raw, off, end) {
			continue
		}
		ip, _, _ := strings.Cut(place, ":")
		full := hostEnd(raw, end)
		port := []byte("5060")
		if full > end {
			port = raw[end+1 : full]
		}
		switch {
		case x.b.shared && !known(ports, port): // both ends have this address: it is the other one's
		case inURI(raw, off), full > end && known(ports, port):
			x.replace(off, full, place)
		default:
			x.replace(off, end, ip)
		}
	}
}

// apart reports whether an address is no part of a longer word.
func apart(raw []byte, off, end int) bool {
	word := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_'
	}
	if off > 0 && word(raw[off-1]) {
		return false
	}
	return end >= len(raw) || !word(raw[end]) || raw[end] == '.' && (end+1 >= len(raw) || !word(raw[end+1]))
}

// inURI reports whether what begins at off is the host of a SIP URI.
func inURI(raw []byte, off int) bool {
	before := raw[max(0, off-64):off]
	if bytes.HasSuffix(before, []byte("@")) {
		i := bytes.LastIndexAny(before, "<\" \t\r\n,")
		return sipScheme(before[i+1:])
	}
	return sipScheme(before[max(0, len(before)-5):])
}

func sipScheme(b []byte) bool {
	s := strings.ToLower(string(b))
	return strings.Contains(s, "sip:") || strings.Contains(s, "sips:")
}

// known reports whether a port is one of those of a participant.
func known(all []frame.Endpoint, port []byte) bool {
	n, err := strconv.ParseUint(string(port), 10, 16)
	for _, e := range all {
		if err == nil && uint64(e.Port) == n {
			return true
		}
	}
	return false
}

// body fills a session description and the length.
func (x *editor) body() {
	body := x.m.Raw[x.m.Head:]
	before := len(x.edits)
	if sdp, ok := x.m.SDP(); ok && len(sdp) > 0 {
		if i := bytes.Index(body, sdp); i >= 0 {
			x.session(int(x.m.Head)+i, sdp)
		}
	}
	changed := len(x.edits) > before
	stated := x.m.ContentLength
	if len(body) == 0 || stated < 0 {
		if stated > 0 {
			x.b.note(x.e, "Content-Length is not that of its body, as recorded")
		}
		return
	}
	if stated != int64(len(body)) && !x.b.cut(x.e) {
		x.b.note(x.e, "Content-Length is not that of its body, as recorded")
		return
	}
	if !changed && !x.b.cut(x.e) || !bytes.HasSuffix(x.m.Raw[:x.m.Head], []byte("\r\n\r\n")) {
		return
	}
	if h, ok := x.m.Value(sip.HeaderContentLength); ok {
		if at := x.offset(h); at >= 0 {
			x.replace(at, at+len(h), "[len]")
		}
	}
}

// session fills a session description that begins at off: where SIPp receives media.
func (x *editor) session(off int, sdp []byte) {
	media := 0
	for line := range bytes.Lines(sdp) {
		text := bytes.TrimRight(line, "\r\n")
		switch {
		case bytes.HasPrefix(text, []byte("o=")):
			x.origin(off, text)
		case bytes.HasPrefix(text, []byte("c=")):
			x.connection(off, text)
		case bytes.HasPrefix(text, []byte("m=")):
			x.port(off, text, media)
			media++
		case bytes.HasPrefix(text, []byte("a=rtcp:")), bytes.HasPrefix(text, []byte("a=candidate:")),
			bytes.HasPrefix(text, []byte("a=crypto:")), bytes.HasPrefix(text, []byte("a=fingerprint:")):
			name, _, _ := strings.Cut(string(text[2:]), ":")
			x.b.note(nil, "a="+name+" is as recorded: SIPp has no RTCP, ICE or SRTP of the kind")
		}
		off += len(line)
	}
}

// origin fills address type and address of o= (RFC 8866 5.2).
func (x *editor) origin(off int, text []byte) {
	f := bytes.Fields(text)
	if len(f) != 6 || !address(f[5]) {
		return
	}
	x.typed(off, text, f[4], f[5])
}

// connection fills those of c= (RFC 8866 5.7), but for hold and multicast.
func (x *editor) connection(off int, text []byte) {
	f := bytes.Fields(text)
	if len(f) != 3 {
		return
	}
	if a, err := netip.ParseAddr(string(f[2])); err == nil && (a.IsUnspecified() || a.IsMulticast()) || err != nil && bytes.Contains(f[2], []byte("/")) {
		return
	}
	x.typed(off, text, f[1], f[2])
}

// typed fills "IP4 192.0.2.1".
func (x *editor) typed(off int, text, kind, addr []byte) {
	if string(kind) != "IP4" && string(kind) != "IP6" {
		return
	}
	end := len(bytes.TrimRight(text, " \t"))
	at := end - len(addr)
	k := bytes.LastIndex(text[:at], kind)
	if k < 0 {
		return
	}
	x.replace(off+k+2, off+k+3, "[media_ip_type]")
	x.replace(off+at, off+end, "[media_ip]")
}

func address(b []byte) bool {
	_, err := netip.ParseAddr(string(b))
	return err == nil
}

// port fills that of an m= line. SIPp takes the keyword on lines of these media only.
func (x *editor) port(off int, text []byte, n int) {
	f := bytes.Fields(text)
	if len(f) < 3 {
		return
	}
	port := f[1]
	if i := bytes.IndexByte(port, '/'); i >= 0 {
		port = port[:i]
	}
	if !digits(port) || len(bytes.Trim(port, "0")) == 0 {
		return // rejected, or nothing to replace
	}
	kind := string(f[0])
	if kind != "m=audio" && kind != "m=video" && kind != "m=image" {
		x.b.note(x.e, "the port of "+remark(kind)+" is as recorded: SIPp has none for it")
		return
	}
	with := "[auto_media_port]"
	if n > 0 {
		with = "[auto_media_port+" + strconv.Itoa(2*n) + "]"
	}
	at := off + bytes.Index(text[len(f[0]):], f[1]) + len(f[0])
	x.replace(at, at+len(port), with)
}
