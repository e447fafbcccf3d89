package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// grown collects what a key log gives.
func (k *keyLog) grown() string {
	var b bytes.Buffer
	k.follow(k.looked.Add(keyLogLook), func(part []byte) bool {
		b.Write(part)
		return true
	})
	return b.String()
}

// TestKeyLogFollowed follows a file that comes late, grows by parts of lines, is cut short, written anew and replaced.
func TestKeyLogFollowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	k := &keyLog{path: path, live: true}
	defer k.close()
	grows := func(want string) {
		t.Helper()
		if got := k.grown(); got != want {
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
	write(os.O_TRUNC, "4\n") // as long as it was
	grows("4\n")
	write(os.O_TRUNC, "five\n6") // longer than it was
	grows("five\n")
	write(os.O_TRUNC, "7\n") // the half line is not this one's beginning
	grows("7\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	grows("")
	write(os.O_APPEND, "another file\n")
	grows("another file\n")
}

// TestKeyLogBlocks reads files that are larger than what is in memory of them.
func TestKeyLogBlocks(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 99) + "\n"
	long := strings.Repeat("y", keyLogBlock+10) + "\n"
	text := strings.Repeat(line, 3000) + long + strings.Repeat(line, 3000) + "end"
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, live := range []bool{false, true} {
		k := &keyLog{path: path, live: live}
		defer k.close()
		want := text
		if live {
			want = strings.TrimSuffix(text, "end") // somebody is writing it
		}
		if got := k.grown(); got != want {
			t.Errorf("live %t: %d bytes, want %d", live, len(got), len(want))
		}
		if got := k.grown(); got != "" {
			t.Errorf("live %t: %q once more", live, got)
		}
	}
}

// TestKeyLogLook has a live run read a large file in several looks, with packets between them.
func TestKeyLogLook(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	const lines = maxLook/100 + maxLook/1000
	if err := os.WriteFile(path, bytes.Repeat([]byte(strings.Repeat("x", 99)+"\n"), lines), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &keyLog{path: path, live: true}
	defer k.close()
	first := k.grown()
	if len(first) > maxLook+keyLogBlock || !k.looked.IsZero() {
		t.Errorf("%d bytes at once; looked at %v", len(first), k.looked)
	}
	if second := k.grown(); len(first)+len(second) != 100*lines || k.looked.IsZero() {
		t.Errorf("%d and %d bytes of %d", len(first), len(second), 100*lines)
	}
}

// TestKeyLogFails has a file that cannot be read: that is said once.
func TestKeyLogFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	k := &keyLog{path: path, file: f, say: func(s string) { said = append(said, s) }}
	defer k.close()
	if got := k.grown() + k.grown(); got != "" || len(said) != 1 || !strings.Contains(said[0], path) {
		t.Errorf("%q, said %q", got, said)
	}
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
