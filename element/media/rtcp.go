package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrNotRTCP says that a datagram is no compound RTCP packet, or one that is cut.
var ErrNotRTCP = errors.New("not RTCP")

// Packet types and sizes of RTCP (RFC 3550 12.1, 6.4.1). A sender report is
//
//	|V=2|P|  RC   |   PT=SR=200   |            length             |
//	|                          SSRC of sender                     |
//	|          NTP timestamp, seconds since 1900, 32.32           |
//	|                                                             |
//	|                        RTP timestamp                        |
//	|                    sender's packet count                    |
//	|                     sender's octet count                    |
//
// a receiver report the same without the last five words, and each block in either
//
//	|                            SSRC                             |
//	| fraction lost |       cumulative number of packets lost     |
//	|           extended highest sequence number received         |
//	|                     interarrival jitter                     |
//	|                         last SR (LSR)                       |
//	|                   delay since last SR (DLSR)                |
const (
	rtcpSR   = 200
	rtcpRR   = 201
	rtcpSDES = 202
	rtcpBYE  = 203

	rtcpHeader = 4
	rtcpInfo   = 20 // sender information
	rtcpBlock  = 24
	sdesCNAME  = 1
	maxCNAME   = 255

	ntpEpoch   = 2_208_988_800 // seconds from 1900 to 1970
	maxLost    = 1<<23 - 1
	maxPackets = 32 // RTCP packets of a datagram that are looked at
)

// Report is what the other side says about what it gets from us.
type Report struct {
	At       int64         // ns; when it came
	Fraction uint8         // lost since the report before, in 1/256
	Lost     int32         // since the beginning
	Highest  uint32        // extended sequence number
	Jitter   time.Duration // interarrival jitter
	RTT      time.Duration // round trip, 0 when it cannot be told (RFC 3550 6.4.1)
}

// ntp is the time now as seconds since 1900 in 32.32.
func ntp(now int64) uint64 {
	s, ns := now/int64(time.Second), now%int64(time.Second)
	return uint64(s+ntpEpoch)<<32 | uint64(ns)<<32/uint64(time.Second) //nolint:gosec // After 1900, below a second.
}

// compact is the middle of an NTP time, 16.16 seconds.
func compact(t uint64) uint32 { return uint32(t >> 16) } //nolint:gosec // Its middle 32 bits.

// appendReport appends a compound packet (RFC 3550 6.1): a sender report, or a receiver report when nothing was sent since
// the last one, with a block about what came, and the CNAME. bye ends the stream (RFC 3550 6.6).
func appendReport(dst []byte, now int64, s *Sender, r *Receiver, from lastSR, sends bool, cname string, bye bool) []byte {
	at := len(dst)
	kind := byte(rtcpRR)
	dst = binary.BigEndian.AppendUint32(append(dst, 2<<6, rtcpRR, 0, 0), s.ssrc)
	if sends {
		kind = rtcpSR
		dst = binary.BigEndian.AppendUint64(dst, ntp(now))
		dst = binary.BigEndian.AppendUint32(dst, s.timestamp(now))
		dst = binary.BigEndian.AppendUint32(dst, s.packets)
		dst = binary.BigEndian.AppendUint32(dst, s.octets)
	}
	blocks := byte(0)
	if r.began {
		blocks = 1
		dst = r.appendBlock(dst, now, from)
	}
	dst[at], dst[at+1] = 2<<6|blocks, kind
	setLength(dst, at)
	at = len(dst)
	dst = binary.BigEndian.AppendUint32(append(dst, 2<<6|1, rtcpSDES, 0, 0), s.ssrc)
	dst = append(append(dst, sdesCNAME, byte(len(cname))), cname...) //nolint:gosec // StreamConfig limits it to 255.
	for dst = append(dst, 0); (len(dst)-at)%4 != 0; {
		dst = append(dst, 0)
	}
	setLength(dst, at)
	if bye {
		at = len(dst)
		dst = binary.BigEndian.AppendUint32(append(dst, 2<<6|1, rtcpBYE, 0, 0), s.ssrc)
		setLength(dst, at)
	}
	return dst
}

