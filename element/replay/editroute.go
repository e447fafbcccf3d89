package replay

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
)

// via is a Via header. Of a request that we make, its top value becomes ours; of one that we forward, those below are
// what came. Those of a response are what its request had.
func (e *editor) via(h int) {
	hd := &e.m.Headers[h]
	first := !e.seen[seenVia]
	e.seen[seenVia] = true
	from, end := hd.Name.Off, lineEnd(e.m, h)
	switch {
	case !e.s.request && first:
		e.changedVia()
		e.put(from, end, opVias, int32(h)) //nolint:gosec // few headers
	case !e.s.request, e.in != nil && !first && e.ownVias == 0:
		e.putText(from, end, "")
	case e.in != nil:
		e.forwardedVia(h, first)
	case first:
		to := e.topVia(h)
		e.scan(to, hd.Value.Off+hd.Value.Len, inNames)
	default:
		e.scan(hd.Value.Off, hd.Value.Off+hd.Value.Len, inNames)
	}
}

// forwardedVia is a Via header of a request that is sent on, with values of ours: the top one, and those of what we sent to
// ourselves on the way. Below stands what came.
func (e *editor) forwardedVia(h int, first bool) {
	hd := &e.m.Headers[h]
	from, to, end := hd.Value.Off, hd.Value.Off+hd.Value.Len, lineEnd(e.m, h)
	if first {
		from = e.topVia(h)
		e.ownVias = max(int(e.m.Vias)-int(e.in.Vias), 1)
	}
	n := 0
	for range headerList(e.m, h) {
		n++
	}
	if n <= e.ownVias {
		e.scan(from, to, inNames)
	} else {
		e.ownList(h, from, e.ownVias)
	}
	if e.ownVias -= min(n, e.ownVias); e.ownVias == 0 {
		e.put(end, end, opVias, int32(h)) //nolint:gosec // few headers
	}
}

// topVia edits the top value, which is ours, and gives where it ends.
func (e *editor) topVia(h int) uint32 {
	hd, v := &e.m.Headers[h], &e.m.Via
	from, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	end := from
	value := e.m.Raw[from:to]
	quoted := false
	for i, b := range value {
		if b == '"' {
			quoted = !quoted
		}
		if b == ',' && !quoted {
			break
		}
		end = from + uint32(i) + 1
	}
	// one that says what did not carry it is told again
	if t := v.Transport; !t.Empty() && t.Off >= from && t.Off+t.Len <= end && strings.EqualFold(e.s.text(t), e.s.carried().String()) {
		e.put(t.Off, t.Off+t.Len, opTransport, 0)
	}
	if b := v.SentBy; !b.Empty() && b.Off >= from && b.Off+b.Len <= end {
		e.put(b.Off, b.Off+b.Len, opSentBy, 0)
	}
	b := v.Branch
	if b.Empty() || b.Off < from || b.Off+b.Len > end {
		return end // as RFC 2543 had it: the transaction is found by the rest
	}
	e.put(b.Off, b.Off+b.Len, opToken, e.ids[tokenKey{tokenBranch, 0, string(b.Of(e.m.Raw))}])
	return end
}

// route is a Route header: within a dialog the live route set, else as recorded, with the addresses of who plays.
func (e *editor) route(h int) {
	hd := &e.m.Headers[h]
	first := !e.seen[seenRoute]
	e.seen[seenRoute] = true
	s := e.s
	if (s.method == "CANCEL" || s.byLayer) && s.asked >= 0 {
		s = &e.steps[s.asked]
	}
	from, end := hd.Name.Off, lineEnd(e.m, h)
	forwards, within := e.in != nil && s.request, s.local >= 0 && !s.outside
	switch {
	case forwards:
		e.forwardedRoute(h, first)
	case within && first:
		e.putDialog(from, end, opRoutes, s.local, inNames)
	case within:
		e.putText(from, end, "")
	default:
		e.scan(hd.Value.Off, hd.Value.Off+hd.Value.Len, inNames)
	}
}

