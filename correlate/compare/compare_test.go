package compare_test

import (
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sipscope/correlate/compare"
	"sipscope/decode/sip"
)

// message makes a message of lines: those up to an empty one are the head. A head without a start line gets one.
func message(tb testing.TB, text string) *sip.Message {
	tb.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	if !sip.IsStart([]byte(head + "\n")) {
		head = strings.TrimSuffix("OPTIONS sip:b SIP/2.0\n"+head, "\n")
	}
	raw := strings.ReplaceAll(head+"\n\n"+body, "\n", "\r\n")
	var m sip.Message
	if err := sip.Parse([]byte(raw), &m); err != nil {
		tb.Fatal(err)
	}
	return &m
}

// notation writes what differs, a line each:
//
//	~ text           changed in meaning, = changed in spelling or as expected, with (why)
//	+ text, - text   only in b, only in a; with (why) when it means nothing
//	> text           moved
//	[a→b]            what is marked, of each side
//
// Same lines are left out.
func notation(r *compare.Result) []string {
	var out []string
	for _, l := range r.Lines {
		why := ""
		if l.Why != "" {
			why = " (" + l.Why + ")"
		}
		switch l.Change {
		case compare.Same:
		case compare.Added:
			out = append(out, "+ "+marked(l.B)+why)
		case compare.Removed:
			out = append(out, "- "+marked(l.A)+why)
		case compare.Moved:
			out = append(out, "> "+compare.Text(l.A))
		case compare.Changed:
			sign := "= "
			if l.Meaning {
				sign = "~ "
			}
			out = append(out, sign+marked(l.A)+" → "+marked(l.B)+why)
		}
	}
	return out
}

// marked writes spans; one that is marked from end to end is plain.
func marked(spans []compare.Span) string {
	var b strings.Builder
	for _, s := range spans {
		if s.Differs && len(spans) > 1 {
			b.WriteString("[" + s.Text + "]")
			continue
		}
		b.WriteString(s.Text)
	}
	return b.String()
}

// row is a line of a table of comparisons.
type row struct {
	name   string
	a, b   string
	ignore bool
	want   []string
}

func runTable(t *testing.T, table []row) {
	t.Helper()
	for _, tt := range table {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := message(t, tt.a), message(t, tt.b)
			opts := compare.Options{Ignore: tt.ignore}
			r := compare.Messages(a, b, opts)
			if diff := gocmp.Diff(tt.want, notation(&r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkAll(t, a, b, opts)
		})
	}
}

// seeds gives the pairs of all tables.
func seeds() [][2]string {
	var all [][2]string
	for _, table := range [][]row{startTable(), headerTable(), alignTable(), ignoreTable(), sdpTable(), bodyTable()} {
		for _, tt := range table {
			pair := [2]string{tt.a, tt.b}
			for i, text := range pair {
				head, body, _ := strings.Cut(text, "\n\n")
				if !sip.IsStart([]byte(head + "\n")) {
					head = strings.TrimSuffix("OPTIONS sip:b SIP/2.0\n"+head, "\n")
				}
				pair[i] = strings.ReplaceAll(head+"\n\n"+body, "\n", "\r\n")
			}
			all = append(all, pair)
		}
	}
	return all
}

// TestNil holds that messages that were not parsed are empty ones.
func TestNil(t *testing.T) {
	t.Parallel()
	m := message(t, "To: <sip:b>")
	if r := compare.Messages(nil, nil, compare.Options{}); len(r.Lines) != 0 {
		t.Errorf("two empty messages: %+v", r.Lines)
	}
	if r := compare.Messages(nil, m, compare.Options{}); r.Differences != 2 || r.Lines[0].Change != compare.Added {
		t.Errorf("an empty message and another: %+v", r)
	}
	checkAll(t, m, &sip.Message{}, compare.Options{})
}

// long is a head of n lines.
func long(n int, line func(i int) string) string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line(i)
	}
	return strings.Join(lines, "\n")
}

