//go:build !libpcap

package live_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"sipscope/capture"
	"sipscope/capture/live"
)

// sendAll sends n frames from a thread that stays on its processor, so that they arrive in order.
func sendAll(t *testing.T, tx *sender, n int) *sync.WaitGroup {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, and its place with it
		var one unix.CPUSet
		one.Set(firstCPU(t))
		if err := unix.SchedSetaffinity(0, &one); err != nil {
			t.Errorf("staying on a processor: %v", err)
		}
		var buf []byte
		for i := range n {
			buf = frame(buf, uint32(i))
			tx.send(t, buf)
		}
	})
	return &wg
}

// firstCPU is a processor that the test may run on.
func firstCPU(t *testing.T) int {
	t.Helper()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Errorf("processors: %v", err)
	}
	n := 0
	for n < 1023 && !all.IsSet(n) {
		n++
	}
	return n
}

// TestAll sends as fast as it can and looks at every byte, while another goroutine releases the batches later.
func TestAll(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}})
	const n = 100_000
	wg := sendAll(t, tx, n)
	defer wg.Wait()

	later := make(chan *capture.Batch, 16)
	var released sync.WaitGroup
	released.Go(func() {
		for b := range later {
			b.Release()
		}
	})
	defer released.Wait()
	defer close(later)

	ctx := limit(t)
	var want []byte
	var seq uint64
	var last, now int64
	for got := uint32(0); got < n; {
		b := &capture.Batch{}
		if err := s.Next(ctx, b); err != nil {
			t.Fatalf("after %d packets: %v, %+v", got, err, s.Stats())
		}
		if b.Now < now {
			t.Fatalf("time went back by %v", time.Duration(now-b.Now))
		}
		now = b.Now
		if len(b.Packets) > capture.MaxBatch {
			t.Fatalf("batch of %d packets", len(b.Packets))
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			if seq++; p.Seq != seq || p.Link != capture.LinkEthernet || p.Iface != 0 || p.Loc.Off != capture.NotKept {
				t.Fatalf("packet %d: %+v", seq, p)
			}
			if p.Time > b.Now {
				t.Fatalf("packet %d is %v after the batch's time", seq, time.Duration(p.Time-b.Now))
			}
			if !ours(p) {
				continue
			}
			if p.Time < last-int64(time.Millisecond) {
				t.Errorf("packet %d is %v before the one before", seq, time.Duration(last-p.Time))
			}
			last = max(last, p.Time)
			if want = frame(want, got); !bytes.Equal(p.Data, want) || int(p.WireLen) != len(want) {
				t.Fatalf("packet %d: %d bytes of %d, want frame %d of %d", seq, len(p.Data), p.WireLen, got, len(want))
			}
			got++
		}
		later <- b
	}
	if st := s.Stats()[0]; st.KernelDropped != 0 || st.Damaged != 0 || st.Received != seq || !st.Up {
		t.Errorf("stats %+v after %d packets", st, seq)
	}
}

// TestDrops gives the kernel a small ring and reads nothing for a while: what it has no room for is counted.
func TestDrops(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}, Buffer: 1, Filter: onlyOurs})
	const n = 20_000
	sendAll(t, tx, n).Wait()
	s.Stop()
	var b capture.Batch
	var got int
	var err error
	for ctx := limit(t); err == nil; err = s.Next(ctx, &b) {
		got += len(b.Packets)
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	st := s.Stats()[0]
	if got == 0 || st.KernelDropped == 0 || st.Freezes == 0 {
		t.Errorf("%d packets, %+v: expected some of each", got, st)
	}
	if uint64(got) != st.Received || st.Received+st.KernelDropped != n {
		t.Errorf("%d packets read, %+v: %d were sent", got, st, n)
	}
	if again := s.Stats()[0]; again != st {
		t.Errorf("reading the figures changed them: %+v, then %+v", st, again)
	}
}

// onlyOurs is a program that keeps the test's frames whole.
func onlyOurs(capture.LinkType) ([]bpf.RawInstruction, error) {
	return bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ethLocal, SkipFalse: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	})
}

