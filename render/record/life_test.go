package record

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// TestAgain wants a call that goes on after its end in the same file, and one that nobody wants forgotten at its end.
func TestAgain(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{
		message(start, invite, "one", "1", ""),
		answer(start+ms, busy, "one", "1", ""),
		message(start+2*ms, ack, "one", "1", ""),
		udp(start+30*1000*ms, "10.0.0.1:9", "10.0.0.2:9", "noise"),
		message(start+60*1000*ms, invite, "one", "2", ""),
		answer(start+60*1001*ms, ok, "one", "2", ""),
		message(start+60*1002*ms, bye, "one", "bye", ""),
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir}, batch: 1})
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 6})
	path := only(t, dir)
	same(t, "frames", seqs(t, path, all), []uint64{1, 2, 3, 5, 6, 7})
	if x.done[path] != 6 || x.again != 1 {
		t.Errorf("%d frames told, again %d", x.done[path], x.again)
	}

	dir = t.TempDir()
	recordPackets(t, all, job{Options: Options{Dir: dir, Match: states("answered")}, batch: 1})
	same(t, "frames after the call was forgotten", seqs(t, only(t, dir), all), []uint64{5, 6, 7})
	dir = t.TempDir()
	recordPackets(t, all, job{Options: Options{Dir: dir, Match: states("answered"), Linger: 100_000 * ms}, batch: 1})
	same(t, "frames with more patience", seqs(t, only(t, dir), all), []uint64{1, 2, 3, 5, 6, 7})
}

// TestEvicted wants calls that the board lets go written, and forgotten.
func TestEvicted(t *testing.T) {
	t.Parallel()
	var all []capture.Packet
	sdp := sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n")
	for i := range 3000 {
		all = append(all, message(start+int64(i)*20*ms, invite, fmt.Sprint("call-", i), "1", sdp))
	}
	dir := t.TempDir()
	most := 0
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir, Media: true}, limits: correlate.Limits{Calls: 10}, batch: 4,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() { most = max(most, len(r.calls)+len(r.finished), r.order.len()) }}
		},
	})
	if n := len(files(t, dir)); n != 3000 || most > 300 {
		t.Errorf("%d files, %d calls at once", n, most)
	}
	x.figures(t, Stats{Calls: 3000, Files: 3000, Frames: 3000, Refused: x.recorder.Stats().Refused})

	// What nobody wants is forgotten as well, and what had ended.
	for i := range all {
		if i%2 == 1 {
			all[i] = answer(all[i].Time, busy, fmt.Sprint("call-", i-1), "1", "")
		}
	}
	most = 0
	recordPackets(t, all, job{
		Options: Options{Dir: t.TempDir(), Match: states("never")}, limits: correlate.Limits{Calls: 10}, batch: 4,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() { most = max(most, len(r.calls)+len(r.finished), r.order.len(), r.idle.len()-1024) }}
		},
	})
	if most > 300 {
		t.Errorf("%d calls at once", most)
	}
}

// watching looks after each batch.
type watching struct {
	*Recorder
	look func()
}

func (w *watching) Frames(k *work) error {
	err := w.Recorder.Frames(k)
	w.look()
	return err
}

// TestPending wants the bound kept: media go first, then the calls that were silent for longest.
func TestPending(t *testing.T) {
	t.Parallel()
	sdp := sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n")
	all := []capture.Packet{message(start, invite, "talks", "1", sdp), answer(start+ms, ok, "talks", "1", "")}
	at := all[1].Time
	for i := range 2000 {
		at += 10 * ms
		all = append(all, udp(at, "10.0.0.9:99", "10.0.0.1:4000", fmt.Sprint("media ", i)))
	}
	for i := range 200 {
		at += 10 * ms
		all = append(all, message(at, invite, fmt.Sprint("silent-", i), "1", ""))
	}
	at += ms
	all = append(all, message(at, bye, "talks", "bye", ""), answer(at+ms, ok, "talks", "bye", ""))
	dir, most := t.TempDir(), 0
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir, Media: true, Match: states("completed"), MaxPending: 800}, batch: 1,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() { most = max(most, r.pending) }}
		},
	})
	if most != 800 {
		t.Errorf("%d pending at most", most)
	}
	st := x.recorder.Stats()
	if st.Frames+st.Unkept != 2004 || st.Unkept < 1300 || st.Frames < 2 {
		t.Errorf("%+v", st)
	}
	// A call that matches from the start is written as it goes on, in the same room.
	dir = t.TempDir()
	x = recordPackets(t, all, job{Options: Options{Dir: dir, Media: true, MaxPending: 800}})
	x.figures(t, Stats{Calls: 201, Files: 201, Frames: 2204})
}

