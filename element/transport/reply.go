package transport

import (
	"bytes"
	"net/netip"

	"sipscope/decode/sip"
)

// ReplyHop is where a response to the request r goes (RFC 3261 18.2.2, RFC 3581 4).
//
// Over a reliable transport it is the connection that the request came on; Remote then is where to open a new one when
// that is gone: the peer's address with the port of sent-by. A browser behind WS cannot be called back (RFC 7118), so
// there Remote stays the connection's own. Over UDP it is the source address, with the source port when the client asked
// for that by rport, else with the port of sent-by. Local is the address that the request came to: NATs and clients let in
// only what comes from there (RFC 3581 4).
//
// A maddr that is not the source address is not followed, against RFC 3261 18.2.2, over UDP where anybody can write one:
// who sends one request would choose to whom the response, larger and several times, goes. It was for requests by
// multicast, which nothing here takes.
func ReplyHop(r *Received) Hop {
	hop, v := r.Hop, &r.Msg.Via
	hop.Remote = netip.AddrPortFrom(hop.Remote.Addr().Unmap(), hop.Remote.Port())
	if r.Msg.Vias == 0 || hop.Proto == WS || hop.Proto == WSS {
		return hop
	}
	if hop.Proto == UDP {
		maddr, ok := viaMaddr(r.Msg.Raw, v)
		if addr, is := parseHost(maddr); v.HasRPort && (!ok || !is || addr != hop.Remote.Addr()) {
			return hop
		}
	}
	hop.Remote = netip.AddrPortFrom(hop.Remote.Addr(), viaPort(v, hop.Proto))
	return hop
}

// ViaHop is where a response goes by its top Via alone, v in raw, as a stateless proxy needs it (RFC 3261 18.2.2, 16.11;
// RFC 3581 4): received with rport or the port of sent-by, else sent-by. maddr is not followed, as in ReplyHop. Over a
// reliable transport, too, rport is the port to take: it names the connection that the request came on. ViaHop reports
// false for a transport that it does not know, and for a place that is no IP address.
func ViaHop(raw []byte, v *sip.Via) (Hop, bool) {
	proto, ok := parseProtoBytes(v.Transport.Of(raw))
	if !ok {
		return Hop{}, false
	}
	host, port := v.Host.Of(raw), viaPort(v, proto)
	switch {
	case !v.Received.Empty():
		host = v.Received.Of(raw)
		if v.RPort != 0 {
			port = v.RPort
		}
	case v.RPort != 0: // of a client that could not know its address but is seen under the one it gave
		port = v.RPort
	}
	addr, ok := parseHost(host)
	if !ok {
		return Hop{}, false
	}
	return Hop{Proto: proto, Remote: netip.AddrPortFrom(addr, port)}, true
}

// viaPort is the port of sent-by, or what stands for it (RFC 3261 18.2.2).
func viaPort(v *sip.Via, proto Proto) uint16 {
	if v.Port != 0 {
		return v.Port
	}
	return proto.DefaultPort()
}

// viaMaddr finds maddr= of the top Via. Few have one, so the parser does not look for it.
func viaMaddr(raw []byte, v *sip.Via) ([]byte, bool) {
	from := int(v.SentBy.Off) + int(v.SentBy.Len)
	if from == 0 || from >= len(raw) {
		return nil, false
	}
	params := raw[from:viaEnd(raw, from)]
	i := bytes.IndexByte(params, ';')
	if i < 0 {
		return nil, false
	}
	value, ok := sip.Param(params[i:], "maddr")
	return value, ok && len(value) > 0
}

// viaEnd is where the Via value ends that goes on at from: at a comma outside quotes, or at the end of its line, folds
// included.
func viaEnd(raw []byte, from int) int {
	quoted := false
	for i := from; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return i
		case c == '\n' && (i+1 == len(raw) || raw[i+1] != ' ' && raw[i+1] != '\t'):
			return i
		}
	}
	return len(raw)
}

// parseHost reads an IP address, IPv6 with or without its brackets. For IPv4 it does not allocate.
func parseHost(b []byte) (netip.Addr, bool) {
	if n := len(b); n > 2 && b[0] == '[' && b[n-1] == ']' {
		b = b[1 : n-1]
	}
	if len(b) < 2 || len(b) > 64 || !addrStart(b) {
		return netip.Addr{}, false
	}
	if bytes.IndexByte(b, ':') < 0 {
		return parseIPv4(b)
	}
	addr, err := netip.ParseAddr(string(b))
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// parseIPv4 reads four decimal numbers, without leading zeros as netip.ParseAddr does, of which some take them for octal.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var a [4]byte
	for i := range a {
		part := b
		if dot := bytes.IndexByte(b, '.'); i < 3 {
			if dot < 0 {
				return netip.Addr{}, false
			}
			part, b = b[:dot], b[dot+1:]
		}
		n := 0
		for _, c := range part {
			if c < '0' || c > '9' || n > 255 {
				return netip.Addr{}, false
			}
			n = n*10 + int(c-'0')
		}
		if len(part) == 0 || n > 255 || len(part) > 1 && part[0] == '0' {
			return netip.Addr{}, false
		}
		a[i] = byte(n)
	}
	return netip.AddrFrom4(a), true
}

// addrStart reports whether b looks like an address at all. It keeps ParseAddr from making errors of names.
func addrStart(b []byte) bool {
	for _, c := range b {
		switch {
		case c == ':', c == '.', '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'f':
		default:
			return false
		}
	}
	return true
}

// parseProtoBytes is ParseProto for the wire's bytes.
func parseProtoBytes(b []byte) (Proto, bool) {
	if len(b) > 3 || len(b) < 2 {
		return 0, false
	}
	return ParseProto(string(b))
}
