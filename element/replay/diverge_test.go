package replay_test

import (
	"strings"
	"testing"
	"time"

	"sipscope/correlate/diff"
	"sipscope/element/auth"
	"sipscope/element/replay"
)

// What the live one does otherwise is named, the dialog ends politely, and nothing is left.
func TestDivergences(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, flow, sut string
		old, new        string // change of the live side
		options         func(o *replay.Options)
		verdict         replay.Verdict
		reason          string // beginning
		note            string // part of one
		sent            string // a line that must have been sent
		unsent          string // one that must not
	}{
		{
			name: "busy", flow: "transactions", sut: "bob", old: "ring=400ms answer=1s", new: "ring=400ms answer=1s code=486",
			verdict: replay.Diverged, reason: "step 4: expected 200 to INVITE from bob, got 486 Busy Here",
		},
		{
			name: "class", flow: "transactions-busy", sut: "bob", old: "code=486", new: "code=480",
			options: func(o *replay.Options) { o.Rules = diff.Rules{Final: diff.MatchClass} },
			verdict: replay.Completed, note: "480 Temporarily Unavailable instead of 486",
		},
		{
			name: "any final, refused", flow: "transactions", sut: "bob", old: "ring=400ms answer=1s", new: "ring=400ms answer=1s code=486",
			options: func(o *replay.Options) { o.Rules = diff.Rules{Final: diff.MatchAnyFinal} },
			verdict: replay.Completed, note: "486 Busy Here instead of 200", unsent: "BYE sip:",
		},
		{
			name: "any final, accepted", flow: "transactions-busy", sut: "bob", old: " code=486", new: "",
			options: func(o *replay.Options) { o.Rules = diff.Rules{Final: diff.MatchAnyFinal} },
			verdict: replay.Completed, note: "200 OK instead of 486", sent: "BYE sip:bob",
		},
		{
			name: "not acceptable", flow: "bye", sut: "bob", old: "ring=100ms answer=1s", new: "answer=0ms code=488",
			verdict: replay.Diverged, reason: "step 6: expected 200 to INVITE from bob, got 488 Not Acceptable Here",
		},
		{
			name: "late", flow: "transactions", sut: "bob", old: "answer=1s", new: "answer=200s",
			verdict: replay.Diverged, reason: "step 4: expected 200 to INVITE from bob, nothing came within 33", sent: "CANCEL sip:bob@127.9.2.10",
		},
		{
			name: "slow", flow: "transactions", sut: "bob", old: "answer=1s", new: "answer=20s", verdict: replay.Completed,
		},
		{
			name: "hangs up", flow: "transactions", sut: "bob", old: "answer=1s", new: "answer=1s hangup=500ms",
			verdict: replay.Diverged, reason: "unexpected BYE to alice, answered 200",
		},
		{
			name: "other ringing", flow: "transactions", sut: "bob", old: "ring=400ms", new: "ring=400ms ring-code=183",
			verdict: replay.Completed,
		},
		{
			name: "no ringing", flow: "transactions", sut: "bob", old: "ring=400ms ", new: "", verdict: replay.Completed,
		},
		{
			name: "reliable ringing", flow: "transactions", sut: "bob", old: "ring=400ms", new: "ring=400ms reliable=yes",
			verdict: replay.Completed, sent: "PRACK sip:bob@127.9.2.10",
		},
		{
			name: "ringing is not reliable", flow: "invite-reliable", sut: "bob", old: " reliable=yes", new: "", verdict: replay.Completed,
			note: "183 Session Progress is not reliable, as it was in the recording", sent: "BYE sip:bob", unsent: "PRACK sip:bob",
		},
		{
			name: "every provisional as recorded", flow: "transactions", sut: "bob", old: "ring=400ms", new: "ring=400ms ring-code=183",
			options: func(o *replay.Options) { o.Rules = diff.Rules{Provisional: diff.MatchCode} },
			verdict: replay.Diverged, reason: "step 1: extra 183 Session Progress to INVITE from bob", sent: "CANCEL sip:bob",
		},
		{
			name: "challenge is extra", flow: "cancel", sut: "proxyA", old: "domain=b.com", new: "domain=b.com accounts=alice:secret",
			options: func(o *replay.Options) {
				o.Credentials = []auth.Credentials{{User: "alice", Password: "secret"}}
			},
			verdict: replay.Completed, note: `+auth: 407 of realm "b.com" answered, CSeq +1`, sent: "CSeq: 2 CANCEL",
		},
		{
			name: "challenge without credentials", flow: "cancel", sut: "proxyA", old: "domain=b.com", new: "domain=b.com accounts=alice:secret",
			verdict: replay.Diverged, reason: `step 12: expected 487 to INVITE from proxy, got 407 Proxy Authentication Required: no challenge that can be answered: realm "b.com" asks user "alice" for a password`,
		},
		{
			name: "wrong password", flow: "cancel", sut: "proxyA", old: "domain=b.com", new: "domain=b.com accounts=alice:secret",
			options: func(o *replay.Options) {
				o.Credentials = []auth.Credentials{{User: "alice", Password: "guess"}}
			},
			verdict: replay.Diverged,
		},
		{
			name: "challenge is missing", flow: "invite-proxy-auth", sut: "proxyA", old: " realm=a.com accounts=alice:secret", new: "",
			verdict: replay.Completed, note: "-auth: no 407 came",
		},
		{
			name: "registrar does not ask", flow: "register", sut: "registrar", old: " accounts=", new: "\n# accounts=",
			verdict: replay.Completed, note: "-auth: no 401 came",
		},
		{
			name: "registrar asks, no password", flow: "register", sut: "registrar",
			options: func(o *replay.Options) { o.Credentials = nil },
			verdict: replay.Refused, reason: `step 3: cannot send REGISTER to registrar: no challenge that can be answered: realm "iptel.org" asks user "jan" for a password; --cred`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := flowText(t, tt.flow)
			r := recorded(t, tt.flow, text)
			changed := strings.Replace(text, tt.old, tt.new, 1)
			if changed == text && tt.old != "" {
				t.Fatalf("nothing to change in\n%s", text)
			}
			there := parsed(t, tt.flow, elsewhere(changed))
			p, ok := planFor(t, r, there, tt.sut)
			if !ok {
				t.Fatal("no plan")
			}
			w := newWorld(t, p, there, func(o *replay.Options) {
				o.Credentials = accounts(there)
				if tt.options != nil {
					tt.options(o)
				}
			})
			w.run(1)
			w.clean()
			if len(w.ended) != 1 {
				t.Fatal("no outcome")
			}
			o := w.ended[0]
			notes := strings.Join(o.Notes, "\n")
			if o.Verdict != tt.verdict || !strings.HasPrefix(o.Reason, tt.reason) || !strings.Contains(notes, tt.note) ||
				!strings.Contains(w.wire.String(), tt.sent) || tt.unsent != "" && strings.Contains(w.wire.String(), tt.unsent) {
				t.Errorf("%s: step %d, %s\nwant %s: %s\nnotes: %s (want %q), sent %q\n%s", o.Verdict, o.Step, o.Reason, tt.verdict, tt.reason, notes,
					tt.note, tt.sent, w.wire.arrows())
			}
			if strings.Contains(notes+o.Reason, "secret") || strings.Contains(notes+o.Reason, "guess") {
				t.Errorf("a secret is told: %s\n%s", o.Reason, notes)
			}
		})
	}
}

