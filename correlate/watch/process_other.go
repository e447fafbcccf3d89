//go:build !unix

package watch

import (
	"os"
	"os/exec"
)

// separate does nothing: there are no process groups here.
func separate(*exec.Cmd) {}

// terminate ends the command: there is no way to ask it.
func terminate(p *os.Process) error { return p.Kill() }

// kill has nothing to end beyond the command itself.
func kill(*os.Process) {}

// alive reports that nothing is left to wait for.
func alive(*os.Process) bool { return false }
