package stream

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

// inflater makes the texts of the compressed messages of one direction (RFC 7692 7.2.2). What the peers agreed on need not
// be known: a smaller window, or none between messages, is a case of the largest one. It is nil where nothing is
// compressed.
type inflater struct {
	r      io.ReadCloser
	window []byte // the newest 32 KiB of all messages so far
	src    bytes.Reader
	out    []byte // of the last message; valid until the next
	in     []byte
	spare  int // bytes that were sent packed, times maxRatio, less those that they became
}

// A connection gets so many bytes of text for each that it sends packed, beside the first ones: SIP becomes a tenth, and
// what repeats the message before a hundredth. A bomb becomes a thousandth, and would cost milliseconds a packet.
const (
	maxRatio   = 64
	firstSpare = 256 << 10
)

// maxWindow is how far back compressed data may point (RFC 1951 3.2.5).
const maxWindow = 32 << 10

// flateTail is what the sender of a message leaves out (RFC 7692 7.2.1), and an empty last block behind it.
const flateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// size is how many bytes it holds.
func (z *inflater) size() int {
	if z == nil {
		return 0
	}
	const reader = 44 << 10 // its window and its tables
	return cap(z.window) + cap(z.out) + cap(z.in) + reader
}

// lose forgets what the messages so far held: one is missing.
func (z *inflater) lose() {
	if z != nil {
		z.window = z.window[:0]
	}
}

// message inflates a message of at most limit bytes. What is there of a damaged or larger one comes with false.
func (z *inflater) message(packed []byte, limit int) (text []byte, ok bool) {
	z.in = append(append(z.in[:0], packed...), flateTail...)
	z.src.Reset(z.in)
	z.spare = min(z.spare+maxRatio*len(packed), limit)
	limit = min(limit, z.spare+firstSpare)
	if again, is := z.r.(flate.Resetter); !is {
		z.r = flate.NewReaderDict(&z.src, z.window)
	} else if again.Reset(&z.src, z.window) != nil {
		return nil, false
	}
	z.out = z.out[:0]
	ok = true
	for {
		if len(z.out) == cap(z.out) {
			grown := make([]byte, len(z.out), max(4096, 2*cap(z.out)))
			copy(grown, z.out)
			z.out = grown
		}
		n, err := z.r.Read(z.out[len(z.out):min(cap(z.out), limit+1)])
		z.out = z.out[:len(z.out)+n]
		if errors.Is(err, io.EOF) && len(z.out) <= limit {
			break
		}
		if err != nil || len(z.out) > limit {
			z.out, ok = z.out[:min(len(z.out), limit)], false
			break
		}
	}
	z.remember()
	z.spare -= len(z.out)
	text = z.out
	const keep = 64 << 10 // one huge message must not be held for ever
	if cap(z.out) > keep {
		z.out = nil
	}
	if cap(z.in) > keep {
		z.in = nil
	}
	return text, ok
}

// beginning inflates the first bytes of a message that needs none before it; fewer where packed ends or is damaged. They are
// valid until the next call.
func (z *inflater) beginning(packed []byte) []byte {
	const most = 1024
	z.src.Reset(packed)
	if again, is := z.r.(flate.Resetter); !is {
		z.r = flate.NewReader(&z.src)
	} else if again.Reset(&z.src, nil) != nil {
		return nil
	}
	if z.out == nil {
		z.out = make([]byte, most)
	}
	n, _ := io.ReadFull(z.r, z.out)
	return z.out[:n]
}

// remember keeps the newest bytes.
func (z *inflater) remember() {
	if len(z.out) >= maxWindow {
		z.window = append(z.window[:0], z.out[len(z.out)-maxWindow:]...)
		return
	}
	if over := len(z.window) + len(z.out) - maxWindow; over > 0 {
		z.window = z.window[:copy(z.window, z.window[over:])]
	}
	z.window = append(z.window, z.out...)
}
