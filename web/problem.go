package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"sipscope/capture"
	"sipscope/correlate/query"
	"sipscope/render/export"
	"sipscope/render/save"
)

// errTooLong says that an answer took longer than a reader waits.
var errTooLong = errors.New("it took too long")

// problem is an answer that says what is wrong (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Column *int   `json:"column,omitempty"` // of a filter: where, 0-based, in characters
	Hint   string `json:"hint,omitempty"`

	retry time.Duration // when to ask again, 0 for not said
	cause error         // for the log; not for readers, for it may name files
}

// Error implements error.
func (p *problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Unwrap gives what is beneath.
func (p *problem) Unwrap() error { return p.cause }

// wrong makes a problem of a status, with its usual title.
func wrong(status int, detail, hint string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}
}

// later makes a problem that goes away.
func later(detail string, retry time.Duration) *problem {
	p := wrong(http.StatusServiceUnavailable, detail, "")
	p.retry = retry
	return p
}

func notFound(detail string) *problem { return wrong(http.StatusNotFound, detail, "") }

// problemOf says in HTTP's words what an error means to a reader. Errors that are the server's own are not told: they
// name files.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if e, ok := errors.AsType[*query.Error](err); ok {
		p := wrong(http.StatusBadRequest, e.Message, e.Hint)
		p.Type, p.Title, p.Column = "urn:sipscope:filter", "Wrong filter", &e.Column
		return p
	}
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return wrong(http.StatusRequestEntityTooLarge, "larger than "+bytesText(e.Limit), "")
	}
	switch {
	case errors.Is(err, errBusy):
		return later(errBusy.Error(), time.Second)
	case errors.Is(err, errTooLong), errors.Is(err, context.DeadlineExceeded):
		return later(errTooLong.Error()+"; ask for less", 10*time.Second)
	case errors.Is(err, errGone):
		return wrong(http.StatusGone, errGone.Error(), "")
	case errors.Is(err, save.ErrNothing):
		return notFound("there is nothing to save")
	case errors.Is(err, save.ErrTooMany):
		return wrong(http.StatusUnprocessableEntity, "too many messages for one drawing", "take pcapng, text, ndjson or csv")
	case errors.Is(err, capture.ErrLinkType):
		return wrong(http.StatusConflict, "a pcap file takes frames of one link type", "take pcapng")
	case errors.Is(err, capture.ErrTime):
		return wrong(http.StatusConflict, "a pcap file cannot hold the times of these frames", "take pcapng")
	case errors.Is(err, capture.ErrNotKept):
		return wrong(http.StatusConflict, "frames and texts of this capture are not kept", "take ladder, mermaid, svg, ndjson or csv")
	}
	p := wrong(http.StatusInternalServerError, "the server's log says more", "")
	p.cause = err
	return p
}

// fail answers with an error: as a page, or as JSON.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, page bool, err error) {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && p.cause != nil {
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "answer failed",
			slog.String("path", r.URL.Path), slog.String("error", p.cause.Error()))
	}
	if p.retry > 0 {
		w.Header().Set("Retry-After", seconds(p.retry))
	}
	if page {
		s.plainPage(w, p.Status, plain{Title: p.Title, Text: p.Detail, Hint: p.Hint, Home: true})
		return
	}
	b, err := json.Marshal(p)
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(export.Shown(b), '\n')) // the reader is gone, or has its answer
}
