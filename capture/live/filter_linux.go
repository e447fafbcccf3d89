//go:build !libpcap

package live

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// Classes, modes and sizes of classic BPF instructions (linux/bpf_common.h).
const (
	bpfClass = 0x07
	bpfMode  = 0xe0
	bpfSize  = 0x18
	bpfLd    = 0x00
	bpfLdx   = 0x01
	bpfRet   = 0x06
	bpfAbs   = 0x20
	bpfInd   = 0x40
	bpfLen   = 0x80
	bpfMsh   = 0xa0
	bpfWord  = 0x00
	bpfHalf  = 0x08
	bpfByte  = 0x10
	bpfRetK  = 0x06
)

// What the kernel knows of a packet is loaded from beyond all packets (linux/filter.h: SKF_AD_OFF).
const (
	ancillary         = 1<<32 - 0x1000
	ancillaryProtocol = ancillary + 0
	ancillaryPkttype  = ancillary + 4
	ancillaryIfindex  = ancillary + 8
	ancillaryHatype   = ancillary + 28
)

// maxProgram is how long a program may be (BPF_MAXINSNS).
const maxProgram = 4096

// keepNone is the program of a socket that is not to receive yet, or no more.
func keepNone() []unix.SockFilter { return []unix.SockFilter{{Code: bpfRetK}} }

// program is what a socket of the layout is to run: the filter for its packets, with the offsets that they have in the
// kernel, cutting at snaplen.
func program(l layout, filter func(capture.LinkType) ([]bpf.RawInstruction, error), snaplen int) (
	[]unix.SockFilter, error,
) {
	cut := uint32(snaplen) //nolint:gosec // at most DefaultSnaplen
	if filter == nil {
		return []unix.SockFilter{{Code: bpfRetK, K: cut}}, nil
	}
	raw, err := filter(l.link)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 || len(raw) > maxProgram {
		return nil, fmt.Errorf("%w: %d instructions, 1 to %d are possible", ErrFilter, len(raw), maxProgram)
	}
	out := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		out[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
		if l.link == capture.LinkSLL2 && !uncook(&out[i]) {
			return nil, fmt.Errorf("%w: it looks at what cooked packets do not have there (instruction %d)", ErrFilter, i)
		}
		if in.Op == bpfRetK {
			out[i].K = min(in.K, cut)
		}
	}
	return out, nil
}

// uncook changes a load from a packet with a LINUX_SLL2 header to one from the packet that the kernel sees, which has
// none: what the header says is known to the kernel, except the address.
func uncook(in *unix.SockFilter) bool {
	load := in.Code & bpfClass
	if load != bpfLd && load != bpfLdx {
		return true
	}
	switch in.Code & bpfMode {
	case bpfLen:
		return false // it counts the header
	case bpfAbs, bpfInd, bpfMsh:
	default:
		return true
	}
	if in.K >= ancillary {
		return true
	}
	if in.K >= sll2Len {
		in.K -= sll2Len
		return true
	}
	if in.Code&bpfMode != bpfAbs || load != bpfLd {
		return false
	}
	return uncookField(in)
}

// uncookField takes a field of the header from what the kernel knows.
func uncookField(in *unix.SockFilter) bool {
	size := in.Code & bpfSize
	switch {
	case in.K == 0 && size == bpfHalf:
		in.K = ancillaryProtocol
	case in.K == 4 && size == bpfWord:
		in.K = ancillaryIfindex
	case in.K == 8 && size == bpfHalf:
		in.K = ancillaryHatype
	case in.K == 10 && size == bpfByte:
		in.K = ancillaryPkttype
	default:
		return false
	}
	in.Code = bpfLd | bpfWord | bpfAbs
	return true
}

// attach makes a socket run a program from now on.
func attach(fd int, prog []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]} //nolint:gosec // at most maxProgram
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p); err != nil {
		return fmt.Errorf("%w: %w", ErrFilter, err)
	}
	return nil
}
