package capture

import (
	"errors"
	"io"
)

// Magic numbers of classic pcap (draft-ietf-opsawg-pcap): microseconds, nanoseconds, and the modified format of
// Kuznetzov's patched libpcap, whose record headers are eight bytes longer.
const (
	magicMicro    = 0xa1b2c3d4
	magicNano     = 0xa1b23c4d
	magicModified = 0xa1b2cd34
)

// Sizes of the file header and of a record header, in bytes.
const (
	pcapHeader         = 24
	pcapRecord         = 16
	pcapModifiedRecord = 24
)

// maxRecord is the largest record believed in, in bytes: no link carries more, and a larger number means that the
// reading lost its place.
const maxRecord = 256 << 20

// maxFraction is the largest fraction of a second believed in, whatever its unit. Some writers put nanoseconds into
// microsecond files or forget a carry; what is beyond is no time at all.
const maxFraction = 1e9

// fileReader reads the packets of one file in its order.
type fileReader interface {
	// read appends at least one packet and at most MaxBatch to the empty batch b, or gives what ended the file. It
	// returns early rather than wait for more input. Seq, Loc.File and Now are the caller's.
	read(b *Batch) error
	// close lets go of the reader's block.
	close()
}

// pcapReader reads a classic pcap file:
//
//	magic 4, version 2+2, reserved 8, snaplen 4, link type 4 (upper 16 bits: FCS)
//	then records: seconds 4, fraction 4, captured length 4, length on the wire 4, captured bytes
type pcapReader struct {
	*blockReader
	place
	order  byteOrder
	record int // bytes of a record header
	unit   int64
	link   LinkType
}

func newPcapReader(name string, r *blockReader) (*pcapReader, error) {
	p := &pcapReader{blockReader: r, place: place{name: name}, record: pcapRecord, unit: 1000}
	if err := r.need(pcapHeader); err != nil {
		return nil, p.short(r.off, "file header", pcapHeader, len(r.have()), err)
	}
	h := r.have()
	if !isPcapMagic(p.order.u32(h)) {
		p.order = bigEndian
	}
	switch p.order.u32(h) {
	case magicNano:
		p.unit = 1
	case magicModified:
		p.record = pcapModifiedRecord
	}
	if major := p.order.u16(h[4:]); major != 2 {
		return nil, p.damaged(4, "version 2 expected, found %d", major)
	}
	p.link = LinkType(p.order.u32(h[20:]) & 0xffff)
	r.skip(pcapHeader)
	return p, nil
}

func isPcapMagic(m uint32) bool { return m == magicMicro || m == magicNano || m == magicModified }

func (p *pcapReader) read(b *Batch) error {
	b.room()
	for {
		bad := p.records(b)
		switch {
		case len(b.Packets) > 0:
			b.hold(p.cur)
			return nil // a bad record comes again, as the first of the next batch
		case bad != nil:
			return bad
		}
		if err := p.more(); err != nil {
			return err
		}
	}
}

// records appends the whole records at hand, until the batch is full. The error is about the record that follows them.
func (p *pcapReader) records(b *Batch) error {
	buf, at := p.have(), 0
	start := p.off
	defer func() { p.skip(at) }()
	for len(b.Packets) < MaxBatch && len(buf)-at >= p.record {
		h := buf[at : at+pcapRecord : at+pcapRecord]
		sec, frac, caplen, wire := p.order.u32(h), p.order.u32(h[4:]), p.order.u32(h[8:]), p.order.u32(h[12:])
		if isImpossible(sec, frac, caplen, wire) {
			return p.impossible(start+int64(at), sec, frac, caplen, wire)
		}
		first := at + p.record
		if len(buf)-first < int(caplen) {
			return nil
		}
		at = first + int(caplen)
		b.Packets = append(b.Packets, Packet{
			Time: int64(sec)*1e9 + int64(frac)*p.unit, Data: buf[first:at:at], WireLen: max(wire, caplen),
			Link: p.link, Loc: Loc{Off: start + int64(first)},
		})
		p.frames++
	}
	return nil
}

// isImpossible tells a record header that cannot be true: the reading has lost its place, or the file its contents.
func isImpossible(sec, frac, caplen, wire uint32) bool {
	return caplen > maxRecord || frac > maxFraction || sec|frac|caplen|wire == 0
}

// impossible says what is wrong with a record header that cannot be true.
func (p *pcapReader) impossible(at int64, sec, frac, caplen, wire uint32) error {
	switch {
	case caplen > maxRecord:
		return p.damaged(at, "record claims %d bytes, at most %d can be", caplen, maxRecord)
	case sec|frac|caplen|wire == 0:
		return p.damaged(at, "record header expected, found zeros")
	}
	return p.damaged(at, "record claims %d parts of a second, at most %d can be", frac, int(maxFraction))
}

// more reads until one more record is whole.
func (p *pcapReader) more() error {
	if err := p.need(p.record); err != nil {
		if left := len(p.have()); left > 0 || !errors.Is(err, io.EOF) {
			return p.short(p.off, "record header", p.record, left, err)
		}
		return io.EOF
	}
	h := p.have()
	sec, frac, caplen, wire := p.order.u32(h), p.order.u32(h[4:]), p.order.u32(h[8:]), p.order.u32(h[12:])
	if isImpossible(sec, frac, caplen, wire) {
		return p.impossible(p.off, sec, frac, caplen, wire) // before waiting for what it claims
	}
	size := p.record + int(caplen)
	if err := p.need(size); err != nil {
		return p.short(p.off, "record", size, len(p.have()), err)
	}
	return nil
}
