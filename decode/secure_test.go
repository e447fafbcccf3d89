package decode_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
	"sipscope/decode/tls"
)

// readAll runs a capture through the three steps. secrets come with the first batch; those of pcapng files with the batch
// they stand before.
func readAll(t *testing.T, path string, o decode.Options, secrets ...[]byte) (messages []string, rows []decode.Secured, acct decode.Accounting) {
	t.Helper()
	return readFile(t, path, o, false, secrets)
}

// readFile is readAll; with late all secrets come when the capture has ended, and after a batch without packets.
func readFile(t *testing.T, path string, o decode.Options, late bool, secrets [][]byte) (messages []string, rows []decode.Secured, acct decode.Accounting) {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	d := decode.NewDecoder(o)
	s := decode.NewStreams(d)
	known := 0
	w := &decode.Work{}
	for !w.Last {
		w.Reset()
		err := files.Next(t.Context(), &w.Batch)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		w.Last = err != nil
		if more := files.Secrets(); len(more) > known {
			secrets = append(secrets, more[known:]...)
			known = len(more)
		}
		if !late || w.Last {
			w.Secrets, secrets = slices.Values(secrets), nil
		}
		d.Frames(w)
		if s.Join(w) {
			d.Texts(w)
		}
		for m := range w.Items() {
			if m == nil {
				continue
			}
			line, _, _ := strings.Cut(string(m.SIP.Raw), "\r\n")
			messages = append(messages, m.Transport.String()+" "+line)
			text, err := decode.ReadText(o.Vault.Reader(files), m.Pieces)
			if o.Vault != nil && (err != nil || string(text) != string(m.SIP.Raw)) {
				t.Errorf("frame %d: the text is not what is read again: %v", m.Seq, err)
			}
		}
		for _, r := range w.Secured() {
			if int(r.Num) > len(rows) {
				rows = append(rows, r)
			} else {
				rows[r.Num-1] = r
			}
		}
		w.Account(&acct)
	}
	return messages, rows, acct
}

// TestKeyLogTruth reads captures made by others with real TLS stacks, with their keys, and without.
func TestKeyLogTruth(t *testing.T) {
	t.Parallel()
	paths, _ := filepath.Glob("../../shared/pcaps/tls-keylog/*-tls1*.pcap*")
	more, _ := filepath.Glob("../../shared/pcaps/peers/tls1*.pcap")
	paths = slices.DeleteFunc(append(paths, more...), func(p string) bool { return strings.HasSuffix(p, ".json") })
	if len(paths) == 0 {
		t.Skip("no captures beside the checkout")
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			base := strings.TrimSuffix(path, filepath.Ext(path))
			b, err := os.ReadFile(path + ".truth.json")
			if err != nil {
				if b, err = os.ReadFile(base + ".truth.json"); err != nil {
					t.Fatal(err)
				}
			}
			var truth struct {
				Messages int `json:"sip_messages"`
			}
			if err := json.Unmarshal(b, &truth); err != nil {
				t.Fatal(err)
			}
			var secrets [][]byte
			if keys, err := os.ReadFile(base + ".keys"); err == nil && filepath.Ext(path) == ".pcap" {
				secrets = append(secrets, keys)
			}
			vault := decode.NewVault(decode.VaultOptions{})
			defer vault.Close()
			messages, rows, acct := readAll(t, path, decode.Options{Secrets: true, Vault: vault}, secrets...)
			secure := 0
			for _, m := range messages {
				if strings.HasPrefix(m, "TLS ") || strings.HasPrefix(m, "WSS ") {
					secure++
				}
			}
			if len(messages) != truth.Messages || secure == 0 {
				t.Errorf("%d messages, %d of them secure, want %d: %q", len(messages), secure, truth.Messages, messages)
			}
			for _, r := range rows {
				if r.TLS.State != tls.Readable {
					t.Errorf("%+v", r)
				}
			}
			if acct.Outcomes[decode.OutcomeSIP] == 0 || acct.Outcomes[decode.OutcomeEncrypted] == 0 {
				t.Errorf("outcomes %v", acct.Outcomes)
			}
			if filepath.Ext(path) == ".pcap" {
				_, rows, _ = readAll(t, path, decode.Options{})
				for _, r := range rows {
					if !r.Closed() || r.TLS.State != tls.NoKey || r.Packets == 0 || r.Last < r.First {
						t.Errorf("without keys: %+v", r)
					}
				}
			}
		})
	}
}

// TestKeysAfterEnd has the keys come when all connections of a capture have ended, some with holes in them: what is read
// is the same as with keys that were there before.
func TestKeysAfterEnd(t *testing.T) {
	t.Parallel()
	paths, _ := filepath.Glob("../../shared/pcaps/tls-keylog/*-tls1*.pcap*")
	paths = slices.DeleteFunc(paths, func(p string) bool { return strings.HasSuffix(p, ".json") })
	for _, path := range append(paths, secureCaptures+"tls12.pcap", secureCaptures+"tls13-secrets.pcapng") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			var secrets [][]byte
			if keys, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".keys"); err == nil && filepath.Ext(path) == ".pcap" {
				secrets = append(secrets, keys)
			}
			vault := decode.NewVault(decode.VaultOptions{})
			defer vault.Close()
			o := decode.Options{Secrets: true, Late: true, Vault: vault}
			want, wantRows, wantAcct := readFile(t, path, o, false, secrets)
			got, rows, acct := readFile(t, path, o, true, secrets)
			if !slices.Equal(got, want) || len(want) == 0 {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			if len(rows) != len(wantRows) || acct.Streams != wantAcct.Streams {
				t.Errorf("%d connections, want %d; %+v, want %+v", len(rows), len(wantRows), acct.Streams, wantAcct.Streams)
			}
			for i := range min(len(rows), len(wantRows)) {
				if rows[i] != wantRows[i] {
					t.Errorf("%+v\nwant %+v", rows[i], wantRows[i])
				}
			}
			if early, _, _ := readFile(t, path, decode.Options{Secrets: true, Vault: vault}, true, secrets); len(early) > 0 {
				t.Errorf("without waiting: %q", early)
			}
		})
	}
}
