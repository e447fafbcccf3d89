package ladder_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
)

func build(opts ladder.Options, made ...laddertest.Made) ladder.Ladder {
	calls := make([]correlate.Call, len(made))
	for i := range made {
		calls[i] = made[i].Call
	}
	return ladder.Build(calls, laddertest.Text(made...), opts)
}

// lines writes columns and rows for comparison: "0>1 INVITE ×2 | sdp PCMU | note; note".
func lines(l *ladder.Ladder) string {
	var b strings.Builder
	for i := range l.Columns {
		c := &l.Columns[i]
		fmt.Fprintf(&b, "%d %s %s\n", i, c.Label, c.Address)
	}
	for i := range l.Rows {
		r := &l.Rows[i]
		switch r.Kind {
		case ladder.Arrow:
			fmt.Fprintf(&b, "%d>%d %s", r.From, r.To, r.Label)
		case ladder.Note, ladder.Gap, ladder.State, ladder.Media, ladder.DTMF, ladder.Lane:
			fmt.Fprintf(&b, "%s %d,%d: %s", r.Kind, r.From, r.To, r.Label)
		}
		if r.Count > 1 {
			fmt.Fprintf(&b, " x%d", r.Count)
		}
		if r.Hops > 1 {
			fmt.Fprintf(&b, " (%d hops)", r.Hops)
		}
		if r.SDP != "" {
			b.WriteString(" | " + r.SDP)
		}
		notes := r.Notes
		if n := r.RepeatNote(); n != "" {
			notes = append([]string{n}, notes...)
		}
		if len(notes) > 0 {
			b.WriteString(" | " + strings.Join(notes, "; "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestBuild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		made []laddertest.Made
		opts ladder.Options
		want string
	}{
		{
			name: "two proxies", made: []laddertest.Made{laddertest.TwoProxies()},
			want: `
0 alice 10.77.0.10
1 proxy A 10.77.0.20
2 proxy B 10.77.0.30
3 bob 10.77.0.40
0>1 INVITE | sdp PCMU
1>0 100 Trying
1>2 INVITE | sdp PCMU
2>1 100 Trying
2>3 INVITE x2 | sdp PCMU | retransmitted after 500 ms
3>2 180 Ringing | early dialog 1
2>1 180 Ringing
1>0 180 Ringing
3>2 200 OK | sdp PCMU | dialog 1 confirmed
2>1 200 OK | sdp PCMU
1>0 200 OK | sdp PCMU
0>1 ACK
1>3 ACK | past proxy B: no Record-Route
0>1 BYE | Q.850 16 Normal call clearing
1>3 BYE
3>1 200 OK
1>0 200 OK
state -1,-1: ended by alice after 3.53 s of talk, Q.850 cause 16
`,
		},
		{
			name: "hops folded", made: []laddertest.Made{laddertest.TwoProxies()}, opts: ladder.Options{FoldHops: true},
			want: `
0 alice 10.77.0.10
1 proxy A 10.77.0.20
2 proxy B 10.77.0.30
3 bob 10.77.0.40
0>1 INVITE | sdp PCMU
1>0 100 Trying
1>2 INVITE | sdp PCMU
2>1 100 Trying
2>3 INVITE x2 | sdp PCMU | retransmitted after 500 ms
3>0 180 Ringing (3 hops) | early dialog 1
3>0 200 OK (3 hops) | sdp PCMU | dialog 1 confirmed
0>3 ACK (2 hops) | past proxy B: no Record-Route
0>3 BYE (2 hops) | Q.850 16 Normal call clearing
3>0 200 OK (2 hops)
state -1,-1: ended by alice after 3.53 s of talk, Q.850 cause 16
`,
		},
		{
			name: "fork", made: []laddertest.Made{laddertest.Fork()},
			want: `
0 alice 10.77.0.10
1 proxy 10.77.0.20
2 desk 10.77.0.41
3 mobile 10.77.0.42
0>1 INVITE | sdp PCMU
1>0 100 Trying
1>2 INVITE | sdp PCMU
1>3 INVITE | sdp PCMU
2>1 180 Ringing | early dialog 1
1>0 180 Ringing
3>1 183 Session Progress | sdp PCMU | early dialog 2 (fork)
1>0 183 Session Progress | sdp PCMU
2>1 200 OK | sdp PCMU | dialog 1 confirmed
1>0 200 OK | sdp PCMU
1>3 CANCEL | cancels INVITE (frame 4); reason SIP 200 Call completed elsewhere
3>1 200 OK (CANCEL)
3>1 487 Request Terminated
1>3 ACK
0>1 ACK
1>2 ACK
state -1,-1: answered, no BYE in the capture
`,
		},
		{
			name: "lossy", made: []laddertest.Made{laddertest.Lossy()},
			want: `
0 bob 10.0.0.2
1 alice 10.0.0.1
note 1,0: INVITE not captured: the capture starts later
0>1 180 Ringing | early dialog 1
0>1 200 OK x4 | sdp PCMU | retransmitted after 500 ms, 1 s, 2 s; dialog 1 confirmed; no ACK seen
gap 1,0: 1448 bytes of the stream are missing
1>0 INVITE | sdp hold PCMU | re-INVITE; after a hole in the stream
0>1 491 Request Pending | no ACK seen; warning 399 b.com "glare"
state -1,-1: answered, no BYE in the capture
`,
		},
		{
			name: "names", made: []laddertest.Made{laddertest.Names()},
			opts: ladder.Options{Aliases: map[string]string{"10.0.0.3": "by host", "10.0.0.3:5060": "by port"}},
			want: `
0 山田太郎 10.0.0.1
1 proxy 10.0.0.2
2 by port 10.0.0.3
0>1 INVITE | sdp PCMU
1>0 407 Proxy Authentication Required | challenge, realm "例え, Ltd."
0>1 ACK
0>1 INVITE | sdp PCMU | with credentials of 山田
1>2 INVITE | sdp PCMU
2>1 603 Не️беспокоить̀́̂ÜÜÜ👩‍👩‍👧
1>2 ACK
1>0 603 Не️беспокоить̀́̂ÜÜÜ👩‍👩‍👧
0>1 ACK
state -1,-1: declined: 603 Не беспокоить from by port
`,
		},
		{
			name: "one host, two ports", made: []laddertest.Made{laddertest.Self()},
			want: `
0 monitor 127.0.0.1:5060
1 127.0.0.1 127.0.0.1:5070
0>0 OPTIONS
0>0 200 OK
0>1 OPTIONS
1>0 200 OK
state -1,-1: succeeded: 200 OK
`,
		},
		{
			name: "by address", made: []laddertest.Made{laddertest.Self()}, opts: ladder.Options{ByIP: true},
			want: `
0 monitor 127.0.0.1
0>0 OPTIONS
0>0 200 OK
0>0 OPTIONS
0>0 200 OK
state -1,-1: succeeded: 200 OK
`,
		},
		{
			name: "two calls", made: laddertest.TwoLegs(),
			want: `
0 alice 10.0.0.1
1 b2bua 10.0.0.9
2 bob 10.0.0.2
0>1 INVITE | sdp PCMU | call 1 begins
1>0 100 Trying
1>2 INVITE | sdp PCMU | call 2 begins
2>1 180 Ringing | early dialog 1
1>0 180 Ringing | early dialog 2
2>1 200 OK | sdp PCMU | dialog 1 confirmed
1>2 ACK
1>0 200 OK | sdp PCMU | dialog 2 confirmed
0>1 ACK
2>1 BYE
1>2 200 OK
1>0 BYE
0>1 200 OK
state -1,-1: call 1: ended by b2bua after 7 s of talk
state -1,-1: call 2: ended by bob after 7 s of talk
`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := build(c.opts, c.made...)
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), lines(&l)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestScripts holds what single features show; want are lines that must be there, not those that must not.
func TestScripts(t *testing.T) {
	t.Parallel()
	const a, b, c = "10.0.0.1:5060", "10.0.0.2:5060", "10.0.0.3:5060"
	for _, s := range []struct {
		name, script string
		opts         ladder.Options
		want, not    []string
	}{
		{
			name: "client ports of a stream join",
			script: `
0 10.0.0.1:40001 > 10.0.0.2:5060 OPTIONS tcp
1 10.0.0.2:5060 > 10.0.0.1:40001 200 OK method=OPTIONS tcp
2 10.0.0.1:40002 > 10.0.0.2:5060 OPTIONS cseq=2 tcp
3 10.0.0.2:5060 > 10.0.0.1:40002 200 OK method=OPTIONS cseq=2 tcp`,
			want: []string{"0 alice 10.0.0.1", "0>1 OPTIONS"}, not: []string{"2>", "40001"},
		},
		{
			name: "a response to another port joins",
			script: `
0 10.0.0.1:33000 > 10.0.0.2:5060 OPTIONS
1 10.0.0.2:5061 > 10.0.0.1:33000 200 OK method=OPTIONS`,
			want: []string{"0 alice 10.0.0.1", "1 bob 10.0.0.2", "1>0 200 OK"}, not: []string{"2 "},
		},
		{
			name: "ports of one address are shown where they differ",
			script: `
0 10.0.0.1:5060 > 10.0.0.2:5060 OPTIONS
1 10.0.0.2:5060 > 10.0.0.1:5080 OPTIONS cseq=2`,
			want: []string{"10.0.0.1:5060", "10.0.0.1:5080", "1 bob 10.0.0.2"},
		},
		{
			name: "no response", script: "0 " + a + " > " + b + " OPTIONS",
			want: []string{"0>1 OPTIONS | no response seen"},
		},
		{
			name: "no response yet", script: "0 " + a + " > " + b + " OPTIONS", opts: ladder.Options{Live: true},
			want: []string{"0>1 OPTIONS"}, not: []string{"no response"},
		},
		{
			name:   "cut text",
			script: "0 " + a + " > " + b + " MESSAGE cut",
			want:   []string{"text is cut short in the capture"},
		},
		{
			name: "unreadable text",
			script: "0 " + a + " > " + b + " INVITE sdp text=none\n" +
				"1 " + b + " > " + a + " 180 Ringing text=none tag=b\n2 " + b + " > " + a + " 200 OK tag=b",
			want: []string{"0>1 INVITE | sdp | text could not be read again", "1>0 180 | early dialog 1; text could not"},
		},
		{
			name:   "inside a dialog",
			script: "0 " + a + " > " + b + " BYE tag=b cseq=7\n1 " + b + " > " + a + " 200 OK method=BYE cseq=7 tag=b",
			want:   []string{"note 0,1: the capture starts inside the dialog", "0>1 BYE"},
		},
		{
			name: "redirection",
			script: "0 " + a + " > " + b + " INVITE\n1 " + b + " > " + a + " 302 Moved tag=b\n  Contact: <sip:carol@c.com>\n" +
				"2 " + a + " > " + b + " ACK",
			want: []string{"1>0 302 Moved | try sip:carol@c.com", "1 redirect 10.0.0.2"},
		},
		{
			name: "registration",
			script: "0 " + a + " > " + b + " REGISTER\n  Expires: 0\n  Contact: *\n" +
				"1 " + b + " > " + a + " 200 OK method=REGISTER tag=b\n  Contact: <sip:a@1.2.3.4>;expires=60",
			want: []string{"REGISTER | removes all bindings", "200 OK | binding for 60 s"},
		},
		{
			name: "transfer",
			script: "0 " + a + " > " + b + " REFER tag=b\n  Refer-To: <sip:c@c.com?Replaces=x%3Bto-tag%3D1>\n" +
				"1 " + b + " > " + a + " 202 Accepted method=REFER tag=b\n" +
				"2 " + b + " > " + a + " NOTIFY tag=a cseq=9\n  Event: refer\n  Subscription-State: terminated;reason=noresource",
			want: []string{"refer to sip:c@c.com (replaces a dialog)", "event refer; subscription terminated (noresource)"},
		},
		{
			name: "several transports",
			script: "0 " + a + " > " + b + " INVITE\n1 " + b + " > " + c + " INVITE tcp vias=2\n" +
				"2 " + c + " > " + b + " 404 Not Found tcp tag=x",
			want: []string{"1>2 INVITE", "2>1 404 Not Found | no ACK seen"},
		},
		{
			name: "media lines", opts: ladder.Options{SDP: true},
			script: "0 " + a + " > " + b + " INVITE sdp",
			want:   []string{"0>1 INVITE | sdp PCMU"},
		},
		{
			name: "unfolded", opts: ladder.Options{Unfold: true},
			script: "0 " + a + " > " + b + " INVITE\n500 " + a + " > " + b + " INVITE again\n1500 " + a + " > " + b + " INVITE again",
			want:   []string{"retransmitted after 500 ms", "retransmitted after 1 s"}, not: []string{"x2", "x3"},
		},
		{
			name:   "many retransmissions",
			script: "0 " + a + " > " + b + " OPTIONS" + strings.Repeat("\n500 "+a+" > "+b+" OPTIONS again", 99),
			want:   []string{"OPTIONS x100", "... 92 more"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			l := build(s.opts, laddertest.Call("alice@a.com", "bob@b.com", s.script))
			got := lines(&l)
			for _, w := range s.want {
				if !strings.Contains(got, w) {
					t.Errorf("no %q in\n%s", w, got)
				}
			}
			for _, n := range s.not {
				if strings.Contains(got, n) {
					t.Errorf("%q in\n%s", n, got)
				}
			}
		})
	}
}

// An explanation is a note below its arrow, at the time of its arrow, and hides nothing.
func TestExplain(t *testing.T) {
	t.Parallel()
	made := laddertest.TwoProxies()
	plain := build(ladder.Options{}, made)
	told := build(ladder.Options{Explain: func(call, message int) string {
		if message == 1 {
			return ""
		}
		return fmt.Sprintf("message %d of call %d", message, call)
	}}, made)
	var without []ladder.Row
	for i := range told.Rows {
		r := &told.Rows[i]
		if r.Kind != ladder.Note {
			without = append(without, *r)
			continue
		}
		above := &told.Rows[i-1]
		if want := fmt.Sprintf("message %d of call 0", above.Messages[0]); r.Label != want || r.Time != above.Time {
			t.Errorf("row %d: %q at %d, want %q at %d", i, r.Label, r.Time, want, above.Time)
		}
	}
	if diff := cmp.Diff(plain.Rows, without); diff != "" {
		t.Errorf("the other rows (-plain +explained):\n%s", diff)
	}
	if want := len(plain.Rows) - 1 - 1; len(told.Rows)-len(plain.Rows) != want { // no state, not message 1
		t.Errorf("%d explanations, want %d", len(told.Rows)-len(plain.Rows), want)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	l := build(ladder.Options{Accounting: "x"}, laddertest.Lossy())
	var prev, first []int64
	for i := range l.Rows {
		prev = append(prev, l.Rows[i].SincePrev/1e6)
		first = append(first, l.Rows[i].SinceFirst/1e6)
	}
	// A note has the time of the row that it explains; the fold ends at the original.
	if diff := cmp.Diff([]int64{0, 0, 900, 8090, 10, 300, 0}, prev); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int64{0, 0, 900, 8990, 9000, 9300, 9300}, first); diff != "" {
		t.Error(diff)
	}
	want := ladder.Totals{
		Messages: 7, Transactions: 2, Hops: 1, Dialogs: 1, EarlyDialogs: 1, Retransmissions: 3, Gaps: 1, Accounting: "x",
	}
	if diff := cmp.Diff(want, l.Totals); diff != "" {
		t.Error(diff)
	}
}

// TestStates: each state explains itself in words, and none leaves the row empty.
func TestStates(t *testing.T) {
	t.Parallel()
	want := map[correlate.State]string{
		correlate.StateBusy:         "busy: 486 Busy Here from bob",
		correlate.StateCancelled:    "cancelled by alice after 2 s",
		correlate.StateTimedOut:     "no answer: 486 Busy Here from bob after 2 s",
		correlate.StateChallenged:   "challenged and not answered with credentials: 486 Busy Here from bob",
		correlate.StateRedirected:   "redirected and not followed: 486 Busy Here from bob",
		correlate.StateRegistered:   "registered: sip:a@a.com for 60 s, refreshed 2 times",
		correlate.StateRinging:      "ringing when the capture ends",
		correlate.StateTerminated:   "terminated: 486 Busy Here from bob",
		correlate.StateCalling:      "calling: no answer yet when the capture ends",
		correlate.StateCompleted:    "ended by alice",
		correlate.StateUnknown:      "unknown: the messages that decide were not captured",
		correlate.StatePending:      "no final response when the capture ends",
		correlate.StateAnswered:     "answered, no BYE in the capture",
		correlate.StateSubscribed:   "subscribed: 486 Busy Here from bob",
		correlate.StateSucceeded:    "succeeded: 486 Busy Here from bob",
		correlate.StateNotFound:     "not_found: 486 Busy Here from bob",
		correlate.StateFailed:       "failed: 486 Busy Here from bob",
		correlate.StateDeclined:     "declined: 486 Busy Here from bob",
		correlate.StateUnregistered: "unregistered: sip:a@a.com, refreshed 2 times",
	}
	for _, s := range correlate.States() {
		m := laddertest.Call("alice@a.com", "bob@b.com", `
0 10.0.0.1:5060 > 10.0.0.2:5060 INVITE
2000 10.0.0.2:5060 > 10.0.0.1:5060 486 Busy Here tag=b`)
		m.Call.State, m.Call.Code, m.Call.Reason, m.Call.EndedBy = s, 486, "Busy Here", correlate.Caller
		m.Call.Evidence.Final = 2
		m.Call.Registration = &correlate.Registration{AOR: "sip:a@a.com", Expires: 60, Refreshes: 2}
		l := build(ladder.Options{}, m)
		if got := l.Rows[len(l.Rows)-1]; got.Kind != ladder.State || got.Label != want[s] {
			t.Errorf("%v: %q, want %q", s, got.Label, want[s])
		}
	}
}

// TestCrowd: a call with more participants than a ladder has columns.
func TestCrowd(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "%d 10.0.0.1:5060 > 10.1.0.%d:5060 INVITE ruri=sip:u%d@x.com\n", i, i, i)
	}
	l := build(ladder.Options{}, laddertest.Call("a@a.com", "b@b.com", b.String()))
	if len(l.Columns) != 64 {
		t.Fatalf("%d columns", len(l.Columns))
	}
	last := l.Columns[63]
	if last.Others != 138 || last.Label != "138 others" || len(last.Endpoints) > 64 {
		t.Errorf("last column: %+v", last)
	}
	if r := l.Rows[199]; r.To != 63 {
		t.Errorf("row: %+v", r)
	}
}

// TestWrongIndices: a call whose indices point nowhere is drawn, not trusted.
func TestWrongIndices(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-7, 99} {
		m := laddertest.Fork()
		for i := range m.Call.Messages {
			msg := &m.Call.Messages[i]
			msg.Txn, msg.Dialog = n, n
			if n > 0 && i%2 == 0 {
				msg.Repeats = n
			}
		}
		for i := range m.Call.Transactions {
			tx := &m.Call.Transactions[i]
			tx.Request, tx.Final, tx.Ack, tx.Cancel = n, n, n, n
		}
		if l := build(ladder.Options{FoldHops: n > 0, Unfold: n < 0}, m); len(l.Rows) == 0 {
			t.Error("no rows")
		}
	}
	empty := ladder.Build(nil, nil, ladder.Options{})
	if len(empty.Rows) != 0 || len(empty.Columns) != 0 {
		t.Errorf("empty: %+v", empty)
	}
	one := ladder.Build([]correlate.Call{{}}, nil, ladder.Options{})
	if len(one.Rows) != 1 || one.Rows[0].Kind != ladder.State {
		t.Errorf("a call without messages: %+v", one)
	}
}

// TestUntouched: Build changes nothing of the calls that it is given.
func TestUntouched(t *testing.T) {
	t.Parallel()
	m, want := laddertest.Lossy(), laddertest.Lossy()
	build(ladder.Options{Unfold: true, SDP: true}, m)
	if diff := cmp.Diff(want.Call, m.Call); diff != "" {
		t.Error(diff)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0 ms"},
		{250 * time.Microsecond, "0.25 ms"},
		{3, "0 ms"},
		{9996 * time.Microsecond, "10 ms"},
		{148 * time.Millisecond, "148 ms"},
		{999600 * time.Microsecond, "1 s"},
		{1050 * time.Millisecond, "1.05 s"},
		{4600 * time.Millisecond, "4.6 s"},
		{59996 * time.Millisecond, "1 min"},
		{125 * time.Second, "2 min 5 s"},
		{time.Hour, "1 h"},
		{62 * time.Minute, "1 h 2 min"},
		{50 * time.Hour, "2 d 2 h"},
		{-time.Second, "-1 s"},
		{-1 << 63, "-106751 d 23 h"},
		{1<<63 - 1, "106751 d 23 h"},
		{500 * time.Microsecond, "0.5 ms"},
	} {
		if got := ladder.Duration(int64(c.d)); got != c.want {
			t.Errorf("%d: %q, want %q", c.d, got, c.want)
		}
	}
}

func ExampleBuild() {
	m := laddertest.Call("alice@a.com", "bob@b.com", `
0 10.0.0.1:5060 > 10.0.0.2:5060 OPTIONS
4 10.0.0.2:5060 > 10.0.0.1:5060 200 OK method=OPTIONS tag=b`)
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{})
	for _, r := range l.Rows[:2] {
		fmt.Println(l.Columns[r.From].Name(), "->", l.Columns[r.To].Name(), r.Label)
	}
	// Output:
	// alice -> bob OPTIONS
	// bob -> alice 200 OK
}

func FuzzBuild(f *testing.F) {
	f.Add([]byte("SIP/2.0 401 No\r\nWWW-Authenticate: Digest realm=\"a,b\r\nReason: Q.850;cause=16;text=\"\r\n\r\n"), uint16(0), 3)
	f.Add([]byte("NOTIFY sip:a SIP/2.0\r\nCSeq: 1 NOTIFY\r\n\r\nSIP/2.0 200 OK"), uint16(200), -1)
	f.Add([]byte(laddertest.PCMU), uint16(183), 0)
	f.Fuzz(func(t *testing.T, text []byte, status uint16, index int) {
		m := laddertest.Fork()
		for i := range m.Texts {
			m.Texts[i] = text
			if i%3 == 0 {
				m.Call.Messages[i].Status = status
				m.Call.Messages[i].Txn = index
				m.Call.Messages[i].Src.Port = uint16(index)
			}
		}
		l := build(ladder.Options{SDP: true, FoldHops: index > 5}, m)
		for i := range l.Rows {
			r := &l.Rows[i]
			if r.From >= len(l.Columns) || r.To >= len(l.Columns) || r.Label == "" {
				t.Fatalf("row %d: %+v", i, r)
			}
			if len(r.Label) > 300 || len(r.SDP) > 300 || len(r.Notes) > 20 || len(r.Media) > 16 {
				t.Fatalf("row %d is not bounded: %+v", i, r)
			}
		}
	})
}

func BenchmarkBuild(b *testing.B) {
	for _, n := range []int{1, 5000} {
		b.Run(fmt.Sprintf("%d_messages", 18*n), func(b *testing.B) {
			m := laddertest.TwoProxies()
			call := m.Call
			for range n - 1 {
				call.Messages = append(call.Messages, m.Call.Messages...)
			}
			text := func(_, i int) []byte { return m.Texts[i%len(m.Texts)] }
			calls := []correlate.Call{call}
			b.ReportAllocs()
			for b.Loop() {
				if l := ladder.Build(calls, text, ladder.Options{}); len(l.Rows) == 0 {
					b.Fatal("no rows")
				}
			}
		})
	}
}
