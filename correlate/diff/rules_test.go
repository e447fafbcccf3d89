package diff_test

import (
	"strings"
	"testing"
	"time"

	"sipscope/correlate/diff"
	"sipscope/decode/frame"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rules          diff.Rules
		recorded, live int
		want           diff.Verdict
	}{
		{diff.Rules{}, 200, 200, diff.Same},
		{diff.Rules{}, 180, 183, diff.Tolerated},
		{diff.Rules{}, 100, 180, diff.Tolerated},
		{diff.Rules{}, 200, 202, diff.Differs},
		{diff.Rules{}, 486, 480, diff.Differs},
		{diff.Rules{}, 180, 200, diff.Differs},
		{diff.Rules{}, 200, 183, diff.Differs},
		{diff.Rules{Final: diff.MatchCode}, 486, 480, diff.Differs},
		{diff.Rules{Final: diff.MatchClass}, 486, 480, diff.Tolerated},
		{diff.Rules{Final: diff.MatchClass}, 486, 503, diff.Differs},
		{diff.Rules{Final: diff.MatchAnyFinal}, 200, 503, diff.Tolerated},
		{diff.Rules{Final: diff.MatchNone}, 200, 503, diff.Tolerated},
		{diff.Rules{Final: diff.MatchAnyFinal}, 200, 180, diff.Differs},
		{diff.Rules{Provisional: diff.MatchCode}, 180, 183, diff.Differs},
		{diff.Rules{Provisional: diff.MatchClass}, 180, 183, diff.Tolerated},
		{diff.Rules{Provisional: diff.MatchClass}, 100, 183, diff.Differs},
	} {
		if got := row.rules.Status(row.recorded, row.live); got != row.want {
			t.Errorf("%+v: %d against %d is %s, want %s", row.rules, row.recorded, row.live, got, row.want)
		}
	}
}

