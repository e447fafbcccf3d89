package sip

// ReasonPhrase gives the phrase that the RFCs suggest for a status code (RFC 3261 21 and IANA's registry); empty for a
// code without one.
func ReasonPhrase(status int) string {
	i, j := 0, len(phrases)
	for i < j {
		h := (i + j) / 2
		if phrases[h].code < status {
			i = h + 1
		} else {
			j = h
		}
	}
	if i < len(phrases) && phrases[i].code == status {
		return phrases[i].text
	}
	return ""
}

type phrase struct {
	code int
	text string
}

// phrases has IANA's registry of SIP response codes, in order.
var phrases = [...]phrase{ //nolint:gochecknoglobals // read-only table
	{100, "Trying"},
	{180, "Ringing"},
	{181, "Call Is Being Forwarded"},
	{182, "Queued"},
	{183, "Session Progress"},
	{199, "Early Dialog Terminated"},
	{200, "OK"},
	{202, "Accepted"},
	{204, "No Notification"},
	{300, "Multiple Choices"},
	{301, "Moved Permanently"},
	{302, "Moved Temporarily"},
	{305, "Use Proxy"},
	{380, "Alternative Service"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{402, "Payment Required"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{406, "Not Acceptable"},
	{407, "Proxy Authentication Required"},
	{408, "Request Timeout"},
	{410, "Gone"},
	{412, "Conditional Request Failed"},
	{413, "Request Entity Too Large"},
	{414, "Request-URI Too Long"},
	{415, "Unsupported Media Type"},
	{416, "Unsupported URI Scheme"},
	{417, "Unknown Resource-Priority"},
	{420, "Bad Extension"},
	{421, "Extension Required"},
	{422, "Session Interval Too Small"},
	{423, "Interval Too Brief"},
	{424, "Bad Location Information"},
	{425, "Bad Alert Message"},
	{428, "Use Identity Header"},
	{429, "Provide Referrer Identity"},
	{430, "Flow Failed"},
	{433, "Anonymity Disallowed"},
	{436, "Bad Identity Info"},
	{437, "Unsupported Credential"},
	{438, "Invalid Identity Header"},
	{439, "First Hop Lacks Outbound Support"},
	{440, "Max-Breadth Exceeded"},
	{469, "Bad Info Package"},
	{470, "Consent Needed"},
	{480, "Temporarily Unavailable"},
	{481, "Call/Transaction Does Not Exist"},
	{482, "Loop Detected"},
	{483, "Too Many Hops"},
	{484, "Address Incomplete"},
	{485, "Ambiguous"},
	{486, "Busy Here"},
	{487, "Request Terminated"},
	{488, "Not Acceptable Here"},
	{489, "Bad Event"},
	{491, "Request Pending"},
	{493, "Undecipherable"},
	{494, "Security Agreement Required"},
	{500, "Server Internal Error"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Server Time-out"},
	{505, "Version Not Supported"},
	{513, "Message Too Large"},
	{555, "Push Notification Service Not Supported"},
	{580, "Precondition Failure"},
	{600, "Busy Everywhere"},
	{603, "Decline"},
	{604, "Does Not Exist Anywhere"},
	{606, "Not Acceptable"},
	{607, "Unwanted"},
	{608, "Rejected"},
}

// Q850 gives the name of a Q.850 cause (ITU-T Q.850 table 1), as a Reason header may carry it (RFC 3326); empty for a
// value without one.
func Q850(cause int) string {
	if cause < 0 || cause >= len(causes) {
		return ""
	}
	return causes[cause]
}

// causes has the names of ITU-T Q.850 by value.
var causes = [128]string{ //nolint:gochecknoglobals // read-only table
	1:   "unallocated number",
	2:   "no route to specified transit network",
	3:   "no route to destination",
	4:   "send special information tone",
	5:   "misdialled trunk prefix",
	6:   "channel unacceptable",
	7:   "call awarded and being delivered in an established channel",
	8:   "preemption",
	9:   "preemption, circuit reserved for reuse",
	14:  "ported number",
	16:  "normal call clearing",
	17:  "user busy",
	18:  "no user responding",
	19:  "no answer from user",
	20:  "subscriber absent",
	21:  "call rejected",
	22:  "number changed",
	23:  "redirection to new destination",
	24:  "call rejected due to feature at the destination",
	25:  "exchange routing error",
	26:  "non-selected user clearing",
	27:  "destination out of order",
	28:  "invalid number format",
	29:  "facility rejected",
	30:  "response to STATUS ENQUIRY",
	31:  "normal, unspecified",
	34:  "no circuit or channel available",
	38:  "network out of order",
	39:  "permanent frame mode connection out of service",
	40:  "permanent frame mode connection operational",
	41:  "temporary failure",
	42:  "switching equipment congestion",
	43:  "access information discarded",
	44:  "requested circuit or channel not available",
	46:  "precedence call blocked",
	47:  "resource unavailable, unspecified",
	49:  "quality of service not available",
	50:  "requested facility not subscribed",
	53:  "outgoing calls barred within CUG",
	55:  "incoming calls barred within CUG",
	57:  "bearer capability not authorized",
	58:  "bearer capability not presently available",
	62:  "inconsistency in outgoing access information and subscriber class",
	63:  "service or option not available, unspecified",
	65:  "bearer capability not implemented",
	66:  "channel type not implemented",
	69:  "requested facility not implemented",
	70:  "only restricted digital information bearer capability is available",
	79:  "service or option not implemented, unspecified",
	81:  "invalid call reference value",
	82:  "identified channel does not exist",
	83:  "a suspended call exists, but this call identity does not",
	84:  "call identity in use",
	85:  "no call suspended",
	86:  "call having the requested call identity has been cleared",
	87:  "user not member of CUG",
	88:  "incompatible destination",
	90:  "non-existent CUG",
	91:  "invalid transit network selection",
	95:  "invalid message, unspecified",
	96:  "mandatory information element is missing",
	97:  "message type non-existent or not implemented",
	98:  "message not compatible with call state",
	99:  "information element or parameter non-existent or not implemented",
	100: "invalid information element contents",
	101: "message not compatible with call state",
	102: "recovery on timer expiry",
	103: "parameter non-existent or not implemented, passed on",
	110: "message with unrecognized parameter discarded",
	111: "protocol error, unspecified",
	127: "interworking, unspecified",
}
