package frame_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/flowtest"
)

// TestTunnelsAsTshark lets tshark say what is innermost in random nestings: addresses, ports and the Call-ID. It has no
// opinion on what nothing announces (a pseudo-wire's control word) or what it must be told (GTP-U of the kind it guesses).
func TestTunnelsAsTshark(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is missing: install the Debian package tshark")
		}
		t.Skip("tshark is missing: install the Debian package tshark")
	}
	kinds := []string{
		"vlan:100", "mpls:16", "pppoe:17", "gre", "gre:4", "gre:7", "gre:2", "pptp:300", "nvgre:5000", "erspan", "erspan:100",
		"erspan:700", "erspan:1023", "vxlan:5001", "geneve:2", "geneve:3", "gtp:0x1a2b", "gtp:0x3", "ipip", "tzsp", "4in6", "6in4",
		"esp:0xabcdef",
	}
	r := rand.New(rand.NewPCG(7, 8))
	var b bytes.Buffer
	w, err := capture.NewNGWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{""}
	for len(paths) <= 400 {
		chain := make([]string, 1+r.IntN(5))
		for i := range chain {
			chain[i] = kinds[r.IntN(len(kinds))]
		}
		path := strings.Join(chain, "/")
		tunnels, bad := flowtest.ParseTunnels(path, 0)
		if bad != nil {
			t.Fatal(bad)
		}
		etype, all, bad := tunnels.Wrap(inner4(invite), 1, 2, 99)
		if bad != nil || etype == 0x6558 {
			continue
		}
		data := append(binary.BigEndian.AppendUint16(make([]byte, 12), etype), all[0]...)
		p := capture.Packet{Time: int64(len(paths)) * 1e9, Data: data, WireLen: uint32(len(data)), Link: capture.LinkEthernet}
		if err = w.WritePacket(&p, ""); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
		if wrong := inside(data, len(data), path, false); wrong != "" {
			t.Errorf("%q: %s", path, wrong)
		}
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-r", "-", "-o", "esp.enable_null_encryption_decode_heuristic:TRUE",
		"-T", "fields", "-E", "occurrence=l", "-e", "frame.number", "-e", "ip.src", "-e", "ip.dst", "-e", "udp.srcport",
		"-e", "sip.Call-ID", "-e", "frame.protocols")
	cmd.Stdin = &b
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	differ := 0
	for line := range strings.Lines(string(out)) {
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		n, err := strconv.Atoi(col[0])
		if err != nil || n >= len(paths) || len(col) != 6 {
			t.Fatalf("tshark printed %q", line)
		}
		if col[1] != "10.0.0.1" || col[2] != "10.0.0.2" || col[3] != "5060" || col[4] != "in a tunnel" {
			differ++
			t.Logf("tshark stops in %q: %s", paths[n], col[5])
		}
	}
	if differ > len(paths)/10 {
		t.Errorf("tshark sees something else in %d of %d nestings", differ, len(paths)-1)
	}
}
