package txn

import "encoding/binary"

// Cells of an arena come in classes of sizes, a chunk of cells for each, so that what is freed is used again whatever
// comes. A text larger than the largest class gets a chunk of its own.
const (
	cellStep   = 16      // sizes up to cellFine are multiples of it
	cellFine   = 512     //
	cellMax    = 8192    // from cellFine on, sizes grow by a quarter
	cellHead   = 4       // length of the text, or number of the next free cell
	chunkSize  = 1 << 15 // bytes of a chunk
	cellsBits  = 10      // of a ref; chunkSize / the smallest cell of 32 bytes
	fineSizes  = cellFine / cellStep
	cellsLimit = 1 << cellsBits
)

// cells is a chunk of an arena.
type cells struct {
	buf    []byte // nil: not used
	size   uint32 // of a cell
	free   uint32 // the first free cell, from 1 on, linked by their heads; 0: none
	fresh  uint32 // cells from here on were never used
	used   uint32
	class  uint8
	listed bool // in arena.room
}

// arena keeps texts of any length without a pointer for each.
type arena struct {
	chunks []cells
	room   [64][]uint32 // by class, chunks with free cells
	idle   []uint32     // chunks without memory
	sizes  []uint32     // by class
	bytes  int64        // of all chunks
}

func newArena() arena {
	var a arena
	for n := uint32(2 * cellStep); n <= cellFine; n += cellStep {
		a.sizes = append(a.sizes, n)
	}
	for n := uint32(cellFine * 5 / 4); n < cellMax; n += n / 4 {
		n = n / cellStep * cellStep
		a.sizes = append(a.sizes, n)
	}
	return a
}

// class is the class of a cell of n bytes; len(a.sizes) when there is none.
func (a *arena) class(n uint32) int {
	if n <= cellFine {
		return max(int((n+cellStep-1)/cellStep)-2, 0)
	}
	c := fineSizes - 1
	for c < len(a.sizes) && a.sizes[c] < n {
		c++
	}
	return c
}

// alloc makes room for n bytes, and gives it to be filled.
func (a *arena) alloc(n int) (ref, []byte) {
	need := uint32(n) + cellHead //nolint:gosec // a message is far below 4 GiB
	class := a.class(need)
	var x uint32
	if class < len(a.sizes) && len(a.room[class]) > 0 {
		x = a.room[class][len(a.room[class])-1]
	} else {
		x = a.grow(class, need)
	}
	c := &a.chunks[x]
	cell := c.free
	if cell == 0 {
		c.fresh++
		cell = c.fresh
	} else {
		c.free = binary.LittleEndian.Uint32(c.buf[(cell-1)*c.size:])
	}
	c.used++
	if c.free == 0 && (c.fresh+1)*c.size > uint32(len(c.buf)) && c.listed { //nolint:gosec // a chunk
		c.listed = false
		list := a.room[class]
		a.room[class] = list[:len(list)-1]
	}
	at := (cell - 1) * c.size
	binary.LittleEndian.PutUint32(c.buf[at:], uint32(n)) //nolint:gosec // a message is far below 4 GiB
	at += cellHead
	return ref(x<<cellsBits | cell), c.buf[at : at+uint32(n) : at+uint32(n)] //nolint:gosec // likewise
}

// grow makes a chunk of a class, or one of a single cell of need bytes.
func (a *arena) grow(class int, need uint32) uint32 {
	var x uint32
	if i := len(a.idle); i > 0 {
		x = a.idle[i-1]
		a.idle = a.idle[:i-1]
	} else {
		x = uint32(len(a.chunks)) //nolint:gosec // the memory is limited
		a.chunks = append(a.chunks, cells{})
	}
	size, all := need, need
	if class < len(a.sizes) {
		size = a.sizes[class]
		all = min(chunkSize/size, cellsLimit-1) * size
	}
	a.chunks[x] = cells{buf: make([]byte, all), size: size, class: uint8(class)} //nolint:gosec // below 64
	a.bytes += int64(all)
	if all > size {
		a.chunks[x].listed = true
		a.room[class] = append(a.room[class], x)
	}
	return x
}

// of gives a text; nil for ref 0.
func (a *arena) of(r ref) []byte {
	if r == 0 {
		return nil
	}
	c := &a.chunks[r>>cellsBits]
	at := (uint32(r&(cellsLimit-1)) - 1) * c.size
	n := binary.LittleEndian.Uint32(c.buf[at:])
	at += cellHead
	return c.buf[at : at+n : at+n]
}

// put keeps a copy of the parts, joined.
func (a *arena) put(parts ...[]byte) ref {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	r, dst := a.alloc(n)
	for _, p := range parts {
		dst = dst[copy(dst, p):]
	}
	return r
}

// free gives the text up and sets *r to 0. A chunk that is empty gives its memory back, unless it is the only one of its
// class with room.
func (a *arena) free(r *ref) {
	if *r == 0 {
		return
	}
	x, cell := uint32(*r>>cellsBits), uint32(*r&(cellsLimit-1))
	*r = 0
	c := &a.chunks[x]
	binary.LittleEndian.PutUint32(c.buf[(cell-1)*c.size:], c.free)
	c.free = cell
	c.used--
	class := int(c.class)
	if !c.listed && class < len(a.sizes) {
		c.listed = true
		a.room[class] = append(a.room[class], x)
	}
	if c.used == 0 && (class == len(a.sizes) || len(a.room[class]) > 1) {
		a.bytes -= int64(len(c.buf))
		if c.listed {
			a.room[class] = without(a.room[class], x)
		}
		*c = cells{}
		a.idle = append(a.idle, x)
	}
}
