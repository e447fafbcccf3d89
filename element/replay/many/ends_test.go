package many

import (
	"testing"
	"time"
)

// Plays that are nearly over when all is to stop come to their own end, and none begins any more.
func TestStopEases(t *testing.T) {
	t.Parallel()
	w := &world{t: t, whole: func(uint64, int) int64 { return 700 * milli }}
	var started uint64
	r := w.load(Options{Repeat: 1000, Rate: 10, Concurrent: 1000}, func(l *Load, now int64) {
		if now >= begin+2*second && started == 0 {
			started = l.Report().Started
			l.Stop()
			l.Stop()
		}
	})
	if r.Started != started || r.Clean != started || r.Stopped != 0 {
		t.Errorf("%d begun, %d before; %d clean, %d stopped", r.Started, started, r.Clean, r.Stopped)
	}
	if took := time.Duration(r.Finished - begin); took > 2800*time.Millisecond {
		t.Errorf("took %v: it waits though all is over", took)
	}
}

// A server that is gone is the limit, and not this side since what it sent came back.
func TestLimitUnreached(t *testing.T) {
	t.Parallel()
	unreached := uint64(5)
	w := &world{t: t, ends: func(uint64, int) Ended { return Ended{Verdict: Diverged, Reason: "connection refused"} }}
	r := w.load(Options{Repeat: 100, Rate: 100, Concurrent: 100, Health: func() Health {
		unreached += 10
		return Health{Unreached: unreached}
	}}, nil)
	limit, why := r.Limit()
	if limit != LimitServer || len(why) != 2 || r.Health.Unreached != 10 {
		t.Errorf("limited by %v: %v, %+v", limit, why, r.Health)
	}
}
