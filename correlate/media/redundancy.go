package media

import (
	"sipscope/decode"
	"sipscope/decode/rtp"
)

// redundant looks into a packet with redundant data (RFC 2198): what its primary encoding is, and what telephone-events it
// brings, new ones and copies of those that may have been lost. It reports whether the primary encoding is a
// telephone-event, whose timestamps stand still. Encrypted payloads stay closed.
func (t *Tracker) redundant(r *streamRec, m *decode.Media) (event bool) {
	if r.flags.has(nameSecure) {
		return false
	}
	payload := m.Payload()
	cut := m.Frame.Missing > 0
	if !cut {
		payload = payload[:min(len(payload), int(m.RTP.Size))] // without padding
	}
	var room [rtp.MaxRedBlocks]rtp.RedBlock
	blocks, ok := rtp.AppendRedBlocks(room[:0], payload, m.RTP.Timestamp, cut)
	if !ok {
		return false
	}
	for i := range blocks {
		b := &blocks[i]
		c := t.names.codec(r, b.PT)
		p := rtp.Packet{PT: b.PT, Seq: m.RTP.Seq, Timestamp: b.Timestamp, SSRC: m.RTP.SSRC, Payload: b.Payload}
		switch is := isEvent(&c.Name); {
		case b.Primary:
			event = is
			t.carry(r, &c, len(b.Payload))
			if p.Marker = m.RTP.Marker; is {
				t.pressesOf(r).Packet(m.Time, m.Seq, c.Clock, &p)
			}
		case is:
			p.Seq -= uint16(len(blocks) - 1 - i) //nolint:gosec // at most MaxRedBlocks; a generation a packet
			ago := int64(m.RTP.Timestamp-b.Timestamp) * second / int64(max(r.clock, 1))
			t.pressesOf(r).Copy(m.Time-ago, m.Seq, c.Clock, &p)
		}
	}
	return event
}

// carry notes the primary encoding of a packet with redundant data.
func (t *Tracker) carry(r *streamRec, c *decode.Codec, size int) {
	r.noise = c.PT == 13 || c.PT == 19 || isNoise(&c.Name)
	p := t.payloads.At(r.payload)
	p.primaries++
	p.primary += uint64(size) //nolint:gosec // a length
	if c.Clock != 0 && !r.noise && !isEvent(&c.Name) {
		p.carries, p.carriesClock = c.Name, c.Clock
	}
}

// learn gives a payload type what its description says: of redundant data, also what they carry, which tells where they are
// encrypted.
func (t *Tracker) learn(r *streamRec, p *payloadRec, c *decode.Codec) {
	p.name, p.clock = c.Name, c.Clock
	if c.Primary == 0 || !named(&c.Name, redundantName) {
		return
	}
	if in := t.names.codec(r, c.Primary-1); in.Clock != 0 {
		p.carries, p.carriesClock = in.Name, in.Clock
	}
}

// sound is what a payload type carries to hear or see: name, clock rate in Hz, packets and bytes, those of the primary
// encoding where there is redundancy.
func (p *payloadRec) sound() (name decode.CodecName, clock uint32, packets, bytes uint64) {
	switch {
	case p.carriesClock == 0:
		return p.name, p.clock, p.packets, p.bytes
	case p.primaries == 0: // encrypted: the copies cannot be told from it
		return p.carries, p.carriesClock, p.packets, p.bytes
	}
	return p.carries, p.carriesClock, p.primaries, p.primary
}
