package export

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// Encode writes a value as a line of JSON, or indented, with the texts of the wire as Shown has them.
func Encode(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(Shown(b.Bytes()))
	return err
}

// Shown escapes in JSON of encoding/json what a terminal obeys or hides, and that package leaves as it is: DEL, C1 and
// bidirectional controls, characters of no width. They stand inside strings only, so nothing changes for a program. JSON
// without any is returned as it is.
func Shown(b []byte) []byte {
	i := 0
	for i < len(b) && b[i] < 0x7f {
		i++
	}
	if i == len(b) {
		return b
	}
	out := append(make([]byte, 0, len(b)+len(b)/8), b[:i]...)
	for i < len(b) {
		r, n := utf8.DecodeRune(b[i:])
		if r >= 0x7f && hidden(r) {
			out = appendRune(out, r)
		} else {
			out = append(out, b[i:i+n]...)
		}
		i += n
	}
	return out
}
