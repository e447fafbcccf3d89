package stream

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// data makes a DATA chunk.
func data(flags byte, tsn uint32, ssn uint16, text string) string {
	b := binary.BigEndian.AppendUint16([]byte{chunkData, flags}, uint16(dataHead+len(text)))
	b = binary.BigEndian.AppendUint32(b, tsn)
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), ssn)
	return padded(string(b) + "\x00\x00\x00\x00" + text)
}

// idata makes an I-DATA chunk; index is the fragment's, 0 for the first.
func idata(flags byte, tsn uint32, stream uint16, id, index uint32, text string) string {
	b := binary.BigEndian.AppendUint16([]byte{chunkIData, flags}, uint16(iDataHead+len(text)))
	b = binary.BigEndian.AppendUint32(b, tsn)
	b = binary.BigEndian.AppendUint16(b, stream)
	b = binary.BigEndian.AppendUint32(append(b, 0, 0), id)
	return padded(string(binary.BigEndian.AppendUint32(b, index)) + text)
}

func forward(tsn uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte{chunkForward, 0, 0, 8}, tsn))
}

func padded(s string) string { return s + strings.Repeat("\x00", -len(s)&3) }

const (
	all       = dataBegin | dataEnd
	sack      = "\x03\x00\x00\x10\x00\x00\x00\x01\x00\x00\x40\x00\x00\x00\x00\x00"
	heartbeat = "\x04\x00\x00\x08\x00\x01\x00\x04"
)

// sctp plays a packet of chunks.
func (w *wire) sctp(tag uint32, chunks string) {
	w.frame++
	w.now += ms
	b := []byte{0x13, 0xc4, 0x13, 0xc5}
	b = append(binary.BigEndian.AppendUint32(b, tag), "sum!"+chunks...)
	at := int64(len(w.file))
	w.file = append(w.file, b...)
	fate := w.a.AddSCTP(&SCTPPacket{
		Src: alice, Dst: bob, Payload: b, Frame: w.frame, Time: w.now,
		Pieces: []frame.Piece{{Seq: w.frame, Loc: capture.Loc{Off: at}, Len: uint32(len(b))}},
	})
	for i := range b {
		b[i] = 0xee // what is held must be a copy
	}
	w.fates = append(w.fates, fate)
}

