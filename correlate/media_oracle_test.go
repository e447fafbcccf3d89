package correlate_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/media"
)

// sent is an RTP packet of a scenario.
type sent struct {
	at      int64 // µs since the scenario's begin
	back    bool  // from the other side
	ssrc    uint32
	seq     uint16
	ts      uint32
	pt      byte
	marker  bool
	size    int
	stray   bool // says nothing about jitter: RFC 3550 A.1 waits for the next one
	restart bool // as a first packet (RFC 3550 A.1)
}

// spurt is packets each step timestamp units and every µs after the one before, with up to 4 ms of delay.
type spurt struct {
	n     int
	at    int64
	every int64
	seq   uint16
	ts    uint32
	step  uint32
	pt    byte
	ssrc  uint32
}

func (s spurt) packets() (out []sent) {
	noise := uint32(s.n) + s.ts
	for i := range s.n {
		noise = noise*1664525 + 1013904223
		out = append(out, sent{
			at: s.at + int64(i)*s.every + int64(noise>>8%4000), ssrc: cmp.Or(s.ssrc, 1), seq: s.seq + uint16(i), ts: s.ts + uint32(i)*s.step,
			pt: s.pt, marker: i == 0, size: 160,
		})
	}
	return out
}

// pcma is a spurt of G.711 packets of 20 ms.
func pcma(n int, at int64, seq uint16, ts uint32) []sent {
	return spurt{n: n, at: at, every: 20_000, seq: seq, ts: ts, step: 160, pt: 8}.packets()
}

// figures are what is to be told of a stream.
type figures struct {
	packets                               uint64
	lost                                  int64
	missing, duplicates, reordered, jumps uint64
}

// scenario is what a stranger would try on a tracker.
type scenario struct {
	name    string
	media   string // the m= line's payload types and its attributes; "" G.711
	clocks  map[byte]uint32
	packets []sent
	want    map[uint32]figures
	differs string // why tshark 4.0.17 says something else; "" it does not
}

func one(f figures) map[uint32]figures { return map[uint32]figures{1: f} }

