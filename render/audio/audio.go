// Package audio makes a sound file of the RTP of a call.
//
//	cut.Result ─▶ choose streams ─▶ decrypt ─▶ place packets on one time line ─▶ decode ─▶ mix ─▶ WAV
//
// One channel a direction, caller left, callee right, on one line of time: that of the capture. Within a talk spurt the RTP
// timestamps say where a packet's sound lies, so that jitter is not heard; a packet that was lost is silence of its length,
// one that came late or out of order lies in its place, one that came twice is heard once. A clock that runs apart from the
// capture's is set again. G.711, G.722 (64 kbit/s), L16 and L8 are decoded, comfort noise (RFC 3389) is made, all else is
// told by name. Sound of several rates is raised to the highest of them.
//
// What it costs grows with the packets, and what it writes with the time between them, never with what they claim. The
// package holds no state, starts no goroutine and knows no clock.
package audio

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode/frame"
)

// Errors that a caller decides on.
var (
	// ErrNoAudio says that the call has no RTP stream of sound in the capture.
	ErrNoAudio = errors.New("no audio")
	// ErrCodec says that nothing decodes a stream; the text names its codecs.
	ErrCodec = errors.New("no decoder")
	// ErrStream says that there is no stream by a number of Options.Streams.
	ErrStream = errors.New("no such stream")
	// ErrTooLong says that the sound does not fit into a WAV file, or would be hours of nothing.
	ErrTooLong = errors.New("too long")
	// ErrRates says that a channel has sound at more sampling rates than a conversation has.
	ErrRates = errors.New("too many sampling rates")
)

// Options say what to make a file of.
type Options struct {
	// Streams are numbers of Candidates, one or two: each becomes a channel. None: the call's answered conversation, caller
	// left, callee right.
	Streams []int
	// Number gives the number that users know a stream by, 0 for none. Nil, and streams that have none: see Candidate.Num.
	Number func(from, to frame.Endpoint, ssrc uint32) int
}

// Channel is what a channel of a recording holds.
type Channel struct {
	Side    correlate.Side
	Streams []Part // one after the other; none: silence
	Figures
}

// Part is a stream of a channel.
type Part struct {
	Candidate
	Opened cut.Opened
}

// Recording is sound that is ready to be written.
type Recording struct {
	Rate     int   // Hz
	Frames   int64 // samples of each channel
	Began    int64 // of the first sample, ns since 1970-01-01 UTC
	Channels []Channel
	// Left are the candidates that are in no channel.
	Left []Candidate

	sources [][]*source // by channel
}

// New makes a recording of one of the calls of a Result, which index names. It fails with ErrNoAudio, ErrStream, ErrCodec,
// ErrTooLong, ErrRates, and the errors of cut.Result.Open, for the streams that would be in it. The packets stay the Result's.
func New(r *cut.Result, call *correlate.Call, index int, o Options) (*Recording, error) {
	all := Candidates(r, index)
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: no RTP of an audio stream that the call's SDP names", ErrNoAudio)
	}
	if o.Number != nil {
		renumber(all, o.Number)
	}
	channels, err := choose(r, call, all, o.Streams)
	if err != nil {
		return nil, err
	}
	rec := &Recording{Began: math.MaxInt64}
	opened, err := rec.open(r, channels, all)
	if err != nil {
		return nil, err
	}
	if err = rec.line(opened); err != nil {
		return nil, err
	}
	rec.finish()
	if err = rec.checkRates(); err != nil {
		return nil, err
	}
	return rec, rec.checkLength(rec.sound())
}

// maxRates is how many sampling rates of a channel are mixed: each passes over the whole length.
const maxRates = 8

func (rec *Recording) checkRates() error {
	for _, sources := range rec.sources {
		if n := len(rates(sources)); n > maxRates {
			return fmt.Errorf("%w: %d in one channel, and %d are mixed", ErrRates, n, maxRates)
		}
	}
	return nil
}

// open decrypts the streams of the channels.
func (rec *Recording) open(r *cut.Result, channels []Channel, all []Candidate) ([][]cut.Stream, error) {
	opened := make([][]cut.Stream, len(channels))
	taken := map[int]bool{}
	for i := range channels {
		for k := range channels[i].Streams {
			p := &channels[i].Streams[k]
			taken[p.Num] = true
			if p.Err != nil {
				return nil, refuse(r, p.Candidate, p.Err, all)
			}
			s, how, err := r.Open(p.Index)
			if err != nil {
				return nil, refuse(r, p.Candidate, err, all)
			}
			p.Opened = how
			opened[i] = append(opened[i], s)
		}
	}
	for _, c := range all {
		if !taken[c.Num] {
			rec.Left = append(rec.Left, c)
		}
	}
	rec.Channels = channels
	return opened, nil
}

