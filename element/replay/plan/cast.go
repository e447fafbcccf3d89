package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// host is a Host while it is made, and what it was seen to do.
type host struct {
	Host
	places    []int
	forwarded int    // requests that it passed on, as a proxy or in another leg
	legs      bool   // it began a leg that follows from one that it received
	registers int    // REGISTERs that it answered with a final response
	peers     []bool // by host: they exchanged messages
	spoke     bool   // it wrote a message itself
	asked     string // user of the first Request-URI that reached it
	own       string // user of the first Request-URI that named its own address
	alias     string
}

// gather makes hosts of the joined places, and says of each event between which hosts it went.
func (k *maker) gather() error {
	if len(k.events) == 0 {
		return fmt.Errorf("%w: no message has a whole text", ErrNothing)
	}
	of := map[int]int{}
	for i := range k.events {
		e := &k.events[i]
		for _, p := range []int{e.src, e.dst} {
			root := k.places.find(p)
			if _, ok := of[root]; !ok {
				of[root] = len(k.hosts)
				k.hosts = append(k.hosts, host{Host: Host{Proto: e.proto}})
			}
		}
		e.from, e.to = of[k.places.find(e.src)], of[k.places.find(e.dst)]
	}
	if len(k.hosts) > MaxHosts {
		return fmt.Errorf("%w: %d participants, at most %d", ErrTooLarge, len(k.hosts), MaxHosts)
	}
	for p, at := range k.places.at {
		h := &k.hosts[of[k.places.find(p)]]
		h.At = append(h.At, at.AddrPort())
		h.places = append(h.places, p)
	}
	for i := range k.hosts {
		k.hosts[i].peers = make([]bool, len(k.hosts))
	}
	k.again()
	k.roles()
	k.nameHosts()
	return nil
}

// again finds messages that the capture has on both sides of a NAT: the same one from the same element to the same, but
// at other addresses.
func (k *maker) again() {
	type sight struct {
		txn      txnKey
		status   uint16
		toTag    string
		from, to int
		request  bool
	}
	type pair struct{ src, dst int }
	seen := map[sight]pair{}
	for i := range k.events {
		e := &k.events[i]
		if e.branch == "" {
			continue
		}
		key := sight{e.txn(), e.msg.Status, e.toTag, e.from, e.to, e.msg.Request}
		first, ok := seen[key]
		switch {
		case !ok:
			seen[key] = pair{e.src, e.dst}
		case first != pair{e.src, e.dst}:
			e.fate = fateDuplicate
			k.plan.Counts.Duplicates++
		}
	}
}

// roles notes what each host was seen to do.
func (k *maker) roles() {
	reached := map[string][]bool{} // by group: hosts that a request that makes a dialog reached
	for i := range k.events {
		e := &k.events[i]
		from, to := &k.hosts[e.from], &k.hosts[e.to]
		from.peers[e.to], to.peers[e.from] = true, true
		if e.forwards >= 0 {
			from.Proxy = true
			if e.msg.Request {
				from.forwarded++
			}
		} else if k.origin(e) {
			from.spoke = true
		}
		if !e.msg.Request {
			if e.msg.MethodID == sip.MethodRegister && e.msg.Status >= 200 && e.forwards < 0 {
				from.registers++
			}
			continue
		}
		if to.asked == "" && e.msg.Vias <= 1 {
			to.asked = userOf(e.msg.URI.Of(e.raw))
		}
		if uri := e.msg.URI.Of(e.raw); to.own == "" && e.toTag == "" && to.owns(uri) {
			to.own = userOf(uri)
		}
		k.leg(e, reached)
	}
	for i := range k.events {
		k.users(&k.events[i])
	}
}

