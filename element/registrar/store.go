package registrar

import (
	"errors"
	"hash/maphash"
	"iter"
	"math"
	"slices"

	"sipscope/element/transport"
)

// Errors of Store.Register and Store.Add.
var (
	// ErrOrder says that a binding was made by a request of the same Call-ID whose CSeq is not lower (RFC 3261 10.3).
	ErrOrder = errors.New("CSeq is not higher than that of the binding")
	// ErrContacts says that the address-of-record would have too many contacts.
	ErrContacts = errors.New("too many contacts")
	// ErrFull says that there are too many addresses-of-record, bindings, or bytes of their texts in all.
	ErrFull = errors.New("location service is full")
	// ErrTooLong says that the texts of a binding are too long to be kept.
	ErrTooLong = errors.New("binding is too long")
	// ErrAOR says that a text is no address-of-record: see AppendAOR.
	ErrAOR = errors.New("no address-of-record")
)

// Forever is the end of a binding that only Store.Add makes: a REGISTER neither changes nor removes it.
const Forever int64 = math.MaxInt64

// StoreConfig has the limits of a Store. Zero values stand for the defaults.
type StoreConfig struct {
	MaxContacts int // of one address-of-record; 0: 10; at most 256
	MaxBindings int // in all; 0: 2,000,000
	// MaxBytes bounds the texts of bindings and addresses, in bytes, rounded down to MiB; 0: 1 GiB. A binding with usual
	// texts takes about 200.
	MaxBytes int
	// MaxAORs bounds the addresses-of-record with bindings, or known for another reason; 0: 2,000,000.
	MaxAORs int
	// MaxIdle bounds how many addresses without a binding are still known, the last ones to lose theirs; 0: 100,000. They
	// make the difference between 480 and 404. A file does not keep them.
	MaxIdle int
	// Event, if set, is told of each change, after it. It may look things up, but not change them.
	Event func(Event)
}

func (c StoreConfig) withDefaults() StoreConfig {
	set := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&c.MaxContacts, 10)
	c.MaxContacts = min(c.MaxContacts, 256)
	set(&c.MaxBindings, 2_000_000)
	set(&c.MaxAORs, 2_000_000)
	set(&c.MaxIdle, 100_000)
	set(&c.MaxBytes, 1<<30)
	return c
}

// perRequest bounds the contacts of one Registration: each is compared with each.
func (c StoreConfig) perRequest() int { return c.MaxContacts + min(c.MaxContacts, 10) }

// Binding is one contact of an address-of-record (RFC 3261 10).
type Binding struct {
	URI    string
	Params string // of the Contact, but q and expires, as they came: ";+sip.instance=…;reg-id=1", or ""
	Path   string // values of Path as one list, the first hop towards the contact first (RFC 3327); "" for none
	CallID string // of the REGISTER that wrote it
	CSeq   uint32
	Q      int   // thousandths; -1 when none was given, which counts as 1,000 (RFC 3261 16.6, RFC 3841)
	Ends   int64 // nanoseconds since 1970-01-01 UTC; Forever
	// Received is where the REGISTER came from, when Registration had it: the way back through a NAT or a connection.
	Received transport.Hop
}

// Contact is what a REGISTER wants of one contact. Its slices are copied.
type Contact struct {
	URI    []byte
	Params []byte // as Binding.Params
	Q      int    // as Binding.Q
	Ends   int64  // nanoseconds since 1970-01-01 UTC; not after now: remove it
}

// Registration is a REGISTER for one address-of-record (RFC 3261 10.3 steps 6 and 7). Its slices are copied.
type Registration struct {
	CallID   []byte
	CSeq     uint32
	Path     []byte // as Binding.Path
	Received transport.Hop
	Contacts []Contact // the last of several equal ones counts
	// RemoveAll removes all bindings; there are no Contacts then (Contact: *).
	RemoveAll bool
}

// slot is a binding: 32 bytes without a pointer. Its texts are one block, see appendTexts.
type slot struct {
	expires int64
	text    uint32
	size    uint16
	q       int16
	cseq    uint32
	record  uint32 // of its address
	next    uint32 // binding of the same address
	place   uint32 // in the queue, 1-based; 0: not there
}

// record is an address-of-record.
type record struct {
	hash       uint64
	text       uint32
	size       uint16
	count      uint16 // bindings
	first      uint32 // binding, in the order in which they were made
	chain      uint32 // next one with the same hash
	prev, next uint32 // in the list of those without a binding; the next one is newer
	known      bool   // by Know: stays without a binding
	idle       bool   // is in that list
}

// Store is the location service: addresses-of-record and their bindings. It is for one goroutine. Time never goes back
// from one call to the next.
type Store struct {
	cfg     StoreConfig
	seed    maphash.Seed
	mask    uint64            // of hashes: all ones, but in tests of collisions
	index   map[uint64]uint32 // hash of the address: first record of the chain
	records slab[record]
	slots   slab[slot]
	texts   texts
	queue   queue
	idle    struct {
		oldest, newest uint32
		n              int
	}
	bindings int
	nrecords int
	live     int64 // bytes that the bindings take in a file
	journal  *journal
	stats    StoreStats

	aorBuf  []byte
	textBuf []byte
	plan    []planned
}

// NewStore makes an empty location service in memory. See Open for one with a file.
func NewStore(cfg StoreConfig) *Store {
	s := &Store{cfg: cfg.withDefaults(), seed: maphash.MakeSeed(), mask: math.MaxUint64, index: map[uint64]uint32{}}
	s.texts.init(s.cfg.MaxBytes)
	s.queue.slots = &s.slots
	return s
}

