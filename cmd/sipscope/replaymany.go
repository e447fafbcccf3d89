package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/term"

	"sipscope/element/replay"
	"sipscope/element/replay/many"
	"sipscope/element/replay/plan"
	"sipscope/render/pair"
)

// manyPlayer lets many plays begin.
type manyPlayer struct{ player *replay.Player }

// Play implements many.Player.
func (m manyPlayer) Play(values map[string]string) (uint64, error) {
	return m.player.Play(replay.Input{Values: values})
}

// Stop implements many.Player.
func (m manyPlayer) Stop(id uint64) { m.player.Stop(id) }

// endedOf is an outcome as the figures take it.
func endedOf(o *replay.Outcome) many.Ended {
	e := many.Ended{
		ID: o.ID, Step: o.Step, Reason: o.Reason, CallID: o.CallID, First: o.First, Ring: o.Ring, Answer: o.Answer,
		Whole: o.Ended - o.Began, Retransmissions: o.Retransmissions,
	}
	switch o.Verdict {
	case replay.Completed:
		e.Verdict = many.Clean
	case replay.Diverged:
		e.Verdict = many.Diverged
	case replay.Aborted:
		e.Verdict = many.Stopped
	default:
		e.Verdict = many.Failed
	}
	return e
}

// Defaults of many plays.
const (
	defaultRate     = 10 // plays a second: nobody floods a server by forgetting a flag
	leastConcurrent = 100
	mostConcurrent  = 50_000
)

// size works out how many plays there are, and how many at a time.
func (r *replaying) size() {
	l := &r.c.load
	o := &r.many
	o.Rate = cmp.Or(l.rate, defaultRate)
	if o.Repeat = l.repeat; o.Repeat == 0 {
		o.Repeat = max(r.values.Len(), 1)
	}
	most := mostConcurrent
	if n := len(r.plan.Media); n > 0 && r.c.play != "off" {
		most = max((lastRTP-firstRTP)/(2*n), 1) // a stream takes a port for RTP and one for RTCP
	}
	if o.Concurrent = min(l.concurrent, most); o.Concurrent > 0 {
		return
	}
	lasts := 1.0 // seconds, at least: answers take their time
	if n := len(r.plan.Steps); n > 0 && !r.c.fast {
		last := &r.plan.Steps[n-1]
		lasts += float64(last.At+last.Duration) / 1e9 / r.c.speed
	}
	rate := o.Rate
	if l.findMax {
		rate = l.maxRate
	}
	o.Concurrent = int(math.Min(math.Max(2*rate*lasts, leastConcurrent), float64(most)))
}

// prepareMany makes what plays many times.
func (r *replaying) prepareMany() error {
	l := &r.c.load
	o := r.many
	o.Values, o.Health, o.Done = r.values, r.health, r.finish
	o.MaxFailures, o.MaxDivergences, o.Keep = l.failures, l.divergences, maxKept
	for i := range r.plan.Steps {
		if s := &r.plan.Steps[i]; s.Kind == plan.Send {
			o.Natural += float64(s.Repeats)
		}
	}
	var err error
	if l.findMax {
		r.finder, err = many.NewFinder(manyPlayer{r.player}, many.FinderOptions{
			Load: o, Hold: l.hold, Search: many.SearchOptions{Start: min(o.Rate, l.maxRate), Max: l.maxRate}, Trial: r.tellTrial,
		})
		r.runner = r.finder
	} else {
		r.load, err = many.New(manyPlayer{r.player}, o)
		r.runner = r.load
	}
	if err != nil {
		return usageError{err: err, hint: "try: --repeat 1000 --rate 50 --concurrent 500"}
	}
	return nil
}

// tellTrial says how one rate went.
func (r *replaying) tellTrial(t *many.Trial) {
	what := "clean"
	if !t.OK {
		what = "not clean: " + t.Why
	}
	r.c.say("%.5g plays a second, %d plays: %s (answer p99 %s)", t.Rate, t.Started, what, brief(t.Answer.Percentile(99)))
}

// progress shows each second how far a load is, on stderr when that is a terminal, until the returned function is called.
func (r *replaying) progress(ctx context.Context) (stop func()) {
	std := r.c.io
	if r.load == nil || r.c.quiet || !term.IsTerminal(int(std.err.Fd())) {
		return func() {}
	}
	ctx, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		lines := make(chan string, 1)
		for {
			select {
			case <-ctx.Done():
				fmt.Fprint(std.err, "\r\x1b[K")
				return
			case line := <-lines:
				fmt.Fprint(std.err, "\r\x1b[K"+oneLine(line))
			case <-tick.C:
				r.site.end.Post(func() {
					select {
					case lines <- r.status():
					default:
					}
				})
			}
		}
	})
	return func() {
		end()
		wg.Wait()
	}
}

// status is how far a load is, in the loop.
func (r *replaying) status() string {
	p := r.load.Report()
	line := fmt.Sprintf("%d of %d plays, %d at a time, %.1f a second, %d clean", p.Ended, r.many.Repeat, p.Now, p.Rate(), p.Clean)
	if n := p.Diverged + p.Failed; n > 0 {
		line += fmt.Sprintf(", %d otherwise", n)
	}
	return line
}

// tellMany prints what came of many plays.
func (r *replaying) tellMany(ctx context.Context, recorded *side) error {
	pairs, notes, err := r.keeper.pairs(ctx, r, recorded)
	if err != nil {
		return err
	}
	report := &pair.Report{Title: r.plan.Title, A: "recorded", B: "live", Replay: true, Version: version, Pairs: pairs}
	r.notes = append(r.notes, notes...)
	report.Notes = append(r.notes, r.refusals()...)
	if err = r.writeMany(ctx, report); err != nil {
		return err
	}
	if r.finder != nil {
		if found := r.finder.Found(); found.Best == 0 {
			return nothingError{"no rate was clean: " + found.Why}
		}
		return nil
	}
	p := r.load.Report()
	switch {
	case p.Started == p.Failed && p.Failed > 0 && len(p.Divergences) > 0:
		return cannotRunError{err: fmt.Errorf("no play could be made: %s", p.Divergences[0].Reason)}
	case p.Clean != p.Started || p.Started == 0:
		return nothingError{fmt.Sprintf("%d of %d plays were not clean", p.Started-p.Clean, p.Started)}
	case ctx.Err() != nil && p.Started < uint64(r.many.Repeat): //nolint:gosec // G115: it is not negative
		return nothingError{fmt.Sprintf("interrupted after %d of %d plays", p.Started, r.many.Repeat)}
	}
	return nil
}
