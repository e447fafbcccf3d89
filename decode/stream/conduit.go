package stream

import (
	"math"

	"sipscope/decode/frame"
)

// MadeFile is the Loc.File of a piece whose bytes are not in the capture: they were made out of it, by decryption,
// unmasking or inflating. Of such a piece Seq says which frame carried what the bytes were made of, Len how many they are,
// and Loc.Off nothing.
const MadeFile = math.MaxUint16

// Layer says what a message was wrapped in: nothing more than TCP, or something else.
type Layer uint8

// Layers, which add up.
const (
	LayerTLS  Layer = 1 << iota // a conduit of Assembler.Secure
	LayerWS                     // WebSocket (RFC 7118)
	LayerSCTP                   // SCTP in the place of TCP (RFC 4168)
)

// Conduit takes the bytes of a TCP connection in the place of the framer, and gives what it makes of them to a Pipe, behind
// which is a framer again. It serves both directions; the Pipe tells which one it is called for. It is called by the
// Assembler's owner, in the order in which bytes became certain, and must not keep the bytes or the Pipe.
type Conduit interface {
	// Convey takes bytes of a direction, in order and without a hole: those that it did not take the last time, and what
	// came since. It returns how many it took; it is called again when there are more, not before. What it does not take
	// is kept for it within the Assembler's limits.
	Convey(p *Pipe, b []byte) (taken int)
	// End says why rest, the bytes that it did not take, will not be followed by what it waits for. rest may be empty, and
	// is given up afterwards, unless why is Late: then taken of it are, and the others go on waiting. missing is how many
	// bytes behind rest the capture does not have, 0 when unknown, and is for Missing only: the next bytes of the direction
	// are those behind them. Closed comes once.
	End(p *Pipe, rest []byte, why Ending, missing uint64) (taken int)
	// Size is how many bytes of memory it holds, which count against the limits of the Assembler. When they are
	// exceeded, the longest silent connections are forgotten.
	Size() int
}

// Ending is why bytes are not followed by others.
type Ending uint8

// Endings.
const (
	Late    Ending = iota // they have waited for Limits.MessageAge, or are many; what follows them may still come
	Missing               // the capture does not have what follows them
	Closed                // the direction has ended: FIN, RST, a new connection on the same addresses, silence, end of the capture
)

// Pipe is what a Conduit knows of the direction that it is called for, and where it puts what it makes. It is valid
// during the call.
type Pipe struct {
	a     *Assembler
	f     *flow   // the direction
	in    []piece // of the bytes at hand
	made  []piece // of the bytes written
	fate  Fate    // Empty: by what became of the bytes
	retry bool    // the other direction is to be offered its bytes again
}

// First reports whether the direction is the one whose bytes came first: the same for all calls of a direction.
func (p *Pipe) First() bool { return p.f.tube.first }

// Src and Dst are the addresses of the direction.
func (p *Pipe) Src() frame.Endpoint { return p.f.src }

// Dst is where the direction goes.
func (p *Pipe) Dst() frame.Endpoint { return p.f.dst }

// Frame is the number of the frame at hand, 1-based.
func (p *Pipe) Frame() uint64 { return p.a.frame }

// Time is the packet time of the newest segment of the direction, in nanoseconds since 1970-01-01 UTC.
func (p *Pipe) Time() int64 { return p.f.last }

// FromStart reports whether the capture has the direction from its SYN on.
func (p *Pipe) FromStart() bool { return p.f.hasSYN && !p.f.afterGap }

// Write gives bytes that were made of the bytes at hand from offset off on, size of them: a decrypted record, say. text is
// copied where it must wait. Its bytes count as complete when the last of those was captured.
func (p *Pipe) Write(text []byte, off, size int) {
	p.made = spread(p.made[:0], p.in, off, size, len(text))
	p.a.pour(p.f, text, p.made)
}

// Pass gives size of the bytes b at hand, from offset off on, as they are: they can be read in the capture again.
func (p *Pipe) Pass(b []byte, off, size int) {
	p.made = firstPieces(cutPieces(p.made[:0], p.in, off), size) // of a part of a message, nothing behind it
	p.a.pour(p.f, b[off:off+size], p.made)
}

// Lost says that bytes between what was written and what will be could not be made: n, or 0 when nobody knows.
func (p *Pipe) Lost(n int) {
	inner := p.f.tube.inner
	p.a.finish(inner, missed)
	p.a.gap(inner, n)
	inner.state, inner.confirm, inner.scanned = boundary, true, 0
}

// Opaque says that the bytes at hand cannot be read, or carry nothing but the conduit's own matters, such as a handshake:
// the segment's fate is Sealed unless it completes a message.
func (p *Pipe) Opaque() { p.fate = Sealed }

// Idle says that the bytes at hand only keep the connection alive.
func (p *Pipe) Idle() { p.fate = KeepAlive }

// Wanted reports whether it is worth the effort to make more: false when what was written so far is something else than
// SIP.
func (p *Pipe) Wanted() bool { return !p.f.tube.inner.ignored }

// Retry has the Assembler offer the bytes of the other direction that were not taken, once this call is over.
func (p *Pipe) Retry() { p.retry = true }

// Secure makes the Assembler give connections that begin with a TLS record (RFC 8446 5.1) to conduits. open gets the
// first bytes of a direction, at least a record's header, and makes the conduit for both directions of the connection;
// nil leaves the connection alone, as without this. s is valid during the call; its Payload is those first bytes.
func (a *Assembler) Secure(open func(s *Segment) Conduit) { a.open = open }

// Retry offers all bytes that wait in conduits of Secure again: keys came, say.
func (a *Assembler) Retry() {
	var waiting []*flow // the list changes on the way
	for f := a.timed; f != nil; f = f.later {
		if f.tube != nil && f.tube.shared {
			waiting = append(waiting, f)
		}
	}
	for _, f := range waiting {
		if f.tube != nil && len(f.buf) > 0 {
			a.convey(f, nil, nil)
			a.settleTimer(f)
		}
	}
}
