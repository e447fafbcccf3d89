package scenario

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrDiverged says that other messages were seen than a flow has.
var ErrDiverged = errors.New("the flow went another way")

// Seen is a message that was seen between two hosts.
type Seen struct {
	Seq      uint64 // of its packet
	From, To string // names of hosts, or addresses of others
	Method   string // of the request, or of the CSeq in a response
	Status   int    // 0 for a request
	URI      string // Request-URI
	Again    bool   // it is a retransmission
}

// String says what was seen as a step does.
func (s *Seen) String() string {
	what := s.Method + " " + s.URI
	if s.Status > 0 {
		what = strconv.Itoa(s.Status) + " " + s.Method
	}
	return s.From + " -> " + s.To + " " + what
}

// is reports whether the message is what the step says.
func (s *Seen) is(step *Step) bool {
	if s.From != step.From || s.To != step.To {
		return false
	}
	name, rest, more := strings.Cut(step.What, " ")
	if s.Status > 0 {
		return name == strconv.Itoa(s.Status) && (!more || rest == s.Method)
	}
	return name == s.Method && (!more || rest == s.URI)
}

// Match finds the step of each message, -1 for none. With order, messages must come as the steps do. Without, as on real
// sockets, where two hosts may act at the same time and a busy machine makes retransmissions, only each hop keeps its
// order, and a retransmission may have no step. The first difference is the error.
func (f *Flow) Match(seen []Seen, order bool) ([]int, error) {
	m := matching{steps: f.Steps, taken: make([]bool, len(f.Steps))}
	steps := make([]int, len(seen))
	var failed error
	for i := range seen {
		s := &seen[i]
		steps[i] = m.find(s)
		switch k := steps[i]; {
		case failed != nil || k < 0 && !order && s.Again:
		case k < 0:
			failed = fmt.Errorf("%w: message %d, %s, is no step", ErrDiverged, i+1, s)
		case order && k != i:
			failed = fmt.Errorf("%w: message %d is %s; step %d is %s", ErrDiverged, i+1, s, i+1, &f.Steps[i])
		}
	}
	if failed == nil && m.next < len(m.steps) {
		failed = fmt.Errorf("%w: step %d, %s, was not seen", ErrDiverged, m.next+1, &f.Steps[m.next])
	}
	return steps, failed
}

// matching is which steps have been seen.
type matching struct {
	steps []Step
	taken []bool
	next  int // the first that was not
}

// find takes the first step that is the message, and gives its index, or -1.
func (m *matching) find(s *Seen) int {
	for k := m.next; k < len(m.steps); k++ {
		if m.taken[k] || !s.is(&m.steps[k]) {
			continue
		}
		m.taken[k] = true
		for m.next < len(m.taken) && m.taken[m.next] {
			m.next++
		}
		return k
	}
	return -1
}
