package tls

// Conn decrypts one connection. Its owner keeps the bytes that it does not take: parts of records, and records that wait
// for keys.
type Conn struct {
	keys  *Keys // nil: there will never be any
	out   Receiver
	info  Info
	p     params
	halfs [2]half
	stamp uint64 // of the newest record

	encrypted bool // a protected record came
	unknown   bool // the state is Unknown
	tired     bool // waiting was given up once: what has no key is not waited for any more
	force     bool // records whose key is missing are given up
	scratch   []byte
	text      Text
	used      []byte // key log: see Secrets
}

// listed is a whole record that was offered and not taken.
type listed struct {
	size  int    // with its header
	kind  uint8  // of its header
	stamp uint64 // order among the records of both directions
}

// epoch is a stage of the key schedule of TLS 1.3 (RFC 8446 7.1).
type epoch uint8

const (
	epochNone epoch = iota
	epochEarly
	epochHandshake
	epochTraffic
)

// half is one direction.
type half struct {
	list    []listed // whole records at the beginning of the bytes that were not taken
	bytes   int      // of them
	discard int      // bytes of a record of which some are missing
	began   bool     // a record was seen

	searching bool  // for the next record, after bytes that are missing
	scanned   int   // of the bytes not taken: no header begins before, but for those of places
	places    []int // where a record may begin that is not yet whole
	barren    int   // bytes searched in vain

	message []byte // the beginning of a handshake message
	passing int    // bytes of one that is of no interest

	protected bool // TLS 1.2 and below: its ChangeCipherSpec came
	unsure    bool // bytes of the handshake are missing

	opener opener
	epoch  epoch
	secret []byte // of epochTraffic
	seq    uint64 // of the next record
	missed uint64 // records that were passed over for want of a key
	slack  int    // how many more records may be missing
	after  bool   // the next Text comes after a gap
	trials int    // bytes that were decrypted in vain
	dead   bool   // too many
}

// NewConn makes a Conn that looks for secrets in keys, and gives text to out. Without keys (nil) it only tells what the
// handshake says in clear.
func NewConn(keys *Keys, out Receiver) *Conn { return &Conn{keys: keys, out: out} }

// Info tells about the connection.
func (c *Conn) Info() Info {
	i := c.info
	i.Client, i.HasClient = c.p.client, c.p.hasClient
	switch {
	case i.Records > 0:
		i.State = Readable
	case c.unknown:
		i.State = Unknown
	case !c.encrypted:
	case !c.p.hasClient || !c.p.hasServer:
		i.State = Midway
	case c.halfs[0].trials+c.halfs[1].trials > 0:
		i.State = Unfitting
	default:
		i.State = NoKey
	}
	return i
}

// Size is about how many bytes of memory it holds.
func (c *Conn) Size() int {
	const fixed = 1400
	n := fixed + cap(c.p.transcript) + cap(c.scratch) + cap(c.used)
	for i := range c.halfs {
		h := &c.halfs[i]
		n += cap(h.message) + 16*cap(h.list) + 8*cap(h.places)
	}
	return n
}

// Waits reports whether whole records wait for keys.
func (c *Conn) Waits() bool { return len(c.halfs[0].list)+len(c.halfs[1].list) > 0 }

// Holds reports whether whole records of a direction wait for keys that may come at any time, or for their turn after
// others that do. It says no once waiting is given up.
func (c *Conn) Holds(from Side) bool {
	h := &c.halfs[from&1]
	return len(h.list) > 0 && !h.dead && !c.tired && !c.force && !c.hopeless() && c.mayBecomeReady()
}

// Offer takes bytes of a direction: those that were not taken the last time, and what came since. It returns how many
// it took; what they hold went to the Receiver. turn reports that records of the other direction can be read now: its
// bytes must be offered next, before any others.
func (c *Conn) Offer(from Side, b []byte) (taken int, turn bool) {
	from &= 1
	h := &c.halfs[from]
	if n := min(h.discard, len(b)); n > 0 {
		h.discard -= n
		taken = n
	}
	if h.barren > maxTrials || c.hopeless() {
		h.drop()
		return len(b), false
	}
	for {
		n, more := c.step(from, b[taken:], taken)
		taken += n
		if !more {
			return taken, c.next(1 - from)
		}
	}
}

