package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/render/save"
)

const (
	// maxDownload is how many calls one download takes.
	maxDownload = 10_000
	// reportFormat is the format of a download that Data.Report writes.
	reportFormat = "report"
	// writeWait is how long a reader may take to accept some bytes of an endless answer.
	writeWait = 30 * time.Second
)

// serveCallFile is GET /api/v1/calls/{num}/download.
func (s *site) serveCallFile(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	c, err := s.summaryOf(r)
	if err != nil {
		return err
	}
	return s.download(w, r, values.Get("format"), "call-"+strconv.FormatUint(uint64(c.Num), 10), []uint32{c.Num})
}

// serveFile is GET /api/v1/download.
func (s *site) serveFile(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	key, err := s.orderOf(values)
	if err != nil {
		return err
	}
	nums, _, err := s.ordered(r.Context(), key)
	switch {
	case err != nil:
		return err
	case len(nums) > maxDownload:
		return wrong(http.StatusUnprocessableEntity, fmt.Sprintf("%d calls match, a download takes at most %d", len(nums), maxDownload),
			"narrow the filter")
	case len(nums) == 0:
		return notFound("no call matches")
	}
	return s.download(w, r, values.Get("format"), "calls", window(&key, nums, 0, len(nums)))
}

// download writes calls as a file. Once bytes are on their way an error can only be told by breaking off.
func (s *site) download(w http.ResponseWriter, r *http.Request, format, name string, nums []uint32) error {
	f, ok := save.ParseFormat(format)
	report := format == reportFormat && s.data.Report != nil
	if !ok && !report {
		return wrong(http.StatusBadRequest, fmt.Sprintf("there is no format %q", format), "take one of "+strings.Join(s.formats(), ", "))
	}
	ext, kind := f.Ext(), mediaType(f)
	if report {
		ext, kind = ".html", htmlType
	}
	return s.srv.heavy.do(r.Context(), func(ctx context.Context) error {
		out := &download{
			w: w, control: http.NewResponseController(w), kind: kind, name: name + ext,
		}
		buffered := bufio.NewWriterSize(out, 64<<10)
		err := s.write(ctx, buffered, f, report, nums)
		if err == nil {
			err = buffered.Flush()
		}
		switch {
		case err == nil:
			return nil
		case !out.begun:
			return err
		case ctx.Err() == nil && !out.failed:
			s.srv.cfg.Log.LogAttrs(ctx, slog.LevelError, "download broken off",
				slog.String("file", out.name), slog.String("error", err.Error()))
		}
		panic(http.ErrAbortHandler) // the one way to let the reader know that the file is not whole
	})
}

func (s *site) write(ctx context.Context, w io.Writer, f save.Format, report bool, nums []uint32) error {
	if report {
		return s.data.Report(ctx, w, nums)
	}
	_, err := save.Write(ctx, w, save.Job{
		Format: f, Source: s.data.Save, Calls: save.Numbered(s.data.Board, each(nums)), Total: len(nums),
		Headers: s.data.Headers, Ladder: s.ladder(),
	}, nil)
	return err
}

func each(nums []uint32) iter.Seq[uint32] { return slices.Values(nums) }

// formats lists what can be downloaded.
func (s *site) formats() []string {
	var names []string
	for _, f := range save.Formats() {
		names = append(names, f.String())
	}
	if s.data.Report != nil {
		names = append(names, reportFormat)
	}
	return names
}

// mediaType is the Content-Type of a format.
func mediaType(f save.Format) string {
	switch f {
	case save.Pcap:
		return "application/vnd.tcpdump.pcap"
	case save.Pcapng:
		return "application/x-pcapng"
	case save.SVG:
		return "image/svg+xml"
	case save.HTML:
		return htmlType
	case save.JSON:
		return jsonType
	case save.NDJSON:
		return "application/x-ndjson"
	case save.CSV:
		return "text/csv; charset=utf-8"
	default:
		return textType
	}
}

// download is a file on its way: its headers go out with its first bytes, so that what fails before is a whole answer.
type download struct {
	w          http.ResponseWriter
	control    *http.ResponseController
	kind, name string
	begun      bool
	failed     bool // the reader is gone
}

// Write implements io.Writer.
func (d *download) Write(b []byte) (int, error) {
	if !d.begun {
		d.begun = true
		h := d.w.Header()
		h.Set("Content-Type", d.kind)
		h.Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	}
	if err := d.control.SetWriteDeadline(time.Now().Add(writeWait)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := d.w.Write(b)
	if err != nil {
		d.failed = true
	}
	return n, err
}

// gate lets few do what is costly at the same time.
type gate chan struct{}

// gateWait is how long one waits at a gate.
const gateWait = 10 * time.Second

// do runs f when there is room, and gives up after a while.
func (g gate) do(ctx context.Context, f func(context.Context) error) error {
	wait, cancel := context.WithTimeoutCause(ctx, gateWait, errBusy)
	defer cancel()
	select {
	case g <- struct{}{}:
		defer func() { <-g }()
		return f(ctx)
	case <-wait.Done():
		return context.Cause(wait)
	}
}
