package sipp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/decode/sip"
)

// Times of a script.
const (
	minPause = 10 * time.Millisecond // less is the time that a machine takes, not what a person or a timer does
	linger   = 4 * time.Second       // after the end SIPp answers retransmissions for so long
	hurried  = time.Second           // the same with Options.Fast
	patience = 500                   // ms for a provisional response that need not come
	maxWait  = 24 * time.Hour        // SIPp counts milliseconds in an int
)

// kind is an element of a scenario.
type kind uint8

const (
	send kind = iota + 1
	recv
	pause
	nop
	label
	timewait
)

// item is an element of a scenario.
type item struct {
	kind kind
	ev   *event // of send and recv

	text    string // of send: the template, see branchMark
	branch  *item  // whose branch it has; nil: its own
	retrans bool
	plain   bool // of send: without the recorded credentials

	request  string // of recv, one of both
	status   uint16
	optional bool
	rrs      bool
	auth     bool
	timeout  int // ms

	start, ack, response string // names of transactions
	next, onTimeout      string // labels
	cond                 string // variable that must be set
	inverse              bool   // must not be set
	actions              []string
	millis               int64
	name                 string // of label
}

// bypass is a refusal that the other scenario does not send, and how it was overcome: SIPp goes that way if it is
// refused, and past it if not.
type bypass struct {
	final   *event // the first refusal
	retry   *event // the request that was not refused so
	label   string
	resume  string
	renamed string // the variable that is set on that way
}

// build makes the items.
func (b *builder) build() {
	b.survey()
	skips := b.bypasses()
	var main []*item
	for i := 0; i < len(b.v.events); i++ {
		e := b.v.events[i]
		k := slices.IndexFunc(skips, func(s *bypass) bool { return s.final == e })
		if k < 0 {
			main = b.emit(main, e)
			continue
		}
		s := skips[k]
		main = b.emit(main, e)
		it := main[len(main)-1]
		it.optional, it.next = true, s.label
		it.actions = append(it.actions, ereg(".", s.renamed))
		main = append(main, &item{kind: label, name: s.resume})
		sub := []*item{{kind: label, name: s.label}}
		for i++; i < len(b.v.events) && b.v.events[i].pos <= s.retry.pos; i++ {
			sub = b.emit(sub, b.v.events[i])
		}
		i--
		b.subs = append(b.subs, leads(b.settle(sub), s.resume)...)
	}
	b.items = b.close(b.settle(main))
	b.play()
	b.timers()
	b.branches()
}

// bypasses finds the refusals that the other scenario does not send: challenges, redirections and the like by elements
// in between.
func (b *builder) bypasses() []*bypass {
	var all []*bypass
	done := -1
	for _, f := range b.v.events {
		if f.pos <= done || f.send || !f.alone || f.facts.Status < 300 || f.request == nil {
			continue
		}
		r := b.retry(f)
		if r == nil {
			continue
		}
		n := strconv.Itoa(f.pos)
		all = append(all, &bypass{final: f, retry: r, label: "refused" + n, resume: "goeson" + n, renamed: "was_refused" + n})
		b.unsure[r] = true
		delete(b.txns, f.request)
		delete(b.txns, r)
		done = r.pos
	}
	return all
}

// retry finds the request that overcame a refusal: one of the same kind that the other scenario has, with nothing in
// between but refusals, ACKs and requests that it does not have.
func (b *builder) retry(f *event) *event {
	for _, e := range b.v.events[f.pos+1:] {
		switch {
		case e.send && e.is("ACK"), !e.send && !e.isRequest() && e.method() == f.method() && e.alone:
		case e.send && e.isRequest() && e.method() == f.method() && e.facts.CSeq > f.facts.CSeq &&
			e.sip.To.Tag.Empty() == f.request.sip.To.Tag.Empty():
			if !e.alone {
				return e
			}
		default:
			return nil
		}
	}
	return nil
}

// emit appends the items of an event.
func (b *builder) emit(to []*item, e *event) []*item {
	if why := b.unsayable(e); why != "" {
		b.note(e, "left out: "+why)
		return to
	}
	if !e.send {
		return append(to, b.receive(e))
	}
	if gap := time.Duration(e.gap); gap >= minPause && !b.o.Fast && e.pos > 0 {
		to = append(to, &item{kind: pause, millis: min(gap, maxWait).Milliseconds()})
	}
	it := &item{kind: send, ev: e, start: b.txns[e]}
	if e.is("ACK") && e.request != nil && e.request.ack == e {
		it.ack = b.txns[e.request]
	}
	if b.doubtful(e) {
		twin := *it
		twin.plain, twin.cond, twin.inverse = true, "was_refused"+strconv.Itoa(b.challenge(e).pos), true
		twin.text = b.template(e, true)
		it.cond = twin.cond
		to = append(to, &twin)
	}
	it.text = b.template(e, false)
	return append(to, it)
}

