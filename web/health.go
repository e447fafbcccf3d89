package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
)

// healthJSON is what somebody without a login may know; the version is for the others.
type healthJSON struct {
	Status  string `json:"status"`  // ok, failed
	Reading bool   `json:"reading"` // more may come
	Version string `json:"version,omitempty"`
}

// serveHealth is GET /healthz. The error that ended the reading may name files: it is in the log.
func (s *Server) serveHealth(w http.ResponseWriter, r *http.Request) {
	h := healthJSON{Status: "ok", Reading: !s.cfg.Data.Board.Done()}
	if s.guard.judge(r) == granted {
		h.Version = s.cfg.Version
	}
	status := http.StatusOK
	if err := s.cfg.Data.err(); err != nil && !errors.Is(err, context.Canceled) {
		h.Status, h.Reading, status = "failed", false, http.StatusServiceUnavailable
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelDebug, "unhealthy", slog.String("error", err.Error()))
	}
	if err := sendJSON(w, r, status, &h); err != nil {
		s.fail(w, r, false, err)
	}
}
