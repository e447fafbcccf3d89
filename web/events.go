package web

import (
	"errors"
	"net/http"
	"time"
)

const (
	// maxStreams bounds the event streams of a server.
	maxStreams = 1000
	// streamWait is how long a stream may take to accept an event.
	streamWait = 10 * time.Second
)

// serveEvents is GET /api/v1/events: server-sent events (HTML Living Standard, 9.2).
func (s *site) serveEvents(w http.ResponseWriter, r *http.Request) error {
	if s.srv.streams.Add(1) > maxStreams {
		s.srv.streams.Add(-1)
		return later("too many event streams", 10*time.Second)
	}
	defer s.srv.streams.Add(-1)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a proxy must not hold events back
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	st, ok := s.hub.join(r.Header.Get("Last-Event-ID"))
	if !ok {
		return errGone
	}
	defer s.hub.leave(st)
	control := http.NewResponseController(w)
	if !s.send(w, control, []byte("retry: 2000\n\n")) {
		return nil
	}
	for {
		select {
		case event := <-st.ch:
			if !s.send(w, control, event) {
				return nil
			}
		case <-r.Context().Done():
			return nil
		case <-s.srv.closing:
			return nil
		}
	}
}

// send writes an event, and reports whether the reader took it in time.
func (s *site) send(w http.ResponseWriter, control *http.ResponseController, event []byte) bool {
	err := control.SetWriteDeadline(time.Now().Add(streamWait))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	if _, err = w.Write(event); err != nil {
		return false
	}
	return control.Flush() == nil
}
