package bpf

import "fmt"

// parser reads words by recursive descent. "and" and "or" have the same precedence and group to the left, as in
// tcpdump; the length of an expression bounds the recursion.
type parser struct {
	expr  string
	words []word
	at    int
}

// parse gives the tree of an expression, nil for an empty one.
func parse(expr string) (node, error) {
	words, err := lex(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{expr: expr, words: words}
	if p.peek().kind == kEnd {
		return nil, nil //nolint:nilnil // nothing is asked for, and nothing is wrong
	}
	return p.logic(qualifier{}, len(words)-1)
}

// peek is the next word.
func (p *parser) peek() *word { return &p.words[p.at] }

// after is the word after the next one.
func (p *parser) after() *word { return &p.words[min(p.at+1, len(p.words)-1)] }

// take gives the next word and moves on.
func (p *parser) take() word {
	w := p.words[p.at]
	if w.kind != kEnd {
		p.at++
	}
	return w
}

// accept takes the next word if it is the one given.
func (p *parser) accept(text string) bool {
	if p.peek().is(text) {
		p.at++
		return true
	}
	return false
}

// fail makes an error at a word.
func (p *parser) fail(w *word, format string, args ...any) error {
	return &SyntaxError{Expr: p.expr, Offset: w.pos, Reason: fmt.Sprintf(format, args...)}
}

// logic reads operands joined by "and" and "or" up to the word with index end. What stands before gives q.
func (p *parser) logic(q qualifier, end int) (node, error) {
	left, q, err := p.operand(q, false)
	for err == nil && p.at < end {
		w := p.take()
		if !w.is("&&") && !w.is("||") {
			return nil, p.unexpected(&w)
		}
		var right node
		right, q, err = p.operand(q, true)
		left = &logicNode{left: left, right: right, and: w.is("&&")}
	}
	return left, err
}

// unexpected says what is wrong with a word that neither ends an operand nor joins it to the next.
func (p *parser) unexpected(w *word) error {
	if w.kind == kName || w.kind == kNumber || w.kind == kIPv4 || w.kind == kIPv6 || w.kind == kEthernet {
		return p.fail(w, "expected \"and\" or \"or\" before this value")
	}
	return p.fail(w, "expected \"and\", \"or\" or the end")
}

// operand reads one test, with what stands before it in brackets or as "not". A bare value inherits q, where bare
// says that something stands before it.
func (p *parser) operand(q qualifier, bare bool) (node, qualifier, error) {
	nots := 0
	for p.accept("!") {
		nots++
	}
	n, q, err := p.positive(q, bare)
	if nots%2 == 1 {
		n = &notNode{x: n}
	}
	return n, q, err
}

// positive is operand without "not".
func (p *parser) positive(q qualifier, bare bool) (node, qualifier, error) {
	w := p.peek()
	switch {
	case p.startsArith():
		n, err := p.relation()
		return n, qualifier{}, err
	case w.is("("):
		return p.group(q, bare)
	case w.kind == kKeyword:
		return p.test()
	case w.kind == kEnd:
		return nil, q, p.fail(w, "expected a test such as \"port 5060\"")
	case w.kind == kPunct:
		return nil, q, p.fail(w, "expected a test such as \"port 5060\", not %q", w.text)
	case !bare || q.addr == addrUnset:
		return nil, q, p.naked(w)
	}
	n, err := p.value(q)
	return n, q, err
}

// naked says what a value lacks that has no qualifier.
func (p *parser) naked(w *word) error {
	switch w.kind { //nolint:exhaustive // names come after
	case kIPv4, kIPv6:
		return p.fail(w, "expected \"host\" or \"net\" before an address")
	case kEthernet:
		return p.fail(w, "expected \"ether host\" before a MAC address")
	case kNumber:
		return p.fail(w, "expected \"port\", \"proto\" or the like before a number")
	}
	if _, ok := ipProtocols[w.text]; ok {
		return p.fail(w, "unknown word; for an IP protocol write \"proto %s\"", w.text)
	}
	if _, ok := services[w.text]; ok {
		return p.fail(w, "unknown word; for a port write \"port %s\"", w.text)
	}
	return p.fail(w, "unknown word; expected a test such as \"host\", \"port\" or \"udp\"")
}

// group reads what stands in parentheses: values that inherit q, or an expression of its own.
func (p *parser) group(q qualifier, bare bool) (node, qualifier, error) {
	open := p.take()
	first := p.at
	for p.words[first].is("!") || p.words[first].is("(") && !p.arithAt(first) {
		first++
	}
	var n node
	var err error
	switch w := &p.words[first]; {
	case bare && q.addr != addrUnset && w.kind >= kNumber && !p.arithAt(first):
		n, err = p.values(q, open.pair)
	default:
		n, err = p.logic(q, open.pair)
	}
	if err == nil && p.at != open.pair {
		err = p.unexpected(p.peek())
	}
	p.at++
	return n, q, err
}

// values reads bare values joined by "and" and "or" up to the word with index end.
func (p *parser) values(q qualifier, end int) (node, error) {
	left, err := p.bare(q)
	for err == nil && p.at < end {
		w := p.take()
		if !w.is("&&") && !w.is("||") {
			return nil, p.unexpected(&w)
		}
		var right node
		right, err = p.bare(q)
		left = &logicNode{left: left, right: right, and: w.is("&&")}
	}
	return left, err
}

// bare reads a value that may stand in parentheses and after "not".
func (p *parser) bare(q qualifier) (node, error) {
	nots := 0
	for p.accept("!") {
		nots++
	}
	var n node
	var err error
	if p.peek().is("(") {
		open := p.take()
		if n, err = p.values(q, open.pair); err == nil && p.at != open.pair {
			err = p.unexpected(p.peek())
		}
		p.at++
	} else {
		n, err = p.value(q)
	}
	if nots%2 == 1 {
		n = &notNode{x: n}
	}
	return n, err
}

// value reads one address, port or name. What it means is decided when code is made for it.
func (p *parser) value(q qualifier) (node, error) {
	w := p.take()
	n := &valueNode{q: q, value: w}
	switch w.kind {
	case kNumber, kName, kEthernet:
		return n, nil
	case kIPv4:
		if p.accept("mask") {
			if n.mask = p.take(); n.mask.kind != kIPv4 {
				return nil, p.fail(&n.mask, "expected a mask such as 255.255.255.0")
			}
			return n, nil
		}
	case kIPv6:
	case kEnd:
		return nil, p.fail(&w, "expected a value after %q", q.addr.String())
	case kKeyword:
		hint := ""
		if _, ok := ipProtocols[w.text]; ok || q.addr == addrProto {
			hint = "; as a name write \\" + w.text
		}
		return nil, p.fail(&w, "expected a value after %q, and %q is a keyword%s", q.addr.String(), w.text, hint)
	default:
		return nil, p.fail(&w, "expected a value after %q, not %q", q.addr.String(), w.text)
	}
	if p.accept("/") {
		bits := p.take()
		if bits.kind != kNumber {
			return nil, p.fail(&bits, "expected the length of a prefix after \"/\"")
		}
		n.slashed, n.prefix = true, bits.num
	}
	return n, nil
}

// test reads a test that begins with a keyword.
func (p *parser) test() (node, qualifier, error) {
	w := p.peek()
	switch w.text {
	case "less", "greater", "byte", "inbound", "outbound", "ifindex":
		n, err := p.simple()
		return n, qualifier{}, err
	case "vlan", "mpls", "pppoed", "pppoes":
		n, err := p.shift()
		return n, qualifier{}, err
	case "gateway":
		return nil, qualifier{}, p.fail(w, "gateway needs names of hosts, which are not looked up")
	}
	if f := foreign(w.text); f != "" && protocolOf(w.text) == protoNone {
		return nil, qualifier{}, p.fail(w, "%q is for %s, which are not filtered here", w.text, f)
	}
	return p.qualified()
}

// qualified reads "tcp src port 80" and the like, a protocol's name alone, "ip multicast".
func (p *parser) qualified() (node, qualifier, error) {
	first := *p.peek()
	q := qualifier{proto: protocolOf(first.text)}
	if q.proto != protoNone {
		p.at++
	}
	if w := p.peek(); w.is("broadcast") || w.is("multicast") {
		p.at++
		return &castNode{proto: q.proto, pos: first.pos, multicast: w.text == "multicast"}, qualifier{}, nil
	}
	if err := p.qualifiers(&q); err != nil {
		return nil, q, err
	}
	if q.addr == addrUnset {
		if q.proto == protoNone {
			return nil, q, p.fail(&first, "%q cannot stand here; expected a test such as \"port 5060\"", first.text)
		}
		return &protoNode{proto: q.proto, pos: first.pos}, qualifier{}, nil
	}
	n, err := p.bare(q)
	return n, q, err
}

// qualifiers reads a direction and a kind of address, both optional.
func (p *parser) qualifiers(q *qualifier) error {
	if w := p.peek(); w.is("src") || w.is("dst") {
		q.addr, q.dir = addrAny, p.direction()
	}
	w := p.peek()
	switch {
	case w.is("host"):
		q.addr = addrHost
	case w.is("net"):
		q.addr = addrNet
	case w.is("port"):
		q.addr = addrPort
	case w.is("portrange"):
		q.addr = addrPortRange
	case w.is("proto"):
		if q.addr == addrAny {
			return p.fail(w, "a protocol has no direction")
		}
		q.addr = addrProto
	case w.is("protochain"):
		return p.fail(w, "protochain needs a loop, which filters cannot have; test \"ip6 proto\" or bytes")
	default:
		return nil
	}
	p.at++
	return nil
}

// direction reads "src", "dst", "src or dst", "src and dst".
func (p *parser) direction() direction {
	w := p.take()
	other := p.after()
	if (other.is("src") || other.is("dst")) && other.text != w.text {
		switch joint := p.peek(); {
		case joint.is("&&"):
			p.at += 2
			return dirBoth
		case joint.is("||"):
			p.at += 2
			return dirEither
		}
	}
	if w.text == "dst" {
		return dirDst
	}
	return dirSrc
}

// simple reads tests of one keyword and numbers.
func (p *parser) simple() (node, error) {
	w := p.take()
	if w.text == "inbound" || w.text == "outbound" {
		return &directionNode{word: w.text, pos: w.pos}, nil
	}
	a := p.take()
	if a.kind != kNumber {
		return nil, p.fail(&a, "expected a number after %q", w.text)
	}
	length := &arith{op: opLen}
	number := &arith{op: opConst, value: a.num}
	switch w.text {
	case "less": // at most, in spite of its name
		return &relationNode{left: length, right: number, rel: relGreater, not: true, pos: w.pos}, nil
	case "greater": // at least
		return &relationNode{left: length, right: number, rel: relGreaterEqual, pos: w.pos}, nil
	case "ifindex":
		return &directionNode{word: w.text, index: a.num, pos: w.pos}, nil
	}
	return p.byteTest(a.num)
}

// byteTest reads what follows "byte N".
func (p *parser) byteTest(index uint32) (node, error) {
	op := p.take()
	if op.is("&") || op.is("|") {
		return nil, p.fail(&op, "\"byte\" with %q tests nothing in tcpdump; write \"ether[%d] %s ... != 0\"",
			op.text, index, op.text)
	}
	if !op.is("=") && !op.is("<") && !op.is(">") {
		return nil, p.fail(&op, "expected =, < or >")
	}
	v := p.take()
	if v.kind != kNumber {
		return nil, p.fail(&v, "expected a number")
	}
	n := &byteNode{index: index, value: v.num}
	switch op.text {
	case "<":
		n.rel, n.not = relGreaterEqual, true
	case ">":
		n.rel = relGreater
	}
	return n, nil
}

// shift reads vlan, mpls, pppoed and pppoes with their optional number.
func (p *parser) shift() (node, error) {
	w := p.take()
	n := &shiftNode{word: w.text, pos: w.pos}
	if w.text == "pppoed" {
		return n, nil
	}
	depth := 0
	for p.peek().is("(") {
		p.at++
		depth++
	}
	if v := p.peek(); v.kind == kNumber {
		n.number, n.asked = v.num, true
		p.at++
	} else if depth > 0 {
		return nil, p.fail(v, "expected a number")
	}
	for range depth {
		if !p.accept(")") {
			return nil, p.fail(p.peek(), "expected \")\"")
		}
	}
	return n, nil
}
