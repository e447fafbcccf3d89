package frame

import (
	"encoding/binary"
	"hash/crc32"
)

const espHead = 8 // SPI 32, sequence number 32

// icvSizes are the lengths of an integrity check value: HMAC-MD5-96 and HMAC-SHA-1-96, AES-GMAC and HMAC-SHA-256-128,
// HMAC-SHA-384-192, HMAC-SHA-512-256, none, and AES-GCM's short one. An IMS phone has the first.
func icvSizes() [6]int { return [...]int{12, 16, 24, 32, 0, 8} }

// esp reads ESP with NULL encryption (RFC 2410), which nothing announces (RFC 5879):
//
//	| SPI 32 | Sequence Number 32 | payload | padding 1, 2, 3, ... | Pad Length 8 | Next Header 8 | ICV |
//
// The trailer must be right for one of the usual sizes of the ICV, and the payload must be what Next Header says, by
// its length and its checksum. It reports whether that is so: random bytes are not, and b was not touched then.
func (d *decoder) esp(b []byte, at int) (r Result, is bool) {
	const trailer = 2
	if d.missing > 0 || len(b) < espHead+trailer+8 || binary.BigEndian.Uint32(b) == 0 {
		return 0, false // before 0 there is an IKE message (RFC 3948 2.2)
	}
	for _, icv := range icvSizes() {
		end := len(b) - icv
		if end < espHead+trailer+8 || (end-espHead)&3 != 0 {
			continue
		}
		pad, next := int(b[end-2]), b[end-1]
		from := end - trailer - pad
		if from < espHead+8 || !padding(b[from:end-trailer]) {
			continue
		}
		inner := b[espHead:from]
		if d.protects(next, inner) {
			return d.protected(binary.BigEndian.Uint32(b), next, inner, at+espHead), true
		}
	}
	return 0, false
}

// padding reports whether b is 1, 2, 3, ... (RFC 4303 2.4).
func padding(b []byte) bool {
	for i, c := range b {
		if int(c) != i+1 {
			return false
		}
	}
	return true
}

// protects reports whether inner is a packet of the protocol next: its lengths are right to the byte, and so are its
// checksums.
func (d *decoder) protects(next byte, inner []byte) bool {
	switch next {
	case protoIPIP:
		return exact4(inner)
	case protoIPv6:
		return exact6(inner)
	case protoUDP:
		return d.exactUDP(inner)
	case protoTCP:
		return d.exactTCP(inner)
	case protoSCTP:
		return exactSCTP(inner)
	default:
		return false
	}
}

func exact4(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return false
	}
	head := int(b[0]&0xf) * 4
	return head >= 20 && head <= len(b) && checksum(b[:head], 0) == 0
}

func exact6(b []byte) bool {
	return len(b) >= 40 && b[0]>>4 == 6 && 40+int(binary.BigEndian.Uint16(b[4:])) == len(b) && known6(b[6]) && b[7] > 0
}

func (d *decoder) exactUDP(b []byte) bool {
	if len(b) < 8 || int(binary.BigEndian.Uint16(b[4:])) != len(b) || b[0]|b[1] == 0 {
		return false
	}
	return b[6]|b[7] == 0 || d.natted() || checksum(b, d.pseudo(protoUDP, len(b))) == 0
}

func (d *decoder) exactTCP(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	head := int(b[12]>>4) * 4
	return head >= 20 && head <= len(b) && checksum(b, d.pseudo(protoTCP, len(b))) == 0
}

// known6 reports whether a next header is one that IPv6 packets have.
func known6(next byte) bool {
	switch next {
	case extHopByHop, extRouting, extFragment, extDestination, protoAH, protoESP, protoUDP, protoTCP, protoSCTP,
		protoICMPv6, protoIPIP, protoIPv6, protoGRE:
		return true
	default:
		return false
	}
}

// natted reports whether ESP is in UDP: then a NAT may be between, and transport checksums are not its addresses'
// (RFC 3948 3.1.2).
func (d *decoder) natted() bool { return d.out.Proto == protoUDP }

// pseudo is the sum of the pseudo header of TCP and UDP (RFC 9293 3.1, RFC 8200 8.1).
func (d *decoder) pseudo(proto byte, size int) uint64 {
	s, t := &d.out.Src, &d.out.Dst
	sum := uint64(proto) + uint64(size) //nolint:gosec // a frame's
	if s.V4 {
		return sum + s.Lo&0xffffffff + t.Lo&0xffffffff
	}
	for _, v := range [...]uint64{s.Hi, s.Lo, t.Hi, t.Lo} {
		sum += v>>32 + v&0xffffffff
	}
	return sum
}

// castagnoli is the polynomial of SCTP's checksum (RFC 9260 A).
var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // read-only table

// exactSCTP reports whether b is ports, a tag, chunks that fill the rest and a right checksum (RFC 9260 3).
func exactSCTP(b []byte) bool {
	if len(b) < 16 || b[0]|b[1] == 0 || b[2]|b[3] == 0 {
		return false
	}
	for c := b[12:]; len(c) > 0; {
		if len(c) < 4 {
			return false
		}
		n := int(binary.BigEndian.Uint16(c[2:]))
		if n < 4 || n > len(c) {
			return false
		}
		c = c[min((n+3)&^3, len(c)):]
	}
	var zero [4]byte // in the place of the checksum
	sum := crc32.Update(crc32.Checksum(b[:8], castagnoli), castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, b[12:]) == binary.LittleEndian.Uint32(b[8:])
}

// protected reads the payload of ESP: in tunnel mode a packet, in transport mode what follows the IP header.
func (d *decoder) protected(spi uint32, next byte, inner []byte, at int) Result {
	l := Layer{Kind: LayerESP, HasNum: true, Num: spi}
	if !d.enter(l, inner, at) {
		return d.malformed(TunnelDepth)
	}
	o := d.out
	o.Proto = next
	o.Src.Port, o.Dst.Port = 0, 0
	switch next {
	case protoIPIP, protoIPv6:
		return d.ip(at)
	default:
		return d.transport(inner, at)
	}
}
