package correlate_test

import (
	"context"
	"os"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/flowtest"
)

// Packets with times of years ahead cost the streams around them nothing, whatever the size of the batches.
func TestWrongTimes(t *testing.T) {
	t.Parallel()
	const years = 70 * 365 * 24 * 3600e9
	for _, name := range []string{"sip-tcp", "tcp-loss-gap", "tcp-midstream", "ip-fragments", "tunnel-esp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open("../testdata/flows/" + name + ".flow")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			flow, err := flowtest.Parse(name, file)
			if err != nil {
				t.Fatal(err)
			}
			clean, err := flow.Packets()
			if err != nil {
				t.Fatal(err)
			}
			want := messages(t, clean, 256)
			a := newAttack()
			for i := range clean {
				a.packets = append(a.packets, clean[i])
				if i%2 == 0 {
					a.tcp(hostA, hostB, 1, 2, uint32(i), 0, []byte("no SIP"))
					a.packets[len(a.packets)-1].Time = clean[i].Time + years
				}
			}
			for i := range a.packets {
				a.packets[i].Seq = uint64(i + 1)
			}
			for _, batch := range []int{1, 5, 256} {
				if got := messages(t, a.packets, batch); got != want {
					t.Errorf("batches of %d: %d messages, without the wrong times %d", batch, got, want)
				}
			}
		})
	}
}

func messages(t *testing.T, packets []capture.Packet, batch int) uint64 {
	t.Helper()
	board := &correlate.Board{}
	if err := correlate.Run(context.Background(), flowtest.NewSource(packets, batch), correlate.Config{Workers: 2, Board: board}); err != nil {
		t.Fatal(err)
	}
	return board.Totals().Messages
}
