package bpf

// protocol is a protocol qualifier: the word before host, port, proto, broadcast or a byte test.
type protocol uint8

// The protocols, in the order of the table.
const (
	protoNone protocol = iota // no qualifier
	protoLink                 // ether and its other names
	protoIP
	protoIP6
	protoARP
	protoRARP
	protoTCP
	protoUDP
	protoSCTP
	protoICMP
	protoICMP6
	protoIGMP
	protoIGRP
	protoPIM
	protoVRRP
	protoCARP
	protoAH
	protoESP
	protoAppleTalk
	protoAARP
	protoDECnet
	protoLAT
	protoSCA
	protoMOPDL
	protoMOPRC
	protoISO
	protoSTP
	protoIPX
	protoNetBEUI
	protoEnd
)

// Numbers of IP protocols that code refers to.
const (
	ipICMP6    = 58
	ipTCP      = 6
	ipUDP      = 17
	ipSCTP     = 132
	ipHopByHop = 0
	ipRouting  = 43
	ipFragment = 44
	ipDestOpts = 60
)

// Ethernet types and, up to maxLength, LLC service access points.
const (
	typeIP        = 0x0800
	typeARP       = 0x0806
	typeRARP      = 0x8035
	typeIP6       = 0x86dd
	typeVLAN      = 0x8100 // IEEE 802.1Q
	typeQinQ      = 0x88a8 // IEEE 802.1ad
	typeQinQOld   = 0x9100
	typeMPLS      = 0x8847
	typePPPoED    = 0x8863
	typePPPoES    = 0x8864
	typeIPX       = 0x8137
	typeAppleTalk = 0x809b
	typeAARP      = 0x80f3
	typeDECnet    = 0x6003
	typeXNS       = 0x0600
	sapISO        = 0xfe
	sapIP         = 0x06
	sapIPX        = 0xe0
	sapNetBEUI    = 0xf0
	sapSTP        = 0x42
	maxLength     = 1500 // of an 802.3 frame; a larger number is an Ethernet type
)

// meaning is what a protocol's name alone tests.
type meaning struct {
	word  string
	link  uint32   // the Ethernet type or service access point; 0 when it is an IP protocol
	ip    uint32   // the number in the IP header
	scope protocol // protoIP or protoIP6 when the number counts in one of them only
}

// protocols are the names that tcpdump reserves.
var protocols = [protoEnd]meaning{ //nolint:gochecknoglobals // read-only table
	protoLink:      {word: "ether"},
	protoIP:        {word: "ip", link: typeIP},
	protoIP6:       {word: "ip6", link: typeIP6},
	protoARP:       {word: "arp", link: typeARP},
	protoRARP:      {word: "rarp", link: typeRARP},
	protoTCP:       {word: "tcp", ip: ipTCP},
	protoUDP:       {word: "udp", ip: ipUDP},
	protoSCTP:      {word: "sctp", ip: ipSCTP},
	protoICMP:      {word: "icmp", ip: 1, scope: protoIP},
	protoICMP6:     {word: "icmp6", ip: ipICMP6, scope: protoIP6},
	protoIGMP:      {word: "igmp", ip: 2, scope: protoIP},
	protoIGRP:      {word: "igrp", ip: 9, scope: protoIP},
	protoPIM:       {word: "pim", ip: 103},
	protoVRRP:      {word: "vrrp", ip: 112, scope: protoIP},
	protoCARP:      {word: "carp", ip: 112, scope: protoIP},
	protoAH:        {word: "ah", ip: 51},
	protoESP:       {word: "esp", ip: 50},
	protoAppleTalk: {word: "atalk", link: typeAppleTalk},
	protoAARP:      {word: "aarp", link: typeAARP},
	protoDECnet:    {word: "decnet", link: typeDECnet},
	protoLAT:       {word: "lat", link: 0x6004},
	protoSCA:       {word: "sca", link: 0x6007},
	protoMOPDL:     {word: "mopdl", link: 0x6001},
	protoMOPRC:     {word: "moprc", link: 0x6002},
	protoISO:       {word: "iso", link: sapISO},
	protoSTP:       {word: "stp", link: sapSTP},
	protoIPX:       {word: "ipx", link: sapIPX},
	protoNetBEUI:   {word: "netbeui", link: sapNetBEUI},
}

// String is the word in the language.
func (p protocol) String() string { return protocols[p].word }

// protocolOf finds the protocol that a word names, or protoNone.
func protocolOf(s string) protocol {
	switch s {
	case "link", "ether", "ppp", "slip", "fddi", "tr", "wlan":
		return protoLink
	case "":
		return protoNone
	}
	for p := protoIP; p < protoEnd; p++ {
		if protocols[p].word == s {
			return p
		}
	}
	return protoNone
}

// hasPorts reports whether a protocol may stand before port and portrange.
func (p protocol) hasPorts() bool {
	return p == protoTCP || p == protoUDP || p == protoSCTP
}
