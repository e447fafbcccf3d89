package diff_test

import (
	"fmt"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/diff"
)

func TestHops(t *testing.T) {
	t.Parallel()
	a := parsed(t, flows(t)["two-proxies"])
	f := a.flow("a")
	hops := diff.Hops(f.Calls[0], func(m int) []byte { return f.Text(0, m) }, diff.Rules{})
	var got []string
	for _, h := range hops {
		line := fmt.Sprintf("%s %s %d +%dms:", h.Element.Host(), h.Method, h.Status, h.Latency/1e6)
		parts := []string{line}
		for _, d := range h.Differences {
			parts = append(parts, d.Verdict.String(), d.Where)
		}
		got = append(got, strings.Join(parts, " "))
	}
	want := []string{
		"10.0.1.1 INVITE 0 +3ms: tolerated Via tolerated Max-Forwards",
		"10.0.2.1 INVITE 0 +3ms: differs request-uri tolerated Via tolerated Max-Forwards",
		"10.0.2.1 INVITE 180 +4ms: tolerated Via",
		"10.0.1.1 INVITE 180 +4ms: tolerated Via",
		"10.0.2.1 INVITE 200 +4ms: tolerated Via",
		"10.0.1.1 INVITE 200 +4ms: tolerated Via",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What an element adds, removes and rewrites is told, in front of what every proxy does.
func TestHopChanges(t *testing.T) {
	t.Parallel()
	a := parsed(t, flows(t)["two-proxies"])
	for _, edit := range []struct{ old, fresh, want string }{
		{"", "X-Added: 1\r\n", "extra X-Added: header X-Added added: 1"},
		{"User-Agent: Desk phone 1.4\r\n", "", "missing User-Agent: header User-Agent removed: Desk phone 1.4"},
		{"User-Agent: Desk phone 1.4\r\n", "User-Agent: Proxy\r\n", "differs User-Agent: header User-Agent rewritten to Proxy, was Desk phone 1.4"},
		{"c=IN IP4 10.0.1.10", "c=IN IP4 10.0.9.9", "differs SDP: media address 10.0.9.9, was 10.0.1.10"},
		{"m=audio 10000", "m=audio 33000", "differs SDP m0: media port 33000, was 10000"},
		{"RTP/AVP 0 8\r\n", "RTP/AVP 0\r\n", "differs SDP m0: codec PCMA is missing"},
		{"", "Record-Route: <sip:10.0.1.1;lr>\r\n", "extra Record-Route: header Record-Route added: <sip:10.0.1.1;lr>"},
		{"INVITE sip:bob@b.com", "INVITE sip:robert@b.com", "differs request-uri: Request-URI rewritten to sip:robert@b.com, was sip:bob@b.com"},
	} {
		f := a.edited(t, 2, edit.old, edit.fresh).flow("a")
		hops := diff.Hops(f.Calls[0], func(m int) []byte { return f.Text(0, m) }, diff.Rules{})
		d := hops[0].Differences[0]
		if got := d.Verdict.String() + " " + d.Where + ": " + d.Text; got != edit.want {
			t.Errorf("got %q, want %q", got, edit.want)
		}
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	call := func(id, method, from, to string, first int64) correlate.Summary {
		return correlate.Summary{
			CallID: id, Method: method, From: correlate.Party{User: from}, To: correlate.Party{User: to}, First: first * 1e9,
		}
	}
	a := []correlate.Summary{
		call("1", "INVITE", "alice", "bob", 100), call("2", "INVITE", "alice", "bob", 110), call("3", "INVITE", "alice", "bob", 120),
		call("4", "REGISTER", "jan", "jan", 101), call("same", "OPTIONS", "x", "y", 130), call("5", "INVITE", "carol", "dave", 140),
		call("6", "MESSAGE", "u", "v", 150), call("7", "PUBLISH", "p", "p", 151),
	}
	b := []correlate.Summary{
		call("same", "OPTIONS", "x", "z", 1030), call("b1", "INVITE", "alice", "bob", 1000), call("b3", "INVITE", "alice", "bob", 1020),
		call("b4", "REGISTER", "jan", "jan", 1001), call("b5", "INVITE", "carl", "dave", 1040), call("b6", "MESSAGE", "k", "l", 1050),
		call("b7", "SUBSCRIBE", "q", "q", 1060),
	}
	for _, row := range []struct {
		by   diff.MatchBy
		want string
	}{
		{diff.ByAny, "[{0 1} {1 -1} {2 2} {3 3} {4 0} {5 4} {6 5} {7 -1} {-1 6}]"},
		{diff.ByCallID, "[{0 -1} {1 -1} {2 -1} {3 -1} {4 0} {5 -1} {6 -1} {7 -1} {-1 1} {-1 2} {-1 3} {-1 4} {-1 5} {-1 6}]"},
		{diff.ByUsers, "[{0 1} {1 -1} {2 2} {3 3} {4 -1} {5 -1} {6 -1} {7 -1} {-1 0} {-1 4} {-1 5} {-1 6}]"},
		{diff.ByNumber, "[{0 0} {1 1} {2 2} {3 3} {4 4} {5 5} {6 6} {7 -1}]"},
	} {
		if got := fmt.Sprint(diff.Match(a, b, row.by)); got != row.want {
			t.Errorf("by %d: got %s, want %s", row.by, got, row.want)
		}
	}
	if got := diff.Match(nil, nil, diff.ByAny); len(got) != 0 {
		t.Error(got)
	}
}

// Every capture of the project matches itself in disguise, call by call.
func TestMatchCaptures(t *testing.T) {
	t.Parallel()
	recordings(t, func(t *testing.T, a archive) {
		t.Helper()
		other := a.disguised(t)
		summaries := func(a archive) []correlate.Summary {
			var list []correlate.Summary
			for i := range a.calls {
				list = append(list, a.calls[i].Summary)
			}
			return list
		}
		for i, p := range diff.Match(summaries(a), summaries(other), diff.ByAny) {
			if p.A != i || p.B != i {
				t.Errorf("call %d is paired with %d", p.A, p.B)
			}
		}
	})
}
