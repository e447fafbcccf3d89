package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/correlate/stats"
)

func TestPages(t *testing.T) {
	t.Parallel()
	h := newServer(t, config(t, flows(t))).Handler()
	tests := []struct {
		name, method, target string
		status               int
		want                 []string
	}{
		{"overview", "GET", "/", 200, []string{"view=overview", "base= ", "path=/ ", "live=false", "upload=false", "test.pcap"}},
		{"list", "GET", "/calls", 200, []string{"view=calls", "path=/calls "}},
		{"list with a query", "GET", "/calls?filter=state+%3D%3D+%22busy%22", 200, []string{"view=calls"}},
		{"call", "GET", "/calls/1", 200, []string{"view=call ", "call=1", "message=-1"}},
		{"message", "GET", "/calls/1?m=3", 200, []string{"message=3"}},
		{"message that is not there", "GET", "/calls/1?m=3000", 200, []string{"message=-1"}},
		{"message that is no number", "GET", "/calls/1?m=x", 200, []string{"message=-1"}},
		{"head", "HEAD", "/", 200, nil},
		{"call that is not there", "GET", "/calls/999", 404, []string{"<h1>Not Found</h1>", "there is no such call"}},
		{"call 0", "GET", "/calls/0", 404, []string{"<h1>"}},
		{"call with another writing", "GET", "/calls/01", 404, []string{"<h1>"}},
		{"call that is no number", "GET", "/calls/x", 404, []string{"<h1>"}},
		{"call beyond 32 bits", "GET", "/calls/4294967297", 404, []string{"<h1>"}},
		{"nothing", "GET", "/nothing", 404, []string{"<h1>Not Found</h1>"}},
		{"another method", "POST", "/calls", 405, []string{"this address takes GET, HEAD"}},
		{"no uploads", "GET", "/u/1/", 404, nil},
		{"dots", "GET", "/a/../calls", 307, nil},
		{"script", "GET", "/assets/app-1234.js", 200, []string{"script"}},
		{"style", "GET", "/assets/app-1234.css", 200, []string{"body {}"}},
		{"asset that is not there", "GET", "/assets/no.js", 404, []string{"there is no such file"}},
		{"asset in a folder", "GET", "/assets/sub%2Fno.js", 404, nil},
		{"asset above", "GET", "/assets/..%2Fgo.mod", 404, nil},
		{"assets", "GET", "/assets/", 404, nil},
		{"own style", "GET", "/plain.css", 200, []string{"button"}},
		{"login when there is none", "GET", "/login", 303, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ask(h, tt.method, tt.target, header("Accept", "text/html"))
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			for _, want := range tt.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%q is not in %s", want, w.Body)
				}
			}
		})
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	h := newServer(t, config(t, flows(t))).Handler()
	tests := []struct {
		name, target string
		status       int
		want         string
	}{
		{"call", "/api/v1/calls/1", 200, `"participants":`},
		{"call has texts", "/api/v1/calls/1", 200, `"raw":"INVITE `},
		{"call that is not there", "/api/v1/calls/77", 404, `"status":404`},
		{"call that is no number", "/api/v1/calls/-1", 404, `"detail":"there is no such call`},
		{"page", "/api/v1/calls/1/page", 200, `{"num":1,"bytes":`},
		{"page that is not there", "/api/v1/calls/77/page", 404, `"status":404`},
		{"overview", "/api/v1/overview", 200, `{"calls":`},
		{"fields", "/api/v1/fields", 200, `"name":"state"`},
		{"fields have values", "/api/v1/fields", 200, `"values":["b2bua"`},
		{"nothing", "/api/v1/nothing", 404, `"title":"Not Found"`},
		{"upload is off", "/api/v1/upload", 404, `"status":404`},
		{"no format", "/api/v1/calls/1/download", 400, `there is no format`},
		{"wrong format", "/api/v1/download?format=exe", 400, `"hint":"take one of pcap, pcapng`},
		{"report is not there", "/api/v1/download?format=report", 400, `there is no format`},
		{"download of nothing", "/api/v1/download?format=csv&filter=num+%3D%3D+99", 404, `no call matches`},
		{"health", "/healthz", 200, `{"status":"ok","reading":false,"version":"1.2.3"}`},
		{"wrong query", "/api/v1/calls?a=%zz", 400, `cannot be read`},
		{"wrong filter", "/api/v1/calls?filter=state+%3D%3D", 400, `"type":"urn:sipscope:filter"`},
		{"wrong filter says where", "/api/v1/calls?filter=state+%3D%3D", 400, `"column":8`},
		{"wrong limit", "/api/v1/calls?limit=1001", 400, `limit is a number from 0 to 1000`},
		{"negative limit", "/api/v1/calls?limit=-1", 400, `limit is a number`},
		{"wrong offset", "/api/v1/calls?offset=x", 400, `offset is a number`},
		{"wrong order", "/api/v1/calls?order=up", 400, `order is asc or desc`},
		{"wrong sort", "/api/v1/calls?sort=nothing", 400, `sort by one of num, start`},
		{"sort by a header that is not collected", "/api/v1/calls?sort=header.x", 400, `is not collected`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ask(h, "GET", tt.target)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %.300s", w.Code, tt.status, w.Body)
			}
			if !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%q is not in %.600s", tt.want, w.Body)
			}
			wantType := "application/json"
			if tt.status != 200 {
				wantType = "application/problem+json"
			}
			if got := w.Header().Get("Content-Type"); got != wantType {
				t.Errorf("Content-Type %q, want %q", got, wantType)
			}
			if w.Code >= 400 {
				p := decodeJSON[problem](t, w.Body.Bytes())
				if p.Status != tt.status || p.Type == "" || p.Title == "" {
					t.Errorf("problem %+v", p)
				}
			}
		})
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	data := flows(t, "User-Agent")
	h := newServer(t, config(t, data)).Handler()
	all := decodeJSON[list](t, ask(h, "GET", "/api/v1/calls").Body.Bytes())
	if all.Total != len(all.Calls) || all.Of != all.Total || all.Total < 6 || all.Revision == 0 {
		t.Fatalf("all: %+v", all)
	}
	n := uint32(all.Total)
	up := nums(all)
	down := slices.Clone(up)
	slices.Reverse(down)
	var invites, busy []uint32
	for i := range all.Calls {
		if all.Calls[i].Method == "INVITE" {
			invites = append(invites, all.Calls[i].Num)
		}
		if all.Calls[i].State == "busy" {
			busy = append(busy, all.Calls[i].Num)
		}
	}
	tests := []struct {
		name, query string
		total       int
		want        []uint32
	}{
		{"first", "limit=2", all.Total, up[:2]},
		{"second", "offset=2&limit=2", all.Total, up[2:4]},
		{"last", "offset=5&limit=100", all.Total, up[5:]},
		{"beyond", "offset=1000", all.Total, nil},
		{"none", "limit=0", all.Total, nil},
		{"downwards", "order=desc", all.Total, down},
		{"downwards, second", "order=desc&offset=1&limit=2", all.Total, down[1:3]},
		{"minus", "sort=-num", all.Total, down},
		{"filter", "filter=" + q(`method == "INVITE"`), len(invites), invites},
		{"filter downwards", "order=desc&filter=" + q(`method == "INVITE"`), len(invites), reversed(invites)},
		{"filter by state", "filter=" + q(`state == "busy"`), len(busy), busy},
		{"filter of none", "filter=" + q(`num > 1000`), 0, nil},
		{"blanks are no filter", "filter=++", all.Total, up},
		{"word in the messages", "filter=486+Busy", 1, busy[:1]},
		{"word whatever the case", "filter=486+bUSY+hERE", 1, busy[:1]},
		{"header that is collected", "filter=" + q(`header["User-Agent"] == "nobody"`), 0, nil},
		{"header that is read again", "filter=" + q(`header["CSeq"] endsWith "INVITE"`), len(invites), invites},
		{"sorted by the same twice", "sort=start_ns&limit=1&filter=" + q(`num == 1`), 1, []uint32{1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := ask(h, "GET", "/api/v1/calls?"+tt.query)
			if w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			got := decodeJSON[list](t, w.Body.Bytes())
			if got.Total != tt.total || got.Of != int(n) {
				t.Errorf("total %d of %d, want %d of %d", got.Total, got.Of, tt.total, n)
			}
			if d := cmp.Diff(append([]uint32{}, tt.want...), nums(got)); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func reversed(s []uint32) []uint32 {
	s = slices.Clone(s)
	slices.Reverse(s)
	return s
}

// TestSorts sorts by everything, and compares with what the list itself says.
func TestSorts(t *testing.T) {
	t.Parallel()
	s := newServer(t, config(t, flows(t, "User-Agent")))
	for _, name := range append(s.main.sorts(), "call_id", "status", "pdd_ms", "user_agent", "from.display", "src", "transports") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages [2]list
			for i, order := range []string{"asc", "desc"} {
				w := ask(s.Handler(), "GET", "/api/v1/calls?sort="+name+"&order="+order)
				if w.Code != 200 {
					t.Fatalf("status %d: %s", w.Code, w.Body)
				}
				pages[i] = decodeJSON[list](t, w.Body.Bytes())
			}
			column, err := s.main.column(sortAlias(name))
			if err != nil {
				t.Fatal(err)
			}
			for i, sign := range []int{1, -1} {
				calls := s.main.summaries(nums(pages[i]))
				if len(calls) != pages[0].Of {
					t.Fatalf("%d calls of %d", len(calls), pages[0].Of)
				}
				for j := 1; j < len(calls); j++ {
					if c := sign * column.Compare(&calls[j-1], &calls[j]); c > 0 || c == 0 && name != "num" && calls[j-1].Num > calls[j].Num {
						t.Errorf("order %d: call %d before %d", i, calls[j-1].Num, calls[j].Num)
					}
				}
			}
		})
	}
}

