package flowtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/capture"
)

// wire makes the frames of payloads.
type wire struct {
	f     *Flow
	out   []frame
	ids   map[*host]uint16
	conns map[pair]*conn
	last  map[pair][]byte // the newest IP packet with a whole datagram, for ICMP errors
	ports uint16          // ephemeral ports given out

	tunnelled uint16 // packets put into tunnels
}

// frame is what an interface saw.
type frame struct {
	at    time.Duration
	iface uint16
	data  []byte
}

type pair struct{ a, b *host }

// gap is the time between frames that one step makes: about what 1500 bytes take at 1 Gbit/s.
const gap = 10 * time.Microsecond

// maxFrames bounds the frames of a flow.
const maxFrames = 100_000

var (
	errFamily = errors.New("one host has an IPv4 address and the other an IPv6 address")
	errSize   = errors.New("the payload does not fit into a datagram")
	errFrames = fmt.Errorf("the flow makes more than %d frames", maxFrames)
)

func newWire(f *Flow) *wire {
	w := &wire{f: f, ids: map[*host]uint16{}, conns: map[pair]*conn{}, last: map[pair][]byte{}}
	for _, h := range f.hosts {
		w.ids[h] = uint16(derive(f.Name, h.name, "ip id"))
	}
	return w
}

// payload sends a message.
func (w *wire) payload(s *step, data []byte, tcp bool) error {
	if tcp {
		return w.stream(s, data)
	}
	return w.datagram(s, data, w.ends(s))
}

// verb does what is no SIP message.
func (w *wire) verb(s *step) error {
	switch s.verb {
	case "rtp":
		return w.rtp(s)
	case "connect":
		return w.connect(s)
	case "close", "reset", "probe":
		return w.control(s)
	case "keepalive":
		return w.payload(s, []byte("\r\n\r\n"), s.tcp())
	case "pong":
		return w.payload(s, []byte("\r\n"), s.tcp())
	case "unreachable":
		return w.unreachable(s)
	}
	return w.payload(s, []byte(s.text("data", "")), s.tcp())
}

// lane is where a packet comes from and goes to.
type lane struct {
	src, dst     *host
	sport, dport uint16
}

func (w *wire) ends(s *step) lane {
	return lane{s.a, s.b, s.port("sport", s.a.addr.Port()), s.port("dport", s.b.addr.Port())}
}

// port gives the value of a key that was checked to be a port.
func (s *step) port(key string, def uint16) uint16 {
	if v, ok := s.opt(key); ok {
		n, _ := strconv.ParseUint(v, 10, 16)
		return uint16(n)
	}
	return def
}

// num gives the value of a key that was checked to be a number, 0 when absent.
func (s *step) num(key string) int {
	n, _ := strconv.Atoi(s.text(key, "0"))
	return n
}

// datagram sends a payload by UDP.
func (w *wire) datagram(s *step, data []byte, way lane) error {
	if len(data) > 65507 {
		return errSize
	}
	udp := &layers.UDP{SrcPort: layers.UDPPort(way.sport), DstPort: layers.UDPPort(way.dport)}
	segment, err := way.transport(udp, udp, data)
	if err != nil {
		return err
	}
	return w.packets(s, s.at, way, layers.IPProtocolUDP, segment)
}

// transport writes a UDP datagram or TCP segment with its checksum.
func (p lane) transport(l gopacket.SerializableLayer, c checksummed, data []byte) ([]byte, error) {
	network, err := p.network(0, 0)
	if err != nil {
		return nil, err
	}
	if err := c.SetNetworkLayerForChecksum(network); err != nil {
		return nil, err
	}
	return serialize(l, gopacket.Payload(data))
}

type checksummed interface {
	SetNetworkLayerForChecksum(l gopacket.NetworkLayer) error
}

func serialize(l ...gopacket.SerializableLayer) ([]byte, error) {
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...)
	return buf.Bytes(), err
}