const (
	opusLine = "96 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/48000\r\n"
	opus8    = "96 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
	events   = "8 13 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)

// mapped changes packets.
func mapped(all []sent, f func(i int, p *sent)) []sent {
	for i := range all {
		f(i, &all[i])
	}
	return all
}

// dropped leaves out packets of some numbers.
func dropped(all []sent, seqs ...uint16) []sent {
	return slices.DeleteFunc(all, func(p sent) bool { return slices.Contains(seqs, p.seq) })
}

// copied adds copies that come later by some µs.
func copied(all []sent, later int64, seqs ...uint16) []sent {
	for _, p := range slices.Clone(all) {
		if len(seqs) == 0 || slices.Contains(seqs, p.seq) {
			p.at += later
			all = append(all, p)
		}
	}
	return all
}

// key is a telephone-event of eight packets that share a timestamp.
func key(at int64, seq uint16, ts uint32) []sent {
	return mapped(make([]sent, 8), func(i int, p *sent) {
		*p = sent{at: at + int64(i)*20_000, ssrc: 1, seq: seq + uint16(i), ts: ts, pt: 101, marker: i == 0, size: 4}
	})
}

// scenarios are all of them.
func scenarios() []scenario {
	speech := pcma(50, 0, 100, 1000)
	then := func(at int64, seq uint16, ts uint32) []sent { return slices.Concat(speech, pcma(50, at, seq, ts)) }
	var ptimes, video []sent
	at, ts, seq := int64(0), uint32(5000), uint16(1)
	for i := range 200 {
		ms := []int64{20, 40, 60, 10}[i/50]
		ptimes = append(ptimes, sent{at: at + int64(i*i%7)*100, ssrc: 1, seq: seq, ts: ts, pt: 96, size: 80})
		at, ts, seq = at+ms*1000, ts+uint32(ms)*48, seq+1
	}
	for f := range 60 {
		n := 1 + f%5
		for j := range n {
			video = append(video, sent{at: int64(f)*33_333 + int64(j)*700, ssrc: 1, seq: uint16(len(video)), ts: uint32(f) * 3000, pt: 97, marker: j == n-1, size: 900})
		}
	}
	anew := pcma(50, 1_200_000, 40_000, 999_999)
	anew[0].stray, anew[1].restart = true, true
	return []scenario{
		{
			name: "source changes", packets: slices.Concat(speech, spurt{50, 1_000_000, 20_000, 9000, 77_777, 160, 8, 2}.packets()),
			want: map[uint32]figures{1: {packets: 50}, 2: {packets: 50}},
		},
		{
			name: "both sides chose one SSRC", packets: slices.Concat(speech, mapped(pcma(50, 5000, 30_000, 5), func(_ int, p *sent) { p.back = true })),
			want: one(figures{packets: 50}),
		},
		{name: "loss over the wrap", packets: dropped(pcma(100, 0, 65_500, 1000), 65_534, 65_535, 0, 1), want: one(figures{packets: 96, lost: 4, missing: 4})},
		{name: "late over the wrap", packets: mapped(pcma(100, 0, 65_500, 1000), func(_ int, p *sent) {
			if p.seq == 65_535 {
				p.at += 25_000
			}
		}), want: one(figures{packets: 100, reordered: 1}), differs: "it counts 65,536 lost: one round more"},
		{name: "timestamps wrap", packets: pcma(100, 0, 100, 1<<32-8000), want: one(figures{packets: 100})},
		{name: "doubled, and late", packets: mapped(copied(pcma(100, 0, 100, 1000), 500, 140, 153), func(_ int, p *sent) {
			if p.seq == 150 {
				p.at += 45_000
			}
		}), want: one(figures{packets: 102, lost: -2, duplicates: 2, reordered: 1})},
		{name: "each doubled", packets: copied(pcma(100, 0, 100, 1000), 300), want: one(figures{packets: 200, lost: -100, duplicates: 100})},
		{name: "each doubled after the next", packets: copied(pcma(100, 0, 100, 1000), 25_000), want: one(figures{packets: 200, lost: -100, duplicates: 100})},
		{name: "each doubled after 21", packets: copied(pcma(100, 0, 100, 1000), 430_000), want: one(figures{packets: 200, lost: -100, duplicates: 100})},
		{name: "every ninth late", packets: mapped(pcma(200, 0, 100, 1000), func(i int, p *sent) {
			if i%9 == 3 {
				p.at += 25_000
			}
		}), want: one(figures{packets: 200, reordered: 22})},
		{
			name: "sequence and clock begin anew", packets: slices.Concat(speech, anew), want: one(figures{packets: 100, jumps: 1}),
			differs: "it counts the numbers between as lost",
		},
		{name: "pause, the clock stands still", packets: then(8_000_000, 150, 9000), want: one(figures{packets: 100})},
		{name: "pause, the clock goes on", packets: then(8_000_000, 150, 65_000), want: one(figures{packets: 100})},
		{name: "the clock jumps", packets: mapped(then(1_000_000, 150, 900_000), func(_ int, p *sent) { p.marker = false }), want: one(figures{packets: 100})},
		{
			name: "the clock jumps back", packets: slices.Concat(pcma(50, 0, 100, 500_000), pcma(50, 1_000_000, 150, 1000)), want: one(figures{packets: 100}),
			differs: "it leaves out what is before the first timestamp",
		},
		{name: "200 lost in 4 s", packets: then(5_000_000, 350, 41_000), want: one(figures{packets: 100, lost: 200, missing: 200})},
		{name: "comfort noise", media: events, packets: slices.Concat(speech, mapped(pcma(5, 1_000_000, 150, 9000), func(i int, p *sent) {
			p.pt, p.marker, p.size, p.at, p.ts = 13, false, 1, 1_000_000+int64(i)*200_000, 9000+uint32(i)*1600
		}), pcma(50, 2_000_000, 155, 17_000)), want: one(figures{packets: 105})},
		{
			name: "a key", media: events, packets: slices.Concat(speech, key(1_000_000, 150, 9000), pcma(50, 1_160_000, 158, 10_280)),
			clocks: map[byte]uint32{101: 0}, want: one(figures{packets: 108}), differs: "it measures what follows a key from the last packet of it",
		},
		{
			name: "a key of another clock rate", media: opus8, packets: slices.Concat(spurt{50, 0, 20_000, 100, 1000, 960, 96, 1}.packets(), key(1_000_000, 150, 49_000),
				spurt{50, 1_160_000, 20_000, 158, 56_680, 960, 96, 1}.packets()), clocks: map[byte]uint32{96: 48_000, 101: 0},
			want: one(figures{packets: 108}), differs: "likewise",
		},
		{name: "opus changes its packet time", media: opusLine, clocks: map[byte]uint32{96: 48_000}, packets: ptimes, want: one(figures{packets: 200})},
		{
			name: "pictures of several packets", media: "97\r\na=rtpmap:97 H264/90000\r\n", clocks: map[byte]uint32{97: 90_000}, packets: video,
			want: one(figures{packets: 180}),
		},
		{name: "one packet", packets: pcma(1, 0, 5, 5), want: one(figures{packets: 1})},
	}
}

// reference is mean and largest jitter in ms by RFC 3550 A.8, of the packets that tshark takes into them.
func (s *scenario) reference(ssrc uint32, back bool) (mean, most float64) {
	var j float64
	var prev *sent
	var nth int
	for i := range s.packets {
		p := &s.packets[i]
		if p.ssrc != ssrc || p.back != back {
			continue
		}
		clock, told := s.clocks[p.pt]
		if !told {
			clock = 8000
		}
		nth++
		if clock == 0 || p.stray {
			continue
		}
		if prev != nil && !p.restart {
			j += (math.Abs(float64(p.at-prev.at)/1e3-float64(int32(p.ts-prev.ts))*1e3/float64(clock)) - j) / 16
			if !p.marker && p.pt != 13 && prev.pt != 13 {
				most, mean = max(most, j), mean+(j-mean)/float64(nth-1)
			}
		}
		prev = p
	}
	return mean, most
}

// capture writes all scenarios, one after the other, each between ports of its own.
func captureAll(all []scenario) []byte {
	c := &mediaCapture{now: 1_700_000_000_000_000}
	c.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0})
	for i := range all {
		s := &all[i]
		from, to := ports(i)
		for k, end := range []string{from, to} {
			host, port, _ := strings.Cut(end, ":")
			start, other := "INVITE sip:b@10.0.0.2 SIP/2.0", "10.0.0.2"
			if k == 1 {
				start, other = "SIP/2.0 200 OK", "10.0.0.1"
			}
			body := fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]s RTP/AVP %[3]s", host, port, cmp.Or(s.media, "8\r\n"))
			c.udp(host+":5060", other+":5060", fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d\r\nFrom: <sip:a@10.0.0.1>;tag=a%[2]d\r\n"+
				"To: <sip:b@10.0.0.2>%s\r\nCall-ID: %[2]d@10.0.0.1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %[4]d\r\n\r\n%[5]s",
				start, i, []string{"", ";tag=b"}[k], len(body), body))
			c.now += 10_000
		}
		slices.SortStableFunc(s.packets, func(a, b sent) int { return cmp.Compare(a.at, b.at) })
		begin := c.now
		for _, p := range s.packets {
			c.now = begin + p.at
			raw := rtpPacket(p.ssrc, p.seq, p.ts, p.pt, make([]byte, p.size))
			if p.marker {
				raw[1] |= 0x80
			}
			if p.back {
				c.udp(to, from, raw)
			} else {
				c.udp(from, to, raw)
			}
		}
		c.now += 1_000_000
	}
	return c.Bytes()
}

