package sipp

import (
	"errors"
	"fmt"

	"sipscope/correlate"
	"sipscope/correlate/cut"
)

// MaxXML is how many bytes of XML SIPp reads (XP_MAX_FILE_LEN of 3.6 and 3.7, with the zero at the end).
const MaxXML = 65535

var (
	// ErrNoRequest says that the call has no request that a scenario could begin with.
	ErrNoRequest = errors.New("the recording has no request that a SIPp scenario could begin with")
	// ErrHop says that the call does not have the hop that was asked for.
	ErrHop = errors.New("no such hop")
	// ErrText says that the text of a message is not there any more.
	ErrText = errors.New("the text cannot be read again")
	// ErrTooLong says that a scenario is longer than MaxXML.
	ErrTooLong = fmt.Errorf("SIPp reads at most %d bytes of XML", MaxXML)
	// ErrName says that a name cannot stand in a scenario.
	ErrName = errors.New("a name for SIPp has letters, digits, '.', '_', '+' and '-' only")
)

// Options say how a call is written. The zero value, with a Name, is the usual one.
type Options struct {
	// Name begins the names of the files: NAME-uac.xml, NAME-uas.xml and, with media, NAME-uac.pcap, NAME-uas.pcap. It
	// has no folder: SIPp runs in the folder of the files.
	Name string
	// Source says what was read, such as "trace.pcap", for the comment. It may be empty.
	Source string
	// Hop chooses whose messages are played: those of the n-th pair of participants, 1-based, in the order in which the
	// call reaches them. 0 takes all that the caller sent and received for the UAC, and all that the callee did for the
	// UAS, whatever stood between them.
	Hop int
	// Fast leaves out the pauses. Else those of 10 ms and more are as recorded.
	Fast bool
	// Media is the RTP that the SDP of this call names, as cut.Cut gives it for the call alone; nil for none.
	Media []cut.Stream
}

// Pair is a call as two scenarios.
type Pair struct {
	UAC, UAS Scenario
	Hops     []Hop // of the call, for Options.Hop
	// Apart says why the two cannot be run against each other; empty when they can. What stood between the recorded
	// caller and callee may have done what neither of them did.
	Apart string
}

// Hop is a pair of participants that sent each other messages.
type Hop struct {
	From, To string // address of who sent the first request, and of who got it
	Messages int
}

// Scenario is one side.
type Scenario struct {
	XML      []byte
	Files    []File   // the media that this side sends
	Who      string   // address of the participant that it plays
	Peer     string   // of the one that it talked with first
	Proto    string   // "UDP", "TCP", "TLS"
	Notes    []string // what SIPp does otherwise than the recording, and why; one sentence each, safe to print
	Messages int      // sent and received
	Auth     bool     // a challenge is answered: SIPp needs a password
}

// Build writes a call. text gives the raw text of a message by its index, nil when it cannot be read again.
//
// Errors are those of this package; all name what they are about.
func Build(call *correlate.Call, text func(message int) []byte, o Options) (*Pair, error) {
	if _, ok := attribute(o.Name); !ok || !plain(o.Name) {
		return nil, fmt.Errorf("%w: %q", ErrName, o.Name)
	}
	p := newParties(call)
	uac, uas, err := p.views(o.Hop)
	if err != nil {
		return nil, err
	}
	pair := &Pair{Hops: p.hops()}
	for _, v := range []*view{uac, uas} {
		if err = v.load(text); err != nil {
			return nil, err
		}
	}
	uac.pair(uas)
	a, b := newBuilder(call, uac, o), newBuilder(call, uas, o)
	a.build()
	b.build()
	pair.Apart = together(a.items, b.items)
	if pair.UAC, err = a.scenario(pair); err != nil {
		return nil, err
	}
	if pair.UAS, err = b.scenario(pair); err != nil {
		return nil, err
	}
	return pair, nil
}

// plain reports whether a name means nothing to a shell, to SIPp and to a file system.
func plain(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case (c == '-' || c == '.' || c == '+') && i > 0:
		default:
			return false
		}
	}
	return s != ""
}

// File is a file that a scenario refers to.
type File struct {
	Name string
	Data []byte
}
