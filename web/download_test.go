package web

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/render/save"
)

// TestDownloads takes a call, and all calls, in each format, and reads captures again.
func TestDownloads(t *testing.T) {
	t.Parallel()
	data := flows(t)
	data.Report = func(_ context.Context, w io.Writer, calls []uint32) error {
		_, err := io.WriteString(w, "<!doctype html>report of "+itoa(len(calls)))
		return err
	}
	s := newServer(t, config(t, data))
	all := decodeJSON[list](t, ask(s.Handler(), "GET", "/api/v1/calls").Body.Bytes())
	begins := map[string]string{
		"text": "", "ladder": "", "ladder-ascii": "", "mermaid": "sequencediagram", "svg": "<?xml ", "html": "<!doctype html>", "json": "{",
		"ndjson": `{"num":1,`, "csv": "num,", "report": "<!doctype html>report of ",
	}
	safe := regexp.MustCompile(`^attachment; filename="[a-z]+(-[0-9]+)?\.[a-z]+"$`)
	for _, format := range s.main.formats() {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			for target, n := range map[string]int{"/api/v1/calls/1/download": 1, "/api/v1/download": all.Total} {
				w := ask(s.Handler(), "GET", target+"?format="+format)
				if format == "pcap" && n > 1 { // the flows are of two link types
					if w.Code != 409 || !strings.Contains(w.Body.String(), `"hint":"take pcapng"`) {
						t.Errorf("%s: %d %.200s", target, w.Code, w.Body)
					}
					continue
				}
				if w.Code != 200 || w.Body.Len() == 0 {
					t.Fatalf("%s: %d %.200s", target, w.Code, w.Body)
				}
				if d := w.Header().Get("Content-Disposition"); !safe.MatchString(d) {
					t.Errorf("%s: Content-Disposition %q", target, d)
				}
				if w.Header().Get("Content-Type") == "" {
					t.Errorf("%s: no Content-Type", target)
				}
				if !strings.HasPrefix(strings.ToLower(w.Body.String()), begins[format]) {
					t.Errorf("%s begins with %.60q", target, w.Body)
				}
				if got := callsIn(t, format, w.Body.Bytes()); got >= 0 && got != n {
					t.Errorf("%s: %d calls, want %d", target, got, n)
				}
			}
		})
	}
}

// callsIn counts the calls of a file, -1 when its format does not tell.
func callsIn(t *testing.T, format string, b []byte) int {
	t.Helper()
	switch format {
	case "pcap", "pcapng":
		files, err := capture.NewReader("test", bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		board := &correlate.Board{}
		if err = correlate.Run(t.Context(), files, correlate.Config{Workers: 1, Board: board}); err != nil {
			t.Fatal(err)
		}
		return int(board.Totals().Calls)
	case "ndjson":
		return bytes.Count(b, []byte("\n"))
	case "csv":
		rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return len(rows) - 1
	case "json":
		var doc struct{ Calls []json.RawMessage }
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		return len(doc.Calls)
	default:
		return -1
	}
}

func TestDownloadOfList(t *testing.T) {
	t.Parallel()
	h := newServer(t, config(t, manyCalls(t, maxDownload+1))).Handler()
	if w := ask(h, "GET", "/api/v1/download?format=csv"); w.Code != 422 || !strings.Contains(w.Body.String(), "10001 calls match") {
		t.Errorf("too many: %d %s", w.Code, w.Body)
	}
	w := ask(h, "GET", "/api/v1/download?format=ndjson&order=desc&filter="+q("num <= 10000"))
	if w.Code != 200 || bytes.Count(w.Body.Bytes(), []byte("\n")) != maxDownload {
		t.Errorf("as many as can be: %d, %d lines", w.Code, bytes.Count(w.Body.Bytes(), []byte("\n")))
	}
	if !strings.HasPrefix(w.Body.String(), `{"num":10000,`) {
		t.Errorf("begins with %.40s", w.Body)
	}
}

// TestBrokenDownload holds that a file that cannot be finished is not taken for a whole one.
func TestBrokenDownload(t *testing.T) {
	t.Parallel()
	data := flows(t)
	data.Report = func(_ context.Context, w io.Writer, calls []uint32) error {
		if calls[0] == 1 {
			return errors.New("before the first byte: /secret")
		}
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			return err
		}
		return errors.New("in the middle")
	}
	s := newServer(t, config(t, data))
	if w := ask(s.Handler(), "GET", "/api/v1/calls/1/download?format=report"); w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("before: %d %s", w.Code, w.Body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serveTest(t, s)+"/api/v1/calls/2/download?format=report", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err = io.ReadAll(resp.Body); err == nil {
		t.Error("the reader takes the half file for a whole one")
	}
	if n := len(s.heavy); n != 0 {
		t.Errorf("%d places are taken", n)
	}
}

// TestGate holds that few large answers are made at the same time.
func TestGate(t *testing.T) {
	t.Parallel()
	g := make(gate, 2)
	hold := make(chan struct{})
	for range cap(g) {
		go func() {
			_ = g.do(context.Background(), func(context.Context) error {
				<-hold
				return nil
			})
		}()
	}
	for len(g) < cap(g) {
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.do(ctx, func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(hold)
	for len(g) > 0 {
	}
	if err := g.do(context.Background(), func(context.Context) error { return save.ErrNothing }); !errors.Is(err, save.ErrNothing) {
		t.Errorf("%v", err)
	}
}
