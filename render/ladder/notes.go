package ladder

import (
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/sip"
)

// notes fills the margin of an arrow with what a person would ask, most important first.
func (b *builder) notes(e event, r *Row) {
	m, f := b.message(e), &b.facts[e.call][e.msg]
	add := func(s string) {
		if s != "" {
			r.Notes = append(r.Notes, s)
		}
	}
	if len(b.calls) > 1 && e.msg == 0 {
		add("call " + strconv.FormatUint(uint64(b.calls[e.call].Num), 10) + " begins")
	}
	if r.Retransmission {
		add("retransmitted after " + Duration(m.Interval))
	}
	add(b.dialogNote(e, m))
	if m.Status == 0 {
		add(b.requestNote(e, m, f, r))
	} else {
		add(b.responseNote(e, m))
	}
	if m.Repeats < 0 && (m.Status == 0 && m.Copy <= 1 || m.Status != 0 && b.newNotes(e, f)) {
		r.Notes = append(r.Notes, f.notes...)
	}
	add(b.laneNote(e, m, f))
	add(b.damageNote(e, m, f))
}

// laneNote says which media that are not RTP an answer agrees on (RFC 3264 6): the answer is in a response to a request
// that had the offer, or in the ACK.
func (b *builder) laneNote(e event, m *correlate.Message, f *fact) string {
	if f.lanes == "" || m.Repeats >= 0 || m.Status >= 300 {
		return ""
	}
	answer := m.Method == sip.MethodAck.String()
	if t := b.txn(e.call, m.Txn); m.Status != 0 && t != nil && t.Request >= 0 && t.Request < len(b.facts[e.call]) {
		answer = b.facts[e.call][t.Request].sdp != ""
	}
	if !answer || !b.once(noteKey{what: "lanes " + f.lanes, call: e.call, a: m.CSeq}) {
		return ""
	}
	return f.lanes + " negotiated"
}

// damageNote says what the capture lacks of a message.
func (b *builder) damageNote(e event, m *correlate.Message, f *fact) string {
	var notes []string
	if m.Flags&decode.AfterGap != 0 {
		notes = append(notes, "after a hole in the stream")
	}
	if m.Flags&decode.Truncated != 0 {
		notes = append(notes, "text is cut short in the capture")
	}
	if f.gone || !f.read && m.Repeats < 0 && b.anyText[e.call] {
		notes = append(notes, "text could not be read again")
	}
	return joinNotes(notes)
}

// newNotes reports whether the notes of a response say something that its first copy did not say already.
func (b *builder) newNotes(e event, f *fact) bool {
	m := b.message(e)
	fresh := false
	for _, n := range f.notes {
		if b.once(noteKey{what: n, call: e.call, a: m.CSeq, b: uint32(m.Status)}) {
			fresh = true
		}
	}
	return fresh
}

// dialogNote tells the dialogs of a fork apart: where each begins and where it is confirmed.
func (b *builder) dialogNote(e event, m *correlate.Message) string {
	d := &b.dialogs[e.call]
	if m.Dialog < 0 || m.Dialog >= len(d.number) {
		return ""
	}
	n := b.dialogNumber(e.call, m.Dialog)
	if m.Status == 0 {
		return b.byeNote(e.call, m, n)
	}
	of := &b.calls[e.call].Dialogs[m.Dialog]
	switch {
	case d.confirmed[m.Dialog] || m.Status <= 100 || m.Status >= 300:
	case m.Status < 200 && of.WasEarly && !d.early[m.Dialog]:
		d.early[m.Dialog] = true
		d.forks++
		if d.forks > 1 {
			return "early dialog " + n + " (fork)"
		}
		return "early dialog " + n
	case m.Status >= 200 && m.Method == of.Method:
		d.confirmed[m.Dialog] = true
		return "dialog " + n + " confirmed"
	}
	return ""
}

// byeNote says which dialog a BYE ends, when the call has several.
func (b *builder) byeNote(call int, m *correlate.Message, number string) string {
	if m.Method != sip.MethodBye.String() || len(b.calls[call].Dialogs) < 2 ||
		!b.once(noteKey{what: "bye " + number, call: call}) {
		return ""
	}
	return "ends dialog " + number
}

