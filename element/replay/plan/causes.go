package plan

import (
	"slices"
	"strings"

	"sipscope/decode/sip"
)

// place keys of what a host has done so far.
type (
	hostCall  struct{ host, call int }
	hostGroup struct {
		host  int
		group string
	}
	hostTxn struct {
		host int
		txn  txnKey
	}
	// answered is a response that a later request names: a 2xx by its ACK, a reliable 1xx by its PRACK.
	answered struct {
		host, call int
		number     uint32 // CSeq of a 2xx, RSeq of a 1xx
		prack      bool
		toTag      string
	}
)

// causer finds out what must have happened before a step. It walks the steps in order and remembers, by host, the newest
// step of each kind; -1 and absence mean none. All is by index into the plan's steps.
type causer struct {
	k        *maker
	got      map[hostCall]int // newest message that a host received in a call, 100 left out
	firm     map[hostCall]int // likewise, what may be missing left out
	gotGroup map[hostGroup]int
	gotAny   map[int]int
	sent     map[hostCall]int
	txn      map[hostTxn]int // newest message of a transaction that a host took part in, 100 left out
	trying   map[hostTxn]int // its newest 100
	answers  map[answered]int
	register map[int]int    // newest final response to a REGISTER, by who got it
	bindings map[string]int // likewise, by address of record
	talked   map[int]int    // newest message that a host got in a session
}

// causes fills After and Gap. A step waits for what its sender could only know from it (law of a replay: think time counts
// from the newest of those, so that a slow server shifts the flow instead of breaking it):
//
//   - the copy that it forwards; the response that an ACK or a PRACK names (RFC 3261 13.2.2.4, RFC 3262 4);
//   - the newest message of its transaction; a CANCEL and the ACK of a failure are in their INVITE's;
//   - the newest message that its sender got in the call, or, for a request, in the calls joined with it, and the newest
//     that it sent in the call;
//   - a REGISTER: the registrations before it of its address of record, which all of them change, and the newest message
//     of a session that its sender got: who unregisters has hung up;
//   - when there is none of these: the registrations before it.
func (k *maker) causes() {
	c := causer{
		k: k, got: map[hostCall]int{}, firm: map[hostCall]int{}, gotGroup: map[hostGroup]int{}, gotAny: map[int]int{},
		sent: map[hostCall]int{}, txn: map[hostTxn]int{}, trying: map[hostTxn]int{}, answers: map[answered]int{},
		register: map[int]int{}, bindings: map[string]int{}, talked: map[int]int{},
	}
	for i := range k.events {
		e := &k.events[i]
		if e.fate != fateStep {
			continue
		}
		found := c.of(e)
		s := &k.plan.Steps[e.step]
		if s.Kind == Expect {
			found = c.certain(found)
		}
		for _, j := range c.reduce(found) {
			s.After = append(s.After, j+1)
		}
		k.gap(s)
		c.remember(e)
	}
	for i := range k.sounds {
		k.soundCauses(&c, &k.sounds[i])
	}
}

// gap is the time since the latest cause.
func (k *maker) gap(s *Step) {
	s.Gap = s.At
	if n := len(s.After); n > 0 {
		s.Gap = s.At - k.plan.Steps[s.After[n-1]-1].At
	}
}

// of lists the causes of an event, with some that follow from others.
func (c *causer) of(e *event) []int {
	var found []int
	add := func(j int, ok bool) bool {
		if ok && !slices.Contains(found, j) {
			found = append(found, j)
		}
		return ok
	}
	precise := c.precise(e, add)
	if precise && c.k.plan.Steps[e.step].Kind == Expect {
		return found // when it is late is told by what it follows from
	}
	c.ofTransaction(e, add)
	if precise && e.msg.Request && e.forwards >= 0 {
		return found
	}
	c.ofHost(e, add)
	if e.msg.MethodID == sip.MethodRegister && e.msg.Request {
		j, ok := c.bindings[e.record()]
		add(j, ok)
		j, ok = c.talked[e.from]
		add(j, ok)
	}
	if len(found) == 0 && e.msg.MethodID != sip.MethodRegister {
		for _, j := range c.register {
			add(j, true)
		}
	}
	return found
}

// precise finds the one message that this one follows from by its own words.
func (c *causer) precise(e *event, add func(int, bool) bool) bool {
	if e.forwards >= 0 && c.k.events[e.forwards].fate == fateStep {
		return add(c.k.events[e.forwards].step, true)
	}
	if !e.msg.Request {
		return false
	}
	key := answered{host: e.from, call: e.call, number: e.msg.CSeq, toTag: e.toTag}
	switch e.msg.MethodID {
	case sip.MethodAck:
	case sip.MethodPrack:
		value, _ := e.msg.Value(sip.HeaderRAck)
		rack := sip.ParseRAck(value)
		if rack.RSeq < 0 {
			return false
		}
		key.number, key.prack = uint32(rack.RSeq), true //nolint:gosec // ParseRAck gives 32 bits
	default:
		return false
	}
	j, ok := c.answers[key]
	return add(j, ok)
}