// forwardedRoute is a Route header of a request that is sent on: what came, without the values that led here. Above that stand
// the values that we add, to send the request where it was not to go by itself, such as those of a Path (RFC 3327 5.3).
func (e *editor) forwardedRoute(h int, first bool) {
	if first {
		kept := keptRoutes(e.in, e.m)
		e.added, e.passed = countList(e.m, sip.HeaderRoute)-kept, countList(e.in, sip.HeaderRoute)-kept
		if kept == 0 {
			e.added = math.MaxInt
		}
	}
	hd := &e.m.Headers[h]
	from, end := hd.Name.Off, lineEnd(e.m, h)
	n := 0
	for range headerList(e.m, h) {
		n++
	}
	switch {
	case e.added > n:
		e.added -= n
		e.scan(hd.Value.Off, hd.Value.Off+hd.Value.Len, inNames)
	case e.added > 0:
		e.ownList(h, hd.Value.Off, e.added)
		e.added = 0
		e.put(end, end, opSkipped, int32(e.passed)) //nolint:gosec // few
	case first:
		e.put(from, end, opSkipped, int32(e.passed)) //nolint:gosec // few
	default:
		e.putText(from, end, "")
	}
}

// keptRoutes is how many of the last values of Route stay as they came when a request is sent on.
func keptRoutes(in, out *sip.Message) int {
	var came, goes [][]byte
	for v := range in.List(sip.HeaderRoute) {
		came = append(came, v)
	}
	for v := range out.List(sip.HeaderRoute) {
		goes = append(goes, v)
	}
	n := 0
	for n < len(came) && n < len(goes) && bytes.Equal(came[len(came)-1-n], goes[len(goes)-1-n]) {
		n++
	}
	return n
}

func countList(m *sip.Message, id sip.HeaderID) int {
	n := 0
	for range m.List(id) {
		n++
	}
	return n
}

// recordRoute is a Record-Route header: in a response of ours what the live request has; in what we forward what came. Above
// that stand the values that we add, as a proxy, or for those behind us that nobody plays.
func (e *editor) recordRoute(h int) {
	hd := &e.m.Headers[h]
	first := !e.seen[seenRecordRoute]
	e.seen[seenRecordRoute] = true
	if first {
		e.own = e.ownRoutes()
	}
	n := 0
	for range headerList(e.m, h) {
		n++
	}
	switch {
	case e.own < 0:
		e.scan(hd.Value.Off, hd.Value.Off+hd.Value.Len, inNames)
	case e.own == 0 && first:
		e.putRecordRoute(hd.Name.Off, lineEnd(e.m, h))
	case e.own == 0:
		e.putText(hd.Name.Off, lineEnd(e.m, h), "")
	default:
		e.ownList(h, hd.Value.Off, min(n, e.own))
		if e.own -= min(n, e.own); e.own == 0 {
			e.putRecordRoute(lineEnd(e.m, h), lineEnd(e.m, h))
		}
	}
}

// ownRoutes is how many values of Record-Route are ours; -1: all of them.
func (e *editor) ownRoutes() int {
	own := countList(e.m, sip.HeaderRecordRoute)
	switch {
	case e.in != nil:
		own -= countList(e.in, sip.HeaderRecordRoute)
		if !e.s.request && own == 0 && !same(e.m, e.in, sip.HeaderRecordRoute) {
			return -1 // it rewrites what it recorded on the way there
		}
	case !e.s.request && e.req != nil:
		own -= countList(&e.req.msg, sip.HeaderRecordRoute)
		if own == 0 && e.hosts[e.s.to].part == plan.Played && !same(e.m, &e.req.msg, sip.HeaderRecordRoute) {
			return -1 // it writes them in its own way
		}
	default:
		return -1
	}
	return max(own, 0)
}

// putRecordRoute puts in the live lines.
func (e *editor) putRecordRoute(from, to uint32) {
	if e.in == nil {
		e.put(from, to, opRecordRoute, 0)
		return
	}
	e.put(from, to, opLines, int32(sip.HeaderRecordRoute))
}

// headerList walks over the values of one header: where each ends.
func headerList(m *sip.Message, h int) func(yield func(end uint32) bool) {
	return func(yield func(end uint32) bool) {
		hd := &m.Headers[h]
		to := hd.Value.Off + hd.Value.Len
		for at := hd.Value.Off; at < to; {
			end := at + uint32(commaAt(m.Raw[at:to])) //nolint:gosec // a message is far below 4 GiB
			if !yield(end) {
				return
			}
			at = end + 1
		}
	}
}

// ownList keeps the first values of a list, which we add; what stands before from is edited already.
func (e *editor) ownList(h int, from uint32, own int) {
	hd := &e.m.Headers[h]
	to := hd.Value.Off + hd.Value.Len
	last := from
	for end := range headerList(e.m, h) {
		last = end
		if own--; own == 0 {
			break
		}
	}
	e.scan(from, last, inNames)
	e.putText(last, to, "")
}

