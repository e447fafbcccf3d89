package stream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAllTmp(t *testing.T) {
	files, _ := filepath.Glob(shared + "/*/*.pcap")
	n := 0
	for _, p := range files {
		b, err := os.ReadFile(p + ".truth.json")
		if err != nil {
			b, err = os.ReadFile(strings.TrimSuffix(p, ".pcap") + ".truth.json")
		}
		var want struct {
			truth
			Sure *bool
			Why  string `json:"why_unsure"`
			Notes any
		}
		if err == nil { json.Unmarshal(b, &want) } else { want.Messages = -1 }
		func() {
			t.Run(filepath.Base(p), func(t *testing.T) {
			got := read(t, p)
			n++
			if got.tcp+got.udp != want.Messages {
				t.Errorf("MIS %s: %d udp %d tcp, %d trunc, want %d %v | %s | %v | %v", p, got.udp, got.tcp, got.truncated, want.Messages, want.Transports, want.Why, want.Notes, got.a.Counters)
			}
			})
		}()
	}
	t.Log(n)
}
