//go:build !unix

package main

import "time"

// cpuTime is the processor time that this process has used: the system is not asked.
func cpuTime() time.Duration { return 0 }
