package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrLinkType says that a pcap file holds one link type only.
var ErrLinkType = errors.New("a pcap file has one link type")

// Writer writes a classic pcap file with nanosecond times.
type Writer struct {
	w    *bufio.Writer
	link LinkType
	buf  [pcapRecord]byte
}

// maxSnaplen is what both writers state: everything.
const maxSnaplen = 262144

// NewWriter writes the file header.
func NewWriter(w io.Writer, link LinkType) (*Writer, error) {
	p := &Writer{w: bufio.NewWriterSize(w, 64<<10), link: link}
	var h [pcapHeader]byte
	binary.LittleEndian.PutUint32(h[0:], magicNano)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], maxSnaplen)
	binary.LittleEndian.PutUint32(h[20:], uint32(link))
	_, err := p.w.Write(h[:])
	return p, err
}

// WritePacket writes one record.
func (p *Writer) WritePacket(pkt *Packet) error {
	if pkt.Link != p.link {
		return fmt.Errorf("frame %d: link type %d after %d: %w", pkt.Seq, pkt.Link, p.link, ErrLinkType)
	}
	sec, ns := pkt.Time/1e9, pkt.Time%1e9
	if ns < 0 {
		sec, ns = sec-1, ns+1e9
	}
	binary.LittleEndian.PutUint32(p.buf[0:], uint32(sec))                              //nolint:gosec // the format has 32 bits
	binary.LittleEndian.PutUint32(p.buf[4:], uint32(ns))                               //nolint:gosec // below 1e9
	binary.LittleEndian.PutUint32(p.buf[8:], uint32(len(pkt.Data)))                    //nolint:gosec // a record is below 64 MiB
	binary.LittleEndian.PutUint32(p.buf[12:], max(pkt.WireLen, uint32(len(pkt.Data)))) //nolint:gosec // likewise
	if _, err := p.w.Write(p.buf[:]); err != nil {
		return err
	}
	_, err := p.w.Write(pkt.Data)
	return err
}

// Close writes what is buffered; it does not close the writer beneath.
func (p *Writer) Close() error { return p.w.Flush() }

// NGWriter writes a pcapng file with nanosecond times; an interface is described when its first packet comes.
type NGWriter struct {
	w          *bufio.Writer
	interfaces map[ngKey]uint32
	buf        []byte
}

type ngKey struct {
	link  LinkType
	file  uint16
	iface uint16
}

// NewNGWriter writes the section header.
func NewNGWriter(w io.Writer) (*NGWriter, error) {
	p := &NGWriter{w: bufio.NewWriterSize(w, 64<<10), interfaces: map[ngKey]uint32{}}
	b := binary.LittleEndian.AppendUint32(nil, 0x1a2b3c4d)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, 1<<64-1) // section length not stated
	return p, p.block(blockSHB, b)
}

// block writes a block around a body whose length is a multiple of four.
func (p *NGWriter) block(kind uint32, body []byte) error {
	size := uint32(len(body) + 12) //nolint:gosec // a record is below 64 MiB
	var h [8]byte
	binary.LittleEndian.PutUint32(h[0:], kind)
	binary.LittleEndian.PutUint32(h[4:], size)
	if _, err := p.w.Write(h[:]); err != nil {
		return err
	}
	if _, err := p.w.Write(body); err != nil {
		return err
	}
	_, err := p.w.Write(h[4:])
	return err
}

func (p *NGWriter) iface(pkt *Packet) (uint32, error) {
	key := ngKey{pkt.Link, pkt.Loc.File, pkt.Iface}
	if i, ok := p.interfaces[key]; ok {
		return i, nil
	}
	i := uint32(len(p.interfaces)) //nolint:gosec // at most one a source interface
	p.interfaces[key] = i
	b := binary.LittleEndian.AppendUint16(nil, uint16(pkt.Link))
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, maxSnaplen)
	b = append(b, optTSResol, 0, 1, 0, 9, 0, 0, 0) // nanoseconds
	b = append(b, 0, 0, 0, 0)
	return i, p.block(blockIDB, b)
}

// WritePacket writes one packet, with a comment where that is not empty.
func (p *NGWriter) WritePacket(pkt *Packet, comment string) error {
	i, err := p.iface(pkt)
	if err != nil {
		return err
	}
	n := uint32(len(pkt.Data)) //nolint:gosec // a record is below 64 MiB
	t := uint64(pkt.Time)      //nolint:gosec // times before 1970 do not occur in captures
	b := binary.LittleEndian.AppendUint32(p.buf[:0], i)
	b = binary.LittleEndian.AppendUint32(b, uint32(t>>32)) //nolint:gosec // upper half
	b = binary.LittleEndian.AppendUint32(b, uint32(t))     //nolint:gosec // lower half
	b = binary.LittleEndian.AppendUint32(b, n)
	b = binary.LittleEndian.AppendUint32(b, max(pkt.WireLen, n))
	b = pad(append(b, pkt.Data...))
	if comment != "" {
		comment = comment[:min(len(comment), 1<<15)]
		b = binary.LittleEndian.AppendUint16(b, optComment)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(comment))) //nolint:gosec // cut above
		b = pad(append(b, comment...))
		b = append(b, 0, 0, 0, 0)
	}
	p.buf = b
	return p.block(blockEPB, b)
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// Close writes what is buffered; it does not close the writer beneath.
func (p *NGWriter) Close() error { return p.w.Flush() }
