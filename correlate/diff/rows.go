package diff

// findCauses finds what made each message be sent, and how long that took.
func (s *side) findCauses() {
	for i := range s.events {
		e := &s.events[i]
		x := &s.exchanges[e.exchange]
		e.cause = s.forwarded(i)
		from := e.cause
		if !e.request() {
			if from = x.request; e.cause < 0 {
				e.cause = from
			}
		} else if e.cause < 0 {
			e.cause = s.before(i)
			from = e.cause
		}
		if from >= 0 && from != i {
			e.wait = max(e.time-s.events[from].time, 0)
		}
	}
}

// forwarded finds the message that came in and is sent on as message i, -1 for none.
func (s *side) forwarded(i int) int {
	e := &s.events[i]
	if e.status == 100 || e.from == e.to { // RFC 3261 16.7 step 2: a 100 is for the hop
		return -1
	}
	for j := i - 1; j >= max(0, i-backLook); j-- {
		o := &s.events[j]
		if o.to == e.from && o.exchange != e.exchange && o.status == e.status && o.method == e.method &&
			o.cseq == e.cseq && o.ref.Call == e.ref.Call && o.facts.fromTag == e.facts.fromTag && o.facts.toTag == e.facts.toTag {
			return j
		}
	}
	return -1
}

// before finds what the sender of message i sent or received before, -1 for nothing: of the same call, else at all.
func (s *side) before(i int) int {
	e := &s.events[i]
	other := -1
	for j := i - 1; j >= max(0, i-backLook); j-- {
		o := &s.events[j]
		if o.from != e.from && o.to != e.from {
			continue
		}
		if o.ref.Call == e.ref.Call {
			return j
		}
		if other < 0 {
			other = j
		}
	}
	return other
}

// rows puts the pairs and what has no partner in order: A's, and what only B has behind what it follows in B.
func (w *work) rows() {
	a, b := w.sides[0], w.sides[1]
	behind := make([][]int, len(a.events)+1) // events of B behind each event of A; index 0 for those before all
	at := 0
	for j := range b.events {
		if i := b.partner[j]; i >= 0 {
			at = i + 1
		} else {
			behind[at] = append(behind[at], j)
		}
	}
	w.out.Rows = make([]Row, 0, len(a.events)+8)
	var held []int // what follows from answers that did not come stands behind those
	for i := -1; i < len(a.events); i++ {
		if i >= 0 {
			if a.partner[i] >= 0 || a.events[i].request() {
				w.extras(held)
				held = held[:0]
			}
			w.row(i, a.partner[i])
		}
		for _, j := range behind[i+1] {
			if len(held) > 0 || w.added(j) {
				held = append(held, j)
			} else {
				w.row(-1, j)
			}
		}
	}
	w.extras(held)
}

// extras appends rows of what only B has.
func (w *work) extras(list []int) {
	for _, j := range list {
		w.row(-1, j)
	}
}

// row appends a row: of events i of A and j of B, -1 for none.
func (w *work) row(i, j int) {
	r := Row{A: Ref{Message: -1}, B: Ref{Message: -1}, TimeA: -1, TimeB: -1, WaitA: -1, WaitB: -1}
	if j >= 0 {
		e := &w.sides[1].events[j]
		r.B, r.From, r.To, r.TimeB, r.WaitB = e.ref, e.from, e.to, e.time-w.sides[1].start, e.wait
	}
	if i >= 0 {
		e := &w.sides[0].events[i]
		r.A, r.From, r.To, r.TimeA, r.WaitA = e.ref, e.from, e.to, e.time-w.sides[0].start, e.wait
	}
	w.out.Rows = append(w.out.Rows, r)
	w.at = append(w.at, pair{i, j})
}

// judge gives every row its differences and its verdict.
func (w *work) judge() {
	for r := range w.out.Rows {
		row := &w.out.Rows[r]
		switch p := w.at[r]; {
		case p.b < 0:
			w.alone(row, 0, p.a)
		case p.a < 0:
			w.alone(row, 1, p.b)
		default:
			w.both(row, p.a, p.b)
		}
	}
	w.reach()
}

// alone judges a message that the other side lacks.
func (w *work) alone(row *Row, side, i int) {
	s := w.sides[side]
	e := &s.events[i]
	v, where := Missing, "missing"
	if side == 1 {
		v, where = Extra, "extra"
	}
	d := Difference{Verdict: v, Where: where, Text: w.phrase(e) + " is " + where}
	if side == 0 {
		d.A = w.title(side, e)
	} else {
		d.B = w.title(side, e)
	}
	if !e.request() {
		d.Verdict = w.rules.lone(int(e.status), v)
	}
	if w.mayBeAlone(side, e) {
		d.Verdict = Tolerated
	}
	if side == 1 && w.added(i) {
		d.Verdict, d.Text = Tolerated, w.phrase(e)+" is added"
		if e.request() && (e.method == "CANCEL" || e.method == "BYE") {
			d.Text += " to end the call"
		}
	}
	row.Verdict, row.Differences = d.Verdict, []Difference{d}
}

