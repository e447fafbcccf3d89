package replay_test

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Play after play, nothing is left behind, however they end: memory stays flat, and neither the player nor its transactions
// hold anything.
func TestPlaysLeaveNothing(t *testing.T) { //nolint:paralleltest // what other tests allocate is no leak of this one
	for _, test := range []struct { //nolint:paralleltest // likewise
		flow, sut string
		peer      func(p *peer, r *transport.Received)
		users     bool
	}{
		{flow: "transactions", sut: "bob"},
		{flow: "transactions", sut: ""},
		{flow: "transactions", sut: "alice", users: true}, // calls that are waited for in vain, each for another user
		{flow: "register", sut: "registrar"},
		{flow: "transactions", sut: "bob", peer: func(p *peer, r *transport.Received) {
			if r.Msg.Request && r.Msg.MethodID == sip.MethodInvite {
				p.answer(r, 488, "x")
			}
		}},
		{flow: "transactions", sut: "bob", peer: func(p *peer, r *transport.Received) { // forks that nobody expects
			if r.Msg.Request && r.Msg.MethodID == sip.MethodInvite {
				for i := range 3 {
					p.answer(r, 200, fmt.Sprint("x", i), compose.Header{ID: sip.HeaderContact, Value: "<sip:bob@127.9.1.20>"})
				}
			} else if r.Msg.Request && r.Msg.MethodID != sip.MethodAck {
				p.answer(r, 200, "")
			}
		}},
	} {
		t.Run(fmt.Sprintf("%s/%s/%v/%v", test.flow, test.sut, test.peer != nil, test.users), func(t *testing.T) {
			name := test.flow
			text := flowText(t, name)
			r := recorded(t, name, text)
			there := parsed(t, name, elsewhere(text))
			p, ok := planFor(t, r, there, test.sut)
			if !ok {
				t.Fatalf("%s has no %s", name, test.sut)
			}
			flow := there
			if test.peer != nil || test.users {
				flow = nil
			}
			ended := 0
			w := newWorld(t, p, flow, func(o *replay.Options) {
				o.Credentials, o.Fast = accounts(there), true
				o.Done = func(*replay.Outcome) { ended++ }
				if test.users {
					if err := o.Rewrite.User("bob={user}"); err != nil {
						t.Fatal(err)
					}
					o.Patience = 2 * time.Second
				}
			})
			if test.peer != nil {
				withPeer(w, p, func(x *peer, r *transport.Received) { x.got = x.got[:0]; test.peer(x, r) })
			}
			w.wire.off = true
			w.net.MaxEvents = math.MaxInt32
			round := func(plays int) {
				begin := w.net.Now()
				before := ended
				for i := range plays {
					w.net.At(begin+int64(i)*int64(time.Millisecond), func() {
						if _, err := w.player.Play(replay.Input{Values: map[string]string{"user": strconv.Itoa(before + i)}}); err != nil {
							t.Error(err)
						}
					})
				}
				if err := w.net.Run(begin + int64(10*time.Minute)); err != nil {
					t.Fatal(err)
				}
				if ended-before != plays {
					t.Fatalf("%d of %d plays have ended", ended-before, plays)
				}
			}
			const plays = 2000
			round(plays)
			first := heap()
			for range 2 {
				round(plays)
			}
			grown := heap() - first
			t.Logf("%d bytes of heap after %d plays, %d more after %d", first, plays, grown, 3*plays)
			if grown > 100*2*plays {
				t.Errorf("memory grows: %d bytes a play", grown/(2*plays))
			}
			if left := w.player.Left(); left != "" {
				t.Error("left:", left)
			}
			if n := w.player.Timers(); n != 0 {
				t.Errorf("%d timers are set", n)
			}
			s := w.player.Transactions()
			for k := range s.Open {
				if n := s.OpenOf(txn.Kind(k)); n != 0 {
					t.Errorf("%d transactions of kind %d", n, k)
				}
			}
		})
	}
}
