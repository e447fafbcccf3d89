package txn

import (
	"errors"
	"math/rand/v2"

	"sipscope/element/transport"
)

// ID names a transaction of a Layer. It is not given again before four billion others were; 0 is none.
type ID uint64

// Errors of a Layer.
var (
	// ErrTimeout says that no final response came in time: timer B or F, or 64*T1 after a CANCEL (RFC 3261 9.1, 17.1).
	ErrTimeout = errors.New("no final response in time")
	// ErrNoAck says that no ACK came for the final response to an INVITE: timer H (RFC 3261 17.2.1).
	ErrNoAck = errors.New("no ACK in time")
	// ErrGone says that the transaction does not exist any more, or never did.
	ErrGone = errors.New("no such transaction")
	// ErrLimit says that there are as many client transactions as Config.Clients allows, or that Config.Memory is used up.
	ErrLimit = errors.New("too many transactions")
	// ErrAnswered says that a server transaction has its final response.
	ErrAnswered = errors.New("transaction has its final response")
	// ErrKind says that the transaction is not of the kind that the call is for.
	ErrKind = errors.New("wrong kind of transaction")
	// ErrMessage says that a message is not one that can be sent here.
	ErrMessage = errors.New("not a message for a transaction")
	// ErrUnsent says that the link could not send, when it does not say why.
	ErrUnsent = errors.New("could not be sent")
	// ErrBranch says that a client transaction with this branch and method exists.
	ErrBranch = errors.New("branch in use")
)

// Config is how a Layer behaves. The zero value is usable.
type Config struct {
	// T1, T2 and T4 are the times of RFC 3261 table 4 in nanoseconds; 0: 500 ms, 4 s, 5 s; one hour at most. All timers
	// follow from them: A, E and G begin with T1, E and G grow to T2; B, F, H, J, L and M are 64*T1; D is 32 s, or 64*T1
	// when that is less; I and K are T4. D, I, J and K are 0 over a reliable transport.
	T1, T2, T4 int64
	// Limit is how many server transactions there may be: beyond, a request gets 503 with Retry-After and no state.
	// 0: 1,000,000.
	Limit int
	// Clients is how many client transactions there may be: beyond, Send gives ErrLimit. 0: 4 * Limit. A CANCEL that the
	// layer sends counts, but is not refused, since it relieves: there is at most one for each INVITE, so that there are
	// never more than twice Clients.
	Clients int
	// Memory is how many bytes of messages may be kept: beyond, the same happens as at the limits. 0: 2 GiB.
	Memory int64
	// Trying answers 100 to an INVITE that the user has not answered after 200 ms (RFC 3261 17.2.1).
	Trying bool
	// Merged lets requests through that came before by another way (RFC 3261 8.2.2.2), as a proxy must; without it they
	// are answered 482 until the transaction of the first one has ended, or has a final response other than 2xx.
	Merged bool
	// StrayCancel gives a CANCEL that matches no transaction to User.Request with id 0, as a proxy needs it, which forwards
	// it statelessly (RFC 3261 16.10); without it the layer answers 481 (9.2).
	StrayCancel bool
	// Malformed gives the user messages that the layer would refuse or drop (see Refusal), as long as a transaction can
	// have them: for a user that repeats what was recorded, mistakes included. 1xx to 6xx are the codes of responses even
	// so.
	Malformed bool
	// Writer writes what the layer else writes itself; nil for nobody.
	Writer Writer
	// Server is the Server header of the responses that the layer makes; "" for none.
	Server string
	// Rand seeds the tags of the responses that the layer makes; nil gives the same tags every time.
	Rand *rand.Rand
}

// User is what a Layer serves: the transaction user (RFC 3261 5). Every call may call the Layer in turn.
type User interface {
	// Request is given a new request. id 0: an ACK that belongs to no transaction, that is one of a 2xx, or, with
	// Config.StrayCancel, a CANCEL that matches none.
	Request(id ID, r *transport.Received)
	// Response is given a response of a client transaction that is no retransmission, and each 2xx to an INVITE (RFC 6026
	// 7.2). id 0: it matches none.
	Response(id ID, data uint64, r *transport.Received)
	// Cancel tells that a CANCEL came for a server transaction that has no final response (RFC 3261 9.2); the layer has
	// answered the CANCEL.
	Cancel(invite ID, data uint64, r *transport.Received)
	// Failed tells that a client transaction ends without a final response (ErrTimeout or the link's error), that an ACK
	// did not come (ErrNoAck), or, with the link's error, that a response of a server transaction could not be sent, which
	// does not end it (RFC 6026 17.2.4).
	Failed(id ID, data uint64, err error)
	// Ended tells that the id is gone. It comes once for each id, after everything else, and never during a call of Send,
	// Respond or Cancel.
	Ended(id ID, data uint64)
}

// Kind is one of the four machines of RFC 3261 17.
type Kind uint8

// Kinds.
const (
	ClientInvite Kind = iota // RFC 3261 figure 5, RFC 6026 figure 1
	Client                   // RFC 3261 figure 6
	ServerInvite             // RFC 3261 figure 7, RFC 6026 figure 2
	Server                   // RFC 3261 figure 8
	Kinds
)

// State is the state of a transaction.
type State uint8

// States. The first one of a client INVITE transaction is called Calling in the RFC, that of a server INVITE transaction
// is Proceeding.
const (
	Trying State = iota
	Proceeding
	Completed
	Accepted
	Confirmed
	Terminated
	States
)

// Stats are the counts of a Layer since New, except Open and Bytes, which are now.
type Stats struct {
	Open    [Kinds][States]int // transactions by kind and state
	Created [Kinds]uint64
	// Resent counts messages sent again, by timer or on a retransmission; Absorbed what came again and was not passed on.
	Resent, Absorbed uint64
	// Timeouts counts ErrTimeout, NoAck ErrNoAck, LinkErrors what the link could not send.
	Timeouts, NoAck, LinkErrors uint64
	Refused                     uint64 // requests answered 503 for a limit, and Sends refused for one
	Merged                      uint64 // requests answered 482
	Malformed                   uint64 // requests answered 400, 501 or 505: see Refusal
	Dropped                     uint64 // messages that cannot be used nor answered
	Stray                       uint64 // responses, ACKs and CANCELs that match no transaction
	Late                        uint64 // server transactions answered too late or never (RFC 4320)
	Bytes                       int64  // memory for what is kept of messages
}

// OpenOf is the number of transactions of a kind.
func (s *Stats) OpenOf(k Kind) (n int) {
	if k < Kinds {
		for _, count := range s.Open[k] {
			n += count
		}
	}
	return n
}