// What is expected of another flow under rules: the verdict and the headline.
func TestRules(t *testing.T) {
	t.Parallel()
	ringing := "@140ms  bob   > proxy 180\n+4ms    proxy > alice 180\n"
	progress := "@140ms  bob   > proxy 183\n+4ms    proxy > alice 183\n"
	for _, row := range []struct {
		name, old, fresh string
		rules            diff.Rules
		want             diff.Verdict
		headline         string
	}{
		{"183 for 180", ringing, progress, diff.Rules{}, diff.Tolerated, "same, but for 2 tolerated differences"},
		{"183 for 180, strictly", ringing, progress, diff.Rules{Strict: true}, diff.Differs, "expected 180 Ringing, got 183 Session Progress"},
		{
			"183 for 180, demanded", ringing, progress,
			diff.Rules{Provisional: diff.MatchCode},
			diff.Differs,
			"expected 180 Ringing, got 183 Session Progress",
		},
		{"180 missing", ringing, "", diff.Rules{}, diff.Tolerated, "same, but for 2 tolerated differences"},
		{"180 missing, demanded", ringing, "", diff.Rules{Provisional: diff.MatchCode}, diff.Differs, "180 to INVITE is missing"},
		{"183 extra", ringing, strings.ReplaceAll(progress, "@140ms", "@80ms") + ringing, diff.Rules{}, diff.Tolerated, ""},
		{"100 missing, all demanded", "+1ms    proxy > alice 100\n", "", diff.Rules{Provisional: diff.MatchCode}, diff.Tolerated, ""},
		{
			"another final of the class", "+5ms    bob   > proxy 200\n+1ms    proxy > alice 200\n", "+5ms bob > proxy 202\n+1ms proxy > alice 202\n",
			diff.Rules{Final: diff.MatchClass},
			diff.Tolerated, "",
		},
		{
			"another final", "+5ms    bob   > proxy 200\n+1ms    proxy > alice 200\n", "+5ms bob > proxy 481\n+1ms proxy > alice 481\n",
			diff.Rules{},
			diff.Differs, "expected 200 to BYE; got 481 Call/Transaction Does Not Exist",
		},
		{"ignored header", "header.X-Account=4711", "header.X-Account=1", diff.Rules{Ignore: []string{"x-account"}}, diff.Same, "same"},
		{"ignored SDP", "sdp=PCMU,PCMA,G729", "sdp=PCMU", diff.Rules{Ignore: []string{"sdp"}}, diff.Same, "same"},
		{
			"ignored transport", "@0ms    alice > proxy INVITE", "@0ms alice > proxy INVITE transport=tcp",
			diff.Rules{Ignore: []string{"transport"}},
			diff.Same, "same",
		},
		{
			"late", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+5ms ", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+4200ms ",
			diff.Rules{},
			diff.Differs, "200 to BYE after 4.4 s, recorded 5 ms",
		},
		{
			"late is allowed", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+5ms ", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+4200ms ",
			diff.Rules{Late: -1},
			diff.Same, "same",
		},
		{
			"late, but not much", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+5ms ", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+300ms ",
			diff.Rules{},
			diff.Same, "same",
		},
		{
			"LateMin", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+5ms ", "@4550ms alice > proxy BYE\n+1ms    proxy > bob   BYE\n+300ms ",
			diff.Rules{LateMin: 100 * time.Millisecond},
			diff.Differs, "200 to BYE after 315 ms, recorded 5 ms",
		},
		{
			"retransmission", "+1ms    proxy > alice 100\n", "+20ms alice > proxy INVITE retransmit\n+1ms    proxy > alice 100\n",
			diff.Rules{LateMin: time.Hour},
			diff.Tolerated, "",
		},
		{
			"out of order", "+1ms    proxy > alice 100\n", "+500ms    proxy > alice 100\n",
			diff.Rules{LateMin: time.Hour},
			diff.Tolerated, "same, but for 2 tolerated differences",
		},
		{"users mapped", "sip:bob@b.com sdp", "sip:test2@b.com sdp", diff.Rules{Alias: map[string]string{"bob": "test2"}}, diff.Same, "same"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(base, row.old) {
				t.Fatalf("no %q", row.old)
			}
			text := strings.Replace(base, row.old, row.fresh, 1)
			if row.name == "users mapped" {
				text = strings.ReplaceAll(base, "sip:bob@", "sip:test2@")
			}
			a := parsed(t, base)
			r := diff.Flows(a.flow("a"), parsed(t, text).disguised(t).flow("b"), row.rules)
			if r.Verdict != row.want || !strings.Contains(r.Headline, row.headline) {
				t.Errorf("want %s, %q: %s", row.want, row.headline, list(r))
			}
		})
	}
}

// A challenge that only one side has is a divergence, unless the rules say that it is answered.
func TestChallenges(t *testing.T) {
	t.Parallel()
	with := flows(t)["invite-407-auth"]
	without := strings.Replace(with, "+2ms    proxy > alice 407\n+1ms    alice > proxy ACK\n+2ms    alice > proxy INVITE auth sdp=PCMU\n", "", 1)
	a, b := parsed(t, without), parsed(t, with).disguised(t)
	r := diff.Flows(a.flow("recorded"), b.flow("live"), diff.Rules{})
	if want := "an extra challenge to INVITE: 407 Proxy Authentication Required"; !strings.HasPrefix(r.Headline, want) {
		t.Errorf("want %q: %s", want, list(r))
	}
	if r := diff.Flows(a.flow("recorded"), b.flow("live"), diff.Rules{Challenges: true}); r.Verdict != diff.Tolerated {
		t.Errorf("not tolerated: %s", list(r))
	}
	if r := diff.Flows(b.flow("recorded"), a.flow("live"), diff.Rules{Challenges: true}); r.Verdict != diff.Tolerated {
		t.Errorf("not tolerated the other way round: %s", list(r))
	}
}

// All elements on one host are told from each other by their ports, and correspond to those of a network.
func TestOneHost(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"base": base, "prack": flows(t)["prack-update"], "auth": flows(t)["invite-407-auth"], "register": flows(t)["register-auth"],
		"refer": flows(t)["refer-transfer"], "fork": flows(t)["fork"], "cancel": flows(t)["cancel"],
	} {
		lab := text
		n := 0
		for line := range strings.Lines(text) {
			f := strings.Fields(line)
			if len(f) > 2 && f[0] == "host" {
				n++
				lab = strings.Replace(lab, line, strings.Replace(line, f[2], "127.0.0.1:50"+itoa(60+n), 1), 1)
			}
		}
		a, b := parsed(t, text), parsed(t, lab)
		r := diff.Flows(a.flow("net"), b.flow("lab"), diff.Rules{})
		if r.Headline != "same" {
			t.Errorf("%s: %s", name, list(r))
		}
		mirrored(t, r, diff.Flows(b.flow("lab"), a.flow("net"), diff.Rules{}))
	}
}

