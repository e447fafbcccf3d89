package bpf

// startsArith reports whether the next word begins a number that is compared.
func (p *parser) startsArith() bool { return p.arithAt(p.at) }

// arithAt is startsArith for the word with an index.
func (p *parser) arithAt(i int) bool {
	w := &p.words[i]
	next := &p.words[min(i+1, len(p.words)-1)]
	switch {
	case w.kind == kNumber:
		return next.isArithOp()
	case w.is("-"), w.is("len"):
		return true
	case w.is("("):
		return p.words[w.pair+1].isArithOp()
	}
	return w.kind == kKeyword && next.is("[") && protocolOf(w.text) != protoNone
}

// relation reads two numbers and what compares them.
func (p *parser) relation() (node, error) {
	pos := p.peek().pos
	left, err := p.arith(precTop)
	if err != nil {
		return nil, err
	}
	n := &relationNode{left: left, pos: pos}
	op := p.take()
	switch {
	case op.is("="):
	case op.is("!="):
		n.not = true
	case op.is(">"):
		n.rel = relGreater
	case op.is("<="):
		n.rel, n.not = relGreater, true
	case op.is(">="):
		n.rel = relGreaterEqual
	case op.is("<"):
		n.rel, n.not = relGreaterEqual, true
	default:
		return nil, p.fail(&op, "expected a comparison: =, !=, <, <=, > or >=")
	}
	n.right, err = p.arith(precTop)
	return n, err
}

// Precedences. tcpdump's grammar gives none to % and ^: its parser then always reads on, so that what stands right of
// them, and they themselves in an operand, bind first. Filters written for it rely on that, knowingly or not.
const (
	precTop  = 0 // nothing stands before
	precNone = 1 // % and ^
	precOr   = 2
	precAnd  = 3
	precLsh  = 4
	precAdd  = 5
	precMul  = 6
	precNeg  = 7
)

// isArithOp reports whether a word goes on with, or compares, a number.
func (w *word) isArithOp() bool {
	if _, prec := w.binary(); prec >= 0 {
		return true
	}
	return w.is("=") || w.is("!=") || w.is("<") || w.is("<=") || w.is(">") || w.is(">=")
}

// binary gives the operation and the precedence of an operator.
func (w *word) binary() (op arithOp, prec int) {
	if w.kind != kPunct {
		return 0, -1
	}
	switch w.text {
	case "+":
		return opAdd, precAdd
	case "-":
		return opSub, precAdd
	case "*":
		return opMul, precMul
	case "/":
		return opDiv, precMul
	case "%":
		return opMod, precNone
	case "&":
		return opAnd, precAnd
	case "|":
		return opOr, precOr
	case "^":
		return opXor, precNone
	case "<<":
		return opLsh, precLsh
	case ">>":
		return opRsh, precLsh
	}
	return 0, -1
}

// arith reads an arithmetic expression; before is the precedence of the operator left of it.
func (p *parser) arith(before int) (*arith, error) {
	left, err := p.term()
	for err == nil {
		w := p.peek()
		op, prec := w.binary()
		if prec < 0 {
			break
		}
		if before > precNone && prec > precNone && prec <= before {
			break
		}
		p.at++
		n := &arith{op: op, left: left, pos: w.pos}
		n.right, err = p.arith(prec)
		left = n
	}
	return left, err
}

// term reads a number, a length, bytes of a packet, or arithmetic in parentheses.
func (p *parser) term() (*arith, error) {
	w := p.take()
	switch {
	case w.kind == kNumber:
		return &arith{op: opConst, value: w.num, pos: w.pos}, nil
	case w.is("len"):
		return &arith{op: opLen, pos: w.pos}, nil
	case w.is("-"):
		x, err := p.arith(precNeg)
		return &arith{op: opNeg, left: x, pos: w.pos}, err
	case w.is("("):
		x, err := p.arith(precTop)
		if err == nil && !p.accept(")") {
			err = p.fail(p.peek(), "expected \")\"")
		}
		return x, err
	case w.kind == kKeyword && protocolOf(w.text) != protoNone:
		return p.load(&w)
	}
	return nil, p.fail(&w, "expected a number, \"len\" or bytes such as udp[0:2]")
}

// load reads the index and the size after a protocol.
func (p *parser) load(proto *word) (*arith, error) {
	if !p.accept("[") {
		return nil, p.fail(p.peek(), "expected \"[\" after %q", proto.text)
	}
	x, err := p.arith(precTop)
	if err != nil {
		return nil, err
	}
	n := &arith{op: opLoad, left: x, size: 1, proto: protocolOf(proto.text), pos: proto.pos}
	if p.accept(":") {
		size := p.take()
		if size.kind != kNumber || size.num != 1 && size.num != 2 && size.num != 4 {
			return nil, p.fail(&size, "expected a size of 1, 2 or 4 bytes")
		}
		n.size = size.num
	}
	if !p.accept("]") {
		return nil, p.fail(p.peek(), "expected \"]\"")
	}
	return n, nil
}
