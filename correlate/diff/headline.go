package diff

import (
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// conclude counts the rows, finds the first divergence and names it.
func (w *work) conclude() {
	r := w.out
	for i := range r.Rows {
		v := r.Rows[i].Verdict
		r.Counts.add(v)
		if r.First < 0 && w.rules.counts(v) {
			r.First = i
		}
	}
	switch {
	case r.First >= 0:
		r.Verdict = Differs
		r.Headline = w.headline(r.First)
	case r.Counts.Tolerated > 0:
		r.Verdict = Tolerated
		r.Headline = "same, but for " + many(r.Counts.Tolerated, "tolerated difference")
	default:
		r.Headline = "same"
	}
}

func (c *Counts) add(v Verdict) {
	switch v {
	case Tolerated:
		c.Tolerated++
	case Late:
		c.Late++
	case Differs:
		c.Differs++
	case Missing:
		c.Missing++
	case Extra:
		c.Extra++
	case NotReached:
		c.NotReached++
	default:
		c.Same++
	}
}

// headline names the divergence of a row.
func (w *work) headline(row int) string {
	r := &w.out.Rows[row]
	p := w.at[row]
	switch {
	case p.b < 0:
		return w.missing(p.a)
	case p.a < 0:
		return w.extra(p.b)
	}
	d := &r.Differences[0]
	for i := range r.Differences {
		if w.rules.counts(r.Differences[i].Verdict) {
			d = &r.Differences[i]
			break
		}
	}
	a, b := &w.sides[0].events[p.a], &w.sides[1].events[p.b]
	switch d.Where {
	case "status":
		if a.final() && b.final() {
			return w.otherFinal(p)
		}
		return d.Text + to(a)
	case "time":
		x, y := &w.sides[0].exchanges[a.exchange], &w.sides[1].exchanges[b.exchange]
		if c := w.gaveUp(y); c != nil {
			return w.unanswered(x, y, c) + ", then " + d.Text
		}
		return d.Text
	case "order":
		return d.Text
	case "path":
		return w.kind(a) + " " + d.Text
	}
	text := d.Text + " in the " + w.kind(a)
	if strings.ContainsAny(d.Text, ",:") {
		text = d.Text + ", in the " + w.kind(a)
	}
	if !a.request() {
		return text
	}
	return text + w.answered(p)
}

// to names the request that a response answers, where that is not the obvious one.
func to(e *event) string {
	if e.method == "INVITE" || e.method == "" {
		return ""
	}
	return " to " + clip(e.method)
}

// kind names a message: "INVITE", "re-INVITE", "200 to BYE", "180".
func (w *work) kind(e *event) string {
	if !e.request() {
		return code(e) + to(e)
	}
	if e.method == "INVITE" && e.facts.toTag != 0 {
		return "re-INVITE"
	}
	return clip(e.method)
}

// missing names a message that B lacks.
func (w *work) missing(i int) string {
	a, b := w.sides[0], w.sides[1]
	e := &a.events[i]
	x := &a.exchanges[e.exchange]
	if e.request() && a.ours(e) {
		text := w.stopped(e) + w.phrase(e) + " was not sent"
		if e.method == "PRACK" {
			text += ": no reliable provisional response came"
		}
		return text + w.notes(e, a.calls[e.ref.Call])
	}
	if e.request() || x.partner < 0 {
		return w.stopped(e) + w.phrase(e) + " is missing" + w.notes(e, a.calls[e.ref.Call])
	}
	y := &b.exchanges[x.partner]
	if !e.final() || y.status != 0 {
		return w.phrase(e) + " is missing"
	}
	if c := w.gaveUp(y); c != nil {
		return w.unanswered(x, y, c)
	}
	wait, ok := w.patience(b, y)
	if !ok {
		wait = 0
	}
	return w.silence(x, y, wait) + w.notes(e, y.call)
}

// stopped tells what became of the request that was not sent on as e, when it was answered otherwise than recorded.
func (w *work) stopped(e *event) string {
	a, b := w.sides[0], w.sides[1]
	if e.cause < 0 || !e.request() || a.events[e.cause].method != e.method || a.events[e.cause].cseq != e.cseq {
		return ""
	}
	x := &a.exchanges[a.events[e.cause].exchange]
	for _, i := range x.events {
		if j := a.partner[i]; a.events[i].final() && j >= 0 && b.events[j].status != a.events[i].status {
			return w.otherFinal(pair{i, j}) + "; "
		}
	}
	return ""
}

// patience is how long a side waited for an answer that did not come.
func (w *work) patience(s *side, x *exchange) (int64, bool) {
	if x.request < 0 {
		return 0, false
	}
	wait := s.end - s.events[x.request].time
	if x.timedOut {
		wait = min(max(wait, 32e9), 32e9)
	}
	return wait, wait >= 500e6
}

// lastCode is the last provisional response of an exchange but 100.
func lastCode(s *side, x *exchange) string {
	for _, i := range slices.Backward(x.events) {
		if e := &s.events[i]; e.status > 100 && !e.final() {
			return code(e)
		}
	}
	return ""
}

// codes lists the codes of an exchange's responses but 100, up to the final one. Of provisional ones those that the other
// side lacks.
func (s *side) codes(x *exchange) []string {
	var list []string
	for _, i := range x.events {
		e := &s.events[i]
		if e.request() || e.status == 100 || !e.final() && s.partner[i] >= 0 || len(list) == maxNamed {
			continue
		}
		if c := code(e); !slices.Contains(list, c) {
			list = append(list, c)
		}
		if e.final() {
			break
		}
	}
	return list
}

// otherFinal names another final response.
func (w *work) otherFinal(p pair) string {
	a, b := w.sides[0], w.sides[1]
	e, f := &a.events[p.a], &b.events[p.b]
	x, y := &a.exchanges[e.exchange], &b.exchanges[f.exchange]
	if c := w.gaveUp(y); c != nil && f.status == 487 {
		return w.unanswered(x, y, c)
	}
	text := "expected " + strings.Join(a.codes(x), " then ") + to(e) + "; got "
	if before := b.codes(y); len(before) > 1 {
		text += strings.Join(before[:len(before)-1], " then ") + " then "
	}
	text += w.title(1, f)
	if r := w.reasons(f); r != "" {
		text += "; " + r
	}
	if again := b.retried(y); again != nil && again.status == y.status {
		text += "; the credentials were not accepted"
	}
	if c := w.offered(x, y, f); c != "" {
		text += "; " + c
	}
	return text + w.notes(f, f.ref.Call)
}

// reasons gives what a failure says of itself.
func (w *work) reasons(f *event) string {
	m := w.reader.parse(1, f.ref)
	if m == nil || f.status < 300 {
		return ""
	}
	named := func(id sip.HeaderID, text string) string {
		if v, ok := m.Value(id); ok && len(v) > 0 {
			return text + " " + clip(string(v))
		}
		return ""
	}
	var parts []string
	switch f.status {
	case 401:
		parts = append(parts, realm(m, sip.HeaderWWWAuthenticate))
	case 407:
		parts = append(parts, realm(m, sip.HeaderProxyAuthenticate))
	case 405:
		parts = append(parts, named(sip.HeaderAllow, "it allows"))
	case 420:
		parts = append(parts, named(sip.HeaderUnsupported, "it does not support"))
	case 421:
		parts = append(parts, named(sip.HeaderRequire, "it requires"))
	case 422:
		parts = append(parts, named(sip.HeaderMinSE, "Min-SE is"))
	case 423:
		parts = append(parts, named(sip.HeaderMinExpires, "Min-Expires is"))
	}
	if f.status < 400 {
		parts = append(parts, named(sip.HeaderContact, "Contact"))
	}
	parts = append(parts, named(sip.HeaderWarning, "Warning"), named(sip.HeaderReason, "Reason"))
	return strings.Join(slices.DeleteFunc(parts, func(t string) bool { return t == "" }), "; ")
}

func realm(m *sip.Message, id sip.HeaderID) string {
	v, _ := m.Value(id)
	if c, ok := sip.ParseChallenge(v); ok && len(c.Realm) > 0 {
		return "realm " + quote(clip(string(c.Realm)))
	}
	return ""
}

// offered names the codecs of the offer that a response refuses for its media.
func (w *work) offered(x, y *exchange, f *event) string {
	if f.status != 488 && f.status != 606 && f.status != 415 || y.request < 0 {
		return ""
	}
	live := w.offer(1, w.sides[1].events[y.request].ref)
	if live == "" {
		return "there was no offer"
	}
	text := "the offer's codecs were " + live
	if x.request >= 0 {
		if recorded := w.offer(0, w.sides[0].events[x.request].ref); recorded != live && recorded != "" {
			text += ", recorded " + recorded
		}
	}
	return text
}

// offer lists the codecs of a message's session description.
func (w *work) offer(side int, at Ref) string {
	m := w.reader.parse(side, at)
	if m == nil {
		return ""
	}
	text, ok := m.SDP()
	if !ok {
		return ""
	}
	s, _ := sdp.Parse(text)
	var list []string
	for i := range s.Media {
		if t := names(formats(&s.Media[i])); t != "" && len(list) < maxNamed {
			list = append(list, t)
		}
	}
	return clip(strings.Join(list, "; "))
}

// answered tells what became of a request that differs, when that is something else than recorded, too.
func (w *work) answered(p pair) string {
	a, b := w.sides[0], w.sides[1]
	x := &a.exchanges[a.events[p.a].exchange]
	if x.partner < 0 || x.status == 0 {
		return ""
	}
	y := &b.exchanges[x.partner]
	for _, i := range x.events {
		e := &a.events[i]
		switch j := a.partner[i]; {
		case !e.final():
			continue
		case j < 0 && y.status == 0:
			return "; then " + w.missing(i)
		case j >= 0 && b.events[j].status != e.status && w.rules.Status(int(e.status), int(b.events[j].status)) == Differs:
			return "; then " + w.otherFinal(pair{i, j})
		}
		return ""
	}
	return ""
}

// extra names a message that A lacks.
func (w *work) extra(j int) string {
	b := w.sides[1]
	e := &b.events[j]
	x := &b.exchanges[e.exchange]
	switch {
	case !e.request():
		text := "extra " + w.title(1, e) + to(e) + w.forks(e, x)
		if x.request < 0 {
			text += ", which answers no request"
		}
		return text
	case b.challenged(x):
		text := "an extra challenge to " + w.kind(e) + ": " + strconv.Itoa(int(x.status))
		for _, i := range x.events {
			if f := &b.events[i]; f.final() {
				text = "an extra challenge to " + w.kind(e) + ": " + w.title(1, f)
				if r := w.reasons(f); r != "" {
					text += "; " + r
				}
				break
			}
		}
		return text
	case e.method == "CANCEL":
		return w.cancelled(e)
	default:
		return "extra " + w.kind(e) + strings.TrimPrefix(w.phrase(e), clip(e.method)) + w.notes(e, e.ref.Call)
	}
}

// forks says that a 2xx of an INVITE is another one than a 2xx before it, which is of another dialog (RFC 3261 13.2.2.4).
func (w *work) forks(e *event, x *exchange) string {
	b := w.sides[1]
	if e.method != "INVITE" || e.status < 200 || e.status >= 300 {
		return ""
	}
	for _, i := range x.events {
		if o := &b.events[i]; o.final() && o.ref != e.ref && o.time <= e.time && o.status/100 == 2 && o.facts.toTag != e.facts.toTag {
			return ", of another dialog: it has another To tag"
		}
	}
	return ""
}

// cancelled names a CANCEL that A lacks.
func (w *work) cancelled(e *event) string {
	b := w.sides[1]
	for i := range b.exchanges {
		y := &b.exchanges[i]
		if y.method != "INVITE" || y.request < 0 || y.partner < 0 || y.from != e.from || y.to != e.to {
			continue
		}
		q := &b.events[y.request]
		if q.cseq != e.cseq || q.ref.Call != e.ref.Call {
			continue
		}
		x := &w.sides[0].exchanges[y.partner]
		text := "INVITE was cancelled after " + seconds(max(e.time-q.time, 0))
		if c := w.sides[0].codes(x); len(c) > 0 {
			text += ", expected " + strings.Join(c, " then ")
		}
		return text + w.notes(e, e.ref.Call)
	}
	return "extra " + w.phrase(e)
}

// notes tells what happened on side B beside its messages, on the hop of a message or on none; call is the one of B.
func (w *work) notes(e *event, call int) string {
	f := w.sides[1].flow
	for i := range f.Notes {
		n := &f.Notes[i]
		if !n.Src.IsValid() || !n.Dst.IsValid() || w.onHop(n, e) {
			return "; " + clip(n.Text)
		}
	}
	if call >= 0 && len(f.Calls[call].Gaps) > 0 {
		return "; the capture has a hole there"
	}
	return ""
}

// onHop reports whether a note is of the hop of a message.
func (w *work) onHop(n *Note, e *event) bool {
	at := func(who int) bool {
		for _, p := range w.out.Who[who].B {
			if p.SameHost(n.Src) || p.SameHost(n.Dst) {
				return true
			}
		}
		return false
	}
	return at(e.from) && at(e.to)
}
