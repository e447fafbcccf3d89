package web

import (
	"context"
	"net/http"
)

// serveOverview is GET /api/v1/overview.
func (s *site) serveOverview(w http.ResponseWriter, r *http.Request) error {
	d, err := s.overview.get(r.Context(), struct{}{})
	if err != nil {
		return err
	}
	d.send(w, r, http.StatusOK)
	return nil
}

// makeOverview draws the charts of all calls.
func (s *site) makeOverview(ctx context.Context, _ struct{}) (*document, error) {
	final := s.data.Board.Done() // asked for before the figures: what comes while they are made is not in them
	result, err := s.data.stats(ctx)
	if err != nil {
		return nil, err
	}
	acct, limited := s.data.Board.Accounting()
	b, err := s.srv.cfg.Pages.OverviewJSON(nil, Overview{
		Title: s.title, Result: result, Calls: s.data.Board.Calls(), Accounting: acct, Limited: limited,
	})
	if err != nil {
		return nil, err
	}
	return &document{body: b, kind: jsonType, final: final}, nil
}
