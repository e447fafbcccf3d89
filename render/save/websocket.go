package save

import (
	"bytes"
	"context"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// A WebSocket connection says in its beginning what it is, and every compressed message needs those before it (RFC 7692
// 7.2.2). Those frames belong to no call. A pass of its own finds them, which no other capture costs: the handshakes, what
// keeps the connection alive between the messages, and of a compressed direction everything.

// wsFrames are the WebSocket connections of the calls that are saved.
type wsFrames map[wsEnds]*wsConnection

// wsEnds are the ends of a connection, in one direction.
type wsEnds struct{ src, dst frame.Endpoint }

// wsConnection is one direction of a connection.
type wsConnection struct {
	last   uint64 // the last frame that is wanted anyway, of both directions
	peer   *wsConnection
	head   bool // an HTTP head has begun and goes on
	packed bool // messages are compressed with those before them
	alone  bool // the peers agreed that they are not
}

// addMessage notes the connection of a message.
func (w wsFrames) addMessage(m *correlate.Message) {
	if m.Transport != decode.WS {
		return
	}
	there, back := wsEnds{m.Src, m.Dst}, wsEnds{m.Dst, m.Src}
	if w[there] == nil {
		w[there], w[back] = &wsConnection{}, &wsConnection{}
		w[there].peer, w[back].peer = w[back], w[there]
	}
	w[there].last = max(w[there].last, m.Seq)
	w[back].last = w[there].last
}

// add goes through the captures once and adds the frames that the connections need to those that carried the messages.
func (w wsFrames) add(ctx context.Context, o *output, begin func() (Frames, error), frames *frameSet) error {
	if len(w) == 0 {
		return nil
	}
	pass, err := begin()
	if err != nil {
		return err
	}
	defer func() { _ = pass.Close() }()
	var b capture.Batch
	defer b.Release()
	last := frames.last // those that are added come before
	for at := uint64(0); at < last; {
		if err := pass.Next(ctx, &b); err != nil {
			return missing(o, frames, 0, err)
		}
		for i := range b.Packets {
			if p := &b.Packets[i]; w.needs(p) {
				frames.add(p.Seq)
			}
			at = max(at, b.Packets[i].Seq)
		}
		o.tell(false)
	}
	return nil
}

// needs reports whether a frame, beside those of the messages, is one that its connection needs.
func (w wsFrames) needs(p *capture.Packet) bool {
	var f frame.Packet
	if frame.Decode(p.Link, p.Data, p.WireLen, &f) != frame.TCP {
		return false
	}
	c := w[wsEnds{f.Src, f.Dst}]
	if c == nil || p.Seq > c.last {
		return false
	}
	b := f.Payload
	switch {
	case len(b) == 0:
		return f.Flags&(frame.SYN|frame.FIN|frame.RST) != 0
	case c.head || beginsHTTP(b):
		c.inHead(b)
		return true
	}
	const packed, opcode = 0x70, 0x0f // with none but the first of the reserved bits (RFC 7692 6)
	c.packed = c.packed || !c.alone && b[0]&packed == 0x40 && (b[0]&opcode == 1 || b[0]&opcode == 2)
	return c.packed || keepsAlive(b)
}

// beginsHTTP reports whether a segment begins with a head that an upgrade has, or a proxy's before it.
func beginsHTTP(b []byte) bool {
	for _, s := range [...]string{"GET ", "CONNECT ", "HTTP/1."} {
		if len(b) >= len(s) && string(b[:len(s)]) == s {
			return true
		}
	}
	return false
}

// inHead reads a part of an HTTP head. The answer says what both directions do (RFC 7692 7.1.1).
func (c *wsConnection) inHead(b []byte) {
	found := bytes.Contains(b, []byte("\r\n\r\n"))
	c.head = !found
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.HasPrefix(b, []byte("HTTP/")) && bytes.EqualFold(bytes.TrimSpace(name), []byte("Sec-WebSocket-Extensions")) {
			c.alone = bytes.Contains(value, []byte("server_no_context_takeover"))
			c.peer.alone = bytes.Contains(value, []byte("client_no_context_takeover"))
		}
	}
}

// keepsAlive reports whether a segment is one small WebSocket frame that carries no SIP: a ping, a pong, a Close, or line
// ends (RFC 6455 5.5, RFC 7118 6).
func keepsAlive(b []byte) bool {
	const final, control, lineEnds = 0x80, 0x08, 4
	if len(b) < 2 || b[0]&(final|0x70) != final {
		return false
	}
	size, head := int(b[1]&0x7f), 2
	if b[1]&0x80 != 0 {
		head += 4 // the masking key
	}
	if len(b) != head+size || size > 125 {
		return false
	}
	return b[0]&control != 0 || size <= lineEnds
}
