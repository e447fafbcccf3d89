package record

import (
	"sync"
	"sync/atomic"
)

// Stats are the figures of a Recorder.
type Stats struct {
	Calls     uint64 // that matched
	Files     uint64 // made in Options.Dir
	Frames    uint64 // written; a frame in the files of two calls counts twice
	Bytes     uint64 // of the files in Options.Dir; with Options.Write those of the packets
	Lost      uint64 // frames of calls that matched which could not be read again when they were due, or not be written
	Unkept    uint64 // frames of calls that matched which MaxPending cost
	Late      uint64 // frames written after younger ones of their file: parts of messages that were long in coming
	Refused   uint64 // media addresses beyond the bounds: 64 a call, 32 calls an address, a million pairs in all
	Errors    uint64 // writes that failed, and reads that failed for another reason than that the frame was not kept
	LastError string // the newest of those; it stays
}

// figures are Stats on their way: counted by one goroutine, read by any.
type figures struct {
	calls, files, frames, bytes, lost, unkept, late, refused, errors atomic.Uint64

	mu   sync.Mutex
	last string // LastError
}

// failed counts an error.
func (f *figures) failed(err error) {
	f.errors.Add(1)
	f.mu.Lock()
	f.last = err.Error()
	f.mu.Unlock()
}

// Stats gives the figures so far. It may be called from any goroutine.
func (r *Recorder) Stats() Stats {
	f := &r.stats
	s := Stats{
		Calls: f.calls.Load(), Files: f.files.Load(), Frames: f.frames.Load(), Bytes: f.bytes.Load(),
		Lost: f.lost.Load(), Unkept: f.unkept.Load(), Late: f.late.Load(), Refused: f.refused.Load(),
		Errors: f.errors.Load(),
	}
	f.mu.Lock()
	s.LastError = f.last
	f.mu.Unlock()
	return s
}
