package audio

// ulaw and alaw are what the codes of G.711 stand for, as 16 bits: the 14 and 13 bits of the recommendation, shifted up.
var (
	ulaw = expand(expandU) //nolint:gochecknoglobals // A table that is only read.
	alaw = expand(expandA) //nolint:gochecknoglobals // A table that is only read.
)

func expand(f func(code byte) int16) (table [256]int16) {
	for i := range table {
		table[i] = f(byte(i))
	}
	return table
}

// expandU expands a µ-law code (G.711 table 2a and 2b): all bits inverted, sign, three bits of segment, four of step.
func expandU(code byte) int16 {
	const bias = 33 << 2
	code = ^code
	v := (int16(code&0x0f)<<3+bias)<<(code>>4&7) - bias
	if code&0x80 != 0 {
		return -v
	}
	return v
}

// expandA expands an A-law code (G.711 table 1a and 1b): even bits inverted, sign, three bits of segment, four of step.
func expandA(code byte) int16 {
	code ^= 0x55
	v := int16(code&0x0f)<<4 + 8
	if segment := code >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if code&0x80 == 0 {
		return -v
	}
	return v
}
