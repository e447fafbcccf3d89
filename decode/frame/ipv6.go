package frame

import "encoding/binary"

// Next header numbers that are extension headers (RFC 8200 4.1, RFC 4302, RFC 7045).
const (
	extHopByHop    = 0
	extRouting     = 43
	extFragment    = 44
	extAH          = 51
	extDestination = 60
	extMobility    = 135
	extHIP         = 139
	extShim6       = 140
)

// maxExtensions bounds the extension headers followed; RFC 8200 4.1 knows of seven in a packet.
const maxExtensions = 16

// ip6 reads an IPv6 header (RFC 8200 3) and what it carries.
func (d *decoder) ip6(at int) Result {
	b := d.data[min(at, len(d.data)):]
	if len(b) < 40 {
		return d.short(IPHeader)
	}
	if b[0]>>4 != 6 {
		return d.malformed(IPVersion)
	}
	// no length: a jumbogram (RFC 2675), or segmentation was left to the network card; what is there counts
	if size := int(binary.BigEndian.Uint16(b[4:])); size != 0 {
		if d.longer(40+size, len(b)) {
			return d.malformed(IPLength)
		}
		b = d.bound(b, 40+size)
	}
	o := d.out
	o.Src, o.Dst = Endpoint6(b[8:24], 0), Endpoint6(b[24:40], 0)
	o.TOS, o.TTL, o.IPID, o.HasIPID = b[0]<<4|b[1]>>4, b[7], 0, false
	return d.extensions(b[40:], b[6], at+40)
}

// extensions follows the chain of extension headers that b begins with; next names the first.
func (d *decoder) extensions(b []byte, next byte, at int) Result {
	for range maxExtensions {
		d.out.Proto = next
		var size int
		switch next {
		case extHopByHop, extRouting, extDestination, extMobility, extHIP, extShim6:
			if len(b) < 8 {
				return d.short(IPHeader)
			}
			size = (int(b[1]) + 1) * 8
		case extAH:
			if len(b) < 8 {
				return d.short(IPHeader)
			}
			size = (int(b[1]) + 2) * 4
		case extFragment:
			if len(b) < 8 {
				return d.short(IPHeader)
			}
			frag := binary.BigEndian.Uint16(b[2:])
			if frag&0xfff9 != 0 {
				d.out.Proto, d.out.FragID = b[0], binary.BigEndian.Uint32(b[4:])
				return d.fragment(b[8:], at+8, frag&0xfff8, frag&1 != 0)
			}
			size = 8 // an atomic fragment is whole (RFC 6946)
		default:
			return d.transport(b, at)
		}
		if size > len(b) {
			return d.short(IPHeader)
		}
		next, b = b[0], b[size:]
		at += size
	}
	return d.malformed(IPExtensions)
}
