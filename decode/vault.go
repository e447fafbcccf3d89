package decode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"sipscope/capture"
	"sipscope/decode/stream"
)

// VaultFile is the Loc.File of a text that does not lie in the captures byte for byte: it was decrypted, unmasked or
// inflated. No capture has this number. Such a piece keeps the Seq of its frame; its Loc.Off is a place in the Vault.
const VaultFile = stream.MadeFile

// Vault is the home of the texts that do not lie in the captures: unmasked WebSocket, decrypted TLS. It takes texts at
// its end and never changes one. The newest bytes are in memory; what is beyond that goes into a temporary file of mode
// 0600 that has no name on systems that allow it, so that decrypted text does not outlive the process.
//
// A Vault may be used by any number of goroutines. The zero Vault and nil keep nothing.
type Vault struct {
	o VaultOptions

	mu     sync.RWMutex
	chunks [][]byte // the newest bytes, in chunks of chunk bytes; all but the last are full
	first  int64    // number of the first chunk in memory; those before it are in the file
	end    int64    // bytes taken in
	file   *os.File // nil until it is needed
	name   string   // of a file that could not be unlinked while open
	err    error    // of the file: nothing is kept any more
	closed bool
	stats  VaultStats
}

// VaultOptions bounds a Vault. Zero fields take defaults.
type VaultOptions struct {
	Memory int64  // bytes in memory, at least 1 MiB; default 8 MiB
	Limit  int64  // bytes in all, in memory and in the file; default 1 GiB
	Newest bool   // at the limit the oldest bytes are forgotten (capture.ErrGone); otherwise later texts are not kept
	Dir    string // of the temporary file; empty means the system's place
}

// VaultStats are figures of a Vault. Texts that came in are Texts and Unkept.
type VaultStats struct {
	Texts  uint64 // taken in, kept or forgotten since
	Bytes  int64  // of them
	Unkept uint64 // texts that were not taken in: the limit was reached, or the file failed
	Gone   int64  // bytes forgotten since
	// Failed is why the file failed, empty when it did not.
	Failed string
}

const (
	vaultChunk  = 1 << 20
	vaultMemory = 8 << 20
	vaultLimit  = 1 << 30
)

// errVaultClosed says that the Vault was closed.
var errVaultClosed = errors.New("texts are closed")

// NewVault makes an empty Vault, which costs nothing until a text comes. Close it after the last reading.
func NewVault(o VaultOptions) *Vault {
	if o.Memory <= 0 {
		o.Memory = vaultMemory
	}
	if o.Limit <= 0 {
		o.Limit = vaultLimit
	}
	o.Memory = max(o.Memory, vaultChunk)
	o.Limit = max(o.Limit, o.Memory+vaultChunk)
	return &Vault{o: o}
}

