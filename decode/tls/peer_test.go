package tls_test

import (
	"bufio"
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipscope/decode/tls"
)

// keyFile writes a certificate and its key for openssl.
func keyFile(t *testing.T, cert stdtls.Certificate) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	_ = pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	path := filepath.Join(t.TempDir(), "pem")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// relay passes bytes between a client that connects to it and a server, and records them.
func relay(t *testing.T, server string) (addr string, rec *tape) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	rec = &tape{}
	go func() {
		a, err := ln.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", server)
		if err != nil {
			a.Close()
			return
		}
		go func() {
			_, _ = io.Copy(&tapped{b, rec, 0}, a)
			_ = b.(*net.TCPConn).CloseWrite() //nolint:forcetypeassert // it was dialled so
		}()
		_, _ = io.Copy(&tapped{a, rec, 1}, b)
		a.Close()
	}()
	return ln.Addr().String(), rec
}

// openssl runs a real server and a real client with a relay between them. words go to both; the client types lines.
func openssl(t *testing.T, cert string, server, clientArgs []string, lines ...string) (*tape, string) {
	t.Helper()
	dir := t.TempDir()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on TCP
	ln.Close()
	srv := exec.CommandContext(t.Context(), "openssl", append([]string{
		"s_server", "-accept", fmt.Sprintf("127.0.0.1:%d", port), "-cert", cert, "-key", cert, "-rev",
	}, server...)...)
	if err = srv.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = srv.Process.Kill()
		_ = srv.Wait()
	}()
	target := fmt.Sprintf("127.0.0.1:%d", port)
	for range 100 {
		if c, dialErr := net.Dial("tcp", target); dialErr == nil { // it takes connections one after the other
			c.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	addr, rec := relay(t, target)
	log := filepath.Join(dir, "keys")
	cl := exec.CommandContext(t.Context(), "openssl", append([]string{
		"s_client", "-connect", addr, "-keylogfile", log, "-servername", "sip.example.com", "-no_ign_eof",
	}, clientArgs...)...)
	in, err := cl.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cl.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cl.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(15*time.Second, func() { _ = cl.Process.Kill() })
	defer kill.Stop()
	r := bufio.NewReader(out)
	for _, line := range lines {
		_, _ = io.WriteString(in, line+"\n")
		if len(line) < 2 { // a command of s_client
			time.Sleep(300 * time.Millisecond)
			continue
		}
		for answer := ""; answer != reversed(line); {
			if answer, err = r.ReadString('\n'); err != nil {
				break
			}
		}
	}
	in.Close()
	_, _ = io.Copy(io.Discard, r)
	_ = cl.Wait()
	keys, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return rec, string(keys)
}

// reversed is what s_server -rev answers to a line.
func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b) + "\n"
}

