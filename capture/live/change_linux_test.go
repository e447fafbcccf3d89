//go:build !libpcap

package live_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sipscope/capture"
	"sipscope/capture/live"
)

// until reads on until cond holds.
func until(t *testing.T, s *live.Source, cond func() bool) {
	t.Helper()
	var b capture.Batch
	defer b.Release()
	for ctx := limit(t); !cond(); {
		if err := s.Next(ctx, &b); err != nil {
			t.Fatalf("%v: %+v", err, s.Stats())
		}
	}
}

// TestComesAndGoes takes the interface down, away, and back, while the source goes on.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	for rings, name := range map[int]string{1: "one ring", 2: "two rings"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			comesAndGoes(t, rings)
		})
	}
}

func comesAndGoes(t *testing.T, rings int) {
	t.Helper()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}, Rings: rings, Promiscuous: true, Buffer: 4 << 20})
	up := func() bool { return s.Stats()[0].Up }
	down := func() bool { return !up() }
	round := func(n int) {
		t.Helper()
		sent := sendAll(t, tx, n)
		for i, p := range collect(t, s, n, ours) {
			if !bytes.Equal(p.Data, frame(nil, uint32(i))) {
				t.Fatalf("frame %d differs", i)
			}
		}
		sent.Wait()
	}
	round(100)
	ip(t, "link set in0 down")
	until(t, s, down)
	if n := s.Stats()[0].Note; n != "the interface is down" {
		t.Errorf("note %q", n)
	}
	ip(t, "link set in0 up")
	until(t, s, up)
	if n := s.Stats()[0]; n.Note != "" || n.Reopened != 0 {
		t.Errorf("%+v", n)
	}
	round(100)
	for i := range uint64(3) {
		ip(t, "link del in0")
		until(t, s, down)
		if n := s.Stats()[0].Note; n != "the interface is gone" {
			t.Errorf("note %q", n)
		}
		ip(t, "link add in0 type veth peer name out0")
		ip(t, "link set in0 up")
		ip(t, "link set out0 up")
		until(t, s, func() bool { return s.Stats()[0].Reopened == i+1 && up() })
		tx = newSender(t, "out0")
		round(200)
	}
	// Away and back between two looks.
	ip(t, "link del in0")
	ip(t, "link add in0 type veth peer name out0")
	ip(t, "link set in0 up")
	ip(t, "link set out0 up")
	until(t, s, func() bool { return s.Stats()[0].Reopened == 4 && up() })
	tx = newSender(t, "out0")
	round(50)
	ip(t, "link set in0 name in1")
	time.Sleep(1100 * time.Millisecond)
	until(t, s, up)
	round(50)
	if st := s.Stats()[0]; st.KernelDropped != 0 || st.Damaged != 0 || st.Received < 900 {
		t.Errorf("%+v", st)
	}
	if strings.Contains(promiscuity(t), "promiscuity 0 ") {
		t.Error("the interface is not promiscuous")
	}
	s.Close()
	if !strings.Contains(promiscuity(t), "promiscuity 0 ") {
		t.Error("the interface is still promiscuous")
	}
}

