package hep

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"
)

// Chunk types of vendor 0.
const (
	chunkFamily     = 1
	chunkProto      = 2
	chunkSrc4       = 3
	chunkDst4       = 4
	chunkSrc6       = 5
	chunkDst6       = 6
	chunkSrcPort    = 7
	chunkDstPort    = 8
	chunkSeconds    = 9
	chunkMicros     = 10
	chunkType       = 11
	chunkCaptureID  = 12
	chunkKeepAlive  = 13
	chunkKey        = 14
	chunkPayload    = 15
	chunkCompressed = 16
	chunkCorrelate  = 17
	chunkVLAN       = 18
	chunkNode       = 19
)

// Decode takes the message that b begins with apart, without copying: p slices into b. Chunks that it does not know, and
// those of vendors, are skipped; bytes after a version 3 message are ignored. An *Error says what is wrong; p is then of
// no use. It does not allocate when there is no error.
func Decode(b []byte, p *Packet) error {
	if len(b) > 0 && (b[0] == 1 || b[0] == 2) {
		return decodeOld(b, p)
	}
	n, state := Extent(b)
	switch {
	case state == NotHEP || len(b) == 0:
		return &Error{Reason: "no HEP header"}
	case n == 0:
		return &Error{Offset: len(b), Reason: "header is cut short"}
	case state == NeedMore:
		return &Error{Offset: len(b), Reason: "message of " + strconv.Itoa(n) + " bytes is cut short"}
	}
	return decodeChunks(b[:n:n], p)
}

// decodeChunks takes a whole message of version 3 apart.
func decodeChunks(b []byte, p *Packet) error {
	*p = Packet{Version: 3}
	var f fields
	for at := headSize; at < len(b); {
		if len(b)-at < chunkHead {
			return &Error{Offset: at, Reason: "chunk header is cut short"}
		}
		c := b[at:]
		n := int(binary.BigEndian.Uint16(c[4:]))
		if n < chunkHead || n > len(c) {
			return &Error{Offset: at, Reason: "chunk of " + strconv.Itoa(n) + " bytes where " +
				strconv.Itoa(len(c)) + " are left"}
		}
		if binary.BigEndian.Uint16(c) == 0 && !f.chunk(p, binary.BigEndian.Uint16(c[2:]), c[chunkHead:n:n], at+chunkHead) {
			return &Error{Offset: at, Reason: "chunk of type " + strconv.Itoa(int(binary.BigEndian.Uint16(c[2:]))) +
				" with a value of " + strconv.Itoa(n-chunkHead) + " bytes that does not fit"}
		}
		at += n
	}
	p.Src = netip.AddrPortFrom(f.src, f.srcPort)
	p.Dst = netip.AddrPortFrom(f.dst, f.dstPort)
	if f.seconds != 0 {
		p.Time = int64(f.seconds)*int64(time.Second) + int64(f.micros)*int64(time.Microsecond)
	}
	return nil
}

// fields are those that several chunks make up.
type fields struct {
	src, dst         netip.Addr
	srcPort, dstPort uint16
	seconds, micros  uint32
}

// chunk takes one chunk of vendor 0; off is the offset of its value. It reports whether the value fits the type.
func (f *fields) chunk(p *Packet, typ uint16, v []byte, off int) (ok bool) {
	switch typ {
	case chunkPayload, chunkCompressed:
		p.Payload, p.PayloadOff, p.Compressed = v, off, typ == chunkCompressed
	case chunkKey:
		p.Key = v
	case chunkCorrelate:
		p.CorrelationID = v
	case chunkNode:
		p.Node = v
	case chunkSrc4, chunkSrc6:
		return address(&f.src, v, typ == chunkSrc6)
	case chunkDst4, chunkDst6:
		return address(&f.dst, v, typ == chunkDst6)
	default:
		return f.number(p, typ, v)
	}
	return true
}

// number takes a chunk that is an integer, or of no known type.
func (f *fields) number(p *Packet, typ uint16, v []byte) bool {
	if typ == 0 || typ > chunkNode {
		return true
	}
	n, ok := integer(v)
	if !ok {
		return false
	}
	switch typ {
	case chunkFamily:
		return set(&p.Family, n)
	case chunkProto:
		return set(&p.Proto, n)
	case chunkType:
		return set(&p.Type, n)
	case chunkSrcPort:
		return set(&f.srcPort, n)
	case chunkDstPort:
		return set(&f.dstPort, n)
	case chunkKeepAlive:
		return set(&p.KeepAlive, n)
	case chunkVLAN:
		return set(&p.VLAN, n)
	case chunkSeconds:
		f.seconds = n
	case chunkMicros:
		f.micros = n
	case chunkCaptureID:
		p.CaptureID = n
	}
	return true
}

