package transport

import (
	"fmt"

	"sipscope/decode/sip"
)

// Bytes of a framer's buffer.
const (
	frameBytes = 4 << 10  // at first, and when idle
	frameKeep  = 64 << 10 // a larger buffer is given back when it is empty
)

// span is a message in a buffer.
type span struct{ from, to int }

// framer finds the messages in a stream (RFC 3261 18.3). Cutting the stream anywhere gives the same messages. Its buffer
// grows with what has come, never with what a message claims.
type framer struct {
	maxHead, maxMessage int

	buf      []byte // len is what has come
	pos      int    // what follows is the beginning of the next message
	messages []span // the whole ones, in buf
	scanned  int    // bytes after pos that hold no end of a head
	isSIP    bool   // the message after pos has a start line
	need     int    // bytes of the message after pos, 0 while that is not known
	noLength bool   // the last message had no Content-Length: what follows must be a message
	fresh    bool   // a message ended since the caller last looked
	crlf     int    // bytes of keep-alives after the last message that the caller has not counted
	pings    int    // double CRLFs before messages, likewise
	pongs    int    // single ones

	status int    // the stream is at its end: a status to answer with, or -1
	why    string // a reason for it
	bad    []byte // the head that it is about
}

// room is where to read to.
func (f *framer) room() []byte {
	if f.pos > 0 && len(f.messages) == 0 {
		f.release() // of line ends that no message followed
	}
	if len(f.buf) == cap(f.buf) {
		grown := make([]byte, len(f.buf), max(frameBytes, 2*cap(f.buf)))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

// take looks at n more bytes in room.
func (f *framer) take(n int) {
	f.buf = f.buf[:len(f.buf)+n]
	for f.status == 0 && f.next() {
		f.fresh = true
	}
}

// partial reports whether a message has begun that has not ended.
func (f *framer) partial() bool { return len(f.buf) > f.pos }

// release makes room after the whole messages have been handled.
func (f *framer) release() {
	rest := f.buf[f.pos:]
	if len(rest) == 0 && cap(f.buf) > frameKeep {
		f.buf = nil
	}
	f.buf = append(f.buf[:0], rest...)
	f.pos, f.messages = 0, f.messages[:0]
}

// next finds the end of one more message.
func (f *framer) next() bool {
	if f.need == 0 {
		f.skipEmpty()
		if !f.head() {
			return false
		}
	}
	if len(f.buf)-f.pos < f.need {
		return false
	}
	f.messages = append(f.messages, span{f.pos, f.pos + f.need})
	f.pos += f.need
	f.pings += f.crlf / 4
	f.pongs += f.crlf % 4 / 2
	f.need, f.scanned, f.isSIP, f.crlf = 0, 0, false, 0
	return true
}

// skipEmpty skips the line ends between messages.
func (f *framer) skipEmpty() {
	n := sip.SkipCRLF(f.buf[f.pos:])
	f.pos += n
	f.crlf += n
}

// head finds out how long the message is that begins at pos.
func (f *framer) head() bool {
	b := f.buf[f.pos:]
	if len(b) == 0 {
		return false
	}
	if !f.isSIP {
		switch sip.StartLine(b) {
		case sip.NoMatch:
			f.fail(-1, "no start line", nil)
			return false
		case sip.NeedMore:
			return false
		default:
			f.isSIP, f.noLength = true, false
		}
	}
	head, length, state := sip.ExtentFrom(b, f.scanned)
	switch {
	case state == sip.HeadIncomplete && len(b) > f.maxHead, head > f.maxHead:
		f.fail(513, fmt.Sprintf("head of more than %d bytes", f.maxHead), b[:f.maxHead])
		return false
	case state == sip.HeadIncomplete:
		f.scanned = len(b)
		return false
	case length < 0 && claimsLength(b[:head]):
		f.fail(400, "unreadable Content-Length", b[:head])
		return false
	case length > int64(f.maxMessage-head):
		f.fail(413, fmt.Sprintf("message of more than %d bytes", f.maxMessage), b[:head])
		return false
	case length < 0:
		// It must be there over a stream (RFC 3261 20.14). Without one there can be no body; if there is, it is no start
		// line and ends the stream.
		length, f.noLength = 0, true
	}
	f.need = head + int(length)
	return true
}

func (f *framer) fail(status int, why string, bad []byte) {
	if f.noLength && status < 0 {
		why = "body without Content-Length"
	}
	f.status, f.why, f.bad = status, why, bad
}

// claimsLength reports whether a head has a Content-Length at all.
func claimsLength(head []byte) bool {
	var m sip.Message
	if sip.Parse(head, &m) != nil {
		return false
	}
	for i := range m.Headers {
		if m.Headers[i].ID == sip.HeaderContentLength {
			return true
		}
	}
	return false
}
