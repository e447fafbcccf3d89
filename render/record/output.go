package record

import (
	"cmp"
	"errors"
	"slices"

	"sipscope/capture"
)

// output is a file on its way: a call's, or the common one.
type output struct {
	pending []uint32 // frames to be written, in the slab
	newest  uint64   // highest Seq in pending
	mixed   bool     // pending is not in the order of Seq
	waits   bool     // it stands in Recorder.dirty
	tries   int      // how often writing has failed in sequence

	written uint64   // highest Seq written
	recent  []uint64 // frames of messages written that the ring still has: they may carry another message
	frames  uint32   // written
	size    int64    // of the file, bytes; what is beyond is the rest of a write that failed
	number  uint16   // of the file's name, 1 for the plain one; 0 while there is no file
	stem    string   // its name without number and ending
}

// has reports whether a frame is in the file, or on its way there, as far as that is likely: flush sees to the rest.
func (o *output) has(seq uint64) bool {
	if len(o.pending) > 0 && o.newest == seq {
		return true
	}
	return seq <= o.written && slices.Contains(o.recent, seq)
}

// add takes a frame that is in the slab.
func (o *output) add(i uint32, seq uint64) {
	if len(o.pending) == 0 {
		o.newest = 0
	}
	o.mixed = o.mixed || seq < o.newest
	o.newest = max(o.newest, seq)
	o.pending = append(o.pending, i)
}

// sort puts the pending frames in the order of Seq, each once.
func (r *Recorder) sort(o *output) {
	if !o.mixed {
		return
	}
	o.mixed = false
	slices.SortFunc(o.pending, func(a, b uint32) int { return cmp.Compare(r.frames.at(a).seq, r.frames.at(b).seq) })
	n := 0
	for i, f := range o.pending {
		if i > 0 && f == o.pending[n-1] { // a frame has one place in the slab as long as the ring or a call holds it
			r.drop(f, true)
			continue
		}
		o.pending[n] = f
		n++
	}
	o.pending = o.pending[:n]
}

// schedule sees to it that the pending frames of a matched call are written in good time.
func (r *Recorder) schedule(o *output) {
	if !o.waits && len(o.pending) > 0 {
		o.waits = true
		r.dirty.push(due{o, r.now + flushEvery})
	}
}

// flushDue writes what has waited for long enough. What is too young waits once more.
func (r *Recorder) flushDue() {
	for r.dirty.len() > 0 && r.dirty.first().at <= r.now {
		o := r.dirty.pop().out
		o.waits = false
		r.flush(o, false)
		r.schedule(o)
	}
}

// crowded writes everything when the frames of matched calls take too much of what may be remembered.
func (r *Recorder) crowded() {
	if r.ready <= r.o.MaxPending/4 {
		return
	}
	for range r.dirty.len() {
		o := r.dirty.pop().out
		o.waits = false
		if o.tries == 0 {
			r.flush(o, true)
		}
		r.schedule(o)
	}
}

// full writes the pending frames of a matched call when there are many.
func (r *Recorder) full(o *output) {
	n := len(o.pending)
	if n < flushAt || n%(flushAt/2) != 0 || o.tries > 0 || r.frames.at(o.pending[n/2]).seq > r.settled() {
		return
	}
	r.flush(o, false)
}

// settled is a frame before which no part of a message is expected any more, in general.
func (r *Recorder) settled() uint64 { return r.marks.before(r.now - holdBack) }

// flush writes pending frames of a matched call, in the order of Seq: all, or those that are settled. What cannot be
// written stays for another try, as often as maxTries allows.
func (r *Recorder) flush(o *output, all bool) {
	r.sort(o)
	n := len(o.pending)
	if !all {
		settled := r.settled()
		n, _ = slices.BinarySearchFunc(o.pending, settled+1, func(i uint32, seq uint64) int {
			return cmp.Compare(r.frames.at(i).seq, seq)
		})
	}
	if n == 0 {
		return
	}
	var err error
	if r.common == o {
		err = r.writeCommon(o.pending[:n])
	} else {
		err = r.writeFile(o, o.pending[:n])
	}
	if err == nil {
		o.tries = 0
	} else {
		r.stats.failed(err)
		o.tries++
	}
	r.forget(o, n, err != nil)
}

// gone stands in the place of a pending frame that a flush is done with.
const gone = 0

// forget takes those of the first n pending frames off that are gone or written; when writing has failed, the others
// stay for another try, if there is one.
func (r *Recorder) forget(o *output, n int, failed bool) {
	before, oldest := o.written, r.ring.oldest()
	o.recent = slices.DeleteFunc(o.recent, func(seq uint64) bool { return seq < oldest })
	rest := o.pending[:0]
	for _, i := range o.pending[:n] {
		switch {
		case i == gone:
			continue
		case !failed:
			r.note(o, r.frames.at(i), before)
		case o.tries < maxTries:
			rest = append(rest, i)
			continue
		default:
			r.stats.lost.Add(1)
			r.unwritten++
		}
		r.drop(i, true)
	}
	if o.tries >= maxTries {
		o.tries = 0
	}
	rest = append(rest, o.pending[n:]...)
	const keep = 1024 // one busy moment must not be held for ever
	if len(rest) == 0 && cap(rest) > keep {
		rest = nil
	}
	o.pending = rest
}

// note counts a frame that was written; before is the youngest one of the flushes before.
func (r *Recorder) note(o *output, h *held, before uint64) {
	r.stats.frames.Add(1)
	if h.seq < before {
		r.stats.late.Add(1)
	}
	o.frames++
	o.written = max(o.written, h.seq)
	if h.sip && r.common == nil {
		o.recent = append(o.recent, h.seq)
	}
}

// lose is a frame that cannot be read again.
func (r *Recorder) lose(i uint32, err error) {
	r.stats.lost.Add(1)
	if !errors.Is(err, capture.ErrGone) && !errors.Is(err, capture.ErrNotKept) {
		r.stats.failed(err)
	}
	r.drop(i, true)
}

// read gives a frame with its bytes, which are valid until the next read.
func (r *Recorder) read(h *held) (*capture.Packet, error) {
	if h.off < 0 {
		return nil, capture.ErrNotKept
	}
	n := int(h.size)
	if cap(r.data) < n {
		r.data = make([]byte, n+n/2)
	}
	r.packet = h.packet(r.data[:n]) // not a local one: Options.Write takes its address
	return &r.packet, r.o.Read(r.packet.Loc, r.packet.Data)
}

// writeCommon gives frames to Options.Write, each once over all calls. It ends at the first that is refused.
func (r *Recorder) writeCommon(frames []uint32) error {
	before := r.common.written
	for at, i := range frames {
		h := r.frames.at(i) // not yet written: give and match see to that
		p, err := r.read(h)
		if err != nil {
			frames[at] = gone
			r.lose(i, err)
			continue
		}
		if err := r.o.Write(p, ""); errors.Is(err, capture.ErrTime) {
			frames[at] = gone
			r.lose(i, err)
			continue
		} else if err != nil {
			return err
		}
		h.written = true
		r.note(r.common, h, before)
		r.stats.bytes.Add(uint64(len(p.Data)))
		frames[at] = gone
		r.drop(i, true)
	}
	return nil
}