// TestBounds holds that what is beyond the bounds is compared too, if less well.
func TestBounds(t *testing.T) {
	t.Parallel()
	number := func(prefix string, step int) func(int) string {
		return func(i int) string { return prefix + strconv.Itoa(i*step) }
	}
	for _, tt := range []struct{ name, a, b string }{
		{"headers", long(5000, number("Z: ", 1)), long(5000, number("Z: ", 2))},
		{"names", long(3000, number("X-", 1)), long(3000, number("X-", 2))},
		{"text", "\n\n" + long(2500, number("", 1)), "\n\n" + long(2500, number("", 3))},
		{"long lines", "Z: " + strings.Repeat("a b ", 9000), "Z: " + strings.Repeat("b c a ", 9000)},
		{"list", "Route: " + strings.Repeat("<sip:a>,", 7000), "Route: " + strings.Repeat("<sip:a>,<sip:b>,", 3500)},
		{"parameters", "To: <sip:a>" + strings.Repeat(";a=1", 9000), "To: <sip:a>" + strings.Repeat(";a=2;b", 9000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkAll(t, message(t, tt.a), message(t, tt.b), compare.Options{})
		})
	}
}

// place is where a line of a comparison stands.
type place struct {
	Change   compare.Change
	Section  compare.Section
	Name     string
	NoA, NoB int
}

// TestPlaces holds the order of the lines, their names and their numbers.
func TestPlaces(t *testing.T) {
	t.Parallel()
	a := message(t, "v: SIP/2.0/UDP a, SIP/2.0/UDP b\nTo: <sip:b>\n ;x\nno header\nx-Foo: 1\n"+
		sdpText("v=0\nm=audio 1 RTP/AVP 0\na=mid:1\nm=video 1 RTP/AVP 96\n"))
	b := message(t, "Via: SIP/2.0/UDP b\nVia: SIP/2.0/UDP c\nX-foo: 1\nFrom: <sip:a>\n"+
		sdpText("v=0\nm=video 1 RTP/AVP 96\na=mid:1\nhello\n"))
	want := []place{
		{compare.Same, compare.Start, "", 1, 1},
		{compare.Removed, compare.Header, "Via", 2, 0},
		{compare.Changed, compare.Header, "Via", 2, 2},
		{compare.Added, compare.Header, "Via", 0, 3},
		{compare.Removed, compare.Header, "To", 3, 0},
		{compare.Removed, compare.Header, "", 4, 0},
		{compare.Changed, compare.Header, "x-Foo", 5, 4},
		{compare.Added, compare.Header, "From", 0, 5},
		{compare.Same, compare.Header, "Content-Type", 6, 6},
		{compare.Same, compare.SDP, "v", 8, 8},
		{compare.Removed, compare.SDP, "m0", 9, 0},
		{compare.Removed, compare.SDP, "a0", 10, 0},
		{compare.Same, compare.SDP, "m1", 11, 9},
		{compare.Added, compare.SDP, "a0", 0, 10},
		{compare.Added, compare.SDP, "", 0, 11},
	}
	var got []place
	for _, l := range compare.Messages(a, b, compare.Options{}).Lines {
		got = append(got, place{l.Change, l.Section, l.Name, l.NoA, l.NoB})
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStrings(t *testing.T) {
	t.Parallel()
	var got []string
	for c := range compare.Moved + 2 {
		got = append(got, c.String())
	}
	for s := range compare.SDP + 2 {
		got = append(got, s.String())
	}
	want := strings.Fields("invalid same changed added removed moved invalid invalid start header body sdp invalid")
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestGoodAndBad compares the INVITE of a call with that of another: what differs in any two calls is not counted.
func TestGoodAndBad(t *testing.T) {
	t.Parallel()
	a, b := message(t, invite(1)), message(t, invite(2))
	r := compare.Messages(a, b, compare.Options{Ignore: true})
	if want := 1; r.Differences != want || r.Expected != 6 || r.Spelling != 0 {
		t.Errorf("%d differences, %d expected, %d of spelling: %q", r.Differences, r.Expected, r.Spelling, notation(&r))
	}
	r = compare.Messages(a, b, compare.Options{})
	if r.Differences != 7 || r.Expected != 0 {
		t.Errorf("counting all: %d differences, %d expected: %q", r.Differences, r.Expected, notation(&r))
	}
}
