// Package decode is the reading room: it turns frames into SIP messages, and gives every packet an outcome.
//
// The pipeline runs it in three steps on a Work, one batch of packets: Decoder.Frames (many workers) reads frames and
// the SIP in plain datagrams, Streams.Join (one owner, in the order of the capture) joins fragments and TCP segments,
// Decoder.Texts (many workers) parses what came out of them. Work.Items then lists messages and gaps in order. Nothing
// here reads a clock; time is the batch's packet time.
package decode

import (
	"iter"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// Work is a batch of packets and what became of them. It is used again and again: Reset keeps its memory.
type Work struct {
	Batch capture.Batch
	Last  bool // the capture has ended: what waits is given up
	// Secrets are TLS key logs (NSS format) that became known before the batch was read, or parts of them that end with a
	// line; nil for none. Join walks through them once, and keeps no bytes. See Options.Secrets.
	Secrets iter.Seq[[]byte]

	units    []unit
	messages []Message
	gaps     []Gap
	media    []Media
	joined   bool // some of media came out of fragments
	secured  []Secured
	items    []item
	pieces   []Piece
	text     []byte // copies of texts that came out of streams
	acct     Accounting
	envelope envelope
	inflated []byte // scratch
}

// unit is one packet on its way.
type unit struct {
	frame   frame.Packet
	result  frame.Result
	outcome Outcome
	message int32 // index of the message in a plain datagram, -1 for none
}

// item is a message or a gap; one of the two is -1.
type item struct{ message, gap int32 }

// slot gives the next message to fill; what an earlier batch left in it is its memory.
func (w *Work) slot() (int32, *Message) {
	n := len(w.messages)
	if n < cap(w.messages) {
		w.messages = w.messages[:n+1] // what was parsed into it before keeps its slices
	} else {
		w.messages = append(w.messages, Message{})
	}
	m := &w.messages[n]
	m.Flags, m.Nth, m.Words, m.related, m.pending = 0, 0, 0, 0, false // the rest is set, and parsed, anew
	m.TTL, m.Path = 0, frame.Path{}
	return int32(n), m //nolint:gosec // a batch holds some hundred messages
}

// Reset makes the Work ready for another batch and gives its bytes back.
func (w *Work) Reset() {
	w.Batch.Release()
	w.Last = false
	w.units = w.units[:0]
	w.messages = w.messages[:0]
	w.gaps = w.gaps[:0]
	if w.joined {
		clear(w.media) // they hold their datagrams
		w.joined = false
	}
	w.media = w.media[:0]
	w.secured = w.secured[:0]
	w.Secrets = nil
	w.items = w.items[:0]
	w.pieces = w.pieces[:0]
	const keep = 1 << 20 // one huge batch must not be held for ever
	if cap(w.text) > keep {
		w.text = nil
	}
	w.text = w.text[:0]
	w.acct = Accounting{}
}

// Items lists the messages and gaps in the order of the capture; one of the two is nil.
func (w *Work) Items() iter.Seq2[*Message, *Gap] {
	return func(yield func(*Message, *Gap) bool) {
		for _, it := range w.items {
			if it.gap >= 0 {
				if !yield(nil, &w.gaps[it.gap]) {
					return
				}
				continue
			}
			if m := &w.messages[it.message]; m.SIP.Raw != nil && !yield(m, nil) {
				return
			}
		}
	}
}

// Packets lists the packets of the batch with what their frames hold. A frame is the network's as far as one packet tells:
// what fragments and segments make together is in Items.
func (w *Work) Packets() iter.Seq2[*capture.Packet, *frame.Packet] {
	return func(yield func(*capture.Packet, *frame.Packet) bool) {
		for i := range w.units {
			if !yield(&w.Batch.Packets[i], &w.units[i].frame) {
				return
			}
		}
	}
}

// Account adds what became of the batch's packets.
func (w *Work) Account(a *Accounting) { a.add(&w.acct) }