func TestSnaplen(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	filters := map[string]func(capture.LinkType) ([]bpf.RawInstruction, error){
		"no filter": nil,
		"constant":  onlyOurs,
		"computed": func(capture.LinkType) ([]bpf.RawInstruction, error) {
			return bpf.Assemble([]bpf.Instruction{bpf.LoadConstant{Dst: bpf.RegA, Val: 1000}, bpf.RetA{}})
		},
	}
	for name, filter := range filters {
		s := open(t, live.Options{Devices: []string{"in0"}, Snaplen: 96, Filter: filter})
		wg := sendAll(t, tx, 100)
		for i, p := range collect(t, s, 100, ours) {
			want := frame(nil, uint32(i))
			if int(p.WireLen) != len(want) || !bytes.Equal(p.Data, want[:min(len(want), 96)]) {
				t.Errorf("%s: frame %d: %d of %d bytes, want %d", name, i, len(p.Data), p.WireLen, len(want))
			}
		}
		wg.Wait()
		s.Close()
	}
}

// TestFilter sees nothing but what the filter keeps, the frames that were there before Open included.
func TestFilter(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	noise := frame(nil, 7)
	noise[13]++
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for ctx.Err() == nil {
			tx.send(t, noise)
		}
	})
	for _, rings := range []int{1, 2} {
		for range 10 {
			s := open(t, live.Options{Devices: []string{"in0"}, Rings: rings, Buffer: 1 << 20, Filter: onlyOurs})
			sent := sendAll(t, tx, 20)
			all := collect(t, s, 20, func(*capture.Packet) bool { return true })
			for i := range all {
				if want := frame(nil, uint32(i)); !bytes.Equal(all[i].Data, want) {
					for j := range all {
						t.Logf("%d seq %d time %d %x", j, all[j].Seq, all[j].Time, all[j].Data[:20])
					}
					t.Fatalf("%d rings: packet %d is %x, want %x", rings, i, all[i].Data[:20], want[:20])
				}
			}
			sent.Wait()
			s.Close()
		}
	}
}

