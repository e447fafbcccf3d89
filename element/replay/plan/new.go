package plan

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// maker makes one plan. Its steps are in the order of the diagram in plan.go.
type maker struct {
	calls  []correlate.Call
	o      Options
	plan   *Plan
	events []event // messages that have a whole text, in the order of the capture
	places places  // addresses and the hosts that they belong to
	hosts  []host
	live   int // index into hosts, -1 for none
	lost   []string
	sounds []inserted // the media steps
}

// fate is what becomes of a recorded message.
type fate uint8

const (
	fateStep fate = iota + 1
	fateLeft
	fateCut
	fateDuplicate
	fateUnplayable
)

// event is a recorded message that has its whole text.
type event struct {
	call, message int // in the calls given
	at            int64
	src, dst      int // places
	from, to      int // hosts
	proto         transport.Proto
	raw           []byte
	msg           sip.Message
	branch        string // of the top Via
	below         string // branch of the Via below it
	sentBy        string // of the top Via
	fromTag       string
	toTag         string
	forwards      int // the event that this one is the forwarded copy of, -1 for none
	repeats       int
	fate          fate
	step          int // index into plan.Steps when fate is fateStep
	why           string
	register      *registration // of a step that is made
}

// New makes a plan of calls, which may be one or some that belong together, and of their texts; text gives nil for a
// message that cannot be read again. Calls and texts are kept and must stay unchanged as long as the plan is used.
//
// The live one is the participant that Options.SUT names; else the one that forwards most of the requests that it gets,
// as a proxy (its Via above the sender's, RFC 3261 16.6) or as a back-to-back user agent; else the registrar; else the one
// that the first request went to. Host.Why says which rule it was. The error wraps ErrNothing, ErrSUT or ErrTooLarge.
func New(calls []correlate.Call, text func(call, message int) []byte, o Options) (*Plan, error) {
	k := &maker{calls: calls, o: o, plan: &Plan{Source: o.Source}, live: -1}
	if err := k.collect(text); err != nil {
		return nil, err
	}
	k.merge()
	if err := k.gather(); err != nil {
		return nil, err
	}
	if err := k.cast(); err != nil {
		return nil, err
	}
	if o.Cut && !o.Self {
		k.cutProxies()
	}
	k.made()
	k.steps()
	if !slices.ContainsFunc(k.plan.Steps, func(s Step) bool { return s.Kind == Send }) && !k.expects() {
		return nil, fmt.Errorf("%w: no message goes to or from %s", ErrNothing, k.name(k.live))
	}
	k.media()
	k.causes()
	k.needs()
	k.notes()
	k.title()
	return k.plan, nil
}

// expects reports whether the plan has anything to wait for: one without a Send may still answer nothing.
func (k *maker) expects() bool {
	return slices.ContainsFunc(k.plan.Steps, func(s Step) bool { return s.Kind == Expect })
}

func (k *maker) name(host int) string {
	if host < 0 {
		return "anybody"
	}
	return k.hosts[host].Name
}

// collect reads the texts of the messages that are no repetition, in the order of the capture.
func (k *maker) collect(text func(call, message int) []byte) error {
	if len(k.calls) > MaxCalls {
		return fmt.Errorf("%w: %d calls, at most %d", ErrTooLarge, len(k.calls), MaxCalls)
	}
	var order []event
	for ci := range k.calls {
		again := make([]int, len(k.calls[ci].Messages))
		for mi := range k.calls[ci].Messages {
			m := &k.calls[ci].Messages[mi]
			k.plan.Counts.Messages++
			switch {
			case m.Repeats < 0:
			case m.Flags&decode.TapDuplicate != 0:
				k.plan.Counts.Duplicates++
			default:
				k.plan.Counts.Retransmissions++
				if m.Repeats < len(again) {
					again[m.Repeats]++
				}
			}
		}
		for mi := range k.calls[ci].Messages {
			if k.calls[ci].Messages[mi].Repeats < 0 {
				order = append(order, event{call: ci, message: mi, forwards: -1, repeats: again[mi]})
			}
		}
	}
	if len(order) > MaxSteps {
		return fmt.Errorf("%w: %d messages, at most %d", ErrTooLarge, len(order), MaxSteps)
	}
	slices.SortStableFunc(order, func(a, b event) int {
		x, y := k.recorded(&a), k.recorded(&b)
		return cmp.Or(cmp.Compare(x.Seq, y.Seq), cmp.Compare(x.Nth, y.Nth))
	})
	return k.read(order, text)
}

