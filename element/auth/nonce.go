package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"math/rand/v2"
)

// A nonce is base64url of
//
//	 0               8          12                  28
//	+---------------+----------+-------------------+
//	| time, ns      | salt     | HMAC-SHA-256/128  |
//	+---------------+----------+-------------------+
//
// so that a server knows its own, and how old they are, without keeping them. The HMAC is over time, salt and realm.
const (
	nonceKeyBytes = 12
	nonceMACBytes = 16
	nonceBytes    = nonceKeyBytes + nonceMACBytes
	nonceText     = (nonceBytes*8 + 5) / 6 // 38 characters
)

// nonceKey names a nonce.
type nonceKey struct {
	issued int64 // ns since 1970
	salt   uint32
}

// nonces makes nonces, and knows the counts of those in use.
type nonces struct {
	mac   hash.Hash
	realm string
	rng   *rand.Rand
	life  int64 // ns

	used   map[nonceKey]window
	order  []nonceKey // of used, a ring, the first use first
	oldest int
	limit  int
	floor  int64 // nonces issued up to here that are not in used are stale: one of them was forgotten
}

// window says which counts of a nonce were used: the highest, and the 64 below it. Requests that overtake each other on
// the way (UDP, or two transactions at once) are no replay.
type window struct {
	highest uint32
	below   uint64 // bit n: highest-1-n
}

func newNonces(cfg *ServerConfig) *nonces {
	key := cfg.Key
	if key == nil {
		for range 4 {
			key = binary.BigEndian.AppendUint64(key, cfg.Rand.Uint64())
		}
	}
	return &nonces{
		mac: hmac.New(sha256.New, key), realm: cfg.Realm, rng: cfg.Rand, life: cfg.NonceLife,
		used: map[nonceKey]window{}, limit: cfg.Limit,
	}
}

// make makes a nonce.
func (n *nonces) make(now int64) string {
	var b [nonceKeyBytes + sha256.Size]byte
	binary.BigEndian.PutUint64(b[:], uint64(now)) //nolint:gosec // The bits of a time, as they are.
	binary.BigEndian.PutUint32(b[8:], n.rng.Uint32())
	n.sign(&b)
	return base64.RawURLEncoding.EncodeToString(b[:nonceBytes])
}

// sign writes the HMAC behind time and salt.
func (n *nonces) sign(b *[nonceKeyBytes + sha256.Size]byte) {
	n.mac.Reset()
	n.mac.Write(b[:nonceKeyBytes])
	n.mac.Write([]byte(n.realm))
	n.mac.Sum(b[:nonceKeyBytes])
}

// read gives the name of a nonce, false for one that this server did not make.
func (n *nonces) read(text []byte) (nonceKey, bool) {
	var b [nonceBytes]byte
	var want [nonceKeyBytes + sha256.Size]byte
	if len(text) != nonceText {
		return nonceKey{}, false
	}
	if _, err := base64.RawURLEncoding.Strict().Decode(b[:], text); err != nil {
		return nonceKey{}, false
	}
	copy(want[:], b[:nonceKeyBytes])
	n.sign(&want)
	if !hmac.Equal(b[nonceKeyBytes:], want[nonceKeyBytes:nonceBytes]) {
		return nonceKey{}, false
	}
	issued := int64(binary.BigEndian.Uint64(b[:])) //nolint:gosec // The bits of a time, as they were.
	return nonceKey{issued: issued, salt: binary.BigEndian.Uint32(b[8:])}, true
}

// fresh reports whether a nonce may still be used.
func (n *nonces) fresh(now int64, key nonceKey) bool {
	if key.issued > now || now-key.issued > n.life {
		return false
	}
	if key.issued > n.floor {
		return true
	}
	_, known := n.used[key]
	return known
}

// use counts a use of a nonce that is fresh. It reports false for a count that was used before, or that is so far below
// the highest that nobody knows.
func (n *nonces) use(now int64, key nonceKey, nc uint32) bool {
	w, known := n.used[key]
	if !w.use(nc) {
		return false
	}
	if !known {
		n.enter(now, key)
	}
	n.used[key] = w
	return true
}

// enter makes room for a nonce that is used the first time.
func (n *nonces) enter(now int64, key nonceKey) {
	if len(n.order) < n.limit {
		n.order = append(n.order, key)
		return
	}
	// An old one is stale by its age. For one that is not, all that are unknown and as old become stale: it must not
	// be taken for one that was never used.
	old := n.order[n.oldest]
	if now-old.issued <= n.life {
		n.floor = max(n.floor, old.issued)
	}
	delete(n.used, old)
	n.order[n.oldest] = key
	n.oldest = (n.oldest + 1) % len(n.order)
}

// use marks a count.
func (w *window) use(nc uint32) bool {
	switch {
	case nc > w.highest:
		shift := nc - w.highest
		if w.highest == 0 || shift > 64 {
			w.below = 0
		} else {
			w.below = w.below<<shift | 1<<(shift-1)
		}
		w.highest = nc
		return true
	case nc == w.highest || w.highest-nc > 64:
		return false
	default:
		bit := uint64(1) << (w.highest - nc - 1)
		if w.below&bit != 0 {
			return false
		}
		w.below |= bit
		return true
	}
}
