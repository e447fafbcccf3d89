package fault

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"

	"sipscope/decode/sip"
)

// mangle gives m with the first header of the rule's name changed. It reports false when there is none.
func mangle(m *sip.Message, r *Rule, rng *rand.Rand) ([]byte, bool) {
	id := sip.LookupHeader([]byte(r.Header))
	for _, h := range m.Headers {
		if h.ID != id || id == sip.HeaderOther && !strings.EqualFold(string(h.Name.Of(m.Raw)), r.Header) {
			continue
		}
		from := int(h.Name.Off)
		to := lineEnd(m.Raw, max(from+int(h.Name.Len), int(h.Value.Off)+int(h.Value.Len)))
		switch r.Mode {
		case Remove:
			return slices.Concat(m.Raw[:from], m.Raw[to:]), true
		case Repeat:
			return slices.Concat(m.Raw[:to], m.Raw[from:]), true
		default:
			if h.Value.Len == 0 {
				continue
			}
			b := slices.Clone(m.Raw)
			garble(h.Value.Of(b), rng)
			return b, true
		}
	}
	return nil, false
}

// lineEnd is where the line ends that goes on at i, its line end included.
func lineEnd(raw []byte, i int) int {
	if n := bytes.IndexByte(raw[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(raw)
}

// garble makes some characters in a row others: one at least, one in four at most. Blanks and folds stay, so that it is
// one header still.
func garble(value []byte, rng *rand.Rand) {
	left := 1 + rng.IntN(len(value)/4+1)
	for i := rng.IntN(len(value)); left > 0; i++ {
		left--
		at := i % len(value)
		for tries := 0; isBlank(value[at]) && tries < len(value); tries++ {
			i++
			at = i % len(value)
		}
		if c := value[at]; !isBlank(c) {
			value[at] = '!' + (c-'!'+1+byte(rng.IntN(93)))%94 //nolint:gosec // another one of "!" to "~"
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// verdict is what was decided about a request: the status that it got, 0 when it was let through.
type verdict struct {
	code int
	tag  string
}

const maxVerdicts = 1 << 14

// verdicts remembers the newest decisions, so that a retransmission fares as the first did.
type verdicts struct {
	seed maphash.Seed
	by   map[uint64]verdict
	ring []uint64
	next int
}

func newVerdicts() verdicts { return verdicts{seed: maphash.MakeSeed(), by: make(map[uint64]verdict)} }

func (v *verdicts) get(key uint64) (verdict, bool) {
	d, ok := v.by[key]
	return d, ok
}

func (v *verdicts) put(key uint64, d verdict) {
	if _, known := v.by[key]; !known {
		if len(v.ring) < maxVerdicts {
			v.ring = append(v.ring, key)
		} else {
			delete(v.by, v.ring[v.next])
			v.ring[v.next] = key
			v.next = (v.next + 1) % maxVerdicts
		}
	}
	v.by[key] = d
}

// key identifies a request's transaction (RFC 3261 17.2.3, with Call-ID for those without the magic cookie). method
// stands in for the request's own, to find the INVITE of an ACK or a CANCEL.
func (v *verdicts) key(m *sip.Message, method string) uint64 {
	k := m.TxnKey()
	var h maphash.Hash
	h.SetSeed(v.seed)
	for _, s := range [...]sip.Span{k.Branch, k.SentBy, k.FromTag, m.CallID} {
		_, _ = h.Write(s.Of(m.Raw))
		_ = h.WriteByte(0)
	}
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], m.CSeq)
	_, _ = h.Write(n[:])
	if method == "" {
		_, _ = h.Write(m.Method.Of(m.Raw))
	} else {
		_, _ = h.WriteString(method)
	}
	return h.Sum64()
}
