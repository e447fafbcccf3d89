package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// call is the one that most tables look at.
func call() correlate.Summary {
	return correlate.Summary{
		Num: 7, CallID: "abc@10.0.0.1", Method: "INVITE", State: correlate.StateBusy,
		First: 1714564800_000000000, Last: 1714564805_000000000, // 2024-05-01 12:00:00 UTC and 5 s later
		From: correlate.Party{Display: "Alice", User: "1001", Host: "example.com", URI: "sip:1001@example.com"},
		To:   correlate.Party{User: "2002", Host: "example.org", URI: "sip:2002@example.org;user=phone"},
		RURI: "sip:2002@example.org", Code: 486, Reason: "Busy Here", Cause: 17,
		Src: frame.Endpoint4([]byte{10, 0, 0, 1}, 5060), Dst: frame.Endpoint6(v6(), 5070),
		Messages: 12, Retransmissions: 3, Duplicates: 1, Transactions: 4, Dialogs: 0, EarlyDialogs: 2, Hops: 2,
		Gaps: 1, Diags: 5,
		PDD: 250e6, Setup: -1, Duration: -1, ReleasedBy: frame.Endpoint4([]byte{10, 0, 0, 1}, 5060),
		EndedBy:   correlate.Callee,
		UserAgent: "Linphone/5.2", Server: "Asterisk PBX 18", Transports: 1<<decode.UDP | 1<<decode.TLS,
		Columns: []string{"x", "4711"}, Words: 1, Group: 3, Relation: "b2bua",
		Tunnels: []string{"vlan:100/vxlan:5001", "gre:7"},
	}
}

func v6() []byte { return []byte{0x20, 0x01, 0x0d, 0xb8, 15: 1} }

func mustCompile(t *testing.T, src string, opts Options) *Query {
	t.Helper()
	q, err := Compile(src, opts)
	if err != nil {
		t.Fatalf("Compile(%q): %v", src, err)
	}
	return q
}

