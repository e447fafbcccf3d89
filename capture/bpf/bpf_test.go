package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	xbpf "golang.org/x/net/bpf"

	"sipscope/capture"
)

// mustParse is Parse for expressions that are right.
func mustParse(tb testing.TB, expr string, o Options) *Filter {
	tb.Helper()
	f, err := Parse(expr, o)
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// ether puts a network layer into an Ethernet frame.
func ether(kind int, data []byte) []byte {
	return cat([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, be16(kind), data)
}

// matches is Match on a whole Ethernet frame.
func matches(tb testing.TB, f *Filter, frame []byte) bool {
	tb.Helper()
	got, err := f.Match(&capture.Packet{Data: frame, WireLen: uint32(len(frame)), Link: capture.LinkEthernet})
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

// TestErrors: each error is one line that says where and what was expected.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		expr   string
		offset int
		want   string // part of the reason
	}{
		{"prot 80", 0, "unknown word"},
		{"sip", 0, `write "port sip"`},
		{"gre", 0, `write "proto gre"`},
		{"udp port", 8, `expected a value after "port"`},
		{"udp and", 7, "expected a test"},
		{"port 5060 5061", 10, `expected "and" or "or"`},
		{"port 70000", 5, "at most 65535"},
		{"port nosuch", 5, "unknown name of a port"},
		{"port 5060-5070", 5, `portrange 5060-5070`},
		{"udp port http", 9, "another transport"},
		{"host www.example.com", 5, "not looked up"},
		{"net loopback", 4, "not looked up"},
		{"10.0.0.1", 0, `expected "host" or "net"`},
		{"02:00:00:00:00:01", 0, `ether host`},
		{"5060", 0, `"port"`},
		{"ip proto udp", 9, `\udp`},
		{"ip broadcast", 0, "netmask"},
		{"ip6 protochain 6", 4, "loop"},
		{"geneve", 0, "Geneve"},
		{"on eth0", 0, "packet filter log"},
		{"gateway gw", 0, "not looked up"},
		{"(udp", 0, "no ')'"},
		{"udp)", 3, "no '('"},
		{"udp @", 4, "a character that no filter has"},
		{"vlan 4096", 0, "4095"},
		{"mpls and arp", 9, "IPv4 and IPv6"},
		{"mpls 1048576", 0, "1048575"},
		{"pppoes 65536", 0, "65535"},
		{"net 10.0.0.1/8", 4, "outside the network"},
		{"host 10.0.0.0/8", 5, `"net"`},
		{"tcp host 10.0.0.1", 9, `"tcp" has no IPv4 addresses`},
		{"ip[0:3] = 1", 5, "1, 2 or 4"},
		{"ip[0] / 0 = 1", 6, "division by zero"},
		{"1 << 40 = 1", 2, "31 bits"},
		{"08 = 8", 0, "octal"},
		{"len > 99999999999", 6, "32 bits"},
		{"udp and arp", 0, "rejects all packets"},
		{"byte 0 & 1", 7, "ether[0] &"},
		{"src proto 17", 4, "no direction"},
		{"ip broadcast and udp", 0, "netmask"},
		{"port 10.0.0.1", 5, "port number or name"},
		{"mpls 100 200", 9, `expected "and" or "or"`},
		{"vlan (5 6)", 8, `expected ")"`},
		{"vlan (udp)", 6, "expected a number"},
		{"1 = ip[0]" + strings.Repeat(" + (ip[0]", 20) + strings.Repeat(")", 20), 181, "intermediate results"},
		{strings.Repeat("(", 201) + "udp" + strings.Repeat(")", 201), 200, "nest deeper"},
		{strings.Repeat(" ", MaxExpr) + "udp", 0, "longer than"},
	} {
		f, err := Parse(row.expr, Options{})
		var e *SyntaxError
		if !errors.As(err, &e) || f != nil {
			t.Errorf("%.40q: filter %v, error %v", row.expr, f, err)
			continue
		}
		line := err.Error()
		if e.Offset != row.offset || !strings.Contains(e.Reason, row.want) || e.Expr != row.expr ||
			strings.Contains(line, "\n") {
			t.Errorf("%.40q: offset %d, %s; want %d, ...%s...", row.expr, e.Offset, line, row.offset, row.want)
		}
	}
}

// TestErrorLine shows what a person sees.
func TestErrorLine(t *testing.T) {
	t.Parallel()
	_, err := Parse("udp and prt 5060", Options{})
	want := `capture filter at "prt 5060" (byte 8): unknown word; expected a test such as "host", "port" or "udp"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	_, err = Parse("udp and", Options{})
	want = `capture filter at the end (byte 7): expected a test such as "port 5060"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestLinks: what a link type cannot do is an error of Program and Match, and no error of Parse.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		expr  string
		link  capture.LinkType
		want  error // of Program
		match error
	}{
		{"port 5060", 105, ErrLink, ErrLink},
		{"", 105, nil, nil},
		{"vlan", capture.LinkRaw, ErrLink, ErrLink},
		{"ether host 02:00:00:00:00:01", capture.LinkSLL, ErrLink, ErrLink},
		{"ether multicast", capture.LinkSLL2, ErrLink, ErrLink},
		{"inbound", capture.LinkEthernet, ErrLink, ErrLink},
		{"inbound", capture.LinkSLL2, nil, nil},
		{"ifindex 1", capture.LinkSLL, ErrLink, ErrLink},
		{"arp", capture.LinkRaw, ErrNothing, nil},
		{"ip6", capture.LinkIPv4, ErrNothing, nil},
		{"mpls", capture.LinkIPv4, ErrLink, ErrLink},
		{"udp", linkBSDRaw, nil, nil},
	} {
		f := mustParse(t, row.expr, Options{})
		code, err := f.Program(row.link)
		if !errors.Is(err, row.want) || (err == nil) != (code != nil) {
			t.Errorf("%q on %d: Program gives %d instructions, %v; want %v", row.expr, row.link, len(code), err, row.want)
		}
		got, err := f.Match(&capture.Packet{Link: row.link})
		if !errors.Is(err, row.match) || err != nil && got {
			t.Errorf("%q on %d: Match gives %v, %v; want %v", row.expr, row.link, got, err, row.match)
		}
	}
}

