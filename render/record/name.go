package record

import (
	"fmt"
	"strings"
	"time"
)

// maxNamedID is how many bytes of a Call-ID a file name has.
const maxNamedID = 80

// fileName is the name of a call's file without its ending: time of the first message (nanoseconds since 1970-01-01, in
// UTC), number, and as much of the Call-ID as is safe on any file system and in any shell. It begins with a digit or,
// before the year 0, a sign.
func fileName(first int64, num uint32, callID string) string {
	stem := fmt.Sprintf("%s_%06d", time.Unix(0, first).UTC().Format("20060102-150405"), num)
	if id := safeID(callID); id != "" {
		return stem + "_" + id
	}
	return stem
}

// safeID makes a Call-ID safe: ASCII letters, digits and some marks stay, each other byte becomes "_". Call-IDs are
// words with "@" (RFC 3261 25.1), and those of the wire are whatever somebody sent.
func safeID(callID string) string {
	var b strings.Builder
	for i := range min(len(callID), maxNamedID) {
		c := callID[i]
		if !safe(c) || c == '.' && b.Len() == 0 {
			c = '_'
		}
		b.WriteByte(c)
	}
	return b.String()
}

func safe(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._@+=", c) >= 0
}
