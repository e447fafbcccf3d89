package plan

import (
	"fmt"
)

// cast decides who is live, who is played and who is left.
func (k *maker) cast() error {
	if k.o.Self {
		for i := range k.hosts {
			k.hosts[i].Part = Played
		}
		return nil
	}
	live, why, err := k.chooseLive()
	if err != nil {
		return err
	}
	k.live = live
	for i := range k.hosts {
		h := &k.hosts[i]
		switch {
		case i == live:
			h.Part, h.Why = Live, why
		case h.peers[live]:
			h.Part = Played
		default:
			h.Part, h.Why = Left, "it never talked to "+k.hosts[live].Name
		}
	}
	k.between()
	return k.only()
}

// between plays those, too, who talked to two or more that are played: what goes past the live one, such as an ACK or a
// BYE from end to end, belongs to the flow. Who is behind one only is folded into that one.
func (k *maker) between() {
	for changed := true; changed; {
		changed = false
		for i := range k.hosts {
			h := &k.hosts[i]
			if h.Part != Left {
				continue
			}
			n := 0
			for j, peer := range h.peers {
				if peer && j != i && k.hosts[j].Part == Played {
					n++
				}
			}
			if n > 1 {
				h.Part, h.Why = Played, ""
				changed = true
			}
		}
	}
}

// only leaves those who were not asked for.
func (k *maker) only() error {
	if len(k.o.As) == 0 {
		return nil
	}
	asked := make([]bool, len(k.hosts))
	for _, s := range k.o.As {
		i, err := k.find(s)
		if err != nil {
			return err
		}
		if i == k.live {
			return fmt.Errorf("%w: %q is the live one, it cannot be played", ErrSUT, s)
		}
		if k.hosts[i].Part == Left {
			return fmt.Errorf("%w: %q never talked to %s", ErrSUT, s, k.hosts[k.live].Name)
		}
		asked[i] = true
	}
	for i := range k.hosts {
		if h := &k.hosts[i]; h.Part == Played && !asked[i] {
			h.Part, h.Why = Left, "not asked for"
		}
	}
	return nil
}

// chooseLive gives the host that the live server stands for, and the rule that says so.
func (k *maker) chooseLive() (int, string, error) {
	if k.o.SUT != "" {
		i, err := k.find(k.o.SUT)
		return i, "named", err
	}
	best, several := -1, false
	for i := range k.hosts {
		n := k.hosts[i].forwarded
		several = several || n > 0 && best >= 0
		if n > 0 && (best < 0 || n > k.hosts[best].forwarded) {
			best = i
		}
	}
	if best >= 0 {
		return best, k.forwardsWhy(best, several), nil
	}
	for i := range k.hosts {
		if h := &k.hosts[i]; h.registers > 0 {
			return i, fmt.Sprintf("it answers REGISTER (%s), and nobody forwards requests", times(h.registers)), nil
		}
	}
	for i := range k.events {
		e := &k.events[i]
		if e.msg.Request && e.from != e.to && e.fate == 0 {
			return e.to, "the first request goes to it (" + e.what() + "), and nobody forwards requests or registers", nil
		}
	}
	return 0, "", fmt.Errorf("%w: the calls have no request", ErrNothing)
}

func (k *maker) forwardsWhy(best int, several bool) string {
	h := &k.hosts[best]
	how := "it passes on requests that it gets"
	if h.legs {
		how = "it gets requests and sends new ones that follow from them, as a back-to-back user agent"
	}
	why := how + " (" + times(h.forwarded) + ")"
	if several {
		why += "; it is the first of those who pass on most"
	}
	return why
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// count says how many there are of a thing.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// steps makes a step of each event that the live one or two played ones took part in.
func (k *maker) steps() {
	k.plan.Hosts = make([]Host, len(k.hosts))
	for i := range k.hosts {
		k.plan.Hosts[i] = k.hosts[i].Host
	}
	for i := range k.calls {
		c := &k.calls[i]
		k.plan.Calls = append(k.plan.Calls, Call{
			CallID: c.CallID, Group: groupOf(c), Relation: relation(c), First: max(c.First-k.plan.Began, 0), Num: c.Num,
		})
	}
	k.madeCalls()
	for i := range k.events {
		e := &k.events[i]
		if e.fate != 0 {
			continue
		}
		kind, ok := k.kind(e)
		if !ok {
			e.fate = fateLeft
			k.plan.Counts.Left++
			continue
		}
		e.fate, e.step = fateStep, len(k.plan.Steps)
		s := Step{
			ID: e.step + 1, Kind: kind, From: k.hosts[e.from].Name, To: k.hosts[e.to].Name, At: e.at, Call: e.call,
			Message: e.raw, Proto: e.proto, Repeats: e.repeats, Why: e.why,
			Optional: kind == Expect && e.provisional() && !e.reliable(),
		}
		if e.register != nil {
			s.Made, s.Call = true, e.register.call
		} else {
			s.Frame = k.recorded(e).Seq
			k.plan.Counts.Steps++
		}
		k.plan.Steps = append(k.plan.Steps, s)
	}
}

// kind says what an event's step does; false when it is none.
func (k *maker) kind(e *event) (Kind, bool) {
	if e.from == e.to {
		return 0, false
	}
	from, to := k.hosts[e.from].Part, k.hosts[e.to].Part
	switch {
	case from == Played && (to == Played || to == Live):
		return Send, true
	case from == Live && to == Played:
		return Expect, true
	default:
		return 0, false
	}
}
