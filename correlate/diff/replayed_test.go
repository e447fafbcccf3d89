package diff_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"sipscope/correlate/diff"
)

// everywhere gives an archive with a text replaced in all messages.
func (a archive) everywhere(tb testing.TB, old, fresh string) archive {
	tb.Helper()
	out := archive{calls: a.calls, texts: maps.Clone(a.texts)}
	found := false
	for k, text := range out.texts {
		found = found || bytes.Contains(text, []byte(old))
		out.texts[k] = bytes.ReplaceAll(text, []byte(old), []byte(fresh))
	}
	if !found {
		tb.Fatalf("no message has %q", old)
	}
	return out
}

// A replay names its own places in its session descriptions, and answers challenges by itself: neither is a difference, but
// another user, or a session description for somebody else, is.
func TestReplayed(t *testing.T) {
	t.Parallel()
	const answer = `Authorization: Digest username="alice", realm="a.com", nonce="1", uri="sip:10.0.0.1", response="2", algorithm=MD5` + "\r\n"
	const own = `Authorization: Digest username="alice",realm="a.com",nonce="3",uri="sip:a.com",response="4",cnonce="5",qop=auth,nc=00000001` + "\r\n"
	plain := parsed(t, base)
	const head = "Supported: timer, replaces\r\n"
	for _, c := range []struct {
		name, old, recorded, live string
		without, with             string
	}{
		{
			"media behind a NAT", "c=IN IP4 10.0.1.10", "c=IN IP4 203.0.113.7", "c=IN IP4 10.0.1.10",
			"media address 10.0.1.10, was 203.0.113.7", "same",
		},
		{
			"media of somebody else", "c=IN IP4 10.0.1.10", "c=IN IP4 10.0.1.10", "c=IN IP4 10.0.2.10",
			"media address 10.0.2.10, was 10.0.1.10", "media address 10.0.2.10, was 10.0.1.10",
		},
		{
			"hold is none", "c=IN IP4 10.0.1.10", "c=IN IP4 0.0.0.0", "c=IN IP4 10.0.1.10",
			"media address 10.0.1.10, was 0.0.0.0", "media address 10.0.1.10, was 0.0.0.0",
		},
		{"a digest of another form", head, head + answer, head + own, "header Authorization", "same, but for"},
		{
			"a digest of another user", head, head + answer, head + strings.Replace(own, "alice", "eve", 1),
			"header Authorization", "header Authorization",
		},
		{
			"a digest of another realm", head, head + answer, head + strings.Replace(own, `"a.com"`, `"b.com"`, 1),
			"header Authorization", "header Authorization",
		},
	} {
		a, b := plain.everywhere(t, c.old, c.recorded), plain.everywhere(t, c.old, c.live)
		for _, row := range []struct {
			rules diff.Rules
			want  string
		}{{diff.Rules{}, c.without}, {diff.Rules{Replayed: true}, c.with}} {
			r := diff.Flows(a.flow("recorded"), b.flow("live"), row.rules)
			if !strings.HasPrefix(r.Headline, row.want) {
				t.Errorf("%s: %q, want %q", c.name, r.Headline, row.want)
			}
		}
	}
}

// A host name says the same on both sides, whether a participant was seen to call itself so on both of them or not.
func TestNameOfOneSide(t *testing.T) {
	t.Parallel()
	plain := parsed(t, base).everywhere(t, "Supported: timer, replaces\r\n", "Supported: timer, replaces\r\nRoute: <sip:proxy.a.com;lr>\r\n")
	named := plain.everywhere(t, "Via: SIP/2.0/UDP 10.0.0.1;", "Via: SIP/2.0/UDP proxy.a.com;")
	moved := plain.everywhere(t, "Route: <sip:proxy.a.com;lr>", "Route: <sip:10.0.0.1;lr>")
	if r := diff.Flows(named.flow("recorded"), plain.flow("live"), diff.Rules{}); r.Headline != "same" {
		t.Errorf("the same name: %s", list(r))
	}
	if r := diff.Flows(named.flow("recorded"), moved.flow("live"), diff.Rules{}); r.Headline != "same" {
		t.Errorf("the name and the address: %s", list(r))
	}
	if r := diff.Flows(plain.flow("recorded"), moved.flow("live"), diff.Rules{}); r.Verdict != diff.Differs {
		t.Errorf("a name that nobody has and an address: %s", list(r))
	}
}

