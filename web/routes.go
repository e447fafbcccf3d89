package web

import (
	"net/http"
	"time"
)

// handler answers a request for a capture. What it returns is told to the reader, unless bytes are on their way.
type handler func(s *site, w http.ResponseWriter, r *http.Request) error

// route is an address below a capture's base.
type route struct {
	method, path string
	kind         routeKind
	serve        handler
}

// routeKind says what a route answers with.
type routeKind uint8

const (
	_          routeKind = iota
	pageRoute            // HTML: errors and the login are pages, too
	dataRoute            // JSON, or a file
	uploadTake           // takes a large body
)

// routes lists what is served of a capture; it is there below "/u/{id}" for each uploaded one, too. openapi.json
// describes all below /api/.
func (s *Server) routes() []route {
	all := []route{
		{http.MethodGet, "/{$}", pageRoute, shell(ViewOverview)},
		{http.MethodGet, "/calls", pageRoute, shell(ViewCalls)},
		{http.MethodGet, "/calls/{num}", pageRoute, shell(ViewCall)},
		{http.MethodGet, "/api/v1/calls", dataRoute, (*site).serveList},
		{http.MethodGet, "/api/v1/calls/{num}", dataRoute, (*site).serveCall},
		{http.MethodGet, "/api/v1/calls/{num}/page", dataRoute, (*site).servePage},
		{http.MethodGet, "/api/v1/calls/{num}/download", dataRoute, (*site).serveCallFile},
		{http.MethodGet, "/api/v1/download", dataRoute, (*site).serveFile},
		{http.MethodGet, "/api/v1/overview", dataRoute, (*site).serveOverview},
		{http.MethodGet, "/api/v1/fields", dataRoute, (*site).serveFields},
		{http.MethodGet, "/api/v1/events", dataRoute, (*site).serveEvents},
		{http.MethodGet, "/api/v1/openapi.json", dataRoute, (*site).serveOpenAPI},
	}
	if s.cfg.Upload != nil {
		all = append(all, route{http.MethodPost, "/api/v1/upload", uploadTake, (*site).serveUpload})
	}
	return all
}

// uploadBase is below what uploaded captures are found.
const uploadBase = "/u/{id}"

// handlers registers all routes.
func (s *Server) handlers() *http.ServeMux {
	mux := http.NewServeMux()
	for _, rt := range s.routes() {
		mux.HandleFunc(rt.method+" "+rt.path, s.served(rt))
		if s.cfg.Upload != nil {
			mux.HandleFunc(rt.method+" "+uploadBase+rt.path, s.served(rt))
		}
	}
	mux.HandleFunc("GET /assets/{name}", s.serveAsset)
	mux.HandleFunc("GET /plain.css", s.serveStyle)
	mux.HandleFunc("GET /login", s.serveLogin)
	mux.HandleFunc("POST /login", s.serveLoginForm)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	metrics := s.metrics.handler()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if s.admit(w, r, false) {
			metrics.ServeHTTP(w, r)
		}
	})
	return mux
}

// served makes an http handler of a route: who asks, of which capture, and what to say when it fails.
func (s *Server) served(rt route) http.HandlerFunc {
	page := rt.kind == pageRoute
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.admit(w, r, page) {
			return
		}
		if rt.kind != uploadTake {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if r.ContentLength == 0 {
				// The deadline is for the request. When it passed while the answer is made, the answer would be given up.
				_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // without a connection there is none
			}
		}
		site, ok := s.site(r.PathValue("id"))
		if ok {
			r, ok = site.enter(r)
		}
		if !ok {
			s.fail(w, r, page, notFound("there is no such capture, or newer ones took its place"))
			return
		}
		defer site.leave(r)
		if err := rt.serve(site, w, r); err != nil && r.Context().Err() == nil {
			s.fail(w, r, page, err)
		} else if err != nil && s.gone(r) {
			s.fail(w, r, page, errGone)
		}
	}
}
