package transport

import (
	"bytes"
	"hash/maphash"

	"sipscope/decode/sip"
)

// branchWithin is in how many bytes of a message its top Via is looked for.
const branchWithin = 2048

// branchKey is a hash of the branch of a message's top Via, which the requests of one INVITE share: itself, its CANCEL, its
// ACK (RFC 3261 17.2.3). It is 0 for a message without one, and for one that is cut off before its end. It costs far
// less than to parse the message.
func branchKey(seed maphash.Seed, raw []byte) uint64 {
	b := topBranch(raw[:min(len(raw), branchWithin)])
	if len(b) == 0 {
		return 0
	}
	return maphash.Bytes(seed, b) | 1
}

// sentKey tells the messages apart that branchKey does not, by their methods.
func sentKey(branch uint64, raw []byte) uint64 {
	if branch == 0 || len(raw) == 0 {
		return 0
	}
	return branch + uint64(raw[0])<<1
}

// topBranch finds the branch in the first line of a Via.
func topBranch(raw []byte) []byte {
	for {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			return nil
		}
		line := raw[:end]
		raw = raw[end+1:]
		params, ok := viaParams(line)
		if !ok {
			continue
		}
		b, _ := sip.Param(params[:viaEnd(params, 0)], "branch")
		return b
	}
}

// viaParams are the parameters in a line of a Via; false for another line.
func viaParams(line []byte) ([]byte, bool) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	if !ok || len(name) != 1 && len(name) != 3 || name[0]|0x20 != 'v' {
		return nil, false
	}
	if len(name) == 3 && !bytes.EqualFold(name, []byte("Via")) {
		return nil, false
	}
	at := bytes.IndexByte(value, ';')
	if at < 0 {
		return nil, true
	}
	return value[at:], true
}
