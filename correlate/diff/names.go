package diff

import (
	"net/netip"
	"strconv"
	"strings"

	"sipscope/correlate/compare"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// nobody is an address that several participants share.
const nobody = -1

// identities say what the addresses and identifiers of both sides stand for. What stands for the same thing has the same
// token on both sides: "P2" a participant, "F1" a host that is none (a media relay), "I7" an identifier.
type identities struct {
	rules    *Rules
	hosts    [2]map[netip.Addr]int // participant, or nobody
	ports    [2]map[netip.AddrPort]int
	names    [2]map[string]int // host names that participants give themselves in Via
	foreign  [2]map[netip.Addr]int
	media    map[netip.Addr]bool // that session descriptions and Contacts of A name, with Rules.Replayed
	contacts map[string]bool     // host names in Contacts of A, likewise
	seen     map[netip.Addr]bool // of A: messages came from there, or went there
	stand    standIns            // with Rules.Replayed
	words    [2]map[string]int
	targets  map[string]bool             // the values of Rules.Alias
	callers  [2]func(netip.AddrPort) int // Flow.Who: the participant at a place that no message came from or went to, or nobody
	named    [2]func(string) int         // Flow.Named, likewise
}

// nameIdentities names what is known before the messages are compared: participants and calls.
func (w *work) nameIdentities() {
	id := &w.ids
	id.rules, id.targets = w.rules, make(map[string]bool)
	for _, to := range w.rules.Alias {
		id.targets[strings.ToLower(to)] = true
	}
	for n, s := range w.sides {
		id.hosts[n], id.ports[n] = make(map[netip.Addr]int), make(map[netip.AddrPort]int)
		id.names[n], id.foreign[n] = make(map[string]int), make(map[netip.Addr]int)
		id.words[n] = make(map[string]int)
		id.callers[n], id.named[n] = s.callers()
		for p := range s.people {
			for _, e := range s.people[p].at {
				id.own(n, e, s.people[p].who)
			}
		}
		for i := range s.events {
			if e := &s.events[i]; e.request() && e.facts.sentBy != "" {
				id.call(n, e.facts.sentBy, e.from)
			}
		}
		w.out.names[n] = compare.Names{
			Place: func(host, port string) (string, bool) { return id.place(n, host, port) },
			Word:  func(text string) (string, bool) { return id.word(n, text) },
		}
	}
	if w.rules.Replayed {
		id.stand = standIns{of: make(map[string][]string), known: make(map[standKey]string), claims: make(map[string][]string)}
		id.media, id.contacts = w.mediaHosts()
		id.seen = w.sides[0].places()
	}
	for c, other := range w.sides[0].calls {
		if other >= 0 {
			id.bind(w.out.A.Calls[c].CallID, w.out.B.Calls[other].CallID)
		}
	}
}

// callers asks Flow.Who and Flow.Named for participants.
func (s *side) callers() (at func(netip.AddrPort) int, named func(string) int) {
	of := make(map[string]int)
	for p := range s.people {
		if name := s.people[p].name; name != "" {
			of[name] = s.people[p].who
		}
	}
	find := func(name string) int {
		if who, ok := of[name]; ok {
			return who
		}
		return nobody
	}
	at = func(netip.AddrPort) int { return nobody }
	if s.flow.Who != nil {
		at = func(place netip.AddrPort) int { return find(s.flow.Who(frame.FromAddrPort(place))) }
	}
	named = func(string) int { return nobody }
	if s.flow.Named != nil {
		named = func(host string) int { return find(s.flow.Named(host)) }
	}
	return at, named
}

// own notes that a participant is at an endpoint.
func (id *identities) own(side int, e frame.Endpoint, who int) {
	at := netip.AddrPortFrom(e.Addr().Unmap(), e.Port)
	id.ports[side][at] = who
	claim(id.hosts[side], at.Addr(), who)
}

func claim[K comparable](m map[K]int, k K, who int) {
	if w, ok := m[k]; ok && w != who {
		who = nobody
	}
	m[k] = who
}

// call notes what a participant calls itself.
func (id *identities) call(side int, sentBy string, who int) {
	host, _ := splitHost(sentBy)
	if a, err := parseHost(host); err != nil {
		claim(id.names[side], host, who)
	} else if w, ok := id.hosts[side][a]; !ok || w != nobody && w != who {
		claim(id.hosts[side], a, who)
	}
}

func parseHost(t string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.Trim(t, "[]"))
	return a.Unmap().WithZone(""), err
}

// bind gives two identifiers of the two sides one name, unless one of them has a name already.
func (id *identities) bind(a, b string) {
	if len(a) < minID || len(b) < minID || len(id.words[0]) >= maxIDs {
		return
	}
	_, knownA := id.words[0][a]
	_, knownB := id.words[1][b]
	if !knownA && !knownB {
		n := len(id.words[0])
		id.words[0][a], id.words[1][b] = n, n
	}
}

