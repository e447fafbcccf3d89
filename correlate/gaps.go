package correlate

import (
	"slices"
	"sort"

	"sipscope/decode"
	"sipscope/decode/frame"
)

// gapRecs are the holes, found by the hosts they are between: a capture full of holes must not make a list of calls cost
// calls times holes.
type gapRecs struct {
	all    []decode.Gap
	byPair map[hostPair][]uint32 // places in all, by time
}

// hostPair is two hosts whichever way the hole was: endpoints without ports, the lower first.
type hostPair [2]frame.Endpoint

func pairOf(a, b frame.Endpoint) hostPair {
	a.Port, b.Port = 0, 0
	if a.Hi > b.Hi || a.Hi == b.Hi && (a.Lo > b.Lo || a.Lo == b.Lo && !a.V4) {
		a, b = b, a
	}
	return hostPair{a, b}
}

// add keeps a hole.
func (r *gapRecs) add(g *decode.Gap) {
	if r.byPair == nil {
		r.byPair = map[hostPair][]uint32{}
	}
	i := uint32(len(r.all)) //nolint:gosec // at most Limits.Gaps
	r.all = append(r.all, *g)
	key := pairOf(g.Src, g.Dst)
	list := r.byPair[key]
	at := r.from(list, g.Time+1) // nearly always its end
	r.byPair[key] = slices.Insert(list, at, i)
}

// from gives the place in a list of the first hole at a time or later.
func (r *gapRecs) from(list []uint32, time int64) int {
	if n := len(list); n == 0 || r.all[list[n-1]].Time < time {
		return n
	}
	return sort.Search(len(list), func(i int) bool { return r.all[list[i]].Time >= time })
}

// between gives the holes between two hosts in a span of time, both ends included.
func (r *gapRecs) between(p hostPair, first, last int64) []uint32 {
	list := r.byPair[p]
	return list[r.from(list, first):r.from(list, last+1)]
}

// gapSlack is how long before its first and after its last message a hole on a call's hop may have held more of it.
const gapSlack = timerB

// eachGaps gives the holes on the call's hops during its time, those between two hosts at once.
func (t *Tracker) eachGaps(c *callRec, f func([]uint32)) {
	if len(t.gaps.all) == 0 {
		return
	}
	var room [8]frame.Endpoint
	hosts := room[:0]
	for i := range c.nEps {
		e := *t.ep(c, uint16(i))
		e.Port = 0
		hosts = append(hosts, e)
	}
	slices.SortFunc(hosts, func(a, b frame.Endpoint) int {
		if a == b {
			return 0
		}
		if pairOf(a, b)[0] == a {
			return -1
		}
		return 1
	})
	hosts = slices.Compact(hosts)
	first, last := c.first-gapSlack, c.last+gapSlack
	if len(hosts)*len(hosts) > len(t.gaps.byPair) { // a scanner's call with a thousand hosts
		known := make(map[frame.Endpoint]bool, len(hosts))
		for _, h := range hosts {
			known[h] = true
		}
		for p := range t.gaps.byPair {
			if known[p[0]] && known[p[1]] {
				f(t.gaps.between(p, first, last))
			}
		}
		return
	}
	for i, a := range hosts {
		for _, b := range hosts[i:] {
			f(t.gaps.between(pairOf(a, b), first, last))
		}
	}
}

// countGaps counts the holes on the call's hops during its time.
func (t *Tracker) countGaps(c *callRec) (n int) {
	t.eachGaps(c, func(list []uint32) { n += len(list) })
	return n
}

// gapsOf gives the holes on the call's hops during its time, in the order in which they were found.
func (t *Tracker) gapsOf(c *callRec) []decode.Gap {
	var places []uint32
	t.eachGaps(c, func(list []uint32) { places = append(places, list...) })
	if len(places) == 0 {
		return nil
	}
	slices.Sort(places)
	found := make([]decode.Gap, len(places))
	for i, at := range places {
		found[i] = t.gaps.all[at]
	}
	return found
}
