package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sipscope/correlate"
)

// RunOptions say what a Runner runs.
type RunOptions struct {
	Path string   // the program: a name that is looked up in PATH, or a path, relative to the directory at NewRunner
	Args []string // its arguments as they are: nothing of a packet is ever put in

	Every   time.Duration // at least so long between two starts; 0 takes a second, below 0 no time
	Timeout time.Duration // a command that runs longer is ended; 0 takes 30 s
	Queue   int           // calls that may wait; 0 takes 100. Further ones are skipped and counted

	// Stderr gets what commands print to standard output and standard error, up to 64 KiB each in whole lines, and a line
	// for each that failed. It is hostile text, and for its owner to clean. Nil takes none of it. Only one goroutine at a
	// time writes to it.
	Stderr io.Writer

	// Env gives the environment, as "NAME=value", that a command has beside the variables that describe the call. Nil
	// takes that of this program without its own settings, whose names begin with SIPSCOPE_.
	Env func() []string

	// After is time.After, the clock between two starts and for those that are to be ended. Nil takes the system's.
	After func(d time.Duration) <-chan time.Time
}

// Defaults and limits of a Runner.
const (
	defaultEvery   = time.Second
	defaultTimeout = 30 * time.Second
	defaultQueue   = 100
	maxQueued      = 16 << 20        // bytes of rows that may wait
	grace          = 2 * time.Second // from the request to end (SIGTERM) to the end (SIGKILL)
	graceLook      = 20 * time.Millisecond
)

// ErrRunning is returned by Run when the Runner runs already.
var ErrRunning = errors.New("the runner runs already")

// Stats counts what became of calls. Each one given to Call is in exactly one of Started, Skipped and Queued.
type Stats struct {
	Started uint64 // commands started, or tried to
	Failed  uint64 // of those: could not be started, ended with another exit code than 0, or were ended
	Skipped uint64 // calls without a command: the queue was full, or Run ended first
	Queued  int    // calls that wait
	Running int    // commands that run: 0 or 1
}

// Runner runs a command for each call, one at a time.
type Runner struct {
	o    RunOptions
	path string

	mu      sync.Mutex
	queue   []alert
	bytes   int // of rows in queue
	stats   Stats
	wake    chan struct{} // something was queued; holds one
	idle    chan struct{} // closed while nothing waits or runs
	running bool          // Run is under way
}

// alert is a call to run the command for.
type alert struct {
	num uint32
	env []string
	row []byte
}

// NewRunner looks the program up. Its error names the program and says why it cannot be run.
func NewRunner(o RunOptions) (*Runner, error) {
	path, err := lookUp(o.Path)
	if err != nil {
		return nil, err
	}
	if o.Every == 0 {
		o.Every = defaultEvery
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Queue <= 0 {
		o.Queue = defaultQueue
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Env == nil {
		o.Env = inherited
	}
	if o.After == nil {
		o.After = time.After //nolint:forbidigo // it paces processes; nothing told of calls depends on it
	}
	r := &Runner{o: o, path: path, wake: make(chan struct{}, 1), idle: make(chan struct{})}
	close(r.idle)
	return r, nil
}

func lookUp(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		if e, ok := errors.AsType[*exec.Error](err); ok {
			err = e.Err // without the name once more
		}
		return "", fmt.Errorf("program %q: %w", name, err)
	}
	return path, nil
}

// inherited is this program's environment without its own settings, passwords among them.
func inherited() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, prefix) {
			env = append(env, v)
		}
	}
	return env
}

// Call queues a call, and never waits. row is its JSON row, for the command's standard input; it is copied.
func (r *Runner) Call(s *correlate.Summary, row []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) >= r.o.Queue || r.bytes+len(row) > maxQueued {
		r.stats.Skipped++
		return
	}
	if len(r.queue) == 0 && r.stats.Running == 0 {
		r.idle = make(chan struct{})
	}
	r.queue = append(r.queue, alert{num: s.Num, env: variables(s), row: bytes.Clone(row)})
	r.bytes += len(row)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Stats gives the counts so far.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.stats
	st.Queued = len(r.queue)
	return st
}

// Drain waits until no call waits and no command runs, at most so long, and reports whether that is so. Run must be
// under way; it keeps the time between two starts.
func (r *Runner) Drain(most time.Duration) bool {
	r.mu.Lock()
	idle := r.idle
	r.mu.Unlock()
	select {
	case <-idle:
		return true
	default:
	}
	select {
	case <-idle:
		return true
	case <-r.o.After(most):
		return false
	}
}

// Run runs commands until ctx ends, which ends a command that runs, too. It returns nil then, and nothing that it
// started is left but what a command that ended by itself has put in the background. Calls that still wait are skipped.
func (r *Runner) Run(ctx context.Context) error {
	r.mu.Lock()
	if r.running {
		r.mu.Unlock()
		return ErrRunning
	}
	r.running = true
	r.mu.Unlock()
	defer r.stop()
	for {
		a, ok := r.next(ctx)
		if !ok {
			return nil
		}
		pause := r.o.After(max(0, r.o.Every))
		err := r.run(ctx, &a)
		r.ended(&a, err)
		select {
		case <-pause:
		case <-ctx.Done():
			return nil
		}
	}
}

// next waits for a call; false when ctx ended first.
func (r *Runner) next(ctx context.Context) (alert, bool) {
	for {
		if ctx.Err() != nil {
			return alert{}, false
		}
		if a, ok := r.take(); ok {
			return a, true
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
		}
	}
}

func (r *Runner) take() (alert, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return alert{}, false
	}
	a := r.queue[0]
	r.queue[0] = alert{}
	r.queue = r.queue[1:]
	r.bytes -= len(a.row)
	r.stats.Started++
	r.stats.Running = 1
	return a, true
}

// ended counts a command that ended.
func (r *Runner) ended(a *alert, err error) {
	if err != nil {
		fmt.Fprintf(r.o.Stderr, "%s for call %d: %v\n", r.o.Path, a.num, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.stats.Failed++
	}
	r.stats.Running = 0
	if len(r.queue) == 0 {
		close(r.idle)
	}
}

// stop skips what waits.
func (r *Runner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > 0 {
		r.stats.Skipped += uint64(len(r.queue))
		r.queue, r.bytes = nil, 0
		close(r.idle)
	}
	r.running = false
}
