package flowtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/capture"
)

// Limits of a flow, so that a slip of the pen does not write gigabytes.
const (
	maxLine  = 256 << 10
	maxSteps = 10_000
	maxHosts = 250 // a byte of the MAC address
	maxSpan  = 24 * time.Hour
	maxRTP   = 5_000 // packets each way in a step
)

// Parse reads a flow; name is what errors call it and, without folder and ending, its name. Errors are of type *Error.
func Parse(name string, r io.Reader) (*Flow, error) {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	f := &Flow{
		Name: strings.TrimSuffix(base, ".flow"), file: name,
		start: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC),
	}
	for i := range f.links {
		f.links[i].kind = capture.LinkEthernet
	}
	p := parser{f: f, in: bufio.NewScanner(r)}
	p.in.Buffer(make([]byte, 0, 4096), maxLine)
	for p.next() {
		if err := p.statement(p.in.Text()); err != nil {
			return nil, &Error{File: name, Line: p.at, Err: err}
		}
	}
	if err := p.in.Err(); err != nil {
		return nil, &Error{File: name, Line: p.line + 1, Err: err}
	}
	if f.Title == "" {
		return nil, &Error{File: name, Line: 1, Err: errors.New("the flow has no title")}
	}
	return f, nil
}

type parser struct {
	f    *Flow
	in   *bufio.Scanner
	line int           // read last
	at   int           // where the statement began
	now  time.Duration // of the last step
}

func (p *parser) next() bool {
	if !p.in.Scan() {
		return false
	}
	p.line++
	p.at = p.line
	return true
}

func (p *parser) statement(line string) error {
	words, err := fields(line)
	if err != nil || len(words) == 0 {
		return err
	}
	if err := p.texts(words); err != nil {
		return err
	}
	first, rest := words[0], words[1:]
	if first.key != "" || first.quoted {
		return fmt.Errorf("a line cannot begin with %q", line)
	}
	switch first.text {
	case "title", "about":
		return p.prose(first.text, strings.TrimSpace(strings.TrimSpace(line)[len(first.text):]))
	case "host":
		return p.host(rest)
	case "call":
		return p.call(rest)
	case "expect":
		e, err := parseExpect(rest)
		e.Line = p.at
		p.f.Expect = append(p.f.Expect, e)
		return err
	case "tunnel":
		return p.tunnel(rest)
	case "start", "link", "interface", "format", "resolution", "snaplen":
		return p.setting(first.text, rest)
	}
	if first.text[0] == '+' || first.text[0] == '@' {
		return p.step(first.text, rest)
	}
	return fmt.Errorf("%q is no statement; a step begins with +TIME or @TIME", first.text)
}

// texts reads the lines of every value <<END.
func (p *parser) texts(words []token) (err error) {
	for i := range words {
		w := &words[i]
		if end, ok := strings.CutPrefix(w.text, "<<"); ok && w.key != "" && !w.quoted {
			if w.text, err = p.lines(end); err != nil {
				return err
			}
		}
	}
	return nil
}

// prose takes the text as it is written, a "#" in it included.
func (p *parser) prose(what, text string) error {
	if text == "" {
		return fmt.Errorf("%s without text", what)
	}
	if what == "about" {
		p.f.About = append(p.f.About, text)
		return nil
	}
	if p.f.Title != "" {
		return errors.New("a second title")
	}
	p.f.Title = text
	return nil
}

// lines reads a text that ends before a line that is end alone. The blanks before that line are taken off each line.
func (p *parser) lines(end string) (string, error) {
	if end == "" {
		return "", errors.New("<< needs a word that ends the text")
	}
	var all []string
	size := 0
	for p.in.Scan() {
		p.line++
		line := p.in.Text()
		if strings.TrimLeft(line, " \t") == end {
			indent := line[:len(line)-len(end)]
			for i := range all {
				all[i] = strings.TrimPrefix(all[i], indent) + "\r\n"
			}
			return strings.Join(all, ""), nil
		}
		if size += len(line); size > maxLine {
			return "", fmt.Errorf("the text of <<%s is longer than %d bytes", end, maxLine)
		}
		all = append(all, line)
	}
	return "", fmt.Errorf("no line %s ends the text", end)
}