func TestSCTP(t *testing.T) {
	t.Parallel()
	one, two := inviteText()[:100], inviteText()[100:]
	third := []string{inviteText()[:60], inviteText()[60:130], inviteText()[130:]}
	for _, c := range []struct {
		name    string
		packets []string
		want    []string
		fates   []Fate
	}{
		{"one", []string{data(all, 1, 0, inviteText())}, []string{line(inviteText())}, []Fate{Completed}},
		{
			"bundled with others",
			[]string{sack + data(all, 1, 0, inviteText()) + data(all|dataUnordered, 2, 0, byeText())},
			[]string{line(inviteText()), line(byeText())},
			[]Fate{Completed},
		},
		{
			"two in one user message",
			[]string{data(all, 1, 0, inviteText()+byeText())},
			[]string{line(inviteText()), line(byeText())},
			[]Fate{Completed},
		},
		{
			"fragments",
			[]string{data(dataBegin, 1, 7, third[0]), data(0, 2, 7, third[1]) + data(dataEnd, 3, 7, third[2])},
			[]string{line(inviteText())},
			[]Fate{Partial, Completed},
		},
		{"fragments out of order, over the end of the numbers", []string{
			data(all, 0xfffffffd, 6, okText()),
			data(dataEnd, 0, 7, third[2]), data(dataBegin, 0xfffffffe, 7, third[0]), data(0, 0xffffffff, 7, third[1]),
		}, []string{line(okText()), line(inviteText())}, []Fate{Completed, Partial, Partial, Completed}},
		{
			"retransmitted",
			[]string{
				data(all, 1, 0, okText()), data(dataBegin, 2, 1, one), data(dataBegin, 2, 1, one),
				data(all, 1, 0, okText()), data(dataEnd, 3, 1, two),
			},
			[]string{line(okText()), line(inviteText())},
			[]Fate{Completed, Partial, Duplicate, Duplicate, Completed},
		},
		{"I-DATA of two messages between each other", []string{
			idata(dataBegin, 1, 1, 0, 0, third[0]) + idata(dataBegin, 2, 2, 0, 0, byeText()[:30]),
			idata(0, 3, 1, 0, 1, third[1]), idata(dataEnd, 4, 2, 0, 1, byeText()[30:]), idata(dataEnd, 5, 1, 0, 2, third[2]),
		}, []string{line(byeText()), line(inviteText())}, []Fate{Partial, Partial, Completed, Completed}},
		{
			"keep-alives",
			[]string{heartbeat, sack, data(all, 1, 0, "\r\n\r\n"), data(all, 2, 0, "no SIP")},
			nil,
			[]Fate{KeepAlive, Empty, KeepAlive, NotSIP},
		},
		{
			"a hole",
			[]string{data(all, 1, 0, okText()), data(all, 3, 2, byeText())},
			[]string{line(okText()), line(byeText()), "gap 0"},
			[]Fate{Completed, Completed},
		},
		{
			"a hole that is filled",
			[]string{data(all, 1, 0, okText()), data(all, 3, 2, byeText()), data(all, 2, 1, optionsText())},
			[]string{line(okText()), line(byeText()), line(optionsText())},
			[]Fate{Completed, Completed, Completed},
		},
		{
			"a hole that the sender gave up",
			[]string{data(all, 1, 0, okText()), data(all, 3, 2, byeText()), forward(3)},
			[]string{line(okText()), line(byeText())},
			[]Fate{Completed, Completed, Empty},
		},
		{
			"a fragment is missing",
			[]string{
				data(all, 1, 0, okText()), data(dataBegin, 2, 1, one), data(dataEnd, 4, 1, two[50:]),
				data(all, 5, 2, byeText()),
			},
			[]string{
				line(okText()), line(byeText()),
				fmt.Sprintf("INVITE sip:bob@example.com SIP/2.0 (%d) truncated", len(one)), "gap 0",
			},
			[]Fate{Completed, Partial, Partial, Completed},
		},
		{
			"lengths that lie",
			[]string{"\x00\x03\xff\xff" + data(all, 1, 0, okText())[4:], "\x00\x03\x00\x02" + okText(), "\x00\x03\x00\x08abcd"},
			[]string{line(okText())},
			[]Fate{Completed, Empty, Empty},
		},
		{
			"another association with the same tag",
			[]string{data(all, 1, 0, okText()), data(all, 1<<31, 0, byeText())},
			[]string{line(okText()), "gap 0", line(byeText()) + " after-gap"},
			[]Fate{Completed, Completed},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			for _, p := range c.packets {
				w.sctp(77, p)
			}
			w.now += 60 * sec
			w.a.Advance(w.now)
			if len(w.a.sctp.waiting) != 0 {
				t.Errorf("%d directions still wait", len(w.a.sctp.waiting))
			}
			w.a.Flush(w.frame, w.now)
			if d := cmp.Diff(c.want, w.log); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.fates, w.fates); d != "" {
				t.Errorf("fates (-want +got):\n%s", d)
			}
			if w.a.sctp.bytes != 0 || len(w.a.sctp.flows) != 0 {
				t.Errorf("%d bytes, %d directions are left", w.a.sctp.bytes, len(w.a.sctp.flows))
			}
		})
	}
}

func TestIsSCTP(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"portstagssum" + sack:                               true,
		"portstagssum" + data(all, 1, 0, "abc"):             true,
		"portstagssum" + sack + "\x00\x03\x00\xff":          false,
		"portstagssum" + "\x50\x00\x00\x04":                 false,
		"portstagssum":                                      false,
		"portstagssum" + "\x00\x00\x00\x03":                 false,
		inviteText():                                        false,
		"portstagssum" + strings.Repeat(heartbeat, 3):       true,
		"portstagssum" + heartbeat + "\x01":                 false,
		"portstagssum" + "\x40\x03\x00\x05\x00\x00\x00\x00": true,
	} {
		if got := IsSCTP([]byte(text)); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

// TestSCTPHostile never completes a message, jumps, and uses a new association for each packet.
func TestSCTPHostile(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 1200)
	for name, packet := range map[string]func(i uint32) (tag uint32, chunks string){
		"fragments":    func(i uint32) (uint32, string) { return 1, data(0, i, 0, big) },
		"every other":  func(i uint32) (uint32, string) { return 1, data(dataBegin, 2*i, 0, big) },
		"jumps":        func(i uint32) (uint32, string) { return 1, data(all, i*0x9e3779b9, 0, okText()) },
		"associations": func(i uint32) (uint32, string) { return i + 1, data(dataBegin, i, 0, big) },
		"backwards":    func(i uint32) (uint32, string) { return 1, idata(0, i, 3, 1, -i, "INVITE") },
		"many chunks":  func(i uint32) (uint32, string) { return 1, strings.Repeat(data(dataBegin, i*7, 0, ""), 60) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.quiet = true
			for i := range uint32(30_000) {
				w.file = w.file[:0]
				w.sctp(packet(i))
				if len(w.a.sctp.flows) > w.a.limits.Flows/4 || w.a.sctp.bytes > w.a.limits.Total/4 {
					t.Fatalf("%d directions, %d bytes", len(w.a.sctp.flows), w.a.sctp.bytes)
				}
			}
			w.a.Flush(w.frame, w.now)
			if w.a.sctp.bytes != 0 {
				t.Errorf("%d bytes are left", w.a.sctp.bytes)
			}
			c := w.a.Counters
			if c.Oversize+c.Evicted+c.Gaps+c.Restarts+c.Duplicates == 0 && name != "every other" {
				t.Errorf("nothing was counted: %+v", c)
			}
		})
	}
}

