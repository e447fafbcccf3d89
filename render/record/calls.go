package record

import (
	"sipscope/correlate"
	"sipscope/decode/frame"
)

// call is what is known of a call that goes on, or may.
type call struct {
	generation
	matched  bool
	failed   bool    // it is over, and its file could not be written
	idle     bool    // it stands in Recorder.idle
	deadline int64   // packet time after which nothing belongs to it; 0 while it goes on
	waits    [2]bool // it stands in Recorder.ending
	seen     int64   // packet time of its newest message
	missed   uint64  // frames that were in the ring no more
	unkept   uint64  // frames that MaxPending cost
	media    []frame.Endpoint
	out      output // its file; what it has before it matches are frames that wait for that
}

// generation tells a call from a later one with the same number: one that was let go and began anew.
type generation struct {
	num uint32 // Summary.Num
	gen uint32
}

// tomb is a call whose file is closed. A later message opens it again.
type tomb struct {
	gen    uint32
	suffix uint16 // of the file's name
	frames uint32
	size   int64  // of the file
	last   uint64 // the youngest frame in it
}

// callOf gives the call of a message. It may have ended and begin anew.
func (r *Recorder) callOf(e *correlate.Event) *call {
	num := e.Verdict.Call
	c := r.calls[num]
	if c == nil {
		c = r.begin(num, e)
	}
	c.seen = max(r.now, e.Message.Time)
	c.deadline, c.failed = 0, false // it goes on, until the board says otherwise
	return c
}

// begin makes a call, or wakes one that was done.
func (r *Recorder) begin(num uint32, e *correlate.Event) *call {
	r.gen++
	c := &call{generation: generation{num, r.gen}}
	r.calls[num] = c
	t, again := r.finished[num]
	if again {
		delete(r.finished, num)
		c.gen = t.gen
		c.out.number, c.out.size, c.out.frames = t.suffix, t.size, t.frames
		c.out.written = t.last
		c.out.recent = append(c.out.recent, t.last)
	} else {
		r.order.push(c.generation)
	}
	if !again && r.o.Match != nil {
		return c
	}
	s := r.summary(num)
	if s == nil { // the board had room for it at this message only
		m := &e.Message.SIP
		s = &correlate.Summary{Num: num, First: e.Message.Time, CallID: string(m.CallID.Of(m.Raw))}
	}
	r.match(c, s, !again)
	return c
}

// summary gives a call's newest state, or nil when the board has let it go. It is valid until the next call.
func (r *Recorder) summary(num uint32) *correlate.Summary {
	r.nums = append(r.nums[:0], num)
	r.one = r.board.Summaries(r.nums, r.one[:0])
	if len(r.one) == 0 {
		return nil
	}
	return &r.one[0]
}

// match begins to write a call; fresh says that it did not match before.
func (r *Recorder) match(c *call, s *correlate.Summary, fresh bool) {
	c.matched = true
	if fresh {
		r.stats.calls.Add(1)
		r.stats.lost.Add(c.missed)
		r.stats.unkept.Add(c.unkept)
		c.missed, c.unkept = 0, 0
	}
	if r.common == nil {
		c.out.stem = fileName(s.First, s.Num, s.CallID)
		r.ready += len(c.out.pending)
		r.schedule(&c.out)
		return
	}
	for _, i := range c.out.pending {
		if r.frames.at(i).written {
			r.drop(i, false)
			continue
		}
		r.common.add(i, r.frames.at(i).seq)
		r.ready++
	}
	c.out.pending = nil
	r.schedule(r.common)
}

// poll asks the board what has changed.
func (r *Recorder) poll() {
	for {
		r.changed, r.rev = r.board.Changes(r.rev, r.changed[:0])
		if len(r.changed) == 0 {
			return
		}
		for i := range r.changed {
			s := &r.changed[i]
			c := r.calls[s.Num]
			if c == nil {
				continue
			}
			if !c.matched && r.o.Match(s) {
				r.match(c, s, true)
			}
			r.appoint(c, s)
		}
	}
}

// Classes of what ends: how long a call is waited for.
const (
	lingers = iota // Options.Linger
	retries        // retryAge
)

// linger is how long a class of ended calls is waited for.
func (r *Recorder) linger(class int) int64 {
	if class == retries {
		return max(r.o.Linger, retryAge)
	}
	return r.o.Linger
}

// endOf tells whether a call in a state has ended, and how long it is waited for.
func endOf(s correlate.State) (class int, ended bool) {
	switch s {
	case correlate.StateChallenged, correlate.StateRedirected:
		return retries, true
	case correlate.StateUnknown, correlate.StateCalling, correlate.StateRinging, correlate.StateAnswered,
		correlate.StatePending, correlate.StateSubscribed, correlate.StateRegistered:
		return 0, false
	default:
		return lingers, true
	}
}

// appoint notes when a call that has ended is over.
func (r *Recorder) appoint(c *call, s *correlate.Summary) {
	class, ended := endOf(s.State)
	if !ended {
		c.deadline = 0
		return
	}
	c.deadline = min(s.Last, r.now) + r.linger(class)
	r.wait(c, class, c.deadline)
}

// wait puts a call among those that end, to be looked at again at a time.
func (r *Recorder) wait(c *call, class int, at int64) {
	if !c.waits[class] {
		c.waits[class] = true
		r.ending[class].push(appointment{c.generation, at})
	}
}

// end finishes the calls that are over.
func (r *Recorder) end() {
	for class := range r.ending {
		q := &r.ending[class]
		for q.len() > 0 && q.first().at <= r.now {
			a := q.pop()
			c := r.calls[a.num]
			if !r.alive(a.generation) || !c.waits[class] {
				continue
			}
			c.waits[class] = false
			switch {
			case c.deadline == 0: // it went on
			case c.deadline > r.now:
				r.wait(c, class, c.deadline)
			default:
				r.finish(c)
			}
		}
	}
}

