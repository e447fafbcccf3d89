//go:build libpcap && linux

package live_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/net/bpf"

	"sipscope/capture"
	"sipscope/capture/live"
)

// TestLibpcap reads two wires through libpcap.
func TestLibpcap(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{
		Devices: []string{"in0", "out0"}, Promiscuous: true,
		Filter: func(capture.LinkType) ([]bpf.RawInstruction, error) {
			return bpf.Assemble([]bpf.Instruction{
				bpf.LoadAbsolute{Off: 12, Size: 2},
				bpf.JumpIf{Cond: bpf.JumpEqual, Val: ethLocal, SkipFalse: 1},
				bpf.RetConstant{Val: 1 << 18},
				bpf.RetConstant{Val: 0},
			})
		},
	})
	const n = 5000
	go func() {
		for i := range uint32(n) {
			tx.send(t, frame(nil, i))
		}
	}()
	var next [2]uint32
	for i, p := range collect(t, s, 2*n, func(*capture.Packet) bool { return true }) {
		got := binary.BigEndian.Uint32(p.Data[14:])
		if got != next[p.Iface] || !bytes.Equal(p.Data, frame(nil, got)) || int(p.WireLen) != len(p.Data) ||
			p.Seq != uint64(i+1) || p.Link != capture.LinkEthernet {
			t.Fatalf("packet %d: frame %d of interface %d, want %d", i, got, p.Iface, next[p.Iface])
		}
		next[p.Iface]++
	}
	s.Stop()
	var b capture.Batch
	var err error
	for ctx := limit(t); err == nil; err = s.Next(ctx, &b) {
	}
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	for _, st := range s.Stats() {
		if st.Received != n || st.KernelDropped != 0 {
			t.Errorf("%+v", st)
		}
	}
	s.Close()
	if err = s.Next(context.Background(), &b); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	_, err = live.Open(live.Options{Devices: []string{"in9"}, Now: time.Now})
	if _, ok := errors.AsType[*live.NotFoundError](err); !ok {
		t.Errorf("%v", err)
	}
}
