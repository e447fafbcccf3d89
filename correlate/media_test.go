package correlate_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/media"
)

// truthStream is a stream as tshark's rtp,streams tells it; captures of two origins name the fields differently.
type truthStream struct {
	Src, Dst, SSRC  string
	Packets         uint64
	Lost            int64
	Mean            *float64 `json:"mean_jitter_ms"`
	Max             *float64 `json:"max_jitter_ms"`
	MeanOld, MaxOld *float64
	Expected        *uint64
	LostRFC         int64    `json:"lost_rfc3550"`
	Missing         uint64   `json:"missing_sequence_numbers"`
	Duplicates      uint64   `json:"duplicates"`
	Reordered       uint64   `json:"reordered"`
	Final           *float64 `json:"final_jitter_ms"`
}

// proved is what a stream is where tshark 4.0.17 says something else: figures by RFC 3550 A.3 and A.8, computed from the
// bytes by a program that shares nothing with this one.
type proved struct {
	packets   uint64 // 0: no stream
	lost      int64
	mean, max float64 // jitter, milliseconds; of the packets that tshark takes into its own
	why       string  // with frame numbers
}

// otherwise names the streams where tshark 4.0.17 and the bytes disagree.
var otherwise = map[string]proved{
	"Magum23__mtaa-sip/call_transfer.pcapng 0x939498a2": {
		1587, 0, 1.823, 5.569,
		"frames 239 to 3666 carry the numbers 0 to 1586 in order; tshark calls 1,574 of them, from frame 253 on, plain UDP",
	},
	"Magum23__mtaa-sip/conference_call.pcapng 0xf87ffc76": {
		796, 0, 5.260, 14.474,
		"frames 2947 to 7816 carry the numbers 0 to 795; tshark calls 70 of them plain UDP, and misses their jitter",
	},
	"Magum23__mtaa-sip/conference_call.pcapng 0x850a3c3d 147.175.163.89:7078": {
		768, 0, 0.313, 0.784,
		"frames 3008 to 7794 carry the numbers 38 to 805; tshark calls 62 of them plain UDP",
	},
	"Magum23__mtaa-sip/conference_call.pcapng 0x850a3c3d 147.175.163.89:7569": {
		38, 0, 0.192, 0.397,
		"frames 2836 to 3002 carry the numbers 0 to 37; tshark calls 29 of them plain UDP",
	},
	"NormB__sipnab/SIP_DTMF2.cap 0x5711bf84": {
		666, 0, 0.008, 0.015,
		"the events of frames 339 to 347 share the timestamp 3931130841 (RFC 4733 2.2.1); frame 349 comes 150.2 ms after the first of " +
			"them, with a timestamp 1,200 units, 150 ms, later. tshark measures it from frame 347, and so 119.8 ms too early; likewise for all 7 keys",
	},
	"NormB__sipnab/pcap-samples__register-invite-reinvite-bye.pcap 0x0e330af3": {
		107, 0, 11.662, 88.631,
		"frame 164 begins the sequence once more, number 21710 and timestamp 160 as in frame 9: 76 packets, then 31 of them again, none lost. " +
			"tshark expects 31, because it takes the last number for the highest",
	},
	"NormB__sipnab/pcap-samples__register-invite-reinvite-bye.pcap 0xb0b0b0b0": {
		107, 0, 11.663, 88.668,
		"the same recording, from frame 8 and again from frame 163",
	},
	"bobjects__BobStack/FAX-Call-t38-CA-TDM-SIP-FB-1.pcap 0x0eaf0eaf": {
		3848, 0, 0.749, 15.523,
		"frames 45 to 7205 carry the numbers 0 to 3847, version 2, payload type 8; tshark calls 2,010 of them T.38, since SDP spoke of it",
	},
	"goffinet__sip_captures/voip1b.pcapng 0x3adf0949": {
		32, 0, 0.337, 0.510,
		"frames 17 to 71 carry the numbers 1 to 32, each 160 units after the one before; tshark calls 31 of them plain UDP",
	},
	"ntop__nDPI/FAX-Call-t38-CA-TDM-SIP-FB-1.pcap 0x17d90134": {
		1171, 0, 30.633, 2730.857,
		"frame 1437 has the next number, 1145, and the timestamp 0 after 347200, 286 ms later. tshark leaves out what is before a stream's " +
			"first timestamp; where the capture goes on (in bobjects__BobStack), it has the 2,730 ms as well",
	},
	"ntop__nDPI/FAX-Call-t38-CA-TDM-SIP-FB-1.pcap 0x0eaf0eaf": {
		159, 1712, 1.405, 6.974,
		"frames 45 to 1488; tshark calls 27 of them T.38",
	},
	"ntop__nDPI/fuzz-2006-06-26-2594.pcap 0xaaaaaaaa": {
		0, 0, 0, 0,
		"frame 630 has 162 bytes, all 0xaa: the padding of 170 bytes that the last one states does not fit (RFC 3550 A.1)",
	},
	"ntop__nDPI/fuzz-2006-06-26-2594.pcap 0x3796cb71 212.242.33.36:40392": {
		3, 0, 2.309, 3.722,
		"frame 628 has a fuzzed timestamp, 1368 after 1720, 2.1 ms later; tshark leaves out what is before a stream's first timestamp",
	},
	"plugin23__mtaa_sipproxy/presmerovaniehovoru.pcap 0xc24ad9d2 192.168.1.4:7224": {
		526, 1, 6.111, 14.622,
		"frames 124 to 1182 carry the numbers 72 to 598 but one; tshark calls 521 of them, from frame 139 on, plain UDP",
	},
	"snort3__snort3_demo/SIP_Eyebeam2Eyebeam_Video_Audio.pcap 0xc7fbc002": {
		235, -2, 342.007, 678.399,
		"frame 1323 has the timestamp of frame 69, 0, and comes 10,179 ms later; tshark knows no clock for its payload type 125, " +
			"which frame 1 names H264/90000",
	},
}

