package html

import (
	"cmp"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/render/html/chart"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// Overview is the first view of a page: key figures, charts, tables. Its texts are clean.
type Overview struct {
	Keys   [][2]string // figure, what it is
	Charts []chart.Chart
	Tables []Table
}

// Table is a list of names and values.
type Table struct {
	Title string
	Rows  [][2]string
}

// NewOverview makes the overview of a run. calls has seen every call.
func NewOverview(r *stats.Result, calls *chart.Calls) (Overview, error) {
	charts, err := chart.All(r, calls)
	if err != nil {
		return Overview{}, fmt.Errorf("charts of the overview: %w", err)
	}
	o := Overview{Keys: keys(r), Charts: charts}
	w := english()
	o.table(w.get("overview.capture"), captureRows(r))
	o.table(w.get("overview.accounting"), accountingRows(r))
	o.table(w.get("overview.losses"), lossRows(r))
	o.table(w.get("overview.media"), mediaRows(r.RTP))
	o.table(w.get("overview.agents"), rankedRows(r.UserAgents))
	o.table(w.get("overview.servers"), rankedRows(r.Servers))
	return o, nil
}

func (o *Overview) table(title string, rows [][2]string) {
	if len(rows) > 0 {
		o.Tables = append(o.Tables, Table{Title: title, Rows: rows})
	}
}

func keys(r *stats.Result) [][2]string {
	w := english()
	k := [][2]string{
		{thousands(r.Packets), w.get("key.packets")},
		{thousands(r.SIPMessages), w.get("key.messages")},
		{thousands(calls(r)), w.get("key.calls")},
	}
	if r.Attempts.ASR != nil {
		k = append(k, [2]string{fmt.Sprintf("%.1f %%", *r.Attempts.ASR), w.get("key.answered")})
	}
	if n := r.States.Invite["failed"] + r.States.Invite["timed_out"]; r.Attempts.Calls > 0 {
		k = append(k, [2]string{thousands(n), w.get("key.failed")})
	}
	if r.PDD != nil {
		k = append(k, [2]string{milliseconds(r.PDD.P50), w.get("key.pdd")})
	}
	if r.Setup != nil {
		k = append(k, [2]string{milliseconds(r.Setup.P50), w.get("key.setup")})
	}
	return k
}

func calls(r *stats.Result) (n uint64) {
	for _, m := range []map[string]uint64{r.States.Invite, r.States.Other} {
		for _, c := range m {
			n += c
		}
	}
	return n
}

func milliseconds(ms float64) string { return ladder.Duration(int64(ms * float64(time.Millisecond))) }

// thousands writes a number in groups of three digits.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func captureRows(r *stats.Result) [][2]string {
	var rows [][2]string
	add := func(name, format string, args ...any) {
		rows = append(rows, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if !r.First.IsZero() {
		add("First message", "%s", r.First.Format("2006-01-02 15:04:05.000000 UTC"))
		add("Last message", "%s", r.Last.Format("2006-01-02 15:04:05.000000 UTC"))
		add("Span", "%s", ladder.Duration(int64(r.Seconds*1e9)))
	}
	add("SIP messages", "%s, at most %s a second", thousands(r.SIPMessages), thousands(r.MessagesPeak))
	add("Call-IDs", "%s", thousands(r.CallIDs))
	if r.Attempts.Calls > 0 {
		add("INVITE calls", "%s, at most %s a second, %s at once",
			thousands(r.Attempts.Calls), thousands(r.CallsPeak), thousands(r.ActivePeak))
	}
	if r.Attempts.NER != nil {
		add("Network effectiveness (NER)", "%.1f %%", *r.Attempts.NER)
	}
	add("Dialogs", "%s confirmed, %s early", thousands(r.InviteDialogs.Confirmed), thousands(r.InviteDialogs.EarlySeen))
	add("Retransmissions", "%s (%.2f %%)", thousands(r.Retransmitted), r.Retransmit*100)
	for _, d := range []struct {
		name string
		dist *stats.Distribution
	}{{"Post-dial delay", r.PDD}, {"Setup time", r.Setup}, {"Talk time", r.Duration}} {
		if d.dist != nil {
			add(d.name, "p50 %s · p90 %s · p99 %s · max %s (%s calls)", milliseconds(d.dist.P50),
				milliseconds(d.dist.P90), milliseconds(d.dist.P99), milliseconds(d.dist.Max), thousands(d.dist.Count))
		}
	}
	return rows
}

// mediaRows sums the RTP streams up; nil for a capture without.
func mediaRows(r *stats.RTP) [][2]string {
	if r == nil {
		return nil
	}
	rows := [][2]string{
		{"RTP streams", thousands(r.Streams)},
		{"RTP packets", thousands(r.Packets)},
		{"RTCP packets", thousands(r.Control)},
		{"Packets that never came", fmt.Sprintf("%s (%.2f %%)", thousands(r.Missing), r.LossPercent)},
		{"Duplicated, out of order", thousands(r.Duplicates) + ", " + thousands(r.Reordered)},
	}
	for _, d := range []struct {
		name, unit string
		dist       *stats.Distribution
	}{{"Loss of a stream", " %", r.Loss}, {"Largest jitter of a stream", " ms", r.Jitter}, {"MOS of a stream, estimated", "", r.MOS}} {
		if d.dist != nil {
			rows = append(rows, [2]string{d.name, fmt.Sprintf("p50 %.2f%s · p90 %.2f%s · p99 %.2f%s · max %.2f%s", d.dist.P50, d.unit,
				d.dist.P90, d.unit, d.dist.P99, d.unit, d.dist.Max, d.unit)})
		}
	}
	for _, row := range countRows(r.Codecs, "streams with ") {
		if len(rows) < maxMediaRows {
			rows = append(rows, row)
		}
	}
	return rows
}

// maxMediaRows bounds the codecs listed: names are the wire's.
const maxMediaRows = 20

// accountingRows says what became of every packet: the rows behind the first add up to it (law 2).
func accountingRows(r *stats.Result) [][2]string {
	rows := [][2]string{{"packets read", thousands(r.Packets)}}
	rows = append(rows, countRows(r.Outcomes, "")...)
	return append(rows, countRows(r.Malformed, "malformed: ")...)
}

func lossRows(r *stats.Result) [][2]string {
	var rows [][2]string
	for i, x := range r.Losses() {
		rows = append(rows, [2]string{x.What, thousands(x.N)})
		if i == 0 && r.Limited.EvictedCalls > 0 { // it stands first
			rows = append(rows, [2]string{"messages that went with them", thousands(r.Limited.EvictedMessages)})
		}
	}
	return rows
}

// countRows lists counts, the highest first.
func countRows(m map[string]uint64, prefix string) [][2]string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	rows := make([][2]string, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, [2]string{prefix + text.Clean(strings.ReplaceAll(k, "_", " ")), thousands(m[k])})
	}
	return rows
}

