package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// Block types of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSHB = 0x0a0d0d0a // section header; reads the same in both byte orders
	blockIDB = 1          // interface description
	blockPB  = 2          // packet, obsolete
	blockSPB = 3          // simple packet
	blockEPB = 6          // enhanced packet
	blockDSB = 10         // decryption secrets
)

// Options of interest.
const (
	optEnd      = 0
	optComment  = 1
	optTSResol  = 9
	optTSOffset = 14
)

// Bounds: a comment or a secret beyond them is dropped and counted as such, never silently kept.
const (
	maxInterfaces   = 1 << 16
	maxCommentBytes = 1 << 20
	maxSecretBytes  = 16 << 20
)

// ngInterface is what a packet needs of its interface.
type ngInterface struct {
	link    LinkType
	snaplen uint32
	unit    tick
	offset  int64 // seconds added to every time
}

// tick is the unit of an interface's times.
type tick struct {
	perSecond uint64
	shift     uint8 // for powers of two: perSecond is 1<<shift
}

// pcapngReader reads a pcapng file: any number of sections and interfaces.
type pcapngReader struct {
	*blockReader
	name       string
	order      binary.ByteOrder
	interfaces []ngInterface
	frames     uint64

	comments     map[uint64]string // by frame of this file
	commentBytes int
	secrets      [][]byte
	secretBytes  int
	dropped      uint64 // comments and secrets over the bounds
}

func newPcapNGReader(name string, r *blockReader) *pcapngReader {
	return &pcapngReader{blockReader: r, name: name, order: binary.LittleEndian, comments: map[uint64]string{}}
}

func (p *pcapngReader) read(b *Batch) error {
	for len(b.Packets) < MaxBatch {
		if err := p.one(b); err != nil {
			return err
		}
	}
	return nil
}

func (p *pcapngReader) damaged(at int64, reason string, err error) error {
	return &DamagedError{File: p.name, Offset: at, Frame: p.frames, Reason: reason, Err: unexpected(err)}
}

// one reads one block.
func (p *pcapngReader) one(b *Batch) error {
	start := p.off
	h, err := p.peek(12)
	if len(h) < 12 {
		if len(h) == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		return p.damaged(start, fmt.Sprintf("block header of 12 bytes, %d left", len(h)), err)
	}
	kind := p.order.Uint32(h)
	if kind == blockSHB {
		if kind, err = p.byteOrder(start, h); err != nil {
			return err
		}
	}
	size := p.order.Uint32(h[4:])
	if size < 12 || size%4 != 0 || size > maxRecord {
		return p.damaged(start, fmt.Sprintf("block length %d (a multiple of 4, 12 to %d expected)", size, maxRecord), nil)
	}
	block, err := p.next(int(size))
	if len(block) < int(size) {
		return p.damaged(start, fmt.Sprintf("block of %d bytes, %d left", size, len(block)), err)
	}
	if tail := p.order.Uint32(block[size-4:]); tail != size {
		return p.damaged(start, fmt.Sprintf("block length %d, repeated as %d", size, tail), nil)
	}
	return p.block(b, kind, block[8:size-4], start)
}

// byteOrder reads a section's byte order.
func (p *pcapngReader) byteOrder(start int64, h []byte) (uint32, error) {
	switch magic := h[8:12]; {
	case binary.LittleEndian.Uint32(magic) == 0x1a2b3c4d:
		p.order = binary.LittleEndian
	case binary.BigEndian.Uint32(magic) == 0x1a2b3c4d:
		p.order = binary.BigEndian
	default:
		return 0, p.damaged(start, fmt.Sprintf("byte-order magic 1a2b3c4d expected, found %x", magic), nil)
	}
	p.interfaces = p.interfaces[:0]
	return blockSHB, nil
}

// block reads a block's body; body begins start+8 in the file.
func (p *pcapngReader) block(b *Batch, kind uint32, body []byte, start int64) error {
	switch kind {
	case blockIDB:
		return p.interfaceBlock(body, start)
	case blockEPB, blockPB:
		return p.packet(b, kind, body, start)
	case blockSPB:
		return p.simple(b, body, start)
	case blockDSB:
		p.secret(body)
	default: // name resolution, statistics, custom, unknown: not packets
	}
	return nil
}

func (p *pcapngReader) interfaceBlock(body []byte, start int64) error {
	if len(body) < 8 {
		return p.damaged(start, fmt.Sprintf("interface block of 8 bytes, %d there", len(body)), nil)
	}
	if len(p.interfaces) >= maxInterfaces {
		return p.damaged(start, fmt.Sprintf("more than %d interfaces", maxInterfaces), nil)
	}
	i := ngInterface{
		link: LinkType(p.order.Uint16(body)), snaplen: p.order.Uint32(body[4:]), unit: tick{perSecond: 1e6},
	}
	p.options(body[8:], func(code uint16, v []byte) {
		switch {
		case code == optTSResol && len(v) >= 1:
			i.unit = resolution(v[0])
		case code == optTSOffset && len(v) >= 8:
			i.offset = int64(p.order.Uint64(v)) //nolint:gosec // signed by definition
		}
	})
	p.interfaces = append(p.interfaces, i)
	return nil
}