// requestNote says what a request is about and whether anything came of it.
func (b *builder) requestNote(e event, m *correlate.Message, f *fact, r *Row) string {
	var notes []string
	t := b.txn(e.call, m.Txn)
	makesDialog := m.Method == sip.MethodInvite.String() || m.Method == sip.MethodSubscribe.String()
	switch {
	case m.Method == sip.MethodCancel.String():
		notes = append(notes, b.cancelNote(e, t))
	case makesDialog && t != nil && t.Initial:
		b.route.request(r.From, r.To, f.routes)
	case m.Method == sip.MethodInvite.String() && t != nil && t.Request >= 0:
		if b.once(noteKey{what: "re-INVITE", call: e.call, a: m.CSeq}) {
			notes = append(notes, "re-INVITE")
		}
	default:
		notes = append(notes, b.passNote(e, r))
	}
	if t != nil && t.Request == e.msg {
		notes = append(notes, b.silenceNote(t))
	}
	return joinNotes(notes)
}

// silenceNote says that a request got no response.
func (b *builder) silenceNote(t *correlate.Transaction) string {
	switch {
	case t.Final >= 0 || t.Status != 0:
		return ""
	case t.State == correlate.TxnTimedOut:
		return "no response within 32 s" // 64*T1 (RFC 3261 17.1.1.2, 17.1.2.2)
	case b.opts.Live:
		return "" // it may still come
	default:
		return "no response seen"
	}
}

// cancelNote points at the INVITE of a CANCEL.
func (b *builder) cancelNote(e event, t *correlate.Transaction) string {
	if t == nil {
		return ""
	}
	invite := b.txn(e.call, t.Cancel)
	if invite == nil {
		return "its INVITE was not captured"
	}
	if all := b.calls[e.call].Messages; invite.Request >= 0 && invite.Request < len(all) {
		return "cancels INVITE (frame " + strconv.FormatUint(all[invite.Request].Seq, 10) + ")"
	}
	return "cancels INVITE"
}

// passNote says which participants a request inside a dialog leaves out, though the one that made the dialog passed
// them: without a Record-Route they are not on its route set (RFC 3261 12.1.1, 16.6 step 4).
func (b *builder) passNote(e event, r *Row) string {
	path := b.route.between(r.From, r.To)
	if len(path) == 0 {
		return ""
	}
	key := noteKey{
		what: "past", call: e.call,
		a: uint32(min(r.From, r.To)), b: uint32(max(r.From, r.To)), //nolint:gosec // below maxColumns
	}
	if !b.once(key) {
		return ""
	}
	const some = 3
	names := make([]string, 0, some)
	recorded := true
	for i, col := range path {
		if b.route.left[col] <= b.route.arrived[col] {
			recorded = false
		}
		if i < some {
			names = append(names, b.out.Columns[col].Name())
		}
	}
	if len(path) > some {
		names = append(names, "...")
	}
	note := "past " + strings.Join(names, ", ")
	if !recorded {
		note += ": no Record-Route"
	}
	return note
}

// responseNote says what is missing after a response.
func (b *builder) responseNote(e event, m *correlate.Message) string {
	t := b.txn(e.call, m.Txn)
	if t == nil || t.Final != e.msg || t.Ack >= 0 || t.Method != sip.MethodInvite.String() {
		return ""
	}
	key := ackKey{cseq: m.CSeq}
	if m.Status >= 300 {
		key.src, key.dst = host(m.Dst), host(m.Src)
	}
	if b.acked[e.call][key] {
		return "" // an ACK with another branch, or of a 2xx on another path than the INVITE's
	}
	return "no ACK seen"
}

func joinNotes(notes []string) string {
	out := notes[:0]
	for _, n := range notes {
		if n != "" {
			out = append(out, n)
		}
	}
	return strings.Join(out, ", ")
}

// RepeatNote says when the message of a row was sent again: "retransmitted after 500 ms, 1 s, 2 s". It is empty when it
// was sent once. A drawing puts it before Notes.
func (r *Row) RepeatNote() string {
	if r.Count < 2 || len(r.Intervals) == 0 {
		return ""
	}
	const some = 7 // an INVITE over UDP is sent 7 times at most (RFC 3261 17.1.1.2)
	parts := make([]string, 0, some+1)
	for i, ns := range r.Intervals {
		if i == some {
			break
		}
		parts = append(parts, Duration(ns))
	}
	if r.Count-1 > some {
		parts = append(parts, "... "+strconv.Itoa(r.Count-1-some)+" more")
	}
	return "retransmitted after " + strings.Join(parts, ", ")
}
