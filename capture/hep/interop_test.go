package hep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sipscope/capture"
)

// envCI makes a missing peer an error.
const envCI = "SIPSCOPE_CI"

// peer finds a program to work with, or skips the test.
func peer(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv(envCI) != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// said is what a program says, to be read while it runs.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// run starts a program; stop asks it to end, waits, and is called at the end of the test at the latest.
func run(t *testing.T, path string, args ...string) (out *said, stop func()) {
	t.Helper()
	out = &said{}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "TERM=dumb", "SNGREPRC=/dev/null")
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			_ = cmd.Process.Signal(os.Interrupt)
			kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			kill.Stop()
		})
	}
	t.Cleanup(stop)
	return out, stop
}

// freeUDP is a UDP port of the loopback that nobody uses now.
func freeUDP(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, p, _ := net.SplitHostPort(c.LocalAddr().String())
	return p
}

// calls writes a capture of so many INVITEs, and gives its path.
func calls(t *testing.T, n int) string {
	t.Helper()
	out := capture.AppendPcapHeader(nil, capture.LinkRaw)
	for i := range n {
		text := invite(i)
		data := append(make([]byte, datagramHead(a4.Addr())), text...)
		putDatagram(data, a4, b4, uint16(i))
		p := capture.Packet{
			Time: 1_700_000_000_000_000_000 + int64(i)*int64(time.Millisecond), Data: data, WireLen: uint32(len(data)),
			Link: capture.LinkRaw,
		}
		var err error
		if out, err = capture.AppendPcapRecord(out, &p); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "calls.pcap")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sngrep sends a capture: all arrives as it was captured.
func TestFromSngrep(t *testing.T) {
	t.Parallel()
	sngrep := peer(t, "sngrep")
	l := listening(t, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}})
	const total = 500
	out, _ := run(t, sngrep, "-F", "-N", "-q", "-I", calls(t, total), "-H", "udp:127.0.0.1:"+port(l, 0))
	r := reader{s: l}
	all := r.read(t, total, 30*time.Second)
	if len(all) != total {
		t.Fatalf("%d of %d: %+v\n%s", len(all), total, l.Stats(), out)
	}
	for i, g := range all {
		h := g.hep
		if string(h.Payload) != invite(i) || h.Src != a4 || h.Dst != b4 || h.Version != 3 || h.Type != TypeSIP ||
			g.at != 1_700_000_000_000_000_000+int64(i)*int64(time.Millisecond) {
			t.Fatalf("message %d: %+v", i, h)
		}
	}
	if s := l.Stats(); s.Received != total || s.Late != 0 || s.Malformed != 0 || len(s.Agents) != 1 {
		t.Errorf("%+v", s)
	}
}

// sngrep listens: it writes what we sent to a capture.
func TestToSngrep(t *testing.T) {
	t.Parallel()
	sngrep := peer(t, "sngrep")
	p, file := freeUDP(t), filepath.Join(t.TempDir(), "out.pcap")
	out, stop := run(t, sngrep, "-F", "-N", "-q", "-L", "udp:127.0.0.1:"+p, "-O", file)
	s := sending(t, SendOptions{Address: "udp:127.0.0.1:" + p, CaptureID: 2001, Node: "sipscope", Key: "myHep"}, 0)
	const total = 200
	bound(t, p, out)
	for i := range total {
		m := numbered(i, time.Now())
		m.Payload, m.CorrelationID = []byte(invite(i)), []byte("id")
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			time.Sleep(10 * time.Millisecond) // its buffer is the system's default
		}
	}
	closeSender(t, s)
	seen := map[int]bool{}
	eventually(t, "sngrep has written all", func() bool {
		seen = invites(t, file)
		if len(seen) < total {
			time.Sleep(100 * time.Millisecond)
		}
		return len(seen) == total || len(seen) > 0 && len(out.String()) > 1<<20
	})
	stop()
	if seen = invites(t, file); len(seen) != total {
		t.Errorf("%d of %d\n%s", len(seen), total, out)
	}
}

// bound waits until somebody listens on a UDP port.
func bound(t *testing.T, p string, out *said) {
	t.Helper()
	for range 500 {
		c, err := net.ListenPacket("udp", "127.0.0.1:"+p)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("nobody listens on %s\n%s", p, out)
}

// invites reads a capture as far as it is written, and gives the numbers of the messages in it.
func invites(t *testing.T, file string) map[int]bool {
	t.Helper()
	seen := map[int]bool{}
	fs, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		return seen // not there yet
	}
	defer fs.Close()
	var b capture.Batch
	for {
		if err := fs.Next(t.Context(), &b); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, capture.ErrDamaged) {
				t.Error(err)
			}
			return seen
		}
		for i := range b.Packets {
			_, rest, ok := bytes.Cut(b.Packets[i].Data, []byte("Call-ID: "))
			if !ok {
				continue
			}
			number, _, _ := bytes.Cut(rest, []byte("@"))
			if n, err := strconv.Atoi(string(number)); err == nil {
				seen[n] = true
			}
		}
	}
}

