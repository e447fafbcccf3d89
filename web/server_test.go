package web

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sipscope/correlate"
)

// running is a server with a listener of its own.
type running struct {
	*Server

	url  string
	stop context.CancelFunc
	end  chan error
}

func run(tb testing.TB, cfg Config) *running {
	tb.Helper()
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	if err = s.Listen(ctx); err != nil {
		tb.Fatal(err)
	}
	r := &running{Server: s, stop: stop, end: make(chan error, 1), url: "http://" + s.Addr().String()}
	go func() { r.end <- s.Serve(ctx) }()
	tb.Cleanup(func() {
		stop()
		transport.CloseIdleConnections()
	})
	return r
}

func get(tb testing.TB, client *http.Client, url string) (status int, body string) {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestRun(t *testing.T) {
	t.Parallel()
	r := run(t, config(t, flows(t)))
	if r.Addr() == nil || strings.HasSuffix(r.url, ":0") {
		t.Fatalf("address %v", r.Addr())
	}
	if status, body := get(t, client, r.url+"/api/v1/calls"); status != 200 || !strings.Contains(body, `"calls":[{`) {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := get(t, client, strings.Replace(r.url, "127.0.0.1", "localhost", 1)+"/"); status != 200 {
		t.Errorf("localhost: %d", status)
	}
	second := config(t, flows(t))
	second.Listen = r.Addr().String()
	if err := newServer(t, second).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("the same address twice: %v", err)
	}
	r.stop()
	if err := <-r.end; err != nil {
		t.Errorf("ended with %v", err)
	}
	if err := newServer(t, config(t, flows(t))).Serve(t.Context()); !errors.Is(err, ErrConfig) {
		t.Errorf("Serve before Listen: %v", err)
	}
}

// TestGracefulStop holds that streams end at once, that an answer under way is finished, and that nothing is left.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	data := flows(t)
	began, finish := make(chan struct{}), make(chan struct{})
	data.Report = func(_ context.Context, w io.Writer, _ []uint32) error {
		close(began)
		<-finish
		_, err := io.WriteString(w, "whole")
		return err
	}
	r := run(t, config(t, data))
	l := listen(t, r.url, "")
	l.next("state")
	answer := make(chan string, 1)
	go func() {
		_, body := get(t, client, r.url+"/api/v1/calls/1/download?format=report")
		answer <- body
	}()
	<-began
	r.stop()
	begin := time.Now()
	for range l.ch {
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("the stream ended after %v", d)
	}
	select {
	case err := <-r.end:
		t.Fatalf("ended before the answer was given: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	if body := <-answer; body != "whole" {
		t.Errorf("answer %q", body)
	}
	if err := <-r.end; err != nil {
		t.Error(err)
	}
}

// TestStopWhileStuck holds that an answer without end is broken off.
func TestStopWhileStuck(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes the 5 s that answers get")
	}
	t.Parallel()
	data := flows(t)
	began := make(chan struct{})
	data.Report = func(ctx context.Context, _ io.Writer, _ []uint32) error {
		close(began)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	var log bytes.Buffer
	cfg := config(t, data)
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := run(t, cfg)
	go func() {
		resp, err := client.Get(r.url + "/api/v1/calls/1/download?format=report")
		if err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	r.stop()
	if err := <-r.end; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "broken off") {
		t.Errorf("log %s", &log)
	}
}

// certificate makes files for 127.0.0.1.
func certificate(tb testing.TB) (certFile, keyFile string, pool *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if err = errors.Join(os.WriteFile(certFile, chain, 0o600), os.WriteFile(keyFile, private, 0o600)); err != nil {
		tb.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	return certFile, keyFile, pool
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	var pool *x509.CertPool
	cfg.CertFile, cfg.KeyFile, pool = certificate(t)
	cfg.Auth.Token = "tok"
	r := run(t, cfg)
	secured := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer secured.CloseIdleConnections()
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	browser := &http.Client{Transport: secured, CheckRedirect: noRedirect}
	base := strings.Replace(r.url, "http:", "https:", 1)
	resp, err := browser.Get(base + "/?token=tok")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cookies := resp.Cookies()
	if resp.StatusCode != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].Secure || !strings.HasPrefix(cookies[0].Name, "__Host-sipscope-") ||
		resp.ProtoMajor != 2 {
		t.Errorf("%s %s %+v", resp.Proto, resp.Status, cookies)
	}
	if status, _ := get(t, browser, base+"/api/v1/calls"); status != 401 {
		t.Errorf("without a session: %d", status)
	}
	old := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}}
	if resp, err = (&http.Client{Transport: old}).Get(base + "/"); err == nil {
		resp.Body.Close()
		t.Error("TLS 1.1 is let in")
	}
	r.stop()
	if err := <-r.end; err != nil {
		t.Error(err)
	}
}