func FuzzSCTP(f *testing.F) {
	f.Add([]byte(data(all, 1, 0, inviteText())), uint8(1))
	f.Add([]byte(data(dataBegin, 1, 0, "INVITE sip:b SIP/2.0\r\nA:")+data(dataEnd, 2, 0, " b\r\n\r\n")), uint8(3))
	f.Add([]byte(idata(dataEnd, 9, 1, 0, 1, "x")+forward(12)+heartbeat), uint8(9))
	f.Fuzz(func(t *testing.T, chunks []byte, step uint8) {
		s := &strict{t: t}
		l := DefaultLimits()
		l.Flows, l.Total, l.Message, l.Head = 16, 80_000, 3000, 1000
		s.a = NewLimited(s, l)
		size := 12 + 4*int(step)
		for now := int64(0); len(chunks) > 0; now += int64(step) * 100 * ms {
			n := min(size, len(chunks))
			b := append([]byte("\x13\xc4\x13\xc4\x00\x00\x00\x01sum!"), chunks[:n]...)
			chunks = chunks[n:]
			s.frames++
			before := s.texts
			fate := s.a.AddSCTP(&SCTPPacket{
				Src: alice, Dst: bob, Payload: b, Frame: s.frames, Time: now,
				Pieces: []frame.Piece{{Seq: s.frames, Loc: capture.Loc{Off: 100}, Len: uint32(len(b))}},
			})
			if fate > NotSIP || fate == Completed && s.texts == before {
				t.Fatalf("fate %v, %d messages", fate, s.texts-before)
			}
			clear(b)
		}
		s.a.Flush(s.frames, 0)
		if s.a.sctp.bytes != 0 || len(s.a.sctp.flows) != 0 || s.a.sctp.oldest != nil {
			t.Fatalf("%d bytes, %d directions are left", s.a.sctp.bytes, len(s.a.sctp.flows))
		}
	})
}

// Directions that wait and are removed for the limits leave nothing behind, and those that stay still get their turn.
func TestSCTPWaitingIsEvicted(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	w.a.limits.Flows = 40
	const directions = 1000
	for i := range uint32(directions) {
		w.sctp(1000+i, data(all, 1, 0, okText())+data(all, 3, 2, byeText()))
		if n := len(w.a.sctp.waiting); n > 200 {
			t.Fatalf("%d places for %d directions that wait", n, len(w.a.sctp.flows))
		}
		for at, d := range w.a.sctp.waiting {
			if d != nil && (d.place != at || w.a.sctp.flows[d.key] != d) {
				t.Fatalf("direction %d waits at %d and thinks at %d", d.key.tag, at, d.place)
			}
		}
	}
	if len(w.a.sctp.flows) != 10 || w.a.Counters.Evicted != directions-10 {
		t.Errorf("%d directions left, %d evicted", len(w.a.sctp.flows), w.a.Counters.Evicted)
	}
	told := len(w.log) // two messages and, of those removed, a hole
	if told != 3*directions-10 {
		t.Errorf("%d lines of %d directions", told, directions)
	}
	w.now += 60 * sec
	w.a.Advance(w.now)
	if len(w.a.sctp.waiting) != 0 || len(w.log) != told+10 {
		t.Errorf("%d still wait, %d told of those that stayed", len(w.a.sctp.waiting), len(w.log)-told)
	}
}

// Retransmissions in the middle of holes make more holes of them, and a packet may have thousands of chunks: neither goes
// beyond the bounds, at any time.
func TestSCTPBounds(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	var chunks strings.Builder
	tsn := uint32(1000)
	chunks.WriteString(data(all, tsn, 0, okText()))
	for range 1500 {
		chunks.WriteString(data(all, tsn+4, 0, "x")) // a hole of three
		chunks.WriteString(data(all, tsn+2, 0, "x")) // and its middle
		tsn += 4
	}
	w.sctp(1, chunks.String())
	for _, d := range w.a.sctp.flows {
		if n := len(d.holes); n == 0 || n > maxHoles {
			t.Errorf("%d holes", n)
		}
	}
	chunks.Reset()
	for i := range uint32(2500) { // nothing ends, nothing follows anything, and each comes before all others
		chunks.WriteString(idata(0, 5000+i, 1, 1<<20-2*i, 7, "x"))
	}
	w.a.Counters = Counters{}
	w.sctp(2, chunks.String())
	for _, d := range w.a.sctp.flows {
		if n := cap(d.parts); n > 2*maxParts {
			t.Errorf("room for %d parts", n)
		}
	}
	if w.a.Counters.Oversize != 2500-maxParts {
		t.Errorf("%d parts were given up", w.a.Counters.Oversize)
	}
}
