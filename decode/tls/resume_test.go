package tls_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/decode/tls"
)

// needOpenSSL skips the test where there is none, which CI must have.
func needOpenSSL(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("openssl is missing: apt-get install openssl")
		}
		t.Skip("no openssl in the path: apt-get install openssl")
	}
}

// serverOf starts openssl s_server until the end of the test. It serves one connection after the other.
func serverOf(t *testing.T, cert string, args ...string) (target string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target = ln.Addr().String()
	ln.Close()
	srv := exec.CommandContext(t.Context(), "openssl", append([]string{"s_server", "-accept", target, "-cert", cert, "-key", cert}, args...)...)
	in, err := srv.StdinPipe() // its end would end the server
	if err != nil {
		t.Fatal(err)
	}
	if err = srv.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = srv.Process.Kill()
		_ = srv.Wait()
	})
	for range 100 {
		if c, dialErr := net.Dial("tcp", target); dialErr == nil {
			c.Close()
			return target
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no server")
	return ""
}

// visit has openssl s_client say a line to a server, wait for a while, and go. It gives what went over the wire, and the
// client's key log.
func visit(t *testing.T, target, line string, args ...string) (*tape, string) {
	t.Helper()
	addr, rec := relay(t, target)
	log := filepath.Join(t.TempDir(), "keys")
	cl := exec.CommandContext(t.Context(), "openssl", append([]string{"s_client", "-connect", addr, "-keylogfile", log, "-no_ign_eof"}, args...)...)
	in, err := cl.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cl.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	_, _ = io.WriteString(in, line)
	time.Sleep(300 * time.Millisecond)
	in.Close()
	_ = cl.Wait()
	keys, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return rec, string(keys)
}

// taken gives the chunks of a tape that goes on.
func (t *tape) taken() []chunk {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.chunks)
}

// TestResumedByOpenSSL resumes sessions by session id, by ticket and by PSK. Of TLS 1.2 the line of the first handshake is
// enough for both; a PSK has secrets of its own.
func TestResumedByOpenSSL(t *testing.T) {
	t.Parallel()
	needOpenSSL(t)
	rsaCert, _ := certificates(t)
	cert := keyFile(t, rsaCert)
	for _, x := range []struct {
		name   string
		args   []string
		own    bool // secrets of the second handshake are needed
		ticket bool
	}{
		{"session id", []string{"-tls1_2", "-no_ticket"}, false, false},
		{"ticket", []string{"-tls1_2"}, false, true},
		{"session id, tls 1.1", []string{"-tls1_1", "-no_ticket", "-cipher", "ALL:@SECLEVEL=0"}, false, false},
		{"psk", []string{"-tls1_3"}, true, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			server := []string{"-rev"}
			if slices.Contains(x.args, "-tls1_1") {
				server = append(server, "-cipher", "ALL:@SECLEVEL=0")
			}
			target := serverOf(t, cert, server...)
			session := filepath.Join(t.TempDir(), "session")
			first, log := visit(t, target, "one\n", append([]string{"-sess_out", session}, x.args...)...)
			second, more := visit(t, target, "two\n", append([]string{"-sess_in", session}, x.args...)...)
			if x.own {
				log += more
			}
			keys := keysOf(log)
			for i, rec := range []*tape{first, second} {
				var h heard
				c := tls.NewConn(keys, &h)
				feed(c, rec.taken(), 1460)
				want := [...]string{"one\n", "two\n"}[i]
				if h.text[0].String() != want || h.text[1].String() != reversed(strings.TrimSpace(want)) {
					t.Errorf("%d: client %q, server %q, %+v", i, h.text[0].String(), h.text[1].String(), c.Info())
				}
				if info := c.Info(); info.Lost > 0 || info.Resumed != (i == 1 && !x.own) {
					t.Errorf("%d: %+v", i, info)
				}
				checkSecrets(t, c, rec.taken(), want)
			}
		})
	}
}

// checkSecrets reads a connection again with the secrets that it says fitted.
func checkSecrets(t *testing.T, c *tls.Conn, chunks []chunk, want string) {
	t.Helper()
	var h heard
	feed(tls.NewConn(keysOf(string(c.Secrets())), &h), chunks, 1460)
	if h.text[0].String() != want {
		t.Errorf("with its own secrets the client says %q, want %q:\n%s", h.text[0].String(), want, c.Secrets())
	}
}

// TestEarlyData reads what a client of TLS 1.3 sends before the handshake is over (RFC 8446 2.3): with its secret, without,
// and when the server does not take it.
func TestEarlyData(t *testing.T) {
	t.Parallel()
	needOpenSSL(t)
	rsaCert, _ := certificates(t)
	cert := keyFile(t, rsaCert)
	early := filepath.Join(t.TempDir(), "early")
	if err := os.WriteFile(early, []byte("OPTIONS sip:early@example.com SIP/2.0\r\n\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprintf("refused %t", refused), func(t *testing.T) {
			t.Parallel()
			target := serverOf(t, cert, "-early_data", "-tls1_3")
			session := filepath.Join(t.TempDir(), "session")
			visit(t, target, "one\n", "-tls1_3", "-sess_out", session)
			if refused { // it was given another session's tickets, and has keys for none of them
				target = serverOf(t, cert, "-early_data", "-tls1_3")
			}
			rec, log := visit(t, target, "two\n", "-tls1_3", "-sess_in", session, "-early_data", early)
			if !strings.Contains(log, "CLIENT_EARLY_TRAFFIC_SECRET ") {
				t.Fatalf("the client sent no early data:\n%s", log)
			}
			var h heard
			c := tls.NewConn(keysOf(log), &h)
			feed(c, rec.taken(), 1460)
			// what a server refuses was said all the same, and is said again, if at all, as any other data
			if want := "OPTIONS sip:early@example.com SIP/2.0\r\n\r\ntwo\n"; h.text[0].String() != want || c.Info().Lost > 0 {
				t.Errorf("%q, %+v", h.text[0].String(), c.Info())
			}
			checkSecrets(t, c, rec.taken(), h.text[0].String())
			var without []string
			for line := range strings.Lines(log) {
				if !strings.HasPrefix(line, "CLIENT_EARLY") {
					without = append(without, line)
				}
			}
			h = heard{}
			c = tls.NewConn(keysOf(strings.Join(without, "")), &h)
			feed(c, rec.taken(), 1460)
			if h.text[0].String() != "two\n" {
				t.Errorf("without its secret: %q, %+v", h.text[0].String(), c.Info())
			}
		})
	}
}
