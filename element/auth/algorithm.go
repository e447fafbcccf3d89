package auth

import (
	"crypto/md5" //nolint:gosec // RFC 3261 22.4 makes MD5 the algorithm that every element has.
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"strings"
)

// Algorithm is a digest algorithm by its registered name (RFC 7616 6.1, RFC 8760 2.1).
type Algorithm string

// Algorithms. A session variant hashes the nonce and the client's nonce into the secret (RFC 7616 3.4.2).
const (
	MD5              Algorithm = "MD5"
	MD5Sess          Algorithm = "MD5-sess"
	SHA256           Algorithm = "SHA-256"
	SHA256Sess       Algorithm = "SHA-256-sess"
	SHA512x256       Algorithm = "SHA-512-256"
	SHA512x256Sess   Algorithm = "SHA-512-256-sess"
	sessSuffix                 = "-sess"
	maxHash                    = 2 * sha256.Size // hexadecimal digits of the longest hash
	qopAuth, qopInt            = "auth", "auth-int"
	schemeDigest               = "Digest"
	maxNonceLength             = 1024 // of a challenge; longer ones are not worth an answer
	maxHeadersLooked           = 16   // challenges or credentials of one message; the rest is not looked at
)

// Algorithms lists all that both sides support, the strongest first.
func Algorithms() []Algorithm {
	return []Algorithm{SHA512x256, SHA512x256Sess, SHA256, SHA256Sess, MD5, MD5Sess}
}

// ParseAlgorithm reads a name in any case; no name stands for MD5 (RFC 7616 3.3). It reports false for one that is not
// supported.
func ParseAlgorithm(name string) (Algorithm, bool) {
	if name == "" {
		return MD5, true
	}
	for _, a := range [...]Algorithm{MD5, SHA256, SHA512x256, MD5Sess, SHA256Sess, SHA512x256Sess} {
		if strings.EqualFold(string(a), name) {
			return a, true
		}
	}
	return "", false
}

// Session reports whether it is a -sess variant.
func (a Algorithm) Session() bool { return strings.HasSuffix(string(a), sessSuffix) }

// base is the algorithm that hashes.
func (a Algorithm) base() Algorithm { return Algorithm(strings.TrimSuffix(string(a), sessSuffix)) }

// digits is the length of a hash in hexadecimal digits.
func (a Algorithm) digits() int {
	if a.base() == MD5 {
		return 2 * md5.Size
	}
	return maxHash
}

// appendHash appends the hash of src in lower case hexadecimal digits to dst.
func (a Algorithm) appendHash(dst, src []byte) []byte {
	switch a.base() {
	case SHA256:
		sum := sha256.Sum256(src)
		return hex.AppendEncode(dst, sum[:])
	case SHA512x256:
		sum := sha512.Sum512_256(src)
		return hex.AppendEncode(dst, sum[:])
	default:
		sum := md5.Sum(src) //nolint:gosec // RFC 3261 22.4.
		return hex.AppendEncode(dst, sum[:])
	}
}

// HA1 is the hash of "user:realm:password" in hexadecimal digits, which a server can keep instead of the password (RFC
// 7616 3.4.2). A session variant has the HA1 of its algorithm without -sess.
func HA1(a Algorithm, user, realm, password string) string {
	var text [256]byte
	b := append(text[:0], user...)
	b = append(b, ':')
	b = append(b, realm...)
	b = append(b, ':')
	b = append(b, password...)
	return string(a.appendHash(nil, b))
}

// proof is what a response is the hash of, beside the HA1 (RFC 7616 3.4.1 to 3.4.3).
type proof struct {
	algorithm         Algorithm
	nonce, nc, cnonce []byte
	qop               []byte // as written; empty: RFC 2069
	method            []byte // empty in a rspauth (RFC 7616 3.5)
	uri               []byte
	body              []byte // for auth-int
}

// integrity reports whether the body takes part.
func (p *proof) integrity() bool { return strings.EqualFold(string(p.qop), qopInt) }

// append appends the response in hexadecimal digits to dst. scratch is memory to work in; it comes back grown. ha1 is
// that of the algorithm without -sess and must not be in scratch.
func (p *proof) append(dst, ha1, scratch []byte) (response, grown []byte) {
	var hash1, hash2 [maxHash]byte
	if p.algorithm.Session() {
		scratch = join(scratch[:0], ha1, p.nonce, p.cnonce)
		ha1 = p.algorithm.appendHash(hash1[:0], scratch)
	}
	scratch = join(scratch[:0], p.method, p.uri)
	if p.integrity() {
		body := p.algorithm.appendHash(hash2[:0], p.body)
		scratch = append(append(scratch, ':'), body...)
	}
	ha2 := p.algorithm.appendHash(hash2[:0], scratch)
	if len(p.qop) == 0 {
		scratch = join(scratch[:0], ha1, p.nonce, ha2)
	} else {
		scratch = join(scratch[:0], ha1, p.nonce, p.nc, p.cnonce, p.qop, ha2)
	}
	return p.algorithm.appendHash(dst, scratch), scratch
}

// join appends parts with colons between them.
func join(dst []byte, parts ...[]byte) []byte {
	for i, part := range parts {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, part...)
	}
	return dst
}
