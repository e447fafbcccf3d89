package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrLinkType says that a pcap file holds one link type only; a pcapng file takes several.
var ErrLinkType = errors.New("a pcap file has one link type")

// ErrTime says that a file format cannot hold a packet's time.
var ErrTime = errors.New("time does not fit the file format")

// writeBuffer is how much a writer collects before it writes, in bytes.
const writeBuffer = 256 << 10

// writeSnaplen is the snaplen that both writers state, in bytes: tcpdump's, which means everything.
const writeSnaplen = 256 << 10

// WriterOption changes how a capture is written.
type WriterOption func(*writerConfig)

type writerConfig struct {
	unit        int64 // nanoseconds of a tick
	application string
	names       func(iface uint16) string
}

// Microseconds writes times in microseconds, cutting what is finer, for readers that know nothing else. The default is
// nanoseconds.
func Microseconds() WriterOption { return func(c *writerConfig) { c.unit = 1000 } }

// Application names the writing program in a pcapng file (shb_userappl); pcap has no place for it.
func Application(name string) WriterOption { return func(c *writerConfig) { c.application = name } }

// InterfaceNames gives the names of interfaces in a pcapng file (if_name), by Packet.Iface; it is asked when an
// interface's first packet is written, and gives an empty text for one without a name.
func InterfaceNames(name func(iface uint16) string) WriterOption {
	return func(c *writerConfig) { c.names = name }
}

func configure(opts []WriterOption) writerConfig {
	c := writerConfig{unit: 1}
	for _, o := range opts {
		o(&c)
	}
	return c
}

// Writer writes a classic pcap file, little-endian, version 2.4.
type Writer struct {
	w    *bufio.Writer
	link LinkType
	unit int64
}

// NewWriter writes the file header. All packets must have the link type.
func NewWriter(w io.Writer, link LinkType, opts ...WriterOption) (*Writer, error) {
	c := configure(opts)
	p := &Writer{w: bufio.NewWriterSize(w, writeBuffer), link: link, unit: c.unit}
	_, err := p.w.Write(appendPcapHeader(nil, link, c.unit))
	return p, err
}

// AppendPcapHeader appends the header of a classic pcap file, little-endian, with times in nanoseconds.
func AppendPcapHeader(dst []byte, link LinkType) []byte { return appendPcapHeader(dst, link, 1) }

func appendPcapHeader(b []byte, link LinkType, unit int64) []byte {
	magic := uint32(magicNano)
	if unit != 1 {
		magic = magicMicro
	}
	b = binary.LittleEndian.AppendUint32(b, magic)
	b = binary.LittleEndian.AppendUint16(b, 2)
	b = binary.LittleEndian.AppendUint16(b, 4)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, writeSnaplen)
	return binary.LittleEndian.AppendUint32(b, uint32(link))
}

// AppendPcapRecord appends a packet to a file whose header AppendPcapHeader made for its link type. It allocates nothing
// when dst has room for 16 bytes more than the packet's. An error, such as ErrTime (before 1970 or after 2106), comes
// with dst as it was.
func AppendPcapRecord(dst []byte, p *Packet) ([]byte, error) {
	out, err := appendRecordHead(dst, p, 1)
	if err != nil {
		return dst, err
	}
	return append(out, p.Data...), nil
}

func appendRecordHead(b []byte, p *Packet, unit int64) ([]byte, error) {
	sec, ns := p.Time/1e9, p.Time%1e9
	if p.Time < 0 || sec > math.MaxUint32 {
		return b, fmt.Errorf("frame %d: %s: %w", p.Seq, p.When().Format("2006-01-02"), ErrTime)
	}
	n, err := dataLen(p)
	if err != nil {
		return b, err
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(sec))
	b = binary.LittleEndian.AppendUint32(b, uint32(ns/unit)) //nolint:gosec // below 1e9
	b = binary.LittleEndian.AppendUint32(b, n)
	return binary.LittleEndian.AppendUint32(b, max(p.WireLen, n)), nil
}

// WritePacket writes one record. ErrLinkType and ErrTime (before 1970 or after 2106) leave the file as it was; after
// another error it is not whole.
func (p *Writer) WritePacket(pkt *Packet) error {
	if pkt.Link != p.link {
		return fmt.Errorf("frame %d: link type %d in a file of %d: %w", pkt.Seq, pkt.Link, p.link, ErrLinkType)
	}
	h, err := appendRecordHead(p.w.AvailableBuffer(), pkt, p.unit)
	if err != nil {
		return err
	}
	if _, err = p.w.Write(h); err != nil {
		return err
	}
	_, err = p.w.Write(pkt.Data)
	return err
}

// dataLen is the length of a packet's bytes, within what readers believe.
func dataLen(pkt *Packet) (uint32, error) {
	if len(pkt.Data) > maxRecord-ngFrame-ngPacket-3 {
		return 0, fmt.Errorf("frame %d: %d bytes, at most %d can be written", pkt.Seq, len(pkt.Data), maxRecord)
	}
	return uint32(len(pkt.Data)), nil //nolint:gosec // compared above
}

// Flush writes what is buffered.
func (p *Writer) Flush() error { return p.w.Flush() }

// Close writes what is buffered; it does not close the writer beneath.
func (p *Writer) Close() error { return p.w.Flush() }
