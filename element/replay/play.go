package replay

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
)

// skipBroken gives up what no transaction can have.
func (g *play) skipBroken() {
	for i := range g.script.steps {
		if g.script.steps[i].broken {
			g.skip(int32(i), "it lacks Via, Call-ID or CSeq, and is left out; --verbatim sends it")
		}
	}
}

// ready counts one of After of a step as happened, and has it go on with the last of them.
func (g *play) ready(i int32) {
	st := &g.states[i]
	if st.left == 0 {
		return
	}
	if st.left--; st.left == 0 {
		g.enable(i, g.now)
	}
}

// enable begins to wait for a step, or to think before it: its After has happened at from.
func (g *play) enable(i int32, from int64) {
	s, st := &g.script.steps[i], &g.states[i]
	st.flags |= flagEnabled
	if st.flags.done() || g.ending || g.o.Verbatim {
		return
	}
	due := from + g.think(i)
	if s.Kind == plan.Expect {
		g.expect(i, due)
		return
	}
	for k := range g.wait {
		if g.wait[k].step == i {
			due = max(due, g.wait[k].at)
		}
	}
	st.deadline = due
	if due > g.now {
		g.at(due, timerDue, i)
		return
	}
	g.push(i)
}

// push has a step done in this turn.
func (g *play) push(i int32) {
	if len(g.queue) == 0 {
		g.work = append(g.work, g.id)
	}
	g.queue = append(g.queue, i)
}

func (g *play) runQueue() {
	for k := 0; k < len(g.queue); k++ { //nolint:intrange // it grows meanwhile
		if g.over || g.ending {
			break
		}
		g.act(g.queue[k])
	}
	g.queue = g.queue[:0]
	g.checkDone()
}

// act does a step whose time has come.
func (g *play) act(i int32) {
	s := &g.script.steps[i]
	switch {
	case g.states[i].flags&(flagSent|flagSkipped) != 0:
	case s.Kind == plan.Send:
		g.send(i)
		g.watch(i)
	case s.Kind == plan.Media || s.Kind == plan.Wait:
		g.states[i].flags |= flagSent
		g.states[i].at = g.now
		if s.Kind == plan.Media {
			g.startMedia(i)
		}
		g.at(g.now+g.scaled(s.Duration), timerEnd, i)
	}
}

// watch bounds how long a message waits for what it cannot be sent without: its request, a provisional response, the
// answer to what was sent before.
func (g *play) watch(i int32) {
	st := &g.states[i]
	if st.flags&(flagSent|flagSkipped) != 0 || g.over || g.ending || st.flags&flagStuck != 0 {
		return
	}
	st.flags |= flagStuck
	st.deadline = g.now + int64(g.o.Patience)
	g.look(st.deadline)
}

// timer is a timer of the play.
func (g *play) timer(e timed) {
	switch e.kind {
	case timerDue:
		if g.o.Verbatim && !g.ending {
			g.sendVerbatim(e.step)
			break
		}
		if g.states[e.step].flags.done() || g.ending {
			return
		}
		g.push(e.step)
	case timerCheck:
		if e.at == g.checkAt {
			g.checkAt = 0
			g.check()
		}
	case timerResend:
		g.resendDue()
	case timerEnd:
		if g.states[e.step].flags&flagReceived == 0 {
			g.received(e.step)
		}
	case timerGiveUp:
		if g.ending {
			g.end()
		}
	}
	g.checkDone()
}

// scaled is a recorded time as it is played.
func (g *play) scaled(ns int64) int64 {
	if g.o.Fast {
		return 0
	}
	return int64(min(float64(max(ns, 0))/g.speed, float64(maxThink)))
}

// maxThink bounds a think time: ten days.
const maxThink = 10 * 24 * 3600 * 1_000_000_000

