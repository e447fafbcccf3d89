package replay

import (
	"bytes"
	"fmt"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// A verbatim play sends dead bytes at the recorded times, repetitions as well, and sees which of the expected kinds of
// messages come. It keeps no transactions, and answers nothing that the recording did not.

// verbatim begins it.
func (g *play) verbatim() {
	for i := range g.script.steps {
		s := &g.script.steps[i]
		x := int32(i)
		due := g.began + g.scaled(s.At)
		switch s.Kind {
		case plan.Send:
			g.at(due, timerDue, x)
			for n := range min(s.Repeats, maxRepeats) { // at the times of timer A, since the plan has theirs not
				g.at(due+g.scaled(min(g.t1<<min(n, 16), g.t2)*int64(n+1)), timerDue, x)
			}
		case plan.Expect:
			g.states[i].flags |= flagEnabled
			g.states[i].deadline = due + int64(g.o.Patience)
			g.look(g.states[i].deadline)
		default:
			g.states[i].flags |= flagSent
			g.at(due+g.scaled(s.Duration), timerEnd, x)
		}
		if s.message() {
			id := s.msg.CallID.Of(s.msg.Raw)
			g.byCall[string(id)] = g.id
			g.bind(s.call, id)
		}
	}
}

// maxRepeats bounds the repetitions of one message.
const maxRepeats = 16

// sendVerbatim sends a recorded message as it is.
func (g *play) sendVerbatim(i int32) {
	s := &g.script.steps[i]
	hop := g.baseHop(s)
	if err := g.refusal(hop); err != nil {
		g.unable(i, err)
		return
	}
	g.link.Send(hop, s.Message, g.direct(i))
	if g.states[i].flags&flagSent != 0 {
		g.states[i].again++
		return
	}
	g.states[i].flags |= flagSent | flagEnabled // it is waited for, unless its receiver is live
	g.states[i].at = g.now
	if g.script.hosts[s.to].part != plan.Played {
		g.received(i)
	} else if g.states[i].flags.done() {
		g.stepDone()
	} else {
		g.states[i].deadline = g.now + int64(g.o.Patience)
		g.look(g.states[i].deadline)
	}
}

// receiveVerbatim finds the step of a message that came: the first one of its kind to whom it came.
func (p *Player) receiveVerbatim(r *transport.Received) {
	m := r.Msg
	g := p.plays[p.byCall[string(m.CallID.Of(m.Raw))]]
	host := p.hostAt(r.Hop.Local)
	if g == nil && m.Request {
		g = p.oldest()
	}
	if g == nil {
		p.stats.Extra++
		return
	}
	if i := g.sameKind(host, m); i >= 0 {
		g.states[i].status, g.states[i].cseq = m.Status, m.CSeq
		g.received(i)
	} else if a := g.otherStatus(host, m); a >= 0 {
		s := &g.script.steps[a]
		if g.diverge(a, fmt.Sprintf("expected %s from %s, got %s", s.what(), s.From, got(m))) {
			g.received(a)
		}
	}
	g.checkDone()
}

// oldest is the play that began first.
func (p *Player) oldest() *play {
	var found *play
	for _, g := range p.plays {
		if found == nil || g.id < found.id {
			found = g
		}
	}
	return found
}

func (g *play) sameKind(host int32, m *sip.Message) int32 {
	for i := range g.script.steps {
		s, st := &g.script.steps[i], &g.states[i]
		if !s.message() || st.flags&(flagReceived|flagSkipped) != 0 || host >= 0 && s.to != host || s.request != m.Request ||
			!bytes.Equal(s.msg.Method.Of(s.msg.Raw), m.Method.Of(m.Raw)) || s.Kind == plan.Send && st.flags&flagSent == 0 {
			continue
		}
		if s.request || s.status == int(m.Status) && s.msg.CSeq == m.CSeq {
			return int32(i)
		}
	}
	return none
}

// otherStatus finds the final response that was expected instead of the one that came, unless that came before.
func (g *play) otherStatus(host int32, m *sip.Message) int32 {
	if m.Request || m.Status < 200 {
		return none
	}
	found := none
	for i := range g.script.steps {
		s, st := &g.script.steps[i], &g.states[i]
		if !s.isFinal() || host >= 0 && s.to != host || s.msg.CSeq != m.CSeq || s.Kind == plan.Send ||
			!bytes.Equal(s.msg.Method.Of(s.msg.Raw), m.Method.Of(m.Raw)) {
			continue
		}
		if st.status == m.Status {
			return none
		}
		if found < 0 && st.flags&(flagReceived|flagSkipped) == 0 {
			found = int32(i)
		}
	}
	return found
}
