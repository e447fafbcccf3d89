// Package plan turns recorded calls into a script that can be played against a live server: who stands for whom, and
// every message in order with what must have happened before it.
//
//	correlate.Calls, texts ─▶ New ─▶ Plan ─▶ WriteText (a person looks), WriteYAML (a person edits) ─▶ Read ─▶ Player
//	                           messages ─▶ hosts ─▶ parts (live, played, left) ─▶ steps ─▶ causes and think times
//
// A Plan holds recorded messages byte for byte; nothing is rewritten here, and nothing is sent. Which values of a
// message a player must replace is told by Rewritten, for people. The package keeps no state, reads no clock, and what
// it makes of the same calls is always the same.
//
// Captured texts are hostile: WriteText cleans what it writes, WriteYAML writes what reads back to the same bytes and
// shows nothing to a terminal that it would obey. How a plan looks as YAML is in docs/replay-plan.md.
package plan

import (
	"errors"
	"net/netip"

	"sipscope/correlate/cut"
	"sipscope/element/transport"
)

// Errors that a caller decides on.
var (
	// ErrNothing says that the calls hold no request that could be played.
	ErrNothing = errors.New("nothing to play")
	// ErrSUT says that Options.SUT names none of the recorded participants.
	ErrSUT = errors.New("no such participant")
	// ErrTooLarge says that a plan exceeds MaxSteps, MaxBytes or MaxFile.
	ErrTooLarge = errors.New("too large for a plan")
	// ErrPlan says that a plan contradicts itself, or that a file is none.
	ErrPlan = errors.New("not a plan")
)

// Limits of a plan. A call has some ten messages; a plan is for what a person can look through, and the limits keep
// hostile captures and files from taking the memory.
const (
	MaxSteps = 10_000
	MaxBytes = 8 << 20  // of all messages together
	MaxFile  = 16 << 20 // of a YAML file; base64 makes 4 bytes of 3
	MaxHosts = 256
	MaxCalls = 1000
)

// Plan is a flow to be played: who plays whom, and every message in order. It can be printed (WriteText), saved as YAML
// (WriteYAML), edited, and read again (Read).
type Plan struct {
	Title  string // "INVITE sip:bob@b.example, 12 messages, 3 participants"
	Source string // name of the capture, "" unknown
	Began  int64  // time of the first recorded message, nanoseconds since 1970-01-01 UTC; 0 unknown
	Hosts  []Host // in the order in which the flow reaches them
	Calls  []Call
	Steps  []Step   // Steps[i].ID is i+1
	Needs  []Need   // credentials that the recording used
	Notes  []string // what is left out or cannot be replayed, and why
	Media  []Stream
	// MediaFile is the name of the file that holds the packets of Media, beside the YAML file; "" for none. It has no
	// slashes.
	MediaFile string
	Counts    Counts
}

// Part says what becomes of a recorded participant.
type Part uint8

// Parts; the zero value is none.
const (
	Live   Part = iota + 1 // the real server stands for it
	Played                 // we play it
	Left                   // it is not played: it never talked to the live one, or was not asked for
)

// String is the part in lower case, as a plan's YAML has it.
func (p Part) String() string { return [...]string{"", "live", "played", "left"}[min(int(p), 3)%4] }

// Host is a recorded participant: all addresses that one element used.
type Host struct {
	Name  string           // unique in the plan: letters, digits, "." "_" "-"
	At    []netip.AddrPort // recorded, in order of appearance; none for a host that was added by hand
	Names []string         // "host:port" or "host" by which its own Via and Contact name it, where those are not in At
	Proto transport.Proto  // of its first message
	Part  Part
	Why   string   // of Live: the rule that chose it; of Left: why
	Proxy bool     // it forwarded requests
	Users []string // user parts of the URIs that it spoke for, in order of appearance
}

// Call is one recorded Call-ID.
type Call struct {
	CallID   string
	Group    string // equal for calls that belong together: legs of a back-to-back user agent, transfers; "" for none
	Relation string // how it was joined with an earlier one: one of correlate.Relations
	First    int64  // ns of its first message after the plan's first message
	Num      uint32 // what --call named; 0 for a call that is made
}

// Kind is what a step does.
type Kind uint8

// Kinds; the zero value is none.
const (
	Send   Kind = iota + 1 // a message that we send
	Expect                 // a message that the live server is expected to send
	Media                  // recorded RTP that we send
	Wait                   // time that passes
)

// String is the kind in lower case, as a plan's YAML has it.
func (k Kind) String() string {
	return [...]string{"", "send", "expect", "media", "wait"}[min(int(k), 5)%5]
}

