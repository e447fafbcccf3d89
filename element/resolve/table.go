package resolve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"sipscope/element/transport"
)

// ErrTable says that a line or a flag of a table cannot be read.
var ErrTable = errors.New("cannot be read")

// Help says what the flags --host and --srv and the file of a table hold.
const Help = `Names that override DNS, by flags or by a file with one entry a line:

  --host NAME=ADDRESS[,ADDRESS...]    host NAME ADDRESS...
        addresses of a name: 192.0.2.1, 192.0.2.1:5070, [2001:db8::1]:5070, tcp:192.0.2.1:5060. A port and a transport
        count where neither the URI nor an SRV record says otherwise.
  --srv NAME=PRIORITY,WEIGHT,PORT,TARGET    srv NAME PRIORITY WEIGHT PORT TARGET
        an SRV record, such as _sip._udp.b.com=10,60,5060,proxy.b.com; target "." says that there is no such service.
  --naptr NAME=ORDER,PREFERENCE,FLAG,SERVICE,REPLACEMENT    naptr NAME ORDER PREFERENCE FLAG SERVICE REPLACEMENT
        a NAPTR record, such as b.com=10,50,s,SIP+D2U,_sip._udp.b.com

In a file "#" begins a comment. What the table knows of a name, or of names below it such as _sip._udp.NAME, is all that
there is: DNS is not asked for more.
`

// Table has records that override DNS. The zero value is empty. It is not changed while a Client uses it.
type Table struct {
	records map[question]answer
	known   map[string]bool // names of which the table says something
}

// answer gives what the table has. It reports false for a name that it knows nothing of.
func (t *Table) answer(q question) (answer, bool) {
	if a, ok := t.records[q]; ok {
		return a, true
	}
	domain := q.name
	for strings.HasPrefix(domain, "_") { // _sip._udp.b.com is b.com's
		_, rest, ok := strings.Cut(domain, ".")
		if !ok {
			break
		}
		domain = rest
	}
	if t.known[domain] {
		return answer{}, true
	}
	return loopback(q)
}

// loopback answers for localhost, which is no matter of DNS (RFC 6761 6.3).
func loopback(q question) (answer, bool) {
	if q.name != "localhost" && !strings.HasSuffix(q.name, ".localhost") {
		return answer{}, false
	}
	switch q.kind {
	case dns.TypeA:
		return answer{addrs: []hostAddr{{addr: netip.AddrFrom4([4]byte{127, 0, 0, 1})}}}, true
	case dns.TypeAAAA:
		return answer{addrs: []hostAddr{{addr: netip.IPv6Loopback()}}}, true
	}
	return answer{}, true
}

// edit gives the records at a name to be added to.
func (t *Table) edit(name string, kind uint16, change func(*answer)) {
	if t.records == nil {
		t.records, t.known = make(map[question]answer), make(map[string]bool)
	}
	q := question{normal(name), kind}
	a := t.records[q]
	change(&a)
	t.records[q] = a
	domain := q.name
	for strings.HasPrefix(domain, "_") {
		_, rest, ok := strings.Cut(domain, ".")
		if !ok {
			break
		}
		domain = rest
	}
	t.known[domain] = true
}

// Host reads "NAME=ADDRESS[,ADDRESS...]", as the flag --host has it: see Help.
func (t *Table) Host(s string) error {
	name, list, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("host %q: want NAME=ADDRESS: %w", s, ErrTable)
	}
	return t.entry("host", append([]string{name}, strings.Split(list, ",")...))
}

// SRV reads "NAME=PRIORITY,WEIGHT,PORT,TARGET", as the flag --srv has it.
func (t *Table) SRV(s string) error {
	name, list, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("srv %q: want NAME=PRIORITY,WEIGHT,PORT,TARGET: %w", s, ErrTable)
	}
	return t.entry("srv", append([]string{name}, strings.Split(list, ",")...))
}

// NAPTR reads "NAME=ORDER,PREFERENCE,FLAG,SERVICE,REPLACEMENT", as the flag --naptr has it.
func (t *Table) NAPTR(s string) error {
	name, list, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("naptr %q: want NAME=ORDER,PREFERENCE,FLAG,SERVICE,REPLACEMENT: %w", s, ErrTable)
	}
	return t.entry("naptr", append([]string{name}, strings.Split(list, ",")...))
}

// Read reads a file of entries: see Help. The error names the line.
func (t *Table) Read(r io.Reader) error {
	return lines(r, func(fields []string) error { return t.entry(strings.ToLower(fields[0]), fields[1:]) })
}

