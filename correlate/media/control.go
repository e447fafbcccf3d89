package media

import (
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
)

// controlRec is what RTCP says about a stream.
type controlRec struct {
	reports Reports // RTT and Jitter as durations, but for clocks that are not known yet
	sent    [sentLook]sentRec
	newest  uint8
	points  []Point
}

// sentLook is how many sender reports a receiver's answer is looked for among.
const sentLook = 4

// sentRec is a sender report of the stream's source, as the tap saw it.
type sentRec struct {
	ntp  uint32 // middle of its NTP time
	time int64
}

// maxRTT is the longest round trip that is believed.
const maxRTT = 60 * second

// maxCNAME bounds a name (RFC 3550 6.5 allows 255 bytes).
const maxCNAME = 255

// Control takes the next datagram that has the form of RTCP, and reports whether it is: a compound packet by its form, or,
// encrypted (SRTCP), one whose addresses SDP named or whose sender has a stream.
func (t *Tracker) Control(m *decode.Media) bool {
	b := m.Frame.Payload
	if !rtp.Compound(b) {
		if !t.knowsControl(m.Frame, b) {
			return false
		}
		t.counts.RTCP++
		return true // its reports are encrypted, or cut
	}
	t.counts.RTCP++
	_ = rtp.Controls(b, func(c *rtp.Control) bool { // Compound has seen its form
		t.control(m, c)
		return true
	})
	return true
}

// knowsControl reports whether RTCP goes where SDP says, or comes from the source of a stream between its hosts.
func (t *Tracker) knowsControl(f *frame.Packet, b []byte) bool {
	for _, e := range [...]frame.Endpoint{f.Dst, f.Src} {
		if i := t.names.find(t.hash(e), e); i != 0 {
			if n := t.names.At(i); n.flags.has(nameControl) || n.flags.has(nameRTP) && n.flags.has(nameMux) {
				return true
			}
		}
		e.Port-- // RTCP goes to the next port (RFC 3550 11)
		if i := t.names.find(t.hash(e), e); i != 0 && t.names.At(i).media() {
			return true
		}
	}
	if len(b) < 8 {
		return false
	}
	ssrc := uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7])
	return t.streamOf(ssrc, f.Src, f.Dst) != nil
}

// streamOf finds the stream of a source that goes from one host to another; behind a NAT hosts differ, so the newest
// stream of the source will do when it is the only one.
func (t *Tracker) streamOf(ssrc uint32, from, to frame.Endpoint) *streamRec {
	var only *streamRec
	n := 0
	for i := t.bySSRC.Get(t.hashSSRC(ssrc)); i != 0 && n < streamLook; {
		r := t.streams.At(i)
		if r.ssrc == ssrc && r.state == confirmed {
			if r.src.SameHost(from) && r.dst.SameHost(to) {
				return r
			}
			only = r
			n++
		}
		i = r.ssrcLinks.next
	}
	if n == 1 && (only.src.SameHost(from) || only.dst.SameHost(to)) {
		return only
	}
	return nil
}

// aboutStream gives what RTCP says about a stream, to add to.
func (t *Tracker) aboutStream(r *streamRec) *controlRec {
	if r.control == 0 {
		i, c := t.controls.Alloc()
		c.reports = Reports{RTT: -1, MaxRTT: -1, Jitter: -1}
		r.control = i
	}
	return t.controls.At(r.control)
}

