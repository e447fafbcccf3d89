package scenario_test

import (
	"errors"
	"strings"
	"testing"

	"sipscope/element/scenario"
)

// The flows that come along can be read, and say of each step why it is there and where an RFC says so. A variant has the
// figure of what it varies.
func TestTextbook(t *testing.T) {
	t.Parallel()
	flows, err := scenario.Textbook()
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]string{}
	for i, f := range flows {
		if f.Title == "" || f.Figure == "" || f.Expect.Transactions < 1 {
			t.Errorf("%s: title %q, figure %q, %+v", f.Name, f.Title, f.Figure, f.Expect)
		}
		if f.Variant == "" {
			figures[f.Name] = f.Figure
		} else if figures[f.Variant] != f.Figure {
			t.Errorf("%s: figure %s, a variant of %q with %q", f.Name, f.Figure, f.Variant, figures[f.Variant])
		}
		if i > 0 && f.Variant == "" && (len(f.Figure) < len(flows[i-1].Figure) || flows[i-1].Variant != "") {
			t.Errorf("%s (%s) after %s (%s)", f.Name, f.Figure, flows[i-1].Name, flows[i-1].Figure)
		}
		for k := range f.Steps {
			if s := &f.Steps[k]; s.Why == "" || !strings.HasPrefix(s.RFC, "RFC ") {
				t.Errorf("%s: step %s: why %q, %q", f.Name, s, s.Why, s.RFC)
			}
		}
	}
	for name := range strings.FieldsSeq(`ua-fork session-invitation registrar redirect transactions dialog trapezoid register invite bye
		bye-record-route strict-route subscribe-notify message cancel forked-200s stateless-retransmission stateful-absorption`) {
		if figures[name] == "" {
			t.Errorf("no flow %s", name)
		}
	}
	if len(figures) != 18 || len(flows) < 50 {
		t.Errorf("%d flows, %d of the textbook", len(flows), len(figures))
	}
}

const two = `# Two phones.
host a ua 127.0.0.2
host b ua 127.0.0.3 user="b c"
do 0ms a call sip:b@127.0.0.3 hangup=1s
on b call answer=0s
a -> b INVITE sip:b@127.0.0.3
	Calls. (RFC 3261 13)
b -> a 200
a -> b ACK
expect transactions=1 dialogs=1 state=answered
`

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := scenario.Parse("x/two.flow", two)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "two" || f.Title != "Two phones." || len(f.Hosts) != 2 || f.Hosts[1].Options["user"] != "b c" ||
		f.Actions[0].Target != "sip:b@127.0.0.3" || f.Actions[0].Options["hangup"] != "1s" || len(f.Steps) != 3 ||
		f.Steps[0].Why != "Calls." || f.Steps[0].RFC != "RFC 3261 13" || f.Expect.Early != -1 || f.Expect.State != "answered" {
		t.Errorf("%+v", f)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "needs hosts",
		"host a ua 127.0.0.2\n":              "needs hosts",
		"hosts a":                            `line 1: not a flow: "hosts" is none of`,
		"host a":                             `want "host NAME ROLE ADDRESS`,
		"host a phone 127.0.0.2":             `"phone" is none of`,
		"host a ua localhost":                "unable to parse IP",
		"host a ua 127.0.0.2\nhost a ua ::1": "two hosts are called a",
		"host a ua ::1\nhost b ua ::1":       "same address",
		"host a ua ::1 x":                    `"x" is not NAME=VALUE`,
		"host a ua ::1 x=1 x=2":              "x is given twice",
		"do soon a call":                     `"soon" is no time`,
		"do -1s a call":                      `"-1s" is no time`,
		"\twhy":                              "an explanation without a step",
		"expect dialogs=many":                `dialogs="many" is no count`,
		"expect money=1":                     `nothing is called "money"`,
		"bind \"sip:a":                       "a quote is not closed",
		strings.Replace(two, "a -> b", "a -> c", 1): `names "c", which is no host`,
		strings.Replace(two, "on b", "on z", 1):     `names "z", which is no host`,
		two + "lose a q INVITE first":               `lose names "q"`,
		two + "lose a b INVITE once":                `"once" is neither first, nor each, nor a count`,
		two + "lose a b INVITE 0":                   `"0" is neither`,
		two + "delay a q INVITE 1s":                 `delay names "q"`,
		two + "delay a b INVITE late":               `"late" is no time`,
		two + "lasts long":                          `"long" is no time`,
		two + "variant":                             `want "variant NAME"`,
		strings.Replace(two, "hangup", "via", 1):    `do call via names "1s"`,
		strings.Repeat("#", scenario.MaxFlow+1):     "more than",
	} {
		if _, err := scenario.Parse("f", text); !errors.Is(err, scenario.ErrFlow) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(two)
	f.Fuzz(func(_ *testing.T, text string) {
		flow, err := scenario.Parse("f", text)
		if err == nil {
			flow.Aliases()
		}
	})
}

func TestMatch(t *testing.T) {
	t.Parallel()
	f, err := scenario.Parse("two", two)
	if err != nil {
		t.Fatal(err)
	}
	invite := scenario.Seen{From: "a", To: "b", Method: "INVITE", URI: "sip:b@127.0.0.3"}
	again := invite
	again.Again = true
	ok := scenario.Seen{From: "b", To: "a", Method: "INVITE", Status: 200}
	ack := scenario.Seen{From: "a", To: "b", Method: "ACK", URI: "sip:x"}
	bye := scenario.Seen{From: "a", To: "b", Method: "BYE"}
	other := invite
	other.URI = "sip:c@127.0.0.3"
	for _, tt := range []struct {
		name  string
		seen  []scenario.Seen
		order bool
		want  string // "" none
	}{
		{"as it should be", []scenario.Seen{invite, ok, ack}, true, ""},
		{"loosely", []scenario.Seen{ok, invite, ack}, false, ""},
		{"other order", []scenario.Seen{ok, invite, ack}, true, "message 1 is b -> a 200 INVITE; step 1 is a -> b INVITE"},
		{"again", []scenario.Seen{invite, again, ok, ack}, false, ""},
		{"again, in order", []scenario.Seen{invite, again, ok, ack}, true, "message 2, a -> b INVITE sip:b@127.0.0.3, is no step"},
		{"missing", []scenario.Seen{invite, ok}, true, "step 3, a -> b ACK, was not seen"},
		{"more", []scenario.Seen{invite, ok, ack, bye}, false, "message 4, a -> b BYE , is no step"},
		{"other URI", []scenario.Seen{other, ok, ack}, false, "sip:c@127.0.0.3, is no step"},
		{"nothing", nil, false, "step 1"},
	} {
		steps, err := f.Match(tt.seen, tt.order)
		if len(steps) != len(tt.seen) {
			t.Errorf("%s: %v", tt.name, steps)
		}
		if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, scenario.ErrDiverged) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
