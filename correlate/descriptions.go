package correlate

import (
	"sipscope/correlate/media"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// descriptions are the session descriptions that nobody has needed yet. Many captures hold signalling alone, and the
// addresses in their SDP would be read and kept for nothing. Until the first datagram comes that has the form of RTP or
// RTCP, the texts wait here; then they are read in their order, as if they had been read at once.
type descriptions struct {
	list    []description
	text    []byte
	dropped uint64 // that gave room to others
	awake   bool   // media came: nothing waits any more
}

// description is a message whose session description waits.
type description struct {
	seq      uint64
	time     int64
	src      frame.Endpoint
	call     uint32
	message  int32 // index in the call's messages, -1 when it is not kept
	from, to int   // in text
}

// Bounds of what waits.
const (
	maxDescriptions     = 1 << 15
	maxDescriptionBytes = 8 << 20
)

// add keeps a description. Where there is no room, the older half of all gives it.
func (d *descriptions) add(m *decode.Message, body []byte, call uint32, message int) {
	if len(body) > maxDescriptionBytes/2 {
		d.dropped++
		return
	}
	if len(d.list) == maxDescriptions || len(d.text)+len(body) > maxDescriptionBytes {
		d.halve()
	}
	from := len(d.text)
	d.text = append(d.text, body...)
	d.list = append(d.list, description{
		seq: m.Seq, time: m.Time, src: m.Src, call: call, message: int32(message), //nolint:gosec // bounded by Limits
		from: from, to: len(d.text),
	})
}

// halve lets the older half go, by bytes and by number.
func (d *descriptions) halve() {
	n := len(d.list) / 2
	for n < len(d.list) && len(d.text)-d.list[n].from > maxDescriptionBytes/2 {
		n++
	}
	d.dropped += uint64(n)
	cut := len(d.text)
	if n < len(d.list) {
		cut = d.list[n].from
	}
	d.text = d.text[:copy(d.text, d.text[cut:])]
	d.list = d.list[:copy(d.list, d.list[n:])]
	for i := range d.list {
		d.list[i].from -= cut
		d.list[i].to -= cut
	}
}

// wake reads what waits, for the streams that are to come.
func (d *descriptions) wake(decoder *decode.Decoder, streams *media.Tracker) {
	d.awake = true
	decoder.WakeMedia()
	var m decode.Message
	for i := range d.list {
		x := &d.list[i]
		m.Seq, m.Time, m.Src = x.seq, x.time, x.src
		decoder.Describe(&m, d.text[x.from:x.to])
		streams.Describe(&m, x.call, int(x.message)) // no stream is there that it could prove
	}
	d.list, d.text = nil, nil
}
