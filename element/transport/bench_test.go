package transport

import (
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkUDPEcho answers every datagram. A peer keeps a window of them on their way, with the same system calls, so an
// operation is a datagram in and one out at both ends, on all cores.
func BenchmarkUDPEcho(b *testing.B) {
	server, err := Open(Config{Listen: listen(b, "udp:127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	answer := []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n")
	done := make(chan error, 2)
	go func() {
		done <- server.Run(b.Context(), &fakeHandler{receive: func(r *Received) { server.Send(r.Hop, answer, 0) }})
	}()
	client, err := Open(Config{Listen: listen(b, "udp:127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	text := []byte(request(UDP, client.Listeners()[0].Local, 1, 200))
	hop := Hop{Proto: UDP, Remote: server.Listeners()[0].Local}
	const window = 256
	sent, got := 0, 0
	finished := make(chan struct{})
	var seen atomic.Int64
	h := &fakeHandler{receive: func(*Received) {
		got++
		seen.Store(int64(got))
		if sent < b.N {
			client.Send(hop, text, 0)
			sent++
		}
		if got == b.N {
			close(finished)
		}
	}}
	go func() { done <- client.Run(b.Context(), h) }()
	b.ResetTimer()
	client.Post(func() {
		for ; sent < min(window, b.N); sent++ {
			client.Send(hop, text, 0)
		}
	})
	for last := int64(-1); ; {
		select {
		case <-finished:
			b.StopTimer()
			_, _ = client.Close(), server.Close()
			<-done
			<-done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "echoes/s")
			return
		case <-time.After(2 * time.Second):
			if n := seen.Load(); n == last {
				b.Fatalf("stuck at %d of %d: %+v", n, b.N, server.Stats())
			} else {
				last = n
			}
		}
	}
}

// BenchmarkStreamEcho is the same over one connection.
func BenchmarkStreamEcho(b *testing.B) {
	certs, pool := certify(b)
	for _, proto := range []Proto{TCP, TLS, WS} {
		b.Run(proto.String(), func(b *testing.B) {
			at := listen(b, proto.String()+":127.0.0.1:0")
			server, _ := Open(Config{Listen: at, Certificates: certs})
			client, _ := Open(Config{Listen: at, Certificates: certs, RootCAs: pool})
			answer := []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n")
			done := make(chan error, 2)
			go func() {
				done <- server.Run(b.Context(), &fakeHandler{receive: func(r *Received) { server.Send(r.Hop, answer, 0) }})
			}()
			b.ReportAllocs()
			text := []byte(request(proto, client.Listeners()[0].Local, 1, 200))
			hop := Hop{Proto: proto, Remote: server.Listeners()[0].Local}
			sent, got := 0, 0
			finished := make(chan struct{})
			go func() {
				done <- client.Run(b.Context(), &fakeHandler{receive: func(*Received) {
					got++
					if sent < b.N {
						client.Send(hop, text, 0)
						sent++
					}
					if got == b.N {
						close(finished)
					}
				}})
			}()
			client.Post(func() {
				for ; sent < min(256, b.N); sent++ {
					client.Send(hop, text, 0)
				}
			})
			<-finished
			b.StopTimer()
			_, _ = client.Close(), server.Close()
			<-done
			<-done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "echoes/s")
		})
	}
}

// BenchmarkUDPFlood is the cost of one side alone: a plain socket sends as fast as it can, the endpoint answers what the
// kernel did not drop to a socket that nobody reads.
func BenchmarkUDPFlood(b *testing.B) {
	server, err := Open(Config{Listen: listen(b, "udp:127.0.0.1:0")})
	if err != nil {
		b.Fatal(err)
	}
	sink, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	answer := []byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1\r\nContent-Length: 0\r\n\r\n")
	var n atomic.Int64
	done := make(chan error, 1)
	go func() {
		done <- server.Run(b.Context(), &fakeHandler{receive: func(r *Received) {
			server.Send(r.Hop, answer, 0)
			n.Add(1)
		}})
	}()
	l := &listener{udp: mustUDP(b)}
	text := []byte(request(UDP, server.Listeners()[0].Local, 1, 200))
	to := server.Listeners()[0].Local
	b.ReportAllocs()
	b.ResetTimer()
	for sent, spins := 0, 0; n.Load() < int64(b.N); {
		if int64(sent)-n.Load() > 2000 && spins < 1_000_000 { // beyond, some were dropped
			runtime.Gosched()
			spins++
			continue
		}
		spins = 0
		for l.udp.queue(to, netip.Addr{}, text, Hop{}, 0) {
			sent++
		}
		l.udp.flush(func(Hop, uint64, error) {}, func(netip.AddrPort, []byte, error) {})
	}
	b.StopTimer()
	_ = l.udp.close()
	_ = server.Close()
	<-done
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "answers/s")
	b.Logf("%d dropped by the kernel", server.Stats().Listeners[0].KernelDrops)
}

func mustUDP(b *testing.B) *udpSocket {
	b.Helper()
	s, err := openUDP(netip.MustParseAddrPort("127.0.0.1:0"), 4<<20)
	if err != nil {
		b.Fatal(err)
	}
	return s
}
