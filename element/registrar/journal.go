package registrar

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
)

// The file of a Store is a log of what was bound and removed. It begins with journalMagic; then records follow:
//
//	0       4       8
//	┌───────┬───────┬──────────────────────────────────────────────────────────────┐
//	│ length│ CRC32C│ 'B' AOR q CSeq end · URI Call-ID params Path [hop]   (bound) │
//	│       │       │ 'R' AOR URI                                        (removed) │
//	└───────┴───────┴──────────────────────────────────────────────────────────────┘
//	length and CRC (of the payload) in little-endian, numbers as varints, texts after their length
//
// A record says all about its binding, so the last one about it counts, and any number of them may be said twice.
const (
	journalMagic = "sipscope location 1\n"
	recordHead   = 8
	maxRecord    = 2*maxText + 64 // of a payload: an address, a binding's texts, numbers

	opBound   = 'B'
	opRemoved = 'R'
)

const (
	journalBuffer = 256 << 10 // bytes that wait to be written, at most about this
	compactSlack  = 1 << 20   // bytes that a file may be longer than twice what it must hold
	compactStep   = 4096      // bindings that one Wake copies: some milliseconds of writing
	retryAfter    = 30 * 1e9  // nanoseconds until a file that could not be written is tried again
)

// crcTable is of CRC32C, for which processors have an instruction.
func crcTable() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// FileStats are figures of a Store's file.
type FileStats struct {
	Path string
	Size int64 // bytes

	Loaded  int   // bindings that it brought back
	Ended   int   // bindings that had ended meanwhile
	Refused int   // bindings that are over a limit
	Damaged int   // records that are whole and wrong; they were left out
	Dropped int64 // bytes of a record at the end that was cut when the program was killed

	Records     uint64 // written since the start
	Compactions uint64
	Errors      uint64 // of writing
	Err         error  // the last one; nil once all has been written
}

// logFile is what a journal asks of an *os.File.
type logFile interface {
	io.Writer
	io.Seeker
	Truncate(size int64) error
	Sync() error
	Close() error
}

// journal writes the file of a Store. What changes is gathered and written at the next Wake. A file that holds too much of
// what is over is replaced by a new one, which is written piece by piece while changes go to both.
type journal struct {
	path  string
	file  logFile
	lock  io.Closer
	crc   *crc32.Table
	buf   []byte
	fresh *compaction
	open  func(path string) (logFile, error) // makes an empty file
	// broken says that the file lacks something; at retry it is written anew.
	broken bool
	retry  int64
	stats  FileStats
}

// compaction is a new file that is not yet in the place of the old one.
type compaction struct {
	file logFile
	path string
	buf  []byte
	size int64
	next uint32 // binding to copy next
}

// createFile makes an empty file.
func createFile(path string) (logFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// savedSize is about what binding i takes in a file; the same as long as it does not change.
func (s *Store) savedSize(i uint32) int64 {
	sl := s.slots.at(i)
	if sl.expires == Forever {
		return 0
	}
	const numbers = 1 + 2 + 2 + 5 + 9
	return recordHead + numbers + int64(s.records.at(sl.record).size) + int64(sl.size)
}

// save writes down what binding i is.
func (s *Store) save(i uint32) {
	if j := s.journal; j != nil && s.slots.at(i).expires != Forever {
		j.append(func(dst []byte) []byte { return s.appendBound(dst, i) })
	}
}

func (s *Store) appendBound(dst []byte, i uint32) []byte {
	sl := s.slots.at(i)
	dst = appendText(append(dst, opBound), s.aor(i))
	dst = binary.AppendVarint(dst, int64(sl.q))
	dst = binary.AppendUvarint(dst, uint64(sl.cseq))
	dst = binary.AppendVarint(dst, sl.expires)
	return append(dst, s.text(i)...)
}

// saveRemoval writes down that binding i goes.
func (s *Store) saveRemoval(i uint32) {
	j := s.journal
	if j == nil || s.slots.at(i).expires == Forever {
		return
	}
	j.append(func(dst []byte) []byte {
		uri, _ := nextText(s.text(i))
		return appendText(appendText(append(dst, opRemoved), s.aor(i)), uri)
	})
}

// append adds a record to what waits, and writes that when it is much.
func (j *journal) append(payload func(dst []byte) []byte) {
	j.stats.Records++
	if j.fresh != nil {
		j.fresh.buf = j.record(j.fresh.buf, payload)
	}
	if j.broken {
		return
	}
	if j.buf = j.record(j.buf, payload); len(j.buf) >= journalBuffer {
		j.flush()
	}
}

// record appends head and payload.
func (j *journal) record(dst []byte, payload func(dst []byte) []byte) []byte {
	at := len(dst)
	dst = payload(append(dst, make([]byte, recordHead)...))
	body := dst[at+recordHead:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(body))) //nolint:gosec // at most maxRecord
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(body, j.crc))
	return dst
}

