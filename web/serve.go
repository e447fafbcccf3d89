package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
)

// policy is the Content-Security-Policy of every answer: nothing but what this server serves, and no inline script.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// permissions switches off what a page of ours never asks for.
const permissions = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), " +
	"microphone=(), midi=(), payment=(), usb=()"

// secure sets the headers of every answer.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	h.Set("Cache-Control", "no-store")
}

// answer is a ResponseWriter that knows what was answered.
type answer struct {
	http.ResponseWriter

	status int // 0 before the header is written
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK { // the ones below say that an answer will come
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serve answers a request: what holds for all of them is here.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	a := &answer{ResponseWriter: w}
	secure(a.Header())
	route := "other"
	defer s.finish(a, r, &route)
	page := wantsPage(r)
	if !s.mayBeHost(r) {
		s.fail(a, r, page, wrong(http.StatusMisdirectedRequest, "this server is not called so", "open it as localhost or 127.0.0.1"))
		return
	}
	if s.origin.Check(r) != nil || isolated(r) {
		s.fail(a, r, page, wrong(http.StatusForbidden, "another site's page asked for this", ""))
		return
	}
	h, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.unknown(a, r, h, page)
		return
	}
	route = routeName(pattern)
	s.mux.ServeHTTP(a, r)
}

// finish counts an answer, and keeps what breaks in one from the others.
func (s *Server) finish(a *answer, r *http.Request, route *string) {
	p := recover()
	broken := p != nil
	if broken && !isAbort(p) {
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "panic", slog.String("path", r.URL.Path),
			slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
		if a.status == 0 {
			s.fail(a, r, false, wrong(http.StatusInternalServerError, "the server's log says more", ""))
			broken = false
		}
	}
	s.metrics.answered(*route, a.status)
	if broken {
		panic(http.ErrAbortHandler) // the reader must not take half an answer for a whole one
	}
}

func isAbort(p any) bool {
	err, ok := p.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

// routeName is a pattern without its method: a label of metrics, of which there are as many as routes.
func routeName(pattern string) string {
	_, path, ok := strings.Cut(pattern, " ")
	if !ok {
		return pattern
	}
	return strings.TrimSuffix(path, "{$}")
}

// unknown answers for addresses that are not there, and methods that an address does not take.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request, h http.Handler, page bool) {
	probe := &probe{header: http.Header{}}
	h.ServeHTTP(probe, r)
	if allow := probe.header.Get("Allow"); allow != "" {
		w.Header().Set("Allow", allow)
		s.fail(w, r, page, wrong(http.StatusMethodNotAllowed, "this address takes "+allow, ""))
		return
	}
	s.fail(w, r, page, notFound("there is nothing at this address"))
}

// probe takes the answer of the mux, to give a better one.
type probe struct{ header http.Header }

// Header implements http.ResponseWriter.
func (p *probe) Header() http.Header { return p.header }

// Write implements http.ResponseWriter.
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (p *probe) WriteHeader(int) {}

// wantsPage reports whether a request that belongs to no route comes from a person.
func wantsPage(r *http.Request) bool {
	return !strings.Contains(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// mayBeHost reports whether a request may mean this server. Without a login everything rests on the reader being on
// this machine: a page of another site, whose name was made to lead here (DNS rebinding), must not read it. It comes
// with its own name, so names of loopback are let in; whatever the port, for a tunnel (ssh -L) has another one.
func (s *Server) mayBeHost(r *http.Request) bool {
	if s.cfg.Auth.enabled() {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(host, "]"), "["), ".")
	return isLoopback(strings.ToLower(host))
}

// isolated reports whether a page of another site loads something of ours into itself. It could read none of it, but
// the time that a search takes would tell it what is in the messages. Following a link is no loading.
func isolated(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || dest != "" && dest != "document"
}

// gone reports whether a request ended because its capture is no longer served, and its reader still waits.
func (s *Server) gone(r *http.Request) bool {
	return errors.Is(context.Cause(r.Context()), errGone)
}