// TestLinkError: an error of a link type names it.
func TestLinkError(t *testing.T) {
	t.Parallel()
	_, err := mustParse(t, "vlan 5 and udp", Options{}).Program(capture.LinkSLL2)
	if want := "no VLAN tags to filter on Linux cooked v2"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestDocument: the examples of the manual are right.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/capture-filters.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "```")
	n := 0
	for i := 1; i < len(parts); i += 2 {
		lines := strings.Split(strings.TrimSpace(parts[i]), "\n")
		if lines[0] != "filter" {
			continue
		}
		for _, line := range lines[1:] {
			mustParse(t, line, Options{})
			n++
		}
	}
	if n < 10 {
		t.Errorf("only %d examples", n)
	}
}

// listing is a program as text.
func listing(code []xbpf.RawInstruction) string {
	var b strings.Builder
	for _, in := range code {
		fmt.Fprintln(&b, in.Disassemble())
	}
	return b.String()
}

// TestProgram pins the code for a common filter: tcpdump's, instruction by instruction.
func TestProgram(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "udp port 5060", Options{})
	code, err := f.Program(capture.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	want := `ldh [12]
jneq #34525,6
ldb [20]
jneq #17,15
ldh [54]
jeq #5060,12
ldh [56]
jeq #5060,10,11
jneq #2048,10
ldb [23]
jneq #17,8
ldh [20]
jset #8191,6
ldx 4*([14]&0xf)
ldh [x + 14]
jeq #5060,2
ldh [x + 16]
jneq #5060,1
ret #262144
ret #0
`
	if diff := cmp.Diff(want, listing(code)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if f.String() != "udp port 5060" || f.Widened() {
		t.Errorf("String %q, Widened %v", f.String(), f.Widened())
	}
}

// TestFragments: a port filter keeps the fragments that have no ports, where keeping more is the safe side.
func TestFragments(t *testing.T) {
	t.Parallel()
	u, tc := udp(5060, 5060, "x"), tcp(80, 80, 2, nil, "")
	later := ether(typeIP, ip4(a4, b4, ipUDP, 0x00b9, nil, []byte("rest of it")))
	laterTCP := ether(typeIP, ip4(a4, b4, ipTCP, 0x00b9, nil, []byte("rest of it")))
	laterICMP := ether(typeIP, ip4(a4, b4, 1, 0x00b9, nil, []byte("rest of it")))
	other := ether(typeIP, ip4(a4, b4, ipUDP, 0x2000, nil, udp(53, 53, "first")))
	six := ether(typeIP6, ip6(a6, b6, ipFragment, fragment6(ipUDP, 100, []byte("rest of it"))))
	sixTCP := ether(typeIP6, ip6(a6, b6, ipFragment, fragment6(ipTCP, 0, tc)))
	sixOpts := ether(typeIP6, ip6(a6, b6, ipFragment, fragment6(ipDestOpts, 0, u)))
	hop := ether(typeIP6, ip6(a6, b6, ipHopByHop, extension(ipFragment, fragment6(ipUDP, 0, u))))
	sixICMP := ether(typeIP6, ip6(a6, b6, ipFragment, fragment6(ipICMP6, 0, u)))
	frames := [][]byte{later, laterTCP, laterICMP, other, six, sixTCP, sixOpts, hop, sixICMP}
	for _, row := range []struct {
		expr    string
		widened bool
		plain   string // a letter for each frame that is kept
		wide    string
	}{
		{"port 5060", true, ".........", "AB..EFGH."},
		{"udp port 5060", true, ".........", "A...E.GH."},
		{"tcp port 5060", true, ".........", ".B...FGH."},
		{"udp portrange 5060-5070", true, ".........", "A...E.GH."},
		{"host 10.0.0.1 and port 5060", true, ".........", "AB......."},
		{"host 10.0.0.9 and port 5060", true, ".........", "........."},
		{"not udp port 5060", false, "ABCDEFGHI", "ABCDEFGHI"},
		{"not (udp and not port 5060)", true, ".BC..FGHI", "ABC.EFGHI"},
		{"udp", false, "A..DE....", "A..DE...."},
		{"udp[0:2] = 5060", false, ".........", "........."},
		{"port 5060 or port 53", true, "...D.....", "AB.DEFGH."},
	} {
		for _, wide := range []bool{false, true} {
			f := mustParse(t, row.expr, Options{Fragments: wide})
			got, want := []byte{}, row.plain
			for i, frame := range frames {
				letter := byte('.')
				if matches(t, f, frame) {
					letter = 'A' + byte(i)
				}
				got = append(got, letter)
			}
			if wide {
				want = row.wide
			}
			if string(got) != want || f.Widened() != (wide && row.widened) {
				t.Errorf("%q, Fragments %v: kept %s, want %s; Widened %v", row.expr, wide, got, want, f.Widened())
			}
		}
	}
	// Inside a tunnel, too.
	tagged := cat(later[:12], be16(typeVLAN), be16(5), later[12:])
	if !matches(t, mustParse(t, "vlan 5 and port 5060", Options{Fragments: true}), tagged) {
		t.Error("a fragment in a VLAN is not kept")
	}
}

// TestFragmentsAddOnly: with Fragments a filter without "not" keeps all that it keeps without, and only fragments more.
func TestFragmentsAddOnly(t *testing.T) {
	t.Parallel()
	packets := framesOf(capture.LinkEthernet)
	isFragment := mustParse(t, "ip[6:2] & 0x1fff != 0 or ip6[6] = 44 or ip6[40] = 44 or "+
		"(vlan and (ip[6:2] & 0x1fff != 0 or ip6[6] = 44 or ip6[40] = 44))", Options{})
	for _, e := range table(t) {
		if e.refused || e.ours || strings.Contains(e.expr, "not") || strings.Contains(e.expr, "!") ||
			strings.Contains(e.expr, "mpls") || strings.Contains(e.expr, "pppoe") || strings.Count(e.expr, "vlan") > 1 {
			continue
		}
		plain, wide := mustParse(t, e.expr, Options{}), mustParse(t, e.expr, Options{Fragments: true})
		for i := range packets {
			p := &packets[i]
			a, errA := plain.Match(p)
			b, errB := wide.Match(p)
			if (errA == nil) != (errB == nil) || a && !b || a != b && !wide.Widened() {
				t.Fatalf("%q: packet %x: %v, %v without, %v, %v with", e.expr, p.Data, a, errA, b, errB)
			}
			if more, err := isFragment.Match(p); a != b && (err != nil || !more) {
				t.Fatalf("%q: packet %x is no fragment", e.expr, p.Data)
			}
		}
	}
}

// long is a filter of n hosts that are far apart in the program.
func long(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("(udp and src host 10.%d.%d.7 and udp[%d] = %d)", i>>8, i&255, 8+i%9, i&255))
	}
	return strings.Join(parts, " or ")
}

