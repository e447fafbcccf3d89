package stream

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	recorded "sipscope/correlate/cut"
	"sipscope/element/media"
	"sipscope/element/replay/guard"
)

// TestSockets plays a recording both ways over real sockets on loopback, and to an address that nobody named.
func TestSockets(t *testing.T) {
	t.Parallel()
	posts := make(chan func(), 1000)
	now := func() int64 { return time.Now().UnixNano() }
	sockets, err := media.NewSockets(media.SocketsConfig{Min: 42000, Max: 42999, Rand: rng(uint64(now())), Post: func(f func()) { posts <- f }, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	g := guard.New()
	ports := g.Ports(sockets)
	const packets = 25
	all := talk(0, packets)
	press(all, 10, 7)
	rec := NewRecording([]recorded.Payload{pcmu(0), event(101)}, sequence(all))
	var opened [2]media.Port
	for i := range opened {
		if opened[i], err = ports.Open(netip.MustParseAddr("127.0.0.1")); err != nil {
			t.Fatal(err)
		}
	}
	set := NewSet()
	var both [2]*Stream
	for i := range both {
		to := opened[1-i].Local()
		codecs := []recorded.Payload{pcmu(0), event(101)}
		both[i] = New(now(), Config{
			Port: opened[i], Live: codecs, Local: codecs, Recordings: []*Recording{rec}, Rand: rng(uint64(i)),
			Agreed: media.Agreed{Remote: to, RemoteRTCP: netip.AddrPortFrom(to.Addr(), to.Port()+1)},
		})
		set.Add(both[i])
	}
	if err = opened[0].Send(netip.MustParseAddrPort("127.0.0.1:45678"), []byte("x")); !errors.Is(err, guard.ErrRefused) {
		t.Errorf("to an address that nobody named: %v", err)
	}
	// A busy machine makes a sender skip what it is late for: what the other one sends is what is to come.
	arrived := func(i int) bool {
		sent := both[1-i].Stats()
		return uint64(sent.Sent.Packets)+sent.Skipped >= packets &&
			both[i].Stats().Received.Packets == uint64(sent.Sent.Packets)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		wait := time.Duration(min(max(set.Wake(now())-now(), 0), ms*20))
		select {
		case f := <-posts:
			f()
		case <-time.After(wait):
		}
		if arrived(0) && arrived(1) {
			break
		}
	}
	for i, s := range both {
		st := s.Stats()
		if !arrived(i) || st.Received.Missing != both[1-i].Stats().Skipped || st.Digits != "7" ||
			st.Foreign+st.Errors+st.Refused != 0 {
			t.Errorf("stream %d: %+v", i, st)
		}
		if err := s.Close(now()); err != nil {
			t.Error(err)
		}
	}
	go func() { // what its readers still post
		for f := range posts {
			f()
		}
	}()
	if err := sockets.Close(); err != nil {
		t.Error(err)
	}
	close(posts)
}
