package live

import (
	"fmt"
	"net"
	"net/netip"

	"sipscope/capture"
)

// Interface is what a person wants to know before choosing where to capture.
type Interface struct {
	Name         string
	Index        int // the system's number; 0 for Any
	Up           bool
	Running      bool // there is a carrier
	Loopback     bool
	MTU          int // bytes; 0 for Any
	Addrs        []netip.Prefix
	HardwareAddr net.HardwareAddr
	Link         capture.LinkType // of the packets that a Source gives
}

// Interfaces lists the interfaces in the order of their numbers, Any first where the system has it. It needs no
// privilege.
func Interfaces() ([]Interface, error) {
	ifs, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list of interfaces: %w", err)
	}
	list := anyInterface()
	links := newLinks()
	defer links.close()
	for i := range ifs {
		f := &ifs[i]
		v := Interface{
			Name: f.Name, Index: f.Index, MTU: f.MTU, HardwareAddr: f.HardwareAddr,
			Up: f.Flags&net.FlagUp != 0, Running: f.Flags&net.FlagRunning != 0, Loopback: f.Flags&net.FlagLoopback != 0,
			Link: links.of(f),
		}
		addrs, err := f.Addrs()
		if err != nil {
			addrs = nil // the interface went away meanwhile, or has none: it is listed all the same
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				v.Addrs = append(v.Addrs, p)
			}
		}
		list = append(list, v)
	}
	return list, nil
}

// notFound is the error for a name that no interface has.
func notFound(name string) error {
	e := &NotFoundError{Device: name}
	list, err := Interfaces()
	if err != nil {
		return e
	}
	for i := range list {
		e.Names = append(e.Names, list[i].Name)
	}
	return e
}
