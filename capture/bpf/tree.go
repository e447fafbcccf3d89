package bpf

// direction qualifies an address or a port.
type direction uint8

const (
	dirEither direction = iota // no word, or "src or dst"
	dirSrc
	dirDst
	dirBoth // "src and dst"
)

// address is what the word after a qualifier is.
type address uint8

const (
	addrUnset address = iota // nothing to inherit from: a bare value is an error
	addrAny                  // a direction alone: "src 10.0.0.1"
	addrHost
	addrNet
	addrPort
	addrPortRange
	addrProto
)

// String is the word in the language.
func (a address) String() string {
	return [...]string{"", "host", "host", "net", "port", "portrange", "proto"}[a]
}

// qualifier is what stands before a value, and what values after "and" and "or" inherit.
type qualifier struct {
	proto protocol
	dir   direction
	addr  address
}

// node is a part of an expression. gen makes the condition of it for one link type, left to right: vlan, mpls and
// pppoes move what stands after them, wherever it stands. negated says that an odd number of "not" is around it.
type node interface {
	gen(g *generator, negated bool) *cond
}

var (
	_ node = (*logicNode)(nil)
	_ node = (*notNode)(nil)
	_ node = (*valueNode)(nil)
	_ node = (*protoNode)(nil)
	_ node = (*castNode)(nil)
	_ node = (*relationNode)(nil)
	_ node = (*byteNode)(nil)
	_ node = (*directionNode)(nil)
	_ node = (*shiftNode)(nil)
)

// logicNode is "a and b" or "a or b".
type logicNode struct {
	left, right node
	and         bool
}

// notNode is "not a".
type notNode struct{ x node }

// valueNode is a host, net, port, port range or protocol number, with its qualifiers.
type valueNode struct {
	q       qualifier
	value   word
	mask    word   // of "net 10.0.0.0 mask 255.0.0.0"
	prefix  uint32 // of "net 10.0.0.0/8"
	slashed bool
}

// protoNode is a protocol's name alone.
type protoNode struct {
	proto protocol
	pos   int
}

// castNode is "broadcast" or "multicast", for a protocol.
type castNode struct {
	proto     protocol
	pos       int
	multicast bool
}

// relation compares two numbers.
type relation uint8

const (
	relEqual relation = iota
	relGreater
	relGreaterEqual
)

// relationNode compares two values; "less 60" and "greater 60" are such, too.
type relationNode struct {
	left, right *arith
	rel         relation
	not         bool
	pos         int
}

// byteNode is tcpdump's old form of a byte test: "byte 0 = 0x45".
type byteNode struct {
	index, value uint32
	rel          relation
	not          bool
}

// directionNode is inbound, outbound or ifindex.
type directionNode struct {
	word  string
	index uint32
	pos   int
}

// shiftNode is vlan, mpls, pppoed or pppoes, with the number asked for.
type shiftNode struct {
	word   string
	number uint32
	asked  bool
	pos    int
}

// arithOp is what an arithmetic node does.
type arithOp uint8

const (
	opConst arithOp = iota
	opLen
	opLoad // size bytes at left in the header of proto
	opNeg
	opAdd
	opSub
	opMul
	opDiv
	opMod
	opAnd
	opOr
	opXor
	opLsh
	opRsh
)

// arith is a part of an arithmetic expression over 32-bit unsigned numbers.
type arith struct {
	left, right *arith
	value       uint32
	size        uint32 // 1, 2 or 4 bytes
	proto       protocol
	op          arithOp
	pos         int
}

// testsPorts reports whether a tree has a test of ports under an even number of negations.
func testsPorts(n node, negated bool) bool {
	switch n := n.(type) {
	case *logicNode:
		return testsPorts(n.left, negated) || testsPorts(n.right, negated)
	case *notNode:
		return testsPorts(n.x, !negated)
	case *valueNode:
		return !negated && (n.q.addr == addrPort || n.q.addr == addrPortRange)
	}
	return false
}
