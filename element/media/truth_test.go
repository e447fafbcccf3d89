package media

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// truth is what tshark found in a capture.
type truth struct {
	Streams []struct {
		Src, Dst, SSRC, Payload string
		Packets                 uint64
		Lost                    int64
		Mean                    float64 `json:"mean_jitter_ms"`
		Max                     float64 `json:"max_jitter_ms"`
	} `json:"rtp_streams"`
}

// heardStream is a receiver, and the sum of its jitter after each packet.
type heardStream struct {
	r   *Receiver
	sum float64
	n   int
}

// TestTruth compares the figures of real calls with tshark's.
func TestTruth(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/*/*.pcap.truth.json")
	if err != nil || len(files) == 0 {
		t.Skipf("no captures beside the project: %v", err)
	}
	compared := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var want truth
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if len(want.Streams) == 0 {
			continue
		}
		got := receive(t, f[:len(f)-len(".truth.json")])
		for _, w := range want.Streams {
			// Another clock; or a sender that plays the same packets again, which tshark counts from the last one on.
			if w.Payload != "g711A" && w.Payload != "g711U" || w.Lost < 0 {
				continue
			}
			h := got[w.Src+" "+w.Dst+" "+w.SSRC]
			if h == nil {
				t.Errorf("%s: no stream %s %s %s", filepath.Base(f), w.Src, w.Dst, w.SSRC)
				continue
			}
			compared++
			st := h.r.Stats()
			if st.Packets != w.Packets || st.Lost != w.Lost {
				t.Errorf("%s %s: %d packets, %d lost, tshark says %d, %d", filepath.Base(f), w.SSRC, st.Packets, st.Lost, w.Packets, w.Lost)
			}
			mean, most := h.sum/float64(max(h.n-1, 1)), st.MaxJitter.Seconds()*1000
			if math.Abs(mean-w.Mean) > 0.05*w.Mean+0.1 || math.Abs(most-w.Max) > 0.05*w.Max+0.2 {
				t.Errorf("%s %s: jitter %.3f ms, at most %.3f, tshark says %.3f, %.3f", filepath.Base(f), w.SSRC, mean, most, w.Mean, w.Max)
			}
		}
	}
	t.Logf("%d streams compared", compared)
	if compared == 0 {
		t.Error("no stream was compared")
	}
}

// receive gives each RTP stream of a capture to a receiver.
func receive(t *testing.T, name string) map[string]*heardStream {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]*heardStream{}
	r, err := pcapgo.NewReader(f)
	if err != nil {
		return out
	}
	for {
		b, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return out
		}
		if err != nil {
			t.Fatal(name, err)
		}
		p := gopacket.NewPacket(b, r.LinkType(), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		ip, udp := p.NetworkLayer(), p.TransportLayer()
		if ip == nil || udp == nil || udp.LayerType() != layers.LayerTypeUDP {
			continue
		}
		payload := udp.LayerPayload()
		var rtp Packet
		if ParsePacket(payload, &rtp) != nil {
			continue
		}
		net, ports := ip.NetworkFlow(), udp.TransportFlow()
		key := fmt.Sprintf("%s:%s %s:%s 0x%08x", net.Src(), ports.Src(), net.Dst(), ports.Dst(), rtp.SSRC)
		h := out[key]
		if h == nil {
			h = &heardStream{r: NewReceiver(ReceiverConfig{EventPT: -1})}
			out[key] = h
		}
		if _, err := h.r.Packet(ci.Timestamp.UnixNano(), payload); err != nil {
			t.Fatal(err)
		}
		h.sum += h.r.Stats().Jitter.Seconds() * 1000
		h.n++
	}
}
