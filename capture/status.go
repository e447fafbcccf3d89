package capture

// Status is what live sources say of themselves: what came in, what was lost, and where. Counts are totals since the
// start.
type Status struct {
	Sources []SourceStatus
	Left    uint64 // packets that a filter in this program left out
	Spool   *SpoolStatus
}

// SourceStatus is one interface, or one listener.
type SourceStatus struct {
	Name     string // of the interface, or address of the listener
	Up       bool
	Received uint64 // packets given to this program
	Dropped  uint64 // by the kernel, since its buffer was full
	Queue    uint64 // dropped by this program, since its queue was full
	Rejected uint64 // malformed, or not allowed
	Note     string // what a person should know: "interface is gone", or empty
}

// SpoolStatus is the disk ring that keeps live packets.
type SpoolStatus struct {
	Dir     string
	Size    int64  // bytes on disk
	Limit   int64  // bytes that it may take
	Waiting int64  // bytes that wait for the disk
	Kept    uint64 // packets that can be read again
	Gone    uint64 // packets overwritten since
	Dropped uint64 // packets not kept: the disk was full or too slow
	Err     string // why the last write failed, while it fails
}

// Dropped adds up what was lost before it was decoded, by place.
func (s *Status) Dropped() (kernel, queue uint64) {
	for i := range s.Sources {
		kernel += s.Sources[i].Dropped
		queue += s.Sources[i].Queue
	}
	return kernel, queue
}
