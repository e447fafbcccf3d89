package replay_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// repeated is a plan with its calls n times, each with identifiers of its own.
func repeated(p *plan.Plan, n int) *plan.Plan {
	ids := map[string]bool{}
	for i := range p.Steps {
		var m sip.Message
		if sip.Parse(p.Steps[i].Message, &m) == nil {
			for _, s := range [...]sip.Span{m.CallID, m.From.Tag, m.To.Tag, m.Via.Branch} {
				if id := string(s.Of(m.Raw)); id != "" {
					ids[id] = true
				}
			}
		}
	}
	steps, calls := p.Steps, p.Calls
	all := *p
	all.Steps, all.Calls = nil, nil
	for k := range n {
		for _, c := range calls {
			c.CallID = fmt.Sprintf("x%d-%s", k, c.CallID)
			all.Calls = append(all.Calls, c)
		}
		for _, s := range steps {
			for id := range ids {
				s.Message = bytes.ReplaceAll(s.Message, []byte(id), fmt.Appendf(nil, "z9hG4bKx%d-%s", k, strings.TrimPrefix(id, "z9hG4bK")))
			}
			s.ID += k * len(steps)
			s.Call += k * len(calls)
			s.At += int64(k) * int64(time.Second)
			after := s.After
			s.After = nil
			for _, id := range after {
				s.After = append(s.After, id+k*len(steps))
			}
			all.Steps = append(all.Steps, s)
		}
	}
	inOrder(all.Steps)
	return &all
}

// inOrder has no step before the one above it.
func inOrder(steps []plan.Step) {
	last := int64(0)
	for i := range steps { // one call after the other
		last = max(last, steps[i].At)
		steps[i].At = last
	}
}

// A plan of a thousand calls has a dialog for each, whose requests go to its own target; and its plays take no longer than
// its steps are many.
func TestManyCallsInOnePlan(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	one, ok := planFor(t, r, there, "bob")
	if !ok {
		t.Fatal("no plan")
	}
	const calls = 1000
	p := repeated(one, calls)
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, p, nil, func(o *replay.Options) { o.Fast = true })
	targets := map[string]string{}
	wrong := 0
	withPeer(w, p, func(x *peer, r *transport.Received) {
		x.got = x.got[:0]
		m := r.Msg
		id, uri := string(m.CallID.Of(m.Raw)), string(m.URI.Of(m.Raw))
		switch m.MethodID {
		case sip.MethodInvite:
			targets[id] = fmt.Sprintf("sip:bob%d@%s", len(targets), r.Hop.Local)
			contact := compose.Header{ID: sip.HeaderContact, Value: "<" + targets[id] + ">"}
			route := compose.Header{ID: sip.HeaderRecordRoute, Value: "<" + targets[id] + ";lr>"}
			x.answer(r, 180, "t", contact, route)
			x.answer(r, 200, "t", contact, route)
		default:
			if value, _ := m.Value(sip.HeaderRoute); uri != targets[id] || string(value) != "<"+targets[id]+";lr>" {
				wrong++
			}
			if m.MethodID == sip.MethodBye {
				x.answer(r, 200, "")
			}
		}
	})
	w.run(1)
	w.clean()
	if len(targets) != calls || wrong > 0 || w.ended[0].Verdict != replay.Completed {
		t.Errorf("%d calls, %d requests with another target; %s %s", len(targets), wrong, w.ended[0].Verdict, w.ended[0].Reason)
	}
}

// A play of a thousand dialogs that is stopped in their midst ends them all, and soon.
func TestManyCallsStopped(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	for _, sut := range []string{"bob", ""} {
		one, ok := planFor(t, r, there, sut)
		if !ok {
			t.Fatal("no plan")
		}
		const calls = 1000
		w := newWorld(t, repeated(one, calls), nil, nil)
		w.wire.off = true
		byes, acks := 0, 0
		if sut != "" {
			withPeer(w, one, func(x *peer, r *transport.Received) {
				x.got = x.got[:0]
				switch r.Msg.MethodID {
				case sip.MethodInvite:
					x.answer(r, 200, "t", compose.Header{ID: sip.HeaderContact, Value: "<sip:b@" + r.Hop.Local.String() + ">"})
				case sip.MethodBye:
					byes++
					x.answer(r, 200, "")
				default:
					acks++
				}
			})
		}
		w.link.At(start+int64(1500*time.Millisecond), func() { w.player.Stop(1) })
		began := time.Now()
		w.run(1)
		w.clean()
		if sut != "" && (byes != calls || acks < calls) {
			t.Errorf("%d dialogs were acknowledged and %d ended of %d", acks, byes, calls)
		}
		t.Logf("live=%s: %v, %s %s", sut, time.Since(began), w.ended[0].Verdict, w.ended[0].Reason)
	}
}
