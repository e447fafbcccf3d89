package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"net/netip"
	"slices"

	"github.com/coder/websocket"

	"sipscope/decode/sip"
)

// connTable finds connections. It belongs to the loop.
type connTable struct {
	byID     map[uint64]*conn
	byRemote map[remoteKey]*conn // the newest; the others are its siblings
	fresh    connList            // that no message has come over yet
	ended    connList            // that the peer sends nothing over any more
	proven   connList            // the others; each list with the one that is idle longest at the front
	dirty    []*conn             // whose writers are to be woken
	lastID   uint64
	swept    int64 // next sweep
}

type remoteKey struct {
	proto  Proto
	remote netip.AddrPort
}

func (t *connTable) init() {
	t.byID = make(map[uint64]*conn)
	t.byRemote = make(map[remoteKey]*conn)
}

func (t *connTable) all() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		for _, c := range t.byID {
			if !yield(c) {
				return
			}
		}
	}
}

// add gives c its number: odd for one that was accepted.
func (t *connTable) add(c *conn, now int64) {
	t.lastID += 2
	c.id = t.lastID
	if c.ln != nil {
		c.id++
	}
	t.byID[c.id] = c
	key := remoteKey{c.proto, c.remote}
	c.sibling = t.byRemote[key]
	t.byRemote[key] = c
	c.used = now
	t.fresh.push(c)
}

func (t *connTable) remove(c *conn) {
	delete(t.byID, c.id)
	c.list.remove(c)
	key := remoteKey{c.proto, c.remote}
	head := t.byRemote[key]
	if head == c {
		if c.sibling == nil {
			delete(t.byRemote, key)
		} else {
			t.byRemote[key] = c.sibling
		}
		return
	}
	for ; head != nil; head = head.sibling {
		if head.sibling == c {
			head.sibling = c.sibling
			return
		}
	}
}

// touch makes c the one that was used last.
func (t *connTable) touch(c *conn, now int64, proven bool) {
	list := c.list
	if proven {
		list = &t.proven
	}
	c.list.remove(c)
	c.used = now
	list.push(c)
}

// wake remembers to wake the writer of c at the next flush.
func (t *connTable) wake(c *conn) {
	if !c.dirty {
		c.dirty = true
		t.dirty = append(t.dirty, c)
	}
}

func (t *connTable) wakeWriters() {
	for i, c := range t.dirty {
		c.dirty = false
		c.wakeWriter()
		t.dirty[i] = nil
	}
	t.dirty = t.dirty[:0]
}

// finish asks connections to end when all is written, and reports whether there is still something to write.
func (t *connTable) finish() (waiting bool) {
	for _, c := range t.byID {
		c.mu.Lock()
		busy := len(c.pending) > 0 || len(c.writing) > 0
		c.closing = c.closing || c.state == connOpen
		c.mu.Unlock()
		if busy {
			waiting = true
			c.wakeWriter()
		}
	}
	return waiting
}

// connList is a list of connections in the order of use.
type connList struct{ first, last *conn }

func (l *connList) push(c *conn) {
	c.list, c.prev, c.next = l, l.last, nil
	if l.last != nil {
		l.last.next = c
	} else {
		l.first = c
	}
	l.last = c
}

func (l *connList) remove(c *conn) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		l.last = c.prev
	}
	c.prev, c.next = nil, nil
}

// newConn makes a connection with its number, which its goroutines serve; nil when there are too many.
func (e *Endpoint) newConn(proto Proto, ln *listener, local, remote netip.AddrPort) *conn {
	if len(e.conns.byID) >= e.cfg.MaxConns && !e.evict() {
		return nil
	}
	c := &conn{
		proto: proto, ln: ln, count: &e.dialled[proto], local: local, remote: remote,
		wake: make(chan struct{}, 1), resume: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	if ln != nil {
		c.count = &ln.count
	}
	e.conns.add(c, e.Now())
	e.totals.open.Add(1)
	return c
}

// admit takes a connection that a listener has accepted.
func (e *Endpoint) admit(l *listener, nc net.Conn) {
	if e.cfg.Accept != nil && !e.cfg.Accept(addrPortOf(nc.RemoteAddr())) {
		e.totals.refused.Add(1)
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // else it is closed politely
		}
		_ = nc.Close()
		return
	}
	c := e.newConn(l.at.Proto, l, addrPortOf(nc.LocalAddr()), addrPortOf(nc.RemoteAddr()))
	if c == nil {
		e.totals.refused.Add(1)
		_ = nc.Close()
		return
	}
	e.totals.accepted.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.nc = cancel, nc
	e.wg.Go(func() { e.serveAccepted(ctx, c, nc) })
}

// idleBeforeEviction is for how long (ns) nothing must have come over a connection that is closed to make room.
const idleBeforeEviction = 1e9

// evict closes the connection that is idle longest, one that never brought a message first. It reports false when
// none has been idle at all.
func (e *Endpoint) evict() bool {
	now := e.Now()
	for _, l := range []*connList{&e.conns.fresh, &e.conns.ended, &e.conns.proven} {
		if c := e.idleIn(l, now); c != nil {
			e.totals.evicted.Add(1)
			e.drop(c, ErrTooMany)
			return true
		}
	}
	return false
}

