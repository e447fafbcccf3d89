package diff

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
)

// participants finds who takes part on both sides and who corresponds to whom, and gives the events the result's
// participants.
func (w *work) participants() {
	x, y := w.sides[0], w.sides[1]
	if w.flip {
		x, y = y, x
	}
	x.meet()
	y.meet()
	k := kinship{x: x, y: y, named: x.flow.Who != nil && y.flow.Who != nil}
	k.match()
	w.enroll()
}

// kinship is the matching of the participants of two sides.
type kinship struct {
	x, y  *side
	named bool // both sides have names
	// shares says for each participant of x and of y whether they were seen at one address.
	shares [][]bool
}

func (k *kinship) match() {
	k.byName()
	rootsX, rootsY := roots(k.x.people), roots(k.y.people)
	if len(rootsX) > 0 && len(rootsY) > 0 && k.free(rootsX[0], rootsY[0]) {
		k.join(rootsX[0], rootsY[0]) // who begins the flow, whatever the address
	}
	k.assign(rootsX, rootsY, true)
	for p := range min(len(k.x.people), maxPeople) { // parents come before their children
		if q := k.x.people[p].partner; q >= 0 {
			k.assign(k.x.people[p].children, k.y.people[q].children, true)
		}
	}
	all := func(s *side) []int {
		list := make([]int, len(s.people))
		for i := range list {
			list[i] = i
		}
		return list
	}
	k.assign(all(k.x), all(k.y), false)
	k.rest()
}

func roots(people []person) []int {
	var list []int
	for i := range people {
		if people[i].parent < 0 {
			list = append(list, i)
		}
	}
	return list
}

// byName joins those that Flow.Who names alike.
func (k *kinship) byName() {
	if !k.named {
		return
	}
	of := make(map[string]int)
	for q := range k.y.people {
		if name := k.y.people[q].name; name != "" {
			of[name] = q
		}
	}
	for p := range k.x.people {
		name := k.x.people[p].name
		if q, ok := of[name]; ok && name != "" {
			k.join(p, q)
		}
	}
}

func (k *kinship) join(p, q int) { k.x.people[p].partner, k.y.people[q].partner = q, p }

// free reports whether two may be joined.
func (k *kinship) free(p, q int) bool {
	a, b := &k.x.people[p], &k.y.people[q]
	return a.partner < 0 && b.partner < 0 && (!k.named || a.name == "" || b.name == "")
}

// assign joins the most alike first. kin says that they stand at one place of the flow; others must have the same
// address.
func (k *kinship) assign(ps, qs []int, kin bool) {
	ps = slices.DeleteFunc(slices.Clone(ps), func(p int) bool { return k.x.people[p].partner >= 0 })
	qs = slices.DeleteFunc(slices.Clone(qs), func(q int) bool { return k.y.people[q].partner >= 0 })
	ps, qs = ps[:min(len(ps), maxPeople)], qs[:min(len(qs), maxPeople)]
	type candidate struct{ p, q, score int }
	var list []candidate
	for i, p := range ps {
		for j, q := range qs {
			if !k.free(p, q) {
				continue
			}
			score := k.likeness(p, q) - 2*max(i-j, j-i)
			if kin && score > -40 || !kin && k.sharesHost(p, q) {
				list = append(list, candidate{p, q, score})
			}
		}
	}
	slices.SortStableFunc(list, func(x, y candidate) int { return cmp.Compare(y.score, x.score) })
	for _, c := range list {
		if k.free(c.p, c.q) {
			k.join(c.p, c.q)
		}
	}
}

// likeness is how much two participants are alike: where the flow was recorded at the same addresses those tell, else
// what they do.
func (k *kinship) likeness(p, q int) int {
	a, b := &k.x.people[p], &k.y.people[q]
	score := 0
	switch {
	case k.sharesHost(p, q):
		score += 40
	case k.hasTwin(p, q):
		score -= 120
	}
	if a.intro == b.intro {
		score += 20
	}
	if a.passes == b.passes {
		score += 8
	}
	common, total := 0, 0
	for kind, n := range a.profile {
		common += min(n, b.profile[kind])
		total += n
	}
	for _, n := range b.profile {
		total += n
	}
	return score + 40*common/max(total, 1)
}

