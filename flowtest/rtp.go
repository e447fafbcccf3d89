package flowtest

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// rtp sends silent G.711 (RFC 3550 5.1, RFC 3551 4.5.14).
//
//	 0                   1                   2                   3
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	|                           timestamp                           |
//	|           synchronization source (SSRC) identifier            |
func (w *wire) rtp(s *step) error {
	c, _ := codecOf(s.words[0].text) // checked when parsed, as are the next two
	every, _ := time.ParseDuration(s.words[1].text)
	count, _ := strconv.Atoi(strings.TrimPrefix(s.words[2].text, "x"))
	there := lane{s.a, s.b, s.aPort, s.bPort}
	if err := w.media(s, there, c, every, count); err != nil || !s.both {
		return err
	}
	return w.media(s, lane{s.b, s.a, s.bPort, s.aPort}, c, every, count)
}

// media sends one direction; the step's time is that of its first packet.
func (w *wire) media(s *step, way lane, c codec, every time.Duration, count int) error {
	ssrc := derive(w.f.Name, way.src.name, "ssrc", strconv.Itoa(s.line))
	seq, stamp := uint16(ssrc>>16), ssrc*7
	samples := uint32(every / (time.Second / 8000))
	one := *s
	for i := range count {
		b := []byte{0x80, byte(c.payload)}
		if i == 0 {
			b[1] |= 0x80 // the marker begins a talkspurt
		}
		b = binary.BigEndian.AppendUint16(b, seq)
		b = binary.BigEndian.AppendUint32(b, stamp)
		b = binary.BigEndian.AppendUint32(b, ssrc)
		b = append(b, bytes.Repeat([]byte{c.fill}, int(samples))...)
		one.at = s.at + time.Duration(i)*every
		if err := w.datagram(&one, b, way); err != nil {
			return err
		}
		seq++
		stamp += samples
	}
	return nil
}
