package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"sipscope/decode/sip"
)

// conn is one connection. Two goroutines serve it: the reader, which also dials and shakes hands, and the writer. What
// they share with the loop is under mu or atomic; the rest belongs to whom the comments name.
type conn struct {
	// Set once.
	id     uint64 // odd when accepted, even when dialled from here
	proto  Proto
	name   string // server name that was asked for, of a dialled one
	ln     *listener
	count  *counters
	cancel context.CancelFunc // ends what the reader waits for
	wake   chan struct{}      // capacity 1: there is something to write
	resume chan struct{}      // capacity 1: the loop has handled data
	gone   chan struct{}      // closed by drop

	// Of the loop.
	state         connState
	local, remote netip.AddrPort
	sibling       *conn // next with the same transport and remote address
	prev, next    *conn // in the list of idle ones
	list          *connList
	used          int64 // when a message or keep-alive passed
	pinged        int64 // when the last ping was sent
	dirty         bool  // the writer is to be woken
	readDone      bool
	told          bool   // its end, to Config.Ended
	owed          int    // requests that came over it and have no final response
	unheard       []sent // what was sent since something came
	kept          []kept // what was sent since the peer has sent its last
	wroteAt       int64  // when the last of it was queued

	// Handed from the reader to the loop with eventData, and back by resume.
	chunk  []byte
	spans  []span // the whole messages in it
	status int    // after them: why the stream ends, 0 when it does not
	why    string
	bad    []byte // head of the message that status is about

	alive   atomic.Int64 // when bytes came, as Endpoint.Now
	pinging atomic.Bool  // a pong is awaited
	ponged  atomic.Bool  // the peer has answered a ping at least once

	mu      sync.Mutex
	nc      net.Conn
	ws      *websocket.Conn
	out     []byte // what waits
	pending []sent // one for each message in out
	writing []sent // what the writer has taken, into wbuf
	wbuf    []byte
	reading int  // bytes of the reader's buffer
	queued  int  // bytes of out and pending, wbuf and writing
	closing bool // end when all is written
	dead    bool
}

type connState uint8

const (
	connOpening connState = iota
	connOpen
	connClosing // takes no more messages
	connDead
)

// sent is a message in a connection's queue.
type sent struct {
	hop      Hop
	tag      uint64
	end      int    // in out
	at       int64  // when it was queued, as Endpoint.Now
	branch   uint64 // see switches.key; of a message that was meant for UDP
	switched uint32 // place of the "TCP" in the text of a request that was meant for UDP; 0: it was not
	crossed  bool   // the connection was idle before: a FIN may be on its way
	kept     bool   // the text is in conn.kept
	control  bool   // a keep-alive, no message
}

// enqueue takes raw for the writer. It fails when the peer does not read.
func (c *conn) enqueue(e *Endpoint, raw []byte, s sent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.dead || c.closing:
		return ErrConnGone
	case len(c.out)+len(raw)+sentBytes*len(c.pending) > e.cfg.MaxQueue:
		return ErrSlow
	}
	c.out = append(c.out, raw...)
	s.end = len(c.out)
	c.pending = append(c.pending, s)
	c.weigh(e)
	return nil
}

// wakeWriter tells the writer that there is something to do.
func (c *conn) wakeWriter() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// What a queue may keep between two bursts.
const (
	keepOut  = 64 << 10 // bytes
	keepSent = 512      // messages
)

// write is the writer: it writes what waits, all at once, until the connection is dropped or has written its last.
func (c *conn) write(e *Endpoint) {
	for {
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
		for {
			more, last := c.takeOut(e)
			if last {
				e.tell(event{kind: eventFlushed, conn: c, err: c.endWrite()})
				return
			}
			if !more {
				break
			}
			if err := c.writeTaken(e.cfg.WriteTimeout); err != nil {
				e.tell(event{kind: eventClosed, conn: c, err: err})
				return
			}
		}
	}
}

// takeOut moves what waits to the writer's side. last says that nothing waits and nothing will.
func (c *conn) takeOut(e *Endpoint) (more, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = c.writing[:0]
	if c.dead {
		return false, false
	}
	if cap(c.wbuf) > keepOut {
		c.wbuf = nil
	}
	if cap(c.writing) > keepSent {
		c.writing = nil
	}
	if more = len(c.pending) > 0; more {
		c.out, c.wbuf = c.wbuf[:0], c.out
		c.pending, c.writing = c.writing, c.pending
	}
	c.weigh(e)
	return more, !more && c.closing
}

