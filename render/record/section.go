package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sipscope/capture"
)

// file is what a Recorder needs of an open file.
type file interface {
	WriteAt(b []byte, off int64) (int, error)
	Truncate(size int64) error
	Stat() (fs.FileInfo, error)
	Close() error
}

// openFile opens a file of calls, for its owner only: they are private.
func openFile(path string, flag int) (file, error) {
	const owner = 0o600
	f, err := os.OpenFile(path, flag, owner)
	if err != nil {
		return nil, err // not a nil *os.File in an interface
	}
	return f, nil
}

// maxNumber is how many files of one name are put up with.
const maxNumber = 9999

// path is where an output's file is.
func (r *Recorder) path(o *output) string { return r.numbered(o.stem, max(o.number, 1)) }

func (r *Recorder) numbered(stem string, n uint16) string {
	if n > 1 {
		stem = fmt.Sprintf("%s-%d", stem, n)
	}
	return filepath.Join(r.o.Dir, stem+".pcapng")
}

// section is a pcapng section that is appended to a file. The file is opened when there is something to write.
type section struct {
	r      *Recorder
	o      *output
	f      file
	buf    []byte
	ifaces []ifaceKey // described in the section
	size   int64      // of the file with the section so far
}

// ifaceKey tells interfaces apart: an interface of a section has one link type.
type ifaceKey struct {
	link        capture.LinkType
	file, iface uint16
}

// writeAt is how many bytes of a section are written at once.
const writeAt = 256 << 10

// writeFile appends frames to a call's file as one section. Frames that cannot be read again are gone; the others are
// all written, or none is: then the file is as it was.
func (r *Recorder) writeFile(o *output, frames []uint32) error {
	s := section{r: r, o: o, buf: capture.AppendNGSection(r.buf[:0], r.o.Application), ifaces: r.ifaces[:0]}
	err := s.add(frames)
	err = s.close(err)
	if cap(s.buf) <= 4*writeAt { // one giant frame must not be held for ever
		r.buf = s.buf
	}
	r.ifaces = s.ifaces
	return err
}

// add appends frames.
func (s *section) add(frames []uint32) error {
	some := false
	for at, i := range frames {
		h := s.r.frames.at(i)
		p, err := s.r.read(h)
		if err == nil {
			from, known := len(s.buf), len(s.ifaces)
			iface := s.describe(p)
			if s.buf, _, err = capture.AppendNGPacket(s.buf, p, iface, &capture.NGExtra{}); err != nil {
				s.buf, s.ifaces = s.buf[:from], s.ifaces[:known]
			}
		}
		if err != nil {
			frames[at] = gone
			s.r.lose(i, err)
			continue
		}
		some = true
		if len(s.buf) >= writeAt {
			if err := s.write(); err != nil {
				return err
			}
		}
	}
	if !some {
		return nil
	}
	return s.write()
}

// describe gives the number of a packet's interface in the section, after describing it where it is new.
func (s *section) describe(p *capture.Packet) uint32 {
	key := ifaceKey{p.Link, p.Loc.File, p.Iface}
	if i := slices.Index(s.ifaces, key); i >= 0 {
		return uint32(i) //nolint:gosec // an interface's number has 16 bits
	}
	d := capture.NGInterface{Link: p.Link}
	if s.r.o.Names != nil {
		d.Name = s.r.o.Names(p.Iface)
	}
	s.buf = capture.AppendNGInterface(s.buf, d)
	s.ifaces = append(s.ifaces, key)
	return uint32(len(s.ifaces) - 1) //nolint:gosec // likewise
}

// write writes what is in the buffer.
func (s *section) write() error {
	if s.f == nil {
		if err := s.open(); err != nil {
			return err
		}
	}
	n, err := s.f.WriteAt(s.buf, s.size)
	if err == nil && n < len(s.buf) {
		err = fmt.Errorf("%d of %d bytes written", n, len(s.buf))
	}
	s.size += int64(len(s.buf))
	s.buf = s.buf[:0]
	return err
}

// open opens the call's file: a new one under a name that nobody has, or the one that it began, without the rest of a
// write that failed.
func (s *section) open() error {
	const flags = os.O_WRONLY | os.O_CREATE
	if s.o.number == 0 {
		return s.create(flags | os.O_EXCL)
	}
	f, err := s.r.open(s.r.path(s.o), flags)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() > s.o.size {
		err = f.Truncate(s.o.size)
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	s.f, s.o.size = f, min(s.o.size, info.Size()) // somebody may have moved the file away
	s.size = s.o.size
	return nil
}

// create makes a file.
func (s *section) create(flags int) error {
	for n := uint16(1); ; n++ {
		f, err := s.r.open(s.r.numbered(s.o.stem, n), flags)
		switch {
		case err == nil:
			s.f, s.o.number = f, n
			return nil
		case !errors.Is(err, fs.ErrExist) || n == maxNumber:
			return err
		}
	}
}

// close closes the file. After an error, its own included, the file becomes what it was before the section; a new one
// goes.
func (s *section) close(err error) error {
	if s.f == nil {
		return err
	}
	if err != nil {
		_ = s.f.Truncate(s.o.size) // open tries again
	}
	if cerr := s.f.Close(); err == nil {
		err = cerr
	}
	switch {
	case err == nil:
		if s.o.size == 0 {
			s.r.stats.files.Add(1)
		}
		s.r.stats.bytes.Add(uint64(s.size - s.o.size)) //nolint:gosec // it grew
		s.o.size = s.size
	case s.o.size == 0:
		_ = os.Remove(s.r.path(s.o))
		s.o.number = 0
	}
	return err
}
