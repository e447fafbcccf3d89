package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestKeyLogFollowed follows a file that comes late, grows by parts of lines, is cut short and is replaced.
func TestKeyLogFollowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	k := &keyLog{path: path, live: true}
	defer k.close()
	grows := func(want string) {
		t.Helper()
		if got := string(k.grown()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	write := func(flags int, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	grows("")
	write(os.O_APPEND, "one\ntw")
	grows("one\n")
	grows("")
	write(os.O_APPEND, "o\n")
	grows("two\n")
	write(os.O_TRUNC, "3\n")
	grows("3\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	grows("")
	write(os.O_APPEND, "another file\n")
	grows("another file\n")
}

// TestMayHoldSecrets tells captures that cannot hold secrets from those that may.
func TestMayHoldSecrets(t *testing.T) {
	t.Parallel()
	const dir = "../../testdata/pcaps/"
	if mayHoldSecrets([]string{dir + "tls12.pcap", dir + "options.pcap"}) {
		t.Error("a pcap file holds no secrets")
	}
	for _, path := range []string{dir + "tls13-secrets.pcapng", "-"} {
		if !mayHoldSecrets([]string{dir + "tls12.pcap", path}) {
			t.Errorf("%s may hold secrets", path)
		}
	}
}
