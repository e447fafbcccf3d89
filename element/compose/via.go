package compose

import (
	"bytes"
	"net/netip"
	"strconv"

	"sipscope/decode/sip"
)

// Via is the Via value that an element puts above the others (RFC 3261 8.1.1.7, 18.1.1).
type Via struct {
	Proto  string         // "UDP", "TCP", "TLS", "WS" or "WSS"; "" writes no Via
	Host   string         // sent-by when it is no address, e.g. "df7jal23ls0d.invalid" (RFC 7118 5.2); "" for SentBy
	SentBy netip.AddrPort // a port of 0 is not written
	Branch string
	RPort  bool // ask for the response at the port that the request comes from (RFC 3581)
	Alias  bool // offer the connection for requests the other way (RFC 5923)
}

// AppendTo appends the value, e.g. "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport".
func (v *Via) AppendTo(dst []byte) []byte {
	dst = append(dst, "SIP/2.0/"...)
	dst = append(dst, v.Proto...)
	dst = append(dst, ' ')
	if v.Host != "" {
		dst = append(dst, v.Host...)
	} else {
		dst = AppendHost(dst, v.SentBy.Addr())
	}
	if p := v.SentBy.Port(); p != 0 {
		dst = strconv.AppendUint(append(dst, ':'), uint64(p), 10)
	}
	dst = append(dst, ";branch="...)
	dst = append(dst, v.Branch...)
	if v.RPort {
		dst = append(dst, ";rport"...)
	}
	if v.Alias {
		dst = append(dst, ";alias"...)
	}
	return dst
}

// AppendHost appends an address as a URI or a Via has it: IPv6 in brackets (RFC 3261 25.1), an IPv4 address that IPv6
// carries as IPv4, no zone, which means nothing to others.
func AppendHost(dst []byte, a netip.Addr) []byte {
	if a = a.Unmap().WithZone(""); a.Is4() {
		return a.AppendTo(dst)
	}
	return append(a.AppendTo(append(dst, '[')), ']')
}

// via writes a header with v.
func (w *writer) via(v *Via) {
	if v.Proto == "" {
		return
	}
	w.name(sip.HeaderVia, "")
	from := len(w.buf)
	w.buf = v.AppendTo(w.buf)
	if breaks(w.buf[from:], false) {
		w.fail(sip.ErrLineBreak)
	}
	w.end()
}

// vias writes a Via header of req; of the one with the top value, that is completed for a request from src.
func (w *writer) vias(req *sip.Message, h *sip.Header, src netip.AddrPort, top bool) {
	w.name(sip.HeaderVia, "")
	value := h.Value.Of(req.Raw)
	if top && src.IsValid() {
		from, to := firstValue(value)
		w.stamped(req, int(h.Value.Off)+from, int(h.Value.Off)+to, src)
		value = value[to:]
	}
	w.unfolded(value)
	w.end()
}

// stamped writes the top Via value raw[from:to] with received= and rport= (RFC 3261 18.2.1, RFC 3581 4). What a client
// says of these two itself is of no use, and replaced.
func (w *writer) stamped(req *sip.Message, from, to int, src netip.AddrPort) {
	raw, v := req.Raw, &req.Via
	at := int(v.SentBy.Off + v.SentBy.Len)
	if v.SentBy.Empty() || at < from || at > to { // unreadable: nothing says where its parameters begin
		at = to
	}
	due := v.HasRPort || !sameHost(v.Host.Of(raw), src.Addr())
	if !due && v.Received.Empty() {
		w.unfolded(raw[from:to])
		return
	}
	w.unfolded(raw[from:at])
	var received, rport bool
	for at < to {
		end := paramEnd(raw, at, to)
		switch param := raw[at:end]; {
		case isParam(param, "received"):
			if !received {
				w.received(src)
			}
			received = true
		case isParam(param, "rport"):
			if !rport {
				w.buf = append(w.buf, ";rport="...)
				w.buf = strconv.AppendUint(w.buf, uint64(src.Port()), 10)
			}
			rport = true
		default:
			w.unfolded(param)
		}
		at = end
	}
	if !received {
		w.received(src)
	}
}

func (w *writer) received(src netip.AddrPort) {
	w.buf = append(w.buf, ";received="...)
	w.buf = src.Addr().Unmap().WithZone("").AppendTo(w.buf)
}

// sameHost reports whether a sent-by host is the address a. Most are written as netip writes them.
func sameHost(host []byte, a netip.Addr) bool {
	if len(host) >= 2 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	a = a.Unmap().WithZone("")
	var b [64]byte
	if bytes.Equal(a.AppendTo(b[:0]), host) {
		return true
	}
	if a.Is4() && bytes.IndexByte(host, ':') < 0 || len(host) > len(b) {
		return false
	}
	other, err := netip.ParseAddr(string(host))
	return err == nil && other.Unmap().WithZone("") == a
}

// paramEnd gives where the parameter ends that the ";" at i begins, at most to.
func paramEnd(b []byte, i, to int) int {
	for i++; i < to && b[i] != ';' && b[i] != '='; {
		i++
	}
	if i < to && b[i] == '=' {
		for i++; i < to && isBlank(b[i]); {
			i++
		}
		if i < to && b[i] == '"' {
			i = closeQuote(b, i, to)
		}
	}
	for i < to && b[i] != ';' {
		i++
	}
	return i
}

// AppendWithout appends the parameters ";a=b;c" without those of a name (in lower case), the others as written. It is
// how a To without its tag is made.
func AppendWithout(dst, params []byte, name string) []byte {
	for at := 0; at < len(params); {
		end := paramEnd(params, at, len(params))
		if param := params[at:end]; !isParam(param, name) {
			dst = append(dst, param...)
		}
		at = end
	}
	return dst
}

// isParam reports whether a parameter, with its ";", has a name (in lower case).
func isParam(param []byte, name string) bool {
	b := param
	for len(b) > 0 && (b[0] == ';' || isBlank(b[0])) {
		b = b[1:]
	}
	if len(b) < len(name) {
		return false
	}
	for i := range len(name) {
		if b[i]|0x20 != name[i] {
			return false
		}
	}
	for _, c := range b[len(name):] {
		if !isBlank(c) {
			return c == '='
		}
	}
	return true
}
