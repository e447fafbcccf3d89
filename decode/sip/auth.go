package sip

// Challenge is the value of a WWW-Authenticate or Proxy-Authenticate header (RFC 3261 20.44, RFC 8760). Parts that are
// missing are nil; quotes are taken off, escapes kept.
type Challenge struct {
	Scheme    []byte // "Digest"
	Realm     []byte
	Domain    []byte
	Nonce     []byte
	Opaque    []byte
	Algorithm []byte // nil stands for MD5
	QOP       []byte // a list, e.g. "auth,auth-int"
	Stale     bool   // the nonce was old, the password may be right
}

// ParseChallenge reads "Digest realm="r",nonce="n"". It reports false without a scheme.
func ParseChallenge(b []byte) (c Challenge, ok bool) {
	var rest []byte
	c.Scheme, rest = nextWord(b)
	s := authScan{b: rest}
	for s.next() {
		switch name := s.name; {
		case equalFold(name, "realm"):
			c.Realm = s.value
		case equalFold(name, "domain"):
			c.Domain = s.value
		case equalFold(name, "nonce"):
			c.Nonce = s.value
		case equalFold(name, "opaque"):
			c.Opaque = s.value
		case equalFold(name, "algorithm"):
			c.Algorithm = s.value
		case equalFold(name, "qop"):
			c.QOP = s.value
		case equalFold(name, "stale"):
			c.Stale = equalFold(s.value, "true")
		}
	}
	return c, allToken(c.Scheme)
}

// Credentials is the value of an Authorization or Proxy-Authorization header (RFC 3261 20.7). Parts that are missing
// are nil; quotes are taken off, escapes kept.
type Credentials struct {
	Scheme    []byte // "Digest"
	Username  []byte
	Realm     []byte
	Nonce     []byte
	URI       []byte // digest-uri
	Response  []byte // 32 hexadecimal digits or more
	Algorithm []byte
	CNonce    []byte
	Opaque    []byte
	QOP       []byte // "auth"
	NC        []byte // 8 hexadecimal digits
}

// ParseCredentials reads "Digest username="u",realm="r"". It reports false without a scheme.
func ParseCredentials(b []byte) (c Credentials, ok bool) {
	var rest []byte
	c.Scheme, rest = nextWord(b)
	s := authScan{b: rest}
	for s.next() {
		if field := c.field(s.name); field != nil {
			*field = s.value
		}
	}
	return c, allToken(c.Scheme)
}

// field is where the parameter of that name goes, nil for one of no interest.
func (c *Credentials) field(name []byte) *[]byte {
	switch {
	case equalFold(name, "username"):
		return &c.Username
	case equalFold(name, "realm"):
		return &c.Realm
	case equalFold(name, "nonce"):
		return &c.Nonce
	case equalFold(name, "uri"):
		return &c.URI
	case equalFold(name, "response"):
		return &c.Response
	case equalFold(name, "algorithm"):
		return &c.Algorithm
	case equalFold(name, "cnonce"):
		return &c.CNonce
	case equalFold(name, "opaque"):
		return &c.Opaque
	case equalFold(name, "qop"):
		return &c.QOP
	case equalFold(name, "nc"):
		return &c.NC
	default:
		return nil
	}
}

// authScan walks over "name=value, name="value"".
type authScan struct{ b, name, value []byte }

func (s *authScan) next() bool {
	for len(s.b) > 0 {
		i := 0
		for i < len(s.b) && s.b[i] != '=' && s.b[i] != ',' {
			i++
		}
		s.name = trim(s.b[:i])
		if i == len(s.b) || s.b[i] == ',' {
			s.b = s.b[min(i+1, len(s.b)):]
			continue // no parameter
		}
		from := skipBlanks(s.b, i+1, len(s.b))
		to, next := from, from
		if from < len(s.b) && s.b[from] == '"' {
			from++
			to = closeQuote(s.b, from-1, len(s.b))
			next = to
		}
		for next < len(s.b) && s.b[next] != ',' {
			next++
		}
		if to < from || s.b[from-1] != '"' {
			to = next
		}
		s.value = trim(s.b[from:to])
		s.b = s.b[min(next+1, len(s.b)):]
		return true
	}
	return false
}
