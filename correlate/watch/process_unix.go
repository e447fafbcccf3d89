//go:build unix

package watch

import (
	"os"
	"os/exec"
	"syscall"
)

// separate gives the command a process group of its own: what it starts can be ended with it, and a Ctrl-C at the
// terminal does not reach it.
func separate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the command's process group to end.
func terminate(p *os.Process) error { return signalGroup(p, syscall.SIGTERM) }

// kill ends the command's process group.
func kill(p *os.Process) { _ = signalGroup(p, syscall.SIGKILL) }

// alive reports whether a process of the command's group is left.
func alive(p *os.Process) bool { return signalGroup(p, 0) == nil }

// signalGroup relies on the number of a process being that of its group, and not given out again for as long as one of
// the group lives.
func signalGroup(p *os.Process, sig syscall.Signal) error {
	err := syscall.Kill(-p.Pid, sig)
	if err == syscall.ESRCH {
		return os.ErrProcessDone
	}
	return err
}
