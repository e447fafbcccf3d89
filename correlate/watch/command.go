package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// errTimeout and errStopped say why a command was ended.
var (
	errTimeout = errors.New("it ran too long and was ended")
	errStopped = errors.New("it was ended before it was done, for the run ends")
)

// run runs the command for a call, and waits for it.
func (r *Runner) run(parent context.Context, a *alert) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	out := newOutput(r.o.Stderr)
	defer out.end()
	cmd := exec.CommandContext(ctx, r.path, r.o.Args...) //nolint:gosec // the operator names the program
	cmd.Env = append(r.o.Env(), a.env...)
	cmd.Stdin = bytes.NewReader(append(a.row, '\n'))
	cmd.Stdout, cmd.Stderr = out, out
	separate(cmd)
	var last <-chan time.Time // set when the command was asked to end: when it has to be gone
	cmd.Cancel = func() error {
		err := terminate(cmd.Process)
		if err == nil {
			last = r.o.After(grace)
		}
		return err
	}
	// The command itself goes after this. What it put in the background may hold its output open: that is not waited for
	// any longer, either.
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := r.limit(cancel)
	err := cmd.Wait()
	stop()
	if last == nil {
		return exitOf(err)
	}
	r.finish(cmd, last)
	if errors.Is(context.Cause(ctx), errTimeout) {
		return fmt.Errorf("%w after %v", errTimeout, r.o.Timeout)
	}
	return errStopped
}

// limit cancels when the time for a command is over, unless it is stopped before.
func (r *Runner) limit(cancel context.CancelCauseFunc) (stop func()) {
	ended, gone := make(chan struct{}), make(chan struct{})
	over := r.o.After(r.o.Timeout)
	go func() {
		defer close(gone)
		select {
		case <-over:
			cancel(errTimeout)
		case <-ended:
		}
	}()
	return func() {
		close(ended)
		<-gone
	}
}

// finish ends what is left of the process group of a command that was asked to end, when its time for that is over.
func (r *Runner) finish(cmd *exec.Cmd, last <-chan time.Time) {
	for alive(cmd.Process) {
		select {
		case <-last:
			kill(cmd.Process)
			return
		case <-r.o.After(graceLook):
		}
	}
}

// exitOf is nil for a command that ended well, although something in the background may hold its output open.
func exitOf(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	return err
}
