package frame_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// other is what IPv6 carries.
const other = "OPTIONS sip:b@example.com SIP/2.0\r\nCall-ID: in a tunnel\r\n\r\n"

// outer4 is an IPv4 header between tunnel ends with what it carries.
func outer4(proto byte, payload ...[]byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 9, 0, 0, 64, proto, 0, 0, 172, 16, 0, 1, 172, 16, 0, 2}
	b = append(b, bytes.Join(payload, nil)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	return b
}

// udp is a datagram between two ports, without checksum.
func udp(src, dst uint16, payload ...[]byte) []byte {
	body := bytes.Join(payload, nil)
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(body)))
	return append(append(b, 0, 0), body...)
}

// etherOf is a frame without its check sequence.
func etherOf(etype uint16, payload ...[]byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, etype)
	return append(b, bytes.Join(payload, nil)...)
}

// extended is inner6 with extension headers before UDP: each in words of eight bytes, the next header first.
func extended(first byte, headers string) []byte {
	b := inner6(other)
	b[6] = first
	b = append(append(bytes.Clone(b[:40]), headers...), b[40:]...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

// espNull is a packet in ESP with NULL encryption and an integrity check value of some bytes.
func espNull(next byte, icv int, payload []byte) []byte {
	b := append([]byte{0, 0, 0x10, 1, 0, 0, 0, 5}, payload...)
	pad := byte(0)
	for (len(b)+2)%4 != 0 {
		pad++
		b = append(b, pad)
	}
	return append(append(b, pad, next), bytes.Repeat([]byte{0xa5}, icv)...)
}

// oddFrames are encapsulations as they are met, in the forms that random nests do not have.
func oddFrames() []struct {
	name   string
	data   []byte
	v6     bool
	tshark bool // it sees the SIP, too
} {
	four, six := inner4(invite), inner6(other)
	label := []byte{0, 1, 1, 64}      // 16, at the bottom
	word := []byte{0, 0, 0, 7}        // a control word (RFC 4385 3)
	pad := "\x01\x04\x00\x00\x00\x00" // PadN
	gtp := func(flags byte, rest ...[]byte) []byte {
		body := bytes.Join(rest, nil)
		return append([]byte{flags, 255, byte(len(body) >> 8), byte(len(body)), 0, 0, 0x1a, 0x2b}, body...)
	}
	all := []struct {
		name   string
		data   []byte
		v6     bool
		tshark bool
	}{
		{"MPLS, control word, IPv4", etherOf(0x8847, label, word, four), false, false},
		{"MPLS, control word, IPv6", etherOf(0x8847, label, word, six), true, false},
		{"MPLS, control word, Ethernet with a tag", etherOf(0x8847, label, word, etherOf(0x8100, []byte{0, 5, 8, 0}, four)), false, false},
		{"MPLS, Ethernet without control word", etherOf(0x8847, label, etherOf(0x0800, four)), false, false},
		{"MPLS with an entropy label (RFC 6790)", etherOf(0x8847, []byte{0, 1, 0, 64, 0, 0, 0x70, 64, 0x12, 0x34, 0x51, 64}, four), false, true},
		{"MPLS in UDP", etherOf(0x0800, outer4(17, udp(50001, 6635, label, four))), false, true},
		{"PPPoE in QinQ", etherOf(0x88a8, []byte{0, 7, 0x81, 0, 0, 9, 0x88, 0x64, 0x11, 0, 0, 3, 0, byte(len(four) + 2), 0, 0x21}, four), false, true},
		{"GRE: checksum, key, sequence", etherOf(0x0800, outer4(47, []byte{0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1}, four)), false, true},
		{"GRE: IPv6, hop by hop", etherOf(0x0800, outer4(47, []byte{0, 0, 0x86, 0xdd}, extended(0, "\x11\x00"+pad))), true, true},
		{
			"GRE: IPv6, hop by hop, routing, destination",
			etherOf(0x0800, outer4(47, []byte{0x20, 0, 0x86, 0xdd, 0, 0, 0, 5}, extended(0, "\x2b\x00"+pad+"\x3c\x00\x00\x00\x00\x00\x00\x00\x11\x00"+pad))), true, true,
		},
		{"GRE: IPv6, an atomic fragment", etherOf(0x0800, outer4(47, []byte{0, 0, 0x86, 0xdd}, extended(44, "\x11\x00\x00\x00\x00\x00\x00\x09"))), true, true},
		{"IPv6 in IPv4 in IPv6", etherOf(0x86dd, outer6(4, outer4(41, six))), true, true},
		{"GTP-U: sequence number", etherOf(0x0800, outer4(17, udp(2152, 2152, gtp(0x32, []byte{0, 9, 0, 0}, four)))), false, true},
		{"GTP-U: N-PDU number", etherOf(0x0800, outer4(17, udp(2152, 2152, gtp(0x31, []byte{0, 0, 7, 0}, four)))), false, true},
		{
			"GTP-U: three extension headers, one of eight bytes",
			etherOf(0x0800, outer4(17, udp(2152, 2152, gtp(0x36, []byte{0, 9, 0, 0x85, 1, 0, 1, 0xc0, 1, 0, 9, 0x85, 2, 0, 1, 2, 3, 4, 5, 0}, four)))), false, true,
		},
		{"GTP-U: IPv6", etherOf(0x0800, outer4(17, udp(2152, 2152, gtp(0x30, six)))), true, true},
		{"Geneve: critical options", etherOf(0x0800, outer4(17, udp(6081, 6081,
			[]byte{3, 0x40, 0x65, 0x58, 0, 0, 5, 0, 1, 2, 0x83, 1, 0xde, 0xad, 0xbe, 0xef, 1, 2, 4, 0}, etherOf(0x0800, four)))), false, true},
		{"VXLAN: two tags", etherOf(0x0800, outer4(17, udp(50000, 4789, []byte{8, 0, 0, 0, 0, 0, 5, 0},
			etherOf(0x88a8, []byte{0, 1, 0x81, 0, 0, 2, 8, 0}, four)))), false, true},
		{"VXLAN with a group policy", etherOf(0x0800, outer4(17, udp(50000, 4789, []byte{0x88, 0, 0, 9, 0, 0, 5, 0}, etherOf(0x0800, four)))), false, true},
		{"TZSP with tags", etherOf(0x0800, outer4(17, udp(50000, 37008, []byte{1, 0, 0, 1, 10, 1, 0xc8, 0, 29, 2, 1, 2, 1}, etherOf(0x0800, four)))), false, true},
		{"NVGRE", etherOf(0x0800, outer4(47, []byte{0x20, 0, 0x65, 0x58, 0, 0x13, 0x88, 0xff}, etherOf(0x8100, []byte{0, 5, 8, 0}, four))), false, true},
	}
	for _, icv := range []int{0, 8, 12, 16, 24, 32} {
		for name, data := range map[string][]byte{
			"tunnel mode":      outer4(50, espNull(4, icv, four)),
			"tunnel mode, NAT": outer4(17, udp(4500, 4500, espNull(4, icv, four))),
		} {
			all = append(all, struct {
				name   string
				data   []byte
				v6     bool
				tshark bool
			}{fmt.Sprintf("ESP, NULL, ICV of %d bytes, %s", icv, name), etherOf(0x0800, data), false, icv >= 12})
		}
	}
	return all
}

// outer6 is an IPv6 header between tunnel ends with what it carries.
func outer6(next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7], b[8], b[23], b[24], b[39] = 0x60, next, 64, 0xfd, 1, 0xfd, 2
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	return append(b, payload...)
}

// TestOddFramesAsTshark: the SIP is found in all of them, and tshark agrees where it has an opinion.
func TestOddFramesAsTshark(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := capture.NewNGWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	all := oddFrames()
	for i, c := range all {
		var p frame.Packet
		r := frame.Decode(capture.LinkEthernet, c.data, uint32(len(c.data)), &p)
		src, text := "10.0.0.1:5060", invite
		if c.v6 {
			src, text = "[2001:db8::1]:5060", other
		}
		if r != frame.UDP || p.Src.String() != src || string(p.Payload) != text {
			t.Errorf("%s: %v (%v) from %v in %q", c.name, r, p.Reason, p.Src, p.Path)
		}
		pkt := capture.Packet{Time: int64(i) * 1e9, Data: c.data, WireLen: uint32(len(c.data)), Link: capture.LinkEthernet}
		if err = w.WritePacket(&pkt, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = exec.LookPath("tshark"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is missing: install the Debian package tshark")
		}
		t.Skip("tshark is missing: install the Debian package tshark")
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-r", "-", "-o", "esp.enable_null_encryption_decode_heuristic:TRUE",
		"-T", "fields", "-E", "occurrence=l", "-e", "sip.Call-ID", "-e", "frame.protocols")
	cmd.Stdin = &b
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(all) {
		t.Fatalf("tshark printed %d lines for %d frames", len(lines), len(all))
	}
	for i, c := range all {
		id, protocols, _ := strings.Cut(lines[i], "\t")
		if found := id == "in a tunnel"; found != c.tshark {
			t.Errorf("%s: tshark finds it: %v; %s", c.name, found, protocols)
		}
	}
}
