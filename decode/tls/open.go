package tls

import (
	"bytes"
	"encoding/hex"
	"slices"
)

// names13 are the labels of secrets in a key log, by epoch and role.
//
//nolint:gochecknoglobals // a read-only table
var names13 = [...][2]string{
	epochEarly:     {client: "CLIENT_EARLY_TRAFFIC_SECRET"},
	epochHandshake: {client: "CLIENT_HANDSHAKE_TRAFFIC_SECRET", server: "SERVER_HANDSHAKE_TRAFFIC_SECRET"},
	epochTraffic:   {client: "CLIENT_TRAFFIC_SECRET_0", server: "SERVER_TRAFFIC_SECRET_0"},
}

// maxUsed bounds what Secrets gives, in bytes: some dozen renegotiations.
const maxUsed = 8 << 10

// Secrets are the lines of a key log that decrypt what was decrypted so far, and nothing else, whatever form the secrets came
// in: what a session that is resumed has from the one before is written out. It is valid until the next call of Offer.
func (c *Conn) Secrets() []byte { return c.used }

// log notes a secret that fits.
func (c *Conn) log(name string, secret []byte) {
	const spare = 2 * 100
	if len(c.used) > maxUsed-spare {
		return
	}
	c.used = append(append(c.used, name...), ' ')
	c.used = append(hex.AppendEncode(c.used, c.p.clientRandom[:]), ' ')
	c.used = append(hex.AppendEncode(c.used, secret), '\n')
}

// ready reports whether there is a key for the next protected record of a side.
func (c *Conn) ready(s Side) bool {
	h := &c.halfs[s]
	switch {
	case h.opener != nil:
		return true
	case c.keys == nil || c.unknown || h.dead || !c.p.hasClient || !c.p.hasServer:
		return false
	case c.p.version == version13:
		role := c.p.role(s)
		return c.secret(epochTraffic, role) != nil || h.epoch < epochHandshake && c.secret(epochHandshake, role) != nil
	}
	if c.p.openers[0] == nil {
		master := c.p.master(c.keys)
		if len(master) == 0 {
			return false
		}
		openers, err := c.p.keyBlock(master)
		if err != nil {
			c.unknown = true
			return false
		}
		c.p.openers, c.p.secret = openers, bytes.Clone(master)
	}
	h.opener = c.p.openers[c.p.role(s)]
	return true
}

// open takes the protection off a record, and gives its content and the type of that.
func (c *Conn) open(h *half, r *record) (plain []byte, kind uint8, ok bool) {
	if c.p.version == version13 {
		return c.open13(h, r)
	}
	o := h.opener
	plain, ok = c.try(o, h, r, h.seq)
	if ok && len(c.p.secret) > 0 {
		c.log("CLIENT_RANDOM", c.p.secret)
		c.p.secret = nil
	}
	if o != nil {
		o.pass(r)
	}
	return plain, r.kind, ok
}

// try decrypts a record whose sequence number is seq, or more if records are missing.
func (c *Conn) try(o opener, h *half, r *record, seq uint64) ([]byte, bool) {
	if o == nil || h.dead {
		return nil, false
	}
	const before = 64 // of those that were passed over, some may have had another key
	seq += h.missed
	for i := range uint64(h.slack) + before + 1 { //nolint:gosec // not negative
		n := seq + i
		if i > uint64(h.slack) { //nolint:gosec // not negative
			back := i - uint64(h.slack) //nolint:gosec // not negative
			if back > min(h.missed, seq) {
				break
			}
			n = seq - back
		}
		out, ok := o.open(c.scratch, n, r)
		if ok {
			if cap(out) > cap(c.scratch) && !within(out, r.body) {
				c.scratch = out[:0]
			}
			if n != seq-h.missed {
				h.after = true
			}
			h.seq, h.slack, h.missed = n+1, 0, 0
			h.trials = max(0, h.trials-4*len(r.body))
			return out, true
		}
		h.trials += len(r.body) + 64
		if h.trials > maxTrials {
			h.dead, h.opener = true, nil
			return nil, false
		}
	}
	return nil, false
}

