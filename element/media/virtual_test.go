package media_test

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"sipscope/decode/sdp"
	"sipscope/element/media"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// seen counts the RTP that a tap sees.
type seen struct{ datagrams int }

func (*seen) Message(int64, transport.Proto, uint64, netip.AddrPort, netip.AddrPort, []byte) {}
func (s *seen) Datagram(int64, netip.AddrPort, netip.AddrPort, []byte)                       { s.datagrams++ }

// TestVirtual has two agents agree by SDP and talk for ten seconds of virtual time, on a path that loses.
func TestVirtual(t *testing.T) {
	t.Parallel()
	const start, second = int64(1_700_000_000_000_000_000), int64(time.Second)
	network := virtual.New(start, rand.New(rand.NewPCG(1, 1)))
	tap := &seen{}
	network.Tap(tap)
	type party struct {
		port   media.Port
		stream *media.Stream
		heard  []byte
	}
	parties := map[string]*party{}
	for name, addr := range map[string]string{"alice": "127.0.1.10:5060", "bob": "127.0.2.10:5060"} {
		host := network.Host(name, transport.Listen{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort(addr)})
		var ports media.Ports = media.Opener[*virtual.Port](host.OpenPort)
		port, err := ports.Open(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		parties[name] = &party{port: port}
	}
	alice, bob := parties["alice"], parties["bob"]
	streams := media.NewStreams()
	for i, p := range []*party{alice, bob} {
		local, remote := p.port.Local(), []*party{bob, alice}[i].port.Local()
		agreed := media.Agreed{
			Remote: remote, RemoteRTCP: netip.AddrPortFrom(remote.Addr(), remote.Port()+1), Local: local,
			SendEvent: 101, GetEvent: 101, Direction: sdp.SendRecv,
		}
		p.stream = media.NewStream(start, media.StreamConfig{
			Port: p.port, Agreed: agreed, Echo: p == bob, Rand: rand.New(rand.NewPCG(2, uint64(i))),
			Digit: func(_ int64, d byte) { p.heard = append(p.heard, d) },
		})
		streams.Add(p.stream)
	}
	if err := alice.stream.SendDigits("911"); err != nil {
		t.Fatal(err)
	}
	var wake func()
	wake = func() {
		if next := streams.Wake(network.Now()); next < math.MaxInt64 {
			network.At(next, wake)
		}
	}
	network.At(start, wake)
	if err := network.Run(start + 10*second); err != nil {
		t.Fatal(err)
	}
	st := alice.stream.Stats()
	if st.Sent.Packets < 499 || st.Received.Packets < 498 || !st.HasReport || st.Report.RTT != 0 && st.Report.RTT > 10*time.Millisecond {
		t.Errorf("alice %+v", st)
	}
	if string(alice.heard) != "911" || string(bob.heard) != "911" {
		t.Errorf("alice heard %q, bob %q", alice.heard, bob.heard)
	}
	if tap.datagrams < 1000 {
		t.Errorf("the tap saw %d datagrams", tap.datagrams)
	}
}