func promiscuity(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "-d", "link", "show", "dev", "in1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// TestOpenDown opens an interface that is down, and hears of it when it comes up.
func TestOpenDown(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	for _, rings := range []int{1, 2} {
		ip(t, "link set in0 down")
		s := open(t, live.Options{Devices: []string{"in0"}, Rings: rings})
		if s.Stats()[0].Up {
			t.Error("up")
		}
		ip(t, "link set in0 up")
		until(t, s, func() bool { return s.Stats()[0].Up })
		tx.send(t, frame(nil, 1))
		collect(t, s, 1, ours)
		if st := s.Stats()[0]; st.Reopened != 0 {
			t.Errorf("%+v", st)
		}
		s.Close()
	}
}

// TestNotFound says which interfaces there are.
func TestNotFound(t *testing.T) {
	t.Parallel()
	wire(t)
	for _, name := range []string{"in7", "a name that is too long for Linux"} {
		_, err := live.Open(live.Options{Devices: []string{"in0", name}, Now: time.Now})
		var e *live.NotFoundError
		if !errors.As(err, &e) || e.Device != name || !strings.Contains(err.Error(), "any, lo, out0, in0") &&
			!strings.Contains(err.Error(), "any, lo, in0, out0") {
			t.Errorf("%v", err)
		}
	}
}

// TestRings deals flows out to rings: nothing is lost or doubled, and each flow stays in order.
func TestRings(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	s := open(t, live.Options{Devices: []string{"in0"}, Rings: 3})
	const n, flows = 30_000, 64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint32(n) {
			tx.send(t, datagram(i%flows, i))
		}
	}()
	next := make([]uint32, flows)
	for i := range next {
		next[i] = uint32(i)
	}
	var last int64
	late := 0
	all := collect(t, s, n, func(p *capture.Packet) bool { return len(p.Data) == 46 && p.Data[23] == unix.IPPROTO_UDP })
	for _, p := range all {
		port, i := binary.BigEndian.Uint16(p.Data[34:]), binary.BigEndian.Uint32(p.Data[42:])
		if flow := uint32(port - 10000); next[flow] != i {
			t.Fatalf("flow %d has %d, want %d", flow, i, next[flow])
		} else {
			next[flow] += flows
		}
		if p.Time < last-int64(time.Millisecond) {
			late++
		}
		last = max(last, p.Time)
	}
	<-done
	if late > n/100 {
		t.Errorf("%d of %d packets come later than they should", late, n)
	}
	if st := s.Stats()[0]; st.KernelDropped != 0 || st.Received != n {
		t.Errorf("%+v", st)
	}
}

// datagram is a UDP datagram in IPv4 in Ethernet, 46 bytes, of a flow.
func datagram(flow, i uint32) []byte {
	b := make([]byte, 46)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0})
	copy(b[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	sum := uint32(0)
	for k := 14; k < 34; k += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[k:]))
	}
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[34:], uint16(10000+flow))
	binary.BigEndian.PutUint16(b[36:], 5060)
	binary.BigEndian.PutUint16(b[38:], 12)
	binary.BigEndian.PutUint32(b[42:], i)
	return b
}

// TestMerge reads two wires as one, in the order of time.
func TestMerge(t *testing.T) {
	t.Parallel()
	tx := wire(t)
	ip(t, "link add in1 type veth peer name out1")
	ip(t, "link set in1 up")
	ip(t, "link set out1 up")
	txs := []*sender{tx, newSender(t, "out1")}
	s := open(t, live.Options{Devices: []string{"in0", "in1"}})
	if d := s.Devices(); len(d) != 2 || d[1] != "in1" {
		t.Errorf("%q", d)
	}
	const n = 3000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range uint32(n) {
			txs[i*2654435761>>31].send(t, frame(nil, i))
			if i%100 == 0 {
				time.Sleep(time.Duration(i%700) * 10 * time.Microsecond)
			}
		}
	}()
	swapped, last := 0, uint32(0)
	for _, p := range collect(t, s, n, ours) {
		got := binary.BigEndian.Uint32(p.Data[14:])
		if got < last {
			swapped++ // the sender has moved to another processor meanwhile
		}
		last = max(last, got)
		if p.Iface != uint16(got*2654435761>>31) {
			t.Errorf("frame %d is said to be of interface %d", got, p.Iface)
		}
	}
	<-done
	if swapped > n/50 {
		t.Errorf("%d of %d frames come after later ones", swapped, n)
	}
	if st := s.Stats(); st[0].Received+st[1].Received < n || st[0].Received == 0 || st[1].Received == 0 {
		t.Errorf("%+v", st)
	}
}

