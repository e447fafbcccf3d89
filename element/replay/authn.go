package replay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
)

// credentialsFor gives the credentials of a request of ours, of which raw is all the rest: for a challenge that came for
// it (challenge), for the one that the recorded request answers, or for the last one of the same servers.
func (g *play) credentialsFor(i int32, raw []byte, challenge *sip.Message) ([]compose.Header, error) {
	s := &g.script.steps[i]
	if s.method == "ACK" || s.method == "CANCEL" {
		return g.givenTo(s.asked), nil
	}
	if challenge == nil && s.retryOf >= 0 {
		challenge = g.heldFor(i)
	}
	c := g.knownClient(s.user)
	if challenge == nil && (c == nil || !s.credentials()) && g.states[i].flags&flagRetried == 0 {
		return nil, nil
	}
	if err := sip.Parse(raw, &g.msg); err != nil {
		return nil, fmt.Errorf("what was made of it is no message: %w", err)
	}
	method, uri, body := string(g.msg.Method.Of(raw)), string(g.msg.URI.Of(raw)), g.msg.Body.Of(raw)
	switch {
	case challenge != nil:
		return g.answerTo(i, challenge, method, uri, body)
	case c != nil:
		return g.remember(i, c.Preempt(method, uri, body)), nil
	default:
		return nil, nil
	}
}

// answerTo answers a challenge.
func (g *play) answerTo(i int32, challenge *sip.Message, method, uri string, body []byte) ([]compose.Header, error) {
	s := &g.script.steps[i]
	headers, err := g.clientOf(s.user).Answer(challenge, method, uri, body)
	if errors.Is(err, auth.ErrRefused) && s.retryOf >= 0 { // the recorded user tried again as well
		headers, err = g.newClient(s.user).Answer(challenge, method, uri, body)
	}
	if err != nil {
		return nil, g.explain(s, challenge, err)
	}
	return g.remember(i, headers), nil
}

// heldFor is the live challenge that a recorded request answers; nil when there is none.
func (g *play) heldFor(i int32) *sip.Message {
	for k := range g.wait {
		if h := &g.wait[k]; h.step == i && h.raw != nil && sip.Parse(h.raw, &g.src) == nil {
			return &g.src
		}
	}
	return nil
}

// remember keeps the credentials of an INVITE for its ACK, which has the same ones (RFC 3261 22.1).
func (g *play) remember(i int32, headers []compose.Header) []compose.Header {
	if g.script.steps[i].method != "INVITE" || len(headers) == 0 {
		return headers
	}
	for k := range g.given {
		if g.given[k].step == i {
			g.given[k].headers = headers
			return headers
		}
	}
	g.given = append(g.given, given{i, headers})
	return headers
}

// givenTo finds the credentials of the INVITE of an ACK.
func (g *play) givenTo(q int32) []compose.Header {
	for k := range g.given {
		if g.given[k].step == q {
			return g.given[k].headers
		}
	}
	return nil
}

// credentials reports whether the recorded request has some.
func (s *step) credentials() bool {
	_, origin := s.msg.Value(sip.HeaderAuthorization)
	_, proxy := s.msg.Value(sip.HeaderProxyAuthorization)
	return origin || proxy
}

// answersChallenge reports whether the recorded request has credentials of a realm, for a proxy or not: the same host may ask
// for both.
func (s *step) answersChallenge(realm string, proxy bool) bool {
	id := sip.HeaderAuthorization
	if proxy {
		id = sip.HeaderProxyAuthorization
	}
	for value := range s.msg.Values(id) {
		if c, ok := sip.ParseCredentials(value); ok && string(sip.Unquote(c.Realm)) == realm {
			return true
		}
	}
	return false
}

// explain says in words why a challenge was not answered. It names no secret.
func (g *play) explain(s *step, challenge *sip.Message, err error) error {
	user := ""
	if s.user >= 0 {
		user = g.script.users[s.user]
	}
	if errors.Is(err, auth.ErrNoChallenge) {
		return fmt.Errorf("%w: realm %q asks user %q for a password; --cred", err, realmOf(challenge), clean(user))
	}
	return fmt.Errorf("user %q: %w", clean(user), err)
}