func TestFilterErrors(t *testing.T) {
	t.Parallel()
	wire(t)
	mine := errors.New("mine")
	for name, c := range map[string]struct {
		filter func(capture.LinkType) ([]bpf.RawInstruction, error)
		want   error
	}{
		"the caller's": {func(capture.LinkType) ([]bpf.RawInstruction, error) { return nil, mine }, mine},
		"empty":        {func(capture.LinkType) ([]bpf.RawInstruction, error) { return nil, nil }, live.ErrFilter},
		"no return": {func(capture.LinkType) ([]bpf.RawInstruction, error) {
			return []bpf.RawInstruction{{Op: 0x28, K: 12}}, nil
		}, live.ErrFilter},
	} {
		_, err := live.Open(live.Options{Devices: []string{"in0"}, Filter: c.filter, Now: time.Now})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// tagged puts a VLAN tag into a frame.
func tagged(f []byte, tpid, tci uint16) []byte {
	out := bytes.Clone(f[:12])
	out = binary.BigEndian.AppendUint16(out, tpid)
	out = binary.BigEndian.AppendUint16(out, tci)
	return append(out, f[12:]...)
}

// TestVLAN sends tagged frames: the kernel takes the outermost tag off, and the packets have it again.
func TestVLAN(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	plain := frame(nil, 1)
	frames := [][]byte{
		plain,
		tagged(plain, unix.ETH_P_8021Q, 100),
		tagged(plain, unix.ETH_P_8021Q, 0xe000|4094),
		tagged(plain, unix.ETH_P_8021Q, 0), // a priority tag
		tagged(plain, unix.ETH_P_8021AD, 7),
		tagged(tagged(plain, unix.ETH_P_8021Q, 5), unix.ETH_P_8021AD, 6),
	}
	for _, device := range []string{"in0", live.Any} {
		s := open(t, live.Options{Devices: []string{device}})
		for _, f := range frames {
			tx.send(t, f)
		}
		for i, p := range collect(t, s, len(frames), func(p *capture.Packet) bool { return ours(p) && !outgoing(p) }) {
			want, size := frames[i], len(frames[i])
			if device == live.Any {
				want, size = want[14:], size-14+20
				if !bytes.Equal(p.Data[:2], frames[i][12:14]) {
					t.Errorf("%s: frame %d: protocol %x, want %x", device, i, p.Data[:2], frames[i][12:14])
				}
				p.Data = p.Data[20:]
			}
			if !bytes.Equal(p.Data, want) || int(p.WireLen) != size {
				t.Errorf("%s: frame %d (%d bytes):\n%x want\n%x", device, i, p.WireLen, p.Data[:24], want[:24])
			}
		}
		s.Close()
	}
}

// outgoing tells what a cooked packet says of its direction.
func outgoing(p *capture.Packet) bool {
	return p.Link == capture.LinkSLL2 && p.Data[10] == unix.PACKET_OUTGOING
}

// TestAny sees both ends of the wire, and the loopback interface once.
func TestAny(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	lo := newSender(t, "lo")
	s := open(t, live.Options{Devices: []string{live.Any}})
	f := frame(nil, 3)
	tx.send(t, f)
	lo.send(t, frame(nil, 4))
	tx.send(t, frame(nil, 5))
	type sight struct {
		iface   uint32
		kind    byte
		payload string
	}
	seen := map[sight]int{}
	for _, p := range collect(t, s, 5, ours) {
		if p.Link != capture.LinkSLL2 || int(p.WireLen) != len(p.Data) || p.Iface != 0 {
			t.Errorf("packet %+v", p)
		}
		if p.Data[11] != 6 || !bytes.Equal(p.Data[12:20], []byte{2, 0, 0, 0, 0, 2, 0, 0}) {
			t.Errorf("sender %x", p.Data[11:20])
		}
		kind := binary.BigEndian.Uint16(p.Data[8:])
		if index := binary.BigEndian.Uint32(p.Data[4:]); (index == 1) != (kind == unix.ARPHRD_LOOPBACK) {
			t.Errorf("interface %d of kind %d", index, kind)
		}
		seen[sight{binary.BigEndian.Uint32(p.Data[4:]), p.Data[10], string(p.Data[20:])}]++
	}
	in, out := uint32(newSender(t, "in0").index), uint32(tx.index)
	for _, want := range []sight{
		{in, unix.PACKET_OTHERHOST, string(f[14:])},
		{out, unix.PACKET_OUTGOING, string(f[14:])},
		{1, unix.PACKET_OTHERHOST, string(frame(nil, 4)[14:])},
		{in, unix.PACKET_OTHERHOST, string(frame(nil, 5)[14:])},
		{out, unix.PACKET_OUTGOING, string(frame(nil, 5)[14:])},
	} {
		if seen[want] != 1 {
			t.Errorf("interface %d, type %d: seen %d times", want.iface, want.kind, seen[want])
		}
	}
}

// TestAnyFilter attaches a program for cooked packets to a socket that has none.
func TestAnyFilter(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	index := newSender(t, "in0").index
	filter := func(link capture.LinkType) ([]bpf.RawInstruction, error) {
		if link != capture.LinkSLL2 {
			t.Errorf("link type %d", link)
		}
		return bpf.Assemble([]bpf.Instruction{ // protocol, interface, ARPHRD, type, and the last byte of the number
			bpf.LoadAbsolute{Off: 0, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: ethLocal, SkipFalse: 10},
			bpf.LoadAbsolute{Off: 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(index), SkipFalse: 8},
			bpf.LoadAbsolute{Off: 8, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ARPHRD_ETHER, SkipFalse: 6},
			bpf.LoadAbsolute{Off: 10, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OTHERHOST, SkipFalse: 4},
			bpf.LoadConstant{Dst: bpf.RegX, Val: 1},
			bpf.LoadIndirect{Off: 22, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 5, SkipFalse: 1},
			bpf.RetConstant{Val: 1 << 18},
			bpf.RetConstant{Val: 0},
		})
	}
	s := open(t, live.Options{Devices: []string{live.Any}, Filter: filter})
	for i := range uint32(10) {
		tx.send(t, frame(nil, i))
	}
	s.Stop()
	var got []capture.Packet
	var b capture.Batch
	for ctx := limit(t); s.Next(ctx, &b) == nil; {
		for _, p := range b.Packets {
			got = append(got, capture.Packet{Data: bytes.Clone(p.Data)})
		}
	}
	if len(got) != 1 || !bytes.Equal(got[0].Data[20:], frame(nil, 5)[14:]) {
		t.Errorf("%d packets are kept, not the one", len(got))
	}
	_, err := live.Open(live.Options{
		Devices: []string{live.Any}, Now: time.Now,
		Filter: func(capture.LinkType) ([]bpf.RawInstruction, error) {
			return bpf.Assemble([]bpf.Instruction{bpf.LoadAbsolute{Off: 12, Size: 4}, bpf.RetA{}})
		},
	})
	if !errors.Is(err, live.ErrFilter) {
		t.Errorf("a test of the address in the header: %v", err)
	}
}

// TestClose wakes a Next that waits, from another goroutine; batches stay valid.
func TestClose(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}})
	want := frame(nil, 9)
	tx.send(t, want)
	var b capture.Batch
	ctx := limit(t)
	for b.Empty() {
		if err := s.Next(ctx, &b); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() {
		var next capture.Batch
		var err error
		for err == nil {
			err = s.Next(ctx, &next)
		}
		ended <- err
	}()
	time.Sleep(30 * time.Millisecond)
	s.Close()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Errorf("Next gives %v", err)
	}
	if !bytes.Equal(b.Packets[0].Data, want) {
		t.Error("the packet has changed")
	}
	b.Release()
	if st := s.Stats()[0]; st.Up || st.Received == 0 {
		t.Errorf("stats %+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.Stop()
}

// TestContext ends a Next that waits; the source goes on after it.
func TestContext(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}})
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	var b capture.Batch
	var err error
	for err == nil {
		err = s.Next(ctx, &b)
	}
	if !errors.Is(err, why) || !b.Empty() {
		t.Errorf("%v with %d packets", err, len(b.Packets))
	}
	tx.send(t, frame(nil, 1))
	collect(t, s, 1, ours)
}

