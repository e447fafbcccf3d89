package txn

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// end is the user of a layer on a host of a virtual network.
type end struct {
	t       *testing.T
	host    *virtual.Host
	l       *Layer
	outcome map[uint64]string // of each client transaction, by its data
	seen    map[string]int    // requests by branch
	status  map[string]int    // final answers by branch
	ended   int
}

// newEnds puts two hosts into a net, each with a layer: the first asks, the second answers.
func newEnds(t *testing.T, n *virtual.Net, proto transport.Proto) (asks, answers *end) {
	t.Helper()
	ends := make([]*end, 2)
	for i, addr := range []netip.AddrPort{here, there} {
		host := n.Host(addr.String(), transport.Listen{Proto: proto, AddrPort: addr})
		e := &end{
			t: t, host: host,
			outcome: make(map[uint64]string), seen: make(map[string]int), status: make(map[string]int),
		}
		e.l = New(host, e, Config{Trying: true})
		host.Attach(e.l)
		ends[i] = e
	}
	if err := n.Err(); err != nil {
		t.Fatal(err)
	}
	return ends[0], ends[1]
}

// ask sends a request to there.
func (e *end) ask(proto transport.Proto, method, branch string, data uint64) {
	e.t.Helper()
	raw := strings.Replace(request(method, branch), "SIP/2.0/UDP 192.0.2.2:5062", "SIP/2.0/"+proto.String()+" 192.0.2.1:5060", 1)
	if _, err := e.l.Send(transport.Hop{Proto: proto, Remote: there}, []byte(raw), data); err != nil {
		e.t.Fatal(err)
	}
}

func (e *end) Request(id ID, r *transport.Received) {
	if id == 0 {
		return // the ACK of a 2xx
	}
	branch := string(r.Msg.Via.Branch.Of(r.Msg.Raw))
	e.seen[branch+string(r.Msg.Method.Of(r.Msg.Raw))]++
	respond := func(status int) []byte {
		raw, err := compose.Response(nil, r.Msg, r.Hop.Remote, &compose.Reply{Status: status, ToTag: "b"})
		if err = errors.Join(err, e.l.Respond(id, raw)); err != nil {
			e.t.Error(err)
		}
		return raw
	}
	status := e.status[branch]
	if r.Msg.MethodID == sip.MethodInvite && status%2 == 1 { // rings first
		respond(180)
	}
	raw := respond(status)
	if r.Msg.MethodID != sip.MethodInvite || status >= 300 || r.Hop.Proto.Reliable() {
		return
	}
	hop := transport.ReplyHop(r)
	for wait, step := 500*ms, 500*ms; wait < 32_000*ms; wait += step { // the user's to send again (RFC 3261 13.3.1.4)
		e.host.At(e.host.Now()+wait, func() { e.host.Send(hop, raw, 0) })
		step = min(2*step, 4000*ms)
	}
}

func (e *end) Response(id ID, data uint64, r *transport.Received) {
	if id == 0 || r.Msg.Status < 200 {
		return
	}
	if e.outcome[data] != "" && r.Msg.Status >= 300 {
		e.t.Errorf("a second outcome of %d", data)
	}
	e.outcome[data] = strconv.Itoa(int(r.Msg.Status))
}

func (e *end) Cancel(ID, uint64, *transport.Received) {}

func (e *end) Failed(_ ID, data uint64, err error) {
	switch {
	case errors.Is(err, ErrNoAck): // what the client was told, it was told
	case e.outcome[data] != "":
		e.t.Errorf("%d fails after its outcome %s: %v", data, e.outcome[data], err)
	case errors.Is(err, ErrTimeout):
		e.outcome[data] = "timeout"
	default:
		e.outcome[data] = "link"
	}
}

func (e *end) Ended(ID, uint64) { e.ended++ }