// What cannot be reached, and what breaks on the way.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	for _, tt := range []struct {
		name   string
		change func(w *world)
		tcp    bool
		reason string
		within time.Duration
	}{
		{
			name: "nobody answers", change: func(w *world) { w.live.link.Unplug(true) },
			reason: "step 4: expected 200 to INVITE from bob, nothing came: no final response in time", within: 33 * time.Second,
		},
		{
			name: "nobody listens", change: func(w *world) { w.live.link.Unplug(true) }, tcp: true,
			reason: "step 1: INVITE to bob could not be sent", within: time.Second,
		},
		{
			name: "goes away", change: func(w *world) {
				w.net.At(start+int64(1500*time.Millisecond), func() { w.live.link.Unplug(true) })
			},
			tcp: true, reason: "step 6: BYE to bob could not be sent", within: 40 * time.Second,
		},
		{
			name: "goes away, datagrams", change: func(w *world) {
				w.net.At(start+int64(1500*time.Millisecond), func() { w.live.link.Unplug(true) })
			},
			reason: "step 7: expected 200 to BYE from bob, nothing came: no final response in time", within: 40 * time.Second,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := planFor(t, r, there, "bob")
			w := newWorld(t, p, there, func(o *replay.Options) {
				if tt.tcp {
					o.Target.Proto = 2
				}
			})
			tt.change(w)
			w.run(1)
			w.live = nil // nobody can tell it
			w.clean()
			o := w.ended[0]
			if o.Verdict != replay.Diverged || !strings.HasPrefix(o.Reason, tt.reason) || o.Ended-o.Began > int64(tt.within) {
				t.Errorf("%s after %v: %s\n%s", o.Verdict, time.Duration(o.Ended-o.Began), o.Reason, w.wire.arrows())
			}
		})
	}
}
