package correlate

import (
	"sipscope/correlate/media"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// Party is a From or To as the first request had it.
type Party struct {
	Display string // without quotes
	User    string
	Host    string
	URI     string // whole, without parameters of the header
}

// Evidence names the frames that a Summary's figures come from (law 5). 0 when there is none.
type Evidence struct {
	Request uint64 // the first request (or message)
	Ring    uint64 // first 18x at the caller: PDD
	Answer  uint64 // first 2xx at the caller: setup
	Final   uint64 // the final response that decided the state
	Ack     uint64 // first ACK to the 2xx
	Cancel  uint64
	End     uint64 // first BYE
}

// Summary is a flat copy of a call's headline, for lists. A call is all that shares a Call-ID.
// Durations are in nanoseconds, -1 when not known.
type Summary struct {
	Num      uint32 // 1-based in order of first message: what --call N names
	Rev      uint64 // grows with each change of any call
	CallID   string // empty when the messages had none
	Method   string // of the first request; of CSeq when only responses were seen
	State    State
	First    int64 // time of the first message, nanoseconds since 1970-01-01 UTC
	Last     int64
	From, To Party
	RURI     string         // Request-URI of the first request
	Src, Dst frame.Endpoint // of the first request; of the first response reversed when there is no request

	Code   uint16 // the final status that decided the state, 0 for none
	Reason string // its reason phrase
	Cause  int32  // Q.850 cause of a Reason header, -1 when none was seen

	Messages        uint32
	Retransmissions uint32
	Duplicates      uint32 // seen twice by the tap
	Transactions    uint32 // with a request seen, ACK not counted, one a hop
	Dialogs         uint32 // confirmed by a 2xx of an INVITE
	EarlyDialogs    uint32 // tag pairs with a 101-199
	Hops            uint32 // distinct pairs of hosts
	Gaps            uint32 // holes in its streams and datagrams
	Diags           uint32 // departures from the grammar in its messages

	PDD        int64 // first INVITE to first 18x at the caller
	Setup      int64 // first INVITE to first 2xx at the caller
	Duration   int64 // that 2xx to the first BYE
	ReleasedBy frame.Endpoint
	EndedBy    Side
	Evidence   Evidence

	UserAgent  string   // of the first request that had one
	Server     string   // User-Agent or Server of the first response that had one
	Transports uint8    // bit 1<<decode.Transport
	Tunnels    []string // distinct paths of its messages, such as "vlan:100/gre", by first sight; at most eight, read-only
	Columns    []string // first value of each of Config.Headers in the call, "" when absent
	Words      uint64   // bit i: Config.Words[i] occurred in a message of the call

	Group    uint32 // lowest Num among the calls joined with this one, 0 for none
	Relation string // how it was joined: one of Relations

	Media media.Brief // its RTP streams in short
}

// Side is the end of a call that did something.
type Side uint8

const (
	// SideUnknown says that neither is known.
	SideUnknown Side = iota
	// Caller sent the first INVITE.
	Caller
	// Callee is the other end.
	Callee
	// Network is an element between them.
	Network
)

// String is the side in lower case.
func (s Side) String() string { return [...]string{"", "caller", "callee", "network"}[min(int(s), 3)] }

// Call is a copy of all that is kept of a call.
type Call struct {
	Summary
	Messages     []Message
	Transactions []Transaction
	Dialogs      []Dialog
	Gaps         []decode.Gap  // holes on the call's hops during its time
	Registration *Registration // of a REGISTER, else nil
}

// Message is one message of a call. Indices are into the Call's slices, -1 for none.
type Message struct {
	Seq       uint64 // the frame that completes it
	Nth       uint16 // 0-based among the messages of that frame
	Time      int64
	Src, Dst  frame.Endpoint
	Transport decode.Transport
	Flags     decode.Flags
	Method    string // of the request, or CSeq's method in a response
	Status    uint16 // 0 for a request
	CSeq      uint32
	Txn       int
	Dialog    int
	Copy      int   // 1 on the hop where this message was first seen, 2 after the first proxy, and so on
	Repeats   int   // index of the message that this one retransmits, -1 for none
	Interval  int64 // nanoseconds since the message was last sent, when Repeats >= 0
	SDP       bool
	Pieces    []decode.Piece // where its text can be read again
	Path      frame.Path     // tags, labels and tunnels that the frame was in, as far as they are shown
}

// TxnState is where a passive transaction machine stands (RFC 3261 17, seen from outside).
type TxnState uint8

// Transaction states.
const (
	TxnTrying     TxnState = iota + 1 // request seen; Calling for an INVITE
	TxnProceeding                     // provisional seen
	TxnCompleted                      // final seen; for a non-2xx of an INVITE the ACK is owed
	TxnConfirmed                      // ACK of a non-2xx seen
	TxnTerminated                     // 2xx of an INVITE seen
	TxnTimedOut                       // no final response within its timer
)

// String is the state in lower case.
func (s TxnState) String() string {
	return [...]string{"", "trying", "proceeding", "completed", "confirmed", "terminated", "timed_out"}[min(int(s), 6)]
}

// Transaction is a request and its responses on one hop (RFC 3261 17).
type Transaction struct {
	Method   string
	State    TxnState
	Status   uint16 // newest: final when there is one, else provisional, else 0
	CSeq     uint32
	Src, Dst frame.Endpoint // of the request
	Request  int            // index into Messages; -1 when only responses were seen
	Final    int            // the first final response
	Ack      int            // ACK of a non-2xx, in the transaction; ACK of a 2xx, linked
	Cancel   int            // for an INVITE: index of the CANCEL transaction; for a CANCEL: of its INVITE
	Leg      int            // 1-based position of its hop on the path of its request
	Repeats  int            // retransmissions of requests and responses
	Initial  bool           // the request made or tried to make a dialog: no To tag
	Caller   bool           // on the caller's own hop: it counts for the call's state
}

// DialogState is early, confirmed or ended.
type DialogState uint8

// Dialog states (RFC 3261 12).
const (
	DialogEarly DialogState = iota + 1
	DialogConfirmed
	DialogEnded
)

// String is the state in lower case.
func (s DialogState) String() string {
	return [...]string{"", "early", "confirmed", "ended"}[min(int(s), 3)]
}

// Dialog is a Call-ID with a pair of tags.
type Dialog struct {
	CallerTag string // From tag of the request that made it
	CalleeTag string
	Method    string // INVITE, SUBSCRIBE, REFER, NOTIFY
	State     DialogState
	WasEarly  bool // a 101-199 of an INVITE was seen
	Answered  bool // a 2xx of an INVITE was seen
}

// Registration is what the REGISTERs of a Call-ID did (RFC 3261 10).
type Registration struct {
	AOR        string // address of record: URI of To
	Contact    string // first contact asked for
	Contacts   int    // contacts in the newest 2xx
	Expires    int64  // seconds granted by the newest 2xx, -1 unknown
	Refreshes  int    // 2xx after the first, removals not counted
	Challenges int    // 401 and 407
	Removed    bool   // the newest 2xx left no binding of this client
}
