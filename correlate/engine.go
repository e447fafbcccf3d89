// Package correlate is the archive: it puts messages into transactions, dialogs, calls and groups (RFC 3261 17, 12),
// and runs the pipeline that feeds it.
//
//	source ─▶ read (1) ─▶ frames (N) ─▶ streams (1) ─▶ texts (N) ─▶ track (1) ─▶ Sink, Board
//	          N workers, each does whatever stage can go on; (1) stages are done by one worker at a time, in the order
//	          of the batches, so any number of workers gives the same output
//
// It does not read files, draw or print. Run owns every goroutine that it starts; the Tracker itself has no goroutine,
// clock or lock.
package correlate

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"runtime"
	"sync"

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
	// Vault keeps the texts that are not in the captures byte for byte (unmasked WebSocket, decrypted TLS). Whoever reads
	// texts again reads through Vault.Reader. Nil: such texts cannot be read again. It stays the caller's to close.
	Vault *decode.Vault
	// Secrets gives the TLS key logs (NSS format) that became known since it was called last. It is called after each batch
	// was read, by one goroutine at a time; nil says that there are none with this batch. What it gives is walked through
	// once, before the batch is joined, by one goroutine at a time and in the order of the batches, so that a large log need
	// not be in memory: see decode.Work.Secrets. Nil: there are none, and no encrypted record waits for its key.
	Secrets func() iter.Seq[[]byte]
	// Late says that Secrets may give those of connections that have ended, which wait for them within bounds.
	Late bool
	// Clock is a monotonic clock in nanoseconds, to measure the stages with (Board.Load). Nil measures nothing. Nothing else
	// depends on it.
	Clock func() int64
}

// Sink gets every event in order, on the pipeline's own goroutine: a slow sink slows the pipeline and loses nothing.
type Sink interface {
	// Event must not keep e or what it points to. An error stops the run and is returned by Run.
	Event(e *Event) error
}

// FrameSink is a Sink that wants every packet, too.
type FrameSink interface {
	Sink
	// Frames gets the packets of a batch after the events that they made; none with a tick of a live source. It must not
	// keep w. An error stops the run.
	Frames(w *decode.Work) error
}

// Event is a message or a gap with what the tracker made of it.
type Event struct {
	Message *decode.Message // nil for a gap
	Gap     *decode.Gap     // nil for a message
	Verdict Verdict         // of a message
}

// jobsPerWorker is how many batches there are for each worker: one that it fills and decodes, and some that wait for
// their turn at the serial stages. More would only push each other out of the processors' caches.
const jobsPerWorker = 8

// Run reads source to its end, or until ctx is done, and fills the board and the sink. What it read before an error is
// in them; the error is the source's, the sink's or the context's.
func Run(ctx context.Context, source capture.Source, cfg Config) error {
	workers := cfg.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	p := &pipeline{
		source:  source,
		sink:    cfg.Sink,
		secrets: cfg.Secrets,
		board:   cfg.Board,
		tracker: NewTracker(cfg.Limits, cfg.Headers),
	}
	p.decoder = decode.NewDecoder(decode.Options{Words: cfg.Words, IgnoreCase: cfg.IgnoreCase, Vault: cfg.Vault, Secrets: cfg.Secrets != nil, Late: cfg.Late})
	p.tracker.decoder = p.decoder
	p.streams = decode.NewStreams(p.decoder)
	p.frames, _ = cfg.Sink.(FrameSink)
	if p.clock = cfg.Clock; p.clock == nil {
		p.clock = func() int64 { return 0 }
	}
	p.changed.L = &p.mu
	for range workers * jobsPerWorker {
		p.free = append(p.free, &job{})
	}
	if p.board == nil {
		p.board = &Board{}
	}
	p.board.mu.Lock()
	p.board.t, p.board.done, p.board.load.Jobs = p.tracker, false, workers*jobsPerWorker
	p.board.mu.Unlock()
	defer p.board.finish()

	g, ctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			p.work(ctx)
			return nil
		})
	}
	_ = g.Wait() // a worker keeps its error in the pipeline
	if p.sinkErr != nil {
		return p.sinkErr
	}
	return p.sourceErr
}

// stage is how far a job has come.
type stage uint8

const (
	reading stage = iota // and its frames
	framed
	joined // its texts are to be parsed, or are being parsed
	parsed // nothing is left but to track it
)

// job is a batch on its way through the pipeline.
type job struct {
	decode.Work
	stage    stage
	decoding int64 // nanoseconds by Config.Clock
}

// pipeline is the state that the workers share. The mutex guards the lists and flags at the end; what belongs to a
// serial stage is used by the worker that holds the stage.
type pipeline struct {
	source  capture.Source          // of the worker that reads
	sink    Sink                    // of the worker that is serial
	secrets func() iter.Seq[[]byte] // of the worker that reads; nil for none
	frames  FrameSink               // the sink, if it wants frames
	clock   func() int64
	board   *Board
	decoder *decode.Decoder // shared
	streams *decode.Streams // of the worker that is serial
	tracker *Tracker        // guarded by the board's lock
	event   Event           // of the worker that is serial

	mu        sync.Mutex
	changed   sync.Cond // a stage may have become possible, or all is done
	free      []*job
	order     []*job // in the order in which they were read, tracked ones taken off
	joins     int    // how many of order are joined
	texts     []*job // joined ones whose texts no worker parses yet
	now       int64  // packet time of the last batch, of the worker that reads
	readBusy  bool   // a worker is reading
	readDone  bool   // there is nothing more to read
	serial    bool   // a worker is joining or tracking
	sourceErr error
	sinkErr   error // ends everything
}

