package registrar

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/element/transport"
)

// content is all that a Store has, as text.
func content(s *Store) string {
	var lines []string
	for aor, b := range s.All(start) {
		lines = append(lines, fmt.Sprintf("%s %+v\n", aor, b))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func mustOpen(t *testing.T, path string, now int64) *Store {
	t.Helper()
	s, err := Open(path, StoreConfig{}, now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// script makes changes of all kinds and gives, for each number of bytes that had been written after a step, what the
// Store had then.
func script(t *testing.T, s *Store) map[int64]string {
	t.Helper()
	states := map[int64]string{s.Stats().File.Size: ""}
	step := func(aor string, reg *Registration) {
		t.Helper()
		if err := s.Register([]byte(aor), reg, start); err != nil {
			t.Fatal(err)
		}
		s.Wake(start)
		states[s.Stats().File.Size] = content(s)
	}
	const ends = start + 100*second
	step(bob, bind("c1", 1, contact("sip:bob@1", 500, ends)))
	reg := bind("c1", 2, contact("sip:bob@2", -1, ends))
	reg.Path = []byte("<sip:p;lr>")
	reg.Received = transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("10.0.0.1:5060")}
	reg.Contacts[0].Params = []byte(";+sip.instance=\"<urn:uuid:1>\"")
	step(bob, reg)
	step("sip:al@b.com", bind("c2", 7, contact("sip:al@1", 1000, ends)))
	step(bob, bind("c1", 3, contact("sip:bob@1", 100, ends+second)))
	step(bob, bind("c1", 4, contact("sip:bob@2", -1, 0)))
	step("sip:al@b.com", &Registration{CallID: []byte("x"), CSeq: 1, RemoveAll: true})
	step("sip:al@b.com", bind("c2", 8, contact("sip:al@3", 1000, ends)))
	return states
}

// TestCrash cuts the file at every byte: what a killed program leaves. Each time the Store must have what the last whole
// record says, tell about the rest, and go on writing a file that is right.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "location")
	s := mustOpen(t, path, start)
	states := script(t, s)
	final := content(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last, want := int64(0), ""
	for cut := range len(whole) + 1 {
		path := filepath.Join(dir, "cut")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if state, ok := states[int64(cut)]; ok {
			last, want = int64(cut), state
		}
		s, err := Open(path, StoreConfig{}, start)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		checkStore(t, s)
		if got := content(s); got != want {
			t.Fatalf("cut at %d: got\n%swant\n%s", cut, got, want)
		}
		if f := s.Stats().File; f.Dropped != int64(cut)-last || f.Damaged != 0 || f.Loaded != strings.Count(want, "\n") {
			t.Fatalf("cut at %d, last record ends at %d: %+v", cut, last, f)
		}
		reg := bind("new", 1, contact("sip:new@1", 1, start+second))
		if err = s.Register([]byte("sip:new@b.com"), reg, start); err != nil {
			t.Fatal(err)
		}
		want2 := content(s)
		if err = s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(path, StoreConfig{}, start); err != nil {
			t.Fatal(err)
		}
		if got := content(s); got != want2 || s.Stats().File.Dropped != 0 {
			t.Fatalf("cut at %d and written again: got\n%swant\n%s", cut, got, want2)
		}
		s.Close()
	}
	if want != final {
		t.Fatal("the whole file has not the last state")
	}
}

// TestDamage changes every byte of a file: nothing may break, and no binding may come back that was never made.
func TestDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "location")
	s := mustOpen(t, path, start)
	made := map[string]bool{}
	for _, state := range script(t, s) {
		for line := range strings.Lines(state) {
			made[line] = true
		}
	}
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged, refused := 0, 0
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 0x41
		path := filepath.Join(dir, "damaged")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, StoreConfig{}, start)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("byte %d: %v", i, err)
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
				t.Fatalf("byte %d: a file that is refused must stay as it is", i)
			}
			refused++
			continue
		}
		if f := s.Stats().File; f.Damaged == 0 && f.Dropped == 0 {
			t.Errorf("byte %d: not told: %+v", i, f)
		}
		damaged += s.Stats().File.Damaged
		for line := range strings.Lines(content(s)) {
			if !made[line] {
				t.Errorf("byte %d: %s was never made", i, line)
			}
		}
		checkStore(t, s)
		s.Close()
	}
	if damaged == 0 || refused == 0 {
		t.Errorf("%d damaged, %d refused", damaged, refused)
	}
}

