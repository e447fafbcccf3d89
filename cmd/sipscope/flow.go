package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"sipscope/correlate"
	"sipscope/render/export"
	"sipscope/render/html"
	"sipscope/render/ladder"
	"sipscope/render/svg"
	"sipscope/render/text"
)

type flowCommand struct {
	input
	drawFlags

	calls   []string
	media   bool
	noMedia bool
}

// drawFlags say how a ladder is drawn.
type drawFlags struct {
	format   string
	times    string
	sdp      bool
	byIP     bool
	unfold   bool
	foldHops bool
	width    int
	aliases  []string
	color    string
}

func (d *drawFlags) drawFlags(f *pflag.FlagSet) {
	f.StringVar(&d.format, "format", "text", "text, ascii, mermaid, svg, html or json")
	f.StringVar(&d.times, "time", "delta", "time column: delta, absolute or relative")
	f.BoolVar(&d.sdp, "sdp", false, "show each media line of offers and answers")
	f.BoolVar(&d.byIP, "by-ip", false, "one participant for all ports of an address")
	f.BoolVar(&d.unfold, "unfold", false, "a row for each retransmission")
	f.BoolVar(&d.foldHops, "fold-hops", false, "one arrow for the copies of a message that proxies forward")
	f.IntVar(&d.width, "width", 0, "cells to draw in (default: the terminal's; 120 when there is none)")
	f.StringArrayVar(&d.aliases, "alias", nil, "name a participant: ADDRESS=NAME or ADDRESS:PORT=NAME (repeatable)")
	f.StringVar(&d.color, "color", "auto", "auto, always or never")
}

// drawing is how and where ladders are drawn, by flags that were checked.
type drawing struct {
	opts    ladder.Options
	format  string
	times   text.Times
	width   int
	color   bool
	headers []string // names of the summaries' columns, for JSON
}

// drawing checks the flags.
func (d *drawFlags) drawing(in *input) (drawing, error) {
	var out drawing
	if err := oneOf("--format", d.format, "text", "ascii", "mermaid", "svg", "html", "json"); err != nil {
		return out, err
	}
	if err := oneOf("--time", d.times, "delta", "absolute", "relative"); err != nil {
		return out, err
	}
	color, err := useColor(d.color, in.io.out)
	if err != nil {
		return out, err
	}
	out = drawing{format: d.format, times: ladderTimes(d.times), width: d.width, color: color}
	if out.width == 0 {
		out.width = in.terminalWidth()
	}
	if out.width == 0 {
		out.width = plainWidth
	}
	out.opts, err = d.options()
	return out, err
}

func newFlow(std stdio) *cobra.Command {
	c := &flowCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "flow FILE... --call N",
		Short: "Draw calls as a ladder diagram",
		Long: `Draw one call, or several in one ladder. Columns are the participants in the order in which the call reached them,
rows are events. Retransmissions are counted in the row of their original; the margin says what a person would ask.`,
		Example: `  sipscope flow trace.pcap --call 1
  sipscope flow trace.pcap --call 1 --call 2 --time relative --by-ip
  sipscope flow trace.pcap --call 1 --no-media
  sipscope flow trace.pcap --call 3848276298 --format mermaid
  sipscope flow trace.pcap --call 2 --format svg > call2.svg
  sipscope flow trace.pcap --call 2 --format html > call2.html
  sipscope flow trace.pcap --filter 'state == "failed"' --format ascii --width 100`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable: merged into one ladder)")
	f.BoolVarP(&c.media, "media", "r", true, "rows of RTP streams: codec, packets, loss, jitter, MOS, keys pressed; findings")
	f.BoolVar(&c.noMedia, "no-media", false, "signalling only")
	c.drawFlags.drawFlags(f)
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

// plainWidth is how wide a ladder is drawn where no terminal tells: a page of a ticket or a mail.
const plainWidth = 120

func (c *flowCommand) run(cmd *cobra.Command, args []string) error {
	d, err := c.drawing(&c.input)
	if err != nil {
		return err
	}
	a, err := c.read(cmd.Context(), cmd, args, wants{again: true})
	if err != nil {
		return err
	}
	defer a.close()
	calls, err := a.pick(c.calls)
	if err != nil {
		return err
	}
	d.opts.Source, d.opts.Of, d.opts.Accounting = a.source(), a.countCalls(), a.accountingLine()
	d.headers = a.cols
	texts, failed := a.texts(calls)
	if c.media && !c.noMedia {
		m := newMediaOf(a.board, a.quiet)
		d.opts.Streams, d.opts.Lanes, d.opts.Findings = m.streams, m.lanes, m.findings
	}
	out := bufio.NewWriter(c.io.out)
	if err := d.draw(out, calls, texts); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := failed(); err != nil {
		return err
	}
	return a.err
}

func (d *drawFlags) options() (ladder.Options, error) {
	opts := ladder.Options{ByIP: d.byIP, Unfold: d.unfold, FoldHops: d.foldHops, SDP: d.sdp, Aliases: map[string]string{}}
	for _, alias := range d.aliases {
		address, name, ok := strings.Cut(alias, "=")
		if !ok || address == "" || name == "" {
			return opts, usagef("try: --alias 10.0.0.1=proxy", "--alias %q is not ADDRESS=NAME", alias)
		}
		opts.Aliases[address] = name
	}
	return opts, nil
}

// draw draws calls as one ladder.
func (d *drawing) draw(w io.Writer, calls []correlate.Call, texts ladder.TextFunc) error {
	l := ladder.Build(calls, texts, d.opts)
	switch d.format {
	case "svg":
		return svg.Write(w, &l, svg.Options{Standalone: true, Times: d.times})
	case "html":
		return html.WriteFlow(w, flowTitle(calls), version, &html.Flow{Calls: calls, Text: texts, Ladder: d.opts, Times: d.times})
	case "mermaid":
		return export.WriteMermaid(w, &l)
	case "json":
		return export.WriteFlowJSON(w, &l, calls, texts, d.headers)
	default:
		return text.Ladder(w, &l, text.Options{Width: d.width, ASCII: d.format == "ascii", Color: d.color, Times: d.times})
	}
}

// flowTitle names a page by its calls.
func flowTitle(calls []correlate.Call) string {
	if len(calls) == 0 {
		return "no call"
	}
	title := html.Title(&calls[0].Summary)
	if n := len(calls); n > 1 {
		title = fmt.Sprintf("%s and %s", title, plural(n-1, "more call"))
	}
	return title
}

// source names what was read, for titles.
func (a *archive) source() string {
	return a.door.name
}

func (a *archive) countCalls() int {
	n := 0
	for range a.board.Calls() {
		n++
	}
	return n
}

// accountingLine says what became of every packet, in a line.
func (a *archive) accountingLine() string { return accountingLine(a.board) }

func accountingLine(board *correlate.Board) string {
	acct, _ := board.Accounting()
	var parts []string
	acct.Each(func(name string, n uint64) {
		switch name {
		case "sip", "rtp", "rtcp":
			name = strings.ToUpper(name)
		default:
		}
		parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(name, "_", "-")))
	})
	line := fmt.Sprintf("%d packets read", acct.Packets)
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	return line
}

// oneOf checks a flag's value.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usagef("it takes "+strings.Join(allowed, ", "), "%s %q is not known", flag, value)
}

// useColor decides about colours: NO_COLOR (no-color.org) and a dumb terminal turn them off unless asked for.
func useColor(when string, out *os.File) (bool, error) {
	switch when {
	case "always":
		return true, nil
	case "never":
		return false, nil
	case "auto":
		return term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", nil
	}
	return false, oneOf("--color", when, "auto", "always", "never")
}
