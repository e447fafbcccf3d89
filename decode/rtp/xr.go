package rtp

import "encoding/binary"

// ExtendedReport is the packet type of extended reports (RFC 3611 2); 205 and 206 are feedback (RFC 4585 6.1).
const ExtendedReport = 207

// Block types of an extended report (RFC 3611 4).
const (
	xrLossRLE    = 1
	xrDuplicates = 2
	xrTimes      = 3
	xrReference  = 4
	xrDelay      = 5
	xrStatistics = 6
	xrVoIP       = 7
)

// Unavailable is the value of a quality figure that is not given (RFC 3611 4.7.5).
const Unavailable = 127

// voipBytes is the length of a VoIP metrics block after its header of four bytes (RFC 3611 4.7):
//
//	|                        SSRC of source                         |
//	|   loss rate   | discard rate  | burst density |  gap density  |
//	|       burst duration          |         gap duration          |
//	|     round trip delay          |       end system delay        |
//	| signal level  |  noise level  |     RERL      |     Gmin      |
//	|   R factor    | ext. R factor |    MOS-LQ     |    MOS-CQ     |
//	|   RX config   |   reserved    |          JB nominal           |
//	|          JB maximum           |          JB abs max           |
const voipBytes = 32

// VoIP is a VoIP metrics block: how a call sounds to the one who sent the report (RFC 3611 4.7).
type VoIP struct {
	SSRC                   uint32 // of the source that it is about
	Loss, Discard          uint8  // in 1/256
	BurstDensity           uint8  // in 1/256
	GapDensity             uint8
	BurstLength, GapLength uint16 // milliseconds
	RoundTrip, EndSystem   uint16 // milliseconds, 0 unknown
	Signal, Noise          int8   // dBm0, 127 unavailable
	RERL, Gmin             uint8
	RFactor, External      uint8 // 0 to 100, 127 unavailable
	MOSLQ, MOSCQ           uint8 // tenths, 10 to 50, 127 unavailable
	Config                 uint8
	Nominal, Maximum, Most uint16 // jitter buffer, milliseconds
}

// statisticsBytes is the length of a statistics summary block after its header (RFC 3611 4.6).
const statisticsBytes = 36

// Statistics is a statistics summary block (RFC 3611 4.6). What its flags leave out is 0.
type Statistics struct {
	SSRC                                        uint32
	Begin, End                                  uint16 // sequence numbers; End is the first after the interval
	Lost, Duplicates                            uint32
	MinJitter, MaxJitter, MeanJitter, DevJitter uint32 // units of the clock rate
	HasLoss, HasDuplicates, HasJitter           bool
	MinTTL, MaxTTL, MeanTTL, DevTTL             uint8
	HasTTL                                      bool
}

// Extended is one block of an extended report: one of the pointers is set, or none for a block that only counts.
type Extended struct {
	Type       uint8
	SSRC       uint32 // what it is about; 0 when it is about no source, or several
	VoIP       *VoIP
	Statistics *Statistics
}

// Extended gives the blocks of an extended report until f returns false. A length that says more than there is ends it. f
// must not keep what it gets.
func (c *Control) Extended(f func(x *Extended) bool) {
	if c.Type != ExtendedReport || len(c.Body) < sourceBytes {
		return
	}
	b := c.Body[sourceBytes:]
	var x Extended
	var voip VoIP
	var stats Statistics
	for len(b) >= 4 {
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) {
			return
		}
		body := b[4:size]
		x = Extended{Type: b[0]}
		if aboutSource(x.Type) && len(body) >= sourceBytes {
			x.SSRC = binary.BigEndian.Uint32(body)
		}
		switch {
		case x.Type == xrVoIP && len(body) >= voipBytes:
			voip.parse(body)
			x.VoIP = &voip
		case x.Type == xrStatistics && len(body) >= statisticsBytes:
			stats.parse(b[1], body)
			x.Statistics = &stats
		}
		if !f(&x) {
			return
		}
		b = b[size:]
	}
}

// aboutSource reports whether a block begins with the source that it is about.
func aboutSource(t uint8) bool {
	switch t {
	case xrLossRLE, xrDuplicates, xrTimes, xrStatistics, xrVoIP:
		return true
	case xrReference, xrDelay:
		return false
	default:
		return false
	}
}

func (v *VoIP) parse(b []byte) {
	word := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	*v = VoIP{
		SSRC: binary.BigEndian.Uint32(b), Loss: b[4], Discard: b[5], BurstDensity: b[6], GapDensity: b[7],
		BurstLength: word(8), GapLength: word(10), RoundTrip: word(12), EndSystem: word(14),
		Signal: int8(b[16]), Noise: int8(b[17]), RERL: b[18], Gmin: b[19], //nolint:gosec // Signed on the wire.
		RFactor: b[20], External: b[21], MOSLQ: b[22], MOSCQ: b[23], Config: b[24],
		Nominal: word(26), Maximum: word(28), Most: word(30),
	}
}

func (s *Statistics) parse(flags uint8, b []byte) {
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	*s = Statistics{SSRC: word(0), Begin: binary.BigEndian.Uint16(b[4:]), End: binary.BigEndian.Uint16(b[6:])}
	if s.HasLoss = flags&0x80 != 0; s.HasLoss {
		s.Lost = word(8)
	}
	if s.HasDuplicates = flags&0x40 != 0; s.HasDuplicates {
		s.Duplicates = word(12)
	}
	if s.HasJitter = flags&0x20 != 0; s.HasJitter {
		s.MinJitter, s.MaxJitter, s.MeanJitter, s.DevJitter = word(16), word(20), word(24), word(28)
	}
	if s.HasTTL = flags&0x18 != 0; s.HasTTL {
		s.MinTTL, s.MaxTTL, s.MeanTTL, s.DevTTL = b[32], b[33], b[34], b[35]
	}
}

// CNAME gives the canonical name in a source description (RFC 3550 6.5.1) and its source; false without one.
func (c *Control) CNAME() (ssrc uint32, name []byte, ok bool) {
	if c.Type != Description || len(c.Body) < sourceBytes {
		return 0, nil, false
	}
	ssrc = binary.BigEndian.Uint32(c.Body)
	for b := c.Body[sourceBytes:]; len(b) >= 2 && b[0] != 0; {
		size := 2 + int(b[1])
		if size > len(b) {
			break
		}
		if b[0] == itemCNAME {
			return ssrc, b[2:size], true
		}
		b = b[size:]
	}
	return 0, nil, false
}
