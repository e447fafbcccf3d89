package correlate_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/flowtest"
)

const lanesPath = "../testdata/flows/media-lanes.flow"

// laneLines writes the lanes of the first four calls.
func laneLines(b *correlate.Board) string {
	var s strings.Builder
	for call := range uint32(4) {
		for _, l := range b.Lanes(call + 1) {
			fmt.Fprintf(&s, "%d %v > %v tcp=%v %d packets %d bytes %v frames %d-%d\n", l.Call, l.Src, l.Dst, l.TCP, l.Packets, l.Bytes,
				(l.Last-l.First)/1e6, l.FirstFrame, l.LastFrame)
		}
	}
	return s.String()
}

// TestLanes counts what the flow media-lanes says, for any number of workers and any size of batches: no RTP of the same
// ports, no segment without payload, and nothing of a fax that was refused.
func TestLanes(t *testing.T) {
	t.Parallel()
	const want = `1 10.0.2.10:5000 > 10.0.1.10:4000 tcp=false 5 packets 45 bytes 160 frames 57-63
1 10.0.1.10:4000 > 10.0.2.10:5000 tcp=false 2 packets 12 bytes 120 frames 58-62
2 10.0.1.11:40001 > 10.0.2.11:2856 tcp=true 1 packets 174 bytes 0 frames 72-72
2 10.0.2.11:2856 > 10.0.1.11:40001 tcp=true 1 packets 110 bytes 0 frames 74-74
`
	file, err := os.Open(lanesPath)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	flow, err := flowtest.Parse(lanesPath, file)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := flow.Packets()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ workers, batch int }{{1, 256}, {1, 1}, {8, 3}, {8, 256}} {
		board := &correlate.Board{}
		source := flowtest.NewSource(packets, c.batch)
		if err := correlate.Run(context.Background(), source, correlate.Config{Workers: c.workers, Board: board}); err != nil {
			t.Fatal(err)
		}
		if got := laneLines(board); got != want {
			t.Errorf("%d workers, batches of %d: got\n%swant\n%s", c.workers, c.batch, got, want)
		}
		acct, _ := board.Accounting()
		var sum uint64
		for _, n := range acct.Outcomes {
			sum += n
		}
		if n := acct.Outcomes[decode.OutcomeRTP]; n != 50 || sum != acct.Packets {
			t.Errorf("%d packets of RTP, outcomes of %d in %d", n, sum, acct.Packets)
		}
	}
}
