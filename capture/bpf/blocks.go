package bpf

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// block is a test with what follows it when it holds and when it does not. Blocks form a graph without loops: a block
// is made after those that it leads to, so ids fall along every path.
type block struct {
	test
	yes, no *block
	key     int // of the code: blocks with the same key load the same
	id      int
	facts   facts // what is known whenever the block is reached
	reached bool
	ends    bool // no test: the packet is kept, or dropped
	keeps   bool // of an end
}

// drops reports whether a packet is dropped that comes here.
func (b *block) drops() bool { return b.ends && !b.keeps }

// maxBlocks bounds what an expression can become before it is shortened: about 3,000 ports or 5,000 hosts.
const maxBlocks = 1 << 16

// maker makes blocks, each of a kind once.
type maker struct {
	keys  map[string]int
	known map[blockKey]*block
	n     int
	full  bool
}

// blockKey tells blocks apart.
type blockKey struct {
	yes, no, key int
	mask, k      uint32
	jump         uint16
	keep         bool
}

// graph is all blocks that an expression needs.
type graph struct {
	entry  *block
	keep   *block
	drop   *block
	reject *block // a drop that no test avoids: what a load does that misses the packet
	maker  *maker
	work   int // what may still be spent on shortening, in tests looked at
}

// ends is how many blocks of a graph have no test.
const ends = 3

// lower turns a condition into blocks.
func lower(c *cond) (*graph, error) {
	m := &maker{keys: map[string]int{}, known: map[blockKey]*block{}}
	g := &graph{
		maker:  m,
		work:   maxWork,
		reject: &block{id: 0, ends: true},
		drop:   &block{id: 1, ends: true},
		keep:   &block{id: 2, ends: true, keeps: true},
	}
	m.n = ends
	g.entry = m.lower(c, g.keep, g.drop, g.reject)
	if m.full {
		return nil, fmt.Errorf("%w: more than %d tests", ErrTooLong, maxBlocks)
	}
	return g, nil
}

// lower makes the blocks of a condition that goes on at yes or no.
func (m *maker) lower(c *cond, yes, no, reject *block) *block {
	if m.full {
		return reject
	}
	switch c.op {
	case condAnd:
		return m.lower(c.left, m.lower(c.right, yes, no, reject), no, reject)
	case condOr:
		return m.lower(c.left, yes, m.lower(c.right, yes, no, reject), reject)
	case condNot:
		return m.lower(c.left, no, yes, reject)
	case condTrue:
		return yes
	case condFalse:
		return no
	case condReject:
		return reject
	default:
		return m.block(c.test, m.key(c.test.code), yes, no, !missable(c.test.code))
	}
}

// key gives the same number for the same code.
func (m *maker) key(code []insn) int {
	raw := make([]byte, 0, 8*len(code))
	for _, in := range code {
		raw = binary.BigEndian.AppendUint16(raw, in.Op)
		raw = binary.BigEndian.AppendUint32(raw, in.K)
	}
	k, ok := m.keys[string(raw)]
	if !ok {
		k = len(m.keys)
		m.keys[string(raw)] = k
	}
	return k
}

// missable reports whether code can find a packet too short, or divide by zero.
func missable(code []insn) bool {
	for _, in := range code {
		if loadsPacket(in) && in.K < ancillary || in.Op == aluDiv|srcX || in.Op == aluMod|srcX {
			return true
		}
	}
	return false
}

// block makes a block, or gives the one that does the same. A test whose result does not matter is still done, unless
// it is safe to leave out: it drops packets that are too short for it.
func (m *maker) block(t test, key int, yes, no *block, safe bool) *block {
	if yes.drops() && no.drops() {
		return yes
	}
	if yes == no && !t.keep && safe {
		return yes
	}
	id := blockKey{yes: yes.id, no: no.id, key: key, mask: t.mask, k: t.k, jump: t.jump, keep: t.keep}
	if b := m.known[id]; b != nil {
		return b
	}
	m.n++
	m.full = m.full || m.n > maxBlocks
	b := &block{test: t, yes: yes, no: no, key: key, id: m.n}
	m.known[id] = b
	return b
}

// fact is what a test has shown: a comparison and its result.
type fact struct {
	key     int
	mask, k uint32
	jump    uint16
	holds   bool
}

// maxFacts is how many facts are remembered on a path, the newest ones. More would find more tests that need not be
// done again, in expressions of many different ones; the result is the same.
const maxFacts = 16

// facts are what is known on a path.
type facts struct {
	list [maxFacts]fact
	n    int
}

// maxUnequal is how many values are remembered that some code has not given: of a list of hosts only the newest, so
// that they do not displace which protocol it is.
const maxUnequal = 5

