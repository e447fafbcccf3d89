package media

import (
	"sipscope/correlate/media/emodel"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// state is what is known of a stream.
type state uint8

const (
	candidate state = iota // its packets have the form of RTP; nothing more is known
	confirmed
	rejected // so many packets do not continue each other: another protocol
)

// streamRec is a stream: no pointers. What every packet touches comes first: the tracker is bound by memory, not by
// arithmetic.
type streamRec struct {
	last      int64 // packet time of the newest packet
	secondEnd int64 // packet time at which the second at hand ends
	packets   uint64
	bytes     uint64
	seq       sequence
	timing    timing
	state     state
	pt        uint8 // of the newest packet
	run       uint8 // packets of a candidate that continued each other
	event     bool  // pt is a telephone-event
	noise     bool  // pt is comfort noise
	red       bool  // pt is redundant data (RFC 2198)
	after     bool  // the packet before was comfort noise
	renamed   bool  // SDP of another call named its destination since
	clock     uint32
	payload   uint32 // payloadRec of pt
	second    uint32 // newest secondsRec
	lastFrame uint64
	recent    [recentLook]recentRec
	newest    uint8 // of recent

	src, dst      frame.Endpoint
	key           uint64
	ssrc          uint32
	num           uint32
	name          uint32 // nameRec of the address that SDP named; 0 none
	peer          uint32 // nameRec of the other address by the same call; 0 none
	call          uint32
	message       int32
	line          uint8
	dscp          uint8
	flags         nameFlags
	kind          decode.LineKind
	found         Found
	first         int64
	firstFrame    uint64
	payloads      uint32 // first payloadRec
	nPayloads     uint32
	firstSecond   uint32
	nSeconds      uint32
	unkept        uint64 // packets of seconds that are not kept
	waited        uint64 // frames of fragments beside packets
	duplicates    uint64
	reordered     uint64
	tapDuplicates uint64
	control       uint32 // controlRec
	dstLinks      links  // streams with the same destination, the newest first
	ssrcLinks     links  // confirmed streams with the same SSRC
	callLinks     links  // streams of the same call
	presses       uint32 // pressRec
	path          frame.Path
	playout       emodel.Playout
}

// links chain records: next is older, prev newer.
type links struct{ next, prev uint32 }

// recentLook is how many packets a duplicate is looked for among: those of one moment at a tap.
const recentLook = 4

// recentRec is one of the newest packets, to tell what the tap saw twice from what the network doubled.
type recentRec struct {
	time int64
	seq  uint16
	ipid uint16
	has  bool
}

// payloadRec is one payload type of a stream.
type payloadRec struct {
	packets, bytes uint64
	first          int64
	clock          uint32
	next           uint32
	pt             uint8
	name           decode.CodecName

	carries            decode.CodecName // of redundant data (RFC 2198): its primary encoding; carriesClock is 0 while unknown
	carriesClock       uint32
	primaries, primary uint64 // packets that could be read, and bytes of their primary encoding
}

// maxPayloads is how many payload types of a stream are told apart; later ones count with the last.
const maxPayloads = 16

// secondsRec is some seconds of a stream.
type secondsRec struct {
	next uint32
	n    uint8
	of   [secondsEach]Second
}

// secondsEach is how many seconds share a record: a call of a minute needs eight.
const secondsEach = 8
