package txn

// event is what a machine reacts to.
type event uint8

const (
	evProvisional event = iota // 1xx: received by a client, from the user of a server
	evSuccess                  // 2xx, likewise
	evFinal                    // 300 to 699, likewise
	evRequest                  // a server: its request came again
	evAck                      // a server INVITE: its ACK
	evResend                   // timer A, E or G; a server other than INVITE: it has been silent for long
	evTimeout                  // the timer of the state: see timers
	evError                    // the link could not send
	events
)

// action is a set of what a Layer does for a transition, in the order of the constants.
type action uint8

const (
	doSend    action = 1 << iota // send the request again; send the response that the user gave, or the last one again
	doAck                        // client INVITE: make the ACK, send it, keep what it takes to send it again
	doAckMore                    // client INVITE: send the ACK again
	doTrying                     // server: send 100
	doLate                       // server: count that no response came in time (RFC 4320)
	doAbsorb                     // count what came as absorbed
	doFail                       // tell the user the error, or the timeout
	doPass                       // give the message to the user
)

// rule is what an event leads to. The zero rule ignores the event: it is marked by to == ignore.
type rule struct {
	to State
	do action
}

// ignore stands for the same state in rules that say nothing: it is no state of any machine.
const ignore = States

type machine [Terminated][events]rule

// stay is a rule that keeps the state.
func stay(s State, do action) rule { return rule{s, do} }

var none = rule{to: ignore} //nolint:gochecknoglobals // read-only

