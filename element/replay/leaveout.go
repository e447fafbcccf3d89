package replay

import (
	"fmt"

	"sipscope/element/replay/plan"
)

// What a play leaves out of the recorded flow since the live side gave no cause for it.

// unchallenged goes on without the challenge that the recording has: what answers it there is what we sent already. It
// reports false when the challenge came.
func (g *play) unchallenged(q int32) bool {
	s := &g.script.steps[q]
	next := s.retry
	ns := &g.states[next]
	if ns.flags&(flagSent|flagSkipped) != 0 || g.states[q].flags&flagRetried != 0 {
		return false
	}
	asked := none
	for _, a := range s.answers {
		if g.asksAs(a) && !g.states[a].flags.done() && g.script.steps[a].Kind == plan.Expect {
			asked = a
		}
	}
	if asked < 0 {
		return false
	}
	g.note(fmt.Sprintf("step %d: -auth: no %d came, so step %d is left out, CSeq -1",
		g.script.steps[asked].ID, g.script.steps[asked].status, g.script.steps[next].ID))
	old := &g.states[q]
	ns.client, ns.cseq = old.client, old.cseq
	ns.flags |= old.flags & (flagRung | flagFinal)
	old.client, old.flags = 0, old.flags|flagFinal
	g.layer.SetData(ns.client, g.data(next))
	g.txns[ns.client] = place{g.id, next}
	g.shift[s.dir] -= int32(g.script.steps[next].msg.CSeq - s.msg.CSeq) //nolint:gosec // small, or a hostile one's business
	g.moveBranch(q, next)
	ns.flags |= flagEnabled
	g.sent(next)
	g.skip(asked, "")
	return true
}

// moveBranch has the CANCEL and ACK of a request that is left out have the branch of the one that was sent.
func (g *play) moveBranch(from, to int32) {
	a, b := g.script.steps[from].branch, g.script.steps[to].branch
	if a >= 0 && b >= 0 {
		g.values[b] = g.values[a]
	}
}

// leaveOutPrack leaves a PRACK out on all its hops, and what answers it: a response that is not reliable has none (RFC
// 3262 4).
func (g *play) leaveOutPrack(p int32, why string) {
	s := &g.script.steps[p]
	onward := s.effects
	if s.dir >= 0 {
		g.shift[s.dir]--
	}
	g.skip(p, why)
	for _, a := range s.answers {
		g.skip(a, "")
	}
	for _, e := range onward {
		if g.script.steps[e].request {
			g.leaveOutPrack(e, "")
		}
	}
}

// noDialog leaves out what the recording does in the dialog that a 2xx made there, and that a live failure does not make.
func (g *play) noDialog(e *step) {
	for i := range g.script.steps {
		s := &g.script.steps[i]
		if e.toTag < 0 || !s.request || s.call != e.call || s.toTag != e.toTag && s.fromTag != e.toTag {
			continue
		}
		g.skip(int32(i), "")
		for _, a := range s.answers {
			g.skip(a, "")
		}
	}
}
