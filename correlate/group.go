package correlate

import (
	"bytes"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// relation is how a call was joined with an earlier one.
type relation uint8

const (
	relNone      relation = iota
	relB2BUA              // an element received an INVITE and sent one with another Call-ID for the same user
	relTransfer           // the INVITE that a REFER asked for (RFC 3515)
	relReplaces           // Replaces names the earlier call (RFC 3891)
	relSessionID          // same Session-ID (RFC 7989)
	relAgent              // a capture agent says so (HEP correlation id)
)

// String is the relation as JSON and filters have it.
func (r relation) String() string {
	return [...]string{"", "b2bua", "transfer", "replaces", "session-id", "agent"}[min(r, relAgent)]
}

// Relations lists the values of Summary.Relation that are not empty.
func Relations() []string {
	var all []string
	for r := relB2BUA; r <= relAgent; r++ {
		all = append(all, r.String())
	}
	return all
}

// How long a leg may follow what caused it, in packet time, and how many candidates are looked at.
const (
	legAge    = 2_000_000_000 // a back-to-back user agent places its second leg within this
	referAge  = timerB
	perHost   = 32
	maxRefers = 1024
	maxHosts  = 1 << 16
)

// joiner remembers what may cause another call soon. All its lists are bounded; their oldest entries go first.
type joiner struct {
	inbound  map[frame.Endpoint][]pending // INVITEs by the host (port 0) that they reached
	refers   []pending
	sessions map[string]uint32 // Session-ID -> call number
}

// pending is a call that may cause another one.
type pending struct {
	at       int64
	num      uint32
	to, from uint64 // hashes of user parts
	host     frame.Endpoint
	target   string // user of Refer-To
}

func newJoiner() joiner {
	return joiner{inbound: map[frame.Endpoint][]pending{}, sessions: map[string]uint32{}}
}

func hostOf(e frame.Endpoint) frame.Endpoint {
	e.Port = 0
	return e
}

// userHash is FNV-1a; both sides of a comparison come from the same capture and a collision only joins two calls.
func userHash(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// join relates a new call to an earlier one, and remembers what may cause others.
func (t *Tracker) join(x *seen, fresh bool) {
	s := &x.m.SIP
	if !s.Request {
		return
	}
	switch s.MethodID {
	case sip.MethodRefer:
		t.noteRefer(x)
		t.joinConsultation(x)
	case sip.MethodInvite:
		if fresh && x.m.Keys.ToTag == 0 {
			t.joinInvite(x)
			t.noteInvite(x)
		}
	default:
	}
}

func (t *Tracker) joinInvite(x *seen) {
	if !t.joinHeaders(x) && !t.relate(x, t.numberOf(x.m.Keys.Related), relAgent) && !t.joinTransfer(x) {
		t.joinB2BUA(x)
	}
}

// joinHeaders follows what the INVITE says itself.
func (t *Tracker) joinHeaders(x *seen) bool {
	s := &x.m.SIP
	for i := range s.Headers {
		h := &s.Headers[i]
		switch h.ID {
		case sip.HeaderReplaces:
			if t.relate(x, t.numberOf(x.m.Keys.Replaces), relReplaces) {
				return true
			}
		case sip.HeaderSessionID:
			if t.joinSession(x, h.Value.Of(s.Raw)) {
				return true
			}
		default:
		}
	}
	return false
}

func (t *Tracker) joinSession(x *seen, value []byte) bool {
	id, ok := sip.ParseSessionID(value)
	if !ok || len(id.Local) != 32 || bytes.Count(id.Local, []byte{'0'}) == len(id.Local) {
		return false
	}
	if num, ok := t.joins.sessions[string(id.Local)]; ok {
		return t.relate(x, num, relSessionID)
	}
	if len(t.joins.sessions) < maxHosts {
		t.joins.sessions[string(id.Local)] = x.c.num
	}
	return false
}

// numberOf finds a call by the hash of its Call-ID.
func (t *Tracker) numberOf(hash uint64) uint32 {
	if ci := t.byID.Get(hash); ci != 0 && hash != 0 {
		return t.calls.At(ci).num
	}
	return 0
}

// joinTransfer looks for the REFER that this INVITE follows: sent by the one that was asked, to the one named.
func (t *Tracker) joinTransfer(x *seen) bool {
	user := t.str(x.c, x.c.ruri)
	from := hostOf(x.m.Src)
	for i := len(t.joins.refers) - 1; i >= 0; i-- {
		p := &t.joins.refers[i]
		if x.m.Time-p.at > referAge {
			break
		}
		if p.host == from && p.num != x.c.num && sameTarget(user, p.target) {
			return t.relate(x, p.num, relTransfer)
		}
	}
	return false
}

// sameTarget compares two URIs by what is before parameters.
func sameTarget(a, b string) bool {
	cut := func(s string) string {
		for i := range len(s) {
			if s[i] == ';' || s[i] == '?' {
				return s[:i]
			}
		}
		return s
	}
	return cut(a) == cut(b)
}

// joinB2BUA looks for an INVITE that reached this one's sender a moment ago, for the same user.
func (t *Tracker) joinB2BUA(x *seen) {
	list := t.joins.inbound[hostOf(x.m.Src)]
	if len(list) == 0 {
		return
	}
	s := &x.m.SIP
	to, from := userHash(s.To.User.Of(s.Raw)), userHash(s.From.User.Of(s.Raw))
	best, bestScore := -1, 0
	for i := len(list) - 1; i >= 0; i-- {
		p := &list[i]
		if x.m.Time-p.at > legAge {
			break
		}
		score := 0
		if p.to != 0 && p.to == to {
			score += 2
		}
		if p.from != 0 && p.from == from {
			score++
		}
		if score > bestScore && !t.taken(p.num, x) {
			best, bestScore = i, score
		}
	}
	if bestScore >= 2 {
		t.relate(x, list[best].num, relB2BUA)
	}
}

// taken reports whether the call already has a leg to the place where this INVITE goes: then this one belongs to
// another call between the same users.
func (t *Tracker) taken(num uint32, x *seen) bool {
	for i := max(0, t.order.len()-4*chainLook); i < t.order.len(); i++ {
		e := *t.order.at(i)
		c := t.calls.At(e.call)
		if c != x.c && c.group == num && c.relation == relB2BUA && *t.ep(c, c.callee) == x.m.Dst {
			return true
		}
	}
	return false
}

// relate joins x's call with the one numbered num. The group's number is the lowest of its members.
func (t *Tracker) relate(x *seen, num uint32, how relation) bool {
	if num == 0 || num == x.c.num {
		return false
	}
	parent := t.find(num)
	if parent == nil {
		return false
	}
	if parent.group == 0 {
		parent.group = parent.num
		t.retouch(parent)
	}
	x.c.group, x.c.relation = parent.group, how
	return true
}

// joinConsultation joins the call of a REFER with the one whose place the transfer target's new call will take: the
// consultation before an attended transfer (RFC 5589 7). The younger of the two joins the elder.
func (t *Tracker) joinConsultation(x *seen) {
	elder, younger := x.c, t.find(t.numberOf(x.m.Keys.Replaces))
	if younger == nil || younger == elder {
		return
	}
	if elder.num > younger.num {
		elder, younger = younger, elder
	}
	if younger.group != 0 {
		return
	}
	if elder.group == 0 {
		elder.group = elder.num
	}
	younger.group, younger.relation = elder.group, relTransfer
	t.retouch(elder)
	t.retouch(younger)
}

// retouch tells readers of the board that another call's message has changed this one.
func (t *Tracker) retouch(c *callRec) {
	ci := t.byNum.get(c.num)
	t.touch(ci, c)
	t.settle(ci, c)
}

// noteInvite remembers an INVITE by the host that it reached.
func (t *Tracker) noteInvite(x *seen) {
	s := &x.m.SIP
	host := hostOf(x.m.Dst)
	list, known := t.joins.inbound[host]
	if !known && len(t.joins.inbound) >= maxHosts {
		clear(t.joins.inbound) // legs follow within two seconds: a rare reset costs at most those in flight
	}
	if len(list) >= perHost {
		list = append(list[:0], list[len(list)-perHost/2:]...)
	}
	t.joins.inbound[host] = append(list, pending{
		at: x.m.Time, num: x.c.num,
		to: userHash(s.To.User.Of(s.Raw)), from: userHash(s.From.User.Of(s.Raw)),
	})
}

// noteRefer remembers whom a REFER asks to call whom.
func (t *Tracker) noteRefer(x *seen) {
	s := &x.m.SIP
	for i := range s.Headers {
		if s.Headers[i].ID != sip.HeaderReferTo {
			continue
		}
		r, ok := sip.ParseReferTo(s.Headers[i].Value.Of(s.Raw))
		if !ok {
			return
		}
		if len(t.joins.refers) >= maxRefers {
			t.joins.refers = append(t.joins.refers[:0], t.joins.refers[maxRefers/2:]...)
		}
		t.joins.refers = append(t.joins.refers, pending{
			at: x.m.Time, num: x.c.num, host: hostOf(x.m.Dst), target: clip(r.URI),
		})
		return
	}
}
