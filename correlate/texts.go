package correlate

import "unsafe"

// chunkSize is how much text shares one allocation: a call's texts take about 200 bytes.
const chunkSize = 256 << 10

// ref is a text in texts.
type ref struct{ chunk, off, size uint32 }

// texts keeps the calls' texts outside of the garbage collector's sight: a chunk has no pointers, and a ref is none. A
// chunk is given up when the last call that uses it is evicted.
type texts struct {
	chunks [][]byte
	users  []int32 // texts that live in each chunk
}

// add copies a text.
func (t *texts) add(b []byte) ref {
	if len(b) == 0 {
		return ref{}
	}
	last := len(t.chunks) - 1
	if last < 0 || t.chunks[last] == nil || len(t.chunks[last])+len(b) > cap(t.chunks[last]) {
		if last >= 0 && t.users[last] == 0 {
			t.chunks[last] = nil // its texts were all dropped while it was the one in use
		}
		t.chunks = append(t.chunks, make([]byte, 0, max(chunkSize, len(b))))
		t.users = append(t.users, 0)
		last++
	}
	c := t.chunks[last]
	r := ref{uint32(last), uint32(len(c)), uint32(len(b))} //nolint:gosec // far below 4 GiB each
	t.chunks[last] = append(c, b...)
	t.users[last]++
	return r
}

// get gives the text. It is valid until the text is dropped.
func (t *texts) get(r ref) []byte {
	if r.size == 0 {
		return nil
	}
	return t.chunks[r.chunk][r.off : r.off+r.size]
}

// view gives the text as a string without copying it: a summary of a hundred thousand calls would copy 25 MB. What was
// added never changes, and a chunk is never used again, so the string stays true for as long as anybody holds it; it
// then holds its chunk.
func (t *texts) view(r ref) string {
	b := t.get(r)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// drop gives a text up.
func (t *texts) drop(r ref) {
	if r.size == 0 {
		return
	}
	t.users[r.chunk]--
	if t.users[r.chunk] == 0 && int(r.chunk) != len(t.chunks)-1 {
		t.chunks[r.chunk] = nil
	}
}
