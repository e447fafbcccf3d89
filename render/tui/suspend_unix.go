//go:build unix

package tui

import (
	"fmt"
	"syscall"
)

// suspend gives the terminal back to the shell until the user comes back with fg.
func (a *app) suspend() {
	if err := a.screen.Suspend(); err != nil {
		a.Fail(fmt.Errorf("suspend: %w", err))
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGTSTP)
	if err := a.screen.Resume(); err != nil {
		a.failed, a.ended = fmt.Errorf("the terminal did not come back: %w", err), true
		return
	}
	a.screen.Sync()
}
