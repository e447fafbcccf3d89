package txn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	kindNames  = [...]string{"client INVITE", "client", "server INVITE", "server"}
	stateNames = [...]string{"Trying", "Proceeding", "Completed", "Accepted", "Confirmed", "Terminated"}
	eventNames = [...]string{"1xx", "2xx", "3-6xx", "request", "ACK", "resend", "timeout", "error"}
)

func (a action) String() string {
	var out []string
	for i, name := range []string{"send", "ack", "ack again", "100", "late", "absorb", "fail", "pass"} {
		if a&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return strings.Join(out, " ")
}

// figures are the machines of RFC 3261 17 and RFC 6026, written out again by hand from the figures: state, event, next state,
// what is done. What is not there is ignored.
var figures = [Kinds]string{
	ClientInvite: `
		Trying 1xx → Proceeding: pass
		Trying 2xx → Accepted: pass
		Trying 3-6xx → Completed: ack pass
		Trying resend → Trying: send
		Trying timeout → Terminated: fail
		Trying error → Terminated: fail
		Proceeding 1xx → Proceeding: pass
		Proceeding 2xx → Accepted: pass
		Proceeding 3-6xx → Completed: ack pass
		Proceeding timeout → Terminated: fail
		Completed 1xx → Completed: absorb
		Completed 2xx → Completed: absorb
		Completed 3-6xx → Completed: ack again absorb
		Completed timeout → Terminated:
		Completed error → Terminated: fail
		Accepted 1xx → Accepted: absorb
		Accepted 2xx → Accepted: pass
		Accepted 3-6xx → Accepted: absorb
		Accepted timeout → Terminated:`,
	Client: `
		Trying 1xx → Proceeding: pass
		Trying 2xx → Completed: pass
		Trying 3-6xx → Completed: pass
		Trying resend → Trying: send
		Trying timeout → Terminated: fail
		Trying error → Terminated: fail
		Proceeding 1xx → Proceeding: pass
		Proceeding 2xx → Completed: pass
		Proceeding 3-6xx → Completed: pass
		Proceeding resend → Proceeding: send
		Proceeding timeout → Terminated: fail
		Proceeding error → Terminated: fail
		Completed 1xx → Completed: absorb
		Completed 2xx → Completed: absorb
		Completed 3-6xx → Completed: absorb
		Completed timeout → Terminated:`,
	ServerInvite: `
		Proceeding 1xx → Proceeding: send
		Proceeding 2xx → Accepted: send
		Proceeding 3-6xx → Completed: send
		Proceeding request → Proceeding: send absorb
		Proceeding ACK → Proceeding: absorb
		Proceeding timeout → Proceeding: 100
		Proceeding error → Proceeding: fail
		Completed request → Completed: send absorb
		Completed ACK → Confirmed: absorb
		Completed resend → Completed: send
		Completed timeout → Terminated: fail
		Completed error → Completed: fail
		Accepted 2xx → Accepted: send
		Accepted request → Accepted: absorb
		Accepted ACK → Accepted: pass
		Accepted timeout → Terminated:
		Accepted error → Accepted: fail
		Confirmed request → Confirmed: absorb
		Confirmed ACK → Confirmed: absorb
		Confirmed timeout → Terminated:`,
	Server: `
		Trying 1xx → Proceeding: send
		Trying 2xx → Completed: send
		Trying 3-6xx → Completed: send
		Trying request → Trying: absorb
		Trying resend → Proceeding: 100
		Trying timeout → Completed: late
		Proceeding 1xx → Proceeding: send
		Proceeding 2xx → Completed: send
		Proceeding 3-6xx → Completed: send
		Proceeding request → Proceeding: send absorb
		Proceeding timeout → Completed: late
		Proceeding error → Proceeding: fail
		Completed request → Completed: send absorb
		Completed timeout → Terminated:
		Completed error → Completed: fail`,
}

func TestFigures(t *testing.T) {
	t.Parallel()
	for k := range Kinds {
		t.Run(kindNames[k], func(t *testing.T) {
			t.Parallel()
			var got []string
			for s := range Terminated {
				for e := range events {
					if to, do, ok := step(k, s, e); ok {
						line := fmt.Sprintf("%s %s → %s: %s", stateNames[s], eventNames[e], stateNames[to], do)
						got = append(got, strings.TrimSpace(line))
					}
				}
			}
			if diff := cmp.Diff(lines(figures[k]), strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestTable4 holds the times of RFC 3261 table 4.
func TestTable4(t *testing.T) {
	t.Parallel()
	const never = -time.Nanosecond
	usual := newTimes(&Config{})
	fast := newTimes(&Config{T1: int64(100 * time.Millisecond), T2: int64(300 * time.Millisecond), T4: int64(time.Second)})
	for _, c := range []struct {
		timer    string
		kind     Kind
		state    State
		reliable bool
		want     time.Duration
		fast     time.Duration
	}{
		{"B", ClientInvite, Trying, false, 32 * time.Second, 6400 * time.Millisecond},
		{"B", ClientInvite, Trying, true, 32 * time.Second, 6400 * time.Millisecond},
		{"none", ClientInvite, Proceeding, false, never, never},
		{"D", ClientInvite, Completed, false, 32 * time.Second, 6400 * time.Millisecond},
		{"D", ClientInvite, Completed, true, 0, 0},
		{"M", ClientInvite, Accepted, false, 32 * time.Second, 6400 * time.Millisecond},
		{"M", ClientInvite, Accepted, true, 32 * time.Second, 6400 * time.Millisecond},
		{"F", Client, Trying, false, 32 * time.Second, 6400 * time.Millisecond},
		{"F", Client, Trying, true, 32 * time.Second, 6400 * time.Millisecond},
		{"K", Client, Completed, false, 5 * time.Second, time.Second},
		{"K", Client, Completed, true, 0, 0},
		{"H", ServerInvite, Completed, false, 32 * time.Second, 6400 * time.Millisecond},
		{"H", ServerInvite, Completed, true, 32 * time.Second, 6400 * time.Millisecond},
		{"I", ServerInvite, Confirmed, false, 5 * time.Second, time.Second},
		{"I", ServerInvite, Confirmed, true, 0, 0},
		{"L", ServerInvite, Accepted, false, 32 * time.Second, 6400 * time.Millisecond},
		{"L", ServerInvite, Accepted, true, 32 * time.Second, 6400 * time.Millisecond},
		{"J", Server, Completed, false, 32 * time.Second, 6400 * time.Millisecond},
		{"J", Server, Completed, true, 0, 0},
	} {
		if got := usual.state(c.kind, c.state, c.reliable); got != int64(c.want) {
			t.Errorf("timer %s, reliable %v: %v, want %v", c.timer, c.reliable, time.Duration(got), c.want)
		}
		if got := fast.state(c.kind, c.state, c.reliable); got != int64(c.fast) {
			t.Errorf("timer %s, reliable %v, T1 100 ms: %v, want %v", c.timer, c.reliable, time.Duration(got), c.fast)
		}
	}
	// Every interval has a queue of its own.
	for _, times := range []times{usual, fast, {t1: 1, t2: 1, t4: 1}, {t1: maxT, t2: 1, t4: maxT}} {
		have := make(map[int64]bool)
		for _, d := range times.durations() {
			have[d] = true
		}
		for k := range Kinds {
			for s := range Terminated {
				for _, reliable := range []bool{false, true} {
					if d := times.state(k, s, reliable); d >= 0 && !have[d] {
						t.Errorf("%+v: no queue of %d for a timer", times, d)
					}
				}
				for n := range uint8(255) {
					if d := times.resend(k, s, n); !have[d] {
						t.Errorf("%+v: no queue of %d for retransmission %d", times, d, n)
					}
				}
			}
		}
	}
}