// setLength writes the length of the packet that begins at a byte and ends with b: 32-bit words less one.
func setLength(b []byte, at int) {
	binary.BigEndian.PutUint16(b[at+2:], uint16((len(b)-at)/4-1)) //nolint:gosec // Reports are short.
}

// lastSR is the other side's last sender report.
type lastSR struct {
	ntp uint32 // compact
	at  int64  // ns; when it came; 0: none did
}

// appendBlock appends a report block, whose fraction lost counts from the block before (RFC 3550 A.3).
func (r *Receiver) appendBlock(dst []byte, now int64, from lastSR) []byte {
	expected, lost, _ := r.spans()
	sinceExpected, sinceReceived := expected-r.priorExpected, r.counted-r.priorReceived
	r.priorExpected, r.priorReceived = expected, r.counted
	fraction := uint64(0)
	if sinceExpected > sinceReceived {
		fraction = min((sinceExpected-sinceReceived)<<8/sinceExpected, math.MaxUint8)
	}
	lost = min(max(lost, -maxLost-1), maxLost)
	dst = binary.BigEndian.AppendUint32(dst, r.ssrc)
	dst = binary.BigEndian.AppendUint32(dst, uint32(fraction)<<24|uint32(lost)&(1<<24-1)) //nolint:gosec // Limited above.
	dst = binary.BigEndian.AppendUint32(dst, r.highest-firstCycle)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.jitter>>4)) //nolint:gosec // Samples.
	if from.at == 0 {
		return append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	delay := max(now-from.at, 0) / int64(time.Microsecond) << 16 / int64(time.Second/time.Microsecond)
	dst = binary.BigEndian.AppendUint32(dst, from.ntp)
	return binary.BigEndian.AppendUint32(dst, uint32(min(delay, math.MaxUint32)))
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
	if len(b) < 8 || !isRTCP(b) {
		return c, fmt.Errorf("%w: %d bytes", ErrNotRTCP, len(b))
	}
	for n := 0; len(b) > 0 && n < maxPackets; n++ {
		if len(b) < rtcpHeader || b[0]>>6 != 2 {
			return c, fmt.Errorf("%w: header of packet %d", ErrNotRTCP, n+1)
		}
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) {
			return c, fmt.Errorf("%w: packet %d of %d bytes in %d", ErrNotRTCP, n+1, size, len(b))
		}
		c.packet(now, b[:size], ssrc)
		b = b[size:]
	}
	return c, nil
}

// packet reads one packet.
func (c *control) packet(now int64, b []byte, ssrc uint32) {
	blocks := rtcpHeader + 4
	switch b[1] {
	case rtcpBYE:
		c.bye = true
		return
	case rtcpSR:
		if len(b) < blocks+rtcpInfo {
			return
		}
		c.sr = lastSR{ntp: compact(binary.BigEndian.Uint64(b[blocks:])), at: now}
		blocks += rtcpInfo
	case rtcpRR:
	default:
		return
	}
	for count := b[0] & 0x1f; count > 0 && blocks+rtcpBlock <= len(b); count-- {
		if binary.BigEndian.Uint32(b[blocks:]) == ssrc {
			c.report, c.has = parseBlock(now, b[blocks:]), true
		}
		blocks += rtcpBlock
	}
}

// parseBlock reads a report block.
func parseBlock(now int64, b []byte) Report {
	lost := binary.BigEndian.Uint32(b[4:])
	r := Report{
		At: now, Fraction: b[4], Lost: int32(lost<<8) >> 8, Highest: binary.BigEndian.Uint32(b[8:]), //nolint:gosec // 24 bits, signed.
		Jitter: time.Duration(binary.BigEndian.Uint32(b[12:])) * time.Second / Rate,
	}
	lsr, dlsr := binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])
	if lsr != 0 {
		if rtt := int32(compact(ntp(now)) - lsr - dlsr); rtt > 0 { //nolint:gosec // A difference.
			r.RTT = time.Duration(rtt) * time.Second >> 16
		}
	}
	return r
}
