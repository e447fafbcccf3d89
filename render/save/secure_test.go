package save

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode"
)

// secured is a capture that was decrypted: with a key log, or with its own secrets.
type secured struct {
	files *capture.Files
	board correlate.Board
	vault *decode.Vault
}

func readSecured(t *testing.T, path string, log []byte) *secured {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{files: files, vault: decode.NewVault(decode.VaultOptions{})}
	t.Cleanup(func() { _ = files.Close(); _ = s.vault.Close() })
	known := 0
	err = correlate.Run(context.Background(), files, correlate.Config{
		Workers: 1, Board: &s.board, Vault: s.vault, Secrets: func() iter.Seq[[]byte] {
			all := files.Secrets()
			fresh := all[known:]
			known = len(all)
			if log != nil {
				fresh, log = append(slices.Clone(fresh), log), nil
			}
			return slices.Values(fresh)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// messages are the start lines of a call, with transports; ids are the Call-IDs of all calls.
func (s *secured) messages(t *testing.T, num uint32) (all []string) {
	t.Helper()
	c, ok := s.board.Call(num)
	if !ok {
		t.Fatalf("no call %d", num)
	}
	for i := range c.Messages {
		raw, err := decode.ReadText(s.vault.Reader(s.files), c.Messages[i].Pieces)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Messages[i].Transport.String()+" "+string(raw))
	}
	return all
}

func (s *secured) ids() (all []string) {
	for c := range s.board.Calls() {
		all = append(all, c.CallID)
	}
	return all
}

func (s *secured) job(path string, f Format, num uint32) Job {
	return Job{
		Path: path, Format: f, Source: FromFiles(s.files), Calls: Numbered(&s.board, slices.Values([]uint32{num})),
		Connections: s.board.Secured, Secrets: f == Pcapng,
	}
}

// logOf is the secrets that a pcapng file carries.
func logOf(t *testing.T, path string) string {
	t.Helper()
	s := readSecured(t, path, nil)
	return string(bytes.Join(s.files.Secrets(), nil))
}

// TestSaveSecure saves calls over TLS with their connections and secrets: the file can be read by itself, by us and by
// tshark, and opens nothing else.
func TestSaveSecure(t *testing.T) {
	t.Parallel()
	keys, err := os.ReadFile(project("tls12.keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, file string
		log        []byte
		call       uint32
		lines      int  // of the secrets
		resumed    bool // by a ticket: the key log has no line for it
		hole       bool // tshark does not read behind it
	}{
		{"tls 1.2", "tls12.pcap", keys, 1, 1, false, false},
		{"tls 1.2 resumed", "tls12.pcap", keys, 2, 1, true, false},
		{"tls 1.2 cbc", "tls12.pcap", keys, 3, 1, false, false},
		{"tls 1.2 chacha", "tls12.pcap", keys, 4, 1, false, false},
		{"tls 1.3 with a hole", "tls13-secrets.pcapng", nil, 1, 4, false, true},
		{"wss", "tls13-secrets.pcapng", nil, 3, 4, false, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			from := readSecured(t, project(x.file), x.log)
			want, id := from.messages(t, x.call), from.ids()[x.call-1]
			path := filepath.Join(t.TempDir(), "call.pcapng")
			if _, err := Run(t.Context(), from.job(path, Pcapng, x.call), nil); err != nil {
				t.Fatal(err)
			}
			again := readSecured(t, path, nil)
			if got := again.messages(t, uint32(slices.Index(again.ids(), id)+1)); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			rows := again.board.Secured()
			if len(rows) != 1 || rows[0].TLS.State.String() != "decrypted" {
				t.Errorf("%d connections in the file", len(rows))
			}
			log := logOf(t, path)
			if n := strings.Count(log, "\n"); n != x.lines || x.log != nil && !x.resumed && !strings.Contains(string(x.log), log) {
				t.Errorf("%d lines of secrets, want %d:\n%s", n, x.lines, log)
			}
			tshark(t, path, id, len(want), x.hole)

			// without secrets the key log is needed, and is enough
			bare := filepath.Join(t.TempDir(), "call.pcap")
			if _, err := Run(t.Context(), from.job(bare, Pcap, x.call), nil); err != nil {
				t.Fatal(err)
			}
			if n := len(readSecured(t, bare, nil).ids()); n != 0 {
				t.Errorf("%d calls without keys", n)
			}
			if got := readSecured(t, bare, []byte(log)).messages(t, 1); !slices.Equal(got, want) && len(again.ids()) == 1 {
				t.Errorf("with a key log: %q", got)
			}
		})
	}
}

// tshark reads a file by itself and counts the messages of a call.
func tshark(t *testing.T, path, id string, want int, hole bool) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tshark is missing: apt-get install tshark")
		}
		return
	}
	out, err := exec.CommandContext(t.Context(), "tshark", "-r", path, "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID").Output()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), id); n != want && !hole || n == 0 {
		t.Errorf("tshark reads %d messages, want %d", n, want)
	}
}

// TestSaveSecrets refuses secrets where there is no place for them.
func TestSaveSecrets(t *testing.T) {
	t.Parallel()
	s := readSecured(t, project("tls12.pcap"), nil)
	for _, f := range []Format{Pcap, Text} {
		job := s.job(filepath.Join(t.TempDir(), "x"), f, 1)
		job.Secrets = true
		job.Source.Text = func(*correlate.Call, int) ([]byte, error) { return nil, nil }
		if _, err := Run(t.Context(), job, nil); !errors.Is(err, ErrSecrets) {
			t.Errorf("%s: %v", f, err)
		}
	}
	job := s.job(filepath.Join(t.TempDir(), "x"), Pcapng, 1)
	job.Connections = nil
	if _, err := Run(t.Context(), job, nil); !errors.Is(err, ErrSecrets) {
		t.Errorf("without connections: %v", err)
	}
}

// TestSaveWholeWebSocket saves the connection of a call over WebSocket, with its upgrade.
func TestSaveWholeWebSocket(t *testing.T) {
	t.Parallel()
	s := readSecured(t, project("websocket.pcap"), nil)
	want, id := s.messages(t, 1), s.ids()[0]
	path := filepath.Join(t.TempDir(), "call.pcap")
	if _, err := Run(t.Context(), s.job(path, Pcap, 1), nil); err != nil {
		t.Fatal(err)
	}
	again := readSecured(t, path, nil)
	if got := again.messages(t, uint32(slices.Index(again.ids(), id)+1)); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Contains(b, []byte("HTTP/1.1 101")) {
		t.Error("the upgrade is not in the file")
	}
}
