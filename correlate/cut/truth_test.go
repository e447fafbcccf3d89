package cut

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
)

// archive is a capture that was read, and can be read again.
type archive struct {
	files *capture.Files
	calls []correlate.Call
}

// read runs the pipeline over a capture.
func read(tb testing.TB, paths ...string) *archive {
	tb.Helper()
	files, err := capture.Open(paths, capture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = files.Close() })
	board := new(correlate.Board)
	if err := correlate.Run(tb.Context(), files, correlate.Config{Board: board, Workers: 1}); err != nil {
		tb.Logf("%v: %v", paths, err) // a capture that is cut short has calls all the same
	}
	a := &archive{files: files}
	for _, num := range board.Numbers() {
		if c, ok := board.Call(num); ok {
			a.calls = append(a.calls, c)
		}
	}
	return a
}

// text reads a message again.
func (a *archive) text(call, message int) []byte {
	b, err := decode.ReadText(a.files, a.calls[call].Messages[message].Pieces)
	if err != nil {
		return nil
	}
	return b
}

// cut cuts the media of all calls.
func (a *archive) cut(tb testing.TB, o Options) *Result {
	tb.Helper()
	again, err := a.files.Reopen()
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	r, err := Cut(tb.Context(), again, a.calls, a.text, o)
	if err != nil {
		tb.Logf("cut: %v", err)
	}
	return r
}

// truth is what tshark found in a capture.
type truth struct {
	Streams []struct {
		Src, Dst, SSRC, Payload, PT string
		Packets                     uint64
		Lost                        int64
	} `json:"rtp_streams"`
}

// names of codecs, as tshark has them.
func spelling(s string) string {
	return strings.NewReplacer("g711A", "PCMA", "g711U", "PCMU", "g722", "G722", "opus", "opus").Replace(s)
}

// TestTruth compares the streams of real calls with tshark's: every packet that tshark found is in a stream, or was seen
// twice.
func TestTruth(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../shared/pcaps/*/*.truth.json")
	if err != nil || len(files) == 0 {
		t.Skip("no captures of others at ../shared/pcaps beside this checkout")
	}
	found, missed, differ := 0, 0, 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var want truth
		if json.Unmarshal(b, &want) != nil || len(want.Streams) == 0 {
			continue
		}
		name := strings.TrimSuffix(f, ".truth.json")
		for _, ext := range []string{"", ".pcap", ".pcapng"} {
			if info, err := os.Stat(name + ext); err == nil && info.Mode().IsRegular() {
				name += ext
				break
			}
		}
		a := read(t, name)
		r := a.cut(t, Options{})
		type sum struct {
			packets, duplicates uint64
			s                   *Stream
		}
		got := map[string]*sum{}
		for i := range r.Streams {
			s := &r.Streams[i]
			if !r.Counts.Complete() || s.Left != 0 {
				t.Errorf("%s: %+v", name, r.Counts)
			}
			key := fmt.Sprintf("%s %s %08x", s.From, s.To, s.SSRC)
			if got[key] == nil {
				got[key] = &sum{s: s}
			}
			got[key].s.First = min(got[key].s.First, s.First)
			got[key].packets += uint64(len(s.Packets))
			got[key].duplicates += s.Duplicates
		}
		for _, w := range want.Streams {
			ssrc, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(w.SSRC), "0x"), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			key := fmt.Sprintf("%s %s %08x", w.Src, w.Dst, ssrc)
			s := got[key]
			if s == nil {
				missed++
				t.Logf("%s: %s is named by no SDP, or before it", filepath.Base(name), key)
				continue
			}
			found++
			if p := spelling(w.Payload + w.PT); s.s.Payloads[0].Name != "" && strings.Contains(p, "PCM") &&
				!strings.Contains(p, strings.ToUpper(s.s.Payloads[0].Name)) {
				t.Errorf("%s: %s is %+v, tshark says %s", filepath.Base(name), key, s.s.Payloads, p)
			}
			if s.packets+s.duplicates == w.Packets {
				continue
			}
			// tshark gives up streams after an ICMP error and in other cases, and counts copies in tunnels.
			differ++
			if n := count(t, name, s.s); n != s.packets+s.duplicates {
				t.Errorf("%s: %s has %d packets and %d twice, tshark says %d, gopacket %d", filepath.Base(name), key, s.packets, s.duplicates, w.Packets, n)
			}
		}
	}
	t.Logf("%d streams found, %d not; of %d tshark counts otherwise", found, missed, differ)
	if found < 80 || differ > 20 {
		t.Errorf("%d streams found, %d differ", found, differ)
	}
}

// count counts the packets of a stream as gopacket decodes them, from its first one on.
func count(t *testing.T, name string, s *Stream) (n uint64) {
	t.Helper()
	files, err := capture.Open([]string{name}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files.Close() }()
	var b capture.Batch
	defer b.Release()
	for files.Next(t.Context(), &b) == nil {
		for i := range b.Packets {
			p := &b.Packets[i]
			q := gopacket.NewPacket(p.Data, layers.LinkType(p.Link), gopacket.Default)
			udp, ok := q.TransportLayer().(*layers.UDP)
			if !ok || p.Time < s.First || len(udp.Payload) < 12 || udp.Payload[1] >= 192 && udp.Payload[1] < 224 {
				continue
			}
			net := q.NetworkLayer().NetworkFlow()
			from := fmt.Sprintf("%s:%d", net.Src(), udp.SrcPort)
			to := fmt.Sprintf("%s:%d", net.Dst(), udp.DstPort)
			if from == s.From.String() && to == s.To.String() && binary.BigEndian.Uint32(udp.Payload[8:]) == s.SSRC {
				n++
			}
		}
	}
	return n
}