// TestTun reads bare IP from an interface that has no link layer.
func TestTun(t *testing.T) {
	t.Parallel()
	enter(t)
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		missing(t, "/dev/net/tun: "+err.Error())
	}
	defer unix.Close(fd)
	q, err := unix.NewIfreq("tun0")
	if err != nil {
		t.Fatal(err)
	}
	q.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err = unix.IoctlIfreq(fd, unix.TUNSETIFF, q); err != nil {
		t.Fatal(err)
	}
	ip(t, "link set tun0 up")
	s := open(t, live.Options{Devices: []string{"tun0"}})
	all := open(t, live.Options{Devices: []string{live.Any}})
	want := datagram(1, 2)[14:]
	if _, err = unix.Write(fd, want); err != nil {
		t.Fatal(err)
	}
	for _, p := range collect(t, s, 1, func(*capture.Packet) bool { return true }) {
		if p.Link != capture.LinkRaw || !bytes.Equal(p.Data, want) || int(p.WireLen) != len(want) {
			t.Errorf("%+v", p)
		}
	}
	for _, p := range collect(t, all, 1, func(*capture.Packet) bool { return true }) {
		if !bytes.Equal(p.Data[20:], want) || binary.BigEndian.Uint16(p.Data) != unix.ETH_P_IP ||
			binary.BigEndian.Uint16(p.Data[8:]) != unix.ARPHRD_NONE {
			t.Errorf("%+v", p)
		}
	}
	list, err := live.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	links := map[string]capture.LinkType{}
	for _, f := range list {
		links[f.Name] = f.Link
	}
	if list[0].Name != live.Any || links[live.Any] != capture.LinkSLL2 || links["lo"] != capture.LinkEthernet ||
		links["tun0"] != capture.LinkRaw {
		t.Errorf("%v", links)
	}
}

// TestTCPDump reads the same traffic as tcpdump does.
func TestTCPDump(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("tcpdump"); err != nil {
		missing(t, "tcpdump")
	}
	tx := wire(t)
	for _, device := range []string{"in0", "lo", live.Any} {
		s := open(t, live.Options{Devices: []string{device}})
		const n = 60
		count := n // out0 → in0
		switch device {
		case "lo":
			tx = newSender(t, "lo")
		case live.Any:
			tx, count = newSender(t, "out0"), 2*n
		}
		file := t.TempDir() + "/dump.pcap"
		args := []string{"-i", device, "-w", file, "-U", "-Z", "root", "--immediate-mode", "-c", strconv.Itoa(count)}
		args = append(args, "-s", "2048", "-B", "16384") // or its ring has room for 8 frames
		if device == live.Any {
			args = append(args, "-y", "LINUX_SLL2")
		}
		cmd := exec.CommandContext(limit(t), "tcpdump", append(args, "ether proto 0x88b5")...)
		listening := make(chan struct{})
		cmd.Stderr = &listener{heard: listening}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-listening
		for i := range uint32(n) {
			tx.send(t, frame(nil, i))
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("tcpdump: %v: %s", err, cmd.Stderr)
		}
		want := readFile(t, file)
		if len(want) != count {
			t.Fatalf("%s: tcpdump has %d packets, want %d", device, len(want), count)
		}
		for i, p := range collect(t, s, count, ours) {
			if w := want[i]; p.Link != w.Link || p.WireLen != w.WireLen || !bytes.Equal(p.Data, w.Data) {
				t.Errorf("%s: packet %d:\n%d %d %x, tcpdump\n%d %d %x", device, i,
					p.Link, p.WireLen, p.Data[:40], w.Link, w.WireLen, w.Data[:40])
			}
			if by := time.Duration(p.Time - want[i].Time); by < -50*time.Millisecond || by > 50*time.Millisecond {
				t.Errorf("%s: packet %d is %v later than tcpdump's", device, i, by)
			}
		}
		s.Close()
	}
}

// listener waits for tcpdump to say that it listens.
type listener struct {
	text  bytes.Buffer
	heard chan struct{}
	done  bool
}

func (l *listener) Write(p []byte) (int, error) {
	l.text.Write(p)
	if !l.done && bytes.Contains(l.text.Bytes(), []byte("listening on")) {
		l.done = true
		close(l.heard)
	}
	return len(p), nil
}

func (l *listener) String() string { return l.text.String() }

