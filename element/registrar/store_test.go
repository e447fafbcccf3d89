package registrar

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sipscope/element/transport"
)

const (
	start = 1_700_000_000 * second
	bob   = "sip:bob@b.com"
)

// bind is a registration of one contact.
func bind(callID string, cseq uint32, contacts ...Contact) *Registration {
	return &Registration{CallID: []byte(callID), CSeq: cseq, Contacts: contacts}
}

func contact(uri string, q int, ends int64) Contact {
	return Contact{URI: []byte(uri), Q: q, Ends: ends}
}

func uris(bindings []Binding) string {
	all := make([]string, len(bindings))
	for i := range bindings {
		all[i] = bindings[i].URI
	}
	return strings.Join(all, " ")
}

// checkStore verifies that all lists of a Store agree.
func checkStore(tb testing.TB, s *Store) {
	tb.Helper()
	bindings, records, idle, timed := 0, 0, 0, 0
	live := int64(0)
	for n := uint32(1); n <= s.records.used; n++ {
		r := s.records.at(n)
		if r.size == 0 {
			continue
		}
		records++
		if s.findCanonical(s.texts.block(r.text, int(r.size))) != n {
			tb.Fatalf("record %d is not found by its address", n)
		}
		count := 0
		for i := r.first; i != 0; i = s.slots.at(i).next {
			sl := s.slots.at(i)
			if sl.record != n {
				tb.Fatalf("binding %d is of record %d, listed by %d", i, sl.record, n)
			}
			if (sl.place == 0) != (sl.expires == Forever) || sl.place != 0 && s.queue.heap[sl.place-1] != i {
				tb.Fatalf("binding %d has place %d in the queue", i, sl.place)
			}
			if sl.place != 0 {
				timed++
			}
			live += s.savedSize(i)
			count++
		}
		if count != int(r.count) {
			tb.Fatalf("record %d has %d bindings, counts %d", n, count, r.count)
		}
		if r.idle != (count == 0 && !r.known) {
			tb.Fatalf("record %d: idle %v, %d bindings, known %v", n, r.idle, count, r.known)
		}
		bindings += count
		if r.idle {
			idle++
		}
	}
	listed := 0
	for n := s.idle.oldest; n != 0; n = s.records.at(n).next {
		listed++
	}
	if bindings != s.bindings || records != s.nrecords || idle != s.idle.n || listed != idle || timed != len(s.queue.heap) {
		tb.Fatalf("%d bindings of %d, %d records of %d, %d idle of %d, listed %d, %d in the queue of %d",
			s.bindings, bindings, s.nrecords, records, s.idle.n, idle, listed, len(s.queue.heap), timed)
	}
	if live != s.live {
		tb.Fatalf("%d bytes live, counted %d", live, s.live)
	}
	for i := range s.queue.heap {
		if i > 0 && s.queue.ends((i-1)/4) > s.queue.ends(i) {
			tb.Fatalf("queue: %d ends after its child %d", (i-1)/4, i)
		}
	}
}

