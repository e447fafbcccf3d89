package auth

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// Defaults of a ServerConfig.
const (
	defaultNonceLife = int64(5 * time.Minute)
	defaultLimit     = 100_000 // nonces in use; about 100 bytes each
)

// ServerConfig says how a Server challenges.
type ServerConfig struct {
	Realm string // text without quotes and escapes, usually the domain (RFC 3261 22.1)
	// Lookup gives a user's password in a realm.
	Lookup func(user, realm string) (password string, ok bool)
	// LookupHA1, when set, is asked instead: it gives the hash of "user:realm:password" by an algorithm without -sess, in
	// hexadecimal digits. See HA1.
	LookupHA1  func(user, realm string, alg Algorithm) (ha1 string, ok bool)
	Algorithms []Algorithm // a challenge for each, in this order of preference (RFC 8760 2.3); nil: SHA-256, MD5
	QOP        []string    // "auth", "auth-int"; nil: "auth"; empty: no qop, as in RFC 2069
	NonceLife  int64       // ns; 0: 5 minutes
	Proxy      bool        // 407 and Proxy-Authenticate (RFC 3261 22.3), else 401 and WWW-Authenticate
	Opaque     string      // text that clients give back; "": none
	// StrictURI wants the digest's uri to equal the Request-URI, byte by byte (RFC 7616 3.4.6). It fits the first element
	// that sees a request; further on, proxies have rewritten the Request-URI, and the digest's uri alone counts.
	StrictURI bool
	Limit     int        // nonces whose counts are known; 0: 100,000
	Rand      *rand.Rand // of nonces and, without Key, of their key; needed
	Key       []byte     // of the HMAC of nonces; nil: from Rand. Servers that share it know each other's nonces.
}

// Outcome says what is to be done with a request.
type Outcome uint8

// Outcomes.
const (
	OK        Outcome = iota + 1 // go on
	Challenge                    // answer with Result.Status and Result.Headers
	Forbidden                    // answer with Result.Status: the credentials are wrong
)

// String is the outcome in lower case.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Challenge:
		return "challenge"
	case Forbidden:
		return "forbidden"
	default:
		return ""
	}
}

// Result is the answer of a check.
type Result struct {
	Outcome Outcome
	User    string           // of credentials that are right; "" for an ACK or a CANCEL
	Status  int              // what to answer: 401 or 407; 403, or 400 for a uri that is another; 0 for OK
	Headers []compose.Header // of a challenge
	Stale   bool             // the password was right, the nonce old or its count used before

	proof    proof // what rspauth is made of
	ha1      []byte
	issued   int64
	accepted bool // by credentials, so that there is something to prove
}

// Server challenges requests and checks their credentials.
type Server struct {
	cfg       ServerConfig
	nonces    *nonces
	ask, give sip.HeaderID // of the challenge and of the credentials
	info      sip.HeaderID
	status    int

	// Memory that is used again.
	scratch, digest []byte
	ha1             []byte
}

// NewServer makes a server. It fails when the configuration cannot work.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Lookup == nil && cfg.LookupHA1 == nil || cfg.Rand == nil {
		return nil, fmt.Errorf("realm %q: a server needs Lookup and Rand", cfg.Realm)
	}
	if strings.ContainsFunc(cfg.Realm+cfg.Opaque, unicode.IsControl) {
		return nil, fmt.Errorf("realm %q, opaque %q: a control character cannot be quoted", cfg.Realm, cfg.Opaque)
	}
	cfg.Algorithms = slices.Clone(cfg.Algorithms)
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []Algorithm{SHA256, MD5}
	}
	for i, a := range cfg.Algorithms {
		known, ok := ParseAlgorithm(string(a))
		if !ok {
			return nil, fmt.Errorf("algorithm %q is none of %v", a, Algorithms())
		}
		cfg.Algorithms[i] = known
	}
	if cfg.QOP == nil {
		cfg.QOP = []string{qopAuth}
	}
	for _, q := range cfg.QOP {
		if q != qopAuth && q != qopInt {
			return nil, fmt.Errorf("qop %q is none of auth, auth-int", q)
		}
	}
	if cfg.NonceLife <= 0 {
		cfg.NonceLife = defaultNonceLife
	}
	if cfg.Limit <= 0 {
		cfg.Limit = defaultLimit
	}
	s := &Server{
		cfg: cfg, nonces: newNonces(&cfg), status: 401,
		ask: sip.HeaderWWWAuthenticate, give: sip.HeaderAuthorization, info: sip.HeaderAuthenticationInfo,
	}
	if cfg.Proxy {
		s.status, s.info = 407, sip.HeaderProxyAuthenticationInfo
		s.ask, s.give = sip.HeaderProxyAuthenticate, sip.HeaderProxyAuthorization
	}
	return s, nil
}

