package tls

import (
	"bytes"
	"encoding/hex"
)

// Random is the random value of a ClientHello, by which a key log is ordered.
type Random [32]byte

// secrets are what a key log has of one handshake.
type secrets struct {
	master    []byte // TLS 1.2 and below: 48 bytes
	premaster []byte
	early     []byte // TLS 1.3, RFC 8446 7.1: as long as the suite's hash
	handshake [2][]byte
	traffic   [2][]byte
}

// Roles in secrets.handshake and secrets.traffic.
const (
	client = 0
	server = 1
)

// Keys is a key log in memory. It has one owner.
//
//	CLIENT_RANDOM <random> <master secret>                      TLS 1.2 and below
//	CLIENT_HANDSHAKE_TRAFFIC_SECRET <random> <secret>           TLS 1.3, likewise SERVER_, CLIENT_TRAFFIC_SECRET_0
//	RSA <first 8 bytes of the encrypted premaster secret> <premaster secret>
//	PMS_CLIENT_RANDOM <random> <premaster secret>
//	RSA Session-ID:<id> Master-Key:<master secret>
//
// It keeps the newest maxHandshakes to twice as many handshakes; older ones are forgotten and counted.
type Keys struct {
	Lines     uint64 // with a secret
	Ignored   uint64 // other lines: of another kind or damaged; comments and empty ones are not counted
	Forgotten uint64 // handshakes and sessions, for the bound

	randoms  aging[Random, secrets]
	rsa      aging[[8]byte, []byte]   // premaster secrets
	sessions aging[sessionID, []byte] // master secrets by session id or ticket
	rest     []byte                   // an incomplete line
	skipping bool                     // rest was too long: pass over the line's end
}

// sessionID is a session id of RFC 5246 7.4.1.2, or a hash of a ticket of RFC 5077.
type sessionID struct {
	size  uint8
	bytes [32]byte
}

const (
	maxHandshakes = 1 << 17 // of about 300 bytes
	maxLine       = 4 << 10
)

// NewKeys makes an empty key log.
func NewKeys() *Keys { return &Keys{} }

// Add takes the next bytes of a key log; a line may be cut between two calls. It reports whether there was a secret in
// them.
func (k *Keys) Add(b []byte) bool {
	before := k.Lines
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		b = rest
		if !whole {
			if !k.skipping {
				k.rest = append(k.rest, line[:min(len(line), maxLine)]...)
			}
			if len(k.rest) >= maxLine {
				k.rest, k.skipping = k.rest[:0], true
			}
			break
		}
		if k.skipping {
			k.skipping = false
			k.Ignored++
			continue
		}
		if len(k.rest) > 0 {
			line = append(k.rest, line...)
		}
		k.line(line)
		k.rest = k.rest[:0]
	}
	return k.Lines > before
}

// End says that a key log has ended: what has no line end is a line, too. Another log may follow.
func (k *Keys) End() bool {
	before := k.Lines
	if len(k.rest) > 0 {
		k.line(k.rest)
	}
	k.rest, k.skipping = k.rest[:0], false
	return k.Lines > before
}

// Empty reports whether no secret was ever added.
func (k *Keys) Empty() bool { return k.Lines == 0 }

func (k *Keys) line(line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return
	}
	label, rest, _ := bytes.Cut(line, []byte{' '})
	key, value, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte{' '})
	if len(line) <= maxLine && k.entry(string(label), key, bytes.TrimSpace(value)) {
		k.Lines++
		return
	}
	k.Ignored++
}

// entry adds one line. It reports whether it is a secret of a known kind.
func (k *Keys) entry(label string, key, value []byte) bool {
	if label == "RSA" {
		return k.rsaEntry(key, value)
	}
	var r Random
	if len(key) != 2*len(r) {
		return false
	}
	if _, err := hex.Decode(r[:], key); err != nil {
		return false
	}
	secret, ok := unhex(value)
	if !ok {
		return false
	}
	s := k.randoms.get(r)
	var at *[]byte
	switch label {
	case "CLIENT_RANDOM":
		at = &s.master
	case "PMS_CLIENT_RANDOM":
		at = &s.premaster
	case "CLIENT_EARLY_TRAFFIC_SECRET":
		at = &s.early
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		at = &s.handshake[client]
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		at = &s.handshake[server]
	case "CLIENT_TRAFFIC_SECRET_0":
		at = &s.traffic[client]
	case "SERVER_TRAFFIC_SECRET_0":
		at = &s.traffic[server]
	default:
		return false
	}
	*at = secret
	k.Forgotten += k.randoms.put(r, s)
	return true
}

func (k *Keys) rsaEntry(key, value []byte) bool {
	if id, ok := bytes.CutPrefix(key, []byte("Session-ID:")); ok {
		master, found := bytes.CutPrefix(value, []byte("Master-Key:"))
		session, right := unhex(id)
		secret, good := unhex(master)
		if !found || !right || !good || len(session) > 32 {
			return false
		}
		k.remember(sessionOf(session), secret)
		return true
	}
	var encrypted [8]byte
	if len(key) != 2*len(encrypted) {
		return false
	}
	if _, err := hex.Decode(encrypted[:], key); err != nil {
		return false
	}
	secret, ok := unhex(value)
	if !ok {
		return false
	}
	k.Forgotten += k.rsa.put(encrypted, secret)
	return true
}

// unhex decodes a secret.
func unhex(b []byte) ([]byte, bool) {
	const most = 256 // bytes; a premaster secret of a large Diffie-Hellman group is the longest
	if len(b) == 0 || len(b) > 2*most {
		return nil, false
	}
	out := make([]byte, hex.DecodedLen(len(b)))
	if _, err := hex.Decode(out, b); err != nil {
		return nil, false
	}
	return out, true
}

func sessionOf(id []byte) sessionID {
	s := sessionID{size: uint8(min(len(id), 32))}
	copy(s.bytes[:], id)
	return s
}

// remember keeps a master secret for handshakes that resume its session.
func (k *Keys) remember(id sessionID, master []byte) { k.Forgotten += k.sessions.put(id, master) }

// aging is a map that forgets the older half of its entries when it is full.
type aging[K comparable, V any] struct{ young, old map[K]V }

func (a *aging[K, V]) get(k K) V {
	if v, ok := a.young[k]; ok {
		return v
	}
	return a.old[k]
}

// put sets an entry, and gives how many old ones were forgotten.
func (a *aging[K, V]) put(k K, v V) (forgotten uint64) {
	if _, ok := a.young[k]; !ok && len(a.young) >= maxHandshakes {
		for key := range a.young {
			delete(a.old, key)
		}
		forgotten = uint64(len(a.old))
		a.old, a.young = a.young, nil
	}
	if a.young == nil {
		a.young = map[K]V{}
	}
	a.young[k] = v
	return forgotten
}
