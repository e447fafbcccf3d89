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

// summaryOf finds the call that an address names. It is as strict as addresses are: "7", not "07" or "+7".
func (s *site) summaryOf(r *http.Request) (*correlate.Summary, error) {
	name := r.PathValue("num")
	num, err := strconv.ParseUint(name, 10, 32)
	if err == nil && strconv.FormatUint(num, 10) == name {
		if found := s.data.Board.Summaries([]uint32{uint32(num)}, nil); len(found) == 1 {
			return &found[0], nil
		}
	}
	return nil, errNoCall()
}

func errNoCall() error { return notFound("there is no such call, or a limit of memory has ended it") }

// withCall runs what draws the call that an address names. Few large calls are copied and drawn at a time.
func (s *site) withCall(r *http.Request, draw func(c *correlate.Call) error) error {
	summary, err := s.summaryOf(r)
	if err != nil {
		return err
	}
	do := func(context.Context) error {
		c, ok := s.data.Board.Call(summary.Num)
		switch {
		case !ok:
			return errNoCall()
		case len(c.Messages) > save.MaxTogether:
			return save.ErrTooMany
		}
		return draw(&c)
	}
	if summary.Messages > manyMessages {
		return s.srv.heavy.do(r.Context(), do)
	}
	return do(r.Context())
}

// serveCall is GET /api/v1/calls/{num}.
func (s *site) serveCall(w http.ResponseWriter, r *http.Request) error {
	var b bytes.Buffer
	err := s.withCall(r, func(c *correlate.Call) error {
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

func (s *site) ladder() ladder.Options {
	return ladder.Options{Source: s.title, Streams: s.data.Streams, Lanes: s.data.Lanes, Findings: s.data.Findings}
}

// servePage is GET /api/v1/calls/{num}/page.
func (s *site) servePage(w http.ResponseWriter, r *http.Request) error {
	var b []byte
	err := s.withCall(r, func(c *correlate.Call) (err error) {
		b, err = s.srv.cfg.Pages.CallJSON(nil, c, s.data.text(c), s.data.media(c.Num))
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
		var err error
		if view != ViewCall {
			err = draw()
		} else {
			err = s.withCall(r, func(c *correlate.Call) error {
				page.Call, page.Text, page.Media = c, s.data.text(c), s.data.media(c.Num)
				if m, no := strconv.Atoi(r.URL.Query().Get("m")); no == nil && m >= 0 && m < len(c.Messages) {
					page.Message = m
				}
				return draw()
			})
		}
		if err != nil {
			return err
		}
		(&document{body: b.Bytes(), kind: htmlType}).send(w, r, http.StatusOK)
		return nil
	}
}
