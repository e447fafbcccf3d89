// Package stats counts: figures over all messages and calls of a run, for sipscope stats.
//
// A Collector sees every message on the pipeline's serial path, so Message costs some tens of nanoseconds and does not
// allocate once it has seen each kind of thing; and every call at the end, with Call. Result adds what is counted
// elsewhere (Totals). It draws nothing. A Collector belongs to one goroutine at a time and keeps nothing that it is
// given. Every map in it is bounded, for its keys come from the wire; what a bound leaves out is counted in Overflow.
package stats

import (
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/sip"
)

// Bounds of what the wire can make us keep.
const (
	maxMethods  = 1024 // unknown method names, the first ones seen
	maxStatuses = 1024 // statuses over 999, the first ones seen
	maxName     = 128  // bytes of a method's or a product's name
	maxHosts    = 8192
	maxProducts = 4096 // User-Agent and Server values, each
	maxActive   = 1 << 20
)

const (
	methods    = int(sip.MethodUpdate) + 1
	statuses   = 1000 // a status of three digits
	transports = int(decode.WSS) + 1
	states     = int(correlate.StateTerminated) + 1
)

// Collector gathers figures. The zero value is ready.
type Collector struct {
	messages, again, duplicates uint64
	requests                    [methods]uint64
	unknown                     firstSeen[string] // requests with a method that the table does not have
	responses                   [statuses]uint64
	strange                     firstSeen[uint16] // responses with a status over 999
	transports                  [transports]uint64
	hosts                       hostCounts
	rate                        perSecond // messages

	invite, other  [states]uint64
	outcome        outcomes
	pdd, setup     distribution
	duration       distribution
	attempts       perSecond // INVITE calls
	active         activity
	agents, server ranking[string]
}

// Message counts a message. The verdicts are the tracker's: the same message sent again by its transaction, or a frame
// that the tap saw twice.
func (c *Collector) Message(m *decode.Message, retransmission, duplicate bool) {
	c.messages++
	if retransmission {
		c.again++
	}
	if duplicate {
		c.duplicates++
	}
	c.transports[min(int(m.Transport), transports-1)]++
	c.hosts.add(m.Src)
	c.hosts.add(m.Dst)
	c.rate.add(m.Time)
	switch s := &m.SIP; {
	case !s.Request && int(s.Status) < statuses:
		c.responses[s.Status]++
	case !s.Request:
		c.strange.add(s.Status, maxStatuses)
	case s.MethodID != sip.MethodUnknown && int(s.MethodID) < methods:
		c.requests[s.MethodID]++
	default:
		c.method(s.Method.Of(s.Raw))
	}
}

// method counts a request whose method is unknown.
func (c *Collector) method(name []byte) {
	name = name[:min(len(name), maxName)]
	if place, ok := c.unknown.places[string(name)]; ok { // does not allocate
		c.unknown.counts[place]++
		return
	}
	c.unknown.add(string(name), maxMethods)
}

// Call counts a call as it stands at the end of the run. Calls come in the order of their numbers, each once.
func (c *Collector) Call(s *correlate.Summary) {
	state := min(int(s.State), states-1)
	if s.UserAgent != "" {
		c.agents.add(product(s.UserAgent), maxProducts)
	}
	if s.Server != "" {
		c.server.add(product(s.Server), maxProducts)
	}
	if s.Method != sip.MethodInvite.String() {
		c.other[state]++
		return
	}
	c.invite[state]++
	c.outcome.add(s)
	c.pdd.add(s.PDD)
	c.setup.add(s.Setup)
	c.duration.add(s.Duration)
	c.attempts.add(s.First)
	c.active.add(s)
}

// product bounds a product's name. The name is copied: a Summary's texts share one string with the rest of its call.
func product(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxName)], "") }

// outcomes counts INVITE calls by what became of them, for the ratios of Attempts.
type outcomes struct {
	answered, pending, recoverable uint64
	user                           uint64 // 480, 486, 600 and 603
	given                          uint64 // cancelled
}

func (o *outcomes) add(s *correlate.Summary) {
	switch s.State {
	case correlate.StateAnswered, correlate.StateCompleted:
		o.answered++
	case correlate.StateUnknown, correlate.StateCalling, correlate.StateRinging:
		o.pending++
	case correlate.StateRedirected, correlate.StateChallenged:
		o.recoverable++
	case correlate.StateBusy, correlate.StateDeclined:
		o.user++
	case correlate.StateCancelled:
		o.given++
	default:
		switch s.Code {
		case 402:
			o.recoverable++
		case 480:
			o.user++
		}
	}
}

// Clone is a copy that shares nothing: figures of a run that goes on.
func (c *Collector) Clone() *Collector {
	out := *c
	out.unknown = c.unknown.clone()
	out.strange = c.strange.clone()
	out.hosts.all = c.hosts.all.clone()
	out.agents, out.server = c.agents.clone(), c.server.clone()
	out.active.ends = slices.Clone(c.active.ends)
	out.pdd, out.setup, out.duration = c.pdd.clone(), c.setup.clone(), c.duration.clone()
	return &out
}
