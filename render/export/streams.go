package export

import (
	"fmt"
	"math"
	"strconv"

	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
)

// AppendStreamJSON appends an RTP stream as one JSON object without a line end; with series its seconds, its RTCP reports
// and its presses stand in it, too. What is not known is null. docs/media.md describes every field.
func AppendStreamJSON(dst []byte, s *media.Stream, series bool) []byte {
	o := object{dst: append(dst, '{'), first: true}
	o.number("num", uint64(s.Num))
	o.text("src", s.Src.String())
	o.text("dst", s.Dst.String())
	o.text("ssrc", SSRC(s.SSRC))
	o.positive("call", uint64(s.Call))
	o.raw("message", func(b []byte) []byte { return appendIndex(b, s.Message) })
	o.raw("medium", func(b []byte) []byte { return appendIndex(b, s.Medium) })
	o.word("type", s.Type)
	o.word("found", s.Found.String())
	o.bool("secure", s.Secure)
	o.word("codec", s.Codec())
	o.raw("payloads", func(b []byte) []byte { return appendPayloads(b, s.Payloads) })
	o.counts(s)
	o.times(s)
	o.number("dscp", uint64(s.DSCP))
	o.float("mos", orNaN(s.MOS), 2)
	o.float("r_factor", orNaN(s.R), 1)
	path := ""
	if !s.Path.IsZero() {
		path = s.Path.String()
	}
	o.word("path", path)
	o.text("dtmf", dtmf.Sequence(s.Presses))
	o.raw("rtcp", func(b []byte) []byte { return appendReports(b, &s.Reports, series) })
	if series {
		o.raw("seconds", func(b []byte) []byte { return appendSeconds(b, s.Seconds) })
		o.number("packets_in_no_second", s.SecondsDropped)
		o.raw("presses", func(b []byte) []byte { return appendPresses(b, s.Presses) })
	}
	return append(o.dst, '}')
}

func (o *object) counts(s *media.Stream) {
	o.number("packets", s.Packets)
	o.number("bytes", s.Bytes)
	o.number("expected", s.Expected)
	o.signed("lost", s.Lost)
	o.number("missing", s.Missing)
	o.float("loss_percent", s.LossShare()*100, 4)
	o.number("loss_runs", s.LossRuns)
	o.number("late", s.Late)
	o.number("duplicates", s.Duplicates)
	o.number("reordered", s.Reordered)
	o.number("jumps", s.Jumps)
	o.number("tap_duplicates", s.TapDuplicates)
}

func (o *object) times(s *media.Stream) {
	o.time("first", s.First)
	o.signed("first_ns", s.First)
	o.time("last", s.Last)
	o.number("first_frame", s.FirstFrame)
	o.number("last_frame", s.LastFrame)
	o.ms("duration_ms", s.Last-s.First)
	o.ms("jitter_ms", s.Jitter)
	o.ms("mean_jitter_ms", s.MeanJitter)
	o.ms("max_jitter_ms", s.MaxJitter)
	o.ms("max_gap_ms", s.MaxGap)
	o.ms("ptime_ms", s.PTime)
	o.float("bit_rate", s.BitRate(), 0)
	o.float("skew_ppm", s.Skew, 2)
}

// SSRC is a source as it is usually written: eight hexadecimal digits.
func SSRC(ssrc uint32) string { return fmt.Sprintf("0x%08x", ssrc) }

// orNaN is NaN for a score that is not known.
func orNaN(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// object writes the fields of a JSON object.
type object struct {
	dst   []byte
	first bool
}

func (o *object) name(name string) {
	if !o.first {
		o.dst = append(o.dst, ',')
	}
	o.first = false
	o.dst = append(append(append(o.dst, '"'), name...), `":`...)
}

func (o *object) raw(name string, f func([]byte) []byte) {
	o.name(name)
	o.dst = f(o.dst)
}

func (o *object) number(name string, v uint64) {
	o.name(name)
	o.dst = appendUint(o.dst, v)
}

// positive writes a number; null for 0.
func (o *object) positive(name string, v uint64) {
	o.name(name)
	o.dst = appendPositive(o.dst, v)
}

func (o *object) signed(name string, v int64) {
	o.name(name)
	o.dst = strconv.AppendInt(o.dst, v, 10)
}

func (o *object) bool(name string, v bool) {
	o.name(name)
	o.dst = strconv.AppendBool(o.dst, v)
}

func (o *object) time(name string, ns int64) {
	o.name(name)
	o.dst = appendTime(o.dst, ns)
}

// float writes a number with so many decimals at most; null for one that is not known.
func (o *object) float(name string, v float64, decimals int) {
	o.name(name)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		o.dst = append(o.dst, "null"...)
		return
	}
	scale := math.Pow10(decimals)
	o.dst = strconv.AppendFloat(o.dst, math.Round(v*scale)/scale, 'f', -1, 64)
}