// Put copies a text and gives its place. What cannot be kept has an Off of capture.NotKept, and is counted.
func (v *Vault) Put(text []byte) capture.Loc {
	loc := capture.Loc{File: VaultFile, Off: capture.NotKept}
	if v == nil {
		return loc
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.room(len(text)) {
		v.stats.Unkept++
		return loc
	}
	loc.Off = v.end
	v.stats.Texts++
	v.stats.Bytes += int64(len(text))
	for len(text) > 0 {
		n := v.tail(len(text))
		last := &v.chunks[len(v.chunks)-1]
		*last = append(*last, text[:n]...)
		v.end += int64(n)
		text = text[n:]
	}
	return loc
}

// room reports whether n bytes more can be kept, and writes out chunks until the memory has room for them.
func (v *Vault) room(n int) bool {
	switch {
	case v.closed || v.err != nil || v.o.Limit == 0 || int64(n) > v.o.Limit/2:
		return false
	case !v.o.Newest && v.end+int64(n) > v.o.Limit:
		return false
	}
	for len(v.chunks) > 1 && int64(len(v.chunks))*vaultChunk+int64(n) > v.o.Memory {
		if v.err = v.spill(); v.err != nil {
			v.stats.Failed = v.err.Error()
			return false
		}
	}
	return true
}

// tail makes the last chunk have room, and gives how much of n bytes it takes.
func (v *Vault) tail(n int) int {
	last := len(v.chunks) - 1
	if last < 0 || len(v.chunks[last]) == vaultChunk {
		v.chunks = append(v.chunks, nil)
		last++
	}
	c := &v.chunks[last]
	free := vaultChunk - len(*c)
	if cap(*c) < vaultChunk && len(*c)+n > cap(*c) { // a run with few such texts takes little
		grown := make([]byte, len(*c), min(vaultChunk, max(2*cap(*c), len(*c)+n, 16<<10)))
		copy(grown, *c)
		*c = grown
	}
	return min(n, free)
}

// slots is how many chunks the file has room for.
func (v *Vault) slots() int64 { return max(1, (v.o.Limit-v.o.Memory)/vaultChunk) }

// place is where a chunk is in the file. A vault of the newest goes round in it.
func (v *Vault) place(chunk int64) int64 {
	if v.o.Newest {
		chunk %= v.slots()
	}
	return chunk * vaultChunk
}

// spill writes the oldest chunk in memory into the file.
func (v *Vault) spill() error {
	if v.file == nil {
		f, err := os.CreateTemp(v.o.Dir, "sipscope-*") // of mode 0600
		if err != nil {
			return fmt.Errorf("temporary file for decoded texts: %w", err)
		}
		v.file = f
		if os.Remove(f.Name()) != nil { // not every system can while it is open
			v.name = f.Name()
		}
	}
	if _, err := v.file.WriteAt(v.chunks[0], v.place(v.first)); err != nil {
		return fmt.Errorf("temporary file for decoded texts: %w", err)
	}
	v.first++
	v.chunks[0] = nil
	v.chunks = v.chunks[1:]
	v.stats.Gone = max(v.stats.Gone, v.begin())
	return nil
}

// begin is the oldest byte that is kept.
func (v *Vault) begin() int64 {
	if !v.o.Newest {
		return 0
	}
	return max(0, v.first-v.slots()) * vaultChunk
}

// ReadAt fills p with bytes of a text from loc on. It gives capture.ErrNotKept where loc says that nothing was kept, and
// capture.ErrGone when the text was forgotten for newer ones.
func (v *Vault) ReadAt(loc capture.Loc, p []byte) error {
	if v == nil || loc.Off < 0 {
		return fmt.Errorf("decoded text: %w", capture.ErrNotKept)
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	switch at := loc.Off; {
	case v.closed:
		return errVaultClosed
	case at < v.begin():
		return fmt.Errorf("decoded text: %w", capture.ErrGone)
	case at > v.end || int64(len(p)) > v.end-at:
		return fmt.Errorf("decoded text: offset %d: %w", at, io.ErrUnexpectedEOF)
	}
	for at := loc.Off; len(p) > 0; {
		chunk, off := at/vaultChunk, at%vaultChunk
		n := min(int64(len(p)), vaultChunk-off)
		if chunk >= v.first {
			copy(p[:n], v.chunks[chunk-v.first][off:])
		} else if _, err := v.file.ReadAt(p[:n], v.place(chunk)+off); err != nil {
			return fmt.Errorf("decoded text: offset %d: %w", at, err)
		}
		p, at = p[n:], at+n
	}
	return nil
}

// Reader gives a TextReader for all texts: those of the Vault from it, the others from under. A nil Vault has none.
func (v *Vault) Reader(under TextReader) TextReader { return vaultReader{v, under} }

type vaultReader struct {
	vault *Vault
	under TextReader
}

// ReadAt implements TextReader.
func (r vaultReader) ReadAt(loc capture.Loc, p []byte) error {
	if loc.File == VaultFile {
		return r.vault.ReadAt(loc, p)
	}
	return r.under.ReadAt(loc, p)
}

// Stats gives the figures of now. A nil Vault has none.
func (v *Vault) Stats() VaultStats {
	if v == nil {
		return VaultStats{}
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.stats
}

// Close gives up all texts, and the file. It may be called again.
func (v *Vault) Close() error {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed, v.chunks = true, nil
	f := v.file
	if v.file = nil; f == nil {
		return nil
	}
	err := f.Close()
	if v.name != "" {
		err = errors.Join(err, os.Remove(v.name))
	}
	return err
}

// InVault reports whether a text lies in the Vault, at least in part.
func InVault(pieces []Piece) bool {
	for i := range pieces {
		if pieces[i].Loc.File == VaultFile {
			return true
		}
	}
	return false
}

// keep puts a text that is not in the captures into the vault, and gives its pieces their places there. A nil Vault gives
// places that cannot be read.
func (v *Vault) keep(text []byte, pieces []Piece) {
	loc := v.Put(text)
	left := len(text)
	for i := range pieces {
		p := &pieces[i]
		if i == len(pieces)-1 || int(p.Len) > left { // what was compressed is longer than its pieces
			p.Len = uint32(left) //nolint:gosec // at most 4 MiB
		}
		p.Loc = loc
		loc.Off += int64(p.Len)
		left -= int(p.Len)
	}
}
