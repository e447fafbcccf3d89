// Package record writes calls to pcapng files while they happen: a file for each call, or one file for all calls that
// match a filter, the frames before the match included.
//
//	Event ─▶ frames that carried the message ─┐       Board: does it match, has it ended, is it still kept
//	Frames ─▶ ring of the newest references ──┴▶ pending references of a call ─▶ flush: bytes from the spool ─▶ file
//	             └▶ media that its SDP names ──┘
//
// No bytes of packets are kept, only where they can be read again, so what a call costs does not depend on its bytes.
// A file is opened for each flush, gets a whole pcapng section, and is closed again: thousands of calls at once need no
// thousands of descriptors, and a killed process leaves files that anyone can read. Files that cannot be written never
// stop the pipeline.
//
// The Recorder belongs to the pipeline: Event, Frames and Close are called by one goroutine at a time. Stats may be
// called from any. The only clock is packet time.
package record

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
)

// ErrOptions says that a Recorder cannot be made of its options.
var ErrOptions = errors.New("recording needs a board, a reader, and a directory or a writer")

// Options say what is recorded, and where.
type Options struct {
	// Dir gets a file for each call: 20261121-093012_000042_CALL-ID.pcapng, of the call's first message (UTC), its number
	// and its Call-ID as far as that is safe in a name. It is made when it is not there, for its owner only. Empty with
	// Write.
	Dir string
	// Write takes the frames of all calls that match instead, each once, with an empty comment; Dir must be empty. It must
	// not keep p. A frame that it refuses is offered again, up to some tens of times.
	Write func(p *capture.Packet, comment string) error
	// Match chooses calls. It is asked again whenever a call changes, until it says yes once; what changes back within
	// 50 ms of packet time is not seen. Nil takes all calls.
	Match func(s *correlate.Summary) bool
	// Read gives the bytes at a place of the captures again, or capture.ErrGone or capture.ErrNotKept.
	Read func(loc capture.Loc, b []byte) error
	// Media takes the frames of UDP flows that the calls' SDP names, too (RFC 8866 5.7, 5.14; RFC 3605; RFC 8839 5.1).
	Media bool
	// Linger is how long after the last message of an ended call its frames are still taken, in nanoseconds of packet
	// time; 0 for two seconds. A call that was challenged or redirected may be tried again with the same Call-ID and
	// waits 32 s at least.
	Linger int64
	// MaxPending is how many frames are remembered that are not yet matched or written, over all calls; 0 for 1<<20. A
	// frame of two calls counts twice. Media may take seven eighths of it. Then the SIP of the call that was silent for
	// longest goes first.
	MaxPending int
	// Names gives the names of interfaces by Packet.Iface, for the files; nil when there are none.
	Names func(iface uint16) string
	// Application names the writing program in the files; may be empty.
	Application string
	// Done is called when a call has ended and its file in Dir is closed, from within Frames or Close; nil for nobody.
	// frames are all that are in the file. A call that goes on after its end is done again. Of a call that the board has
	// let go, s has nothing but the number.
	Done func(path string, s *correlate.Summary, frames int)
}

// Defaults and bounds. Times are nanoseconds of packet time.
const (
	second = int64(time.Second)

	defaultLinger  = 2 * second
	defaultPending = 1 << 20

	pollEvery  = second / 20 // how often the board is asked
	flushEvery = 2 * second  // how long a frame of a matched call waits for others
	flushAt    = 512         // frames of a call that wait for no others
	holdBack   = second / 4  // how old a frame must be: it may end a message whose beginning nobody has claimed yet
	retryAge   = 32 * second // how long a challenge may wait to be answered: 64*T1 (RFC 3261 17.1.1.2)
	maxTries   = 30          // how often a file may fail in sequence: a minute
)

// Recorder writes calls while they happen. It is a correlate.FrameSink.
type Recorder struct {
	o     Options
	board *correlate.Board
	open  func(path string, flag int) (file, error)
	stats figures

	now       int64  // packet time reached
	polled    int64  // when the board was last asked
	began     bool   // it was
	closed    bool   // nothing is done any more
	rev       uint64 // of the board
	unwritten uint64 // frames given up because writing failed

	ring     ring
	frames   slab
	marks    marks
	newest   uint64   // frame
	wanted   []wanted // frames of messages, until the ring has their batch
	media    map[frame.Endpoint][]listener
	bound    int // listeners in all
	partials partials

	calls    map[uint32]*call      // by number
	finished map[uint32]tomb       // calls whose file is closed, as long as the board has them
	order    queue[generation]     // of both, to see which ones the board has let go
	ending   [2]queue[appointment] // calls that have ended, by class
	idle     queue[appointment]    // undecided calls with frames, roughly the longest silent first
	gen      uint32

	common  *output    // the file of all calls that match; nil with a file a call
	dirty   queue[due] // files with pending frames
	pending int        // references of all calls
	ready   int        // those of matched ones

	changed, one []correlate.Summary // scratch, as what follows
	nums         []uint32
	looked, gone []generation
	session      sdp.Session
	packet       capture.Packet
	buf, data    []byte
	ifaces       []ifaceKey
}

