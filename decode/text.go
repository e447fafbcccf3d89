package decode

import (
	"fmt"

	"sipscope/capture"
	"sipscope/capture/hep"
	"sipscope/decode/sip"
)

// maxTextSize is the largest text that is read again: no SIP message that the streams let through is larger.
const maxTextSize = 4 << 20

// TextReader gives bytes of the captures again; *capture.Files is one.
type TextReader interface {
	ReadAt(loc capture.Loc, p []byte) error
}

// ReadText reads the raw text of a message again, piece by piece.
func ReadText(r TextReader, pieces []Piece) ([]byte, error) {
	size := 0
	for i := range pieces {
		size += int(pieces[i].Len)
	}
	if size > maxTextSize {
		return nil, fmt.Errorf("frame %d: message of %d bytes, at most %d are read again", pieces[0].Seq, size, maxTextSize)
	}
	out := make([]byte, size)
	at := 0
	for i := range pieces {
		p := &pieces[i]
		if err := r.ReadAt(p.Loc, out[at:at+int(p.Len)]); err != nil {
			return nil, fmt.Errorf("frame %d: %w", p.Seq, err)
		}
		at += int(p.Len)
	}
	if compressed(out) {
		text, err := hep.Inflate(nil, out, maxInflated)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", pieces[0].Seq, err)
		}
		return text[sip.SkipCRLF(text):], nil
	}
	return out, nil
}

// compressed reports whether a text is as an agent compressed it: zlib (RFC 1950 2.2) and gzip (RFC 1952 2.3.1) begin
// with what no start line does.
func compressed(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	gzip := b[0] == 0x1f && b[1] == 0x8b
	zlib := b[0]&0x0f == 8 && (uint(b[0])<<8|uint(b[1]))%31 == 0
	return (gzip || zlib) && sip.StartLine(b) != sip.Matched
}
