package diff

import (
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/frame"
)

// person is a participant of one side.
type person struct {
	name     string // of Flow.Who, else empty
	at       []frame.Endpoint
	parent   int    // who the flow came to it from, or who it came to; -1 for the first of all
	intro    string // the message that it appeared with, and on which end
	passes   bool   // it received and sent requests of one method
	profile  map[string]int
	children []int
	partner  int // person of the other side, -1 for none
	who      int // index into Result.Who
}

// union joins endpoints, and names of endpoints, that are one participant.
type union struct {
	of     map[any]int
	parent []int
}

func (u *union) node(k any) int {
	n, ok := u.of[k]
	if !ok {
		n = len(u.parent)
		u.of[k] = n
		u.parent = append(u.parent, n)
	}
	return n
}

func (u *union) root(n int) int {
	for u.parent[n] != n {
		u.parent[n] = u.parent[u.parent[n]]
		n = u.parent[n]
	}
	return n
}

func (u *union) join(a, b any) { u.parent[u.root(u.node(a))] = u.root(u.node(b)) }

// alias is a name that an address is known by.
type alias struct {
	addr netip.Addr
	name string
}

// meet finds the participants: endpoints are one participant when Flow.Who says so, when a request from one names the
// other as its sent-by (RFC 3261 18.1.1: a client on TCP sends from a port of its own), and when a response takes
// another port of the same address than its request did (18.2.2). Ports of one address that nothing joins are
// participants of their own: a lab has all of them on one host.
func (s *side) meet() {
	u := &union{of: make(map[any]int)}
	wire := make(map[frame.Endpoint]bool)
	for i := range s.events {
		wire[s.events[i].src], wire[s.events[i].dst] = true, true
	}
	for i := range s.events {
		e := &s.events[i]
		if e.request() {
			sentBy(u, e, wire)
			continue
		}
		if r := s.exchanges[e.exchange].request; r >= 0 {
			q := &s.events[r]
			if q.dst.SameHost(e.src) {
				u.join(e.src, q.dst)
			}
			if q.src.SameHost(e.dst) {
				u.join(e.dst, q.src)
			}
		}
	}
	if s.flow.Who != nil {
		for e := range wire {
			if name := s.flow.Who(e); name != "" {
				u.join(e, name)
			}
		}
	}
	s.enlist(u)
	s.introduce()
}

// sentBy joins the source of a request with what its top Via calls it.
func sentBy(u *union, e *event, wire map[frame.Endpoint]bool) {
	if e.facts.sentBy == "" {
		return
	}
	host, port := splitHost(e.facts.sentBy)
	if port == "" {
		port = "5060"
		if e.transport.String() == "TLS" {
			port = "5061"
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	own := e.src
	own.Port = uint16(n)
	switch a, bad := netip.ParseAddr(strings.Trim(host, "[]")); {
	case err != nil || own == e.dst:
	case bad == nil && a.Unmap() == e.src.Addr().Unmap():
		u.join(e.src, own)
	default:
		u.join(e.src, alias{e.src.Addr(), e.facts.sentBy})
		if bad != nil && wire[own] {
			u.join(e.src, own)
		}
	}
}

// splitHost cuts host[:port]; IPv6 keeps its brackets.
func splitHost(t string) (host, port string) {
	end := strings.LastIndexByte(t, ':')
	if end < 0 || end < strings.LastIndexByte(t, ']') || !strings.HasSuffix(t[:end], "]") && strings.Count(t, ":") > 1 {
		return t, ""
	}
	return strings.TrimSpace(t[:end]), strings.TrimSpace(t[end+1:])
}

// enlist makes the participants in the order in which the flow reaches them.
func (s *side) enlist(u *union) {
	of := make(map[int]int)
	seen := make(map[frame.Endpoint]bool)
	enter := func(e frame.Endpoint) int {
		root := u.root(u.node(e))
		p, ok := of[root]
		if !ok {
			p = len(s.people)
			of[root] = p
			s.people = append(s.people, person{parent: -1, partner: -1, profile: make(map[string]int)})
		}
		if !seen[e] {
			seen[e] = true
			s.people[p].at = append(s.people[p].at, e)
			if s.flow.Who != nil && s.people[p].name == "" {
				s.people[p].name = s.flow.Who(e)
			}
		}
		return p
	}
	for i := range s.events {
		e := &s.events[i]
		e.from = enter(e.src)
		e.to = enter(e.dst)
	}
	for i := range s.exchanges {
		x := &s.exchanges[i]
		if x.request >= 0 { // it may not be the first: captures of several taps are not in order
			x.from, x.to = s.events[x.request].from, s.events[x.request].to
			continue
		}
		first := &s.events[x.events[0]]
		if x.from, x.to = first.from, first.to; !first.request() {
			x.from, x.to = first.to, first.from
		}
	}
}

// introduce notes how each participant came into the flow, and what it does.
func (s *side) introduce() {
	met := make([]bool, len(s.people))
	received := make(map[int]map[string]bool)
	for i := range s.events {
		e := &s.events[i]
		kind := e.method
		if !e.request() {
			kind = strconv.Itoa(int(e.status)) + " " + e.method
		}
		s.arrive(met, e.from, e.to, kind+" by")
		s.arrive(met, e.to, e.from, kind+" to")
		s.people[e.from].profile["by "+kind]++
		s.people[e.to].profile["to "+kind]++
		if !e.request() || e.facts.toTag != 0 {
			continue
		}
		if received[e.to] == nil {
			received[e.to] = make(map[string]bool)
		}
		received[e.to][e.method] = true
		if received[e.from][e.method] {
			s.people[e.from].passes = true
		}
	}
}

// arrive notes the first event of p, whose other end is q.
func (s *side) arrive(met []bool, p, q int, intro string) {
	if met[p] {
		return
	}
	met[p] = true
	s.people[p].intro = intro
	if p != q && met[q] {
		s.people[p].parent = q
		s.people[q].children = append(s.people[q].children, p)
	}
}
