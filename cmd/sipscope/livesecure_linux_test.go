package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inside starts the program in the second namespace, where its output waits for the end.
func (w *wires) inside(args ...string) *peer {
	w.t.Helper()
	path, err := exec.LookPath("sipscope")
	if err != nil {
		w.t.Fatal(err)
	}
	return launch(w.t, "ip", append([]string{"netns", "exec", w.b, path}, args...)...)
}

// secureCall has two elements call each other by TLS or secure WebSocket in the second namespace. The called one logs its keys.
func (w *wires) secureCall(proto, keys string) {
	w.t.Helper()
	const at = "127.0.0.1:5061"
	bob := w.inside("ua", "answer", "--listen", proto+":"+at, "--media", "none", "--format", "json", "--calls", "1", "--tls-keylog", keys)
	wait(w.t, "a listener", func() bool {
		out, err := exec.CommandContext(w.t.Context(), "ip", "netns", "exec", w.b, "cat", "/proc/net/tcp").Output()
		return err == nil && strings.Contains(string(out), "0100007F:13C5 00000000:0000 0A")
	})
	alice := w.inside("ua", "call", "sip:bob@"+at+";transport="+proto, "--listen", "udp:127.0.0.1:5070", "--media", "none", "--talk", "200ms",
		"--format", "none", "--tls-insecure")
	alice.end(0)
	bob.end(0)
}

// secureList is what a list of calls says in JSON.
type secureList struct {
	Calls []struct {
		State      string   `json:"state"`
		Transports []string `json:"transports"`
		Messages   int      `json:"messages"`
	} `json:"calls"`
	Encrypted []struct{ State string } `json:"encrypted"`
}

// The keys of a call come while it happens, before or after it, and the live capture shows it in the clear.
func TestLiveSecureCall(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"tls", "wss"} {
		for _, late := range []bool{false, true} {
			name := proto + " with keys"
			if late {
				name = proto + " with keys that come after its end"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newWires(t)
				keys := filepath.Join(t.TempDir(), "keys")
				logged := keys
				if late {
					logged += ".late"
				}
				r := w.start("ls", "-d", "lo", "-k", keys, "--format", "json")
				w.secureCall(proto, logged)
				time.Sleep(300 * time.Millisecond)
				if late {
					if err := os.Rename(logged, keys); err != nil {
						t.Fatal(err)
					}
					time.Sleep(500 * time.Millisecond)
				}
				r.stop(syscall.SIGINT, 0)
				var list secureList
				if err := json.Unmarshal(r.out.Bytes(), &list); err != nil {
					t.Fatal(err)
				}
				if len(list.Calls) != 1 || len(list.Encrypted) > 0 || list.Calls[0].State != "completed" ||
					strings.Join(list.Calls[0].Transports, " ") != strings.ToUpper(proto) || list.Calls[0].Messages < 6 {
					t.Errorf("%s\n%s", r.out.String(), r.err.String())
				}
			})
		}
	}
}
