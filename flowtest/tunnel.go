package flowtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Tunnels puts packets into tags, labels and tunnels.
type Tunnels struct {
	layers []tunnelLayer // the outermost first
	mtu    int           // longer outermost IPv4 packets become fragments; 0 for none
}

type tunnelLayer struct {
	kind string
	num  uint32
	has  bool // there is a number
}

// Bounds of a chain of tunnels.
const (
	maxTunnels = 128
	minMTU     = 68 // RFC 791
)

var errTunnelFit = errors.New("what a layer carries is not what is in it")

// ParseTunnels reads layers parted by slashes, the outermost first: vlan:ID mpls:LABEL pw pppoe:SESSION gre[:KEY]
// pptp:CALL nvgre:SUBNET erspan[:SESSION] vxlan:NETWORK geneve:NETWORK gtp:TEID ipip 6in4 4in6 6in6 tzsp etherip esp:SPI
// l2tp:SESSION. What a header has beside its number follows from the number, so that every form can be written: a GRE
// key of 1 modulo 2 comes with a sequence number and one of 2 or 3 modulo 4 with a checksum; an ERSPAN session from 512
// on is type III, with a subheader where it is odd; an odd Geneve network has options; an odd TEID has a sequence
// number and an extension header.
func ParseTunnels(text string, mtu int) (*Tunnels, error) {
	t := &Tunnels{mtu: mtu}
	if mtu != 0 && mtu < minMTU {
		return nil, fmt.Errorf("mtu %d: want at least %d", mtu, minMTU)
	}
	for word := range strings.SplitSeq(text, "/") {
		kind, num, has := strings.Cut(word, ":")
		l := tunnelLayer{kind: kind, has: has}
		if has {
			n, err := strconv.ParseUint(num, 0, 32)
			if err != nil {
				return nil, fmt.Errorf("tunnel %q: want a number after the colon", word)
			}
			l.num = uint32(n)
		}
		if len(t.layers) == maxTunnels || !knownTunnel(l) {
			return nil, fmt.Errorf("tunnel %q is not known, lacks its number, or is one too many", word)
		}
		t.layers = append(t.layers, l)
	}
	return t, nil
}

func knownTunnel(l tunnelLayer) bool {
	switch l.kind {
	case "gre", "erspan":
		return true
	case "pw", "ipip", "6in4", "4in6", "6in6", "tzsp", "etherip":
		return !l.has
	case "vlan", "mpls", "pppoe", "pptp", "nvgre", "vxlan", "geneve", "gtp", "esp", "l2tp":
		return l.has
	default:
		return false
	}
}

// Ethernet types, and what stands for layers that have none.
const (
	typeIPv4  = 0x0800
	typeIPv6  = 0x86dd
	typeVLAN  = 0x8100
	typeQinQ  = 0x88a8
	typeMPLS  = 0x8847
	typePPPoE = 0x8864
	typeFrame = 0x6558 // an Ethernet frame
	typePPP   = 0x880b
	typePW    = 1 // the bottom of a label stack
)

// Wrap puts an IP packet into the tunnels between the tunnel ends a and b, which are the last bytes of their addresses
// 172.16.0.a, fd00::a. id is the IP identification of the outermost packet. It gives the Ethernet type of what came out,
// and that in one piece or, with an MTU, in several. It fails where a layer cannot carry what lies in it.
func (t *Tunnels) Wrap(ip []byte, a, b byte, id uint16) (ethertype uint16, packets [][]byte, err error) {
	e := envelope{data: ip, t: typeIPv4, a: a, b: b, id: id}
	if len(ip) > 0 && ip[0]>>4 == 6 {
		e.t = typeIPv6
	}
	for _, l := range slices.Backward(t.layers) {
		if !e.wrap(l) {
			return 0, nil, fmt.Errorf("tunnel %s: %w", l.kind, errTunnelFit)
		}
		if len(e.data) > 65535 {
			return 0, nil, errSize
		}
	}
	if e.t == typePW {
		return 0, nil, fmt.Errorf("tunnel pw: %w", errTunnelFit)
	}
	if t.mtu > 0 && e.t == typeIPv4 && len(e.data) > t.mtu {
		return e.t, fragments(e.data, t.mtu), nil
	}
	return e.t, [][]byte{e.data}, nil
}

// envelope is a packet on its way outwards.
type envelope struct {
	data []byte
	t    uint16 // what data is
	a, b byte
	id   uint16
}

func (e *envelope) isIP() bool { return e.t == typeIPv4 || e.t == typeIPv6 }

