package txn

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

func TestRecordSize(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(record{}); n > 128 {
		t.Errorf("a record has %d bytes, want 128 at most: see perChunk", n)
	}
}

// TestArena compares the arena with a map, through a random life.
func TestArena(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	a := newArena()
	want := make(map[ref][]byte)
	text := func() []byte {
		n := rng.IntN(600)
		if rng.IntN(50) == 0 {
			n = rng.IntN(100_000)
		}
		return bytes.Repeat([]byte{byte(rng.Uint32())}, n)
	}
	for round := range 4 {
		for range 2000 {
			if b := text(); rng.IntN(5) > round {
				r := a.put(b[:len(b)/2], b[len(b)/2:])
				if _, twice := want[r]; twice || r == 0 {
					t.Fatalf("ref %d is given twice", r)
				}
				want[r] = b
				continue
			}
			for r, b := range want {
				if got := a.of(r); !bytes.Equal(got, b) {
					t.Fatalf("ref %d: %d bytes, want %d", r, len(got), len(b))
				}
				delete(want, r)
				a.free(&r)
				if r != 0 {
					t.Fatal("ref stays")
				}
				break
			}
		}
	}
	for r, b := range want {
		if !bytes.Equal(a.of(r), b) {
			t.Fatalf("ref %d changed", r)
		}
		a.free(&r)
	}
	if limit := int64(len(a.sizes)+1) * chunkSize; a.bytes > limit {
		t.Errorf("%d bytes left, want %d at most", a.bytes, limit)
	}
	if a.of(0) != nil {
		t.Error("ref 0 has a text")
	}
	for n := uint32(1); n < 3*cellMax; n++ {
		if c := a.class(n); c < len(a.sizes) && (a.sizes[c] < n || c > 0 && a.sizes[c-1] >= n) {
			t.Fatalf("%d bytes go into class %d of %d", n, c, a.sizes[c])
		}
	}
}

// TestIndex compares the index with a map, with hashes that collide.
func TestIndex(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	var x index
	want := make(map[uint32]uint32) // record → hash
	for i := range uint32(8_000) {
		if rng.IntN(8_000) > int(i)/2 {
			hash := rng.Uint32N(500) * 0x01000001
			x.add(hash, i+1)
			want[i+1] = hash
		}
		if rng.IntN(3) == 0 || i > 4_000 {
			for r, hash := range want {
				x.remove(hash, r)
				x.remove(hash, r) // twice does nothing
				delete(want, r)
				break
			}
		}
		if i%500 == 0 {
			for r, hash := range want {
				if got, _ := x.find(hash, func(have uint32) bool { return have == r }); got != r {
					t.Fatalf("record %d is not found", r)
				}
			}
		}
	}
	if x.used != len(want) {
		t.Errorf("%d used, want %d", x.used, len(want))
	}
	for r, hash := range want {
		x.remove(hash, r)
	}
	if x.used != 0 || len(x.slots) > minSlots {
		t.Errorf("%d used of %d slots when empty", x.used, len(x.slots))
	}
	if got, _ := (&index{}).find(1, func(uint32) bool { return true }); got != 0 {
		t.Error("an empty index finds something")
	}
}

func TestSlab(t *testing.T) {
	t.Parallel()
	var s slab
	have := make(map[uint32]*record)
	for i := range uint32(10 * perChunk) {
		x, r := s.alloc()
		if have[x] != nil || s.get(x) != r || *r != (record{}) {
			t.Fatalf("record %d", x)
		}
		r.data = uint64(i)
		have[x] = r
	}
	for x, r := range have {
		if s.at(x) != r {
			t.Fatalf("record %d moved", x)
		}
		s.release(x)
	}
	chunks := 0
	for _, c := range s.chunks {
		if c.records != nil {
			chunks++
		}
	}
	if s.used != 0 || chunks > 1 || s.get(0) != nil || s.get(1<<30) != nil {
		t.Errorf("%d records, %d chunks left", s.used, chunks)
	}
	if x, _ := s.alloc(); s.get(x) == nil {
		t.Error("no record after all were released")
	}
}

