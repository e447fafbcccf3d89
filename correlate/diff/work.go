package diff

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"

	"sipscope/decode/sip"
)

// work is a comparison in the making.
type work struct {
	sides [2]*side
	rules *Rules
	out   *Result
	// flip says that B is aligned with A instead of A with B, so that the order of the arguments does not matter where
	// alignments have ties.
	flip    bool
	aligner aligner
	reader  reader
	ids     identities
	at      []pair // events of each row, -1 for none
	told    map[told]bool
}

// told is a difference of what messages say, to be told once a call.
type told struct {
	call        int // of A
	where, a, b string
	text        string
}

func newWork(a, b Flow, rules Rules) *work {
	w := &work{out: &Result{A: a, B: b, Rules: rules, First: -1}, aligner: aligner{cells: maxCells}, told: make(map[told]bool)}
	w.rules = &w.out.Rules
	seed := maphash.MakeSeed()
	w.sides = [2]*side{newSide(&w.out.A, seed), newSide(&w.out.B, seed)}
	w.reader = reader{flows: [2]*Flow{&w.out.A, &w.out.B}}
	w.flip = w.order() > 0
	return w
}

// order tells the sides apart by what they hold.
func (w *work) order() int {
	a, b := w.sides[0].events, w.sides[1].events
	if d := cmp.Compare(len(a), len(b)); d != 0 {
		return d
	}
	for i := range a {
		x, y := &a[i], &b[i]
		d := cmp.Or(cmp.Compare(x.method, y.method), cmp.Compare(x.status, y.status), cmp.Compare(x.again, y.again),
			cmp.Compare(x.time-a[0].time, y.time-b[0].time), cmp.Compare(x.src.String(), y.src.String()),
			cmp.Compare(x.dst.String(), y.dst.String()))
		if d != 0 {
			return d
		}
	}
	for i := range a {
		if d := bytes.Compare(w.reader.text(0, a[i].ref), w.reader.text(1, b[i].ref)); d != 0 {
			return d
		}
	}
	return 0
}

// xy gives the sides in the order in which they are aligned.
func (w *work) xy() (x, y *side) {
	if w.flip {
		return w.sides[1], w.sides[0]
	}
	return w.sides[0], w.sides[1]
}

// Costs of alignments. What has no partner costs gapCost on either side.
const (
	gapCost     = 20
	codeCost    = 10 // another code of one class
	classCost   = 30 // another class
	noFinalCost = 32 // a final response against none
	// headlessCost is of responses to a request that the capture lacks, or that named no request of ours, against a
	// request with its responses: more than noFinalCost, since the request itself tells which is which.
	headlessCost = 36
	contentCost  = 4  // another Request-URI, event or session description
	authCost     = 6  // with credentials against without
	dialogCost   = 12 // in a dialog against outside
	ringCost     = 10 // another provisional response
)

// pairCalls pairs the calls of the two sides: what begins alike, in order; then what is left whatever the order.
func (w *work) pairCalls() {
	x, y := w.xy()
	join := func(a, b int) { x.calls[a], y.calls[b] = b, a }
	if len(x.calls) == 1 && len(y.calls) == 1 {
		join(0, 0)
		return
	}
	w.pairKnown()
	left := func(calls []int) (at []int) {
		for i, other := range calls {
			if other < 0 {
				at = append(at, i)
			}
		}
		return at
	}
	leftX, leftY := left(x.calls), left(y.calls)
	beginX, beginY := x.begins(), y.begins()
	for _, p := range w.aligner.align(len(leftX), len(leftY), gapCost, func(i, j int) int32 {
		return beginCost(beginX[leftX[i]], beginY[leftY[j]])
	}) {
		join(leftX[p.a], leftY[p.b])
	}
	type key struct {
		method   string
		from, to int
	}
	free := make(map[key][]int)
	for j, e := range beginY {
		if e != nil && y.calls[j] < 0 {
			k := key{e.method, e.from, e.to}
			free[k] = append(free[k], j)
		}
	}
	for i, e := range beginX {
		if e == nil || x.calls[i] >= 0 {
			continue
		}
		k := key{e.method, e.from, e.to}
		if at := free[k]; len(at) > 0 {
			join(i, at[0])
			free[k] = at[1:]
		}
	}
}

// pairKnown pairs the calls that Rules.Calls has.
func (w *work) pairKnown() {
	if len(w.rules.Calls) == 0 {
		return
	}
	a, b := w.sides[0], w.sides[1]
	at := make(map[string]int, len(b.calls))
	for j := range b.calls {
		at[w.out.B.Calls[j].CallID] = j
	}
	for i := range a.calls {
		live, known := w.rules.Calls[w.out.A.Calls[i].CallID]
		if j, there := at[live]; known && there && b.calls[j] < 0 && a.calls[i] < 0 {
			a.calls[i], b.calls[j] = j, i
		}
	}
}

