package stats

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode/frame"
)

// firstSeen counts by key and keeps the first keys seen, up to a limit: their counts are exact. The map leads to the
// counts, for adding to a map's value by a key made of bytes allocates, and looking it up does not.
type firstSeen[K comparable] struct {
	places   map[K]int
	counts   []uint64
	overflow uint64 // counts of keys that found no room
}

func (f *firstSeen[K]) add(key K, limit int) {
	place, ok := f.places[key]
	switch {
	case ok:
		f.counts[place]++
	case len(f.counts) >= limit:
		f.overflow++
	default:
		if f.places == nil {
			f.places = map[K]int{}
		}
		f.places[key] = len(f.counts)
		f.counts = append(f.counts, 1)
	}
}

// each calls yield for every key, in no order.
func (f *firstSeen[K]) each(yield func(key K, n uint64)) {
	for key, place := range f.places {
		yield(key, f.counts[place])
	}
}

func (f *firstSeen[K]) clone() firstSeen[K] {
	return firstSeen[K]{maps.Clone(f.places), slices.Clone(f.counts), f.overflow}
}

// ranking counts by key and keeps those that count most. When it is full, the lower half goes: who fills it with keys
// that occur once does not hide the busy ones.
type ranking[K comparable] struct {
	counts   map[K]uint64
	overflow uint64 // counts that went with their keys
}

func (r *ranking[K]) add(key K, limit int) { r.addN(key, 1, limit) }

func (r *ranking[K]) addN(key K, n uint64, limit int) {
	if r.counts == nil {
		r.counts = map[K]uint64{}
	}
	if _, ok := r.counts[key]; !ok && len(r.counts) >= limit {
		r.prune()
	}
	r.counts[key] += n
}

func (r *ranking[K]) clone() ranking[K] { return ranking[K]{maps.Clone(r.counts), r.overflow} }

// prune drops all keys that count no more than the median: at least half of them, whatever the order of the map.
func (r *ranking[K]) prune() {
	all := make([]uint64, 0, len(r.counts))
	for _, n := range r.counts {
		all = append(all, n)
	}
	slices.Sort(all)
	median := all[len(all)/2]
	for key, n := range r.counts {
		if n <= median {
			r.overflow += n
			delete(r.counts, key)
		}
	}
}

// Ranked is a name and how often it occurred.
type Ranked struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// topSize is how many names a ranking shows.
const topSize = 10

// top gives the names that count most, the first ones of the alphabet when they count the same.
func top[K comparable](counts map[K]uint64, name func(K) string) []Ranked {
	all := make([]Ranked, 0, len(counts))
	for key, n := range counts {
		all = append(all, Ranked{Name: name(key), Count: n})
	}
	slices.SortFunc(all, func(a, b Ranked) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Name, b.Name))
	})
	return slices.Clip(all[:min(len(all), topSize)])
}

// hostCounts counts messages by address. In front of the map is a small table where each address has one place: most
// captures have few busy hosts, and their messages never reach the map.
type hostCounts struct {
	near [nearHosts]hostCount
	all  ranking[frame.Endpoint]
}

type hostCount struct {
	host frame.Endpoint // its port is 0
	n    uint64
}

// nearHosts is a power of two; 512 places take 16 KiB, half of a first-level cache.
const nearHosts = 512

// place spreads addresses over the table: Fibonacci hashing, the high bits are the mixed ones.
func place(e *frame.Endpoint) uint64 { return ((e.Lo ^ e.Hi) * 0x9E3779B97F4A7C15) >> 55 }

func (h *hostCounts) add(e frame.Endpoint) {
	slot := &h.near[place(&e)]
	if slot.host.SameHost(e) && slot.n > 0 {
		slot.n++
		return
	}
	if !e.IsValid() {
		return
	}
	if slot.n > 0 {
		h.all.addN(slot.host, slot.n, maxHosts)
	}
	e.Port = 0
	*slot = hostCount{host: e, n: 1}
}

// flush moves the table's counts to the map.
func (h *hostCounts) flush() {
	for i := range h.near {
		if slot := &h.near[i]; slot.n > 0 {
			h.all.addN(slot.host, slot.n, maxHosts)
			*slot = hostCount{}
		}
	}
}

// perSecond finds the busiest second (of the clock, not any span of a second), the first and the last time. A time
// before the newest second counts in that: merged captures step back by a little.
type perSecond struct {
	first, last int64 // nanoseconds since 1970-01-01 UTC, valid when seen
	end         int64 // of the newest second
	now, peak   uint64
	seen        bool
}

func (p *perSecond) add(t int64) {
	if !p.seen {
		p.seen, p.first, p.last = true, t, t
		p.end = second(t)
	}
	p.first, p.last = min(p.first, t), max(p.last, t)
	if t >= p.end {
		p.peak = max(p.peak, p.now)
		p.now, p.end = 0, second(t)
	}
	p.now++
}

// second is where the second that t lies in ends.
func second(t int64) int64 {
	const s = int64(time.Second)
	rest := t % s
	if rest < 0 {
		rest += s
	}
	return t - rest + s
}

func (p *perSecond) most() uint64 { return max(p.peak, p.now) }

// activity finds how many INVITE calls were in progress at most. It keeps the ends of those in progress as a heap, the
// soonest on top.
type activity struct {
	ends []int64
	peak int
}

// add begins a call. Calls come in order of their start; one that starts before its predecessor still counts, with
// what has ended since taken as ended.
func (a *activity) add(s *correlate.Summary) {
	for len(a.ends) > 0 && a.ends[0] <= s.First {
		a.pop()
	}
	if end, ends := callEnd(s); !ends {
		a.push(1<<63 - 1)
	} else {
		a.push(max(end, s.First))
	}
	a.peak = max(a.peak, len(a.ends))
}

// callEnd is when a call was over: its BYE, or the last message of one that was not answered. A call that was answered
// or is being set up when the capture ends goes on.
func callEnd(s *correlate.Summary) (end int64, ends bool) {
	if s.State == correlate.StateAnswered || s.State == correlate.StateCalling || s.State == correlate.StateRinging {
		return 0, false
	}
	if s.State == correlate.StateCompleted && s.Setup >= 0 && s.Duration >= 0 {
		return s.First + s.Setup + s.Duration, true
	}
	return s.Last, true
}

func (a *activity) push(end int64) {
	if len(a.ends) >= maxActive {
		return
	}
	a.ends = append(a.ends, end)
	for i := len(a.ends) - 1; i > 0; {
		up := (i - 1) / 2
		if a.ends[up] <= a.ends[i] {
			return
		}
		a.ends[up], a.ends[i] = a.ends[i], a.ends[up]
		i = up
	}
}

func (a *activity) pop() {
	n := len(a.ends) - 1
	a.ends[0] = a.ends[n]
	a.ends = a.ends[:n]
	for i := 0; ; {
		low := 2*i + 1
		if low >= n {
			return
		}
		if low+1 < n && a.ends[low+1] < a.ends[low] {
			low++
		}
		if a.ends[i] <= a.ends[low] {
			return
		}
		a.ends[i], a.ends[low] = a.ends[low], a.ends[i]
		i = low
	}
}