// Calls that are known to belong together do so in whatever order they begin.
func TestKnownCalls(t *testing.T) {
	t.Parallel()
	const head = `title Two calls
host alice 10.0.1.10 user=sip:alice@a.com
host bob   10.0.2.10 user=sip:bob@b.com
call c1 from alice to bob callid=first-call@example
call c2 from alice to bob callid=second-call@example
`
	first := "INVITE sip:bob@b.com call=c1 sdp=PCMU\n+1ms bob > alice 486 call=c1\n+1ms alice > bob ACK call=c1\n"
	second := "INVITE sip:bob@b.com call=c2 sdp=PCMU\n+1ms bob > alice 480 call=c2\n+1ms alice > bob ACK call=c2\n"
	a := parsed(t, head+"@0ms alice > bob "+first+"@100ms alice > bob "+second)
	b := parsed(t, strings.NewReplacer("first-call", "another-one", "second-call", "yet-another").Replace(
		head+"@0ms alice > bob "+second+"@100ms alice > bob "+first))
	if r := diff.Flows(a.flow("recorded"), b.flow("live"), diff.Rules{}); r.Verdict != diff.Differs {
		t.Errorf("in order: %s", list(r))
	}
	known := diff.Rules{Calls: map[string]string{"first-call@example": "another-one@example", "second-call@example": "yet-another@example"}}
	if r := diff.Flows(a.flow("recorded"), b.flow("live"), known); r.Verdict == diff.Differs {
		t.Errorf("known: %s", list(r))
	}
	swapped := diff.Rules{Calls: map[string]string{"first-call@example": "yet-another@example", "nobody": "another-one@example"}}
	if r := diff.Flows(a.flow("recorded"), b.flow("live"), swapped); r.Verdict != diff.Differs {
		t.Errorf("swapped: %s", list(r))
	}
}

// What transactions send by themselves is no divergence of a replay: a capture may lack it.
func TestOwnOfTransactions(t *testing.T) {
	t.Parallel()
	const head = `title Cancelled
host alice 10.0.1.10 user=sip:alice@a.com
host bob   10.0.2.10 user=sip:bob@b.com
call c1 from alice to bob
@0ms alice > bob INVITE sip:bob@b.com sdp=PCMU
+1ms bob > alice 180
`
	const cancel, ok, gone, ack = "@500ms alice > bob CANCEL\n", "+1ms bob > alice 200 CANCEL\n", "+1ms bob > alice 487 INVITE\n", "+1ms alice > bob ACK\n"
	whole := parsed(t, head+cancel+ok+gone+ack)
	for _, c := range []struct{ name, text, without string }{
		{"no answer to the CANCEL", head + cancel + gone + ack, "extra 200 OK to CANCEL"},
		{"no ACK", head + cancel + ok + gone, "extra ACK from 10.0.1.10 to 10.0.2.10"},
	} {
		a := parsed(t, c.text)
		if r := diff.Flows(a.flow("recorded"), whole.flow("live"), diff.Rules{}); r.Headline != c.without {
			t.Errorf("%s: %q, want %q", c.name, r.Headline, c.without)
		}
		if r := diff.Flows(a.flow("recorded"), whole.flow("live"), diff.Rules{Replayed: true}); r.Verdict != diff.Tolerated {
			t.Errorf("%s: %s", c.name, list(r))
		}
	}
	lacks := parsed(t, head+cancel+ok)
	if r := diff.Flows(lacks.flow("recorded"), whole.flow("live"), diff.Rules{Replayed: true}); r.Verdict != diff.Differs {
		t.Errorf("a 487 that nobody recorded: %s", list(r))
	}
}

// A replay may keep an address in one header, such as a Route, and replace it in another, such as a Contact or the place of
// media. Where the live side has another address in that Route, it is that one, and no place of a participant.
func TestReplayedKept(t *testing.T) {
	t.Parallel()
	const head, media, relay, own = "Supported: timer, replaces\r\n", "c=IN IP4 10.0.1.10", "203.0.113.7", "10.0.1.10"
	plain := parsed(t, base)
	flow := func(header, kept, at string) archive {
		return plain.everywhere(t, head, head+strings.ReplaceAll(header, relay, kept)+"\r\n").everywhere(t, media, "c=IN IP4 "+at)
	}
	for _, c := range []struct{ name, header, kept, at, without, with string }{
		{"a route", "Route: <sip:203.0.113.7;lr>", relay, own, "media address 10.0.1.10, was 203.0.113.7", "same"},
		{"a text", "X-Relay: by 203.0.113.7 today", relay, own, "media address 10.0.1.10, was 203.0.113.7", "same"},
		{"both are kept", "Route: <sip:203.0.113.7;lr>", relay, relay, "same", "same"},
		{
			"another relay", "Route: <sip:203.0.113.7;lr>", "203.0.113.9", own,
			"media address 10.0.1.10, was 203.0.113.7", "header Route is <sip:203.0.113.9;lr>, was <sip:203.0.113.7;lr>",
		},
	} {
		a, b := flow(c.header, relay, relay), flow(c.header, c.kept, c.at)
		if r := diff.Flows(a.flow("recorded"), b.flow("live"), diff.Rules{}); !strings.HasPrefix(r.Headline, c.without) {
			t.Errorf("%s, of two captures: %q, want %q", c.name, r.Headline, c.without)
		}
		r := diff.Flows(a.flow("recorded"), b.flow("live"), diff.Rules{Replayed: true})
		if !strings.HasPrefix(r.Headline, c.with) {
			t.Errorf("%s: %q, want %q", c.name, r.Headline, c.with)
		}
	}
}
