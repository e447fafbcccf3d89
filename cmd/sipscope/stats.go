package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/decode"
	"sipscope/render/columns"
	"sipscope/render/export"
	"sipscope/render/text"
)

type statsCommand struct {
	input
	format string
}

func newStats(std stdio) *cobra.Command {
	c := &statsCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "stats FILE...",
		Short: "Figures over all calls, and what became of every packet",
		Example: `  sipscope stats trace.pcap
  sipscope stats trace.pcap --format json | jq .pdd_ms`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.format, "format", "text", "text or json")
	c.flags(f)
	return cmd
}

// statsSink counts messages as they pass.
type statsSink struct{ stats.Collector }

// Event implements correlate.Sink.
func (s *statsSink) Event(e *correlate.Event) error {
	if e.Message != nil {
		s.Message(e.Message, e.Verdict.Retransmission, e.Verdict.Duplicate)
	}
	return nil
}

func (c *statsCommand) run(cmd *cobra.Command, args []string) error {
	if err := oneOf("--format", c.format, "text", "json"); err != nil {
		return err
	}
	var sink statsSink
	a, err := c.read(cmd.Context(), cmd, args, wants{sink: &sink})
	if err != nil {
		return err
	}
	defer a.close()
	for s := range a.board.Calls() {
		sink.Call(s)
	}
	acct, limited := a.board.Accounting()
	r := sink.Result(stats.NewTotals(acct, a.board.Totals(), limited))
	r.RTP = stats.NewRTP(a.board.MediaCounts(), a.board.Streams())
	out := bufio.NewWriter(c.io.out)
	encrypted := a.board.Encrypted()
	if c.format == "json" {
		err = export.Encode(out, newStatsDocument(&r, encrypted), "  ")
	} else {
		if err = statsText(out, &r); err == nil {
			err = encryptedTable(out, encrypted, text.TableOptions{Width: c.terminalWidth()})
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return err
	}
	return a.err
}

// statsDocument is the figures and what could not be looked into.
type statsDocument struct {
	*stats.Result

	Encrypted []export.Secured `json:"encrypted"` // TLS connections, the newest of very many
}

func newStatsDocument(r *stats.Result, encrypted []decode.Secured) *statsDocument {
	d := &statsDocument{Result: r, Encrypted: make([]export.Secured, len(encrypted))}
	for i := range encrypted {
		d.Encrypted[i] = export.NewSecured(&encrypted[i])
	}
	return d
}

// statsText writes the figures for a person: a heading, then name and value a line.
func statsText(w io.Writer, r *stats.Result) error {
	p := &lines{w: w}
	p.head("Capture")
	p.line("packets", "%d", r.Packets)
	for _, name := range sorted(r.Outcomes) {
		p.line("  "+strings.ReplaceAll(name, "_", "-"), "%d%s", r.Outcomes[name], share(r.Outcomes[name], r.Packets))
	}
	for _, name := range sorted(r.Malformed) {
		p.line("    "+name, "%d", r.Malformed[name])
	}
	if !r.First.IsZero() {
		p.line("first message", "%s", r.First.Format("2006-01-02 15:04:05.000000 UTC"))
		p.line("span", "%s", time.Duration(r.Seconds*1e9).Round(time.Millisecond))
	}
	p.head("Messages")
	p.line("SIP messages", "%d (at most %d a second)", r.SIPMessages, r.MessagesPeak)
	p.counts("", r.Requests)
	p.counts("", r.Responses)
	p.line("retransmissions", "%d (%.2f %%)", r.Retransmitted, r.Retransmit*100)
	p.line("tap duplicates", "%d", r.Duplicates)
	p.counts("over ", r.Transports)
	p.head("Calls")
	p.line("Call-IDs", "%d", r.CallIDs)
	p.line("INVITE calls", "%d (at most %d a second, %d at once)", r.Attempts.Calls, r.CallsPeak, r.ActivePeak)
	p.counts("", r.States.Invite)
	p.percent("answer-seizure ratio", r.Attempts.ASR)
	p.percent("network effectiveness", r.Attempts.NER)
	if len(r.States.Other) > 0 {
		p.line("other", "")
		p.counts("", r.States.Other)
	}
	p.line("dialogs", "%d confirmed, %d early, %d of these never confirmed", r.InviteDialogs.Confirmed,
		r.InviteDialogs.EarlySeen, r.InviteDialogs.EarlyNeverConfirmed)
	p.line("transactions", "%s", pairs(r.Transactions))
	p.delays(r)
	p.media(r.RTP)
	p.ranked("Busiest hosts (messages)", r.Hosts)
	p.ranked("User agents (calls)", r.UserAgents)
	p.ranked("Servers (calls)", r.Servers)
	p.limits(r)
	return p.err
}

// lines writes aligned lines and remembers the first error.
type lines struct {
	w   io.Writer
	err error
}

const statsIndent = 24

func (p *lines) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *lines) head(s string) { p.printf("%s\n", s) }

