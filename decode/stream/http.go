package stream

import (
	"bytes"

	"sipscope/decode/sip"
)

// Bounds of the heads of an HTTP upgrade: requests carry cookies.
const (
	maxRequest = 16 << 10
	maxAnswer  = 4 << 10
)

// switching is how the answer to an upgrade begins (RFC 6455 4.2.2).
const switching = "HTTP/1.1 101"

// getting is how an upgrade begins (RFC 6455 4.1).
const getting = "GET "

// upgrade looks for the head of an HTTP request that b begins with, or for a 101 (RFC 6455 4): Matched with its n bytes,
// and is when it upgrades to WebSocket.
func upgrade(b []byte) (n int, is bool, m sip.Match) {
	most := maxRequest
	if m = prefix(b, getting); m == sip.NoMatch {
		m, most = prefix(b, switching), maxAnswer
	}
	if m != sip.Matched {
		return 0, false, m
	}
	b = b[:min(len(b), most)]
	for first := true; ; first = false {
		nl := bytes.IndexByte(b[n:], '\n')
		if nl < 0 {
			break
		}
		line := bytes.TrimSuffix(b[n:n+nl], []byte("\r"))
		n += nl + 1
		name, value, header := bytes.Cut(line, []byte(":"))
		switch {
		case first && bytes.Contains(line, []byte("HTTP/1.1")):
		case len(line) == 0 && !first:
			return n, is, sip.Matched
		case !header || first || bytes.IndexByte(name, ' ') >= 0: // so no head has another one in it
			return 0, false, sip.NoMatch
		case bytes.EqualFold(name, []byte("Upgrade")) && hasFold(bytes.TrimSpace(value), "websocket"):
			is = true
		}
	}
	if len(b) == most {
		return 0, false, sip.NoMatch
	}
	return 0, false, sip.NeedMore
}

// prefix reports whether b begins with p, or may.
func prefix(b []byte, p string) sip.Match {
	n := min(len(b), len(p))
	switch {
	case string(b[:n]) != p[:n]:
		return sip.NoMatch
	case n < len(p):
		return sip.NeedMore
	}
	return sip.Matched
}
