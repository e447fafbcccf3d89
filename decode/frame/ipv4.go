package frame

import "encoding/binary"

// ip4 reads an IPv4 header (RFC 791 3.1) and what it carries.
func (d *decoder) ip4(at int) Result {
	b := d.data[min(at, len(d.data)):]
	if len(b) < 20 {
		return d.short(IPHeader)
	}
	if b[0]>>4 != 4 {
		return d.malformed(IPVersion)
	}
	head, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case head < 20:
		return d.malformed(IPHeader)
	case total != 0 && total < head:
		return d.malformed(IPLength)
	case total > len(b) && d.longer(total, len(b)):
		return d.malformed(IPLength)
	case total != 0: // without a length, segmentation was left to the network card: what is there counts
		b = d.bound(b, total)
	}
	if head > len(b) {
		return d.short(IPHeader)
	}
	o := d.out
	o.Src, o.Dst = Endpoint4(b[12:16], 0), Endpoint4(b[16:20], 0)
	o.IPID, o.HasIPID = binary.BigEndian.Uint16(b[4:]), true
	o.TTL, o.Proto, o.TOS = b[8], b[9], b[1]
	frag := binary.BigEndian.Uint16(b[6:])
	if frag&0x3fff != 0 {
		o.FragID = uint32(o.IPID)
		return d.fragment(b[head:], at+head, (frag&0x1fff)<<3, frag&0x2000 != 0)
	}
	if o.Proto == protoUDP {
		return d.udp(b[head:], at+head)
	}
	return d.transport(b[head:], at+head)
}

// fragment gives a part of a datagram to the caller.
func (d *decoder) fragment(b []byte, at int, offset uint16, more bool) Result {
	if int(offset)+len(b)+d.missing > maxDatagram {
		return d.malformed(FragmentSize)
	}
	d.out.FragOffset, d.out.MoreFrags = offset, more
	return d.payload(b, at, Fragment)
}
