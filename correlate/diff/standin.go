package diff

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sip"
)

// standIns remember, of a replay, what B names where A names a host that is no participant, such as one behind a NAT or a
// media relay. A replay names the place of who plays there, and comparisons take it for any place; what it is, is judged
// here: once it is known who stands for a host, nobody else does.
type standIns struct {
	of    map[string][]string // places of B by the host of A: "P3" a participant, "F1" a host that is none
	known map[standKey]string // the place of B
	// claims are those who introduce a host in a Contact of A at any time: the place of one who is seen late stands for it
	// before.
	claims map[string][]string
}

// standKey is a host of A, and the participant who names it.
type standKey struct {
	host  string
	who   int
	media bool // in a session description: media may come from elsewhere than messages
}

// mention is a host that a message names.
type mention struct {
	where      string // name of the header, or "SDP"
	host, port string
	text       string // the URI, or the address
}

// standIns judges the places that B names for hosts of A that are no participants.
func (t *tale) standIns(a, b *sip.Message) {
	if !t.w.rules.Replayed {
		return
	}
	s := stand{tale: t}
	list := func(where string, as, bs []mention, place bool) {
		for i := range min(len(as), len(bs)) {
			if t.w.ids.standsFor(&as[i]) && !s.legitimate(&as[i], &bs[i], place) {
				text := map[string]string{"SDP": "media address ", "request-uri": "Request-URI "}[where]
				if text == "" {
					text = "header " + where + " is "
				}
				t.add(Differs, where, as[i].text, bs[i].text, text+clip(bs[i].text)+", was "+clip(as[i].text))
			}
		}
	}
	for _, h := range [...]sip.HeaderID{sip.HeaderContact, sip.HeaderRecordRoute, sip.HeaderPath, sip.HeaderServiceRoute} {
		list(h.String(), addressesOf(a, h), addressesOf(b, h), a.Status < 300) // a 3xx names others
	}
	list("SDP", mediaOf(a), mediaOf(b), true)
	if a.Request {
		list("request-uri", target(a), target(b), false)
	}
	for _, h := range [...]sip.HeaderID{
		sip.HeaderRoute, sip.HeaderFrom, sip.HeaderTo, sip.HeaderPAssertedIdentity, sip.HeaderReferTo, sip.HeaderReferredBy,
	} {
		list(h.String(), addressesOf(a, h), addressesOf(b, h), false)
	}
	t.sentBy(b)
}

// sentBy finds a Via that names another place than its sender's, where that of A did not.
func (t *tale) sentBy(b *sip.Message) {
	if !b.Request || t.a.facts.sentBy == "" || t.b.facts.sentBy == "" {
		return
	}
	was, _ := splitHost(t.a.facts.sentBy)
	is, port := splitHost(t.b.facts.sentBy)
	at, bad := parseHost(is)
	if from, err := parseHost(was); err != nil || bad != nil || from != t.a.src.Addr().Unmap() {
		return
	}
	for _, e := range t.w.out.Who[t.b.from].B {
		if e.Addr().Unmap() == at {
			return
		}
	}
	if who, _ := t.w.ids.exactly(1, at, port); who != t.b.from {
		t.add(Differs, "Via", was, is, "header Via names "+clip(is)+", was "+clip(was))
	}
}

// standsFor reports whether A names a host that a replay may name its own places for.
func (id *identities) standsFor(m *mention) bool {
	if _, mapped := id.alias(0, m.host); mapped {
		return false
	}
	if a, err := parseHost(m.host); err == nil {
		return id.anywhere(0, a)
	}
	who, ok := id.name(0, m.host)
	return ok && who == nobody && id.contacts[m.host]
}

// stand judges the stand-ins of two messages.
type stand struct {
	*tale
}

// legitimate reports whether what B names may stand for what A names, and remembers that it does.
func (s *stand) legitimate(a, b *mention, place bool) bool {
	in := &s.w.ids.stand
	at := s.w.ids.standing(b)
	if at == "" || b.host == a.host || len(in.of) >= maxHosts || len(in.known) >= maxHosts {
		return true // comparisons tell of a host that nobody knows
	}
	registered := s.a.method == "REGISTER" && s.a.status > 0 // it names whom it registered
	key := standKey{a.host, s.w.introducer(s.at, a.host), a.where == "SDP"}
	if before, bound := in.known[key]; bound && place && !registered {
		return before == at
	}
	same := s.w.ids.corresponds(a, at) && (place || len(in.of[a.host]) == 0)
	if !same && !s.mayStand(a.host, at, key.who, place, registered) {
		return false
	}
	in.learn(&key, at, place && !registered)
	return true
}