// resolution reads if_tsresol: a negative power of 10, or of 2 with the upper bit set.
func resolution(v byte) tick {
	n := v & 0x7f
	if v&0x80 != 0 {
		return tick{perSecond: 1 << min(n, 63), shift: min(n, 63)}
	}
	unit := uint64(1)
	for range min(n, 19) {
		unit *= 10
	}
	return tick{perSecond: unit}
}

// time turns an interface's ticks into nanoseconds since 1970, clamped to what 64 bits hold (year 2262).
func (i *ngInterface) time(ticks uint64) int64 {
	var sec, ns uint64
	if i.unit.shift > 0 {
		sec = ticks >> i.unit.shift
		hi, lo := bits.Mul64(ticks&(1<<i.unit.shift-1), 1e9)
		ns = hi<<(64-i.unit.shift) | lo>>i.unit.shift
	} else {
		sec = ticks / i.unit.perSecond
		hi, lo := bits.Mul64(ticks%i.unit.perSecond, 1e9)
		ns, _ = bits.Div64(hi, lo, i.unit.perSecond)
	}
	const last = math.MaxInt64/1_000_000_000 - 1
	t := int64(min(sec, last)) + min(max(i.offset, -last), last) //nolint:gosec // bounded
	t = max(min(t, last), -last)
	return t*1e9 + int64(ns) //nolint:gosec // below 1e9
}

// options calls f for each option until the end of the list or of the bytes.
func (p *pcapngReader) options(b []byte, f func(code uint16, value []byte)) {
	for len(b) >= 4 {
		code, n := p.order.Uint16(b), int(p.order.Uint16(b[2:]))
		b = b[4:]
		if code == optEnd || n > len(b) {
			return
		}
		f(code, b[:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// packet reads an enhanced or an obsolete packet block; both have the same shape, but the obsolete one has an interface
// of 16 bits, then a drop count.
func (p *pcapngReader) packet(b *Batch, kind uint32, body []byte, start int64) error {
	const head = 20
	if len(body) < head {
		return p.damaged(start, fmt.Sprintf("packet block of %d bytes, %d there", head, len(body)), nil)
	}
	index := int(p.order.Uint32(body))
	if kind == blockPB {
		index = int(p.order.Uint16(body))
	}
	if index >= len(p.interfaces) {
		return p.damaged(start, fmt.Sprintf("packet of interface %d, %d are described", index, len(p.interfaces)), nil)
	}
	i := &p.interfaces[index]
	ticks := uint64(p.order.Uint32(body[4:]))<<32 | uint64(p.order.Uint32(body[8:]))
	caplen, wire := p.order.Uint32(body[12:]), p.order.Uint32(body[16:])
	if int64(caplen) > int64(len(body)-head) {
		return p.damaged(start, fmt.Sprintf("packet of %d bytes in a block with room for %d", caplen, len(body)-head), nil)
	}
	data := body[head : head+int(caplen) : head+int(caplen)]
	p.deliver(b, Packet{
		Time: i.time(ticks), Data: data, WireLen: max(wire, caplen), Link: i.link, Iface: uint16(index), //nolint:gosec // bounded
		Loc: Loc{Off: start + 8 + head},
	})
	if rest := body[min(head+(int(caplen)+3)&^3, len(body)):]; len(rest) >= 8 {
		p.options(rest, p.comment)
	}
	return nil
}

func (p *pcapngReader) deliver(b *Batch, pkt Packet) {
	b.hold(p.cur)
	b.Packets = append(b.Packets, pkt)
	p.frames++
}

// simple reads a simple packet block: no time, the first interface, cut by its snaplen.
func (p *pcapngReader) simple(b *Batch, body []byte, start int64) error {
	if len(body) < 4 || len(p.interfaces) == 0 {
		return p.damaged(start, "simple packet block without length or interface", nil)
	}
	i := &p.interfaces[0]
	wire := p.order.Uint32(body)
	caplen := min(int64(wire), int64(len(body)-4))
	if i.snaplen > 0 {
		caplen = min(caplen, int64(i.snaplen))
	}
	p.deliver(b, Packet{
		Data: body[4 : 4+caplen : 4+caplen], WireLen: wire, Link: i.link, Loc: Loc{Off: start + 12},
	})
	return nil
}

func (p *pcapngReader) comment(code uint16, v []byte) {
	if code != optComment {
		return
	}
	if p.commentBytes+len(v) > maxCommentBytes {
		p.dropped++
		return
	}
	p.commentBytes += len(v)
	if old := p.comments[p.frames]; old != "" {
		v = append([]byte(old+"\n"), v...)
	}
	p.comments[p.frames] = string(v)
}

func (p *pcapngReader) secret(body []byte) {
	if len(body) < 8 {
		return
	}
	n := min(int64(p.order.Uint32(body[4:])), int64(len(body)-8))
	if p.secretBytes+int(n) > maxSecretBytes {
		p.dropped++
		return
	}
	p.secretBytes += int(n)
	p.secrets = append(p.secrets, append([]byte(nil), body[8:8+n]...))
}