// idleIn finds a connection of l to evict. Those at the front that only keep-alives came over go to the back, some of them
// a time: what a peer keeps alive hides none that is idle.
func (e *Endpoint) idleIn(l *connList, now int64) *conn {
	for range 64 {
		c := l.first
		if c == nil || now-c.used < idleBeforeEviction {
			return nil
		}
		if now-c.alive.Load() >= idleBeforeEviction {
			return c
		}
		e.conns.touch(c, now, false)
	}
	return nil
}

// opened makes a connection take what waits for it. What it will write is told to the tap now that its own address is
// known.
func (e *Endpoint) opened(c *conn) {
	if c.state != connOpening {
		return
	}
	c.state = connOpen
	c.mu.Lock()
	if c.ln == nil {
		c.local = addrPortOf(c.nc.LocalAddr())
	}
	from := 0
	for i := range c.pending {
		if s := &c.pending[i]; !s.control {
			e.wrote(c, c.out[from:s.end])
		}
		from = c.pending[i].end
	}
	c.mu.Unlock()
	e.wg.Go(func() { c.write(e) })
	c.wakeWriter()
}

// wrote counts and shows a message that c will write.
func (e *Endpoint) wrote(c *conn, raw []byte) {
	c.count.out(len(raw))
	if e.cfg.Tap != nil {
		e.cfg.Tap.Message(e.Now(), c.proto, c.id, c.local, c.remote, raw)
	}
}

// data handles the messages that a reader has handed over.
func (e *Endpoint) data(c *conn) {
	if c.state == connDead {
		return
	}
	c.unheard = c.unheard[:0]
	if len(c.spans) > 0 {
		e.conns.touch(c, e.Now(), true)
	}
	hop := Hop{Proto: c.proto, Local: c.local, Remote: c.remote, Conn: c.id, Name: c.name}
	for _, s := range c.spans {
		if sip.Parse(c.chunk[s.from:s.to], &e.msg) != nil {
			c.count.notSIP.Add(1)
			continue
		}
		c.count.in(s.to - s.from)
		if e.msg.Request && e.msg.MethodID != sip.MethodAck {
			c.owed++
		}
		e.receive(&e.msg, &hop)
	}
	if c.status != 0 && c.state != connDead {
		e.refuse(c, &hop)
	}
	c.chunk, c.spans = nil, nil
	c.goOn()
}

// refuse ends a stream that cannot be read on; the sender of a request learns why.
func (e *Endpoint) refuse(c *conn, hop *Hop) {
	c.count.rejected.Add(1)
	e.lost(c, fmt.Errorf("%w: %s", ErrStream, c.why))
	if raw := rejection(c.bad, c.status, c.why); raw != nil && c.state == connOpen {
		if c.enqueue(e, raw, sent{hop: *hop}) == nil {
			e.wrote(c, raw)
		}
	}
	e.endAfterWriting(c)
}

// endAfterWriting lets c write what is queued and take nothing more.
func (e *Endpoint) endAfterWriting(c *conn) {
	c.state = connClosing
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.wakeWriter()
}

// flushed is told when a connection that is to end has written all. It is dropped when its reader has ended too.
func (e *Endpoint) flushed(c *conn, err error) {
	if c.state == connDead {
		return
	}
	if err != nil {
		e.closed(c, err)
		return
	}
	c.kept = nil
	c.state = max(c.state, connClosing)
	if c.readDone || c.ws != nil {
		e.drop(c, ErrConnGone)
	}
}

// readDone is told when a reader has ended. When the peer has only sent its last, it still gets what is queued.
func (e *Endpoint) readDone(c *conn, err error) {
	if c.state == connDead {
		return
	}
	c.readDone = true
	e.lost(c, err)
	if c.state == connOpening && c.ln == nil {
		e.totals.dialError.Add(1)
	}
	if c.state == connOpen && c.owed > 0 && c.ws == nil && isEnd(err) {
		e.halfClosed(c)
		return
	}
	if c.state == connClosing || c.state == connOpen && errors.Is(err, io.EOF) {
		c.mu.Lock()
		waits := len(c.pending) > 0 || len(c.writing) > 0
		c.mu.Unlock()
		if waits {
			e.endAfterWriting(c)
			return
		}
	}
	e.closed(c, err)
}

// isEnd reports whether a reader's error is the peer's last: not even TLS tells whether it still reads.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || websocket.CloseStatus(err) >= 0
}

// closed ends a connection of which a side has failed or both have ended.
func (e *Endpoint) closed(c *conn, err error) {
	if c.state == connDead {
		return
	}
	if err == nil {
		err = ErrConnGone
	}
	if errors.Is(err, ErrSlow) {
		e.totals.slow.Add(1)
	}
	e.lost(c, err)
	e.drop(c, err)
}

