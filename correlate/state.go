package correlate

// State is what became of a call, seen from the element that sent its first request.
type State uint8

// States. Each can name its frames: see Summary.Evidence.
const (
	StateUnknown      State = iota
	StateCalling            // INVITE sent, nothing but perhaps a 100 came
	StateRinging            // 101-199 came
	StateAnswered           // 2xx came, no BYE yet
	StateCompleted          // answered and ended by BYE
	StateCancelled          // 487, or a CANCEL and nothing final after it
	StateBusy               // 486 or 600
	StateDeclined           // 603
	StateNotFound           // 404 or 604
	StateRedirected         // 3xx, not followed
	StateChallenged         // 401 or 407, not answered with credentials
	StateFailed             // another final response from 400 on
	StateTimedOut           // 408, or no final response within 64*T1 (RFC 3261 17.1.1.2) or Timer C
	StatePending            // a non-INVITE request without a final response yet
	StateSucceeded          // a non-INVITE request was answered 2xx (OPTIONS, MESSAGE, PUBLISH, INFO, ...)
	StateRegistered         // REGISTER answered 2xx with a binding left
	StateUnregistered       // REGISTER answered 2xx, bindings removed
	StateSubscribed         // SUBSCRIBE answered 2xx, or NOTIFY active or pending
	StateTerminated         // the subscription ended
)

// String is the name in lower case with "_" between words, as JSON and filters use it.
func (s State) String() string {
	names := [...]string{
		"unknown", "calling", "ringing", "answered", "completed", "cancelled", "busy", "declined", "not_found",
		"redirected", "challenged", "failed", "timed_out", "pending", "succeeded", "registered", "unregistered",
		"subscribed", "terminated",
	}
	return names[min(int(s), len(names)-1)]
}

// States lists all states in order.
func States() []State {
	var all []State
	for s := StateUnknown; s <= StateTerminated; s++ {
		all = append(all, s)
	}
	return all
}
