package compose

import "math/rand/v2"

// Cookie begins every branch of an RFC 3261 element (RFC 3261 8.1.1.7).
const Cookie = "z9hG4bK"

// alphabet is lower case alone: tokens are compared whatever their case (RFC 3261 7.3.1), and 32 characters are 5 bits.
const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// tokenSize is how many characters 64 random bits give, the last one 4 bits.
const tokenSize = 13

func appendToken(dst []byte, rng *rand.Rand) []byte {
	v := rng.Uint64()
	for range tokenSize {
		dst = append(dst, alphabet[v&31])
		v >>= 5
	}
	return dst
}

// Branch makes a branch of 128 random bits (RFC 3261 8.1.1.7).
func Branch(rng *rand.Rand) string {
	var b [len(Cookie) + 2*tokenSize]byte
	return string(AppendBranch(b[:0], rng))
}

// AppendBranch is Branch, appended to dst.
func AppendBranch(dst []byte, rng *rand.Rand) []byte {
	return appendToken(appendToken(append(dst, Cookie...), rng), rng)
}

// Tag makes a tag of 64 random bits (RFC 3261 19.3 asks for 32).
func Tag(rng *rand.Rand) string {
	var b [tokenSize]byte
	return string(appendToken(b[:0], rng))
}

// CallID makes a Call-ID of 128 random bits (RFC 3261 8.1.1.4), with "@host" when there is a host.
func CallID(rng *rand.Rand, host string) string {
	b := make([]byte, 0, 2*tokenSize+1+len(host))
	b = appendToken(appendToken(b, rng), rng)
	if host != "" {
		b = append(append(b, '@'), host...)
	}
	return string(b)
}
