package replay

import (
	"math"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// stepFlag is what has become of a step in a play.
type stepFlag uint16

const (
	flagSent     stepFlag = 1 << iota // it left, or a live host sent it
	flagReceived                      // it arrived; of one for a live host: it left
	flagSkipped                       // it has no place in the live flow
	flagEnabled                       // all of After has happened
	flagRung                          // of a request: a provisional response came
	flagFinal                         // of a request: a final response came, or none will
	flagReplied                       // of a request that came: we sent a final response
	flagRetried                       // of a request: an answer to a challenge was inserted
	flagAcked                         // of a 2xx to an INVITE that we sent: its ACK came
	flagWaits                         // of a CANCEL: a provisional response must come first

	flagRenewed // of a request: its branch was in use, and made anew
	flagStuck   // it was due, and waits for what it cannot be sent without
)

// done reports whether nothing more is to happen.
func (f stepFlag) done() bool {
	return f&flagSkipped != 0 || f&(flagSent|flagReceived) == flagSent|flagReceived
}

// stepState is a step in a play.
type stepState struct {
	flags    stepFlag
	status   uint16 // live
	again    uint16 // how often it was sent again
	left     uint16 // of After, that has not happened
	tries    uint8  // how often it was sent once more since the live side refused it
	cseq     uint32 // live
	at       int64  // when it was sent, or came from a live host
	arrived  int64
	deadline int64  // until when it must have come; 0: none
	client   txn.ID // of a request that was sent
	server   txn.ID // of a request that came
}

// top is the request of ours with the highest CSeq of its space.
type top struct {
	cseq uint32
	step int32
}

// span is a text in a play's arena.
type span struct{ off, n uint32 }

// kept is a live message that a later step is made of.
type kept struct {
	step int32
	hop  transport.Hop
	raw  []byte
}

// leg is a dialog of a play, as one of our user agents sees it.
type leg struct {
	*dialog.Dialog

	spec    int32
	host    int32
	invite  int32            // the step that made it
	cseq    uint32           // of the INVITE
	session bool             // an INVITE made it
	watch   bool             // a SUBSCRIBE of ours made it
	feeds   bool             // a SUBSCRIBE that came made it, or refreshed it, and we accepted
	tried   bool             // what ends it was challenged, and sent once more
	up      bool             // a 2xx was sent or received
	acked   bool             // and its ACK
	over    bool             // a BYE was sent or came
	event   string           // of a subscription
	rseq    int64            // of the last provisional response that was acknowledged beside the plan
	pracks  int              // how many were
	last    []compose.Header // of the request that ends it
}

// resend is a response that we send again until it is acknowledged: a 2xx to an INVITE (RFC 3261 13.3.1.4), a reliable
// provisional response (RFC 3262 3).
type resend struct {
	step  int32
	hop   transport.Hop
	raw   []byte
	every int64
	next  int64
	until int64
}

// play is one play of a script.
type play struct {
	*Player

	id     uint64
	began  int64
	input  map[string]string
	states []stepState
	values []span  // of tokens; n is 0 for one that has none yet
	buf    []byte  // what they point into
	shift  []int32 // by CSeq space: live less recorded
	tops   []top   // by CSeq space: what we sent
	queue  []int32 // steps that are due
	open   int     // steps that are not done
	kept   []kept
	legs   []leg
	again  []resend
	auth   []client
	wait   []held
	socket []socket
	proofs []proof
	given  []given
	held   []int32 // requests that wait for the answers to those before them

	minExpires, minSE int64 // seconds, of live 423 and 422
	checkAt           int64 // when deadlines are looked at; 0: never
	polite            int   // transactions of ours that belong to no step
	ending            bool  // nothing more is played
	endBy             int64 // when it ends in any case
	over              bool
	verdict           Verdict
	step              int
	reason            string
	notes             []string
	first, ring       int64 // times of responses; 0: none
	answer            int64
	answered          bool // by a 2xx
	fars              []far
}

// client answers challenges for a user.
type client struct {
	user int32
	*auth.Client
}

// given is the credentials that an INVITE had.
type given struct {
	step    int32
	headers []compose.Header
}

// held is a challenge that a later step answers, or how long a step must wait.
type held struct {
	step  int32
	raw   []byte // a 401 or 407
	at    int64  // not before; 0: at any time
	lasts int64  // of a live 2xx: seconds; 0 unknown
}

// newPlay gives a play with nothing done, of what another one has left when there is one.
func (p *Player) newPlay() *play {
	var g *play
	if n := len(p.idle); n > 0 {
		g = p.idle[n-1]
		p.idle = p.idle[:n-1]
	} else {
		g = &play{
			states: make([]stepState, len(p.script.steps)), values: make([]span, len(p.script.tokens)),
			shift: make([]int32, p.script.dirs), tops: make([]top, p.script.dirs),
		}
	}
	*g = play{
		Player: p, id: g.id, states: g.states, values: g.values, shift: g.shift, tops: g.tops, buf: g.buf[:0], queue: g.queue[:0],
		kept: g.kept[:0], legs: g.legs[:0], again: g.again[:0], auth: g.auth[:0], wait: g.wait[:0], socket: g.socket[:0], fars: g.fars[:0], proofs: g.proofs[:0], held: g.held[:0], given: g.given[:0],
	}
	clear(g.values)
	clear(g.shift)
	clear(g.tops)
	for i := range g.states {
		g.states[i] = stepState{left: uint16(min(p.script.steps[i].needs, math.MaxUint16)), at: -1, arrived: -1} //nolint:gosec // bounded
	}
	return g
}

// maxIdle bounds the plays that are kept to be used again, and how much of the texts of each.
const (
	maxIdle = 1024
	maxKeep = 16 << 10
)

// recycle keeps what a play has allocated for another one.
func (p *Player) recycle(g *play) {
	clear(g.kept[:cap(g.kept)])
	clear(g.legs[:cap(g.legs)])
	clear(g.again[:cap(g.again)])
	clear(g.auth[:cap(g.auth)])
	clear(g.wait[:cap(g.wait)])
	clear(g.socket[:cap(g.socket)])
	clear(g.proofs[:cap(g.proofs)])
	clear(g.fars[:cap(g.fars)])
	clear(g.given[:cap(g.given)])
	g.input, g.notes = nil, nil
	if len(p.idle) < maxIdle && cap(g.buf) <= maxKeep {
		p.idle = append(p.idle, g)
	}
}

// value gives the live text of a token, of ours. One is made when it is asked for first.
func (g *play) value(t int32) []byte {
	if g.values[t].n == 0 {
		g.make(t)
	}
	v := g.values[t]
	return g.buf[v.off : v.off+v.n]
}

// appendValue appends the live text of a token; of one that the live side did not give what was recorded.
func (g *play) appendValue(dst []byte, t int32) []byte {
	if k := &g.script.tokens[t]; g.values[t].n == 0 && !k.ours {
		return append(dst, k.recorded...)
	}
	return append(dst, g.value(t)...)
}

// bound reports whether a token has a live value.
func (g *play) bound(t int32) bool { return t >= 0 && g.values[t].n > 0 }

// maxBound is the longest live text that a token takes; nothing honest is longer.
const maxBound = 4096

// bind gives a token its live value. The first one stays, but for what a peer may change.
func (g *play) bind(t int32, b []byte) {
	if t < 0 || len(b) == 0 || len(b) > maxBound || len(g.buf)+len(b) > maxArena+perToken*len(g.values) {
		return
	}
	kind := g.script.tokens[t].kind
	if g.script.tokens[t].ours {
		return // nobody tells us who we are
	}
	if g.values[t].n > 0 && kind != tokenContact && kind != tokenETag {
		return
	}
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return // nothing that identifies has blanks
		}
	}
	if v := g.values[t]; string(g.buf[v.off:v.off+v.n]) == string(b) {
		return
	}
	g.values[t] = span{uint32(len(g.buf)), uint32(len(b))} //nolint:gosec // bounded
	g.buf = append(g.buf, b...)
	if kind == tokenCall {
		g.index(t, b)
	}
}

