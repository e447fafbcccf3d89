package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"sipscope/element/replay"
	"sipscope/element/replay/many"
	"sipscope/element/ua/load"
	"sipscope/render/export"
	"sipscope/render/pair"
	"sipscope/render/save"
	"sipscope/render/text"
)

// reportFormat is the format of a file by its ending; "" for none.
func reportFormat(path string) string {
	return map[string]string{
		".html": "html", ".htm": "html", ".json": "json", ".xml": "junit", ".txt": "text",
	}[strings.ToLower(filepath.Ext(path))]
}

// maxPage is how large a page of results may be, bytes.
const maxPage = 25 << 20

// result is what is told of a replay, in any format.
type result struct {
	report  *pair.Report
	outcome *replay.Outcome // of one play
	load    *many.Report    // of many
	found   *many.Found     // of a search
	plan    string
}

// write tells of one play on standard output, or in the terminal UI, and in the file of --report.
func (r *replaying) write(ctx context.Context, report *pair.Report, o *replay.Outcome) error {
	res := &result{report: report, outcome: o, plan: r.plan.Title}
	if err := r.writeReport(ctx, res); err != nil {
		return err
	}
	if r.c.tui {
		return openPair(ctx, report)
	}
	return r.print(res)
}

// writeMany tells of many plays.
func (r *replaying) writeMany(ctx context.Context, report *pair.Report) error {
	res := &result{report: report, plan: r.plan.Title}
	if r.finder != nil {
		found := r.finder.Found()
		res.found = &found
	} else {
		p := r.load.Report()
		res.load = &p
	}
	if err := r.writeReport(ctx, res); err != nil {
		return err
	}
	return r.print(res)
}

// print writes to standard output.
func (r *replaying) print(res *result) error {
	c := r.c
	color, err := useColor(c.color, c.out())
	if err != nil {
		return err
	}
	o := pair.TextOptions{Width: c.width, ASCII: c.ascii, Color: color}
	if o.Width == 0 {
		o.Width = c.terminalWidth()
	}
	if o.Width == 0 {
		o.Width = plainWidth
	}
	out := bufio.NewWriter(c.out())
	if err := res.write(out, c.show, r.rules.Strict, o); err != nil {
		return err
	}
	return out.Flush()
}

// writeReport writes the file of --report.
func (r *replaying) writeReport(ctx context.Context, res *result) error {
	path := r.c.report
	if path == "" {
		return nil
	}
	o := pair.TextOptions{Width: cmpWidth(r.c.width), ASCII: r.c.ascii}
	ctx = context.WithoutCancel(ctx) // what was interrupted is told, too
	err := save.File(ctx, path, true, nil, func(w io.Writer) error {
		return res.write(w, reportFormat(path), r.rules.Strict, o)
	})
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	r.c.say("report written to %s", path)
	return nil
}

func cmpWidth(w int) int {
	if w == 0 {
		return plainWidth
	}
	return w
}

// write writes a result in a format.
func (res *result) write(w io.Writer, format string, strict bool, o pair.TextOptions) error {
	switch format {
	case "json":
		return res.json(w)
	case "junit":
		if res.outcome != nil {
			return res.report.WriteJUnit(w, strict)
		}
		return res.junit(w)
	case "html":
		page := *res.report
		if figures := res.figures(); figures != "" {
			page.Notes = append(strings.Split(strings.TrimRight(figures, "\n"), "\n"), page.Notes...)
		}
		return page.WriteHTML(w, maxPage)
	default:
		if _, err := io.WriteString(w, res.figures()); err != nil {
			return err
		}
		if res.outcome == nil && len(res.report.Pairs) == 0 {
			return writeNotes(w, res.report.Notes)
		}
		if res.outcome == nil {
			if _, err := fmt.Fprintf(w, "\nThe first that went otherwise:\n\n"); err != nil {
				return err
			}
		}
		return res.report.WriteText(w, o)
	}
}

func writeNotes(w io.Writer, notes []string) error {
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, oneLine(n)); err != nil {
			return err
		}
	}
	return nil
}

// figures are those of many plays, for a person.
func (res *result) figures() string {
	switch {
	case res.load != nil:
		return manyText(res.load)
	case res.found != nil:
		return foundText(res.found)
	}
	return ""
}

// times are the response times of plays, by name.
func times(r *many.Report) []namedTimes {
	return []namedTimes{
		{"first response", "first", &r.First},
		{"ringing", "ring", &r.Ring},
		{"answer", "answer", &r.Answer},
		{"whole", "whole", &r.Whole},
		{"began late", "delay", &r.Delay},
		{"loop lag", "lag", &r.Lag},
	}
}

type namedTimes struct {
	name, key string
	h         *load.Histogram
}

