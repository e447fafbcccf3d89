package flowtest_test

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/flowtest"
)

// tsharkDiffers names the flows in which tshark is known to be wrong or where it has no opinion.
var tsharkDiffers = map[string]string{
	"tcp-midstream":    "it shows what follows a start in the middle of a message as Continuation",
	"tcp-loss-gap":     "it takes the message after the hole for the rest of the lost one",
	"icmp-unreachable": "it counts the SIP that ICMP quotes",
	"tunnel-overlap":   "it makes one conversation of two in different tunnels that have the same addresses and ports",
}

// found is what tshark sees in the frames of a flow.
type found struct {
	methods, statuses map[string]uint64
	callids           map[string]bool
}

// tshark reads all flows in one run: one pcapng, the frames of each flow after those of the one before.
func tshark(t *testing.T, all []*flowtest.Flow) []found {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is missing: install the Debian package tshark")
		}
		t.Skip("tshark is missing: install the Debian package tshark")
	}
	var b bytes.Buffer
	w, err := capture.NewNGWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	owner := []int{-1} // frame numbers begin with 1
	for i, f := range all {
		packets, bad := f.Packets()
		if bad != nil {
			t.Fatal(bad)
		}
		for j := range packets {
			packets[j].Loc.File = uint16(i)
			packets[j].Time += int64(i) * 86400e9 // a day for each, so that nothing is taken for a part of another
			if err = w.WritePacket(&packets[j], ""); err != nil {
				t.Fatal(err)
			}
			owner = append(owner, i)
		}
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "tshark", "-n", "-r", "-",
		"-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
		"-o", "tcp.reassemble_out_of_order:TRUE", "-o", "esp.enable_null_encryption_decode_heuristic:TRUE",
		"-d", "mpls.label==1048575,pwethcw",
		"-d", "udp.port==5070,sip", "-d", "udp.port==5080,sip", "-d", "udp.port==5090,sip",
		"-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=|",
		"-e", "frame.number", "-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.Call-ID", "-e", "_ws.malformed",
		"-e", "ip.checksum.status", "-e", "udp.checksum.status", "-e", "tcp.checksum.status")
	cmd.Stdin = &b
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.String())
	}
	return sort(t, all, owner, string(out))
}

// sort gives each flow what was seen in its frames, and complains about what tshark calls damaged.
func sort(t *testing.T, all []*flowtest.Flow, owner []int, out string) []found {
	t.Helper()
	got := make([]found, len(all))
	for i := range got {
		got[i] = found{map[string]uint64{}, map[string]uint64{}, map[string]bool{}}
	}
	for line := range strings.Lines(out) {
		col := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		n, err := strconv.Atoi(col[0])
		if err != nil || n >= len(owner) || len(col) != 8 {
			t.Fatalf("tshark printed %q", line)
		}
		f, g := all[owner[n]], &got[owner[n]]
		for i, into := range []map[string]uint64{g.methods, g.statuses} {
			for v := range strings.SplitSeq(col[1+i], "|") {
				if v != "" {
					into[v]++
				}
			}
		}
		for v := range strings.SplitSeq(col[3], "|") {
			if v != "" {
				g.callids[v] = true
			}
		}
		cut := f.Name == "snaplen-400"
		if col[4] != "" && tsharkDiffers[f.Name] == "" && !cut {
			t.Errorf("%s: tshark calls frame %d of all malformed: %s", f.Name, n, line)
		}
		for _, status := range col[5:] {
			if strings.Contains(status, "0") && f.Name != "icmp-unreachable" {
				t.Errorf("%s: a checksum in frame %d of all is bad: %s", f.Name, n, line)
			}
		}
	}
	return got
}

// Tshark finds the messages, methods, statuses and Call-IDs that the flows expect, and no bad checksum.
func TestOracleTshark(t *testing.T) {
	t.Parallel()
	all := flows(t)
	for i, g := range tshark(t, all) {
		f := all[i]
		var exps []flowtest.Expectation
		for _, e := range f.Expect {
			switch e.Kind {
			case "messages", "methods", "statuses", "callids":
				exps = append(exps, e)
			}
		}
		seen := flowtest.Observed{
			Counts: map[string]uint64{"callids": uint64(len(g.callids))},
			Tables: map[string]map[string]uint64{"methods": g.methods, "statuses": g.statuses},
		}
		for _, m := range []map[string]uint64{g.methods, g.statuses} {
			for _, n := range m {
				seen.Counts["messages"] += n
			}
		}
		diffs := flowtest.Check(exps, seen)
		why, differs := tsharkDiffers[f.Name]
		switch {
		case !differs && len(diffs) > 0:
			t.Errorf("%s: %s", f.Name, strings.Join(diffs, "; "))
		case differs && len(diffs) == 0:
			t.Errorf("%s: tshark agrees now; it was said that %s", f.Name, why)
		case differs:
			t.Logf("%s: %s: %s", f.Name, why, strings.Join(diffs, "; "))
		}
	}
}
