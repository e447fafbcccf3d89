package sip

// Diag is one departure of a message from the grammar or the rules.
type Diag struct {
	Code DiagCode
	Span Span // where, in the message's raw text
}

// DiagCode says what departs.
type DiagCode uint8

// Codes. docs/diagnostics.md has an example of each.
const (
	_ DiagCode = iota
	DiagLineEnd
	DiagStartLineBlanks
	DiagVersion
	DiagStatus
	DiagURIBrackets
	DiagURIBlanks
	DiagURIHeaders
	DiagURI
	DiagHost
	DiagNoColon
	DiagHeaderName
	DiagHeadOpen
	DiagControl
	DiagMissingVia
	DiagMissingFrom
	DiagMissingTo
	DiagMissingCallID
	DiagMissingCSeq
	DiagMissingMaxForwards
	DiagMissingContact
	DiagRepeated
	DiagVia
	DiagBranch
	DiagCSeq
	DiagCSeqRange
	DiagCSeqMethod
	DiagAddress
	DiagDisplay
	DiagQuote
	DiagBracket
	DiagParams
	DiagFromTag
	DiagToTag
	DiagNumber
	DiagLength
	DiagLengthShort
	DiagLengthLong
	DiagDate
	DiagBodyType
	DiagCallID
	DiagMore
	diags
)

// Severity says how much a departure matters.
type Severity uint8

// Severities.
const (
	Note    Severity = iota + 1 // tolerated by every element
	Warning                     // some elements refuse it
	Error                       // an element that keeps to the RFC refuses it
)

// String is the severity in lower case.
func (s Severity) String() string { return [...]string{"", "note", "warning", "error"}[min(int(s), 3)] }

type diagText struct {
	name, section, text string
	severity            Severity
}

