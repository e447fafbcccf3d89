package correlate

import (
	"slices"

	"sipscope/capture"
	"sipscope/decode"
	"sipscope/decode/sip"
)

// summary copies a call's headline.
func (t *Tracker) summary(c *callRec, s *Summary) {
	v := view{text: t.texts.view(c.text)}
	*s = Summary{
		Num: c.num, Rev: c.rev, CallID: v.str(c.id), Method: t.names.name(c.method), State: c.state,
		First: c.first, Last: c.last, From: v.party(&c.from), To: v.party(&c.to), RURI: v.str(c.ruri),
		Src: *t.ep(c, c.caller), Dst: *t.ep(c, c.callee),
		Code: c.code, Reason: t.words[c.reason], Cause: c.cause,
		Messages: c.messages, Retransmissions: c.again, Duplicates: c.duplicates, Transactions: c.transactions,
		Dialogs: c.confirmed, EarlyDialogs: c.early, Hops: c.nHops, Diags: c.diags,
		PDD: c.pdd, Setup: c.setup, Duration: c.duration, EndedBy: c.endedBy, Evidence: c.ev,
		UserAgent: t.words[c.userAgent], Server: t.words[c.server], Transports: c.transports, Words: c.words,
		Group: c.group, Relation: c.relation.String(), Media: t.media.Brief(c.num),
	}
	if c.bits&callReleased != 0 {
		s.ReleasedBy = *t.ep(c, c.releasedBy)
	}
	if c.side != 0 {
		side := t.sides.At(c.side)
		s.Columns, s.Tunnels = side.columns, side.tunnels
	}
	s.Gaps = uint32(t.countGaps(c)) //nolint:gosec // at most Limits.Gaps
	if c.state == StateCancelled && c.bits&callCancel != 0 {
		s.EndedBy = Caller
	}
}

// view is a call's texts while they are given out: one string that all of them share.
type view struct{ text string }

func (v view) str(s sip.Span) string { return v.text[s.Off : s.Off+s.Len] }

func (v view) party(a *addrRec) Party {
	return Party{Display: v.str(a.display), User: v.str(a.user), Host: v.str(a.host), URI: v.str(a.uri)}
}

// str copies one of a call's texts.
func (t *Tracker) str(c *callRec, s sip.Span) string {
	return string(t.texts.get(c.text)[s.Off : s.Off+s.Len])
}

// call copies all that is kept of a call.
func (t *Tracker) call(c *callRec) Call {
	var out Call
	t.summary(c, &out.Summary)
	out.Gaps = t.gapsOf(c)
	if c.side != 0 && t.sides.At(c.side).reg != nil {
		reg := *t.sides.At(c.side).reg
		reg.Refreshes = max(reg.Refreshes, 0)
		out.Registration = &reg
	}
	v := viewer{t: t, c: c, msg: map[uint32]int{0: -1}, txn: map[uint32]int{0: -1}, dlg: map[uint32]int{0: -1}}
	i := 0
	for mi := c.head; mi != 0; mi = t.msgs.At(mi).next {
		v.msg[mi] = i
		i++
	}
	v.addDialogs(&out)
	v.addTransactions(&out)
	v.addMessages(&out)
	return out
}

// viewer turns record indices into those of the copy.
type viewer struct {
	t             *Tracker
	c             *callRec
	msg, txn, dlg map[uint32]int
}

func (v *viewer) addDialogs(out *Call) {
	var order []uint32
	for di := v.c.dialogs; di != 0; di = v.t.dialogs.At(di).next {
		order = append(order, di)
	}
	slices.Reverse(order) // the list is newest first
	for i, di := range order {
		d := v.t.dialogs.At(di)
		v.dlg[di] = i
		out.Dialogs = append(out.Dialogs, Dialog{
			CallerTag: string(v.t.texts.get(d.tags)[:d.fromLen]), CalleeTag: string(v.t.texts.get(d.tags)[d.fromLen:]), Method: v.t.names.name(d.method),
			State: d.state, WasEarly: d.early, Answered: d.answered,
		})
	}
}

func (v *viewer) addTransactions(out *Call) {
	for ti := v.c.txns; ti != 0; {
		r := v.t.txns.At(ti)
		if r.method != uint16(sip.MethodAck) {
			v.txn[ti] = len(out.Transactions)
			out.Transactions = append(out.Transactions, Transaction{
				Method: v.t.names.name(r.method), State: r.state, Status: r.status, CSeq: r.cseq,
				Src: *v.t.ep(v.c, r.src), Dst: *v.t.ep(v.c, r.dst), Request: v.msg[r.req], Final: v.msg[r.final],
				Ack: v.msg[r.ack], Leg: int(r.leg), Repeats: int(r.again), Initial: r.bits&txnInitial != 0,
				Caller: r.bits&txnCaller != 0,
			})
		} else {
			v.txn[ti] = -1 // the ACK of a 2xx is in no transaction (RFC 3261 17)
		}
		ti = r.next
	}
	for ti := v.c.txns; ti != 0; {
		r := v.t.txns.At(ti)
		if i := v.txn[ti]; i >= 0 {
			out.Transactions[i].Cancel = v.txn[r.mate]
		}
		ti = r.next
	}
}

func (v *viewer) addMessages(out *Call) {
	t := v.t
	previous := map[uint32]int64{} // original -> when it was last sent
	out.Messages = make([]Message, 0, len(v.msg))
	for mi := v.c.head; mi != 0; {
		r := t.msgs.At(mi)
		m := Message{
			Seq: r.seq, Nth: r.nth, Time: r.time, Src: *v.t.ep(v.c, r.src), Dst: *v.t.ep(v.c, r.dst),
			Transport: r.bits.transport(), Flags: r.bits.flags(), Method: t.names.name(r.method), Status: r.status,
			CSeq: t.txns.At(r.txn).cseq, Txn: v.txn[r.txn], Dialog: v.dlg[r.dialog], Copy: r.bits.copy(), Repeats: v.msg[r.of],
			SDP: r.bits&bitSDP != 0, Pieces: t.piecesOf(r), Path: t.paths.all[r.path],
		}
		if r.of != 0 {
			m.Interval = r.time - previous[r.of]
			if m.Flags&decode.TapDuplicate == 0 {
				previous[r.of] = r.time
			}
			m.Dialog = v.dlg[t.msgs.At(r.of).dialog]
		} else {
			previous[mi] = r.time
		}
		out.Messages = append(out.Messages, m)
		mi = r.next
	}
}

func (t *Tracker) piecesOf(r *msgRec) []decode.Piece {
	if r.more == 0 {
		return []decode.Piece{{Seq: r.seq, Loc: capture.Loc{Off: r.off, File: r.file}, Len: r.size}}
	}
	var out []decode.Piece
	for pi := r.more; pi != 0; {
		p := t.pieces.At(pi)
		out = append(out, decode.Piece{Seq: p.seq, Loc: capture.Loc{Off: p.off, File: p.file}, Len: p.size})
		pi = p.next
	}
	return out
}

// find gives the record of the call with a number.
func (t *Tracker) find(num uint32) *callRec {
	if ci := t.byNum.get(num); ci != 0 {
		return t.calls.At(ci)
	}
	return nil
}
