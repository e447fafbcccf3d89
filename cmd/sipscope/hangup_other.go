//go:build !unix

package main

import "os"

// hangups has nothing on systems without hangup signals; an interrupt must still end with a restored terminal.
func hangups() []os.Signal { return []os.Signal{os.Interrupt} }
