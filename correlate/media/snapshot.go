package media

import (
	"cmp"
	"slices"
	"strings"

	"sipscope/correlate/media/emodel"
	"sipscope/decode"
)

// All copies all streams that are kept, in the order of their numbers.
func (t *Tracker) All() []Stream {
	return t.collect(func(*streamRec) bool { return true })
}

// OfCall copies the streams of the call with a number.
func (t *Tracker) OfCall(num uint32) []Stream {
	var out []Stream
	for i := t.byCall.Get(callKey(num)); i != 0; i = t.streams.At(i).callLinks.next {
		if r := t.streams.At(i); r.state == confirmed {
			out = append(out, t.stream(r))
		}
	}
	order(out)
	return out
}

// Numbered copies the stream with a number.
func (t *Tracker) Numbered(num uint32) (Stream, bool) {
	list := t.collect(func(r *streamRec) bool { return r.num == num })
	if len(list) == 0 {
		return Stream{}, false
	}
	return list[0], true
}

func (t *Tracker) collect(want func(*streamRec) bool) []Stream {
	var out []Stream
	for i := uint32(1); i < t.streams.End(); i++ {
		if r := t.streams.At(i); r.key != 0 && r.state == confirmed && want(r) {
			out = append(out, t.stream(r))
		}
	}
	order(out)
	return out
}

func order(list []Stream) {
	slices.SortFunc(list, func(a, b Stream) int {
		return cmp.Or(cmp.Compare(a.FirstFrame, b.FirstFrame), cmp.Compare(a.Num, b.Num))
	})
}

// Counts gives the figures over all streams.
func (t *Tracker) Counts() Counts {
	c := t.counts
	for i := uint32(1); i < t.streams.End(); i++ {
		r := t.streams.At(i)
		if r.key == 0 || r.state != confirmed {
			continue
		}
		c.Live++
		c.Lost += int64(r.seq.expected()) - int64(r.packets) //nolint:gosec // far below
		c.Missing += r.seq.missing()
		c.Duplicates += r.duplicates
		c.Reordered += r.reordered
	}
	return c
}

// LetGo gives the counts of what the limits cost so far, without the figures that would have to be summed up over all
// streams.
func (t *Tracker) LetGo() Counts { return t.counts }

// stream copies one stream.
func (t *Tracker) stream(r *streamRec) Stream {
	s := Stream{
		Num: r.num, Src: r.src, Dst: r.dst, SSRC: r.ssrc, Call: r.call, Message: int(r.message), Medium: -1,
		Found: r.found, Secure: r.flags.has(nameSecure),
		Packets: r.packets, Bytes: r.bytes, Expected: r.seq.expected(), Missing: r.seq.missing(),
		Duplicates: r.duplicates, Reordered: r.reordered, Jumps: r.seq.jumps, TapDuplicates: r.tapDuplicates,
		LossRuns: r.seq.runs, Late: r.playout.Late,
		First: r.first, Last: r.last, FirstFrame: r.firstFrame, LastFrame: r.lastFrame,
		Jitter: -1, MeanJitter: -1, MaxJitter: -1, MaxGap: r.timing.gap, MaxGapAt: r.timing.gapAt, PTime: -1,
		Skew: r.timing.skew.ppm(), DSCP: r.dscp, Path: r.path, SecondsDropped: r.unkept,
		Reports: Reports{RTT: -1, MaxRTT: -1, Jitter: -1},
	}
	s.Lost = int64(s.Expected) - int64(s.Packets) //nolint:gosec // far below
	if r.name != 0 {
		s.Medium = int(r.line)
		if r.kind == decode.LineAudio || r.kind == decode.LineVideo || r.kind == decode.LineText {
			s.Type = r.kind.String()
		}
		if t.symmetric(r) {
			s.Found = BySymmetry
		}
	}
	t.addPayloads(r, &s)
	if t.mainClock(r) != 0 {
		s.Jitter, s.MeanJitter, s.MaxJitter = int64(r.timing.jitter), int64(r.timing.mean), int64(r.timing.max)
	}
	s.PTime = t.ptime(r)
	t.addSeconds(r, &s)
	if r.control != 0 {
		c := t.controls.At(r.control)
		s.Reports = c.reports
		s.Reports.Points = slices.Clone(c.points)
	}
	if r.presses != 0 {
		s.Presses = t.presses[r.presses-1].Presses()
	}
	s.R, s.MOS = t.rate(r)
	return s
}

func (t *Tracker) addPayloads(r *streamRec, s *Stream) {
	for i := r.payloads; i != 0; {
		p := t.payloads.At(i)
		s.Payloads = append(s.Payloads, Payload{
			PT: p.pt, Name: p.name.String(), Clock: p.clock, Packets: p.packets, Bytes: p.bytes, First: p.first,
			Carries: p.carries.String(),
		})
		i = p.next
	}
}

