package audio

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sipscope/decode/frame"
	"sipscope/decode/rtp"
)

// code is the µ-law code at a sample of the signal that scenes carry: never silence, and no two packets alike.
func code(n int) byte { return byte(n%113) ^ byte(n/113%7)<<4&0x70 }

// flow sends packets of 20 ms of the signal from bob to alice: the packet i holds the samples from 160*i on.
type flow struct {
	pt   uint8
	ssrc uint32
	seq  uint16 // of packet 0
	ts   uint32
}

// at makes the packet i, which comes late by so many ms.
func (f *flow) at(i int, late int64) sent {
	p := rtp.Packet{PT: f.pt, Seq: f.seq + uint16(i), Timestamp: f.ts + uint32(160*i), SSRC: f.ssrc}
	for k := range 160 {
		p.Payload = append(p.Payload, code(160*i+k))
	}
	return sent{int64(i)*20e6 + late*1e6, bob, alice, p.Append(nil)}
}

// heard are the samples that packets make, at their places; the first packet is at 0.
func heard(length int, places map[int]int) []int16 {
	out := make([]int16, length)
	for i, at := range places {
		for k := range 160 {
			if at+k >= 0 && at+k < length {
				out[at+k] = ulaw[code(160*i+k)]
			}
		}
	}
	return out
}

// inOrder are the packets from 0 to n at their natural places, without some.
func inOrder(n int, without ...int) map[int]int {
	places := map[int]int{}
	for i := range n {
		if !slices.Contains(without, i) {
			places[i] = 160 * i
		}
	}
	return places
}

func TestLine(t *testing.T) {
	t.Parallel()
	plain := func(f *flow) (all []sent) {
		for i := range 100 {
			all = append(all, f.at(i, 0))
		}
		return all
	}
	jitter := func(i int) int64 { return int64(i * 37 % 30) }
	for _, tt := range []struct {
		name   string
		flow   flow
		send   func(f *flow) []sent
		places map[int]int
		want   Figures
	}{
		{"as it should be", flow{}, plain, inOrder(100), Figures{Packets: 100}},
		{"sequence numbers and timestamps wrap", flow{seq: 65530, ts: 1<<32 - 777}, plain, inOrder(100), Figures{Packets: 100}},
		{"jitter is not heard", flow{}, func(f *flow) (all []sent) {
			for i := range 100 {
				all = append(all, f.at(i, jitter(i)))
			}
			return all
		}, inOrder(100), Figures{Packets: 100}},
		{"the first packet is the late one", flow{}, func(f *flow) []sent {
			all := plain(f)
			all[0].after += 15e6
			return all
		}, inOrder(100), Figures{Packets: 100}},
		{"lost packets are silence", flow{}, func(f *flow) []sent {
			return slices.Delete(slices.Delete(plain(f), 50, 55), 10, 11)
		}, inOrder(100, 10, 50, 51, 52, 53, 54), Figures{Packets: 94, Lost: 6, LostTime: 120e6}},
		{"packets overtake each other, one by a second and a half", flow{}, func(f *flow) []sent {
			all := plain(f)
			all[20].after += 70e6
			all[40].after += 1500e6
			all[60].after -= 30e6
			return all
		}, inOrder(100), Figures{Packets: 100}},
		{"duplicates are heard once", flow{}, func(f *flow) []sent {
			return append(plain(f), f.at(7, 30), f.at(8, 500), f.at(8, 900))
		}, inOrder(100), Figures{Packets: 100, Duplicates: 3}},
		{"the network stands still for three seconds", flow{}, func(f *flow) (all []sent) {
			for i := range 400 {
				late := int64(0)
				if i >= 100 && i < 250 {
					late = 3000 - int64(i-100)*20 + int64(i-100)/10
				}
				all = append(all, f.at(i, late))
			}
			return all
		}, inOrder(400), Figures{Packets: 400}},
		{"silence suppression", flow{}, func(f *flow) (all []sent) {
			for i := range 100 {
				p := f.at(i, 0)
				if i >= 50 { // the sequence goes on, the time has passed
					p = (&flow{seq: f.seq, ts: f.ts + 8000}).at(i, 1000)
				}
				all = append(all, p)
			}
			return all
		}, func() map[int]int {
			places := inOrder(100)
			for i := 50; i < 100; i++ {
				places[i] += 8000
			}
			return places
		}(), Figures{Packets: 100}},
		{"timestamps jump, time does not", flow{}, func(f *flow) (all []sent) {
			for i := range 100 {
				g := *f
				if i >= 50 {
					g.ts += 1 << 31 / 3
				}
				all = append(all, g.at(i, 0))
			}
			return all
		}, inOrder(100), Figures{Packets: 100, Anchored: 1}},
		{"timestamps jump back by ten seconds", flow{ts: 1 << 20}, func(f *flow) (all []sent) {
			for i := range 100 {
				g := *f
				if i >= 50 {
					g.ts -= 80000
				}
				all = append(all, g.at(i, 0))
			}
			return all
		}, inOrder(100), Figures{Packets: 100, Anchored: 1}},
		{"another sequence, too", flow{}, func(f *flow) (all []sent) {
			for i := range 100 {
				g := *f
				if i >= 50 {
					g.ts, g.seq = 99, 30000
				}
				all = append(all, g.at(i, 0))
			}
			return all
		}, inOrder(100), Figures{Packets: 100, Anchored: 1}},
		{"a re-INVITE brings another source", flow{}, func(f *flow) (all []sent) {
			for i := range 100 {
				g := *f
				if i >= 50 {
					g.ts, g.seq, g.ssrc = 99, 30000, 5
				}
				all = append(all, g.at(i, 0))
			}
			return all
		}, inOrder(100), Figures{Packets: 100}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "RTP/AVP 0")
			s.packets = tt.send(&tt.flow)
			slices.SortStableFunc(s.packets, func(a, b sent) int { return cmp.Compare(a.after, b.after) })
			r := s.record()
			if got := r.Channels[1].Figures; got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			got := samples(t, r)
			length := 0
			for _, at := range tt.places {
				length = max(length, at+160)
			}
			want := heard(length, tt.places)
			if len(got) != 2 || slices.ContainsFunc(got[0], func(v int16) bool { return v != 0 }) {
				t.Error("the caller's channel is not silent")
			}
			if !slices.Equal(got[1], want) {
				t.Errorf("%d samples, want %d; %s", len(got[1]), len(want), differ(got[1], want))
			}
		})
	}
}

