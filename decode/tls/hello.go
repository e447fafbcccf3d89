package tls

import (
	"bytes"
	"crypto/sha256"
)

// Handshake message types (RFC 8446 4, RFC 5246 7.4) that an onlooker needs.
const (
	messageClientHello       = 1
	messageServerHello       = 2
	messageNewSessionTicket  = 4
	messageEndOfEarlyData    = 5
	messageClientKeyExchange = 16
	messageFinished          = 20
	messageKeyUpdate         = 24
)

// Extensions (IANA TLS ExtensionType values).
const (
	extServerName        = 0
	extALPN              = 16
	extEncryptThenMAC    = 22
	extExtendedMaster    = 23
	extSessionTicket     = 35
	extEarlyData         = 42
	extSupportedVersions = 43
)

// helloRetry is the random value of a ServerHello that is a HelloRetryRequest (RFC 8446 4.1.3).
//
//nolint:gochecknoglobals // a read-only value
var helloRetry = Random{
	0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
}

// reader takes fields off the front of a message. Once something is missing, everything is.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// number takes a number of n bytes, at most 3.
func (r *reader) number(n int) (v int) {
	for _, c := range r.take(n) {
		v = v<<8 | int(c)
	}
	return v
}

// vector takes bytes behind their length, which has n bytes.
func (r *reader) vector(n int) []byte { return r.take(r.number(n)) }

// clientHello is what counts of a ClientHello (RFC 8446 4.1.2, RFC 5246 7.4.1.2).
type clientHello struct {
	random     Random
	session    []byte
	ticket     []byte // RFC 5077 3.2
	serverName []byte
	alpn       []byte
	earlyData  bool
}

func parseClientHello(b []byte) (h clientHello, ok bool) {
	r := reader{b: b}
	r.take(2) // legacy_version
	copy(h.random[:], r.take(len(h.random)))
	h.session = r.vector(1)
	r.vector(2) // cipher suites
	r.vector(1) // compression methods
	if r.bad || len(h.session) > 32 {
		return h, false
	}
	extensions(r.vector(2), func(id int, e reader) {
		switch id {
		case extServerName:
			h.serverName = hostName(e)
		case extALPN:
			h.alpn = firstProtocol(e)
		case extSessionTicket:
			h.ticket = e.b
		case extEarlyData:
			h.earlyData = true
		}
	})
	return h, true
}

// extensions calls f for each extension of a hello.
func extensions(b []byte, f func(id int, e reader)) {
	for r := (reader{b: b}); len(r.b) > 0; {
		id := r.number(2)
		body := r.vector(2)
		if r.bad {
			return
		}
		f(id, reader{b: body})
	}
}

// hostName gives the name in a server_name extension (RFC 6066 3).
func hostName(e reader) []byte {
	list := reader{b: e.vector(2)}
	for len(list.b) > 0 {
		kind := list.number(1)
		name := list.vector(2)
		if kind == 0 && !list.bad {
			return name[:min(len(name), maxHeader)]
		}
	}
	return nil
}

// firstProtocol gives the first name of an ALPN extension (RFC 7301 3.1).
func firstProtocol(e reader) []byte {
	list := reader{b: e.vector(2)}
	return list.vector(1)
}

// serverHello is what counts of a ServerHello.
type serverHello struct {
	random      Random
	version     uint16
	session     []byte
	suite       uint16
	compression int
	alpn        []byte
	encryptThen bool
	extended    bool
}

func parseServerHello(b []byte) (h serverHello, ok bool) {
	r := reader{b: b}
	h.version = uint16(r.number(2)) //nolint:gosec // 2 bytes
	copy(h.random[:], r.take(len(h.random)))
	h.session = r.vector(1)
	h.suite = uint16(r.number(2)) //nolint:gosec // 2 bytes
	h.compression = r.number(1)
	if r.bad || len(h.session) > 32 {
		return h, false
	}
	extensions(r.vector(2), func(id int, e reader) {
		switch id {
		case extSupportedVersions:
			h.version = uint16(e.number(2)) //nolint:gosec // 2 bytes
		case extALPN:
			h.alpn = firstProtocol(e)
		case extEncryptThenMAC:
			h.encryptThen = true
		case extExtendedMaster:
			h.extended = true
		}
	})
	return h, true
}

// ticketOf gives the key under which a ticket's master secret is remembered.
func ticketOf(ticket []byte) sessionID { return sessionID{size: 0xff, bytes: sha256.Sum256(ticket)} }

// params is what the newest handshake of a connection has settled.
type params struct {
	client    Side
	hasClient bool
	hasServer bool
	retried   bool // a HelloRetryRequest came
	early     bool // the client sends early data

	clientRandom Random
	serverRandom Random
	version      uint16
	suite        suite
	encryptThen  bool // RFC 7366
	extended     bool // RFC 7627
	resumed      bool

	offered, session sessionID // ids of the ClientHello and of the ServerHello
	ticket, issued   sessionID // tickets of the ClientHello and of the server's new one; size 0 for none
	rsaKey           [8]byte   // the beginning of the encrypted premaster secret
	hasRSA           bool

	recording   bool // transcript is being written, for an extended master secret out of an RSA line
	transcript  []byte
	sessionHash []byte

	secret  []byte    // master secret of the openers, until it is logged
	openers [2]opener // of TLS 1.2 and below by role, once there is a master secret
}

// record keeps bytes of the handshake.
func (p *params) record(b []byte) {
	switch {
	case !p.recording:
	case len(p.transcript)+len(b) > maxTranscri:
		p.recording, p.transcript = false, nil
	default:
		p.transcript = append(p.transcript, b...)
	}
}

// keyExchange takes a ClientKeyExchange.
func (p *params) keyExchange(body []byte) {
	if p.hasServer && p.suite.rsa {
		r := reader{b: body}
		if encrypted := r.vector(2); len(encrypted) >= len(p.rsaKey) {
			copy(p.rsaKey[:], encrypted)
			p.hasRSA = true
		}
		if p.recording && p.extended {
			p.sessionHash = p.transcriptHash()
		}
	}
	p.recording, p.transcript = false, nil
}

// role is what a side does in the handshake.
func (p *params) role(s Side) int {
	if s == p.client {
		return client
	}
	return server
}

// issue takes a NewSessionTicket of TLS 1.2 (RFC 5077 3.3).
func (p *params) issue(body []byte) {
	r := reader{b: body}
	r.take(4) // lifetime hint
	if ticket := r.vector(2); len(ticket) > 0 {
		p.issued = ticketOf(ticket)
	}
}

// master finds the master secret, and remembers it for handshakes that resume the session.
func (p *params) master(k *Keys) []byte {
	master := k.randoms.get(p.clientRandom, labelMaster)
	if pre := k.randoms.get(p.clientRandom, labelPremaster); len(master) == 0 && len(pre) > 0 {
		master = p.masterOf(pre)
	}
	if len(master) == 0 && p.hasRSA {
		if pre := k.rsa.get(p.rsaKey, labelPremaster); len(pre) > 0 {
			master = p.masterOf(pre)
		}
	}
	if len(master) == 0 && p.session.size > 0 {
		master = k.sessions.get(p.session, labelMaster) // resumed, or in a line of this session
	}
	if len(master) == 0 && p.resumed && p.ticket.size > 0 {
		master = k.sessions.get(p.ticket, labelMaster)
	}
	if len(master) == 0 {
		return nil
	}
	for _, id := range []sessionID{p.session, p.issued} {
		if id.size > 0 && !bytes.Equal(k.sessions.get(id, labelMaster), master) {
			k.remember(id, master)
		}
	}
	return master
}
