package correlate

import (
	"slices"

	"sipscope/decode"
)

// maxSecured bounds the TLS connections that are remembered; the oldest quarter goes when there are more.
const maxSecured = 10_000

// securedRows is what is known of TLS connections, by number: rows[i] has number first+i, or 0 when it is not told yet.
type securedRows struct {
	rows   []decode.Secured
	first  uint32
	closed int // of all, forgotten ones too, those that nobody could look into
}

// secure takes the connections that changed with a batch.
func (t *Tracker) secure(changed []decode.Secured) {
	s := &t.secured
	if len(changed) > 0 && s.first == 0 {
		s.first = 1
	}
	for i := range changed {
		c := &changed[i]
		if c.Num < s.first {
			continue // forgotten
		}
		at := int(c.Num - s.first)
		if at >= len(s.rows) {
			s.rows = append(s.rows, make([]decode.Secured, at+1-len(s.rows))...)
		}
		s.closed += one(c.Closed()) - one(s.rows[at].Closed())
		s.rows[at] = *c
		if len(s.rows) > maxSecured {
			const gone = maxSecured / 4
			s.rows = slices.Delete(s.rows, 0, gone)
			s.first += gone
			t.limited.Connections += gone
		}
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Encrypted lists the TLS connections that nobody could look into: no key was known, or the handshake was not captured.
// They are in the order in which they began; of very many, the newest.
func (t *Tracker) Encrypted() []decode.Secured {
	var out []decode.Secured
	for i := range t.secured.rows {
		if r := &t.secured.rows[i]; r.Closed() {
			out = append(out, *r)
		}
	}
	return out
}

// Secured lists all TLS connections in the order in which they began; of very many, the newest. Their secrets open them to
// everybody who has them.
func (b *Board) Secured() []decode.Secured {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return nil
	}
	return slices.Clone(b.t.secured.rows)
}

// Encrypted lists the TLS connections that nobody could look into, as Tracker.Encrypted does.
func (b *Board) Encrypted() []decode.Secured {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return nil
	}
	return b.t.Encrypted()
}

// EncryptedCount is how many connections nobody could look into; those that Encrypted does not list any more count, too.
func (b *Board) EncryptedCount() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.t == nil {
		return 0
	}
	return b.t.secured.closed
}
