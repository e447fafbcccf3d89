package spool

import (
	"encoding/binary"
)

// Types of the blocks that a spool queues, and sizes in bytes (draft-ietf-opsawg-pcapng sections 4.2, 4.3).
const (
	kindIface  = 1
	kindPacket = 6
	frameSize  = 12 // type and length before a body, length after it
	packetHead = 28 // type, length and the fixed part of an enhanced packet
)

// optPacketID is epb_packetid: the Seq of a packet that does not follow on the one before.
const optPacketID = 5

// blocks walks through blocks as chunk.go makes them. They may come from a disk, so nothing in them is believed.
type blocks struct {
	buf  []byte
	at   int    // of the block after the current one
	seq  uint64 // of the last packet
	kind uint32 // of the current block
	// Of a packet:
	time    int64 // nanoseconds since 1970-01-01 UTC
	iface   uint32
	wire    uint32
	data    []byte // slice of buf
	dataOff int    // where data is in buf
	// Why the walk ended: need is how many bytes the block after at claims, when it is not whole; bad says that it cannot
	// be one.
	need int
	bad  bool
}

// next takes a whole block; false when there is none.
func (r *blocks) next() bool {
	left := r.buf[r.at:]
	r.need = frameSize
	if len(left) < frameSize {
		return false
	}
	size := binary.LittleEndian.Uint32(left[4:])
	if r.kind = binary.LittleEndian.Uint32(left); size < frameSize || size%4 != 0 || size > 1<<30 ||
		r.kind != kindPacket && r.kind != kindIface {
		r.bad = true
		return false
	}
	if r.need = int(size); len(left) < r.need {
		return false
	}
	if binary.LittleEndian.Uint32(left[size-4:]) != size || r.kind == kindPacket && !r.packet(left[:size-4]) {
		r.bad = true
		return false
	}
	r.at += int(size)
	return true
}

// packet reads an enhanced packet block without its last length.
func (r *blocks) packet(b []byte) bool {
	if len(b) < packetHead {
		return false
	}
	n := binary.LittleEndian.Uint32(b[20:])
	if int64(n) > int64(len(b)-packetHead) {
		return false
	}
	r.iface = binary.LittleEndian.Uint32(b[8:])
	ticks := uint64(binary.LittleEndian.Uint32(b[12:]))<<32 | uint64(binary.LittleEndian.Uint32(b[16:]))
	r.time = int64(ticks) //nolint:gosec // was not negative when it was written
	r.wire = binary.LittleEndian.Uint32(b[24:])
	r.dataOff = r.at + packetHead
	end := packetHead + int(n)
	r.data = b[packetHead:end:end]
	r.seq++
	if rest := (end + 3) &^ 3; rest+12 <= len(b) && binary.LittleEndian.Uint32(b[rest:]) == 8<<16|optPacketID {
		r.seq = binary.LittleEndian.Uint64(b[rest+4:])
	}
	return true
}
