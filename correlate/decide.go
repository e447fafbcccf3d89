package correlate

import "sipscope/decode/sip"

// decide reads the call's state off its newest deciding transaction and its bits. The caller's view counts: what a
// proxy saw on another hop (a 487 of a lost fork, a 302 that it followed itself) does not change it.
func (t *Tracker) decide(c *callRec) {
	var r *txnRec
	if c.deciding != 0 {
		r = t.txns.At(c.deciding)
	}
	switch {
	case c.bits&callInvite != 0:
		c.state = inviteState(c, r)
	case c.bits&callBye != 0:
		c.state = StateCompleted
	case c.method == uint16(sip.MethodInvite):
		c.state = StateAnswered // the capture starts inside the dialog, with a re-INVITE
	case c.method == uint16(sip.MethodSubscribe), c.method == uint16(sip.MethodNotify):
		c.state = subscriptionState(c, r)
	case r == nil:
		c.state = StateUnknown
	case c.method == uint16(sip.MethodRegister):
		c.state = t.registerState(c, r)
	default:
		c.state = plainState(r, StateSucceeded)
	}
	c.code = 0
	if r != nil && r.bits&txnFinal != 0 {
		c.code = r.status
	}
	if c.bits&callAnswered != 0 && c.ev.Answer != 0 && c.code >= 300 {
		c.code = 200
	}
}

func inviteState(c *callRec, r *txnRec) State {
	if c.bits&callAnswered != 0 {
		if c.bits&callBye != 0 {
			return StateCompleted
		}
		return StateAnswered
	}
	switch {
	case r != nil && r.bits&txnFinal != 0:
		return plainState(r, StateAnswered)
	case c.bits&callCancel != 0:
		return StateCancelled
	case c.bits&callBye != 0:
		return StateCompleted
	case r != nil && r.state == TxnTimedOut:
		return StateTimedOut
	case r != nil && r.status > 100:
		return StateRinging
	default:
		return StateCalling
	}
}

// plainState reads a transaction's outcome; success is the state that a 2xx stands for.
func plainState(r *txnRec, success State) State {
	if r.bits&txnFinal == 0 {
		if r.state == TxnTimedOut {
			return StateTimedOut
		}
		return StatePending
	}
	switch code := r.status; {
	case code < 300:
		return success
	case code < 400:
		return StateRedirected
	case code == 401 || code == 407:
		return StateChallenged
	case code == 404 || code == 604:
		return StateNotFound
	case code == 408:
		return StateTimedOut
	case code == 486 || code == 600:
		return StateBusy
	case code == 487:
		return StateCancelled
	case code == 603:
		return StateDeclined
	default:
		return StateFailed
	}
}

func (t *Tracker) registerState(c *callRec, r *txnRec) State {
	s := plainState(r, StateRegistered)
	if c.side == 0 {
		return s
	}
	if reg := t.sides.At(c.side).reg; s == StateRegistered && reg != nil && reg.Removed {
		return StateUnregistered
	}
	return s
}

func subscriptionState(c *callRec, r *txnRec) State {
	switch {
	case c.bits&callSubActive != 0:
		return StateSubscribed
	case c.bits&callSubEnded != 0:
		return StateTerminated
	case r == nil:
		return StateUnknown
	default:
		return plainState(r, StateSucceeded)
	}
}