// Check says what is to be done with a request that came at now. An ACK and a CANCEL are OK as they are: they cannot be
// challenged (RFC 3261 22.1), and the transaction that they belong to was. body is the request's body.
func (s *Server) Check(now int64, m *sip.Message, body []byte) Result {
	method := m.Method.Of(m.Raw)
	if string(method) == "ACK" || string(method) == "CANCEL" {
		return Result{Outcome: OK}
	}
	cred, ok := s.find(m)
	p := proof{
		nonce: cred.Nonce, nc: cred.NC, cnonce: cred.CNonce, qop: cred.QOP, method: method, uri: cred.URI, body: body,
	}
	nc, counted := readNC(cred.NC)
	if !ok || !s.accepts(&p, cred.Algorithm, counted) {
		return s.challenge(now, false)
	}
	if s.cfg.StrictURI && !bytes.Equal(cred.URI, m.URI.Of(m.Raw)) {
		return Result{Outcome: Forbidden, Status: 400}
	}
	key, own := s.nonces.read(cred.Nonce)
	user, right := s.right(&p, &cred)
	if !right {
		if !own {
			// Nobody can tell a wrong password from a nonce of another element: ask for an answer to our own.
			return s.challenge(now, false)
		}
		return Result{Outcome: Forbidden, Status: 403}
	}
	if !own || !s.nonces.fresh(now, key) || len(p.qop) > 0 && !s.nonces.use(now, key, nc) {
		return s.challenge(now, true)
	}
	return Result{
		Outcome: OK, User: user, accepted: true, issued: key.issued, ha1: bytes.Clone(s.ha1), proof: p.clone(),
	}
}

// Info gives the Authentication-Info of a 2xx to a request that Check accepted, with the server's own proof and, in the
// last quarter of the nonce's life, the next nonce (RFC 7616 3.5). body is the response's body. It reports false when
// there is nothing to prove.
func (s *Server) Info(now int64, r *Result, body []byte) (compose.Header, bool) {
	if !r.accepted || len(r.proof.qop) == 0 {
		return compose.Header{}, false
	}
	p := r.proof
	p.method, p.body = nil, body
	s.digest, s.scratch = p.append(s.digest[:0], r.ha1, s.scratch)
	var b strings.Builder
	if now-r.issued > s.cfg.NonceLife/4*3 {
		fmt.Fprintf(&b, `nextnonce="%s", `, s.nonces.make(now))
	}
	fmt.Fprintf(&b, `qop=%s, rspauth="%s", cnonce="%s", nc=%s`, p.qop, s.digest, p.cnonce, p.nc)
	return compose.Header{ID: s.info, Value: b.String()}, true
}

// find gives the credentials of this realm.
func (s *Server) find(m *sip.Message) (sip.Credentials, bool) {
	looked := 0
	for value := range m.Values(s.give) {
		if looked++; looked > maxHeadersLooked {
			break
		}
		cred, ok := sip.ParseCredentials(value)
		if ok && isDigest(cred.Scheme) && sameText(cred.Realm, s.cfg.Realm) && cred.Username != nil &&
			len(cred.Nonce) > 0 && cred.URI != nil && cred.Response != nil {
			return cred, true
		}
	}
	return sip.Credentials{}, false
}

// accepts reports whether algorithm, which it puts into p, and qop are among those that a challenge offers. A client of RFC 2069 has no qop,
// and no algorithm but MD5; it is served (RFC 3261 22.4).
func (s *Server) accepts(p *proof, algorithm []byte, counted bool) bool {
	alg, known := ParseAlgorithm(string(algorithm))
	if p.algorithm = alg; !known || !slices.Contains(s.cfg.Algorithms, alg) {
		return false
	}
	if len(p.qop) == 0 {
		return p.algorithm == MD5 || len(s.cfg.QOP) == 0
	}
	if !counted || len(p.cnonce) == 0 || !writable(p.cnonce) {
		return false
	}
	return slices.ContainsFunc(s.cfg.QOP, func(q string) bool { return strings.EqualFold(q, string(p.qop)) })
}

