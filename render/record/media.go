package record

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"sipscope/capture"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
)

// Bounds of what SDP may claim. What is beyond is refused and counted.
const (
	maxEndpoints = 64      // addresses of a call
	maxListeners = 32      // calls of an address: load tests use one for all
	maxBound     = 1 << 20 // pairs of both, some 100 bytes each
	maxPortPairs = 8       // of an m= line that states a number of ports
)

// protoUDP is UDP's number in IP headers.
const protoUDP = 17

// listener is a call that named an address.
type listener struct {
	call  *call
	since uint64 // the frame that named it: nothing before it belongs to the call
}

// bind takes the addresses that a message's SDP names (RFC 8866 5.14), as long as its call goes on.
func (r *Recorder) bind(c *call, m *decode.Message) {
	text, ok := m.SIP.SDP()
	if !ok {
		return
	}
	sdp.ParseInto(text, &r.session)
	for i := range r.session.Media {
		medium := &r.session.Media[i]
		for _, value := range medium.Candidates {
			r.bindCandidate(c, value, m.Seq)
		}
		if medium.Port != 0 {
			r.bindMedium(c, medium, m.Seq)
		}
	}
}

// bindMedium takes the ports of an m= line for RTP and RTCP.
func (r *Recorder) bindMedium(c *call, m *sdp.Media, seq uint64) {
	addr, ok := address(m.Connection.Address)
	if !ok {
		return
	}
	for i := range min(max(m.Ports, 1), maxPortPairs) {
		port := m.Port + 2*i // wraps with a hostile port: another port of the same address
		r.listen(c, netip.AddrPortFrom(addr, port), seq)
		if !m.RTCPMux && m.RTCP.Port == 0 {
			r.listen(c, netip.AddrPortFrom(addr, port+1), seq)
		}
	}
	if m.RTCP.Port == 0 {
		return
	}
	if other, ok := address(m.RTCP.Address); ok {
		addr = other
	}
	r.listen(c, netip.AddrPortFrom(addr, m.RTCP.Port), seq)
}

// bindCandidate takes the address of an ICE candidate: foundation, component, transport, priority, address, port, and
// more (RFC 8839 5.1).
func (r *Recorder) bindCandidate(c *call, value []byte, seq uint64) {
	var addr netip.Addr
	n := 0
	for word := range bytes.FieldsSeq(value) {
		switch n {
		case 2:
			if !bytes.EqualFold(word, []byte("UDP")) {
				return
			}
		case 4:
			var ok bool
			if addr, ok = address(word); !ok {
				return
			}
		case 5:
			if port, err := strconv.ParseUint(string(word), 10, 16); err == nil {
				r.listen(c, netip.AddrPortFrom(addr, uint16(port)), seq)
			}
			return
		}
		n++
	}
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

// listen makes a call take the datagrams to and from an address.
func (r *Recorder) listen(c *call, at netip.AddrPort, seq uint64) {
	if at.Port() == 0 {
		return
	}
	e := frame.FromAddrPort(at)
	if slices.Contains(c.media, e) {
		return
	}
	l := r.media[e]
	if len(c.media) >= maxEndpoints || len(l) >= maxListeners || r.bound >= maxBound {
		r.stats.refused.Add(1)
		return
	}
	c.media = append(c.media, e)
	r.media[e] = append(l, listener{c, seq})
	r.bound++
}

// unbind forgets a call's addresses.
func (r *Recorder) unbind(c *call) {
	for _, e := range c.media {
		l := slices.DeleteFunc(r.media[e], func(l listener) bool { return l.call == c })
		if len(l) == 0 {
			delete(r.media, e)
		} else {
			r.media[e] = l
		}
		r.bound--
	}
	c.media = nil
}

// medium gives a packet to the calls that named its source or destination.
func (r *Recorder) medium(p *capture.Packet, f *frame.Packet) {
	if f.Proto != protoUDP {
		return
	}
	src, dst := f.Src, f.Dst
	if f.MoreFrags || f.FragOffset != 0 {
		src, dst = r.partials.ports(f)
	}
	r.hear(p, dst)
	if src != dst {
		r.hear(p, src)
	}
}

// hear gives a packet to the calls that named an address.
func (r *Recorder) hear(p *capture.Packet, at frame.Endpoint) {
	for _, l := range r.media[at] {
		c := l.call
		if p.Seq <= l.since || c.deadline != 0 && p.Time > c.deadline {
			continue
		}
		if s := r.ring.at(p.Seq); s != nil {
			r.give(c, s, true)
		}
	}
}

// partials remembers the ports of datagrams whose first fragment came: the others do not have them. An entry is lost
// when another datagram takes its place, which needs more datagrams at once than a video frame is cut into.
type partials [256]struct {
	src, dst     frame.Endpoint // without ports
	id           uint32
	sport, dport uint16
}

// ports gives the source and destination of a fragment with their ports, or without when they are not known.
func (x *partials) ports(f *frame.Packet) (src, dst frame.Endpoint) {
	src, dst = f.Src, f.Dst
	src.Port, dst.Port = 0, 0
	e := &x[(uint64(f.FragID)^src.Lo^dst.Lo)%uint64(len(x))]
	const portBytes = 4 // a UDP header begins with both ports (RFC 768)
	if f.FragOffset == 0 && len(f.Payload) >= portBytes {
		e.src, e.dst, e.id = src, dst, f.FragID
		e.sport, e.dport = binary.BigEndian.Uint16(f.Payload), binary.BigEndian.Uint16(f.Payload[2:])
	}
	if e.src == src && e.dst == dst && e.id == f.FragID {
		src.Port, dst.Port = e.sport, e.dport
	}
	return src, dst
}
