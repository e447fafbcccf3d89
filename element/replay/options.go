package replay

import (
	"errors"
	"math/rand/v2"
	"time"

	"sipscope/correlate/diff"
	"sipscope/element/auth"
	"sipscope/element/media"
	"sipscope/element/replay/guard"
	"sipscope/element/replay/plan"
	"sipscope/element/replay/stream"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Errors that a caller decides on.
var (
	// ErrPlan says that a plan cannot be played: it contradicts itself, or a message in it is none.
	ErrPlan = errors.New("plan cannot be played")
	// ErrOptions says that Options lack something, or contradict themselves or the plan.
	ErrOptions = errors.New("replay cannot begin")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("player is closed")
)

// OnDiverge is what a play does after its first divergence.
type OnDiverge uint8

// What to do.
const (
	Recover  OnDiverge = iota // end politely: CANCEL, ACK, BYE
	Continue                  // go on as far as the live side lets it, end politely then
	Abort                     // stop at once, and leave the live side to its timers
)

// Options of a Player.
type Options struct {
	// Target is where the live server is: Proto and Remote, Name for TLS; not needed when every host is played.
	Target transport.Hop
	// Local is where each Played host listens, as bound, by host name. The link must listen at all of them.
	Local map[string]transport.Listen
	// Also are further places of a Played host, by host name: for transports other than that of Local.
	Also map[string][]transport.Listen
	// Guard decides who may be sent to; needed. NewPlayer tells it the places of Local.
	Guard *guard.Guard
	// Credentials answer live challenges, and verify the live side's answers to ours. User and Password may have
	// {fields} of Input.Values.
	Credentials []auth.Credentials
	Rewrite     Rewrite // --set, --user, --domain, --map
	// Speed divides think times: 2 is twice as fast; 0 stands for 1.
	Speed float64
	// Fast leaves think times out: as fast as the dialogs allow.
	Fast bool
	// Keep1xx keeps, with Fast, the recorded time between a provisional response of ours and its final one.
	Keep1xx bool
	// Verbatim sends the recorded bytes, by the recorded times, without transactions: nothing is rewritten.
	Verbatim  bool
	Rules     diff.Rules // which live codes stand for which recorded ones
	OnDiverge OnDiverge
	// Patience is how long after its recorded time a request or a final response may come; 0: 64*T1.
	Patience time.Duration
	Txn      txn.Config // Merged, StrayCancel, Malformed and Writer are the Player's
	// Media opens the sockets that our SDP names; nil: SDP names our addresses, with the recorded ports, and no RTP is
	// sent.
	Media media.Ports
	// Mode is what is sent in the place of recorded RTP, Sound what stream.File sends. The zero Mode is the recording.
	Mode  stream.Mode
	Sound media.Sound
	// Rand makes Call-IDs, tags, branches; needed. Two Players with equal seeds do the same.
	Rand *rand.Rand
	// Done is told when a play has ended, never during Play or Stop; nil: nobody.
	Done func(*Outcome)
}

// Input is what one play is given.
type Input struct {
	Values map[string]string // a row of the table: what {name} in Rewrite and Credentials stands for
}

// Verdict is how a play ended.
type Verdict uint8

// Verdicts; the zero value is none.
const (
	Completed Verdict = iota + 1 // every step went as recorded, or as the rules tolerate
	Diverged                     // the live side did something else; see Step and Reason
	Aborted                      // it was stopped
	Refused                      // something could not be sent: not allowed, or not possible
)

// String is the verdict in lower case.
func (v Verdict) String() string {
	return [...]string{"", "completed", "diverged", "aborted", "refused"}[min(int(v), 5)%5]
}

// Outcome is what became of a play. Times are nanoseconds.
type Outcome struct {
	ID           uint64
	Began, Ended int64 // since 1970-01-01 UTC
	Verdict      Verdict
	Step         int               // ID of the step where it diverged first, 0 for none
	Reason       string            // "step 5: expected 200 to INVITE from sut, got 488 Not Acceptable Here"
	CallID       string            // of the plan's first call, live; "" when it never came about
	CallIDs      map[string]string // recorded → live
	Steps        []StepOutcome     // one for each of the plan's
	Notes        []string          // what was done otherwise than recorded, and why; at most 64
	// First is the time from the first request that we sent, or got, to the first response to it, Ring to the first 180 or
	// 183, Answer to the first 2xx to an INVITE, or else to its final response; -1 when there was none.
	First, Ring, Answer int64
	Retransmissions     int             // messages that this side sent again
	Media               []StreamOutcome // of Media steps
}

// StepOutcome is what became of a step.
type StepOutcome struct {
	Step            int   // ID
	At              int64 // ns after Outcome.Began: sent, or received when a live host sends it; -1 never
	Arrived         int64 // of a message between two played hosts: when its receiver got it; else At
	Status          int   // of a response: the live one's; 0 for a request
	Retransmissions int   // how often it was sent again
	Skipped         bool  // it had no place in the live flow; a note says why
}

// StreamOutcome is what became of a recorded stream.
type StreamOutcome struct {
	Step     int // ID of its Media step
	Sent     uint64
	Received uint64 // on the socket that it was sent from
	Lost     int64  // by sequence numbers of what was received
	Refused  uint64 // datagrams that the guard kept
}

// check finds what is missing.
func (o *Options) check(p *plan.Plan) error {
	switch {
	case o.Guard == nil:
		return wrap(ErrOptions, "no Guard: nothing may be sent")
	case o.Rand == nil:
		return wrap(ErrOptions, "no Rand")
	case !(o.Speed >= 0 && o.Speed <= maxSpeed):
		return wrap(ErrOptions, "speed %v is none of 0 to %d", o.Speed, maxSpeed)
	case o.Patience < 0:
		return wrap(ErrOptions, "a patience of %v", o.Patience)
	}
	for i := range p.Hosts {
		if err := o.checkHost(&p.Hosts[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkHost finds a host that has no address to be at.
func (o *Options) checkHost(h *plan.Host) error {
	for _, l := range o.Also[h.Name] {
		if !isPlace(l) {
			return wrap(ErrOptions, "%q cannot listen at %s", h.Name, l)
		}
	}
	l, ok := o.Local[h.Name]
	switch t := o.Target; {
	case h.Part == plan.Live && (t.Proto.String() == "" || !t.Remote.Addr().IsValid() || t.Remote.Port() == 0):
		return wrap(ErrOptions, "no address of the live server, which stands for %q", h.Name)
	case h.Part != plan.Played:
		return nil
	case !ok:
		return wrap(ErrOptions, "no place for %q to listen at", h.Name)
	case !isPlace(l):
		return wrap(ErrOptions, "%q cannot listen at %s", h.Name, l)
	}
	return nil
}

// isPlace reports whether others can be told to send to where one listens: an unspecified address, or port 0, is no such place.
func isPlace(l transport.Listen) bool {
	return l.Proto.String() != "" && l.Addr().IsValid() && !l.Addr().IsUnspecified() && l.Port() != 0
}

// maxSpeed bounds Options.Speed.
const maxSpeed = 1_000_000
