package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/flowtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ms is a millisecond in nanoseconds.
const ms = int64(1_000_000)

// keeper is a spool in memory: it passes packets on, and gives their bytes again.
type keeper struct {
	capture.Source
	skip func(p *capture.Packet) bool
	keep int64 // how many bytes stay, 0 for all

	mu    *sync.Mutex // one worker reads on while another one records
	bytes []byte
	from  int64 // what is before it is gone
}

func (k *keeper) Next(ctx context.Context, b *capture.Batch) error {
	err := k.Source.Next(ctx, b)
	b.Packets = slices.Clone(b.Packets)
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range b.Packets {
		p := &b.Packets[i]
		if k.skip != nil && k.skip(p) {
			p.Loc = capture.Loc{Off: capture.NotKept}
			continue
		}
		p.Loc = capture.Loc{Off: int64(len(k.bytes))}
		k.bytes = append(k.bytes, p.Data...)
	}
	if k.keep > 0 {
		k.from = max(0, int64(len(k.bytes))-k.keep)
	}
	return err
}

func (k *keeper) read(loc capture.Loc, b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case loc.Off < 0:
		return capture.ErrNotKept
	case loc.Off < k.from:
		return capture.ErrGone
	case loc.Off+int64(len(b)) > int64(len(k.bytes)):
		return io.ErrUnexpectedEOF
	}
	copy(b, k.bytes[loc.Off:])
	return nil
}

// run is a capture that was recorded.
type run struct {
	board    *correlate.Board
	recorder *Recorder
	keeper   *keeper
	done     map[string]int // frames by file
	again    int            // how often a file was done that was done before
	closed   error          // of Close
}

// job says how to record.
type job struct {
	Options
	workers int
	limits  correlate.Limits
	batch   int
	keeper  keeper
	prepare func(r *Recorder)
	sink    func(r *Recorder) correlate.Sink // instead of the recorder
	ending  func()                           // before the recorder is closed
}

// record runs packets through the pipeline and closes the recorder.
func record(tb testing.TB, source capture.Source, j job) *run {
	tb.Helper()
	x := &run{board: &correlate.Board{}, keeper: &j.keeper, done: map[string]int{}}
	x.keeper.Source, x.keeper.mu = source, &sync.Mutex{}
	o := j.Options
	if o.Read == nil {
		o.Read = x.keeper.read
	}
	o.Done = func(path string, s *correlate.Summary, frames int) {
		if s.Num == 0 {
			tb.Errorf("%s is of no call", path)
		}
		if _, ok := x.done[path]; ok {
			x.again++
		}
		x.done[path] = frames
	}
	var err error
	if x.recorder, err = New(x.board, o); err != nil {
		tb.Fatal(err)
	}
	if j.prepare != nil {
		j.prepare(x.recorder)
	}
	var sink correlate.Sink = x.recorder
	if j.sink != nil {
		sink = j.sink(x.recorder)
	}
	err = correlate.Run(context.Background(), x.keeper, correlate.Config{
		Workers: max(j.workers, 1), Board: x.board, Sink: sink, Limits: j.limits,
	})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	if j.ending != nil {
		j.ending()
	}
	x.closed = x.recorder.Close()
	x.check(tb)
	return x
}

// check looks at what must hold after each run: nothing is left over.
func (x *run) check(tb testing.TB) {
	tb.Helper()
	r := x.recorder
	if len(r.calls) != 0 || r.pending != 0 || r.ready != 0 || len(r.media) != 0 || r.bound != 0 {
		tb.Errorf("left over: %d calls, %d pending, %d ready, %d addresses, %d bound",
			len(r.calls), r.pending, r.ready, len(r.media), r.bound)
	}
	for i := range r.ring.slots {
		if f := r.ring.slots[i].frame; f != 0 {
			r.frames.release(f)
		}
	}
	free := uint32(0)
	for i := r.frames.free; i != 0; i = r.frames.at(i).holders {
		free++
	}
	if free != r.frames.used {
		tb.Errorf("%d of %d places in the slab were given back", free, r.frames.used)
	}
}

// packets plays a flow.
func packets(tb testing.TB, text string) []capture.Packet {
	tb.Helper()
	f, err := flowtest.Parse("test.flow", strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	all, err := f.Packets()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// recordPackets records packets, after numbering them.
func recordPackets(tb testing.TB, all []capture.Packet, j job) *run {
	tb.Helper()
	number(all)
	if j.batch == 0 {
		j.batch = 16
	}
	return record(tb, flowtest.NewSource(all, j.batch), j)
}

// number numbers packets from 1.
func number(all []capture.Packet) {
	for i := range all {
		all[i].Seq = uint64(i + 1)
	}
}

// framed is a frame as a file has it.
type framed struct {
	Time  int64
	Wire  uint32
	Link  capture.LinkType
	Bytes string
}

func frameOf(p *capture.Packet) framed { return framed{p.Time, p.WireLen, p.Link, string(p.Data)} }

// frames reads a capture.
func frames(tb testing.TB, path string) []framed {
	tb.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer files.Close()
	var all []framed
	var b capture.Batch
	defer b.Release()
	for {
		err := files.Next(context.Background(), &b)
		for i := range b.Packets {
			all = append(all, frameOf(&b.Packets[i]))
		}
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			tb.Fatalf("%s: %v", path, err)
		}
	}
}

// seqs gives the numbers of a capture's frames in all, which must differ from each other.
func seqs(tb testing.TB, path string, all []capture.Packet) []uint64 {
	tb.Helper()
	number := map[framed]uint64{}
	for i := range all {
		number[frameOf(&all[i])] = uint64(i + 1)
	}
	if len(number) != len(all) {
		tb.Fatal("frames are alike")
	}
	var found []uint64
	for _, f := range frames(tb, path) {
		n, ok := number[f]
		if !ok {
			tb.Fatalf("%s: a frame of %d bytes at %d is none of the capture", path, len(f.Bytes), f.Time)
		}
		found = append(found, n)
	}
	return found
}

// files lists a folder.
func files(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, filepath.Join(dir, e.Name()))
	}
	return all
}

