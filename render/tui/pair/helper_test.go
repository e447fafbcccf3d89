package pair

import (
	"strconv"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"go.uber.org/goleak"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/pair"
	"sipscope/render/text"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// good and bad are the same call through a proxy, once answered and once rejected, recorded at other addresses. Each
// line of a script ends in the message that both have, or the rows below say so.
const good = `
0 10.77.0.10:5060 > 10.77.0.20:5060 INVITE sdp
1 10.77.0.20:5060 > 10.77.0.10:5060 100 Trying
2 10.77.0.20:5060 > 10.77.0.30:5060 INVITE vias=2 sdp
40 10.77.0.30:5060 > 10.77.0.20:5060 180 Ringing tag=b vias=2
41 10.77.0.20:5060 > 10.77.0.10:5060 180 Ringing tag=b
1740 10.77.0.30:5060 > 10.77.0.20:5060 200 OK tag=b vias=2 sdp
1741 10.77.0.20:5060 > 10.77.0.10:5060 200 OK tag=b sdp
1750 10.77.0.10:5060 > 10.77.0.30:5060 ACK tag=b
61750 10.77.0.30:5060 > 10.77.0.10:5060 BYE tag=b cseq=9
61760 10.77.0.10:5060 > 10.77.0.30:5060 200 OK method=BYE tag=b cseq=9
`

const bad = `
0 192.0.2.10:5070 > 192.0.2.20:5060 INVITE sdp
1 192.0.2.20:5060 > 192.0.2.10:5070 100 Trying
2 192.0.2.20:5060 > 192.0.2.30:5060 INVITE vias=2 sdp
3 192.0.2.20:5060 > 192.0.2.30:5060 INVITE vias=2 sdp again
852 192.0.2.30:5060 > 192.0.2.20:5060 183 Session Progress tag=b vias=2 sdp
853 192.0.2.20:5060 > 192.0.2.10:5070 183 Session Progress tag=b sdp
1740 192.0.2.30:5060 > 192.0.2.20:5060 486 Busy Here tag=b vias=2
1741 192.0.2.20:5060 > 192.0.2.30:5060 ACK tag=b vias=2
1742 192.0.2.20:5060 > 192.0.2.10:5070 486 Busy Here tag=b
1743 192.0.2.10:5070 > 192.0.2.20:5060 ACK tag=b
`

// pairing is a row by message numbers, -1 for none.
type pairing struct {
	a, b     int
	from, to int
	verdict  diff.Verdict
	what     []diff.Difference
}

// because is a difference.
func because(v diff.Verdict, where, a, b, told string) diff.Difference {
	return diff.Difference{Verdict: v, Where: where, A: a, B: b, Text: told}
}

// rejected is what differs between good and bad.
func rejected() []pairing {
	return []pairing{
		{0, 0, 0, 1, diff.Expected, nil},
		{1, 1, 1, 0, diff.Same, nil},
		{2, 2, 1, 2, diff.Tolerated, []diff.Difference{because(diff.Tolerated, "retransmission", "0", "1", "sent again after 1 ms")}},
		{3, 4, 2, 1, diff.Late, []diff.Difference{
			because(diff.Late, "time", "38 ms", "850 ms", "came after 850 ms instead of 38 ms"),
			because(diff.Tolerated, "status", "180 Ringing", "183 Session Progress", "expected 180 Ringing, got 183 Session Progress"),
		}},
		{4, 5, 1, 0, diff.Tolerated, []diff.Difference{because(diff.Tolerated, "status", "180 Ringing", "183 Session Progress", "expected 180 Ringing, got 183 Session Progress")}},
		{5, 6, 2, 1, diff.Differs, []diff.Difference{
			because(diff.Differs, "status", "200 OK", "486 Busy Here", "expected 200 OK, got 486 Busy Here"),
			because(diff.Differs, "SDP m0", "m=audio 49170 RTP/AVP 0 101", "", "the answer is missing"),
			because(diff.Differs, "Contact", "<sip:bob@10.77.0.30>", "", "Contact is missing"),
			because(diff.Tolerated, "Server", "a/1", "a/2", "Server differs"),
		}},
		{-1, 7, 1, 2, diff.Extra, []diff.Difference{because(diff.Extra, "extra", "", "ACK", "ACK was not expected")}},
		{6, 8, 1, 0, diff.Differs, []diff.Difference{because(diff.Differs, "status", "200 OK", "486 Busy Here", "expected 200 OK, got 486 Busy Here")}},
		{7, -1, 0, 2, diff.Missing, []diff.Difference{because(diff.Missing, "missing", "ACK", "", "ACK is missing")}},
		{-1, 9, 0, 1, diff.Extra, nil},
		{8, -1, 2, 0, diff.NotReached, nil},
		{9, -1, 0, 2, diff.NotReached, nil},
	}
}

// result makes a comparison of two calls by hand: what diff says of them is its own affair.
func result(a, b laddertest.Made, names []string, rows []pairing) *diff.Result {
	r := &diff.Result{A: flow("good.pcap", a), B: flow("bad.pcap", b), First: -1, Verdict: diff.Same, Headline: "same"}
	for i, n := range names {
		r.Who = append(r.Who, diff.Participant{Name: n, A: at(a, i), B: at(b, i)})
	}
	for i, x := range rows {
		row := diff.Row{
			A: diff.Ref{Message: x.a}, B: diff.Ref{Message: x.b}, From: x.from, To: x.to, Verdict: x.verdict,
			TimeA: timeOf(a, x.a), TimeB: timeOf(b, x.b), WaitA: -1, WaitB: -1, Differences: x.what,
		}
		if i > 0 {
			row.WaitA, row.WaitB = max(row.TimeA/2, -1), max(row.TimeB/3, -1)
		}
		r.Rows = append(r.Rows, row)
		if r.First < 0 && r.Diverges(i) {
			r.First, r.Verdict = i, diff.Differs
		}
	}
	return r
}

func flow(name string, m laddertest.Made) diff.Flow {
	return diff.Flow{Name: name, Calls: []correlate.Call{m.Call}, Text: laddertest.Text(m)}
}

// at is the i-th endpoint that a call reaches.
func at(m laddertest.Made, i int) []frame.Endpoint {
	var seen []frame.Endpoint
	for k := range m.Call.Messages {
		for _, e := range [...]frame.Endpoint{m.Call.Messages[k].Src, m.Call.Messages[k].Dst} {
			known := false
			for _, s := range seen {
				known = known || s == e
			}
			if !known {
				seen = append(seen, e)
			}
		}
	}
	if i >= len(seen) {
		return nil
	}
	return seen[i : i+1]
}

func timeOf(m laddertest.Made, i int) int64 {
	if i < 0 || i >= len(m.Call.Messages) {
		return -1
	}
	return m.Call.Messages[i].Time - m.Call.Messages[0].Time
}

// numbered gives a call a number in its capture.
func numbered(m laddertest.Made, num uint32) laddertest.Made {
	m.Call.Num = num
	return m
}

// trunk is the result that most tests look at.
func trunk() *diff.Result {
	a := numbered(laddertest.Call("alice@a.com", "bob@b.com", good), 1)
	b := numbered(laddertest.Call("alice@a.com", "bob@b.com", bad), 4)
	r := result(a, b, []string{"alice", "proxy", "bob"}, rejected())
	r.Headline = "expected 180 Ringing then 200 OK; got 183 Session Progress then 486 Busy Here; the offer's codecs were PCMU, " +
		"telephone-event"
	r.First = 5
	return r
}

// same is a call compared with itself.
func same() *diff.Result {
	a := numbered(laddertest.Call("alice@a.com", "bob@b.com", good), 1)
	var rows []pairing
	ends := map[string]int{"10.77.0.10": 0, "10.77.0.20": 1, "10.77.0.30": 2}
	for i := range a.Call.Messages {
		m := &a.Call.Messages[i]
		rows = append(rows, pairing{i, i, ends[m.Src.Host()], ends[m.Dst.Host()], diff.Same, nil})
	}
	return result(a, numbered(a, 2), []string{"alice", "proxy", "bob"}, rows)
}

// crowd has more participants than any screen has room for, and messages to oneself.
func crowd(n int) *diff.Result {
	var script strings.Builder
	var rows []pairing
	var names []string
	for i := range n {
		names = append(names, "element-"+strings.Repeat("x", i%5)+string(rune('a'+i%26)))
	}
	for i := range n - 1 {
		script.WriteString("1 10.0.0." + strconv.Itoa(i+1) + ":5060 > 10.0.0." + strconv.Itoa(i+2) + ":5060 INVITE vias=2 sdp\n")
		v := diff.Same
		if i == n/2 {
			v = diff.Differs
		}
		rows = append(rows, pairing{i, i, i, i + 1, v, nil})
	}
	script.WriteString("2 10.0.0.1:5060 > 10.0.0.1:5060 OPTIONS cseq=2\n")
	rows = append(rows, pairing{n - 1, n - 1, 0, 0, diff.Same, nil}, pairing{n - 1, -1, n - 1, n - 1, diff.Missing, nil})
	m := laddertest.Call("a@a.com", "b@b.com", script.String())
	return result(m, m, names, rows)
}

// hostile attacks who draws it.
func hostile() *diff.Result {
	wide := strings.Repeat("\u4e2d\u0301\u200b", 300)
	m := laddertest.Call("\x1b[2J\u202eeve@a.com", "b\xff\xfe@b.com", `
0 [2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:5060 > [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 `+"\x07IN\x00VITE"+` sdp
5 [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 > [2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:5060 603 `+wide+` tag=b
6 [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 > [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 `+wide+` cseq=9
`)
	evil := "\x1b]0;owned\x07\u202e" + wide
	r := result(m, m, []string{evil, "\x00\xff"}, []pairing{
		{0, 1, 0, 1, diff.Differs, []diff.Difference{because(diff.Differs, evil, evil, evil, evil), because(diff.Late, "", "", "", "\r\n")}},
		{1, 0, 1, 0, diff.Verdict(77), nil},
		{2, -1, 1, 1, diff.Missing, nil},
		{-1, 2, 0, 0, diff.Extra, nil},
		{-1, -1, 0, 1, diff.Same, nil},
		{99, -7, -1, 99, diff.Differs, nil},
		{0, 0, 7, 1, diff.Tolerated, nil},
	})
	r.Rows[4].A.Call, r.Rows[5].B.Call = 9, -3
	r.Headline, r.A.Name, r.B.Name = evil+" "+evil, evil, ""
	r.B.Text = nil
	return r
}

// long is a comparison of n rows.
func long(n int) *diff.Result {
	a := laddertest.Call("alice@a.com", "bob@b.com", good)
	msgs, texts := a.Call.Messages, a.Texts
	ends := map[string]int{"10.77.0.10": 0, "10.77.0.20": 1, "10.77.0.30": 2}
	var m laddertest.Made
	m.Call.Num, m.Call.From = 1, a.Call.From
	var rows []pairing
	for i := range n {
		k := i % len(msgs)
		x := msgs[k]
		x.Seq, x.Time, x.Repeats, x.Txn = uint64(i+1), laddertest.Start+int64(i)*1e6, -1, -1
		m.Call.Messages, m.Texts = append(m.Call.Messages, x), append(m.Texts, texts[k])
		p := pairing{i, i, ends[x.Src.Host()], ends[x.Dst.Host()], diff.Same, nil}
		switch i % 97 {
		case 13:
			p.verdict, p.b = diff.Missing, -1
		case 50:
			p.verdict = diff.Differs
			p.what = []diff.Difference{because(diff.Differs, "Contact", "a", "b", "Contact differs")}
		}
		rows = append(rows, p)
	}
	return result(m, m, []string{"alice", "proxy", "bob"}, rows)
}

// reportOf is what diff shows.
func reportOf(results ...*diff.Result) *pair.Report {
	r := &pair.Report{}
	if len(results) > 0 {
		r.A, r.B = results[0].A.Name, results[0].B.Name
	}
	for _, x := range results {
		r.Pairs = append(r.Pairs, pair.New(x))
	}
	return r
}

// open shows results.
func open(results ...*diff.Result) (*View, *termtest.Host) {
	h := termtest.NewHost(term.Data{Source: "made"})
	v := New(h, reportOf(results...))
	h.D.Text = v.Text
	return v, h
}

// frameOf draws a view inside a screen that is a cell larger on each side, and fails when the margin was touched or what
// is drawn is not clean.
func frameOf(tb testing.TB, s tcell.SimulationScreen, v term.View, w, h int, ascii bool) {
	tb.Helper()
	s.SetSize(w+2, h+2)
	s.Clear()
	outer := term.NewCanvas(s, termtest.Theme(), ascii)
	outer.Fill(0, 0, w+2, h+2, term.Bar)
	mark := termtest.Theme().Style(term.Bar)
	c := outer.Sub(1, 1, w, h)
	c.Clear()
	v.Draw(c)
	for y := range h + 2 {
		for x := 0; x < w+2; {
			str, st, n := s.Get(x, y)
			inside := x >= 1 && x <= w && y >= 1 && y <= h
			if !inside && (str != " " || st != mark) {
				tb.Fatalf("%d x %d: %q at %d,%d is outside", w, h, str, x-1, y-1)
			}
			if str != text.Clean(str) || ascii && str != text.CleanASCII(str) {
				tb.Fatalf("%d x %d: %q at %d,%d is not clean", w, h, str, x-1, y-1)
			}
			x += max(n, 1)
		}
	}
}
