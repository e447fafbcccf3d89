package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hostileNet is the range of the loopback where the elements of these tests are.
var hostileNet = peerNet{127, 51}

// TestStopElements stops a registrar, a proxy, and agents with a call, a binding and a subscription by a signal: each says
// goodbye to the others, in the right order of messages, and ends by itself with code 0.
func TestStopElements(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			server, bobAt, aliceAt := hostileNet.address(t)+":5060", hostileNet.address(t)+":5060", hostileNet.address(t)+":5060"
			proxy := ours(t, "proxy at", "proxy", "--listen", "udp:"+server, "--domain", "b.com", "--registrar", "--record-route", "--format", "json")
			bob := ours(t, "", "ua", "answer", "--listen", "udp:"+bobAt, "--media", "none", "--ring", "-1s", "--pcap", "b.pcapng",
				"--from", "sip:bob@b.com", "--registrar", "sip:b.com", "--host", "b.com="+server)
			proxy.says("bound")
			alice := ours(t, "", "ua", "call", "sip:bob@b.com", "--listen", "udp:"+aliceAt, "--media", "none", "--talk", "100s", "--pcap", "a.pcapng",
				"--host", "b.com="+server, "--route", "sip:"+server+";lr", "--format", "json")
			alice.says("answered")
			alice.stop(sig, 0)
			bob.stop(sig, 0)
			proxy.says("removed")
			proxy.stop(sig, 0)
			if got, want := flowOf(sipMessages(t, alice.path("a.pcapng"))), "INVITE 100 200 ACK BYE 200"; got != want {
				t.Errorf("alice: %s, want %s", got, want)
			}
			if got, want := flowOf(sipMessages(t, bob.path("b.pcapng"))), "REGISTER 200 INVITE 200 ACK BYE 200 REGISTER 200"; got != want {
				t.Errorf("bob: %s, want %s", got, want)
			}
		})
	}
}

// TestStopAmongTheDead stops an agent in a call whose other side was killed: it ends within the time of a transaction, and a
// second signal does not wait for that.
func TestStopAmongTheDead(t *testing.T) {
	t.Parallel()
	for signals, most := range map[int]time.Duration{1: 20 * time.Second, 2: 4 * time.Second} {
		t.Run(strconv.Itoa(signals), func(t *testing.T) {
			t.Parallel()
			bobAt, aliceAt := hostileNet.address(t)+":5060", hostileNet.address(t)+":5060"
			bob := ours(t, "user agent at", "ua", "answer", "--listen", "udp:"+bobAt, "--media", "none", "--ring", "-1s")
			t1 := map[int]string{1: "50ms", 2: "500ms"}[signals]
			alice := ours(t, "", "ua", "call", "sip:bob@"+bobAt, "--listen", "udp:"+aliceAt, "--media", "none", "--talk", "100s", "--format", "json", "--t1", t1)
			alice.says("answered")
			bob.stop(syscall.SIGKILL, -1)
			begun := time.Now()
			for range signals {
				alice.signal(syscall.SIGINT)
				time.Sleep(200 * time.Millisecond)
			}
			alice.ends()
			if d := time.Since(begun); d > most {
				t.Errorf("it took %v to end", d)
			}
		})
	}
}

// TestFaultyElements calls over a network where every program loses, duplicates and reorders what it sends, by --fault,
// through a proxy that does so too: all calls end, most of them well, and nobody is left in one.
func TestFaultyElements(t *testing.T) {
	t.Parallel()
	for _, loss := range []string{"10%", "30%"} {
		t.Run(loss, func(t *testing.T) {
			t.Parallel()
			fault := []string{"--fault", "drop-out=" + loss + ",duplicate-out=10%,reorder-out=10%", "--t1", "50ms", "--seed", "5", "--format", "none"}
			proxyAt, bobAt, aliceAt := hostileNet.address(t)+":5060", hostileNet.address(t)+":5060", hostileNet.address(t)+":5060"
			proxy := ours(t, "proxy at", append([]string{"proxy", "--listen", "udp:" + proxyAt, "--record-route", "--relay"}, withoutT1(fault)...)...)
			bob := ours(t, "user agent at", append([]string{"ua", "answer", "--listen", "udp:" + bobAt, "--media", "none", "--ring", "-1s"}, fault...)...)
			// --ring: a caller whose 2xx is lost each time it is sent would wait on, with the proxy's 100 in hand
			alice := ours(t, "", append([]string{
				"ua", "call", "sip:bob@" + bobAt, "--listen", "udp:" + aliceAt, "--route", "sip:" + proxyAt + ";lr", "--media", "none",
				"--talk", "50ms", "--rate", "40", "--calls", "80", "--ring", "15s",
			}, fault...)...)
			alice.ends()
			var answered, succeeded int
			for line := range strings.Lines(alice.out.String()) {
				if _, rest, ok := strings.Cut(line, " a second), "); ok && strings.HasPrefix(line, "80 calls ") {
					_, _ = fmt.Sscanf(rest, "%d answered, %d succeeded", &answered, &succeeded)
				}
			}
			if answered < 70 || succeeded < 70 {
				t.Errorf("%d answered, %d succeeded", answered, succeeded)
			}
			begun := time.Now()
			bob.stop(syscall.SIGINT, 0)
			proxy.stop(syscall.SIGINT, 0)
			if d := time.Since(begun); d > 30*time.Second {
				t.Errorf("it took %v to stop", d)
			}
		})
	}
}

