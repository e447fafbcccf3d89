package columns_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/render/columns"
)

func call() correlate.Summary {
	return correlate.Summary{
		Num: 7, CallID: "a@b", Method: "INVITE", State: correlate.StateBusy, First: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC).UnixNano(),
		From: correlate.Party{Display: "Alice", User: "alice", Host: "a.com", URI: "sip:alice@a.com"},
		To:   correlate.Party{Host: "b.com"}, RURI: "sip:bob@b.com",
		Src: frame.Endpoint4([]byte{10, 0, 0, 1}, 5060), Dst: frame.Endpoint4([]byte{10, 0, 0, 2}, 5080),
		Code: 486, Reason: "Busy Here", Cause: 17, Messages: 4, PDD: 150e6, Setup: -1, Duration: 65e9,
		Transports: 1<<decode.UDP | 1<<decode.TCP, EndedBy: correlate.Callee, ReleasedBy: frame.Endpoint4([]byte{10, 0, 0, 2}, 5080), Group: 3, Relation: "b2bua",
		Columns: []string{"first", "second"},
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	s := call()
	empty := correlate.Summary{PDD: -1, Setup: -1, Duration: -1, Cause: -1}
	for name, want := range map[string]string{
		"num": "7", "start": "2026-01-02 03:04:05.006", "time": "03:04:05.006", "method": "INVITE", "state": "busy", "code": "486",
		"reason": "Busy Here", "callid": "a@b", "transport": "UDP,TCP", "group": "3", "relation": "b2bua", "from": "alice@a.com",
		"to": "b.com", "from.name": "Alice", "source": "10.0.0.1:5060", "destination": "10.0.0.2:5080", "ended_by": "callee",
		"messages": "4", "pdd": "150 ms", "setup": "", "duration": "1:05", "cause": "17", "released_by": "10.0.0.2:5080", "ruri": "sip:bob@b.com",
	} {
		c, err := columns.Find(strings.ToUpper(name))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Cell(&s); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, c := range columns.All() {
		_ = c.Cell(&empty)
		if c.Compare(&s, &s) != 0 || c.Compare(&s, &empty) != -c.Compare(&empty, &s) {
			t.Errorf("%s does not order", c.Name)
		}
		if c.Title == "" || c.Help == "" {
			t.Errorf("%s has no title or help", c.Name)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	cols, headers, err := columns.Choose("num, header.X-A,state,header.X-B")
	if err != nil || !slices.Equal(headers, []string{"X-A", "X-B"}) {
		t.Fatal(headers, err)
	}
	s := call()
	var got []string
	for i := range cols {
		got = append(got, cols[i].Cell(&s))
	}
	if want := []string{"7", "first", "busy", "second"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if cols[1].Cell(&correlate.Summary{}) != "" {
		t.Error("a header that was not collected is not empty")
	}
	for _, bad := range []string{"", "nonsense", "num,,state", "header."} {
		if _, _, err := columns.Choose(bad); err == nil {
			t.Errorf("%q names columns", bad)
		}
	}
}

func TestForFitsTheTerminal(t *testing.T) {
	t.Parallel()
	last := 0
	for _, width := range []int{20, 60, 94, 120, 150, 0} {
		cols, _, err := columns.Choose(columns.For(width))
		if err != nil {
			t.Fatal(err)
		}
		if width > 0 && len(cols) < last {
			t.Errorf("%d cells show fewer columns than a narrower terminal", width)
		}
		last = len(cols)
		if !slices.ContainsFunc(cols, func(c columns.Column) bool { return c.Name == "state" }) {
			t.Errorf("%d cells do not show the state", width)
		}
	}
}

func TestSort(t *testing.T) {
	t.Parallel()
	list := []correlate.Summary{{Num: 1, Code: 200}, {Num: 2, Code: 486}, {Num: 3, Code: 200}}
	order := func() (nums []uint32) {
		for i := range list {
			nums = append(nums, list[i].Num)
		}
		return nums
	}
	if err := columns.Sort(list, "-code"); err != nil || !slices.Equal(order(), []uint32{2, 1, 3}) {
		t.Error(order(), err)
	}
	if err := columns.Sort(list, "num"); err != nil || !slices.Equal(order(), []uint32{1, 2, 3}) {
		t.Error(order(), err)
	}
	if err := columns.Sort(nil, "nonsense"); err == nil || !strings.Contains(err.Error(), `cannot sort by "nonsense"`) {
		t.Error(err)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for ns, want := range map[int64]string{-1: "", 0: "0.00 ms", 250e3: "0.25 ms", 148e6: "148 ms", 1.05e9: "1.05 s", 125e9: "2:05", 3725e9: "1:02:05"} {
		if got := columns.Duration(ns); got != want {
			t.Errorf("%d is %q, want %q", ns, got, want)
		}
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	state, err := columns.Find("state")
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[correlate.State]columns.Class{
		correlate.StateCalling: columns.Plain, correlate.StateRinging: columns.Plain, correlate.StateCompleted: columns.Good,
		correlate.StateBusy: columns.Neutral, correlate.StateCancelled: columns.Neutral, correlate.StateFailed: columns.Bad,
	} {
		if got := state.Class(state.Cell(&correlate.Summary{State: s})); got != want {
			t.Errorf("%s is of class %d, want %d", s, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := columns.Names()
	for _, c := range columns.All() {
		if !strings.Contains(names, c.Name+", ") {
			t.Errorf("%s is not in %q", c.Name, names)
		}
	}
	if !strings.HasSuffix(names, "and header.NAME for any header") {
		t.Errorf("%q", names)
	}
}
