package replay

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// none is the index of nothing.
const none = int32(-1)

// script is a plan made ready to be played: all that does not change from play to play.
type script struct {
	plan    *plan.Plan
	hosts   []host
	steps   []step
	tokens  []token
	dialogs []dialogSpec
	dirs    int32   // CSeq spaces
	calls   []int32 // by index into plan.Calls: the token of its Call-ID
	sockets []socketSpec
	users   []string // users that answer challenges, see step.user
	asks    []ask    // challenges that we make
	texts   []string
	fields  []template
	notes   []string // for every outcome

	callTokens []int32 // all Call-IDs
	incoming   []int32 // requests of the live side's that begin a call
	requests   map[requestKey][]int32
	byLocal    map[netip.AddrPort]int32
	byAddr     map[netip.Addr]int32 // a host that is alone at its address
	roots      []int32
	self       bool      // nobody is live
	byDir      [][]int32 // requests of a CSeq space, in order
}

// host is a participant.
type host struct {
	name   string
	part   plan.Part
	places []transport.Listen // of a played one, what it is known by first
	at     []netip.AddrPort
	names  []string
	text   string // "127.0.0.1:5060", of Played and Live ones
	addr   netip.AddrPort
}

// requestKey is what requests that come are looked up by.
type requestKey struct {
	call   int32
	method string
}

// step is a plan.Step with what it has to do with the others. Indices are those of steps unless a name says otherwise.
type step struct {
	*plan.Step

	from, to int32           // hosts
	carrier  transport.Proto // when the live host is one of them
	msg      sip.Message
	request  bool
	method   string
	status   int
	call     int32 // token
	fromTag  int32 // token
	toTag    int32 // token
	dir      int32 // CSeq space of a request

	asked      int32   // of a response its request; of an ACK or a CANCEL the INVITE
	answers    []int32 // of a request its responses
	final      int32   // of an ACK the response that it acknowledges
	ack        int32   // of a final response to an INVITE: the ACK that its receiver sends
	ackIn      int32   // likewise: the ACK that comes to its sender
	origin     int32   // what the sender received and forwards by this; none when it makes it itself
	relayed    bool    // its receiver forwards it
	retry      int32   // of a request that is challenged: the one that answers
	retryOf    int32   // the reverse
	prack      int32   // of a PRACK the provisional response, of that its PRACK
	refers     int32   // of what has "Event: refer;id=1" the REFER
	keepsURI   bool    // of a request within a dialog: its Request-URI was none of the dialog's, and is played so
	outside    bool    // it went elsewhere than its dialog said: by an outbound proxy (RFC 3261 8.1.2)
	broken     bool    // it lacks Via, Call-ID or CSeq: no transaction can have it
	byLayer    bool    // the transaction layer does it: an ACK of what is no 2xx, the answer to a CANCEL
	via        string  // of a response with viaChanged: parameters of the top Via, instead of those of its request
	viaChanged bool
	local      int32 // dialog of the sender of a request, of the receiver of a response
	remote     int32 // dialog of the receiver of a request, of the sender of a response
	sdpLive    bool  // the body is that of the live message that it forwards
	user       int32 // of script.users, who answers challenges to a request
	ask        int32 // of script.asks, the challenge that a response makes
	lasts      int64 // of a 2xx: the seconds after which it is to be refreshed, 0 unknown
	fresh      int32 // of a refresh: the 2xx that it comes after, none
	contact    int32 // token of a live Contact
	learn      []lesson
	branch     int32   // token of the top Via
	socket     int32   // of a Media step: script.sockets, none
	cancels    []int32 // of an INVITE
	effects    []int32 // what has no place in the flow without it

	needs      int     // how many of After are there
	onSent     []int32 // what goes on when it was sent
	onReceived []int32 // what goes on when it arrived
	gap        int64

	edits []edit // of the head, then of the body, in order
	head  int    // how many are of the head
	body  bool   // whether there are edits of the body
}

