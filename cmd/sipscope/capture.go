package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipscope/capture/output"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/record"
	"sipscope/web"
)

// captureCommand is "sipscope capture": what comes in goes out, without anybody looking.
type captureCommand struct {
	input
	size    string
	age     time.Duration
	packets uint64
	files   int
	zstd    bool
	force   bool
	perCall string
	noMedia bool
	metrics string
}

func newCapture(std stdio) *cobra.Command {
	c := &captureCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "capture -d INTERFACE -O FILE",
		Short: "Capture without looking: to files, one file a call, or a HEP collector",
		Long: `Write what an interface or HEP agents give to pcapng files, send it to a HEP collector, raise alerts; no terminal needed.

With --filter only the calls that match are written, with the frames that they had before they matched, and with the media
that their SDP names. --per-call writes a file for each call.

SIGINT and SIGTERM finish the files, SIGHUP begins new ones under the same names (for logrotate), SIGUSR1 writes a report
(sipscope-DATE-TIME.html) of the calls so far. A file can be read at any time, also after the program was killed.`,
		Example: `  sipscope capture -d eth0 -O trace.pcapng
  sipscope capture -d any --bpf 'udp port 5060 or tcp port 5060' -O sip.pcapng --rotate-size 100MB --files 20
  sipscope capture -d eth0 --filter 'state == "failed"' -O failed.pcapng
  sipscope capture -d eth0 --per-call /var/spool/calls
  sipscope capture -d eth0 -H udp:homer.example.com:9060
  sipscope capture -L udp:0.0.0.0:9060 -O agents.pcapng.zst --rotate-time 1h
  sipscope capture -d eth0 --keep 1h --on 'code >= 500' --exec ./notify --metrics 127.0.0.1:9100`,
		RunE: c.run,
	}
	f := cmd.Flags()
	c.flags(f)
	c.filterFlags(f)
	f.IntVarP(&c.maxCalls, "limit", "l", 0, "the same as --max-calls")
	f.StringVar(&c.size, "rotate-size", "", "begin a new file at this size, such as 100MB")
	f.DurationVar(&c.age, "rotate-time", 0, "begin a new file after this time, such as 1h")
	f.Uint64Var(&c.packets, "rotate-packets", 0, "begin a new file after so many packets")
	f.IntVar(&c.files, "files", 0, "keep so many files, the newest (default: all)")
	f.BoolVar(&c.zstd, "zstd", false, "compress with zstd; also by the ending .zst")
	f.BoolVar(&c.force, "force", false, "overwrite existing files")
	f.StringVar(&c.perCall, "per-call", "", "write a file for each call into this directory")
	f.BoolVar(&c.noMedia, "no-media", false, "with --filter or --per-call: only SIP, not the media that it names")
	f.StringVar(&c.metrics, "metrics", "", "serve figures for Prometheus on this address, such as 127.0.0.1:9100")
	for _, name := range []string{
		"write", "hep-send", "spool", "spool-size", "buffer", "keep", "idle", "user", "promisc", "snaplen",
	} {
		f.Lookup(name).Hidden = false
	}
	return cmd
}

func (c *captureCommand) run(cmd *cobra.Command, args []string) error {
	if err := c.check(); err != nil {
		return err
	}
	q, err := c.compile()
	if err != nil {
		return err
	}
	path := c.live.write
	c.live.write = "" // this command writes itself
	d, err := c.open(cmd.Context(), cmd, args, true)
	if err != nil {
		return err
	}
	defer d.close()
	job := &captureJob{c: c, d: d, board: &correlate.Board{}}
	headers := q.Headers()
	q.Bind(headers)
	match := func(s *correlate.Summary) bool {
		return (!c.callsOnly || s.Method == "INVITE") && q.Match(s)
	}
	sinks, err := job.outputs(path, match)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if d.live() {
		ctx = c.watch(cmd)
	}
	run, err := c.begin(ctx, d, correlate.Config{Headers: headers, Words: q.Words(), Board: job.board}, sinks...)
	if err != nil {
		return errors.Join(err, job.close())
	}
	return job.wait(ctx, run)
}

// check finds flags that do not go together.
func (c *captureCommand) check() error {
	switch {
	case c.live.write == "" && c.perCall == "" && c.live.hep.send == "" && c.metrics == "" && c.alert.on == "":
		return usagef("try: -O trace.pcapng, --per-call DIR, -H udp:HOST:9060, --on FILTER --exec PROGRAM or --metrics ADDRESS",
			"nothing is to be done with the packets")
	case c.perCall != "" && c.live.write != "" && c.chooses():
		return usagef("leave out one of them", "--filter with -O writes the calls that match to one file, --per-call to one each")
	}
	return nil
}

// chooses reports whether only some calls are to be written.
func (c *captureCommand) chooses() bool { return c.filter != "" || c.callsOnly }

// captureJob is a run of the command.
type captureJob struct {
	c        *captureCommand
	d        *door
	board    *correlate.Board
	out      *output.Output
	recorder *record.Recorder
}

