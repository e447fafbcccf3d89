package tls

import (
	"bytes"
	"encoding/binary"
)

// label says what a secret is for.
type label uint8

const (
	labelMaster    label = iota // TLS 1.2 and below
	labelPremaster              // likewise
	labelEarly                  // TLS 1.3, RFC 8446 7.1, and all that follow
	labelClientHandshake
	labelServerHandshake
	labelClientTraffic
	labelServerTraffic
)

// maxSecret is the size of the largest secret, in bytes: a premaster secret of a large Diffie-Hellman group.
const maxSecret = 256

// Bounds of a generation; a store has two.
const (
	maxHandshakes = 1 << 17  // keys
	maxStored     = 32 << 20 // bytes of records
)

// store keeps secrets by what finds them, such as the random value of a ClientHello. It forgets the older half of what
// it has when it is full. A secret takes its bytes and six more, its first one some 60 of an index besides: a key log is
// often older than the capture, and large.
type store[K comparable] struct{ young, old generation[K] }

// generation is a half of a store. Its records lie in chunks without pointers, so that the garbage collector does not
// look at them, and never change but for their link:
//
//	0        4       5        6
//	+--------+-------+--------+--------+
//	|  link  | label | size-1 | secret |
//	+--------+-------+--------+--------+
//
// The link is the place of the key's next record with another label.
type generation[K comparable] struct {
	index  map[K]uint32 // place of the newest record
	chunks [][]byte
}

const (
	recordHead = 6
	chunkBits  = 16 // of a place, the offset in its chunk
	chunkSize  = 1 << chunkBits
	nowhere    = 1<<32 - 1
)

// get gives a secret, nil if there is none. Nobody changes it.
func (s *store[K]) get(k K, l label) []byte {
	if b, _, _ := s.young.find(k, l); b != nil {
		return b
	}
	b, _, _ := s.old.find(k, l)
	return b
}

// put sets a secret of 1 to maxSecret bytes, and gives how many keys were forgotten for it.
func (s *store[K]) put(k K, l label, secret []byte) (forgotten uint64) {
	have, at, before := s.young.find(k, l)
	if bytes.Equal(have, secret) {
		return 0 // of a log that is read again, say
	}
	if _, known := s.young.index[k]; !known && len(s.young.index) >= maxHandshakes || s.young.full(len(secret)) {
		for key := range s.old.index {
			if _, again := s.young.index[key]; !again {
				forgotten++
			}
		}
		s.old, s.young, have = s.young, generation[K]{}, nil
	}
	if have != nil {
		s.young.unlink(k, at, before)
	}
	s.young.add(k, l, secret)
	return forgotten
}

// find gives a secret, the place of its record, and that of the record which links to it.
func (g *generation[K]) find(k K, l label) (secret []byte, at, before uint32) {
	at, ok := g.index[k]
	if !ok {
		return nil, nowhere, nowhere
	}
	for before = nowhere; at != nowhere; {
		r := g.record(at)
		if label(r[4]) == l {
			end := recordHead + int(r[5]) + 1
			return r[recordHead:end:end], at, before
		}
		before, at = at, binary.LittleEndian.Uint32(r)
	}
	return nil, nowhere, before
}

// record gives the bytes from a place on.
func (g *generation[K]) record(at uint32) []byte { return g.chunks[at>>chunkBits][at&(chunkSize-1):] }

// full reports whether there is no room for another secret.
func (g *generation[K]) full(size int) bool {
	n := len(g.chunks)
	return n*chunkSize >= maxStored && len(g.chunks[n-1])+recordHead+size > chunkSize
}

// unlink takes a record off its key: another secret takes its place.
func (g *generation[K]) unlink(k K, at, before uint32) {
	link := binary.LittleEndian.Uint32(g.record(at))
	switch {
	case before != nowhere:
		binary.LittleEndian.PutUint32(g.record(before), link)
	case link == nowhere:
		delete(g.index, k)
	default:
		g.index[k] = link
	}
}

func (g *generation[K]) add(k K, l label, secret []byte) {
	if n := len(g.chunks); n == 0 || len(g.chunks[n-1])+recordHead+len(secret) > chunkSize {
		g.chunks = append(g.chunks, nil)
	}
	last := &g.chunks[len(g.chunks)-1]
	if need := len(*last) + recordHead + len(secret); need > cap(*last) { // a small log takes little
		grown := make([]byte, len(*last), min(chunkSize, max(2*need, 1024)))
		copy(grown, *last)
		*last = grown
	}
	next, ok := g.index[k]
	if !ok {
		next = nowhere
	}
	if g.index == nil {
		g.index = map[K]uint32{}
	}
	g.index[k] = uint32(len(g.chunks)-1)<<chunkBits | uint32(len(*last)) //nolint:gosec // at most maxStored
	*last = binary.LittleEndian.AppendUint32(*last, next)
	*last = append(*last, byte(l), byte(len(secret)-1)) //nolint:gosec // at most maxSecret
	*last = append(*last, secret...)
}
