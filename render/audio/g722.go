package audio

// g722 decodes G.722 at 64 kbit/s (ITU-T G.722, 11/88 and 2012, mode 1): eight bits are six of the lower band and two of
// the higher one, and make two samples at 16 kHz. The names of the variables are the recommendation's. All arithmetic is
// that of its fixed-point blocks, so that the output is the same bit for bit.
type g722 struct {
	low, high band
	history   [24]int32 // of the receive quadrature mirror filter: sums and differences in turn
}

// band is the state of one band's decoder.
type band struct {
	s    int32    // SL, SH: the predictor's output
	sp   int32    // of its poles
	sz   int32    // of its zeros
	r    [3]int32 // RLT: reconstructed signal
	p    [3]int32 // PLT: partly reconstructed signal
	a    [3]int32 // AL: coefficients of the poles
	d    [7]int32 // DLT: quantised difference signal
	b    [7]int32 // BL: coefficients of the zeros
	nb   int32    // NBL: logarithm of the quantiser's scale
	det  int32    // DETL: that scale
	bits uint     // shift of the scale's table: 8 in the lower band, 10 in the higher one
}

// Tables of the recommendation.
var (
	qmfCoefficients = [12]int32{3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11} //nolint:gochecknoglobals // Table 11.

	// scaleLog are the steps of the scale's logarithm in the lower band, by the upper four bits of the code.
	scaleLog = [16]int32{ //nolint:gochecknoglobals // Table WL by RL42.
		-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60,
	}
	// scaleLinear is 2^(i/32), in 11 bits.
	scaleLinear = [32]int32{ //nolint:gochecknoglobals // Table ILB.
		2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
		2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
	}
	// invert4 and invert6 are the lower band's inverse quantisers, of the adaptation and of the output.
	invert4 = [16]int32{ //nolint:gochecknoglobals // Table QM4.
		0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
	}
	invert6 = [64]int32{ //nolint:gochecknoglobals // Table QM6.
		-136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576, -7856,
		-7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728,
		24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
		4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
	}
	// invert2 and scaleHigh are the higher band's inverse quantiser and steps of the scale.
	invert2   = [4]int32{-7408, -1616, 7408, 1616} //nolint:gochecknoglobals // Table QM2.
	scaleHigh = [4]int32{798, -214, 798, -214}     //nolint:gochecknoglobals // Table WH by IH2.
)

func newG722() *g722 {
	return &g722{low: band{det: 32, bits: 8}, high: band{det: 8, bits: 10}}
}

// decode appends two samples for each byte.
func (g *g722) decode(dst []int16, payload []byte) []int16 {
	for _, code := range payload {
		low, high := g.lower(int32(code&0x3f)), g.higher(int32(code>>6))
		copy(g.history[:22], g.history[2:])
		g.history[22], g.history[23] = low+high, low-high
		var even, odd int32
		for i, c := range qmfCoefficients {
			odd += g.history[2*i] * c
			even += g.history[2*i+1] * qmfCoefficients[11-i]
		}
		dst = append(dst, int16(saturate(even>>11)), int16(saturate(odd>>11))) //nolint:gosec // Saturated.
	}
	return dst
}

// lower decodes a code of the lower band (blocks 5L, LIMIT, 2L, 3L, 4L).
func (g *g722) lower(code int32) int32 {
	b := &g.low
	out := limit(b.s + b.det*invert6[code]>>15)
	coarse := code >> 2
	d := b.det * invert4[coarse] >> 15
	b.adaptScale(scaleLog[coarse], 18432)
	b.predict(d)
	return out
}

// higher decodes a code of the higher band (blocks 5H, LIMIT, 2H, 3H, 4H).
func (g *g722) higher(code int32) int32 {
	b := &g.high
	d := b.det * invert2[code] >> 15
	out := limit(b.s + d)
	b.adaptScale(scaleHigh[code], 22528)
	b.predict(d)
	return out
}

// adaptScale adapts the scale of the quantiser (LOGSCL, SCALEL; LOGSCH, SCALEH).
func (b *band) adaptScale(step, top int32) {
	b.nb = min(max(b.nb*127>>7+step, 0), top)
	mantissa, shift := scaleLinear[b.nb>>6&31], int32(b.bits)-b.nb>>11 //nolint:gosec // 8 or 10.
	if shift < 0 {
		mantissa <<= uint(-shift)
	} else {
		mantissa >>= uint(shift)
	}
	b.det = mantissa << 2
}

// predict takes a difference into the adaptive predictor (block 4: RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, DELAYA, FILTEP,
// FILTEZ, PREDIC).
func (b *band) predict(d int32) {
	b.d[0] = d
	b.r[0] = saturate(b.s + d)
	b.p[0] = saturate(b.sz + d)

	b.poles()

	step := int32(128)
	if d == 0 {
		step = 0
	}
	var b7 [7]int32
	for i := 1; i < 7; i++ {
		w := -step
		if b.d[i]>>15 == d>>15 {
			w = step
		}
		b7[i] = saturate(w + b.b[i]*32640>>15)
	}
	b.b = b7

	copy(b.d[1:], b.d[:6])
	copy(b.r[1:], b.r[:2])
	copy(b.p[1:], b.p[:2])

	b.sp = saturate(b.a[1]*saturate(2*b.r[1])>>15 + b.a[2]*saturate(2*b.r[2])>>15)
	b.sz = 0
	for i := 6; i > 0; i-- {
		b.sz += b.b[i] * saturate(2*b.d[i]) >> 15
	}
	b.sz = saturate(b.sz)
	b.s = saturate(b.sp + b.sz)
}

// poles adapts the coefficients of the poles (UPPOL2, UPPOL1).
func (b *band) poles() {
	same1, same2 := b.p[1]>>15 == b.p[0]>>15, b.p[2]>>15 == b.p[0]>>15

	w := saturate(4 * b.a[1])
	if same1 {
		w = -w
	}
	w = min(w, 32767) >> 7
	if same2 {
		w += 128
	} else {
		w -= 128
	}
	a2 := min(max(w+b.a[2]*32512>>15, -12288), 12288)

	w = -192
	if same1 {
		w = 192
	}
	bound := saturate(15360 - a2)
	a1 := min(max(saturate(w+b.a[1]*32640>>15), -bound), bound)
	b.a[1], b.a[2] = a1, a2
}

// limit keeps a band's output within 15 bits (LIMIT).
func limit(v int32) int32 { return min(max(v, -16384), 16383) }

func saturate(v int32) int32 { return min(max(v, -32768), 32767) }
