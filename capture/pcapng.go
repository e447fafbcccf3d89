package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng section 11.1).
const (
	blockIDB = 1          // interface description
	blockPB  = 2          // packet, obsolete
	blockSPB = 3          // simple packet
	blockEPB = 6          // enhanced packet
	blockDSB = 10         // decryption secrets
	blockSHB = 0x0a0d0d0a // section header; reads the same in both byte orders
)

// Options of interest (sections 3.5, 4.2).
const (
	optEnd      = 0
	optComment  = 1
	optName     = 2  // if_name, in an interface description
	optTSResol  = 9  // if_tsresol
	optTSOffset = 14 // if_tsoffset
)

// Sizes in bytes of what blocks are made of.
const (
	ngFrame   = 12 // type and length before a body, length after it
	ngBody    = 8  // where the body begins
	ngSection = 28 // the least section header: magic, version, section length
	ngPacket  = 20 // fixed part of an enhanced or obsolete packet
)

const byteOrderMagic = 0x1a2b3c4d

// secretsTLS is the type of decryption secrets that are an NSS key log (section 4.7).
const secretsTLS = 0x544c534b

// Bounds of what is kept beside packets. What is beyond is dropped and counted, never silently kept.
const (
	maxInterfaces  = 1 << 16
	maxSecretBytes = 16 << 20
	maxNameBytes   = 255
)

// ngInterface is what a packet needs of its interface.
type ngInterface struct {
	clock   clock
	snaplen uint32 // bytes, 0 for no limit
	link    LinkType
}

// pcapngReader reads a pcapng file: any number of sections, each with its byte order and interfaces.
type pcapngReader struct {
	*blockReader
	place
	order      byteOrder
	interfaces []ngInterface // of the section
	before     int           // interfaces of the sections before, so that numbers are unique within the file
	last       int64         // time of the packet before, for those that have none
	names      map[uint16]string
	notes      notes
	secrets    [][]byte
	secretSize int
	dropped    uint64 // secrets beyond the bound or of no known type
}

func newPcapNGReader(name string, r *blockReader) *pcapngReader {
	return &pcapngReader{blockReader: r, place: place{name: name}}
}

func (p *pcapngReader) read(b *Batch) error {
	b.room()
	for {
		bad := p.blocks(b)
		switch {
		case len(b.Packets) > 0:
			b.hold(p.cur)
			return nil // a bad block comes again, as the first of the next batch
		case bad != nil:
			return bad
		}
		if err := p.more(); err != nil {
			return err
		}
	}
}

// blocks takes the whole blocks at hand, until the batch is full. The error is about the block that follows them.
func (p *pcapngReader) blocks(b *Batch) error {
	for len(b.Packets) < MaxBatch {
		buf := p.have()
		if len(buf) < ngFrame {
			return nil
		}
		kind, size, err := p.header(buf)
		if err != nil || len(buf) < size {
			return err
		}
		if tail := p.order.u32(buf[size-4:]); int64(tail) != int64(size) {
			return p.damaged(p.off, "block length %d, repeated as %d", size, tail)
		}
		if err := p.block(b, kind, buf[ngBody:size-4:size-4]); err != nil {
			return err
		}
		p.skip(size)
	}
	return nil
}

// header reads a block's type and length, and a section's byte order.
func (p *pcapngReader) header(h []byte) (kind uint32, size int, err error) {
	kind = p.order.u32(h)
	least := ngFrame
	if kind == blockSHB {
		least = ngSection
		switch {
		case binary.LittleEndian.Uint32(h[8:]) == byteOrderMagic:
			p.order = littleEndian
		case binary.BigEndian.Uint32(h[8:]) == byteOrderMagic:
			p.order = bigEndian
		default:
			return 0, 0, p.damaged(p.off, "byte-order magic 1a2b3c4d expected, found %x", h[8:12])
		}
	}
	n := p.order.u32(h[4:])
	if n < uint32(least) || n%4 != 0 || n > maxRecord {
		return 0, 0, p.damaged(p.off, "block length %d: a multiple of 4 from %d to %d expected", n, least, maxRecord)
	}
	return kind, int(n), nil
}

// more reads until one more block is whole.
func (p *pcapngReader) more() error {
	if err := p.need(ngFrame); err != nil {
		if left := len(p.have()); left > 0 || !errors.Is(err, io.EOF) {
			return p.short(p.off, "block header", ngFrame, left, err)
		}
		return io.EOF
	}
	_, size, err := p.header(p.have())
	if err != nil {
		return err
	}
	if err := p.need(size); err != nil {
		return p.short(p.off, "block", size, len(p.have()), err)
	}
	return nil
}

// block takes a block's body; p.off is the offset of the block.
func (p *pcapngReader) block(b *Batch, kind uint32, body []byte) error {
	switch kind {
	case blockEPB, blockPB:
		return p.packet(b, kind, body)
	case blockSPB:
		return p.simple(b, body)
	case blockSHB:
		return p.section(body)
	case blockIDB:
		return p.describe(body)
	case blockDSB:
		p.secret(body)
	default: // name resolution, statistics, custom, unknown: no packets
	}
	return nil
}

func (p *pcapngReader) section(body []byte) error {
	if major := p.order.u16(body[4:]); major != 1 {
		return p.damaged(p.off, "section version 1 expected, found %d", major)
	}
	p.before += len(p.interfaces)
	p.interfaces = p.interfaces[:0]
	return nil
}

