package redact

import (
	"sync"
	"sync/atomic"

	"sipscope/correlate"
	"sipscope/correlate/stats"
)

// Redactor replaces what identifies people and machines. The same name in gives the same pseudonym out.
//
// First everything is learnt, then redacted. Learning belongs to one goroutine, and nothing may be redacted meanwhile;
// after the last Learn the Redactor may be used from any goroutine. Pseudonyms depend only on the order of learning. A
// name that was never learnt gets the stand-in of its kind with the number 0, such as "user0". What is learnt after the
// first redaction is redacted, too, but a pseudonym given out before may happen to be an original that came later.
type Redactor struct {
	names   [kinds]map[string]string // original to pseudonym; "" until settled
	order   []name                   // in order of learning, those yet to be settled
	count   [kinds]int
	given   map[string]struct{} // pseudonyms, in lower case: one of any kind names one thing
	stem    [kinds]string
	crowded [kinds]bool    // its pseudonyms all hold originals
	spelled map[string]int // spellings given of a pseudonym
	digits  map[shape]*digitCount
	columns []string
	sweep   sweeper
	settled atomic.Bool
	mu      sync.Mutex // guards settling
	pool    sync.Pool  // of *writer
}

// name is an original that was learnt.
type name struct {
	kind Kind
	text string
}

// New makes a Redactor that knows no names.
func New() *Redactor {
	r := &Redactor{given: map[string]struct{}{}, spelled: map[string]int{}, digits: map[shape]*digitCount{}}
	for k := range r.names {
		r.names[k] = map[string]string{}
	}
	r.pool.New = func() any { return &writer{} }
	return r
}

// Columns says of which headers correlate.Summary.Columns has the values (correlate.Config.Headers), so that they are
// redacted as those headers are. Without it they are replaced whole. It comes before the first Learn.
func (r *Redactor) Columns(headers []string) { r.columns = append(r.columns[:0], headers...) }

// Learn collects the originals of a call and of its messages; text gives a message's raw text by its index in
// c.Messages, nil when it cannot be read again. All calls are learnt before the first redaction, in a fixed order, so
// that the pseudonyms are deterministic and none equals an original of another call.
func (r *Redactor) Learn(c *correlate.Call, text func(message int) []byte) {
	w := r.learner()
	defer r.pool.Put(w)
	w.call(c)
	for i := range c.Messages {
		if raw := text(i); len(raw) > 0 {
			w.message(raw)
		}
	}
}

// LearnName collects a further original: an alias, a host of the statistics. An empty one is nothing.
func (r *Redactor) LearnName(kind Kind, original string) {
	w := r.learner()
	defer r.pool.Put(w)
	w.named(kind, original)
}

// LearnResult collects the names in the figures of a run: hosts, products and methods.
func (r *Redactor) LearnResult(res *stats.Result) {
	w := r.learner()
	defer r.pool.Put(w)
	w.result(*res)
}

func (r *Redactor) learner() *writer {
	r.settled.Store(false)
	return r.writer(true)
}

// writer takes a writer from the pool; pool.Put gives it back.
func (r *Redactor) writer(learn bool) *writer {
	w, ok := r.pool.Get().(*writer)
	if !ok {
		w = &writer{}
	}
	w.r, w.learn, w.depth = r, learn, 0
	if !learn {
		r.settle()
	}
	return w
}

// Name gives the pseudonym of one name. The empty name stays empty.
func (r *Redactor) Name(kind Kind, original string) string {
	w := r.writer(false)
	defer r.pool.Put(w)
	return w.named(kind, original)
}

// Text gives the redacted text of a SIP message in a new slice: whatever decode/sip takes; what it refuses becomes a line
// that says how long it was. nil stays nil.
func (r *Redactor) Text(raw []byte) []byte {
	if raw == nil {
		return nil
	}
	return r.AppendText(nil, raw)
}

// AppendText is Text, appended to dst, which must not overlap raw.
func (r *Redactor) AppendText(dst, raw []byte) []byte {
	w := r.writer(false)
	defer r.pool.Put(w)
	return append(dst, w.message(raw)...)
}

// settle gives a pseudonym to every name that was learnt.
func (r *Redactor) settle() {
	if r.settled.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settled.Load() {
		return
	}
	for _, n := range r.order {
		r.sweep.add(n)
	}
	r.sweep.build()
	for k := range stems {
		if r.stem[k] == "" {
			r.stem[k] = r.chooseStem(Kind(k))
		}
	}
	for _, n := range r.order {
		r.names[n.kind][n.text] = r.choose(n)
	}
	r.order = nil
	r.settled.Store(true)
}

// learnName notes an original.
func (r *Redactor) learnName(kind Kind, text []byte) {
	if _, known := r.names[kind][string(text)]; known {
		return
	}
	s := string(text)
	r.names[kind][s] = ""
	r.order = append(r.order, name{kind, s})
}

// lookup gives the pseudonym of a name as it was learnt.
func (r *Redactor) lookup(kind Kind, text []byte) string {
	if alias, ok := r.names[kind][string(text)]; ok {
		return alias
	}
	return standIn(kind, string(text))
}

// take reports whether a pseudonym may be given, and notes it. A strict one may hold no original either.
func (r *Redactor) take(alias string, strict bool) bool {
	lower := lowered(alias)
	if _, taken := r.given[lower]; taken || r.sweep.equals(lower) || strict && r.sweep.within(lower) {
		return false
	}
	r.given[lower] = struct{}{}
	return true
}
