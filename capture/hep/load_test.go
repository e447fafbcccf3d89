package hep

import (
	"context"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"sipscope/capture"
)

// envLoad is how many seconds TestLoad takes; the requirement is 10.
const envLoad = "SIPSCOPE_HEP_LOAD"

// 20,000 messages a second over UDP, and the reader stands still for 100 ms every second: none is lost.
func TestLoad(t *testing.T) { //nolint:paralleltest // it needs the machine
	seconds := 3
	if s := os.Getenv(envLoad); s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s: %v", envLoad, err)
		}
	} else if testing.Short() {
		t.Skip("short")
	}
	const rate = 20_000
	l := listening(t, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}})
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds+30)*time.Second)
	defer cancel()
	sent := make(chan int, 1)
	c := dial(t, l, 0)
	go func() { sent <- flood(t, c, rate, seconds) }()

	var b capture.Batch
	counted, want := 0, -1
	var prev int64
	stood := time.Now()
	for want < 0 || counted < want {
		if err := l.Next(ctx, &b); err != nil {
			t.Fatalf("%d of %d: %v: %+v", counted, want, err, l.Stats())
		}
		for i := range b.Packets {
			if b.Packets[i].Time < prev {
				t.Fatal("out of order")
			}
			prev = b.Packets[i].Time
		}
		counted += len(b.Packets)
		if time.Since(stood) > time.Second {
			time.Sleep(100 * time.Millisecond)
			stood = time.Now()
		}
		select {
		case want = <-sent:
		default:
		}
		if want >= 0 && counted < want && l.Stats().Held == 0 && time.Since(stood) > 500*time.Millisecond && b.Empty() {
			t.Fatalf("%d of %d came: %+v", counted, want, l.Stats())
		}
	}
	s := l.Stats()
	if s.Dropped != 0 || s.Kernel != 0 || s.Late != 0 || s.Malformed != 0 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d messages in %d s, none lost", counted, seconds)
}

// flood sends so many messages a second, as evenly as sleeping allows.
func flood(t *testing.T, c net.Conn, rate, seconds int) (sent int) {
	t.Helper()
	p := numbered(1, time.Now())
	p.Payload = []byte(invite(1))
	var b []byte
	begun := time.Now()
	for sent < rate*seconds {
		due := int(time.Since(begun).Seconds() * float64(rate))
		for ; sent < min(due, rate*seconds); sent++ {
			p.Time = time.Now().UnixNano()
			var err error
			if b, err = Append(b[:0], p, Encoding{}); err == nil {
				_, err = c.Write(b)
			}
			if err != nil {
				t.Error(err)
				return sent
			}
		}
		time.Sleep(time.Millisecond)
	}
	return sent
}

// BenchmarkUDP is how fast datagrams get from one socket to packets.
func BenchmarkUDP(b *testing.B) {
	l := listening(b, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}, Window: -1})
	c := dial(b, l, 0)
	p := numbered(1, time.Now())
	p.Payload = []byte(invite(1))
	m := encode(b, p)
	const burst = 5000
	var batch capture.Batch
	b.ReportAllocs()
	for b.Loop() {
		for range burst {
			if _, err := c.Write(m); err != nil {
				b.Fatal(err)
			}
		}
		for n := 0; n < burst; n += len(batch.Packets) {
			if err := l.Next(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*burst)/b.Elapsed().Seconds(), "messages/s")
}
