// Package query is the filter language of sipscope, the same on the command line, in the terminal and on web pages:
// expressions of expr-lang over the fields of a call's Summary, or a bare text that is looked for in the messages.
//
// A filter may come from a web page, so the language is small: no loops, variables, functions that build large values
// or patterns that are not constant. The work that a filter can ask for is proportional to its length.
//
// It does not read messages: the texts (Words) and headers (Headers) that a filter names are collected by the pipeline,
// and Bind and BindWords say where they are to be found. After that a Query is immutable and may be used from any goroutine.
package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr/vm"

	"sipscope/correlate"
)

// Options change how a filter is read.
type Options struct {
	IgnoreCase bool // texts and patterns (matches) match whatever the case; other comparisons stay exact
	Invert     bool // Match is true for the calls that the filter does not hold for; an empty filter keeps all calls
}

// Limits of a filter.
const (
	MaxLength = 4096 // bytes of its source
	MaxWords  = 64   // different texts in it: Summary.Words has as many bits
	maxNodes  = 512  // names, constants and operators in it
)

// Query is a compiled filter.
type Query struct {
	source  string
	text    string      // what a bare text looks for
	program *vm.Program // nil for a bare text and for the empty filter
	slots   []slot      // the values that the program needs
	words   []string
	bits    []uint8 // of words, in Summary.Words
	headers []string
	columns []int // of headers, in Summary.Columns; -1 when not collected
	invert  bool
	runners *sync.Pool // of *runner
}

// slot is a value that a program reads, under a name of its environment.
type slot struct {
	name  string
	value getter
}

// runner is what one evaluation needs; it is used again by the next one.
type runner struct {
	vm   vm.VM
	env  map[string]any
	last []any // by slot: what env holds
}

// Compile reads a filter. Its error is always a *Error. An empty filter matches every call.
//
// What has no operator and no bracket outside of quotes, and is no field, is a text: alice, +4930123, 10.0.0.1,
// Busy Here, "a == b". Everything else is an expression, and an error when it cannot be read as one.
func Compile(src string, opts Options) (*Query, error) {
	src = strings.TrimSpace(src)
	q := &Query{source: src, invert: opts.Invert}
	if src == "" {
		q.invert = false
		return q, nil
	}
	if len(src) > MaxLength {
		return nil, &Error{Source: src, Message: "the filter is too long", Hint: "at most 4096 bytes"}
	}
	s := scan(src)
	bare, isText, err := bareText(src, s)
	if err != nil {
		return nil, err
	}
	if isText {
		q.text = bare
		q.addWord(bare)
		return q, nil
	}
	if err := q.compile(s, opts); err != nil {
		err.Source = src
		return nil, err
	}
	return q, nil
}

// String is the filter's source, without blanks around it.
func (q *Query) String() string { return q.source }

// Words lists the texts that the filter looks for in messages, at most MaxWords. Unless BindWords says otherwise, bit i
// of Summary.Words must say whether the i-th occurred: give them to correlate.Config.Words as they are.
func (q *Query) Words() []string { return slices.Clone(q.words) }

// addWord adds a text, unless it is there, and gives its index. There must be room for it.
func (q *Query) addWord(word string) int {
	if i := slices.Index(q.words, word); i >= 0 {
		return i
	}
	i := len(q.words)
	q.words, q.bits = append(q.words, word), append(q.bits, uint8(i)) //nolint:gosec // below MaxWords
	return i
}

// ErrTooManyWords says that filters together look for more texts than Summary.Words has bits.
var ErrTooManyWords = errors.New("too many different texts")

// BindWords gives the filter's texts their places in correlate.Config.Words, beside those of other filters of the same
// run: it gives all with what is missing of Words at its end, and from then on the filter reads bit i of Summary.Words
// for the i-th of that list. The first filter of a run needs no BindWords; each further one gets what the ones before
// it made. More than MaxWords are ErrTooManyWords, and then nothing changes. Like Bind, it must not run at the same
// time as Match.
func (q *Query) BindWords(all []string) ([]string, error) {
	all = slices.Clone(all)
	bits := make([]uint8, len(q.words))
	for i, word := range q.words {
		at := slices.Index(all, word)
		if at < 0 {
			at = len(all)
			all = append(all, word)
		}
		bits[i] = uint8(min(at, MaxWords))
	}
	if len(all) > MaxWords {
		return nil, fmt.Errorf("%w: %d with those of other filters, and %d is the most", ErrTooManyWords, len(all), MaxWords)
	}
	q.bits = bits
	return all, nil
}

// hasWord reports whether the i-th of Words occurred in a message of the call.
func (q *Query) hasWord(i int, s *correlate.Summary) bool { return s.Words&(1<<q.bits[i]) != 0 }

// Headers lists the names of the headers whose first value in the call the filter reads, as the filter writes them.
// Add them to correlate.Config.Headers, then tell Bind the whole list.
func (q *Query) Headers() []string { return slices.Clone(q.headers) }

// Bind says which header each of Summary.Columns is: the list that correlate.Config.Headers got. Names are compared
// whatever their case (RFC 3261 7.3.1). A header that is not in the list is empty for every call. Bind must not run
// at the same time as Match.
func (q *Query) Bind(columns []string) {
	for i, header := range q.headers {
		q.columns[i] = slices.IndexFunc(columns, func(c string) bool { return strings.EqualFold(c, header) })
	}
}

// Match reports whether the filter holds for a call. It may run in several goroutines at the same time.
func (q *Query) Match(s *correlate.Summary) bool {
	switch {
	case q.program != nil:
		return q.run(s)
	case len(q.words) > 0:
		return q.hasWord(0, s) != q.invert
	default:
		return true
	}
}

// run evaluates the program with a runner that no other goroutine has.
func (q *Query) run(s *correlate.Summary) bool {
	r, ok := q.runners.Get().(*runner)
	if !ok {
		r = q.newRunner()
	}
	holds := q.evaluate(r, s)
	q.runners.Put(r)
	return holds
}

func (q *Query) newRunner() *runner {
	return &runner{env: make(map[string]any, len(q.slots)), last: make([]any, len(q.slots))}
}

// evaluate cannot fail with the operators that the resolver lets through; should it nevertheless, the call does not
// match, inverted or not.
func (q *Query) evaluate(r *runner, s *correlate.Summary) bool {
	for i := range q.slots {
		if v := q.slots[i].value(q, s, r.last[i]); v != nil {
			r.last[i] = v
			r.env[q.slots[i].name] = v
		}
	}
	out, err := r.vm.Run(q.program, r.env)
	if err != nil {
		return false
	}
	holds, ok := out.(bool)
	return ok && holds != q.invert
}

// column is the value of the i-th of Headers in a call.
func (q *Query) column(i int, s *correlate.Summary) string {
	if c := q.columns[i]; c >= 0 && c < len(s.Columns) {
		return s.Columns[c]
	}
	return ""
}
