package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sipscope/correlate"
)

// clock is a time that tests move.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func TestNew(t *testing.T) {
	t.Parallel()
	good := Config{Listen: "127.0.0.1:0", Data: Data{Board: &correlate.Board{}}, Pages: &fakePages{}}
	tests := []struct {
		name   string
		change func(*Config)
		want   error
	}{
		{"loopback", func(*Config) {}, nil},
		{"name of loopback", func(c *Config) { c.Listen = "localhost:0" }, nil},
		{"IPv6", func(c *Config) { c.Listen = "[::1]:8060" }, nil},
		{"everywhere", func(c *Config) { c.Listen = ":8060" }, ErrOpen},
		{"0.0.0.0", func(c *Config) { c.Listen = "0.0.0.0:8060" }, ErrOpen},
		{"::", func(c *Config) { c.Listen = "[::]:8060" }, ErrOpen},
		{"address", func(c *Config) { c.Listen = "192.168.0.1:8060" }, ErrOpen},
		{"name", func(c *Config) { c.Listen = "example.com:8060" }, ErrOpen},
		{"user only", func(c *Config) { c.Listen, c.Auth.User = ":1", "u" }, ErrConfig},
		{"everywhere with token", func(c *Config) { c.Listen, c.Auth.Token = ":8060", "t" }, nil},
		{"everywhere with password", func(c *Config) { c.Listen, c.Auth.User, c.Auth.Password = ":8060", "u", "p" }, nil},
		{"no port", func(c *Config) { c.Listen = "127.0.0.1" }, ErrConfig},
		{"port too large", func(c *Config) { c.Listen = "127.0.0.1:70000" }, ErrConfig},
		{"named port", func(c *Config) { c.Listen = "127.0.0.1:http" }, ErrConfig},
		{"no board", func(c *Config) { c.Data.Board = nil }, ErrConfig},
		{"no pages", func(c *Config) { c.Pages = nil }, ErrConfig},
		{"certificate only", func(c *Config) { c.CertFile = "x" }, ErrConfig},
		{"no such certificate", func(c *Config) { c.CertFile, c.KeyFile = "no", "no" }, ErrConfig},
	}
	for _, tt := range tests {
		cfg := good
		tt.change(&cfg)
		s, err := New(cfg)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if err == nil {
			s.Close()
		}
	}
}

// TestAuth is the matrix of credentials and addresses.
func TestAuth(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	handlers := map[string]http.Handler{}
	for name, auth := range map[string]Auth{
		"none": {}, "token": {Token: "tok"}, "password": {User: "u", Password: "p"}, "both": {Token: "tok", User: "u", Password: "p"},
	} {
		cfg.Auth = auth
		handlers[name] = newServer(t, cfg).Handler()
	}
	credentials := map[string]func(*http.Request){
		"none":           func(*http.Request) {},
		"token":          header("Authorization", "Bearer tok"),
		"token, low":     header("Authorization", "bearer tok"),
		"wrong token":    header("Authorization", "Bearer tok2"),
		"prefix":         header("Authorization", "Bearer to"),
		"empty token":    header("Authorization", "Bearer "),
		"no scheme":      header("Authorization", "tok"),
		"password":       basic("u", "p"),
		"wrong password": basic("u", "q"),
		"wrong user":     basic("v", "p"),
		"empty password": basic("u", ""),
		"nothing":        basic("", ""),
		"broken":         header("Authorization", "Basic !!!"),
		"cookie":         func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "sipscope", Value: "AAAA"}) },
	}
	private := []string{
		"/", "/calls", "/calls/1", "/api/v1/calls", "/api/v1/calls/1", "/api/v1/calls/1/page", "/api/v1/overview", "/api/v1/fields",
		"/api/v1/download?format=csv", "/api/v1/calls/1/download?format=csv", "/api/v1/openapi.json", "/metrics",
	}
	public := []string{"/login", "/plain.css", "/healthz", "/assets/app-1234.js"}
	for server, h := range handlers {
		from := 0
		for name, set := range credentials {
			right := server == "none" || (server == "token" || server == "both") && strings.HasPrefix(name, "token") ||
				(server == "password" || server == "both") && name == "password"
			for _, target := range private {
				from++
				w := ask(h, "GET", target, set, func(r *http.Request) { r.RemoteAddr = "10.0." + itoa(from/250) + "." + itoa(from%250) + ":1" })
				if right && w.Code != 200 || !right && w.Code != 401 {
					t.Errorf("%s server, %s, %s: %d", server, name, target, w.Code)
				}
				if !right && (strings.Contains(w.Body.String(), "call_id") || strings.Contains(w.Body.String(), "view=")) {
					t.Errorf("%s server, %s, %s: something is told", server, name, target)
				}
			}
			for _, target := range public {
				if w := ask(h, "GET", target, set); w.Code != 200 && w.Code != 303 && (target != "/login" || w.Code != 429) {
					t.Errorf("%s server, %s, %s: %d", server, name, target, w.Code)
				}
			}
		}
	}
	w := ask(handlers["both"], "GET", "/api/v1/calls")
	if got := w.Header().Values("WWW-Authenticate"); len(got) != 2 {
		t.Errorf("challenges %q", got)
	}
	w = ask(handlers["both"], "GET", "/api/v1/calls", header("Sec-Fetch-Mode", "cors"))
	if got := w.Header().Values("WWW-Authenticate"); len(got) != 1 || !strings.HasPrefix(got[0], "Bearer") {
		t.Errorf("challenges for a script %q", got)
	}
}

