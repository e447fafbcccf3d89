// Package emodel estimates how a call sounded: ITU-T's E-model, narrowband (G.107) and wideband (G.107.1), with the
// equipment impairment factors of G.113.
//
// It is a planning model: it knows the codec, lost and late packets and the delay, not the sound. What it gives is to be
// labelled as estimated. Narrowband and wideband figures are on two scales (Band), and are not to be averaged. The package is
// arithmetic: it has no state, allocates nothing, and its functions may be called from any goroutine.
package emodel

import "math"

// Params are the inputs of G.107 (table 3 has their ranges and defaults). Levels are in dB, times in milliseconds.
type Params struct {
	SLR    float64 // send loudness rating
	RLR    float64 // receive loudness rating
	STMR   float64 // sidetone masking rating
	LSTR   float64 // listener sidetone rating; 0 takes STMR + Dr (7-6)
	Ds     float64 // D-value of the telephone, send side
	Dr     float64 // D-value of the telephone, receive side
	TELR   float64 // talker echo loudness rating
	WEPL   float64 // weighted echo path loss
	T      float64 // mean one-way delay of the echo path
	Tr     float64 // round-trip delay in the four-wire loop
	Ta     float64 // absolute delay in echo-free connections
	QDU    float64 // quantization distortion units
	Ie     float64 // equipment impairment factor
	Bpl    float64 // packet-loss robustness factor
	Ppl    float64 // packet loss, percent, 0 to 100
	BurstR float64 // burst ratio
	Nc     float64 // circuit noise, dBm0p
	Nfor   float64 // noise floor at the receive side, dBmp
	Ps     float64 // room noise, send side, dB(A)
	Pr     float64 // room noise, receive side, dB(A)
	A      float64 // advantage factor
	ST     float64 // delay sensitivity, 1 default
	MT     float64 // minimum perceivable delay, 100 default
}

// Factors are the terms of the rating (7-1): R = Ro - Is - Id - IeEff + A.
type Factors struct {
	Ro    float64 // basic signal-to-noise ratio
	Is    float64 // impairments that come with the voice: loudness, sidetone, quantizing
	Delay float64 // Id: delay and echo
	IeEff float64 // codec and packet loss
	R     float64 // transmission rating
}

// Defaults are the values of G.107 table 3, which give R = 93.2.
func Defaults() Params {
	return Params{
		SLR: 8, RLR: 2, STMR: 15, LSTR: 18, Ds: 3, Dr: 3, TELR: 65, WEPL: 110, QDU: 1, Bpl: 4.3, BurstR: 1,
		Nc: -70, Nfor: -64, Ps: 35, Pr: 35, ST: 1, MT: 100,
	}
}

// Rate works out the rating.
func (p *Params) Rate() Factors {
	no := p.noise()
	f := Factors{Ro: 15 - 1.5*(p.SLR+no)} // (7-2)
	ist := p.sidetone()
	f.Is = p.loudness(no) + ist + quantizing(f.Ro, p.QDU) // (7-8)
	f.Delay = p.echo(f.Ro, no, ist) + delay(p.Ta, p.ST, p.MT)
	f.IeEff = IeEff(p.Ie, p.Bpl, p.Ppl, p.BurstR)
	f.R = f.Ro - f.Is - f.Delay - f.IeEff + p.A
	return f
}

// noise is No, all sources of noise added by power (7-3 to 7-7).
func (p *Params) noise() float64 {
	olr := p.SLR + p.RLR
	send := p.Ps - olr - p.Ds - 14
	nos := p.Ps - p.SLR - p.Ds - 100 + 0.004*send*send
	lstr := p.LSTR
	if lstr == 0 {
		lstr = p.STMR + p.Dr
	}
	pre := p.Pr + 10*math.Log10(1+math.Pow(10, (10-lstr)/10))
	nor := p.RLR - 121 + pre + 0.008*(pre-35)*(pre-35)
	sum := 0.0
	for _, n := range [...]float64{p.Nc, nos, nor, p.Nfor + p.RLR} {
		sum += math.Pow(10, n/10)
	}
	return 10 * math.Log10(sum)
}

// loudness is Iolr, the impairment by too low an overall loudness rating (7-9, 7-10).
func (p *Params) loudness(no float64) float64 {
	x := (p.SLR + p.RLR + 0.2*(64+no-p.RLR)) / 8
	return 20 * (math.Pow(1+math.Pow(x, 8), 1.0/8) - x)
}

// sidetone is Ist (7-11, 7-12).
func (p *Params) sidetone() float64 {
	stmro := -10 * math.Log10(math.Pow(10, -p.STMR/10)+math.Exp(-p.T/4)*math.Pow(10, -p.TELR/10))
	return 12*math.Pow(1+math.Pow((stmro-13)/6, 8), 1.0/8) -
		28*math.Pow(1+math.Pow((stmro+1)/19.4, 35), 1.0/35) -
		13*math.Pow(1+math.Pow((stmro-3)/33, 13), 1.0/13) + 29
}

// quantizing is Iq (7-13 to 7-17).
func quantizing(ro, qdu float64) float64 {
	q := 37 - 15*math.Log10(qdu)
	g := 1.07 + 0.258*q + 0.0602*q*q
	y := (ro-100)/15 + 46/8.4 - g/9
	z := 46.0/30 - g/40
	return 15 * math.Log10(1+math.Pow(10, y)+math.Pow(10, z))
}

// echo is Idte + Idle, what talker and listener hear of themselves (7-19 to 7-26).
func (p *Params) echo(ro, no, ist float64) float64 {
	talker := 0.0
	if p.T >= 1 { // below, talker echo is sidetone
		terv := p.TELR - 40*math.Log10((1+p.T/10)/(1+p.T/150)) + 6*math.Exp(-0.3*p.T*p.T)
		if p.STMR < 9 {
			terv += ist / 2
		}
		d := -1.5*(no-p.RLR) - (80 + 2.5*(terv-14))
		talker = (d/2 + math.Sqrt(d*d/4+100) - 1) * (1 - math.Exp(-p.T))
	}
	if p.STMR > 20 {
		talker = math.Hypot(talker, ist)
	}
	d := ro - 10.5*(p.WEPL+7)*math.Pow(p.Tr+1, -0.25)
	return talker + d/2 + math.Sqrt(d*d/4+169)
}

// delay is Idd, what a delay does to a conversation without echo (7-27, 7-28).
func delay(ta, st, mt float64) float64 {
	if ta <= mt {
		return 0
	}
	x, k := math.Log2(ta/mt), 6*st
	return 25 * (math.Pow(1+math.Pow(x, k), 1/k) - 3*math.Pow(1+math.Pow(x/3, k), 1/k) + 2)
}

// IeEff is the effective equipment impairment factor of a codec that loses ppl percent of its packets (7-29).
func IeEff(ie, bpl, ppl, burstR float64) float64 {
	if ppl <= 0 {
		return ie
	}
	return ie + (95-ie)*ppl/(ppl/burstR+bpl)
}

// MOS is the mean opinion score of a rating, 1 to 4.5 (G.107 annex B, B-4; for the wideband scale G.107.1 annex A).
func MOS(r float64, band Band) float64 {
	if band == Wideband {
		r /= 1.29
	}
	switch {
	case math.IsNaN(r) || r <= 0:
		return 1
	case r >= 100:
		return 4.5
	}
	// Below R = 6.5 the polynomial goes under 1, where no score is.
	return max(1, 1+0.035*r+r*(r-60)*(100-r)*7e-6)
}
