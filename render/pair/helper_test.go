package pair

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/frame"
	"sipscope/render/ladder/laddertest"
)

// good is a call through a proxy, answered and ended.
func good() laddertest.Made {
	m := laddertest.Call("alice@a.example", "bob@b.example", `
0 10.0.0.1:5060 > 10.0.0.2:5060 INVITE sdp
1 10.0.0.2:5060 > 10.0.0.3:5060 INVITE sdp vias=2
2 10.0.0.2:5060 > 10.0.0.1:5060 100 Trying
40 10.0.0.3:5060 > 10.0.0.2:5060 180 Ringing tag=b
41 10.0.0.2:5060 > 10.0.0.1:5060 180 Ringing tag=b
2040 10.0.0.3:5060 > 10.0.0.2:5060 200 OK tag=b sdp
2041 10.0.0.2:5060 > 10.0.0.1:5060 200 OK tag=b sdp
2050 10.0.0.1:5060 > 10.0.0.3:5060 ACK tag=b
9050 10.0.0.3:5060 > 10.0.0.1:5060 BYE tag=b
9051 10.0.0.1:5060 > 10.0.0.3:5060 200 OK method=BYE tag=b
`)
	m.Call.Num = 3
	return m
}

// bad is the same, refused.
func bad() laddertest.Made {
	m := laddertest.Call("alice@a.example", "bob@b.example", `
0 10.1.0.1:5060 > 10.1.0.2:5060 INVITE sdp
  Subject: lunch
1 10.1.0.2:5060 > 10.1.0.3:5060 INVITE sdp vias=2
2 10.1.0.2:5060 > 10.1.0.1:5060 100 Trying
3 10.1.0.3:5060 > 10.1.0.2:5060 183 Session Progress tag=b
4 10.1.0.2:5060 > 10.1.0.1:5060 183 Session Progress tag=b
1040 10.1.0.3:5060 > 10.1.0.2:5060 488 Not Acceptable Here tag=b
1041 10.1.0.2:5060 > 10.1.0.3:5060 ACK tag=b
1042 10.1.0.2:5060 > 10.1.0.1:5060 488 Not Acceptable Here tag=b
1043 10.1.0.1:5060 > 10.1.0.2:5060 ACK tag=b
`)
	m.Call.Num = 5
	s := &m.Call.Summary
	s.State, s.Code, s.Reason = correlate.StateFailed, 488, "Not Acceptable Here"
	return m
}

func ends(all ...string) (e []frame.Endpoint) {
	for _, s := range all {
		e = append(e, laddertest.Endpoint(s))
	}
	return e
}

func flow(name string, m laddertest.Made) diff.Flow {
	return diff.Flow{Name: name, Calls: []correlate.Call{m.Call}, Text: laddertest.Text(m)}
}