// setting takes a statement about the capture as a whole.
func (p *parser) setting(what string, args []token) error {
	f := p.f
	if what == "interface" {
		return p.iface(args)
	}
	if len(args) != 1 {
		return fmt.Errorf("%s takes one value", what)
	}
	v := args[0].text
	switch what {
	case "start":
		return p.start(v)
	case "link":
		l, err := parseLink(args[0])
		for i := range f.links {
			f.links[i] = l
		}
		return err
	case "format":
		f.ng = v == "pcapng"
		return oneOf(what, v, "pcap", "pcapng")
	case "resolution":
		f.micro = v == "us"
		return oneOf(what, v, "ns", "us")
	}
	n, err := number(v, 1, 262144)
	if err != nil {
		return fmt.Errorf("snaplen: %w", err)
	}
	f.snaplen = n
	return nil
}

func (p *parser) start(v string) error {
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || t.Year() < 1970 || t.Year() > 2105 {
		return fmt.Errorf("start %s: want a time like 2026-01-15T12:00:01Z", v)
	}
	p.f.start = t.UTC()
	return nil
}

func oneOf(what, v, a, b string) error {
	if v != a && v != b {
		return fmt.Errorf("%s %s: want %s or %s", what, v, a, b)
	}
	return nil
}

func (p *parser) iface(args []token) error {
	if len(args) != 2 {
		return errors.New("interface takes a number and a link type")
	}
	n, err := number(args[0].text, 0, maxInterfaces-1)
	if err != nil {
		return fmt.Errorf("interface: %w", err)
	}
	p.f.ng = true
	p.f.links[n], err = parseLink(args[1])
	return err
}

// tunnel reads "LAYER/LAYER/... [mtu=BYTES] [iface=N]".
func (p *parser) tunnel(args []token) error {
	if len(args) == 0 || args[0].key != "" {
		return errors.New("tunnel takes layers parted by slashes")
	}
	var mtu, iface int
	var err error
	for _, t := range args[1:] {
		switch t.key {
		case "mtu":
			mtu, err = number(t.text, minMTU, 65535)
		case "iface":
			iface, err = number(t.text, 0, maxInterfaces-1)
		default:
			err = fmt.Errorf("tunnel has no key or flag %q", t.key+t.text)
		}
		if err != nil {
			return err
		}
	}
	p.f.tunnels[iface], err = ParseTunnels(args[0].text, mtu)
	return err
}

// parseLink reads a link type: ethernet, vlan=100,200, sll, sll2, raw, null.
func parseLink(t token) (link, error) {
	if t.key == "vlan" {
		l := link{kind: capture.LinkEthernet}
		for v := range strings.SplitSeq(t.text, ",") {
			n, err := number(v, 1, 4094)
			if err != nil || len(l.vlans) == 2 {
				return link{}, fmt.Errorf("vlan=%s: want one or two numbers from 1 to 4094", t.text)
			}
			l.vlans = append(l.vlans, uint16(n))
		}
		return l, nil
	}
	switch t.text {
	case "ethernet":
		return link{kind: capture.LinkEthernet}, nil
	case "sll":
		return link{kind: capture.LinkSLL}, nil
	case "sll2":
		return link{kind: capture.LinkSLL2}, nil
	case "raw":
		return link{kind: capture.LinkRaw}, nil
	case "null":
		return link{kind: capture.LinkNull}, nil
	}
	return link{}, fmt.Errorf("link type %q: want ethernet, vlan=ID, sll, sll2, raw or null", t.text)
}

// number reads a decimal number within bounds.
func number(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q: want a number from %d to %d", s, low, high)
	}
	return n, nil
}

