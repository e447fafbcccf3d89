package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// flat is a packet without its place in a run, with its bytes copied.
type flat struct {
	Time  int64
	Data  string
	Wire  uint32
	Link  LinkType
	Iface uint16
}

// testStart is 2024-01-02T03:04:05 UTC in nanoseconds.
var testStart = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano()

// readAll reads to the end, checks what holds for every Source, and gives what ended it.
func readAll(tb testing.TB, fs *Files) ([]flat, error) {
	tb.Helper()
	var got []flat
	var b Batch
	seq, now := uint64(0), int64(0)
	for {
		err := fs.Next(context.Background(), &b)
		if err != nil {
			if len(b.Packets) > 0 {
				tb.Fatalf("error %v comes with %d packets", err, len(b.Packets))
			}
			if again := fs.Next(context.Background(), &b); !errors.Is(again, err) {
				tb.Fatalf("the end does not last: %v, then %v", err, again)
			}
			return got, err
		}
		if n := len(b.Packets); n == 0 || n > MaxBatch {
			tb.Fatalf("batch of %d packets", n)
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			if seq++; p.Seq != seq {
				tb.Fatalf("Seq %d after %d", p.Seq, seq-1)
			}
			if now = max(now, p.Time); seq == 1 {
				now = p.Time
			}
			if p.Loc.Off <= 0 || p.WireLen < uint32(len(p.Data)) {
				tb.Fatalf("frame %d: offset %d, %d bytes of %d", p.Seq, p.Loc.Off, len(p.Data), p.WireLen)
			}
			got = append(got, flat{p.Time, string(p.Data), p.WireLen, p.Link, p.Iface})
		}
		if b.Now != now {
			tb.Fatalf("Now %d after frame %d, highest time %d", b.Now, seq, now)
		}
	}
}

// readBytes reads a capture in memory.
func readBytes(tb testing.TB, data []byte) ([]flat, error) {
	tb.Helper()
	fs, err := NewReader("test", bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer fs.Close()
	return readAll(tb, fs)
}

// mustRead is readBytes for a whole capture.
func mustRead(tb testing.TB, data []byte) []flat {
	tb.Helper()
	got, err := readBytes(tb, data)
	if !errors.Is(err, io.EOF) {
		tb.Fatalf("ended by %v", err)
	}
	return got
}

// samples are packets that differ in everything; times are whole microseconds.
func samples(n int) []flat {
	out := make([]flat, n)
	for i := range out {
		data := bytes.Repeat([]byte{byte(i)}, i*7%61)
		out[i] = flat{
			Time: testStart + int64(i)*1_234_567_000, Data: string(data), Wire: uint32(len(data) + i%3), Link: LinkEthernet,
		}
	}
	return out
}

// pcapBytes writes a pcap by hand: the tests of the reader do not lean on the writer.
func pcapBytes(o binary.AppendByteOrder, magic uint32, ps []flat) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = o.AppendUint64(b, 0)
	b = o.AppendUint32(b, 65535)
	b = o.AppendUint32(b, 0x4000_0000|uint32(LinkEthernet)) // FCS length in the upper bits
	unit := int64(1000)
	if magic == magicNano {
		unit = 1
	}
	for _, p := range ps {
		b = o.AppendUint32(b, uint32(p.Time/1e9))
		b = o.AppendUint32(b, uint32(p.Time%1e9/unit))
		b = o.AppendUint32(b, uint32(len(p.Data)))
		b = o.AppendUint32(b, p.Wire)
		if magic == magicModified {
			b = o.AppendUint64(b, 0x0102030405060708)
		}
		b = append(b, p.Data...)
	}
	return b
}

// ng builds pcapng blocks by hand.
type ng struct {
	o binary.AppendByteOrder
	b []byte
}

func newNG(o binary.AppendByteOrder) *ng { n := &ng{o: o}; return n.section() }

func (n *ng) block(kind uint32, body []byte) *ng {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	size := uint32(len(body) + 12)
	n.b = n.o.AppendUint32(n.b, kind)
	n.b = n.o.AppendUint32(n.b, size)
	n.b = append(n.b, body...)
	n.b = n.o.AppendUint32(n.b, size)
	return n
}

func (n *ng) section() *ng {
	b := n.o.AppendUint32(nil, byteOrderMagic)
	b = n.o.AppendUint16(b, 1)
	b = n.o.AppendUint16(b, 0)
	return n.block(blockSHB, n.o.AppendUint64(b, 1<<64-1))
}

func (n *ng) option(b []byte, code uint16, value string) []byte {
	b = n.o.AppendUint16(b, code)
	b = n.o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (n *ng) iface(link LinkType, snaplen uint32, opts ...string) *ng {
	b := n.o.AppendUint16(nil, uint16(link))
	b = n.o.AppendUint16(b, 0)
	b = n.o.AppendUint32(b, snaplen)
	for i := 0; i+1 < len(opts); i += 2 {
		b = n.option(b, uint16(opts[i][0]), opts[i+1])
	}
	return n.block(blockIDB, b)
}

// packet adds an enhanced packet.
func (n *ng) packet(iface uint32, ticks uint64, data string, comments ...string) *ng {
	b := n.o.AppendUint32(nil, iface)
	return n.packetBody(blockEPB, b, ticks, data, comments)
}

// obsolete adds a packet block of the obsolete kind.
func (n *ng) obsolete(iface, drops uint16, ticks uint64, data string, comments ...string) *ng {
	b := n.o.AppendUint16(nil, iface)
	b = n.o.AppendUint16(b, drops)
	return n.packetBody(blockPB, b, ticks, data, comments)
}

func (n *ng) packetBody(kind uint32, b []byte, ticks uint64, data string, comments []string) *ng {
	b = n.o.AppendUint32(b, uint32(ticks>>32))
	b = n.o.AppendUint32(b, uint32(ticks))
	b = n.o.AppendUint32(b, uint32(len(data)))
	b = n.o.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	for _, c := range comments {
		b = n.option(b, optComment, c)
	}
	if len(comments) > 0 {
		b = append(b, 0, 0, 0, 0)
	}
	return n.block(kind, b)
}

func (n *ng) simple(wire uint32, data string) *ng {
	return n.block(blockSPB, append(n.o.AppendUint32(nil, wire), data...))
}

// orders are both byte orders.
func orders() map[string]binary.AppendByteOrder {
	return map[string]binary.AppendByteOrder{"little": binary.LittleEndian, "big": binary.BigEndian}
}
