package decode

import (
	"fmt"

	"sipscope/capture"
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
	return out, nil
}
