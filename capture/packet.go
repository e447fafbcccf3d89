// Package capture holds the doors of sipscope: where packets come in and are written out.
//
// It reads pcap and pcapng (plain, gzip, zstd, standard input, several files merged by packet time) and writes both.
// It knows link types as numbers only; what a frame means is decode's business.
//
// Ownership: the bytes of a Packet belong to the Batch that carries it and are immutable. They stay valid until
// Batch.Release; whoever needs them longer copies them. A Source is used by one goroutine; Batches may be released
// from any.
package capture

import (
	"context"
	"math"
	"time"
)

// LinkType is a LINKTYPE_ number as pcap and pcapng files carry it.
type LinkType uint16

// The link types that this project names; any other number passes through.
const (
	LinkNull     LinkType = 0   // BSD loopback, family in the writer's byte order
	LinkEthernet LinkType = 1   // IEEE 802.3
	LinkPPP      LinkType = 9   // PPP, RFC 1662 framing optional
	LinkRaw      LinkType = 101 // IPv4 or IPv6, told by the version nibble
	LinkLoop     LinkType = 108 // OpenBSD loopback, family in network order
	LinkSLL      LinkType = 113 // Linux cooked v1
	LinkIPv4     LinkType = 228
	LinkIPv6     LinkType = 229
	LinkSLL2     LinkType = 276 // Linux cooked v2
)

// Loc says where a packet's bytes can be read again.
type Loc struct {
	Off  int64  // offset of the packet's first byte in the capture's uncompressed bytes; negative when they were not kept
	File uint16 // index of the file among those opened
}

// NotKept is the Off of a packet that cannot be read again. It stays negative whatever offset within a frame is added.
const NotKept = math.MinInt64 / 2

// Packet is one frame as the wire, or a file, carried it.
type Packet struct {
	Seq     uint64 // 1-based, consecutive over a run: the total order of everything after it
	Time    int64  // nanoseconds since 1970-01-01 UTC
	Data    []byte // captured bytes, immutable, valid until the batch is released
	WireLen uint32 // length on the wire in bytes; more than len(Data) when a snaplen cut it
	Link    LinkType
	Iface   uint16 // interface number within its file (pcapng), else 0
	Loc     Loc
}

// When is the packet's time.
func (p *Packet) When() time.Time { return time.Unix(0, p.Time).UTC() }

// MaxBatch is the most packets that a Batch carries: enough to make a channel operation cheap (about 1 ns a packet),
// few enough that eight batches in flight stay within some MiB.
const MaxBatch = 256

// Batch carries packets and the packet time reached, which is the only clock that decode and correlate may use.
// An empty batch is a live tick.
type Batch struct {
	Packets []Packet
	Now     int64 // the highest packet time so far, nanoseconds since 1970-01-01 UTC
	// SetBack says that the clock of a live source was set back: Now is below that of the batch before. Files never do so.
	SetBack bool

	blocks  []*block // what Packets slice into
	holders []Holder // and what else they do
}

// Holder is memory that packets slice into and that is not this package's, such as a block of a kernel ring.
type Holder interface {
	// Release is called once for each Hold, by any goroutine, when the packets are needed no more.
	Release()
}

// Hold makes the batch keep h until its own Release.
func (b *Batch) Hold(h Holder) { b.holders = append(b.holders, h) }

// Empty reports whether the batch carries nothing but the time.
func (b *Batch) Empty() bool { return len(b.Packets) == 0 }

// Source gives packets in the order that the run will keep.
type Source interface {
	// Next releases b and fills it with the next packets. A non-nil error comes with an empty batch: io.EOF at the
	// end, or what stopped the reading after all whole packets were given (law 10).
	Next(ctx context.Context, b *Batch) error
}