func (p *lines) line(name, format string, args ...any) {
	p.printf("  %-*s %s\n", statsIndent, text.Clean(name), text.Clean(fmt.Sprintf(format, args...)))
}

// counts writes a line a key, the most frequent first.
func (p *lines) counts(prefix string, m map[string]uint64) {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	for _, k := range keys {
		p.line("  "+prefix+strings.ReplaceAll(k, "_", " "), "%d", m[k])
	}
}

func (p *lines) percent(name string, v *float64) {
	if v != nil {
		p.line(name, "%.1f %%", *v)
	}
}

func (p *lines) delays(r *stats.Result) {
	for _, d := range []struct {
		name string
		dist *stats.Distribution
	}{{"post-dial delay", r.PDD}, {"setup time", r.Setup}, {"talk time", r.Duration}} {
		if d.dist == nil {
			continue
		}
		ms := func(v float64) string { return columns.Duration(int64(v * 1e6)) }
		p.line(d.name, "p50 %s · p90 %s · p95 %s · p99 %s · max %s (%d calls)",
			ms(d.dist.P50), ms(d.dist.P90), ms(d.dist.P95), ms(d.dist.P99), ms(d.dist.Max), d.dist.Count)
	}
}

// media writes the figures of the RTP streams, when there are any.
func (p *lines) media(r *stats.RTP) {
	if r == nil {
		return
	}
	p.head("Media")
	p.line("RTP streams", "%d", r.Streams)
	p.line("RTP packets", "%d", r.Packets)
	p.line("RTCP packets", "%d", r.Control)
	p.line("never came", "%d (%.3f %%)", r.Missing, r.LossPercent)
	p.line("duplicates", "%d", r.Duplicates)
	p.line("reordered", "%d", r.Reordered)
	p.counts("codec ", r.Codecs)
	for _, d := range []struct {
		name, unit string
		dist       *stats.Distribution
	}{{"loss a stream", " %", r.Loss}, {"largest jitter", " ms", r.Jitter}} {
		if d.dist != nil {
			p.line(d.name, "p50 %.2f%s · p95 %.2f%s · max %.2f%s (%d streams)",
				d.dist.P50, d.unit, d.dist.P95, d.unit, d.dist.Max, d.unit, d.dist.Count)
		}
	}
	if r.MOS != nil {
		p.line("MOS (estimated)", "worst %.2f · mean %.2f (%d streams)", r.MOS.Min, r.MOS.Mean, r.MOS.Count)
	}
}

func (p *lines) ranked(title string, list []stats.Ranked) {
	if len(list) == 0 {
		return
	}
	p.head(title)
	for _, r := range list {
		p.printf("  %*d  %s\n", 9, r.Count, text.Clean(r.Name))
	}
}

func (p *lines) limits(r *stats.Result) {
	for i, x := range r.Losses() {
		if i == 0 {
			p.head("Limits and losses")
		}
		p.line(x.What, "%d", x.N)
	}
}

func sorted(m map[string]uint64) []string { return slices.Sorted(maps.Keys(m)) }

func share(n, of uint64) string {
	if of == 0 || n == of {
		return ""
	}
	return fmt.Sprintf(" (%.1f %%)", float64(n)*100/float64(of))
}

func pairs(m map[string]uint64) string {
	var out []string
	for _, k := range sorted(m) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}