// right checks the response, in the same time for a user who exists and one who does not. s.ha1 has the key afterwards.
func (s *Server) right(p *proof, cred *sip.Credentials) (user string, ok bool) {
	user = plain(cred.Username)
	known := s.key(user, s.cfg.Realm, p.algorithm)
	s.digest, s.scratch = p.append(s.digest[:0], s.ha1, s.scratch)
	ok = same(s.digest, cred.Response)
	if !ok && known && s.cfg.LookupHA1 == nil && len(user) != len(cred.Username) {
		// Some hash user and realm with the escapes in them: RFC 7616 3.4.2 takes off "the surrounding quotes".
		password, _ := s.cfg.Lookup(user, s.cfg.Realm)
		s.ha1 = append(s.ha1[:0], HA1(p.algorithm, string(cred.Username), string(cred.Realm), password)...)
		s.digest, s.scratch = p.append(s.digest[:0], s.ha1, s.scratch)
		ok = same(s.digest, cred.Response)
	}
	return user, ok && known
}

// key puts the HA1 of a user into s.ha1, that of nobody for one who does not exist.
func (s *Server) key(user, realm string, alg Algorithm) (known bool) {
	var text string
	if s.cfg.LookupHA1 != nil {
		if text, known = s.cfg.LookupHA1(user, realm, alg.base()); known {
			s.ha1 = append(s.ha1[:0], strings.ToLower(text)...)
			return len(text) == alg.digits()
		}
	} else {
		text, known = s.cfg.Lookup(user, realm)
	}
	s.scratch = append(append(append(s.scratch[:0], user...), ':'), realm...)
	s.scratch = append(append(s.scratch, ':'), text...)
	s.ha1 = alg.appendHash(s.ha1[:0], s.scratch)
	return known
}

// challenge makes the headers of a 401 or 407, one for each algorithm (RFC 8760 2.3), all with one nonce.
func (s *Server) challenge(now int64, stale bool) Result {
	r := Result{Outcome: Challenge, Status: s.status, Stale: stale, Headers: make([]compose.Header, len(s.cfg.Algorithms))}
	nonce := s.nonces.make(now)
	for i, alg := range s.cfg.Algorithms {
		b := s.scratch[:0]
		b = quote(append(b, schemeDigest+" realm="...), s.cfg.Realm)
		b = append(append(append(b, `, nonce="`...), nonce...), '"')
		if s.cfg.Opaque != "" {
			b = quote(append(b, ", opaque="...), s.cfg.Opaque)
		}
		if stale {
			b = append(b, ", stale=true"...)
		}
		b = append(append(b, ", algorithm="...), alg...)
		for j, q := range s.cfg.QOP {
			b = append(append(b, [...]string{`, qop="`, ","}[min(j, 1)]...), q...)
		}
		if len(s.cfg.QOP) > 0 {
			b = append(b, '"')
		}
		r.Headers[i] = compose.Header{ID: s.ask, Value: string(b)}
		s.scratch = b
	}
	return r
}

// clone copies what points into a message.
func (p *proof) clone() proof {
	q := *p
	all := bytes.Join([][]byte{p.nonce, p.nc, p.cnonce, p.qop, p.uri}, nil)
	for _, part := range [...]*[]byte{&q.nonce, &q.nc, &q.cnonce, &q.qop, &q.uri} {
		*part, all = all[:len(*part):len(*part)], all[len(*part):]
	}
	q.method, q.body = nil, nil
	return q
}

// same compares a response in constant time; its hexadecimal digits may be upper case.
func same(want, got []byte) bool {
	var lower [maxHash]byte
	if len(got) > maxHash {
		return false
	}
	for i, c := range got {
		if c >= 'A' && c <= 'F' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	return subtle.ConstantTimeCompare(want, lower[:len(got)]) == 1
}

// sameText compares a value, which may have escapes, with a text.
func sameText(value []byte, text string) bool { return string(value) == text || plain(value) == text }