// bindHost is bind for addresses.
func (id *identities) bindHost(a, b netip.Addr) {
	_, knownA := id.foreign[0][a]
	_, knownB := id.foreign[1][b]
	if n := len(id.foreign[0]); !knownA && !knownB && n < maxHosts {
		id.foreign[0][a], id.foreign[1][b] = n, n
	}
}

// alias is what a whole text is called on both sides by Rules.Alias.
func (id *identities) alias(side int, text string) (string, bool) {
	if len(id.targets) == 0 {
		return "", false
	}
	if to, ok := id.rules.Alias[text]; ok && side == 0 {
		return "A" + strings.ToLower(to), true
	}
	if low := strings.ToLower(text); side == 1 && id.targets[low] {
		return "A" + low, true
	}
	return "", false
}

// place is compare.Names.Place.
func (id *identities) place(side int, host, port string) (string, bool) {
	if to, ok := id.alias(side, host); ok {
		return to, true
	}
	a, err := parseHost(host)
	if err != nil {
		return participant(id.name(side, host))
	}
	if id.anywhere(side, a) {
		return "", true
	}
	return id.behind(side, a, port)
}

// anywhere reports whether an address of A may be any place: a replay names its own where the recording has one of media,
// or a Contact's. Which places it may be is judged by standIns.
func (id *identities) anywhere(side int, a netip.Addr) bool {
	return side == 0 && id.media[a] && !id.seen[a]
}

// behind names who is at an address and a port, "" without one.
func (id *identities) behind(side int, a netip.Addr, port string) (string, bool) {
	who, ok := id.hosts[side][a]
	exact, given := id.exactly(side, a, port)
	switch {
	case exact == nobody:
	case !given && ok && who != exact:
		return "", true // SIP's port there is another one's: any of them may be meant
	default:
		who, ok = exact, true
	}
	if ok {
		return participant(who, true)
	}
	return id.relay(side, a)
}

// exactly finds the participant at an address and a port, or nobody. Without a port, which given tells, SIP's stands for it.
func (id *identities) exactly(side int, a netip.Addr, port string) (who int, given bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	if given = err == nil; !given {
		n = defaultPort
	}
	at := netip.AddrPortFrom(a, uint16(n))
	who = nobody
	if _, known := id.hosts[side][a]; known || side == 0 { // of B it may only be who is supposed to be behind what nobody knows
		who = id.callers[side](at)
	}
	if one, there := id.ports[side][at]; there && given && who == nobody {
		who = one
	}
	return who, given
}

// relay names a host that is no participant.
func (id *identities) relay(side int, a netip.Addr) (string, bool) {
	n, bound := id.foreign[side][a]
	if !bound {
		return "", false
	}
	return "F" + strconv.Itoa(n), true
}

// mediaHosts finds the addresses that session descriptions of A name for media, and Contacts, at most maxHosts.
func (w *work) mediaHosts() (hosts map[netip.Addr]bool, names map[string]bool) {
	hosts, names = make(map[netip.Addr]bool), make(map[string]bool)
	s := w.sides[0]
	for i := range s.events {
		m := w.reader.parse(0, s.events[i].ref)
		if m == nil || len(hosts)+len(names) >= maxHosts {
			continue
		}
		if host := strings.ToLower(string(m.Contact.Host.Of(m.Raw))); host != "" && m.Status < 300 { // a 3xx names others
			w.claim(i, []byte(host))
			if a, err := parseHost(host); err == nil {
				hosts[a] = true
			} else {
				names[host] = true
			}
		}
		if text, ok := m.SDP(); ok {
			mediaIn(hosts, string(text[:min(len(text), maxText)]))
		}
	}
	return hosts, names
}

// mediaIn adds the addresses of media in a session description.
func mediaIn(hosts map[netip.Addr]bool, text string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "c=") && !strings.HasPrefix(line, "a=rtcp:") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if a, ok := address(word); ok && !a.IsUnspecified() && !a.IsMulticast() && len(hosts) < maxHosts {
				hosts[a] = true
			}
		}
	}
}

// places are the addresses that messages came from or went to.
func (s *side) places() map[netip.Addr]bool {
	seen := make(map[netip.Addr]bool)
	for p := range s.people {
		for _, e := range s.people[p].at {
			seen[e.Addr().Unmap()] = true
		}
	}
	return seen
}

// name finds who a host name is; it means the same on both sides.
func (id *identities) name(side int, host string) (who int, ok bool) {
	for _, n := range [...]int{side, 1 - side} {
		if who = id.named[n](host); who != nobody {
			return who, true
		}
		if who, ok = id.names[n][host]; ok {
			return who, true
		}
	}
	return nobody, side == 0 && id.contacts[host]
}