func TestZeroTail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "location")
	s := mustOpen(t, path, start)
	script(t, s)
	want := content(s)
	s.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(make([]byte, 300_000)) // what a file system gives back after the machine failed
	f.Close()
	s = mustOpen(t, path, start)
	if got := content(s); got != want || s.Stats().File.Dropped != 300_000 {
		t.Errorf("%+v\n%s", s.Stats().File, got)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "location")
	s := mustOpen(t, path, start)
	if _, err := Open(path, StoreConfig{}, start); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Add(bob, &Binding{URI: "sip:static@x", Ends: Forever}, start); err != nil {
		t.Fatal(err)
	}
	for i, e := range []int64{10, 20, 30} {
		if err := s.Register([]byte(bob), bind("c", uint32(i+1), contact(fmt.Sprintf("sip:%d@x", i), -1, start+e*second)), start); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s.Wake(start) // a closed Store has no file
	s = mustOpen(t, path, start+20*second)
	if got := uris(s.Lookup(bob, start+20*second)); got != "sip:2@x" {
		t.Errorf("got %q: what ended is gone, what is of the configuration is not in the file", got)
	}
	if f := s.Stats().File; f.Loaded != 1 || f.Ended != 2 {
		t.Errorf("%+v", f)
	}
	if next := s.Wake(start + 20*second); next != start+30*second {
		t.Errorf("next %d", next)
	}
	if err := s.Register([]byte(bob), bind("c", 3, contact("sip:2@x", -1, start+99*second)), start+20*second); !errors.Is(err, ErrOrder) {
		t.Errorf("the order of CSeq survives a restart: %v", err)
	}
	s.Close()
	small, err := Open(path, StoreConfig{MaxAORs: 1, MaxBindings: 1}, start)
	if err != nil {
		t.Fatal(err)
	}
	if st := small.Stats(); st.Bindings != 1 || st.File.Refused != 2 {
		t.Errorf("%+v", st)
	}
	checkStore(t, small)
	small.Close()
}

// TestCompaction refreshes bindings until the file has been replaced, and changes things in between.
func TestCompaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "location")
	s := mustOpen(t, path, start)
	rng := rand.New(rand.NewPCG(1, 1))
	const users = 12_000 // more than one step copies
	during := 0
	for i := 0; s.Stats().File.Compactions < 3; i++ {
		if i > 5_000_000 {
			t.Fatal("no compaction")
		}
		ends := start + 10_000*second
		if rng.IntN(10) == 0 {
			ends = 0
		}
		aor := fmt.Sprintf("sip:u%d@b.com", rng.IntN(users))
		if err := s.Register([]byte(aor), bind("c", uint32(i+1), contact("sip:u@1.1.1.1", -1, ends)), start); err != nil {
			t.Fatal(err)
		}
		if s.journal.fresh != nil {
			during++
		}
		if i%50 == 0 {
			s.Wake(start)
		}
	}
	if during == 0 {
		t.Error("nothing changed while a new file was written")
	}
	checkStore(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := content(s)
	if got := content(mustOpen(t, path, start)); got != want {
		t.Error("the file has something else than the Store")
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the new file is left: %v", err)
	}
}

// fullDisk is a file that takes some bytes and no more, until there is room.
type fullDisk struct {
	logFile
	room *int
}

func (f fullDisk) Write(b []byte) (int, error) {
	n := min(len(b), *f.room)
	*f.room -= n
	if m, err := f.logFile.Write(b[:n]); err != nil || n == len(b) {
		return m, err
	}
	return n, errors.New("disk full")
}