func differ(got, want []int16) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("sample %d (packet %d) is %d, want %d", i, i/160, got[i], want[i])
		}
	}
	return "as far as both go they are equal"
}

// TestClock holds that a clock that runs wrong is set again, and that the two directions stay together.
func TestClock(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0")
	f := flow{}
	for i := range 30_000 { // 10 min, and 3 s of them are missing at the end: 0.5 %
		p := f.at(i, 0)
		p.after += p.after / 200
		s.packets = append(s.packets, p)
	}
	r := s.record()
	seconds := float64(r.Frames) / 8000
	if n := r.Channels[1].Anchored; n < 25 || n > 35 || seconds < 602.9 || seconds > 603.1 {
		t.Errorf("set %d times, %.3f s", n, seconds)
	}
}

func TestSides(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0 8")
	for i := range 50 {
		at := int64(i) * 20e6
		s.put(at, alice, bob, rtp.Packet{PT: 0, Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 1, Payload: pattern(160, 0x23)})
		s.put(at+5e6, bob, alice, rtp.Packet{PT: 8, Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 2, Payload: pattern(160, 0x34)})
	}
	got := samples(t, s.record())
	if got[0][4000] != ulaw[0x23] || got[1][4000] != alaw[0x34] || got[1][39] != 0 || got[1][40] != alaw[0x34] {
		t.Errorf("left %d, right %d, %d %d", got[0][4000], got[1][4000], got[1][39], got[1][40])
	}
	one := samples(t, s.record(2))
	if len(one) != 1 || one[0][0] != alaw[0x34] {
		t.Error("--stream 2 is not bob's")
	}
	turned := samples(t, s.record(2, 1))
	if turned[0][4000] != alaw[0x34] || turned[1][4000] != ulaw[0x23] {
		t.Error("--stream 2,1 is not bob's and alice's")
	}
	for _, list := range [][]int{{0}, {3}, {1, 2, 1}, {-1}} {
		if _, err := New(s.result(), &s.call, 0, Options{Streams: list}); !errors.Is(err, ErrStream) {
			t.Errorf("%v: %v", list, err)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0")
	for ssrc := range uint32(4) {
		s.put(int64(ssrc)*20e6, bob, alice, rtp.Packet{SSRC: ssrc, Payload: pattern(160, 1)})
	}
	known := map[uint32]int{0: 7, 2: 12, 3: 7}
	_, err := New(s.result(), &s.call, 0, Options{
		Streams: []int{1},
		Number:  func(_, _ frame.Endpoint, ssrc uint32) int { return known[ssrc] },
	})
	if !errors.Is(err, ErrStream) || !strings.Contains(err.Error(), "streams 7, 13, 12, 14") {
		t.Error(err)
	}
}

func pattern(n int, b byte) []byte { return []byte(strings.Repeat(string([]byte{b}), n)) }

// TestChoose holds what is written of a call that has more than a stream a direction.
func TestChoose(t *testing.T) {
	t.Parallel()
	send := func(s *scene, from, to string, ssrc uint32, begin, end int, code byte) {
		for i := begin; i < end; i++ {
			s.put(int64(i)*20e6, from, to, rtp.Packet{PT: 0, Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: ssrc, Payload: pattern(160, code)})
		}
	}
	for _, tt := range []struct {
		name        string
		build       func(s *scene)
		left, right []uint32 // SSRC
	}{
		{"one a direction", func(s *scene) {
			send(s, alice, bob, 1, 0, 50, 1)
			send(s, bob, alice, 2, 0, 50, 2)
		}, []uint32{1}, []uint32{2}},
		{"the source changes", func(s *scene) {
			send(s, alice, bob, 1, 0, 50, 1)
			send(s, bob, alice, 2, 0, 25, 2)
			send(s, bob, alice, 3, 25, 50, 2)
		}, []uint32{1}, []uint32{2, 3}},
		{"music comes from elsewhere for a while", func(s *scene) {
			send(s, alice, bob, 1, 0, 90, 1)
			send(s, bob, alice, 2, 0, 25, 2)
			send(s, "10.0.0.3:6000", alice, 3, 27, 60, 2)
			send(s, bob, alice, 4, 62, 90, 2)
		}, []uint32{1}, []uint32{2, 3, 4}},
		{"somebody else sends at the same time", func(s *scene) {
			send(s, alice, bob, 1, 0, 50, 1)
			send(s, "10.0.0.3:6000", alice, 3, 0, 20, 2)
			send(s, bob, alice, 2, 0, 50, 2)
		}, []uint32{1}, []uint32{2}},
		{"a fork that lost rang", func(s *scene) {
			s.call.Dialogs = append(s.call.Dialogs, correlateDialog())
			s.message(false, "10.0.0.3:6000", "RTP/AVP 0")
			s.call.Messages[2].Dialog = 1
			send(s, "10.0.0.3:6000", alice, 3, 0, 20, 2)
			send(s, alice, bob, 1, 20, 50, 1)
			send(s, bob, alice, 2, 20, 50, 2)
		}, []uint32{1}, []uint32{2}},
		{"nobody answers", func(s *scene) {
			s.call.Dialogs[0].Answered = false
			s.call.Evidence.Answer = 0
			send(s, bob, alice, 2, 0, 50, 2)
		}, nil, []uint32{2}},
		{"two m= lines", func(s *scene) {
			s.sdp(true, "c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\n")
			s.sdp(false, "c=IN IP4 10.0.0.2\r\nm=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 0\r\n")
			send(s, "10.0.0.1:4002", "10.0.0.2:5002", 8, 0, 20, 1)
			send(s, "10.0.0.2:5002", "10.0.0.1:4002", 9, 0, 20, 1)
			send(s, alice, bob, 1, 0, 50, 1)
			send(s, bob, alice, 2, 0, 50, 2)
		}, []uint32{1}, []uint32{2}},
		{"a relay is seen on both sides", func(s *scene) {
			s.message(true, "10.0.0.9:7000", "RTP/AVP 0")  // to bob, the relay for alice
			s.message(false, "10.0.0.9:7002", "RTP/AVP 0") // to alice, the relay for bob
			send(s, alice, "10.0.0.9:7002", 1, 0, 50, 1)
			send(s, "10.0.0.9:7000", bob, 1, 0, 50, 1)
			send(s, bob, "10.0.0.9:7000", 2, 0, 50, 2)
			send(s, "10.0.0.9:7002", alice, 2, 0, 50, 2)
		}, []uint32{1}, []uint32{2}},
	} {
		s := newScene(t, "RTP/AVP 0")
		tt.build(s)
		slices.SortStableFunc(s.packets, func(a, b sent) int { return cmp.Compare(a.after, b.after) })
		r := s.record()
		for i, want := range [][]uint32{tt.left, tt.right} {
			var got []uint32
			for _, p := range r.Channels[i].Streams {
				got = append(got, p.SSRC)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: channel %d has %v, want %v", tt.name, i, got, want)
			}
		}
		if got := len(r.Channels[0].Streams) + len(r.Channels[1].Streams) + len(r.Left); got != len(Candidates(s.result(), 0)) {
			t.Errorf("%s: %d streams are told", tt.name, got)
		}
		if tt.name == "a relay is seen on both sides" {
			if a, b := r.Channels[0].Streams[0], r.Channels[1].Streams[0]; a.From != b.To || a.To != b.From {
				t.Errorf("%s: %v > %v, %v > %v", tt.name, a.From, a.To, b.From, b.To)
			}
		}
	}
}
