package tls_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	stdtls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"sipscope/decode/tls"
)

// chunk is bytes that one side wrote at once; side 0 is the client.
type chunk struct {
	from tls.Side
	b    []byte
}

// tape records what two sides write, in order.
type tape struct {
	mu     sync.Mutex
	chunks []chunk
}

func (t *tape) add(from tls.Side, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.chunks = append(t.chunks, chunk{from, bytes.Clone(b)})
}

type tapped struct {
	net.Conn
	tape *tape
	from tls.Side
}

func (c *tapped) Write(b []byte) (int, error) {
	c.tape.add(c.from, b)
	return c.Conn.Write(b)
}

func selfSigned(tb testing.TB, key any, public any) stdtls.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sip.example.com"}, DNSNames: []string{"sip.example.com"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		tb.Fatal(err)
	}
	return stdtls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// certificates are made once: RSA and ECDSA.
func certificates(tb testing.TB) (rsaCert, ecCert stdtls.Certificate) {
	tb.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return selfSigned(tb, k, &k.PublicKey), selfSigned(tb, e, &e.PublicKey)
}

// what the two sides say in every session.
func exchange() []chunk {
	long := strings.Repeat("v=0 and so on\r\n", 1500) // over a record's size
	return []chunk{
		{0, []byte("REGISTER sip:example.com SIP/2.0\r\n\r\n")},
		{1, []byte("SIP/2.0 401 Unauthorized\r\n\r\n")},
		{0, []byte(long)},
		{1, []byte("SIP/2.0 200 OK\r\n\r\n")},
		{0, []byte("BYE\r\n")},
		{1, []byte(long + "end")},
	}
}

// talk makes a session and gives its bytes.
func talk(tb testing.TB, cc, sc *stdtls.Config) []chunk {
	tb.Helper()
	a, b := net.Pipe()
	rec := &tape{}
	cl := stdtls.Client(&tapped{a, rec, 0}, cc)
	sv := stdtls.Server(&tapped{b, rec, 1}, sc)
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- sv.HandshakeContext(ctx) }()
	if err := cl.HandshakeContext(ctx); err != nil {
		tb.Fatal(err)
	}
	if err := <-done; err != nil {
		tb.Fatal(err)
	}
	for _, c := range exchange() {
		from, to := cl, sv
		if c.from == 1 {
			from, to = sv, cl
		}
		go func() {
			_, err := from.Write(c.b)
			done <- err
		}()
		if _, err := io.ReadFull(to, make([]byte, len(c.b))); err != nil {
			tb.Fatal(err)
		}
		if err := <-done; err != nil {
			tb.Fatal(err)
		}
	}
	go func() { done <- cl.Close() }()
	_, _ = io.Copy(io.Discard, sv)
	<-done
	a.Close()
	b.Close()
	return rec.chunks
}

// heard collects plaintext.
type heard struct {
	text [2]bytes.Buffer
	gaps int
	bad  string
}

func (h *heard) Plain(t *tls.Text) {
	h.text[t.From].Write(t.Data)
	if t.AfterGap {
		h.gaps++
	}
	if t.Off < 0 || t.Size <= len(t.Data) {
		h.bad = fmt.Sprintf("%d bytes out of a record at %d of %d bytes", len(t.Data), t.Off, t.Size)
	}
}

func (h *heard) check(tb testing.TB, want []chunk) {
	tb.Helper()
	var all [2]bytes.Buffer
	for _, c := range want {
		all[c.from].Write(c.b)
	}
	for side := range all {
		if !bytes.Equal(all[side].Bytes(), h.text[side].Bytes()) {
			tb.Errorf("side %d: %d bytes, want %d", side, h.text[side].Len(), all[side].Len())
		}
	}
	if h.bad != "" {
		tb.Error(h.bad)
	}
}

func keysOf(log string) *tls.Keys {
	k := tls.NewKeys()
	k.Add([]byte(log))
	k.End()
	return k
}

// configs gives a client's and a server's configuration that log keys into one buffer.
func configs(cert stdtls.Certificate, version uint16, suites ...uint16) (cc, sc *stdtls.Config, log *bytes.Buffer) {
	log = &bytes.Buffer{}
	cc = &stdtls.Config{
		InsecureSkipVerify: true, ServerName: "sip.example.com", NextProtos: []string{"sip"}, KeyLogWriter: log,
		MinVersion: version, MaxVersion: version, CipherSuites: suites,
	}
	sc = &stdtls.Config{
		Certificates: []stdtls.Certificate{cert}, MinVersion: version, MaxVersion: version, CipherSuites: suites,
		NextProtos: []string{"sip"},
	}
	return cc, sc, log
}

func allSuites() []*stdtls.CipherSuite {
	return append(stdtls.CipherSuites(), stdtls.InsecureCipherSuites()...)
}

func TestSuites(t *testing.T) {
	t.Parallel()
	rsaCert, ecCert := certificates(t)
	for _, s := range allSuites() {
		for _, v := range s.SupportedVersions {
			cert := rsaCert
			if strings.Contains(s.Name, "ECDSA") {
				cert = ecCert
			}
			t.Run(fmt.Sprintf("%s/%s", stdtls.VersionName(v), s.Name), func(t *testing.T) {
				t.Parallel()
				cc, sc, log := configs(cert, v, s.ID)
				chunks := talk(t, cc, sc)
				for _, size := range []int{1 << 20, 1460, 7} {
					var h heard
					c := tls.NewConn(keysOf(log.String()), &h)
					feed(c, chunks, size)
					h.check(t, exchange())
					i := c.Info()
					if i.State != tls.Readable || i.ServerName != "sip.example.com" || i.ALPN != "sip" || i.Version != v {
						t.Errorf("%+v", i)
					}
					if i.Lost > 0 || h.gaps > 0 || v != stdtls.VersionTLS13 && i.Suite != s.ID {
						t.Errorf("lost %d, gaps %d, suite %#x", i.Lost, h.gaps, i.Suite)
					}
				}
			})
		}
	}
}

// wire keeps what a Conn does not take, as its owner must.
type wire struct {
	c    *tls.Conn
	rest [2][]byte
}

// take gives bytes, and turns as it is told.
func (w *wire) take(from tls.Side, b []byte) {
	w.rest[from] = append(w.rest[from], b...)
	for {
		n, turn := w.c.Offer(from, w.rest[from])
		w.rest[from] = w.rest[from][n:]
		if !turn {
			return
		}
		from = 1 - from
	}
}

// gap takes the place of n bytes.
func (w *wire) gap(from tls.Side, n int) {
	w.c.Gap(from, w.rest[from], n)
	w.rest[from] = nil
}

// feed gives chunks in pieces of at most size bytes.
func feed(c *tls.Conn, chunks []chunk, size int) *wire {
	w := &wire{c: c}
	for _, x := range chunks {
		for b := x.b; len(b) > 0; {
			n := min(size, len(b))
			w.take(x.from, b[:n])
			b = b[n:]
		}
	}
	return w
}
