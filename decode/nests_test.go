package decode_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
	"sipscope/flowtest"
)

// nestKinds are the layers that nests are made of.
var nestKinds = []string{
	"vlan:100", "vlan:4094", "mpls:16", "pppoe:17", "gre", "gre:4", "gre:7", "gre:2", "nvgre:5000", "erspan", "erspan:100",
	"erspan:700", "erspan:1023", "vxlan:5001", "geneve:2", "geneve:3", "gtp:0x1a2b", "gtp:0x3", "ipip", "tzsp", "4in6", "6in4",
	"esp:0xabcdef",
}

// nest is a datagram with SIP in tunnels in tunnels, with fragments where an IPv4 packet was longer than a link.
type nest struct {
	callID string
	path   string   // the layers, outermost first, with "|" where there are fragments between
	frames [][]byte // Ethernet
}

// ipDatagram is an INVITE in UDP in an IPv4 packet, with all checksums.
func ipDatagram(callID string, id uint16, size int) []byte {
	text := "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK" + callID + "\r\nFrom: <sip:a@h>;tag=1\r\n" +
		"To: <sip:b@h>\r\nCSeq: 1 INVITE\r\nCall-ID: " + callID + "\r\nSubject: " + strings.Repeat("x", size) + "\r\nContent-Length: 0\r\n\r\n"
	b := []byte{0x45, 0, 0, 0, byte(id >> 8), byte(id), 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	b = append(b, 0x13, 0xc4, 0x13, 0xc4, 0, 0, 0, 0)
	b = append(b, text...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
	binary.BigEndian.PutUint16(b[10:], sum16(b[:20], 0))
	binary.BigEndian.PutUint16(b[26:], sum16(b[20:], 0x0a00*2+1+2+17+uint32(len(b)-20)))
	return b
}

// sum16 is RFC 1071's checksum, with what a pseudo header adds.
func sum16(b []byte, sum uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i]) << 8
		if i+1 < len(b) {
			sum += uint32(b[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// parts cuts an IPv4 packet into fragments of at most size bytes of payload, a multiple of 8.
func parts(ip []byte, size int) [][]byte {
	var all [][]byte
	for from := 20; from < len(ip); from += size {
		to := min(from+size, len(ip))
		p := append(bytes.Clone(ip[:20]), ip[from:to]...)
		offset := uint16((from - 20) / 8)
		if to < len(ip) {
			offset |= 0x2000
		}
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		binary.BigEndian.PutUint16(p[6:], offset)
		p[10], p[11] = 0, 0
		binary.BigEndian.PutUint16(p[10:], sum16(p[:20], 0))
		all = append(all, p)
	}
	return all
}

// newNest makes a nest, or reports that one of its layers cannot carry the other.
func newNest(r *rand.Rand, n int) (nest, bool) {
	out := nest{callID: fmt.Sprintf("nest-%d", n)}
	packets := [][]byte{ipDatagram(out.callID, uint16(n), 700)}
	if r.IntN(3) == 0 {
		packets = parts(packets[0], 8*(10+r.IntN(100)))
	}
	id := uint16(r.Uint32())
	etype := uint16(0x0800)
	for stage := range 1 + r.IntN(2) {
		chain := make([]string, 1+r.IntN(3))
		for i := range chain {
			chain[i] = nestKinds[r.IntN(len(nestKinds))]
		}
		path := strings.Join(chain, "/")
		mtu := 0
		if r.IntN(2) == 0 {
			mtu = 300 + r.IntN(700)
		}
		t, err := flowtest.ParseTunnels(path, mtu)
		if err != nil || stage > 0 && etype != 0x0800 && etype != 0x86dd {
			return out, false
		}
		var next [][]byte
		for _, p := range packets {
			var all [][]byte
			id++
			if etype, all, err = t.Wrap(p, 1, 2, id); err != nil || etype == 0x6558 {
				return out, false
			}
			next = append(next, all...)
		}
		between := "/"
		if len(next) > len(packets) {
			between = "|"
		}
		out.path = path + between + out.path
		packets = next
	}
	if r.IntN(4) == 0 {
		r.Shuffle(len(packets), func(i, k int) { packets[i], packets[k] = packets[k], packets[i] })
	}
	for _, p := range packets {
		head := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
		out.frames = append(out.frames, append(binary.BigEndian.AppendUint16(head, etype), p...))
	}
	return out, len(packets) < 40
}

// TestNests compares random nests, with fragments inside and outside of tunnels, with tshark: both must find the message
// in the frame that completes it.
func TestNests(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(21, 34))
	path := filepath.Join(t.TempDir(), "nests.pcapng")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := capture.NewNGWriter(file)
	if err != nil {
		t.Fatal(err)
	}
	var nests []nest
	var ends []int // the last frame of each
	frames, fragmented := 0, 0
	for len(nests) < 500 {
		n, ok := newNest(r, len(nests)+1)
		if !ok {
			continue
		}
		for _, data := range n.frames {
			p := capture.Packet{
				Time: int64(len(nests))*1e9 + int64(frames), Data: data, WireLen: uint32(len(data)), Link: capture.LinkEthernet,
			}
			if err := w.WritePacket(&p, ""); err != nil {
				t.Fatal(err)
			}
			frames++
		}
		if len(n.frames) > 1 {
			fragmented++
		}
		nests, ends = append(nests, n), append(ends, frames)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil || fragmented < 100 {
		t.Fatalf("%v, %d in fragments", err, fragmented)
	}
	ours := nestMessages(t, path)
	for i, n := range nests {
		if got := ours[n.callID]; len(got) != 1 || got[0] != ends[i] {
			t.Errorf("%s: found in frames %v, want %d", n.path, got, ends[i])
		}
	}
	theirs := tsharkMessages(t, path)
	unread := regexp.MustCompile(`\bgre(:\d)?/(vlan|pppoe)`) // it has no dissector for these in GRE
	compared := 0
	for i, n := range nests {
		if unread.MatchString(n.path) {
			continue
		}
		compared++
		if got := theirs[n.callID]; len(got) != 1 || got[0] != ends[i] {
			t.Errorf("tshark finds %s in frames %v, not in %d", n.path, got, ends[i])
		}
	}
	if compared < 400 {
		t.Errorf("only %d of %d nests were compared", compared, len(nests))
	}
}

// nestMessages gives the frames in which each Call-ID is found.
func nestMessages(t *testing.T, path string) map[string][]int {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	found := map[string][]int{}
	d := decode.NewDecoder(decode.Options{})
	s := decode.NewStreams(d)
	for w := (&decode.Work{}); !w.Last; {
		w.Reset()
		w.Last = files.Next(t.Context(), &w.Batch) != nil
		d.Frames(w)
		s.Join(w)
		d.Texts(w)
		for m := range w.Items() {
			if m == nil {
				t.Error("a gap")
				continue
			}
			_, rest, _ := strings.Cut(string(m.SIP.Raw), "Call-ID: ")
			id, _, _ := strings.Cut(rest, "\r\n")
			found[id] = append(found[id], int(m.Seq))
		}
	}
	return found
}

// tsharkMessages is nestMessages as tshark has it.
func tsharkMessages(t *testing.T, path string) map[string][]int {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is missing: install the Debian package tshark")
		}
		t.Skip("tshark is missing: install the Debian package tshark")
	}
	out, err := exec.CommandContext(t.Context(), "tshark", "-n", "-r", path, "-o", "esp.enable_null_encryption_decode_heuristic:TRUE",
		"-Y", "sip", "-T", "fields", "-e", "frame.number", "-e", "sip.Call-ID").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]int{}
	for line := range strings.Lines(string(out)) {
		var n int
		var id string
		if _, err := fmt.Sscanf(line, "%d\t%s", &n, &id); err == nil {
			found[id] = append(found[id], n)
		}
	}
	return found
}
