package frame

import (
	"strconv"
)

// Kind is a layer that encloses a packet: a tag, a label or a tunnel.
type Kind uint8

// The kinds of layers, with what their number is.
const (
	LayerVLAN    Kind = iota + 1 // IEEE 802.1Q, 802.1ad: VLAN identifier
	LayerMPLS                    // RFC 3032: label
	LayerPPPoE                   // RFC 2516: session
	LayerPW                      // RFC 4448, 4385: Ethernet, or IP behind a control word, in MPLS; none
	LayerPBB                     // IEEE 802.1ah: I-SID
	LayerNSH                     // RFC 8300: service path
	LayerGRE                     // RFC 2784, 2890: key, none without
	LayerPPTP                    // RFC 2637: call
	LayerNVGRE                   // RFC 7637: virtual subnet
	LayerERSPAN                  // draft-foschiano-erspan: session, none in type I
	LayerVXLAN                   // RFC 7348, and VXLAN-GPE: network
	LayerGeneve                  // RFC 8926: network
	LayerGTP                     // 3GPP TS 29.281: tunnel endpoint (TEID)
	LayerL2TP                    // RFC 2661: tunnel and session, 16 bits each
	LayerTZSP                    // TaZmen sniffer protocol; none
	LayerEtherIP                 // RFC 3378; none
	LayerIPIP                    // RFC 2003: IPv4 in IPv4; none
	Layer6in4                    // RFC 4213: IPv6 in IPv4; none
	Layer4in6                    // RFC 2473: IPv4 in IPv6; none
	Layer6in6                    // RFC 2473: IPv6 in IPv6; none
	LayerESP                     // RFC 4303, not encrypted: security parameters index (SPI)
	kinds
)

// String is the kind as a path has it.
func (k Kind) String() string {
	return [...]string{
		"?", "vlan", "mpls", "pppoe", "pw", "pbb", "nsh", "gre", "pptp", "nvgre", "erspan", "vxlan", "geneve", "gtp", "l2tp",
		"tzsp", "etherip", "ipip", "6in4", "4in6", "6in6", "esp", "?",
	}[min(k, kinds)]
}

// Layer is one layer of a Path.
type Layer struct {
	Kind   Kind
	HasNum bool   // there is a number: a GRE header may lack its key
	Num    uint32 // see Kind
}

// String is the kind with its number: "vlan:100", "gre", "gtp:0x1a2b". TEIDs and SPIs are hexadecimal, as in Wireshark.
func (l Layer) String() string {
	switch {
	case !l.HasNum:
		return l.Kind.String()
	case l.Kind == LayerGTP || l.Kind == LayerESP:
		return l.Kind.String() + ":0x" + strconv.FormatUint(uint64(l.Num), 16)
	case l.Kind == LayerL2TP:
		return l.Kind.String() + ":" + strconv.Itoa(int(l.Num>>16)) + "." + strconv.Itoa(int(l.Num&0xffff))
	default:
		return l.Kind.String() + ":" + strconv.FormatUint(uint64(l.Num), 10)
	}
}

// pathLayers is how many layers a Path names. Deeper ones count in its sum, so that paths which differ there differ.
const pathLayers = 8

// hasNum marks a kind that stands with a number.
const hasNum = 0x80

// Path says in what a packet was enclosed, the outermost layer first. It is comparable, has no pointers and takes 48
// bytes; the zero value is the path of a packet in nothing. Two packets with equal paths came through the same tags,
// labels and tunnels, between the same tunnel ends in the same direction.
type Path struct { //nolint:recvcheck // it is built in place, and a value for everybody else
	nums  [pathLayers]uint32
	kinds [pathLayers]Kind // with hasNum
	sum   uint32           // of all layers and of the outer addresses
	depth uint8            // layers in all, at most 255
	deep  uint8            // those that are tunnels
}

// Depth is the number of layers, those beyond the ones that Layer gives included; it stops at 255.
func (p *Path) Depth() int { return int(p.depth) }

// Named is the number of layers that Layer gives.
func (p *Path) Named() int { return min(int(p.depth), pathLayers) }

// Layer gives the layer i, 0-based from outside; i must be below Named.
func (p *Path) Layer(i int) Layer {
	return Layer{Kind: p.kinds[i] &^ hasNum, HasNum: p.kinds[i]&hasNum != 0, Num: p.nums[i]}
}

// IsZero reports whether the packet was in nothing.
func (p *Path) IsZero() bool { return p.depth == 0 }

// Shape is the path without the ends of its tunnels and their direction: what String shows. Paths with the same text
// have the same shape.
func (p Path) Shape() Path {
	p.sum, p.deep = 0, 0
	return p
}

// Kinds is the shape without numbers.
func (p Path) Kinds() Path {
	p = p.Shape()
	p.nums = [pathLayers]uint32{}
	for i := range p.kinds {
		p.kinds[i] &^= hasNum
	}
	return p
}

// String is the layers, parted by slashes: "vlan:100/gre:7/vxlan:5001"; "" for a packet in nothing.
func (p Path) String() string {
	if p.depth == 0 {
		return ""
	}
	var buf [160]byte
	b := buf[:0]
	for i := range p.Named() {
		if i > 0 {
			b = append(b, '/')
		}
		b = append(b, p.Layer(i).String()...)
	}
	if n := p.Depth() - p.Named(); n > 0 {
		b = append(b, "/+"...)
		b = strconv.AppendInt(b, int64(n), 10)
	}
	return string(b)
}

// push adds a layer.
func (p *Path) push(l Layer) {
	k := l.Kind
	if l.HasNum {
		k |= hasNum
	}
	if p.depth < pathLayers {
		p.kinds[p.depth], p.nums[p.depth] = k, l.Num
	}
	if p.depth < 255 {
		p.depth++
	}
	p.fold(uint64(l.Num)<<8 | uint64(k))
}

// fold mixes v into the sum.
func (p *Path) fold(v uint64) {
	v = (v ^ uint64(p.sum)) * 0x9e3779b97f4a7c15
	p.sum = uint32(v>>32) ^ uint32(v) //nolint:gosec // folded
}

// ends mixes the addresses of a tunnel into the sum.
func (p *Path) ends(o *Packet) {
	p.fold(o.Src.Hi ^ o.Src.Lo)
	p.fold(o.Dst.Hi ^ o.Dst.Lo)
}

// Equal reports whether both are the same; it is what comparing with == says, for packages that cannot see inside.
func (p Path) Equal(o Path) bool { return p == o }