// TestOpenSSL reads sessions of the ciphers and extensions that crypto/tls does not have.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("openssl is missing: apt-get install openssl")
		}
		t.Skip("no openssl in the path: apt-get install openssl")
	}
	rsaCert, ecCert := certificates(t)
	rsaPEM, ecPEM := keyFile(t, rsaCert), keyFile(t, ecCert)
	low, all := []string{"-cipher"}, []string{"-cipher", "ALL"}
	for _, x := range []struct {
		name, pem      string
		server, client []string
		lines          []string
		onlyRSA        bool // only the RSA line of the log
		check          func(tls.Info) bool
	}{
		{"etm sha1", rsaPEM, nil, append(low, "AES128-SHA", "-tls1_2"), nil, false, nil},
		{"etm sha256", rsaPEM, nil, append(low, "ECDHE-RSA-AES128-SHA256", "-tls1_2"), nil, false, nil},
		{"etm sha384", rsaPEM, nil, append(low, "ECDHE-RSA-AES256-SHA384", "-tls1_2"), nil, false, nil},
		{"no etm sha384", rsaPEM, nil, append(low, "ECDHE-RSA-AES256-SHA384", "-tls1_2", "-no_etm"), nil, false, nil},
		{"dhe gcm", rsaPEM, nil, append(low, "DHE-RSA-AES256-GCM-SHA384", "-tls1_2"), nil, false, nil},
		{"dhe chacha", rsaPEM, nil, append(low, "DHE-RSA-CHACHA20-POLY1305", "-tls1_2"), nil, false, nil},
		{"ccm", ecPEM, all, append(low, "ECDHE-ECDSA-AES128-CCM", "-tls1_2"), nil, false, nil},
		{"ccm8 256", ecPEM, all, append(low, "ECDHE-ECDSA-AES256-CCM8", "-tls1_2"), nil, false, nil},
		{"rsa ccm", rsaPEM, all, append(low, "AES256-CCM", "-tls1_2"), nil, false, nil},
		{"tls 1.0 etm", rsaPEM, []string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, append(low, "AES256-SHA@SECLEVEL=0", "-tls1"), nil, false, nil},
		{"tls 1.1 etm", rsaPEM, []string{"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}, append(low, "AES256-SHA@SECLEVEL=0", "-tls1_1"), nil, false, nil},
		{"null", rsaPEM, []string{"-cipher", "ALL:eNULL:@SECLEVEL=0"}, append(low, "NULL-SHA256:@SECLEVEL=0", "-tls1_2"), nil, false, nil},
		{"psk", rsaPEM, []string{"-psk", "aabb"}, append(low, "PSK-AES128-CBC-SHA256", "-tls1_2", "-psk", "aabb"), nil, false, nil},
		{"rsa line, extended master secret", rsaPEM, nil, append(low, "AES256-GCM-SHA384", "-tls1_2"), nil, true, nil},
		{"rsa line, tls 1.0", rsaPEM, []string{"-tls1", "-cipher", "ALL:@SECLEVEL=0"}, append(low, "AES128-SHA@SECLEVEL=0", "-tls1"), nil, true, nil},
		{"1.3 ccm", rsaPEM, []string{"-ciphersuites", "TLS_AES_128_CCM_SHA256"}, []string{"-ciphersuites", "TLS_AES_128_CCM_SHA256", "-tls1_3"}, nil, false, nil},
		{"1.3 ccm8", rsaPEM, []string{"-ciphersuites", "TLS_AES_128_CCM_8_SHA256"}, []string{"-ciphersuites", "TLS_AES_128_CCM_8_SHA256", "-tls1_3"}, nil, false, nil},
		{"1.3 retry", rsaPEM, []string{"-groups", "P-384"}, []string{"-groups", "X25519:P-384", "-tls1_3"}, nil, false, nil},
		{"1.3 key update", rsaPEM, nil, []string{"-tls1_3"}, []string{"one line", "K", "two lines", "k", "three lines"}, false, nil},
		{"renegotiation", rsaPEM, []string{"-client_renegotiation"}, []string{"-tls1_2"}, []string{"one line", "R", "two lines"}, false, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			lines := x.lines
			if lines == nil {
				lines = []string{"INVITE sip:alice@example.com SIP/2.0", "GOODBYE sip:alice@example.com"}
			}
			rec, log := openssl(t, x.pem, x.server, x.client, lines...)
			if x.onlyRSA {
				var kept []string
				for line := range strings.Lines(log) {
					if strings.HasPrefix(line, "RSA ") {
						kept = append(kept, line)
					}
				}
				log = strings.Join(kept, "")
			}
			var h heard
			c := tls.NewConn(keysOf(log), &h)
			feed(c, rec.chunks, 1460)
			var want [2]string
			for _, l := range lines {
				if len(l) > 1 {
					want[0] += l + "\n"
					want[1] += reversed(l)
				}
			}
			i := c.Info()
			if h.text[0].String() != want[0] || h.text[1].String() != want[1] || i.State != tls.Readable || i.Lost > 0 {
				t.Errorf("client %q\nserver %q\n%+v\nlog:\n%s", h.text[0].String(), h.text[1].String(), i, log)
			}
		})
	}
}
