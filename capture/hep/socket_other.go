//go:build !linux

package hep

import "net"

// tuneUDP asks for a large receive buffer, which is not needed to go on.
func tuneUDP(c *net.UDPConn, size int) { _ = c.SetReadBuffer(size) }

// overflow: the system does not tell.
func overflow([]byte) (n uint32, ok bool) { return 0, false }

// unacked: the system does not tell.
func unacked(*net.TCPConn) (n int64, ok bool) { return 0, false }
