package sip

// MethodID is a known method, or MethodUnknown for any other token.
type MethodID uint8

// Methods of RFC 3261, 3262, 6665, 3903, 6086, 3515, 3428 and 3311. Their names are case-sensitive (RFC 3261 7.1).
const (
	MethodUnknown MethodID = iota
	MethodInvite
	MethodAck
	MethodBye
	MethodCancel
	MethodOptions
	MethodRegister
	MethodPrack
	MethodSubscribe
	MethodNotify
	MethodPublish
	MethodInfo
	MethodRefer
	MethodMessage
	MethodUpdate

	methods
)

// methodNames has the tokens of the methods.
var methodNames = [methods]string{ //nolint:gochecknoglobals // read-only table
	MethodUnknown:   "?",
	MethodInvite:    "INVITE",
	MethodAck:       "ACK",
	MethodBye:       "BYE",
	MethodCancel:    "CANCEL",
	MethodOptions:   "OPTIONS",
	MethodRegister:  "REGISTER",
	MethodPrack:     "PRACK",
	MethodSubscribe: "SUBSCRIBE",
	MethodNotify:    "NOTIFY",
	MethodPublish:   "PUBLISH",
	MethodInfo:      "INFO",
	MethodRefer:     "REFER",
	MethodMessage:   "MESSAGE",
	MethodUpdate:    "UPDATE",
}

// String is the method's token; "?" for MethodUnknown.
func (id MethodID) String() string { return methodNames[min(id, methods-1)] }

// byInitial has the methods by first letter: at most two share one.
var byInitial = makeInitials() //nolint:gochecknoglobals // read-only table

func makeInitials() (t [26][2]MethodID) {
	for id := MethodUnknown + 1; id < methods; id++ {
		list := &t[methodNames[id][0]-'A']
		if list[0] == MethodUnknown {
			list[0] = id
		} else {
			list[1] = id
		}
	}
	return t
}

// LookupMethod gives a token's MethodID. Case matters (RFC 3261 7.1).
func LookupMethod(b []byte) MethodID {
	if len(b) < 3 || b[0]-'A' > 'Z'-'A' {
		return MethodUnknown
	}
	for _, id := range byInitial[b[0]-'A'] {
		if string(b) == methodNames[id] {
			return id
		}
	}
	return MethodUnknown
}
