package stream

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/gopacket/pcapgo"

	"sipscope/capture"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// shared is where captures made by others may lie beside the project.
const shared = "../../../shared/pcaps"

// truth is what an independent reader found in a capture.
type truth struct {
	Messages   int            `json:"sip_messages"`
	Requests   map[string]int `json:"requests_by_method"`
	Responses  map[string]int `json:"responses_by_status"`
	Transports map[string]int `json:"transports"`
}

// reading is what we find.
type reading struct {
	a         *Assembler
	tcp       int
	udp       int
	truncated int
	gaps      int
	methods   map[string]int
	fates     [NotSIP + 1]int
	segments  int
}

func (r *reading) Framed(f *Framed) {
	if f.Truncated {
		r.truncated++
		return
	}
	r.tcp++
	r.count(f.Text)
}

func (r *reading) Gap(*Gap) { r.gaps++ }

func (r *reading) count(text []byte) {
	var m sip.Message
	if err := sip.Parse(text, &m); err == nil && m.Request {
		r.methods[string(m.Method.Of(m.Raw))]++
	}
}

func (r *reading) datagram(b []byte) {
	b = b[sip.SkipCRLF(b):]
	if sip.StartLine(b) == sip.Matched {
		r.udp++
		r.count(b)
	}
}

// read plays a capture through frames, fragments and streams.
func read(t *testing.T, path string) *reading {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Skipf("%s is not there: the captures of others are not part of the project", path)
	}
	defer file.Close()
	var head [24]byte // pcapgo knows link types below 256 only
	if _, err = file.ReadAt(head[:], 0); err != nil {
		t.Fatal(err)
	}
	link := binary.LittleEndian.Uint16(head[20:])
	r, err := pcapgo.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	out := &reading{methods: map[string]int{}}
	out.a = New(out)
	d := frame.NewDefragmenter()
	var p frame.Packet
	for seq, now := uint64(1), int64(0); ; seq++ {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			out.a.Flush(seq, now)
			return out
		}
		now = ci.Timestamp.UnixNano()
		at := frame.Piece{Seq: seq}
		result := frame.Decode(capture.LinkType(link), data, uint32(ci.Length), &p)
		at.Loc = capture.Loc{Off: int64(p.PayloadOff)}
		at.Len = uint32(len(p.Payload))
		pieces := []frame.Piece{at}
		if result == frame.Fragment {
			whole := d.Add(&p, at, now)
			if whole == nil {
				continue
			}
			p, result, pieces = whole.Packet, whole.Result, whole.Pieces
		}
		switch result {
		case frame.UDP:
			out.datagram(p.Payload)
		case frame.TCP:
			out.segments++
			out.fates[out.a.Add(&Segment{
				Src: p.Src, Dst: p.Dst, Seq: p.Seq, Ack: p.Ack, Flags: p.Flags, Payload: p.Payload, Pieces: pieces,
				Cut: p.Cut, Frame: seq, Time: now,
			})]++
		default:
		}
	}
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	names := []string{
		"peers/tcp_loss.pcap", "peers/tcp_stream.pcap", "peers/ip_fragments_v4.pcap", "peers/ip_frag_missing_v4.pcap",
		"peers/sll2_any_proxyA.pcap", "peers/sll_cooked_proxyA.pcap", "peers/enc_vlan.pcap", "peers/ipv6_udp.pcap",
		"edge/qinq.pcap", "edge/tcpmulti.pcap", "edge/tcpooo.pcap", "edge/tcpretx.pcap", "edge/big12k.pcap", "edge/crlfka.pcap",
		"negbie__heplify/sip_ipv4_tcp_retrans.pcap", "aboutsip__pkts/fragmented_tcp_sip.pcap", "rfc4475/rfc4475-tcp.pcap",
		"OISF__suricata-verify/sip-tcp.pcap", "OISF__suricata-verify/sip-method-tcp__sip-tcp.pcap",
		"OISF__suricata-verify/sip-tcp-pattern-matching__sip.pcap",
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(shared, name)
			got := read(t, path)
			b, err := os.ReadFile(path + ".truth.json")
			if err != nil {
				b, err = os.ReadFile(path[:len(path)-len(".pcap")] + ".truth.json")
			}
			if err != nil {
				t.Skipf("%s has no truth beside it", name)
			}
			var want truth
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			t.Logf("%d segments, fates %v, %d truncated, %d gaps, counters %+v", got.segments, got.fates, got.truncated, got.gaps, got.a.Counters)
			if n := got.tcp + got.udp; n != want.Messages {
				t.Errorf("%d messages (%d over TCP), want %d", n, got.tcp, want.Messages)
			}
			for method, n := range want.Requests {
				if got.methods[method] != n {
					t.Errorf("%d %s, want %d", got.methods[method], method, n)
				}
			}
			sum := 0
			for _, n := range got.fates {
				sum += n
			}
			if sum != got.segments {
				t.Errorf("%d fates for %d segments", sum, got.segments)
			}
		})
	}
}

// TestTortureMessages reads the 49 messages of RFC 4475 as they come over TCP. One states a Content-Length of 9999 and
// stays truncated (3.1.2.2 forbids to guess).
func TestTortureMessages(t *testing.T) {
	t.Parallel()
	got := read(t, filepath.Join(shared, "rfc4475/rfc4475-tcp.pcap"))
	if got.tcp != 48 || got.truncated != 1 {
		t.Errorf("%d messages and %d truncated, want 48 and 1", got.tcp, got.truncated)
	}
}
