package record

import (
	"fmt"
	"slices"
	"testing"

	"sipscope/capture"
)

// common records packets to a common file, and gives the numbers of its frames.
func common(t *testing.T, all []capture.Packet, j job) (*run, []uint64) {
	t.Helper()
	var got []uint64
	j.Write = func(p *capture.Packet, comment string) error {
		if comment != "" || frameOf(p) != frameOf(&all[p.Seq-1]) {
			t.Errorf("frame %d: another one, %q", p.Seq, comment)
		}
		got = append(got, p.Seq)
		return nil
	}
	return recordPackets(t, all, j), got
}

// TestCommonMedia wants media of two calls once, whether the second matches before they are written, after that, or never.
func TestCommonMedia(t *testing.T) {
	t.Parallel()
	sdp := sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n")
	for _, after := range []int64{50, 1000, 10_000, 0} {
		all := []capture.Packet{
			message(start, invite, "one", "1", sdp), answer(start+ms, ok, "one", "1", ""),
			message(start+2*ms, invite, "two", "1", sdp),
		}
		want := 2
		for i := range 200 {
			at := start + int64(i+1)*100*ms
			if int64(i)*100 == after && after > 0 {
				all = append(all, answer(at-ms, ok, "two", "1", ""))
				want = 4
			}
			all = append(all, udp(at, "10.0.0.1:4000", "10.0.0.9:1", fmt.Sprint("media ", i)))
		}
		x, got := common(t, all, job{Options: Options{Match: states("answered"), Media: true}, batch: 3})
		if len(got) != 200+want {
			t.Errorf("after %d ms: %d frames", after, len(got))
		}
		sorted := slices.IsSorted(got)
		slices.Sort(got)
		if n := len(slices.Compact(got)); n != 200+want || !sorted && x.recorder.Stats().Late == 0 {
			t.Errorf("after %d ms: %d different frames, sorted %v", after, n, sorted)
		}
	}
}

// TestCommonSegment wants a segment once that ends one message, was written with it, and begins another.
func TestCommonSegment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		second      string
		all, common []uint64
	}{
		{"one", []uint64{1, 2, 4}, []uint64{1, 2, 4}},
		{"two", []uint64{1, 2, 2, 4}, []uint64{1, 2, 4}},
	} {
		first := text(invite, "one", "1", "")
		whole, cut := text(ack, "one", "1", ""), text("OPTIONS sip:b@x SIP/2.0", c.second, "2", "")
		all := []capture.Packet{
			tcp(start, 1, first),
			tcp(start+100*ms, 1+len(first), whole+cut[:50]),
			udp(start+2500*ms, "10.0.0.1:9", "10.0.0.2:9", "noise"),
			tcp(start+4000*ms, 1+len(first)+len(whole)+50, cut[50:]),
			udp(start+5000*ms, "10.0.0.1:9", "10.0.0.2:9", "more noise"),
		}
		for _, batch := range []int{1, 256} {
			_, got := common(t, all, job{batch: batch})
			same(t, c.second+": frames in common", got, c.common)
			dir := t.TempDir()
			x := recordPackets(t, all, job{batch: batch, Options: Options{Dir: dir}})
			got = nil
			for _, path := range files(t, dir) {
				got = append(got, seqs(t, path, all)...)
			}
			slices.Sort(got)
			same(t, c.second+": frames in files", got, c.all)
			if st := x.recorder.Stats(); st.Late > 0 {
				t.Errorf("%s: %+v", c.second, st)
			}
		}
	}
}

// TestSegmentAgain wants the segment once that ended a call, was written with it, and begins the message by which the
// call goes on.
func TestSegmentAgain(t *testing.T) {
	t.Parallel()
	whole, cut := text(busy, "one", "1", ""), text(invite, "one", "2", "")
	all := []capture.Packet{
		tcp(start, 1, whole+cut[:50]),
		udp(start+1000*ms, "10.0.0.1:9", "10.0.0.2:9", "noise"),
		udp(start+3000*ms, "10.0.0.1:9", "10.0.0.2:9", "more noise"),
		tcp(start+4000*ms, 1+len(whole)+50, cut[50:]),
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{batch: 1, Options: Options{Dir: dir}})
	same(t, "frames", seqs(t, only(t, dir), all), []uint64{1, 4})
	if x.again != 1 {
		t.Error("the call was not over")
	}
}

// TestHoldBack wants a segment in its place, though the message is complete only after what came later was due.
func TestHoldBack(t *testing.T) {
	t.Parallel()
	whole := text(invite, "one", "1", sdpOf("10.0.0.1", "m=audio 4000 RTP/AVP 0\r\n"))
	next := text(ack, "one", "1", "")
	all := []capture.Packet{tcp(start, 1, whole)}
	for i := range 150 {
		at := start + int64(i)*20*ms
		switch i {
		case 96:
			all = append(all, tcp(at, 1+len(whole), next[:50]))
		case 103:
			all = append(all, tcp(at, 1+len(whole)+50, next[50:]))
		}
		all = append(all, udp(at, "10.0.0.1:4000", "10.0.0.9:1", fmt.Sprint("media ", i)))
	}
	dir := t.TempDir()
	x := recordPackets(t, all, job{batch: 1, Options: Options{Dir: dir, Media: true}})
	if got := seqs(t, only(t, dir), all); !slices.IsSorted(got) || len(got) != 153 || x.recorder.Stats().Late > 0 {
		t.Errorf("%d, %+v", got, x.recorder.Stats())
	}
}

// tcp makes a raw frame of a segment from 10.0.0.1 to 10.0.0.2.
func tcp(at int64, seq int, payload string) capture.Packet {
	n := 40 + len(payload)
	b := []byte{
		0x45, 0, byte(n >> 8), byte(n), 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0x13, 0xc4, 0x13, 0xc4, byte(seq >> 24), byte(seq >> 16), byte(seq >> 8), byte(seq), 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0,
	}
	b = append(b, payload...)
	return capture.Packet{Time: at, Data: b, WireLen: uint32(len(b)), Link: capture.LinkRaw}
}

// TestCommonGone wants what the spool has lost counted, once.
func TestCommonGone(t *testing.T) {
	t.Parallel()
	all := packets(t, talk)
	lost := keeper{skip: func(p *capture.Packet) bool { return p.Seq%2 == 0 }}
	x, got := common(t, all, job{Options: Options{Match: states("completed")}, keeper: lost})
	same(t, "frames", got, []uint64{1, 5, 9, 411})
	x.figures(t, Stats{Calls: 1, Frames: 4, Lost: 2})
}

// TestCommonCrowded wants media that have no room counted for a call that matches, and SIP in the file.
func TestCommonCrowded(t *testing.T) {
	t.Parallel()
	all := long()
	x, got := common(t, all, job{Options: Options{Media: true, MaxPending: 16}, batch: 100})
	st := x.recorder.Stats()
	if st.Unkept == 0 || st.Frames+st.Unkept != 503 || !slices.Contains(got, 1) || !slices.Contains(got, 503) {
		t.Errorf("%+v", st)
	}
}