// diagTexts has what is said about each code.
var diagTexts = [diags]diagText{ //nolint:gochecknoglobals // read-only table
	DiagLineEnd: {
		"line-end", "RFC 3261 7",
		"A line ends in LF alone, not in CR LF.", Warning,
	},
	DiagStartLineBlanks: {
		"start-line-blanks", "RFC 3261 7.1",
		"The start line has other than single spaces between its parts.", Error,
	},
	DiagVersion: {
		"version", "RFC 3261 7.1",
		"The version is not SIP/2.0.", Error,
	},
	DiagStatus: {
		"status", "RFC 3261 7.2",
		"The status is not a code from 100 to 699 with a space after it.", Error,
	},
	DiagURIBrackets: {
		"uri-brackets", "RFC 3261 7.1",
		"The Request-URI is enclosed in < and >.", Error,
	},
	DiagURIBlanks: {
		"uri-blanks", "RFC 3261 25.1",
		"A URI contains blanks.", Error,
	},
	DiagURIHeaders: {
		"uri-headers", "RFC 3261 19.1.1",
		"The Request-URI has headers.", Error,
	},
	DiagURI: {
		"uri", "RFC 3261 7.1",
		"The Request-URI has no scheme.", Error,
	},
	DiagHost: {
		"host", "RFC 3261 19.1.1",
		"The host or port of a URI cannot be read; an IPv6 address must stand in brackets.", Error,
	},
	DiagNoColon: {
		"no-colon", "RFC 3261 7.3.1",
		"A header line has no colon.", Error,
	},
	DiagHeaderName: {
		"header-name", "RFC 3261 7.3.1",
		"The name of a header is empty or not a token.", Error,
	},
	DiagHeadOpen: {
		"head-open", "RFC 3261 7",
		"No empty line ends the headers.", Warning,
	},
	DiagControl: {
		"control", "RFC 3261 25.1",
		"A control character stands in the start line or in a header.", Error,
	},
	DiagMissingVia: {
		"missing-via", "RFC 3261 8.1.1",
		"Via is missing.", Error,
	},
	DiagMissingFrom: {
		"missing-from", "RFC 3261 8.1.1",
		"From is missing.", Error,
	},
	DiagMissingTo: {
		"missing-to", "RFC 3261 8.1.1",
		"To is missing.", Error,
	},
	DiagMissingCallID: {
		"missing-call-id", "RFC 3261 8.1.1",
		"Call-ID is missing.", Error,
	},
	DiagMissingCSeq: {
		"missing-cseq", "RFC 3261 8.1.1",
		"CSeq is missing.", Error,
	},
	DiagMissingMaxForwards: {
		"missing-max-forwards", "RFC 3261 8.1.1.6",
		"A request has no Max-Forwards.", Note,
	},
	DiagMissingContact: {
		"missing-contact", "RFC 3261 8.1.1.8",
		"An INVITE has no Contact.", Warning,
	},
	DiagRepeated: {
		"repeated", "RFC 3261 7.3.1",
		"A header that may be there once is there again; the first one counts.", Error,
	},
	DiagVia: {
		"via", "RFC 3261 20.42",
		"The top Via cannot be read.", Error,
	},
	DiagBranch: {
		"branch", "RFC 3261 8.1.1.7",
		"The branch of the top Via is missing or lacks the magic cookie: RFC 2543 matching applies.", Note,
	},
	DiagCSeq: {
		"cseq", "RFC 3261 20.16",
		"CSeq is not a number and a method.", Error,
	},
	DiagCSeqRange: {
		"cseq-range", "RFC 3261 8.1.1.5",
		"The number of CSeq is not below 2^31.", Error,
	},
	DiagCSeqMethod: {
		"cseq-method", "RFC 3261 8.1.1.5",
		"The method of CSeq is not that of the request.", Error,
	},
	DiagAddress: {
		"address", "RFC 3261 20.10",
		"An address is neither a name-addr nor an addr-spec.", Error,
	},
	DiagDisplay: {
		"display-name", "RFC 3261 25.1",
		"A display name needs quotes and has none.", Warning,
	},
	DiagQuote: {
		"quote", "RFC 3261 25.1",
		"A quoted string is not closed.", Error,
	},
	DiagBracket: {
		"bracket", "RFC 3261 20.10",
		"A < is not closed, or a URI that must stand in < and > does not.", Error,
	},
	DiagParams: {
		"params", "RFC 3261 25.1",
		"A parameter is empty.", Warning,
	},
	DiagFromTag: {
		"from-tag", "RFC 3261 8.1.1.3",
		"From has no tag.", Note,
	},
	DiagToTag: {
		"to-tag", "RFC 3261 8.2.6.2",
		"To has no tag in a response other than 100.", Warning,
	},
	DiagNumber: {
		"number", "RFC 3261 25.1",
		"A number cannot be read or is out of range.", Error,
	},
	DiagLength: {
		"length", "RFC 3261 20.14",
		"Content-Length cannot be read.", Error,
	},
	DiagLengthShort: {
		"length-short", "RFC 3261 18.3",
		"More bytes follow the headers than Content-Length says; the rest is not part of the message.", Warning,
	},
	DiagLengthLong: {
		"length-long", "RFC 3261 18.3",
		"Fewer bytes follow the headers than Content-Length says.", Error,
	},
	DiagDate: {
		"date", "RFC 3261 20.17",
		"Date is not in GMT.", Warning,
	},
	DiagBodyType: {
		"body-type", "RFC 3261 7.4.1",
		"There is a body without a Content-Type.", Error,
	},
	DiagCallID: {
		"call-id", "RFC 3261 20.8",
		"Call-ID is empty or contains blanks.", Error,
	},
	DiagMore: {
		"more", "RFC 3261 7",
		"There are more departures than are listed.", Note,
	},
}

// String is the code's name, as in docs/diagnostics.md.
func (c DiagCode) String() string { return c.entry().name }

// Section is the rule that the message departs from, e.g. "RFC 3261 7.3.1".
func (c DiagCode) Section() string { return c.entry().section }

// Text says in one sentence what is wrong.
func (c DiagCode) Text() string { return c.entry().text }

// Severity says how much it matters.
func (c DiagCode) Severity() Severity { return c.entry().severity }

func (c DiagCode) entry() diagText {
	if c == 0 || c >= diags {
		return diagText{name: "unknown", section: "", text: "unknown", severity: Note}
	}
	return diagTexts[c]
}

// DiagCodes lists all codes.
func DiagCodes() []DiagCode {
	all := make([]DiagCode, 0, diags-1)
	for c := DiagCode(1); c < diags; c++ {
		all = append(all, c)
	}
	return all
}