// TestLong: jumps of more than 255 instructions.
func TestLong(t *testing.T) {
	t.Parallel()
	f := mustParse(t, long(300), Options{Kernel: true})
	code, err := f.Program(capture.LinkEthernet)
	if err != nil || len(code) < 1000 || len(code) > MaxKernel {
		t.Fatalf("%d instructions, %v", len(code), err)
	}
	for _, i := range []int{0, 1, 150, 255, 256, 299} {
		payload := strings.Repeat(string([]byte{byte(i)}), 20)
		src := fmt.Sprintf("10.%d.%d.7", i>>8, i&255)
		if !matches(t, f, ether(typeIP, ip4(src, b4, ipUDP, 0, nil, udp(1, 2, payload)))) {
			t.Errorf("host %d is not kept", i)
		}
		if i&255 != 0 && matches(t, f, ether(typeIP, ip4(src, b4, ipUDP, 0, nil, make([]byte, 40)))) {
			t.Errorf("host %d with other bytes is kept", i)
		}
	}
	f, err = Parse(long(1000), Options{Kernel: true})
	if f != nil || !strings.Contains(fmt.Sprint(err), ErrTooLong.Error()) {
		t.Errorf("for the kernel: %v", err)
	}
	if f, err = Parse(long(1000), Options{}); err != nil {
		t.Errorf("for files: %v", err)
	}
	src := ether(typeIP, ip4("10.3.231.7", b4, ipUDP, 0, nil, udp(1, 2, strings.Repeat("\xe7", 20))))
	if f != nil && !matches(t, f, src) {
		t.Error("host 999 is not kept")
	}
	if _, err = Parse("port 1"+strings.Repeat(" or 2 or 3 and 4", 4000), Options{}); err == nil {
		t.Error("64 KiB of ports are taken")
	}
}