// TestSetBack wants a clock that was set back by a day to cost nothing.
func TestSetBack(t *testing.T) {
	t.Parallel()
	const day = 24 * 3600 * 1000 * ms
	call := func(at int64, id string) []capture.Packet {
		return []capture.Packet{
			message(at, invite, id, "1", ""), answer(at+ms, busy, id, "1", ""), message(at+2*ms, ack, id, "1", ""),
		}
	}
	var all []capture.Packet
	all = append(all, call(start, "one")...)
	back := len(all)
	for i := range 30 {
		all = append(all, call(start-day+int64(i)*500*ms, fmt.Sprint("two-", i))...)
	}
	number(all)
	dir := t.TempDir()
	finished := 0
	x := record(t, &settingBack{all, back}, job{
		Options: Options{Dir: dir},
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() { finished = max(finished, len(r.finished)) }}
		},
	})
	x.figures(t, Stats{Calls: 31, Files: 31, Frames: 93})
	if finished < 25 {
		t.Errorf("only %d calls were finished while the capture went on", finished)
	}
}

// TestLate wants a segment that was long in coming in the file, and counted: what came after it is written already.
func TestLate(t *testing.T) {
	t.Parallel()
	const text = `
title a message in two segments, the first after a hole
host a 10.0.1.10 transport=tcp rtp=4000
host b 10.0.2.10 transport=tcp
call c1 from a to b callid=one
@0ms   a > b connect
+1ms   a > b INVITE sdp=PCMU
@100ms b > a 200 split=200 order=2,1 noack
@101ms rtp b:9000 > a PCMU 20ms x500
`
	all := packets(t, text)
	i := slices.IndexFunc(all, func(p capture.Packet) bool { return p.Time >= all[0].Time+99*ms && len(p.Data) > 60 })
	if i < 0 {
		t.Fatal("no segments")
	}
	moved := all[i+1] // the first bytes of the answer come five seconds after the others
	moved.Time = all[0].Time + 2900*ms
	all = slices.Delete(all, i+1, i+2)
	at := slices.IndexFunc(all, func(p capture.Packet) bool { return p.Time > moved.Time })
	all = slices.Insert(all, at, moved)
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Media: true}, batch: 4})
	st := x.recorder.Stats()
	got := seqs(t, only(t, dir), all)
	if st.Late == 0 || slices.IsSorted(got) {
		t.Errorf("%d late, sorted %v", st.Late, slices.IsSorted(got))
	}
	slices.Sort(got)
	both := slices.Contains(got, uint64(i+1)) && slices.Contains(got, uint64(at+1))
	if n := len(slices.Compact(got)); !both || n != int(st.Frames) {
		t.Errorf("%d frames, %d told", len(got), st.Frames)
	}
}

// TestLong wants a ring that goes round several times to cost nothing, while a call waits for its match.
func TestLong(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{message(start, invite, "one", "1", sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n"))}
	noise := udp(0, "10.0.0.1:9", "10.0.0.2:9", "noise")
	at := start
	for i := range 4 * ringSize {
		at += ms / 10
		if i%1000 == 0 {
			all = append(all, udp(at, "10.0.0.9:99", "10.0.0.1:4000", fmt.Sprint("media ", i)))
			continue
		}
		noise.Time = at
		all = append(all, noise)
	}
	all = append(all, message(at, bye, "one", "bye", ""), answer(at+ms, ok, "one", "bye", ""))
	for _, match := range []func(*correlate.Summary) bool{nil, states("completed"), states("calling")} {
		var got []uint64
		stop, stopped := make(chan struct{}), make(chan struct{})
		x := recordPackets(t, all, job{
			batch: capture.MaxBatch,
			Options: Options{Media: true, Match: match, Write: func(p *capture.Packet, _ string) error {
				got = append(got, p.Seq)
				return nil
			}},
			prepare: func(r *Recorder) {
				go func() { // figures may be asked for at any time
					defer close(stopped)
					for frames := uint64(0); ; {
						n := r.Stats().Frames
						if n < frames {
							t.Error("fewer frames than before")
						}
						frames = n
						select {
						case <-stop:
							return
						default:
							runtime.Gosched()
						}
					}
				}()
			},
			ending: func() { close(stop); <-stopped },
		})
		n := (4*ringSize + 999) / 1000
		x.figures(t, Stats{Calls: 1, Frames: uint64(n) + 3})
		if len(got) != n+3 || !slices.IsSorted(got) {
			t.Errorf("%d frames", len(got))
		}
		if x.recorder.frames.used > 4*1000 {
			t.Errorf("%d places in the slab", x.recorder.frames.used)
		}
	}
}

// TestTick wants an empty batch of a silent line to write what is due, and to end what is over.
func TestTick(t *testing.T) {
	t.Parallel()
	dir, ticked := t.TempDir(), false
	recordPackets(t, packets(t, talk), job{
		Options: Options{Dir: dir}, batch: capture.MaxBatch,
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() {
				if ticked || len(r.calls) == 0 {
					return
				}
				ticked = true
				var w work
				w.Batch.Now = r.now + 10*second
				if err := r.Frames(&w); err != nil {
					t.Error(err)
				}
				for _, path := range files(t, dir) {
					if len(frames(t, path)) < 3 {
						t.Errorf("%s is not written", path)
					}
				}
				if len(r.finished) != 1 {
					t.Errorf("%d calls are finished", len(r.finished))
				}
			}}
		},
	})
	if !ticked {
		t.Error("no tick")
	}
}

