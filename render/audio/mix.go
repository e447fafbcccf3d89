package audio

import "math"

// track is the sound of one channel at one sampling rate: what its sources have at that rate, one over the other, and
// silence between.
type track struct {
	rate    int64
	cursors []*cursor
	at      int64 // samples read
}

// cursor reads the pieces of a source that have a track's rate.
type cursor struct {
	src      *source
	rate     int64
	next     int
	loaded   bool
	samples  []int16
	decoders []decoder // of the source's codecs
	noise    noise
}

func newTrack(rate int64, sources []*source) *track {
	t := &track{rate: rate}
	for _, s := range sources {
		t.cursors = append(t.cursors, &cursor{
			src: s, rate: rate, decoders: make([]decoder, len(s.codecs)), noise: noise{state: s.ssrc},
		})
	}
	return t
}

// read reads the next samples.
func (t *track) read(out []int16) {
	clear(out)
	for _, c := range t.cursors {
		c.read(t.at, out)
	}
	t.at += int64(len(out))
}

// read writes the source's samples from a place on over those in out.
func (c *cursor) read(start int64, out []int16) {
	end := start + int64(len(out))
	for ; c.next < len(c.src.pieces); c.next++ {
		p := &c.src.pieces[c.next]
		kind := &c.src.codecs[p.codec]
		if kind.rate != c.rate {
			continue
		}
		if p.at >= end {
			return
		}
		from, to := max(p.at, start), min(p.at+p.n, end)
		if kind.noise {
			c.hiss(p, from, to, out[max(from-start, 0):])
		} else {
			c.load(p, kind)
			// What is decoded later continues from the state that this payload leaves, so it is decoded when not heard, too.
			if to > from && to-p.at <= int64(len(c.samples)) {
				copy(out[from-start:to-start], c.samples[from-p.at:to-p.at])
			}
		}
		if p.at+p.n > end {
			return
		}
		c.loaded = false
	}
}

// hiss writes comfort noise.
func (c *cursor) hiss(p *piece, from, to int64, out []int16) {
	x := amplitude(p.payload)
	for i := range to - from {
		out[i] = c.noise.next(x)
	}
}

// load decodes a piece, once.
func (c *cursor) load(p *piece, kind *codec) {
	if c.loaded {
		return
	}
	d := c.decoders[p.codec]
	if d == nil {
		d = kind.decoder()
		c.decoders[p.codec] = d
	}
	c.samples, c.loaded = d.decode(c.samples[:0], p.payload), true
}

// Resampling: a windowed sinc of so many samples to either side, at so many phases between two of them at most.
const (
	reach     = 16
	maxPhases = 1024
)

// resampler raises the rate of a track, without images of its band and without delay: band-limited interpolation by a
// bank of filters, one for each phase (Crochiere and Rabiner 1981). It only ever raises it, so nothing has to be cut off.
type resampler struct {
	track    *track
	up, down int64       // rate of the output by that of the track, in lowest terms
	phases   int64       // filters; fewer than up when up is very large
	bank     [][]float32 // by phase; nil: the rates are equal
	in       []int16     // samples from first on
	first    int64
	at       int64 // samples of output
}

func newResampler(t *track, rate int64) *resampler {
	r := &resampler{track: t, up: rate, down: t.rate, first: -reach}
	if d := gcd(r.up, r.down); d > 1 {
		r.up, r.down = r.up/d, r.down/d
	}
	if r.up == r.down {
		return r
	}
	r.phases = min(r.up, maxPhases)
	r.in = make([]int16, reach) // silence before the beginning
	for phase := range r.phases {
		r.bank = append(r.bank, filter(float64(phase)/float64(r.phases)))
	}
	return r
}

// filter is the interpolation at a place between two samples, 0 to 1: taps for the samples from reach-1 before the first
// of the two on.
func filter(between float64) []float32 {
	taps := make([]float32, 2*reach)
	var sum float64
	for i := range taps {
		x := float64(i-reach+1) - between
		v := 1.0
		if x != 0 {
			v = math.Sin(math.Pi*x) / (math.Pi * x)
		}
		v *= 0.5 + 0.5*math.Cos(math.Pi*x/reach) // Hann
		taps[i] = float32(v)
		sum += v
	}
	for i := range taps {
		taps[i] /= float32(sum) // a constant stays what it is
	}
	return taps
}

// add adds the next samples to sum.
func (r *resampler) add(sum []int32, scratch []int16) {
	if r.bank == nil {
		scratch = scratch[:len(sum)]
		r.track.read(scratch)
		for i, v := range scratch {
			sum[i] += int32(v)
		}
		return
	}
	last := (r.at + int64(len(sum)) - 1) * r.down / r.up
	r.fill(r.at*r.down/r.up-reach+1, last+reach)
	for i := range sum {
		place := r.at * r.down
		from, rest := place/r.up-reach+1-r.first, place%r.up
		var v float32
		for k, tap := range r.bank[rest*r.phases/r.up] {
			v += tap * float32(r.in[from+int64(k)])
		}
		sum[i] += int32(math.RoundToEven(float64(v)))
		r.at++
	}
}

// fill has the samples of the track from one place to another, both included, in r.in.
func (r *resampler) fill(from, to int64) {
	if from > r.first {
		n := copy(r.in, r.in[min(from-r.first, int64(len(r.in))):])
		r.in, r.first = r.in[:n], from
	}
	have := len(r.in)
	want := int(to - r.first + 1)
	if want <= have {
		return
	}
	for cap(r.in) < want {
		r.in = append(r.in[:cap(r.in)], 0)
	}
	r.in = r.in[:want]
	r.track.read(r.in[have:])
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
