package query

import (
	"math"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// Field is one name of the filter language, for help, documentation and completion.
type Field struct {
	Name    string   // as filters write it
	Aliases []string // other names for the same
	Type    string   // text, number, seconds, time, yes/no, address, list
	Text    string   // what it is; when it is unknown
	Example string   // a filter that uses it
}

// Types of fields.
const (
	typeText    = "text"
	typeNumber  = "number"
	typeSeconds = "seconds"
	typeTime    = "time"
	typeBool    = "yes/no"
	typeAddress = "address"
	typeList    = "list"
)

// field is a Field with the way to its value.
type field struct {
	Field
	value    getter
	check    constantCheck                           // of the constants that it is compared with; nil for any
	endpoint func(*correlate.Summary) frame.Endpoint // of an address, else nil
	hasPort  bool                                    // constants for it may name a port
}

// getter gives a value for a call, or nil when it is still the one that it last gave, old: an evaluation keeps its
// values, and neighbours in the list share many. old is nil at first.
type getter func(q *Query, s *correlate.Summary, old any) any

// renew gives v when it differs from old, else nil. It allocates only in the first case.
func renew[T comparable](v T, old any) any {
	if o, ok := old.(T); ok && o == v {
		return nil
	}
	return v
}

// Fields lists all fields in the order of the documentation.
func Fields() []Field {
	table := fieldTable()
	all := make([]Field, len(table))
	for i := range table {
		all[i] = table[i].Field
	}
	return all
}

// fieldTable is the one place where fields are made.
func fieldTable() []field {
	var all []field
	for _, part := range [][]field{identityFields(), partyFields(), addressFields(), countFields(), timeFields(), mediaFields()} {
		all = append(all, part...)
	}
	return all
}

func (f field) alias(names ...string) field {
	f.Aliases = names
	return f
}

func text(name, doc, example string, get func(*correlate.Summary) string) field {
	return field{Field: Field{Name: name, Type: typeText, Text: doc, Example: example}, value: textGetter(get)}
}

func textGetter(get func(*correlate.Summary) string) getter {
	return func(_ *Query, s *correlate.Summary, old any) any { return renew(get(s), old) }
}

func count(name, doc, example string, get func(*correlate.Summary) uint32) field {
	return field{
		Field: Field{Name: name, Type: typeNumber, Text: doc, Example: example},
		value: func(_ *Query, s *correlate.Summary, old any) any { return renew(int(get(s)), old) },
	}
}

// number makes a field whose value may be unknown: get gives NaN then, which no comparison but != matches.
func number(name, kind, doc, example string, get func(*correlate.Summary) float64) field {
	return field{
		Field: Field{Name: name, Type: kind, Text: doc, Example: example},
		value: func(_ *Query, s *correlate.Summary, old any) any {
			v := get(s)
			if o, ok := old.(float64); ok && math.IsNaN(v) && math.IsNaN(o) {
				return nil
			}
			return renew(v, old)
		},
	}
}

// known turns a number that is negative when unknown into one that no comparison matches then.
func known(v int64, unit float64) float64 {
	if v < 0 {
		return math.NaN()
	}
	return float64(v) / unit
}

// status is the final status, NaN for none.
func status(s *correlate.Summary) float64 {
	if s.Code == 0 {
		return math.NaN()
	}
	return float64(s.Code)
}

// span makes the two fields of a duration: NAME in seconds and NAME_ms in milliseconds.
func span(name, doc, example, exampleMS string, get func(*correlate.Summary) int64) []field {
	return []field{
		number(name, typeSeconds, doc, example, func(s *correlate.Summary) float64 {
			return known(get(s), float64(time.Second))
		}),
		number(name+"_ms", typeNumber, name+" in milliseconds", exampleMS, func(s *correlate.Summary) float64 {
			return known(get(s), float64(time.Millisecond))
		}),
	}
}

func moment(name, doc, example string, get func(*correlate.Summary) int64) field {
	return field{
		Field: Field{Name: name, Type: typeTime, Text: doc, Example: example},
		value: func(_ *Query, s *correlate.Summary, old any) any {
			v := get(s)
			if o, ok := old.(time.Time); ok && o.UnixNano() == v {
				return nil
			}
			return time.Unix(0, v).UTC()
		},
		check: checkTime,
	}
}

func identityFields() []field {
	state := text("state", "what became of the call: "+strings.Join(stateNames(), ", "), `state == "busy"`,
		func(s *correlate.Summary) string { return s.State.String() })
	state.check = checkOneOf("state", stateNames())
	ended := text("ended_by", "the end that ended the call: caller, callee, network, or empty", `ended_by == "callee"`,
		func(s *correlate.Summary) string { return s.EndedBy.String() })
	ended.check = checkOneOf("side", sideNames())
	return []field{
		count("num", "number of the call in the list", `num <= 10`, func(s *correlate.Summary) uint32 { return s.Num }),
		text("method", "method of the first request", `method == "INVITE"`,
			func(s *correlate.Summary) string { return s.Method }),
		state,
		{
			Field: Field{
				Name: "answered", Type: typeBool, Text: "a 2xx answered the INVITE",
				Example: `answered && duration < 3`,
			},
			value: func(_ *Query, s *correlate.Summary, old any) any {
				return renew(s.State == correlate.StateAnswered || s.State == correlate.StateCompleted, old)
			},
		},
		number("status", typeNumber, "final status that decided the state; unknown without one",
			`status in 400..499 && status != 486`,
			status).alias("code"),
		number("class", typeNumber, "first digit of status; unknown without one", `class == 5`,
			func(s *correlate.Summary) float64 { return math.Floor(status(s) / 100) }),
		text("reason", "reason phrase of that status", `reason contains "Busy"`,
			func(s *correlate.Summary) string { return s.Reason }),
		number("cause", typeNumber, "Q.850 cause of a Reason header (RFC 3326); unknown without one", `cause == 17`,
			func(s *correlate.Summary) float64 { return known(int64(s.Cause), 1) }),
		ended,
		text("callid", "Call-ID", `callid endsWith "@10.0.0.1"`,
			func(s *correlate.Summary) string { return s.CallID }).alias("call_id"),
		text("ua", "User-Agent of the first request that has one", `ua startsWith "Linphone"`,
			func(s *correlate.Summary) string { return s.UserAgent }).alias("user_agent"),
		text("server", "Server or User-Agent of the first response that has one", `server matches "(?i)asterisk"`,
			func(s *correlate.Summary) string { return s.Server }),
		count("group", "lowest number among the calls joined with this one, 0 for none", `group != 0`,
			func(s *correlate.Summary) uint32 { return s.Group }),
		text("relation", "how it was joined: b2bua, transfer, replaces, session-id, agent (HEP), or empty", `relation == "b2bua"`,
			func(s *correlate.Summary) string { return s.Relation }),
	}
}

func partyFields() []field {
	from := func(s *correlate.Summary) *correlate.Party { return &s.From }
	to := func(s *correlate.Summary) *correlate.Party { return &s.To }
	all := append(party("from", "From", from), party("to", "To", to)...)
	return append(all, text("ruri", "Request-URI of the first request", `ruri startsWith "sip:112@"`,
		func(s *correlate.Summary) string { return s.RURI }))
}

func party(name, header string, get func(*correlate.Summary) *correlate.Party) []field {
	in := " of " + header + " in the first request"
	return []field{
		text(name, "user@host"+in, name+` == "alice@example.com"`,
			func(s *correlate.Summary) string { return userHost(get(s)) }),
		text(name+".user", "user"+in, name+`.user startsWith "100"`,
			func(s *correlate.Summary) string { return get(s).User }),
		text(name+".host", "host"+in, name+`.host == "example.com"`,
			func(s *correlate.Summary) string { return get(s).Host }),
		text(name+".name", "display name"+in+", without quotes", name+`.name contains "Alice"`,
			func(s *correlate.Summary) string { return get(s).Display }),
		text(name+".uri", "whole URI"+in, name+`.uri startsWith "sips:"`,
			func(s *correlate.Summary) string { return get(s).URI }),
	}
}

// userHost writes a party as the call list does.
func userHost(p *correlate.Party) string {
	switch {
	case p.User == "" && p.Host == "":
		return p.URI
	case p.User == "":
		return p.Host
	default:
		return p.User + "@" + p.Host
	}
}

func addressFields() []field {
	src := func(s *correlate.Summary) frame.Endpoint { return s.Src }
	dst := func(s *correlate.Summary) frame.Endpoint { return s.Dst }
	all := append(endpoint("src", "source", "source of the first request", src),
		endpoint("dst", "destination", "destination of the first request", dst)...)
	released := endpoint("released_by", "", "sender of the first BYE, empty without one",
		func(s *correlate.Summary) frame.Endpoint { return s.ReleasedBy })
	all = append(all, released...)
	transports := field{
		Field: Field{
			Name: "transports", Type: typeList, Aliases: []string{"transport"},
			Text: "what carried it: UDP, TCP, TLS, SCTP, WS, WSS", Example: `"TLS" in transports`,
		},
		value: transportGetter(),
		check: checkOneOf("transport", transportNames(math.MaxUint8)),
	}
	return append(all, transports, text("tunnels", "what its frames were in, outermost layer first, comma-separated; empty for nothing",
		`tunnels contains "vxlan:5001"`, func(s *correlate.Summary) string { return strings.Join(s.Tunnels, ",") }))
}

// endpoint makes NAME (address:port), NAME.ip and NAME.port.
func endpoint(name, alias, doc string, get func(*correlate.Summary) frame.Endpoint) []field {
	aliases := func(suffix string) []string {
		if alias == "" {
			return nil
		}
		return []string{alias + suffix}
	}
	whole := field{
		Field: Field{
			Name: name, Aliases: aliases(""), Type: typeAddress,
			Text: doc + "; compared as address:port, address or network", Example: name + ` in "10.0.0.0/8"`,
		},
		value:    endpointGetter(get, frame.Endpoint.String),
		endpoint: get,
		hasPort:  true,
	}
	ip := field{
		Field: Field{
			Name: name + ".ip", Aliases: aliases(".ip"), Type: typeAddress, Text: "address of that",
			Example: name + `.ip == "2001:db8::1"`,
		},
		value:    endpointGetter(get, frame.Endpoint.Host),
		endpoint: get,
	}
	port := count(name+".port", "port of that", name+`.port != 5060`,
		func(s *correlate.Summary) uint32 { return uint32(get(s).Port) })
	return []field{whole, ip, port.alias(aliases(".port")...)}
}

// endpointGetter writes an endpoint as text, "" when there is none.
func endpointGetter(get func(*correlate.Summary) frame.Endpoint, text func(frame.Endpoint) string) getter {
	return textGetter(func(s *correlate.Summary) string {
		if e := get(s); e.IsValid() {
			return text(e)
		}
		return ""
	})
}

func countFields() []field {
	return []field{
		count("messages", "messages", `messages > 20`, func(s *correlate.Summary) uint32 { return s.Messages }),
		count("retransmissions", "retransmissions among them (RFC 3261 17)", `retransmissions > 3`,
			func(s *correlate.Summary) uint32 { return s.Retransmissions }),
		count("duplicates", "frames that the tap saw twice", `duplicates > 0`,
			func(s *correlate.Summary) uint32 { return s.Duplicates }),
		count("transactions", "transactions, one a hop, ACK not counted", `transactions > 2`,
			func(s *correlate.Summary) uint32 { return s.Transactions }),
		count("dialogs", "dialogs that a 2xx of an INVITE confirmed", `dialogs >= 2`,
			func(s *correlate.Summary) uint32 { return s.Dialogs }),
		count("early_dialogs", "tag pairs that a 101-199 of an INVITE made", `early_dialogs > dialogs`,
			func(s *correlate.Summary) uint32 { return s.EarlyDialogs }),
		count("hops", "pairs of addresses it was seen between", `hops > 1`,
			func(s *correlate.Summary) uint32 { return s.Hops }),
		count("gaps", "holes that the capture has in its streams and datagrams", `gaps > 0`,
			func(s *correlate.Summary) uint32 { return s.Gaps }),
		count("diags", "departures from the grammar in its messages", `diags > 0`,
			func(s *correlate.Summary) uint32 { return s.Diags }),
	}
}

func timeFields() []field {
	all := []field{
		moment("start", "time of the first message", `start >= date("2024-05-01 12:00")`,
			func(s *correlate.Summary) int64 { return s.First }).alias("first"),
		moment("end", "time of the last message", `end < date("2030-01-01")`,
			func(s *correlate.Summary) int64 { return s.Last }).alias("last"),
	}
	all = append(all, span("pdd", "post-dial delay: first INVITE to first 18x at the caller; unknown without one",
		`pdd > 1500ms`, `pdd_ms > 1500`, func(s *correlate.Summary) int64 { return s.PDD })...)
	all = append(all, span("setup", "first INVITE to first 2xx at the caller; unknown without one",
		`setup > 10s`, `setup_ms > 10000`, func(s *correlate.Summary) int64 { return s.Setup })...)
	return append(all, span("duration", "that 2xx to the first BYE; unknown without one",
		`duration in 1s..10s`, `duration_ms < 500`, func(s *correlate.Summary) int64 { return s.Duration })...)
}

func stateNames() []string {
	var names []string
	for _, s := range correlate.States() {
		names = append(names, s.String())
	}
	return names
}

func sideNames() []string {
	return []string{"", correlate.Caller.String(), correlate.Callee.String(), correlate.Network.String()}
}

// transportNames lists the transports whose bits (1<<decode.Transport) are set.
func transportNames(mask uint8) []string {
	names := []string{}
	for t := decode.UDP; t <= decode.WSS; t++ {
		if mask&(1<<t) != 0 {
			names = append(names, t.String())
		}
	}
	return names
}

// transportGetter gives a call's transports as a list, boxed once for each combination.
func transportGetter() getter {
	var lists [math.MaxUint8 + 1]any
	for mask := range lists {
		lists[mask] = transportNames(uint8(mask))
	}
	return func(_ *Query, s *correlate.Summary, _ any) any { return lists[s.Transports] }
}
