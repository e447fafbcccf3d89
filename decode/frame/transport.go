package frame

import "encoding/binary"

// transport reads the header after IP; b begins at offset at of the frame.
func (d *decoder) transport(b []byte, at int) Result {
	switch d.out.Proto {
	case protoUDP:
		return d.udp(b, at)
	case protoTCP:
		return d.tcp(b, at)
	case protoICMP, protoICMPv6:
		return d.payload(b, at, ICMP)
	case protoSCTP:
		return d.payload(b, at, SCTP)
	default:
		return d.overIP(b, at)
	}
}

// udp reads a UDP header (RFC 768). The length field bounds the payload; 0 is a jumbogram (RFC 2675) or was left to
// the network card.
func (d *decoder) udp(b []byte, at int) Result {
	if len(b) < 8 {
		return d.short(UDPLength)
	}
	o, src, dst := d.out, binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	o.Src.Port, o.Dst.Port = src, dst
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size != 0 {
		if size < 8 {
			return d.malformed(UDPLength)
		}
		b = d.bound(b, size)
	}
	if len(b) > 8 && mayCarry(b[8], src, dst) {
		if r, is := d.udpTunnel(b[8:], at+8); is {
			return r
		}
	}
	return d.payload(b[8:], at+8, UDP)
}

// tcp reads a TCP header (RFC 9293 3.1).
func (d *decoder) tcp(b []byte, at int) Result {
	if len(b) < 20 {
		return d.short(TCPHeader)
	}
	head := int(b[12]>>4) * 4
	if head < 20 {
		return d.malformed(TCPHeader)
	}
	if head > len(b) {
		return d.short(TCPHeader)
	}
	o := d.out
	o.Src.Port, o.Dst.Port = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	o.Seq, o.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	o.Flags = b[13]
	return d.payload(b[head:], at+head, TCP)
}
