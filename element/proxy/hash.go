package proxy

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// hasher is a keyed 64-bit hash of several texts in turn, made to be quick for short ones. Who does not know the key
// cannot make a request that looks as if it had been here.
type hasher struct{ h, key uint64 }

// Keys of hashes; odd, with about as many ones as zeros.
const (
	hashKey  = 0x9e3779b97f4a7c15
	hashStep = 0xd6e8feb86659fd93
)

func newHasher(key uint64) hasher { return hasher{h: key ^ hashKey, key: key} }

// add takes a text. Texts are kept apart by their lengths.
func (s *hasher) add(b []byte) {
	s.mix(uint64(len(b)))
	for len(b) >= 8 {
		s.mix(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	if len(b) > 0 {
		var last [8]byte
		copy(last[:], b)
		s.mix(binary.LittleEndian.Uint64(last[:]))
	}
}

func (s *hasher) mix(v uint64) {
	hi, lo := bits.Mul64(s.h^v, hashStep^s.key)
	s.h = hi ^ lo ^ bits.RotateLeft64(s.h, 29)
}

func (s *hasher) sum() uint64 {
	s.mix(hashKey)
	return s.h
}

// loopHash is what tells a loop from a spiral (RFC 5393 4.2.2): of all that decides where a request goes, as received. A
// request that comes again with the same goes round; with another Request-URI or Route it only passes here twice.
func loopHash(key uint64, m *sip.Message) uint64 {
	s := newHasher(key)
	s.add(m.URI.Of(m.Raw))
	if m.HasRoute {
		for i := range m.Headers {
			if h := &m.Headers[i]; h.ID == sip.HeaderRoute {
				s.add(h.Value.Of(m.Raw))
			}
		}
	}
	return s.sum()
}

// onceHash is the part of a branch that a stateless proxy derives from a request, the same for each retransmission of it,
// its ACK and its CANCEL (RFC 3261 16.11). Without an RFC 3261 branch it is what identifies the request; the To tag,
// which an ACK has and its INVITE has not, takes no part.
func onceHash(key uint64, m *sip.Message) uint64 {
	s := newHasher(key)
	branch := m.Via.Branch.Of(m.Raw)
	s.add(branch)
	s.add(m.Via.SentBy.Of(m.Raw))
	if len(branch) <= len(compose.Cookie) || string(branch[:len(compose.Cookie)]) != compose.Cookie {
		s.add(m.CallID.Of(m.Raw))
		s.add(m.From.Tag.Of(m.Raw))
		s.mix(uint64(m.CSeq))
	}
	return s.sum()
}

// sealHash is the own part of a stateless proxy's branch: that of onceHash, by a key that nobody knows, with the address
// that the request came from. A response is sent on when its second Via gives the same, so that nobody makes the proxy
// send packets to somebody who asked for nothing.
func sealHash(key uint64, via *sip.Via, m *sip.Message, from netip.Addr) uint64 {
	s := newHasher(key)
	branch := via.Branch.Of(m.Raw)
	s.add(branch)
	s.add(via.SentBy.Of(m.Raw))
	if len(branch) <= len(compose.Cookie) || string(branch[:len(compose.Cookie)]) != compose.Cookie {
		s.add(m.CallID.Of(m.Raw))
		s.add(m.From.Tag.Of(m.Raw))
		s.mix(uint64(m.CSeq))
	}
	addr := from.Unmap().As16()
	s.add(addr[:])
	return s.sum()
}

// branchAlphabet is of lower case alone: tokens may be compared in any case.
const branchAlphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// wordSize is how many characters a 64-bit number takes.
const wordSize = 13

func appendWord(dst []byte, v uint64) []byte {
	for range wordSize {
		dst = append(dst, branchAlphabet[v&31])
		v >>= 5
	}
	return dst
}

// appendBranch writes a branch: the cookie, a part that is this request's own, and the hash that finds loops.
func appendBranch(dst []byte, own, loop uint64) []byte {
	dst = append(dst, compose.Cookie...)
	return appendWord(appendWord(dst, own), loop)
}