// otherwiseOf finds what is proved of a stream: of its source, or also of one of its addresses.
func otherwiseOf(name string, x *truthStream) (key string, found bool) {
	for _, key = range []string{"", " " + x.Src, " " + x.Dst} {
		key = name + " " + strings.ToLower(x.SSRC) + key
		if _, found = otherwise[key]; found {
			return key, true
		}
	}
	return "", false
}

func TestTruthOfStreams(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(truths); err != nil {
		t.Skip("captures of others are not beside the checkout: ", err)
	}
	equal, left := 0, maps.Clone(otherwise)
	err := filepath.WalkDir(truths, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".truth.json") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		data = bytes.ReplaceAll(data, []byte(`"mean_jitter":`), []byte(`"mean_jitter_ms":`))
		data = bytes.ReplaceAll(data, []byte(`"max_jitter":`), []byte(`"max_jitter_ms":`))
		var truth struct {
			Streams []truthStream `json:"rtp_streams"`
			Checked []truthStream `json:"rtp_streams_checked"`
		}
		if err = json.Unmarshal(data, &truth); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(truth.Streams) == 0 {
			return nil
		}
		file := captureOf(strings.TrimSuffix(path, ".truth.json"))
		b, err := run(t, file, correlate.Config{Workers: 2}) // a damaged file has its streams all the same
		if b == nil {
			return err
		}
		name, _ := filepath.Rel(truths, file)
		all := b.Streams()
		for i := range truth.Streams {
			x := &truth.Streams[i]
			if key, ok := otherwiseOf(name, x); ok {
				delete(left, key)
				asProved(t, key, find(all, x), otherwise[key])
			} else if sameAsTruth(t, name, all, x) {
				equal++
			}
		}
		for i := range truth.Checked {
			sameAsChecked(t, name, all, &truth.Checked[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if equal < 70 || len(left) > 0 {
		t.Errorf("only %d streams were compared, and never %v", equal, left)
	}
}

// asProved compares a stream with what its bytes prove.
func asProved(t *testing.T, name string, s *media.Stream, want proved) {
	t.Helper()
	switch {
	case s == nil && want.packets == 0:
	case s == nil:
		t.Errorf("%s: not found", name)
	case s.Packets != want.packets || s.Lost != want.lost || !close1(s.MeanJitter, &want.mean) || !close1(s.MaxJitter, &want.max):
		t.Errorf("%s: %d packets, %d lost, jitter %d, at most %d; want %+v", name, s.Packets, s.Lost, s.MeanJitter, s.MaxJitter, want)
	}
}

// captureOf finds the capture of a truth, whose name may lack the capture's suffix.
func captureOf(base string) string {
	for _, suffix := range []string{"", ".pcap", ".pcapng", ".cap", ".pcap.gz"} {
		if info, err := os.Stat(base + suffix); err == nil && !info.IsDir() {
			return base + suffix
		}
	}
	return base
}

func find(all []media.Stream, x *truthStream) *media.Stream {
	for i := range all {
		s := &all[i]
		ssrc, err := strconv.ParseUint(x.SSRC[2:], 16, 32)
		if err == nil && s.Src.String() == x.Src && s.Dst.String() == x.Dst && uint64(s.SSRC) == ssrc {
			return s
		}
	}
	return nil
}

func close1(got int64, want *float64) bool {
	return want == nil || math.Abs(float64(got)/1e6-*want) <= max(*want/100, 0.0006)
}

func sameAsTruth(t *testing.T, name string, all []media.Stream, x *truthStream) bool {
	t.Helper()
	s := find(all, x)
	if s == nil {
		t.Errorf("%s: %s from %s was not found", name, x.SSRC, x.Src)
		return false
	}
	if s.Packets != x.Packets || s.Lost != x.Lost || !close1(max(s.MeanJitter, 0), x.Mean) || !close1(max(s.MaxJitter, 0), x.Max) {
		t.Errorf("%s: %s from %s: %d packets, %d lost, jitter %d, at most %d; want %d, %d, %v, %v", name, x.SSRC, x.Src, s.Packets, s.Lost,
			s.MeanJitter, s.MaxJitter, x.Packets, x.Lost, *x.Mean, *x.Max)
		return false
	}
	return true
}

func sameAsChecked(t *testing.T, name string, all []media.Stream, x *truthStream) {
	t.Helper()
	s := find(all, x)
	if s == nil || s.Packets != x.Packets || s.Expected != *x.Expected || s.Lost != x.LostRFC || s.Missing != x.Missing ||
		s.Duplicates != x.Duplicates || s.Reordered != x.Reordered || !close1(s.Jitter, x.Final) || !close1(s.MaxJitter, x.Max) {
		t.Errorf("%s: %+v, want %+v", name, s, x)
	}
}

// TestStreamsOfAnyWorkers holds that the number of workers changes neither streams nor outcomes.
func TestStreamsOfAnyWorkers(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../testdata/pcaps/media.pcap", "../testdata/pcaps/two-proxies.pcap"} {
		one, err := run(t, path, correlate.Config{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		eight, err := run(t, path, correlate.Config{Workers: 8})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := one.Accounting()
		b, _ := eight.Accounting()
		if x, y := fmt.Sprintf("%+v", one.Streams()), fmt.Sprintf("%+v", eight.Streams()); x != y || len(one.Streams()) == 0 || !reflect.DeepEqual(a, b) {
			t.Errorf("%s:\n%s\n%s\n%+v\n%+v", path, x, y, a, b)
		}
		var sum uint64
		for _, n := range a.Outcomes {
			sum += n
		}
		if sum != a.Packets {
			t.Errorf("%s: outcomes of %d packets in %d", path, sum, a.Packets)
		}
	}
}

// mediaCapture is testdata/pcaps/media.pcap: a call whose media have every fault, and streams around it.
type mediaCapture struct {
	bytes.Buffer
	now  int64 // microseconds
	ipid uint16
}

func (c *mediaCapture) udp(src, dst string, payload []byte) {
	c.ipid++
	c.again(src, dst, payload)
}

// again writes a datagram with the IP id of the one before.
func (c *mediaCapture) again(src, dst string, payload []byte) {
	end := func(s string) (ip []byte, port uint16) {
		var a, b, d, e byte
		_, _ = fmt.Sscanf(s, "%d.%d.%d.%d:%d", &a, &b, &d, &e, &port)
		return []byte{a, b, d, e}, port
	}
	from, sport := end(src)
	to, dport := end(dst)
	p := append(make([]byte, 12), 8, 0, 0x45, 46<<2)
	p = binary.BigEndian.AppendUint16(p, uint16(28+len(payload)))
	p = binary.BigEndian.AppendUint16(p, c.ipid)
	p = append(append(append(p, 0x40, 0, 64, 17, 0, 0), from...), to...)
	p = binary.BigEndian.AppendUint16(p, sport)
	p = binary.BigEndian.AppendUint16(p, dport)
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(payload)))
	p = append(append(p, 0, 0), payload...)
	head := binary.LittleEndian.AppendUint32(nil, uint32(c.now/1e6))
	head = binary.LittleEndian.AppendUint32(head, uint32(c.now%1e6))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(p)))
	head = binary.LittleEndian.AppendUint32(head, uint32(len(p)))
	c.Write(head)
	c.Write(p)
}

