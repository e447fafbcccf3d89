package registrar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// checkTexts verifies that each unit of the texts is in one block: of a text, or free.
func checkTexts(tb testing.TB, s *Store) {
	tb.Helper()
	owner := map[uint32]string{}
	own := func(who string, ref uint32, class int) {
		for u := ref; u < ref+classUnits(class); u++ {
			if owner[u] != "" {
				tb.Fatalf("unit %d is of %s and of %s", u, owner[u], who)
			}
			owner[u] = who
		}
	}
	for n := uint32(1); n <= s.records.used; n++ {
		if r := s.records.at(n); r.size > 0 {
			own("an address", r.text, textClass(int(r.size)))
		}
	}
	for i := uint32(1); i <= s.slots.used; i++ {
		if sl := s.slots.at(i); sl.record != 0 {
			own("a binding", sl.text, textClass(int(sl.size)))
		}
	}
	for class, ref := range s.texts.free {
		for ; ref != noText; ref = binary.LittleEndian.Uint32(s.texts.block(ref, 4)) {
			own("nobody", ref, class)
		}
	}
	n := len(s.texts.chunks)*textChunk - textChunk + int(s.texts.next)
	if len(owner) != max(n, 0) || len(s.texts.chunks) > s.texts.limit {
		tb.Fatalf("%d units have an owner, of %d in %d chunks", len(owner), n, len(s.texts.chunks))
	}
}

// TestBytes fills a Store with texts of all sizes up to its bytes. What does not fit is refused as a whole; what is there
// can be refreshed; there is room again when something has gone.
func TestBytes(t *testing.T) {
	t.Parallel()
	s := NewStore(StoreConfig{MaxBytes: 1 << 20, MaxIdle: 20})
	rng := rand.New(rand.NewPCG(3, 4))
	register := func(i, size int, cseq uint32, ends int64) error {
		reg := bind("c", cseq, contact("sip:1@x", -1, ends), contact("sip:2@x", -1, ends))
		reg.Contacts[1].Params = []byte(strings.Repeat(";x", size/2))
		return s.Register(fmt.Appendf(nil, "sip:u%d@b.com", i), reg, start)
	}
	full := 0
	for step := range 4 {
		sizes := map[int]int{}
		for i := range 4000 {
			before := s.Stats().Bindings
			size := min(rng.IntN(4<<rng.IntN(11)), 3000)
			switch err := register(i, size, 1, start+second); {
			case err == nil:
				sizes[i] = size
			case !errors.Is(err, ErrFull):
				t.Fatal(err)
			default:
				full++
				if s.Stats().Bindings != before {
					t.Fatal("a part was bound")
				}
			}
		}
		checkStore(t, s)
		checkTexts(t, s)
		for i, size := range sizes {
			if err := register(i, size, 2, start+second); err != nil {
				t.Fatalf("step %d: a refresh of %d bytes: %v", step, size, err)
			}
		}
		for i := range sizes {
			if err := register(i, 0, 3, 0); err != nil {
				t.Fatal(err)
			}
		}
		checkTexts(t, s)
		if n := s.Stats().Bindings; n != 0 {
			t.Fatalf("%d bindings left", n)
		}
		if err := register(-1, 30, 1, start+second); err != nil {
			t.Fatalf("step %d: all is free, and yet: %v", step, err)
		}
		register(-1, 0, 2, 0)
	}
	if full == 0 {
		t.Error("it was never full")
	}
}

// million is a registration as phones make it, number i.
func million(i int, aor, uri, callID []byte) (reg Registration, a []byte, c Contact) {
	a = fmt.Appendf(aor[:0], "sip:subscriber%07d@example.com", i)
	c.URI = fmt.Appendf(uri[:0], "sip:subscriber%07d@10.%d.%d.%d:5060;transport=udp", i, i>>16&255, i>>8&255, i&255)
	reg.CallID = fmt.Appendf(callID[:0], "%032x@10.%d.%d.%d", i, i>>16&255, i>>8&255, i&255)
	reg.CSeq, c.Q = 1, -1
	return reg, a, c
}

// TestMemory holds the budget: 400 bytes for each of a million bindings with usual texts, all included.
func TestMemory(t *testing.T) { //nolint:paralleltest // measures the heap
	if testing.Short() {
		t.Skip("a million registrations: not with -short")
	}
	const n, budget = 1_000_000, 400
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s := NewStore(StoreConfig{})
	var aor, uri, callID [128]byte
	contacts := make([]Contact, 1)
	for i := range n {
		reg, a, c := million(i, aor[:], uri[:], callID[:])
		c.Ends = start + int64(i%3600+1)*second
		contacts[0] = c
		reg.Contacts = contacts
		if err := s.Register(a, &reg, start); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(heap()-before) / n
	t.Logf("%.0f bytes a binding", each)
	if each > budget {
		t.Errorf("%.0f bytes a binding, at most %d", each, budget)
	}
	if got := s.Lookup("sip:subscriber0999999@example.com", start); len(got) != 1 || got[0].URI != "sip:subscriber0999999@10.15.66.63:5060;transport=udp" {
		t.Errorf("%+v", got)
	}
	now, wakes := start+3601*second, 0
	for s.Wake(now) == now || len(s.queue.heap) > 0 {
		wakes++
	}
	if st := s.Stats(); st.Expired != n || st.Idle != 100_000 {
		t.Errorf("%+v after %d wakes", st, wakes)
	}
	runtime.KeepAlive(s)
}

// BenchmarkRegister is a refresh among a million bindings; BenchmarkRegisterNew makes them.
func BenchmarkRegister(b *testing.B) {
	const n = 1_000_000
	s := NewStore(StoreConfig{})
	var aor, uri, callID [128]byte
	contacts := make([]Contact, 1)
	register := func(i int, cseq uint32, now int64) {
		reg, a, c := million(i, aor[:], uri[:], callID[:])
		c.Ends = now + 3600*second
		contacts[0] = c
		reg.Contacts, reg.CSeq = contacts, cseq
		if err := s.Register(a, &reg, now); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		register(i, 1, start)
	}
	b.ReportAllocs()
	i, cseq := 0, uint32(2)
	for b.Loop() {
		register(i*7919%n, cseq, start+int64(cseq)*second)
		if i++; i == n {
			i = 0
			cseq++
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	const n = 1_000_000
	s := NewStore(StoreConfig{})
	var aor, uri, callID [128]byte
	for i := range n {
		reg, a, c := million(i, aor[:], uri[:], callID[:])
		c.Ends = start + 3600*second
		reg.Contacts = []Contact{c}
		if err := s.Register(a, &reg, start); err != nil {
			b.Fatal(err)
		}
	}
	var found []Binding
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a := fmt.Appendf(aor[:0], "sip:subscriber%07d@example.com", i*7919%n)
		if found = s.AppendLookup(found[:0], a, start); len(found) != 1 {
			b.Fatal(i)
		}
		i++
	}
}
