package diff

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate/compare"
	"sipscope/decode/sip"
)

// both compares two messages that belong together.
func (w *work) both(row *Row, i, j int) {
	a, b := &w.sides[0].events[i], &w.sides[1].events[j]
	x, y := &w.sides[0].exchanges[a.exchange], &w.sides[1].exchanges[b.exchange]
	t := tale{w: w, a: a, b: b, at: i, bt: j}
	t.start()
	t.way(x, y)
	t.timing()
	if a.status == b.status && a.from == b.from && a.to == b.to && !follows(x, y, a) {
		from := len(t.list)
		t.texts()
		t.once(from)
	}
	row.Differences = t.sorted()
	for k := range row.Differences {
		row.Verdict = worse(row.Verdict, row.Differences[k].Verdict)
	}
}

// once tolerates what was told before of the call: the From that a response repeats, the offer that a proxy sent on.
func (t *tale) once(from int) {
	for i := from; i < len(t.list); i++ {
		d := &t.list[i]
		k := told{t.a.ref.Call, d.Where, d.A, d.B, d.Text}
		if d.Verdict != Differs || len(t.w.told) >= maxIDs {
			continue
		}
		if t.w.told[k] {
			d.Verdict = Tolerated
			d.Text += ", as before"
		}
		t.w.told[k] = true
	}
}

// way compares where the messages went, on what, and in which order.
func (t *tale) way(x, y *exchange) {
	a, b, w := t.a, t.b, t.w
	if (a.from != b.from || a.to != b.to) && (a.request() || x.request < 0) { // responses follow their request
		t.add(Differs, "path", w.hop(a), w.hop(b), w.hop(b)+", expected "+w.hop(a))
	}
	switch {
	case x.moved && len(w.out.A.Calls[x.call].Dialogs) < 2 && len(w.out.B.Calls[y.call].Dialogs) < 2:
		t.add(Differs, "order", "", "", w.phrase(a)+" comes in another order")
	case x.moved || a.moved:
		t.add(Tolerated, "order", "", "", w.phrase(a)+" comes in another order")
	}
	if a.transport != b.transport {
		v := Differs
		if w.sameWay(x, y, a, b) {
			v = Tolerated
		}
		t.add(v, "transport", a.transport.String(), b.transport.String(),
			"sent over "+b.transport.String()+", was "+a.transport.String())
	}
}

// sameWay reports whether a response of a replay's own goes the way of its request (RFC 3261 18.2.2), where the recorded one
// took another transport than its request: transactions do not do that.
func (w *work) sameWay(x, y *exchange, a, b *event) bool {
	if !w.rules.Replayed || a.request() || x.request < 0 || y.request < 0 || w.sides[1].flow.Ours != nil && !w.sides[1].ours(b) {
		return false
	}
	return w.sides[0].events[x.request].transport != a.transport && w.sides[1].events[y.request].transport == b.transport
}

// timing compares how often the messages were sent, and how long a final response took.
func (t *tale) timing() {
	a, b := t.a, t.b
	if a.again != b.again {
		t.add(Tolerated, "retransmission", strconv.Itoa(a.again), strconv.Itoa(b.again),
			again(b.again)+", recorded: "+again(a.again))
	}
	gaveUp := t.w.gaveUp(&t.w.sides[1].exchanges[b.exchange]) != nil
	if a.final() && (gaveUp && b.status != 487 || !gaveUp && t.w.rules.late(a.wait, b.wait)) {
		t.add(Late, "time", seconds(a.wait), seconds(b.wait),
			code(b)+to(b)+" after "+seconds(b.wait)+", recorded "+seconds(a.wait))
	}
}

// follows reports whether a message is what it is because of the final response before it: the ACK of another one.
func follows(x, y *exchange, a *event) bool {
	return a.request() && a.method == "ACK" && (x.status != y.status || (x.txn < 0) != (y.txn < 0))
}

// worse gives the verdict that counts more.
func worse(x, y Verdict) Verdict {
	rank := func(v Verdict) int {
		switch v {
		case Same, Expected:
			return 0
		case Tolerated:
			return 1
		case Late:
			return 2
		default:
			return 3
		}
	}
	if rank(y) > rank(x) {
		return y
	}
	return x
}

// again says how often a message was retransmitted.
func again(n int) string {
	switch n {
	case 0:
		return "not sent again"
	case 1:
		return "sent again once"
	default:
		return "sent again " + strconv.Itoa(n) + " times"
	}
}

// code is a response's status code.
func code(e *event) string { return strconv.Itoa(int(e.status)) }

// hop names where a message goes.
func (w *work) hop(e *event) string {
	return "from " + w.out.Who[e.from].Name + " to " + w.out.Who[e.to].Name
}