// TestNotTransitive: two contacts that are not equal may both be equal to one binding.
func TestNotTransitive(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		reg  *Registration
		want string
	}{
		{"twice", bind("c", 2, contact("sip:a@b;x=1", -1, start+second), contact("sip:a@b;x=2", -1, start+second)), "sip:a@b;x=2"},
		{"removed, bound", bind("c", 2, contact("sip:a@b;x=1", -1, 0), contact("sip:a@b;x=2", -1, start+second)), "sip:a@b;x=2"},
		{"bound, removed", bind("c", 2, contact("sip:a@b;x=1", -1, start+second), contact("sip:a@b;x=2", -1, 0)), ""},
		{"long, short", bind("c", 2, contact("sip:a@b;x="+strings.Repeat("1", 500), -1, start+second), contact("sip:a@b;x=2", -1, start+second)), "sip:a@b;x=2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := NewStore(StoreConfig{})
			for _, reg := range []*Registration{bind("c", 1, contact("sip:a@b", -1, start+second)), c.reg} {
				if err := s.Register([]byte(bob), reg, start); err != nil {
					t.Fatal(err)
				}
			}
			checkStore(t, s)
			checkTexts(t, s)
			if got := uris(s.Lookup(bob, start)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	const hour = 3600 * second
	first := bind("c1", 5, contact("sip:bob@1.1.1.1", 500, start+hour), contact("sip:bob@1.1.1.2", -1, start+hour))
	for _, c := range []struct {
		name string
		reg  *Registration
		at   int64
		err  error
		want string // contacts, the best first
	}{
		{"a new contact", bind("c2", 1, contact("sip:x@2.2.2.2", 1000, start+hour)), 0, nil, "sip:bob@1.1.1.2 sip:x@2.2.2.2 sip:bob@1.1.1.1"},
		{"an equal URI", bind("c1", 6, contact("sip:%62ob@1.1.1.1", 1000, start+hour)), 0, nil, "sip:%62ob@1.1.1.1 sip:bob@1.1.1.2"},
		{"the same CSeq", bind("c1", 5, contact("sip:bob@1.1.1.1", 1000, start+hour)), 0, ErrOrder, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{"a lower CSeq", bind("c1", 4, contact("sip:bob@1.1.1.1", 1000, start+hour)), 0, ErrOrder, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{"a lower CSeq for something new", bind("c1", 4, contact("sip:new@3.3.3.3", 1, start+hour)), 0, nil, "sip:bob@1.1.1.2 sip:bob@1.1.1.1 sip:new@3.3.3.3"},
		{"a lower CSeq of another Call-ID", bind("c9", 1, contact("sip:bob@1.1.1.1", 1000, start+hour)), 0, nil, "sip:bob@1.1.1.1 sip:bob@1.1.1.2"},
		{"removal", bind("c1", 6, contact("sip:bob@1.1.1.1", -1, 0)), 0, nil, "sip:bob@1.1.1.2"},
		{"removal with an old CSeq", bind("c1", 5, contact("sip:bob@1.1.1.1", -1, 0)), 0, ErrOrder, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{"removal of what is not there", bind("c1", 1, contact("sip:no@1.1.1.1", -1, 0)), 0, nil, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{
			"all or nothing", bind("c1", 5, contact("sip:new@1.1.1.9", -1, start+hour), contact("sip:bob@1.1.1.1", -1, 0)), 0,
			ErrOrder, "sip:bob@1.1.1.2 sip:bob@1.1.1.1",
		},
		{"add and remove", bind("c1", 6, contact("sip:new@1.1.1.9", -1, start+hour), contact("sip:bob@1.1.1.2", -1, 0)), 0, nil, "sip:new@1.1.1.9 sip:bob@1.1.1.1"},
		{"one too many", bind("c2", 1, contact("sip:x@1", 1, start+hour), contact("sip:x@2", 1, start+hour)), 0, ErrContacts, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{
			"as many as there may be", bind("c1", 6, contact("sip:x@1", 2, start+hour), contact("sip:x@2", 1, start+hour), contact("sip:bob@1.1.1.1", 0, 0)),
			0, nil, "sip:bob@1.1.1.2 sip:x@1 sip:x@2",
		},
		{"the same contact twice: the last counts", bind("c2", 1, contact("sip:x@1", 1, start+hour), contact("sip:x@1", 2, start+hour)), 0, nil, "sip:bob@1.1.1.2 sip:bob@1.1.1.1 sip:x@1"},
		{"bound and removed in one", bind("c2", 1, contact("sip:x@1", 1, start+hour), contact("sip:x@1", 2, 0)), 0, nil, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{"all", &Registration{CallID: []byte("c2"), CSeq: 1, RemoveAll: true}, 0, nil, ""},
		{"all, newer", &Registration{CallID: []byte("c1"), CSeq: 6, RemoveAll: true}, 0, nil, ""},
		{"all, too old", &Registration{CallID: []byte("c1"), CSeq: 5, RemoveAll: true}, 0, ErrOrder, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
		{"the old CSeq of one that has ended", bind("c1", 5, contact("sip:bob@1.1.1.1", -1, start+2*hour)), start + hour, nil, "sip:bob@1.1.1.1"},
		{"too long", bind("c3", 1, contact("sip:"+strings.Repeat("x", maxText), 0, start+hour)), 0, ErrTooLong, "sip:bob@1.1.1.2 sip:bob@1.1.1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := NewStore(StoreConfig{MaxContacts: 3})
			if err := s.Register([]byte(bob), first, start); err != nil {
				t.Fatal(err)
			}
			now := max(c.at, start)
			if err := s.Register([]byte("sip:bob@B.COM;x"), c.reg, now); !errors.Is(err, c.err) {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := uris(s.Lookup(bob, now)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			checkStore(t, s)
		})
	}
}

func TestBinding(t *testing.T) {
	t.Parallel()
	s := NewStore(StoreConfig{})
	hop := transport.Hop{
		Proto: transport.WSS, Conn: 1 << 40, Name: "b.com",
		Local: netip.MustParseAddrPort("[fe80::1%eth0]:5060"), Remote: netip.MustParseAddrPort("10.0.0.1:1"),
	}
	reg := &Registration{
		CallID: []byte("c1"), CSeq: 4_000_000_000, Path: []byte("<sip:p1;lr>, <sip:p2,x;lr>"), Received: hop,
		Contacts: []Contact{{
			URI: []byte("sip:bob@1.1.1.1"), Params: []byte(`;+sip.instance="<urn:uuid:1>";reg-id=1`), Q: 125, Ends: start + 5*second,
		}},
	}
	if err := s.Register([]byte(bob), reg, start); err != nil {
		t.Fatal(err)
	}
	want := []Binding{{
		URI: "sip:bob@1.1.1.1", Params: `;+sip.instance="<urn:uuid:1>";reg-id=1`, Q: 125, Ends: start + 5*second,
		CallID: "c1", CSeq: 4_000_000_000, Path: "<sip:p1;lr>, <sip:p2,x;lr>", Received: hop,
	}}
	got := s.Lookup("sip:bob@b.com:5060;transport=tcp", start)
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); d != "" {
		t.Fatalf("(-want +got)\n%s", d)
	}
	if got[0].Instance() != "<urn:uuid:1>" || got[0].RegID() != "1" {
		t.Errorf("instance %q, reg-id %q", got[0].Instance(), got[0].RegID())
	}
	if r := got[0].Routes(); len(r) != 2 || r[0] != "<sip:p1;lr>" || r[1] != "<sip:p2,x;lr>" {
		t.Errorf("routes %q", r)
	}
	if got := s.Lookup(bob, start+5*second); got != nil {
		t.Errorf("%v after its end", got)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	b := Binding{Path: `"a, \"b" <sip:p1;lr>, <sip:p2,x;lr>,, <sip:p3>`, Params: ";x;reg-id=2"}
	want := []string{`"a, \"b" <sip:p1;lr>`, "<sip:p2,x;lr>", "<sip:p3>"}
	if got := b.Routes(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if b.Instance() != "" || b.RegID() != "2" {
		t.Errorf("%q, %q", b.Instance(), b.RegID())
	}
	if b = (Binding{}); b.Routes() != nil || b.RegID() != "" {
		t.Error("nothing gives nothing")
	}
}

// TestReadHop: what a damaged file has gives no hop, or another one, and nothing else.
func TestReadHop(t *testing.T) {
	t.Parallel()
	h := transport.Hop{Proto: transport.TCP, Conn: 300, Local: netip.MustParseAddrPort("[::1%e]:1"), Remote: netip.MustParseAddrPort("1.2.3.4:5"), Name: "n"}
	b := appendTexts(nil, &Contact{}, &Registration{Received: h})[4:]
	if got := readHop(b); got != h {
		t.Errorf("%+v", got)
	}
	for i := range b {
		if i < len(b)-1 && readHop(b[:i]) != (transport.Hop{}) {
			t.Errorf("%d bytes: %+v", i, readHop(b[:i]))
		}
		for v := range 256 {
			c := slices.Clone(b)
			c[i] = byte(v)
			readHop(c)
		}
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	var events []string
	s := NewStore(StoreConfig{Event: func(e Event) {
		events = append(events, fmt.Sprintf("%d %s %s %s", (e.Now-start)/second, e.Kind, e.AOR, e.Binding.URI))
	}})
	register := func(aor, uri string, at, ends int64) {
		t.Helper()
		reg := bind("c", uint32(at+1), contact(uri, -1, start+ends*second))
		if err := s.Register([]byte(aor), reg, start+at*second); err != nil {
			t.Fatal(err)
		}
	}
	wake := func(at, want int64) {
		t.Helper()
		if want != math.MaxInt64 {
			want = start + want*second
		}
		if next := s.Wake(start + at*second); next != want {
			t.Errorf("Wake at %d: next %d, want %d", at, (next-start)/second, (want-start)/second)
		}
		checkStore(t, s)
	}
	wake(0, math.MaxInt64)
	register(bob, "sip:1@x", 0, 60)
	register(bob, "sip:2@x", 0, 30)
	register("sip:al@b.com", "sip:3@x", 0, 40)
	wake(0, 30)
	register(bob, "sip:2@x", 10, 70) // refreshed
	wake(10, 40)
	wake(39, 40)
	wake(40, 60)
	if !s.Known("sip:al@b.com") || s.Known("sip:no@b.com") {
		t.Error("the address that lost its binding is known, another is not")
	}
	if err := s.Add("sip:s@b.com", &Binding{URI: "sip:static@x", Ends: Forever, Q: -1}, start); err != nil {
		t.Fatal(err)
	}
	wake(100, math.MaxInt64)
	want := []string{
		"0 bound sip:bob@b.com sip:1@x", "0 bound sip:bob@b.com sip:2@x", "0 bound sip:al@b.com sip:3@x",
		"10 refreshed sip:bob@b.com sip:2@x", "40 expired sip:al@b.com sip:3@x",
		"0 bound sip:s@b.com sip:static@x",
		"100 expired sip:bob@b.com sip:1@x", "100 expired sip:bob@b.com sip:2@x",
	}
	if d := cmp.Diff(want, events); d != "" {
		t.Errorf("events (-want +got)\n%s", d)
	}
	if st := s.Stats(); st.Bindings != 1 || st.Expired != 3 || st.Refreshed != 1 || st.Bound != 4 || st.Idle != 2 {
		t.Errorf("%+v", st)
	}
}

// TestForever checks that no REGISTER touches a binding of the configuration.
func TestForever(t *testing.T) {
	t.Parallel()
	s := NewStore(StoreConfig{})
	for range 2 { // the second time it takes its own place
		if err := s.Add(bob, &Binding{URI: "sip:static@x", Ends: Forever, Q: 700}, start); err != nil {
			t.Fatal(err)
		}
	}
	for _, reg := range []*Registration{
		bind("c", 1, contact("sip:static@x", 0, start)),
		bind("c", 1, contact("sip:static@x", 0, start+second)),
		{CallID: []byte("c"), CSeq: 1, RemoveAll: true},
	} {
		if err := s.Register([]byte(bob), reg, start); err != nil {
			t.Fatal(err)
		}
		got := s.Lookup(bob, math.MaxInt64-1)
		if len(got) != 1 || got[0].Q != 700 || got[0].Ends != Forever {
			t.Errorf("%+v", got)
		}
	}
	if !s.Remove(bob, "sip:static@X", start) || s.Remove(bob, "sip:static@x", start) || s.Lookup(bob, start) != nil {
		t.Error("Remove takes it away, once")
	}
	checkStore(t, s)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := NewStore(StoreConfig{MaxAORs: 3, MaxBindings: 4, MaxIdle: 1})
	add := func(user string, n int) error {
		return s.Register([]byte("sip:"+user+"@b.com"), bind(user, uint32(n), contact(fmt.Sprintf("sip:%d@x", n), 0, start+second)), start)
	}
	for i, c := range []struct {
		user string
		n    int
		want error
	}{
		{"a", 1, nil}, {"b", 1, nil}, {"c", 1, nil}, {"d", 1, ErrFull}, {"a", 2, nil}, {"b", 2, ErrFull}, {"a", 3, ErrFull},
	} {
		if err := add(c.user, c.n); !errors.Is(err, c.want) {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
		checkStore(t, s)
	}
	if err := s.Know("sip:z@b.com"); !errors.Is(err, ErrFull) {
		t.Errorf("Know: %v", err)
	}
	s.Wake(start + second)
	checkStore(t, s)
	if st := s.Stats(); st.Idle != 1 || st.AORs != 1 || st.Bindings != 0 {
		t.Errorf("%+v", st)
	}
	for _, u := range []string{"p", "q", "r"} { // the idle one goes for the third
		if err := s.Know("sip:" + u + "@b.com"); err != nil {
			t.Error(err)
		}
	}
	checkStore(t, s)
	if st := s.Stats(); st.Idle != 0 || st.AORs != 3 || !s.Known("sip:r@b.com") {
		t.Errorf("%+v", st)
	}
	if err := s.Know("tel:1"); !errors.Is(err, ErrAOR) {
		t.Errorf("Know: %v", err)
	}
	if err := s.Register([]byte("tel:1"), bind("c", 1, contact("sip:x@y", 0, start+second)), start); !errors.Is(err, ErrAOR) {
		t.Errorf("Register: %v", err)
	}
}

// TestStoreModel compares a Store with a map, over random changes.
func TestStoreModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := NewStore(StoreConfig{MaxContacts: 4, MaxIdle: 5})
		if seed%2 == 1 {
			s.mask = 3 // addresses collide
		}
		model := map[string]map[string]int64{}
		now := start
		for step := range 3000 {
			now += rng.Int64N(3 * second)
			aor := fmt.Sprintf("sip:u%d@b.com", rng.IntN(20))
			var reg *Registration
			if rng.IntN(20) == 0 {
				reg = &Registration{CallID: []byte("x"), CSeq: uint32(step), RemoveAll: true}
				clear(model[aor])
			} else {
				ends := now + rng.Int64N(60*second)
				if rng.IntN(4) == 0 {
					ends = 0
				}
				// texts of all sizes move between the classes of blocks
				uri := fmt.Sprintf("sip:%d@x", rng.IntN(6))
				reg = bind("c", uint32(step+1), contact(uri, rng.IntN(1001), ends))
				reg.Contacts[0].Params = []byte(strings.Repeat(";x=y", rng.IntN(1<<rng.IntN(10))))
				if m := model[aor]; m == nil {
					model[aor] = map[string]int64{}
				}
				for u, e := range model[aor] {
					if e <= now {
						delete(model[aor], u)
					}
				}
				_, have := model[aor][uri]
				switch {
				case ends <= now:
					delete(model[aor], uri)
				case have || len(model[aor]) < 4:
					model[aor][uri] = ends
				}
			}
			if err := s.Register([]byte(aor), reg, now); err != nil && !errors.Is(err, ErrContacts) {
				t.Fatal(err)
			}
			if rng.IntN(10) == 0 {
				s.Wake(now)
			}
			if step%100 == 0 {
				checkStore(t, s)
				checkTexts(t, s)
			}
			var want, got []string
			for u, e := range model[aor] {
				if e > now {
					want = append(want, u)
				}
			}
			q := 1001
			for _, b := range s.Lookup(aor, now) {
				got = append(got, b.URI)
				if b.Q > q {
					t.Fatal("not in the order of q")
				}
				q = b.Q
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Fatalf("seed %d step %d %s: got %v, want %v", seed, step, aor, got, want)
			}
		}
		n := 0
		for range s.All(now) {
			break
		}
		for aor, b := range s.All(now) {
			if model[aor][b.URI] != b.Ends {
				t.Fatalf("All: %s %s ends %d, want %d", aor, b.URI, b.Ends, model[aor][b.URI])
			}
			n++
		}
		for _, m := range model {
			for _, e := range m {
				if e > now {
					n--
				}
			}
		}
		if n != 0 {
			t.Fatalf("All gives %d too many", n)
		}
	}
}