// TestTicks follows the clock on a quiet line, never past a packet to come, and back with the clock.
func TestTicks(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	var shift atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	s := open(t, live.Options{Devices: []string{"in0", "lo"}, Now: clock})
	ctx := limit(t)
	var b capture.Batch
	var now int64
	ticks := 0
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
		if err := s.Next(ctx, &b); err != nil {
			t.Fatal(err)
		}
		wall := time.Now().UnixNano()
		if b.Now < now || b.SetBack {
			t.Fatalf("time went back by %v", time.Duration(now-b.Now))
		}
		now = b.Now
		if behind := time.Duration(wall - now); behind < 0 || behind > 200*time.Millisecond {
			t.Errorf("time is %v behind", behind)
		}
		if ticks++; ticks%5 == 0 {
			tx.send(t, frame(nil, uint32(ticks)))
		}
		for i := range b.Packets {
			if b.Packets[i].Time > now {
				t.Errorf("packet after the time reached")
			}
		}
	}
	if ticks < 10 || ticks > 200 {
		t.Errorf("%d batches in 300 ms", ticks)
	}
	shift.Store(-int64(time.Hour))
	back := 0
	for range 20 {
		if err := s.Next(ctx, &b); err != nil {
			t.Fatal(err)
		}
		if b.SetBack {
			back++
			if by := time.Duration(now - b.Now); by < 59*time.Minute || by > 61*time.Minute {
				t.Errorf("set back by %v", by)
			}
		} else if b.Now < now {
			t.Error("time went back without a word")
		}
		now = b.Now
	}
	if back != 1 {
		t.Errorf("set back %d times", back)
	}
}

// TestHeld keeps a batch for long: the ring's memory stays readable to the system, and yet Next does not spin.
func TestHeld(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}, Filter: onlyOurs})
	ctx := limit(t)
	want := frame(nil, 1)
	tx.send(t, want)
	var held, b capture.Batch
	for held.Empty() {
		if err := s.Next(ctx, &held); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; n++ {
		if err := s.Next(ctx, &b); err != nil {
			t.Fatal(err)
		}
	}
	if n > 40 {
		t.Errorf("%d batches in 300 ms of silence", n)
	}
	if !bytes.Equal(held.Packets[0].Data, want) {
		t.Error("the packet has changed")
	}
	held.Release()
}