// realmOf is the realm of the first challenge.
func realmOf(m *sip.Message) string {
	for _, id := range [...]sip.HeaderID{sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate} {
		for value := range m.Values(id) {
			if c, ok := sip.ParseChallenge(value); ok && len(c.Realm) > 0 {
				return clean(string(sip.Unquote(c.Realm)))
			}
		}
	}
	return ""
}

// challenged answers a live 401 or 407 that the recording does not have, by the same request once more. An error says why
// it cannot.
func (g *play) challenged(q int32, m *sip.Message) error {
	s, st := &g.script.steps[q], &g.states[q]
	if s.origin >= 0 || s.method == "ACK" || s.method == "CANCEL" {
		return errors.New("it is not ours to answer")
	}
	if !g.repeat(q) {
		return fmt.Errorf("it was refused %d times already", maxTries)
	}
	st.flags |= flagRetried
	if err := g.sendRequest(q, m); err != nil {
		st.flags |= flagFinal
		return err
	}
	g.note(fmt.Sprintf("step %d: +auth: %d of realm %q answered, CSeq +1", s.ID, m.Status, realmOf(m)))
	return nil
}

// maxTries is how often a request is sent once more at most: a live side can find something to ask for in each of them.
const maxTries = 8

// repeat prepares a request to be sent once more: with a CSeq one higher and another branch (RFC 3261 22.2, 8.1.3.5). It
// reports false when that was done often enough.
func (g *play) repeat(q int32) bool {
	s, st := &g.script.steps[q], &g.states[q]
	if st.tries == maxTries || s.dir < 0 {
		return false
	}
	st.tries++
	g.shift[s.dir]++
	g.renew(s.branch)
	st.flags &^= flagFinal | flagRung
	return true
}

// shorter answers a live 423 or 422: the same request once more with the times that it asks for (RFC 3261 10.3, RFC 4028
// 7.3). It reports whether it did.
func (g *play) shorter(q int32, m *sip.Message) bool {
	s := &g.script.steps[q]
	if s.origin >= 0 || s.dir < 0 {
		return false
	}
	var what string
	switch {
	case m.Status == 423 && m.MinExpires > g.minExpires && m.MinExpires < 1<<31:
		g.minExpires = m.MinExpires
		what = fmt.Sprintf("423: Expires is %d now", m.MinExpires)
	case m.Status == 422:
		value, _ := m.Value(sip.HeaderMinSE)
		n := sip.ParseSessionExpires(value).Seconds
		if n <= g.minSE || n >= 1<<31 {
			return false
		}
		g.minSE = n
		what = fmt.Sprintf("422: Session-Expires is %d now", n)
	default:
		return false
	}
	if !g.repeat(q) {
		return false
	}
	g.note(fmt.Sprintf("step %d: %s, sent once more, CSeq +1", s.ID, what))
	g.states[q].flags |= flagRetried
	return g.sendRequest(q, nil) == nil
}

// challengers makes who verifies the answers to our challenges.
func (p *Player) challengers() error {
	for i := range p.script.asks {
		a := &p.script.asks[i]
		cfg := auth.ServerConfig{
			Realm: a.realm, Proxy: a.proxy, Rand: p.o.Rand, QOP: []string{}, Limit: maxNonces,
			LookupHA1: func(user, realm string, alg auth.Algorithm) (string, bool) { return p.ha1(user, realm, alg) },
		}
		for _, name := range a.algs {
			if alg, ok := auth.ParseAlgorithm(name); ok {
				cfg.Algorithms = append(cfg.Algorithms, alg)
			}
		}
		for _, q := range a.qops {
			if q == "auth" || q == "auth-int" {
				cfg.QOP = append(cfg.QOP, q)
			}
		}
		if strings.ContainsFunc(cfg.Realm, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			cfg.Realm = clean(cfg.Realm)
		}
		server, err := auth.NewServer(cfg)
		if err != nil {
			return wrap(ErrPlan, "a challenge that we make: %w", err)
		}
		p.asks = append(p.asks, server)
		a.given = len(cfg.Algorithms) > 0 && slices.ContainsFunc(p.o.Credentials, func(c auth.Credentials) bool { return c.Realm == "" || c.Realm == a.realm })
	}
	return nil
}

