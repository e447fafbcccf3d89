package output

import (
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"sipscope/capture"
)

// statsBlock is the size of an interface statistics block with two counters, and ifaceBlock the most that an interface
// description takes, in bytes.
const (
	statsBlock = 52
	ifaceBlock = 320
)

// zstdWindow bounds the memory of compression, in bytes.
const zstdWindow = 1 << 20

// key tells interfaces apart.
type key struct {
	link        capture.LinkType
	file, iface uint16
}

// mark is the end of a unit in the buffer: a packet with the headers that have to come before it, or headers alone.
type mark struct {
	end    int
	packet bool
}

// format makes bytes of packets, and writes them whole.
type format struct {
	o       *Options
	buf     []byte // units that wait
	marks   []mark // their ends
	ifaces  []key  // described in the file, by number
	numbers map[key]uint32
	link    capture.LinkType // of a pcap file
	headed  bool             // the file's header is in buf or in the file
	ended   bool             // statistics are in buf or in the file
	encoder *zstd.Encoder    // nil before the first flush
	fresh   bool             // the encoder begins a frame
	packed  []byte           // whole compressed blocks that wait
	packets uint64           // in packed
}

func (f *format) init(o *Options) { f.o, f.numbers = o, map[key]uint32{} }

// start begins a file.
func (f *format) start() {
	f.ifaces = f.ifaces[:0]
	clear(f.numbers)
	f.fresh = true
	if f.headed, f.ended = !f.o.Pcap, false; f.headed {
		f.buf = capture.AppendNGSection(f.buf, f.o.Application)
		f.mark(false)
	}
}

func (f *format) mark(packet bool) { f.marks = append(f.marks, mark{len(f.buf), packet}) }

// size is the most bytes that a packet takes, before compression.
func (f *format) size(p *capture.Packet, comment string) int {
	if f.o.Pcap {
		return pcapRecord + pcapHeader + len(p.Data)
	}
	n := capture.NGPacketSize(p, &capture.NGExtra{Comment: comment})
	if _, ok := f.numbers[key{p.Link, p.Loc.File, p.Iface}]; !ok {
		n += ifaceBlock + statsBlock
	}
	return n
}

// Sizes of pcap headers, in bytes.
const (
	pcapHeader = 24
	pcapRecord = 16
)

// slack is the most bytes that the end of the file takes, and what cannot be compressed more than it is long.
func (f *format) slack() int {
	if f.o.Zstd {
		return f.tail() + 64 + (len(f.buf)+len(f.packed))/1024
	}
	return f.tail()
}

// tail is how many bytes the end of the file takes, before compression.
func (f *format) tail() int {
	if f.o.Counts == nil || f.o.Pcap {
		return 0
	}
	return statsBlock * len(f.ifaces)
}

// append puts a packet into the buffer. An error leaves that as it was.
func (f *format) append(p *capture.Packet, comment string) error {
	if f.o.Pcap {
		return f.appendRecord(p)
	}
	before := len(f.buf)
	k := key{p.Link, p.Loc.File, p.Iface}
	n, known := f.numbers[k]
	if !known {
		n = uint32(len(f.ifaces)) //nolint:gosec // 48 bits of keys, and a packet behind each
		about := capture.NGInterface{Link: p.Link}
		if f.o.Names != nil {
			about.Name = f.o.Names(p.Iface)
		}
		f.buf = capture.AppendNGInterface(f.buf, about)
	}
	out, _, err := capture.AppendNGPacket(f.buf, p, n, &capture.NGExtra{Comment: comment})
	if err != nil {
		f.buf = f.buf[:before]
		return err
	}
	if !known {
		f.ifaces = append(f.ifaces, k)
		f.numbers[k] = n
	}
	f.buf, f.ended = out, false
	f.mark(true)
	return nil
}

func (f *format) appendRecord(p *capture.Packet) error {
	before := len(f.buf)
	if !f.headed {
		f.buf = capture.AppendPcapHeader(f.buf, p.Link)
	} else if p.Link != f.link {
		return fmt.Errorf("frame %d: link type %d in a file of %d: %w", p.Seq, p.Link, f.link, capture.ErrLinkType)
	}
	out, err := capture.AppendPcapRecord(f.buf, p)
	if err != nil {
		f.buf = f.buf[:before]
		return err
	}
	f.buf, f.headed, f.link = out, true, p.Link
	f.mark(true)
	return nil
}

