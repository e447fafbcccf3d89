package capture

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"
)

// Options that are written and not read back, beside those of the reader (draft-ietf-opsawg-pcapng sections 4.1, 4.6).
const (
	optUserAppl = 4 // shb_userappl, in a section header
	optIfRecv   = 4 // isb_ifrecv, in interface statistics
	optIfDrop   = 5 // isb_ifdrop, in interface statistics
)

// blockISB is an interface statistics block.
const blockISB = 5

// maxOption is the most bytes that an option's value has: its length is stated in 16 bits.
const maxOption = math.MaxUint16

// Bytes of options: one with a value of eight bytes, and the end of a list.
const (
	longOption = 12
	lastOption = 4
)

// NGInterface is what an interface description block says.
type NGInterface struct {
	Link LinkType
	Name string // if_name, cut at 255 bytes; empty when there is none
	unit int64  // nanoseconds of a tick, 0 for one
}

// NGExtra is what an enhanced packet block says beside the packet.
type NGExtra struct {
	ID      uint64 // epb_packetid; 0 when it has none
	Comment string // opt_comment, UTF-8, cut at 65,535 bytes, before a character; empty when there is none
}

// NGCounts are the figures of an interface statistics block.
type NGCounts struct {
	Received uint64 // isb_ifrecv: packets that came in
	Dropped  uint64 // isb_ifdrop: packets lost for want of resources
}

// AppendNGSection appends a section header block of unstated length, little-endian. application is shb_userappl, and may
// be empty. Interfaces are numbered from 0 after it.
func AppendNGSection(dst []byte, application string) []byte {
	from := len(dst)
	dst = openBlock(dst, blockSHB)
	dst = binary.LittleEndian.AppendUint32(dst, byteOrderMagic)
	dst = binary.LittleEndian.AppendUint16(dst, 1)
	dst = binary.LittleEndian.AppendUint16(dst, 0)
	dst = binary.LittleEndian.AppendUint64(dst, math.MaxUint64) // section length not stated
	if application != "" {
		dst = endOptions(appendOption(dst, optUserAppl, application))
	}
	return closeBlock(dst, from)
}

// AppendNGInterface appends an interface description block. Times of its packets are in nanoseconds.
func AppendNGInterface(dst []byte, i NGInterface) []byte {
	from := len(dst)
	resolution := "\x09"
	if i.unit > 1 {
		resolution = "\x06"
	}
	dst = openBlock(dst, blockIDB)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(i.Link))
	dst = binary.LittleEndian.AppendUint16(dst, 0)
	dst = binary.LittleEndian.AppendUint32(dst, writeSnaplen)
	if i.Name != "" {
		dst = appendOption(dst, optName, cutText(i.Name, maxNameBytes))
	}
	dst = endOptions(appendOption(dst, optTSResol, resolution))
	return closeBlock(dst, from)
}

// AppendNGPacket appends an enhanced packet block; iface is the number of an interface described before, whose times are
// in nanoseconds. at is where the packet's bytes are in out. It allocates nothing when dst has room for NGPacketSize.
// An error, such as ErrTime (before 1970), comes with dst as it was.
func AppendNGPacket(dst []byte, p *Packet, iface uint32, x *NGExtra) (out []byte, at int, err error) {
	if err := checkNGPacket(p); err != nil {
		return dst, 0, err
	}
	text := cutText(x.Comment, maxOption)
	size := ngPacketSize(len(p.Data), x.ID, text)
	out = appendNGHead(dst, p, iface, 1, size)
	at = len(out)
	out = append(out, p.Data...)
	return appendNGTail(out, len(p.Data), x.ID, text, size), at, nil
}

// NGPacketSize is how many bytes AppendNGPacket appends for a packet.
func NGPacketSize(p *Packet, x *NGExtra) int {
	return ngPacketSize(len(p.Data), x.ID, cutText(x.Comment, maxOption))
}

// AppendNGSecrets appends a decryption secrets block (section 4.7) with a TLS key log in NSS format. It goes before the
// packets that it decrypts.
func AppendNGSecrets(dst []byte, log []byte) []byte {
	from := len(dst)
	dst = openBlock(dst, blockDSB)
	dst = binary.LittleEndian.AppendUint32(dst, secretsTLS)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(log))) //nolint:gosec // memory holds it
	dst = append(dst, log...)
	dst = append(dst, make([]byte, -len(log)&3)...)
	return closeBlock(dst, from)
}

// AppendNGStatistics appends an interface statistics block. now is when it was counted, in nanoseconds since 1970-01-01
// UTC.
func AppendNGStatistics(dst []byte, iface uint32, now int64, c NGCounts) []byte {
	from := len(dst)
	dst = openBlock(dst, blockISB)
	dst = binary.LittleEndian.AppendUint32(dst, iface)
	dst = appendTicks(dst, uint64(max(0, now)))
	dst = appendLongOption(dst, optIfRecv, c.Received)
	dst = endOptions(appendLongOption(dst, optIfDrop, c.Dropped))
	return closeBlock(dst, from)
}

// checkNGPacket tells what cannot be written.
func checkNGPacket(p *Packet) error {
	if p.Time < 0 {
		return fmt.Errorf("frame %d: %s: %w", p.Seq, p.When().Format("2006-01-02"), ErrTime)
	}
	_, err := dataLen(p)
	return err
}

// ngPacketSize is the size of an enhanced packet block with n bytes of a packet.
func ngPacketSize(n int, id uint64, comment string) int {
	size := ngFrame + ngPacket + (n+3)&^3
	if id > 0 {
		size += longOption
	}
	if comment != "" {
		size += 4 + (len(comment)+3)&^3
	}
	if id > 0 || comment != "" {
		size += lastOption
	}
	return size
}

