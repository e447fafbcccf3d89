package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/decode"
	"sipscope/render/html"
	"sipscope/render/save"
	"sipscope/render/text"
)

type reportCommand struct {
	input
	calls       []string
	out         string
	title       string
	limit       int
	maxSize     string
	withPackets bool
	redact      bool
	force       bool
	times       string
	byIP        bool
	foldHops    bool
	aliases     []string
}

func newReport(std stdio) *cobra.Command {
	c := &reportCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "report FILE... -o report.html",
		Short: "One HTML file to hand over: overview, call list, ladders, messages",
		Long: `Write one HTML file that needs no network: an overview with charts, the list of calls with search and filters, and
for each call its ladder and its messages. It opens in any browser from a disk or a ticket, in light and dark, and prints.

--redact replaces users, numbers, names, hosts, addresses, Call-IDs, tags, credentials and free texts by pseudonyms: the
same stands for the same everywhere, in embedded packets too. What the page holds is bounded by --max-size; what is left
out is said at its top.`,
		Example: `  sipscope report trace.pcap -o report.html
  sipscope report trace.pcap --call 3 --with-packets -o call3.html
  sipscope report trace.pcap --filter 'state == "failed"' --title 'Failed calls of Monday' -o failed.html
  sipscope report trace.pcap --redact -o vendor.html`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable)")
	f.StringVarP(&c.out, "output", "o", "", "file to write; - for standard output")
	f.StringVar(&c.title, "title", "", "title of the page (default: the name of the capture)")
	f.IntVar(&c.limit, "limit", 0, "at most so many calls, the first ones")
	f.StringVar(&c.maxSize, "max-size", "25MB", "size that the file may have; ladders at the end of the list are left out first")
	f.BoolVar(&c.withPackets, "with-packets", false, "embed each call's frames, for \"Download as pcap\"")
	f.BoolVar(&c.redact, "redact", false, "pseudonyms instead of users, numbers, names, addresses and credentials")
	f.BoolVar(&c.force, "force", false, "overwrite an existing file")
	f.StringVar(&c.times, "time", "delta", "time column of ladders: delta, absolute or relative")
	f.BoolVar(&c.byIP, "by-ip", false, "one participant for all ports of an address")
	f.BoolVar(&c.foldHops, "fold-hops", false, "one arrow for the copies of a message that proxies forward")
	f.StringArrayVar(&c.aliases, "alias", nil, "name a participant: ADDRESS=NAME or ADDRESS:PORT=NAME (repeatable)")
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

func (c *reportCommand) run(cmd *cobra.Command, args []string) error {
	if c.out == "" {
		return usagef("try: -o report.html", "no output file named")
	}
	size, err := parseSize("--max-size", c.maxSize)
	if err != nil {
		return err
	}
	if err = oneOf("--time", c.times, "delta", "absolute", "relative"); err != nil {
		return err
	}
	var sink statsSink
	a, err := c.read(cmd.Context(), cmd, args, wants{again: true, sink: &sink})
	if err != nil {
		return err
	}
	defer a.close()
	r, err := c.report(cmd.Context(), a, &sink)
	if err != nil {
		return err
	}
	r.MaxSize = size
	var written html.Written
	write := func(w io.Writer) (err error) {
		written, err = r.Write(cmd.Context(), w)
		return err
	}
	if c.out == "-" {
		err = write(c.io.out)
	} else {
		err = save.File(cmd.Context(), c.out, c.force, a.door.frames.Includes, write)
	}
	if err == nil {
		err = r.failed()
	}
	if err != nil {
		return exportError(err, c.out)
	}
	fmt.Fprintf(c.io.err, "%s, %d with ladder, written to %s (%s)\n", plural(written.Rows, "call"), written.Detailed, c.out,
		megabytes(written.Bytes))
	return a.err
}

// capturedReport is a report over an archive.
type capturedReport struct {
	html.Report

	mu  sync.Mutex
	err error // the first text that could not be read again
}

