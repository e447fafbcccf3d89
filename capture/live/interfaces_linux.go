//go:build !libpcap

package live

import (
	"net"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// anyInterface begins the list of interfaces.
func anyInterface() []Interface {
	return []Interface{{Name: Any, Up: true, Running: true, Link: capture.LinkSLL2}}
}

// links asks the system for link types.
type links struct{ control int }

func newLinks() links {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return links{fd}
}

func (l links) close() {
	if l.control >= 0 {
		_ = unix.Close(l.control)
	}
}

// of is the link type of what Source gives of an interface; that of one which is gone meanwhile is guessed.
func (l links) of(f *net.Interface) capture.LinkType {
	st, err := look(l.control, f.Name)
	if err != nil {
		return capture.LinkEthernet
	}
	return st.layout().link
}
