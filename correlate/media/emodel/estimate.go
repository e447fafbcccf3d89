package emodel

import "math"

// What is assumed where a capture does not tell.
const (
	// BufferDepth is the depth of the assumed jitter buffer in nanoseconds: 60 ms, measured from the quickest packet of the
	// last 10 to 20 seconds (see Playout). Later packets count as lost.
	BufferDepth = 60e6
	// NetworkDelay is the assumed one-way delay of the network in nanoseconds where RTCP tells no round trip: 20 ms.
	NetworkDelay = 20e6
)

// Input is what is known of a stream.
type Input struct {
	Codec   Codec
	Loss    float64 // share of packets that never came, 0 to 1
	Discard float64 // share of packets that came too late to be played, 0 to 1
	BurstR  float64 // see BurstRatio; 0 takes 1, random loss
	Delay   int64   // mouth to ear, nanoseconds; see MouthToEar
}

// Result is an estimate.
type Result struct {
	R         float64 // transmission rating on the scale of Band: 0 to 93.2, or 0 to 129
	MOS       float64 // 1 to 4.5
	IeEff     float64 // impairment by codec and loss
	Delay     float64 // Id: impairment by delay
	Band      Band
	Published bool // all figures that mattered are G.113's; else some are borrowed (Basis)
}

// Estimate rates a stream. Echo, noise and levels are at the defaults of G.107: a capture does not show them, so that the
// delay counts without echo (Idd). False without a codec.
func Estimate(in *Input) (Result, bool) {
	c := &in.Codec
	if c.Band == 0 {
		return Result{}, false
	}
	loss, late := share(in.Loss), share(in.Discard)
	ppl := 100 * (loss + (1-loss)*late)
	burst := in.BurstR
	// G.107 7.5: burst ratios above 1 hold up to 2 percent of loss; beyond, the formula gives better ratings for worse
	// bursts than for random loss of the same share, and the rating must not depend on it.
	if !(burst >= 1) || ppl > 2 {
		burst = 1
	}
	p := Defaults()
	p.Ie, p.Bpl, p.Ppl, p.BurstR = c.Ie, c.Bpl, ppl, burst
	p.Ta = float64(max(in.Delay, 0)) / 1e6
	f := p.Rate()
	res := Result{R: f.R, IeEff: f.IeEff, Delay: f.Delay, Band: c.Band}
	if c.Band == Wideband {
		// G.107.1 (7-1): Ro,WB is 129 and Is,WB 0; the delay counts as in G.107 (7-4).
		res.Delay = delay(p.Ta, p.ST, p.MT)
		res.R = 129 - res.Delay - f.IeEff
	}
	res.R = max(0, res.R)
	res.MOS = MOS(res.R, c.Band)
	res.Published = c.IeBasis == Published && (ppl == 0 || c.BplBasis == Published)
	return res, true
}

// MouthToEar is the delay to reckon with: the time that a packet holds, the assumed jitter buffer, and the way through the
// network: half of a round trip by RTCP, else NetworkDelay when roundTrip is negative. All in nanoseconds.
func MouthToEar(ptime, roundTrip int64) int64 {
	network := int64(NetworkDelay)
	if roundTrip >= 0 {
		network = roundTrip / 2
	}
	return max(ptime, 0) + BufferDepth + network
}

// BurstRatio is how much longer the runs of lost packets are than they would be by chance (G.107 7.5): their mean length
// over 1/(1-p). missing packets in runs out of expected; 1 when nothing is known, and never less than 1.
func BurstRatio(missing, runs, expected uint64) float64 {
	if missing == 0 || runs == 0 || missing >= expected {
		return 1
	}
	p := float64(missing) / float64(expected)
	return max(1, float64(missing)/float64(runs)*(1-p))
}

// share bounds a share to 0 to 1.
func share(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, 0), 1)
}
