//go:build unix

package main

import (
	"os"
	"syscall"
)

// hangups are the signals of a terminal that has gone, which must end a terminal UI as quietly as quitting does.
func hangups() []os.Signal { return []os.Signal{syscall.SIGHUP, syscall.SIGTERM} }

// snapshotSignals ask a run for a report of what is there so far.
func snapshotSignals() []os.Signal { return []os.Signal{syscall.SIGUSR1} }

// reopenSignals ask for new output files: somebody has moved the old ones away.
func reopenSignals() []os.Signal { return []os.Signal{syscall.SIGHUP} }
