// Package auth is digest authentication for SIP (RFC 3261 22, RFC 7616, RFC 8760): a Client answers challenges, a Server
// makes them and checks the answers.
//
// It reads messages and gives headers. It sends nothing, keeps no clock and no goroutine; a Client or a Server is for
// one goroutine at a time. Nothing that it gives points into a message. What it remembers is bounded: protection spaces
// and requests on their way by a Client, nonces in use by a Server.
package auth

import (
	"bytes"
	crand "crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/icholy/digest"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// Errors of a Client.
var (
	// ErrRefused says that the answer to a challenge was challenged again: the password or the user is wrong, or the
	// server asks for ever.
	ErrRefused = errors.New("credentials refused")
	// ErrNoChallenge says that a response has no challenge that can be answered: none at all, none with an algorithm and
	// a qop that are supported, or none of a realm that there are credentials for.
	ErrNoChallenge = errors.New("no challenge that can be answered")
	// ErrRspauth says that the server did not prove that it knows the password (RFC 7616 3.5).
	ErrRspauth = errors.New("rspauth is wrong: the server does not know the password")
)

// Credentials are what a user has.
type Credentials struct {
	User     string
	Password string
	// HA1 stands for the password: see the function HA1. It answers only challenges of its algorithm (and -sess).
	HA1       string
	Algorithm Algorithm // of HA1; "": MD5 for 32 digits, SHA-256 for 64
	Realm     string    // "": for every realm that has no credentials of its own
}

// Limits of what a Client remembers. Both are small for a phone and large for a load test.
const (
	maxSpaces = 16    // realms, each as a proxy and as a server
	maxChains = 65536 // requests that were challenged and are on their way again; 32 bytes each
	maxRounds = 8     // challenges in a row that one request answers: several proxies, nonces that expire
)

// Client answers challenges. Credentials of a request are those that Answer or Preempt gave last: they replace what the
// request had of Authorization and Proxy-Authorization.
type Client struct {
	// Rand makes the client's nonces. nil: the system's randomness.
	Rand *rand.Rand

	credentials []Credentials
	spaces      []space
	chains      map[uint64]chain // by the hash of the Call-ID
	order       []uint64         // of the chains, a ring: the oldest is forgotten first
	oldest      int
	seed        maphash.Seed
}

// space is a protection space (RFC 7616 1.3, RFC 3261 22.1): a realm, and the last nonce of it.
type space struct {
	proxy  bool
	realm  string // as written, escapes kept
	opaque string
	has    [2]bool // whether opaque, algorithm are written
	alg    Algorithm
	algRaw string // as written
	qop    string // chosen; "" for RFC 2069
	nonce  string
	cnonce string // one for each nonce: a -sess key is made of the first (RFC 7616 3.4.2)
	nc     uint32
	cred   int // index of Credentials
}

// chain is a request with its repetitions, each with a CSeq one higher (RFC 3261 8.1.3.5).
type chain struct {
	cseq     uint32 // of the last one that was challenged
	answered uint16 // bits: the spaces that it was answered for
	rounds   uint8
}

// NewClient makes a client that has these credentials.
func NewClient(credentials ...Credentials) *Client {
	return &Client{credentials: credentials, chains: map[uint64]chain{}, seed: maphash.MakeSeed()}
}

// Answer gives the headers with which the request that was answered by resp (401 or 407) is to be sent again, with a
// CSeq one higher (RFC 3261 22.2, 22.3): Authorization for each WWW-Authenticate, Proxy-Authorization for each
// Proxy-Authenticate, one for each realm, and those that the request had of earlier answers. Of several challenges of
// a realm it takes the first that it supports: they stand in the server's order of preference (RFC 8760 2.4). method
// and uri are those of the new request, body its body (for auth-int). The error is ErrNoChallenge or ErrRefused.
func (c *Client) Answer(resp *sip.Message, method, uri string, body []byte) ([]compose.Header, error) {
	id := maphash.Bytes(c.seed, resp.CallID.Of(resp.Raw))
	ch, again := c.chains[id]
	if !again || resp.CSeq != ch.cseq+1 {
		ch = chain{} // a request of its own: what an earlier one was answered does not matter
	}
	fresh := uint16(0) // spaces of this response
	for _, header := range [...]sip.HeaderID{sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate} {
		looked := 0
		for value := range resp.Values(header) {
			if looked++; looked > maxHeadersLooked {
				break
			}
			refused, bit := c.learn(value, header == sip.HeaderProxyAuthenticate, ch.answered, fresh)
			if refused {
				return nil, fmt.Errorf("%w: realm %q", ErrRefused, c.spaces[bits.TrailingZeros16(bit)].realm)
			}
			fresh |= bit
		}
	}
	if fresh == 0 {
		return nil, ErrNoChallenge
	}
	if ch.rounds++; ch.rounds > maxRounds {
		return nil, fmt.Errorf("%w: challenged %d times in a row", ErrRefused, maxRounds)
	}
	ch.cseq, ch.answered = resp.CSeq, ch.answered|fresh
	c.remember(id, ch, again)
	return c.headers(ch.answered, method, uri, body)
}

// Preempt gives the headers with which a request need not be challenged again: one for each realm that challenged
// before (RFC 3261 22.2, RFC 7616 3.6). It gives none before the first challenge, or for a URI that cannot be quoted.
func (c *Client) Preempt(method, uri string, body []byte) []compose.Header {
	headers, err := c.headers(math.MaxUint16, method, uri, body)
	if err != nil {
		return nil
	}
	return headers
}

// Info reads the Authentication-Info and Proxy-Authentication-Info of a final response to a request to uri that had
// credentials: the nonce for the next request, and the server's proof that it knows the password (RFC 7616 3.5, RFC 7615).
// A response without them is fine; ErrRspauth says that the proof is wrong.
func (c *Client) Info(resp *sip.Message, uri string) error {
	body := resp.Body.Of(resp.Raw)
	for _, header := range [...]sip.HeaderID{sip.HeaderAuthenticationInfo, sip.HeaderProxyAuthenticationInfo} {
		value, ok := resp.Value(header)
		if !ok {
			continue
		}
		s := c.answeredWith(value, header == sip.HeaderProxyAuthenticationInfo)
		if s == nil {
			continue
		}
		if err := c.verify(s, value, uri, body); err != nil {
			return err
		}
		next, has := param(value, "nextnonce")
		if has && usable(next) && string(next) != s.nonce {
			s.nonce, s.cnonce, s.nc = string(next), c.cnonce(), 0
		}
	}
	return nil
}

// answeredWith finds the space that an Authentication-Info is about: that of its cnonce, else the only one of its kind.
func (c *Client) answeredWith(info []byte, proxy bool) *space {
	cnonce, has := param(info, "cnonce")
	var found *space
	for i := range c.spaces {
		s := &c.spaces[i]
		switch {
		case s.proxy != proxy:
		case has && string(cnonce) == s.cnonce:
			return s
		case !has && found != nil:
			return nil
		case !has:
			found = s
		}
	}
	return found
}

// verify checks rspauth, when there is one and the nonce is still the one of the request.
func (c *Client) verify(s *space, info []byte, uri string, body []byte) error {
	got, ok := param(info, "rspauth")
	if !ok {
		return nil
	}
	qop, _ := param(info, "qop")
	nc, _ := param(info, "nc")
	if n, valid := readNC(nc); len(qop) > 0 && (!valid || n > s.nc) {
		return fmt.Errorf("%w: nc=%.8q was not sent", ErrRspauth, nc)
	}
	p := proof{
		algorithm: s.alg, nonce: []byte(s.nonce), nc: nc, cnonce: []byte(s.cnonce), qop: qop, uri: []byte(uri), body: body,
	}
	want, _ := p.append(nil, []byte(c.credentials[s.cred].ha1(s.alg, s.realm)), nil)
	if subtle.ConstantTimeCompare(want, bytes.ToLower(got)) != 1 {
		return ErrRspauth
	}
	return nil
}

// learn takes one challenge. bit is that of its space, 0 when it is not to be answered; refused says that the space is
// among those answered in this chain and that the nonce was not just old. taken are the spaces of challenges further up.
func (c *Client) learn(value []byte, proxy bool, answered, taken uint16) (refused bool, bit uint16) {
	chal, ok := sip.ParseChallenge(value)
	if !ok || !isDigest(chal.Scheme) || !usable(chal.Nonce) || !writable(chal.Realm) || !writable(chal.Opaque) {
		return false, 0
	}
	alg, ok := ParseAlgorithm(string(chal.Algorithm))
	qop, known := chooseQOP(chal.QOP)
	cred := c.choose(plain(chal.Realm), alg)
	if !ok || !known || cred < 0 {
		return false, 0
	}
	i := c.find(proxy, string(chal.Realm))
	if i < 0 {
		return false, 0
	}
	bit = 1 << i
	switch {
	case taken&bit != 0:
		return false, 0 // the server's first choice of this realm stands
	case answered&bit != 0 && !chal.Stale:
		return true, bit
	}
	s := &c.spaces[i]
	s.opaque, s.alg, s.algRaw, s.qop, s.cred = string(chal.Opaque), alg, string(chal.Algorithm), qop, cred
	s.has = [2]bool{chal.Opaque != nil, chal.Algorithm != nil}
	if s.nonce != string(chal.Nonce) {
		s.nonce, s.cnonce, s.nc = string(chal.Nonce), c.cnonce(), 0
	}
	return false, bit
}

// find gives the index of a space, a new one when there is none; -1 when there are too many.
func (c *Client) find(proxy bool, realm string) int {
	for i := range c.spaces {
		if c.spaces[i].proxy == proxy && c.spaces[i].realm == realm {
			return i
		}
	}
	if len(c.spaces) == maxSpaces {
		return -1
	}
	c.spaces = append(c.spaces, space{proxy: proxy, realm: realm})
	return len(c.spaces) - 1
}

// choose gives the index of the credentials for a realm: its own, else those for all; -1 when there are none.
func (c *Client) choose(realm string, alg Algorithm) int {
	best := -1
	for i := range c.credentials {
		cr := &c.credentials[i]
		if cr.HA1 != "" && cr.algorithm() != alg.base() {
			continue
		}
		switch {
		case cr.Realm == realm:
			return i
		case cr.Realm == "" && best < 0:
			best = i
		}
	}
	return best
}

// remember keeps a chain, and forgets the oldest when there are too many.
func (c *Client) remember(id uint64, ch chain, known bool) {
	c.chains[id] = ch
	switch {
	case known:
	case len(c.order) < maxChains:
		c.order = append(c.order, id)
	default:
		delete(c.chains, c.order[c.oldest])
		c.order[c.oldest] = id
		c.oldest = (c.oldest + 1) % maxChains
	}
}

// headers gives the credentials for the spaces whose bits are set.
func (c *Client) headers(which uint16, method, uri string, body []byte) ([]compose.Header, error) {
	if !writable([]byte(uri)) || strings.ContainsRune(uri, ' ') {
		return nil, fmt.Errorf("URI %q cannot be quoted", uri)
	}
	var out []compose.Header
	for i := range c.spaces {
		if which&(1<<i) == 0 || c.spaces[i].nonce == "" || c.spaces[i].nc == math.MaxUint32 {
			continue
		}
		h, err := c.header(&c.spaces[i], method, uri, body)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// header writes the credentials for one space.
func (c *Client) header(s *space, method, uri string, body []byte) (compose.Header, error) {
	s.nc++
	cr := &c.credentials[s.cred]
	realm := plain([]byte(s.realm))
	ha1 := cr.ha1(s.alg, s.realm)
	if s.alg.Session() {
		ha1 = string(s.alg.appendHash(nil, join(nil, []byte(ha1), []byte(s.nonce), []byte(s.cnonce))))
	}
	// The library knows neither -sess nor a choice of qop: it gets the key made for the session, and one qop.
	chal := digest.Challenge{Realm: realm, Nonce: s.nonce, Algorithm: string(s.alg.base())}
	if s.qop != "" {
		chal.QOP = []string{s.qop}
	}
	sent, err := digest.Digest(&chal, digest.Options{
		Method: method, URI: uri, Count: int(s.nc), Username: cr.User, A1: ha1, Cnonce: s.cnonce,
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	})
	if err != nil {
		return compose.Header{}, fmt.Errorf("realm %q: %w", realm, err)
	}
	h := compose.Header{ID: sip.HeaderAuthorization, Value: string(s.write(cr.User, uri, sent.Response))}
	if s.proxy {
		h.ID = sip.HeaderProxyAuthorization
	}
	return h, nil
}

// write writes the header's value (RFC 3261 25.1 digest-response): what came is given back as it was written.
func (s *space) write(user, uri, response string) []byte {
	b := make([]byte, 0, 320)
	b = quote(append(b, schemeDigest+" username="...), user)
	b = append(append(append(b, `, realm="`...), s.realm...), `", nonce="`...)
	b = append(append(append(b, s.nonce...), `", uri="`...), uri...)
	b = append(append(append(b, `", response="`...), response...), '"')
	if s.has[1] {
		b = append(append(b, ", algorithm="...), s.algRaw...)
	}
	if s.qop != "" || s.alg.Session() {
		b = append(append(append(b, `, cnonce="`...), s.cnonce...), '"')
	}
	if s.has[0] {
		b = append(append(append(b, `, opaque="`...), s.opaque...), '"')
	}
	if s.qop != "" {
		b = append(append(append(b, ", qop="...), s.qop...), ", nc="...)
		b = append(b, "00000000"[len(strconv.FormatUint(uint64(s.nc), 16)):]...)
		b = strconv.AppendUint(b, uint64(s.nc), 16)
	}
	return b
}

// cnonce makes a client's nonce of 64 bits.
func (c *Client) cnonce() string {
	var b [8]byte
	if c.Rand != nil {
		return fmt.Sprintf("%016x", c.Rand.Uint64())
	}
	_, _ = crand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// algorithm is that of the HA1.
func (cr *Credentials) algorithm() Algorithm {
	switch {
	case cr.Algorithm != "":
		return cr.Algorithm.base()
	case len(cr.HA1) == maxHash:
		return SHA256
	default:
		return MD5
	}
}

// ha1 is the hash for an algorithm, without -sess.
func (cr *Credentials) ha1(alg Algorithm, realm string) string {
	if cr.HA1 != "" {
		return string(bytes.ToLower([]byte(cr.HA1)))
	}
	return HA1(alg, cr.User, plain([]byte(realm)), cr.Password)
}

// chooseQOP picks what is answered: auth before auth-int, whose hash of the body a back-to-back user agent or a border
// controller on the way breaks. "" is for a challenge without qop. It reports false when none is known.
func chooseQOP(list []byte) (qop string, ok bool) {
	switch {
	case len(trim(list)) == 0:
		return "", true
	case offers(list, qopAuth):
		return qopAuth, true
	case offers(list, qopInt):
		return qopInt, true
	default:
		return "", false
	}
}

// usable reports whether a nonce can be given back.
func usable(nonce []byte) bool {
	return len(nonce) > 0 && len(nonce) <= maxNonceLength && writable(nonce)
}