// manyText writes the figures of many plays.
func manyText(r *many.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d plays in %s, %.1f of %.5g a second, at most %d at a time: %d clean", r.Ended,
		r.Lasted().Round(time.Millisecond), r.Rate(), r.Asked, r.Peak, r.Clean)
	for _, part := range [...]struct {
		n    uint64
		text string
	}{
		{r.Diverged, "diverged"},
		{r.Failed, "failed"},
		{r.Stopped, "were stopped"},
		{r.Late, "waited for a place"},
		{r.Retransmissions, "messages sent again"},
	} {
		if part.n > 0 {
			fmt.Fprintf(&b, ", %d %s", part.n, part.text)
		}
	}
	if r.Why != "" {
		fmt.Fprintf(&b, "\nno further play was begun: %s", r.Why)
	}
	b.WriteString("\n\n                  median       p90       p99     p99.9       max\n")
	for _, row := range times(r) {
		if row.h.N() == 0 {
			continue
		}
		fmt.Fprintf(&b, "%-15s", row.name)
		for _, p := range [...]float64{50, 90, 99, 99.9, 100} {
			fmt.Fprintf(&b, " %9s", brief(row.h.Percentile(p)))
		}
		b.WriteByte('\n')
	}
	writeDivergences(&b, r.Divergences)
	limit, reasons := r.Limit()
	b.WriteString("\n" + limitText(limit, reasons) + "\n")
	return b.String()
}

// shownRows is how many rows of the table a person is shown.
const shownRows = 20

func writeDivergences(b *strings.Builder, rows []many.Divergence) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n   plays  what went otherwise\n")
	for i, d := range rows {
		if i == shownRows {
			fmt.Fprintf(b, "%9s %d more rows: --format json has them\n", "", len(rows)-i)
			break
		}
		what := d.Reason
		if d.Failed {
			what = "could not be played: " + what
		}
		fmt.Fprintf(b, "%8d  %s", d.Count, text.Clean(what))
		if d.Example != "" {
			fmt.Fprintf(b, " (Call-ID %s)", text.Clean(d.Example))
		}
		b.WriteByte('\n')
	}
}

// limitText says who was the limit.
func limitText(limit many.Limit, reasons []string) string {
	what := map[many.Limit]string{
		many.LimitNone:      "no limit was met",
		many.LimitGenerator: "limit: this side, the generator",
		many.LimitServer:    "limit: the server",
		many.LimitUnclear:   "limit: unclear",
	}[limit]
	return text.Clean(what + ": " + strings.Join(reasons, "; "))
}

// foundText writes what a search found.
func foundText(f *many.Found) string {
	var b strings.Builder
	if f.Best > 0 {
		fmt.Fprintf(&b, "highest clean rate: %.5g plays a second, confirmed %d times (%s)\n", f.Best, f.Confirmed, text.Clean(f.Why))
	} else {
		fmt.Fprintf(&b, "no clean rate was found (%s)\n", text.Clean(f.Why))
	}
	b.WriteString("\n    rate    plays   clean  sent again  answer p50       p99  loop lag p99\n")
	for i := range f.Trials {
		t := &f.Trials[i]
		fmt.Fprintf(&b, "%8.5g %8d %7d %11d %11s %9s %13s", t.Rate, t.Started, t.Clean, t.Retransmissions, brief(t.Answer.Percentile(50)),
			brief(t.Answer.Percentile(99)), brief(t.Lag.Percentile(99)))
		if !t.OK {
			b.WriteString("  " + text.Clean(t.Why))
		}
		b.WriteByte('\n')
	}
	b.WriteString("\n" + limitText(f.Limit, f.Reasons) + "\n")
	return b.String()
}

// The JSON of a replay; docs/replay.md is its contract.
type (
	jsonReplay struct {
		Plan       string          `json:"plan"`
		Play       *jsonPlay       `json:"play,omitempty"`
		Load       *jsonMany       `json:"load,omitempty"`
		Search     *jsonFound      `json:"search,omitempty"`
		Comparison json.RawMessage `json:"comparison"`
	}
	jsonPlay struct {
		Verdict         string            `json:"verdict"`
		Step            int               `json:"step"`
		Reason          string            `json:"reason"`
		Seconds         float64           `json:"seconds"`
		CallIDs         map[string]string `json:"call_ids"`
		Retransmissions int               `json:"retransmissions"`
		Notes           []string          `json:"notes"`
	}
	jsonMany struct {
		Asked           float64              `json:"asked_rate"`
		Rate            float64              `json:"rate"`
		Started         uint64               `json:"started"`
		Clean           uint64               `json:"clean"`
		Diverged        uint64               `json:"diverged"`
		Failed          uint64               `json:"failed"`
		Stopped         uint64               `json:"stopped"`
		Waited          uint64               `json:"waited"`
		Retransmissions uint64               `json:"retransmissions"`
		Peak            int                  `json:"peak"`
		Seconds         float64              `json:"seconds"`
		Why             string               `json:"why,omitempty"`
		Times           map[string]jsonTimes `json:"times"`
		Divergences     []jsonDivergence     `json:"divergences"`
		Limit           string               `json:"limit"`
		Reasons         []string             `json:"reasons"`
		KernelDrops     uint64               `json:"kernel_drops"`
		SendErrors      uint64               `json:"send_errors"`
		CPU             float64              `json:"cpu_share"`
	}
	jsonTimes struct {
		Count uint64  `json:"count"`
		P50   float64 `json:"p50_ms"`
		P90   float64 `json:"p90_ms"`
		P99   float64 `json:"p99_ms"`
		P999  float64 `json:"p999_ms"`
		Max   float64 `json:"max_ms"`
	}
	jsonDivergence struct {
		Step    int    `json:"step"`
		Reason  string `json:"reason"`
		Count   uint64 `json:"count"`
		Failed  bool   `json:"failed"`
		Example string `json:"call_id,omitempty"`
	}
	jsonFound struct {
		Best      float64     `json:"best_rate"`
		Confirmed int         `json:"confirmed"`
		Why       string      `json:"why"`
		Limit     string      `json:"limit"`
		Reasons   []string    `json:"reasons"`
		Trials    []jsonTrial `json:"trials"`
	}
	jsonTrial struct {
		OK  bool   `json:"ok"`
		Why string `json:"why_not,omitempty"`
		jsonMany
	}
)

