package resolve

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"sipscope/element/transport"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var tab Table
	for _, err := range []error{
		tab.Host("a.com=192.0.2.1, [2001:db8::1]:5070,tls:192.0.2.2"),
		tab.SRV("_sip._udp.b.com=10,60,5060,proxy.b.com"),
		tab.NAPTR("b.com=10,50,s,SIP+D2U,_sip._udp.b.com"),
		tab.ReadHosts(strings.NewReader("# hosts\n127.0.0.9 one two.com # c\n::2 one\nfe80::1%lo zone\nbad line\n")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for q, want := range map[question]int{
		{"a.com", dns.TypeA}: 2, {"a.com", dns.TypeAAAA}: 1, {"one", dns.TypeA}: 1, {"one", dns.TypeAAAA}: 1,
		{"two.com", dns.TypeA}: 1, {"_sip._udp.b.com", dns.TypeSRV}: 1, {"b.com", dns.TypeNAPTR}: 1,
		{"b.com", dns.TypeA}: 0, {"_sip._tcp.b.com", dns.TypeSRV}: 0,
	} {
		if a, ok := tab.answer(q); !ok || a.size() != want {
			t.Errorf("%+v: %+v, %t; want %d records", q, a, ok, want)
		}
	}
	for _, q := range []question{{"c.com", dns.TypeA}, {"zone", dns.TypeA}, {"bad", dns.TypeA}, {"proxy.b.com", dns.TypeA}} {
		if a, ok := tab.answer(q); ok {
			t.Errorf("%+v: %+v, want nothing", q, a)
		}
	}
	for _, bad := range []error{
		tab.Host("a.com"), tab.Host("a.com="), tab.Host("=1.2.3.4"), tab.Host("a.com=b.com"), tab.Host("a.com=0.0.0.0"),
		tab.Host("a b=1.2.3.4"), tab.SRV("x"), tab.SRV("x=1,2,3"), tab.SRV("x=1,2,70000,y"), tab.SRV("x=1,2,3,y y"),
		tab.NAPTR("x"), tab.NAPTR("x=1,2,u,SIP+D2U,y"), tab.NAPTR("x=1,2,s,SIP+D2U,"), tab.NAPTR("x=a,2,s,SIP+D2U,y"),
		tab.NAPTR("x=1,2,s"),
		tab.Read(strings.NewReader("\nhost a.com 1.2.3.4\nhots a.com 1.2.3.4\n")),
		tab.Read(strings.NewReader("host\n")), tab.Read(strings.NewReader("host a.com\n")),
	} {
		if !errors.Is(bad, ErrTable) {
			t.Errorf("%v, want %v", bad, ErrTable)
		}
	}
	err := tab.Read(strings.NewReader("\n\nhost a.com x\n"))
	if want := `line 3: host a.com: "x": want ADDRESS, ADDRESS:PORT or TRANSPORT:ADDRESS:PORT: cannot be read`; err == nil ||
		err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestHosts has names of the system: they come after those of the table, and before DNS.
func TestHosts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("192.0.2.1 pbx pbx.a.com\n192.0.2.2 proxy.b.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	z := serve(t, zoneText, nil)
	l := newLoop()
	c := l.client(Config{Server: z.addr, Table: table(t, "host pbx.a.com 192.0.2.9")})
	defer c.Close()
	c.readHosts(filepath.Join(path, "none"))
	c.readHosts(path)
	for uri, want := range map[string]string{
		"sip:pbx": "udp:192.0.2.1:5060", "sip:pbx.a.com": "udp:192.0.2.9:5060", "sip:PBX:5070;transport=tcp": "tcp:192.0.2.1:5070",
	} {
		done := false
		c.Resolve([]byte(uri), func(hops []transport.Hop, err error) {
			if done = true; text(hops) != want || err != nil {
				t.Errorf("%s: %s, %v, want %s", uri, text(hops), err, want)
			}
		})
		if !done {
			t.Errorf("%s: DNS is asked", uri)
		}
	}
	if got, err := l.resolve(t, c, "sip:b.com;transport=tcp"); got != "tcp:192.0.2.2:5060" || err != nil {
		t.Errorf("a target of SRV: %s, %v", got, err)
	}
}
