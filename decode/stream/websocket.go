package stream

import (
	"bytes"
	"encoding/binary"
	"math"

	"sipscope/decode/sip"
)

// SIP over WebSocket (RFC 7118): after an HTTP upgrade, or where a capture begins later, frames (RFC 6455 5.2):
//
//	FIN RSV1-3 opcode | MASK length 7 | length 16 or 64 | masking key 32 | payload
//
// A message of one or more frames is one SIP message (RFC 7118 5.2), and says where it ends better than Content-Length
// does. Frames of control stand between them.

// Opcodes (RFC 6455 11.8).
const (
	wsContinuation = 0x0
	wsText         = 0x1
	wsBinary       = 0x2
	wsClose        = 0x8
	wsPong         = 0xa
)

// wsHeader is a frame's header.
type wsHeader struct {
	size   int // bytes of the header
	length int // of the payload
	opcode byte
	fin    bool
	packed bool // RSV1: permessage-deflate (RFC 7692 6)
	masked bool
	key    [4]byte
}

// control reports whether the frame is none of data.
func (h *wsHeader) control() bool { return h.opcode >= wsClose }

// readKind reads the first byte. What no peer would send does not match: reserved bits and opcodes, and control frames in
// parts.
func (h *wsHeader) readKind(b byte) bool {
	const fin, rsv1, reserved, opcode = 0x80, 0x40, 0x30, 0x0f
	h.fin, h.packed, h.opcode = b&fin != 0, b&rsv1 != 0, b&opcode
	switch {
	case b&reserved != 0, h.opcode > wsBinary && h.opcode < wsClose, h.opcode > wsPong:
		return false
	case h.control():
		return h.fin && !h.packed
	}
	return !h.packed || h.opcode != wsContinuation
}

// readLength reads the length of a header that is all there. It must be in as few bytes as it can be (RFC 6455 5.2), and
// not above a limit.
func (h *wsHeader) readLength(b []byte, limit int) bool {
	length, least := uint64(h.length), uint64(0) //nolint:gosec // 7 bits
	switch h.size {
	case 4:
		length, least = uint64(binary.BigEndian.Uint16(b[2:])), 126
	case 10:
		length, least = binary.BigEndian.Uint64(b[2:]), math.MaxUint16+1
	}
	h.length = int(min(length, math.MaxInt32))
	return length >= least && h.length <= limit
}

// parseWS reads the header that b begins with. Lengths above a limit do not match.
func parseWS(b []byte, limit int) (h wsHeader, m sip.Match) {
	const mask = 0x80
	switch {
	case len(b) == 0:
		return h, sip.NeedMore
	case !h.readKind(b[0]):
		return h, sip.NoMatch
	case len(b) == 1:
		return h, sip.NeedMore
	}
	h.masked, h.length, h.size = b[1]&mask != 0, int(b[1]&^mask), 2
	switch h.length {
	case 126:
		h.size = 4
	case 127:
		h.size = 10
	}
	switch {
	case h.control() && h.size > 2:
		return h, sip.NoMatch
	case len(b) < h.size:
		return h, sip.NeedMore
	case !h.readLength(b, limit):
		return h, sip.NoMatch
	}
	if h.masked {
		if len(b) < h.size+len(h.key) {
			return h, sip.NeedMore
		}
		copy(h.key[:], b[h.size:])
		h.size += len(h.key)
	}
	return h, sip.Matched
}

// unmask appends a payload, or its beginning, in clear to dst (RFC 6455 5.3).
func (h *wsHeader) unmask(dst, payload []byte) []byte {
	from := len(dst)
	dst = append(dst, payload...)
	if !h.masked {
		return dst
	}
	b := dst[from:]
	word := uint64(binary.LittleEndian.Uint32(h.key[:]))
	word |= word << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= h.key[i&3]
	}
	return dst
}

// startsWS reports whether b begins with a frame whose payload begins with a SIP start line.
func (a *Assembler) startsWS(b []byte) sip.Match {
	h, m := parseWS(b, a.limits.Message)
	if h.opcode != wsText && h.opcode != wsBinary || h.packed && b[0] != wsPacked {
		return sip.NoMatch
	}
	switch {
	case m != sip.Matched:
		return m
	case h.length < smallestSIP && h.fin || h.length == 0:
		return sip.NoMatch
	}
	payload := b[h.size:min(len(b), h.size+h.length)]
	if h.packed {
		return a.startsPacked(&h, payload)
	}
	return a.startsSIP(&h, payload)
}

// wsPacked is the first byte of a whole compressed text message. It may have been compressed without those before it.
const wsPacked = 0x80 | 0x40 | wsText

// startsPacked is startsSIP for a payload that is compressed. What is not fails within some bits.
func (a *Assembler) startsPacked(h *wsHeader, payload []byte) sip.Match {
	const enough = 2048 // compressed bytes that have more than a start line
	a.plain = h.unmask(a.plain[:0], payload[:min(len(payload), enough)])
	text := a.probe.beginning(a.plain)
	switch m := sip.StartLine(text); {
	case m == sip.Matched && knownStart(text):
		return m
	case m == sip.NeedMore && len(payload) < min(h.length, enough) && (len(text) == 0 || beginsStart(firstToken(text))):
		return m
	}
	return sip.NoMatch
}

// startsSIP reports whether a frame's payload, of which not all may be there, begins with a SIP start line.
func (a *Assembler) startsSIP(h *wsHeader, payload []byte) sip.Match {
	if len(payload) == 0 {
		return sip.NeedMore
	}
	a.plain = h.unmask(a.plain[:0], payload[:min(len(payload), smallestSIP)])
	if !beginsStart(firstToken(a.plain)) {
		return sip.NoMatch
	}
	a.plain = h.unmask(a.plain[:0], payload[:min(len(payload), maxLine)])
	switch m := sip.StartLine(a.plain); {
	case m == sip.Matched && !knownStart(a.plain):
		return sip.NoMatch
	case m != sip.NeedMore || len(payload) < min(h.length, maxLine):
		return m
	case !h.fin && len(payload) == h.length && bytes.IndexByte(a.plain, ' ') > 0: // its line goes on in the next frame
		return sip.Matched
	}
	return sip.NoMatch
}

// smallestSIP is less than any start line and header have, in bytes.
const smallestSIP = 24

// firstToken gives b up to its first blank, that included.
func firstToken(b []byte) []byte {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i+1]
	}
	return b
}

// findWS gives where in b a frame begins whose payload begins with a SIP start line: Matched, or NeedMore when one may
// begin there. There is none in b[:at].
func (a *Assembler) findWS(b []byte) (at int, m sip.Match) {
	for i := range b {
		if c := b[i] &^ 0x80; c != wsText && c != wsBinary && b[i] != wsPacked { // FIN or not
			continue
		}
		if m = a.startsWS(b[i:]); m != sip.NoMatch {
			return i, m
		}
	}
	return len(b), sip.NoMatch
}