// json writes one document.
func (res *result) json(w io.Writer) error {
	var comparison bytes.Buffer
	if err := res.report.WriteJSON(&comparison); err != nil {
		return err
	}
	out := jsonReplay{Plan: res.plan, Comparison: bytes.TrimSpace(comparison.Bytes())}
	if o := res.outcome; o != nil {
		out.Play = &jsonPlay{
			Verdict: o.Verdict.String(), Step: o.Step, Reason: o.Reason, Seconds: float64(o.Ended-o.Began) / 1e9,
			CallIDs: o.CallIDs, Retransmissions: o.Retransmissions, Notes: res.report.Notes,
		}
	}
	if res.load != nil {
		m := manyJSON(res.load)
		out.Load = &m
	}
	if f := res.found; f != nil {
		out.Search = &jsonFound{Best: f.Best, Confirmed: f.Confirmed, Why: f.Why, Limit: f.Limit.String(), Reasons: f.Reasons}
		for i := range f.Trials {
			t := &f.Trials[i]
			out.Search.Trials = append(out.Search.Trials, jsonTrial{OK: t.OK, Why: t.Why, jsonMany: manyJSON(&t.Report)})
		}
	}
	return export.Encode(w, out, "")
}

func manyJSON(r *many.Report) jsonMany {
	limit, reasons := r.Limit()
	out := jsonMany{
		Asked: r.Asked, Rate: r.Rate(), Started: r.Started, Clean: r.Clean, Diverged: r.Diverged, Failed: r.Failed, Stopped: r.Stopped,
		Waited: r.Late, Retransmissions: r.Retransmissions, Peak: r.Peak, Seconds: r.Lasted().Seconds(), Why: r.Why,
		Times: map[string]jsonTimes{}, Divergences: []jsonDivergence{}, Limit: limit.String(), Reasons: reasons,
		KernelDrops: r.Health.KernelDrops, SendErrors: r.Health.SendErrors, CPU: r.CPUShare(),
	}
	for _, row := range times(r) {
		ms := func(p float64) float64 { return float64(row.h.Percentile(p)) / 1e6 }
		out.Times[row.key] = jsonTimes{row.h.N(), ms(50), ms(90), ms(99), ms(99.9), ms(100)}
	}
	for _, d := range r.Divergences {
		out.Divergences = append(out.Divergences, jsonDivergence(d))
	}
	return out
}

// The JUnit of many plays: a case of all clean ones, and one for each way in which plays went otherwise.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Time     float64     `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
		Out      string      `xml:"system-out"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// junit writes the figures of many plays as a test suite.
func (res *result) junit(w io.Writer) error {
	class := text.Clean(res.plan)
	s := junitSuite{Name: "sipscope replay", Out: res.figures()}
	add := func(name, failure, more string) {
		c := junitCase{Name: text.Clean(name), Class: class}
		if failure != "" {
			c.Failure = &junitFailure{text.Clean(failure), text.Clean(more)}
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
		s.Tests++
	}
	if f := res.found; f != nil {
		name := fmt.Sprintf("highest clean rate: %.5g plays a second", f.Best)
		if f.Best > 0 {
			add(name, "", "")
		} else {
			add(name, "no clean rate: "+f.Why, strings.Join(f.Reasons, "; "))
		}
	}
	if r := res.load; r != nil {
		s.Time = r.Lasted().Seconds()
		add(fmt.Sprintf("%d plays, %d clean", r.Started, r.Clean), "", "")
		for _, d := range r.Divergences {
			add(fmt.Sprintf("step %d", d.Step), fmt.Sprintf("%d plays: %s", d.Count, d.Reason), "for example Call-ID "+d.Example)
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
