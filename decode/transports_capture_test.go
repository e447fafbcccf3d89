package decode_test

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
)

// story writes a capture of made-up packets over IPv4.
type story struct {
	file []byte
	seq  uint64
	time int64 // ns since 1970-01-01 UTC
	next map[string]uint32
}

func newStory() *story {
	return &story{
		file: capture.AppendPcapHeader(nil, capture.LinkIPv4), time: 1_800_000_000_000_000_000, next: map[string]uint32{},
	}
}

// packet appends an IP packet; hosts are the last bytes of addresses in 192.0.2.0/24.
func (s *story) packet(proto, src, dst byte, payload []byte) {
	s.seq++
	s.time += 10_000_000
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0, 192, 0, 2, src, 192, 0, 2, dst}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(payload)))
	binary.BigEndian.PutUint16(b[4:], uint16(s.seq))
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	b = append(b, payload...)
	s.file, _ = capture.AppendPcapRecord(s.file, &capture.Packet{Time: s.time, Data: b, WireLen: uint32(len(b)), Link: capture.LinkIPv4})
}

// tcp appends a segment between ports 50000 (of host 1) and 8080 (of host 2), or the other way.
func (s *story) tcp(fromClient bool, port uint16, flags byte, text string) {
	h := make([]byte, 20, 20+len(text))
	src, dst, key := byte(2), byte(1), fmt.Sprint("server", port)
	binary.BigEndian.PutUint16(h, 8080)
	binary.BigEndian.PutUint16(h[2:], port)
	if fromClient {
		src, dst, key = 1, 2, fmt.Sprint("client", port)
		binary.BigEndian.PutUint16(h, port)
		binary.BigEndian.PutUint16(h[2:], 8080)
	}
	binary.BigEndian.PutUint32(h[4:], 1000+s.next[key])
	s.next[key] += uint32(len(text)) + uint32(flags>>1&1) // SYN
	h[12], h[13], h[14] = 5<<4, flags, 0xff
	s.packet(6, src, dst, append(h, text...))
}

// sctp appends a packet of an association, between ports 5060 and 5060.
func (s *story) sctp(src, dst byte, tag uint32, chunks ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x13, 0xc4, 0x13, 0xc4}, tag)
	b = append(b, 0, 0, 0, 0)
	for _, c := range chunks {
		b = append(b, c...)
	}
	binary.LittleEndian.PutUint32(b[8:], crc32c(b))
	if src != 0 {
		s.packet(132, src, dst, b)
	}
	return b
}

// crc32c is SCTP's checksum (RFC 9260 appendix A), bit by bit.
func crc32c(b []byte) uint32 {
	sum := ^uint32(0)
	for _, c := range b {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0x82f63b78*(sum&1)
		}
	}
	return ^sum
}

func dataChunk(flags byte, tsn uint32, ssn uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, flags}, uint16(16+len(text)))
	b = binary.BigEndian.AppendUint32(b, tsn)
	b = binary.BigEndian.AppendUint16(append(b, 0, 0), ssn)
	return append(append(append(b, 0, 0, 0, 0), text...), make([]byte, -len(text)&3)...)
}

// wsFrame makes a WebSocket frame.
func wsFrame(first byte, masked bool, text string) string {
	b := []byte{first, byte(min(len(text), 126))}
	if len(text) > 125 {
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	}
	if !masked {
		return string(b) + text
	}
	key := []byte{0x5a, 0x11, 0xc3, 0x7e}
	b[1] |= 0x80
	b = append(b, key...)
	for i := range len(text) {
		b = append(b, text[i]^key[i&3])
	}
	return string(b)
}

// dialogTexts is a call: INVITE, 100, 180, 200, ACK, BYE, 200.
func dialogTexts(transport, id string) [7]string {
	const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
	text := func(start, tag, cseq, branch, body string) string {
		s := start + "\r\nVia: SIP/2.0/" + transport + " client.example.com;branch=z9hG4bK" + branch + "\r\nMax-Forwards: 70\r\n" +
			"From: \"Alice\" <sip:alice@example.com>;tag=a1\r\nTo: <sip:bob@example.com>" + tag + "\r\nCall-ID: " + id +
			"@example.com\r\nCSeq: " + cseq + "\r\nContact: <sip:u@client.example.com>\r\n"
		if body != "" {
			s += "Content-Type: application/sdp\r\n"
		}
		return s + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
	}
	return [7]string{
		text("INVITE sip:bob@example.com SIP/2.0", "", "1 INVITE", id+"1", sdp),
		text("SIP/2.0 100 Trying", "", "1 INVITE", id+"1", ""),
		text("SIP/2.0 180 Ringing", ";tag=b1", "1 INVITE", id+"1", ""),
		text("SIP/2.0 200 OK", ";tag=b1", "1 INVITE", id+"1", sdp),
		text("ACK sip:u@server.example.com SIP/2.0", ";tag=b1", "1 ACK", id+"2", ""),
		text("BYE sip:u@server.example.com SIP/2.0", ";tag=b1", "2 BYE", id+"3", ""),
		text("SIP/2.0 200 OK", ";tag=b1", "2 BYE", id+"3", ""),
	}
}

