package diff

import (
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/sip"
)

// word is compare.Names.Word: it replaces the addresses and identifiers in a text.
func (id *identities) word(side int, text string) (string, bool) {
	if to, ok := id.alias(side, text); ok {
		return to, true
	}
	if len(text) < minID {
		return "", false
	}
	var out strings.Builder
	done := 0
	eachRun(text, 0, func(run string, end int) int {
		start := end - len(run)
		if start < done {
			return 0
		}
		token, more := id.token(side, run, text[end:])
		if token != "" {
			out.WriteString(text[done:start])
			out.WriteString("\x02" + token + "\x03")
			done = end + more
		}
		return more
	})
	if done == 0 {
		return "", false
	}
	out.WriteString(text[done:])
	return out.String(), true
}

// token gives what a run stands for, empty when it is only text, and how many bytes of what follows belong to it.
func (id *identities) token(side int, run, rest string) (token string, more int) {
	if len(run) < minID {
		if strings.Count(run, ":") > 1 { // ::1
			return id.addressToken(side, run, rest)
		}
		return "", 0
	}
	if n, ok := id.words[side][run]; ok {
		return "I" + strconv.Itoa(n), 0
	}
	if len(run) > maxID {
		return "", 0
	}
	if strings.IndexByte(run, '%') >= 0 {
		if n, ok := id.words[side][string(sip.Unescape([]byte(run)))]; ok {
			return "I" + strconv.Itoa(n), 0
		}
	}
	if token, more = id.addressToken(side, run, rest); token != "" {
		return token, more
	}
	if who, ok := id.names[side][strings.ToLower(run)]; ok && who != nobody {
		token, _ = participant(who, true)
		_, length := portOf(rest)
		return token, length
	}
	if before, after, ok := strings.Cut(run, "@"); ok {
		return id.mailbox(side, before, after, rest)
	}
	return random(run, rest)
}

// addressToken is token for an address.
func (id *identities) addressToken(side int, run, rest string) (token string, more int) {
	if before, _, ok := strings.Cut(run, "~"); ok { // host~port~protocol, as Kamailio's ;alias has it
		if a, err := parseHost(before); err == nil {
			if who, known := id.place(side, a.String(), ""); known {
				return "alias of " + who, 0
			}
		}
		return "", 0
	}
	a, ok := address(run)
	if !ok {
		return "", 0
	}
	port, length := portOf(rest)
	who, known := id.place(side, a.String(), port)
	if !known {
		return "", 0
	}
	if who == "" { // in a text nothing is any place: what both sides write there is the same
		who, _ = id.relay(side, a)
	}
	switch {
	case who == "" && port == "":
		if who, known = participant(id.callers[side](netip.AddrPortFrom(a, defaultPort)), true); known && who != "" {
			return who, length // in a text there is no place: SIP's port there is as good as any
		}
		return "P", length
	case who == "":
		return "P", length
	default:
		return who, length
	}
}

// mailbox is token for user@host: the two may stand for something each.
func (id *identities) mailbox(side int, user, host, rest string) (token string, more int) {
	left, _ := id.token(side, user, "")
	right, more := id.token(side, host, rest)
	if left == "" && right == "" {
		return "", 0
	}
	if left == "" {
		left = user
	}
	if right == "" {
		right = host
	}
	return left + "@" + right, more
}

// portOf reads ":" and digits at the beginning of a text.
func portOf(t string) (port string, length int) {
	at := 0
	if strings.HasPrefix(t, "]:") {
		at = 1
	}
	if at == len(t) || t[at] != ':' {
		return "", 0
	}
	end := at + 1
	for end < len(t) && t[end]-'0' <= 9 {
		end++
	}
	if end == at+1 {
		return "", 0
	}
	return t[at+1 : end], end
}

// random recognises what programs make up for each call: UUIDs (RFC 9562 4), long hexadecimal numbers, and times (RFC
// 3339 5.6).
func random(run, rest string) (token string, more int) {
	switch {
	case len(run) == 36 && isUUID(run):
		return "uuid", 0
	case len(run) >= 32 && isHex(run):
		return "hex", 0
	case len(run) >= 13 && run[4] == '-' && run[7] == '-' && run[10] == 'T' && isDigits(run[:4]) && isDigits(run[5:7]):
		for more < len(rest) && strings.IndexByte("0123456789:.+-Z", rest[more]) >= 0 {
			more++
		}
		return "time", more
	default:
		return "", 0
	}
}

func isUUID(t string) bool {
	return t[8] == '-' && t[13] == '-' && t[18] == '-' && t[23] == '-' && isHex(strings.ReplaceAll(t, "-", ""))
}

func isHex(t string) bool {
	for i := range len(t) {
		if c := t[i] | 0x20; t[i]-'0' > 9 && c-'a' > 'f'-'a' {
			return false
		}
	}
	return true
}

func isDigits(t string) bool {
	for i := range len(t) {
		if t[i]-'0' > 9 {
			return false
		}
	}
	return true
}