// maxNonces bounds the nonces of ours that are remembered: about 100 bytes each.
const maxNonces = 65_536

// ha1 gives the key of a user that we verify.
func (p *Player) ha1(user, realm string, alg auth.Algorithm) (string, bool) {
	for i := range p.o.Credentials {
		c := p.o.Credentials[i]
		if g := p.verifying; g != nil && len(g.input) > 0 {
			c.User, c.Password = g.fill(c.User), g.fill(c.Password)
		}
		if c.User != user || c.Realm != "" && c.Realm != realm {
			continue
		}
		if c.HA1 != "" {
			return c.HA1, true
		}
		return auth.HA1(alg, user, realm, c.Password), true
	}
	return "", false
}

// askFor gives a response of ours its nonce, and its proof that we know the password.
func (g *play) askFor(i int32, x *source) {
	s := &g.script.steps[i]
	if s.ask >= 0 {
		x.nonce = g.nonce(s.ask)
	}
	g.verifying = g
	for k := range g.proofs {
		if g.proofs[k].step == s.asked {
			body := s.msg.Body.Of(s.msg.Raw)
			if h, ok := g.asks[g.proofs[k].ask].Info(g.now, &g.proofs[k].result, body); ok {
				x.auth = append(x.auth, h)
			}
		}
	}
}

// proof is a request whose credentials we verified.
type proof struct {
	step   int32
	ask    int32
	result auth.Result
}

// nonce makes a nonce, as for a request without credentials.
func (g *play) nonce(ask int32) string {
	r := g.asks[ask].Check(g.now, &g.bare, nil)
	for k := range r.Headers {
		if c, ok := sip.ParseChallenge([]byte(r.Headers[k].Value)); ok {
			return string(c.Nonce)
		}
	}
	return ""
}

// bareRequest is a request without credentials.
const bareRequest = "OPTIONS sip:a.invalid SIP/2.0\r\nVia: SIP/2.0/UDP a.invalid;branch=z9hG4bK1\r\nFrom: <sip:a.invalid>;tag=1\r\n" +
	"To: <sip:a.invalid>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"

// verify checks the credentials of a request that answers a challenge of ours, or the last one of the same realm. It says
// why they are wrong though the recorded ones were right; "" when they are not.
func (g *play) verify(q int32, m *sip.Message) (why string) {
	s := &g.script.steps[q]
	if len(g.asks) == 0 || !s.credentials() || s.relayed {
		return ""
	}
	for i := range g.script.asks {
		ask := &g.script.asks[i]
		if ask.host != s.to || !s.answersChallenge(ask.realm, ask.proxy) {
			continue
		}
		if !ask.given {
			g.note(fmt.Sprintf("step %d: the credentials of realm %q are not verified: none are given, or not by an algorithm that is known", s.ID, clean(ask.realm)))
			continue
		}
		g.verifying = g
		r := g.asks[i].Check(g.now, m, m.Body.Of(m.Raw))
		switch {
		case r.Outcome == auth.OK:
			g.proofs = append(g.proofs, proof{step: q, ask: int32(i), result: r})
		case r.Stale, g.refusedAsRecorded(q):
		default:
			return fmt.Sprintf("the credentials of realm %q are wrong", clean(ask.realm))
		}
	}
	return ""
}

// refusedAsRecorded reports whether the recorded answer to a request was another challenge, or 403.
func (g *play) refusedAsRecorded(q int32) bool {
	for _, a := range g.script.steps[q].answers {
		switch g.script.steps[a].status {
		case 401, 403, 407:
			return true
		}
	}
	return false
}

// Users are the names that a script answers challenges for, as recorded or mapped.
func (p *Player) Users() []string {
	all := map[string]bool{}
	for _, u := range p.script.users {
		all[u] = true
	}
	return slices.Sorted(maps.Keys(all))
}
