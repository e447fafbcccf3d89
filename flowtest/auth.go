package flowtest

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// challenge is what a 401 or 407 asked for.
type challenge struct {
	realm, nonce, opaque string
	proxy                bool
	used                 int // the nonce count so far
}

// secret is every user's password; the flows are no secret either.
const secret = "secret"

// challenge adds the header fields of a 401 or 407 (RFC 3261 22.1, RFC 8760 2.4: the preferred algorithm first).
func (p *player) challenge(s *step, m *message) {
	p.count++
	c := &challenge{
		realm: s.a.domain, proxy: m.status == 407,
		nonce:  ident(24, p.f.Name, s.a.name, "nonce", strconv.Itoa(p.count)),
		opaque: ident(8, p.f.Name, s.a.name, "opaque"),
	}
	name := "WWW-Authenticate"
	if c.proxy {
		name = "Proxy-Authenticate"
	}
	stale := ""
	if s.has("stale") {
		stale = ", stale=true"
	}
	for _, algorithm := range []string{"SHA-256", "MD5"} {
		m.add(name, fmt.Sprintf(`Digest realm="%s", nonce="%s", opaque="%s"%s, qop="auth", algorithm=%s`,
			c.realm, c.nonce, c.opaque, stale, algorithm))
	}
	m.challenge = c
}

// learn lets the element that gets a challenge know it; a new one of the same realm takes the old one's place.
func (p *player) learn(at ends, c *challenge) {
	for i, old := range p.known[at] {
		if old.realm == c.realm && old.proxy == c.proxy {
			p.known[at][i] = c
			return
		}
	}
	p.known[at] = append(p.known[at], c)
}

// authorise adds credentials for all challenges known.
func (p *player) authorise(s *step, m *message) error {
	if !s.has("auth") {
		return nil
	}
	known := p.known[ends{s.call, s.a}]
	if len(known) == 0 {
		return errors.New("auth: no challenge came")
	}
	for _, c := range known {
		c.used++
		name := "Authorization"
		if c.proxy {
			name = "Proxy-Authorization"
		}
		m.add(name, c.credentials(s, m))
	}
	return nil
}

// credentials computes a response with qop "auth" and SHA-256 (RFC 7616 3.4.1).
func (c *challenge) credentials(s *step, m *message) string {
	h := func(parts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum[:])
	}
	_, user, _ := strings.Cut(s.a.user, ":")
	user, _, _ = strings.Cut(user, "@")
	nc := fmt.Sprintf("%08x", c.used)
	cnonce := ident(16, c.nonce, nc)
	response := h(h(user, c.realm, s.text("password", secret)), c.nonce, nc, cnonce, "auth", h(m.method, m.uri))
	return fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", algorithm=SHA-256, `+
		`cnonce="%s", opaque="%s", qop=auth, nc=%s`,
		user, c.realm, c.nonce, m.uri, response, cnonce, c.opaque, nc)
}
