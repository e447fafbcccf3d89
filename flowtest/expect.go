package flowtest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Expectation is an expect line: what must be found in the flow's capture.
type Expectation struct {
	Kind   string // "messages", "methods", "call", ...
	Num    int    // the count, or which call, 1-based
	Values map[string]string
	Line   int // of the flow, 1-based
}

// Observed is what was found in a capture, filled by the test of who found it.
type Observed struct {
	// Counts has "messages", "callids", "retransmissions", "duplicates" and "gaps".
	Counts map[string]uint64
	// Tables has "methods" (requests by method), "statuses" (responses by code), "transactions" (distinct ones by
	// method, ACK not among them), "outcomes" (packets) and "dialogs" (of INVITE: "confirmed" by a 2xx, "early" with a
	// 101-199). What did not occur may be 0 or absent.
	Tables map[string]map[string]uint64
	// Rows has "call" and "registration": row N-1 belongs to the Nth Call-ID. Durations are written as
	// time.Duration.String does; what is not known is "".
	Rows map[string][]map[string]string
}

// tolerance is how far a duration may be off: the frame that completes a message may come a little later.
const tolerance = time.Millisecond

// shape is what follows the kind of an expectation.
type shape uint8

const (
	shapeNone  shape = iota
	shapeCount       // N
	shapeTable       // NAME=N ...: all that there are
	shapeSome        // NAME=N ...: these among others
	shapeRow         // N KEY=VALUE ...
)

func shapeOf(kind string) shape {
	switch kind {
	case "messages", "callids", "retransmissions", "duplicates", "gaps":
		return shapeCount
	case "methods", "statuses", "transactions", "outcomes":
		return shapeTable
	case "dialogs":
		return shapeSome
	case "call", "registration":
		return shapeRow
	}
	return shapeNone
}

// rowKeys lists what can be expected of a call or registration.
func rowKeys(kind string) []string {
	if kind == "registration" {
		return []string{"aor", "contact", "contacts", "expires", "refreshes", "challenges", "removed"}
	}
	return []string{
		"callid", "method", "state", "code", "reason", "cause", "ruri", "src", "dst",
		"from.user", "from.host", "from.display", "from.uri", "to.user", "to.host", "to.display", "to.uri",
		"messages", "retransmissions", "duplicates", "transactions", "dialogs", "early", "hops", "gaps",
		"pdd", "setup", "duration", "released_by", "ended_by", "user_agent", "server", "group", "relation",
	}
}

// parseExpect reads what follows "expect".
func parseExpect(args []token) (Expectation, error) {
	e := Expectation{}
	if len(args) < 2 || args[0].key != "" {
		return e, errors.New("want: expect KIND, and N, or NAME=N, or N KEY=VALUE")
	}
	e.Kind = args[0].text
	sh := shapeOf(e.Kind)
	args = args[1:]
	switch sh {
	case shapeNone:
		return e, fmt.Errorf("expect: no kind %q", e.Kind)
	case shapeCount:
		return e, e.number(args, 0, len(args) == 1)
	case shapeRow:
		if err := e.number(args, 1, true); err != nil {
			return e, err
		}
		args = args[1:]
	case shapeTable, shapeSome:
	}
	e.Values = map[string]string{}
	for _, t := range args {
		if err := e.value(sh, t); err != nil {
			return e, err
		}
	}
	if len(e.Values) == 0 {
		return e, fmt.Errorf("expect %s: nothing is expected", e.Kind)
	}
	return e, nil
}

// number reads the count, or which call.
func (e *Expectation) number(args []token, least int, alone bool) error {
	n, err := number(args[0].text, least, 1<<31-1)
	if err != nil || args[0].key != "" || !alone {
		return fmt.Errorf("expect %s: want a number first", e.Kind)
	}
	e.Num = n
	return nil
}

func (e *Expectation) value(sh shape, t token) error {
	if _, again := e.Values[t.key]; t.key == "" || again {
		return fmt.Errorf("expect %s: %q: want NAME=VALUE, each name once", e.Kind, t.key+t.text)
	}
	if sh == shapeRow {
		if !slices.Contains(rowKeys(e.Kind), t.key) {
			return fmt.Errorf("expect %s: no key %s", e.Kind, t.key)
		}
	} else if _, err := strconv.ParseUint(t.text, 10, 32); err != nil {
		return fmt.Errorf("expect %s: %s=%s: want a number", e.Kind, t.key, t.text)
	}
	e.Values[t.key] = t.text
	return nil
}

// Check compares what was found with what was expected, and gives a line for each difference, in the order of exps.
// Something expected that got says nothing about is a difference, too.
func Check(exps []Expectation, got Observed) []string {
	var diffs []string
	for i := range exps {
		e := &exps[i]
		for _, d := range e.check(&got) {
			diffs = append(diffs, fmt.Sprintf("line %d: %s %s", e.Line, e.Kind, d))
		}
	}
	return diffs
}

func (e *Expectation) check(got *Observed) []string {
	switch sh := shapeOf(e.Kind); sh {
	case shapeCount:
		n, ok := got.Counts[e.Kind]
		if !ok {
			return []string{"is not told"}
		}
		if n != uint64(e.Num) {
			return []string{fmt.Sprintf("are %d, want %d", n, e.Num)}
		}
	case shapeTable, shapeSome:
		return e.checkTable(got.Tables[e.Kind], sh == shapeTable)
	case shapeRow:
		rows := got.Rows[e.Kind]
		if e.Num > len(rows) || rows[e.Num-1] == nil {
			return []string{fmt.Sprintf("%d was not found among %d", e.Num, len(rows))}
		}
		return e.checkRow(rows[e.Num-1])
	case shapeNone:
		return []string{"is no kind of expectation"}
	}
	return nil
}

func (e *Expectation) checkTable(got map[string]uint64, whole bool) []string {
	if got == nil {
		return []string{"are not told"}
	}
	var diffs []string
	for _, name := range slices.Sorted(maps.Keys(e.Values)) {
		if n := strconv.FormatUint(got[name], 10); n != e.Values[name] {
			diffs = append(diffs, fmt.Sprintf("%s=%s, want %s", name, n, e.Values[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := e.Values[name]; whole && !ok && got[name] != 0 {
			diffs = append(diffs, fmt.Sprintf("%s=%d, want none", name, got[name]))
		}
	}
	return diffs
}

func (e *Expectation) checkRow(got map[string]string) []string {
	var diffs []string
	for _, key := range slices.Sorted(maps.Keys(e.Values)) {
		have, ok := got[key]
		switch want := e.Values[key]; {
		case !ok:
			diffs = append(diffs, fmt.Sprintf("%d: %s is not told", e.Num, key))
		case !same(have, want):
			diffs = append(diffs, fmt.Sprintf("%d: %s=%s, want %s", e.Num, key, quote(have), quote(want)))
		}
	}
	return diffs
}

// same compares two values; durations may differ by the tolerance.
func same(have, want string) bool {
	if have == want {
		return true
	}
	h, err := time.ParseDuration(have)
	if err != nil {
		return false
	}
	w, err := time.ParseDuration(want)
	return err == nil && (h-w).Abs() <= tolerance
}

func quote(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\"") || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}