func (o *object) ms(name string, ns int64) {
	o.name(name)
	o.dst = appendMs(o.dst, ns)
}

// word writes a text; null for an empty one.
func (o *object) word(name, s string) {
	if s == "" {
		o.name(name)
		o.dst = append(o.dst, "null"...)
		return
	}
	o.text(name, s)
}

// text writes a text, whatever bytes it has.
func (o *object) text(name, s string) {
	if !o.first {
		o.dst = append(o.dst, ',')
	}
	o.first = false
	o.dst = appendText(o.dst, name, s)
}

// list writes the elements of a JSON array.
func list[T any](dst []byte, of []T, each func(o *object, x *T)) []byte {
	dst = append(dst, '[')
	for i := range of {
		if i > 0 {
			dst = append(dst, ',')
		}
		o := object{dst: append(dst, '{'), first: true}
		each(&o, &of[i])
		dst = append(o.dst, '}')
	}
	return append(dst, ']')
}

func appendPayloads(dst []byte, all []media.Payload) []byte {
	return list(dst, all, func(o *object, p *media.Payload) {
		o.number("pt", uint64(p.PT))
		o.word("name", p.Name)
		o.positive("clock", uint64(p.Clock))
		if p.Carries != "" {
			o.text("carries", p.Carries)
		}
		o.number("packets", p.Packets)
		o.number("bytes", p.Bytes)
	})
}

func appendSeconds(dst []byte, all []media.Second) []byte {
	return list(dst, all, func(o *object, s *media.Second) {
		o.signed("at", int64(s.At))
		o.number("packets", uint64(s.Packets))
		o.number("lost", uint64(s.Lost))
		o.ms("max_jitter_ms", int64(s.Jitter)*1e3)
		o.number("bytes", uint64(s.Bytes))
	})
}

func appendPresses(dst []byte, all []dtmf.Press) []byte {
	return list(dst, all, func(o *object, p *dtmf.Press) {
		o.text("digit", p.Name())
		o.time("start", p.Start)
		o.ms("duration_ms", p.Duration)
		o.number("first_frame", p.First)
		o.number("last_frame", p.Last)
		o.bool("ended", p.Ended)
	})
}

// fractions of RFC 3550 6.4.1 are 256ths.
const fractions = 256

func appendReports(dst []byte, r *media.Reports, series bool) []byte {
	if r.Sender+r.Receiver+r.XR == 0 && r.CNAME == "" && r.Bye == 0 {
		return append(dst, "null"...)
	}
	o := object{dst: append(dst, '{'), first: true}
	o.number("sender_reports", r.Sender)
	o.number("receiver_reports", r.Receiver)
	o.word("cname", r.CNAME)
	o.bool("bye", r.Bye != 0)
	o.number("sent_packets", uint64(r.SentPackets))
	o.number("sent_bytes", uint64(r.SentBytes))
	o.float("fraction_lost", float64(r.Fraction)/fractions, 4)
	o.float("max_fraction_lost", float64(r.MaxFraction)/fractions, 4)
	o.signed("lost", int64(r.Lost))
	o.ms("jitter_ms", r.Jitter)
	o.ms("rtt_ms", r.RTT)
	o.ms("max_rtt_ms", r.MaxRTT)
	o.number("xr_blocks", r.XR)
	o.float("mos_lq", orNaN(r.MOSLQ), 1)
	o.float("mos_cq", orNaN(r.MOSCQ), 1)
	o.positive("r_factor", uint64(r.RFactor))
	if series {
		o.raw("reports", func(b []byte) []byte { return appendPoints(b, r.Points) })
	}
	return append(o.dst, '}')
}

func appendPoints(dst []byte, all []media.Point) []byte {
	return list(dst, all, func(o *object, p *media.Point) {
		o.time("time", p.Time)
		o.float("fraction_lost", float64(p.Fraction)/fractions, 4)
		o.signed("lost", int64(p.Lost))
		o.number("jitter_units", uint64(p.Jitter))
		o.ms("rtt_ms", p.RTT)
	})
}
