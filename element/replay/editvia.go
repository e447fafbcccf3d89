package replay

import (
	"bytes"
	"strings"

	"sipscope/decode/sip"
)

// changedVia notes the parameters of the top Via of a response that its request had otherwise: who answers should return what
// came (RFC 3261 8.2.6.2), and one that does not is played so. What says where the response goes stays the live one's.
func (e *editor) changedVia() {
	if e.s.asked < 0 || e.in != nil {
		return
	}
	was, ok := furtherParams(&e.steps[e.s.asked].msg)
	is, same := furtherParams(e.m)
	if ok && same && was != is {
		e.s.via, e.s.viaChanged = is, true
	}
}

// furtherParams are the parameters of the top Via that do not say where a response goes, each with its semicolon; false for a
// Via that cannot be taken apart by semicolons.
func furtherParams(m *sip.Message) (params string, ok bool) {
	for v := range m.List(sip.HeaderVia) {
		var b strings.Builder
		for i, p := range strings.Split(string(v), ";") {
			if i > 0 && !returns(p) {
				b.WriteString(";" + strings.TrimSpace(p))
			}
		}
		return b.String(), bytes.IndexByte(v, '"') < 0
	}
	return "", false
}

// returned is a line of Via with those parameters alone that say where a response goes.
func returned(line []byte) []byte {
	parts := bytes.Split(line, []byte(";"))
	out := bytes.Clone(parts[0])
	for _, p := range parts[1:] {
		if returns(string(p)) {
			out = append(append(out, ';'), p...)
		}
	}
	return out
}

// returns reports whether a parameter of Via says where a response goes, or which transaction it is of.
func returns(param string) bool {
	name, _, _ := strings.Cut(param, "=")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "branch", "received", "rport", "maddr", "ttl", "alias":
		return true
	default:
		return false
	}
}