// ofTransaction finds the newest message of the event's transaction at its sender.
func (c *causer) ofTransaction(e *event, add func(int, bool) bool) {
	key := hostTxn{e.from, e.txn()}
	if m := e.msg.MethodID; e.msg.Request && (m == sip.MethodAck || m == sip.MethodCancel) {
		key.txn = e.txnOf("INVITE")
	}
	j, ok := c.txn[key]
	add(j, ok)
	if t, found := c.trying[key]; found && e.msg.MethodID == sip.MethodCancel && e.msg.Request && t > j {
		add(t, true) // RFC 3261 9.1: no CANCEL before a provisional response
	}
}

// ofHost finds what the sender had got and sent before, of the same call or of those joined with it.
func (c *causer) ofHost(e *event, add func(int, bool) bool) {
	call := hostCall{e.from, e.call}
	j, ok := c.got[call]
	caused := add(j, ok)
	j, ok = c.firm[call]
	add(j, ok)
	if group := c.k.group(e); group != "" && (e.msg.Request || c.k.hosts[e.from].legs) {
		j, ok = c.gotGroup[hostGroup{e.from, group}]
		caused = add(j, ok) || caused
	}
	live := e.from == c.k.live
	if e.msg.MethodID == sip.MethodNotify && e.msg.Request && live {
		j, ok = c.gotAny[e.from]
		add(j, ok && e.at-c.k.plan.Steps[j].At <= notifyAge)
	}
	if j, ok = c.sent[call]; ok && (!live || !caused) {
		add(j, true) // the order in which the live one sends to several is its own affair
	}
}

// record is the address of record that a REGISTER is about (RFC 3261 10.2).
func (e *event) record() string {
	to := &e.msg.To
	return string(to.User.Of(e.raw)) + "@" + strings.ToLower(string(to.Host.Of(e.raw)))
}

// notifyAge is how long, in nanoseconds, a NOTIFY of the live one may follow what it tells of in another call.
const notifyAge = 2_000_000_000

// group is that of an event's call, "" for none.
func (k *maker) group(e *event) string {
	if e.call >= len(k.calls) {
		return ""
	}
	return groupOf(&k.calls[e.call])
}

// remember takes the event into account for those after it.
func (c *causer) remember(e *event) {
	i := e.step
	trying := !e.msg.Request && e.msg.Status == 100
	for _, host := range [2]int{e.from, e.to} {
		if trying {
			c.trying[hostTxn{host, e.txn()}] = i
		} else {
			c.txn[hostTxn{host, e.txn()}] = i
		}
	}
	if trying {
		return
	}
	c.sent[hostCall{e.from, e.call}] = i
	c.got[hostCall{e.to, e.call}] = i
	c.gotAny[e.to] = i
	if inSession(e.msg.MethodID) {
		c.talked[e.to] = i
	}
	if !c.k.plan.Steps[i].Optional {
		c.firm[hostCall{e.to, e.call}] = i
	}
	if group := c.k.group(e); group != "" {
		c.gotGroup[hostGroup{e.to, group}] = i
	}
	if !e.msg.Request {
		c.rememberAnswer(e, i)
	}
}

// inSession reports whether a method begins, changes or ends a session.
func inSession(m sip.MethodID) bool {
	return m == sip.MethodInvite || m == sip.MethodAck || m == sip.MethodBye || m == sip.MethodCancel
}

// rememberAnswer takes a response into account that later requests name, or follow from.
func (c *causer) rememberAnswer(e *event, i int) {
	key := answered{host: e.to, call: e.call, number: e.msg.CSeq, toTag: e.toTag}
	switch {
	case e.msg.MethodID == sip.MethodRegister && e.msg.Status >= 200:
		c.register[e.to] = i
		c.bindings[e.record()] = i
	case e.msg.MethodID != sip.MethodInvite:
	case e.msg.Status >= 200 && e.msg.Status < 300:
		c.answers[key] = i
	case e.reliable():
		value, _ := e.msg.Value(sip.HeaderRSeq)
		if n := sip.ParseRSeq(value); n >= 0 {
			key.number, key.prack = uint32(n), true //nolint:gosec // ParseRSeq gives 32 bits
			c.answers[key] = i
		}
	}
}

// certain leaves out what may be missing, unless there is nothing else.
func (c *causer) certain(found []int) []int {
	optional := func(j int) bool { return c.k.plan.Steps[j].Optional }
	if !slices.ContainsFunc(found, func(j int) bool { return !optional(j) }) {
		return found
	}
	return slices.DeleteFunc(found, optional)
}

// maxWalk bounds the search for causes that follow from others; one too many does no harm.
const maxWalk = 64

// reduce sorts causes and leaves out those that must have happened before another one of them.
func (c *causer) reduce(found []int) []int {
	slices.Sort(found)
	if len(found) < 2 {
		return found
	}
	implied := map[int]bool{}
	walked := 0
	for _, j := range found {
		walked = c.walk(j, implied, walked, found[0])
	}
	return slices.DeleteFunc(found, func(j int) bool { return implied[j] })
}

// walk marks what must have happened before step j, back to the step least.
func (c *causer) walk(j int, implied map[int]bool, walked, least int) int {
	todo := []int{j}
	for len(todo) > 0 && walked < maxWalk*2 {
		j = todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		walked++
		for _, id := range c.k.plan.Steps[j].After {
			// What may be missing is no guarantee for what came before it.
			if id-1 < least || implied[id-1] || c.k.plan.Steps[j].Optional {
				continue
			}
			implied[id-1] = true
			todo = append(todo, id-1)
		}
	}
	return walked
}
