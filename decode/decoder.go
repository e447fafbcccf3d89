package decode

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Options say what to look for beyond the messages themselves.
type Options struct {
	Words      []string // texts looked for in every message, at most 64
	IgnoreCase bool
	Vault      *Vault // keeps texts that are not in the captures byte for byte; nil: they cannot be read again
	Secrets    bool   // batches may bring TLS keys (Work.Secrets): encrypted records wait for theirs within bounds
	Late       bool   // with Secrets: also such keys as are of connections that have ended, which wait within bounds
}

// Decoder does the steps that many workers share. It has no state that changes a result.
type Decoder struct {
	hash   hasher
	words  [][]byte
	fold   bool
	vault  *Vault
	secret uint64 // of stream keys

	secrets  bool        // Options.Secrets
	late     bool        // Options.Late
	hasMedia atomic.Bool // see WakeMedia
}

// maxWords is the width of Message.Words.
const maxWords = 64

// NewDecoder makes a Decoder with a new secret seed for its keys.
func NewDecoder(o Options) *Decoder {
	d := &Decoder{hash: hasher{maphash.MakeSeed()}, fold: o.IgnoreCase, vault: o.Vault, secrets: o.Secrets, late: o.Late}
	d.secret = d.hash.bytes([]byte("stream"))
	for _, w := range o.Words[:min(len(o.Words), maxWords)] {
		b := []byte(w)
		if d.fold {
			b = bytes.ToLower(b)
		}
		d.words = append(d.words, b)
	}
	return d
}

// Frames decodes the frames of a batch, and the SIP in datagrams that are no fragments.
func (d *Decoder) Frames(w *Work) {
	if n := len(w.Batch.Packets); cap(w.units) < n {
		w.units = make([]unit, n)
	} else {
		w.units = w.units[:n]
	}
	for i := range w.Batch.Packets {
		p, u := &w.Batch.Packets[i], &w.units[i]
		u.result = frame.Decode(p.Link, p.Data, p.WireLen, &u.frame)
		u.message = -1
		u.outcome = OutcomeOther
		switch u.result {
		case frame.UDP:
			if carriesSCTP(&u.frame) {
				u.result = frame.SCTP
				continue
			}
			d.datagram(w, i)
		case frame.Truncated:
			u.outcome = OutcomeTruncated
		case frame.Malformed:
			u.outcome = OutcomeMalformed
		default:
		}
	}
}

// maxKeepAlive is the largest datagram of CRLFs or NULs that counts as a keep-alive.
const maxKeepAlive = 16

// keepAlive reports whether a datagram is one of the usual keep-alives: CRLFs (RFC 5626 3.5.1) or NULs.
func keepAlive(b []byte) bool {
	if len(b) == 0 || len(b) > maxKeepAlive {
		return false
	}
	for _, c := range b {
		if c != '\r' && c != '\n' && c != 0 {
			return false
		}
	}
	return true
}

// datagram looks for a message in a UDP payload.
func (d *Decoder) datagram(w *Work, i int) {
	p, u := &w.Batch.Packets[i], &w.units[i]
	b := u.frame.Payload
	if len(b) > 0 && b[0]>>6 == 2 {
		d.media(w, i)
		return
	}
	skip := sip.SkipCRLF(b)
	if keepAlive(b) {
		u.outcome = OutcomeKeepAlive
		return
	}
	if mayBeHEP(b) && d.encapsulated(w, i, b) || skip == len(b) || !mayStart(b[skip]) {
		return
	}
	index, m := w.slot()
	if !d.parse(m, b[skip:]) {
		w.messages = w.messages[:index]
		return
	}
	u.message, u.outcome = index, OutcomeSIP
	m.Seq, m.Time = p.Seq, p.Time
	m.Src, m.Dst, m.Transport = u.frame.Src, u.frame.Dst, UDP
	m.IPID, m.HasIPID, m.TTL, m.Path = u.frame.IPID, u.frame.HasIPID, u.frame.TTL, u.frame.Path
	if u.frame.Cut {
		m.Flags |= Truncated
	}
	text := b[skip:]
	loc := p.Loc
	loc.Off += int64(u.frame.PayloadOff) + int64(skip)
	m.Pieces = w.addPiece(Piece{Seq: p.Seq, Loc: loc, Len: uint32(len(text))}) //nolint:gosec // within a frame
}

// mayStart reports whether a start line may begin with c: a method is a token (RFC 3261 25.1), so media, DNS and other
// binary protocols are passed over at once.
func mayStart(c byte) bool { return c > ' ' && c < 0x7f }

// addPiece keeps one piece for the time of the batch.
func (w *Work) addPiece(p Piece) []Piece {
	n := len(w.pieces)
	w.pieces = append(w.pieces, p)
	return w.pieces[n : n+1 : n+1]
}

// parse fills the message from its text, and reports whether it is SIP.
func (d *Decoder) parse(m *Message, text []byte) bool {
	if err := sip.Parse(text, &m.SIP); err != nil {
		m.SIP.Raw = nil // Items passes over it
		return false
	}
	d.hash.keys(&m.SIP, &m.Keys)
	m.Keys.Related = m.related
	d.describe(m)
	if len(d.words) > 0 {
		m.Words = d.search(text)
	}
	return true
}

func (d *Decoder) search(text []byte) uint64 {
	if d.fold {
		text = bytes.ToLower(text)
	}
	var found uint64
	for i, w := range d.words {
		if bytes.Contains(text, w) {
			found |= 1 << i
		}
	}
	return found
}

// Texts parses the messages that came out of streams and fragments.
func (d *Decoder) Texts(w *Work) {
	for i := range w.messages {
		if m := &w.messages[i]; m.pending {
			m.pending = false
			d.parse(m, w.text[m.from:m.to])
		}
	}
}
