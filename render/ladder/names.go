package ladder

import (
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/decode/sip"
)

// role is what a participant was seen to do, weakest first. A stronger one wins, of equals the first.
type role uint8

const (
	roleNone   role = iota
	roleTarget      // a request was sent to it
	roleUser        // it began a call, or answered one itself
	roleProxy       // it passed on a request that it got
	roleB2BUA       // it got a request in one call and began another that was joined with it
	roleAlias       // the operator named it
)

// naming collects the roles and names of the columns.
type naming struct {
	b     *builder
	role  []role
	label []string
	got   []map[uint32]bool // by column: the groups of calls whose first request it got
}

func (n *naming) set(col int, r role, label string) {
	if r > n.role[col] || r == n.role[col] && n.label[col] == "" {
		n.role[col], n.label[col] = r, label
	}
}

// nameColumns gives every column its label. A name is given only for a reason that the messages show; what cannot be
// told stays with its address.
func (b *builder) nameColumns() {
	n := naming{
		b: b, role: make([]role, len(b.out.Columns)), label: make([]string, len(b.out.Columns)),
		got: make([]map[uint32]bool, len(b.out.Columns)),
	}
	for ci := range b.calls {
		n.call(ci)
	}
	n.aliases()
	n.finish()
}

// pass follows a request on its path: which columns it reached.
type pass struct {
	reached uint64 // bit i: column i
	routes  [maxColumns]int
	vias    [maxColumns]uint16
}

// passKey is a request of a call. Each side of a dialog numbers its own (RFC 3261 12.2.1.1).
type passKey struct {
	cseq   uint32
	callee bool // its From tag is a callee's
}

// calleeTags gives the tags of those who answered a call and did not call themselves.
func calleeTags(c *correlate.Call) map[string]bool {
	tags := map[string]bool{}
	for i := range c.Dialogs {
		tags[c.Dialogs[i].CalleeTag] = true
	}
	for i := range c.Dialogs {
		delete(tags, c.Dialogs[i].CallerTag)
	}
	delete(tags, "")
	return tags
}

func (n *naming) call(ci int) {
	b, c := n.b, &n.b.calls[ci]
	path := map[passKey]*pass{}
	callees := calleeTags(c)
	for mi := range c.Messages {
		m, f := &c.Messages[mi], &b.facts[ci][mi]
		if m.Repeats >= 0 {
			continue
		}
		from, to := b.cols[m.Src], b.cols[m.Dst]
		if mi == 0 {
			n.first(ci, m, f, from, to)
		}
		if m.Method != c.Method || m.Method == sip.MethodAck.String() {
			continue
		}
		key := passKey{m.CSeq, callees[f.fromTag]}
		p := path[key]
		if p == nil {
			if len(path) == maxColumns {
				continue // enough to name everybody
			}
			p = &pass{}
			path[key] = p
		}
		if m.Status == 0 {
			n.request(p, f, from, to)
		} else {
			n.response(ci, p, m, f, from)
		}
	}
}

// first names both ends of the call's first message: the caller, and for want of better knowledge its peer.
func (n *naming) first(ci int, m *correlate.Message, f *fact, from, to int) {
	c := &n.b.calls[ci]
	if m.Status != 0 {
		from, to = to, from
	}
	inGroup := c.Group != 0 && n.got[from][c.Group]
	switch {
	case inGroup:
		n.set(from, roleB2BUA, "b2bua")
	case f.vias > 1 && m.Status == 0:
		n.set(from, roleProxy, f.viaHost)
	default:
		n.set(from, roleUser, partyName(&c.From))
	}
	if from == to {
		return
	}
	if c.Group != 0 {
		if n.got[to] == nil {
			n.got[to] = map[uint32]bool{}
		}
		n.got[to][c.Group] = true
	}
	n.set(to, roleTarget, n.target(c, f, to))
}

// target names who a request was sent to, before anything came back.
func (n *naming) target(c *correlate.Call, f *fact, to int) string {
	switch {
	case c.Method == sip.MethodRegister.String():
		if f.host != "" && !isIP(f.host) {
			return f.host
		}
		return "registrar"
	case n.hasHost(to, f.host) && f.user != "":
		return f.user
	default:
		return partyName(&c.To)
	}
}

