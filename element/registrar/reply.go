package registrar

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Layer is what a Registrar and a Redirect ask of a transaction layer; *txn.Layer is one.
type Layer interface {
	Respond(id txn.ID, raw []byte) error
	Link() transport.Link
}

var _ Layer = (*txn.Layer)(nil)

// Refusal is why a request was not done.
type Refusal uint8

// Refusals.
const (
	Malformed    Refusal = iota + 1 // 400: what is needed cannot be read
	BadContact                      // 400: a Contact or Path, or "*" where it must not be (RFC 3261 10.3 step 6)
	Challenged                      // 401: not a failure, the client is asked for its credentials
	Forbidden                       // 403: wrong credentials, or another user's address
	ManyContacts                    // 403: more contacts than an address may have
	Unknown                         // 404: no such address here
	BadMethod                       // 405, 501
	BadScheme                       // 416: a Request-URI that is neither sip nor sips
	Extension                       // 420: Require has what is not supported (RFC 3261 8.2.2.3)
	TooBrief                        // 423: for less than MinExpires
	Unavailable                     // 480: the address has no contact at the moment
	OutOfOrder                      // 500: CSeq is not higher than before (RFC 3261 10.3 step 7)
	Full                            // 503: the Store is
	BadVersion                      // 505
	TooLong                         // 513
	refusals
)

var refusalNames = [refusals]string{ //nolint:gochecknoglobals // read-only table
	"", "malformed", "contact", "challenged", "forbidden", "too many contacts", "unknown", "method", "scheme", "extension",
	"interval too brief", "unavailable", "out of order", "full", "version", "too long",
}

// String is the reason in a few words.
func (f Refusal) String() string { return refusalNames[f%refusals] }

// Refusals lists all reasons.
func Refusals() []Refusal {
	all := make([]Refusal, 0, refusals-1)
	for f := Malformed; f < refusals; f++ {
		all = append(all, f)
	}
	return all
}

// Stats are figures of a Registrar or a Redirect.
type Stats struct {
	Requests uint64 // but ACK
	Accepted uint64 // answered 2xx, or 3xx by a Redirect
	Queries  uint64 // of those, REGISTER without Contact
	Refused  [refusals]uint64
	Unsent   uint64 // answers that could not be written or given to the transaction layer
}

// Reasons gives how often each reason was met, those that were met.
func (s *Stats) Reasons() map[Refusal]uint64 {
	m := map[Refusal]uint64{}
	for f, n := range s.Refused {
		if n > 0 {
			m[Refusal(f)] = n
		}
	}
	return m
}

// Answer is what a live log may say of a request.
type Answer struct {
	Now    int64
	Status int
	Why    Refusal             // 0: it was done
	Req    *transport.Received // valid during the call
}

// refusal is an answer that says no.
type refusal struct {
	why     Refusal
	status  int
	reason  string
	headers []compose.Header
}

func refuse(why Refusal, status int, headers ...compose.Header) *refusal {
	return &refusal{why: why, status: status, headers: headers}
}

// because sets another reason phrase than the usual one.
func (f *refusal) because(reason string) *refusal {
	f.reason = reason
	return f
}

// server is what Registrar and Redirect have in common: they answer each request at once.
type server struct {
	layer  Layer
	name   string // Server header
	rng    *rand.Rand
	tell   func(Answer)
	stats  Stats
	buf    []byte
	allows []string // methods
}

// Attach gives the layer that answers go to. It must be called before the first request comes.
func (s *server) Attach(l Layer) { s.layer = l }

// Stats gives the figures.
func (s *server) Stats() Stats { return s.stats }

// answer answers a request with what was found out, f if that is not nil.
func (s *server) answer(id txn.ID, r *transport.Received, f *refusal, status int, headers []compose.Header) {
	reply := compose.Reply{Status: status, ToTag: compose.Tag(s.rng), Headers: headers}
	var why Refusal
	if f != nil {
		reply.Status, reply.Reason, reply.Headers, why = f.status, f.reason, f.headers, f.why
		s.stats.Refused[why]++
	} else {
		s.stats.Accepted++
	}
	if s.name != "" {
		reply.Headers = append(reply.Headers, compose.Header{ID: sip.HeaderServer, Value: s.name})
	}
	src := r.Hop.Remote
	raw, err := compose.Response(s.buf[:0], r.Msg, src, &reply)
	if err != nil { // something of the request's that cannot be said again
		reply.Status, reply.Reason, reply.Headers = 500, "", nil
		raw, err = compose.Response(s.buf[:0], r.Msg, src, &reply)
	}
	s.buf = raw[:0]
	if err != nil || s.layer.Respond(id, raw) != nil {
		s.stats.Unsent++
	}
	if s.tell != nil {
		s.tell(Answer{Now: s.layer.Link().Now(), Status: reply.Status, Why: why, Req: r})
	}
}

