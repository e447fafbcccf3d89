package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// freeAddress gives a loopback address where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// callRows reads a list of calls, without what an agent cannot know.
func callRows(t *testing.T, list []byte) []string {
	t.Helper()
	var doc struct {
		Calls []map[string]any `json:"calls"`
	}
	if err := json.Unmarshal(list, &doc); err != nil {
		t.Fatalf("%v: %.200s", err, list)
	}
	var rows []string
	for _, c := range doc.Calls {
		rows = append(rows, fmt.Sprint(c["call_id"], c["state"], c["code"], c["messages"], c["retransmissions"], c["pdd_ms"],
			c["setup_ms"], c["duration_ms"], c["source"], c["destination"], c["released_by"], c["transports"], c["start"]))
	}
	slices.Sort(rows)
	return rows
}

// What a capture holds is what a listener finds when it is sent as HEP: calls, states, times, addresses.
func TestHEPRoundTrip(t *testing.T) {
	t.Parallel()
	path := writeFlow(t, "mixed.flow", mixedFlow(150))
	list, err := exec.CommandContext(t.Context(), "sipscope", "ls", path, "--format", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := callRows(t, list)
	for _, tt := range []struct{ transport, extra string }{{"udp", ""}, {"tcp", ""}, {"udp", "--hep-compress"}, {"tcp", "--hep-compress"}} {
		t.Run(tt.transport+tt.extra, func(t *testing.T) {
			t.Parallel()
			where := tt.transport + ":" + freeAddress(t)
			listener := exec.CommandContext(t.Context(), "sipscope", "ls", "-L", where, "--format", "json", "--quiet")
			var out, errors strings.Builder
			listener.Stdout, listener.Stderr = &out, &errors
			if err := listener.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond) // nobody says when a UDP socket is there
			args := []string{"ls", path, "-H", where, "--quiet", "--format", "csv"}
			if tt.extra != "" {
				args = append(args, tt.extra)
			}
			if said, err := exec.CommandContext(t.Context(), "sipscope", args...).CombinedOutput(); err != nil || strings.Contains(string(said), "not:") {
				t.Fatalf("%v: %.300s", err, said)
			}
			time.Sleep(700 * time.Millisecond)
			_ = listener.Process.Signal(syscall.SIGINT)
			if err := listener.Wait(); err != nil {
				t.Fatalf("%v: %s", err, errors.String())
			}
			got := callRows(t, []byte(out.String()))
			if !slices.Equal(got, want) {
				t.Errorf("%d calls, want %d", len(got), len(want))
				for i := range min(len(got), len(want)) {
					if got[i] != want[i] {
						t.Fatalf("got  %s\nwant %s", got[i], want[i])
					}
				}
			}
		})
	}
}

// Texts and frames of what an agent sent can be read again, compressed or not, and a file of it is a capture of HEP.
func TestHEPTexts(t *testing.T) {
	t.Parallel()
	where := "udp:" + freeAddress(t)
	dir := t.TempDir()
	listener := exec.CommandContext(t.Context(), "sipscope", "show", "-L", where, "--call", "1", "--duration", "2s", "--quiet", "-O", dir+"/hep.pcapng")
	var out strings.Builder
	listener.Stdout, listener.Stderr = &out, &out
	if err := listener.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	if said, err := exec.CommandContext(t.Context(), "sipscope", "ls", pcap("two-proxies.pcap"), "-H", where, "--hep-compress").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if err := listener.Wait(); err != nil || !strings.Contains(out.String(), "User-Agent: Desk phone 1.4") {
		t.Errorf("%v: %.500s", err, out.String())
	}
	again, err := exec.CommandContext(t.Context(), "sipscope", "show", dir+"/hep.pcapng", "--call", "1").Output()
	if err != nil || strings.Count(string(again), "User-Agent: Desk phone 1.4") == 0 {
		t.Errorf("%v: %.500s", err, again)
	}
}
