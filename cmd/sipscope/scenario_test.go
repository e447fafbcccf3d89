package main

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/scenario"
	"sipscope/element/transport"
)

const (
	scenarioGoldens = "../../testdata/golden/scenario"
	scenarioPcaps   = "../../testdata/pcaps"
)

// runScenario runs "sipscope scenario" and gives what it prints.
func runScenario(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := newScenario(stdio{in: os.Stdin, out: out, err: out})
	cmd.SetArgs(args)
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	failed := cmd.ExecuteContext(t.Context())
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), failed
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v (UPDATE_GOLDEN=1 writes it)", err)
		return
	}
	if bytes.Equal(want, got) {
		return
	}
	if strings.HasSuffix(path, ".pcapng") {
		t.Errorf("%s: %d bytes, not what is written now: %d", path, len(want), len(got))
		return
	}
	t.Errorf("%s (-want +got, UPDATE_GOLDEN=1 writes it):\n%s", path, gocmp.Diff(string(want), string(got)))
}

func allFlows(t *testing.T) []*scenario.Flow {
	t.Helper()
	flows, err := scenario.Textbook()
	if err != nil {
		t.Fatal(err)
	}
	return flows
}

// Each flow goes as it says, message by message and by the counts of the analyzer; its ladder, plain and explained, and
// its capture are the committed ones to the byte.
func TestScenarioGoldens(t *testing.T) {
	t.Parallel()
	for _, f := range allFlows(t) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			capture := filepath.Join(t.TempDir(), "capture.pcapng")
			plain, err := runScenario(t, f.Name, "--virtual", "-O", capture)
			if err != nil {
				t.Errorf("%v\n%s", err, plain)
			}
			explained, err := runScenario(t, f.Name, "--virtual", "--explain")
			if err != nil {
				t.Error(err)
			}
			packets, err := os.ReadFile(capture)
			if err != nil {
				t.Fatal(err)
			}
			if len(packets) > 200<<10 {
				t.Errorf("a capture of %d bytes, want at most 200 KiB", len(packets))
			}
			golden(t, filepath.Join(scenarioGoldens, f.Name+".txt"), []byte(plain))
			golden(t, filepath.Join(scenarioGoldens, f.Name+"-explain.txt"), []byte(explained))
			golden(t, filepath.Join(scenarioPcaps, "scenario-"+f.Name+".pcapng"), packets)
		})
	}
}

// Nothing is left of flows that are gone, and README.md lists the captures.
func TestScenarioFiles(t *testing.T) {
	t.Parallel()
	flows := allFlows(t)
	var table strings.Builder
	known := map[string]bool{}
	for _, f := range flows {
		fmt.Fprintf(&table, "| %s | `scenario-%s.pcapng` | %s |\n", f.Figure, f.Name, f.Title)
		known[f.Name+".txt"], known[f.Name+"-explain.txt"], known["scenario-"+f.Name+".pcapng"] = true, true, true
	}
	goldens, err := filepath.Glob(filepath.Join(scenarioGoldens, "*"))
	if err != nil {
		t.Fatal(err)
	}
	pcaps, err := filepath.Glob(filepath.Join(scenarioPcaps, "scenario-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(goldens, pcaps...) {
		if !known[filepath.Base(path)] {
			t.Errorf("%s belongs to no flow", path)
		}
	}
	inTable(t, filepath.Join(scenarioPcaps, "README.md"), "| figure | capture | what happens |\n|---|---|---|\n", table.String())
}

// inTable checks the table below head in a file, or writes it.
func inTable(t *testing.T, path, head, rows string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, after, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatalf("%s has no such table", path)
	}
	for strings.HasPrefix(after, "| ") {
		_, after, _ = strings.Cut(after, "\n")
	}
	golden(t, path, []byte(before+head+rows+after))
}