// kamailio runs with a configuration.
func kamailio(t *testing.T, config string) (out *said) {
	t.Helper()
	path := peer(t, "kamailio")
	dir := t.TempDir()
	file := filepath.Join(dir, "kamailio.cfg")
	head := "#!KAMAILIO\ndebug=0\nlog_stderror=yes\nfork=no\nchildren=1\n"
	if err := os.WriteFile(file, []byte(head+strings.ReplaceAll(config, "DIR", dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, _ = run(t, path, "-f", file, "-DD", "-E", "-m", "32", "-M", "4", "-w", dir, "-Y", dir)
	return out
}

// Kamailio traces what it handles, in each version: requests that it got and its answers to them.
func TestFromKamailio(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 3; version++ {
		for _, over := range []string{"udp", "tcp"} {
			if over == "tcp" && version < 3 {
				continue // these do not come in streams
			}
			t.Run(fmt.Sprintf("version %d, %s", version, over), func(t *testing.T) {
				t.Parallel()
				l := listening(t, ListenOptions{Addresses: []string{over + ":127.0.0.1:0"}})
				sip := freeUDP(t)
				transport := ""
				if over == "tcp" {
					transport = ";transport=tcp"
				}
				out := kamailio(t, fmt.Sprintf(`
listen=udp:127.0.0.1:%[1]s
listen=tcp:127.0.0.1:%[1]s
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "siptrace.so"
modparam("siptrace", "duplicate_uri", "sip:127.0.0.1:%[2]s%[3]s")
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", %[4]d)
modparam("siptrace", "hep_capture_id", 77)
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_flag", 22)
request_route { setflag(22); sip_trace(); sl_send_reply("200", "OK"); }
`, sip, port(l, 0), transport, version))
				bound(t, sip, out)
				fromKamailio(t, l, sip, version, out)
			})
		}
	}
}

func fromKamailio(t *testing.T, l *Listener, sip string, version int, out *said) {
	t.Helper()
	c, err := net.Dial("udp", "127.0.0.1:"+sip)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const total = 20
	answer := make([]byte, 4096)
	for i := range total {
		write(t, c, fmt.Appendf(nil, "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n"+
			"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: %d@x\r\nCSeq: 1 OPTIONS\r\n"+
			"Content-Length: 0\r\n\r\n", c.LocalAddr(), i, i))
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(answer); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	r := reader{s: l}
	all := r.read(t, 2*total, 10*time.Second)
	requests, answers := 0, 0
	for _, g := range all {
		switch h := g.hep; {
		case bytes.HasPrefix(h.Payload, []byte("OPTIONS ")) && h.Src.String() == c.LocalAddr().String() &&
			h.Dst.String() == "127.0.0.1:"+sip:
			requests++
		case bytes.HasPrefix(h.Payload, []byte("SIP/2.0 200")) && h.Dst.String() == c.LocalAddr().String():
			answers++
		default:
			t.Errorf("%+v", h)
		}
		id := uint32(77)
		if version == 1 {
			id = 0
		}
		if int(g.hep.Version) != version || g.hep.CaptureID != id || g.hep.Proto != protoUDP ||
			time.Since(time.Unix(0, g.at)) > time.Minute {
			t.Errorf("%+v", g.hep)
		}
	}
	if requests != total || answers != total {
		t.Errorf("%d requests, %d answers of %d: %+v\n%s", requests, answers, total, l.Stats(), out)
	}
}

// Kamailio takes what we send for what it captured: it logs each message with its source. (What it calls the
// destination is the source again in 5.6.)
func TestToKamailio(t *testing.T) {
	t.Parallel()
	p := freeUDP(t)
	out := kamailio(t, `
listen=udp:127.0.0.1:`+p+`
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("sipcapture", "db_url", "text://DIR")
modparam("sipcapture", "hep_capture_on", 1)
request_route { xlog("L_ERR", "SEEN $rm $ci from $si:$(sp)!\n"); drop; }
`)
	bound(t, p, out)
	s := sending(t, SendOptions{Address: "udp:127.0.0.1:" + p, CaptureID: 5, Node: "sipscope", Key: "key"}, 0)
	const total = 100
	for i := range total {
		m := numbered(i, time.Now())
		m.Payload = []byte(invite(i))
		if err := s.Send(m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	closeSender(t, s)
	want := func(i int) string {
		return fmt.Sprintf("SEEN INVITE %d@192.0.2.1 from 192.0.2.1:5060!", i)
	}
	eventually(t, "Kamailio has seen the last", func() bool { return strings.Contains(out.String(), want(total-1)) })
	text := out.String()
	for i := range total {
		if !strings.Contains(text, want(i)) {
			t.Errorf("no %q in\n%.2000s", want(i), text)
			break
		}
	}
}

// Wireshark reads what a listener gives, and finds lengths and checksums right.
func TestDatagramsInTshark(t *testing.T) {
	t.Parallel()
	tshark := peer(t, "tshark")
	out := capture.AppendPcapHeader(nil, capture.LinkRaw)
	const total = 40
	for i := range total {
		src, dst := a4, b4
		if i%2 == 1 {
			src, dst = a6, b6
		}
		m := encode(t, &Packet{Src: a4, Dst: b4, Payload: make([]byte, i*37)})
		data := append(make([]byte, datagramHead(src.Addr())), m...)
		putDatagram(data, src, dst, uint16(i))
		var err error
		if out, err = capture.AppendPcapRecord(out, &capture.Packet{Time: 1, Data: data, WireLen: uint32(len(data))}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := exec.CommandContext(ctx, tshark, "-r", file, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-T", "fields", "-e", "udp.checksum.status", "-e", "ip.checksum.status", "-e", "_ws.malformed").Output()
	if err != nil {
		t.Fatal(err)
	}
	v4, v6 := strings.Count(string(got), "1\t1\t\n"), strings.Count(string(got), "1\t\t\n")
	if v4 != total/2 || v6 != total/2 {
		t.Errorf("%d of IPv4 and %d of IPv6 are right, want %d each:\n%s", v4, v6, total/2, got)
	}
}
