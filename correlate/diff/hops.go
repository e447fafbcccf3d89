package diff

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/compare"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// Hop is a message that an element received and sent on.
type Hop struct {
	Element frame.Endpoint // where it came in
	In, Out int            // indices into the call's Messages
	Method  string         // of the request, or of the request that is answered
	Status  int            // 0 for a request
	Latency int64          // nanoseconds from In to Out
	// Differences say what the element added (Extra), removed (Missing) and rewrote (Differs). What every proxy does (its
	// Via, Max-Forwards one less, its Route taken off: RFC 3261 16.6, 16.7) is Tolerated, and behind the rest.
	Differences []Difference
}

// Hops compares a call's messages hop by hop: what each element added, removed and rewrote, and how long it took. Where
// a request forks there is a Hop for each branch. In order of Out. Of the rules, Ignore counts.
func Hops(call correlate.Call, text func(message int) []byte, rules Rules) []Hop {
	f := Flow{Calls: []correlate.Call{call}}
	if text != nil {
		f.Text = func(_, message int) []byte { return text(message) }
	}
	s := newSide(&f, maphash.MakeSeed())
	s.meet()
	w := &work{rules: &rules, out: &Result{A: f, B: f}, sides: [2]*side{s, s}}
	w.reader = reader{flows: [2]*Flow{&f, &f}}
	var hops []Hop
	for j := range s.events {
		i := s.forwarded(j)
		if i < 0 {
			continue
		}
		in, out := &s.events[i], &s.events[j]
		h := Hop{
			Element: in.dst, In: in.ref.Message, Out: out.ref.Message, Method: out.method, Status: int(out.status),
			Latency: max(out.time-in.time, 0),
		}
		h.Differences = w.through(in, out)
		hops = append(hops, h)
	}
	return hops
}

// through says what an element made of a message.
func (w *work) through(in, out *event) []Difference {
	a, b := w.reader.parse(0, in.ref), w.reader.parse(1, out.ref)
	t := &tale{w: w, a: in, b: out}
	if a == nil || b == nil {
		return nil
	}
	if in.transport != out.transport {
		t.add(Differs, "transport", in.transport.String(), out.transport.String(),
			"sent on over "+out.transport.String()+", came over "+in.transport.String())
	}
	res := compare.Messages(a, b, compare.Options{})
	for i := range res.Lines {
		if n := &res.Lines[i]; n.Meaning && (n.Section == compare.Start || n.Section == compare.Header) {
			t.rewritten(n)
		}
	}
	if !w.rules.ignores("sdp") && !w.rules.ignores("body") {
		t.ports(a, b)
		t.sessions(a, b, res.Lines)
	}
	if !w.rules.ignores("body") {
		l := lines{tale: t}
		l.body(res.Lines)
	}
	return t.sorted()
}

// rewritten tells what became of a line.
func (t *tale) rewritten(n *compare.Line) {
	v, a, b := Differs, value(n.A), value(n.B)
	if usualHop(n, t.a.request()) {
		v = Tolerated
	}
	switch {
	case n.Section == compare.Start:
		a, b = middle(compare.Text(n.A)), middle(compare.Text(n.B))
		t.add(v, "request-uri", a, b, "Request-URI rewritten to "+clip(b)+", was "+clip(a))
	case n.Change == compare.Added:
		if v == Differs {
			v = Extra
		}
		t.add(v, n.Name, "", b, "header "+clip(n.Name)+" added: "+clip(b))
	case n.Change == compare.Removed:
		if v == Differs {
			v = Missing
		}
		t.add(v, n.Name, a, "", "header "+clip(n.Name)+" removed: "+clip(a))
	default:
		t.add(v, n.Name, a, b, "header "+clip(n.Name)+" rewritten to "+clip(b)+", was "+clip(a))
	}
}

// usualHop reports whether every proxy makes this difference (RFC 3261 16.6, 16.7, 18.2.1).
func usualHop(n *compare.Line, request bool) bool {
	switch sip.LookupHeader([]byte(n.Name)) {
	case sip.HeaderVia:
		return n.Change == compare.Added && request || n.Change == compare.Removed && !request || onlyReceived(n)
	case sip.HeaderMaxForwards:
		a, errA := strconv.Atoi(value(n.A))
		b, errB := strconv.Atoi(value(n.B))
		return errA == nil && errB == nil && a-b == 1
	case sip.HeaderRoute:
		return n.Change == compare.Removed && request
	default:
		return false
	}
}

// onlyReceived reports whether nothing but received and rport differs.
func onlyReceived(n *compare.Line) bool {
	if n.NoA == 0 || n.NoB == 0 {
		return false
	}
	return !slices.ContainsFunc(append(slices.Clone(n.A), n.B...), func(s compare.Span) bool {
		low := strings.ToLower(strings.Trim(s.Text, "; "))
		return s.Differs && !strings.HasPrefix(low, "received") && !strings.HasPrefix(low, "rport") && strings.Trim(low, "0123456789.") != ""
	})
}

// ports tells of media whose port an element rewrote.
func (t *tale) ports(ma, mb *sip.Message) {
	textA, okA := ma.SDP()
	textB, okB := mb.SDP()
	if !okA || !okB {
		return
	}
	a, _ := sdp.Parse(textA)
	b, _ := sdp.Parse(textB)
	for i := range min(len(a.Media), len(b.Media)) {
		if x, y := a.Media[i].Port, b.Media[i].Port; x != y && x != 0 && y != 0 {
			was, is := strconv.Itoa(int(x)), strconv.Itoa(int(y))
			t.add(Differs, "SDP m"+strconv.Itoa(i), was, is, "media port "+is+", was "+was)
		}
	}
}