func TestMatch(t *testing.T) {
	t.Parallel()
	s := call()
	for _, tt := range []struct {
		src  string
		want bool
	}{
		{``, true},
		{`true`, true},
		{`false`, false},
		{`num == 7`, true},
		{`method == "INVITE" && status >= 400 && from.user startsWith "100"`, true},
		{`method == "invite"`, false},
		{`state == "busy"`, true},
		{`state == "BUSY"`, true},
		{`state in ["failed", "Busy"]`, true},
		{`state not in ["failed"]`, true},
		{`not (state == "busy")`, false},
		{`answered`, false},
		{`!answered`, true},
		{`status == 486`, true},
		{`code == 486`, true},
		{`status in 400..499`, true},
		{`status not in 400..499`, false},
		{`status in [404, 486]`, true},
		{`status in [404, 487]`, false},
		{`400 <= status < 500`, true},
		{`400 <= status < 486`, false},
		{`class == 4`, true},
		{`reason contains "Busy"`, true},
		{`cause == 17`, true},
		{`ended_by == "callee"`, true},
		{`callid endsWith "@10.0.0.1"`, true},
		{`call_id == 'abc@10.0.0.1'`, true},
		{`tunnels contains "vxlan"`, true},
		{`tunnels contains "vxlan:5002"`, false},
		{`tunnels endsWith "gre:7"`, true},
		{`tunnels == ""`, false},
		{`tunnels matches "(^|/|,)gre:"`, true},
		{`ua matches "^Linphone/[0-9]"`, true},
		{`ua matches "^linphone"`, false},
		{`ua not matches "^linphone"`, true},
		{`user_agent startsWith "Linphone"`, true},
		{`server contains "Asterisk"`, true},
		{`group == 3 and relation == "b2bua"`, true},
		{`from == "1001@example.com"`, true},
		{`from.name == "Alice" and from.host == "example.com" and from.uri == "sip:1001@example.com"`, true},
		{`to.user == "2002" and to.name == "" and to.uri endsWith "phone"`, true},
		{`ruri == "sip:2002@example.org"`, true},
		{`from.user < to.user`, true},
		{`from.user in ["1001", "1002"]`, true},
		{`lower(from.name) == "alice" and upper(from.name) == "ALICE" and len(from.user) == 4`, true},
		{`trim(reason) == reason`, true},

		{`src == "10.0.0.1"`, true},
		{`src == "10.0.0.1:5060"`, true},
		{`src == "10.0.0.1:5061"`, false},
		{`src != "10.0.0.1:5061"`, true},
		{`"10.0.0.1" == src`, true},
		{`source.ip == "10.0.0.1"`, true},
		{`src in "10.0.0.0/8"`, true},
		{`src not in "10.0.0.0/8"`, false},
		{`src in ["192.0.2.1", "10.0.0.0/24"]`, true},
		{`src.ip in "10.0.0.2"`, false},
		{`src == "10.0.0.7/8"`, true},
		{`dst == "2001:DB8:0::1"`, true},
		{`dst == "[2001:db8::1]:5070"`, true},
		{`dst in "2001:db8::/32"`, true},
		{`dst.ip == "2001:db8::1" and destination.port == 5070`, true},
		{`dst.ip startsWith "2001:"`, true},
		{`src contains ":5060"`, true},
		{`ip("10.0.0.1")`, true},
		{`ip("2001:db8::/64")`, true},
		{`ip("192.0.2.1", "10.0.0.0/8")`, true},
		{`ip("192.0.2.1")`, false},
		{`released_by == src`, true},
		{`released_by.port == 5060`, true},

		{`messages == 12 and retransmissions == 3 and duplicates == 1 and transactions == 4`, true},
		{`dialogs == 0 and early_dialogs == 2 and hops == 2 and gaps == 1 and diags == 5`, true},
		{`retransmissions / messages == 0.25`, true},
		{`messages - retransmissions * 2 + 1 > 6`, true},
		{`abs(messages - 20) == 8`, true},

		{`"UDP" in transports`, true},
		{`"tls" in transports`, true},
		{`"TCP" in transports`, false},
		{`len(transport) == 2`, true},

		{`pdd == 0.25`, true},
		{`pdd == 250ms and pdd_ms == 250`, true},
		{`pdd > 150ms`, true},
		{`pdd in 100ms..1s`, true},
		{`pdd in 0.1..0.2`, false},
		{`pdd < 1m30s`, true},

		{`start == "2024-05-01 12:00"`, true},
		{`start >= date("2024-05-01") and end < date("2024-05-01T12:00:06Z")`, true},
		{`start == "2024-05-01T14:00:00+02:00"`, true},
		{`"2024-05-02" < start`, false},
		{`start in "2024-05-01".."2024-05-02"`, true},
		{`end > start`, true},

		{`text("Busy")`, true},
		{`text("Busy") and text("other")`, false},
		{`header("X-Account-ID") == "4711"`, true},
		{`header.X-Account-ID == "4711"`, true},
		{`header["x-account-id"] startsWith "47"`, true},
		{`header.Missing == ""`, true},

		{`"a == b"`, true},         // a text
		{`'say "hello"'`, true},    // a text
		{"`raw \\ text`", true},    // a text
		{`alice`, true},            // a text
		{`Busy Here`, true},        // a text
		{`+4930123`, true},         // a text
		{`10.0.0.1`, true},         // a text
		{`branch=z9hG4bK77`, true}, // a text
		{`alice's phone`, true},    // a text
		{`in`, true},               // a text
		{`150ms`, true},            // a text
		{`tag=1;user!x`, true},     // a text
	} {
		q := mustCompile(t, tt.src, Options{})
		q.Bind([]string{"Other", "X-ACCOUNT-ID"})
		if got := q.Match(&s); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.src, got, tt.want)
		}
		inverted := mustCompile(t, tt.src, Options{Invert: true})
		inverted.Bind([]string{"Other", "X-ACCOUNT-ID"})
		if got := inverted.Match(&s); got == tt.want && tt.src != "" {
			t.Errorf("%s inverted: got %v", tt.src, got)
		}
	}
}

// TestUnknown makes sure that what is not known matches no comparison but !=.
func TestUnknown(t *testing.T) {
	t.Parallel()
	s := correlate.Summary{PDD: -1, Setup: -1, Duration: -1, Cause: -1}
	for _, name := range []string{
		"pdd", "setup", "duration", "pdd_ms", "setup_ms", "duration_ms", "status", "class",
		"cause",
	} {
		for _, tail := range []string{
			"> 0", ">= 0", "< 1", "<= 0", "== 0", "== -1", "< 1e9", "in 0..1000",
			"in [0, 1]",
		} {
			if mustCompile(t, name+" "+tail, Options{}).Match(&s) {
				t.Errorf("%s %s matches an unknown value", name, tail)
			}
		}
		if !mustCompile(t, name+" != 0", Options{}).Match(&s) {
			t.Errorf("%s != 0 does not match an unknown value", name)
		}
	}
	for src, want := range map[string]bool{
		`src == ""`: true, `src == "0.0.0.0"`: false, `src in "0.0.0.0/0"`: false, `dst.ip == "::"`: false,
		`src.port == 0`:     true,
		`released_by == ""`: true, `ip("0.0.0.0/0", "::/0")`: false, `src.ip startsWith "0"`: false, `group == 0`: true,
	} {
		if got := mustCompile(t, src, Options{}).Match(&s); got != want {
			t.Errorf("%s without addresses: got %v, want %v", src, got, want)
		}
	}
}

