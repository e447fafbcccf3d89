package ladder_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/decode/frame"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
)

// describe gives messages of a call another session description: a connection address, then m= lines.
func describe(m laddertest.Made, by map[int]string) laddertest.Made {
	m.Texts = slices.Clone(m.Texts)
	for i, s := range by {
		head, _, _ := strings.Cut(string(m.Texts[i]), "\r\n\r\n")
		at, lines, _ := strings.Cut(s, " | ")
		body := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 " + at + "\r\nt=0 0\r\n" +
			strings.ReplaceAll(lines, " | ", "\r\n") + "\r\n"
		head = regexp.MustCompile(`Content-Length: \d+`).ReplaceAllString(head, "Content-Length: "+strconv.Itoa(len(body)))
		m.Texts[i] = []byte(head + "\r\n\r\n" + body)
	}
	return m
}

// laneText writes the rows of lanes, one a line.
func laneText(m laddertest.Made, opts ladder.Options, lanes ...media.Lane) string {
	opts.Lanes = func(uint32) []media.Lane { return slices.Clone(lanes) }
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), opts)
	var b strings.Builder
	for _, r := range kinds(&l, ladder.Lane) {
		head := ""
		if r.OneWay {
			head = ">"
		}
		fmt.Fprintf(&b, "%d-%s%d %d ms for %d ms: %s", r.From, head, r.To, (r.Time-laddertest.Start)/1e6, (r.Until-r.Time)/1e6, r.Label)
		for _, s := range slices.Concat(r.Figures, r.Notes) {
			b.WriteString(" | " + s)
		}
		b.WriteString("\n")
	}
	return b.String()
}

const (
	laneA = "10.77.0.10"
	laneB = "10.77.0.40"
)

func lane(src, dst string, packets, bytes uint64, first, last int64) media.Lane {
	return media.Lane{
		Src: laddertest.Endpoint(src), Dst: laddertest.Endpoint(dst), Packets: packets, Bytes: bytes,
		First: laddertest.Start + first*1e6, Last: laddertest.Start + last*1e6, FirstFrame: uint64(first), LastFrame: uint64(last),
	}
}

