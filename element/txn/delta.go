package txn

import (
	"bytes"
	"encoding/binary"
)

// A delta is a message as what it does not share with another, its base, line by line:
//
//	4 bytes   shape of the base's head: a hash of its header names in order
//	then      one entry for each run of lines that are text of their own, or line that the base has, as varints:
//	          0, n, n bytes         text
//	          2*i+1                 line i of the base as it is
//	          2*i+2, p, s, n, bytes line i of the base with all but its first p and last s bytes replaced by n bytes
//
// So the response to a request, which repeats Via, From, To, Call-ID and CSeq, takes few bytes until the request is
// retransmitted; the ACK of a final response, which repeats the same, until the response is. A retransmission is the
// same message again (RFC 3261 17.1.2.2), but it may differ in a value that the element updates, such as a Timestamp: it
// will do as a base as long as its shape is the same.

// deltaLines bounds how many lines of a base take part.
const deltaLines = 64

// deltaEffort bounds how many bytes of lines that are not equal are compared: with many long lines that begin alike it would
// be the square of their number. Beyond it only equal lines are found.
const deltaEffort = 1 << 14

// headLines are the lines of a head, with their ends.
type headLines struct {
	lines [deltaLines][]byte
	n     int
	rest  []byte // what follows them
	shape uint32
	next  int // line after the one that was found last: mostly the nearest to the next one
	spare int // bytes that may still be compared: see deltaEffort
}

// split finds the lines of the head of b, without the empty one, and the shape of the head.
func (h *headLines) split(b []byte) {
	h.n = 0
	shape := uint32(2166136261)
	for h.n < deltaLines {
		end := bytes.IndexByte(b, '\n') + 1
		if end <= 2 && (end == 1 || end == 2 && b[0] == '\r') || end == 0 {
			break
		}
		for _, c := range b[:min(end, 12)] { // names differ in their first bytes
			if c == ':' || h.n == 0 {
				break
			}
			shape = (shape ^ uint32(c)) * 16777619
		}
		shape = (shape ^ uint32(h.n)) * 16777619 //nolint:gosec // below deltaLines
		h.lines[h.n] = b[:end]
		h.n++
		b = b[end:]
	}
	h.rest, h.shape = b, shape
}

// makeDelta appends the delta that makes msg of base.
func makeDelta(dst, base, msg []byte) []byte {
	var have, want headLines
	have.split(base)
	want.split(msg)
	have.spare = deltaEffort
	dst = binary.LittleEndian.AppendUint32(dst, have.shape)
	text := 0 // bytes of msg that wait to be written as text
	at := 0
	flush := func() {
		if text > 0 {
			dst = append(dst, 0)
			dst = binary.AppendUvarint(dst, uint64(text))
			dst = append(dst, msg[at-text:at]...)
			text = 0
		}
	}
	for _, line := range want.lines[:want.n] {
		i, p, s := have.nearest(line)
		switch own := len(line) - p - s; {
		case i < 0:
			text += len(line)
		case own == 0 && len(have.lines[i]) == len(line):
			flush()
			dst = binary.AppendUvarint(dst, uint64(i)*2+1)
		default:
			flush()
			for _, v := range [...]int{i*2 + 2, p, s, own} {
				dst = binary.AppendUvarint(dst, uint64(v)) //nolint:gosec // not negative
			}
			dst = append(dst, line[p:len(line)-s]...)
		}
		at += len(line)
		if i >= 0 {
			have.next = i + 1
		}
	}
	text += len(want.rest)
	at += len(want.rest)
	flush()
	return dst
}

// nearest finds the line that shares most with line, which are its first p and its last s bytes; -1 when none shares
// enough to save anything.
func (h *headLines) nearest(line []byte) (best, p, s int) {
	const worth = 12 // bytes that an entry may cost beside its text
	best = -1
	if len(line) < worth {
		return -1, 0, 0
	}
	begin, end := binary.LittleEndian.Uint32(line), binary.LittleEndian.Uint64(line[len(line)-8:])
	for k := range h.n {
		i := (h.next + k) % h.n
		b := h.lines[i]
		if len(b) < worth || binary.LittleEndian.Uint32(b) != begin && binary.LittleEndian.Uint64(b[len(b)-8:]) != end {
			continue
		}
		if bytes.Equal(b, line) {
			return i, len(line), 0
		}
		if h.spare <= 0 {
			continue
		}
		head, tail := shared(b, line)
		h.spare -= head + tail
		if head+tail > p+s && head+tail >= worth {
			best, p, s = i, head, tail
		}
	}
	return best, p, s
}

// shared counts the bytes that a and b have in common at their beginning, and at their end apart from those.
func shared(a, b []byte) (head, tail int) {
	n := min(len(a), len(b))
	for head < n && a[head] == b[head] {
		head++
	}
	for tail < n-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

// applyDelta appends the message that the delta makes of base. It reports false when base has another shape than the
// base that the delta was made of, or is too short.
func applyDelta(dst, base, delta []byte) ([]byte, bool) {
	var have headLines
	have.split(base)
	if len(delta) < 4 || binary.LittleEndian.Uint32(delta) != have.shape {
		return dst, false
	}
	d := deltaReader{b: delta[4:], ok: true}
	for len(d.b) > 0 && d.ok {
		op := d.number()
		if op == 0 {
			dst = append(dst, d.text(d.number())...)
			continue
		}
		i := (op - 1) / 2
		if i >= have.n {
			return dst, false
		}
		line := have.lines[i]
		if op%2 == 1 {
			dst = append(dst, line...)
			continue
		}
		p, s := d.number(), d.number()
		if p+s > len(line) {
			return dst, false
		}
		dst = append(dst, line[:p]...)
		dst = append(dst, d.text(d.number())...)
		dst = append(dst, line[len(line)-s:]...)
	}
	return dst, d.ok
}

// deltaReader reads a delta. ok turns false at its first fault.
type deltaReader struct {
	b  []byte
	ok bool
}

func (d *deltaReader) number() int {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<30 {
		d.b, d.ok = nil, false
		return 0
	}
	d.b = d.b[n:]
	return int(v)
}

func (d *deltaReader) text(n int) []byte {
	if n > len(d.b) {
		d.b, d.ok = nil, false
		return nil
	}
	t := d.b[:n]
	d.b = d.b[n:]
	return t
}
