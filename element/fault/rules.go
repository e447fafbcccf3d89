package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"sipscope/decode/sip"
)

// ErrRule says that a rule cannot be read.
var ErrRule = errors.New("bad fault rule")

// Help says what the flag --fault takes.
const Help = `Faults, separated by commas: ACTION[-in|-out]=ARGUMENT[@SELECTOR]...

  drop=SELECTOR             messages get lost
  duplicate=SELECTOR        messages go twice
  reorder=SELECTOR          messages wait until another has overtaken them, 100 ms at most
  delay=TIME, TIME-TIME     messages are late: 50ms, 1s, 20ms-80ms
  answer=CODE               requests that come in get this response at once, and are not looked at
  mangle=HEADER[:MODE]      MODE remove, duplicate, or garble (which is meant when none is given)

A selector says which messages, all without one:
  10%                a share of them, by chance
  3, 2-5, 4-         the third; the second to the fifth; all from the fourth on
  INVITE             requests of that method; together with a status, the responses to it
  1xx ... 6xx, s180  responses of that class, or with that status
  request, response

Several selectors narrow it down, and numbers count what the others leave, each direction by itself.
With -in a rule is for what is received, with -out for what is sent, else for both.

  drop=10%             one message in ten gets lost, each way
  drop-out=ACK@1       the first ACK is not sent
  drop-in=INVITE@2xx   no 2xx of an INVITE arrives
  delay=50ms@20%       one message in five is 50 ms late
  answer=503@INVITE@30%
  mangle-out=Call-ID:remove@BYE
`

// Action is what a rule does.
type Action uint8

// Actions.
const (
	Drop Action = iota + 1
	Delay
	Duplicate
	Reorder
	Answer
	Mangle
)

var actionNames = [...]string{"", "drop", "delay", "duplicate", "reorder", "answer", "mangle"} //nolint:gochecknoglobals // read-only table

// Direction is which messages a rule is for.
type Direction uint8

// Directions, as the handler sees it.
const (
	Both Direction = iota
	In
	Out
)

var directionNames = [...]string{"", "-in", "-out"} //nolint:gochecknoglobals // read-only table

// Mode is what Mangle does to a header.
type Mode uint8

// Modes.
const (
	Garble Mode = iota // some of its value's characters are others
	Remove
	Repeat // its line is there twice
)

var modeNames = [...]string{"garble", "remove", "duplicate"} //nolint:gochecknoglobals // read-only table

// Rule is one fault. The zero values of what selects select all.
type Rule struct {
	Action    Action
	Direction Direction

	Share       float64 // 0 to 1; 0 stands for all
	First, Last int     // numbers of messages, 1-based; Last 0: no end; First 0: all
	Method      string
	Class       int  // 1 to 6, of a status
	Status      int  // a status code
	Requests    bool // only these
	Responses   bool

	Delay, Spread int64  // ns: Delay to Delay+Spread
	Code          int    // of Answer
	Header        string // of Mangle
	Mode          Mode
}

const maxDelay = int64(time.Hour)

// Rules is a list of faults, and the value of a flag (flag.Value, pflag.Value) that may be given several times.
type Rules []Rule