// leg notes who begins a leg that follows from one that it received (RFC 7092 3.1): with a Call-ID that was joined with
// the other's, or with the same Call-ID and a path that starts anew.
func (k *maker) leg(e *event, reached map[string][]bool) {
	if e.msg.MethodID != sip.MethodInvite || e.toTag != "" {
		return
	}
	keys := []string{"c" + strconv.Itoa(e.call)}
	if g := groupOf(&k.calls[e.call]); g != "" {
		keys = append(keys, "g"+g)
	}
	relation := k.calls[e.call].Relation
	follows := false
	for i, key := range keys {
		if reached[key] == nil {
			reached[key] = make([]bool, len(k.hosts))
		}
		// A user agent that is transferred, or that transfers, calls somebody else of its own will.
		if i == 0 || relation != "transfer" && relation != "replaces" {
			follows = follows || reached[key][e.from]
		}
		reached[key][e.to] = true
	}
	if follows && e.forwards < 0 && e.msg.Vias <= 1 && e.from != e.to {
		k.hosts[e.from].legs = true
		k.hosts[e.from].forwarded++
	}
}

// users notes whom a host spoke for: From of a request that it wrote, To of a response.
func (k *maker) users(e *event) {
	h := &k.hosts[e.from]
	if !k.origin(e) || h.Proxy || h.legs || !e.msg.Request && (e.msg.Status == 100 || e.msg.Status == 407) {
		return
	}
	who := e.msg.From.User
	if !e.msg.Request {
		who = e.msg.To.User
	}
	user := string(who.Of(e.raw))
	if user != "" && len(h.Users) < maxUsers && !slices.Contains(h.Users, user) {
		h.Users = append(h.Users, user)
	}
}

// maxUsers bounds Host.Users.
const maxUsers = 32

func userOf(uri []byte) string {
	u, _ := sip.ParseURI(uri)
	return string(u.User)
}

// nameHosts gives every host a name that is short, unique and safe to type: an alias, the user that a user agent speaks
// for, or what the host does.
func (k *maker) nameHosts() {
	proxies := 0
	for i := range k.hosts {
		if k.hosts[i].Proxy && !k.hosts[i].legs {
			proxies++
		}
	}
	taken, shared := map[string]bool{}, map[string]int{}
	for i := range k.hosts {
		if h := &k.hosts[i]; len(h.Users) > 0 {
			shared[h.Users[0]]++
		}
	}
	nth := 0
	for i := range k.hosts {
		h := &k.hosts[i]
		h.Names = k.names(h, i)
		h.alias = k.alias(h)
		name := k.label(h, shared)
		if h.Proxy && !h.legs && h.alias == "" {
			if nth++; proxies > 1 && nth <= 26 {
				name += string(rune('A' + nth - 1))
			}
		}
		h.Name = unique(name, taken)
	}
}

// unique adds a number to a name that is taken, whatever its case.
func unique(name string, taken map[string]bool) string {
	base := name[:min(len(name), maxName-5)]
	if c := base[len(base)-1]; c >= '0' && c <= '9' {
		base += "-"
	}
	for n := 2; taken[strings.ToLower(name)]; n++ {
		name = base + strconv.Itoa(n)
	}
	taken[strings.ToLower(name)] = true
	return name
}

// label is what a host would be called if no other were called so.
func (k *maker) label(h *host, shared map[string]int) string {
	var user string
	switch {
	case h.alias != "":
		return nameOf(h.alias)
	case h.legs:
		return "b2bua"
	case h.Proxy:
		return "proxy"
	case h.registers > 0:
		return "registrar"
	case len(h.Users) > 0:
		user = h.Users[0]
		if shared[user] > 1 && nameOf(h.own) != "" {
			user = h.own // several answer for one address of record: each has a name of its own
		}
	default:
		user = h.asked
	}
	if name := nameOf(user); name != "" {
		return name
	}
	return "host"
}

// alias is what the operator calls a host, by an address that it was seen at or that it calls itself by: over TCP it was seen
// where the kernel had it connect from.
func (k *maker) alias(h *host) string {
	at := slices.Clone(h.At)
	for _, name := range h.Names {
		if place, err := netip.ParseAddrPort(name); err == nil {
			at = append(at, place)
		}
	}
	for _, at := range at {
		if a := k.o.Aliases[at.String()]; nameOf(a) != "" {
			return a
		}
	}
	for _, at := range at {
		if a := k.o.Aliases[at.Addr().String()]; nameOf(a) != "" {
			return a
		}
	}
	return ""
}