// doubtful reports whether a request answers a challenge that may have been passed by.
func (b *builder) doubtful(e *event) bool {
	c := b.challenge(e)
	if !e.isRequest() || c == nil || !c.alone || c.request == nil {
		return false
	}
	if !hasCredentials(e) {
		return false
	}
	for r := range b.unsure {
		if r.pos > c.pos && r.pos < e.pos && b.retry(c) == r {
			return true
		}
	}
	return false
}

func hasCredentials(e *event) bool {
	_, a := e.sip.Value(sip.HeaderAuthorization)
	_, p := e.sip.Value(sip.HeaderProxyAuthorization)
	return a || p
}

// unsayable says why SIPp cannot send or expect a message.
func (b *builder) unsayable(e *event) string {
	switch {
	case !e.isRequest() && e.request == nil:
		return "the recording does not have its request before it"
	case !e.isRequest() && (e.facts.Status < 100 || e.facts.Status > 699):
		return "SIPp has statuses from 100 to 699 only"
	case !e.send && e.isRequest() && len(e.facts.Method) > 60:
		return "SIPp has methods of up to 63 bytes"
	case e.isRequest() && !token(e.facts.Method):
		return "its method is no token"
	case !strings.HasPrefix(string(e.sip.Raw), "SIP/2.0 ") && !e.isRequest():
		return "SIPp knows SIP/2.0 alone"
	}
	return ""
}

