package cut

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"sipscope/capture"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
)

// ErrPacket says that a packet cannot be written to a capture, or that a capture has none that can be read.
var ErrPacket = errors.New("no RTP packet")

// Sizes in bytes of the headers that a datagram gets in a file.
const (
	ethernetBytes = 14
	ipv4Bytes     = 20
	ipv6Bytes     = 40
	udpBytes      = 8
	maxUDP        = math.MaxUint16 - ipv4Bytes - udpBytes // of payload, in IPv4 and IPv6 alike
	protoUDP      = 17
	hopLimit      = 64
)

// place is a packet of a stream, for writing in the order of time.
type place struct {
	offset         int64
	stream, packet int
}

// WritePcap writes streams as a classic pcap file of Ethernet frames in the order of their packets, with times in
// microseconds: what every reader takes, SIPp's play_pcap_audio too, which wants a file for each stream. began is the
// time (ns since 1970-01-01 UTC) that offsets count from. It fails with ErrPacket for streams without addresses and for
// datagrams that are too long, and with capture.ErrTime.
func WritePcap(w io.Writer, began int64, streams ...Stream) error {
	f, err := capture.NewWriter(w, capture.LinkEthernet, capture.Microseconds())
	if err != nil {
		return fmt.Errorf("media: %w", err)
	}
	if err := write(began, streams, f.WritePacket); err != nil {
		return err
	}
	return flushed(f.Close())
}

// WritePcapng is WritePcap for a pcapng file, with times in nanoseconds, which Read gives back exactly.
func WritePcapng(w io.Writer, began int64, streams ...Stream) error {
	f, err := capture.NewNGWriter(w, capture.Application("sipscope"))
	if err != nil {
		return fmt.Errorf("media: %w", err)
	}
	if err := write(began, streams, func(p *capture.Packet) error { return f.WritePacket(p, "") }); err != nil {
		return err
	}
	return flushed(f.Close())
}

func flushed(err error) error {
	if err != nil {
		return fmt.Errorf("media: %w", err)
	}
	return nil
}

// write gives all packets of streams in the order of their offsets.
func write(began int64, streams []Stream, put func(*capture.Packet) error) error {
	n := 0
	for i := range streams {
		n += len(streams[i].Packets)
	}
	places := make([]place, 0, n)
	for i := range streams {
		for j := range streams[i].Packets {
			places = append(places, place{streams[i].Packets[j].Offset, i, j})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.offset, b.offset) })
	var buf []byte
	for i, at := range places {
		s := &streams[at.stream]
		p := &s.Packets[at.packet]
		var err error
		if buf, err = appendFrame(buf[:0], s.From, s.To, p.Data); err != nil {
			return fmt.Errorf("packet %d of %s to %s: %w", at.packet+1, s.From, s.To, err)
		}
		out := capture.Packet{
			Seq: uint64(i) + 1, Time: began + p.Offset, Data: buf, WireLen: uint32(len(buf)), //nolint:gosec // A frame.
			Link: capture.LinkEthernet,
		}
		if err := put(&out); err != nil {
			return fmt.Errorf("packet %d of %s to %s: %w", at.packet+1, s.From, s.To, err)
		}
	}
	return nil
}

// appendFrame appends an Ethernet frame with a UDP datagram.
func appendFrame(dst []byte, from, to frame.Endpoint, data []byte) ([]byte, error) {
	switch {
	case from.V4 != to.V4 || !from.IsValid() || !to.IsValid():
		return dst, fmt.Errorf("%w: no pair of addresses", ErrPacket)
	case len(data) > maxUDP:
		return dst, fmt.Errorf("%w: %d bytes, a datagram has %d", ErrPacket, len(data), maxUDP)
	}
	dst = append(dst, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1) // locally administered, to and from (IEEE 802)
	size := uint16(udpBytes + len(data))                  //nolint:gosec // Compared above.
	src, to16 := from.Addr().AsSlice(), to.Addr().AsSlice()
	// The pseudo headers of IPv4 and IPv6 have the same sum (RFC 768, RFC 8200 8.1).
	sum := add(add(uint32(protoUDP)+uint32(size), src), to16)
	if from.V4 {
		dst = append(dst, 0x08, 0x00)
		at := len(dst)
		dst = binary.BigEndian.AppendUint16(append(dst, 0x45, 0), ipv4Bytes+size)
		dst = append(dst, 0, 0, 0x40, 0, hopLimit, protoUDP, 0, 0) // don't fragment
		dst = append(append(dst, src...), to16...)
		binary.BigEndian.PutUint16(dst[at+10:], fold(add(0, dst[at:])))
	} else {
		dst = append(dst, 0x86, 0xdd, 0x60, 0, 0, 0)
		dst = append(binary.BigEndian.AppendUint16(dst, size), protoUDP, hopLimit)
		dst = append(append(dst, src...), to16...)
	}
	at := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, from.Port)
	dst = binary.BigEndian.AppendUint16(dst, to.Port)
	dst = append(binary.BigEndian.AppendUint16(dst, size), 0, 0)
	dst = append(dst, data...)
	check := fold(add(sum, dst[at:]))
	if check == 0 {
		check = math.MaxUint16 // 0 would say that there is none (RFC 768)
	}
	binary.BigEndian.PutUint16(dst[at+6:], check)
	return dst, nil
}

// add adds the 16-bit words of b to a sum that a frame cannot overflow (RFC 1071).
func add(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// fold is the checksum that a sum makes (RFC 1071).
func fold(sum uint32) uint16 {
	for sum > math.MaxUint16 {
		sum = sum>>16 + sum&math.MaxUint16
	}
	return ^uint16(sum)
}

// Read reads streams from a capture that WritePcap or WritePcapng wrote, or another that holds RTP: all RTP in UDP, by
// source, destination and SSRC, in the order of their first packets. began is the time that Offset counts from. Payloads
// have the names of RFC 3551 alone, Call and Message are -1. The bounds of Options hold; what they leave out is in
// Counts. name is for errors. A capture that is cut short gives what it has, and the error.
func Read(r io.Reader, name string, began int64, o Options) (*Result, error) {
	files, err := capture.NewReader(name, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = files.Close() }()
	c := newCutter(nil, nil, o)
	c.began = began
	var b capture.Batch
	defer b.Release()
	for {
		if err := files.Next(context.Background(), &b); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c.Result(), err
		}
		for i := range b.Packets {
			c.any(&b.Packets[i])
		}
	}
}

// any takes a packet whoever named its addresses.
func (c *Cutter) any(p *capture.Packet) {
	var x rtp.Packet
	f := &c.decoded
	switch {
	case frame.Decode(p.Link, p.Data, p.WireLen, f) != frame.UDP, f.Cut:
		c.counts.Other++
		return
	case rtp.IsRTCP(f.Payload):
		c.counts.RTCP++
		return
	case rtp.Parse(f.Payload, &x) != nil:
		c.counts.Other++
		return
	}
	if s := c.stream(f, &x, nil, nil, p.Seq, p.Time); s != nil {
		c.keep(s, f.Payload, p.Time)
	}
}