// TestOrder makes sure that a query gives the same answer whatever it saw before: it keeps values between calls.
func TestOrder(t *testing.T) {
	t.Parallel()
	calls := summaries(300)
	for i := range calls {
		if i%3 == 0 {
			calls[i].PDD = -1
		}
	}
	for _, f := range Fields() {
		used := mustCompile(t, f.Example, Options{})
		for i := range calls {
			if got, want := used.Match(&calls[i]), mustCompile(t, f.Example, Options{}).Match(&calls[i]); got != want {
				t.Fatalf("%s, call %d: got %v, fresh query %v", f.Example, i, got, want)
			}
		}
	}
}

func TestWordsAndHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		src            string
		words, headers []string
	}{
		{``, nil, nil},
		{`alice`, []string{"alice"}, nil},
		{`"Busy Here"`, []string{"Busy Here"}, nil},
		{`"tab\there"`, []string{"tab\there"}, nil},
		{`  10.0.0.1  `, []string{"10.0.0.1"}, nil},
		{`text("a") or text("b") or text("a")`, []string{"a", "b"}, nil},
		{`header.X-A == header("x-a") and header.X-B-1 != ""`, nil, []string{"X-A", "X-B-1"}},
		{`header.X-in-Y == "1" and status - 1 > 2`, nil, []string{"X-in-Y"}},
		{`header["P-Charging-Vector"] contains "a" and text("b")`, []string{"b"}, []string{"P-Charging-Vector"}},
		{`from.user == "header.X-No" and status == 1`, nil, nil},
	} {
		q := mustCompile(t, tt.src, Options{})
		if diff := cmp.Diff(tt.words, q.Words()); diff != "" {
			t.Errorf("%s: words (-want +got)\n%s", tt.src, diff)
		}
		if diff := cmp.Diff(tt.headers, q.Headers()); diff != "" {
			t.Errorf("%s: headers (-want +got)\n%s", tt.src, diff)
		}
		if want := strings.TrimSpace(tt.src); q.String() != want {
			t.Errorf("String() = %q, want %q", q.String(), want)
		}
	}
}

// TestWordBits makes sure that each text has its own bit, the first and the last one.
func TestWordBits(t *testing.T) {
	t.Parallel()
	var parts []string
	for i := range MaxWords {
		parts = append(parts, fmt.Sprintf(`text("word %d")`, i))
	}
	src := strings.Join(parts, " and ")
	q := mustCompile(t, src, Options{})
	for i := range MaxWords {
		if q.Match(&correlate.Summary{Words: ^uint64(0) &^ (1 << i)}) {
			t.Errorf("matches without text %d", i)
		}
	}
	if !q.Match(&correlate.Summary{Words: ^uint64(0)}) {
		t.Error("does not match with all texts")
	}
	if _, err := Compile(src+` and text("one more")`, Options{}); err == nil {
		t.Error("more texts than bits")
	}
}

// Several filters share the bits: each reads its own texts, whatever their places.
func TestBindWords(t *testing.T) {
	t.Parallel()
	first := mustCompile(t, `text("a") and not text("b")`, Options{})
	second := mustCompile(t, `text("c") and text("b")`, Options{})
	bare := mustCompile(t, `c`, Options{})
	inverted := mustCompile(t, `d`, Options{Invert: true})
	all := first.Words()
	for _, q := range []*Query{second, bare, inverted} {
		before := slices.Clone(all)
		got, err := q.BindWords(all)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(all, before) {
			t.Errorf("%s: the list given changed from %q to %q", q, before, all)
		}
		all = got
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, all); diff != "" {
		t.Fatalf("words (-want +got)\n%s", diff)
	}
	for bits := range uint64(16) {
		s := &correlate.Summary{Words: bits}
		a, b, c, d := bits&1 != 0, bits&2 != 0, bits&4 != 0, bits&8 != 0
		for _, tt := range []struct {
			q    *Query
			want bool
		}{{first, a && !b}, {second, c && b}, {bare, c}, {inverted, !d}} {
			if got := tt.q.Match(s); got != tt.want {
				t.Errorf("%s with texts %04b: %v", tt.q, bits, got)
			}
		}
	}
	if diff := cmp.Diff([]string{"c", "b"}, second.Words()); diff != "" {
		t.Errorf("Words after BindWords (-want +got)\n%s", diff)
	}
}