// mayBeAlone reports whether it does not count that the other side lacks a message.
func (w *work) mayBeAlone(side int, e *event) bool {
	s := w.sides[side]
	if e.request() && e.facts.idle && len(s.events) > 0 && s.events[0].method != e.method {
		return true
	}
	if x := &s.exchanges[e.exchange]; x.partner < 0 && w.excused(s, x) {
		return true
	}
	return side == 1 && w.rules.Replayed && w.transactions(e)
}

// transactions reports whether a message of B that A lacks is one that transactions send by themselves: the ACK of a
// failure, the answer to a CANCEL.
func (w *work) transactions(e *event) bool {
	x := &w.sides[1].exchanges[e.exchange]
	if x.partner < 0 {
		return false
	}
	was := &w.sides[0].exchanges[x.partner]
	if e.request() {
		return e.method == "ACK" && x.status >= 300 && w.sides[0].firstACK(was) == nil && w.sides[1].firstACK(x) == e
	}
	return e.method == "CANCEL" && e.status == 200 && was.status == 0
}

// firstACK is the first ACK of an exchange that failed, nil for none.
func (s *side) firstACK(x *exchange) *event {
	for _, i := range x.events {
		if e := &s.events[i]; e.request() && e.method == "ACK" {
			return e
		}
	}
	return nil
}

// excused reports whether an exchange that one side lacks does not count: a keep-alive, or a challenge when the rules say
// so.
func (w *work) excused(s *side, x *exchange) bool {
	if x.request >= 0 && s.events[x.request].facts.idle && s.events[0].method != x.method {
		return true
	}
	return w.rules.Challenges && s.challenged(x)
}

// challenged reports whether an exchange ended in a challenge that was answered with credentials.
func (s *side) challenged(x *exchange) bool { return s.retried(x) != nil }

// retried is the exchange whose credentials answer the challenge that another one ended in, nil for none.
func (s *side) retried(x *exchange) *exchange {
	if x.status != 401 && x.status != 407 {
		return nil
	}
	last := x.events[len(x.events)-1]
	for i := last + 1; i < min(len(s.events), last+1+backLook); i++ {
		e := &s.events[i]
		if e.request() && e.method == x.method && e.from == x.from && e.ref.Call == x.call && e.facts.auth {
			return &s.exchanges[e.exchange]
		}
	}
	return nil
}

// reach finds the messages of A that were not reached: what is missing after a divergence of the flow that explains it.
func (w *work) reach() {
	a := w.sides[0]
	rowOf := make([]int, len(a.events))
	lastPair := make([]int, len(a.calls)) // the last row of each call of A that both sides have
	for r, p := range w.at {
		if p.a >= 0 {
			rowOf[p.a] = r
			if p.b >= 0 {
				lastPair[a.events[p.a].ref.Call] = r
			}
		}
	}
	broken := false
	for r, p := range w.at {
		row := &w.out.Rows[r]
		if row.Verdict != Missing {
			broken = broken || row.Verdict == Extra || w.forked(row)
			continue
		}
		e := &a.events[p.a]
		explained := broken && r > lastPair[e.ref.Call]
		if c := e.cause; c >= 0 && c < p.a {
			v := w.out.Rows[rowOf[c]].Verdict
			explained = explained || v == NotReached || v == Missing
		}
		if explained {
			row.Verdict, row.Differences[0].Verdict = NotReached, NotReached
			row.Differences[0].Text = w.phrase(e) + " was not reached"
		}
		broken = true
	}
}

// forked reports whether the flow takes another way from a row on: another final response.
func (w *work) forked(row *Row) bool {
	for i := range row.Differences {
		d := &row.Differences[i]
		if d.Verdict == Differs && (d.Where == "status" || d.Where == "path") {
			return true
		}
		if d.Where == "status" && len(d.A) > 0 && len(d.B) > 0 && d.A[0] != d.B[0] { // another class, which the rules allow
			return true
		}
	}
	return false
}

// phrase names a message: "INVITE", "re-INVITE from 10.0.0.1 to 10.0.0.2", "200 to BYE".
func (w *work) phrase(e *event) string {
	if !e.request() {
		return code(e) + " to " + clip(e.method)
	}
	return clip(e.method) + " from " + w.out.Who[e.from].Name + " to " + w.out.Who[e.to].Name
}
