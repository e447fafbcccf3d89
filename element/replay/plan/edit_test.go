package plan_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sipscope/element/replay/plan"
)

// file is a small plan as a person may have it open.
func file(tb testing.TB) string {
	tb.Helper()
	p, err := load(tb, "../../../testdata/pcaps/scenario-invite-proxy-auth.pcapng").plan(tb, plan.Options{NoRegister: true})
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.WriteYAML(&b); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// without takes the step with an id out of a file.
func without(tb testing.TB, file string, id string) string {
	tb.Helper()
	head, rest, ok := strings.Cut(file, "  - id: "+id+"\n")
	if !ok {
		tb.Fatal("no step", id)
	}
	end := strings.Index(rest, "\n  - id: ")
	if end < 0 {
		end = strings.Index(rest, "\ncredentials:")
	}
	return head + strings.TrimLeft(rest[end:], "\n")
}

func TestEdits(t *testing.T) {
	t.Parallel()
	original := file(t)
	before, err := plan.Read(strings.NewReader(original), "a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		edit  func(s string) string
		check func(p *plan.Plan) bool
	}{
		{
			"a step is taken out", func(s string) string { return without(t, s, "2") },
			func(p *plan.Plan) bool {
				return len(p.Steps) == len(before.Steps)-1 && len(p.Steps[1].After) == 1 && p.Steps[1].After[0] == 1 &&
					strings.HasPrefix(p.Notes[len(p.Notes)-1], "step 2 waited for step 2, which") && p.Needs[0].Step == 3
			},
		},
		{
			"the last step is taken out", func(s string) string { return without(t, s, "13") },
			func(p *plan.Plan) bool { return len(p.Steps) == len(before.Steps)-1 },
		},
		{
			"a header is changed", func(s string) string { return strings.Replace(s, "Max-Forwards: 70", "Max-Forwards: 0", 1) },
			func(p *plan.Plan) bool { return bytes.Contains(p.Steps[0].Message, []byte("\r\nMax-Forwards: 0\r\n")) },
		},
		{
			"a status is changed", func(s string) string { return strings.Replace(s, "SIP/2.0 407 Proxy Auth", "SIP/2.0 486 ", 1) },
			func(p *plan.Plan) bool { return bytes.HasPrefix(p.Steps[1].Message, []byte("SIP/2.0 486 ")) },
		},
		{
			"a gap is changed", func(s string) string { return strings.Replace(s, "gap: 2s", "gap: 1m30s", 1) },
			func(p *plan.Plan) bool { return p.Steps[11].Gap == 90e9 },
		},
		{
			"empty lines between steps", func(s string) string { return strings.ReplaceAll(s, "\n  # ", "\n\n\n  # ") },
			func(p *plan.Plan) bool { return bytes.Equal(p.Steps[3].Message, before.Steps[3].Message) },
		},
		{
			"line ends of Windows", func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
			func(p *plan.Plan) bool { return bytes.Equal(p.Steps[3].Message, before.Steps[3].Message) },
		},
		{
			"a wait is put in", func(s string) string {
				return strings.Replace(s, "steps:\n", "steps:\n  - kind: wait\n    from: alice\n    duration: 3s\n", 1)
			},
			func(p *plan.Plan) bool {
				return p.Steps[0].Kind == plan.Wait && p.Steps[0].Duration == 3e9 && p.Steps[2].After[0] == 2
			},
		},
		{
			"a message is put in", func(s string) string {
				return strings.Replace(s, "credentials:\n", "  - id: 99\n    kind: send\n    from: alice\n    to: proxy\n    after: [13]\n"+
					"    gap: 1s\n    message: |\n      OPTIONS sip:b.com SIP/2.0\n      Call-ID: 1\n\ncredentials:\n", 1)
			},
			func(p *plan.Plan) bool {
				s := p.Steps[len(p.Steps)-1]
				return s.ID == 14 && string(s.Message) == "OPTIONS sip:b.com SIP/2.0\r\nCall-ID: 1\r\n\r\n" && s.Proto.String() == "UDP"
			},
		},
		{
			"another one is live", func(s string) string {
				s = strings.Replace(s, "  part: live", "  part: played", 1)
				return strings.ReplaceAll(s, "kind: expect", "kind: send")
			},
			func(p *plan.Plan) bool { _, ok := p.LiveHost(); return !ok },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.Read(strings.NewReader(test.edit(original)), "a.yaml")
			if err != nil {
				t.Fatalf("%v\n%s", err, around(test.edit(original), err))
			}
			if !test.check(p) {
				t.Errorf("not what was meant: %+v", p)
			}
			roundTrip(t, test.name, p)
		})
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	original := file(t)
	tests := []struct {
		name, from, to string
		want           string // after "a.yaml:LINE: "
	}{
		{"unknown key", "    gap: 0s", "    gab: 0s", `a step has no key "gab"; did you mean "gap"?`},
		{"unknown key of a host", "    users:", "    user:", `a host has no key "user"; did you mean "users"?`},
		{"nothing near", "title:", "zzzzzzz:", `a plan has no key "zzzzzzz"; it may have plan, title,`},
		{"twice", "    gap: 0s", "    gap: 0s\n    gap: 1s", `a step has "gap" twice`},
		{"kind", "kind: expect", "kind: expct", `kind is send, expect, media or wait, not "expct"`},
		{"part", "    part: live", "    part: alive", `part is live, played or left, not "alive"`},
		{"time", "gap: 2s", "gap: 2", `this is to be a time such as 1.5s, 200ms or 1m30s, not "2"`},
		{"negative time", "gap: 2s", "gap: -2s", `this is to be a time such as`},
		{"host", "    to: proxy\n", "    to: proxi\n", `step 1: no host is called "proxi"`},
		{"later step", "after: [1]", "after: [9]", `step 2 waits for step 9, which is not before it`},
		{"unknown step", "after: [1]", "after: [99]", `step 2 waits for step 99, which is not before it`},
		{"same id", "- id: 2\n", "- id: 1\n", `id 1 is that of the step in line`},
		{"address", `at: ["127.0.1.10:5060"]`, "at: [alice]", `this is to be an address with a port, such as 192.0.2.1:5060, not "alice"`},
		{"not SIP", "      INVITE sip:bob@b.com SIP/2.0", "      INVITE sip:bob@b.com", `step 1: its message: not SIP`},
		{"two live", "part: played", "part: live", `host 2: two hosts are live: alice and proxy`},
		{"wrong way", "kind: expect", "kind: send", `step 2: a send goes from a played host to the live or another played one, not from proxy (live)`},
		{"media file", "counts:", "media-file: ../x\ncounts:", `the media file "../x" is to be a name without a folder`},
		{"alias", "title: ", "source: &a x\ntitle: *a #", `this is to be a text, not an alias`},
		{"version", "plan: 1", "plan: 2", `it begins with "plan: 1"`},
		{"no YAML", "hosts:\n", "hosts: [\n", `yaml: line`},
		{"a list", "hosts:\n", "hosts: {}\nnotes:\n", `hosts is to be a list, not keys with values`},
		{"documents", "\nsteps:\n", "\n---\nsteps:\n", `it holds more than one document`},
		{"call", "    call: 1\n", "    call: 2\n", `step 1: it belongs to call 2 of 1`},
		{"base64", "message: |2-", "message: !!binary |2-", `this is no base64`},
		{"line ends", "    message:", "    line-ends: cr\n    message:", `line-ends is crlf or lf, not "cr"`},
		{"end", "    message:", "    end: 17\n    message:", `end is at most 16`},
		{"transport", "transport: udp", "transport: sctp", `transport is udp, tcp, tls, ws or wss, not "sctp"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			edited := strings.Replace(original, test.from, test.to, 1)
			if edited == original {
				t.Fatal("no edit")
			}
			_, err := plan.Read(strings.NewReader(edited), "a.yaml")
			var f *plan.FileError
			if !errors.As(err, &f) || !errors.Is(err, plan.ErrPlan) {
				t.Fatal(err)
			}
			if !strings.HasPrefix(f.Text, test.want) || !strings.HasPrefix(err.Error(), "a.yaml:") {
				t.Errorf("%v\nwant %s", err, test.want)
			}
			changed := strings.Count(original[:strings.Index(original, test.from)], "\n") + 1
			if global := test.name == "media file" || test.name == "documents"; !global && (f.Line < changed-14 || f.Line > changed+4) {
				t.Errorf("line %d, the mistake is in line %d: %v", f.Line, changed, err)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"bytes":   strings.Repeat("#", plan.MaxFile+1),
		"hosts":   "plan: 1\nhosts: [" + strings.Repeat("{}, ", plan.MaxHosts+1) + "]\n",
		"message": "plan: 1\nhosts: [{name: a, part: played}, {name: b, part: played}]\ncalls: [{}]\nsteps:\n" + longSteps(),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := plan.Read(strings.NewReader(text), "a.yaml"); !errors.Is(err, plan.ErrTooLarge) {
				t.Error(err)
			}
		})
	}
}

// longSteps are more bytes of messages than a plan may have.
func longSteps() string {
	var b strings.Builder
	for range plan.MaxBytes>>20 + 1 {
		b.WriteString("- {kind: send, from: a, to: b, message: \"OPTIONS sip:a SIP/2.0\\n" + strings.Repeat("x", 1<<20) + "\"}\n")
	}
	return b.String()
}