func (t *Tracker) addSeconds(r *streamRec, s *Stream) {
	s.Seconds = make([]Second, 0, r.nSeconds)
	for i := r.firstSecond; i != 0; {
		c := t.seconds.At(i)
		s.Seconds = append(s.Seconds, c.of[:c.n]...)
		i = c.next
	}
}

// ptime is the time between packets as timestamps tell it; -1 unknown.
func (t *Tracker) ptime(r *streamRec) int64 {
	if clock := t.mainClock(r); clock != 0 && r.timing.votes > 0 {
		return int64(r.timing.tick) * second / int64(clock)
	}
	return -1
}

// rate estimates how a stream sounded (ITU-T G.107); 0 when nothing is known of its codec.
func (t *Tracker) rate(r *streamRec) (rating, mos float64) {
	p, expected := t.mainPayload(r), r.seq.expected()
	if p == nil || r.kind == decode.LineVideo || r.packets < fewPackets {
		return 0, 0
	}
	ptime, rtt := t.ptime(r), int64(-1)
	if r.control != 0 {
		rtt = t.controls.At(r.control).reports.RTT
	}
	name, clock, packets, bytes := p.sound()
	var kbps float64
	if ptime > 0 {
		kbps = float64(bytes) * 8e6 / float64(packets) / float64(ptime)
	}
	codec, ok := emodel.Lookup(name.String(), clock, kbps)
	if !ok {
		return 0, 0
	}
	e, ok := emodel.Estimate(&emodel.Input{
		Codec: codec, Loss: float64(r.seq.missing()) / float64(expected), Discard: float64(r.playout.Late) / float64(expected),
		BurstR: emodel.BurstRatio(r.seq.missing(), r.seq.runs, expected), Delay: emodel.MouthToEar(max(ptime, 0), rtt),
	})
	if !ok {
		return 0, 0
	}
	return e.R, e.MOS
}

// Brief says in short how the media of a call were. The worst stream counts.
type Brief struct {
	Streams   uint32
	MOS       float64 // estimated, of the worst stream; 0 unknown
	Loss      float64 // share of distinct packets that never came, of the worst stream, 0 to 1
	MaxJitter int64   // nanoseconds; -1 unknown
	Codecs    string  // distinct names, comma-separated
}

// Brief sums the streams of the call with a number up.
func (t *Tracker) Brief(num uint32) Brief {
	b := Brief{MaxJitter: -1}
	var names []string
	for i := t.byCall.Get(callKey(num)); i != 0 && b.Streams < briefLook; i = t.streams.At(i).callLinks.next {
		r := t.streams.At(i)
		if r.state != confirmed {
			continue
		}
		b.Streams++
		if _, mos := t.rate(r); mos > 0 && (b.MOS == 0 || mos < b.MOS) {
			b.MOS = mos
		}
		b.Loss = max(b.Loss, float64(r.seq.missing())/float64(r.seq.expected()))
		p := t.mainPayload(r)
		if p.clock != 0 {
			b.MaxJitter = max(b.MaxJitter, int64(r.timing.max))
		}
		name, _, _, _ := p.sound()
		is := Payload{PT: p.pt, Name: name.String()}
		if label := is.Label(); !slices.Contains(names, label) {
			names = append(names, label)
		}
	}
	slices.Reverse(names) // the chain is newest first
	b.Codecs = strings.Join(names, ",")
	return b
}

// briefLook is how many streams of a call a brief looks at: a caller who makes a million must not slow a list.
const briefLook = 64

// fewPackets is fewer than sound makes: nothing is estimated of them.
const fewPackets = 10

// Codec is the encoding name of the payload type with the most packets that is no event and no comfort noise; of a type
// without a name "PT n", of redundant data its primary encoding.
func (s *Stream) Codec() string {
	if p := s.Main(); p != nil {
		if p.Carries != "" {
			return p.Carries
		}
		return p.Label()
	}
	return ""
}

// Main is the payload type that Codec names; nil without one.
func (s *Stream) Main() (best *Payload) {
	speech := func(p *Payload) bool {
		return !strings.EqualFold(p.Name, eventName) && !strings.EqualFold(p.Name, noiseName)
	}
	for i := range s.Payloads {
		p := &s.Payloads[i]
		if best == nil || speech(p) && !speech(best) || speech(p) == speech(best) && p.Packets > best.Packets {
			best = p
		}
	}
	return best
}

// BitRate is the mean rate of the RTP payloads in bits a second; 0 for a stream of less than two packets.
func (s *Stream) BitRate() float64 {
	if s.Last <= s.First {
		return 0
	}
	return float64(s.Bytes) * 8e9 / float64(s.Last-s.First)
}

// LossShare is the share of distinct packets that never came, 0 to 1.
func (s *Stream) LossShare() float64 {
	if s.Expected == 0 {
		return 0
	}
	return float64(s.Missing) / float64(s.Expected)
}