// provisional reports whether it is a 1xx.
func (s *step) provisional() bool { return !s.request && s.status > 0 && s.status < 200 }

// isFinal reports whether it is a response from 200 on.
func (s *step) isFinal() bool { return !s.request && s.status >= 200 }

// carried is the transport of the recording.
func (s *step) carried() transport.Proto { return max(s.Proto, transport.UDP) }

// message reports whether the step is a message at all.
func (s *step) message() bool { return s.Kind == plan.Send || s.Kind == plan.Expect }

// what says what its message is: "INVITE", "200 to INVITE".
func (s *step) what() string {
	if s.request {
		return clean(s.method)
	}
	return statusText(s.status) + " to " + clean(s.method)
}

// lesson is a token that a header of a live message tells.
type lesson struct {
	header sip.HeaderID
	token  int32
	remote bool // the second half of Session-ID
}

// ask is a challenge that we make.
type ask struct {
	host  int32 // who asks
	realm string
	proxy bool
	algs  []string
	qops  []string
	given bool // there are credentials to verify answers by
}

// socketSpec is an address of RTP that a played host's SDP names.
type socketSpec struct {
	host int32
	at   netip.AddrPort // recorded
}

// dialogSpec is a dialog as one played host sees it.
type dialogSpec struct {
	host, call    int32
	local, remote int32 // tags, tokens
	dir           int32 // CSeq space of the host, none when it sends no request
	mirror        int32 // the same dialog as its other end sees it, when that is played too
}

// compiler makes a script.
type compiler struct {
	*script
	o *Options

	hostOf map[string]int32
	ids    map[tokenKey]int32
	words  map[string][]int32 // tokens by their recorded text, for where no grammar says what stands there
	dirOf  map[dirKey]int32
	dlgOf  map[dialogKey]int32
	mapped map[netip.AddrPort]string
	atHost map[netip.AddrPort]int32
	alone  map[netip.Addr]int32 // host that an address without a port means; none for several
	byName map[netip.Addr]bool  // of alone: no host was seen there, but some name it
	named  map[string]int32     // hosts by the names of their Vias and Contacts
	socket map[socketSpec]int32
	userOf map[string]int32
	s      *step // that is being edited
	index  int32 // of it
	scope  int32 // Call-ID that was read last, for the tags behind it
}

// compile makes a script of a plan.
func compile(p *plan.Plan, o *Options) (*script, error) {
	c := &compiler{
		script: &script{
			plan: p, requests: map[requestKey][]int32{}, byLocal: map[netip.AddrPort]int32{}, byAddr: map[netip.Addr]int32{},
		},
		o: o, hostOf: map[string]int32{}, ids: map[tokenKey]int32{}, words: map[string][]int32{},
		dirOf: map[dirKey]int32{}, dlgOf: map[dialogKey]int32{}, mapped: map[netip.AddrPort]string{}, atHost: map[netip.AddrPort]int32{},
		alone: map[netip.Addr]int32{}, byName: map[netip.Addr]bool{}, named: map[string]int32{}, socket: map[socketSpec]int32{}, userOf: map[string]int32{},
	}
	if err := p.Validate(); err != nil {
		return nil, wrap(ErrPlan, "%w", err)
	}
	if err := c.castHosts(); err != nil {
		return nil, err
	}
	if err := c.read(); err != nil {
		return nil, err
	}
	c.link()
	c.collect()
	c.outsiders()
	if !o.Verbatim {
		for i := range c.steps {
			if c.steps[i].Kind == plan.Send {
				c.edit(int32(i))
			}
		}
	}
	c.order()
	return c.script, nil
}

