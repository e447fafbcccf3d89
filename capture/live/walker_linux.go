//go:build !libpcap

package live

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// A block of a TPACKET_V3 ring, in the byte order of the machine (linux/if_packet.h: tpacket_block_desc):
//
//	 0 version             4 offset of private area
//	 8 block status       12 number of packets    16 offset of the first packet   20 length used
//	24 sequence number (8 bytes)
//	32 time of the first packet (8 bytes)         40 time of the last packet (8 bytes)
//
// and a packet in it (tpacket3_hdr), at a multiple of 16:
//
//	 0 offset of the next packet from this one     4 seconds               8 nanoseconds
//	12 bytes kept         16 bytes on the wire    20 status
//	24 offset of the link layer (2)               26 of the network layer (2)
//	28 hash               32 VLAN TCI             36 VLAN TPID (2)        38 padding
//	48 sockaddr_ll: family (2), protocol (2, network order), interface (4), ARPHRD (2), packet type (1),
//	   address length (1), address (8)
//	68 room, and at the offset of the link layer the bytes
const (
	blockStatus = 8
	blockCount  = 12
	blockFirst  = 16
	blockHeader = 48

	packetNext    = 0
	packetSec     = 4
	packetNsec    = 8
	packetSnaplen = 12
	packetLen     = 16
	packetStatus  = 20
	packetMac     = 24
	packetTCI     = 32
	packetTPID    = 36
	packetAddr    = 48
	packetHeader  = 68 // what comes before the room
)

// Offsets in sockaddr_ll.
const (
	addrProtocol = 2
	addrIfindex  = 4
	addrHatype   = 8
	addrPkttype  = 10
	addrHalen    = 11
	addrAddr     = 12
)

// record is one packet of a block.
type record struct {
	room   []byte // from the end of the header to the end of the captured bytes; those are its last kept bytes
	addr   []byte // sockaddr_ll, 20 bytes
	time   int64  // nanoseconds since 1970-01-01 UTC
	kept   int    // captured bytes
	wire   uint32 // bytes on the wire
	status uint32 // TP_STATUS_
	tci    uint16 // where status says so
	tpid   uint16
}

// walker goes through the packets of a block. It trusts no number in it: what points elsewhere ends the walk.
type walker struct {
	buf  []byte
	at   int    // of the next packet's header
	left uint32 // packets
}

// start puts the walker at the first packet of a block.
func (w *walker) start(buf []byte) {
	w.buf, w.at, w.left = buf, 0, 0
	if len(buf) < blockHeader {
		return
	}
	w.left = binary.NativeEndian.Uint32(buf[blockCount:])
	first := binary.NativeEndian.Uint32(buf[blockFirst:])
	w.at = int(min(first, uint32(len(buf)))) //nolint:gosec // a block has less than 2 GiB
	if w.at < blockHeader {
		w.at = len(buf)
	}
}

// next gives the next packet. When there is none, left tells how many were announced and are not there.
func (w *walker) next(r *record) bool {
	if w.left == 0 || len(w.buf)-w.at < packetHeader {
		return false
	}
	p := w.buf[w.at:]
	h := p[:packetHeader:packetHeader]
	mac, kept := int(binary.NativeEndian.Uint16(h[packetMac:])), binary.NativeEndian.Uint32(h[packetSnaplen:])
	if mac < packetHeader || int64(mac)+int64(kept) > int64(len(p)) {
		return false
	}
	r.kept = int(kept)
	r.room = p[packetHeader : mac+r.kept : mac+r.kept]
	r.addr = h[packetAddr:]
	r.time = int64(binary.NativeEndian.Uint32(h[packetSec:]))*1e9 + int64(binary.NativeEndian.Uint32(h[packetNsec:]))
	r.wire = max(binary.NativeEndian.Uint32(h[packetLen:]), kept)
	r.status = binary.NativeEndian.Uint32(h[packetStatus:])
	r.tci = uint16(binary.NativeEndian.Uint32(h[packetTCI:])) //nolint:gosec // 16 bits in 32
	r.tpid = binary.NativeEndian.Uint16(h[packetTPID:])
	step := binary.NativeEndian.Uint32(h[packetNext:])
	w.left--
	if step < packetHeader || uint64(step) > uint64(len(p)) {
		w.at = len(w.buf) // the last one, or a lie
	} else {
		w.at += int(step)
	}
	return true
}

// status is where kernel and reader hand a block over to each other. A block begins at a page, so it is aligned.
func status(block []byte) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&block[blockStatus]))
}

// waiting tells whether the kernel has put packets into a block that it has not handed over yet. It may err towards
// true: a block that the kernel has not begun still shows the count of its last use.
func waiting(block []byte) bool {
	return (*atomic.Uint32)(unsafe.Pointer(&block[blockCount])).Load() != 0
}