// maxArena and perToken bound the texts of a play, in bytes.
const (
	maxArena = 1 << 20
	perToken = 256 // more for each, in a plan of many calls
)

// make gives a token of ours a fresh value.
func (g *play) make(t int32) {
	k := &g.script.tokens[t]
	rng := g.o.Rand
	var like []byte
	if k.like >= 0 {
		like = g.value(k.like) // before this one's place is taken
	}
	from := len(g.buf)
	switch k.kind {
	case tokenCall:
		if k.like >= 0 {
			g.buf = append(g.buf, like...)
		} else {
			g.buf = appendRandom(g.buf, rng.Uint64())
			g.buf = appendRandom(g.buf, rng.Uint64())
		}
		g.buf = append(g.buf, k.suffix...)
	case tokenBranch:
		if k.cookie {
			g.buf = append(g.buf, "z9hG4bK"...)
		}
		g.buf = appendRandom(g.buf, rng.Uint64())
		g.buf = appendRandom(g.buf, rng.Uint64())
	case tokenTag:
		g.buf = appendRandom(g.buf, rng.Uint64())
	case tokenSession:
		g.buf = appendHex(appendHex(g.buf, rng.Uint64()), rng.Uint64())
	case tokenOrigin:
		g.buf = appendNumber(g.buf, rng.Uint64()>>12)
	default:
		g.buf = append(g.buf, k.recorded...)
	}
	g.values[t] = span{uint32(from), uint32(len(g.buf) - from)} //nolint:gosec // bounded
	if k.kind == tokenCall {
		g.index(t, g.buf[from:])
	}
}