// request marks who passes a request on: what a column had received leaves it again.
func (n *naming) request(p *pass, f *fact, from, to int) {
	bit := uint64(1) << from
	if p.reached&bit != 0 && from != to {
		switch {
		case f.read && p.vias[from] > 0 && f.vias <= 1:
			n.set(from, roleB2BUA, "b2bua") // the same Call-ID, but the path starts anew (RFC 7092 3.1)
		case isIP(f.viaHost):
			n.set(from, roleProxy, "")
		default:
			n.set(from, roleProxy, f.viaHost)
		}
	}
	p.reached |= 1 << to
	p.routes[to], p.vias[to] = f.routes, f.vias
	if n.role[to] < roleUser && f.user != "" {
		n.set(to, roleTarget, f.user)
	}
}

// response names who answered. An element whose response carries a Record-Route that its request did not have stands
// for others (RFC 3261 16.6 step 4); a 407 is a proxy's (RFC 3261 22.3); an answer from the address that Contact names
// is the user's own.
func (n *naming) response(ci int, p *pass, m *correlate.Message, f *fact, from int) {
	c := &n.b.calls[ci]
	bit := uint64(1) << from
	switch {
	case p.reached == 0:
		n.set(from, roleTarget, partyName(&c.To))
	case p.reached&bit == 0:
		// Nothing was sent there: who it is cannot be told.
	case m.Status >= 300 && m.Status < 400:
		n.set(from, roleProxy, "redirect")
	case m.Status == 407, f.read && f.routes > p.routes[from]:
		n.set(from, roleProxy, "")
	case m.Status > 100 && m.Status < 300 && m.Method != sip.MethodRegister.String():
		n.set(from, roleUser, n.answerer(c, f, from))
	}
}

// answerer names who sent a provisional or successful response: the label it was called by, or the To user.
func (n *naming) answerer(c *correlate.Call, f *fact, col int) string {
	if n.hasHost(col, f.contact) || n.label[col] == "" {
		return partyName(&c.To)
	}
	return n.label[col]
}

// hasHost reports whether a host of a URI is one of the column's addresses.
func (n *naming) hasHost(col int, host string) bool {
	host = strings.Trim(host, "[]")
	for _, e := range n.b.out.Columns[col].Endpoints {
		if e.Host() == host {
			return true
		}
	}
	return false
}

func (n *naming) aliases() {
	if len(n.b.opts.Aliases) == 0 {
		return
	}
	for i := range n.b.out.Columns {
		c := &n.b.out.Columns[i]
		for _, e := range c.Endpoints {
			if a, ok := n.b.opts.Aliases[e.String()]; ok {
				n.set(i, roleAlias, a)
			}
		}
		for _, e := range c.Endpoints {
			if a, ok := n.b.opts.Aliases[e.Host()]; ok {
				n.set(i, roleAlias, a)
			}
		}
	}
}

// finish numbers what has no name of its own: proxy A, proxy B.
func (n *naming) finish() {
	proxies := 0
	for i := range n.role {
		if n.role[i] == roleProxy && (n.label[i] == "" || isIP(n.label[i])) {
			n.label[i] = ""
			proxies++
		}
	}
	nth := 0
	for i := range n.b.out.Columns {
		c := &n.b.out.Columns[i]
		if c.Others > 0 {
			continue
		}
		c.Label = clip(n.label[i])
		if n.role[i] == roleProxy && c.Label == "" {
			c.Label = "proxy"
			if proxies > 1 {
				c.Label += " " + letter(nth)
			}
			nth++
		}
		if strings.Trim(c.Label, "[]") == c.Address {
			c.Label = ""
		}
	}
}

func letter(i int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if i < len(letters) {
		return letters[i : i+1]
	}
	return strconv.Itoa(i + 1)
}

// partyName is the user of a From or To, or the host.
func partyName(p *correlate.Party) string {
	switch {
	case p.User != "":
		return p.User
	case p.Host != "":
		return p.Host
	default:
		return p.URI
	}
}

// partyText is user@host, or what there is of it.
func partyText(p *correlate.Party) string {
	switch {
	case p.User != "" && p.Host != "":
		return clip(p.User + "@" + p.Host)
	default:
		return clip(partyName(p))
	}
}
