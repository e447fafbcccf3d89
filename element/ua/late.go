package ua

import (
	"fmt"
	"hash/maphash"

	"sipscope/decode/sip"
	"sipscope/element/dialog"
)

// late is what remains of a call made, once it is over, for as long as the transaction of its INVITE takes a 2xx of
// another fork: 64*T1 (RFC 3261 13.2.2.4). It stands in the transaction's slot, where it has the room of the padding:
// bit 0 is set, bit 1 tells that a sips URI was called, the next six count the forks that were ended, and the rest is a
// hash of the To tag that was answered. 0: this is no such transaction.
type late uint32

const (
	lateSet    late = 1
	lateSecure late = 1 << 1
	lateFork   late = 1 << 2
	lateForks  late = 63 << 2
	lateTag    late = ^(late(1)<<8 - 1)
)

// lateness notes the call's end.
func (c *Call) lateness() {
	if c.x == nil || c.leg == nil || c.answeredT == 0 || c.incoming {
		return
	}
	s := c.a.bound(c.x.data)
	if s == nil {
		return
	}
	s.late = lateSet | late(maphash.String(c.a.seed, c.leg.dlg.RemoteTag))&lateTag //nolint:gosec // G115: a hash.
	if isSips(c.x.req.URI) {
		s.late |= lateSecure
	}
}

// lateFork acknowledges and ends the dialog that a 2xx makes after the end of its call. It reports false where a response
// is nothing of the kind. Somebody who answers without end gets no BYE without end.
func (a *Agent) lateFork(s *slot, r *received) bool {
	m := r.Msg
	if s.late == 0 || m.MethodID != sip.MethodInvite || m.Status < 200 || m.Status > 299 {
		return false
	}
	if l := a.find(m); l != nil {
		l.againAck(m.CSeq)
		return true
	}
	tag := late(maphash.Bytes(a.seed, m.To.Tag.Of(m.Raw))) & lateTag //nolint:gosec // G115: a hash.
	if s.late&lateForks == lateForks || tag == s.late&lateTag {
		return true
	}
	s.late += lateFork
	d, err := a.lateDialog(m, s.late&lateSecure != 0)
	if err != nil {
		return true // nobody can be sent an ACK
	}
	a.stats.Forks++
	l := a.newLeg(d, r.Hop)
	l.shared = true // not for use again while its BYE is on its way
	a.list(l)
	l.sendAck(m.CSeq, nil, nil)
	x := l.request(l, "BYE")
	l.byeX = x
	x.start()
	return true
}

// lateDialog makes the dialog of a 2xx, which has all that the INVITE had but how it was called.
func (a *Agent) lateDialog(m *sip.Message, secure bool) (*dialog.Dialog, error) {
	scheme := "sip:"
	if secure {
		scheme = "sips:"
	}
	from, _ := m.Value(sip.HeaderFrom)
	to, _ := m.Value(sip.HeaderTo)
	invite := fmt.Appendf(nil, "INVITE %sx SIP/2.0\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d INVITE\r\n\r\n",
		scheme, from, to, m.CallID.Of(m.Raw), m.CSeq)
	if err := sip.Parse(invite, &a.scratch); err != nil {
		return nil, fmt.Errorf("2xx of a fork: %w", err)
	}
	d, err := dialog.FromResponse(&a.scratch, m)
	if err != nil {
		return nil, err
	}
	d.State = dialog.Confirmed
	return d, nil
}
