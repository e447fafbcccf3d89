package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// Stage says where and how a flow is played.
type Stage struct {
	// Real plays it on sockets, in real time; else time is virtual, and two runs are equal to the byte.
	Real  bool
	Start int64  // nanoseconds since 1970-01-01 UTC, when time is virtual; 0: 2026-01-15 12:00
	Seed  uint64 // of tags, branches and the like
	Tap   Tap    // sees all packets; nil: nobody
}

// defaultStart is when virtual time begins.
const defaultStart = 1_768_478_400_000_000_000

// How long a flow may take after its last action, or after the time that it says it lasts, and how long it is watched after its last step: what is sent then is a
// divergence.
const (
	mostAfter     = int64(60 * time.Second)
	settleVirtual = int64(2 * time.Second)
	settleReal    = int64(400 * time.Millisecond)
)

// Result is what became of a flow.
type Result struct {
	Seen  []Seen
	Steps []int // by message: the index of its step, -1 for none
}

// Play plays a flow. The error wraps ErrDiverged when other messages were seen than its steps; the result is there all the
// same.
func (f *Flow) Play(ctx context.Context, o Stage) (*Result, error) {
	if o.Start == 0 {
		o.Start = defaultStart
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x5349502f322e30)) //nolint:gosec // tags and branches of a demonstration: the same each time
	w := &watcher{flow: f, tap: o.Tap, again: map[string]bool{}, names: map[netip.Addr]string{}}
	for i := range f.Hosts {
		w.names[f.Hosts[i].Addr] = f.Hosts[i].Name
	}
	var s stage
	if o.Real {
		r := newReal(newFaults(f), w)
		defer r.close()
		s = r
	} else {
		s = newVirtual(o.Start, rng, newFaults(f), w)
	}
	c := &cast{flow: f, stage: s, rng: rng, members: map[string]*member{}}
	if err := c.build(); err != nil {
		return nil, fmt.Errorf("flow %s: %w", f.Name, err)
	}
	until := s.start() + f.Lasts
	for i := range f.Actions {
		until = max(until, s.start()+f.Actions[i].At)
	}
	until += mostAfter
	settle := settleVirtual
	if o.Real {
		settle = settleReal
	}
	if err := s.play(ctx, until, func(now int64) bool { return w.complete(now, settle) }); err != nil {
		return nil, fmt.Errorf("flow %s: %w", f.Name, err)
	}
	r := &Result{Seen: w.seen}
	steps, err := f.Match(r.Seen, !o.Real)
	if r.Steps = steps; err == nil {
		err = c.failed()
	}
	if err != nil {
		err = fmt.Errorf("flow %s: %w", f.Name, err)
	}
	return r, err
}

// watcher is the tap of a stage: it notes what was sent, and passes it on.
type watcher struct {
	flow  *Flow
	tap   Tap
	names map[netip.Addr]string

	mu    sync.Mutex
	seen  []Seen
	again map[string]bool // hop and text of what was seen
	last  int64           // time of the last message
	seq   uint64
	msg   sip.Message
}

// maxSeen bounds what a flow may send: one that goes on for ever ends as a divergence.
const maxSeen = 10_000

// Message implements transport.Tap.
func (w *watcher) Message(now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	w.last = now
	if len(w.seen) < maxSeen && sip.Parse(raw, &w.msg) == nil {
		m := &w.msg
		s := Seen{Seq: w.seq, From: w.name(src), To: w.name(dst), Status: int(m.Status)}
		if m.Request {
			s.Method, s.URI = string(m.Method.Of(m.Raw)), string(m.URI.Of(m.Raw))
		} else {
			s.Method = string(m.CSeqMethod.Of(m.Raw))
		}
		key := s.From + ">" + s.To + " " + string(raw)
		s.Again = w.again[key]
		w.again[key] = true
		w.seen = append(w.seen, s)
	}
	if w.tap != nil {
		w.tap.Message(now, proto, conn, src, dst, raw)
	}
}

// Datagram implements Tap: RTP.
func (w *watcher) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	if w.tap != nil {
		w.tap.Datagram(now, src, dst, payload)
	}
}

func (w *watcher) name(a netip.AddrPort) string {
	if name, ok := w.names[a.Addr()]; ok && a.Port() == Port {
		return name
	}
	return a.String()
}

// complete reports whether all steps were seen, and nothing since.
func (w *watcher) complete(now, settle int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen) >= maxSeen || len(w.seen) >= len(w.flow.Steps) && now-w.last > settle
}