// ReadHosts reads a file of the form of /etc/hosts: an address and its names. Lines that cannot be read are left out, as
// every resolver does.
func (t *Table) ReadHosts(r io.Reader) error {
	return lines(r, func(fields []string) error {
		a, err := netip.ParseAddr(fields[0])
		if err != nil || a.Zone() != "" {
			return nil //nolint:nilerr // see above
		}
		for _, name := range fields[1:] {
			if isName(normal(name)) {
				t.address(name, hostAddr{addr: a.Unmap()})
			}
		}
		return nil
	})
}

func lines(r io.Reader, entry func(fields []string) error) error {
	s := bufio.NewScanner(r)
	for number := 1; s.Scan(); number++ {
		text, _, _ := strings.Cut(s.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		if err := entry(fields); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return s.Err()
}

// entry adds one entry: fields[0] is the name.
func (t *Table) entry(kind string, fields []string) error {
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	if len(fields) == 0 || !isName(normal(fields[0])) {
		return fmt.Errorf("%s %q: want a name: %w", kind, strings.Join(fields, " "), ErrTable)
	}
	switch kind {
	case "host":
		return t.host(fields[0], fields[1:])
	case "srv":
		return t.srv(fields)
	case "naptr":
		return t.naptr(fields)
	}
	return fmt.Errorf("%q: want host, srv or naptr: %w", kind, ErrTable)
}

func (t *Table) host(name string, addrs []string) error {
	if len(addrs) == 0 {
		return fmt.Errorf("host %s: want an address: %w", name, ErrTable)
	}
	list := make([]hostAddr, 0, len(addrs))
	for _, s := range addrs {
		a, ok := parseHostAddr(s)
		if !ok {
			return fmt.Errorf("host %s: %q: want ADDRESS, ADDRESS:PORT or TRANSPORT:ADDRESS:PORT: %w", name, s, ErrTable)
		}
		list = append(list, a)
	}
	for _, a := range list {
		t.address(name, a)
	}
	return nil
}

func (t *Table) address(name string, a hostAddr) {
	kind := dns.TypeA
	if a.addr.Is6() {
		kind = dns.TypeAAAA
	}
	t.edit(name, kind, func(known *answer) { known.addrs = append(known.addrs, a) })
}

func parseHostAddr(s string) (a hostAddr, ok bool) {
	if name, rest, cut := strings.Cut(s, ":"); cut {
		if proto, known := transport.ParseProto(name); known {
			a.proto, s = proto, rest
		}
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		a.addr, a.port = ap.Addr().Unmap(), ap.Port()
		return a, !a.addr.IsUnspecified()
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	a.addr = addr.Unmap()
	return a, err == nil && !a.addr.IsUnspecified()
}

func (t *Table) srv(fields []string) error {
	bad := func(what string) error {
		return fmt.Errorf("srv %s: want %s: %w", strings.Join(fields, " "), what, ErrTable)
	}
	if len(fields) != 5 {
		return bad("NAME PRIORITY WEIGHT PORT TARGET")
	}
	n, ok := numbers(fields[1:4])
	if !ok {
		return bad("priority, weight and port from 0 to 65535")
	}
	r := srvRecord{priority: n[0], weight: n[1], port: n[2], target: normal(fields[4])}
	if a, err := netip.ParseAddr(strings.Trim(fields[4], "[]")); err == nil {
		r.target = a.Unmap().String()
	} else if r.target != "" && !isName(r.target) {
		return bad("a name as the target")
	}
	t.edit(fields[0], dns.TypeSRV, func(known *answer) { known.srvs = append(known.srvs, r) })
	return nil
}

func (t *Table) naptr(fields []string) error {
	bad := func(what string) error {
		return fmt.Errorf("naptr %s: want %s: %w", strings.Join(fields, " "), what, ErrTable)
	}
	if len(fields) != 6 {
		return bad("NAME ORDER PREFERENCE FLAG SERVICE REPLACEMENT")
	}
	n, ok := numbers(fields[1:3])
	if !ok {
		return bad("order and preference from 0 to 65535")
	}
	r := naptrRecord{n[0], n[1], strings.ToLower(fields[3]), strings.ToLower(fields[4]), normal(fields[5])}
	if r.flag != "s" && r.flag != "a" {
		return bad(`the flag "s" or "a"`)
	}
	if !isName(r.leads) {
		return bad("a name as the replacement")
	}
	t.edit(fields[0], dns.TypeNAPTR, func(known *answer) { known.naptrs = append(known.naptrs, r) })
	return nil
}

func numbers(fields []string) ([]uint16, bool) {
	list := make([]uint16, len(fields))
	for i, f := range fields {
		n, err := strconv.ParseUint(f, 10, 16)
		if err != nil {
			return nil, false
		}
		list[i] = uint16(n)
	}
	return list, true
}