// TestLargeHeader holds the bound of headers.
func TestLargeHeader(t *testing.T) {
	t.Parallel()
	r := run(t, config(t, flows(t)))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Large", strings.Repeat("x", 2*maxHeader))
	resp, err := transport.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s", resp.Status)
		}
	}
	r.stop()
	<-r.end
}

// TestManyReaders opens 200 streams while a board fills, kills half of them midway, and finds the rest told of the end
// and no goroutine left (see TestMain).
func TestManyReaders(t *testing.T) {
	t.Parallel()
	const readers = 200
	f := newFeed(t)
	f.push(invite(0))
	r := run(t, config(t, Data{Board: f.board}))
	clients := make([]*listener, readers)
	for i := range clients {
		clients[i] = listen(t, r.url, "")
	}
	var told sync.WaitGroup
	for i, l := range clients {
		told.Go(func() {
			for e := range l.ch {
				if e.name == "calls" && i%2 == 0 {
					l.body.Close() // in the middle of it
					return
				}
				if e.name == "state" && strings.Contains(e.data, `"done":true`) {
					return
				}
			}
			if i%2 == 1 {
				t.Errorf("reader %d was not told of the end", i)
			}
		})
	}
	for i := range 20 {
		f.push(invite(1 + i))
		time.Sleep(50 * time.Millisecond)
	}
	f.end()
	told.Wait()
	for range 500 {
		if r.streams.Load() <= readers/2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if n := r.streams.Load(); n != readers/2 {
		t.Errorf("%d streams are left, want %d", n, readers/2)
	}
	r.stop()
	if err := <-r.end; err != nil {
		t.Error(err)
	}
	if n := r.streams.Load(); n != 0 {
		t.Errorf("%d streams are left after the end", n)
	}
}

// TestWhileReading asks for everything while a board fills and evicts.
func TestWhileReading(t *testing.T) {
	t.Parallel()
	packets := manyPackets(3000)
	board := &correlate.Board{}
	src := &slow{packets: packets}
	done := make(chan error, 1)
	go func() {
		done <- correlate.Run(context.Background(), src, correlate.Config{
			Board: board, Workers: 2, Limits: correlate.Limits{Calls: 500},
		})
	}()
	h := newServer(t, config(t, Data{Board: board})).Handler()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; !board.Done(); n++ {
				for _, target := range []string{
					"/api/v1/calls?offset=" + itoa(n*50), "/api/v1/calls?sort=callid&order=desc", "/api/v1/calls?filter=state+==+%22answered%22",
					"/api/v1/calls/" + itoa(1+n*7+i), "/api/v1/overview", "/metrics", "/healthz", "/api/v1/download?format=csv&filter=num+<+100",
				} {
					if w := ask(h, "GET", strings.ReplaceAll(target, "<", "%3C")); w.Code >= 500 || w.Code == 400 {
						t.Errorf("%s: %d %.200s", target, w.Code, w.Body)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := decodeJSON[list](t, ask(newServer(t, config(t, Data{Board: board})).Handler(), "GET", "/api/v1/calls").Body.Bytes())
	if got.Of != 500 {
		t.Errorf("%d calls at the end", got.Of)
	}
}