// writeTaken writes what takeOut took.
func (c *conn) writeTaken(timeout time.Duration) error {
	if c.ws == nil {
		_ = c.nc.SetWriteDeadline(time.Now().Add(timeout))
		_, err := c.nc.Write(c.wbuf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ErrSlow
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	from := 0
	for i := range c.writing {
		end := c.writing[i].end
		// A text frame that is no UTF-8 ends the connection (RFC 6455 8.1); bodies may be anything.
		typ := websocket.MessageText
		if !utf8.Valid(c.wbuf[from:end]) {
			typ = websocket.MessageBinary
		}
		if err := c.ws.Write(ctx, typ, c.wbuf[from:end]); err != nil {
			if ctx.Err() != nil {
				return ErrSlow
			}
			return err
		}
		from = end
	}
	return nil
}

// endWrite tells the peer that nothing more will come, so that it gets all before the socket is closed. It fails when the
// peer has broken the connection since.
func (c *conn) endWrite() error {
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && c.ws == nil {
		return half.CloseWrite()
	}
	return nil
}

// attach gives the connection its socket, so that drop can close it; false when it was dropped before.
func (c *conn) attach(nc net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.nc = nc
	return true
}

// readStream is the reader of TCP and TLS. It hands whole messages to the loop and waits until they are handled, so a
// peer that sends faster than they can be is held up by its own window. The time of a message runs from its first byte.
func (c *conn) readStream(e *Endpoint) error {
	f := framer{maxHead: e.cfg.MaxHead, maxMessage: e.cfg.MaxMessage}
	timed, held := false, 0
	for {
		room := f.room()
		if size := cap(f.buf); size != held {
			if held = size; !c.hold(e, size) {
				return ErrMemory
			}
		}
		n, err := c.nc.Read(room)
		if n > 0 {
			if stop := c.took(e, &f, n); stop != nil {
				return stop
			}
		}
		if timed && errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("a message that does not end: %w", ErrStream)
		}
		if err != nil {
			return err
		}
		if partial := f.partial(); partial != timed || partial && f.fresh {
			_ = c.nc.SetReadDeadline(deadlineIf(partial, e.cfg.MessageTimeout))
			timed = partial
		}
		f.fresh = false
	}
}

// took handles n bytes that were read. An error ends the stream.
func (c *conn) took(e *Endpoint, f *framer, n int) error {
	c.alive.Store(e.Now())
	f.take(n)
	if pings := c.keepAlives(f); pings > 0 && !c.pong(e, pings) {
		return ErrSlow
	}
	if len(f.messages) == 0 && f.status == 0 {
		return nil
	}
	if !c.hand(e, f) {
		return ErrClosed
	}
	if f.status != 0 {
		return c.discard()
	}
	return nil
}

// deadlineIf is the time until which the rest of a message may take; none when there is no part of one.
func deadlineIf(partial bool, d time.Duration) time.Time {
	if !partial {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// hand gives the loop what the framer has found and waits until it is done with it.
func (c *conn) hand(e *Endpoint, f *framer) bool {
	c.chunk, c.spans = f.buf, f.messages
	c.status, c.why, c.bad = f.status, f.why, f.bad
	if !e.tell(event{kind: eventData, conn: c}) {
		return false
	}
	select {
	case <-c.resume:
	case <-c.gone:
		return false
	}
	f.release()
	return true
}

// keepAlives counts what the framer has seen of them, and gives how many want an answer (RFC 5626 3.5.1): a double CRLF
// is a ping, unless it begins with the CRLF that answers ours.
func (c *conn) keepAlives(f *framer) (pings int) {
	if f.pongs > 0 {
		c.heardPong()
	}
	pings, f.pings, f.pongs = f.pings, 0, 0
	for f.crlf >= 2 && c.heardPong() {
		f.crlf -= 2
	}
	pings += f.crlf / 4
	f.crlf %= 4
	c.count.keepAlives.Add(uint64(pings)) //nolint:gosec // not negative
	return pings
}

// heardPong reports whether a pong was awaited.
func (c *conn) heardPong() bool {
	if !c.pinging.CompareAndSwap(true, false) {
		return false
	}
	c.ponged.Store(true)
	c.count.keepAlives.Add(1)
	return true
}

// pong answers pings; false when the peer does not read.
func (c *conn) pong(e *Endpoint, pings int) bool {
	for range min(pings, 16) { // more at once is no keep-alive
		if c.enqueue(e, []byte("\r\n"), sent{control: true}) != nil {
			return false
		}
	}
	c.wakeWriter()
	return true
}

// Bounds of what is read after a stream has failed, so that the peer can read why.
const (
	discardTime  = 2 * time.Second
	discardBytes = 4 << 20
)

// discard reads on until the peer closes: closing a socket with unread input makes the system throw away what the peer
// has not read yet.
func (c *conn) discard() error {
	_ = c.nc.SetReadDeadline(time.Now().Add(discardTime))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.nc, discardBytes))
	return ErrStream
}

// readFrames is the reader of WS and WSS: a message a frame (RFC 7118 5), text or binary.
func (c *conn) readFrames(ctx context.Context, e *Endpoint) error {
	c.ws.SetReadLimit(int64(e.cfg.MaxMessage))
	f := framer{}
	var buf []byte
	for {
		var err error
		buf, err = c.readFrame(ctx, e, buf[:0])
		if errors.Is(err, websocket.ErrMessageTooBig) {
			c.count.rejected.Add(1)
		}
		if err != nil {
			return err
		}
		c.alive.Store(e.Now())
		skip := sip.SkipCRLF(buf)
		switch {
		case skip == len(buf):
			f.crlf = skip // keep-alives in frames of their own, as some browsers' stacks send
			if pings := c.keepAlives(&f); pings > 0 && !c.pong(e, pings) {
				return ErrSlow
			}
			continue
		case !sip.IsStart(buf[skip:]):
			c.count.notSIP.Add(1)
			continue
		}
		f.buf, f.pos = buf, len(buf)
		f.messages = append(f.messages[:0], span{skip, len(buf)})
		if !c.hand(e, &f) {
			return ErrClosed
		}
		if cap(buf) > keepOut {
			buf = nil
			c.hold(e, 0)
		}
	}
}

// readFrame appends one frame's payload to buf. Its time runs from its first byte.
func (c *conn) readFrame(ctx context.Context, e *Endpoint, buf []byte) ([]byte, error) {
	_, r, err := c.ws.Reader(ctx)
	if err != nil {
		return buf, err
	}
	late := time.AfterFunc(e.cfg.MessageTimeout, func() { _ = c.ws.CloseNow() })
	defer late.Stop()
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
			if !c.hold(e, cap(buf)) {
				return buf, ErrMemory
			}
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}
