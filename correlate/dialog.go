package correlate

import (
	"sipscope/decode/sip"
)

// dialogLook is how many dialogs of a call a search passes; a fork makes a handful.
const dialogLook = 256

// dialog finds or makes the dialog of a message with both tags (RFC 3261 12.1, RFC 6665 4.4.1): a 101-299 of an
// INVITE, a 2xx of a SUBSCRIBE or REFER and a NOTIFY make one; any other request inside one proves that it exists.
func (t *Tracker) dialog(x *seen, mi uint32) {
	k, s := &x.m.Keys, &x.m.SIP
	if k.FromTag == 0 || k.ToTag == 0 {
		return
	}
	di, d := t.findDialog(x.c, k.FromTag, k.ToTag)
	if di == 0 {
		if !makesDialog(s) {
			return
		}
		di, d = t.newDialog(x)
	}
	if mi != 0 {
		t.msgs.At(mi).dialog = di
	}
	t.moveDialog(x, d)
}

func (t *Tracker) findDialog(c *callRec, a, b uint64) (uint32, *dialogRec) {
	di := c.dialogs
	for range dialogLook {
		if di == 0 {
			break
		}
		d := t.dialogs.At(di)
		if d.fromHash == a && d.toHash == b || d.fromHash == b && d.toHash == a {
			return di, d
		}
		di = d.next
	}
	return 0, nil
}

func makesDialog(s *sip.Message) bool {
	if s.Request {
		return s.MethodID != sip.MethodAck && s.MethodID != sip.MethodCancel && s.MethodID != sip.MethodRegister
	}
	switch s.CSeqMethodID {
	case sip.MethodInvite:
		return s.Status > 100 && s.Status < 300
	case sip.MethodSubscribe, sip.MethodRefer:
		return s.Status >= 200 && s.Status < 300
	default:
		return false
	}
}

func (t *Tracker) newDialog(x *seen) (uint32, *dialogRec) {
	s := &x.m.SIP
	di, d := t.dialogs.Alloc()
	d.fromHash, d.toHash = x.m.Keys.FromTag, x.m.Keys.ToTag
	var buf [128]byte
	tags := appendClipped(buf[:0], s.From.Tag.Of(s.Raw))
	d.fromLen = uint32(len(tags)) //nolint:gosec // clipped
	d.tags = t.texts.add(appendClipped(tags, s.To.Tag.Of(s.Raw)))
	d.next, d.method, d.state = x.c.dialogs, x.method, DialogEarly
	if s.Request {
		d.state = DialogConfirmed
	}
	x.c.dialogs = di
	return di, d
}

func appendClipped(dst, b []byte) []byte { return append(dst, b[:min(len(b), maxText)]...) }

func clip(b []byte) string { return string(b[:min(len(b), maxText)]) }

// moveDialog takes the dialog from early to confirmed to ended.
func (t *Tracker) moveDialog(x *seen, d *dialogRec) {
	s := &x.m.SIP
	success := s.Status >= 200 && s.Status < 300
	switch {
	case s.Request:
		if ends(s, d) {
			d.state = DialogEnded
		}
	case success && s.CSeqMethodID == sip.MethodInvite:
		t.confirm(x.c, d)
	case success && d.state == DialogEarly && x.method == d.method: // not a CANCEL's, a PRACK's or an UPDATE's
		d.state = DialogConfirmed
	case s.CSeqMethodID == sip.MethodInvite && s.Status > 100 && s.Status < 200 && !d.early && !d.answered:
		d.early = true
		x.c.early++
		t.totals.Early++
	}
}

// ends reports whether a request ends its dialog. One that an INVITE made outlives a subscription in it (RFC 6665 4.4.1).
func ends(s *sip.Message, d *dialogRec) bool {
	if s.MethodID != sip.MethodNotify {
		return s.MethodID == sip.MethodBye
	}
	value, ok := s.Value(sip.HeaderSubscriptionState)
	return ok && !d.answered && !d.early && terminates(value)
}

// confirm takes a 2xx of an INVITE.
func (t *Tracker) confirm(c *callRec, d *dialogRec) {
	if d.state == DialogEarly {
		d.state = DialogConfirmed
	}
	if d.answered {
		return
	}
	d.answered = true
	c.confirmed++
	t.totals.Confirmed++
	if d.early {
		t.totals.EarlyConfirmed++
	}
}
