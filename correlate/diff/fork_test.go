package diff_test

import (
	"strings"
	"testing"

	"sipscope/correlate/diff"
	"sipscope/decode/frame"
)

// Which phone of a fork rings first is chance: what a proxy forwards of one is compared with what it forwarded of that one.
func TestForkOrder(t *testing.T) {
	t.Parallel()
	const (
		first  = "@90ms   bob    > proxyA 180\n+1ms    proxyA > alice  180\n"
		second = "@120ms  bob2   > proxyA 180\n+1ms    proxyA > alice  180\n"
	)
	text := flows(t)["fork"]
	swap := strings.NewReplacer("bob2   >", "bob    >", "bob    >", "bob2   >")
	other := strings.Replace(text, first+second, swap.Replace(first+second), 1)
	if other == text {
		t.Fatal("the flow is another one")
	}
	a, b := parsed(t, text), parsed(t, other)
	r := diff.Flows(a.flow("recorded"), b.flow("live"), diff.Rules{})
	if r.Verdict != diff.Tolerated {
		t.Fatalf("%s", list(r))
	}
	moved := 0
	for i := range r.Rows {
		for _, d := range r.Rows[i].Differences {
			if d.Where != "order" {
				t.Errorf("%+v", d)
			}
			moved++
		}
	}
	if moved != 1 {
		t.Errorf("%d come in another order: %s", moved, list(r))
	}
	mirrored(t, r, diff.Flows(b.flow("live"), a.flow("recorded"), diff.Rules{}))
}

// Everybody is at ::1, and a header names ports that nobody was seen at: Who knows whose they are.
func TestWhoUnseen(t *testing.T) {
	t.Parallel()
	at := func(port, unseen string) string {
		s := strings.NewReplacer(" 10.0.1.10 ", " [::1]:"+port+"1 ", " 10.0.0.1 ", " [::1]:"+port+"2 ", " 10.0.2.10 ", " [::1]:"+port+"3 ",
			"header.X-Account=4711", `header.X-Account="uri=\"sip:bob@[::1]:`+unseen+`\""`)
		return s.Replace(base)
	}
	who := func(last uint16, more map[uint16]string) func(frame.Endpoint) string {
		return func(e frame.Endpoint) string {
			switch e.Port {
			case last - 2:
				return "alice"
			case last - 1:
				return "sut"
			case last:
				return "bob"
			}
			return more[e.Port]
		}
	}
	a, b := parsed(t, at("506", "7001")), parsed(t, at("507", "5073"))
	fa, fb := a.flow("recorded"), b.flow("live")
	fa.Who, fb.Who = who(5063, map[uint16]string{7001: "bob", 7002: "alice"}), who(5073, nil)
	if r := diff.Flows(fa, fb, diff.Rules{}); r.Headline != "same" {
		t.Errorf("%s", list(r))
	}
	other := parsed(t, at("506", "7002")).flow("recorded")
	other.Who = fa.Who
	if r := diff.Flows(other, fb, diff.Rules{}); r.Verdict != diff.Differs || r.First != 0 {
		t.Errorf("%s", list(r))
	}
}

// What is left of lifetimes differs by seconds, in a list of Contacts as in one alone.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	at := func(network, first, second string) archive {
		return parsed(t, strings.NewReplacer("N.", network, "FIRST", first, "SECOND", second).Replace(`title Two phones of one user
host reg  N.1  user=sip:b.com
host bob  N.10 user=sip:bob@b.com
host bob2 N.11 user=sip:bob@b.com
call c1 from bob to bob callid=first-one@example
call c2 from bob2 to bob callid=second-one@example

@0ms bob  > reg REGISTER sip:b.com
+1ms reg  > bob 200 header.Contact="<sip:bob@N.10:5060>;expires=3600"
@1s  bob2 > reg REGISTER sip:b.com call=c2
+1ms reg  > bob2 200 call=c2 header.Contact="<sip:bob@N.10:5060>;expires=FIRST, <sip:bob@N.11:5060>;expires=SECOND"
`))
	}
	a := at("10.0.2.", "3599", "3600").flow("recorded")
	if r := diff.Flows(a, at("172.16.9.", "3600", "3600").flow("live"), diff.Rules{}); r.Verdict != diff.Tolerated {
		t.Errorf("%s", list(r))
	}
	if r := diff.Flows(a, at("172.16.9.", "3599", "60").flow("live"), diff.Rules{}); r.Verdict != diff.Differs {
		t.Errorf("%s", list(r))
	}
}
