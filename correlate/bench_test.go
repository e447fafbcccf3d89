package correlate_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
)

// callPackets makes the packets of n answered calls over one hop, interleaved as on a busy trunk.
func callPackets(n int) []capture.Packet {
	alice, bob := [4]byte{10, 0, 0, 1}, [4]byte{10, 0, 0, 2}
	var out []capture.Packet
	steps := []struct {
		line, cseq string
		back, tag  bool
	}{
		{"INVITE sip:bob@example.com SIP/2.0", "1 INVITE", false, false},
		{"SIP/2.0 100 Trying", "1 INVITE", true, false},
		{"SIP/2.0 180 Ringing", "1 INVITE", true, true},
		{"SIP/2.0 200 OK", "1 INVITE", true, true},
		{"ACK sip:bob@10.0.0.2 SIP/2.0", "1 ACK", false, true},
		{"BYE sip:bob@10.0.0.2 SIP/2.0", "2 BYE", false, true},
		{"SIP/2.0 200 OK", "2 BYE", true, true},
	}
	for s, step := range steps {
		for i := range n {
			tag := ""
			if step.tag {
				tag = fmt.Sprintf(";tag=b%d", i)
			}
			branch := fmt.Sprintf("z9hG4bK%s%d", step.cseq[:1], i)
			if step.cseq == "1 ACK" {
				branch += "ack"
			}
			text := fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=%s;rport\r\nMax-Forwards: 70\r\n"+
				"From: \"Alice\" <sip:alice@example.com>;tag=a%d\r\nTo: <sip:bob@example.com>%s\r\n"+
				"Call-ID: call-%d@10.0.0.1\r\nCSeq: %s\r\nContact: <sip:alice@10.0.0.1:5060>\r\n"+
				"User-Agent: bench\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE\r\nContent-Length: 0\r\n\r\n",
				step.line, branch, i, tag, i, step.cseq)
			src, dst := alice, bob
			if step.back {
				src, dst = bob, alice
			}
			out = append(out, capture.Packet{
				Time: int64(s)*1e9 + int64(i)*1000, Data: udpFrame(src, dst, uint16(len(out)), text),
				Link: capture.LinkEthernet,
			})
		}
	}
	for i := range out {
		out[i].Seq = uint64(i + 1)
		out[i].WireLen = uint32(len(out[i].Data))
	}
	return out
}

func udpFrame(src, dst [4]byte, id uint16, text string) []byte {
	b := make([]byte, 42+len(text))
	b[12], b[14] = 8, 0x45
	binary.BigEndian.PutUint16(b[16:], uint16(28+len(text)))
	binary.BigEndian.PutUint16(b[18:], id)
	b[22], b[23] = 64, 17
	copy(b[26:], src[:])
	copy(b[30:], dst[:])
	binary.BigEndian.PutUint16(b[34:], 5060)
	binary.BigEndian.PutUint16(b[36:], 5060)
	binary.BigEndian.PutUint16(b[38:], uint16(8+len(text)))
	copy(b[42:], text)
	return b
}

// memory is a Source of packets at hand.
type memory struct {
	packets []capture.Packet
	batch   int
}

func (m *memory) Next(_ context.Context, b *capture.Batch) error {
	if len(m.packets) == 0 {
		return io.EOF
	}
	n := min(m.batch, len(m.packets))
	b.Packets = append(b.Packets[:0], m.packets[:n]...)
	b.Now = b.Packets[n-1].Time
	m.packets = m.packets[n:]
	return nil
}

// decoded gives the messages of packets as the pipeline hands them to the tracker.
func decoded(packets []capture.Packet) []*decode.Message {
	decoder := decode.NewDecoder(decode.Options{})
	streams := decode.NewStreams(decoder)
	var messages []*decode.Message
	for from := 0; from < len(packets); from += capture.MaxBatch {
		w := &decode.Work{}
		w.Batch.Packets = packets[from:min(from+capture.MaxBatch, len(packets))]
		decoder.Frames(w)
		streams.Join(w)
		for m := range w.Items() {
			messages = append(messages, m)
		}
	}
	return messages
}

// BenchmarkTracker is the serial part: one message into the archive.
func BenchmarkTracker(b *testing.B) {
	packets := callPackets(2000)
	messages := decoded(packets)
	b.ReportAllocs()
	var t *correlate.Tracker
	i := 0
	for b.Loop() {
		if i%len(messages) == 0 {
			t = correlate.NewTracker(correlate.Limits{}, nil)
		}
		t.Message(messages[i%len(messages)])
		i++
	}
}

// BenchmarkRun is the whole path below the reading of files; an operation is 14,000 packets.
func BenchmarkRun(b *testing.B) {
	packets := callPackets(2000)
	var bytes int64
	for i := range packets {
		bytes += int64(len(packets[i].Data))
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	for b.Loop() {
		board := &correlate.Board{}
		err := correlate.Run(context.Background(), &memory{packets: packets, batch: capture.MaxBatch},
			correlate.Config{Board: board})
		if err != nil {
			b.Fatal(err)
		}
		if n := board.Totals().Calls; n != 2000 {
			b.Fatalf("%d calls, want 2000", n)
		}
	}
	b.ReportMetric(float64(len(packets))*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}
