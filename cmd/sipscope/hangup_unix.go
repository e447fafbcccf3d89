//go:build unix

package main

import (
	"os"
	"syscall"
)

// hangups are the signals of a terminal that has gone, which must end a terminal UI as quietly as quitting does.
func hangups() []os.Signal { return []os.Signal{syscall.SIGHUP, syscall.SIGTERM} }
