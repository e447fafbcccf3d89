package chart_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/render/html/chart"
)

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		captures []string
	}{
		{"two-proxies", []string{"two-proxies.pcap"}},
		{"mixed", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetIndent("", " ")
			if err := enc.Encode(ofCaptures(t, tt.captures...)); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "golden", tt.name+".json")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("UPDATE_GOLDEN=1 writes %s again (-want +got)\n%s", path, diff)
			}
		})
	}
}

func TestNothingToShow(t *testing.T) {
	t.Parallel()
	for _, charts := range [][]chart.Chart{
		all(t, nil, nil), all(t, new(stats.Result), new(chart.Calls)),
		all(t, &stats.Result{
			Requests: map[string]uint64{"INVITE": 0}, Transports: map[string]uint64{"UDP": 7}, Responses: map[string]uint64{},
		}, nil),
	} {
		if len(charts) > 0 {
			t.Errorf("%d charts of nothing, the first is %s", len(charts), charts[0].ID)
		}
	}
}

// TestOnlyOverflow is a capture whose every request has a method that the collector had no room for.
func TestOnlyOverflow(t *testing.T) {
	t.Parallel()
	charts := all(t, &stats.Result{Overflow: stats.Overflow{Methods: 1000, Statuses: 1}}, nil)
	if len(charts) != 2 {
		t.Fatalf("%d charts, want responses and methods", len(charts))
	}
	for _, c := range charts {
		check(t, c)
		if len(c.Rows) != 1 || c.Rows[0][0] != "others" {
			t.Errorf("%s: rows %q, want one of others", c.ID, c.Rows)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	var ids []string
	for _, c := range busy(t) {
		check(t, c)
		ids = append(ids, c.ID)
	}
	want := []string{
		"calls-over-time", "call-states", "other-states", "post-dial-delay", "setup-time", "hosts", "responses", "methods",
		"transports",
	}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSame builds the same charts many times: maps must not show.
func TestSame(t *testing.T) {
	t.Parallel()
	r, calls := figures(t)
	first := all(t, r, calls)
	for range 20 {
		if diff := cmp.Diff(first, all(t, r, calls)); diff != "" {
			t.Fatalf("(-first +later)\n%s", diff)
		}
	}
	if diff := cmp.Diff(hostile(t), hostile(t)); diff != "" {
		t.Fatalf("(-first +later)\n%s", diff)
	}
}

// TestSums compares the tables with the figures that they are of.
func TestSums(t *testing.T) {
	t.Parallel()
	r, calls := figures(t)
	want := map[string]uint64{
		"calls-over-time": total(r.States.Invite) + total(r.States.Other),
		"call-states":     total(r.States.Invite), "other-states": total(r.States.Other),
		"responses": total(r.Responses), "methods": total(r.Requests), "transports": total(r.Transports),
		"post-dial-delay": r.PDD.Count, "setup-time": r.Setup.Count,
	}
	got := map[string]uint64{}
	for _, c := range all(t, r, calls) {
		check(t, c)
		if c.ID != "hosts" {
			got[c.ID] = column(t, c, slices.Index(c.Numeric, true))
		}
	}
	loss, mos, jitter := got["media-loss"], got["mos"], got["media-jitter"]
	if mos == 0 || jitter == 0 || mos > loss || jitter > loss || loss > got["call-states"] {
		t.Errorf("%d calls with media, %d with a MOS, %d with jitter", loss, mos, jitter)
	}
	for _, id := range []string{"media-loss", "mos", "media-jitter"} {
		delete(got, id)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	charts := hostile(t)
	if len(charts) != 9 {
		t.Errorf("%d charts, want all 9", len(charts))
	}
	for _, c := range charts {
		check(t, c)
	}
	// What the page cannot show is shown in writing; nothing is lost.
	for _, c := range charts {
		if c.ID != "call-states" {
			continue
		}
		var names []string
		for _, r := range c.Rows {
			names = append(names, r[0])
		}
		for _, want := range []string{
			`</script><script>throw 1</script>`, "{a}{b}{c}", `line\nend\r\n`, `u\u2028v\u2029w`, "(empty)", `\x1b]0;x\x07`,
		} {
			if !slices.Contains(names, want) {
				t.Errorf("%q is not in the table: %q", want, names)
			}
		}
	}
}

// check holds what is true of every chart.
func check(t *testing.T, c chart.Chart) {
	t.Helper()
	if !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(c.ID) || c.Title == "" || c.About == "" || c.Height < 30 {
		t.Errorf("chart %q: title %q, about %q, height %d", c.ID, c.Title, c.About, c.Height)
	}
	if len(c.Rows) == 0 || len(c.Columns) != len(c.Numeric) || len(c.Rows) > 100 {
		t.Errorf("%s: %d rows, %d columns, %d said to be numeric or not", c.ID, len(c.Rows), len(c.Columns), len(c.Numeric))
	}
	for _, r := range c.Rows {
		if len(r) != len(c.Columns) {
			t.Errorf("%s: row %q has %d cells, want %d", c.ID, r, len(r), len(c.Columns))
		}
	}
	for _, s := range append(slices.Concat(c.Rows...), c.Title, c.About) {
		clean(t, c.ID, s)
	}
	for _, bad := range []string{"<", ">", "&", "\u2028", "\u2029", "\n"} {
		if bytes.Contains(c.Option, []byte(bad)) {
			t.Errorf("%s: the option holds %q", c.ID, bad)
		}
	}
	var option map[string]any
	if err := json.Unmarshal(c.Option, &option); err != nil {
		t.Fatalf("%s: %v", c.ID, err)
	}
	keys := slices.Sorted(maps.Keys(option))
	want := []string{"animation", "aria", "color", "grid", "series", "tooltip", "xAxis", "yAxis"}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Errorf("%s: options (-want +got)\n%s", c.ID, diff)
	}
	if option["animation"] != false || !cmp.Equal(option["aria"], map[string]any{"enabled": false}) {
		t.Errorf("%s: animation %v, aria %v", c.ID, option["animation"], option["aria"])
	}
	if tip, _ := option["tooltip"].(map[string]any); tip["renderMode"] != "richText" {
		t.Errorf("%s: tooltip %v", c.ID, tip)
	}
	walk(t, c.ID, "", option)
}

func clean(t *testing.T, id, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("%s: text %q is not UTF-8", id, s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) {
			t.Errorf("%s: text %q holds %q", id, s, r)
		}
	}
}

// The texts with braces are ours, and stand in the legend.
var legendText = regexp.MustCompile(`^\{mark\|■\} (Succeeded|In progress|Refused|Failed)$`)

// walk looks at each text of an option. path is its keys, without those of arrays.
func walk(t *testing.T, id, path string, v any) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if key == "formatter" || strings.HasPrefix(key, "on") && key != "onZero" || key == "link" {
				t.Errorf("%s: %s.%s: %v", id, path, key, e)
			}
			walk(t, id, path+"."+key, e)
		}
	case []any:
		for _, e := range v {
			walk(t, id, path, e)
		}
	case string:
		data := path == ".xAxis.data" || path == ".yAxis.data"
		legend := path == ".xAxis.data.value" && legendText.MatchString(v)
		if strings.ContainsAny(v, "{}") && !legend {
			t.Errorf("%s: %s is %q, which ECharts may read as a template", id, path, v)
		}
		if utf8.RuneCountInString(v) > 28 {
			t.Errorf("%s: %s is %q, too long", id, path, v)
		}
		if strings.Contains(v, "__f__") && !data {
			t.Errorf("%s: %s is %q", id, path, v)
		}
	}
}

