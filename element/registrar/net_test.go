package registrar

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/virtual"
)

// phones is a client that registers many addresses and notes what became of each.
type phones struct {
	t      *testing.T
	layer  *txn.Layer
	rng    *rand.Rand
	hop    transport.Hop
	status map[uint64][]int // by data; 0: no answer
}

func (p *phones) send(i uint64, cseq uint32, expires string) {
	p.t.Helper()
	sentBy, err := p.layer.Link().SentBy(p.hop)
	if err != nil {
		p.t.Fatal(err)
	}
	aor := fmt.Sprintf("sip:%d@b.com", i)
	req := compose.Request{
		Method: "REGISTER", URI: "sip:b.com", MaxForwards: 70, From: "<" + aor + ">;tag=1", To: "<" + aor + ">",
		Via:    compose.Via{Proto: "UDP", SentBy: sentBy, Branch: compose.Branch(p.rng), RPort: true},
		CallID: fmt.Sprint("c", i), CSeq: cseq, Headers: []compose.Header{
			{ID: sip.HeaderContact, Value: fmt.Sprintf("<sip:%d@127.0.1.10>", i)}, {ID: sip.HeaderExpires, Value: expires},
		},
	}
	raw, err := req.Append(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err = p.layer.Send(p.hop, raw, i); err != nil {
		p.t.Fatal(err)
	}
}

func (p *phones) Request(txn.ID, *transport.Received)        {}
func (p *phones) Cancel(txn.ID, uint64, *transport.Received) {}
func (p *phones) Ended(txn.ID, uint64)                       {}
func (p *phones) Failed(_ txn.ID, data uint64, _ error)      { p.status[data] = append(p.status[data], 0) }

func (p *phones) Response(_ txn.ID, data uint64, r *transport.Received) {
	p.status[data] = append(p.status[data], int(r.Msg.Status))
}

// TestLoss registers 300 phones over a network that loses 30 % each way, duplicates and reorders: each has one answer or
// none, the registrar saw each request once, and what a phone was told is what the Store has, to the nanosecond of its end.
func TestLoss(t *testing.T) {
	t.Parallel()
	nw := virtual.New(start, rand.New(rand.NewPCG(5, 6)))
	nw.Path = virtual.Path{Latency: 10e6, Jitter: 5e6, Loss: 0.3, Duplicate: 0.1, Reorder: 0.1}
	server := nw.Host("registrar", transport.Listen{Proto: transport.UDP, AddrPort: here})
	client := nw.Host("phones", transport.Listen{Proto: transport.UDP, AddrPort: there})

	expired := 0
	var wrong int
	s := NewStore(StoreConfig{Event: func(e Event) {
		if e.Kind == Expired {
			expired++
			if e.Now != e.Binding.Ends {
				wrong++
			}
		}
	}})
	reg := New(Config{Store: s, Rand: rng()})
	layer := txn.New(server, reg, txn.Config{Rand: rng()})
	reg.Attach(layer)
	server.Attach(Handler(layer, s))

	p := &phones{t: t, rng: rng(), hop: transport.Hop{Proto: transport.UDP, Remote: here}, status: map[uint64][]int{}}
	p.layer = txn.New(client, p, txn.Config{Rand: rng()})
	client.Attach(p.layer)
	const n = 300
	for i := range uint64(n) {
		nw.At(start+int64(i)*1e7, func() { p.send(i, 1, "600") })
	}
	if err := nw.Run(start + 100*second); err != nil {
		t.Fatal(err)
	}
	ok := 0
	for i := range uint64(n) {
		switch got := p.status[i]; {
		case len(got) != 1:
			t.Errorf("phone %d: %v", i, got)
		case got[0] == 200:
			ok++
			if len(s.Lookup(fmt.Sprintf("sip:%d@b.com", i), nw.Now())) != 1 {
				t.Errorf("phone %d was told of a binding that is not there", i)
			}
		case got[0] != 0:
			t.Errorf("phone %d: %v", i, got)
		}
	}
	st := reg.Stats()
	if ok < n*9/10 || int(st.Requests) < ok || st.Requests > n || st.Accepted != st.Requests {
		t.Errorf("%d of %d answered, %+v", ok, n, st)
	}
	if err := nw.Run(start + 1000*second); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.Bindings != 0 || expired != int(st.Accepted) || wrong != 0 {
		t.Errorf("%d expired, %d at another time, %+v", expired, wrong, got)
	}
}

// TestSockets registers over UDP on loopback.
func TestSockets(t *testing.T) {
	t.Parallel()
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	end, err := transport.Open(transport.Config{Listen: []transport.Listen{{Proto: transport.UDP, AddrPort: loopback}}})
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no socket on loopback: ", err)
	}
	s := NewStore(StoreConfig{})
	reg := New(Config{Store: s, Rand: rng()})
	layer := txn.New(end, reg, txn.Config{Rand: rng()})
	reg.Attach(layer)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- end.Run(ctx, Handler(layer, s)) }()

	conn, err := net.Dial("udp", end.Listeners()[0].Local.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	w := &world{}
	for i := range 5 {
		if _, err = fmt.Fprint(conn, w.request("REGISTER", "sip:b.com", bob, fmt.Sprintf("Contact: <sip:%d@x>", i))); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		var n int
		if n, err = conn.Read(buf); err != nil {
			t.Fatal(err)
		}
		m := &sip.Message{}
		if err = sip.Parse(buf[:n], m); err != nil || m.Status != 200 || int(m.Contacts) != i+1 {
			t.Fatalf("%v\n%s", err, buf[:n])
		}
	}
	stop()
	if err = <-done; err != nil && ctx.Err() == nil {
		t.Error(err)
	}
	if st := s.Stats(); st.Bindings != 5 {
		t.Errorf("%+v", st)
	}
}