// commaAt finds the first comma outside quotes and brackets, or the end.
func commaAt(b []byte) int {
	quoted, bracket := false, false
	for i, x := range b {
		switch {
		case x == '"':
			quoted = !quoted
		case quoted:
		case x == '<':
			bracket = true
		case x == '>':
			bracket = false
		case x == ',' && !bracket:
			return i
		}
	}
	return len(b)
}

// contact is a Contact header. That of a user agent names its own place, whatever host the recorded one named, unless that
// is the place of another participant: who registers somebody else, for example.
func (e *editor) contact(h int) {
	hd := &e.m.Headers[h]
	from, to := hd.Value.Off, hd.Value.Off+hd.Value.Len
	if e.in != nil && same(e.m, e.in, sip.HeaderContact) {
		if nextHeader(e.m, sip.HeaderContact, 0) == h {
			e.put(hd.Name.Off, lineEnd(e.m, h), opLines, int32(sip.HeaderContact))
		} else {
			e.putText(hd.Name.Off, lineEnd(e.m, h), "")
		}
		return
	}
	own := e.in == nil && (e.s.request || e.s.status < 300 && e.s.method != "REGISTER")
	a := &e.m.Contact
	if !own || nextHeader(e.m, sip.HeaderContact, 0) != h || e.m.ContactStar || a.Host.Empty() || a.Host.Off < from ||
		a.Host.Off+a.Host.Len > to || e.others(a) || !isSIP(a.URI.Of(e.m.Raw)) {
		e.scan(from, to, inNames)
		return
	}
	e.scan(from, a.Host.Off, inNames)
	end := portEnd(e.m.Raw[:to], a.Host.Off+a.Host.Len)
	e.putText(a.Host.Off, end, e.hosts[e.s.from].text)
	e.scan(end, to, inNames)
}

// isSIP reports whether a URI is one at which a host is reached by SIP: of a Contact with mailto, the host stays.
func isSIP(uri []byte) bool {
	n := bytes.IndexByte(uri, ':')
	return n > 0 && (bytes.EqualFold(uri[:n], []byte("sip")) || bytes.EqualFold(uri[:n], []byte("sips")))
}

// others reports whether an address names the place of another participant, and says so: beside an address that the
// sender has as well, a port that is not given may stand for any.
func (e *editor) others(a *sip.Address) bool {
	addr, err := netip.ParseAddr(string(bytes.Trim(a.Host.Of(e.m.Raw), "[]")))
	if err != nil {
		return false
	}
	at := netip.AddrPortFrom(addr, a.Port)
	if a.Port == 0 {
		if slices.ContainsFunc(e.hosts[e.s.from].at, func(own netip.AddrPort) bool { return unmapped(own).Addr() == addr.Unmap() }) {
			return false
		}
		at = netip.AddrPortFrom(addr, e.s.Proto.DefaultPort())
	}
	x, ok := e.atHost[unmapped(at)]
	return ok && x != e.s.from && e.hosts[x].text != ""
}

// portEnd is where the port behind a host ends; at when there is none.
func portEnd(raw []byte, at uint32) uint32 {
	end := int(at)
	if end+1 >= len(raw) || raw[end] != ':' || raw[end+1] < '0' || raw[end+1] > '9' {
		return at
	}
	for end++; end < len(raw) && raw[end] >= '0' && raw[end] <= '9'; end++ {
	}
	return uint32(end) //nolint:gosec // a message is far below 4 GiB
}

// credentials is what a request answers a challenge with: none of it can be sent again.
func (e *editor) credentials(h int) {
	hd := &e.m.Headers[h]
	if e.in != nil {
		if same(e.m, e.in, hd.ID) && nextHeader(e.m, hd.ID, 0) == h {
			e.put(hd.Name.Off, lineEnd(e.m, h), opLines, int32(hd.ID))
		} else {
			e.putText(hd.Name.Off, lineEnd(e.m, h), "")
		}
		return
	}
	cred, ok := sip.ParseCredentials(hd.Value.Of(e.m.Raw))
	if ok && len(cred.Response) == 0 && len(cred.Nonce) == 0 {
		return // it names its user before any challenge (3GPP TS 24.229 5.1.1.2)
	}
	if e.seen[seenCredentials] {
		e.putText(hd.Name.Off, lineEnd(e.m, h), "")
		return
	}
	e.seen[seenCredentials] = true
	e.put(hd.Name.Off, lineEnd(e.m, h), opCredentials, 1)
}

