package replay

import (
	"bytes"
	"slices"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
)

// tokenKind is what a token identifies.
type tokenKind uint8

const (
	tokenCall    tokenKind = iota + 1 // a Call-ID
	tokenTag                          // of From or To, within a Call-ID
	tokenBranch                       // of a Via
	tokenContact                      // URI of a live Contact, without parameters
	tokenRSeq                         // of a live provisional response, a number
	tokenETag                         // of a live SIP-ETag
	tokenSession                      // a half of Session-ID
	tokenOrigin                       // the session id in o= of our SDP, a number
	tokenNonce                        // of a challenge of ours
)

// token is a value that is another one in every play.
type token struct {
	kind     tokenKind
	recorded string
	ours     bool   // we make it
	host     int32  // that made it
	like     int32  // of a Call-ID: the one that it begins with, none
	suffix   string // what comes behind that, or the "@host" of a Call-ID of ours
	cookie   bool   // of a branch: RFC 3261's
}

// tokenKey is what tokens are equal by. scope is the Call-ID of a tag, the step of a RSeq, the host of an SDP origin; 0.
type tokenKey struct {
	kind  tokenKind
	scope int32
	value string
}

// minWord is the length from which a recorded value is replaced where no grammar says that it stands there, such as a
// Call-ID in X-CID or in a text of XML. What is shorter, or a short number, may be there by chance.
const (
	minWord   = 8
	minDigits = 12
)