// Lookup gives the bindings of aor, a sip or sips URI in any form, that have not ended: the highest q first, of equal ones
// the one that was made first. It is nil when there are none.
func (s *Store) Lookup(aor string, now int64) []Binding {
	s.textBuf = append(s.textBuf[:0], aor...)
	return s.AppendLookup(nil, s.textBuf, now)
}

// AppendLookup is Lookup for bytes, whose bindings it appends to dst.
func (s *Store) AppendLookup(dst []Binding, aor []byte, now int64) []Binding {
	n := s.find(aor)
	if n == 0 {
		return dst
	}
	from := len(dst)
	for i := s.records.at(n).first; i != 0; i = s.slots.at(i).next {
		if s.slots.at(i).expires > now {
			dst = append(dst, s.binding(i))
		}
	}
	if len(dst)-from > 1 {
		slices.SortStableFunc(dst[from:], func(a, b Binding) int { return preference(b.Q) - preference(a.Q) })
	}
	return dst
}

func preference(q int) int {
	if q < 0 {
		return 1000
	}
	return q
}

// Known reports whether aor, in any form, is known: by a binding that it has or lately had, or by Know.
func (s *Store) Known(aor string) bool { return s.find([]byte(aor)) != 0 }

// Know makes an address-of-record known that has no binding yet.
func (s *Store) Know(aor string) error {
	n, err := s.record([]byte(aor))
	if err != nil {
		return err
	}
	r := s.records.at(n)
	s.wake(n)
	r.known = true
	return nil
}

// All gives all bindings that have not ended, those of one address-of-record together.
func (s *Store) All(now int64) iter.Seq2[string, Binding] {
	return func(yield func(string, Binding) bool) {
		for n := uint32(1); n <= s.records.used; n++ {
			r := s.records.at(n)
			if r.first == 0 {
				continue
			}
			aor := string(s.texts.block(r.text, int(r.size)))
			for i := r.first; i != 0; i = s.slots.at(i).next {
				if s.slots.at(i).expires > now && !yield(aor, s.binding(i)) {
					return
				}
			}
		}
	}
}

// find gives the record of an address in any form, 0 for none.
func (s *Store) find(uri []byte) uint32 {
	var ok bool
	if s.aorBuf, ok = AppendAOR(s.aorBuf[:0], uri); !ok {
		return 0
	}
	return s.findCanonical(s.aorBuf)
}

// hash has a secret seed, so that nobody can choose addresses that collide.
func (s *Store) hash(aor []byte) uint64 { return maphash.Bytes(s.seed, aor) & s.mask }

func (s *Store) findCanonical(aor []byte) uint32 {
	n := s.index[s.hash(aor)]
	for n != 0 {
		r := s.records.at(n)
		if int(r.size) == len(aor) && string(s.texts.block(r.text, len(aor))) == string(aor) {
			return n
		}
		n = r.chain
	}
	return 0
}

// record finds or makes the record of an address. A new one is not in the list of idle ones: it gets a binding, or is
// known.
func (s *Store) record(uri []byte) (uint32, error) {
	var ok bool
	if s.aorBuf, ok = AppendAOR(s.aorBuf[:0], uri); !ok {
		return 0, ErrAOR
	}
	aor := s.aorBuf
	if n := s.findCanonical(aor); n != 0 {
		return n, nil
	}
	if len(aor) > maxText {
		return 0, ErrTooLong
	}
	if s.nrecords >= s.cfg.MaxAORs {
		if s.idle.n == 0 {
			return 0, ErrFull
		}
		s.forget(s.idle.oldest)
	}
	text, ok := s.texts.add(aor)
	if !ok {
		return 0, ErrFull
	}
	h := s.hash(aor)
	n := s.records.add()
	*s.records.at(n) = record{hash: h, text: text, size: uint16(len(aor)), chain: s.index[h]} //nolint:gosec // ≤ maxText
	s.index[h] = n
	s.nrecords++
	return n, nil
}

// sleep puts a record that lost its last binding into the list of those, or forgets it.
func (s *Store) sleep(n uint32) {
	r := s.records.at(n)
	if r.count > 0 || r.known || r.idle {
		return
	}
	r.idle, r.prev = true, s.idle.newest
	if r.prev != 0 {
		s.records.at(r.prev).next = n
	} else {
		s.idle.oldest = n
	}
	s.idle.newest = n
	if s.idle.n++; s.idle.n > s.cfg.MaxIdle {
		s.forget(s.idle.oldest)
	}
}

// wake takes a record out of that list.
func (s *Store) wake(n uint32) {
	r := s.records.at(n)
	if !r.idle {
		return
	}
	if r.prev != 0 {
		s.records.at(r.prev).next = r.next
	} else {
		s.idle.oldest = r.next
	}
	if r.next != 0 {
		s.records.at(r.next).prev = r.prev
	} else {
		s.idle.newest = r.prev
	}
	r.idle, r.prev, r.next = false, 0, 0
	s.idle.n--
}

// forget removes a record without bindings.
func (s *Store) forget(n uint32) {
	s.wake(n)
	r := s.records.at(n)
	if s.index[r.hash] == n {
		if r.chain == 0 {
			delete(s.index, r.hash)
		} else {
			s.index[r.hash] = r.chain
		}
	} else {
		before := s.records.at(s.index[r.hash])
		for before.chain != n {
			before = s.records.at(before.chain)
		}
		before.chain = r.chain
	}
	s.texts.remove(r.text, int(r.size))
	s.records.remove(n)
	s.nrecords--
}
