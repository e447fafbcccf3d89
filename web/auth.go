package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// sessionLife is how long a login lasts.
const sessionLife = 12 * time.Hour

// guard decides who may read. It is used by many goroutines.
type guard struct {
	auth   Auth
	secret [32]byte // new in each run: sessions end with the server
	tls    bool
	now    func() time.Time
	tries  limiter
}

func newGuard(cfg *Config) *guard {
	g := &guard{auth: cfg.Auth, tls: cfg.CertFile != "", now: cfg.Now}
	_, _ = rand.Read(g.secret[:]) // never fails (crypto/rand)
	g.tries.seen = map[netip.Prefix]*tries{}
	return g
}

// verdict is what a request's credentials are worth.
type verdict uint8

const (
	_       verdict = iota
	missing         // it has none
	refused         // they are wrong
	limited         // there were too many wrong ones
	granted
)

// judge looks at a request's session and its Authorization header.
func (g *guard) judge(r *http.Request) verdict {
	if !g.auth.enabled() {
		return granted
	}
	if c, err := r.Cookie(g.cookieName(r)); err == nil && g.validSession(c.Value) {
		return granted
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return missing
	}
	scheme, token, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return g.try(r, func() bool { return g.token(strings.TrimSpace(token)) })
	case strings.EqualFold(scheme, "Basic"):
		user, password, ok := r.BasicAuth()
		return g.try(r, func() bool { return ok && g.password(user, password) })
	default:
		return refused
	}
}

// try looks at credentials, unless the same address had too many wrong ones: right ones wait, too, for else guessing
// could go on.
func (g *guard) try(r *http.Request, right func() bool) verdict {
	from := source(r)
	if !g.tries.allow(from, g.now()) {
		return limited
	}
	if right() {
		return granted
	}
	g.tries.failed(from, g.now())
	return refused
}

// equal compares in a time that tells neither where texts differ nor how long the secret one is.
func (g *guard) equal(got, want string) bool {
	return hmac.Equal(g.sum("compare", []byte(got)), g.sum("compare", []byte(want)))
}

func (g *guard) sum(purpose string, b []byte) []byte {
	m := hmac.New(sha256.New, g.secret[:])
	m.Write([]byte(purpose))
	m.Write([]byte{0})
	m.Write(b)
	return m.Sum(nil)
}

func (g *guard) token(got string) bool {
	return g.equal(got, g.auth.Token) && g.auth.Token != ""
}

func (g *guard) password(user, password string) bool {
	a, b := g.equal(user, g.auth.User), g.equal(password, g.auth.Password)
	return a && b && g.auth.Password != ""
}

// cookieName tells servers on one host apart: browsers do not keep cookies by port (RFC 6265 8.5).
func (g *guard) cookieName(r *http.Request) string {
	name := "sipscope"
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, port, err := net.SplitHostPort(a.String()); err == nil {
			name += "-" + port
		}
	}
	if g.tls {
		return "__Host-" + name // the browser takes it over TLS and from this host only
	}
	return name
}

// session is a cookie that stands for a login: when it ends, something random, and a seal over both.
func (g *guard) session(r *http.Request) *http.Cookie {
	b := make([]byte, 8+16, 8+16+sha256.Size)
	binary.BigEndian.PutUint64(b, uint64(g.now().Add(sessionLife).Unix())) //nolint:gosec // after 1970
	_, _ = rand.Read(b[8:])                                                // never fails (crypto/rand)
	b = append(b, g.sum("session", b)...)
	return &http.Cookie{ //nolint:gosec // Secure where there is TLS: without it the browser would drop the cookie
		Name: g.cookieName(r), Value: base64.RawURLEncoding.EncodeToString(b), Path: "/", MaxAge: int(sessionLife.Seconds()),
		HttpOnly: true, Secure: g.tls, SameSite: http.SameSiteStrictMode,
	}
}

func (g *guard) validSession(value string) bool {
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) != 8+16+sha256.Size || !hmac.Equal(b[24:], g.sum("session", b[:24])) {
		return false
	}
	return g.now().Unix() < int64(binary.BigEndian.Uint64(b)) //nolint:gosec // sealed by us
}

const (
	// maxTries is how many wrong credentials an address may show within tryWindow.
	maxTries  = 10
	tryWindow = time.Minute
	// maxSources bounds the addresses that are remembered.
	maxSources = 4096
)

// limiter remembers who showed wrong credentials.
type limiter struct {
	mu   sync.Mutex
	seen map[netip.Prefix]*tries
}

type tries struct {
	n     int
	since time.Time
}

// source is who asks: an address, or the network that one IPv6 subscriber has.
func source(r *http.Request) netip.Prefix {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// allow reports whether an address may try.
func (l *limiter) allow(from netip.Prefix, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.seen[from]
	return t == nil || t.n < maxTries || now.Sub(t.since) >= tryWindow
}

// failed counts a wrong try.
func (l *limiter) failed(from netip.Prefix, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.seen[from]
	if t != nil && now.Sub(t.since) < tryWindow {
		t.n++
		return
	}
	if t == nil && len(l.seen) >= maxSources {
		l.forget(now)
	}
	l.seen[from] = &tries{n: 1, since: now}
}

// forget drops what is over, and when nothing is, something: the memory is bounded before it is fair.
func (l *limiter) forget(now time.Time) {
	for from, t := range l.seen {
		if now.Sub(t.since) >= tryWindow {
			delete(l.seen, from)
		}
	}
	for from := range l.seen {
		if len(l.seen) < maxSources {
			return
		}
		delete(l.seen, from)
	}
}
