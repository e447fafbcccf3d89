package decode

import (
	"errors"
	"strings"
	"testing"

	"sipscope/capture"
)

// memory is a capture of one file.
type memory string

func (m memory) ReadAt(loc capture.Loc, p []byte) error {
	if loc.Off < 0 || loc.Off+int64(len(p)) > int64(len(m)) {
		return errors.New("beyond the end")
	}
	copy(p, m[loc.Off:])
	return nil
}

func TestReadText(t *testing.T) {
	t.Parallel()
	piece := func(seq uint64, off int64, n uint32) Piece {
		return Piece{Seq: seq, Loc: capture.Loc{Off: off}, Len: n}
	}
	for _, tt := range []struct {
		name   string
		pieces []Piece
		want   string
		fails  string
	}{
		{"nothing", nil, "", ""},
		{"one", []Piece{piece(1, 2, 3)}, "cde", ""},
		{"in the order of the message", []Piece{piece(2, 4, 2), piece(1, 0, 2)}, "efab", ""},
		{"not there any more", []Piece{piece(1, 0, 2), piece(7, 9, 2)}, "", "frame 7: beyond the end"},
		{"a size that no message has", []Piece{piece(3, 0, 5<<20)}, "", "frame 3: message of 5242880 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadText(memory("abcdefgh"), tt.pieces)
			if tt.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fails) {
					t.Fatalf("error %v, want %s", err, tt.fails)
				}
				return
			}
			if err != nil || string(got) != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
