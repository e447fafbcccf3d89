package redact_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/render/redact"
)

// decoded reads a frame with gopacket, which checks lengths and sums.
func decoded(t *testing.T, b []byte) (dst string, payload []byte, tcp *layers.TCP, id uint16) {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		if int(ip.Length) != len(b)-14 || sum(b[14:34]) != 0 {
			t.Errorf("IPv4 length %d of %d, or its checksum", ip.Length, len(b)-14)
		}
		id = ip.Id
	case *layers.IPv6:
		if int(ip.Length) != len(b)-54 {
			t.Errorf("IPv6 length %d of %d", ip.Length, len(b)-54)
		}
	default:
		t.Fatal("no IP")
	}
	net := p.NetworkLayer()
	dst = net.NetworkFlow().Dst().String()
	start := len(b) - len(net.LayerPayload())
	addresses := b[start-8 : start]
	if len(net.NetworkFlow().Src().Raw()) == 16 {
		addresses = b[start-32 : start]
	}
	pseudo := binary.BigEndian.AppendUint16(bytes.Clone(addresses), uint16(len(b)-start))
	if l, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
		if int(l.Length) != len(b)-start {
			t.Errorf("UDP length %d of %d", l.Length, len(b)-start)
		}
		if s := sum(append(append(pseudo, 0, 17), b[start:]...)); s != 0 {
			t.Errorf("UDP checksum %#x", s)
		}
		return dst, l.Payload, nil, id
	}
	tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		t.Fatal("neither UDP nor TCP")
	}
	if s := sum(append(append(pseudo, 0, 6), b[start:]...)); s != 0 {
		t.Errorf("TCP checksum %#x", s)
	}
	return dst, tcp.Payload, tcp, id
}

// sum is the Internet checksum, written in another way than in the package.
func sum(b []byte) uint16 {
	var n uint64
	for i, c := range b {
		if i%2 == 0 {
			n += uint64(c) << 8
		} else {
			n += uint64(c)
		}
	}
	return uint16(0xffff-n%0xffff) % 0xffff
}

func TestFrameLayout(t *testing.T) {
	t.Parallel()
	v4 := [2]frame.Endpoint{frame.Endpoint4([]byte{198, 18, 0, 1}, 5060), frame.Endpoint4([]byte{198, 18, 0, 2}, 5062)}
	v6 := [2]frame.Endpoint{
		frame.Endpoint6(append([]byte{0x20, 1, 0xd, 0xb8}, make([]byte, 12)...), 5060),
		frame.Endpoint6(append([]byte{0x20, 1, 0xd, 0xb8}, append(make([]byte, 11), 9)...), 5062),
	}
	for _, ends := range [][2]frame.Endpoint{v4, v6} {
		for _, transport := range []decode.Transport{decode.UDP, decode.TCP, decode.TLS, decode.WSS, decode.SCTP} {
			for _, size := range []int{0, 1, 2, 700, 65000, 65001, 65507, 65508, 200000} {
				text := bytes.Repeat([]byte("abc\xff"), size/4+1)[:size]
				m := correlate.Message{Seq: 7, Src: ends[0], Dst: ends[1], Transport: transport}
				var f redact.Framer
				frames, err := f.Frames(&m, text)
				if transport == decode.UDP && size > 65507 {
					if !errors.Is(err, redact.ErrTooLong) {
						t.Errorf("%d bytes over UDP: %v", size, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				next := uint32(1)
				for _, b := range frames {
					dst, payload, tcp, _ := decoded(t, b)
					if want := ends[1].Host(); dst != want {
						t.Errorf("to %s, want %s", dst, want)
					}
					if tcp != nil && tcp.Seq != next {
						t.Errorf("sequence number %d, want %d", tcp.Seq, next)
					}
					next += uint32(len(payload))
					got = append(got, payload...)
				}
				if !bytes.Equal(got, text) {
					t.Errorf("%s of %d bytes: %d bytes in %d frames", transport, size, len(got), len(frames))
				}
			}
		}
	}
}

// TestFramerState: sequence numbers go on, a duplicate repeats its frame, a cut message leaves a hole.
func TestFramerState(t *testing.T) {
	t.Parallel()
	a, b := frame.Endpoint4([]byte{198, 18, 0, 1}, 5060), frame.Endpoint4([]byte{198, 18, 0, 2}, 5062)
	text := []byte("OPTIONS sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n")
	cut := []byte("OPTIONS sip:x SIP/2.0\r\nContent-Length: 100\r\n\r\n123")
	var f redact.Framer
	n := uint32(len(text))
	var last uint16
	for i, step := range []struct {
		from, to frame.Endpoint
		flags    decode.Flags
		text     []byte
		seq, ack uint32
	}{
		{a, b, 0, text, 1, 1},
		{a, b, decode.TapDuplicate, text, 1, 1},
		{b, a, 0, text, 1, 1 + n},
		{a, b, 0, cut, 1 + n, 1 + n},
		{a, b, 0, text, 1 + n + uint32(len(cut)) + 97, 1 + n},
	} {
		frames, err := f.Frames(&correlate.Message{Src: step.from, Dst: step.to, Transport: decode.TCP, Flags: step.flags}, step.text)
		if err != nil || len(frames) != 1 {
			t.Fatal(len(frames), err)
		}
		_, _, tcp, id := decoded(t, frames[0])
		if tcp.Seq != step.seq || tcp.Ack != step.ack {
			t.Errorf("step %d: seq %d, ack %d, want %d, %d", i, tcp.Seq, tcp.Ack, step.seq, step.ack)
		}
		if same := id == last; same != (step.flags != 0) {
			t.Errorf("step %d: id %d after %d", i, id, last)
		}
		last = id
	}
}

func TestFrameErrors(t *testing.T) {
	t.Parallel()
	v4 := frame.Endpoint4([]byte{198, 18, 0, 1}, 5060)
	v6 := frame.Endpoint6(append([]byte{0x20, 1}, make([]byte, 14)...), 5060)
	var f redact.Framer
	for _, m := range []correlate.Message{{}, {Src: v4}, {Src: v4, Dst: v6, Transport: decode.TCP}} {
		if frames, err := f.Frames(&m, []byte("x")); err == nil {
			t.Errorf("%s > %s: %d frames", m.Src, m.Dst, len(frames))
		}
	}
}
