// Package dialog keeps what two user agents know of their dialog (RFC 3261 12): identity, sequence numbers, remote target
// and route set; and makes the requests within it.
//
// A Dialog is a value without lock, clock or socket, for one goroutine at a time. It keeps copies, never parts of the
// messages that it is shown. Which requests are sent, and what their answers mean for a call or a subscription, is for
// the user agent.
package dialog

import (
	"errors"
	"math/rand/v2"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// Errors.
var (
	// ErrNone says that a message makes no dialog: a 100, a 3xx to 6xx, a provisional response without a tag (RFC 3261
	// 12.1), or a message of the wrong kind.
	ErrNone = errors.New("message makes no dialog")
	// ErrMissing says that a message lacks what identifies a dialog, Call-ID or CSeq, or has a target that is no URI.
	ErrMissing = errors.New("message lacks a part of a dialog")
)

// State is how far a dialog is.
type State uint8

// States (RFC 3261 12); the zero value is none.
const (
	Early State = iota + 1
	Confirmed
	Ended
)

// String is the state's name.
func (s State) String() string {
	switch s {
	case Early:
		return "early"
	case Confirmed:
		return "confirmed"
	case Ended:
		return "ended"
	default:
		return "none"
	}
}

// Dialog is one side's view of a dialog. State is the user agent's to change when it answers 2xx or ends the dialog.
type Dialog struct {
	CallID    string
	LocalTag  string
	RemoteTag string   // "" for a peer without tags (RFC 2543)
	Local     string   // own From value, or To of the request that came, without its tag
	Remote    string   // the peer's
	Target    string   // the peer's Contact URI: where requests go in the end
	Route     []string // values for Route, in the order that this side sends them
	LocalSeq  uint32   // CSeq of the last request sent; 0 before the first
	RemoteSeq uint32   // CSeq of the last request received; 0 before the first, or of a first one with 0
	Secure    bool     // requests go by sips (RFC 3261 12.1.1, 12.1.2)
	Caller    bool     // this side sent the request that made it
	State     State

	heard bool // RemoteSeq is known
}

// FromResponse makes the dialog of a response resp that came to the own request req (RFC 3261 12.1.2): each To tag makes
// another one (RFC 3261 13.2.2.4), a 2xx also without any, from a peer that knows no tags. The route set is Record-Route
// in reverse. Without a Contact the Request-URI stays the target.
func FromResponse(req, resp *sip.Message) (*Dialog, error) {
	return fromResponse(req, resp)
}

// FromRequest makes the early dialog of a request that came (RFC 3261 12.1.1), which is answered with localTag. The
// route set is Record-Route as it stands.
func FromRequest(req *sip.Message, localTag string) (*Dialog, error) {
	return fromRequest(req, localTag)
}

// Match reports whether a message that came belongs to the dialog (RFC 3261 12.2.2, 12.2.1.2): Call-ID and both tags
// are the same, those of a request seen from the other side. A tag that is missing is the tag "" (RFC 2543).
func (d *Dialog) Match(m *sip.Message) bool {
	local, remote := m.From.Tag, m.To.Tag
	if m.Request {
		local, remote = remote, local
	}
	return string(m.CallID.Of(m.Raw)) == d.CallID &&
		string(local.Of(m.Raw)) == d.LocalTag && string(remote.Of(m.Raw)) == d.RemoteTag
}

// Check looks at a request that came within the dialog, after Match. 0: it is in order, and its CSeq is the last one
// now. 500: its CSeq is not above the last one (RFC 3261 12.2.2; an equal one of another transaction is as late). 481:
// it is of another dialog, or this one has ended. 400: it has no CSeq that can be read. ACK and CANCEL have the CSeq of
// their INVITE and change nothing.
func (d *Dialog) Check(req *sip.Message) (status int) {
	switch {
	case !req.Request || !req.HasCSeq:
		return 400
	case !d.Match(req) || d.State == Ended:
		return 481
	case req.MethodID == sip.MethodAck || req.MethodID == sip.MethodCancel:
		return 0
	case d.heard && req.CSeq <= d.RemoteSeq:
		return 500
	}
	d.RemoteSeq, d.heard = req.CSeq, true
	return 0
}

// Refresh takes from a message that came within the dialog what it changes. A request that may, or a 2xx to one, gives
// the remote target (RFC 3261 12.2.1.2, 12.2.2); the first 2xx to an own INVITE also confirms an early dialog, and its
// Record-Route is the route set from then on (RFC 3261 13.2.2.4). It is for messages that Match, and requests that Check
// let pass. resp answers a request with the method of its CSeq.
func (d *Dialog) Refresh(m *sip.Message) {
	if !refreshes(m.MethodID) || !m.Request && (m.Status < 200 || m.Status > 299) {
		return
	}
	if !m.Request && d.State == Early && d.Caller && (m.MethodID == sip.MethodInvite || m.MethodID == sip.MethodSubscribe) {
		d.State = Confirmed
		d.Route = routes(m, true)
	}
	if target := contact(m); target != "" {
		d.Target = target
	}
}

// refreshes reports whether a request changes the remote target: INVITE (RFC 3261 12.2), UPDATE (RFC 3311 5.1),
// SUBSCRIBE and NOTIFY (RFC 6665 4.4.1), REFER (RFC 3515 2.2).
func refreshes(method sip.MethodID) bool {
	switch method {
	case sip.MethodInvite, sip.MethodUpdate, sip.MethodSubscribe, sip.MethodNotify, sip.MethodRefer:
		return true
	default:
		return false
	}
}

// Request makes the next request of the dialog (RFC 3261 12.2.1.1) and counts LocalSeq up. The caller adds what it
// carries, and in Via who it is: a branch of rng is there already. The first CSeq of a side is from 1 to 65536.
func (d *Dialog) Request(method string, rng *rand.Rand) compose.Request {
	if d.LocalSeq == 0 {
		d.LocalSeq = rng.Uint32N(1 << 16)
	}
	d.LocalSeq++
	r := d.request(method, d.LocalSeq)
	r.Via.Branch = compose.Branch(rng)
	return r
}

// Ack makes the ACK of the 2xx to the own INVITE with that CSeq (RFC 3261 13.2.2.4). Each new ACK is a transaction of
// its own: the caller gives Via its branch. Credentials of the INVITE belong here too (RFC 3261 22.1).
func (d *Dialog) Ack(cseq uint32) compose.Request { return d.request("ACK", cseq) }

// request routes by the route set: a first entry without lr is a strict router, which wants its URI in the request line
// and the target at the end of Route (RFC 3261 12.2.1.1).
func (d *Dialog) request(method string, cseq uint32) compose.Request {
	r := compose.Request{
		Method: method, CallID: d.CallID, CSeq: cseq, From: tagged(d.Local, d.LocalTag), To: tagged(d.Remote, d.RemoteTag),
	}
	r.URI, r.Route = d.Path()
	return r
}

// Path gives the Request-URI and the values of Route of a request within the dialog (RFC 3261 12.2.1.1). The routes may be
// those of the dialog, and are not to be changed.
func (d *Dialog) Path() (uri string, route []string) {
	switch {
	case len(d.Route) == 0:
		return requestURI(d.Target), nil
	case loose(d.Route[0]):
		return requestURI(d.Target), d.Route
	default:
		return requestURI(bare(d.Route[0])), append(append(make([]string, 0, len(d.Route)), d.Route[1:]...), "<"+d.Target+">")
	}
}

// Next is the URI that says where a request goes next (RFC 3261 12.2.1.1, 8.1.2): the first of the route set, loose or
// strict, else the target.
func (d *Dialog) Next() string {
	if len(d.Route) > 0 {
		return bare(d.Route[0])
	}
	return d.Target
}

func tagged(value, tag string) string {
	if tag == "" {
		return value
	}
	return value + ";tag=" + tag
}

// bare is the URI of a route value, which Dialog wrote with brackets.
func bare(route string) string {
	return strings.TrimSuffix(strings.TrimPrefix(route, "<"), ">")
}
