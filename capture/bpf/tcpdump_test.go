package bpf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sipscope/capture"
)

// links are the link types that are filtered.
var links = []capture.LinkType{
	capture.LinkEthernet, capture.LinkSLL, capture.LinkSLL2, capture.LinkRaw, capture.LinkIPv4, capture.LinkIPv6,
	capture.LinkNull, capture.LinkLoop, capture.LinkPPP,
}

// entry is a line of testdata/filters.txt.
type entry struct {
	line    int
	expr    string
	refused bool // by tcpdump, too
	ours    bool // refused here only
}

// table reads testdata/filters.txt.
func table(tb testing.TB) []entry {
	tb.Helper()
	text, err := os.ReadFile("testdata/filters.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var out []entry
	for i, line := range strings.Split(string(text), "\n") {
		e := entry{line: i + 1, expr: line}
		switch {
		case strings.TrimSpace(line) == "" || line[0] == '#':
			continue
		case strings.HasPrefix(line, "refused: "):
			e.expr, e.refused = line[len("refused: "):], true
		case strings.HasPrefix(line, "ours: "):
			e.expr, e.ours = line[len("ours: "):], true
		}
		out = append(out, e)
	}
	return out
}

// maxOfFile is how many packets of one capture take part, and maxBytes how much of each.
const (
	maxOfFile = 250
	maxBytes  = 160
)

// allPackets are generated frames and those of all captures at hand, by link type.
var allPackets = sync.OnceValues(func() (map[capture.LinkType][]capture.Packet, error) {
	out := map[capture.LinkType][]capture.Packet{}
	for _, link := range links {
		out[link] = framesOf(link)
	}
	for _, root := range []string{"../../testdata/pcaps", "../../../shared/pcaps"} {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return readSome(path, out)
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return out, nil
})

// readSome adds packets of a file, if it is a capture.
func readSome(path string, out map[capture.LinkType][]capture.Packet) error {
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		return nil // no capture, or a damaged one: other tests look at those
	}
	defer files.Close()
	var b capture.Batch
	for n := 0; n < maxOfFile; {
		if err := files.Next(context.Background(), &b); err != nil {
			return nil
		}
		for i := range b.Packets {
			p := b.Packets[i]
			if kindOf(p.Link) == linkUnknown || p.Link == linkBSDRaw {
				continue
			}
			n++
			p.Data = bytes.Clone(p.Data[:min(len(p.Data), maxBytes)])
			out[p.Link] = append(out[p.Link], p)
		}
	}
	b.Release()
	return nil
}

// pcapFile writes packets with their index as the time, by which they are known again.
func pcapFile(link capture.LinkType, packets []capture.Packet) []byte {
	le := binary.LittleEndian
	out := le.AppendUint32(nil, 0xa1b2c3d4)
	out = append(out, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = le.AppendUint32(out, 1<<18)
	out = le.AppendUint32(out, uint32(link))
	for i, p := range packets {
		out = le.AppendUint32(out, uint32(i))
		out = le.AppendUint32(out, 0)
		out = le.AppendUint32(out, uint32(len(p.Data)))
		out = le.AppendUint32(out, p.WireLen)
		out = append(out, p.Data...)
	}
	return out
}

// tcpdump gives the indices of the packets that tcpdump keeps. An error means that it refuses the filter.
func tcpdump(tool, path, expr string, flags ...string) ([]int, string, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	var out, complaint bytes.Buffer
	cmd := exec.Command(tool, append(flags, "-n", "-r", "-", "-w", "-", "--", expr)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &complaint
	if err := cmd.Run(); err != nil {
		return nil, strings.TrimSpace(complaint.String()), err
	}
	var kept []int
	data := out.Bytes()
	for at := 24; at+16 <= len(data); {
		kept = append(kept, int(binary.LittleEndian.Uint32(data[at:])))
		at += 16 + int(binary.LittleEndian.Uint32(data[at+8:]))
	}
	return kept, "", nil
}

// findTcpdump skips the test when there is none.
func findTcpdump(t *testing.T) string {
	t.Helper()
	tool, err := exec.LookPath("tcpdump")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("tcpdump is missing: install the package tcpdump")
		}
		t.Skip("tcpdump is missing: install the package tcpdump")
	}
	return tool
}

// job is one filter on one link type.
type job struct {
	entry
	link capture.LinkType
}

// jobs chooses what is compared: each filter on Ethernet, and on one of the other link types in turn; with SIPSCOPE_FULL all on all.
func jobs(entries []entry) []job {
	full := os.Getenv("SIPSCOPE_FULL") != ""
	var out []job
	for i, e := range entries {
		for j, link := range links {
			turn := j == 1+i%(len(links)-1)
			if j == 0 || !e.refused && !e.ours && (full || turn) {
				out = append(out, job{e, link})
			}
		}
	}
	return out
}

// oracle is tcpdump and the files that it reads.
type oracle struct {
	tool    string
	paths   map[capture.LinkType]string
	packets map[capture.LinkType][]capture.Packet
	lenient bool // also where a frame that is whole ends before a byte that is tested
}

// TestTcpdump compares what is kept with what tcpdump keeps, frame by frame, and what is refused.
func TestTcpdump(t *testing.T) {
	t.Parallel()
	o := oracle{tool: findTcpdump(t), paths: map[capture.LinkType]string{}}
	var err error
	if o.packets, err = allPackets(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, link := range links {
		o.paths[link] = filepath.Join(dir, kindOf(link).String()+".pcap")
		if err := os.WriteFile(o.paths[link], pcapFile(link, o.packets[link]), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d packets", kindOf(link), len(o.packets[link]))
	}
	todo := make(chan job)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for j := range todo {
				if why := o.check(j); why != "" {
					t.Errorf("line %d, %s, %q: %s", j.line, kindOf(j.link), j.expr, why)
				}
			}
		})
	}
	n := 0
	for _, j := range jobs(table(t)) {
		todo <- j
		n++
	}
	close(todo)
	wg.Wait()
	t.Logf("%d comparisons", n)
}