// refuse says why a stream cannot be written, and which ones can.
func refuse(r *cut.Result, c Candidate, why error, all []Candidate) error {
	var others []int
	tries := maxParts // of SRTP
	for _, o := range all {
		if o.Err != nil || o.Num == c.Num {
			continue
		}
		if o.Secure {
			if tries--; tries < 0 {
				break
			}
			if _, _, err := r.Open(o.Index); err != nil {
				continue
			}
		}
		others = append(others, o.Num)
	}
	if len(others) == 0 {
		return fmt.Errorf("stream %d: %w; no other stream of the call can be written", c.Num, why)
	}
	return fmt.Errorf("stream %d: %w; of the call's streams these can be written: %s", c.Num, why, numbers(others))
}

// line places the packets of all streams on one line of time, which begins with the first of them.
func (rec *Recording) line(opened [][]cut.Stream) error {
	last := int64(math.MinInt64)
	for _, streams := range opened {
		for i := range streams {
			for k := range streams[i].Packets {
				t := streams[i].Packets[k].Time
				rec.Began, last = min(rec.Began, t), max(last, t)
			}
		}
	}
	if last < rec.Began {
		return fmt.Errorf("%w: none of the packets could be kept or decrypted", ErrNoAudio)
	}
	const longest = 80 * 3600e9           // ns; beyond what a file holds at the lowest rate
	if uint64(last-rec.Began) > longest { //nolint:gosec // Wraps to what is too much as well.
		return fmt.Errorf("%w: the times of the packets lie more than 80 h apart", ErrTooLong)
	}
	rec.place(opened)
	// A first packet that came late has its place before the first arrival: then the line begins there, at a whole ms.
	var early int64
	for _, sources := range rec.sources {
		for _, s := range sources {
			if len(s.pieces) > 0 {
				early = min(early, nanos(s.pieces[0].at, s.codecs[s.pieces[0].codec].rate))
			}
		}
	}
	if early < 0 {
		const ms = 1e6
		rec.Began -= (-early + ms - 1) / ms * ms
		rec.place(opened)
	}
	return nil
}

// place places the packets of all streams.
func (rec *Recording) place(opened [][]cut.Stream) {
	rec.sources = make([][]*source, len(opened))
	for i, streams := range opened {
		for k := range streams {
			rec.sources[i] = append(rec.sources[i], newSource(&streams[k], rec.Began))
		}
	}
}

// finish sums up what the channels have.
func (rec *Recording) finish() {
	rec.Rate = minRate
	for _, sources := range rec.sources {
		for _, rate := range rates(sources) {
			rec.Rate = max(rec.Rate, int(rate))
		}
	}
	for i, sources := range rec.sources {
		f := &rec.Channels[i].Figures
		for _, s := range sources {
			f.Packets += s.figures.Packets
			f.Lost += s.figures.Lost
			f.LostTime += s.figures.LostTime
			f.Duplicates += s.figures.Duplicates
			f.Unplayed += s.figures.Unplayed
			f.Anchored += s.figures.Anchored
			for k, end := range s.end {
				rate := s.codecs[k].rate
				rec.Frames = max(rec.Frames, (end*int64(rec.Rate)+rate-1)/rate)
			}
		}
	}
}

// sound is how much sound the packets hold, in ns.
func (rec *Recording) sound() (ns int64) {
	for _, sources := range rec.sources {
		for _, s := range sources {
			for i := range s.pieces {
				c := &s.codecs[s.pieces[i].codec]
				ns += nanos(c.length(s.pieces[i].payload), c.rate)
			}
		}
	}
	return ns
}

// rates are the sampling rates of sources, each once, as far as something is heard at them.
func rates(sources []*source) []int64 {
	var all []int64
	for _, s := range sources {
		for k := range s.codecs {
			if s.end[k] > 0 && !slices.Contains(all, s.codecs[k].rate) {
				all = append(all, s.codecs[k].rate)
			}
		}
	}
	slices.Sort(all)
	return all
}
