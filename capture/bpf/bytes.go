package bpf

// number is what an arithmetic expression became: a constant, or code that leaves it in A.
type number struct {
	code     []insn
	value    uint32 // when constant
	constant bool
}

// gen of a relationNode. Bytes of a protocol are compared only in packets of that protocol; the tests for it come
// before all code.
func (n *relationNode) gen(g *generator, _ bool) *cond {
	var guards guards
	g.beyond = false
	a := g.number(n.left, 0, &guards.left)
	b := g.number(n.right, 1, &guards.right) // the left one waits in cell 0
	var c *cond
	switch jump := n.jump(); {
	case a.constant && b.constant:
		c = yes(decide(a.value, jump, b.value))
	case b.constant:
		c = compare(a.code, all, jump, b.value)
	case a.constant:
		c = mirrored(a.value, b.code, n.rel)
	default:
		c = compare(both(a, b, 0), all, jump|srcX, 0)
	}
	if n.not {
		c = not(c)
	}
	if g.beyond {
		c = &cond{op: condReject}
	}
	checks := append(guards.left, guards.right...)
	return and(append(checks, c)...)
}

// guards are the tests for protocols on both sides of a relation.
type guards struct{ left, right []*cond }

// jump is the instruction for the relation.
func (n *relationNode) jump() uint16 {
	return [...]uint16{relEqual: jeq, relGreater: jgt, relGreaterEqual: jge}[n.rel]
}

// mirrored compares a constant on the left with code on the right: 5 > x is not x >= 5.
func mirrored(v uint32, code []insn, rel relation) *cond {
	switch rel {
	case relGreater:
		return not(compare(code, all, jge, v))
	case relGreaterEqual:
		return not(compare(code, all, jgt, v))
	default:
		return compare(code, all, jeq, v)
	}
}

// cell gives the cell for an intermediate result at a depth.
func (g *generator) cell(depth uint32, pos int) uint32 {
	if depth >= cellTag {
		g.fail(pos, "arithmetic that needs more than %d intermediate results", cellTag)
		return 0
	}
	return depth
}

// number makes code for an expression. Cells from depth on are free for it.
func (g *generator) number(n *arith, depth uint32, guards *[]*cond) number {
	switch n.op {
	case opConst:
		return number{value: n.value, constant: true}
	case opLen:
		return number{code: g.length()}
	case opLoad:
		return g.bytes(n, depth, guards)
	case opNeg:
		x := g.number(n.left, depth, guards)
		if x.constant {
			return number{value: -x.value, constant: true}
		}
		return number{code: append(x.code, insn{Op: aluNeg})}
	default:
		return g.binary(n, depth, guards)
	}
}

// length loads the length of the packet on the wire. The kernel counts neither the header of a cooked capture nor a tag
// that it has taken off.
func (g *generator) length() []insn {
	switch {
	case g.kernel && g.outer.cooked():
		return []insn{{Op: ldLen}, {Op: aluAdd, K: cookedHeader(g.outer)}}
	case g.kernel && g.outer == linkEthernet:
		return []insn{
			{Op: ldAbsW, K: ancVLANTaken}, {Op: aluLsh, K: 2}, {Op: tax}, {Op: ldLen}, {Op: aluAdd | srcX},
		}
	}
	return []insn{{Op: ldLen}}
}

// binary makes code for an operation on two numbers. In tcpdump the tests for the protocol of the right operand are
// lost: "1 + tcp[13] = 3" looks at these bytes in every packet. So it does here.
func (g *generator) binary(n *arith, depth uint32, guards *[]*cond) number {
	var lost []*cond
	a := g.number(n.left, depth, guards)
	next := depth
	if !a.constant {
		next++
	}
	b := g.number(n.right, next, &lost)
	switch {
	case b.constant:
		return g.constantRight(n, a, b.value)
	case a.constant && a.value == 0 && n.op != opAdd && n.op != opSub && n.op != opOr && n.op != opXor:
		return number{constant: true} // 0 times, divided by or shifted by whatever it is
	case a.constant:
		code := append(b.code, insn{Op: tax}, insn{Op: ldImm, K: a.value})
		return number{code: append(code, insn{Op: n.alu() | srcX})}
	}
	return number{code: append(both(a, b, g.cell(depth, n.pos)), insn{Op: n.alu() | srcX})}
}

// both leaves two numbers in A and X; the first waits in a cell.
func both(a, b number, cell uint32) []insn {
	code := append(a.code, insn{Op: st, K: cell})
	code = append(code, b.code...)
	return append(code, insn{Op: tax}, insn{Op: ldMem, K: cell})
}

// constantRight is binary for a constant right operand.
func (g *generator) constantRight(n *arith, a number, v uint32) number {
	switch {
	case v == 0 && (n.op == opDiv || n.op == opMod):
		g.fail(n.pos, "division by zero")
		return a
	case v > 31 && n.shifts():
		if n.right.op == opConst {
			g.fail(n.pos, "a shift by more than 31 bits")
		}
		return number{constant: true} // nothing is left
	case a.constant:
		return number{value: fold(n.op, a.value, v), constant: true}
	case v == 0 && (n.op == opMul || n.op == opAnd):
		return number{constant: true}
	case v == 0:
		return a
	}
	return number{code: append(a.code, insn{Op: n.alu(), K: v})}
}

