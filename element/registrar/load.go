package registrar

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// Errors of Open.
var (
	// ErrDamaged says that a file is wrong in another way than by being cut: it is left as it is.
	ErrDamaged = errors.New("location file is damaged")
	// ErrLocked says that another program has the file.
	ErrLocked = errors.New("location file is in use")
)

// Open makes a location service that keeps its bindings in a file, which is made when it is not there. What was bound and
// has not ended is bound again. A record that was cut off at the end is dropped: Stats().File tells. Beside the file there
// are path+".lock", and for some moments path+".new".
//
// A binding is in the file after the Wake that follows its request: a killed program loses what came after the last one,
// a machine that fails also what the system had not yet written.
func Open(path string, cfg StoreConfig, now int64) (*Store, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := NewStore(cfg)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	j := &journal{path: path, file: f, lock: lock, crc: crcTable(), open: createFile}
	j.stats.Path = path
	if err = s.load(f, j, now); err != nil {
		_ = f.Close()
		_ = lock.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.journal = j
	return s, nil
}

// load reads the file, and makes it end where its last whole record does.
func (s *Store) load(f *os.File, j *journal, now int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < int64(len(journalMagic)) {
		return j.reset(f, info.Size())
	}
	r := bufio.NewReaderSize(f, 1<<20)
	magic := make([]byte, len(journalMagic))
	if _, err = io.ReadFull(r, magic); err != nil {
		return err
	}
	if string(magic) != journalMagic {
		return fmt.Errorf("%w: offset 0: it does not begin with %q", ErrDamaged, journalMagic)
	}
	end, err := s.loadRecords(r, j, info.Size(), now)
	if err != nil {
		return err
	}
	j.stats.Dropped = info.Size() - end
	j.stats.Size = end
	if err = f.Truncate(end); err != nil {
		return err
	}
	_, err = f.Seek(end, io.SeekStart)
	return err
}

// reset begins a file that is new, or was cut in its first line.
func (j *journal) reset(f *os.File, size int64) error {
	head := make([]byte, size)
	if _, err := io.ReadFull(f, head); err != nil {
		return err
	}
	if string(head) != journalMagic[:size] {
		return fmt.Errorf("%w: offset 0: it does not begin with %q", ErrDamaged, journalMagic)
	}
	j.stats.Dropped, j.stats.Size = size, int64(len(journalMagic))
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(journalMagic), 0)
	if err == nil {
		_, err = f.Seek(0, io.SeekEnd)
	}
	return err
}

// loadRecords reads records up to the end of the file, or up to one that was cut, and gives where that is.
func (s *Store) loadRecords(r *bufio.Reader, j *journal, size, now int64) (end int64, err error) {
	end = int64(len(journalMagic))
	head := make([]byte, recordHead)
	payload := make([]byte, maxRecord)
	for size-end >= recordHead {
		if _, err = io.ReadFull(r, head); err != nil {
			return end, fmt.Errorf("offset %d: %w", end, err)
		}
		n := int64(binary.LittleEndian.Uint32(head))
		if n == 0 || n > maxRecord {
			return end, lost(r, head, end, size)
		}
		if n > size-end-recordHead {
			return end, nil // the end of a file that was cut
		}
		if _, err = io.ReadFull(r, payload[:n]); err != nil {
			return end, fmt.Errorf("offset %d: %w", end, err)
		}
		if crc32.Checksum(payload[:n], j.crc) != binary.LittleEndian.Uint32(head[4:]) || !s.replay(payload[:n], j, now) {
			j.stats.Damaged++
		}
		end += recordHead + n
	}
	return end, nil
}

// lost decides about a record whose length is nonsense: what follows is nothing, when a machine failed before it was
// written; or there is no way to find the next record.
func lost(r io.Reader, head []byte, end, size int64) error {
	rest := append([]byte(nil), head...)
	buf := make([]byte, 64<<10)
	for {
		for _, c := range rest {
			if c != 0 {
				return fmt.Errorf("%w: offset %d of %d: no record begins here", ErrDamaged, end, size)
			}
		}
		n, err := r.Read(buf)
		rest = buf[:n]
		switch {
		case n == 0 && errors.Is(err, io.EOF):
			return nil
		case n == 0 && err != nil:
			return err
		}
	}
}

// replay does what a record says. It reports false for one that makes no sense.
func (s *Store) replay(b []byte, j *journal, now int64) bool {
	aor, rest := nextText(b[1:])
	if canonical, ok := AppendAOR(s.textBuf[:0], aor); !ok || string(canonical) != string(aor) {
		return false
	}
	switch b[0] {
	case opBound:
		return s.replayBound(aor, rest, j, now)
	case opRemoved:
		uri, _ := nextText(rest)
		if i := s.bound(s.findCanonical(aor), uri); i != 0 {
			s.sleep(s.erase(i))
			j.stats.Loaded--
		}
		return len(uri) > 0
	default:
		return false
	}
}

func (s *Store) replayBound(aor, b []byte, j *journal, now int64) bool {
	q, n := binary.Varint(b)
	cseq, m := binary.Uvarint(b[max(n, 0):])
	if n <= 0 || m <= 0 {
		return false
	}
	ends, k := binary.Varint(b[n+m:])
	if k <= 0 || ends == Forever {
		return false
	}
	c := Contact{Q: int(q), Ends: ends}
	reg := Registration{CSeq: uint32(cseq)} //nolint:gosec // written from one
	b = b[n+m+k:]
	c.URI, b = nextText(b)
	reg.CallID, b = nextText(b)
	c.Params, b = nextText(b)
	reg.Path, b = nextText(b)
	if len(c.URI) == 0 || textSize(&c, &reg) > maxText {
		return false
	}
	reg.Received = readHop(b)
	reg.Received.Conn = 0 // no connection outlives the program
	s.restore(aor, &c, &reg, j, now)
	return true
}

// restore binds c again, unless it has ended: then an earlier state of it has, too.
func (s *Store) restore(aor []byte, c *Contact, reg *Registration, j *journal, now int64) {
	i := s.bound(s.findCanonical(aor), c.URI)
	if c.Ends <= now {
		j.stats.Ended++
		if i != 0 {
			s.sleep(s.erase(i))
			j.stats.Loaded--
		}
		return
	}
	ref, ok := s.block(i, c, reg)
	if !ok {
		j.stats.Refused++
		return
	}
	if i == 0 {
		if i = s.restoreNew(aor); i == 0 {
			j.stats.Refused++
			s.texts.remove(ref, len(s.textBuf))
			return
		}
		j.stats.Loaded++
	}
	s.write(i, ref, c, reg)
}

// restoreNew makes a binding of an address, if the limits, which may have changed, allow it; else it gives 0.
func (s *Store) restoreNew(aor []byte) (i uint32) {
	n := s.findCanonical(aor)
	if s.bindings >= s.cfg.MaxBindings || n != 0 && int(s.records.at(n).count) >= s.cfg.MaxContacts {
		return 0
	}
	n, err := s.record(aor)
	if err != nil {
		return 0
	}
	return s.link(n)
}
