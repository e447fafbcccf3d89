package sip

// Span is a part of a message's raw text: byte offset and length.
type Span struct{ Off, Len uint32 }

// Of gives the bytes that s names in raw.
func (s Span) Of(raw []byte) []byte { return raw[s.Off : s.Off+s.Len] }

// Empty reports whether the span holds nothing.
func (s Span) Empty() bool { return s.Len == 0 }

// Header is one header field in wire order. A comma-separated list stays one Header.
type Header struct {
	ID    HeaderID // HeaderOther for a name that the table does not have
	Name  Span     // as written
	Value Span     // without the blanks at both ends; folds inside are kept (RFC 3261 7.3.1)
}

// Via is the top Via value (RFC 3261 20.42).
type Via struct {
	Transport Span   // "UDP", as written
	Host      Span   // of sent-by, IPv6 with its brackets
	SentBy    Span   // host[:port] as written
	Branch    Span   // empty without the parameter
	Received  Span   // value of received=
	Port      uint16 // of sent-by, 0 when not given
	RPort     uint16 // value of rport=, 0 when without value or absent
	HasRPort  bool   // rport is there, with or without a value (RFC 3581)
}

// Address is a name-addr or addr-spec with its parameters: From, To, Contact (RFC 3261 20.10).
type Address struct {
	Display Span // without the quotes, escapes kept
	URI     Span // without < and >
	Scheme  Span // "sip"
	User    Span // userinfo without password and without @
	Host    Span // IPv6 with its brackets
	Params  Span // what follows the URI (header parameters), from the first ";" on
	Tag     Span // value of ;tag=
	Port    uint16
}

// Message is a SIP message as spans into its raw text. The zero value is ready for Parse, and a Message may be parsed
// into again and again without allocating.
type Message struct {
	Raw []byte // start line to the end of the body; not owned

	Request  bool
	MethodID MethodID // of the request line, or of CSeq in a response
	Status   uint16   // of a response, else 0
	Method   Span     // request line's method token; CSeq's in a response
	URI      Span     // Request-URI
	Reason   Span     // reason phrase
	Version  Span     // "SIP/2.0"

	Headers []Header
	Head    uint32 // bytes of start line, headers and the empty line
	Body    Span

	CallID         Span
	CSeqMethod     Span
	CSeqMethodID   MethodID
	HasCSeq        bool
	CSeq           uint32 // valid when HasCSeq; out of range values give a diag and 0
	Vias           uint16 // Via values in all Via headers, counted as comma-separated values
	Contacts       uint16 // Contact values; "*" counts as one
	ContactStar    bool
	Via            Via     // the top one
	From, To       Address // RFC 3261 8.1.1
	Contact        Address // the first
	ContentType    Span    // media type without parameters, e.g. "application/sdp"
	UserAgent      Span    // User-Agent of a request, Server of a response, whichever is there
	Expires        int64   // seconds; -1 when absent or unreadable
	MinExpires     int64   // seconds; -1 when absent
	MaxForwards    int32   // -1 when absent or unreadable
	ContentLength  int64   // as stated; -1 when absent or unreadable
	HasRecordRoute bool
	HasRoute       bool

	Diags []Diag
}
