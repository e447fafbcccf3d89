package flowtest

import (
	"slices"
	"strconv"
	"time"

	"github.com/google/gopacket/layers"
)

// conn is a TCP connection between two hosts.
type conn struct {
	ports  map[*host]uint16
	next   map[*host]uint32 // sequence number of its next byte
	buffer map[*host][]byte // what waits for the next message
}

// mss is the largest segment that is not cut otherwise.
const mss = 1460

// ephemeral is the first port that clients use (RFC 6335 6).
const ephemeral = 49152

// open makes a connection from s.a to s.b; a new one takes the place of the old.
func (w *wire) open(s *step) *conn {
	w.ports = (w.ports + 1) % (65535 - ephemeral)
	n := strconv.Itoa(int(w.ports))
	c := &conn{
		ports: map[*host]uint16{
			s.a: s.port("sport", ephemeral+w.ports), s.b: s.port("dport", s.b.addr.Port()),
		},
		next: map[*host]uint32{
			s.a: derive(w.f.Name, s.a.name, "iss", n), s.b: derive(w.f.Name, s.b.name, "iss", n),
		},
		buffer: map[*host][]byte{},
	}
	w.conns[pair{s.a, s.b}], w.conns[pair{s.b, s.a}] = c, c
	return c
}

// conn finds the connection of two hosts; without a connect before, the capture begins within it.
func (w *wire) conn(s *step) *conn {
	if c := w.conns[pair{s.a, s.b}]; c != nil {
		return c
	}
	return w.open(s)
}

// segment writes a TCP segment of src.
func (c *conn) segment(src, dst *host, seq uint32, data []byte, set func(t *layers.TCP)) ([]byte, error) {
	t := &layers.TCP{
		SrcPort: layers.TCPPort(c.ports[src]), DstPort: layers.TCPPort(c.ports[dst]), Seq: seq, Window: 65535,
	}
	set(t)
	if t.ACK {
		t.Ack = c.next[dst]
	}
	return lane{src: src, dst: dst}.transport(t, t, data)
}

// send emits one segment, and counts the sequence numbers that it takes.
func (w *wire) send(s *step, at time.Duration, c *conn, src, dst *host, set func(t *layers.TCP)) error {
	b, err := c.segment(src, dst, c.next[src], nil, set)
	if err != nil {
		return err
	}
	if b[13]&3 != 0 { // SYN and FIN take a number each
		c.next[src]++
	}
	return w.packets(s, at, lane{src: src, dst: dst}, layers.IPProtocolTCP, b)
}

func ack(t *layers.TCP) { t.ACK = true }

// connect is the handshake, at s.at and the two gaps after it.
func (w *wire) connect(s *step) error {
	c := w.open(s)
	if err := w.send(s, s.at, c, s.a, s.b, func(t *layers.TCP) { t.SYN = true }); err != nil {
		return err
	}
	if err := w.send(s, s.at+gap, c, s.b, s.a, func(t *layers.TCP) { t.SYN, t.ACK = true, true }); err != nil {
		return err
	}
	return w.send(s, s.at+2*gap, c, s.a, s.b, ack)
}

// control sends what ends a connection or asks whether it lives.
func (w *wire) control(s *step) error {
	c := w.conn(s)
	switch s.verb {
	case "reset":
		return w.send(s, s.at, c, s.a, s.b, func(t *layers.TCP) { t.RST, t.ACK = true, true })
	case "probe": // one byte that was acknowledged before (RFC 9293 3.8.4)
		b, err := c.segment(s.a, s.b, c.next[s.a]-1, []byte{0}, ack)
		if err != nil {
			return err
		}
		if err := w.packets(s, s.at, lane{src: s.a, dst: s.b}, layers.IPProtocolTCP, b); err != nil {
			return err
		}
		return w.send(s, s.at+gap, c, s.b, s.a, ack)
	}
	fin := func(t *layers.TCP) { t.FIN, t.ACK = true, true }
	if err := w.send(s, s.at, c, s.a, s.b, fin); err != nil {
		return err
	}
	if err := w.send(s, s.at+gap, c, s.b, s.a, fin); err != nil {
		return err
	}
	return w.send(s, s.at+2*gap, c, s.a, s.b, ack)
}

// stream sends a message by TCP: cut where the step says so, and acknowledged by the receiver.
func (w *wire) stream(s *step, data []byte) error {
	c := w.conn(s)
	data = slices.Concat(c.buffer[s.a], data)
	if s.has("more") {
		c.buffer[s.a] = data
		return nil
	}
	c.buffer[s.a] = nil
	way := lane{src: s.a, dst: s.b}
	var all [][]byte
	for _, part := range s.cut(data) {
		b, err := c.segment(s.a, s.b, c.next[s.a], part, func(t *layers.TCP) { t.ACK, t.PSH = true, true })
		if err != nil {
			return err
		}
		all = append(all, b)
		c.next[s.a] += uint32(len(part))
	}
	if n := s.num("resend"); n > 0 && n <= len(all) {
		all = append(all, all[n-1])
	}
	at := s.at
	for _, b := range shown(s, all, "drop", "order") {
		if err := w.packets(s, at, way, layers.IPProtocolTCP, b); err != nil {
			return err
		}
		at += gap
	}
	if s.has("noack") {
		return nil
	}
	return w.send(s, at+3*gap, c, s.b, s.a, ack)
}

// cut parts a stream at the sizes of split=; the rest and longer pieces are cut at the mss.
func (s *step) cut(data []byte) [][]byte {
	var out [][]byte
	sizes, _ := numbers(s.text("split", "1460")) // checked when parsed
	for len(data) > 0 {
		n := mss
		if len(sizes) > 0 {
			n, sizes = min(sizes[0], mss), sizes[1:]
		}
		n = min(n, len(data))
		out = append(out, data[:n])
		data = data[n:]
	}
	return out
}