// appendNGHead appends what comes before the bytes of a packet in its block of size bytes.
func appendNGHead(b []byte, p *Packet, iface uint32, unit int64, size int) []byte {
	n := uint32(len(p.Data)) //nolint:gosec // checkNGPacket
	b = binary.LittleEndian.AppendUint32(b, blockEPB)
	b = binary.LittleEndian.AppendUint32(b, uint32(size)) //nolint:gosec // below maxRecord and the options
	b = binary.LittleEndian.AppendUint32(b, iface)
	b = appendTicks(b, uint64(p.Time/unit)) //nolint:gosec // not negative
	b = binary.LittleEndian.AppendUint32(b, n)
	return binary.LittleEndian.AppendUint32(b, max(p.WireLen, n))
}

// appendNGTail appends what comes after the n bytes of a packet.
func appendNGTail(b []byte, n int, id uint64, comment string, size int) []byte {
	b = append(b, "\x00\x00\x00"[:-n&3]...)
	if comment != "" {
		b = appendOption(b, optComment, comment)
	}
	if id > 0 {
		b = appendLongOption(b, optPacketID, id)
	}
	if id > 0 || comment != "" {
		b = endOptions(b)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(size)) //nolint:gosec // as in the head
}

// optPacketID is epb_packetid, in an enhanced packet block (section 4.3).
const optPacketID = 5

// openBlock appends the beginning of a block, whose length closeBlock fills in.
func openBlock(b []byte, kind uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, kind)
	return binary.LittleEndian.AppendUint32(b, 0)
}

// closeBlock appends the end of a block that began at from.
func closeBlock(b []byte, from int) []byte {
	size := uint32(len(b) - from + 4) //nolint:gosec // bounded by the options' lengths
	binary.LittleEndian.PutUint32(b[from+4:], size)
	return binary.LittleEndian.AppendUint32(b, size)
}

// appendTicks appends a time as blocks have it: the upper half first.
func appendTicks(b []byte, ticks uint64) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(ticks>>32))
	return binary.LittleEndian.AppendUint32(b, uint32(ticks)) //nolint:gosec // lower half
}

// appendOption appends an option, padded to four bytes.
func appendOption(b []byte, code uint16, value string) []byte {
	value = cutText(value, maxOption)
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value))) //nolint:gosec // cut above
	b = append(b, value...)
	return append(b, "\x00\x00\x00"[:-len(value)&3]...)
}

// appendLongOption appends an option of 64 bits.
func appendLongOption(b []byte, code uint16, value uint64) []byte {
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, 8)
	return binary.LittleEndian.AppendUint64(b, value)
}

func endOptions(b []byte) []byte { return append(b, 0, 0, 0, 0) }

// cutText cuts s to at most n bytes, before a character rather than within it, and makes it valid UTF-8.
func cutText(s string, n int) string {
	s = strings.ToValidUTF8(s[:min(len(s), n+4)], "\uFFFD")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// NGWriter writes a pcapng file of one little-endian section. An interface is described when its first packet comes.
type NGWriter struct {
	w          *bufio.Writer
	config     writerConfig
	interfaces map[ngKey]uint32
	buf        []byte // the parts of a block beside the packet's bytes
}

// ngKey tells interfaces apart: an interface of a file has one link type.
type ngKey struct {
	link        LinkType
	file, iface uint16
}

// NewNGWriter writes the section header.
func NewNGWriter(w io.Writer, opts ...WriterOption) (*NGWriter, error) {
	p := &NGWriter{
		w: bufio.NewWriterSize(w, writeBuffer), config: configure(opts), interfaces: map[ngKey]uint32{},
	}
	_, err := p.w.Write(AppendNGSection(nil, p.config.application))
	return p, err
}

// WriteSecrets writes a TLS key log (NSS format) for the packets that follow.
func (p *NGWriter) WriteSecrets(log []byte) error {
	_, err := p.w.Write(AppendNGSecrets(nil, log))
	return err
}

// describe gives the number of a packet's interface, after writing its description where it is new.
func (p *NGWriter) describe(pkt *Packet) (uint32, error) {
	key := ngKey{pkt.Link, pkt.Loc.File, pkt.Iface}
	if i, ok := p.interfaces[key]; ok {
		return i, nil
	}
	i := uint32(len(p.interfaces)) //nolint:gosec // a packet's interface numbers have 32 bits
	d := NGInterface{Link: pkt.Link, unit: p.config.unit}
	if p.config.names != nil {
		d.Name = p.config.names(pkt.Iface)
	}
	if _, err := p.w.Write(AppendNGInterface(nil, d)); err != nil {
		return 0, err
	}
	p.interfaces[key] = i
	return i, nil
}

// WritePacket writes one packet, with a comment where that is not empty (UTF-8; cut at 65,535 bytes, on a character).
// ErrTime (before 1970) leaves the file as it was; after another error it is not whole.
func (p *NGWriter) WritePacket(pkt *Packet, comment string) error {
	if err := checkNGPacket(pkt); err != nil {
		return err
	}
	i, err := p.describe(pkt)
	if err != nil {
		return err
	}
	comment = cutText(comment, maxOption)
	size := ngPacketSize(len(pkt.Data), 0, comment)
	p.buf = appendNGHead(p.buf[:0], pkt, i, p.config.unit, size)
	head := len(p.buf)
	p.buf = appendNGTail(p.buf, len(pkt.Data), 0, comment, size)
	for _, part := range [...][]byte{p.buf[:head], pkt.Data, p.buf[head:]} {
		if _, err := p.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Flush writes what is buffered.
func (p *NGWriter) Flush() error { return p.w.Flush() }

// Close writes what is buffered; it does not close the writer beneath.
func (p *NGWriter) Close() error { return p.w.Flush() }
