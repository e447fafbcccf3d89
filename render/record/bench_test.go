package record

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/flowtest"
)

// batches keeps what the pipeline gives to a sink, so that the sink alone is measured.
type measured struct {
	*Recorder
	b     *testing.B
	setup int // batches before the measured ones
	n     int
}

func (m *measured) Frames(w *work) error {
	if m.n++; m.n != m.setup+1 {
		return m.Recorder.Frames(w)
	}
	packets := w.Batch.Packets
	seq, now := packets[len(packets)-1].Seq, w.Batch.Now
	m.b.ReportAllocs()
	for m.b.Loop() {
		now += int64(len(packets)) * ms / 100 // 100,000 packets a second
		for i := range packets {
			seq++
			packets[i].Seq, packets[i].Time = seq, now
		}
		w.Batch.Now = now
		if err := m.Recorder.Frames(w); err != nil {
			return err
		}
	}
	m.b.ReportMetric(float64(m.b.Elapsed().Nanoseconds())/float64(m.b.N)/float64(len(packets)), "ns/packet")
	return nil
}

// BenchmarkFrames takes batches of 256 packets of media while 10,000 calls go on, which match, or wait for that.
func BenchmarkFrames(b *testing.B) {
	const calls = 10_000
	var all []capture.Packet
	addr := func(i int) string { return fmt.Sprintf("10.%d.%d.1", 20+i/250, i%250) }
	for i := range calls {
		all = append(all, message(start+int64(i)*ms/10, invite, fmt.Sprint("call-", i), "1",
			sdpOf(addr(i), "m=audio 4000 RTP/AVP 0\r\n")))
	}
	for len(all)%capture.MaxBatch != 0 {
		all = append(all, udp(start+1000*ms, "10.0.0.1:9", "10.0.0.2:9", "noise"))
	}
	setup := len(all) / capture.MaxBatch
	for _, c := range []struct {
		name  string
		media bool
		match func(*correlate.Summary) bool
		to    func(i int) string
	}{
		{"nobody's", true, nil, func(int) string { return "10.0.0.2" }},
		{"without media", false, nil, addr},
		{"undecided", true, states("completed"), addr},
		{"written", true, nil, addr},
	} {
		b.Run(c.name, func(b *testing.B) {
			packets := append([]capture.Packet{}, all...)
			for i := range capture.MaxBatch {
				packets = append(packets, udp(start+1001*ms, "10.0.0.1:9", c.to(i*39)+":4000", fmt.Sprintf("%200d", i)))
			}
			number(packets)
			board := &correlate.Board{}
			r, err := New(board, Options{
				Write: func(*capture.Packet, string) error { return nil }, Match: c.match, Media: c.media,
				Read: func(capture.Loc, []byte) error { return nil },
			})
			if err != nil {
				b.Fatal(err)
			}
			err = correlate.Run(context.Background(), flowtest.NewSource(packets, capture.MaxBatch), correlate.Config{
				Workers: 1, Board: board, Sink: &measured{Recorder: r, b: b, setup: setup},
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkFiles records calls of six messages and 100 packets of media to a file each.
func BenchmarkFiles(b *testing.B) {
	const calls = 200
	var all []capture.Packet
	for i := range calls {
		id, host, at := fmt.Sprint("call-", i), fmt.Sprintf("10.1.%d.1", i), start+int64(i)*ms
		sdp := sdpOf(host, "m=audio 4000 RTP/AVP 0\r\n")
		all = append(all, message(at, invite, id, "1", sdp), answer(at, ringing, id, "1", ""), answer(at, ok, id, "1", ""),
			message(at, ack, id, "1", ""))
		for range 100 {
			all = append(all, udp(at, "10.0.0.9:99", host+":4000", fmt.Sprintf("%200d", i)))
		}
		all = append(all, message(at, bye, id, "bye", ""), answer(at, ok, id, "bye", ""))
	}
	number(all)
	b.ReportAllocs()
	for b.Loop() {
		k := keeper{Source: flowtest.NewSource(all, capture.MaxBatch), mu: &sync.Mutex{}}
		board := &correlate.Board{}
		r, err := New(board, Options{Dir: b.TempDir(), Media: true, Read: k.read})
		if err != nil {
			b.Fatal(err)
		}
		err = correlate.Run(context.Background(), &k, correlate.Config{Workers: 1, Board: board, Sink: r})
		if err == nil {
			err = r.Close()
		}
		if err != nil || r.Stats().Files != calls {
			b.Fatal(err, r.Stats())
		}
		b.SetBytes(int64(r.Stats().Bytes))
	}
}
