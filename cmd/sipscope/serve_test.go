package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// get asks a server and gives status and body.
func get(t *testing.T, address string, header ...string) (status int, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

// whole waits until a server has read its captures.
func whole(t *testing.T, address string, header ...string) {
	t.Helper()
	for range 500 {
		if _, body := get(t, address+"/healthz", header...); bytes.Contains(body, []byte(`"reading":false`)) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the capture is never read")
}

// What the pages and programs ask for, of the real program; what sipscope export writes is what a download gives.
func TestServe(t *testing.T) {
	t.Parallel()
	address, end := serving(t, nil, pcap("two-proxies.pcap"), pcap("fork.pcap"))
	whole(t, address)
	if status, body := get(t, address+"/api/v1/calls?filter=dialogs%20%3D%3D"); status != http.StatusBadRequest || !bytes.Contains(body, []byte(`"column"`)) {
		t.Errorf("a wrong filter: %d %s", status, body)
	}
	status, body := get(t, address+"/api/v1/calls?sort=num&order=desc")
	var list struct {
		Total int                 `json:"total"`
		Calls []struct{ Num int } `json:"calls"`
	}
	if err := json.Unmarshal(body, &list); err != nil || status != http.StatusOK || list.Total != 2 || len(list.Calls) != 2 || list.Calls[0].Num != 2 {
		t.Errorf("%d %v %s", status, err, body)
	}
	dir := t.TempDir()
	for _, format := range []string{"pcapng", "text", "mermaid", "json", "svg", "ladder", "csv"} {
		out := filepath.Join(dir, "out."+format)
		sipscopeRun(t, "export", pcap("two-proxies.pcap"), pcap("fork.pcap"), "--call", "1", "--format", format, "-o", out)
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		status, got := get(t, address+"/api/v1/calls/1/download?format="+format)
		if status != http.StatusOK || !bytes.Equal(got[:min(200, len(got))], want[:min(200, len(want))]) && format != "ladder" && format != "svg" && format != "json" {
			t.Errorf("%s: %d, %.80q, want %.80q", format, status, got, want)
		}
	}
	if status, got := get(t, address+"/api/v1/calls/1/download?format=report"); status != http.StatusOK || !bytes.Contains(got, []byte("Content-Security-Policy")) {
		t.Errorf("report: %d, %.100s", status, got)
	}
	if status, got := get(t, address+"/metrics"); status != http.StatusOK || !bytes.Contains(got, []byte("sipscope_")) {
		t.Errorf("metrics: %d, %.100s", status, got)
	}
	for _, path := range []string{"/", "/calls", "/calls/1", "/calls/1?m=3"} {
		if status, got := get(t, address+path); status != http.StatusOK || !bytes.Contains(got, []byte("<!doctype html>")) {
			t.Errorf("%s: %d, %.100s", path, status, got)
		}
	}
	if status, _ := get(t, address+"/calls/99"); status != http.StatusNotFound {
		t.Errorf("a call that is not there: %d", status)
	}
	if code := end(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// A token keeps others out; a cut capture is served as far as it goes, and health says so.
func TestServeToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cret-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(pcap("fork.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.pcap")
	if err := os.WriteFile(cut, data[:3000], 0o600); err != nil {
		t.Fatal(err)
	}
	address, end := serving(t, nil, cut, "--token-file", token)
	if status, body := get(t, address+"/api/v1/calls"); status != http.StatusUnauthorized || bytes.Contains(body, []byte("fork-1")) {
		t.Errorf("without a token: %d %s", status, body)
	}
	auth := []string{"Authorization", "Bearer s3cret-token"}
	for range 500 {
		if _, body := get(t, address+"/api/v1/calls", auth...); bytes.Contains(body, []byte("fork-1@10.0.1.10")) {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if status, body := get(t, address+"/api/v1/calls", auth...); status != http.StatusOK || !bytes.Contains(body, []byte("fork-1@10.0.1.10")) {
		t.Errorf("with the token: %d %s", status, body)
	}
	if status, body := get(t, address+"/healthz", auth...); status != http.StatusServiceUnavailable {
		t.Errorf("health of a cut capture: %d %s", status, body)
	}
	if code := end(); code != exitDamaged {
		t.Errorf("exit code %d, want %d", code, exitDamaged)
	}
}

// A browser sends a capture and looks at it, when that is allowed.
func TestServeUpload(t *testing.T) {
	t.Parallel()
	address, _ := serving(t, nil, "--upload", "1MB")
	data, err := os.ReadFile(pcap("fork.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(body []byte) (int, string) {
		request, reqErr := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/api/v1/upload", bytes.NewReader(body))
		if reqErr != nil {
			t.Fatal(reqErr)
		}
		request.Header.Set("Content-Type", "application/octet-stream")
		request.Header.Set("Origin", address)
		answer, reqErr := http.DefaultClient.Do(request)
		if reqErr != nil {
			t.Fatal(reqErr)
		}
		defer answer.Body.Close()
		text, reqErr := io.ReadAll(answer.Body)
		if reqErr != nil {
			t.Fatal(reqErr)
		}
		return answer.StatusCode, answer.Header.Get("Location") + string(text)
	}
	status, text := send(data)
	if status >= 400 {
		t.Fatalf("%d %s", status, text)
	}
	found := false
	for range 200 {
		_, body := get(t, address+"/u/1/api/v1/calls")
		if found = bytes.Contains(body, []byte("fork-1@10.0.1.10")); found {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !found {
		t.Errorf("the uploaded capture is not there; the answer was %d %s", status, text)
	}
	if status, text := send([]byte("no capture at all")); status < 400 || status >= 500 {
		t.Errorf("a text: %d %s", status, text)
	}
	if status, text := send(make([]byte, 2<<20)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("2 MiB: %d %s", status, text)
	}
	closed, _ := serving(t, nil, pcap("fork.pcap"))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, closed+"/api/v1/upload", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed && answer.StatusCode != http.StatusForbidden {
		t.Errorf("uploading where it is off: %d", answer.StatusCode)
	}
}
