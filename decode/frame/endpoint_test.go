package frame

import (
	"net/netip"
	"testing"
)

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1:5060", "[2001:db8::1]:5061", "[::ffff:192.0.2.1]:5060", "0.0.0.0:0", "[fe80::1]:65535"} {
		a := netip.MustParseAddrPort(s)
		e := FromAddrPort(a)
		if e.AddrPort() != a || e.String() != s || !e.IsValid() || e.Host() != a.Addr().String() {
			t.Errorf("%s comes back as %v", s, e)
		}
	}
	v4, mapped := FromAddrPort(netip.MustParseAddrPort("192.0.2.1:1")), FromAddrPort(netip.MustParseAddrPort("[::ffff:192.0.2.1]:1"))
	if v4 == mapped || v4.SameHost(mapped) {
		t.Error("an IPv4-mapped IPv6 address is not the IPv4 address")
	}
	other := v4
	other.Port = 2
	if !v4.SameHost(other) || v4 == other {
		t.Error("ports do not make another host")
	}
	if (Endpoint{}).IsValid() {
		t.Error("the zero Endpoint is valid")
	}
}
