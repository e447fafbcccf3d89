package flowtest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// good is what a reader that finds everything would give for the expectations below.
func good() Observed {
	return Observed{
		Counts: map[string]uint64{"messages": 14, "callids": 1, "retransmissions": 0, "duplicates": 0, "gaps": 2},
		Tables: map[string]map[string]uint64{
			"methods": {"INVITE": 3, "BYE": 1, "ACK": 0}, "statuses": {"100": 2}, "outcomes": {"sip": 14, "other": 3},
			"transactions": {"INVITE": 3}, "dialogs": {"confirmed": 1, "early": 1},
		},
		Rows: map[string][]map[string]string{
			"call": {
				nil,
				{"state": "completed", "pdd": "148.4ms", "setup": "", "code": "200", "reason": "OK", "from.display": "a\x1bb"},
			},
			"registration": {{"aor": "sip:a@b", "removed": "false"}},
		},
	}
}

func exps(t *testing.T, lines string) []Expectation {
	t.Helper()
	return parseText(t, prelude+lines).Expect
}

func TestCheckAgrees(t *testing.T) {
	t.Parallel()
	all := exps(t, `expect messages 14
expect callids 1
expect gaps 2
expect methods INVITE=3 BYE=1 MESSAGE=0
expect statuses 100=2
expect outcomes sip=14 other=3
expect transactions INVITE=3
expect dialogs confirmed=1
expect call 2 state=completed pdd=148ms setup="" code=200 reason=OK from.display="a\x1bb"
expect registration 1 aor=sip:a@b removed=false
`)
	if diffs := Check(all, good()); len(diffs) > 0 {
		t.Errorf("differences: %q", diffs)
	}
}

// Each difference is told, and so is what was not observed at all.
func TestCheckDiffers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ line, want string }{
		{"messages 13", "line 7: messages are 14, want 13"},
		{"methods INVITE=3", "line 7: methods BYE=1, want none"},
		{"methods INVITE=2 BYE=1", "line 7: methods INVITE=3, want 2"},
		{"methods INVITE=3 BYE=1 INFO=1", "line 7: methods INFO=0, want 1"},
		{"dialogs confirmed=2", "line 7: dialogs confirmed=1, want 2"},
		{"call 1 state=completed", "line 7: call 1 was not found among 2"},
		{"call 3 state=completed", "line 7: call 3 was not found among 2"},
		{"call 2 state=busy", "line 7: call 2: state=completed, want busy"},
		{"call 2 pdd=150ms", "line 7: call 2: pdd=148.4ms, want 150ms"},
		{`call 2 pdd=""`, `line 7: call 2: pdd=148.4ms, want ""`},
		{"call 2 setup=1s", `line 7: call 2: setup="", want 1s`},
		{"call 2 code=486", "line 7: call 2: code=200, want 486"},
		{"call 2 from.display=ab", `line 7: call 2: from.display="a\x1bb", want ab`},
		{"call 2 cause=16", "line 7: call 2: cause is not told"},
		{"registration 2 aor=sip:a@b", "line 7: registration 2 was not found among 1"},
	} {
		got := Check(exps(t, "expect "+tc.line+"\n"), good())
		if d := cmp.Diff([]string{tc.want}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.line, d)
		}
	}
	nothing := Check(exps(t, "expect messages 0\nexpect methods A=0\nexpect dialogs early=0\nexpect call 1 code=1\n"), Observed{})
	if len(nothing) != 4 || !strings.Contains(nothing[0], "is not told") || !strings.Contains(nothing[1], "are not told") {
		t.Errorf("what is not observed passes: %q", nothing)
	}
	if got := Check([]Expectation{{Kind: "miracles"}}, good()); len(got) != 1 {
		t.Errorf("an unknown kind passes: %q", got)
	}
}