// control takes one packet of a compound packet.
func (t *Tracker) control(m *decode.Media, c *rtp.Control) {
	src, dst := m.Frame.Src, m.Frame.Dst
	if info, ok := c.Info(); ok {
		if r := t.streamOf(c.SSRC, src, dst); r != nil {
			x := t.aboutStream(r)
			x.reports.Sender++
			x.reports.SentPackets, x.reports.SentBytes = info.Packets, info.Octets
			x.newest = (x.newest + 1) % sentLook
			x.sent[x.newest] = sentRec{rtp.Compact(info.NTP), m.Time}
		}
	}
	c.Blocks(func(b *rtp.Block) bool {
		if r := t.streamOf(b.SSRC, dst, src); r != nil {
			t.reported(r, b, m.Time)
		}
		return true
	})
	switch c.Type {
	case rtp.Description:
		t.described(c, src, dst)
	case rtp.Bye:
		if r := t.streamOf(c.SSRC, src, dst); r != nil && c.Count > 0 {
			t.aboutStream(r).reports.Bye = m.Time
		}
	case rtp.ExtendedReport:
		c.Extended(func(x *rtp.Extended) bool {
			if r := t.streamOf(x.SSRC, dst, src); r != nil {
				t.extended(r, x)
			}
			return true
		})
	default:
	}
}

// described takes the canonical name of a source (RFC 3550 6.5.1).
func (t *Tracker) described(c *rtp.Control, src, dst frame.Endpoint) {
	ssrc, name, ok := c.CNAME()
	if !ok {
		return
	}
	name = name[:min(len(name), maxCNAME)]
	if r := t.streamOf(ssrc, src, dst); r != nil {
		if x := t.aboutStream(r); x.reports.CNAME != string(name) {
			x.reports.CNAME = string(name)
		}
	}
}

// reported takes a report block about a stream (RFC 3550 6.4.1).
func (t *Tracker) reported(r *streamRec, b *rtp.Block, now int64) {
	x := t.aboutStream(r)
	p := &x.reports
	p.Receiver++
	p.Fraction, p.Lost = b.Fraction, b.Lost
	p.MaxFraction = max(p.MaxFraction, b.Fraction)
	if clock := t.mainClock(r); clock != 0 {
		p.Jitter = int64(b.Jitter) * second / int64(clock)
	}
	rtt := int64(-1)
	if b.LSR != 0 {
		for i := range x.sent {
			if x.sent[i].ntp == b.LSR && x.sent[i].time != 0 {
				rtt = now - x.sent[i].time - int64(b.DLSR)*second>>16
			}
		}
	}
	if rtt < 0 || rtt > maxRTT {
		rtt = -1
	} else {
		p.RTT, p.MaxRTT = rtt, max(p.MaxRTT, rtt)
	}
	if len(x.points) >= t.limits.Points || t.points >= t.limits.AllPoints {
		t.counts.UnkeptPoints++
	} else {
		t.points++
		x.points = append(x.points, Point{Time: now, Fraction: b.Fraction, Lost: b.Lost, Jitter: b.Jitter, RTT: rtt})
	}
}

// extended takes a block of an extended report about a stream (RFC 3611 4).
func (t *Tracker) extended(r *streamRec, b *rtp.Extended) {
	p := &t.aboutStream(r).reports
	p.XR++
	if b.VoIP == nil {
		return
	}
	score := func(v uint8) float64 {
		if v < 10 || v > 50 {
			return 0 // 127 says unavailable (RFC 3611 4.7.5)
		}
		return float64(v) / 10
	}
	p.MOSLQ, p.MOSCQ = score(b.VoIP.MOSLQ), score(b.VoIP.MOSCQ)
	if p.RFactor = b.VoIP.RFactor; p.RFactor == rtp.Unavailable {
		p.RFactor = 0
	}
}

// mainClock is the clock rate of the payload type with the most packets.
func (t *Tracker) mainClock(r *streamRec) uint32 {
	if p := t.mainPayload(r); p != nil {
		return p.clock
	}
	return 0
}

// mainPayload is the payload type with the most packets that is neither an event nor comfort noise, if there is one.
func (t *Tracker) mainPayload(r *streamRec) (best *payloadRec) {
	speech := func(p *payloadRec) bool { return !isEvent(&p.name) && !isNoise(&p.name) }
	for i := r.payloads; i != 0; i = t.payloads.At(i).next {
		p := t.payloads.At(i)
		if best == nil || speech(p) && !speech(best) || speech(p) == speech(best) && p.packets > best.packets {
			best = p
		}
	}
	return best
}
