package decode_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
)

// TestWebSocketTruths reads captures of others, and each text again: those that a client masked come from the vault.
func TestWebSocketTruths(t *testing.T) {
	t.Parallel()
	const shared = "../../shared/pcaps"
	for name, truth := range map[string]string{
		"peers/websocket.pcap":                             "peers/websocket.truth.json",
		"Lekensteyn__wireshark-notes/websocket-sip.pcapng": "Lekensteyn__wireshark-notes/websocket-sip.pcapng.truth.json",
		"tls-keylog/sip-ws-clear.pcap":                     "tls-keylog/sip-ws-clear.pcap.truth.json",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(filepath.Join(shared, truth))
			if errors.Is(err, os.ErrNotExist) {
				t.Skipf("no %s beside the checkout", truth)
			}
			var want struct {
				Messages int `json:"sip_messages"`
			}
			if err = errors.Join(err, json.Unmarshal(b, &want)); err != nil {
				t.Fatal(err)
			}
			counts := readCapture(t, filepath.Join(shared, name))
			if counts[decode.WS] == 0 || counts[decode.WS]+counts[decode.UDP] != want.Messages {
				t.Errorf("messages by transport %v, %d expected", counts, want.Messages)
			}
		})
	}
}

// readCapture counts the messages of a capture by transport, and reads each text again.
func readCapture(t *testing.T, path string) map[decode.Transport]int {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{Spool: true})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	vault := decode.NewVault(decode.VaultOptions{})
	defer vault.Close()
	texts := vault.Reader(files)
	d := decode.NewDecoder(decode.Options{Vault: vault})
	s := decode.NewStreams(d)
	counts := map[decode.Transport]int{}
	for w := (&decode.Work{}); !w.Last; w.Reset() {
		err = files.Next(context.Background(), &w.Batch)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		w.Last = err != nil
		d.Frames(w)
		if s.Join(w) {
			d.Texts(w)
		}
		for m := range w.Items() {
			if m == nil {
				counts[decode.TransportUnknown]++
				continue
			}
			counts[m.Transport]++
			again, err := decode.ReadText(texts, m.Pieces)
			if err != nil || !bytes.HasPrefix(again, m.SIP.Raw) {
				t.Errorf("frame %d: %v, read again %.60q, want %.60q", m.Seq, err, again, m.SIP.Raw)
			}
		}
		if w.Last {
			break
		}
	}
	return counts
}
