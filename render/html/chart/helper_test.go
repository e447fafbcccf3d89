package chart_test

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/render/html/chart"
)

// sink counts messages as they pass.
type sink struct{ stats.Collector }

// Event implements correlate.Sink.
func (s *sink) Event(e *correlate.Event) error {
	if e.Message != nil {
		s.Message(e.Message, e.Verdict.Retransmission, e.Verdict.Duplicate)
	}
	return nil
}

// figures reads captures of testdata, all of them when none is named.
func figures(t *testing.T, names ...string) (*stats.Result, *chart.Calls) {
	t.Helper()
	if len(names) == 0 {
		names = []string{"*.pcap"}
	}
	var paths []string
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "pcaps", name))
		if err != nil || len(found) == 0 {
			t.Fatalf("no capture %s: %v", name, err)
		}
		paths = append(paths, found...)
	}
	files, err := capture.Open(paths, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var board correlate.Board
	var s sink
	if err = correlate.Run(t.Context(), files, correlate.Config{Board: &board, Sink: &s}); err != nil {
		t.Fatal(err)
	}
	var calls chart.Calls
	for c := range board.Calls() {
		s.Call(c)
		calls.Add(c)
	}
	acct, limited := board.Accounting()
	r := s.Result(stats.NewTotals(acct, board.Totals(), limited))
	return &r, &calls
}

func ofCaptures(t *testing.T, names ...string) []chart.Chart {
	t.Helper()
	r, calls := figures(t, names...)
	return all(t, r, calls)
}

func all(t *testing.T, r *stats.Result, calls *chart.Calls) []chart.Chart {
	t.Helper()
	charts, err := chart.All(r, calls)
	if err != nil {
		t.Fatal(err)
	}
	return charts
}

// busy is what a day of a carrier may look like: every chart is full.
func busy(t *testing.T) []chart.Chart {
	t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	var calls chart.Calls
	var s stats.Collector
	states := correlate.States()
	for i := range 200_000 {
		c := correlate.Summary{
			Num: uint32(i + 1), Method: "INVITE", First: 1_800_000_000e9 + rnd.Int64N(18*3600e9),
			PDD: -1, Setup: -1, Duration: -1, State: correlate.StateCompleted, Code: 200,
		}
		if i%3 == 0 {
			c.State = states[rnd.IntN(len(states))]
		}
		if i%5 == 0 {
			c.Method = "REGISTER"
			c.State = correlate.StateRegistered
		}
		if rnd.IntN(3) > 0 {
			c.PDD = int64(rnd.ExpFloat64() * 900e6)
			c.Setup = c.PDD + int64(rnd.ExpFloat64()*9e9)
		}
		c.Last = c.First + 60e9
		calls.Add(&c)
		s.Call(&c)
	}
	r := s.Result(stats.Totals{})
	r.Requests = map[string]uint64{
		"INVITE": 1234567, "ACK": 1200000, "BYE": 900000, "CANCEL": 4321, "REGISTER": 77777, "OPTIONS": 12,
		"SUBSCRIBE": 900, "NOTIFY": 1800, "X-SOMETHING-WITH-A-VERY-LONG-NAME": 1,
	}
	r.Responses = map[string]uint64{}
	for i, status := range []int{
		100, 180, 183, 200, 202, 302, 400, 401, 403, 404, 407, 408, 415, 480, 481, 484, 486, 487, 488, 491, 500, 503,
		603, 699,
	} {
		r.Responses[strconv.Itoa(status)] = uint64(1_000_000 / (i*i + 1))
	}
	r.Transports = map[string]uint64{"UDP": 4_000_000, "TCP": 12_345, "TLS": 400, "WSS": 3}
	r.Hosts = []stats.Ranked{
		{Name: "192.168.100.200", Count: 3_000_000},
		{Name: "2001:db8:1234:5678:9abc:def0:1234:5678", Count: 2_000_000},
		{Name: "10.0.0.1", Count: 1_000_000},
		{Name: "10.0.0.2", Count: 1000},
		{Name: "10.0.0.3", Count: 1},
	}
	return all(t, &r, &calls)
}

// hostileNames are what an attacker would write into a method, or a host name, were there one.
func hostileNames() []string {
	return []string{
		`</script><script>throw 1</script>`, `<img src=x onerror=alert(1)>`, `<!--<script>`,
		`__f__function(){throw 1}__f__`,
		`"quotes" and 'quotes' and \back\`, "{a}{b}{c}", "{mark|x}", "a}{mark|■} b", "line\nend\r\n",
		"u\u2028v\u2029w", "\x1b]0;x\x07",
		"\u202egnp.exe", "\xff\xfe", "\u2000\ufffd\u200b", "", "constructor", "__proto__", "toString",
		"-", "12", "NaN", "null", "'-alert(1)-'",
		"中文中文中文中文中文中文中文中文中文中文", "a very long name that does not fit on any axis of any chart, and goes on",
	}
}

// hostile has the hostile names wherever the wire has a say, and in places where it has none today.
func hostile(t *testing.T) []chart.Chart {
	t.Helper()
	r := stats.Result{
		Requests: map[string]uint64{}, Responses: map[string]uint64{}, Transports: map[string]uint64{},
		States: stats.States{Invite: map[string]uint64{}, Other: map[string]uint64{}},
	}
	for i, name := range hostileNames() {
		n := uint64(1000 - i)
		for _, m := range []map[string]uint64{r.Requests, r.Responses, r.Transports, r.States.Invite, r.States.Other} {
			m[name] = n
		}
		r.Hosts = append(r.Hosts, stats.Ranked{Name: name, Count: n})
	}
	var calls chart.Calls
	calls.Add(&correlate.Summary{Method: "INVITE", First: -1 << 63, PDD: 0, Setup: 1<<63 - 1, State: 255})
	calls.Add(&correlate.Summary{Method: "INVITE", First: 1<<63 - 1, PDD: -5, Setup: 1})
	return all(t, &r, &calls)
}
