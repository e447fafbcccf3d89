package txn

// ref names a text in an arena; 0 is none.
type ref uint32

// record is what the layer keeps of a transaction beside its texts. It has no pointers.
type record struct {
	data   uint64
	hop    packedHop // client: where the request goes; server: where responses go
	timers [timersOf]timer
	key    key
	merge  uint64 // hash of what copies of the request share: valid with flagMerge
	gen    uint32 // upper half of the ID
	req    ref    // the request: client, until the final response; server, with its source behind it, likewise
	msg    ref    // server: the last response, whole or as a delta; client INVITE: the ACK as a delta
	reason ref    // client INVITE: Reason of a CANCEL that waits
	queue  [timersOf]uint8
	resent uint8 // how often the timer of retransmissions fired, no more than counts
	kind   Kind
	state  State
	flags  uint8
}

// Flags of a record.
const (
	flagInternal  uint8 = 1 << iota // of the layer itself: a CANCEL, on either side
	flagCancel                      // client INVITE: a CANCEL waits for a provisional response
	flagCancelled                   // client INVITE: CANCEL was sent; server INVITE: CANCEL came
	flagDelta                       // msg is a delta
	flagMerge                       // is in the index of requests that must not come by another way
	flagLate                        // server: no response came in time
)

// perChunk is how many records a chunk has: of 128 bytes each, so that a chunk fits a size class of the allocator.
const perChunk = 256

// chunk is a part of a slab.
type chunk struct {
	records *[perChunk]record // nil: not used
	free    uint32            // the first free record of the chunk, linked by timers[0].next; 0: none
	used    int
	listed  bool // in slab.room
}

// slab holds records. They are named by number from 1 on, and do not move.
type slab struct {
	chunks []chunk
	room   []uint32 // chunks with free records
	idle   []uint32 // chunks without memory
	used   int
}

func (s *slab) at(x uint32) *record { return &s.chunks[(x-1)/perChunk].records[(x-1)%perChunk] }

// get is at for a number that may name nothing.
func (s *slab) get(x uint32) *record {
	if c := (x - 1) / perChunk; x != 0 && int(c) < len(s.chunks) && s.chunks[c].records != nil {
		return s.at(x)
	}
	return nil
}

// alloc gives a record with no content.
func (s *slab) alloc() (uint32, *record) {
	if len(s.room) == 0 {
		s.grow()
	}
	n := s.room[len(s.room)-1]
	c := &s.chunks[n]
	x := c.free
	r := s.at(x)
	c.free = r.timers[0].next
	c.used++
	s.used++
	if c.free == 0 {
		s.room = s.room[:len(s.room)-1]
		c.listed = false
	}
	*r = record{}
	return x, r
}

func (s *slab) grow() {
	var n uint32
	if i := len(s.idle); i > 0 {
		n = s.idle[i-1]
		s.idle = s.idle[:i-1]
	} else {
		n = uint32(len(s.chunks)) //nolint:gosec // limited by Config.Limit
		s.chunks = append(s.chunks, chunk{})
	}
	c := &s.chunks[n]
	c.records = new([perChunk]record)
	for i := range uint32(perChunk) {
		c.records[i].timers[0].next = n*perChunk + i + 2
	}
	c.records[perChunk-1].timers[0].next = 0
	c.free = n*perChunk + 1
	c.listed = true
	s.room = append(s.room, n)
}

// release gives a record back. A chunk that is empty gives its memory back, unless it is the only one with room.
func (s *slab) release(x uint32) {
	n := (x - 1) / perChunk
	c := &s.chunks[n]
	r := s.at(x)
	*r = record{}
	r.timers[0].next = c.free
	c.free = x
	c.used--
	s.used--
	if !c.listed {
		c.listed = true
		s.room = append(s.room, n)
	}
	if c.used == 0 && len(s.room) > 1 {
		s.room = without(s.room, n)
		*c = chunk{}
		s.idle = append(s.idle, n)
	}
}

// without takes n out of list, whose order does not matter.
func without(list []uint32, n uint32) []uint32 {
	for i, v := range list {
		if v == n {
			last := len(list) - 1
			list[i] = list[last]
			return list[:last]
		}
	}
	return list
}