var _ correlate.FrameSink = (*Recorder)(nil)

// wanted is a frame of a call's message.
type wanted struct {
	call *call
	seq  uint64
}

// New makes a Recorder, and with Options.Dir the directory, which it tries. Give it to correlate.Config.Sink, and the
// board to Config.Board. Errors are ErrOptions and those of the file system.
func New(board *correlate.Board, o Options) (*Recorder, error) {
	if board == nil || o.Read == nil || (o.Dir == "") == (o.Write == nil) {
		return nil, ErrOptions
	}
	r := &Recorder{
		o: o, board: board, open: openFile,
		calls: map[uint32]*call{}, finished: map[uint32]tomb{}, media: map[frame.Endpoint][]listener{},
	}
	if r.o.MaxPending <= 0 {
		r.o.MaxPending = defaultPending
	}
	if r.o.Linger <= 0 {
		r.o.Linger = defaultLinger
	}
	if o.Write != nil {
		r.common = &output{}
		return r, nil
	}
	return r, tryDir(o.Dir)
}

// tryDir makes a directory, and a file in it that does not stay.
func tryDir(dir string) error {
	const owner = 0o700
	if err := os.MkdirAll(dir, owner); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".sipscope-*")
	if err != nil {
		return err
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// Event implements correlate.Sink: it notes the frames of a message, and what its SDP names. It never fails.
func (r *Recorder) Event(e *correlate.Event) error {
	m := e.Message
	if m == nil || r.closed {
		return nil
	}
	c := r.callOf(e)
	for i := range m.Pieces {
		if seq := m.Pieces[i].Seq; i == 0 || seq != m.Pieces[i-1].Seq {
			r.wanted = append(r.wanted, wanted{c, seq})
		}
	}
	if n := len(m.Pieces); n == 0 || m.Pieces[n-1].Seq != m.Seq {
		r.wanted = append(r.wanted, wanted{c, m.Seq})
	}
	if r.o.Media {
		r.bind(c, m)
	}
	return nil
}

// Frames implements correlate.FrameSink: it takes the references of a batch, and writes what is due. It never fails.
func (r *Recorder) Frames(w *decode.Work) error {
	if r.closed {
		return nil
	}
	r.now = w.Batch.Now
	if w.Batch.SetBack {
		r.setBack()
	}
	for p := range w.Packets() {
		r.put(p)
	}
	if n := len(w.Batch.Packets); n > 0 {
		r.newest = w.Batch.Packets[n-1].Seq
	}
	r.resolve()
	poll := !r.began || r.now-r.polled >= pollEvery
	if poll {
		r.began, r.polled = true, r.now
		r.poll() // before the media: an end may lie in this batch
	}
	if len(r.media) > 0 {
		for p, f := range w.Packets() {
			r.medium(p, f)
		}
	}
	if poll {
		r.end()
		r.sweep()
		r.flushDue()
		r.marks.add(r.now, r.newest) // on ticks, too: the batch may have come between two polls, and the line be silent since
	}
	r.crowded()
	return nil
}

// resolve gives the frames of messages to their calls.
func (r *Recorder) resolve() {
	for _, w := range r.wanted {
		if s := r.ring.at(w.seq); s != nil {
			r.give(w.call, s, false)
		} else {
			r.missed(w.call)
		}
	}
	clear(r.wanted) // no call is kept by it
	r.wanted = r.wanted[:0]
}

// setBack follows a clock that was set back: what was to happen at a time that lies far ahead now happens in good time.
func (r *Recorder) setBack() {
	r.polled = min(r.polled, r.now-pollEvery)
	for i := range r.ending {
		for j := range r.ending[i].all() {
			a := &r.ending[i].all()[j]
			a.at = min(a.at, r.now+r.linger(i))
			if c := r.calls[a.num]; r.alive(a.generation) {
				c.deadline = min(c.deadline, r.now+r.linger(i))
			}
		}
	}
	for i := range r.dirty.all() {
		d := &r.dirty.all()[i]
		d.at = min(d.at, r.now+flushEvery)
	}
}

// Close writes what is there of all calls that match by now, also of those that go on, and reports what could not be
// written. It may be called again, and does nothing then.
func (r *Recorder) Close() error {
	if r.closed {
		return nil
	}
	r.resolve()
	r.poll()
	for _, num := range slices.Sorted(maps.Keys(r.calls)) {
		c := r.calls[num]
		c.out.tries = maxTries - 1 // there is no time after this one
		r.finish(c)
	}
	if r.common != nil {
		r.common.tries = maxTries - 1
		r.flush(r.common, true)
	}
	r.closed = true
	if r.unwritten > 0 {
		return fmt.Errorf("%d frames could not be written: %s", r.unwritten, r.Stats().LastError)
	}
	return nil
}