func (r *capturedReport) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *capturedReport) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// report chooses the calls and says where they are read.
func (c *reportCommand) report(ctx context.Context, a *archive, sink *statsSink) (*capturedReport, error) {
	nums, err := c.chosen(a)
	if err != nil {
		return nil, err
	}
	all := a.countCalls()
	r := &capturedReport{}
	r.Notes = a.door.lost()
	r.Title, r.Source, r.Version = c.title, a.source(), version
	if r.Title == "" {
		r.Title, r.Source = a.source(), ""
	}
	if c.limit > 0 && len(nums) > c.limit {
		r.Notes = append(r.Notes, html.Words("report.limit", c.limit, len(nums)))
		nums = nums[:c.limit]
	} else if len(nums) < all {
		r.Notes = append(r.Notes, html.Words("report.chosen", len(nums), all))
	}
	flow := drawFlags{aliases: c.aliases, byIP: c.byIP, foldHops: c.foldHops}
	if r.Ladder, err = flow.options(); err != nil {
		return nil, err
	}
	r.Ladder.Source, r.Ladder.Of, r.Ladder.Accounting = a.source(), all, a.accountingLine()
	m := newMediaOf(a.board, a.quiet)
	r.Ladder.Streams, r.Ladder.Lanes, r.Ladder.Findings = m.streams, m.lanes, m.findings
	r.Times = ladderTimes(c.times)
	r.Call = callReader(a.board, a.door.texts, r.fail)
	r.Summaries = func(yield func(*correlate.Summary) bool) { eachSummary(a.board, nums, yield) }
	for s := range r.Summaries {
		sink.Call(s)
	}
	acct, limited := a.board.Accounting()
	r.Result = sink.Result(stats.NewTotals(acct, a.board.Totals(), limited))
	r.Result.RTP = stats.NewRTP(a.board.MediaCounts(), a.board.Streams())
	if c.withPackets {
		if err = r.packets(ctx, a, nums); err != nil {
			return nil, err
		}
	}
	if c.redact {
		return r, c.hide(r, nums)
	}
	return r, nil
}

// callReader gives calls with readers of their texts; fail hears of texts that cannot be read again.
func callReader(
	board *correlate.Board, files decode.TextReader, fail func(error),
) func(num uint32) (correlate.Call, func(message int) []byte, bool) {
	return func(num uint32) (correlate.Call, func(message int) []byte, bool) {
		call, ok := board.Call(num)
		return call, func(message int) []byte {
			b, err := decode.ReadText(files, call.Messages[message].Pieces)
			if err != nil {
				fail(fmt.Errorf("call %d: %w", num, err))
			}
			return b
		}, ok
	}
}

// chosen finds the calls of the report: those named, or all that match the filter.
func (c *reportCommand) chosen(a *archive) ([]uint32, error) {
	var nums []uint32
	for _, name := range c.calls {
		num, err := a.number(name)
		if err != nil {
			return nil, err
		}
		nums = append(nums, num)
	}
	if len(c.calls) > 0 {
		return nums, nil
	}
	for s := range a.board.Calls() {
		if a.match(s) {
			nums = append(nums, s.Num)
		}
	}
	if len(nums) == 0 && c.filter != "" {
		return nil, nothingError{"no call matches"}
	}
	return nums, nil
}

// eachSummary gives the summaries of some calls without copying all at once.
func eachSummary(board *correlate.Board, nums []uint32, yield func(*correlate.Summary) bool) {
	const chunk = 256
	var some []correlate.Summary
	for at := 0; at < len(nums); at += chunk {
		some = board.Summaries(nums[at:min(at+chunk, len(nums))], some[:0])
		for i := range some {
			if !yield(&some[i]) {
				return
			}
		}
	}
}

// maxPackets bounds the frames that are held for a report, in bytes. More would not fit into a page.
const maxPackets = 256 << 20

// packets reads the calls' frames again.
func (r *capturedReport) packets(ctx context.Context, a *archive, nums []uint32) error {
	calls := func(yield func(uint32) bool) {
		for _, n := range nums {
			if !yield(n) {
				return
			}
		}
	}
	kept, err := save.Capture(ctx, a.door.frames, save.Numbered(a.board, calls), maxPackets)
	if err != nil {
		return err
	}
	if n := kept.Left(); n > 0 {
		r.Notes = append(r.Notes, html.Words("report.packets", n))
	}
	r.Packets = func(call *correlate.Call, _ func(int) []byte) []byte {
		b, err := kept.File(call.Num)
		if err != nil {
			r.fail(fmt.Errorf("call %d: %w", call.Num, err))
		}
		return b
	}
	return nil
}

// ladderTimes is what --time means.
func ladderTimes(flag string) text.Times {
	switch flag {
	case "absolute":
		return text.TimesAbsolute
	case "relative":
		return text.TimesRelative
	default:
		return text.TimesDelta
	}
}

var errSize = errors.New("no size")

// parseSize reads "25MB", "500kB", "1GB", "2MiB" or a number of bytes.
func parseSize(flag, s string) (int64, error) {
	units := []struct {
		name string
		n    float64
	}{
		{"kib", 1 << 10},
		{"mib", 1 << 20},
		{"gib", 1 << 30},
		{"kb", 1e3},
		{"mb", 1e6},
		{"gb", 1e9},
		{"k", 1e3},
		{"m", 1e6},
		{"g", 1e9},
		{"b", 1},
		{"", 1},
	}
	lower := strings.ToLower(strings.TrimSpace(s))
	for _, u := range units {
		number, ok := strings.CutSuffix(lower, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || n <= 0 || n*u.n > math.MaxInt64/2 {
			break
		}
		return int64(n * u.n), nil
	}
	return 0, usagef("it takes sizes such as 500kB, 25MB, 1GB", "%s %q: %w", flag, s, errSize)
}

func megabytes(n int64) string {
	if n < 100_000 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}