// post sends a login form.
func post(h http.Handler, form string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/login", strings.NewReader(form))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLogin(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	cfg := config(t, flows(t))
	cfg.Auth, cfg.Now = Auth{Token: "tok", User: "u", Password: "p"}, c.Now
	h := newServer(t, cfg).Handler()

	w := ask(h, "GET", "/calls/1?m=2")
	if w.Code != 401 || !strings.Contains(w.Body.String(), `name="next" value="/calls/1?m=2"`) ||
		!strings.Contains(w.Body.String(), `name="password"`) || !strings.Contains(w.Body.String(), `name="token"`) {
		t.Fatalf("login page: %d %s", w.Code, w.Body)
	}
	w = post(h, "token=wrong&next=/calls")
	if w.Code != 401 || !strings.Contains(w.Body.String(), "not right") || len(w.Result().Cookies()) != 0 {
		t.Fatalf("wrong token: %d %s", w.Code, w.Body)
	}
	for _, form := range []string{"token=tok&next=/calls/1%3Fm%3D2", "user=u&password=p&next=/calls/1%3Fm%3D2"} {
		w = post(h, form)
		if w.Code != 303 || w.Header().Get("Location") != "/calls/1?m=2" {
			t.Fatalf("%s: %d %v", form, w.Code, w.Header())
		}
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies %v", cookies)
	}
	cookie := cookies[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Secure || cookie.MaxAge != 12*3600 {
		t.Errorf("cookie %+v", cookie)
	}
	with := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value}) }
	}
	if w = ask(h, "GET", "/api/v1/calls", with(cookie.Value)); w.Code != 200 {
		t.Errorf("session: %d", w.Code)
	}
	if w = ask(h, "GET", "/login?next=/calls", with(cookie.Value)); w.Code != 303 || w.Header().Get("Location") != "/calls" {
		t.Errorf("login with a session: %d", w.Code)
	}
	for i := range cookie.Value {
		changed := []byte(cookie.Value)
		if changed[i] = 'A'; cookie.Value[i] == 'A' {
			changed[i] = 'Q'
		}
		if w = ask(h, "GET", "/api/v1/calls", with(string(changed))); w.Code != 401 {
			t.Errorf("session with byte %d changed: %d", i, w.Code)
		}
	}
	if w = ask(newServer(t, cfg).Handler(), "GET", "/api/v1/calls", with(cookie.Value)); w.Code != 401 {
		t.Errorf("session of another run: %d", w.Code)
	}
	c.now = c.now.Add(sessionLife - time.Second)
	if w = ask(h, "GET", "/api/v1/calls", with(cookie.Value)); w.Code != 200 {
		t.Errorf("session before its end: %d", w.Code)
	}
	c.now = c.now.Add(time.Second)
	if w = ask(h, "GET", "/api/v1/calls", with(cookie.Value)); w.Code != 401 {
		t.Errorf("session after its end: %d", w.Code)
	}
	if w = post(h, "token="+strings.Repeat("x", maxForm)); w.Code != 400 {
		t.Errorf("large form: %d", w.Code)
	}
}

