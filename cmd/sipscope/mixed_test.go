package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/flowtest"
)

// mixedFlow describes n calls between a few people: answered, busy, refused, cancelled, challenged, unanswered,
// registrations and pings, in turn. 15 kinds, so 300 calls are 20 of each.
func mixedFlow(n int) string { return mixedFlowFrom(0, n) }

// mixedFlowFrom is mixedFlow with Call-IDs from a number on.
func mixedFlowFrom(first, n int) string {
	var b strings.Builder
	b.WriteString("title Calls of all kinds\nstart 2026-02-01T09:00:00Z\n")
	for i := range 7 {
		fmt.Fprintf(&b, "host p%d 10.0.1.%d user=sip:person%d@a.example name=\"Person %d\" agent=\"Phone/%d.0\"\n", i, 10+i, i, i, i)
		fmt.Fprintf(&b, "host q%d 10.0.2.%d user=sip:+4930%06d@b.example\n", i, 10+i, (i+1)*11111)
	}
	talk := "+90ms B > A 180\n+900ms B > A 200 sdp=PCMU\n+5ms A > B ACK\n"
	invite := "+100ms A > B INVITE sdp=PCMU,PCMA\n+2ms B > A 100\n"
	kinds := []string{
		invite + talk + "+3s A > B BYE\n+4ms B > A 200\n",
		invite + talk + "+2s B > A BYE\n+4ms A > B 200\n",
		invite + "+3ms B > A 486\n+2ms A > B ACK\n",
		invite + "+40ms B > A 180\n+4s A > B CANCEL\n+1ms B > A 200 CANCEL\n+1ms B > A 487\n+1ms A > B ACK\n",
		invite + "+9ms B > A 503 header.Retry-After=30\n+1ms A > B ACK\n",
		invite + "+9ms B > A 404\n+1ms A > B ACK\n",
		"+50ms A > B REGISTER expires=3600\n+3ms B > A 401\n+2ms A > B REGISTER auth expires=3600\n+4ms B > A 200 expires=3600\n",
		"+50ms A > B OPTIONS\n+3ms B > A 200\n",
		invite + "+500ms A > B INVITE retransmit\n" + talk + "+1s A > B BYE\n+4ms B > A 200\n",
		invite + "+9ms B > A 302 contact=sip:other@c.example\n+1ms A > B ACK\n",
		"+50ms A > B MESSAGE body=hello type=text/plain\n+3ms B > A 200\n",
		invite + "+40ms B > A 180\n+1s B > A 603\n+1ms A > B ACK\n",
		invite + talk + "+1s A > B INVITE sdp=PCMU sdp.dir=sendonly\n+5ms B > A 200 sdp=PCMU sdp.dir=recvonly\n+5ms A > B ACK\n+1s A > B BYE\n+4ms B > A 200\n",
		invite + "+40ms B > A 180\n+1s B > A 480\n+1ms A > B ACK\n",
		invite + talk,
	}
	for i := first; i < first+n; i++ {
		from, to := fmt.Sprintf("p%d", i%7), fmt.Sprintf("q%d", i%5)
		fmt.Fprintf(&b, "call c%d from %s to %s callid=mixed-%d@10.0.1.9\n", i, from, to, i)
		for line := range strings.Lines(kinds[i%len(kinds)]) {
			words := strings.Fields(line)
			for j, w := range words {
				switch w {
				case "A":
					words[j] = from
				case "B":
					words[j] = to
				}
			}
			fmt.Fprintf(&b, "%s call=c%d\n", strings.Join(words, " "), i)
		}
	}
	return b.String()
}

// writeFlow writes a flow's capture into a folder of the test.
func writeFlow(tb testing.TB, name, text string) string {
	tb.Helper()
	f, err := flowtest.Parse(name, strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), f.FileName())
	out, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err = f.Write(out); err != nil {
		tb.Fatal(err)
	}
	if err = out.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

// The capture is what its name says, for the tests that use it.
func TestMixedFlow(t *testing.T) {
	t.Parallel()
	path := writeFlow(t, "mixed.flow", mixedFlow(300))
	info, err := os.Stat(path)
	if err != nil || info.Size() < 300*1000 {
		t.Fatalf("%v, %d bytes", err, info.Size())
	}
}
