package main

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// replaySelfNet is the range of these tests.
var replaySelfNet = peerNet{127, 77}

// A call is replayed against a server that is reached by TLS, by WebSocket and by both; what it was recorded over is no matter.
func TestReplaySecureTransports(t *testing.T) {
	t.Parallel()
	call := ours(t, "", "scenario", "bye", "--virtual", "-O", "call.pcapng")
	call.end(0)
	for proto, port := range map[string]string{"tcp": "5060", "tls": "5061", "ws": "5080", "wss": "5443"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			at := replaySelfNet.address(t) + ":" + port
			server := ours(t, "", "ua", "answer", "--listen", proto+":"+at, "--media", "none", "--format", "none", "--calls", "1")
			server.bound("tcp", at)
			r := ours(t, "", "replay", call.path("call.pcapng"), "--sut-is", "127.0.2.10", "--cut-proxies", "--sut", "sip:"+at+";transport="+proto,
				"--yes", "--tls-insecure", "--fast", "--lenient", "--media", "off", "--bind", "alice="+replaySelfNet.address(t)+":5070", "-O", "run.pcapng")
			r.end(0)
			if said := r.out.String(); !strings.HasPrefix(said, "SAME") {
				t.Errorf("it says %s", said)
			}
			server.end(0)
			// What was decrypted is recorded in the clear, with URIs that still ask for TLS or WebSocket: that is played, too.
			again := ours(t, "", "replay", r.path("run.pcapng"), "--self", "--fast", "--all", "--media", "off",
				"--bind", "alice="+replaySelfNet.address(t)+":5060", "--bind", "bob="+replaySelfNet.address(t)+":5060")
			again.end(0)
			if said := again.out.String(); !strings.HasPrefix(said, "SAME") {
				t.Errorf("again: %s", said)
			}
		})
	}
}

// What was decrypted with a key log is played over TLS by ourselves alone: both ends believe each other's certificate.
func TestReplaySelfSecure(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs(pcap(""))
	if err != nil {
		t.Fatal(err)
	}
	r := ours(t, "", "replay", filepath.Join(dir, "tls12.pcap"), "-k", filepath.Join(dir, "tls12.keys"), "--self", "--fast", "--all", "--media", "off", "-O", "run.pcapng",
		"--tls-keylog", "run.keys", "--bind", "alice=tls:"+replaySelfNet.address(t)+":5061", "--bind", "bob=tls:"+replaySelfNet.address(t)+":5061")
	r.end(0)
	if said := r.out.String(); !strings.HasPrefix(said, "SAME") {
		t.Errorf("it says %s", said)
	}
	if b, err := os.ReadFile(r.path("run.keys")); err != nil || !strings.Contains(string(b), "CLIENT_TRAFFIC_SECRET_0 ") {
		t.Errorf("the key log of the replay: %v, %q", err, b)
	}
}

// Without --cred both sides of a recorded challenge are ours, with a password that is made up.
func TestReplaySelfChallenge(t *testing.T) {
	t.Parallel()
	for _, flow := range []string{"register", "register-wrong-password", "invite-proxy-auth", "message-proxy-auth"} {
		recorded := ours(t, "", "scenario", flow, "--virtual", "-O", "flow.pcapng")
		recorded.end(0)
		r := ours(t, "", "replay", recorded.path("flow.pcapng"), "--self", "--fast", "--all", "-q")
		r.end(0)
		if said := r.out.String(); !strings.HasPrefix(said, "SAME") && !strings.HasPrefix(said, "TOLERATED") {
			t.Errorf("%s: %s", flow, said)
		}
	}
}

// A capture without any call says so, and what it has instead.
func TestReplayNoCall(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pcap")
	head := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	head = append(head, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0)
	if err := os.WriteFile(empty, head, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--self", "--all"}, {"--self"}, {"--dry-run"}} {
		r := ours(t, "", append([]string{"replay", empty}, args...)...)
		r.end(1)
		if said := r.err.String(); !strings.Contains(said, "there is no SIP call in empty.pcap: 0 packets read") {
			t.Errorf("%q: %q", args, said)
		}
	}
}
