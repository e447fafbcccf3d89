package correlate_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/flowtest"
)

// Every flow is what the textbook and the RFCs say, whatever the size of the batches and the number of workers.
func TestFlows(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../testdata/flows/*.flow")
	if err != nil || len(paths) == 0 {
		t.Fatal("no flows", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			flow, err := flowtest.Parse(path, file)
			if err != nil {
				t.Fatal(err)
			}
			packets, err := flow.Packets()
			if err != nil {
				t.Fatal(err)
			}
			var first string
			for _, run := range []struct{ workers, batch int }{{1, 1}, {2, 5}, {8, 256}} {
				sink := &tally{map[string]uint64{}, map[string]uint64{}}
				board := &correlate.Board{}
				err := correlate.Run(context.Background(), flowtest.NewSource(packets, run.batch),
					correlate.Config{Workers: run.workers, Board: board, Sink: sink})
				if err != nil {
					t.Fatal(err)
				}
				if text := dump(board); first == "" {
					first = text
					for _, d := range flowtest.Check(flow.Expect, observe(board, sink)) {
						t.Errorf("%s: %s", filepath.Base(path), d)
					}
				} else if text != first {
					t.Errorf("%d workers and batches of %d change the result", run.workers, run.batch)
				}
			}
		})
	}
}

// observe writes what the archive found as flows expect it.
func observe(b *correlate.Board, sink *tally) flowtest.Observed {
	total := b.Totals()
	acct, _ := b.Accounting()
	outcomes := map[string]uint64{}
	acct.Each(func(name string, n uint64) { outcomes[name] = n })
	got := flowtest.Observed{
		Counts: map[string]uint64{
			"messages": total.Messages, "callids": total.CallIDs, "retransmissions": total.Retransmissions,
			"duplicates": total.Duplicates, "gaps": total.Gaps,
		},
		Tables: map[string]map[string]uint64{
			"methods": sink.methods, "statuses": sink.statuses, "transactions": total.Transactions, "outcomes": outcomes,
			"dialogs": {"confirmed": total.Confirmed, "early": total.Early},
		},
		Rows: map[string][]map[string]string{},
	}
	for s := range b.Calls() {
		got.Rows["call"] = append(got.Rows["call"], callRow(s))
		row := map[string]string{}
		if c, ok := b.Call(s.Num); ok && c.Registration != nil {
			r := c.Registration
			row = map[string]string{
				"aor": r.AOR, "contact": r.Contact, "contacts": strconv.Itoa(r.Contacts),
				"expires": strconv.FormatInt(r.Expires, 10), "refreshes": strconv.Itoa(r.Refreshes),
				"challenges": strconv.Itoa(r.Challenges), "removed": strconv.FormatBool(r.Removed),
			}
		}
		got.Rows["registration"] = append(got.Rows["registration"], row)
	}
	return got
}

func callRow(s *correlate.Summary) map[string]string {
	count := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	span := func(ns int64) string {
		if ns < 0 {
			return ""
		}
		return time.Duration(ns).String()
	}
	host := func(e frame.Endpoint) string {
		if !e.IsValid() {
			return ""
		}
		return e.Host()
	}
	group, code, cause := "", "", ""
	if s.Group != 0 {
		group = count(s.Group)
	}
	if s.Code != 0 {
		code = strconv.Itoa(int(s.Code))
	}
	if s.Cause >= 0 {
		cause = strconv.Itoa(int(s.Cause))
	}
	return map[string]string{
		"callid": s.CallID, "method": s.Method, "state": s.State.String(), "code": code, "reason": s.Reason,
		"cause": cause, "ruri": s.RURI, "src": s.Src.String(), "dst": s.Dst.String(),
		"from.user": s.From.User, "from.host": s.From.Host, "from.display": s.From.Display, "from.uri": s.From.URI,
		"to.user": s.To.User, "to.host": s.To.Host, "to.display": s.To.Display, "to.uri": s.To.URI,
		"messages": count(s.Messages), "retransmissions": count(s.Retransmissions), "duplicates": count(s.Duplicates),
		"transactions": count(s.Transactions), "dialogs": count(s.Dialogs), "early": count(s.EarlyDialogs),
		"hops": count(s.Hops), "gaps": count(s.Gaps), "pdd": span(s.PDD), "setup": span(s.Setup),
		"duration": span(s.Duration), "released_by": host(s.ReleasedBy), "ended_by": s.EndedBy.String(),
		"user_agent": s.UserAgent, "server": s.Server, "group": group, "relation": s.Relation,
	}
}