// think is how long after its causes a step comes: as recorded, scaled, or not at all. A refresh comes earlier when the
// live side gave less time than the recorded one (RFC 3261 10.2.4, RFC 4028 7.2, RFC 6665 4.1.2.1).
func (g *play) think(i int32) int64 {
	s := &g.script.steps[i]
	if g.o.Fast && g.o.Keep1xx && g.o.Speed >= 0 && s.isFinal() && s.method == "INVITE" && s.Kind == plan.Send && g.rang(s) {
		return int64(min(float64(s.gap)/g.speed, float64(maxThink)))
	}
	wait := g.scaled(s.gap)
	if s.fresh >= 0 && !g.o.Fast {
		f := &g.script.steps[s.fresh]
		for k := range g.wait {
			if h := &g.wait[k]; h.step == s.fresh && h.lasts > 0 && h.lasts < f.lasts {
				wait = int64(float64(wait) * float64(h.lasts) / float64(f.lasts))
			}
		}
	}
	return wait
}

// rang reports whether a provisional response other than 100 came before a final one of ours.
func (g *play) rang(s *step) bool {
	if s.asked < 0 {
		return false
	}
	for _, a := range g.script.steps[s.asked].answers {
		if p := &g.script.steps[a]; p.provisional() && p.status > 100 && p.ID < s.ID {
			return true
		}
	}
	return false
}

// Patience with what may be missing: a provisional response.
const (
	leastOptional  = 4_000_000_000
	optionalFactor = 4
)

// expect begins to wait for a step that is to come at due.
func (g *play) expect(i int32, due int64) {
	s, st := &g.script.steps[i], &g.states[i]
	patience := int64(g.o.Patience)
	if g.optional(s) {
		patience = min(patience, max(leastOptional, optionalFactor*g.scaled(s.gap)))
	}
	st.deadline = due + patience
	g.look(st.deadline)
}

// optional reports whether a step may be missing.
func (g *play) optional(s *step) bool { return s.Optional || s.provisional() || s.byLayer && s.request }

// look has deadlines looked at, at t.
func (g *play) look(t int64) {
	if g.checkAt == 0 || t < g.checkAt {
		g.checkAt = t
		g.at(t, timerCheck, none)
	}
}

// check looks for steps that should have come.
func (g *play) check() {
	next := int64(math.MaxInt64)
	for i := range g.states {
		st := &g.states[i]
		s := &g.script.steps[i]
		if g.ending || !st.overdue(s) {
			continue
		}
		switch {
		case st.deadline > g.now:
			next = min(next, st.deadline)
		case g.optional(s):
			g.skip(int32(i), "")
		case s.Kind == plan.Send && st.flags&flagSent == 0:
			g.skip(int32(i), "what it waits for did not come")
		default:
			g.missing(int32(i))
		}
	}
	if next < math.MaxInt64 && !g.ending {
		g.look(next)
	}
}

// overdue reports whether a step is waited for: it is to come, or cannot be sent without something else.
func (st *stepState) overdue(s *step) bool {
	return s.message() && !st.flags.done() && st.flags&flagEnabled != 0 && st.deadline != 0 &&
		(s.Kind != plan.Send || st.flags&(flagSent|flagStuck) != 0)
}

// missing is a step that did not come in time.
func (g *play) missing(i int32) {
	s := &g.script.steps[i]
	waited := spelled(g.now - g.waitsSince(s))
	if g.diverge(i, fmt.Sprintf("expected %s from %s, nothing came within %s", s.what(), s.From, waited)) {
		g.skip(i, "")
	}
}

// spelled is a time as a comparison of flows spells it: "729 ms", "2.1 s".
func spelled(ns int64) string {
	if ns >= 1_000_000_000 {
		return strings.TrimSuffix(strconv.FormatFloat(float64(ns)/1e9, 'f', 1, 64), ".0") + " s"
	}
	return strconv.FormatInt(ns/1_000_000, 10) + " ms"
}

// waitsSince is when the last thing happened that a step waits for.
func (g *play) waitsSince(s *step) int64 {
	from := g.began
	for _, id := range s.After {
		if id > 0 && id <= len(g.states) {
			from = max(from, g.states[id-1].at, g.states[id-1].arrived)
		}
	}
	return from
}