// TestDiskFull fails at every byte of writing and then has room again: the file becomes right, and what it has meanwhile
// is whole.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for room := 0; room < 600; room += 7 {
		path := filepath.Join(dir, strconv.Itoa(room))
		s := mustOpen(t, path, start)
		left := room
		s.journal.file = fullDisk{s.journal.file, &left}
		s.journal.open = func(path string) (logFile, error) {
			f, err := createFile(path)
			return fullDisk{f, &left}, err
		}
		script(t, s)
		want := content(s)
		st := s.Stats().File
		if (st.Errors > 0) != (left == 0 && st.Err != nil) {
			t.Fatalf("room %d: %+v", room, st)
		}
		if b, err := os.ReadFile(path); err != nil || int64(len(b)) != st.Size {
			t.Fatalf("room %d: %d bytes of %d, %v", room, len(b), st.Size, err)
		}
		if st.Errors > 0 {
			next := s.Wake(start)
			if next != start+retryAfter {
				t.Fatalf("room %d: next %d", room, next-start)
			}
			s.Wake(next) // in vain
			left = math.MaxInt
			if st = s.Stats().File; st.Errors < 2 {
				t.Fatalf("room %d: %+v", room, st)
			}
			s.Wake(next + retryAfter)
		}
		if st = s.Stats().File; st.Err != nil {
			t.Fatalf("room %d: %+v", room, st)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, path, start)
		if got := content(s); got != want || s.Stats().File.Dropped != 0 {
			t.Fatalf("room %d: got\n%swant\n%s", room, got, want)
		}
		s.Close()
	}
}

func TestCloseOnFullDisk(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, filepath.Join(t.TempDir(), "location"), start)
	none := 0
	s.journal.file = fullDisk{s.journal.file, &none}
	s.journal.open = func(string) (logFile, error) { return nil, os.ErrPermission }
	if err := s.Register([]byte(bob), bind("c", 1, contact("sip:x@y", 0, start+second)), start); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); !errors.Is(err, os.ErrPermission) {
		t.Errorf("Close: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "no", "such"), StoreConfig{}, start); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	for name, text := range map[string]string{"short": "hello", "long": strings.Repeat("something else\n", 10)} {
		path := filepath.Join(dir, name)
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := Open(path, StoreConfig{}, start); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if b, _ := os.ReadFile(path); string(b) != text {
			t.Errorf("%s: somebody else's file was changed to %q", name, b)
		}
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed")
	s, err := Open(path, StoreConfig{}, start)
	if err != nil {
		f.Fatal(err)
	}
	s.Register([]byte(bob), bind("c", 1, contact("sip:x@y", 0, start+second)), start)
	s.Register([]byte(bob), bind("c", 2, contact("sip:x@y", 0, 0)), start)
	s.Close()
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed[len(journalMagic)+recordHead:])
	f.Add(seed[len(journalMagic):])
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewStore(StoreConfig{MaxContacts: 3})
		j := &journal{crc: crcTable()}
		if len(b) > 0 { // as a payload whose sum is right
			s.replay(b, j, start)
		}
		// and as records, of which the first is whole
		file := j.record([]byte(journalMagic), func(dst []byte) []byte { return append(dst, b...) })
		file = append(file, b...)
		size := int64(len(file))
		end, err := s.loadRecords(bufio.NewReader(bytes.NewReader(file[len(journalMagic):])), j, size, start)
		if err != nil && !errors.Is(err, ErrDamaged) || end > size || err == nil && len(b) > 0 && end < size-int64(len(b)) {
			t.Fatalf("%d of %d: %v", end, size, err)
		}
		checkStore(t, s)
		s.Wake(start + second)
		checkStore(t, s)
	})
}

// BenchmarkOpen reads a file of a million bindings.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "location")
	s, err := Open(path, StoreConfig{}, start)
	if err != nil {
		b.Fatal(err)
	}
	var aor, uri, callID [128]byte
	for i := range 1_000_000 {
		reg, a, c := million(i, aor[:], uri[:], callID[:])
		c.Ends = start + 3600*second
		reg.Contacts = []Contact{c}
		if err = s.Register(a, &reg, start); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(s.Stats().File.Size)
	if err = s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s, err = Open(path, StoreConfig{}, start); err != nil || s.Stats().Bindings != 1_000_000 {
			b.Fatal(err)
		}
		s.Close()
	}
}