// challenge is a WWW-Authenticate or Proxy-Authenticate of ours: its nonce is one that we know again.
func (e *editor) challenge(h int) {
	hd := &e.m.Headers[h]
	value := hd.Value.Of(e.m.Raw)
	chal, ok := sip.ParseChallenge(value)
	if e.in != nil {
		if same(e.m, e.in, hd.ID) && nextHeader(e.m, hd.ID, 0) == h {
			e.put(hd.Name.Off, lineEnd(e.m, h), opLines, int32(hd.ID))
		} else if nextHeader(e.m, hd.ID, 0) != h {
			e.putText(hd.Name.Off, lineEnd(e.m, h), "")
		}
		return
	}
	if !ok || len(chal.Nonce) == 0 || e.s.asked < 0 || !bytes.EqualFold(chal.Scheme, []byte("Digest")) {
		return
	}
	n := bytes.Index(value, chal.Nonce)
	if n < 0 {
		return
	}
	a := e.askFor(&chal, hd.ID == sip.HeaderProxyAuthenticate)
	if e.s.ask < 0 {
		e.s.ask = a
	}
	at := hd.Value.Off + uint32(n)                    //nolint:gosec // a message is far below 4 GiB
	e.put(at, at+uint32(len(chal.Nonce)), opNonce, a) //nolint:gosec // likewise
}

// askFor finds the challenger of a realm.
func (c *compiler) askFor(chal *sip.Challenge, proxy bool) int32 {
	realm := string(sip.Unquote(chal.Realm))
	found := none
	for i := range c.asks {
		if c.asks[i].realm == realm && c.asks[i].proxy == proxy && c.asks[i].host == c.s.from {
			found = int32(i)
		}
	}
	if found < 0 {
		if len(c.asks) >= maxAsks {
			return 0
		}
		found = int32(len(c.asks)) //nolint:gosec // few
		c.asks = append(c.asks, ask{host: c.s.from, realm: realm, proxy: proxy})
	}
	a := &c.asks[found]
	alg := string(chal.Algorithm)
	if alg == "" {
		alg = "MD5"
	}
	a.algs = addNew(a.algs, alg)
	for q := range bytes.SplitSeq(chal.QOP, []byte(",")) {
		if q = bytes.TrimSpace(q); len(q) > 0 {
			a.qops = addNew(a.qops, string(bytes.ToLower(q)))
		}
	}
	return found
}

// maxAsks bounds the realms that we challenge for.
const maxAsks = 64

func addNew(list []string, s string) []string {
	if slices.Contains(list, s) || len(list) >= 8 {
		return list
	}
	return append(list, s)
}

// info is an Authentication-Info of ours.
func (e *editor) info(h int) {
	hd := &e.m.Headers[h]
	if e.in == nil {
		proxy := int32(0)
		if hd.ID == sip.HeaderProxyAuthenticationInfo {
			proxy = 1
		}
		e.put(hd.Name.Off, lineEnd(e.m, h), opInfo, proxy)
	}
}

// userFor is the user who answers challenges to a request: the one who did in the recording, else the user of From.
func (c *compiler) userFor(s *step) int32 {
	user := ""
	for q := s; user == ""; q = &c.steps[q.retry] {
		for _, id := range [...]sip.HeaderID{sip.HeaderAuthorization, sip.HeaderProxyAuthorization} {
			if value, ok := q.msg.Value(id); ok && user == "" {
				cred, _ := sip.ParseCredentials(value)
				user = string(sip.Unquote(cred.Username))
			}
		}
		if q.retry < 0 {
			break
		}
	}
	if user == "" {
		user = string(s.msg.From.User.Of(s.msg.Raw))
	}
	if t, ok := c.o.Rewrite.users[user]; ok {
		if text, plain := t.plain(); plain {
			user = text
		}
	}
	u, ok := c.userOf[user]
	if !ok {
		u = int32(len(c.users)) //nolint:gosec // at most one for each step
		c.userOf[user] = u
		c.users = append(c.users, user)
	}
	return u
}

// statusText is a code for people.
func statusText(status int) string { return strconv.Itoa(status) }
