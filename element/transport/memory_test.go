package transport

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestMemory holds no more than it is allowed to, whatever many peers begin and do not end, and serves others meanwhile.
func TestMemory(t *testing.T) {
	t.Parallel()
	for _, proto := range []Proto{TCP, WS} {
		const limit = 4 << 20
		el := start(t, Config{Listen: listen(t, proto.String()+":127.0.0.1:0"), Memory: limit}, nil)
		whole := request(proto, el.at(0), 1, 1_000_000)
		part := whole[:len(whole)-1000]
		var peers []io.Writer
		for range 20 {
			if proto == TCP {
				peers = append(peers, dialTCP(t, el.at(0)))
				continue
			}
			w, err := dialWebSocket(t, el.at(0)).Writer(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			peers = append(peers, w)
		}
		eventually(t, "open", func() bool { return el.Stats().Accepted == 20 })
		most := 0
		for _, p := range peers {
			if _, err := io.WriteString(p, part); err != nil {
				t.Logf("%s: %v", proto, err) // of one that was dropped
			}
			most = max(most, el.Stats().Held)
		}
		eventually(t, "crowded", func() bool { s := el.Stats(); return s.Crowded >= 14 && s.Held <= limit })
		if s := el.Stats(); most > 2*limit || s.Crowded > 20 {
			t.Errorf("%s: %d bytes held, %+v", proto, most, s)
		}
		if proto == TCP {
			text := request(proto, el.at(0), 7, 10_000)
			_, _ = io.WriteString(dialTCP(t, el.at(0)), text)
			if g := el.next(); g.text != text {
				t.Errorf("got %.100q", g.text)
			}
		}
		el.Post(func() {
			for c := range el.conns.all() {
				el.drop(c, ErrIdle)
			}
		})
		eventually(t, "nothing held", func() bool { return el.Stats().Held == 0 && el.Stats().Open == 0 })
	}
}

// TestMemoryOfQueues drops those that do not read, and tells what they did not get.
func TestMemoryOfQueues(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0"), Memory: 4 << 20, MaxQueue: 64 << 20}, nil)
	c, good := dialTCP(t, el.at(0)), dialTCP(t, el.at(0))
	_, _ = io.WriteString(c, request(TCP, el.at(0), 1, 0))
	hop := el.next().hop
	text := request(TCP, el.at(0), 1, 1<<20)
	for range 20 { // more than the buffers of the sockets take
		el.send(hop, text, 9)
	}
	if g := el.nextLost(); !errors.Is(g.err, ErrMemory) || g.tag != 9 {
		t.Errorf("%+v", g)
	}
	_, _ = io.WriteString(good, request(TCP, el.at(0), 2, 0))
	select { // el.lost has more of the first
	case g := <-el.got:
		if !strings.Contains(g.text, "branch=z9hG4bK2;") {
			t.Errorf("%q", g.text)
		}
	case <-time.After(patience):
		t.Error("others are not served")
	}
	// What is sent after the drop makes the endpoint call back, which the peer refuses.
	eventually(t, "only the good connection is open", func() bool { return el.Stats().Open == 1 })
	if s := el.Stats(); s.Crowded != 1 {
		t.Errorf("%+v", s)
	}
}

// TestPongQueue drops a peer that pings all the time and reads nothing: what a pong costs beside its two bytes counts.
func TestPongQueue(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
	c := &conn{count: new(counters)}
	n := 0
	for c.enqueue(el.Endpoint, []byte("\r\n"), sent{control: true}) == nil {
		n++
	}
	if most := el.cfg.MaxQueue / sentBytes; n == 0 || n > most+1 || c.weight() > 3*el.cfg.MaxQueue {
		t.Errorf("%d pongs, %d bytes", n, c.weight())
	}
	// What was written gives its memory back.
	for range 2 {
		c.takeOut(el.Endpoint)
	}
	c.takeOut(el.Endpoint)
	if w := c.weight(); w > 4*keepOut+4*sentBytes*keepSent {
		t.Errorf("%d bytes are kept", w)
	}
}
