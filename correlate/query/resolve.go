package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"sipscope/correlate"
)

// resolver walks an expression before it is checked and compiled. It lets only through what the language has, and
// puts slots in the place of fields, headers, texts and address sets.
type resolver struct {
	q        *Query
	standIns map[int]standIn
	table    map[string]field
	zero     map[string]any    // the environment's types, by slot name
	seen     map[ast.Node]bool // nodes with operands, to find one that is used twice
	steps    int               // size of all patterns
	fold     bool              // Options.IgnoreCase
}

func newResolver(q *Query, s *scanned, opts Options) *resolver {
	r := &resolver{
		q: q, standIns: s.standIns, fold: opts.IgnoreCase,
		table: map[string]field{}, zero: map[string]any{}, seen: map[ast.Node]bool{},
	}
	for _, f := range fieldTable() {
		r.table[f.Name] = f
		for _, alias := range f.Aliases {
			r.table[alias] = f
		}
	}
	return r
}

// wrong makes an error at a node's place.
func wrong(n ast.Node, hint, format string, args ...any) *Error {
	for m, ok := n.(*ast.MemberNode); ok; m, ok = n.(*ast.MemberNode) {
		n = m.Node // a member's own place is that of its last name
	}
	return &Error{Column: n.Location().From, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// put replaces a node; the new one stands at the same place.
func put(n *ast.Node, with ast.Node) {
	loc := (*n).Location()
	with.SetLocation(loc)
	*n = with
}

// node resolves one node and what is below it.
func (r *resolver) node(n *ast.Node) *Error {
	switch x := (*n).(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.ConstantNode:
		return nil
	case *ast.IdentifierNode:
		return r.name(n, x.Value, x)
	case *ast.MemberNode:
		return r.member(n, x)
	case *ast.UnaryNode:
		if err := r.once(x); err != nil {
			return err
		}
		return r.node(&x.Node)
	case *ast.BinaryNode:
		if err := r.once(x); err != nil {
			return err
		}
		return r.binary(n, x)
	case *ast.CallNode:
		return r.call(n, x)
	case *ast.BuiltinNode:
		return r.builtin(x)
	case *ast.ArrayNode:
		return wrong(x, `write status in [486, 600]`, "a list stands only after in")
	case nil:
		return &Error{Message: "something is missing"}
	default:
		return wrong(x, "", "this is not in the filter language")
	}
}

// once refuses a node that the parser uses twice, as it does with the middle of 1 < (a + b) < 5: nested, each level
// would double the work.
func (r *resolver) once(n ast.Node) *Error {
	if r.seen[n] {
		return wrong(n, "compare a field, or join two comparisons with and", "too much for the middle of a comparison")
	}
	r.seen[n] = true
	return nil
}

// slot gives a node that reads a value, and remembers how to get it. zero is any value of its type.
func (r *resolver) slot(name string, zero any, value getter) *ast.IdentifierNode {
	if _, ok := r.zero[name]; !ok {
		r.zero[name] = zero
		r.q.slots = append(r.q.slots, slot{name: name, value: value})
	}
	return &ast.IdentifierNode{Value: name}
}

// isSlot reports whether a name was put there by the resolver: such names have a blank, which no source can write.
func isSlot(name string) bool { return strings.Contains(name, " ") }

// name resolves a name without arguments: a field, or a stand-in of the scanner.
func (r *resolver) name(n *ast.Node, name string, at ast.Node) *Error {
	if isSlot(name) {
		return nil
	}
	if in, ok := r.standIns[at.Location().From]; ok {
		if in.header == "" {
			put(n, &ast.FloatNode{Value: in.seconds})
			return nil
		}
		put(n, r.header(in.header))
		return nil
	}
	f, ok := r.table[name]
	if !ok {
		return r.unknown(name, at)
	}
	put(n, r.field(f))
	return nil
}

// field gives the slot of a field.
func (r *resolver) field(f field) *ast.IdentifierNode {
	return r.slot("field "+f.Name, f.value(r.q, &correlate.Summary{}, nil), f.value)
}

// header gives the slot of a header.
func (r *resolver) header(name string) *ast.IdentifierNode {
	i := 0
	for i < len(r.q.headers) && !strings.EqualFold(r.q.headers[i], name) {
		i++
	}
	if i == len(r.q.headers) {
		r.q.headers = append(r.q.headers, name)
		r.q.columns = append(r.q.columns, -1)
	}
	return r.slot(fmt.Sprintf("header %d", i), "", func(q *Query, s *correlate.Summary, old any) any {
		return renew(q.column(i, s), old)
	})
}

// unknown is the error for a name that is no field, with the nearest one.
func (r *resolver) unknown(name string, at ast.Node) *Error {
	hint := "see the list of fields: sipscope help filters"
	candidates := functionNames()
	for _, f := range fieldTable() {
		candidates = append(append(candidates, f.Name), f.Aliases...)
	}
	if near := nearest(name, candidates); near != "" {
		hint = "did you mean " + near + "?"
	}
	return wrong(at, hint, "unknown field %s", name)
}

// member resolves from.user and header["X-Account-ID"].
func (r *resolver) member(n *ast.Node, x *ast.MemberNode) *Error {
	property, ok := x.Property.(*ast.StringNode)
	if !ok || x.Optional {
		return wrong(x, "", "this is not in the filter language")
	}
	root, ok := x.Node.(*ast.IdentifierNode)
	if !ok {
		return r.tooDeep(x)
	}
	if root.Value+"." == headerPrefix {
		if property.Value == "" {
			return wrong(root, "", "the header has no name")
		}
		put(n, r.header(property.Value))
		return nil
	}
	return r.name(n, root.Value+"."+property.Value, root)
}

// tooDeep names a.b.c, which no field has.
func (r *resolver) tooDeep(x *ast.MemberNode) *Error {
	name, at := "", ast.Node(x)
	for range maxDepth {
		m, ok := at.(*ast.MemberNode)
		if !ok {
			break
		}
		if p, ok := m.Property.(*ast.StringNode); ok {
			name = "." + p.Value + name
		}
		at = m.Node
	}
	if root, ok := at.(*ast.IdentifierNode); ok {
		return r.unknown(root.Value+name, root)
	}
	return wrong(x, "", "this is not in the filter language")
}

// maxDepth is how many members an unknown name is written with.
const maxDepth = 8

// functionNames lists what takes arguments.
func functionNames() []string {
	return []string{"text", "header", "ip", "date", "lower", "upper", "trim", "len", "abs"}
}

// builtins lists what expr-lang brings and the language keeps: each gives no more than it takes.
func builtins() []string { return []string{"lower", "upper", "trim", "len", "abs"} }

// builtin resolves the arguments of expr-lang's own functions.
func (r *resolver) builtin(x *ast.BuiltinNode) *Error {
	if !slices.Contains(builtins(), x.Name) {
		return r.unknownFunction(x.Name, x)
	}
	if len(x.Arguments) != 1 {
		return wrong(x, "", "%s takes one value", x.Name)
	}
	if err := r.once(x); err != nil {
		return err
	}
	return r.node(&x.Arguments[0])
}

func (r *resolver) unknownFunction(name string, at ast.Node) *Error {
	hint := "there are " + strings.Join(functionNames(), ", ")
	if near := nearest(name, functionNames()); near != "" {
		hint = "did you mean " + near + "?"
	}
	return wrong(at, hint, "unknown function %s", name)
}

// call resolves text, header, ip and date: their arguments are constants, and so is their work done now.
func (r *resolver) call(n *ast.Node, x *ast.CallNode) *Error {
	callee, ok := x.Callee.(*ast.IdentifierNode)
	if !ok {
		return wrong(x, "", "this is not in the filter language")
	}
	name := callee.Value
	switch name {
	case "text", "header", "ip", "date":
	default:
		return r.unknownFunction(name, callee)
	}
	args := make([]string, len(x.Arguments))
	for i, arg := range x.Arguments {
		constant, ok := arg.(*ast.StringNode)
		if !ok {
			return wrong(callee, "", "%s takes a text in quotes", name)
		}
		args[i] = constant.Value
	}
	if len(args) != 1 && (name != "ip" || len(args) == 0) {
		return wrong(callee, "", "%s takes one text in quotes", name)
	}
	switch name {
	case "text":
		return r.word(n, args[0])
	case "ip":
		return r.anyAddress(n, args)
	case "date":
		return r.moment(n, args[0])
	}
	if args[0] == "" {
		return wrong(callee, "", "the header has no name")
	}
	put(n, r.header(args[0]))
	return nil
}

// word resolves text("...").
func (r *resolver) word(n *ast.Node, word string) *Error {
	if word == "" {
		return wrong(*n, "every message holds it", "the text is empty")
	}
	if len(r.q.words) == MaxWords && !slices.Contains(r.q.words, word) {
		return wrong(*n, "", "more than %d different texts", MaxWords)
	}
	i := r.q.addWord(word)
	put(n, r.slot(fmt.Sprintf("text %d", i), false, func(q *Query, s *correlate.Summary, old any) any {
		return renew(q.hasWord(i, s), old)
	}))
	return nil
}

// anyAddress resolves ip("..."): the source or the destination of the first request.
func (r *resolver) anyAddress(n *ast.Node, args []string) *Error {
	set := &addresses{}
	for _, arg := range args {
		if message, hint := set.parse(arg, true); message != "" {
			return wrong(*n, hint, "%s", message)
		}
	}
	put(n, r.slot(r.fresh("ip"), false, func(_ *Query, s *correlate.Summary, old any) any {
		return renew(set.has(s.Src) || set.has(s.Dst), old)
	}))
	return nil
}

// fresh names a slot that only one place reads.
func (r *resolver) fresh(kind string) string { return fmt.Sprintf("%s %d", kind, len(r.q.slots)) }

// moment resolves date("...") to a constant.
func (r *resolver) moment(n *ast.Node, text string) *Error {
	t, message, hint := checkTime(text)
	if message != "" {
		return wrong(*n, hint, "%s", message)
	}
	put(n, &ast.ConstantNode{Value: t})
	return nil
}