// outputs opens the files; the sinks fill them.
func (j *captureJob) outputs(path string, match func(*correlate.Summary) bool) ([]correlate.Sink, error) {
	c := j.c
	if path != "" {
		o := output.Options{
			Path: path, MaxAge: c.age, MaxPackets: c.packets, Files: c.files, Zstd: c.zstd, Force: c.force,
			Names: j.d.ifaceName, Counts: j.d.counts, Application: "sipscope " + version, Writer: c.io.out, Zone: time.Local,
		}
		if c.size != "" {
			size, err := parseSize("--rotate-size", c.size)
			if err != nil {
				return nil, err
			}
			o.MaxBytes = size
		}
		var err error
		if j.out, err = output.Create(o); err != nil {
			return nil, exportError(err, path)
		}
		j.d.outputs = append(j.d.outputs, j.out)
	}
	if c.perCall == "" && !c.chooses() || path == "" && c.perCall == "" {
		if j.out != nil {
			j.d.source = &tee{Source: j.d.source, out: j.out}
		}
		return nil, nil
	}
	o := record.Options{
		Dir: c.perCall, Match: match, Read: j.d.texts.ReadAt, Media: !c.noMedia, Names: j.d.ifaceName,
		Application: "sipscope " + version,
	}
	if c.perCall == "" {
		o.Write = j.out.Write
	}
	var sink correlate.Sink
	r, err := record.New(j.board, o)
	if err != nil {
		return nil, usageError{err: err, hint: "name another directory with --per-call"}
	}
	j.recorder, sink = r, r
	switch {
	case c.perCall == "":
		sink = &ticking{Recorder: r, out: j.out}
	case j.out != nil:
		j.d.source = &tee{Source: j.d.source, out: j.out}
	}
	return []correlate.Sink{sink}, nil
}

// ticking is a recorder that tells the file it writes to how late it is, also while no call matches: what waits must be on
// disk within a second.
type ticking struct {
	*record.Recorder

	out *output.Output
}

// Frames implements correlate.FrameSink.
func (t *ticking) Frames(w *decode.Work) error {
	err := t.Recorder.Frames(w)
	_ = t.out.Tick(w.Batch.Now) // the output counts what it lacks
	return err
}

// wait lets the run go on to its end, and says what it wrote.
func (j *captureJob) wait(ctx context.Context, run *session) error {
	stop, err := j.export(ctx, run)
	if err != nil {
		run.end()
		return errors.Join(err, j.close())
	}
	done := make(chan struct{})
	go j.reopen(done)
	progress := j.c.progress(run)
	err = run.wait()
	progress()
	close(done)
	stop()
	if closeErr := j.close(); err == nil {
		err = closeErr
	}
	j.report(run)
	return err
}

// reopen begins new files when a signal asks for it, until done.
func (j *captureJob) reopen(done <-chan struct{}) {
	ask := make(chan os.Signal, 1)
	if len(reopenSignals()) > 0 {
		signal.Notify(ask, reopenSignals()...)
		defer signal.Stop(ask)
	}
	for {
		select {
		case <-done:
			return
		case <-ask:
			if j.out == nil {
				continue
			}
			if err := j.out.Reopen(); err != nil {
				fmt.Fprintf(j.c.io.err, "sipscope: %s\n", oneLine(err.Error()))
			}
		}
	}
}

// close finishes the files.
func (j *captureJob) close() error {
	var err error
	if j.recorder != nil {
		err = j.recorder.Close()
	}
	if j.out != nil {
		err = errors.Join(err, j.c.tellOutput(j.out))
	}
	return err
}

// report says what was captured and written.
func (j *captureJob) report(run *session) {
	if j.c.quiet {
		return
	}
	acct, _ := run.board.Accounting()
	parts := []string{fmt.Sprintf("%d packets, %d SIP messages, %d calls", acct.Packets, acct.Messages, run.board.Totals().Calls)}
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if j.out != nil {
		st := j.out.Stats()
		add("%d packets in %s written", st.Packets, plural(int(st.Files), "file")) //nolint:gosec // a count
	}
	if j.recorder != nil {
		st := j.recorder.Stats()
		add("%s recorded, %d frames", plural(int(st.Calls), "call"), st.Frames) //nolint:gosec // a count
		if st.Lost+st.Unkept > 0 {
			add("%d frames lost", st.Lost+st.Unkept)
		}
	}
	if run.alerts != nil && run.alerts.runner != nil {
		st := run.alerts.runner.Stats()
		add("%d programs run, %d failed", st.Started, st.Failed)
	}
	if run.door.live() {
		parts = append(parts, losses(run.door)...)
	}
	fmt.Fprintln(j.c.io.err, oneLine(strings.Join(parts, "; ")))
}

// export serves figures while the run goes on.
func (j *captureJob) export(ctx context.Context, run *session) (stop func(), err error) {
	if j.c.metrics == "" {
		return func() {}, nil
	}
	data := run.data()
	e, err := web.Export(ctx, j.c.metrics, &data, version)
	if err != nil {
		return nil, usageError{err: err, hint: "choose another address with --metrics"}
	}
	return func() { _ = e.Close() }, nil
}