// machines are the four state machines. A client tells its user a link error and ends; a server tells it and goes on
// (RFC 6026 17.2.4), since a retransmitted request may get the answer through.
var machines = [Kinds]machine{ //nolint:gochecknoglobals // read-only tables
	// RFC 3261 figure 5, RFC 6026 figure 1.
	ClientInvite: {
		Trying: { // "Calling"
			evProvisional: {Proceeding, doPass},
			evSuccess:     {Accepted, doPass},
			evFinal:       {Completed, doAck | doPass},
			evRequest:     none, evAck: none,
			evResend:  stay(Trying, doSend),     // timer A
			evTimeout: rule{Terminated, doFail}, // timer B
			evError:   rule{Terminated, doFail},
		},
		Proceeding: {
			evProvisional: stay(Proceeding, doPass),
			evSuccess:     {Accepted, doPass},
			evFinal:       {Completed, doAck | doPass},
			evRequest:     none, evAck: none, evResend: none,
			evTimeout: {Terminated, doFail}, // 64*T1 after the CANCEL (RFC 3261 9.1)
			evError:   none,                 // an answer came, so that the request arrived
		},
		Completed: {
			evProvisional: stay(Completed, doAbsorb),
			evSuccess:     stay(Completed, doAbsorb),
			evFinal:       stay(Completed, doAckMore|doAbsorb),
			evRequest:     none, evAck: none, evResend: none,
			evTimeout: {Terminated, 0}, // timer D
			evError:   {Terminated, doFail},
		},
		Accepted: {
			evProvisional: stay(Accepted, doAbsorb),
			evSuccess:     stay(Accepted, doPass),
			evFinal:       stay(Accepted, doAbsorb),
			evRequest:     none, evAck: none, evResend: none,
			evTimeout: {Terminated, 0}, // timer M
			evError:   none,
		},
		Confirmed: nothing(),
	},
	// RFC 3261 figure 6.
	Client: {
		Trying: {
			evProvisional: {Proceeding, doPass},
			evSuccess:     {Completed, doPass},
			evFinal:       {Completed, doPass},
			evRequest:     none, evAck: none,
			evResend:  stay(Trying, doSend), // timer E
			evTimeout: {Terminated, doFail}, // timer F
			evError:   {Terminated, doFail},
		},
		Proceeding: {
			evProvisional: stay(Proceeding, doPass),
			evSuccess:     {Completed, doPass},
			evFinal:       {Completed, doPass},
			evRequest:     none, evAck: none,
			evResend:  stay(Proceeding, doSend), // timer E
			evTimeout: {Terminated, doFail},     // timer F
			evError:   {Terminated, doFail},
		},
		Completed: {
			evProvisional: stay(Completed, doAbsorb),
			evSuccess:     stay(Completed, doAbsorb),
			evFinal:       stay(Completed, doAbsorb),
			evRequest:     none, evAck: none, evResend: none,
			evTimeout: {Terminated, 0}, // timer K
			evError:   none,
		},
		Accepted: nothing(), Confirmed: nothing(),
	},
	// RFC 3261 figure 7, RFC 6026 figure 2.
	ServerInvite: {
		Trying: nothing(),
		Proceeding: {
			evProvisional: stay(Proceeding, doSend),
			evSuccess:     {Accepted, doSend},
			evFinal:       {Completed, doSend},
			evRequest:     stay(Proceeding, doSend|doAbsorb), // the last provisional response, if any
			evAck:         stay(Proceeding, doAbsorb),
			evResend:      none,
			evTimeout:     stay(Proceeding, doTrying), // 200 ms
			evError:       stay(Proceeding, doFail),
		},
		Completed: {
			evProvisional: none, evSuccess: none, evFinal: none,
			evRequest: stay(Completed, doSend|doAbsorb),
			evAck:     {Confirmed, doAbsorb},
			evResend:  stay(Completed, doSend), // timer G
			evTimeout: {Terminated, doFail},    // timer H
			evError:   stay(Completed, doFail),
		},
		Accepted: {
			evProvisional: none,
			evSuccess:     stay(Accepted, doSend),
			evFinal:       none,
			evRequest:     stay(Accepted, doAbsorb),
			evAck:         stay(Accepted, doPass),
			evResend:      none,
			evTimeout:     {Terminated, 0}, // timer L
			evError:       stay(Accepted, doFail),
		},
		Confirmed: {
			evProvisional: none, evSuccess: none, evFinal: none,
			evRequest: stay(Confirmed, doAbsorb),
			evAck:     stay(Confirmed, doAbsorb),
			evResend:  none,
			evTimeout: {Terminated, 0}, // timer I
			evError:   none,
		},
	},
	// RFC 3261 figure 8, RFC 4320 4.1 and 4.2.
	Server: {
		Trying: {
			evProvisional: {Proceeding, doSend},
			evSuccess:     {Completed, doSend},
			evFinal:       {Completed, doSend},
			evRequest:     stay(Trying, doAbsorb),
			evAck:         none,
			evResend:      {Proceeding, doTrying}, // timer E of the client is T2 now
			evTimeout:     {Completed, doLate},    // as below, if ever T2 is that long
			evError:       none,
		},
		Proceeding: {
			evProvisional: stay(Proceeding, doSend),
			evSuccess:     {Completed, doSend},
			evFinal:       {Completed, doSend},
			evRequest:     stay(Proceeding, doSend|doAbsorb),
			evAck:         none, evResend: none,
			evTimeout: {Completed, doLate}, // 64*T1 after the request: its client gave up
			evError:   stay(Proceeding, doFail),
		},
		Completed: {
			evProvisional: none, evSuccess: none, evFinal: none,
			evRequest: stay(Completed, doSend|doAbsorb),
			evAck:     none, evResend: none,
			evTimeout: {Terminated, 0}, // timer J
			evError:   stay(Completed, doFail),
		},
		Accepted: nothing(), Confirmed: nothing(),
	},
}

// nothing is a state that the machine does not have.
func nothing() (row [events]rule) {
	for e := range row {
		row[e] = none
	}
	return row
}

// step is the transition of a machine: where e leads from s and what is to be done. ok is false when e means nothing
// there.
func step(k Kind, s State, e event) (to State, do action, ok bool) {
	r := machines[k][s][e]
	return r.to, r.do, r.to != ignore
}

// classOf is the event of a status.
func classOf(status int) event {
	switch {
	case status < 200:
		return evProvisional
	case status < 300:
		return evSuccess
	default:
		return evFinal
	}
}

// first is the state in which a transaction begins.
func first(k Kind) State {
	if k == ServerInvite {
		return Proceeding
	}
	return Trying
}
