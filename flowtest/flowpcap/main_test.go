package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const flow = "title T\nhost a 10.0.0.1\nhost b 10.0.0.2\ncall c from a to b\n@0s a > b OPTIONS\n@1s b > a 200\n"

// Writing, comparing, and finding what differs.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ping, bad := file("ping.flow", flow), file("bad.flow", flow+"@2s b > a 200 fast\n")
	again := filepath.Join(dir, "more")
	if err := os.Mkdir(again, 0o700); err != nil {
		t.Fatal(err)
	}
	twin := file("more/ping.flow", flow)
	out := filepath.Join(dir, "out")
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string // on stderr
	}{
		{"help", []string{"-h"}, 0, "usage: flowpcap"},
		{"no folder", []string{ping}, 2, "usage: flowpcap"},
		{"no flow", []string{"-o", out}, 2, "usage: flowpcap"},
		{"no such flag", []string{"-x"}, 2, "not defined: -x"},
		{"nothing there yet", []string{"-check", "-o", out, ping}, 1, "ping.pcap is not what the flows make"},
		{"write", []string{"-o", out, ping}, 0, ""},
		{"same", []string{"-check", "-o", out, ping}, 0, ""},
		{"mistake", []string{"-o", out, bad}, 1, `bad.flow:7: a message has no flag "fast"`},
		{"no such flow", []string{"-o", out, filepath.Join(dir, "none.flow")}, 1, "none.flow"},
		{"same name", []string{"-o", out, ping, twin}, 1, "a second flow writes ping.pcap"},
	} {
		var stderr strings.Builder
		if code := run(tc.args, &stderr); code != tc.code || !strings.Contains(stderr.String(), tc.want) ||
			tc.want == "" && stderr.String() != "" {
			t.Errorf("%s: exit %d, want %d; stderr %q, want %q", tc.name, code, tc.code, stderr.String(), tc.want)
		}
	}
	for _, name := range []string{"ping.pcap", "README.md"} {
		path := filepath.Join(out, name)
		if err := os.WriteFile(path, []byte("changed"), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr strings.Builder
		if code := run([]string{"-check", "-o", out, ping}, &stderr); code != 1 || !strings.Contains(stderr.String(), name) {
			t.Errorf("changed %s: exit %d, %q", name, code, stderr.String())
		}
		if code := run([]string{"-o", out, ping}, &stderr); code != 0 {
			t.Errorf("writing %s again: exit %d, %q", name, code, stderr.String())
		}
	}
}
