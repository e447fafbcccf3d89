package capture

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// magicSize is how many bytes tell one format from another.
const magicSize = 4

// maxLayers is how often a capture may be compressed.
const maxLayers = 2

// zstdMaxWindow is the largest window that zstd itself writes (--ultra -22, --long=27), in bytes: a frame that claims
// more is refused before memory is set aside for it.
const zstdMaxWindow = 128 << 20

// format is what the first bytes of an input say it is.
type format uint8

const (
	formatUnknown format = iota
	formatPcap
	formatPcapNG
	formatGzip
	formatZstd
	formatBzip2
	formatPart // the beginning of one of these, and no more
)

// magics are the beginnings of what can be read. The pcapng one is the same in both byte orders.
func magics() [9]struct {
	magic string
	is    format
} {
	return [...]struct {
		magic string
		is    format
	}{
		{"\xd4\xc3\xb2\xa1", formatPcap},
		{"\xa1\xb2\xc3\xd4", formatPcap},
		{"\x4d\x3c\xb2\xa1", formatPcap},
		{"\xa1\xb2\x3c\x4d", formatPcap},
		{"\x34\xcd\xb2\xa1", formatPcap},
		{"\xa1\xb2\xcd\x34", formatPcap},
		{"\x0a\x0d\x0d\x0a", formatPcapNG},
		{"\x1f\x8b\x08", formatGzip},
		{"BZh", formatBzip2},
	}
}

// sniff tells the format from up to magicSize bytes; fewer mean that there are no more.
func sniff(b []byte) format {
	table := magics()
	for i := range table {
		if bytes.HasPrefix(b, []byte(table[i].magic)) {
			return table[i].is
		}
	}
	if len(b) >= 4 {
		m := binary.LittleEndian.Uint32(b)
		if m == 0xfd2fb528 || m>>4 == 0x184d2a5 { // a frame, or a skippable one before it (RFC 8878 section 3.1)
			return formatZstd
		}
		return formatUnknown
	}
	for i := range table {
		if len(b) > 0 && bytes.HasPrefix([]byte(table[i].magic), b) {
			return formatPart
		}
	}
	if len(b) > 0 && bytes.HasPrefix([]byte("\x28\xb5\x2f\xfd"), b) {
		return formatPart
	}
	return formatUnknown
}

// hint names what an input is, where it is a format that people mistake for a capture.
func hint(b []byte) string {
	for _, known := range [...]struct{ magic, is string }{
		{"\xfd7zX", "xz data: decompress them first"},
		{"\x04\x22\x4d\x18", "lz4 data: decompress them first"},
		{"PK\x03\x04", "a zip archive: unpack it first"},
		{"snoo", "a snoop capture: convert it with editcap"},
		{"GMBU", "a Network Monitor capture: convert it with editcap"},
		{"HEP3", "HEP packets"},
	} {
		if bytes.HasPrefix(b, []byte(known.magic)) {
			return known.is
		}
	}
	return fmt.Sprintf("%q", b)
}

// prefixed gives bytes that were read already, then the rest.
type prefixed struct {
	head []byte
	r    io.Reader
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.head) == 0 {
		return p.r.Read(b)
	}
	n := copy(b, p.head)
	p.head = p.head[n:]
	return n, nil
}

// decompress gives what readAhead runs to take off a layer of compression.
func decompress(is format, r io.Reader) func() (io.Reader, func(), error) {
	return func() (io.Reader, func(), error) {
		source := &remember{r: r}
		in := bufio.NewReaderSize(source, aheadSize)
		switch is {
		case formatGzip:
			z, err := gzip.NewReader(in)
			if err != nil {
				return nil, nil, noEOF(err)
			}
			return &layer{z, source}, func() { _ = z.Close() }, nil
		case formatZstd:
			// One goroutine is there already; more would decode ahead in memory that the capture does not need.
			z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
				zstd.WithDecoderMaxWindow(zstdMaxWindow))
			if err != nil {
				return nil, nil, noEOF(err)
			}
			return &layer{z, source}, z.Close, nil
		default:
			return &layer{bzip2.NewReader(in), source}, func() {}, nil
		}
	}
}

// remember keeps what ended a reader.
type remember struct {
	r   io.Reader
	err error
}

func (m *remember) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if err != nil {
		m.err = err
	}
	return n, err
}

// layer is one layer of compression. A decompressor that meets an error after a whole frame may call it the end; it is
// not, when the layer beneath was cut or broken there.
type layer struct {
	z      io.Reader
	source *remember
}

func (l *layer) Read(p []byte) (int, error) {
	n, err := l.z.Read(p)
	if errors.Is(err, io.EOF) && l.source.err != nil && !errors.Is(l.source.err, io.EOF) {
		err = l.source.err
	}
	return n, err
}

// noEOF makes the end of an input that has begun an error.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // only the bare end of the input is meant
		return io.ErrUnexpectedEOF
	}
	return err
}