// When a connection breaks and the peer said nothing since, what was written of late counts as lost. When the peer has
// closed it, it may have read all and answer over another one (RFC 3261 18.2.2): the timers of the transactions decide.
// But a peer that closes an idle connection does not read what crosses its FIN.
const (
	unheardLife = 5e9 // ns since it was written, of a connection that breaks
	crossedLife = 1e9 // ns since it was written, of a connection that is closed
	crossedIdle = 2e9 // ns for which the connection was idle then, at least
)

// unheardMost is how many such messages a connection remembers.
const unheardMost = 32

// drop ends a connection and tells what it has not sent.
func (e *Endpoint) drop(c *conn, err error) {
	if c.state == connDead {
		return
	}
	unheard, end := c.unheard, isEnd(err) || errors.Is(err, ErrConnGone)
	c.state, c.unheard = connDead, nil
	if isOwn(err) {
		c.kept = nil
	}
	e.conns.remove(c)
	e.totals.open.Add(-1)
	close(c.gone)
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Lock()
	c.dead = true
	e.totals.held.Add(-int64(c.reading + c.queued))
	nc, ws := c.nc, c.ws
	writing, pending, wbuf, out := c.writing, c.pending, c.wbuf, c.out
	c.mu.Unlock()
	if ws != nil {
		_ = ws.CloseNow()
	}
	if nc != nil {
		_ = nc.Close()
	}
	if !errors.Is(err, ErrConnGone) && !errors.Is(err, ErrClosed) {
		err = fmt.Errorf("%s connection to %s: %w", c.proto, c.remote, err)
	}
	unheard = slices.DeleteFunc(unheard, func(u sent) bool { return isQueued(writing, &u) || isQueued(pending, &u) })
	e.unread(c, unheard, end, err)
	e.undelivered(c, writing, wbuf, err)
	e.undelivered(c, pending, out, err)
	e.sendElsewhere(c)
}

// unread tells of what was written that the peer did not read, as far as that can be known; end: the peer closed.
func (e *Endpoint) unread(c *conn, unheard []sent, end bool, err error) {
	now := e.Now()
	for i := range unheard {
		switch u := &unheard[i]; {
		case u.switched > 0:
			e.switches.forget(u.branch)
		case now-u.at > unheardLife, end && (!u.crossed || now-u.at > crossedLife):
		default:
			e.failed(c.count, u.hop, u.tag, err)
		}
	}
}

func isQueued(list []sent, s *sent) bool {
	for i := range list {
		if list[i].tag == s.tag {
			return true
		}
	}
	return false
}

// undelivered tells what was not sent of a queue. A request that was meant for UDP goes by UDP now.
func (e *Endpoint) undelivered(c *conn, list []sent, text []byte, err error) {
	from := 0
	for i := range list {
		s := &list[i]
		raw := text[from:s.end]
		from = s.end
		switch {
		case s.control, s.kept && c.kept != nil:
		case s.switched > 0:
			e.fallBack(s, raw)
		default:
			e.failed(c.count, s.hop, s.tag, err)
		}
	}
}

// sweepEvery is how often idle connections are looked for, in ns.
const sweepEvery = 500e6

// sweep closes connections that are idle for too long and pings those that are to be kept. It says when to come again.
func (e *Endpoint) sweep(now int64) (next int64) {
	if len(e.conns.byID) == 0 {
		return math.MaxInt64
	}
	if now < e.conns.swept {
		return e.conns.swept
	}
	e.conns.swept = now + sweepEvery
	idle := int64(e.cfg.IdleTimeout)
	e.sweepList(&e.conns.fresh, now, min(idle, max(idle/10, int64(e.cfg.MessageTimeout))))
	e.sweepList(&e.conns.proven, now, idle)
	e.sweepEnded(now)
	if e.cfg.KeepAlive > 0 {
		for c := range e.conns.all() {
			e.keepAlive(c, now)
		}
	}
	return e.conns.swept
}

// sweepList drops what is idle at the front of a list.
func (e *Endpoint) sweepList(l *connList, now, idle int64) {
	for c := l.first; c != nil && now-c.used >= idle; c = l.first {
		if alive := c.alive.Load(); now-alive < idle {
			e.conns.touch(c, now, false) // by keep-alives; somewhat later than they came
			continue
		}
		e.totals.idle.Add(1)
		e.drop(c, ErrIdle)
	}
}

// pongTime is for how long (ns) a pong is awaited (RFC 5626 4.4.1).
const pongTime = 10e9

// keepAlive sends a ping when it is due. A peer that has answered one and then does not is gone.
func (e *Endpoint) keepAlive(c *conn, now int64) {
	switch {
	case c.ln != nil || c.state != connOpen || c.readDone:
	case c.pinging.Load() && c.ponged.Load() && now-c.pinged > pongTime && c.alive.Load() < c.pinged:
		e.drop(c, ErrIdle)
	case now-max(c.pinged, c.alive.Load(), c.used) >= int64(e.cfg.KeepAlive):
		c.pinged = now
		c.pinging.Store(true)
		_ = c.enqueue(e, []byte("\r\n\r\n"), sent{control: true})
		e.conns.wake(c)
	}
}
