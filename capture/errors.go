package capture

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrDamaged says that an input is damaged: everything whole before the damage was delivered.
var ErrDamaged = errors.New("damaged capture")

// ErrFormat says that an input is no capture.
var ErrFormat = errors.New("not a capture file")

// ErrNotKept says that bytes cannot be read again: they came through a pipe or a compression and were not spooled.
var ErrNotKept = errors.New("cannot be read again")

// ErrGone says that bytes were kept for a while and have been overwritten since: a spool keeps the newest.
var ErrGone = errors.New("gone from the spool")

// errCanceled says that a read was given up because of the caller's context; the input itself goes on.
var errCanceled = errors.New("reading canceled")

// DamagedError says where an input is damaged. errors.Is(err, ErrDamaged) holds.
type DamagedError struct {
	File   string
	Offset int64  // of the damaged record or block, in the uncompressed bytes
	Frame  uint64 // the last whole frame of the file, 1-based; 0 when there is none
	Cut    bool   // the input ends within a record: the rest is missing
	Reason string // what was expected and what was there
	Err    error  // what the reading gave, or nil
}

// Error is one line, such as
// "trace.pcap: cut short at offset 1234567 after frame 1042: record of 1500 bytes, 312 left".
func (e *DamagedError) Error() string {
	what := "damaged"
	if e.Cut {
		what = "cut short"
	}
	s := fmt.Sprintf("%s: %s at offset %d after frame %d: %s", e.File, what, e.Offset, e.Frame, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives ErrDamaged and what is beneath.
func (e *DamagedError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrDamaged}
	}
	return []error{ErrDamaged, e.Err}
}

// place says where a reader is in its file, for errors.
type place struct {
	name   string
	frames uint64 // whole frames delivered
}

// damaged is an error about bytes that cannot be true.
func (p *place) damaged(at int64, format string, args ...any) error {
	return &DamagedError{File: p.name, Offset: at, Frame: p.frames, Reason: fmt.Sprintf(format, args...)}
}

// short is the error of an input that ended within what, of which left bytes are there. cause is what ended the input.
func (p *place) short(at int64, what string, want, left int, cause error) error {
	if errors.Is(cause, errCanceled) {
		return cause
	}
	e := &DamagedError{
		File: p.name, Offset: at, Frame: p.frames, Cut: true,
		Reason: fmt.Sprintf("%s of %d bytes, %d left", what, want, left),
	}
	switch {
	case errors.Is(cause, io.ErrUnexpectedEOF):
		e.Reason += ", the compressed data end early"
	case !errors.Is(cause, io.EOF):
		e.Cut, e.Err = false, cause
	}
	return e
}

// filesError is what ended several files, each damaged. It is a pointer, so that errors may be compared.
type filesError struct{ errs []error }

// Error is one line.
func (e *filesError) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap gives each file's error.
func (e *filesError) Unwrap() []error { return e.errs }