func (c *mediaCapture) sip(src, dst, start, cseq, tag string, port int) {
	body := ""
	if port != 0 {
		body = fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
			strings.Split(src, ":")[0], port)
	}
	c.udp(src, dst, fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%s\r\nFrom: <sip:a@10.0.0.1>;tag=a\r\nTo: <sip:b@10.0.0.2>%s\r\n"+
		"Call-ID: media@10.0.0.1\r\nCSeq: %s\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		start, strings.ReplaceAll(cseq, " ", ""), tag, cseq, len(body), body))
	c.now += 10_000
}

func rtpPacket(ssrc uint32, seq uint16, ts uint32, pt byte, payload []byte) []byte {
	p := binary.BigEndian.AppendUint16([]byte{0x80, pt}, seq)
	p = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(p, ts), ssrc)
	return append(p, payload...)
}

// makeMedia writes the capture: 100 packets from A of which 5 never come, 2 are doubled (one by the tap), 1 is late and whose
// sequence jumps; 100 from B, which sits behind a NAT; another port after a re-INVITE; RTCP; and a stream of which no SDP tells.
func makeMedia() []byte {
	c := &mediaCapture{now: 1_700_000_000_000_000}
	c.Write([]byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0})
	const a, b = "10.0.0.1:5060", "10.0.0.2:5060"
	c.sip(a, b, "INVITE sip:b@10.0.0.2 SIP/2.0", "1 INVITE", "", 4000)
	c.sip(b, a, "SIP/2.0 200 OK", "1 INVITE", ";tag=b", 6000)
	c.sip(a, b, "ACK sip:b@10.0.0.2 SIP/2.0", "1 ACK", ";tag=b", 0)
	sound := bytes.Repeat([]byte{0xd5}, 160)
	talk := func(n int) {
		seq := uint16(65_500 + n)
		if n >= 80 {
			seq += 20_000 // the sequence jumps
		}
		p := rtpPacket(0xa, seq, uint32(n)*160, 8, sound)
		switch n {
		case 10, 11, 12, 30, 40: // lost
		case 20:
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", p)
			c.again("10.0.0.1:4000", "10.0.0.2:6000", p)
		case 25:
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", p)
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", p)
		case 51:
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", p)
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", rtpPacket(0xa, seq-1, 50*160, 8, sound)) // late
		case 50:
		default:
			c.udp("10.0.0.1:4000", "10.0.0.2:6000", p)
		}
		c.udp("192.0.2.7:33333", "10.0.0.1:4000", rtpPacket(0xb, uint16(n), uint32(n)*160, 8, sound))
		c.udp("10.0.0.8:7000", "10.0.0.9:8000", rtpPacket(0xc, uint16(n), uint32(n)*160, 0, sound))
		c.udp("10.0.0.8:53", "10.0.0.9:3333", fmt.Appendf(nil, "\x80%c\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com", n))
		c.now += 20_000
	}
	for n := range 100 {
		talk(n)
	}
	report := []byte{0x81, 201, 0, 7, 0, 0, 0, 0xb, 0, 0, 0, 0xa, 13, 0, 0, 5, 0, 1, 0, 50, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0}
	c.udp("10.0.0.2:6001", "10.0.0.1:4001", report)
	c.sip(a, b, "INVITE sip:b@10.0.0.2 SIP/2.0", "2 INVITE", ";tag=b", 4444)
	c.sip(b, a, "SIP/2.0 200 OK", "2 INVITE", ";tag=b", 6000)
	c.sip(a, b, "ACK sip:b@10.0.0.2 SIP/2.0", "2 ACK", ";tag=b", 0)
	for n := range 20 {
		c.udp("10.0.0.2:6000", "10.0.0.1:4444", rtpPacket(0xd, uint16(n), uint32(n)*160, 8, sound))
		c.now += 20_000
	}
	for i, duration := range []uint16{160, 320, 480, 640, 640, 640} { // the digit 5
		event := []byte{5, 10, byte(duration >> 8), byte(duration)}
		if i >= 3 {
			event[1] |= 0x80
		}
		c.udp("10.0.0.2:6000", "10.0.0.1:4444", rtpPacket(0xd, uint16(20+i), 3200, 101, event))
		c.now += 20_000
	}
	c.sip(a, b, "BYE sip:b@10.0.0.2 SIP/2.0", "3 BYE", ";tag=b", 0)
	c.sip(b, a, "SIP/2.0 200 OK", "3 BYE", ";tag=b", 0)
	return c.Bytes()
}