// defaultPort is SIP's.
const defaultPort = 5060

func participant(who int, ok bool) (string, bool) {
	if !ok || who == nobody {
		return "", ok
	}
	return "P" + strconv.Itoa(who), true
}

// learn binds what stands at the same place of two messages that belong together: tags, Contact users that are made up,
// and addresses of hosts that are no participants.
func (id *identities) learn(a, b *sip.Message) {
	id.bind(string(a.From.Tag.Of(a.Raw)), string(b.From.Tag.Of(b.Raw)))
	id.bind(string(a.To.Tag.Of(a.Raw)), string(b.To.Tag.Of(b.Raw)))
	if x, y := madeUp(a), madeUp(b); x != "" && y != "" {
		id.bind(x, y)
	}
	hostsA, hostsB := id.strangers(0, a), id.strangers(1, b)
	if len(hostsA) == 0 || len(hostsB) == 0 {
		return
	}
	there := make(map[netip.Addr]bool)
	for _, h := range hostsB {
		there[h.addr] = true
	}
	for _, h := range hostsA {
		if there[h.addr] {
			id.bindHost(h.addr, h.addr)
		}
	}
	byLine := make(map[string][]netip.Addr)
	for _, h := range hostsB {
		byLine[h.line] = append(byLine[h.line], h.addr)
	}
	for _, h := range hostsA {
		if at := byLine[h.line]; len(at) > 0 {
			id.bindHost(h.addr, at[0])
			byLine[h.line] = at[1:]
		}
	}
}

// madeUp gives the user of the Contact when it is neither From's nor To's: what a phone makes up for a registration.
func madeUp(m *sip.Message) string {
	user := string(m.Contact.User.Of(m.Raw))
	if user == string(m.From.User.Of(m.Raw)) || user == string(m.To.User.Of(m.Raw)) {
		return ""
	}
	return user
}

// stranger is an address that belongs to no participant.
type stranger struct {
	line string // the name of the header, or the letter of the SDP line
	addr netip.Addr
}

// strangers finds them in a message, in order.
func (id *identities) strangers(side int, m *sip.Message) []stranger {
	var list []stranger
	text := string(m.Raw[:min(len(m.Raw), maxText)])
	for line := range strings.Lines(text) {
		n := strings.IndexAny(line, ":=")
		if n < 0 || len(list) >= maxHosts {
			continue
		}
		name := strings.ToLower(strings.TrimSpace(line[:n]))
		if line[n] == ':' {
			if h := sip.LookupHeader([]byte(name)); h != sip.HeaderOther {
				name = h.String()
			}
		}
		switch name {
		case "User-Agent", "Server", "Organization", "Subject", "Date", "Call-ID": // versions look like addresses
			continue
		}
		eachRun(line, n, func(run string, _ int) int {
			a, ok := address(run[strings.LastIndexByte(run, '@')+1:])
			if _, known := id.hosts[side][a]; ok && !known && !a.IsUnspecified() {
				list = append(list, stranger{name, a})
			}
			return 0
		})
	}
	return list
}

// address reads an IPv4 address, or an IPv6 address as a whole.
func address(run string) (netip.Addr, bool) {
	if strings.Count(run, ".") != 3 && strings.Count(run, ":") < 2 {
		return netip.Addr{}, false
	}
	a, err := parseHost(run)
	return a, err == nil
}

// eachRun calls f for each run of bytes that may make an address or an identifier, and where it ends. f gives how many
// more bytes it took. An IPv6 address is a run of its own, without brackets.
func eachRun(text string, from int, f func(run string, end int) int) {
	for i := from; i < len(text); {
		if !inRun(text[i]) && text[i] != ':' {
			i++
			continue
		}
		end := i + address6(text[i:])
		if end == i {
			for end < len(text) && inRun(text[end]) {
				end++
			}
		}
		run := strings.TrimRight(text[i:end], ".")
		if run == "" {
			i = max(end, i+1)
			continue
		}
		i += len(run)
		i += f(run, i)
	}
}

// address6 measures the IPv6 address that a text begins with, 0 for none.
func address6(t string) int {
	end, colons := 0, 0
	for end < len(t) && end < 46 && (t[end] == ':' || t[end] == '.' || isHex(t[end:end+1])) {
		if t[end] == ':' {
			colons++
		}
		end++
	}
	if colons < 2 {
		return 0
	}
	if _, err := netip.ParseAddr(t[:end]); err != nil {
		return 0
	}
	return end
}

// inRun reports whether a byte may stand in an address, a Call-ID, a tag or a host name.
func inRun(c byte) bool {
	switch {
	case c-'a' <= 'z'-'a', c-'A' <= 'Z'-'A', c-'0' <= 9:
		return true
	default:
		return strings.IndexByte("-._~%+!*@", c) >= 0
	}
}
