// Package correlate is the archive: it puts messages into transactions, dialogs, calls and groups (RFC 3261 17, 12),
// and runs the pipeline that feeds it.
//
//	source ─▶ read and frames (N workers, one reads at a time) ─▶ streams (1) ─▶ texts (N workers) ─▶ track (1) ─▶ Sink, Board
//	          batches keep their order at the serial stages, so any number of workers gives the same output
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

// Jobs in flight: one that a worker fills and decodes, one that waits for the serial stage, and a few that wait for
// their texts.
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
		token:   make(chan struct{}, 1),
		order:   make(chan *job, n),
		texts:   make(chan *job, n),
	}
	for range n {
		p.free <- &job{framed: make(chan struct{}, 1), parsed: make(chan struct{}, 1)}
	}
	p.token <- struct{}{}
	if p.board == nil {
		p.board = &Board{}
	}
	p.board.mu.Lock()
	p.board.t, p.board.done = p.tracker, false
	p.board.mu.Unlock()
	defer p.board.finish()

	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error { return p.work(ctx) })
	}
	g.Go(func() error { return p.serial(ctx) })
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
	sourceErr error // written by the worker that read the end, read after all stages ended

	free  chan *job
	token chan struct{} // the right to read; closed at the end of the source
	order chan *job     // jobs in the order in which they were read
	texts chan *job     // jobs whose streams gave texts to parse
}

// work is a worker: it fills a batch when it has the right to read, and decodes it at once, while the bytes are still
// in its processor's cache; in between it parses the texts that came out of streams.
func (p *pipeline) work(ctx context.Context) error {
	free, token := p.free, (chan struct{})(nil)
	var empty *job
	for {
		select {
		case j, ok := <-p.texts:
			if !ok {
				return nil
			}
			p.decoder.Texts(&j.Work)
			j.parsed <- struct{}{}
		case empty = <-free:
			free, token = nil, p.token
		case _, open := <-token:
			token = nil
			if !open {
				continue // nothing more to read; texts may still come
			}
			p.fill(ctx, empty)
			free, empty = p.free, nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// fill reads a batch and decodes its frames. The source's error is kept until everything before it has been tracked
// (law 10).
func (p *pipeline) fill(ctx context.Context, j *job) {
	if err := p.source.Next(ctx, &j.Batch); err != nil {
		j.Last = true
		if !errors.Is(err, io.EOF) {
			p.sourceErr = err
		}
	}
	p.order <- j
	if j.Last {
		close(p.order)
		close(p.token)
	} else {
		p.token <- struct{}{}
	}
	p.decoder.Frames(&j.Work)
	j.framed <- struct{}{}
}

// serial takes the jobs in the order of the capture: it joins their streams and, once texts that came out have been
// parsed, tracks them. While a job waits for its texts, the streams of later ones are joined.
func (p *pipeline) serial(ctx context.Context) error {
	defer close(p.texts)
	var waiting []*job // joined, in order
	order := p.order
	for order != nil || len(waiting) > 0 {
		var parsed chan struct{}
		if len(waiting) > 0 {
			parsed = waiting[0].parsed
		}
		select {
		case <-parsed:
			if err := p.track(waiting[0]); err != nil {
				return err
			}
			waiting = waiting[1:]
		case j, ok := <-order:
			if !ok {
				order = nil
				continue
			}
			wait, err := p.join(ctx, j, len(waiting) > 0)
			if err != nil {
				return err
			}
			if wait {
				waiting = append(waiting, j)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// join joins a job's streams and, in the common case that there is nothing to wait for, tracks it. It reports whether the
// job must wait, for its own texts or behind others.
func (p *pipeline) join(ctx context.Context, j *job, others bool) (wait bool, err error) {
	select {
	case <-j.framed:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	switch {
	case p.streams.Join(&j.Work):
		p.texts <- j
		return true, nil
	case others:
		j.parsed <- struct{}{}
		return true, nil
	default:
		return false, p.track(j)
	}
}

// track feeds the tracker and the sink, and recycles the batch.
func (p *pipeline) track(j *job) error {
	if err := p.trackBatch(&j.Work); err != nil {
		return err
	}
	j.Reset()
	p.free <- j
	return nil
}

// trackBatch holds the board's lock while the tracker works, and lets go of it while a sink does.
func (p *pipeline) trackBatch(w *decode.Work) error {
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
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
	p.tracker.Advance(w.Batch.Now)
	w.Account(&p.board.acct)
	return nil
}

func (b *Board) finish() {
	b.mu.Lock()
	b.done = true
	b.mu.Unlock()
}
