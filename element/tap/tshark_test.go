package tap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/element/tap"
	"sipscope/element/transport"
)

// tshark reads the same messages out of a pcap file of a Source, and finds no fault with its frames.
func TestTshark(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("CI must have the Debian package tshark")
		}
		t.Skip("tshark is not installed")
	}
	s := tap.New(0)
	now := int64(start)
	const calls = 6
	for i := range calls {
		proto := transport.UDP
		if i%2 == 1 {
			proto = transport.TCP
		}
		a, b := addr("192.0.2.1:5060"), addr(fmt.Sprintf("192.0.2.%d:5060", 10+i))
		if i >= 4 {
			a, b = addr("[2001:db8::1]:5060"), addr("[2001:db8::2]:5060")
		}
		now = call(s, now, fmt.Sprintf("call%d", i), proto, uint64(i%2), a, b)
	}
	s.Message(now, transport.TCP, 1, addr("192.0.2.1:5060"), addr("192.0.2.11:5060"),
		long())
	_ = s.Close()
	name := filepath.Join(t.TempDir(), "tap.pcap")
	write(t, s, name)

	out := run(t, tshark, "-r", name, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-o", "tcp.check_checksum:TRUE", "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID", "-E", "aggregator=,")
	got := map[string]int{}
	for id := range strings.FieldsFuncSeq(out, func(r rune) bool { return r == '\n' || r == ',' }) {
		got[id]++
	}
	for i := range calls {
		if id := fmt.Sprintf("call%d", i); got[id] != callSize {
			t.Errorf("tshark reads %d messages of %s, want %d", got[id], id, callSize)
		}
	}
	if got["long"] != 1 || len(got) != calls+1 {
		t.Errorf("tshark reads %v", got)
	}
	if bad := run(t, tshark, "-r", name, "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
		"-o", "tcp.check_checksum:TRUE", "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000 || tcp.analysis.flags"); bad != "" {
		t.Errorf("tshark finds fault with\n%s", bad)
	}
}

// long is a message that takes two segments.
func long() []byte {
	body := strings.Repeat("0123456789", 7000)
	m := string(message("MESSAGE sip:b SIP/2.0", "long", "TCP a", "1 MESSAGE", ""))
	return []byte(strings.Replace(m, "Content-Length: 0", "Content-Type: text/plain\r\nContent-Length: 70000", 1) + body)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

func write(t *testing.T, s *tap.Source, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w, err := capture.NewWriter(f, capture.LinkRaw)
	if err != nil {
		t.Fatal(err)
	}
	var b capture.Batch
	for {
		if err = s.Next(context.Background(), &b); err != nil {
			break
		}
		for i := range b.Packets {
			if err = w.WritePacket(&b.Packets[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err = errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}
