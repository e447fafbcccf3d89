package web

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func rules(produce func(context.Context, int) (int, error)) shareRules[int, int] {
	return shareRules[int, int]{
		make: produce, fresh: func(_ int, age, _ time.Duration) bool { return age < time.Second }, cost: func(v int) int { return v },
		now: time.Now, slots: 2, waiting: 4, most: 3, bound: 100, limit: time.Minute,
	}
}

func TestSharedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var made atomic.Int64
		s := newShared(rules(func(context.Context, int) (int, error) {
			made.Add(1)
			time.Sleep(time.Second / 2)
			return 7, nil
		}))
		for range 200 {
			go func() {
				if v, err := s.get(t.Context(), 1); v != 7 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
			}()
		}
		time.Sleep(time.Second * 3 / 4)
		if n := made.Load(); n != 1 {
			t.Errorf("made %d times for 200 that ask at the same time", n)
		}
		_, _ = s.get(t.Context(), 1)
		if n := made.Load(); n != 1 {
			t.Errorf("made again while fresh")
		}
		time.Sleep(time.Second)
		_, _ = s.get(t.Context(), 1)
		if n := made.Load(); n != 2 {
			t.Errorf("made %d times, want 2", n)
		}
		s.close()
		if _, err := s.get(t.Context(), 1); !errors.Is(err, errGone) {
			t.Errorf("after close: %v", err)
		}
	})
}

// TestSharedLeaving holds that what nobody waits for is given up, and what one still waits for is not.
func TestSharedLeaving(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 10)
		s := newShared(rules(func(ctx context.Context, key int) (int, error) {
			select {
			case <-ctx.Done():
				ended <- context.Cause(ctx)
				return 0, context.Cause(ctx)
			case <-time.After(10 * time.Second):
				return key, nil
			}
		}))
		first, leave := context.WithCancel(t.Context())
		second, stay := context.WithCancel(t.Context())
		defer stay()
		got := make(chan error, 2)
		for _, ctx := range []context.Context{first, second} {
			go func() {
				_, err := s.get(ctx, 5)
				got <- err
			}()
		}
		synctest.Wait()
		leave()
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("who left got %v", err)
		}
		if err := <-got; err != nil {
			t.Errorf("who stayed got %v", err)
		}
		third, leave := context.WithCancel(t.Context())
		go func() {
			_, err := s.get(third, 6)
			got <- err
		}()
		synctest.Wait()
		leave()
		<-got
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("what nobody waits for ended with %v", err)
		}
		go func() {
			_, err := s.get(t.Context(), 8)
			got <- err
		}()
		synctest.Wait()
		s.close()
		if err := <-got; err == nil {
			t.Error("made after close")
		}
	})
}

func TestSharedBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var making, most atomic.Int64
		s := newShared(rules(func(_ context.Context, key int) (int, error) {
			most.Store(max(most.Load(), making.Add(1)))
			defer making.Add(-1)
			time.Sleep(time.Second / 10)
			if key == 13 {
				panic("broken")
			}
			return key, nil
		}))
		defer s.close()
		busy := make(chan error, 10)
		for key := range 6 {
			go func() {
				_, err := s.get(t.Context(), key)
				busy <- err
			}()
		}
		n := 0
		for range 6 {
			if errors.Is(<-busy, errBusy) {
				n++
			}
		}
		if n != 2 || most.Load() != 2 {
			t.Errorf("%d refused, %d at the same time", n, most.Load())
		}
		for key := range 10 {
			if _, err := s.get(t.Context(), key); err != nil {
				t.Error(err)
			}
		}
		if len(s.kept) != 3 {
			t.Errorf("%d kept, want 3", len(s.kept))
		}
		_, _ = s.get(t.Context(), 90)
		_, _ = s.get(t.Context(), 95)
		if len(s.kept) != 1 || s.cost != 95 {
			t.Errorf("%d kept that cost %d", len(s.kept), s.cost)
		}
		_, _ = s.get(t.Context(), 200)
		if len(s.kept) != 1 || s.cost != 200 {
			t.Errorf("%d kept that cost %d", len(s.kept), s.cost)
		}
		if _, err := s.get(t.Context(), 13); !errors.Is(err, errPanic) {
			t.Errorf("panic: %v", err)
		}
	})
}

func TestSharedTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShared(rules(func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}))
		defer s.close()
		if _, err := s.get(t.Context(), 1); !errors.Is(err, errTooLong) || problemOf(err).Status != 503 {
			t.Errorf("%v", err)
		}
	})
}