// flush writes what waits. When that fails, the file is taken back to its last whole record, and misses what comes after
// until it has been written anew.
func (j *journal) flush() {
	if len(j.buf) == 0 {
		return
	}
	_, err := j.file.Write(j.buf)
	if err == nil {
		j.stats.Size += int64(len(j.buf))
		j.buf = j.buf[:0]
		return
	}
	j.buf = j.buf[:0]
	j.fail(fmt.Errorf("%s: offset %d: %w", j.path, j.stats.Size, err))
	if err = j.file.Truncate(j.stats.Size); err == nil {
		_, err = j.file.Seek(j.stats.Size, io.SeekStart)
	}
	if err != nil {
		j.stats.Err = fmt.Errorf("%w; and it cannot be cut: %w", j.stats.Err, err)
	}
}

func (j *journal) fail(err error) {
	j.stats.Errors++
	j.stats.Err = err
	j.broken, j.retry = true, 0
}

// wakeJournal writes what waits and carries on with a new file if that is due.
func (s *Store) wakeJournal(now int64) (next int64) {
	j := s.journal
	j.flush()
	if j.broken && j.retry == 0 {
		j.retry = now + retryAfter
	}
	if j.fresh == nil {
		switch {
		case j.broken && now < j.retry:
			return j.retry
		case !j.broken && j.stats.Size <= 2*s.live+compactSlack:
			return math.MaxInt64
		}
		if err := j.begin(); err != nil {
			return j.giveUp(err, now)
		}
	}
	done, err := s.compact(compactStep)
	switch {
	case err != nil:
		return j.giveUp(err, now)
	case done:
		return math.MaxInt64
	default:
		return now
	}
}

// begin makes the new file.
func (j *journal) begin() error {
	path := j.path + ".new"
	f, err := j.open(path)
	if err != nil {
		return err
	}
	j.fresh = &compaction{file: f, path: path, next: 1, buf: []byte(journalMagic)}
	return nil
}

// giveUp leaves the old file in its place.
func (j *journal) giveUp(err error, now int64) (next int64) {
	if c := j.fresh; c != nil {
		_ = c.file.Close()
		_ = os.Remove(c.path) // when it stays, the next one writes over it
		j.fresh = nil
	}
	j.fail(fmt.Errorf("%s: new file: %w", j.path, err))
	j.retry = now + retryAfter
	return j.retry
}

// compact copies some bindings to the new file. After the last one it puts the file in the place of the old one.
func (s *Store) compact(bindings int) (done bool, err error) {
	c := s.journal.fresh
	for range bindings {
		if c.next > s.slots.used {
			done = true
			break
		}
		if sl := s.slots.at(c.next); sl.record != 0 && sl.expires != Forever {
			i := c.next
			c.buf = s.journal.record(c.buf, func(dst []byte) []byte { return s.appendBound(dst, i) })
		}
		c.next++
	}
	n, err := c.file.Write(c.buf)
	c.size += int64(n)
	c.buf = c.buf[:0]
	if err != nil {
		return false, fmt.Errorf("offset %d: %w", c.size, err)
	}
	// Each piece is on the disk before the next: a replaced file is never less than what it replaces, even when the
	// machine fails, and no single wait is long.
	if err = c.file.Sync(); err != nil || !done {
		return false, err
	}
	return true, s.journal.replace()
}

// replace puts the new file in the place of the old one, all at once.
func (j *journal) replace() error {
	c := j.fresh
	if err := os.Rename(c.path, j.path); err != nil {
		return err
	}
	_ = j.file.Close()
	j.file, j.stats.Size = c.file, c.size
	j.fresh, j.buf = nil, j.buf[:0]
	j.broken, j.stats.Err = false, nil
	j.stats.Compactions++
	if dir, err := os.Open(filepath.Dir(j.path)); err == nil {
		_ = dir.Sync() // some systems cannot, and the name is right without
		_ = dir.Close()
	}
	return nil
}

// Close writes what the file lacks, to the disk, and closes it. The Store stays readable; its changes are no longer kept.
// Without a file it does nothing.
func (s *Store) Close() error {
	j := s.journal
	if j == nil {
		return nil
	}
	j.flush()
	for done := !j.broken && j.fresh == nil; !done; {
		var err error
		if j.fresh == nil {
			err = j.begin()
		}
		if err == nil {
			done, err = s.compact(math.MaxInt32)
		}
		if err != nil {
			j.giveUp(err, 0)
			break
		}
	}
	if err := j.file.Sync(); err != nil && j.stats.Err == nil {
		j.stats.Err = fmt.Errorf("%s: %w", j.path, err)
	}
	_ = j.file.Close()
	_ = j.lock.Close()
	s.stats.File = j.stats
	s.journal = nil
	return s.stats.File.Err
}
