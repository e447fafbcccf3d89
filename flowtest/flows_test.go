package flowtest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/flowtest"
)

const (
	flowDir = "../testdata/flows"
	pcapDir = "../testdata/pcaps"
)

// flows parses all flows of the project.
func flows(t *testing.T) []*flowtest.Flow {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(flowDir, "*.flow"))
	if err != nil || len(names) < 40 {
		t.Fatalf("%d flows in %s: %v", len(names), flowDir, err)
	}
	all := make([]*flowtest.Flow, 0, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := flowtest.Parse(filepath.ToSlash(name), bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all
}

func write(t *testing.T, f *flowtest.Flow) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The committed captures and their table are what the flows make, nothing is left over, and all are small.
func TestCapturesAreUpToDate(t *testing.T) {
	t.Parallel()
	rows := map[string]string{}
	for _, f := range flows(t) {
		data := write(t, f)
		packets, err := f.Packets()
		if err != nil {
			t.Fatal(err)
		}
		rows[f.FileName()] = flowtest.IndexRow(f, len(packets), len(data))
		committed, err := os.ReadFile(filepath.Join(pcapDir, f.FileName()))
		if err != nil || !bytes.Equal(committed, data) {
			t.Errorf("%s is not what %s.flow makes (%v): make golden", f.FileName(), f.Name, err)
		}
		if len(data) > 200<<10 {
			t.Errorf("%s has %d bytes, want at most 200 KiB", f.FileName(), len(data))
		}
	}
	readme, err := os.ReadFile(filepath.Join(pcapDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(flowtest.Index(readme, rows)), string(readme)); d != "" {
		t.Errorf("README.md (-want +got), make golden:\n%s", d)
	}
	files, err := os.ReadDir(pcapDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if name := file.Name(); rows[name] == "" && name != "README.md" && !madeElsewhere(name) {
			t.Errorf("%s is made from no flow", name)
		}
	}
	for line := range strings.Lines(string(readme)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "`"); ok && strings.HasPrefix(line, "| `") && rows[name] == "" && !madeElsewhere(name) {
			t.Errorf("README.md tells of %s, which is made from no flow", name)
		}
	}
}

// madeElsewhere reports whether a capture is made by the tests of another package, as README.md says: scenarios by cmd/sipscope,
// sound and SRTP by render/audio and correlate/cut, RTP by correlate, other transports by decode.
func madeElsewhere(name string) bool {
	for _, prefix := range [...]string{"scenario-", "audio-", "srtp-", "media", "sctp", "tls", "websocket"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// The same flow gives the same bytes each time, and its packets are numbered and in order.
func TestPacketsAreDeterministic(t *testing.T) {
	t.Parallel()
	for _, f := range flows(t) {
		if !bytes.Equal(write(t, f), write(t, f)) {
			t.Errorf("%s: two runs differ", f.Name)
		}
		packets, err := f.Packets()
		if err != nil {
			t.Fatal(err)
		}
		data := write(t, f)
		for i := range packets {
			p := &packets[i]
			if p.Seq != uint64(i+1) || i > 0 && p.Time < packets[i-1].Time {
				t.Errorf("%s: frame %d has number %d and time %v", f.Name, i+1, p.Seq, p.When())
			}
			if int(p.WireLen) < len(p.Data) {
				t.Errorf("%s: frame %d: %d bytes on the wire, %d captured", f.Name, i+1, p.WireLen, len(p.Data))
			}
			if o := p.Loc.Off; o != 0 && !bytes.Equal(data[o:o+int64(len(p.Data))], p.Data) {
				t.Errorf("%s: frame %d is not at offset %d of its file", f.Name, i+1, o)
			}
		}
	}
}

// Each flow says how many messages, methods, statuses and Call-IDs must be found, and its counts agree with each other.
func TestExpectationsAddUp(t *testing.T) {
	t.Parallel()
	for _, f := range flows(t) {
		count := map[string]int{}
		sums := map[string]int{}
		for _, e := range f.Expect {
			count[e.Kind]++
			for _, v := range e.Values {
				if e.Kind == "methods" || e.Kind == "statuses" {
					sums["messages"] += atoi(t, v)
				}
			}
			if e.Kind == "messages" {
				sums["want"] = e.Num
			}
		}
		for _, kind := range []string{"messages", "statuses", "methods", "callids", "transactions", "call"} {
			if count[kind] == 0 && (kind != "transactions" || f.Name != "tcp-midstream") {
				t.Errorf("%s expects nothing of %s", f.Name, kind)
			}
		}
		if sums["messages"] != sums["want"] {
			t.Errorf("%s: methods and statuses are %d messages, want %d", f.Name, sums["messages"], sums["want"])
		}
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}