// network makes the IP header of a lane.
func (p lane) network(protocol layers.IPProtocol, id uint16) (gopacket.NetworkLayer, error) {
	a, b := p.src.addr.Addr(), p.dst.addr.Addr()
	if a.Is4() != b.Is4() {
		return nil, errFamily
	}
	if a.Is4() {
		return &layers.IPv4{
			Version: 4, IHL: 5, TTL: 64, Id: id, Protocol: protocol, SrcIP: a.AsSlice(), DstIP: b.AsSlice(),
		}, nil
	}
	return &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: a.AsSlice(), DstIP: b.AsSlice()}, nil
}

// packets sends a datagram or segment as one IP packet, or as fragments where the step says so.
func (w *wire) packets(s *step, at time.Duration, way lane, protocol layers.IPProtocol, segment []byte) error {
	id := w.ids[way.src]
	w.ids[way.src]++
	size := s.num("frag") &^ 7 // the offset counts in units of 8 bytes
	if size == 0 || size >= len(segment) {
		size = len(segment)
	}
	var all [][]byte
	for from := 0; from < len(segment); from += size {
		to := min(from+size, len(segment))
		ip, err := way.packet(protocol, id, segment, from, to)
		if err != nil {
			return err
		}
		all = append(all, ip)
	}
	if len(all) == 1 {
		w.last[pair{way.src, way.dst}] = all[0]
	}
	return w.emit(s, at, way, shown(s, all, "frag.drop", "frag.order"))
}

// packet writes the IP packet with segment[from:to].
func (p lane) packet(protocol layers.IPProtocol, id uint16, segment []byte, from, to int) ([]byte, error) {
	n, err := p.network(protocol, id)
	if err != nil {
		return nil, err
	}
	part := gopacket.Payload(segment[from:to])
	more := to < len(segment)
	switch ip := n.(type) {
	case *layers.IPv4:
		ip.FragOffset = uint16(from / 8)
		if more {
			ip.Flags = layers.IPv4MoreFragments
		}
		return serialize(ip, part)
	case *layers.IPv6:
		if from == 0 && !more {
			return serialize(ip, part)
		}
		h := make([]byte, 8, 8+to-from) // RFC 8200 4.5
		h[0] = byte(protocol)
		binary.BigEndian.PutUint16(h[2:], uint16(from))
		if more {
			h[3] |= 1
		}
		binary.BigEndian.PutUint32(h[4:], uint32(id))
		ip.NextHeader = layers.IPProtocolIPv6Fragment
		return serialize(ip, gopacket.Payload(append(h, part...)))
	}
	return nil, errFamily
}

// shown gives the pieces of a step that the capture has, in its order.
func shown(s *step, all [][]byte, drop, order string) [][]byte {
	index := make([]int, len(all))
	for i := range index {
		index[i] = i + 1
	}
	if v, ok := s.opt(order); ok {
		first, _ := numbers(v) // checked when parsed
		first = slices.DeleteFunc(first, func(n int) bool { return n > len(all) })
		for _, n := range index {
			if !slices.Contains(first, n) {
				first = append(first, n)
			}
		}
		index = first
	}
	out := make([][]byte, 0, len(index))
	for _, n := range index {
		if n != s.num(drop) {
			out = append(out, all[n-1])
		}
	}
	return out
}

// emit puts IP packets into frames, unless they were lost, and again where the tap saw them twice.
func (w *wire) emit(s *step, at time.Duration, way lane, packets [][]byte) error {
	if s.has("lost") {
		return nil
	}
	if len(w.out)+2*len(packets) > maxFrames {
		return errFrames
	}
	iface := uint16(s.num("iface"))
	twice, _ := time.ParseDuration(s.text("dup", "0s"))
	for i, ip := range packets {
		t := at + time.Duration(i)*gap
		if err := w.see(t, iface, way, ip); err != nil {
			return err
		}
		if twice > 0 {
			other := iface
			if _, ok := s.opt("dup.iface"); ok {
				other = uint16(s.num("dup.iface"))
			}
			if err := w.see(t+twice, other, way, ip); err != nil {
				return err
			}
		}
	}
	return nil
}