// title is the start line of a message, as far as it says what the message is: "200 OK", "INVITE sip:bob@b.example".
func (w *work) title(side int, e *event) string {
	m := w.reader.parse(side, e.ref)
	switch {
	case m == nil && e.request():
		return clip(e.method)
	case m == nil:
		return strings.TrimSpace(code(e) + " " + sip.ReasonPhrase(int(e.status)))
	case e.request():
		return clip(e.method + " " + string(m.URI.Of(m.Raw)))
	default:
		return clip(code(e) + " " + string(m.Reason.Of(m.Raw)))
	}
}

// tale collects the differences of two messages.
type tale struct {
	w      *work
	a, b   *event
	at, bt int // their indices
	list   []Difference
}

func (t *tale) add(v Verdict, where, a, b, text string) {
	if len(t.list) < maxListed && !t.w.rules.ignores(where) {
		t.list = append(t.list, Difference{Verdict: v, Where: where, A: clip(a), B: clip(b), Text: text})
	}
}

// start compares the codes.
func (t *tale) start() {
	if t.a.status == t.b.status {
		return
	}
	a, b := t.w.title(0, t.a), t.w.title(1, t.b)
	t.add(t.w.rules.Status(int(t.a.status), int(t.b.status)), "status", a, b, "expected "+a+", got "+b)
}

