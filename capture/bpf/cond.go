package bpf

import xbpf "golang.org/x/net/bpf"

// Instruction codes of the classic BPF machine, RFC 9669's ancestor: class, size and mode, or class and operation.
const (
	ldAbsW = 0x20 // A = 4 bytes at K
	ldAbsH = 0x28
	ldAbsB = 0x30
	ldIndW = 0x40 // A = 4 bytes at X + K
	ldIndH = 0x48
	ldIndB = 0x50
	ldImm  = 0x00 // A = K
	ldMem  = 0x60 // A = M[K]
	ldLen  = 0x80 // A = length of the packet
	ldxImm = 0x01
	ldxMem = 0x61
	ldxMSH = 0xb1 // X = 4 * (byte at K & 15)
	st     = 0x02 // M[K] = A
	stx    = 0x03
	aluAdd = 0x04 // A = A + K; with srcX in the code, A + X
	aluSub = 0x14
	aluMul = 0x24
	aluDiv = 0x34
	aluOr  = 0x44
	aluAnd = 0x54
	aluLsh = 0x64
	aluRsh = 0x74
	aluNeg = 0x84
	aluMod = 0x94
	aluXor = 0xa4
	ja     = 0x05
	jeq    = 0x15
	jgt    = 0x25
	jge    = 0x35
	jset   = 0x45
	retK   = 0x06
	retA   = 0x16
	tax    = 0x07
	txa    = 0x87
	srcX   = 0x08
)

// insn is one instruction.
type insn = xbpf.RawInstruction

// condOp is what a condition does.
type condOp uint8

const (
	condTest condOp = iota
	condAnd
	condOr
	condNot
	condTrue
	condFalse
	condReject // drops the packet, whatever stands around it: a byte that no packet can have is tested
)

// cond is a condition on a packet of one link type. left is looked at before right, and right only when it matters,
// which counts: a packet too short for a test is dropped by it.
type cond struct {
	left, right *cond
	test        test
	op          condOp
}

// test loads a number and compares it. The code leaves it in A; srcX in the jump compares it with X instead of k.
type test struct {
	code []insn // without the masking
	mask uint32 // applied to A after the code
	k    uint32
	jump uint16
	keep bool // the code has effects that later tests rely on
}

// and joins conditions from left to right.
func and(cs ...*cond) *cond { return join(condAnd, condFalse, condTrue, cs) }

// or joins conditions from left to right.
func or(cs ...*cond) *cond { return join(condOr, condTrue, condFalse, cs) }

// join leaves out what decides nothing, and what comes after a condition that decides all.
func join(op, decides, neutral condOp, cs []*cond) *cond {
	var out *cond
	for _, c := range cs {
		switch {
		case c.op == neutral && out != nil:
			continue
		case out == nil, out.op == neutral:
			out = c
		default:
			out = &cond{op: op, left: out, right: c}
		}
		if c.op == decides || c.op == condReject {
			break
		}
	}
	return out
}

// not turns a condition round.
func not(c *cond) *cond {
	switch c.op {
	case condTrue:
		return &cond{op: condFalse}
	case condFalse:
		return &cond{op: condTrue}
	case condNot:
		return c.left
	case condReject:
		return c
	default:
		return &cond{op: condNot, left: c}
	}
}

// yes is the condition that always holds, or never.
func yes(v bool) *cond {
	if v {
		return &cond{op: condTrue}
	}
	return &cond{op: condFalse}
}

// compare makes a test of what code loads, masked.
func compare(code []insn, mask uint32, jump uint16, k uint32) *cond {
	for n := len(code); n > 0 && code[n-1].Op == aluAnd; n-- {
		mask &= code[n-1].K
		code = code[:n-1]
	}
	if mask == 0 && jump&srcX == 0 {
		return yes(decide(0, jump, k))
	}
	t := test{code: code, mask: mask, jump: jump, k: k}
	if jump == jeq && k == 0 && mask != all {
		t.jump, t.k, t.mask = jset, mask, all // A keeps all bits, so that the next test may use them
		return not(&cond{test: t})
	}
	return &cond{test: t}
}

// loadsPacket is for loads of bytes at K or X + K.
func loadsPacket(in insn) bool {
	switch in.Op {
	case ldAbsW, ldAbsH, ldAbsB, ldIndW, ldIndH, ldIndB, ldxMSH:
		return true
	}
	return false
}

// decide gives the result of a comparison with a constant.
func decide(a uint32, jump uint16, k uint32) bool {
	switch jump {
	case jeq:
		return a == k
	case jgt:
		return a > k
	case jge:
		return a >= k
	}
	return a&k != 0
}
