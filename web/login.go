package web

import (
	"bytes"
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// plainTemplate is the page for what has no view: the login, and what went wrong.
//
//go:embed plain.tmpl
var plainTemplate string

// plainStyle is its style sheet.
//
//go:embed plain.css
var plainStyle []byte

// plain is what such a page says. Its texts are escaped by the template.
type plain struct {
	Title, Text, Hint string
	Home              bool   // a way back to the first page
	Login             bool   // the form
	Token, Password   bool   // what it asks for
	Next              string // where a login leads
	Again             string // the page loads this address at once: see bounce
}

func parsePlain() (*template.Template, error) { return template.New("plain").Parse(plainTemplate) }

// plainPage answers with a page without scripts.
func (s *Server) plainPage(w http.ResponseWriter, status int, p plain) {
	w.Header().Set("Content-Type", htmlType)
	var b bytes.Buffer
	if err := s.plain.Execute(&b, p); err != nil {
		http.Error(w, p.Title, status)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader is gone, or has its answer
}

// serveStyle is GET /plain.css, for those that may not read anything else, too.
func (s *Server) serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	_, _ = w.Write(plainStyle) // the reader is gone, or has its answer
}

// serveLogin is GET /login.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.URL.Query().Get("next"))
	if s.guard.judge(r) == granted {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath leads to no other host
		return
	}
	s.loginPage(w, http.StatusOK, next, "")
}

func (s *Server) loginPage(w http.ResponseWriter, status int, next, text string) {
	s.plainPage(w, status, plain{
		Title: "Log in", Text: text, Login: true, Token: s.cfg.Auth.Token != "", Password: s.cfg.Auth.Password != "", Next: next,
	})
}

// maxForm bounds the body of a login, in bytes.
const maxForm = 8 << 10

// serveLoginForm is POST /login.
func (s *Server) serveLoginForm(w http.ResponseWriter, r *http.Request) {
	if !s.cfg.Auth.enabled() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, true, wrong(http.StatusBadRequest, "the form cannot be read", ""))
		return
	}
	next := localPath(r.PostForm.Get("next"))
	token, user, password := r.PostForm.Get("token"), r.PostForm.Get("user"), r.PostForm.Get("password")
	v := s.guard.try(r, func() bool {
		return token != "" && s.guard.token(token) || password != "" && s.guard.password(user, password)
	})
	switch v {
	case granted:
		http.SetCookie(w, s.guard.session(r))
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath leads to no other host
	case limited:
		s.tooMany(w)
		s.loginPage(w, http.StatusTooManyRequests, next, "Too many wrong tries. Wait a minute.")
	default:
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelWarn, "login refused", slog.String("from", r.RemoteAddr))
		s.loginPage(w, http.StatusUnauthorized, next, "That is not right.")
	}
}

func (s *Server) tooMany(w http.ResponseWriter) { w.Header().Set("Retry-After", seconds(tryWindow)) }

// localPath gives an address of this server: a path with its query, never another host's.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Path == "/login" {
		return "/"
	}
	// Browsers read "\" as "/", and "//host" as a host.
	if !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.Contains(u.Path, `\`) {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// admit lets a request through, or answers it: with a login for pages, with a problem for the rest.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, page bool) bool {
	if s.cfg.Auth.enabled() && page && r.URL.Query().Has("token") {
		s.tokenInAddress(w, r)
		return false
	}
	v := s.guard.judge(r)
	if v == granted {
		return true
	}
	if v == refused {
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelWarn, "credentials refused", slog.String("from", r.RemoteAddr))
	}
	if v == limited {
		s.tooMany(w)
		s.fail(w, r, page, wrong(http.StatusTooManyRequests, "too many wrong credentials", "wait a minute"))
		return false
	}
	switch {
	case page && crossSite(r):
		s.bounce(w, http.StatusUnauthorized, r.URL.RequestURI())
	case page:
		s.loginPage(w, http.StatusUnauthorized, localPath(r.URL.RequestURI()), "")
	default:
		s.challenge(w, r)
		s.fail(w, r, false, wrong(http.StatusUnauthorized, "say who you are", "send a token (Authorization: Bearer), or log in"))
	}
	return false
}

// challenge says which credentials are taken (RFC 9110 11.6.1). Scripts of a page are not asked for Basic: the browser
// would open a box of its own.
func (s *Server) challenge(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Auth.Token != "" {
		w.Header().Add("WWW-Authenticate", `Bearer realm="sipscope"`)
	}
	if s.cfg.Auth.Password != "" && r.Header.Get("Sec-Fetch-Mode") == "" {
		w.Header().Add("WWW-Authenticate", `Basic realm="sipscope", charset="UTF-8"`)
	}
}

// tokenInAddress takes ?token= once: the session begins, and the address is clean again.
func (s *Server) tokenInAddress(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	token := values.Get("token")
	values.Del("token")
	next := localPath((&url.URL{Path: r.URL.Path, RawQuery: values.Encode()}).String())
	switch s.guard.try(r, func() bool { return s.guard.token(token) }) {
	case granted:
		http.SetCookie(w, s.guard.session(r))
		if crossSite(r) {
			s.bounce(w, http.StatusOK, next)
			return
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
	case limited:
		s.tooMany(w)
		s.loginPage(w, http.StatusTooManyRequests, next, "Too many wrong tries. Wait a minute.")
	default:
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelWarn, "token refused", slog.String("from", r.RemoteAddr))
		s.loginPage(w, http.StatusUnauthorized, next, "The token in the address is not right.")
	}
}

// crossSite reports whether another site's page led here. The browser then keeps the session to itself
// (SameSite=Strict), on the redirects that follow, too.
func crossSite(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

// bounce answers with a page of this site that asks for an address again, so that a link in a ticket shows its call to
// who is logged in.
func (s *Server) bounce(w http.ResponseWriter, status int, address string) {
	s.plainPage(w, status, plain{Title: "sipscope", Again: localPath(address)})
}
