package stream

import (
	"bytes"
	"encoding/binary"

	"sipscope/decode/sip"
)

// HEP version 3 over TCP is a row of messages, each with its length: agents send what they captured to a collector. The
// messages are framed like SIP ones, so that a capture taken on the way to a collector shows the calls.
//
//	0      4      6         12
//	"HEP3" length chunk ... vendor 0, type 1 (family), length 7

// hepMagic is how a message begins.
const hepMagic = "HEP3"

// hepHead is magic and length, in bytes.
const hepHead = len(hepMagic) + 2

// hepFirst is magic, any length, and the head of the chunk that agents send first, the family of addresses. Out of sync,
// no less is believed.
const hepFirst = "\x00\x00\x00\x01\x00\x07"

// hepExtent gives the length of the HEP message that b begins with.
func hepExtent(b []byte) (n int, is sip.Match) {
	k := min(len(b), len(hepMagic))
	if k == 0 || string(b[:k]) != hepMagic[:k] || k < len(hepMagic) && len(b) > k {
		return 0, sip.NoMatch
	}
	if len(b) < hepHead {
		return 0, sip.NeedMore
	}
	n = int(binary.BigEndian.Uint16(b[len(hepMagic):]))
	switch {
	case n < hepHead:
		return 0, sip.NoMatch
	case len(b) < n:
		return n, sip.NeedMore
	}
	return n, sip.Matched
}

// findHEP gives where a HEP message begins in b, or -1.
func findHEP(b []byte) int {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(hepMagic))
		if i < 0 {
			return -1
		}
		i += from
		rest := b[i+len(hepMagic):]
		if len(rest) >= 2+len(hepFirst) && string(rest[2:2+len(hepFirst)]) == hepFirst &&
			int(binary.BigEndian.Uint16(rest)) >= hepHead {
			return i
		}
		from = i + len(hepMagic)
	}
}