// maxName bounds Host.Name.
const maxName = 32

// nameOf makes a name of a text: what a person can type as one word, and a flag can tell from an address.
func nameOf(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if b.Len() == maxName {
			break
		}
		switch {
		case nameByte(c):
			b.WriteByte(c)
		case c == ' ' && b.Len() > 0:
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-.")
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// maxNames bounds Host.Names.
const maxNames = 16

// names lists what a host calls itself beyond its addresses: sent-by of its Vias, host and port of its Contacts.
func (k *maker) names(h *host, index int) []string {
	var names []string
	add := func(hostPort string) {
		known := hostPort == "" || h.seenAt(hostPort) || slices.Contains(names, hostPort)
		if !known && len(names) < maxNames && !k.another(hostPort, index) {
			names = append(names, hostPort)
		}
	}
	for i := range k.events {
		e := &k.events[i]
		if e.from != index {
			continue
		}
		if e.msg.Request {
			add(e.sentBy)
		}
		if k.origin(e) && h.ownContact(e) {
			add(e.contact())
		}
	}
	return names
}

// seenAt reports whether a text is an address that the host was seen at, with or without its port.
func (h *host) seenAt(hostPort string) bool {
	return slices.ContainsFunc(h.At, func(at netip.AddrPort) bool {
		a := at.Addr().String()
		return hostPort == at.String() || hostPort == a || hostPort == "["+a+"]"
	})
}

// ownContact reports whether the Contact of a message that the host made is its own place: a registrar's is that of who
// registered, and a 3xx names others.
func (h *host) ownContact(e *event) bool {
	return !h.Proxy && h.registers == 0 && (e.msg.Request || e.msg.Status < 300)
}

// another reports whether a host and port are where another host was seen: who registers somebody else names them.
func (k *maker) another(hostPort string, index int) bool {
	at, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		a, err := netip.ParseAddr(strings.Trim(hostPort, "[]"))
		if err != nil {
			return false
		}
		at = netip.AddrPortFrom(a, k.hosts[index].Proto.DefaultPort())
	}
	p, ok := k.places.index[frame.FromAddrPort(at)]
	return ok && !slices.Contains(k.hosts[index].places, p)
}

// contact is host and port of Contact, in lower case; "" without one.
func (e *event) contact() string {
	c := &e.msg.Contact
	name := strings.ToLower(string(c.Host.Of(e.raw)))
	if name != "" && c.Port != 0 {
		name += ":" + strconv.Itoa(int(c.Port))
	}
	return name
}

// is reports whether a text of the operator names the host: by name, alias, address, or address and port.
func (h *host) is(s string) bool {
	if s == h.Name || s == h.alias || strings.EqualFold(s, h.Name) || slices.Contains(h.Names, strings.ToLower(s)) {
		return s != ""
	}
	for _, at := range h.At {
		if s == at.String() || strings.Trim(s, "[]") == at.Addr().String() {
			return true
		}
	}
	return false
}

// find gives the host that a text of the operator names.
func (k *maker) find(s string) (int, error) {
	found := -1
	for i := range k.hosts {
		if !k.hosts[i].is(s) {
			continue
		}
		if found >= 0 {
			return 0, fmt.Errorf("%w: %q may be %s or %s; add the port", ErrSUT, s, k.describe(found), k.describe(i))
		}
		found = i
	}
	if found < 0 {
		var all []string
		for i := range k.hosts[:min(len(k.hosts), maxEach)] {
			all = append(all, k.describe(i))
		}
		return 0, fmt.Errorf("%w: %q; the calls have %s", ErrSUT, s, strings.Join(all, ", "))
	}
	return found, nil
}

func (k *maker) describe(host int) string {
	h := &k.hosts[host]
	return h.Name + " (" + h.At[0].String() + ")"
}

// relation says how a call was joined, with "" for one that was not.
func relation(c *correlate.Call) string {
	if c.Group == 0 {
		return ""
	}
	return c.Relation
}
