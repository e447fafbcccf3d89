//go:build !libpcap

package live

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// TestReached follows the time through a clock that is set back by an hour.
func TestReached(t *testing.T) {
	t.Parallel()
	const ms, hour = int64(time.Millisecond), int64(time.Hour)
	start := int64(1_700_000_000) * int64(time.Second)
	back := start + 100*ms - hour // what the clock shows after it was set back
	var r reached
	var b capture.Batch
	for i, c := range []struct {
		at, wall, now int64
		setBack       bool
	}{
		{start, start + 5*ms, start, false},
		{start + 10*ms, start + 12*ms, start + 10*ms, false},
		{start + 9*ms, start + 13*ms, start + 10*ms, false},            // processors disagree
		{start + 20*ms, start - 500*ms, start + 20*ms, false},          // slewed a little
		{start + 19*ms, start - 480*ms, start + 20*ms, false},          // and goes on
		{start + 90*ms, start + 100*ms, start + 90*ms, false},          //
		{start + 95*ms, back, start + 95*ms, false},                    // a packet of before
		{back + 3*ms, back + 5*ms, start + 95*ms, false},               // others may come
		{start + 97*ms, back + 6*ms, start + 97*ms, false},             // as this one
		{start + 98*ms, back + 30*ms, start + 98*ms, false},            // and this late one
		{back + 31*ms, back + 32*ms, back + 31*ms, true},               // now it goes back
		{back + 33*ms, back + 34*ms, back + 33*ms, false},              //
		{back + 40*ms, back + 41*ms + hour, back + 40*ms, false},       // set forward: packets say when
		{back + hour, back + 42*ms + hour, back + hour, false},         //
		{back + 50*ms, back + 50*ms, back + hour, false},               // back again
		{back - hour, back - hour, back + hour, false},                 // and again, before it has settled
		{back - hour, back - hour + 25*ms, back - hour, true},          //
		{back - hour + 1, back - hour + 26*ms, back - hour + 1, false}, //
	} {
		b.SetBack = false
		r.stamp(&b, c.at, c.wall)
		if b.Now != c.now || b.SetBack != c.setBack {
			t.Fatalf("step %d: %v from what is wanted, set back %v", i, time.Duration(b.Now-c.now), b.SetBack)
		}
	}
}

// ringOf is a ring of one block in memory that no kernel knows, with packets at given times.
func ringOf(times ...int64) *ring {
	frames := make([][]byte, len(times))
	for i := range frames {
		frames[i] = make([]byte, 60)
	}
	data := blockOf(blockHeader+160*len(times), frames...)
	for i, at := range times {
		p := data[blockHeader+i*160:]
		putTime(p, at)
	}
	r := &ring{fd: -1, blocks: make([]block, 2)}
	r.blocks[0] = block{ring: r, data: data}
	r.blocks[1] = block{ring: r, data: make([]byte, blockHeader)}
	r.users.Store(1)
	return r
}

// TestMergeOrder merges rings by time, ties in the order of rings, and packets of before a setting back of the clock
// before all others.
func TestMergeOrder(t *testing.T) {
	t.Parallel()
	const sec = int64(time.Second)
	wall := 1000 * sec
	for name, c := range map[string]struct {
		rings [][]int64 // in seconds
		want  []uint16  // whose packet comes
	}{
		"one":            {[][]int64{{1, 2, 3}}, []uint16{0, 0, 0}},
		"two":            {[][]int64{{1, 4, 5}, {2, 3, 6}}, []uint16{0, 1, 1, 0, 0, 1}},
		"ties":           {[][]int64{{2, 2, 4}, {2, 2, 3}, {1, 2}}, []uint16{2, 0, 0, 1, 1, 2, 1, 0}},
		"of before":      {[][]int64{{5, 6}, {2000, 2001, 7}}, []uint16{1, 1, 0, 0, 1}},
		"both of before": {[][]int64{{2001, 5}, {2000, 2002, 4}}, []uint16{1, 0, 1, 1, 0}},
	} {
		s := &Source{options: Options{Snaplen: DefaultSnaplen}, batch: 1}
		for i, list := range c.rings {
			times := make([]int64, len(list))
			for k, at := range list {
				times[k] = at * sec
			}
			d := &device{number: uint16(i), layout: layout{link: capture.LinkEthernet}, rings: []*ring{ringOf(times...)}}
			d.rings[0].ready(wall - int64(window)) // it has waited: what comes later is no matter
			s.devices = append(s.devices, d)
		}
		b := capture.Batch{Packets: make([]capture.Packet, 0, capture.MaxBatch)}
		_, pending := s.fill(&b, wall)
		got := make([]uint16, len(b.Packets))
		for i := range b.Packets {
			got[i] = b.Packets[i].Iface
		}
		if len(got) != len(c.want) || pending {
			t.Errorf("%s: %v, want %v", name, got, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", name, got, c.want)
				break
			}
		}
		b.Release()
		for _, d := range s.devices {
			r := d.rings[0]
			if status(r.blocks[0].data).Load() != unix.TP_STATUS_KERNEL || r.users.Load() != 1 {
				t.Errorf("%s: a block is not the kernel's, %d users", name, r.users.Load())
			}
		}
	}
}

