package tls

import (
	"bytes"
	"encoding/hex"
)

// Random is the random value of a ClientHello, by which a key log is ordered.
type Random [32]byte

// Roles.
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
// It keeps the newest 131,072 to 262,144 handshakes, in binary, and at most 64 MiB of their secrets; older ones are forgotten
// and counted.
type Keys struct {
	Lines     uint64 // with a secret
	Ignored   uint64 // other lines: of another kind or damaged; comments and empty ones are not counted
	Forgotten uint64 // handshakes and sessions, for the bound

	randoms  store[Random]
	rsa      store[[8]byte]   // premaster secrets
	sessions store[sessionID] // master secrets by session id or ticket
	rest     []byte           // an incomplete line
	skipping bool             // rest was too long: pass over the line's end
	secret   [maxSecret]byte  // scratch
}

// sessionID is a session id of RFC 5246 7.4.1.2, or a hash of a ticket of RFC 5077.
type sessionID struct {
	size  uint8
	bytes [32]byte
}

// maxLine is the longest line that is read, in bytes.
const maxLine = 4 << 10

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
func (k *Keys) entry(name string, key, value []byte) bool {
	var l label
	switch name {
	case "RSA":
		return k.rsaEntry(key, value)
	case "CLIENT_RANDOM":
		l = labelMaster
	case "PMS_CLIENT_RANDOM":
		l = labelPremaster
	case "CLIENT_EARLY_TRAFFIC_SECRET":
		l = labelEarly
	case "CLIENT_HANDSHAKE_TRAFFIC_SECRET":
		l = labelClientHandshake
	case "SERVER_HANDSHAKE_TRAFFIC_SECRET":
		l = labelServerHandshake
	case "CLIENT_TRAFFIC_SECRET_0":
		l = labelClientTraffic
	case "SERVER_TRAFFIC_SECRET_0":
		l = labelServerTraffic
	default:
		return false
	}
	var r Random
	if len(key) != 2*len(r) {
		return false
	}
	if _, err := hex.Decode(r[:], key); err != nil {
		return false
	}
	secret := k.unhex(value)
	if secret == nil {
		return false
	}
	k.Forgotten += k.randoms.put(r, l, secret)
	return true
}

func (k *Keys) rsaEntry(key, value []byte) bool {
	if id, ok := bytes.CutPrefix(key, []byte("Session-ID:")); ok {
		master, found := bytes.CutPrefix(value, []byte("Master-Key:"))
		session := k.unhex(id)
		if !found || session == nil || len(session) > len(sessionID{}.bytes) {
			return false
		}
		at := sessionOf(session)
		secret := k.unhex(master)
		if secret == nil {
			return false
		}
		k.remember(at, secret)
		return true
	}
	var encrypted [8]byte
	if len(key) != 2*len(encrypted) {
		return false
	}
	if _, err := hex.Decode(encrypted[:], key); err != nil {
		return false
	}
	secret := k.unhex(value)
	if secret == nil {
		return false
	}
	k.Forgotten += k.rsa.put(encrypted, labelPremaster, secret)
	return true
}

// unhex decodes a secret, which is valid until the next one; nil for none.
func (k *Keys) unhex(b []byte) []byte {
	if len(b) == 0 || len(b) > 2*maxSecret {
		return nil
	}
	n, err := hex.Decode(k.secret[:], b)
	if err != nil {
		return nil
	}
	return k.secret[:n]
}

func sessionOf(id []byte) sessionID {
	s := sessionID{size: uint8(min(len(id), 32))}
	copy(s.bytes[:], id)
	return s
}

// remember keeps a master secret for handshakes that resume its session.
func (k *Keys) remember(id sessionID, master []byte) {
	k.Forgotten += k.sessions.put(id, labelMaster, master)
}