// Bits run out with an error, and then the filter stays as it was.
func TestBindWordsLimit(t *testing.T) {
	t.Parallel()
	var all []string
	for i := range MaxWords - 1 {
		all = append(all, fmt.Sprint("word ", i))
	}
	q := mustCompile(t, `text("x") or text("y")`, Options{})
	if got, err := q.BindWords(all); !errors.Is(err, ErrTooManyWords) || got != nil {
		t.Fatalf("65 texts: %d, %v", len(got), err)
	}
	if !q.Match(&correlate.Summary{Words: 2}) {
		t.Error("a failed BindWords changed the filter")
	}
	last := mustCompile(t, `text("x") or text("word 3")`, Options{})
	got, err := last.BindWords(all)
	if err != nil || len(got) != MaxWords {
		t.Fatalf("64 texts: %d, %v", len(got), err)
	}
	for i := range MaxWords {
		if want := i == 3 || i == MaxWords-1; last.Match(&correlate.Summary{Words: 1 << i}) != want {
			t.Errorf("bit %d: want %v", i, want)
		}
	}
	if got, err := mustCompile(t, `status == 200`, Options{}).BindWords(all); err != nil || len(got) != len(all) {
		t.Errorf("a filter without texts: %d, %v", len(got), err)
	}
}

func TestIgnoreCase(t *testing.T) {
	t.Parallel()
	s := call()
	for src, want := range map[string]bool{
		`ua matches "^linphone"`: true, `ua == "linphone/5.2"`: false, `ua contains "linphone"`: false,
	} {
		if got := mustCompile(t, src, Options{IgnoreCase: true}).Match(&s); got != want {
			t.Errorf("%s: got %v, want %v", src, got, want)
		}
	}
}

func TestInvertEmpty(t *testing.T) {
	t.Parallel()
	if !mustCompile(t, " ", Options{Invert: true}).Match(&correlate.Summary{}) {
		t.Error("an empty filter that is inverted hides calls")
	}
}

