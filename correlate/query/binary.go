package query

import (
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// binary resolves an operator with two sides.
func (r *resolver) binary(n *ast.Node, x *ast.BinaryNode) *Error {
	switch x.Operator {
	case "==", "!=", "<", "<=", ">", ">=":
		return r.comparison(n, x)
	case "in":
		return r.in(n, x)
	case "matches":
		return r.matches(x)
	case "and", "&&", "or", "||":
		for _, side := range []ast.Node{x.Left, x.Right} {
			if text, ok := side.(*ast.StringNode); ok {
				return wrong(text, `write text("...")`, "a text is neither true nor false")
			}
		}
		return r.both(x)
	case "contains", "startsWith", "endsWith", "+", "-", "*", "/":
		return r.both(x)
	case "..":
		return wrong(x, "write status in 400..499", "a range stands only after in")
	}
	return wrong(x, "", "%s is not in the filter language", x.Operator)
}

// both resolves the two sides.
func (r *resolver) both(x *ast.BinaryNode) *Error {
	if err := r.node(&x.Left); err != nil {
		return err
	}
	return r.node(&x.Right)
}

// fieldOf gives the field that a node names, before it is resolved.
func (r *resolver) fieldOf(n ast.Node) (field, bool) {
	name := ""
	switch x := n.(type) {
	case *ast.IdentifierNode:
		name = x.Value
		if after, ok := strings.CutPrefix(name, "field "); ok {
			name = after
		}
	case *ast.MemberNode:
		root, ok := x.Node.(*ast.IdentifierNode)
		property, isName := x.Property.(*ast.StringNode)
		if !ok || !isName || x.Optional {
			return field{}, false
		}
		name = root.Value + "." + property.Value
	}
	f, ok := r.table[name]
	return f, ok
}

// comparison resolves == != < <= > >=. A constant beside a field is checked and brought into the field's form.
func (r *resolver) comparison(n *ast.Node, x *ast.BinaryNode) *Error {
	named, constant := x.Left, &x.Right
	if _, ok := x.Left.(*ast.StringNode); ok {
		named, constant = x.Right, &x.Left
	}
	if f, ok := r.fieldOf(named); ok {
		equality := x.Operator == "==" || x.Operator == "!="
		if text, ok := (*constant).(*ast.StringNode); ok && f.endpoint != nil && equality {
			return r.address(n, f, []ast.Node{text}, x.Operator == "!=")
		}
		if err := r.constant(f, constant); err != nil {
			return err
		}
	}
	return r.both(x)
}

// constant checks a text that a field is compared with, and puts what the field's values look like in its place.
func (r *resolver) constant(f field, n *ast.Node) *Error {
	if err := r.quotes(f, *n); err != nil {
		return err
	}
	text, ok := (*n).(*ast.StringNode)
	if !ok || f.check == nil {
		return nil
	}
	value, message, hint := f.check(text.Value)
	if message != "" {
		return wrong(text, hint, "%s", message)
	}
	if s, ok := value.(string); ok {
		put(n, &ast.StringNode{Value: s})
	} else {
		put(n, &ast.ConstantNode{Value: value})
	}
	return nil
}

// quotes refuses a number in quotes and a text without: the checker would, in words that help less.
func (r *resolver) quotes(f field, n ast.Node) *Error {
	switch x := n.(type) {
	case *ast.StringNode:
		if f.Type == typeNumber || f.Type == typeSeconds {
			return wrong(x, fmt.Sprintf("write %s without quotes", x.Value), "%s is a number", f.Name)
		}
	case *ast.IntegerNode:
		if f.Type == typeText {
			return wrong(x, fmt.Sprintf("write \"%d\"", x.Value), "%s is a text", f.Name)
		}
	}
	return nil
}

// address resolves the comparison of an endpoint with addresses and networks into one lookup.
func (r *resolver) address(n *ast.Node, f field, texts []ast.Node, negate bool) *Error {
	set := &addresses{}
	for _, t := range texts {
		text, ok := t.(*ast.StringNode)
		if !ok {
			return wrong(t, `write "10.0.0.1" or "10.0.0.0/8"`, "an address stands in quotes")
		}
		if message, hint := set.parse(text.Value, f.hasPort); message != "" {
			return wrong(text, hint, "%s", message)
		}
	}
	var found ast.Node = r.slot(r.fresh("address"), false, set.within(f.endpoint))
	if negate {
		found.SetLocation((*n).Location())
		found = &ast.UnaryNode{Operator: "not", Node: found}
	}
	put(n, found)
	return nil
}

// in resolves the three forms of in: a list of constants, a range, and a list as field.
func (r *resolver) in(n *ast.Node, x *ast.BinaryNode) *Error {
	f, isField := r.fieldOf(x.Left)
	switch right := x.Right.(type) {
	case *ast.StringNode:
		if isField && f.endpoint != nil {
			return r.address(n, f, []ast.Node{right}, false)
		}
		return wrong(right, `write from.user in ["alice", "bob"], or use contains`, "a text is no list")
	case *ast.ArrayNode:
		if isField && f.endpoint != nil {
			return r.address(n, f, right.Nodes, false)
		}
		return r.list(x, right, f)
	case *ast.BinaryNode:
		if right.Operator == ".." {
			return r.between(n, x, right, f, isField)
		}
	}
	list, ok := r.fieldOf(x.Right)
	if !ok || list.Type != typeList {
		return wrong(x, `write status in [486, 600], status in 400..499 or "UDP" in transports`, "no list after in")
	}
	if err := r.constant(list, &x.Left); err != nil {
		return err
	}
	return r.both(x)
}

// list resolves a list of constants.
func (r *resolver) list(x *ast.BinaryNode, list *ast.ArrayNode, f field) *Error {
	for i := range list.Nodes {
		if err := r.constant(f, &list.Nodes[i]); err != nil {
			return err
		}
		if err := r.node(&list.Nodes[i]); err != nil {
			return err
		}
		switch item := list.Nodes[i].(type) {
		case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.ConstantNode:
		default:
			return wrong(item, "", "a list holds constants")
		}
	}
	return r.node(&x.Left)
}

// between makes two comparisons of a range. Its left side is a name, so that nothing is worked out twice.
func (r *resolver) between(n *ast.Node, x, bounds *ast.BinaryNode, f field, isField bool) *Error {
	if !isField {
		return wrong(x.Left, "", "a range is for a field")
	}
	for _, bound := range []*ast.Node{&bounds.Left, &bounds.Right} {
		if err := r.constant(f, bound); err != nil {
			return err
		}
		if err := r.node(bound); err != nil {
			return err
		}
	}
	if err := r.node(&x.Left); err != nil {
		return err
	}
	loc := x.Location()
	low := &ast.BinaryNode{Operator: ">=", Left: x.Left, Right: bounds.Left}
	high := &ast.BinaryNode{Operator: "<=", Left: x.Left, Right: bounds.Right}
	low.SetLocation(loc)
	high.SetLocation(loc)
	put(n, &ast.BinaryNode{Operator: "and", Left: low, Right: high})
	return nil
}

// matches resolves a pattern: RE2, constant and of bounded size.
func (r *resolver) matches(x *ast.BinaryNode) *Error {
	pattern, ok := x.Right.(*ast.StringNode)
	if !ok {
		return wrong(x.Right, `write ua matches "^Linphone"`, "the pattern stands in quotes")
	}
	text := pattern.Value
	if r.fold {
		text = "(?i)" + text
	}
	size, message := checkPattern(text)
	if message != "" {
		return wrong(pattern, "", "%s", message)
	}
	if r.steps += size; r.steps > maxPattern {
		return wrong(pattern, "", "the patterns are too large: more than %d steps", maxPattern)
	}
	put(&x.Right, &ast.StringNode{Value: text})
	return r.node(&x.Left)
}