// TestUnknown wants a call that the board has let go at once in a file, too.
func TestUnknown(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{
		message(start, invite, "one", "1", ""), message(start, invite, "two", "1", ""), answer(start, busy, "one", "1", ""),
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{
		Options: Options{Dir: dir}, batch: capture.MaxBatch,
		sink: func(r *Recorder) correlate.Sink { r.board = &correlate.Board{}; return r },
	})
	var names []string
	for _, path := range files(t, dir) {
		names = append(names, path[strings.LastIndexByte(path, '_')+1:])
	}
	slices.Sort(names)
	same(t, "names", names, []string{"one.pcapng", "two.pcapng"})
	x.figures(t, Stats{Calls: 2, Files: 2, Frames: 3})
}

// TestBusy wants a call with ten thousand packets a second written in pieces, each once, long before two seconds are over.
func TestBusy(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{message(start, invite, "one", "1", sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n"))}
	for i := range 15_000 {
		all = append(all, udp(start+int64(i+1)*ms/10, "10.0.0.9:99", "10.0.0.1:4000", fmt.Sprint("media ", i)))
	}
	for _, most := range []int{0, 1000} { // the second is smaller than what comes while frames settle
		var got []uint64
		early, pending := 0, 0
		x := recordPackets(t, all, job{
			Options: Options{MaxPending: most, Media: true, Write: func(p *capture.Packet, _ string) error {
				got = append(got, p.Seq)
				return nil
			}},
			sink: func(r *Recorder) correlate.Sink {
				return &watching{r, func() { early, pending = len(got), max(pending, r.pending) }}
			},
		})
		x.figures(t, Stats{Calls: 1, Frames: 15_001})
		if len(got) != 15_001 || !slices.IsSorted(got) || early < 10_000 || pending > 6500 {
			t.Errorf("%d frames, %d of them early, %d pending", len(got), early, pending)
		}
	}
}

// TestSetBackPending wants what was due by the old time done in good time by the new one.
func TestSetBackPending(t *testing.T) {
	t.Parallel()
	const day = 24 * 3600 * 1000 * ms
	all := []capture.Packet{
		message(start, invite, "one", "1", ""), answer(start+60*ms, busy, "one", "1", ""),
		message(start+120*ms, invite, "two", "1", ""),
	}
	for i := range 100 {
		all = append(all, udp(start-day+int64(i)*100*ms, "10.0.0.1:9", "10.0.0.2:9", fmt.Sprint("noise ", i)))
	}
	number(all)
	dir, sizes := t.TempDir(), []int{}
	record(t, &settingBack{all, 3}, job{
		Options: Options{Dir: dir},
		sink: func(r *Recorder) correlate.Sink {
			return &watching{r, func() { sizes = append(sizes, len(files(t, dir)), len(r.finished)) }}
		},
	})
	if at := 2 * (3 + 30); sizes[at] != 2 || sizes[at+1] != 1 || sizes[4] != 0 {
		t.Errorf("files and finished calls by packet: %d", sizes)
	}
}

// TestResumed wants a call that goes on before it is over kept, whatever had been planned for its end.
func TestResumed(t *testing.T) {
	t.Parallel()
	all := []capture.Packet{
		message(start, invite, "one", "1", ""),
		answer(start+100*ms, busy, "one", "1", ""),
		message(start+1500*ms, invite, "one", "2", ""),
		udp(start+4000*ms, "10.0.0.1:9", "10.0.0.2:9", "noise"),
		answer(start+5000*ms, busy, "one", "2", ""),
		message(start+6500*ms, "OPTIONS sip:b@x SIP/2.0", "one", "3", ""),
		answer(start+6600*ms, busy, "one", "2", ""),
		udp(start+8000*ms, "10.0.0.1:9", "10.0.0.2:9", "more noise"),
		answer(start+9000*ms, ok, "one", "2", ""),
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Match: states("answered")}, batch: 1})
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 7})
	same(t, "frames", seqs(t, only(t, dir), all), []uint64{1, 2, 3, 5, 6, 7, 9})
}

// TestSilent wants the frames of the call that was silent for longest to go first, not those of the one that began first.
func TestSilent(t *testing.T) {
	t.Parallel()
	options := "OPTIONS sip:b@x SIP/2.0"
	all := []capture.Packet{message(start, invite, "speaks", "1", "")}
	for i := range 10 {
		all = append(all, message(start+int64(i+1)*ms, options, "silent", strconv.Itoa(i), ""))
	}
	for i := range 5 {
		all = append(all, message(start+int64(i+20)*ms, options, "speaks", strconv.Itoa(i), ""))
	}
	for i := range 6 {
		all = append(all, message(start+int64(i+30)*ms, options, fmt.Sprint("new-", i), "1", ""))
	}
	all = append(all, answer(start+40*ms, ok, "speaks", "1", ""), answer(start+41*ms, ok, "silent", "1", ""))
	dir := t.TempDir()
	answered := func(s *correlate.Summary) bool { return s.CallID == "speaks" && s.State.String() == "answered" }
	x := recordPackets(t, all, job{Options: Options{Dir: dir, Match: answered, MaxPending: 20}, batch: 1})
	x.figures(t, Stats{Calls: 1, Files: 1, Frames: 7})
}
