// Command sipscope turns packets into calls that a person can see. See README.md and sipscope --help.
//
// This package opens doors, runs the pipeline and chooses who reads; it owns flags, signals and exit codes, and holds
// no logic of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sipscope/capture"
)

// version is set by the linker.
var version = "dev"

// Exit codes (DESIGN 7). Scripts rely on them.
const (
	exitDone    = 0
	exitNothing = 1 // nothing matched, or a check failed
	exitUsage   = 2
	exitDamaged = 3 // the input is damaged but was read as far as it goes
	exitCannot  = 3 // a replay could not be played
)

func main() { os.Exit(program()) }

// program runs the command line of this process and gives the exit code.
func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr})
}

// stdio is where the program reads and writes.
type stdio struct {
	in       *os.File
	out, err *os.File
}

// errNothing ends with exit code 1 and its text; an empty text prints nothing.
type nothingError struct{ text string }

func (e nothingError) Error() string { return e.text }

// usageError ends with exit code 2 and a hint.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(hint, format string, args ...any) error {
	return usageError{err: fmt.Errorf(format, args...), hint: hint}
}

// run executes one command line and gives the exit code.
func run(ctx context.Context, args []string, std stdio) int {
	root := newRoot(std) //nolint:contextcheck // ExecuteContext gives it to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return tell(std.err, err)
}

// tell prints an error as one line and, where there is one, a hint, and picks the exit code.
func tell(w io.Writer, err error) int {
	var usage usageError
	var nothing nothingError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &nothing):
		if nothing.text != "" {
			fmt.Fprintf(w, "sipscope: %s\n", oneLine(nothing.text))
		}
		return exitNothing
	case errors.Is(err, syscall.EPIPE):
		return exitDone // the reader of our output had enough
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(w, "sipscope: interrupted")
		return exitNothing
	case errors.Is(err, capture.ErrDamaged):
		fmt.Fprintf(w, "sipscope: %s\n", oneLine(err.Error()))
		return exitDamaged
	}
	fmt.Fprintf(w, "sipscope: %s\n", oneLine(err.Error()))
	if cannot, ok := errors.AsType[cannotRunError](err); ok {
		if cannot.hint != "" {
			fmt.Fprintf(w, "  %s\n", cannot.hint)
		}
		return exitCannot
	}
	if errors.As(err, &usage) && usage.hint != "" {
		fmt.Fprintf(w, "  %s\n", usage.hint)
	}
	return exitUsage
}