// TestConcurrent: one filter, many goroutines, all link types.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	f := mustParse(t, "udp port 5060", Options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, link := range links {
				packets := framesOf(link)
				n := 0
				for i := range packets {
					if got, err := f.Match(&packets[i]); err != nil {
						t.Error(err)
					} else if got {
						n++
					}
				}
				if n == 0 {
					t.Errorf("%v: nothing kept", kindOf(link))
				}
			}
		})
	}
	wg.Wait()
}

// TestAllocs: Match does not allocate.
func TestAllocs(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process
	for _, expr := range []string{"", "udp port 5060", "vlan and port 5060", "arp", "inbound", "ip[2:2] - ip[9] > 100"} {
		f := mustParse(t, expr, Options{})
		for _, link := range append(links, 105) {
			p := capture.Packet{Data: make([]byte, 100), WireLen: 100, Link: link}
			if _, err := f.Match(&p); err != nil && !errors.Is(err, ErrLink) {
				t.Fatal(err)
			}
			if n := testing.AllocsPerRun(100, func() { _, _ = f.Match(&p) }); n != 0 {
				t.Errorf("%q on %v: %v allocations", expr, kindOf(link), n)
			}
		}
	}
}

// BenchmarkMatch is one frame of a kind that the filter must look at to the end.
func BenchmarkMatch(b *testing.B) {
	frame := ether(typeIP, ip4(a4, b4, ipUDP, 0, nil, udp(16384, 16386, strings.Repeat("x", 172))))
	for _, expr := range []string{
		"udp", "udp port 5060", "port 5060 or portrange 10000-20000", "host 10.0.0.1 and port 5060",
		"udp[8] & 0xc0 = 0x80 and ip[2:2] - 20 > 100", "vlan and port 5060",
	} {
		b.Run(expr, func(b *testing.B) {
			f := mustParse(b, expr, Options{})
			p := capture.Packet{Data: frame, WireLen: uint32(len(frame)), Link: capture.LinkEthernet}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.Match(&p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkParse includes compiling for Ethernet.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("host 10.0.0.1 and (port 5060 or portrange 10000-20000)", Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
