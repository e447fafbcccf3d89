package plan

import (
	"bytes"
	"net/netip"
	"strconv"

	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// places are the recorded addresses, joined into sets that belong to one element each.
type places struct {
	index  map[frame.Endpoint]int
	at     []frame.Endpoint
	parent []int
}

func (p *places) place(e frame.Endpoint) int {
	i, ok := p.index[e]
	if !ok {
		i = len(p.at)
		p.index[e] = i
		p.at = append(p.at, e)
		p.parent = append(p.parent, i)
	}
	return i
}

// find gives the first place of the set that i belongs to.
func (p *places) find(i int) int {
	for p.parent[i] != i {
		p.parent[i] = p.parent[p.parent[i]]
		i = p.parent[i]
	}
	return i
}

func (p *places) join(a, b int) {
	a, b = p.find(a), p.find(b)
	p.parent[max(a, b)] = min(a, b)
}

// known finds the place that a host and port of a message name; false when nothing was sent from or to there.
func (p *places) known(host []byte, port uint16, proto transport.Proto) (int, bool) {
	addr, err := netip.ParseAddr(string(bytes.Trim(host, "[]")))
	if err != nil {
		return 0, false
	}
	if port == 0 {
		port = proto.DefaultPort()
	}
	i, ok := p.index[frame.FromAddrPort(netip.AddrPortFrom(addr, port))]
	return i, ok
}

// merge finds which addresses belong to one element. Two addresses are one element's when
//   - a message came in at one and its copy, with a Via more or less, went out at the other (RFC 3261 16.6, 16.7): a proxy;
//   - one's Via names the other as where its responses go (18.1.1);
//   - a request went to one and its response came from the other (18.2.2);
//   - they share the IP address and one names itself by the other's port in Contact, or both by the same Via sent-by;
//   - they share the IP address, an INVITE came to one, and the other sent the leg that follows from it.
//
// Sharing an IP address is not enough: tests often have all elements on one.
func (k *maker) merge() {
	k.places = places{index: map[frame.Endpoint]int{}}
	for i := range k.events {
		e := &k.events[i]
		m := k.recorded(e)
		e.src, e.dst = k.places.place(m.Src), k.places.place(m.Dst)
	}
	k.forwarding()
	k.bySentBy()
	k.byTransaction()
	k.byContact()
	k.byLeg()
}

// hopKey is what the copies of a message have in common, with the branch that ties two hops together.
type hopKey struct {
	call   int
	cseq   uint32
	method string
	status uint16
	toTag  string
	branch string
}

// forwarding finds the copies that proxies send on: a request whose second Via is the one that came in, a response
// whose top Via was the second one when it came in.
func (k *maker) forwarding() {
	came := make(map[hopKey]int, len(k.events))
	for i := range k.events {
		e := &k.events[i]
		key := hopKey{call: e.call, cseq: e.msg.CSeq, method: e.method(), status: e.msg.Status}
		own, before := e.branch, e.below // of a request: its own branch, and that of what it copies
		if !e.msg.Request {
			own, before = e.below, e.branch
			key.toTag = e.toTag
		}
		if before != "" {
			key.branch = before
			if j, ok := came[key]; ok && k.events[j].src != e.src {
				e.forwards = j
				k.places.join(k.events[j].dst, e.src)
			}
		}
		if own != "" {
			key.branch = own
			came[key] = i
		}
	}
}

func (k *maker) bySentBy() {
	type named struct {
		host   frame.Endpoint // without its port
		sentBy string
	}
	seen := map[named]int{}
	for i := range k.events {
		e := &k.events[i]
		if !e.msg.Request || e.sentBy == "" {
			continue
		}
		v := &e.msg.Via
		if p, ok := k.places.known(v.Host.Of(e.raw), v.Port, e.proto); ok && p != e.dst {
			k.places.join(p, e.src)
		}
		key := named{host: k.places.at[e.src], sentBy: e.sentBy}
		key.host.Port = 0
		if p, ok := seen[key]; ok && p != e.dst {
			k.places.join(p, e.src)
		} else {
			seen[key] = e.src
		}
	}
}

// byTransaction joins where a request went to with where its response comes from.
func (k *maker) byTransaction() {
	asked := make(map[txnKey]int, len(k.events)) // place, -1 for several
	for i := range k.events {
		e := &k.events[i]
		key := e.txn() // without a branch, as RFC 2543 had it, Call-ID and CSeq tell enough when one alone was asked
		to, ok := asked[key]
		if e.msg.Request {
			if ok && to != e.dst {
				asked[key] = -1
			} else {
				asked[key] = e.dst
			}
		} else if ok && to >= 0 && to != e.dst && k.places.find(to) != k.places.find(e.dst) {
			k.places.join(to, e.src)
		}
	}
}

// byContact believes the Contact of who wrote it, about its own IP address only.
func (k *maker) byContact() {
	for i := range k.events {
		e := &k.events[i]
		if !k.origin(e) {
			continue
		}
		c := &e.msg.Contact
		p, ok := k.places.known(c.Host.Of(e.raw), c.Port, e.proto)
		if ok && p != e.dst && k.places.at[p].SameHost(k.places.at[e.src]) {
			k.places.join(p, e.src)
		}
	}
}

// origin reports whether the sender wrote the message itself, as far as the capture tells.
func (k *maker) origin(e *event) bool {
	if e.forwards >= 0 {
		return false
	}
	if e.msg.Request {
		return e.msg.Vias <= 1
	}
	return !bytes.Equal(e.msg.CSeqMethod.Of(e.raw), []byte("REGISTER"))
}

// byLeg joins where an INVITE ended with where the leg that follows from it began.
func (k *maker) byLeg() {
	ends := map[string][]int{} // by group: places that INVITEs went to
	for i := range k.events {
		e := &k.events[i]
		if !e.msg.Request || e.msg.MethodID != sip.MethodInvite || e.toTag != "" {
			continue
		}
		c := &k.calls[e.call]
		group := groupOf(c)
		if group == "" {
			continue
		}
		if e.msg.Vias <= 1 && c.Relation != "" {
			k.joinLeg(e, ends[group])
		}
		ends[group] = append(ends[group], e.dst)
		if len(ends[group]) > maxLegEnds {
			ends[group] = ends[group][1:]
		}
	}
}

// joinLeg joins the sender of a leg with the newest place on its IP address that an earlier leg ended at, unless it is one.
func (k *maker) joinLeg(e *event, ends []int) {
	best := -1
	for _, p := range ends {
		if k.places.find(p) == k.places.find(e.src) {
			return
		}
		if k.places.at[p].SameHost(k.places.at[e.src]) && k.places.find(p) != k.places.find(e.dst) {
			best = p
		}
	}
	if best >= 0 {
		k.places.join(best, e.src)
	}
}

// maxLegEnds bounds the search for where a leg comes from.
const maxLegEnds = 32

func groupOf(c *correlate.Call) string {
	if c.Group == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(c.Group), 10)
}