// castHosts finds who plays, and what becomes of recorded addresses.
func (c *compiler) castHosts() error {
	_, live := c.plan.LiveHost()
	c.self = !live
	for i := range c.plan.Hosts {
		h := &c.plan.Hosts[i]
		n := host{name: h.Name, part: h.Part, at: h.At, names: h.Names}
		x := int32(i)
		switch h.Part {
		case plan.Played:
			if err := c.settle(&n, x); err != nil {
				return err
			}
		case plan.Live:
			n.addr = unmapped(c.o.Target.Remote)
		default:
		}
		if n.addr.IsValid() {
			n.text = n.addr.String()
		}
		c.hostOf[h.Name] = x
		c.hosts = append(c.hosts, n)
		c.address(x)
	}
	c.otherNames()
	for from, to := range c.o.Rewrite.addrs {
		c.mapped[from] = to.String()
	}
	return nil
}

// settle notes where a played host listens.
func (c *compiler) settle(n *host, x int32) error {
	for _, at := range append([]transport.Listen{c.o.Local[n.name]}, c.o.Also[n.name]...) {
		at.AddrPort = unmapped(at.AddrPort)
		n.places = append(n.places, at)
		if other, taken := c.byLocal[at.AddrPort]; taken && other != x {
			return wrap(ErrOptions, "%q and %q listen at the same place", c.hosts[other].name, n.name)
		}
		c.byLocal[at.AddrPort] = x
		c.byAddr[at.Addr()] = aloneOr(c.byAddr, at.Addr(), x)
	}
	n.addr = n.places[0].AddrPort
	return nil
}

// place is where a played host listens for a transport; where it does for none of that kind, what it is known by.
func (h *host) place(proto transport.Proto) transport.Listen {
	for _, at := range h.places {
		if at.Proto == proto {
			return at
		}
	}
	if len(h.places) == 0 {
		return transport.Listen{Proto: proto, AddrPort: h.addr}
	}
	return h.places[0]
}

func aloneOr[K comparable](m map[K]int32, a K, x int32) int32 {
	if other, ok := m[a]; ok && other != x {
		return none
	}
	return x
}

// address notes the recorded addresses of a host.
func (c *compiler) address(x int32) {
	h := &c.hosts[x]
	for _, at := range h.at {
		at = unmapped(at)
		c.atHost[at] = x
		if h.text != "" {
			if _, taken := c.mapped[at]; !taken {
				c.mapped[at] = h.text
			}
		}
		c.alone[at.Addr()] = aloneOr(c.alone, at.Addr(), x)
	}
	for _, name := range h.names {
		if h.text == "" {
			break
		}
		name = strings.ToLower(name)
		c.named[name] = aloneOr(c.named, name, x)
		if n := strings.LastIndexByte(name, ':'); n > 0 && !strings.HasSuffix(name, "]") { // a Route need not say the port
			c.named[name[:n]] = aloneOr(c.named, name[:n], x)
		}
	}
}

// otherNames notes the addresses that hosts name in their Vias and Contacts though nothing was seen there: that of an
// interface, of a NAT. Those where something was seen go before.
func (c *compiler) otherNames() {
	for i := range c.hosts {
		h := &c.hosts[i]
		for _, name := range h.names {
			addr, port, hasPort, ok := parseHostPort([]byte(name))
			if !ok || h.text == "" {
				continue
			}
			if !hasPort {
				port = transport.UDP.DefaultPort()
			}
			c.otherName(int32(i), netip.AddrPortFrom(addr, port))
		}
	}
}

// otherName notes one of them, unless it is somebody's already.
func (c *compiler) otherName(h int32, at netip.AddrPort) {
	if _, taken := c.mapped[at]; taken {
		return
	}
	c.mapped[at] = c.hosts[h].text
	if _, seen := c.atHost[at]; !seen {
		c.atHost[at] = h
	}
	if other, there := c.alone[at.Addr()]; !there || other != h && c.byName[at.Addr()] {
		c.byName[at.Addr()] = true
		c.alone[at.Addr()] = aloneOr(c.alone, at.Addr(), h)
	}
}