// Step is one thing that happens.
type Step struct {
	ID   int // 1-based, in order of recorded time
	Kind Kind
	// From and To are names of hosts. Send: From is Played, To is Live or Played. Expect: From is Live, To is Played. A
	// message between two Played hosts is one Send: the receiving side checks it as well. Wait: From waits, To is empty.
	From, To string
	At       int64 // ns after the first message, as recorded; never less than that of the step before
	// After lists the steps that must have happened before, in ascending order, all smaller than ID. What is Optional
	// counts as having happened when its transaction has gone past it.
	After []int
	Gap   int64 // ns recorded since the latest of After, or since the beginning when there is none: think time
	Call  int   // index into Calls; -1 for a Wait that belongs to none
	// Message is the recorded text, byte for byte; nil for Media and Wait.
	Message  []byte
	Frame    uint64          // number of the recorded frame, 0 unknown
	Proto    transport.Proto // that carried it
	Repeats  int             // how often it was sent again in the recording
	Optional bool            // Expect: it may be missing (100, other 1xx that are not reliable)
	Made     bool            // synthesised, not in the recording
	Stream   int             // Media: index into Plan.Media
	Duration int64           // Wait, Media: ns
	Why      string          // for people
}

// Need is a credential that the recording used, and that a replay needs as well.
type Need struct {
	Realm, User string
	Host        string // who used it; of Verify: who asked for it
	Step        int    // the first step that used it
	Verify      bool   // the live server used it towards one that we play: to verify its answer, not to answer
}

// Stream is recorded RTP in one direction: what one SSRC sent from one address to another.
type Stream struct {
	From, To string         // hosts that named the addresses in their SDP, or who stand for those; "" unknown
	Src, Dst netip.AddrPort // recorded
	SSRC     uint32
	Type     string // of the m= line, "audio"
	Medium   int    // 0-based m= line
	Payloads []cut.Payload
	Secure   bool  // SRTP: encrypted for keys that only the recorded call had
	Step     int   // the step whose SDP named Dst; 0 when it is none
	First    int64 // ns of the first packet after the plan's first message; less than 0 for one before it
	// Packets in the order of the capture; Offset counts from Plan.Began. A YAML plan keeps them in Plan.MediaFile.
	Packets []cut.Packet
}

// Counts say what became of every recorded message: Messages is the sum of those below it.
type Counts struct {
	Messages        int
	Steps           int // are a step, those that are made not counted
	Retransmissions int // are told by Step.Repeats, or repeat what is no step
	Duplicates      int // were seen twice by the tap
	Left            int // were not sent by or to the live one, nor between two that are played
	Cut             int // went between a proxy that is cut out of the path and those behind it
	Unplayable      int // have no whole text, or a transport that is not supported; Notes say which
}

// Options say what to make of the calls.
type Options struct {
	Source string       // name of the capture
	SUT    string       // --sut-is: address, address:port or name of the participant that the live server stands for; "": the rule chooses
	As     []string     // --as: only these (named alike) are played; empty: all who talked to the live one
	Self   bool         // every participant is played, and none is live
	Cut    bool         // proxies other than the live one are cut out of the path, instead of played
	Media  []cut.Stream // the RTP of the calls, see cut.Cut; nil: none is played
	// Aliases name participants: by "address" or "address:port".
	Aliases map[string]string
	// NoRegister keeps New from adding REGISTERs that the recording does not have.
	NoRegister bool
}

// Host finds a host by its name.
func (p *Plan) Host(name string) (*Host, bool) {
	for i := range p.Hosts {
		if p.Hosts[i].Name == name {
			return &p.Hosts[i], true
		}
	}
	return nil, false
}

// Carrier is the transport of a step to or from the live host, when its server is reached by target: that, but where the
// recording used both UDP and TCP towards it, a step over the other one than most stays with it, as Contacts and routes that
// name it demand.
func (p *Plan) Carrier(s *Step, target transport.Proto) transport.Proto {
	plain := func(proto transport.Proto) bool { return proto == transport.UDP || proto == transport.TCP }
	if live, ok := p.LiveHost(); ok && s.Proto != live.Proto && plain(s.Proto) && plain(live.Proto) && plain(target) {
		return s.Proto
	}
	return target
}

// LiveHost is the host that the live server stands for; false when all are played.
func (p *Plan) LiveHost() (*Host, bool) {
	for i := range p.Hosts {
		if p.Hosts[i].Part == Live {
			return &p.Hosts[i], true
		}
	}
	return nil, false
}