// Parse reads rules that commas separate: see Help. The error wraps ErrRule, and says what was expected.
func Parse(s string) (Rules, error) {
	var rules Rules
	for text := range strings.SplitSeq(s, ",") {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		r, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// Set adds rules.
func (r *Rules) Set(s string) error {
	more, err := Parse(s)
	if err == nil {
		*r = append(*r, more...)
	}
	return err
}

// Type names what the flag takes.
func (*Rules) Type() string { return "fault" }

// String is what Parse reads.
func (r *Rules) String() string {
	var b strings.Builder
	for i := range *r {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString((*r)[i].String())
	}
	return b.String()
}

func bad(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrRule)
}

func parseRule(text string) (r Rule, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return r, bad("want ACTION=ARGUMENT")
	}
	for d, suffix := range directionNames[1:] {
		if rest, found := strings.CutSuffix(name, suffix); found {
			name, r.Direction = rest, Direction(d+1)
			break
		}
	}
	for a, n := range actionNames {
		if a > 0 && n == name {
			r.Action = Action(a)
		}
	}
	if r.Action == 0 {
		return r, bad("%q: want drop, delay, duplicate, reorder, answer or mangle", name)
	}
	selectors := strings.Split(value, "@")
	switch r.Action {
	case Delay, Answer, Mangle:
		if err = r.argument(selectors[0]); err != nil {
			return r, err
		}
		selectors = selectors[1:]
	default:
	}
	for _, s := range selectors {
		if err = r.selector(s); err != nil {
			return r, err
		}
	}
	return r, r.check()
}

// argument reads what an action needs to know.
func (r *Rule) argument(s string) (err error) {
	switch r.Action {
	case Delay:
		from, to, ranged := strings.Cut(s, "-")
		if r.Delay, err = parseDelay(from); err != nil || !ranged {
			return err
		}
		end, err := parseDelay(to)
		if err == nil && end < r.Delay {
			err = bad("%s: want the shorter time first", s)
		}
		r.Spread = end - r.Delay
		return err
	case Answer:
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n < 100 || n > 699 {
			return bad("%q: want a status code, 100 to 699", s)
		}
		r.Code = int(n)
	case Mangle:
		return r.header(s)
	default:
	}
	return nil
}

// header reads "NAME" or "NAME:MODE".
func (r *Rule) header(s string) error {
	name, mode, given := strings.Cut(s, ":")
	if !isToken(name) {
		return bad("%q: want the name of a header", name)
	}
	r.Header = name
	for m, n := range modeNames {
		if n == mode {
			r.Mode = Mode(m)
			return nil
		}
	}
	if given {
		return bad("%q: want remove, garble or duplicate", mode)
	}
	return nil
}

func parseDelay(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || int64(d) > maxDelay {
		return 0, bad("%q: want a time up to an hour, such as 50ms", s)
	}
	return int64(d), nil
}

// selector reads one selector.
func (r *Rule) selector(s string) error {
	switch {
	case s == "":
		return bad("want a selector, such as 10%% or 3 or INVITE")
	case s[len(s)-1] == '%':
		return r.share(s[:len(s)-1])
	case s[0] >= '0' && s[0] <= '9':
		return r.digits(s)
	case s == "request":
		r.Requests = true
	case s == "response":
		r.Responses = true
	case isToken(s):
		if n, ok := parseStatus(s); ok {
			r.Status = n
		} else {
			r.Method = s
		}
	default:
		return bad("%q: want a share, a number, a method or a status", s)
	}
	return nil
}

// parseStatus reads "s180".
func parseStatus(s string) (int, bool) {
	if len(s) != 4 || s[0] != 's' {
		return 0, false
	}
	n, err := strconv.ParseUint(s[1:], 10, 16)
	return int(n), err == nil && n >= 100 && n <= 699
}

func (r *Rule) share(s string) error {
	p, err := strconv.ParseFloat(s, 64)
	if err != nil || !(p > 0 && p <= 100) {
		return bad("%q%%: want more than 0%% and at most 100%%", s)
	}
	r.Share = p / 100
	return nil
}

// digits reads "2xx", "3", "2-5" or "4-".
func (r *Rule) digits(s string) error {
	if strings.HasSuffix(s, "xx") {
		if len(s) != 3 || s[0] < '1' || s[0] > '6' {
			return bad("%q: want 1xx to 6xx", s)
		}
		r.Class = int(s[0] - '0')
		return nil
	}
	from, to, ranged := strings.Cut(s, "-")
	first, err := strconv.ParseUint(from, 10, 31)
	last := first
	if err == nil && ranged {
		last = 0
		if to != "" {
			last, err = strconv.ParseUint(to, 10, 31)
		}
	}
	if err != nil || first == 0 || last < first && (!ranged || to != "") {
		return bad("%q: want a number from 1 on, or a range such as 2-5 or 4-", s)
	}
	r.First, r.Last = int(first), int(last)
	return nil
}

