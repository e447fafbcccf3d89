package query

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
)

// compile reads an expression: parse, resolve the names, check the types, optimise, make the program.
func (q *Query) compile(s *scanned, opts Options) (failed *Error) {
	if !utf8.ValidString(q.source) {
		return &Error{Message: "the filter is not UTF-8"}
	}
	if s.comment >= 0 {
		return &Error{Column: s.comment, Message: "a filter has no comments", Hint: quoteHint(q.source)}
	}
	// The library reports some internal errors by panicking. None is known for what passes the resolver.
	defer func() {
		if p := recover(); p != nil {
			failed = &Error{Message: fmt.Sprintf("the filter cannot be compiled: %v", p)}
		}
	}()
	cfg := config()
	tree, err := parser.ParseWithConfig(s.mangled(), cfg)
	if err != nil {
		e := fromLibrary(q.source, err)
		if e.Hint == "" {
			e.Hint = quoteHint(q.source)
		}
		return e
	}
	r := newResolver(q, s, opts)
	if err := r.node(&tree.Node); err != nil {
		return err
	}
	cfg.WithEnv(r.zero)
	if err := q.checkTypes(tree, cfg); err != nil {
		return err
	}
	if err = optimizer.Optimize(&tree.Node, cfg); err != nil {
		return fromLibrary(q.source, err)
	}
	q.program, err = compiler.Compile(tree, cfg)
	if err != nil {
		return fromLibrary(q.source, err)
	}
	q.runners = &sync.Pool{}
	return nil
}

// config leaves out of expr-lang what the language does not have.
func config() *conf.Config {
	cfg := conf.CreateNew()
	cfg.MaxNodes = maxNodes
	cfg.DisableIfOperator = true
	keep := map[string]bool{}
	for _, name := range builtins() {
		keep[name] = true
	}
	for name := range cfg.Builtins {
		if !keep[name] {
			cfg.Disabled[name] = true
			delete(cfg.Builtins, name)
		}
	}
	return cfg
}

// checkTypes makes sure that the types fit and that the whole is true or false.
func (q *Query) checkTypes(tree *parser.Tree, cfg *conf.Config) *Error {
	kind, err := checker.Check(tree, cfg)
	if err != nil {
		return fromLibrary(q.source, err)
	}
	if kind.Kind() != reflect.Bool {
		return q.notBool(tree.Node)
	}
	var j joins
	ast.Walk(&tree.Node, &j)
	if j.found != nil {
		return wrong(j.found, "compare the parts", "+ joins no texts")
	}
	return nil
}

// notBool is the error for a filter such as status: it has a value, but says nothing about it.
func (q *Query) notBool(n ast.Node) *Error {
	hint := "compare it with something"
	if f, ok := findField(q.source); ok {
		hint = fmt.Sprintf("compare it, as in %s, or write \"%s\" to look for the text", f.Example, q.source)
	}
	return wrong(n, hint, "the filter is neither true nor false")
}

// joins finds a + of texts: chained, their lengths would add up to much more than the call has.
type joins struct{ found ast.Node }

// Visit implements ast.Visitor.
func (j *joins) Visit(n *ast.Node) {
	if b, ok := (*n).(*ast.BinaryNode); ok && b.Operator == "+" && b.Type().Kind() == reflect.String {
		j.found = b
	}
}

// fromLibrary turns an error of expr-lang into ours: its place, and its message in the words of the language.
func fromLibrary(src string, err error) *Error {
	e := &Error{Source: src, Message: firstLine(err.Error())}
	if at, ok := errors.AsType[*file.Error](err); ok {
		e.Message = firstLine(at.Message)
		e.Column = at.From
	}
	end := utf8.RuneCountInString(src)
	if strings.Contains(e.Message, "token EOF") {
		e.Message, e.Column = "the end comes too early", end
	}
	if strings.Contains(e.Message, "maximum allowed nodes") {
		e.Message = "the filter has too many parts"
		e.Hint = fmt.Sprintf("at most %d names, constants and operators", maxNodes)
	}
	e.Column = max(0, min(e.Column, end))
	e.Message = reword(e.Message)
	return e
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// reword says types and tokens as filters have them.
func reword(message string) string {
	token := regexp.MustCompile(`^unexpected token \w+\((".*")\)$`)
	message = token.ReplaceAllString(message, "unexpected $1")
	types := strings.NewReplacer(
		"float64", "number", "int", "number", "string", "text", "bool", "yes/no", "time.Time", "time", "[]text", "list",
		"invalid operation: ", "", "mismatched types", "types do not fit:",
	)
	if strings.Contains(message, "mismatched types") || strings.Contains(message, "invalid operation") {
		message = types.Replace(message)
	}
	return message
}