func TestHops(t *testing.T) {
	t.Parallel()
	var ends hopEnds
	hops := []transport.Hop{
		{},
		hop(transport.UDP), hop(transport.TCP),
		{Proto: transport.TLS, Remote: there, Name: "proxy.example.com"},
		{Proto: transport.UDP, Local: netip.MustParseAddrPort("[fe80::1%eth0]:5060"), Remote: netip.MustParseAddrPort("[fe80::2%eth0]:5060")},
		{Proto: transport.WSS, Remote: netip.MustParseAddrPort("[2001:db8::1]:443"), Conn: 1<<64 - 1, Name: "x"},
		{Proto: transport.UDP, Remote: netip.MustParseAddrPort("[::ffff:192.0.2.1]:5060")},
	}
	var packed []packedHop
	for _, h := range append(hops, hops...) {
		packed = append(packed, ends.pack(h))
	}
	for i := range packed {
		if got, want := ends.unpack(&packed[i]), hops[i%len(hops)]; got != want {
			t.Errorf("%+v comes back as %+v", want, got)
		}
		ends.release(&packed[i])
	}
	if len(ends.byEnd) != 0 || len(ends.free) != len(ends.entries) {
		t.Errorf("%d ends left", len(ends.byEnd))
	}
	p := ends.pack(hops[3])
	if ends.unpack(&p) != hops[3] {
		t.Error("an end that was released is used")
	}
}

// TestKeyLengths holds that texts beyond keyMax take part in a key as a whole.
func TestKeyLengths(t *testing.T) {
	t.Parallel()
	long := "z9hG4bK" + strings.Repeat("X", 1000)
	w := newWorld(t, Config{})
	w.receive(transport.UDP, request("OPTIONS", long))
	w.receive(transport.UDP, request("OPTIONS", strings.ToLower(long)))
	w.receive(transport.UDP, strings.ReplaceAll(request("OPTIONS", long+"1"), "Call-ID: ", "Call-ID: 2"))
	w.receive(transport.UDP, strings.ReplaceAll(request("OPTIONS", long+"2"), "Call-ID: ", "Call-ID: 3"))
	if got := len(w.log); got != 3 {
		t.Errorf("%d requests, want 3", got)
	}
	// Methods that no table has make different transactions.
	w = newWorld(t, Config{})
	for _, method := range []string{"FOO", "BAR", "FOO"} {
		w.receive(transport.UDP, request(method, "z9hG4bKk"))
	}
	if got := w.take(); got != "0 request FOO\n0 request BAR" {
		t.Errorf("%s", got)
	}
}

func FuzzDelta(f *testing.F) {
	invite := request("INVITE", "z9hG4bKd")
	f.Add([]byte(invite), []byte(reply(f, invite, 486, compose.Reply{})))
	f.Add([]byte(reply(f, invite, 486, compose.Reply{})), []byte(ackOf("z9hG4bKd", "b1")))
	f.Add([]byte("\n\n"), []byte("\r\n\r\n"))
	f.Add([]byte(strings.Repeat("a: b\r\n", 100)), []byte(strings.Repeat("a: b\r\n", 100)))
	f.Add([]byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"), []byte("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\naaaaaaaaaaaaa\n"))
	f.Fuzz(func(t *testing.T, base, msg []byte) {
		delta := makeDelta(nil, base, msg)
		got, ok := applyDelta(nil, base, delta)
		if !ok || !bytes.Equal(got, msg) {
			t.Fatalf("base %q, message %q: %v, %q", base, msg, ok, got)
		}
		if len(delta) > len(msg)+16 {
			t.Fatalf("base %q, message %q: delta of %d bytes", base, msg, len(delta))
		}
		// Whatever base and delta are, applying is harmless.
		applyDelta(nil, msg, delta)
		applyDelta(nil, base, msg)
		applyDelta(nil, base, append(delta[:min(4, len(delta)):4], msg...))
	})
}

// BenchmarkDeltaHostile has a request with as many long and almost equal lines as take part.
func BenchmarkDeltaHostile(b *testing.B) {
	var base, msg strings.Builder
	base.WriteString("OPTIONS sip:a SIP/2.0\r\n")
	msg.WriteString("SIP/2.0 200 OK\r\n")
	for i := range 63 {
		line := "Via: SIP/2.0/UDP h;branch=" + strings.Repeat("x", 900) + string(rune('0'+i)) + "y"
		base.WriteString(line + "\r\n")
		msg.WriteString(line + "z\r\n")
	}
	from, to := []byte(base.String()), []byte(msg.String())
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = makeDelta(out[:0], from, to)
	}
}

// TestDeltaSize holds what the budget counts on.
func TestDeltaSize(t *testing.T) {
	t.Parallel()
	invite := request("INVITE", "z9hG4bK"+strings.Repeat("d", 32))
	ok := reply(t, invite, 200, compose.Reply{})
	if n := len(makeDelta(nil, []byte(invite), []byte(ok))); n > 90 {
		t.Errorf("a plain response is kept in %d bytes", n)
	}
	ack := ackOf("z9hG4bK"+strings.Repeat("d", 32), "b1")
	if n := len(makeDelta(nil, []byte(ok), []byte(ack))); n > 130 {
		t.Errorf("an ACK is kept in %d bytes", n)
	}
	var m sip.Message
	if sip.Parse([]byte(ok), &m) != nil {
		t.Fatal(ok)
	}
}