// TestLoss has two layers talk over a network that loses, duplicates and reorders. What the client is told is what the
// server said, or that nothing came; the server's user sees each request once; nothing stays.
func TestLoss(t *testing.T) {
	t.Parallel()
	const n = 600
	for _, c := range []struct {
		name     string
		proto    transport.Proto
		path     virtual.Path
		timeouts int // at most
	}{
		{"clean", transport.UDP, virtual.Path{Latency: 5 * ms}, 0},
		{"10 % lost", transport.UDP, virtual.Path{Latency: 5 * ms, Loss: 0.1}, 0},
		{"30 % lost", transport.UDP, virtual.Path{Latency: 20 * ms, Loss: 0.3}, 6},
		{"duplicates", transport.UDP, virtual.Path{Latency: 5 * ms, Duplicate: 0.4}, 0},
		{"reordered", transport.UDP, virtual.Path{Latency: 5 * ms, Reorder: 0.5, HoldBack: 800 * ms}, 0},
		{"all of it", transport.UDP, virtual.Path{Latency: 5 * ms, Loss: 0.3, Duplicate: 0.3, Reorder: 0.3, HoldBack: 900 * ms}, 6},
		{"hopeless", transport.UDP, virtual.Path{Latency: 5 * ms, Loss: 0.9}, n},
		{"slow", transport.UDP, virtual.Path{Latency: 700 * ms}, 0},
		{"TCP", transport.TCP, virtual.Path{Latency: 700 * ms, Loss: 0.3}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			net := virtual.New(start, rand.New(rand.NewPCG(9, 10)))
			net.Path = c.path
			asks, answers := newEnds(t, net, c.proto)
			for i := range n {
				branch := fmt.Sprintf("z9hG4bKl%d", i)
				answers.status[branch] = []int{200, 202, 404, 486, 487, 603}[i%6]
				asks.ask(c.proto, []string{"INVITE", "OPTIONS", "BYE"}[i%3], branch, uint64(i+1))
			}
			if err := net.Run(math.MaxInt64); err != nil {
				t.Fatal(err)
			}
			timeouts := 0
			for i := range n {
				branch := fmt.Sprintf("z9hG4bKl%d", i)
				got := asks.outcome[uint64(i+1)]
				if got == "timeout" {
					timeouts++
				} else if got != strconv.Itoa(answers.status[branch]) {
					t.Fatalf("request %d: told %q, answered %d", i, got, answers.status[branch])
				}
			}
			for branch, times := range answers.seen {
				if times != 1 {
					t.Errorf("%s is seen %d times", branch, times)
				}
			}
			if timeouts > c.timeouts {
				t.Errorf("%d of %d timed out, want %d at most", timeouts, n, c.timeouts)
			}
			for i, e := range []*end{asks, answers} {
				s := e.l.Stats()
				created := s.Created[ClientInvite] + s.Created[Client] + s.Created[ServerInvite] + s.Created[Server]
				if e.l.slab.used != 0 || uint64(e.ended) != created || s.Malformed+s.Dropped+s.Merged+s.Refused != 0 {
					t.Errorf("end %d: %d ended, %+v", i, e.ended, s)
				}
			}
			resent := asks.l.Stats().Resent + answers.l.Stats().Resent
			if calm := c.name == "clean" || c.proto.Reliable(); calm == (resent > 0) {
				t.Errorf("%d sent again", resent)
			}
		})
	}
}

// TestConnections holds what happens when a connection cannot be had, or is gone.
func TestConnections(t *testing.T) {
	t.Parallel()
	net := virtual.New(start, rand.New(rand.NewPCG(11, 12)))
	net.ICMP = true
	asks, answers := newEnds(t, net, transport.TCP)
	answers.status["z9hG4bK1"] = 486
	asks.ask(transport.TCP, "INVITE", "z9hG4bK1", 1)
	// Nobody listens there: a client over TCP, and one over UDP with ICMP, hear of it.
	nobody := transport.Hop{Proto: transport.TCP, Remote: there2}
	if _, err := asks.l.Send(nobody, []byte(request("OPTIONS", "z9hG4bK2")), 2); err != nil {
		t.Fatal(err)
	}
	if err := net.Run(net.Now() + 100*ms); err != nil {
		t.Fatal(err)
	}
	if got := []string{asks.outcome[1], asks.outcome[2]}; !slices.Equal(got, []string{"486", "link"}) {
		t.Errorf("outcomes %q", got)
	}
	// A server whose peer is unplugged goes on until timer H.
	answers.status["z9hG4bK3"] = 486
	asks.ask(transport.TCP, "INVITE", "z9hG4bK3", 3)
	asks.host.At(net.Now()+1*ms, func() { asks.host.Unplug(true) })
	if err := net.Run(math.MaxInt64); err != nil {
		t.Fatal(err)
	}
	if s := answers.l.Stats(); answers.l.slab.used != 0 || s.NoAck != 1 || asks.outcome[3] != "timeout" {
		t.Errorf("%q, %+v", asks.outcome[3], s)
	}
}