// integer reads an integer of 1, 2 or 4 bytes: agents do not agree on the size of some, and the value tells.
func integer(v []byte) (n uint32, ok bool) {
	switch len(v) {
	case 1:
		return uint32(v[0]), true
	case 2:
		return uint32(binary.BigEndian.Uint16(v)), true
	case 4:
		return binary.BigEndian.Uint32(v), true
	}
	return 0, false
}

// set stores n when it fits.
func set[T uint8 | uint16](into *T, n uint32) bool {
	*into = T(n)
	return uint32(*into) == n
}

func address(a *netip.Addr, v []byte, six bool) (ok bool) {
	switch {
	case six && len(v) == 16:
		*a = netip.AddrFrom16([16]byte(v))
	case !six && len(v) == 4:
		*a = netip.AddrFrom4([4]byte(v))
	default:
		return false
	}
	return true
}

// old says where things are in a message of version 1 or 2.
type old struct {
	six     bool
	time    int // offset of the time header; 0 for none
	payload int // offset
}

// oldLayout checks a header of version 1 or 2: everything must add up, for nothing else says that it is one.
func oldLayout(b []byte) (o old, ok bool) {
	if len(b) < oldHead || b[0] != 1 && b[0] != 2 || !oldProto(b[3]) {
		return o, false
	}
	size, ok := oldAddresses(b[2])
	if !ok || !o.place(b, size) {
		return o, false
	}
	o.six = size == oldSize6
	if len(b) <= o.payload || binary.BigEndian.Uint32(b[4:]) == 0 { // nothing in it, or from port 0 to port 0
		return o, false
	}
	return o, o.time == 0 || oldTime(b[o.time:]) != 0
}

// place finds the payload; size is that of the header without the time header. It reports whether the length that the
// header says is one of those that agents write.
func (o *old) place(b []byte, size int) bool {
	said := int(b[1])
	if b[0] == 1 {
		o.payload = size
		return said == size
	}
	o.time, o.payload = size, size+timeHead
	switch said {
	case size: // the time header not counted: Kamailio
	case size + timeHead:
	case size + timePacked:
		o.payload = said
	case len(b) >> 8: // sngrep: one byte of the length of the whole
	default:
		return false
	}
	return true
}

// Sizes of the header without the time header.
const (
	oldSize4 = oldHead + 2*4
	oldSize6 = oldHead + 2*16
)

// oldAddresses is the size for a family of addresses.
func oldAddresses(family byte) (size int, ok bool) {
	switch family {
	case familyIPv4:
		return oldSize4, true
	case familyIPv6, 24, 28, 30: // 24 and 28 on BSD, 30 on macOS
		return oldSize6, true
	}
	return 0, false
}

func oldProto(proto byte) bool {
	switch proto {
	case protoUDP, protoTCP, protoSCTP, protoTLS:
		return true
	}
	return false
}

// oldTime reads a time header; 0 for one that cannot be.
func oldTime(b []byte) int64 {
	seconds, micros := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if t := int64(seconds)*int64(time.Second) + int64(micros)*int64(time.Microsecond); micros < 1e6 && plausible(t) {
		return t
	}
	return 0
}

// Times outside of these two, in ns since 1970, are no times of a capture: before 2000 and after 2100.
const (
	earliest = 946_684_800 * int64(time.Second)
	latest   = 4_102_444_800 * int64(time.Second)
)

func plausible(t int64) bool { return t >= earliest && t < latest }

// decodeOld takes a message of version 1 or 2 apart.
func decodeOld(b []byte, p *Packet) error {
	o, ok := oldLayout(b)
	if !ok {
		return &Error{Reason: "header of version " + strconv.Itoa(int(b[0])) + " does not add up"}
	}
	*p = Packet{
		Version: b[0], Family: b[2], Proto: b[3], Type: TypeSIP, Payload: b[o.payload:], PayloadOff: o.payload,
	}
	var src, dst netip.Addr
	if o.six {
		src, dst = netip.AddrFrom16([16]byte(b[oldHead:])), netip.AddrFrom16([16]byte(b[oldHead+16:]))
	} else {
		src, dst = netip.AddrFrom4([4]byte(b[oldHead:])), netip.AddrFrom4([4]byte(b[oldHead+4:]))
	}
	p.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b[4:]))
	p.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[6:]))
	if o.time != 0 {
		p.Time = oldTime(b[o.time:])
		p.CaptureID = uint32(binary.LittleEndian.Uint16(b[o.time+8:]))
	}
	return nil
}
