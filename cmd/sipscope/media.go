package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"sipscope/correlate/media"
	"sipscope/render/columns"
	"sipscope/render/export"
	"sipscope/render/text"
)

type mediaCommand struct {
	input
	format string
	calls  []string
	series bool
	// findings asks for what is to be said of every call's media.
	findings bool
	limit    int
	width    int
	color    string
}

func newMedia(std stdio) *cobra.Command {
	c := &mediaCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "media FILE...",
		Short: "List the RTP streams of captures: loss, jitter, gaps, codecs, MOS",
		Long: `List every RTP stream: one SSRC from one address to another. Streams are found through SDP, and without SDP by packets
that continue each other; no port is assumed. LOST is RFC 3550's arithmetic (expected less received, so a duplicate hides a
loss), MISS counts distinct packets that never came. The MOS is estimated by the E-model (ITU-T G.107) from codec, loss,
jitter and delay; it knows nothing of the sound.

With --call, or --findings for all calls, what the signalling agreed on is compared with the media: one-way or missing
audio, media before the answer, late, on hold or after BYE, addresses, payload types and packet times that nobody agreed
on; and the keys that were pressed are listed (RFC 4733, INFO).`,
		Example: `  sipscope media trace.pcap
  sipscope media trace.pcap --call 3
  sipscope media trace.pcap --findings
  sipscope media trace.pcap --filter 'mos < 3.5' --format csv
  sipscope media trace.pcap --format json --series | jq '.streams[0].seconds'`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringVar(&c.format, "format", "table", "table, json, ndjson or csv")
	f.StringArrayVar(&c.calls, "call", nil, "streams of this call only: number, Call-ID or a beginning of it (repeatable)")
	f.BoolVar(&c.findings, "findings", false, "judge every call's media against its signalling, and list the keys pressed")
	f.BoolVar(&c.series, "series", false, "with JSON: the figures of every second, RTCP reports and presses, too")
	f.IntVarP(&c.limit, "limit", "l", 0, "list at most so many streams")
	f.IntVar(&c.width, "width", 0, "cells to draw in (default: the terminal's; unlimited when there is none)")
	f.StringVar(&c.color, "color", "auto", "auto, always or never")
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

func (c *mediaCommand) run(cmd *cobra.Command, args []string) error {
	if err := oneOf("--format", c.format, "table", "json", "ndjson", "csv"); err != nil {
		return err
	}
	color, err := useColor(c.color, c.io.out)
	if err != nil {
		return err
	}
	if c.width == 0 {
		c.width = c.terminalWidth()
	}
	a, err := c.read(cmd.Context(), cmd, args, wants{again: c.judges()})
	if err != nil {
		return err
	}
	defer a.close()
	streams, err := c.chosen(a)
	if err != nil {
		return err
	}
	judged, err := c.judge(a)
	if err != nil {
		return err
	}
	out := newBehind(c.io.out)
	err = errors.Join(c.write(out, a, streams, judged, color), out.Close())
	switch {
	case err != nil:
		return err
	case a.err != nil:
		return a.err
	case len(streams) == 0 && (c.filter != "" || c.callsOnly || len(c.calls) > 0):
		return nothingError{"no stream matches"}
	}
	return nil
}

// chosen gives the streams to list: those of the calls named or matched, or all.
func (c *mediaCommand) chosen(a *archive) (list []media.Stream, err error) {
	switch {
	case len(c.calls) > 0:
		calls, err := a.pick(c.calls)
		if err != nil {
			return nil, err
		}
		for i := range calls {
			list = append(list, a.board.Media(calls[i].Num)...)
		}
	case c.filter != "" || c.callsOnly:
		for s := range a.board.Calls() {
			if s.Media.Streams > 0 && a.match(s) {
				list = append(list, a.board.Media(s.Num)...)
			}
		}
	default:
		list = a.board.Streams()
	}
	if c.limit > 0 {
		list = list[:min(c.limit, len(list))]
	}
	return list, nil
}

func (c *mediaCommand) write(
	w io.Writer, a *archive, streams []media.Stream, judged []export.CallFindings, color bool,
) error {
	switch c.format {
	case "json":
		acct, limited := a.board.Accounting()
		var doc export.Document
		var err error
		if doc.Accounting, doc.Limits, err = export.Accounting(acct, limited); err != nil {
			return err
		}
		if c.judges() {
			doc.Media = export.AppendFindingsJSON(nil, judged)
		}
		return export.WriteStreamsJSON(w, streams, c.series, doc)
	case "ndjson":
		return export.WriteStreamsNDJSON(w, streams, c.series)
	case "csv":
		return export.WriteCSV(w, export.StreamColumns, func(yield func([]string) bool) {
			for i := range streams {
				if !yield(export.StreamRow(&streams[i])) {
					return
				}
			}
		})
	default:
		return errors.Join(c.table(w, a, streams, color), c.findingsTable(w, judged, color))
	}
}

// streamColumn is a column of the table. rank tells what a narrow terminal drops first: the highest.
type streamColumn struct {
	text.TableColumn

	rank int
	cell func(s *media.Stream) string
}

func right(title string, rank int, cell func(s *media.Stream) string) streamColumn {
	return streamColumn{text.TableColumn{Title: title, Right: true}, rank, cell}
}

func left(title string, rank int, cell func(s *media.Stream) string) streamColumn {
	return streamColumn{text.TableColumn{Title: title}, rank, cell}
}

func streamColumns() []streamColumn {
	n := func(v uint64) string { return strconv.FormatUint(v, 10) }
	loss := right("LOSS", 0, lossCell)
	loss.Color = lossColor
	mos := right("MOS*", 1, func(s *media.Stream) string { return score(s.MOS) })
	mos.Color = mosColor
	return []streamColumn{
		right("#", 0, func(s *media.Stream) string { return n(uint64(s.Num)) }),
		right("CALL", 2, func(s *media.Stream) string {
			if s.Call == 0 {
				return ""
			}
			return n(uint64(s.Call))
		}),
		left("FROM", 0, func(s *media.Stream) string { return s.Src.String() }),
		left("TO", 0, func(s *media.Stream) string { return s.Dst.String() }),
		left("SSRC", 3, func(s *media.Stream) string { return export.SSRC(s.SSRC) }),
		left("CODEC", 1, codecCell),
		right("PACKETS", 0, func(s *media.Stream) string { return n(s.Packets) }),
		right("LOST", 4, func(s *media.Stream) string { return strconv.FormatInt(s.Lost, 10) }),
		right("MISS", 3, func(s *media.Stream) string { return n(s.Missing) }),
		loss,
		right("DUP", 6, func(s *media.Stream) string { return n(s.Duplicates) }),
		right("REORD", 6, func(s *media.Stream) string { return n(s.Reordered) }),
		right("JITTER", 1, func(s *media.Stream) string { return columns.Duration(s.MeanJitter) }),
		right("MAX", 2, func(s *media.Stream) string { return columns.Duration(s.MaxJitter) }),
		right("GAP", 5, func(s *media.Stream) string { return columns.Duration(s.MaxGap) }),
		right("LENGTH", 4, func(s *media.Stream) string { return columns.Duration(s.Last - s.First) }),
		right("KBIT/S", 7, func(s *media.Stream) string { return strconv.FormatFloat(s.BitRate()/1e3, 'f', 0, 64) }),
		right("DSCP", 7, func(s *media.Stream) string { return n(uint64(s.DSCP)) }),
		mos,
		left("FOUND", 5, func(s *media.Stream) string { return s.Found.String() }),
		left("DTMF", 4, pressCell),
	}
}

func codecCell(s *media.Stream) string {
	name := s.Codec()
	if s.Secure {
		name += " srtp"
	}
	return name
}

func lossCell(s *media.Stream) string {
	if s.Missing == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f%%", s.LossShare()*100)
}

func pressCell(s *media.Stream) string {
	var b []byte
	for i := range s.Presses {
		b = append(b, s.Presses[i].Digit)
	}
	return string(b)
}

func score(v float64) string {
	if v == 0 || math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// Bounds at which a figure is worth a colour: loss that is heard without concealment, and the categories of G.107 annex B.
const (
	lossHeard = 1.0 // percent
	mosGood   = 4.03
	mosBad    = 3.1
)

func lossColor(cell string) text.Color {
	var percent float64
	if _, err := fmt.Sscanf(cell, "%f%%", &percent); err == nil && percent >= lossHeard {
		return text.Red
	}
	return text.Plain
}

func mosColor(cell string) text.Color {
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case err != nil:
		return text.Plain
	case v >= mosGood:
		return text.Green
	case v < mosBad:
		return text.Red
	default:
		return text.Yellow
	}
}

// table writes as many columns as the terminal has room for.
func (c *mediaCommand) table(w io.Writer, a *archive, streams []media.Stream, color bool) error {
	cols := fitting(streamColumns(), streams, c.width)
	t := text.Table{}
	for i := range cols {
		t.Columns = append(t.Columns, cols[i].TableColumn)
	}
	row := make([]string, len(cols))
	for i := range streams {
		for j := range cols {
			row[j] = cols[j].cell(&streams[i])
		}
		t.Add(row...)
	}
	if err := t.Write(w, text.TableOptions{Width: c.width, Color: color}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s · %s\n", plural(len(streams), "stream"), a.accountingLine())
	if limits := a.limitedLine(); err == nil && limits != "" {
		_, err = fmt.Fprintln(w, limits)
	}
	if err == nil && slices.ContainsFunc(streams, func(s media.Stream) bool { return s.MOS > 0 }) {
		_, err = fmt.Fprintln(w, "* estimated by the E-model (ITU-T G.107)")
	}
	return err
}

// fitting drops columns until the table fits, the least important first, and those that say nothing.
func fitting(cols []streamColumn, streams []media.Stream, width int) []streamColumn {
	const between = 2
	sizes := make([]int, len(cols))
	total := 0
	for i := range cols {
		empty := true
		for j := range streams {
			cell := cols[i].cell(&streams[j])
			sizes[i] = max(sizes[i], text.Width(text.Clean(cell)))
			empty = empty && cell == ""
		}
		if empty && len(streams) > 0 {
			cols[i].rank = math.MaxInt
		}
		sizes[i] = max(sizes[i], len(cols[i].Title)) + between
		total += sizes[i]
	}
	for {
		last := 0
		for i := range cols {
			if cols[i].rank >= cols[last].rank {
				last = i
			}
		}
		if rank := cols[last].rank; rank == 0 || rank != math.MaxInt && (width == 0 || total-between <= width) {
			return cols
		}
		total -= sizes[last]
		cols, sizes = slices.Delete(cols, last, last+1), slices.Delete(sizes, last, last+1)
	}
}