// sharesHost reports whether both were seen at one address; where several participants share that, at one port, too.
func (k *kinship) sharesHost(p, q int) bool {
	if k.shares == nil {
		k.compareHosts()
	}
	return p < len(k.shares) && q < len(k.shares[p]) && k.shares[p][q]
}

// compareHosts fills the table of sharesHost.
func (k *kinship) compareHosts() {
	const most = 16 // endpoints of one participant that are compared
	n, m := min(len(k.x.people), maxPeople), min(len(k.y.people), maxPeople)
	owners := [2]map[netip.Addr]int{k.x.owners(), k.y.owners()}
	k.shares = make([][]bool, n)
	for p := range n {
		k.shares[p] = make([]bool, m)
		at := k.x.people[p].at
		for q := range m {
			other := k.y.people[q].at
			for _, e := range at[:min(len(at), most)] {
				alone := owners[0][e.Addr()] < 2 && owners[1][e.Addr()] < 2
				for _, f := range other[:min(len(other), most)] {
					k.shares[p][q] = k.shares[p][q] || e == f || alone && e.SameHost(f)
				}
			}
		}
	}
}

// owners counts the participants at each address.
func (s *side) owners() map[netip.Addr]int {
	of := make(map[netip.Addr]int)
	for i := range s.people {
		seen := make(map[netip.Addr]bool)
		for _, e := range s.people[i].at {
			if a := e.Addr(); !seen[a] {
				seen[a] = true
				of[a]++
			}
		}
	}
	return of
}

// hasTwin reports whether one of the two has its own address on the other side, at somebody who has no partner yet.
func (k *kinship) hasTwin(p, q int) bool {
	for j := range k.y.people[:min(len(k.y.people), maxPeople)] {
		if j != q && k.y.people[j].partner < 0 && k.sharesHost(p, j) {
			return true
		}
	}
	for i := range k.x.people[:min(len(k.x.people), maxPeople)] {
		if i != p && k.x.people[i].partner < 0 && k.sharesHost(i, q) {
			return true
		}
	}
	return false
}

// rest joins those beyond what is compared one by one: in order, when they came into the flow alike.
func (k *kinship) rest() {
	q := 0
	for p := range k.x.people {
		if len(k.x.people) <= maxPeople || k.x.people[p].partner >= 0 {
			continue
		}
		for q < len(k.y.people) && k.y.people[q].partner >= 0 {
			q++
		}
		if q < len(k.y.people) && k.free(p, q) && k.x.people[p].intro == k.y.people[q].intro {
			k.join(p, q)
		}
	}
}

// enroll makes the result's participants: those of A in order of appearance, then those that only B has.
func (w *work) enroll() {
	a, b := w.sides[0], w.sides[1]
	used := make(map[string]int)
	for i := range a.people {
		p := &a.people[i]
		p.who = len(w.out.Who)
		who := Participant{A: p.at}
		if p.partner >= 0 {
			b.people[p.partner].who = p.who
			who.B = b.people[p.partner].at
		}
		who.Name = w.nameOf(p, used)
		w.out.Who = append(w.out.Who, who)
	}
	for i := range b.people {
		if p := &b.people[i]; p.partner < 0 {
			p.who = len(w.out.Who)
			w.out.Who = append(w.out.Who, Participant{Name: w.nameOf(p, used), B: p.at})
		}
	}
	for _, s := range w.sides {
		for i := range s.events {
			e := &s.events[i]
			e.from, e.to = s.people[e.from].who, s.people[e.to].who
		}
		for i := range s.exchanges {
			x := &s.exchanges[i]
			x.from, x.to = s.people[x.from].who, s.people[x.to].who
		}
	}
}

// nameOf gives a participant a name of its own: Flow.Who's, else its first address, with the port where that is needed
// to tell it from others.
func (w *work) nameOf(p *person, used map[string]int) string {
	name := p.name
	if name == "" {
		name = p.at[0].Host()
		if used[name] > 0 {
			name = p.at[0].String()
		}
	}
	base := name
	for n := 2; used[name] > 0; n++ {
		name = base + " (" + strconv.Itoa(n) + ")"
	}
	used[name]++
	return name
}
