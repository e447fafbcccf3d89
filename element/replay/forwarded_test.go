package replay_test

import (
	"strings"
	"testing"
)

// through is a request as a proxy at sutAt sends it on: with its Via above.
func through(text string) string {
	return strings.Replace(text, "Via: ", "Via: SIP/2.0/UDP "+sutAt+";branch=z9hG4bK-proxy\nVia: ", 1)
}

// What a proxy puts into the Route of a request that it sends on is played, beside what came and is left: the Path of a
// registration in the place of its own value, one more, one less.
func TestAloneForwardedRoute(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, came, goes, want string }{
		{
			"another one", "Route: <sip:127.0.3.1;lr>\n", "Route: <sip:term@pcscf.example;lr>\n",
			"Route: <sip:term@pcscf.example;lr>\r\n",
		},
		{
			"another one, and what is left", "Route: <sip:127.0.3.1;lr>, <sip:127.0.1.20;lr>\n", "Route: <sip:pcscf.example;lr>\nRoute: <sip:127.0.1.20;lr>\n",
			"Route: <sip:pcscf.example;lr>\r\nRoute: <sip:127.8.0.2;lr>\r\n",
		},
		{
			"two in one line", "Route: <sip:127.0.3.1;lr>, <sip:127.0.1.20;lr>\n", "Route: <sip:pcscf.example;lr>, <sip:127.0.1.20;lr>\n",
			"Route: <sip:pcscf.example;lr>\r\nRoute: <sip:127.8.0.2;lr>\r\n",
		},
		{"one more", "", "Route: <sip:pcscf.example;lr>\n", "Route: <sip:pcscf.example;lr>\r\n"},
		{"one less", "Route: <sip:127.0.3.1;lr>\nRoute: <sip:127.0.1.20;lr>\n", "Route: <sip:127.0.1.20;lr>\n", "Route: <sip:127.8.0.2;lr>\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ask := func(routes string) string {
				return request("MESSAGE", "sip:bob@lab.example", aliceAt, "first", "a", "", 1, routes+"\n")
			}
			lines, o := alone(t, nil,
				"alice > sut\n"+ask(tt.came),
				"sut > bob\n"+through(ask(tt.goes)),
				"bob > sut\n"+through(response("200 OK", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n")),
				"sut > alice\n"+response("200 OK", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n"),
			)
			as(t, o)
			if len(lines) != 4 {
				t.Fatalf("%d messages\n%s", len(lines), strings.Join(lines, "\n"))
			}
			var routes strings.Builder
			for line := range strings.Lines(lines[1]) {
				if strings.HasPrefix(line, "Route:") {
					routes.WriteString(line)
				}
			}
			if routes.String() != tt.want {
				t.Errorf("%q, want %q in\n%s", routes.String(), tt.want, lines[1])
			}
		})
	}
}

// Where a proxy says that a request came from, in a parameter that it adds, is the place of who plays there.
func TestAloneAlias(t *testing.T) {
	t.Parallel()
	lines, o := alone(t, nil,
		"alice > sut\n"+request("MESSAGE", "sip:bob@lab.example", aliceAt, "first", "a", "", 1, "X-From: <sip:alice@127.0.1.10:5060;alias=127.0.1.10~5060~1>\n\n"),
		"sut > alice\n"+response("200 OK", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n"),
	)
	as(t, o)
	if m := sent(t, lines, "MESSAGE "); !strings.Contains(m, ";alias=127.8.0.1~5060~1>") {
		t.Error(m)
	}
}

// What a proxy sends to itself on the way is no step; its Via stays in what is sent on, and the answer finds the way back.
func TestAloneSpiral(t *testing.T) {
	t.Parallel()
	const inner, outer = "Via: SIP/2.0/UDP " + sutAt + ";branch=z9hG4bK-inner\n", "Via: SIP/2.0/UDP " + sutAt + ";branch=z9hG4bK-outer\n"
	above := func(text, vias string) string { return strings.Replace(text, "Via: ", vias+"Via: ", 1) }
	for _, vias := range []string{outer + inner, strings.Replace(outer, "\n", ", ", 1) + strings.TrimPrefix(inner, "Via: ")} {
		lines, o := alone(t, nil,
			"alice > sut\n"+request("MESSAGE", "sip:bob@lab.example", aliceAt, "first", "a", "", 1, "Route: <sip:127.0.3.1;lr>\nRoute: <sip:127.0.3.1;lr>\n\n"),
			"sut > bob\n"+above(request("MESSAGE", "sip:bob@lab.example", aliceAt, "first", "a", "", 1, "\n"), vias),
			"bob > sut\n"+above(response("200 Fine", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n"), vias),
			"sut > alice\n"+response("200 Fine", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n"),
		)
		as(t, o)
		if len(lines) != 4 {
			t.Fatalf("%d messages", len(lines))
		}
		for _, line := range lines[1:3] {
			if n := strings.Count(line, "SIP/2.0/UDP 127.8.0."); n != 3 || strings.Count(line, "SIP/2.0/UDP 127.8.0.3") != 2 || !strings.Contains(line, "SIP/2.0/UDP 127.8.0.1") {
				t.Errorf("%d Vias in\n%s", n, line)
			}
		}
	}
}

// Who answers without what the Via of the request had, or with more, is played so; what brings the answer back stays.
func TestAloneChangedVia(t *testing.T) {
	t.Parallel()
	with := func(text, params string) string { return strings.Replace(text, ";rport", params+";rport", 1) }
	ask := request("MESSAGE", "sip:bob@"+sutAt, aliceAt, "first", "a", "", 1, "\n")
	answer := response("200 Fine", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n")
	for _, tt := range []struct{ asked, answered, want, without string }{
		{";realm=public;sa=192.0.2.9", "", "Via: SIP/2.0/UDP 127.8.0.1:5060;branch=", ";realm="},
		{";realm=public", ";preferred=101", ";preferred=101\r\n", ";realm="},
		{";realm=public", ";realm=public", ";realm=public;", "101"},
		{"", "", "Via: SIP/2.0/UDP 127.8.0.1:5060;branch=", "realm"},
	} {
		lines, o := alone(t, nil, "alice > sut\n"+with(ask, tt.asked), "sut > alice\n"+with(answer, tt.answered))
		as(t, o)
		got := sent(t, lines, "SIP/2.0 200 Fine")
		via := got[strings.Index(got, "Via:"):]
		via = via[:strings.Index(via, "\r\n")+2]
		if !strings.Contains(via, tt.want) || strings.Contains(via, tt.without) || !strings.Contains(via, ";rport=5060") {
			t.Errorf("%q: %s", tt, via)
		}
	}
}