// work is a worker: it does whatever can be done, the last stage first, so that batches are done with while their bytes
// are still in a cache and little waits. No stage needs a goroutine of its own, so two workers keep two cores busy.
func (p *pipeline) work(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.sinkErr == nil {
		switch {
		case !p.serial && p.serialStep():
		case len(p.texts) > 0:
			j := p.texts[0]
			p.texts = p.texts[1:]
			p.mu.Unlock()
			start := p.clock()
			p.decoder.Texts(&j.Work)
			j.decoding += p.clock() - start
			p.mu.Lock()
			j.stage = parsed
		case !p.readBusy && !p.readDone && len(p.free) > 0:
			p.read(ctx)
		case p.readDone && len(p.order) == 0:
			p.changed.Broadcast()
			return
		default:
			p.changed.Wait()
		}
	}
	p.changed.Broadcast()
}

// read fills a batch and decodes its frames, while another worker may read the next one. The source's error is kept
// until everything before it has been tracked (law 10). It is called, and returns, with the mutex held.
func (p *pipeline) read(ctx context.Context) {
	j := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	j.stage = reading
	p.readBusy = true
	p.mu.Unlock()
	j.Batch.Now, j.Batch.SetBack = p.now, false // time stands still where the source does not say
	err := context.Cause(ctx)                   // not every source looks
	if err == nil {
		err = p.source.Next(ctx, &j.Batch)
	}
	if p.secrets != nil {
		j.Secrets = p.secrets()
	}
	p.now = j.Batch.Now
	j.Last = err != nil
	p.mu.Lock()
	p.readBusy = false
	p.order = append(p.order, j)
	if err != nil {
		p.readDone = true
		if !errors.Is(err, io.EOF) {
			p.sourceErr = err
		}
	}
	p.changed.Signal() // somebody else may read now
	p.mu.Unlock()
	start := p.clock()
	p.decoder.Frames(&j.Work)
	j.decoding = p.clock() - start
	p.mu.Lock()
	j.stage = framed
}

// serialStep does the next thing that has to be done in the order of the capture, if there is one: to track the oldest
// job, or to join the streams of the oldest one that is not yet joined. It is called, and returns, with the mutex held.
func (p *pipeline) serialStep() bool {
	switch {
	case len(p.order) > 0 && p.order[0].stage == parsed:
		p.trackFirst()
	case p.joins < len(p.order) && p.order[p.joins].stage == framed:
		j := p.order[p.joins]
		p.serial = true
		p.mu.Unlock()
		start := p.clock()
		texts := p.streams.Join(&j.Work)
		j.decoding += p.clock() - start
		p.mu.Lock()
		p.serial = false
		p.joins++
		if texts {
			j.stage = joined
			p.texts = append(p.texts, j)
			p.changed.Signal()
			return true
		}
		j.stage = parsed
		if p.order[0] == j {
			p.trackFirst()
		}
	default:
		return false
	}
	return true
}

// trackFirst feeds the oldest job to the tracker and the sink, and recycles it.
func (p *pipeline) trackFirst() {
	j := p.order[0]
	p.serial = true
	waiting := len(p.order)
	p.mu.Unlock()
	err := p.trackBatch(j, waiting)
	j.Reset()
	p.mu.Lock()
	p.serial = false
	if err != nil {
		p.sinkErr = err
	}
	p.order = p.order[1:]
	p.joins--
	p.free = append(p.free, j)
	p.changed.Broadcast() // there is a job to fill, and the serial stage is free
}

// trackBatch holds the board's lock while the tracker works, and lets go of it while a sink does.
func (p *pipeline) trackBatch(j *job, waiting int) error {
	w := &j.Work
	start := p.clock()
	p.board.mu.Lock()
	defer p.board.mu.Unlock()
	if w.Batch.SetBack {
		p.tracker.Rebase(w.Batch.Now)
	}
	rest := unread{work: w, media: w.Media()}
	for m, g := range w.Items() {
		var v Verdict
		if m != nil {
			p.tracker.mediaUntil(&rest, m.Seq)
			v = p.tracker.Message(m)
		} else {
			p.tracker.Gap(g)
		}
		if p.sink == nil {
			continue
		}
		p.event = Event{Message: m, Gap: g, Verdict: v} // a local one would be allocated for each message
		p.board.mu.Unlock()
		err := p.sink.Event(&p.event)
		p.board.mu.Lock()
		if err != nil {
			return err
		}
	}
	p.tracker.mediaUntil(&rest, math.MaxUint64)
	p.tracker.reckon(w)
	p.tracker.secure(w.Secured())
	p.tracker.Advance(w.Batch.Now)
	w.Account(&p.board.acct)
	load := &p.board.load
	load.Now, load.Waiting = w.Batch.Now, waiting
	load.Decoding += j.decoding
	load.Tracking += p.clock() - start
	if p.frames == nil {
		return nil
	}
	p.board.mu.Unlock()
	err := p.frames.Frames(w)
	p.board.mu.Lock()
	return err
}

func (b *Board) finish() {
	b.mu.Lock()
	b.done = true
	b.mu.Unlock()
}