// only gives the one file of a folder.
func only(tb testing.TB, dir string) string {
	tb.Helper()
	all := files(tb, dir)
	if len(all) != 1 {
		tb.Fatalf("%d files: %q", len(all), all)
	}
	return all[0]
}

// same compares frames.
func same(tb testing.TB, what string, got, want any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// figures compares the counts that must hold; those that are not named must be 0.
func (x *run) figures(tb testing.TB, want Stats) {
	tb.Helper()
	got := x.recorder.Stats()
	want.Bytes, want.LastError = got.Bytes, got.LastError
	same(tb, "figures", got, want)
}

// states matches calls in a state.
func states(state string) func(*correlate.Summary) bool {
	return func(s *correlate.Summary) bool { return s.State.String() == state }
}

// udp makes a frame of a datagram over IPv4 or IPv6, without a checksum.
func udp(at int64, from, to string, payload string) capture.Packet {
	src, dst := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	n := len(payload) + 8
	head := []byte{
		byte(src.Port() >> 8), byte(src.Port()), byte(dst.Port() >> 8), byte(dst.Port()), byte(n >> 8), byte(n), 0, 0,
	}
	return ip(at, src.Addr(), dst.Addr(), 0, 0, append(head, payload...))
}

// ip makes a raw frame of an IPv4 packet, or a part of one: field is its flags and offset; or of an IPv6 packet.
func ip(at int64, src, dst netip.Addr, id, field uint16, payload []byte) capture.Packet {
	var b []byte
	if src.Is4() {
		n := len(payload) + 20
		b = []byte{0x45, 0, byte(n >> 8), byte(n), byte(id >> 8), byte(id), byte(field >> 8), byte(field), 64, 17, 0, 0}
	} else {
		b = []byte{0x60, 0, 0, 0, byte(len(payload) >> 8), byte(len(payload)), 17, 64}
	}
	b = append(append(append(b, src.AsSlice()...), dst.AsSlice()...), payload...)
	return capture.Packet{Time: at, Data: b, WireLen: uint32(len(b)), Link: capture.LinkRaw}
}

// message makes a request or response of a call between 10.0.0.1 and 10.0.0.2.
func message(at int64, start, callID, branch, sdp string) capture.Packet {
	return udp(at, "10.0.0.1:5060", "10.0.0.2:5060", text(start, callID, branch, sdp))
}

// answer is a message the other way.
func answer(at int64, start, callID, branch, sdp string) capture.Packet {
	return udp(at, "10.0.0.2:5060", "10.0.0.1:5060", text(start, callID, branch, sdp))
}

func text(start, callID, branch, sdp string) string {
	method, _, _ := strings.Cut(start, " ")
	if method == "SIP/2.0" {
		method = "INVITE"
		if strings.HasPrefix(branch, "bye") {
			method = "BYE"
		}
	}
	cseq, tag := 1, ""
	if method == "BYE" {
		cseq = 2
	}
	if !strings.HasPrefix(start, "INVITE") && !strings.HasPrefix(start, "OPTIONS") {
		tag = ";tag=b"
	}
	kind := ""
	if sdp != "" {
		kind = "Content-Type: application/sdp\r\n"
	}
	return fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%s-%s\r\n"+
		"From: <sip:a@x>;tag=a\r\nTo: <sip:b@x>%s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n%sContent-Length: %d\r\n\r\n%s",
		start, branch, callID, tag, callID, cseq, method, kind, len(sdp), sdp)
}

// Start lines.
const (
	invite  = "INVITE sip:b@x SIP/2.0"
	ack     = "ACK sip:b@x SIP/2.0"
	bye     = "BYE sip:b@x SIP/2.0"
	ok      = "SIP/2.0 200 OK"
	ringing = "SIP/2.0 180 Ringing"
	busy    = "SIP/2.0 486 Busy Here"
)

// sdpOf describes a session with a medium.
func sdpOf(addr, lines string) string {
	family := "IP4"
	if strings.Contains(addr, ":") {
		family = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n%s", family, addr, family, addr, lines)
}

// start is the time of the first packet of made captures.
const start = int64(1_700_000_000_000) * ms

// work is short for a wrapper's signature.
type work = decode.Work

// settingBack is a live source whose clock is set back before packet back.
type settingBack struct {
	all  []capture.Packet
	back int
}

func (s *settingBack) Next(_ context.Context, b *capture.Batch) error {
	b.Release()
	if len(s.all) == 0 {
		return io.EOF
	}
	b.SetBack = s.back == 0
	b.Packets, s.all = append(b.Packets[:0], s.all[0]), s.all[1:]
	b.Now = b.Packets[0].Time
	s.back--
	return nil
}
