package plan

import (
	"fmt"
	"strings"
	"time"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// maxEach is how many of a kind are listed one by one, in notes and errors.
const maxEach = 20

// maxNeeds bounds Plan.Needs, maxText the texts of the wire in a Need and in the title.
const (
	maxNeeds = 64
	maxText  = 256
)

// needs lists the credentials that the recording used.
func (k *maker) needs() {
	seen, challenged := map[Need]bool{}, map[int]bool{}
	for i := range k.events {
		e := &k.events[i]
		if e.msg.Status == 401 || e.msg.Status == 407 {
			challenged[e.from] = true
		}
		if e.fate != fateStep || !e.msg.Request {
			continue
		}
		if f := e.forwards; f >= 0 && k.events[f].fate == fateStep {
			continue // its author's
		}
		s := &k.plan.Steps[e.step]
		if s.Kind == Expect && !challenged[e.to] {
			continue // it never asked, so it does not look
		}
		for _, n := range used(e, s) {
			if !seen[n] && len(k.plan.Needs) < maxNeeds {
				seen[n] = true
				n.Step = s.ID
				k.plan.Needs = append(k.plan.Needs, n)
			}
		}
	}
}

// used lists the credentials in a request, without the step.
func used(e *event, s *Step) []Need {
	var found []Need
	for h := range e.msg.Headers {
		header := &e.msg.Headers[h]
		if header.ID != sip.HeaderAuthorization && header.ID != sip.HeaderProxyAuthorization {
			continue
		}
		c, ok := sip.ParseCredentials(header.Value.Of(e.raw))
		if !ok || len(c.Realm) > maxText || len(c.Username) > maxText {
			continue
		}
		n := Need{Realm: string(sip.Unquote(c.Realm)), User: string(sip.Unquote(c.Username)), Host: s.From}
		if s.Kind == Expect {
			n.Host, n.Verify = s.To, true
		}
		found = append(found, n)
	}
	return found
}

// notes says what is left out or cannot be replayed, and why.
func (k *maker) notes() {
	note := func(format string, args ...any) { k.plan.Notes = append(k.plan.Notes, fmt.Sprintf(format, args...)) }
	c := &k.plan.Counts
	k.plan.Notes = append(k.plan.Notes, k.lost...)
	if more := c.Unplayable - len(k.lost); more > 0 {
		note("%s more cannot be played", count(more, "message"))
	}
	k.gapNotes(note)
	k.beginnings(note)
	if c.Retransmissions > 0 {
		note("%s: the transaction layer makes its own", count(c.Retransmissions, "retransmission")+tell(c.Retransmissions))
	}
	if c.Duplicates > 0 {
		note("%s seen twice by the tap: played once", count(c.Duplicates, "message"))
	}
	k.leftNotes(note)
	if c.Cut > 0 {
		note("%s of proxies that are cut out of the path with those behind them", count(c.Cut, "message"))
	}
	k.signed(note)
}

func tell(n int) string {
	if n == 1 {
		return " is no step"
	}
	return " are no steps"
}

func (k *maker) gapNotes(note func(string, ...any)) {
	n := 0
	for i := range k.calls {
		for _, g := range k.calls[i].Gaps {
			if n++; n > maxEach {
				continue
			}
			size := ""
			if g.Bytes > 0 {
				size = " of " + count(int(min(g.Bytes, 1<<30)), "byte")
			}
			note("the capture has a hole%s from %s to %s at %s: messages may be missing", size, ends(g.Src), ends(g.Dst),
				since(g.Time-k.plan.Began))
		}
	}
	if n > maxEach {
		note("%d more holes", n-maxEach)
	}
}

// ends writes an address, whose port a fragment does not tell.
func ends(e frame.Endpoint) string {
	if e.Port == 0 {
		return e.Host()
	}
	return e.String()
}

// since writes nanoseconds after the beginning, in milliseconds.
func since(ns int64) string {
	return fmt.Sprintf("%+.3f s", float64(ns)/float64(time.Second))
}

// beginnings notes calls that the capture has only the rest of.
func (k *maker) beginnings(note func(string, ...any)) {
	begun, told := make([]bool, len(k.calls)), 0
	for i := range k.events {
		e := &k.events[i]
		if e.register != nil || begun[e.call] || e.fate != fateStep {
			continue
		}
		begun[e.call] = true
		if e.msg.Request && e.toTag == "" {
			continue
		}
		if told++; told <= maxEach {
			note("call %d begins with %s inside a dialog that the capture has no beginning of: the live server will not know it",
				k.calls[e.call].Num, e.what())
		}
	}
}

// leftNotes counts what is no step by who it went between.
func (k *maker) leftNotes(note func(string, ...any)) {
	type pair struct{ a, b int }
	counts := map[pair]int{}
	var order []pair
	for i := range k.events {
		e := &k.events[i]
		if e.fate != fateLeft {
			continue
		}
		p := pair{min(e.from, e.to), max(e.from, e.to)}
		if counts[p] == 0 {
			order = append(order, p)
		}
		counts[p]++
	}
	for i, p := range order {
		if i == maxEach {
			note("and between %d more pairs", len(order)-maxEach)
			return
		}
		why := "not played"
		if p.a == p.b {
			why = "nobody plays what it sends to itself"
		}
		note("%s between %s and %s left: %s", count(counts[p], "message"), k.hosts[p.a].Name, k.hosts[p.b].Name, why)
	}
}

// signed notes what cannot be true of rewritten messages.
func (k *maker) signed(note func(string, ...any)) {
	told := 0
	for i := range k.events {
		e := &k.events[i]
		if e.fate != fateStep || k.plan.Steps[e.step].Kind != Send || e.forwards >= 0 {
			continue
		}
		if _, ok := e.msg.Value(sip.HeaderIdentity); ok {
			if told++; told <= maxEach {
				note("step %d: its Identity (RFC 8224) signs what the recording said, and will not verify", e.step+1)
			}
		}
		if strings.EqualFold(string(e.msg.ContentType.Of(e.raw)), "multipart/signed") {
			if told++; told <= maxEach {
				note("step %d: its body is signed (S/MIME): what is rewritten in it breaks the signature", e.step+1)
			}
		}
	}
}

// title names the plan.
func (k *maker) title() {
	var b strings.Builder
	if n := len(k.calls); n > 1 {
		b.WriteString(count(n, "call") + ", first ")
	}
	first := -1
	for i := range k.events {
		if e := &k.events[i]; e.register == nil && (first < 0 || e.msg.Request && !k.events[first].msg.Request) {
			first = i
		}
	}
	if first >= 0 {
		e := &k.events[first]
		b.WriteString(e.what())
		if uri := e.msg.URI.Of(e.raw); e.msg.Request {
			b.WriteString(" " + string(uri[:min(len(uri), maxText)]))
		}
	}
	fmt.Fprintf(&b, ", %s, %s", count(k.plan.Counts.Messages, "message"), count(len(k.hosts), "participant"))
	k.plan.Title = b.String()
}