// finish puts the end of the file into the buffer, once.
func (f *format) finish(now int64) {
	if !f.headed {
		f.headed, f.link = true, capture.LinkEthernet // a file without packets can be read, too
		f.buf = capture.AppendPcapHeader(f.buf, f.link)
		f.mark(false)
	}
	if f.ended || f.tail() == 0 {
		return
	}
	f.ended = true
	for n, k := range f.ifaces {
		if counts, ok := f.o.Counts(k.iface); ok {
			f.buf = capture.AppendNGStatistics(f.buf, uint32(n), now, counts)
		}
	}
	f.mark(false)
}

// waiting is how many packets wait.
func (f *format) waiting() uint64 {
	n := f.packets
	for _, m := range f.marks {
		if m.packet {
			n++
		}
	}
	return n
}

// flush writes what waits. What could not be written whole waits on.
func (f *format) flush(t *target) error {
	if !f.o.Zstd {
		n, err := t.write(f.buf)
		if err != nil {
			n = f.whole(n)
			err = t.cut(int64(n), err)
		}
		t.size += int64(n)
		f.drop(n)
		return err
	}
	if err := f.pack(); err != nil {
		return err
	}
	return f.flushFrame(t)
}

// pack compresses what waits, unless there is some that waits compressed.
func (f *format) pack() error {
	if len(f.packed) > 0 || len(f.buf) == 0 {
		return nil
	}
	if f.encoder == nil {
		var err error
		if f.encoder, err = zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false)); err != nil {
			return err
		}
	} else if f.fresh {
		f.encoder.Reset(f)
	}
	f.fresh = false
	if _, err := f.encoder.Write(f.buf); err != nil {
		return err
	}
	if err := f.encoder.Flush(); err != nil {
		return err
	}
	f.packets = f.waiting()
	f.drop(len(f.buf))
	return nil
}

// Write takes what the encoder gives.
func (f *format) Write(b []byte) (int, error) {
	f.packed = append(f.packed, b...)
	return len(b), nil
}

// lastBlock is an empty last block, which ends a zstd frame without a checksum (RFC 8878 section 3.1.1.2).
func lastBlock() []byte { return []byte{1, 0, 0} }

// flushFrame writes compressed blocks. A file is one frame, since Wireshark 4.0 gives up at a second one. It is ended
// after every flush, so that it is whole if no other comes; the next one overwrites the end.
func (f *format) flushFrame(t *target) error {
	if len(f.packed) == 0 {
		return nil
	}
	n := len(f.packed)
	if t.regular {
		f.packed = append(f.packed, lastBlock()...)
	}
	if _, err := t.write(f.packed); err != nil {
		f.packed = f.packed[:n]
		err = t.cut(0, err)
		if t.regular && t.size > 0 { // where the end was before, there is room
			_, again := t.write(lastBlock())
			err = errors.Join(err, again)
		}
		return err
	}
	t.size += int64(n)
	f.packed, f.packets = f.packed[:0], 0
	if cap(f.packed) > 2*flushZstdAt {
		f.packed = nil
	}
	return nil
}

// last ends compressed data and says how many bytes that takes. In a file, they are there already.
func (f *format) last(t *target) (int64, error) {
	if !f.o.Zstd {
		return 0, nil
	}
	var err error
	if !t.regular {
		_, err = t.write(lastBlock())
	}
	return int64(len(lastBlock())), err
}

// whole is the end of the last unit within n bytes.
func (f *format) whole(n int) int {
	i, found := slices.BinarySearchFunc(f.marks, n, func(m mark, n int) int { return m.end - n })
	switch {
	case found:
		return n
	case i == 0:
		return 0
	}
	return f.marks[i-1].end
}

// drop takes n bytes, whole units, out of the buffer. A buffer that had to hold much more than usual is given back.
func (f *format) drop(n int) {
	if n == len(f.buf) {
		f.buf, f.marks = f.buf[:0], f.marks[:0]
		if cap(f.buf) > 2*flushZstdAt {
			f.buf = nil
		}
		return
	}
	i := 0
	for i < len(f.marks) && f.marks[i].end <= n {
		i++
	}
	f.marks = slices.Delete(f.marks, 0, i)
	for i := range f.marks {
		f.marks[i].end -= n
	}
	f.buf = f.buf[:copy(f.buf, f.buf[n:])]
}

// forget drops what waits.
func (f *format) forget() {
	f.buf, f.marks = f.buf[:0], f.marks[:0]
	f.packed, f.packets = f.packed[:0], 0
}

// pending is how many bytes wait.
func (f *format) pending() int { return len(f.buf) + len(f.packed) }

// close ends the compression.
func (f *format) close() {
	if f.encoder != nil {
		_ = f.encoder.Close() // what it adds is in no file
		f.forget()
	}
}
