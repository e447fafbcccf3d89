package flowtest

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"sipscope/capture"
)

// Sizes of a pcap file's header and of a record's.
const (
	pcapFileHeader   = 24
	pcapRecordHeader = 16
)

// Packets plays the flow and gives its frames in order of time, as a reader of its capture would: numbered from 1, cut
// by the snaplen, and, for a pcap, with their place in the file. The bytes are the caller's. Errors are of type *Error.
func (f *Flow) Packets() ([]capture.Packet, error) {
	p, err := f.play()
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(p.w.out, func(a, b frame) int { return cmp.Compare(a.at, b.at) })
	packets := make([]capture.Packet, 0, len(p.w.out))
	off := int64(pcapFileHeader)
	for i, fr := range p.w.out {
		k := capture.Packet{
			Seq: uint64(i + 1), Time: f.start.Add(fr.at).UnixNano(), Data: fr.data,
			WireLen: uint32(len(fr.data)), Link: f.links[fr.iface].kind, Iface: fr.iface,
		}
		if f.micro {
			k.Time -= k.Time % int64(time.Microsecond)
		}
		if f.snaplen > 0 {
			k.Data = k.Data[:min(len(k.Data), f.snaplen)]
		}
		if !f.ng {
			k.Loc.Off = off + pcapRecordHeader
			off = k.Loc.Off + int64(len(k.Data))
		}
		packets = append(packets, k)
	}
	return packets, nil
}

// Write writes the flow's capture in the format that FileName tells.
func (f *Flow) Write(w io.Writer) error {
	if f.ng {
		return f.WritePcapNG(w)
	}
	return f.WritePcap(w)
}

// WritePcap writes the flow as a pcap file. A flow with interfaces of several link types cannot be one.
func (f *Flow) WritePcap(w io.Writer) error {
	packets, err := f.Packets()
	if err != nil {
		return err
	}
	if f.micro {
		return f.writeMicro(w, packets)
	}
	out, err := capture.NewWriter(w, f.links[0].kind)
	if err != nil {
		return err
	}
	for i := range packets {
		if err := out.WritePacket(&packets[i]); err != nil {
			return err
		}
	}
	return out.Close()
}

// writeMicro writes the older and more common kind of pcap, whose times are in microseconds.
func (f *Flow) writeMicro(w io.Writer, packets []capture.Packet) error {
	out := pcapgo.NewWriter(w)
	if err := out.WriteFileHeader(262144, layers.LinkType(f.links[0].kind)); err != nil {
		return err
	}
	for i := range packets {
		k := &packets[i]
		err := out.WritePacket(gopacket.CaptureInfo{
			Timestamp: k.When(), CaptureLength: len(k.Data), Length: int(k.WireLen),
		}, k.Data)
		if err != nil {
			return err
		}
	}
	return nil
}

// WritePcapNG writes the flow as a pcapng file.
func (f *Flow) WritePcapNG(w io.Writer) error {
	packets, err := f.Packets()
	if err != nil {
		return err
	}
	out, err := capture.NewNGWriter(w)
	if err != nil {
		return err
	}
	for i := range packets {
		if err := out.WritePacket(&packets[i], ""); err != nil {
			return err
		}
	}
	return out.Close()
}

// source gives packets from memory.
type source struct {
	packets []capture.Packet
	batch   int
	now     int64
}

var _ capture.Source = (*source)(nil)

// NewSource makes a Source that gives packets in batches of at most batch (1 to capture.MaxBatch). The batches slice
// into packets, which must not change while they are in use.
func NewSource(packets []capture.Packet, batch int) capture.Source {
	return &source{packets: packets, batch: min(max(batch, 1), capture.MaxBatch)}
}

// Next implements capture.Source.
func (s *source) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Packets = nil // a slice of what was given before: not to be written into
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(s.packets) == 0 {
		return io.EOF
	}
	n := min(s.batch, len(s.packets))
	b.Packets, s.packets = s.packets[:n:n], s.packets[n:]
	for i := range b.Packets {
		s.now = max(s.now, b.Packets[i].Time)
	}
	b.Now = s.now
	return nil
}
