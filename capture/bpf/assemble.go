package bpf

import "slices"

// maxUserSpace is how many instructions a program may have that only Match runs.
const maxUserSpace = 1 << 15

// limitOf is the most instructions of a program.
func limitOf(kernel bool) int {
	if kernel {
		return MaxKernel
	}
	return maxUserSpace
}

// maxJump is how many instructions a conditional jump can pass over.
const maxJump = 255

// placed is a block on its way into a program.
type placed struct {
	block  *block
	load   []insn // what must be done before the jump
	at     int    // index of the first instruction
	farYes bool   // the jump needs an instruction of its own
	farNo  bool
}

// size is how many instructions the block becomes.
func (p *placed) size() int {
	n := len(p.load) + 1
	if p.farYes {
		n++
	}
	if p.farNo {
		n++
	}
	return n
}

// registers is what A and X hold.
type registers struct {
	a     int    // key of the code that A comes from, -1 when it is not known
	mask  uint32 // applied to A since
	x     insn   // what loaded X
	known bool   // of X
	set   bool   // some path has been seen
}

// merge keeps what holds on one more path.
func (r *registers) merge(o registers) {
	if !r.set {
		*r = o
		return
	}
	if r.a != o.a || r.mask != o.mask {
		r.a = -1
	}
	r.known = r.known && o.known && r.x == o.x
}

// assemble lays out the blocks and resolves the jumps. A program that uses cellTag sets it to zero.
func assemble(g *graph, usesVar bool) []insn {
	if g.entry.ends {
		return []insn{longJump(g.entry, 0)}
	}
	blocks := layout(g)
	loads(blocks)
	var head []insn
	if usesVar {
		head = []insn{{Op: ldImm}, {Op: st, K: cellTag}}
	}
	where := map[*block]int{}
	for changed := true; changed; {
		at := len(head)
		for i := range blocks {
			blocks[i].at = at
			where[blocks[i].block] = at
			at += blocks[i].size()
		}
		where[g.keep], where[g.drop], where[g.reject] = at, at+1, at+1
		changed = false
		for i := range blocks {
			changed = blocks[i].stretch(where) || changed
		}
	}
	code := head
	for i := range blocks {
		code = blocks[i].emit(code, where)
	}
	return append(code, insn{Op: retK, K: Keep}, insn{Op: retK})
}

// layout orders the blocks: each before those that it leads to, and what follows a test that holds right behind it.
func layout(g *graph) []placed {
	var out []placed
	seen := map[*block]bool{g.keep: true, g.drop: true, g.reject: true}
	var visit func(b *block)
	visit = func(b *block) {
		if seen[b] {
			return
		}
		seen[b] = true
		visit(b.no)
		visit(b.yes)
		out = append(out, placed{block: b})
	}
	visit(g.entry)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// loads finds what each block must load, which is less when all paths to it have left something in the registers.
func loads(blocks []placed) {
	before := map[*block]*registers{}
	for i := range blocks {
		p := &blocks[i]
		in := registers{a: -1}
		if r := before[p.block]; r != nil {
			in = *r
		}
		out := p.fit(in)
		for _, next := range []*block{p.block.yes, p.block.no} {
			if before[next] == nil {
				before[next] = &registers{}
			}
			before[next].merge(out)
		}
	}
}

// fit decides what a block loads and says what the registers hold after it.
func (p *placed) fit(in registers) registers {
	b := p.block
	out := registers{a: b.key, mask: b.mask, x: in.x, known: in.known, set: true}
	switch {
	case b.keep || b.jump&srcX != 0:
		p.load, out.a = b.code, -1
	case in.a == b.key && in.mask == b.mask:
		return out
	case in.a == b.key && in.mask == all:
	case len(b.code) > 0 && in.known && in.x == b.code[0]:
		p.load = b.code[1:]
	default:
		p.load = b.code
	}
	for _, i := range p.load {
		switch i.Op {
		case ldxMSH, ldxMem:
			out.x, out.known = i, true
		case tax:
			out.known = false
		}
	}
	if b.mask != all {
		p.load = append(slices.Clip(p.load), insn{Op: aluAnd, K: b.mask})
	}
	return out
}

// stretch gives jumps that are too long an instruction of their own.
func (p *placed) stretch(where map[*block]int) bool {
	jump := p.at + len(p.load)
	changed := false
	if !p.farYes && where[p.block.yes]-jump-1 > maxJump {
		p.farYes, changed = true, true
	}
	if !p.farNo && where[p.block.no]-jump-1 > maxJump {
		p.farNo, changed = true, true
	}
	return changed
}

// emit appends the instructions of a block.
func (p *placed) emit(code []insn, where map[*block]int) []insn {
	code = append(code, p.load...)
	jump := len(code)
	in := insn{Op: p.block.jump, K: p.block.k}
	code = append(code, in)
	to := func(b *block, far bool) uint8 {
		if !far {
			return uint8(where[b] - jump - 1) //nolint:gosec // stretch saw that it fits
		}
		skip := len(code) - jump - 1
		code = append(code, longJump(b, where[b]-len(code)-1))
		return uint8(skip) //nolint:gosec // 0 or 1
	}
	yes := to(p.block.yes, p.farYes)
	no := to(p.block.no, p.farNo)
	code[jump].Jt, code[jump].Jf = yes, no
	return code
}

// longJump goes to a block at a distance; an end is given at once.
func longJump(b *block, distance int) insn {
	switch {
	case b.ends && b.keeps:
		return insn{Op: retK, K: Keep}
	case b.ends:
		return insn{Op: retK}
	}
	return insn{Op: ja, K: uint32(distance)} //nolint:gosec // less than the length of a program
}

// cookedHeader is how long the header of a cooked capture is, which a cooked socket does not give.
func cookedHeader(kind linkKind) uint32 {
	if kind == linkSLL {
		return 16
	}
	return 20
}

// cook turns a program for cooked captures into one for a cooked socket: fields of the header become what the kernel
// knows of the packet, and the network layer is at the beginning. Fields that the kernel does not tell a program give
// ErrUserSpace.
func cook(code []insn, kind linkKind) ([]insn, error) {
	header := cookedHeader(kind)
	for i := range code {
		in := &code[i]
		if !loadsPacket(*in) || in.K >= ancillary {
			continue
		}
		if in.K >= header {
			in.K -= header
			continue
		}
		k, ok := cookedField(kind, in.Op, in.K)
		if !ok {
			return nil, ErrUserSpace
		}
		in.K = k
	}
	return code, nil
}

// cookedField finds where the kernel keeps a field of a cooked header.
func cookedField(kind linkKind, op uint16, k uint32) (uint32, bool) {
	type field struct {
		kind linkKind
		op   uint16
		k    uint32
	}
	switch (field{kind, op, k}) {
	case field{linkSLL, ldAbsH, 0}, field{linkSLL2, ldAbsB, 10}:
		return ancPktType, true
	case field{linkSLL, ldAbsH, 14}, field{linkSLL2, ldAbsH, 0}:
		return ancProtocol, true
	case field{linkSLL, ldAbsH, 2}, field{linkSLL2, ldAbsH, 8}:
		return ancHatType, true
	case field{linkSLL2, ldAbsW, 4}:
		return ancIfIndex, true
	}
	return 0, false
}