// beginCost is what two calls cost as a pair that begin with these exchanges.
func beginCost(a, b *exchange) int32 {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil || b == nil || a.method != b.method:
		return never
	case a.from == b.from && a.to == b.to:
		return 0
	case a.from == b.from || a.to == b.to:
		return codeCost
	default:
		return classCost
	}
}

// begins gives the first exchange of each call, nil for none.
func (s *side) begins() []*exchange {
	first := make([]*exchange, len(s.calls))
	for i := range s.exchanges {
		if x := &s.exchanges[i]; first[x.call] == nil {
			first[x.call] = x
		}
	}
	return first
}

// hopKey is where exchanges are aligned: a pair of calls, from a client to a server.
type hopKey struct{ call, from, to int }

// pairMessages pairs exchanges, and inside of them messages.
func (w *work) pairMessages() {
	x, y := w.xy()
	same := func(call int) int { return call }
	mine, order := x.byHop(same)
	of, _ := y.byHop(func(call int) int { return y.calls[call] })
	for _, k := range order {
		xs, ys := mine[k], of[k]
		if x.calls[k.call] < 0 {
			continue
		}
		for _, p := range w.aligner.align(len(xs), len(ys), gapCost, func(i, j int) int32 {
			return exchangeCost(x, y, &x.exchanges[xs[i]], &y.exchanges[ys[j]])
		}) {
			joinExchanges(x, y, xs[p.a], ys[p.b])
		}
	}
	w.pairMoved(x, y)
	w.pairElsewhere(x, y)
	for i := range x.exchanges {
		if x.exchanges[i].partner >= 0 {
			w.pairInside(x, y, i)
		}
	}
	pairACKs(x, y)
	x.findCauses()
	y.findCauses()
}

// byHop gives the exchanges of each hop, and the hops in order of appearance. call says which call of x a call is.
func (s *side) byHop(call func(int) int) (of map[hopKey][]int, order []hopKey) {
	of = make(map[hopKey][]int)
	for i := range s.exchanges {
		e := &s.exchanges[i]
		k := hopKey{call(e.call), e.from, e.to}
		if len(of[k]) == 0 {
			order = append(order, k)
		}
		of[k] = append(of[k], i)
	}
	return of, order
}

// pairACKs pairs the ACKs of two INVITEs that belong together, when one is of a failure and the other is not.
func pairACKs(x, y *side) {
	for i := range x.exchanges {
		a := &x.exchanges[i]
		if a.partner < 0 || a.ack < 0 {
			continue
		}
		b := &y.exchanges[a.partner]
		if b.ack >= 0 && x.partner[a.ack] < 0 && y.partner[b.ack] < 0 {
			x.partner[a.ack], y.partner[b.ack] = b.ack, a.ack
		}
	}
}

func joinExchanges(x, y *side, i, j int) { x.exchanges[i].partner, y.exchanges[j].partner = j, i }

// exchangeCost is what two exchanges of one hop cost as a pair.
func exchangeCost(x, y *side, a, b *exchange) int32 {
	if a.method != b.method {
		return never
	}
	cost := statusCost(a.status, b.status)
	if (a.request < 0) != (b.request < 0) {
		cost += headlessCost
	}
	if a.initial != b.initial {
		cost += dialogCost
	}
	if a.request >= 0 && b.request >= 0 {
		f, g := &x.events[a.request].facts, &y.events[b.request].facts
		if f.read && g.read && f.content != g.content {
			cost += contentCost
		}
		if f.auth != g.auth {
			cost += authCost
		}
	}
	return cost
}

// statusCost compares final codes, 0 for none.
func statusCost(a, b uint16) int32 {
	switch {
	case a == b:
		return 0
	case a == 0 || b == 0:
		return noFinalCost
	case a/100 == b/100:
		return codeCost
	default:
		return classCost
	}
}

// pairMoved pairs what stands in another order on one hop.
func (w *work) pairMoved(x, y *side) {
	type key struct {
		hop    hopKey
		method string
		status uint16
	}
	w.pairLeft(x, y, func(e *exchange, call int) any {
		return key{hopKey{call, e.from, e.to}, e.method, e.status}
	}, func(a, b *exchange) { a.moved, b.moved = true, true })
}

// pairElsewhere pairs what took another hop: a BYE that went to the callee instead of to the proxy.
func (w *work) pairElsewhere(x, y *side) {
	type key struct {
		end    string
		call   int
		method string
		who    int
	}
	note := func(a, b *exchange) { a.elsehop, b.elsehop = true, true }
	w.pairLeft(x, y, func(e *exchange, call int) any { return key{"client", call, e.method, e.from} }, note)
	w.pairLeft(x, y, func(e *exchange, call int) any { return key{"server", call, e.method, e.to} }, note)
}

