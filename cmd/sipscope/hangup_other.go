//go:build !unix

package main

import "os"

// hangups has nothing on systems without hangup signals; an interrupt must still end with a restored terminal.
func hangups() []os.Signal { return []os.Signal{os.Interrupt} }

// snapshotSignals has nothing on systems without user signals.
func snapshotSignals() []os.Signal { return nil }

// reopenSignals likewise.
func reopenSignals() []os.Signal { return nil }