func TestTokenInAddress(t *testing.T) {
	t.Parallel()
	cfg := config(t, flows(t))
	cfg.Auth.Token = "tok&+ %"
	h := newServer(t, cfg).Handler()
	address := "/calls/1?m=2&token=" + url.QueryEscape(cfg.Auth.Token)
	w := ask(h, "GET", address)
	if w.Code != 303 || w.Header().Get("Location") != "/calls/1?m=2" || len(w.Result().Cookies()) != 1 {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if strings.Contains(w.Body.String(), "tok") {
		t.Error("the token is told")
	}
	w = ask(h, "GET", address, header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate"))
	if w.Code != 200 || !strings.Contains(w.Body.String(), `<meta http-equiv="refresh" content="0; url=/calls/1?m=2">`) ||
		len(w.Result().Cookies()) != 1 {
		t.Errorf("from another site: %d %s", w.Code, w.Body)
	}
	w = ask(h, "GET", "/calls?token=wrong")
	if w.Code != 401 || len(w.Result().Cookies()) != 0 || strings.Contains(w.Body.String(), "wrong") {
		t.Errorf("wrong: %d %s", w.Code, w.Body)
	}
	if w = ask(h, "GET", "/api/v1/calls?token="+url.QueryEscape(cfg.Auth.Token)); w.Code != 401 {
		t.Errorf("API: %d", w.Code)
	}
	// A link in a ticket: the browser keeps a strict cookie to itself until the page of this site asks again.
	w = ask(h, "GET", "/calls/1?m=2", header("Sec-Fetch-Site", "cross-site"), header("Sec-Fetch-Mode", "navigate"))
	if w.Code != 401 || !strings.Contains(w.Body.String(), `content="0; url=/calls/1?m=2"`) {
		t.Errorf("link: %d %s", w.Code, w.Body)
	}
}

func TestLocalPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                       "/",
		"/":                      "/",
		"/calls?filter=a%20b":    "/calls?filter=a%20b",
		"/calls/1#x":             "/calls/1",
		"calls":                  "/",
		"//evil.example":         "/",
		"///evil.example":        "/",
		`/\evil.example`:         "/",
		`\\evil.example`:         "/",
		"/%5Cevil.example":       "/",
		"/%2F/evil.example":      "/",
		"https://evil.example/":  "/",
		"https:evil.example":     "/",
		"javascript:alert(1)":    "/",
		"/\tevil":                "/",
		"/login":                 "/",
		"/a\r\nSet-Cookie: x":    "/",
		"/calls?x=\"><script>":   "/calls?x=\"><script>",
		"http://u:p@localhost/x": "/",
	} {
		if got := localPath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestTries(t *testing.T) {
	t.Parallel()
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	cfg := config(t, flows(t))
	cfg.Auth, cfg.Now = Auth{Token: "tok"}, c.Now
	s := newServer(t, cfg)
	h := s.Handler()
	from := func(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
	right, bad := header("Authorization", "Bearer tok"), header("Authorization", "Bearer no")
	for i := range maxTries {
		if w := ask(h, "GET", "/api/v1/calls", bad, from("[2001:db8::1]:1")); w.Code != 401 {
			t.Fatalf("try %d: %d", i, w.Code)
		}
	}
	w := ask(h, "GET", "/api/v1/calls", right, from("[2001:db8::ffff]:2"))
	if w.Code != 429 || w.Header().Get("Retry-After") != "60" {
		t.Errorf("the right one from the same network: %d", w.Code)
	}
	if w = post(h, "token=tok", from("[2001:db8::2]:2")); w.Code != 429 {
		t.Errorf("form: %d", w.Code)
	}
	if w = ask(h, "GET", "/?token=tok", from("[2001:db8::2]:2")); w.Code != 429 {
		t.Errorf("address: %d", w.Code)
	}
	if w = ask(h, "GET", "/api/v1/calls", right, from("[2001:db8:1::1]:1")); w.Code != 200 {
		t.Errorf("another network: %d", w.Code)
	}
	c.now = c.now.Add(tryWindow)
	if w = ask(h, "GET", "/api/v1/calls", right, from("[2001:db8::1]:1")); w.Code != 200 {
		t.Errorf("a minute later: %d", w.Code)
	}
	for i := range 3 * maxSources {
		ask(h, "GET", "/api/v1/calls", bad, from("10."+itoa(i>>16)+"."+itoa(i>>8&255)+"."+itoa(i&255)+":1"))
	}
	if n := len(s.guard.tries.seen); n > maxSources {
		t.Errorf("%d sources remembered, want at most %d", n, maxSources)
	}
}