// token reports whether a method is one (RFC 3261 25.1), and can stand in an attribute.
func token(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-.!%*_+`'~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// receive makes the item of a message that comes.
func (b *builder) receive(e *event) *item {
	it := &item{kind: recv, ev: e}
	if e.isRequest() {
		it.request = e.facts.Method
		it.rrs = b.answers(e)
		if e.saved {
			it.actions = b.keep(e)
		}
		return it
	}
	it.status = e.facts.Status
	it.optional = it.status < 200
	it.response = b.txns[e.request]
	it.rrs = b.made[e] || b.redirects(e)
	it.auth = (it.status == 401 || it.status == 407) && answerable(e) && b.retried(e)
	b.auth = b.auth || it.auth
	if b.acknowledged(e) {
		it.actions = append(it.actions, ereg(`\n[Rr][Ss][Ee][Qq][ \t]*:[ \t]*([0-9]+)`, "unused", "rseq"+strconv.Itoa(e.pos)))
		if b.unsure[e.request] {
			it.actions = append(it.actions, ereg(`\n[Cc][Ss][Ee][Qq][ \t]*:[ \t]*([0-9]+)`, "unused", "rcseq"+strconv.Itoa(e.pos)))
		}
	}
	if b.named(e) {
		it.actions = append(it.actions, ereg(`\n[Ss][Ii][Pp]-[Ee][Tt][Aa][Gg][ \t]*:[ \t]*([^ \t\r\n]+)`, "unused", "etag"+strconv.Itoa(e.pos)))
	}
	if k := b.dialogs[e.tag()]; b.made[e] && e.isFinal() && k > 0 && len(b.dialogs) > 1 {
		it.actions = append(it.actions,
			ereg(`\n([Tt][Oo]|[Tt])[ \t]*:[^\r\n]*;[ \t]*[Tt][Aa][Gg][ \t]*=[ \t]*([^; \t\r\n]+)`, "unused", "unused", "tag"+strconv.Itoa(k)),
			ereg(`\n([Cc][Oo][Nn][Tt][Aa][Cc][Tt]|[Mm])[ \t]*:[^\r\n]*([Ss][Ii][Pp][Ss]?:[^ ,>\r\n]+)`, "unused", "unused", "target"+strconv.Itoa(k)))
	}
	return it
}

// keep saves of a request what its response needs, when others come before that.
func (b *builder) keep(e *event) []string {
	n := strconv.Itoa(e.pos)
	all := []string{
		ereg(`\n([Ff][Rr][Oo][Mm]|[Ff])[ \t]*:([^\r\n]*)`, "unused", "unused", "from"+n),
		ereg(`\n([Tt][Oo]|[Tt])[ \t]*:([^\r\n]*)`, "unused", "unused", "to"+n),
	}
	late := false
	for _, r := range b.v.events[e.pos+1:] {
		late = late || r.send && r.request == e && !r.isRequest()
	}
	if !late {
		return all
	}
	return append(all,
		ereg(`\n((([Vv][Ii][Aa]|[Vv])[ \t]*:[^\r\n]*\r\n)+)`, "unused", "via"+n),
		ereg(`\n[Cc][Ss][Ee][Qq][ \t]*:([^\r\n]*)`, "unused", "cseq"+n),
		ereg(`\n(([Rr][Ee][Cc][Oo][Rr][Dd]-[Rr][Oo][Uu][Tt][Ee][ \t]*:[^\r\n]*\r\n)+)`, "unused", "rr"+n))
}

// ereg is an action that puts the match of a regular expression, and those of its groups, into variables.
func ereg(regexp string, vars ...string) string {
	return fmt.Sprintf(`<ereg regexp="%s" search_in="msg" assign_to="%s"/>`, regexp, strings.Join(vars, ","))
}

// answers reports whether a request of ours goes to the target that a request brought.
func (b *builder) answers(e *event) bool {
	return slices.ContainsFunc(b.v.events[e.pos+1:], func(r *event) bool {
		return r.send && r.isRequest() && b.answered(r) == e && !e.sip.Contact.URI.Empty()
	})
}

// redirects reports whether a request follows a redirection.
func (b *builder) redirects(e *event) bool {
	return e.facts.Status >= 300 && e.facts.Status < 400 && slices.ContainsFunc(b.v.events[e.pos+1:], func(r *event) bool {
		return r.send && r.isRequest() && r.method() == e.method() && b.redirected(r)
	})
}

// retried reports whether a request with credentials comes after a challenge.
func (b *builder) retried(e *event) bool {
	return slices.ContainsFunc(b.v.events[e.pos+1:], func(r *event) bool {
		return r.send && r.isRequest() && hasCredentials(r) && b.challenge(r) == e
	})
}

// acknowledged reports whether a PRACK names a response.
func (b *builder) acknowledged(e *event) bool {
	return slices.ContainsFunc(b.v.events[e.pos+1:], func(r *event) bool {
		if !r.send || !r.isRequest() {
			return false
		}
		h, ok := r.sip.Value(sip.HeaderRAck)
		return ok && b.reliable(r, sip.ParseRAck(h).RSeq) == e
	})
}

// named reports whether a request names the entity tag of a response.
func (b *builder) named(e *event) bool {
	return slices.ContainsFunc(b.v.events[e.pos+1:], func(r *event) bool {
		if !r.send || !r.isRequest() {
			return false
		}
		h, ok := r.sip.Value(sip.HeaderSIPIfMatch)
		return ok && b.tagged(r, h) == e
	})
}

// settle gives runs of responses the form that SIPp wants: an optional one comes before one that must come.
func (b *builder) settle(items []*item) []*item {
	var out []*item
	for i := 0; i < len(items); {
		if items[i].kind != recv {
			out = append(out, items[i])
			i++
			continue
		}
		j := i
		for j < len(items) && (items[j].kind == recv || items[j].kind == label) {
			j++
			if last := items[j-1]; last.kind == recv && !last.optional {
				break
			}
		}
		out = append(out, b.run(items[i:j], j == len(items))...)
		i = j
	}
	return out
}

// run settles responses of which only the last may be one that must come. end says that nothing follows.
func (b *builder) run(items []*item, end bool) []*item {
	var out []*item
	for i := 0; i < len(items); {
		j := i + 1
		for j < len(items) && items[j].kind != label {
			j++
		}
		out = append(out, b.usual(once(items[i:j]))...)
		i = j
	}
	last := len(out) - 1
	for last >= 0 && out[last].kind == label {
		last--
	}
	if last < 0 || !out[last].optional {
		return out
	}
	it := out[last]
	switch {
	case !it.ev.alone && it.status > 100 && it.next == "":
		it.optional = false
	case it.next != "":
		out = slices.Delete(out, last, last+1)
	default:
		b.label++
		it.optional, it.timeout, it.onTimeout = false, patience, "late"+strconv.Itoa(b.label)
		out = slices.Insert(out, last+1, &item{kind: label, name: it.onTimeout})
		if end {
			out = append(out, &item{kind: nop}) // a label at the end would be a failure
		}
	}
	return out
}

// once leaves out optional responses that are there already: they may come any number of times.
func once(items []*item) []*item {
	var out []*item
	seen := map[uint16]*item{}
	for _, it := range items {
		if it.kind == recv && it.optional && it.next == "" {
			if old := seen[it.status]; old != nil && len(it.actions) == 0 {
				old.rrs = old.rrs || it.rrs
				old.ev.alone = old.ev.alone && it.ev.alone
				continue
			}
			seen[it.status] = it
		}
		out = append(out, it)
	}
	return out
}

// usual adds the provisional responses that any INVITE may get from another server than the recorded one. items may begin
// with a label.
func (b *builder) usual(items []*item) []*item {
	at := 0
	if items[0].kind == label {
		at = 1
	}
	if at == len(items) {
		return items
	}
	first := items[at]
	if first.status == 0 || !first.ev.request.is("INVITE") {
		return items
	}
	for _, status := range []uint16{183, 180, 100} {
		if slices.ContainsFunc(items, func(it *item) bool { return it.status == status }) {
			continue
		}
		ev := &event{facts: first.ev.facts, request: first.ev.request, alone: true, pos: first.ev.pos}
		items = slices.Insert(slices.Clone(items), at, &item{kind: recv, status: status, optional: true, response: first.response, ev: ev})
	}
	return items
}

// close ends the script: what SIPp does after the last message, and what is jumped to.
func (b *builder) close(main []*item) []*item {
	if len(main) == 0 {
		return main
	}
	wait := b.after(main)
	if len(b.subs) > 0 {
		main = append(leads(main, "over"), b.subs...)
		main = append(main, &item{kind: label, name: "over"})
	}
	if wait > 0 {
		main = append(main, &item{kind: timewait, millis: wait.Milliseconds()})
	}
	return main
}

// leads goes on at a label after the last item. Where that can be said of the item itself it is: SIPp takes a step for a
// nop of its own, and a message that arrives meanwhile is unexpected.
func leads(items []*item, name string) []*item {
	if n := len(items); n > 0 {
		if last := items[n-1]; last.next == "" && last.cond == "" && (last.kind == send || last.kind == recv && !last.optional) {
			last.next = name
			return items
		}
	}
	return append(items, &item{kind: nop, next: name})
}

// after is how long SIPp stays after its last message.
func (b *builder) after(main []*item) time.Duration {
	i := len(main) - 1
	for i > 0 && main[i].ev == nil {
		i--
	}
	last := main[i]
	if last.ev == nil {
		return 0
	}
	stay := linger
	switch {
	case b.proto() != "UDP": // nothing is sent again, and SIPp blames a call for the end of its connection
		stay = 0
	case b.o.Fast:
		stay = hurried
	}
	switch {
	case last.kind == send && (last.ev.is("ACK") || !last.ev.isRequest()):
		return stay // to answer what comes once more
	case last.kind == send, last.kind == recv && last.request != "" && last.request != "ACK",
		last.status > 0 && last.status < 200:
		if b.o.Fast { // nobody answers: as long as the recording waited
			return stay
		}
		return max(stay, min(time.Duration(last.ev.left), maxWait))
	}
	return 0
}

// timers says which messages SIPp sends again until they are answered: it sends nothing else meanwhile.
func (b *builder) timers() {
	for i, it := range b.items {
		if it.kind == send {
			it.retrans = b.repeats(i)
		}
	}
}

func (b *builder) repeats(i int) bool {
	e := b.items[i].ev
	if e.is("ACK") {
		return false
	}
	next := b.items[i].next
	for jumps := 0; i+1 < len(b.items) && jumps < 3; i++ {
		if next != "" {
			at := slices.IndexFunc(b.items, func(it *item) bool { return it.kind == label && it.name == next })
			if at < 0 {
				return false
			}
			i, next = at-1, ""
			jumps++
			continue
		}
		n := b.items[i+1]
		switch {
		case n.kind == send && n.ev != e, n.kind == timewait:
			return false
		case n.kind == nop:
			next = n.next
		case n.kind == recv && !n.optional && n.timeout == 0:
			return b.stops(e, n)
		}
	}
	return false
}

// stops reports whether SIPp takes n as the answer that ends the retransmissions of e.
func (b *builder) stops(e *event, n *item) bool {
	switch {
	case e.isRequest():
		answer := n.status > 0 && (n.ev.request == e || b.unsure[n.ev.request] && n.ev.method() == e.method())
		return answer && (n.status >= 200 || e.is("INVITE"))
	case e.method() != "INVITE":
		return false
	case e.isFinal():
		return n.request == "ACK"
	}
	_, reliable := e.sip.Value(sip.HeaderRSeq)
	return reliable && n.request == "PRACK"
}

// branches finds the items whose branch an ACK or CANCEL has.
func (b *builder) branches() {
	of := map[*event]*item{}
	for _, it := range b.items {
		if it.kind == send && it.ev.is("INVITE") {
			of[it.ev] = it
		}
	}
	for _, it := range b.items {
		if it.kind == send && (it.ev.is("CANCEL") || it.ev.acksFailure()) && it.ev.request != nil {
			it.branch = of[it.ev.request]
		}
	}
}
