package correlate_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
)

// offered writes an INVITE whose description has these lines after the one of the connection.
func (c *mediaCapture) offered(lines ...string) {
	body := "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	c.udp("10.0.0.2:5060", "10.0.0.1:5060", fmt.Appendf(nil, "INVITE sip:a@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKred\r\n"+
		"From: <sip:b@10.0.0.2>;tag=b\r\nTo: <sip:a@10.0.0.1>\r\nCall-ID: red@10.0.0.2\r\nCSeq: 1 INVITE\r\n"+
		"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	c.now += 10_000
}

// block is a redundant block: what was sent so many timestamp units before.
type block struct {
	pt      byte
	before  uint32
	payload []byte
}

// redundant makes a payload of RFC 2198.
func redundant(pt byte, primary []byte, before ...block) []byte {
	var head, data []byte
	for _, b := range before {
		head = binary.BigEndian.AppendUint32(head, 1<<31|uint32(b.pt)<<24|b.before<<10|uint32(len(b.payload)))
		data = append(data, b.payload...)
	}
	return append(append(append(head, pt), data...), primary...)
}

// TestRedundantMedia reads opus and the keys 1 to 6 out of redundant data (RFC 2198): the packets of some keys come, of others
// copies only, and copies of keys from long ago make no new ones.
func TestRedundantMedia(t *testing.T) {
	t.Parallel()
	c := &mediaCapture{now: 1_700_000_000_000_000}
	c.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0})
	c.offered("m=audio 6000 RTP/AVP 63 111 110", "a=rtpmap:63 red/48000/2", "a=rtpmap:111 opus/48000/2", "a=rtpmap:110 telephone-event/48000")
	sound := bytes.Repeat([]byte{0xfc}, 80)
	seq, ts := uint16(65_500), uint32(1<<32-60_000) // both wrap
	send := func(stamp uint32, marker byte, payload []byte, lost bool) {
		if !lost {
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", rtpPacket(0xa, seq, stamp, 63|marker, payload))
		}
		seq++
		ts += 960
		c.now += 20_000
	}
	talk := func(n int, copies ...block) {
		for range n {
			send(ts, 0, redundant(111, sound, append(slices.Clip(copies), block{111, 960, sound})...), false)
			for i := range copies {
				copies[i].before += 960
			}
		}
	}
	event := func(code byte, units uint16, end bool) []byte {
		b := []byte{code, 10, byte(units >> 8), byte(units)}
		if end {
			b[1] |= 0x80
		}
		return b
	}
	// press sends a key of 100 ms, each packet with a copy of the one before, and gives a copy of the end.
	var long []block // ends of keys, the oldest first
	press := func(code byte, lost bool) {
		start := ts
		var last []block
		for i := range 7 {
			now := event(code, uint16(min(i+1, 5)*960), i >= 4)
			send(start, map[bool]byte{true: 0x80}[i == 0], redundant(110, now, last...), lost)
			last = []block{{110, 0, now}}
		}
		long = append(long, block{110, ts - start, event(code, 4800, true)})
	}
	age := func(by uint32) {
		for i := range long {
			long[i].before += by
		}
	}
	talk(50)
	press(1, false)
	talk(5)
	press(2, true) // the end comes as a copy
	long = long[1:]
	talk(3, long[0])
	age(3 * 960)
	for code := byte(3); code <= 6; code++ {
		press(code, code == 4)
		age(7 * 960)
		long[len(long)-1].before -= 7 * 960
		talk(2, bytesBefore(long)...)
		age(2 * 960)
	}
	path := filepath.Join(t.TempDir(), "red.pcap")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	board, err := run(t, path, correlate.Config{Workers: 2})
	if err != nil || len(board.Streams()) != 1 {
		t.Fatal(board.Streams(), err)
	}
	s := board.Streams()[0]
	sent := uint64(50 + 5 + 3 + 6*7 + 4*2)
	if s.Codec() != "opus" || s.Payloads[0].Label() != "red" || len(s.Payloads) != 1 || s.Found != media.BySDP || s.Packets != sent-14 || s.Lost != 14 || s.MaxJitter > 1e6 {
		t.Errorf("codec %s, payloads %+v, %d packets, %d lost, jitter %d", s.Codec(), s.Payloads, s.Packets, s.Lost, s.MaxJitter)
	}
	if keys := dtmf.Sequence(s.Presses); keys != "123456" {
		t.Fatalf("keys %s: %+v", keys, s.Presses)
	}
	for i, p := range s.Presses {
		at := s.First + int64(50+i*9)*20e6
		if i > 0 {
			at += 3 * 20e6 // of talk
		}
		if i > 1 {
			at += 20e6
		}
		if p.Duration != 100e6 || !p.Ended || p.Start != at {
			t.Errorf("%c: %d ms from %d, ended %v, want 100 ms from %d", p.Digit, p.Duration/1e6, (p.Start-s.First)/1e6, p.Ended, (at-s.First)/1e6)
		}
	}
	if s.MOS == 0 {
		t.Error("no estimate")
	}
}

// bytesBefore gives the copies that are not older than the offset of a block can tell.
func bytesBefore(all []block) (out []block) {
	for _, b := range all {
		if b.before < 1<<14 {
			out = append(out, b)
		}
	}
	return out
}

// TestRedundantSecure names what redundant data carry that are encrypted, by a=fmtp, and reads no keys out of noise.
func TestRedundantSecure(t *testing.T) {
	t.Parallel()
	c := &mediaCapture{now: 1_700_000_000_000_000}
	c.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0})
	c.offered("m=audio 6000 RTP/SAVP 63 111 110", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:111 opus/48000/2", "a=rtpmap:110 telephone-event/48000")
	for n := range uint16(50) {
		c.udp("10.0.0.1:4000", "10.0.0.2:6000", rtpPacket(0xa, n, uint32(n)*960, 63, redundant(110, []byte{5, 10, 3, 0xc0})))
		c.now += 20_000
	}
	path := filepath.Join(t.TempDir(), "red.pcap")
	if err := os.WriteFile(path, c.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	board, err := run(t, path, correlate.Config{Workers: 2})
	if err != nil || len(board.Streams()) != 1 {
		t.Fatal(board.Streams(), err)
	}
	if s := board.Streams()[0]; s.Codec() != "opus" || len(s.Presses) != 0 || !s.Secure {
		t.Errorf("codec %s, presses %+v", s.Codec(), s.Presses)
	}
}