// Who decides who is who, whatever the order in which the flow reaches them.
func TestWho(t *testing.T) {
	t.Parallel()
	a := parsed(t, base)
	b := parsed(t, base).disguised(t)
	who := func(alice, proxy string) func(frame.Endpoint) string {
		return func(e frame.Endpoint) string {
			switch e.Host() {
			case alice:
				return "alice"
			case proxy:
				return "sut"
			}
			return ""
		}
	}
	fa, fb := a.flow("recorded"), b.flow("live")
	fa.Who, fb.Who = who("10.0.1.10", "10.0.0.1"), who("172.20.101.11", "172.20.100.2")
	r := diff.Flows(fa, fb, diff.Rules{})
	if r.Headline != "same" || r.Who[0].Name != "alice" || r.Who[1].Name != "sut" || len(r.Who) != 3 {
		t.Errorf("%s", list(r))
	}
	fb.Who = who("172.20.100.2", "172.20.101.11") // the wrong way round: nothing goes where it did
	if r := diff.Flows(fa, fb, diff.Rules{}); r.Verdict != diff.Differs || r.First != 0 {
		t.Errorf("%s", list(r))
	}
}

// Two calls in opposite directions through one proxy are alike but for the users.
func TestOppositeDirections(t *testing.T) {
	t.Parallel()
	back := strings.NewReplacer("alice", "bob", "bob", "alice").Replace(base)
	a, b := parsed(t, base), parsed(t, back)
	r := diff.Flows(a.flow("a"), b.flow("b"), diff.Rules{})
	for i := range r.Rows {
		if !r.Rows[i].A.Valid() || !r.Rows[i].B.Valid() {
			t.Fatalf("%s", list(r))
		}
	}
}

// Keep leaves messages out.
func TestKeep(t *testing.T) {
	t.Parallel()
	a := parsed(t, base)
	f := a.flow("a")
	f.Keep = func(call, message int) bool { return f.Calls[call].Messages[message].Method != "BYE" }
	r := diff.Flows(f, a.flow("b"), diff.Rules{})
	if r.Counts.Extra != 4 || !strings.HasPrefix(r.Headline, "extra BYE from") {
		t.Errorf("%s", list(r))
	}
}

// Message compares the pair of a row line by line, with the same names.
func TestMessage(t *testing.T) {
	t.Parallel()
	a := parsed(t, base)
	r := diff.Flows(a.flow("a"), a.edited(t, 0, "X-Account: 4711", "X-Account: 5").disguised(t).flow("b"), diff.Rules{})
	res := r.Message(r.First)
	if res.Differences != 1 || res.Expected < 5 {
		t.Errorf("%d differences, %d expected", res.Differences, res.Expected)
	}
	if !r.Diverges(r.First) || r.Diverges(r.First+1) {
		t.Error("Diverges")
	}
}

// Flows without texts are compared by methods, codes and times.
func TestNoText(t *testing.T) {
	t.Parallel()
	a := parsed(t, base)
	f, g := a.flow("a"), a.flow("b")
	f.Text, g.Text = nil, func(int, int) []byte { return nil }
	if r := diff.Flows(f, g, diff.Rules{}); r.Headline != "same" {
		t.Errorf("%s", list(r))
	}
	if r := diff.Flows(diff.Flow{}, diff.Flow{}, diff.Rules{}); r.Headline != "same" || r.First != -1 {
		t.Errorf("%s", list(r))
	}
	if r := diff.Flows(f, diff.Flow{}, diff.Rules{}); r.First != 0 || r.Verdict != diff.Differs {
		t.Errorf("%s", list(r))
	}
	if r := diff.Flows(diff.Flow{}, f, diff.Rules{}); r.First != 0 || r.Verdict != diff.Differs {
		t.Errorf("%s", list(r))
	}
}