// before puts a header in front.
func (e *envelope) before(t uint16, head ...byte) bool {
	e.data, e.t = append(head, e.data...), t
	return true
}

// frame makes an Ethernet frame of what is there.
func (e *envelope) frame() bool {
	if e.t == typeFrame {
		return true
	}
	if e.t == typePW || e.t == typePPP {
		return false
	}
	head := []byte{2, 0, 0, 1, 0, e.b, 2, 0, 0, 1, 0, e.a}
	return e.before(typeFrame, binary.BigEndian.AppendUint16(head, e.t)...)
}

func (e *envelope) wrap(l tunnelLayer) bool {
	switch l.kind {
	case "vlan":
		return e.vlan(l.num)
	case "mpls":
		return e.mpls(l.num)
	case "pw":
		return e.frame() && e.before(typePW, 0, 0, 0, 0)
	case "pppoe":
		return e.ppp() && e.before(typePPPoE, 0x11, 0, byte(l.num>>8), byte(l.num), byte(len(e.data)>>8), byte(len(e.data)))
	case "ipip", "4in6", "6in4", "6in6":
		return e.inIP(l.kind)
	case "etherip":
		return e.frame() && e.before(0, 0x30, 0) && e.ip(false, 97)
	case "esp":
		return e.isIP() && e.esp(l.num)
	case "gre", "pptp", "nvgre", "erspan":
		return e.gre(l)
	default:
		return e.datagram(l)
	}
}

func (e *envelope) inIP(kind string) bool {
	switch kind {
	case "ipip", "4in6":
		return e.t == typeIPv4 && e.ip(kind == "4in6", 4)
	default:
		return e.t == typeIPv6 && e.ip(kind == "6in6", 41)
	}
}

func (e *envelope) vlan(id uint32) bool {
	t := uint16(typeVLAN)
	if e.t == typeVLAN {
		t = typeQinQ
	}
	head := binary.BigEndian.AppendUint16(nil, uint16(id&0xfff))
	return e.t != typePW && e.t != typeFrame && e.t != typePPP &&
		e.before(t, binary.BigEndian.AppendUint16(head, e.t)...)
}

func (e *envelope) mpls(label uint32) bool {
	entry := label<<12 | 64
	if e.t != typeMPLS {
		entry |= 1 << 8 // bottom of stack
	}
	return (e.isIP() || e.t == typeMPLS || e.t == typePW) &&
		e.before(typeMPLS, binary.BigEndian.AppendUint32(nil, entry)...)
}

// ppp puts a PPP protocol number before an IP packet.
func (e *envelope) ppp() bool {
	switch e.t {
	case typeIPv4:
		return e.before(typePPP, 0, 0x21)
	case typeIPv6:
		return e.before(typePPP, 0, 0x57)
	default:
		return false
	}
}

// ip puts an outer IP header in front.
func (e *envelope) ip(v6 bool, proto byte) bool {
	n := len(e.data)
	if v6 {
		head := make([]byte, 40)
		head[0], head[6], head[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(head[4:], uint16(n))
		head[8], head[23], head[24], head[39] = 0xfd, e.a, 0xfd, e.b
		return e.before(typeIPv6, head...)
	}
	head := make([]byte, 20)
	head[0], head[8], head[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(head[2:], uint16(20+n))
	binary.BigEndian.PutUint16(head[4:], e.id)
	copy(head[12:], []byte{172, 16, 0, e.a, 172, 16, 0, e.b})
	binary.BigEndian.PutUint16(head[10:], internetSum(head))
	return e.before(typeIPv4, head...)
}

// esp puts an IP packet into ESP with NULL encryption in tunnel mode, with an ICV of twelve bytes.
func (e *envelope) esp(spi uint32) bool {
	next := byte(4)
	if e.t == typeIPv6 {
		next = 41
	}
	body := append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, spi), 1), e.data...)
	pad := byte(0)
	for (len(body)+2)%4 != 0 {
		pad++
		body = append(body, pad)
	}
	e.data = append(append(body, pad, next), "integrity..."...)
	return e.ip(false, 50)
}