// shifts reports whether the operation is a shift.
func (n *arith) shifts() bool { return n.op == opLsh || n.op == opRsh }

// alu is the instruction for an operation, with a constant.
func (n *arith) alu() uint16 {
	return [...]uint16{
		opAdd: aluAdd, opSub: aluSub, opMul: aluMul, opDiv: aluDiv, opMod: aluMod,
		opAnd: aluAnd, opOr: aluOr, opXor: aluXor, opLsh: aluLsh, opRsh: aluRsh,
	}[n.op]
}

// fold computes with constants; b is not 0 in a division and below 32 in a shift.
func fold(op arithOp, a, b uint32) uint32 {
	switch op {
	case opAdd:
		return a + b
	case opSub:
		return a - b
	case opMul:
		return a * b
	case opDiv:
		return a / b
	case opMod:
		return a % b
	case opAnd:
		return a & b
	case opOr:
		return a | b
	case opXor:
		return a ^ b
	case opLsh:
		return a << b
	default:
		return a >> b
	}
}

// beyond is an offset that no packet reaches. To the kernel such offsets mean other things than bytes of a packet: an
// expression cannot name them, and a test of them drops every packet as any byte does that is not there.
const beyond = 1 << 31

// bytes makes code for bytes in a header of a protocol.
func (g *generator) bytes(n *arith, depth uint32, guards *[]*cond) number {
	x := g.bytesOf(n, depth, guards)
	if last := len(x.code) - 1; last >= 0 && x.code[last].K >= beyond {
		g.beyond = true
	}
	return x
}

// bytesOf is bytes without a look at how far they are away.
func (g *generator) bytesOf(n *arith, depth uint32, guards *[]*cond) number {
	index := g.number(n.left, depth, guards)
	size := map[uint32]uint16{1: sizeB, 2: sizeH, 4: sizeW}[n.size]
	switch p := n.proto; p {
	case protoLink:
		return number{code: g.bytesAt(g.header, 0, index, size)}
	case protoIP, protoIP6, protoARP, protoRARP, protoAppleTalk, protoDECnet, protoLAT, protoSCA, protoMOPDL, protoMOPRC:
		*guards = append(*guards, g.protocol(p, n.pos))
		return number{code: g.bytesAt(g.payload, g.network, index, size)}
	case protoICMP6: // only right after the fixed header
		*guards = append(*guards, g.isType(typeIP6, n.pos), g.is(6, ipICMP6))
		return number{code: g.bytesAt(g.payload, g.network+40, index, size)}
	case protoTCP, protoUDP, protoSCTP, protoICMP, protoIGMP, protoIGRP, protoPIM, protoVRRP, protoCARP:
		// Only in IPv4, as in tcpdump, and not in later fragments.
		inner := *guards
		*guards = append([]*cond{g.isType(typeIP, n.pos)}, inner...)
		*guards = append(*guards, g.protocol(p, n.pos), not(g.laterFragment()))
		return number{code: g.bytesTransport(index, size, depth, n.pos)}
	default:
		g.fail(n.pos, "bytes of %q cannot be tested; use ether, ip, ip6 or a transport", n.proto.String())
		return number{constant: true}
	}
}

// bytesAt loads bytes at an index behind an offset.
func (g *generator) bytesAt(at offset, distance uint32, index number, size uint16) []insn {
	if index.constant {
		return g.load(at, distance+index.value, size)
	}
	code := append([]insn(nil), index.code...)
	if at.variable {
		g.usesVar = true
		code = append(code, insn{Op: ldxMem, K: cellTag}, insn{Op: aluAdd | srcX})
	}
	return append(code, insn{Op: tax}, insn{Op: indirect(size), K: at.k + distance})
}

// bytesTransport loads bytes at an index in the header after that of IPv4.
func (g *generator) bytesTransport(index number, size uint16, depth uint32, pos int) []insn {
	if index.constant {
		return g.loadTransport(index.value, size)
	}
	cell := g.cell(depth, pos)
	code := append([]insn(nil), index.code...)
	code = append(code, insn{Op: st, K: cell})
	code = append(code, g.headerLength()...)
	return append(code, insn{Op: ldMem, K: cell}, insn{Op: aluAdd | srcX}, insn{Op: tax},
		insn{Op: indirect(size), K: g.payload.k + g.network})
}

// gen of a byteNode.
func (n *byteNode) gen(g *generator, _ bool) *cond {
	jump := (&relationNode{rel: n.rel}).jump()
	c := compare(g.load(g.header, n.index, sizeB), all, jump, n.value)
	if g.header.k+n.index >= beyond {
		return &cond{op: condReject}
	}
	if n.not {
		return not(c)
	}
	return c
}
