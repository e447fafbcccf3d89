package decode

import (
	"iter"

	"sipscope/decode/frame"
	"sipscope/decode/stream"
	"sipscope/decode/tls"
)

// Secured is a connection that began with a TLS record, as far as it was seen. Its texts are as they came: hostile.
type Secured struct {
	Num                   uint32         // 1-based, in the order in which they began
	Src, Dst              frame.Endpoint // the client and the server; of the first packet when nobody knows who is who
	TLS                   tls.Info
	Packets               uint64 // with a part of the stream, in both directions
	Bytes                 uint64 // of the stream
	Messages              uint64 // SIP that was found inside
	First, Last           int64  // packet times, ns since 1970-01-01 UTC
	FirstFrame, LastFrame uint64
	// Secrets are the lines of a key log (NSS format) that decrypt what was read of it; empty when nothing was.
	Secrets string
}

// Closed reports whether the connection is one that nobody could look into: it carried encrypted records, and none was
// decrypted.
func (s *Secured) Closed() bool {
	switch s.TLS.State {
	case tls.NoKey, tls.Midway, tls.Unknown, tls.Unfitting:
		return true
	default:
		return false
	}
}

var _ stream.Patient = (*secure)(nil)

// secure takes TLS off a connection: it is the stream.Conduit of both directions.
type secure struct {
	s       *Streams
	conn    *tls.Conn
	pipe    *stream.Pipe // of the call at hand
	row     Secured
	ends    [2]frame.Endpoint // by tls.Side
	rest    [2]int            // bytes that were not taken
	behind  [2]int            // bytes that were counted and are yet to be offered
	told    [2]bool           // a gap that the assembler tells of itself came since the last text
	touched bool              // row is to be reported with the batch at hand
}

// openSecure makes the conduit of a connection whose first bytes are a TLS record's.
func (s *Streams) openSecure(seg *stream.Segment) stream.Conduit {
	if !tls.IsRecord(seg.Payload) {
		return nil
	}
	s.secured++
	c := &secure{s: s, ends: [2]frame.Endpoint{seg.Src, seg.Dst}}
	c.conn = tls.NewConn(s.keys, c)
	c.row = Secured{Num: s.secured, Src: seg.Src, Dst: seg.Dst, First: seg.Time, FirstFrame: seg.Frame}
	return c
}

// Convey implements stream.Conduit.
func (c *secure) Convey(p *stream.Pipe, b []byte) (taken int) {
	side := c.side(p)
	if n := len(b) - c.rest[side]; n > c.behind[side] {
		c.came(p, n-c.behind[side])
		c.behind[side] = 0
	} else if n > 0 {
		c.behind[side] -= n
	}
	p.Opaque()
	return c.offer(p, side, b)
}

// came counts bytes of a packet.
func (c *secure) came(p *stream.Pipe, n int) {
	c.row.Packets++
	c.row.Bytes += uint64(n) //nolint:gosec // not negative
	c.row.Last, c.row.LastFrame = p.Time(), p.Frame()
	c.touch()
}

// Behind implements stream.Patient.
func (c *secure) Behind(p *stream.Pipe, n int) {
	c.behind[c.side(p)] += n
	c.came(p, n)
}

func (c *secure) side(p *stream.Pipe) tls.Side {
	if p.First() {
		return 0
	}
	return 1
}

// offer gives bytes to the connection.
func (c *secure) offer(p *stream.Pipe, side tls.Side, b []byte) int {
	c.pipe = p
	taken, turn := c.conn.Offer(side, b)
	c.pipe = nil
	c.rest[side] = len(b) - taken
	if turn {
		p.Retry()
	}
	return taken
}

// touch has the row reported at the end of the batch.
func (c *secure) touch() {
	if !c.touched {
		c.touched = true
		c.s.touched = append(c.s.touched, c)
	}
}

// End implements stream.Conduit. What waits for its key is read if only the other direction's is missing.
func (c *secure) End(p *stream.Pipe, rest []byte, why stream.Ending, missing uint64) (taken int) {
	side := c.side(p)
	if len(rest) > 0 && c.conn.Force() {
		taken = c.offer(p, side, rest)
	}
	if why == stream.Late {
		return taken
	}
	gone := 0
	if why == stream.Missing {
		c.told[side] = true
		const most = 1 << 30
		if gone = int(min(missing, most)); gone == 0 {
			gone = -1
		}
	}
	c.conn.Gap(side, rest[taken:], gone)
	c.rest[side] = 0
	c.touch()
	return taken
}

// Waits implements stream.Patient: keys may be logged after the connection has ended.
func (c *secure) Waits(p *stream.Pipe) bool { return c.s.late && c.conn.Holds(c.side(p)) }

// Size implements stream.Conduit.
func (c *secure) Size() int {
	const fixed = 400
	return c.conn.Size() + fixed
}

// Plain implements tls.Receiver.
func (c *secure) Plain(t *tls.Text) {
	if t.AfterGap && !c.told[t.From] {
		c.pipe.Lost(0)
	}
	c.told[t.From] = false
	if c.pipe.Wanted() {
		before := c.s.framed
		c.pipe.Write(t.Data, t.Off, t.Size)
		c.row.Messages += c.s.framed - before
		c.touch()
	}
}

// learn adds secrets that came with a batch, and reads what waited for them.
func (s *Streams) learn(secrets iter.Seq[[]byte]) {
	if s.keys == nil || secrets == nil {
		return
	}
	found := false
	for b := range secrets {
		found = s.keys.Add(b) || found
		found = s.keys.End() || found // a block of a pcapng file need not end with a line's end
	}
	if found {
		s.tcp.Retry()
	}
}

// reportSecured puts the rows that changed into the batch, each once.
func (s *Streams) reportSecured(w *Work) {
	for i, c := range s.touched {
		c.touched = false
		c.row.TLS = c.conn.Info()
		if used := c.conn.Secrets(); len(used) > len(c.row.Secrets) {
			c.row.Secrets = string(used)
		}
		if c.row.TLS.HasClient {
			c.row.Src, c.row.Dst = c.ends[c.row.TLS.Client], c.ends[1-c.row.TLS.Client]
		}
		w.secured = append(w.secured, c.row)
		s.touched[i] = nil
	}
	s.touched = s.touched[:0]
}

// Secured lists the TLS connections that changed with the batch, in the order of the first change.
func (w *Work) Secured() []Secured { return w.secured }