// renew has a token of ours made again when it is asked for next.
func (g *play) renew(t int32) {
	if t >= 0 {
		g.values[t] = span{}
	}
}

// keep keeps a live message for the steps that are made of it.
func (g *play) keep(i int32, r *transport.Received) {
	s := &g.script.steps[i]
	if s.relayed || s.request && s.method == "ACK" && s.remote < 0 {
		g.kept = append(g.kept, kept{step: i, hop: r.Hop, raw: append([]byte(nil), r.Msg.Raw...)})
	}
}

// keptOf finds a live message that was kept.
func (g *play) keptOf(i int32) *kept {
	for k := range g.kept {
		if g.kept[k].step == i {
			return &g.kept[k]
		}
	}
	return nil
}

// legOf finds a dialog.
func (g *play) legOf(spec int32) *leg {
	if spec < 0 {
		return nil
	}
	for i := range g.legs {
		if g.legs[i].spec == spec {
			return &g.legs[i]
		}
	}
	return nil
}

// clientOf gives who answers challenges for a user.
func (g *play) clientOf(user int32) *auth.Client {
	for i := range g.auth {
		if g.auth[i].user == user {
			return g.auth[i].Client
		}
	}
	return g.newClient(user)
}

// newClient gives a user a client that has seen no challenge.
func (g *play) newClient(user int32) *auth.Client {
	c := auth.NewClient(g.credentials(user)...)
	c.Rand = g.o.Rand
	for i := range g.auth {
		if g.auth[i].user == user {
			g.auth[i].Client = c
			return c
		}
	}
	g.auth = append(g.auth, client{user, c})
	return c
}

// known reports whether there is a client for a user already, and gives it.
func (g *play) knownClient(user int32) *auth.Client {
	for i := range g.auth {
		if g.auth[i].user == user {
			return g.auth[i].Client
		}
	}
	return nil
}

// credentials are what a user has: those of its name, else those that name no realm or stand alone.
func (g *play) credentials(user int32) []auth.Credentials {
	name := ""
	if user >= 0 {
		name = g.script.users[user]
	}
	var own, other []auth.Credentials
	for i := range g.o.Credentials {
		c := g.o.Credentials[i]
		if len(g.input) > 0 {
			c.User, c.Password = g.fill(c.User), g.fill(c.Password)
		}
		if c.User == name {
			own = append(own, c)
		} else {
			other = append(other, c)
		}
	}
	if len(own) > 0 {
		return own
	}
	return other
}

// fill puts the values of a row into a text; a text that is no template stays.
func (g *play) fill(s string) string {
	t, err := parseTemplate(s)
	if err != nil {
		return s
	}
	return string(t.append(nil, g.input))
}

// bindMessage learns from a live message what a recorded one stands for.
func (g *play) bindMessage(i int32, m *sip.Message) {
	s := &g.script.steps[i]
	g.bind(s.call, m.CallID.Of(m.Raw))
	g.bind(s.fromTag, m.From.Tag.Of(m.Raw))
	g.bind(s.toTag, m.To.Tag.Of(m.Raw))
	st := &g.states[i]
	st.cseq = m.CSeq
	if s.request && s.dir >= 0 && s.Kind == plan.Expect && s.method != "ACK" && s.method != "CANCEL" {
		g.shift[s.dir] = int32(m.CSeq) - int32(s.msg.CSeq) //nolint:gosec // RFC 3261 8.1.1.5: below 2^31; else it wraps
	}
	if s.Kind != plan.Expect {
		return
	}
	if s.contact >= 0 && m.Contacts > 0 && !m.ContactStar {
		g.bind(s.contact, uriBase(m.Contact.URI.Of(m.Raw)))
	}
	for _, b := range s.learn {
		if value, ok := m.Value(b.header); ok {
			g.learnValue(b, value)
		}
	}
}

// learnValue binds what a header identifies.
func (g *play) learnValue(b lesson, value []byte) {
	if b.header != sip.HeaderSessionID {
		g.bind(b.token, value)
		return
	}
	id, _ := sip.ParseSessionID(value)
	if b.remote {
		g.bind(b.token, id.Remote)
	} else {
		g.bind(b.token, id.Local)
	}
}
