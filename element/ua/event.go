package ua

import (
	"sipscope/decode/sip"
)

// EventKind says what happened.
type EventKind uint8

// Kinds of events. The zero value is none.
const (
	_ EventKind = iota

	EventIncoming   // a call came in: an INVITE was accepted for processing
	EventRinging    // a 180 came
	EventProgress   // another provisional response beyond 100 came
	EventEarlyMedia // a session description came before the answer
	EventForked     // a further early dialog began
	EventAnswered   // a 2xx came, or was sent
	EventConfirmed  // the ACK of a 2xx came
	EventModified   // a re-INVITE or UPDATE changed the session; Held of the Call tells
	EventRefused    // a request within the call, or a re-INVITE, failed; Method and Status tell which and why
	EventAccepted   // a request within the call was answered with 2xx
	EventRedirected // a 3xx is followed
	EventRefer      // a REFER came
	EventReferred   // the other side tells how a REFER goes on; Status tells
	EventInfo       // an INFO came; Type and Body
	EventMessage    // a MESSAGE came; Type and Body
	EventDTMF       // a digit came by INFO or RTP; Body is the digit
	EventEnded      // the call is over; Cause, Status and Remote tell why and by whom

	EventResponse     // final response to an own request outside of a call; Status, or 0 with Err
	EventRegistered   // a REGISTER was accepted; Expires
	EventUnregistered // the bindings are removed, or could not be made (Status or Err)
	EventSubscribed   // own SUBSCRIBE was accepted
	EventNotify       // a NOTIFY came; Type, Body and State
	EventUnsubscribed // own subscription is over; Text is the reason
	EventPublished    // a PUBLISH was accepted
	EventUnpublished  // own publication is over
	EventWatcher      // a SUBSCRIBE was accepted here
	EventWatcherEnded // a subscription to this agent is over
	EventIdle         // after Close: nothing is left
)

// String is a word for output.
func (k EventKind) String() string {
	names := [...]string{
		"", "incoming", "ringing", "progress", "early-media", "forked", "answered", "confirmed", "modified", "refused", "accepted",
		"redirected", "refer", "referred", "info", "message", "dtmf", "ended", "response", "registered", "unregistered",
		"subscribed", "notify", "unsubscribed", "published", "unpublished", "watcher", "watcher-ended", "idle",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// Event is something that happened. What points into a message (Msg, Type, Body, Text when it comes from the wire) is
// valid during the call that gives it.
type Event struct {
	Kind EventKind
	At   int64 // ns since 1970-01-01 UTC

	Call         *Call         // of the events up to EventEnded; of EventMessage in a call too
	Registration *Registration // EventRegistered, EventUnregistered
	Subscription *Subscription // EventSubscribed, EventNotify, EventUnsubscribed
	Publication  *Publication  // EventPublished, EventUnpublished
	Watcher      *Watcher      // EventWatcher, EventWatcherEnded
	Request      *Request      // EventResponse

	Method  string // of the request that it is about, where the kind does not say
	Status  int    // SIP status code; 0 for none
	Cause   Cause  // EventEnded
	Remote  bool   // the other side did it
	Expires int    // seconds; EventRegistered, EventSubscribed, EventPublished
	State   string // Subscription-State of a NOTIFY: "active", "pending", "terminated"
	Text    string // reason phrase, or reason of an end
	Type    string // media type of Body
	Body    []byte
	Err     error
	Msg     *sip.Message // the message that made it; nil for a timer
}

// Cause says how a call ended.
type Cause uint8

// Causes. The zero value is none: the call goes on.
const (
	_              Cause = iota
	CauseBye             // somebody hung up after the answer
	CauseCancelled       // the caller gave up before the answer
	CauseRejected        // a final response from 300 on; Status tells
	CauseTimeout         // no answer to a request in time (RFC 3261 timers B and F)
	CauseNoAck           // the ACK of the 2xx never came (RFC 3261 13.3.1.4)
	CauseTransport       // no address could be found or reached
	CauseSession         // the session timer ran out (RFC 4028)
	CauseAuth            // challenged, and the credentials are missing or wrong
	CauseMedia           // the session descriptions have nothing in common, or cannot be read
	CauseReplaced        // another call took its place (RFC 3891)
	CauseLost            // the other side no longer knows the dialog (481), or does not answer (408)
	CauseLimit           // a limit of this agent
	causes               // their number
)

// Causes is their number with the zero value, for tables by Cause.
const Causes = int(causes)

// String is a word for output.
func (c Cause) String() string {
	names := [Causes]string{
		"", "bye", "cancelled", "rejected", "timeout", "no-ack", "transport", "session-expired", "auth", "media", "replaced",
		"lost", "limit",
	}
	if int(c) < len(names) {
		return names[c]
	}
	return ""
}

// emit gives an event to those who listen.
func (a *Agent) emit(e *Event) {
	e.At = a.now
	if e.Call != nil && e.Call.refer != nil {
		e.Call.refer.progress(e)
	}
	if e.Call != nil && e.Call.opt.Events != nil {
		e.Call.opt.Events(*e)
		return
	}
	if a.cfg.Events != nil {
		a.cfg.Events(*e)
	}
}
