//go:build !linux || libpcap

package live

import (
	"net"

	"sipscope/capture"
)

// anyInterface begins the list of interfaces: no other system has Any.
func anyInterface() []Interface { return nil }

// links guesses link types: only an open capture knows.
type links struct{}

func newLinks() links { return links{} }

func (links) close() {}

// of takes BSD's loopback for what it is, tunnels for bare packets, and everything else for Ethernet.
func (links) of(f *net.Interface) capture.LinkType {
	switch {
	case f.Flags&net.FlagLoopback != 0:
		return capture.LinkNull
	case f.Flags&net.FlagPointToPoint != 0:
		return capture.LinkRaw
	}
	return capture.LinkEthernet
}
