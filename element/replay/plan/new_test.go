package plan_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/replay/plan"
	"sipscope/element/scenario"
)

// captures are those of the project.
func captures(tb testing.TB) []string {
	tb.Helper()
	var all []string
	for _, pattern := range []string{"*.pcap", "*.pcapng"} {
		found, err := filepath.Glob("../../../testdata/pcaps/" + pattern)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 100 {
		tb.Fatalf("%d captures", len(all))
	}
	return all
}

// variants are the ways to make a plan.
func variants(r *recording) map[string]plan.Options {
	return map[string]plan.Options{
		"live": {Media: r.media},
		"self": {Media: r.media, Self: true},
		"cut":  {Media: r.media, Cut: true},
	}
}

func TestPlansOfCaptures(t *testing.T) {
	t.Parallel()
	for _, path := range captures(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			r := load(t, path)
			for name, o := range variants(r) {
				p, err := r.plan(t, o)
				if errors.Is(err, plan.ErrNothing) {
					t.Logf("%s: %v", name, err)
					continue
				}
				if err != nil {
					t.Fatal(name, err)
				}
				invariants(t, name, r, p)
			}
		})
	}
}

func TestPlansOfScenarios(t *testing.T) {
	t.Parallel()
	flows, err := scenario.Textbook()
	if err != nil {
		t.Fatal(err)
	}
	if len(flows) < 50 {
		t.Fatalf("%d flows", len(flows))
	}
	for _, flow := range flows {
		t.Run(flow.Name, func(t *testing.T) {
			t.Parallel()
			r := play(t, flow)
			for name, o := range variants(r) {
				p, err := r.plan(t, o)
				if err != nil {
					t.Fatal(name, err)
				}
				invariants(t, name, r, p)
				if p.Counts.Unplayable+p.Counts.Duplicates > 0 {
					t.Errorf("%s: %+v", name, p.Counts)
				}
			}
		})
	}
}

// invariants hold for every plan.
func invariants(t *testing.T, name string, r *recording, p *plan.Plan) {
	t.Helper()
	if err := p.Validate(); err != nil {
		t.Error(name, err)
	}
	c := p.Counts
	if sum := c.Steps + c.Retransmissions + c.Duplicates + c.Left + c.Cut + c.Unplayable; sum != c.Messages {
		t.Errorf("%s: %d messages, but the parts make %d: %+v", name, c.Messages, sum, c)
	}
	total := 0
	for i := range r.calls {
		total += len(r.calls[i].Messages)
	}
	if c.Messages != total {
		t.Errorf("%s: %d messages of %d", name, c.Messages, total)
	}
	steps(t, name, r, p)
	parts(t, name, p)
	roundTrip(t, name, p)
	var b bytes.Buffer
	if err := p.WriteText(&b); err != nil {
		t.Error(name, err)
	}
	if i := strings.IndexFunc(b.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }); i >= 0 {
		t.Errorf("%s: the text holds a control character: %q", name, b.String()[i:])
	}
}

// steps: each recorded message is in one step at most, byte for byte; causes come before.
func steps(t *testing.T, name string, r *recording, p *plan.Plan) {
	t.Helper()
	texts := map[string]int{}
	for _, b := range r.texts {
		texts[string(b)]++
	}
	recorded := 0
	for i, s := range p.Steps {
		if s.ID != i+1 {
			t.Errorf("%s: step %d has id %d", name, i+1, s.ID)
		}
		latest := int64(0)
		for j, id := range s.After {
			if id >= s.ID || id < 1 || j > 0 && id <= s.After[j-1] {
				t.Errorf("%s: step %d waits for %v", name, s.ID, s.After)
				continue
			}
			latest = p.Steps[id-1].At
		}
		if s.Gap != s.At-latest || s.Gap < 0 {
			t.Errorf("%s: step %d: gap %d, at %d, its cause at %d", name, s.ID, s.Gap, s.At, latest)
		}
		if s.Made || s.Kind == plan.Media {
			continue
		}
		recorded++
		if !strings.Contains(s.Why, "cut out") {
			if texts[string(s.Message)] == 0 {
				t.Errorf("%s: step %d is not as recorded", name, s.ID)
			}
			texts[string(s.Message)]--
		}
	}
	if recorded != p.Counts.Steps {
		t.Errorf("%s: %d steps, counted %d", name, recorded, p.Counts.Steps)
	}
}

// parts: who is live, and who is played.
func parts(t *testing.T, name string, p *plan.Plan) {
	t.Helper()
	live, ok := p.LiveHost()
	if ok != (name != "self") || ok && live.Why == "" {
		t.Errorf("%s: live %v", name, live)
	}
	for _, s := range p.Steps {
		if name == "self" && s.Kind == plan.Expect {
			t.Errorf("self: step %d expects", s.ID)
		}
	}
	for _, h := range p.Hosts {
		if h.Part == plan.Left && h.Why == "" {
			t.Errorf("%s: %s is left, but not why", name, h.Name)
		}
	}
}

// roundTrip: what is written is read back, twice the same.
func roundTrip(t *testing.T, name string, p *plan.Plan) {
	t.Helper()
	var first, second bytes.Buffer
	if err := p.WriteYAML(&first); err != nil {
		t.Error(name, err)
		return
	}
	back, err := plan.Read(bytes.NewReader(first.Bytes()), "test.yaml")
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, around(first.String(), err))
		return
	}
	if want := withoutPackets(p); !reflect.DeepEqual(want, back) {
		t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(want, back, addresses))
	}
	if err := back.WriteYAML(&second); err != nil || second.String() != first.String() {
		t.Errorf("%s: written again it differs: %v\n%s", name, err, cmp.Diff(first.String(), second.String()))
	}
	if len(p.Media) == 0 {
		return
	}
	var packets bytes.Buffer
	if err := p.WriteMedia(&packets); err != nil {
		t.Error(name, err)
	}
	if err := back.ReadMedia(&packets, "test.pcapng"); err != nil {
		t.Error(name, err)
	}
	if interleaved(p) {
		return
	}
	if !reflect.DeepEqual(p, back) {
		t.Errorf("%s: media (-want +got):\n%s", name, cmp.Diff(p, back, addresses))
	}
}

// addresses compare as what they are.
var addresses = cmp.Comparer(func(a, b interface{ String() string }) bool { return a == b })

// interleaved reports whether one source's packets belong to several streams in turns: then a file cannot tell them apart.
func interleaved(p *plan.Plan) bool {
	for i := range p.Media {
		for j := range p.Media[:i] {
			a, b := &p.Media[i], &p.Media[j]
			if a.Src != b.Src || a.Dst != b.Dst || a.SSRC != b.SSRC || len(a.Packets) == 0 || len(b.Packets) == 0 {
				continue
			}
			if a.First > b.First {
				a, b = b, a
			}
			if a.Packets[len(a.Packets)-1].Offset >= b.First {
				return true
			}
		}
	}
	return false
}

func withoutPackets(p *plan.Plan) *plan.Plan {
	q := *p
	q.Media = slices.Clone(p.Media)
	for i := range q.Media {
		q.Media[i].Packets = nil
	}
	return &q
}

// around gives the lines near an error.
func around(file string, err error) string {
	var f *plan.FileError
	if !errors.As(err, &f) {
		return ""
	}
	lines := strings.Split(file, "\n")
	return strings.Join(lines[max(0, f.Line-6):min(len(lines), f.Line+5)], "\n")
}
