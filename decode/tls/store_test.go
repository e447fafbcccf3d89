package tls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// TestStore compares a store with a map, over secrets that are set again with other sizes.
func TestStore(t *testing.T) {
	t.Parallel()
	type at struct {
		key uint16
		l   label
	}
	r := rand.New(rand.NewPCG(1, 2))
	var s store[uint16]
	want := map[at][]byte{}
	for range 50_000 {
		p := at{uint16(r.IntN(2000)), label(r.IntN(7))}
		b := make([]byte, 1+r.IntN(maxSecret))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if forgotten := s.put(p.key, p.l, b); forgotten > 0 {
			t.Fatalf("%d keys of 2000 were forgotten", forgotten)
		}
		want[p] = b
	}
	for key := range uint16(2001) {
		for l := range label(7) {
			if got := s.get(key, l); !bytes.Equal(got, want[at{key, l}]) {
				t.Fatalf("key %d, label %d: %x, want %x", key, l, got, want[at{key, l}])
			}
		}
	}
}

// TestStoreSame sets the same secrets again and again, as a log that is read again does: they take no more room.
func TestStoreSame(t *testing.T) {
	t.Parallel()
	var s store[uint16]
	for range 3 {
		for key := range uint16(1000) {
			s.put(key, labelMaster, bytes.Repeat([]byte{byte(key)}, 48))
		}
	}
	if n := len(s.young.chunks); n != 1 || len(s.young.index) != 1000 {
		t.Errorf("%d chunks, %d keys", n, len(s.young.index))
	}
}

// logOf writes the lines of handshakes, numbered from first on.
func logOf(first, n int, labels ...string) []byte {
	var b bytes.Buffer
	for i := range n {
		for _, l := range labels {
			fmt.Fprintf(&b, "%s %064x %s%08x\n", l, first+i, strings.Repeat("ab", 44), first+i)
		}
	}
	return b.Bytes()
}

// TestKeysBound adds more handshakes than are kept: the newest ones are, the others are counted, and memory stays.
func TestKeysBound(t *testing.T) { //nolint:paralleltest // measures the heap
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	k := NewKeys()
	const total, step = 3*maxHandshakes + 1000, 1000
	for i := 0; i < total; i += step {
		k.Add(logOf(i, min(step, total-i), "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
			"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := 0
	for i := range total {
		var r Random
		binary.BigEndian.PutUint64(r[24:], uint64(i))
		have := k.randoms.get(r, labelServerTraffic) != nil
		if have != (k.randoms.get(r, labelClientHandshake) != nil) || !have && i >= total-maxHandshakes {
			t.Fatalf("handshake %d of %d: kept in part, or not at all", i, total)
		}
		if have {
			kept++
		}
	}
	if k.Lines != 4*total || k.Ignored > 0 || k.Forgotten+uint64(kept) != total {
		t.Errorf("%d lines, %d ignored, %d forgotten, %d of %d kept", k.Lines, k.Ignored, k.Forgotten, kept, total)
	}
	if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > 90<<20 {
		t.Errorf("%d MiB for %d handshakes", n>>20, kept)
	}
	runtime.KeepAlive(k)
}

// TestKeysBytes has secrets of the largest size under every label: the bound in bytes comes first.
func TestKeysBytes(t *testing.T) {
	t.Parallel()
	var s store[uint32]
	secret := make([]byte, maxSecret)
	var forgotten uint64
	const total = 50_000
	for key := range uint32(total) {
		for l := range label(7) {
			binary.BigEndian.PutUint32(secret, key)
			forgotten += s.put(key, l, secret)
		}
	}
	if n := len(s.young.chunks) + len(s.old.chunks); n > 2*maxStored/chunkSize {
		t.Errorf("%d chunks", n)
	}
	kept := len(s.young.index)
	for key := range s.old.index {
		if _, again := s.young.index[key]; !again {
			kept++
		}
	}
	if forgotten == 0 || forgotten+uint64(kept) != total {
		t.Errorf("%d forgotten, %d kept of %d", forgotten, kept, total)
	}
	if b := s.get(total-1, labelServerTraffic); len(b) != maxSecret || binary.BigEndian.Uint32(b) != total-1 {
		t.Errorf("the newest is %x", b)
	}
}

// TestKeysAllocate bounds what a line costs.
func TestKeysAllocate(t *testing.T) { //nolint:paralleltest // counts allocations
	lines := logOf(0, 1000, "CLIENT_RANDOM")
	k := NewKeys()
	k.Add(lines)
	if n := testing.AllocsPerRun(10, func() { k.Add(lines) }); n > 0 {
		t.Errorf("%v allocations for 1000 lines that are known", n)
	}
}
