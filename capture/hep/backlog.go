package hep

import "encoding/binary"

// minMemory holds two of the longest messages, as the beginning of one must not fill a ring, in bytes.
const minMemory = 128 << 10

// backlog is what a sender has not yet got rid of: one stream of whole version 3 messages. Its older part is in memory,
// where it is sent from, its newer part on disk:
//
//	base          acked          sent               end of memory        end
//	| kept a while | on its way   | to be sent       | to be sent, on disk |
//
// What is on its way goes back to be sent when a connection breaks, and so does what was kept. Offsets count bytes from the
// start of the stream. It has one user at a time; but pending bytes stay where they are until they are sent.
type backlog struct {
	ring  []byte
	base  int64 // a boundary of messages, as acked and kept need not be
	kept  int64 // what is before was acknowledged long enough ago
	acked int64 // what is before was acknowledged by the peer's kernel
	sent  int64
	mem   int64 // end of what is in memory
	disk  spill

	counted int64  // boundary of the messages that were sent for the first time
	queued  uint64 // messages from there on
	done    uint64 // messages before
	again   uint64 // messages sent once more
}

func newBacklog(memory int, dir string, limit int64) *backlog {
	return &backlog{ring: make([]byte, max(memory, minMemory)), disk: spill{dir: dir, limit: limit}}
}

// put appends a message, in memory or on disk; an error comes with nothing done.
func (l *backlog) put(m []byte) error {
	if l.disk.size() == 0 && l.room(len(m)) {
		l.copyIn(m)
	} else if err := l.disk.put(m); err != nil {
		return err
	}
	l.queued++
	return nil
}

// room makes room for n bytes in memory, at the cost of what is kept, if it can. While there is a disk, two thirds of the
// memory stay for what is kept: a collector that hangs, and then dies, has the more unread the more waits here.
func (l *backlog) room(n int) bool {
	stays := int64(0)
	if l.disk.limit > 0 {
		stays = int64(len(l.ring)) / 3 * 2
	}
	for l.free() < n {
		if l.base+l.length(l.base) > l.acked || l.base == l.mem || l.acked-l.base <= stays {
			return false
		}
		l.base += l.length(l.base)
		l.kept = max(l.kept, l.base)
	}
	return true
}

// free is how many bytes of memory are free.
func (l *backlog) free() int { return len(l.ring) - int(l.mem-l.base) }

// copyIn appends to what is in memory; there is room.
func (l *backlog) copyIn(b []byte) {
	at := int(l.mem % int64(len(l.ring)))
	n := copy(l.ring[at:], b)
	copy(l.ring, b[n:])
	l.mem += int64(len(b))
}

// length is how long the message at a boundary is.
func (l *backlog) length(at int64) int64 {
	if l.mem-at < headSize {
		return headSize // cut, as the rest is on disk: longer than what is there
	}
	size := int64(len(l.ring))
	two := [2]byte{l.ring[(at+int64(len(magic)))%size], l.ring[(at+int64(len(magic))+1)%size]}
	return max(headSize, int64(binary.BigEndian.Uint16(two[:])))
}

// refill brings what is on disk into memory, as far as there is room. With an error all that is on disk is lost, and told.
func (l *backlog) refill() (lost uint64, err error) {
	for l.disk.size() > 0 {
		l.room(min(len(l.ring)/2, int(min(l.disk.size(), int64(len(l.ring))))))
		at := int(l.mem % int64(len(l.ring)))
		n, err := l.disk.take(l.ring[at:min(len(l.ring), at+l.free())])
		if err != nil {
			return l.loseDisk(), err
		}
		if n == 0 {
			break
		}
		l.mem += int64(n)
	}
	return 0, nil
}

// loseDisk forgets what is on disk and the beginning of a message that is already in memory. It tells how many messages
// that are.
func (l *backlog) loseDisk() (lost uint64) {
	l.disk.clear()
	whole := l.base
	for whole < l.mem && whole+l.length(whole) <= l.mem {
		whole += l.length(whole)
	}
	l.mem = whole
	l.sent, l.acked = min(l.sent, whole), min(l.acked, whole)
	left := uint64(0)
	for at := l.counted; at < whole; at += l.length(at) {
		left++
	}
	lost, l.queued = l.queued-left, left
	return lost
}

// pending is what is to be sent next: at most n bytes, not across the end of the ring.
func (l *backlog) pending(n int) []byte {
	at := int(l.sent % int64(len(l.ring)))
	n = min(n, int(l.mem-l.sent), len(l.ring)-at)
	return l.ring[at : at+n : at+n]
}

// message is the message to be sent next, in room when it must be put together; nil when there is none.
func (l *backlog) message(room []byte) []byte {
	if l.sent == l.mem {
		return nil
	}
	n := int(l.length(l.sent))
	if b := l.pending(n); len(b) == n {
		return b
	}
	at := int(l.sent % int64(len(l.ring)))
	room = append(room[:0], l.ring[at:]...)
	return append(room, l.ring[:n-len(room)]...)
}

// wrote says that n bytes were sent.
func (l *backlog) wrote(n int) {
	l.sent += int64(n)
	for l.counted < l.sent {
		size := l.length(l.counted)
		if l.counted+size > l.sent {
			return
		}
		l.counted += size
		l.done++
		l.queued--
	}
}

// ack says what the peer's kernel has, up to at.
func (l *backlog) ack(at int64) { l.acked = max(l.acked, min(at, l.sent)) }

// keep says that what is before at need not be kept any more.
func (l *backlog) keep(at int64) {
	l.kept = max(l.kept, min(at, l.acked))
	for l.base < l.kept && l.base+l.length(l.base) <= l.kept {
		l.base += l.length(l.base)
	}
}

// rewind goes back to the message that the byte at an offset belongs to, since the connection is gone.
func (l *backlog) rewind(to int64) {
	at := l.base
	for at < l.sent && at+l.length(at) <= to {
		at += l.length(at)
	}
	for back := at; back < l.counted; back += l.length(back) {
		l.again++
	}
	l.sent, l.acked, l.kept = at, min(l.acked, at), min(l.kept, at)
}

// forget lets go of everything sent.
func (l *backlog) forget() {
	l.acked = l.sent
	l.keep(l.sent)
}

// left is how many bytes are still to be sent.
func (l *backlog) left() int64 { return l.mem - l.sent + l.disk.size() }
