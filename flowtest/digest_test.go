package flowtest

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// challengeOf reads the parameters of a Digest header field.
func challengeOf(line string) map[string]string {
	_, line, _ = strings.Cut(line, "Digest ")
	out := map[string]string{}
	for p := range strings.SplitSeq(line, ", ") {
		k, v, _ := strings.Cut(p, "=")
		out[k] = strings.Trim(v, `"`)
	}
	return out
}

// digest is RFC 7616 3.4.1, written apart from the code that it checks.
func digest(c map[string]string, user, password, method string) string {
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	a1 := sum(user + ":" + c["realm"] + ":" + password)
	a2 := sum(method + ":" + c["uri"])
	return sum(a1 + ":" + c["nonce"] + ":" + c["nc"] + ":" + c["cnonce"] + ":" + c["qop"] + ":" + a2)
}