// check finds what does not go together.
func (r *Rule) check() error {
	status := r.Class != 0 || r.Status != 0
	switch {
	case r.Requests && (r.Responses || status):
		return bad("requests have no status")
	case r.Class != 0 && r.Status != 0:
		return bad("want a class or a status, not both")
	case r.Action != Answer:
		return nil
	case r.Direction == Out:
		return bad("only requests that come in can be answered")
	case r.Responses || status:
		return bad("responses cannot be answered")
	case r.Method == "ACK":
		return bad("an ACK is not answered")
	}
	r.Direction = In
	return nil
}

// isToken reports whether s is a token (RFC 3261 25.1).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("-.!%*_+`'~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// String is what Parse reads.
func (r *Rule) String() string {
	name := actionNames[r.Action] + directionNames[r.Direction] + "="
	var parts []string
	switch r.Action {
	case Delay:
		text := time.Duration(r.Delay).String()
		if r.Spread > 0 {
			text += "-" + time.Duration(r.Delay+r.Spread).String()
		}
		parts = append(parts, text)
	case Answer:
		parts = append(parts, strconv.Itoa(r.Code))
	case Mangle:
		parts = append(parts, r.Header+":"+modeNames[r.Mode])
	default:
	}
	return name + strings.Join(r.selectors(parts), "@")
}

func (r *Rule) selectors(parts []string) []string {
	for _, s := range []struct {
		given bool
		text  string
	}{
		{r.Requests, "request"},
		{r.Responses, "response"},
		{r.Method != "", r.Method},
		{r.Class != 0, strconv.Itoa(r.Class) + "xx"},
		{r.Status != 0, "s" + strconv.Itoa(r.Status)},
		{r.First != 0 && r.First == r.Last, strconv.Itoa(r.First)},
		{r.First != 0 && r.Last == 0, strconv.Itoa(r.First) + "-"},
		{r.First != 0 && r.Last > r.First, strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Last)},
		{r.Share != 0, strconv.FormatFloat(r.Share*100, 'g', -1, 64) + "%"},
	} {
		if s.given {
			parts = append(parts, s.text)
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "100%")
	}
	return parts
}

// selects reports whether the rule is for a message. count is how many it chose from in that direction so far.
func (r *Rule) selects(dir Direction, m *sip.Message, count *int, rng *rand.Rand) bool {
	if r.Direction != Both && r.Direction != dir || !r.kind(m) {
		return false
	}
	*count++
	if r.First != 0 && (*count < r.First || r.Last != 0 && *count > r.Last) {
		return false
	}
	return r.Share == 0 || rng.Float64() < r.Share
}

// kind asks the selectors that look at the message alone.
func (r *Rule) kind(m *sip.Message) bool {
	if r.Action == Answer && !r.answers(m) || r.Requests && !m.Request || r.Responses && m.Request {
		return false
	}
	status := int(m.Status)
	if r.Class != 0 && status/100 != r.Class || r.Status != 0 && status != r.Status {
		return false
	}
	return r.Method == "" || r.method(m)
}

// method reports whether m is a request of the rule's method or, where the rule asks for responses, a response to one.
func (r *Rule) method(m *sip.Message) bool {
	return (m.Request || r.Class != 0 || r.Status != 0 || r.Responses) && string(m.Method.Of(m.Raw)) == r.Method
}

// answers reports whether m is a request that is answered; a CANCEL is not, unless the rule says so: it goes where the
// request went that it belongs to.
func (r *Rule) answers(m *sip.Message) bool {
	return m.Request && m.MethodID != sip.MethodAck && (m.MethodID != sip.MethodCancel || r.Method != "")
}