// handshake opens a WebSocket connection.
func (s *story) handshake(port uint16, extension string) {
	s.tcp(true, port, 2, "")
	s.tcp(false, port, 0x12, "")
	s.tcp(true, port, 0x18, "GET /ws HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n"+extension+"\r\n")
	s.tcp(false, port, 0x18, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: sip\r\n"+extension+"\r\n")
}

// webSocketStory is two calls: one in frames cut in every way, one compressed.
func webSocketStory() []byte {
	s := newStory()
	m := dialogTexts("WS", "ws1")
	s.handshake(50000, "")
	first := wsFrame(0x01, true, m[0][:100]) + wsFrame(0x89, true, "") + wsFrame(0x80, true, m[0][100:])
	s.tcp(true, 50000, 0x18, first[:130])
	s.tcp(true, 50000, 0x18, first[130:])
	s.tcp(false, 50000, 0x18, wsFrame(0x8a, false, "")+wsFrame(0x81, false, m[1])+wsFrame(0x81, false, m[2]))
	s.tcp(true, 50000, 0x18, wsFrame(0x81, true, "\r\n\r\n"))
	s.tcp(false, 50000, 0x18, wsFrame(0x81, false, "\r\n"))
	s.tcp(false, 50000, 0x18, wsFrame(0x82, false, m[3]))
	s.tcp(true, 50000, 0x18, wsFrame(0x81, true, m[4])+wsFrame(0x81, true, m[5]))
	s.tcp(false, 50000, 0x18, wsFrame(0x81, false, m[6]))
	s.tcp(true, 50000, 0x18, wsFrame(0x88, true, "\x03\xe8"))

	m = dialogTexts("WS", "ws2")
	s.handshake(50001, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
	var client, server bytes.Buffer
	for i, text := range m {
		fromClient := i == 0 || i == 4 || i == 5
		b := &server
		if fromClient {
			b = &client
		}
		dict := bytes.Clone(b.Bytes()) // all plain text of the direction so far
		b.WriteString(text)
		var packed bytes.Buffer
		w, _ := flate.NewWriterDict(&packed, flate.BestCompression, dict)
		_, _ = w.Write([]byte(text))
		_ = w.Flush()
		s.tcp(fromClient, 50001, 0x18, wsFrame(0xc1, fromClient, strings.TrimSuffix(packed.String(), "\x00\x00\xff\xff")))
	}
	return s.file
}

// sctpStory is a call in chunks cut in every way, over two paths, and one in UDP.
func sctpStory() []byte {
	s := newStory()
	m := dialogTexts("SCTP", "sctp1")
	const toServer, toClient = 0x1111, 0x2222
	s.sctp(1, 2, toServer, dataChunk(2, 100, 0, m[0][:200]))
	s.sctp(1, 2, toServer, dataChunk(1, 102, 0, m[0][300:]))
	s.sctp(1, 2, toServer, dataChunk(0, 101, 0, m[0][200:300])) // out of order
	s.sctp(2, 1, toClient, []byte{3, 0, 0, 16, 0, 0, 0, 102, 0, 1, 0, 0, 0, 0, 0, 0}, dataChunk(3, 7, 0, m[1]), dataChunk(3, 8, 1, m[2]))
	s.sctp(2, 1, toClient, dataChunk(3, 9, 2, m[3]))
	s.sctp(12, 11, toClient, dataChunk(3, 9, 2, m[3])) // again, over the other path
	s.sctp(11, 12, toServer, dataChunk(7, 103, 0, m[4]))
	s.sctp(11, 12, toServer, []byte{4, 0, 0, 8, 0, 1, 0, 4})
	s.sctp(11, 12, toServer, dataChunk(3, 104, 1, m[5]))
	s.sctp(12, 11, toClient, dataChunk(3, 10, 3, m[6]))

	m = dialogTexts("SCTP", "sctp2")
	tsn := map[uint32]uint32{}
	for i, text := range m {
		src, dst, tag := byte(2), byte(1), uint32(0x4444)
		if i == 0 || i == 4 || i == 5 {
			src, dst, tag = 1, 2, 0x3333
		}
		b := s.sctp(0, 0, tag, dataChunk(3, tsn[tag], uint16(tsn[tag]), text))
		tsn[tag]++
		h := binary.BigEndian.AppendUint16([]byte{0x26, 0xab, 0x26, 0xab}, uint16(8+len(b)))
		s.packet(17, src, dst, append(append(h, 0, 0), b...))
	}
	return s.file
}

// TestTransportCaptures holds the captures in testdata to what makes them, and reads them.
func TestTransportCaptures(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		file []byte
		want map[decode.Transport]int
	}{
		{"websocket.pcap", webSocketStory(), map[decode.Transport]int{decode.WS: 14}},
		{"sctp.pcap", sctpStory(), map[decode.Transport]int{decode.SCTP: 14}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := "../testdata/pcaps/" + c.name
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(path, c.file, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, c.file) {
				t.Fatalf("%v (UPDATE_GOLDEN=1 writes %s)", err, path)
			}
			got := readCapture(t, path)
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("messages by transport %v, want %v", got, c.want)
			}
		})
	}
}
