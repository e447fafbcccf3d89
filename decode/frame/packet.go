// Package frame reads frames: link layers, IP with its fragments, UDP and TCP headers, a file per layer.
//
// Decode is stateless, does not allocate and may run in many goroutines. The Defragmenter has state and one owner. Both
// slice into the bytes that they are given and never trust a length that those bytes claim.
package frame

import "sipscope/capture"

// Result is what a frame turned out to hold.
type Result uint8

// Results.
const (
	UDP       Result = iota + 1 // Packet.Payload is the datagram's payload
	TCP                         // Packet.Payload is the segment's payload
	Fragment                    // of an IP datagram; Packet.Payload is the fragment's part of it
	ICMP                        // the messages quoted in it do not count
	SCTP                        // Packet.Payload is the SCTP packet
	OtherIP                     // another protocol over IP
	NotIP                       // ARP, LLDP and so on
	Truncated                   // the snaplen cut a header
	Malformed                   // Packet.Reason says why
)

// String is the result in lower case with "-" between words.
func (r Result) String() string {
	return [...]string{
		"?", "udp", "tcp", "fragment", "icmp", "sctp", "other-ip", "not-ip", "truncated", "malformed",
	}[min(r, Malformed)]
}

// Reason says why a frame is malformed.
type Reason uint8

// Reasons.
const (
	_             Reason = iota
	LinkUnknown          // a link type that is not known
	IPVersion            // the version is not the one that the link layer announced
	IPHeader             // a header length below 20 or beyond the packet
	IPLength             // a total length below the header's
	IPExtensions         // too many extension headers
	UDPLength            // a length below 8
	TCPHeader            // a data offset below 20 or beyond the segment
	FragmentSize         // a fragment that ends beyond 65,535
	TooManyVLANs         // more tags than any real stack has
	TooManyLabels        // an MPLS label stack longer than any real one
	TunnelDepth          // more tunnels in each other than MaxDepth
	Reasons              // how many there are
)

// String is the reason in lower case with "-" between words.
func (r Reason) String() string {
	return [...]string{
		"unknown", "link-type", "ip-version", "ip-header", "ip-length", "ip-extensions", "udp-length", "tcp-header",
		"fragment-size", "vlan-tags", "mpls-labels", "tunnel-depth", "?",
	}[min(r, Reasons)]
}

// TCP flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Packet is a decoded frame. Decode fills it anew.
type Packet struct {
	Src, Dst   Endpoint
	Payload    []byte // see Result
	PayloadOff uint32 // of Payload in the frame
	Proto      uint8  // IP protocol number
	Reason     Reason
	Cut        bool   // the wire had more than Payload
	Missing    uint32 // how many bytes more, as far as the headers tell
	HasIPID    bool
	TOS        uint8  // IPv4 type of service, IPv6 traffic class: DSCP and ECN (RFC 2474 3)
	IPID       uint16 // IPv4 identification, 0 without HasIPID
	VLANs      uint8
	VLAN       uint16 // outermost VLAN id

	FragID     uint32 // of a Fragment
	FragOffset uint16 // bytes
	MoreFrags  bool

	Seq, Ack uint32 // of a TCP segment
	Flags    uint8
	TTL      uint8 // IPv4's time to live, IPv6's hop limit

	Path Path // the tags, labels and tunnels around it; Src, Dst and IPID are those of the innermost IP header
}

// IP protocol numbers.
const (
	protoICMP    = 1
	protoIPIP    = 4
	protoTCP     = 6
	protoUDP     = 17
	protoIPv6    = 41
	protoGRE     = 47
	protoESP     = 50
	protoAH      = 51
	protoICMPv6  = 58
	protoIPIPOld = 94
	protoEtherIP = 97
	protoSCTP    = 132
	protoMPLS    = 137
)

// decoder carries one Decode through the layers. Each layer reads the header at an offset and calls the next.
type decoder struct {
	data    []byte
	out     *Packet
	missing int // bytes that the layer at hand has on the wire beyond data
	work    int // tunnels looked into
}

// Decode reads a frame of a link type; wireLen is its length on the wire in bytes. It fills out anew, in any case, and
// keeps nothing but the slice of data in out.Payload. Checksums are not verified: captures on the sender see frames
// before the network card fills them in.
func Decode(link capture.LinkType, data []byte, wireLen uint32, out *Packet) Result {
	*out = Packet{}
	d := decoder{data: data, out: out, missing: max(0, int(wireLen)-len(data))}
	if link == capture.LinkEthernet { // nearly always
		return d.ethernet(0)
	}
	return d.link(link)
}

func (d *decoder) malformed(r Reason) Result {
	d.out.Reason = r
	return Malformed
}

// short is what a header that is not all there means: cut by the snaplen, or a lie.
func (d *decoder) short(r Reason) Result {
	if d.missing > 0 {
		return Truncated
	}
	return d.malformed(r)
}

// bound cuts b to the size that its header states; what is beyond is the link layer's padding. A size of more than
// there is means that the rest is missing.
func (d *decoder) bound(b []byte, size int) []byte {
	if size > len(b) {
		d.missing = size - len(b)
		return b
	}
	d.missing = 0
	return b[:size]
}

// payload gives b, which begins at offset at of the frame, to the caller.
func (d *decoder) payload(b []byte, at int, r Result) Result {
	o := d.out
	o.Payload, o.PayloadOff = b, uint32(at)                     //nolint:gosec // within a frame
	o.Cut, o.Missing = d.missing > 0, uint32(max(0, d.missing)) //nolint:gosec // at most a frame
	return r
}