func (p *parser) host(args []token) error {
	if len(args) < 2 || args[0].key != "" || args[1].key != "" {
		return errors.New("host takes a name and an address")
	}
	name := args[0].text
	if !isKey(name) || isMethod(name) && len(name) > 1 || p.findHost(name) != nil {
		return fmt.Errorf("host %q: want a new name of letters, digits, . - _ that is no method", name)
	}
	if len(p.f.hosts) == maxHosts {
		return fmt.Errorf("more than %d hosts", maxHosts)
	}
	addr, err := parseAddr(args[1].text)
	if err != nil {
		return err
	}
	h := &host{name: name, index: len(p.f.hosts), addr: addr}
	h.rtp = uint16(10000 + 2*h.index)
	for _, t := range args[2:] {
		if err := h.set(t); err != nil {
			return err
		}
	}
	if h.user == "" {
		h.user = "sip:" + name + "@" + h.ip()
	}
	_, rest, _ := strings.Cut(h.user, ":")
	h.domain = rest[strings.LastIndexByte(rest, '@')+1:]
	if i := strings.IndexAny(h.domain, ";?"); i >= 0 {
		h.domain = h.domain[:i]
	}
	p.f.hosts = append(p.f.hosts, h)
	return nil
}

// parseAddr reads an address with or without port; the port is 5060 when not given.
func parseAddr(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a, defaultPort), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 || ap.Addr().Zone() != "" {
		return ap, fmt.Errorf("address %q: want 10.0.0.1, 10.0.0.1:5070, 2001:db8::1 or [2001:db8::1]:5070", s)
	}
	return ap, nil
}

// set takes a flag or key of a host.
func (h *host) set(t token) error {
	switch t.key {
	case "":
		return h.flag(t.text)
	case "user":
		if !strings.Contains(t.text, ":") {
			return fmt.Errorf("user=%s: want a URI such as sip:joe@a.com", t.text)
		}
		h.user = t.text
	case "name":
		h.disp = t.text
	case "agent":
		h.agent = t.text
	case "sent-by":
		h.sentBy = t.text
	case "rtp":
		n, err := number(t.text, 1, 65535)
		if err != nil {
			return fmt.Errorf("rtp: %w", err)
		}
		h.rtp = uint16(n)
	case "transport":
		if t.text != "udp" && t.text != "tcp" {
			return fmt.Errorf("transport=%s: want udp or tcp", t.text)
		}
		if t.text == "tcp" {
			h.flags |= isTCP
		}
	default:
		return fmt.Errorf("a host has no key %s", t.key)
	}
	return nil
}

func (h *host) flag(name string) error {
	switch name {
	case "proxy":
		h.flags |= isProxy
	case "record-route":
		h.flags |= isProxy | isRecordRoute
	case "strict":
		h.flags |= isProxy | isRecordRoute | isStrict
	case "rfc2543":
		h.flags |= isRFC2543
	case "rport":
		h.flags |= isRPort
	default:
		return fmt.Errorf("a host has no flag %q", name)
	}
	return nil
}

func (p *parser) findHost(name string) *host {
	if i := slices.IndexFunc(p.f.hosts, func(h *host) bool { return h.name == name }); i >= 0 {
		return p.f.hosts[i]
	}
	return nil
}

func (p *parser) findCall(name string) *call {
	if i := slices.IndexFunc(p.f.calls, func(c *call) bool { return c.name == name }); i >= 0 {
		return p.f.calls[i]
	}
	return nil
}

// call reads "call NAME from HOST to HOST [callid=ID]".
func (p *parser) call(args []token) error {
	if len(args) < 5 || args[1].text != "from" || args[3].text != "to" {
		return errors.New("want: call NAME from HOST to HOST [callid=ID]")
	}
	c := &call{name: args[0].text, index: len(p.f.calls), from: p.findHost(args[2].text), to: p.findHost(args[4].text)}
	switch {
	case c.from == nil:
		return fmt.Errorf("no host %q", args[2].text)
	case c.to == nil:
		return fmt.Errorf("no host %q", args[4].text)
	case p.findCall(c.name) != nil:
		return fmt.Errorf("a second call %q", c.name)
	}
	c.id = ident(16, p.f.Name, "call", c.name) + "@" + c.from.ip()
	for _, t := range args[5:] {
		if t.key != "callid" {
			return fmt.Errorf("a call has no key or flag %q", t.key+t.text)
		}
		c.id = t.text
	}
	p.f.calls = append(p.f.calls, c)
	return nil
}