// Every m= line that an answer takes and that is not RTP is a row between those who named its addresses, once, however many
// proxies passed it on. What was seen goes with it.
func TestLanes(t *testing.T) {
	t.Parallel()
	direct := laddertest.Call("alice@a.com", "bob@b.com", `
0 10.77.0.10:5060 > 10.77.0.40:5060 INVITE cseq=1 sdp
100 10.77.0.40:5060 > 10.77.0.10:5060 200 OK cseq=1 tag=b sdp
110 10.77.0.10:5060 > 10.77.0.40:5060 ACK cseq=1 tag=b
`)
	late := laddertest.Call("alice@a.com", "bob@b.com", `
0 10.77.0.10:5060 > 10.77.0.40:5060 INVITE cseq=1
100 10.77.0.40:5060 > 10.77.0.10:5060 200 OK cseq=1 tag=b sdp
110 10.77.0.10:5060 > 10.77.0.40:5060 ACK cseq=1 tag=b sdp
`)
	refused := laddertest.Call("alice@a.com", "bob@b.com", `
0 10.77.0.10:5060 > 10.77.0.40:5060 INVITE cseq=1 sdp
100 10.77.0.40:5060 > 10.77.0.10:5060 488 Not Acceptable Here cseq=1 tag=b sdp
110 10.77.0.10:5060 > 10.77.0.40:5060 ACK cseq=1 tag=b
`)
	fax := map[int]string{0: laneA + " | m=image 4000 udptl t38", 1: laneB + " | m=image 5000 udptl t38"}
	proxied := map[int]string{}
	for i, m := range laddertest.TwoProxies().Call.Messages {
		if m.SDP && m.Status == 0 {
			proxied[i] = fax[0]
		} else if m.SDP {
			proxied[i] = fax[1]
		}
	}
	for _, c := range []struct {
		name string
		made laddertest.Made
		sdp  map[int]string
		opts ladder.Options
		seen []media.Lane
		want string
	}{
		{
			"both ways",
			direct, fax,
			ladder.Options{},
			[]media.Lane{lane(laneA+":4000", laneB+":5000", 12, 640, 150, 900), lane(laneB+":5000", laneA+":4000", 3, 18, 200, 950)},
			"0-1 150 ms for 800 ms: T.38 fax | 10.77.0.10:4000 ↔ 10.77.0.40:5000 | 12 ↔ 3 packets | 640 ↔ 18 bytes\n",
		},
		{
			"one way",
			direct, fax,
			ladder.Options{},
			[]media.Lane{lane(laneB+":5000", laneA+":4000", 1200, 64_000, 150, 900)},
			"1->0 150 ms for 750 ms: T.38 fax | 10.77.0.40:5000 ↔ 10.77.0.10:4000 | 1200 packets ← only | 64.0 kB\n",
		},
		{
			"none",
			direct, fax,
			ladder.Options{},
			nil,
			"0-1 100 ms for 0 ms: T.38 fax | 10.77.0.10:4000 ↔ 10.77.0.40:5000 | no packets seen\n",
		},
		{
			"none yet",
			direct, fax,
			ladder.Options{Live: true},
			nil,
			"0-1 100 ms for 0 ms: T.38 fax | 10.77.0.10:4000 ↔ 10.77.0.40:5000 | no packets yet\n",
		},
		{
			"behind a NAT",
			direct, fax,
			ladder.Options{},
			[]media.Lane{lane("192.0.2.7:9999", laneB+":5000", 2, 12_000, 150, 900)},
			"0->1 150 ms for 750 ms: T.38 fax | 10.77.0.10:4000 ↔ 10.77.0.40:5000 | 2 packets → only | 12.0 kB | from 192.0.2.7:9999, which no SDP names\n",
		},
		{
			"through proxies",
			laddertest.TwoProxies(), proxied,
			ladder.Options{},
			[]media.Lane{lane(laneA+":4000", laneB+":5000", 2, 9, 1590, 1600)},
			"0->3 1590 ms for 10 ms: T.38 fax | 10.77.0.10:4000 ↔ 10.77.0.40:5000 | 2 packets → only | 9 bytes\n",
		},
		{
			"offer in the 200",
			late,
			map[int]string{1: laneB + " | m=message 2856 TCP/TLS/MSRP *", 2: laneA + " | m=message 9 TCP/TLS/MSRP *"},
			ladder.Options{},
			nil, "0-1 110 ms for 0 ms: MSRP over TLS | 10.77.0.10:9 ↔ 10.77.0.40:2856 | no packets seen\n",
		},
		{
			"a client's port",
			direct,
			map[int]string{0: laneA + " | m=message 9 TCP/MSRP *", 1: laneB + " | m=message 2856 TCP/MSRP *"},
			ladder.Options{},
			[]media.Lane{
				{Src: laddertest.Endpoint(laneA + ":33333"), Dst: laddertest.Endpoint(laneB + ":2856"), TCP: true, Packets: 1, Bytes: 5, First: laddertest.Start + 2e8, Last: laddertest.Start + 2e8, FirstFrame: 9},
				{Src: laddertest.Endpoint(laneB + ":2856"), Dst: laddertest.Endpoint(laneA + ":33333"), TCP: true, Packets: 1, Bytes: 5, First: laddertest.Start + 3e8, Last: laddertest.Start + 3e8, FirstFrame: 10},
			},
			"0-1 200 ms for 100 ms: MSRP | 10.77.0.10:9 ↔ 10.77.0.40:2856 | 1 ↔ 1 packets | 5 bytes\n",
		},
		{
			"several lines",
			direct,
			map[int]string{
				0: laneA + " | m=audio 4000 RTP/AVP 0 | m=application 4002 UDP/BFCP * | m=image 4004 udptl t38 | m=application 4006 UDP/DTLS/SCTP webrtc-datachannel",
				1: laneB + " | m=audio 5000 RTP/AVP 0 | m=application 5002 UDP/BFCP * | m=image 0 udptl t38 | m=application 5006 UDP/DTLS/SCTP webrtc-datachannel",
			},
			ladder.Options{},
			nil,
			"0-1 100 ms for 0 ms: BFCP | 10.77.0.10:4002 ↔ 10.77.0.40:5002 | no packets seen\n" +
				"0-1 100 ms for 0 ms: application UDP/DTLS/SCTP | 10.77.0.10:4006 ↔ 10.77.0.40:5006 | no packets seen\n",
		},
		{
			"a bundle",
			direct,
			map[int]string{
				0: laneA + " | m=audio 4000 UDP/TLS/RTP/SAVPF 0 | m=application 4000 UDP/DTLS/SCTP webrtc-datachannel",
				1: laneB + " | m=audio 5000 UDP/TLS/RTP/SAVPF 0 | m=application 5000 UDP/DTLS/SCTP webrtc-datachannel",
			},
			ladder.Options{},
			nil, "",
		},
		{"refused", refused, fax, ladder.Options{}, nil, ""},
		{
			"a name of a host",
			direct,
			map[int]string{0: "fax.example | m=image 4000 udptl t38", 1: laneB + " | m=image 5000 udptl t38"},
			ladder.Options{},
			nil,
			"0-1 100 ms for 0 ms: T.38 fax | fax.example:4000 ↔ 10.77.0.40:5000 | no packets seen\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := laneText(describe(c.made, c.sdp), c.opts, c.seen...); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// However many lines, answers and lanes a call has, its rows are bounded, and what is left out is counted.
func TestLanesHostile(t *testing.T) {
	t.Parallel()
	const exchanges = 40
	var script strings.Builder
	for i := range exchanges {
		n := strconv.Itoa(i + 1)
		script.WriteString(n + "0 10.77.0.10:5060 > 10.77.0.40:5060 INVITE cseq=" + n + " sdp\n")
		script.WriteString(n + "5 10.77.0.40:5060 > 10.77.0.10:5060 200 OK cseq=" + n + " tag=b sdp\n")
	}
	m := laddertest.Call("a@a", "b@b", script.String())
	by := map[int]string{}
	for i := range m.Texts {
		port := strconv.Itoa(4000 + i)
		by[i] = laneA + strings.Repeat(" | m=image "+port+" "+strings.Repeat("\x1b", 9999)+" t38", 30)
	}
	m = describe(m, by)
	lanes := make([]media.Lane, 5000)
	for i := range lanes {
		lanes[i] = media.Lane{Src: frame.Endpoint{Port: uint16(i)}, Dst: laddertest.Endpoint(laneA + ":4001"), Packets: 1 << 63, Bytes: 1 << 63}
	}
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{Lanes: func(uint32) []media.Lane { return lanes }})
	rows, left := kinds(&l, ladder.Lane), ""
	for _, r := range l.Rows {
		if strings.HasSuffix(r.Label, " media more") {
			left = r.Label
		}
		if len(r.Label) > 300 {
			t.Errorf("a label of %d bytes", len(r.Label))
		}
	}
	if want := "and " + strconv.Itoa(exchanges-12) + " media more"; len(rows) != 12 || left != want {
		t.Errorf("%d rows, %q, want 12, %q", len(rows), left, want)
	}
}

// Each side of a dialog counts its own requests (RFC 3261 12.2.1.1): a callee that sends a re-INVITE with the number that the
// caller's INVITE had passes nothing on.
func TestNameOfCalleeThatInvites(t *testing.T) {
	t.Parallel()
	m := laddertest.Call("alice@a.com", "bob@b.com", `
0 10.77.0.10:5060 > 10.77.0.40:5060 INVITE cseq=1 sdp
100 10.77.0.40:5060 > 10.77.0.10:5060 200 OK cseq=1 tag=b sdp
110 10.77.0.10:5060 > 10.77.0.40:5060 ACK cseq=1 tag=b
900 10.77.0.40:5060 > 10.77.0.10:5060 INVITE cseq=1 tag=b sdp
950 10.77.0.10:5060 > 10.77.0.40:5060 200 OK cseq=1 tag=b sdp
960 10.77.0.40:5060 > 10.77.0.10:5060 ACK cseq=1 tag=b
`)
	for i := 3; i < 6; i++ {
		m.Texts[i] = []byte(strings.NewReplacer(
			"From: <sip:alice@a.com>;tag=a", "From: <sip:bob@b.com>;tag=b", "To: <sip:bob@b.com>;tag=b", "To: <sip:alice@a.com>;tag=a",
		).Replace(string(m.Texts[i])))
	}
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{})
	if len(l.Columns) != 2 || l.Columns[0].Label != "alice" || l.Columns[1].Label != "bob" {
		t.Errorf("columns %+v, want alice and bob", l.Columns)
	}
}
