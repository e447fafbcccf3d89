package transport

import (
	"math"
	"sync"
	"testing"
	"time"
)

// TestPoke has the loop wait at its socket while others have something for it: nothing may wait for a datagram to come.
func TestPoke(t *testing.T) {
	t.Parallel()
	e := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, nil)
	const posters, posts = 4, 500
	var wg sync.WaitGroup
	for n := range posters {
		wg.Go(func() {
			for i := range posts {
				ran := make(chan struct{})
				e.Post(func() { close(ran) })
				select {
				case <-ran:
				case <-time.After(10 * time.Second):
					t.Errorf("post %d of %d was left", i, n)
					return
				}
				if i%(n+2) == 0 {
					time.Sleep(50 * time.Microsecond) // the loop falls asleep, or is about to
				}
			}
		})
	}
	wg.Wait()
}

// TestReadingAndTimers wakes when the handler wants, with datagrams that come and without, and whether the next time is
// nearer or farther than the one before.
func TestReadingAndTimers(t *testing.T) {
	t.Parallel()
	e, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	peer := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, ok)
	hop := Hop{Proto: UDP, Remote: peer.at(0)}
	steps := []time.Duration{20 * time.Millisecond, time.Millisecond, 40 * time.Millisecond, 2 * time.Millisecond, 0}
	due, step, late := e.Now()+int64(steps[0]), 0, int64(0)
	answers := 0
	done := make(chan error, 1)
	h := &fakeHandler{receive: func(*Received) { answers++ }}
	h.wake = func(now int64) int64 {
		if step == len(steps) {
			return math.MaxInt64
		}
		if now < due {
			return due
		}
		late = max(late, now-due)
		if step++; step == len(steps) {
			_ = e.Close()
			return math.MaxInt64
		}
		e.Send(hop, []byte(request(UDP, e.Listeners()[0].Local, step, 0)), 0)
		due = now + int64(steps[step])
		return due
	}
	go func() { done <- e.Run(t.Context(), h) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("a time was slept over")
	}
	if step != len(steps) || answers == 0 {
		t.Errorf("%d of %d steps, %d answers", step, len(steps), answers)
	}
	if late > int64(5*time.Second) {
		t.Errorf("%v late", time.Duration(late))
	}
}