// add remembers one more fact, and forgets the oldest when there is no room.
func (f *facts) add(x fact) {
	if !x.holds && x.jump == jeq {
		same, oldest := 0, 0
		for i := f.n - 1; i >= 0; i-- {
			if y := &f.list[i]; y.key == x.key && y.mask == x.mask && y.jump == jeq && !y.holds {
				same, oldest = same+1, i
			}
		}
		if same >= maxUnequal {
			f.forget(oldest)
		}
	}
	if f.n == maxFacts {
		f.forget(0)
	}
	f.list[f.n] = x
	f.n++
}

// forget removes one fact.
func (f *facts) forget(i int) {
	copy(f.list[i:f.n], f.list[i+1:f.n])
	f.n--
}

// common keeps what is also known in g.
func (f *facts) common(g *facts) {
	n := 0
	for _, x := range f.list[:f.n] {
		if slices.Contains(g.list[:g.n], x) {
			f.list[n] = x
			n++
		}
	}
	f.n = n
}

// decides tells the result of a block's test when one of the facts does.
func (f *facts) decides(b *block) (result, known bool) {
	for i := f.n - 1; i >= 0; i-- {
		if result, known = f.list[i].decides(b); known {
			break
		}
	}
	return result, known
}

// decides tells the result of a block's test when the fact does. The load that it is about has been done, so the
// packet is long enough for it.
func (x *fact) decides(b *block) (result, known bool) {
	switch {
	case x.key != b.key || b.keep:
		return false, false
	case x.mask == b.mask && x.k == b.k && x.jump == b.jump:
		return x.holds, true
	case x.jump == jeq && x.holds && b.jump&srcX == 0 && x.mask&b.mask == b.mask:
		return decide(x.k&b.mask, b.jump, b.k), true // all of the value that the test looks at is known
	}
	return false, false
}

// loaded reports whether code with this key has been done.
func (f *facts) loaded(key int) bool {
	for i := range f.list[:f.n] {
		if f.list[i].key == key {
			return true
		}
	}
	return false
}

// maxRounds bounds the shortening; each round does what the round before has made possible.
const maxRounds = 8

// maxWork bounds the shortening of an expression that is made to need much of it: a long list of hosts costs the square
// of its length. What is not shortened is as right.
const maxWork = 1 << 23

// shorten removes tests whose result is known from tests before them, and joins blocks that do the same.
func shorten(g *graph) {
	for range maxRounds {
		order := g.order()
		changed := g.thread(order)
		if g.rebuild(order) == len(order) && !changed {
			break
		}
	}
}

// order is the blocks that can be reached, each before those that it leads to.
func (g *graph) order() []*block {
	var out []*block
	stack := []*block{g.entry}
	seen := map[*block]bool{}
	for len(stack) > 0 {
		b := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if b.ends || seen[b] {
			continue
		}
		seen[b] = true
		b.reached, b.facts.n = false, 0
		out = append(out, b)
		stack = append(stack, b.yes, b.no)
	}
	slices.SortFunc(out, func(a, b *block) int { return b.id - a.id })
	return out
}

// thread sends each path past the tests whose results it knows.
func (g *graph) thread(order []*block) bool {
	changed := false
	g.entry.reached = true
	for _, b := range order {
		if !b.reached { // any more: all ways to it have found a shorter one
			continue
		}
		for _, holds := range []bool{true, false} {
			next := &b.no
			if holds {
				next = &b.yes
			}
			known := b.facts
			if !b.keep {
				known.add(fact{key: b.key, mask: b.mask, k: b.k, jump: b.jump, holds: holds})
			}
			if to := g.skip(&known, *next); to != *next {
				*next, changed = to, true
			}
			(*next).reach(&known)
		}
	}
	return changed
}

// skip gives the first block from b on whose result is not known, as long as there is work left to spend.
func (g *graph) skip(f *facts, b *block) *block {
	for !b.ends && g.work > 0 {
		g.work--
		result, known := f.decides(b)
		if !known {
			break
		}
		if result {
			b = b.yes
		} else {
			b = b.no
		}
	}
	return b
}

// reach notes what is known on one more path to the block.
func (b *block) reach(f *facts) {
	if b.ends {
		return
	}
	if b.reached {
		b.facts.common(f)
		return
	}
	b.reached, b.facts = true, *f
}

// rebuild makes all blocks again, from the ends, so that those which do the same now become one. It gives how many
// there are.
func (g *graph) rebuild(order []*block) int {
	m := &maker{keys: g.maker.keys, known: map[blockKey]*block{}, n: ends}
	made := map[*block]*block{g.keep: g.keep, g.drop: g.drop, g.reject: g.reject}
	for _, b := range slices.Backward(order) {
		made[b] = m.block(b.test, b.key, made[b.yes], made[b.no], b.facts.loaded(b.key) || !missable(b.code))
	}
	g.entry, g.maker = made[g.entry], m
	return m.n - ends
}