// hopeless reports that nothing will ever be decrypted, and all that can be told was.
func (c *Conn) hopeless() bool {
	return c.encrypted && c.info.Records == 0 && (c.keys == nil || c.unknown) && c.p.hasClient && c.p.hasServer
}

// drop forgets what was found in the bytes that were not taken.
func (h *half) drop() {
	h.list, h.bytes, h.scanned, h.places = h.list[:0], 0, 0, h.places[:0]
}

// step takes the next record, or what is before it; b is at off in the bytes offered. It reports whether there may be another one.
func (c *Conn) step(from Side, b []byte, off int) (taken int, more bool) {
	h := &c.halfs[from]
	if h.searching {
		return c.find(from, b, off)
	}
	c.see(h, b)
	switch {
	case len(h.list) > 0 && c.next(from):
		r := newRecord(from, b[:h.list[0].size], off)
		h.pop()
		c.record(&r)
		return headerSize + len(r.body), true
	case h.bytes > maxWaiting:
		c.tired = true // next does not hold back any more
		return 0, true
	default:
		return 0, len(h.list) == 0 && h.searching
	}
}

// see lists the records that have become whole.
func (c *Conn) see(h *half, b []byte) {
	for len(b)-h.bytes >= headerSize {
		rest := b[h.bytes:]
		if !IsRecord(rest) {
			if len(h.list) == 0 {
				h.searching, h.unsure = true, true
				h.lose(1)
			}
			return
		}
		size := headerSize + bodyLen(rest)
		if len(rest) < size {
			return
		}
		c.stamp++
		h.list = append(h.list, listed{size, rest[0], c.stamp})
		h.bytes += size
		h.began = true
		if rest[0] == typeApplicationData {
			c.encrypted = true
		}
	}
}

func (h *half) pop() {
	h.bytes -= h.list[0].size
	h.list = h.list[1:]
	if len(h.list) == 0 {
		h.list = nil
	}
}

// next reports whether the first record of a side can be taken now. Records in clear never wait; the others keep the
// order of both directions.
func (c *Conn) next(from Side) bool {
	h, other := &c.halfs[from], &c.halfs[1-from]
	switch {
	case len(h.list) == 0:
		return false
	case c.tired || c.force || !h.holds() || !c.mayBecomeReady():
		return true
	case !c.ready(from):
		return false
	default:
		return len(other.list) == 0 || other.list[0].stamp > h.list[0].stamp || !other.holds()
	}
}

// holds reports whether the next record of a direction is a protected one.
func (h *half) holds() bool { return h.protected || h.list[0].kind == typeApplicationData }

// mayBecomeReady reports whether keys could make the connection readable: both hellos were seen, or the missing one may
// yet come since nothing else came from that side.
func (c *Conn) mayBecomeReady() bool {
	if c.keys == nil || c.unknown {
		return false
	}
	switch p := &c.p; {
	case p.hasClient:
		return p.hasServer || !c.halfs[1-p.client].began
	case p.hasServer:
		return !c.halfs[p.client].began
	default:
		return false
	}
}

// Force says not to wait any longer for keys of one direction where there are keys of the other one: a key log has both
// soon or never. It reports whether there may be something to offer again.
func (c *Conn) Force() bool {
	if !c.Waits() || !c.ready(0) && !c.ready(1) {
		return false
	}
	c.force = true
	return true
}