// made is a Result with rows as a differ would make them: a drawing must be right for what a Result says, whoever made
// it.
func made() *diff.Result {
	a, b := good(), bad()
	r := &diff.Result{
		A: flow("good.pcap", a), B: flow("bad.pcap", b), First: 3, Verdict: diff.Differs,
		Headline: "expected 180 Ringing, then 200 OK; got 183 Session Progress, then 488 Not Acceptable Here; the offer's codecs were PCMU, G729",
		Who: []diff.Participant{
			{Name: "alice", A: ends("10.0.0.1:5060"), B: ends("10.1.0.1:5060")},
			{Name: "proxy", A: ends("10.0.0.2:5060"), B: ends("10.1.0.2:5060")},
			{Name: "bob", A: ends("10.0.0.3:5060"), B: ends("10.1.0.3:5060")},
		},
	}
	add := func(x, y int, v diff.Verdict, d ...diff.Difference) {
		row := diff.Row{
			A: diff.Ref{Message: x}, B: diff.Ref{Message: y}, Verdict: v, Differences: d,
			TimeA: -1, TimeB: -1, WaitA: -1, WaitB: -1,
		}
		place := func(who func(*diff.Participant) []frame.Endpoint, e frame.Endpoint) int {
			for i := range r.Who {
				if who(&r.Who[i])[0] == e {
					return i
				}
			}
			return -1
		}
		if y >= 0 {
			m := &b.Call.Messages[y]
			row.TimeB = m.Time - b.Call.First
			side := func(p *diff.Participant) []frame.Endpoint { return p.B }
			row.From, row.To = place(side, m.Src), place(side, m.Dst)
			if y > 0 {
				row.WaitB = m.Time - b.Call.Messages[y-1].Time
			}
		}
		if x >= 0 {
			m := &a.Call.Messages[x]
			row.TimeA = m.Time - a.Call.First
			side := func(p *diff.Participant) []frame.Endpoint { return p.A }
			row.From, row.To = place(side, m.Src), place(side, m.Dst)
			if x > 0 {
				row.WaitA = m.Time - a.Call.Messages[x-1].Time
			}
		}
		r.Rows = append(r.Rows, row)
	}
	add(0, 0, diff.Tolerated, diff.Difference{Verdict: diff.Tolerated, Where: "Subject", B: "lunch", Text: "Subject is added: lunch"})
	add(1, 1, diff.Same)
	add(2, 2, diff.Expected)
	add(3, 3, diff.Differs, diff.Difference{
		Verdict: diff.Differs, Where: "status", A: "180 Ringing", B: "183 Session Progress",
		Text: "expected 180 Ringing, got 183 Session Progress",
	}, diff.Difference{Verdict: diff.Late, Where: "time", A: "40 ms", B: "1.2 s", Text: "came after 1.2 s, recorded were 40 ms"})
	add(4, 4, diff.Differs, diff.Difference{
		Verdict: diff.Differs, Where: "status", A: "180 Ringing", B: "183 Session Progress",
		Text: "expected 180 Ringing, got 183 Session Progress",
	})
	add(5, 5, diff.Differs, diff.Difference{
		Verdict: diff.Differs, Where: "status", A: "200 OK", B: "488 Not Acceptable Here", Text: "expected 200 OK, got 488 Not Acceptable Here",
	})
	add(-1, 6, diff.Extra, diff.Difference{Verdict: diff.Extra, Where: "extra", Text: "ACK is extra"})
	add(6, 7, diff.Differs, diff.Difference{
		Verdict: diff.Differs, Where: "status", A: "200 OK", B: "488 Not Acceptable Here", Text: "expected 200 OK, got 488 Not Acceptable Here",
	})
	add(7, 8, diff.Differs, diff.Difference{Verdict: diff.Differs, Where: "path", A: "bob", B: "proxy", Text: "sent to proxy, not to bob"})
	add(8, -1, diff.NotReached)
	add(9, -1, diff.NotReached)
	return r
}

// same is a comparison without differences.
func same() *diff.Result {
	a := good()
	r := &diff.Result{A: flow("good.pcap", a), B: flow("good.pcap", a), First: -1, Headline: "same"}
	r.Who = []diff.Participant{
		{Name: "alice", A: ends("10.0.0.1:5060"), B: ends("10.0.0.1:5060")},
		{Name: "proxy", A: ends("10.0.0.2:5060"), B: ends("10.0.0.2:5060")},
		{Name: "bob", A: ends("10.0.0.3:5060"), B: ends("10.0.0.3:5060")},
	}
	for i := range a.Call.Messages {
		r.Rows = append(r.Rows, diff.Row{A: diff.Ref{Message: i}, B: diff.Ref{Message: i}, From: 0, To: 1, WaitA: -1, WaitB: -1})
	}
	return r
}

// one is a report of one pair; many of several, one of which is alone.
func one() *Report {
	return &Report{A: "good.pcap", B: "bad.pcap", Version: "test", Pairs: []Pair{New(made())}}
}

func many() *Report {
	m := good()
	m.Call.Num = 9
	return &Report{
		A: "monday.pcap", B: "tuesday.pcap", Version: "test", Notes: []string{"one packet of tuesday.pcap was cut"},
		Pairs: []Pair{New(made()), New(same()), Alone(&m.Call.Summary, true), Alone(&m.Call.Summary, false)},
	}
}

// golden compares with a file of testdata, or writes it with UPDATE_GOLDEN=1.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got); UPDATE_GOLDEN=1 writes it anew:\n%s", path, d)
	}
}
