package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"sipscope/capture/hep"
	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/save"
)

// session is a run of the pipeline in the background, with what goes beside it: figures, HEP to a collector, alerts,
// snapshots on a signal.
type session struct {
	in      *input
	door    *door
	board   *correlate.Board
	figures figures
	rates   rates
	sender  *hep.Sender // nil without -H
	alerts  *alerts     // nil without --on

	cancel context.CancelCauseFunc
	ended  atomic.Pointer[error]
	done   chan struct{}
}

// begin starts a run over a door, which stays the caller's to close, after wait. more are sinks beside those of the
// session.
func (in *input) begin(ctx context.Context, d *door, cfg correlate.Config, more ...correlate.Sink) (*session, error) {
	s := &session{in: in, door: d, board: cfg.Board, done: make(chan struct{})}
	if s.board == nil {
		s.board = &correlate.Board{}
	}
	cfg.Board, cfg.Limits, cfg.IgnoreCase = s.board, in.limits(), in.ignoreCase
	cfg.Vault = d.vault
	if d.keys != nil {
		cfg.Secrets, cfg.Late = d.keys.secrets, d.live() || d.keys.files != nil
	}
	if cfg.Workers == 0 {
		cfg.Workers = in.workers
	}
	if d.live() {
		start := time.Now()
		cfg.Clock = func() int64 { return int64(time.Since(start)) }
	}
	ctx, s.cancel = context.WithCancelCause(ctx)
	if err := s.prepare(ctx, &cfg, more); err != nil {
		s.cancel(nil)
		return nil, err
	}
	go s.run(ctx, cfg)
	return s, nil
}

// prepare makes what goes beside the run.
func (s *session) prepare(ctx context.Context, cfg *correlate.Config, more []correlate.Sink) (err error) {
	sinks := more
	if s.counts() {
		sinks = append(sinks, &s.figures)
	}
	if s.sender, err = s.in.live.hep.sender(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if s.sender != nil {
		sinks = append(sinks, &hepSink{sender: s.sender})
	}
	if s.alerts, err = s.in.alerts(s, cfg); err != nil {
		return err
	}
	cfg.Sink = fanOut(sinks)
	return nil
}

// counts reports whether figures over messages are gathered: where somebody may ask for them while the run goes on. A list
// of a file needs none, and is quicker without.
func (s *session) counts() bool { return s.door.live() || s.in.looksOn }

func (s *session) run(ctx context.Context, cfg correlate.Config) {
	defer close(s.done)
	defer s.cancel(nil)
	defer tuneHeap()()
	side, stop := context.WithCancel(context.WithoutCancel(ctx))
	var g errgroup.Group
	if s.counts() {
		g.Go(func() error { s.snapshots(side); return nil })
	}
	if s.alerts != nil {
		g.Go(func() error { return s.alerts.run(side) })
	}
	err := correlate.Run(ctx, s.door.source, cfg)
	stop()
	if sideErr := g.Wait(); err == nil || errors.Is(err, context.Canceled) && sideErr != nil {
		err = sideErr // an alert that ended the run
	}
	if s.sender != nil {
		if flushErr := s.flush(context.WithoutCancel(ctx)); err == nil || errors.Is(err, context.Canceled) && flushErr != nil {
			err = flushErr
		}
	}
	s.ended.Store(&err)
}

// flushFor is how long the end of a run waits for a collector.
const flushFor = 5 * time.Second

// flush gives the collector what is still here. What it did not get is an error that leaves the rest as it is.
func (s *session) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushFor)
	defer cancel()
	err := s.sender.Close(ctx)
	st := s.sender.Stats()
	switch {
	case err != nil:
		return nothingError{fmt.Sprintf("%d messages sent, %d not: %v", st.Sent, st.Dropped+st.Buffered, err)}
	case st.Dropped+st.Buffered > 0:
		return nothingError{fmt.Sprintf("%s: %d messages sent, %d not: the collector was away for too long", s.in.live.hep.send,
			st.Sent, st.Dropped+st.Buffered)}
	}
	return nil
}

// wait waits for the end of the run.
func (s *session) wait() error {
	<-s.done
	return s.err()
}

// end stops the run and waits for it.
func (s *session) end() {
	s.cancel(nil)
	<-s.done
}

// err is what ended the run, nil while it runs.
func (s *session) err() error {
	if p := s.ended.Load(); p != nil {
		return *p
	}
	return nil
}

// text gives a message's raw text, nil when it cannot be read again.
func (s *session) text(call *correlate.Call, message int) []byte {
	b, err := decode.ReadText(s.door.texts, call.Messages[message].Pieces)
	if err != nil {
		return nil
	}
	return b
}

// live gives the line that says how a live run goes; nil for files.
func (s *session) live() func() string {
	if !s.door.live() {
		return nil
	}
	return s.status
}

// status is the line that a live run shows.
func (s *session) status() string {
	line := s.rates.statusLine(time.Now(), s.door, s.board)
	if s.sender != nil {
		if st := s.sender.Stats(); !st.Connected || st.Dropped > 0 {
			line += fmt.Sprintf(" · collector away: %s waiting, %s dropped", short(float64(st.Buffered)), short(float64(st.Dropped)))
		}
	}
	return line
}

