package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// strangerNet is the range of these tests.
var strangerNet = peerNet{127, 77}

// trap listens where nothing may arrive, over UDP and TCP.
type trap struct {
	t   *testing.T
	udp net.PacketConn
	tcp net.Listener
}

func newTrap(t *testing.T, at string) *trap {
	t.Helper()
	udp, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	tcp, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tcp.Close() })
	return &trap{t: t, udp: udp, tcp: tcp}
}

// empty checks that nothing came.
func (p *trap) empty() {
	p.t.Helper()
	soon := time.Now().Add(20 * time.Millisecond)
	_ = p.udp.SetReadDeadline(soon)
	if l, ok := p.tcp.(*net.TCPListener); ok {
		_ = l.SetDeadline(soon)
	}
	var b [2048]byte
	if n, from, err := p.udp.ReadFrom(b[:]); err == nil {
		p.t.Errorf("%s got from %s: %q", p.udp.LocalAddr(), from, b[:n])
	}
	if c, err := p.tcp.Accept(); err == nil {
		p.t.Errorf("%s was connected to from %s", p.tcp.Addr(), c.RemoteAddr())
		_ = c.Close()
	}
}

// hostileLive plays along, while everything in what it says leads to victims. It ends with its socket.
func hostileLive(udp net.PacketConn, victims []string) {
	var b [65536]byte
	for n := 0; ; n++ {
		size, from, err := udp.ReadFrom(b[:])
		if err != nil {
			return
		}
		var m sip.Message
		if sip.Parse(b[:size], &m) != nil || !m.Request || m.MethodID == sip.MethodAck {
			continue
		}
		at := netip.MustParseAddrPort(from.String())
		victim := victims[n%len(victims)]
		for _, status := range []int{183, 200} {
			reply := compose.Reply{Status: status, ToTag: "live", ContentType: "application/sdp", Headers: []compose.Header{
				{ID: sip.HeaderContact, Value: "<sip:x@" + victim + ">"},
				{ID: sip.HeaderRecordRoute, Value: "<sip:" + victims[(n+1)%len(victims)] + ";lr>, <sip:" + victim + ";transport=tcp>"},
			}}
			host, _, _ := strings.Cut(victim, ":")
			reply.Body = fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 5060 RTP/AVP 0 8\r\na=rtcp:5060 IN IP4 %s\r\n", host, host, host)
			if raw, err := compose.Response(nil, &m, at, &reply); err == nil {
				_, _ = udp.WriteTo(raw, from)
			}
		}
		req := fmt.Sprintf("OPTIONS sip:x@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d;maddr=%s\r\nFrom: <sip:x@x>;tag=1\r\nTo: <sip:y@y>\r\n"+
			"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", at, victim, n, victim, n)
		_, _ = udp.WriteTo([]byte(req), from)
	}
}

// TestReplayStrangers has a program of ours replay against a live side that points elsewhere in all that it says, while
// somebody whom nobody named talks to it: nobody but the live side gets a byte, of what faults answer neither.
func TestReplayStrangers(t *testing.T) {
	t.Parallel()
	caller, live := strangerNet.address(t), strangerNet.address(t)
	at := live + ":5060"
	udp, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = udp.Close() })
	var traps []*trap
	var victims []string
	for _, place := range []string{live + ":5070", strangerNet.address(t) + ":5060", strangerNet.address(t) + ":25060", caller + ":5070"} {
		traps, victims = append(traps, newTrap(t, place)), append(victims, place)
	}
	go hostileLive(udp, victims)
	stranger := traps[1]

	record := ours(t, "", "scenario", "bye", "--virtual", "-O", "call.pcapng")
	record.end(0)
	for _, mode := range [][]string{{"--fast"}, {"--verbatim", "--speed", "8"}, {"--fast", "--fault", "answer=503@OPTIONS"}} {
		p := ours(t, "", append([]string{
			"replay", record.path("call.pcapng"), "--sut-is", "127.0.2.10", "--cut-proxies", "--sut", at, "--bind", "alice=" + caller + ":5060", "--yes",
			"--patience", "500ms", "--t1", "20ms",
		}, mode...)...)
		begun := false
	talking:
		for {
			select {
			case <-p.ended:
				break talking
			case <-time.After(20 * time.Millisecond):
			}
			text := "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP " + victims[2] + ";rport;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: s\r\n" +
				"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
			to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(caller + ":5060"))
			if _, err := stranger.udp.WriteTo([]byte(text), to); err == nil {
				begun = true
			}
		}
		if code := p.cmd.ProcessState.ExitCode(); !begun || code != 1 && code != 0 && code != 3 {
			t.Errorf("%v: code %d", mode, code)
		}
		if !strings.Contains(p.out.String()+p.err.String(), "INVITE") {
			t.Errorf("%v: nothing was played: %s", mode, p.err.String())
		}
		for _, trap := range traps {
			trap.empty()
		}
	}
}