// sorted gives the list, what counts first.
func (t *tale) sorted() []Difference {
	slices.SortStableFunc(t.list, func(x, y Difference) int {
		return b2i(x.Verdict == Tolerated) - b2i(y.Verdict == Tolerated)
	})
	return t.list
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// texts compares what the messages say.
func (t *tale) texts() {
	ma, mb := t.w.reader.parse(0, t.a.ref), t.w.reader.parse(1, t.b.ref)
	if ma == nil || mb == nil {
		return
	}
	t.w.ids.learn(ma, mb)
	names := &t.w.out.names
	res := compare.Messages(ma, mb, compare.Options{Ignore: true, A: &names[0], B: &names[1]})
	whole := !t.a.cut && !t.b.cut
	l := lines{tale: t, whole: whole, spelling: t.w.rules.Spelling, bodyless: ma.Body.Len == 0 || mb.Body.Len == 0}
	l.count(res.Lines)
	l.section(res.Lines, compare.Start)
	if whole && !t.w.rules.ignores("body") {
		if !t.w.rules.ignores("sdp") {
			t.sessions(ma, mb, res.Lines)
		}
	}
	t.standIns(ma, mb)
	l.section(res.Lines, compare.Header)
	if whole && !t.w.rules.ignores("body") {
		l.body(res.Lines)
	}
}

// lines makes differences of the lines of a comparison.
type lines struct {
	*tale
	whole    bool
	spelling bool
	bodyless bool               // one of the messages has no body
	has      [2]map[string]bool // the headers of each message
}

// count notes which headers each message has.
func (l *lines) count(list []compare.Line) {
	l.has = [2]map[string]bool{make(map[string]bool), make(map[string]bool)}
	for i := range list {
		if n := &list[i]; n.Section == compare.Header {
			low := strings.ToLower(n.Name)
			l.has[0][low] = l.has[0][low] || n.NoA > 0
			l.has[1][low] = l.has[1][low] || n.NoB > 0
		}
	}
}

func (l *lines) section(list []compare.Line, section compare.Section) {
	for i := range list {
		n := &list[i]
		if n.Section != section {
			continue
		}
		switch {
		case n.Meaning && section == compare.Start:
			l.startLine(n)
		case n.Meaning:
			l.header(n)
		case section == compare.Start && n.Why == "reason phrase":
			a, b := compare.Text(n.A), compare.Text(n.B)
			l.add(l.spelt(), "reason", a, b, "reason phrase "+quote(phraseOf(b))+", was "+quote(phraseOf(a)))
		case l.spelling && n.Why != "" && !strings.HasPrefix(n.Why, "expected"):
			l.add(Differs, n.Name, compare.Text(n.A), compare.Text(n.B), "header "+clip(n.Name)+" is written differently: "+n.Why)
		}
	}
}

// spelt is the verdict on a difference of spelling.
func (l *lines) spelt() Verdict {
	if l.spelling {
		return Differs
	}
	return Tolerated
}

// phraseOf gives what follows the code in a status line.
func phraseOf(line string) string {
	_, line, _ = strings.Cut(line, " ")
	_, line, _ = strings.Cut(line, " ")
	return line
}

// startLine tells of a request line that differs.
func (l *lines) startLine(n *compare.Line) {
	a, b := middle(compare.Text(n.A)), middle(compare.Text(n.B))
	if n.NoA == 0 || n.NoB == 0 || !l.a.request() {
		l.add(Differs, "request-uri", a, b, "start line "+clip(compare.Text(n.B))+", was "+clip(compare.Text(n.A)))
		return
	}
	if onlyTransport(n) && (l.a.transport != l.b.transport || l.w.rules.ignores("transport")) {
		return
	}
	l.add(Differs, "request-uri", a, b, "Request-URI "+clip(b)+", was "+clip(a))
}

// middle gives the Request-URI of a request line.
func middle(line string) string {
	first, last := strings.IndexByte(line, ' '), strings.LastIndexByte(line, ' ')
	if first < 0 || last <= first {
		return line
	}
	return line[first+1 : last]
}

// header tells of a header line that differs.
func (l *lines) header(n *compare.Line) {
	low := strings.ToLower(n.Name)
	a, b := value(n.A), value(n.B)
	if low == "from" || low == "to" {
		a, b = untagged(a), untagged(b)
	}
	single := n.Change == compare.Removed || n.Change == compare.Added
	switch {
	case single && !l.whole: // it may be where the text was cut
		return
	case l.bodyless && strings.HasPrefix(low, "content-"): // it follows from the body that is missing or extra
		return
	case onlyTransport(n) && (l.a.transport != l.b.transport || l.w.rules.ignores("transport")):
		return
	}
	l.add(l.verdict(n), n.Name, a, b, "header "+clip(n.Name)+" "+l.fate(n, a, b))
}

// fate says in words what became of a header line.
func (l *lines) fate(n *compare.Line, a, b string) string {
	low := strings.ToLower(n.Name)
	switch {
	case n.Change == compare.Removed && !l.has[1][low]:
		return "is missing"
	case n.Change == compare.Removed:
		return "lacks " + clip(a)
	case n.Change == compare.Added && !l.has[0][low] && strings.HasSuffix(low, "authorization"):
		return "is extra" // it is long, and says nothing to people
	case n.Change == compare.Added && !l.has[0][low]:
		return "is extra: " + clip(b)
	case n.Change == compare.Added:
		return "has " + clip(b) + " in addition"
	default:
		return changed(n, a, b)
	}
}

// untagged takes the tag off an address: it differs anyway.
func untagged(t string) string {
	const tag = ";tag="
	for at := len(t) - len(tag); at >= 0; at-- {
		if !strings.EqualFold(t[at:at+len(tag)], tag) {
			continue
		}
		end := at + 1
		for end < len(t) && t[end] != ';' {
			end++
		}
		return t[:at] + t[end:]
	}
	return t
}

// changed says in words what became of a value.
func changed(n *compare.Line, a, b string) string {
	gone, came := marked(n.A), marked(n.B)
	switch {
	case gone != "" && came == "":
		return "lacks " + clip(gone)
	case gone == "" && came != "":
		return "has " + clip(came) + " in addition"
	default:
		return "is " + clip(b) + ", was " + clip(a)
	}
}

// marked joins the spans that differ.
func marked(spans []compare.Span) string {
	var parts []string
	for i := range spans {
		if spans[i].Differs {
			parts = append(parts, strings.Trim(spans[i].Text, " ,;"))
		}
	}
	return strings.Join(parts, ", ")
}

// value is a header line without its name.
func value(spans []compare.Span) string {
	t := compare.Text(spans)
	if n := strings.IndexByte(t, ':'); n >= 0 && !strings.ContainsAny(t[:n], " <\"@") || n >= 0 && strings.IndexByte(t[:n], ' ') == n-1 {
		return strings.Trim(t[n+1:], " \t,")
	}
	return strings.Trim(t, " \t,")
}

// onlyTransport reports whether nothing but the name of a transport differs.
func onlyTransport(n *compare.Line) bool {
	found := false
	for _, side := range [2][]compare.Span{n.A, n.B} {
		for i := range side {
			if !side[i].Differs {
				continue
			}
			switch strings.ToLower(strings.TrimPrefix(strings.Trim(side[i].Text, "; "), "transport=")) {
			case "udp", "tcp", "tls", "sctp", "ws", "wss":
				found = true
			default:
				return false
			}
		}
	}
	return found
}

// verdict says whether a header's difference counts.
func (l *lines) verdict(n *compare.Line) Verdict {
	id := sip.LookupHeader([]byte(n.Name))
	single := n.Change == compare.Added || n.Change == compare.Removed
	switch id {
	case sip.HeaderUserAgent, sip.HeaderServer, sip.HeaderOrganization, sip.HeaderWarning, sip.HeaderMaxForwards:
		return Tolerated
	case sip.HeaderDate, sip.HeaderTimestamp, sip.HeaderContentLength:
		if single {
			return Tolerated
		}
	case sip.HeaderAuthorization, sip.HeaderProxyAuthorization, sip.HeaderAuthenticationInfo,
		sip.HeaderProxyAuthenticationInfo, sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate:
		return l.digest(id, single, n)
	case sip.HeaderExpires, sip.HeaderContact, sip.HeaderSubscriptionState:
		if !single && (l.a.status > 0 || l.a.method == "NOTIFY") && aboutEqual(n) {
			return Tolerated
		}
	default:
	}
	return Differs
}

// digest is the verdict on what belongs to a challenge or to its answer.
func (l *lines) digest(id sip.HeaderID, single bool, n *compare.Line) Verdict {
	asks := id == sip.HeaderWWWAuthenticate || id == sip.HeaderProxyAuthenticate
	if !asks && !single && l.w.rules.Replayed && l.sameAnswerer(n) && l.weAnswer() {
		return Tolerated
	}
	if asks && !single && onlyOpaque(n) || !asks && single && l.w.rules.Challenges {
		return Tolerated
	}
	return Differs
}

// sameAnswerer reports whether two digest answers are of one user for one realm.
func (l *lines) sameAnswerer(n *compare.Line) bool {
	a, okA := sip.ParseCredentials([]byte(value(n.A)))
	b, okB := sip.ParseCredentials([]byte(value(n.B)))
	user, was := string(sip.Unquote(b.Username)), string(sip.Unquote(a.Username))
	if to, ok := l.w.rules.Alias[was]; ok {
		was = to
	}
	return okA && okB && user == was && bytes.Equal(sip.Unquote(a.Realm), sip.Unquote(b.Realm))
}

// weAnswer reports whether the credentials of B are those of a request that we made: their form is ours.
func (l *lines) weAnswer() bool {
	b := l.w.sides[1]
	if b.flow.Ours == nil {
		return true
	}
	at := l.bt
	for range maxHops {
		n := b.forwarded(at)
		if n < 0 || !b.events[n].facts.auth {
			break
		}
		at = n
	}
	return b.ours(&b.events[at])
}

// onlyOpaque reports whether nothing differs in a challenge but what its maker alone understands (RFC 7616 3.3).
func onlyOpaque(n *compare.Line) bool {
	for _, side := range [2][]compare.Span{n.A, n.B} {
		for i := range side {
			t := strings.ToLower(strings.Trim(side[i].Text, " ,\t"))
			if side[i].Differs && t != "" && !strings.HasPrefix(t, "opaque=") {
				return false
			}
		}
	}
	return true
}

// aboutEqual reports whether nothing but numbers of seconds differ, and those hardly: what is left of a lifetime.
func aboutEqual(n *compare.Line) bool {
	a, b := numbers(n.A), numbers(n.B)
	if len(a) == 0 || len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] < 0 || b[i] < 0 || max(a[i]-b[i], b[i]-a[i]) > max(10, a[i]/50) {
			return false
		}
	}
	return true
}