// Gap says that rest, the bytes of a direction that were offered and not taken, are given up, and that the n bytes behind
// them are missing; n is -1 when nobody knows how many.
func (c *Conn) Gap(from Side, rest []byte, n int) {
	from &= 1
	h := &c.halfs[from]
	for range h.list {
		c.pass(h)
	}
	open := h.discard // what is missing of the record at hand
	if tail := rest[min(h.bytes, len(rest)):]; !h.searching && len(tail) >= headerSize && IsRecord(tail) {
		open = headerSize + bodyLen(tail) - len(tail)
	}
	h.drop()
	if n == 0 && open == 0 && len(rest) < headerSize && !h.searching {
		h.searching = len(rest) > 0
		return
	}
	const smallest, unknown = 24, 64
	lost := 1
	if n >= 0 && n <= open {
		h.discard = open - n
	} else {
		lost += unknown
		if n > 0 {
			lost = 1 + min(n, smallest*maxSlack)/smallest
		}
		h.searching, h.discard = true, 0
	}
	h.message, h.passing = h.message[:0], 0
	h.unsure = true
	h.lose(lost)
}

// lose says that up to n records are missing.
func (h *half) lose(n int) {
	h.slack = min(h.slack+n, maxSlack)
	h.after = true
}

// pass passes over a record for which there is no key.
func (c *Conn) pass(h *half) {
	h.missed++
	h.after = true
	c.info.Lost++
}

func newRecord(from Side, b []byte, off int) record {
	return record{from: from, kind: b[0], version: uint16(b[1])<<8 | uint16(b[2]), body: b[headerSize:], off: off}
}

// record takes a whole record.
func (c *Conn) record(r *record) {
	h := &c.halfs[r.from]
	switch {
	case !c.isProtected(h, r):
		c.clear(r)
	case c.ready(r.from):
		c.protected(h, r)
	default:
		c.pass(h)
	}
}

// isProtected reports whether a record is encrypted, as far as its header and what came before it tell.
func (c *Conn) isProtected(h *half, r *record) bool {
	old := c.p.hasServer && c.p.version <= version12
	switch {
	case h.protected:
		c.encrypted = true
		return true
	case r.kind == typeApplicationData:
		if old { // its ChangeCipherSpec is missing
			h.protect()
			h.lose(1)
		}
		return true
	case old && h.unsure && r.kind == typeHandshake && c.ready(r.from):
		// a Finished, or a part of the handshake in clear? Only the keys tell.
		if _, ok := c.try(h.opener, h, r, 0); ok {
			h.protect()
			return true
		}
		h.opener = nil
	}
	return false
}

// protect begins to read encrypted records (RFC 5246 7.1).
func (h *half) protect() {
	h.protected, h.opener, h.seq, h.missed, h.slack = true, nil, 0, 0, 0
	if h.unsure {
		const some = 64
		h.slack = some // there may have been records before the one that told
	}
	h.message, h.passing = h.message[:0], 0
}

// clear takes a record that is not encrypted.
func (c *Conn) clear(r *record) {
	h := &c.halfs[r.from]
	switch r.kind {
	case typeHandshake:
		c.handshake(r.from, r.body)
	case typeChangeCipherSpec:
		if c.p.hasServer && c.p.version <= version12 { // TLS 1.3 sends them for middleboxes only (RFC 8446 D.4)
			h.protect()
		}
	default:
	}
}

// protected decrypts a record for which there is a key, and takes its content.
func (c *Conn) protected(h *half, r *record) {
	plain, kind, ok := c.open(h, r)
	if !ok {
		c.info.Lost++
		h.lose(1)
		return
	}
	c.content(h, r, kind, plain)
}

// content takes what was in a record.
func (c *Conn) content(h *half, r *record, kind uint8, plain []byte) {
	c.info.Records++
	switch kind {
	case typeApplicationData:
		if len(plain) == 0 {
			return
		}
		c.text = Text{From: r.from, Off: r.off, Size: headerSize + len(r.body), Data: plain, AfterGap: h.after}
		h.after = false
		c.out.Plain(&c.text)
	case typeHandshake:
		c.handshake(r.from, plain)
	case typeChangeCipherSpec: // renegotiation
		if c.p.version <= version12 {
			h.protect()
		}
	default:
	}
}
