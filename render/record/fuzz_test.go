package record

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// script makes a capture of eight calls out of bytes: an action, a call and a pause each. owner has the call of each
// frame of SIP, -1 for the others.
func script(data []byte) (all []capture.Packet, owner []int) {
	at := start
	const most = 600
	for i, b := range data[:min(len(data), most)] {
		n := int(b>>3) & 7
		id, host := fmt.Sprint("call-", n), fmt.Sprintf("10.1.0.%d", n+1)
		branch := strconv.Itoa(i)
		sdp := sdpOf(host, fmt.Sprintf("m=audio %d RTP/AVP 0\r\n", 4000+2*int(b>>7)))
		at += [...]int64{1, 30, 400, 3000}[b>>6] * ms
		var p capture.Packet
		switch b & 7 {
		case 0:
			p = message(at, invite, id, branch, sdp)
		case 1:
			p = answer(at, ok, id, branch, sdp)
		case 2:
			p = answer(at, busy, id, branch, "")
		case 3:
			p = message(at, bye, id, "bye"+branch, "")
		case 4:
			p = answer(at, ringing, id, branch, "")
		default:
			p = udp(at, host+":4000", "10.9.9.9:1", fmt.Sprint("media ", i))
			n = -1
		}
		all, owner = append(all, p), append(owner, n)
	}
	return all, owner
}

// FuzzRecorder wants files that are whole, in order and without copies, every frame of SIP in its call's file, and the
// common file to have what the others have together, whatever calls do and however often the disk is full.
func FuzzRecorder(f *testing.F) {
	f.Add([]byte("\x00\x05\x41\x45\x45\x83\x02\x0a"), uint8(0), uint8(1))
	f.Add([]byte("\x00\x08\x10\x45\xc5\x4d\x41\x49\xc3\xcb\x00\x05\xc2\xc5\x0d"), uint8(3), uint8(7))
	f.Add([]byte("\x00\xc2\xc5\xc5\xc0\xc5\xc1\x05\xc3\xc5\xc5\x00"), uint8(2), uint8(1))
	// A call that went on while its file could not be written: its media counted as too late.
	f.Add([]byte("B\xcbA\x05"), uint8(3), uint8(1))
	f.Add([]byte("\x00\xc2\xc5\xc5\xc0\xc5\xc1\x05\xc3\xc5\xc5\x00"), uint8(0x14), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, failing, batch uint8) {
		all, owner := script(data)
		if len(all) == 0 {
			return
		}
		dir, d, opens, fails := t.TempDir(), disk{room: -1}, map[string]int{}, failing > 0
		x := recordPackets(t, all, job{
			Options: Options{Dir: dir, Media: true}, batch: int(batch),
			ending: func() { failing = 0 },
			prepare: func(r *Recorder) {
				r.open = func(path string, flag int) (file, error) {
					opens[path]++
					if n := int(failing % 8); failing > 0 && opens[path]%(n+1) != 0 {
						d.room = 50
					} else {
						d.room = -1
					}
					return d.openFile(path, flag)
				}
			},
		})
		st := x.recorder.Stats()
		total, union := uint64(0), map[framed]bool{}
		calls := map[int]bool{}
		for _, path := range files(t, dir) {
			got := frames(t, path)
			total += uint64(len(got))
			if !slices.IsSortedFunc(got, func(a, b framed) int { return cmp.Compare(a.Time, b.Time) }) && st.Late == 0 {
				t.Errorf("%s is not in order", path)
			}
			have := map[framed]bool{}
			for _, f := range got {
				if have[f] {
					t.Errorf("%s has a frame twice", path)
				}
				have[f], union[f] = true, true
			}
			for i := range all {
				if have[frameOf(&all[i])] && owner[i] >= 0 {
					calls[owner[i]] = true
				}
			}
		}
		if total != st.Frames || st.Lost+st.Unkept > 0 || st.Errors > 0 && !fails {
			t.Errorf("%d frames in files, %+v", total, st)
		}
		for i := range all {
			if owner[i] >= 0 && !union[frameOf(&all[i])] {
				t.Errorf("frame %d of call %d is missing", i+1, owner[i])
			}
		}
		common := map[framed]bool{}
		recordPackets(t, all, job{
			Options: Options{Media: true, Write: func(p *capture.Packet, _ string) error {
				if common[frameOf(p)] {
					t.Errorf("frame %d twice", p.Seq)
				}
				common[frameOf(p)] = true
				return nil
			}}, batch: int(batch), limits: correlate.Limits{},
		})
		// A call whose file cannot be written is not done with, so media that comes meanwhile is still its own.
		if len(common) > len(union) || len(common) < len(union) && !fails {
			t.Errorf("%d frames in common, %d in files", len(common), len(union))
		}
		for f := range common {
			if !union[f] {
				t.Errorf("a frame of %v is in common, and in no file", f.Time)
			}
		}
	})
}
