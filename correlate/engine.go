// Package correlate is the archive: it puts messages into transactions, dialogs, calls and groups (RFC 3261 17, 12),
// and runs the pipeline that feeds it.
//
//	source ─▶ read ─▶ frames (N workers) ─▶ streams (1) ─▶ texts (N workers) ─▶ track (1) ─▶ Sink, Board
//	             batches keep their order at each serial stage, so any number of workers gives the same output
//
// It does not read files, draw or print. Run owns every goroutine that it starts; the Tracker itself has no goroutine,
// clock or lock.
package correlate

import (
	"context"
	"errors"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"sipscope/capture"
	"sipscope/decode"
)

// Config says how to run.
type Config struct {
	Workers    int      // decoding goroutines; 0 takes one a core
	Limits     Limits   // zero fields take defaults
	Headers    []string // header names whose first value every call keeps (Summary.Columns)
	Words      []string // texts looked for in every message (Summary.Words), at most 64
	IgnoreCase bool     // Words match whatever the case
	Sink       Sink     // nil for none
	Board      *Board   // nil for none
}

// Sink gets every event in order, on the pipeline's own goroutine: a slow sink slows the pipeline and loses nothing.
type Sink interface {
	// Event must not keep e or what it points to. An error stops the run and is returned by Run.
	Event(e *Event) error
}

// Event is a message or a gap with what the tracker made of it.
type Event struct {
	Message *decode.Message // nil for a gap
	Gap     *decode.Gap     // nil for a message
	Verdict Verdict         // of a message
}

// batchesPerWorker keeps every stage busy: one batch a worker, one waiting for it, and a few for the serial stages.
const (
	batchesPerWorker = 2
	batchesSerial    = 4
)

// Run reads source to its end, or until ctx is done, and fills the board and the sink. What it read before an error is
// in them; the error is the source's, the sink's or the context's.
func Run(ctx context.Context, source capture.Source, cfg Config) error {
	workers := cfg.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	n := workers*batchesPerWorker + batchesSerial
	p := &pipeline{
		source:  source,
		sink:    cfg.Sink,
		board:   cfg.Board,
		decoder: decode.NewDecoder(decode.Options{Words: cfg.Words, IgnoreCase: cfg.IgnoreCase}),
		streams: decode.NewStreams(),
		tracker: NewTracker(cfg.Limits, cfg.Headers),
		free:    make(chan *job, n),
		frames:  make(chan *job, n),
		texts:   make(chan *job, n),
		toJoin:  make(chan *job, n),
		toTrack: make(chan *job, n),
	}
	for range n {
		p.free <- &job{framed: make(chan struct{}, 1), parsed: make(chan struct{}, 1)}
	}
	if p.board == nil {
		p.board = &Board{}
	}
	p.board.mu.Lock()
	p.board.t, p.board.done = p.tracker, false
	p.board.mu.Unlock()
	defer p.board.finish()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.read(ctx) })
	for range workers {
		g.Go(func() error { return p.work(ctx) })
	}
	g.Go(func() error { return p.stream(ctx) })
	g.Go(func() error { return p.track(ctx) })
	err := g.Wait()
	if err == nil {
		err = p.sourceErr
	}
	return err
}

// job is a batch on its way through the pipeline.
type job struct {
	decode.Work
	framed, parsed chan struct{} // one token each when the stage is done
}

// pipeline is the state that the stages share; each field belongs to one stage or is safe to share. Every channel has
// room for all jobs, so no send ever waits and the stages cannot block each other.
type pipeline struct {
	source    capture.Source
	sink      Sink
	board     *Board
	decoder   *decode.Decoder
	streams   *decode.Streams
	tracker   *Tracker
	warmed    uint64 // see Tracker.Warm
	sourceErr error  // written by read before it closes toJoin, read after all stages ended

	free                           chan *job
	frames, texts, toJoin, toTrack chan *job
}

// take receives or gives up when the run is over.
func take(ctx context.Context, c <-chan *job) (*job, bool, error) {
	select {
	case j, ok := <-c:
		return j, ok, nil
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
}

func await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read fills batches. The source's error is kept until everything before it has been tracked (law 10).
func (p *pipeline) read(ctx context.Context) error {
	defer close(p.toJoin)
	defer close(p.frames)
	for {
		j, _, err := take(ctx, p.free)
		if err != nil {
			return err
		}
		if err := p.source.Next(ctx, &j.Batch); err != nil {
			j.Last = true
			if !errors.Is(err, io.EOF) {
				p.sourceErr = err
			}
		}
		last := j.Last
		p.frames <- j
		p.toJoin <- j
		if last {
			return nil
		}
	}
}

// work decodes frames and, after the streams have been joined, the texts that came out of them.
func (p *pipeline) work(ctx context.Context) error {
	frames, texts := p.frames, p.texts
	for frames != nil || texts != nil {
		select {
		case j, ok := <-frames:
			if !ok {
				frames = nil
				continue
			}
			p.decoder.Frames(&j.Work)
			j.framed <- struct{}{}
		case j, ok := <-texts:
			if !ok {
				texts = nil
				continue
			}
			p.decoder.Texts(&j.Work)
			j.parsed <- struct{}{}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// stream joins fragments and TCP segments in the order of the capture.
func (p *pipeline) stream(ctx context.Context) error {
	defer close(p.toTrack)
	defer close(p.texts)
	for {
		j, ok, err := take(ctx, p.toJoin)
		if err != nil || !ok {
			return err
		}
		if err := await(ctx, j.framed); err != nil {
			return err
		}
		if p.streams.Join(&j.Work) {
			p.texts <- j
		} else {
			j.parsed <- struct{}{}
		}
		p.toTrack <- j
	}
}

// track feeds the tracker and the sink, and recycles the batch.
func (p *pipeline) track(ctx context.Context) error {
	for {
		j, ok, err := take(ctx, p.toTrack)
		if err != nil || !ok {
			return err
		}
		if err := await(ctx, j.parsed); err != nil {
			return err
		}
		if err := p.trackBatch(&j.Work); err != nil {
			return err
		}
		j.Reset()
		p.free <- j
	}
}

// trackBatch holds the board's lock while the tracker works, and lets go of it while a sink does.
func (p *pipeline) trackBatch(w *decode.Work) error {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	p.tracker.Advance(w.Batch.Now)
	p.warmed += p.tracker.Warm(w)
	for m, g := range w.Items() {
		e := Event{Message: m, Gap: g}
		if m != nil {
			e.Verdict = p.tracker.Message(m)
		} else {
			p.tracker.Gap(g)
		}
		if p.sink == nil {
			continue
		}
		p.board.mu.Unlock()
		err := p.sink.Event(&e)
		p.board.mu.Lock()
		if err != nil {
			return err
		}
	}
	w.Account(&p.board.acct)
	return nil
}

func (b *Board) finish() {
	b.mu.Lock()
	b.done = true
	b.mu.Unlock()
}

// firstAfter finds the oldest change after a revision, from the young end: a reader that polls is close to it.
func (t *Tracker) firstAfter(since uint64) uint32 {
	if since == 0 {
		return t.oldest
	}
	first := uint32(0)
	for ci := t.newest; ci != 0; {
		c := t.calls.at(ci)
		if c.rev <= since {
			break
		}
		first, ci = ci, c.older
	}
	return first
}
