package diff_test

import (
	"strings"
	"testing"

	"sipscope/correlate/diff"
	"sipscope/decode/frame"
)

// ours is a call whose caller we play.
const ours = `title ours
host alice 10.0.1.10 user=sip:alice@a.com
host bob   10.0.2.10 user=sip:bob@b.com
call c1 from alice to bob
@0ms    alice > bob   INVITE sip:bob@b.com sdp=PCMU
+1ms    bob   > alice 100
+99ms   bob   > alice 180
+900ms  bob   > alice 200 sdp=PCMU
+1ms    alice > bob   ACK
@3s     alice > bob   BYE
+1ms    bob   > alice 200
`

// What we do to end what went otherwise is tolerated, and the headline names what the other side did.
func TestOurs(t *testing.T) {
	t.Parallel()
	head, _, _ := strings.Cut(ours, "+900ms")
	start, _, _ := strings.Cut(ours, "+99ms")
	for _, tt := range []struct {
		name, text string
		who        string // address of who is ours
		headline   string
		added      int // rows
		first      string
	}{
		{
			name: "rings for ever", headline: "no final response to INVITE within 2.1 s, 180 was the last, expected 200; it was cancelled", added: 2,
			first: "status",
			text:  head + "@2100ms alice > bob CANCEL\n+1ms bob > alice 200\n+1ms bob > alice 487\n+1ms alice > bob ACK\n",
		},
		{
			name: "nothing but 100", headline: "no answer to INVITE within 2.1 s, expected 180 then 200; it was cancelled", added: 2, first: "status",
			text: start + "@2100ms alice > bob CANCEL\n+1ms bob > alice 200\n+1ms bob > alice 487\n+1ms alice > bob ACK\n",
		},
		{
			name: "says nothing any more", headline: "no final response to INVITE within 2.1 s, 180 was the last, expected 200; it was cancelled", added: 1,
			first: "missing",
			text:  head + "@2100ms alice > bob CANCEL\n",
		},
		{
			name: "answers all the same", added: 2, first: "time",
			headline: "no final response to INVITE within 2.1 s, 180 was the last, expected 200; it was cancelled, then 200 after 2.1 s, recorded 1 s",
			text:     head + "@2100ms alice > bob CANCEL\n+1ms bob > alice 200 CANCEL\n+1ms bob > alice 200 INVITE sdp=PCMU\n+1ms alice > bob ACK\n+1ms alice > bob BYE\n+1ms bob > alice 200\n",
		},
		{
			name: "cancelled by the other side", headline: "INVITE was cancelled after 300 ms, expected 200", who: "10.0.2.10", first: "extra",
			text: head + "@300ms alice > bob CANCEL\n+1ms bob > alice 200\n+1ms bob > alice 487\n+1ms alice > bob ACK\n",
		},
		{
			name: "no ACK", headline: "ACK from 10.0.1.10 to 10.0.2.10 is missing", who: "10.0.2.10", added: 2, first: "missing",
			text: strings.Split(ours, "+1ms    alice > bob   ACK")[0] + "@3s bob > alice BYE\n+1ms alice > bob 200\n",
		},
		{
			name: "refused twice", added: 3, first: "status",
			headline: `expected 180 then 200; got 401 Unauthorized; realm "b.com"; the credentials were not accepted`,
			text: strings.Split(ours, "+1ms    bob")[0] + "+1ms bob > alice 401 header.WWW-Authenticate=\"Digest realm=\\\"b.com\\\", nonce=\\\"1\\\"\"\n+1ms alice > bob ACK\n" +
				"+1ms alice > bob INVITE sip:bob@b.com sdp=PCMU header.Authorization=\"Digest username=\\\"a\\\"\"\n" +
				"+1ms bob > alice 401 header.WWW-Authenticate=\"Digest realm=\\\"b.com\\\", nonce=\\\"2\\\"\"\n+1ms alice > bob ACK\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.who == "" {
				tt.who = "10.0.1.10"
			}
			a, b := parsed(t, ours).flow("recorded"), parsed(t, tt.text).flow("live")
			b.Ours = func(e frame.Endpoint) bool { return e.Addr().String() == tt.who }
			r := diff.Flows(a, b, diff.Rules{})
			added := 0
			for i := range r.Rows {
				if d := r.Rows[i].Differences; len(d) > 0 && strings.Contains(d[0].Text, " is added") {
					added++
					if r.Rows[i].Verdict != diff.Tolerated {
						t.Errorf("row %d is %s", i, r.Rows[i].Verdict)
					}
				}
			}
			if r.Headline != tt.headline || r.Verdict != diff.Differs || added != tt.added || r.First < 0 || r.Rows[r.First].Differences[0].Where != tt.first {
				t.Errorf("%d added, want %d; %q, want %q:\n%s", added, tt.added, r.Headline, tt.headline, list(r))
			}
		})
	}
}

// A request of ours that is not there was not sent; notes say why.
func TestOursNotSent(t *testing.T) {
	t.Parallel()
	a := parsed(t, ours).flow("recorded")
	a.Ours = func(e frame.Endpoint) bool { return e.Addr().String() == "10.0.1.10" }
	b := diff.Flow{Name: "live", Ours: a.Ours, Notes: []diff.Note{{Text: "bob refused the TCP connection"}}}
	r := diff.Flows(a, b, diff.Rules{})
	if want := "INVITE from 10.0.1.10 to 10.0.2.10 was not sent; bob refused the TCP connection"; r.Headline != want {
		t.Errorf("%q, want %q", r.Headline, want)
	}
}
