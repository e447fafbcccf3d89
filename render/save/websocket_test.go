package save

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
)

// browser is a capture of one WebSocket connection, from 192.0.2.1:50000 to 192.0.2.2:8080.
type browser struct {
	file []byte
	next [2]uint32
	n    int64
	zip  [2]bytes.Buffer // what each side has said, where it is compressed
}

const (
	fromServer = 0
	fromClient = 1
)

// segment appends a TCP segment.
func (b *browser) segment(side int, flags byte, text string) {
	b.n++
	ports := [2]uint16{8080, 50000}
	h := make([]byte, 40, 40+len(text))
	copy(h, []byte{0x45, 0, 0, 0, 0, byte(b.n), 0, 0, 64, 6, 0, 0, 192, 0, 2, byte(2 - side), 192, 0, 2, byte(1 + side)})
	binary.BigEndian.PutUint16(h[2:], uint16(40+len(text)))
	binary.BigEndian.PutUint16(h[20:], ports[side])
	binary.BigEndian.PutUint16(h[22:], ports[1-side])
	binary.BigEndian.PutUint32(h[24:], b.next[side])
	binary.BigEndian.PutUint32(h[28:], b.next[1-side])
	h[32], h[33] = 5<<4, flags
	b.next[side] += uint32(len(text)) + uint32(flags>>1&1)
	p := capture.Packet{Time: 1_800_000_000_000_000_000 + b.n*1e7, Data: append(h, text...), Link: capture.LinkIPv4}
	p.WireLen = uint32(len(p.Data))
	b.file, _ = capture.AppendPcapRecord(b.file, &p)
}

// say appends a message in a frame; a client's is masked, with a key of zeros.
func (b *browser) say(side int, first byte, text string) {
	f := []byte{first, byte(min(len(text), 126))}
	if len(text) > 125 {
		f = binary.BigEndian.AppendUint16(f, uint16(len(text)))
	}
	if side == fromClient {
		f[1] |= 0x80
		f = append(f, 0, 0, 0, 0)
	}
	b.segment(side, 0x18, string(f)+text)
}

// pack appends a compressed message, which needs those before it.
func (b *browser) pack(side int, text string) {
	var packed bytes.Buffer
	w, _ := flate.NewWriterDict(&packed, flate.BestCompression, bytes.Clone(b.zip[side].Bytes()))
	_, _ = w.Write([]byte(text))
	_ = w.Flush()
	b.zip[side].WriteString(text)
	b.say(side, 0xc1, string(bytes.TrimSuffix(packed.Bytes(), []byte("\x00\x00\xff\xff"))))
}

// connection is three calls with pings between, from the handshake on.
func connection(extension string, packed bool) []byte {
	b := &browser{file: capture.AppendPcapHeader(nil, capture.LinkIPv4), next: [2]uint32{7000, 9000}}
	b.segment(fromClient, 0x02, "")
	b.segment(fromServer, 0x12, "")
	b.segment(fromClient, 0x18, "GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
	b.segment(fromClient, 0x18, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n")
	b.segment(fromServer, 0x18, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Protocol: sip\r\n"+extension+"\r\n")
	say := func(side int, text string) {
		if packed {
			b.pack(side, text)
		} else {
			b.say(side, 0x81, text)
		}
	}
	for n := range 3 {
		text := func(start string) string {
			return fmt.Sprintf("%s\r\nVia: SIP/2.0/WS c.example.com;branch=z9hG4bK%d\r\nFrom: <sip:a@example.com>;tag=%[2]d\r\n"+
				"To: <sip:b@example.com>\r\nCall-ID: browser-%[2]d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", start, n)
		}
		say(fromClient, text("OPTIONS sip:b@example.com SIP/2.0"))
		b.say(fromClient, 0x89, "ping")
		b.say(fromServer, 0x8a, "ping")
		say(fromServer, text("SIP/2.0 200 OK"))
		b.say(fromClient, 0x81, "\r\n\r\n")
	}
	b.say(fromClient, 0x88, "\x03\xe8")
	return b.file
}

// TestWebSocket: a saved call has what its connection needs to be read, and not more.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	const deflate = "Sec-WebSocket-Extensions: permessage-deflate"
	for _, c := range []struct {
		name, extension string
		packed          bool
		frames          [3]int  // of each call saved for itself
		calls           [3]int  // that are in it
		holes           [3]bool // other calls' messages are missing
	}{
		// the handshake, the frames before and between, and two messages
		{"plain", "", false, [3]int{9, 12, 15}, [3]int{1, 1, 1}, [3]bool{false, true, true}},
		// the messages before, too
		{"compressed", deflate + "\r\n", true, [3]int{9, 14, 19}, [3]int{1, 2, 3}, [3]bool{}},
		{
			"compressed, each for itself", deflate + "; server_no_context_takeover; client_no_context_takeover\r\n", false,
			[3]int{9, 12, 15},
			[3]int{1, 1, 1},
			[3]bool{false, true, true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "all.pcap")
			write(t, path, string(connection(c.extension, c.packed)))
			a := read(t, path)
			want := a.calls(t)
			if len(want) != 3 || len(want[2].Messages) != 2 {
				t.Fatalf("%d calls", len(want))
			}
			for i, num := range a.nums() {
				out := filepath.Join(t.TempDir(), "one.pcap")
				job := a.job(out, Pcap)
				job.Calls = Numbered(a.board, slices.Values([]uint32{num}))
				res, err := Run(t.Context(), job, nil)
				if err != nil {
					t.Fatal(err)
				}
				again := read(t, out)
				got := again.calls(t)
				if res.Frames != c.frames[i] || len(got) != c.calls[i] {
					t.Errorf("call %d: %d frames, %d calls; want %d, %d", num, res.Frames, len(got), c.frames[i], c.calls[i])
				}
				if diff := cmp.Diff(want[i], got[len(got)-1]); diff != "" {
					t.Errorf("call %d (-want +got)\n%s", num, diff)
				}
				for s := range again.board.Calls() {
					if s.CallID == want[i].CallID && (s.Gaps > 0) != c.holes[i] {
						t.Errorf("call %d has %d holes", num, s.Gaps)
					}
				}
			}
		})
	}
}

// TestWebSocketCapture: no call of the project's capture has holes when it is saved.
func TestWebSocketCapture(t *testing.T) {
	t.Parallel()
	a := read(t, project("websocket.pcap"))
	want := a.calls(t)
	for i, num := range a.nums() {
		out := filepath.Join(t.TempDir(), "one.pcapng")
		job := a.job(out, Pcapng)
		job.Calls = Numbered(a.board, slices.Values([]uint32{num}))
		if _, err := Run(t.Context(), job, nil); err != nil {
			t.Fatal(err)
		}
		again := read(t, out)
		if diff := cmp.Diff(want[i:i+1], again.calls(t)); diff != "" {
			t.Errorf("call %d (-want +got)\n%s", num, diff)
		}
		for s := range again.board.Calls() {
			if s.Gaps != 0 {
				t.Errorf("call %d has %d holes", num, s.Gaps)
			}
		}
	}
}
