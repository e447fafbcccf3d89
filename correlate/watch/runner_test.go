package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/decode/frame"
)

// start makes a Runner and runs it. The function given ends it and waits for that.
func start(t *testing.T, o RunOptions) (*Runner, func()) {
	t.Helper()
	r, err := NewRunner(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop := func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		ended <- nil
	}
	t.Cleanup(stop)
	return r, stop
}

// drain waits for the commands.
func drain(t *testing.T, r *Runner) {
	t.Helper()
	if !r.Drain(30 * time.Second) {
		t.Fatalf("commands do not end: %+v", r.Stats())
	}
}

// until waits for something to become true.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

func hostileCall() *correlate.Summary {
	return &correlate.Summary{
		Num: 7, CallID: `$(touch x);"'` + "`touch x`|&\\%PATH%", Method: "INVITE", State: correlate.StateFailed,
		Code: 503, Reason: "Out\nof\x00order\x1b[2J",
		From: correlate.Party{URI: "-rf sip:a@example.com"}, To: correlate.Party{URI: "sip:\xff\u202eb@example.com"},
		Src: frame.Endpoint4([]byte{10, 0, 0, 1}, 5060),
	}
}

// What the wire says reaches the command as data: on standard input and in variables, never in arguments, and whole.
func TestWhatACommandGets(t *testing.T) {
	t.Parallel()
	var out buffer
	o := helper("tell", "", &out)
	env := o.Env
	o.Env = func() []string { return append(env(), "OTHER=kept", "SIPSCOPE_NUM=stale") }
	o.Args = []string{"--to", "a b", "$(x)", ""}
	r, _ := start(t, o)
	row := []byte(`{"num":7}`)
	r.Call(hostileCall(), row)
	copy(row, "overwritten")
	drain(t, r)
	want := `args ["--to" "a b" "$(x)" ""]
stdin "{\"num\":7}\n"
env "OTHER=kept"
env "SIPSCOPE_NUM=7"
env ` + fmt.Sprintf("%q", `SIPSCOPE_CALL_ID=$(touch x);"'`+"`touch x`|&\\%PATH%") + `
env "SIPSCOPE_STATE=failed"
env "SIPSCOPE_CODE=503"
env "SIPSCOPE_REASON=Out of order [2J"
env "SIPSCOPE_FROM=-rf sip:a@example.com"
env "SIPSCOPE_TO=sip:` + "\ufffd" + ` b@example.com"
env "SIPSCOPE_SOURCE=10.0.0.1:5060"
env "SIPSCOPE_DESTINATION="
env "SIPSCOPE_METHOD=INVITE"
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := os.Stat("x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a shell ran what the wire said")
	}
	if diff := cmp.Diff(Stats{Started: 1}, r.Stats()); diff != "" {
		t.Error(diff)
	}
}

// Commands that end well, fail or say too much, one after the other.
func TestCommands(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("j"), 1<<20)
	for _, tt := range []struct {
		what   string
		failed uint64
		says   string
	}{
		{"nothing", 0, ""},
		{"fail", 1, "no way\n" + os.Args[0] + " for call 1: exit status 3\n"},
		{"megabytes", 0, strings.Repeat(strings.Repeat("x", 99)+"\n", maxOutput/100) + strings.Repeat("x", maxOutput%100) +
			"\n(2934464 more bytes not shown)\n"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			var out buffer
			r, _ := start(t, helper(tt.what, "", &out))
			r.Call(&correlate.Summary{Num: 1}, large) // more than a pipe takes, and nobody reads it
			drain(t, r)
			if out.String() != tt.says {
				got := out.String()
				t.Errorf("%d bytes: %.200q ... %q", len(got), got, got[max(0, len(got)-100):])
			}
			if diff := cmp.Diff(Stats{Started: 1, Failed: tt.failed}, r.Stats()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A program that is gone when it is to be run counts as failed, and says why.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notify.exe")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var out buffer
	r, _ := start(t, RunOptions{Path: path, Every: -1, Stderr: &out})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.Call(&correlate.Summary{Num: 12}, nil)
	drain(t, r)
	if st := r.Stats(); st != (Stats{Started: 1, Failed: 1}) || !strings.Contains(out.String(), "for call 12: ") {
		t.Errorf("%+v %q", st, out.String())
	}
}

func TestNewRunnerErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "./no-such-program", "no-such-program", dir, plain, "no\x00program"} {
		_, err := NewRunner(RunOptions{Path: path})
		if err == nil {
			t.Errorf("%q is taken", path)
			continue
		}
		if want := fmt.Sprintf("program %q: ", path); !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
		if strings.Count(err.Error(), "no-such-program") > 2 {
			t.Errorf("%v says the name again and again", err)
		}
	}
}

// A path is relative to where the program was started, also when that changes afterwards.
func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notify.exe"), nil, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	r, err := NewRunner(RunOptions{Path: "./notify.exe"})
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(r.path) || filepath.Base(r.path) != "notify.exe" {
		t.Errorf("it runs %s", r.path)
	}
}

// A full queue skips calls at once, and every call is in one of the counts at any time.
func TestQueue(t *testing.T) {
	t.Parallel()
	o := helper("sleep", "", nil)
	o.Queue = 3
	r, stop := start(t, o)
	add := func(calls uint64) {
		st := r.Stats()
		if sum := st.Started + st.Skipped + uint64(st.Queued); sum != calls {
			t.Errorf("%+v for %d calls", st, calls)
		}
	}
	r.Call(&correlate.Summary{Num: 1}, nil)
	until(t, "it runs", func() bool { return r.Stats().Running == 1 })
	for i := range uint64(10) {
		r.Call(&correlate.Summary{Num: 2}, nil)
		add(i + 2)
	}
	if st := r.Stats(); st != (Stats{Started: 1, Skipped: 7, Queued: 3, Running: 1}) {
		t.Errorf("%+v", st)
	}
	if r.Drain(10 * time.Millisecond) {
		t.Error("Drain did not wait")
	}
	if err := r.Run(context.Background()); !errors.Is(err, ErrRunning) {
		t.Errorf("a second Run: %v", err)
	}
	stop()
	if st := r.Stats(); st != (Stats{Started: 1, Failed: 1, Skipped: 10}) {
		t.Errorf("after the end: %+v", st)
	}
	if !r.Drain(0) {
		t.Error("something waits after the end")
	}
}

// Rows that wait have a bound in bytes, too.
func TestQueueBytes(t *testing.T) {
	t.Parallel()
	r, err := NewRunner(helper("nothing", "", nil))
	if err != nil {
		t.Fatal(err)
	}
	row := make([]byte, maxQueued/4)
	for range 6 {
		r.Call(&correlate.Summary{}, row)
	}
	if st := r.Stats(); st != (Stats{Skipped: 2, Queued: 4}) {
		t.Errorf("%+v", st)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil { // ends at once, and skips what waits
		t.Error(err)
	}
	if st := r.Stats(); st != (Stats{Skipped: 6}) || r.bytes != 0 {
		t.Errorf("%+v, %d bytes", st, r.bytes)
	}
}

// A row that was given to its command makes room for others.
func TestQueueMakesRoom(t *testing.T) {
	t.Parallel()
	r, _ := start(t, helper("nothing", "", nil))
	row := make([]byte, maxQueued-1)
	for range 3 {
		r.Call(&correlate.Summary{}, row)
		drain(t, r)
	}
	if st := r.Stats(); st != (Stats{Started: 3}) {
		t.Errorf("%+v", st)
	}
}

// Between two starts there is as much time as was asked for, and no more after a pause.
func TestEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := helper("nothing", "", nil)
		o.Every = 10 * time.Second
		env, begin := o.Env, time.Now()
		starts := make(chan time.Duration, 10)
		o.Env = func() []string { // asked for at each start
			starts <- time.Since(begin)
			return env()
		}
		r, stop := start(t, o)
		for range 3 {
			r.Call(&correlate.Summary{}, nil)
		}
		if !r.Drain(time.Hour) {
			t.Fatal("commands do not end")
		}
		time.Sleep(time.Minute)
		r.Call(&correlate.Summary{}, nil)
		r.Drain(time.Hour)
		stop()
		close(starts)
		var got []time.Duration
		for s := range starts {
			got = append(got, s)
		}
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 80 * time.Second}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("starts (-want +got)\n%s", diff)
		}
	})
}

// Commands never overlap: each fails when it finds the file that another one removes at its end.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	var out buffer
	r, _ := start(t, helper("alone", filepath.Join(t.TempDir(), "lock"), &out))
	for i := range uint32(5) {
		r.Call(&correlate.Summary{Num: i + 1}, nil)
	}
	drain(t, r)
	if st := r.Stats(); st != (Stats{Started: 5}) {
		t.Errorf("%+v %s", st, out.String())
	}
}

// BenchmarkCall measures what a call costs who queues it.
func BenchmarkCall(b *testing.B) {
	r, err := NewRunner(RunOptions{Path: os.Args[0]})
	if err != nil {
		b.Fatal(err)
	}
	s, row := hostileCall(), make([]byte, 1500)
	b.ReportAllocs()
	for b.Loop() {
		r.Call(s, row)
		r.queue, r.bytes = r.queue[:0], 0
	}
}
