package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/correlate/watch"
	"sipscope/render/export"
)

// alertFlags say what to do when a call matches.
type alertFlags struct {
	on    string
	exec  string
	args  []string
	every time.Duration
}

func (a *alertFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&a.on, "on", "", "filter for alerts: end with exit code 1 when a call matches, or run --exec for it")
	f.StringVar(&a.exec, "exec", "", "program to run for each call that matches --on; the call is on its standard input as JSON")
	f.StringArrayVar(&a.args, "exec-arg", nil, "argument for --exec (repeatable)")
	f.DurationVar(&a.every, "exec-every", time.Second, "least time between two runs of --exec")
}

// alerts watches calls.
type alerts struct {
	s       *session
	watcher *watch.Watcher
	runner  *watch.Runner // nil: the first match ends the run
	headers []string
	flag    string
	path    string // of the program
}

// alertEvery is how often calls are looked at.
const alertEvery = 100 * time.Millisecond

// alerts makes the watcher that --on asks for; nil without one.
func (in *input) alerts(s *session, cfg *correlate.Config) (*alerts, error) {
	f := &in.alert
	if f.on == "" {
		if f.exec != "" {
			return nil, usagef(`try: --on 'state == "failed"' --exec `+f.exec, "--exec says what to do, and --on is missing, which says when")
		}
		return nil, nil //nolint:nilnil // nobody asked for alerts
	}
	q, err := query.Compile(f.on, query.Options{IgnoreCase: in.ignoreCase})
	if err != nil {
		return nil, usagef("see: sipscope help filters", "--on: %w", err)
	}
	cfg.Headers = append(cfg.Headers, q.Headers()...)
	q.Bind(cfg.Headers)
	if cfg.Words, err = q.BindWords(cfg.Words); err != nil {
		return nil, usagef("name fewer texts", "--on: %w", err)
	}
	a := &alerts{s: s, watcher: watch.New(s.board, q.Match), headers: cfg.Headers, flag: f.on, path: f.exec}
	if f.exec == "" {
		return a, nil
	}
	a.runner, err = watch.NewRunner(watch.RunOptions{Path: f.exec, Args: f.args, Every: f.every, Stderr: cleaned{in.io.err}})
	if err != nil {
		return nil, usageError{err: err, hint: "it is run as it is, without a shell; arguments: --exec-arg"}
	}
	return a, nil
}

// run looks at calls until ctx ends, and once more after that.
func (a *alerts) run(ctx context.Context) error {
	if a.runner == nil {
		return a.poll(ctx, a.stop)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- a.runner.Run(running) }()
	err := a.poll(ctx, a.tell)
	a.runner.Drain(flushFor)
	stop()
	if runErr := <-ended; err == nil {
		err = runErr
	}
	if n := a.runner.Stats().Skipped; n > 0 {
		a.s.say(fmt.Sprintf("%d calls matched --on and had no run of %s: they came faster than --exec-every", n, a.path))
	}
	return err
}

func (a *alerts) poll(ctx context.Context, f func(*correlate.Summary) error) error {
	tick := time.NewTicker(alertEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return a.watcher.Poll(f)
		case <-tick.C:
			if err := a.watcher.Poll(f); err != nil {
				return err
			}
		}
	}
}

// stop ends the run with the first call that matches.
func (a *alerts) stop(s *correlate.Summary) error {
	err := nothingError{fmt.Sprintf("call %d matches --on: %s, %s %d (%s)", s.Num, s.CallID, s.State, s.Code, a.flag)}
	a.s.cancel(err)
	return err
}

// tell runs the program for a call.
func (a *alerts) tell(s *correlate.Summary) error {
	a.runner.Call(s, export.AppendSummaryJSON(nil, s, a.headers))
	return nil
}

// cleaned passes on what a program says, made safe for a terminal.
type cleaned struct{ w io.Writer }

// Write implements io.Writer.
func (c cleaned) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if _, err := fmt.Fprintln(c.w, oneLine(line)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