// readFile reads a capture whole.
func readFile(t *testing.T, path string) (list []capture.Packet) {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var b capture.Batch
	defer b.Release()
	for files.Next(context.Background(), &b) == nil {
		for _, p := range b.Packets {
			p.Data = bytes.Clone(p.Data)
			list = append(list, p)
		}
	}
	return list
}

// nobody is a user that every Linux has.
const nobody = "nobody"

// TestMain's children: what a test has another process do, since it cannot be undone.
const childEnv = "SIPSCOPE_LIVE_CHILD"

// child runs a test of this binary in a process of its own, in the test's namespace.
func child(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(limit(t), exe, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	cmd.Env = append(os.Environ(), childEnv+"=1", "GOCOVERDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestDropPrivileges opens as root and goes on as nobody: what is open stays, and is opened again when its interface
// comes back; nothing new can be opened.
func TestDropPrivileges(t *testing.T) {
	t.Parallel()
	if os.Getenv(childEnv) == "" {
		enter(t)
		child(t)
		return
	}
	tx := wire(t)
	ip(t, "link add in1 type veth peer name out1")
	ip(t, "link set in1 up")
	ip(t, "link set out1 up")
	s := open(t, live.Options{Devices: []string{"in0", "in1"}, Rings: 1, Buffer: 4 << 20})
	two := open(t, live.Options{Devices: []string{"in0"}, Rings: 2, Buffer: 4 << 20})
	tx.send(t, frame(nil, 1))
	collect(t, s, 1, ours)
	collect(t, two, 1, ours)

	// The sender of later, which no user but root may be.
	fd := packetSocket(t)
	again := exec.Command("sh", "-c", `
		for i in 1 2; do
			read x
			ip link del in0; ip link add in0 type veth peer name out0; ip link set in0 up; ip link set out0 up
			ip -o link show out0 | cut -d: -f1
		done`)
	commands, err := again.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := again.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(); err != nil { // it stays root
		t.Fatal(err)
	}
	if err := live.DropPrivileges("no such user"); err == nil {
		t.Error("no error for a user that is none")
	}
	if err := live.DropPrivileges("root"); err == nil {
		t.Error("no error for root")
	}
	if err := live.DropPrivileges(nobody); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 || syscall.Setuid(0) == nil {
		t.Error("still root")
	}
	var denied *live.PermissionError
	if _, err := live.Open(live.Options{Devices: []string{"in0"}, Now: time.Now}); !errors.As(err, &denied) {
		t.Errorf("open: %v", err)
	}
	for round := range uint64(2) {
		if _, err := commands.Write([]byte("go\n")); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 20)
		n, err := answers.Read(line)
		if err != nil {
			t.Fatal(err)
		}
		index := 0
		for _, c := range bytes.TrimSpace(line[:n]) {
			index = index*10 + int(c-'0')
		}
		for _, s := range []*live.Source{s, two} {
			until(t, s, func() bool { return s.Stats()[0].Reopened == round+1 && s.Stats()[0].Up })
		}
		tx = newSenderTo(t, fd, index)
		tx.send(t, frame(nil, 7))
		collect(t, s, 1, ours)
		collect(t, two, 1, ours)
	}
	if err := again.Wait(); err != nil {
		t.Error(err)
	}
}

// TestPermission is refused what it has no privilege for.
func TestPermission(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		if os.Getenv(childEnv) == "" {
			child(t)
			return
		}
		if err := live.DropPrivileges(nobody); err != nil {
			t.Fatal(err)
		}
	}
	for _, device := range []string{"lo", live.Any} {
		_, err := live.Open(live.Options{Devices: []string{device}, Now: time.Now})
		var denied *live.PermissionError
		if !errors.As(err, &denied) || denied.Device != device || !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", device, err)
		}
	}
	if err := live.DropPrivileges("daemon"); err == nil {
		t.Error("another user, without being root")
	}
	if _, err := live.Interfaces(); err != nil {
		t.Errorf("the list of interfaces: %v", err)
	}
}
