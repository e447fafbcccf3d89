package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzRequest asks with any query and path: the answer is never the server's fault, has its headers, and is JSON where
// it says so.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{"calls", "filter=state+%3D%3D+%22busy%22&sort=-start&order=desc&offset=1&limit=2"},
		{"calls", "filter=%22%28&limit=99999999999999999999"},
		{"calls", "filter=header%5B%22X%22%5D+matches+%22a%2B%22&sort=header.x"},
		{"calls/1", "a=%zz;b"},
		{"calls/18446744073709551616", ""},
		{"calls/1/download", "format=csv"},
		{"download", "format=json&filter=num<3"},
		{"calls/%2e%2e/x", "token=1"},
		{"fields", ""},
		{"../calls", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	h := newServer(f, config(f, flows(f, "User-Agent"))).Handler()
	f.Fuzz(func(t *testing.T, path, query string) {
		if strings.HasPrefix(path, "events") {
			t.Skip("it has no end")
		}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Host = "localhost"
		r.URL = &url.URL{Path: "/api/v1/" + path, RawQuery: query}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%q?%q: %d %s", path, query, w.Code, w.Body)
		}
		if w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("%q?%q: no policy", path, query)
		}
		if kind := w.Header().Get("Content-Type"); strings.Contains(kind, "json") && !strings.Contains(kind, "ndjson") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q?%q: no JSON: %.200s", path, query, w.Body)
		}
		for name, values := range w.Header() {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n") {
					t.Errorf("%s: %q", name, v)
				}
			}
		}
	})
}

// FuzzLocalPath holds that no address leads a login to another host.
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/calls", "//evil.example", `/\evil`, "/%5c/evil", "/\t/evil", "https:/evil", "/a?b#c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got := localPath(next)
		base := &url.URL{Scheme: "http", Host: "here.example", Path: "/login"}
		u, err := base.Parse(got)
		if err != nil || u.Host != "here.example" || u.Scheme != "http" {
			t.Errorf("%q leads to %q", next, got)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\r\n\t") ||
			strings.Contains(before(got, "?"), `\`) {
			t.Errorf("%q leads to %q", next, got)
		}
	})
}

func before(s, sep string) string {
	head, _, _ := strings.Cut(s, sep)
	return head
}
