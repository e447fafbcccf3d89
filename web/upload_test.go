package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/render/save"
)

// uploader opens uploaded captures, as cmd/sipscope does, but in memory.
type uploader struct{ opened, closed atomic.Int64 }

func (u *uploader) open(ctx context.Context, name string, body io.Reader) (*Data, error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	files, err := capture.NewReader(name, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	board := &correlate.Board{}
	if err = correlate.Run(ctx, files, correlate.Config{Workers: 1, Board: board}); err != nil {
		return nil, errors.Join(err, files.Close())
	}
	u.opened.Add(1)
	return &Data{Board: board, Save: save.Source{}, Close: func() error {
		u.closed.Add(1)
		return files.Close()
	}}, nil
}

func send(h http.Handler, target, kind string, body io.Reader, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, body)
	r.Host = "localhost"
	r.Header.Set("Content-Type", kind)
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// form is a multipart form with a file, and a field before it.
func form(tb testing.TB, field, name string, b []byte) (kind string, body *bytes.Buffer) {
	tb.Helper()
	body = &bytes.Buffer{}
	m := multipart.NewWriter(body)
	_ = m.WriteField("note", "x")
	part, err := m.CreateFormFile(field, name)
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = part.Write(b)
	m.Close()
	return m.FormDataContentType(), body
}

func TestUpload(t *testing.T) {
	t.Parallel()
	trace, err := os.ReadFile(flowFile(t, "busy-486"))
	if err != nil {
		t.Fatal(err)
	}
	u := &uploader{}
	cfg := config(t, flows(t))
	cfg.Upload, cfg.UploadLimit = u.open, int64(len(trace))
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h := s.Handler()
	w := send(h, "/api/v1/upload?name=a/b/trace%1b.pcap", "application/octet-stream", bytes.NewReader(trace))
	if w.Code != 202 || w.Header().Get("Location") != "/u/1/" || !strings.Contains(w.Body.String(), `"title":"trace\\x1b.pcap"`) {
		t.Fatalf("raw: %d %v %s", w.Code, w.Header(), w.Body)
	}
	kind, body := form(t, "file", `C:\captures\busy.pcap`, trace)
	w = send(h, "/u/1/api/v1/upload", kind, body, header("Accept", "text/html,*/*"))
	if w.Code != 303 || w.Header().Get("Location") != "/u/2/" {
		t.Fatalf("form: %d %v %s", w.Code, w.Header(), w.Body)
	}
	for target, want := range map[string]string{
		"/u/2/":              "base=/u/2 path=/u/2/ ",
		"/u/2/calls":         "<title>busy.pcap</title>",
		"/u/2/calls/1?m=2":   "call=1",
		"/u/2/api/v1/calls":  `"total":1,"of":1,`,
		"/u/1/api/v1/fields": `"fields"`,
		"/u/2/api/v1/calls/1/download?format=ladder": "INVITE",
		"/u/2/api/v1/overview":                       `{"calls":1,`,
	} {
		if w = ask(h, "GET", target); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %.200s", target, w.Code, w.Body)
		}
	}
	for target, want := range map[string]int{
		"/u/1": 307, "/u/3/": 404, "/u/01/": 404, "/u/x/calls": 404, "/u/1/calls/7": 404, "/u/3/api/v1/calls": 404, "/u/1/healthz": 404,
	} {
		if w = ask(h, "GET", target); w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
	}
	for range maxUploads {
		if w = send(h, "/api/v1/upload", "", bytes.NewReader(trace)); w.Code != 202 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w = ask(h, "GET", "/u/2/"); w.Code != 404 {
		t.Errorf("an old capture: %d", w.Code)
	}
	if w = ask(h, "GET", "/u/10/"); w.Code != 200 || !strings.Contains(w.Body.String(), "<title>upload</title>") {
		t.Errorf("a new capture: %d %s", w.Code, w.Body)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if u.opened.Load() != 10 || u.closed.Load() != 10 {
		t.Errorf("%d opened, %d closed", u.opened.Load(), u.closed.Load())
	}
	if w = ask(h, "GET", "/api/v1/calls"); w.Code != 404 {
		t.Errorf("after Close: %d", w.Code)
	}
}

func TestUploadProblems(t *testing.T) {
	t.Parallel()
	trace, err := os.ReadFile(flowFile(t, "busy-486"))
	if err != nil {
		t.Fatal(err)
	}
	u := &uploader{}
	cfg := config(t, flows(t))
	cfg.Upload, cfg.UploadLimit = u.open, int64(len(trace))
	s := newServer(t, cfg)
	h := s.Handler()
	formKind, formBody := form(t, "other", "x", trace)
	largeKind, large := form(t, "file", "x", make([]byte, len(trace)+uploadOverhead+10))
	tests := []struct {
		name, kind string
		body       io.Reader
		change     func(*http.Request)
		status     int
		want       string
	}{
		{"no capture", "", strings.NewReader("hello"), nil, 415, "it is no capture"},
		{"nothing", "", strings.NewReader(""), nil, 415, "it is no capture"},
		{"a byte more", "", bytes.NewReader(append(bytes.Clone(trace), 0)), nil, 413, "a capture may have"},
		{"a byte more, of unknown length", "", io.MultiReader(bytes.NewReader(trace), strings.NewReader("x")), nil, 413, "a capture may have"},
		{"much more", "", bytes.NewReader(make([]byte, len(trace)+uploadOverhead+1)), nil, 413, "a capture may have"},
		{"form that is too large", largeKind, large, nil, 413, "a capture may have"},
		{"form without a file", formKind, formBody, nil, 400, "the form has no file"},
		{"form without a boundary", "multipart/form-data", bytes.NewReader(trace), nil, 400, "cannot be read"},
		{"form that is none", "multipart/form-data; boundary=x", bytes.NewReader(trace), nil, 400, "the form has no file"},
		{"from another site", "", bytes.NewReader(trace), header("Sec-Fetch-Site", "cross-site"), 403, "another site"},
		{"from another origin", "", bytes.NewReader(trace), header("Origin", "http://evil.example"), 403, "another site"},
	}
	for _, tt := range tests {
		if tt.change == nil {
			tt.change = func(*http.Request) {}
		}
		w := send(h, "/api/v1/upload", tt.kind, tt.body, tt.change)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
	}
	s.uploads.taking.Lock()
	if w := send(h, "/api/v1/upload", "", bytes.NewReader(trace)); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("two at a time: %d", w.Code)
	}
	s.uploads.taking.Unlock()
	if w := send(h, "/api/v1/upload", "", bytes.NewReader(trace)); w.Code != 202 {
		t.Errorf("as large as can be: %d %s", w.Code, w.Body)
	}
	if u.opened.Load() != 1 {
		t.Errorf("%d opened", u.opened.Load())
	}
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "upload", ".": "upload", "/": "upload", "a/b.pcap": "b.pcap", `C:\x\y.pcap`: "y.pcap", "../..": "..",
		"a\x00b\n": `a\x00b\n`, strings.Repeat("ü", 300): strings.Repeat("ü", 100), "\xff": `\xff`,
	} {
		if got := fileName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
