package hep

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
)

// MaxInflated is the usual bound of a payload once inflated, in bytes: no SIP message in a datagram is larger.
const MaxInflated = 64 << 10

var errNotCompressed = errors.New("neither zlib nor gzip")

// Inflater inflates payloads and keeps what that takes between them. The zero value is ready. It has one user at a time.
type Inflater struct {
	in   bytes.Reader
	zlib io.ReadCloser // made at the first use
	gzip *gzip.Reader
}

// Inflate appends a payload inflated to dst: zlib (RFC 1950), or gzip (RFC 1952), which some agents use. More than limit
// bytes give ErrTooLarge; what is damaged or cut short gives an error. The bytes up to the error are appended, too.
func (f *Inflater) Inflate(dst, b []byte, limit int) ([]byte, error) {
	r, err := f.open(b)
	if err != nil {
		return dst, fmt.Errorf("compressed payload of %d bytes: %w", len(b), err)
	}
	for end := len(dst) + limit; ; {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(1024, min(4*len(b), limit)))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > end:
			return dst[:end], fmt.Errorf("compressed payload of more than %d bytes: %w", limit, ErrTooLarge)
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, fmt.Errorf("compressed payload of %d bytes: %w", len(b), err)
		}
	}
}

// open makes a reader of what b inflates to.
func (f *Inflater) open(b []byte) (io.Reader, error) {
	f.in.Reset(b)
	switch {
	case len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b:
		if f.gzip == nil {
			f.gzip = new(gzip.Reader)
		}
		if err := f.gzip.Reset(&f.in); err != nil {
			return nil, err
		}
		f.gzip.Multistream(false)
		return f.gzip, nil
	case len(b) >= 2 && b[0]&0x0f == 8 && (uint(b[0])<<8|uint(b[1]))%31 == 0:
		if f.zlib == nil {
			z, err := zlib.NewReader(&f.in)
			if err != nil {
				return nil, err
			}
			f.zlib = z
			return z, nil
		}
		z, ok := f.zlib.(zlib.Resetter)
		if !ok {
			return nil, errNotCompressed // every reader of zlib is one
		}
		return f.zlib, z.Reset(&f.in, nil)
	}
	return nil, errNotCompressed
}

// Inflate is Inflater.Inflate for a payload now and then: it makes an Inflater, some 40 KiB, each time.
func Inflate(dst, b []byte, limit int) ([]byte, error) {
	var f Inflater
	return f.Inflate(dst, b, limit)
}