func ports(i int) (from, to string) {
	return fmt.Sprintf("10.0.0.1:%d", 4000+2*i), fmt.Sprintf("10.0.0.2:%d", 6000+2*i)
}

// TestOracleScenarios compares what a stranger would try with RFC 3550, and with tshark where that is installed.
func TestOracleScenarios(t *testing.T) {
	t.Parallel()
	all := scenarios()
	path := filepath.Join(t.TempDir(), "scenarios.pcap")
	if err := os.WriteFile(path, captureAll(all), 0o600); err != nil {
		t.Fatal(err)
	}
	board, err := run(t, path, correlate.Config{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	streams, theirs := board.Streams(), tsharkStreams(t, path)
	for i := range all {
		s := &all[i]
		from, to := ports(i)
		agrees, compared := true, 0
		for k := range streams {
			x := &streams[k]
			back := x.Src.String() == to && x.Dst.String() == from
			if !back && (x.Src.String() != from || x.Dst.String() != to) {
				continue
			}
			compared++
			got := figures{x.Packets, x.Lost, x.Missing, x.Duplicates, x.Reordered, x.Jumps}
			mean, most := s.reference(x.SSRC, back)
			if got != s.want[x.SSRC] || !close1(x.MeanJitter, &mean) || !close1(x.MaxJitter, &most) {
				t.Errorf("%s: %08x: %+v, jitter %d, at most %d, want %+v, %f, %f", s.name, x.SSRC, got, x.MeanJitter, x.MaxJitter, s.want[x.SSRC], mean, most)
			}
			agrees = agrees && (theirs == nil || agree(t, s, x, theirs))
		}
		if compared < len(s.want) || theirs != nil && agrees != (s.differs == "") {
			t.Errorf("%s: %d streams, tshark agrees: %t, known to differ: %q", s.name, compared, agrees, s.differs)
		}
	}
}

// agree reports whether tshark says the same of a stream.
func agree(t *testing.T, s *scenario, x *media.Stream, theirs []truthStream) bool {
	t.Helper()
	for i := range theirs {
		y := &theirs[i]
		if ssrc, err := strconv.ParseUint(y.SSRC[2:], 16, 32); err != nil || uint32(ssrc) != x.SSRC || y.Src != x.Src.String() || y.Dst != x.Dst.String() {
			continue
		}
		same := x.Packets == y.Packets && x.Lost == y.Lost && close1(x.MeanJitter, y.Mean) && close1(x.MaxJitter, y.Max)
		if !same {
			t.Logf("%s: tshark has %d packets, %d lost, jitter %.3f, at most %.3f", s.name, y.Packets, y.Lost, *y.Mean, *y.Max)
		}
		return same
	}
	return false
}

// tsharkStreams runs tshark; nil without one.
func tsharkStreams(t *testing.T, path string) (all []truthStream) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is missing: install the Debian package tshark")
		}
		return nil
	}
	var complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-q", "-r", path, "-z", "rtp,streams")
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, complaints.String())
	}
	for line := range strings.Lines(string(out)) {
		var s truthStream
		var start, end, mean, most float64
		words := strings.Fields(line)
		ssrc := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "0x") })
		share := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, "%)") })
		if ssrc != 6 || share < 9 || len(words) < share+7 {
			continue
		}
		numbers := strings.Join(slices.Concat(words[:2], words[share-2:share], words[share+5:share+7]), " ")
		if _, err = fmt.Sscan(numbers, &start, &end, &s.Packets, &s.Lost, &mean, &most); err != nil {
			t.Fatalf("tshark: %q: %v", line, err)
		}
		s.Src, s.Dst, s.SSRC, s.Mean, s.Max = words[2]+":"+words[3], words[4]+":"+words[5], words[6], &mean, &most
		all = append(all, s)
	}
	if len(all) == 0 {
		t.Fatalf("tshark found no streams:\n%s", out)
	}
	return all
}