// describe takes an interface description.
func (p *pcapngReader) describe(body []byte) error {
	if len(body) < 8 {
		return p.damaged(p.off, "interface block of 8 bytes expected, found %d", len(body))
	}
	if p.before+len(p.interfaces) >= maxInterfaces {
		return p.damaged(p.off, "more than %d interfaces", maxInterfaces)
	}
	i := ngInterface{link: LinkType(p.order.u16(body)), snaplen: p.order.u32(body[4:])}
	i.clock.resolve(6) // microseconds unless stated
	index := p.iface(len(p.interfaces))
	for o := (options{order: p.order, b: body[8:]}); o.next(); {
		switch {
		case o.code == optName && len(o.value) <= maxNameBytes && len(o.value) > 0:
			if p.names == nil {
				p.names = map[uint16]string{}
			}
			p.names[index] = string(bytes.TrimRight(o.value, "\x00"))
		case o.code == optTSResol && len(o.value) == 1:
			i.clock.resolve(o.value[0])
		case o.code == optTSOffset && len(o.value) == 8:
			i.clock.offset = int64(p.order.u64(o.value)) //nolint:gosec // signed by definition
		}
	}
	p.interfaces = append(p.interfaces, i)
	return nil
}

// iface is a section's interface as numbered within the file.
func (p *pcapngReader) iface(index int) uint16 {
	return uint16(p.before + index) //nolint:gosec // describe keeps the sum below maxInterfaces
}

// packet takes an enhanced packet block, or an obsolete one, which differs in the width of the interface's number:
//
//	enhanced: interface 4            obsolete: interface 2, drops 2
//	both:     time upper 4, time lower 4, captured length 4, length on the wire 4, captured bytes, options
func (p *pcapngReader) packet(b *Batch, kind uint32, body []byte) error {
	if len(body) < ngPacket {
		return p.damaged(p.off, "packet block of %d bytes expected, found %d", ngPacket, len(body))
	}
	index := p.order.u32(body)
	if kind == blockPB {
		index = uint32(p.order.u16(body))
	}
	if int64(index) >= int64(len(p.interfaces)) {
		return p.damaged(p.off, "packet of interface %d, %d are described", index, len(p.interfaces))
	}
	caplen, wire := p.order.u32(body[12:]), p.order.u32(body[16:])
	if int64(caplen) > int64(len(body)-ngPacket) {
		return p.damaged(p.off, "packet of %d bytes in a block with room for %d", caplen, len(body)-ngPacket)
	}
	i := &p.interfaces[index]
	end := ngPacket + int(caplen)
	p.last = i.clock.time(uint64(p.order.u32(body[4:]))<<32 | uint64(p.order.u32(body[8:])))
	b.Packets = append(b.Packets, Packet{
		Time: p.last, Data: body[ngPacket:end:end], WireLen: max(wire, caplen), Link: i.link,
		Iface: p.iface(int(index)), Loc: Loc{Off: p.off + ngBody + ngPacket},
	})
	p.frames++
	if rest := (end + 3) &^ 3; rest+4 <= len(body) {
		for o := (options{order: p.order, b: body[rest:]}); o.next(); {
			if o.code == optComment {
				p.notes.add(p.frames, o.value)
			}
		}
	}
	return nil
}

// simple takes a simple packet block: of the first interface, cut by its snaplen, without a time. It gets that of the
// packet before it, so that it keeps its place.
func (p *pcapngReader) simple(b *Batch, body []byte) error {
	if len(p.interfaces) == 0 {
		return p.damaged(p.off, "simple packet, but no interface is described")
	}
	if len(body) < 4 {
		return p.damaged(p.off, "simple packet block of 4 bytes expected, found %d", len(body))
	}
	i := &p.interfaces[0]
	wire := p.order.u32(body)
	caplen := wire
	if i.snaplen > 0 {
		caplen = min(caplen, i.snaplen)
	}
	if int64(caplen) > int64(len(body)-4) {
		return p.damaged(p.off, "packet of %d bytes in a block with room for %d", caplen, len(body)-4)
	}
	end := 4 + int(caplen)
	b.Packets = append(b.Packets, Packet{
		Time: p.last, Data: body[4:end:end], WireLen: wire, Link: i.link, Iface: p.iface(0),
		Loc: Loc{Off: p.off + ngBody + 4},
	})
	p.frames++
	return nil
}

// secret keeps a TLS key log aside.
func (p *pcapngReader) secret(body []byte) {
	if len(body) < 8 || p.order.u32(body) != secretsTLS {
		p.dropped++
		return
	}
	n := int(min(int64(p.order.u32(body[4:])), int64(len(body)-8)))
	if p.secretSize+n > maxSecretBytes {
		p.dropped++
		return
	}
	p.secretSize += n
	p.secrets = append(p.secrets, bytes.Clone(body[8:8+n]))
}

// options walks through a list of options; what does not fit ends it, as damage there harms no packet.
type options struct {
	order byteOrder
	b     []byte
	code  uint16
	value []byte
}

func (o *options) next() bool {
	if len(o.b) < 4 {
		return false
	}
	n := int(o.order.u16(o.b[2:]))
	o.code = o.order.u16(o.b)
	o.b = o.b[4:]
	if o.code == optEnd || n > len(o.b) {
		return false
	}
	o.value = o.b[:n]
	o.b = o.b[min((n+3)&^3, len(o.b)):]
	return true
}
