package live_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sipscope/capture"
	"sipscope/capture/live"
)

// ethLocal is an EtherType for experiments (IEEE 802): nothing else in a namespace uses it.
const ethLocal = 0x88b5

// missing skips a test that lacks something, or fails it where everything must be there.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("SIPSCOPE_CI") != "" {
		tb.Fatalf("needs %s", what)
	}
	tb.Skipf("needs %s", what)
}

// enter moves the test into a network namespace of its own, which goes with the test's thread.
func enter(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		missing(tb, "root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		missing(tb, "ip (Debian: iproute2)")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		missing(tb, "the permission to make network namespaces: "+err.Error())
	}
	run(tb, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6;"+
		"echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up")
}

// run is a command in the test's namespace.
func run(tb testing.TB, name string, args ...string) {
	tb.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func ip(tb testing.TB, args string) {
	tb.Helper()
	run(tb, "ip", strings.Fields(args)...)
}

// wire joins the interfaces in0 and out0: what is sent on out0 arrives at in0.
func wire(tb testing.TB) *sender {
	tb.Helper()
	enter(tb)
	ip(tb, "link add in0 type veth peer name out0")
	ip(tb, "link set in0 up")
	ip(tb, "link set out0 up")
	return newSender(tb, "out0")
}

// sender sends frames on an interface.
type sender struct {
	fd    int
	index int
}

func newSender(tb testing.TB, name string) *sender {
	tb.Helper()
	f, err := net.InterfaceByName(name)
	if err != nil {
		tb.Fatal(err)
	}
	return newSenderTo(tb, packetSocket(tb), f.Index)
}

// packetSocket is one that receives nothing.
func packetSocket(tb testing.TB) int {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	return fd
}

func newSenderTo(tb testing.TB, fd, index int) *sender {
	tb.Helper()
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		tb.Fatal(err)
	}
	return &sender{fd, index}
}

func (s *sender) send(tb testing.TB, frame []byte) {
	tb.Helper()
	for {
		_, err := unix.Write(s.fd, frame)
		if errors.Is(err, unix.ENOBUFS) {
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			tb.Errorf("send: %v", err)
		}
		return
	}
}

// frame is the n-th of a test's Ethernet frames: it has a length and bytes of its own.
func frame(dst []byte, n uint32) []byte {
	dst = append(dst[:0], 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, ethLocal>>8, ethLocal&0xff)
	dst = binary.BigEndian.AppendUint32(dst, n)
	size := 60 + int(n*2654435761>>20)%1440
	for x := n | 1; len(dst) < size; {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		dst = binary.LittleEndian.AppendUint32(dst, x)
	}
	return dst[:size]
}

// open opens a source for the length of the test.
func open(tb testing.TB, o live.Options) *live.Source {
	tb.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	s, err := live.Open(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// limit ends a test that waits for what does not come.
func limit(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), 20*time.Second, errors.New("it took too long"))
	tb.Cleanup(cancel)
	return ctx
}

// ours tells the frames that the test sent from what the system says by itself.
func ours(p *capture.Packet) bool {
	at := 12
	if p.Link == capture.LinkSLL2 {
		at = 0
	}
	for len(p.Data) >= at+2 {
		switch binary.BigEndian.Uint16(p.Data[at:]) {
		case ethLocal:
			return true
		case unix.ETH_P_8021Q, unix.ETH_P_8021AD:
			at += 4
			if p.Link == capture.LinkSLL2 && at == 4 {
				at = 22
			}
		default:
			return false
		}
	}
	return false
}

// collect reads until n packets are there that keep wants, and copies them.
func collect(tb testing.TB, s *live.Source, n int, keep func(*capture.Packet) bool) []capture.Packet {
	tb.Helper()
	var list []capture.Packet
	var b capture.Batch
	defer b.Release()
	ctx := limit(tb)
	for len(list) < n {
		if err := s.Next(ctx, &b); err != nil {
			tb.Fatalf("after %d of %d packets: %v (%+v)", len(list), n, err, s.Stats())
		}
		for i := range b.Packets {
			if p := b.Packets[i]; keep(&p) {
				p.Data = bytes.Clone(p.Data)
				list = append(list, p)
			}
		}
	}
	return list
}
