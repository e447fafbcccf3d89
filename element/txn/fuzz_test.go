package txn

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// chaos is a link and a user that does what a stream of bytes says, in the middle of the layer's calls too.
type chaos struct {
	t       *testing.T
	l       *Layer
	now     int64
	in      []byte
	open    map[ID]string // what the user believes to exist
	gone    []ID
	failed  map[ID]int
	finals  map[ID]int
	calling bool // in a call of Send, Respond or Cancel
	depth   int
	sent    int
}

func (c *chaos) next() byte {
	if len(c.in) == 0 {
		return 0
	}
	b := c.in[0]
	c.in = c.in[1:]
	return b
}

func (c *chaos) Now() int64 { return c.now }

func (c *chaos) Send(h transport.Hop, raw []byte, _ uint64) {
	if h.Remote != there && h.Remote != there2 {
		c.t.Fatalf("sent to %+v", h)
	}
	if !sip.IsStart(raw) {
		c.t.Fatalf("sent %q", raw)
	}
	c.sent++
}

func (c *chaos) SentBy(transport.Hop) (netip.AddrPort, error) { return here, nil }

func (c *chaos) called(id ID) {
	if c.calling {
		c.t.Fatalf("the user is called in a call of its own, for %d", id)
	}
	if _, ok := c.open[id]; id != 0 && !ok {
		c.t.Fatalf("the user is told of %d, which does not exist", id)
	}
}

func (c *chaos) Request(id ID, r *transport.Received) {
	if id != 0 {
		if _, twice := c.open[id]; twice {
			c.t.Fatalf("id %d is given twice", id)
		}
		c.open[id] = string(r.Msg.Raw)
		c.l.SetData(id, uint64(id))
	}
	c.called(id)
	c.nested()
}

func (c *chaos) Response(id ID, data uint64, r *transport.Received) {
	c.called(id)
	if id != 0 && data != 77 {
		c.t.Fatalf("data %d of a client transaction", data)
	}
	if r.Msg.Status >= 300 {
		if c.finals[id]++; id != 0 && c.finals[id] > 1 {
			c.t.Fatalf("id %d gets a second final response", id)
		}
	}
	c.nested()
}

func (c *chaos) Cancel(id ID, data uint64, _ *transport.Received) {
	c.called(id)
	if data != uint64(id) {
		c.t.Fatalf("data %d of %d", data, id)
	}
	c.nested()
}

func (c *chaos) Failed(id ID, _ uint64, err error) {
	c.called(id)
	if err == nil {
		c.t.Fatal("failed without an error")
	}
	c.failed[id]++
	c.nested()
}

func (c *chaos) Ended(id ID, _ uint64) {
	c.called(id)
	delete(c.open, id)
	c.gone = append(c.gone, id)
	c.nested()
}

// nested does something from within a call of the layer, but not without end.
func (c *chaos) nested() {
	if c.depth < 3 && c.next()%2 == 1 {
		c.depth++
		c.user()
		c.depth--
	}
}

var (
	fuzzMethods  = [...]string{"INVITE", "ACK", "CANCEL", "OPTIONS", "BYE", "FOO"}
	fuzzBranches = [...]string{"z9hG4bK1", "z9hG4bK2", "z9hG4bK3", "1", ""}
	fuzzStatuses = [...]int{100, 180, 200, 202, 302, 486, 487, 603}
)

// text is a request, or the response to one.
func (c *chaos) text(response bool) string {
	method, branch := fuzzMethods[c.next()%6], fuzzBranches[c.next()%5]
	raw := request(method, branch)
	if response {
		raw = reply(c.t, raw, fuzzStatuses[c.next()%8], compose.Reply{ToTag: fmt.Sprint("t", c.next()%3)})
	}
	return raw
}

func (c *chaos) proto() transport.Proto { return transport.UDP + transport.Proto(c.next()%2) }

// pick is an id that exists, one that is gone, or none that ever was.
func (c *chaos) pick() ID {
	want := int(c.next())
	if len(c.gone) > 0 && want%8 == 0 {
		return c.gone[want%len(c.gone)]
	}
	best := ID(0)
	for id := range c.open { // the smallest from the wanted one on: the order of a map must not matter
		if best == 0 || (uint8(id)-uint8(want)) < (uint8(best)-uint8(want)) || uint8(id) == uint8(best) && id < best {
			best = id
		}
	}
	return best
}

