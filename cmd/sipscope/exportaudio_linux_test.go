package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// audioNet is the loopback range of this test.
var audioNet = peerNet{127, 61}

// secureBaresip starts a baresip that insists on SRTP with keys in SDP, and says a tone of a frequency.
func secureBaresip(t *testing.T, user, at string, hz int) *baresip {
	t.Helper()
	const modules = "/usr/lib/baresip/modules"
	path := need(t, "baresip", "baresip-core")
	for _, module := range []string{"srtp.so", "ctrl_tcp.so", "ausine.so"} {
		if _, err := os.Stat(filepath.Join(modules, module)); err != nil {
			lacks(t, "baresip's module "+module+" is missing: install the package baresip-core")
		}
	}
	dir := t.TempDir()
	fill(t, "baresip.config", filepath.Join(dir, "config"), "@HOST@", at, "@DIR@", dir, "@MODULES@", modules)
	config, err := os.ReadFile(filepath.Join(dir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^sip_(certificate|cafile|verify_server).*\n`).ReplaceAllString(string(config), "")
	text = strings.ReplaceAll(text, "ausine,440", fmt.Sprintf("ausine,%d", hz)) + "module\tsrtp.so\n"
	for name, content := range map[string]string{
		"config": text, "contacts": "",
		"accounts": fmt.Sprintf("<sip:%s@%s>;regint=0;mediaenc=srtp-mand;answermode=auto;audio_codecs=PCMU/8000/1\n", user, at),
	} {
		if err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &baresip{user: user, host: at, peer: launchIn(t, dir, nil, path, "-f", dir, "-v")}
	b.name = "baresip " + user
	b.bound("tcp", at+":4444")
	if b.control, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", at+":4444"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.control.Close() })
	go b.read(bufio.NewReader(b.control))
	return b
}

// TestPeerSRTP captures a call in SRTP between two baresips and writes its sound: each side's tone is in its channel.
func TestPeerSRTP(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		lacks(t, "capturing needs root")
	}
	alice, bob := audioNet.address(t), audioNet.address(t)
	caller, callee := secureBaresip(t, "alice", alice, 440), secureBaresip(t, "bob", bob, 1000)
	tap := ours(t, "", "capture", "-d", "lo", "--bpf", "udp and (net "+alice+"/32 or net "+bob+"/32)", "-O", "call.pcapng")
	// The capture has begun when a packet that is sent again and again is in the file.
	probe, err := (&net.Dialer{}).DialContext(t.Context(), "udp", alice+":9")
	if err != nil {
		t.Fatal(err)
	}
	defer probe.Close()
	wait(t, "the capture to begin", func() bool {
		_, _ = probe.Write([]byte("\r\n\r\n"))
		info, failed := os.Stat(tap.path("call.pcapng"))
		return failed == nil && info.Size() > 512
	})
	caller.does("dial", "sip:bob@"+bob)
	caller.hears("CALL_ESTABLISHED", 1)
	time.Sleep(2 * time.Second) // of talk, in real time: baresip has no other
	caller.does("hangup", "")
	caller.stop(syscall.SIGTERM, 0)
	callee.stop(syscall.SIGTERM, 0)
	tap.stop(syscall.SIGINT, 0)

	out := ours(t, "", "export", tap.path("call.pcapng"), "--audio", "call.wav")
	out.end(0)
	said := out.err.String()
	for _, want := range []string{
		`2 channels, 8000 Hz`, `left  caller: \d\d+ packets, 0 lost`, `right callee: \d\d+ packets, 0 lost`,
		`caller \S+ > ` + bob + `:\d+, SRTP PCMU, SSRC 0x[0-9a-f]+, AES_CM_128_HMAC_SHA1_80: \d\d+ packets decrypted, 0 failed`,
		`callee \S+ > ` + alice + `:\d+, SRTP PCMU, SSRC 0x[0-9a-f]+, AES_CM_128_HMAC_SHA1_80: \d\d+ packets decrypted, 0 failed`,
	} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("%q is not in:\n%s", want, said)
		}
	}
	b, err := os.ReadFile(out.path("call.wav"))
	if err != nil || len(b) < 44+4*8000 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	for i, hz := range []float64{440, 1000} {
		var samples []float64
		for at := 44 + 4*4000 + 2*i; at+1 < len(b) && len(samples) < 8000; at += 4 { // half a second after the beginning
			samples = append(samples, float64(int16(binary.LittleEndian.Uint16(b[at:]))))
		}
		if share := shareOf(samples, hz); share < 0.98 {
			t.Errorf("channel %d has %.3f of its power at %.0f Hz", i, share, hz)
		}
	}
}

// shareOf is the part of the power of samples at 8000 Hz that lies at a frequency (Goertzel's algorithm).
func shareOf(samples []float64, hz float64) float64 {
	var re, im, all float64
	for i, v := range samples {
		angle := 2 * math.Pi * hz * float64(i) / 8000
		re, im, all = re+v*math.Cos(angle), im+v*math.Sin(angle), all+v*v
	}
	return 2 * (re*re + im*im) / float64(len(samples)) / max(all, 1)
}