func (e *envelope) gre(l tunnelLayer) bool {
	flags, proto := uint16(0), e.t
	var rest []byte
	switch l.kind {
	case "pptp":
		if !e.ppp() {
			return false
		}
		head := []byte{0x30, 0x01, 0x88, 0x0b, byte(len(e.data) >> 8), byte(len(e.data)), byte(l.num >> 8), byte(l.num), 0, 0, 0, 1}
		return e.before(0, head...) && e.ip(false, 47)
	case "nvgre":
		flags, rest = 0x2000, binary.BigEndian.AppendUint32(nil, l.num<<8|7)
	case "erspan":
		if !e.frame() {
			return false
		}
		flags, proto, rest = e.erspan(l)
	case "gre":
		flags, rest = greKeyed(l)
	}
	if l.kind == "nvgre" {
		if !e.frame() {
			return false
		}
		proto = typeFrame
	}
	if proto == typePW {
		return false
	}
	head := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, flags), proto)
	e.before(0, append(head, rest...)...)
	if flags&0x8000 != 0 {
		binary.BigEndian.PutUint16(e.data[4:], internetSum(e.data))
	}
	return e.ip(false, 47)
}

// erspan puts the header of a mirrored frame in front, and gives what GRE's has.
func (e *envelope) erspan(l tunnelLayer) (flags, proto uint16, rest []byte) {
	if !l.has {
		return 0, 0x88be, nil
	}
	proto = 0x88be
	if l.num < 512 {
		e.before(0, 0x10, 0, byte(l.num>>8), byte(l.num), 0, 0, 0, 1)
	} else {
		proto = 0x22eb
		if l.num&1 != 0 {
			e.before(0, 0, 0, 0, 0, 0, 0, 0, 0)
		}
		e.before(0, 0x20, 0, byte(l.num>>8&3), byte(l.num), 0, 0, 0, 5, 0, 0, 0, byte(l.num&1))
	}
	return 0x1000, proto, []byte{0, 0, 0, 9}
}

// greKeyed gives the flags of a plain GRE header and what follows the protocol.
func greKeyed(l tunnelLayer) (flags uint16, rest []byte) {
	if !l.has {
		return 0, nil
	}
	if l.num&2 != 0 {
		flags, rest = 0x8000, []byte{0, 0, 0, 0}
	}
	flags |= 0x2000
	rest = binary.BigEndian.AppendUint32(rest, l.num)
	if l.num&1 != 0 {
		flags |= 0x1000
		rest = append(rest, 0, 0, 0, 1)
	}
	return flags, rest
}

// datagram is a tunnel over UDP.
func (e *envelope) datagram(l tunnelLayer) bool {
	n, port := l.num, uint16(0)
	switch l.kind {
	case "vxlan":
		port = 4789
		if !e.frame() {
			return false
		}
		e.before(0, 8, 0, 0, 0, byte(n>>16), byte(n>>8), byte(n), 0)
	case "geneve":
		port = 6081
		if n&1 != 0 {
			if !e.frame() {
				return false
			}
			e.before(typeFrame, 1, 2, 3, 1, 0xde, 0xad, 0xbe, 0xef, 1, 2, 4, 0) // two options, one without data
		}
		words := byte(n&1) * 3
		e.before(0, words, 0, byte(e.t>>8), byte(e.t), byte(n>>16), byte(n>>8), byte(n), 0)
	case "gtp":
		port = 2152
		if !e.isIP() {
			return false
		}
		flags := byte(0x30)
		if n&1 != 0 {
			flags = 0x36
			e.before(e.t, 0, 5, 0, 0x85, 1, 0, 9, 0) // sequence number, PDU session container
		}
		size := len(e.data)
		e.before(0, flags, 255, byte(size>>8), byte(size), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	case "tzsp":
		port = 37008
		if !e.frame() {
			return false
		}
		e.before(0, 1, 0, 0, 1, 0, 10, 1, 0x55, 1) // padding, a tag, the end
	case "l2tp":
		port = 1701
		if !e.ppp() {
			return false
		}
		size := 8 + len(e.data)
		e.before(0, 0x40, 2, byte(size>>8), byte(size), byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	size := 8 + len(e.data)
	e.before(0, byte(port>>8), byte(port), byte(port>>8), byte(port), byte(size>>8), byte(size), 0, 0)
	return e.ip(false, 17)
}

// fragments cuts an IPv4 packet without options.
func fragments(ip []byte, mtu int) [][]byte {
	size := (mtu - 20) &^ 7
	var all [][]byte
	for from, body := 0, ip[20:]; from < len(body); from += size {
		to := min(from+size, len(body))
		p := append(append([]byte{}, ip[:20]...), body[from:to]...)
		offset := uint16(from / 8)
		if to < len(body) {
			offset |= 0x2000
		}
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[6:], offset)
		binary.BigEndian.PutUint16(p[10:], 0)
		binary.BigEndian.PutUint16(p[10:], internetSum(p[:20]))
		all = append(all, p)
	}
	return all
}

// internetSum is RFC 1071's checksum.
func internetSum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 != 0 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
