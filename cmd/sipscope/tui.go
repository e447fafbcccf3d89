package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/correlate/stats"
	"sipscope/render/columns"
	"sipscope/render/tui"
	"sipscope/render/tui/keymap"
	tuiterm "sipscope/render/tui/term"
)

// wantsTUI reports whether the plain command should draw a terminal UI: when somebody sits at both ends and asked for
// nothing that only a list can give.
func wantsTUI(cmd *cobra.Command, std stdio, noInterface, live bool) bool {
	if noInterface || !term.IsTerminal(int(std.out.Fd())) {
		return false
	}
	for _, name := range []string{"format", "limit", "width", "color"} {
		if cmd.Flags().Changed(name) && (name != "limit" || !live) {
			return false
		}
	}
	return true
}

// runTUI reads captures beside a terminal UI that shows what is there so far.
func (c *lsCommand) runTUI(ctx context.Context, cmd *cobra.Command, args []string, themeFlag string, ascii bool) error {
	cfg, err := loadConfig(os.Getenv)
	if err != nil {
		return err
	}
	if err = c.override(cmd, &cfg, themeFlag, ascii); err != nil {
		return err
	}
	l, err := c.look(&cfg)
	if err != nil {
		return err
	}
	if c.live.wanted() && c.maxCalls == 0 {
		c.maxCalls = c.limit
	}
	d, err := c.open(ctx, cmd, args, true)
	if err != nil {
		return err
	}
	defer d.close()
	ctx, stop := signal.NotifyContext(ctx, hangups()...)
	defer stop()
	workers := c.fairWorkers()
	c.looksOn, c.fullScreen = true, true
	run, err := c.begin(ctx, d, correlate.Config{Workers: workers, Headers: l.headers, Words: l.query.Words()})
	if err != nil {
		return err
	}
	err = l.show(ctx, c.callsOnly, d, run)
	run.end()
	if err != nil {
		return err
	}
	if err = run.err(); errors.Is(err, context.Canceled) {
		return nil // the user has seen enough
	}
	return err
}

// look is what a terminal UI is made of beside a run.
type look struct {
	cfg     *config
	query   *query.Query
	keys    *keymap.Map
	headers []string
}

// look checks the configuration.
func (in *input) look(cfg *config) (look, error) {
	l := look{cfg: cfg}
	var err error
	if l.query, err = in.compile(); err != nil {
		return l, err
	}
	if l.keys, err = keymap.New(cfg.Keys); err != nil {
		return l, usagef("see: sipscope config --dump", "%w", err)
	}
	_, l.headers, err = columns.Choose(strings.Join(cfg.List.Columns, ","))
	if err != nil && len(cfg.List.Columns) > 0 {
		return l, usagef("see: sipscope help columns", "%w", err)
	}
	l.headers = append(l.headers, l.query.Headers()...)
	l.query.Bind(l.headers)
	return l, nil
}

// show draws a run until the user has seen enough.
func (l *look) show(ctx context.Context, callsOnly bool, d *door, run *session) error {
	settings := l.cfg.settings()
	settings.CallsOnly = settings.CallsOnly || callsOnly
	m := newMediaOf(run.board, run.text)
	return tui.Run(ctx, tui.Options{
		Data: tuiterm.Data{
			Board: run.board, Source: d.name, Headers: l.headers, Text: run.text, Err: run.err, Progress: d.progress,
			Live: run.live(), Streams: m.streams, Lanes: m.lanes, Findings: m.findings,
		},
		Settings: settings, Theme: l.cfg.Theme, Colors: l.cfg.Colors, Keys: l.keys, Query: l.query, Env: os.Getenv,
		Figures: func(ctx context.Context) (string, error) { return run.figures.text(ctx, run.board) },
		Save:    d.frames,
	})
}

// fairWorkers is how many workers read beside a terminal UI. They keep every processor of the scheduler busy, and a key
// goes through four goroutines to its answer, each of which would wait for up to 10 ms. Two more processors let the
// system's scheduler do it, which is fair within a millisecond.
func (c *lsCommand) fairWorkers() int {
	workers := c.workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	return workers
}

// override takes the flags over the configuration.
func (c *lsCommand) override(cmd *cobra.Command, cfg *config, themeFlag string, ascii bool) error {
	if cmd.Flags().Changed("columns") {
		cfg.List.Columns = strings.Split(c.columns, ",")
	}
	if cmd.Flags().Changed("sort") {
		cfg.List.Sort = c.sortBy
	}
	if themeFlag != "" {
		if err := oneOf("--theme", themeFlag, append([]string{"auto"}, tuiterm.ThemeNames()...)...); err != nil {
			return err
		}
		cfg.Theme = themeFlag
	}
	cfg.ASCII = cfg.ASCII || ascii
	return nil
}

// figures counts messages as they pass, for the statistics screen.
type figures struct {
	mu sync.Mutex
	c  stats.Collector
}

// Event implements correlate.Sink.
func (f *figures) Event(e *correlate.Event) error {
	if e.Message != nil {
		f.mu.Lock()
		f.c.Message(e.Message, e.Verdict.Retransmission, e.Verdict.Duplicate)
		f.mu.Unlock()
	}
	return nil
}

// result gives the figures of what is there so far.
func (f *figures) result(ctx context.Context, board *correlate.Board) (stats.Result, error) {
	f.mu.Lock()
	c := f.c.Clone()
	f.mu.Unlock()
	for s := range board.Calls() {
		if ctx.Err() != nil {
			return stats.Result{}, context.Cause(ctx)
		}
		c.Call(s)
	}
	acct, limited := board.Accounting()
	result := c.Result(stats.NewTotals(acct, board.Totals(), limited))
	if counts := board.MediaCounts(); counts.Live <= maxJudged {
		result.RTP = stats.NewRTP(counts, board.Streams())
	}
	return result, nil
}

// text writes the statistics of what is there so far.
func (f *figures) text(ctx context.Context, board *correlate.Board) (string, error) {
	result, err := f.result(ctx, board)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = statsText(&b, &result)
	return b.String(), err
}

// sourceName names captures for a title.
func sourceName(paths []string) string {
	name := filepath.Base(paths[0])
	if paths[0] == "-" {
		name = "standard input"
	}
	if n := len(paths); n > 1 {
		return fmt.Sprintf("%s and %d more", name, n-1)
	}
	return name
}