// within reports whether a is a part of b's memory.
func within(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// open13 decrypts a record of TLS 1.3 with the key at hand or, where that does not fit, with those that may follow.
func (c *Conn) open13(h *half, r *record) ([]byte, uint8, bool) {
	if r.kind != typeApplicationData {
		return nil, 0, false
	}
	if out, ok := c.try(h.opener, h, r, h.seq); ok {
		return unpad(out)
	}
	role := c.p.role(r.from)
	for e := h.epoch + 1; e <= epochTraffic; e++ {
		secret := c.secret(e, role)
		o := c.p.suite.opener13(secret)
		if out, ok := c.tryNew(o, h, r); ok {
			h.opener, h.epoch, h.secret = o, e, secret
			c.log(names13[e][role], secret)
			return unpad(out)
		}
	}
	if h.epoch == epochTraffic && h.slack > 0 { // a KeyUpdate may be among what is missing
		secret := c.p.suite.nextSecret(h.secret)
		o := c.p.suite.opener13(secret)
		if out, ok := c.tryNew(o, h, r); ok {
			h.opener, h.secret = o, secret
			return unpad(out)
		}
	}
	return nil, 0, false
}

// tryNew tries a key that has not been used.
func (c *Conn) tryNew(o opener, h *half, r *record) ([]byte, bool) {
	if o == nil {
		return nil, false
	}
	return c.try(o, h, r, 0)
}

// secret gives the secret of an epoch, nil when the log does not have it.
func (c *Conn) secret(e epoch, role int) []byte {
	if c.keys == nil {
		return nil
	}
	l := labelEarly
	switch {
	case e == epochEarly && (role != client || !c.p.early), e < epochEarly || e > epochTraffic:
		return nil
	case e == epochHandshake:
		l = [...]label{client: labelClientHandshake, server: labelServerHandshake}[role]
	case e == epochTraffic:
		l = [...]label{client: labelClientTraffic, server: labelServerTraffic}[role]
	}
	return c.keys.randoms.get(c.p.clientRandom, l)
}

// unpad takes the padding and the type off a TLSInnerPlaintext (RFC 8446 5.4).
func unpad(b []byte) ([]byte, uint8, bool) {
	for i, kind := range slices.Backward(b) {
		if kind != 0 {
			return b[:i], kind, true
		}
	}
	return nil, 0, false
}

// find looks for the next record after missing bytes, in b, which is at off in the bytes offered. It gives how many
// bytes are done with, and whether to go on behind them.
func (c *Conn) find(from Side, b []byte, off int) (n int, more bool) {
	h := &c.halfs[from]
	const most = 16 // places that wait for the rest of their record
	for ; h.scanned+headerSize <= len(b); h.scanned++ {
		if len(h.places) < most && c.plausible(b[h.scanned:]) {
			h.places = append(h.places, h.scanned)
		}
	}
	left := h.places[:0]
	for _, at := range h.places {
		end := at + headerSize + bodyLen(b[at:])
		if end > len(b) {
			left = append(left, at)
			continue
		}
		if n = c.judge(from, b, at, end, off); n >= 0 {
			h.found()
			return n, true
		}
	}
	h.places = left
	n = h.scanned
	if len(left) > 0 {
		n = left[0]
	}
	for i := range left {
		left[i] -= n
	}
	h.scanned -= n
	h.barren += n
	return n, false
}

// judge decides whether b[at:end] is a record. It gives where to go on, -1 if it is none. Only keys give certainty; without
// them, another record must follow, or nothing so far.
func (c *Conn) judge(from Side, b []byte, at, end, off int) int {
	h := &c.halfs[from]
	if !c.ready(from) {
		if end == len(b) || len(b)-end >= headerSize && c.plausible(b[end:]) {
			return at
		}
		return -1
	}
	r := newRecord(from, b[at:end], off+at)
	plain, kind, ok := c.open(h, &r)
	if !ok {
		return -1
	}
	c.content(h, &r, kind, plain)
	return end
}

func (h *half) found() {
	h.searching, h.scanned, h.places, h.barren = false, 0, h.places[:0], 0
	h.began = true
}

// plausible reports whether b begins with the header of a record of this connection.
func (c *Conn) plausible(b []byte) bool {
	if !IsRecord(b) || b[0] == typeHeartbeat || bodyLen(b) == 0 {
		return false
	}
	if !c.p.hasServer {
		return true
	}
	return uint16(b[1])<<8|uint16(b[2]) == min(c.p.version, version12)
}