// see adds the frames that an interface saw of an IP packet.
func (w *wire) see(at time.Duration, iface uint16, way lane, ip []byte) error {
	l, tunnels := w.f.links[iface], w.f.tunnels[iface]
	if tunnels == nil {
		w.out = append(w.out, frame{at, iface, l.frame(way.src, way.dst, ip)})
		return nil
	}
	w.tunnelled++
	t, packets, err := tunnels.Wrap(ip, byte(way.src.index+1), byte(way.dst.index+1), w.tunnelled)
	if err != nil {
		return err
	}
	if l.kind == capture.LinkRaw && t != typeIPv4 && t != typeIPv6 {
		return errors.New("link raw carries IP, not what is outermost of the tunnel")
	}
	for i, p := range packets {
		w.out = append(w.out, frame{at + time.Duration(i)*time.Microsecond, iface, l.typed(way.src, way.dst, t, p)})
	}
	return nil
}

// unreachable sends an ICMP error about the newest datagram of the other direction (RFC 792).
func (w *wire) unreachable(s *step) error {
	quoted := w.last[pair{s.b, s.a}]
	if quoted == nil || !s.a.addr.Addr().Is4() {
		return fmt.Errorf("%s sent no whole IPv4 datagram to %s", s.b.name, s.a.name)
	}
	icmp := &layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort),
	}
	segment, err := serialize(icmp, gopacket.Payload(quoted[:min(len(quoted), 548)]))
	if err != nil {
		return err
	}
	return w.packets(s, s.at, w.ends(s), layers.IPProtocolICMPv4, segment)
}

// mac is the hardware address of a host: locally administered.
func (h *host) mac() []byte { return []byte{2, 0, 0, 0, 0, byte(h.index + 1)} }

// frame puts the link layer before an IP packet.
func (l link) frame(src, dst *host, ip []byte) []byte {
	if src.addr.Addr().Is6() {
		return l.typed(src, dst, typeIPv6, ip)
	}
	return l.typed(src, dst, typeIPv4, ip)
}

// typed puts the link layer before what has an Ethernet type.
func (l link) typed(src, dst *host, ethertype uint16, packet []byte) []byte {
	b := make([]byte, 0, 24+len(packet))
	switch l.kind {
	case capture.LinkEthernet:
		b = append(append(b, dst.mac()...), src.mac()...)
		for i, id := range l.vlans {
			tpid := uint16(0x8100) // IEEE 802.1Q
			if i+1 < len(l.vlans) {
				tpid = 0x88a8 // 802.1ad, the outer tag
			}
			b = binary.BigEndian.AppendUint16(b, tpid)
			b = binary.BigEndian.AppendUint16(b, id)
		}
		b = binary.BigEndian.AppendUint16(b, ethertype)
	case capture.LinkSLL:
		b = append(b, 0, 0, 0, 1, 0, 6) // to us, ARPHRD_ETHER, 6 bytes of address
		b = append(append(b, src.mac()...), 0, 0)
		b = binary.BigEndian.AppendUint16(b, ethertype)
	case capture.LinkSLL2:
		b = binary.BigEndian.AppendUint16(b, ethertype)
		b = append(b, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6) // interface 2, ARPHRD_ETHER, to us, 6 bytes of address
		b = append(append(b, src.mac()...), 0, 0)
	case capture.LinkNull:
		family := uint32(2) // AF_INET
		if ethertype == typeIPv6 {
			family = 30 // AF_INET6 of Darwin
		}
		b = binary.LittleEndian.AppendUint32(b, family)
	default: // raw IP
	}
	return append(b, packet...)
}