func (k *maker) recorded(e *event) *correlate.Message { return &k.calls[e.call].Messages[e.message] }

// read keeps the events that have a whole text.
func (k *maker) read(order []event, text func(call, message int) []byte) error {
	k.events = make([]event, 0, len(order))
	total := 0
	var now int64
	for i := range order {
		e := order[i]
		m := k.recorded(&e)
		if k.plan.Began == 0 {
			k.plan.Began = m.Time
		}
		now = max(now, m.Time-k.plan.Began) // a capture's clock may have been set back
		e.at = now
		e.raw = text(e.call, e.message)
		if total += len(e.raw); total > MaxBytes {
			return fmt.Errorf("%w: more than %d bytes of messages", ErrTooLarge, MaxBytes)
		}
		if why := e.parse(m); why != "" {
			k.unplayable(&e, why)
			continue
		}
		k.events = append(k.events, e)
	}
	return nil
}

// parse reads the text; it says why it cannot be played.
func (e *event) parse(m *correlate.Message) string {
	e.proto = protoOf(m.Transport)
	switch {
	case len(e.raw) == 0:
		return "its text is gone"
	case m.Flags&decode.Truncated != 0:
		return "the capture has only a part of it"
	case e.proto == 0:
		return "transport " + m.Transport.String() + " is not supported"
	}
	if err := sip.Parse(e.raw, &e.msg); err != nil {
		return "it cannot be read"
	}
	s := &e.msg
	e.branch, e.sentBy = string(s.Via.Branch.Of(e.raw)), string(bytes.ToLower(s.Via.SentBy.Of(e.raw)))
	e.fromTag, e.toTag = string(s.From.Tag.Of(e.raw)), string(s.To.Tag.Of(e.raw))
	if s.Vias > 1 {
		if v, ok := s.NthVia(1); ok {
			e.below = string(v.Branch.Of(e.raw))
		}
	}
	return ""
}

func protoOf(t decode.Transport) transport.Proto {
	switch t {
	case decode.UDP:
		return transport.UDP
	case decode.TCP:
		return transport.TCP
	case decode.TLS:
		return transport.TLS
	case decode.WS:
		return transport.WS
	case decode.WSS:
		return transport.WSS
	default:
		return 0
	}
}

// unplayable notes a message that no step can be made of.
func (k *maker) unplayable(e *event, why string) {
	k.plan.Counts.Unplayable++
	m := k.recorded(e)
	if len(k.lost) < maxEach {
		k.lost = append(k.lost, fmt.Sprintf("frame %d, %s from %s to %s, is not played: %s", m.Seq, kindOf(m), m.Src, m.Dst, why))
	}
}

// kindOf says what a message is: "INVITE", "200 INVITE".
func kindOf(m *correlate.Message) string {
	if m.Status == 0 {
		return m.Method
	}
	return fmt.Sprintf("%d %s", m.Status, m.Method)
}

// what says what an event's message is, as kindOf.
func (e *event) what() string {
	if e.msg.Request {
		return e.method()
	}
	return fmt.Sprintf("%d %s", e.msg.Status, e.method())
}

// method is that of the request, or of CSeq in a response.
func (e *event) method() string { return string(e.msg.Method.Of(e.raw)) }

// provisional reports whether the message is a response below 200.
func (e *event) provisional() bool { return !e.msg.Request && e.msg.Status < 200 }

// reliable reports whether a provisional response asks for a PRACK (RFC 3262 3).
func (e *event) reliable() bool {
	_, ok := e.msg.Value(sip.HeaderRSeq)
	return ok && e.msg.HasOption(sip.HeaderRequire, "100rel")
}

// txnKey tells the transactions of a plan apart on one hop; an ACK and a CANCEL have their INVITE's number and, where
// RFC 3261 9.1 and 17.1.1.3 say so, its branch.
type txnKey struct {
	call   int
	branch string
	cseq   uint32
	method string
}

func (e *event) txn() txnKey {
	return txnKey{e.call, e.branch, e.msg.CSeq, e.method()}
}

func (e *event) txnOf(method string) txnKey {
	return txnKey{e.call, e.branch, e.msg.CSeq, method}
}
