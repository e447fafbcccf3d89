package rtp

import (
	"encoding/binary"
	"testing"
)

// FuzzView holds that View and Parse agree on whole packets, and that what a snaplen cut counts as it was on the wire.
func FuzzView(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78sound"))
	f.Add([]byte("\xb1\x80\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78AAAA\xbe\xde\x00\x01BBBBsound\x01"))
	f.Add([]byte("\x80\xc8\x00\x01\x00\x00\x00\xa0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		var h Header
		err := Parse(b, &p)
		if ok := View(b, 0, &h); ok != (err == nil) {
			t.Fatalf("view %t, parse %v", ok, err)
		}
		_ = Compound(b)
		if err != nil {
			return
		}
		if h.Seq != p.Seq || h.Timestamp != p.Timestamp || h.SSRC != p.SSRC || h.PT != p.PT || h.Marker != p.Marker || int(h.Size) != len(p.Payload) {
			t.Fatalf("%+v, want %+v", h, p)
		}
		var cut Header
		if n := len(b); n > HeaderBytes && b[0]&(extendedBit|paddingBit) == 0 {
			if !View(b[:HeaderBytes], uint32(n-HeaderBytes), &cut) || cut.Size != h.Size || cut.Seq != h.Seq {
				t.Fatalf("cut: %+v, want %+v", cut, h)
			}
		}
	})
}

func TestCompound(t *testing.T) {
	t.Parallel()
	good := AppendBye(AppendCNAME(AppendReport(nil, 1, &Info{NTP: 1}, &Block{SSRC: 2}), 1, "x"), 1)
	if !Compound(good) {
		t.Fatal("a compound packet is none")
	}
	for n := range good {
		// A cut between two packets leaves a compound packet.
		if Compound(good[:n]) && n != 52 && n != 64 {
			t.Errorf("cut at %d is one", n)
		}
	}
	if Compound(append(good, 1, 2, 3, 4)) || Compound(append(good, 0)) {
		t.Error("what follows it, as in SRTCP, is part of none")
	}
	lying := append([]byte(nil), good...)
	if lying[0] |= 31; Compound(lying) {
		t.Error("31 blocks have no room")
	}
}

// xr is an extended report with a VoIP metrics block and a statistics summary about a source.
func xr(ssrc uint32) []byte {
	b := []byte{version << 6, ExtendedReport, 0, 0, 0, 0, 0, 1, xrVoIP, 0, 0, 8}
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = append(b, 10, 20, 30, 40, 0, 100, 1, 0, 0, 80, 0, 60, 0xec, 0xc4, 55, 16, 85, Unavailable, 41, 40, 0, 0, 0, 40, 0, 80, 0, 120)
	b = append(b, xrStatistics, 0xe0, 0, 9)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	b = append(b, 0, 1, 0, 101)
	for _, v := range []uint32{3, 4, 5, 6, 7, 8, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	setLength(b, 0)
	return b
}

func TestExtended(t *testing.T) {
	t.Parallel()
	b := xr(99)
	if !Compound(b) {
		t.Fatal("no RTCP")
	}
	var voip VoIP
	var stats Statistics
	if err := Controls(b, func(c *Control) bool {
		c.Extended(func(x *Extended) bool {
			if x.SSRC != 99 {
				t.Errorf("block %d is about %d", x.Type, x.SSRC)
			}
			if x.VoIP != nil {
				voip = *x.VoIP
			}
			if x.Statistics != nil {
				stats = *x.Statistics
			}
			return true
		})
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if voip.MOSLQ != 41 || voip.MOSCQ != 40 || voip.RFactor != 85 || voip.External != Unavailable || voip.RoundTrip != 80 ||
		voip.Signal != -20 || voip.Noise != -60 || voip.Nominal != 40 || voip.Most != 120 || voip.BurstLength != 100 {
		t.Errorf("%+v", voip)
	}
	if stats.Lost != 3 || stats.Duplicates != 4 || stats.MaxJitter != 6 || stats.Begin != 1 || stats.End != 101 || !stats.HasJitter || stats.HasTTL {
		t.Errorf("%+v", stats)
	}
}

func FuzzExtended(f *testing.F) {
	f.Add(xr(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := Control{Type: ExtendedReport, Body: b}
		n := 0
		c.Extended(func(*Extended) bool { n++; return true })
		if n*4 > len(b) {
			t.Fatalf("%d blocks in %d bytes", n, len(b))
		}
		c.Type = Description
		if _, name, ok := c.CNAME(); ok && len(name) > MaxText {
			t.Fatalf("%d bytes of name", len(name))
		}
	})
}

func BenchmarkView(b *testing.B) {
	raw := (&Packet{PT: 8, Seq: 1, Payload: make([]byte, 160)}).Append(nil)
	var h Header
	b.ReportAllocs()
	for b.Loop() {
		if !View(raw, 0, &h) {
			b.Fatal("no RTP")
		}
	}
}