func rankedRows(list []stats.Ranked) [][2]string {
	rows := make([][2]string, 0, len(list))
	for _, r := range list {
		rows = append(rows, [2]string{text.Clean(r.Name), thousands(r.Count)})
	}
	return rows
}

type overviewJSON struct {
	Keys   [][2]string `json:"keys"`
	Charts []chartJSON `json:"charts"`
	Tables []tableJSON `json:"tables"`
}

type tableJSON struct {
	Title string      `json:"title"`
	Rows  [][2]string `json:"rows"`
}

type chartJSON struct {
	ID      string          `json:"id"`
	Title   string          `json:"title"`
	About   string          `json:"about"`
	Option  json.RawMessage `json:"option"`
	Height  int             `json:"height"`
	Columns []string        `json:"columns"`
	Rows    [][]string      `json:"rows"`
	Numeric []bool          `json:"numeric"`
}

// AppendJSON appends the overview as a live page fetches it; assets/overview.js reads it.
func (o *Overview) AppendJSON(dst []byte) ([]byte, error) {
	j := overviewJSON{Keys: o.Keys, Charts: []chartJSON{}, Tables: []tableJSON{}}
	for i := range o.Charts {
		j.Charts = append(j.Charts, chartJSON(o.Charts[i]))
	}
	for _, t := range o.Tables {
		j.Tables = append(j.Tables, tableJSON(t))
	}
	b, err := json.Marshal(&j)
	return append(dst, b...), err
}

// options gives the charts' options by id, for the script of a report.
func (o *Overview) options() ([]byte, error) {
	all := make(map[string]json.RawMessage, len(o.Charts))
	for i := range o.Charts {
		all[o.Charts[i].ID] = o.Charts[i].Option
	}
	return json.Marshal(all)
}

// OverviewOf is NewOverview for calls that nobody has counted yet.
func OverviewOf(r *stats.Result, calls iter.Seq[*correlate.Summary]) (Overview, error) {
	var c chart.Calls
	for s := range calls {
		c.Add(s)
	}
	return NewOverview(r, &c)
}