// usable says no to a request that this element could not understand. The transaction layer has seen to the rest.
func usable(m *sip.Message) *refusal {
	switch {
	case !strings.EqualFold(string(m.Version.Of(m.Raw)), "SIP/2.0"):
		return refuse(BadVersion, 505)
	case !m.HasCSeq || m.CallID.Empty() || m.To.URI.Empty() || m.From.URI.Empty():
		return refuse(Malformed, 400)
	}
	for _, d := range m.Diags {
		switch d.Code {
		case sip.DiagURI, sip.DiagURIBrackets, sip.DiagURIBlanks:
			if within(d.Span, m.URI) || d.Code == sip.DiagURIBrackets {
				return refuse(Malformed, 400).because("Bad Request-URI")
			}
		default:
		}
	}
	return nil
}

func within(in, of sip.Span) bool { return in.Off >= of.Off && in.Off+in.Len <= of.Off+of.Len }

// maxTags bounds how many option tags of a request are named in an answer.
const maxTags = 16

// extensions says no when Require has an option tag that is none of known (RFC 3261 8.2.2.3).
func extensions(m *sip.Message, known ...string) *refusal {
	var bad []string
	for tag := range m.List(sip.HeaderRequire) {
		if ok := hasFold(known, tag); !ok && len(bad) < maxTags {
			bad = append(bad, clean(tag))
		}
	}
	if bad == nil {
		return nil
	}
	return refuse(Extension, 420, compose.Header{ID: sip.HeaderUnsupported, Value: strings.Join(bad, ", ")})
}

func hasFold(list []string, b []byte) bool {
	for _, s := range list {
		if strings.EqualFold(s, string(b)) {
			return true
		}
	}
	return false
}

// allow is the Allow header.
func (s *server) allow() compose.Header {
	return compose.Header{ID: sip.HeaderAllow, Value: strings.Join(s.allows, ", ")}
}

// method says no to a method that is not served: 405 when it is served by elements of another kind (RFC 3261 8.2.1).
func (s *server) method(m *sip.Message) *refusal {
	if m.MethodID == sip.MethodUnknown {
		return refuse(BadMethod, 501, s.allow())
	}
	return refuse(BadMethod, 405, s.allow())
}

// clean is b without control characters, which folds and hostile texts have.
func clean(b []byte) string {
	s := string(b)
	if strings.IndexFunc(s, control) < 0 {
		return s
	}
	return strings.Join(strings.FieldsFunc(s, control), " ")
}

func control(c rune) bool { return c < ' ' || c == 0x7f }

// appendContact appends a Contact value: "<uri>;q=0.5;expires=60;other". expires is in seconds, -1 for none.
func appendContact(dst []byte, b *Binding, expires int64) []byte {
	dst = append(append(append(dst, '<'), b.URI...), '>')
	if b.Q >= 0 {
		dst = appendQ(append(dst, ";q="...), b.Q)
	}
	if expires >= 0 {
		dst = strconv.AppendInt(append(dst, ";expires="...), expires, 10)
	}
	return append(dst, b.Params...)
}

// appendQ appends thousandths as a qvalue: "1", "0.9", "0.125" (RFC 3261 25.1).
func appendQ(dst []byte, q int) []byte {
	if q >= 1000 {
		return append(dst, '1')
	}
	if q <= 0 {
		return append(dst, '0')
	}
	digits := []byte{'0', '.', byte('0' + q/100), byte('0' + q/10%10), byte('0' + q%10)}
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return append(dst, digits...)
}

// date is the Date header (RFC 3261 20.17).
func date(now int64) compose.Header {
	const layout = "Mon, 02 Jan 2006 15:04:05 GMT"
	return compose.Header{ID: sip.HeaderDate, Value: time.Unix(0, now).UTC().Format(layout)}
}