func total(m map[string]uint64) (n uint64) {
	for _, v := range m {
		n += v
	}
	return n
}

// column adds the numbers of a column.
func column(t *testing.T, c chart.Chart, i int) (n uint64) {
	t.Helper()
	for _, r := range c.Rows {
		v, err := strconv.ParseUint(strings.ReplaceAll(r[i], ",", ""), 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", c.ID, err)
		}
		n += v
	}
	return n
}

func TestScript(t *testing.T) {
	t.Parallel()
	script, readme := chart.Script(), mustRead(t, "echarts/README.md")
	hash := sha256.Sum256(script)
	if sum := hex.EncodeToString(hash[:]); !strings.Contains(readme, "`"+sum+"`") {
		t.Errorf("echarts/README.md does not have the sha256 of the script, %s", sum)
	}
	const version = "5.6.0"
	if !bytes.Contains(script, []byte(`version="`+version+`"`)) ||
		!strings.Contains(readme, "| version | "+version+" |") || !strings.Contains(chart.Licence(), version) {
		t.Errorf("script, README and licence do not all say version %s", version)
	}
	for _, bad := range []string{"</script", "<script", "<!--", "]]>", "http-equiv", "import(", "eval("} {
		if bytes.Contains(bytes.ToLower(script), []byte(bad)) {
			t.Errorf("the script holds %q", bad)
		}
	}
	if !utf8.Valid(script) || bytes.ContainsRune(script, 0) {
		t.Error("the script is not UTF-8, or holds a NUL")
	}
	for _, file := range []string{"LICENSE", "NOTICE", "LICENSE-d3", "LICENSE-zrender"} {
		if mustRead(t, "echarts/"+file) == "" || !strings.Contains(readme, "`"+file+"`") {
			t.Errorf("%s is empty or not in the README", file)
		}
	}
	for _, want := range []string{
		"Apache License 2.0", "Copyright 2017-2024 The Apache Software Foundation", "BSD 3-Clause",
	} {
		if !strings.Contains(chart.Licence(), want) {
			t.Errorf("licence does not say %q:\n%s", want, chart.Licence())
		}
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// FuzzAll builds charts of random figures with a stranger's name in every place.
func FuzzAll(f *testing.F) {
	for i, name := range hostileNames() {
		f.Add(uint64(i), name, int64(1_800_000_000e9), int64(i)*148e6, uint16(100*i))
	}
	f.Fuzz(func(t *testing.T, seed uint64, name string, at, delay int64, n uint16) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var calls chart.Calls
		var s stats.Collector
		invites, states := uint64(0), correlate.States()
		for i := range uint64(n % 500) {
			c := correlate.Summary{
				Num: uint32(i + 1), Method: []string{"INVITE", name, "OPTIONS"}[rnd.IntN(3)], State: states[rnd.IntN(len(states))],
				First: at, PDD: delay, Setup: delay * 2, Duration: -1, UserAgent: name,
			}
			if i%2 == 1 {
				c.First = rnd.Int64() >> rnd.IntN(64)
				c.PDD = rnd.Int64() >> rnd.IntN(64)
			}
			c.Last = c.First
			if c.Method == "INVITE" {
				invites++
			}
			calls.Add(&c)
			s.Call(&c)
		}
		r := s.Result(stats.Totals{})
		r.Requests = map[string]uint64{name: seed >> 8, "x" + name: 1, name + "y": uint64(n)}
		r.Responses = map[string]uint64{name: seed >> 9, strconv.Itoa(int(n)): 1, "200": uint64(n)}
		r.Transports = map[string]uint64{name: 1, "UDP": seed >> 10}
		r.Hosts = []stats.Ranked{{Name: name, Count: seed}, {Name: name + name, Count: 1}}
		for i := range n % 40 {
			r.Requests[name+strconv.Itoa(int(i))] = uint64(i)
			r.Responses[strconv.Itoa(100+rnd.IntN(700))] = uint64(i)
		}
		want := map[string]uint64{
			"calls-over-time": uint64(n % 500), "call-states": invites, "other-states": uint64(n%500) - invites,
			"methods": total(r.Requests), "responses": total(r.Responses), "transports": total(r.Transports),
		}
		got := map[string]uint64{}
		for _, c := range all(t, &r, &calls) {
			check(t, c)
			if _, known := want[c.ID]; known {
				got[c.ID] = column(t, c, slices.Index(c.Numeric, true))
			}
		}
		for id, n := range want {
			if n > 0 && got[id] != n && (id != "transports" || got[id] > 0) {
				t.Errorf("the table of %s adds up to %d, want %d", id, got[id], n)
			}
		}
	})
}

func ExampleAll() {
	var calls chart.Calls
	calls.Add(&correlate.Summary{Method: "INVITE", State: correlate.StateCompleted, PDD: 148e6, Setup: 1050e6})
	charts, err := chart.All(&stats.Result{States: stats.States{Invite: map[string]uint64{"completed": 1}}}, &calls)
	if err != nil {
		fmt.Println(err)
	}
	for _, c := range charts {
		fmt.Println(c.ID, c.Rows[0][:2])
	}
	// Output:
	// calls-over-time [1970-01-01 00:00:00 1]
	// call-states [completed 1]
	// post-dial-delay [100–200 ms 1]
	// setup-time [1–2 s 1]
}