// docs/scenarios.md lists the flows, each with its variants, and shows what the program prints; its own flow can be played.
func TestScenarioDocs(t *testing.T) {
	t.Parallel()
	const path = "../../docs/scenarios.md"
	var rows strings.Builder
	flows := allFlows(t)
	for _, f := range flows {
		if f.Variant != "" {
			continue
		}
		fmt.Fprintf(&rows, "| %s | `%s` | %s |\n", f.Figure, f.Name, f.Title)
		for _, v := range flows {
			if v.Variant == f.Name {
				fmt.Fprintf(&rows, "| %s | (`%s`) | %s |\n", v.Figure, v.Name, v.Title)
			}
		}
	}
	inTable(t, path, "| figure | name | what happens |\n|---|---|---|\n", rows.String())
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```\n")
	if len(blocks) != 5 {
		t.Fatalf("%d blocks, want two in fences", len(blocks))
	}
	out, err := runScenario(t, "transactions-busy", "--virtual", "--explain")
	if diff := gocmp.Diff(out, blocks[1]); err != nil || diff != "" {
		t.Errorf("%v, --explain is not what the page shows (-printed +page):\n%s", err, diff)
	}
	own := filepath.Join(t.TempDir(), "own.flow")
	if err = os.WriteFile(own, []byte(blocks[3]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err = runScenario(t, own, "--virtual"); err != nil {
		t.Errorf("the page's own flow: %v\n%s", err, out)
	}
}

// tapped is what a flow sends, as tshark has to see it: frame, method, status, Call-ID, CSeq.
type tapped struct {
	n    int
	rows []string
	msg  sip.Message
}

func (w *tapped) Message(_ int64, _ transport.Proto, _ uint64, _, _ netip.AddrPort, raw []byte) {
	w.n++
	if sip.Parse(raw, &w.msg) != nil {
		return
	}
	m := &w.msg
	method, status := string(m.Method.Of(m.Raw)), ""
	if !m.Request {
		method, status = "", strconv.Itoa(int(m.Status))
	}
	cseq, _ := m.Value(sip.HeaderCSeq)
	w.rows = append(w.rows, strings.Join([]string{strconv.Itoa(w.n), method, status, string(m.CallID.Of(m.Raw)), string(cseq)}, "\t"))
}

func (w *tapped) Datagram(int64, netip.AddrPort, netip.AddrPort, []byte) { w.n++ }

// tshark reads the same messages from the captures.
func TestScenarioTshark(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("CI must have the Debian package tshark")
		}
		t.Skip("needs the Debian package tshark")
	}
	merge := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(tshark), "mergecap"), "-a", "-w", "-")
	var want tapped
	steps := 0
	for _, f := range allFlows(t) {
		if _, err = f.Play(t.Context(), scenario.Stage{Seed: 1, Tap: &want}); err != nil {
			t.Fatal(err)
		}
		steps += len(f.Steps)
		merge.Args = append(merge.Args, filepath.Join(scenarioPcaps, "scenario-"+f.Name+".pcapng"))
	}
	all, err := merge.Output()
	if err != nil {
		t.Fatalf("mergecap: %v", err)
	}
	read := exec.CommandContext(t.Context(), tshark, "-n", "-r", "-", "-Y", "sip", "-T", "fields", "-e", "frame.number",
		"-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.Call-ID", "-e", "sip.CSeq")
	read.Stdin = bytes.NewReader(all)
	out, err := read.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	got := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	if diff := gocmp.Diff(want.rows, got); diff != "" {
		t.Errorf("(-sent +tshark):\n%s", diff)
	}
	if len(got) != steps {
		t.Errorf("tshark reads %d messages, the flows have %d steps", len(got), steps)
	}
}

// Who has the addresses already is told, with what to do instead.
func TestScenarioOccupied(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	other, err := lc.ListenPacket(t.Context(), "udp", "127.88.7.3:5060")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("this system has no loopback address 127.88.7.3: %v", err)
	}
	defer other.Close()
	path := filepath.Join(t.TempDir(), "two.flow")
	flow := "host a ua 127.88.7.2\nhost b ua 127.88.7.3\ndo 0ms a call sip:b@127.88.7.3\n"
	if err = os.WriteFile(path, []byte(flow), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = runScenario(t, path)
	var usage usageError
	if !errors.As(err, &usage) || !strings.Contains(err.Error(), "127.88.7.3") || !strings.Contains(usage.hint, "--virtual") {
		t.Errorf("%v, hint %q", err, usage.hint)
	}
}

// With --explain every drawing says what the flow says of each step.
func TestScenarioFormats(t *testing.T) {
	t.Parallel()
	i := slices.IndexFunc(allFlows(t), func(f *scenario.Flow) bool { return f.Name == "bye-record-route" })
	f := allFlows(t)[i]
	plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&")
	entity := regexp.MustCompile(`#(\d+);`) // Mermaid's
	for _, format := range []string{"html", "svg", "mermaid", "json"} {
		out, err := runScenario(t, f.Name, "--virtual", "--explain", "--format", format)
		if err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if format == "mermaid" {
			out = entity.ReplaceAllString(strings.ReplaceAll(out, "<br/>", " "), "&#$1;")
		}
		text := words(plain.Replace(html.UnescapeString(out)))
		for k := range f.Steps {
			if s := &f.Steps[k]; !strings.Contains(text, words(s.Why)) {
				t.Errorf("%s: step %d is not explained: %s", format, k+1, s.Why)
			}
		}
	}
}

// words is a text without markup and white space, so that it does not matter how it is wrapped.
func words(s string) string {
	var b strings.Builder
	inside := false
	for _, r := range s {
		switch {
		case r == '<':
			inside = true
		case r == '>':
			inside = false
		case !inside && r > ' ':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// A flow that goes another way than it says, in messages or in counts, is drawn all the same; exit code 1 tells.
func TestScenarioVerdict(t *testing.T) {
	t.Parallel()
	const flow = `# Two phones.
host a ua 127.0.0.2
host b ua 127.0.0.3
do 0ms a call sip:b@127.0.0.3
on b call answer=0s
a -> b INVITE sip:b@127.0.0.3
b -> a 200
a -> b ACK
expect transactions=1 dialogs=1 retransmissions=0 state=answered
`
	for _, tt := range []struct{ old, new, want string }{
		{"Two", "Two", ""},
		{"transactions=1", "transactions=2", "flow two: the analyzer sees 1 transactions, not 2"},
		{"state=answered", "state=failed", "flow two: the analyzer sees state answered, not failed"},
		{"b -> a 200", "b -> a 486", "message 2, b -> a 200 INVITE, is no step"},
	} {
		path := filepath.Join(t.TempDir(), "two.flow")
		if err := os.WriteFile(path, []byte(strings.Replace(flow, tt.old, tt.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := runScenario(t, path, "--virtual")
		var nothing nothingError
		if tt.want == "" && err != nil || tt.want != "" && (!errors.As(err, &nothing) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.new, err, tt.want)
		}
		if !strings.Contains(out, "INVITE") {
			t.Errorf("%s: no ladder:\n%s", tt.new, out)
		}
	}
}

// The list has all flows, those of the textbook before their variants.
func TestScenarioList(t *testing.T) {
	t.Parallel()
	out, err := runScenario(t)
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for _, f := range allFlows(t) {
		i := strings.Index(out, fmt.Sprintf("\n%-6s  %s ", f.Figure, f.Name))
		if i <= last || !strings.Contains(out[i:], f.Title) {
			t.Errorf("%s at %d, after %d", f.Name, i, last)
		}
		last = i
	}
	for line := range strings.Lines(out) {
		if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}
