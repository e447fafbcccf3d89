package relay

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func socket(t *testing.T, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("no socket on %s: %v", addr, err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetReadBuffer(bufferSize)
	return c
}

// read gives what arrives until nothing did for a while.
func read(t *testing.T, c *net.UDPConn) (got []string, from netip.AddrPort) {
	t.Helper()
	b := make([]byte, 2048)
	for {
		_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, src, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return got, from
		}
		got, from = append(got, string(b[:n])), src
	}
}

func open(t *testing.T, cfg Config) *Relay {
	t.Helper()
	r, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func send(t *testing.T, c *net.UDPConn, to netip.AddrPort, n int) {
	t.Helper()
	for i := range n {
		if _, err := c.WriteToUDPAddrPort(fmt.Appendf(nil, "%d", i), to); err != nil {
			t.Fatal(err)
		}
		if i%50 == 49 { // small receive buffers must not lose what the relay does not
			time.Sleep(time.Millisecond)
		}
	}
}

func TestBothWays(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, learned := range []bool{false, true} {
			a, b := socket(t, addr), socket(t, addr)
			cfg := Config{A: address(a), B: address(b)}
			if learned {
				cfg.A = netip.AddrPort{}
			}
			r := open(t, cfg)
			send(t, b, r.AtB(), 1)
			if got, _ := read(t, a); (len(got) == 1) == learned {
				t.Errorf("A got %v before it sent; learned %t", got, learned)
			}
			send(t, a, r.AtA(), 100)
			got, from := read(t, b)
			if len(got) != 100 || from != r.AtB() {
				t.Errorf("B got %d from %s, want 100 from %s", len(got), from, r.AtB())
			}
			send(t, b, r.AtB(), 100)
			if got, from = read(t, a); len(got) != 100 || from != r.AtA() {
				t.Errorf("A got %d from %s, want 100 from %s", len(got), from, r.AtA())
			}
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	a, b := socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0")
	r := open(t, Config{A: address(a), B: address(b), Loss: 0.3, Duplicate: 0.1, Reorder: 0.1, Seed: 5})
	const n = 3000
	done := make(chan []string)
	go func() {
		got, _ := read(t, b)
		done <- got
	}()
	send(t, a, r.AtA(), n)
	got := <-done
	s, _ := r.Stats()
	if s.Received != n || s.Received != s.Sent-s.Duplicated+s.Lost || s.Sent != uint64(len(got)) {
		t.Errorf("%d arrived: does not add up: %+v", len(got), s)
	}
	for name, tt := range map[string]struct {
		got  uint64
		want float64
	}{
		"lost":       {s.Lost, 0.3 * n},
		"duplicated": {s.Duplicated, 0.07 * n * 0.93},
		"reordered":  {s.Reordered, 0.07 * n * 0.93},
	} {
		if math.Abs(float64(tt.got)-tt.want) > 0.25*tt.want {
			t.Errorf("%s %d, want about %.0f", name, tt.got, tt.want)
		}
	}
	if slices.IsSortedFunc(got, func(x, y string) int { return len(x) - len(y) + slices.Compare([]byte(x), []byte(y)) }) {
		t.Error("nothing came out of order")
	}
}

// TestSeed: the fate of the n-th datagram is the same in two runs.
func TestSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) []string {
		a, b := socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0")
		r := open(t, Config{A: address(a), B: address(b), Loss: 0.5, Seed: seed})
		send(t, a, r.AtA(), 200)
		got, _ := read(t, b)
		return got
	}
	first := run(1)
	if !slices.Equal(first, run(1)) {
		t.Error("two runs differ")
	}
	if slices.Equal(first, run(2)) {
		t.Error("the seed does not matter")
	}
}

func TestLoseAndStrays(t *testing.T) {
	t.Parallel()
	a, b, c := socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0")
	r := open(t, Config{A: address(a), B: address(b), Lose: func(toB bool, number int, _ []byte) bool {
		return toB && number == 2
	}})
	send(t, c, r.AtA(), 5)
	send(t, c, r.AtB(), 5)
	send(t, a, r.AtA(), 3)
	if got, _ := read(t, b); !slices.Equal(got, []string{"0", "2"}) {
		t.Errorf("B got %v", got)
	}
	toB, toA := r.Stats()
	if toB.Strays != 5 || toA.Strays != 5 || toB.Lost != 1 {
		t.Errorf("%+v, %+v", toB, toA)
	}
}

// TestHeldBack: what nothing overtakes arrives late.
func TestHeldBack(t *testing.T) {
	t.Parallel()
	a, b := socket(t, "127.0.0.1:0"), socket(t, "127.0.0.1:0")
	r := open(t, Config{A: address(a), B: address(b), Reorder: 1})
	send(t, a, r.AtA(), 1)
	if got, _ := read(t, b); len(got) != 1 {
		t.Errorf("B got %v", got)
	}
	send(t, a, r.AtA(), 2)
	if got, _ := read(t, b); !slices.Equal(got, []string{"1", "0"}) {
		t.Errorf("B got %v", got)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if _, err := Open(Config{}); err == nil {
		t.Error("a relay to nowhere")
	}
	if _, err := Open(Config{B: netip.MustParseAddrPort("127.0.0.1:9"), Listen: netip.MustParseAddr("192.0.2.1")}); err == nil {
		t.Error("a relay on an address of another host")
	}
}