// sent notes that a step has left.
func (g *play) sent(i int32) {
	s, st := &g.script.steps[i], &g.states[i]
	if st.flags&flagSent != 0 {
		return
	}
	st.flags |= flagSent
	st.at = g.now
	st.deadline = 0
	for _, j := range s.onSent {
		g.ready(j)
	}
	if s.to < 0 || g.script.hosts[s.to].part != plan.Played {
		g.received(i)
		return
	}
	if st.flags&flagReceived == 0 {
		g.expect(i, g.now)
	} else {
		g.stepDone()
	}
}

// received notes that a step has arrived.
func (g *play) received(i int32) {
	s, st := &g.script.steps[i], &g.states[i]
	if st.flags&(flagReceived|flagSkipped) != 0 {
		return
	}
	st.flags |= flagReceived
	st.arrived = g.now
	if s.Kind == plan.Expect {
		st.flags |= flagSent
		st.at = g.now
	}
	if st.flags.done() {
		g.stepDone()
	}
	for _, j := range s.onReceived {
		g.ready(j)
	}
}

func (g *play) stepDone() { g.open-- }

// skip notes that a step has no place in the live flow, and all that follow from it.
func (g *play) skip(i int32, why string) {
	s, st := &g.script.steps[i], &g.states[i]
	if st.flags.done() {
		return
	}
	if why != "" {
		g.note(fmt.Sprintf("step %d, %s from %s: %s", s.ID, s.what(), s.From, why))
	}
	before := st.flags
	st.flags |= flagSkipped
	g.stepDone()
	for _, e := range s.effects {
		g.skip(e, "")
	}
	g.resume()
	if before&flagSent == 0 {
		for _, j := range s.onSent {
			g.ready(j)
		}
	}
	if before&flagReceived == 0 {
		for _, j := range s.onReceived {
			g.ready(j)
		}
	}
}

// Limits of notes.
const (
	maxNotes = 64
	maxNote  = 300 // bytes
)

// note adds a note, once. What is said in it of live messages is made printable by who draws it.
func (g *play) note(text string) {
	if len(text) > maxNote {
		text = text[:maxNote] + "..."
	}
	switch {
	case slices.Contains(g.notes, text):
	case len(g.notes) < maxNotes-1:
		g.notes = append(g.notes, text)
	case len(g.notes) == maxNotes-1:
		g.notes = append(g.notes, "and more")
	}
}

// diverge notes the first divergence, and reports whether the play goes on as if it had not been.
func (g *play) diverge(i int32, what string) (goOn bool) {
	if g.over {
		return false
	}
	s := &g.script.steps[i]
	text := fmt.Sprintf("step %d: %s", s.ID, what)
	if g.verdict == 0 {
		g.verdict, g.step, g.reason = Diverged, s.ID, text
	} else {
		g.note(text)
	}
	switch {
	case g.ending:
		return false
	case g.o.OnDiverge == Continue:
		return true
	case g.o.OnDiverge == Abort:
		g.end()
		return false
	default:
		g.leave()
		return false
	}
}

// stop ends the play politely for another reason than a divergence.
func (g *play) stop(v Verdict, step int, reason string) {
	if g.verdict == 0 {
		g.verdict, g.step, g.reason = v, step, reason
	}
	if !g.ending && !g.over {
		g.leave()
	}
	g.checkDone()
}

// checkDone goes on when everything has happened.
func (g *play) checkDone() {
	switch {
	case g.over:
	case g.ending:
		if g.quiet() {
			g.end()
		}
	case g.open == 0 && len(g.queue) == 0:
		g.leave()
		if g.quiet() {
			g.end()
		}
	}
}

// clean is a text of the wire as a note has it: printable, and not long.
func clean(s string) string {
	const most = 80
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

// got says what a live message is.
func got(m *sip.Message) string {
	if m.Request {
		return clean(string(m.Method.Of(m.Raw)))
	}
	reason := string(m.Reason.Of(m.Raw))
	return strings.TrimSpace(statusText(int(m.Status)) + " " + clean(reason))
}