// token gives the index of a token, which is made when it is new.
func (c *compiler) token(kind tokenKind, scope int32, value string, s *step) int32 {
	key := tokenKey{kind, scope, value}
	if t, ok := c.ids[key]; ok {
		return t
	}
	t := int32(len(c.tokens)) //nolint:gosec // a few for each step
	c.ids[key] = t
	c.tokens = append(c.tokens, token{kind: kind, recorded: value, ours: s.Kind == plan.Send, host: s.from, like: none})
	if len(value) >= minWord && (len(value) >= minDigits || !digits(value)) {
		if all := c.words[value]; len(all) < 4 {
			c.words[value] = append(all, t)
		}
	}
	return t
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// dirKey is a CSeq space: what one user agent sends within a Call-ID.
type dirKey struct{ call, tag int32 }

type dialogKey struct{ host, call, local, remote int32 }

// collect finds the tokens, CSeq spaces and dialogs of all messages. The first message that has a token says who made it.
func (c *compiler) collect() {
	for i := range c.steps {
		if s := &c.steps[i]; s.message() {
			c.collectFrom(s, int32(i))
		}
	}
	for i := range c.plan.Calls {
		t, ok := c.ids[tokenKey{tokenCall, 0, c.plan.Calls[i].CallID}]
		if !ok {
			t = none
		}
		c.calls = append(c.calls, t)
	}
	for i := range c.dialogs {
		d := &c.dialogs[i]
		d.mirror, d.dir = none, none
		if dir, ok := c.dirOf[dirKey{d.call, d.local}]; ok {
			d.dir = dir
		}
		for j := range c.hosts {
			if m, ok := c.dlgOf[dialogKey{int32(j), d.call, d.remote, d.local}]; ok {
				d.mirror = m
			}
		}
	}
}

// collectFrom finds those of a message.
func (c *compiler) collectFrom(s *step, i int32) {
	m := &s.msg
	s.call = c.callToken(s)
	if tag := s.text(m.From.Tag); tag != "" {
		s.fromTag = c.token(tokenTag, s.call, tag, s)
	}
	if tag := s.text(m.To.Tag); tag != "" {
		s.toTag = c.token(tokenTag, s.call, tag, s)
	}
	first := true
	for v := range m.AllVias() {
		b := s.text(v.Branch)
		if b != "" {
			t := c.token(tokenBranch, 0, b, s)
			if first {
				s.branch = t
			}
			c.tokens[t].cookie = len(b) > 7 && strings.EqualFold(b[:7], "z9hG4bK")
		}
		first = false
	}
	c.collectLive(s, i)
	if value, ok := m.Value(sip.HeaderSessionID); ok {
		c.sessionIDs(s, value)
	}
	if s.request {
		s.dir = c.direction(s)
	}
	c.dialog(s)
}

// callToken makes the token of a Call-ID. One of ours keeps the host behind its @, and begins with another Call-ID as the
// recorded one did, as those of back-to-back user agents do.
func (c *compiler) callToken(s *step) int32 {
	value := s.text(s.msg.CallID)
	if t, ok := c.ids[tokenKey{tokenCall, 0, value}]; ok {
		return t
	}
	t := c.token(tokenCall, 0, value, s)
	for i := minWord; i < len(value); i++ {
		if strings.IndexByte("_-@;.+:", value[i]) < 0 {
			continue
		}
		if like, ok := c.ids[tokenKey{tokenCall, 0, value[:i]}]; ok {
			c.tokens[t].like, c.tokens[t].suffix = like, value[i:]
		}
	}
	if _, at, ok := strings.Cut(value, "@"); ok && c.tokens[t].like < 0 {
		c.tokens[t].suffix = "@" + c.hostText(at)
	}
	return t
}

// hostText is a host as it is to be written: the address of the host that stands for a recorded address, without a port.
func (c *compiler) hostText(at string) string {
	addr, _, _, ok := parseHostPort([]byte(at))
	if !ok {
		return at
	}
	if h, known := c.alone[addr]; known && h >= 0 && c.hosts[h].addr.IsValid() {
		return c.hosts[h].addr.Addr().String()
	}
	return at
}

// collectLive finds the tokens that only a live host makes: what we identify by addresses is known before. The Contacts of
// the 200 of a registrar are not its own (RFC 3261 10.3).
func (c *compiler) collectLive(s *step, i int32) {
	if s.Kind != plan.Expect {
		return
	}
	m := &s.msg
	if s.origin < 0 && (s.request || s.status < 300) && s.method != "REGISTER" && m.Contacts > 0 && !m.ContactStar {
		if base := uriBase(m.Contact.URI.Of(m.Raw)); len(base) > 0 {
			s.contact = c.token(tokenContact, 0, string(base), s)
		}
	}
	if value, ok := m.Value(sip.HeaderRSeq); ok && s.provisional() {
		s.learn = append(s.learn, lesson{header: sip.HeaderRSeq, token: c.token(tokenRSeq, i, string(value), s)})
	}
	if value, ok := m.Value(sip.HeaderSIPETag); ok {
		s.learn = append(s.learn, lesson{header: sip.HeaderSIPETag, token: c.token(tokenETag, 0, string(value), s)})
	}
}

func (c *compiler) sessionIDs(s *step, value []byte) {
	id, ok := sip.ParseSessionID(value)
	if !ok {
		return
	}
	for i, half := range [...][]byte{id.Local, id.Remote} {
		if len(half) == 32 && len(bytes.Trim(half, "0")) > 0 {
			t := c.token(tokenSession, 0, string(half), s)
			s.learn = append(s.learn, lesson{header: sip.HeaderSessionID, token: t, remote: i == 1})
		}
	}
}

// direction is the CSeq space of a request: that of its From tag, but all REGISTERs of a Call-ID share one (RFC 3261
// 10.2), whatever their tags.
func (c *compiler) direction(s *step) int32 {
	key := dirKey{s.call, s.fromTag}
	if s.method == "REGISTER" {
		key.tag = none - 1
	}
	d, ok := c.dirOf[key]
	if !ok {
		d = c.dirs
		c.dirs++
		c.dirOf[key] = d
	}
	return d
}

// dialog finds the dialogs that a message makes or belongs to, as seen by those of its ends that are played user agents.
func (c *compiler) dialog(s *step) {
	if s.fromTag < 0 || s.toTag < 0 {
		return
	}
	switch {
	case s.method == "CANCEL":
	case s.byLayer && s.request: // the ACK of a failure goes the way of its INVITE
		s.local = c.steps[s.asked].local
	case s.request:
		c.ends(s, s.origin < 0, !s.relayed)
	case s.asked >= 0 && makesDialog(s.method):
		q := &c.steps[s.asked]
		c.ends(s, q.origin < 0, !q.relayed && s.origin < 0)
	}
}

// ends finds the dialog of a message at its ends that are user agents: caller of who sends the request, callee of who gets
// it.
func (c *compiler) ends(s *step, caller, callee bool) {
	from, to := s.from, s.to
	if !s.request {
		from, to = to, from
	}
	if caller && c.hosts[from].part == plan.Played {
		s.local = c.dialogOf(dialogKey{from, s.call, s.fromTag, s.toTag})
	}
	if callee && c.hosts[to].part == plan.Played {
		s.remote = c.dialogOf(dialogKey{to, s.call, s.toTag, s.fromTag})
	}
}

func (c *compiler) dialogOf(key dialogKey) int32 {
	d, ok := c.dlgOf[key]
	if !ok {
		d = int32(len(c.dialogs)) //nolint:gosec // a few for each step
		c.dlgOf[key] = d
		c.dialogs = append(c.dialogs, dialogSpec{host: key.host, call: key.call, local: key.local, remote: key.remote})
	}
	return d
}

// makesDialog reports whether responses to a request make or refresh dialogs (RFC 3261 12.1, RFC 3265, RFC 3311, RFC 3515).
func makesDialog(method string) bool {
	return slices.Contains([]string{"INVITE", "SUBSCRIBE", "REFER", "UPDATE", "NOTIFY"}, method)
}

// uriBase is a URI up to its parameters and headers.
func uriBase(uri []byte) []byte {
	if n := bytes.IndexAny(uri, ";?"); n >= 0 {
		uri = uri[:n]
	}
	return uri
}
