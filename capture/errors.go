package capture

import (
	"errors"
	"fmt"
)

// ErrDamaged says that an input is damaged: everything whole before the damage was delivered.
var ErrDamaged = errors.New("damaged capture")

// ErrFormat says that an input is no capture.
var ErrFormat = errors.New("not a capture file")

// DamagedError says where an input is damaged. errors.Is(err, ErrDamaged) holds.
type DamagedError struct {
	File   string
	Offset int64  // in the uncompressed bytes
	Frame  uint64 // the last whole frame of the file, 0 for none
	Reason string // what was expected and what was there
	Err    error  // beneath, or nil
}

// Error is one line.
func (e *DamagedError) Error() string {
	s := fmt.Sprintf("%s: damaged at offset %d after frame %d: %s", e.File, e.Offset, e.Frame, e.Reason)
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