// withoutT1 leaves out a flag that a proxy has not.
func withoutT1(args []string) (out []string) {
	for i := 0; i < len(args); i++ {
		if args[i] == "--t1" {
			i++
			continue
		}
		out = append(out, args[i])
	}
	return out
}

// TestAttackedElements floods each command with INVITEs without ACK, garbage, and connections that say nothing: it answers
// an OPTIONS all the while, does not take more memory than its limits let it, and stops with code 0.
func TestAttackedElements(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"registrar": {"registrar", "--domain", "b.com"},
		"redirect":  {"redirect", "--bind", "sip:bob@b.com=sip:bob@127.0.0.1:9"},
		"proxy":     {"proxy", "--domain", "b.com", "--bind", "sip:bob@b.com=sip:bob@127.0.0.1:9"},
		"stateless": {"proxy", "--stateless", "--domain", "b.com", "--bind", "sip:bob@b.com=sip:bob@127.0.0.1:9"},
		"answer":    {"ua", "answer", "--media", "none", "--max-open", "1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			here := hostileNet.address(t)
			p := ours(t, " at ", append(args, "--listen", "udp:"+here+":5060", "--listen", "tcp:"+here+":5060")...)
			u := socket(t, "udp", here+":5060")
			for range 100 {
				c := socket(t, "tcp", here+":5060")
				_, _ = io.WriteString(c, "INVITE sip:bob@b.com SIP/2.0\r\nVia: ")
			}
			for i := range 20_000 {
				_, _ = io.WriteString(u, hostileRequest("INVITE", "sip:bob@b.com", u.LocalAddr().String(), i))
				_, _ = u.Write([]byte{byte(i), 0, 0xff})
				if i%50 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			good := socket(t, "udp", here+":5060")
			answered := false
			buf := make([]byte, 65536)
			for i := 0; i < 60 && !answered; i++ { // half a minute: 20,000 requests wait before it
				_, _ = io.WriteString(good, hostileRequest("OPTIONS", "sip:"+here, good.LocalAddr().String(), 1))
				_ = good.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
				n, err := good.Read(buf)
				answered = err == nil && strings.HasPrefix(string(buf[:n]), "SIP/2.0 200")
			}
			if !answered {
				t.Errorf("an OPTIONS gets %q", buf[:30])
			}
			if mb := residentMB(t, p.cmd.Process.Pid); mb > 400 {
				t.Errorf("it takes %d MB", mb)
			}
			p.signal(syscall.SIGINT)
			time.Sleep(200 * time.Millisecond)
			p.signal(syscall.SIGINT) // a call that nobody acknowledges is not waited for
			p.ends()
			if strings.Contains(p.err.String(), "panic") {
				t.Error("it broke down")
			}
		})
	}
}

// socket is a raw one.
func socket(t *testing.T, network, to string) net.Conn {
	t.Helper()
	c, err := net.Dial(network, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// hostileRequest is a request that nobody goes on with.
func hostileRequest(method, uri, from string, n int) string {
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bKh%s%d\r\nMax-Forwards: 70\r\nFrom: <sip:a@a.com>;tag=%d\r\n"+
		"To: <sip:bob@b.com>\r\nCall-ID: h%d\r\nCSeq: 1 %s\r\nContact: <sip:a@%s>\r\nContent-Length: 0\r\n\r\n", method, uri, from, method, n, n, n, method, from)
}

// residentMB is the peak of a process's resident memory: VmHWM of proc(5).
func residentMB(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb >> 10
}
