package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// optUserAppl is shb_userappl, in a section header.
const optUserAppl = 4

// maxOption is the most bytes that an option's value has: its length is stated in 16 bits.
const maxOption = math.MaxUint16

// NGWriter writes a pcapng file of one little-endian section. An interface is described when its first packet comes.
type NGWriter struct {
	w          *bufio.Writer
	unit       int64
	interfaces map[ngKey]uint32
	buf        []byte  // the parts of a block beside the packet's bytes
	zeros      [3]byte // padding
}

// ngKey tells interfaces apart: an interface of a file has one link type.
type ngKey struct {
	link        LinkType
	file, iface uint16
}

// NewNGWriter writes the section header.
func NewNGWriter(w io.Writer, opts ...WriterOption) (*NGWriter, error) {
	c := configure(opts)
	p := &NGWriter{w: bufio.NewWriterSize(w, writeBuffer), unit: c.unit, interfaces: map[ngKey]uint32{}}
	b := binary.LittleEndian.AppendUint32(nil, byteOrderMagic)
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint64(b, math.MaxUint64) // section length not stated
	if c.application != "" {
		b = endOptions(appendOption(b, optUserAppl, c.application))
	}
	return p, p.block(blockSHB, b)
}

// block writes a block around a body whose length is a multiple of four.
func (p *NGWriter) block(kind uint32, body []byte) error {
	size := uint32(len(body) + ngFrame) //nolint:gosec // bounded by the options' lengths
	h := binary.LittleEndian.AppendUint32(p.w.AvailableBuffer(), kind)
	if _, err := p.w.Write(binary.LittleEndian.AppendUint32(h, size)); err != nil {
		return err
	}
	if _, err := p.w.Write(body); err != nil {
		return err
	}
	_, err := p.w.Write(binary.LittleEndian.AppendUint32(p.w.AvailableBuffer(), size))
	return err
}

// describe gives the number of a packet's interface, after writing its description where it is new.
func (p *NGWriter) describe(pkt *Packet) (uint32, error) {
	key := ngKey{pkt.Link, pkt.Loc.File, pkt.Iface}
	if i, ok := p.interfaces[key]; ok {
		return i, nil
	}
	i := uint32(len(p.interfaces)) //nolint:gosec // a packet's interface numbers have 32 bits
	resolution := "\x09"
	if p.unit != 1 {
		resolution = "\x06"
	}
	b := binary.LittleEndian.AppendUint16(nil, uint16(pkt.Link))
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint32(b, writeSnaplen)
	b = endOptions(appendOption(b, optTSResol, resolution))
	if err := p.block(blockIDB, b); err != nil {
		return 0, err
	}
	p.interfaces[key] = i
	return i, nil
}

// WritePacket writes one packet, with a comment where that is not empty (UTF-8; cut at 65,535 bytes, on a character).
// ErrTime (before 1970) leaves the file as it was; after another error it is not whole.
func (p *NGWriter) WritePacket(pkt *Packet, comment string) error {
	if pkt.Time < 0 {
		return fmt.Errorf("frame %d: %s: %w", pkt.Seq, pkt.When().Format("2006-01-02"), ErrTime)
	}
	n, err := dataLen(pkt)
	if err != nil {
		return err
	}
	i, err := p.describe(pkt)
	if err != nil {
		return err
	}
	padding := p.zeros[:-n&3]
	head := 8 + ngPacket
	ticks := uint64(pkt.Time / p.unit) //nolint:gosec // not negative
	b := binary.LittleEndian.AppendUint32(p.buf[:0], blockEPB)
	b = binary.LittleEndian.AppendUint32(b, 0) // the size, when it is known
	b = binary.LittleEndian.AppendUint32(b, i)
	b = binary.LittleEndian.AppendUint32(b, uint32(ticks>>32))
	b = binary.LittleEndian.AppendUint32(b, uint32(ticks)) //nolint:gosec // lower half
	b = binary.LittleEndian.AppendUint32(b, n)
	b = binary.LittleEndian.AppendUint32(b, max(pkt.WireLen, n))
	if comment != "" {
		b = endOptions(appendOption(b, optComment, cutText(comment, maxOption)))
	}
	size := uint32(len(b)+len(padding)+4) + n //nolint:gosec // below maxRecord and an option
	binary.LittleEndian.PutUint32(b[4:], size)
	b = binary.LittleEndian.AppendUint32(b, size)
	p.buf = b
	for _, part := range [...][]byte{b[:head], pkt.Data, padding, b[head:]} {
		if _, err := p.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// appendOption appends an option, padded to four bytes.
func appendOption(b []byte, code uint16, value string) []byte {
	value = cutText(value, maxOption)
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value))) //nolint:gosec // cut above
	b = append(b, value...)
	return append(b, "\x00\x00\x00"[:-len(value)&3]...)
}

func endOptions(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// cutText cuts s to at most n bytes, before a character rather than within it, and makes it valid UTF-8.
func cutText(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// Flush writes what is buffered.
func (p *NGWriter) Flush() error { return p.w.Flush() }

// Close writes what is buffered; it does not close the writer beneath.
func (p *NGWriter) Close() error { return p.w.Flush() }
