package virtual

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/media"
	"sipscope/element/transport"
)

func TestPorts(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, b := pair(t, n, "udp")
	p, _ := a.host.OpenPort(netip.Addr{})
	q, _ := b.host.OpenPort(netip.IPv4Unspecified())
	if p.Local().Port()%2 != 0 || q.Local().Addr() != netip.MustParseAddr("10.0.0.2") {
		t.Errorf("local %s, %s", p.Local(), q.Local())
	}
	if _, err := a.host.OpenPort(netip.MustParseAddr("10.9.9.9")); !errors.Is(err, ErrAddress) {
		t.Errorf("foreign address: %v", err)
	}
	var open media.Ports = a.host
	if m, err := open.Open(netip.Addr{}); err != nil || m.Local().Port()%2 != 0 || m.Close() != nil {
		t.Errorf("as media.Ports: %v", err)
	}
	if m, err := open.Open(netip.MustParseAddr("10.9.9.9")); err == nil || m != nil {
		t.Errorf("as media.Ports on a foreign address: %v", m)
	}
	var got []string
	q.Receive(func(now int64, from netip.AddrPort, b []byte) {
		got = append(got, fmt.Sprintf("%d %s %s", now/ms, from, b))
	})
	_ = p.Send(q.Local(), []byte("one"))
	run(t, n)
	if diff := cmp.Diff([]string{"1 10.0.0.1:16384 one"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	got = nil
	q.Control().Receive(func(_ int64, from netip.AddrPort, b []byte) { got = append(got, fmt.Sprintf("%s %s", from, b)) })
	if err := p.Control().Send(q.Control().Local(), []byte("rtcp")); err != nil || p.control.Control() != nil {
		t.Error(err)
	}
	run(t, n)
	if diff := cmp.Diff([]string{"10.0.0.1:16385 rtcp"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	_ = p.Send(q.Local(), []byte("two"))
	_, _ = q.Close(), q.Close()
	run(t, n)
	if len(got) != 1 || n.Stats().Unreachable != 1 {
		t.Errorf("a closed port got %v", got)
	}
	if err := q.Send(p.Local(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("send on a closed port: %v", err)
	}
	if err := p.Send(q.Local(), make([]byte, 1<<17)); !errors.Is(err, transport.ErrTooLarge) {
		t.Errorf("large: %v", err)
	}
	for range firstListener {
		if _, err := a.host.OpenPort(netip.Addr{}); err != nil {
			if !errors.Is(err, ErrAddress) {
				t.Errorf("no port left: %v", err)
			}
			return
		}
	}
	t.Error("ports are endless")
}
