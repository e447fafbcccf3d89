package bpf

import (
	"errors"
	"fmt"
)

// ErrLink says that frames of a link type cannot be judged by a filter: the type is not known here, or it does not
// carry what the filter asks for.
var ErrLink = errors.New("the filter cannot judge this link type")

// ErrNothing says that a filter keeps no frame of a link type at all.
var ErrNothing = errors.New("the filter rejects all packets")

// ErrUserSpace says that a filter cannot run in the kernel on this kind of socket: keep all there and use Match.
var ErrUserSpace = errors.New("the filter cannot run in the kernel on a cooked socket")

// ErrTooLong says that a program has more instructions than it may have.
var ErrTooLong = errors.New("the filter is too long")

// SyntaxError says what is wrong with an expression.
type SyntaxError struct {
	Expr   string // the whole expression
	Offset int    // of the word in question, 0-based, in bytes; len(Expr) at the end
	Reason string // one line: what was found and what was expected
}

// maxShown is how many bytes of the expression an error shows.
const maxShown = 24

// Error is one line, such as `capture filter at "prot 17" (byte 4): expected a host, net, port or protocol`.
func (e *SyntaxError) Error() string {
	at := "the end"
	if e.Offset < len(e.Expr) {
		rest := e.Expr[e.Offset:]
		if len(rest) > maxShown {
			rest = rest[:maxShown] + "..."
		}
		at = fmt.Sprintf("%q", rest)
	}
	return fmt.Sprintf("capture filter at %s (byte %d): %s", at, e.Offset, e.Reason)
}

// genError is an error of the generator: what a part of the expression asks for cannot be had.
type genError struct {
	offset int
	reason string
	link   bool // another link type may have it
}

// Error is the reason alone.
func (e *genError) Error() string { return e.reason }

// Unwrap gives ErrLink when the link type is to blame.
func (e *genError) Unwrap() error {
	if e.link {
		return ErrLink
	}
	return nil
}

// syntaxOf turns an error of compiling into one of the expression.
func syntaxOf(expr string, err error) error {
	if g, ok := errors.AsType[*genError](err); ok {
		return &SyntaxError{Expr: expr, Offset: g.offset, Reason: g.reason}
	}
	return &SyntaxError{Expr: expr, Reason: err.Error()}
}

// tooLong says by how much.
func tooLong(n, limit int) error {
	return fmt.Errorf("%w: %d instructions, at most %d", ErrTooLong, n, limit)
}
