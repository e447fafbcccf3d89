package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
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
	calls    []string
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

func newFlow(std stdio) *cobra.Command {
	c := &flowCommand{input: input{io: std}}
	cmd := &cobra.Command{
		Use:   "flow FILE... --call N",
		Short: "Draw calls as a ladder diagram",
		Long: `Draw one call, or several in one ladder. Columns are the participants in the order in which the call reached them,
rows are events. Retransmissions are counted in the row of their original; the margin says what a person would ask.`,
		Example: `  sipscope flow trace.pcap --call 1
  sipscope flow trace.pcap --call 1 --call 2 --time relative --by-ip
  sipscope flow trace.pcap --call 3848276298 --format mermaid
  sipscope flow trace.pcap --call 2 --format svg > call2.svg
  sipscope flow trace.pcap --call 2 --format html > call2.html
  sipscope flow trace.pcap --filter 'state == "failed"' --format ascii --width 100`,
		RunE: c.run,
	}
	f := cmd.Flags()
	f.StringArrayVar(&c.calls, "call", nil, "call by number, Call-ID or a beginning of it (repeatable: merged into one ladder)")
	f.StringVar(&c.format, "format", "text", "text, ascii, mermaid, svg, html or json")
	f.StringVar(&c.times, "time", "delta", "time column: delta, absolute or relative")
	f.BoolVar(&c.sdp, "sdp", false, "show each media line of offers and answers")
	f.BoolVar(&c.byIP, "by-ip", false, "one participant for all ports of an address")
	f.BoolVar(&c.unfold, "unfold", false, "a row for each retransmission")
	f.BoolVar(&c.foldHops, "fold-hops", false, "one arrow for the copies of a message that proxies forward")
	f.IntVar(&c.width, "width", 0, "cells to draw in (default: the terminal's; 120 when there is none)")
	f.StringArrayVar(&c.aliases, "alias", nil, "name a participant: ADDRESS=NAME or ADDRESS:PORT=NAME (repeatable)")
	f.StringVar(&c.color, "color", "auto", "auto, always or never")
	c.flags(f)
	c.filterFlags(f)
	return cmd
}

// plainWidth is how wide a ladder is drawn where no terminal tells: a page of a ticket or a mail.
const plainWidth = 120

func (c *flowCommand) run(cmd *cobra.Command, args []string) error {
	if err := oneOf("--format", c.format, "text", "ascii", "mermaid", "svg", "html", "json"); err != nil {
		return err
	}
	if err := oneOf("--time", c.times, "delta", "absolute", "relative"); err != nil {
		return err
	}
	color, err := useColor(c.color, c.io.out)
	if err != nil {
		return err
	}
	opts, err := c.options()
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
	opts.Source, opts.Of, opts.Accounting = a.source(), a.countCalls(), a.accountingLine()
	texts, failed := a.texts(calls)
	out := bufio.NewWriter(c.io.out)
	if err := c.draw(out, a.cols, calls, texts, opts, color); err != nil {
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

func (c *flowCommand) options() (ladder.Options, error) {
	opts := ladder.Options{ByIP: c.byIP, Unfold: c.unfold, FoldHops: c.foldHops, SDP: c.sdp, Aliases: map[string]string{}}
	for _, alias := range c.aliases {
		address, name, ok := strings.Cut(alias, "=")
		if !ok || address == "" || name == "" {
			return opts, usagef("try: --alias 10.0.0.1=proxy", "--alias %q is not ADDRESS=NAME", alias)
		}
		opts.Aliases[address] = name
	}
	return opts, nil
}

func (c *flowCommand) draw(
	w io.Writer, headers []string, calls []correlate.Call, texts ladder.TextFunc, opts ladder.Options, color bool,
) error {
	l := ladder.Build(calls, texts, opts)
	times := ladderTimes(c.times)
	switch c.format {
	case "svg":
		return svg.Write(w, &l, svg.Options{Standalone: true, Times: times})
	case "html":
		return html.WriteFlow(w, flowTitle(calls), version, &html.Flow{
			Calls: calls, Text: texts, Ladder: opts, Times: times,
		})
	case "mermaid":
		return export.WriteMermaid(w, &l)
	case "json":
		return export.WriteFlowJSON(w, &l, calls, texts, headers)
	default:
		width := c.width
		if width == 0 {
			width = c.terminalWidth()
		}
		if width == 0 {
			width = plainWidth
		}
		return text.Ladder(w, &l, text.Options{
			Width: width, ASCII: c.format == "ascii", Color: color, Times: times,
		})
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
func (a *archive) accountingLine() string {
	acct, _ := a.board.Accounting()
	var parts []string
	acct.Each(func(name string, n uint64) {
		if name == "sip" {
			name = "SIP"
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
