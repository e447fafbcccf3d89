package media

import (
	"math/bits"
	"strings"
)

// Codec is a form of G.711; its value is the static RTP payload type (RFC 3551 6).
type Codec uint8

// Codecs.
const (
	PCMU Codec = 0 // µ-law
	PCMA Codec = 8 // A-law
)

// Rate is the number of samples in a second, of both codecs and of all sound in this package.
const Rate = 8000

// ParseCodec reads the name of an encoding, in any case.
func ParseCodec(name string) (Codec, bool) {
	switch {
	case strings.EqualFold(name, "PCMU"):
		return PCMU, true
	case strings.EqualFold(name, "PCMA"):
		return PCMA, true
	default:
		return 0, false
	}
}

// String is the name of the encoding (RFC 3551 4.5.14).
func (c Codec) String() string {
	if c == PCMA {
		return "PCMA"
	}
	return "PCMU"
}

// Encode appends a byte for each sample of 16 bits to dst.
func (c Codec) Encode(dst []byte, pcm []int16) []byte {
	if c == PCMA {
		for _, s := range pcm {
			dst = append(dst, encodeA(s))
		}
		return dst
	}
	for _, s := range pcm {
		dst = append(dst, encodeU(s))
	}
	return dst
}

// appendSilence appends the code of 0, n times.
func (c Codec) appendSilence(dst []byte, n int) []byte {
	code := encodeU(0)
	if c == PCMA {
		code = encodeA(0)
	}
	for range n {
		dst = append(dst, code)
	}
	return dst
}

// Decode appends a sample of 16 bits for each byte to dst.
func (c Codec) Decode(dst []int16, b []byte) []int16 {
	if c == PCMA {
		for _, v := range b {
			dst = append(dst, decodeA(v))
		}
		return dst
	}
	for _, v := range b {
		dst = append(dst, decodeU(v))
	}
	return dst
}

// Constants of ITU-T G.711: µ-law works on 14 bits with a bias of 33, A-law on 13; here both have the scale of 16.
const (
	biasU    = 33 << 2
	clipU    = 8158 << 2 // the largest value of 14 bits that has a code, and what is above it
	invertA  = 0x55      // even bits of an A-law code are inverted
	signBit  = 0x80
	mantissa = 0x0f
)

// encodeU gives the µ-law code: sign, segment, and the four bits after the leading one, all inverted.
func encodeU(s int16) byte {
	sign, v := 0, int(s)
	if v < 0 {
		sign, v = signBit, -v
	}
	v = min(v, clipU) + biasU
	segment := max(bits.Len(uint(v))-8, 0)
	return byte(^(sign | segment<<4 | v>>(segment+3)&mantissa)) //nolint:gosec // The low 8 bits.
}

// decodeU gives the middle of the interval that a code stands for.
func decodeU(code byte) int16 {
	code = ^code
	v := (int16(code&mantissa)<<3+biasU)<<(code>>4&7) - biasU
	if code&signBit != 0 {
		return -v
	}
	return v
}

// encodeA gives the A-law code. A negative value is inverted, not negated, so that the intervals on both sides of 0 are
// of one width.
func encodeA(s int16) byte {
	sign, v := signBit, int(s)
	if v < 0 {
		sign, v = 0, ^v
	}
	segment := max(bits.Len(uint(v))-8, 0)
	shift := max(segment, 1) + 3
	return byte((sign | segment<<4 | v>>shift&mantissa) ^ invertA) //nolint:gosec // Below 256.
}

// decodeA gives the middle of the interval that a code stands for.
func decodeA(code byte) int16 {
	code ^= invertA
	v := int16(code&mantissa)<<4 + 8
	if segment := code >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if code&signBit == 0 {
		return -v
	}
	return v
}