// user has the user do something.
func (c *chaos) user() {
	c.calling = true
	defer func() { c.calling = false }()
	switch c.next() % 4 {
	case 0:
		id, err := c.l.Send(hop(c.proto()), []byte(c.text(false)), 77)
		if err == nil {
			c.open[id] = ""
		} else if !errors.Is(err, ErrMessage) && !errors.Is(err, ErrBranch) && !errors.Is(err, ErrLimit) {
			c.t.Fatal(err)
		}
	case 1:
		id := c.pick()
		raw := c.open[id]
		if raw == "" {
			raw = request("OPTIONS", "z9hG4bK9")
		}
		_ = c.l.Respond(id, []byte(reply(c.t, raw, fuzzStatuses[c.next()%8], compose.Reply{})))
	case 2:
		_ = c.l.Cancel(c.pick(), "SIP;cause=200"[:int(c.next())%2*13])
	default:
		id := c.pick()
		if raw, _, ok := c.l.Request(id); ok && string(raw) != c.open[id] {
			c.t.Fatalf("request of %d is %q, want %q", id, raw, c.open[id])
		}
	}
}

// world has the world do something.
func (c *chaos) world() {
	switch c.next() % 8 {
	case 0, 1, 2, 3:
		var m sip.Message
		raw := c.text(c.next()%2 == 1)
		if sip.Parse([]byte(raw), &m) != nil {
			c.t.Fatalf("parse %q", raw)
		}
		c.l.Receive(&transport.Received{Msg: &m, Hop: hop(c.proto())})
	case 4:
		c.l.Failed(hop(c.proto()), uint64(c.pick()), errLink)
	case 5, 6:
		c.now += int64(c.next()) * 20 * ms
		c.wake()
	default:
		c.user()
	}
}

func (c *chaos) wake() {
	if next := c.l.Wake(c.now); next <= c.now {
		c.t.Fatalf("Wake(%d) gives %d", c.now, next)
	}
}

func FuzzLayer(f *testing.F) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		b := make([]byte, 20+rng.IntN(600))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &chaos{t: t, now: start, in: in[:min(len(in), 4096)], open: make(map[ID]string), failed: make(map[ID]int), finals: make(map[ID]int)}
		flags := c.next()
		c.l = New(c, c, Config{
			Limit: 5 + int(flags%3), Clients: 6, Trying: flags&4 != 0, Merged: flags&8 != 0, StrayCancel: flags&16 != 0,
		})
		for len(c.in) > 0 {
			c.world()
			c.check()
		}
		// An INVITE that rings may ring for ever, until its user does something about it.
		for range 3 {
			for id, raw := range c.open {
				if raw != "" {
					_ = c.l.Respond(id, []byte(reply(t, raw, 486, compose.Reply{})))
				} else {
					_ = c.l.Cancel(id, "")
				}
			}
			c.until(c.now + 70_000*ms)
			c.check()
		}
		if len(c.open) != 0 || c.l.slab.used != 0 || c.l.servers != 0 || c.l.clients != 0 ||
			c.l.byKey.used != 0 || c.l.copies.used != 0 {
			t.Fatalf("left: %v, %+v", c.open, c.l.Stats())
		}
		if next := c.l.Wake(c.now); next != math.MaxInt64 {
			t.Fatalf("a timer waits for %d", next)
		}
		for i := range c.l.arena.chunks {
			if c.l.arena.chunks[i].used != 0 {
				t.Fatal("a text is left")
			}
		}
		if len(c.l.ends.byEnd) != 0 {
			t.Fatal("a hop is left")
		}
	})
}

func (c *chaos) until(at int64) {
	for {
		next := c.l.Wake(c.now)
		if next > at {
			break
		}
		c.now = next
	}
	c.now = at
	c.wake()
}

// check holds what is always true.
func (c *chaos) check() {
	s := c.l.Stats()
	servers := s.OpenOf(ServerInvite) + s.OpenOf(Server)
	clients := s.OpenOf(ClientInvite) + s.OpenOf(Client)
	if servers != c.l.servers || clients != c.l.clients || servers+clients != c.l.slab.used ||
		c.l.byKey.used != c.l.slab.used || servers+clients < len(c.open) {
		c.t.Fatalf("counts: %d and %d of %+v, %d known to the user", c.l.servers, c.l.clients, s, len(c.open))
	}
	for k := range s.Open {
		for st, n := range s.Open[k] {
			if n < 0 || n > 0 && State(st) == Terminated {
				c.t.Fatalf("%d in state %d", n, st)
			}
		}
	}
	for id := range c.open {
		if _, r := c.l.get(id); r == nil {
			c.t.Fatalf("id %d is gone, and nobody was told", id)
		}
	}
	for _, id := range c.gone[max(0, len(c.gone)-16):] {
		if _, r := c.l.get(id); r != nil {
			c.t.Fatalf("id %d lives after its end", id)
		}
	}
}
