package stream

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"sipscope/decode/rtp"
	"sipscope/element/media"
)

// reportTime is the mean time between two reports (RFC 3550 6.2).
const reportTime = int64(5 * time.Second)

// source is an SSRC that we send with.
type source struct {
	ssrc            uint32
	packets, octets uint32
	reported        uint32 // packets up to the last report
	time            uint32 // timestamp of the last packet
	at              int64  // when it was sent
}

// reports are when the next report is due, and what the last ones of the other side said.
type reports struct {
	next int64
	rand *rand.Rand
	sr   uint32 // middle of the NTP time of its last sender report
	srAt int64  // when that came, 0: none did
}

// begin sets the first report, after half the time (RFC 3550 6.2). There are none without anything that is sent.
func (r *reports) begin(now int64, cfg *Config) {
	r.rand = cfg.Rand
	if r.next = now + r.spread()/2; cfg.Mode == Off {
		r.next = math.MaxInt64
	}
}

// spread is the time to the next report: less or more by up to a half, so that those of many streams do not come at once
// (RFC 3550 6.3.1).
func (r *reports) spread() int64 {
	if r.rand == nil {
		return reportTime
	}
	return reportTime/2 + r.rand.Int64N(reportTime)
}

// count counts a packet that was sent.
func (s *Stream) count(now int64, p *rtp.Packet) {
	var x *source
	for i := range s.sources {
		if s.sources[i].ssrc == p.SSRC {
			x = &s.sources[i]
		}
	}
	if x == nil {
		s.sources = append(s.sources, source{ssrc: p.SSRC}) // at most one for each recording
		x = &s.sources[len(s.sources)-1]
	}
	x.packets++
	x.octets += uint32(len(p.Payload)) //nolint:gosec // A datagram.
	x.time, x.at = p.Timestamp, now
}

// report sends a report for each source that sent since its last one, or one that says only what came (RFC 3550 6.4).
func (s *Stream) report(now int64, bye bool) {
	s.reports.next = now + s.reports.spread()
	port, to := s.cfg.Port, s.remote
	if !s.cfg.Agreed.Mux {
		c, ok := s.cfg.Port.(media.ControlPort)
		if !ok || c.Control() == nil {
			return // no socket for it
		}
		port, to = c.Control(), s.remoteRTCP
	}
	if !to.IsValid() {
		return
	}
	block, received := s.receiver.Block(now, s.reports.sr, s.reports.srAt)
	sent := false
	for i := range s.sources {
		x := &s.sources[i]
		if x.packets == x.reported && !bye {
			continue
		}
		sent = true
		var about *rtp.Block
		if received {
			about, received = &block, false // one of our sources says it
		}
		s.sendReport(now, port, to, x, about, bye)
	}
	if sent || bye {
		return
	}
	x := source{ssrc: s.ssrc()}
	if received {
		s.sendReport(now, port, to, &x, &block, false)
	}
}

// ssrc is what we are named by before we sent anything.
func (s *Stream) ssrc() uint32 {
	switch {
	case len(s.sources) > 0:
		return s.sources[0].ssrc
	case s.sound != nil:
		return s.sound.SSRC()
	case s.player != nil && len(s.player.tracks) > 0:
		return s.player.tracks[0].ssrc
	default:
		return 0
	}
}

// sendReport sends the report of a source.
func (s *Stream) sendReport(now int64, port media.Port, to netip.AddrPort, x *source, about *rtp.Block, bye bool) {
	var info *rtp.Info
	if x.packets != x.reported {
		info = &rtp.Info{NTP: rtp.NTP(now), Timestamp: s.timestamp(now, x), Packets: x.packets, Octets: x.octets}
	}
	x.reported = x.packets
	s.buf = rtp.AppendReport(s.buf[:0], x.ssrc, info, about)
	s.buf = rtp.AppendCNAME(s.buf, x.ssrc, s.cfg.CNAME)
	if bye {
		s.buf = rtp.AppendBye(s.buf, x.ssrc)
	}
	if s.send(port, to, s.buf) {
		s.stats.Reports++
	}
}

// timestamp is the RTP timestamp of the time now: that of the last packet and the time since (RFC 3550 6.4.1).
func (s *Stream) timestamp(now int64, x *source) uint32 {
	const most, maxRate = int64(time.Hour), 1 << 20
	since := min(max(now-x.at, 0), most) / int64(time.Microsecond) * int64(min(clockOf(s.cfg.Live), maxRate))
	return x.time + uint32(since/int64(time.Second/time.Microsecond)) //nolint:gosec // Timestamps wrap.
}

// control takes a datagram of RTCP.
func (s *Stream) control(now int64, _ netip.AddrPort, b []byte) {
	if s.closed {
		return
	}
	err := rtp.Controls(b, func(c *rtp.Control) bool {
		s.stats.Bye = s.stats.Bye || c.Type == rtp.Bye
		if info, ok := c.Info(); ok {
			s.reports.sr, s.reports.srAt = rtp.Compact(info.NTP), now
		}
		c.Blocks(func(x *rtp.Block) bool {
			if s.own(x.SSRC) {
				s.stats.Report, s.stats.Reported = media.NewReport(now, x, clockOf(s.cfg.Live)), true
			}
			return true
		})
		return true
	})
	if err != nil {
		s.stats.BadRTCP++
	}
}

// own reports whether an SSRC is one of ours.
func (s *Stream) own(ssrc uint32) bool {
	for i := range s.sources {
		if s.sources[i].ssrc == ssrc {
			return true
		}
	}
	return false
}