// finish writes the rest of a call and forgets it; a call whose file cannot be written now stays for another try.
func (r *Recorder) finish(c *call) {
	if c.matched && r.common == nil {
		r.flush(&c.out, true)
	}
	if c.matched && len(c.out.pending) > 0 {
		if c.deadline == 0 { // the board let it go
			c.deadline = max(r.now, 1)
		}
		c.failed = true
		r.wait(c, lingers, r.now+flushEvery)
		return
	}
	r.unbind(c)
	delete(r.calls, c.num)
	if !c.matched {
		r.dropAll(&c.out)
		return
	}
	r.finished[c.num] = tomb{
		gen: c.gen, suffix: c.out.number, frames: c.out.frames, size: c.out.size, last: c.out.written,
	}
	if r.o.Done == nil || c.out.frames == 0 {
		return
	}
	s := r.summary(c.num)
	if s == nil {
		s = &correlate.Summary{Num: c.num}
	}
	r.o.Done(r.path(&c.out), s, int(c.out.frames))
}

// How many calls are looked for in the board at once: all within a thousand polls, and more than begin in a batch.
const (
	sweepLeast = 128
	sweepShare = 1024
	sweepMost  = 512 // Board.Summaries gives no more
)

// sweep looks for some calls in the board, and lets those go that it has let go.
func (r *Recorder) sweep() {
	for n := sweepLeast + r.order.len()/sweepShare; n > 0; n -= sweepMost {
		r.sweepSome(min(n, sweepMost, r.order.len()))
	}
}

func (r *Recorder) sweepSome(n int) {
	r.looked, r.nums = r.looked[:0], r.nums[:0]
	for range n {
		g := r.order.pop()
		if r.alive(g) || r.finished[g.num].gen == g.gen {
			r.looked = append(r.looked, g)
			r.nums = append(r.nums, g.num)
		}
	}
	if len(r.looked) == 0 {
		return
	}
	r.one = r.board.Summaries(r.nums, r.one[:0])
	at := 0
	r.gone = r.gone[:0]
	for _, g := range r.looked {
		if at < len(r.one) && r.one[at].Num == g.num {
			at++
			r.order.push(g)
			continue
		}
		r.gone = append(r.gone, g)
	}
	for _, g := range r.gone { // not above: finish asks the board, too
		if r.alive(g) && !r.calls[g.num].failed {
			r.finish(r.calls[g.num])
		}
		if r.alive(g) { // its file could not be written: end tries again
			r.order.push(g)
		} else {
			delete(r.finished, g.num)
		}
	}
}

// alive reports whether a call goes on, or may.
func (r *Recorder) alive(g generation) bool {
	c := r.calls[g.num]
	return c != nil && c.gen == g.gen
}

// give notes that a frame belongs to a call.
func (r *Recorder) give(c *call, s *slot, media bool) {
	out := &c.out
	if c.matched && r.common != nil {
		out = r.common
		if s.frame != 0 && r.frames.at(s.frame).written {
			return
		}
	}
	if out.has(s.seq) {
		return
	}
	if !r.room(media) {
		if c.matched {
			r.stats.unkept.Add(1)
		} else {
			c.unkept++
		}
		return
	}
	if s.frame == 0 {
		s.frame = r.frames.add(&s.ref)
	}
	h := r.frames.at(s.frame)
	h.holders++
	h.sip = h.sip || !media
	out.add(s.frame, s.seq)
	r.pending++
	switch {
	case c.matched:
		r.ready++
		r.schedule(out)
		r.full(out)
	case !c.idle:
		c.idle = true
		r.rest(c)
	}
}

// rest puts an undecided call among those that may lose their frames.
func (r *Recorder) rest(c *call) {
	const slack = 1024
	if r.idle.len() > 2*len(r.calls)+slack {
		for range r.idle.len() {
			if a := r.idle.pop(); r.alive(a.generation) && r.calls[a.num].idle && !r.calls[a.num].matched {
				r.idle.push(a)
			}
		}
	}
	r.idle.push(appointment{c.generation, c.seen})
}

// missed counts a frame of a message that the ring has lost.
func (r *Recorder) missed(c *call) {
	if c.matched {
		r.stats.lost.Add(1)
	} else {
		c.missed++
	}
}

// evictLook is how many undecided calls are looked at to make room for one frame.
const evictLook = 8

// room reports whether another reference may be kept, and makes room for SIP where it can.
func (r *Recorder) room(media bool) bool {
	if media {
		return r.pending < r.o.MaxPending-r.o.MaxPending/8
	}
	for range evictLook {
		if r.pending < r.o.MaxPending || r.idle.len() == 0 {
			break
		}
		a := r.idle.pop()
		c := r.calls[a.num]
		switch {
		case !r.alive(a.generation) || !c.idle || c.matched: // not undecided, or not any more
		case c.seen > a.at:
			a.at = c.seen
			r.idle.push(a)
		default:
			c.idle = false
			c.unkept += uint64(len(c.out.pending))
			r.dropAll(&c.out)
		}
	}
	return r.pending < r.o.MaxPending
}

// drop lets go of a reference; ready says that it was a matched call's.
func (r *Recorder) drop(i uint32, ready bool) {
	r.frames.release(i)
	r.pending--
	if ready {
		r.ready--
	}
}

// dropAll lets go of all frames of an undecided call.
func (r *Recorder) dropAll(out *output) {
	for _, i := range out.pending {
		r.drop(i, false)
	}
	out.pending, out.mixed = nil, false
}
