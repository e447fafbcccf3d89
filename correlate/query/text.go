package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// bareText decides whether a filter is a text to look for in messages, and which. See Compile for the rule.
func bareText(src string, s *scanned) (bare string, isText bool, err error) {
	switch {
	case s.literal:
		bare, err = unquote(src)
		return bare, err == nil, err
	case s.operator || isField(src) || src == "true" || src == "false":
		return "", false, nil
	case s.open == 0:
		return "", false, &Error{Source: src, Message: "the quote is never closed", Column: 0}
	}
	if in, ok := s.standIns[0]; ok && in.header != "" && in.length == len(s.source) {
		return "", false, nil
	}
	if name, value, ok := strings.Cut(src, "="); ok && isField(strings.TrimSpace(name)) {
		return "", false, &Error{
			Source: src, Column: len([]rune(name)), Message: "= compares nothing",
			Hint: fmt.Sprintf("write %s == %s to compare, or '%s' to look for the text",
				strings.TrimSpace(name), strings.TrimSpace(value), src),
		}
	}
	return src, true, nil
}

// unquote reads one quoted text as the expression grammar does, with its escapes.
func unquote(src string) (string, error) {
	tree, err := parser.Parse(src)
	if err != nil {
		return "", fromLibrary(src, err)
	}
	text, ok := tree.Node.(*ast.StringNode)
	switch {
	case !ok:
		return "", &Error{Source: src, Message: "this is no text"}
	case text.Value == "":
		return "", &Error{Source: src, Message: "the text is empty", Hint: "every message holds it"}
	}
	return text.Value, nil
}

func isField(name string) bool {
	_, ok := findField(name)
	return ok
}

// findField finds a field by its name or alias.
func findField(name string) (field, bool) {
	for _, f := range fieldTable() {
		if f.Name == name || slices.Contains(f.Aliases, name) {
			return f, true
		}
	}
	return field{}, false
}

// quoteHint tells how to look for what cannot be read as an expression.
func quoteHint(src string) string {
	quoted := strconv.Quote(src)
	if strings.Contains(src, `"`) && !strings.ContainsAny(src, `'\`) {
		quoted = "'" + src + "'"
	}
	if len(quoted) > maxHint {
		return "to look for it as a text, put it in quotes"
	}
	return "to look for it as a text, write " + quoted
}

// maxHint keeps errors to one readable line.
const maxHint = 60
