package web

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"sipscope/correlate"
	"sipscope/render/export"
	"sipscope/render/ladder"
	"sipscope/render/save"
)

// manyMessages is from how many messages on a call is drawn by few requests at a time: a ladder is built in memory, some
// 1.5 KB a message.
const manyMessages = 1000

// callOf finds the call that an address names. It is as strict as addresses are: "7", not "07" or "+7".
func (s *site) callOf(r *http.Request) (*correlate.Call, error) {
	name := r.PathValue("num")
	num, err := strconv.ParseUint(name, 10, 32)
	if err == nil && strconv.FormatUint(num, 10) == name {
		if c, ok := s.data.Board.Call(uint32(num)); ok {
			return &c, nil
		}
	}
	return nil, notFound("there is no such call, or a limit of memory has ended it")
}

// drawn runs what draws a call: few large ones at a time.
func (s *site) drawn(ctx context.Context, c *correlate.Call, draw func() error) error {
	switch n := len(c.Messages); {
	case n > save.MaxTogether:
		return save.ErrTooMany
	case n > manyMessages:
		return s.srv.heavy.do(ctx, draw)
	default:
		return draw()
	}
}

// serveCall is GET /api/v1/calls/{num}.
func (s *site) serveCall(w http.ResponseWriter, r *http.Request) error {
	c, err := s.callOf(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = s.drawn(r.Context(), c, func() error {
		text := s.data.text(c)
		calls := []correlate.Call{*c}
		of := func(_, message int) []byte { return text(message) }
		l := ladder.Build(calls, of, s.ladder())
		return export.WriteFlowJSON(&b, &l, calls, of, s.data.Headers)
	})
	if err != nil {
		return err
	}
	(&document{body: b.Bytes(), kind: jsonType}).send(w, r, http.StatusOK)
	return nil
}

func (s *site) ladder() ladder.Options { return ladder.Options{Source: s.title} }

// servePage is GET /api/v1/calls/{num}/page.
func (s *site) servePage(w http.ResponseWriter, r *http.Request) error {
	c, err := s.callOf(r)
	if err != nil {
		return err
	}
	var b []byte
	err = s.drawn(r.Context(), c, func() (err error) {
		b, err = s.srv.cfg.Pages.CallJSON(nil, c, s.data.text(c))
		return err
	})
	if err != nil {
		return err
	}
	(&document{body: b, kind: jsonType}).send(w, r, http.StatusOK)
	return nil
}

// shell serves the page of a view.
func shell(view string) handler {
	return func(s *site, w http.ResponseWriter, r *http.Request) error {
		page := Shell{
			View: view, Message: -1, Title: s.title, Base: s.base, Path: r.URL.Path, Live: !s.data.Board.Done(),
			Upload: s.srv.cfg.Upload != nil, Version: s.srv.cfg.Version,
		}
		var b bytes.Buffer
		draw := func() error { return s.srv.cfg.Pages.Shell(&b, page) }
		if view != ViewCall {
			if err := draw(); err != nil {
				return err
			}
			(&document{body: b.Bytes(), kind: htmlType}).send(w, r, http.StatusOK)
			return nil
		}
		c, err := s.callOf(r)
		if err != nil {
			return err
		}
		page.Call, page.Text = c, s.data.text(c)
		if m, err := strconv.Atoi(r.URL.Query().Get("m")); err == nil && m >= 0 && m < len(c.Messages) {
			page.Message = m
		}
		if err := s.drawn(r.Context(), c, draw); err != nil {
			return err
		}
		(&document{body: b.Bytes(), kind: htmlType}).send(w, r, http.StatusOK)
		return nil
	}
}