// check compares one filter on one link type and says what is wrong, or nothing.
func (o *oracle) check(j job) string {
	want, complaint, refusal := tcpdump(o.tool, o.paths[j.link], j.expr)
	f, err := Parse(j.expr, Options{})
	var bad *SyntaxError
	switch {
	case err != nil && !errors.As(err, &bad):
		return fmt.Sprintf("the error is no SyntaxError: %v", err)
	case (j.refused || j.ours) && err == nil:
		return fmt.Sprintf("not refused; tcpdump says %q", complaint)
	case j.refused && refusal == nil:
		return "tcpdump takes it"
	case j.ours && refusal != nil:
		return fmt.Sprintf("tcpdump refuses it, too: %q", complaint)
	case j.refused || j.ours:
		return ""
	case err != nil:
		return fmt.Sprintf("refused: %v; tcpdump: %q", err, complaint)
	}
	if _, err = f.Program(j.link); (err != nil) != (refusal != nil) {
		return fmt.Sprintf("error %v, tcpdump's %q", err, complaint)
	}
	if err != nil {
		return ""
	}
	packets := o.packets[j.link]
	wrong := differ(f, packets, want)
	if len(wrong) == 0 {
		return ""
	}
	// tcpdump's optimizer moves tests, so that a packet which ends before the one test may have passed another already.
	// Without it, tests are done in the order of the expression, as here. This matters for cut packets only.
	plain, _, err := tcpdump(o.tool, o.paths[j.link], j.expr, "-O")
	if err != nil {
		return err.Error()
	}
	alsoWrong := differ(f, packets, plain)
	for _, i := range wrong {
		if p := &packets[i]; !o.lenient && len(p.Data) >= int(p.WireLen) || slices.Contains(alsoWrong, i) {
			return fmt.Sprintf("packet %d (%d of %d bytes), tcpdump %v\n%x", i, len(p.Data), p.WireLen,
				slices.Contains(want, i), p.Data)
		}
	}
	return ""
}

// differ gives the packets of which the filter thinks otherwise.
func differ(f *Filter, packets []capture.Packet, want []int) []int {
	var out []int
	for i := range packets {
		keeps := len(want) > 0 && want[0] == i
		if keeps {
			want = want[1:]
		}
		if got, err := f.Match(&packets[i]); err != nil || got != keeps {
			out = append(out, i)
		}
	}
	return out
}
