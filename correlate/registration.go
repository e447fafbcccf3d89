package correlate

import (
	"sipscope/decode/sip"
)

// registerRequest notes what a REGISTER asks for (RFC 3261 10.2): bindings removed by "*", by Expires: 0 or by
// expires=0 of its contact, or, without Contact, only a look at them.
func registerRequest(s *sip.Message, r *txnRec) {
	if s.Contacts == 0 {
		r.bits |= txnQuery
		return
	}
	if expires, ok := contactExpires(s); ok && expires == 0 || s.ContactStar {
		r.bits |= txnRemove
	}
}

// contactExpires is the expiry of the first contact: its parameter, else the Expires header (RFC 3261 10.2.1.1).
func contactExpires(s *sip.Message) (int64, bool) {
	if v, ok := sip.Param(s.Contact.Params.Of(s.Raw), "expires"); ok {
		if n, ok := seconds(v); ok {
			return n, true
		}
	}
	return s.Expires, s.Expires >= 0
}

// seconds reads a delta-seconds value; a number beyond 32 bits counts as 2^32-1 (RFC 3261 20.19).
func seconds(b []byte) (int64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), 1<<32-1)
	}
	return n, true
}

// registered takes a final response to a REGISTER.
func (t *Tracker) registered(x *seen, r *txnRec) {
	c, s := x.c, &x.m.SIP
	side := t.sideOf(c)
	if side.reg == nil {
		side.reg = &Registration{AOR: t.str(c, c.to.uri), Expires: -1, Refreshes: -1}
	}
	reg := side.reg
	switch {
	case s.Status == 401 || s.Status == 407:
		reg.Challenges++
	case s.Status < 300 && r.bits&txnCaller != 0:
		if r.bits&txnRemove != 0 {
			reg.Removed, reg.Expires, reg.Contacts = true, 0, int(s.Contacts)
			return
		}
		if r.bits&txnQuery == 0 {
			reg.Refreshes++
		}
		reg.Removed = s.Contacts == 0 && r.bits&txnQuery != 0
		reg.Contacts = int(s.Contacts)
		if expires, ok := contactExpires(s); ok {
			reg.Expires = expires
		}
		if s.Contacts > 0 {
			reg.Contact = clip(s.Contact.URI.Of(s.Raw))
		}
	}
}

// notify takes a NOTIFY's Subscription-State (RFC 6665 4.1.3).
func (t *Tracker) notify(c *callRec, s *sip.Message) {
	if value, ok := s.Value(sip.HeaderSubscriptionState); ok {
		c.subscription(!terminates(value))
	}
}

// terminates reports whether a Subscription-State ends its subscription.
func terminates(value []byte) bool {
	return string(sip.ParseSubscriptionState(value).State) == "terminated"
}

// subscription notes whether the call's subscription is active or ended.
func (c *callRec) subscription(active bool) {
	c.bits &^= callSubActive | callSubEnded
	if active {
		c.bits |= callSubActive
	} else {
		c.bits |= callSubEnded
	}
}

// q850 gives the cause of a Q.850 Reason.
func q850(value []byte) (int32, bool) {
	return sip.Q850Cause(value)
}