// TestLargeList walks all pages of a list that is larger than one copy of the board.
func TestLargeList(t *testing.T) {
	t.Parallel()
	const n = 3000
	h := newServer(t, config(t, manyCalls(t, n))).Handler()
	for _, query := range []string{"", "&sort=callid", "&filter=" + q(`messages == 2`), "&order=desc"} {
		seen := map[uint32]bool{}
		for at := 0; at < n; at += 700 {
			got := decodeJSON[list](t, ask(h, "GET", "/api/v1/calls?limit=700&offset="+itoa(at)+query).Body.Bytes())
			if got.Total != n || got.Of != n {
				t.Fatalf("total %d of %d, want %d", got.Total, got.Of, n)
			}
			for _, num := range nums(got) {
				if seen[num] {
					t.Fatalf("%q: call %d twice", query, num)
				}
				seen[num] = true
			}
		}
		if len(seen) != n {
			t.Errorf("%q: %d calls, want %d", query, len(seen), n)
		}
	}
}

// TestHeadersOfAnswers holds what every answer must carry, errors included.
func TestHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	open := newServer(t, cfg).Handler()
	cfg.Auth.Token = "secret"
	closed := newServer(t, cfg).Handler()
	cfg.Pages = &fakePages{panics: true}
	cfg.Auth = Auth{}
	broken := newServer(t, cfg).Handler()
	answers := map[string]*httptest.ResponseRecorder{
		"page":       ask(open, "GET", "/"),
		"list":       ask(open, "GET", "/api/v1/calls"),
		"problem":    ask(open, "GET", "/api/v1/calls?limit=x"),
		"not found":  ask(open, "GET", "/nothing"),
		"method":     ask(open, "DELETE", "/calls"),
		"host":       ask(open, "GET", "/", func(r *http.Request) { r.Host = "evil.example" }),
		"origin":     ask(open, "POST", "/login", header("Sec-Fetch-Site", "cross-site")),
		"download":   ask(open, "GET", "/api/v1/calls/1/download?format=csv"),
		"asset":      ask(open, "GET", "/assets/app-1234.js"),
		"redirect":   ask(open, "GET", "/a/../calls"),
		"metrics":    ask(open, "GET", "/metrics"),
		"health":     ask(open, "GET", "/healthz"),
		"login":      ask(closed, "GET", "/login"),
		"refused":    ask(closed, "GET", "/api/v1/calls"),
		"login page": ask(closed, "GET", "/"),
		"panic":      ask(broken, "GET", "/"),
		"events":     ask(open, "HEAD", "/api/v1/events"),
	}
	for name, w := range answers {
		h := w.Header()
		for _, want := range [][2]string{
			{"Content-Security-Policy", policy},
			{"X-Content-Type-Options", "nosniff"},
			{"Referrer-Policy", "no-referrer"},
			{"Cross-Origin-Opener-Policy", "same-origin"},
			{"Cross-Origin-Resource-Policy", "same-origin"},
			{"Permissions-Policy", permissions},
			{"X-Frame-Options", "DENY"},
		} {
			if got := h.Get(want[0]); got != want[1] {
				t.Errorf("%s (%d): %s is %q", name, w.Code, want[0], got)
			}
		}
		cache := "no-store"
		if name == "asset" {
			cache = "public, max-age=31536000, immutable"
		}
		if got := h.Get("Cache-Control"); got != cache {
			t.Errorf("%s: Cache-Control %q", name, got)
		}
		if name != "redirect" && h.Get("Content-Type") == "" {
			t.Errorf("%s: no Content-Type", name)
		}
	}
	if w := answers["panic"]; w.Code != 500 || strings.Contains(w.Body.String(), "packet") {
		t.Errorf("panic: %d %s", w.Code, w.Body)
	}
	if w := answers["host"]; w.Code != 421 {
		t.Errorf("host: %d", w.Code)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	h := newServer(t, config(t, flows(t))).Handler()
	plain := ask(h, "GET", "/api/v1/calls")
	tests := []struct {
		accept string
		zipped bool
	}{
		{"", false},
		{"gzip", true},
		{"GZIP;q=0.5, br", true},
		{"br, *", true},
		{"gzip;q=0", false},
		{"gzip; q=0.0, *", false},
		{"identity", false},
		{"br", false},
	}
	for _, tt := range tests {
		w := ask(h, "GET", "/api/v1/calls", header("Accept-Encoding", tt.accept))
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != tt.zipped {
			t.Errorf("%q: zipped %v", tt.accept, got)
		}
		if !slices.Equal(unpack(t, w), plain.Body.Bytes()) {
			t.Errorf("%q: another body", tt.accept)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", tt.accept, w.Header().Get("Vary"))
		}
	}
	if w := ask(h, "GET", "/healthz", header("Accept-Encoding", "gzip")); w.Header().Get("Content-Encoding") != "" {
		t.Error("a short answer is compressed")
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	open := newServer(t, cfg).Handler()
	cfg.Auth.Token = "secret"
	closed := newServer(t, cfg).Handler()
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8060": 200, "LOCALHOST:1": 200, "127.0.0.1:8060": 200, "[::1]:8060": 200, "[::1]": 200,
		"127.0.0.9": 200, "evil.example": 421, "evil.example:8060": 421, "localhost.evil.example": 421, "192.168.1.5:8060": 421,
		"": 421, "[::1].evil.example": 421, "127.0.0.1.evil.example": 421, "0.0.0.0:8060": 421, "localhost:8060:evil": 421,
	} {
		set := func(r *http.Request) { r.Host = host }
		if w := ask(open, "GET", "/api/v1/calls", set); w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
		if w := ask(closed, "GET", "/api/v1/calls", set, header("Authorization", "Bearer secret")); w.Code != 200 {
			t.Errorf("%q with a token: %d", host, w.Code)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	cfg.Auth.Token = "secret"
	h := newServer(t, cfg).Handler()
	tests := []struct {
		name, method string
		headers      map[string]string
		status       int
	}{
		{"no browser", "POST", nil, 401},
		{"same origin", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, 401},
		{"by hand", "POST", map[string]string{"Sec-Fetch-Site": "none"}, 401},
		{"other site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"other port", "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"old browser, same", "POST", map[string]string{"Origin": "http://localhost:8060"}, 401},
		{"old browser, other", "POST", map[string]string{"Origin": "http://evil.example"}, 403},
		{"opaque", "POST", map[string]string{"Origin": "null"}, 403},
		{"link", "GET", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200},
		{"link on another port", "GET", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 200},
		{"frame", "GET", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403},
		{"picture", "GET", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403},
		{"script of another port", "GET", map[string]string{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403},
		{"own script", "GET", map[string]string{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, 200},
	}
	for _, tt := range tests {
		w := ask(h, tt.method, "/login", func(r *http.Request) {
			for k, v := range tt.headers {
				r.Header.Set(k, v)
			}
		})
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.status)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	cfg.Pages = &fakePages{fail: errors.New("/secret/path is broken")}
	s := newServer(t, cfg)
	for _, target := range []string{"/", "/calls/1", "/api/v1/calls/1/page", "/api/v1/overview"} {
		w := ask(s.Handler(), "GET", target)
		if w.Code != 500 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	cfg.Pages = &fakePages{panics: true}
	s = newServer(t, cfg)
	for _, target := range []string{"/", "/calls/1", "/api/v1/calls/1/page", "/api/v1/overview"} {
		w := ask(s.Handler(), "GET", target)
		if w.Code != 500 || strings.Contains(w.Body.String(), "packet broke") {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	cfg.Data.Err = func() error { return errors.New("/secret/trace.pcap: cut short") }
	w := ask(newServer(t, cfg).Handler(), "GET", "/healthz")
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"status":"failed"`) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("health: %d %s", w.Code, w.Body)
	}
	cfg.Data.Stats = func(context.Context) (stats.Result, error) { return stats.Result{}, errors.New("no figures") }
	if w = ask(newServer(t, cfg).Handler(), "GET", "/metrics"); w.Code != 200 || !strings.Contains(w.Body.String(), "sipscope_packets_total") {
		t.Errorf("metrics without figures: %d", w.Code)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	cfg.Data.Status = func() capture.Status {
		return capture.Status{
			Left: 3, Sources: []capture.SourceStatus{{Name: "eth0", Up: true, Received: 100, Dropped: 7}, {Name: "HEP", Queue: 2, Rejected: 9}},
			Spool: &capture.SpoolStatus{Size: 1000, Limit: 2000, Waiting: 30, Kept: 40, Gone: 50, Dropped: 6},
		}
	}
	h := newServer(t, cfg).Handler()
	ask(h, "GET", "/api/v1/calls/1")
	ask(h, "GET", "/nothing")
	w := ask(h, "GET", "/metrics")
	body := w.Body.String()
	acct, _ := cfg.Data.Board.Accounting()
	acct.Each(func(name string, n uint64) {
		if want := `sipscope_packets_total{outcome="` + name + `"} ` + itoa(int(n)); !strings.Contains(body, want) {
			t.Errorf("%q is missing", want)
		}
	})
	for _, want := range []string{
		`sipscope_http_requests_total{class="2xx",route="/api/v1/calls/{num}"} 1`,
		`sipscope_http_requests_total{class="4xx",route="other"} 1`,
		`sipscope_build_info{version="1.2.3"} 1`, `sipscope_kernel_dropped_packets_total 7`,
		`sipscope_dropped_packets_total{place="kernel"} 7`, `sipscope_dropped_packets_total{place="queue"} 2`,
		`sipscope_dropped_packets_total{place="spool"} 6`, `sipscope_source_packets_total{source="eth0"} 100`,
		`sipscope_source_up{source="eth0"} 1`, `sipscope_source_up{source="HEP"} 0`, `sipscope_source_rejected_total{source="HEP"} 9`,
		`sipscope_spool_bytes{what="used"} 1000`, `sipscope_spool_gone_packets_total 50`, `sipscope_filtered_packets_total 3`,
		`sipscope_pipeline_batches{what="waiting"}`, `sipscope_packet_time_seconds `, `sipscope_reading 0`,
		`sipscope_event_streams 0`, `sipscope_calls{state="busy"} 2`, `sipscope_sip_requests_total{method="INVITE"}`,
		`sipscope_sip_responses_total{class="4xx"}`, `sipscope_sip_messages_total `, `sipscope_evicted_total{what="calls"} 0`,
		`sipscope_reassembly_losses_total{what="stream_gaps"}`, `go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in\n%s", want, body)
		}
	}
	methods := byMethod(map[string]uint64{"INVITE": 2, "EVIL1": 3, "EVIL2": 4, "invite": 1})
	if d := cmp.Diff(map[string]uint64{"INVITE": 2, "other": 8}, methods); d != "" {
		t.Error(d)
	}
}

// TestWithoutFiles serves a board whose packets are not kept.
func TestWithoutFiles(t *testing.T) {
	t.Parallel()
	data := flows(t)
	h := newServer(t, config(t, Data{Board: data.Board})).Handler()
	for target, want := range map[string]int{
		"/": 200, "/calls/1": 200, "/api/v1/calls/1": 200, "/api/v1/calls/1/page": 200, "/api/v1/overview": 200, "/metrics": 200,
		"/healthz": 200, "/api/v1/calls?filter=word": 200, "/api/v1/calls/1/download?format=pcap": 409,
		"/api/v1/calls/1/download?format=text": 409, "/api/v1/calls/1/download?format=ladder": 200,
	} {
		if w := ask(h, "GET", target); w.Code != want {
			t.Errorf("%s: %d, want %d: %s", target, w.Code, want, w.Body)
		}
	}
}

// A capture without pages has figures of its own.
func TestMetricsAlone(t *testing.T) {
	t.Parallel()
	data := flows(t)
	e, err := Export(t.Context(), "127.0.0.1:0", &data, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) (status int, body string) {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.Addr().String()+path, nil)
		req.RequestURI = ""
		res, getErr := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if getErr != nil {
			t.Fatal(getErr)
		}
		defer func() { _ = res.Body.Close() }()
		b, getErr := io.ReadAll(res.Body)
		if getErr != nil {
			t.Fatal(getErr)
		}
		return res.StatusCode, string(b)
	}
	status, body := get("/metrics")
	if status != 200 {
		t.Error(status)
	}
	for _, want := range []string{`sipscope_calls{state="busy"} 2`, `sipscope_reading 0`, `sipscope_build_info{version="1.2.3"} 1`} {
		if !strings.Contains(body, want) {
			t.Errorf("%q is missing in %s", want, body)
		}
	}
	if strings.Contains(body, "sipscope_event_streams") {
		t.Error("there are no event streams")
	}
	if status, _ = get("/api/v1/calls"); status != 404 {
		t.Errorf("something else than figures: %d", status)
	}
	if err = e.Close(); err != nil {
		t.Error(err)
	}
	if _, err = Export(t.Context(), "nowhere", &data, ""); err == nil {
		t.Error("listens nowhere")
	}
}