// read parses the messages.
func (c *compiler) read() error {
	c.steps = make([]step, len(c.plan.Steps))
	for i := range c.steps {
		p := &c.plan.Steps[i]
		s := &c.steps[i]
		*s = step{
			Step: p, from: none, to: none, call: none, fromTag: none, toTag: none, dir: none, asked: none, final: none, ack: none, ackIn: none,
			origin: none, retry: none, retryOf: none, prack: none, refers: none, local: none, remote: none, user: none, ask: none,
			fresh: none, contact: none, branch: none, socket: none, gap: max(p.Gap, 0),
		}
		s.carrier = c.plan.Carrier(p, c.o.Target.Proto)
		if h, ok := c.hostOf[p.From]; ok {
			s.from = h
		}
		if h, ok := c.hostOf[p.To]; ok {
			s.to = h
		}
		if s.message() {
			if err := c.readMessage(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *compiler) readMessage(s *step) error {
	raw := s.Message
	if err := sip.Parse(raw, &s.msg); err != nil {
		return wrap(ErrPlan, "step %d: %w", s.ID, err)
	}
	if !c.o.Verbatim && len(raw) == int(s.msg.Head) && !bytes.HasSuffix(raw, []byte("\r\n\r\n")) && !bytes.HasSuffix(raw, []byte("\n\n")) {
		if err := sip.Parse(completed(raw), &s.msg); err != nil {
			return wrap(ErrPlan, "step %d: %w", s.ID, err)
		}
	}
	m := &s.msg
	s.msg.Diags = nil // an analyzer tells of them
	s.request, s.status = m.Request, int(m.Status)
	s.method = string(m.Method.Of(m.Raw))
	s.broken = m.CallID.Empty() || !m.HasCSeq || m.Vias == 0
	return nil
}

// completed ends the head of a message that was cut off within it, which no receiver could use.
func completed(raw []byte) []byte {
	raw = slices.Clone(raw)
	for len(raw) > 0 && (raw[len(raw)-1] == '\r' || raw[len(raw)-1] == '\n') {
		raw = raw[:len(raw)-1]
	}
	return append(raw, "\r\n\r\n"...)
}

// order says what goes on after what.
func (c *compiler) order() {
	c.byDir = make([][]int32, c.dirs)
	for j := range c.steps {
		s := &c.steps[j]
		x := int32(j)
		c.after(s, x)
		c.effects(s, x)
		if s.needs == 0 {
			c.roots = append(c.roots, x)
		}
		if !s.request {
			continue
		}
		if s.dir >= 0 && s.Kind == plan.Send && s.origin < 0 && s.method != "ACK" && s.method != "CANCEL" {
			c.byDir[s.dir] = append(c.byDir[s.dir], x)
		}
		key := requestKey{s.call, s.method}
		c.requests[key] = append(c.requests[key], x)
	}
	for t := range c.tokens {
		if c.tokens[t].kind == tokenCall {
			c.callTokens = append(c.callTokens, int32(t))
		}
	}
}

// after notes what a step waits for. Who has sent something goes on at once, others when it has arrived.
func (c *compiler) after(s *step, j int32) {
	for _, id := range s.After {
		before := &c.steps[id-1] // the plan is valid: it is one before this
		s.needs++
		if before.Kind == plan.Send && before.from == s.from {
			before.onSent = append(before.onSent, j)
		} else {
			before.onReceived = append(before.onReceived, j)
		}
	}
}

// effects notes what has no place in a flow without a step: its answer, its ACK, its PRACK, its copy, its CANCEL.
func (c *compiler) effects(s *step, j int32) {
	if !s.message() {
		return
	}
	causes := [...]int32{s.asked, s.final, s.origin, none}
	if s.method == "PRACK" && s.request {
		causes[3] = s.prack
	}
	for _, i := range causes {
		if i >= 0 {
			c.steps[i].effects = append(c.steps[i].effects, j)
		}
	}
	if s.request && s.method == "CANCEL" && s.asked >= 0 {
		c.steps[s.asked].cancels = append(c.steps[s.asked].cancels, j)
	}
	if s.request && s.Kind == plan.Expect && s.toTag < 0 && s.method != "ACK" && s.method != "CANCEL" && !c.tokens[s.call].ours {
		c.incoming = append(c.incoming, j)
	}
}
