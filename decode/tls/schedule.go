package tls

import (
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // TLS 1.0 is made of it
	"crypto/sha1" //nolint:gosec // likewise
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// newHash makes the hash of a suite: of all that the table has.
func newHash(h crypto.Hash) func() hash.Hash {
	switch h {
	case crypto.MD5:
		return md5.New
	case crypto.SHA1:
		return sha1.New
	case crypto.SHA384:
		return sha512.New384
	default:
		return sha256.New
	}
}

// pHash is P_hash of RFC 5246 5, XORed into out.
func pHash(h func() hash.Hash, secret, seed, out []byte) {
	mac := hmac.New(h, secret)
	mac.Write(seed)
	a := mac.Sum(nil)
	for len(out) > 0 {
		mac.Reset()
		mac.Write(a)
		mac.Write(seed)
		b := mac.Sum(nil)
		n := min(len(out), len(b))
		for i := range n {
			out[i] ^= b[i]
		}
		out = out[n:]
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(nil)
	}
}

// prf is the pseudorandom function of TLS 1.2 (RFC 5246 5) and of TLS 1.0 and 1.1 (RFC 2246 5).
func prf(version uint16, h crypto.Hash, secret []byte, label string, seed []byte, size int) []byte {
	out := make([]byte, size)
	seed = append([]byte(label), seed...)
	if version >= version12 {
		pHash(newHash(h), secret, seed, out)
		return out
	}
	half := (len(secret) + 1) / 2
	pHash(md5.New, secret[:half], seed, out)
	pHash(sha1.New, secret[len(secret)-half:], seed, out)
	return out
}

// masterSize is the length of a master secret (RFC 5246 8.1).
const masterSize = 48

// keyBlock gives the openers of both roles from a master secret (RFC 5246 6.3).
//
//	client MAC | server MAC | client key | server key | client IV | server IV
func (p *params) keyBlock(master []byte) (out [2]opener, err error) {
	s := &p.suite
	m, k, v := s.macSize(), s.key, s.ivSize(p.version)
	seed := append(append([]byte(nil), p.serverRandom[:]...), p.clientRandom[:]...)
	b := prf(p.version, s.prf, master, "key expansion", seed, 2*(m+k+v))
	for role := range out {
		mac, key, iv := b[role*m:][:m], b[2*m+role*k:][:k], b[2*m+2*k+role*v:][:v]
		if out[role], err = s.opener12(mac, key, iv, p.encryptThen); err != nil {
			return out, err
		}
	}
	return out, nil
}

// masterOf computes the master secret (RFC 5246 8.1, RFC 7627 4).
func (p *params) masterOf(premaster []byte) []byte {
	if p.extended {
		if len(p.sessionHash) == 0 {
			return nil
		}
		return prf(p.version, p.suite.prf, premaster, "extended master secret", p.sessionHash, masterSize)
	}
	seed := append(append([]byte(nil), p.clientRandom[:]...), p.serverRandom[:]...)
	return prf(p.version, p.suite.prf, premaster, "master secret", seed, masterSize)
}

// transcriptHash is session_hash of RFC 7627 3.
func (p *params) transcriptHash() []byte {
	if p.version >= version12 {
		h := newHash(p.suite.prf)()
		h.Write(p.transcript)
		return h.Sum(nil)
	}
	a, b := md5.Sum(p.transcript), sha1.Sum(p.transcript) //nolint:gosec // RFC 2246 7.4.9
	return append(a[:], b[:]...)
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446 7.1).
func expandLabel(h crypto.Hash, secret []byte, label string, size int) ([]byte, error) {
	const prefix = "tls13 "
	info := make([]byte, 0, 4+len(prefix)+len(label))
	info = append(info, byte(size>>8), byte(size), byte(len(prefix)+len(label))) //nolint:gosec // small numbers
	info = append(info, prefix...)
	info = append(info, label...)
	info = append(info, 0)
	return hkdf.Expand(newHash(h), secret, string(info), size)
}

// opener13 makes the opener that a traffic secret stands for (RFC 8446 7.3); nil when it is none of this suite.
func (s *suite) opener13(secret []byte) opener {
	if len(secret) != s.prf.Size() {
		return nil
	}
	key, err := expandLabel(s.prf, secret, "key", s.key)
	if err != nil {
		return nil
	}
	iv, err := expandLabel(s.prf, secret, "iv", 12)
	if err != nil {
		return nil
	}
	a, err := newAEAD(s.kind, key)
	if err != nil {
		return nil
	}
	o := &aead13{aead: a}
	copy(o.iv[:], iv)
	return o
}

// nextSecret is the traffic secret after a KeyUpdate (RFC 8446 7.2).
func (s *suite) nextSecret(secret []byte) []byte {
	next, err := expandLabel(s.prf, secret, "traffic upd", s.prf.Size())
	if err != nil {
		return nil
	}
	return next
}