const mediaPath = "../testdata/pcaps/media.pcap"

// TestMediaCapture holds the capture to its generator, and its streams to what was put into them.
func TestMediaCapture(t *testing.T) {
	t.Parallel()
	want := makeMedia()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(mediaPath, want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(mediaPath); err != nil || !bytes.Equal(got, want) {
		t.Fatal("the capture is not what its generator makes: UPDATE_GOLDEN=1 writes it; ", err)
	}
	b, err := run(t, mediaPath, correlate.Config{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		src, dst                                   string
		call                                       uint32
		found                                      media.Found
		packets, expected                          uint64
		lost                                       int64
		missing, duplicates, tap, reordered, jumps uint64
		codec                                      string
	}
	var got []row
	all := b.Streams()
	for i := range all {
		s := &all[i]
		got = append(got, row{
			s.Src.String(), s.Dst.String(), s.Call, s.Found, s.Packets, s.Expected, s.Lost, s.Missing, s.Duplicates, s.TapDuplicates,
			s.Reordered, s.Jumps, s.Codec(),
		})
	}
	rows := []row{
		{"10.0.0.1:4000", "10.0.0.2:6000", 1, media.BySDP, 97, 100, 3, 5, 2, 1, 1, 1, "PCMA"},
		{"192.0.2.7:33333", "10.0.0.1:4000", 1, media.BySymmetry, 100, 100, 0, 0, 0, 0, 0, 0, "PCMA"},
		{"10.0.0.8:7000", "10.0.0.9:8000", 0, media.ByConsistency, 100, 100, 0, 0, 0, 0, 0, 0, "PCMU"},
		{"10.0.0.2:6000", "10.0.0.1:4444", 1, media.BySDP, 26, 26, 0, 0, 0, 0, 0, 0, "PCMA"},
	}
	if !reflect.DeepEqual(got, rows) {
		t.Fatalf("got\n%+v\nwant\n%+v", got, rows)
	}
	if r := all[0].Reports; r.Receiver != 1 || r.Lost != 5 || r.Fraction != 13 || r.Jitter != 2e6 {
		t.Errorf("%+v", r)
	}
	if p := all[3].Presses; len(p) != 1 || p[0].Digit != '5' || p[0].Duration != 80e6 {
		t.Errorf("%+v", p)
	}
	if acct, _ := b.Accounting(); fmt.Sprint(acct.Outcomes) == "" {
		t.Error("no outcomes")
	}
}
