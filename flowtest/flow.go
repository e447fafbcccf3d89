package flowtest

import (
	"fmt"
	"net/netip"
	"time"

	"sipscope/capture"
)

// Flow is a parsed flow description. It is not changed by what is made of it and may be used by several goroutines.
type Flow struct {
	Name   string        // of the file, without folder and ending
	Title  string        // what it shows, one line
	About  []string      // further explanation, lines
	Expect []Expectation // what must be found, in the order of the file

	file    string // as Parse got it, for errors
	start   time.Time
	ng      bool
	micro   bool
	snaplen int
	links   [maxInterfaces]link
	tunnels [maxInterfaces]*Tunnels
	hosts   []*host
	calls   []*call
	steps   []step
}

// maxInterfaces bounds the interfaces of a flow.
const maxInterfaces = 4

// FileName is the name of the flow's capture: NAME.pcap or NAME.pcapng.
func (f *Flow) FileName() string {
	if f.ng {
		return f.Name + ".pcapng"
	}
	return f.Name + ".pcap"
}

// Error is a mistake in a flow.
type Error struct {
	File string
	Line int // 1-based
	Err  error
}

// Error is "file:line: what is wrong".
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap gives what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// link says how the frames of an interface begin.
type link struct {
	kind  capture.LinkType
	vlans []uint16
}

// host is an element: a user agent, proxy or server.
type host struct {
	name   string
	index  int // 0-based, in the order of the file
	addr   netip.AddrPort
	user   string // address of record, "sip:joe@a.com"
	domain string // of user
	disp   string // display name
	agent  string // User-Agent or Server
	sentBy string // of Via; empty for its address
	rtp    uint16
	flags  hostFlags
}

type hostFlags uint8

const (
	isProxy hostFlags = 1 << iota
	isRecordRoute
	isStrict
	isRFC2543
	isRPort
	isTCP
)

func (h *host) is(f hostFlags) bool { return h.flags&f != 0 }

// hostPort is the address as a URI has it: the port only when it is not SIP's default.
func (h *host) hostPort() string {
	if h.addr.Port() != defaultPort {
		return h.addr.String()
	}
	return h.ip()
}

// ip is the address alone, IPv6 in brackets.
func (h *host) ip() string {
	if h.addr.Addr().Is6() {
		return "[" + h.addr.Addr().String() + "]"
	}
	return h.addr.Addr().String()
}

const defaultPort = 5060

// call is a Call-ID.
type call struct {
	name     string
	index    int
	from, to *host
	id       string
}

// step is one line of what happens.
type step struct {
	line  int
	at    time.Duration // since the start
	verb  string        // method, status code, or one of the lower-case verbs
	a, b  *host
	aPort uint16 // rtp only, 0 for the host's
	bPort uint16
	both  bool // "<>"
	words []token
	opts  []token
	call  *call
}

// has reports whether a flag word stands on the line.
func (s *step) has(flag string) bool {
	for _, w := range s.words {
		if !w.quoted && w.text == flag {
			return true
		}
	}
	return false
}

// opt gives the value of a key.
func (s *step) opt(key string) (string, bool) {
	for _, o := range s.opts {
		if o.key == key {
			return o.text, true
		}
	}
	return "", false
}

// text gives the value of a key, or def.
func (s *step) text(key, def string) string {
	if v, ok := s.opt(key); ok {
		return v
	}
	return def
}
