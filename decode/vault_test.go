package decode

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"sipscope/capture"
)

// fill puts texts of size bytes, each of its own bytes, and gives their places.
func fill(v *Vault, n, size int) []capture.Loc {
	locs := make([]capture.Loc, n)
	for i := range locs {
		locs[i] = v.Put(filled(i, size))
	}
	return locs
}

func filled(i, size int) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("%08d", i)), size/8)
}

func TestVault(t *testing.T) {
	t.Parallel()
	const size = 96 << 10
	for _, tt := range []struct {
		name   string
		o      VaultOptions
		texts  int
		unkept int // the last ones
		gone   int // at least so many of the first ones
	}{
		{"in memory", VaultOptions{}, 60, 0, 0},
		{"in the file, too", VaultOptions{Memory: 1 << 20}, 200, 0, 0},
		{"up to the limit", VaultOptions{Memory: 1 << 20, Limit: 4 << 20}, 60, 60 - (4<<20)/size, 0},
		{"the newest", VaultOptions{Memory: 1 << 20, Limit: 4 << 20, Newest: true}, 300, 0, 300 - (4<<20)/size - 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.o.Dir = t.TempDir()
			v := NewVault(tt.o)
			locs := fill(v, tt.texts, size)
			gone := 0
			p := make([]byte, size)
			for i, loc := range locs {
				err := v.ReadAt(loc, p)
				switch {
				case i >= tt.texts-tt.unkept:
					if !errors.Is(err, capture.ErrNotKept) {
						t.Fatalf("text %d beyond the limit: %v", i, err)
					}
				case errors.Is(err, capture.ErrGone) && i == gone && tt.o.Newest:
					gone++
				case err != nil || !bytes.Equal(p, filled(i, size)):
					t.Fatalf("text %d: %v, reads %.16q", i, err, p)
				}
			}
			if gone < tt.gone || gone > tt.gone+2*(1<<20)/size+1 {
				t.Errorf("%d texts are gone, about %d expected", gone, tt.gone)
			}
			if s := v.Stats(); s.Unkept != uint64(tt.unkept) || s.Texts != uint64(tt.texts-tt.unkept) || (s.Gone > 0) != tt.o.Newest {
				t.Errorf("%+v", s)
			}
			if names, err := os.ReadDir(tt.o.Dir); err != nil || len(names) != 0 {
				t.Errorf("the temporary file has a name: %v, %v", names, err)
			}
			if err := errors.Join(v.Close(), v.Close()); err != nil {
				t.Error(err)
			}
			if err := v.ReadAt(locs[tt.texts-tt.unkept-1], p); err == nil {
				t.Error("it reads when closed")
			}
		})
	}
}

func TestVaultNone(t *testing.T) {
	t.Parallel()
	var v *Vault
	loc := v.Put([]byte("text"))
	if err := v.Reader(memory("")).ReadAt(loc, make([]byte, 4)); !errors.Is(err, capture.ErrNotKept) {
		t.Errorf("%v", err)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	failing := NewVault(VaultOptions{Memory: 1 << 20, Dir: "/nonexistent"})
	locs := fill(failing, 40, 96<<10)
	p := make([]byte, 96<<10)
	if err := failing.ReadAt(locs[0], p); err != nil {
		t.Error(err)
	}
	if err := failing.ReadAt(locs[39], p); !errors.Is(err, capture.ErrNotKept) {
		t.Error(err)
	}
	if s := failing.Stats(); s.Failed == "" || s.Unkept == 0 {
		t.Errorf("%+v", s)
	}
}

// TestVaultTogether reads while texts come. The race detector looks on.
func TestVaultTogether(t *testing.T) {
	t.Parallel()
	v := NewVault(VaultOptions{Memory: 1 << 20, Limit: 3 << 20, Newest: true, Dir: t.TempDir()})
	defer v.Close()
	const size = 8 << 10
	var mu sync.Mutex
	var locs []capture.Loc
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			p := make([]byte, size)
			for range 2000 {
				var last capture.Loc
				mu.Lock()
				n := len(locs)
				if n > 0 {
					last = locs[n-1]
				}
				mu.Unlock()
				if n == 0 {
					continue
				}
				err := v.ReadAt(last, p)
				if err == nil && !bytes.Equal(p, filled(n-1, size)) {
					t.Errorf("text %d reads %.16q", n-1, p)
				}
			}
		})
	}
	all := make([]capture.Loc, 0, 1500)
	for i := range cap(all) {
		all = append(all, v.Put(filled(i, size)))
		mu.Lock()
		locs = all
		mu.Unlock()
	}
	wg.Wait()
}

func TestVaultPieces(t *testing.T) {
	t.Parallel()
	v := NewVault(VaultOptions{})
	defer v.Close()
	v.Put([]byte("before"))
	pieces := []Piece{
		{Seq: 3, Loc: capture.Loc{File: VaultFile}, Len: 2}, {Seq: 5, Loc: capture.Loc{File: VaultFile}, Len: 1},
	}
	v.keep([]byte("INVITE"), pieces) // longer than its pieces: it was compressed
	got, err := ReadText(v.Reader(memory("")), pieces)
	if err != nil || string(got) != "INVITE" || pieces[0].Seq != 3 || pieces[1].Seq != 5 || pieces[1].Len != 4 {
		t.Errorf("%q, %v, %+v", got, err, pieces)
	}
}
