package media

import (
	"math"
	"time"

	"sipscope/decode/rtp"
)

// ErrNotRTCP says that a datagram is no compound RTCP packet, or one that is cut.
var ErrNotRTCP = rtp.ErrNotRTCP

// maxCNAME is the length in bytes of the longest CNAME (RFC 3550 6.5).
const maxCNAME = rtp.MaxText

// Report is what the other side says about what it gets from us.
type Report struct {
	At       int64         // ns; when it came
	Fraction uint8         // lost since the report before, in 1/256
	Lost     int32         // since the beginning
	Highest  uint32        // extended sequence number
	Jitter   time.Duration // interarrival jitter
	RTT      time.Duration // round trip, 0 when it cannot be told (RFC 3550 6.4.1)
}

// appendReport appends a compound packet (RFC 3550 6.1): a sender report, or a receiver report when nothing was sent since
// the last one, with a block about what came, and the CNAME. bye ends the stream (RFC 3550 6.6).
func appendReport(dst []byte, now int64, s *Sender, r *Receiver, from lastSR, sends bool, cname string, bye bool) []byte {
	var info *rtp.Info
	if sends {
		info = &rtp.Info{NTP: rtp.NTP(now), Timestamp: s.timestamp(now), Packets: s.packets, Octets: s.octets}
	}
	var block *rtp.Block
	if b, ok := r.Block(now, from.ntp, from.at); ok {
		block = &b
	}
	dst = rtp.AppendReport(dst, s.ssrc, info, block)
	dst = rtp.AppendCNAME(dst, s.ssrc, cname)
	if bye {
		dst = rtp.AppendBye(dst, s.ssrc)
	}
	return dst
}

// lastSR is the other side's last sender report.
type lastSR struct {
	ntp uint32 // compact
	at  int64  // ns; when it came; 0: none did
}

// Block is a report block at now, whose fraction lost counts from the block before (RFC 3550 A.3); false when nothing
// came yet. sr is the middle of the NTP time of the other side's last sender report, which came at srAt; 0, 0 for none.
func (r *Receiver) Block(now int64, sr uint32, srAt int64) (b rtp.Block, ok bool) {
	if !r.began {
		return b, false
	}
	expected, lost, _ := r.spans()
	sinceExpected, sinceReceived := expected-r.priorExpected, r.counted-r.priorReceived
	r.priorExpected, r.priorReceived = expected, r.counted
	fraction := uint64(0)
	if sinceExpected > sinceReceived {
		fraction = min((sinceExpected-sinceReceived)<<8/sinceExpected, math.MaxUint8)
	}
	b = rtp.Block{
		SSRC: r.ssrc, Fraction: uint8(fraction),
		Lost:    int32(min(max(lost, math.MinInt32), math.MaxInt32)),
		Highest: r.highest - firstCycle,
		Jitter:  uint32(r.jitter >> 4), //nolint:gosec // Units of the clock rate.
	}
	if srAt != 0 {
		delay := max(now-srAt, 0) / int64(time.Microsecond) << 16 / int64(time.Second/time.Microsecond)
		b.LSR, b.DLSR = sr, uint32(min(delay, math.MaxUint32))
	}
	return b, true
}

// control is what a compound packet says to us.
type control struct {
	sr     lastSR // at is 0 when there is no sender report
	report Report
	has    bool // report is set
	bye    bool // the source whose reports these are ends
}

// parseControl reads a compound packet. ssrc is ours: blocks about others are passed over.
func parseControl(now int64, b []byte, ssrc uint32) (c control, err error) {
	err = rtp.Controls(b, func(p *rtp.Control) bool {
		c.bye = c.bye || p.Type == rtp.Bye
		if info, ok := p.Info(); ok {
			c.sr = lastSR{ntp: rtp.Compact(info.NTP), at: now}
		}
		p.Blocks(func(b *rtp.Block) bool {
			if b.SSRC == ssrc {
				c.report, c.has = NewReport(now, b, Rate), true
			}
			return true
		})
		return true
	})
	return c, err
}

// NewReport is what a block that came now says about a stream whose timestamps have a clock rate in Hz, above 0.
func NewReport(now int64, b *rtp.Block, clock uint32) Report {
	r := Report{
		At: now, Fraction: b.Fraction, Lost: b.Lost, Highest: b.Highest,
		Jitter: time.Duration(b.Jitter) * time.Second / time.Duration(max(clock, 1)),
	}
	if b.LSR != 0 {
		if rtt := int32(rtp.Compact(rtp.NTP(now)) - b.LSR - b.DLSR); rtt > 0 { //nolint:gosec // A difference.
			r.RTT = time.Duration(rtt) * time.Second >> 16
		}
	}
	return r
}