// numbers reads the spans that differ; -1 for one that is no number.
func numbers(spans []compare.Span) []int64 {
	var list []int64
	for i := range spans {
		if spans[i].Differs {
			n, err := strconv.ParseInt(strings.Trim(spans[i].Text, " "), 10, 64)
			if err != nil || n > 1<<40 {
				n = -1
			}
			list = append(list, n)
		}
	}
	return list
}

// body tells of a body that is no SDP.
func (l *lines) body(list []compare.Line) {
	count, gone, came, kept := 0, 0, 0, 0
	var first *compare.Line
	for i := range list {
		n := &list[i]
		if n.Section != compare.Body {
			continue
		}
		gone += b2i(n.Change == compare.Removed)
		came += b2i(n.Change == compare.Added)
		kept += b2i(n.NoA > 0 && n.NoB > 0)
		if n.Meaning {
			if first == nil {
				first = n
			}
			count++
		}
	}
	if first == nil {
		return
	}
	a, b := compare.Text(first.A), compare.Text(first.B)
	switch {
	case kept == 0 && came == 0:
		l.add(Differs, "body", a, "", "the body is missing")
	case kept == 0 && gone == 0:
		l.add(Differs, "body", "", b, "the body is extra")
	case first.NoA == 0:
		l.add(Differs, "body", a, b, "the body differs in "+many(count, "line")+": extra "+quote(clip(b)))
	case first.NoB == 0:
		l.add(Differs, "body", a, b, "the body differs in "+many(count, "line")+": without "+quote(clip(a)))
	default:
		l.add(Differs, "body", a, b, "the body differs in "+many(count, "line")+": "+quote(clip(b))+", was "+quote(clip(a)))
	}
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func quote(t string) string { return `"` + t + `"` }

// clip bounds a text that comes from the wire.
func clip(t string) string {
	if len(t) <= maxValue {
		return t
	}
	return strings.ToValidUTF8(t[:maxValue-3], "") + "..."
}

func trimFraction(v float64, digits int) string {
	t := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.IndexByte(t, '.') >= 0 {
		t = strings.TrimRight(strings.TrimRight(t, "0"), ".")
	}
	return t
}
