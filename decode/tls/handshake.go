package tls

// handshake takes bytes of the handshake protocol; a message may be spread over records.
func (c *Conn) handshake(from Side, b []byte) {
	h := &c.halfs[from]
	const head = 4 // type, length
	for len(b) > 0 {
		if n := min(h.passing, len(b)); n > 0 {
			c.p.record(b[:n])
			h.passing -= n
			b = b[n:]
			continue
		}
		want := head
		if len(h.message) >= head {
			want += messageLen(h.message)
		}
		n := min(want-len(h.message), len(b))
		h.message = append(h.message, b[:n]...)
		b = b[n:]
		switch {
		case len(h.message) < want:
			return
		case want == head && !wanted(h.message):
			c.p.record(h.message)
			h.passing, h.message = messageLen(h.message), h.message[:0]
		case want == head && messageLen(h.message) > 0:
		default:
			if h.message[0] != messageClientHello {
				c.p.record(h.message)
			}
			m := h.message
			h.message = nil // a new handshake or key may begin with it
			c.message(from, m[0], m[head:], m)
			if cap(m) <= 1024 {
				h.message = m[:0]
			}
		}
	}
}

func messageLen(b []byte) int { return int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

// wanted reports whether a message is of interest, by its first four bytes.
func wanted(b []byte) bool {
	switch b[0] {
	case messageClientHello, messageServerHello, messageNewSessionTicket, messageEndOfEarlyData, messageClientKeyExchange,
		messageFinished, messageKeyUpdate:
		return messageLen(b) <= maxMessage
	default:
		return false
	}
}

// message takes a handshake message.
func (c *Conn) message(from Side, kind uint8, body, whole []byte) {
	h := &c.halfs[from]
	switch kind {
	case messageClientHello:
		c.clientHello(from, body, whole)
	case messageServerHello:
		c.serverHello(from, body)
	case messageClientKeyExchange:
		if c.p.hasClient && from == c.p.client {
			c.p.keyExchange(body)
		}
	case messageNewSessionTicket:
		if c.p.hasServer && c.p.version <= version12 && from != c.p.client {
			c.p.issue(body)
			if c.keys != nil {
				c.p.master(c.keys) // it remembers the ticket
			}
		}
	default:
		h.advance(kind, &c.p.suite)
	}
}

// advance goes on in the key schedule of TLS 1.3 (RFC 8446 7.1) after a message that ends the use of a key.
func (h *half) advance(kind uint8, s *suite) {
	switch {
	case kind == messageEndOfEarlyData && h.epoch == epochEarly, kind == messageFinished && h.epoch == epochHandshake:
		h.opener, h.seq, h.missed = nil, 0, 0
	case kind == messageKeyUpdate && h.epoch == epochTraffic:
		h.secret = s.nextSecret(h.secret)
		h.opener, h.seq, h.missed = s.opener13(h.secret), 0, 0
	}
}

// clientHello begins a handshake: the first, the second of TLS 1.3 after a HelloRetryRequest, or a renegotiation.
func (c *Conn) clientHello(from Side, body, whole []byte) {
	hello, ok := parseClientHello(body)
	if !ok || c.p.hasServer && c.p.version == version13 {
		return
	}
	if c.p.retried && hello.random == c.p.clientRandom {
		c.p.early = false // RFC 8446 4.2.10
		return
	}
	if c.p.hasServer && !c.p.hasClient { // overtaken by its answer
		c.p.hasClient, c.p.client, c.p.clientRandom = true, from, hello.random
		c.p.offered = sessionOf(hello.session)
		c.p.resumed = c.p.offered.size > 0 && c.p.offered == c.p.session
	} else {
		c.p = params{
			client: from, hasClient: true, clientRandom: hello.random, early: hello.earlyData,
			offered: sessionOf(hello.session), recording: true,
		}
		c.p.record(whole)
	}
	if len(hello.ticket) > 0 {
		c.p.ticket = ticketOf(hello.ticket)
	}
	if c.info.ServerName == "" {
		c.info.ServerName = string(hello.serverName)
	}
	if c.info.ALPN == "" {
		c.info.ALPN = string(hello.alpn)
	}
}

// serverHello settles version and suite.
func (c *Conn) serverHello(from Side, body []byte) {
	hello, ok := parseServerHello(body)
	p := &c.p
	if !ok || p.hasServer || p.hasClient && from == p.client {
		return
	}
	if hello.random == helloRetry {
		p.retried = true
		return
	}
	if !p.hasClient {
		p.client = 1 - from
	}
	p.hasServer, p.serverRandom, p.version = true, hello.random, hello.version
	p.session = sessionOf(hello.session)
	p.encryptThen, p.extended = hello.encryptThen, hello.extended
	p.resumed = hello.version <= version12 && p.session.size > 0 && p.session == p.offered
	c.info.Version, c.info.Suite, c.info.Resumed = hello.version, hello.suite, p.resumed
	if len(hello.alpn) > 0 {
		c.info.ALPN = string(hello.alpn)
	}
	c.unknown = !p.settle(&hello)
}

// settle takes the cipher suite, and reports whether it is one that can be read in this version.
func (p *params) settle(hello *serverHello) (known bool) {
	p.suite, known = lookupSuite(hello.suite)
	k := p.suite.kind
	if k != aesCBC && k != tripleDES {
		p.encryptThen = false // RFC 7366 3
	}
	if !p.suite.rsa || !p.extended || p.version == version13 {
		p.recording, p.transcript = false, nil
	}
	switch {
	case !known || hello.compression != 0 || p.version < version10 || p.version > version13:
		return false
	case k >= aesGCM && p.version < version12:
		return false
	default:
		return of13(hello.suite) == (p.version == version13)
	}
}