// snapshots writes a report whenever a signal asks for it.
func (s *session) snapshots(ctx context.Context) {
	ask := make(chan os.Signal, 1)
	if len(snapshotSignals()) > 0 { // without signals Notify would ask for all
		signal.Notify(ask, snapshotSignals()...)
		defer signal.Stop(ask)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ask:
			path := time.Now().Format("sipscope-20060102-150405.html")
			if err := s.snapshot(ctx, path); err != nil {
				s.say(fmt.Sprintf("snapshot: %v", err))
				continue
			}
			s.say("snapshot written to " + path)
		}
	}
}

// say tells the user something beside the output; a terminal UI has the screen for itself until it ends.
func (s *session) say(text string) {
	if !s.in.fullScreen {
		fmt.Fprintf(s.in.io.err, "sipscope: %s\n", oneLine(text))
	}
}

// snapshot writes a report of all calls that are there.
func (s *session) snapshot(ctx context.Context, path string) error {
	return save.File(ctx, path, false, s.door.frames.Includes, func(w io.Writer) error {
		return s.report(ctx, w, s.board.Numbers())
	})
}

// report writes a report of some calls of what is there so far.
func (s *session) report(ctx context.Context, w io.Writer, nums []uint32) error {
	result, err := s.figures.result(ctx, s.board)
	if err != nil {
		return err
	}
	r := &capturedReport{}
	r.Title, r.Version, r.Result = s.door.name, version, result
	r.Notes = s.door.lost()
	r.Summaries = func(yield func(*correlate.Summary) bool) { eachSummary(s.board, nums, yield) }
	r.Call = callReader(s.board, s.door.texts, r.fail)
	m := newMediaOf(s.board, s.text)
	r.Ladder.Streams, r.Ladder.Lanes, r.Ladder.Findings = m.streams, m.lanes, m.findings
	_, err = r.Write(ctx, w)
	return errors.Join(err, r.failed())
}

// fanOut gives every sink what one would get.
func fanOut(sinks []correlate.Sink) correlate.Sink {
	switch len(sinks) {
	case 0:
		return nil
	case 1:
		return sinks[0]
	}
	f := &fan{sinks: sinks}
	for _, s := range sinks {
		if fs, ok := s.(correlate.FrameSink); ok {
			f.frames = append(f.frames, fs)
		}
	}
	if len(f.frames) > 0 {
		return &frameFan{f}
	}
	return f
}

// fan is several sinks.
type fan struct {
	sinks  []correlate.Sink
	frames []correlate.FrameSink
}

// Event implements correlate.Sink.
func (f *fan) Event(e *correlate.Event) error {
	for _, s := range f.sinks {
		if err := s.Event(e); err != nil {
			return err
		}
	}
	return nil
}

// frameFan is several sinks, some of which want frames.
type frameFan struct{ *fan }

// Frames implements correlate.FrameSink.
func (f *frameFan) Frames(w *decode.Work) error {
	for _, s := range f.frames {
		if err := s.Frames(w); err != nil {
			return err
		}
	}
	return nil
}

// sender makes what sends to a collector; nil without one.
func (h *hepFlags) sender(ctx context.Context) (*hep.Sender, error) {
	if h.send == "" {
		return nil, nil //nolint:nilnil // nobody asked for one
	}
	key, err := h.secret()
	if err != nil {
		return nil, err
	}
	node := h.node
	if node == "" {
		node, _ = os.Hostname() // an agent without a name is one, too
	}
	config, err := h.collectorTLS()
	if err != nil {
		return nil, err
	}
	s, err := hep.NewSender(ctx, hep.SendOptions{
		Address: h.send, TLS: config, CaptureID: h.id, Node: node, Key: key, Compress: h.compress, Now: time.Now,
	})
	if err != nil {
		return nil, usageError{err: err, hint: "it takes udp:HOST:PORT, tcp:HOST:PORT and tls:HOST:PORT"}
	}
	return s, nil
}

// hepSink sends messages to a collector.
type hepSink struct {
	sender *hep.Sender
	packet hep.Packet
}

// hepSIP is the protocol type of SIP in HEP.
const hepSIP = 1

// Event implements correlate.Sink. A collector that is away must not end the run: the sender counts what it drops.
func (h *hepSink) Event(e *correlate.Event) error {
	m := e.Message
	if m == nil || e.Verdict.Duplicate {
		return nil
	}
	p := &h.packet
	*p = hep.Packet{
		Version: 3, Type: hepSIP, Proto: 17, Src: m.Src.AddrPort(), Dst: m.Dst.AddrPort(), Time: m.Time,
		CorrelationID: m.SIP.CallID.Of(m.SIP.Raw), Payload: m.SIP.Raw,
	}
	switch m.Transport {
	case decode.TCP, decode.TLS, decode.WS, decode.WSS:
		p.Proto = 6
	case decode.SCTP:
		p.Proto = 132
	default:
	}
	_ = h.sender.Send(p)
	return nil
}
