package bpf

import (
	"errors"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// attach gives a program to a socket; the kernel verifies it.
func attach(fd int, code []insn) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
		Len:    uint16(len(code)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&code[0])),
	})
}

// TestKernelAccepts attaches the programs of all filters for Ethernet and cooked sockets.
func TestKernelAccepts(t *testing.T) {
	t.Parallel()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	entries := table(t)
	entries = append(entries, entry{expr: long(100)}, entry{expr: "inbound"}, entry{expr: "ifindex 3 and udp"})
	n := 0
	for _, e := range entries {
		if e.refused || e.ours {
			continue
		}
		for _, o := range []Options{{}, {Kernel: true}, {Kernel: true, Fragments: true}} {
			f, err := Parse(e.expr, o)
			if err != nil {
				t.Errorf("%.80q: %v", e.expr, err)
				continue
			}
			for _, link := range []capture.LinkType{capture.LinkEthernet, capture.LinkSLL2, capture.LinkRaw} {
				code, err := f.Program(link)
				if err != nil {
					continue
				}
				if err := attach(fd, code); err != nil {
					t.Errorf("%.80q on %v: %v\n%s", e.expr, kindOf(link), err, listing(code))
				}
				n++
			}
		}
	}
	if n < 4000 {
		t.Errorf("only %d programs", n)
	}
}

// TestKernelRuns sends frames through a local socket with a filter: the kernel keeps what Match keeps.
func TestKernelRuns(t *testing.T) {
	t.Parallel()
	packets := every(framesOf(capture.LinkEthernet), 29)
	n := 0
	for i, e := range table(t) {
		if e.refused || e.ours || i%5 != 0 {
			continue
		}
		f := mustParse(t, e.expr, Options{Kernel: true})
		code, err := f.Program(capture.LinkEthernet)
		if err != nil {
			continue
		}
		if slices.ContainsFunc(code, func(in insn) bool { return in.Op == aluLsh|srcX || in.Op == aluRsh|srcX }) {
			continue // shifted by what a packet says: the kernel looks at the lowest five bits only
		}
		n++
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := attach(pair[1], code); err != nil {
			t.Fatal(err)
		}
		for j := range packets {
			p := packets[j]
			if len(p.Data) == 0 {
				continue
			}
			p.WireLen = uint32(len(p.Data))
			want, err := f.Match(&p)
			if errors.Is(err, ErrLink) {
				break // metadata that a frame does not hold
			}
			if got := passes(t, pair, p.Data); err != nil || got != want {
				t.Fatalf("%q: kernel %v, Match %v, %v\n%x\n%s", e.expr, got, want, err, p.Data, listing(code))
			}
		}
		unix.Close(pair[0])
		unix.Close(pair[1])
	}
	if n < 100 {
		t.Errorf("only %d filters", n)
	}
}

// passes sends a datagram and reports whether it arrives.
func passes(t *testing.T, pair [2]int, data []byte) bool {
	t.Helper()
	switch _, err := unix.Write(pair[0], data); {
	case errors.Is(err, unix.EPERM): // how some kernels tell the sender of the filter
		return false
	case err != nil:
		t.Fatal(os.NewSyscallError("write", err))
	}
	var buf [4096]byte
	n, err := unix.Read(pair[1], buf[:])
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(os.NewSyscallError("read", err))
	}
	return err == nil && n > 0
}
