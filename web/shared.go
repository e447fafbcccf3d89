package web

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

var (
	// errBusy says that too much is being made already.
	errBusy = errors.New("too many different questions at once")
	// errGone says that a capture is no longer served.
	errGone = errors.New("the capture is no longer served")
	// errPanic says that what was to be made broke.
	errPanic = errors.New("internal error")
)

// shared makes what is costly once for all that ask for it at the same time, and keeps it while it is fresh. So 200
// browsers that look at one list cost one pass. What nobody waits for any more is given up.
type shared[K comparable, V any] struct {
	rules shareRules[K, V]

	mu     sync.Mutex
	closed bool
	clock  uint64 // counts uses
	kept   map[K]*kept[V]
	cost   int // of all kept
	making map[K]*flight[V]
	slots  chan struct{}
	wg     sync.WaitGroup
}

// shareRules say how a shared works. All fields must be set.
type shareRules[K comparable, V any] struct {
	make    func(ctx context.Context, key K) (V, error)
	fresh   func(v V, age, took time.Duration) bool // a kept value may still be given
	cost    func(v V) int
	now     func() time.Time
	slots   int // made at the same time
	waiting int // made or waiting to be made, more are errBusy
	most    int // values kept
	bound   int // of their cost; the newest is kept whatever it costs
	limit   time.Duration
}

// kept is a value with what decides whether it may be given again.
type kept[V any] struct {
	value V
	at    time.Time
	took  time.Duration
	cost  int
	used  uint64
}

// flight is a value on its way.
type flight[V any] struct {
	done    chan struct{} // closed when value and err are there
	value   V
	err     error
	waiters int // guarded by the shared's mutex
	cancel  context.CancelFunc
}

func newShared[K comparable, V any](rules shareRules[K, V]) *shared[K, V] {
	return &shared[K, V]{
		rules: rules, kept: map[K]*kept[V]{}, making: map[K]*flight[V]{}, slots: make(chan struct{}, rules.slots),
	}
}

// get gives the value of a key, and makes it when there is no fresh one. It waits until ctx is done.
func (s *shared[K, V]) get(ctx context.Context, key K) (V, error) {
	var none V
	s.mu.Lock()
	if k := s.kept[key]; k != nil && !s.closed && s.rules.fresh(k.value, s.rules.now().Sub(k.at), k.took) {
		s.clock++
		k.used = s.clock
		s.mu.Unlock()
		return k.value, nil
	}
	f := s.making[key]
	if f == nil {
		var err error
		if f, err = s.start(ctx, key); err != nil {
			s.mu.Unlock()
			return none, err
		}
	}
	f.waiters++
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		s.leave(key, f)
		return none, context.Cause(ctx)
	}
}

// start begins to make a value. The mutex is held.
func (s *shared[K, V]) start(ctx context.Context, key K) (*flight[V], error) {
	switch {
	case s.closed:
		return nil, errGone
	case len(s.making) >= s.rules.waiting:
		return nil, errBusy
	}
	// The value is for all that wait: it ends when the last of them has left, not with the first one.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), s.rules.limit, errTooLong)
	f := &flight[V]{done: make(chan struct{}), cancel: cancel}
	s.making[key] = f
	s.wg.Go(func() {
		defer cancel()
		s.fly(ctx, key, f)
	})
	return f, nil
}

// fly makes the value and hands it over.
func (s *shared[K, V]) fly(ctx context.Context, key K, f *flight[V]) {
	var began time.Time
	select {
	case s.slots <- struct{}{}:
		began = s.rules.now()
		f.value, f.err = s.safely(ctx, key)
		<-s.slots
	case <-ctx.Done():
		f.err = context.Cause(ctx)
	}
	s.mu.Lock()
	if s.making[key] == f {
		delete(s.making, key)
	}
	if f.err == nil && !s.closed {
		s.keep(key, f.value, began)
	}
	s.mu.Unlock()
	close(f.done)
}

// safely makes a value; a panic over what a packet holds must not end the program.
func (s *shared[K, V]) safely(ctx context.Context, key K) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
		}
	}()
	return s.rules.make(ctx, key)
}

// keep puts a value in, and the ones used longest ago out. The mutex is held.
func (s *shared[K, V]) keep(key K, v V, began time.Time) {
	if old := s.kept[key]; old != nil {
		s.cost -= old.cost
	}
	now := s.rules.now()
	s.clock++
	k := &kept[V]{value: v, at: began, took: now.Sub(began), cost: s.rules.cost(v), used: s.clock}
	s.kept[key] = k
	s.cost += k.cost
	for len(s.kept) > 1 && (len(s.kept) > s.rules.most || s.cost > s.rules.bound) {
		var oldest K
		least := s.clock
		for candidate, c := range s.kept {
			if c.used < least {
				oldest, least = candidate, c.used
			}
		}
		s.cost -= s.kept[oldest].cost
		delete(s.kept, oldest)
	}
}

// leave says that one waits no more.
func (s *shared[K, V]) leave(key K, f *flight[V]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	f.cancel()
	if s.making[key] == f {
		delete(s.making, key)
	}
}

// close gives up what is being made and waits until it has ended.
func (s *shared[K, V]) close() {
	s.mu.Lock()
	s.closed = true
	clear(s.kept)
	for _, f := range s.making {
		f.cancel()
	}
	s.mu.Unlock()
	s.wg.Wait()
}
