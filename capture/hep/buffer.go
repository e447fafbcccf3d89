package hep

import "sync"

// Buffers that messages wait in have three sizes, each 6 times the one before: most SIP fits the smallest, all messages fit
// the largest, MaxDatagram and its head.
const (
	bufferClasses  = 3
	smallestBuffer = 2 << 10
	bufferStep     = 6
)

// buffers keeps buffers for reuse. It is safe for concurrent use.
type buffers [bufferClasses]sync.Pool

// get gives a buffer of n bytes.
func (p *buffers) get(n int) *buffer {
	size := smallestBuffer
	for class := range p {
		if n <= size {
			b, ok := p[class].Get().(*buffer)
			if !ok {
				b = &buffer{b: make([]byte, size), class: class}
			}
			b.b = b.b[:n]
			return b
		}
		size *= bufferStep
	}
	return &buffer{b: make([]byte, n), class: bufferClasses}
}

// put takes a buffer back.
func (p *buffers) put(b *buffer) {
	if b.class < bufferClasses {
		p[b.class].Put(b)
	}
}
