package bpf

import "encoding/binary"

// run executes a program of this package on a packet and gives what it returns, 0 when a load misses the packet or a
// division is by zero. Jumps only lead forward, to where an instruction is: assemble sees to it.
func run(code []insn, data []byte, wireLen uint32) uint32 { //nolint:cyclop // a case an instruction
	var a, x uint32
	var cells [16]uint32
	for pc := 0; pc < len(code); pc++ {
		in := &code[pc]
		switch in.Op {
		case ldAbsH, ldAbsB, ldAbsW:
			v, ok := bytesAt(data, uint64(in.K), in.Op)
			if !ok {
				return 0
			}
			a = v
		case ldIndH, ldIndB, ldIndW:
			v, ok := bytesAt(data, uint64(in.K)+uint64(x), in.Op-(ldIndW-ldAbsW))
			if !ok {
				return 0
			}
			a = v
		case ldxMSH:
			if uint64(in.K) >= uint64(len(data)) {
				return 0
			}
			x = uint32(data[in.K]&15) << 2
		case jeq, jgt, jge, jset:
			pc += branch(in, decide(a, in.Op, in.K))
		case jeq | srcX, jgt | srcX, jge | srcX, jset | srcX:
			pc += branch(in, decide(a, in.Op&^srcX, x))
		case ja:
			pc += int(in.K)
		case retK:
			return in.K
		case ldImm:
			a = in.K
		case ldMem:
			a = cells[in.K&15]
		case ldxMem:
			x = cells[in.K&15]
		case ldLen:
			a = wireLen
		case st:
			cells[in.K&15] = a
		case tax:
			x = a
		default:
			var ok bool
			if a, ok = compute(in, a, x); !ok {
				return 0
			}
		}
	}
	return 0
}

// branch gives how many instructions a conditional jump passes over.
func branch(in *insn, yes bool) int {
	if yes {
		return int(in.Jt)
	}
	return int(in.Jf)
}

// bytesAt loads 1, 2 or 4 bytes in network order.
func bytesAt(data []byte, at uint64, size uint16) (uint32, bool) {
	left := uint64(len(data))
	switch size {
	case sizeB:
		if at < left {
			return uint32(data[at]), true
		}
	case sizeH:
		if at+2 <= left {
			return uint32(binary.BigEndian.Uint16(data[at:])), true
		}
	default:
		if at+4 <= left {
			return binary.BigEndian.Uint32(data[at:]), true
		}
	}
	return 0, false
}

// compute executes an arithmetic instruction.
func compute(in *insn, a, x uint32) (uint32, bool) {
	if in.Op == aluNeg {
		return -a, true
	}
	b := in.K
	if in.Op&srcX != 0 {
		b = x
	}
	switch in.Op &^ srcX {
	case aluAdd:
		return a + b, true
	case aluSub:
		return a - b, true
	case aluMul:
		return a * b, true
	case aluDiv:
		if b != 0 {
			return a / b, true
		}
	case aluMod:
		if b != 0 {
			return a % b, true
		}
	case aluOr:
		return a | b, true
	case aluAnd:
		return a & b, true
	case aluXor:
		return a ^ b, true
	case aluLsh:
		return a << b, true // 0 from 32 on
	case aluRsh:
		return a >> b, true
	}
	return 0, false
}