// TestBindAgain makes sure that an unbound header is empty and that the last Bind counts.
func TestBindAgain(t *testing.T) {
	t.Parallel()
	q := mustCompile(t, `header.A == "1"`, Options{})
	s := correlate.Summary{Columns: []string{"0", "1"}}
	for i, tt := range []struct {
		columns []string
		want    bool
	}{
		{nil, false},
		{[]string{"A"}, false},
		{[]string{"B", "a"}, true},
		{[]string{"B", "C", "A"}, false},
		{[]string{"B"}, false},
	} {
		if i > 0 {
			q.Bind(tt.columns)
		}
		if got := q.Match(&s); got != tt.want {
			t.Errorf("columns %q: got %v, want %v", tt.columns, got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		src, want string
		column    int
	}{
		{`from.usr == "x"`, `unknown field from.usr: did you mean from.user?`, 0},
		{`status > 1 and form.user == "x"`, `unknown field form.user: did you mean from.user?`, 15},
		{`sttaus > 1`, `unknown field sttaus: did you mean status?`, 0},
		{`x.y.z == 1`, `unknown field x.y.z: see the list of fields: sipscope help filters`, 0},
		{`state == "bussy"`, `unknown state "bussy": did you mean "busy"?`, 9},
		{`ended_by == "me"`, `unknown side "me": one of caller, callee, network`, 12},
		{`"QUIC" in transports`, `unknown transport "QUIC": one of UDP, TCP, TLS, SCTP, WS, WSS`, 0},
		{`status == "486"`, `status is a number: write 486 without quotes`, 10},
		{`from.user == 100`, `from.user is a text: write "100"`, 13},
		{
			`status = 486`, `= compares nothing: write status == 486 to compare, or 'status = 486' to look for the text`,
			7,
		},
		{`status`, `the filter is neither true nor false: compare it, as in status in 400..499 && status != 486, ` +
			`or write "status" to look for the text`, 0},
		{`header.X-A`, `the filter is neither true nor false: compare it with something`, 0},
		{`messages + 1 - (2)`, `the filter is neither true nor false: compare it with something`, 13},
		{`status >`, `the end comes too early: to look for it as a text, write "status >"`, 8},
		{`say "a > b" (x`, `unexpected "a > b": to look for it as a text, write 'say "a > b" (x'`, 4},
		{`x(`, `the end comes too early: to look for it as a text, write "x("`, 2},
		{`status > ü > `, `the end comes too early: to look for it as a text, write "status > ü >"`, 12},
		{`"Busy`, `the quote is never closed`, 0},
		{`""`, `the text is empty: every message holds it`, 0},
		{`"a\qb"`, `invalid char escape`, 3},
		{`status == 486 // no`, `a filter has no comments: to look for it as a text, write "status == 486 // no"`, 14},
		{
			`repeat("a", 3) == ""`,
			`unknown function repeat: there are text, header, ip, date, lower, upper, trim, len, abs`, 0,
		},
		{`Text("a") and true`, `unknown function Text: did you mean text?`, 0},
		{`any([1], {# > 0})`, `unknown function any: did you mean abs?`, 0},
		{`text(from.user) and true`, `text takes a text in quotes`, 0},
		{`text("a", "b")`, `text takes one text in quotes`, 0},
		{`header("") == "x"`, `the header has no name`, 0},
		{`text("")`, `the text is empty: every message holds it`, 0},
		{`lower() == "x"`, `lower takes one value`, 0},
		{
			`src == "10.0.0.300"`,
			`unreadable address "10.0.0.300": write "10.0.0.1", "10.0.0.1:5060", "10.0.0.0/8" or "2001:db8::/32"`, 7,
		},
		{
			`src.ip == "10.0.0.1:5060"`,
			`unreadable address "10.0.0.1:5060": write "10.0.0.1", "10.0.0.0/8" or "2001:db8::/32"`, 10,
		},
		{
			`src == "fe80::1%eth0"`,
			`unreadable address "fe80::1%eth0": write "10.0.0.1", "10.0.0.1:5060", "10.0.0.0/8" or "2001:db8::/32"`, 7,
		},
		{`src in [5060]`, `an address stands in quotes: write "10.0.0.1" or "10.0.0.0/8"`, 8},
		{`ip("x")`, `unreadable address "x": write "10.0.0.1", "10.0.0.1:5060", "10.0.0.0/8" or "2001:db8::/32"`, 0},
		{
			`start > "yesterday"`, `unreadable time "yesterday": write "2024-05-01", "2024-05-01 12:00:00" or RFC 3339`,
			8,
		},
		{`start > date("x")`, `unreadable time "x": write "2024-05-01", "2024-05-01 12:00:00" or RFC 3339`, 8},
		{`from.user in "alice"`, `a text is no list: write from.user in ["alice", "bob"], or use contains`, 13},
		{
			`status in messages`,
			`no list after in: write status in [486, 600], status in 400..499 or "UDP" in transports`, 7,
		},
		{`status in [messages]`, `a list holds constants`, 11},
		{`(status + 1) in 1..5`, `a range is for a field`, 8},
		{`1..5 == 3`, `a range stands only after in: write status in 400..499`, 1},
		{`[1] == [1]`, `a list stands only after in: write status in [486, 600]`, 0},
		{
			`1 < (messages + 1) < 5`,
			`too much for the middle of a comparison: compare a field, or join two comparisons with and`, 14,
		},
		{`from.user + "x" == "y"`, `+ joins no texts: compare the parts`, 10},
		{`num % 2 == 0`, `% is not in the filter language`, 4},
		{`nil == nil`, `this is not in the filter language`, 0},
		{`from?.user == "x"`, `this is not in the filter language`, 6},
		{`"x" and answered`, `a text is neither true nor false: write text("...")`, 0},
		{`ua matches from.user`, `the pattern stands in quotes: write ua matches "^Linphone"`, 11},
		{`ua matches "("`, "the pattern cannot be read: missing closing ): `(`", 11},
		{`ua matches "(x{100}){9}y{999}z{999}"`, `the patterns are too large: more than 2000 steps`, 11},
		{`ua matches "a{400}" or ua matches "b{400}"`, `the patterns are too large: more than 2000 steps`, 34},
		{
			strings.Repeat("!", 600) + "answered",
			"the filter has too many parts: at most 512 names, constants and operators", 607,
		},
		{`!status`, `! (mismatched type number)`, 0},
		{`from.user > messages`, `> (types do not fit: text and number)`, 10},
	} {
		q, err := Compile(tt.src, Options{})
		var e *Error
		if !errors.As(err, &e) || q != nil {
			t.Errorf("%s: got (%v, %v), want an *Error", tt.src, q, err)
			continue
		}
		got := e.Message
		if e.Hint != "" {
			got += ": " + e.Hint
		}
		if got != tt.want || e.Column != tt.column {
			t.Errorf("%s:\n got column %d: %s\nwant column %d: %s", tt.src, e.Column, got, tt.column, tt.want)
		}
		if e.Source != strings.TrimSpace(tt.src) {
			t.Errorf("%s: Source = %q", tt.src, e.Source)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	_, err := Compile(`  status > 1 and form.user == "x"`, Options{})
	if got, want := err.Error(), "column 16: unknown field form.user: did you mean from.user?"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%T", err)
	}
	want := "status > 1 and form.user == \"x\"\n               ^"
	if got := e.Caret(); got != want {
		t.Errorf("Caret() =\n%s\nwant\n%s", got, want)
	}
	e = &Error{Source: "a\x1b]0;x\x07\nb", Column: 99}
	if got, want := e.Caret(), "a ]0;x  b\n         ^"; got != want {
		t.Errorf("Caret() = %q, want %q", got, want)
	}
}

// TestLimits gives filters that ask for much work or memory.
func TestLimits(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat("(1 < ", 300) + "num" + strings.Repeat(" < 3)", 300)
	for name, src := range map[string]string{
		"long":              strings.Repeat("a", MaxLength+1),
		"nodes":             "num == 1" + strings.Repeat(" or num == 1", 300),
		"chained":           nested,
		"pattern":           `ua matches "` + strings.Repeat("(", 500) + "a" + strings.Repeat("{2})", 500) + `"`,
		"not UTF-8":         "num == \"\xff\"",
		"parentheses":       strings.Repeat("(", 2000) + "num",
		"let":               `let x = num; x == 1`,
		"map":               `{"a": 1} == {"a": 1}`,
		"conditional":       `answered ? num > 1 : num > 2`,
		"environment":       `$env == 1`,
		"environment field": `$env["num"] == 1`,
		"pipe":              `num | repeat(1e9)`,
		"huge range":        `num == len(1..1000000000)`,
		"bytes":             `b"abc" == b"abc"`,
		"slice":             `from.user[1:2] == "a"`,
		"index":             `from.user[0] == "a"`,
		"method":            `start.Unix() == 1`,
		"sequence":          `num == 1; num == 2`,
		"quote in stand-in": `header.X-"a" == "b"`,
		"slot name":         `field num == 1`,
	} {
		if q, err := Compile(src, Options{}); err == nil {
			t.Errorf("%s: compiles: %v", name, q)
		}
	}
	// the same within the limits
	for _, src := range []string{"num == 1" + strings.Repeat(" or num == 1", 100), strings.Repeat("not ",
		400) + "answered"} {
		mustCompile(t, src, Options{})
	}
}

func TestConcurrent(t *testing.T) {
	t.Parallel()
	q := mustCompile(t, `from.user endsWith "7" and status >= 400 and header.A == ""`, Options{})
	q.Bind([]string{"B"})
	calls := summaries(2000)
	want := 0
	for i := range calls {
		if q.Match(&calls[i]) {
			want++
		}
	}
	if want == 0 {
		t.Fatal("the filter matches nothing")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got := 0
			for i := range calls {
				if q.Match(&calls[i]) {
					got++
				}
			}
			if got != want {
				t.Errorf("got %d calls, want %d", got, want)
			}
		})
	}
	wg.Wait()
}

// TestAllocs holds the budget: a value that differs from the last call's is boxed, nothing else allocates.
//
//nolint:paralleltest // other tests' allocations would count
func TestAllocs(t *testing.T) {
	s := call()
	for _, src := range []string{`status >= 400 && from.user startsWith "100"`, `src in "10.0.0.0/8" and pdd > 150ms`} {
		q := mustCompile(t, src, Options{})
		r := q.newRunner() // Match takes it from a pool, which the race detector empties at random
		if n := testing.AllocsPerRun(100, func() { q.evaluate(r, &s) }); n > 0 {
			t.Errorf("%s: %v allocations for the same call again", src, n)
		}
	}
}
