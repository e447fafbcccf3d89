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
}

// Microseconds writes times in microseconds, cutting what is finer, for readers that know nothing else. The default is
// nanoseconds.
func Microseconds() WriterOption { return func(c *writerConfig) { c.unit = 1000 } }

// Application names the writing program in a pcapng file (shb_userappl); pcap has no place for it.
func Application(name string) WriterOption { return func(c *writerConfig) { c.application = name } }

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
	magic := uint32(magicNano)
	if c.unit != 1 {
		magic = magicMicro
	}
	var h [pcapHeader]byte
	binary.LittleEndian.PutUint32(h[0:], magic)
	binary.LittleEndian.PutUint16(h[4:], 2)
	binary.LittleEndian.PutUint16(h[6:], 4)
	binary.LittleEndian.PutUint32(h[16:], writeSnaplen)
	binary.LittleEndian.PutUint32(h[20:], uint32(link))
	_, err := p.w.Write(h[:])
	return p, err
}

// WritePacket writes one record. ErrLinkType and ErrTime (before 1970 or after 2106) leave the file as it was; after
// another error it is not whole.
func (p *Writer) WritePacket(pkt *Packet) error {
	if pkt.Link != p.link {
		return fmt.Errorf("frame %d: link type %d in a file of %d: %w", pkt.Seq, pkt.Link, p.link, ErrLinkType)
	}
	sec, ns := pkt.Time/1e9, pkt.Time%1e9
	if pkt.Time < 0 || sec > math.MaxUint32 {
		return fmt.Errorf("frame %d: %s: %w", pkt.Seq, pkt.When().Format("2006-01-02"), ErrTime)
	}
	n, err := dataLen(pkt)
	if err != nil {
		return err
	}
	h := p.w.AvailableBuffer()
	h = binary.LittleEndian.AppendUint32(h, uint32(sec))
	h = binary.LittleEndian.AppendUint32(h, uint32(ns/p.unit)) //nolint:gosec // below 1e9
	h = binary.LittleEndian.AppendUint32(h, n)
	h = binary.LittleEndian.AppendUint32(h, max(pkt.WireLen, n))
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