// learn notes that a place of B stands for a host of A; for good when it binds who introduced that.
func (in *standIns) learn(key *standKey, at string, binds bool) {
	if !slices.Contains(in.of[key.host], at) {
		in.of[key.host] = append(in.of[key.host], at)
	}
	if binds {
		in.known[*key] = at
	}
}

// mayStand reports whether a place of B may be the first to stand for a host of A that a participant introduced: who that is
// stands for it in what says where it is reached, and elsewhere whoever does so already. The one that a message goes to does
// not, unless it is told what it has registered.
func (s *stand) mayStand(host, at string, introducer int, place, registered bool) bool {
	known := s.w.ids.stand.of[host]
	from, to := token(s.b.from), token(s.b.to)
	switch {
	case !place:
		return slices.Contains(known, at) || len(known) == 0 && (at == from || at == to)
	case registered:
		return slices.Contains(known, at) || at == to
	default:
		return at == token(introducer) || at != to && (slices.Contains(known, at) || slices.Contains(s.w.ids.stand.claims[host], at))
	}
}

func token(who int) string { return "P" + strconv.Itoa(who) }

// standing is the place that B names, empty for one that may be several, or that nobody knows.
func (id *identities) standing(m *mention) string {
	if who, ok := id.place(1, m.host, m.port); ok {
		return who
	}
	return ""
}

// corresponds reports whether a place of B is no participant either, and the one that comparisons pair with the host of A.
func (id *identities) corresponds(m *mention, at string) bool {
	a, err := parseHost(m.host)
	if err != nil {
		return false
	}
	who, ok := id.relay(0, a)
	return ok && who == at
}

// claim notes who introduces the host of a Contact in an event of A.
func (w *work) claim(event int, host []byte) {
	name := hostText(host)
	list := w.ids.stand.claims[name]
	if who := token(w.introducer(event, name)); len(list) < maxPeople && !slices.Contains(list, who) {
		w.ids.stand.claims[name] = append(list, who)
	}
}

// introducer is the participant of A who was first to name a host in what a message sends on.
func (w *work) introducer(at int, host string) int {
	a := w.sides[0]
	for range maxHops {
		n := a.forwarded(at)
		if n < 0 || !bytes.Contains(bytes.ToLower(w.reader.text(0, a.events[n].ref)), []byte(host)) {
			break
		}
		at = n
	}
	return a.events[at].from
}

// addressesOf are the hosts of a header's addresses.
func addressesOf(m *sip.Message, id sip.HeaderID) []mention {
	var list []mention
	for a := range m.Addresses(id) {
		list = append(list, mention{
			where: id.String(), host: hostText(a.Host.Of(m.Raw)), port: portText(a.Port), text: "<" + string(a.URI.Of(m.Raw)) + ">",
		})
	}
	return list
}

// hostText writes a host in one way.
func hostText(host []byte) string {
	if a, err := parseHost(string(host)); err == nil {
		return a.String()
	}
	return strings.ToLower(string(host))
}

func portText(port uint16) string {
	if port == 0 {
		return ""
	}
	return strconv.Itoa(int(port))
}

// target is the host of the Request-URI.
func target(m *sip.Message) []mention {
	u, ok := sip.ParseURI(m.URI.Of(m.Raw))
	if !ok {
		return nil
	}
	return []mention{{host: hostText(u.Host), port: portText(u.Port), text: string(m.URI.Of(m.Raw))}}
}

// mediaOf are the addresses of media in the session description.
func mediaOf(m *sip.Message) []mention {
	text, ok := m.SDP()
	if !ok {
		return nil
	}
	var list []mention
	for line := range strings.Lines(string(text[:min(len(text), maxText)])) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "c=IN" {
			host, _, _ := strings.Cut(f[2], "/") // of multicast, its time to live
			list = append(list, mention{where: "SDP", host: hostText([]byte(host)), text: host})
		}
	}
	return list
}
