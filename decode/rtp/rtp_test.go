package rtp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	oracle "github.com/pion/rtp"
)

// TestParse has pion/rtp make packets of all shapes.
func TestParse(t *testing.T) {
	t.Parallel()
	for pad := range 4 {
		for csrc := range 16 {
			for _, ext := range []bool{false, true} {
				h := oracle.Header{
					Version: 2, Marker: true, PayloadType: 101, SequenceNumber: 65535, Timestamp: 1 << 31, SSRC: 0xdeadbeef,
					CSRC: make([]uint32, csrc), Padding: pad > 0,
				}
				if ext {
					if err := h.SetExtension(1, []byte("abc")); err != nil {
						t.Fatal(err)
					}
				}
				b, err := (&oracle.Packet{Header: h, Payload: []byte("sound"), PaddingSize: byte(pad)}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				var got Packet
				if err := Parse(b, &got); err != nil {
					t.Fatal(err)
				}
				want := Packet{Marker: true, PT: 101, Seq: 65535, Timestamp: 1 << 31, SSRC: 0xdeadbeef, Payload: []byte("sound")}
				if got.Marker != want.Marker || got.PT != want.PT || got.Seq != want.Seq || got.Timestamp != want.Timestamp ||
					got.SSRC != want.SSRC || !bytes.Equal(got.Payload, want.Payload) {
					t.Errorf("pad %d csrc %d ext %t: %+v", pad, csrc, ext, got)
				}
				other := Packet{PT: 9, Seq: 7, Timestamp: 8, SSRC: 1}
				Rewrite(b, &other)
				var q oracle.Packet
				if err := q.Unmarshal(b); err != nil {
					t.Fatal(err)
				}
				if q.Marker || q.PayloadType != 9 || q.SequenceNumber != 7 || q.Timestamp != 8 || q.SSRC != 1 ||
					len(q.CSRC) != csrc || q.Extension != ext || string(q.Payload) != "sound" {
					t.Errorf("rewritten: %+v", q)
				}
			}
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{
		"empty": nil, "short": make([]byte, 11), "version 1": bytes.Repeat([]byte{0x40}, 12),
		"RTCP":             {0x80, 200, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0},
		"CSRC beyond":      {0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"extension beyond": {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0xff, 0xff},
		"extension cut":    {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe},
		"padding beyond":   {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200},
		"STUN":             {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"DTLS":             {22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 5},
	} {
		if err := Parse(b, new(Packet)); !errors.Is(err, ErrNotRTP) {
			t.Errorf("%s: %v", name, err)
		}
		Rewrite(b[:min(len(b), 11)], &Packet{}) // too short: stays
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	for code := range 256 {
		e := Event{Code: uint8(code), End: code%2 == 1, Volume: uint8(code) & 63, Duration: uint16(code * 257)}
		got, ok := ParseEvent(e.Append(nil))
		if !ok || got != e {
			t.Errorf("%+v, want %+v", got, e)
		}
		if d := e.Digit(); code < 16 && d != Digits[code] || code >= 16 && d != 0 {
			t.Errorf("event %d is %q", code, d)
		}
	}
	if _, ok := ParseEvent([]byte{1, 2, 3}); ok {
		t.Error("three bytes")
	}
	// The R bit is ignored (RFC 4733 2.3.2).
	if e, _ := ParseEvent([]byte{1, 0x40 | 10, 0, 160}); e.End || e.Volume != 10 {
		t.Errorf("%+v", e)
	}
}

// TestReports compares what is written with the bytes of RFC 3550, and reads it.
func TestReports(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC).UnixNano()
	info := Info{NTP: NTP(now), Timestamp: 160, Packets: 7, Octets: 1120}
	block := Block{SSRC: 9, Fraction: 12, Lost: -5, Highest: 1<<16 | 77, Jitter: 8, LSR: Compact(info.NTP), DLSR: 65536}
	b := AppendReport(nil, 42, &info, &block)
	b = AppendCNAME(b, 42, "a@b")
	b = AppendReport(b, 42, nil, &block)
	b = AppendReport(b, 42, nil, nil)
	b = AppendBye(b, 42)
	if want := "" + // RFC 3550 6.4.1, 6.5, 6.4.2, 6.6, by hand
		"81c8000c" + "0000002a" + "ed01b42580000000" + "000000a0" + "00000007" + "00000460" +
		"00000009" + "0cfffffb" + "0001004d" + "00000008" + "b4258000" + "00010000" +
		"81ca0003" + "0000002a" + "01036140" + "62000000" +
		"81c90007" + "0000002a" + "00000009" + "0cfffffb" + "0001004d" + "00000008" + "b4258000" + "00010000" +
		"80c90001" + "0000002a" + "81cb0001" + "0000002a"; hex.EncodeToString(b) != want {
		t.Errorf("%x, want %s", b, want)
	}
	var types []uint8
	var infos []Info
	var blocks []Block
	err := Controls(b, func(c *Control) bool {
		types = append(types, c.Type)
		if c.SSRC != 42 {
			t.Errorf("type %d of %d", c.Type, c.SSRC)
		}
		if i, ok := c.Info(); ok {
			infos = append(infos, i)
		}
		c.Blocks(func(x *Block) bool {
			blocks = append(blocks, *x)
			return true
		})
		return true
	})
	if err != nil || string(types) != string([]byte{200, 202, 201, 201, 203}) {
		t.Errorf("%v, %v", types, err)
	}
	if len(infos) != 1 || infos[0] != info || len(blocks) != 2 || blocks[0] != block || blocks[1] != block {
		t.Errorf("%+v, %+v", infos, blocks)
	}
	if s := NTP(now) >> 32; s-2_208_988_800 != uint64(now/1e9) || uint32(NTP(now)) != 1<<31 {
		t.Errorf("NTP %x", NTP(now))
	}
	// The 24 bits of lost packets are as full as they can be.
	for _, lost := range []int32{1 << 30, -1 << 30} {
		_ = Controls(AppendReport(nil, 1, nil, &Block{Lost: lost}), func(c *Control) bool {
			c.Blocks(func(x *Block) bool {
				if want := max(min(lost, maxLost), minLost); x.Lost != want {
					t.Errorf("%d, want %d", x.Lost, want)
				}
				return false
			})
			return false
		})
	}
	if long := AppendCNAME(nil, 1, strings.Repeat("x", 1000)); len(long)%4 != 0 || int(long[9]) != MaxText {
		t.Errorf("CNAME of %d", long[9])
	}
}

func TestControlErrors(t *testing.T) {
	t.Parallel()
	good := AppendReport(nil, 42, &Info{NTP: 1}, &Block{SSRC: 1})
	for n := range good {
		if err := Controls(good[:n], func(*Control) bool { return true }); !errors.Is(err, ErrNotRTCP) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	lying := bytes.Clone(good)
	lying[0] = 2<<6 | 31 // 31 blocks, one is there
	n := 0
	if err := Controls(lying, func(c *Control) bool {
		c.Blocks(func(*Block) bool { n++; return true })
		return true
	}); err != nil || n != 1 {
		t.Errorf("%d blocks, %v", n, err)
	}
	many := bytes.Repeat([]byte{2 << 6, 201, 0, 1, 0, 0, 0, 1}, 1000)
	n = 0
	if err := Controls(many, func(*Control) bool { n++; return true }); err != nil || n != maxControl {
		t.Errorf("%d packets, %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78sound"))
	f.Add([]byte("\xb1\x80\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78AAAA\xbe\xde\x00\x01BBBBsound\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		var q oracle.Packet
		err, other := Parse(b, &p), q.Unmarshal(b)
		if err != nil {
			if !errors.Is(err, ErrNotRTP) {
				t.Fatal(err)
			}
			return
		}
		if other == nil && q.Version == 2 && (p.Seq != q.SequenceNumber || p.Timestamp != q.Timestamp || p.SSRC != q.SSRC ||
			p.PT != q.PayloadType || p.Marker != q.Marker || !q.Padding && !bytes.Equal(p.Payload, q.Payload)) {
			t.Fatalf("%+v, want %+v", p, q)
		}
		same := bytes.Clone(b)
		if Rewrite(same, &p); !bytes.Equal(same, b) {
			t.Fatalf("% x, rewritten to what it says: % x", b, same)
		}
		var r Packet
		if err := Parse(p.Append(nil), &r); err != nil || r.Seq != p.Seq || !bytes.Equal(r.Payload, p.Payload) {
			t.Fatalf("%+v, %v", r, err)
		}
	})
}

func FuzzControls(f *testing.F) {
	f.Add(AppendBye(AppendCNAME(AppendReport(nil, 1, &Info{NTP: 1}, &Block{SSRC: 2, Lost: -1}), 1, "x"), 1))
	f.Add(binary.BigEndian.AppendUint32([]byte{0x9f, 201, 0, 1}, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		size, packets := 0, 0
		err := Controls(b, func(c *Control) bool {
			size += 4 + len(c.Body)
			packets++
			_, _ = c.Info()
			blocks := 0
			c.Blocks(func(*Block) bool { blocks++; return true })
			if blocks > int(c.Count) || blocks*blockBytes > len(c.Body) {
				t.Fatalf("%d blocks in %d bytes, %d stated", blocks, len(c.Body), c.Count)
			}
			return true
		})
		if err != nil && !errors.Is(err, ErrNotRTCP) {
			t.Fatal(err)
		}
		if size > len(b) || packets > maxControl || err == nil && packets < maxControl && size != len(b) {
			t.Fatalf("%d packets of %d bytes in %d, %v", packets, size, len(b), err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := (&Packet{PT: 8, Seq: 1, Payload: make([]byte, 160)}).Append(nil)
	var p Packet
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if err := Parse(raw, &p); err != nil {
			b.Fatal(err)
		}
	}
}
