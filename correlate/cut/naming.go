package cut

import (
	"bytes"
	"cmp"
	"math"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// Bounds of what SDP may claim. What is beyond is refused and counted.
const (
	maxAddresses = 64      // of a call
	maxNamings   = 1 << 20 // of all calls, some 40 bytes each
	maxFormats   = 1 << 18 // of all m= lines, some 80 bytes each
	maxPortPairs = 8       // of an m= line that states a number of ports
	maxWords     = 4096    // distinct names and parameters of formats
	maxText      = 256     // bytes of one
	maxBack      = 64      // namings of an address that are looked through for one packet
)

// medium is an m= line of a message.
type medium struct {
	message, line int
	kind          string
	side          correlate.Side // its author
	secure        bool
	formats       []Payload
}

// naming is an address that SDP named, from a frame on.
type naming struct {
	since   uint64 // the frame that named it: nothing before it belongs to the call
	until   int64  // packet time
	call    int
	medium  int // index into namings.media
	control bool
}

// namings are all addresses that calls named.
type namings struct {
	types   []string
	of      map[frame.Endpoint][]naming // by since
	hosts   map[frame.Endpoint]struct{} // without ports
	media   []medium
	words   map[string]string
	total   int
	formats int
	refused uint64
	unread  uint64
	session sdp.Session
	message sip.Message
	scratch []Payload
	secrets map[int]*secrets // by call
	side    correlate.Side   // author of the session at hand
}

// call takes the addresses that a call's messages name.
func (n *namings) call(index int, c *correlate.Call, text Text, linger int64) {
	until := int64(math.MaxInt64)
	if ended(c) && c.Last < math.MaxInt64-linger {
		until = c.Last + linger
	}
	addresses := map[frame.Endpoint]struct{}{}
	for i := range c.Messages {
		m := &c.Messages[i]
		if !m.SDP || m.Repeats >= 0 {
			continue
		}
		var raw []byte
		if text != nil {
			raw = text(index, i)
		}
		if raw == nil || sip.Parse(raw, &n.message) != nil {
			n.unread++
			continue
		}
		body, ok := n.message.SDP()
		if !ok {
			n.unread++
			continue
		}
		sdp.ParseInto(body, &n.session)
		n.side = n.secret(index, c, i, body)
		b := binder{n: n, addresses: addresses, base: naming{since: m.Seq, until: until, call: index}}
		for line := range n.session.Media {
			b.medium(i, line, &n.session.Media[line])
		}
	}
}

// ended reports whether a call is over: hung up, or never answered. Of others the capture may not have the end.
func ended(c *correlate.Call) bool {
	return c.Evidence.End != 0 || c.Evidence.Answer == 0 && c.Evidence.Final != 0 && c.Code >= 300
}

// binder binds the addresses of a message.
type binder struct {
	n         *namings
	addresses map[frame.Endpoint]struct{} // of the call
	base      naming
	line      medium // the m= line at hand
	kept      bool   // it is in namings.media, as base.medium says
}

// medium takes the ports of an m= line.
func (b *binder) medium(message, line int, m *sdp.Media) {
	if !m.RTP() || len(b.n.types) > 0 && !slices.Contains(b.n.types, string(m.Type)) {
		return
	}
	b.line, b.kept = b.n.read(message, line, m), false
	for _, value := range m.Candidates {
		if at, component, ok := candidate(value); ok {
			b.bind(at, component != 1)
		}
	}
	addr, ok := address(m.Connection.Address)
	if m.Port == 0 || !ok {
		return
	}
	for i := range min(max(m.Ports, 1), maxPortPairs) {
		port := m.Port + 2*i // wraps with a hostile port: another port of the same address
		b.bind(netip.AddrPortFrom(addr, port), false)
		if !m.RTCPMux && m.RTCP.Port == 0 {
			b.bind(netip.AddrPortFrom(addr, port+1), true)
		}
	}
	if m.RTCP.Port == 0 || m.RTCP.Port == m.Port {
		return
	}
	if other, ok := address(m.RTCP.Address); ok {
		addr = other
	}
	b.bind(netip.AddrPortFrom(addr, m.RTCP.Port), true)
}

// bind takes an address of the m= line.
func (b *binder) bind(at netip.AddrPort, control bool) {
	if at.Port() == 0 {
		return
	}
	e := frame.FromAddrPort(at)
	_, known := b.addresses[e]
	if n := b.n; !known && len(b.addresses) >= maxAddresses || n.total >= maxNamings {
		n.refused++
		return
	}
	list := b.n.of[e]
	if known && b.repeats(list, control) {
		return
	}
	if !b.kept {
		b.kept, b.base.medium = true, b.n.keep(&b.line)
	}
	x := b.base
	x.control = control
	b.addresses[e] = struct{}{}
	b.n.of[e] = append(list, x)
	b.n.total++
}

// repeats reports whether a naming says what the call's last one of the same address said. So of the copies of a message
// on many hops the first one counts.
func (b *binder) repeats(list []naming, control bool) bool {
	last := &list[len(list)-1]
	if last.call != b.base.call || last.control != control {
		return false
	}
	was, is := &b.n.media[last.medium], &b.line
	return was.line == is.line && was.kind == is.kind && was.secure == is.secure && slices.Equal(was.formats, is.formats)
}

// read reads an m= line. Its formats share memory with those of the line before, until it is kept.
func (n *namings) read(message, line int, m *sdp.Media) medium {
	x := medium{message: message, line: line, kind: n.word(m.Type), side: n.side, secure: m.Secure(), formats: n.scratch[:0]}
	for i := range m.Formats {
		if f := &m.Formats[i]; f.PT >= 0 {
			x.formats = append(x.formats, n.format(f))
		}
	}
	n.scratch = x.formats
	return x
}

// keep keeps an m= line and gives its place.
func (n *namings) keep(m *medium) int {
	x := *m
	if n.formats+len(x.formats) > maxFormats {
		x.formats = nil
		n.refused++
	}
	n.formats += len(x.formats)
	x.formats = slices.Clone(x.formats)
	n.media = append(n.media, x)
	return len(n.media) - 1
}

// format is what a format of an m= line stands for.
func (n *namings) format(f *sdp.Format) Payload {
	p := FormatPayload(f)
	p.Name, p.Params = n.word([]byte(p.Name)), n.word([]byte(p.Params))
	return p
}

// FormatPayload is what a format of an m= line stands for, by its rtpmap or RFC 3551. Its PT is that of the format, which
// has to have one.
func FormatPayload(f *sdp.Format) Payload {
	name, clock, channels := f.Encoding()
	if len(name) > maxText {
		name = ""
	}
	return Payload{
		PT: uint8(f.PT & 0x7f), Name: name, Clock: clock, Channels: channels,
		Params: string(f.Params[:min(len(f.Params), maxText)]),
	}
}

// Payloads are the payload types of an m= line, in its order: what its author wants to receive (RFC 3264 5.1).
func Payloads(m *sdp.Media) []Payload {
	if !m.RTP() {
		return nil
	}
	all := make([]Payload, 0, len(m.Formats))
	for i := range m.Formats {
		if m.Formats[i].PT >= 0 {
			all = append(all, FormatPayload(&m.Formats[i]))
		}
	}
	return all
}

// word keeps one copy of a text.
func (n *namings) word(text []byte) string {
	text = text[:min(len(text), maxText)]
	if known, ok := n.words[string(text)]; ok {
		return known
	}
	if n.words == nil {
		n.words = map[string]string{}
	}
	s := string(text)
	if len(n.words) < maxWords {
		n.words[s] = s
	}
	return s
}

// finish puts the namings in order: calls that overlap were taken one after the other.
func (n *namings) finish() {
	n.hosts = map[frame.Endpoint]struct{}{}
	for e, list := range n.of {
		slices.SortStableFunc(list, func(a, b naming) int { return cmp.Compare(a.since, b.since) })
		e.Port = 0
		n.hosts[e] = struct{}{}
	}
	n.words, n.scratch, n.session, n.message = nil, nil, sdp.Session{}, sip.Message{}
}

// host reports whether a port of a host was named.
func (n *namings) host(e frame.Endpoint) bool {
	e.Port = 0
	_, ok := n.hosts[e]
	return ok
}

// find is the newest naming of an address before a frame, of a call that goes on; nil for none.
func (n *namings) find(e frame.Endpoint, seq uint64, now int64) *naming {
	return n.of1(e, seq, now, -1)
}

// of1 is find for one call; -1 for any.
func (n *namings) of1(e frame.Endpoint, seq uint64, now int64, call int) *naming {
	list := n.of[e]
	last := sort.Search(len(list), func(i int) bool { return list[i].since >= seq })
	for i := last - 1; i >= max(0, last-maxBack); i-- {
		if x := &list[i]; now <= x.until && (call < 0 || x.call == call) {
			return x
		}
	}
	return nil
}

// payload is what a payload type stands for: as the receiver's SDP says (RFC 3264 5.1), else as the sender's, else as RFC
// 3551.
func (n *namings) payload(pt uint8, by ...*naming) Payload {
	for _, x := range by {
		if x == nil {
			continue
		}
		for _, p := range n.media[x.medium].formats {
			if p.PT == pt && p.Name != "" {
				return p
			}
		}
	}
	const stereo = 10 // L16 of two channels, the only static type with more than one (RFC 3551 6)
	name, clock := sdp.StaticPayload(int(pt))
	p := Payload{PT: pt, Name: name, Clock: clock, Channels: 1}
	if pt == stereo {
		p.Channels = 2
	}
	return p
}

// candidate reads an ICE candidate: foundation, component, transport, priority, address, port, and more (RFC 8839 5.1).
func candidate(value []byte) (at netip.AddrPort, component int, ok bool) {
	const fields = 6
	var words [fields][]byte
	n := 0
	for word := range bytes.FieldsSeq(value) {
		if n == fields {
			break
		}
		words[n] = word
		n++
	}
	if n < fields || !bytes.EqualFold(words[2], []byte("UDP")) {
		return at, 0, false
	}
	addr, ok := address(words[4])
	port, err := strconv.ParseUint(string(words[5]), 10, 16)
	component, _ = strconv.Atoi(string(words[1])) // another than 1 is none of RTP
	return netip.AddrPortFrom(addr, uint16(port)), component, ok && err == nil
}

// address reads an address that media may be sent to. Host names are not resolved.
func address(text []byte) (addr netip.Addr, ok bool) {
	const longest = 45 // of an IPv6 address with IPv4 in it (RFC 4291 2.2)
	if len(text) == 0 || len(text) > longest {
		return addr, false
	}
	addr, err := netip.ParseAddr(string(text))
	addr = addr.Unmap()
	return addr, err == nil && !addr.IsUnspecified()
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