// TestMergeWaits keeps a packet until the other ring cannot have an earlier one.
func TestMergeWaits(t *testing.T) {
	t.Parallel()
	wall := int64(time.Hour)
	busy, idle := ringOf(wall-int64(time.Millisecond)), ringOf()
	idle.blocks[0].data = make([]byte, blockHeader)
	s := &Source{options: Options{Snaplen: DefaultSnaplen}, batch: 1, devices: []*device{
		{rings: []*ring{busy}}, {rings: []*ring{idle}},
	}}
	b := capture.Batch{Packets: make([]capture.Packet, 0, capture.MaxBatch)}
	if _, pending := s.fill(&b, wall); !pending || len(b.Packets) != 0 {
		t.Errorf("%d packets before their time, pending %v", len(b.Packets), pending)
	}
	if q := s.quiet(wall); q != wall-int64(stampMargin) {
		t.Errorf("quiet until %v ago", time.Duration(wall-q))
	}
	idle.blocks[0].data[blockCount] = 1 // the kernel has begun to fill it
	if q := s.quiet(wall); q != wall-int64(window) {
		t.Errorf("quiet until %v ago", time.Duration(wall-q))
	}
	later := wall + int64(3*time.Millisecond)
	if _, pending := s.fill(&b, later); !pending {
		t.Error("given before the other ring's packet")
	}
	idle.blocks[0].data[blockCount] = 0
	if _, pending := s.fill(&b, later); pending || len(b.Packets) != 1 {
		t.Errorf("%d packets, pending %v", len(b.Packets), pending)
	}
}

// TestUncook changes loads from the cooked header, and refuses those that the kernel cannot do.
func TestUncook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   bpf.Instruction
		want bpf.Instruction // nil when refused
	}{
		"protocol":        {bpf.LoadAbsolute{Off: 0, Size: 2}, bpf.LoadExtension{Num: bpf.ExtProto}},
		"interface":       {bpf.LoadAbsolute{Off: 4, Size: 4}, bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}},
		"kind":            {bpf.LoadAbsolute{Off: 8, Size: 2}, bpf.LoadExtension{Num: bpf.ExtLinkLayerType}},
		"type":            {bpf.LoadAbsolute{Off: 10, Size: 1}, bpf.LoadExtension{Num: bpf.ExtType}},
		"payload":         {bpf.LoadAbsolute{Off: 29, Size: 1}, bpf.LoadAbsolute{Off: 9, Size: 1}},
		"indirect":        {bpf.LoadIndirect{Off: 22, Size: 2}, bpf.LoadIndirect{Off: 2, Size: 2}},
		"header length":   {bpf.LoadMemShift{Off: 20}, bpf.LoadMemShift{Off: 0}},
		"kernel's":        {bpf.LoadExtension{Num: bpf.ExtVLANTag}, bpf.LoadExtension{Num: bpf.ExtVLANTag}},
		"constant":        {bpf.LoadConstant{Dst: bpf.RegA, Val: 4}, bpf.LoadConstant{Dst: bpf.RegA, Val: 4}},
		"memory":          {bpf.LoadScratch{Dst: bpf.RegX, N: 4}, bpf.LoadScratch{Dst: bpf.RegX, N: 4}},
		"jump":            {bpf.Jump{Skip: 1}, bpf.Jump{Skip: 1}},
		"length":          {bpf.LoadExtension{Num: bpf.ExtLen}, nil},
		"address":         {bpf.LoadAbsolute{Off: 12, Size: 4}, nil},
		"half of a field": {bpf.LoadAbsolute{Off: 0, Size: 1}, nil},
		"two fields":      {bpf.LoadAbsolute{Off: 8, Size: 4}, nil},
		"header by X":     {bpf.LoadIndirect{Off: 0, Size: 1}, nil},
		"shift of header": {bpf.LoadMemShift{Off: 11}, nil},
	} {
		raw, err := c.in.Assemble()
		if err != nil {
			t.Fatal(err)
		}
		filter := func(capture.LinkType) ([]bpf.RawInstruction, error) { return []bpf.RawInstruction{raw}, nil }
		got, err := program(layout{link: capture.LinkSLL2, cooked: true}, filter, 100)
		if c.want == nil {
			if !errors.Is(err, ErrFilter) {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			continue
		}
		want, wantErr := c.want.Assemble()
		if err != nil || wantErr != nil {
			t.Fatal(name, err, wantErr)
		}
		// A load of what the kernel knows is a load of a word, whatever the size was.
		if got[0] != (unix.SockFilter{Code: want.Op, Jt: want.Jt, Jf: want.Jf, K: want.K}) {
			t.Errorf("%s: %+v, want %+v", name, got[0], want)
		}
	}
}

func TestThreadDropped(t *testing.T) {
	t.Parallel()
	const good = "Name:\tx\nUid:\t9\t9\t9\t9\nGid:\t8\t8\t8\t8\nCapInh:\t01\nCapPrm:\t00\nCapEff:\t00\nCapAmb:\t00\n"
	for text, ok := range map[string]bool{
		good:                          true,
		"Uid:\t9\t0\t9\t9\n":          false,
		"Gid:\t8\t8\t0\t8\n":          false,
		"CapPrm:\t0000000000002000\n": false,
		"CapEff:\t0000000000002000\n": false,
		"CapAmb:\t0000000000002000\n": false,
	} {
		if err := threadDropped(text, 9, 8); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
