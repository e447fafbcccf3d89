package ladder

import (
	"strconv"
	"time"

	"sipscope/correlate"
	"sipscope/decode/frame"
)

func (b *builder) addTitles() {
	for ci := range b.calls {
		c := &b.calls[ci]
		b.out.Calls = append(b.out.Calls, Title{
			Num: c.Num, CallID: c.CallID, Method: c.Method, State: c.State, From: partyText(&c.From), To: partyText(&c.To),
			Start: c.First, Span: c.Last - c.First, PDD: c.PDD, Setup: c.Setup, Duration: c.Duration, EndedBy: b.ender(c),
			Relation: c.Relation,
		})
	}
}

// ender names who released or cancelled the call.
func (b *builder) ender(c *correlate.Call) string {
	e := c.ReleasedBy
	if !e.IsValid() {
		switch c.EndedBy {
		case correlate.Caller:
			e = c.Src
		case correlate.SideUnknown, correlate.Callee, correlate.Network:
			return c.EndedBy.String()
		}
	}
	return b.name(e)
}

func (b *builder) name(e frame.Endpoint) string {
	if col := b.col(e); col >= 0 {
		return b.out.Columns[col].Name()
	}
	return e.String()
}

// addStates ends the ladder with what became of each call.
func (b *builder) addStates() {
	for ci := range b.calls {
		c := &b.calls[ci]
		label := b.stateText(c)
		if len(b.calls) > 1 {
			label = "call " + strconv.FormatUint(uint64(c.Num), 10) + ": " + label
		}
		b.out.Rows = append(b.out.Rows, Row{
			Kind: State, Call: ci, Time: c.Last, From: -1, To: -1, Label: label, Status: c.Code, Txn: -1, Dialog: -1,
			Frame: c.Evidence.End, Count: 1, Hops: 1,
		})
	}
}

// stateText explains a call's state in one sentence.
func (b *builder) stateText(c *correlate.Call) string {
	switch c.State {
	case correlate.StateCalling:
		return "calling: no answer yet when the capture ends"
	case correlate.StateRinging:
		return "ringing when the capture ends"
	case correlate.StateAnswered:
		return "answered, no BYE in the capture"
	case correlate.StateCompleted:
		return b.completed(c)
	case correlate.StateCancelled:
		return "cancelled" + by(b.ender(c)) + b.after(c)
	case correlate.StateTimedOut:
		if c.Code != 0 {
			return "no answer: " + b.final(c) + b.after(c)
		}
		return "timed out: no final response" + within(c.Last-c.First)
	case correlate.StatePending:
		return "no final response when the capture ends"
	case correlate.StateUnknown:
		return "unknown: the messages that decide were not captured"
	case correlate.StateChallenged:
		return "challenged and not answered with credentials: " + b.final(c)
	case correlate.StateRedirected:
		return "redirected and not followed: " + b.final(c)
	case correlate.StateRegistered, correlate.StateUnregistered:
		return registrationText(c)
	default:
		if c.Code == 0 {
			return c.State.String()
		}
		return c.State.String() + ": " + b.final(c)
	}
}

func (b *builder) completed(c *correlate.Call) string {
	s := "ended" + by(b.ender(c))
	if c.Duration >= 0 {
		s += " after " + Duration(c.Duration) + " of talk"
	}
	if c.Cause >= 0 {
		s += ", Q.850 cause " + strconv.Itoa(int(c.Cause))
	}
	return s
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

func within(ns int64) string {
	if ns < int64(time.Second) {
		return ""
	}
	return " within " + Duration(ns)
}

// final is the deciding response and who sent it: "486 Busy Here from bob".
func (b *builder) final(c *correlate.Call) string {
	s := strconv.Itoa(int(c.Code))
	if c.Reason != "" {
		s += " " + clip(c.Reason)
	}
	if m := b.byFrame(c, c.Evidence.Final); m != nil {
		s += " from " + b.name(b.origin(c, m))
	}
	return s
}

// byFrame finds the message of a frame.
func (b *builder) byFrame(c *correlate.Call, seq uint64) *correlate.Message {
	if seq == 0 {
		return nil
	}
	for i := range c.Messages {
		if m := &c.Messages[i]; m.Seq == seq && m.Status == c.Code {
			return m
		}
	}
	return nil
}

// origin follows a response back to where it came from: copies of one message that reach, earlier, who sends the next.
func (b *builder) origin(c *correlate.Call, m *correlate.Message) frame.Endpoint {
	src := m.Src
	for i := len(c.Messages) - 1; i >= 0; i-- {
		o := &c.Messages[i]
		if o.Seq < m.Seq && o.Status == m.Status && o.CSeq == m.CSeq && o.Method == m.Method && o.Repeats < 0 &&
			b.col(o.Dst) == b.col(src) && o.Src != src {
			src = o.Src
		}
	}
	return src
}

// after says how long after the first message the final response came, when that is worth saying.
func (b *builder) after(c *correlate.Call) string {
	m := b.byFrame(c, c.Evidence.Final)
	if m == nil || m.Time-c.First < int64(time.Second) {
		return ""
	}
	return " after " + Duration(m.Time-c.First)
}

func registrationText(c *correlate.Call) string {
	r := c.Registration
	if r == nil {
		return c.State.String()
	}
	s := c.State.String()
	if r.AOR != "" {
		s += ": " + clip(r.AOR)
	}
	if c.State == correlate.StateRegistered && r.Expires >= 0 {
		s += " for " + strconv.FormatInt(r.Expires, 10) + " s"
	}
	if r.Refreshes > 0 {
		s += ", refreshed " + times(r.Refreshes)
	}
	return s
}

func (b *builder) addTotals() {
	t := &b.out.Totals
	hops := map[[2]frame.Endpoint]bool{}
	for ci := range b.calls {
		c := &b.calls[ci]
		t.Messages += len(c.Messages)
		t.Transactions += int(c.Summary.Transactions)
		t.Dialogs += int(c.Summary.Dialogs)
		t.EarlyDialogs += int(c.EarlyDialogs)
		t.Retransmissions += int(c.Retransmissions)
		t.Duplicates += int(c.Duplicates)
		for i := range c.Messages {
			x, y := c.Messages[i].Src, c.Messages[i].Dst
			if y.Hi < x.Hi || y.Hi == x.Hi && (y.Lo < x.Lo || y.Lo == x.Lo && y.Port < x.Port) {
				x, y = y, x
			}
			hops[[2]frame.Endpoint{x, y}] = true
		}
	}
	for i := range b.out.Rows {
		if b.out.Rows[i].Kind == Gap {
			t.Gaps++
		}
	}
	t.Hops = len(hops)
	if len(b.calls) == 1 && b.calls[0].Hops > 0 {
		t.Hops = int(b.calls[0].Hops)
	}
	t.Accounting = b.opts.Accounting
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}