// pairLeft pairs exchanges that have no partner yet, in the order of those with an equal key. The key is made of the
// call of x.
func (w *work) pairLeft(x, y *side, key func(e *exchange, call int) any, note func(a, b *exchange)) {
	free := make(map[any][]int)
	for j := range y.exchanges {
		if e := &y.exchanges[j]; e.partner < 0 && y.calls[e.call] >= 0 {
			k := key(e, y.calls[e.call])
			free[k] = append(free[k], j)
		}
	}
	for i := range x.exchanges {
		e := &x.exchanges[i]
		if e.partner >= 0 || x.calls[e.call] < 0 {
			continue
		}
		k := key(e, e.call)
		if at := free[k]; len(at) > 0 {
			joinExchanges(x, y, i, at[0])
			note(e, &y.exchanges[at[0]])
			free[k] = at[1:]
		}
	}
}

// pairInside pairs the messages of two exchanges.
func (w *work) pairInside(x, y *side, i int) {
	xs := x.exchanges[i].events
	ys := y.exchanges[x.exchanges[i].partner].events
	tagX, tagY := x.tags(xs), y.tags(ys)
	forked := len(tagX) > 0 && len(tagY) > 0 && slices.Max(tagX) > 1 && slices.Max(tagY) > 1
	for _, p := range w.aligner.align(len(xs), len(ys), gapCost, func(i, j int) int32 {
		a, b := &x.events[xs[i]], &y.events[ys[j]]
		cost := messageCost(a, b)
		if forked && a.status == b.status && x.answerer(a) != y.answerer(b) {
			return never // each has its counterpart elsewhere, if anywhere
		}
		if cost >= 0 && tagX[i] != tagY[j] {
			cost++
		}
		return cost
	}) {
		x.partner[xs[p.a]], y.partner[ys[p.b]] = ys[p.b], xs[p.a]
	}
	if forked {
		pairFree(x, y, xs, ys, func(s *side, e *event) int { return s.answerer(e) })
	}
	pairFree(x, y, xs, ys, func(*side, *event) int { return 0 })
}

// pairFree pairs what is left of two exchanges in any order: equal methods and codes of one answerer.
func pairFree(x, y *side, xs, ys []int, who func(s *side, e *event) int) {
	type key struct {
		method string
		status uint16
		who    int
	}
	free := make(map[key][]int)
	for _, j := range ys {
		if e := &y.events[j]; y.partner[j] < 0 {
			k := key{e.method, e.status, who(y, e)}
			free[k] = append(free[k], j)
		}
	}
	for _, i := range xs {
		e := &x.events[i]
		if x.partner[i] >= 0 {
			continue
		}
		k := key{e.method, e.status, who(x, e)}
		if at := free[k]; len(at) > 0 {
			x.partner[i], y.partner[at[0]] = at[0], i
			x.events[i].moved, y.events[at[0]].moved = true, true
			free[k] = at[1:]
		}
	}
}

// answerer is the participant whose dialog a message is in, as far as the flow has seen it say its To tag: who sent the
// first message with it.
func (s *side) answerer(e *event) int {
	if s.answerers == nil {
		s.answerers = make(map[answerKey]int)
		for i := range s.events {
			o := &s.events[i]
			k := answerKey{o.ref.Call, o.facts.toTag}
			if _, ok := s.answerers[k]; !ok && !o.request() && o.facts.toTag != 0 {
				s.answerers[k] = o.from
			}
		}
	}
	if who, ok := s.answerers[answerKey{e.ref.Call, e.facts.toTag}]; ok {
		return who
	}
	return -1
}

// answerKey is a To tag of a call.
type answerKey struct {
	call int
	tag  uint64
}

// tags numbers the To tags of messages in order of appearance: the dialogs of a fork.
func (s *side) tags(events []int) []int {
	of := map[uint64]int{0: 0}
	list := make([]int, len(events))
	for n, i := range events {
		tag := s.events[i].facts.toTag
		if _, ok := of[tag]; !ok {
			of[tag] = len(of)
		}
		list[n] = of[tag]
	}
	return list
}

// messageCost is what two messages of a pair of exchanges cost as a pair.
func messageCost(a, b *event) int32 {
	switch {
	case a.request() || b.request():
		if a.status != b.status || a.method != b.method {
			return never
		}
		return 0
	case a.status == b.status:
		return 0
	case a.final() != b.final() || a.status == 100 || b.status == 100:
		return never
	case a.final():
		return statusCost(a.status, b.status)
	default:
		return ringCost
	}
}

// reader reads messages of both flows.
type reader struct{ flows [2]*Flow }

// text gives a message's raw text, nil when it cannot be read.
func (r *reader) text(side int, at Ref) []byte {
	if f := r.flows[side]; at.Valid() && f.Text != nil {
		return f.Text(at.Call, at.Message)
	}
	return nil
}

// parse gives a message, nil when it cannot be read.
func (r *reader) parse(side int, at Ref) *sip.Message {
	m := &sip.Message{}
	if sip.Parse(r.text(side, at), m) != nil {
		return nil
	}
	return m
}
