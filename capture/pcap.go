package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic numbers of classic pcap (draft-ietf-opsawg-pcap): microseconds, nanoseconds, and the old modified format whose
// record headers are eight bytes longer.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

const (
	pcapHeader = 24
	pcapRecord = 16
)

// maxRecord is the largest record believed in: no link carries more, and a larger number means that the reading lost
// its place.
const maxRecord = 64 << 20

// fileReader reads the packets of one file in its order.
type fileReader interface {
	// read appends packets to b until it is full or the input ends. File and Seq are set by the caller.
	read(b *Batch) error
}

// pcapReader reads a classic pcap file.
type pcapReader struct {
	*blockReader
	name   string
	order  binary.ByteOrder
	record int
	nano   bool
	link   LinkType
	frames uint64
}

func newPcapReader(name string, r *blockReader) (*pcapReader, error) {
	h, err := r.next(pcapHeader)
	if len(h) < pcapHeader {
		return nil, &DamagedError{File: name, Offset: r.off, Reason: fmt.Sprintf("file header of %d bytes, %d there", pcapHeader, len(h)), Err: unexpected(err)}
	}
	p := &pcapReader{blockReader: r, name: name, record: pcapRecord, order: binary.LittleEndian}
	magic := p.order.Uint32(h)
	if !isPcapMagic(magic) {
		p.order = binary.BigEndian
		magic = p.order.Uint32(h)
	}
	p.nano = magic == magicNano
	if magic == magicModified {
		p.record += 8
	}
	if major := p.order.Uint16(h[4:]); major != 2 {
		return nil, &DamagedError{File: name, Offset: 4, Reason: fmt.Sprintf("version 2 expected, found %d", major)}
	}
	p.link = LinkType(p.order.Uint32(h[20:]) & 0xffff) //nolint:gosec // the upper bits are FCS information
	return p, nil
}

func isPcapMagic(m uint32) bool { return m == magicMicro || m == magicNano || m == magicModified }

// unexpected keeps a real read error and drops the plain end of the input, which the reason already tells.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && err == io.ErrUnexpectedEOF { //nolint:errorlint // identity wanted
		return nil
	}
	return err
}

func (p *pcapReader) read(b *Batch) error {
	for len(b.Packets) < MaxBatch {
		if err := p.one(b); err != nil {
			return err
		}
	}
	return nil
}

// one reads one record.
func (p *pcapReader) one(b *Batch) error {
	start := p.off
	h, err := p.peek(p.record)
	if len(h) < p.record {
		if len(h) == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		return p.damaged(start, fmt.Sprintf("record header of %d bytes, %d left", p.record, len(h)), err)
	}
	sec, frac := p.order.Uint32(h), p.order.Uint32(h[4:])
	caplen, wire := p.order.Uint32(h[8:]), p.order.Uint32(h[12:])
	if caplen > maxRecord {
		return p.damaged(start, fmt.Sprintf("record claims %d bytes, at most %d are believed", caplen, maxRecord), nil)
	}
	size := p.record + int(caplen)
	rec, err := p.next(size)
	if len(rec) < size {
		return p.damaged(start, fmt.Sprintf("record of %d bytes, %d left", size, len(rec)), err)
	}
	t := int64(sec) * 1e9
	if p.nano {
		t += int64(frac)
	} else {
		t += int64(frac) * 1000
	}
	b.hold(p.cur)
	b.Packets = append(b.Packets, Packet{
		Time: t, Data: rec[p.record:], WireLen: max(wire, caplen), Link: p.link,
		Loc: Loc{Off: start + int64(p.record)},
	})
	p.frames++
	return nil
}

func (p *pcapReader) damaged(at int64, reason string, err error) error {
	return &DamagedError{File: p.name, Offset: at, Frame: p.frames, Reason: reason, Err: unexpected(err)}
}
