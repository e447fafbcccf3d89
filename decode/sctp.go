package decode

import (
	"sipscope/decode/frame"
	"sipscope/decode/stream"
)

// carriesSCTP reports whether a datagram is SCTP in UDP (RFC 6951): at the port of that, and made of chunks.
func carriesSCTP(f *frame.Packet) bool {
	return (f.Src.Port == stream.SCTPPort || f.Dst.Port == stream.SCTPPort) && stream.IsSCTP(f.Payload)
}

// association gives an SCTP packet to the assembler.
func (s *Streams) association(i int) {
	p, u := &s.w.Batch.Packets[i], &s.w.units[i]
	loc := p.Loc
	loc.Off += int64(u.frame.PayloadOff)
	n := uint32(len(u.frame.Payload)) //nolint:gosec // within a frame
	s.addSCTP(&u.frame, s.w.addPiece(Piece{Seq: p.Seq, Loc: loc, Len: n}), p.Seq, p.Time, u)
}

func (s *Streams) addSCTP(f *frame.Packet, pieces []Piece, seq uint64, now int64, u *unit) {
	s.carrier(f)
	u.outcome = s.outcome(s.tcp.AddSCTP(&stream.SCTPPacket{
		Src: f.Src, Dst: f.Dst, Path: f.Path, Payload: f.Payload, Pieces: pieces, Frame: seq, Time: now,
	}))
}
